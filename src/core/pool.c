/* SPDX-License-Identifier: MIT */
/* The pool. One word says everything about the current job: its generation, whether it is open, and how many helpers are
 * inside. A helper enters an open job of a new generation by compare-and-swap; the caller closes the job when no task is
 * left and waits only for helpers that did enter, so a helper that is asleep or descheduled delays nobody.
 *
 *     state = generation << 32 | OPEN | helpers inside
 *
 * Both sides spin for some microseconds (the barriers of one encoder block follow each other that fast), then sleep. */
#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/mem.h"

#define OPEN ((uint64_t)1 << 31)
#define INSIDE (OPEN - 1)
#define GENERATION(state) ((state) >> 32)

enum { SPINS = 1000 };

typedef struct helper {
    pare__pool *pool;
    pthread_t thread;
    int32_t worker;
} helper;

struct pare__pool {
    _Atomic uint64_t state;
    _Atomic int64_t next; /* first task not handed out */
    _Atomic int32_t sleeping, waiting, stop;
    int64_t n_task;
    pare__task_fn fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int32_t n_helper, n_started, spins;
    helper helper[];
};

#if defined(__x86_64__)
static void relax(void) { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
static void relax(void) { __asm__ __volatile__("yield"); }
#else
static void relax(void) {}
#endif

int32_t pare__cpu_count(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > PARE__MAX_THREADS ? PARE__MAX_THREADS : (int32_t)n;
}

static void work(pare__pool *pool, int32_t worker)
{
    int64_t n = pool->n_task, task;
    while ((task = atomic_fetch_add(&pool->next, 1)) < n) pool->fn(pool->arg, task, worker);
}

/* Enters the open job if its generation is newer than *seen. */
static int try_enter(pare__pool *pool, uint64_t *seen)
{
    uint64_t state = atomic_load(&pool->state);
    while ((state & OPEN) && GENERATION(state) != *seen) {
        if (!atomic_compare_exchange_weak(&pool->state, &state, state + 1)) continue;
        *seen = GENERATION(state);
        return 1;
    }
    return 0;
}

static void leave(pare__pool *pool)
{
    uint64_t before = atomic_fetch_sub(&pool->state, 1);
    if ((before & OPEN) || (before & INSIDE) != 1 || !atomic_load(&pool->waiting)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

/* 1 inside a job, 0 when the pool stops. */
static int wait_for_job(pare__pool *pool, uint64_t *seen)
{
    for (int32_t i = 0; i < pool->spins; i++, relax())
        if (try_enter(pool, seen)) return 1;
    int entered = 0;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleeping, 1); /* before the last look: run() looks the other way round */
    while (!(entered = try_enter(pool, seen)) && !atomic_load(&pool->stop)) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
    return entered;
}

static void *helper_main(void *arg)
{
    const helper *self = arg;
    uint64_t seen = 0;

    while (wait_for_job(self->pool, &seen)) {
        work(self->pool, self->worker);
        leave(self->pool);
    }
    return NULL;
}

/* Helpers take no signals: handlers of the host run in its own threads. */
static int start_helpers(pare__pool *pool)
{
    sigset_t all, old;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int32_t i = 0; i < pool->n_helper && rc == 0; i++) {
        pool->helper[i] = (helper){.pool = pool, .worker = i + 1};
        rc = pthread_create(&pool->helper[i].thread, NULL, helper_main, &pool->helper[i]);
        if (rc == 0) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

int pare__pool_create(pare__pool **out, int32_t n_threads, pare_error *err)
{
    *out = NULL;
    if (n_threads < 0 || n_threads > PARE__MAX_THREADS)
        return pare_fail(err, PARE_E_INVALID, "%d threads asked for, 0 to %d are possible", n_threads,
                         PARE__MAX_THREADS);
    int32_t n_cpu = pare__cpu_count();
    if (n_threads == 0) n_threads = n_cpu;
    pare__pool *pool = pare__calloc(1, (int64_t)sizeof *pool + n_threads * (int64_t)sizeof(helper));
    if (!pool) return pare_fail(err, PARE_E_NOMEM, "no memory for a pool of %d threads", n_threads);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->n_helper = n_threads - 1;
    pool->spins = n_threads <= n_cpu ? SPINS : 0; /* spinning would only take a CPU from who should run */
    int rc = start_helpers(pool);
    if (rc) {
        pare_fail(err, PARE_E_EXTERNAL, "cannot start thread %d of %d: %s", pool->n_started + 2, n_threads,
                  strerror(rc));
        pare__pool_free(&pool);
        return PARE_E_EXTERNAL;
    }
    *out = pool;
    return 0;
}

void pare__pool_free(pare__pool **pool)
{
    pare__pool *p = *pool;

    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int32_t i = 0; i < p->n_started; i++) pthread_join(p->helper[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pare__free(p);
    *pool = NULL;
}

int32_t pare__pool_threads(const pare__pool *pool) { return pool ? pool->n_helper + 1 : 1; }

static void open_job(pare__pool *pool, int64_t n_task, pare__task_fn fn, void *arg)
{
    pool->n_task = n_task;
    pool->fn = fn;
    pool->arg = arg;
    atomic_store(&pool->next, 0);
    uint64_t generation = (GENERATION(atomic_load(&pool->state)) + 1) & UINT32_MAX;
    atomic_store(&pool->state, generation << 32 | OPEN);
    if (!atomic_load(&pool->sleeping)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void close_job(pare__pool *pool)
{
    atomic_fetch_and(&pool->state, ~OPEN);
    for (int32_t i = 0; i < pool->spins; i++, relax())
        if (!(atomic_load(&pool->state) & INSIDE)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, 1);
    while (atomic_load(&pool->state) & INSIDE) pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->waiting, 0);
    pthread_mutex_unlock(&pool->lock);
}

void pare__pool_run(pare__pool *pool, int64_t n_task, pare__task_fn fn, void *arg)
{
    if (!pool || pool->n_helper == 0 || n_task <= 1) {
        for (int64_t task = 0; task < n_task; task++) fn(arg, task, 0);
        return;
    }
    open_job(pool, n_task, fn, arg);
    work(pool, 0);
    close_job(pool);
}
