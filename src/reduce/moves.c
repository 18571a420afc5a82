/* SPDX-License-Identifier: MIT */
/* What the decoder tells of a frame's motion, on the units of its slot.
 *
 *     vectors [rows, cols, 2] - median of the frame -> lengths of blocks -> units, weighted by the pixels that they share
 *
 * A block without a prediction is new: it counts like one that moved by its own width. A frame of such blocks alone tells
 * nothing. Of the frames of a temporal step the largest value holds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/reducer.h"

enum { QUARTERS = 4, FAR = 512, BINS = 2 * FAR + 1 }; /* quarter pixels; longer ones count as FAR in the median */

/* Median of x (which = 0) or y (1) over the blocks that are predicted, quarter pixels; 0: there are none. */
static int median(const pare_motion *m, int which, int32_t *out)
{
    int32_t bin[BINS] = {0}, n = 0;
    for (int64_t i = 0; i < (int64_t)m->rows * m->cols; i++) {
        if (m->kind[i] == PARE_BLOCK_INTRA) continue;
        const int32_t v = m->vector[2 * i + which];
        bin[(v < -FAR ? -FAR : v > FAR ? FAR : v) + FAR]++;
        n++;
    }
    int32_t below = 0, at = 0;
    while (at < BINS - 1 && (below += bin[at]) <= n / 2) at++;
    *out = at - FAR;
    return n > 0;
}

/* Pixels of the source. */
static float length(const pare_motion *m, int64_t block, const int32_t mid[2])
{
    if (m->kind[block] == PARE_BLOCK_INTRA) return (float)m->block;
    const float x = (float)(m->vector[2 * block] - mid[0]), y = (float)(m->vector[2 * block + 1] - mid[1]);
    return sqrtf(x * x + y * y) / QUARTERS;
}

/* Part of a side of the upright source that a unit shows; empty over padding. */
typedef struct span {
    float from, to;
} span;

/* Mean over a span of n blocks, whose values are `step` apart. */
static float mean_over(const float *value, int64_t step, int32_t n, float block, span s)
{
    float sum = 0;
    for (int32_t i = (int32_t)(s.from / block); i < n && (float)i * block < s.to; i++) {
        const float lo = (float)i * block, hi = lo + block;
        sum += value[i * step] * ((hi < s.to ? hi : s.to) - (lo > s.from ? lo : s.from));
    }
    return s.from < s.to ? sum / (s.to - s.from) : 0;
}

/* Blocks [rows, cols] -> [rows, grid_w] -> units: means over rectangles, one side after the other. */
static int fill_units(pare_reducer *r, const pare_motion *m, const float *value, const pare__fit *fit, float *out)
{
    const int32_t h = r->ctx.grid_h, w = r->ctx.grid_w;
    const float unit = (float)(r->model->hp.patch * r->model->hp.unit), block = (float)m->block;
    span *across = PARE__ARENA(&r->arena, span, w);
    float *half = PARE__ARENA(&r->arena, float, (int64_t)m->rows *w);
    if (!across || !half) return PARE_E_NOMEM;
    for (int32_t x = 0; x < w; x++) {
        float rect[4];
        pare__fit_upright(fit, (float[]){(float)x * unit, 0, (float)(x + 1) * unit, unit}, rect);
        across[x] = (span){rect[0], rect[2]};
    }
    for (int32_t row = 0; row < m->rows; row++)
        for (int32_t x = 0; x < w; x++)
            half[row * w + x] = mean_over(value + (int64_t)row * m->cols, 1, m->cols, block, across[x]);
    for (int32_t y = 0; y < h; y++) {
        float rect[4];
        pare__fit_upright(fit, (float[]){0, (float)y * unit, unit, (float)(y + 1) * unit}, rect);
        for (int32_t x = 0; x < w; x++, out++) {
            const float mean = mean_over(half + x, w, m->rows, block, (span){rect[1], rect[3]});
            if (mean > *out) *out = mean;
        }
    }
    return 0;
}

int pare__reducer_moves(pare_reducer *r, const pare_frame *f, int32_t slot)
{
    const int64_t units = (int64_t)r->ctx.grid_h * r->ctx.grid_w;
    const pare_motion *m = f->motion;
    float *out = r->motion + slot * units;
    int32_t mid[2];
    for (int64_t i = 0; !r->held[slot] && i < units; i++) out[i] = -1;
    if (!m || !median(m, 0, &mid[0]) || !median(m, 1, &mid[1])) return 0;
    const pare__mark mark = pare__arena_mark(&r->arena);
    const int64_t n = (int64_t)m->rows * m->cols;
    float *value = PARE__ARENA(&r->arena, float, n);
    if (!value) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) value[i] = length(m, i, mid);
    const int rc = fill_units(r, m, value, &r->fit[slot], out);
    pare__arena_reset(&r->arena, mark);
    r->n_moved += !rc;
    return rc;
}
