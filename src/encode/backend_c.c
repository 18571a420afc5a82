/* SPDX-License-Identifier: MIT */
/* Plain C products: the oracle that every other backend is tested against. f32 and bf16 with double accumulation, 8-bit
 * numbers exactly. Prepared weights: bf16 [n_out, n_in], int8 [n_out, n_in]. */
#include <string.h>

#include "core/mem.h"
#include "core/vec.h"
#include "encode/backend.h"
#include "encode/engine_gemm.h"

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

static void release(pare__prepared *p) { pare__free(p->impl); }

static int no_memory(const pare__prepared *p, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
}

/* ---- f32 --------------------------------------------------------------------------------------------------------- */

static int product_f32(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    (void)scratch;
    return pare__gemm_product(&pare__gemm_c, p, panel, rows, x, acc);
}

/* ---- bf16 -------------------------------------------------------------------------------------------------------- */

static int prepare_bf16(pare__prepared *p, const float *w, pare_error *err)
{
    const int64_t n = (int64_t)p->n_out * p->n_in;
    p->impl = pare__malloc(n, (int64_t)sizeof(uint16_t));
    if (!p->impl) return no_memory(p, err);
    pare__vec_c.f32_to_bf16(p->impl, w, n);
    return 0;
}

static double widen(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return (double)x;
}

static int product_bf16(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    const pare__columns c = pare__panel_columns(p, panel);
    const uint16_t *w = (const uint16_t *)p->impl + (int64_t)c.first * p->n_in;
    (void)scratch;
    for (int64_t i = 0; i < rows; i++) {
        const uint16_t *row = (const uint16_t *)x + i * pare__operand_stride(PARE__OPERAND_BF16, p->n_in);
        for (int64_t j = 0; j < c.n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < p->n_in; k++) sum += widen(row[k]) * widen(w[j * p->n_in + k]);
            ((float *)acc)[i * c.n + j] = (float)sum;
        }
    }
    return 0;
}

/* ---- int8 -------------------------------------------------------------------------------------------------------- */

static int prepare_int8(pare__prepared *p, const float *w, pare_error *err)
{
    p->impl = pare__malloc((int64_t)p->n_out * p->n_in, 1);
    p->scale = pare__malloc(p->n_out, (int64_t)sizeof(float));
    p->sum = pare__malloc(p->n_out, (int64_t)sizeof(int32_t));
    if (!p->impl || !p->scale || !p->sum) return no_memory(p, err);
    pare__quantise_weights(w, p->n_out, p->n_in, p->impl, p->scale, p->sum);
    return 0;
}

static int product_int8(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    const pare__columns c = pare__panel_columns(p, panel);
    const int8_t *w = (const int8_t *)p->impl + (int64_t)c.first * p->n_in;
    (void)scratch;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)x + i * pare__operand_stride(PARE__OPERAND_U8, p->n_in);
        for (int64_t j = 0; j < c.n; j++) {
            int32_t sum = 0;
            for (int64_t k = 0; k < p->n_in; k++) sum += row[k] * w[j * p->n_in + k];
            ((int32_t *)acc)[i * c.n + j] = sum;
        }
    }
    return 0;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

enum { TILE_ROWS = 64, PANEL_COLS = 192, CHAIN_ROWS = 128 };

static const pare__engine engine_f32 = {
    .needs = "",
    .operand = PARE__OPERAND_F32,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .borrows = 1,
    .runs = pare__engine_always,
    .is_fast = pare__engine_never,
    .prepare = pare__gemm_prepare,
    .release = pare__gemm_release,
    .product = product_f32,
};

static const pare__engine engine_bf16 = {
    .needs = "",
    .operand = PARE__OPERAND_BF16,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = pare__engine_always,
    .is_fast = pare__engine_never,
    .prepare = prepare_bf16,
    .release = release,
    .product = product_bf16,
};

static const pare__engine engine_int8 = {
    .needs = "",
    .operand = PARE__OPERAND_U8,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = pare__engine_always,
    .is_fast = pare__engine_never,
    .prepare = prepare_int8,
    .release = release,
    .product = product_int8,
};

const pare__backend pare__backend_c = {
    .name = "c",
    .summary = "plain C: the reference of the others, slow",
    .gemm = &pare__gemm_c,
    .dense = &pare__dense_c,
    .init = init,
    .describe = describe,
    .engine = {[PARE__F32] = &engine_f32, [PARE__BF16] = &engine_bf16, [PARE__INT8] = &engine_int8},
};
