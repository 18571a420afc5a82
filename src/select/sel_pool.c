/* SPDX-License-Identifier: MIT */
/* Pools the grid of a frame to a smaller one. Every output cell is a row of weights over the tokens that it covers:
 *
 *   adaptive  cell i covers rows floor(i H / h) .. ceil((i + 1) H / h) - 1 (cells may overlap)
 *   avg       side x side tokens (cell=); the last row and column of cells is partial when the side does not divide
 *   bilinear  two by two tokens around ((i + .5) H / h - .5), borders clamped, no antialias (LLaVA-OneVision, 27 -> 14)
 *
 * Means are weighted by size. Tokens that are gone already count for nothing; a cell without tokens has no row. The
 * anchor is the token nearest to the cell's centre. With a budget: the largest grid that fits at the frame's aspect (avg:
 * the smallest side that fits), so the count may stay below it. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/place.h"
#include "select/selector.h"

typedef enum { MODE_AVG, MODE_ADAPTIVE, MODE_BILINEAR } pool_mode;

typedef struct pool {
    int64_t cell, h, w;
    int32_t mode;
} pool;

static const pare__option options[] = {
    PARE__OPTION_CHOICE(pool, mode, "mean of whole cells, of overlapping cells, or bilinear interpolation",
                        "avg|adaptive|bilinear", MODE_ADAPTIVE),
    PARE__OPTION_INT_AUTO(pool, cell, "avg: tokens per side of a cell (k x k pooling)", 0, 1, PARE__MAX_UNITS_PER_FRAME,
                          "auto"),
    PARE__OPTION_INT_AUTO(pool, h, "rows of the pooled grid", 0, 1, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_INT_AUTO(pool, w, "columns of the pooled grid", 0, 1, PARE__MAX_UNITS_PER_FRAME, "auto"),
    {0},
};

static int init(void *priv, pare_error *err)
{
    const pool *p = priv;
    if (p->cell && p->mode != MODE_AVG) return pare_fail(err, PARE_E_INVALID, "selector 'pool': cell= needs mode=avg");
    if (!p->h != !p->w) return pare_fail(err, PARE_E_INVALID, "selector 'pool': give both h= and w=, or none");
    if (p->h && p->mode == MODE_AVG)
        return pare_fail(err, PARE_E_INVALID, "selector 'pool': mode=avg takes cell=, not h= and w=");
    return 0;
}

/* ---- the pooled grid ------------------------------------------------------------------------------------------- */

static int64_t cells_of(int64_t side, int64_t cell) { return (side + cell - 1) / cell; }

/* The smallest side of a cell with at most k cells. */
static int64_t side_for(const int32_t full[2], int64_t k)
{
    int64_t side = 1;
    while (cells_of(full[0], side) * cells_of(full[1], side) > k) side++;
    return side;
}

/* `side` of an avg cell and the pooled grid; k < 0 when the options must say. */
static void plan(const pool *p, const int32_t full[2], int64_t k, int64_t *side, int32_t out[2])
{
    *side = p->cell;
    if (p->mode == MODE_AVG) {
        if (!*side) *side = side_for(full, k > 0 ? k : (int64_t)full[0] * full[1]);
        for (int i = 0; i < 2; i++) out[i] = (int32_t)cells_of(full[i], *side);
        return;
    }
    const int64_t given[2] = {p->h, p->w};
    if (!p->h) pare__fit_grid(full, k > 0 ? k : (int64_t)full[0] * full[1], out);
    for (int i = 0; p->h && i < 2; i++) out[i] = given[i] < full[i] ? (int32_t)given[i] : full[i];
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)i_block, (void)n_block;
    const pool *p = priv;
    if (!p->cell && !p->h) return PARE__AMOUNT_NONE;
    const int32_t full[2] = {grid_h, grid_w};
    int32_t out[2];
    int64_t side;
    plan(p, full, -1, &side, out);
    const int64_t k = (int64_t)out[0] * out[1];
    return k < n ? k : n;
}

/* ---- cells ----------------------------------------------------------------------------------------------------- */

/* Tokens of one cell along one side: first .. first + n - 1; bilinear weights of first and of the last. */
typedef struct span {
    int32_t first, n;
    double share[2];
    double centre;
} span;

static span bilinear_span(int32_t i, int32_t from, int32_t to)
{
    const double at = fmax((i + 0.5) * from / to - 0.5, 0);
    const int32_t first = (int32_t)at;
    const double share = at - first;
    if (first + 1 >= from || share == 0) return (span){.first = first, .n = 1, .share = {1, 0}, .centre = at};
    return (span){.first = first, .n = 2, .share = {1 - share, share}, .centre = at};
}

static span cell_span(int32_t mode, int64_t side, int32_t i, int32_t from, int32_t to)
{
    if (mode == MODE_BILINEAR) return bilinear_span(i, from, to);
    int64_t lo = i * side, hi = (i + 1) * side;
    if (mode == MODE_ADAPTIVE) {
        lo = (int64_t)i * from / to;
        hi = ((int64_t)(i + 1) * from + to - 1) / to;
    }
    if (hi > from) hi = from;
    return (span){.first = (int32_t)lo, .n = (int32_t)(hi - lo), .share = {1, 1}, .centre = (double)(lo + hi - 1) / 2};
}

static double share_of(const span *s, int32_t i, int32_t mode) { return mode == MODE_BILINEAR ? s->share[i] : 1; }

/* The tokens that a cell covers. */
typedef struct cover {
    double sum;
    int32_t anchor;
    double distance;
} cover;

/* First pass (map NULL): sums the weights and finds the anchor. Second pass: adds the weights to the row. */
static int visit(const pare__view *v, const int32_t *at, const span *y, const span *x, int32_t mode, cover *c,
                 pare__map *map)
{
    for (int32_t i = 0; i < y->n; i++) {
        for (int32_t j = 0; j < x->n; j++) {
            const int32_t row = at[(int64_t)(y->first + i) * v->grid_w + x->first + j];
            if (row < 0) continue;
            const double weight = share_of(y, i, mode) * share_of(x, j, mode) * (double)v->size[row];
            const double dy = y->first + i - y->centre, dx = x->first + j - x->centre;
            if (map) {
                const int rc = pare__map_add(map, row, weight / c->sum);
                if (rc) return rc;
                continue;
            }
            c->sum += weight;
            if (c->anchor < 0 || dy * dy + dx * dx < c->distance) {
                c->anchor = row;
                c->distance = dy * dy + dx * dx;
            }
        }
    }
    return 0;
}

/* A token is the anchor of one cell only: where tokens are missing, cells that share their nearest one come out once. */
static int emit_cell(const pare__view *v, const int32_t *at, const span *y, const span *x, int32_t mode,
                     uint8_t *is_anchor, pare__map *map)
{
    cover c = {.anchor = -1};
    visit(v, at, y, x, mode, &c, NULL);
    if (c.anchor < 0 || is_anchor[c.anchor]) return 0;
    is_anchor[c.anchor] = 1;
    const int rc = pare__map_row(map, c.anchor);
    return rc ? rc : visit(v, at, y, x, mode, &c, map);
}

/* ---- selector -------------------------------------------------------------------------------------------------- */

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)err;
    const pool *p = priv;
    const int32_t full[2] = {v->grid_h, v->grid_w};
    int32_t grid[2];
    int64_t side;
    plan(p, full, v->k, &side, grid);
    const int32_t *at = pare__rows_by_place(v);
    uint8_t *is_anchor = PARE__ARENA(v->arena, uint8_t, v->n);
    int rc = at && is_anchor ? 0 : PARE_E_NOMEM;
    if (!rc) memset(is_anchor, 0, (size_t)v->n);
    for (int32_t i = 0; !rc && i < grid[0]; i++) {
        const span y = cell_span(p->mode, side, i, full[0], grid[0]);
        for (int32_t j = 0; !rc && j < grid[1]; j++) {
            const span x = cell_span(p->mode, side, j, full[1], grid[1]);
            rc = emit_cell(v, at, &y, &x, p->mode, is_anchor, map);
        }
    }
    return rc;
}

const pare__selector pare__sel_pool = {
    .name = "pool",
    .summary = "means over cells of the grid",
    .cite = "PyTorch avg_pool2d, adaptive_avg_pool2d, interpolate; Li et al., LLaVA-OneVision, arXiv 2408.03326",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__AT_MOST,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(pool),
    .init = init,
    .amount = amount,
    .select = select_rows,
};
