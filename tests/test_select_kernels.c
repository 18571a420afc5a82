/* SPDX-License-Identifier: MIT */
/* Kernels that selectors share, against their definitions. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/exact.h"
#include "select/match.h"
#include "select/peaks.h"
#include "select/similar.h"
#include "select_scene.h"

/* ---- sums ------------------------------------------------------------------------------------------------------------ */

/* Every length around the eight strands; small integers, so that sums are exact whatever their order. */
START_TEST(sums_are_sums)
{
    float a[37], b[37];
    double wide[37], dot = 0, square = 0, l1 = 0;
    for (int i = 0; i < 37; i++) {
        a[i] = (float)(i % 7 - 3);
        b[i] = (float)(i % 5 - 1);
        wide[i] = a[i];
    }
    for (int64_t d = 0; d <= 37; d++) {
        ck_assert(pare__exact_dot(a, b, d) == dot);
        ck_assert(pare__exact_square(wide, d) == square);
        ck_assert(pare__exact_l1(a, d) == l1);
        if (d == 37) break;
        dot += (double)a[d] * (double)b[d];
        square += wide[d] * wide[d];
        l1 += fabs(wide[d]);
    }
}
END_TEST

/* ---- products and cosines ---------------------------------------------------------------------------------------- */

/* 1, one block and a part of the next, several blocks; the product is symmetric and that of the rows. */
START_TEST(all_products_are_symmetric)
{
    const int32_t count[] = {1, 131, 300};
    for (size_t c = 0; c < sizeof count / sizeof *count; c++) {
        scene sc;
        scene_view look;
        scene_make(&sc, 1, 1, count[c], 2);
        scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
        const int64_t n = sc.n;
        float *all = PARE__NEW(float, n *n);
        pare__all_products(&look.view, sc.token, n, sc.d, all);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                const double want = pare__exact_dot(sc.token + i * sc.d, sc.token + j * sc.d, sc.d);
                ck_assert(all[i * n + j] == all[j * n + i]);
                ck_assert_double_eq_tol((double)all[i * n + j], want, 1e-5);
            }
        }
        pare__free(all);
        scene_free(&sc);
    }
}
END_TEST

START_TEST(cosines_of_listed_rows)
{
    const int32_t row[] = {40, 3, 17, 0};
    scene sc;
    scene_view look;
    pare__similar all, some;
    scene_make(&sc, 1, 6, 8, 5);
    memset(sc.token + 17 * sc.d, 0, (size_t)sc.d * sizeof *sc.token);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    ck_assert_int_eq(pare__similar_init(&all, &look.view, sc.token, sc.d), 0);
    ck_assert_int_eq(pare__similar_rows(&some, &look.view, sc.token, sc.d, row, 4), 0);
    ck_assert(some.n == 4);
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 4; j++)
            ck_assert(pare__similar_row(&some, i)[j] == pare__similar_at(&all, row[i], row[j]));
    ck_assert(pare__similar_at(&some, 2, 2) == 0 && pare__similar_at(&some, 3, 3) == 1);
    scene_free(&sc);
}
END_TEST

/* Rows of b: 1, 3 and 4 equal the first of a, 2 and 5 are equally near to the second. */
START_TEST(match_takes_the_first_of_equals)
{
    const float a[] = {1, 0, 0, 0, 1, 0}, b[] = {0, 0, 1, 1, 0, 0, 0, .6f, .8f, 1, 0, 0, 1, 0, 0, 0, .6f, -.8f};
    scene sc;
    scene_view look;
    int32_t to[2];
    float score[2];
    scene_blank(&sc, 1, 1, 1, 3, 1, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    ck_assert_int_eq(pare__match_best(&look.view, a, 2, b, 6, 3, to, score), 0);
    ck_assert(to[0] == 1 && score[0] == 1);
    ck_assert(to[1] == 2 && score[1] == .6f);
    ck_assert_int_eq(pare__match_best(&look.view, a, 1, b, 1, 3, to, score), 0); /* nothing but a right angle */
    ck_assert(to[0] == 0 && score[0] == 0);
    scene_free(&sc);
}
END_TEST

/* ---- density peaks ----------------------------------------------------------------------------------------------- */

enum { EVERY = 205, N_SPOT = 4 };

/* A wide grid; every EVERY-th row stands at one of N_SPOT spots instead, with others. */
static float *spots_on_a_grid(int64_t n)
{
    float *x = PARE__NEW(float, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t spot = i % EVERY == EVERY - 1 ? i / EVERY % N_SPOT : -1;
        x[2 * i] = spot < 0 ? (float)(4 * (i % 64)) : (float)(-40 * (spot + 1));
        x[2 * i + 1] = spot < 0 ? (float)(4 * (i / 64)) : -40;
    }
    return x;
}

/* 4,100 rows go in blocks, 3,895 at once. */
START_TEST(peaks_at_once_and_in_blocks)
{
    scene sc;
    scene_view look;
    scene_blank(&sc, 1, 1, 1, 2, 1, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    for (int64_t k = 19; k <= 20; k++) {
        int32_t centre[20];
        float *x = spots_on_a_grid(k * EVERY);
        ck_assert_int_eq(pare__peaks(&look.view, x, k * EVERY, 2, 4, k, centre), 0);
        for (int64_t j = 0; j < k; j++) ck_assert_int_eq(centre[j], (j + 1) * EVERY - 1);
        pare__free(x);
    }
    scene_free(&sc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("select kernels");
    TCase *c = tcase_create("kernels");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, sums_are_sums);
    tcase_add_test(c, all_products_are_symmetric);
    tcase_add_test(c, cosines_of_listed_rows);
    tcase_add_test(c, match_takes_the_first_of_equals);
    tcase_add_test(c, peaks_at_once_and_in_blocks);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
