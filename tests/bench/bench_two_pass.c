/* SPDX-License-Identifier: MIT */
/* What a second pass is worth: the same number of tokens, cut window by window or over the whole clip.
 *
 *     bench_two_pass CLIP [keep=.1] [size=WxH] [recipe=STEPS] [fps=F] [window=N] [model=FILE]
 *
 *   carried    cosine of every unit of the full run (recipe none) with the row that stands for it: the last one kept at its
 *              place, in this step or before; 0 before there is one
 *   places     the same with the full run's row instead: what was kept where and when, rid of what the encoder makes of a picture
 *              with holes; p5 as above
 *   steps      of places, the step that is worst off: lowest mean of a step
 *   facility, unmerge   pare_measure's facility_coverage_cosine and unmerge_cosine, every window against that of the full run,
 *              mean by units. They do not see what windows before left
 *   most, least   tokens of a step */
#include <math.h>
#include <pare/media.h>
#include <pare/plan.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"

enum { N_METRIC = 2, MAX_WINDOWS = 512 };
static const char *const metrics[N_METRIC] = {"facility_coverage_cosine", "unmerge_cosine"};

typedef struct setup {
    const char *clip, *keep, *size, *recipe, *fps, *window, *model;
} setup;

static const bench_option options[] = {
    {"keep", ".1", "share that remains", offsetof(setup, keep)},
    {"size", "0x0", "pixels of the grid; 0x0 = the model's rule", offsetof(setup, size)},
    {"recipe", "temporal-redundancy@patches", "as in pare reduce", offsetof(setup, recipe)},
    {"fps", "0", "frames per second; 0 = all", offsetof(setup, fps)},
    {"window", "32", "frames decided together", offsetof(setup, window)},
    {"model", NULL, "checkpoint; the one that ships with pare", offsetof(setup, model)},
};
enum { N_OPTION = sizeof options / sizeof *options };

/* The results of a run, in order. */
typedef struct outcome {
    pare_result *window[MAX_WINDOWS];
    int32_t n;
    int64_t n_step, n_unit, d, n_row; /* steps, units of a step, width, rows */
} outcome;

static void release(outcome *o)
{
    for (int32_t i = 0; i < o->n; i++) pare_result_free(&o->window[i]);
    *o = (outcome){0};
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

static int drain(pare_reducer *r, outcome *o, pare_error *err)
{
    int rc = 0;
    while (o->n < MAX_WINDOWS && (rc = pare_reducer_pull(r, &o->window[o->n], err)) == 0) {
        const pare_result_view *v = pare_result_get(o->window[o->n++]);
        o->n_step += v->grid[0];
        o->n_unit = (int64_t)v->grid[1] * v->grid[2];
        o->d = v->d;
        o->n_row += v->k;
    }
    return rc < 0 ? rc : 0;
}

/* Into the plan, or else the reducer. */
static int feed(const setup *set, pare_plan *plan, pare_reducer *r, outcome *o, pare_error *err)
{
    const pare_source_opts source = {.struct_size = sizeof source, .fps = atof(set->fps)};
    pare_source *s = NULL;
    int rc = pare_source_open(&s, set->clip, &source, err);
    while (!rc) {
        pare_frame frame = {.struct_size = sizeof frame};
        rc = pare_source_read(s, &frame, err);
        if (!rc) rc = plan ? pare_plan_push(plan, &frame, err) : pare_reducer_push(r, &frame, err);
        if (!rc && !plan) rc = drain(r, o, err);
    }
    pare_source_close(&s);
    if (rc != PARE_EOF) return rc;
    if (plan) return pare_plan_finish(plan, err);
    rc = pare_reducer_flush(r, err);
    return rc ? rc : drain(r, o, err);
}

static int run(const setup *set, const pare_model *model, pare_reducer_opts opts, int has_plan, outcome *o,
               pare_error *err)
{
    pare_plan *plan = NULL;
    pare_reducer *r = NULL;
    int rc = has_plan ? pare_plan_create(&plan, model, &opts, PARE_PLAN_TWO_PASS, err) : 0;
    if (!rc && has_plan) rc = feed(set, plan, NULL, NULL, err);
    if (!rc && has_plan) {
        opts.keep = 0;
        opts.plan = plan;
    }
    if (!rc) rc = pare_reducer_create(&r, model, &opts, err);
    if (!rc) rc = feed(set, NULL, r, o, err);
    pare_reducer_close(&r);
    pare_plan_close(&plan);
    return rc;
}

/* ---- measures --------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct quality {
    double carried, places, p5, worst_step, metric[N_METRIC], most, least;
} quality;

/* The steps of one window: `last` [2, n_unit] rows that stand for each place, the run's and the full run's; each [n_step * n_unit] from step `first` on. */
static void carry(const pare_result_view *full, const pare_result_view *v, int64_t n_unit, const float **last,
                  double *each, quality *q)
{
    const float **whole = last + n_unit;
    for (int64_t t = 0; t < v->grid[0]; t++) {
        const double n_row = (double)(v->row_start[t + 1] - v->row_start[t]);
        double sum = 0;
        for (int64_t i = v->row_start[t]; i < v->row_start[t + 1]; i++) {
            const int64_t u = v->place[6 * i + 3] * (int64_t)v->grid[2] + v->place[6 * i + 4];
            last[u] = v->embeds + i * v->d;
            whole[u] = full->embeds + (full->row_start[t] + u) * v->d;
        }
        for (int64_t u = 0; u < n_unit; u++) {
            const float *own = full->embeds + (full->row_start[t] + u) * v->d;
            each[t * n_unit + u] = last[u] ? bench_cosine(own, whole[u], v->d) : 0;
            q->carried += last[u] ? bench_cosine(own, last[u], v->d) : 0;
            sum += each[t * n_unit + u];
        }
        q->worst_step = fmin(q->worst_step, sum / (double)n_unit);
        q->most = fmax(q->most, n_row);
        q->least = fmin(q->least, n_row);
    }
}

static int compare(const outcome *full, const outcome *o, quality *q, pare_error *err)
{
    const int64_t n = full->n_step * full->n_unit;
    const float **last = bench_alloc(2 * o->n_unit, sizeof *last);
    double *each = bench_alloc(n, sizeof *each);
    int64_t at = 0;
    int rc = 0;
    *q = (quality){.worst_step = 1, .least = INFINITY};
    memset(last, 0, (size_t)o->n_unit * 2 * sizeof *last);
    for (int32_t i = 0; !rc && i < o->n; i++) {
        const pare_result_view *v = pare_result_get(o->window[i]);
        double value[N_METRIC];
        carry(pare_result_get(full->window[i]), v, o->n_unit, last, each + at, q);
        at += v->grid[0] * o->n_unit;
        rc = pare_measure(o->window[i], full->window[i], metrics, N_METRIC, value, err);
        for (int m = 0; !rc && m < N_METRIC; m++) q->metric[m] += value[m] * (double)v->n / (double)n;
    }
    for (int64_t i = 0; i < n; i++) q->places += each[i] / (double)n;
    q->carried /= (double)n;
    qsort(each, (size_t)n, sizeof *each, by_value);
    q->p5 = each[n / 20];
    free(each);
    free(last);
    return rc;
}

static void report(const char *name, const outcome *o, const quality *q)
{
    static int n_line;
    const bench_cell cell[] = {BENCH_TEXT("passes", name, 6),
                               BENCH_NUMBER("rows", (double)o->n_row, 0),
                               BENCH_NUMBER("carried", q->carried, 4),
                               BENCH_NUMBER("places", q->places, 4),
                               BENCH_NUMBER("p5", q->p5, 4),
                               BENCH_NUMBER("steps", q->worst_step, 4),
                               BENCH_NUMBER("facility", q->metric[0], 4),
                               BENCH_NUMBER("unmerge", q->metric[1], 4),
                               BENCH_NUMBER("most", q->most, 0),
                               BENCH_NUMBER("least", q->least, 0)};
    BENCH_PRINT(0, n_line++ == 0, cell);
}

/* ---- all runs --------------------------------------------------------------------------------------------------- */

static int run_all(const setup *set, const pare_model *model, pare_error *err)
{
    pare_reducer_opts opts = {.struct_size = sizeof opts, .video = 1, .window = atoi(set->window)};
    outcome full = {0}, o = {0};
    sscanf(set->size, "%dx%d", &opts.width, &opts.height);
    int rc = run(set, model, opts, 0, &full, err);
    opts.recipe = set->recipe;
    opts.keep = atof(set->keep);
    for (int two = 0; !rc && two < 2; two++) {
        quality q;
        rc = run(set, model, opts, two, &o, err);
        if (!rc) rc = compare(&full, &o, &q, err);
        if (!rc) report(two ? "two" : "one", &o, &q);
        release(&o);
    }
    release(&full);
    return rc;
}

static int parse(setup *set, int argc, char **argv)
{
    static const char usage[] = "bench_two_pass CLIP";
    if (argc < 2) return bench_usage(options, N_OPTION, usage);
    set->clip = argv[1];
    return bench_read_options(set, options, N_OPTION, usage, 2, argc, argv);
}

int main(int argc, char **argv)
{
    setup set;
    pare_error err = {0};
    pare_model *model = NULL;
    int rc = parse(&set, argc, argv);
    if (rc) return rc;
    rc = pare_runtime_init(NULL, &err);
    if (!rc) rc = pare_model_open(&model, set.model ? set.model : pare_model_default_path(), &err);
    if (!rc) rc = run_all(&set, model, &err);
    if (rc) fprintf(stderr, "bench_two_pass: %s\n", err.text[0] ? err.text : pare_strerror(rc));
    pare_model_close(&model);
    return rc != 0;
}
