/* SPDX-License-Identifier: MIT */
/* Where the wall time of a clip goes: seconds per stage, milliseconds per window, with and without reading ahead, in
 * alternating rounds; medians of the rounds, p50 and p95 of all windows.
 *
 *     bench_pipeline CLIP [name=value ...]     names and defaults: the table of options
 *
 *   read    waiting for frames: decoding and colours, or what of them was not done in the meantime
 *   prep    frames to grid size          embed, encode, select: of pare_reducer_stats
 *   append  results to temporary files   finish: the file itself, with fsync
 *   rest    the wall time less all of these: results, heads, this program
 *
 * `others` is what is not embed and encode, as a share of the wall time. CPU is the time of all threads. */
#include <pare/media.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_util.h"

enum { MAX_ROUNDS = 99, MAX_WINDOWS = 1 << 16, MODES = 2 };

typedef enum stage { READ, PREP, EMBED, ENCODE, SELECT, APPEND, FINISH, REST, TOTAL, CPU, N_STAGE } stage;
static const char *const stage_name[N_STAGE] = {"read",   "prep",   "embed", "encode", "select",
                                                "append", "finish", "rest",  "total",  "CPU"};

typedef struct setup {
    const char *clip;
    const char *model, *size, *recipe, *backend, *precision, *out;
    const char *threads, *keep, *window, *ahead, *rounds, *end;
} setup;

static const bench_option options[] = {
    {"model", NULL, "checkpoint; the one that ships with pare", offsetof(setup, model)},
    {"size", "224x224", "pixels of the grid", offsetof(setup, size)},
    {"recipe", "temporal-redundancy@patches", "as in pare reduce", offsetof(setup, recipe)},
    {"keep", ".25", "share that remains", offsetof(setup, keep)},
    {"backend", NULL, "who multiplies; auto", offsetof(setup, backend)},
    {"precision", NULL, "of linear layers; f32", offsetof(setup, precision)},
    {"threads", "0", "of the reducer; 0 = all CPUs", offsetof(setup, threads)},
    {"window", "32", "frames decided together", offsetof(setup, window)},
    {"ahead", "8", "frames read ahead in every other round", offsetof(setup, ahead)},
    {"rounds", "3", "of each kind", offsetof(setup, rounds)},
    {"end", "0", "seconds of the clip; 0 = all", offsetof(setup, end)},
    {"out", NULL, "result file, kept; else a temporary one", offsetof(setup, out)},
};
enum { N_OPTION = sizeof options / sizeof options[0] };

/* One way of reading: all that was measured. */
typedef struct mode {
    int32_t ahead;
    double s[N_STAGE][MAX_ROUNDS];
    double *window_ms; /* [n_window] */
    int64_t n_window, n_frame, n_out;
    double flops;
    const char *backend, *precision;
} mode;

typedef struct run {
    const setup *set;
    const pare_model *model;
    const char *out;
    mode *to;
    pare_source *source;
    pare_reducer *reducer;
    pare_writer *writer;
    double s[N_STAGE], window_began;
} run;

static double now_s(void) { return 1e-3 * bench_now(); }

static double cpu_s(void) { return 1e-3 * bench_cpu(); }

/* ---- one run ---------------------------------------------------------------------------------------------------- */

static int open_all(run *r, pare_error *err)
{
    const setup *set = r->set;
    const pare_source_opts source = {.struct_size = sizeof source, .end = atof(set->end), .read_ahead = r->to->ahead};
    pare_reducer_opts reducer = {.struct_size = sizeof reducer,
                                 .recipe = set->recipe,
                                 .keep = atof(set->keep),
                                 .window = atoi(set->window),
                                 .n_threads = atoi(set->threads),
                                 .video = 1,
                                 .backend = set->backend,
                                 .precision = set->precision};
    if (sscanf(set->size, "%dx%d", &reducer.width, &reducer.height) != 2)
        return pare_fail(err, PARE_E_INVALID, "size=%s is not WxH", set->size);
    int rc = pare_source_open(&r->source, set->clip, &source, err);
    if (rc == 0) rc = pare_reducer_create(&r->reducer, r->model, &reducer, err);
    if (rc == 0) rc = pare_writer_open(&r->writer, r->out, NULL, err);
    return rc;
}

static void close_all(run *r)
{
    pare_writer_close(&r->writer);
    pare_reducer_close(&r->reducer);
    pare_source_close(&r->source);
}

static void count_window(run *r)
{
    const double now = now_s();
    if (r->to->n_window < MAX_WINDOWS) r->to->window_ms[r->to->n_window++] = (now - r->window_began) * 1e3;
    r->window_began = now;
}

static int drain(run *r, pare_error *err)
{
    pare_result *result = NULL;
    int rc;
    while ((rc = pare_reducer_pull(r->reducer, &result, err)) == 0) {
        const double start = now_s();
        rc = pare_writer_append(r->writer, result, err);
        r->s[APPEND] += now_s() - start;
        pare_result_free(&result);
        if (rc != 0) return rc;
        count_window(r);
    }
    return rc < 0 ? rc : 0;
}

static int read_timed(run *r, pare_frame *frame, pare_error *err)
{
    const double start = now_s();
    const int rc = pare_source_read(r->source, frame, err);
    r->s[READ] += now_s() - start;
    return rc;
}

static int reduce_clip(run *r, pare_error *err)
{
    pare_frame frame = {.struct_size = sizeof frame};
    int rc;
    while ((rc = read_timed(r, &frame, err)) == 0) {
        rc = pare_reducer_push(r->reducer, &frame, err);
        if (rc == 0) rc = drain(r, err);
        if (rc != 0) return rc;
    }
    if (rc == PARE_EOF) rc = pare_reducer_flush(r->reducer, err);
    if (rc == 0) rc = drain(r, err);
    const double start = now_s();
    if (rc == 0) rc = pare_writer_finish(r->writer, 1, err);
    r->s[FINISH] = now_s() - start;
    return rc;
}

static void keep_figures(run *r, int round)
{
    pare_reducer_stats stats = {.struct_size = sizeof stats};
    pare_reducer_get(r->reducer, &stats, NULL);
    r->s[PREP] = stats.prep_ms * 1e-3;
    r->s[EMBED] = stats.embed_ms * 1e-3;
    r->s[ENCODE] = stats.encode_ms * 1e-3;
    r->s[SELECT] = stats.select_ms * 1e-3;
    r->s[REST] = r->s[TOTAL];
    for (int i = 0; i < REST; i++) r->s[REST] -= r->s[i];
    for (int i = 0; i < N_STAGE; i++) r->to->s[i][round] = r->s[i];
    r->to->n_frame = stats.n_frames;
    r->to->n_out = stats.n_out;
    r->to->flops = stats.flops;
    r->to->backend = stats.backend;
    r->to->precision = stats.precision;
}

static int measure(const setup *set, const pare_model *model, const char *out, mode *to, int round, pare_error *err)
{
    run r = {.set = set, .model = model, .out = out, .to = to};
    const double cpu = cpu_s(), start = now_s();
    int rc = open_all(&r, err);
    r.window_began = now_s();
    if (rc == 0) rc = reduce_clip(&r, err);
    r.s[TOTAL] = now_s() - start;
    r.s[CPU] = cpu_s() - cpu;
    if (rc == 0) keep_figures(&r, round);
    close_all(&r);
    return rc;
}

/* ---- report ----------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of n sorted values. */
static double quantile(const double *x, int64_t n, double q)
{
    const int64_t at = (int64_t)(q * (double)(n - 1) + .5);
    return n > 0 ? x[at] : 0;
}

static void print_stages(mode *m, int rounds)
{
    double median[MODES][N_STAGE];
    for (int k = 0; k < MODES; k++)
        for (int i = 0; i < N_STAGE; i++) {
            qsort(m[k].s[i], (size_t)rounds, sizeof(double), by_value);
            median[k][i] = quantile(m[k].s[i], rounds, .5);
        }
    printf("%-22s %12s %12s\n", "seconds", "ahead 0", "ahead");
    for (int i = 0; i < N_STAGE; i++) printf("%-22s %12.3f %12.3f\n", stage_name[i], median[0][i], median[1][i]);
    const char *const line[] = {"frames/s", "ms per frame", "others %", "encoder GFLOP/s"};
    double value[4][MODES];
    for (int k = 0; k < MODES; k++) {
        const double encode = median[k][EMBED] + median[k][ENCODE], total = median[k][TOTAL];
        value[0][k] = (double)m[k].n_frame / total;
        value[1][k] = 1e3 * total / (double)m[k].n_frame;
        value[2][k] = 100 * (total - encode) / total;
        value[3][k] = m[k].flops / encode * 1e-9;
    }
    for (int i = 0; i < 4; i++) printf("%-22s %12.2f %12.2f\n", line[i], value[i][0], value[i][1]);
}

static void print_windows(mode *m)
{
    for (int k = 0; k < MODES; k++) qsort(m[k].window_ms, (size_t)m[k].n_window, sizeof(double), by_value);
    for (int i = 0; i < 2; i++) {
        const double q = i == 0 ? .5 : .95;
        printf("%-22s %12.2f %12.2f\n", i == 0 ? "ms per window, p50" : "ms per window, p95",
               quantile(m[0].window_ms, m[0].n_window, q), quantile(m[1].window_ms, m[1].n_window, q));
    }
}

static void print_report(const setup *set, mode *m, int rounds)
{
    pare_runtime_info info = {.struct_size = sizeof info};
    pare_runtime_get(&info, NULL);
    printf("%s: %lld frames, %lld rows; %s keep %s of %s\n", set->clip, (long long)m->n_frame, (long long)m->n_out,
           set->recipe, set->keep, set->size);
    printf("%s, %d CPUs, threads %s; %s %s, %s; pare %s; %d rounds, %s frames ahead\n", info.cpu, info.n_cpu,
           set->threads, m->backend, m->precision, info.blas_core, pare_version(), rounds, set->ahead);
    print_stages(m, rounds);
    print_windows(m);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static int parse(setup *set, int argc, char **argv)
{
    static const char usage[] = "bench_pipeline CLIP";
    const int rc = argc < 2 ? bench_usage(options, N_OPTION, usage)
                            : bench_read_options(set, options, N_OPTION, usage, 2, argc, argv);
    if (rc) return rc;
    set->clip = argv[1];
    const int rounds = atoi(set->rounds);
    return rounds >= 1 && rounds <= MAX_ROUNDS ? 0 : bench_usage(options, N_OPTION, usage);
}

static int measure_all(const setup *set, const pare_model *model, const char *out, mode *m, pare_error *err)
{
    int rc = 0;
    for (int round = 0; round < atoi(set->rounds) && rc == 0; round++)
        for (int k = 0; k < MODES && rc == 0; k++) rc = measure(set, model, out, &m[k], round, err);
    return rc;
}

int main(int argc, char **argv)
{
    static mode m[MODES];
    char temporary[64];
    setup set = {0};
    pare_error err = {0};
    pare_model *model = NULL;
    int rc = parse(&set, argc, argv);
    if (rc != 0) return rc;
    m[1].ahead = atoi(set.ahead);
    snprintf(temporary, sizeof temporary, "/tmp/bench_pipeline-%ld.safetensors", (long)getpid());
    const char *out = set.out ? set.out : temporary;
    for (int k = 0; k < MODES; k++) m[k].window_ms = calloc(MAX_WINDOWS, sizeof(double));
    rc = m[0].window_ms && m[1].window_ms ? pare_runtime_init(NULL, &err) : PARE_E_NOMEM;
    if (rc == 0) rc = pare_model_open(&model, set.model ? set.model : pare_model_default_path(), &err);
    if (rc == 0) rc = measure_all(&set, model, out, m, &err);
    if (rc == 0)
        print_report(&set, m, atoi(set.rounds));
    else
        fprintf(stderr, "bench_pipeline: %s\n", err.text[0] ? err.text : pare_strerror(rc));
    if (!set.out) unlink(temporary);
    for (int k = 0; k < MODES; k++) free(m[k].window_ms);
    pare_model_close(&model);
    return rc != 0;
}
