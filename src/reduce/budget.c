/* SPDX-License-Identifier: MIT */
/* The budget of one window: its time, what rate control gives it, what the deadline takes away, and what each slot keeps at
 * least and at most.
 *
 *     r->step, r->pace -> k, r->ctx.floor, most, cap, low [n_slot] */
#include <math.h>

#include "core/limits.h"
#include "reduce/reducer.h"

/* A step with more detail than this stays whole: pages with margins have .36 to .59, of 1243 photos of groceries 1.8 % have
 * more and the mean is .09. */
#define MOSTLY 0.35f

/* ---- options ---------------------------------------------------------------------------------------------------- */

static int check_time(const pare_reducer *r, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if (o->tokens_per_second != 0 && !o->video)
        return pare_fail(err, PARE_E_INVALID, "tokens per second %g: photos have no time", o->tokens_per_second);
    if (o->max_delay > 0 && o->window < 0)
        return pare_fail(err, PARE_E_INVALID, "max delay %g: the window is the whole clip", o->max_delay);
    return 0;
}

/* A deadline is met by embedding and encoding less. */
static int check_deadline(const pare_reducer *r, pare_error *err)
{
    if (!(r->opts.max_ms > 0)) return 0;
    const int32_t final = r->plan.final_step;
    if (final < 0)
        return pare_fail(err, PARE_E_INVALID, "max ms %g: no step takes a budget that could shrink", r->opts.max_ms);
    const pare__step *s = &r->recipe.step[final];
    if (s->site == PARE__SITE_PATCHES || s->site == PARE__SITE_BLOCK) return 0;
    return pare_fail(err, PARE_E_INVALID, "max ms %g: what step '%s' leaves at '%s' makes the encoder no faster",
                     r->opts.max_ms, s->sel->name, pare__site_name(s->site));
}

int pare__reducer_budget_check(const pare_reducer *r, pare_error *err)
{
    const int rc = check_time(r, err);
    return rc ? rc : check_deadline(r, err);
}

void pare__reducer_budget_begin(pare_reducer *r)
{
    const int by_time = r->opts.window >= 0 && r->opts.video;
    const double usual = r->rate.kind == PARE__RATE_PER_SECOND ? PARE__MAX_DELAY : 0;
    r->pace = (pare__pace){.max_delay = !by_time ? 0 : r->opts.max_delay > 0 ? r->opts.max_delay : usual};
    r->share = 1;
}

/* ---- time --------------------------------------------------------------------------------------------------------- */

void pare__reducer_time(pare_reducer *r, const pare_frame *frame)
{
    if (r->n_slot) r->step[r->n_slot - 1].end = r->pace.last + pare__pace_interval(&r->pace, frame->pts);
    pare__pace_begin(&r->pace, frame->pts, !r->n_slot);
}

/* Steps that attend to each other are decided together. */
static int is_whole(const pare_reducer *r)
{
    return r->opts.video && r->n_slot && !r->n_held && r->n_slot % pare__reducer_steps(r) == 0;
}

int pare__reducer_is_over(const pare_reducer *r, const pare_frame *frame)
{
    return is_whole(r) && pare__pace_is_over(&r->pace, frame->pts);
}

int pare__reducer_is_full(const pare_reducer *r) { return is_whole(r) && pare__pace_is_full(&r->pace); }

static double end_of(const pare_reducer *r, const pare_frame *next)
{
    const pare__pace *p = &r->pace;
    return p->last + (next && next->pts > p->last ? pare__pace_interval(p, next->pts) : pare__pace_guess(p));
}

/* ---- bounds of slots ---------------------------------------------------------------------------------------------- */

/* Candidates of a slot for what the budget counts, of which `share` have fine detail. */
static int64_t detailed_rows(const pare_reducer *r, float share, int64_t units)
{
    if (share > MOSTLY) return units;
    return (int64_t)ceil(r->rate.detail * share * (double)units - 1e-6);
}

/* What fine detail asks of every slot. It comes on top of the budget, k / steps of which the step gets anyway, so that the
 * others of the window lack nothing, unless the sum is promised. */
static int fill_low(pare_reducer *r, int64_t units, int64_t k)
{
    int64_t *low = PARE__ARENA(&r->arena, int64_t, r->n_slot);
    if (!low) return PARE_E_NOMEM;
    const int is_exact = k < 0 || r->rate.kind == PARE__RATE_TOKENS || r->rate.kind == PARE__RATE_PLAN;
    int64_t usual = k < 0 ? 0 : k * r->per_picture / r->n_slot;
    if (usual < r->ctx.floor) usual = r->ctx.floor;
    for (int32_t s = 0; s < r->n_slot; s += r->per_picture) {
        const int64_t rows = detailed_rows(r, r->step[s].detail, units), more = rows * r->per_picture - usual;
        for (int32_t i = 0; i < r->per_picture; i++) low[s + i] = rows;
        if (more <= 0) continue;
        r->stats.n_raised++;
        r->stats.n_whole += rows == units;
        r->n_extra += is_exact ? 0 : more;
    }
    r->ctx.low = low;
    return 0;
}

/* The deadline takes its share of budgets by the frame, and caps what would decide itself. */
static void fill_bounds(pare_reducer *r, int64_t units)
{
    pare__context *c = &r->ctx;
    c->floor = pare__rate_floor(&r->rate);
    c->most = pare__rate_most(&r->rate);
    c->cap = r->rate.cap;
    c->low = NULL;
    if (!(r->share < 1)) return;
    if (c->most) c->floor = c->most = (int64_t)ceil((double)c->most * r->share);
    const int64_t most = (int64_t)ceil((double)(units * r->per_picture) * r->share);
    if (r->rate.kind == PARE__RATE_QUALITY && (!c->cap || c->cap > most)) c->cap = most;
}

/* ---- one window --------------------------------------------------------------------------------------------------- */

int pare__reducer_budget(pare_reducer *r, const pare_frame *next, int is_last, int64_t *k, pare_error *err)
{
    const int64_t units = pare__reducer_budget_units(r, r->ctx.grid_h, r->ctx.grid_w);
    pare__span w = {.n_frames = r->n_slot / r->per_picture, .units = r->n_slot * units, .is_last = is_last};
    if (r->opts.video) {
        w.begin = r->pace.begin;
        w.end = r->step[r->n_slot - 1].end = end_of(r, next);
    }
    *k = pare__rate_window(&r->rate, &w);
    r->ctx.units_left = r->opts.video ? pare__rate_left(&r->rate, &w, &r->ctx.budget_left) : 0;
    if (*k >= 0) *k = pare__rate_shrink(&r->rate, *k, r->share);
    fill_bounds(r, units);
    r->n_extra = 0;
    const int rc = r->rate.detail > 0 ? fill_low(r, units, *k) : 0;
    if (*k >= 0 && r->n_extra > w.units - *k) r->n_extra = w.units - *k;
    *k += r->n_extra;
    return rc ? pare_fail(err, rc, "budget of a window: out of memory") : 0;
}

/* Milliseconds of the window per frame, and the next one's share. */
static void meet_deadline(pare_reducer *r, int64_t n_frames)
{
    const double now = r->stats.prep_ms + r->stats.embed_ms + r->stats.encode_ms + r->stats.select_ms;
    const double ms = (now - r->ms_before) / (double)n_frames;
    r->ms_before = now;
    if (!(r->opts.max_ms > 0)) return;
    if (ms > r->opts.max_ms) r->stats.n_late += n_frames;
    r->share = pare__rate_share(r->share, ms, r->opts.max_ms);
}

/* What fine detail gets beyond the budget is not charged. */
void pare__reducer_charge(pare_reducer *r, int64_t k)
{
    const int64_t budget = k - r->n_extra;
    int64_t n_frames = 0;
    for (int32_t s = 0; s < r->n_slot; s += r->per_picture) n_frames += r->held[s];
    pare__rate_spend(&r->rate, r->n_extra && r->final_left > budget ? budget : r->final_left);
    meet_deadline(r, n_frames);
}
