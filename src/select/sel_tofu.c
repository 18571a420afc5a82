/* SPDX-License-Identifier: MIT */
/* Token fusion: the matching of token merging (even rows of the segment against odd ones by cosine of head-mean keys, the
 * r best pairs), but a merged token keeps its length: the plain mean of the group's tokens, whatever their sizes, is
 * scaled to the length of its longest member, a factor that goes into the gain. compat=1 scales it by longest member /
 * destination before the merge, as the port does, so that lengths drift. Rows come out as [unmerged even ; odd] and keep
 * that order. Prefix rows never merge. Keys k_mean [n, head_dim], tokens [n, d], between attention and MLP. */
#include <math.h>

#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

#define OFF (-1.0)
#define NO_LENGTH 1e-12 /* a mean this much shorter than its members points nowhere */

typedef struct tofu {
    int64_t r;
    double ratio;
    int32_t prop_attn, compat;
} tofu;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(tofu, r, "tokens merged away in every block", -1, 0, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_FLOAT_AUTO(tofu, ratio, "share of its tokens that every block keeps, at least half", OFF, 0, 1,
                            "auto"),
    PARE__OPTION_BOOL(tofu, prop_attn, "later attention counts a merged token as often as its size", 1),
    PARE__OPTION_BOOL(tofu, compat, "scale by the destination's own length as the port does", 0),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const tofu *p = priv;
    return pare__pairs_amount(n, p->r, p->ratio);
}

static int unbiased(const void *priv) { return !((const tofu *)priv)->prop_attn; }

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_K_MEAN, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    return 2;
}

/* ---- lengths --------------------------------------------------------------------------------------------------- */

typedef struct fusion {
    const float *x; /* [n, d] */
    int64_t d;
    double *mean; /* [d] scratch */
    int32_t compat;
} fusion;

static double length(const float *x, int64_t d)
{
    double sum = 0;
    for (int64_t c = 0; c < d; c++) sum += (double)x[c] * (double)x[c];
    return sqrt(sum);
}

static double mean_length(const fusion *f, const int32_t *col, int64_t n)
{
    double sum = 0;
    for (int64_t c = 0; c < f->d; c++) f->mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < f->d; c++) f->mean[c] += (double)f->x[col[i] * f->d + c];
    for (int64_t c = 0; c < f->d; c++) sum += f->mean[c] * f->mean[c];
    return sqrt(sum) / (double)n;
}

static double gain_of(const fusion *f, int32_t target, const int32_t *col, int64_t n)
{
    double longest = 0;
    for (int64_t i = 0; i < n; i++) longest = fmax(longest, length(f->x + col[i] * f->d, f->d));
    const double base = f->compat ? length(f->x + target * f->d, f->d) : mean_length(f, col, n);
    return base > NO_LENGTH * longest ? longest / base : 1;
}

static int emit_group(const fusion *f, int32_t target, const int32_t *col, int64_t n, pare__map *map)
{
    if (n == 1) return pare__map_keep(map, target);
    int rc = pare__map_row(map, target);
    for (int64_t i = 0; !rc && i < n; i++) rc = pare__map_add(map, col[i], 1.0 / (double)n);
    return rc ? rc : pare__map_gain(map, gain_of(f, target, col, n));
}

static int emit(const tofu *p, const pare__view *v, const pare__pairs *h, const float *x, pare__map *map)
{
    pare__match_groups g;
    const fusion f = {.x = x, .d = v->d, .mean = PARE__ARENA(v->arena, double, v->d), .compat = p->compat};
    int rc = pare__match_list(v, h->group, v->n, h->n_row, &g);
    if (!f.mean) rc = PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < h->n_row; i++)
        rc = emit_group(&f, h->anchor[i], g.col + g.start[i], g.start[i + 1] - g.start[i], map);
    return rc;
}

/* ---- select ---------------------------------------------------------------------------------------------------- */

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const tofu *p = priv;
    int32_t d = 0;
    pare__pairs h;
    const float *key = pare__require(v, "tofu", PARE__ARRAY_K_MEAN, PARE__LAYER_HERE, &d, err);
    const float *x = pare__require(v, "tofu", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, NULL, err);
    if (!key || !x) return PARE_E_INVALID;
    const int64_t r = pare__pairs_most(v->n, v->n - pare__budget(v));
    if (r == 0) return pare__map_identity(map, v->n);
    if (pare__pairs_init(&h, v)) return PARE_E_NOMEM;
    for (int32_t i = 0; i < v->n; i++) {
        if ((v->n_prefix + i) % 2)
            h.b[h.n_b++] = i;
        else
            h.a[h.n_a++] = i;
    }
    const int rc = pare__pairs_join(&h, v, key, d, r);
    return rc ? rc : emit(p, v, &h, x, map);
}

const pare__selector pare__sel_tofu = {
    .name = "tofu",
    .summary = "token fusion: matching of keys, merged tokens keep the length of the longest",
    .cite = "Kim et al., Token Fusion: Bridging the Gap between Token Pruning and Token Merging, WACV 2024, arXiv "
            "2312.01026; hchautran/PiToMe algo/tofu/merge.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES | PARE__KEEPS_ORDER,
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_MIDDLE,
    .options = options,
    .priv_size = sizeof(tofu),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
    .least = pare__pairs_least,
    .unbiased = unbiased,
};
