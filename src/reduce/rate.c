/* SPDX-License-Identifier: MIT */
#include "reduce/rate.h"

#include <math.h>

#include "core/limits.h"
#include "core/rank.h"

/* Counts whose products still fit 64 bits. */
#define MAX_COUNT ((int64_t)1 << 30)

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int check_keep(double keep, pare_error *err)
{
    if (keep > 0 && keep <= 1) return 0;
    return pare_fail(err, PARE_E_INVALID, "keep %g: must be above 0 and at most 1", keep);
}

int pare__rate_init(pare__rate *rate, const pare_reducer_opts *opts, pare_error *err)
{
    const int n_given = (opts->keep != 0) + (opts->tokens != 0) + (opts->tokens_per_frame != 0);
    if (n_given > 1)
        return pare_fail(err, PARE_E_INVALID, "keep, tokens and tokens per frame exclude each other: %d were given",
                         n_given);
    *rate = (pare__rate){.keep = opts->keep,
                         .tokens = opts->tokens,
                         .per_frame = opts->tokens_per_frame,
                         .n_frames = opts->n_frames,
                         .floor = opts->min_per_frame};
    if (opts->tokens < 0 || opts->tokens_per_frame < 0 || opts->min_per_frame < 0 || opts->n_frames < 0)
        return pare_fail(err, PARE_E_INVALID, "tokens, tokens per frame, floor and frames must not be negative");
    if (opts->tokens > MAX_COUNT || opts->tokens_per_frame > MAX_COUNT || opts->n_frames > MAX_COUNT)
        return pare_fail(err, PARE_E_LIMIT, "tokens, tokens per frame and frames: at most %lld", (long long)MAX_COUNT);
    if (opts->keep != 0) {
        rate->kind = PARE__RATE_KEEP;
        return check_keep(opts->keep, err);
    }
    if (opts->tokens) {
        rate->kind = PARE__RATE_TOKENS;
        if (!opts->n_frames)
            return pare_fail(err, PARE_E_INVALID, "tokens %lld needs the number of frames to come",
                             (long long)opts->tokens);
    } else if (opts->tokens_per_frame) {
        rate->kind = PARE__RATE_PER_FRAME;
    }
    return 0;
}

static double per_frame_budget(const pare__rate *rate, int64_t units)
{
    if (rate->kind == PARE__RATE_KEEP) return rate->keep * (double)units;
    if (rate->kind == PARE__RATE_TOKENS) return (double)rate->tokens / (double)rate->n_frames;
    return (double)rate->per_frame;
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
    if (budget + 1e-9 < (double)rate->floor)
        return pare_fail(err, PARE_E_INVALID, "budget of %.3g units per frame is below the floor of %lld", budget,
                         (long long)rate->floor);
    return 0;
}

int pare__rate_is_given(const pare__rate *rate) { return rate->kind != PARE__RATE_NONE; }

int pare__rate_keeps_all(const pare__rate *rate) { return rate->kind == PARE__RATE_KEEP && rate->keep == 1; }

int64_t pare__rate_floor(const pare__rate *rate)
{
    return rate->kind == PARE__RATE_PER_FRAME ? rate->per_frame : rate->floor;
}

int64_t pare__rate_most(const pare__rate *rate) { return rate->kind == PARE__RATE_PER_FRAME ? rate->per_frame : 0; }

int64_t pare__rate_window(pare__rate *rate, int64_t n_frames, int64_t units, int is_last)
{
    for (int64_t i = rate->seen_frames; i < rate->seen_frames + n_frames && i < rate->n_planned; i++)
        rate->sum_planned += rate->planned[i];
    rate->seen_units += units;
    rate->seen_frames += n_frames;
    int64_t total = 0;
    switch (rate->kind) {
    case PARE__RATE_NONE:
        return -1;
    case PARE__RATE_KEEP:
        total = (int64_t)floor(rate->keep * (double)rate->seen_units + 0.5);
        break;
    case PARE__RATE_PLAN:
        total = rate->sum_planned;
        break;
    case PARE__RATE_PER_FRAME:
        return least(rate->per_frame * n_frames, units);
    case PARE__RATE_TOKENS:
        total = is_last ? rate->tokens
                        : least(rate->tokens,
                                (2 * rate->tokens * rate->seen_frames + rate->n_frames) / (2 * rate->n_frames));
        break;
    }
    const int64_t k = total - rate->spent;
    return k < 0 ? 0 : least(k, units);
}

int64_t pare__rate_left(const pare__rate *rate, int64_t n_frames, int64_t units, int is_last, int64_t *rows)
{
    *rows = 0;
    if (rate->kind != PARE__RATE_TOKENS || !n_frames) return 0;
    *rows = rate->tokens - rate->spent;
    const int64_t later = is_last ? 0 : rate->n_frames - rate->seen_frames;
    return units + (later > 0 ? later * (units / n_frames) : 0);
}

void pare__rate_spend(pare__rate *rate, int64_t rows) { rate->spent += rows; }

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

int pare__rate_split(int64_t k, const double *weight, const int64_t *cap, int64_t n, int64_t floor, int64_t *out,
                     pare__arena *arena)
{
    const pare__mark mark = pare__arena_mark(arena);
    double *share = PARE__ARENA(arena, double, n);
    int64_t *low = PARE__ARENA(arena, int64_t, n);
    int rc = PARE_E_NOMEM;
    if (!share || !low) goto done;
    for (int64_t i = 0; i < n; i++) {
        share[i] = (weight ? weight[i] : 1.0) * (double)cap[i];
        low[i] = least(floor, cap[i]);
    }
    rc = pare__largest_remainder(k, share, low, cap, n, out, arena);
done:
    pare__arena_reset(arena, mark);
    return rc;
}
