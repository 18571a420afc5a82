/* SPDX-License-Identifier: MIT */
/* How many units a threshold of change would keep, for a ladder of thresholds at once, and the allocation of a total over
 * steps by one threshold (constant slope: the unit that is dropped last differs as much everywhere).
 *
 *     change of a unit at a threshold = mean |last picture - first picture of the step it was last kept in|
 *
 * Where two thresholds kept a unit last in the same step, they see the same change, which is computed once. */
#include <math.h>
#include <string.h>

#include "reduce/clip_plan.h"

#include "core/rank.h"

#define LOWEST 1.0   /* levels of 255 */
#define HIGHEST 90.0 /* and of the last step of the ladder */

float pare__ladder_threshold(int32_t level)
{
    return (float)(LOWEST * pow(HIGHEST / LOWEST, (double)level / (PARE__LADDER - 1)));
}

void pare__ladder_fini(pare__ladder *l)
{
    pare__free(l->past);
    pare__free(l->past_at);
    *l = (pare__ladder){0};
}

/* ---- one step ----------------------------------------------------------------------------------------------------- */

static int open_ladder(pare__ladder *l)
{
    const int64_t units = (int64_t)l->grid_h * l->grid_w;
    l->tile = 3 * (int64_t)l->patch * ((l->patch + 1) / 2);
    l->past = pare__malloc(PARE__LADDER * units * l->tile, 1);
    l->past_at = pare__malloc(PARE__LADDER * units, sizeof *l->past_at);
    return l->past && l->past_at ? 0 : PARE_E_NOMEM;
}

/* First byte of a unit in a picture. */
static const uint8_t *unit_of(const pare__ladder *l, const uint8_t *rgb, int64_t unit)
{
    const int64_t row = 3 * (int64_t)l->grid_w * l->patch;
    return rgb + unit / l->grid_w * l->patch * row + unit % l->grid_w * 3 * l->patch;
}

static void store(const pare__ladder *l, const uint8_t *from, uint8_t *tile)
{
    const int64_t bytes = 3 * (int64_t)l->patch, stride = bytes * l->grid_w;
    for (int32_t y = 0; y < l->patch; y += 2, tile += bytes) memcpy(tile, from + y * stride, (size_t)bytes);
}

static float distance(const pare__ladder *l, const uint8_t *now, const uint8_t *tile)
{
    const int64_t bytes = 3 * (int64_t)l->patch, stride = bytes * l->grid_w;
    uint64_t sum = 0;
    for (int32_t y = 0; y < l->patch; y += 2, tile += bytes) sum += l->vec->sad_u8(now + y * stride, tile, bytes);
    return (float)((double)sum / (double)l->tile);
}

static void step_unit(pare__ladder *l, const uint8_t *first, const uint8_t *last, int64_t unit, int32_t *count)
{
    const int64_t units = (int64_t)l->grid_h * l->grid_w;
    const uint8_t *now = unit_of(l, last, unit);
    float change = 0;
    int32_t known = -1;
    for (int32_t j = 0; j < PARE__LADDER; j++) {
        const int64_t at = j * units + unit;
        uint8_t *tile = l->past + at * l->tile;
        if (l->n_step > 0 && l->past_at[at] != known) {
            known = l->past_at[at];
            change = distance(l, now, tile);
        }
        if (l->n_step > 0 && change <= pare__ladder_threshold(j)) continue;
        count[j]++;
        l->past_at[at] = (int32_t)l->n_step;
        store(l, unit_of(l, first, unit), tile);
    }
}

int pare__ladder_step(pare__ladder *l, const uint8_t *first, const uint8_t *last, int32_t *count)
{
    const int rc = l->past ? 0 : open_ladder(l);
    if (rc) return rc;
    memset(count, 0, PARE__LADDER * sizeof *count);
    for (int64_t u = 0; u < (int64_t)l->grid_h * l->grid_w; u++) step_unit(l, first, last, u, count);
    l->n_step++;
    return 0;
}

/* ---- allocation --------------------------------------------------------------------------------------------------- */

/* Units of a step above the threshold at x: 0 = nothing is dropped, 1 .. LADDER = the ladder, LADDER + 1 = nothing
 * changes so much; linear in between, between floor and cap. */
static double wanted(const int32_t *count, double x, int64_t low, int64_t cap)
{
    const int32_t below = (int32_t)x;
    const double lower = below == 0 ? (double)cap : count[below - 1];
    const double upper = below >= PARE__LADDER ? 0 : count[below];
    const double want = lower + (x - below) * (upper - lower);
    return fmin(fmax(want, (double)low), (double)cap);
}

static double sum_at(const int32_t *count, int64_t n, double x, const int64_t *low, const int64_t *cap)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += wanted(count + i * PARE__LADDER, x, low[i], cap[i]);
    return sum;
}

static double threshold_at(double x)
{
    if (x <= 1) return x * LOWEST;
    return x >= PARE__LADDER ? HIGHEST : LOWEST * pow(HIGHEST / LOWEST, (x - 1) / (PARE__LADDER - 1));
}

static int check_total(int64_t n, int64_t total, const int64_t *low, const int64_t *cap, pare_error *err)
{
    int64_t least = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        least += low[i];
        most += cap[i];
    }
    if (total > most)
        return pare_fail(err, PARE_E_INVALID, "plan: %lld tokens, the %lld steps have only %lld", (long long)total,
                         (long long)n, (long long)most);
    if (total < least)
        return pare_fail(err, PARE_E_INVALID, "plan: %lld tokens, the floors of the %lld steps ask for %lld",
                         (long long)total, (long long)n, (long long)least);
    return 0;
}

int pare__ladder_split(const int32_t *count, int64_t n, int64_t total, const int64_t *low, const int64_t *cap,
                       int64_t *out, double *threshold, pare_error *err)
{
    double lo = 0, hi = PARE__LADDER + 1 - 1e-9;
    int rc = check_total(n, total, low, cap, err);
    if (rc) return rc;
    for (int i = 0; i < 60; i++) {
        const double x = .5 * (lo + hi);
        if (sum_at(count, n, x, low, cap) > (double)total)
            lo = x;
        else
            hi = x;
    }
    pare__arena arena = {0};
    double *share = PARE__ARENA(&arena, double, n + 1);
    for (int64_t i = 0; share && i < n; i++) share[i] = wanted(count + i * PARE__LADDER, hi, low[i], cap[i]);
    rc = share ? pare__largest_remainder(total, share, low, cap, n, out, &arena) : PARE_E_NOMEM;
    pare__arena_fini(&arena);
    *threshold = threshold_at(hi);
    return rc == PARE_E_NOMEM ? pare_fail(err, rc, "plan: out of memory for %lld steps", (long long)n) : rc;
}
