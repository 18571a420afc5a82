/* SPDX-License-Identifier: MIT */
/* Statistics of paired comparisons. Seeded; the same numbers at any thread count and on any machine. */
#ifndef PARE_TOOLS_BENCH_STATS_H
#define PARE_TOOLS_BENCH_STATS_H

#include <stdint.h>

typedef struct bench_interval {
    double value, lo, hi; /* mean and its percentile bootstrap interval; NaN without data */
} bench_interval;

enum { BENCH_BOOTSTRAP = 2000 };

/* Mean of x[n] with a 95 % interval; NaN items are left out. Pairs: pass differences. *p (may be NULL): two-sided p of
 * mean = 0, counted over the resamples, 2 / (BENCH_BOOTSTRAP + 1) or more; where not one lies across zero, Student's tail
 * if that is smaller (Holm over a hundred lines needs it). Never below 2^(1 - n). 0 or -1 (memory). */
int bench_bootstrap(const double *x, int64_t n, uint64_t seed, bench_interval *out, double *p);
/* Exact two-sided McNemar test: b and c = discordant pairs. 1 when there are none. */
double bench_mcnemar(int64_t b, int64_t c);
/* Holm's step-down adjustment of p[n] (NaN stays) in place. 0 or -1. */
int bench_holm(double *p, int64_t n);
/* Nearest-rank quantile of x[n] without NaN; NaN without data. 0 or -1. */
int bench_quantile(const double *x, int64_t n, double q, double *out);

/* A baseline's curve over milliseconds or units: points ascending in x; the place of `at` on it: between points *i and
 * *i + 1 with weight *w of the second, straight over the logarithm of x: what more tokens bring gets ever less, so that
 * straight over x a curve would be underrated between its points, and whatever lies there flattered. 0, or -1 when `at` lies left of the first point; right of the last one the last
 * (no reduction) stands, *i = n - 1, *w = 0. */
int bench_place(const double *x, int64_t n, double at, int64_t *i, double *w);

#endif
