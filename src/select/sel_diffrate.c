/* SPDX-License-Identifier: MIT */
/* Prune, then merge, by rank of importance (the score: attention of the CLS query in this block): what ranks behind the
 * first p is dropped; of these the last p - m join the one of the first m with the most similar token (ties to the more
 * important). A merged row is the plain mean of its tokens, whatever their sizes; its size is that of the destination
 * plus size * cosine of every source, so sizes need not be whole and do not sum to N. Acts between attention and MLP.
 * prune=, merge= list p and m of every block, without prefix rows, as the method learns them; without lists a budget of
 * m rows drops `pruned` of what must go and merges the rest. tokens [n, d] -> m rows. */
#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

typedef struct schedule {
    int32_t n;
    double count[PARE__MAX_BLOCKS];
} schedule;

typedef struct diffrate {
    char prune[PARE__OPTION_TEXT], merge[PARE__OPTION_TEXT];
    schedule pruning, merging; /* of the texts, by init */
    double pruned;
    int32_t prop_attn;
} diffrate;

static const pare__option options[] = {
    PARE__OPTION_STRING(diffrate, prune,
                        "tokens that pruning leaves in every block, as 196/195/189; blocks beyond keep all", ""),
    PARE__OPTION_STRING(diffrate, merge, "tokens that merging leaves in every block, as 196/193/175; default: as prune",
                        ""),
    PARE__OPTION_FLOAT(diffrate, pruned, "without lists: share of the removed tokens that is pruned, the others merge",
                       0.4, 0, 1),
    PARE__OPTION_BOOL(diffrate, prop_attn, "later attention counts a merged token as often as its size", 1),
    {0},
};

/* ---- schedule -------------------------------------------------------------------------------------------------- */

static int read_counts(const char *name, const char *text, schedule *s, pare_error *err)
{
    s->n = pare__read_list(text, 1, 1, PARE__MAX_UNITS_PER_FRAME, s->count, PARE__MAX_BLOCKS);
    if (s->n >= 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "selector 'diffrate': %s=%s is not a list of counts such as 196/195/189",
                     name, text);
}

static int init(void *priv, pare_error *err)
{
    diffrate *p = priv;
    int rc = read_counts("prune", p->prune, &p->pruning, err);
    if (!rc) rc = read_counts("merge", p->merge, &p->merging, err);
    if (rc || !p->pruning.n || !p->merging.n) return rc;
    if (p->pruning.n != p->merging.n)
        return pare_fail(err, PARE_E_INVALID, "selector 'diffrate': prune= lists %d blocks, merge= %d", p->pruning.n,
                         p->merging.n);
    for (int32_t i = 0; i < p->merging.n; i++)
        if (p->merging.count[i] > p->pruning.count[i])
            return pare_fail(err, PARE_E_INVALID,
                             "selector 'diffrate': block %d merges to %.0f what was pruned to %.0f", i,
                             p->merging.count[i], p->pruning.count[i]);
    return 0;
}

/* Entry of this block, at most n; n where the list says nothing. */
static int64_t listed(const schedule *s, int32_t i_block, int64_t n)
{
    return i_block < s->n && s->count[i_block] < (double)n ? (int64_t)s->count[i_block] : n;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)n_block;
    const diffrate *p = priv;
    if (!p->pruning.n && !p->merging.n) return PARE__AMOUNT_NONE;
    return listed(p->merging.n ? &p->merging : &p->pruning, i_block, n);
}

/* Rows that pruning leaves on the way to k. */
static int64_t count_pruned_to(const diffrate *p, const pare__view *v, int64_t k)
{
    int64_t left = v->n - (int64_t)(p->pruned * (double)(v->n - k) + 0.5);
    if (p->pruning.n || p->merging.n) left = listed(&p->pruning, v->i_block, v->n);
    return left < k ? k : left;
}

static int unbiased(const void *priv) { return !((const diffrate *)priv)->prop_attn; }

/* ---- merging --------------------------------------------------------------------------------------------------- */

typedef struct ranked {
    int32_t *order; /* [n] candidates by falling importance */
    int32_t *group; /* [n] rank of the row that a candidate ends in, or -1 */
    int32_t *to;    /* [n] rank of the destination of every source */
    float *cos;     /* [n] */
    double *size;   /* [n] of every row */
} ranked;

static int rank_all(const pare__view *v, int64_t k, ranked *h)
{
    *h = (ranked){.order = PARE__ARENA(v->arena, int32_t, v->n),
                  .group = PARE__ARENA(v->arena, int32_t, v->n),
                  .to = PARE__ARENA(v->arena, int32_t, v->n),
                  .cos = PARE__ARENA(v->arena, float, v->n),
                  .size = PARE__ARENA(v->arena, double, v->n)};
    if (!h->order || !h->group || !h->to || !h->cos || !h->size) return PARE_E_NOMEM;
    if (pare__argsort_desc(v->score, v->n, h->order, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) {
        h->group[h->order[i]] = i < k ? (int32_t)i : -1;
        h->size[i] = (double)v->size[h->order[i]];
    }
    return 0;
}

/* Ranks k .. left-1 join ranks 0 .. k-1. */
static int join(const pare__view *v, const float *x, int64_t k, int64_t left, ranked *h)
{
    const int64_t n_source = left - k;
    if (!n_source) return 0;
    const float *a = pare__unit_rows(v, x, v->d, h->order + k, n_source);
    const float *b = pare__unit_rows(v, x, v->d, h->order, k);
    if (!a || !b || pare__match_best(v, a, n_source, b, k, v->d, h->to, h->cos)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n_source; i++) {
        h->group[h->order[k + i]] = h->to[i];
        h->size[h->to[i]] += h->size[k + i] * (double)h->cos[i];
    }
    return 0;
}

/* Cosines below 0 could eat a size up; the destination's own stands in. */
static int emit(const pare__view *v, int64_t k, const ranked *h, pare__map *map)
{
    pare__match_groups g;
    int rc = pare__match_list(v, h->group, v->n, k, &g);
    for (int64_t i = 0; !rc && i < k; i++) {
        const int64_t n = g.start[i + 1] - g.start[i];
        const double own = (double)v->size[h->order[i]];
        rc = pare__map_row(map, h->order[i]);
        for (int64_t j = 0; !rc && j < n; j++) rc = pare__map_add(map, g.col[g.start[i] + j], 1.0 / (double)n);
        if (!rc) rc = pare__map_size(map, (float)h->size[i] > 0 ? h->size[i] : own);
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const diffrate *p = priv;
    ranked h;
    const float *x = pare__require(v, "diffrate", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, NULL, err);
    if (!x) return PARE_E_INVALID;
    if (!pare__require_score(v, "diffrate", err)) return PARE_E_INVALID;
    const int64_t k = pare__budget(v);
    int rc = rank_all(v, k, &h);
    if (!rc) rc = join(v, x, k, count_pruned_to(p, v, k), &h);
    return rc ? rc : emit(v, k, &h, map);
}

const pare__selector pare__sel_diffrate = {
    .name = "diffrate",
    .summary = "prunes the least important tokens, then merges the next ones into their most similar",
    .cite =
        "Chen et al., DiffRate: Differentiable Compression Rate for Efficient Vision Transformers, ICCV 2023, arXiv "
        "2305.17997; OpenGVLab/DiffRate DiffRate/patch/deit.py, DiffRate/merge.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES | PARE__USES_SCORE | PARE__OWN_SIZES,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_MIDDLE,
    .options = options,
    .priv_size = sizeof(diffrate),
    .init = init,
    .needs = pare__need_tokens,
    .amount = amount,
    .select = select_rows,
    .unbiased = unbiased,
};
