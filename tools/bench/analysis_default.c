/* SPDX-License-Identifier: MIT */
/* All amounts of a recipe together against resize at the same milliseconds, over the encoder table: per item the mean of
 * its differences over all amounts asked for, then the mean over items with its interval, Holm over the recipes. The
 * default is the recipe that is furthest ahead; where none is ahead beyond its interval, it is resize. */
#include "analysis_work.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines first..last-1 of one recipe. */
typedef struct contender {
    int32_t first, last;
    bench_interval ahead;
    double p;
    bench_verdict verdict;     /* over all amounts together */
    int32_t n_ahead, n_behind; /* amounts */
} contender;

/* ---- the recipes ------------------------------------------------------------------------------------------------ */

static int counts(const bench_line *line) { return line->keep > 0 && (line->flags & BENCH_FLAG_OVER) == 0; }

static int pool(bench_work *w, contender *r)
{
    int64_t n = w->s->n_item;
    double *one = w->scratch, *sum = one + n, *count = sum + n;
    const bench_line *twin;
    for (int64_t i = 0; i < n; i++) sum[i] = count[i] = 0;
    for (int32_t l = r->first; l < r->last; l++) {
        const bench_line *line = &w->out->line[l];
        if (!counts(line) || bench_line_against(w, line, BENCH_BASE_RESIZE, BENCH_MS, one, &twin) == 0) continue;
        r->n_ahead += line->versus[BENCH_VS_RESIZE_MS].verdict == BENCH_WINS;
        r->n_behind += line->versus[BENCH_VS_RESIZE_MS].verdict == BENCH_LOSES;
        for (int64_t i = 0; i < n; i++) {
            if (isnan(one[i])) continue;
            sum[i] += one[i];
            count[i]++;
        }
    }
    for (int64_t i = 0; i < n; i++) sum[i] = count[i] > 0 ? sum[i] / count[i] : NAN;
    return bench_bootstrap(sum, n, w->seed, &r->ahead, &r->p);
}

/* Recipes of the encoder table but resize, in order; their p corrected. -1 = memory. */
static int32_t find_contenders(bench_work *w, contender *r)
{
    const bench_line *line = w->out->line;
    int32_t n = 0;
    for (int32_t i = 0, last; i < w->out->n_line; i = last) {
        last = i + 1;
        while (last < w->out->n_line && line[last].saves == line[i].saves &&
               strcmp(line[last].recipe, line[i].recipe) == 0)
            last++;
        if (line[i].saves != BENCH_SAVES_ENCODER || bench_line_is(&line[i], BENCH_BASE_RESIZE)) continue;
        r[n] = (contender){.first = i, .last = last};
        if (pool(w, &r[n]) != 0) return -1;
        w->per_line[n] = r[n].p;
        n++;
    }
    if (bench_holm(w->per_line, n) != 0) return -1;
    for (int32_t i = 0; i < n; i++) {
        r[i].p = w->per_line[i];
        r[i].verdict = bench_judge(&r[i].ahead, r[i].p, bench_better(w, BENCH_SAVES_ENCODER));
    }
    return n;
}

/* ---- the sentence ----------------------------------------------------------------------------------------------- */

static void say(bench_analysis *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(bench_analysis *a, const char *format, ...)
{
    size_t used = strlen(a->resize_says);
    va_list args;
    va_start(args, format);
    vsnprintf(a->resize_says + used, sizeof a->resize_says - used, format, args);
    va_end(args);
}

/* " at keep 0.5, 0.25" of the contender's amounts with that verdict. */
static void say_amounts(bench_analysis *a, const contender *r, bench_verdict verdict)
{
    const char *between = " at keep ";
    for (int32_t l = r->first; l < r->last; l++) {
        const bench_line *line = &a->line[l];
        if (!counts(line) || line->versus[BENCH_VS_RESIZE_MS].verdict != verdict) continue;
        say(a, "%s%.6g", between, line->keep);
        between = ", ";
    }
}

static void say_contender(bench_analysis *a, const contender *r)
{
    say(a, "%s is ahead of resize at equal ms", a->line[r->first].recipe);
    if (r->n_ahead > 0) say_amounts(a, r, BENCH_WINS);
    if (r->n_ahead == 0) say(a, " over all amounts together, though at none alone");
    if (r->n_behind > 0) say(a, r->n_ahead > 0 ? " and behind" : ", and behind");
    say_amounts(a, r, BENCH_LOSES);
}

/* No recipe is ahead at any amount: resize wins where others are behind, else nothing is decided. */
static void say_nobody(bench_analysis *a, int32_t n_behind, int32_t n_compared)
{
    if (n_behind == 0) {
        say(a,
            "undecided, so resize stays the default: at equal ms no recipe is ahead of it beyond its interval at any "
            "amount, none is behind it over all");
        return;
    }
    say(a, "resize wins: at equal ms no recipe is ahead of it beyond its interval at any amount, ");
    say(a, "and %d of %d %s behind it over all", (int)n_behind, (int)n_compared, n_behind == 1 ? "is" : "are");
}

/* Nobody is ahead over all amounts; r[best] is ahead somewhere, -1 = nobody is. */
static void say_resize(bench_analysis *a, const contender *r, int32_t n, int32_t best)
{
    int32_t somewhere = 0, behind = 0, compared = 0;
    for (int32_t i = 0; i < n; i++) {
        somewhere += r[i].n_ahead > 0;
        behind += r[i].verdict == BENCH_LOSES;
        compared += !isnan(r[i].ahead.value);
    }
    if (best < 0) {
        say_nobody(a, behind, compared);
        return;
    }
    say(a, "resize stays the default: no recipe is ahead of it over all amounts together; ");
    say_contender(a, &r[best]);
    if (somewhere > 1) say(a, "; %d other%s ahead at some amount", (int)somewhere - 1, somewhere > 2 ? "s are" : " is");
}

/* ---- the default ------------------------------------------------------------------------------------------------ */

/* The contender that is furthest ahead: `significant`, or by its mean alone with a lead at some amount; -1 = none. */
static int32_t furthest(const bench_work *w, const contender *r, int32_t n, int significant)
{
    const double better = bench_better(w, BENCH_SAVES_ENCODER);
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++) {
        int eligible = significant ? r[i].verdict == BENCH_WINS : r[i].n_ahead > 0;
        if (eligible && (best < 0 || r[i].ahead.value * better > r[best].ahead.value * better)) best = i;
    }
    return best;
}

static void decide(bench_work *w, const contender *r, int32_t n)
{
    bench_analysis *a = w->out;
    int32_t winner = furthest(w, r, n, 1), compared = 0;
    for (int32_t i = 0; i < n; i++) compared += !isnan(r[i].ahead.value);
    if (compared == 0) {
        say(a, "nothing could be compared with resize at equal ms");
    } else if (winner >= 0) {
        a->default_winner = a->line[r[winner].first].recipe;
        say_contender(a, &r[winner]);
    } else {
        a->default_winner = bench_base_name(BENCH_SAVES_ENCODER, BENCH_BASE_RESIZE);
        say_resize(a, r, n, furthest(w, r, n, 0));
    }
}

int bench_work_default(bench_work *w)
{
    contender *r = calloc((size_t)w->out->n_line + 1, sizeof *r);
    if (r == NULL) return -1;
    int32_t n = find_contenders(w, r);
    if (n >= 0) decide(w, r, n);
    free(r);
    return n < 0 ? -1 : 0;
}
