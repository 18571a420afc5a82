/* SPDX-License-Identifier: MIT */
/* What a Pareto panel shows: one series per recipe over the cost that its table is about, how far each stays behind the
 * front, and which are named. */
#ifndef PARE_TOOLS_BENCH_REPORT_SERIES_H
#define PARE_TOOLS_BENCH_REPORT_SERIES_H

#include "plot.h"
#include "report_lines.h"

enum {
    BENCH_MAX_SERIES = 512,
    BENCH_MAX_NAMED = 12,  /* with more series only baselines and the nearest to the front are named */
    BENCH_MAX_NEAREST = 8, /* of them */
    BENCH_MAX_POINTS = BENCH_MAX_KEEPS + 1
};

typedef struct bench_style {
    const char *colour, *dash;
    plot_mark mark;
} bench_style;

typedef struct bench_series {
    const char *recipe;
    const bench_line *point[BENCH_MAX_POINTS]; /* [n] by x */
    int32_t n;
    int is_baseline, is_named;
    double gap, mean_gap; /* to the front: the smallest and the mean */
    double shift;         /* pixels to the right */
    bench_style style;
} bench_series;

typedef struct bench_panel {
    const bench_analysis *a;
    bench_saves saves;
    int32_t x_column, primary; /* milliseconds or units; the section's primary */
    const bench_line *none;    /* or NULL */
    int32_t n, n_named, n_left_out;
    bench_series one[BENCH_MAX_SERIES]; /* [n] named ones last, so that they lie on top */
} bench_panel;

/* Fills `p`; 0 when there is nothing to draw. */
int bench_panel_make(bench_panel *p, const bench_analysis *a, bench_saves saves);

double bench_panel_x(const bench_panel *p, const bench_line *l);
double bench_panel_y(const bench_panel *p, const bench_line *l);
bench_interval bench_panel_bars(const bench_panel *p, const bench_line *l);
/* The best value of any line that costs at most x; -inf without one. What kept more than asked makes no front. */
double bench_panel_front(const bench_panel *p, double x);

#endif
