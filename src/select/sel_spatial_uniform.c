/* SPDX-License-Identifier: MIT */
/* Evenly spread tokens, exactly K at any K: round(sqrt(K H / W)) grid rows, K spread over them by largest remainder, cell
 * centres. rows= and cols= give the classical grid floor((i+.5)H/rows), floor((j+.5)W/cols). Where a place
 * is gone already, the nearest remaining candidate stands in. */
#include "core/limits.h"
#include "select/pick.h"
#include "select/place.h"
#include "select/selector.h"

typedef struct uniform {
    int64_t rows, cols;
    int32_t jitter;
} uniform;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(uniform, rows, "grid rows", 0, 1, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_INT_AUTO(uniform, cols, "tokens per grid row; with rows= the step keeps rows x cols", 0, 1,
                          PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_BOOL(uniform, jitter, "one random token of each cell instead of its centre", 0),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)i_block, (void)n_block;
    const uniform *u = priv;
    if (!u->rows || !u->cols) return PARE__AMOUNT_NONE;
    const int64_t rows = u->rows < grid_h ? u->rows : grid_h, cols = u->cols < grid_w ? u->cols : grid_w;
    return rows * cols < n ? rows * cols : n;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const uniform *u = priv;
    const int64_t k = pare__budget(v);
    const pare__spread how = {.rows = u->rows, .cols = u->cols, .jitter = u->jitter};
    int32_t *row = PARE__ARENA(v->arena, int32_t, k);
    const int rc = row ? pare__spread_rows(v, 0, v->n, k, &how, row, err) : PARE_E_NOMEM;
    return rc ? rc : pare__map_keep_many(map, row, k);
}

const pare__selector pare__sel_spatial_uniform = {
    .name = "spatial-uniform",
    .summary = "evenly spread tokens, exact at any count",
    .cite = "baseline; grid of cell centres, made exact by largest remainder",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_PATCHES,
    .options = options,
    .priv_size = sizeof(uniform),
    .amount = amount,
    .select = select_rows,
};
