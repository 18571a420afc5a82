/* SPDX-License-Identifier: MIT */
/* Pooling of clips: the whole grid against bilinear interpolation spelt out, and what is left of it when rows were dropped,
 * merged or must stay. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "reduce/clip_pool.h"

enum { D = 3, MAX_SIDE = 27, MAX_UNIT = 2 * MAX_SIDE * MAX_SIDE };

typedef struct world {
    pare__arena arena;
    pare__context ctx;
    pare__maps maps;
    pare__rows rows;
    pare_slot slot[2];
    uint8_t mask[MAX_UNIT];
    float x[MAX_UNIT][D]; /* of every unit */
} world;

static world w;

/* Two slots of h x w units with random rows. */
static void make(int32_t h, int32_t width)
{
    pare__rng rng = pare__rng_make(7, (uint64_t)h, (uint64_t)width);
    w = (world){.ctx.n_run = 0};
    for (int t = 0; t < 2; t++)
        w.slot[t] = (pare_slot){.t = t, .tile_rows = 1, .tile_cols = 1, .grid_h = h, .grid_w = width};
    memset(w.mask, PARE_MASK_FREE, sizeof w.mask);
    w.ctx.arena = &w.arena;
    w.ctx.maps = &w.maps;
    w.ctx.slot = w.slot;
    w.ctx.mask = w.mask;
    ck_assert_int_eq(pare__rows_reset(&w.rows, w.slot, 2), 0);
    ck_assert_int_eq(pare__rows_reserve_x(&w.rows, w.rows.n, D), 0);
    ck_assert_int_eq(pare__rows_reserve_deep(&w.rows, 1, w.rows.n), 0);
    for (int64_t i = 0; i < w.rows.n; i++)
        for (int c = 0; c < D; c++) w.x[i][c] = (float)pare__rng_unit(&rng) - 0.5F;
    memcpy(w.rows.x, w.x, (size_t)w.rows.n * sizeof w.x[0]);
    memcpy(w.rows.deep[0], w.x, (size_t)w.rows.n * sizeof w.x[0]);
}

static void unmake(void)
{
    pare__rows_fini(&w.rows);
    pare__maps_fini(&w.maps);
    pare__arena_fini(&w.arena);
}

static void pool(int32_t by) { ck_assert_int_eq(pare__clip_pool(&w.ctx, &w.rows, by), 0); }

/* Weight of place j of n in place i of m, from the definition: the triangle of width 1 around the centre, borders clamped. */
static double weight_of(int32_t i, int32_t m, int32_t j, int32_t n)
{
    const double centre = fmin(fmax((i + 0.5) * n / m - 0.5, 0), n - 1);
    return fmax(0, 1 - fabs(centre - j));
}

static int32_t out_of(int32_t n, int32_t by) { return (int32_t)ceil((double)n / by); }

START_TEST(a_full_grid_is_interpolated)
{
    static const int32_t cases[][3] = {{27, 27, 2}, {5, 5, 2}, {4, 6, 2}, {7, 3, 3}, {1, 1, 2}, {2, 9, 4}};
    const int32_t h = cases[_i][0], width = cases[_i][1], by = cases[_i][2];
    const int32_t oh = out_of(h, by), ow = out_of(width, by);
    make(h, width);
    pool(by);
    ck_assert_int_eq(w.rows.n, 2 * oh * ow);
    ck_assert_int_eq(pare__clip_pooled(h, width, by), oh * ow);
    for (int32_t t = 0, row = 0; t < 2; t++)
        for (int32_t i = 0; i < oh * ow; i++, row++)
            for (int c = 0; c < D; c++) {
                double want = 0;
                for (int32_t u = 0; u < h * width; u++)
                    want += weight_of(i / ow, oh, u / width, h) * weight_of(i % ow, ow, u % width, width) *
                            (double)w.x[t * h * width + u][c];
                ck_assert_double_eq_tol((double)w.rows.x[row * D + c], want, 1e-6);
                ck_assert_float_eq(w.rows.deep[0][row * D + c], w.rows.x[row * D + c]);
            }
    ck_assert_int_eq(w.rows.frame_start[1], oh * ow);
    unmake();
}
END_TEST

/* Leaves the units for which keep is 1. */
static void thin(const uint8_t *keep)
{
    pare__map map = {0};
    pare__map_begin(&map, w.rows.n);
    for (int64_t i = 0; i < w.rows.n; i++)
        if (keep[i]) ck_assert_int_eq(pare__map_keep(&map, i), 0);
    ck_assert_int_eq(pare__map_finish(&map, w.rows.size, 1, NULL), 0);
    ck_assert_int_eq(pare__rows_reduce(&w.rows, &map, &w.arena), 0);
    pare__map_fini(&map);
}

static double size_sum(void)
{
    double sum = 0;
    for (int64_t i = 0; i < w.rows.n; i++) sum += (double)w.rows.size[i];
    return sum;
}

/* Whatever is dropped: one row at most for each that was left, at its place, patches counted once. */
START_TEST(what_is_left_is_pooled)
{
    static uint8_t keep[MAX_UNIT];
    const int32_t h = 9, width = 11, by = 2 + _i % 2;
    pare__rng rng = pare__rng_make((uint64_t)_i, 5, 5);
    pare_error err = {0};
    int64_t left = 0;
    make(h, width);
    for (int64_t i = 0; i < w.rows.n; i++) left += keep[i] = pare__rng_below(&rng, 10) < 1 + _i / 2;
    thin(keep);
    pool(by);
    ck_assert_int_le(w.rows.n, left);
    ck_assert_int_le(w.rows.n, 2 * out_of(h, by) * out_of(width, by));
    ck_assert_msg(!pare__map_check(&w.rows.total.m, PARE__MAP_SORTED, &err), "%s", err.text);
    if (by == 2) ck_assert_double_eq_tol(size_sum(), (double)left, 1e-4); /* wider pools pass units over */
    for (int64_t i = 0; i < w.rows.n; i++) {
        const pare_map *m = &w.rows.total.m;
        ck_assert(keep[m->anchor[i]]);
        ck_assert(i == 0 || m->anchor[i] > m->anchor[i - 1]);
        for (int c = 0; c < D; c++) {
            double want = 0;
            for (int64_t j = m->row_start[i]; j < m->row_start[i + 1]; j++)
                want += (double)m->weight[j] * (double)w.x[m->index[j]][c];
            ck_assert_double_eq_tol((double)w.rows.x[i * D + c], want, 1e-6);
        }
    }
    unmake();
}
END_TEST

START_TEST(weights_are_shared_by_what_is_left)
{
    const uint8_t keep[8] = {1, 1, 1, 0, 0, 0, 0, 1}; /* two slots of 2 x 2 */
    make(2, 2);
    thin(keep);
    pool(2);
    ck_assert_int_eq(w.rows.n, 2);
    for (int c = 0; c < D; c++) {
        const double want = ((double)w.x[0][c] + (double)w.x[1][c] + (double)w.x[2][c]) / 3;
        ck_assert_double_eq_tol((double)w.rows.x[c], want, 1e-6);
        ck_assert_float_eq(w.rows.x[D + c], w.x[7][c]);
    }
    ck_assert_float_eq(w.rows.size[0], 3);
    ck_assert_float_eq(w.rows.size[1], 1);
    unmake();
}
END_TEST

/* A merged row counts as often as the patches it stands for; one that must stay gives its place. */
START_TEST(sizes_weigh_and_masks_anchor)
{
    make(2, 2);
    w.rows.size[3] = 3;
    w.mask[2] = PARE_MASK_KEEP;
    pool(2);
    ck_assert_int_eq(w.rows.n, 2);
    ck_assert_int_eq(w.rows.total.m.anchor[0], 2);
    ck_assert_int_eq(w.rows.total.m.anchor[1], 4);
    ck_assert_float_eq(w.rows.size[0], 6);
    for (int c = 0; c < D; c++) {
        const double want = ((double)w.x[0][c] + (double)w.x[1][c] + (double)w.x[2][c] + 3 * (double)w.x[3][c]) / 6;
        ck_assert_double_eq_tol((double)w.rows.x[c], want, 1e-6);
    }
    unmake();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clip pool");
    TCase *c = tcase_create("all");
    tcase_add_loop_test(c, a_full_grid_is_interpolated, 0, 6);
    tcase_add_loop_test(c, what_is_left_is_pooled, 0, 18);
    tcase_add_test(c, weights_are_shared_by_what_is_left);
    tcase_add_test(c, sizes_weigh_and_masks_anchor);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
