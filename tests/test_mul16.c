/* SPDX-License-Identifier: MIT */
/* Products of 16-bit numbers: the fast table against the oracle, to the bit, over random shapes; packing, rounding. */
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

/* c [m, n] of one table with b [k, n]. What lies between rows stays. */
static void multiply(const pare__mul16 *mul, int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda,
                     const float *b, const float *factor, int32_t *c, int64_t ldc)
{
    int16_t *packed = pare__malloc(pare__mul16_size(mul, k, n) + 1, sizeof *packed);
    memset(packed, 0x77, (size_t)pare__mul16_size(mul, k, n) * sizeof *packed);
    for (int64_t p = 0; p < k; p += 2)
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
    int16_t *a = shorts(m * lda, 4095);
    float *b = floats(k * n), *factor = floats(n);
    for (int64_t i = 0; i < n; i++) factor[i] = 4000 * factor[i];
    for (int64_t i = 0; k % 2 && i < m; i++) a[i * lda + k] = 0;
    int32_t *want = pare__malloc(m * ldc, sizeof *want), *got = pare__malloc(m * ldc, sizeof *got);
    multiply(&pare__mul16_c, m, n, k, a, lda, b, factor, want, ldc);
    multiply(fast, m, n, k, a, lda, b, factor, got, ldc);
    ck_assert_mem_eq(want, got, (size_t)(m * ldc) * sizeof *want);
    void *owned[] = {a, b, factor, want, got};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}
END_TEST

/* The oracle itself: a product by hand, rounded half to even, bounded, NaN left out. */
START_TEST(by_hand)
{
    const int16_t a[] = {1, 2, 3, 0, -4, 5, 6, 0};
    const float b[] = {.5f, 4, 0, 14, -1, 5}, factor[] = {1, .5f};
    int32_t c[4];
    multiply(&pare__mul16_c, 2, 2, 3, a, 4, b, factor, c, 2);
    ck_assert_int_eq(c[0], -3);
    ck_assert_int_eq(c[1], 2 + 14 + 6);
    ck_assert_int_eq(c[2], -6);
    ck_assert_int_eq(c[3], -8 + 35 + 12);
    const float edges[] = {1e9f, -INFINITY, NAN, 2.5f}, one[] = {1, 1};
    multiply(&pare__mul16_c, 1, 2, 2, a, 4, edges, one, c, 2);
    ck_assert_int_eq(c[0], 32767);
    ck_assert_int_eq(c[1], -32767 + 2 * 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mul16");
    TCase *t = tcase_create("mul16");
    tcase_add_loop_test(t, matches_oracle, 0, 300);
    tcase_add_test(t, by_hand);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
