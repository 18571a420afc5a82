/* SPDX-License-Identifier: MIT */
/* pare reduce: inputs in, fewer located tokens out, one row or JSON line per input.
 * source -> reducer -> writer, frame by frame; nothing but the current window is held. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plan.h"
#include "publish.h"
#include "reduce.h"
#include "trade.h"

static const cli_option own_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(cli_reduce_opts, output), "FILE|DIR/", 0, 0,
     "result of one input (.safetensors, .npz, - = stdout), or a directory for many"},
    {"writer", 0, CLI_TEXT, offsetof(cli_reduce_opts, writer), "NAME", 0, 0, "result format (default: by suffix)"},
    {0},
};

static const cli_option plan_options[] = {
    {"plan", 0, CLI_FLAG, offsetof(cli_reduce_opts, plan), NULL, 0, 0,
     "print what would be spent on every step, encode nothing"},
    {"two-pass", 0, CLI_FLAG, offsetof(cli_reduce_opts, two_pass), NULL, 0, 0,
     "read the input twice: the budget is spent where the whole clip needs it most"},
    {0},
};

static const cli_group groups[] = {
    {"Output:", own_options, 0},
    {"Budget:", cli_budget_options, offsetof(cli_reduce_opts, budget)},
    {"Plan:", plan_options, 0},
    {"Streams:", cli_stream_options, offsetof(cli_reduce_opts, budget)},
    {"Frames:", cli_pick_options, offsetof(cli_reduce_opts, pick)},
    {"Grid and windows:", cli_layout_options, offsetof(cli_reduce_opts, layout)},
    {"Whole pictures and tiles:", cli_tiles_options, offsetof(cli_reduce_opts, layout)},
    {"Scores and masks of your own:", cli_own_options, offsetof(cli_reduce_opts, own)},
    {"A selector of your own:", cli_selector_options, offsetof(cli_reduce_opts, own)},
    {"Engine:", cli_engine_options, 0},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- steps of one input --------------------------------------------------------------------------------------- */

int cli_reduce_count(cli_reduce_job *j)
{
    pare_error err = {0};
    cli_common *c = &j->o->common;
    if (j->info.is_image) j->opts.n_frames = 1;
    if (j->info.is_image || j->opts.tokens <= 0) return CLI_OK;
    if (j->n_true > 0) {
        j->opts.n_frames = j->n_true;
        return CLI_OK;
    }
    if (pare_source_count(j->source, &j->opts.n_frames, &err) == 0) {
        j->taken.listed = j->opts.n_frames;
        return CLI_OK;
    }
    if (err.code != PARE_E_UNSUPPORTED) return cli_fail(c, &err, CLI_UNREADABLE);
    cli_say(c, "--tokens needs the number of frames and %s cannot be read twice; use --keep or --tokens-per-frame",
            j->input);
    return CLI_USAGE;
}

int cli_reduce_recount(cli_reduce_job *j, int64_t n)
{
    if (j->taken.listed == 0 || n == 0 || n == j->taken.listed || j->n_true > 0 || *cli_stop_flag()) return 0;
    j->n_true = n;
    return 1;
}

static int open_writer(cli_reduce_job *j)
{
    const pare_source_info *s = &j->info;
    char seed[24], size[32], rotation[8];
    pare_reducer_stats engine = {.struct_size = sizeof engine};
    pare_error err = {0};
    if (j->output == NULL) return CLI_OK;
    pare_reducer_get(j->reducer, &engine, NULL);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)j->opts.seed);
    snprintf(size, sizeof size, "%dx%d", s->width, s->height);
    snprintf(rotation, sizeof rotation, "%d", s->rotation);
    const char *const meta[][2] = {
        {"model", j->model_info->name},
        {"family", j->model_info->family},
        {"recipe", pare_reducer_recipe(j->reducer)},
        {"backend", engine.backend},
        {"precision", engine.precision},
        {"seed", seed},
        {"version", pare_version()},
        {"input", cli_base_name(j->input)},
        {"input_hash", j->hash},
        {"source_size", size},
        {"rotation", rotation},
    };
    pare_writer_opts opts = {.struct_size = sizeof opts,
                             .format = j->o->writer,
                             .meta = meta,
                             .n_meta = (int64_t)(sizeof meta / sizeof *meta)};
    if (pare_writer_open(&j->writer, j->output, &opts, &err) == 0) return CLI_OK;
    return cli_fail(&j->o->common, &err, CLI_FAILED);
}

static int job_open(cli_reduce_job *j, int32_t window)
{
    cli_reduce_opts *o = j->o;
    cli_hash_file(j->input, j->hash);
    j->pick.read_ahead = CLI_READ_AHEAD;
    int rc = cli_source_open(&o->common, &j->pick, j->input, &j->source, &j->info);
    if (rc != CLI_OK) return rc;
    j->opts = cli_reducer_opts(&o->common, &o->budget, &j->layout, j->info.is_image);
    j->opts.window = window;
    j->opts.custom = cli_own_custom(j->own);
    if (j->plan != NULL) cli_plan_spend(j);
    rc = cli_reduce_count(j);
    if (rc == CLI_OK) rc = cli_own_begin(j->own, j->model, j->model_info, &j->opts, &j->info);
    if (rc == CLI_OK)
        rc = cli_reducer_create(&o->common, j->model, j->input, o->own.map != NULL || j->plan != NULL, &j->opts,
                                &j->reducer);
    if (rc == CLI_OK) rc = open_writer(j);
    return rc;
}

static int take_result(cli_reduce_job *j, pare_result *result)
{
    const pare_result_view *v = pare_result_get(result);
    pare_error err = {0};
    double t0 = cli_now();
    j->grid[0] += v->grid[0];
    j->grid[1] = v->grid[1];
    j->grid[2] = v->grid[2];
    if (j->writer != NULL && pare_writer_append(j->writer, result, &err) != 0)
        return cli_fail(&j->o->common, &err, CLI_FAILED);
    j->write_ms += (cli_now() - t0) * 1e3;
    return CLI_OK;
}

/* Takes every result that is ready. */
static int drain(cli_reduce_job *j)
{
    pare_error err = {0};
    for (int rc = CLI_OK;;) {
        pare_result *result = NULL;
        int pulled = pare_reducer_pull(j->reducer, &result, &err);
        if (pulled < 0) return cli_fail_input(&j->o->common, j->input, &err, CLI_FAILED);
        if (pulled != 0) return CLI_OK;
        rc = take_result(j, result);
        pare_result_free(&result);
        if (rc != CLI_OK) return rc;
    }
}

/* Did the live source stop inside a frame? `damaged` = frames lost before the read that found the end. */
static int ended_early(cli_reduce_job *j, int64_t damaged)
{
    pare_source_get(j->source, &j->info, NULL);
    if (!j->info.is_live || j->info.n_damaged == damaged) return 0;
    cli_say(&j->o->common, "%s: the stream ends inside a frame", j->input);
    return 1;
}

/* What the end of reading means, after n frames: the exit code, and whether what was decided so far is published. Nothing
 * is where it has to be decided again. */
static int end_of_input(cli_reduce_job *j, int got, int64_t n, int64_t damaged, const pare_error *err, int *publish)
{
    cli_common *c = &j->o->common;
    if (got == PARE_EOF && cli_reduce_recount(j, n)) return CLI_OK;
    *publish = n > 0 && (got == PARE_EOF || *cli_stop_flag() || j->info.is_live || err->code == PARE_E_IO);
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (got < 0) return cli_fail_read(c, err);
    if (n > 0) {
        int early = ended_early(j, damaged);
        j->taken.n = n;
        cli_warn_input(c, j->input, &j->pick, &j->info, &j->taken);
        return early ? CLI_UNREADABLE : CLI_OK;
    }
    cli_say(c, "%s: no frame in the range asked for", j->input);
    return CLI_UNREADABLE;
}

/* Reads to the end, to a signal (CLI_STOPPED) or to the unexpected end of a source (CLI_UNREADABLE): the last two
 * leave what was decided so far to be published as incomplete. Other failures publish nothing. */
static int read_frames(cli_reduce_job *j, int *publish)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    *publish = 0;
    for (int64_t n = 0;; n++) {
        pare_frame frame = {.struct_size = sizeof frame};
        double t0 = cli_now();
        int64_t damaged = j->info.n_damaged;
        int got = pare_source_read(j->source, &frame, &err);
        j->decode_ms += (cli_now() - t0) * 1e3;
        if (got != 0 || *cli_stop_flag()) return end_of_input(j, got, n, damaged, &err, publish);
        j->taken.end = frame.pts + frame.duration;
        int rc = cli_own_frame(j->own, &frame);
        if (rc != CLI_OK) return rc;
        if (pare_reducer_push(j->reducer, &frame, &err) != 0) return cli_fail_input(c, j->input, &err, CLI_FAILED);
        rc = drain(j);
        if (rc != CLI_OK) return rc;
        pare_source_get(j->source, &j->info, NULL);
        cli_progress_step(&c->bar, n + 1);
    }
}

static int publish_result(cli_reduce_job *j, int complete)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    if (pare_reducer_flush(j->reducer, &err) != 0) return cli_fail_input(c, j->input, &err, CLI_FAILED);
    int rc = drain(j);
    if (rc == CLI_OK && complete) rc = cli_own_end(j->own);
    if (rc != CLI_OK) return rc;
    double t0 = cli_now();
    if (j->writer != NULL && pare_writer_finish(j->writer, complete, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
    j->write_ms += (cli_now() - t0) * 1e3;
    j->complete = complete;
    j->published = 1;
    return CLI_OK;
}

static int job_run(cli_reduce_job *j)
{
    cli_common *c = &j->o->common;
    int publish;
    cli_progress_begin(&c->bar, c->quiet ? CLI_PROGRESS_NONE : c->progress, "frames",
                       cli_pick_estimate(&j->pick, &j->info));
    int rc = read_frames(j, &publish);
    int late = publish ? publish_result(j, rc == CLI_OK) : CLI_OK;
    cli_progress_end(&c->bar);
    pare_source_get(j->source, &j->info, NULL);
    return late != CLI_OK ? late : rc;
}

static void close_run(cli_reduce_job *j)
{
    pare_writer_close(&j->writer);
    pare_reducer_close(&j->reducer);
    pare_source_close(&j->source);
}

/* From the input's opening to its result; twice where its list of frames lies. */
static int job_do(cli_reduce_job *j, int32_t window)
{
    j->began = cli_now();
    for (;;) {
        const int64_t n_true = j->n_true;
        int rc = job_open(j, window);
        if (rc == CLI_OK) rc = job_run(j);
        if (rc != CLI_OK || j->n_true == n_true) return rc;
        close_run(j);
        memset(j->grid, 0, sizeof j->grid);
    }
}

static void job_close(cli_reduce_job *j)
{
    close_run(j);
    pare_plan_close(&j->plan);
    pare_trade_close(&j->trade);
    free(j->output);
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */

/* DIR/<stem>.safetensors for a directory, else -o itself; NULL without -o. The caller frees. */
static int name_output(cli_reduce_opts *o, const char *input, char **out)
{
    char stem[256];
    int n = 0;
    *out = NULL;
    if (o->output == NULL) return CLI_OK;
    cli_stem(input, stem, sizeof stem);
    if (cli_is_folder(o->output)) {
        int slash = cli_has_suffix(o->output, "/");
        const char *suffix = o->writer != NULL ? o->writer : "safetensors";
        n = asprintf(out, "%s%s%s.%s", o->output, slash ? "" : "/", stem, suffix);
    } else {
        *out = strdup(o->output);
    }
    if (n >= 0 && *out != NULL) return CLI_OK;
    cli_say(&o->common, "out of memory for the name of an output");
    return CLI_FAILED;
}

static int check_targets(cli_reduce_opts *o, const cli_list *inputs)
{
    int rc = CLI_OK;
    for (int32_t i = 0; i < inputs->n && rc == CLI_OK; i++) {
        char *target;
        rc = name_output(o, inputs->item[i], &target);
        if (rc == CLI_OK) rc = cli_output_check(&o->common, target, inputs);
        free(target);
    }
    return rc;
}

/* A directory must exist and two inputs must not meet in one file; told before any work is done. */
static int check_outputs(cli_reduce_opts *o, const cli_list *inputs)
{
    cli_common *c = &o->common;
    if (o->output == NULL) return CLI_OK;
    int directory = cli_is_folder(o->output);
    if (inputs->n > 1 && !directory) return cli_usage(c, "%d inputs need -o DIR/, not %s", inputs->n, o->output);
    for (int32_t i = 0; i < inputs->n; i++)
        for (int32_t k = 0; k < i; k++) {
            char a[256], b[256];
            cli_stem(inputs->item[i], a, sizeof a);
            cli_stem(inputs->item[k], b, sizeof b);
            if (strcmp(a, b) == 0)
                return cli_usage(c, "%s and %s would both become %s", inputs->item[k], inputs->item[i], a);
        }
    if (directory && mkdir(o->output, 0777) != 0 && errno != EEXIST) {
        cli_say(c, "cannot create %s: %s", o->output, strerror(errno));
        return CLI_FAILED;
    }
    return check_targets(o, inputs);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

/* What two passes mean for every step, and what a reducer makes of it. */
static int print_plan(cli_reduce_job *j, int32_t window)
{
    pare_plan *spent = NULL;
    const int rc = j->o->two_pass ? cli_plan_read(j, window, PARE_PLAN_ONE_PASS, &spent) : CLI_OK;
    if (rc == CLI_OK) cli_plan_print(j, spent ? spent : j->plan);
    pare_plan_close(&spent);
    return rc;
}

static int reduce_one(cli_reduce_opts *o, cli_own *own, const pare_model *model, const pare_model_info *info,
                      const char *input)
{
    int32_t window;
    cli_reduce_job j = {
        .o = o, .own = own, .model = model, .model_info = info, .input = input, .pick = o->pick, .layout = o->layout};
    pare_reducer_stats stats = {.struct_size = sizeof stats};
    int rc = cli_layout_check(&o->common, &o->layout, &window);
    const int32_t kind = o->two_pass ? PARE_PLAN_TWO_PASS : PARE_PLAN_ONE_PASS;
    if (rc == CLI_OK) rc = name_output(o, input, &j.output);
    if (rc == CLI_OK && o->free_sides) rc = cli_trade_read(&j);
    if (rc == CLI_OK && (o->plan || o->two_pass)) rc = cli_plan_read(&j, window, kind, &j.plan);
    if (rc == CLI_OK && o->plan) {
        rc = print_plan(&j, window);
        job_close(&j);
        return rc;
    }
    if (rc == CLI_OK) rc = job_do(&j, window);
    if (j.published && pare_reducer_get(j.reducer, &stats, NULL) == 0) {
        double wall_ms = (cli_now() - j.began) * 1e3;
        if (!cli_is_stdout(o->output)) cli_reduce_print(&j, &stats, wall_ms);
    } else if (o->common.json) {
        cli_reduce_print_failure(&j, rc);
    }
    job_close(&j);
    return rc;
}

static int reduce_all(cli_reduce_opts *o, cli_own *own, const pare_model *model, const pare_model_info *info,
                      const cli_list *inputs)
{
    int n_failed = 0, n_usage = 0, rc = CLI_OK;
    for (int32_t i = 0; i < inputs->n; i++) {
        rc = reduce_one(o, own, model, info, inputs->item[i]);
        if (rc == CLI_STOPPED) return rc;
        n_failed += rc != CLI_OK;
        n_usage += rc == CLI_USAGE;
    }
    if (n_usage == inputs->n) return CLI_USAGE;
    return n_failed == 0 ? CLI_OK : inputs->n > 1 ? CLI_SOME : rc;
}

/* `auto` becomes what is free; the options then stand as if nothing was said. */
static int take_auto(cli_reduce_opts *o)
{
    if (o->pick.fps < 0 && (o->pick.frames > 0 || o->pick.every > 0))
        return cli_usage(&o->common, "--fps, --frames and --every exclude each other");
    if (o->layout.size.width < 0 && o->layout.max_side > 0)
        return cli_usage(&o->common, "--size and --max-side exclude each other");
    if (o->pick.fps < 0) {
        o->free_sides |= PARE_TRADE_RATE;
        o->pick.fps = 0;
    }
    if (o->layout.size.width < 0) {
        o->free_sides |= PARE_TRADE_SIZE;
        o->layout.size = (cli_size){0, 0};
    }
    if (o->free_sides && o->budget.tokens <= 0)
        return cli_usage(&o->common, "--fps auto and --size auto need --tokens");
    return CLI_OK;
}

static int run(void *opts, const cli_list *inputs)
{
    cli_reduce_opts *o = opts;
    pare_model *model = NULL;
    pare_model_info info;
    cli_own own = {0};
    int32_t window;
    if (o->budget.recipe == NULL) o->budget.recipe = cli_own_recipe(&o->own);
    if (inputs->n == 0) return cli_usage(&o->common, "reduce: no input; pare reduce --help");
    int rc = take_auto(o);
    if (rc == CLI_OK) rc = cli_pick_check(&o->common, &o->pick);
    if (rc == CLI_OK) rc = cli_own_check(&o->common, &o->own, o->budget.recipe);
    if (rc == CLI_OK) rc = cli_budget_check(&o->common, &o->budget);
    if (rc == CLI_OK) rc = cli_layout_check(&o->common, &o->layout, &window);
    if (rc == CLI_OK && o->plan && o->output != NULL) rc = cli_usage(&o->common, "--plan encodes nothing: no -o");
    if (rc == CLI_OK && o->two_pass && o->budget.tokens_per_frame > 0)
        rc = cli_usage(&o->common, "--two-pass takes --keep or --tokens");
    if (rc == CLI_OK) rc = check_outputs(o, inputs);
    if (rc == CLI_OK) rc = cli_own_open(&own, &o->common, &o->own, 0);
    if (rc == CLI_OK) rc = cli_model_open(&o->common, &model, &info);
    if (rc == CLI_OK) rc = reduce_all(o, &own, model, &info, inputs);
    cli_own_close(&own);
    pare_model_close(&model);
    return rc;
}

const cli_command cli_cmd_reduce = {
    "reduce", "[OPTIONS] INPUT...",    "videos, photos, cameras, - in; fewer, located tokens out",
    groups,   sizeof(cli_reduce_opts), run,
};
