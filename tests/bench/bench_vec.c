/* SPDX-License-Identifier: MIT */
/* bench_vec [N]: nanoseconds per element of every vector kernel, for each table that runs here, on rows of N floats
 * (default 3072, in the first-level cache). Best of several runs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/vec.h"

enum { MAX_N = 1 << 20, REPEATS = 7 };

typedef struct rows {
    float *x, *y, *w, *b; /* [n] each */
    uint8_t *bytes;       /* [4 n] */
    int64_t n;
} rows;

static volatile float sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_dot(const pare__vec *v, const rows *r) { sink = v->dot(r->x, r->y, r->n); }
static void run_axpy(const pare__vec *v, const rows *r) { v->axpy(r->y, 1e-9f, r->x, r->n); }
static void run_layer_norm(const pare__vec *v, const rows *r) { v->layer_norm(r->y, r->x, r->w, r->b, r->n, 1e-6f); }
static void run_softmax(const pare__vec *v, const rows *r)
{
    memcpy(r->y, r->x, (size_t)r->n * sizeof *r->y);
    v->softmax(r->y, r->n, 0.125f, NULL);
}
static void run_gelu(const pare__vec *v, const rows *r)
{
    memcpy(r->y, r->x, (size_t)r->n * sizeof *r->y);
    v->bias_gelu(r->y, r->b, r->n);
}
static void run_gelu_tanh(const pare__vec *v, const rows *r)
{
    memcpy(r->y, r->x, (size_t)r->n * sizeof *r->y);
    v->bias_gelu_tanh(r->y, r->b, r->n);
}
static void run_silu(const pare__vec *v, const rows *r) { v->silu_mul(r->y, r->x, r->w, r->n); }
static void run_residual(const pare__vec *v, const rows *r)
{
    memcpy(r->y, r->x, (size_t)r->n * sizeof *r->y);
    v->residual(r->y, r->x, r->b, r->w, r->n);
}
static void run_sad(const pare__vec *v, const rows *r) { sink = (float)v->sad_u8(r->bytes, r->bytes + r->n, r->n); }
static void run_f16(const pare__vec *v, const rows *r)
{
    v->f16_to_f32(r->y, (const uint16_t *)(const void *)r->bytes, r->n);
}
static void run_q8_0(const pare__vec *v, const rows *r) { v->q8_0_to_f32(r->y, r->bytes, r->n / 32 * 32); }
static void run_quantise(const pare__vec *v, const rows *r)
{
    float scale;
    int32_t zero;
    v->quantise(r->bytes, r->x, r->n, &scale, &zero);
    sink = scale;
}
static void run_dequantise(const pare__vec *v, const rows *r)
{
    const int32_t *numbers = (const int32_t *)(const void *)r->bytes;
    v->dequantise(r->y, numbers, r->w, numbers, r->n, 1e-9f, 3);
}
static void run_bf16(const pare__vec *v, const rows *r) { v->f32_to_bf16((uint16_t *)(void *)r->bytes, r->x, r->n); }

static const struct {
    const char *name;
    void (*run)(const pare__vec *, const rows *);
} kernels[] = {{"dot", run_dot},           {"axpy", run_axpy},         {"layer_norm", run_layer_norm},
               {"softmax", run_softmax},   {"gelu", run_gelu},         {"gelu_tanh", run_gelu_tanh},
               {"silu_mul", run_silu},     {"residual", run_residual}, {"sad_u8", run_sad},
               {"f16_to_f32", run_f16},    {"q8_0_to_f32", run_q8_0},  {"dequantise", run_dequantise},
               {"quantise", run_quantise}, {"f32_to_bf16", run_bf16}};

static double ns_per_element(const pare__vec *v, const rows *r, void (*run)(const pare__vec *, const rows *))
{
    int64_t calls = 1 + 2000000 / r->n;
    double best = 1e9;

    for (int k = 0; k < REPEATS; k++) {
        double start = now();
        for (int64_t i = 0; i < calls; i++) run(v, r);
        double ns = (now() - start) * 1e9 / (double)calls / (double)r->n;
        best = ns < best ? ns : best;
    }
    return best;
}

static int rows_make(rows *r, int64_t n)
{
    float *block = calloc((size_t)n * 5, sizeof *block);

    if (!block) return 1;
    *r = (rows){block, block + n, block + 2 * n, block + 3 * n, (uint8_t *)(block + 4 * n), n};
    for (int64_t i = 0; i < n; i++) {
        r->x[i] = (float)((i * 7919) % 1000) / 125 - 4;
        r->y[i] = r->w[i] = 1;
        r->b[i] = 0.01f;
        r->bytes[i] = (uint8_t)(i * 31);
    }
    return 0;
}

int main(int argc, char **argv)
{
    rows r;
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 3072;

    if (n < 32 || n > MAX_N || rows_make(&r, n)) {
        fprintf(stderr, "usage: bench_vec [N], N from 32 to %d\n", MAX_N);
        return 2;
    }
    printf("%-12s", "ns/element");
    for (int32_t t = 0; pare__vec_at(t); t++) printf("%10s", pare__vec_at(t)->name);
    printf("\n");
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
        printf("%-12s", kernels[k].name);
        for (int32_t t = 0; pare__vec_at(t); t++) printf("%10.3f", ns_per_element(pare__vec_at(t), &r, kernels[k].run));
        printf("\n");
    }
    free(r.x);
    return 0;
}
