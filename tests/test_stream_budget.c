/* SPDX-License-Identifier: MIT */
/* What bounds a budget: quality, caps per step, the floor of fine detail, a deadline, and a word to stop. Through the public
 * API on tiny models; the deadline's controller, a pure function, on simulated clocks. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"
#include "core/stop.h"
#include "reduce/rate.h"
#include "tiny_model.h"

enum { PATCH = 4, GRID = 16, SIDE = GRID * PATCH, UNITS = GRID * GRID, N = 20, DIM = 16, N_LAYER = 3 };

typedef uint8_t image[SIDE][SIDE][3];

static pare_model *vit;
static image clip[N];
static pare_error err;

/* Noise that drifts in brightness, place by place at its own speed; a cut in the middle. */
static void draw_clip(void)
{
    pare__rng rng = pare__rng_make(3, 0, 0);
    for (int t = 0; t < N; t++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                for (int c = 0; c < 3; c++) {
                    const double speed = 0.05 * (y / PATCH * GRID + x / PATCH) * 4 / GRID;
                    const int first = t == 0 || t == N / 2;
                    const double v =
                        first ? 60 + 80 * pare__rng_unit(&rng) : clip[t - 1][y][x][c] + speed + (t + x) % 3 - 1;
                    clip[t][y][x][c] = (uint8_t)fmin(v, 255);
                }
}

static void setup(void)
{
    const tiny_spec spec = {.unit = 1, .patch = PATCH, .dim = DIM, .n_layer = N_LAYER, .n_head = 2, .photo = SIDE};
    ck_assert_msg(!tiny_model_open(&vit, &spec, &err), "%s", err.text);
    draw_clip();
}

static void teardown(void) { pare_model_close(&vit); }

static pare_reducer_opts options(const char *recipe)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .n_threads = 1,
                               .video = 1,
                               .window = 7,
                               .width = SIDE,
                               .height = SIDE};
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

typedef struct run {
    uint8_t kept[N * UNITS];
    float row[N * UNITS][DIM]; /* of kept units */
    int64_t tokens[N], total;
    float detail[N];
    pare_reducer_stats stats;
} run;

static void take(run *out, const pare_result_view *v)
{
    for (int64_t i = 0; i < v->k; i++) {
        out->kept[v->index[i]] = 1;
        memcpy(out->row[v->index[i]], v->embeds + i * DIM, sizeof out->row[0]);
    }
    for (int32_t s = 0; s < v->n_step; s++) {
        out->tokens[v->first_slot + s] = v->step[s].tokens;
        out->detail[v->first_slot + s] = v->step[s].detail;
    }
    out->total += v->k;
}

static int push(pare_reducer *r, image *picture, int t)
{
    const pare_frame f = {.struct_size = sizeof f,
                          .rgb = &picture[t][0][0][0],
                          .stride = SIDE * 3,
                          .width = SIDE,
                          .height = SIDE,
                          .pts = t / 10.0,
                          .duration = 0.1};
    return pare_reducer_push(r, &f, &err);
}

static void reduce(const pare_reducer_opts *o, image *picture, run *out)
{
    pare_reducer *r = NULL;
    memset(out, 0, sizeof *out);
    ck_assert_msg(!pare_reducer_create(&r, vit, o, &err), "%s: %s", o->recipe, err.text);
    for (int t = 0; t < N; t++) ck_assert_msg(!push(r, picture, t), "%s: %s", o->recipe, err.text);
    ck_assert_msg(!pare_reducer_flush(r, &err), "%s: %s", o->recipe, err.text);
    for (pare_result *result; pare_reducer_pull(r, &result, &err) == 0; pare_result_free(&result))
        take(out, pare_result_get(result));
    out->stats.struct_size = sizeof out->stats;
    ck_assert_int_eq(pare_reducer_get(r, &out->stats, &err), 0);
    pare_reducer_close(&r);
}

static void refused(const pare_reducer_opts *o, const char *text)
{
    pare_reducer *r = NULL;
    ck_assert_int_eq(pare_reducer_create(&r, vit, o, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

/* ---- quality ---------------------------------------------------------------------------------------------------- */

/* Mean |difference| of a unit's pixels between two steps, 0..1. */
static double pixels_differ(int32_t a, int32_t b, int32_t unit)
{
    const int y0 = unit / GRID * PATCH, x0 = unit % GRID * PATCH;
    int sum = 0;
    for (int y = y0; y < y0 + PATCH; y++)
        for (int x = x0; x < x0 + PATCH; x++)
            for (int c = 0; c < 3; c++) sum += abs(clip[a][y][x][c] - clip[b][y][x][c]);
    return sum / (double)(PATCH * PATCH * 3) / 255;
}

static run full;

/* 1 - cosine of a unit's rows in the full run. */
static double rows_differ(int32_t a, int32_t b, int32_t unit)
{
    const float *x = full.row[a * UNITS + unit], *y = full.row[b * UNITS + unit];
    double xy = 0, xx = 0, yy = 0;
    for (int i = 0; i < DIM; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return 1 - xy / sqrt(xx * yy);
}

/* The largest difference between a dropped unit and the one kept last at its place. */
static double worst(const run *r, double (*differ)(int32_t, int32_t, int32_t))
{
    double most = 0;
    for (int32_t u = 0; u < UNITS; u++) {
        int32_t last = 0;
        ck_assert_int_eq(r->kept[u], 1);
        for (int32_t t = 1; t < N; t++) {
            if (r->kept[t * UNITS + u])
                last = t;
            else
                most = fmax(most, differ(last, t, u));
        }
    }
    return most;
}

static const struct {
    const char *recipe;
    double (*differ)(int32_t, int32_t, int32_t);
} measured[] = {{"temporal-redundancy@patches", pixels_differ},
                {"rlt@patches", pixels_differ},
                {"dtd@patches", pixels_differ},
                {"temporal-redundancy@output", rows_differ},
                {"dtd@output", rows_differ}};
enum { N_MEASURED = sizeof measured / sizeof *measured };

START_TEST(quality_is_kept)
{
    static const double q[] = {0.5, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 1};
    static run r;
    pare_reducer_opts o = options("none");
    reduce(&o, clip, &full);
    o.recipe = measured[_i].recipe;
    int64_t before = 0, least = N * UNITS;
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
        o.quality = q[i];
        reduce(&o, clip, &r);
        const double off = worst(&r, measured[_i].differ);
        ck_assert_msg(off <= 1 - q[i] + 1e-6, "%s: %g at quality %g", o.recipe, off, q[i]);
        ck_assert_int_ge(r.total, before);
        before = r.total;
        if (r.total < least) least = r.total;
    }
    ck_assert_int_lt(least, N * UNITS / 2);
    ck_assert_int_gt(before, N * UNITS * 3 / 4);
}
END_TEST

START_TEST(quality_in_space)
{
    static const double q[] = {0.6, 0.8, 0.9, 1};
    static run r;
    pare_reducer_opts o = options("pixelprune@patches");
    int64_t before = 0;
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
        o.quality = q[i];
        reduce(&o, clip, &r);
        ck_assert_int_ge(r.total, before);
        before = r.total;
    }
    ck_assert_int_eq(before, N * UNITS);
    o.recipe = "topk:score=norm@output";
    refused(&o, "measures no difference");
    o.recipe = "temporal-redundancy:anchor=0@patches";
    refused(&o, "anchor=1");
}
END_TEST

/* ---- caps ------------------------------------------------------------------------------------------------------- */

static const char *const capped[] = {"random@patches",
                                     "topk:score=norm@output",
                                     "topk:score=motion:alloc=motion@patches",
                                     "temporal-redundancy@patches",
                                     "rlt@patches",
                                     "dtd@output",
                                     "pixelprune@patches"};
enum { N_CAPPED = sizeof capped / sizeof *capped };

static void within(const run *r, const pare_reducer_opts *o, int64_t total)
{
    ck_assert_msg(total < 0 || r->total == total, "%s: %lld of %lld", o->recipe, (long long)r->total, (long long)total);
    for (int t = 0; t < N; t++)
        ck_assert_msg(r->tokens[t] <= o->max_per_frame && r->tokens[t] >= o->min_per_frame, "%s: step %d has %lld",
                      o->recipe, t, (long long)r->tokens[t]);
}

START_TEST(caps_hold)
{
    static run r;
    pare_reducer_opts o = options(capped[_i]);
    o.keep = 0.25;
    o.max_per_frame = 70;
    o.min_per_frame = 5;
    reduce(&o, clip, &r);
    within(&r, &o, N * UNITS / 4);
    o.keep = 0;
    o.tokens = 999;
    o.n_frames = N;
    o.window = -1;
    reduce(&o, clip, &r);
    within(&r, &o, 999);
    o.tokens = o.max_per_frame * N;
    reduce(&o, clip, &r);
    within(&r, &o, o.max_per_frame * N);
}
END_TEST

START_TEST(caps_bound_quality)
{
    static run r;
    static const char *const recipes[] = {"temporal-redundancy@patches", "pixelprune@patches"};
    pare_reducer_opts o = options(recipes[_i]);
    o.quality = 0.999;
    reduce(&o, clip, &r);
    ck_assert_int_gt(r.tokens[0], 40);
    o.max_per_frame = 40;
    o.min_per_frame = 3;
    reduce(&o, clip, &r);
    within(&r, &o, -1);
    o.quality = 0;
    refused(&o, "goes with a budget");
    o.keep = 0.5;
    o.recipe = "vidcom2@output";
    refused(&o, "knows no cap");
}
END_TEST

/* ---- fine detail ------------------------------------------------------------------------------------------------ */

/* Steps t < n show strokes in `rows` rows of units, all others a soft slope. */
static void draw_text(image *picture, int n, int rows)
{
    for (int t = 0; t < N; t++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                const int is_ink = t < n && y < rows * PATCH && (x / 2 + y / 2) % 2;
                memset(picture[t][y][x], is_ink ? 20 : 120 + x + y / 2, 3);
            }
}

START_TEST(text_stays_whole)
{
    static image page[N];
    static run r;
    pare_reducer_opts o = options("random@patches");
    o.keep = 0.25;
    o.quality_floor = 1;
    draw_text(page, 3, GRID / 2);
    reduce(&o, page, &r);
    for (int t = 0; t < N; t++) ck_assert_int_eq(r.tokens[t], t < 3 ? UNITS : UNITS / 4);
    ck_assert_int_eq(r.stats.n_raised, 3);
    ck_assert_int_eq(r.stats.n_whole, 3);
    draw_text(page, 3, GRID / 4 + 1); /* less than a page, more than the budget */
    reduce(&o, page, &r);
    for (int t = 0; t < N; t++) ck_assert_int_eq(r.tokens[t], t < 3 ? (GRID / 4 + 1) * GRID : UNITS / 4);
    ck_assert_float_eq_tol(r.detail[0], (GRID / 4 + 1) / (float)GRID, 1e-6f);
    ck_assert_int_eq(r.stats.n_raised, 3);
    ck_assert_int_eq(r.stats.n_whole, 0);
    o.quality_floor = 0.5;
    reduce(&o, page, &r);
    for (int t = 0; t < N; t++) ck_assert_int_eq(r.tokens[t], UNITS / 4);
    ck_assert_int_eq(r.stats.n_raised, 0);
}
END_TEST

/* One sum for the clip: what text takes, the others of its window lack. */
START_TEST(text_within_a_sum)
{
    static image page[N];
    static run r;
    static const char *const recipes[] = {"random@patches", "temporal-redundancy@patches"};
    pare_reducer_opts o = options(recipes[_i]);
    o.tokens = N * UNITS / 4;
    o.n_frames = N;
    o.window = -1;
    o.quality_floor = 1;
    draw_text(page, 3, GRID);
    reduce(&o, page, &r);
    ck_assert_int_eq(r.total, o.tokens);
    for (int t = 0; t < 3; t++) ck_assert_int_eq(r.tokens[t], UNITS);
}
END_TEST

/* ---- deadline --------------------------------------------------------------------------------------------------- */

/* A frame takes base + slope x share: the share settles below the deadline, nearly as high as it may, and recovers. */
START_TEST(deadline_is_met)
{
    static const double slopes[] = {50, 200, 5000};
    double share = 1;
    for (int i = 0; i < 40; i++) share = pare__rate_share(share, 5 + slopes[_i] * share, 40);
    const double ms = 5 + slopes[_i] * share;
    ck_assert_msg(ms <= 40 && ms >= 30, "%g ms", ms);
    for (int i = 0; i < 100; i++) share = pare__rate_share(share, 10, 40);
    ck_assert_double_eq(share, 1);
    for (int i = 0; i < 100; i++) share = pare__rate_share(share, 1000, 40);
    ck_assert(share > 0 && share < 0.01);
    share = pare__rate_share(share, 0, 40);
    ck_assert(share > 0 && share < 0.01);
}
END_TEST

START_TEST(deadline_takes_from_the_budget)
{
    static run r;
    pare_reducer_opts o = options("random@patches");
    o.keep = 0.5;
    o.max_ms = 1e-6; /* nothing is that fast */
    o.window = 2;
    reduce(&o, clip, &r);
    ck_assert_int_eq(r.stats.n_late, N);
    ck_assert_int_eq(r.tokens[0] + r.tokens[1], UNITS);
    ck_assert_int_lt(r.tokens[N - 1], UNITS / 50);
    o.max_ms = 1e6;
    reduce(&o, clip, &r);
    ck_assert_int_eq(r.stats.n_late, 0);
    ck_assert_int_eq(r.total, N * UNITS / 2);
    o.recipe = "topk:score=norm@output";
    refused(&o, "no faster");
}
END_TEST

/* ---- stop ------------------------------------------------------------------------------------------------------- */

static void *ask(void *stop)
{
    pare__ask(stop);
    return NULL;
}

/* Another thread asks while block 0 is at work. */
static int ask_and_keep(void *user, const pare_custom_view *view, pare_selection *out, pare_error *e)
{
    pthread_t thread;
    (void)e;
    if (view->block == 0) {
        ck_assert_int_eq(pthread_create(&thread, NULL, ask, user), 0);
        pthread_join(thread, NULL);
    }
    int rc = 0;
    for (int64_t i = 0; !rc && i < view->k; i++) rc = pare_selection_keep(out, i);
    return rc;
}

START_TEST(stops_at_the_next_block)
{
    volatile int stop = 0;
    const pare_custom custom = {.struct_size = sizeof custom, .select = ask_and_keep, .user = (void *)&stop};
    pare_reducer_opts o = options("custom@block=0");
    pare_reducer *r = NULL;
    pare_result *result = NULL;
    o.keep = 0.5;
    o.window = 1;
    o.custom = &custom;
    o.stop = &stop;
    ck_assert_msg(!pare_reducer_create(&r, vit, &o, &err), "%s", err.text);
    ck_assert_int_eq(push(r, clip, 0), PARE_E_CANCELLED);
    ck_assert_msg(strstr(err.text, "cancelled at block 1") != NULL, "%s", err.text);
    ck_assert_int_eq(push(r, clip, 1), PARE_E_STATE);
    ck_assert_int_eq(pare_reducer_pull(r, &result, &err), PARE_E_STATE);
    ck_assert_int_eq(pare_reducer_reset(r, 0, &err), 0);
    ck_assert_int_eq(push(r, clip, 0), PARE_E_CANCELLED);
    ck_assert_msg(strstr(err.text, "after 0 frames") != NULL, "%s", err.text);
    pare_reducer_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream_budget");
    TCase *t = tcase_create("stream_budget");
    tcase_set_timeout(t, 300);
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, quality_is_kept, 0, N_MEASURED);
    tcase_add_test(t, quality_in_space);
    tcase_add_loop_test(t, caps_hold, 0, N_CAPPED);
    tcase_add_loop_test(t, caps_bound_quality, 0, 2);
    tcase_add_test(t, text_stays_whole);
    tcase_add_loop_test(t, text_within_a_sum, 0, 2);
    tcase_add_loop_test(t, deadline_is_met, 0, 3);
    tcase_add_test(t, deadline_takes_from_the_budget);
    tcase_add_test(t, stops_at_the_next_block);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
