/* SPDX-License-Identifier: MIT */
/* Time of temporal steps: when each begins and ends, and when a window has to be decided so that nothing waits longer than
 * asked.
 *
 *     end of a step = begin of the next one, as far as it is known; until then what its frames say of themselves,
 *                     if that was right before, else the interval before it
 *
 * Sampled clips and cameras state durations that their stamps do not keep: those are believed only while they fit. */
#ifndef PARE_REDUCE_PACE_H
#define PARE_REDUCE_PACE_H

#include <stdint.h>

/* Seconds. Zero, but for max_delay, at a clip's start. */
typedef struct pare__pace {
    double max_delay; /* a window is decided before it spans more; 0 = time closes no window */
    double begin;     /* of the window's first step */
    double last;      /* begin of the last step */
    double length;    /* of the step before it; 0 = unknown */
    double stated;    /* what the frames of the last step say they last together; 0 = nothing */
    int32_t n_step;   /* begun since the clip's start; counting stops at 2 */
    int32_t is_true;  /* what the step before stated was its length */
} pare__pace;

/* Seconds from the last step's begin to `pts`, where the next one begins: 0 where stamps go backwards, and no more than a
 * step can last where they jump. */
double pare__pace_interval(const pare__pace *p, double pts);
/* Seconds that the last step lasts, nothing being known of the next. */
double pare__pace_guess(const pare__pace *p);
/* Must the window be decided before a step that begins at `pts` joins it? */
int pare__pace_is_over(const pare__pace *p, double pts);
/* Must it be decided now that its last step is complete, because no other one would fit? Only where the step's length is
 * known. */
int pare__pace_is_full(const pare__pace *p);
/* A step begins at `pts`; `opens`: it is the first of a window. */
void pare__pace_begin(pare__pace *p, double pts, int opens);
/* A frame of the last step states its duration (0 = unknown). */
void pare__pace_add(pare__pace *p, double duration);

#endif
