/* SPDX-License-Identifier: MIT */
/* Tensor files: one struct that safetensors.c and gguf.c fill after full validation. The file stays mapped. */
#ifndef PARE_MODEL_TENSORFILE_H
#define PARE_MODEL_TENSORFILE_H

#include <jansson.h>
#include <pare/pare.h>

enum { PARE__Q8_0 = 100 }; /* internal dtype of GGUF: 32 values in 34 bytes */

struct pare_tensors {
    char *path;
    void *map;         /* mmap of the whole file, or NULL when `bytes` are the caller's (fuzzing) */
    size_t map_size;
    pare_tensor *t;    /* [n], names and data borrowed from below and the mapping */
    int64_t *n_bytes;  /* [n] */
    int64_t n;
    int32_t *by_name;  /* [n] sorted by name */
    char *names;       /* storage */
    json_t *meta;      /* safetensors: __metadata__; GGUF: every key-value as JSON (arrays too) */
    int is_gguf;
};

int pare__safetensors_open(pare_tensors **out, const char *path, pare_error *err);
int pare__gguf_open(pare_tensors **out, const char *path, pare_error *err);
/* Same over bytes in memory (kept by the caller), for fuzzing; `path` only names them in messages. */
int pare__safetensors_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err);
int pare__gguf_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err);
void pare__tensors_free(pare_tensors **t);
const pare_tensor *pare__tensors_find(const pare_tensors *t, const char *name);
/* Any dtype, Q8_0 included, to f32. */
void pare__tensor_f32(const pare_tensor *t, float *out);
int64_t pare__tensor_count(const pare_tensor *t);
/* Bytes of n elements (0 when n is no whole number of blocks). */
int64_t pare__dtype_bytes(int32_t dtype, int64_t n);
const char *pare__dtype_name(int32_t dtype); /* "F32" */

#endif
