/* SPDX-License-Identifier: MIT */
/* What temporal runs compare: pixels of a patch, or tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/pixels.h"
#include "select/runs.h"

/* ---- pixels: the last picture of a temporal step against the first one of the reference -------------------------- */

static int64_t patch_bytes(const pare__view *v) { return 3 * (int64_t)v->pixels->patch * v->pixels->patch; }

static pare__patch first_of(const pare__view *v, int32_t step, int64_t cell)
{
    return pare__patch_at(v, v->pixels->frame[(int64_t)step * v->pixels->temporal], cell);
}

static pare__patch last_of(const pare__view *v, int32_t step, int64_t cell)
{
    const int64_t temporal = v->pixels->temporal;
    return pare__patch_at(v, v->pixels->frame[step * temporal + temporal - 1], cell);
}

static pare__patch reference(const pare__runs *r, int64_t cell, int32_t ref)
{
    if (ref >= 0) return first_of(r->v, ref, cell);
    return (pare__patch){r->past + cell * patch_bytes(r->v), 3 * (int64_t)r->v->pixels->patch};
}

/* sum[c] += |a - b| over one row of pixels. */
static void add_row(const uint8_t *a, const uint8_t *b, int64_t n, uint32_t sum[3])
{
    for (int64_t x = 0; x < n; x++)
        for (int c = 0; c < 3; c++) sum[c] += (uint32_t)abs(a[3 * x + c] - b[3 * x + c]);
}

static double weighted(const pare__runs *r, pare__patch a, pare__patch b)
{
    const int64_t side = r->v->pixels->patch;
    uint32_t sum[3] = {0, 0, 0};
    for (int64_t y = 0; y < side; y++) add_row(a.rgb + y * a.stride, b.rgb + y * b.stride, side, sum);
    return r->weight[0] * sum[0] + r->weight[1] * sum[1] + r->weight[2] * sum[2];
}

static double pixel_distance(const pare__runs *r, int32_t step, int64_t cell, int32_t ref)
{
    const pare__patch a = last_of(r->v, step, cell), b = reference(r, cell, ref);
    const double *w = r->weight;
    const double sum = w[0] == w[1] && w[1] == w[2] ? w[0] * (double)pare__patch_sad(r->v, a, b) : weighted(r, a, b);
    return sum / (double)patch_bytes(r->v);
}

static void save_pixels(const pare__runs *r, int32_t step, int64_t cell, uint8_t *to)
{
    const pare__patch from = first_of(r->v, step, cell);
    const int64_t bytes = 3 * (int64_t)r->v->pixels->patch;
    for (int64_t y = 0; y < r->v->pixels->patch; y++) memcpy(to + y * bytes, from.rgb + y * from.stride, (size_t)bytes);
}

/* ---- tokens: 1 - cosine ------------------------------------------------------------------------------------------ */

static int64_t token_bytes(const pare__view *v) { return (int64_t)sizeof(float) * v->d; }

/* Exactly 1 for equal tokens: the square of a float is exact in double. */
static double cosine(double dot, double square_a, double square_b)
{
    const double product = square_a * square_b;
    return product > 0 ? dot / sqrt(product) : 0;
}

static double token_distance(const pare__runs *r, int32_t step, int64_t cell, int32_t ref)
{
    const pare__vec *vec = r->v->vec;
    const int64_t d = r->v->d, row = r->row_at[(int64_t)step * r->n_cell + cell];
    const float *a = r->token + row * d;
    if (ref >= 0) {
        const int64_t other = r->row_at[(int64_t)ref * r->n_cell + cell];
        return 1 - cosine(vec->dot(a, r->token + other * d, d), r->norm[row], r->norm[other]);
    }
    const float *b = (const float *)(const void *)(r->past + cell * token_bytes(r->v));
    return 1 - cosine(vec->dot(a, b, d), r->norm[row], vec->dot(b, b, d));
}

static void save_token(const pare__runs *r, int32_t step, int64_t cell, uint8_t *to)
{
    const int64_t row = r->row_at[(int64_t)step * r->n_cell + cell];
    memcpy(to, r->token + row * r->v->d, (size_t)token_bytes(r->v));
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

const pare__change pare__change_pixels = {
    .limit = 1, .is_dense = 1, .bytes = patch_bytes, .distance = pixel_distance, .save = save_pixels};

const pare__change pare__change_tokens = {
    .limit = 2, .is_dense = 0, .bytes = token_bytes, .distance = token_distance, .save = save_token};
