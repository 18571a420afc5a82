/* SPDX-License-Identifier: MIT */
/* LLaVA-PruMerge: attention of the CLS query, softmax(q_cls . k / sqrt(C)) as one head of full width over all keys of a
 * block; the tokens above Q3 + iqr (Q3 - Q1) are kept (quartiles by linear interpolation), or a fixed ratio of them.
 * Each kept token adds its nearest neighbours by key cosine, kept ones included, times their attention (the weights are
 * normalised, the sum is the row's gain); one more row sums up the dropped tokens, anchored at the most attended of them.
 * PruMerge+ also keeps every s-th of the first n - 1 tokens, s = floor(floor(1 / share of outliers) / 3), at least 1.
 * A budget counts the extra row: k - 1 tokens are kept (k = 1: one, without an extra row; k = n: all, untouched), in
 * PruMerge+ a quarter of them by attention and the others evenly spread over the rest. Sizes: 1 for a kept token, the
 * dropped ones together in the extra row. q, k [n, C] with the prefix rows of both. Without a CLS token the mean query
 * stands in for its own. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/exact.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"

#define NEGLIGIBLE 1e-30f /* a smaller attention would leave no weight in single precision */

enum { ROW_BLOCK = 256, SHARE_BY_ATTENTION = 4, STRIDE_DIVISOR = 3 };

typedef struct prumerge {
    double iqr, ratio;
    int64_t neighbours, layer;
    int32_t compat;
} prumerge;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(prumerge, iqr, "interquartile ranges above the third quartile from which a token is an outlier",
                       1.5, 0, 100),
    PARE__OPTION_FLOAT_AUTO(prumerge, ratio, "share of the tokens that is kept instead of the outliers", 0, 0, 1,
                            "outliers"),
    PARE__OPTION_INT(prumerge, neighbours, "tokens that each kept one takes in", 32, 0, PARE__MAX_UNITS_PER_FRAME),
    PARE__OPTION_BLOCK(prumerge, layer, "block whose queries and keys are read, from 0 or negative from the end", -1),
    PARE__OPTION_BOOL(
        prumerge, compat,
        "count outliers as int(n (outliers / n)), which rounding can make one less, as the reference code does", 0),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    const int32_t layer = (int32_t)((const prumerge *)priv)->layer;
    need[0] = (pare__need){PARE__ARRAY_Q, layer};
    need[1] = (pare__need){PARE__ARRAY_K, layer};
    return 2;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const prumerge *)priv)->ratio > 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

typedef struct work {
    const prumerge *p;
    const pare__view *v;
    const float *key; /* [n, c] */
    int32_t c;
    double *attention; /* [n] of the CLS query */
    float *score;      /* [n] the same */
    uint8_t *kept;     /* [n] */
    int64_t n_kept;
} work;

/* Softmax over prefix and candidates; only the candidates' part is stored. */
static int attend(work *w, const float *query, const float *prefix_key)
{
    const pare__view *v = w->v;
    double *logit = PARE__ARENA(v->arena, double, v->n_prefix + v->n);
    if (!logit) return PARE_E_NOMEM;
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < v->n_prefix + v->n; i++) {
        const float *key = i < v->n_prefix ? prefix_key + i * w->c : w->key + (i - v->n_prefix) * w->c;
        logit[i] = pare__exact_dot(query, key, w->c) / sqrt((double)w->c);
        most = fmax(most, logit[i]);
    }
    for (int64_t i = 0; i < v->n_prefix + v->n; i++) sum += logit[i] = exp(logit[i] - most);
    for (int64_t i = 0; i < v->n; i++) {
        w->attention[i] = logit[v->n_prefix + i] / sum;
        w->score[i] = (float)w->attention[i];
    }
    return 0;
}

static int prepare(work *w, const prumerge *p, const pare__view *v, const char *name, pare_error *err)
{
    const int32_t layer = (int32_t)p->layer;
    int32_t width = 0;
    const float *q = pare__require(v, name, PARE__ARRAY_Q, layer, &width, err);
    const float *prefix_query = pare__view_prefix(v, PARE__ARRAY_Q, layer);
    const float *prefix_key = pare__view_prefix(v, PARE__ARRAY_K, layer);
    *w = (work){.p = p, .v = v, .attention = PARE__ARENA(v->arena, double, v->n)};
    w->score = PARE__ARENA(v->arena, float, v->n);
    w->kept = PARE__ARENA(v->arena, uint8_t, v->n);
    w->key = q ? pare__require(v, name, PARE__ARRAY_K, layer, &w->c, err) : NULL;
    if (!w->key) return PARE_E_INVALID;
    if (w->c != width)
        return pare_fail(err, PARE_E_INVALID, "'%s': queries of width %d, keys of width %d", name, width, w->c);
    if (v->n_prefix && (!prefix_query || !prefix_key))
        return pare_fail(err, PARE_E_INVALID, "'%s' needs the prefix tokens' rows (prefix.q, prefix.k), not there",
                         name);
    const float *query = pare__view_has_cls(v) ? prefix_query : pare__mean_row(v, q, width);
    if (!query || !w->attention || !w->score || !w->kept) return PARE_E_NOMEM;
    memset(w->kept, 0, (size_t)v->n);
    return attend(w, query, prefix_key);
}

/* ---- how many ---------------------------------------------------------------------------------------------------- */

/* Value at `share` of the way through the ascending order, of scores in descending `order`. */
static double quantile(const work *w, const int32_t *order, double share)
{
    const int64_t n = w->v->n;
    const double at = share * (double)(n - 1);
    const int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    const double a = w->attention[order[n - 1 - low]], b = w->attention[order[n - 1 - high]];
    return a + (b - a) * (at - (double)low);
}

/* Tokens that the method's own rule keeps, before any sampling. */
static int64_t count_kept(const work *w, const int32_t *order)
{
    const int64_t n = w->v->n;
    if (w->p->ratio > 0) return (int64_t)((double)n * w->p->ratio);
    const double q1 = quantile(w, order, 0.25), q3 = quantile(w, order, 0.75);
    int64_t count = 0;
    while (count < n && w->attention[order[count]] > q3 + w->p->iqr * (q3 - q1)) count++;
    return w->p->compat ? (int64_t)((double)n * ((double)count / (double)n)) : count;
}

static void keep_row(work *w, int64_t row)
{
    w->n_kept += !w->kept[row];
    w->kept[row] = 1;
}

static int keep_plain(work *w, const int32_t *order)
{
    const int64_t k = w->v->k, count = k < 0 ? count_kept(w, order) : k < 2 || k == w->v->n ? k : k - 1;
    for (int64_t i = 0; i < count; i++) keep_row(w, order[i]);
    return 0;
}

/* Exactly `count` of the tokens that are not kept yet, evenly spaced among them. */
static int keep_spread(work *w, int64_t count)
{
    const int64_t n = w->v->n, left = n - w->n_kept;
    int32_t *row = PARE__ARENA(w->v->arena, int32_t, left);
    if (!row) return PARE_E_NOMEM;
    for (int64_t i = 0, m = 0; i < n; i++)
        if (!w->kept[i]) row[m++] = (int32_t)i;
    for (int64_t j = 0; j < count; j++) keep_row(w, row[(2 * j + 1) * left / (2 * count)]);
    return 0;
}

static int keep_plus(work *w, const int32_t *order)
{
    const int64_t n = w->v->n, k = w->v->k;
    if (k >= 0) {
        const int64_t total = k < 2 || k == n ? k : k - 1;
        const int64_t best = (total + SHARE_BY_ATTENTION - 1) / SHARE_BY_ATTENTION;
        for (int64_t i = 0; i < best; i++) keep_row(w, order[i]);
        return keep_spread(w, total - best);
    }
    const int64_t count = count_kept(w, order);
    const int64_t inverse = count ? (int64_t)(1 / ((double)count / (double)n)) : n;
    const int64_t step = inverse < STRIDE_DIVISOR ? 1 : inverse / STRIDE_DIVISOR;
    for (int64_t i = 0; i < count; i++) keep_row(w, order[i]);
    for (int64_t i = 0; i < n - 1; i += step) keep_row(w, i);
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* One row with the weights value[n_col], of which the sum becomes the gain. */
static int emit_row(work *w, pare__map *map, int64_t anchor, const int32_t *col, int64_t n_col, double size)
{
    double sum = w->kept[anchor] ? 1 : 0;
    for (int64_t i = 0; i < n_col; i++) sum += w->attention[col[i]];
    int rc = pare__map_row(map, anchor);
    if (!rc && w->kept[anchor]) rc = pare__map_add(map, anchor, 1 / sum);
    for (int64_t i = 0; !rc && i < n_col; i++) rc = pare__map_add(map, col[i], w->attention[col[i]] / sum);
    if (!rc) rc = pare__map_size(map, size);
    return rc ? rc : pare__map_gain(map, sum);
}

/* The kept token `row` with its neighbours by `similarity` [n]. */
static int emit_kept(work *w, pare__map *map, int32_t row, float *similarity, int32_t *near)
{
    const int64_t want = w->p->neighbours < w->v->n - 1 ? w->p->neighbours : w->v->n - 1;
    similarity[row] = -INFINITY;
    if (pare__topk(similarity, w->v->n, want, near, w->v->arena)) return PARE_E_NOMEM;
    int64_t m = 0;
    for (int64_t i = 0; i < want; i++)
        if (w->score[near[i]] > NEGLIGIBLE) near[m++] = near[i];
    return emit_row(w, map, row, near, m, (double)w->v->size[row]);
}

static int emit_all_kept(work *w, pare__map *map)
{
    const pare__view *v = w->v;
    int32_t *row = PARE__ARENA(v->arena, int32_t, w->n_kept), *near = PARE__ARENA(v->arena, int32_t, v->n);
    float *similarity = PARE__ARENA(v->arena, float, ROW_BLOCK * v->n);
    if (!row || !near || !similarity) return PARE_E_NOMEM;
    for (int64_t i = 0, m = 0; i < v->n; i++)
        if (w->kept[i]) row[m++] = (int32_t)i;
    const float *all = pare__unit_rows(v, w->key, w->c, NULL, v->n);
    const float *kept = pare__unit_rows(v, w->key, w->c, row, w->n_kept);
    int rc = all && kept ? 0 : PARE_E_NOMEM;
    for (int64_t i0 = 0; !rc && i0 < w->n_kept; i0 += ROW_BLOCK) {
        const int64_t m = w->n_kept - i0 < ROW_BLOCK ? w->n_kept - i0 : ROW_BLOCK;
        v->gemm->nt(m, v->n, w->c, 1, kept + i0 * w->c, w->c, all, w->c, 0, similarity, v->n);
        for (int64_t i = 0; !rc && i < m; i++) rc = emit_kept(w, map, row[i0 + i], similarity + i * v->n, near);
    }
    return rc;
}

/* The dropped tokens as one row. */
static int emit_extra(work *w, pare__map *map)
{
    const pare__view *v = w->v;
    int32_t *col = PARE__ARENA(v->arena, int32_t, v->n);
    if (!col) return PARE_E_NOMEM;
    int64_t m = 0, anchor = -1;
    double size = 0;
    for (int64_t i = 0; i < v->n; i++) {
        if (w->kept[i]) continue;
        if (anchor < 0 || w->attention[i] > w->attention[anchor]) anchor = i;
        if (w->score[i] > NEGLIGIBLE) col[m++] = (int32_t)i;
        size += (double)v->size[i];
    }
    if (m) return emit_row(w, map, anchor, col, m, size);
    const int rc = pare__map_keep(map, anchor);
    return rc ? rc : pare__map_gain(map, 0);
}

static int run(const prumerge *p, const pare__view *v, int (*keep)(work *, const int32_t *), const char *name,
               pare__map *map, pare_error *err)
{
    work w;
    int32_t *order = PARE__ARENA(v->arena, int32_t, v->n);
    int rc = order ? prepare(&w, p, v, name, err) : PARE_E_NOMEM;
    if (!rc) rc = pare__argsort_desc(w.score, v->n, order, v->arena);
    if (!rc) memcpy(v->score_out, w.score, (size_t)v->n * sizeof *w.score);
    if (!rc) rc = keep(&w, order);
    if (rc || w.n_kept == v->n) return rc ? rc : pare__map_identity(map, v->n);
    rc = emit_all_kept(&w, map);
    return rc || v->k == 1 ? rc : emit_extra(&w, map);
}

static int select_plain(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    return run(priv, v, keep_plain, "prumerge", map, err);
}

static int select_plus(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    return run(priv, v, keep_plus, "prumerge-plus", map, err);
}

#define SOURCE                                                                                                         \
    "Shang et al., LLaVA-PruMerge, ICCV 2025, arXiv 2403.15388; 42Shawn/LLaVA-PruMerge "                               \
    "llava/model/multimodal_encoder/clip_encoder.py"

const pare__selector pare__sel_prumerge = {
    .name = "prumerge",
    .summary = "outliers of full-width CLS attention with their neighbours, and one token for the rest",
    .cite = SOURCE,
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__VARIABLE_COUNT | PARE__OWN_SIZES,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(prumerge),
    .needs = needs,
    .amount = amount,
    .select = select_plain,
};

const pare__selector pare__sel_prumerge_plus = {
    .name = "prumerge-plus",
    .summary = "prumerge with evenly strided tokens kept as well",
    .cite = SOURCE,
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__VARIABLE_COUNT | PARE__OWN_SIZES,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(prumerge),
    .needs = needs,
    .amount = amount,
    .select = select_plus,
};
