/* SPDX-License-Identifier: MIT */
/* Dense products and singular values of every backend: against plain sums, against matrices whose values are known, and
 * against each other. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rank.h"
#include "encode/backend.h"

enum { MAX = 160 };

static double *random_matrix(int64_t m, int64_t n, uint64_t seed)
{
    pare__rng rng = pare__rng_make(seed, (uint64_t)m, (uint64_t)n);
    double *a = PARE__NEW(double, m *n + 1);
    for (int64_t i = 0; i < m * n; i++) a[i] = 2 * pare__rng_unit(&rng) - 1;
    return a;
}

/* Values of a copy of a[m, n]. */
static void values_of(const pare__dense *dense, const double *a, int64_t m, int64_t n, double *sigma)
{
    pare_error err = {0};
    double *copy = PARE__NEW(double, m *n + 1);
    memcpy(copy, a, (size_t)(m * n) * sizeof *copy);
    ck_assert_msg(dense->singular_values(m, n, copy, sigma, &err) == 0, "%s: %s", dense->name, err.text);
    pare__free(copy);
}

static void expect_values(const double *a, int64_t m, int64_t n, const double *want)
{
    double sigma[MAX];
    const int64_t few = m < n ? m : n;
    for (int32_t b = 0; pare__backends[b]; b++) {
        if (!pare__backends[b]->dense) continue;
        values_of(pare__backends[b]->dense, a, m, n, sigma);
        for (int64_t i = 0; i < few; i++)
            ck_assert_msg(fabs(sigma[i] - want[i]) <= 1e-12 * want[0], "%s %lld x %lld [%lld]: %.17g, %.17g expected",
                          pare__backends[b]->name, (long long)m, (long long)n, (long long)i, sigma[i], want[i]);
    }
}

START_TEST(test_products)
{
    static const int64_t shape[][3] = {{1, 1, 1}, {3, 5, 7}, {64, 33, 130}, {2, 1, 400}, {5, 4, 0}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        const int64_t m = shape[s][0], n = shape[s][1], k = shape[s][2], lda = k + 3, ldb = k + 1, ldc = n + 2;
        double *a = random_matrix(m, lda, 1), *b = random_matrix(n, ldb, 2), *c = random_matrix(m, ldc, 3);
        for (int32_t t = 0; pare__backends[t]; t++) {
            if (!pare__backends[t]->dense) continue;
            const double beside = c[n];
            pare__backends[t]->dense->nt(m, n, k, a, lda, b, ldb, c, ldc);
            ck_assert(c[n] == beside); /* what lies between rows is not written */
            for (int64_t i = 0; i < m * n; i++) {
                double sum = 0;
                for (int64_t l = 0; l < k; l++) sum += a[i / n * lda + l] * b[i % n * ldb + l];
                ck_assert_double_eq_tol(c[i / n * ldc + i % n], sum, 1e-12);
            }
        }
        pare__free(a);
        pare__free(b);
        pare__free(c);
    }
}
END_TEST

START_TEST(test_known_values)
{
    static const double diagonal[] = {0, 3, 0, 0, -5, 0, 0, 0, 0, 0, 0, 2}; /* 3 x 4 */
    static const double of_diagonal[] = {5, 3, 2};
    static const double zero[12] = {0}, row[] = {3, -4, 12}, length[] = {13};
    static const double golden[] = {1, 1, 0, 1}; /* (sqrt 5 +- 1) / 2 */
    const double of_golden[] = {(sqrt(5) + 1) / 2, (sqrt(5) - 1) / 2};
    expect_values(diagonal, 3, 4, of_diagonal);
    expect_values(zero, 3, 4, zero);
    expect_values(zero, 4, 3, zero);
    expect_values(row, 1, 3, length);
    expect_values(row, 3, 1, length);
    expect_values(golden, 2, 2, of_golden);
    expect_values(zero, 0, 4, zero);
}
END_TEST

/* One row many times, scaled: one value, the others 0. */
START_TEST(test_duplicates)
{
    enum { M = 40, N = 60 };
    double *row = random_matrix(1, N, 4), *a = PARE__NEW(double, M *N), *turned = PARE__NEW(double, M *N),
           want[M] = {0};
    for (int64_t i = 0; i < M * N; i++) {
        a[i] = turned[i % N * M + i / N] = row[i % N] * (double)(1 + i / N % 3);
        want[0] += a[i] * a[i];
    }
    want[0] = sqrt(want[0]);
    expect_values(a, M, N, want);
    expect_values(turned, N, M, want);
    pare__free(row);
    pare__free(a);
    pare__free(turned);
}
END_TEST

/* Values do not change when the matrix is turned over, and their squares sum up to its norm. */
START_TEST(test_random_values)
{
    static const int64_t shape[][2] = {{7, 7}, {48, 130}, {130, 48}, {1, 100}, {150, 2}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        const int64_t m = shape[s][0], n = shape[s][1], few = m < n ? m : n;
        double *a = random_matrix(m, n, 5), *turned = PARE__NEW(double, m *n), want[MAX], norm = 0, sum = 0;
        for (int64_t i = 0; i < m * n; i++) {
            turned[i % n * m + i / n] = a[i];
            norm += a[i] * a[i];
        }
        values_of(&pare__dense_c, a, m, n, want);
        for (int64_t i = 0; i < few; i++) {
            sum += want[i] * want[i];
            ck_assert(i == 0 || want[i] <= want[i - 1]);
        }
        ck_assert_double_eq_tol(sum / norm, 1, 1e-12);
        expect_values(a, m, n, want);
        expect_values(turned, n, m, want);
        pare__free(a);
        pare__free(turned);
    }
}
END_TEST

/* Neither tiny nor huge numbers are lost. */
START_TEST(test_scale)
{
    static const double scale[] = {1e-200, 1e200};
    for (int32_t s = 0; s < 2; s++) {
        double *a = random_matrix(6, 9, 6), want[6];
        values_of(&pare__dense_c, a, 6, 9, want);
        for (int32_t i = 0; i < 54; i++) a[i] *= scale[s];
        for (int32_t i = 0; i < 6; i++) want[i] *= scale[s];
        expect_values(a, 6, 9, want);
        pare__free(a);
    }
}
END_TEST

START_TEST(test_not_a_number)
{
    for (int32_t b = 0; pare__backends[b]; b++) {
        if (!pare__backends[b]->dense) continue;
        pare_error err = {0};
        double a[4] = {1, NAN, 2, 3}, sigma[2];
        ck_assert_int_eq(pare__backends[b]->dense->singular_values(2, 2, a, sigma, &err), PARE_E_EXTERNAL);
        ck_assert_msg(strstr(err.text, "2 x 2") != NULL, "%s", err.text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dense");
    TCase *tc = tcase_create("dense");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_products);
    tcase_add_test(tc, test_known_values);
    tcase_add_test(tc, test_duplicates);
    tcase_add_test(tc, test_random_values);
    tcase_add_test(tc, test_scale);
    tcase_add_test(tc, test_not_a_number);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
