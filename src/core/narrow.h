/* SPDX-License-Identifier: MIT */
/* Rows of attention in whole numbers: what stands between floats, products of queries and keys in 8 bits (core/mul8.h), and
 * products of probabilities and values in 16 (core/mul16.h). Single-threaded, allocates nothing. NaN counts for nothing:
 * it is 0 among whole numbers and no bound. */
#ifndef PARE_CORE_NARROW_H
#define PARE_CORE_NARROW_H

#include <stdint.h>

#include "core/mul16.h"
#include "core/mul8.h"

enum { PARE__NARROW_GRAIN = 16 };

typedef struct pare__narrow {
    const char *name;
    const pare__mul8 *mul8;
    const pare__mul16 *mul16;
    /* The largest |x| of a row [n]. */
    float (*peak)(const float *x, int64_t n);
    /* low = min(low, x), high = max(high, x), channel by channel [n]. */
    void (*extend)(float *low, float *high, const float *x, int64_t n);
    /* (x - centre) * factor to the nearest whole number, half to even, within +-127, plus add (0: signed bytes; 128:
     * unsigned ones); centre NULL = 0. Returns the sum of the numbers before add. */
    int32_t (*bytes)(uint8_t *q, const float *x, const float *centre, int64_t n, float factor, int32_t add);
    /* Rows of sums become rows of p = most * e^(share * scale * sum + bias - the largest of them), in place: [rows, n], ld
     * sums, hence 2 ld numbers between rows. p is the nearest whole number, +-1 and 1e-4 of it where |share * scale * sum|
     * < 100, and 0 behind n up to whole PARE__NARROW_GRAIN; bias may be NULL, share, scale >= 0, most <= 32767. share [rows]
     * becomes what p is to be multiplied by, 1 / its sum before it was rounded; a row of only -inf is all 0 and has 0. */
    void (*exponents)(int32_t *sums, int64_t ld, int64_t rows, int64_t n, float scale, const float *bias, float most,
                      float *share);
    void (*add)(float *y, const int16_t *p, int64_t n, float scale);                        /* y += scale * p */
    void (*widen)(float *y, const int32_t *x, const float *factor, float scale, int64_t n); /* y = scale * factor * x */
} pare__narrow;

extern const pare__narrow pare__narrow_c; /* the oracle */
extern const pare__narrow pare__narrow_vnni;
/* What is faster here than floats; NULL where nothing is. */
const pare__narrow *pare__narrow_best(void);

#endif
