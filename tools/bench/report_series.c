/* SPDX-License-Identifier: MIT */
/* Series of a Pareto panel (report_series.h). */
#include "report_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Colours that stay apart for the colour-blind, each with a mark of its own. */
static const bench_style grey = {"#c4c4c4", "none", PLOT_CIRCLE};
static const bench_style own_styles[] = {
    {"#0072b2", "none", PLOT_CIRCLE}, {"#d55e00", "none", PLOT_DIAMOND},  {"#009e73", "none", PLOT_TRIANGLE},
    {"#aa4499", "none", PLOT_DOWN},   {"#e69f00", "none", PLOT_SQUARE},   {"#332288", "none", PLOT_DIAMOND},
    {"#44aa99", "none", PLOT_CIRCLE}, {"#882255", "none", PLOT_TRIANGLE}, {"#999933", "none", PLOT_DOWN},
    {"#56b4e9", "none", PLOT_SQUARE}, {"#b5651d", "none", PLOT_CIRCLE},   {"#6699cc", "none", PLOT_DIAMOND},
};
enum { N_STYLE = sizeof own_styles / sizeof *own_styles };

double bench_panel_x(const bench_panel *p, const bench_line *l) { return l->value[p->x_column]; }
double bench_panel_y(const bench_panel *p, const bench_line *l) { return bench_shown(p->primary, l->primary.value); }

bench_interval bench_panel_bars(const bench_panel *p, const bench_line *l)
{
    return bench_shown_interval(p->primary, l->primary);
}

static int is_drawn(const bench_panel *p, const bench_line *l)
{
    return isfinite(bench_panel_x(p, l)) && bench_panel_x(p, l) > 0 && isfinite(bench_panel_y(p, l));
}

/* ---- series ---------------------------------------------------------------------------------------------------- */

static bench_series *series_of(bench_panel *p, const bench_line *l)
{
    for (int32_t i = 0; i < p->n; i++)
        if (strcmp(p->one[i].recipe, l->recipe) == 0) return &p->one[i];
    if (p->n == BENCH_MAX_SERIES) {
        p->n_left_out++;
        return NULL;
    }
    p->one[p->n] = (bench_series){.recipe = l->recipe, .is_baseline = bench_line_is_baseline(l), .style = grey};
    return &p->one[p->n++];
}

static void insert_point(const bench_panel *p, bench_series *s, const bench_line *l)
{
    if (s->n == BENCH_MAX_POINTS) return;
    int32_t i = s->n++;
    for (; i > 0 && bench_panel_x(p, s->point[i - 1]) > bench_panel_x(p, l); i--) s->point[i] = s->point[i - 1];
    s->point[i] = l;
}

static void collect(bench_panel *p, const bench_order *o)
{
    for (int32_t i = 0; i < o->n; i++) {
        const bench_line *l = o->line[i];
        if (!is_drawn(p, l)) continue;
        if (bench_line_is_none(l)) {
            p->none = l;
            continue;
        }
        bench_series *s = series_of(p, l);
        if (s != NULL) insert_point(p, s, l);
    }
}

/* ---- the front ------------------------------------------------------------------------------------------------- */

double bench_panel_front(const bench_panel *p, double x)
{
    double best = p->none != NULL && bench_panel_x(p, p->none) <= x ? bench_panel_y(p, p->none) : -INFINITY;
    for (int32_t i = 0; i < p->n; i++)
        for (int32_t k = 0; k < p->one[i].n && bench_panel_x(p, p->one[i].point[k]) <= x; k++)
            if (!(p->one[i].point[k]->flags & BENCH_FLAG_OVER)) best = fmax(best, bench_panel_y(p, p->one[i].point[k]));
    return best;
}

/* What kept more than asked stands nowhere near. */
static void measure_gaps(bench_panel *p)
{
    for (int32_t i = 0; i < p->n; i++) {
        bench_series *s = &p->one[i];
        s->gap = s->mean_gap = INFINITY;
        double sum = 0;
        int32_t n = 0;
        for (int32_t k = 0; k < s->n; k++) {
            if (s->point[k]->flags & BENCH_FLAG_OVER) continue;
            const double gap = bench_panel_front(p, bench_panel_x(p, s->point[k])) - bench_panel_y(p, s->point[k]);
            s->gap = fmin(s->gap, gap);
            sum += gap;
            s->mean_gap = sum / ++n;
        }
    }
}

/* Baselines first, then what makes the front, then by the mean distance to it: where little is removed, all are near. */
static int compare_series(const void *pa, const void *pb)
{
    const bench_series *a = pa, *b = pb;
    if (a->is_baseline != b->is_baseline) return b->is_baseline - a->is_baseline;
    if ((a->gap > 0) != (b->gap > 0)) return a->gap > 0 ? 1 : -1;
    if (a->mean_gap != b->mean_gap) return a->mean_gap < b->mean_gap ? -1 : 1;
    return strcmp(a->recipe, b->recipe);
}

/* Resize (for tokens: pooling), even spread and chance look the same in every plot. */
static bench_style baseline_style(const bench_line *l)
{
    if (bench_line_is(l, BENCH_BASE_RANDOM)) return (bench_style){"#8a8a8a", "7 2 1 2", PLOT_CROSS};
    if (bench_line_is(l, BENCH_BASE_UNIFORM)) return (bench_style){"#5a5a5a", "2 3", PLOT_TRIANGLE};
    return (bench_style){"#111111", "7 3", PLOT_SQUARE};
}

static void reverse(bench_series *s, int32_t n)
{
    for (int32_t i = 0; i < n / 2; i++) {
        const bench_series swap = s[i];
        s[i] = s[n - 1 - i];
        s[n - 1 - i] = swap;
    }
}

static void choose_named(bench_panel *p)
{
    int32_t n_own = 0;
    qsort(p->one, (size_t)p->n, sizeof *p->one, compare_series);
    for (int32_t i = 0; i < p->n; i++) {
        bench_series *s = &p->one[i];
        s->is_named = p->n <= BENCH_MAX_NAMED || s->is_baseline || n_own < BENCH_MAX_NEAREST;
        if (!s->is_named) continue;
        s->style = s->is_baseline ? baseline_style(s->point[0]) : own_styles[n_own++ % N_STYLE];
        p->n_named++;
    }
    /* Equal units stand on one vertical: intervals are told apart by a few pixels. */
    for (int32_t i = 0; i < p->n_named && p->saves == BENCH_SAVES_PREFILL; i++)
        p->one[i].shift = 3.5 * (i - 0.5 * (p->n_named - 1));
    reverse(p->one, p->n);
}

int bench_panel_make(bench_panel *p, const bench_analysis *a, bench_saves saves)
{
    bench_order o;
    bench_order_make(a, saves, &o);
    memset(p, 0, sizeof *p);
    p->a = a;
    p->saves = saves;
    p->x_column = saves == BENCH_SAVES_PREFILL ? BENCH_UNITS : BENCH_MS;
    p->primary = bench_primary(a->section, saves);
    collect(p, &o);
    measure_gaps(p);
    choose_named(p);
    return p->n > 0;
}
