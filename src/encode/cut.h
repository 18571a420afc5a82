/* SPDX-License-Identifier: MIT */
/* The pictures of a tiling: from a photo to the pixels of all its slots. */
#ifndef PARE_ENCODE_CUT_H
#define PARE_ENCODE_CUT_H

#include <pare/pare.h>

#include "core/mem.h"
#include "core/pool.h"
#include "encode/tiles.h"

/* slot[pare__tiling_slots(t)] each [height, width, 3]: one resize of the photo to all tiles, which are cut out of it, and
 * one to the whole picture, in the order of the language model. Scratch from `arena`; `pool` may be NULL. Errors: INVALID, NOMEM. */
int pare__tiling_pixels(const pare__tiling *t, const pare_frame *frame, pare__resample resample, uint8_t *const *slot,
                        pare__arena *arena, pare__pool *pool, pare_error *err);

#endif
