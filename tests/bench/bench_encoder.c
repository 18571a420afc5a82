/* SPDX-License-Identifier: MIT */
/* How much of the machine the encoder gets out:
 *
 *     bench_encoder [-s SHAPE|all] [-B BATCH] [-t THREADS] [-b BACKEND|all] [-p PRECISION] [-n ROUNDS] [--bar RATIO] [--json]
 *
 * Random weights, every token, no selector. In every round a batch is encoded and BLAS multiplies 2048 x 2048 x 2048, as many
 * products at once as there are threads; medians. Without -B batches of 1 and 16, without -t 1 and 2 threads, without -s ViT-B;
 * -b all: every engine of this CPU but the oracle. `of sgemm`: operations per second of the encoder over those of sgemm; `of
 * peak`: over what the CPU does on registers at that precision. Exit 1 when `of sgemm` is below the bar. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_model.h"
#include "bench_util.h"
#include "encode/backend.h"

enum { BIG = 2048, MAX_THREADS = 64, MAX_BATCH = 256, MAX_ROUNDS = 99, NAME_SIZE = 64 };

typedef struct options {
    const char *shape, *backend, *precision;
    int32_t batch, threads, rounds, json; /* batch, threads: 0 = both */
    double bar;
} options;

typedef struct machine {
    options o;
    bench_peak peak[BENCH_MAX_PEAKS];
    int32_t n_peak, n_line, n_below;
    const float *a, *b;
    float *c; /* [threads, BIG, BIG] */
} machine;

/* One encoder and what its rounds took. */
typedef struct run {
    const bench_shape *shape;
    pare__engine_choice engine;
    int32_t batch, threads;
    pare__encoder *encoder;
    const pare__segment *seg; /* [batch] */
    bench_times encode, sgemm;
    double flops;
} run;

static void fail(const pare_error *err)
{
    fprintf(stderr, "bench_encoder: %s\n", err->text);
    exit(2);
}

/* ---- rounds ------------------------------------------------------------------------------------------------- */

static void one_sgemm(void *arg, int64_t task, int32_t worker)
{
    const machine *m = arg;
    (void)worker;
    pare__backends[0]->gemm->nt(BIG, BIG, BIG, 1, m->a, BIG, m->b, BIG, 0, m->c + task * BIG * BIG, BIG);
}

/* In as many packs as the encoder makes of it; operations. */
static double encode(const run *r)
{
    double flops = 0;
    pare_error err;
    for (int32_t i = 0, n; i < r->batch; i += n) {
        const pare__pack *pack;
        n = pare__encoder_fit(r->encoder, r->seg + i, r->batch - i);
        if (pare__encoder_run(r->encoder, r->seg + i, n, &pack, NULL, &err) < 0) fail(&err);
        flops += pack->flops;
    }
    return flops;
}

static void run_rounds(machine *m, run *r, pare__pool *pool)
{
    r->flops = encode(r);
    for (int32_t i = 0; i < m->o.rounds; i++) {
        double start = bench_now();
        encode(r);
        bench_add(&r->encode, bench_now() - start);
        start = bench_now();
        pare__pool_run(pool, r->threads, one_sgemm, m);
        bench_add(&r->sgemm, bench_now() - start);
    }
}

static void print_run(machine *m, const run *r)
{
    char name[NAME_SIZE];
    const double gops = r->flops / bench_p50(&r->encode) * 1e-6;
    const double sgemm = 2e-6 * BIG * BIG * BIG * r->threads / bench_p50(&r->sgemm);
    const double peak = r->threads * bench_peak_of(m->peak, m->n_peak, pare__precision_name(r->engine.precision));
    bench_engine_name(&r->engine, name, sizeof name);
    const bench_cell cells[] = {
        BENCH_TEXT("shape", r->shape->name, 15),
        BENCH_TEXT("engine", name, 16),
        BENCH_NUMBER("batch", r->batch, 0),
        BENCH_NUMBER("threads", r->threads, 0),
        BENCH_NUMBER("ms/pic", bench_p50(&r->encode) / r->batch, 2),
        BENCH_NUMBER("p95", bench_p95(&r->encode) / r->batch, 2),
        BENCH_NUMBER("Gop/s", gops, 1),
        BENCH_NUMBER("sgemm", sgemm, 1),
        BENCH_NUMBER("of sgemm", gops / sgemm, 3),
        BENCH_NUMBER("of peak", peak > 0 ? gops / peak : NAN, 3),
    };
    BENCH_PRINT(m->o.json, m->n_line++ == 0, cells);
    fflush(stdout);
    m->n_below += gops / sgemm < m->o.bar;
}

/* ---- cases -------------------------------------------------------------------------------------------------- */

static void run_case(machine *m, const bench_model *model, run *r)
{
    const pare__encode_plan plan = {.engine = r->engine.engine};
    pare__pool *pool = NULL;
    uint8_t *rgb;
    pare_error err;
    pare__segment *seg = bench_pictures(r->shape, r->batch, &rgb);
    r->seg = seg;
    if (pare__pool_create(&pool, r->threads, &err) < 0) fail(&err);
    if (pare__encoder_create(&r->encoder, &model->m, pool, &plan, 0, &err) < 0) fail(&err);
    run_rounds(m, r, pool);
    print_run(m, r);
    pare__encoder_free(&r->encoder);
    pare__pool_free(&pool);
    free(seg);
    free(rgb);
}

static void run_engine(machine *m, const bench_shape *s, const bench_model *model, const pare__engine_choice *engine)
{
    static const int32_t batches[] = {1, 16};
    for (int i = 0; i < 2; i++) {
        for (int32_t threads = 1; threads <= 2; threads++) {
            run r = {.shape = s, .engine = *engine, .batch = batches[i], .threads = threads};
            if (m->o.batch && i) continue;
            if (m->o.threads && threads > 1) continue;
            if (m->o.batch) r.batch = m->o.batch;
            if (m->o.threads) r.threads = m->o.threads;
            run_case(m, model, &r);
        }
    }
}

static void run_shape(machine *m, const bench_shape *s)
{
    bench_model *model = bench_model_make(s, s->n_layer);
    pare__engine_choice engine;
    pare_error err;
    if (m->o.backend && !strcmp(m->o.backend, "all")) {
        for (int32_t i = 0; pare__engine_at(i, &engine); i++)
            if (engine.backend != &pare__backend_c && engine.engine->runs()) run_engine(m, s, model, &engine);
    } else {
        if (pare__engine_choose(m->o.backend, m->o.precision, &engine, &err) < 0) fail(&err);
        run_engine(m, s, model, &engine);
    }
    bench_model_free(model);
}

static void describe(const machine *m)
{
    pare_runtime_info info = {.struct_size = sizeof info};
    pare__backends[0]->describe(&info);
    if (m->o.json) return;
    printf("%s, core %s, vector kernels %s\n", info.blas, info.blas_core, pare__vec_best()->name);
}

/* ---- main --------------------------------------------------------------------------------------------------- */

static int parse(int argc, char **argv, options *o)
{
    static const struct option names[] = {{"shape", 1, 0, 's'},   {"batch", 1, 0, 'B'},     {"threads", 1, 0, 't'},
                                          {"backend", 1, 0, 'b'}, {"precision", 1, 0, 'p'}, {"rounds", 1, 0, 'n'},
                                          {"bar", 1, 0, 'x'},     {"json", 0, 0, 'j'},      {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "s:B:t:b:p:n:", names, NULL)) != -1;) {
        if (c == 's')
            o->shape = strcmp(optarg, "all") ? optarg : "";
        else if (c == 'B')
            o->batch = atoi(optarg);
        else if (c == 't')
            o->threads = atoi(optarg);
        else if (c == 'b')
            o->backend = optarg;
        else if (c == 'p')
            o->precision = optarg;
        else if (c == 'n')
            o->rounds = atoi(optarg);
        else if (c == 'x')
            o->bar = atof(optarg);
        else if (c == 'j')
            o->json = 1;
        else
            return 0;
    }
    return optind == argc && o->rounds > 0 && o->rounds <= MAX_ROUNDS && o->batch >= 0 && o->batch <= MAX_BATCH &&
           o->threads >= 0 && o->threads <= MAX_THREADS && bench_shape_find(o->shape);
}

int main(int argc, char **argv)
{
    machine m = {.o = {.shape = "ViT-B", .rounds = 7}};
    pare_error err;
    if (!parse(argc, argv, &m.o)) {
        fprintf(stderr, "usage: bench_encoder [-s SHAPE|all] [-B BATCH] [-t THREADS] [-b BACKEND|all] [-p PRECISION] "
                        "[-n ROUNDS] [--bar RATIO] [--json]\n");
        return 2;
    }
    if (pare__backends[0]->init(NULL, &err) < 0) fail(&err);
    const int32_t threads = m.o.threads > 2 ? m.o.threads : 2;
    float *a = bench_floats(BIG * BIG, 1, 1), *b = bench_floats(BIG * BIG, 2, 1);
    m.a = a;
    m.b = b;
    m.c = bench_alloc((int64_t)threads * BIG * BIG, sizeof *m.c);
    m.n_peak = bench_peaks(m.peak);
    describe(&m);
    for (const bench_shape *s = bench_shapes; s->name; s++)
        if (!*m.o.shape || bench_shape_find(m.o.shape) == s) run_shape(&m, s);
    free(a);
    free(b);
    free(m.c);
    return m.n_below > 0;
}
