/* SPDX-License-Identifier: MIT */
/* The parts of bench_kernels. */
#ifndef PARE_TESTS_BENCH_KERNELS_H
#define PARE_TESTS_BENCH_KERNELS_H

#include "bench_util.h"

typedef struct kernels {
    int32_t json;
    bench_peak peak[BENCH_MAX_PEAKS];
    int32_t n_peak;
} kernels;

/* Each prints its lines. */
void kernels_mul(const kernels *k); /* products in registers, at the shapes of attention */
void kernels_vec(const kernels *k); /* row kernels */

#endif
