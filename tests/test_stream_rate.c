/* SPDX-License-Identifier: MIT */
/* Tokens per second through the public API, on simulated clocks: over any 10 s of output the count stays within 5 % of the
 * rate, whatever the recipe, the content and the times of frames, and nothing waits longer than the stated look-ahead.
 *
 * The tokens of a window are spread over the time that its steps last, as a player would consume them. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"
#include "tiny_model.h"

enum { SIDE = 64, PATCH = 4, MAX_FRAMES = 4096, SPAN = 10, CLIP = 36 };

#define TOLERANCE 0.05

static pare_model *vit, *qwen;
static uint8_t base[SIDE * 2][SIDE * 2][3], picture[SIDE][SIDE][3];
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[] = {
        {.unit = 1, .patch = PATCH, .dim = 16, .n_layer = 2, .n_head = 2, .photo = SIDE},
        {.unit = 2, .patch = PATCH, .dim = 16, .n_layer = 2, .n_head = 2, .photo = SIDE},
    };
    ck_assert_msg(!tiny_model_open(&vit, &specs[0], &err), "%s", err.text);
    ck_assert_msg(!tiny_model_open(&qwen, &specs[1], &err), "%s", err.text);
    pare__rng rng = pare__rng_make(5, 0, 0);
    for (int y = 0; y < 2 * SIDE; y++)
        for (int x = 0; x < 2 * SIDE; x++)
            for (int c = 0; c < 3; c++) base[y][x][c] = (uint8_t)(pare__rng_unit(&rng) * 255);
}

static void teardown(void)
{
    pare_model_close(&vit);
    pare_model_close(&qwen);
}

/* Four seconds still, four of motion, then another scene. */
static void draw(double t)
{
    const int scene = (int)(t / 8), moves = fmod(t, 8) >= 4;
    const int dx = moves ? (int)(fmod(t, 8) * 8) % SIDE : 0, dy = scene * 7 % SIDE;
    for (int y = 0; y < SIDE; y++) memcpy(picture[y], base[y + dy][dx], sizeof picture[y]);
}

/* ---- clocks ----------------------------------------------------------------------------------------------------- */

typedef struct timing {
    const char *name;
    double fps, slowest; /* slowest > 0: intervals drawn between 1 / fps and 1 / slowest */
    int32_t stated;      /* frames state their duration: 1 as it is, 2 as of 25 fps, 3 as the first one's */
    int32_t bursts;      /* a second at fps, then a second of frames at slowest */
} timing;

static const timing timings[] = {{"1 fps", 1, 0, 1, 0},
                                 {"1 fps, nothing stated", 1, 0, 0, 0},
                                 {"2 fps", 2, 0, 1, 0},
                                 {"10 fps", 10, 0, 0, 0},
                                 {"24 fps", 24, 0, 1, 0},
                                 {"29.97 fps", 30000.0 / 1001, 0, 1, 0},
                                 {"29.97 fps, nothing stated", 30000.0 / 1001, 0, 0, 0},
                                 {"60 fps", 60, 0, 1, 0},
                                 {"every fifth of 25 fps", 5, 0, 2, 0},
                                 {"1..60 fps", 60, 1, 1, 0},
                                 {"1..60 fps, nothing stated", 60, 1, 0, 0},
                                 {"5..60 fps, wrongly stated", 60, 5, 2, 0},
                                 {"bursts", 60, 1, 1, 1},
                                 {"bursts, nothing stated", 60, 1, 0, 1}};
enum { N_TIMING = sizeof timings / sizeof *timings };

/* Begins of frames [n + 1], the end of the last included; returns n. */
static int make_times(const timing *m, double start, double *at)
{
    pare__rng rng = pare__rng_make(11, 0, 0);
    int n = 0;
    for (double t = start; t < start + CLIP && n < MAX_FRAMES; n++) {
        at[n] = t;
        const double u = pare__rng_unit(&rng), fast = 1 / m->fps, slow = m->slowest > 0 ? 1 / m->slowest : fast;
        t += m->bursts ? (fmod(t - start, 2) < 1 ? fast : slow) : fast + u * (slow - fast);
        at[n + 1] = t;
    }
    return n;
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

typedef struct windows {
    double begin[MAX_FRAMES], end[MAX_FRAMES], sum[MAX_FRAMES + 1]; /* sum: tokens before window i */
    int n;
    double longest_wait; /* seconds of pushed time from a window's first frame until it came out */
} windows;

static void take(windows *w, const pare_result_view *v, double now)
{
    int64_t tokens = 0;
    for (int32_t i = 0; i < v->n_step; i++) tokens += v->step[i].tokens;
    ck_assert_int_eq(tokens, v->k);
    w->begin[w->n] = v->step[0].pts;
    w->end[w->n] = v->step[v->n_step - 1].end;
    w->sum[w->n + 1] = w->sum[w->n] + (double)v->k;
    w->longest_wait = fmax(w->longest_wait, now - v->step[0].pts);
    w->n++;
}

static void drain(pare_reducer *r, windows *w, double now)
{
    for (pare_result *result; pare_reducer_pull(r, &result, &err) == 0; pare_result_free(&result))
        take(w, pare_result_get(result), now);
}

static double stated(const timing *m, const double *at, int i)
{
    const double all[] = {0, at[i + 1] - at[i], 0.04, at[1] - at[0]};
    return all[m->stated];
}

static void run(const pare_model *model, const pare_reducer_opts *o, const timing *m, const double *at, int n,
                windows *w)
{
    pare_reducer *r = NULL;
    *w = (windows){0};
    ck_assert_msg(!pare_reducer_create(&r, model, o, &err), "%s: %s", o->recipe, err.text);
    for (int i = 0; i < n; i++) {
        draw(fabs(at[i] - at[0]));
        const pare_frame f = {.struct_size = sizeof f,
                              .rgb = &picture[0][0][0],
                              .stride = SIDE * 3,
                              .width = SIDE,
                              .height = SIDE,
                              .pts = at[i],
                              .duration = stated(m, at, i)};
        ck_assert_msg(!pare_reducer_push(r, &f, &err), "%s: %s", o->recipe, err.text);
        drain(r, w, at[i]);
    }
    ck_assert_msg(!pare_reducer_flush(r, &err), "%s: %s", o->recipe, err.text);
    drain(r, w, at[n - 1]);
    pare_reducer_close(&r);
}

/* Tokens from the start up to `t`. */
static double tokens_until(const windows *w, double t)
{
    int i = 0;
    while (i < w->n && w->end[i] <= t) i++;
    if (i == w->n || t <= w->begin[i]) return w->sum[i];
    return w->sum[i] + (w->sum[i + 1] - w->sum[i]) * (t - w->begin[i]) / (w->end[i] - w->begin[i]);
}

/* Largest |count - rate x 10 s| / (rate x 10 s) over all intervals of 10 s: it is reached where one end meets a window's. */
static double worst(const windows *w, double rate)
{
    const double first = w->begin[0], last = w->end[w->n - 1];
    double most = 0;
    for (int i = 0; i < w->n; i++) {
        const double edge[] = {w->begin[i], w->end[i], w->begin[i] - SPAN, w->end[i] - SPAN};
        for (int e = 0; e < 4; e++) {
            if (edge[e] < first || edge[e] + SPAN > last) continue;
            const double count = tokens_until(w, edge[e] + SPAN) - tokens_until(w, edge[e]);
            most = fmax(most, fabs(count / (rate * SPAN) - 1));
        }
    }
    return most;
}

static pare_reducer_opts options(const char *recipe, double rate)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .tokens_per_second = rate,
                               .n_threads = 1,
                               .video = 1,
                               .width = SIDE,
                               .height = SIDE};
}

static double longest_interval(const double *at, int n, int32_t temporal)
{
    double most = 0;
    for (int i = 0; i + temporal <= n; i++) most = fmax(most, at[i + temporal] - at[i]);
    return most;
}

static void check(const pare_model *model, const pare_reducer_opts *o, const timing *m, double start, int32_t temporal)
{
    static windows w;
    static double at[MAX_FRAMES + 1];
    const int n = make_times(m, start, at);
    const double delay = o->max_delay > 0 ? o->max_delay : 0.25, step = longest_interval(at, n, temporal);
    run(model, o, m, at, n, &w);
    const double off = worst(&w, o->tokens_per_second);
    ck_assert_msg(off <= TOLERANCE, "%s, %s: %.2f %% off", o->recipe, m->name, 100 * off);
    const double slack = m->slowest > 0 || step > delay ? step : 0;
    ck_assert_msg(w.longest_wait <= delay + slack + 1e-6, "%s, %s: %.3f s waited", o->recipe, m->name, w.longest_wait);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

START_TEST(any_clock)
{
    pare_reducer_opts o = options("temporal-redundancy@patches", 60);
    check(vit, &o, &timings[_i], 0, 1);
    o = options("random@patches", 45.5);
    o.max_delay = 0.1;
    check(vit, &o, &timings[_i], -3.3, 1);
    o = options("temporal-redundancy@patches", 25);
    check(qwen, &o, &timings[_i], 1e6, 2);
}
END_TEST

static const char *const recipes[] = {"topk:score=norm@output",
                                      "evs@output",
                                      "dtd@output",
                                      "sttm@output",
                                      "tome@block",
                                      "topk:score=cls-attn@block=1",
                                      "pixelprune@patches",
                                      "topk:score=motion:alloc=motion@patches",
                                      "spatial-uniform@patches"};
enum { N_RECIPE = sizeof recipes / sizeof *recipes };

START_TEST(any_recipe)
{
    for (int m = 5; m < N_TIMING; m += 5) {
        const int is_tome = !strcmp(recipes[_i], "tome@block"); /* a block takes no more than half */
        const pare_reducer_opts o = options(recipes[_i], is_tome ? 0.4 * 256 * timings[m].fps : 200);
        if (is_tome && timings[m].slowest > 0) continue;
        check(vit, &o, &timings[m], 0, 1);
    }
}
END_TEST

/* Floors overdraw, and the debt is paid back. */
START_TEST(floors_are_paid_for)
{
    pare_reducer_opts o = options("temporal-redundancy@patches", 300);
    o.min_per_frame = 9;
    check(vit, &o, &timings[6], 0, 1);
}
END_TEST

/* A camera's stamps jump by a minute: what it brings is a second at most, and what the bucket holds. */
START_TEST(a_gap_brings_little)
{
    static windows w;
    double at[601];
    for (int i = 0; i <= 600; i++) at[i] = i / 30.0 + (i >= 300 ? 60 : 0);
    const pare_reducer_opts o = options("random@patches", 300);
    for (int i = 0; i < 2; i++) {
        run(vit, &o, &(timing){.stated = 3 * i}, at, 600, &w);
        ck_assert_double_le(w.sum[w.n], 300 * (20 + 1 + 0.25) + 1);
        ck_assert_double_ge(w.sum[w.n], 300 * 20 - 1);
    }
    for (int i = 0; i <= 600; i++) at[i] = i / 30.0 - (i >= 300 ? 1e4 : 0);
    run(vit, &o, &(timing){0}, at, 600, &w);
    ck_assert_double_eq_tol(w.sum[w.n], 300 * 20, 15);
}
END_TEST

/* max_delay shortens the windows of any budget, the count stays exact. */
START_TEST(delay_bounds_windows)
{
    static windows w;
    double at[101];
    for (int i = 0; i <= 100; i++) at[i] = i / 25.0;
    pare_reducer_opts o = options("temporal-redundancy@patches", 0);
    o.keep = 0.2;
    o.max_delay = 0.5;
    for (int i = 0; i < 2; i++) {
        run(vit, &o, &(timing){.stated = i}, at, 100, &w);
        ck_assert_int_eq(w.sum[w.n], llround(0.2 * 100 * 256));
        ck_assert_double_le(w.longest_wait, 0.5 + 1e-6);
        ck_assert_int_le(w.n, 9);
        ck_assert_int_ge(w.n, 8);
    }
    o.window = -1;
    pare_reducer *r = NULL;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "whole clip"));
}
END_TEST

START_TEST(photos_have_no_time)
{
    pare_reducer_opts o = options("random@patches", 10);
    pare_reducer *r = NULL;
    o.video = 0;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    o.video = 1;
    o.tokens_per_second = -1;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    o.tokens_per_second = 10;
    o.keep = 0.5;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "exclude"));
    o.keep = 0;
    o.max_delay = NAN;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream_rate");
    TCase *t = tcase_create("stream_rate");
    tcase_set_timeout(t, 300);
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, any_clock, 0, N_TIMING);
    tcase_add_loop_test(t, any_recipe, 0, N_RECIPE);
    tcase_add_test(t, floors_are_paid_for);
    tcase_add_test(t, a_gap_brings_little);
    tcase_add_test(t, delay_bounds_windows);
    tcase_add_test(t, photos_have_no_time);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
