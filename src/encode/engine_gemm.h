/* SPDX-License-Identifier: MIT */
/* An engine out of any table of matrix products: weights stay as they are, f32. */
#ifndef PARE_ENCODE_ENGINE_GEMM_H
#define PARE_ENCODE_ENGINE_GEMM_H

#include "core/gemm.h"
#include "encode/engine.h"

/* The work behind `product` of such an engine; `impl` of p is W [n_out, n_in], borrowed. */
int pare__gemm_product(const pare__gemm *gemm, const pare__prepared *p, int32_t panel, int64_t rows, const void *x,
                       void *acc);
int pare__gemm_prepare(pare__prepared *p, const float *w, pare_error *err);
void pare__gemm_release(pare__prepared *p);
int pare__engine_always(void);
int pare__engine_never(void);

#endif
