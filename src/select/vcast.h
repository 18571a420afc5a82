/* SPDX-License-Identifier: MIT */
/* What V-CAST's score, allocator and selector share: the direction of every frame, how sharply the clip turns there, and
 * how budgets are cut. */
#ifndef PARE_SELECT_VCAST_H
#define PARE_SELECT_VCAST_H

#include "select/view.h"

#define PARE__VCAST_TEMPERATURE 0.7

/* curvature [n_frame] (may be NULL) and weight [n_frame] = its softmax; a frame without tokens weighs 0. Errors: INVALID
 * (no tokens), NOMEM. */
int pare__vcast_weigh(const pare__view *v, double temperature, const char *owner, double *curvature, double *weight,
                      pare_error *err);
/* out [n] = 1 - cosine to the direction of its frame + length, scaled to 0..1 within the frame. */
int pare__vcast_score(const pare__view *v, const char *owner, float *out, pare_error *err);
/* Cuts `total` over the frames: `least` each, the rest by weight, at most what a frame has; what rounding leaves goes one
 * row a frame per round by descending fraction (greedy: all to one frame until it is full, then to the next). Sums to
 * min(total, n). Where `total` is below `least` each, `least` is lowered. */
int pare__vcast_split(const pare__view *v, const double *weight, int64_t total, int64_t least, int greedy,
                      int64_t *count);

#endif
