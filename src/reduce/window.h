/* SPDX-License-Identifier: MIT */
/* The candidates of one window on their way through a recipe, and the one place where a step is run on them: view,
 * score, allocator, selector, checks, and R applied to everything that has one row per token. */
#ifndef PARE_REDUCE_WINDOW_H
#define PARE_REDUCE_WINDOW_H

#include <pare/pare.h>

#include "core/clock.h"
#include "core/map.h"
#include "core/mem.h"
#include "core/slot.h"
#include "model/model.h"
#include "reduce/plan.h"

enum { PARE__MAX_ARRAYS = 64 };

#define PARE__LAYER_ANY INT32_MAX /* an array of the caller's that names no layer */

/* Maps that steps work with, borrowed and returned like plates of a stack: their memory stays. */
enum { PARE__MOST_MAPS = 4 }; /* window, medium, slot, what a mask leaves free */
typedef struct pare__maps {
    pare__map map[PARE__MOST_MAPS];
    int32_t n;
} pare__maps;

/* What every view of a clip shares. */
typedef struct pare__context {
    pare__arena *arena;
    pare__maps *maps;
    const pare__gemm *gemm;
    const pare__vec *vec;
    uint64_t seed;
    int32_t n_head, n_layer, n_prefix;
    int32_t no_cls;         /* as pare__view.no_cls */
    int32_t n_run;          /* blocks that are run: n_layer, or fewer where what lies behind a tap is left out */
    const pare_slot *slot;  /* [slots of the window] */
    int32_t grid_h, grid_w; /* units of a slot; the largest where they differ */
    int32_t t0;             /* clip index of the window's first slot */
    int64_t origin0;        /* number in the clip of the window's first candidate */
    int32_t per_picture;    /* slots of a picture: 1, or the whole and its tiles */
    int32_t clip_pool;      /* units a side that become one row before the steps at the output; 0 or 1 = none */
    const int64_t *planned; /* rows of every picture of the window, as a plan has them; or NULL */
    int64_t budget_left;    /* rows that are left of the clip's budget, this window included, */
    int64_t units_left;     /* for so many candidates; 0 = not known */
    int64_t floor;          /* rows that every picture or step keeps at least (or all it has) */
    int64_t most;           /* and at most, for each picture or step has its own budget; 0 = as it comes */
    int64_t cap;            /* and at most, what is above goes to the others of the window; 0 = all it has */
    const int64_t *low;     /* [slots of the window] rows that every slot keeps at least beside the floor, or NULL */
    float *score;           /* [candidates of the window] last score, by original candidate; or NULL */
    const float *given;     /* [candidates] the caller's score, or NULL */
    const float *motion;    /* [candidates] as pare__view.motion, or NULL */
    const uint8_t *mask;    /* [candidates] PARE_MASK_*, or NULL = all free */
    const float *text;      /* [n_text, d_text] or NULL */
    int32_t n_text, d_text;
    const pare_custom *custom;
    double select_ms;
} pare__context;

/* An empty map for n_in columns; return it before what was borrowed earlier. */
static inline pare__map *pare__map_borrow(const pare__context *ctx, int64_t n_in)
{
    pare__map *map = &ctx->maps->map[ctx->maps->n++];
    pare__map_begin(map, n_in);
    return map;
}
static inline void pare__map_return(const pare__context *ctx) { ctx->maps->n--; }
static inline void pare__maps_fini(pare__maps *maps)
{
    for (int32_t i = 0; i < PARE__MOST_MAPS; i++) pare__map_fini(&maps->map[i]);
}

/* Row-aligned arrays. Growable, reused from window to window; zero is empty. */
typedef struct pare__rows {
    int64_t n;
    int32_t d; /* width of x */
    int32_t n_frame;
    int64_t *frame_start;                     /* [n_frame + 1] */
    int32_t *thw;                             /* [n, 3] t relative to the window */
    float *size;                              /* [n] merged within the segment */
    float *x;                                 /* [n, d], or unused before embedding */
    const float *x_prefix;                    /* [n_frame, n_prefix, d] prefix rows of x; borrowed, or NULL */
    pare__view_array array[PARE__MAX_ARRAYS]; /* data and prefix owned here; layers resolved or PARE__LAYER_ANY */
    int64_t cap_array[PARE__MAX_ARRAYS], cap_prefix[PARE__MAX_ARRAYS];
    uint8_t has_prefix[PARE__MAX_ARRAYS];
    int32_t n_array;
    float *deep[PARE__MAX_DEEPSTACK]; /* [n_deep] each [n, d]: rows of earlier blocks that follow x */
    int32_t n_deep;
    pare__map total; /* [n, candidates of the window] provenance */
    int64_t cap_frame, cap_thw, cap_size, cap_x, cap_deep[PARE__MAX_DEEPSTACK];
} pare__rows;

void pare__rows_fini(pare__rows *rows);
/* No rows yet, room for `room` of them in n_slot slots; no provenance, no x, no arrays. */
int pare__rows_clear(pare__rows *rows, int32_t n_slot, int64_t room);
/* All units of the slots' grids; identity provenance; no x, no arrays. */
int pare__rows_reset(pare__rows *rows, const pare_slot *slot, int32_t n_slot);
/* Room for n rows of width d in x. */
int pare__rows_reserve_x(pare__rows *rows, int64_t n, int32_t d);
/* Room for n_deep times n rows of width d. */
int pare__rows_reserve_deep(pare__rows *rows, int32_t n_deep, int64_t n);
/* Adds an empty array (data has room for n rows); NULL on NOMEM. */
float *pare__rows_add_array(pare__rows *rows, pare__need need, int32_t width, int64_t n);
/* Room for the prefix rows of array i [n_frame, n_prefix, width]; NULL on NOMEM. */
float *pare__rows_add_prefix(pare__rows *rows, int32_t i, int32_t n_prefix);
/* Reduces every array by a map over the current rows and composes the provenance. frame_start follows thw. */
int pare__rows_reduce(pare__rows *rows, const pare__map *map, pare__arena *arena);
/* Removes the rows that the mask ignores: before the first step, so that nothing ever sees them. */
int pare__rows_ignore(const pare__context *ctx, pare__rows *rows);
/* Rows that the mask keeps whatever a step decides, among n that stand at window candidates origin[n]. */
int64_t pare__count_must(const pare__context *ctx, const int32_t *origin, int64_t n);

/* views.c: all rows, as step i of the plan sees them; its needs from `first_need` on are offered. k is left to the caller.
 * Errors: INVALID (an array that the step needs is not there), NOMEM. */
int pare__window_view(const pare__context *ctx, const pare__plan *plan, int32_t i, int32_t first_need,
                      const pare__rows *rows, const pare__pixels *pixels, pare__view *v, pare_error *err);
/* views.c: slots [f, f + count) of a window view: pointers moved, slots counted from the first of them. 0 or NOMEM. */
int pare__part_view(const pare__view *window, int32_t f, int32_t count, pare__view *v);
/* What a view takes from the context: memory, tools, slots, the caller's scores, text and selector. v->n and v->origin
 * are set already. */
int pare__view_fill(const pare__context *ctx, const pare__step *step, pare__view *v);

/* Runs one step on one prepared view (n > 0): fills score and carry, sets aside what the mask keeps (aside.c), calls the
 * selector, finishes and checks the map. */
int pare__step_select(pare__context *ctx, pare__step *step, pare__view *view, pare__map *map, pare_error *err);

/* "the mask keeps more than the budget has". */
int pare__mask_too_large(int64_t must, int64_t k, int32_t t0, int32_t n_slot, pare_error *err);

/* The step's own amount k_frame[n_slot] of slots of n[n_slot] rows, not below what the mask keeps (must[n_slot]), and their
 * sum; -1 in *k when the selector decides. */
void pare__step_own_counts(const pare__context *ctx, const pare__step *step, const int64_t *n, const int64_t *must,
                           int32_t n_slot, int64_t *k_frame, int64_t *k);

/* share.c: cuts k rows over slots that have n[n_slot] rows each, of which the mask keeps must[n_slot]: over the pictures
 * with floor and limit, then over the slots of each by the allocator's weight (NULL = equal). *total = sum of
 * out[n_slot]. Errors: NOMEM, INVALID (the mask keeps more). */
int pare__slots_split(const pare__context *ctx, int64_t k, const double *weight, const int64_t *n, const int64_t *must,
                      int32_t n_slot, int64_t *out, int64_t *total, pare_error *err);

/* aside.c: a view without the rows that the mask keeps. `row` [view->n] names the rows of the whole view. Errors: NOMEM,
 * INVALID (more rows must stay than the budget has). */
int pare__aside_view(const pare__context *ctx, const pare__view *whole, pare__view *view, int32_t **row,
                     pare_error *err);
/* aside.c: the map over the whole view: what was selected from the others, and every row set aside as it is. */
int pare__aside_map(const pare__context *ctx, const pare__view *whole, const pare__view *view, const int32_t *row,
                    const pare_map *selected, pare__map *out);

/* Runs step i of the plan on all rows, frame by frame or over the window as the selector asks, and reduces them.
 * k: rows left in the window, -1 = the step's own amount. pixels: of the window, or NULL. */
int pare__rows_step(pare__context *ctx, const pare__plan *plan, int32_t i, pare__rows *rows, int64_t k,
                    const pare__pixels *pixels, pare_error *err);

/* Weights of step i's allocator over the frames, [n_frame] in the arena; NULL in *weight for equal ones. */
int pare__rows_weigh(pare__context *ctx, const pare__plan *plan, int32_t i, const pare__rows *rows,
                     const pare__pixels *pixels, double **weight, pare_error *err);

#endif
