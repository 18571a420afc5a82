/* SPDX-License-Identifier: MIT */
/* Sums in double, for the few values that decide which tokens live. Eight strands each, so that compilers can use
 * vectors: one strand would wait for every addition before the next. */
#ifndef PARE_SELECT_EXACT_H
#define PARE_SELECT_EXACT_H

#include <math.h>
#include <stdint.h>

static inline double pare__exact_total(const double sum[8])
{
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* Dot product of two rows [d]. */
static inline double pare__exact_dot(const float *a, const float *b, int64_t d)
{
    double sum[8] = {0};
    int64_t c = 0;
    for (; c + 8 <= d; c += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)a[c + j] * (double)b[c + j];
    for (; c < d; c++) sum[0] += (double)a[c] * (double)b[c];
    return pare__exact_total(sum);
}

/* Squared length of a row of doubles [d]. */
static inline double pare__exact_square(const double *a, int64_t d)
{
    double sum[8] = {0};
    int64_t c = 0;
    for (; c + 8 <= d; c += 8)
        for (int j = 0; j < 8; j++) sum[j] += a[c + j] * a[c + j];
    for (; c < d; c++) sum[0] += a[c] * a[c];
    return pare__exact_total(sum);
}

/* L1 length of a row [d]. */
static inline double pare__exact_l1(const float *a, int64_t d)
{
    double sum[8] = {0};
    int64_t c = 0;
    for (; c + 8 <= d; c += 8)
        for (int j = 0; j < 8; j++) sum[j] += fabs((double)a[c + j]);
    for (; c < d; c++) sum[0] += fabs((double)a[c]);
    return pare__exact_total(sum);
}

/* Of a dot product and two squared lengths: exactly 1 for equal rows, 0 where one is zero. */
static inline double pare__exact_cosine(double dot, double aa, double bb)
{
    if (!(aa > 0) || !(bb > 0)) return 0;
    return dot == aa && dot == bb ? 1 : dot / sqrt(aa * bb);
}

#endif
