/* SPDX-License-Identifier: MIT */
/* Engines: one way each to multiply by weights that stay, y [rows, n_out] = x [rows, n_in] . W^T. An engine prepares the
 * weights once (panels of columns), then multiplies row tiles by single panels; what it leaves in `acc` is finished by
 * linear.c, which knows bias, activation, gate and residual. Operands are what x must have become before:
 *   F32   x as it is                        acc f32 = x . W^T
 *   BF16  x rounded to bf16                 acc f32
 *   U8    x per row in 8 bits, unsigned     acc i32 = q . Wq^T, W in 8 bits per output channel, signed */
#ifndef PARE_ENCODE_ENGINE_H
#define PARE_ENCODE_ENGINE_H

#include <pare/pare.h>

typedef enum { PARE__F32, PARE__BF16, PARE__INT8, PARE__PRECISIONS } pare__precision;
typedef enum { PARE__OPERAND_F32, PARE__OPERAND_BF16, PARE__OPERAND_U8 } pare__operand;

enum {
    PARE__MAX_TILE_ROWS = 384,  /* of any engine */
    PARE__MAX_PANEL_COLS = 512, /* of any engine */
    PARE__GRAIN_COLS = 32,      /* panels are cut at multiples of this, or of what the engine says */
    PARE__GRAIN_ROWS = 4        /* engines may read x and write acc for rows rounded up to this */
};

/* The weights of one layer, prepared. */
typedef struct pare__prepared {
    const struct pare__engine *engine;
    int32_t n_in, n_out;
    int32_t n_part;  /* 2: the halves of n_out are cut alike (gated layers) */
    int32_t n_panel; /* per part */
    float *scale;    /* U8: [n_out] W ~ scale * Wq */
    int32_t *sum;    /* U8: [n_out] sum of Wq over n_in */
    void *impl;      /* the engine's own; NULL: nothing prepared */
} pare__prepared;

typedef struct pare__engine {
    const char *needs; /* instructions, for people; "" = none */
    pare__operand operand;
    int32_t tile_rows;    /* most rows of a product, a multiple of PARE__GRAIN_ROWS */
    int32_t panel_cols;   /* columns of a panel are about this, at most panel_cols + PARE__GRAIN_COLS */
    int32_t grain_cols;   /* panels are cut at multiples of this, which divides panel_cols; 0 = PARE__GRAIN_COLS */
    int32_t chain_rows;   /* from this many rows on, tiles go through a whole chain if there is one for every thread */
    int narrow_attention; /* attention may multiply whole numbers: its rows come of 8-bit products anyway */
    int borrows;          /* reads the weights where they lie; they must stay */
    int (*runs)(void);    /* this CPU has what it needs */
    int (*is_fast)(void); /* `auto` may take it: measured to be the fastest where this says so */
    /* Prepares w [n_out, n_in]; p's sizes and cut are filled. */
    int (*prepare)(pare__prepared *p, const float *w, pare_error *err);
    void (*release)(pare__prepared *p); /* accepts half-made ones; frees impl */
    /* acc [rows, columns of the panel] = x [rows, n_in], pare__operand_stride apart, times panel 0 .. n_part * n_panel - 1;
     * rows <= tile_rows.
     * scratch: scratch_size bytes of the calling thread, aligned to 64. Any thread. Errors: EXTERNAL (without a text). */
    int (*product)(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch);
    int64_t scratch_size;
} pare__engine;

/* Columns of panel `panel`. */
typedef struct pare__columns {
    int32_t first, n;
} pare__columns;
pare__columns pare__panel_columns(const pare__prepared *p, int32_t panel);

static inline int64_t pare__operand_size(pare__operand o)
{
    return o == PARE__OPERAND_F32 ? 4 : o == PARE__OPERAND_BF16 ? 2 : 1;
}

/* Elements between rows of n: rows a multiple of 2 KB apart would push each other out of the first-level cache. */
static inline int64_t pare__operand_stride(pare__operand o, int64_t n)
{
    return n + (n * pare__operand_size(o) % 2048 ? 0 : 64 / pare__operand_size(o));
}
static inline int64_t pare__float_stride(int64_t n) { return pare__operand_stride(PARE__OPERAND_F32, n); }

/* Fills *p and prepares w. On failure *p is empty. */
int pare__prepare(pare__prepared *p, const pare__engine *engine, const float *w, int32_t n_in, int32_t n_out,
                  int32_t n_part, pare_error *err);
void pare__prepared_fini(pare__prepared *p);
/* w [n, k] to 8 bits per row: scale = max |w| / 127 (1 for a row of zeros), q = round(w / scale) half to even; sum of q. */
void pare__quantise_weights(const float *w, int64_t n, int64_t k, int8_t *q, float *scale, int32_t *sum);

/* ---- which ----------------------------------------------------------------------------------------------------- */

/* What multiplies, by name. */
typedef struct pare__engine_choice {
    const struct pare__backend *backend;
    pare__precision precision;
    const pare__engine *engine;
} pare__engine_choice;

/* backend NULL or "auto", precision NULL = f32. Errors: INVALID (no such name; the nearest is offered), UNSUPPORTED (not
 * in this backend, or not on this CPU). */
int pare__engine_choose(const char *backend, const char *precision, pare__engine_choice *out, pare_error *err);
const char *pare__precision_name(pare__precision p);
/* i-th engine of all backends; 0 past the end. */
int pare__engine_at(int32_t i, pare__engine_choice *out);
/* Operations per second / 1e9 of one thread, weights of a ViT-B block. */
int pare__engine_measure(const pare__engine *e, double *gops, pare_error *err);

#endif
