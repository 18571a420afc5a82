/* SPDX-License-Identifier: MIT */
/* Density peaks, from blocks of squared distances |a|^2 + |b|^2 - 2 a.b of rows around their mean. */
#include "select/peaks.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256, MAX_NEAR = 16 };

typedef struct peaks {
    const pare__view *v;
    int64_t n, d;
    int32_t n_near;
    float *y;        /* [n, d] rows minus their mean: smaller numbers, smaller errors */
    float *square;   /* [n] squared lengths */
    float *block;    /* [BLOCK, n] squared distances */
    double *density; /* [n] */
    double most;     /* the largest squared distance */
} peaks;

static int prepare(peaks *s, const float *x)
{
    pare__arena *arena = s->v->arena;
    double *mean = PARE__ARENA(arena, double, s->d);
    s->y = PARE__ARENA(arena, float, s->n * s->d);
    s->square = PARE__ARENA(arena, float, s->n);
    s->block = PARE__ARENA(arena, float, BLOCK * s->n);
    s->density = PARE__ARENA(arena, double, s->n);
    if (!mean || !s->y || !s->square || !s->block || !s->density) return PARE_E_NOMEM;
    memset(mean, 0, (size_t)s->d * sizeof *mean);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t c = 0; c < s->d; c++) mean[c] += (double)x[i * s->d + c];
    for (int64_t i = 0; i < s->n; i++) {
        float *y = s->y + i * s->d;
        for (int64_t c = 0; c < s->d; c++) y[c] = (float)((double)x[i * s->d + c] - mean[c] / (double)s->n);
        s->square[i] = s->v->vec->dot(y, y, s->d);
    }
    return 0;
}

/* block [m, n] of the rows from `first`. */
static void measure(const peaks *s, int64_t first, int64_t m)
{
    s->v->gemm->nt(m, s->n, s->d, 1, s->y + first * s->d, s->d, s->y, s->d, 0, s->block, s->n);
    for (int64_t i = 0; i < m; i++) {
        float *row = s->block + i * s->n;
        const float own = s->square[first + i];
        for (int64_t j = 0; j < s->n; j++) {
            const float e = own + s->square[j] - 2 * row[j];
            row[j] = e > 0 ? e : 0;
        }
        row[first + i] = 0;
    }
}

static double density_of(const peaks *s, const float *row)
{
    double near[MAX_NEAR], sum = 0;
    int32_t n = 0;
    for (int64_t j = 0; j < s->n; j++) {
        const double e = (double)row[j];
        if (n == s->n_near && e >= near[n - 1]) continue;
        int32_t at = n < s->n_near ? n++ : n - 1;
        for (; at > 0 && near[at - 1] > e; at--) near[at] = near[at - 1];
        near[at] = e;
    }
    for (int32_t i = 0; i < n; i++) sum += near[i];
    return exp(-sum / n / (double)s->d);
}

static void find_densities(peaks *s)
{
    for (int64_t first = 0; first < s->n; first += BLOCK) {
        const int64_t m = s->n - first < BLOCK ? s->n - first : BLOCK;
        measure(s, first, m);
        for (int64_t i = 0; i < m; i++) {
            s->density[first + i] = density_of(s, s->block + i * s->n);
            s->most = fmax(s->most, (double)s->v->vec->max(s->block + i * s->n, s->n));
        }
    }
}

static double reach_of(const peaks *s, int64_t i, const float *row)
{
    double least = s->most;
    for (int64_t j = 0; j < s->n; j++)
        if (s->density[j] > s->density[i]) least = fmin(least, (double)row[j]);
    return sqrt(least / (double)s->d);
}

static void find_scores(const peaks *s, float *score)
{
    for (int64_t first = 0; first < s->n; first += BLOCK) {
        const int64_t m = s->n - first < BLOCK ? s->n - first : BLOCK;
        measure(s, first, m);
        for (int64_t i = 0; i < m; i++)
            score[first + i] = (float)(s->density[first + i] * reach_of(s, first + i, s->block + i * s->n));
    }
}

int pare__peaks(const pare__view *v, const float *x, int64_t n, int64_t d, int32_t n_near, int64_t k, int32_t *centre)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    peaks s = {.v = v, .n = n, .d = d, .n_near = n_near < MAX_NEAR ? n_near : MAX_NEAR};
    float *score = PARE__ARENA(v->arena, float, n);
    int rc = score ? prepare(&s, x) : PARE_E_NOMEM;
    if (!rc) {
        find_densities(&s);
        find_scores(&s, score);
        rc = pare__topk(score, n, k, centre, v->arena);
    }
    pare__arena_reset(v->arena, mark);
    return rc;
}
