/* SPDX-License-Identifier: MIT */
/* PixelPrune: predictive coding of units, after LOCO-I. With A the unit to the left, B above, C above A: predict B where
 * C is like A and not like B, else A; without A or B the other; a unit without either (the first) is kept. A unit within
 * tau of its prediction is dropped and stands for ever with the kept unit that the prediction goes back to: a member of
 * its row. Anchored (the default): A, B, C are what was reconstructed, i.e. kept units or copies of them, so no unit is
 * farther than tau from its row; anchor=0: the pixels themselves. Pictures of one temporal step count as one unit.
 *
 * Distances are sums of integers compared with an integral limit, so a tau that is a multiple of 1/255 means what it says.
 * With a budget tau is searched for the most units within it, and the units farthest from their row fill the rest. */
#include <math.h>
#include <string.h>

#include "select/pick.h"
#include "select/pixels.h"
#include "select/selector.h"

enum { EXACT, MAX, MAE, RMSE };
enum { SEARCH_STEPS = 12 };

#define NO_ROW (-1)

typedef struct pixelprune {
    double tau;
    int32_t metric, anchor;
} pixelprune;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(pixelprune, tau, "largest distance (0..1) at which a unit is dropped; 0 loses nothing", -1,
                            0, 1, "auto (0)"),
    PARE__OPTION_CHOICE(pixelprune, metric,
                        "distance: largest, mean or root mean square difference of values; exact = max with tau 0",
                        "exact|max|mae|rmse", MAX),
    PARE__OPTION_BOOL(pixelprune, anchor,
                      "predict from reconstructed units; 0: from the pixels, which drifts along slow changes", 1),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const pixelprune *)priv)->tau >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* ---- distances ----------------------------------------------------------------------------------------------------- */

typedef struct coder {
    const pare__view *v;
    int32_t metric, anchored;
    int64_t n_value; /* of a unit */
    double limit;    /* largest raw distance that is dropped */
    int32_t *row_at; /* [grid_h * grid_w] row of a cell, or NO_ROW */
    int32_t *anchor; /* [n] row that a row is a copy of: itself if kept */
    double *far;     /* [n] raw distance to what it was predicted as; infinite without a prediction */
    uint8_t *kept;   /* [n] */
} coder;

static int64_t cell_of(const coder *c, int64_t row)
{
    return (int64_t)c->v->thw[3 * row + 1] * c->v->grid_w + c->v->thw[3 * row + 2];
}

static uint32_t largest_difference(pare__patch a, pare__patch b, int64_t side)
{
    uint8_t most = 0;
    for (int64_t y = 0; y < side; y++) {
        const uint8_t *p = a.rgb + y * a.stride, *q = b.rgb + y * b.stride;
        for (int64_t i = 0; i < 3 * side; i++) {
            const uint8_t more = p[i] > q[i] ? (uint8_t)(p[i] - q[i]) : (uint8_t)(q[i] - p[i]);
            most = more > most ? more : most;
        }
    }
    return most;
}

static uint64_t squared_differences(pare__patch a, pare__patch b, int64_t side)
{
    uint64_t sum = 0;
    for (int64_t y = 0; y < side; y++) {
        const uint8_t *p = a.rgb + y * a.stride, *q = b.rgb + y * b.stride;
        uint32_t of_line = 0; /* 255^2 * 3 * side fits for any side of a patch */
        for (int64_t i = 0; i < 3 * side; i++) of_line += (uint32_t)((p[i] - q[i]) * (p[i] - q[i]));
        sum += of_line;
    }
    return sum;
}

/* Raw distance of two rows: largest difference, sum of differences, or sum of squares. */
static double distance(const coder *c, int64_t a, int64_t b)
{
    const pare__pixels *px = c->v->pixels;
    uint64_t total = 0;
    for (int32_t f = 0; f < px->temporal; f++) {
        const uint8_t *picture = px->frame[c->v->thw[3 * a] * px->temporal + f];
        const pare__patch p = pare__patch_at(c->v, picture, cell_of(c, a));
        const pare__patch q = pare__patch_at(c->v, picture, cell_of(c, b));
        if (c->metric == MAE) total += pare__patch_sad(c->v, p, q);
        if (c->metric == RMSE) total += squared_differences(p, q, px->patch);
        if (c->metric > MAX) continue;
        const uint32_t most = largest_difference(p, q, px->patch);
        total = most > total ? most : total;
    }
    return (double)total;
}

/* tau in raw units; the last factor undoes the rounding of a decimal tau. */
static double limit_of(const coder *c, double tau)
{
    const double level = 255 * tau, slack = 1 + 1e-12;
    if (c->metric == MAE) return floor(level * (double)c->n_value * slack);
    if (c->metric == RMSE) return floor(level * level * (double)c->n_value * slack);
    return c->metric == MAX ? floor(level * slack) : 0;
}

/* The same from raw units to 0..1. */
static double level_of(const coder *c, double raw)
{
    if (isinf(raw)) return 1;
    if (c->metric == MAE) return raw / (double)c->n_value / 255;
    return c->metric == RMSE ? sqrt(raw / (double)c->n_value) / 255 : raw / 255;
}

/* ---- coding -------------------------------------------------------------------------------------------------------- */

/* Row at (y, x), or NO_ROW outside and in holes. */
static int32_t row_at(const coder *c, int32_t y, int32_t x)
{
    return y < 0 || x < 0 ? NO_ROW : c->row_at[(int64_t)y * c->v->grid_w + x];
}

static int64_t seen_as(const coder *c, int32_t row) { return c->anchored ? c->anchor[row] : row; }

static int alike(const coder *c, int32_t a, int32_t b)
{
    const int64_t p = seen_as(c, a), q = seen_as(c, b);
    return p == q || distance(c, p, q) <= c->limit;
}

static int32_t predict(const coder *c, int64_t row)
{
    const int32_t y = c->v->thw[3 * row + 1], x = c->v->thw[3 * row + 2];
    const int32_t left = row_at(c, y, x - 1), above = row_at(c, y - 1, x), corner = row_at(c, y - 1, x - 1);
    if (left == NO_ROW || above == NO_ROW) return left == NO_ROW ? above : left;
    return corner != NO_ROW && alike(c, corner, left) && !alike(c, corner, above) ? above : left;
}

/* Codes all rows at the limit; returns how many are kept. */
static int64_t code(coder *c)
{
    int64_t count = 0;
    for (int64_t i = 0; i < c->v->n; i++) {
        const int32_t from = predict(c, i);
        c->far[i] = from == NO_ROW ? INFINITY : distance(c, i, seen_as(c, from));
        c->kept[i] = !(c->far[i] <= c->limit);
        c->anchor[i] = c->kept[i] ? (int32_t)i : c->anchor[from];
        count += c->kept[i];
    }
    return count;
}

static int coder_init(coder *c, const pixelprune *p, const pare__view *v)
{
    const int64_t cells = (int64_t)v->grid_h * v->grid_w, side = v->pixels->patch;
    *c = (coder){.v = v,
                 .metric = p->metric,
                 .anchored = p->anchor,
                 .n_value = 3 * side * side * v->pixels->temporal,
                 .row_at = PARE__ARENA(v->arena, int32_t, cells),
                 .anchor = PARE__ARENA(v->arena, int32_t, v->n),
                 .far = PARE__ARENA(v->arena, double, v->n),
                 .kept = PARE__ARENA(v->arena, uint8_t, v->n)};
    if (!c->row_at || !c->anchor || !c->far || !c->kept) return PARE_E_NOMEM;
    for (int64_t i = 0; i < cells; i++) c->row_at[i] = NO_ROW;
    for (int64_t i = 0; i < v->n; i++) c->row_at[cell_of(c, i)] = (int32_t)i;
    return 0;
}

/* ---- count and map ------------------------------------------------------------------------------------------------- */

/* Codes at about the smallest tau that keeps at most k rows. */
static void search(coder *c, int64_t k)
{
    double lo = 0, hi = 1;
    c->limit = limit_of(c, lo);
    if (code(c) <= k) return;
    for (int i = 0; i < SEARCH_STEPS && limit_of(c, hi) - limit_of(c, lo) > 1; i++) {
        const double tau = (lo + hi) / 2;
        c->limit = limit_of(c, tau);
        if (code(c) <= k)
            hi = tau;
        else
            lo = tau;
    }
    c->limit = limit_of(c, hi);
    code(c);
}

/* Exactly k rows: those kept before those dropped, each by distance from what they were predicted as. A dropped row whose
 * anchor goes stands for nothing. */
static int settle(coder *c, int64_t k)
{
    const int64_t n = c->v->n;
    float *rank = PARE__ARENA(c->v->arena, float, n);
    int32_t *row = PARE__ARENA(c->v->arena, int32_t, k);
    if (!rank || !row) return PARE_E_NOMEM;
    search(c, k);
    for (int64_t i = 0; i < n; i++) rank[i] = (float)level_of(c, c->far[i]);
    if (pare__pick(c->kept, rank, n, k, row, c->v->arena)) return PARE_E_NOMEM;
    memset(c->kept, 0, (size_t)n);
    for (int64_t m = 0; m < k; m++) c->kept[row[m]] = 1;
    for (int64_t m = 0; m < k; m++) c->anchor[row[m]] = row[m];
    return 0;
}

/* Rows with their members: first the members of every kept row as a list, last first. */
static int emit(const coder *c, pare__map *map)
{
    const int64_t n = c->v->n;
    int32_t *first = PARE__ARENA(c->v->arena, int32_t, n), *next = PARE__ARENA(c->v->arena, int32_t, n);
    if (!first || !next) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) first[i] = NO_ROW;
    for (int64_t i = n - 1; i >= 0; i--) {
        if (c->kept[i] || !c->kept[c->anchor[i]]) continue;
        next[i] = first[c->anchor[i]];
        first[c->anchor[i]] = (int32_t)i;
    }
    int rc = 0;
    for (int64_t i = 0; !rc && i < n; i++) {
        if (!c->kept[i]) continue;
        rc = pare__map_keep(map, i);
        for (int32_t j = first[i]; !rc && j != NO_ROW; j = next[j]) rc = pare__map_member(map, j);
    }
    for (int64_t i = 0; i < n; i++) c->v->score_out[i] = (float)level_of(c, c->far[i]);
    return rc;
}

static int set_quality(void *priv, double q, int32_t site, pare_error *err)
{
    pixelprune *p = priv;
    (void)site;
    if (!p->anchor || p->metric == EXACT)
        return pare_fail(err, PARE_E_INVALID, "pixelprune: a quality is kept with anchor=1 and not with metric=exact");
    p->tau = 1 - q;
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pixelprune *p = priv;
    coder c;
    if (!v->pixels) return pare_fail(err, PARE_E_INVALID, "selector 'pixelprune' needs pixels");
    if (coder_init(&c, p, v)) return PARE_E_NOMEM;
    if (v->k >= 0 && c.metric == EXACT) c.metric = MAX;
    c.limit = limit_of(&c, p->tau > 0 ? p->tau : 0);
    if (v->k < 0) code(&c);
    if (v->k >= 0 && settle(&c, pare__budget(v))) return PARE_E_NOMEM;
    return emit(&c, map);
}

const pare__selector pare__sel_pixelprune = {
    .name = "pixelprune",
    .summary = "units that their left and upper neighbours do not predict",
    .cite = "PixelPrune, arXiv 2604.00886; OPPO-Mente-Lab/PixelPrune pixelprune/methods/pred_2d.py",
    .sites = PARE__SITE_PATCHES,
    .flags = PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_PATCHES,
    .options = options,
    .priv_size = sizeof(pixelprune),
    .needs = pare__need_pixels,
    .amount = amount,
    .quality = set_quality,
    .select = select_rows,
};
