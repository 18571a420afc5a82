/* SPDX-License-Identifier: MIT */
/* The tokens with the best score (attention of the CLS query in this block) stay; all others fuse into one more row, the
 * sum of score * token: weights are scores / sum, the sum is the gain. It stands at the place of its best token and is a
 * candidate like any other in later blocks. fuse=0 drops them. Acts between attention and MLP; sizes do not bias later
 * attention. A budget k counts the fused row: k - 1 stay (all of them when k = n); rate=q keeps ceil(q n) and adds
 * the fused row. tokens [n, d] -> k rows. */
#include <math.h>

#include "select/pick.h"
#include "select/selector.h"

#define OFF (-1.0)

typedef struct evit {
    double rate;
    int32_t fuse;
} evit;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(evit, rate,
                            "share of its tokens that every block keeps, rounded up, the fused one not counted", OFF, 0,
                            1, "auto"),
    PARE__OPTION_BOOL(evit, fuse, "the others become one token, their sum weighted by attention; 0 drops them", 1),
    {0},
};

/* Tokens that rate= leaves as they are. */
static int64_t kept_of(const evit *p, int64_t n)
{
    const int64_t kept = (int64_t)ceil(p->rate * (double)n);
    return kept < n ? kept : n;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const evit *p = priv;
    if (p->rate < 0) return PARE__AMOUNT_NONE;
    const int64_t kept = kept_of(p, n);
    return kept + (p->fuse && kept < n);
}

static int unbiased(const void *priv)
{
    (void)priv;
    return 1;
}

/* Of k rows, how many are single tokens. */
static int64_t count_kept(const evit *p, const pare__view *v, int64_t k)
{
    if (!p->fuse) return k;
    const int64_t by_rate = p->rate < 0 ? v->n : kept_of(p, v->n);
    return k < v->n || by_rate + 1 == k ? k - 1 : k;
}

/* One row for all that are not in kept [n_kept], ascending. Scores that are not above 0 carry no weight; those tokens
 * belong to the row all the same. */
static int fuse_rest(const pare__view *v, const int32_t *kept, int64_t n_kept, pare__map *map)
{
    double sum = 0;
    int64_t anchor = -1;
    for (int64_t i = 0, next = 0; i < v->n; i++) {
        if (next < n_kept && kept[next] == i) {
            next++;
            continue;
        }
        if (v->score[i] > 0) sum += (double)v->score[i];
        if (anchor < 0 || v->score[i] > v->score[anchor]) anchor = i;
    }
    const int has_weight = v->score[anchor] > 0;
    int rc = pare__map_row(map, anchor);
    if (!rc && !has_weight) rc = pare__map_add(map, anchor, 1);
    for (int64_t i = 0, next = 0; !rc && i < v->n; i++) {
        if (next < n_kept && kept[next] == i) {
            next++;
            continue;
        }
        const float weight = has_weight ? (float)((double)v->score[i] / sum) : 0;
        rc = weight > 0 ? pare__map_add(map, i, (double)weight) : pare__map_member(map, i);
    }
    return rc ? rc : pare__map_gain(map, sum);
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const evit *p = priv;
    if (!pare__require_score(v, "evit", err)) return PARE_E_INVALID;
    const int64_t k = pare__budget(v), n_kept = count_kept(p, v, k);
    int32_t *kept = PARE__ARENA(v->arena, int32_t, n_kept + 1);
    int rc = kept ? pare__pick(NULL, v->score, v->n, n_kept, kept, v->arena) : PARE_E_NOMEM;
    if (!rc) rc = pare__map_keep_many(map, kept, n_kept);
    return rc || n_kept == k ? rc : fuse_rest(v, kept, n_kept, map);
}

const pare__selector pare__sel_evit = {
    .name = "evit",
    .summary = "the tokens with most attention of the CLS query in the block; the others fuse into one",
    .cite =
        "Liang et al., Not All Patches Are What You Need (EViT), ICLR 2022, arXiv 2202.07800; youweiliang/evit evit.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES | PARE__USES_SCORE,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_MIDDLE,
    .options = options,
    .priv_size = sizeof(evit),
    .amount = amount,
    .select = select_rows,
    .unbiased = unbiased,
};
