/* SPDX-License-Identifier: MIT */
/* Predicted units by hand; budgets of thumbnails and tiles. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/allocator.h"
#include "select/tiles.h"
#include "select_scene.h"

static void choose(scene *sc, int32_t site, const char *name, const char *options, int64_t k, pare__map *map)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_msg(!step_open(&s, name, options, &err), "%s", err.text);
    scene_look(sc, site, 0, sc->n_frame, 1, &look);
    look.view.k = k;
    ck_assert_msg(!step_run(&s, sc, &look.view, map, &err), "%s", err.text);
    step_close(&s);
}

static void expect(const pare__map *map, const int32_t *want, int64_t n)
{
    ck_assert_int_eq(map->m.n_out, n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(map->m.anchor[i], want[i]);
}

static void expect_owner(const pare__map *map, const int32_t *want)
{
    int32_t *owner = PARE__NEW(int32_t, map->m.n_in);
    pare__map_owner(&map->m, owner);
    for (int64_t c = 0; c < map->m.n_in; c++) ck_assert_int_eq(owner[c] < 0 ? -1 : map->m.anchor[owner[c]], want[c]);
    pare__free(owner);
}

/* ---- pixelprune ---------------------------------------------------------------------------------------------------- */

/* Units of one pixel each, grey[h * w]. */
static void grey_scene(scene *sc, int32_t h, int32_t w, const uint8_t *grey)
{
    scene_blank(sc, 1, h, w, 1, 1, 1);
    for (int32_t i = 0; i < h * w; i++) memset(sc->frame[0] + 3 * i, grey[i], 3);
}

START_TEST(equal_units_are_members)
{
    const uint8_t grey[] = {7, 7, 9, 7, 9, 9};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 2, 3, grey);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", -1, &map);
    /* 4: corner 7 = left 7, above 7 too: predicts left, differs; 5: corner 7 != left: predicts left = 9 */
    expect(&map, (int32_t[]){0, 2, 4}, 3);
    expect_owner(&map, (int32_t[]){0, 0, 2, 0, 4, 4});
    ck_assert(map.m.row_start[3] == 3 && map.m.size[0] == 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(an_edge_predicts_from_above)
{
    const uint8_t grey[] = {7, 9, 7, 9};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 2, 2, grey);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", -1, &map); /* 3: corner = left, not above */
    expect_owner(&map, (int32_t[]){0, 1, 0, 1});
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(a_threshold_means_what_it_says)
{
    const uint8_t grey[] = {0, 51, 0, 52};
    static const char *const options[] = {"tau=0.2", "tau=0.2:metric=mae", "tau=0.2:metric=rmse"};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 1, 4, grey);
    for (int i = 0; i < 3; i++) {
        choose(&sc, PARE__SITE_PATCHES, "pixelprune", options[i], -1, &map); /* 51 / 255 = .2 */
        expect_owner(&map, (int32_t[]){0, 0, 0, 3});
    }
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "tau=0.9:metric=exact", -1, &map);
    ck_assert_int_eq(map.m.n_out, 4);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(anchors_do_not_drift)
{
    const uint8_t ramp[] = {0, 10, 20, 30, 40, 50};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 1, 6, ramp);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "tau=0.08", -1, &map); /* 20.4 / 255 */
    expect_owner(&map, (int32_t[]){0, 0, 0, 3, 3, 3});
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "tau=0.08:anchor=0", -1, &map);
    expect_owner(&map, (int32_t[]){0, 0, 0, 0, 0, 0});
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(a_budget_is_exact)
{
    const uint8_t grey[] = {0, 3, 100, 101, 0, 200, 201, 202};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 1, 8, grey);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", 4, &map);
    expect_owner(&map, (int32_t[]){0, 0, 2, 2, 4, 5, 5, 5});
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "metric=exact", 5, &map); /* and the farthest from its row */
    expect_owner(&map, (int32_t[]){0, 1, 2, 2, 4, 5, 5, 5});
    for (int64_t k = 1; k <= 8; k++) {
        choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", k, &map);
        ck_assert_int_eq(map.m.n_out, k);
    }
    memset(sc.frame[0], 9, 24);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", 3, &map);
    expect(&map, (int32_t[]){0, 1, 2}, 3);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(holes_predict_nothing)
{
    const uint8_t grey[] = {5, 5, 5, 5, 5, 5, 5, 5, 5}, keep[] = {1, 0, 1, 1, 1, 0, 0, 0, 1};
    scene sc;
    pare__map map = {0};
    grey_scene(&sc, 3, 3, grey);
    scene_thin(&sc, keep); /* cells 0 2 3 4 8: 2 and 8 have neither neighbour */
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", -1, &map);
    expect_owner(&map, (int32_t[]){0, 1, 0, 0, 4});
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(all_pictures_of_a_step_count)
{
    scene sc;
    pare__map map = {0};
    scene_blank(&sc, 1, 1, 2, 1, 1, 2);
    sc.frame[1][3] = 4; /* second picture, second unit */
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "", -1, &map);
    ck_assert_int_eq(map.m.n_out, 2);
    choose(&sc, PARE__SITE_PATCHES, "pixelprune", "metric=mae:tau=0.003", -1, &map); /* 4 / 6 / 255 = .0026 */
    ck_assert_int_eq(map.m.n_out, 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* ---- tiles --------------------------------------------------------------------------------------------------------- */

/* media pictures of 1 + rows * cols slots of side x side units, and a last slot that is not tiled. */
typedef struct album {
    scene sc;
    pare_slot slot[32];
    float *shallow;
} album;

static void album_open(album *a, int32_t media, int32_t rows, int32_t cols, int32_t side)
{
    const int32_t each = 1 + rows * cols;
    scene_blank(&a->sc, media * each + 1, side, side, 1, 1, 1);
    for (int32_t s = 0; s < media * each; s++) a->slot[s] = (pare_slot){s / each, s % each, 0, rows, cols, side, side};
    a->slot[media * each] = (pare_slot){media, 0, 0, 1, 1, side, side};
    a->sc.slot = a->slot;
    a->shallow = (float *)(uintptr_t)scene_add(&a->sc, PARE__ARRAY_CLS_ROW, 0, 1, 0)->data;
    for (int64_t i = 0; i < a->sc.n; i++) a->shallow[i] = a->sc.attention[i] = (float)(1 + i % 7);
}

static void counts(const album *a, const pare__map *map, int32_t *count)
{
    memset(count, 0, 32 * sizeof *count);
    for (int64_t r = 0; r < map->m.n_out; r++) count[a->sc.thw[3 * (int64_t)map->m.anchor[r]]]++;
}

START_TEST(pictures_are_found)
{
    album a;
    scene_view look;
    album_open(&a, 2, 1, 2, 4);
    scene_look(&a.sc, PARE__SITE_OUTPUT, 0, 7, 1, &look);
    const pare__picture first = pare__picture_at(&look.view, 0), second = pare__picture_at(&look.view, 3);
    const pare__picture last = pare__picture_at(&look.view, 6), tile = pare__picture_at(&look.view, 1);
    ck_assert(first.n == 3 && first.rows == 1 && first.cols == 2 && second.first == 3 && second.n == 3);
    ck_assert(last.n == 1 && last.rows == 0 && tile.n == 1);
    scene_look(&a.sc, PARE__SITE_OUTPUT, 0, 2, 1, &look); /* a tile is missing */
    ck_assert_int_eq(pare__picture_at(&look.view, 0).n, 1);
    scene_free(&a.sc);
    album_open(&a, 1, 1, 1, 4); /* one tile, then a picture without */
    scene_look(&a.sc, PARE__SITE_OUTPUT, 0, 2, 1, &look);
    ck_assert_int_eq(pare__picture_at(&look.view, 0).n, 2);
    scene_look(&a.sc, PARE__SITE_OUTPUT, 2, 1, 1, &look);
    ck_assert_int_eq(pare__picture_at(&look.view, 0).n, 1);
    scene_free(&a.sc);
}
END_TEST

/* The thumbnail looks at the upper left only. */
static void look_up_left(album *a, int32_t side)
{
    for (int32_t i = 0; i < side * side; i++)
        a->sc.attention[i] = i / side < side / 2 && i % side < side / 2 ? 8 + (float)i / 100 : 0.001f * (float)i;
}

START_TEST(tiles_under_attention_get_more)
{
    static const char *const names[] = {"globalcom2", "hired"};
    album a;
    pare__map map = {0};
    int32_t c[32];
    album_open(&a, 1, 2, 2, 4);
    look_up_left(&a, 4);
    for (int i = 0; i < 2; i++) {
        choose(&a.sc, PARE__SITE_OUTPUT, names[i], "", 41, &map);
        counts(&a, &map, c);
        ck_assert_int_eq(map.m.n_out, 41);
        ck_assert_msg(c[1] > c[2] && c[1] > c[3] && c[1] > c[4], "%s: %d %d %d %d", names[i], c[1], c[2], c[3], c[4]);
        ck_assert_int_eq(c[5], 7); /* the other picture's share: 41 * 16 / 96 */
    }
    choose(&a.sc, PARE__SITE_OUTPUT, "hired", "alpha=1", 20, &map);
    counts(&a, &map, c);
    ck_assert(c[0] == 16 && c[1] == 1 && c[5] == 3); /* what the thumbnail cannot take goes to the tiles */
    pare__map_fini(&map);
    scene_free(&a.sc);
}
END_TEST

START_TEST(without_a_budget_the_share_counts)
{
    album a;
    pare__map map = {0};
    int32_t c[32];
    album_open(&a, 1, 1, 3, 4);
    choose(&a.sc, PARE__SITE_OUTPUT, "globalcom2", "", -1, &map);
    ck_assert_int_eq(map.m.n_out, 16 + 4); /* a quarter of 64 and of 16 */
    choose(&a.sc, PARE__SITE_OUTPUT, "hired", "rate=0.3", -1, &map);
    counts(&a, &map, c);
    ck_assert(map.m.n_out == 19 + 4 && c[0] == 9);
    choose(&a.sc, PARE__SITE_OUTPUT, "globalcom2", "base=0.3:compat=1", -1, &map);
    counts(&a, &map, c);
    ck_assert(c[0] == 4 && c[4] == 4 && map.m.n_out < 19 + 4); /* int(4.8) of every slot */
    choose(&a.sc, PARE__SITE_OUTPUT, "hired", "rate=0.3:compat=1", -1, &map);
    ck_assert(map.m.n_out <= 19 + 4);
    pare__map_fini(&map);
    scene_free(&a.sc);
}
END_TEST

/* Two columns of tiles; the thumbnail looks at its left half: row bands see nothing of that. */
START_TEST(bands_are_not_cells)
{
    album a;
    scene_view look;
    double cells[2], bands[2];
    album_open(&a, 1, 1, 2, 4);
    for (int32_t i = 0; i < 16; i++) a.sc.attention[i] = i % 4 < 2 ? 1 : 0;
    scene_look(&a.sc, PARE__SITE_OUTPUT, 0, 4, 1, &look);
    const pare__picture p = pare__picture_at(&look.view, 0);
    ck_assert_int_eq(pare__tile_shares(&look.view, &p, a.sc.attention, 0.5, 0, cells), 0);
    ck_assert_int_eq(pare__tile_shares(&look.view, &p, a.sc.attention, 0.5, 1, bands), 0);
    ck_assert(cells[0] == 8 && cells[1] == 0 && bands[0] == 4 && bands[1] == 4);
    scene_free(&a.sc);
}
END_TEST

START_TEST(the_thumbnail_ranks_the_tiles)
{
    album a;
    pare__map map = {0};
    album_open(&a, 1, 1, 2, 4);
    for (int64_t i = 0; i < a.sc.n; i++) a.sc.attention[i] = 1;
    a.sc.attention[8] = 30; /* row 2, column 0: enlarged, rows 2 .. of the first tile's left */
    choose(&a.sc, PARE__SITE_OUTPUT, "globalcom2", "", 12, &map);
    int found = 0;
    for (int64_t r = 0; r < map.m.n_out; r++) found += map.m.anchor[r] == 16 + 8;
    ck_assert_int_eq(found, 1);
    pare__map_fini(&map);
    scene_free(&a.sc);
}
END_TEST

static void weigh(const char *name, album *a, double *weight, pare_error *err)
{
    scene_view look;
    union {
        double align;
        char bytes[256];
    } priv;
    const pare__allocator *alloc = pare__allocator_find(name);
    pare__option_defaults(alloc->options, priv.bytes);
    scene_look(&a->sc, PARE__SITE_OUTPUT, 0, a->sc.n_frame, 1, &look);
    ck_assert_int_eq(alloc->weigh(priv.bytes, &look.view, weight, err), 0);
}

START_TEST(allocators_weigh_slots)
{
    album a;
    double w[6];
    pare_error err = {0};
    album_open(&a, 1, 2, 2, 4);
    look_up_left(&a, 4);
    weigh("globalcom2", &a, w, &err);
    ck_assert(w[0] == 1 && w[5] == 1 && w[1] > 1.5 && w[2] < 1);
    ck_assert_double_eq_tol(w[1] + w[2] + w[3] + w[4], 4, 1e-12);
    weigh("hired", &a, w, &err);
    ck_assert(w[0] == 2.5 && w[5] == 1 && w[1] == 2.5 * 4 / 8); /* 8 looked at: 4 above left, 4 more below */
    ck_assert_double_eq_tol(w[1] + w[2] + w[3] + w[4], 2.5, 1e-12);
    scene_free(&a.sc);
}
END_TEST

/* The same picture with its tiles first: slot i shows what slot i + 1 of the other shows, the last what its first does. */
START_TEST(the_whole_may_stand_last)
{
    static const char *const names[] = {"globalcom2", "hired"}, *const own[] = {"compat=1", "rate=0.3:compat=1"};
    album a, b;
    pare__map map = {0};
    int32_t c[32], d[32];
    double v[6], w[6];
    pare_error err = {0};
    album_open(&a, 1, 2, 2, 4);
    album_open(&b, 1, 2, 2, 4);
    look_up_left(&a, 4);
    for (int i = 0; i < 5; i++) {
        b.slot[i] = a.slot[(i + 1) % 5];
        memcpy(b.sc.attention + 16 * i, a.sc.attention + 16 * ((i + 1) % 5), 16 * sizeof *a.shallow);
        memcpy(b.shallow + 16 * i, a.shallow + 16 * ((i + 1) % 5), 16 * sizeof *a.shallow);
    }
    for (int i = 0; i < 4; i++) {
        choose(&a.sc, PARE__SITE_OUTPUT, names[i % 2], i < 2 ? "" : own[i % 2], i < 2 ? 41 : -1, &map);
        counts(&a, &map, c);
        choose(&b.sc, PARE__SITE_OUTPUT, names[i % 2], i < 2 ? "" : own[i % 2], i < 2 ? 41 : -1, &map);
        counts(&b, &map, d);
        for (int j = 0; j < 5; j++) ck_assert_int_eq(d[j], c[(j + 1) % 5]);
        ck_assert_int_eq(d[5], c[5]);
        weigh(names[i % 2], &a, v, &err);
        weigh(names[i % 2], &b, w, &err);
        for (int j = 0; j < 5; j++) ck_assert(w[j] == v[(j + 1) % 5]);
    }
    pare__map_fini(&map);
    scene_free(&a.sc);
    scene_free(&b.sc);
}
END_TEST

START_TEST(missing_arrays_are_named)
{
    scene sc;
    scene_view look;
    step s;
    pare__map map = {0};
    pare_error err = {0};
    scene_make(&sc, 1, 2, 2, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    look.view.k = 2;
    ck_assert_int_eq(step_open(&s, "hired", "", NULL), 0);
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "'hired' needs the array 'cls_row' of block 0");
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tiles");
    TCase *c = tcase_create("all");
    tcase_add_test(c, equal_units_are_members);
    tcase_add_test(c, an_edge_predicts_from_above);
    tcase_add_test(c, a_threshold_means_what_it_says);
    tcase_add_test(c, anchors_do_not_drift);
    tcase_add_test(c, a_budget_is_exact);
    tcase_add_test(c, holes_predict_nothing);
    tcase_add_test(c, all_pictures_of_a_step_count);
    tcase_add_test(c, pictures_are_found);
    tcase_add_test(c, tiles_under_attention_get_more);
    tcase_add_test(c, without_a_budget_the_share_counts);
    tcase_add_test(c, bands_are_not_cells);
    tcase_add_test(c, the_thumbnail_ranks_the_tiles);
    tcase_add_test(c, allocators_weigh_slots);
    tcase_add_test(c, the_whole_may_stand_last);
    tcase_add_test(c, missing_arrays_are_named);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
