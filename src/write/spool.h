/* SPDX-License-Identifier: MIT */
/* Named tensors that grow along their first axis, kept in unlinked files beside the target; memory is a small buffer
 * per tensor. */
#ifndef PARE_WRITE_SPOOL_H
#define PARE_WRITE_SPOOL_H

#include <stdio.h>

#include <pare/pare.h>

typedef struct pare__spool_tensor {
    char name[64];
    int32_t dtype, n_dim;
    int64_t shape[PARE_MAX_DIMS]; /* [0] counts what was appended */
    int64_t n_bytes;
    FILE *file;
} pare__spool_tensor;

typedef struct pare__spool {
    pare__spool_tensor *t; /* [n], in order of creation */
    int64_t n, cap;
    char *(*meta)[2]; /* n_meta pairs key, value, owned */
    int64_t n_meta, cap_meta;
    const char *dir; /* where the files live, borrowed */
} pare__spool;

/* Appends rows; creates the tensor at first use. Shape is [rows, tail...]; tail and dtype must not change. Zero
 * rows still create the tensor. */
int pare__spool_append(pare__spool *s, const char *name, int32_t dtype, const int64_t *tail, int32_t n_tail,
                       const void *rows, int64_t n_rows, pare_error *err);
/* A new tensor `to` with dtype, shape and rows of `from`, which must exist. */
int pare__spool_copy(pare__spool *s, const char *from, const char *to, pare_error *err);
/* Tensors FROM.0 .. FROM.n-1 of equal dtype and shape become one, `from` [n, shape...]; without the first nothing happens. */
int pare__spool_stack(pare__spool *s, const char *from, int32_t n, pare_error *err);
/* Sets a pair; a key that is there already keeps its place and gets the new value. */
int pare__spool_meta(pare__spool *s, const char *key, const char *value, pare_error *err);
/* NULL if there is none. Borrowed until the next append. */
pare__spool_tensor *pare__spool_find(const pare__spool *s, const char *name);
/* Calls fn with the bytes of `t` in order, piece by piece, until it fails. */
typedef int (*pare__spool_fn)(void *arg, const void *bytes, size_t n, pare_error *err);
int pare__spool_read(const pare__spool_tensor *t, pare__spool_fn fn, void *arg, pare_error *err);
/* Position of every tensor in the order of files: larger elements first, then by name, so that data without holes is
 * aligned and the same tensors always give the same bytes. order [n]. */
void pare__tensor_order(const pare_tensor *t, int64_t n, int32_t *order);
/* Bytes of an element. */
int64_t pare__dtype_size(int32_t dtype);
void pare__spool_fini(pare__spool *s);

#endif
