/* SPDX-License-Identifier: MIT */
/* A survey from inside: what is kept of every frame, and the sums that scales are judged by. */
#ifndef PARE_SURVEY_H
#define PARE_SURVEY_H

#include <pare/frames.h>

#include "core/mem.h"
#include "core/vec.h"
#include "reduce/pulse.h"

enum { PARE__THUMB_W = 16, PARE__THUMB_H = 12, PARE__THUMB = PARE__THUMB_W * PARE__THUMB_H, PARE__SCALES = 9 };

struct pare_survey {
    pare_survey_opts opts;
    const pare__vec *vec;
    int64_t n, n_cuts;
    int64_t cap_pts, cap_change, cap_cut, cap_thumb; /* elements; of thumbs, frames */
    double *pts;
    float *change;
    uint8_t *is_cut;
    uint8_t *thumb;   /* [n, PARE__THUMB] grey */
    uint8_t *picture; /* [2] pictures for the pulse: this frame's and the one's before */
    pare__pulse_past past;
    int32_t width, height;
    int64_t n_judged, stride;   /* frames that scales were judged by; every stride-th is */
    double error[PARE__SCALES]; /* sums of the mean error at 2^(-i / 2) of the sides */
    pare__arena arena;
};

/* Mean |difference| of two thumbnails, 0..255. */
double pare__survey_apart(const pare_survey *s, const uint8_t *a, const uint8_t *b);
/* The mean picture of all frames. */
void pare__survey_mean(const pare_survey *s, uint8_t thumb[PARE__THUMB]);
static inline const uint8_t *pare__survey_thumb(const pare_survey *s, int64_t i) { return s->thumb + i * PARE__THUMB; }

#endif
