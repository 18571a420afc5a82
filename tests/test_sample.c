/* SPDX-License-Identifier: MIT */
/* Sampling rules: ranges, ticks, every n-th, uniform positions; each also against its definition on random stamps. */
#include "media/sample.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_N = 400 };

static uint64_t rng_state = 88172645463325252u;

static double uniform(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (double)(rng_state >> 11) / 9007199254740992.0;
}

static int64_t regular(double *pts, int64_t n, double origin, double rate)
{
    for (int64_t i = 0; i < n; i++) pts[i] = origin + (double)i / rate;
    return n;
}

/* Gaps between 0 (duplicates) and 0.2 s. */
static int64_t irregular(double *pts, int64_t n, double origin)
{
    for (int64_t i = 0; i < n; i++) {
        pts[i] = origin;
        origin += uniform() < 0.1 ? 0 : uniform() * 0.2;
    }
    return n;
}

static void expect(pare__sampling s, const double *pts, int64_t n, const int *index, int n_index)
{
    uint8_t take[MAX_N];
    int64_t got = pare__sample_list(&s, pts, n, take);
    ck_assert_int_eq(got, n_index);
    int k = 0;
    for (int64_t i = 0; i < n; i++)
        if (take[i]) {
            ck_assert_int_lt(k, n_index);
            ck_assert_int_eq(i, index[k++]);
        }
    ck_assert_int_eq(k, n_index);
}
#define EXPECT(s, pts, n, ...) expect(s, pts, n, (int[]){__VA_ARGS__}, (int)(sizeof(int[]){__VA_ARGS__} / sizeof(int)))

START_TEST(range_is_half_open)
{
    double pts[MAX_N];
    int64_t n = regular(pts, 20, 0.7, 10);
    EXPECT(((pare__sampling){.start = 0.3, .end = 0.6}), pts, n, 3, 4, 5);
    EXPECT(((pare__sampling){.start = 0.31, .end = 0.6}), pts, n, 4, 5);
    EXPECT(((pare__sampling){.end = 0.1}), pts, n, 0);
    EXPECT(((pare__sampling){.start = 1.8}), pts, n, 18, 19);
}
END_TEST

START_TEST(ranges_partition)
{
    double pts[MAX_N];
    uint8_t first[MAX_N], second[MAX_N];
    int64_t n = irregular(pts, 300, -3.5);
    double cut = (pts[n - 1] - pts[0]) / 3;
    pare__sampling a = {.end = cut}, b = {.start = cut};
    int64_t sum = pare__sample_list(&a, pts, n, first) + pare__sample_list(&b, pts, n, second);
    ck_assert_int_eq(sum, n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(first[i] + second[i], 1);
}
END_TEST

START_TEST(ticks)
{
    double pts[MAX_N];
    int64_t n = regular(pts, 10, 0, 25);
    EXPECT(((pare__sampling){.fps = 10}), pts, n, 0, 3, 5, 8);
    EXPECT(((pare__sampling){.fps = 1000}), pts, n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9); /* never a frame twice */
    EXPECT(((pare__sampling){.fps = 10, .start = 0.08}), pts, n, 2, 5, 7);
    n = regular(pts, 31, 100.1, 30000 / 1001.0);
    EXPECT(((pare__sampling){.fps = 2}), pts, n, 0, 15, 30);
    EXPECT(((pare__sampling){.fps = 1e-9}), pts, n, 0);
}
END_TEST

START_TEST(ticks_of_variable_rate)
{
    const double pts[] = {0, 0.01, 0.02, 0.5, 1.9, 1.95, 2.0, 3.05, 3.1};
    EXPECT(((pare__sampling){.fps = 1}), pts, 9, 0, 4, 6, 7);
    EXPECT(((pare__sampling){.every = 4}), pts, 9, 0, 4, 8);
    EXPECT(((pare__sampling){.every = 4, .start = 0.5}), pts, 9, 3, 7);
}
END_TEST

START_TEST(uniform_rounds_half_to_even)
{
    double pts[MAX_N];
    regular(pts, 20, 5, 30);
    EXPECT(((pare__sampling){.frames = 4}), pts, 10, 0, 3, 6, 9);
    EXPECT(((pare__sampling){.frames = 3}), pts, 8, 0, 4, 7); /* 3.5 */
    EXPECT(((pare__sampling){.frames = 3}), pts, 6, 0, 2, 5); /* 2.5 */
    EXPECT(((pare__sampling){.frames = 1}), pts, 6, 0);
    EXPECT(((pare__sampling){.frames = 2}), pts, 6, 0, 5);
    EXPECT(((pare__sampling){.frames = 9}), pts, 3, 0, 1, 2);
    EXPECT(((pare__sampling){.frames = 2, .start = 0.1, .end = 0.2}), pts, 20, 3, 5);
}
END_TEST

/* rint(linspace) names m different positions for every m <= n; the first and the last are among them. */
START_TEST(uniform_counts)
{
    double pts[MAX_N];
    uint8_t take[MAX_N];
    for (int64_t n = 1; n < 80; n++) {
        irregular(pts, n, 0);
        for (int64_t m = 1; m <= n + 2; m++) {
            pare__sampling s = {.frames = m};
            ck_assert_int_eq(pare__sample_list(&s, pts, n, take), m < n ? m : n);
            ck_assert_int_eq(take[0], 1);
            if (m > 1) ck_assert_int_eq(take[n - 1], 1);
            for (int64_t k = 0; m > 1 && m <= n && k < m; k++)
                ck_assert_int_eq(take[(int64_t)rint((double)k * ((double)(n - 1) / (double)(m - 1)))], 1);
        }
    }
}
END_TEST

/* Against the definition: frame i is taken if some tick lies in (time of the previous frame, its own time]. */
START_TEST(ticks_by_definition)
{
    double pts[MAX_N];
    uint8_t take[MAX_N];
    for (int round = 0; round < 200; round++) {
        int64_t n = irregular(pts, 100, uniform() * 100 - 50);
        double fps = 0.3 + uniform() * 20;
        pare__sampling s = {.fps = fps};
        pare__sample_list(&s, pts, n, take);
        double previous = -1;
        for (int64_t i = 0; i < n; i++) {
            double at = pts[i] - pts[0], last_tick = floor((at + PARE__SAMPLE_SLACK) * fps);
            double last_before = i ? floor((previous + PARE__SAMPLE_SLACK) * fps) : -1;
            ck_assert_int_eq(take[i], last_tick > last_before);
            previous = at;
        }
    }
}
END_TEST

START_TEST(stream_equals_list)
{
    double pts[MAX_N];
    uint8_t take[MAX_N];
    for (int round = 0; round < 200; round++) {
        int64_t n = irregular(pts, 120, uniform() * 10 - 5);
        pare__sampling s = {.start = uniform() < 0.5 ? 0 : uniform() * 4,
                            .end = uniform() < 0.5 ? 0 : 4 + uniform() * 4};
        if (round % 3 == 1) s.fps = uniform() * 30 + 0.1;
        if (round % 3 == 2) s.every = 1 + (int64_t)(uniform() * 9);
        pare__sample_list(&s, pts, n, take);
        pare__sample_state state = {0};
        int over = 0;
        for (int64_t i = 0; i < n; i++) {
            int verdict = over ? -1 : pare__sample_next(&s, &state, pts[i]);
            over = verdict < 0;
            ck_assert_int_eq(take[i], verdict == 1);
        }
    }
}
END_TEST

START_TEST(stamps_that_run_back)
{
    const double pts[] = {1.0, 1.1, 1.1, 0.5, 1.2, 1.3};
    EXPECT(((pare__sampling){0}), pts, 6, 0, 1, 2, 3, 4, 5);
    EXPECT(((pare__sampling){.fps = 10}), pts, 6, 0, 1, 4, 5);
    EXPECT(((pare__sampling){.start = 0.1}), pts, 6, 1, 2, 4, 5);
    uint8_t take[1];
    pare__sampling s = {.fps = 3};
    ck_assert_int_eq(pare__sample_list(&s, pts, 0, take), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tc = tcase_create("rules");
    tcase_add_test(tc, range_is_half_open);
    tcase_add_test(tc, ranges_partition);
    tcase_add_test(tc, ticks);
    tcase_add_test(tc, ticks_of_variable_rate);
    tcase_add_test(tc, uniform_rounds_half_to_even);
    tcase_add_test(tc, uniform_counts);
    tcase_add_test(tc, ticks_by_definition);
    tcase_add_test(tc, stream_equals_list);
    tcase_add_test(tc, stamps_that_run_back);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
