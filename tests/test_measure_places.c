/* SPDX-License-Identifier: MIT */
/* Metrics of places, steps and scores over whole results: selectors that are degenerate on purpose, a picture that was
 * resized, and everything that has an edge. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/map.h"
#include "core/rank.h"
#include "measure/scene.h"

enum { MAX_SLOT = 8, MAX_UNIT = 2048 };

static const char *const places[] = {"cover_chebyshev_max_patches",
                                     "cover_chebyshev_mean_patches",
                                     "cover_euclid_max_patches",
                                     "largest_empty_square_patches",
                                     "largest_empty_rectangle_patches2",
                                     "empty_rows_patches",
                                     "empty_cols_patches",
                                     "l2star_to_random_ratio",
                                     "clark_evans_ratio",
                                     "quadrant_entropy_ratio",
                                     "bins_entropy_ratio",
                                     "count_entropy_ratio",
                                     "count_gini_ratio",
                                     "empty_steps_share",
                                     "longest_gap_steps",
                                     "l2star_steps_to_random_ratio",
                                     "spearman_raster_rho",
                                     "spearman_row_rho",
                                     "spearman_col_rho",
                                     "spearman_centre_rho",
                                     "spearman_border_rho",
                                     "score_top1_share",
                                     "score_entropy_ratio"};

enum { N_PLACES = sizeof places / sizeof *places };

/* ---- results by hand --------------------------------------------------------------------------------------------------- */

typedef struct made {
    pare_result_view v;
    pare_slot slot[MAX_SLOT];
    int64_t unit_start[MAX_SLOT + 1], row_start[MAX_SLOT + 1];
    float box[4 * MAX_UNIT], score[MAX_UNIT];
    pare__map map;
} made;

/* A slot more, h x w units, of medium `media` at step t. */
static void add_slot(made *m, int32_t media, int32_t t, int32_t h, int32_t w)
{
    const int32_t s = m->v.grid[0]++;
    m->slot[s] = (pare_slot){.media = media, .t = t, .tile_rows = 1, .tile_cols = 1, .grid_h = h, .grid_w = w};
    m->unit_start[s + 1] = m->unit_start[s] + (int64_t)h * w;
}

/* Closes the view: unit i lives where kept[i] is set (NULL: all). Boxes divide a picture of 480 x 320 pixels. */
static void close_rows(made *m, const uint8_t *kept)
{
    const int32_t n_slot = m->v.grid[0];
    pare__map_begin(&m->map, m->unit_start[n_slot]);
    int64_t row = 0;
    for (int32_t s = 0; s < n_slot; s++) {
        const int32_t h = m->slot[s].grid_h, w = m->slot[s].grid_w;
        m->row_start[s] = row;
        for (int32_t i = 0; i < h * w; i++) {
            const int64_t unit = m->unit_start[s] + i;
            if (kept && !kept[unit]) continue;
            const float box[4] = {480.f / (float)w * (float)(i % w), 320.f / (float)h * (float)(i / w),
                                  480.f / (float)w * (float)(i % w + 1), 320.f / (float)h * (float)(i / w + 1)};
            memcpy(m->box + 4 * row++, box, sizeof box);
            ck_assert_int_eq(pare__map_keep(&m->map, unit), 0);
        }
    }
    m->row_start[n_slot] = row;
    ck_assert_int_eq(pare__map_finish(&m->map, NULL, 0, NULL), 0);
    m->v.struct_size = sizeof m->v;
    m->v.slot = m->slot;
    m->v.unit_start = m->unit_start;
    m->v.row_start = m->row_start;
    m->v.d = 1;
    m->v.n = m->map.m.n_in;
    m->v.k = m->map.m.n_out;
    m->v.box = m->box;
    m->v.map = m->map.m;
}

/* One photo of h x w units, of which those with a flag stay. */
static made *photo(int32_t h, int32_t w, const uint8_t *kept)
{
    made *m = PARE__NEW(made, 1);
    add_slot(m, 0, 0, h, w);
    close_rows(m, kept);
    return m;
}

static void drop(made *m)
{
    pare__map_fini(&m->map);
    pare__free(m);
}

static double value_of(const made *m, const made *other, const char *name)
{
    pare_error err = {0};
    double value = 12345;
    const int rc = pare__measure(&m->v, other ? &other->v : NULL, &pare__dense_c, &name, 1, &value, &err);
    ck_assert_msg(rc == 0, "%s: %s", name, err.text);
    return value;
}

static int failure_of(const made *m, const made *other, const char *name, pare_error *err)
{
    double value;
    return pare__measure(&m->v, other ? &other->v : NULL, &pare__dense_c, &name, 1, &value, err);
}

static void none_infinite(const made *m)
{
    for (int i = 0; i < N_PLACES; i++) {
        const double value = value_of(m, NULL, places[i]);
        ck_assert_msg(isnan(value) || fabs(value) < 1e6, "%s is %g", places[i], value);
    }
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

static int ends_with(const char *name, const char *unit)
{
    const size_t n = strlen(name), u = strlen(unit);
    return n > u + 1 && name[n - u - 1] == '_' && !strcmp(name + n - u, unit);
}

START_TEST(every_metric_says_what_it_is)
{
    int32_t n = 0;
    for (const pare__metric *m; (m = pare__metric_at(n)); n++) {
        ck_assert_msg(ends_with(m->name, m->unit), "%s does not end in its unit %s", m->name, m->unit);
        ck_assert_msg(strlen(m->name) < 64, "%s cannot be offered as the nearest name", m->name);
        ck_assert_msg(m->summary && *m->summary && m->formula && *m->formula && m->cite && *m->cite, "%s", m->name);
        ck_assert(m->better >= -1 && m->better <= 1 && m->compute);
        ck_assert_ptr_eq(pare__metric_find(m->name), m); /* and so no two share a name */
    }
    ck_assert_int_ge(n, N_PLACES);
    ck_assert_ptr_null(pare__metric_at(-1));
    for (int i = 0; i < N_PLACES; i++) ck_assert_msg(pare__metric_find(places[i]) != NULL, "%s", places[i]);
}
END_TEST

START_TEST(wrong_names_and_missing_results_are_said)
{
    made *m = photo(4, 4, NULL);
    pare_error err;
    ck_assert_int_eq(failure_of(m, NULL, "clark_evan_ratio", &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "'clark_evans_ratio'"));
    ck_assert_int_eq(failure_of(m, NULL, "zzzzzzzzzz", &err), PARE_E_INVALID);
    for (int32_t i = 0; pare__metric_at(i); i++) {
        const pare__metric *metric = pare__metric_at(i);
        if (!(metric->reads & (PARE__READS_REFERENCE | PARE__READS_OTHER))) continue;
        ck_assert_int_eq(failure_of(m, NULL, metric->name, &err), PARE_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, metric->name));
    }
    drop(m);
}
END_TEST

START_TEST(results_of_other_frames_are_refused)
{
    made *one = photo(4, 4, NULL), *clip = PARE__NEW(made, 1), *late = photo(4, 4, NULL);
    const double pts[2][2] = {{0, 0}, {1, 1}};
    pare_error err;
    add_slot(clip, 0, 0, 4, 4);
    add_slot(clip, 0, 1, 4, 4);
    close_rows(clip, NULL);
    ck_assert_int_eq(failure_of(one, clip, places[0], &err), PARE_E_INVALID);
    one->v.pts = pts[0];
    late->v.pts = pts[1];
    ck_assert_int_eq(failure_of(one, late, places[0], &err), PARE_E_INVALID);
    late->v.pts = pts[0];
    ck_assert_int_eq(failure_of(one, late, places[0], &err), 0);
    late->v.d = 2;
    ck_assert_int_eq(failure_of(one, late, places[0], &err), PARE_E_INVALID);
    drop(one);
    drop(clip);
    drop(late);
}
END_TEST

/* ---- selectors that deserve it ------------------------------------------------------------------------------------------- */

START_TEST(the_left_half_is_exposed)
{
    uint8_t half[256], grid[225];
    for (int i = 0; i < 256; i++) half[i] = i % 16 < 4;
    for (int i = 0; i < 225; i++) grid[i] = i % 15 % 3 == 1 && i / 15 % 3 == 1;
    made *left = photo(16, 16, half), *even = photo(15, 15, grid);
    ck_assert_double_eq(value_of(left, NULL, "cover_chebyshev_max_patches"), 12);
    ck_assert_double_eq(value_of(even, NULL, "cover_chebyshev_max_patches"), 1);
    ck_assert_double_eq(value_of(left, NULL, "largest_empty_square_patches"), 12);
    ck_assert_double_eq(value_of(left, NULL, "largest_empty_rectangle_patches2"), 192);
    ck_assert_double_eq(value_of(left, NULL, "empty_cols_patches"), 12);
    ck_assert_double_eq(value_of(left, NULL, "empty_rows_patches"), 0);
    ck_assert(value_of(left, NULL, "l2star_to_random_ratio") > 5);
    ck_assert(value_of(even, NULL, "l2star_to_random_ratio") < .8);
    ck_assert_double_eq_tol(value_of(left, NULL, "clark_evans_ratio"), 1, 1e-12);
    ck_assert_double_eq_tol(value_of(even, NULL, "clark_evans_ratio"), 2, 1e-12);
    ck_assert_double_eq_tol(value_of(left, NULL, "quadrant_entropy_ratio"), .5, 1e-12);
    ck_assert(value_of(even, NULL, "quadrant_entropy_ratio") > .97);
    ck_assert(value_of(left, NULL, "spearman_col_rho") < -.7);
    ck_assert(fabs(value_of(left, NULL, "spearman_row_rho")) < 1e-12);
    ck_assert(fabs(value_of(even, NULL, "spearman_col_rho")) < .1);
    drop(left);
    drop(even);
}
END_TEST

/* Root of the mean square over seeded random sets: what the ratio calls 1. */
START_TEST(random_cells_are_as_random)
{
    double square = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        pare__arena arena = {0};
        float key[256];
        int32_t keep[64];
        uint8_t kept[256] = {0};
        pare__rng r = pare__rng_make(seed, 0, 0);
        for (int i = 0; i < 256; i++) key[i] = (float)pare__rng_unit(&r);
        ck_assert_int_eq(pare__topk(key, 256, 64, keep, &arena), 0);
        pare__arena_fini(&arena);
        for (int i = 0; i < 64; i++) kept[keep[i]] = 1;
        made *m = photo(16, 16, kept);
        const double ratio = value_of(m, NULL, "l2star_to_random_ratio");
        square += ratio * ratio / 400;
        drop(m);
    }
    ck_assert_msg(fabs(sqrt(square) - 1) < .08, "%g", sqrt(square));
}
END_TEST

START_TEST(scores_speak_before_the_map)
{
    uint8_t kept[64];
    made *m;
    for (int i = 0; i < 64; i++) kept[i] = i % 8 < 4;
    m = photo(8, 8, kept);
    for (int i = 0; i < 64; i++) m->score[i] = (float)(i / 8 + 1);
    m->score[0] = NAN; /* a unit that no step ranked */
    m->v.scores = m->score;
    ck_assert(value_of(m, NULL, "spearman_row_rho") > .999);
    ck_assert(fabs(value_of(m, NULL, "spearman_col_rho")) < .05);
    ck_assert_double_eq_tol(value_of(m, NULL, "score_top1_share"), 8. / 287, 1e-12);
    m->score[5] = -1;
    ck_assert(isnan(value_of(m, NULL, "score_top1_share")) && isnan(value_of(m, NULL, "score_entropy_ratio")));
    m->score[5] = INFINITY;
    ck_assert_double_eq_tol(value_of(m, NULL, "score_top1_share"), 8. / 286, 1e-12);
    for (int i = 0; i < 64; i++) m->score[i] = 2;
    ck_assert(isnan(value_of(m, NULL, "spearman_row_rho")));
    ck_assert_double_eq_tol(value_of(m, NULL, "score_entropy_ratio"), 1, 1e-12);
    m->v.scores = NULL;
    ck_assert(value_of(m, NULL, "spearman_col_rho") < -.8);
    ck_assert(isnan(value_of(m, NULL, "score_top1_share")));
    drop(m);
}
END_TEST

/* ---- a grid of its own --------------------------------------------------------------------------------------------------- */

static const int32_t sizes[][4] = {{8, 8, 16, 16}, {5, 7, 13, 17}, {1, 1, 9, 6}, {11, 16, 12, 18}, {4, 4, 4, 4}};

START_TEST(a_resized_picture_is_seen_on_the_references_grid)
{
    const int32_t h = sizes[_i][0], w = sizes[_i][1], H = sizes[_i][2], W = sizes[_i][3];
    made *small = photo(h, w, NULL), *full = photo(H, W, NULL);
    pare__scene s = {.v = &small->v, .other = &full->v, .dense = &pare__dense_c, .n = full->v.n};
    pare__cells c;
    ck_assert_int_eq(pare__scene_owner(&s, NULL), 0);
    for (int32_t i = 0; i < H * W; i++) {
        const double y = (i / W + .5) * h / H, x = (i % W + .5) * w / W;
        ck_assert(fabs(s.owner[i] / w + .5 - y) < .501 && fabs(s.owner[i] % w + .5 - x) < .501);
    }
    ck_assert_int_eq(pare__scene_cells(&s, 0, &c, NULL), 0);
    ck_assert_int_eq(c.n_keep, (int64_t)h * w);
    for (int32_t i = 0; i < h * w; i++) { /* the anchor's box holds the row's centre, or touches it */
        const double y = (i / w + .5) * H / h, x = (i % w + .5) * W / w;
        ck_assert(fabs(s.anchor[i] / W + .5 - y) < .501 && fabs(s.anchor[i] % W + .5 - x) < .501);
    }
    pare__arena_fini(&s.arena);
    ck_assert(value_of(small, full, "cover_chebyshev_max_patches") <=
              ceil(fmax((double)H / h, (double)W / w)) / 2 + .5);
    ck_assert(isnan(value_of(small, full, "spearman_row_rho"))); /* everything of its own grid is kept */
    drop(small);
    drop(full);
}
END_TEST

START_TEST(rows_that_share_a_cell_count_once)
{
    made *fine = photo(8, 8, NULL), *coarse = photo(4, 4, NULL);
    pare__scene s = {.v = &fine->v, .other = &coarse->v, .dense = &pare__dense_c, .n = 16};
    pare__cells c;
    ck_assert_int_eq(pare__scene_cells(&s, 0, &c, NULL), 0);
    ck_assert_int_eq(c.n_keep, 16);
    pare__arena_fini(&s.arena);
    drop(fine);
    drop(coarse);
}
END_TEST

START_TEST(other_grids_need_boxes)
{
    made *small = photo(4, 4, NULL), *full = photo(8, 8, NULL);
    pare_error err;
    memset(small->box, 0, sizeof small->box);
    ck_assert_int_eq(failure_of(small, full, places[0], &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "16"));
    ck_assert_ptr_nonnull(strstr(err.text, "64"));
    drop(small);
    drop(full);
}
END_TEST

/* ---- steps --------------------------------------------------------------------------------------------------------------- */

/* Steps of medium 0 on 4 x 4 grids, count[t] rows in the first cells of each. */
static made *clip(const int32_t *count, int32_t t)
{
    made *m = PARE__NEW(made, 1);
    uint8_t kept[MAX_UNIT] = {0};
    for (int32_t s = 0; s < t; s++) {
        add_slot(m, 0, s, 4, 4);
        for (int32_t i = 0; i < count[s]; i++) kept[16 * s + i] = 1;
    }
    close_rows(m, kept);
    return m;
}

START_TEST(steps_of_a_clip)
{
    const int32_t even[4] = {4, 4, 4, 4}, first[4] = {16, 0, 0, 0}, all[4] = {16, 16, 16, 16};
    made *a = clip(even, 4), *b = clip(first, 4), *c = clip(all, 4);
    ck_assert_double_eq_tol(value_of(a, NULL, "count_entropy_ratio"), 1, 1e-12);
    ck_assert_double_eq(value_of(a, NULL, "longest_gap_steps"), 0);
    ck_assert_double_eq(value_of(b, NULL, "count_entropy_ratio"), 0);
    ck_assert_double_eq(value_of(b, NULL, "count_gini_ratio"), .75);
    ck_assert_double_eq(value_of(b, NULL, "empty_steps_share"), .75);
    ck_assert_double_eq(value_of(b, NULL, "longest_gap_steps"), 3);
    ck_assert_double_eq_tol(value_of(c, NULL, "l2star_steps_to_random_ratio"), 1, 1e-9);
    ck_assert(value_of(b, NULL, "l2star_steps_to_random_ratio") > 2);
    ck_assert_double_eq(value_of(b, NULL, "cover_chebyshev_max_patches"), 0); /* of the one slot that keeps anything */
    drop(a);
    drop(b);
    drop(c);
}
END_TEST

START_TEST(photos_have_no_steps)
{
    made *m = PARE__NEW(made, 1);
    uint8_t kept[MAX_UNIT] = {0};
    add_slot(m, 0, 0, 4, 6);
    add_slot(m, 1, 0, 9, 5);
    add_slot(m, 2, 0, 1, 7); /* nothing of the last is kept */
    kept[3] = kept[24] = kept[24 + 44] = 1;
    close_rows(m, kept);
    for (int i = 0; i < N_PLACES; i++)
        if (pare__metric_find(places[i])->reads & PARE__READS_STEPS) ck_assert(isnan(value_of(m, NULL, places[i])));
    ck_assert_double_eq(value_of(m, NULL, "cover_chebyshev_max_patches"), (3 + 4) / 2.);
    none_infinite(m);
    drop(m);
}
END_TEST

START_TEST(tiles_share_their_step)
{
    made *m = PARE__NEW(made, 1);
    uint8_t kept[MAX_UNIT] = {0};
    for (int32_t i = 0; i < 6; i++) {
        add_slot(m, 0, i / 3, 2, 2);
        m->slot[i].tile = i % 3;
        m->slot[i].tile_cols = 2;
    }
    kept[0] = kept[4] = 1;
    close_rows(m, kept);
    ck_assert_double_eq(value_of(m, NULL, "empty_steps_share"), .5);
    ck_assert_double_eq(value_of(m, NULL, "longest_gap_steps"), 1);
    ck_assert(isnan(value_of(m, NULL, "l2star_steps_to_random_ratio")));
    drop(m);
}
END_TEST

/* ---- edges --------------------------------------------------------------------------------------------------------------- */

static const int32_t grids[][2] = {{1, 1}, {1, 9}, {7, 1}, {2, 2}, {3, 5}, {16, 16}, {13, 17}};

START_TEST(nothing_is_infinite)
{
    const int32_t h = grids[_i][0], w = grids[_i][1], n = h * w;
    for (int32_t k = 1; k <= n; k = k < n && 3 * k > n ? n : 3 * k) {
        uint8_t kept[MAX_UNIT] = {0};
        for (int32_t i = 0; i < k; i++) kept[(int64_t)i * n / k] = 1;
        made *m = photo(h, w, kept);
        none_infinite(m);
        ck_assert(value_of(m, NULL, "cover_euclid_max_patches") >= 0);
        ck_assert(value_of(m, NULL, "l2star_to_random_ratio") >= 0);
        ck_assert(isnan(value_of(m, NULL, "clark_evans_ratio")) == (k == 1));
        ck_assert(isnan(value_of(m, NULL, "spearman_raster_rho")) == (k == n));
        ck_assert(isnan(value_of(m, NULL, "quadrant_entropy_ratio")) == (n == 1));
        if (h == 1) ck_assert(isnan(value_of(m, NULL, "spearman_row_rho")));
        drop(m);
    }
}
END_TEST

START_TEST(everything_kept_is_as_even_as_can_be)
{
    made *m = photo(grids[_i][0], grids[_i][1], NULL);
    ck_assert_double_eq(value_of(m, NULL, "cover_euclid_max_patches"), 0);
    ck_assert_double_eq(value_of(m, NULL, "largest_empty_rectangle_patches2"), 0);
    ck_assert_double_eq_tol(value_of(m, NULL, "l2star_to_random_ratio"), 1, 1e-9);
    drop(m);
}
END_TEST

static void add_photo_tests(TCase *c)
{
    tcase_add_test(c, every_metric_says_what_it_is);
    tcase_add_test(c, wrong_names_and_missing_results_are_said);
    tcase_add_test(c, results_of_other_frames_are_refused);
    tcase_add_test(c, the_left_half_is_exposed);
    tcase_add_test(c, random_cells_are_as_random);
    tcase_add_test(c, scores_speak_before_the_map);
    tcase_add_loop_test(c, a_resized_picture_is_seen_on_the_references_grid, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(c, rows_that_share_a_cell_count_once);
    tcase_add_test(c, other_grids_need_boxes);
}

int main(void)
{
    Suite *s = suite_create("measure places");
    TCase *c = tcase_create("results");
    add_photo_tests(c);
    tcase_add_test(c, steps_of_a_clip);
    tcase_add_test(c, photos_have_no_steps);
    tcase_add_test(c, tiles_share_their_step);
    tcase_add_loop_test(c, nothing_is_infinite, 0, sizeof grids / sizeof *grids);
    tcase_add_loop_test(c, everything_kept_is_as_even_as_can_be, 0, sizeof grids / sizeof *grids);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
