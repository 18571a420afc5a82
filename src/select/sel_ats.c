/* SPDX-License-Identifier: MIT */
/* Adaptive token sampling: significance = attention of the CLS query times the length of the value (all heads), made a
 * distribution; its cumulative sum in ascending order, stretched to 0..1, is inverted at n - 1 levels evenly spaced from
 * its first value above 0 to 1, and every token that is nearest to some level stays. Only the n - 1 most significant
 * tokens can be hit. n counts the CLS token; by default it is the number of tokens, and the count falls by itself.
 * With a budget of k the count is exact: k levels over all tokens, and the levels that hit a token twice are drawn again
 * the same way from the tokens that are left, until k are found. cls_row [n], v [n, n_head * head_dim]. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/exact.h"
#include "select/pick.h"
#include "select/selector.h"

typedef struct ats {
    int64_t n;
} ats;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(ats, n, "tokens sampled at most, the CLS token included (auto: as many as there are)", 0, 2,
                          PARE__MAX_UNITS_PER_FRAME + 1, "auto"),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_V, PARE__LAYER_HERE};
    return 2;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const ats *)priv)->n ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* Tokens by ascending significance; those not sampled yet. */
typedef struct pool {
    double *score;  /* [n] */
    int32_t *order; /* [n_left] ascending by score, then by index */
    double *cdf;    /* [n_left] 0 .. 1 */
    int64_t n_left;
    uint8_t *taken; /* [n] */
    int64_t n_taken;
} pool;

static int measure(const pare__view *v, pool *o, pare_error *err)
{
    int32_t width = 0;
    const float *attention = pare__require(v, "ats", PARE__ARRAY_CLS_ROW, PARE__LAYER_HERE, NULL, err);
    const float *value = attention ? pare__require(v, "ats", PARE__ARRAY_V, PARE__LAYER_HERE, &width, err) : NULL;
    if (!attention || !value) return PARE_E_INVALID;
    for (int64_t i = 0; i < v->n; i++) {
        const float *row = value + i * width;
        const double s = (double)attention[i] * sqrt(pare__exact_dot(row, row, width));
        o->score[i] = s > 0 && isfinite(s) ? s : 0;
        v->score_out[i] = (float)o->score[i];
    }
    return 0;
}

/* Ascending by score, equal ones by index: descending order of the negated score is stable. */
static int sort_pool(const pare__view *v, pool *o)
{
    float *negated = PARE__ARENA(v->arena, float, v->n);
    if (!negated) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) negated[i] = (float)-o->score[i];
    return pare__argsort_desc(negated, v->n, o->order, v->arena);
}

/* Cumulative scores of the tokens left, stretched to 0..1; zeros where they are all alike. */
static void accumulate(pool *o)
{
    double sum = 0;
    for (int64_t r = 0; r < o->n_left; r++) o->cdf[r] = sum += o->score[o->order[r]];
    const double low = o->cdf[0], span = o->cdf[o->n_left - 1] - low;
    for (int64_t r = 0; r < o->n_left; r++) o->cdf[r] = span > 0 ? (o->cdf[r] - low) / span : 0;
}

static double first_level(const pool *o)
{
    for (int64_t r = 0; r < o->n_left; r++)
        if (o->cdf[r] > 0) return o->cdf[r];
    return 0;
}

static void take(pool *o, int64_t rank)
{
    o->n_taken += !o->taken[o->order[rank]];
    o->taken[o->order[rank]] = 1;
}

/* Takes the token nearest to each of `levels` levels, none below rank `from`; ties go to the lower rank. `below` is the
 * first of the ranks that share the last value before `at`. */
static void sample(pool *o, int64_t levels, int64_t from)
{
    const double start = first_level(o);
    int64_t at = from, below = from;
    for (int64_t l = 0; l < levels; l++) {
        const double level = levels > 1 ? start + (1 - start) * (double)l / (double)(levels - 1) : 1;
        for (; at + 1 < o->n_left && o->cdf[at] < level; at++)
            if (o->cdf[at] > o->cdf[below]) below = at;
        const int lower = at > from && fabs(o->cdf[below] - level) <= fabs(o->cdf[at] - level);
        take(o, lower ? below : at);
    }
}

static void remove_taken(pool *o)
{
    int64_t m = 0;
    for (int64_t r = 0; r < o->n_left; r++)
        if (!o->taken[o->order[r]]) o->order[m++] = o->order[r];
    o->n_left = m;
}

static void sample_exactly(pool *o, int64_t k)
{
    while (o->n_taken < k) {
        accumulate(o);
        sample(o, k - o->n_taken, 0);
        remove_taken(o);
    }
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const ats *p = priv;
    pool o = {.score = PARE__ARENA(v->arena, double, v->n),
              .order = PARE__ARENA(v->arena, int32_t, v->n),
              .cdf = PARE__ARENA(v->arena, double, v->n),
              .n_left = v->n,
              .taken = PARE__ARENA(v->arena, uint8_t, v->n)};
    if (!o.score || !o.order || !o.cdf || !o.taken) return PARE_E_NOMEM;
    memset(o.taken, 0, (size_t)v->n);
    int rc = measure(v, &o, err);
    if (!rc) rc = sort_pool(v, &o);
    if (rc) return rc;
    const int64_t levels = p->n ? p->n - 1 : v->n;
    if (v->k >= 0) {
        sample_exactly(&o, pare__budget(v));
    } else {
        accumulate(&o);
        sample(&o, levels, levels < v->n ? v->n - levels : 0);
    }
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (o.taken[i]) rc = pare__map_keep(map, i);
    return rc;
}

const pare__selector pare__sel_ats = {
    .name = "ats",
    .summary = "adaptive token sampling: inverse transform of CLS attention times value length",
    .cite = "Fayyaz et al., Adaptive Token Sampling for Efficient Vision Transformers, ECCV 2022, arXiv 2111.15667; "
            "adaptivetokensampling/ATS libs/models/transformers/ats_block.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_BLOCK,
    .options = options,
    .priv_size = sizeof(ats),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
