/* SPDX-License-Identifier: MIT */
/* Matrix products for everybody: a small table that the backend fills (plain C here). Single-threaded; called from
 * inside pool tasks. Row-major, ld = elements between rows. */
#ifndef PARE_CORE_GEMM_H
#define PARE_CORE_GEMM_H

#include <stdint.h>

typedef struct pare__gemm {
    const char *name;
    /* c[m,n] = alpha * a[m,k] . b[n,k]^T + beta * c */
    void (*nt)(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
               float beta, float *c, int64_t ldc);
    /* c[m,n] = alpha * a[m,k] . b[k,n] + beta * c */
    void (*nn)(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
               float beta, float *c, int64_t ldc);
} pare__gemm;

/* Double accumulation: the oracle. */
extern const pare__gemm pare__gemm_c;

#endif
