/* SPDX-License-Identifier: MIT */
/* Reading ahead: see ahead.h. One producer, one consumer, a ring under one lock; reading itself happens outside of it,
 * because the producer alone touches the slots behind the last arrival. The consumer looks at the stop flag now and then
 * while it waits, so that it depends on no driver and on no signal. */
#include "media/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLICE_NS = 50000000, SECOND_NS = 1000000000 };

struct pare__ahead {
    pthread_t thread;
    pthread_mutex_t lock, reading; /* of the ring; held during a read */
    pthread_cond_t came, room;
    pare__ahead_fn read;
    void *arg;
    const pare__stop *stop;
    int32_t size, first, n; /* slots; the oldest arrival; arrivals, the one handed out included */
    int32_t is_lent;        /* the oldest is handed out */
    pare__arrival slot[];   /* [size] */
};

/* ---- the thread ------------------------------------------------------------------------------------------------- */

/* A slot to read into; NULL when the source is closing. */
static pare__arrival *wait_for_room(pare__ahead *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->n == a->size && !atomic_load(&a->stop->closing)) pthread_cond_wait(&a->room, &a->lock);
    pare__arrival *slot = a->n < a->size ? &a->slot[(a->first + a->n) % a->size] : NULL;
    pthread_mutex_unlock(&a->lock);
    return slot;
}

static void arrive(pare__ahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->n++;
    pthread_cond_signal(&a->came);
    pthread_mutex_unlock(&a->lock);
}

static void *read_on(void *arg)
{
    pare__ahead *a = arg;
    pare__arrival *slot;
    int rc = 0;
    while (!rc && (slot = wait_for_room(a))) {
        pthread_mutex_lock(&a->reading);
        a->read(a->arg, slot);
        pthread_mutex_unlock(&a->reading);
        rc = slot->rc;
        arrive(a);
    }
    return NULL;
}

/* ---- the caller ------------------------------------------------------------------------------------------------- */

static void wait_a_slice(pare__ahead *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += SLICE_NS;
    until.tv_sec += until.tv_nsec / SECOND_NS;
    until.tv_nsec %= SECOND_NS;
    pthread_cond_timedwait(&a->came, &a->lock, &until);
}

static void give_back(pare__ahead *a)
{
    if (!a->is_lent) return;
    a->is_lent = 0;
    a->first = (a->first + 1) % a->size;
    a->n--;
    pthread_cond_signal(&a->room);
}

const pare__arrival *pare__ahead_take(pare__ahead *a)
{
    pthread_mutex_lock(&a->lock);
    give_back(a);
    while (!a->n && !pare__is_stopped(a->stop)) wait_a_slice(a);
    a->is_lent = a->n > 0 && !pare__is_stopped(a->stop);
    const pare__arrival *next = a->is_lent ? &a->slot[a->first] : NULL;
    pthread_mutex_unlock(&a->lock);
    return next;
}

void pare__ahead_pause(pare__ahead *a) { pthread_mutex_lock(&a->reading); }

void pare__ahead_resume(pare__ahead *a) { pthread_mutex_unlock(&a->reading); }

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void dispose(pare__ahead *a)
{
    for (int32_t i = 0; i < a->size; i++) pare__picture_free(&a->slot[i].picture);
    pthread_cond_destroy(&a->came);
    pthread_cond_destroy(&a->room);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->reading);
    free(a);
}

/* Waiting is measured by a clock that nobody sets. */
static void init_locks(pare__ahead *a)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->came, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&a->room, NULL);
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->reading, NULL);
}

/* The thread takes no signals: handlers of the host run in its own threads. */
static int start_thread(pare__ahead *a)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int rc = pthread_create(&a->thread, NULL, read_on, a);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

int pare__ahead_start(pare__ahead **out, int32_t n, pare__ahead_fn read, void *arg, const pare__stop *stop,
                      pare_error *err)
{
    *out = NULL;
    pare__ahead *a = calloc(1, sizeof *a + ((size_t)n + 1) * sizeof a->slot[0]);
    if (!a) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d frames read ahead", n);
    a->read = read;
    a->arg = arg;
    a->stop = stop;
    a->size = n + 1;
    init_locks(a);
    const int failed = start_thread(a);
    if (failed) {
        dispose(a);
        return pare_fail(err, PARE_E_EXTERNAL, "cannot start the thread that reads ahead: %s", strerror(failed));
    }
    *out = a;
    return 0;
}

void pare__ahead_free(pare__ahead **out)
{
    pare__ahead *a = *out;
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    pthread_cond_signal(&a->room);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    dispose(a);
    *out = NULL;
}
