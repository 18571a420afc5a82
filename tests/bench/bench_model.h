/* SPDX-License-Identifier: MIT */
/* ViTs of public shapes with random weights, in memory: no files, any number of blocks. */
#ifndef PARE_TESTS_BENCH_MODEL_H
#define PARE_TESTS_BENCH_MODEL_H

#include "encode/engine.h"
#include "encode/parts.h"

typedef struct bench_shape {
    const char *name;
    int32_t dim, n_layer, n_head, mlp_dim, patch, grid, has_scale;
} bench_shape;

extern const bench_shape bench_shapes[]; /* ends with a NULL name */
/* By a part of its name; NULL if there is none. */
const bench_shape *bench_shape_find(const char *part);

enum { BENCH_MODEL_ARRAYS = 16 * 32 };

typedef struct bench_model {
    pare_model m;
    void *owned[BENCH_MODEL_ARRAYS];
    int32_t n_owned;
} bench_model;

/* The first n_layer blocks of a shape. */
bench_model *bench_model_make(const bench_shape *s, int32_t n_layer);
void bench_model_free(bench_model *b);

/* n pictures of the shape's size. Free with free(). */
pare__segment *bench_pictures(const bench_shape *s, int32_t n, uint8_t **rgb);

/* "onednn int8": name of an engine. */
void bench_engine_name(const pare__engine_choice *c, char *to, int64_t size);

#endif
