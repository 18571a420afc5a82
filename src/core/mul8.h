/* SPDX-License-Identifier: MIT */
/* Products in registers of 8-bit whole numbers, summed in 32 bits: c [m, n] = start [n] + a [m, k] . b [k, n], a unsigned,
 * b signed and packed into panels of `cols` columns, four rows side by side: [panel][ceil(k / 4)][cols][4], zero-padded.
 * vpdpbusd does that at four times the rate of floats, without saturating. Single-threaded, allocates nothing. */
#ifndef PARE_CORE_MUL8_H
#define PARE_CORE_MUL8_H

#include <stdint.h>

typedef struct pare__mul8 {
    const char *name;
    int32_t cols; /* of a panel */
    /* b from its transpose, q [n, k] dense -> to [pare__mul8_size] */
    void (*pack_t)(int8_t *to, const int8_t *q, int64_t k, int64_t n);
    /* a [m, k], lda bytes between rows: up to 3 bytes behind the last row are read, and count for nothing. start NULL = 0.
     * c [m, n] only is written. |c - start| < 2^31 holds for k <= 66000. */
    void (*run)(int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda, const int8_t *packed,
                const int32_t *start, int32_t *c, int64_t ldc);
} pare__mul8;

/* Bytes of b [k, n] packed. */
static inline int64_t pare__mul8_size(const pare__mul8 *mul, int64_t k, int64_t n)
{
    return (n + mul->cols - 1) / mul->cols * mul->cols * ((k + 3) / 4 * 4);
}

extern const pare__mul8 pare__mul8_c; /* the oracle */
extern const pare__mul8 pare__mul8_vnni;
/* NULL where the CPU has nothing faster than the oracle. */
const pare__mul8 *pare__mul8_best(void);

#endif
