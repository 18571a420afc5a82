/* SPDX-License-Identifier: MIT */
/* A reducer in a thread of its own. Buffers of frames go round: idle -> filled by push -> waiting -> taken by the worker ->
 * idle; results go from the worker into a ring for pull. One lock and one condition serve everybody: there are three
 * threads, and they meet once a frame.
 *
 *     push -> waiting [queue] -> worker: pare__reducer_push -> ready [results] -> pull */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <pare/live.h>

#include "api.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/frame_copy.h"
#include "core/limits.h"
#include "core/mem.h"
#include "core/stop.h"
#include "model/model.h"
#include "reduce/reducer.h"

enum { DEFAULT_WINDOW = 4, DEFAULT_RESULTS = 4, LATENCIES = 1024, NO_BUFFER = -1 };

typedef struct buffer {
    pare__frame_copy copy;
    double pushed; /* milliseconds, pare__now_ms */
} buffer;

struct pare_live {
    pare_reducer *reducer; /* the worker's, once it runs */
    int32_t queue, results, drop;
    double timeout;
    pthread_t worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int32_t has_worker;
    volatile int stop; /* what the reducer looks at */

    buffer *buffer;   /* [queue + 2]: one is with the worker, one is being filled */
    int32_t *waiting; /* [queue] ring of buffers */
    int32_t first_waiting, n_waiting;
    int32_t *idle; /* [queue + 2] stack of buffers */
    int32_t n_idle;
    pare_result **ready; /* [results] ring */
    int32_t first_ready, n_ready;
    int32_t is_flushed, is_cancelled, is_done; /* done: the worker will deliver nothing more */
    pare_error error;                          /* what made the reducer fail */

    double *pushed; /* [n_inside] when the frames that the reducer holds were pushed; the worker's */
    int64_t n_inside, cap_inside;
    pare_live_stats stats;
    pare_reducer_stats sums;
    double latency[LATENCIES]; /* ring */
    int64_t n_latency;
};

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static struct timespec deadline_of(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double whole = floor(seconds < PARE__MAX_WAIT ? seconds : PARE__MAX_WAIT);
    const long ns = t.tv_nsec + (long)(1e9 * (seconds < PARE__MAX_WAIT ? seconds - whole : 0));
    t.tv_sec += (time_t)whole + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

/* Waits for a change; 0 when the time is over. seconds < 0: as long as it takes. */
static int wait_until(pare_live *l, double seconds, const struct timespec *deadline)
{
    if (seconds == 0) return 0;
    if (seconds < 0) return pthread_cond_wait(&l->changed, &l->lock) == 0;
    return pthread_cond_timedwait(&l->changed, &l->lock, deadline) == 0;
}

static int refuse(const pare_live *l, pare_error *err)
{
    if (l->error.code) return pare_fail(err, l->error.code, "%s", l->error.text);
    return l->is_cancelled ? pare_fail(err, PARE_E_CANCELLED, "cancelled") : 0;
}

/* ---- worker ---------------------------------------------------------------------------------------------------- */

/* The next frame, or NO_BUFFER when none will come. */
static int32_t take_waiting(pare_live *l)
{
    int32_t b = NO_BUFFER;
    pthread_mutex_lock(&l->lock);
    while (!l->n_waiting && !l->is_flushed && !l->is_cancelled) pthread_cond_wait(&l->changed, &l->lock);
    if (l->n_waiting && !l->is_cancelled) {
        b = l->waiting[l->first_waiting];
        l->first_waiting = (l->first_waiting + 1) % l->queue;
        l->n_waiting--;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return b;
}

static void give_back(pare_live *l, int32_t b)
{
    pthread_mutex_lock(&l->lock);
    l->idle[l->n_idle++] = b;
    pthread_mutex_unlock(&l->lock);
}

static void note_span(pare_live *l, const pare_result_view *v)
{
    const double span = v->pts[2 * (int64_t)v->grid[0] - 1] - v->pts[0];
    if (span > l->stats.look_ahead) l->stats.look_ahead = span;
}

/* Into the ring, as soon as there is room; of no use to anybody after a cancel. */
static void put_ready(pare_live *l, pare_result *result)
{
    pthread_mutex_lock(&l->lock);
    while (l->n_ready == l->results && !l->is_cancelled) pthread_cond_wait(&l->changed, &l->lock);
    if (!l->is_cancelled) {
        note_span(l, pare_result_get(result));
        l->ready[(l->first_ready + l->n_ready++) % l->results] = result;
        result = NULL;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    pare_result_free(&result);
}

/* Frames that are decided now were pushed that long ago. */
static void note_decided(pare_live *l)
{
    const double now = pare__now_ms();
    pthread_mutex_lock(&l->lock);
    const int64_t n = l->reducer->stats.n_frames - l->sums.n_frames;
    l->sums = l->reducer->stats;
    l->stats.n_decided += n;
    for (int64_t i = 0; i < n; i++) l->latency[l->n_latency++ % LATENCIES] = now - l->pushed[i];
    l->n_inside -= n;
    memmove(l->pushed, l->pushed + n, (size_t)l->n_inside * sizeof *l->pushed);
    pthread_mutex_unlock(&l->lock);
}

static void deliver(pare_live *l)
{
    pare_result *result;
    while (pare__reducer_pull(l->reducer, &result, NULL) == 0) put_ready(l, result);
    if (l->reducer->stats.n_frames > l->sums.n_frames) note_decided(l);
}

static int is_cancelled(pare_live *l)
{
    pthread_mutex_lock(&l->lock);
    const int is = l->is_cancelled;
    pthread_mutex_unlock(&l->lock);
    return is;
}

static int reduce_frame(pare_live *l, const buffer *b, pare_error *err)
{
    if (pare__grow((void **)&l->pushed, &l->cap_inside, l->n_inside + 1, sizeof *l->pushed))
        return pare_fail(err, PARE_E_NOMEM, "live: out of memory");
    l->pushed[l->n_inside++] = b->pushed;
    return pare__reducer_push(l->reducer, &b->copy.frame, err);
}

static void *work(void *arg)
{
    pare_live *l = arg;
    pare_error err = {0};
    int rc = 0;
    for (int32_t b; !rc && (b = take_waiting(l)) != NO_BUFFER;) {
        rc = reduce_frame(l, &l->buffer[b], &err);
        give_back(l, b);
        deliver(l);
    }
    if (!rc && !is_cancelled(l)) {
        rc = pare__reducer_flush(l->reducer, &err);
        deliver(l);
    }
    pthread_mutex_lock(&l->lock);
    if (rc && !l->is_cancelled) l->error = err;
    l->is_done = 1;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- open and close -------------------------------------------------------------------------------------------- */

static int check_opts(const pare_live_opts *o, pare_error *err)
{
    if (o->queue < 0 || o->queue > PARE__MAX_QUEUE)
        return pare_fail(err, PARE_E_INVALID, "live: queue of %d frames, must be 1..%d, or 0 for two windows", o->queue,
                         PARE__MAX_QUEUE);
    if (o->results < 0 || o->results > PARE__MAX_QUEUE)
        return pare_fail(err, PARE_E_INVALID, "live: %d results, must be 1..%d, or 0 for %d", o->results,
                         PARE__MAX_QUEUE, DEFAULT_RESULTS);
    if (o->drop < 0 || o->drop >= PARE_DROP_COUNT)
        return pare_fail(err, PARE_E_INVALID, "live: drop policy %d, must be 0..%d (PARE_DROP_*)", o->drop,
                         PARE_DROP_COUNT - 1);
    return isfinite(o->timeout) ? 0 : pare_fail(err, PARE_E_INVALID, "live: timeout of %g seconds", o->timeout);
}

static int make_reducer(pare_live *l, const pare_model *model, const pare_reducer_opts *given, pare_error *err)
{
    pare_reducer_opts o;
    int rc = pare__take_struct(&o, sizeof o, given, "pare_live_open", err);
    if (rc) return rc;
    if (o.window < 0) return pare_fail(err, PARE_E_INVALID, "live: window %d, a stream has no whole clip", o.window);
    if (o.stop) return pare_fail(err, PARE_E_INVALID, "live: stop is set by pare_live_cancel, not by the caller");
    o.struct_size = sizeof o;
    o.window = o.window ? o.window : DEFAULT_WINDOW;
    o.stop = &l->stop;
    l->stats.window = o.window;
    return pare_reducer_create(&l->reducer, model, &o, err);
}

static int make_room(pare_live *l, const pare_live_opts *o, int32_t temporal, pare_error *err)
{
    const int64_t two = 2 * (int64_t)l->stats.window * temporal;
    l->queue = o->queue ? o->queue : two < PARE__MAX_QUEUE ? (int32_t)two : PARE__MAX_QUEUE;
    l->results = o->results ? o->results : DEFAULT_RESULTS;
    l->n_idle = l->queue + 2;
    l->buffer = PARE__NEW(buffer, l->n_idle);
    l->idle = PARE__NEW(int32_t, l->n_idle);
    l->waiting = PARE__NEW(int32_t, l->queue);
    l->ready = PARE__NEW(pare_result *, l->results);
    if (!l->buffer || !l->idle || !l->waiting || !l->ready)
        return pare_fail(err, PARE_E_NOMEM, "live: no memory for a queue of %d frames", l->queue);
    for (int32_t i = 0; i < l->n_idle; i++) l->idle[i] = i;
    return 0;
}

static void make_lock(pare_live *l)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* The worker takes no signals: handlers of the host run in its own threads. */
static int start_worker(pare_live *l, pare_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int rc = pthread_create(&l->worker, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    l->has_worker = !rc;
    return rc ? pare_fail(err, PARE_E_EXTERNAL, "live: cannot start a thread: %s", strerror(rc)) : 0;
}

int pare_live_open(pare_live **out, const pare_model *model, const pare_live_opts *opts, pare_error *err)
{
    if (!out) return pare__no_argument("pare_live_open", "out", err);
    *out = NULL;
    if (!model) return pare__no_argument("pare_live_open", "model", err);
    pare_live_opts o;
    int rc = pare__take_struct(&o, sizeof o, opts, "pare_live_open", err);
    if (!rc) rc = check_opts(&o, err);
    if (rc) return rc;
    pare_live *l = PARE__NEW(pare_live, 1);
    if (!l) return pare_fail(err, PARE_E_NOMEM, "live: out of memory");
    l->drop = o.drop;
    l->timeout = o.timeout;
    make_lock(l);
    rc = make_reducer(l, model, o.reducer, err);
    if (!rc) rc = make_room(l, &o, l->reducer->opts.video ? model->hp.temporal : 1, err);
    if (!rc) rc = start_worker(l, err);
    if (rc) pare_live_close(&l);
    *out = l;
    return rc;
}

void pare_live_close(pare_live **out)
{
    pare_live *l = out ? *out : NULL;
    if (!l) return;
    *out = NULL;
    pare_live_cancel(l);
    if (l->has_worker) pthread_join(l->worker, NULL);
    for (int32_t i = 0; l->ready && i < l->n_ready; i++) pare_result_free(&l->ready[(l->first_ready + i) % l->results]);
    for (int32_t i = 0; l->buffer && i < l->queue + 2; i++) pare__frame_copy_fini(&l->buffer[i].copy);
    pare__reducer_free(&l->reducer);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    void *owned[] = {l->buffer, l->idle, l->waiting, l->ready, l->pushed};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) pare__free(owned[i]);
    pare__free(l);
}

/* ---- push ------------------------------------------------------------------------------------------------------ */

/* A full queue: waits for room or makes it as the policy says. 0, PARE_AGAIN, or an error. */
static int make_way(pare_live *l, pare_error *err)
{
    if (l->drop == PARE_DROP_OLDEST) {
        l->idle[l->n_idle++] = l->waiting[l->first_waiting];
        l->first_waiting = (l->first_waiting + 1) % l->queue;
        l->n_waiting--;
        l->stats.n_dropped++;
        return 0;
    }
    const struct timespec deadline = deadline_of(l->timeout);
    while (l->n_waiting == l->queue && !l->is_done && !refuse(l, NULL) && wait_until(l, l->timeout, &deadline))
        continue;
    const int rc = refuse(l, err);
    if (rc || l->n_waiting < l->queue) return rc;
    l->stats.n_refused++;
    return PARE_AGAIN;
}

/* A buffer to fill, or NO_BUFFER where the policy drops this very frame. */
static int take_idle(pare_live *l, int32_t *b, pare_error *err)
{
    *b = NO_BUFFER;
    int rc = refuse(l, err);
    if (!rc && l->is_flushed) rc = pare_fail(err, PARE_E_STATE, "push after flush");
    if (rc) return rc;
    if (l->n_waiting == l->queue && l->drop == PARE_DROP_NEWEST) {
        l->stats.n_pushed++;
        l->stats.n_dropped++;
        return 0;
    }
    if (l->n_waiting == l->queue) rc = make_way(l, err);
    if (!rc) *b = l->idle[--l->n_idle];
    return rc;
}

static void put_waiting(pare_live *l, int32_t b)
{
    pthread_mutex_lock(&l->lock);
    l->waiting[(l->first_waiting + l->n_waiting++) % l->queue] = b;
    if (l->n_waiting > l->stats.queue_most) l->stats.queue_most = l->n_waiting;
    l->stats.n_pushed++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

int pare_live_push(pare_live *l, const pare_frame *frame, pare_error *err)
{
    if (!l) return pare__no_argument("pare_live_push", "live", err);
    const double now = pare__now_ms();
    pare_frame own;
    int32_t b = NO_BUFFER;
    int rc = pare__take_frame(&own, frame, "pare_live_push", err);
    if (rc) return rc;
    pthread_mutex_lock(&l->lock);
    rc = take_idle(l, &b, err);
    pthread_mutex_unlock(&l->lock);
    if (rc || b == NO_BUFFER) return rc;
    l->buffer[b].pushed = now;
    rc = pare__frame_copy_take(&l->buffer[b].copy, &own, err);
    if (rc)
        give_back(l, b);
    else
        put_waiting(l, b);
    return rc;
}

int pare_live_flush(pare_live *l, pare_error *err)
{
    if (!l) return pare__no_argument("pare_live_flush", "live", err);
    pthread_mutex_lock(&l->lock);
    const int rc = refuse(l, err);
    l->is_flushed = 1;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

/* ---- pull ------------------------------------------------------------------------------------------------------ */

static pare_result *take_ready(pare_live *l)
{
    pare_result *result = l->ready[l->first_ready];
    l->first_ready = (l->first_ready + 1) % l->results;
    l->n_ready--;
    l->stats.n_results++;
    pthread_cond_broadcast(&l->changed);
    return result;
}

int pare_live_pull(pare_live *l, double timeout, pare_result **out, pare_error *err)
{
    if (!out) return pare__no_argument("pare_live_pull", "out", err);
    *out = NULL;
    if (!l) return pare__no_argument("pare_live_pull", "live", err);
    if (isnan(timeout)) return pare_fail(err, PARE_E_INVALID, "pare_live_pull: timeout of %g seconds", timeout);
    const struct timespec deadline = deadline_of(timeout < 0 ? 0 : timeout);
    int rc = 0;
    pthread_mutex_lock(&l->lock);
    while (!l->n_ready && !l->is_done && !refuse(l, NULL) && wait_until(l, timeout, &deadline)) continue;
    if (l->n_ready)
        *out = take_ready(l);
    else
        rc = refuse(l, err);
    if (!*out && !rc) rc = l->is_done ? PARE_EOF : PARE_AGAIN;
    pthread_mutex_unlock(&l->lock);
    return rc;
}

/* ---- any thread ------------------------------------------------------------------------------------------------ */

void pare_live_cancel(pare_live *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    pare__ask(&l->stop);
    l->is_cancelled = 1;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* Ascending, without memory of its own (Shell's sort). */
static void sort(double *x, int64_t n)
{
    for (int64_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (int64_t i = gap; i < n; i++) {
            const double v = x[i];
            int64_t j = i;
            for (; j >= gap && x[j - gap] > v; j -= gap) x[j] = x[j - gap];
            x[j] = v;
        }
}

static double quantile(const double *sorted, int64_t n, double share)
{
    const int64_t rank = (int64_t)ceil(share * (double)n);
    return n ? sorted[(rank > 0 ? rank : 1) - 1] : 0;
}

int pare_live_get(pare_live *l, pare_live_stats *stats, pare_error *err)
{
    if (!l) return pare__no_argument("pare_live_get", "live", err);
    double latency[LATENCIES];
    pthread_mutex_lock(&l->lock);
    const int64_t n = l->n_latency < LATENCIES ? l->n_latency : LATENCIES;
    pare_live_stats own = l->stats;
    own.queue = l->n_waiting;
    own.ready = l->n_ready;
    memcpy(latency, l->latency, sizeof latency);
    pthread_mutex_unlock(&l->lock);
    sort(latency, n);
    own.latency_p50 = quantile(latency, n, 0.5);
    own.latency_p95 = quantile(latency, n, 0.95);
    own.latency_most = quantile(latency, n, 1);
    return pare__give_struct(stats, &own, sizeof own, "pare_live_get", err);
}

int pare_live_reducer_get(pare_live *l, pare_reducer_stats *stats, pare_error *err)
{
    if (!l) return pare__no_argument("pare_live_reducer_get", "live", err);
    pthread_mutex_lock(&l->lock);
    const pare_reducer_stats own = l->sums;
    pthread_mutex_unlock(&l->lock);
    return pare__give_struct(stats, &own, sizeof own, "pare_live_reducer_get", err);
}
