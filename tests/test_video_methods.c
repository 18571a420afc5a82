/* SPDX-License-Identifier: MIT */
/* What the options of vidcom2, vcast, sttm, fastvid and dtd do, on clips small enough to reckon by hand. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "select/allocator.h"
#include "select/peaks.h"
#include "select/vcast.h"
#include "select/vidcom2.h"
#include "select_scene.h"

/* One selection over the whole scene. */
static int select_all(scene *sc, const char *name, const char *options, int32_t site, int64_t k, int64_t floor,
                      pare__map *map, pare_error *err)
{
    step s;
    scene_view look;
    int rc = step_open(&s, name, options, err);
    if (!rc) {
        scene_rewind(sc);
        scene_look(sc, site, 0, sc->n_frame, 0, &look);
        look.view.k = k;
        look.view.floor = floor;
        rc = step_run(&s, sc, &look.view, map, err);
    }
    step_close(&s);
    return rc;
}

static void select_ok(scene *sc, const char *name, const char *options, int64_t k, int64_t floor, pare__map *map)
{
    pare_error err = {0};
    ck_assert_msg(select_all(sc, name, options, PARE__SITE_OUTPUT, k, floor, map, &err) == 0, "%s", err.text);
}

static void count_rows(const scene *sc, const pare__map *map, int64_t *count)
{
    for (int32_t t = 0; t < sc->n_frame; t++) count[t] = 0;
    for (int64_t r = 0; r < map->m.n_out; r++) count[sc->thw[3 * (int64_t)map->m.anchor[r]]]++;
}

/* All frames as the first. */
static void freeze(scene *sc)
{
    const int64_t n = sc->frame_start[1] * sc->d;
    for (int32_t t = 1; t < sc->n_frame; t++) memcpy(sc->token + t * n, sc->token, (size_t)n * sizeof *sc->token);
}

/* ---- vidcom2 ------------------------------------------------------------------------------------------------------- */

START_TEST(vidcom2_rounds_half_to_even_and_budgets_are_exact)
{
    scene sc;
    pare__map map = {0};
    int64_t count[2];
    scene_make(&sc, 2, 2, 5, 3);
    freeze(&sc);
    select_ok(&sc, "vidcom2", "ratio=.25", -1, 0, &map); /* 2.5 of 10 */
    count_rows(&sc, &map, count);
    ck_assert(count[0] == 2 && count[1] == 2);
    select_ok(&sc, "vidcom2", "ratio=.35", -1, 0, &map); /* 3.5 of 10 */
    count_rows(&sc, &map, count);
    ck_assert(count[0] == 4 && count[1] == 4);
    select_ok(&sc, "vidcom2", "ratio=.35", 7, 0, &map); /* the first of equals goes */
    count_rows(&sc, &map, count);
    ck_assert(count[0] == 3 && count[1] == 4);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(vidcom2_keeps_the_floor)
{
    scene sc;
    pare__map map = {0};
    int64_t count[4];
    scene_make(&sc, 4, 3, 5, 5);
    for (int64_t i = sc.frame_start[2] * sc.d; i < sc.frame_start[3] * sc.d; i++) sc.token[i] *= 1 + (float)(i % 3);
    select_ok(&sc, "vidcom2", "", 20, 4, &map);
    count_rows(&sc, &map, count);
    for (int t = 0; t < 4; t++) ck_assert_int_ge(count[t], 4);
    select_ok(&sc, "vidcom2", "", 16, 4, &map);
    count_rows(&sc, &map, count);
    for (int t = 0; t < 4; t++) ck_assert_int_eq(count[t], 4);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* Two tokens at +-1, so a distance of 1 to the centre of the clip and to that of their frame: minus the score. */
static double likeness(const char *options)
{
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 1, 1, 2, 1, 1, 1);
    sc.token[0] = 1, sc.token[1] = -1;
    select_ok(&sc, "vidcom2", options, -1, 0, &map);
    const double score = (double)sc.score_out[0];
    ck_assert(sc.score_out[1] == sc.score_out[0]);
    pare__map_fini(&map);
    scene_free(&sc);
    return -score;
}

START_TEST(vidcom2_bells)
{
    const double usual = exp(-4) + exp(-2) + exp(-1) + exp(-.5) + exp(-.25);
    ck_assert_double_eq_tol(likeness(""), 2 * usual, 1e-6);
    ck_assert_double_eq_tol(likeness("alphas=0.5"), 2 * exp(-1), 1e-6);
    ck_assert_double_eq_tol(likeness("alphas=0.1/0.2/1"), 2 * (exp(-5) + exp(-2.5) + exp(-.5)), 1e-6);
    ck_assert_double_eq_tol(likeness("alphas=0.25/1/2/5"), 2 * (exp(-2) + exp(-.5) + exp(-.25) + exp(-.1)), 1e-6);
}
END_TEST

START_TEST(vidcom2_bells_are_checked)
{
    static const char *const bad[] = {"",    "0",   "1/", "/1",  "1//2",
                                      "2/1", "1/1", "a",  "nan", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char options[128];
        step s;
        pare_error err = {0};
        snprintf(options, sizeof options, "alphas=%s", bad[i]);
        ck_assert_msg(step_open(&s, "vidcom2", options, &err) == PARE_E_INVALID, "%s", options);
        ck_assert_msg(strstr(err.text, options) != NULL, "%s", err.text);
        step_close(&s);
    }
}
END_TEST

static void weigh(scene *sc, const char *name, double *weight)
{
    scene_view look;
    const pare__allocator *a = pare__allocator_find(name);
    void *priv = calloc(1, a->priv_size);
    pare__option_defaults(a->options, priv);
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 0, &look);
    ck_assert_int_eq(a->weigh(priv, &look.view, weight, NULL), 0);
    free(priv);
}

START_TEST(still_clips_weigh_the_same)
{
    scene sc;
    double weight[3];
    scene_make(&sc, 3, 2, 3, 1);
    freeze(&sc);
    weigh(&sc, "vidcom2", weight);
    for (int t = 0; t < 3; t++) ck_assert_double_eq_tol(weight[t], 1, 1e-12);
    weigh(&sc, "vcast", weight);
    for (int t = 0; t < 3; t++) ck_assert_double_eq_tol(weight[t], 1.0 / 3, 1e-12);
    for (int64_t i = sc.frame_start[1] * sc.d; i < sc.frame_start[2] * sc.d; i++) sc.token[i] *= -1;
    weigh(&sc, "vidcom2", weight); /* 1 + p - 1/3: one frame takes all of p */
    ck_assert_double_eq_tol(weight[1], 1 + 1 - 1.0 / 3, 1e-6);
    weigh(&sc, "vcast", weight); /* there and back: curvature 2 between two ends of 1 */
    ck_assert_double_eq_tol(weight[1] / weight[0], exp(1 / PARE__VCAST_TEMPERATURE), 1e-6);
    scene_free(&sc);
}
END_TEST

/* ---- vcast --------------------------------------------------------------------------------------------------------- */

static void split_to(const pare__view *v, const double *weight, int64_t total, int64_t least, int greedy, int64_t a,
                     int64_t b, int64_t c)
{
    int64_t count[3];
    ck_assert_int_eq(pare__vcast_split(v, weight, total, least, greedy, count), 0);
    ck_assert_msg(count[0] == a && count[1] == b && count[2] == c, "%lld %lld %lld", (long long)count[0],
                  (long long)count[1], (long long)count[2]);
}

START_TEST(vcast_splits)
{
    static const double weight[] = {.45, .35, .2};
    scene sc;
    scene_view look;
    scene_make(&sc, 3, 2, 5, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 3, 0, &look);
    split_to(&look.view, weight, 11, 0, 0, 5, 4, 2); /* 4.95, 3.85, 2.2 */
    split_to(&look.view, weight, 11, 0, 1, 6, 3, 2); /* both left-over rows to the first */
    split_to(&look.view, weight, 11, 2, 0, 4, 4, 3); /* 2 + 2.25, 1.75, 1 */
    split_to(&look.view, weight, 2, 5, 0, 1, 1, 0);  /* no floor possible: .9, .7, .4 */
    split_to(&look.view, weight, 29, 0, 0, 10, 10, 9);
    split_to(&look.view, weight, 30, 1, 1, 10, 10, 10);
    scene_free(&sc);
}
END_TEST

/* ---- sttm ---------------------------------------------------------------------------------------------------------- */

static void fill_ones(scene *sc)
{
    for (int64_t i = 0; i < sc->n * sc->d; i++) sc->token[i] = 1;
}

START_TEST(sttm_joins_cells_and_frames)
{
    static const int32_t corner[] = {0, 2, 8, 10};
    static const pare_slot photos[] = {{0, 0, 0, 1, 1, 4, 4}, {1, 0, 0, 1, 1, 4, 4}};
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 2, 4, 4, 8, 1, 1);
    fill_ones(&sc);
    select_ok(&sc, "sttm", "", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 4);
    for (int r = 0; r < 4; r++) {
        ck_assert_int_eq(map.m.anchor[r], corner[r]);
        ck_assert(map.m.size[r] == 8 && map.m.weight[map.m.row_start[r]] == 0.125f);
    }
    select_ok(&sc, "sttm", "tau_t=0", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 8);
    select_ok(&sc, "sttm", "tau_s=1.1:tau_t=0", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 32);
    sc.slot = photos; /* of two photos nothing is joined */
    select_ok(&sc, "sttm", "", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 8);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* 3 x 3, the first token unlike the others: the 1 x 2 and 2 x 1 cells at the rim are compared with it, or not. */
START_TEST(sttm_rim_of_odd_sides)
{
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 1, 3, 3, 4, 1, 1);
    fill_ones(&sc);
    sc.token[0] = sc.token[1] = -1;
    select_ok(&sc, "sttm", "tau_s=.9:gridsafe=1", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 4);
    select_ok(&sc, "sttm", "tau_s=.9", -1, 0, &map);
    ck_assert_int_eq(map.m.n_out, 6);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(sttm_meets_any_budget)
{
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 3, 5, 6, 8, 1, 1);
    fill_ones(&sc);
    for (int64_t k = 1; k <= sc.n; k++) {
        select_ok(&sc, "sttm", "", k, 0, &map);
        ck_assert_int_eq(map.m.n_out, k);
        ck_assert_int_eq(pare__map_check(&map.m, PARE__MAP_SORTED | PARE__MAP_PARTITION, NULL), 0);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* ---- fastvid ------------------------------------------------------------------------------------------------------- */

START_TEST(fastvid_weighs_centre_and_members)
{
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 1, 2, 2, 4, 1, 1);
    fill_ones(&sc);
    sc.attention[2] = 1;
    select_ok(&sc, "fastvid", "context=.5", 2, 0, &map); /* one salient token, one centre of the other three */
    ck_assert(map.m.n_out == 2 && map.m.anchor[0] == 0 && map.m.anchor[1] == 2);
    ck_assert_int_eq(map.m.row_start[1], 3);
    ck_assert_float_eq_tol(map.m.weight[0], 0.6f + 0.4f / 3, 1e-6f);
    ck_assert_float_eq_tol(map.m.weight[1], 0.4f / 3, 1e-6f);
    select_ok(&sc, "fastvid", "context=.5:beta=1", 2, 0, &map);
    ck_assert_int_eq(map.m.row_start[1], 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* One segment of three frames, anchors in the last and the first: what the division leaves is lost without a budget. */
START_TEST(fastvid_counts)
{
    scene sc;
    pare__map map = {0};
    int64_t count[3];
    scene_make(&sc, 3, 2, 5, 9);
    freeze(&sc);
    select_ok(&sc, "fastvid", "retention=.5:context=.6:segments=1:tau=-1:step=2", -1, 0, &map);
    count_rows(&sc, &map, count); /* 2 salient each; 3 * 3 / 2 = 4 of context in two anchors */
    ck_assert(count[0] == 6 && count[1] == 2 && count[2] == 6);
    select_ok(&sc, "fastvid", "context=.6:segments=1:tau=-1:step=2", 15, 0, &map);
    count_rows(&sc, &map, count);
    ck_assert(count[0] == 7 && count[1] == 2 && count[2] == 6);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(fastvid_names_what_is_missing)
{
    scene sc;
    step s;
    scene_view look;
    pare__map map = {0};
    pare_error err = {0};
    scene_make(&sc, 1, 2, 2, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    look.view.n_array = 1;
    look.view.k = 2;
    ck_assert_int_eq(step_open(&s, "fastvid", "", &err), 0);
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "'fastvid' needs the array 'cls_row' of block -2");
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* Two clusters on a line, their middles first. */
START_TEST(peaks_of_two_clusters)
{
    static const float x[] = {0, 1, 1.9f, 100, 101, 102.1f};
    scene sc;
    scene_view look;
    int32_t centre[2];
    scene_make(&sc, 1, 1, 1, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    ck_assert_int_eq(pare__peaks(&look.view, x, 6, 1, 3, 2, centre), 0);
    ck_assert(centre[0] == 1 && centre[1] == 4);
    scene_free(&sc);
}
END_TEST

/* ---- dtd ----------------------------------------------------------------------------------------------------------- */

/* One unit of the second picture is brighter by `by`. */
static void brighten(scene *sc, int32_t cell, int by)
{
    const int64_t stride = 3 * (int64_t)sc->grid_w * sc->patch;
    uint8_t *at = sc->frame[1] + cell / sc->grid_w * sc->patch * stride + 3 * (int64_t)(cell % sc->grid_w) * sc->patch;
    for (int32_t y = 0; y < sc->patch; y++) memset(at + y * stride, by, (size_t)(3 * sc->patch));
}

START_TEST(dtd_by_threshold_and_by_share)
{
    scene sc;
    pare__map map = {0};
    pare_error err = {0};
    scene_blank(&sc, 2, 2, 2, 1, 4, 1);
    for (int32_t c = 0; c < 4; c++) brighten(&sc, c, 51 * (c / 2)); /* 0, 0, .2, .2 */
    ck_assert_int_eq(select_all(&sc, "dtd", "threshold=.2", PARE__SITE_PATCHES, -1, 0, &map, &err), 0);
    ck_assert(map.m.n_out == 6 && map.m.anchor[4] == 6 && map.m.anchor[5] == 7);
    ck_assert_int_eq(select_all(&sc, "dtd", "threshold=.21", PARE__SITE_PATCHES, -1, 0, &map, &err), 0);
    ck_assert_int_eq(map.m.n_out, 4);
    ck_assert_int_eq(select_all(&sc, "dtd", "drop=.75", PARE__SITE_PATCHES, -1, 0, &map, &err), 0);
    ck_assert(map.m.n_out == 5 && map.m.anchor[4] == 7); /* of equals the first goes */
    ck_assert_int_eq(map.m.member_start[4] - map.m.member_start[0], 7);
    ck_assert_int_eq(select_all(&sc, "dtd", "drop=.5:threshold=.1", PARE__SITE_PATCHES, -1, 0, &map, &err),
                     PARE_E_INVALID);
    ck_assert_str_eq(err.text, "dtd: threshold=0.1 and drop=0.5 exclude each other");
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

static Suite *video_suite(void)
{
    Suite *s = suite_create("video methods");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, vidcom2_rounds_half_to_even_and_budgets_are_exact);
    tcase_add_test(c, vidcom2_keeps_the_floor);
    tcase_add_test(c, vidcom2_bells);
    tcase_add_test(c, vidcom2_bells_are_checked);
    tcase_add_test(c, still_clips_weigh_the_same);
    tcase_add_test(c, vcast_splits);
    tcase_add_test(c, sttm_joins_cells_and_frames);
    tcase_add_test(c, sttm_rim_of_odd_sides);
    tcase_add_test(c, sttm_meets_any_budget);
    tcase_add_test(c, fastvid_weighs_centre_and_members);
    tcase_add_test(c, fastvid_counts);
    tcase_add_test(c, fastvid_names_what_is_missing);
    tcase_add_test(c, peaks_of_two_clusters);
    tcase_add_test(c, dtd_by_threshold_and_by_share);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(video_suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
