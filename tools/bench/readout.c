/* SPDX-License-Identifier: MIT */
/* Ridge regression in its dual form (readout.h); Cholesky in double. */
#include "readout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 };

/* Sums in lanes of their own, so that the compiler may use vectors without changing the order of any sum. */
static float dot(const float *a, const float *b, int64_t n)
{
    float lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += a[i + j] * b[i + j];
    for (int j = 0; j < LANES; j++) sum += lane[j];
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double dot_f64(const double *a, const double *b, int64_t n)
{
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += a[i + j] * b[i + j];
    for (int j = 0; j < LANES; j++) sum += lane[j];
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* ---- features ------------------------------------------------------------------------------------------------- */

static float finite_or_0(float x) { return isfinite(x) ? x : 0; }

static void standardise(const bench_readout *r, float *x)
{
    for (int64_t j = 0; j < r->d; j++) x[j] = (finite_or_0(x[j]) - r->mean[j]) * r->scale[j];
}

/* Means and deviations of the columns of x [n, d]; sums in double, row by row. */
static int learn_scale(bench_readout *r, const float *x, int64_t n)
{
    double *sum = calloc((size_t)r->d * 2, sizeof *sum), *square = sum + r->d;
    if (sum == NULL) return -1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r->d; j++) sum[j] += (double)finite_or_0(x[i * r->d + j]);
    for (int64_t j = 0; j < r->d; j++) sum[j] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r->d; j++) {
            const double off = (double)finite_or_0(x[i * r->d + j]) - sum[j];
            square[j] += off * off;
        }
    for (int64_t j = 0; j < r->d; j++) {
        const double deviation = sqrt(square[j] / (double)n);
        r->mean[j] = (float)sum[j];
        r->scale[j] = deviation > 1e-6 ? (float)(1 / deviation) : 0;
    }
    free(sum);
    return 0;
}

/* ---- the system ------------------------------------------------------------------------------------------------ */

/* gram [n, n], lower half: X X^T / d + lambda I. */
static void fill_gram(const float *x, int64_t n, int64_t d, double lambda, double *gram)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) gram[i * n + j] = (double)dot(x + i * d, x + j * d, d) / (double)d;
        gram[i * n + i] += lambda;
    }
}

/* gram becomes L with gram = L L^T. lambda keeps every pivot positive; rounding cannot take it below a part of it. */
static void factorise(double *gram, int64_t n, double lambda)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            const double rest = gram[i * n + j] - dot_f64(gram + i * n, gram + j * n, j);
            gram[i * n + j] = i > j ? rest / gram[j * n + j] : sqrt(fmax(rest, lambda / 2));
        }
}

/* Solves L L^T a = y in place. */
static void solve(const double *factor, int64_t n, double *a)
{
    for (int64_t i = 0; i < n; i++) a[i] = (a[i] - dot_f64(factor + i * n, a, i)) / factor[i * n + i];
    for (int64_t i = n - 1; i >= 0; i--) {
        a[i] /= factor[i * n + i];
        for (int64_t j = 0; j < i; j++) a[j] -= factor[i * n + j] * a[i];
    }
}

/* Output o: its base, then its weights. column [n] scratch. */
static void learn_output(bench_readout *r, const float *x, const float *y, int64_t n, int32_t o, const double *factor,
                         double *column)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)y[i * r->m + o] / (double)n;
    for (int64_t i = 0; i < n; i++) column[i] = (double)y[i * r->m + o] - mean;
    solve(factor, n, column);
    r->base[o] = (float)mean;
    float *w = r->weight + o * r->d;
    for (int64_t i = 0; i < n; i++) {
        const float a = (float)(column[i] / (double)r->d);
        for (int64_t j = 0; j < r->d; j++) w[j] += a * x[i * r->d + j];
    }
}

int bench_readout_fit(bench_readout *r, float *x, const float *y, int64_t n, int64_t d, int32_t m, double lambda)
{
    *r = (bench_readout){.d = d, .m = m};
    double *gram = malloc((size_t)n * (size_t)(n + 1) * sizeof *gram); /* and a column */
    r->mean = calloc((size_t)d, sizeof *r->mean);
    r->scale = calloc((size_t)d, sizeof *r->scale);
    r->weight = calloc((size_t)d * (size_t)m, sizeof *r->weight);
    r->base = calloc((size_t)m, sizeof *r->base);
    if (gram == NULL || r->mean == NULL || r->scale == NULL || r->weight == NULL || r->base == NULL) goto nomem;
    if (learn_scale(r, x, n) != 0) goto nomem;
    for (int64_t i = 0; i < n; i++) standardise(r, x + i * d);
    fill_gram(x, n, d, lambda, gram);
    factorise(gram, n, lambda);
    for (int32_t o = 0; o < m; o++) learn_output(r, x, y, n, o, gram, gram + n * n);
    free(gram);
    return 0;
nomem:
    free(gram);
    bench_readout_free(r);
    return -1;
}

void bench_readout_apply(const bench_readout *r, float *x, float *y)
{
    standardise(r, x);
    for (int32_t o = 0; o < r->m; o++) y[o] = r->base[o] + dot(x, r->weight + o * r->d, r->d);
}

void bench_readout_free(bench_readout *r)
{
    free(r->mean);
    free(r->scale);
    free(r->weight);
    free(r->base);
    *r = (bench_readout){0};
}
