/* SPDX-License-Identifier: MIT */
/* A camera in real time: frames are pushed by the clock into pare_live, results pulled by another thread. Does the encoder
 * keep up, how far behind is it, what is dropped, does memory grow?
 *
 *     bench_live [name=value ...]     names and defaults: the table of options
 *
 * Frames are NV12, made up: noise that stands still, squares that move; or those of a clip, forth and back, as RGB. A frame
 * that cannot be pushed in time counts as late. rss: resident memory after a tenth of the frames, and at the end. */
#include <pare/live.h>
#include <pare/media.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_util.h"

enum { MAX_PICTURES = 120, N_SQUARE = 6, SQUARE = 48 };

typedef struct setup {
    const char *fps, *frames, *size, *clip, *model, *recipe, *keep, *window, *queue, *drop, *threads, *backend,
        *precision;
    const char *json;
} setup;

static const bench_option options[] = {
    {"fps", "15", "frames per second; 0 = as fast as they are taken", offsetof(setup, fps)},
    {"frames", "450", "to push", offsetof(setup, frames)},
    {"size", "640x480", "of made-up frames", offsetof(setup, size)},
    {"clip", NULL, "take frames from it", offsetof(setup, clip)},
    {"model", NULL, "checkpoint; the one that ships with pare", offsetof(setup, model)},
    {"recipe", "temporal-redundancy@patches", "as in pare reduce", offsetof(setup, recipe)},
    {"keep", ".25", "share that remains", offsetof(setup, keep)},
    {"window", "4", "look-ahead in temporal steps", offsetof(setup, window)},
    {"queue", "0", "frames that wait; 0 = two windows", offsetof(setup, queue)},
    {"drop", "oldest", "none, oldest, newest", offsetof(setup, drop)},
    {"threads", "2", "of the reducer; 0 = all CPUs", offsetof(setup, threads)},
    {"backend", NULL, "who multiplies; auto", offsetof(setup, backend)},
    {"precision", NULL, "of linear layers; f32", offsetof(setup, precision)},
    {"json", NULL, "1: a line of JSON", offsetof(setup, json)},
};

enum { N_OPTION = sizeof options / sizeof *options };

typedef struct camera {
    uint8_t *picture[MAX_PICTURES];
    pare_frame frame; /* geometry of all */
    int n;
} camera;

static void die(const char *text)
{
    fprintf(stderr, "bench_live: %s\n", text);
    exit(1);
}

/* ---- options ------------------------------------------------------------------------------------------------------ */

static int32_t policy_of(const char *name)
{
    static const char *const names[PARE_DROP_COUNT] = {"none", "oldest", "newest"};
    for (int32_t i = 0; i < PARE_DROP_COUNT; i++)
        if (strcmp(name, names[i]) == 0) return i;
    die("drop is none, oldest or newest");
    return 0;
}

/* ---- camera ------------------------------------------------------------------------------------------------------- */

static void make_up(camera *c, const char *size)
{
    int w = 0, h = 0;
    if (sscanf(size, "%dx%d", &w, &h) != 2 || w < 2 * SQUARE || h < 2 * SQUARE)
        die("size is WIDTHxHEIGHT, at least 96");
    const size_t luma = (size_t)w * (size_t)h, bytes = luma * 3 / 2 + (size_t)(w + h);
    c->n = 60;
    for (int i = 0; i < c->n; i++) {
        uint8_t *p = c->picture[i] = bench_alloc((int64_t)bytes, 1);
        bench_bytes(p, (int64_t)bytes, 7);
        for (size_t j = 0; j < bytes; j++) p[j] = (uint8_t)(96 + p[j] / 8 + (j / 64 + j / (size_t)w / 32) % 64);
        for (int s = 0; s < N_SQUARE; s++) {
            const int x = (s * 97 + i * (2 + s)) % (w - SQUARE), y = (s * 61 + i * s) % (h - SQUARE);
            for (int r = y; r < y + SQUARE; r++) memset(p + (size_t)r * (size_t)w + x, 40 * s, SQUARE);
        }
    }
    c->frame = (pare_frame){.struct_size = sizeof c->frame,
                            .stride = w,
                            .width = w,
                            .height = h,
                            .pixels = PARE_PIXELS_NV12,
                            .plane_stride = {w + w % 2}};
}

static void read_clip(camera *c, const char *path)
{
    const pare_source_opts opts = {.struct_size = sizeof opts};
    pare_source *source = NULL;
    pare_error err;
    pare_frame f = {.struct_size = sizeof f};
    if (pare_source_open(&source, path, &opts, &err)) die(err.text);
    while (c->n < MAX_PICTURES && pare_source_read(source, &f, &err) == 0) {
        const int64_t row = 3 * (int64_t)f.width;
        uint8_t *p = c->picture[c->n++] = bench_alloc(row * f.height, 1);
        for (int64_t y = 0; y < f.height; y++) memcpy(p + y * row, f.rgb + y * f.stride, (size_t)row);
        c->frame = (pare_frame){.struct_size = sizeof f, .stride = row, .width = f.width, .height = f.height};
    }
    if (!c->n) die(err.text);
    pare_source_close(&source);
}

/* Forth and back, so that nothing jumps. */
static pare_frame frame_at(const camera *c, int i, double fps)
{
    const int round = 2 * c->n - 2, at = c->n > 1 ? i % round : 0;
    pare_frame f = c->frame;
    f.rgb = c->picture[at < c->n ? at : round - at];
    if (f.pixels == PARE_PIXELS_NV12) f.plane[0] = f.rgb + (int64_t)f.width * f.height;
    f.pts = i / (fps > 0 ? fps : 30);
    return f;
}

/* ---- run ----------------------------------------------------------------------------------------------------------- */

static double resident_mb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void *consume(void *live)
{
    pare_result *result;
    pare_error err;
    int rc;
    while ((rc = pare_live_pull(live, -1, &result, &err)) == 0) pare_result_free(&result);
    if (rc < 0) die(err.text);
    return NULL;
}

static void sleep_until(double ms)
{
    const struct timespec t = {(time_t)(ms / 1e3), (long)(1e6 * (ms - 1e3 * (double)(time_t)(ms / 1e3)))};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) continue;
}

typedef struct figures {
    double late, rss[2], push_ms;
} figures;

static figures play(pare_live *live, const camera *c, int n, double fps)
{
    figures f = {0};
    pare_error err;
    const double start = bench_now();
    for (int i = 0; i < n; i++) {
        const pare_frame frame = frame_at(c, i, fps);
        const double due = fps > 0 ? start + 1e3 * i / fps : 0;
        if (fps > 0) sleep_until(due);
        const double before = bench_now();
        const int rc = pare_live_push(live, &frame, &err);
        if (rc < 0) die(err.text);
        const double took = bench_now() - before;
        f.push_ms = took > f.push_ms ? took : f.push_ms;
        f.late += fps > 0 && bench_now() - due > 1e3 / fps;
        if (i == n / 10) f.rss[0] = resident_mb();
    }
    if (pare_live_flush(live, &err)) die(err.text);
    f.rss[1] = resident_mb();
    return f;
}

static void report(const setup *s, pare_live *live, const figures *f)
{
    pare_error err;
    pare_live_stats st = {.struct_size = sizeof st};
    pare_reducer_stats r = {.struct_size = sizeof r};
    if (pare_live_get(live, &st, &err) || pare_live_reducer_get(live, &r, &err)) die(err.text);
    const double cpu = bench_cpu();
    const double n = (double)(st.n_decided ? st.n_decided : 1);
    const bench_cell cells[] = {BENCH_TEXT("fps", s->fps, 6),
                                BENCH_TEXT("drop", s->drop, 8),
                                BENCH_NUMBER("pushed", (double)st.n_pushed, 0),
                                BENCH_NUMBER("dropped", (double)st.n_dropped, 0),
                                BENCH_NUMBER("decided", (double)st.n_decided, 0),
                                BENCH_NUMBER("late", f->late, 0),
                                BENCH_NUMBER("p50_ms", st.latency_p50, 1),
                                BENCH_NUMBER("p95_ms", st.latency_p95, 1),
                                BENCH_NUMBER("most_ms", st.latency_most, 1),
                                BENCH_NUMBER("ahead_ms", 1e3 * st.look_ahead, 1),
                                BENCH_NUMBER("push_ms", f->push_ms, 2),
                                BENCH_NUMBER("queued", (double)st.queue_most, 0),
                                BENCH_NUMBER("cpu/frame", cpu / n, 1),
                                BENCH_NUMBER("tok/frame", (double)r.n_out / n, 1),
                                BENCH_NUMBER("rss_10%", f->rss[0], 1),
                                BENCH_NUMBER("rss_end", f->rss[1], 1)};
    BENCH_PRINT(s->json != NULL, 1, cells);
}

int main(int argc, char **argv)
{
    setup s;
    camera c = {.n = 0};
    pare_model *model = NULL;
    pare_live *live = NULL;
    pare_error err;
    pthread_t consumer;
    if (bench_read_options(&s, options, N_OPTION, "bench_live", 1, argc, argv)) return 2;
    const pare_reducer_opts reducer = {.struct_size = sizeof reducer,
                                       .recipe = s.recipe,
                                       .keep = atof(s.keep),
                                       .window = atoi(s.window),
                                       .n_threads = atoi(s.threads),
                                       .backend = s.backend,
                                       .precision = s.precision,
                                       .video = 1};
    const pare_live_opts opts = {.struct_size = sizeof opts,
                                 .reducer = &reducer,
                                 .queue = atoi(s.queue),
                                 .drop = policy_of(s.drop),
                                 .timeout = -1};
    if (pare_runtime_init(NULL, &err)) die(err.text);
    if (s.clip)
        read_clip(&c, s.clip);
    else
        make_up(&c, s.size);
    if (pare_model_open(&model, s.model ? s.model : pare_model_default_path(), &err)) die(err.text);
    if (pare_live_open(&live, model, &opts, &err)) die(err.text);
    if (pthread_create(&consumer, NULL, consume, live)) die("cannot start a thread");
    const figures f = play(live, &c, atoi(s.frames), atof(s.fps));
    pthread_join(consumer, NULL);
    report(&s, live, &f);
    pare_live_close(&live);
    pare_model_close(&model);
    for (int i = 0; i < c.n; i++) free(c.picture[i]);
    return 0;
}
