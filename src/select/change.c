/* SPDX-License-Identifier: MIT */
/* What temporal runs compare: pixels of a patch, or tokens. */
#include <stdlib.h>
#include <string.h>

#include "select/exact.h"
#include "select/pick.h"
#include "select/pixels.h"
#include "select/runs.h"

/* ---- pixels: the last picture of a temporal step against the first one of the reference ---------------------------- */

static int64_t patch_bytes(const pare__view *v) { return 3 * (int64_t)v->pixels->patch * v->pixels->patch; }

/* Picture 0 of a step is its first, picture n_picture - 1 its last. */
static uint8_t *tile_at(const pare__runs *r, int32_t step, int64_t picture, int64_t cell)
{
    return r->tile + ((step * r->n_picture + picture) * r->n_cell + cell) * patch_bytes(r->v);
}

static void cut_tile(const pare__view *v, const uint8_t *picture, int64_t cell, uint8_t *to)
{
    const pare__patch from = pare__patch_at(v, picture, cell);
    const int64_t side = v->pixels->patch, bytes = 3 * side;
    for (int64_t y = 0; y < side; y++) memcpy(to + y * bytes, from.rgb + y * from.stride, (size_t)bytes);
}

/* Every patch is compared in many passes: cut once into contiguous tiles, a comparison is one call. */
static int prepare_pixels(pare__runs *r, const char *owner, pare_error *err)
{
    const pare__view *v = r->v;
    const pare__pixels *px = v->pixels;
    if (!px) return pare_fail(err, PARE_E_INVALID, "selector '%s' needs pixels", owner);
    for (int c = 0; c < 3; c++) r->weight[c] = 1.0 / 255;
    r->n_picture = px->temporal > 1 ? 2 : 1;
    r->tile = PARE__ARENA(v->arena, uint8_t, v->n_frame * r->n_picture * r->n_cell * patch_bytes(v));
    if (!r->tile) return PARE_E_NOMEM;
    for (int32_t s = 0; s < v->n_frame; s++) {
        for (int64_t p = 0; p < r->n_picture; p++) {
            const uint8_t *picture = px->frame[(int64_t)s * px->temporal + (p ? px->temporal - 1 : 0)];
            for (int64_t c = 0; c < r->n_cell; c++) cut_tile(v, picture, c, tile_at(r, s, p, c));
        }
    }
    return 0;
}

static const void *first_tile(const pare__runs *r, int32_t step, int64_t cell) { return tile_at(r, step, 0, cell); }

static double weighted(const pare__runs *r, const uint8_t *a, const uint8_t *b, int64_t n)
{
    uint32_t sum[3] = {0, 0, 0};
    for (int64_t i = 0; i < n; i += 3)
        for (int c = 0; c < 3; c++) sum[c] += (uint32_t)abs(a[i + c] - b[i + c]);
    return r->weight[0] * sum[0] + r->weight[1] * sum[1] + r->weight[2] * sum[2];
}

static double pixel_distance(const pare__runs *r, int32_t step, int64_t cell, const void *reference)
{
    const uint8_t *a = tile_at(r, step, r->n_picture - 1, cell);
    const int64_t n = patch_bytes(r->v);
    const double *w = r->weight;
    const int alike = w[0] == w[1] && w[1] == w[2];
    const double sum = alike ? w[0] * (double)r->v->vec->sad_u8(a, reference, n) : weighted(r, a, reference, n);
    return sum / (double)n;
}

/* ---- tokens: 1 - cosine -------------------------------------------------------------------------------------------- */

static int64_t token_bytes(const pare__view *v) { return (int64_t)sizeof(float) * v->d; }

static int prepare_tokens(pare__runs *r, const char *owner, pare_error *err)
{
    const pare__view *v = r->v;
    int32_t d = 0;
    r->token = pare__require(v, owner, PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    r->square = PARE__ARENA(v->arena, double, v->n);
    if (!r->token || !r->square) return r->token ? PARE_E_NOMEM : PARE_E_INVALID;
    for (int64_t i = 0; i < v->n; i++) r->square[i] = pare__exact_dot(r->token + i * d, r->token + i * d, d);
    return 0;
}

static int64_t row_of(const pare__runs *r, int32_t step, int64_t cell) { return r->row_at[step * r->n_cell + cell]; }

static const void *token_at(const pare__runs *r, int32_t step, int64_t cell)
{
    return r->token + row_of(r, step, cell) * r->v->d;
}

static double token_distance(const pare__runs *r, int32_t step, int64_t cell, const void *reference)
{
    const int64_t row = row_of(r, step, cell), d = r->v->d;
    const int32_t ref = r->ref[cell];
    const double along = pare__exact_dot(r->token + row * d, reference, d);
    const double square = ref >= 0 ? r->square[row_of(r, ref, cell)] : pare__exact_dot(reference, reference, d);
    return 1 - pare__exact_cosine(along, r->square[row], square);
}

/* ---- tables -------------------------------------------------------------------------------------------------------- */

const pare__change pare__change_pixels = {.limit = 1,
                                          .is_dense = 1,
                                          .bytes = patch_bytes,
                                          .prepare = prepare_pixels,
                                          .content = first_tile,
                                          .distance = pixel_distance};

const pare__change pare__change_tokens = {.limit = 2,
                                          .is_dense = 0,
                                          .bytes = token_bytes,
                                          .prepare = prepare_tokens,
                                          .content = token_at,
                                          .distance = token_distance};
