/* SPDX-License-Identifier: MIT */
/* Which frames: pure functions of time stamps. Never index / fps: variable frame rates are common. */
#ifndef PARE_MEDIA_SAMPLE_H
#define PARE_MEDIA_SAMPLE_H

#include <stdint.h>

typedef struct pare__sampling {
    double start, end; /* seconds relative to the first time stamp; end <= 0: open */
    double fps;        /* or */
    int64_t frames;    /* or */
    int64_t every;
} pare__sampling;

/* Streaming decision for fps / every / start / end (not `frames`, which needs all stamps): 1 take, 0 skip, -1 past the
 * end. fps takes the first frame at or after every tick k / fps from start. Zeroed state at the beginning. */
typedef struct pare__sample_state {
    double origin;
    int64_t seen, taken, tick;
} pare__sample_state;
int pare__sample_next(const pare__sampling *s, pare__sample_state *state, double pts);

/* Marks take[n] in {0,1} for a list of ascending stamps; returns how many. `frames`: m uniform positions
 * rint(linspace(first, last, m)) among those inside [start, end], all of them if m is larger. */
int64_t pare__sample_list(const pare__sampling *s, const double *pts, int64_t n, uint8_t *take);

#endif
