/* SPDX-License-Identifier: MIT */
/* Which frames: see sample.h for the rules. Uniform sampling follows numpy: rint(linspace(0, n - 1, m)). */
#include "media/sample.h"

#include <math.h>
#include <string.h>

static int take_tick(double fps, pare__sample_state *state, double since)
{
    if (since + PARE__SAMPLE_SLACK < state->tick / fps) return 0;
    state->tick = floor((since + PARE__SAMPLE_SLACK) * fps) + 1;
    return 1;
}

int pare__sample_next(const pare__sampling *s, pare__sample_state *state, double pts)
{
    if (!state->started) {
        state->started = 1;
        state->origin = pts;
    }
    double at = pts - state->origin, start = s->start > 0 ? s->start : 0;
    if (s->start > 0 && at < s->start - PARE__SAMPLE_SLACK) return 0;
    if (s->end > 0 && at >= s->end - PARE__SAMPLE_SLACK) return -1;
    int64_t seen = state->seen++;
    if (s->fps > 0) return take_tick(s->fps, state, at - start);
    return s->every > 1 ? seen % s->every == 0 : 1;
}

/* Keeps m of the marked entries: the i-th of `inside` survives if some position rint(i step) names it. */
static int64_t thin(uint8_t *take, int64_t n, int64_t inside, int64_t m)
{
    double step = m > 1 ? (double)(inside - 1) / (double)(m - 1) : 0;
    int64_t rank = 0, chosen = 0, taken = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!take[i]) continue;
        while (chosen < m && rint((double)chosen * step) < (double)rank) chosen++;
        take[i] = chosen < m && rint((double)chosen * step) == (double)rank;
        taken += take[i];
        rank++;
    }
    return taken;
}

int64_t pare__sample_list(const pare__sampling *s, const double *pts, int64_t n, uint8_t *take)
{
    pare__sample_state state = {0};
    int64_t taken = 0;
    memset(take, 0, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        int verdict = pare__sample_next(s, &state, pts[i]);
        if (verdict < 0) break;
        take[i] = (uint8_t)verdict;
        taken += verdict;
    }
    return s->frames > 0 && s->frames < taken ? thin(take, n, taken, s->frames) : taken;
}
