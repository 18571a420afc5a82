/* SPDX-License-Identifier: MIT */
/* Kernels over feature matrices: nearest kept row, effective rank, errors of a reconstruction. f64 throughout. */
#include "measure/features.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "measure/scene.h"

/* Similarities of TILE_X rows with TILE_Y candidates at a time. */
enum { TILE_X = 64, TILE_Y = 512 };
#define TIE 1e-12

/* ---- cosines ------------------------------------------------------------------------------------------------------- */

static double cosine_of(double ab, double aa, double bb)
{
    if (aa == 0 || bb == 0) return aa == bb ? 1 : 0;
    return fmax(-1, fmin(1, ab / (sqrt(aa) * sqrt(bb))));
}

double pare__cosine(const double *a, const double *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return cosine_of(ab, aa, bb);
}

double pare__cosine_f32(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return cosine_of(ab, aa, bb);
}

/* ---- nearest row --------------------------------------------------------------------------------------------------- */

typedef struct search {
    const pare__dense *dense;
    double *y; /* [k, d] rows of length 1, or zero */
    double *x; /* [TILE_X, d] the same of the rows in work */
    double *c; /* [TILE_X, TILE_Y] */
    int64_t k, d;
    int64_t zero; /* first zero row of y, or -1 */
} search;

/* Rows of x[n, d] brought to length 1; zero rows stay. The first of them, or -1. */
static int64_t normalise(const double *x, int64_t n, int64_t d, double *out)
{
    int64_t zero = -1;
    for (int64_t i = 0; i < n; i++) {
        double square = 0;
        for (int64_t j = 0; j < d; j++) square += x[i * d + j] * x[i * d + j];
        const double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (int64_t j = 0; j < d; j++) out[i * d + j] = x[i * d + j] * scale;
        if (square == 0 && zero < 0) zero = i;
    }
    return zero;
}

/* The best of c[0..n), candidates first .. first + n, against what is known. */
static void improve(const double *c, int64_t n, int64_t first, double *cosine, int32_t *nearest)
{
    for (int64_t j = 0; j < n; j++) {
        if (c[j] <= *cosine + TIE) continue;
        *cosine = c[j];
        *nearest = (int32_t)(first + j);
    }
}

/* `rows` rows of s->x against all of s->y. */
static void search_tile(const search *s, int64_t rows, double *cosine, int32_t *nearest)
{
    for (int64_t i = 0; i < rows; i++) {
        cosine[i] = -2;
        nearest[i] = 0;
    }
    for (int64_t first = 0; first < s->k; first += TILE_Y) {
        const int64_t n = s->k - first < TILE_Y ? s->k - first : TILE_Y;
        s->dense->nt(rows, n, s->d, s->x, s->d, s->y + first * s->d, s->d, s->c, TILE_Y);
        for (int64_t i = 0; i < rows; i++) improve(s->c + i * TILE_Y, n, first, cosine + i, nearest + i);
    }
    for (int64_t i = 0; i < rows; i++) cosine[i] = fmax(-1, fmin(1, cosine[i]));
}

/* Zero rows of the tile, which are like every other zero row. */
static void match_zeros(const search *s, int64_t rows, double *cosine, int32_t *nearest)
{
    static const double none = 0;
    for (int64_t i = 0; i < rows && s->zero >= 0; i++) {
        int64_t j = 0;
        while (j < s->d && s->x[i * s->d + j] == none) j++;
        if (j < s->d) continue;
        cosine[i] = 1;
        nearest[i] = (int32_t)s->zero;
    }
}

static int search_all(search *s, const double *x, int64_t n, double *cosine, int32_t *nearest)
{
    int rc = PARE_E_NOMEM;
    s->x = PARE__NEW(double, TILE_X * s->d);
    s->c = PARE__NEW(double, TILE_X *TILE_Y);
    if (!s->x || !s->c) goto out;
    for (int64_t i = 0; i < n; i += TILE_X) {
        const int64_t rows = n - i < TILE_X ? n - i : TILE_X;
        normalise(x + i * s->d, rows, s->d, s->x);
        search_tile(s, rows, cosine + i, nearest + i);
        match_zeros(s, rows, cosine + i, nearest + i);
    }
    rc = 0;
out:
    pare__free(s->x);
    pare__free(s->c);
    return rc;
}

int pare__nearest_among(const pare__dense *dense, const double *x, int64_t n, int64_t d, const double *y, int64_t k,
                        double *cosine, int32_t *nearest)
{
    search s = {.dense = dense, .k = k, .d = d};
    s.y = pare__malloc(k * d, (int64_t)sizeof *s.y);
    if (!s.y) return PARE_E_NOMEM;
    s.zero = normalise(y, k, d, s.y);
    const int rc = search_all(&s, x, n, cosine, nearest);
    pare__free(s.y);
    return rc;
}

/* ---- effective rank ------------------------------------------------------------------------------------------------ */

/* exp of the entropy of sigma[n] / sum. */
static double rank_of(const double *sigma, int64_t n)
{
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++) sum += sigma[i];
    if (!(sum > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) {
        const double p = sigma[i] / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

int pare__effective_rank(const pare__dense *dense, const double *x, int64_t n, int64_t d, double *out, pare_error *err)
{
    const int64_t few = n < d ? n : d;
    double *copy = pare__malloc(n * d, (int64_t)sizeof *copy), *sigma = PARE__NEW(double, few + 1);
    int rc = 0;
    if (!copy || !sigma) {
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for the effective rank of %lld rows", (long long)n);
        goto out;
    }
    memcpy(copy, x, (size_t)(n * d) * sizeof *copy);
    rc = dense->singular_values(n, d, copy, sigma, err);
    if (!rc) *out = rank_of(sigma, few);
out:
    pare__free(copy);
    pare__free(sigma);
    return rc;
}

/* ---- errors -------------------------------------------------------------------------------------------------------- */

void pare__row_errors(const double *a, const double *b, int64_t n, int64_t d, double *cosine, double *mse,
                      double *relative)
{
    double sum = 0, error = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *x = a + i * d, *y = b + i * d;
        double ab = 0, aa = 0, bb = 0;
        for (int64_t j = 0; j < d; j++) {
            ab += x[j] * y[j];
            aa += x[j] * x[j];
            bb += y[j] * y[j];
            error += (x[j] - y[j]) * (x[j] - y[j]);
        }
        sum += cosine_of(ab, aa, bb);
        norm += aa;
    }
    *cosine = sum / (double)n;
    *mse = error / (double)(n * d);
    *relative = norm > 0 ? error / norm : error > 0 ? NAN : 0;
}
