/* SPDX-License-Identifier: MIT */
/* Products in registers of 16-bit whole numbers, summed in 32 bits: c [m, n] = a [m, k] . b [k, n], with b packed into panels
 * of `cols` columns, pairs of rows side by side: [panel][ceil(k / 2)][cols][2], zero-padded. Where the CPU multiplies pairs
 * (AVX512-VNNI, vpdpwssd) that is twice as fast as floats, and 12 bits are more than a bf16 has: what attention takes
 * between linear layers in 8 bits. Sums must stay below 2^31: the caller's promise. Single-threaded, allocates nothing. */
#ifndef PARE_CORE_MUL16_H
#define PARE_CORE_MUL16_H

#include <stdint.h>

typedef struct pare__mul16 {
    const char *name;
    int32_t cols; /* of a panel; divides PARE__MUL_MAX_COLS */
    /* The largest |x| of a row; top[i] = max(top[i], |x[i]|). NaN counts as 0. */
    float (*peak)(const float *x, int64_t n);
    void (*peaks)(float *top, const float *x, int64_t n);
    /* q = x * factor to the nearest whole number, half to even, within +-32767; NaN is 0. q may be x: rows shrink in place. */
    void (*narrow)(int16_t *q, const float *x, int64_t n, float factor);
    /* b from its transpose, q [n, k], ldq numbers between rows; k is even. */
    void (*pack_t)(int16_t *to, const int16_t *q, int64_t ldq, int64_t k, int64_t n);
    /* Rows 2 pair and 2 pair + 1 of b [k, n]: x0 * factor and x1 * factor as by narrow; x1 NULL = 0. */
    void (*pack_pair)(int16_t *to, const float *x0, const float *x1, const float *factor, int64_t pair, int64_t k,
                      int64_t n);
    /* a [m, k], lda numbers between rows, both even; a row of an odd k ends in a 0. c [m, n] only is written. */
    void (*run)(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const int16_t *packed, int32_t *c,
                int64_t ldc);
    /* y = scale * factor * x; y may be x. */
    void (*widen)(float *y, const int32_t *x, const float *factor, float scale, int64_t n);
} pare__mul16;

/* Numbers of b [k, n] packed. */
static inline int64_t pare__mul16_size(const pare__mul16 *mul, int64_t k, int64_t n)
{
    return (n + mul->cols - 1) / mul->cols * mul->cols * (k + k % 2);
}

extern const pare__mul16 pare__mul16_c; /* the oracle */
extern const pare__mul16 pare__mul16_vnni;
/* What is faster here than floats; NULL where nothing is. */
const pare__mul16 *pare__mul16_best(void);

#endif
