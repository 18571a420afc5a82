/* SPDX-License-Identifier: MIT */
/* A recipe checked against a model and a budget: which step takes the budget, which blocks each step acts at, which
 * arrays the encoder must keep, and in which phase of a block a step runs. */
#ifndef PARE_REDUCE_PLAN_H
#define PARE_REDUCE_PLAN_H

#include <pare/pare.h>

#include "encode/encoder.h"
#include "reduce/rate.h"
#include "reduce/recipe.h"

enum { PARE__MAX_STEP_NEEDS = 3 * PARE__MAX_NEEDS }; /* of selector, score and allocator */

typedef struct pare__step_plan {
    pare__need need[PARE__MAX_STEP_NEEDS]; /* as asked: the names under which the view offers the arrays */
    int32_t layer[PARE__MAX_STEP_NEEDS];   /* resolved to 0..n_layer-1; HERE stays HERE */
    int32_t n_need, n_need_own;            /* n_need_own: without the allocator's, which come last */
    pare__phase phase;                     /* block site */
    int32_t wants_pixels, wants_motion;
} pare__step_plan;

typedef struct pare__plan {
    pare__recipe *recipe; /* borrowed */
    pare__step_plan step[PARE__MAX_STEPS];
    int32_t final_step;       /* takes the budget; -1 = none */
    int32_t n_layer, n_run;   /* blocks of the encoder; those that are run */
    pare__encode_plan encode; /* want and site; callbacks left to the reducer */
} pare__plan;

/* model NULL: features without an encoder (layers are not resolved, every site is allowed). A budget that keeps
 * everything needs no step to take it. Errors: INVALID, UNSUPPORTED. */
int pare__plan_make(pare__plan *plan, pare__recipe *recipe, const pare_model *model, const pare__rate *rate,
                    pare_error *err);

/* Tells the step that takes the budget to keep what differs by more than 1 - q. Errors: INVALID. */
int pare__plan_quality(const pare__plan *plan, double q, pare_error *err);

/* Features of an encoder of n_layer blocks, of which n_run were run, planned without a model: layers that steps ask for
 * become 0..n_run-1. Errors: INVALID. */
int pare__plan_layers(pare__plan *plan, int32_t n_layer, int32_t n_run, pare_error *err);

/* The block that `asked` means: negatives count from the end of all n_layer blocks, as publications do; those that are not
 * run stand for the last one that is, and so does HERE. Where the user named no block, a default made for a deeper model
 * ends at this one's first or last. Not checked. */
int32_t pare__step_layer(const pare__step *s, int32_t asked, int32_t n_layer, int32_t n_run);

/* What the selector and the score of a step ask for, need[PARE__MAX_STEP_NEEDS]; returns the count. */
int pare__step_needs(const pare__step *step, pare__need *need);

/* What one application of a step leaves of a frame with n candidates, out of its own amount: rows, VARIABLE, or NONE. */
int64_t pare__step_amount(const pare__step *step, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block);

/* Rows after application i of m when a frame goes from n to k over m blocks: keep^(1/m) at each, exact at the last; for
 * selectors with a limit per application (`least`) a constant number is taken away instead. Errors: INVALID when m
 * applications cannot reach k. */
int pare__step_schedule(const pare__step *step, int64_t n, int64_t k, int32_t i, int32_t m, int64_t *out,
                        pare_error *err);

#endif
