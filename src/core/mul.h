/* SPDX-License-Identifier: MIT */
/* Products in registers: c [m, n] = a [m, k] . b [k, n] with b packed beforehand into panels of `cols` columns, [panel][k]
 * [cols], zero-padded to whole panels. One block of c, [rows, cols], stays in registers over the whole of k; a is read
 * where it lies. For what no BLAS is made for: the many small products of attention, and weights that stay.
 * Single-threaded, allocates nothing. Each element is summed over k in order, whatever m and n are, so that a row's
 * result does not depend on its neighbours.
 *
 * Packed b is read fastest from an address that is a multiple of 64. Rows of a that lie a multiple of 4 KB apart push each
 * other out of the first-level cache: copy them side by side, or pad lda to an odd number of cache lines. */
#ifndef PARE_CORE_MUL_H
#define PARE_CORE_MUL_H

#include <stdint.h>

/* Every table's rows and cols divide these. */
enum { PARE__MUL_MAX_ROWS = 12, PARE__MUL_MAX_COLS = 32 };

typedef struct pare__mul {
    const char *name;   /* as the pare__vec it belongs to */
    int32_t rows, cols; /* block in registers */
    /* b [k, n], ldb floats between rows -> to [pare__mul_size(k, n)] */
    void (*pack)(float *to, const float *b, int64_t ldb, int64_t k, int64_t n);
    /* The same from its transpose b [n, k]. */
    void (*pack_t)(float *to, const float *b, int64_t ldb, int64_t k, int64_t n);
    /* Row p of b alone, x [n]: what pack does for each. */
    void (*pack_row)(float *to, const float *x, int64_t p, int64_t k, int64_t n);
    /* c = a . packed; c [m, n] only is written. a and c do not overlap. */
    void (*run)(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, float *c,
                int64_t ldc);
    /* c = plus + a . packed, summed in that order; plus [m, n] has c's distance between rows, may be c, NULL = 0. */
    void (*add)(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, const float *plus,
                float *c, int64_t ldc);
} pare__mul;

/* Double accumulation: the oracle. The other tables hang on theirs of vec.h. */
extern const pare__mul pare__mul_c;

/* Floats of b [k, n] packed. */
static inline int64_t pare__mul_size(const pare__mul *mul, int64_t k, int64_t n)
{
    return (n + mul->cols - 1) / mul->cols * mul->cols * k;
}

#endif
