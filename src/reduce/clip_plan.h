/* SPDX-License-Identifier: MIT */
/* Plans of a clip: the inside of pare/plan.h. A plan drives a reducer of its own: dry (one pass), or one that only watches
 * (two passes), so that grids, steps and times are those of the run to come. */
#ifndef PARE_REDUCE_CLIP_PLAN_H
#define PARE_REDUCE_CLIP_PLAN_H

#include <pare/plan.h>

#include "core/mem.h"
#include "core/vec.h"

enum { PARE__LADDER = 16 }; /* thresholds that are followed */

/* Counts of changed units for every threshold of a ladder, each with references of its own: the picture that a unit was
 * last kept in. */
typedef struct pare__ladder {
    const pare__vec *vec;
    int32_t grid_h, grid_w, patch;
    uint8_t *past;    /* [PARE__LADDER, units, tile] */
    int32_t *past_at; /* [PARE__LADDER, units] step of it */
    int64_t tile;     /* bytes of a unit: every second row of its pixels */
    int64_t n_step;   /* taken so far */
} pare__ladder;

float pare__ladder_threshold(int32_t level);
/* The next step: its first and last picture [grid_h * patch, grid_w * patch, 3]. count[PARE__LADDER] units that differ by
 * more than each threshold; all of them in the first step. Errors: NOMEM. */
int pare__ladder_step(pare__ladder *l, const uint8_t *first, const uint8_t *last, int32_t *count);
void pare__ladder_fini(pare__ladder *l);

/* Cuts `total` over n steps at one threshold for all: share[n] counts that cross it, between floors and caps, then exact.
 * count [n, PARE__LADDER]; threshold (out) 0..255. Errors: NOMEM, INVALID (floors or caps do not allow the total). */
int pare__ladder_split(const int32_t *count, int64_t n, int64_t total, const int64_t *low, const int64_t *cap,
                       int64_t *out, double *threshold, pare_error *err);

struct pare_plan {
    int32_t kind;
    pare_reducer_opts opts; /* amounts, floors and caps as given */
    struct pare_reducer *reducer;
    pare__ladder ladder;
    pare_step *step;
    int32_t *count;  /* [n_step, PARE__LADDER] TWO_PASS */
    int64_t *tokens; /* [n_step] TWO_PASS, finished */
    int64_t n_step, cap_step, cap_count, cap_tokens;
    int64_t total; /* rows; -1 = unknown */
    double threshold;
    int32_t grid_h, grid_w, is_finished;
    int64_t photo_positions; /* of photos: one after the other */
    int rc;                  /* first failure */
};

/* api: arguments are checked. Errors: see pare/plan.h. */
int pare__clip_plan_create(pare_plan **out, const pare_model *model, const pare_reducer_opts *opts, int32_t kind,
                           pare_error *err);
void pare__clip_plan_free(pare_plan **p);
int pare__clip_plan_push(pare_plan *p, const pare_frame *frame, pare_error *err);
int pare__clip_plan_finish(pare_plan *p, pare_error *err);
void pare__clip_plan_get(const pare_plan *p, pare_plan_info *out);

#endif
