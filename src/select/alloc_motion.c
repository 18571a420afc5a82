/* SPDX-License-Identifier: MIT */
/* A temporal step deserves as much as its pixels changed: mean absolute difference to the frame before. The first
 * step of a clip, a photo or a tile, which have none, get the largest weight of their window. Pixels of the view -> weight [n_frame]. */
#include "select/allocator.h"
#include "select/pick.h"
#include "select/pixels.h"

static double mean_change(const float *change, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += change[i];
    return sum / (double)n;
}

/* Mean over the pictures of a step of |picture - the one before|, 0..255. */
static double step_motion(const pare__view *v, int32_t step)
{
    const pare__pixels *px = v->pixels;
    const int64_t n_unit = (int64_t)v->grid_h * v->grid_w;
    if (px->change && !px->is_reference) return mean_change(px->change + step * n_unit, n_unit);
    const int64_t bytes = 3 * (int64_t)v->grid_h * px->patch * v->grid_w * px->patch;
    uint64_t sum = 0;
    for (int32_t j = 0; j < px->temporal; j++) {
        const int64_t f = (int64_t)step * px->temporal + j;
        sum += v->vec->sad_u8(px->frame[f], pare__picture_before(v, f), bytes);
    }
    return (double)sum / ((double)bytes * px->temporal);
}

static int is_new(const pare__view *v, int32_t step)
{
    return !pare__picture_before(v, (int64_t)step * v->pixels->temporal);
}

static int weigh(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    (void)priv;
    if (!v->pixels) return pare_fail(err, PARE_E_INVALID, "allocator 'motion' needs pixels");
    double most = 0;
    for (int32_t s = 0; s < v->n_frame; s++) {
        weight[s] = is_new(v, s) ? -1 : step_motion(v, s);
        if (weight[s] > most) most = weight[s];
    }
    for (int32_t s = 0; s < v->n_frame; s++)
        if (weight[s] < 0) weight[s] = most > 0 ? most : 1;
    return 0;
}

const pare__allocator pare__alloc_motion = {
    .name = "motion",
    .summary = "a frame's share grows with its mean pixel change",
    .cite = "frame differencing; ours",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .needs = pare__need_pixels,
    .weigh = weigh,
};
