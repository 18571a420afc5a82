/* SPDX-License-Identifier: MIT */
/* Dense linear algebra in double precision, for measures: a small table that the backend fills (plain C here).
 * Single-threaded. Row-major, ld = elements between rows. */
#ifndef PARE_CORE_DENSE_H
#define PARE_CORE_DENSE_H

#include <pare/pare.h>
#include <stdint.h>

typedef struct pare__dense {
    const char *name;
    /* c[m,n] = a[m,k] . b[n,k]^T */
    void (*nt)(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
               int64_t ldc);
    /* sigma[min(m,n)] singular values of a[m,n], descending; a is destroyed. 0, NOMEM or EXTERNAL (no convergence). */
    int (*singular_values)(int64_t m, int64_t n, double *a, double *sigma, pare_error *err);
} pare__dense;

/* The oracle: plain loops, one-sided Jacobi. */
extern const pare__dense pare__dense_c;

#endif
