/* SPDX-License-Identifier: MIT */
/* Backends: who multiplies. One const table; calls into BLAS and oneDNN live only in backend_*.c. */
#ifndef PARE_ENCODE_BACKEND_H
#define PARE_ENCODE_BACKEND_H

#include <pare/pare.h>

#include "core/dense.h"
#include "core/gemm.h"
#include "encode/engine.h"

typedef struct pare__backend {
    const char *name, *summary;
    const pare__gemm *gemm;   /* products of anything, or NULL: the default backend's */
    const pare__dense *dense; /* likewise */
    /* Chooses kernels and threads of the library behind it (pare_runtime_init); core NULL = automatic. Or NULL. */
    int (*init)(const char *core, pare_error *err);
    /* Fills blas, blas_core, blas_core_best, blas_threads. Or NULL. */
    void (*describe)(pare_runtime_info *info);
    const pare__engine *engine[PARE__PRECISIONS]; /* products with weights; NULL = not at this precision */
} pare__backend;

extern const pare__backend *const pare__backends[]; /* ends with NULL; [0] is the default */
extern const pare__backend pare__backend_openblas;
extern const pare__backend pare__backend_onednn; /* where libdnnl was found */
extern const pare__backend pare__backend_strassen;
extern const pare__backend pare__backend_native;
extern const pare__backend pare__backend_c; /* plain C, the oracle */

#endif
