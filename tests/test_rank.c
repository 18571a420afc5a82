/* SPDX-License-Identifier: MIT */
/* Ranking against a plain comparison sort; the generator's statistics; apportionment against exact rational arithmetic. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"

enum { MAX_N = 3000 };

static pare__arena arena;
static float score[MAX_N];
static int32_t out[MAX_N], expected[MAX_N], key[MAX_N];

/* ---- ranking ------------------------------------------------------------------------------------------------------ */

static int before(int32_t i, int32_t j)
{
    float a = score[i], b = score[j];
    if (isnan(a) != isnan(b)) return isnan(b);
    if (!isnan(a) && a != b) return a > b;
    return i < j;
}

static int compare_scores(const void *p, const void *q)
{
    int32_t i = *(const int32_t *)p, j = *(const int32_t *)q;
    return i == j ? 0 : before(i, j) ? -1 : 1;
}

static int compare_i32(const void *p, const void *q)
{
    int32_t i = *(const int32_t *)p, j = *(const int32_t *)q;
    return i < j ? -1 : i > j;
}

static int compare_keys(const void *p, const void *q)
{
    int32_t i = *(const int32_t *)p, j = *(const int32_t *)q;
    return key[i] != key[j] ? (key[i] < key[j] ? -1 : 1) : (i > j) - (i < j);
}

/* Few distinct values (ties), signed zeros, infinities, NaN of both signs. */
static void random_scores(pare__rng *r, int64_t n)
{
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, 1e-42f, -1e-42f};
    int64_t kinds = 1 + pare__rng_below(r, 3);

    for (int64_t i = 0; i < n; i++) {
        int64_t kind = pare__rng_below(r, kinds);
        score[i] = kind == 0 ? (float)(pare__rng_unit(r) - 0.5) : (float)pare__rng_below(r, 5) - 2;
        if (kind == 2) score[i] = special[pare__rng_below(r, 6)];
        if (kind == 2 && pare__rng_below(r, 4) == 0) score[i] = pare__rng_below(r, 2) ? NAN : -NAN;
        key[i] = pare__rng_below(r, 3) ? (int32_t)pare__rng_below(r, 9) - 4 : (int32_t)pare__rng_u64(r);
    }
}

START_TEST(test_ranking)
{
    for (uint64_t trial = 0; trial < 300; trial++) {
        pare__rng r = pare__rng_make(11, trial, 0);
        int64_t n = 1 + pare__rng_below(&r, trial % 10 ? 100 : MAX_N), k = pare__rng_below(&r, n + 1);
        random_scores(&r, n);
        for (int32_t i = 0; i < n; i++) expected[i] = i;
        qsort(expected, (size_t)n, sizeof *expected, compare_scores);
        ck_assert_int_eq(pare__argsort_desc(score, n, out, &arena), 0);
        ck_assert_int_eq(memcmp(out, expected, (size_t)n * sizeof *out), 0);
        qsort(expected, (size_t)k, sizeof *expected, compare_i32);
        ck_assert_int_eq(pare__topk(score, n, k, out, &arena), 0);
        ck_assert_int_eq(memcmp(out, expected, (size_t)k * sizeof *out), 0);
        for (int32_t i = 0; i < n; i++) expected[i] = i;
        qsort(expected, (size_t)n, sizeof *expected, compare_keys);
        ck_assert_int_eq(pare__argsort_i32(key, n, out, &arena), 0);
        ck_assert_int_eq(memcmp(out, expected, (size_t)n * sizeof *out), 0);
    }
}
END_TEST

START_TEST(test_topk_edges)
{
    score[0] = NAN;
    score[1] = NAN;
    out[0] = out[1] = 77;
    ck_assert_int_eq(pare__topk(score, 2, 0, out, &arena), 0);
    ck_assert_int_eq(out[0], 77);
    ck_assert_int_eq(pare__topk(score, 2, 1, out, &arena), 0);
    ck_assert_int_eq(out[0], 0);
    ck_assert_int_eq(pare__topk(score, 2, 5, out, &arena), 0);
    ck_assert_int_eq(out[1], 1);
    ck_assert_int_eq(pare__argsort_desc(score, 0, out, &arena), 0);
}
END_TEST

/* ---- random numbers ------------------------------------------------------------------------------------------------ */

START_TEST(test_generator)
{
    pare__rng zero = {0}, r = pare__rng_make(1, 2, 3), same = pare__rng_make(1, 2, 3);
    double sum = 0;
    int64_t count[7] = {0};

    ck_assert(pare__rng_u64(&zero) == 0xe220a8397b1dcdafu); /* reference values of splitmix64 seeded with 0 */
    ck_assert(pare__rng_u64(&zero) == 0x6e789e6aa1b965f4u);
    for (int i = 0; i < 70000; i++) {
        double u = pare__rng_unit(&r);
        ck_assert(u >= 0 && u < 1 && u == pare__rng_unit(&same));
        sum += u;
        int64_t k = pare__rng_below(&r, 7);
        ck_assert(k >= 0 && k < 7 && k == pare__rng_below(&same, 7));
        count[k]++;
    }
    ck_assert(fabs(sum / 70000 - 0.5) < 0.005);
    for (int k = 0; k < 7; k++) ck_assert(llabs(count[k] - 10000) < 500);
    ck_assert_int_eq(pare__rng_below(&r, 1), 0);
    ck_assert_int_eq(pare__rng_below(&r, 0), 0);
}
END_TEST

START_TEST(test_streams_differ)
{
    pare__rng r[5] = {pare__rng_make(1, 2, 3), pare__rng_make(2, 1, 3), pare__rng_make(1, 3, 2),
                      pare__rng_make(0, 2, 3), pare__rng_make(1, 2, 4)};
    uint64_t first[5];

    for (int i = 0; i < 5; i++) first[i] = pare__rng_u64(&r[i]);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++) ck_assert(first[i] != first[k]);
}
END_TEST

/* ---- apportionment --------------------------------------------------------------------------------------------------- */

/* Oracle: tries every assignment of bins to {at floor, at cap, free}, in rationals with denominator W = sum of free
 * weights; a consistent one is the water filling. Then largest remainder over the fractions. */
typedef struct problem {
    int64_t n, total, w[6], lo[6], hi[6];
} problem;

/* Shares scaled by W into num[]; 0 if this assignment is not the water filling. */
static int try_assignment(const problem *p, int code, int64_t *num, int64_t *den)
{
    int state[6];
    int64_t left = p->total, sum_w = 0;

    for (int64_t i = 0; i < p->n; i++, code /= 3) {
        state[i] = code % 3;
        if (state[i] == 0) left -= p->lo[i];
        if (state[i] == 1) left -= p->hi[i];
        if (state[i] == 2) sum_w += p->w[i];
    }
    if (sum_w == 0 || left < 0) return 0;
    *den = sum_w;
    for (int64_t i = 0; i < p->n; i++) { /* lambda = left / sum_w */
        int64_t want = left * p->w[i];
        if (state[i] == 0 && want > p->lo[i] * sum_w) return 0;
        if (state[i] == 1 && want < p->hi[i] * sum_w) return 0;
        if (state[i] == 2 && (want < p->lo[i] * sum_w || want > p->hi[i] * sum_w)) return 0;
        num[i] = state[i] == 0 ? p->lo[i] * sum_w : state[i] == 1 ? p->hi[i] * sum_w : want;
    }
    return 1;
}

static int brute_force(const problem *p, int64_t *result)
{
    int64_t num[6], den = 0, left = p->total;
    int code = 0, n_code = 1;

    for (int64_t i = 0; i < p->n; i++) n_code *= 3;
    while (code < n_code && !try_assignment(p, code, num, &den)) code++;
    if (code == n_code) return 0;
    for (int64_t i = 0; i < p->n; i++) left -= result[i] = num[i] / den;
    for (; left > 0; left--) {
        int64_t best = 0;
        for (int64_t i = 1; i < p->n; i++)
            if (num[i] % den > num[best] % den) best = i;
        result[best]++;
        num[best] -= num[best] % den;
    }
    return 1;
}

START_TEST(test_apportionment_exact)
{
    int64_t n_checked = 0;

    for (uint64_t trial = 0; trial < 20000; trial++) {
        pare__rng r = pare__rng_make(13, trial, 0);
        problem p = {.n = 1 + pare__rng_below(&r, 6)};
        double w[6];
        int64_t lo = 0, hi = 0, want[6], got[6];
        for (int64_t i = 0; i < p.n; i++) {
            w[i] = (double)(p.w[i] = 1 + pare__rng_below(&r, 12));
            lo += p.lo[i] = pare__rng_below(&r, 3) ? 0 : pare__rng_below(&r, 5);
            hi += p.hi[i] = p.lo[i] + pare__rng_below(&r, 20);
        }
        p.total = lo + pare__rng_below(&r, hi - lo + 1);
        ck_assert_int_eq(pare__largest_remainder(p.total, w, p.lo, p.hi, p.n, got, &arena), 0);
        if (!brute_force(&p, want)) continue; /* everything at a bound */
        n_checked++;
        for (int64_t i = 0; i < p.n; i++)
            ck_assert_msg(got[i] == want[i], "trial %d bin %d: %d instead of %d", (int)trial, (int)i, (int)got[i],
                          (int)want[i]);
    }
    ck_assert_int_gt(n_checked, 15000);
}
END_TEST

START_TEST(test_apportionment_sum)
{
    static double w[1000];
    static int64_t lo[1000], hi[1000], got[1000];

    for (uint64_t trial = 0; trial < 500; trial++) {
        pare__rng r = pare__rng_make(14, trial, 0);
        int64_t n = 1 + pare__rng_below(&r, 1000), total = pare__rng_below(&r, 1 << pare__rng_below(&r, 30)), sum = 0;
        int64_t sum_lo = 0, sum_hi = 0;
        for (int64_t i = 0; i < n; i++) {
            w[i] = pare__rng_below(&r, 9) ? exp(20 * pare__rng_unit(&r)) : pare__rng_below(&r, 2) ? NAN : -1;
            if (pare__rng_below(&r, 200) == 0) w[i] = INFINITY;
            sum_lo += lo[i] = pare__rng_below(&r, 4);
            sum_hi += hi[i] = lo[i] + pare__rng_below(&r, 5000);
        }
        const int64_t *floors = trial & 1 ? lo : NULL, *caps = trial & 2 ? hi : NULL;
        ck_assert_int_eq(pare__largest_remainder(total, trial & 4 ? w : NULL, floors, caps, n, got, &arena), 0);
        int64_t want = floors && total < sum_lo ? sum_lo : total;
        if (caps && want > sum_hi) want = sum_hi;
        for (int64_t i = 0; i < n; i++) {
            sum += got[i];
            ck_assert(got[i] >= (floors ? lo[i] : 0) && got[i] <= (caps ? hi[i] : want));
        }
        ck_assert_int_eq(sum, want);
    }
}
END_TEST

static void expect_split(int64_t total, const double *w, const int64_t *lo, const int64_t *hi, int64_t a, int64_t b,
                         int64_t c)
{
    int64_t got[3];

    ck_assert_int_eq(pare__largest_remainder(total, w, lo, hi, 3, got, &arena), 0);
    ck_assert_msg(got[0] == a && got[1] == b && got[2] == c, "%d %d %d", (int)got[0], (int)got[1], (int)got[2]);
}

START_TEST(test_apportionment_cases)
{
    const double equal[3] = {.1, .1, .1}, zero[3] = {0, NAN, -5}, first[3] = {1, 0, 0}, endless[3] = {1, INFINITY, 1};
    const int64_t lo[3] = {0, 3, 0}, hi[3] = {2, 10, 10}, low_hi[3] = {1, 1, 1};

    expect_split(10, equal, NULL, NULL, 4, 3, 3);
    expect_split(11, equal, NULL, NULL, 4, 4, 3);
    expect_split(11, zero, NULL, NULL, 4, 4, 3);
    expect_split(12, first, NULL, NULL, 12, 0, 0);
    expect_split(12, first, lo, hi, 2, 5, 5);
    expect_split(6, endless, NULL, NULL, 0, 6, 0);
    expect_split(9, NULL, lo, low_hi, 1, 3, 1); /* a floor above its cap wins */
    expect_split(-4, equal, NULL, NULL, 0, 0, 0);
    expect_split(0, equal, lo, hi, 0, 3, 0);
    ck_assert_int_eq(pare__largest_remainder(5, NULL, NULL, NULL, 0, NULL, &arena), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rank");
    TCase *tc = tcase_create("rank");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_ranking);
    tcase_add_test(tc, test_topk_edges);
    tcase_add_test(tc, test_generator);
    tcase_add_test(tc, test_streams_differ);
    tcase_add_test(tc, test_apportionment_exact);
    tcase_add_test(tc, test_apportionment_sum);
    tcase_add_test(tc, test_apportionment_cases);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    pare__arena_fini(&arena);
    return failed ? 1 : 0;
}
