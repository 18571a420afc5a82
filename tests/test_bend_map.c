/* SPDX-License-Identifier: MIT */
/* What mergers with gains, own sizes and windows do, by cases that can be computed by hand. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "select_scene.h"

/* ---- one step on a row or grid of small tokens ---------------------------------------------------------------------- */

typedef struct bench {
    scene sc;
    step step;
    scene_view look;
    pare__map map;
    pare_error err;
} bench;

static void bench_make(bench *b, int32_t grid_h, int32_t grid_w, int32_t d)
{
    memset(b, 0, sizeof *b);
    scene_blank(&b->sc, 1, grid_h, grid_w, d, 1, 1);
}

static void bench_free(bench *b)
{
    pare__map_fini(&b->map);
    scene_free(&b->sc);
}

/* k < 0: the step's own amount. */
static int try_step(bench *b, int32_t site, int32_t prefix, const char *name, const char *options, int64_t k)
{
    int rc = step_open(&b->step, name, options, &b->err);
    if (!rc) {
        scene_look(&b->sc, site, 0, 1, prefix, &b->look);
        b->look.view.score = b->sc.score;
        b->look.view.k = k;
        if (k < 0) b->look.view.k = b->step.sel->amount(b->step.priv, b->sc.n, b->sc.grid_h, b->sc.grid_w, 0, 1);
        if (b->look.view.k < 0) b->look.view.k = -1;
        rc = step_run(&b->step, &b->sc, &b->look.view, &b->map, &b->err);
    }
    step_close(&b->step);
    return rc;
}

static const pare_map *run(bench *b, int32_t site, int32_t prefix, const char *name, const char *options, int64_t k)
{
    const int rc = try_step(b, site, prefix, name, options, k);
    ck_assert_msg(rc == 0, "%s:%s: %s", name, options, b->err.text);
    return &b->map.m;
}

static void expect_message(const char *name, const char *options, const char *text)
{
    step s;
    pare_error err = {0};
    ck_assert_int_ne(step_open(&s, name, options, &err), 0);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s:%s: %s", name, options, err.text);
    step_close(&s);
}

static double gain_of(const pare_map *m, int64_t r) { return m->gain ? (double)m->gain[r] : 1; }

/* gain * R * x of one channel */
static double value_of(const bench *b, int64_t r, int32_t channel)
{
    const pare_map *m = &b->map.m;
    double sum = 0;
    for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++)
        sum += (double)m->weight[i] * (double)b->sc.token[m->index[i] * b->sc.d + channel];
    return gain_of(m, r) * sum;
}

static void set_score(bench *b, const float *score) { memcpy(b->sc.score, score, (size_t)b->sc.n * sizeof *score); }

/* ---- evit ---------------------------------------------------------------------------------------------------------- */

START_TEST(fused_token_is_the_sum_of_score_times_token)
{
    bench b;
    bench_make(&b, 1, 5, 1);
    set_score(&b, (float[]){.1f, .4f, .05f, .25f, 0});
    for (int i = 0; i < 5; i++) b.sc.token[i] = (float)(i + 1);
    const pare_map *m = run(&b, PARE__SITE_BLOCK, 1, "evit", "rate=.4", -1);
    ck_assert_int_eq(m->n_out, 3); /* ceil(.4 * 5) and the fused one, at its best token */
    ck_assert(m->anchor[0] == 0 && m->anchor[1] == 1 && m->anchor[2] == 3);
    ck_assert_double_eq_tol(value_of(&b, 0, 0), .1 * 1 + .05 * 3, 1e-6);
    ck_assert_double_eq_tol(gain_of(m, 0), .15, 1e-6);
    ck_assert_int_eq(m->row_start[1], 2);                    /* token 4 has no attention, so no weight ... */
    ck_assert(m->member_start[1] == 3 && m->member[2] == 4); /* ... but stands in the row */
    ck_assert_double_eq(gain_of(m, 1), 1);
    bench_free(&b);
}
END_TEST

START_TEST(a_budget_counts_the_fused_token)
{
    bench b;
    bench_make(&b, 1, 4, 1);
    set_score(&b, (float[]){.1f, .4f, .2f, .3f});
    ck_assert_int_eq(run(&b, PARE__SITE_BLOCK, 1, "evit", "", 3)->anchor[1], 2); /* .2 and .1 fuse at the former */
    ck_assert_int_eq(run(&b, PARE__SITE_BLOCK, 1, "evit", "", 1)->n_out, 1);
    ck_assert_double_eq_tol(gain_of(&b.map.m, 0), 1, 1e-6);
    ck_assert_ptr_null(run(&b, PARE__SITE_BLOCK, 1, "evit", "", 4)->gain);
    /* ceil(.75 * 4) = 3 stay and the fourth alone is scaled by its attention */
    run(&b, PARE__SITE_BLOCK, 1, "evit", "rate=.75", -1);
    ck_assert_int_eq(b.map.m.n_out, 4);
    ck_assert_double_eq_tol(gain_of(&b.map.m, 0), .1, 1e-6);
    ck_assert_int_eq(run(&b, PARE__SITE_BLOCK, 1, "evit", "rate=.5:fuse=0", -1)->n_out, 2);
    ck_assert(b.map.m.anchor[0] == 1 && b.map.m.anchor[1] == 3 && !b.map.m.gain);
    bench_free(&b);
}
END_TEST

/* ---- diffrate ------------------------------------------------------------------------------------------------------ */

static void two_directions(bench *b)
{
    static const float x[] = {3, 0, 0, 2, 4, 3, 0, 5, 1, 0}; /* tokens 2 and 0: cosine .8 */
    memcpy(b->sc.token, x, sizeof x);
    set_score(b, (float[]){5, 4, 3, 2, 1});
}

START_TEST(prunes_then_merges_with_sizes_of_its_own)
{
    bench b;
    bench_make(&b, 1, 5, 2);
    two_directions(&b);
    b.sc.size[2] = 2;
    const pare_map *m = run(&b, PARE__SITE_BLOCK, 1, "diffrate", "prune=4:merge=2", -1);
    ck_assert_int_eq(m->n_out, 2); /* 4 is pruned; 2 joins 0, 3 joins 1 */
    ck_assert_int_eq(m->row_start[2], 4);
    ck_assert_double_eq_tol(value_of(&b, 0, 0), 3.5, 1e-6); /* a plain mean, sizes ignored */
    ck_assert_double_eq_tol(value_of(&b, 1, 1), 3.5, 1e-6);
    ck_assert_double_eq_tol((double)m->size[0], 1 + 2 * .8, 1e-6);
    ck_assert_double_eq_tol((double)m->size[1], 2, 1e-6);
    ck_assert_int_eq(run(&b, PARE__SITE_BLOCK, 1, "diffrate", "prune=3", -1)->n_out, 3);
    ck_assert_int_eq(b.map.m.row_start[3], 3);
    run(&b, PARE__SITE_BLOCK, 1, "diffrate", "pruned=0", 2);
    ck_assert_int_eq(b.map.m.row_start[2], 5); /* nothing pruned */
    run(&b, PARE__SITE_BLOCK, 1, "diffrate", "pruned=1", 2);
    ck_assert_int_eq(b.map.m.row_start[2], 2); /* nothing merged */
    bench_free(&b);
}
END_TEST

START_TEST(opposite_tokens_leave_the_size_positive)
{
    bench b;
    bench_make(&b, 1, 2, 1);
    b.sc.token[0] = 1, b.sc.token[1] = -1;
    set_score(&b, (float[]){2, 1});
    ck_assert_double_eq((double)run(&b, PARE__SITE_BLOCK, 0, "diffrate", "pruned=0", 1)->size[0], 1);
    bench_free(&b);
}
END_TEST

START_TEST(schedules_are_checked)
{
    expect_message("tome", "list=24/x", "list=24/x is not a list of counts");
    expect_message("tome", "list=1.5", "not a list of counts");
    expect_message("tome", "list=-1", "not a list of counts");
    expect_message("tome", "list=/1", "not a list of counts");
    expect_message("diffrate", "prune=3/", "prune=3/ is not a list of counts");
    expect_message("diffrate", "prune=3/-1", "not a list of counts");
    expect_message("diffrate", "merge=3/0", "not a list of counts");
    expect_message("diffrate", "prune=9/8:merge=7", "prune= lists 2 blocks, merge= 1");
    expect_message("diffrate", "prune=9/8:merge=7/9", "block 1 merges to 9 what was pruned to 8");
    expect_message("visionzip", "dominant=0:contextual=0", "leave nothing");
}
END_TEST

/* ---- tofu ---------------------------------------------------------------------------------------------------------- */

/* Candidates 0 (odd row behind a class token: destination), 1 (source). */
static void a_pair(bench *b)
{
    static const float x[] = {3, 0, 0, 4};
    memcpy(b->sc.token, x, sizeof x);
    for (int i = 0; i < 4; i++) b->sc.k_mean[i] = 1;
}

START_TEST(fusion_keeps_the_largest_length)
{
    bench b;
    bench_make(&b, 1, 2, 2);
    a_pair(&b);
    const pare_map *m = run(&b, PARE__SITE_BLOCK, 1, "tofu", "", 1); /* mean (1.5, 2) of length 2.5 -> length 4 */
    ck_assert_double_eq_tol(value_of(&b, 0, 0), 1.5 * 4 / 2.5, 1e-6);
    ck_assert_double_eq_tol(value_of(&b, 0, 1), 2 * 4 / 2.5, 1e-6);
    ck_assert_int_eq(m->anchor[0], 0);
    run(&b, PARE__SITE_BLOCK, 1, "tofu", "compat=1", 1); /* by the destination's length 3 */
    ck_assert_double_eq_tol(gain_of(&b.map.m, 0), 4.0 / 3, 1e-6);
    for (int i = 0; i < 2; i++) b.sc.token[2 + i] = -b.sc.token[i];
    run(&b, PARE__SITE_BLOCK, 1, "tofu", "", 1); /* opposite tokens: nothing to scale */
    ck_assert_double_eq(gain_of(&b.map.m, 0), 1);
    bench_free(&b);
}
END_TEST

/* Rows 2i and 2i + 1 are equal, each pair of another direction: single precision gives their cosines a little more or
 * less than 1, and yet the first pairs merge. */
START_TEST(equal_tokens_merge_in_order)
{
    static const char *const names[] = {"tofu", "tome"};
    for (int i = 0; i < 2; i++) {
        bench b;
        bench_make(&b, 1, 24, 5);
        for (int64_t c = 0; c < 24 * 5; c++)
            b.sc.k_mean[c] = b.sc.token[c] = (float)sin((double)((c / 10 + 5) * (c % 5 + 3)));
        const pare_map *m = run(&b, PARE__SITE_BLOCK, 0, names[i], "r=4", -1);
        int32_t row[24];
        pare__map_owner(m, row);
        for (int32_t j = 0; j < 12; j++) ck_assert_int_eq(row[2 * j] == row[2 * j + 1], j < 4);
        bench_free(&b);
    }
}
END_TEST

START_TEST(ratio_counts_as_the_reference)
{
    static const char *const names[] = {"tofu", "pitome"};
    for (int i = 0; i < 2; i++) {
        step s;
        ck_assert_int_eq(step_open(&s, names[i], "ratio=.9", NULL), 0);
        ck_assert_int_eq(s.sel->amount(s.priv, 256, 16, 16, 0, 1), 231); /* 256 - floor(25.6) */
        ck_assert_int_eq(s.sel->least(s.priv, 7), 4);
        step_close(&s);
        ck_assert_int_eq(step_open(&s, names[i], "r=400", NULL), 0);
        ck_assert_int_eq(s.sel->amount(s.priv, 257, 1, 257, 3, 12), 129);
        step_close(&s);
    }
}
END_TEST

/* ---- pitome -------------------------------------------------------------------------------------------------------- */

/* Three of a kind and one alone: the lonely one has least energy and is protected. */
START_TEST(rare_tokens_are_protected)
{
    bench b;
    bench_make(&b, 1, 4, 2);
    static const float key[] = {1, 0, 1, 0, 0, 1, 1, 0};
    memcpy(b.sc.k_mean, key, sizeof key);
    for (int i = 0; i < 4; i++) b.sc.token[2 * i] = (float)i;
    b.sc.size[1] = 3;
    const pare_map *m = run(&b, PARE__SITE_BLOCK, 1, "pitome", "margin=.5", 3);
    ck_assert_int_eq(m->n_out, 3); /* ranks 0, 1, 3, 2: token 0 joins token 1 */
    ck_assert(m->anchor[0] == 1 && m->anchor[1] == 2 && m->anchor[2] == 3);
    ck_assert_double_eq_tol(value_of(&b, 0, 0), .75, 1e-6);
    ck_assert_double_eq((double)m->size[0], 4);
    const double alike = (3 * .5 + exp(-.5) - 1) / 4, alone = (.5 + 3 * (exp(-.5) - 1)) / 4;
    ck_assert_double_eq_tol(-(double)b.sc.score_out[0], alike, 1e-6);
    ck_assert_double_eq_tol(-(double)b.sc.score_out[2], alone, 1e-6);
    bench_free(&b);
}
END_TEST

/* ---- visionzip ----------------------------------------------------------------------------------------------------- */

static void two_kinds(bench *b)
{
    pare__view_array *key = scene_add(&b->sc, PARE__ARRAY_K_MEAN, 10, 2, 0);
    float *k = (float *)(uintptr_t)key->data;
    for (int i = 0; i < 6; i++) {
        k[2 * i + (i >= 3)] = 1;
        b->sc.token[i] = (float)(1 << i);
    }
    set_score(b, (float[]){0, 0, 0, 0, 0, 9});
}

/* Token 5 dominates; of 0..4 every second is a target: 0 and 2, although 2 is no better for it. */
START_TEST(contextual_tokens_are_means)
{
    bench b;
    bench_make(&b, 1, 6, 1);
    two_kinds(&b);
    const pare_map *m = run(&b, PARE__SITE_OUTPUT, 1, "visionzip", "dominant=1:contextual=2", -1);
    ck_assert_int_eq(m->n_out, 3);
    ck_assert(m->anchor[0] == 0 && m->anchor[1] == 2 && m->anchor[2] == 5);
    ck_assert_double_eq_tol(value_of(&b, 0, 0), (1 + 2 + 8 + 16) / 4.0, 1e-5); /* ties to the lower target */
    ck_assert_double_eq(value_of(&b, 1, 0), 4);
    run(&b, PARE__SITE_OUTPUT, 1, "visionzip", "dominant=1:contextual=2:compat=1", -1);
    ck_assert_double_eq_tol(value_of(&b, 0, 0), 1 + (2 + 8 + 16) / 3.0, 1e-5);
    ck_assert_double_eq(value_of(&b, 1, 0), 4);
    ck_assert_double_eq((double)b.map.m.size[0], 4);
    bench_free(&b);
}
END_TEST

START_TEST(a_budget_splits_54_to_10)
{
    static const int64_t want[][3] = {{1, 1, 0}, {6, 5, 1}, {64, 54, 10}, {100, 84, 16}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        bench b;
        bench_make(&b, 1, 128, 1);
        scene_add(&b.sc, PARE__ARRAY_K_MEAN, 10, 1, 0);
        for (int j = 0; j < 128; j++) b.sc.score[j] = j < want[i][1] ? 1 : 0;
        const pare_map *m = run(&b, PARE__SITE_OUTPUT, 1, "visionzip", "", want[i][0]);
        ck_assert_int_eq(m->n_out, want[i][0]);
        int64_t n_single = 0;
        for (int64_t r = 0; r < m->n_out; r++) n_single += m->anchor[r] < want[i][1];
        ck_assert_int_eq(n_single, want[i][1]);
        bench_free(&b);
    }
}
END_TEST

/* ---- mustdrop ------------------------------------------------------------------------------------------------------ */

/* 4 x 4 cells, windows of 2: upper left constant, upper right with one odd cell, lower ones orthogonal. */
static void four_windows(bench *b)
{
    for (int i = 0; i < 16; i++) {
        const int upper = i < 8, left = i % 4 < 2;
        b->sc.token[8 * i + (upper ? 0 : i % 8)] = (float)(i + 1);
        if (upper && !left && i == 3) b->sc.token[8 * i] = 0, b->sc.token[8 * i + 1] = 1;
    }
}

START_TEST(similar_windows_collapse_to_their_last_cell)
{
    bench b;
    bench_make(&b, 4, 4, 8);
    four_windows(&b);
    const pare_map *m = run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2", -1); /* scores 1, .5, 0, 0 */
    ck_assert_int_eq(m->n_out, 13);
    ck_assert_int_eq(m->anchor[2], 5);
    ck_assert_double_eq_tol(value_of(&b, 2, 0), (1 + 2 + 5 + 6) / 4.0, 1e-5);
    ck_assert_double_eq((double)m->size[2], 4);
    ck_assert_int_eq(run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2:threshold=.5", -1)->n_out, 10);
    bench_free(&b);
}
END_TEST

START_TEST(budgets_are_exact)
{
    bench b;
    bench_make(&b, 4, 4, 8);
    four_windows(&b);
    const pare_map *m = run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2", 11); /* 3 of the first, 2 of the second */
    ck_assert_int_eq(m->anchor[0], 3); /* the odd cell stays; 2, 6 and 7 merge */
    ck_assert(m->row_start[3] - m->row_start[2] == 3 && m->anchor[2] == 7);
    run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2", 2); /* all four, then one window of 4 x 4 in part */
    ck_assert_double_eq((double)b.map.m.size[0] + (double)b.map.m.size[1], 16);
    ck_assert_int_eq(run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2:target=12", -1)->n_out, 12);
    /* (16 + 1 - 12) / 3 = 1 window */
    ck_assert_int_eq(run(&b, PARE__SITE_OUTPUT, 0, "mustdrop", "window=2:target=12:compat=1", -1)->n_out, 13);
    bench_free(&b);
}
END_TEST

START_TEST(tokens_without_length_do_no_harm)
{
    static const char *const recipe[] = {"mustdrop", "diffrate", "evit", "visionzip", "pitome", "tofu"};
    for (int i = 0; i < 6; i++) {
        bench b;
        bench_make(&b, 3, 3, 4);
        scene_add(&b.sc, PARE__ARRAY_K_MEAN, 10, 4, 0);
        const int32_t site = i == 0 || i == 3 ? PARE__SITE_OUTPUT : PARE__SITE_BLOCK;
        run(&b, site, 1, recipe[i], "", 6);
        for (int64_t r = 0; r < 6; r++) ck_assert(isfinite(value_of(&b, r, 0)) && isfinite(b.map.m.size[r]));
        bench_free(&b);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bend_map");
    TCase *c = tcase_create("by hand");
    tcase_add_test(c, fused_token_is_the_sum_of_score_times_token);
    tcase_add_test(c, a_budget_counts_the_fused_token);
    tcase_add_test(c, prunes_then_merges_with_sizes_of_its_own);
    tcase_add_test(c, opposite_tokens_leave_the_size_positive);
    tcase_add_test(c, schedules_are_checked);
    tcase_add_test(c, fusion_keeps_the_largest_length);
    tcase_add_test(c, equal_tokens_merge_in_order);
    tcase_add_test(c, ratio_counts_as_the_reference);
    tcase_add_test(c, rare_tokens_are_protected);
    tcase_add_test(c, contextual_tokens_are_means);
    tcase_add_test(c, a_budget_splits_54_to_10);
    tcase_add_test(c, similar_windows_collapse_to_their_last_cell);
    tcase_add_test(c, budgets_are_exact);
    tcase_add_test(c, tokens_without_length_do_no_harm);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
