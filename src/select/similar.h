/* SPDX-License-Identifier: MIT */
/* Cosine similarity between the rows of a view. Rows become rows of length 1 once (a row of zeros, or one
 * that holds a NaN, becomes zeros: its cosine with everything is 0); the whole matrix is kept where it is small, and rows of it are computed on demand where not.
 * Everything lives in the view's arena. */
#ifndef PARE_SELECT_SIMILAR_H
#define PARE_SELECT_SIMILAR_H

#include "select/view.h"

enum { PARE__SIMILAR_WHOLE = 4096 }; /* rows up to which the whole matrix is kept: 64 MiB */

/* A cosine above this is that of equal rows: single precision cannot tell. */
#define PARE__SIMILAR_EQUAL (1 - 0x1p-20f)

typedef struct pare__similar {
    const pare__view *v;
    int64_t n, d;
    const float *unit; /* [n, d] */
    float *whole;      /* [n, n], or NULL */
    float *row;        /* [n] last row asked for, where there is no matrix */
} pare__similar;

/* Cosines are multiples of 2^-24, a row's with itself is exactly 1 (0 for zeros), and the matrix is symmetric. Differences
 * are then exact, and so are sums in double: gains that are equal on paper are equal here, whatever the order of terms,
 * and ties go to the lower index. */
static inline float pare__similar_step(float cosine)
{
    const float clipped = cosine <= PARE__SIMILAR_EQUAL ? cosine : 1; /* a NaN too */
    return (float)(int32_t)(clipped * 0x1p24f) * 0x1p-24f;
}

/* Rows of length 1 of x [*, d]: those listed in row[n], or the first n where row is NULL. [n, d], or NULL: no memory. */
float *pare__unit_rows(const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n);
/* out [n, n] = x x^T of the rows x [n, d], symmetric bit for bit. */
void pare__all_products(const pare__view *v, const float *x, int64_t n, int64_t d, float *out);

/* Of the rows of x [*, d] listed in row[n], or its first n where row is NULL; they are numbered 0 .. n - 1. 0 or
 * PARE_E_NOMEM. */
int pare__similar_rows(pare__similar *s, const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n);
/* Of the n = view->n rows of x [n, d]. 0 or PARE_E_NOMEM. */
static inline int pare__similar_init(pare__similar *s, const pare__view *v, const float *x, int64_t d)
{
    return pare__similar_rows(s, v, x, d, NULL, v->n);
}
/* Cosines of row i with all rows [n]; valid until the next call. */
const float *pare__similar_row(pare__similar *s, int64_t i);
static inline float pare__similar_at(const pare__similar *s, int64_t i, int64_t j)
{
    if (s->whole) return s->whole[i * s->n + j];
    return pare__similar_step(s->v->vec->dot(s->unit + i * s->d, s->unit + j * s->d, s->d));
}
/* visit(user, i, cosines [n]) for every row in turn, without ever holding more than a block of them. */
int pare__similar_each(const pare__similar *s, void (*visit)(void *user, int64_t i, const float *row), void *user);

#endif
