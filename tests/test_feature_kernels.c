/* SPDX-License-Identifier: MIT */
/* Kernels under the metrics over features, with every backend: brute force, ties, zero rows, more candidates than a tile,
 * both forms of CKA, groupings against pairs counted one by one. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "core/rank.h"
#include "encode/backend.h"
#include "measure/features.h"
#include "measure/scene.h"

static double *random_matrix(int64_t m, int64_t n, uint64_t seed)
{
    pare__rng rng = pare__rng_make(seed, (uint64_t)m, (uint64_t)n);
    double *a = PARE__NEW(double, m *n);
    for (int64_t i = 0; i < m * n; i++) a[i] = 2 * pare__rng_unit(&rng) - 1;
    return a;
}

/* ---- nearest ---------------------------------------------------------------------------------------------------------- */

static void check_nearest(const double *x, int64_t n, int64_t d, const int32_t *keep, int64_t k)
{
    double *cosine = PARE__NEW(double, n), *kept = PARE__NEW(double, k *d);
    int32_t *nearest = PARE__NEW(int32_t, n);
    for (int64_t j = 0; j < k; j++) memcpy(kept + j * d, x + keep[j] * d, (size_t)d * sizeof *kept);
    for (int32_t b = 0; pare__backends[b]; b++) {
        if (!pare__backends[b]->dense) continue;
        ck_assert_int_eq(pare__nearest_among(pare__backends[b]->dense, x, n, d, kept, k, cosine, nearest), 0);
        for (int64_t i = 0; i < n; i++) {
            double best = -2;
            int32_t row = -1;
            for (int32_t j = 0; j < k; j++) {
                const double c = pare__cosine(x + i * d, x + keep[j] * d, d);
                if (c <= best + 1e-12) continue;
                best = c;
                row = j;
            }
            ck_assert_double_eq_tol(cosine[i], best, 1e-12);
            ck_assert_int_eq(nearest[i], row);
        }
    }
    pare__free(cosine);
    pare__free(kept);
    pare__free(nearest);
}

START_TEST(test_nearest)
{
    enum { N = 1300, D = 6, K = 650 };
    double *x = random_matrix(N, D, 1);
    int32_t keep[K];
    for (int32_t j = 0; j < K; j++) keep[j] = 2 * j + 1;
    check_nearest(x, N, D, keep, K);
    check_nearest(x, N, D, keep, 1);
    check_nearest(x, 1, D, (int32_t[]){0}, 1);
    for (int64_t i = 0; i < N * D; i++) x[i] = x[i % (7 * D)]; /* seven rows again and again: nothing but ties */
    check_nearest(x, N, D, keep, K);
    memset(x + 4 * D, 0, 5 * D * sizeof *x); /* zero rows: 5 and 7 are kept */
    check_nearest(x, N, D, keep, K);
    check_nearest(x, N, D, keep, 2); /* none of them is */
    pare__free(x);
}
END_TEST

START_TEST(test_cosine)
{
    static const double zero[3] = {0}, a[3] = {1, 2, 2}, b[3] = {-2, -4, -4};
    static const float f[3] = {1, 2, 2}, none[3] = {0};
    ck_assert(pare__cosine(zero, zero, 3) == 1);
    ck_assert(pare__cosine(zero, a, 3) == 0);
    ck_assert(pare__cosine(a, b, 3) == -1);
    ck_assert(pare__cosine_f32(f, f, 3) == 1);
    ck_assert(pare__cosine_f32(f, none, 3) == 0);
}
END_TEST

/* ---- effective rank ---------------------------------------------------------------------------------------------------- */

static void expect_rank(const double *x, int64_t n, int64_t d, double want)
{
    for (int32_t b = 0; pare__backends[b]; b++) {
        if (!pare__backends[b]->dense) continue;
        pare_error err = {0};
        double rank = -1;
        ck_assert_msg(pare__effective_rank(pare__backends[b]->dense, x, n, d, &rank, &err) == 0, "%s", err.text);
        ck_assert_msg(isnan(want) ? isnan(rank) : fabs(rank - want) <= 1e-9 * want, "%s: %.12g, %.12g expected",
                      pare__backends[b]->name, rank, want);
    }
}

START_TEST(test_effective_rank)
{
    enum { N = 30, D = 20 };
    double *x = PARE__NEW(double, N *D);
    expect_rank(x, N, D, NAN);
    for (int64_t i = 0; i < D; i++) x[i * D + i] = i % 2 ? 3 : -3;
    expect_rank(x, N, D, D);
    expect_rank(x, 5, D, 5);
    for (int64_t i = 0; i < N * D; i++) x[i] = (double)(1 + i % D) / 7; /* duplicates */
    expect_rank(x, N, D, 1);
    memset(x, 0, N * D * sizeof *x);
    x[0] = 3;
    x[D + 1] = 1;
    expect_rank(x, N, D, exp(-.75 * log(.75) - .25 * log(.25)));
    expect_rank(x, 1, D, 1);
    pare__free(x);
}
END_TEST

/* ---- CKA ---------------------------------------------------------------------------------------------------------------- */

/* |P'Q|^2 of centred columns, by definition. */
static double cross(const double *p, int64_t dp, const double *q, int64_t dq, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < dp; i++)
        for (int64_t j = 0; j < dq; j++) {
            double mp = 0, mq = 0, sum = 0;
            for (int64_t r = 0; r < n; r++) {
                mp += p[r * dp + i] / (double)n;
                mq += q[r * dq + j] / (double)n;
            }
            for (int64_t r = 0; r < n; r++) sum += (p[r * dp + i] - mp) * (q[r * dq + j] - mq);
            total += sum * sum;
        }
    return total;
}

START_TEST(test_cka)
{
    /* by rows, by columns, more than a tile of either */
    static const int64_t shape[][3] = {{12, 20, 9}, {60, 7, 11}, {150, 100, 60}, {300, 140, 5}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        const int64_t n = shape[s][0], da = shape[s][1], db = shape[s][2];
        double *a = random_matrix(n, da, 2), *b = random_matrix(n, db, 3), cka = -1;
        for (int64_t i = 0; i < n; i++) b[i * db] = 5 + a[i * da]; /* something in common, and a mean */
        const double want = cross(a, da, b, db, n) / sqrt(cross(a, da, a, da, n) * cross(b, db, b, db, n));
        for (int32_t t = 0; pare__backends[t]; t++) {
            if (!pare__backends[t]->dense) continue;
            const pare__dense *dense = pare__backends[t]->dense;
            ck_assert_int_eq(pare__linear_cka(dense, a, da, b, db, n, &cka), 0);
            ck_assert_double_eq_tol(cka, want, 1e-11);
            ck_assert_int_eq(pare__linear_cka(dense, a, da, a, da, n, &cka), 0);
            ck_assert_double_eq_tol(cka, 1, 1e-12);
        }
        pare__free(a);
        pare__free(b);
    }
}
END_TEST

START_TEST(test_cka_constant)
{
    double *a = random_matrix(30, 4, 4), b[30 * 4], cka = 0;
    for (int32_t i = 0; i < 30 * 4; i++) b[i] = 0.1 * (1 + i % 4);
    ck_assert_int_eq(pare__linear_cka(&pare__dense_c, a, 4, b, 4, 30, &cka), 0);
    ck_assert(isnan(cka));
    ck_assert_int_eq(pare__linear_cka(&pare__dense_c, a, 4, a, 4, 1, &cka), 0);
    ck_assert(isnan(cka));
    pare__free(a);
}
END_TEST

/* ---- reconstruction ------------------------------------------------------------------------------------------------------- */

START_TEST(test_row_errors)
{
    static const double a[] = {3, 4, 0, 0}, b[] = {3, 4, 0, 0}, c[] = {0, 4, 1, 0}, zero[4] = {0};
    double cosine, mse, relative;
    pare__row_errors(a, b, 2, 2, &cosine, &mse, &relative);
    ck_assert(cosine == 1 && mse == 0 && relative == 0);
    pare__row_errors(a, c, 2, 2, &cosine, &mse, &relative);
    ck_assert_double_eq_tol(cosine, .4, 1e-15); /* 0.8 and, against a zero row, 0 */
    ck_assert_double_eq_tol(mse, 2.5, 1e-15);
    ck_assert_double_eq_tol(relative, .4, 1e-15);
    pare__row_errors(zero, zero, 2, 2, &cosine, &mse, &relative);
    ck_assert(cosine == 1 && mse == 0 && relative == 0);
    pare__row_errors(zero, c, 2, 2, &cosine, &mse, &relative);
    ck_assert(cosine == 0 && isnan(relative));
}
END_TEST

/* ---- groupings ------------------------------------------------------------------------------------------------------------ */

/* Adjusted Rand index from every pair. */
static double plain_rand(const int32_t *a, const int32_t *b, int64_t n)
{
    double both = 0, of_a = 0, of_b = 0;
    const double pairs = (double)n * (double)(n - 1) / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) {
            both += a[i] == a[j] && b[i] == b[j];
            of_a += a[i] == a[j];
            of_b += b[i] == b[j];
        }
    const double chance = of_a * of_b / pairs;
    return (both - chance) / ((of_a + of_b) / 2 - chance);
}

START_TEST(test_grouping)
{
    enum { N = 500 };
    int32_t a[N], b[N], turned[N];
    pare__grouping ab, ba, at;
    pare__rng rng = pare__rng_make(5, 0, 0);
    for (int32_t i = 0; i < N; i++) {
        a[i] = (int32_t)pare__rng_below(&rng, 9);
        b[i] = i % 3 ? a[i] / 2 : (int32_t)pare__rng_below(&rng, 5);
        turned[i] = 2000000000 - 7 * a[i];
    }
    ck_assert_int_eq(pare__grouping_measure(a, b, N, &ab), 0);
    ck_assert_int_eq(pare__grouping_measure(b, a, N, &ba), 0);
    ck_assert_int_eq(pare__grouping_measure(a, turned, N, &at), 0);
    ck_assert_double_eq_tol(ab.nmi, ba.nmi, 1e-12);
    ck_assert_double_eq_tol(ab.homogeneity, ba.completeness, 1e-12);
    ck_assert_double_eq_tol(ab.adjusted_rand, plain_rand(a, b, N), 1e-12);
    ck_assert(ab.nmi > .2 && ab.nmi < .9);
    ck_assert_double_eq_tol(at.nmi, 1, 1e-12);
    ck_assert_double_eq_tol(at.adjusted_rand, 1, 1e-12);
}
END_TEST

START_TEST(test_grouping_edges)
{
    static const int32_t same[6] = {4, 4, 4, 4, 4, 4}, each[6] = {0, 1, 2, 3, 4, 5}, half[6] = {0, 0, 0, 1, 1, 1};
    static const int32_t across[6] = {0, 1, 2, 0, 1, 2};
    pare__grouping g;
    ck_assert_int_eq(pare__grouping_measure(same, same, 6, &g), 0);
    ck_assert(g.nmi == 1 && g.homogeneity == 1 && g.completeness == 1 && g.adjusted_rand == 1);
    ck_assert_int_eq(pare__grouping_measure(same, each, 6, &g), 0);
    ck_assert(g.nmi == 0 && g.homogeneity == 1 && g.completeness == 0);
    ck_assert_int_eq(pare__grouping_measure(half, across, 6, &g), 0);
    ck_assert_double_eq_tol(g.nmi, 0, 1e-12);
    ck_assert_int_eq(pare__grouping_measure(same, same, 1, &g), 0);
    ck_assert(g.nmi == 1 && g.adjusted_rand == 1);
}
END_TEST

START_TEST(test_iou)
{
    static const uint8_t a[5] = {1, 1, 0, 0, 0}, b[5] = {0, 1, 7, 0, 1}, none[5] = {0};
    ck_assert(pare__iou(a, b, 5) == .25);
    ck_assert(pare__iou(a, a, 5) == 1);
    ck_assert(pare__iou(a, none, 5) == 0);
    ck_assert(isnan(pare__iou(none, none, 5)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("feature_kernels");
    TCase *tc = tcase_create("kernels");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_nearest);
    tcase_add_test(tc, test_cosine);
    tcase_add_test(tc, test_effective_rank);
    tcase_add_test(tc, test_cka);
    tcase_add_test(tc, test_cka_constant);
    tcase_add_test(tc, test_row_errors);
    tcase_add_test(tc, test_grouping);
    tcase_add_test(tc, test_grouping_edges);
    tcase_add_test(tc, test_iou);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
