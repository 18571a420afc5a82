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

/* Mean over a rectangle of the upright source, not empty. */
static float mean_over(const pare_motion *m, const float *value, const float rect[4])
{
    const float side = (float)m->block;
    float sum = 0, area = 0;
    for (int32_t r = (int32_t)(rect[1] / side); r < m->rows && (float)r * side < rect[3]; r++) {
        const float h = fminf(rect[3], (float)(r + 1) * side) - fmaxf(rect[1], (float)r * side);
        for (int32_t c = (int32_t)(rect[0] / side); c < m->cols && (float)c * side < rect[2]; c++) {
            const float w = fminf(rect[2], (float)(c + 1) * side) - fmaxf(rect[0], (float)c * side);
            sum += w * h * value[(int64_t)r * m->cols + c];
            area += w * h;
        }
    }
    return area > 0 ? sum / area : 0;
}

static void fill_units(const pare_reducer *r, const pare_motion *m, const float *value, const pare__fit *fit,
                       float *out)
{
    const float u = (float)(r->model->hp.patch * r->model->hp.unit);
    for (int32_t y = 0; y < r->ctx.grid_h; y++)
        for (int32_t x = 0; x < r->ctx.grid_w; x++, out++) {
            const float unit[4] = {(float)x * u, (float)y * u, (float)(x + 1) * u, (float)(y + 1) * u};
            float rect[4];
            pare__fit_upright(fit, unit, rect);
            const float mean = rect[0] < rect[2] && rect[1] < rect[3] ? mean_over(m, value, rect) : 0;
            if (mean > *out) *out = mean;
        }
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
    fill_units(r, m, value, &r->fit[slot], out);
    pare__arena_reset(&r->arena, mark);
    r->n_moved++;
    return 0;
}
