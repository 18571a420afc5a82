/* SPDX-License-Identifier: MIT */
/* See similar.h. */
#include "select/similar.h"

#include <math.h>

enum { BLOCK = 128, TILE = 16 };

static void normalise(float *out, const float *x, int64_t d)
{
    double square = 0;
    for (int64_t c = 0; c < d; c++) square += (double)x[c] * (double)x[c];
    const int usable = square > 0 && isfinite(square);
    const double scale = usable ? 1 / sqrt(square) : 0;
    for (int64_t c = 0; c < d; c++) out[c] = usable ? (float)((double)x[c] * scale) : 0;
}

float *pare__unit_rows(const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n)
{
    float *out = PARE__ARENA(v->arena, float, n *d);
    for (int64_t i = 0; out && i < n; i++) normalise(out + i * d, x + (row ? row[i] : i) * d, d);
    return out;
}

/* Cosines of rows [i0, i0 + m) with rows from j0 on: out[m, n - j0], n apart. */
static void multiply(const pare__similar *s, int64_t i0, int64_t m, int64_t j0, float *out)
{
    s->v->gemm->nt(m, s->n - j0, s->d, 1, s->unit + i0 * s->d, s->d, s->unit + j0 * s->d, s->d, 0, out, s->n);
    for (int64_t i = 0; i < m; i++) {
        float *row = out + i * s->n;
        for (int64_t j = 0; j < s->n - j0; j++) row[j] = pare__similar_step(row[j]);
        if (i0 + i >= j0 && row[i0 + i - j0] > 0.5f) row[i0 + i - j0] = 1;
    }
}

static int64_t block_at(const pare__similar *s, int64_t i0) { return s->n - i0 < BLOCK ? s->n - i0 : BLOCK; }

/* Rows [i0, i0 + m) from column i0 on are there: the columns [i0, i0 + m) below the diagonal follow. */
static void mirror(const pare__similar *s, int64_t i0, int64_t m)
{
    for (int64_t j0 = i0; j0 < s->n; j0 += TILE) {
        const int64_t end = j0 + TILE < s->n ? j0 + TILE : s->n;
        for (int64_t i = i0; i < i0 + m; i++)
            for (int64_t j = j0 > i ? j0 : i + 1; j < end; j++) s->whole[j * s->n + i] = s->whole[i * s->n + j];
    }
}

int pare__similar_init(pare__similar *s, const pare__view *v, const float *x, int64_t d)
{
    *s = (pare__similar){.v = v, .n = v->n, .d = d, .unit = pare__unit_rows(v, x, d, NULL, v->n)};
    if (!s->unit) return PARE_E_NOMEM;
    if (s->n > PARE__SIMILAR_WHOLE) {
        s->row = PARE__ARENA(v->arena, float, s->n);
        return s->row ? 0 : PARE_E_NOMEM;
    }
    s->whole = PARE__ARENA(v->arena, float, s->n * s->n);
    if (!s->whole) return PARE_E_NOMEM;
    for (int64_t i0 = 0; i0 < s->n; i0 += BLOCK) {
        multiply(s, i0, block_at(s, i0), i0, s->whole + i0 * s->n + i0);
        mirror(s, i0, block_at(s, i0));
    }
    return 0;
}

const float *pare__similar_row(pare__similar *s, int64_t i)
{
    if (s->whole) return s->whole + i * s->n;
    multiply(s, i, 1, 0, s->row);
    return s->row;
}

int pare__similar_each(const pare__similar *s, void (*visit)(void *user, int64_t i, const float *row), void *user)
{
    if (s->whole) {
        for (int64_t i = 0; i < s->n; i++) visit(user, i, s->whole + i * s->n);
        return 0;
    }
    const pare__mark mark = pare__arena_mark(s->v->arena);
    float *block = PARE__ARENA(s->v->arena, float, BLOCK * s->n);
    for (int64_t i0 = 0; block && i0 < s->n; i0 += BLOCK) {
        multiply(s, i0, block_at(s, i0), 0, block);
        for (int64_t i = 0; i < block_at(s, i0); i++) visit(user, i0 + i, block + i * s->n);
    }
    pare__arena_reset(s->v->arena, mark);
    return block ? 0 : PARE_E_NOMEM;
}
