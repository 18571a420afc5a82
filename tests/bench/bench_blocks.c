/* SPDX-License-Identifier: MIT */
/* Where the time of a block goes:
 *
 *     bench_blocks [-s SHAPE] [-t THREADS] [-b BACKEND] [-p PRECISION] [--json]
 *
 * One block of ViT-B, DINOv2-S and ViT-L (random weights) on one picture and on as many of 16 as the encoder takes at once:
 * its parts one by one, then the whole of it. `of peak`: of what the CPU does on registers, times the threads, at the engine's
 * precision. */

/* The parts are block.c's own functions: it is compiled into this file, under another name for its entry. */
#define pare__block_run bench_block_run
#include "encode/block.c"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench_model.h"
#include "bench_util.h"
#include "encode/backend.h"

enum { MANY = 16, SAMPLES = 9, BUDGET_MS = 400, NAME_SIZE = 64 };

typedef struct options {
    const char *shape, *backend, *precision;
    int32_t threads, json;
} options;

typedef struct machine {
    options o;
    pare__engine_choice engine;
    bench_peak peak[BENCH_MAX_PEAKS];
    int32_t n_peak;
    int32_t n_line;
} machine;

/* ---- parts of the block, by the functions of block.c themselves ---------------------------------------------- */

static void run_steps(pare__encoder *e, unsigned steps)
{
    pass p = prepare(e, 0);
    run(&p, steps);
}

static void run_qkv(void *arg) { run_steps(arg, QKV); }
static void run_attention(void *arg) { run_steps(arg, ATTENTION | PROJ); }
static void run_mlp(void *arg) { run_steps(arg, MLP); }

static void run_block(void *arg)
{
    pare_error err;
    if (pare__block_run(arg, 0, &err) == 0) return;
    fprintf(stderr, "bench_blocks: %s\n", err.text);
    exit(2);
}

static const struct part {
    const char *name;
    void (*run)(void *encoder);
} parts[] = {{"norm + qkv", run_qkv},
             {"attention + proj", run_attention},
             {"norm + MLP + residual", run_mlp},
             {"whole block", run_block}};

enum { N_PART = sizeof parts / sizeof parts[0] };

/* ---- lines -------------------------------------------------------------------------------------------------- */

/* Milliseconds of a picture. */
static double print_part(machine *m, const bench_shape *s, const struct part *part, pare__encoder *e, double sum)
{
    char engine[NAME_SIZE];
    const char *precision = pare__precision_name(m->engine.precision);
    const bench_times t = bench_repeat(part->run, e, SAMPLES, BUDGET_MS);
    e->pack.flops = 0;
    part->run(e);
    const double ms = bench_p50(&t), gops = e->pack.flops / ms * 1e-6;
    const double peak = m->o.threads * bench_peak_of(m->peak, m->n_peak, precision);
    bench_engine_name(&m->engine, engine, sizeof engine);
    const bench_cell cells[] = {
        BENCH_TEXT("shape", s->name, 15),
        BENCH_TEXT("engine", engine, 16),
        BENCH_TEXT("part", part->name, 21),
        BENCH_NUMBER("pictures", e->pack.n_seg, 0),
        BENCH_NUMBER("rows", (double)e->pack.n, 0),
        BENCH_NUMBER("ms/pic", ms / e->pack.n_seg, 3),
        BENCH_NUMBER("p95", bench_p95(&t) / e->pack.n_seg, 3),
        BENCH_NUMBER("Gop/s", gops, 1),
        BENCH_NUMBER("of peak", peak > 0 ? gops / peak : NAN, 3),
        BENCH_NUMBER("of parts", sum > 0 ? ms / e->pack.n_seg / sum : NAN, 3),
    };
    BENCH_PRINT(m->o.json, m->n_line++ == 0, cells);
    fflush(stdout);
    return ms / e->pack.n_seg;
}

static void run_shape(machine *m, const bench_shape *s, int32_t pictures, pare__pool *pool)
{
    const pare__encode_plan plan = {.engine = m->engine.engine};
    const pare__pack *pack;
    pare__encoder *e = NULL;
    pare_error err;
    uint8_t *rgb;
    bench_model *model = bench_model_make(s, 1);
    pare__segment *seg = bench_pictures(s, pictures, &rgb);
    int rc = pare__encoder_create(&e, &model->m, pool, &plan, 0, &err);
    if (rc == 0) rc = pare__encoder_run(e, seg, pare__encoder_fit(e, seg, pictures), &pack, NULL, &err);
    if (rc < 0) {
        fprintf(stderr, "bench_blocks: %s\n", err.text);
        exit(2);
    }
    double sum = 0;
    for (int i = 0; i + 1 < N_PART; i++) sum += print_part(m, s, &parts[i], e, 0);
    print_part(m, s, &parts[N_PART - 1], e, sum);
    pare__encoder_free(&e);
    bench_model_free(model);
    free(seg);
    free(rgb);
}

/* ---- main --------------------------------------------------------------------------------------------------- */

static int parse(int argc, char **argv, options *o)
{
    static const struct option names[] = {{"shape", 1, 0, 's'},     {"threads", 1, 0, 't'}, {"backend", 1, 0, 'b'},
                                          {"precision", 1, 0, 'p'}, {"json", 0, 0, 'j'},    {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "s:t:b:p:", names, NULL)) != -1;) {
        if (c == 's')
            o->shape = optarg;
        else if (c == 't')
            o->threads = atoi(optarg);
        else if (c == 'b')
            o->backend = optarg;
        else if (c == 'p')
            o->precision = optarg;
        else if (c == 'j')
            o->json = 1;
        else
            return 0;
    }
    return optind == argc && o->threads > 0 && bench_shape_find(o->shape);
}

int main(int argc, char **argv)
{
    machine m = {.o = {.shape = "", .threads = 1}};
    pare__pool *pool = NULL;
    pare_error err;
    if (!parse(argc, argv, &m.o)) {
        fprintf(stderr, "usage: bench_blocks [-s SHAPE] [-t THREADS] [-b BACKEND] [-p PRECISION] [--json]\n");
        return 2;
    }
    int rc = pare__backends[0]->init(NULL, &err);
    if (rc == 0) rc = pare__engine_choose(m.o.backend, m.o.precision, &m.engine, &err);
    if (rc == 0) rc = pare__pool_create(&pool, m.o.threads, &err);
    if (rc < 0) return fprintf(stderr, "bench_blocks: %s\n", err.text), 2;
    m.n_peak = bench_peaks(m.peak);
    for (const bench_shape *s = bench_shapes; s->name; s++) {
        if (bench_shape_find(m.o.shape) != s && *m.o.shape) continue;
        run_shape(&m, s, 1, pool);
        run_shape(&m, s, MANY, pool);
    }
    pare__pool_free(&pool);
    return 0;
}
