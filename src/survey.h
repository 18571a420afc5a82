/* SPDX-License-Identifier: MIT */
/* A survey from inside: what is kept of every frame, and the sums that scales are judged by. */
#ifndef PARE_SURVEY_H
#define PARE_SURVEY_H

#include <pare/frames.h>

#include "core/mem.h"
#include "core/vec.h"
#include "reduce/pulse.h"

enum { PARE__THUMB_W = 16, PARE__THUMB_H = 12, PARE__THUMB = PARE__THUMB_W * PARE__THUMB_H, PARE__SCALES = 9 };

/* The picture that the pulse is taken of. */
enum {
    PARE__SURVEY_UNIT = 8,
    PARE__SURVEY_GRID_W = 24,
    PARE__SURVEY_GRID_H = 18,
    PARE__SURVEY_UNITS = PARE__SURVEY_GRID_W * PARE__SURVEY_GRID_H,
    PARE__SURVEY_TILE = PARE__SURVEY_UNIT * PARE__SURVEY_UNIT * 3,
    PARE__SURVEY_PICTURE = PARE__SURVEY_UNITS * PARE__SURVEY_TILE
};

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

/* The last frame, [GRID_H * UNIT, GRID_W * UNIT, 3]. */
static inline const uint8_t *pare__survey_picture(const pare_survey *s)
{
    return s->picture + ((s->n - 1) & 1) * PARE__SURVEY_PICTURE;
}
/* Mean error of brightness, 0..255, of frames sent at `scale` (0..1] of their sides, from PARE__SURVEY_SIDE pixels a side down; a
 * survey with_sizes that has judged a frame. */
double pare__survey_blur(const pare_survey *s, double scale);
/* The larger side, at most, that scales are of. */
enum { PARE__SURVEY_SIDE = 1024 };

/* Mean |difference| of two thumbnails, 0..255. */
double pare__survey_apart(const pare_survey *s, const uint8_t *a, const uint8_t *b);
/* The mean picture of all frames. */
void pare__survey_mean(const pare_survey *s, uint8_t thumb[PARE__THUMB]);
static inline const uint8_t *pare__survey_thumb(const pare_survey *s, int64_t i) { return s->thumb + i * PARE__THUMB; }

#endif
