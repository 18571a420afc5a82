/* SPDX-License-Identifier: MIT */
/* A thread that reads ahead. A ring of n + 1 arrivals: n that wait, and the one that was handed out last. */
#ifndef PARE_MEDIA_AHEAD_H
#define PARE_MEDIA_AHEAD_H

#include "media/source.h"

/* What one read gives. */
typedef struct pare__arrival {
    int rc;
    pare_error err; /* if rc < 0 */
    pare_frame frame;
    pare__picture picture; /* holds the frame's pixels; reused */
    pare_source_info info; /* as it stood then */
} pare__arrival;

/* One read, into `to`. The thread calls it until its rc is not 0. */
typedef void (*pare__ahead_fn)(void *arg, pare__arrival *to);

typedef struct pare__ahead pare__ahead;

/* `stop` ends waiting on both sides; the thread itself ends when the source is closing. */
int pare__ahead_start(pare__ahead **out, int32_t n, pare__ahead_fn read, void *arg, const pare__stop *stop,
                      pare_error *err);
/* The next arrival in order, borrowed until the next call; NULL when stopped, whatever waits. Not to be called again
 * after an arrival whose rc is not 0. */
const pare__arrival *pare__ahead_take(pare__ahead *a);
/* Between the two no read is under way: pause waits for the end of one. */
void pare__ahead_pause(pare__ahead *a);
void pare__ahead_resume(pare__ahead *a);
/* Waits for the thread, which `stop` must have told that the source is closing. NULL inside is allowed. */
void pare__ahead_free(pare__ahead **a);

#endif
