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
    pare__spool_tensor *t;
    int32_t n, cap;
    char *(*meta)[2];  /* n_meta pairs, owned */
    int64_t n_meta;
    const char *dir;   /* directory of the target, borrowed */
} pare__spool;

/* Appends rows; creates the tensor at first use. Shape is [rows, tail...]; tail and dtype must not change. */
int pare__spool_append(pare__spool *s, const char *name, int32_t dtype, const int64_t *tail, int32_t n_tail,
                       const void *rows, int64_t n_rows, pare_error *err);
int pare__spool_meta(pare__spool *s, const char *key, const char *value, pare_error *err);
void pare__spool_fini(pare__spool *s);

#endif
