/* SPDX-License-Identifier: MIT */
/* The parts of an engine that multiplies by a pare__gemm: nothing is prepared, W [n_out, n_in] is read where it lies. */
#include "encode/engine_gemm.h"

int pare__gemm_prepare(pare__prepared *p, const float *w, pare_error *err)
{
    (void)err;
    p->impl = (void *)(uintptr_t)w;
    return 0;
}

void pare__gemm_release(pare__prepared *p) { p->impl = NULL; }

int pare__gemm_product(const pare__gemm *gemm, const pare__prepared *p, int32_t panel, int64_t rows, const void *x,
                       void *acc)
{
    const pare__columns c = pare__panel_columns(p, panel);
    const float *w = (const float *)p->impl + (int64_t)c.first * p->n_in;
    gemm->nt(rows, c.n, p->n_in, 1.0f, x, pare__float_stride(p->n_in), w, p->n_in, 0.0f, acc, c.n);
    return 0;
}

int pare__engine_always(void) { return 1; }
int pare__engine_never(void) { return 0; }
