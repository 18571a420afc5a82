/* SPDX-License-Identifier: MIT */
/* The whole path through the public API, on the model that ships: exact counts, the same bytes at any thread count,
 * places, errors. Frames are drawn here: a static ramp with a moving square. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/map.h"
#include "reduce/result.h"

enum { WIDTH = 168, HEIGHT = 112, UNITS = 12 * 8, N_FRAMES = 11 };

static pare_model *model;
static uint8_t picture[N_FRAMES][HEIGHT][WIDTH][3];
static pare_error err;

static void draw(void)
{
    for (int t = 0; t < N_FRAMES; t++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                const int inside = x >= 9 * t && x < 9 * t + 30 && y >= 40 && y < 70;
                picture[t][y][x][0] = (uint8_t)(inside ? 250 : x);
                picture[t][y][x][1] = (uint8_t)(inside ? 30 : y);
                picture[t][y][x][2] = (uint8_t)(inside ? 90 : (x ^ y) & 63);
            }
}

static pare_frame frame(int t)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = &picture[t][0][0][0],
                        .stride = WIDTH * 3,
                        .width = WIDTH,
                        .height = HEIGHT,
                        .pts = t / 8.0};
}

static pare_reducer_opts options(const char *recipe)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .video = 1,
                               .width = WIDTH,
                               .height = HEIGHT,
                               .window = 4};
}

/* Rows of the whole clip, window by window. */
typedef struct outcome {
    int64_t n_window, k, n;
    int64_t per_frame[N_FRAMES];
    float *embeds;
    int32_t *place;
} outcome;

static void collect(outcome *o, const pare_result_view *v)
{
    const int64_t d = v->d;
    o->embeds = realloc(o->embeds, (size_t)((o->k + v->k) * d + 1) * sizeof(float));
    o->place = realloc(o->place, (size_t)((o->k + v->k) * 6 + 1) * sizeof(int32_t));
    memcpy(o->embeds + o->k * d, v->embeds, (size_t)(v->k * d) * sizeof(float));
    memcpy(o->place + o->k * 6, v->place, (size_t)(v->k * 6) * sizeof(int32_t));
    for (int32_t t = 0; t < v->grid[0]; t++) o->per_frame[v->first_slot + t] = v->row_start[t + 1] - v->row_start[t];
    o->k += v->k;
    o->n += v->n;
    o->n_window++;
    ck_assert_msg(pare__map_check(&v->map, PARE__MAP_SORTED, &err) == 0, "%s", err.text);
}

static outcome run(const pare_reducer_opts *opts)
{
    outcome o = {0};
    pare_reducer *r = NULL;
    pare_result *result = NULL;
    int rc = pare_reducer_create(&r, model, opts, &err);
    ck_assert_msg(rc == 0, "%s: %s", opts->recipe, err.text);
    for (int t = 0; t <= N_FRAMES; t++) {
        const pare_frame f = frame(t < N_FRAMES ? t : 0);
        rc = t < N_FRAMES ? pare_reducer_push(r, &f, &err) : pare_reducer_flush(r, &err);
        ck_assert_msg(rc == 0, "%s: %s", opts->recipe, err.text);
        while (pare_reducer_pull(r, &result, &err) == 0) {
            collect(&o, pare_result_get(result));
            pare_result_free(&result);
        }
    }
    ck_assert_int_eq(pare_reducer_pull(r, &result, &err), PARE_EOF);
    pare_reducer_close(&r);
    ck_assert_int_eq(o.n, N_FRAMES * UNITS);
    return o;
}

static void outcome_free(outcome *o)
{
    free(o->embeds);
    free(o->place);
}

static const char *const recipes[] = {"random@patches",
                                      "spatial-uniform@patches",
                                      "temporal-redundancy@patches",
                                      "tome@block",
                                      "topk:score=cls-attn@block=2/5/8",
                                      "topk:score=mean-attn@output",
                                      "topk:score=norm@output",
                                      "temporal-redundancy@output",
                                      "evs@output",
                                      "topk:score=motion@patches",
                                      NULL};

START_TEST(counts_are_exact)
{
    for (int i = 0; recipes[i]; i++) {
        pare_reducer_opts o = options(recipes[i]);
        o.keep = 0.3;
        outcome a = run(&o);
        ck_assert_int_eq(a.k, llround(0.3 * N_FRAMES * UNITS));
        outcome_free(&a);
        o.keep = 0;
        o.tokens = 131;
        o.n_frames = N_FRAMES;
        a = run(&o);
        ck_assert_int_eq(a.k, 131);
        outcome_free(&a);
        o.tokens = 0;
        o.tokens_per_frame = 17;
        a = run(&o);
        for (int t = 0; t < N_FRAMES; t++) ck_assert_int_eq(a.per_frame[t], 17);
        outcome_free(&a);
    }
}
END_TEST

START_TEST(scored_recipes_are_exact)
{
    static const char *const scored[] = {"topk:score=cls-attn@block=2/5/8", "topk:score=mean-attn@output",
                                         "topk:score=norm@output", "topk:score=motion@patches",
                                         "topk:score=motion:alloc=motion@patches"};
    for (size_t i = 0; i < sizeof scored / sizeof scored[0]; i++) {
        pare_reducer_opts o = options(scored[i]);
        o.keep = 0.25;
        outcome a = run(&o);
        ck_assert_int_eq(a.k, llround(0.25 * N_FRAMES * UNITS));
        outcome_free(&a);
    }
}
END_TEST

/* keep 1 is the full run, bit for bit, whatever the recipe; so are 1 and 2 threads. */
START_TEST(keep_one_changes_nothing)
{
    pare_reducer_opts o = options("none");
    outcome full = run(&o);
    ck_assert_int_eq(full.k, N_FRAMES * UNITS);
    static const char *const same[] = {"random@patches", "spatial-uniform@patches", "temporal-redundancy@patches",
                                       "topk:score=norm@output", "tome@block"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        o = options(same[i]);
        o.keep = 1;
        outcome a = run(&o);
        ck_assert_int_eq(a.k, full.k);
        ck_assert_int_eq(memcmp(a.embeds, full.embeds, (size_t)(a.k * 384) * sizeof(float)), 0);
        outcome_free(&a);
    }
    outcome_free(&full);
}
END_TEST

START_TEST(threads_do_not_change_bytes)
{
    static const char *const all[] = {"temporal-redundancy@patches", "tome@block", "topk:score=cls-attn@block=3"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pare_reducer_opts o = options(all[i]);
        o.keep = 0.4;
        o.n_threads = 1;
        outcome one = run(&o);
        o.n_threads = 3;
        outcome three = run(&o);
        ck_assert_int_eq(one.k, three.k);
        ck_assert_int_eq(memcmp(one.place, three.place, (size_t)one.k * 6 * sizeof(int32_t)), 0);
        ck_assert_int_eq(memcmp(one.embeds, three.embeds, (size_t)(one.k * 384) * sizeof(float)), 0);
        outcome_free(&one);
        outcome_free(&three);
    }
}
END_TEST

START_TEST(moving_square_is_kept)
{
    pare_reducer_opts o = options("temporal-redundancy@patches");
    o.keep = 0.1;
    outcome a = run(&o);
    int64_t near = 0, later = 0;
    for (int64_t i = 0; i < a.k; i++) {
        const int32_t *p = a.place + 6 * i;
        if (p[2] == 0) continue;
        later++;
        const int x0 = p[4] * 14, y0 = p[3] * 14, sq = 9 * p[2];
        near += x0 + 14 > sq - 12 && x0 < sq + 42 && y0 + 14 > 38 && y0 < 72;
    }
    ck_assert_int_gt(later, 0);
    ck_assert_int_ge(near * 10, later * 9);
    outcome_free(&a);
}
END_TEST

/* A unit's box, in a stored picture that was rotated to become upright, holds the pixels that the unit was cut from. */
START_TEST(boxes_undo_rotation)
{
    pare_result *result = NULL;
    pare_frame f = frame(0);
    f.rotation = 90;
    pare_reducer_opts o = options("none");
    ck_assert_int_eq(pare_reduce(model, &o, &f, 1, &result, &err), 0);
    const pare_result_view *v = pare_result_get(result);
    for (int64_t i = 0; i < v->k; i++) {
        const float x0 = (float)v->place[6 * i + 4] * 14, y0 = (float)v->place[6 * i + 3] * 14;
        /* stored picture: HEIGHT wide, WIDTH high; clockwise: upright (x, y) = stored (y, WIDTH - x)... inverted */
        ck_assert_float_eq_tol(v->box[4 * i], y0, 1e-3f);
        ck_assert_float_eq_tol(v->box[4 * i + 1], (float)WIDTH - x0 - 14, 1e-3f);
        ck_assert_float_eq_tol(v->box[4 * i + 2], y0 + 14, 1e-3f);
        ck_assert_float_eq_tol(v->box[4 * i + 3], (float)WIDTH - x0, 1e-3f);
    }
    pare_result_free(&result);
}
END_TEST

static void refuse(pare_reducer_opts o, const char *part)
{
    pare_reducer *r = NULL;
    const pare_frame f = frame(0);
    err = (pare_error){0};
    int rc = pare_reducer_create(&r, model, &o, &err);
    if (!rc) rc = pare_reducer_push(r, &f, &err);
    if (!rc) rc = pare_reducer_flush(r, &err);
    pare_reducer_close(&r);
    ck_assert_msg(rc < 0 && strstr(err.text, part), "rc %d, '%s', expected '%s'", rc, err.text, part);
}

START_TEST(refuses)
{
    pare_reducer_opts o = options("topk:score=norm@output");
    refuse(o, "no amount");
    o.keep = 2;
    refuse(o, "keep 2");
    o = options("topk:score=norm:k=3@output");
    o.keep = 0.5;
    refuse(o, "amount of its own");
    o = options("topk:score=norm@block=12");
    o.keep = 0.5;
    refuse(o, "blocks 0..11");
    o = options("topk:score=cls-attn:layer=9@block=3");
    o.keep = 0.5;
    refuse(o, "comes later");
    o = options("topk@output,random@patches");
    o.keep = 0.5;
    refuse(o, "cannot follow");
    o = options("topk@output");
    o.tokens = 100000;
    o.n_frames = 2;
    refuse(o, "100000");
    o = options("none");
    o.width = 100;
    refuse(o, "multiples of 14");
    o = options("random@patches");
    o.keep = 1e-4;
    refuse(o, "leave none of the");
    o = options("resize:keep=.5,resize");
    o.keep = 0.5;
    refuse(o, "only one step");
    o = options("tome:kth=4:keep=.5@block=3");
    refuse(o, "both set the amount");
    o = options("adaptive-pool:h=3");
    refuse(o, "pool");
    o = options("random@patches");
    o.tokens = INT64_MAX / 4;
    o.n_frames = INT64_MAX / 4;
    refuse(o, "at most");
    o = options("none");
    o.window = -2;
    refuse(o, "window -2");
    o = options("none");
    o.struct_size = 2;
    refuse(o, "struct_size");
}
END_TEST

/* The budget binds the step that takes it; what later steps take away is not made good. */
START_TEST(budget_ignores_later_steps)
{
    pare_reducer_opts o = options("stride@patches,topk:score=norm:keep=.5@output");
    o.keep = 0.5;
    for (int window = 1; window <= 4; window += 3) {
        o.window = window;
        outcome a = run(&o);
        for (int t = 0; t < N_FRAMES; t++) ck_assert_int_eq(a.per_frame[t], UNITS / 4);
        outcome_free(&a);
    }
}
END_TEST

START_TEST(per_frame_is_per_frame)
{
    pare_reducer_opts o = options("pool");
    o.tokens_per_frame = 10;
    o.window = 1;
    outcome a = run(&o);
    for (int t = 0; t < N_FRAMES; t++) ck_assert_int_eq(a.per_frame[t], a.per_frame[0]);
    ck_assert_int_le(a.per_frame[0], 10);
    outcome_free(&a);
}
END_TEST

/* Steps whose blocks interleave keep schedules of their own. */
START_TEST(block_steps_do_not_mix)
{
    pare_reducer_opts o = options("stride:keep=.5@block=2/6,stride:keep=.75@block=4/8");
    outcome a = run(&o);
    for (int t = 0; t < N_FRAMES; t++) ck_assert_int_ge(a.per_frame[t], UNITS / 4);
    outcome_free(&a);
    o = options("tome@block,stride:keep=.9@block=5");
    o.keep = 0.1;
    a = run(&o);
    ck_assert_int_eq(a.k, llround(0.1 * N_FRAMES * UNITS));
    outcome_free(&a);
}
END_TEST

START_TEST(empty_windows_are_fine)
{
    pare_reducer_opts o = options("stride@patches,topk:k=4@output");
    o.keep = 0.01;
    o.window = 1;
    outcome a = run(&o);
    ck_assert_int_eq(a.k, llround(0.01 * N_FRAMES * UNITS));
    outcome_free(&a);
    o = options("temporal-redundancy@output");
    o.keep = 0.005;
    o.window = 1;
    a = run(&o);
    ck_assert_int_eq(a.k, llround(0.005 * N_FRAMES * UNITS));
    outcome_free(&a);
}
END_TEST

START_TEST(motion_allocates_at_every_site)
{
    static const char *const all[] = {"stride:alloc=motion@patches", "stride:alloc=motion@block=3",
                                      "topk:score=norm:alloc=motion@output", "norm-topk:alloc=motion"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pare_reducer_opts o = options(all[i]);
        o.keep = 0.25;
        outcome a = run(&o);
        ck_assert_int_eq(a.k, llround(0.25 * N_FRAMES * UNITS));
        outcome_free(&a);
    }
}
END_TEST

START_TEST(resize_counts_as_the_whole)
{
    pare_reducer_opts o = options("resize:keep=.25,stride@patches");
    o.tokens_per_frame = 40;
    pare_reducer *r = NULL;
    const pare_frame f = frame(0);
    ck_assert_int_eq(pare_reducer_create(&r, model, &o, &err), 0);
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "40"));
    pare_reducer_close(&r);
}
END_TEST

/* ---- features without a model --------------------------------------------------------------------------------- */

START_TEST(tokens_without_a_model)
{
    enum { N = 2 * 4 * 6, D = 5 };
    float x[N * D], col[N];
    for (int i = 0; i < N * D; i++) x[i] = (float)((i * 37) % 101);
    for (int i = 0; i < N; i++) col[i] = (float)((i * 29) % N);
    const int32_t thw[3] = {2, 4, 6};
    const pare_tensor arrays[] = {
        {"tokens", PARE_F32, 2, {N, D}, x}, {"col_mean", PARE_F32, 1, {N}, col}, {"grid_thw", PARE_I32, 1, {3}, thw}};
    pare_reducer_opts o = {.struct_size = sizeof o, .recipe = "topk:score=mean-attn@output", .tokens = 10};
    pare_result *r = NULL;
    ck_assert_msg(pare_reduce_tokens(arrays, 3, &o, &r, &err) == 0, "%s", err.text);
    const pare_result_view *v = pare_result_get(r);
    ck_assert_int_eq(v->k, 10);
    for (int64_t i = 0; i < v->k; i++) {
        const int64_t at = v->index[i];
        ck_assert_int_eq(at, (v->place[6 * i + 2] * 4 + v->place[6 * i + 3]) * 6 + v->place[6 * i + 4]);
        ck_assert_int_eq(memcmp(v->embeds + i * D, x + at * D, sizeof(float) * D), 0);
        ck_assert_float_eq(v->scores[at], col[at]);
    }
    pare_result_free(&r);
    ck_assert_int_eq(pare_reduce_tokens(arrays, 1, &o, &r, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "col_mean"));
    o.recipe = "tome@block";
    ck_assert_int_eq(pare_reduce_tokens(arrays, 3, &o, &r, &err), PARE_E_INVALID);
    o.recipe = "temporal-redundancy@patches";
    ck_assert_int_eq(pare_reduce_tokens(arrays, 3, &o, &r, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "pixels"));
    const pare_tensor empty[] = {arrays[0], arrays[2], {"pixels", PARE_U8, 4, {0, 8, 12, 3}, thw}};
    ck_assert_int_eq(pare_reduce_tokens(empty, 3, &o, &r, &err), PARE_E_INVALID);
    const pare_tensor wide[] = {arrays[0], {"col_mean", PARE_F32, 2, {N, 2}, x}};
    o.recipe = "topk:score=mean-attn@output";
    ck_assert_int_eq(pare_reduce_tokens(wide, 2, &o, &r, &err), PARE_E_INVALID);
    const pare_tensor keys[] = {arrays[0], {"k", PARE_F32, 2, {N, D}, x}};
    o.recipe = "tome@block";
    o.tokens = 2;
    ck_assert_int_eq(pare_reduce_tokens(keys, 2, &o, &r, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "24"));
}
END_TEST

int main(void)
{
    draw();
    pare_runtime_init(NULL, NULL);
    if (pare_model_open(&model, PARE_SAMPLES_DIR "/dinov2-small-q8_0.gguf", &err)) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    Suite *s = suite_create("reduce");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, counts_are_exact);
    tcase_add_test(t, scored_recipes_are_exact);
    tcase_add_test(t, keep_one_changes_nothing);
    tcase_add_test(t, threads_do_not_change_bytes);
    tcase_add_test(t, moving_square_is_kept);
    tcase_add_test(t, boxes_undo_rotation);
    tcase_add_test(t, budget_ignores_later_steps);
    tcase_add_test(t, per_frame_is_per_frame);
    tcase_add_test(t, block_steps_do_not_mix);
    tcase_add_test(t, empty_windows_are_fine);
    tcase_add_test(t, motion_allocates_at_every_site);
    tcase_add_test(t, resize_counts_as_the_whole);
    tcase_add_test(t, refuses);
    tcase_add_test(t, tokens_without_a_model);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    const int n = srunner_ntests_failed(r);
    srunner_free(r);
    pare_model_close(&model);
    return n ? EXIT_FAILURE : EXIT_SUCCESS;
}
