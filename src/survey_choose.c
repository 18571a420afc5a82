/* SPDX-License-Identifier: MIT */
/* Which frames stand for a clip, and how well.
 *
 *     flow of a frame    (1 - evenness) change / sum of change + evenness (time since the frame before) / time
 *     scenes             from cut to cut; n frames are shared out by their flow (largest remainder), at least one each
 *     frames of a scene  in the middle of equal shares of its flow, then each is moved, between its neighbours, to where
 *                        the differences around it are least, twice over
 *
 * Cumulative change instead of thresholds: the count is exact, whatever the clip. Sources: the idea of equal shares of
 * accumulated change goes back to curve simplification of clips (DeMenthon et al., ACM Multimedia 1998). */
#include <math.h>
#include <string.h>

#include <pare/pare.h>

#include "api.h"
#include "survey.h"

enum { ROUNDS = 2, TRIED = 33 }; /* places that a frame is moved to and tried at, at most */

typedef struct scene {
    int64_t first, end; /* frames [first, end) */
    double flow;
    int64_t n; /* frames chosen of it */
    double rest;
} scene;

typedef struct chooser {
    const pare_survey *s;
    const pare_choice *c;
    double *sum; /* [n + 1] flow before frame i */
    scene *scene;
    int64_t n_scene;
    int64_t *index;
    int64_t n;
} chooser;

/* ---- differences ------------------------------------------------------------------------------------------------- */

double pare__survey_apart(const pare_survey *s, const uint8_t *a, const uint8_t *b)
{
    return (double)s->vec->sad_u8(a, b, PARE__THUMB) / PARE__THUMB;
}

void pare__survey_mean(const pare_survey *s, uint8_t thumb[PARE__THUMB])
{
    for (int k = 0; k < PARE__THUMB; k++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < s->n; i++) sum += pare__survey_thumb(s, i)[k];
        thumb[k] = (uint8_t)((sum + s->n / 2) / s->n);
    }
}

/* Of frame i to the nearer of two frames; -1 = there is none. */
static double to_nearer(const pare_survey *s, int64_t i, int64_t before, int64_t behind)
{
    const uint8_t *own = pare__survey_thumb(s, i);
    const double a = before < 0 ? INFINITY : pare__survey_apart(s, own, pare__survey_thumb(s, before));
    const double b = behind < 0 ? INFINITY : pare__survey_apart(s, own, pare__survey_thumb(s, behind));
    return a < b ? a : b;
}

int pare_survey_coverage(const pare_survey *s, const int64_t *index, int64_t n, double *coverage, pare_error *err)
{
    if (!s || !index || !coverage) return pare__no_argument("pare_survey_coverage", s ? "index" : "survey", err);
    if (n < 1 || n > s->n) return pare_fail(err, PARE_E_INVALID, "%lld of %lld frames", (long long)n, (long long)s->n);
    for (int64_t i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= s->n || (i && index[i] <= index[i - 1]))
            return pare_fail(err, PARE_E_INVALID, "frame %lld is not one of %lld, in ascending order",
                             (long long)index[i], (long long)s->n);
    uint8_t mean[PARE__THUMB];
    double apart = 0, worst = 0;
    pare__survey_mean(s, mean);
    for (int64_t i = 0, k = 0; i < s->n; i++) {
        while (k < n && index[k] <= i) k++;
        apart += to_nearer(s, i, k ? index[k - 1] : -1, k < n ? index[k] : -1);
        worst += pare__survey_apart(s, pare__survey_thumb(s, i), mean);
    }
    *coverage = worst > 0 ? fmax(0, 1 - apart / worst) : 1;
    return 0;
}

/* ---- scenes ------------------------------------------------------------------------------------------------------ */

/* What a cut itself changes is no part of any scene. */
static double change_of(const pare_survey *s, int64_t i) { return i && !s->is_cut[i] ? (double)s->change[i] : 0; }

static double time_of(const pare_survey *s, int64_t i) { return i ? s->pts[i] - s->pts[i - 1] : 0; }

static void sum_flow(chooser *h)
{
    const pare_survey *s = h->s;
    double change = 0, time = 0;
    for (int64_t i = 0; i < s->n; i++) {
        change += change_of(s, i);
        time += time_of(s, i);
    }
    const double even = change > 0 ? h->c->evenness : 1;
    h->sum[0] = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double moved = change > 0 ? change_of(s, i) / change : 0;
        const double passed = time > 0 ? time_of(s, i) / time : 1. / (double)s->n;
        h->sum[i + 1] = h->sum[i] + (1 - even) * moved + even * passed;
    }
}

static void find_scenes(chooser *h)
{
    for (int64_t i = 0; i < h->s->n; i++) {
        if (i == 0 || h->s->is_cut[i]) h->scene[h->n_scene++] = (scene){.first = i};
        h->scene[h->n_scene - 1].end = i + 1;
    }
    for (int64_t k = 0; k < h->n_scene; k++) h->scene[k].flow = h->sum[h->scene[k].end] - h->sum[h->scene[k].first];
}

/* The scene that most wants one more frame, or NULL: largest remainder, the earlier of equal ones. */
static scene *most_wanting(chooser *h)
{
    scene *best = NULL;
    for (int64_t k = 0; k < h->n_scene; k++) {
        scene *c = &h->scene[k];
        if (c->n < c->end - c->first && (!best || c->rest > best->rest)) best = c;
    }
    return best;
}

/* One frame each while they suffice, then by flow. */
static void share_out(chooser *h)
{
    int64_t left = h->n;
    double flow = 0;
    for (int64_t k = 0; k < h->n_scene; k++) h->scene[k].rest = h->scene[k].flow;
    if (h->n_scene <= h->n) {
        for (int64_t k = 0; k < h->n_scene; k++) flow += h->scene[k].flow;
        for (int64_t k = 0; k < h->n_scene; k++, left--) h->scene[k].n = 1;
        const int64_t spare = left;
        for (int64_t k = 0; k < h->n_scene && flow > 0; k++) {
            scene *c = &h->scene[k];
            const double share = (double)spare * c->flow / flow;
            int64_t more = (int64_t)floor(share);
            if (more > c->end - c->first - 1) more = c->end - c->first - 1;
            c->n += more;
            c->rest = share - (double)more;
            left -= more;
        }
    }
    for (scene *c; left > 0 && (c = most_wanting(h)); left--) {
        c->n++;
        c->rest -= 1;
    }
}

/* ---- frames of a scene ------------------------------------------------------------------------------------------- */

/* In the middle of equal shares of the flow; ahead and behind there is room for the others. */
static void place(chooser *h, const scene *c, int64_t at)
{
    int64_t i = c->first;
    for (int64_t j = 0; j < c->n; j++, i++) {
        const double want = h->sum[c->first] + c->flow * ((double)j + .5) / (double)c->n;
        const int64_t last = c->end - (c->n - j);
        while (i < last && h->sum[i + 1] < want) i++;
        h->index[at + j] = i;
    }
}

/* Differences of frames [from, to) to the nearer of `before`, `own` and `behind`. */
static double around(const chooser *h, int64_t from, int64_t to, int64_t before, int64_t own, int64_t behind)
{
    const int64_t step = (to - from) / TRIED + 1;
    double sum = 0;
    for (int64_t i = from; i < to; i += step) sum += to_nearer(h->s, i, i < own ? before : own, i < own ? own : behind);
    return sum;
}

/* Moves frame j of the choice to where it stands best between its neighbours of the same scene. */
static void settle(chooser *h, const scene *c, int64_t j, int64_t first, int64_t end)
{
    const int64_t before = j > first ? h->index[j - 1] : -1, behind = j + 1 < end ? h->index[j + 1] : -1;
    const int64_t from = before < 0 ? c->first : before + 1, to = behind < 0 ? c->end : behind;
    const int64_t step = (to - from) / TRIED + 1;
    int64_t best = h->index[j];
    double least = around(h, from, to, before, best, behind);
    for (int64_t i = from; i < to; i += step) {
        const double sum = around(h, from, to, before, i, behind);
        if (sum >= least) continue;
        least = sum;
        best = i;
    }
    h->index[j] = best;
}

static void choose_by_flow(chooser *h)
{
    sum_flow(h);
    find_scenes(h);
    share_out(h);
    int64_t at = 0;
    for (int64_t k = 0; k < h->n_scene; k++) {
        const scene *c = &h->scene[k];
        place(h, c, at);
        for (int round = 0; round < ROUNDS && h->c->evenness < 1; round++)
            for (int64_t j = at; j < at + c->n; j++) settle(h, c, j, at, at + c->n);
        at += c->n;
    }
    h->n = at;
}

static void choose_evenly(chooser *h)
{
    for (int64_t j = 0; j < h->n; j++) h->index[j] = (2 * j + 1) * h->s->n / (2 * h->n);
}

/* Frames too near the one before are left out. */
static void keep_apart(chooser *h)
{
    int64_t n = 0;
    for (int64_t j = 0; j < h->n; j++)
        if (n == 0 || h->s->pts[h->index[j]] - h->s->pts[h->index[n - 1]] >= h->c->min_gap) h->index[n++] = h->index[j];
    h->n = n;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

static int check_choice(const pare_survey *s, const pare_choice *c, pare_error *err)
{
    if (s->n < 1) return pare_fail(err, PARE_E_INVALID, "the survey has no frame to choose from");
    if (c->n < 1) return pare_fail(err, PARE_E_INVALID, "%lld frames are to be chosen", (long long)c->n);
    if (!(c->evenness >= 0) || c->evenness > 1)
        return pare_fail(err, PARE_E_INVALID, "evenness %g is not from 0 to 1", c->evenness);
    if (!(c->min_gap >= 0) || !isfinite(c->min_gap))
        return pare_fail(err, PARE_E_INVALID, "a gap of %g s between frames", c->min_gap);
    return 0;
}

int pare_survey_choose(const pare_survey *s, const pare_choice *choice, int64_t *index, int64_t *n_chosen,
                       pare_error *err)
{
    pare_choice own = {0};
    if (!s || !choice || !index || !n_chosen)
        return pare__no_argument("pare_survey_choose", !s ? "survey" : !choice ? "choice" : "index", err);
    int rc = pare__take_struct(&own, sizeof own, choice, "pare_survey_choose", err);
    if (rc == 0) rc = check_choice(s, &own, err);
    if (rc) return rc;
    chooser h = {.s = s, .c = &own, .index = index, .n = own.n < s->n ? own.n : s->n};
    h.sum = PARE__NEW(double, s->n + 1);
    h.scene = PARE__NEW(scene, s->n_cuts + 1);
    if (!h.sum || !h.scene) rc = pare_fail(err, PARE_E_NOMEM, "no memory to choose among %lld frames", (long long)s->n);
    if (rc == 0 && own.uniform)
        choose_evenly(&h);
    else if (rc == 0)
        choose_by_flow(&h);
    if (rc == 0 && own.min_gap > 0) keep_apart(&h);
    *n_chosen = rc == 0 ? h.n : 0;
    pare__free(h.sum);
    pare__free(h.scene);
    return rc;
}
