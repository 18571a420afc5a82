/* SPDX-License-Identifier: MIT */
/* A trade from inside: what a clip's first pass leaves, and the weighing of rates and grids by it. */
#ifndef PARE_TRADE_H
#define PARE_TRADE_H

#include <pare/plan.h>

#include "survey.h"

enum { PARE__RATES = 8, PARE__HOLDS = 10, PARE__SIZES = 7, PARE__TRADES = PARE__RATES * PARE__SIZES };

/* Pictures at the survey's size in which units show what they last kept, where they are kept when they differ by more than
 * a threshold. */
typedef struct pare__hold {
    uint64_t error;   /* sum of |differences| over units and frames */
    int64_t n_kept;   /* units, over steps */
    uint8_t *picture; /* [PARE__SURVEY_UNITS, PARE__SURVEY_TILE] */
} pare__hold;

/* A grid that the model takes. */
typedef struct pare__trade_size {
    int32_t width, height, grid_h, grid_w;
    int64_t units;
} pare__trade_size;

struct pare_trade {
    const pare_model *model;
    pare_reducer_opts opts; /* what it points to is read until the first frame */
    pare_custom custom;
    int32_t free_sides, n_rate, n_size, temporal;
    pare_survey *survey;
    pare__hold hold[PARE__RATES][PARE__HOLDS]; /* of every 2^i-th frame; thresholds from low to high */
    uint8_t *memory, *now;                     /* all pictures; this frame's, as of a hold */
    int64_t histogram[3][256];
    pare__trade_size size[PARE__SIZES];
    pare_trade_candidate candidate[PARE__TRADES];
    pare_trade_view view;
    int rc; /* first failure */
    int32_t is_finished;
};

/* All candidates and the choice, from what was watched. Errors: INVALID. */
int pare__trade_weigh(pare_trade *t, pare_error *err);

#endif
