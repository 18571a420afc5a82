/* SPDX-License-Identifier: MIT */
/* What spatial-uniform, stride, resize, tome and pool promise by themselves. Part of test_selectors. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "select/place.h"
#include "select_scene.h"

Suite *spread_merge_suite(void);

/* ---- spread ------------------------------------------------------------------------------------------------------ */

static void run_frame(const char *name, const char *options, scene *sc, int64_t k, pare__map *map)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_msg(step_open(&s, name, options, &err) == 0, "%s", err.text);
    scene_look(sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    look.view.k = k >= 0 ? k : s.sel->amount(s.priv, look.view.n, sc->grid_h, sc->grid_w, 0, 1);
    ck_assert_msg(step_run(&s, sc, &look.view, map, &err) == 0, "%s", err.text);
    step_close(&s);
}

static void expect_anchors(const pare__map *map, const int32_t *want, int64_t n)
{
    ck_assert_int_eq(map->m.n_out, n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(map->m.anchor[i], want[i]);
}

START_TEST(spread_by_hand)
{
    scene sc;
    pare__map map = {0};
    scene_make(&sc, 1, 4, 6, 1);
    run_frame("spatial-uniform", "rows=2:cols=3", &sc, -1, &map);
    expect_anchors(&map, (const int32_t[]){7, 9, 11, 19, 21, 23}, 6); /* rows 1 and 3, columns 1, 3, 5 */
    run_frame("spatial-uniform", "", &sc, 7, &map);                   /* 2 rows: 4 and 3 of 6 columns */
    expect_anchors(&map, (const int32_t[]){6, 8, 9, 11, 19, 21, 23}, 7);
    run_frame("spatial-uniform", "", &sc, 1, &map);
    expect_anchors(&map, (const int32_t[]){15}, 1);
    run_frame("stride", "", &sc, 5, &map); /* floor((m + .5) 24 / 5) */
    expect_anchors(&map, (const int32_t[]){2, 7, 12, 16, 21}, 5);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(spread_takes_the_nearest_remaining)
{
    scene sc;
    pare__map map = {0};
    scene_make(&sc, 1, 5, 5, 1);
    uint8_t keep[25];
    memset(keep, 1, sizeof keep);
    keep[12] = 0; /* the centre is gone: 7 (above), 11, 13, 17 are equally near */
    scene_thin(&sc, keep);
    run_frame("spatial-uniform", "", &sc, 1, &map);
    expect_anchors(&map, (const int32_t[]){7}, 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(jitter_draws_one_of_each_cell)
{
    scene sc;
    pare__map map = {0};
    scene_make(&sc, 1, 8, 8, 1);
    run_frame("spatial-uniform", "rows=4:cols=4:jitter=1", &sc, -1, &map);
    uint8_t cell[16] = {0};
    for (int64_t r = 0; r < map.m.n_out; r++) cell[map.m.anchor[r] / 8 / 2 * 4 + map.m.anchor[r] % 8 / 2]++;
    for (int i = 0; i < 16; i++) ck_assert_int_eq(cell[i], 1);
    int64_t within[4] = {0}; /* four tokens a cell: never all draws the same */
    for (int64_t r = 0; r < map.m.n_out; r++) within[map.m.anchor[r] / 8 % 2 * 2 + map.m.anchor[r] % 2]++;
    for (int i = 0; i < 4; i++) ck_assert_int_lt(within[i], 16);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(fitted_grids_are_the_largest)
{
    const int32_t full[][2] = {{24, 32}, {16, 16}, {1, 100}, {37, 5}, {1, 1}};
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        for (int64_t k = 1; k <= (int64_t)full[i][0] * full[i][1] + 3; k++) {
            int32_t out[2];
            pare__fit_grid(full[i], k, out);
            ck_assert(out[0] >= 1 && out[1] >= 1 && out[0] <= full[i][0] && out[1] <= full[i][1]);
            ck_assert((int64_t)out[0] * out[1] <= k);
            const double w = (out[0] + 1.0) * full[i][1] / full[i][0]; /* one row more at the same aspect */
            if (out[0] < full[i][0] && out[1] < full[i][1])
                ck_assert((out[0] + 1.0) * fmax(1, floor(w + 0.5)) > (double)k);
        }
    }
    int32_t out[2];
    pare__fit_grid(full[0], 192, out);
    ck_assert(out[0] == 12 && out[1] == 16);
    const pare__selector *resize = pare__selector_find("resize");
    resize->plan_grid(NULL, full[0], 0.25, -1, out);
    ck_assert(out[0] == 12 && out[1] == 16);
    resize->plan_grid(NULL, full[0], 0.25, 768, out);
    ck_assert(out[0] == 24 && out[1] == 32);
}
END_TEST

/* ---- merging ----------------------------------------------------------------------------------------------------- */

START_TEST(merging_equal_tokens_changes_only_sizes)
{
    scene sc;
    step s;
    scene_view look;
    pare__map map = {0};
    scene_make(&sc, 1, 6, 6, 1);
    for (int64_t i = 0; i < sc.n * sc.d; i++) sc.token[i] = sc.token[i % sc.d];
    ck_assert_int_eq(step_open(&s, "tome", "r=10", NULL), 0);
    scene_look(&sc, PARE__SITE_BLOCK, 0, 1, 1, &look);
    look.view.k = s.sel->amount(s.priv, 36, 6, 6, 0, 12);
    ck_assert_int_eq(look.view.k, 26);
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, NULL), 0);
    float out[26 * 16];
    pare__map_apply(&map.m, sc.token, sc.d, out);
    for (int64_t i = 0; i < 26 * sc.d; i++) ck_assert_float_eq_tol(out[i], sc.token[i % sc.d], 1e-6f);
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

static double cosine(const float *a, const float *b, int32_t d)
{
    double ab = 0, aa = 0, bb = 0;
    for (int32_t i = 0; i < d; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Odd candidates (no prefix) are destinations: best cosine of source i, and with whom. */
static double best_partner(const scene *sc, int64_t i, int32_t *with)
{
    double best = -2;
    for (int64_t j = 1; j < sc->n; j += 2) {
        const double c = cosine(sc->k_mean + i * sc->d, sc->k_mean + j * sc->d, sc->d);
        if (c > best) {
            best = c;
            *with = (int32_t)j;
        }
    }
    return best;
}

START_TEST(tome_agrees_with_brute_force)
{
    scene sc;
    step s;
    scene_view look;
    pare__map map = {0};
    int32_t owner[63], with = 0;
    double least_merged = 2, most_left = -2;
    scene_make(&sc, 1, 7, 9, 4);
    ck_assert_int_eq(step_open(&s, "tome", "", NULL), 0);
    scene_look(&sc, PARE__SITE_BLOCK, 0, 1, 0, &look);
    look.view.k = 63 - 12;
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, NULL), 0);
    pare__map_owner(&map.m, owner);
    for (int64_t i = 0; i < 63; i += 2) {
        const double score = best_partner(&sc, i, &with);
        const int merged = map.m.anchor[owner[i]] != i;
        if (merged) ck_assert_int_eq(map.m.anchor[owner[i]], with);
        if (merged)
            least_merged = fmin(least_merged, score);
        else
            most_left = fmax(most_left, score);
    }
    ck_assert(least_merged > most_left);
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* With 1 prefix row candidates 0, 2, 4 stand at odd places: they are B, which comes last and never merges away. */
START_TEST(parity_counts_prefix_rows)
{
    scene sc;
    step s;
    pare__map map = {0};
    scene_make(&sc, 1, 1, 5, 1);
    ck_assert_int_eq(step_open(&s, "tome", "r=1", NULL), 0);
    for (int32_t prefix = 0; prefix < 2; prefix++) {
        const int64_t n_a = prefix ? 2 : 3;
        scene_view look;
        scene_look(&sc, PARE__SITE_BLOCK, 0, 1, prefix, &look);
        look.view.k = 4;
        ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, NULL), 0);
        for (int64_t r = 0; r < 4; r++) ck_assert_int_eq((prefix + map.m.anchor[r]) % 2, r >= n_a - 1);
        for (int64_t r = n_a; r < 4; r++) ck_assert_int_lt(map.m.anchor[r - 1], map.m.anchor[r]);
    }
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(tome_schedules_and_bad_lists)
{
    step s;
    pare_error err = {0};
    ck_assert_int_eq(step_open(&s, "tome", "list=5/4/3", NULL), 0);
    ck_assert_int_eq(s.sel->amount(s.priv, 100, 10, 10, 1, 12), 96);
    ck_assert_int_eq(s.sel->amount(s.priv, 100, 10, 10, 7, 12), 100);
    ck_assert_int_eq(s.sel->unbiased(s.priv), 0);
    step_close(&s);
    const char *const bad[] = {"list=5/", "list=/5", "list=5//4", "list=a", "list=5/-4", "list=999999999999999999999",
                               "r=-1",    "kth=1",   "inflect=2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(step_open(&s, "tome", bad[i], &err) == PARE_E_INVALID, "%s", bad[i]);
        ck_assert(err.text[0]);
        step_close(&s);
    }
    ck_assert_int_eq(step_open(&s, "tome", "prop_attn=0", NULL), 0);
    ck_assert_int_eq(s.sel->unbiased(s.priv), 1);
    step_close(&s);
}
END_TEST

START_TEST(pool_options_must_agree)
{
    const char *const bad[] = {"cell=2", "h=4", "mode=avg:h=4:w=4", "mode=cubic"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        step s;
        ck_assert_msg(step_open(&s, "pool", bad[i], NULL) == PARE_E_INVALID, "%s", bad[i]);
        step_close(&s);
    }
}
END_TEST

START_TEST(pool_weighs_by_size_and_counts_a_lone_token_once)
{
    scene sc;
    pare__map map = {0};
    scene_make(&sc, 1, 5, 5, 1);
    sc.size[0] = 3;
    run_frame("pool", "mode=avg:cell=2", &sc, -1, &map);
    ck_assert_int_eq(map.m.n_out, 9);
    ck_assert_float_eq_tol(map.m.weight[0], 0.5f, 1e-6f); /* 3 of 6 */
    ck_assert_float_eq_tol(map.m.weight[1], 1.0f / 6, 1e-6f);
    ck_assert_float_eq(map.m.size[0], 6);
    uint8_t keep[25] = {0};
    keep[6] = 1; /* lies in four overlapping cells of 3 x 3 */
    scene_thin(&sc, keep);
    run_frame("pool", "h=3:w=3", &sc, -1, &map);
    ck_assert_int_eq(map.m.n_out, 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(pool_takes_the_largest_grid_that_fits)
{
    scene sc;
    pare__map map = {0};
    scene_make(&sc, 1, 24, 32, 1);
    run_frame("pool", "", &sc, 192, &map);
    ck_assert_int_eq(map.m.n_out, 192);
    for (int64_t r = 0; r < 192; r++) ck_assert_float_eq(map.m.size[r], 4);
    run_frame("pool", "mode=avg", &sc, 191, &map);
    ck_assert_int_eq(map.m.n_out, 8 * 11);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

Suite *spread_merge_suite(void)
{
    Suite *s = suite_create("spread and merge");
    TCase *c = tcase_create("spread");
    tcase_add_test(c, spread_by_hand);
    tcase_add_test(c, spread_takes_the_nearest_remaining);
    tcase_add_test(c, jitter_draws_one_of_each_cell);
    tcase_add_test(c, fitted_grids_are_the_largest);
    suite_add_tcase(s, c);
    c = tcase_create("merging");
    tcase_add_test(c, merging_equal_tokens_changes_only_sizes);
    tcase_add_test(c, tome_agrees_with_brute_force);
    tcase_add_test(c, parity_counts_prefix_rows);
    tcase_add_test(c, tome_schedules_and_bad_lists);
    tcase_add_test(c, pool_options_must_agree);
    tcase_add_test(c, pool_takes_the_largest_grid_that_fits);
    tcase_add_test(c, pool_weighs_by_size_and_counts_a_lone_token_once);
    suite_add_tcase(s, c);
    return s;
}
