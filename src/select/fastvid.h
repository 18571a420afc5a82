/* SPDX-License-Identifier: MIT */
/* FastVID's plan: segments of a clip, and how many tokens every frame keeps for their attention and for their context. */
#ifndef PARE_SELECT_FASTVID_H
#define PARE_SELECT_FASTVID_H

#include "select/view.h"

typedef struct pare__fastvid {
    int64_t segments, step;
    double tau, context, beta, retention; /* retention < 0: by the view's budget */
} pare__fastvid;

typedef struct pare__fastvid_plan {
    int32_t n_segment;
    int32_t *end;       /* [n_segment] the frame after each */
    int64_t *n_salient; /* [n_frame] */
    int64_t *n_context; /* [n_frame] 0 but in anchor frames */
    uint8_t *salient;   /* [n] kept for its attention */
} pare__fastvid_plan;

/* Everything lives in the view's arena. attention [n]. Errors: INVALID (no tokens), NOMEM. */
int pare__fastvid_make(const pare__fastvid *p, const pare__view *v, const float *attention, pare__fastvid_plan *plan,
                       pare_error *err);

#endif
