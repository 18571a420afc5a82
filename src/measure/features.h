/* SPDX-License-Identifier: MIT */
/* Cosines and nearest rows of feature matrices, in double. The cosine of two zero vectors is 1, of one zero vector and
 * another 0: a token that is lost without a trace must not look like one that is kept. */
#ifndef PARE_MEASURE_FEATURES_H
#define PARE_MEASURE_FEATURES_H

#include <stdint.h>

#include "core/dense.h"

/* In [-1, 1]. */
double pare__cosine(const double *a, const double *b, int64_t n);
double pare__cosine_f32(const float *a, const float *b, int64_t n);

/* For every row of x[n, d] its largest cosine with a row of y[k, d], and that row; cosines that differ by less than
 * 1e-12 are ties and go to the lower row. k > 0. Similarities exist one tile at a time. 0 or NOMEM. */
int pare__nearest_among(const pare__dense *dense, const double *x, int64_t n, int64_t d, const double *y, int64_t k,
                        double *cosine, int32_t *nearest);

#endif
