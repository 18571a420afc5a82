/* SPDX-License-Identifier: MIT */
/* Lines against baselines. A baseline is a curve: its lines at all amounts, the run without reduction at its right end,
 * over the median milliseconds or the mean units of each. At a line's own place on that axis the baseline's outcome of
 * every item is interpolated between the two neighbours (straight over a logarithmic axis); what is compared is item by item, on items that all three have.
 * A point that costs as much as the run without reduction, or more, is no choice of anybody's and is left out. */
#include "analysis_work.h"

#include <math.h>

/* Differences that rounding alone can make are none. */
#define ROUNDING 1e-12

enum { MAX_POINTS = BENCH_MAX_KEEPS + 2 };

/* Points ascending in x. */
typedef struct curve {
    double x[MAX_POINTS];
    const bench_line *line[MAX_POINTS];
    int64_t n;
} curve;

/* ---- a baseline's curve ----------------------------------------------------------------------------------------- */

static void insert(curve *c, double x, const bench_line *line)
{
    int64_t i = c->n;
    if (isnan(x) || line->n_item == 0 || c->n == MAX_POINTS) return;
    for (; i > 0 && c->x[i - 1] > x; i--) {
        c->x[i] = c->x[i - 1];
        c->line[i] = c->line[i - 1];
    }
    c->x[i] = x;
    c->line[i] = line;
    c->n++;
}

static void draw(const bench_work *w, bench_saves saves, bench_base base, int32_t axis, curve *c)
{
    const bench_line *whole = bench_line_whole(w->out, saves);
    double end = whole->value[axis == BENCH_UNITS ? BENCH_UNITS_IN : axis];
    int found = 0;
    c->n = 0;
    for (int32_t i = 1; i < w->out->n_line; i++) {
        const bench_line *line = &w->out->line[i];
        if (line->saves != saves || !bench_line_is(line, base)) continue;
        found = 1;
        if (!(line->value[axis] >= end)) insert(c, line->value[axis], line);
    }
    if (found && bench_primary(w->s, whole->saves) == bench_primary(w->s, saves)) insert(c, end, whole);
}

/* The baseline's line that was asked for the same amount and kept as many units. */
static const bench_line *find_twin(const bench_work *w, const bench_line *line, bench_base base)
{
    double units = line->value[BENCH_UNITS];
    for (int32_t i = 0; i < w->out->n_line; i++) {
        const bench_line *other = &w->out->line[i];
        if (other->saves == line->saves && other->keep == line->keep && bench_line_is(other, base) &&
            other->n_item > 0 && fabs(other->value[BENCH_UNITS] - units) <= ROUNDING * units)
            return other;
    }
    return NULL;
}

/* ---- differences ------------------------------------------------------------------------------------------------ */

/* a, b: neighbours on the curve, weight t of the second; b is not read where t = 0. */
static int64_t subtract(const double *x, const double *a, const double *b, double t, int64_t n, double *out)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        double level = t > 0 ? a[i] + t * (b[i] - a[i]) : a[i];
        out[i] = x[i] - level;
        if (fabs(out[i]) <= ROUNDING * fabs(level)) out[i] = 0;
        m += !isnan(out[i]);
    }
    return m;
}

int64_t bench_line_against(const bench_work *w, const bench_line *line, bench_base base, int32_t axis, double *out,
                           const bench_line **twin)
{
    const double *x = bench_line_primary(w, line);
    int64_t i = 0;
    double t = 0;
    curve c;
    *twin = NULL;
    if (bench_line_is_none(line) || bench_line_is(line, base)) return 0;
    if (axis == BENCH_UNITS) *twin = find_twin(w, line, base);
    if (*twin != NULL) return subtract(x, bench_line_primary(w, *twin), NULL, 0, w->s->n_item, out);
    draw(w, line->saves, base, axis, &c);
    if (bench_place(c.x, c.n, line->value[axis], &i, &t) != 0) return 0;
    const double *right = t > 0 ? bench_line_primary(w, c.line[i + 1]) : NULL;
    return subtract(x, bench_line_primary(w, c.line[i]), right, t, w->s->n_item, out);
}

/* ---- p ---------------------------------------------------------------------------------------------------------- */

static int is_binary(double x) { return x == 0 || x == 1; }

/* McNemar's p of two lines whose outcomes are all right or wrong; NaN otherwise. */
static double mcnemar_of(const bench_work *w, const bench_line *a, const bench_line *b)
{
    const double *x = bench_line_primary(w, a), *y = bench_line_primary(w, b);
    int64_t only_a = 0, only_b = 0;
    for (int32_t i = 0; i < w->s->n_item; i++) {
        if (isnan(x[i]) || isnan(y[i])) continue;
        if (!is_binary(x[i]) || !is_binary(y[i])) return NAN;
        only_a += x[i] > y[i];
        only_b += x[i] < y[i];
    }
    return bench_mcnemar(only_a, only_b);
}

static int compare(const bench_work *w, const bench_line *line, bench_base base, int32_t axis, bench_versus *v)
{
    double *difference = w->scratch;
    const bench_line *twin;
    if (bench_line_against(w, line, base, axis, difference, &twin) == 0) return 0;
    bench_drop_repeats(w, bench_primary(w->s, line->saves), difference);
    if (bench_bootstrap(difference, w->s->n_item, w->seed, &v->difference, &v->p) != 0) return -1;
    double exact = twin != NULL && line->n_seed == 1 && twin->n_seed == 1 ? mcnemar_of(w, line, twin) : NAN;
    if (!isnan(exact)) v->p = exact;
    v->p_holm = v->p;
    return 0;
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

bench_verdict bench_judge(const bench_interval *d, double p, double better)
{
    if (isnan(d->value)) return BENCH_NA;
    if (!(p < 0.05) || (d->lo <= 0 && d->hi >= 0)) return BENCH_TIES;
    return (d->lo > 0) == (better > 0) ? BENCH_WINS : BENCH_LOSES;
}

/* Holm over the lines of one table. */
static int correct(bench_work *w, bench_saves saves, int which)
{
    bench_analysis *a = w->out;
    const double better = bench_better(w, saves);
    for (int32_t i = 0; i < a->n_line; i++)
        w->per_line[i] = a->line[i].saves == saves ? a->line[i].versus[which].p : NAN;
    if (bench_holm(w->per_line, a->n_line) != 0) return -1;
    for (int32_t i = 0; i < a->n_line; i++) {
        bench_versus *v = &a->line[i].versus[which];
        if (a->line[i].saves != saves) continue;
        v->p_holm = w->per_line[i];
        v->verdict = bench_judge(&v->difference, v->p_holm, better);
        if (v->verdict == BENCH_WINS && (a->line[i].flags & BENCH_FLAG_OVER)) v->verdict = BENCH_TIES;
    }
    return 0;
}

/* Ahead of both baselines, behind one, or neither. A baseline is held against the other alone. */
static bench_verdict overall(const bench_line *line)
{
    int by_ms = line->saves == BENCH_SAVES_ENCODER;
    bench_verdict resize = line->versus[by_ms ? BENCH_VS_RESIZE_MS : BENCH_VS_RESIZE_UNITS].verdict;
    bench_verdict uniform = line->versus[by_ms ? BENCH_VS_UNIFORM_MS : BENCH_VS_UNIFORM_UNITS].verdict;
    if (bench_line_is(line, BENCH_BASE_RESIZE)) return uniform;
    if (bench_line_is(line, BENCH_BASE_UNIFORM)) return resize;
    if (resize == BENCH_NA && uniform == BENCH_NA) return BENCH_NA;
    if (resize == BENCH_LOSES || uniform == BENCH_LOSES) return BENCH_LOSES;
    return resize == BENCH_WINS && uniform == BENCH_WINS ? BENCH_WINS : BENCH_TIES;
}

static int compare_line(const bench_work *w, bench_line *line)
{
    static const struct {
        bench_base base;
        int32_t axis;
    } versus[BENCH_VS_COUNT] = {[BENCH_VS_RESIZE_MS] = {BENCH_BASE_RESIZE, BENCH_MS},
                                [BENCH_VS_UNIFORM_MS] = {BENCH_BASE_UNIFORM, BENCH_MS},
                                [BENCH_VS_RESIZE_UNITS] = {BENCH_BASE_RESIZE, BENCH_UNITS},
                                [BENCH_VS_UNIFORM_UNITS] = {BENCH_BASE_UNIFORM, BENCH_UNITS},
                                [BENCH_VS_RANDOM_UNITS] = {BENCH_BASE_RANDOM, BENCH_UNITS}};
    for (int i = 0; i < BENCH_VS_COUNT; i++) {
        line->versus[i] = (bench_versus){{NAN, NAN, NAN}, NAN, NAN, BENCH_NA};
        /* Lines that only save prefill all cost the encoder's time: nothing can be held equal there but units. */
        if (line->saves == BENCH_SAVES_PREFILL && versus[i].axis == BENCH_MS) continue;
        if (compare(w, line, versus[i].base, versus[i].axis, &line->versus[i]) != 0) return -1;
    }
    return 0;
}

int bench_work_versus(bench_work *w)
{
    bench_analysis *a = w->out;
    for (int32_t i = 0; i < a->n_line; i++)
        if (compare_line(w, &a->line[i]) != 0) return -1;
    for (int i = 0; i < BENCH_VS_COUNT; i++)
        if (correct(w, BENCH_SAVES_ENCODER, i) != 0 || correct(w, BENCH_SAVES_PREFILL, i) != 0) return -1;
    for (int32_t i = 0; i < a->n_line; i++) a->line[i].overall = overall(&a->line[i]);
    return 0;
}
