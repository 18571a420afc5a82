/* SPDX-License-Identifier: MIT */
/* Trace of families whose pixel_values are pictures of one size, or rows of patches that are padded (NaFlex):
 *   [B, 3, H, W]         pictures, tiles, or frames
 *   [M, S, 3, H, W]      tiles of M photos, the last ones padding where a photo has fewer; or frames of M clips
 *   [B, patches, P P 3]  patches of pictures of any grid, each (row, col, channel)
 * An item is what stages have a first axis for: a picture, or a clip whose steps attend to each other. */
#ifndef PARE_ENCODE_TRACE_BATCH_H
#define PARE_ENCODE_TRACE_BATCH_H

#include <pare/pare.h>

#include "core/pool.h"
#include "encode/encoder.h"
#include "encode/tiles.h"

typedef struct pare__batch {
    const pare_model *m;
    int32_t n;             /* items */
    int32_t n_step;        /* segments of each */
    int32_t width, height; /* pixels of a picture; 0 = rows of patches */
    float *values;         /* pixel_values */
    int64_t shape[5];      /* of them */
    int32_t n_dim;
    int32_t *at;          /* [n] first picture of every item in `values` */
    float *pixels;        /* what segments read where that is not `values` as it is */
    pare__segment *seg;   /* [n n_step] */
    pare__tiling *tiling; /* [n_medium] of photos, or [1] of a frame of every clip; NULL = nothing is packed */
    int32_t n_medium;     /* photos or clips whose units are packed for the language model */
    int32_t n_frames;     /* of a clip; 0 = photos */
    pare_tensor mask;     /* pixel_attention_mask, i32, owned data; data NULL = none */
    pare_tensor pairs;    /* spatial_shapes or image_sizes [., 2], likewise */
} pare__batch;

/* From pixel_values; with them the tensors of `opts` that the family needs. Errors: INVALID, LIMIT, NOMEM. */
int pare__batch_take(pare__batch *b, const pare_model *m, const pare_trace_opts *opts, const pare_tensor *pixels,
                     pare_error *err);
/* From frames through the checkpoint's own preprocessing: photos, their tiles, or a clip. */
int pare__batch_prepare(pare__batch *b, const pare_model *m, const pare_trace_opts *opts, const pare_frame *frames,
                        int32_t n, pare__pool *pool, pare_error *err);
void pare__batch_fini(pare__batch *b);

/* ---- steps that both share ------------------------------------------------------------------------------------- */

/* Room for values of b->shape, zeroed. */
int pare__batch_reserve(pare__batch *b, pare_error *err);
/* Items of `shape`, one per picture; clips where steps attend to each other; tiles where there are tilings. */
int pare__batch_list(pare__batch *b, pare_error *err);
/* Segments of the items, once values, mask and pairs are there. */
int pare__batch_lay(pare__batch *b, pare_error *err);
/* Room for an i32 tensor of this shape, zeroed. */
int pare__batch_integers(pare_tensor *t, const char *name, const int64_t *shape, int32_t n_dim, pare_error *err);
/* Families whose pixel_values have an axis of frames. */
static inline int pare__batch_is_clip(const pare__hparams *hp) { return hp->temporal > 1 || hp->steps > 1; }

#endif
