/* SPDX-License-Identifier: MIT */
/* pare bench: accuracy, fidelity, uniformity and latency of recipes, compared fairly (analysis.h has the rules). Either
 * one section from options (photos, clips, retrieval, documents), or the sections of a suite, or the
 * encoder alone (random.h). */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../publish.h"
#include "random.h"
#include "report.h"
#include "suite.h"

enum { DEFAULT_SEEDS = 5 };

typedef struct bench_opts {
    cli_common common;
    cli_pick pick;
    cli_layout layout;
    cli_own_opts own;
    cli_list inputs, recipes, roots;
    const char *data, *label_column, *keep, *output, *task, *train, *head, *boxes, *suite, *journal;
    int64_t limit, stride, rounds, seeds, train_stride, measure_stride, time_stride;
    int64_t n_random, batch;
    const char *save;
} bench_opts;

static const cli_option own_options[] = {
    {"data", 'd', CLI_TEXT, offsetof(bench_opts, data), "CSV|DIR|TAR", 0, 0,
     "labelled photos: CSV, folder (class = subfolder), or a .tar holding one"},
    {"label-column", 0, CLI_TEXT, offsetof(bench_opts, label_column), "NAME", 0, 0, "of the CSV (default: the second)"},
    {"input", 'i', CLI_LIST, offsetof(bench_opts, inputs), "FILE", 0, 0,
     "instead of --data: clips or photos (repeatable)"},
    {"task", 0, CLI_TEXT, offsetof(bench_opts, task), "NAME", 0, 0,
     "photos, clips, retrieval (halves of clips), documents or counting (pages made here); default: by the input"},
    {"recipe", 'r', CLI_LIST, offsetof(bench_opts, recipes), "STEPS|all", 0, 0,
     "a recipe (repeatable), all: every one; random, spatial-uniform and resize (output: pool) run in any case"},
    {"keep", 'k', CLI_TEXT, offsetof(bench_opts, keep), "A,B,...", 0, 0,
     "shares that remain (default 1,.5,.25; documents and counting seven, down to .1)"},
    {"limit", 0, CLI_INT, offsetof(bench_opts, limit), "N", 1, 1e9, "at most N photos, clips or pages"},
    {"stride", 0, CLI_INT, offsetof(bench_opts, stride), "N", 1, 1e9, "every N-th of them"},
    {"rounds", 0, CLI_INT, offsetof(bench_opts, rounds), "N", 1, 1000,
     "times each of them is run; the median counts (default 1; clips 3)"},
    {"seeds", 0, CLI_INT, offsetof(bench_opts, seeds), "N", 1, 1000,
     "runs of a random recipe, each with its own seed, averaged into one line (default 5)"},
    {"output", 'o', CLI_TEXT, offsetof(bench_opts, output), "FILE|DIR/", 0, 0,
     ".md, .csv, .json, .tex or .svg, or a folder for all of them (default: Markdown on stdout, also for -)"},
    {0},
};

static const cli_option task_options[] = {
    {"train", 0, CLI_TEXT, offsetof(bench_opts, train), "CSV|DIR|TAR", 0, 0,
     "training photos: adds a weighted nearest-neighbour column"},
    {"train-stride", 0, CLI_INT, offsetof(bench_opts, train_stride), "N", 1, 1e9, "every N-th of them"},
    {"head", 0, CLI_TEXT, offsetof(bench_opts, head), "FILE", 0, 0,
     "linear classifier (.safetensors: weight [C,d] or [C,2d], bias [C]) instead of the checkpoint's"},
    {"boxes", 0, CLI_TEXT, offsetof(bench_opts, boxes), "FILE", 0, 0,
     "objects of a clip in MOT format: how many of their patches are kept, or represented"},
    {"measure-stride", 0, CLI_INT, offsetof(bench_opts, measure_stride), "N", 1, 1e9,
     "fidelity, coverage, uniformity and bias on every N-th item"},
    {"time-stride", 0, CLI_INT, offsetof(bench_opts, time_stride), "N", 1, 1e9,
     "recipes at output: run from end to end on every N-th item, else from one shared encoding"},
    {0},
};

static const cli_option suite_options[] = {
    {"suite", 0, CLI_TEXT, offsetof(bench_opts, suite), "NAME|FILE", 0, 0,
     "tasks, recipes and amounts from a file: v1, which ships with pare, or your own .json"},
    {"root", 0, CLI_LIST, offsetof(bench_opts, roots), "DIR", 0, 0,
     "folder that holds the suite's data (repeatable); what is missing is named and left out"},
    {"journal", 0, CLI_TEXT, offsetof(bench_opts, journal), "DIR", 0, 0,
     "keeps what is finished: the same command goes on where it was stopped (default with --suite: the -o folder)"},
    {0},
};

static const cli_option random_options[] = {
    {"random", 0, CLI_INT, offsetof(bench_opts, n_random), "N", 1, 1e6,
     "times the encoder on N images of noise (--seed) of the model's photo size or --size, on nothing else"},
    {"batch", 0, CLI_INT, offsetof(bench_opts, batch), "B", 1, 16384,
     "images encoded together (default 1); another B may round the last bits of the tokens otherwise"},
    {"save", 0, CLI_TEXT, offsetof(bench_opts, save), "FILE", 0, 0,
     "pixels and tokens of all of them (.safetensors), for a check against another encoder"},
    {0},
};

static const cli_group groups[] = {
    {"What is compared:", own_options, 0},
    {"Tasks:", task_options, 0},
    {"Suites:", suite_options, 0},
    {"The encoder alone:", random_options, 0},
    {"Frames of a clip:", cli_pick_options, offsetof(bench_opts, pick)},
    {"Grid and windows:", cli_layout_options, offsetof(bench_opts, layout)},
    {"Scores and masks of your own (a single -i):", cli_own_options, offsetof(bench_opts, own)},
    {"A selector of your own:", cli_selector_options, offsetof(bench_opts, own)},
    {"Engine:", cli_engine_options, 0},
    {"Common:", cli_common_options, 0},
    {0},
};

/* Tasks whose pages are drawn here: they need no input. */
static int is_drawn(const char *task)
{
    return task != NULL &&
           (strcmp(task, bench_task_documents.name) == 0 || strcmp(task, bench_task_counting.name) == 0);
}

/* ---- one section from options --------------------------------------------------------------------------------- */

/* Without --keep, tasks that draw their pages have amounts of their own. */
static int parse_keeps(bench_opts *o, bench_asked *ask)
{
    cli_common *c = &o->common;
    const char *p = o->keep != NULL ? o->keep : "1,.5,.25";
    if (o->keep == NULL && is_drawn(o->task)) return CLI_OK;
    while (*p != '\0') {
        char word[32];
        size_t n = strcspn(p, ",");
        double value;
        snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : 0, p);
        if (cli_parse_real(word, &value) != 0 || !(value > 0) || value > 1)
            return cli_usage(c, "--keep: '%.*s' is not a number above 0 and at most 1", (int)n, p);
        if (ask->n_keep == BENCH_MAX_KEEPS) return cli_usage(c, "--keep: more than %d values", BENCH_MAX_KEEPS);
        ask->keep[ask->n_keep++] = value;
        p += n + (p[n] == ',');
    }
    return ask->n_keep > 0 ? CLI_OK : cli_usage(c, "--keep: no value");
}

/* 1 and what it is, or 0 for an input that cannot be opened: the run says so and leaves it out. */
static int probe_input(const bench_opts *o, const char *path, pare_source_info *info)
{
    pare_source *source = NULL;
    pare_error err = {0};
    int rc = cli_source_try(&o->pick, path, &source, info, &err);
    pare_source_close(&source);
    return rc == 0;
}

/* All photos or all clips, which can be read more than once. */
static int probe_inputs(bench_opts *o, int *video)
{
    cli_common *c = &o->common;
    const char *first = NULL;
    for (int32_t i = 0; i < o->inputs.n; i++) {
        pare_source_info info;
        const char *path = o->inputs.item[i];
        if (strcmp(path, "-") == 0) return cli_usage(c, "bench reads its inputs more than once, - comes only once");
        if (!probe_input(o, path, &info)) continue;
        if (info.is_live) return cli_usage(c, "bench reads its inputs more than once, %s comes only once", path);
        if (first != NULL && *video == info.is_image)
            return cli_usage(c, "%s and %s: bench takes photos or clips, not both", first, path);
        if (first == NULL) first = path;
        *video = !info.is_image;
    }
    return *cli_stop_flag() ? CLI_STOPPED : CLI_OK;
}

static int choose_task(bench_opts *o, const bench_task **out)
{
    const char *names[16];
    int32_t n = 0, video = 0;
    if (o->task == NULL) {
        const int rc = probe_inputs(o, &video);
        *out = video ? &bench_task_clips : &bench_task_photos;
        return rc;
    }
    *out = bench_task_find(o->task);
    if (*out != NULL) return CLI_OK;
    for (; bench_tasks[n] != NULL && n < 16; n++) names[n] = bench_tasks[n]->name;
    const char *near = cli_nearest(o->task, names, n);
    return cli_usage(&o->common, "--task: there is no '%s'%s%s%s", o->task, near != NULL ? "; did you mean '" : "",
                     near != NULL ? near : "", near != NULL ? "'?" : "");
}

static int add_section(bench_opts *o, bench *b)
{
    const bench_task *task = NULL;
    bench_asked ask = {.data = o->data,
                       .label_column = o->label_column,
                       .train = o->train,
                       .boxes = o->boxes,
                       .head = o->head,
                       .input = o->inputs.item,
                       .n_input = o->inputs.n,
                       .stride = o->stride,
                       .limit = o->limit,
                       .train_stride = o->train_stride,
                       .measure_stride = o->measure_stride,
                       .time_stride = o->time_stride,
                       .rounds = o->rounds,
                       .n_seed = o->seeds > 0 ? (int32_t)o->seeds : DEFAULT_SEEDS,
                       .recipe = o->recipes.item,
                       .n_recipe = o->recipes.n,
                       .layout = o->layout,
                       .pick = o->pick};
    int rc = choose_task(o, &task);
    if (rc == CLI_OK) rc = parse_keeps(o, &ask);
    if (rc != CLI_OK) return rc;
    ask.name = task->name;
    b->data = o->data != NULL    ? o->data
              : o->inputs.n == 1 ? o->inputs.item[0]
              : o->inputs.n > 1  ? "several inputs"
                                 : "";
    bench_add_section(b, task, &ask);
    return CLI_OK;
}

/* ---- checks --------------------------------------------------------------------------------------------------- */

/* Is there an option of a section, but for recipes, amounts and grid? */
static int is_detail_asked(const bench_opts *o)
{
    static const cli_pick no_pick;
    const char *const text[] = {o->task, o->label_column, o->train, o->head, o->boxes};
    const int64_t number[] = {o->limit,        o->stride,         o->rounds,     o->seeds,
                              o->train_stride, o->measure_stride, o->time_stride};
    int is_asked = memcmp(&o->pick, &no_pick, sizeof no_pick) != 0;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) is_asked |= text[i] != NULL;
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) is_asked |= number[i] > 0;
    return is_asked;
}

/* Is there an option that a suite has an own word on? */
static int is_section_asked(const bench_opts *o)
{
    static const cli_layout no_layout;
    return is_detail_asked(o) || o->recipes.n > 0 || o->keep != NULL ||
           memcmp(&o->layout, &no_layout, sizeof no_layout) != 0;
}

static int check_source(bench_opts *o)
{
    cli_common *c = &o->common;
    const int n = (o->data != NULL) + (o->inputs.n > 0) + (o->suite != NULL) + is_drawn(o->task) + (o->n_random > 0);
    if (n != 1)
        return cli_usage(c, "bench needs one of --data, -i, --suite and --task documents|counting, or --random N");
    if (o->n_random == 0 && (o->batch > 0 || o->save != NULL))
        return cli_usage(c, "--batch and --save are for --random");
    if (o->n_random > 0) return CLI_OK; /* check_random has the rest */
    if (o->roots.n > 0 && o->suite == NULL) return cli_usage(c, "--root is for --suite");
    if (o->suite != NULL && is_section_asked(o))
        return cli_usage(c, "--suite says itself what is measured, on which items and frames: of these options only "
                            "--root, --journal, -o, --map and --selector-cmd go with it");
    if ((o->own.scores != NULL || o->own.mask != NULL) && o->inputs.n != 1)
        return cli_usage(c, "--scores and --mask belong to one input: -i FILE, once");
    return CLI_OK;
}

static int check_output(bench_opts *o)
{
    const cli_list data = {.item = &o->data, .n = o->data != NULL};
    if (cli_is_stdout(o->output)) return CLI_OK;
    if (cli_is_folder(o->output)) {
        if (mkdir(o->output, 0777) == 0 || cli_is_folder(o->output)) return CLI_OK;
        return cli_usage(&o->common, "%s: cannot be made", o->output);
    }
    int rc = cli_output_check(&o->common, o->output, &data);
    return rc == CLI_OK ? cli_output_check(&o->common, o->output, &o->inputs) : rc;
}

/* ---- the encoder alone ------------------------------------------------------------------------------------------ */

static int check_random(bench_opts *o)
{
    static const cli_own_opts no_own;
    const cli_list none = {0};
    cli_common *c = &o->common;
    const int64_t batch = o->batch > 0 ? o->batch : 1;
    if (is_detail_asked(o) || memcmp(&o->own, &no_own, sizeof no_own) != 0 || o->roots.n > 0 || o->output != NULL ||
        o->journal != NULL || o->layout.window != NULL || o->layout.max_side > 0)
        return cli_usage(c, "--random times the encoder alone, on stdout: of these options only --batch, --save, "
                            "--recipe, --keep, --seed and --size go with it");
    if (o->recipes.n > 1) return cli_usage(c, "--random takes one --recipe, not %d", o->recipes.n);
    if (batch > o->n_random)
        return cli_usage(c, "--batch %lld exceeds --random %lld", (long long)batch, (long long)o->n_random);
    if (cli_is_stdout(o->save)) return cli_usage(c, "--save needs the name of a file");
    return cli_output_check(c, o->save, &none);
}

static int run_random(bench_opts *o)
{
    bench_random_ask ask = {.c = &o->common,
                            .recipe = o->recipes.n > 0 ? o->recipes.item[0] : NULL,
                            .save = o->save,
                            .n = o->n_random,
                            .batch = o->batch > 0 ? o->batch : 1,
                            .seed = o->layout.seed,
                            .size = o->layout.size};
    const int rc = check_random(o);
    if (rc != CLI_OK) return rc;
    if (o->keep != NULL && (cli_parse_real(o->keep, &ask.keep) != 0 || !(ask.keep > 0) || ask.keep > 1))
        return cli_usage(&o->common, "--keep: '%s' is not one number above 0 and at most 1", o->keep);
    return bench_random(&ask);
}

/* ---- the run -------------------------------------------------------------------------------------------------- */

static int open_sections(bench *b)
{
    for (int32_t i = 0; i < b->n_section; i++) {
        bench_section *s = &b->section[i];
        int rc = s->task->open(b, s);
        if (rc == CLI_OK) rc = bench_plan_rows(b, s);
        if (rc != CLI_OK) return rc;
    }
    return CLI_OK;
}

static int open_journal(const bench_opts *o, bench *b)
{
    const char *dir = o->journal != NULL ? o->journal : o->suite != NULL && cli_is_folder(o->output) ? o->output : NULL;
    return dir != NULL ? bench_journal_open(b, dir, &b->journal) : CLI_OK;
}

static int run_sections(bench *b)
{
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < b->n_section; i++) rc = b->section[i].task->run(b, &b->section[i]);
    cli_progress_end(&b->c->bar);
    return rc;
}

/* An interrupted bench prints what it has. */
static int bench_all(bench_opts *o, bench *b, int n_missing)
{
    int64_t n_cell = 0, n_failed = 0;
    int rc = open_sections(b);
    if (rc == CLI_OK) rc = open_journal(o, b);
    if (rc == CLI_OK) rc = run_sections(b);
    b->interrupted = rc == CLI_STOPPED;
    if (rc != CLI_OK && rc != CLI_STOPPED) return rc;
    for (int32_t i = 0; i < b->n_section; i++) {
        n_cell += b->section[i].n_cell;
        n_failed += b->section[i].n_failed;
    }
    if (n_cell == 0) return rc == CLI_OK ? CLI_UNREADABLE : rc;
    const int printed = bench_report_write(b, o->output);
    if (printed != CLI_OK) return printed;
    return rc == CLI_OK && n_failed + n_missing > 0 ? CLI_SOME : rc;
}

static int note_engine(bench *b)
{
    pare_reducer_stats stats;
    const int rc = cli_engine_get(b->c, b->model, &stats);
    b->backend = stats.backend;
    b->precision = stats.precision;
    return rc;
}

static int run(void *opts, const cli_list *operands)
{
    bench_opts *o = opts;
    cli_common *c = &o->common;
    pare_model *model = NULL;
    pare_model_info info = {.struct_size = sizeof info};
    bench_suite suite = {0};
    if (operands->n > 0) return cli_usage(c, "bench: name inputs with -i, not %s", operands->item[0]);
    int rc = check_source(o);
    if (rc != CLI_OK || o->n_random > 0) return rc != CLI_OK ? rc : run_random(o);
    bench *b = calloc(1, sizeof *b);
    if (b == NULL) return CLI_FAILED;
    *b = (bench){.c = c, .info = &info, .seed = o->layout.seed};
    rc = cli_pick_check(c, &o->pick);
    if (rc == CLI_OK) rc = cli_layout_check(c, &o->layout, &b->window);
    if (rc == CLI_OK) rc = check_output(o);
    if (rc == CLI_OK) rc = cli_own_open(&b->own, c, &o->own, 1);
    if (rc == CLI_OK) rc = o->suite != NULL ? bench_suite_open(b, o->suite, &o->roots, &suite) : add_section(o, b);
    if (rc == CLI_OK) rc = cli_model_open(c, &model, &info);
    b->model = model;
    if (rc == CLI_OK) rc = note_engine(b);
    if (rc == CLI_OK) rc = bench_all(o, b, suite.n_missing);
    bench_free(b);
    cli_own_close(&b->own);
    bench_suite_close(&suite);
    pare_model_close(&model);
    free(b);
    return rc;
}

const cli_command cli_cmd_bench = {
    "bench",
    "[OPTIONS] (--data CSV|DIR|TAR | -i INPUT... | --task documents|counting | --suite NAME|FILE | --random N)",
    "recipes compared fairly: accuracy, latency, fidelity, uniformity",
    groups,
    sizeof(bench_opts),
    run,
};
