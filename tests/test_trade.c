/* SPDX-License-Identifier: MIT */
/* Frames against size under one budget: what moves gets frames, what is fine gets size; the choice keeps its own rule, its
 * tokens are exact in the run that follows; what is refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pare/plan.h>

#include "core/rank.h"
#include "tiny_model.h"

enum { WIDTH = 168, HEIGHT = 126, N_FRAME = 48 };

static pare_model *model[2];
static pare_error err;

static void setup(void)
{
    static const tiny_spec spec[2] = {
        {.unit = 1, .patch = 7, .dim = 32, .n_layer = 2, .n_head = 2, .photo = 56},
        {.unit = 2, .patch = 7, .dim = 32, .n_layer = 2, .n_head = 2, .photo = 56},
    };
    for (int i = 0; i < 2; i++)
        ck_assert_msg(tiny_model_open(&model[i], &spec[i], &err) == 0, "model %d: %s", i, err.text);
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) pare_model_close(&model[i]);
}

/* ---- clips -------------------------------------------------------------------------------------------------------- */

typedef void (*draw_fn)(int32_t t, uint8_t *rgb);

/* Broad waves that run 12 pixels from frame to frame: any size shows them, any pause misses them. */
static void draw_fast(int32_t t, uint8_t *rgb)
{
    for (int32_t i = 0; i < WIDTH * HEIGHT; i++)
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (uint8_t)(128 + 100 * sin((i % WIDTH + 12 * t) * .05));
}

/* Noise of single pixels that stands still. */
static void draw_fine(int32_t t, uint8_t *rgb)
{
    pare__rng rng = pare__rng_make(7, 1, 0);
    (void)t;
    for (int32_t i = 0; i < 3 * WIDTH * HEIGHT; i++) rgb[i] = (uint8_t)pare__rng_below(&rng, 256);
}

static void draw_grey(int32_t t, uint8_t *rgb)
{
    (void)t;
    for (int32_t i = 0; i < 3 * WIDTH * HEIGHT; i++) rgb[i] = 128;
}

typedef int (*push_fn)(void *to, const pare_frame *f);

static int push_trade(void *to, const pare_frame *f) { return pare_trade_push(to, f, &err); }
static int push_plan(void *to, const pare_frame *f) { return pare_plan_push(to, f, &err); }
static int push_reducer(void *to, const pare_frame *f) { return pare_reducer_push(to, f, &err); }

static void push_clip(draw_fn draw, int32_t every, push_fn push, void *to)
{
    uint8_t *rgb = malloc(3 * WIDTH * HEIGHT);
    ck_assert_ptr_nonnull(rgb);
    for (int32_t t = 0; t < N_FRAME; t += every) {
        draw(t, rgb);
        const pare_frame f = {.struct_size = sizeof f,
                              .rgb = rgb,
                              .stride = 3 * WIDTH,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .pts = t / 24.0,
                              .duration = 1 / 24.0};
        ck_assert_msg(push(to, &f) == 0, "%s", err.text);
    }
    free(rgb);
}

static pare_reducer_opts opts_of(int64_t tokens)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = "temporal-redundancy@patches",
                               .tokens = tokens,
                               .video = 1,
                               .n_threads = 1};
}

static pare_trade *trade_of(int m, draw_fn draw, int64_t tokens, int32_t free_sides, pare_trade_view *v)
{
    const pare_reducer_opts o = opts_of(tokens);
    pare_trade *t = NULL;
    ck_assert_msg(pare_trade_create(&t, model[m], &o, free_sides, &err) == 0, "%s", err.text);
    push_clip(draw, 1, push_trade, t);
    ck_assert_msg(pare_trade_finish(t, &err) == 0, "%s", err.text);
    *v = (pare_trade_view){.struct_size = sizeof *v};
    ck_assert_int_eq(pare_trade_get(t, v, &err), 0);
    return t;
}

/* ---- the choice --------------------------------------------------------------------------------------------------- */

START_TEST(motion_gets_frames_and_detail_size)
{
    pare_trade_view fast, fine;
    pare_trade *a = trade_of(0, draw_fast, 400, 3, &fast), *b = trade_of(0, draw_fine, 400, 3, &fine);
    const pare_trade_candidate *p = &fast.candidate[fast.chosen], *q = &fine.candidate[fine.chosen];
    ck_assert_int_lt(p->every, q->every);
    ck_assert_int_gt(p->n_step, 4 * q->n_step);
    ck_assert_int_lt(p->units, q->units);
    ck_assert_int_eq(q->n_step, 2);
    pare_trade_close(&a);
    pare_trade_close(&b);
}
END_TEST

/* By its own figures: none that can be had covers more, none of fewer units covers nearly as much. */
START_TEST(the_choice_is_the_cheapest_of_the_best)
{
    static const draw_fn draw[] = {draw_fast, draw_fine, draw_grey};
    for (int i = 0; i < 6; i++) {
        pare_trade_view v;
        pare_trade *t = trade_of(i / 3, draw[i % 3], 100 + 150 * i, 3, &v);
        const double best = v.candidate[v.best].coverage;
        const pare_trade_candidate *chosen = &v.candidate[v.chosen];
        ck_assert(chosen->is_possible && v.candidate[v.best].is_possible);
        ck_assert_double_ge(chosen->coverage, best - .005);
        for (int32_t k = 0; k < v.n; k++) {
            const pare_trade_candidate *c = &v.candidate[k];
            ck_assert(c->coverage >= 0 && c->coverage <= 1);
            ck_assert_int_eq(c->is_possible, v.tokens >= c->n_step && v.tokens <= c->n_step * c->units);
            ck_assert_int_eq(c->units, (int64_t)c->grid_h * c->grid_w);
            if (!c->is_possible) continue;
            ck_assert_double_le(c->coverage, best);
            if (c->n_step * c->units < chosen->n_step * chosen->units) ck_assert_double_lt(c->coverage, best - .005);
        }
        pare_trade_close(&t);
    }
}
END_TEST

/* Nothing is held, nothing missing: what remains of the error is blur; and it falls with size. */
START_TEST(still_clips_are_held_without_error)
{
    pare_trade_view v;
    pare_trade *t = trade_of(0, draw_fine, 400, PARE_TRADE_SIZE, &v);
    ck_assert_int_gt(v.n, 2);
    for (int32_t k = 0; k < v.n; k++) {
        ck_assert_int_eq(v.candidate[k].every, 1);
        ck_assert_int_eq(v.candidate[k].n_step, N_FRAME);
        if (v.candidate[k].units <= 400) ck_assert_double_eq(v.candidate[k].hold, 0);
        if (k && v.candidate[k].units <= 400) ck_assert_double_lt(v.candidate[k].blur, v.candidate[k - 1].blur);
    }
    pare_trade_close(&t);
    t = trade_of(0, draw_grey, 100, PARE_TRADE_RATE, &v);
    for (int32_t k = 0; k < v.n; k++) ck_assert_double_eq(v.candidate[k].coverage, 1);
    ck_assert_int_eq(v.candidate[v.chosen].every, v.candidate[v.n - 1].every);
    pare_trade_close(&t);
}
END_TEST

static int64_t run(int m, draw_fn draw, const pare_trade_candidate *c, pare_reducer_opts o)
{
    pare_reducer *r = NULL;
    pare_result *result;
    int64_t k = 0;
    ck_assert_msg(pare_reducer_create(&r, model[m], &o, &err) == 0, "%s", err.text);
    push_clip(draw, c->every, push_reducer, r);
    ck_assert_msg(pare_reducer_flush(r, &err) == 0, "%s", err.text);
    while (pare_reducer_pull(r, &result, &err) == 0) {
        const pare_result_view *v = pare_result_get(result);
        ck_assert_int_eq(v->grid[1], c->grid_h);
        ck_assert_int_eq(v->grid[2], c->grid_w);
        k += v->k;
        pare_result_free(&result);
    }
    pare_reducer_close(&r);
    return k;
}

START_TEST(what_is_chosen_takes_the_tokens)
{
    static const draw_fn draw[] = {draw_fast, draw_fine};
    for (int i = 0; i < 4; i++) {
        pare_trade_view v;
        pare_plan *plan = NULL;
        const int64_t tokens = 131 + 60 * i;
        pare_trade *t = trade_of(i / 2, draw[i % 2], tokens, 3, &v);
        const pare_trade_candidate *c = &v.candidate[v.chosen];
        pare_reducer_opts o = opts_of(tokens);
        o.width = c->width;
        o.height = c->height;
        o.n_frames = (N_FRAME + c->every - 1) / c->every;
        ck_assert_int_eq(run(i / 2, draw[i % 2], c, o), tokens);
        ck_assert_msg(pare_plan_create(&plan, model[i / 2], &o, PARE_PLAN_TWO_PASS, &err) == 0, "%s", err.text);
        push_clip(draw[i % 2], c->every, push_plan, plan);
        ck_assert_msg(pare_plan_finish(plan, &err) == 0, "%s", err.text);
        o.tokens = 0;
        o.plan = plan;
        ck_assert_int_eq(run(i / 2, draw[i % 2], c, o), tokens);
        pare_plan_close(&plan);
        pare_trade_close(&t);
    }
}
END_TEST

/* ---- refusals ----------------------------------------------------------------------------------------------------- */

static void refused(pare_reducer_opts o, int32_t free_sides, const char *why)
{
    pare_trade *t = NULL;
    const int rc = pare_trade_create(&t, model[0], &o, free_sides, &err);
    ck_assert_msg(rc == PARE_E_INVALID && !t && strstr(err.text, why), "%d, not '%s': %s", rc, why, err.text);
}

START_TEST(what_is_refused)
{
    pare_reducer_opts o = opts_of(100);
    refused(o, 0, "1 (rate)");
    refused(opts_of(0), 3, "needs tokens");
    o.video = 0;
    refused(o, 3, "not for photos");
    o = opts_of(100);
    o.width = o.height = 56;
    refused(o, PARE_TRADE_SIZE, "leaves width");
    o = opts_of(100);
    o.keep = .5;
    refused(o, 3, "keep or tokens");
    o = opts_of(100);
    o.recipe = "resize@frames";
    refused(o, 3, "frames");

    pare_trade *t = NULL;
    o = opts_of(1 << 29);
    ck_assert_int_eq(pare_trade_create(&t, model[0], &o, 3, &err), 0);
    push_clip(draw_grey, 1, push_trade, t);
    ck_assert_int_eq(pare_trade_finish(t, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "536870912") && strstr(err.text, "the largest have"), "%s", err.text);
    ck_assert_int_eq(pare_trade_finish(t, &err), PARE_E_STATE);
    pare_trade_close(&t);
    o = opts_of(10);
    ck_assert_int_eq(pare_trade_create(&t, model[0], &o, 3, &err), 0);
    ck_assert_int_eq(pare_trade_finish(t, &err), PARE_E_INVALID);
    pare_trade_close(&t);
    pare_trade_close(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trade");
    TCase *c = tcase_create("trade");
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, motion_gets_frames_and_detail_size);
    tcase_add_test(c, the_choice_is_the_cheapest_of_the_best);
    tcase_add_test(c, still_clips_are_held_without_error);
    tcase_add_test(c, what_is_chosen_takes_the_tokens);
    tcase_add_test(c, what_is_refused);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
