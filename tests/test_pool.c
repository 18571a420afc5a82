/* SPDX-License-Identifier: MIT */
/* The pool: every task once, workers in range, back-to-back jobs, NULL and oversubscribed pools. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>

#include "core/limits.h"
#include "core/pool.h"

enum { MAX_TASKS = 3000 };

typedef struct job {
    _Atomic int32_t calls[MAX_TASKS];
    _Atomic int64_t bad_worker, sum;
    int32_t n_worker;
} job;

static void count(void *arg, int64_t task, int32_t worker)
{
    job *j = arg;
    atomic_fetch_add(&j->calls[task], 1);
    atomic_fetch_add(&j->sum, task);
    if (worker < 0 || worker >= j->n_worker) atomic_fetch_add(&j->bad_worker, 1);
}

static void run_and_check(pare__pool *pool, int64_t n)
{
    static job j;

    memset(&j, 0, sizeof j);
    j.n_worker = pare__pool_threads(pool);
    pare__pool_run(pool, n, count, &j);
    for (int64_t i = 0; i < MAX_TASKS; i++) ck_assert_int_eq(j.calls[i], i < n);
    ck_assert_int_eq(j.sum, n * (n - 1) / 2);
    ck_assert_int_eq(j.bad_worker, 0);
}

START_TEST(test_every_task_once)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, MAX_TASKS};

    for (int32_t threads = 1; threads <= 8; threads++) {
        pare__pool *pool;
        ck_assert_int_eq(pare__pool_create(&pool, threads, NULL), 0);
        ck_assert_int_eq(pare__pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) run_and_check(pool, sizes[i]);
        pare__pool_free(&pool);
        ck_assert_ptr_null(pool);
    }
}
END_TEST

/* Plain stores of one job must be visible in the next: the barrier is a barrier. */
static void next_value(void *arg, int64_t task, int32_t worker)
{
    int64_t *value = arg;
    (void)worker;
    value[task] += value[task + 8] + 1;
    value[task + 8] = 0;
}

START_TEST(test_back_to_back)
{
    pare__pool *pool;
    int64_t value[16] = {0};

    ck_assert_int_eq(pare__pool_create(&pool, 2, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        pare__pool_run(pool, 8, next_value, value);
        value[8 + i % 8] = 1;
    }
    int64_t sum = 0;
    for (int i = 0; i < 16; i++) sum += value[i];
    ck_assert_int_eq(sum, 8 * 20000 + 20000);
    pare__pool_free(&pool);
}
END_TEST

START_TEST(test_without_pool)
{
    pare__pool *none = NULL;

    run_and_check(NULL, 17);
    ck_assert_int_eq(pare__pool_threads(NULL), 1);
    pare__pool_free(&none);
}
END_TEST

START_TEST(test_limits)
{
    pare_error err = {0};
    pare__pool *pool = (pare__pool *)&err;

    ck_assert_int_eq(pare__pool_create(&pool, -1, &err), PARE_E_INVALID);
    ck_assert_ptr_null(pool);
    ck_assert_ptr_nonnull(strstr(err.text, "-1"));
    ck_assert_int_eq(pare__pool_create(&pool, PARE__MAX_THREADS + 1, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__pool_create(&pool, 0, &err), 0);
    ck_assert_int_eq(pare__pool_threads(pool), pare__cpu_count());
    pare__pool_free(&pool);
}
END_TEST

START_TEST(test_slices)
{
    for (int64_t n = 0; n < 50; n++)
        for (int64_t k = 1; k < 20; k++) {
            ck_assert_int_eq(pare__slice(n, 0, k), 0);
            ck_assert_int_eq(pare__slice(n, k, k), n);
            for (int64_t i = 0; i < k; i++) {
                int64_t size = pare__slice(n, i + 1, k) - pare__slice(n, i, k);
                ck_assert(size == n / k || size == n / k + 1);
            }
        }
    ck_assert_int_eq(pare__slice((int64_t)1 << 40, 1000, 2000), (int64_t)1 << 39);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *tc = tcase_create("pool");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_every_task_once);
    tcase_add_test(tc, test_back_to_back);
    tcase_add_test(tc, test_without_pool);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_slices);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
