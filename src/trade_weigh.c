/* SPDX-License-Identifier: MIT */
/* Every rate and grid at the same number of tokens, in pixels.
 *
 *     coverage = 1 - (hold + blur) / flat        mean |differences| over the frames watched
 *
 * N tokens of a grid of U units keep the area of N / U pictures; hold is read off the rate's curve of error against area
 * kept, which ends at area 0 with the error of one flat colour. Blur is that of the grid's pixels, of the area there is. */
#include "trade.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"

#define CLOSE 0.005 /* of coverage: not worth more units */

/* ---- errors ------------------------------------------------------------------------------------------------------- */

/* Mean |difference| of all samples to the clip's median of their channel. */
static double flat_error(const pare_trade *t)
{
    double sum = 0;
    const int64_t n = t->survey->n * PARE__SURVEY_PICTURE / 3;
    for (int32_t c = 0; c < 3; c++) {
        int32_t median = 0;
        for (int64_t below = t->histogram[c][0]; 2 * below < n; below += t->histogram[c][median]) median++;
        for (int32_t v = 0; v < 256; v++) sum += (double)t->histogram[c][v] * abs(v - median);
    }
    return sum / (3.0 * (double)n);
}

static double area_of(const pare__hold *h) { return (double)h->n_kept / PARE__SURVEY_UNITS; }

/* Of a rate, when the area of so many pictures is kept over the clip. */
static double hold_error(const pare_trade *t, const pare__hold *hold, double area)
{
    const double samples = (double)t->survey->n * PARE__SURVEY_PICTURE;
    double more = area_of(&hold[0]), error = (double)hold[0].error / samples;
    if (area >= more) return error;
    for (int32_t j = 1; j <= PARE__HOLDS; j++) {
        const double less = j < PARE__HOLDS ? area_of(&hold[j]) : 0;
        const double worse = j < PARE__HOLDS ? (double)hold[j].error / samples : t->view.flat;
        if (area >= less) return more > less ? worse + (area - less) / (more - less) * (error - worse) : error;
        more = less;
        error = worse;
    }
    return error;
}

/* Scales of the survey are those of frames of at most PARE__SURVEY_SIDE pixels. */
static double blur_error(const pare_trade *t, const pare__trade_size *s)
{
    const double w = t->survey->width, h = t->survey->height;
    const double shrink = fmin(1, PARE__SURVEY_SIDE / fmax(w, h));
    return pare__survey_blur(t->survey, fmin(1, sqrt((double)s->width * s->height / (w * h)) / shrink));
}

/* ---- candidates --------------------------------------------------------------------------------------------------- */

static int is_possible(const pare_trade *t, const pare__trade_size *s, int64_t n_step)
{
    const int64_t most =
        t->opts.max_per_frame > 0 && t->opts.max_per_frame < s->units ? t->opts.max_per_frame : s->units;
    const int64_t least = t->opts.min_per_frame > 1 ? t->opts.min_per_frame : 1;
    return t->opts.tokens <= n_step * most && t->opts.tokens >= n_step * (least < most ? least : most);
}

static void weigh(const pare_trade *t, int32_t i_rate, const pare__trade_size *s, double fps, int64_t n_step,
                  pare_trade_candidate *c)
{
    const double area = (double)t->opts.tokens / (double)s->units;
    *c = (pare_trade_candidate){.every = 1 << i_rate,
                                .width = s->width,
                                .height = s->height,
                                .grid_h = s->grid_h,
                                .grid_w = s->grid_w,
                                .fps = fps / (1 << i_rate),
                                .units = s->units,
                                .n_step = n_step,
                                .tokens_per_step = (double)t->opts.tokens / (double)n_step,
                                .is_possible = is_possible(t, s, n_step)};
    c->hold = hold_error(t, t->hold[i_rate], area);
    c->blur = blur_error(t, s) * fmin(1, area);
    c->coverage = t->view.flat > 0 ? fmax(0, 1 - (c->hold + c->blur) / t->view.flat) : 1;
}

static int64_t steps_at(const pare_trade *t, int32_t i_rate)
{
    const int64_t every = (int64_t)t->temporal << i_rate;
    return (t->survey->n + every - 1) / every;
}

/* Frames a second of what was pushed; 0 = one frame, or no time passes. */
static double rate_of(const pare_survey *s)
{
    const double seconds = s->pts[s->n - 1] - s->pts[0];
    return s->n > 1 && seconds > 0 ? (double)(s->n - 1) / seconds : 0;
}

static void list_candidates(pare_trade *t)
{
    const double fps = rate_of(t->survey);
    for (int32_t i = 0; i < t->n_rate; i++) {
        const int64_t n_step = steps_at(t, i);
        if (i > 0 && n_step < 2) break;
        for (int32_t k = 0; k < t->n_size; k++) weigh(t, i, &t->size[k], fps, n_step, &t->candidate[t->view.n++]);
    }
}

/* ---- the choice --------------------------------------------------------------------------------------------------- */

static int64_t cost(const pare_trade_candidate *c) { return c->n_step * c->units; }

static int is_better(const pare_trade_candidate *a, const pare_trade_candidate *b)
{
    return cost(a) < cost(b) || (cost(a) == cost(b) && a->coverage > b->coverage);
}

static int refuse(const pare_trade *t, pare_error *err)
{
    int64_t most = 0;
    for (int32_t i = 0; i < t->view.n; i++)
        if (cost(&t->candidate[i]) > most) most = cost(&t->candidate[i]);
    return pare_fail(err, PARE_E_INVALID,
                     "%lld tokens: no rate and size of this clip takes exactly so many, the largest have %lld",
                     (long long)t->opts.tokens, (long long)most);
}

int pare__trade_weigh(pare_trade *t, pare_error *err)
{
    pare_trade_view *v = &t->view;
    const pare_trade_candidate *c = t->candidate;
    *v = (pare_trade_view){.struct_size = sizeof *v,
                           .candidate = c,
                           .best = -1,
                           .chosen = -1,
                           .flat = flat_error(t),
                           .tokens = t->opts.tokens,
                           .n_frames = t->survey->n};
    list_candidates(t);
    for (int32_t i = 0; i < v->n; i++)
        if (c[i].is_possible && (v->best < 0 || c[i].coverage > c[v->best].coverage)) v->best = i;
    if (v->best < 0) return refuse(t, err);
    for (int32_t i = 0; i < v->n; i++)
        if (c[i].is_possible && c[i].coverage >= c[v->best].coverage - CLOSE &&
            (v->chosen < 0 || is_better(&c[i], &c[v->chosen])))
            v->chosen = i;
    return 0;
}
