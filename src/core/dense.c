/* SPDX-License-Identifier: MIT */
/* Dense linear algebra in plain C: the oracle of every backend. Singular values by one-sided Jacobi (Hestenes 1958): the
 * vectors of the shorter side are turned pair by pair until all are orthogonal; their lengths are the values. Slow, and
 * right to about 1e-15 of the largest value, duplicates and all. */
#include "core/dense.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { MAX_SWEEPS = 60 };

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void nt(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
               int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) c[i * ldc + j] = dot(a + i * lda, b + j * ldb, k);
}

/* Largest magnitude, so that no square can overflow or vanish. */
static double largest(const double *a, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(a[i]));
    return most;
}

/* Makes p and q [n] orthogonal; whether they were not. What is shorter than sqrt(noise) is rounding of the others: its
 * direction means nothing and would be turned for ever. */
static int turn(double *p, double *q, int64_t n, double noise)
{
    const double pp = dot(p, p, n), qq = dot(q, q, n), pq = dot(p, q, n);
    if (pp <= noise || qq <= noise) return 0;
    if (fabs(pq) <= 8 * DBL_EPSILON * sqrt((double)n) * sqrt(pp) * sqrt(qq)) return 0;
    const double zeta = (qq - pp) / (2 * pq);
    const double t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
    const double cosine = 1 / hypot(1, t), sine = t * cosine;
    for (int64_t i = 0; i < n; i++) {
        const double x = p[i], y = q[i];
        p[i] = cosine * x - sine * y;
        q[i] = sine * x + cosine * y;
    }
    return 1;
}

/* Rows of a[m, n] orthogonal; 0 or EXTERNAL. */
static int orthogonalise(double *a, int64_t m, int64_t n, pare_error *err)
{
    const double noise = DBL_EPSILON * DBL_EPSILON * dot(a, a, m * n);
    for (int32_t sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        int turned = 0;
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = i + 1; j < m; j++) turned |= turn(a + i * n, a + j * n, n, noise);
        if (!turned) return 0;
    }
    return pare_fail(err, PARE_E_EXTERNAL, "singular values of a %lld x %lld matrix: no convergence in %d sweeps",
                     (long long)m, (long long)n, MAX_SWEEPS);
}

/* Copy of a[m, n] with the shorter side as rows, every element divided by `scale`. */
static double *lay_flat(const double *a, int64_t m, int64_t n, double scale)
{
    double *flat = pare__malloc(m * n, (int64_t)sizeof *flat);
    if (!flat) return NULL;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) flat[m <= n ? i * n + j : j * m + i] = a[i * n + j] / scale;
    return flat;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static int singular_values(int64_t m, int64_t n, double *a, double *sigma, pare_error *err)
{
    const int64_t few = m < n ? m : n, many = m < n ? n : m;
    const double scale = largest(a, m * n);
    if (few == 0) return 0;
    memset(sigma, 0, (size_t)few * sizeof *sigma);
    if (scale == 0) return 0;
    double *flat = lay_flat(a, m, n, scale);
    if (!flat) {
        return pare_fail(err, PARE_E_NOMEM, "out of memory for singular values of a %lld x %lld matrix", (long long)m,
                         (long long)n);
    }
    const int rc = orthogonalise(flat, few, many, err);
    for (int64_t i = 0; i < few; i++) sigma[i] = scale * sqrt(dot(flat + i * many, flat + i * many, many));
    qsort(sigma, (size_t)few, sizeof *sigma, descending);
    pare__free(flat);
    return rc;
}

const pare__dense pare__dense_c = {"c", nt, singular_values};
