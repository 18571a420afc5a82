/* SPDX-License-Identifier: MIT */
#include "reduce/pace.h"

#include <math.h>

#define SLACK 1e-6       /* stamps are rounded to ticks */
#define LONGEST 1.0      /* a step lasts no longer than this, */
#define LONGEST_FACTOR 4 /* or than so many times the one before it: what comes later is a gap */

double pare__pace_interval(const pare__pace *p, double pts)
{
    const double interval = pts - p->last, longest = fmax(LONGEST, LONGEST_FACTOR * p->length);
    if (!(interval > 0)) return 0;
    return p->n_step > 1 && interval > longest ? longest : interval;
}

double pare__pace_guess(const pare__pace *p)
{
    if (p->stated > 0 && (p->is_true || !(p->length > 0))) return p->stated;
    if (p->length > 0) return p->length;
    return p->max_delay;
}

static int spans_more(const pare__pace *p, double end) { return end - p->begin > p->max_delay + SLACK; }

int pare__pace_is_over(const pare__pace *p, double pts)
{
    if (!(p->max_delay > 0) || !p->n_step) return 0;
    if (pts < p->last) return 1;
    const double interval = pts - p->last;
    return spans_more(p, pts + (p->is_true && p->stated > 0 ? p->stated : interval));
}

int pare__pace_is_full(const pare__pace *p)
{
    if (!(p->max_delay > 0) || !p->is_true || !(p->stated > 0)) return 0;
    return spans_more(p, p->last + 2 * p->stated);
}

void pare__pace_begin(pare__pace *p, double pts, int opens)
{
    if (p->n_step) {
        const double interval = pts - p->last;
        p->is_true = p->stated > 0 && fabs(interval - p->stated) <= 0.1 * p->stated + 1e-3;
        if (interval > 0) p->length = pare__pace_interval(p, pts);
    }
    p->last = pts;
    p->stated = 0;
    if (p->n_step < 2) p->n_step++;
    if (opens) p->begin = pts;
}

void pare__pace_add(pare__pace *p, double duration)
{
    if (duration > 0) p->stated += duration;
}
