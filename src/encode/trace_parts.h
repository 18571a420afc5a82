/* SPDX-License-Identifier: MIT */
/* The parts of a trace among themselves: what is read, how rows of the encoder become rows of a stage, what follows the
 * encoder. */
#ifndef PARE_ENCODE_TRACE_PARTS_H
#define PARE_ENCODE_TRACE_PARTS_H

#include <pare/pare.h>

#include "encode/encoder.h"
#include "encode/trace_batch.h"
#include "encode/trace_grid.h"

/* What a row of a stage is: a row of the pack; a unit, prefix rows left out. */
typedef enum { PARE__ROWS_ALL, PARE__ROWS_UNITS, PARE__ROWS_KINDS } pare__rows_kind;

/* Rows of the encoder in the order of the family's own implementation: [n, rows]. */
typedef struct pare__layout {
    int32_t n;      /* items; 0: the stage has no axis for them */
    int64_t rows;   /* of an item, or of all */
    int32_t *order; /* [n rows] the row that comes there, -1 = padding: zeros; NULL = as they are */
} pare__layout;

typedef struct pare__trace_run {
    const pare_model *m;
    const pare_trace_opts *opts;
    pare_stage_fn stage;
    void *user;
    int is_flat; /* grids, else batch */
    pare__grids grids;
    pare__batch batch;
    pare__layout layout[PARE__ROWS_KINDS];
    float *sorted; /* scratch of a stage */
    int64_t cap_sorted;
    int rc; /* first failure while the encoder was calling back */
    pare_error failure;
} pare__trace_run;

/* trace_rows.c. Layouts of batch or grids (then after pare__grids_give). Errors: LIMIT, NOMEM. */
int pare__trace_layouts(pare__trace_run *t, pare_error *err);
void pare__trace_layouts_free(pare__trace_run *t);
/* trace_rows.c. Gives a stage of this shape; EXTERNAL when the receiver stopped. */
int pare__trace_give(const pare__trace_run *t, const char *name, const float *data, const int64_t *shape, int32_t n_dim,
                     pare_error *err);
/* trace_rows.c. Gives rows of the encoder: [n, rows, width], [rows, width] without items; attn.* without width. */
int pare__trace_rows(pare__trace_run *t, pare__rows_kind kind, const char *name, const float *data, int64_t width,
                     pare_error *err);
/* trace_pack.c. `projected`: y [units, d_out] as the language model receives it. */
int pare__trace_projected(pare__trace_run *t, const float *y, int64_t d_out, pare_error *err);
/* trace_heads.c. What is made of the last tokens of every item of a batch. */
int pare__trace_heads(pare__trace_run *t, const pare__pack *pack, pare_error *err);
/* trace_heads.c. Rotary angles of the patches of the first picture. */
int pare__trace_angles(const pare__trace_run *t, pare_error *err);

#endif
