/* SPDX-License-Identifier: MIT */
/* Backends: who multiplies. One const table; BLAS calls live only in backend_*.c. */
#ifndef PARE_ENCODE_BACKEND_H
#define PARE_ENCODE_BACKEND_H

#include <pare/pare.h>

#include "core/dense.h"
#include "core/gemm.h"

typedef struct pare__backend {
    const char *name, *summary;
    const pare__gemm *gemm;
    const pare__dense *dense;
    /* Chooses kernels and threads of the library behind it (pare_runtime_init); core NULL = automatic. */
    int (*init)(const char *core, pare_error *err);
    /* Fills blas, blas_core, blas_core_best, blas_threads. */
    void (*describe)(pare_runtime_info *info);
} pare__backend;

extern const pare__backend *const pare__backends[]; /* ends with NULL; [0] is the default */
extern const pare__backend pare__backend_openblas;
extern const pare__backend pare__backend_c; /* plain C, the oracle */

#endif
