/* SPDX-License-Identifier: MIT */
/* Products in registers (core/mul.h) at the shapes of attention, one head: scores q [n, hd] . k [n, hd]^T and values
 * p [n, n] . v [n, hd]; beside them BLAS on the same operands where they lie, in rows of the packed q | k | v. */
#include <stdlib.h>
#include <stdio.h>

#include "core/vec.h"
#include "encode/backend.h"
#include "kernels.h"

enum { SAMPLES = 15, CALLS = 4 };

typedef struct shape {
    const char *name;
    int64_t n, head_dim, dim;
} shape;

static const shape shapes[] = {
    {"ViT-B/16@224", 197, 64, 768},       {"DINOv2-S/14@224", 257, 64, 384},   {"ViT-L/14@336", 577, 64, 1024},
    {"SigLIP-So400m@384", 729, 72, 1152}, {"Qwen2.5-VL window", 64, 80, 1280},
};

/* One product, m x n x k. */
typedef struct job {
    const pare__mul *mul; /* or NULL: gemm */
    const pare__gemm *gemm;
    int is_scores; /* b is [n, k] */
    int64_t m, n, k, lda, ldb, ldc;
    const float *a, *b;
    float *packed, *c;
} job;

static void pack(void *arg)
{
    const job *j = arg;
    for (int i = 0; i < CALLS; i++) (j->is_scores ? j->mul->pack_t : j->mul->pack)(j->packed, j->b, j->ldb, j->k, j->n);
}

static void run_mul(void *arg)
{
    const job *j = arg;
    for (int i = 0; i < CALLS; i++) j->mul->run(j->m, j->n, j->k, j->a, j->lda, j->packed, j->c, j->ldc);
}

static void run_gemm(void *arg)
{
    const job *j = arg;
    for (int i = 0; i < CALLS; i++)
        (j->is_scores ? j->gemm->nt : j->gemm->nn)(j->m, j->n, j->k, 1, j->a, j->lda, j->b, j->ldb, 0, j->c, j->ldc);
}

static void print_job(const kernels *k, const char *name, job *j, int with_head)
{
    char text[64], size[64];
    bench_times packing = {.n = 0};
    if (j->mul) packing = bench_repeat(pack, j, SAMPLES, 0);
    const bench_times t = bench_repeat(j->mul ? run_mul : run_gemm, j, SAMPLES, 0);
    const double flop = 2.0 * (double)j->m * (double)j->n * (double)j->k * CALLS;
    const double peak = bench_peak_of(k->peak, k->n_peak, "f32");
    snprintf(text, sizeof text, "%s %s", name, j->is_scores ? "scores" : "values");
    snprintf(size, sizeof size, "%lld x %lld x %lld", (long long)j->m, (long long)j->n, (long long)j->k);
    const bench_cell cells[] = {
        BENCH_TEXT("product", text, 25),
        BENCH_TEXT("m x n x k", size, 15),
        BENCH_TEXT("by", j->mul ? j->mul->name : j->gemm->name, 8),
        BENCH_NUMBER("pack us", bench_p50(&packing) / CALLS * 1e3, 2),
        BENCH_NUMBER("us", bench_p50(&t) / CALLS * 1e3, 2),
        BENCH_NUMBER("p95", bench_p95(&t) / CALLS * 1e3, 2),
        BENCH_NUMBER("GFLOP/s", flop / bench_p50(&t) * 1e-6, 1),
        BENCH_NUMBER("of peak", flop / bench_p50(&t) * 1e-6 / peak, 3),
    };
    BENCH_PRINT(k->json, with_head, cells);
}

/* a, b and c of the two products of one head; q | k | v lie side by side in `qkv` [n, 3 dim]. */
static job make_job(const shape *s, int is_scores, const float *qkv, const float *scores)
{
    const int64_t ld = 3 * s->dim;
    job j = {.is_scores = is_scores, .m = s->n, .lda = ld, .ldb = ld, .n = s->n, .k = s->head_dim, .ldc = s->n};
    j.a = qkv;
    j.b = qkv + s->dim;
    if (is_scores) return j;
    j.a = scores;
    j.lda = s->n;
    j.b = qkv + 2 * s->dim;
    j.n = s->head_dim;
    j.k = s->n;
    j.ldc = s->dim;
    return j;
}

static void run_shape(const kernels *k, const shape *s, int with_head)
{
    float *qkv = bench_floats(s->n * 3 * s->dim, 1, 1), *scores = bench_floats(s->n * s->n, 2, 1);
    float *c = bench_alloc(s->n * (s->n > s->dim ? s->n : s->dim), sizeof *c);
    for (int is_scores = 1; is_scores >= 0; is_scores--) {
        job j = make_job(s, is_scores, qkv, scores);
        j.c = c;
        j.gemm = pare__backends[0]->gemm;
        print_job(k, s->name, &j, with_head && is_scores);
        for (int32_t t = 0; pare__vec_at(t); t++) {
            j.mul = pare__vec_at(t)->mul;
            j.packed = bench_alloc(pare__mul_size(j.mul, j.k, j.n), sizeof(float));
            print_job(k, s->name, &j, 0);
            free(j.packed);
        }
    }
    free(qkv);
    free(scores);
    free(c);
}

void kernels_mul(const kernels *k)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) run_shape(k, &shapes[i], i == 0);
}
