/* SPDX-License-Identifier: MIT */
/* See similar.h. */
#include "select/similar.h"

#include <string.h>

#include "select/exact.h"

enum { BLOCK = 128, TILE = 16 };

/* ---- rows of length 1 ---------------------------------------------------------------------------------------------- */

static void normalise(float *out, const float *x, int64_t d)
{
    const double square = pare__exact_dot(x, x, d);
    if (!(square > 0) || !isfinite(square)) {
        memset(out, 0, (size_t)d * sizeof *out);
        return;
    }
    const double scale = 1 / sqrt(square);
    for (int64_t c = 0; c < d; c++) out[c] = (float)((double)x[c] * scale);
}

float *pare__unit_rows(const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n)
{
    float *out = PARE__ARENA(v->arena, float, n *d);
    for (int64_t i = 0; out && i < n; i++) normalise(out + i * d, x + (row ? row[i] : i) * d, d);
    return out;
}

/* ---- products of all pairs ----------------------------------------------------------------------------------------- */

static int64_t block_at(int64_t n, int64_t i0) { return n - i0 < BLOCK ? n - i0 : BLOCK; }

/* Rows [i0, i0 + m) of whole [n, n] from column i0 on are there: the columns [i0, i0 + m) below the diagonal follow. */
static void mirror(float *whole, int64_t n, int64_t i0, int64_t m)
{
    for (int64_t j0 = i0; j0 < n; j0 += TILE) {
        const int64_t end = j0 + TILE < n ? j0 + TILE : n;
        for (int64_t i = i0; i < i0 + m; i++)
            for (int64_t j = j0 > i ? j0 : i + 1; j < end; j++) whole[j * n + i] = whole[i * n + j];
    }
}

void pare__all_products(const pare__view *v, const float *x, int64_t n, int64_t d, float *out)
{
    for (int64_t i0 = 0; i0 < n; i0 += BLOCK) {
        const float *first = x + i0 * d;
        v->gemm->nt(block_at(n, i0), n - i0, d, 1, first, d, first, d, 0, out + i0 * n + i0, n);
        mirror(out, n, i0, block_at(n, i0));
    }
}

/* ---- cosines ------------------------------------------------------------------------------------------------------- */

/* Products of rows [i0, i0 + m) with all rows become cosines. */
static void settle(const pare__similar *s, int64_t i0, int64_t m, float *out)
{
    for (int64_t i = 0; i < m; i++) {
        float *row = out + i * s->n;
        for (int64_t j = 0; j < s->n; j++) row[j] = pare__similar_step(row[j]);
        if (row[i0 + i] > 0.5f) row[i0 + i] = 1;
    }
}

/* Cosines of rows [i0, i0 + m) with all rows: out [m, n]. */
static void multiply(const pare__similar *s, int64_t i0, int64_t m, float *out)
{
    s->v->gemm->nt(m, s->n, s->d, 1, s->unit + i0 * s->d, s->d, s->unit, s->d, 0, out, s->n);
    settle(s, i0, m, out);
}

int pare__similar_rows(pare__similar *s, const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n)
{
    *s = (pare__similar){.v = v, .n = n, .d = d, .unit = pare__unit_rows(v, x, d, row, n)};
    if (!s->unit) return PARE_E_NOMEM;
    if (n > PARE__SIMILAR_WHOLE) {
        s->row = PARE__ARENA(v->arena, float, n);
        return s->row ? 0 : PARE_E_NOMEM;
    }
    s->whole = PARE__ARENA(v->arena, float, n *n);
    if (!s->whole) return PARE_E_NOMEM;
    pare__all_products(v, s->unit, n, d, s->whole);
    settle(s, 0, n, s->whole);
    return 0;
}

const float *pare__similar_row(pare__similar *s, int64_t i)
{
    if (s->whole) return s->whole + i * s->n;
    multiply(s, i, 1, s->row);
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
        multiply(s, i0, block_at(s->n, i0), block);
        for (int64_t i = 0; i < block_at(s->n, i0); i++) visit(user, i0 + i, block + i * s->n);
    }
    pare__arena_reset(s->v->arena, mark);
    return block ? 0 : PARE_E_NOMEM;
}
