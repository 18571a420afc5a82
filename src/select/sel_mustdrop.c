/* SPDX-License-Identifier: MIT */
/* Local merging: the grid is cut into windows of w x w cells; a window whose tokens have a mean pairwise cosine of at least
 * `threshold` collapses to their mean (weighted by size), which stands at its last cell (bottom right). With a budget the
 * windows collapse by falling score, ties to the first in raster order, until k rows remain; of the last one only as many
 * tokens merge as needed, those most like their common direction. Where all windows together free too little, their means
 * merge on in windows twice as wide. Windows at a ragged edge or with holes merge what they have. target=k is a budget;
 * with compat=1 it counts as the port does: (N + CLS - k) / (w w - 1) windows, rounded down. tokens [n, d]. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/exact.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"

#define AUTO (-2.0)
#define THRESHOLD 0.6

typedef struct mustdrop {
    double threshold;
    int64_t window, target;
    int32_t compat;
} mustdrop;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(mustdrop, threshold, "mean cosine from which a window collapses (auto 0.6)", AUTO, -1, 1,
                            "auto"),
    PARE__OPTION_INT(mustdrop, window, "side of a window in cells", 3, 2, 256),
    PARE__OPTION_INT_AUTO(mustdrop, target, "tokens that remain, instead of a threshold", -1, 1,
                          PARE__MAX_UNITS_PER_FRAME, "off"),
    PARE__OPTION_BOOL(mustdrop, compat, "target= counts the CLS token and whole windows only, as the port does", 0),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)i_block, (void)n_block;
    const mustdrop *p = priv;
    if (p->target < 0) return p->threshold >= -1 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
    if (!p->compat || p->target > n) return p->target < n ? p->target : n;
    const int64_t freed = p->window * p->window - 1, most = (grid_h / p->window) * (grid_w / p->window);
    const int64_t r = (n + 1 - p->target) / freed;
    const int64_t left = n - freed * (r < most ? r : most);
    return left > 1 ? left : 1;
}

/* ---- groups and windows ---------------------------------------------------------------------------------------- */

/* Tokens in groups: at first each on its own, later what merged. A round cuts the groups into windows. */
typedef struct tiling {
    const pare__view *v;
    const float *x; /* [n, d] */
    int64_t n_group, n_window;
    int32_t *group;               /* [n] group of a token */
    int32_t *anchor;              /* [n_group] its last token, ascending */
    int32_t *into;                /* [n_group] group that it merges into; itself: stays */
    int32_t *window;              /* [n_group] window of a group */
    float *unit;                  /* [n_group, d] direction of its mean */
    double *sum;                  /* [d] scratch */
    float *score;                 /* [n_window] mean pairwise cosine; NaN where nothing can merge */
    pare__match_groups in_window; /* groups of every window */
} tiling;

static int begin(tiling *t, const pare__view *v, const float *x)
{
    const int64_t n = v->n;
    *t = (tiling){.v = v,
                  .x = x,
                  .n_group = n,
                  .group = PARE__ARENA(v->arena, int32_t, n),
                  .anchor = PARE__ARENA(v->arena, int32_t, n),
                  .into = PARE__ARENA(v->arena, int32_t, n),
                  .window = PARE__ARENA(v->arena, int32_t, n),
                  .unit = PARE__ARENA(v->arena, float, n * v->d),
                  .sum = PARE__ARENA(v->arena, double, v->d)};
    if (!t->group || !t->anchor || !t->into || !t->window || !t->unit || !t->sum) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) t->group[i] = t->anchor[i] = (int32_t)i;
    return 0;
}

/* Directions of all groups; those without length stay zero. */
static int point(tiling *t)
{
    const pare__view *v = t->v;
    const int64_t d = v->d;
    pare__match_groups g;
    if (pare__match_list(v, t->group, v->n, t->n_group, &g)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < t->n_group; i++) {
        memset(t->sum, 0, (size_t)d * sizeof *t->sum);
        for (int64_t j = g.start[i]; j < g.start[i + 1]; j++)
            for (int64_t c = 0; c < d; c++) t->sum[c] += (double)v->size[g.col[j]] * (double)t->x[g.col[j] * d + c];
        const double norm = pare__exact_square(t->sum, d);
        const double scale = norm > 0 ? 1 / sqrt(norm) : 0;
        for (int64_t c = 0; c < d; c++) t->unit[i * d + c] = (float)(scale * t->sum[c]);
    }
    return 0;
}

/* Sums the directions in a window; returns the sum of their squares: 1 for each that has a length. */
static double sum_window(const tiling *t, int64_t w)
{
    const int64_t d = t->v->d;
    double squares = 0;
    memset(t->sum, 0, (size_t)d * sizeof *t->sum);
    for (int64_t j = t->in_window.start[w]; j < t->in_window.start[w + 1]; j++) {
        const float *u = t->unit + t->in_window.col[j] * d;
        for (int64_t c = 0; c < d; c++) t->sum[c] += (double)u[c];
        squares += pare__exact_dot(u, u, d);
    }
    return squares;
}

/* Mean of cos over the m (m - 1) ordered pairs: (|sum u|^2 - sum |u|^2) / (m (m - 1)). */
static float rate_window(const tiling *t, int64_t w)
{
    const int64_t m = t->in_window.start[w + 1] - t->in_window.start[w];
    if (m < 2) return NAN;
    const double squares = sum_window(t, w), whole = pare__exact_square(t->sum, t->v->d);
    return (float)((whole - squares) / (double)(m * (m - 1)));
}

/* Windows of side x side cells over the groups, with their scores. Returns how many hold a group, or PARE_E_NOMEM. */
static int64_t cut(tiling *t, int64_t side)
{
    const pare__view *v = t->v;
    const int64_t cols = (v->grid_w + side - 1) / side, rows = (v->grid_h + side - 1) / side;
    int64_t used = 0;
    t->n_window = rows * cols;
    t->score = PARE__ARENA(v->arena, float, t->n_window);
    for (int64_t g = 0; g < t->n_group; g++) {
        const int32_t *place = v->thw + 3 * t->anchor[g];
        t->window[g] = (int32_t)(place[1] / side * cols + place[2] / side);
        t->into[g] = (int32_t)g;
    }
    if (!t->score || pare__match_list(v, t->window, t->n_group, t->n_window, &t->in_window) || point(t))
        return PARE_E_NOMEM;
    for (int64_t w = 0; w < t->n_window; w++) {
        t->score[w] = rate_window(t, w);
        used += t->in_window.start[w + 1] > t->in_window.start[w];
    }
    return used;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* All groups of the window merge into its last one. */
static void collapse(tiling *t, int64_t w)
{
    const int64_t start = t->in_window.start[w], end = t->in_window.start[w + 1];
    for (int64_t j = start; j < end; j++) t->into[t->in_window.col[j]] = t->in_window.col[end - 1];
}

/* Only the m groups that agree best with the window as a whole. */
static int collapse_part(tiling *t, int64_t w, int64_t m)
{
    const int64_t start = t->in_window.start[w], n = t->in_window.start[w + 1] - start, d = t->v->d;
    const int32_t *col = t->in_window.col + start;
    float *likeness = PARE__ARENA(t->v->arena, float, n);
    int32_t *part = PARE__ARENA(t->v->arena, int32_t, m);
    if (!likeness || !part) return PARE_E_NOMEM;
    sum_window(t, w);
    for (int64_t j = 0; j < n; j++) {
        double dot = 0;
        for (int64_t c = 0; c < d; c++) dot += t->sum[c] * (double)t->unit[col[j] * d + c];
        likeness[j] = (float)dot;
    }
    if (pare__topk(likeness, n, m, part, t->v->arena)) return PARE_E_NOMEM;
    for (int64_t j = 0; j < m; j++) t->into[col[part[j]]] = col[part[m - 1]];
    return 0;
}

/* The best windows, until `freed` groups are gone. */
static int collapse_best(tiling *t, int64_t freed)
{
    int32_t *order = PARE__ARENA(t->v->arena, int32_t, t->n_window);
    if (!order || pare__argsort_desc(t->score, t->n_window, order, t->v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < t->n_window && freed > 0; i++) {
        const int64_t m = t->in_window.start[order[i] + 1] - t->in_window.start[order[i]];
        if (m - 1 > freed) return collapse_part(t, order[i], freed + 1);
        if (m > 1) collapse(t, order[i]);
        freed -= m > 1 ? m - 1 : 0;
    }
    return 0;
}

static void collapse_alike(tiling *t, double threshold)
{
    for (int64_t w = 0; w < t->n_window; w++)
        if ((double)t->score[w] >= threshold) collapse(t, w);
}

/* Groups as they are after the round; heads keep their order. */
static void regroup(tiling *t)
{
    int32_t n = 0;
    for (int64_t g = 0; g < t->n_group; g++) {
        if (t->into[g] != g) continue;
        t->anchor[n] = t->anchor[g];
        t->window[g] = n++; /* its new number */
    }
    for (int64_t i = 0; i < t->v->n; i++) t->group[i] = t->window[t->into[t->group[i]]];
    t->n_group = n;
}

static int merge(const mustdrop *p, tiling *t)
{
    const pare__view *v = t->v;
    for (int64_t side = p->window, k = pare__budget(v), left = v->n; v->k < 0 || left > k; side *= 2) {
        const int64_t used = cut(t, side);
        if (used < 0) return (int)used;
        for (int64_t i = 0; side == p->window && i < v->n; i++) v->score_out[i] = -t->score[t->window[i]];
        const int is_last = v->k < 0 || used <= k;
        if (v->k < 0)
            collapse_alike(t, p->threshold > AUTO ? p->threshold : THRESHOLD);
        else if (collapse_best(t, left - (is_last ? k : used)))
            return PARE_E_NOMEM;
        regroup(t);
        left = t->n_group;
        if (is_last) break;
    }
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const mustdrop *p = priv;
    tiling t;
    const float *x = pare__require(v, "mustdrop", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, NULL, err);
    if (!x) return PARE_E_INVALID;
    int rc = begin(&t, v, x);
    if (!rc) rc = merge(p, &t);
    return rc ? rc : pare__map_groups(map, t.group, t.anchor, t.n_group, v->size);
}

const pare__selector pare__sel_mustdrop = {
    .name = "mustdrop",
    .summary = "windows of similar tokens collapse to their mean",
    .cite = "Liu et al., Multi-Stage Vision Token Dropping (MustDrop), arXiv 2411.10803; ModelTC/LightCompress "
            "llmc/compression/token_reduction/mustdrop.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(mustdrop),
    .needs = pare__need_tokens,
    .amount = amount,
    .select = select_rows,
};
