/* SPDX-License-Identifier: MIT */
/* Plans against the runs that they announce or govern: totals and steps, exact amounts over the clip, floors and caps,
 * where a clip of uneven motion gets its tokens, positions, memory, refusals. */
#include <check.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/plan.h>

#include "core/rank.h"
#include "tiny_model.h"

enum { GRID = 6, N_MODEL = 2, D = 32, MAX_SIDE = 14 * GRID };

static pare_model *model[N_MODEL];
static const int32_t side[N_MODEL] = {7 * GRID, 14 * GRID};
static pare_error err;

static void setup(void)
{
    static const tiny_spec spec[N_MODEL] = {
        {.unit = 1, .patch = 7, .dim = D, .n_layer = 6, .n_head = 2, .photo = 7 * GRID},
        {.unit = 2, .patch = 7, .dim = D, .n_layer = 6, .n_head = 2, .photo = 14 * GRID},
    };
    for (int i = 0; i < N_MODEL; i++)
        ck_assert_msg(tiny_model_open(&model[i], &spec[i], &err) == 0, "model %d: %s", i, err.text);
}

static void teardown(void)
{
    for (int i = 0; i < N_MODEL; i++) pare_model_close(&model[i]);
}

/* ---- clips -------------------------------------------------------------------------------------------------------- */

/* Frame t of a clip: noise that changes in `busy` of 8 columns from frame to frame; all of it at a cut. */
typedef struct clip {
    int32_t n, cut;     /* frames; the frame that begins another scene, or 0 */
    int32_t calm, busy; /* columns that change in the first and in the second half */
    uint64_t seed;
} clip;

static void draw(const clip *c, int32_t t, int32_t pixels, uint8_t *rgb)
{
    const int32_t columns = t < c->n / 2 ? c->calm : c->busy;
    for (int32_t x = 0; x < pixels; x++) {
        const int32_t is_moving = x * 8 / pixels < columns;
        pare__rng rng = pare__rng_make(c->seed, (uint64_t)x, is_moving ? (uint64_t)t + 1 : c->cut && t >= c->cut);
        for (int32_t y = 0; y < pixels; y++)
            for (int k = 0; k < 3; k++) rgb[3 * (y * pixels + x) + k] = (uint8_t)pare__rng_below(&rng, 256);
    }
}

typedef int (*push_fn)(void *to, const pare_frame *f);

static int push_all(int m, const clip *c, push_fn push, void *to)
{
    static uint8_t rgb[3 * MAX_SIDE * MAX_SIDE];
    int rc = 0;
    for (int32_t t = 0; !rc && t < c->n; t++) {
        draw(c, t, side[m], rgb);
        const pare_frame f = {.struct_size = sizeof f,
                              .rgb = rgb,
                              .stride = 3 * (int64_t)side[m],
                              .width = side[m],
                              .height = side[m],
                              .pts = t / 5.0,
                              .duration = .2};
        rc = push(to, &f);
    }
    return rc;
}

static int push_plan(void *to, const pare_frame *f) { return pare_plan_push(to, f, &err); }

static pare_plan *make_plan(int m, const clip *c, pare_reducer_opts o, int32_t kind, pare_plan_info *info)
{
    pare_plan *plan = NULL;
    o.struct_size = sizeof o;
    o.width = o.height = side[m];
    ck_assert_msg(pare_plan_create(&plan, model[m], &o, kind, &err) == 0, "%s: %s", o.recipe, err.text);
    ck_assert_msg(push_all(m, c, push_plan, plan) == 0, "%s: %s", o.recipe, err.text);
    ck_assert_msg(pare_plan_finish(plan, &err) == 0, "%s: %s", o.recipe, err.text);
    *info = (pare_plan_info){.struct_size = sizeof *info};
    ck_assert_int_eq(pare_plan_get(plan, info, &err), 0);
    return plan;
}

/* ---- real runs ---------------------------------------------------------------------------------------------------- */

enum { MAX_STEPS = 512 };

typedef struct run {
    pare_reducer *reducer;
    int64_t tokens[MAX_STEPS], n_step, total;
    int32_t largest_id;
} run;

static int take(run *r)
{
    pare_result *result;
    int rc;
    while ((rc = pare_reducer_pull(r->reducer, &result, &err)) == 0) {
        const pare_result_view *v = pare_result_get(result);
        for (int32_t i = 0; i < v->n_step; i++) r->tokens[r->n_step++] = v->step[i].tokens;
        for (int64_t i = 0; v->mrope && i < 3 * v->k; i++)
            if (v->mrope[i] > r->largest_id) r->largest_id = v->mrope[i];
        r->total += v->k;
        pare_result_free(&result);
    }
    return rc < 0 ? rc : 0;
}

static int push_run(void *to, const pare_frame *f)
{
    run *r = to;
    const int rc = pare_reducer_push(r->reducer, f, &err);
    return rc ? rc : take(r);
}

static run run_clip(int m, const clip *c, pare_reducer_opts o)
{
    run r = {.total = 0};
    o.struct_size = sizeof o;
    o.width = o.height = side[m];
    ck_assert_msg(pare_reducer_create(&r.reducer, model[m], &o, &err) == 0, "%s: %s", o.recipe, err.text);
    ck_assert_msg(push_all(m, c, push_run, &r) == 0, "%s: %s", o.recipe, err.text);
    ck_assert_msg(pare_reducer_flush(r.reducer, &err) == 0 && take(&r) == 0, "%s: %s", o.recipe, err.text);
    pare_reducer_close(&r.reducer);
    return r;
}

/* ---- one pass ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *recipe;
    int32_t has_steps;
} recipes[] = {{"temporal-redundancy@patches", 1},
               {"topk:score=motion@patches", 1},
               {"topk@output", 1},
               {"tome@block", 1},
               {"spatial-uniform@patches", 1},
               {"temporal-redundancy@output", 0},
               {"divprune:alloc=motion@output", 1},
               {"random@block=2/4", 1}};
enum { N_RECIPE = sizeof recipes / sizeof recipes[0] };

START_TEST(test_plan_is_run)
{
    pare__rng rng = pare__rng_make(77, (uint64_t)_i, 0);
    const int m = _i % N_MODEL, which = _i % N_RECIPE;
    const clip c = {.n = 8 + (int32_t)pare__rng_below(&rng, 14),
                    .cut = (int32_t)pare__rng_below(&rng, 8),
                    .calm = (int32_t)pare__rng_below(&rng, 4),
                    .busy = (int32_t)pare__rng_below(&rng, 9),
                    .seed = (uint64_t)_i};
    pare_reducer_opts o = {
        .recipe = recipes[which].recipe, .video = 1, .window = 1 + (int32_t)pare__rng_below(&rng, 7)};
    const int64_t steps = (c.n + m) / (1 + m);
    switch (_i % 3) {
    case 0:
        o.keep = .55 + .4 * pare__rng_unit(&rng);
        break;
    case 1:
        o.tokens = steps * GRID * GRID / 2 + pare__rng_below(&rng, steps * 10);
        o.n_frames = c.n;
        break;
    default:
        o.tokens_per_frame = 18 + pare__rng_below(&rng, 15);
    }
    pare_plan_info info;
    pare_plan *plan = make_plan(m, &c, o, PARE_PLAN_ONE_PASS, &info);
    const run real = run_clip(m, &c, o);
    ck_assert_msg(info.n_tokens == real.total, "%s: %d announced, %d came", o.recipe, (int)info.n_tokens,
                  (int)real.total);
    ck_assert_int_eq(info.n_cells, real.total);
    ck_assert_int_eq(info.n_step, real.n_step);
    for (int64_t i = 0; i < info.n_step; i++)
        ck_assert(info.step[i].tokens == real.tokens[i] || (info.step[i].tokens == -1 && !recipes[which].has_steps));
    if (m == 0) ck_assert_int_eq(info.n_positions, real.total);
    if (m == 1) ck_assert_int_ge(info.n_positions, real.largest_id + 1);
    pare_plan_close(&plan);
}
END_TEST

/* Every unit kept: the largest id is there. */
START_TEST(test_positions)
{
    const clip c = {.n = 40, .busy = 8};
    const pare_reducer_opts o = {.recipe = "none", .video = 1};
    pare_plan_info info;
    pare_plan *plan = make_plan(1, &c, o, PARE_PLAN_ONE_PASS, &info);
    const run real = run_clip(1, &c, o);
    ck_assert_int_gt(real.largest_id, GRID);
    ck_assert_int_eq(info.n_positions, real.largest_id + 1);
    ck_assert_int_eq(info.n_cells, 20 * GRID * GRID);
    pare_plan_close(&plan);
}
END_TEST

/* ---- two passes --------------------------------------------------------------------------------------------------- */

START_TEST(test_exact)
{
    pare__rng rng = pare__rng_make(78, (uint64_t)_i, 0);
    const int m = _i % N_MODEL, which = _i % N_RECIPE;
    const clip c = {.n = 8 + (int32_t)pare__rng_below(&rng, 30),
                    .cut = (int32_t)pare__rng_below(&rng, 8),
                    .calm = (int32_t)pare__rng_below(&rng, 3),
                    .busy = 2 + (int32_t)pare__rng_below(&rng, 7),
                    .seed = (uint64_t)_i};
    const int64_t units = (c.n + m) / (1 + m) * GRID * GRID, tokens = units / 4 + pare__rng_below(&rng, units / 2);
    pare_reducer_opts o = {
        .recipe = recipes[which].recipe, .video = 1, .tokens = tokens, .window = 1 + (int32_t)pare__rng_below(&rng, 9)};
    if (_i % 4 == 1) o.max_per_frame = GRID * GRID - 2;
    if (!strncmp(o.recipe, "tome", 4)) o.min_per_frame = 6; /* six applications reach 1/64 */
    pare_plan_info info;
    pare_plan *plan = make_plan(m, &c, o, PARE_PLAN_TWO_PASS, &info);
    ck_assert_int_eq(info.n_tokens, tokens);
    o.tokens = 0;
    o.plan = plan;
    pare_plan_info told;
    pare_plan *dry = make_plan(m, &c, o, PARE_PLAN_ONE_PASS, &told);
    const run real = run_clip(m, &c, o);
    ck_assert_int_eq(real.total, tokens);
    ck_assert_int_eq(told.n_tokens, tokens);
    for (int64_t i = 0; i < told.n_step; i++)
        ck_assert(told.step[i].tokens == real.tokens[i] || (told.step[i].tokens == -1 && !recipes[which].has_steps));
    pare_plan_close(&dry);
    ck_assert_int_eq(real.n_step, info.n_step);
    const int is_wide = !strncmp(o.recipe, "temporal", 8) && o.window > 1;
    for (int64_t i = 0; !is_wide && i < info.n_step; i++) ck_assert_int_eq(real.tokens[i], info.step[i].tokens);
    for (int64_t i = 0; is_wide && i < info.n_step; i += o.window) {
        int64_t planned = 0, spent = 0;
        for (int64_t k = i; k < i + o.window && k < info.n_step; k++)
            planned += info.step[k].tokens, spent += real.tokens[k];
        ck_assert_int_eq(spent, planned);
    }
    pare_plan_close(&plan);
}
END_TEST

/* A still half gets next to nothing, but for its first step; a cut gets much; floors and caps hold. */
START_TEST(test_where)
{
    const clip c = {.n = 60, .calm = 0, .busy = 6, .cut = 15, .seed = 3};
    pare_reducer_opts o = {.recipe = "topk:score=motion@patches", .video = 1, .keep = .4};
    pare_plan_info info;
    pare_plan *plan = make_plan(0, &c, o, PARE_PLAN_TWO_PASS, &info);
    int64_t calm = 0, busy = 0;
    ck_assert_int_eq(info.n_tokens, (int64_t)floor(.4 * 60 * GRID * GRID + .5));
    for (int i = 0; i < 60; i++) *(i < 30 ? &calm : &busy) += info.step[i].tokens;
    ck_assert_int_gt(busy, 8 * calm);
    ck_assert_int_eq(info.step[15].is_cut, 1);
    ck_assert_int_ge(info.n_cut, 1);
    ck_assert_int_gt(info.step[15].tokens, 10);
    ck_assert_int_eq(info.step[16].tokens, 0);
    pare_plan_close(&plan);
    o.min_per_frame = 3;
    o.max_per_frame = 24;
    plan = make_plan(0, &c, o, PARE_PLAN_TWO_PASS, &info);
    for (int i = 0; i < 60; i++) {
        ck_assert_int_ge(info.step[i].tokens, 3);
        ck_assert_int_le(info.step[i].tokens, 24);
    }
    pare_plan_close(&plan);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static int64_t memory_after(int32_t n)
{
    const clip c = {.n = n, .busy = 4};
    const pare_reducer_opts o = {.recipe = "temporal-redundancy@patches", .video = 1, .keep = .2};
    pare_plan_info info;
    const int64_t before = (int64_t)mallinfo2().uordblks;
    pare_plan *plan = make_plan(0, &c, o, PARE_PLAN_TWO_PASS, &info);
    const int64_t used = (int64_t)mallinfo2().uordblks - before;
    pare_plan_close(&plan);
    return used;
}

START_TEST(test_memory)
{
    const int64_t few = memory_after(100), many = memory_after(1100);
    ck_assert_msg(many - few < 1000 * 512, "%lld bytes more for 1000 steps", (long long)(many - few));
}
END_TEST

/* ---- refusals ----------------------------------------------------------------------------------------------------- */

static void refused(const pare_reducer_opts *given, int32_t kind, const char *text)
{
    pare_reducer_opts o = *given;
    pare_plan *plan = NULL;
    o.struct_size = sizeof o;
    ck_assert_int_eq(pare_plan_create(&plan, model[0], &o, kind, &err), PARE_E_INVALID);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(test_refusals)
{
    refused(&(pare_reducer_opts){.recipe = "topk@output", .video = 1}, PARE_PLAN_TWO_PASS, "need keep or tokens");
    refused(&(pare_reducer_opts){.recipe = "topk@output", .keep = .5}, PARE_PLAN_TWO_PASS, "clips");
    refused(&(pare_reducer_opts){.recipe = "resize@frames", .keep = .5, .video = 1}, PARE_PLAN_TWO_PASS, "frames");
    refused(&(pare_reducer_opts){.recipe = "topk@nowhere", .keep = .5, .video = 1}, PARE_PLAN_TWO_PASS, "nowhere");
    refused(&(pare_reducer_opts){.recipe = "topk@output", .keep = .5, .video = 1}, 7, "kind 7");
    refused(&(pare_reducer_opts){.recipe = "topk@output", .keep = .5, .video = 1, .quality_floor = .5},
            PARE_PLAN_TWO_PASS, "no quality floor");
    refused(&(pare_reducer_opts){.recipe = "topk@output", .keep = .5, .video = 1, .max_ms = 5}, PARE_PLAN_TWO_PASS,
            "no deadline");
    const clip c = {.n = 6, .busy = 4}, longer = {.n = 9, .busy = 4};
    pare_reducer_opts o = {.struct_size = sizeof o, .recipe = "topk@output", .video = 1, .tokens = 6 * GRID * GRID + 1};
    pare_plan *plan = NULL;
    o.width = o.height = side[0];
    ck_assert_int_eq(pare_plan_create(&plan, model[0], &o, PARE_PLAN_TWO_PASS, &err), 0);
    ck_assert_int_eq(push_all(0, &c, push_plan, plan), 0);
    ck_assert_int_eq(pare_plan_finish(plan, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "have only 216"));
    ck_assert_int_eq(pare_plan_finish(plan, &err), PARE_E_STATE);
    pare_plan_close(&plan);
    pare_plan_info info;
    o.tokens = 50;
    plan = make_plan(0, &c, o, PARE_PLAN_TWO_PASS, &info);
    run r = {.total = 0};
    o.plan = plan;
    ck_assert_int_eq(pare_reducer_create(&r.reducer, model[0], &o, &err), PARE_E_INVALID);
    o.tokens = 0;
    o.window = 4;
    ck_assert_int_eq(pare_reducer_create(&r.reducer, model[0], &o, &err), 0);
    int rc = push_all(0, &longer, push_run, &r);
    if (!rc) rc = pare_reducer_flush(r.reducer, &err);
    ck_assert_int_eq(rc, PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "the plan holds 6 steps"));
    pare_reducer_close(&r.reducer);
    pare_plan_close(&plan);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plans");
    TCase *t = tcase_create("plans");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_plan_is_run, 0, 24);
    tcase_add_test(t, test_positions);
    tcase_add_loop_test(t, test_exact, 0, 24);
    tcase_add_test(t, test_where);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_refusals);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
