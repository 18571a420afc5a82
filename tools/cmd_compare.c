/* SPDX-License-Identifier: MIT */
/* pare compare: where two reductions of the same frames differ, counted and drawn. A and B are two recipes that run over
 * one input, or two result files of `pare reduce`, whose maps are compared without pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "compare.h"
#include "frames.h"
#include "map_file.h"
#include "publish.h"

typedef struct compare_opts {
    cli_common common;
    cli_pick pick;
    cli_budget budget;
    cli_layout layout;
    cli_list inputs;
    const char *output;
    int64_t steps;
} compare_opts;

enum { DEFAULT_STEPS = 10 };

static const cli_option own_options[] = {
    {"input", 'i', CLI_LIST, offsetof(compare_opts, inputs), "FILE", 0, 0, "photo or clip that both recipes reduce"},
    {"output", 'o', CLI_TEXT, offsetof(compare_opts, output), "FILE", 0, 0,
     ".png of the photo or of the step that differs most, .mp4 of a clip: both, only A, only B, neither"},
    {"steps", 0, CLI_INT, offsetof(compare_opts, steps), "N", 1, 1e6, "list the N steps that differ most (default 10)"},
    {0},
};

static const cli_group groups[] = {
    {"Comparison:", own_options, 0},
    {"Budget of both:", cli_budget_options + 1, offsetof(compare_opts, budget)}, /* A and B stand for --recipe */
    {"Streams:", cli_stream_options, offsetof(compare_opts, budget)},
    {"Frames:", cli_pick_options, offsetof(compare_opts, pick)},
    {"Grid and windows:", cli_layout_options, offsetof(compare_opts, layout)},
    {"Engine of both:", cli_engine_options, 0},
    {"Common:", cli_common_options, 0},
    {0},
};

/* Two recipes on their way. */
typedef struct job {
    compare_opts *o;
    const char *input;
    pare_model *model;
    pare_model_info info;
    pare_source_info source;
    cli_frames frames;
    pare_reducer *reducer[2]; /* their recipes name the sides */
    cli_compare m;
    uint8_t *canvas; /* [height + legend, width, 3] */
} job;

/* ---- two recipes ---------------------------------------------------------------------------------------------- */

static int pull_all(job *j, pare_reducer *reducer, cli_side *side)
{
    pare_error err = {0};
    for (;;) {
        pare_result *result = NULL;
        const int rc = pare_reducer_pull(reducer, &result, &err);
        if (rc < 0) return cli_fail_input(&j->o->common, j->input, &err, CLI_FAILED);
        if (rc > 0) return CLI_OK;
        if (cli_side_add(side, result) == 0) continue;
        cli_say(&j->o->common, "%s: out of memory for results", j->input);
        return CLI_FAILED;
    }
}

static int reduce_frames(job *j, pare_reducer *reducer, cli_side *side)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    const double began = cli_now();
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < j->frames.n; i++) {
        if (*cli_stop_flag()) return CLI_STOPPED;
        if (pare_reducer_push(reducer, &j->frames.item[i], &err) != 0)
            return cli_fail_input(c, j->input, &err, CLI_FAILED);
        rc = pull_all(j, reducer, side);
        cli_progress_step(&c->bar, c->bar.done + 1);
    }
    if (rc == CLI_OK && pare_reducer_flush(reducer, &err) != 0) rc = cli_fail_input(c, j->input, &err, CLI_FAILED);
    if (rc == CLI_OK) rc = pull_all(j, reducer, side);
    side->ms = (cli_now() - began) * 1e3;
    return rc;
}

static int open_reducers(job *j, const cli_list *recipes, int32_t window)
{
    compare_opts *o = j->o;
    int rc = CLI_OK;
    for (int i = 0; rc == CLI_OK && i < 2; i++) {
        cli_budget budget = o->budget;
        budget.recipe = recipes->item[i];
        pare_reducer_opts opts = cli_reducer_opts(&o->common, &budget, &o->layout, j->source.is_image);
        cli_one_grid(&opts);
        opts.window = window;
        opts.n_frames = j->frames.n;
        rc = cli_reducer_create(&o->common, j->model, j->input, 0, &opts, &j->reducer[i]);
    }
    return rc;
}

static void note_engine(job *j)
{
    pare_reducer_stats stats = {.struct_size = sizeof stats};
    if (pare_reducer_get(j->reducer[0], &stats, NULL) != 0) return;
    j->m.backend = stats.backend;
    j->m.precision = stats.precision;
}

static int run_recipes(job *j, const cli_list *recipes, int32_t window)
{
    cli_common *c = &j->o->common;
    cli_side *side[] = {&j->m.a, &j->m.b};
    int rc = cli_model_open(c, &j->model, &j->info);
    if (rc == CLI_OK) rc = cli_frames_read(c, &j->o->pick, j->input, &j->frames, &j->source);
    if (rc == CLI_OK && j->frames.n == 0) {
        cli_say(c, "%s: no frame in the range asked for", j->input);
        rc = CLI_UNREADABLE;
    }
    if (rc == CLI_OK) rc = open_reducers(j, recipes, window);
    if (rc != CLI_OK) return rc;
    cli_progress_begin(&c->bar, c->quiet ? CLI_PROGRESS_NONE : c->progress, "frames", 2 * (int64_t)j->frames.n);
    for (int i = 0; rc == CLI_OK && i < 2; i++) {
        side[i]->name = pare_reducer_recipe(j->reducer[i]);
        rc = reduce_frames(j, j->reducer[i], side[i]);
    }
    note_engine(j);
    cli_progress_end(&c->bar);
    return rc;
}

/* ---- two files ------------------------------------------------------------------------------------------------ */

/* A result file as a selector: its map, and its scores for what they are worth. */
typedef struct recorded {
    cli_map *map;
    const pare_tensor *scores; /* f32 [n], or NULL */
} recorded;

static int replay(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err)
{
    const recorded *r = user;
    int rc = cli_map_select(r->map, view, out, err);
    for (int64_t i = 0; rc == 0 && r->scores != NULL && i < view->n; i++) {
        const int64_t unit = view->index[i];
        const float score = unit < r->scores->shape[0] ? ((const float *)r->scores->data)[unit] : NAN;
        if (isfinite(score)) rc = pare_selection_score(out, i, score);
    }
    return rc;
}

static const pare_tensor *find_array(const cli_arrays *a, const char *name)
{
    for (int32_t i = 0; i < a->n; i++)
        if (strcmp(a->t[i].name, name) == 0) return &a->t[i];
    return NULL;
}

/* grid [media, 3] in units, of a file that counts patches; the number of units, or 0 where it says nothing usable. */
static int64_t grid_of(const cli_arrays *a, int64_t unit, int64_t *grid, int64_t max_media, int64_t *n_media)
{
    const pare_tensor *t = find_array(a, "grid_thw");
    int64_t n = 0;
    if (t == NULL || t->dtype != PARE_I64 || t->n_dim != 2 || t->shape[1] != 3 || t->shape[0] > max_media) return 0;
    memcpy(grid, t->data, (size_t)pare_tensor_count(t) * sizeof *grid);
    for (int64_t i = 0; i < t->shape[0]; i++) {
        int64_t *g = grid + 3 * i;
        g[1] /= unit;
        g[2] /= unit;
        if (g[0] <= 0 || g[1] <= 0 || g[2] <= 0 || g[0] > INT32_MAX || g[1] > 65536 || g[2] > 65536) return 0;
        if (g[0] * g[1] > INT32_MAX / g[2] - n) return 0;
        n += g[0] * g[1] * g[2];
    }
    *n_media = t->shape[0];
    return n;
}

static int64_t unit_of(const char *path)
{
    pare_tensors *file = NULL;
    int64_t unit = 1;
    const char *text = pare_tensors_open(&file, path, NULL) == 0 ? pare_tensors_meta(file, "unit") : NULL;
    if (text != NULL && (cli_parse_int(text, &unit) != 0 || unit < 1 || unit > 64)) unit = 1;
    pare_tensors_close(&file);
    return unit;
}

/* The file's map over tokens of which nothing but their number is known. */
static int replay_file(cli_common *c, recorded *r, const int64_t *grid, int64_t n_media, int64_t n, cli_side *side)
{
    float *zero = calloc((size_t)n, sizeof *zero);
    const pare_tensor arrays[] = {
        {.name = "tokens", .dtype = PARE_F32, .n_dim = 2, .shape = {n, 1}, .data = zero},
        {.name = "grid_thw", .dtype = PARE_I64, .n_dim = 2, .shape = {n_media, 3}, .data = grid},
    };
    const pare_custom custom = {.struct_size = sizeof custom, .select = replay, .user = r};
    const pare_reducer_opts opts = {.struct_size = sizeof opts,
                                    .recipe = "custom-window@output",
                                    .custom = &custom,
                                    .n_threads = (int32_t)c->threads};
    pare_result *result = NULL;
    pare_error err = {0};
    int rc = zero != NULL ? pare_reduce_tokens(arrays, 2, &opts, &result, &err)
                          : pare_fail(&err, PARE_E_NOMEM, "out of memory for %lld units", (long long)n);
    if (rc == 0) rc = cli_map_end(r->map, &err);
    if (rc == 0 && cli_side_add(side, result) != 0) rc = pare_fail(&err, PARE_E_NOMEM, "out of memory for a result");
    free(zero);
    side->ms = NAN;
    return rc == 0 ? CLI_OK : cli_fail_input(c, side->name, &err, CLI_UNREADABLE);
}

static int read_side(cli_common *c, const char *path, cli_side *side)
{
    enum { MAX_MEDIA = 4096 };
    cli_arrays arrays = {0};
    recorded r = {0};
    pare_error err = {0};
    int64_t *grid = malloc(3 * MAX_MEDIA * sizeof *grid), n_media = 0, n = 0;
    side->name = path;
    int rc = grid != NULL ? cli_arrays_read(c, path, &arrays) : CLI_FAILED;
    if (rc == CLI_OK && (n = grid_of(&arrays, unit_of(path), grid, MAX_MEDIA, &n_media)) == 0) {
        cli_say(c, "%s: no grid_thw i64 [media, 3]: not a result of pare reduce", path);
        rc = CLI_UNREADABLE;
    }
    if (rc == CLI_OK && cli_map_open(&r.map, path, &err) != 0) rc = cli_fail(c, &err, CLI_UNREADABLE);
    if (rc == CLI_OK) {
        const pare_tensor *scores = find_array(&arrays, "scores");
        if (scores != NULL && scores->dtype == PARE_F32 && scores->n_dim == 1) r.scores = scores;
        cli_map_begin(r.map);
        rc = replay_file(c, &r, grid, n_media, n, side);
    }
    cli_map_close(&r.map);
    cli_arrays_free(&arrays);
    free(grid);
    return rc;
}

/* ---- pictures ------------------------------------------------------------------------------------------------- */

/* The frame's slot in the clip: which result, and which of its steps. */
static int find_slot(const job *j, int64_t slot, int64_t *window, int32_t *t)
{
    for (int64_t i = 0; i < j->m.a.n; i++) {
        const pare_result_view *v = pare_result_get(j->m.a.result[i]);
        if (slot < v->first_slot || slot >= v->first_slot + v->grid[0]) continue;
        *window = i;
        *t = (int32_t)(slot - v->first_slot);
        return 1;
    }
    return 0;
}

static int32_t frames_of_step(const job *j)
{
    return j->info.temporal > 1 && !j->source.is_image ? j->info.temporal : 1;
}

/* Draws frame i into the canvas. */
static int draw_frame(job *j, int32_t i)
{
    pare_error err = {0};
    int64_t window = 0;
    int32_t t = 0;
    if (!find_slot(j, i / frames_of_step(j), &window, &t)) {
        cli_say(&j->o->common, "%s: no result shows frame %d", j->input, i);
        return CLI_FAILED;
    }
    const pare_heatmap_opts opts = {
        .struct_size = sizeof opts, .style = PARE_HEATMAP_DIFFERENCE, .legend = 1, .other = j->m.b.result[window]};
    if (pare_heatmap_draw(j->m.a.result[window], t, &j->frames.item[i], &opts, j->canvas, &err) == 0) return CLI_OK;
    return cli_fail(&j->o->common, &err, CLI_FAILED);
}

static int draw_clip(job *j, int32_t width, int32_t height)
{
    cli_common *c = &j->o->common;
    pare_video_writer *video = NULL;
    pare_error err = {0};
    const double first = j->frames.item[0].pts, rate = j->o->pick.fps > 0 ? j->o->pick.fps : j->source.rate;
    if (pare_video_writer_open(&video, j->o->output, width, height, rate, &err) != 0)
        return cli_fail(c, &err, CLI_FAILED);
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < j->frames.n; i++) {
        rc = *cli_stop_flag() ? CLI_STOPPED : draw_frame(j, i);
        if (rc == CLI_OK && pare_video_writer_append(video, j->canvas, j->frames.item[i].pts - first, &err) != 0)
            rc = cli_fail(c, &err, CLI_FAILED);
    }
    if (rc == CLI_OK && pare_video_writer_finish(video, &err) != 0) rc = cli_fail(c, &err, CLI_FAILED);
    pare_video_writer_close(&video);
    return rc;
}

/* The first frame of the step that differs most. */
static int draw_worst(job *j, int32_t width, int32_t height)
{
    pare_error err = {0};
    const int rc = draw_frame(j, (int32_t)(cli_compare_worst(&j->m) * frames_of_step(j)));
    if (rc != CLI_OK || pare_png_save(j->o->output, j->canvas, width, height, &err) == 0) return rc;
    return cli_fail(&j->o->common, &err, CLI_FAILED);
}

static int draw(job *j)
{
    const char *output = j->o->output;
    const int32_t width = j->frames.item[0].width, height = j->frames.item[0].height + PARE_HEATMAP_LEGEND_HEIGHT;
    j->canvas = malloc((size_t)width * (size_t)height * 3);
    if (j->canvas == NULL) {
        cli_say(&j->o->common, "out of memory for a picture of %dx%d", width, height);
        return CLI_FAILED;
    }
    return cli_has_suffix(output, ".png") ? draw_worst(j, width, height) : draw_clip(j, width, height);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int is_file(const char *name) { return cli_has_suffix(name, ".safetensors") || cli_has_suffix(name, ".npz"); }

static int check(compare_opts *o, const cli_list *operands)
{
    cli_common *c = &o->common;
    if (operands->n != 2) return cli_usage(c, "compare takes two recipes or two result files, not %d", operands->n);
    const char *a = operands->item[0], *b = operands->item[1];
    if (is_file(a) != is_file(b)) return cli_usage(c, "compare: %s and %s: two recipes or two result files", a, b);
    if (is_file(a) && (!cli_has_suffix(a, ".safetensors") || !cli_has_suffix(b, ".safetensors")))
        return cli_usage(c, "compare reads .safetensors, not %s", cli_has_suffix(a, ".npz") ? a : b);
    if (is_file(a) && (o->inputs.n > 0 || o->output != NULL))
        return cli_usage(c, "compare: %s and %s hold no pictures: -i and -o go with recipes", a, b);
    if (is_file(a) && (c->backend != NULL || c->precision != NULL))
        return cli_usage(c, "compare: %s and %s are encoded: --backend and --precision go with recipes", a, b);
    if (!is_file(a) && o->inputs.n != 1)
        return cli_usage(c, "compare: one input is needed: -i FILE, once (not %d times)", o->inputs.n);
    return CLI_OK;
}

static int check_output(compare_opts *o)
{
    static const char *const suffixes[] = {".png", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts"};
    for (size_t i = 0; o->output != NULL && i < sizeof suffixes / sizeof *suffixes; i++)
        if (cli_has_suffix(o->output, suffixes[i])) return cli_output_check(&o->common, o->output, &o->inputs);
    if (o->output == NULL) return CLI_OK;
    return cli_usage(&o->common, "compare writes .png .mp4 .m4v .mov .mkv .webm .ts, not %s", o->output);
}

static void job_close(job *j)
{
    cli_compare_free(&j->m);
    pare_reducer_close(&j->reducer[0]);
    pare_reducer_close(&j->reducer[1]);
    cli_frames_free(&j->frames);
    pare_model_close(&j->model);
    free(j->canvas);
}

static int run(void *opts, const cli_list *operands)
{
    compare_opts *o = opts;
    cli_common *c = &o->common;
    job j = {.o = o, .info = {.struct_size = sizeof j.info}, .source = {.struct_size = sizeof j.source}};
    int32_t window = 0;
    int rc = check(o, operands);
    if (rc == CLI_OK) rc = check_output(o);
    if (rc == CLI_OK) rc = cli_pick_check(c, &o->pick);
    if (rc == CLI_OK) rc = cli_budget_check(c, &o->budget);
    if (rc == CLI_OK) rc = cli_layout_check(c, &o->layout, &window);
    if (rc == CLI_OK && is_file(operands->item[0])) {
        rc = read_side(c, operands->item[0], &j.m.a);
        if (rc == CLI_OK) rc = read_side(c, operands->item[1], &j.m.b);
    } else if (rc == CLI_OK) {
        j.input = o->inputs.item[0];
        rc = run_recipes(&j, operands, window);
    }
    if (rc == CLI_OK) rc = cli_compare_measure(c, &j.m);
    if (rc == CLI_OK && j.source.is_image && o->output != NULL && !cli_has_suffix(o->output, ".png"))
        rc = cli_usage(c, "%s: a photo needs -o FILE.png", j.input);
    if (rc == CLI_OK && o->output != NULL) rc = draw(&j);
    if (rc == CLI_OK) cli_compare_print(c, &j.m, j.input, o->steps > 0 ? o->steps : DEFAULT_STEPS, o->output);
    job_close(&j);
    return rc;
}

const cli_command cli_cmd_compare = {
    "compare",
    "[OPTIONS] RECIPE_A RECIPE_B -i INPUT [-o FILE.png|FILE.mp4]\n       pare compare A.safetensors B.safetensors",
    "where two recipes, or two results, differ",
    groups,
    sizeof(compare_opts),
    run,
};
