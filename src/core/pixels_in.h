/* SPDX-License-Identifier: MIT */
/* Pixels as cameras and decoders hand them over -> RGB. Of 4:2:0 and 4:2:2 every pixel takes the chroma sample of its
 * block (as swscale does where it does not scale).
 *
 *     Y' = (Y - 16) 255 / 219, C' = (C - 128) 255 / 224 (full range: Y, C - 128)
 *     R = Y' + 2 (1 - Kr) V', B = Y' + 2 (1 - Kb) U', G = (Y' - Kr R - Kb B) / (1 - Kr - Kb), rounded half up, clamped
 *
 * Source: ITU-R BT.601-7 (Kr .299, Kb .114), BT.709-6 (Kr .2126, Kb .0722). */
#ifndef PARE_CORE_PIXELS_IN_H
#define PARE_CORE_PIXELS_IN_H

#include <pare/pare.h>

#include "core/mem.h"
#include "core/pool.h"

enum { PARE__MAX_PLANES = 3 };

/* One plane of a frame: rows of `bytes`, `stride` apart, which may be negative. */
typedef struct pare__plane {
    const uint8_t *data;
    int64_t stride, bytes;
    int32_t rows;
} pare__plane;

/* The planes of a frame of known layout; returns how many. */
int32_t pare__pixels_planes(const pare_frame *f, pare__plane plane[PARE__MAX_PLANES]);
/* Is the layout known, are its planes there and their strides long enough? Sides are checked before. Errors: INVALID, in
 * the name of `function`. */
int pare__pixels_check(const pare_frame *f, const char *function, pare_error *err);
/* The frame as RGB, in pixels from `arena`; frames that are RGB stay where they are. `pool` may be NULL; `out` may be `f`.
 * Errors: NOMEM. */
int pare__pixels_rgb(const pare_frame *f, pare__arena *arena, pare__pool *pool, pare_frame *out, pare_error *err);

#endif
