/* SPDX-License-Identifier: MIT */
/* Some language models are shown the frames of a clip pooled: `by` units a side become one row behind the projector, by
 * bilinear interpolation. The pool is a map like any other, applied between the encoder and the steps at the output:
 * those choose among what the language model would receive. */
#ifndef PARE_REDUCE_CLIP_POOL_H
#define PARE_REDUCE_CLIP_POOL_H

#include "reduce/window.h"

/* Rows that a frame of so many units becomes: ceil(h / by) x ceil(w / by). */
int64_t pare__clip_pooled(int32_t grid_h, int32_t grid_w, int32_t by);
/* Pools the rows of every slot. A row of the result is the mean of the rows whose places it reads, by the weights of the
 * interpolation times their sizes: over what is left where earlier steps dropped some. A unit belongs to the row that
 * reads it most; a row to which nothing is left vanishes, the others stand at the unit they read most (at one that the mask
 * keeps, if there is). A unit's size is shared out to the rows that read it. Errors: NOMEM. */
int pare__clip_pool(const pare__context *ctx, pare__rows *rows, int32_t by);

#endif
