/* SPDX-License-Identifier: MIT */
/* Does every dropped token pay? Realised speed-up of a reduction over the ideal one, which is the ratio of what is
 * multiplied (pare_reducer_stats.flops), through the public API alone.
 *
 *     bench_ideal [-m MODEL] [-t THREADS] [-b BACKEND] [-p PRECISION] [-n ROUNDS] [-r ROWS] [--bar RATIO] [--json]
 *
 * For keep .75, .5, .25, .1 and one recipe per site: so many pictures a window that at least ROWS (1024) rows are left, then
 * the same for one picture. In every round `none` and the recipes take turns on the same pictures; a batch is the wall time
 * from its first push to its last pull; ratios are those of medians.
 *   ideal     operations of none / operations of the recipe
 *   real      ms of none / ms of the recipe
 *   ratio     real / ideal; encoder: the same of the encoder's own time
 *   bounded   as ratio, but the ideal time is no shorter than reading all weights once at the memory's measured rate: what
 *             limits a single picture
 * Exit 1 when a ratio of full windows is below the bar. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "bench_util.h"

static const char *const recipes[] = {"none", "spatial-uniform@patches", "tome@block",
                                      "topk:score=cls-attn@block=3/6/9"};
static const double keeps[] = {.75, .5, .25, .1};

enum {
    N_RECIPE = sizeof recipes / sizeof recipes[0],
    N_KEEP = sizeof keeps / sizeof keeps[0],
    PICTURES = 8, /* different ones */
    SIDE = 224,   /* where the model takes pictures as they come */
    MAX_ROUNDS = 60,
    SINGLES = 4 /* times as many rounds of single pictures */
};

typedef struct options {
    const char *model, *backend, *precision;
    int32_t threads, rounds, rows, json;
    double bar;
} options;

typedef struct bench {
    options o;
    pare_model *model;
    pare_model_info info;
    int32_t width, height, units; /* of a picture */
    uint8_t *rgb;                 /* [PICTURES, height, width, 3] */
    bench_peak peak[BENCH_MAX_PEAKS];
    int32_t n_peak;
    double read_rate; /* GB/s */
    int32_t n_below;  /* ratios of full windows below the bar */
} bench;

/* One recipe and what its batches took. */
typedef struct lane {
    pare_reducer *reducer;
    bench_times wall, encode; /* ms */
    double flops;             /* of a batch */
    int64_t rows;             /* left of a batch, prefix rows not counted */
    pare_reducer_stats last;
} lane;

static void fail(const char *what, const pare_error *err)
{
    fprintf(stderr, "bench_ideal: %s: %s\n", what, err->text);
    exit(2);
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

static pare_reducer *make_reducer(const bench *b, const char *recipe, double keep, int32_t frames)
{
    const pare_reducer_opts opts = {.struct_size = sizeof opts,
                                    .recipe = recipe,
                                    .keep = strcmp(recipe, "none") ? keep : 0,
                                    .window = frames,
                                    .n_threads = b->o.threads,
                                    .width = b->width,
                                    .height = b->height,
                                    .backend = b->o.backend,
                                    .precision = b->o.precision};
    pare_reducer *r = NULL;
    pare_error err;
    if (pare_reducer_create(&r, b->model, &opts, &err) < 0) fail(recipe, &err);
    return r;
}

/* Rows of the windows that are ready. */
static int64_t pull_all(pare_reducer *r)
{
    pare_result *result = NULL;
    pare_error err;
    int64_t rows = 0;
    int rc;
    while ((rc = pare_reducer_pull(r, &result, &err)) == 0) {
        rows += pare_result_get(result)->k;
        pare_result_free(&result);
    }
    if (rc < 0) fail("pull", &err);
    return rows;
}

static void run_batch(const bench *b, lane *l, int32_t frames)
{
    const int64_t bytes = (int64_t)b->width * b->height * 3;
    pare_frame frame = {
        .struct_size = sizeof frame, .stride = (int64_t)b->width * 3, .width = b->width, .height = b->height};
    pare_reducer_stats now = {.struct_size = sizeof now};
    pare_error err;
    const double start = bench_now();
    for (int32_t i = 0; i < frames; i++) {
        frame.rgb = b->rgb + i % PICTURES * bytes;
        if (pare_reducer_push(l->reducer, &frame, &err) < 0) fail("push", &err);
    }
    l->rows = pull_all(l->reducer);
    bench_add(&l->wall, bench_now() - start);
    if (pare_reducer_get(l->reducer, &now, &err) < 0) fail("statistics", &err);
    bench_add(&l->encode, now.encode_ms + now.embed_ms - l->last.encode_ms - l->last.embed_ms);
    l->flops = now.flops - l->last.flops;
    l->last = now;
}

static void run_rounds(const bench *b, lane *lanes, double keep, int32_t frames)
{
    const int32_t rounds = b->o.rounds * (frames > 1 ? 1 : SINGLES);
    for (int32_t i = 0; i < N_RECIPE; i++) {
        lanes[i] = (lane){.reducer = make_reducer(b, recipes[i], keep, frames)};
        run_batch(b, &lanes[i], frames);
        lanes[i].wall.n = lanes[i].encode.n = 0;
    }
    for (int32_t round = 0; round < rounds; round++)
        for (int32_t i = 0; i < N_RECIPE; i++) run_batch(b, &lanes[(i + round) % N_RECIPE], frames);
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

/* Milliseconds to read what the layers multiply with. */
static double weights_ms(const bench *b, const char *precision)
{
    const double bytes = !strcmp(precision, "int8") ? 1 : !strcmp(precision, "bf16") ? 2 : 4;
    return (double)b->info.n_params * bytes / b->read_rate * 1e-6;
}

static double print_lane(const bench *b, const lane *none, const lane *l, int32_t i, double keep, int32_t frames)
{
    const double base = bench_p50(&none->wall), ms = bench_p50(&l->wall), ideal = none->flops / l->flops;
    const double floor_ms = fmax(base / ideal, weights_ms(b, l->last.precision));
    const double ratio = base / ms / ideal;
    const double encoder = bench_p50(&none->encode) / bench_p50(&l->encode) / ideal;
    const double peak = b->o.threads * bench_peak_of(b->peak, b->n_peak, l->last.precision);
    const bench_cell cells[] = {
        BENCH_TEXT("recipe", recipes[i], 31),
        BENCH_NUMBER("keep", i ? keep : 1, 2),
        BENCH_NUMBER("pictures", frames, 0),
        BENCH_NUMBER("rows", (double)(l->rows + (int64_t)frames * b->info.n_prefix), 0),
        BENCH_NUMBER("ms/pic", ms / frames, 2),
        BENCH_NUMBER("p95", bench_p95(&l->wall) / frames, 2),
        BENCH_NUMBER("ideal", ideal, 3),
        BENCH_NUMBER("real", base / ms, 3),
        BENCH_NUMBER("ratio", ratio, 3),
        BENCH_NUMBER("encoder", encoder, 3),
        BENCH_NUMBER("bounded", floor_ms / ms, 3),
        BENCH_NUMBER("gops", l->flops / ms * 1e-6, 1),
        BENCH_NUMBER("of_peak", peak > 0 ? l->flops / ms * 1e-6 / peak : NAN, 3),
    };
    BENCH_PRINT(b->o.json, i == 0, cells);
    fflush(stdout);
    return ratio;
}

static void run_keep(bench *b, double keep, int32_t frames, int is_full)
{
    lane lanes[N_RECIPE];
    run_rounds(b, lanes, keep, frames);
    for (int32_t i = 0; i < N_RECIPE; i++) {
        const double ratio = print_lane(b, &lanes[0], &lanes[i], i, keep, frames);
        b->n_below += is_full && ratio < b->o.bar;
    }
    for (int32_t i = 0; i < N_RECIPE; i++) pare_reducer_close(&lanes[i].reducer);
}

/* ---- set-up ------------------------------------------------------------------------------------------------- */

static void describe(const bench *b)
{
    pare_runtime_info run = {.struct_size = sizeof run};
    pare_runtime_get(&run, NULL);
    if (b->o.json) return;
    printf("%s: %s (%s), %s kernels; %s, %d x %d, %d units; %d thread%s, reads %.1f GB/s\n", run.cpu, run.blas,
           run.blas_core, run.vector_kernels, b->info.name, b->width, b->height, b->units, b->o.threads,
           b->o.threads > 1 ? "s" : "", b->read_rate);
    for (int32_t i = 0; i < b->n_peak; i++)
        printf("  registers only, %s: %.1f Gop/s a thread\n", b->peak[i].name, b->peak[i].gops);
}

static void set_up(bench *b)
{
    const char *path = b->o.model ? b->o.model : pare_model_default_path();
    pare_error err = {0};
    b->info.struct_size = sizeof b->info;
    if (pare_runtime_init(NULL, &err) < 0) fail("runtime", &err);
    if (path == NULL) pare_fail(&err, PARE_E_NOTFOUND, "no model; name one with -m");
    if (path == NULL || pare_model_open(&b->model, path, &err) < 0) fail("model", &err);
    if (pare_model_get(b->model, &b->info, &err) < 0) fail("model", &err);
    const int32_t pixels = b->info.patch * b->info.unit;
    b->width = (b->info.image_width ? b->info.image_width : SIDE) / pixels * pixels;
    b->height = (b->info.image_height ? b->info.image_height : SIDE) / pixels * pixels;
    b->units = b->width / pixels * (b->height / pixels);
    b->rgb = bench_alloc((int64_t)PICTURES * b->width * b->height, 3);
    bench_bytes(b->rgb, (int64_t)PICTURES * b->width * b->height * 3, 1);
    b->n_peak = bench_peaks(b->peak);
    b->read_rate = bench_read_rate(b->o.threads);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_ideal [-m MODEL] [-t THREADS] [-b BACKEND] [-p PRECISION] [-n ROUNDS] [-r ROWS] "
                    "[--bar RATIO] [--json]\n");
    return 2;
}

static int parse(int argc, char **argv, options *o)
{
    static const struct option names[] = {{"model", 1, 0, 'm'},     {"threads", 1, 0, 't'}, {"backend", 1, 0, 'b'},
                                          {"precision", 1, 0, 'p'}, {"rounds", 1, 0, 'n'},  {"rows", 1, 0, 'r'},
                                          {"bar", 1, 0, 'x'},       {"json", 0, 0, 'j'},    {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "m:t:b:p:n:r:", names, NULL)) != -1;) {
        if (c == 'm')
            o->model = optarg;
        else if (c == 't')
            o->threads = atoi(optarg);
        else if (c == 'b')
            o->backend = optarg;
        else if (c == 'p')
            o->precision = optarg;
        else if (c == 'n')
            o->rounds = atoi(optarg);
        else if (c == 'r')
            o->rows = atoi(optarg);
        else if (c == 'x')
            o->bar = atof(optarg);
        else if (c == 'j')
            o->json = 1;
        else
            return 0;
    }
    return optind == argc && o->threads > 0 && o->rounds > 0 && o->rounds <= MAX_ROUNDS && o->rows > 0;
}

int main(int argc, char **argv)
{
    bench b = {.o = {.threads = 1, .rounds = 5, .rows = 1024}};
    if (!parse(argc, argv, &b.o)) return usage();
    set_up(&b);
    describe(&b);
    for (int32_t i = 0; i < N_KEEP; i++) {
        const int32_t rows = (int32_t)(keeps[i] * b.units) + b.info.n_prefix;
        run_keep(&b, keeps[i], (b.o.rows + rows - 1) / rows, 1);
    }
    for (int32_t i = 0; i < N_KEEP; i++) run_keep(&b, keeps[i], 1, 0);
    pare_model_close(&b.model);
    free(b.rgb);
    return b.n_below > 0;
}
