/* SPDX-License-Identifier: MIT */
/* Even spreads: cell centres in exact integer arithmetic, made exact for every k. */
#include "select/place.h"

#include <math.h>
#include <string.h>

/* ---- targets -------------------------------------------------------------------------------------------------- */

/* Number of target rows for k targets on an h x w grid. */
static int64_t count_rows(int64_t h, int64_t w, int64_t k, const pare__spread *how)
{
    int64_t rows = how->rows > 0   ? how->rows
                   : how->cols > 0 ? (k + how->cols - 1) / how->cols
                                   : (int64_t)floor(sqrt((double)k * (double)h / (double)w) + 0.5);
    const int64_t least = (k + w - 1) / w, most = h < k ? h : k;
    if (rows < least) rows = least;
    return rows > most ? most : rows;
}

/* Position of target i of m on a side: its cell's centre, or a random place of the cell. */
static int64_t place_on(int64_t side, int64_t i, int64_t m, pare__rng *rng)
{
    if (!rng) return (2 * i + 1) * side / (2 * m);
    const int64_t lo = i * side / m, hi = (i + 1) * side / m;
    return lo + pare__rng_below(rng, hi - lo);
}

/* cell[k] = raster places of the k targets, ascending as long as nothing is random. */
static int fill_targets(const pare__view *v, int64_t k, const pare__spread *how, pare__rng *rng, int32_t *cell)
{
    const int64_t rows = count_rows(v->grid_h, v->grid_w, k, how);
    int64_t *per_row = PARE__ARENA(v->arena, int64_t, rows);
    if (!per_row || pare__largest_remainder(k, NULL, NULL, NULL, rows, per_row, v->arena)) return PARE_E_NOMEM;
    int64_t m = 0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < per_row[i]; j++) {
            const int64_t row = place_on(v->grid_h, i, rows, rng);
            cell[m++] = (int32_t)(row * v->grid_w + place_on(v->grid_w, j, per_row[i], rng));
        }
    }
    return 0;
}

/* ---- matching targets to rows --------------------------------------------------------------------------------- */

typedef struct matcher {
    const int32_t *thw; /* [n, 3] of the step */
    int64_t n, w;
    const int32_t *at; /* [h * w] row of the step at a place, -1 = none */
    uint8_t *taken;    /* [n] */
} matcher;

static int64_t squared(const int32_t *place, int32_t cell, int64_t w)
{
    const int64_t dr = place[1] - cell / w, dc = place[2] - cell % w;
    return dr * dr + dc * dc;
}

/* The free row nearest to a place; ties to the lower index. */
static int64_t nearest_row(const matcher *m, int32_t cell)
{
    const int32_t here = m->at[cell];
    if (here >= 0 && !m->taken[here]) return here;
    int64_t best = -1, best_d = INT64_MAX;
    for (int64_t i = 0; i < m->n; i++) {
        if (m->taken[i]) continue;
        const int64_t d = squared(m->thw + 3 * i, cell, m->w);
        if (d < best_d) {
            best_d = d;
            best = i;
        }
    }
    return best;
}

static int match(const pare__view *v, matcher *m, const int32_t *cell, int64_t k)
{
    uint8_t *used = PARE__ARENA(v->arena, uint8_t, k);
    if (!used) return PARE_E_NOMEM;
    memset(used, 0, (size_t)k);
    /* Targets with a row of their own first: a neighbour without one must not take it away. */
    for (int64_t j = 0; j < k; j++) {
        const int32_t here = m->at[cell[j]];
        if (used[j] || here < 0 || m->taken[here]) continue;
        used[j] = m->taken[here] = 1;
    }
    for (int64_t j = 0; j < k; j++)
        if (!used[j]) m->taken[nearest_row(m, cell[j])] = 1;
    return 0;
}

static int fill_matcher(const pare__view *v, int64_t first, int64_t n, matcher *m)
{
    const int64_t cells = (int64_t)v->grid_h * v->grid_w;
    int32_t *at = PARE__ARENA(v->arena, int32_t, cells);
    uint8_t *taken = PARE__ARENA(v->arena, uint8_t, n);
    if (!at || !taken) return PARE_E_NOMEM;
    *m = (matcher){.thw = v->thw + 3 * first, .n = n, .w = v->grid_w, .at = at, .taken = taken};
    for (int64_t c = 0; c < cells; c++) at[c] = -1;
    for (int64_t i = n; i-- > 0;) at[(int64_t)m->thw[3 * i + 1] * m->w + m->thw[3 * i + 2]] = (int32_t)i;
    memset(taken, 0, (size_t)n);
    return 0;
}

int pare__spread_rows(const pare__view *v, int64_t first, int64_t n, int64_t k, const pare__spread *how, int32_t *out,
                      pare_error *err)
{
    if (k > n) k = n;
    if (k <= 0) return 0;
    if (k > (int64_t)v->grid_h * v->grid_w)
        return pare_fail(err, PARE_E_INVALID, "%lld tokens on a grid of %d x %d", (long long)k, v->grid_h, v->grid_w);
    const pare__mark mark = pare__arena_mark(v->arena);
    pare__rng rng = pare__rng_make(v->seed, (uint64_t)((int64_t)v->t0 + v->thw[3 * first]), UINT64_MAX);
    int32_t *cell = PARE__ARENA(v->arena, int32_t, k);
    matcher m;
    int rc = cell ? fill_matcher(v, first, n, &m) : PARE_E_NOMEM;
    if (!rc) rc = fill_targets(v, k, how, how->jitter ? &rng : NULL, cell);
    if (!rc) rc = match(v, &m, cell, k);
    int64_t kept = 0;
    for (int64_t i = 0; !rc && i < n; i++)
        if (m.taken[i]) out[kept++] = (int32_t)(first + i);
    pare__arena_reset(v->arena, mark);
    return rc;
}

int32_t *pare__rows_by_place(const pare__view *v)
{
    const int64_t cells = (int64_t)v->grid_h * v->grid_w;
    int32_t *row = PARE__ARENA(v->arena, int32_t, cells);
    for (int64_t c = 0; row && c < cells; c++) row[c] = -1;
    for (int64_t i = 0; row && i < v->n; i++)
        row[(int64_t)v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2]] = (int32_t)i;
    return row;
}

/* ---- grids ---------------------------------------------------------------------------------------------------- */

typedef struct best_grid {
    int64_t h, w, area, error;
} best_grid;

static void try_grid(best_grid *best, const int32_t full[2], int64_t k, int64_t h, int64_t w)
{
    if (h < 1 || w < 1 || h > full[0] || w > full[1] || h * w > k) return;
    const int64_t cross = h * full[1] - w * full[0], error = cross < 0 ? -cross : cross;
    if (h * w < best->area || (h * w == best->area && error >= best->error)) return;
    *best = (best_grid){h, w, h * w, error};
}

/* The other side at the same aspect, rounded half up, at least 1. */
static int64_t other_side(int64_t side, int64_t full, int64_t full_other)
{
    const int64_t other = (2 * side * full_other + full) / (2 * full);
    return other > 1 ? other : 1;
}

void pare__fit_grid(const int32_t full[2], int64_t k, int32_t out[2])
{
    best_grid best = {1, 1, 0, 0};
    const int64_t fh = full[0], fw = full[1];
    for (int64_t h = 1; h <= fh; h++) try_grid(&best, full, k, h, other_side(h, fh, fw));
    for (int64_t w = 1; w <= fw; w++) try_grid(&best, full, k, other_side(w, fw, fh), w);
    out[0] = (int32_t)best.h;
    out[1] = (int32_t)best.w;
}
