/* SPDX-License-Identifier: MIT */
/* Elements per nanosecond of every row kernel, for each table that runs here, on rows of 3072 floats in the first-level
 * cache: the MLP of a ViT-B. Kernels that work in place on values that would run away start from a copy, whose time counts. */
#include <stdlib.h>
#include <string.h>

#include "core/vec.h"
#include "kernels.h"

enum { ROW = 3072, CALLS = 64, SAMPLES = 31, MAX_TABLES = 4 };

typedef struct rows {
    float *x, *y, *w, *b; /* [ROW] */
    int32_t *acc, *sum;   /* [ROW] */
    uint8_t *bytes;       /* [4 ROW] */
    float scale;          /* written by kernels that return a number */
    int32_t zero;
} rows;

typedef struct kernel {
    const char *name;
    void (*run)(const pare__vec *v, rows *r);
} kernel;

/* ---- the kernels -------------------------------------------------------------------------------------------- */

static void copy(rows *r) { memcpy(r->y, r->x, ROW * sizeof *r->y); }

static void dot(const pare__vec *v, rows *r) { r->scale = v->dot(r->x, r->w, ROW); }
static void sum(const pare__vec *v, rows *r) { r->scale = v->sum(r->x, ROW); }
static void max(const pare__vec *v, rows *r) { r->scale = v->max(r->x, ROW); }
static void axpy(const pare__vec *v, rows *r) { v->axpy(r->y, 1e-9f, r->x, ROW); }
static void layer_norm(const pare__vec *v, rows *r) { v->layer_norm(r->y, r->x, r->w, r->b, ROW, 1e-6f); }
static void rms_norm(const pare__vec *v, rows *r) { v->rms_norm(r->y, r->x, r->w, ROW, 1e-6f); }
static void bias(const pare__vec *v, rows *r) { v->bias(r->y, r->y, r->b, ROW); }
static void silu_mul(const pare__vec *v, rows *r) { v->silu_mul(r->y, r->x, r->w, ROW); }
static void residual(const pare__vec *v, rows *r) { v->residual(r->y, r->x, r->b, r->w, ROW); }
static void sad_u8(const pare__vec *v, rows *r) { r->scale = (float)v->sad_u8(r->bytes, r->bytes + ROW, ROW); }
static void q8_0_to_f32(const pare__vec *v, rows *r) { v->q8_0_to_f32(r->y, r->bytes, ROW); }
static void quantise(const pare__vec *v, rows *r) { v->quantise(r->bytes, r->x, ROW, &r->scale, &r->zero); }
static void f32_to_bf16(const pare__vec *v, rows *r) { v->f32_to_bf16((uint16_t *)(void *)r->bytes, r->x, ROW); }

/* The exponentials, which attention divides later. */
static void softmax_raw(const pare__vec *v, rows *r)
{
    copy(r);
    r->scale = v->softmax_raw(r->y, ROW, 0.125f, NULL);
}

static void softmax(const pare__vec *v, rows *r)
{
    copy(r);
    v->softmax(r->y, ROW, 0.125f, NULL);
}

static void bias_gelu(const pare__vec *v, rows *r) { v->bias_gelu(r->y, r->x, r->b, ROW); }

static void bias_gelu_tanh(const pare__vec *v, rows *r) { v->bias_gelu_tanh(r->y, r->x, r->b, ROW); }

static void bias_gelu_quick(const pare__vec *v, rows *r) { v->bias_gelu_quick(r->y, r->x, r->b, ROW); }

/* Pairs: ROW elements are turned. */
static void rotate(const pare__vec *v, rows *r) { v->rotate(r->y, r->y + ROW / 2, r->w, r->b, ROW / 2); }

static void f16_to_f32(const pare__vec *v, rows *r)
{
    v->f16_to_f32(r->y, (const uint16_t *)(const void *)r->bytes, ROW);
}

static void bf16_to_f32(const pare__vec *v, rows *r)
{
    v->bf16_to_f32(r->y, (const uint16_t *)(const void *)r->bytes, ROW);
}

static pare__product8 product_of(const rows *r)
{
    static const float scale[4] = {.01f, .01f, .01f, .01f};
    static const int32_t zero[4] = {7, 8, 9, 10};
    return (pare__product8){r->acc, scale, zero, r->w, r->b, r->sum, 4, ROW / 4};
}

static void dequantise(const pare__vec *v, rows *r)
{
    const pare__product8 p = product_of(r);
    v->dequantise(r->y, ROW / 4, &p);
}

static void dequantise_add(const pare__vec *v, rows *r)
{
    const pare__product8 p = product_of(r);
    v->dequantise_add(r->y, ROW / 4, &p, r->b);
}

static void dequantise_gelu(const pare__vec *v, rows *r)
{
    const pare__product8 p = product_of(r);
    v->dequantise_gelu(r->y, ROW / 4, &p);
}

static void dequantise_gelu_quick(const pare__vec *v, rows *r)
{
    const pare__product8 p = product_of(r);
    v->dequantise_gelu_quick(r->y, ROW / 4, &p);
}

static const kernel list[] = {
    {"dot", dot},
    {"sum", sum},
    {"max", max},
    {"axpy", axpy},
    {"layer_norm", layer_norm},
    {"rms_norm", rms_norm},
    {"copy, softmax", softmax},
    {"copy, softmax_raw", softmax_raw},
    {"bias", bias},
    {"bias_gelu", bias_gelu},
    {"bias_gelu_tanh", bias_gelu_tanh},
    {"bias_gelu_quick", bias_gelu_quick},
    {"silu_mul", silu_mul},
    {"residual", residual},
    {"rotate", rotate},
    {"sad_u8", sad_u8},
    {"f16_to_f32", f16_to_f32},
    {"bf16_to_f32", bf16_to_f32},
    {"q8_0_to_f32", q8_0_to_f32},
    {"quantise", quantise},
    {"dequantise", dequantise},
    {"dequantise_add", dequantise_add},
    {"dequantise_gelu", dequantise_gelu},
    {"dequantise_gelu_quick", dequantise_gelu_quick},
    {"f32_to_bf16", f32_to_bf16},
};

/* ---- timing ------------------------------------------------------------------------------------------------- */

typedef struct job {
    const pare__vec *vec;
    const kernel *which;
    rows *rows;
} job;

static void run_calls(void *arg)
{
    const job *j = arg;
    for (int i = 0; i < CALLS; i++) j->which->run(j->vec, j->rows);
}

/* Numbers that no kernel runs away from. */
static void fill(rows *r)
{
    for (int64_t i = 0; i < ROW; i++) {
        r->x[i] = (float)(i * 7919 % 1000) / 125 - 4;
        r->y[i] = r->w[i] = 1;
        r->b[i] = 0.01f;
        r->acc[i] = (int32_t)(i * 104729 % 200001) - 100000;
        r->sum[i] = (int32_t)(i % 512) - 256;
    }
    bench_bytes(r->bytes, 4 * ROW, 1);
}

static void run_kernel(const kernels *k, const kernel *which, int with_head)
{
    float *f = bench_alloc(6 * ROW, sizeof *f);
    rows r = {f, f + ROW, f + 2 * ROW, f + 3 * ROW, bench_alloc(ROW, 4), bench_alloc(ROW, 4), (uint8_t *)(f + 4 * ROW),
              0, 0};
    bench_cell cells[MAX_TABLES + 3] = {BENCH_TEXT("elements/ns", which->name, 21)};
    int32_t n = 1;
    double slow = 0;
    for (int32_t t = 0; t < MAX_TABLES && pare__vec_at(t); t++) {
        job j = {pare__vec_at(t), which, &r};
        fill(&r);
        const bench_times times = bench_repeat(run_calls, &j, SAMPLES, 0);
        cells[n++] = (bench_cell){j.vec->name, NULL, (double)ROW * CALLS / bench_p50(&times) * 1e-6, 2};
        slow = (double)ROW * CALLS / bench_p95(&times) * 1e-6;
    }
    cells[n] = (bench_cell){"p95", NULL, slow, 2};
    cells[n + 1] = (bench_cell){"over c", NULL, cells[n - 1].value / cells[1].value, 1};
    bench_print(k->json, with_head, cells, n + 2);
    free(f);
    free(r.acc);
    free(r.sum);
}

void kernels_vec(const kernels *k)
{
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) run_kernel(k, &list[i], i == 0);
}
