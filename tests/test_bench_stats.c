/* SPDX-License-Identifier: MIT */
/* Statistics of the bench against SciPy 1.17 and statsmodels, against a re-implementation in Python, and by simulation.
 * Each constant names the command that printed it. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/bench/stats.h"

/* scipy.stats.binomtest(min(b, c), b + c, .5).pvalue */
START_TEST(mcnemar_is_scipys)
{
    static const struct {
        int64_t b, c;
        double p;
    } known[] = {{0, 5, 0.0625},
                 {3, 12, 0.03515625},
                 {25, 40, 0.08168153394154003},
                 {150, 210, 0.001834007417096482},
                 {2000, 2200, 0.0021323556719912455}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ck_assert_double_eq_tol(bench_mcnemar(known[i].b, known[i].c) / known[i].p, 1, 1e-9);
        ck_assert_double_eq_tol(bench_mcnemar(known[i].c, known[i].b) / known[i].p, 1, 1e-9);
    }
    ck_assert_double_eq(bench_mcnemar(0, 0), 1);
    ck_assert_double_eq(bench_mcnemar(10, 10), 1);
    ck_assert_double_eq(bench_mcnemar(1, 2), 1);
}
END_TEST

/* statsmodels.stats.multitest.multipletests([.01, .04, .03, .005, .005, .8], method='holm')[1] */
START_TEST(holm_is_statsmodels)
{
    double p[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.005, 0.8};
    static const double adjusted[] = {0.04, 0.09, 0, 0.09, 0.03, 0.03, 0.8};
    ck_assert_int_eq(bench_holm(p, 7), 0);
    for (int i = 0; i < 7; i++)
        if (i != 2) ck_assert_double_eq_tol(p[i], adjusted[i], 1e-15);
    ck_assert(isnan(p[2]));
    ck_assert_int_eq(bench_holm(p, 0), 0);
    p[0] = 0.7;
    ck_assert_int_eq(bench_holm(p, 1), 0);
    ck_assert_double_eq(p[0], 0.7);
}
END_TEST

START_TEST(quantile_is_nearest_rank)
{
    static const double x[] = {5, NAN, 1, 4, INFINITY, 2, 3};
    static const double q[] = {0, 0.2, 0.21, 0.5, 0.95, 1}, expected[] = {1, 1, 2, 3, 5, 5};
    double value;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(bench_quantile(x, 7, q[i], &value), 0);
        ck_assert_double_eq(value, expected[i]);
    }
    ck_assert_int_eq(bench_quantile(x + 1, 1, 0.5, &value), 0);
    ck_assert(isnan(value));
    ck_assert_int_eq(bench_quantile(NULL, 0, 0.5, &value), 0);
    ck_assert(isnan(value));
}
END_TEST

START_TEST(place_on_a_curve)
{
    static const double x[] = {2, 4, 4, 10};
    int64_t i;
    double w;
    ck_assert_int_eq(bench_place(x, 4, 1.99, &i, &w), -1);
    ck_assert_int_eq(bench_place(x, 4, NAN, &i, &w), -1);
    ck_assert_int_eq(bench_place(x, 0, 3, &i, &w), -1);
    ck_assert_int_eq(bench_place(x, 4, 2, &i, &w), 0);
    ck_assert(i == 0 && w == 0);
    ck_assert_int_eq(bench_place(x, 4, 3, &i, &w), 0);
    ck_assert(i == 0 && fabs(w - log(1.5) / log(2)) < 1e-12);
    ck_assert_int_eq(bench_place(x, 4, 4, &i, &w), 0);
    ck_assert(i == 2 && w == 0);
    ck_assert_int_eq(bench_place(x, 4, 5.5, &i, &w), 0);
    ck_assert(i == 2 && fabs(w - log(5.5 / 4) / log(2.5)) < 1e-12);
    ck_assert_int_eq(bench_place(x, 4, 11, &i, &w), 0);
    ck_assert(i == 3 && w == 0);
    static const double zero[] = {0, 4};
    ck_assert_int_eq(bench_place(zero, 2, 1, &i, &w), 0);
    ck_assert(i == 0 && w == 0.25);
}
END_TEST

/* ---- bootstrap -------------------------------------------------------------------------------------------------- */

/* The same generator and rule written in Python: means of 2000 resamples sorted, entries 49 and 1950, 2 (far + 1) / 2001.
 * SciPy's own generator gives .0091 .. .2727 and p .0372 with 400000 resamples. */
START_TEST(bootstrap_is_the_one_in_python)
{
    static const double x[] = {0.3, -0.1, NAN, 0.25, 0.4, 0, 0.05, -0.2, 0.6, 0.15, 0.1, -0.05};
    bench_interval v;
    double p;
    ck_assert_int_eq(bench_bootstrap(x, 12, 7, &v, &p), 0);
    ck_assert_double_eq_tol(v.value, 0.13636363636363635, 1e-14);
    ck_assert_double_eq_tol(v.lo, 0.013636363636363634, 1e-14);
    ck_assert_double_eq_tol(v.hi, 0.2681818181818182, 1e-14);
    ck_assert_double_eq_tol(p, 0.031984007996002, 1e-14);
}
END_TEST

/* scipy.stats.ttest_1samp: 1.5957868560398667e-10 for 60 items, 2.6983963363693627e-4 for 12, where the sign test's
 * least, 2^-11 = 4.88e-4, stands instead. Wallace's approximation is within a few parts in a thousand. */
START_TEST(tail_beyond_the_resamples)
{
    double x[60], p;
    bench_interval v;
    for (int i = 0; i < 60; i++) x[i] = (double)(i * 37 % 101) / 101 - 0.2;
    ck_assert_int_eq(bench_bootstrap(x, 60, 1, &v, &p), 0);
    ck_assert_double_eq_tol(v.lo, 0.21683168316831683, 1e-14);
    ck_assert_double_eq_tol(v.hi, 0.3636963696369637, 1e-14);
    ck_assert_double_eq_tol(p / 1.5957868560398667e-10, 1, 0.02);
    for (int i = 0; i < 12; i++) x[i] += 0.25;
    ck_assert_int_eq(bench_bootstrap(x, 12, 1, &v, &p), 0);
    ck_assert_double_eq(p, ldexp(1, -11));
}
END_TEST

START_TEST(little_or_no_data)
{
    static const double same[] = {0.1, 0.1, 0.1, 0.1}, zero[] = {0, 0, 0};
    bench_interval v;
    double p;
    ck_assert_int_eq(bench_bootstrap(NULL, 0, 1, &v, &p), 0);
    ck_assert(isnan(v.value) && isnan(v.lo) && isnan(v.hi) && isnan(p));
    ck_assert_int_eq(bench_bootstrap(same, 1, 1, &v, &p), 0);
    ck_assert(v.value == 0.1 && v.lo == 0.1 && v.hi == 0.1 && p == 1);
    ck_assert_int_eq(bench_bootstrap(same, 4, 1, &v, &p), 0);
    ck_assert_double_eq_tol(v.hi - v.lo, 0, 1e-15);
    ck_assert_double_eq(p, 0.125);
    ck_assert_int_eq(bench_bootstrap(zero, 3, 1, &v, &p), 0);
    ck_assert(v.lo == 0 && v.hi == 0 && p == 1);
    ck_assert_int_eq(bench_bootstrap(zero, 3, 1, &v, NULL), 0);
}
END_TEST

START_TEST(resamples_depend_on_seed_alone)
{
    double x[101], p, q;
    bench_interval v, w, other;
    for (int i = 0; i < 101; i++) x[i] = sin(i * 12.9898) + 0.1;
    ck_assert_int_eq(bench_bootstrap(x, 101, 5, &v, &p), 0);
    ck_assert_int_eq(bench_bootstrap(x, 101, 5, &w, &q), 0);
    ck_assert_int_eq(bench_bootstrap(x, 101, 6, &other, NULL), 0);
    ck_assert(memcmp(&v, &w, sizeof v) == 0 && p == q);
    ck_assert(other.value == v.value && (other.lo != v.lo || other.hi != v.hi));
}
END_TEST

/* 600 samples of 80 from a skewed distribution of mean 1: 95 % intervals hold it in nearly 95 % of them; where there is
 * no difference p is below .05 in about one of twenty. */
START_TEST(coverage_of_the_interval)
{
    enum { N = 80, SAMPLES = 600 };
    uint64_t state = 12345;
    int covered = 0, rejected = 0;
    double x[N], p;
    bench_interval v;
    for (int s = 0; s < SAMPLES; s++) {
        for (int i = 0; i < N; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            x[i] = -log(((double)(state >> 11) + 0.5) / 9007199254740992.0);
        }
        ck_assert_int_eq(bench_bootstrap(x, N, (uint64_t)s, &v, NULL), 0);
        covered += v.lo <= 1 && 1 <= v.hi;
        for (int i = 0; i < N; i++) x[i] -= 1;
        ck_assert_int_eq(bench_bootstrap(x, N, (uint64_t)s, &v, &p), 0);
        rejected += p < 0.05;
    }
    ck_assert_int_ge(covered, SAMPLES * 92 / 100);
    ck_assert_int_le(covered, SAMPLES * 97 / 100);
    ck_assert_int_ge(rejected, SAMPLES * 3 / 100);
    ck_assert_int_le(rejected, SAMPLES * 8 / 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench_stats");
    TCase *known = tcase_create("known"), *boot = tcase_create("bootstrap");
    tcase_add_test(known, mcnemar_is_scipys);
    tcase_add_test(known, holm_is_statsmodels);
    tcase_add_test(known, quantile_is_nearest_rank);
    tcase_add_test(known, place_on_a_curve);
    tcase_add_test(boot, bootstrap_is_the_one_in_python);
    tcase_add_test(boot, tail_beyond_the_resamples);
    tcase_add_test(boot, little_or_no_data);
    tcase_add_test(boot, resamples_depend_on_seed_alone);
    tcase_add_test(boot, coverage_of_the_interval);
    tcase_set_timeout(boot, 120);
    suite_add_tcase(s, known);
    suite_add_tcase(s, boot);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
