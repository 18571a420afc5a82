/* SPDX-License-Identifier: MIT */
/* What hiprune, vscan, prumerge, flowcut, mctf and ats promise by themselves, on cases small enough to check by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select_scene.h"

enum { HERE = 3, LAST = 11, DEEP = 10 }; /* blocks of a scene of 12 */

static float *add(scene *sc, pare__array array, int32_t layer, int32_t width, int32_t prefix)
{
    return (float *)(uintptr_t)scene_add(sc, array, layer, width, prefix)->data;
}

static float *prefix_of(scene *sc, int32_t i) { return (float *)(uintptr_t)sc->own[i].prefix; }

/* One step on the scene's only frame, behind so many prefix tokens. Returns the code of select. */
static int try_behind(int32_t n_prefix, const char *name, const char *options, scene *sc, int32_t site, int64_t k,
                      pare__map *map, pare_error *err)
{
    step s;
    scene_view look;
    int rc = step_open(&s, name, options, err);
    ck_assert_msg(rc == 0, "%s", err->text);
    scene_look(sc, site, 0, 1, n_prefix, &look);
    look.view.k = k;
    if (k < 0 && s.sel->amount) look.view.k = s.sel->amount(s.priv, sc->n, sc->grid_h, sc->grid_w, 0, 1);
    if (look.view.k < 0) look.view.k = -1;
    rc = step_run(&s, sc, &look.view, map, err);
    step_close(&s);
    return rc;
}

static int try_step(const char *name, const char *options, scene *sc, int32_t site, int64_t k, pare__map *map,
                    pare_error *err)
{
    return try_behind(1, name, options, sc, site, k, map, err);
}

static void run(const char *name, const char *options, scene *sc, int32_t site, int64_t k, pare__map *map)
{
    pare_error err = {0};
    ck_assert_msg(try_step(name, options, sc, site, k, map, &err) == 0, "%s", err.text);
}

static void expect_anchors(const pare__map *map, const int32_t *want, int64_t n)
{
    ck_assert_int_eq(map->m.n_out, n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(map->m.anchor[i], want[i]);
}

static void expect_error(const char *name, const char *options, scene *sc, int code, const char *text)
{
    pare_error err = {0};
    pare__map map = {0};
    const int at_block = !strcmp(name, "flowcut") || !strcmp(name, "ats");
    ck_assert_int_eq(try_step(name, options, sc, at_block ? PARE__SITE_BLOCK : PARE__SITE_OUTPUT, 2, &map, &err), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    pare__map_fini(&map);
}

/* ---- hiprune ----------------------------------------------------------------------------------------------------- */

/* 3 x 4; the middle block looks at place 7 on the right border, the deep one at 0, 11, 3, 6 in that order. */
static void hiprune_scene(scene *sc)
{
    scene_blank(sc, 1, 3, 4, 1, 1, 1);
    add(sc, PARE__ARRAY_COL_MEAN, 9, 1, 0)[7] = 1;
    float *deep = add(sc, PARE__ARRAY_COL_MEAN, DEEP, 1, 0);
    deep[0] = 4, deep[11] = 3, deep[3] = 2, deep[6] = 1;
}

START_TEST(hiprune_neighbours_stop_at_the_border)
{
    scene sc;
    pare__map map = {0};
    hiprune_scene(&sc);
    run("hiprune", "alpha=1", &sc, PARE__SITE_OUTPUT, 5, &map);
    expect_anchors(&map, (const int32_t[]){0, 3, 6, 7, 11}, 5);
    run("hiprune", "alpha=1:compat=1", &sc, PARE__SITE_OUTPUT, 5, &map); /* 8 begins the next row */
    expect_anchors(&map, (const int32_t[]){3, 6, 7, 8, 11}, 5);
    run("hiprune", "alpha=1", &sc, PARE__SITE_OUTPUT, 3, &map); /* the deep block chooses among the neighbours */
    expect_anchors(&map, (const int32_t[]){3, 7, 11}, 3);
    run("hiprune", "alpha=0.5", &sc, PARE__SITE_OUTPUT, 5, &map); /* half an anchor rounds to none */
    expect_anchors(&map, (const int32_t[]){0, 1, 3, 6, 11}, 5);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(hiprune_names_the_block_it_lacks)
{
    scene sc;
    hiprune_scene(&sc);
    expect_error("hiprune", "object=8", &sc, PARE_E_INVALID, "'hiprune' needs the array 'col_mean' of block 8");
    scene_free(&sc);
}
END_TEST

/* ---- vscan ------------------------------------------------------------------------------------------------------- */

/* 4 x 4 in windows of 2 x 2; the shallow block likes the last place of each window, the deep one falls from place 4. */
static void vscan_scene(scene *sc)
{
    scene_blank(sc, 1, 4, 4, 2, 1, 1);
    float *shallow = add(sc, PARE__ARRAY_CLS_ROW, 5, 1, 0), *deep = add(sc, PARE__ARRAY_CLS_ROW, DEEP, 1, 0);
    for (int i = 0; i < 16; i++) {
        shallow[i] = (float)i;
        deep[i] = (float)(i < 4 ? 0 : 16 - i);
        sc->token[2 * i] = (float)cos(0.1 * i);
        sc->token[2 * i + 1] = (float)sin(0.1 * i);
    }
}

START_TEST(vscan_is_exact_where_the_reference_is_short)
{
    scene sc;
    pare__map map = {0};
    vscan_scene(&sc);
    run("vscan", "window=2:merge=0", &sc, PARE__SITE_OUTPUT, 5, &map); /* 5 and 7 from windows, then 4, 6, 8 */
    expect_anchors(&map, (const int32_t[]){4, 5, 6, 7, 8}, 5);
    run("vscan", "window=2:merge=0:compat=1", &sc, PARE__SITE_OUTPUT, 5, &map); /* 2 over 4 windows: none */
    expect_anchors(&map, (const int32_t[]){4, 5, 6}, 3);
    run("vscan", "window=2:merge=0", &sc, PARE__SITE_OUTPUT, 8, &map);
    expect_anchors(&map, (const int32_t[]){4, 5, 6, 7, 8, 9, 13, 15}, 8);
    run("vscan", "window=3:merge=0", &sc, PARE__SITE_OUTPUT, 4, &map); /* windows of 9, 3, 3, 1: 1 + 1 by remainder */
    expect_anchors(&map, (const int32_t[]){4, 5, 10, 11}, 4);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(vscan_merges_by_plain_means)
{
    scene sc;
    pare__map map = {0};
    vscan_scene(&sc);
    sc.size[0] = 3; /* ignored by the mean, kept by the count */
    run("vscan", "window=2", &sc, PARE__SITE_OUTPUT, 5, &map);
    expect_anchors(&map, (const int32_t[]){4, 5, 6, 7, 8}, 5);
    ck_assert_int_eq(map.m.row_start[1], 5); /* 0 to 4: all on the near side of place 4 */
    for (int i = 0; i < 5; i++) ck_assert_double_eq_tol(map.m.weight[i], 0.2, 1e-6);
    ck_assert_double_eq_tol(map.m.size[0], 7, 1e-6);
    ck_assert_double_eq_tol(map.m.size[4], 8, 1e-6); /* 8 to 15 */
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(vscan_keeps_the_count_on_any_grid)
{
    for (int32_t h = 1; h <= 7; h += 2) {
        for (int64_t k = 1; k <= 11 * h; k++) {
            scene sc;
            pare__map map = {0};
            scene_make(&sc, 1, h, 11, (uint64_t)k);
            memcpy(add(&sc, PARE__ARRAY_CLS_ROW, 5, 1, 0), sc.token, (size_t)sc.n * sizeof(float));
            run("vscan", "window=4", &sc, PARE__SITE_OUTPUT, k, &map);
            ck_assert_int_eq(map.m.n_out, k);
            pare__map_fini(&map);
            scene_free(&sc);
        }
    }
}
END_TEST

/* ---- prumerge ---------------------------------------------------------------------------------------------------- */

/* Logits: 3 for place 5, 0 for all others and for the class token. */
static double prumerge_scene(scene *sc, int32_t h, int32_t w)
{
    scene_blank(sc, 1, h, w, 1, 1, 1);
    add(sc, PARE__ARRAY_Q, LAST, 2, 1);
    float *key = add(sc, PARE__ARRAY_K, LAST, 2, 1);
    prefix_of(sc, 0)[0] = sqrtf(2);
    for (int64_t i = 0; i < sc->n; i++) {
        key[2 * i] = i == 5 ? 3 : 0;
        key[2 * i + 1] = i == 5 ? 0 : 1;
        sc->token[i] = (float)(i + 1);
    }
    return 1 / ((double)sc->n + exp(3));
}

START_TEST(prumerge_keeps_outliers_and_sums_the_rest)
{
    scene sc;
    pare__map map = {0};
    float y[2];
    const double a = prumerge_scene(&sc, 2, 4);
    run("prumerge", "neighbours=2", &sc, PARE__SITE_OUTPUT, -1, &map);
    expect_anchors(&map, (const int32_t[]){0, 5}, 2);
    ck_assert_double_eq_tol(map.m.gain[0], 7 * a, 1e-6);
    ck_assert_double_eq_tol(map.m.gain[1], 1 + 2 * a, 1e-6);
    ck_assert(map.m.size[0] == 7 && map.m.size[1] == 1);
    pare__map_apply(&map.m, sc.token, 1, y);
    ck_assert_double_eq_tol(y[0], a * (1 + 2 + 3 + 4 + 5 + 7 + 8), 1e-5);
    ck_assert_double_eq_tol(y[1], 6 + a * (1 + 2), 1e-5); /* all others are equally near: the lowest two */
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(prumerge_counts_its_extra_row)
{
    scene sc;
    pare__map map = {0};
    prumerge_scene(&sc, 2, 4);
    run("prumerge", "", &sc, PARE__SITE_OUTPUT, 4, &map);
    expect_anchors(&map, (const int32_t[]){0, 1, 2, 5}, 4); /* 2 stands for the rest */
    ck_assert(map.m.size[2] == 5);
    run("prumerge", "", &sc, PARE__SITE_OUTPUT, 1, &map);
    expect_anchors(&map, (const int32_t[]){5}, 1);
    run("prumerge", "ratio=0.25", &sc, PARE__SITE_OUTPUT, -1, &map);
    expect_anchors(&map, (const int32_t[]){0, 1, 5}, 3);
    run("prumerge-plus", "", &sc, PARE__SITE_OUTPUT, -1, &map); /* every second of the first 7, and place 5 */
    expect_anchors(&map, (const int32_t[]){0, 1, 2, 4, 5, 6}, 6);
    run("prumerge-plus", "", &sc, PARE__SITE_OUTPUT, 5, &map);
    expect_anchors(&map, (const int32_t[]){0, 1, 3, 5, 6}, 5);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(prumerge_loses_an_outlier_in_compat)
{
    scene sc;
    pare__map map = {0};
    prumerge_scene(&sc, 14, 14); /* int(196 * (1 / 196)) = 0 */
    run("prumerge", "", &sc, PARE__SITE_OUTPUT, -1, &map);
    expect_anchors(&map, (const int32_t[]){0, 5}, 2);
    run("prumerge", "compat=1", &sc, PARE__SITE_OUTPUT, -1, &map);
    expect_anchors(&map, (const int32_t[]){5}, 1);
    ck_assert(map.m.size[0] == 196);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* Without prefix rows the mean query asks: keys along it are kept. */
START_TEST(prumerge_asks_with_the_mean_query)
{
    scene sc;
    scene_make(&sc, 1, 2, 4, 1);
    add(&sc, PARE__ARRAY_Q, LAST, 2, 0);
    expect_error("prumerge", "", &sc, PARE_E_INVALID, "'prumerge' needs the array 'k' of block -1");
    add(&sc, PARE__ARRAY_K, LAST, 3, 0);
    expect_error("prumerge-plus", "", &sc, PARE_E_INVALID, "queries of width 2, keys of width 3");
    sc.own[1].width = 2;
    expect_error("prumerge", "", &sc, PARE_E_INVALID, "'prumerge' needs the prefix tokens' rows");
    float *query = (float *)(uintptr_t)sc.own[0].data, *key = (float *)(uintptr_t)sc.own[1].data;
    for (int i = 0; i < 8; i++) {
        query[2 * i] = i % 2 ? 5 : 7;
        query[2 * i + 1] = i % 2 ? 1 : -1;
        key[2 * i] = i == 3 || i == 6 ? 2 : 0;
        key[2 * i + 1] = 1;
    }
    pare__map map = {0};
    pare_error err = {0};
    ck_assert_msg(!try_behind(0, "prumerge", "neighbours=0", &sc, PARE__SITE_OUTPUT, 3, &map, &err), "%s", err.text);
    ck_assert_int_eq(map.m.n_out, 3);
    ck_assert_int_eq(map.m.anchor[1], 3);
    ck_assert_int_eq(map.m.anchor[2], 6);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* ---- flowcut ----------------------------------------------------------------------------------------------------- */

/* Values of L1 length 2 that say nothing; attention is what the test writes. */
static float *flowcut_scene(scene *sc)
{
    scene_blank(sc, 1, 2, 2, 1, 1, 1);
    float *attention = add(sc, PARE__ARRAY_CLS_ROW, HERE, 1, 0), *value = add(sc, PARE__ARRAY_V, HERE, 2, 1);
    for (int i = 0; i < 8; i++) value[i] = i % 2 ? -1 : 1;
    return attention;
}

static void flow_at(scene *sc, int32_t i_block, int32_t n_block, int64_t k, int64_t k_final, pare__map *map)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_int_eq(step_open(&s, "flowcut", "", &err), 0);
    scene_look(sc, PARE__SITE_BLOCK, 0, 1, 1, &look);
    look.view.i_block = i_block;
    look.view.n_block = n_block;
    look.view.k = k;
    look.view.k_final = k_final;
    ck_assert_msg(step_run(&s, sc, &look.view, map, &err) == 0, "%s", err.text);
    step_close(&s);
}

START_TEST(flowcut_runs_its_own_schedule)
{
    scene sc;
    pare__map map = {0};
    float *attention = flowcut_scene(&sc);
    attention[2] = 1;
    flow_at(&sc, 0, 3, -1, 1, &map); /* all on one token: round((4 - 1) / sqrt(2)) go */
    expect_anchors(&map, (const int32_t[]){0, 2}, 2);
    flow_at(&sc, 1, 3, -1, 1, &map); /* one block to come */
    ck_assert_int_eq(map.m.n_out, 4);
    flow_at(&sc, 2, 3, 1, 1, &map);
    expect_anchors(&map, (const int32_t[]){2}, 1);
    flow_at(&sc, 0, 3, -1, 3, &map);
    ck_assert_int_eq(map.m.n_out, 3); /* never below the end */
    for (int i = 0; i < 4; i++) attention[i] = 0.25f;
    flow_at(&sc, 0, 3, -1, 1, &map); /* even attention decides nothing */
    ck_assert_int_eq(map.m.n_out, 4);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(flowcut_accumulates)
{
    static const float seen[4] = {0.6f, 0.2f, 0.1f, 0.1f}; /* score = (seen + 1/4) 2 */
    scene sc;
    pare__map map = {0};
    memcpy(flowcut_scene(&sc), seen, sizeof seen);
    flow_at(&sc, 0, 4, -1, 2, &map);
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(sc.state[i], 2 * seen[i] + 0.5, 1e-6);
    sc.state[3] = 4;
    flow_at(&sc, 1, 4, 2, 2, &map);
    ck_assert_double_eq_tol(sc.state[3], 2 + seen[3] + 0.25, 1e-6);
    ck_assert_double_eq_tol(sc.state[0], 2 * seen[0] + 0.5, 1e-6);
    expect_anchors(&map, (const int32_t[]){0, 3}, 2); /* what was seen before counts */
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(flowcut_checks_its_arrays)
{
    scene sc;
    flowcut_scene(&sc);
    sc.n_head = 3;
    expect_error("flowcut", "", &sc, PARE_E_INVALID, "values of width 2 do not split into 3 heads");
    pare__free(prefix_of(&sc, 1));
    sc.own[1].prefix = NULL;
    expect_error("flowcut", "", &sc, PARE_E_INVALID, "'flowcut' needs the values of the prefix tokens");
    scene_free(&sc);
}
END_TEST

/* ---- mctf -------------------------------------------------------------------------------------------------------- */

/* Behind a class token candidates 1 and 3 are A, 0 and 2 are B. */
static void mctf_scene(scene *sc)
{
    static const float token[8] = {1, 0, 1, 0.1f, 0, 1, 1, 0.5f}, info[4] = {0.1f, 0.3f, 0.1f, 0.1f};
    scene_blank(sc, 1, 1, 4, 2, 1, 1);
    memcpy(sc->token, token, sizeof token);
    memcpy(add(sc, PARE__ARRAY_COL_MEAN, HERE, 1, 0), info, sizeof info);
}

START_TEST(mctf_weighs_by_attention_and_size)
{
    scene sc;
    pare__map map = {0};
    mctf_scene(&sc);
    run("mctf", "r=1:tau_info=0", &sc, PARE__SITE_BLOCK, -1, &map); /* 0 of B joins 1 of A */
    expect_anchors(&map, (const int32_t[]){1, 3, 2}, 3);
    ck_assert_double_eq_tol(map.m.weight[0], 0.25, 1e-6);
    ck_assert_double_eq_tol(map.m.weight[1], 0.75, 1e-6);
    ck_assert(map.m.size[0] == 2 && map.m.size[1] == 1);
    sc.size[0] = 3;
    run("mctf", "r=1:tau_info=0:tau_size=0", &sc, PARE__SITE_BLOCK, -1, &map);
    ck_assert_double_eq_tol(map.m.weight[0], 0.5, 1e-6);
    run("mctf", "r=1:tau_info=0:tau_size=0:pooling=0", &sc, PARE__SITE_BLOCK, -1, &map);
    ck_assert_double_eq_tol(map.m.weight[0], 0.75, 1e-6);
    run("mctf", "r=1:tau_sim=0:tau_info=1", &sc, PARE__SITE_BLOCK, -1, &map); /* the least attended pair: 2 into 3 */
    expect_anchors(&map, (const int32_t[]){1, 3, 0}, 3);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(mctf_follows_chains)
{
    scene sc;
    pare__map map = {0};
    mctf_scene(&sc);
    run("mctf", "r=2:tau_info=0", &sc, PARE__SITE_BLOCK, -1, &map); /* 1 into 0, then 0 into 3 */
    expect_anchors(&map, (const int32_t[]){3, 2}, 2);
    ck_assert(map.m.size[0] == 3 && map.m.size[1] == 1);
    run("mctf", "r=2:tau_info=0:bidirection=0", &sc, PARE__SITE_BLOCK, -1, &map);
    expect_anchors(&map, (const int32_t[]){0, 2}, 2);
    run("mctf", "r=9", &sc, PARE__SITE_BLOCK, -1, &map);
    ck_assert_int_eq(map.m.n_out, 1);
    run("mctf", "r=9:bidirection=0", &sc, PARE__SITE_BLOCK, -1, &map);
    ck_assert_int_eq(map.m.n_out, 2);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(mctf_survives_what_is_no_number)
{
    scene sc;
    pare__map map = {0};
    mctf_scene(&sc);
    for (int i = 0; i < 8; i++) sc.token[i] = NAN;
    for (int64_t k = 1; k <= 4; k++) {
        run("mctf", "", &sc, PARE__SITE_BLOCK, k, &map);
        ck_assert_int_eq(map.m.n_out, k);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* ---- ats --------------------------------------------------------------------------------------------------------- */

static float *ats_scene(scene *sc)
{
    scene_blank(sc, 1, 2, 2, 1, 1, 1);
    float *attention = add(sc, PARE__ARRAY_CLS_ROW, HERE, 1, 0), *value = add(sc, PARE__ARRAY_V, HERE, 2, 1);
    for (int i = 0; i < 8; i++) value[i] = 1;
    return attention;
}

START_TEST(ats_inverts_the_distribution)
{
    static const float seen[4] = {0.1f, 0.2f, 0.3f, 0.4f}, peak[4] = {0.97f, 0.01f, 0.01f, 0.01f};
    scene sc;
    pare__map map = {0};
    float *attention = ats_scene(&sc);
    memcpy(attention, seen, sizeof seen); /* 0, 2/9, 5/9, 1 */
    run("ats", "n=4", &sc, PARE__SITE_BLOCK, -1, &map);
    expect_anchors(&map, (const int32_t[]){1, 2, 3}, 3);
    run("ats", "n=3", &sc, PARE__SITE_BLOCK, -1, &map); /* 2/9 can only be told from the two best */
    expect_anchors(&map, (const int32_t[]){2, 3}, 2);
    run("ats", "", &sc, PARE__SITE_BLOCK, 2, &map); /* with a budget from all: 2/9 and 1 */
    expect_anchors(&map, (const int32_t[]){1, 3}, 2);
    memcpy(attention, peak, sizeof peak);
    run("ats", "", &sc, PARE__SITE_BLOCK, 3, &map);
    expect_anchors(&map, (const int32_t[]){0, 2, 3}, 3);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(ats_decides_the_count_and_yields_to_a_budget)
{
    scene sc;
    pare__map map = {0};
    float *attention = ats_scene(&sc);
    attention[1] = 1;
    run("ats", "", &sc, PARE__SITE_BLOCK, -1, &map); /* a step: levels start where it ends */
    expect_anchors(&map, (const int32_t[]){1}, 1);
    for (int64_t k = 1; k <= 4; k++) {
        run("ats", "", &sc, PARE__SITE_BLOCK, k, &map);
        ck_assert_int_eq(map.m.n_out, k);
    }
    attention[1] = NAN;
    run("ats", "", &sc, PARE__SITE_BLOCK, -1, &map);
    ck_assert_int_eq(map.m.n_out, 1);
    sc.own[1].need.layer = LAST;
    expect_error("ats", "", &sc, PARE_E_INVALID, "'ats' needs the array 'v'");
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods that bend the hooks");
    TCase *c = tcase_create("by hand");
    tcase_add_test(c, hiprune_neighbours_stop_at_the_border);
    tcase_add_test(c, hiprune_names_the_block_it_lacks);
    tcase_add_test(c, vscan_is_exact_where_the_reference_is_short);
    tcase_add_test(c, vscan_merges_by_plain_means);
    tcase_add_test(c, vscan_keeps_the_count_on_any_grid);
    tcase_add_test(c, prumerge_keeps_outliers_and_sums_the_rest);
    tcase_add_test(c, prumerge_counts_its_extra_row);
    tcase_add_test(c, prumerge_loses_an_outlier_in_compat);
    tcase_add_test(c, prumerge_asks_with_the_mean_query);
    tcase_add_test(c, flowcut_runs_its_own_schedule);
    tcase_add_test(c, flowcut_accumulates);
    tcase_add_test(c, flowcut_checks_its_arrays);
    tcase_add_test(c, mctf_weighs_by_attention_and_size);
    tcase_add_test(c, mctf_follows_chains);
    tcase_add_test(c, mctf_survives_what_is_no_number);
    tcase_add_test(c, ats_inverts_the_distribution);
    tcase_add_test(c, ats_decides_the_count_and_yields_to_a_budget);
    suite_add_tcase(suite, c);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
