/* SPDX-License-Identifier: MIT */
/* pare bench: accuracy and latency of recipes over labelled photos, or latency and fidelity over clips.
 * Every item is decoded once a round and goes through all rows in turn, so that a busy machine hits all rows alike.
 * Rows: none first (the reference of agreement, cosine and speed-up), random, spatial-uniform and resize at every keep,
 * then the recipes asked for. A row keeps its reducer warm (window 1) unless its recipe looks across frames. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "publish.h"

enum { MAX_KEEPS = 32, MAX_ROWS = 4096 };

typedef struct bench_opts {
    cli_common common;
    cli_pick pick;
    cli_layout layout;
    cli_own_opts own;
    cli_list inputs, recipes;
    const char *data, *label_column, *keep, *output;
    int64_t limit, stride, rounds;
} bench_opts;

typedef struct runner {
    bench_opts *o;
    cli_bench b;
    cli_photos photos; /* or clips */
    double keeps[MAX_KEEPS];
    int n_keep;
} runner;

static const char *const baselines[] = {"random@patches", "spatial-uniform@patches", "resize@frames"};

static const cli_option own_options[] = {
    {"data", 'd', CLI_TEXT, offsetof(bench_opts, data), "CSV|DIR|TAR", 0, 0,
     "labelled photos: CSV, folder (class = subfolder), or a .tar holding one"},
    {"label-column", 0, CLI_TEXT, offsetof(bench_opts, label_column), "NAME", 0, 0, "of the CSV (default: the second)"},
    {"input", 'i', CLI_LIST, offsetof(bench_opts, inputs), "FILE", 0, 0,
     "instead of --data: clips or photos (repeatable)"},
    {"recipe", 'r', CLI_LIST, offsetof(bench_opts, recipes), "STEPS|all", 0, 0, "a recipe (repeatable)"},
    {"keep", 'k', CLI_TEXT, offsetof(bench_opts, keep), "A,B,...", 0, 0, "shares that remain (default 1,.5,.25)"},
    {"limit", 0, CLI_INT, offsetof(bench_opts, limit), "N", 1, 1e9, "at most N photos"},
    {"stride", 0, CLI_INT, offsetof(bench_opts, stride), "N", 1, 1e9, "every N-th photo"},
    {"rounds", 0, CLI_INT, offsetof(bench_opts, rounds), "N", 1, 1000, "times each item is run (default 1; clips 3)"},
    {"output", 'o', CLI_TEXT, offsetof(bench_opts, output), "FILE", 0, 0,
     ".md, .csv or .json (default: Markdown on stdout, also for -)"},
    {0},
};

static const cli_group groups[] = {
    {"Table:", own_options, 0},
    {"Frames of a clip:", cli_pick_options, offsetof(bench_opts, pick)},
    {"Grid and windows:", cli_layout_options, offsetof(bench_opts, layout)},
    {"Scores and masks of your own (a single -i):", cli_own_options, offsetof(bench_opts, own)},
    {"A selector of your own:", cli_selector_options, offsetof(bench_opts, own)},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static int parse_keeps(runner *r)
{
    cli_common *c = &r->o->common;
    const char *p = r->o->keep != NULL ? r->o->keep : "1,.5,.25";
    while (*p != '\0') {
        char word[32];
        size_t n = strcspn(p, ",");
        double value;
        snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : 0, p);
        if (cli_parse_real(word, &value) != 0 || !(value > 0) || value > 1)
            return cli_usage(c, "--keep: '%.*s' is not a number above 0 and at most 1", (int)n, p);
        if (r->n_keep == MAX_KEEPS) return cli_usage(c, "--keep: more than %d values", MAX_KEEPS);
        r->keeps[r->n_keep++] = value;
        p += n + (p[n] == ',');
    }
    return r->n_keep > 0 ? CLI_OK : cli_usage(c, "--keep: no value");
}

static int has_flag(const char *name, size_t n, const char *flag)
{
    static const int kinds[] = {PARE_LIST_SELECTORS, PARE_LIST_METHODS};
    pare_list_entry e = {.struct_size = sizeof e};
    for (size_t k = 0; k < 2; k++)
        for (int32_t i = 0; pare_list(kinds[k], i, &e) == 0; i++)
            if (strlen(e.name) == n && memcmp(e.name, name, n) == 0 && strstr(e.flags, flag) != NULL) return 1;
    return 0;
}

/* Steps that the caller decides; a table of built-in ones passes them over. */
static int is_own(const char *name, size_t n)
{
    return (n == 6 && memcmp(name, "custom", n) == 0) || (n == 13 && memcmp(name, "custom-window", n) == 0);
}

/* Does a step of the recipe see several frames at once? Then photos must not share its reducer. */
static int looks_across(const char *recipe)
{
    for (const char *step = recipe; step != NULL; step = strchr(step, ',')) {
        step += *step == ',';
        if (has_flag(step, strcspn(step, ":@,"), "window")) return 1;
    }
    return 0;
}

/* Does a map decide a step of the recipe? It numbers the units of one input, and says how many stay. */
static int is_mapped(const runner *r, const char *recipe)
{
    for (const char *step = r->o->own.map != NULL ? recipe : NULL; step != NULL; step = strchr(step, ',')) {
        step += *step == ',';
        if (is_own(step, strcspn(step, ":@,"))) return 1;
    }
    return 0;
}

/* Tries the row and adds it when a reducer can be made. Library code. */
static int add_row(runner *r, const char *recipe, double keep, pare_error *err)
{
    cli_bench_row row = {.recipe = recipe, .keep = keep};
    row.scored = strstr(recipe, "given") != NULL || strstr(recipe, "scores") != NULL;
    row.fresh = r->b.video || r->b.info->temporal > 1 || looks_across(recipe) || is_mapped(r, recipe);
    int rc = cli_bench_reducer(&r->b, &row, &row.reducer, err);
    if (rc != 0) return rc;
    if (row.fresh) pare_reducer_close(&row.reducer);
    cli_bench_row *grown = r->b.n_row < MAX_ROWS ? realloc(r->b.row, ((size_t)r->b.n_row + 1) * sizeof *grown) : NULL;
    if (grown == NULL) {
        pare_reducer_close(&row.reducer);
        return pare_fail(err, PARE_E_LIMIT, "no room for more than %d rows", r->b.n_row);
    }
    r->b.row = grown;
    r->b.row[r->b.n_row++] = row;
    return 0;
}

/* A recipe at every keep below 1; one that names all its amounts makes a single row. */
static int add_recipe(runner *r, const char *recipe, int may_skip)
{
    pare_error err = {0}, own = {0};
    if (is_mapped(r, recipe) && add_row(r, recipe, 0, &own) == 0) return CLI_OK;
    for (int i = 0; i < r->n_keep; i++) {
        if (r->keeps[i] >= 1) continue;
        int rc = add_row(r, recipe, r->keeps[i], &err);
        if (rc == PARE_E_INVALID && add_row(r, recipe, 0, &own) == 0) return CLI_OK;
        if (rc == 0) continue;
        if (!may_skip) return cli_fail(&r->o->common, &err, CLI_FAILED);
        cli_say(&r->o->common, "skipped %s: %s", recipe, err.text);
        return CLI_OK;
    }
    return CLI_OK;
}

static int is_baseline(const char *name)
{
    size_t n = strlen(name);
    if (strcmp(name, "none") == 0) return 1;
    for (size_t i = 0; i < sizeof baselines / sizeof *baselines; i++)
        if (strncmp(baselines[i], name, n) == 0 && baselines[i][n] == '@') return 1;
    return 0;
}

static int add_all(runner *r)
{
    static const int kinds[] = {PARE_LIST_SELECTORS, PARE_LIST_METHODS};
    pare_list_entry e = {.struct_size = sizeof e};
    int rc = CLI_OK;
    for (size_t k = 0; k < 2; k++)
        for (int32_t i = 0; rc == CLI_OK && pare_list(kinds[k], i, &e) == 0; i++)
            if (!is_baseline(e.name) && !is_own(e.name, strlen(e.name))) rc = add_recipe(r, e.name, 1);
    const char *own = cli_own_recipe(&r->o->own);
    return rc == CLI_OK && own != NULL ? add_recipe(r, own, 0) : rc;
}

static int make_rows(runner *r)
{
    pare_error err = {0};
    if (add_row(r, "none", 1, &err) != 0) return cli_fail(&r->o->common, &err, CLI_FAILED);
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < sizeof baselines / sizeof *baselines; i++)
        rc = add_recipe(r, baselines[i], 0);
    for (int32_t i = 0; rc == CLI_OK && i < r->o->recipes.n; i++) {
        const char *recipe = r->o->recipes.item[i];
        rc = strcmp(recipe, "all") == 0 ? add_all(r) : add_recipe(r, recipe, 0);
    }
    const char *own = r->o->recipes.n == 0 ? cli_own_recipe(&r->o->own) : NULL;
    return rc == CLI_OK && own != NULL ? add_recipe(r, own, 0) : rc;
}

/* ---- the run -------------------------------------------------------------------------------------------------- */

/* The caller's scores and masks for the frames of an item. */
static int dress_frames(runner *r, const pare_source_info *info)
{
    const cli_budget none = {0};
    const pare_reducer_opts opts = cli_reducer_opts(&r->o->common, &none, &r->o->layout, !r->b.video);
    int rc = cli_own_begin(&r->b.own, r->b.model, r->b.info, &opts, info);
    for (int32_t i = 0; rc == CLI_OK && i < r->b.frames.n; i++) rc = cli_own_frame(&r->b.own, &r->b.frames.item[i]);
    return rc;
}

static int decode_item(runner *r, int32_t i)
{
    char buffer[64];
    const cli_pick none = {0};
    pare_source_info info;
    const char *path = cli_photos_path(&r->photos, i, buffer, sizeof buffer);
    cli_frames_free(&r->b.frames);
    if (path == NULL) {
        cli_say(&r->o->common, "%s: cannot be unpacked", r->photos.item[i].path);
        return CLI_UNREADABLE;
    }
    int rc = cli_frames_read(&r->o->common, r->b.video ? &r->o->pick : &none, path, &r->b.frames, &info);
    if (rc == CLI_OK && r->b.frames.n == 0) rc = CLI_UNREADABLE;
    if (rc == CLI_UNREADABLE) cli_say(&r->o->common, "left out: %s", r->photos.item[i].path);
    return rc == CLI_OK ? dress_frames(r, &info) : rc;
}

/* One photo, or two frames of a clip, through every row before anything is measured; a map speaks of all frames. */
static int warm_up(runner *r)
{
    int32_t n = r->b.frames.n;
    r->b.frames.n = n < 2 || r->o->own.map != NULL ? n : 2;
    int rc = cli_bench_item(&r->b, -1, 0);
    r->b.frames.n = n;
    return rc;
}

/* A photo or clip that cannot be read is left out of every row. */
static int run_rounds(runner *r, int64_t rounds)
{
    int64_t done = 0;
    cli_progress_begin(&r->o->common.bar, r->o->common.quiet ? CLI_PROGRESS_NONE : r->o->common.progress,
                       r->b.video ? "clips" : "photos", rounds * r->photos.n);
    for (int64_t round = 0; round < rounds; round++)
        for (int32_t i = 0; i < r->photos.n; i++) {
            int rc = *cli_stop_flag() ? CLI_STOPPED : decode_item(r, i);
            if (rc == CLI_UNREADABLE) {
                r->b.n_failed += round == 0;
                continue;
            }
            if (rc == CLI_OK && done == 0) rc = warm_up(r);
            if (rc == CLI_OK) rc = cli_bench_item(&r->b, r->photos.item[i].class_index, 1);
            if (rc != CLI_OK) return rc;
            r->b.rounds = round + 1;
            r->b.n_measured += round == 0;
            cli_progress_step(&r->o->common.bar, ++done);
        }
    return CLI_OK;
}

/* 1 and what it is, or 0 for an input that cannot be opened: the run says so and leaves it out. */
static int probe_input(runner *r, const char *path, pare_source_info *info)
{
    pare_source *source = NULL;
    pare_error err = {0};
    int rc = cli_source_try(&r->o->pick, path, &source, info, &err);
    pare_source_close(&source);
    return rc == 0;
}

/* --input: all photos or all clips, which can be read more than once. */
static int take_inputs(runner *r, const cli_list *list)
{
    cli_common *c = &r->o->common;
    const char *first = NULL;
    r->b.data = list->n == 1 ? list->item[0] : "several inputs";
    for (int32_t i = 0; i < list->n; i++) {
        pare_source_info info;
        const char *path = list->item[i];
        if (cli_photos_add(&r->photos, path, "", NULL) != 0) return CLI_FAILED;
        if (strcmp(path, "-") == 0) return cli_usage(c, "bench reads its inputs more than once, - comes only once");
        if (!probe_input(r, path, &info)) continue;
        if (info.is_live) return cli_usage(c, "bench reads its inputs more than once, %s comes only once", path);
        if (first != NULL && r->b.video == info.is_image)
            return cli_usage(c, "%s and %s: bench takes photos or clips, not both", first, path);
        if (first == NULL) first = path;
        r->b.video = !info.is_image;
    }
    return *cli_stop_flag() ? CLI_STOPPED : CLI_OK;
}

static int take_data(runner *r)
{
    bench_opts *o = r->o;
    r->b.data = o->data;
    int rc = cli_photos_open(&o->common, o->data, o->label_column, &r->photos);
    if (rc != CLI_OK) return rc;
    cli_photos_thin(&r->photos, o->stride, o->limit);
    return cli_photos_bind(&o->common, &r->photos, r->b.model, r->b.info->n_class);
}

static int bench(runner *r)
{
    bench_opts *o = r->o;
    int rc = o->data != NULL ? take_data(r) : take_inputs(r, &o->inputs);
    if (rc == CLI_OK) rc = make_rows(r);
    if (rc != CLI_OK) return rc;
    rc = run_rounds(r, o->rounds > 0 ? o->rounds : r->b.video ? 3 : 1);
    cli_progress_end(&o->common.bar);
    r->b.interrupted = rc == CLI_STOPPED;
    if (rc != CLI_OK && rc != CLI_STOPPED) return rc;
    if (r->b.row[0].n_sample == 0) return rc == CLI_OK ? CLI_UNREADABLE : rc;
    int printed = cli_bench_print(&r->b, o->output);
    if (printed != CLI_OK) return printed;
    return rc == CLI_OK && r->b.n_failed > 0 ? CLI_SOME : rc;
}

static int check_output(bench_opts *o)
{
    const cli_list data = {.item = &o->data, .n = o->data != NULL};
    int rc = cli_output_check(&o->common, o->output, &data);
    return rc == CLI_OK ? cli_output_check(&o->common, o->output, &o->inputs) : rc;
}

static int run(void *opts, const cli_list *operands)
{
    bench_opts *o = opts;
    cli_common *c = &o->common;
    pare_model *model = NULL;
    pare_model_info info;
    runner r = {.o = o, .photos = CLI_NO_PHOTOS, .b = {.c = c, .info = &info, .layout = &o->layout}};
    if (operands->n > 0) return cli_usage(c, "bench: name inputs with -i, not %s", operands->item[0]);
    if ((o->data != NULL) == (o->inputs.n > 0)) return cli_usage(c, "bench needs either --data or -i");
    if ((o->own.scores != NULL || o->own.mask != NULL) && o->inputs.n != 1)
        return cli_usage(c, "--scores and --mask belong to one input: -i FILE, once");
    int rc = cli_pick_check(c, &o->pick);
    if (rc == CLI_OK) rc = cli_layout_check(c, &o->layout, &r.b.window);
    if (rc == CLI_OK) rc = parse_keeps(&r);
    if (rc == CLI_OK && !cli_is_stdout(o->output)) rc = check_output(o);
    if (rc == CLI_OK) rc = cli_own_open(&r.b.own, c, &o->own, 1);
    if (rc == CLI_OK) rc = cli_model_open(c, &model, &info);
    r.b.model = model;
    if (rc == CLI_OK) rc = bench(&r);
    cli_bench_free(&r.b);
    cli_own_close(&r.b.own);
    cli_photos_close(&r.photos);
    pare_model_close(&model);
    return rc;
}

const cli_command cli_cmd_bench = {
    "bench",
    "[OPTIONS] (--data CSV|DIR|TAR | -i INPUT...)",
    "accuracy-latency table of recipes",
    groups,
    sizeof(bench_opts),
    run,
};
