/* SPDX-License-Identifier: MIT */
/* Which frames: pure functions of time stamps. Never index / fps: variable frame rates are common.
 *
 * Times are relative to the first stamp of the input. A range is half open, [start, end): a frame exactly at `start` is
 * in, one exactly at `end` is out, so that consecutive ranges cut a clip without loss or repetition. Comparisons have a
 * slack of PARE__SAMPLE_SLACK seconds, because 0.3 is no binary number and stamps are multiples of a time base. */
#ifndef PARE_MEDIA_SAMPLE_H
#define PARE_MEDIA_SAMPLE_H

#include <stdint.h>

#define PARE__SAMPLE_SLACK 1e-6

typedef struct pare__sampling {
    double start, end; /* seconds relative to the first time stamp; start <= 0: open, end <= 0: open */
    double fps;        /* > 0: or */
    int64_t frames;    /* > 0: or */
    int64_t every;     /* > 0 */
} pare__sampling;

/* Zeroed at the beginning. After a seek the caller sets `started` and `origin` itself. */
typedef struct pare__sample_state {
    int started;
    double origin; /* seconds, first stamp of the input */
    int64_t seen;  /* frames inside the range so far */
    double tick;   /* next k of k / fps, an integer */
} pare__sample_state;

/* Streaming decision for fps / every / start / end (not `frames`, which needs all stamps): 1 take, 0 skip, -1 past the
 * end. fps takes the first frame at or after every tick start + k / fps, each frame at most once; every takes the first
 * frame of the range and each n-th after it. */
int pare__sample_next(const pare__sampling *s, pare__sample_state *state, double pts);

/* Marks take[n] in {0,1} for a list of ascending stamps; returns how many. `frames`: m uniform positions
 * rint(linspace(first, last, m)), half to even, among those inside the range, all of them if m is larger. */
int64_t pare__sample_list(const pare__sampling *s, const double *pts, int64_t n, uint8_t *take);

#endif
