/* SPDX-License-Identifier: MIT */
#include "reduce/rate.h"

#include <math.h>

#include "core/limits.h"
#include "core/rank.h"

/* Counts whose products still fit 64 bits. */
#define MAX_COUNT ((int64_t)1 << 30)

/* A deadline: so much of it is aimed at, a window changes the share by no more than these factors, and leaves so much. */
#define AIM 0.9
#define SHRINKAGE 0.25
#define GROWTH 1.1
#define LEAST_SHARE (1.0 / 256)

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int check_keep(double keep, pare_error *err)
{
    if (keep > 0 && keep <= 1) return 0;
    return pare_fail(err, PARE_E_INVALID, "keep %g: must be above 0 and at most 1", keep);
}

/* Beyond any frame rate and grid; products with hours still fit 64 bits. */
#define MAX_PER_SECOND 1e9

static int check_counts(const pare_reducer_opts *o, pare_error *err)
{
    if (o->tokens < 0 || o->tokens_per_frame < 0 || o->min_per_frame < 0 || o->n_frames < 0)
        return pare_fail(err, PARE_E_INVALID, "tokens, tokens per frame, floor and frames must not be negative");
    if (o->tokens > MAX_COUNT || o->tokens_per_frame > MAX_COUNT || o->n_frames > MAX_COUNT)
        return pare_fail(err, PARE_E_LIMIT, "tokens, tokens per frame and frames: at most %lld", (long long)MAX_COUNT);
    if (o->max_per_frame < 0 || (o->max_per_frame > 0 && o->max_per_frame < o->min_per_frame))
        return pare_fail(err, PARE_E_INVALID, "cap of %d units per frame: must be above 0 and the floor of %d",
                         o->max_per_frame, o->min_per_frame);
    if (o->max_per_frame > 0 && o->tokens_per_frame > o->max_per_frame)
        return pare_fail(err, PARE_E_INVALID, "tokens per frame %lld: above the cap of %d",
                         (long long)o->tokens_per_frame, o->max_per_frame);
    return 0;
}

static int check_shares(const pare_reducer_opts *o, pare_error *err)
{
    if (o->keep != 0 && check_keep(o->keep, err)) return PARE_E_INVALID;
    if (o->tokens_per_second != 0 && !(o->tokens_per_second > 0 && o->tokens_per_second <= MAX_PER_SECOND))
        return pare_fail(err, PARE_E_INVALID, "tokens per second %g: must be above 0 and at most %g",
                         o->tokens_per_second, MAX_PER_SECOND);
    if (o->quality != 0 && !(o->quality > 0 && o->quality <= 1))
        return pare_fail(err, PARE_E_INVALID, "quality %g: must be above 0 and at most 1", o->quality);
    if (!(o->max_ms >= 0 && o->max_ms <= MAX_PER_SECOND))
        return pare_fail(err, PARE_E_INVALID, "max ms %g: must be 0..%g", o->max_ms, MAX_PER_SECOND);
    if (!(o->quality_floor >= 0 && o->quality_floor <= 1))
        return pare_fail(err, PARE_E_INVALID, "quality floor %g: must be 0..1", o->quality_floor);
    if (!(o->max_delay >= 0 && o->max_delay <= PARE__MAX_WINDOW))
        return pare_fail(err, PARE_E_INVALID, "max delay %g: must be 0..%d seconds", o->max_delay, PARE__MAX_WINDOW);
    return 0;
}

static pare__rate_kind kind_of(const pare_reducer_opts *o)
{
    if (o->keep != 0) return PARE__RATE_KEEP;
    if (o->tokens) return PARE__RATE_TOKENS;
    if (o->tokens_per_frame) return PARE__RATE_PER_FRAME;
    if (o->tokens_per_second != 0) return PARE__RATE_PER_SECOND;
    return o->quality != 0 ? PARE__RATE_QUALITY : PARE__RATE_NONE;
}

int pare__rate_init(pare__rate *rate, const pare_reducer_opts *opts, pare_error *err)
{
    const int n_given = (opts->keep != 0) + (opts->tokens != 0) + (opts->tokens_per_frame != 0) +
                        (opts->tokens_per_second != 0) + (opts->quality != 0);
    if (n_given > 1)
        return pare_fail(err, PARE_E_INVALID,
                         "keep, tokens, tokens per frame, tokens per second and quality exclude each other: %d were "
                         "given",
                         n_given);
    *rate = (pare__rate){.kind = kind_of(opts),
                         .keep = opts->keep,
                         .tokens = opts->tokens,
                         .per_frame = opts->tokens_per_frame,
                         .n_frames = opts->n_frames,
                         .floor = opts->min_per_frame,
                         .cap = opts->max_per_frame,
                         .per_second = opts->tokens_per_second,
                         .quality = opts->quality,
                         .detail = opts->quality_floor,
                         .depth = opts->tokens_per_second * (opts->max_delay > 0 ? opts->max_delay : PARE__MAX_DELAY)};
    int rc = check_counts(opts, err);
    if (!rc) rc = check_shares(opts, err);
    if (!rc && rate->kind == PARE__RATE_NONE && !opts->plan && (rate->cap || rate->detail > 0))
        rc = pare_fail(err, PARE_E_INVALID,
                       "%s goes with a budget: keep, tokens, tokens per frame or second, or quality",
                       rate->cap ? "a cap per frame" : "a quality floor");
    if (rc || rate->kind != PARE__RATE_TOKENS || opts->n_frames) return rc;
    return pare_fail(err, PARE_E_INVALID, "tokens %lld needs the number of frames to come", (long long)opts->tokens);
}

/* Units of a frame; -1 = only time or content tells. */
static double per_frame_budget(const pare__rate *rate, int64_t units)
{
    if (rate->kind == PARE__RATE_KEEP) return rate->keep * (double)units;
    if (rate->kind == PARE__RATE_TOKENS) return (double)rate->tokens / (double)rate->n_frames;
    return rate->kind == PARE__RATE_PER_FRAME ? (double)rate->per_frame : -1;
}

int pare__rate_plan(pare__rate *rate, const int64_t *planned, int64_t n, pare_error *err)
{
    if (rate->kind != PARE__RATE_NONE)
        return pare_fail(err, PARE_E_INVALID, "a plan is the budget: no other one may be given beside it");
    if (!planned || n < 1) return pare_fail(err, PARE_E_INVALID, "plan: it is not one of two passes, or not finished");
    rate->kind = PARE__RATE_PLAN;
    rate->planned = planned;
    rate->n_planned = n;
    return 0;
}

int pare__rate_check(const pare__rate *rate, int64_t units, pare_error *err)
{
    if (rate->kind == PARE__RATE_NONE || rate->kind == PARE__RATE_PLAN) return 0;
    if (rate->kind == PARE__RATE_TOKENS && rate->tokens > rate->n_frames * units)
        return pare_fail(err, PARE_E_INVALID, "tokens %lld: the %lld frames have only %lld units",
                         (long long)rate->tokens, (long long)rate->n_frames, (long long)(rate->n_frames * units));
    if (rate->kind == PARE__RATE_PER_FRAME && rate->per_frame > units)
        return pare_fail(err, PARE_E_INVALID, "tokens per frame %lld: a frame has only %lld units",
                         (long long)rate->per_frame, (long long)units);
    if (rate->floor > units)
        return pare_fail(err, PARE_E_INVALID, "floor of %lld units per frame: a frame has only %lld",
                         (long long)rate->floor, (long long)units);
    const double budget = per_frame_budget(rate, units);
    if (budget < 0) return 0;
    if (budget + 1e-9 < (double)rate->floor)
        return pare_fail(err, PARE_E_INVALID, "budget of %.3g units per frame is below the floor of %lld", budget,
                         (long long)rate->floor);
    if (rate->cap && budget > (double)least(rate->cap, units) + 1e-9)
        return pare_fail(err, PARE_E_INVALID, "budget of %.6g units per frame is above the cap of %lld", budget,
                         (long long)rate->cap);
    return 0;
}

int pare__rate_is_given(const pare__rate *rate) { return rate->kind != PARE__RATE_NONE; }

int pare__rate_keeps_all(const pare__rate *rate) { return rate->kind == PARE__RATE_KEEP && rate->keep == 1; }

int64_t pare__rate_floor(const pare__rate *rate)
{
    return rate->kind == PARE__RATE_PER_FRAME ? rate->per_frame : rate->floor;
}

int64_t pare__rate_most(const pare__rate *rate) { return rate->kind == PARE__RATE_PER_FRAME ? rate->per_frame : 0; }

/* Fills the bucket up to the window's end. Stamps that jump ahead bring no more than it holds, those that jump back start
 * the clock again. */
static void fill(pare__rate *rate, const pare__span *w)
{
    if (!rate->runs || w->begin < rate->clock - PARE__MAX_DELAY) rate->clock = w->begin;
    rate->runs = 1;
    if (w->begin > rate->clock) {
        rate->balance += rate->per_second * (w->begin - rate->clock);
        rate->clock = w->begin;
    }
    rate->balance = fmin(rate->balance, rate->depth);
    rate->balance += rate->per_second * (w->end - rate->clock);
    rate->clock = w->end;
}

int64_t pare__rate_window(pare__rate *rate, const pare__span *w)
{
    for (int64_t i = rate->seen_frames; i < rate->seen_frames + w->n_frames && i < rate->n_planned; i++)
        rate->sum_planned += rate->planned[i];
    rate->seen_units += w->units;
    rate->seen_frames += w->n_frames;
    int64_t total = 0;
    switch (rate->kind) {
    case PARE__RATE_NONE:
    case PARE__RATE_QUALITY:
        return -1;
    case PARE__RATE_KEEP:
        total = (int64_t)floor(rate->keep * (double)rate->seen_units + 0.5);
        break;
    case PARE__RATE_PLAN:
        total = rate->sum_planned;
        break;
    case PARE__RATE_PER_FRAME:
        return least(rate->per_frame * w->n_frames, w->units);
    case PARE__RATE_PER_SECOND:
        fill(rate, w);
        total = rate->spent + (int64_t)floor(rate->balance + 0.5);
        break;
    case PARE__RATE_TOKENS:
        total = w->is_last ? rate->tokens
                           : least(rate->tokens,
                                   (2 * rate->tokens * rate->seen_frames + rate->n_frames) / (2 * rate->n_frames));
        break;
    }
    const int64_t k = total - rate->spent;
    return k < 0 ? 0 : least(k, w->units);
}

int64_t pare__rate_left(const pare__rate *rate, const pare__span *w, int64_t *rows)
{
    *rows = 0;
    if (rate->kind != PARE__RATE_TOKENS || !w->n_frames) return 0;
    *rows = rate->tokens - rate->spent;
    const int64_t later = w->is_last ? 0 : rate->n_frames - rate->seen_frames;
    return w->units + (later > 0 ? later * (w->units / w->n_frames) : 0);
}

void pare__rate_spend(pare__rate *rate, int64_t rows)
{
    rate->spent += rows;
    rate->balance -= (double)rows;
}

int64_t pare__rate_shrink(pare__rate *rate, int64_t k, double share)
{
    const int64_t left = (int64_t)ceil((double)k * share);
    if (left >= k) return k;
    pare__rate_spend(rate, k - left);
    return left;
}

double pare__rate_share(double share, double ms, double max_ms)
{
    const double factor = ms > 0 ? AIM * max_ms / ms : GROWTH;
    const double next = share * fmin(fmax(factor, SHRINKAGE), GROWTH);
    return fmin(fmax(next, LEAST_SHARE), 1);
}

void pare__rate_raise(int64_t *out, const int64_t *low, int64_t n)
{
    int64_t surplus = 0;
    for (int64_t i = 0; i < n; i++) {
        if (out[i] >= low[i]) continue;
        surplus += low[i] - out[i];
        out[i] = low[i];
    }
    while (surplus > 0) {
        int64_t most = 0;
        for (int64_t i = 1; i < n; i++)
            if (out[i] - low[i] > out[most] - low[most]) most = i;
        if (out[most] == low[most]) return;
        out[most]--;
        surplus--;
    }
}

int pare__rate_split(int64_t k, const double *weight, const int64_t *cap, int64_t n, const int64_t *floor, int64_t *out,
                     pare__arena *arena)
{
    const pare__mark mark = pare__arena_mark(arena);
    double *share = PARE__ARENA(arena, double, n);
    int64_t *low = PARE__ARENA(arena, int64_t, n);
    int rc = PARE_E_NOMEM;
    if (!share || !low) goto done;
    for (int64_t i = 0; i < n; i++) {
        share[i] = (weight ? weight[i] : 1.0) * (double)cap[i];
        low[i] = floor ? least(floor[i], cap[i]) : 0;
    }
    rc = pare__largest_remainder(k, share, low, cap, n, out, arena);
done:
    pare__arena_reset(arena, mark);
    return rc;
}
