/* SPDX-License-Identifier: MIT */
/* Live input: a reducer in a thread of its own behind a bounded queue of frames. The camera pushes and never waits for the
 * encoder; the consumer pulls results as they fall due. Memory is bounded by the queue and the window.
 *
 *     pare_live_open(&live, model, &(pare_live_opts){.struct_size = sizeof(pare_live_opts), .reducer = &reducer,
 *                                                    .drop = PARE_DROP_OLDEST}, &err);
 *     // camera's thread                                       // consumer's thread
 *     pare_live_push(live, &frame, &err);                      while ((rc = pare_live_pull(live, 1, &result, &err)) >= 0) {
 *     ...                                                          if (rc == PARE_EOF) break;
 *     pare_live_flush(live, &err);                                 if (rc == 0) use(pare_result_get(result));
 *                                                                  pare_result_free(&result);
 *                                                              }
 *
 * Threads: one thread at a time pushes and flushes, another one at a time pulls; pare_live_cancel and pare_live_get may be
 * called by any thread at any time, pare_live_close when no other call is running. */
#ifndef PARE_LIVE_H
#define PARE_LIVE_H

#include <pare/pare.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of frames when the queue is full. Frames that are dropped leave a gap in time and nothing else: those that
 * stay keep their own pts. */
enum {
    PARE_DROP_NONE,   /* push waits (back-pressure), or says PARE_AGAIN */
    PARE_DROP_OLDEST, /* the frame that waits longest makes room: lowest latency */
    PARE_DROP_NEWEST, /* the frame that is pushed is dropped: no gap in what was accepted before */
    PARE_DROP_COUNT
};

typedef struct pare_live pare_live;

typedef struct pare_live_opts {
    uint32_t struct_size;
    /* Copied, what it points to as pare_reducer_create says. `window` is the look-ahead in temporal steps: methods that see
     * a whole clip are shown consecutive windows of so many; 0 = 4 here, -1 is refused. `stop` is not for the caller:
     * pare_live_cancel sets it. */
    const pare_reducer_opts *reducer;
    int32_t
        queue; /* frames that wait at most; 0 = twice the window's, so that one window may fill while another is encoded */
    int32_t
        results;  /* results that wait to be pulled at most; 0 = 4. When so many wait, nothing is encoded, and the queue
                      * fills up */
    int32_t drop; /* PARE_DROP_* */
    double timeout; /* PARE_DROP_NONE: seconds that push waits for room; 0 = not at all, < 0 = as long as it takes */
} pare_live_opts;

/* Sums since the start, unless they say otherwise. */
typedef struct pare_live_stats {
    uint32_t struct_size;
    int64_t n_pushed;          /* frames that push took: those that wait, are decided or were dropped */
    int64_t n_dropped;         /* of them those that no window will see */
    int64_t n_decided;         /* frames of windows that are decided */
    int64_t n_refused;         /* frames for which push said PARE_AGAIN */
    int64_t n_results;         /* results that were pulled */
    int32_t queue, queue_most; /* frames that wait now; the most that ever did */
    int32_t ready;             /* results that wait to be pulled now */
    int32_t window;            /* look-ahead: temporal steps decided together */
    double look_ahead;         /* the same in seconds of pts: the longest window so far */
    /* Milliseconds from push to a result that may be pulled, look-ahead included: over the last 1024 frames, 0 before the
     * first. p50 and p95 are their quantiles (nearest rank). */
    double latency_p50, latency_p95, latency_most;
} pare_live_stats;

/* Starts the thread. The model must outlive it. Errors: those of pare_reducer_create; INVALID (queue, results, drop,
 * timeout, window), EXTERNAL (no thread), NOMEM. */
PARE_API int pare_live_open(pare_live **out, const pare_model *model, const pare_live_opts *opts, pare_error *err);
/* Copies the frame with its mask, scores and motion, in its own layout. 0: taken (or dropped by the policy); PARE_AGAIN: no
 * room within `timeout`, nothing happened. Errors: INVALID (the frame), STATE (after flush), CANCELLED, NOMEM, and whatever
 * made the reducer fail on an earlier frame. */
PARE_API int pare_live_push(pare_live *live, const pare_frame *frame, pare_error *err);
/* Waits up to `timeout` seconds (0 = not at all, < 0 = as long as it takes) for a result, owned by the caller, who may free
 * it after the close as well. PARE_AGAIN: none by then; PARE_EOF: flushed and all pulled. Results that were ready before an
 * error or a cancel come first. Errors: CANCELLED, and whatever made the reducer fail. */
PARE_API int pare_live_pull(pare_live *live, double timeout, pare_result **out, pare_error *err);
/* No more frames: what waits is decided; returns at once. Errors: CANCELLED. */
PARE_API int pare_live_flush(pare_live *live, pare_error *err);
/* Wakes everybody who waits and stops the reducer at its next look; what was not decided is forgotten. Returns at once. */
PARE_API void pare_live_cancel(pare_live *live);
/* `stats->struct_size` must be set. Errors: INVALID. */
PARE_API int pare_live_get(pare_live *live, pare_live_stats *stats, pare_error *err);
/* Sums of the reducer, as of the last window. `stats->struct_size` must be set. Errors: INVALID. */
PARE_API int pare_live_reducer_get(pare_live *live, pare_reducer_stats *stats, pare_error *err);
/* Cancels, waits for the thread, frees. */
PARE_API void pare_live_close(pare_live **live);

#ifdef __cplusplus
}
#endif

#endif
