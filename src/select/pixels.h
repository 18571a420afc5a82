/* SPDX-License-Identifier: MIT */
/* Pixels of the units of a view, and how much they change. */
#ifndef PARE_SELECT_PIXELS_H
#define PARE_SELECT_PIXELS_H

#include "select/view.h"

/* A patch within a picture or a tile: `patch` rows of 3 * patch bytes, `stride` bytes apart. */
typedef struct pare__patch {
    const uint8_t *rgb;
    int64_t stride;
} pare__patch;

/* Unit `cell` (raster index) of a dense picture [grid_h * patch, grid_w * patch, 3]. */
static inline pare__patch pare__patch_at(const pare__view *v, const uint8_t *picture, int64_t cell)
{
    const int64_t bytes = 3 * (int64_t)v->pixels->patch, stride = bytes * v->grid_w;
    return (pare__patch){picture + (cell / v->grid_w) * v->pixels->patch * stride + (cell % v->grid_w) * bytes, stride};
}

/* Sum of |a - b| over the 3 * patch * patch values. */
static inline uint64_t pare__patch_sad(const pare__view *v, pare__patch a, pare__patch b)
{
    const int64_t side = v->pixels->patch;
    uint64_t sum = 0;
    for (int64_t y = 0; y < side; y++) sum += v->vec->sad_u8(a.rgb + y * a.stride, b.rgb + y * b.stride, 3 * side);
    return sum;
}

/* The last picture of the last reference before a slot, or NULL. */
static inline const uint8_t *pare__picture_of_reference(const pare__pixels *px, int64_t slot)
{
    for (int64_t s = slot - 1; s >= 0; s--)
        if (px->is_reference[s]) return px->frame[s * px->temporal + px->temporal - 1];
    return px->reference;
}

/* What frame f of the view (f counts pictures, not slots) is compared with: the picture before, or that of the reference;
 * NULL for the first of a clip, photo or tile. */
static inline const uint8_t *pare__picture_before(const pare__view *v, int64_t f)
{
    const pare__pixels *px = v->pixels;
    if (v->slot && f % px->temporal == 0 && v->slot[f / px->temporal].t == 0) return NULL;
    if (px->is_reference) return pare__picture_of_reference(px, f / px->temporal);
    return f > 0 ? px->frame[f - 1] : px->previous;
}

#define PARE__FIRST_CHANGE 255.0f /* of what nothing came before */

/* Mean |difference| 0..255 of a unit to the same place one picture earlier, mean over the pictures of a temporal step. */
static inline float pare__unit_change(const pare__view *v, int32_t step, int64_t cell)
{
    const pare__pixels *px = v->pixels;
    if (px->change && !px->is_reference) return px->change[(int64_t)step * v->grid_h * v->grid_w + cell];
    uint64_t sum = 0;
    for (int32_t j = 0; j < px->temporal; j++) {
        const int64_t f = (int64_t)step * px->temporal + j;
        sum += pare__patch_sad(v, pare__patch_at(v, px->frame[f], cell),
                               pare__patch_at(v, pare__picture_before(v, f), cell));
    }
    return (float)((double)sum / (3.0 * px->patch * px->patch * px->temporal));
}

#endif
