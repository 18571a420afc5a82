/* SPDX-License-Identifier: MIT */
/* A row of the bench on the frames of one item (bench.h). Every row keeps one reducer, which begins a new timeline for
 * every item with a seed made of the row's and the item's: the numbers depend on neither order, resume nor threads. Its
 * first run in a process warms it up and is repeated. The clock runs from the first push to the last pull; setting up,
 * judging and writing are outside. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* Reducers of a section that stay in memory (about 8 MB each for photos, 40 MB for windows of a clip); those of further
 * rows are made, warmed up and closed for every item. */
enum { DEFAULT_WINDOW = 32, WARM_FRAMES = 8, MAX_WARM_PHOTO = 512, MAX_WARM_CLIP = 24 };

/* Of the last two parts of a path, so that it does not matter where the data lie. */
uint64_t bench_item_seed(const char *name)
{
    const char *from = name + strlen(name);
    for (int parts = 0; from > name; from--)
        if (from[-1] == '/' && ++parts == 2) break;
    return XXH3_64bits(from, strlen(from));
}

/* splitmix64 of both, so that neighbouring seeds share nothing. */
static uint64_t mix_seeds(uint64_t row, uint64_t item)
{
    uint64_t x = item + (row + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* ---- reducers -------------------------------------------------------------------------------------------------- */

/* Photos are decided one by one unless a step looks across them. */
static int32_t window_of(const bench *b, const bench_section *s, const bench_row *row)
{
    int32_t window = b->window;
    if (!s->video && !row->is_wide) return 1;
    if (s->ask.layout.window != NULL) cli_layout_check(b->c, &s->ask.layout, &window);
    return window;
}

static pare_reducer_opts reducer_opts(const bench *b, const bench_section *s, const bench_row *row)
{
    const cli_budget budget = {.recipe = row->recipe, .keep = row->keep < 1 ? row->keep : 0};
    pare_reducer_opts opts = cli_reducer_opts(b->c, &budget, &s->ask.layout, !s->video);
    cli_one_grid(&opts);
    opts.window = window_of(b, s, row);
    opts.seed = row->seed;
    opts.custom = cli_own_custom(&b->own);
    return opts;
}

int bench_reducer(const bench *b, const bench_section *s, const bench_row *row, pare_reducer **out, pare_error *err)
{
    const pare_reducer_opts opts = reducer_opts(b, s, row);
    return pare_reducer_create(out, b->model, &opts, err);
}

static int is_custom(const bench_row *row) { return strstr(row->recipe, "custom") != NULL; }

/* Can the row be reduced from a shared encoding? What a caller's selector looks at is its own affair. */
static int may_share(const bench_row *row) { return row->saves == BENCH_SAVES_PREFILL && !is_custom(row); }

/* Recipe none that keeps what these rows read. */
static int open_sharer(bench *b, bench_section *s, pare_error *err)
{
    const char **recipe = malloc((size_t)s->n_row * sizeof *recipe);
    pare_reducer_opts opts = reducer_opts(b, s, &s->row[0]);
    if (recipe == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d recipes", s->n_row);
    for (int32_t i = 0; i < s->n_row; i++) {
        if (!may_share(&s->row[i])) continue;
        const int is_new = opts.n_capture == 0 || strcmp(recipe[opts.n_capture - 1], s->row[i].recipe) != 0;
        if (is_new) recipe[opts.n_capture++] = s->row[i].recipe;
    }
    opts.capture = recipe;
    const int rc = opts.n_capture > 0 ? pare_reducer_create(&s->sharer, b->model, &opts, err) : PARE_E_UNSUPPORTED;
    free(recipe);
    return rc;
}

void bench_run_close(bench_section *s)
{
    for (int32_t i = 0; i < s->n_row; i++) {
        pare_reducer_close(&s->row[i].reducer);
        s->row[i].is_warm = 0;
    }
    pare_reducer_close(&s->sharer);
    bench_bias_free(&s->bias);
}

/* ---- results --------------------------------------------------------------------------------------------------- */

void bench_run_free(bench_run *run)
{
    for (int64_t i = 0; i < run->n_result; i++) pare_result_free(&run->result[i]);
    free(run->result);
    *run = BENCH_NO_RUN;
}

/* An empty run that nobody has timed. */
static void begin_run(bench_run *run, int32_t n_frame)
{
    bench_run_free(run);
    run->n_frame = n_frame;
    for (int i = 0; i <= BENCH_MS_WRITE; i++) run->ms[i] = NAN;
}

/* Takes the result. */
static int keep_result(bench_run *run, pare_result *result, pare_error *err)
{
    if (run->n_result == run->cap) {
        const int64_t cap = run->cap > 0 ? 2 * run->cap : 4;
        pare_result **grown = realloc(run->result, (size_t)cap * sizeof *grown);
        if (grown == NULL) {
            pare_result_free(&result);
            return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld results", (long long)cap);
        }
        run->result = grown;
        run->cap = cap;
    }
    run->result[run->n_result++] = result;
    return 0;
}

static int pull_all(pare_reducer *reducer, bench_run *run, pare_error *err)
{
    for (;;) {
        pare_result *result = NULL;
        int rc = pare_reducer_pull(reducer, &result, err);
        if (rc == 0) rc = keep_result(run, result, err);
        if (rc != 0) return rc < 0 ? rc : 0;
    }
}

/* ---- from end to end ------------------------------------------------------------------------------------------- */

static int push_all(pare_reducer *reducer, const bench_frames *frames, int has_scores, bench_run *run, pare_error *err)
{
    int rc = 0;
    for (int32_t i = 0; i < frames->n && rc == 0; i++) {
        pare_frame frame = frames->frame[i];
        if (*cli_stop_flag()) return pare_fail(err, PARE_E_STATE, "interrupted");
        if (!has_scores) frame.scores = NULL;
        rc = pare_reducer_push(reducer, &frame, err);
        if (rc == 0) rc = pull_all(reducer, run, err);
    }
    if (rc == 0) rc = pare_reducer_flush(reducer, err);
    return rc == 0 ? pull_all(reducer, run, err) : rc;
}

/* Differences of the reducer's sums, and the time between, per frame. */
static void take_stats(bench_run *run, const bench_frames *frames, const pare_reducer_stats *before,
                       const pare_reducer_stats *after, double wall_ms)
{
    const double n = frames->n;
    run->n_out = after->n_out - before->n_out;
    run->flops = (after->flops - before->flops) / n;
    run->ms[BENCH_MS_DECODE] = frames->decode_ms;
    run->ms[BENCH_MS_PREP] = (after->prep_ms - before->prep_ms) / n;
    run->ms[BENCH_MS_ENCODE] = (after->embed_ms - before->embed_ms + after->encode_ms - before->encode_ms) / n;
    run->ms[BENCH_MS_SELECT] = (after->select_ms - before->select_ms) / n;
    run->ms[BENCH_MS] = frames->decode_ms + wall_ms / n;
}

/* One timeline of the reducer. */
static int run_frames(pare_reducer *reducer, const bench_frames *frames, uint64_t seed, int has_scores, bench_run *run,
                      pare_error *err)
{
    pare_reducer_stats before = {.struct_size = sizeof before}, after = before;
    begin_run(run, frames->n);
    if (frames->n < 1) return pare_fail(err, PARE_E_INVALID, "no frames");
    int rc = pare_reducer_reset(reducer, seed, err);
    if (rc == 0) rc = pare_reducer_get(reducer, &before, err);
    const double began = cli_now();
    if (rc == 0) rc = push_all(reducer, frames, has_scores, run, err);
    const double wall_ms = (cli_now() - began) * 1e3;
    if (rc == 0) rc = pare_reducer_get(reducer, &after, err);
    if (rc == 0) take_stats(run, frames, &before, &after, wall_ms);
    return rc;
}

/* Frames that warm up code, weights and clocks, without running a long clip twice; a caller's selector sees all. */
static int32_t warm_frames(const bench_row *row, int32_t n)
{
    return n < WARM_FRAMES || is_custom(row) ? n : WARM_FRAMES;
}

static int32_t count_open(const bench_section *s)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_row; i++) n += s->row[i].reducer != NULL;
    return n;
}

static int run_direct(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, bench_run *out,
                      pare_error *err)
{
    const uint64_t seed = mix_seeds(row->seed, frames->item_seed);
    bench_frames first = *frames;
    int rc = row->reducer == NULL ? bench_reducer(b, s, row, &row->reducer, err) : 0;
    first.n = warm_frames(row, frames->n);
    if (rc == 0 && !row->is_warm) rc = run_frames(row->reducer, &first, seed, row->is_scored, out, err);
    if (rc == 0) rc = run_frames(row->reducer, frames, seed, row->is_scored, out, err);
    row->is_warm = rc == 0 && count_open(s) <= (s->video ? MAX_WARM_CLIP : MAX_WARM_PHOTO);
    if (!row->is_warm) pare_reducer_close(&row->reducer);
    return rc;
}

/* Writes the results to a file that goes away again. */
static int write_results(bench_run *run, pare_error *err)
{
    char path[4096];
    const char *folder = getenv("TMPDIR");
    const pare_writer_opts opts = {.struct_size = sizeof opts};
    pare_writer *w = NULL;
    snprintf(path, sizeof path, "%.4000s/pare-bench-%ld.safetensors",
             folder != NULL && folder[0] != '\0' ? folder : "/tmp", (long)getpid());
    const double began = cli_now();
    int rc = pare_writer_open(&w, path, &opts, err);
    for (int64_t i = 0; i < run->n_result && rc == 0; i++) rc = pare_writer_append(w, run->result[i], err);
    if (rc == 0) rc = pare_writer_finish(w, 1, err);
    if (rc == 0) run->ms[BENCH_MS_WRITE] = (cli_now() - began) * 1e3 / (double)run->n_frame;
    pare_writer_close(&w);
    unlink(path);
    return rc;
}

/* ---- from a shared encoding ------------------------------------------------------------------------------------ */

/* The view whose features serve the row, or NULL. */
static const pare_result_view *shared_view(const bench_row *row, const bench_run *full)
{
    if (full == NULL || full->n_result != 1 || !may_share(row)) return NULL;
    const pare_result_view *v = pare_result_get(full->result[0]);
    return v->features != NULL ? v : NULL;
}

static int run_shared(const bench *b, const bench_section *s, const bench_row *row, const bench_frames *frames,
                      const bench_run *full, bench_run *out, pare_error *err)
{
    const pare_result_view *v = shared_view(row, full);
    pare_reducer_opts opts = reducer_opts(b, s, row);
    pare_result *result = NULL;
    begin_run(out, frames->n);
    opts.seed = mix_seeds(row->seed, frames->item_seed);
    int rc = pare_reduce_tokens(v->features, v->n_features, &opts, &result, err);
    if (rc == 0) rc = keep_result(out, result, err);
    if (rc != 0) return rc;
    out->n_out = pare_result_get(result)->k;
    out->flops = full->flops;
    out->shared = 1;
    return 0;
}

/* One window must hold all frames: only then are a reducer's decisions those of the features. */
static int is_one_window(const bench *b, const bench_section *s, int32_t n)
{
    const int32_t window = window_of(b, s, &s->row[0]), temporal = b->info->temporal > 1 ? b->info->temporal : 1;
    return window < 0 || n <= (int64_t)(window > 0 ? window : DEFAULT_WINDOW) * temporal;
}

/* Runs none once more and captures; `out` keeps the clock of the plain run. */
static int run_sharer(bench *b, bench_section *s, const bench_frames *frames, bench_run *out, pare_error *err)
{
    bench_run captured = BENCH_NO_RUN;
    int rc = s->sharer == NULL ? open_sharer(b, s, err) : 0;
    s->cannot_share = rc == PARE_E_UNSUPPORTED;
    if (s->cannot_share) return 0;
    int has_scores = 0;
    for (int32_t i = 0; i < s->n_row; i++) has_scores |= may_share(&s->row[i]) && s->row[i].is_scored;
    if (rc == 0) rc = run_frames(s->sharer, frames, s->row[0].seed, has_scores, &captured, err);
    if (rc == 0) memcpy(captured.ms, out->ms, sizeof captured.ms);
    if (rc != 0) {
        pare_reducer_close(&s->sharer);
        bench_run_free(&captured);
        return rc;
    }
    bench_run_free(out);
    *out = captured;
    return 0;
}

/* ---- what tasks call ------------------------------------------------------------------------------------------- */

static int fail_row(bench *b, const bench_section *s, const bench_row *row, const pare_error *err)
{
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (row->keep > 0 && row->keep < 1)
        cli_say(b->c, "%s: recipe %s at keep %.6g:", s->ask.name, row->recipe, row->keep);
    else
        cli_say(b->c, "%s: recipe %s:", s->ask.name, row->recipe);
    return cli_fail(b->c, err, CLI_FAILED);
}

int bench_run_row(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                  bench_run *out)
{
    pare_error err = {0};
    int rc = 0;
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (shared_view(row, full) != NULL) {
        rc = run_shared(b, s, row, frames, full, out, &err);
    } else {
        rc = run_direct(b, s, row, frames, out, &err);
        if (rc == 0 && frames->write) rc = write_results(out, &err);
    }
    if (rc == 0) return CLI_OK;
    bench_run_free(out);
    return fail_row(b, s, row, &err);
}

int bench_run_full(bench *b, bench_section *s, const bench_frames *frames, int share, bench_run *out)
{
    pare_error err = {0};
    int rc = bench_run_row(b, s, &s->row[0], frames, NULL, out);
    if (rc != CLI_OK || !share || s->cannot_share || !is_one_window(b, s, frames->n)) return rc;
    if (run_sharer(b, s, frames, out, &err) == 0) return CLI_OK;
    bench_run_free(out);
    return fail_row(b, s, &s->row[0], &err);
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

/* The user's scores and masks for the frames of an item. */
static int dress_frames(bench *b, const bench_section *s, cli_frames *frames, const pare_source_info *info)
{
    const cli_budget none = {0};
    pare_reducer_opts opts = cli_reducer_opts(b->c, &none, &s->ask.layout, !s->video);
    cli_one_grid(&opts);
    if (b->own.o == NULL) return CLI_OK;
    int rc = cli_own_begin(&b->own, b->model, b->info, &opts, info);
    for (int32_t i = 0; rc == CLI_OK && i < frames->n; i++) rc = cli_own_frame(&b->own, &frames->item[i]);
    return rc;
}

int bench_decode(bench *b, bench_section *s, const char *path, const char *name, cli_frames *out, double *decode_ms)
{
    const cli_pick photo = {.exif = s->ask.pick.exif, .ignore_alpha = s->ask.pick.ignore_alpha};
    pare_source_info info;
    cli_frames_free(out);
    const double began = cli_now();
    int rc = cli_frames_read(b->c, s->video ? &s->ask.pick : &photo, path, out, &info);
    if (rc == CLI_OK && out->n == 0) rc = CLI_UNREADABLE;
    if (rc == CLI_UNREADABLE) cli_say(b->c, "left out: %s", name);
    if (rc != CLI_OK) return rc;
    *decode_ms = (cli_now() - began) * 1e3 / out->n;
    return dress_frames(b, s, out, &info);
}
