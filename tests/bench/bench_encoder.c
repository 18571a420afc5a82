/* SPDX-License-Identifier: MIT */
/* ViT-B/16 at 224 px, batch 1, f32, random weights: effective GFLOP/s of the encoder against OpenBLAS's sgemm rate for
 * M = N = K = 2048 in the same run, rounds alternating, medians. With T threads the rate to compare with is that of T
 * products at once. 35.1 GFLOP per image. Exit 1 when a ratio is below the bar (argument 1, default 0.75; 0 = report
 * only). */
#include <stdio.h>
#include <stdlib.h>

#include "core/rank.h"
#include "encode/backend.h"
#include "encode/parts.h"

enum {
    DIM = 768,
    LAYERS = 12,
    HEADS = 12,
    MLP = 3072,
    PATCH = 16,
    GRID = 14,
    SIDE = PATCH * GRID,
    BIG = 2048,
    ROUNDS = 9
};

#define IMAGE_GFLOP 35.1

typedef struct sgemm_job {
    const float *a, *b;
    float *c;
} sgemm_job;

static float *random_floats(int64_t n, float scale)
{
    float *p = pare__malloc(n, 4);
    pare__rng r = pare__rng_make(1, (uint64_t)n, 0);
    for (int64_t i = 0; p && i < n; i++) p[i] = ((float)pare__rng_unit(&r) - 0.5f) * scale;
    return p;
}

static pare__linear make_linear(int32_t n_in, int32_t n_out)
{
    pare__linear l = {random_floats((int64_t)n_in * n_out, 0.06f), random_floats(n_out, 0.1f), n_in, n_out};
    return l;
}

static void make_model(pare_model *m)
{
    static char name[] = "vit-b16-random";
    float *one = pare__malloc(DIM, 4);
    for (int i = 0; i < DIM; i++) one[i] = 1;
    pare__norm_w norm = {one, random_floats(DIM, 0.1f)};
    m->name = m->path = name;
    m->hp = (pare__hparams){.dim = DIM,
                            .n_layer = LAYERS,
                            .n_head = HEADS,
                            .mlp_dim = MLP,
                            .patch = PATCH,
                            .temporal = 1,
                            .unit = 1,
                            .pos_rows = GRID,
                            .pos_cols = GRID,
                            .has_cls = 1,
                            .n_prefix = 1,
                            .pos_prefix = PARE__POS_CLS_ONLY,
                            .eps = 1e-6f};
    m->prep = (pare__prep_rule){.rescale = 1 / 255.0, .mean = {.5f, .5f, .5f}, .std = {.5f, .5f, .5f}};
    m->w.patch = make_linear(3 * PATCH * PATCH, DIM);
    m->w.cls = random_floats(DIM, 1);
    m->w.pos = random_floats((1 + GRID * GRID) * DIM, 1);
    m->w.norm = norm;
    m->w.block = pare__calloc(LAYERS, sizeof(pare__block_w));
    for (int i = 0; i < LAYERS; i++) {
        m->w.block[i] = (pare__block_w){.norm1 = norm,
                                        .norm2 = norm,
                                        .qkv = make_linear(DIM, 3 * DIM),
                                        .proj = make_linear(DIM, DIM),
                                        .fc1 = make_linear(DIM, MLP),
                                        .fc2 = make_linear(MLP, DIM)};
    }
}

static void free_linear(const pare__linear *l)
{
    pare__free((void *)(uintptr_t)l->w);
    pare__free((void *)(uintptr_t)l->b);
}

static void free_model(pare_model *m)
{
    for (int i = 0; i < LAYERS; i++) {
        const pare__block_w *b = &m->w.block[i];
        free_linear(&b->qkv);
        free_linear(&b->proj);
        free_linear(&b->fc1);
        free_linear(&b->fc2);
    }
    free_linear(&m->w.patch);
    free_linear(&(pare__linear){m->w.norm.w, m->w.norm.b, 0, 0});
    free_linear(&(pare__linear){m->w.cls, m->w.pos, 0, 0});
    pare__free(m->w.block);
}

static void one_sgemm(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const sgemm_job *j = arg;
    pare__backends[0]->gemm->nt(BIG, BIG, BIG, 1, j->a, BIG, j->b, BIG, 0, j->c + task * BIG * BIG, BIG);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x)
{
    qsort(x, ROUNDS, sizeof *x, by_value);
    return x[ROUNDS / 2];
}

/* Ratio of the encoder's rate to the sgemm rate. */
static double measure(const pare_model *m, const sgemm_job *job, int32_t threads)
{
    pare__pool *pool = NULL;
    pare__encoder *e = NULL;
    const pare__pack *pack;
    pare__encode_plan plan = {0};
    pare_error err;
    static uint8_t rgb[SIDE * SIDE * 3];
    pare__segment seg = {.rgb = {rgb}, .grid_h = GRID, .grid_w = GRID, .n = GRID * GRID};
    double encode[ROUNDS], sgemm[ROUNDS], stage[2] = {0};
    if (pare__pool_create(&pool, threads, &err) < 0 || pare__encoder_create(&e, m, pool, &plan, 0, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    pare__encoder_run(e, &seg, 1, &pack, NULL, &err);
    for (int i = 0; i < ROUNDS; i++) {
        double start = pare__now_ms();
        pare__encoder_run(e, &seg, 1, &pack, stage, &err);
        encode[i] = pare__now_ms() - start;
        start = pare__now_ms();
        pare__pool_run(pool, threads, one_sgemm, (void *)(uintptr_t)job);
        sgemm[i] = pare__now_ms() - start;
    }
    double rate = IMAGE_GFLOP / median(encode) * 1e3;
    double best = 2e-9 * BIG * BIG * BIG * threads / median(sgemm) * 1e3;
    printf("%d thread%s: encoder %6.1f ms (embed %.1f) = %6.1f GFLOP/s, sgemm %6.1f GFLOP/s, ratio %.3f\n", threads,
           threads > 1 ? "s" : "", median(encode), stage[0] / ROUNDS, rate, best, rate / best);
    pare__encoder_free(&e);
    pare__pool_free(&pool);
    return rate / best;
}

int main(int argc, char **argv)
{
    pare_model m = {0};
    pare_runtime_info info = {0};
    double bar = argc > 1 ? atof(argv[1]) : 0.75;
    pare__backends[0]->init(NULL, NULL);
    pare__backends[0]->describe(&info);
    printf("%s, core %s, vector kernels %s\n", info.blas, info.blas_core, pare__vec_best()->name);
    make_model(&m);
    sgemm_job job = {random_floats(BIG * BIG, 1), random_floats(BIG * BIG, 1), random_floats(2 * BIG * BIG, 1)};
    double one = measure(&m, &job, 1), two = measure(&m, &job, 2);
    free_linear(&(pare__linear){job.a, job.b, 0, 0});
    pare__free(job.c);
    free_model(&m);
    return one < bar || two < bar;
}
