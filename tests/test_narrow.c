/* SPDX-License-Identifier: MIT */
/* Rows of attention in whole numbers and products of bytes: the fast table against the oracle, over every length of rows
 * and random shapes; rounding, NaN, infinities, rows of only -inf. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/narrow.h"
#include "core/rank.h"

enum { MAX = 90, MARK = 0x5a5a5a5a };

static pare__rng rng;
static const pare__narrow *const oracle = &pare__narrow_c;

static float number(void) { return (float)(pare__rng_unit(&rng) * 2 - 1); }

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = number();
}

static void setup(void) { rng = pare__rng_make(7, 0, 4); }

/* ---- bounds and bytes -------------------------------------------------------------------------------------------- */

static void check_bounds(const pare__narrow *t, int64_t n)
{
    float x[MAX], low[2][MAX], high[2][MAX];
    fill(x, MAX);
    if (n > 3) x[1] = NAN, x[3] = -INFINITY;
    fill(low[0], MAX);
    fill(high[0], MAX);
    memcpy(low[1], low[0], sizeof low[0]);
    memcpy(high[1], high[0], sizeof high[0]);
    oracle->extend(low[0], high[0], x, n);
    t->extend(low[1], high[1], x, n);
    ck_assert_mem_eq(low[0], low[1], sizeof low[0]);
    ck_assert_mem_eq(high[0], high[1], sizeof high[0]);
    ck_assert(t->peak(x, n) == oracle->peak(x, n));
}

static void check_bytes(const pare__narrow *t, int64_t n, const float *centre, int32_t add)
{
    float x[MAX];
    uint8_t q[2][MAX];
    fill(x, MAX);
    if (n > 20) x[2] = NAN, x[3] = INFINITY, x[17] = -1e30f, x[18] = .5f / 120, x[19] = 1.5f / 120;
    memset(q, 0x77, sizeof q);
    const int32_t want = oracle->bytes(q[0], x, centre, n, 120, add);
    ck_assert_int_eq(t->bytes(q[1], x, centre, n, 120, add), want);
    ck_assert_mem_eq(q[0], q[1], sizeof q[0]);
}

START_TEST(rows_match_oracle)
{
    const pare__narrow *fast = pare__narrow_best();
    float centre[MAX];
    if (!fast) return;
    for (int64_t n = 0; n < MAX; n++) {
        fill(centre, MAX);
        check_bounds(fast, n);
        check_bytes(fast, n, NULL, 128);
        check_bytes(fast, n, centre, 0);
    }
}
END_TEST

START_TEST(bytes_by_hand)
{
    const float x[] = {.5f, 1.5f, -2.5f, 200, -INFINITY, NAN, 3}, centre[] = {0, 0, 0, 0, 0, 0, 1};
    uint8_t q[7];
    ck_assert_int_eq(oracle->bytes(q, x, centre, 7, 1, 128), 0 + 2 - 2 + 127 - 127 + 0 + 2);
    const uint8_t want[] = {128, 130, 126, 255, 1, 128, 130};
    ck_assert_mem_eq(q, want, sizeof want);
    ck_assert(oracle->peak(x + 5, 2) == 3);
}
END_TEST

/* ---- exponents --------------------------------------------------------------------------------------------------- */

enum { ROWS = 11, LD = (MAX / PARE__NARROW_GRAIN + 1) * PARE__NARROW_GRAIN + 3 };

/* Within the error that is promised; what is behind the row and its zeros is not touched. */
static void check_row(const int32_t *sums, const int32_t *want, const int32_t *got, int64_t n, const float *bias)
{
    const int16_t *p = (const int16_t *)(const void *)want, *q = (const int16_t *)(const void *)got;
    int64_t end = n;
    for (int64_t i = 0; i < n; i++) {
        ck_assert_int_ge(q[i], 0);
        ck_assert_double_le(abs(q[i] - p[i]), 1 + 1e-4 * p[i]);
        ck_assert(bias == NULL || bias[i] != -INFINITY || q[i] == 0);
    }
    for (; end % PARE__NARROW_GRAIN; end++) ck_assert_int_eq(q[end], 0);
    ck_assert_mem_eq(q + end, (const int16_t *)(const void *)sums + end, (size_t)(2 * LD - end) * sizeof *q);
}

static void check_exponents(const pare__narrow *t, int64_t n, float scale, const float *bias, float most)
{
    int32_t sums[ROWS * LD], want[ROWS * LD], got[ROWS * LD];
    float share[2][ROWS];
    for (int64_t i = 0; i < ROWS * LD; i++) sums[i] = (int32_t)(number() * 9e5f);
    for (int64_t i = 0; i < ROWS; i++) share[0][i] = share[1][i] = (float)(1 + i) / ROWS;
    memcpy(want, sums, sizeof sums);
    memcpy(got, sums, sizeof sums);
    oracle->exponents(want, LD, ROWS, n, scale, bias, most, share[0]);
    t->exponents(got, LD, ROWS, n, scale, bias, most, share[1]);
    for (int64_t i = 0; i < ROWS; i++) {
        ck_assert_double_le(fabs((double)share[0][i] - (double)share[1][i]), 1e-4 * (double)share[0][i]);
        check_row(sums + i * LD, want + i * LD, got + i * LD, n, bias);
    }
}

START_TEST(exponents_match_oracle)
{
    float bias[MAX];
    if (!pare__narrow_best()) return;
    for (int64_t n = 0; n < MAX; n++) {
        for (int64_t i = 0; i < MAX; i++) bias[i] = i % 5 == 2 ? -INFINITY : logf((float)(1 + i % 7));
        check_exponents(pare__narrow_best(), n, 1e-5f, NULL, 32767);
        check_exponents(pare__narrow_best(), n, 1e-5f, bias, 4000);
        check_exponents(pare__narrow_best(), n, 1e-4f, bias, 2000); /* some are beyond what a float can hold */
        check_exponents(pare__narrow_best(), n, 0, NULL, 32767);
    }
}
END_TEST

/* Far beyond what precision is promised for, the largest still fits 16 bits. */
START_TEST(large_exponents_fit)
{
    const pare__narrow *t = _i ? pare__narrow_best() : oracle;
    const float bias[PARE__NARROW_GRAIN] = {0};
    int32_t row[PARE__NARROW_GRAIN];
    const int16_t *p = (const int16_t *)(const void *)row;
    if (!t) return;
    for (int i = 0; i < 4000; i++) {
        float share = .37f + 1e-4f * (float)i;
        for (int k = 0; k < PARE__NARROW_GRAIN; k++) row[k] = k == i % PARE__NARROW_GRAIN ? 900000 + i : -i;
        t->exponents(row, PARE__NARROW_GRAIN, 1, PARE__NARROW_GRAIN, .1f, i % 2 ? bias : NULL, 32767, &share);
        for (int k = 0; k < PARE__NARROW_GRAIN; k++) ck_assert(k == i % PARE__NARROW_GRAIN ? p[k] > 30000 : p[k] == 0);
    }
}
END_TEST

/* Of either table. */
START_TEST(exponents_by_hand)
{
    const pare__narrow *t = _i ? pare__narrow_best() : oracle;
    if (!t) return;
    const int32_t sums[] = {0, 10, -1000000, 10};
    const float none[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, some[] = {0, 0, 0, -INFINITY};
    int32_t row[PARE__NARROW_GRAIN];
    const int16_t *p = (const int16_t *)(const void *)row;
    float share = 1;
    memcpy(row, sums, sizeof sums);
    t->exponents(row, 0, 1, 4, 1, none, 1000, &share);
    ck_assert(share == 0);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(p[i], 0);
    memcpy(row, sums, sizeof sums);
    share = .1f;
    t->exponents(row, 0, 1, 4, 1, some, 10000, &share);
    ck_assert_float_eq_tol(share, 1e-4f / 1.3678794f, 1e-8f);
    ck_assert_int_le(abs(p[0] - 3679), 1);
    ck_assert_int_le(abs(p[1] - 10000), 1);
    ck_assert_int_eq(p[2], 0);
    ck_assert_int_eq(p[3], 0);
    t->exponents(row, 0, 1, 0, 1, NULL, 1000, &share);
    ck_assert(share == 0);
    memcpy(row, sums, sizeof sums);
    share = INFINITY; /* 0 * inf: no number, but nothing out of bounds either */
    t->exponents(row, 0, 1, 4, 1, NULL, 1000, &share);
    for (int i = 0; i < 4; i++) ck_assert(p[i] >= 0 && p[i] <= 1001);
}
END_TEST

/* ---- back to floats, products ------------------------------------------------------------------------------------ */

START_TEST(floats_match_oracle)
{
    const pare__narrow *fast = pare__narrow_best();
    float y[2][MAX], factor[MAX];
    int32_t sums[MAX];
    int16_t p[MAX];
    if (!fast) return;
    for (int64_t n = 0; n < MAX; n++) {
        fill(y[0], MAX);
        fill(factor, MAX);
        memcpy(y[1], y[0], sizeof y[0]);
        for (int64_t i = 0; i < MAX; i++) sums[i] = (int32_t)(number() * 2e9f), p[i] = (int16_t)(number() * 32767);
        oracle->add(y[0], p, n, .001f);
        fast->add(y[1], p, n, .001f);
        for (int64_t i = 0; i < MAX; i++) ck_assert_float_eq_tol(y[0][i], y[1][i], 4e-6f);
        oracle->widen(y[0], sums, factor, .7f, n);
        fast->widen(y[1], sums, factor, .7f, n);
        ck_assert_mem_eq(y[0], y[1], (size_t)n * sizeof *y[0]);
        ck_assert(n == MAX || fabsf(y[1][n]) < 34);
    }
}
END_TEST

static void multiply(const pare__mul8 *mul, int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda,
                     const int8_t *bt, const int32_t *start, int32_t *c, int64_t ldc)
{
    int8_t *packed = pare__malloc(pare__mul8_size(mul, k, n), 1);
    memset(packed, 0x77, (size_t)pare__mul8_size(mul, k, n));
    mul->pack_t(packed, bt, k, n);
    for (int64_t i = 0; i < m * ldc; i++) c[i] = MARK;
    mul->run(m, n, k, a, lda, packed, start, c, ldc);
    pare__free(packed);
}

START_TEST(products_match_oracle)
{
    if (!pare__mul8_best()) return;
    rng = pare__rng_make(7, (uint64_t)_i, 2);
    const int64_t m = 1 + (int64_t)(pare__rng_unit(&rng) * 40), n = 1 + (int64_t)(pare__rng_unit(&rng) * 100);
    const int64_t k = 1 + (int64_t)(pare__rng_unit(&rng) * 90), lda = k + 4, ldc = n + 3;
    uint8_t *a = pare__malloc(m * lda, 1);
    int8_t *bt = pare__malloc(n * k, 1);
    int32_t *start = pare__malloc(n, 4), *want = pare__malloc(m * ldc, 4), *got = pare__malloc(m * ldc, 4);
    for (int64_t i = 0; i < m * lda; i++) a[i] = (uint8_t)(pare__rng_unit(&rng) * 256);
    for (int64_t i = 0; i < n * k; i++) bt[i] = (int8_t)(number() * 127);
    for (int64_t i = 0; i < n; i++) start[i] = (int32_t)(number() * 1e6f);
    for (int with = 0; with < 2; with++) {
        multiply(&pare__mul8_c, m, n, k, a, lda, bt, with ? start : NULL, want, ldc);
        multiply(pare__mul8_best(), m, n, k, a, lda, bt, with ? start : NULL, got, ldc);
        ck_assert_mem_eq(want, got, (size_t)(m * ldc) * sizeof *want);
    }
    void *owned[] = {a, bt, start, want, got};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("narrow");
    TCase *t = tcase_create("narrow");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, rows_match_oracle);
    tcase_add_test(t, bytes_by_hand);
    tcase_add_test(t, exponents_match_oracle);
    tcase_add_loop_test(t, large_exponents_fit, 0, 2);
    tcase_add_loop_test(t, exponents_by_hand, 0, 2);
    tcase_add_test(t, floats_match_oracle);
    tcase_add_loop_test(t, products_match_oracle, 0, 200);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
