/* SPDX-License-Identifier: MIT */
/* A picture as it is pushed: pixels in the layouts of cameras and decoders, time, masks, scores, motion. Conventions as in
 * pare.h, which includes this header. */
#ifndef PARE_FRAME_H
#define PARE_FRAME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values of a mask. Anything between is free. */
enum { PARE_MASK_IGNORE = 0, PARE_MASK_FREE = 128, PARE_MASK_KEEP = 255 };

/* Layouts of a frame's pixels: of the chroma planes of NV12 (one, U and V in turn) and I420 (U, then V) rows and columns
 * are halved, rounded up; YUYV has half the columns. Every pixel takes the chroma of its block; RGB is the nearest to the
 * formulas of the matrix. */
enum {
    PARE_PIXELS_RGB,
    PARE_PIXELS_BGR,
    PARE_PIXELS_RGBA, /* alpha is passed over */
    PARE_PIXELS_BGRA,
    PARE_PIXELS_GRAY,
    PARE_PIXELS_NV12,
    PARE_PIXELS_I420,
    PARE_PIXELS_YUYV,
    PARE_PIXELS_COUNT
};

/* What luma and chroma mean: one matrix, and FULL where 0..255 is used instead of 16..235. */
enum { PARE_COLOR_BT601 = 0, PARE_COLOR_BT709 = 1, PARE_COLOR_FULL = 16 };

/* What a block's prediction says. STILL: every vector of the block is zero. */
enum { PARE_BLOCK_INTRA, PARE_BLOCK_MOVED, PARE_BLOCK_STILL };

/* What a decoder knows about a frame, in blocks of the upright picture; the last row and column may hang over. */
typedef struct pare_motion {
    uint32_t struct_size;
    int32_t frame_type; /* 'I', 'P', 'B'; 0 = unknown */
    int32_t block;      /* pixels a side: 16 */
    int32_t rows, cols; /* blocks */
    /* [rows, cols, 2] x (right), y (down) in quarter pixels, the longest of the block's: how the content moved, as time
     * runs, between the picture it is predicted from and this one, however far apart they are; 0, 0 where intra. */
    const int16_t *vector;
    const uint8_t *kind; /* [rows, cols] PARE_BLOCK_* */
} pare_motion;

/* One picture, upright. Borrowed for the call it is passed to. In an array of frames all have one struct_size. */
typedef struct pare_frame {
    uint32_t struct_size;
    const uint8_t *rgb; /* [height, width, 3], rows `stride` bytes apart; of other layouts the first plane */
    int64_t stride;     /* bytes; may be negative */
    int32_t width, height;
    int32_t rotation; /* degrees clockwise (0, 90, 180, 270) that made the stored picture upright */
    double pts;       /* seconds */
    double duration;  /* seconds; 0 if unknown */
    /* Must-keep and ignore, over the upright picture at any resolution, or NULL: a unit that touches an IGNORE pixel
     * never gets past the first site, one that touches a KEEP pixel (and no IGNORE one) stays a row of its own. */
    const uint8_t *mask; /* [mask_height, mask_width] PARE_MASK_*, dense */
    int32_t mask_width, mask_height;
    /* The caller's own score of every unit of the grid (score `given`), or NULL; the size must be the grid's. */
    const float *scores; /* [scores_height, scores_width], higher = keep */
    int32_t scores_width, scores_height;
    int32_t mirrored;        /* 1: the stored picture was mirrored left to right before it was turned by `rotation` */
    int32_t pixels;          /* PARE_PIXELS_* */
    int32_t color;           /* PARE_COLOR_* of NV12, I420, YUYV */
    const uint8_t *plane[2]; /* planes behind the first, NULL where the layout has none; PARE_PIXELS_* */
    int64_t plane_stride[2]; /* bytes */
    /* What the decoder predicted this frame from, or NULL. Blocks that are STILL and whose pixels pass a cheap check keep
     * the pixels of the frame before: they are not resized again. Scores read it (score `codec`). */
    const pare_motion *motion;
} pare_frame;

#ifdef __cplusplus
}
#endif
#endif
