/* SPDX-License-Identifier: MIT */
/* Products of 16-bit numbers: the fast table against the oracle, to the bit, over random shapes; packing, rounding, the
 * edges of rows. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/mul16.h"
#include "core/rank.h"

enum { MARK = 0x5a5a5a5a };

static pare__rng rng;

static float number(void) { return (float)(pare__rng_unit(&rng) * 2 - 1); }

static int16_t *shorts(int64_t n, int limit)
{
    int16_t *p = pare__malloc(n, sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = (int16_t)lrintf(number() * (float)limit);
    return p;
}

static float *floats(int64_t n)
{
    float *p = pare__malloc(n, sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = number();
    return p;
}

/* c [m, n] of one table; b [n, k] transposed, or floats [k, n] in pairs of rows. What lies between rows stays. */
static void multiply(const pare__mul16 *mul, int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda,
                     const int16_t *bt, const float *b, const float *factor, int32_t *c, int64_t ldc)
{
    const int64_t even = k + k % 2;
    int16_t *packed = pare__malloc(pare__mul16_size(mul, k, n) + 1, sizeof *packed);
    memset(packed, 0x77, (size_t)pare__mul16_size(mul, k, n) * sizeof *packed);
    if (bt) mul->pack_t(packed, bt, even, even, n);
    for (int64_t p = 0; !bt && p < even; p += 2)
        mul->pack_pair(packed, b + p * n, p + 1 < k ? b + (p + 1) * n : NULL, factor, p / 2, k, n);
    for (int64_t i = 0; i < m * ldc; i++) c[i] = MARK;
    mul->run(m, n, k, a, lda, packed, c, ldc);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = n; j < ldc; j++) ck_assert_int_eq(c[i * ldc + j], MARK);
    pare__free(packed);
}

START_TEST(matches_oracle)
{
    const pare__mul16 *fast = pare__mul16_best();
    if (!fast) return;
    rng = pare__rng_make(7, (uint64_t)_i, 2);
    const int64_t m = 1 + (int64_t)(pare__rng_unit(&rng) * 40), n = 1 + (int64_t)(pare__rng_unit(&rng) * 100);
    const int64_t k = 1 + (int64_t)(pare__rng_unit(&rng) * 90), even = k + k % 2, lda = even + 4, ldc = n + 3;
    int16_t *a = shorts(m * lda, 4095), *bt = shorts(n * even, 4095);
    float *b = floats(k * n), *factor = floats(n);
    for (int64_t i = 0; i < n; i++) factor[i] = 4000 * factor[i];
    for (int64_t i = 0; k % 2 && i < m; i++) a[i * lda + k] = 0;
    int32_t *want = pare__malloc(m * ldc, sizeof *want), *got = pare__malloc(m * ldc, sizeof *got);
    for (int way = 0; way < 2; way++) {
        multiply(&pare__mul16_c, m, n, k, a, lda, way ? bt : NULL, b, factor, want, ldc);
        multiply(fast, m, n, k, a, lda, way ? bt : NULL, b, factor, got, ldc);
        ck_assert_mem_eq(want, got, (size_t)(m * ldc) * sizeof *want);
    }
    void *owned[] = {a, bt, b, factor, want, got};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}
END_TEST

/* The oracle itself: a product by hand. */
START_TEST(by_hand)
{
    const int16_t a[] = {1, 2, 3, 0, -4, 5, 6, 0}, bt[] = {1, 0, -1, 0, 2, 7, 2, 0};
    int32_t c[4];
    multiply(&pare__mul16_c, 2, 2, 4, a, 4, bt, NULL, NULL, c, 2);
    ck_assert_int_eq(c[0], -2);
    ck_assert_int_eq(c[1], 22);
    ck_assert_int_eq(c[2], -10);
    ck_assert_int_eq(c[3], 39);
}
END_TEST

static void check_rows(const pare__mul16 *mul, int64_t n)
{
    float *x = floats(n + 1), *top = floats(n + 1), *factor = floats(n + 1), *place = pare__malloc(n + 1, 4);
    int16_t *q = shorts(n + 1, 9), *want = shorts(n + 1, 9);
    for (int64_t i = 0; i < n; i++) top[i] = fabsf(top[i]);
    if (n > 3) x[2] = NAN, x[3] = INFINITY, top[2] = .5f;
    if (n > 20) x[17] = -1e30f, x[18] = 0.5f / 300, x[19] = 1.5f / 300;
    pare__mul16_c.narrow(want, x, n, 300);
    q[n] = 99;
    mul->narrow(q, x, n, 300);
    ck_assert_mem_eq(q, want, (size_t)n * sizeof *q);
    ck_assert_int_eq(q[n], 99);
    memcpy(place, x, (size_t)n * sizeof *x);
    mul->narrow((int16_t *)(void *)place, place, n, 300);
    ck_assert_mem_eq(place, want, (size_t)n * sizeof *q);
    ck_assert(mul->peak(x, n) == pare__mul16_c.peak(x, n));
    memcpy(place, top, (size_t)n * sizeof *x);
    mul->peaks(place, x, n);
    pare__mul16_c.peaks(top, x, n);
    ck_assert_mem_eq(place, top, (size_t)n * sizeof *x);
    int32_t *sum = pare__malloc(n + 1, sizeof *sum);
    for (int64_t i = 0; i < n; i++) sum[i] = (int32_t)(number() * 2e9f);
    pare__mul16_c.widen(place, sum, factor, .7f, n);
    mul->widen((float *)(void *)sum, sum, factor, .7f, n);
    ck_assert_mem_eq(place, sum, (size_t)n * sizeof *x);
    void *owned[] = {x, top, factor, place, q, want, sum};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}

START_TEST(rows)
{
    for (int64_t n = 0; n < 70; n++) {
        check_rows(&pare__mul16_c, n);
        if (pare__mul16_best()) check_rows(pare__mul16_best(), n);
    }
    const float ties[] = {.5f, 1.5f, -2.5f, 40000, -40000};
    int16_t q[5];
    pare__mul16_c.narrow(q, ties, 5, 1);
    ck_assert_int_eq(q[0], 0);
    ck_assert_int_eq(q[1], 2);
    ck_assert_int_eq(q[2], -2);
    ck_assert_int_eq(q[3], 32767);
    ck_assert_int_eq(q[4], -32767);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mul16");
    TCase *t = tcase_create("mul16");
    tcase_add_loop_test(t, matches_oracle, 0, 300);
    tcase_add_test(t, by_hand);
    tcase_add_test(t, rows);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
