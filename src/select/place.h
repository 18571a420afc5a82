/* SPDX-License-Identifier: MIT */
/* Geometry of the grid: rows by place, evenly spread places, and grids of a given number of cells. */
#ifndef PARE_SELECT_PLACE_H
#define PARE_SELECT_PLACE_H

#include "select/view.h"

typedef struct pare__spread {
    int64_t rows, cols; /* of the grid of targets; 0 = from k and the aspect */
    int32_t jitter;     /* one random place in each cell instead of its centre */
} pare__spread;

/* [grid_h, grid_w] row of a view of one slot that stands there, or -1; NULL: no memory. */
int32_t *pare__rows_by_place(const pare__view *v);

/* Exactly k of the rows [first, first + n) of a view, which belong to one temporal step, spread evenly over the grid:
 * the row nearest to each target, ascending in out[k] (indices within the view). Targets: round(sqrt(k H / W)) grid
 * rows, k spread over them by largest remainder, cell centres. Errors: NOMEM, INVALID (more rows than places). */
int pare__spread_rows(const pare__view *v, int64_t first, int64_t n, int64_t k, const pare__spread *how, int32_t *out,
                      pare_error *err);

/* The largest h x w grid with h w <= k at the aspect of full (each side rounded from the other); at least 1 x 1. */
void pare__fit_grid(const int32_t full[2], int64_t k, int32_t out[2]);

#endif
