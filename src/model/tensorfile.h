/* SPDX-License-Identifier: MIT */
/* Tensor files: one struct that safetensors.c and gguf.c fill after full validation. The file stays mapped. */
#ifndef PARE_MODEL_TENSORFILE_H
#define PARE_MODEL_TENSORFILE_H

#include <jansson.h>
#include <pare/pare.h>

#include "core/mem.h"

/* Block formats of GGUF, then the first of the dtypes that are listed but cannot be read (F8, Q2_K, ...). */
enum {
    PARE__Q8_0 = 100,
    PARE__Q4_0,
    PARE__Q4_1,
    PARE__Q5_0,
    PARE__Q5_1,
    PARE__Q4_K,
    PARE__Q5_K,
    PARE__Q6_K,
    PARE__OPAQUE
};

struct pare_tensors {
    char *path;
    void *map; /* mmap of the whole file, or NULL when `bytes` are the caller's (fuzzing) */
    size_t map_size;
    pare_tensor *t;   /* [n], names and data borrowed from below and the mapping */
    int64_t *n_bytes; /* [n] */
    int64_t n;
    int64_t n_public;  /* t[0..n_public) have public dtypes; block formats and opaque ones follow */
    int32_t *by_name;  /* [n] sorted by name */
    pare__arena names; /* storage */
    json_t *meta;      /* safetensors: __metadata__; GGUF: every key-value as JSON (arrays too) */
    int is_gguf;
};

/* A file that starts with "GGUF" or is called *.gguf must be one, everything else safetensors.
 * Errors: NOTFOUND (no such file), IO, FORMAT, UNSUPPORTED (GGUF version), LIMIT. */
int pare__tensors_open(pare_tensors **out, const char *path, pare_error *err);
int pare__safetensors_open(pare_tensors **out, const char *path, pare_error *err);
int pare__gguf_open(pare_tensors **out, const char *path, pare_error *err);
/* Same over bytes in memory (kept by the caller), for fuzzing; `path` only names them in messages. */
int pare__safetensors_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err);
int pare__gguf_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err);
void pare__tensors_free(pare_tensors **t);
const pare_tensor *pare__tensors_find(const pare_tensors *t, const char *name);
/* Any readable dtype, block formats included, to f32. */
void pare__tensor_f32(const pare_tensor *t, float *out);
/* Its elements from .. from + n; both are whole numbers of blocks. */
void pare__tensor_f32_part(const pare_tensor *t, int64_t from, int64_t n, float *out);
/* n elements, whole blocks, of a block format other than Q8_0; 0: `dtype` is none. */
int pare__dequantise(int32_t dtype, const uint8_t *blocks, int64_t n, float *out);
int64_t pare__tensor_count(const pare_tensor *t);
/* Bytes of n elements (0 when n is no whole number of blocks). */
int64_t pare__dtype_bytes(int32_t dtype, int64_t n);
const char *pare__dtype_name(int32_t dtype); /* "F32" */
/* Can serve as a weight: F32, F16, BF16, F64, and the block formats that are read. */
int pare__dtype_is_weight(int32_t dtype);

/* ---- for the two parsers ------------------------------------------------------------------------------------- */

/* dtype of a safetensors name or a ggml type number; -1 if unknown. */
int32_t pare__dtype_from_name(const char *name);
int32_t pare__dtype_from_ggml(int32_t type);
/* Elements per block: rows of quantised types are whole blocks. */
int64_t pare__dtype_block(int32_t dtype);

/* An empty struct with room for n tensors and its own copy of `path`. Errors: NOMEM. */
int pare__tensors_create(pare_tensors **out, const char *path, int64_t n, pare_error *err);
/* Copies a name into t->names; NULL when memory is short. */
const char *pare__tensors_name(pare_tensors *t, const char *name, size_t size);
/* Bytes that the shape needs. Errors: FORMAT (negative dimension, overflow, no whole number of blocks). */
int pare__tensors_measure(const pare_tensors *t, const pare_tensor *tensor, int64_t *n_bytes, pare_error *err);
/* Public dtypes first, then the index by name. Errors: FORMAT (a name twice). */
int pare__tensors_index(pare_tensors *t, pare_error *err);

/* Maps a whole file read-only; an empty one gives NULL and 0. Errors: NOTFOUND, IO. */
int pare__file_map(const char *path, void **map, size_t *size, pare_error *err);
void pare__file_unmap(void *map, size_t size);
/* Whole pages inside leave memory: those of a file come back when read, others as zeros. */
void pare__file_unneed(const void *bytes, int64_t n);

#endif
