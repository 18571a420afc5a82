/* SPDX-License-Identifier: MIT */
/* Tensors and the files that hold them: safetensors, GGUF. Conventions as in pare.h, which includes this header. */
#ifndef PARE_TENSOR_H
#define PARE_TENSOR_H

#include <pare/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PARE_F32, PARE_F16, PARE_BF16, PARE_F64, PARE_I32, PARE_I64, PARE_U8, PARE_I8, PARE_BOOL, PARE_DTYPE_COUNT };

#define PARE_MAX_DIMS 8

typedef struct pare_tensor {
    const char *name;
    int32_t dtype;
    int32_t n_dim;
    int64_t shape[PARE_MAX_DIMS];
    const void *data; /* little-endian, not necessarily aligned when it comes from a file */
} pare_tensor;

/* A safetensors file (or GGUF, whose block formats, Q8_0 and its like, do not appear here), memory-mapped and fully
 * validated. Immutable; any number of threads. */
typedef struct pare_tensors pare_tensors;

/* Errors: IO, FORMAT, LIMIT; the text names the file and the tensor. */
PARE_API int pare_tensors_open(pare_tensors **out, const char *path, pare_error *err);
PARE_API void pare_tensors_close(pare_tensors **t);
PARE_API int64_t pare_tensors_count(const pare_tensors *t);
/* i-th tensor, or the one called `name`; NULL if there is none. Borrowed from `t`. */
PARE_API const pare_tensor *pare_tensors_at(const pare_tensors *t, int64_t i);
PARE_API const pare_tensor *pare_tensors_find(const pare_tensors *t, const char *name);
/* Value of a `__metadata__` key, or NULL. */
PARE_API const char *pare_tensors_meta(const pare_tensors *t, const char *key);
/* Number of elements; 1 for a scalar. */
PARE_API int64_t pare_tensor_count(const pare_tensor *t);
/* Converts all elements to f32 (any dtype). `out` holds pare_tensor_count() floats. */
PARE_API void pare_tensor_to_f32(const pare_tensor *t, float *out);
/* Writes a safetensors file: temporary file beside it, fsync, rename; on failure nothing is left.
 * `meta`: n_meta pairs key, value. Errors: IO, INVALID (duplicate name). */
PARE_API int pare_tensors_save(const char *path, const pare_tensor *t, int64_t n, const char *const (*meta)[2],
                               int64_t n_meta, pare_error *err);

#ifdef __cplusplus
}
#endif
#endif
