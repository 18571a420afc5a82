/* SPDX-License-Identifier: MIT */
/* temporal-redundancy, rlt and evs: runs, anchors, budgets, windows. Part of test_selectors. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "select_scene.h"

Suite *temporal_suite(void);

static void fill_unit(scene *s, int32_t f, int32_t cell, uint8_t value)
{
    const int64_t stride = 3 * (int64_t)s->grid_w * s->patch;
    uint8_t *at = s->frame[f] + cell / s->grid_w * s->patch * stride + 3 * (int64_t)(cell % s->grid_w) * s->patch;
    for (int32_t y = 0; y < s->patch; y++) memset(at + y * stride, value, (size_t)(3 * s->patch));
}

static void run_window(const char *name, const char *options, scene *sc, int32_t site, int32_t first, int32_t count,
                       int64_t k, pare__map *map)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_msg(step_open(&s, name, options, &err) == 0, "%s", err.text);
    scene_look(sc, site, first, count, 0, &look);
    look.view.k = k;
    ck_assert_msg(step_run(&s, sc, &look.view, map, &err) == 0, "%s", err.text);
    step_close(&s);
}

/* Flags of the rows kept over the whole clip, cut into windows of `window` steps. */
static void run_clip(const char *name, const char *options, scene *sc, int32_t site, int32_t window, uint8_t *kept)
{
    pare__map map = {0};
    scene_rewind(sc);
    memset(kept, 0, (size_t)sc->n);
    for (int32_t t = 0; t < sc->n_frame; t += window) {
        const int32_t count = t + window < sc->n_frame ? window : sc->n_frame - t;
        run_window(name, options, sc, site, t, count, -1, &map);
        for (int64_t r = 0; r < map.m.n_out; r++) kept[sc->frame_start[t] + map.m.anchor[r]] = 1;
    }
    pare__map_fini(&map);
}

/* Steps drift by 4 of 255 each, one place flickers, the rest stands still. */
static void drifting(scene *s)
{
    scene_make(s, 12, 3, 4, 5);
    for (int32_t t = 0; t < 12; t++) {
        for (int32_t c = 0; c < 12; c++) {
            const int value = c == 0 ? 20 + 4 * t : c == 5 ? 200 * (t % 2) : 100 + c;
            fill_unit(s, t, c, (uint8_t)value);
            for (int32_t j = 0; j < s->d; j++)
                s->token[(t * 12 + c) * s->d + j] = j == 0 ? 1 : j == 1 ? (float)value / 100 : 0;
        }
    }
}

START_TEST(windows_change_nothing_in_threshold_mode)
{
    static const struct {
        const char *name, *options;
        int32_t site;
    } cases[] = {{"temporal-redundancy", "", PARE__SITE_PATCHES},
                 {"temporal-redundancy", "anchor=0", PARE__SITE_PATCHES},
                 {"temporal-redundancy", "threshold=0.01", PARE__SITE_OUTPUT},
                 {"temporal-redundancy", "threshold=0.01:anchor=0", PARE__SITE_OUTPUT},
                 {"rlt", "", PARE__SITE_PATCHES},
                 {"rlt", "anchor=1", PARE__SITE_PATCHES}};
    scene s;
    drifting(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t whole[144], cut[144];
        run_clip(cases[i].name, cases[i].options, &s, cases[i].site, 12, whole);
        for (int32_t window = 1; window < 12; window += 2) {
            run_clip(cases[i].name, cases[i].options, &s, cases[i].site, window, cut);
            ck_assert_msg(!memcmp(whole, cut, sizeof whole), "%s %s: windows of %d", cases[i].name, cases[i].options,
                          window);
        }
    }
    scene_free(&s);
}
END_TEST

START_TEST(anchors_catch_slow_drift)
{
    scene s;
    uint8_t kept[144];
    int64_t drift = 0, still = 0;
    drifting(&s);
    run_clip("temporal-redundancy", "threshold=0.04", &s, PARE__SITE_PATCHES, 12, kept); /* 10.2 of 255 */
    for (int32_t t = 0; t < 12; t++) drift += kept[t * 12];
    for (int32_t t = 0; t < 12; t++) still += kept[t * 12 + 1];
    ck_assert_int_eq(drift, 4); /* steps 0, 3, 6, 9 */
    ck_assert_int_eq(still, 1);
    ck_assert(kept[0] && kept[3 * 12] && kept[6 * 12] && kept[9 * 12]);
    run_clip("temporal-redundancy", "threshold=0.04:anchor=0", &s, PARE__SITE_PATCHES, 12, kept);
    drift = 0;
    for (int32_t t = 0; t < 12; t++) drift += kept[t * 12];
    ck_assert_int_eq(drift, 1);
    scene_free(&s);
}
END_TEST

START_TEST(runs_cover_every_row_of_the_first_window)
{
    scene s;
    pare__map map = {0};
    int32_t owner[144];
    drifting(&s);
    run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 0, 12, -1, &map);
    pare__map_owner(&map.m, owner);
    for (int32_t i = 0; i < 144; i++) {
        ck_assert_int_ge(owner[i], 0);
        const int32_t anchor = map.m.anchor[owner[i]];
        ck_assert(anchor % 12 == i % 12 && anchor <= i);
        ck_assert_float_eq(map.m.size[owner[i]], 1);
    }
    ck_assert_int_eq(map.m.member_start[map.m.n_out], 144); /* no row stands for another kept one */
    /* Still places of the second window repeat rows that lie in the first: no row here stands for them. */
    run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 6, 6, -1, &map);
    pare__map_owner(&map.m, owner);
    ck_assert_int_eq(owner[1], -1);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(a_frozen_clip_costs_one_picture)
{
    scene s;
    pare__map map = {0};
    scene_make(&s, 6, 5, 7, 3);
    for (int32_t t = 1; t < 6; t++) memcpy(s.frame[t], s.frame[0], (size_t)(3 * 5 * 7 * 16));
    for (int32_t t = 1; t < 6; t++) memcpy(s.token + t * 35 * s.d, s.token, (size_t)(35 * s.d) * sizeof(float));
    const struct {
        const char *name, *options;
        int32_t site;
    } cases[] = {{"temporal-redundancy", "threshold=0", PARE__SITE_PATCHES},
                 {"temporal-redundancy", "threshold=0", PARE__SITE_OUTPUT},
                 {"rlt", "threshold=0", PARE__SITE_PATCHES},
                 {"rlt", "threshold=0:anchor=1", PARE__SITE_PATCHES},
                 {"evs", "q=0.99", PARE__SITE_OUTPUT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_rewind(&s);
        run_window(cases[i].name, cases[i].options, &s, cases[i].site, 0, 6, -1, &map);
        ck_assert_msg(map.m.n_out == 35, "%s %s: %lld", cases[i].name, cases[i].options, (long long)map.m.n_out);
        ck_assert_int_eq(map.m.anchor[34], 34);
    }
    /* A budget above and below one picture: all of it goes there, below it evenly enough that no half is empty. */
    for (int64_t k = 35; k >= 8; k -= 9) {
        scene_rewind(&s);
        run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 0, 6, k, &map);
        int64_t top = 0;
        for (int64_t r = 0; r < k; r++) {
            ck_assert_int_lt(map.m.anchor[r], 35);
            top += map.m.anchor[r] < 14;
        }
        ck_assert(top > 0 && top < k);
    }
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

/* Half of a budget below one picture is spread over it; the other half follows the changes. */
START_TEST(a_small_budget_is_shared_between_picture_and_changes)
{
    scene s;
    pare__map map = {0};
    int64_t first = 0, flicker = 0;
    drifting(&s);
    run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 0, 12, 8, &map);
    for (int64_t r = 0; r < 8; r++) {
        first += map.m.anchor[r] < 12;
        flicker += map.m.anchor[r] >= 12 && map.m.anchor[r] % 12 == 5;
    }
    ck_assert_int_eq(first, 4);
    ck_assert_int_eq(flicker, 4);
    static const int32_t spread[4] = {1, 3, 9, 11}; /* two rows of two on 3 x 4 */
    for (int r = 0; r < 4; r++) ck_assert_int_eq(map.m.anchor[r], spread[r]);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

/* Sensor noise is no change: below the default threshold the rest of the first picture is worth more. */
START_TEST(noise_does_not_draw_on_a_small_budget)
{
    scene s;
    pare__map map = {0};
    scene_make(&s, 6, 5, 7, 3);
    for (int32_t t = 0; t < 6; t++)
        for (int32_t c = 0; c < 35; c++) fill_unit(&s, t, c, (uint8_t)(100 + (t * 3 + c) % 4));
    run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 0, 6, 20, &map);
    for (int64_t r = 0; r < 20; r++) ck_assert_int_lt(map.m.anchor[r], 35);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(rlt_counts_in_channel_deviations)
{
    scene s;
    pare__map map = {0};
    scene_blank(&s, 2, 1, 1, 4, 4, 1);
    fill_unit(&s, 1, 0, 13); /* 0.051 of the range, 0.23 deviations */
    run_window("rlt", "", &s, PARE__SITE_PATCHES, 0, 2, -1, &map);
    ck_assert_int_eq(map.m.n_out, 2);
    ck_assert_float_eq_tol(s.score_out[1], 13.0f / 255 * (1 / 0.229f + 1 / 0.224f + 1 / 0.225f) / 3, 1e-5f);
    scene_rewind(&s);
    run_window("rlt", "normalised=0", &s, PARE__SITE_PATCHES, 0, 2, -1, &map);
    ck_assert_int_eq(map.m.n_out, 1);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(budgets_follow_the_largest_changes)
{
    scene s;
    pare__map map = {0};
    drifting(&s);
    run_window("temporal-redundancy", "", &s, PARE__SITE_PATCHES, 0, 12, 12 + 11, &map);
    for (int64_t r = 12; r < 23; r++) ck_assert_int_eq(map.m.anchor[r] % 12, 5); /* the flicker, every step */
    for (int64_t i = 12; i < 144; i++) ck_assert(!isnan(s.score_out[i]));
    ck_assert(isnan(s.score_out[0]));
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(floors_hold_in_every_step)
{
    static const char *const names[] = {"temporal-redundancy", "rlt", "evs"};
    scene s;
    pare__map map = {0};
    drifting(&s);
    for (int i = 0; i < 3; i++) {
        step st;
        scene_view look;
        int64_t per_step[12] = {0};
        ck_assert_int_eq(step_open(&st, names[i], "", NULL), 0);
        scene_rewind(&s);
        scene_look(&s, i == 2 ? PARE__SITE_OUTPUT : PARE__SITE_PATCHES, 0, 12, 0, &look);
        look.view.k = 28; /* without floors 12 go to the first step and some steps get one */
        look.view.floor = 2;
        ck_assert_int_eq(step_run(&st, &s, &look.view, &map, NULL), 0);
        for (int64_t r = 0; r < 28; r++) per_step[map.m.anchor[r] / 12]++;
        for (int32_t t = 0; t < 12; t++) ck_assert_int_ge(per_step[t], 2);
        step_close(&st);
    }
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

/* Tubelets of two pictures: the last of one against the first of the one before. */
START_TEST(tubelets_compare_last_with_first)
{
    scene s;
    pare__map map = {0};
    scene_blank(&s, 3, 1, 2, 4, 4, 2);
    fill_unit(&s, 3, 0, 255); /* tubelet 1, its last picture */
    run_window("rlt", "normalised=0", &s, PARE__SITE_PATCHES, 0, 3, -1, &map);
    ck_assert_int_eq(map.m.n_out, 3);
    ck_assert_int_eq(map.m.anchor[2], 2);
    scene_rewind(&s);
    fill_unit(&s, 3, 0, 0);
    fill_unit(&s, 2, 0, 255); /* its first picture: only the next tubelet sees it */
    run_window("rlt", "normalised=0", &s, PARE__SITE_PATCHES, 0, 3, -1, &map);
    ck_assert_int_eq(map.m.n_out, 3);
    ck_assert_int_eq(map.m.anchor[2], 4);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(evs_floor_is_the_first_frame_of_the_clip_only)
{
    scene s;
    pare__map map = {0};
    scene_make(&s, 8, 3, 4, 9);
    run_window("evs", "q=0.9", &s, PARE__SITE_OUTPUT, 0, 4, -1, &map);
    ck_assert_int_eq(map.m.n_out, 12);
    ck_assert_int_eq(map.m.anchor[11], 11);
    run_window("evs", "q=0.9", &s, PARE__SITE_OUTPUT, 4, 4, -1, &map);
    ck_assert_int_eq(map.m.n_out, 4);
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

START_TEST(own_amounts_are_declared)
{
    static const struct {
        const char *name, *options;
        int64_t amount;
    } cases[] = {{"temporal-redundancy", "", PARE__AMOUNT_NONE},
                 {"temporal-redundancy", "threshold=0.1", PARE__AMOUNT_VARIABLE},
                 {"rlt", "", PARE__AMOUNT_NONE},
                 {"rlt", "threshold=0.1", PARE__AMOUNT_VARIABLE},
                 {"evs", "", PARE__AMOUNT_NONE},
                 {"evs", "q=0.5", PARE__AMOUNT_VARIABLE},
                 {"spatial-uniform", "rows=3", PARE__AMOUNT_NONE},
                 {"spatial-uniform", "rows=3:cols=9", 18},
                 {"pool", "", PARE__AMOUNT_NONE},
                 {"pool", "mode=avg:cell=4", 4},
                 {"none", "", 48}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        step s;
        ck_assert_int_eq(step_open(&s, cases[i].name, cases[i].options, NULL), 0);
        ck_assert_int_eq(s.sel->amount(s.priv, 48, 8, 6, 0, 1), cases[i].amount);
        step_close(&s);
    }
}
END_TEST

Suite *temporal_suite(void)
{
    Suite *s = suite_create("temporal");
    TCase *c = tcase_create("runs");
    tcase_add_test(c, windows_change_nothing_in_threshold_mode);
    tcase_add_test(c, anchors_catch_slow_drift);
    tcase_add_test(c, runs_cover_every_row_of_the_first_window);
    tcase_add_test(c, a_frozen_clip_costs_one_picture);
    tcase_add_test(c, a_small_budget_is_shared_between_picture_and_changes);
    tcase_add_test(c, noise_does_not_draw_on_a_small_budget);
    tcase_add_test(c, rlt_counts_in_channel_deviations);
    tcase_add_test(c, budgets_follow_the_largest_changes);
    tcase_add_test(c, floors_hold_in_every_step);
    tcase_add_test(c, tubelets_compare_last_with_first);
    tcase_add_test(c, evs_floor_is_the_first_frame_of_the_clip_only);
    tcase_add_test(c, own_amounts_are_declared);
    suite_add_tcase(s, c);
    return s;
}
