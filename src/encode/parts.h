/* SPDX-License-Identifier: MIT */
/* The parts of the encoder among themselves. Everything that multiplies runs as tasks of the pool whose cut depends on
 * the shape only, so one thread and many give the same bytes. */
#ifndef PARE_ENCODE_PARTS_H
#define PARE_ENCODE_PARTS_H

#include "core/clock.h"
#include "core/pool.h"
#include "encode/encoder.h"

enum {
    PARE__TALL = 384,             /* a linear layer with more rows than this is cut by rows too */
    PARE__TILE_COLS = 192,        /* about the columns of its tiles, at most TILE_COLS + GRAIN_COLS */
    PARE__GRAIN_COLS = 32,        /* columns are cut at multiples of this */
    PARE__ROW_GRAIN = 32,         /* rows of a task that only walks over rows */
    PARE__SCORE_FLOATS = 1 << 17, /* about the attention scores of a tile */
    /* scratch of a worker: the two tiles of a gated layer */
    PARE__TILE_FLOATS = 2 * PARE__TALL * (PARE__TILE_COLS + PARE__GRAIN_COLS)
};

/* Who computes, with what, and where a worker may scribble. */
typedef struct pare__exec {
    pare__pool *pool; /* NULL = the caller alone */
    const pare__vec *vec;
    const pare__gemm *gemm;
    float *scratch;       /* [workers, scratch_size] */
    int64_t scratch_size; /* floats per worker */
} pare__exec;

/* ---- linear.c ------------------------------------------------------------------------------------------------- */

typedef enum {
    PARE__EPILOGUE_BIAS,    /* y = x W^T + b */
    PARE__EPILOGUE_ACT,     /* y = act(x W^T + b) */
    PARE__EPILOGUE_GATED,   /* y[:, :n_out/2] = silu(first half of x W^T + b) * second half */
    PARE__EPILOGUE_RESIDUAL /* y += scale * (x W^T + b) */
} pare__epilogue;

typedef struct pare__linear_job {
    const pare__linear *linear;
    const float *x; /* [rows, n_in], ldx floats between rows */
    int64_t ldx;
    float *y; /* [rows, n_out], ldy floats between rows */
    int64_t ldy;
    int64_t rows;
    pare__epilogue epilogue;
    pare__act act;
    const float *scale; /* [n_out] or NULL = 1 */
} pare__linear_job;

void pare__linear_run(const pare__exec *ex, const pare__linear_job *job);
/* out [rows, d] = norm(x [rows, d]); x may be out. */
void pare__norm_run(const pare__exec *ex, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t rows, int64_t d, float *out);

/* ---- attention.c ---------------------------------------------------------------------------------------------- */

typedef struct pare__attention_job {
    const float *qkv; /* [n, 3 n_head head_dim]: q | k | v, heads within */
    int32_t n_head, head_dim;
    int32_t n_seg;
    const int64_t *cu;     /* [n_seg + 1] */
    const float *log_size; /* [n] bias of the keys, or NULL */
    float *out;            /* [n, n_head head_dim] */
    float *part;           /* [2 n_head, n] scratch: per-head rows of what follows */
    float *cls_row;        /* [n] query 0 of each segment, mean over heads, or NULL */
    float *col_mean;       /* [n] mean over heads and queries of the segment, or NULL */
} pare__attention_job;

void pare__attention_run(const pare__exec *ex, const pare__attention_job *job);

/* ---- embed.c, interp.c ---------------------------------------------------------------------------------------- */

/* A position table at one grid size. */
typedef struct pare__positions {
    int32_t rows, cols;
    float *table; /* [rows, cols, dim] */
    struct pare__positions *next;
} pare__positions;

/* [rows, cols, dim] positions of the patches on this grid: made at first use, then cached. NULL when memory is short. */
const float *pare__positions_get(pare__positions **cache, const pare_model *m, int32_t rows, int32_t cols);
void pare__positions_free(pare__positions **cache);
/* in [rows, cols, d] -> out [out_rows, out_cols, d]; 0 or PARE_E_NOMEM. Identity when the sizes match. */
int pare__interp_table(pare__interp kind, const float *in, int32_t rows, int32_t cols, int32_t d, float *out,
                       int32_t out_rows, int32_t out_cols);

/* ---- the encoder ---------------------------------------------------------------------------------------------- */

/* The map of a site spread over all rows of the pack: prefix rows map to themselves. */
typedef struct pare__spread {
    pare_map m;
    int64_t *row_start;
    int32_t *index, *anchor;
    float *weight, *gain;
    int64_t cap_row_start, cap_index, cap_weight, cap_anchor, cap_gain;
} pare__spread;

struct pare__encoder {
    const pare_model *m;
    pare__exec ex;
    pare__encode_plan plan;
    pare__pack pack;
    pare__capture *capture; /* [n_capture] all of the plan, in the order in which they are taken */
    int32_t n_capture;
    pare__capture *live; /* [n_capture] those of the pack: copies of entries of `capture` */
    int32_t n_taken;     /* entries taken in this run */
    int32_t width;       /* of `wide`: the largest of im2col row, qkv, MLP */
    float *wide;         /* [cap_rows, width] */
    float *h;            /* [cap_rows, dim] normalised input or attention output */
    float *spare;        /* [cap_rows, dim] where a map writes */
    int32_t *spare_thw;  /* [cap_rows, 3] */
    float *log_size;     /* [cap_rows] */
    float *part;         /* [2 n_head, cap_rows] */
    float *value;        /* [3, 256] what the network sees of a u8 value */
    pare__positions *positions;
    const float **seg_pos; /* [cap_rows] position table of each segment */
    pare__map map;         /* of the site's callback */
    pare__spread spread;
    int64_t *seg_out;   /* [cap_rows + 1] */
    double callback_ms; /* spent in on_site during this run */
};

/* Segments into pack rows: patches times the patch weights, positions by original place, prefix rows. */
int pare__embed_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err);
/* One pre-norm block with its sites and captures. */
int pare__block_run(pare__encoder *e, int32_t block, pare_error *err);
/* Memory for the capture `what` of this block, now part of the pack; NULL if the plan does not want it. To be called in
 * the order in which the encoder made its captures. */
float *pare__capture_take(pare__encoder *e, int32_t block, uint32_t what);
/* Calls on_site and shrinks every array that has one row per token. */
int pare__site_run(pare__encoder *e, int32_t block, pare__phase phase, pare_error *err);
void pare__spread_fini(pare__spread *s);
int pare__stage_emit(const pare__encoder *e, const char *name, int32_t block, const float *data, int64_t width,
                     pare_error *err);

#endif
