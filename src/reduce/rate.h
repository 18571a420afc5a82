/* SPDX-License-Identifier: MIT */
/* Rate control: what the user asked for, turned into exact counts window by window and frame by frame. */
#ifndef PARE_REDUCE_RATE_H
#define PARE_REDUCE_RATE_H

#include <pare/pare.h>

#include "core/mem.h"

typedef enum {
    PARE__RATE_NONE,
    PARE__RATE_KEEP,
    PARE__RATE_TOKENS,
    PARE__RATE_PER_FRAME,
    PARE__RATE_PER_SECOND,
    PARE__RATE_QUALITY,
    PARE__RATE_PLAN
} pare__rate_kind;

/* One clip. The running total after each window is round(keep * units seen), or K * frames seen / frames, rounded; the
 * last window gets what is left of K. `spent` counts what really came out, so shortfalls are made good later.
 *
 * Tokens per second fill a bucket as the clip's time goes on, and windows empty it. What is in it when a window begins is
 * at most its depth, rate x max_delay: a still moment cannot be saved for a burst. What floors overdraw is a debt. */
typedef struct pare__rate {
    pare__rate_kind kind;
    double keep;
    int64_t tokens, per_frame; /* units */
    int64_t n_frames;          /* temporal steps announced; TOKENS only */
    int64_t floor;             /* units every step keeps at least */
    int64_t cap;               /* and at most; 0 = all it has */
    double per_second, quality;
    double detail;  /* share of the units with fine detail that every step keeps at least; 0 = off */
    double depth;   /* units that a bucket holds */
    double balance; /* units in it; below 0: a debt */
    double clock;   /* seconds up to which it was filled */
    int32_t runs;   /* the clock was set */
    int64_t seen_units, seen_frames, spent;
    const int64_t *planned;         /* [n_planned] rows of every step, PLAN; the plan's */
    int64_t n_planned, sum_planned; /* sum: of the steps seen so far */
} pare__rate;

/* A window as rate control sees it. */
typedef struct pare__span {
    int64_t n_frames, units; /* temporal steps or pictures; candidates of all of them */
    double begin, end;       /* seconds; PER_SECOND only */
    int is_last;
} pare__span;

#define PARE__MAX_DELAY 0.25 /* seconds: of tokens per second, where nobody says */

/* Checks the options' amounts (at most one, in range). Errors: INVALID. */
int pare__rate_init(pare__rate *rate, const pare_reducer_opts *opts, pare_error *err);
/* The budget is what a plan says of every step. Errors: INVALID. */
int pare__rate_plan(pare__rate *rate, const int64_t *planned, int64_t n, pare_error *err);
/* Refuses budgets that no grid of `units` per frame can meet: above N or the cap, or below the floor. Called once, when
 * the grid is known. */
int pare__rate_check(const pare__rate *rate, int64_t units, pare_error *err);
/* Can some step be told an amount; must none be, because everything is kept anyway? */
int pare__rate_is_given(const pare__rate *rate);
int pare__rate_keeps_all(const pare__rate *rate);
/* Rows that a picture or temporal step keeps at least (or all it has), and at most; 0 = as it comes. */
int64_t pare__rate_floor(const pare__rate *rate);
int64_t pare__rate_most(const pare__rate *rate);
/* Rows of the next window; -1 when there is no budget. */
int64_t pare__rate_window(pare__rate *rate, const pare__span *w);
/* After pare__rate_window, of a clip whose budget and length are known: units of this window and those to come, 0 if that is
 * not known, and in *rows what is left of the budget for them. A step may leave rows of its share to later windows. */
int64_t pare__rate_left(const pare__rate *rate, const pare__span *w, int64_t *rows);
/* Reports what the window really gave. */
void pare__rate_spend(pare__rate *rate, int64_t rows);
/* Takes k rows of a window down to share * k; what is given up is not made good later. */
int64_t pare__rate_shrink(pare__rate *rate, int64_t k, double share);
/* Share of its budget that the next window gets, after one that took `ms` per frame with `share`: 0 < share <= 1. */
double pare__rate_share(double share, double ms, double max_ms);
/* Raises out[n] to at least low[n] each and takes the surplus back where most is left above low, so that the sum stays;
 * where it cannot, out is low. */
void pare__rate_raise(int64_t *out, const int64_t *low, int64_t n);
/* Cuts k rows over n frames that have cap[n] rows each, in proportion to weight[n] * cap[n] (weight NULL = 1), at least
 * min(floor[n], cap) each (NULL = 0). out sums to min(k, sum cap), or to the floors where they are more. */
int pare__rate_split(int64_t k, const double *weight, const int64_t *cap, int64_t n, const int64_t *floor, int64_t *out,
                     pare__arena *arena);

#endif
