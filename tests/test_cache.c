/* SPDX-License-Identifier: MIT */
/* The cache: one make for many askers, nothing left by a failure, values destroyed from the last to the first. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/cache.h"

enum { N_THREAD = 4, N_KEY = 3, MAKE_NS = 20 * 1000 * 1000 };

static const char keys[N_KEY] = "abc"; /* their addresses are the keys */

typedef struct thing {
    _Atomic int n_made, n_inside, n_together;
    int rc; /* what make returns */
} thing;

/* Long enough that every thread asks while it is made. */
static int make_slowly(void *arg, void **value, pare_error *err)
{
    thing *t = arg;
    const struct timespec wait = {0, MAKE_NS};
    if (atomic_fetch_add(&t->n_inside, 1)) atomic_fetch_add(&t->n_together, 1);
    nanosleep(&wait, NULL);
    atomic_fetch_sub(&t->n_inside, 1);
    atomic_fetch_add(&t->n_made, 1);
    if (t->rc) return pare_fail(err, t->rc, "made to fail");
    *value = t;
    return 0;
}

typedef struct asker {
    pare__cache *c;
    thing *t;
    pthread_barrier_t *start;
    void *value[N_KEY];
    int rc;
} asker;

static void *ask(void *arg)
{
    asker *a = arg;
    pthread_barrier_wait(a->start);
    for (int i = 0; i < N_KEY; i++)
        a->rc |= pare__cache_get(a->c, &keys[i], make_slowly, &a->t[i], NULL, &a->value[i], NULL);
    return NULL;
}

START_TEST(test_made_once)
{
    thing t[N_KEY] = {0};
    asker askers[N_THREAD];
    pthread_t threads[N_THREAD];
    pthread_barrier_t start;
    pare__cache *c;
    ck_assert_int_eq(pare__cache_create(&c, NULL), 0);
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, N_THREAD), 0);
    for (int i = 0; i < N_THREAD; i++) {
        askers[i] = (asker){.c = c, .t = t, .start = &start};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < N_THREAD; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < N_THREAD; i++) ck_assert_int_eq(askers[i].rc, 0);
    for (int k = 0; k < N_KEY; k++) {
        ck_assert_int_eq(t[k].n_made, 1);
        ck_assert_int_eq(t[k].n_together, 0);
        for (int i = 0; i < N_THREAD; i++) ck_assert_ptr_eq(askers[i].value[k], &t[k]);
    }
    pthread_barrier_destroy(&start);
    pare__cache_free(&c);
    ck_assert_ptr_null(c);
}
END_TEST

START_TEST(test_failure_leaves_nothing)
{
    thing t = {.rc = PARE_E_NOMEM};
    pare_error err = {0};
    void *value = &t;
    pare__cache *c;
    ck_assert_int_eq(pare__cache_create(&c, NULL), 0);
    ck_assert_int_eq(pare__cache_get(c, keys, make_slowly, &t, NULL, &value, &err), PARE_E_NOMEM);
    ck_assert_ptr_null(value);
    ck_assert_str_eq(err.text, "made to fail");
    t.rc = 0;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pare__cache_get(c, keys, make_slowly, &t, NULL, &value, &err), 0);
        ck_assert_ptr_eq(value, &t);
    }
    ck_assert_int_eq(t.n_made, 2);
    pare__cache_free(&c);
}
END_TEST

static char destroyed[N_KEY + 1];

static int make_key(void *arg, void **value, pare_error *err)
{
    (void)err;
    *value = arg;
    return 0;
}

static void note_destroyed(void *value) { strncat(destroyed, value, 1); }

START_TEST(test_last_goes_first)
{
    char values[N_KEY] = "xyz";
    pare__cache *c;
    void *value;
    memset(destroyed, 0, sizeof destroyed);
    ck_assert_int_eq(pare__cache_create(&c, NULL), 0);
    for (int i = 0; i < N_KEY; i++)
        ck_assert_int_eq(pare__cache_get(c, &keys[i], make_key, &values[i], note_destroyed, &value, NULL), 0);
    ck_assert_ptr_eq(value, &values[N_KEY - 1]);
    ck_assert_str_eq(destroyed, "");
    pare__cache_free(&c);
    ck_assert_str_eq(destroyed, "zyx");
    pare__cache_free(&c); /* nothing is also a cache that can go */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache");
    TCase *tc = tcase_create("cache");
    tcase_add_test(tc, test_made_once);
    tcase_add_test(tc, test_failure_leaves_nothing);
    tcase_add_test(tc, test_last_goes_first);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
