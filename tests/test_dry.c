/* SPDX-License-Identifier: MIT */
/* A dry run against the run that it announces: sums, steps and places wherever they are said to be known, for every
 * selector at every site, budget, mask and window; and what must be known. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"
#include "select/selector.h"
#include "tiny_model.h"

enum { GRID = 6, MAX_SIDE = 14 * GRID, N_FRAME = 9, N_MODEL = 2, D = 32, MAX_WINDOWS = 16, MAX_STEPS = 16 };

static pare_model *model[N_MODEL];
static const int32_t side[N_MODEL] = {7 * GRID, 14 * GRID};
static uint8_t picture[N_FRAME][MAX_SIDE * MAX_SIDE * 3];
static uint8_t mask[GRID * GRID];
static float scores[GRID * GRID], text[2 * D];
static pare_error err;

/* Noise of which every frame renews some; frame 5 is another scene. */
static void draw_frames(void)
{
    pare__rng rng = pare__rng_make(31, 0, 0);
    for (int t = 0; t < N_FRAME; t++)
        for (int i = 0; i < MAX_SIDE * MAX_SIDE * 3; i++) {
            const int is_new = t == 0 || t == 5 || (i / 97 + t) % 7 == 0;
            picture[t][i] = is_new ? (uint8_t)(pare__rng_below(&rng, 128) + (t < 5 ? 0 : 128)) : picture[t - 1][i];
        }
    for (int i = 0; i < GRID * GRID; i++) {
        const int64_t dice = pare__rng_below(&rng, 20);
        mask[i] = dice < 3 ? PARE_MASK_IGNORE : dice < 6 ? PARE_MASK_KEEP : PARE_MASK_FREE;
        scores[i] = (float)pare__rng_unit(&rng);
    }
    for (int i = 0; i < 2 * D; i++) text[i] = (float)pare__rng_unit(&rng) - .5F;
}

static void setup(void)
{
    static const tiny_spec spec[N_MODEL] = {
        {.unit = 1, .patch = 7, .dim = D, .n_layer = 12, .n_head = 2, .photo = 7 * GRID},
        {.unit = 2, .patch = 7, .dim = D, .n_layer = 12, .n_head = 2, .photo = 14 * GRID},
    };
    draw_frames();
    for (int i = 0; i < N_MODEL; i++)
        ck_assert_msg(tiny_model_open(&model[i], &spec[i], &err) == 0, "model %d: %s", i, err.text);
}

static void teardown(void)
{
    for (int i = 0; i < N_MODEL; i++) pare_model_close(&model[i]);
}

/* ---- runs --------------------------------------------------------------------------------------------------------- */

static int select_first(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)e;
    int rc = 0;
    for (int64_t i = 0; !rc && i < (v->k < 0 ? v->n : v->k); i++) rc = pare_selection_keep(out, i);
    return rc;
}

static const pare_custom custom = {.struct_size = sizeof custom, .select = select_first};

typedef struct run {
    pare_result *window[MAX_WINDOWS];
    int n, rc;
} run;

static void run_free(run *r)
{
    for (int i = 0; i < r->n; i++) pare_result_free(&r->window[i]);
}

static int take_ready(pare_reducer *red, run *out)
{
    int rc;
    while ((rc = pare_reducer_pull(red, &out->window[out->n], &err)) == 0) out->n++;
    return rc < 0 ? rc : 0;
}

static run run_clip(int m, pare_reducer_opts o, int has_mask)
{
    const int has_scores = strncmp(o.recipe, "resize", 6) != 0; /* of its grid they would not be */
    run out = {.n = 0};
    pare_reducer *red = NULL;
    o.width = o.height = side[m];
    out.rc = pare_reducer_create(&red, model[m], &o, &err);
    for (int t = 0; !out.rc && t < N_FRAME; t++) {
        const pare_frame f = {.struct_size = sizeof f,
                              .rgb = picture[t],
                              .stride = 3 * (int64_t)side[m],
                              .width = side[m],
                              .height = side[m],
                              .pts = t / 4.0,
                              .duration = .25,
                              .mask = has_mask ? mask : NULL,
                              .mask_width = has_mask ? GRID : 0,
                              .mask_height = has_mask ? GRID : 0,
                              .scores = has_scores ? scores : NULL,
                              .scores_width = GRID,
                              .scores_height = GRID};
        out.rc = pare_reducer_push(red, &f, &err);
        if (!out.rc) out.rc = take_ready(red, &out);
    }
    if (!out.rc) out.rc = pare_reducer_flush(red, &err);
    if (!out.rc) out.rc = take_ready(red, &out);
    pare_reducer_close(&red);
    return out;
}

/* ---- comparison --------------------------------------------------------------------------------------------------- */

typedef struct known {
    int totals, steps, places; /* every window's were known */
} known;

static void compare_steps(const char *what, const pare_result_view *dry, const pare_result_view *real, known *k)
{
    ck_assert_int_eq(dry->n_step, real->n_step);
    for (int32_t i = 0; i < dry->n_step; i++) {
        const pare_step *a = &dry->step[i], *b = &real->step[i];
        ck_assert_int_ge(b->tokens, 0);
        if (a->tokens < 0) k->steps = 0;
        ck_assert_msg(a->tokens < 0 || a->tokens == b->tokens, "%s: step %d: %d announced, %d came", what, i,
                      (int)a->tokens, (int)b->tokens);
        ck_assert(a->pts == b->pts && a->end == b->end && a->units == b->units && a->change == b->change &&
                  a->detail == b->detail && a->is_cut == b->is_cut);
    }
}

static void compare_window(const char *what, const pare_result_view *dry, const pare_result_view *real, known *k)
{
    ck_assert_int_eq(dry->is_dry, 1);
    ck_assert_int_eq(real->is_dry, 0);
    ck_assert_int_eq(dry->n, real->n);
    ck_assert_ptr_null(dry->embeds);
    if (dry->k < 0) k->totals = 0;
    ck_assert_msg(dry->k < 0 || dry->k == real->k, "%s: %d announced, %d came", what, (int)dry->k, (int)real->k);
    compare_steps(what, dry, real, k);
    if (!dry->place) k->places = 0;
    if (!dry->place) return;
    ck_assert_msg(!memcmp(dry->place, real->place, (size_t)(6 * real->k) * sizeof *dry->place), "%s: places", what);
    ck_assert_mem_eq(dry->index, real->index, (size_t)real->k * sizeof *dry->index);
    ck_assert_int_eq(dry->map.n_out, real->map.n_out);
}

/* The same reducer, dry and not. What the real run refuses may be refused later than by the dry one or not at all. */
static known compare(int m, pare_reducer_opts o, int has_mask)
{
    char what[512];
    known k = {1, 1, 1};
    o.struct_size = sizeof o;
    o.custom = &custom;
    o.text = text;
    o.n_text = 2;
    o.d_text = D;
    run real = run_clip(m, o, has_mask);
    o.dry = 1;
    run dry = run_clip(m, o, has_mask);
    snprintf(what, sizeof what, "%s on model %d, keep %g, tokens %d, per frame %d, mask %d: %s", o.recipe, m, o.keep,
             (int)o.tokens, (int)o.tokens_per_frame, has_mask, err.text);
    ck_assert_msg(!dry.rc || real.rc, "%s: only the dry run fails", what);
    if (!real.rc) ck_assert_int_eq(real.n, dry.n);
    for (int i = 0; !real.rc && i < real.n; i++)
        compare_window(what, pare_result_get(dry.window[i]), pare_result_get(real.window[i]), &k);
    if (real.rc) k = (known){-1, -1, -1};
    run_free(&real);
    run_free(&dry);
    return k;
}

/* ---- every selector ----------------------------------------------------------------------------------------------- */

static pare_reducer_opts budget_at(int b)
{
    static const pare_reducer_opts table[] = {{.keep = .3},
                                              {.tokens = 101, .n_frames = N_FRAME},
                                              {.tokens_per_frame = 11},
                                              {.keep = .25, .min_per_frame = 3},
                                              {.keep = 0}};
    return table[b];
}
enum { N_BUDGET = 5 };

static int n_selectors(void)
{
    int n = 0;
    while (pare__selectors[n]) n++;
    return n;
}

START_TEST(test_selector)
{
    static const char *const site[] = {"frames", "patches", "block", "block=3/7", "output"};
    static const unsigned bit[] = {PARE__SITE_FRAMES, PARE__SITE_PATCHES, PARE__SITE_BLOCK, PARE__SITE_BLOCK,
                                   PARE__SITE_OUTPUT};
    const pare__selector *s = pare__selectors[_i];
    int n_run = 0;
    for (int i = 0; i < 5 * N_BUDGET; i++) {
        char recipe[128];
        if (!(s->sites & bit[i / N_BUDGET])) continue;
        const char *score =
            bit[i / N_BUDGET] == PARE__SITE_PATCHES && s->flags & PARE__USES_SCORE ? ":score=given" : "";
        snprintf(recipe, sizeof recipe, "%s%s@%s", s->name, score, site[i / N_BUDGET]);
        pare_reducer_opts o = budget_at(i % N_BUDGET);
        o.recipe = recipe;
        o.window = 4;
        o.video = 1;
        for (int m = 0; m < 2 * N_MODEL; m++) n_run += compare(m / 2, o, m % 2).totals >= 0;
        o.video = 0;
        n_run += compare(0, o, 0).totals >= 0;
    }
    ck_assert_int_gt(n_run, 0);
}
END_TEST

/* ---- what must be known ------------------------------------------------------------------------------------------- */

typedef struct row {
    const char *recipe;
    known is;
} row;

static const row rows[] = {
    {"none", {1, 1, 1}},
    {"temporal-redundancy@patches", {1, 1, 1}},
    {"topk:score=motion@patches", {1, 1, 1}},
    {"temporal-redundancy@patches,none@output", {1, 1, 1}},
    {"topk@output", {1, 1, 0}},
    {"topk:alloc=motion@output", {1, 1, 0}},
    {"topk:alloc=vidcom2@output", {1, 0, 0}},
    {"tome@block", {1, 1, 0}},
    {"tome:r=4@block=2/5", {1, 1, 0}},
    {"topk:keep=.5@block=3,topk@output", {1, 1, 0}},
    {"rlt@patches,topk:alloc=motion@block=4", {1, 1, 0}},
    {"temporal-redundancy@output", {1, 0, 0}},
    {"random:keep=.5@patches,tome:r=2@block=4,divprune@output", {1, 1, 0}},
    {"mustdrop@output", {0, 0, 0}},
};

START_TEST(test_known)
{
    const row *want = &rows[_i];
    const int is_none = !strcmp(want->recipe, "none"), is_open = !strcmp(want->recipe, "mustdrop@output");
    const int is_fixed = !strncmp(want->recipe, "tome:r", 6);
    const pare_reducer_opts o = {
        .recipe = want->recipe, .video = 1, .window = 3, .keep = is_none || is_open || is_fixed ? 0 : .2};
    const known k = compare(0, o, 0);
    ck_assert_msg(k.totals == want->is.totals && k.steps == want->is.steps && k.places == want->is.places,
                  "%s: totals %d, steps %d, places %d", want->recipe, k.totals, k.steps, k.places);
}
END_TEST

/* Rows of references come back where reuse completes the steps. */
START_TEST(test_reuse)
{
    for (int32_t reuse = PARE_REUSE_NONE; reuse < PARE_REUSE_COUNT; reuse++)
        for (int has_mask = 0; has_mask < 2; has_mask++) {
            const pare_reducer_opts o = {.recipe = "temporal-redundancy@patches,topk:keep=.7@output",
                                         .video = 1,
                                         .window = 4,
                                         .keep = .3,
                                         .reuse = reuse,
                                         .reference = reuse ? 3 : 0};
            const known k = compare(0, o, has_mask);
            ck_assert_int_eq(k.totals, 1);
            ck_assert_int_eq(k.steps, 1);
        }
}
END_TEST

/* A budget of the whole clip after a window whose spending is not known: nothing is claimed of what follows. */
START_TEST(test_unknown_spending)
{
    const pare_reducer_opts o = {.recipe = "ats@block=2,topk@output", .video = 1, .window = 3, .keep = .2};
    const known k = compare(0, o, 0);
    ck_assert_int_eq(k.totals, 0);
}
END_TEST

START_TEST(test_no_tokens)
{
    pare_reducer_opts o = {.struct_size = sizeof o, .recipe = "topk@output", .keep = .5, .video = 1, .dry = 1};
    run dry = run_clip(0, o, 0);
    const char *name = "fidelity";
    double value;
    uint8_t rgb[3];
    const pare_frame f = {.struct_size = sizeof f, .rgb = rgb, .stride = 3, .width = 1, .height = 1};
    ck_assert_int_eq(dry.n, 1);
    ck_assert_int_eq(pare_measure(dry.window[0], NULL, &name, 1, &value, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "dry"));
    ck_assert_int_eq(pare_heatmap_draw(dry.window[0], 0, &f, NULL, rgb, &err), PARE_E_INVALID);
    run_free(&dry);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dry runs");
    TCase *t = tcase_create("dry");
    tcase_set_timeout(t, 900);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_selector, 0, n_selectors());
    tcase_add_loop_test(t, test_known, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(t, test_reuse);
    tcase_add_test(t, test_unknown_spending);
    tcase_add_test(t, test_no_tokens);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
