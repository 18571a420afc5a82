/* SPDX-License-Identifier: MIT */
/* The parts of the encoder among themselves. Everything that multiplies runs as tasks of the pool whose cut depends on
 * the shape only, so one thread and many give the same bytes. */
#ifndef PARE_ENCODE_PARTS_H
#define PARE_ENCODE_PARTS_H

#include <stdatomic.h>

#include "core/clock.h"
#include "core/narrow.h"
#include "core/pool.h"
#include "encode/encoder.h"
#include "encode/engine_weights.h"

enum {
    PARE__ROW_GRAIN = 32,        /* rows of a task that only walks over rows */
    PARE__TILE_FLOATS = 88 << 10 /* a product of any engine: its tile_rows * (panel_cols + PARE__GRAIN_COLS) at most */
};

/* Who computes, with what, and where a worker may scribble. */
typedef struct pare__exec {
    pare__pool *pool; /* NULL = the caller alone */
    const pare__vec *vec;
    const pare__narrow *narrow; /* what attention multiplies by instead of floats, or NULL */
    float *scratch;             /* [workers, scratch_size] */
    int64_t scratch_size;       /* floats per worker */
    char *operand;      /* rows as the engine multiplies them: room for those of any layer, whole cache lines each */
    float *row_scale;   /* [cap_rows] of 8-bit operands */
    int32_t *row_zero;  /* [cap_rows] */
    atomic_int *failed; /* set to 1 when the engine's library fails */
    double *flops;      /* counts what is multiplied, or NULL; written by the calling thread only */
} pare__exec;

/* ---- linear.c ------------------------------------------------------------------------------------------------- */

typedef enum {
    PARE__EPILOGUE_BIAS,    /* y = x W^T + b */
    PARE__EPILOGUE_ACT,     /* y = act(x W^T + b) */
    PARE__EPILOGUE_GATED,   /* y[:, :n_out/2] = act(first half of x W^T + b) * second half */
    PARE__EPILOGUE_RESIDUAL /* y += scale * (x W^T + b) */
} pare__epilogue;

typedef struct pare__linear_job {
    const pare__prepared *w;
    const float *bias;        /* [n_out] or NULL */
    const pare__norm_w *norm; /* of every row of x beforehand, or NULL */
    pare__norm_kind norm_kind;
    float eps;
    const float *x; /* [rows, n_in], ldx floats between rows, with room for rows rounded up to PARE__GRAIN_ROWS */
    int64_t ldx;    /* pare__float_stride(n_in) spares a copy where there is no norm */
    float *y;       /* [rows, n_out], ldy floats between rows */
    int64_t ldy;
    int64_t rows;
    pare__epilogue epilogue;
    pare__act act;
    const float *scale; /* [n_out] or NULL = 1 */
} pare__linear_job;

/* out [d] = norm(x [d]); x may be out. */
void pare__norm_row(const pare__vec *vec, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t d, float *out);
/* y [n] = act(x + b); b may be NULL, y may be x. No SILU: that is a gate. */
void pare__activate(const pare__vec *vec, pare__act act, float *y, const float *x, const float *b, int64_t n);
/* n jobs on the same rows, each reading rows that the one before it wrote; only those of the last are there afterwards. */
void pare__linear_run(const pare__exec *ex, const pare__linear_job *job, int32_t n);
/* out [rows, d] = norm(x [rows, d]); x may be out. */
void pare__norm_run(const pare__exec *ex, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t rows, int64_t d, float *out);

/* ---- attention.c ---------------------------------------------------------------------------------------------- */

typedef struct pare__attention_job {
    const float *qkv; /* [n, 3 n_head head_dim]: q | k | v, heads within */
    int32_t n_head, head_dim;
    int32_t n_seg;
    const int64_t *cu;     /* [n_seg + 1] */
    const int32_t *order;  /* [n] rows of the segments, one after the other; NULL = 0, 1, 2, ... */
    const float *log_size; /* [n] bias of the keys, -inf = nobody attends to it (padding); or NULL */
    float *out;            /* [n, n_head head_dim]; NULL = only what follows */
    int64_t ldo;           /* floats between rows of out */
    float *part;           /* [2 n_head, n] scratch: per-head rows of what follows */
    float *cls_row;        /* [n] query 0 of each segment, mean over heads, or NULL */
    float *col_mean;       /* [n] mean over heads and queries of the segment, or NULL */
    /* Rows that a segment attends to behind its own, without order and log_size; NULL = none: k | v [rows, 2 n_head
     * head_dim], which rows of them, where those of each segment begin [n_seg + 1]. cls_row and col_mean leave them out. */
    const float *past;
    const int32_t *past_row;
    const int64_t *past_cu;
} pare__attention_job;

/* Floats of scratch that a worker needs for segments of at most n rows, past ones included: keys and values of one head, a
 * tile of queries and their scores. */
int64_t pare__attention_scratch(int64_t n, int64_t head_dim);
void pare__attention_run(const pare__exec *ex, const pare__attention_job *job);

/* ---- embed.c, interp.c ---------------------------------------------------------------------------------------- */

/* A position table at one grid size. */
typedef struct pare__positions {
    int32_t rows, cols;
    float *table; /* [steps, rows, cols, dim] */
    struct pare__positions *next;
} pare__positions;

/* [steps, rows, cols, dim] positions of the patches on this grid: made at first use, then cached. NULL when memory is
 * short. */
const float *pare__positions_get(pare__positions **cache, const pare_model *m, int32_t rows, int32_t cols);
void pare__positions_free(pare__positions **cache);
/* in [rows, cols, d] -> out [out_rows, out_cols, d]; 0 or PARE_E_NOMEM. Identity when the sizes match. */
int pare__interp_table(pare__interp kind, const float *in, int32_t rows, int32_t cols, int32_t d, float *out,
                       int32_t out_rows, int32_t out_cols);

/* ---- rope.c, window.c ----------------------------------------------------------------------------------------- */

/* Angles of the coordinates of a side: of ROPE_GRID 0 .. n-1 whatever the side, of ROPE_CENTRE as many as the side has
 * patches, one side behind the other. */
typedef struct pare__rope {
    float *table; /* [n, 2, head_dim / 4] cosines, sines */
    int64_t n, cap;
    int32_t *side; /* [n_side] sides whose centres are in `table`, in that order */
    int64_t n_side, cap_side;
    int64_t *first; /* [segments of the pack, 2] rows of `table`: that of grid row 0, of grid column 0 */
    int64_t cap_first;
} pare__rope;

/* Rows of the pack by attention window. */
typedef struct pare__windows {
    int32_t *order; /* [cap_rows] rows, window by window; within one as in the pack */
    int64_t *cu;    /* [cap_rows + 1] in places of `order` */
    int32_t n;      /* windows that hold rows */
    int32_t ready;  /* since the rows last changed */
    int64_t *count; /* windows of one segment's grid */
    int64_t cap_count;
} pare__windows;

/* ---- reuse.c --------------------------------------------------------------------------------------------------- */

enum { PARE__PAST_ROWS = 1 << 16 }; /* a pack is closed before its segments attend to more past rows */

/* Keys and values of the last reference segment, and which of them the segments of the pack attend to. */
typedef struct pare__past {
    float *kv; /* [blocks, cap, 2 dim] k | v of the reference's rows; NULL = nothing is remembered */
    int64_t cap;
    int32_t *at;              /* [n_cell] place of a unit among the reference's, by raster index; -1 = it has none */
    int64_t cap_cell, n_cell; /* 0 = there is no reference yet */
    int32_t is_taken;         /* the pack's first segment is the reference */
    int32_t *row;             /* [PARE__PAST_ROWS or cap] rows of `kv`, segment by segment */
    int64_t *cu;              /* [segments of a pack + 1] */
    int64_t n;                /* = cu[n_seg]; 0: nobody attends to anything past */
} pare__past;

/* ---- the encoder ---------------------------------------------------------------------------------------------- */

/* Segments that attend to each other (hp.steps). */
typedef struct pare__groups {
    int32_t *first; /* [n + 1] segment that each starts with */
    int32_t n;
} pare__groups;

/* Consecutive segments, or groups of them, that go through a block together. */
typedef struct pare__stretch {
    int64_t row, n;     /* first row of the pack, how many */
    int32_t seg, n_seg; /* first segment of the pack, how many */
    int32_t n_extent;   /* segments of attention: each alone, or those of a group */
    const int64_t *cu;  /* [n_extent + 1] where they begin, from `row` on */
    double flops;       /* of a stretch under way */
} pare__stretch;

typedef struct pare__stretches {
    pare__stretch *at; /* [cap_rows] */
    int64_t *cu;       /* [2 cap_rows] of all stretches */
    int32_t n;
} pare__stretches;

/* Where a stretch is worked on, and by whom: rows count from its own first one. */
typedef struct pare__desk {
    pare__exec ex;
    float *wide, *h; /* [rows, widest], [rows, dim] as in the encoder */
} pare__desk;

/* Patches of a segment that are real. */
typedef struct pare__valid {
    int32_t rows, cols;
} pare__valid;

struct pare__encoder {
    const pare_model *m;
    const pare__engine_weights *weights;
    pare__engine_weights *own_weights; /* of a model that shares nothing, or NULL */
    atomic_int failed;
    pare__exec ex;
    pare__encode_plan plan;
    pare__pack pack;
    pare__capture *capture; /* [n_capture] all of the plan, in the order in which they are taken */
    int32_t n_capture;
    pare__capture *live;   /* [n_capture] those of the pack: copies of entries of `capture` */
    int32_t n_taken;       /* entries taken in this run */
    float *wide;           /* [cap_rows, wide_width] */
    int64_t wide_width;    /* the largest of im2col row, qkv, MLP, with their strides */
    int64_t operand_width; /* bytes per row of ex.operand */
    float *h;              /* [cap_rows, dim] attention output, a stride apart */
    float *spare;          /* [cap_rows, dim] where a map writes */
    int32_t *spare_thw;    /* [cap_rows, 3] */
    float *log_size;       /* [cap_rows] */
    float *part;           /* [2 n_head, cap_rows], each stretch its own [2 n_head, n] */
    float *value;          /* [3, 256] what the network sees of a u8 value */
    float *mean;           /* [cap_rows, dim] pack.tokens; NULL where a unit is one patch */
    float *stat;           /* [2, cap_rows] CLS row, column mean by row; NULL where a unit is one patch */
    float *y;              /* [cap_units, d_out] pack.y; NULL where that is x */
    float *deepstack;      /* [n_deepstack, cap_units, d_out]; NULL if there are none */
    int64_t cap_units;
    float *late; /* [cap_rows, dim] hidden state of blocks behind the tap, for the trace; NULL if there are none */
    pare__positions *positions;
    const float **seg_pos; /* [cap_rows] position table of each segment */
    pare__valid *valid;    /* [cap_rows] of each segment */
    int32_t has_padding;
    pare__groups groups;       /* empty where every segment is alone */
    pare__stretches stretches; /* of the pack as it was at the last block */
    pare__rope rope;
    pare__windows windows;
    pare__past past;
    pare__map map;      /* of the site's callback */
    int64_t *seg_out;   /* [cap_rows + 1] */
    double callback_ms; /* spent in on_site during this run */
};

/* First row of a unit of the pack and how many it has: 1 for a prefix row. `seg` must not lie behind the unit's segment
 * and is moved there. */
static inline int32_t pare__unit_rows(const pare__pack *p, int64_t unit, int32_t *seg, int64_t *row)
{
    while (p->ucu[*seg + 1] <= unit) ++*seg;
    const int64_t at = unit - p->ucu[*seg];
    const int is_prefix = at < p->n_prefix;
    *row = p->cu[*seg] + (is_prefix ? at : p->n_prefix + (at - p->n_prefix) * p->patches);
    return is_prefix ? 1 : p->patches;
}

/* Units of the pack without prefix rows. */
static inline int64_t pare__candidates(const pare__pack *p) { return p->n_unit - (int64_t)p->n_seg * p->n_prefix; }

/* [n_unit, d_out] of a tap while blocks run. */
static inline float *pare__deepstack_at(const pare__encoder *e, int32_t tap)
{
    return e->deepstack + tap * e->cap_units * e->pack.d_out;
}

/* Floats of what the projector reads of a unit. */
static inline int64_t pare__joined_width(const pare__hparams *hp)
{
    return hp->join == PARE__JOIN_MEAN ? hp->dim : (int64_t)hp->unit * hp->unit * hp->dim;
}

static inline int64_t pare__min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pare__max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t pare__ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t pare__round_up(int64_t n, int64_t grain) { return pare__ceil_div(n, grain) * grain; }

/* Tasks of PARE__ROW_GRAIN items that n items make, and the first item behind a task. */
static inline int64_t pare__grains(int64_t n) { return (n + PARE__ROW_GRAIN - 1) / PARE__ROW_GRAIN; }
static inline int64_t pare__grain_end(int64_t task, int64_t n)
{
    return (task + 1) * PARE__ROW_GRAIN < n ? (task + 1) * PARE__ROW_GRAIN : n;
}

/* reuse.c. Room for references of `cap` rows and packs of `n_seg` segments. Errors: UNSUPPORTED, NOMEM. */
int pare__past_make(pare__encoder *e, int64_t cap, int64_t n_seg, pare_error *err);
void pare__past_fini(pare__past *p);
/* reuse.c. Rows that a segment attends to in memory. */
static inline int64_t pare__past_rows(const pare__pack *p, const pare__segment *s) { return s->n_past * p->patches; }
/* reuse.c. Which segment becomes the reference, and what the others attend to. */
int pare__past_lay(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err);
/* reuse.c. k and v of e->wide into memory, where the pack begins with a reference; then what the block attends to. */
void pare__past_take(pare__encoder *e, int32_t block);
void pare__past_offer(const pare__encoder *e, int32_t block, pare__attention_job *job);
/* lay.c. Checks the segments and gives the pack its rows, units, places and sizes. */
int pare__lay_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err);
/* embed.c. Segments into pack rows: patches times the patch weights, positions by original place, prefix rows. */
int pare__embed_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err);
/* stretch.c. Cuts the pack as it is now. Then gives every stretch to fn once, which works on the desk and writes no row
 * outside of the stretch. */
typedef void (*pare__stretch_fn)(const void *arg, const pare__stretch *s, const pare__desk *d);
void pare__stretches_cut(pare__encoder *e);
void pare__stretches_run(const pare__encoder *e, pare__stretch_fn fn, const void *arg);
/* rope.c. Angles for segment `seg` of the pack, a grid of patches; 0 or PARE_E_NOMEM. Then turns q and k of a stretch's
 * qkv [n, 3 dim]. */
int pare__rope_reserve(pare__rope *r, const pare__hparams *hp, int32_t seg, int32_t grid_h, int32_t grid_w);
void pare__rope_run(const pare__encoder *e, const pare__exec *ex, const pare__stretch *s, float *qkv);
void pare__rope_fini(pare__rope *r);
/* For traces: what every channel of a head of the patch at (row, col) is multiplied by: out [grid_h grid_w, head_dim]
 * each. 0 or PARE_E_NOMEM. */
int pare__rope_tables(const pare__hparams *hp, int32_t grid_h, int32_t grid_w, float *cosine, float *sine);
/* window.c. Room for the windows of a grid of units; 0 or PARE_E_NOMEM. Then the windows of the rows that are left. */
int pare__windows_reserve(pare__windows *w, int32_t window, int64_t grid_h, int64_t grid_w);
const pare__windows *pare__windows_get(pare__encoder *e);
/* block.c. One pre-norm block with its sites and captures. */
int pare__block_run(pare__encoder *e, int32_t block, pare_error *err);
/* capture.c. out [n_unit, width]: mean over the rows of each unit of x [n, ld], first `width` columns. */
void pare__unit_means(const pare__encoder *e, const float *x, int64_t ld, int64_t width, float *out);
/* capture.c. What the plan wants of a block: tokens that enter it; q, k, v of e->wide; rows of attention to be filled by
 * pare__attention_run between begin and end. Called in this order. */
void pare__capture_tokens(pare__encoder *e, int32_t block);
void pare__capture_qkv(pare__encoder *e, int32_t block);
void pare__capture_attention_begin(pare__encoder *e, int32_t block, pare__attention_job *job);
void pare__capture_attention_end(pare__encoder *e, const pare__attention_job *job);
/* capture.c. Gives those of the block just taken to the receiver of stages, row by row. */
int pare__capture_emit(const pare__encoder *e, int32_t block, pare_error *err);
/* capture.c. The captures of a block end with it, unless a later site or the output reads them. */
void pare__capture_release(pare__encoder *e, int32_t block);
/* site.c. Calls on_site and shrinks every array that has one row per token or unit. */
int pare__site_run(pare__encoder *e, int32_t block, pare__phase phase, pare_error *err);
/* project.c. Final norm and projector: pack.y, pack.deepstack. */
int pare__project_run(pare__encoder *e, pare_error *err);
/* project.c. Projects what this block left, where a deepstack tap is. */
int pare__deepstack_run(pare__encoder *e, int32_t block, pare_error *err);
/* encoder.c. */
int pare__stage_emit(const pare__encoder *e, const char *name, int32_t block, const float *data, int64_t rows,
                     int64_t width, pare_error *err);

#endif
