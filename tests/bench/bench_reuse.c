/* SPDX-License-Identifier: MIT */
/* What reuse across frames costs and keeps, beside plain dropping at the same share and the whole encoder.
 *
 *     bench_reuse CLIP [name=value ...]     names and defaults: the table of options
 *
 *   computed  units that the encoder ran, of all units: what steps keep, and reference steps whole
 *   encode    embed and encode time over that of recipe none in the same run; cpu: CPU time of all that push does, decoding
 *             left out; flops: operations of the encoder: no clock
 *   cls       cosine of the CLS row with that of the full run, mean and worst frame (means of the rows where there is none)
 *   fresh     cosine of computed rows with the same rows of the full run, mean
 *   all       the same of every unit: computed, or that of the reference (`drop` has none)
 *   p5        the worst twentieth of `all`
 * `drop` is --reuse none, `reuse` is --reuse complete: its fresh rows are what --reuse context leaves. */
#include <math.h>
#include <pare/media.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"

enum { MAX_LIST = 16 };

typedef struct setup {
    const char *clip;
    const char *model, *size, *recipe, *keep, *reference, *frames, *threads, *window, *precision, *json;
} setup;

static const bench_option options[] = {
    {"model", NULL, "checkpoint; the one that ships with pare", offsetof(setup, model)},
    {"size", "0x0", "pixels of the grid; 0x0 = the model's rule", offsetof(setup, size)},
    {"recipe", "temporal-redundancy@patches", "as in pare reduce", offsetof(setup, recipe)},
    {"keep", ".05,.10,.15,.25,.40", "shares", offsetof(setup, keep)},
    {"reference", "32", "steps from reference to reference, a list", offsetof(setup, reference)},
    {"frames", "201", "of the clip", offsetof(setup, frames)},
    {"threads", "0", "of the reducer; 0 = all CPUs", offsetof(setup, threads)},
    {"window", "32", "frames decided together", offsetof(setup, window)},
    {"precision", NULL, "of linear layers; f32", offsetof(setup, precision)},
    {"json", "0", "1: an object per line", offsetof(setup, json)},
};
enum { N_OPTION = sizeof options / sizeof *options };

/* One run over the clip. */
typedef struct outcome {
    int64_t n_frame, n_unit, d, n_prefix, k; /* frames, units of a frame, width */
    float *row;                              /* [k, d] */
    int64_t *index;                          /* [k] frame * n_unit + unit */
    uint8_t *fresh;                          /* [k] */
    float *cls;                              /* [n_frame, d] */
    int64_t cap_row, cap_frame;
    double encode_ms, cpu_ms, flops, computed;
} outcome;

/* ---- one run ---------------------------------------------------------------------------------------------------- */

static void release(outcome *o)
{
    free(o->row);
    free(o->index);
    free(o->fresh);
    free(o->cls);
    *o = (outcome){0};
}

static int reserve(outcome *o, const pare_result_view *v)
{
    if (o->k + v->k > o->cap_row) {
        o->cap_row = 2 * (o->k + v->k);
        o->row = realloc(o->row, (size_t)(o->cap_row * v->d) * sizeof *o->row);
        o->index = realloc(o->index, (size_t)o->cap_row * sizeof *o->index);
        o->fresh = realloc(o->fresh, (size_t)o->cap_row);
    }
    if (o->n_frame + v->grid[0] > o->cap_frame) {
        o->cap_frame = 2 * (o->n_frame + v->grid[0]);
        o->cls = realloc(o->cls, (size_t)(o->cap_frame * v->d) * sizeof *o->cls);
    }
    return o->row && o->index && o->fresh && o->cls ? 0 : PARE_E_NOMEM;
}

static int keep_window(outcome *o, const pare_result_view *v)
{
    o->d = v->d;
    o->n_unit = v->grid[1] * v->grid[2];
    if (reserve(o, v)) return PARE_E_NOMEM;
    memcpy(o->row + o->k * v->d, v->embeds, (size_t)(v->k * v->d) * sizeof *o->row);
    memcpy(o->index + o->k, v->index, (size_t)v->k * sizeof *o->index);
    for (int64_t i = 0; i < v->k; i++) o->fresh[o->k + i] = v->fresh ? v->fresh[i] : 1;
    for (int64_t t = 0; t < v->grid[0]; t++) {
        const float *from = v->n_prefix ? v->prefix + t * v->n_prefix * v->d : v->pooled + t * v->d;
        memcpy(o->cls + (o->n_frame + t) * v->d, from, (size_t)v->d * sizeof *o->cls);
    }
    o->k += v->k;
    o->n_frame += v->grid[0];
    return 0;
}

static int drain(pare_reducer *r, outcome *o, pare_error *err)
{
    pare_result *result = NULL;
    int rc;
    while ((rc = pare_reducer_pull(r, &result, err)) == 0) {
        rc = keep_window(o, pare_result_get(result));
        pare_result_free(&result);
        if (rc) return rc;
    }
    return rc < 0 ? rc : 0;
}

static int feed(pare_source *s, pare_reducer *r, int64_t n_frames, outcome *o, pare_error *err)
{
    pare_frame frame = {.struct_size = sizeof frame};
    int rc = 0;
    for (int64_t i = 0; !rc && i < n_frames && (rc = pare_source_read(s, &frame, err)) == 0; i++) {
        const double start = bench_cpu();
        rc = pare_reducer_push(r, &frame, err);
        o->cpu_ms += bench_cpu() - start;
        if (!rc) rc = drain(r, o, err);
    }
    const double start = bench_cpu();
    if (!rc || rc == PARE_EOF) rc = pare_reducer_flush(r, err);
    o->cpu_ms += bench_cpu() - start;
    return rc ? rc : drain(r, o, err);
}

static void keep_figures(const pare_reducer *r, const outcome *full, outcome *o)
{
    pare_reducer_stats stats = {.struct_size = sizeof stats};
    pare_reducer_get(r, &stats, NULL);
    o->encode_ms = stats.embed_ms + stats.encode_ms;
    o->flops = stats.flops;
    o->computed = (double)(stats.n_fresh ? stats.n_fresh : o->k) / (double)(full ? full->k : o->k);
}

static int run(const setup *set, const pare_model *model, pare_reducer_opts opts, const outcome *full, outcome *o,
               pare_error *err)
{
    const pare_source_opts source = {.struct_size = sizeof source};
    pare_source *s = NULL;
    pare_reducer *r = NULL;
    *o = (outcome){0};
    int rc = pare_source_open(&s, set->clip, &source, err);
    if (!rc) rc = pare_reducer_create(&r, model, &opts, err);
    if (!rc) rc = feed(s, r, atoll(set->frames), o, err);
    if (!rc) keep_figures(r, full, o);
    pare_reducer_close(&r);
    pare_source_close(&s);
    return rc;
}

/* ---- comparison ------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct quality {
    double cls, worst, fresh, all, p5;
} quality;

static quality compare(const outcome *full, const outcome *o)
{
    quality q = {.worst = 1};
    double *each = bench_alloc(o->k + 1, sizeof *each);
    int64_t n_fresh = 0;
    for (int64_t t = 0; t < o->n_frame; t++) {
        const double c = bench_cosine(full->cls + t * o->d, o->cls + t * o->d, o->d);
        q.cls += c / (double)o->n_frame;
        q.worst = c < q.worst ? c : q.worst;
    }
    for (int64_t i = 0; i < o->k; i++) {
        each[i] = bench_cosine(full->row + o->index[i] * o->d, o->row + i * o->d, o->d);
        q.all += each[i] / (double)o->k;
        n_fresh += o->fresh[i];
        q.fresh += o->fresh[i] ? each[i] : 0;
    }
    q.fresh /= (double)n_fresh;
    qsort(each, (size_t)o->k, sizeof *each, by_value);
    q.p5 = each[o->k / 20];
    free(each);
    if (o->k < full->k) q.all = q.p5 = NAN;
    return q;
}

static void report(const setup *set, const char *mode, double keep, int32_t reference, const outcome *full,
                   const outcome *o)
{
    static int n_line;
    const quality q = compare(full, o);
    const bench_cell cell[] = {BENCH_TEXT("mode", mode, 6),
                               BENCH_NUMBER("keep", keep, 3),
                               BENCH_NUMBER("reference", reference ? reference : NAN, 0),
                               BENCH_NUMBER("computed", o->computed, 3),
                               BENCH_NUMBER("encode", o->encode_ms / full->encode_ms, 3),
                               BENCH_NUMBER("cpu", o->cpu_ms / full->cpu_ms, 3),
                               BENCH_NUMBER("flops", o->flops / full->flops, 3),
                               BENCH_NUMBER("cls", q.cls, 4),
                               BENCH_NUMBER("cls_worst", q.worst, 4),
                               BENCH_NUMBER("fresh", q.fresh, 4),
                               BENCH_NUMBER("all", q.all, 4),
                               BENCH_NUMBER("p5", q.p5, 4)};
    BENCH_PRINT(atoi(set->json), n_line++ == 0, cell);
    fflush(stdout);
}

/* ---- all runs --------------------------------------------------------------------------------------------------- */

static int32_t parse_list(const char *text, double *out)
{
    int32_t n = 0;
    for (char *end; n < MAX_LIST && *text; text = *end ? end + 1 : end) out[n++] = strtod(text, &end);
    return n;
}

static int run_case(const setup *set, const pare_model *model, pare_reducer_opts opts, const outcome *full,
                    pare_error *err)
{
    outcome o;
    const int rc = run(set, model, opts, full, &o, err);
    if (!rc) report(set, opts.reuse ? "reuse" : "drop", opts.keep, opts.reference, full, &o);
    release(&o);
    return rc;
}

static int run_all(const setup *set, const pare_model *model, pare_error *err)
{
    double keep[MAX_LIST], reference[MAX_LIST];
    const int32_t n_keep = parse_list(set->keep, keep), n_reference = parse_list(set->reference, reference);
    pare_reducer_opts opts = {.struct_size = sizeof opts,
                              .video = 1,
                              .window = atoi(set->window),
                              .n_threads = atoi(set->threads),
                              .precision = set->precision};
    outcome full;
    sscanf(set->size, "%dx%d", &opts.width, &opts.height);
    int rc = run(set, model, opts, NULL, &full, err);
    opts.recipe = set->recipe;
    for (int32_t i = 0; !rc && i < n_keep; i++) {
        opts.keep = keep[i];
        opts.reuse = PARE_REUSE_NONE;
        opts.reference = 0;
        rc = run_case(set, model, opts, &full, err);
        opts.reuse = PARE_REUSE_COMPLETE;
        for (int32_t j = 0; !rc && j < n_reference; j++) {
            opts.reference = (int32_t)reference[j];
            rc = run_case(set, model, opts, &full, err);
        }
    }
    release(&full);
    return rc;
}

static int parse(setup *set, int argc, char **argv)
{
    static const char usage[] = "bench_reuse CLIP";
    if (argc < 2) return bench_usage(options, N_OPTION, usage);
    set->clip = argv[1];
    return bench_read_options(set, options, N_OPTION, usage, 2, argc, argv);
}

int main(int argc, char **argv)
{
    setup set = {0};
    pare_error err = {0};
    pare_model *model = NULL;
    int rc = parse(&set, argc, argv);
    if (rc) return rc;
    rc = pare_runtime_init(NULL, &err);
    if (!rc) rc = pare_model_open(&model, set.model ? set.model : pare_model_default_path(), &err);
    if (!rc) rc = run_all(&set, model, &err);
    if (rc) fprintf(stderr, "bench_reuse: %s\n", err.text[0] ? err.text : pare_strerror(rc));
    pare_model_close(&model);
    return rc != 0;
}
