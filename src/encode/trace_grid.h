/* SPDX-License-Identifier: MIT */
/* Trace of families whose pixel_values are patches side by side: pictures and clips of any size in one matrix, with
 * their grids. Rows of a step are unit by unit in raster order, patches of a unit (0,0), (0,1), (1,0), (1,1). */
#ifndef PARE_ENCODE_TRACE_GRID_H
#define PARE_ENCODE_TRACE_GRID_H

#include <pare/pare.h>

#include "core/pool.h"
#include "encode/encoder.h"

typedef struct pare__grids {
    const pare_model *m;
    int64_t *thw; /* [n, 3] patches of every picture or clip */
    int64_t n, cap;
    int64_t n_step; /* temporal steps of all of them: attention segments */
    int64_t n_row;  /* patches of all steps */
    float *pixels;  /* [n_row, width] */
    int64_t width;  /* 3 temporal P P */
    int64_t cap_pixels;
    int32_t *order; /* [n_row] rows by attention windows; NULL = the family has none */
} pare__grids;

/* From flattened pixel_values [n, width] and grid_thw [k, 3]. Errors: INVALID, LIMIT, NOMEM. */
int pare__grids_take(pare__grids *g, const pare_model *m, const pare_tensor *pixels, const pare_tensor *thw,
                     pare_error *err);
/* From frames: a picture each, or all of one clip whose last frame is repeated to fill the last step. */
int pare__grids_prepare(pare__grids *g, const pare_model *m, const pare_trace_opts *opts, const pare_frame *frames,
                        int32_t n, pare__pool *pool, pare_error *err);
/* seg [n_step] */
void pare__grids_segments(const pare__grids *g, pare__segment *seg);
/* Gives grid_thw, rope_pos, cu_seqlens and, where there are windows, window_index and cu_window_seqlens; fills `order`.
 * 1 when the receiver stopped. */
int pare__grids_give(pare__grids *g, pare_stage_fn stage, void *user, pare_error *err);
void pare__grids_fini(pare__grids *g);

#endif
