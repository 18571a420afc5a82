/* SPDX-License-Identifier: MIT */
/* Position interpolation: values computed by the rules of torch and transformers by hand, identity, constants, linear ramps, the cache. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "encode/parts.h"

static const pare__interp kinds[] = {PARE__INTERP_BICUBIC, PARE__INTERP_BICUBIC_AA, PARE__INTERP_BILINEAR_AA,
                                     PARE__INTERP_BILINEAR_ENDS, PARE__INTERP_BUCKET};
enum { N_HALVES = 3, N_KIND = sizeof kinds / sizeof *kinds }; /* the first ones align halves of pixels */

START_TEST(identity)
{
    float in[5 * 4 * 3], out[5 * 4 * 3];
    for (int i = 0; i < 60; i++) in[i] = sinf((float)i);
    ck_assert_int_eq(pare__interp_table(kinds[_i], in, 5, 4, 3, out, 5, 4), 0);
    ck_assert_mem_eq(in, out, sizeof in);
}
END_TEST

START_TEST(constant)
{
    float in[7 * 9 * 2], out[11 * 5 * 2];
    for (int i = 0; i < 7 * 9 * 2; i++) in[i] = i % 2 ? -3.5f : 2.0f;
    ck_assert_int_eq(pare__interp_table(kinds[_i], in, 7, 9, 2, out, 11, 5), 0);
    for (int i = 0; i < 11 * 5 * 2; i++) ck_assert_float_eq_tol(out[i], i % 2 ? -3.5f : 2.0f, 1e-6f);
}
END_TEST

/* 2 -> 4, no antialias: source position of output 1 is 0.25; taps at -1, 0, 1, 2 with borders clamped. */
START_TEST(bicubic_by_hand)
{
    float in[2] = {0, 1}, out[4];
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BICUBIC, in, 1, 2, 1, out, 1, 4), 0);
    double a = -0.75, t = 0.25; /* weights of taps 1 and 2 right of the centre carry the 1 */
    double w1 = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
    double x = 2 - t, w2 = (((x - 5) * x + 8) * x - 4) * a;
    ck_assert_double_eq_tol((double)out[1], w1 + w2, 1e-6);
    ck_assert_double_eq_tol((double)(out[1] + out[2]), 1, 1e-6);
    ck_assert_double_eq_tol((double)(out[0] + out[3]), 1, 1e-6);
    ck_assert_double_lt((double)out[0], 0); /* overshoot: torch gives -0.0527 */
    t = 0.75;                               /* output 0 sits at -0.25 = -1 + 0.75: the 1 is the fourth tap */
    x = 2 - t;
    ck_assert_double_eq_tol((double)out[0], (((x - 5) * x + 8) * x - 4) * a, 1e-6);
}
END_TEST

/* 4 -> 2 antialiased bilinear: triangle of support 2 around 1: weights of 0..3 are 1/8 3/8 3/8 1/8 without border */
START_TEST(bilinear_aa_by_hand)
{
    float in[4] = {8, 16, 24, 64}, out[2];
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_AA, in, 1, 4, 1, out, 1, 2), 0);
    /* centre 1, taps 0..2 (3 lies outside the support): 0.75 0.75 0.25 over 1.75 */
    ck_assert_double_eq_tol((double)out[0], (8 * .75 + 16 * .75 + 24 * .25) / 1.75, 1e-5);
    ck_assert_double_eq_tol((double)out[1], (16 * .25 + 24 * .75 + 64 * .75) / 1.75, 1e-5);
}
END_TEST

/* Qwen3-VL: end points meet; what lies between is linear. 3 rows to 5: 0, 1/2, 1, 3/2, 2; one place takes the first. */
START_TEST(ends_by_hand)
{
    const float in[3] = {1, 5, 21};
    const float want[5] = {1, 3, 5, 13, 21};
    float out[5];
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_ENDS, in, 3, 1, 1, out, 5, 1), 0);
    for (int i = 0; i < 5; i++) ck_assert_float_eq_tol(out[i], want[i], 1e-6f);
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_ENDS, in, 3, 1, 1, out, 2, 1), 0);
    ck_assert(out[0] == 1 && out[1] == 21);
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_ENDS, in, 1, 3, 1, out, 1, 1), 0);
    ck_assert(out[0] == 1);
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_ENDS, in, 1, 1, 1, out, 2, 2), 0);
    ck_assert(out[0] == 1 && out[3] == 1);
}
END_TEST

/* Both axes at once, over every size, against the definition: place i of n lies at i (G - 1) / (n - 1). */
START_TEST(ends_follow_their_formula)
{
    enum { G = 8 };
    float in[G * G], out[20 * 20];
    for (int i = 0; i < G * G; i++) in[i] = sinf((float)i * 1.7f);
    for (int h = 1; h <= 20; h += 3) {
        for (int w = 2; w <= 20; w += 3) {
            ck_assert_int_eq(pare__interp_table(PARE__INTERP_BILINEAR_ENDS, in, G, G, 1, out, h, w), 0);
            for (int i = 0; i < h * w; i++) {
                const double y = h > 1 ? (double)(i / w) * (G - 1) / (h - 1) : 0,
                             x = (double)(i % w) * (G - 1) / (w - 1);
                const int r = (int)fmin(floor(y), G - 2), c = (int)fmin(floor(x), G - 2);
                const double top = (double)in[r * G + c] * (c + 1 - x) + (double)in[r * G + c + 1] * (x - c);
                const double low =
                    (double)in[(r + 1) * G + c] * (c + 1 - x) + (double)in[(r + 1) * G + c + 1] * (x - c);
                ck_assert_double_eq_tol((double)out[i], top * (r + 1 - y) + low * (y - r), 1e-6);
            }
        }
    }
}
END_TEST

/* Idefics3: 4 rows over 6 places are 0 0 1 2 2 3; 3 columns over 2 are 0 1. */
START_TEST(bucket_by_hand)
{
    static const int rows[6] = {0, 0, 1, 2, 2, 3}, cols[2] = {0, 1};
    float in[12], out[12];
    for (int i = 0; i < 12; i++) in[i] = (float)(i * i + 1);
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BUCKET, in, 4, 3, 1, out, 6, 2), 0);
    for (int i = 0; i < 12; i++) ck_assert_float_eq(out[i], in[rows[i / 2] * 3 + cols[i % 2]]);
}
END_TEST

START_TEST(axes_are_not_mixed_up)

{
    enum { R = 6, C = 9, OR = 10, OC = 7 };
    float in[R * C], out[OR * OC];
    for (int r = 0; r < R; r++) {
        for (int c = 0; c < C; c++) in[r * C + c] = (float)(100 * r + c);
    }
    ck_assert_int_eq(pare__interp_table(kinds[_i], in, R, C, 1, out, OR, OC), 0);
    for (int r = 4; r < OR - 4; r++) { /* away from borders a ramp stays a ramp */
        for (int c = 3; c < OC - 3; c++) {
            double want = 100 * ((r + .5) * R / OR - .5) + (c + .5) * C / OC - .5;
            ck_assert_double_eq_tol((double)out[r * OC + c], want, 8);
        }
    }
}
END_TEST

START_TEST(cache_keeps_sizes)
{
    float pos[(1 + 4) * 2] = {9, 9, 1, 2, 3, 4, 5, 6, 7, 8};
    pare_model m = {
        .hp = {.dim = 2, .pos_rows = 2, .pos_cols = 2, .has_cls = 1, .n_prefix = 5, .pos_prefix = PARE__POS_CLS_ONLY},
        .w = {.pos = pos}};
    pare__positions *cache = NULL;
    ck_assert_ptr_eq(pare__positions_get(&cache, &m, 2, 2), pos + 2);
    ck_assert_ptr_null(cache);
    const float *big = pare__positions_get(&cache, &m, 3, 5), *small = pare__positions_get(&cache, &m, 1, 1);
    ck_assert_ptr_ne(big, small);
    ck_assert_ptr_eq(pare__positions_get(&cache, &m, 3, 5), big);
    ck_assert_float_eq_tol(small[0], 4, 1e-6f); /* centre of 1 3 5 7 */
    m.hp.pos_prefix = PARE__POS_NO_PREFIX;
    ck_assert_ptr_eq(pare__positions_get(&cache, &m, 2, 2), pos);
    pare__positions_free(&cache);
    ck_assert_ptr_null(cache);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("interp");
    TCase *t = tcase_create("interp");
    tcase_add_loop_test(t, identity, 0, N_KIND);
    tcase_add_loop_test(t, constant, 0, N_KIND);
    tcase_add_test(t, bicubic_by_hand);
    tcase_add_test(t, bilinear_aa_by_hand);
    tcase_add_test(t, ends_by_hand);
    tcase_add_test(t, ends_follow_their_formula);
    tcase_add_test(t, bucket_by_hand);
    tcase_add_loop_test(t, axes_are_not_mixed_up, 0, N_HALVES);
    tcase_add_test(t, cache_keeps_sizes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
