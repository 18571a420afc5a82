/* SPDX-License-Identifier: MIT */
/* Fine print of a table, over made-up cells: what decides where the CLS token may not, when resize is said to win, what
 * segments of a clip share, and the one row that a grid cannot do without. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_scene.h"

#define CLOSE(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

enum { N = 100 };

static const bench_saves ENCODER = BENCH_SAVES_ENCODER, PREFILL = BENCH_SAVES_PREFILL;

static bench_scene x;

/* Without labels a column decides that reads the CLS token; where that is untouched, un-merge cosine decides. */
START_TEST(prefill_is_decided_by_rows)
{
    const int32_t cls = bench_column_find("cls_cosine"), rows = bench_column_find("unmerge_cosine");
    scene_open(&x, N, cls);
    scene_baselines(&x, ENCODER, 0.8, 0.6);
    scene_baselines(&x, PREFILL, 1, 1);
    scene_flat(&x, "none@output", 1, PREFILL, 1);
    scene_flat(&x, "divprune@output", 0.5, PREFILL, 1);
    for (int32_t r = 0; r < x.s.n_row; r++)
        if (x.s.row[r].saves == PREFILL) scene_set(&x, r, rows, strstr(x.s.row[r].recipe, "divprune") ? 0.9 : 0.7);
    scene_analyse(&x);
    ck_assert_int_eq(bench_primary(&x.s, ENCODER), cls);
    ck_assert_int_eq(bench_primary(&x.s, PREFILL), rows);
    const bench_line *line = scene_line(&x, "divprune@output", 0.5);
    ck_assert_int_eq(line->n_item, N);
    CLOSE(line->primary.value, 0.9);
    CLOSE(line->versus[BENCH_VS_UNIFORM_UNITS].difference.value, 0.2);
    ck_assert_int_eq(line->overall, BENCH_WINS);
    ck_assert(line->is_best[rows] && !line->is_best[cls]);
    CLOSE(scene_line(&x, "resize@frames", 0.5)->primary.value, 0.8);
    for (int32_t i = 0; i < x.a.n_choice; i++)
        CLOSE(x.a.choice[i].primary.value, x.a.choice[i].saves == ENCODER ? (x.a.choice[i].keep == 0.5 ? 0.8 : 0.6)
                                                                          : (x.a.choice[i].keep == 0.5 ? 0.9 : 0.7));
    scene_close(&x);
}
END_TEST

START_TEST(the_sentence_says_whether_resize_wins)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    scene_flat(&x, "tome@block", 0.5, ENCODER, 0.6);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.default_winner, "resize@frames");
    ck_assert_str_eq(x.a.resize_says, "undecided, so resize stays the default: at equal ms no recipe is ahead of it "
                                      "beyond its interval at any amount, none is behind it over all");
    scene_set(&x, x.s.n_row - 1, BENCH_KNN, 0.5);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.resize_says, "resize wins: at equal ms no recipe is ahead of it beyond its interval at any "
                                      "amount, and 1 of 3 is behind it over all");
    scene_close(&x);
}
END_TEST

/* What all segments of a clip have from one clock or one window is one measurement, however often it stands there. */
START_TEST(segments_share_a_clock)
{
    const int32_t cover = bench_column_find("cover_patches");
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    int32_t fast = scene_flat(&x, "fast@block", 0.5, ENCODER, 0.6);
    scene_set(&x, fast, BENCH_MS, 20);
    scene_set(&x, fast, cover, 1);
    for (int32_t r = 1; r <= 6; r++) scene_set(&x, r, cover, 2);
    scene_analyse(&x);
    ck_assert(scene_line(&x, "fast@block", 0.5)->is_best[BENCH_MS]);
    ck_assert(scene_line(&x, "fast@block", 0.5)->is_best[cover]);
    ck_assert_int_eq(scene_line(&x, "fast@block", 0.5)->n_timed, N);
    for (int32_t i = 1; i < N; i++) x.s.item[i].is_part = 1;
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "fast@block", 0.5);
    ck_assert(!line->is_best[BENCH_MS] && !line->is_best[cover]);
    ck_assert_int_eq(line->n_timed, 1);
    ck_assert_int_eq(line->n_measured, N);
    CLOSE(line->value[BENCH_MS], 20);
    CLOSE(line->value[cover], 1);
    /* Outcomes are of the segments themselves. */
    CLOSE(line->versus[BENCH_VS_RANDOM_UNITS].difference.value, 0);
    ck_assert_int_eq(line->n_item, N);
    scene_close(&x);
}
END_TEST

START_TEST(one_row_is_no_crime)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    scene_set(&x, 1, BENCH_UNITS_ASKED, 0);
    scene_set(&x, 1, BENCH_UNITS, 1);
    scene_set(&x, 2, BENCH_UNITS_ASKED, 0);
    scene_set(&x, 2, BENCH_UNITS, 2);
    scene_analyse(&x);
    ck_assert_uint_eq(scene_line(&x, "resize@frames", 0.5)->flags, 0);
    ck_assert_uint_eq(scene_line(&x, "resize@frames", 0.25)->flags, BENCH_FLAG_OVER);
    scene_close(&x);
}
END_TEST

int main(void)
{
    const struct {
        const char *name;
        const TTest *test;
    } tests[] = {
        {"primary", prefill_is_decided_by_rows},
        {"sentence", the_sentence_says_whether_resize_wins},
        {"clips", segments_share_a_clock},
        {"over", one_row_is_no_crime},
    };
    Suite *s = suite_create("bench_fair");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *t = tcase_create(tests[i].name);
        tcase_add_test(t, tests[i].test);
        tcase_set_timeout(t, 120);
        suite_add_tcase(s, t);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
