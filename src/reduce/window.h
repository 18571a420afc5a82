/* SPDX-License-Identifier: MIT */
/* The candidates of one window on their way through a recipe, and the one place where a step is run on them: view,
 * score, allocator, selector, checks, and R applied to everything that has one row per token. */
#ifndef PARE_REDUCE_WINDOW_H
#define PARE_REDUCE_WINDOW_H

#include <pare/pare.h>

#include "core/clock.h"
#include "core/map.h"
#include "core/mem.h"
#include "reduce/plan.h"

enum { PARE__MAX_ARRAYS = 64 };

#define PARE__LAYER_ANY INT32_MAX /* an array of the caller's that names no layer */

/* What every view of a clip shares. */
typedef struct pare__context {
    pare__arena *arena;
    const pare__gemm *gemm;
    const pare__vec *vec;
    uint64_t seed;
    int32_t n_head, n_layer, n_prefix;
    int32_t grid_h, grid_w; /* units */
    int32_t t0;             /* clip index of the window's first step */
    int32_t is_first;
    int64_t floor; /* rows that every temporal step keeps */
    float *score;  /* [candidates of the window] last score, by original candidate; or NULL */
    double select_ms;
} pare__context;

/* Row-aligned arrays. Growable, reused from window to window; zero is empty. */
typedef struct pare__rows {
    int64_t n;
    int32_t d; /* width of x */
    int32_t n_frame;
    int64_t *frame_start;                     /* [n_frame + 1] */
    int32_t *thw;                             /* [n, 3] t relative to the window */
    float *size;                              /* [n] merged within the segment */
    float *x;                                 /* [n, d], or unused before embedding */
    pare__view_array array[PARE__MAX_ARRAYS]; /* data owned here; layers resolved or PARE__LAYER_ANY */
    int64_t cap_array[PARE__MAX_ARRAYS];
    int32_t n_array;
    pare__map total; /* [n, candidates of the window] provenance */
    int64_t cap_frame, cap_thw, cap_size, cap_x;
} pare__rows;

void pare__rows_fini(pare__rows *rows);
/* All units of n_frame grids; identity provenance; no x, no arrays. */
int pare__rows_reset(pare__rows *rows, int32_t n_frame, int32_t grid_h, int32_t grid_w);
/* Room for n rows of width d in x. */
int pare__rows_reserve_x(pare__rows *rows, int64_t n, int32_t d);
/* Adds an empty array (data has room for n rows); NULL on NOMEM. */
float *pare__rows_add_array(pare__rows *rows, pare__need need, int32_t width, int64_t n);
/* Reduces every array by a map over the current rows and composes the provenance. frame_start follows thw. */
int pare__rows_reduce(pare__rows *rows, const pare__map *map, pare__arena *arena);

/* Runs one step on one prepared view (n > 0): fills score and carry, calls the selector, finishes and checks the map.
 * origin [n]: candidate of the window that each row stands at, for recording scores (may be NULL). */
int pare__step_select(pare__context *ctx, pare__step *step, pare__view *view, const int32_t *origin, pare__map *map,
                      pare_error *err);

/* Runs step i of the plan on all rows, frame by frame or over the window as the selector asks, and reduces them.
 * k: rows left in the window, -1 = the step's own amount. pixels: of the window, or NULL. */
int pare__rows_step(pare__context *ctx, const pare__plan *plan, int32_t i, pare__rows *rows, int64_t k,
                    const pare__pixels *pixels, pare_error *err);

/* Weights of step i's allocator over the frames, [n_frame] in the arena; NULL in *weight for equal ones. */
int pare__rows_weigh(pare__context *ctx, const pare__plan *plan, int32_t i, const pare__rows *rows,
                     const pare__pixels *pixels, double **weight, pare_error *err);

#endif
