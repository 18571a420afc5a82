/* SPDX-License-Identifier: MIT */
/* pare heatmap: what was kept, dropped and merged, painted over the real frames. PNG for a photo or one moment of a
 * video, a video for a clip. Frames wait, upright and dense, until the result of their window comes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_line.h"
#include "own.h"
#include "publish.h"

/* Frames that wait may take this much; a larger window is refused. */
#define MAX_WAITING_BYTES ((int64_t)2 << 30)

typedef struct heatmap_opts {
    cli_common common;
    cli_pick pick;
    cli_budget budget;
    cli_layout layout;
    cli_own_opts own;
    const char *output, *palette;
    int32_t style, legend;
    double alpha, at;
} heatmap_opts;

typedef struct waiting {
    uint8_t *rgb; /* [height, width, 3] */
    pare_frame frame;
} waiting;

typedef struct job {
    heatmap_opts *o;
    cli_own own;
    const char *input;
    pare_model *model;
    pare_model_info model_info;
    pare_source *source;
    pare_source_info info;
    pare_reducer *reducer;
    pare_video_writer *video;
    waiting *queue; /* [n_queue of cap] frames from index first_waiting on */
    int32_t n_queue, cap;
    int64_t first_waiting, n_read, n_drawn;
    int64_t n_step;  /* temporal steps that results decided, up to the picture at hand */
    uint8_t *canvas; /* [height (+ legend), width, 3] */
    int32_t width, height;
    double first_pts;
    cli_taken taken;
    int single, done; /* one picture wanted; and drawn */
    int cut;          /* the stream ended inside a frame */
} job;

static const cli_option own_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(heatmap_opts, output), "FILE", 0, 0, ".png for one picture, .mp4 for a clip"},
    {"at", 0, CLI_REAL, offsetof(heatmap_opts, at), "SECONDS", 0, 1e9,
     "moment of a .png, after the clip's first frame as --start (default: --start); decided from --start up to it"},
    {"style", 0, CLI_CHOICE, offsetof(heatmap_opts, style), "both|kept|score", 0, 0, "what is painted"},
    {"palette", 0, CLI_TEXT, offsetof(heatmap_opts, palette), "NAME", 0, 0, "viridis, turbo, magma, gray"},
    {"alpha", 0, CLI_REAL, offsetof(heatmap_opts, alpha), "A", 0, 1, "opacity of the score colours (default 0.55)"},
    {"legend", 0, CLI_FLAG, offsetof(heatmap_opts, legend), NULL, 0, 0, "a strip with the scale below the picture"},
    {0},
};

static const cli_group groups[] = {
    {"Picture:", own_options, 0},
    {"Budget:", cli_budget_options, offsetof(heatmap_opts, budget)},
    {"Streams:", cli_stream_options, offsetof(heatmap_opts, budget)},
    {"Frames:", cli_pick_options, offsetof(heatmap_opts, pick)},
    {"Grid and windows:", cli_layout_options, offsetof(heatmap_opts, layout)},
    {"Whole pictures and tiles:", cli_tiles_options, offsetof(heatmap_opts, layout)},
    {"Scores and masks of your own:", cli_own_options, offsetof(heatmap_opts, own)},
    {"A selector of your own:", cli_selector_options, offsetof(heatmap_opts, own)},
    {"Engine:", cli_engine_options, 0},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- waiting frames ------------------------------------------------------------------------------------------- */

static int grow_queue(job *j)
{
    int64_t bytes = (int64_t)j->width * j->height * 3;
    if (j->n_queue < j->cap) return CLI_OK;
    if ((j->n_queue + 1) * bytes > MAX_WAITING_BYTES) {
        cli_say(&j->o->common,
                "%d frames of %dx%d wait for their window, over the limit of %lld MB; use a smaller --window",
                j->n_queue + 1, j->width, j->height, (long long)(MAX_WAITING_BYTES >> 20));
        return CLI_FAILED;
    }
    waiting *queue = realloc(j->queue, ((size_t)j->cap + 1) * sizeof *queue);
    uint8_t *rgb = malloc((size_t)bytes);
    if (queue != NULL) j->queue = queue;
    if (queue == NULL || rgb == NULL) {
        free(rgb);
        cli_say(&j->o->common, "out of memory for %d waiting frames", j->n_queue + 1);
        return CLI_FAILED;
    }
    j->queue[j->cap++] = (waiting){.rgb = rgb};
    return CLI_OK;
}

static int enqueue(job *j, const pare_frame *frame)
{
    if (j->n_read == 0) {
        j->width = frame->width;
        j->height = frame->height;
        j->first_pts = frame->pts;
    } else if (frame->width != j->width || frame->height != j->height) {
        cli_say(&j->o->common, "the picture changes from %dx%d to %dx%d after %lld frames", j->width, j->height,
                frame->width, frame->height, (long long)j->n_read);
        return CLI_FAILED;
    }
    int rc = grow_queue(j);
    if (rc != CLI_OK) return rc;
    waiting *w = &j->queue[j->n_queue++];
    size_t row = (size_t)j->width * 3;
    for (int32_t y = 0; y < j->height; y++) memcpy(w->rgb + (size_t)y * row, frame->rgb + y * frame->stride, row);
    w->frame = *frame;
    w->frame.rgb = w->rgb;
    w->frame.stride = (int64_t)row;
    j->n_read++;
    return CLI_OK;
}

/* Buffers of the first n frames go to the end of the queue, to be used again. */
static void dequeue(job *j, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        waiting head = j->queue[0];
        memmove(j->queue, j->queue + 1, ((size_t)j->cap - 1) * sizeof *j->queue);
        j->queue[j->cap - 1] = head;
    }
    j->n_queue -= n;
    j->first_waiting += n;
}

/* ---- drawing -------------------------------------------------------------------------------------------------- */

static int32_t canvas_height(const job *j) { return j->height + (j->o->legend ? PARE_HEATMAP_LEGEND_HEIGHT : 0); }

/* Where the slots of a picture end: itself and its tiles. */
static int32_t picture_end(const pare_result_view *v, int32_t slot)
{
    const pare_slot *first = &v->slot[slot];
    while (slot < v->grid[0] && v->slot[slot].media == first->media && v->slot[slot].t == first->t) slot++;
    return slot;
}

static double output_rate(const job *j)
{
    const cli_pick *p = &j->o->pick;
    double rate = j->info.rate > 0 ? j->info.rate : 25;
    double end = p->end > 0 ? p->end : j->info.duration;
    if (p->fps > 0) return p->fps;
    if (p->every > 0) return rate / (double)p->every;
    if (p->frames > 1 && end > p->start) return fmin(rate, (double)p->frames / (end - p->start));
    return rate;
}

static int open_canvas(job *j)
{
    pare_error err = {0};
    if (j->canvas != NULL) return CLI_OK;
    j->canvas = malloc((size_t)j->width * (size_t)canvas_height(j) * 3);
    if (j->canvas == NULL) {
        cli_say(&j->o->common, "out of memory for a picture of %dx%d", j->width, canvas_height(j));
        return CLI_FAILED;
    }
    if (j->single ||
        pare_video_writer_open(&j->video, j->o->output, j->width, canvas_height(j), output_rate(j), &err) == 0)
        return CLI_OK;
    return cli_fail(&j->o->common, &err, CLI_FAILED);
}

/* Rectangle of a tile, copied from a picture that shows its units into the one of the whole. */
static void copy_tile(const job *j, const uint8_t *from, const pare_slot *s)
{
    const int64_t r = (s->tile - 1) / s->tile_cols, c = (s->tile - 1) % s->tile_cols;
    const int64_t x0 = c * j->width / s->tile_cols, x1 = (c + 1) * j->width / s->tile_cols;
    for (int64_t y = r * j->height / s->tile_rows; y < (r + 1) * j->height / s->tile_rows; y++)
        memcpy(j->canvas + 3 * (y * j->width + x0), from + 3 * (y * j->width + x0), (size_t)(3 * (x1 - x0)));
}

/* The slots of one picture: the whole, then, where tiles were asked for and lie side by side, these over it. A model's own
 * tiles may be padded: of them the whole alone is shown. */
static int draw_slots(const job *j, const pare_result *result, int32_t slot, const pare_frame *frame, pare_error *err)
{
    const heatmap_opts *o = j->o;
    const pare_slot *slots = pare_result_get(result)->slot;
    pare_heatmap_opts opts = {
        .struct_size = sizeof opts, .style = o->style, .palette = o->palette, .alpha = o->alpha, .legend = o->legend};
    const int32_t end = picture_end(pare_result_get(result), slot);
    const int with_tiles = o->layout.tiles.width > 0 && !o->layout.letterbox;
    int32_t whole = slot;
    while (whole < end - 1 && slots[whole].tile != 0) whole++;
    int rc = pare_heatmap_draw(result, whole, frame, &opts, j->canvas, err);
    uint8_t *tile = with_tiles ? malloc((size_t)j->width * (size_t)canvas_height(j) * 3) : NULL;
    if (with_tiles && tile == NULL) rc = pare_fail(err, PARE_E_NOMEM, "out of memory for a tile");
    for (int32_t s = slot; rc == 0 && with_tiles && s < end; s++) {
        if (slots[s].tile == 0) continue;
        rc = pare_heatmap_draw(result, s, frame, &opts, tile, err);
        if (rc == 0) copy_tile(j, tile, &slots[s]);
    }
    free(tile);
    return rc;
}

static int draw(job *j, const pare_result *result, int32_t slot, const pare_frame *frame)
{
    const heatmap_opts *o = j->o;
    pare_error err = {0};
    int rc = open_canvas(j);
    if (rc != CLI_OK) return rc;
    if (draw_slots(j, result, slot, frame, &err) != 0) return cli_fail(&j->o->common, &err, CLI_FAILED);
    j->n_drawn++;
    if (j->single)
        rc = pare_png_save(o->output, j->canvas, j->width, canvas_height(j), &err);
    else
        rc = pare_video_writer_append(j->video, j->canvas, frame->pts - j->first_pts, &err);
    return rc == 0 ? CLI_OK : cli_fail(&j->o->common, &err, CLI_FAILED);
}

/* Is this the frame that a single picture shows? The last one read is, when the clip ends before --at. */
static int is_wanted(const job *j, const pare_frame *frame, int64_t index, int at_end)
{
    if (!j->single) return 1;
    if (j->done) return 0;
    return frame->pts - j->info.origin + 1e-6 >= j->o->at || (at_end && index == j->n_read - 1);
}

/* Draws the frames that a result decides and lets them go. */
static int draw_result(job *j, const pare_result *result, int at_end)
{
    const pare_result_view *v = pare_result_get(result);
    int64_t per_step = j->model_info.temporal > 1 ? j->model_info.temporal : 1;
    int32_t n = 0, slot = 0;
    for (; n < j->n_queue; n++) {
        const int64_t index = j->first_waiting + n;
        for (; slot < v->grid[0] && j->n_step < index / per_step; j->n_step++) slot = picture_end(v, slot);
        if (slot >= v->grid[0]) break;
        if (!is_wanted(j, &j->queue[n].frame, index, at_end)) continue;
        int rc = draw(j, result, slot, &j->queue[n].frame);
        if (rc != CLI_OK) return rc;
        j->done = j->single;
    }
    for (; slot < v->grid[0]; j->n_step++) slot = picture_end(v, slot);
    dequeue(j, n);
    return CLI_OK;
}

static int drain(job *j, int at_end)
{
    pare_error err = {0};
    for (;;) {
        pare_result *result = NULL;
        int pulled = pare_reducer_pull(j->reducer, &result, &err);
        if (pulled < 0) return cli_fail(&j->o->common, &err, CLI_FAILED);
        if (pulled != 0) return CLI_OK;
        int rc = draw_result(j, result, at_end);
        pare_result_free(&result);
        if (rc != CLI_OK) return rc;
    }
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

/* A live source that stops inside a frame: what came before is still painted, and the exit code tells. */
static int end_of_input(job *j)
{
    int64_t damaged = j->info.n_damaged;
    pare_source_get(j->source, &j->info, NULL);
    j->taken.n = j->n_read;
    if (!j->info.is_live || j->info.n_damaged == damaged) {
        cli_warn_input(&j->o->common, j->input, &j->o->pick, &j->info, &j->taken);
        return CLI_OK;
    }
    cli_say(&j->o->common, "%s: the stream ends inside a frame", j->input);
    j->cut = 1;
    return CLI_OK;
}

static int read_frames(job *j)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    pare_frame frame = {.struct_size = sizeof frame};
    int got = 0;
    while (!j->done && !*cli_stop_flag() && (got = pare_source_read(j->source, &frame, &err)) == 0) {
        pare_source_get(j->source, &j->info, NULL);
        int rc = cli_own_frame(&j->own, &frame);
        if (rc == CLI_OK) rc = enqueue(j, &frame);
        if (rc != CLI_OK) return rc;
        if (pare_reducer_push(j->reducer, &frame, &err) != 0) return cli_fail_input(c, j->input, &err, CLI_FAILED);
        rc = drain(j, 0);
        j->taken.end = frame.pts + frame.duration;
        if (rc != CLI_OK) return rc;
        cli_progress_step(&c->bar, j->n_read);
    }
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (got < 0) return cli_fail_read(c, &err);
    if (j->n_read > 0) return j->done ? CLI_OK : end_of_input(j);
    cli_say(c, "%s: no frame in the range asked for", j->input);
    return CLI_UNREADABLE;
}

static void print_outcome(const job *j)
{
    const char *output = j->o->output;
    if (!j->o->common.json) {
        printf("wrote %s: %lld picture%s of %dx%d\n", output, (long long)j->n_drawn, j->n_drawn == 1 ? "" : "s",
               j->width, canvas_height(j));
        return;
    }
    json_t *line = json_object();
    pare_reducer_stats engine = {.struct_size = sizeof engine};
    pare_reducer_get(j->reducer, &engine, NULL);
    cli_json_int(line, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(line, "input", j->input);
    cli_json_int(line, "pictures", j->n_drawn);
    cli_json_int(line, "width", j->width);
    cli_json_int(line, "height", canvas_height(j));
    cli_json_text(line, "recipe", pare_reducer_recipe(j->reducer));
    cli_json_text(line, "backend", engine.backend);
    cli_json_text(line, "precision", engine.precision);
    cli_json_int(line, "damaged", j->info.n_damaged);
    cli_json_bool(line, "complete", !j->cut);
    cli_json_text(line, "output", output);
    cli_json_print(line, 0, stdout);
}

static int finish(job *j)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    int rc = CLI_OK;
    if (!j->done) {
        if (pare_reducer_flush(j->reducer, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
        rc = drain(j, 1);
        if (rc == CLI_OK) rc = cli_own_end(&j->own);
    }
    if (rc == CLI_OK && j->video != NULL && pare_video_writer_finish(j->video, &err) != 0)
        rc = cli_fail(c, &err, CLI_FAILED);
    cli_progress_end(&c->bar);
    if (rc == CLI_OK && j->n_drawn == 0) {
        cli_say(c, "%s: no frame at %g s or later, so there is nothing to paint", j->input, j->o->at);
        return CLI_UNREADABLE;
    }
    if (rc == CLI_OK) print_outcome(j);
    return rc == CLI_OK && j->cut ? CLI_UNREADABLE : rc;
}

/* Frames are counted where --tokens needs it. */
static int open_reducer(job *j, int32_t window)
{
    heatmap_opts *o = j->o;
    pare_error err = {0};
    pare_reducer_opts opts = cli_reducer_opts(&o->common, &o->budget, &o->layout, j->info.is_image);
    if (o->budget.recipe == NULL && j->info.is_image) opts.recipe = CLI_RECIPE_PHOTO_HEATMAP;
    opts.window = window;
    opts.custom = cli_own_custom(&j->own);
    opts.n_frames = j->info.is_image ? 1 : 0;
    if (!j->info.is_image && opts.tokens > 0 && pare_source_count(j->source, &opts.n_frames, &err) != 0)
        return cli_fail(&o->common, &err, CLI_UNREADABLE);
    j->taken.listed = opts.n_frames;
    const int rc = cli_own_begin(&j->own, j->model, &j->model_info, &opts, &j->info);
    if (rc != CLI_OK) return rc;
    return cli_reducer_create(&o->common, j->model, j->input, o->own.map != NULL, &opts, &j->reducer);
}

static int job_run(job *j, int32_t window)
{
    cli_common *c = &j->o->common;
    int rc = cli_own_open(&j->own, c, &j->o->own, 1);
    if (rc == CLI_OK) rc = cli_model_open(c, &j->model, &j->model_info);
    if (rc == CLI_OK) rc = cli_source_open(c, &j->o->pick, j->input, &j->source, &j->info);
    if (rc == CLI_OK && j->info.is_image && !j->single) rc = cli_usage(c, "%s: a photo needs -o FILE.png", j->input);
    if (rc == CLI_OK) rc = open_reducer(j, window);
    if (rc != CLI_OK) return rc;
    cli_progress_begin(&c->bar, c->quiet ? CLI_PROGRESS_NONE : c->progress, "frames",
                       cli_pick_estimate(&j->o->pick, &j->info));
    rc = read_frames(j);
    return rc == CLI_OK ? finish(j) : rc;
}

static void job_close(job *j)
{
    for (int32_t i = 0; i < j->cap; i++) free(j->queue[i].rgb);
    free(j->queue);
    free(j->canvas);
    pare_video_writer_close(&j->video);
    pare_reducer_close(&j->reducer);
    pare_source_close(&j->source);
    pare_model_close(&j->model);
    cli_own_close(&j->own);
}

static int is_video(const char *path)
{
    static const char *const suffixes[] = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (cli_has_suffix(path, suffixes[i])) return 1;
    return 0;
}

static int run(void *opts, const cli_list *inputs)
{
    heatmap_opts *o = opts;
    cli_common *c = &o->common;
    job j = {.o = o, .input = inputs->n > 0 ? inputs->item[0] : NULL};
    int32_t window;
    if (o->budget.recipe == NULL) o->budget.recipe = cli_own_recipe(&o->own);
    if (inputs->n != 1) return cli_usage(c, "heatmap takes one input, not %d", inputs->n);
    if (o->output == NULL) return cli_usage(c, "heatmap: -o FILE.png or -o FILE.mp4 is missing");
    j.single = cli_has_suffix(o->output, ".png");
    if (!j.single && !is_video(o->output))
        return cli_usage(c, "heatmap writes .png .mp4 .m4v .mov .mkv .webm .ts, not %s", o->output);
    if (o->at > 0 && !j.single) return cli_usage(c, "--at picks the moment of a .png, not of %s", o->output);
    int rc = cli_pick_check(c, &o->pick);
    if (rc == CLI_OK) rc = cli_own_check(c, &o->own, o->budget.recipe);
    if (rc == CLI_OK) rc = cli_budget_check(c, &o->budget);
    if (rc == CLI_OK) rc = cli_layout_check(c, &o->layout, &window);
    if (rc == CLI_OK) rc = cli_output_check(c, o->output, inputs);
    if (rc == CLI_OK) rc = job_run(&j, window);
    cli_progress_end(&c->bar);
    job_close(&j);
    return rc;
}

const cli_command cli_cmd_heatmap = {
    "heatmap",
    "[OPTIONS] INPUT -o FILE.png|FILE.mp4",
    "paint what was kept and why over the real frames",
    groups,
    sizeof(heatmap_opts),
    run,
};
