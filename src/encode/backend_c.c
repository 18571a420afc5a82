/* SPDX-License-Identifier: MIT */
/* Plain C products with double accumulation: the oracle that every other backend is tested against. */
#include "encode/backend.h"

static int init(const char *core, pare_error *err)
{
    if (core) return pare_fail(err, PARE_E_INVALID, "backend c has no core called '%s': it has no cores at all", core);
    return 0;
}

static void describe(pare_runtime_info *info)
{
    info->blas = "plain C";
    info->blas_core = "";
    info->blas_core_best = "";
    info->blas_threads = 1;
}

const pare__backend pare__backend_c = {
    .name = "c",
    .summary = "plain C with double accumulation: the reference, slow",
    .gemm = &pare__gemm_c,
    .dense = &pare__dense_c,
    .init = init,
    .describe = describe,
};
