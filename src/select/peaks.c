/* SPDX-License-Identifier: MIT */
/* Density peaks, from squared distances |a|^2 + |b|^2 - 2 a.b of rows around their mean: all of them where they are few,
 * else twice in blocks. */
#include "select/peaks.h"

#include <math.h>
#include <string.h>

#include "select/similar.h"

enum { BLOCK = 256, WHOLE = 4096, MAX_NEAR = 16 };

typedef struct peaks {
    const pare__view *v;
    int64_t n, d;
    int32_t n_near;
    int is_whole;    /* at most WHOLE rows: all distances are kept, 64 MiB */
    float *y;        /* [n, d] rows minus their mean: smaller numbers, smaller errors */
    float *square;   /* [n] squared lengths */
    float *distance; /* [n or BLOCK, n] squared distances */
    double *density; /* [n] */
    float *score;    /* [n] density times reach */
    float most;      /* the largest squared distance */
} peaks;

static int prepare(peaks *s, const float *x)
{
    pare__arena *arena = s->v->arena;
    double *mean = PARE__ARENA(arena, double, s->d);
    s->is_whole = s->n <= WHOLE;
    s->y = PARE__ARENA(arena, float, s->n * s->d);
    s->square = PARE__ARENA(arena, float, s->n);
    s->distance = PARE__ARENA(arena, float, (s->is_whole ? s->n : BLOCK) * s->n);
    s->density = PARE__ARENA(arena, double, s->n);
    s->score = PARE__ARENA(arena, float, s->n);
    if (!mean || !s->y || !s->square || !s->distance || !s->density || !s->score) return PARE_E_NOMEM;
    memset(mean, 0, (size_t)s->d * sizeof *mean);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t c = 0; c < s->d; c++) mean[c] += (double)x[i * s->d + c];
    for (int64_t c = 0; c < s->d; c++) mean[c] /= (double)s->n;
    for (int64_t i = 0; i < s->n; i++) {
        float *y = s->y + i * s->d;
        for (int64_t c = 0; c < s->d; c++) y[c] = (float)((double)x[i * s->d + c] - mean[c]);
        s->square[i] = s->v->vec->dot(y, y, s->d);
    }
    return 0;
}

/* ---- distances ----------------------------------------------------------------------------------------------------- */

static float *row_at(const peaks *s, int64_t i) { return s->distance + (s->is_whole ? i : i % BLOCK) * s->n; }

/* Products become distances. */
static void settle(const peaks *s, int64_t i)
{
    float *row = row_at(s, i);
    const float own = s->square[i];
    for (int64_t j = 0; j < s->n; j++) {
        const float e = own + s->square[j] - 2 * row[j];
        row[j] = e > 0 ? e : 0;
    }
    row[i] = 0;
}

/* Distances of the rows [first, first + m) to all. */
static void measure(const peaks *s, int64_t first, int64_t m)
{
    s->v->gemm->nt(m, s->n, s->d, 1, s->y + first * s->d, s->d, s->y, s->d, 0, s->distance, s->n);
    for (int64_t i = first; i < first + m; i++) settle(s, i);
}

static void measure_all(const peaks *s)
{
    pare__all_products(s->v, s->y, s->n, s->d, s->distance);
    for (int64_t i = 0; i < s->n; i++) settle(s, i);
}

/* visit(s, i, distances [n]) for every row in turn. */
static void over_rows(peaks *s, void (*visit)(peaks *s, int64_t i, float *row))
{
    for (int64_t first = 0; first < s->n; first += BLOCK) {
        const int64_t m = s->n - first < BLOCK ? s->n - first : BLOCK;
        if (!s->is_whole) measure(s, first, m);
        for (int64_t i = first; i < first + m; i++) visit(s, i, row_at(s, i));
    }
}

/* ---- density and reach --------------------------------------------------------------------------------------------- */

static void find_density(peaks *s, int64_t i, float *row)
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
    for (int32_t j = 0; j < n; j++) sum += near[j];
    s->density[i] = exp(-sum / n / (double)s->d);
    s->most = fmaxf(s->most, s->v->vec->max(row, s->n));
}

/* The row is used up: the least distance is the largest of what becomes minus those that count. */
static void find_score(peaks *s, int64_t i, float *row)
{
    const double own = s->density[i];
    const float none = -s->most;
    for (int64_t j = 0; j < s->n; j++) row[j] = s->density[j] > own ? -row[j] : none;
    const double least = -(double)s->v->vec->max(row, s->n);
    s->score[i] = (float)(own * sqrt(least / (double)s->d));
}

int pare__peaks(const pare__view *v, const float *x, int64_t n, int64_t d, int32_t n_near, int64_t k, int32_t *centre)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    peaks s = {.v = v, .n = n, .d = d, .n_near = n_near < MAX_NEAR ? n_near : MAX_NEAR};
    int rc = prepare(&s, x);
    if (!rc) {
        if (s.is_whole) measure_all(&s);
        over_rows(&s, find_density);
        over_rows(&s, find_score);
        rc = pare__topk(s.score, n, k, centre, v->arena);
    }
    pare__arena_reset(v->arena, mark);
    return rc;
}
