/* SPDX-License-Identifier: MIT */
/* Products in registers of 16-bit whole numbers, summed in 32 bits: c [m, n] = a [m, k] . b [k, n], with b packed into panels
 * of `cols` columns, pairs of rows side by side: [panel][ceil(k / 2)][cols][2], zero-padded. Where the CPU multiplies pairs
 * (AVX512-VNNI, vpdpwssd) that is twice as fast as floats: what attention weighs its values by between linear layers in 8
 * bits. Sums must stay below 2^31: the caller's promise. Single-threaded, allocates nothing. */
#ifndef PARE_CORE_MUL16_H
#define PARE_CORE_MUL16_H

#include <stdint.h>

typedef struct pare__mul16 {
    const char *name;
    int32_t cols; /* of a panel; divides PARE__MUL_MAX_COLS */
    /* Rows 2 pair and 2 pair + 1 of b [k, n]: x0 * factor and x1 * factor to the nearest whole number, half to even, within
     * +-32767; NaN is 0. x1 NULL = 0. */
    void (*pack_pair)(int16_t *to, const float *x0, const float *x1, const float *factor, int64_t pair, int64_t k,
                      int64_t n);
    /* a [m, k], lda numbers between rows, both even; a row of an odd k ends in a 0. c [m, n] only is written. */
    void (*run)(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const int16_t *packed, int32_t *c,
                int64_t ldc);
} pare__mul16;

/* Numbers of b [k, n] packed. */
static inline int64_t pare__mul16_size(const pare__mul16 *mul, int64_t k, int64_t n)
{
    return (n + mul->cols - 1) / mul->cols * mul->cols * (k + k % 2);
}

extern const pare__mul16 pare__mul16_c; /* the oracle */
extern const pare__mul16 pare__mul16_vnni;
/* NULL where the CPU has nothing faster than floats. */
const pare__mul16 *pare__mul16_best(void);

#endif
