/* SPDX-License-Identifier: MIT */
/* A linear readout: ridge regression on standardised features, solved in its dual form because there are more features
 * than samples. With X [n, d] standardised and Y [n, m] centred:
 *     A = (X X^T / d + lambda I)^-1 Y,   W = A^T X / d,   y(x) = W standardise(x) + mean of Y.
 * A feature that never changes is left out. One thread, the same numbers at any number of them. */
#ifndef PARE_TOOLS_BENCH_READOUT_H
#define PARE_TOOLS_BENCH_READOUT_H

#include <stdint.h>

typedef struct bench_readout {
    int64_t d;
    int32_t m;
    float *mean, *scale; /* [d] scale = 1 / deviation, 0 where it is 0 */
    float *weight;       /* [m, d] */
    float *base;         /* [m] */
} bench_readout;

/* x [n, d] is standardised in place; y [n, m]; n > 0, lambda > 0. Values that are not finite count as
 * 0. 0 or -1 (memory). bench_readout_free accepts a zeroed one. */
int bench_readout_fit(bench_readout *r, float *x, const float *y, int64_t n, int64_t d, int32_t m, double lambda);
/* x [d] is standardised in place; y [m]. */
void bench_readout_apply(const bench_readout *r, float *x, float *y);
void bench_readout_free(bench_readout *r);

#endif
