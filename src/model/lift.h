/* SPDX-License-Identifier: MIT */
/* Tensors of any weight dtype brought to f32, all of a checkpoint at once and in parallel: first planned, then run. */
#ifndef PARE_MODEL_LIFT_H
#define PARE_MODEL_LIFT_H

#include "model/tensorfile.h"

struct pare__store;

/* Where the elements of a tensor go, and what is added to them. */
typedef struct pare__layout {
    int64_t inner, stride; /* element i goes to i / inner * stride + i % inner */
    int64_t rows, cols;    /* rows > 0: instead, every [rows, cols] of the tensor becomes [cols, rows] at its place */
    float plus;
} pare__layout;

/* A run of elements of one tensor: the work of one thread at a time. */
typedef struct pare__piece {
    const pare_tensor *t;
    const char *name; /* of the tensor that is told when a value is bad */
    int64_t from, n;  /* elements of t; from is a whole number of blocks */
    float *to;        /* of the whole tensor; NULL: only looked at, t is f32 */
    pare__layout how;
    int is_bad; /* holds a NaN or an infinity */
} pare__piece;

/* Zero is a valid, empty plan. */
typedef struct pare__lift {
    pare__piece *piece; /* [n_piece] */
    int64_t n_piece, cap_piece;
    int64_t n_float; /* of all pieces */
} pare__lift;

/* Plans a tensor; see pare__piece. t, name and to must last until the run; `how` may be NULL: one after the other.
 * Errors: NOMEM, without message. */
int pare__lift_add(pare__lift *l, const pare_tensor *t, const char *name, float *to, const pare__layout *how);
/* Converts and checks everything; what was converted out of a file of `s` (NULL: none) leaves memory again.
 * Errors: FORMAT (the first planned tensor that is not finite; `path` is named). */
int pare__lift_run(pare__lift *l, const struct pare__store *s, const char *path, pare_error *err);
/* Converts once more what went to x [n]. */
void pare__lift_again(const pare__lift *l, const struct pare__store *s, const float *x, int64_t n);
void pare__lift_fini(pare__lift *l);

#endif
