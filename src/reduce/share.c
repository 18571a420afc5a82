/* SPDX-License-Identifier: MIT */
/* Shares: the k rows that a step leaves of a window, cut over its pictures (or temporal steps) by floor and limit, then
 * over the slots of each picture by the allocator's weight, then raised to what the mask keeps.
 *
 *     k -> per picture [n_slot / per_picture] -> per slot [n_slot] */
#include "reduce/rate.h"
#include "reduce/window.h"

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* What each picture can keep at most and must keep at least, and its weight: the mean over its rows. */
static void sum_pictures(const pare__context *ctx, const double *weight, const int64_t *n, int32_t n_picture,
                         int64_t *cap, int64_t *low, double *mean)
{
    const int32_t per = ctx->per_picture;
    for (int32_t p = 0; p < n_picture; p++) {
        double sum = 0;
        int64_t detailed = 0;
        cap[p] = 0;
        for (int32_t s = p * per; s < (p + 1) * per; s++) {
            cap[p] += n[s];
            detailed += ctx->low ? ctx->low[s] : 0;
            sum += (weight ? weight[s] : 1) * (double)n[s];
        }
        mean[p] = cap[p] ? sum / (double)cap[p] : 0;
        low[p] = larger(ctx->floor, detailed);
        if (ctx->most && cap[p] > larger(ctx->most, detailed)) cap[p] = larger(ctx->most, detailed);
        if (ctx->cap && cap[p] > ctx->cap) cap[p] = ctx->cap;
        if (ctx->planned) mean[p] = cap[p] ? (double)ctx->planned[p] / (double)cap[p] : 0;
    }
}

static int split_pictures(const pare__context *ctx, int64_t k, const double *weight, const int64_t *n, int32_t n_slot,
                          int64_t *out)
{
    const int32_t per = ctx->per_picture, n_picture = n_slot / per;
    int64_t *cap = PARE__ARENA(ctx->arena, int64_t, n_picture), *part = PARE__ARENA(ctx->arena, int64_t, n_picture);
    int64_t *low = PARE__ARENA(ctx->arena, int64_t, n_picture);
    double *mean = PARE__ARENA(ctx->arena, double, n_picture);
    if (!cap || !part || !low || !mean) return PARE_E_NOMEM;
    sum_pictures(ctx, weight, n, n_picture, cap, low, mean);
    int rc = pare__rate_split(k, mean, cap, n_picture, low, part, ctx->arena);
    for (int32_t s = 0; !rc && s < n_slot; s += per)
        rc = pare__rate_split(part[s / per], weight ? weight + s : NULL, n + s, per, ctx->low ? ctx->low + s : NULL,
                              out + s, ctx->arena);
    return rc;
}

static int64_t sum_of(const int64_t *x, int32_t n)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

int pare__slots_split(const pare__context *ctx, int64_t k, const double *weight, const int64_t *n, const int64_t *must,
                      int32_t n_slot, int64_t *out, int64_t *total, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(ctx->arena);
    const int rc = split_pictures(ctx, k, weight, n, n_slot, out);
    pare__arena_reset(ctx->arena, mark);
    if (rc) return rc;
    /* a budget of every picture lends nothing to another one */
    const int32_t group = ctx->most ? ctx->per_picture : n_slot;
    for (int32_t s = 0; s < n_slot; s += group) {
        const int64_t budget = sum_of(out + s, group);
        pare__rate_raise(out + s, must + s, group);
        const int64_t raised = sum_of(out + s, group);
        if (raised > budget) return pare__mask_too_large(raised, budget, ctx->t0 + s, group, err);
    }
    *total = sum_of(out, n_slot);
    return 0;
}
