/* SPDX-License-Identifier: MIT */
/* pare's own products in registers (core/mul.h, core/mul8.h): each panel of the weights is packed once, transposed into the
 * order in which it is read. No library behind it, nothing is compiled while it runs, any number of rows costs the same. */
#include <string.h>

#include "core/mem.h"
#include "core/mul8.h"
#include "core/vec.h"
#include "encode/backend.h"
#include "encode/engine_gemm.h"

enum { TILE_ROWS = 72, PANEL_COLS = 192, CHAIN_ROWS = 128 };

static int no_memory(const pare__prepared *p, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
}

static void release(pare__prepared *p) { pare__free(p->impl); }

/* ---- f32 --------------------------------------------------------------------------------------------------------- */

static int64_t floats_of_panel(const pare__prepared *p)
{
    return pare__mul_size(pare__vec_best()->mul, p->n_in, PANEL_COLS + PARE__GRAIN_COLS);
}

static int prepare_f32(pare__prepared *p, const float *w, pare_error *err)
{
    const pare__mul *mul = pare__vec_best()->mul;
    const int64_t size = floats_of_panel(p);
    p->impl = pare__malloc(p->n_part * p->n_panel * size, (int64_t)sizeof(float));
    if (!p->impl) return no_memory(p, err);
    for (int32_t i = 0; i < p->n_part * p->n_panel; i++) {
        const pare__columns c = pare__panel_columns(p, i);
        mul->pack_t((float *)p->impl + i * size, w + (int64_t)c.first * p->n_in, p->n_in, p->n_in, c.n);
    }
    return 0;
}

static int product_f32(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    const pare__columns c = pare__panel_columns(p, panel);
    (void)scratch;
    pare__vec_best()->mul->run(rows, c.n, p->n_in, x, pare__float_stride(p->n_in),
                               (const float *)p->impl + panel * floats_of_panel(p), acc, c.n);
    return 0;
}

/* ---- int8 -------------------------------------------------------------------------------------------------------- */

static int64_t bytes_of_panel(const pare__prepared *p)
{
    return pare__mul8_size(pare__mul8_best(), p->n_in, PANEL_COLS + PARE__GRAIN_COLS);
}

static int prepare_int8(pare__prepared *p, const float *w, pare_error *err)
{
    const int64_t size = bytes_of_panel(p);
    int8_t *q = pare__malloc((int64_t)p->n_out * p->n_in, 1);
    p->impl = pare__malloc(p->n_part * p->n_panel * size, 1);
    p->scale = pare__malloc(p->n_out, (int64_t)sizeof(float));
    p->sum = pare__malloc(p->n_out, (int64_t)sizeof(int32_t));
    const int ok = q && p->impl && p->scale && p->sum;
    if (ok) pare__quantise_weights(w, p->n_out, p->n_in, q, p->scale, p->sum);
    for (int32_t i = 0; ok && i < p->n_part * p->n_panel; i++) {
        const pare__columns c = pare__panel_columns(p, i);
        pare__mul8_best()->pack_t((int8_t *)p->impl + i * size, q + (int64_t)c.first * p->n_in, p->n_in, c.n);
    }
    pare__free(q);
    return ok ? 0 : no_memory(p, err);
}

static int product_int8(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    const pare__columns c = pare__panel_columns(p, panel);
    (void)scratch;
    pare__mul8_best()->run(rows, c.n, p->n_in, x, pare__operand_stride(PARE__OPERAND_U8, p->n_in),
                           (const int8_t *)p->impl + panel * bytes_of_panel(p), NULL, acc, c.n);
    return 0;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static int has_vnni(void) { return pare__mul8_best() != NULL; }

/* Measured on Zen 4: faster than OpenBLAS and oneDNN at every number of rows. */
static int has_avx512(void) { return strcmp(pare__vec_best()->name, "avx512") == 0; }

static const pare__engine engine_f32 = {
    .needs = "",
    .operand = PARE__OPERAND_F32,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = pare__engine_always,
    .is_fast = has_avx512,
    .prepare = prepare_f32,
    .release = release,
    .product = product_f32,
};

static const pare__engine engine_int8 = {
    .needs = "avx512_vnni",
    .operand = PARE__OPERAND_U8,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .narrow_attention = 1,
    .runs = has_vnni,
    .is_fast = has_vnni,
    .prepare = prepare_int8,
    .release = release,
    .product = product_int8,
};

const pare__backend pare__backend_native = {
    .name = "native",
    .summary = "pare's own kernels: weights packed once, no library behind them",
    .engine = {[PARE__F32] = &engine_f32, [PARE__INT8] = &engine_int8},
};
