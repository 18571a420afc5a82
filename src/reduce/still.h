/* SPDX-License-Identifier: MIT */
/* Which parts of a picture at grid size can stay as they are in the picture before: blocks that the decoder predicted
 * without motion and whose source pixels still look like those that the picture before was made of. */
#ifndef PARE_REDUCE_STILL_H
#define PARE_REDUCE_STILL_H

#include <pare/pare.h>

#include "core/fit.h"
#include "encode/prep.h"

/* What is remembered from frame to frame; zero at the beginning. */
typedef struct pare__still {
    int32_t is_known; /* the last frame came with motion and was taken */
    pare__fit fit;    /* of that frame */
    int32_t rows, cols, block;
    uint8_t *sample;  /* [sampled rows, 3 * source width] pixels that every block was last resized from, some of them */
    uint8_t *dirty;   /* [rows, cols] 1: the block is not as it was */
    uint8_t *between; /* pare__prep_changed */
    int64_t cap_sample, cap_dirty, cap_between;
    int64_t n_block, n_still; /* since creation: blocks looked at, those that were as before */
} pare__still;

/* Looks at a frame of RGB and remembers it; without motion there is nothing in `out` but is_all. Errors: NOMEM. */
int pare__still_take(pare__still *s, const pare_frame *f, const pare__fit *fit, pare__resample resample,
                     pare__changed *out);
/* The next frame is compared with nothing. */
void pare__still_forget(pare__still *s);
void pare__still_fini(pare__still *s);

#endif
