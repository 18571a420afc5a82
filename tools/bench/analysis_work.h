/* SPDX-License-Identifier: MIT */
/* What the steps of bench_analyse share: which cell belongs to which row and item, which rows are one line, and values
 * per item. Steps, in order:
 *
 *   analysis_lines.c    rows -> lines: seeds averaged item by item, means, medians, flags, speed-ups
 *   analysis_versus.c   lines -> comparisons with baselines at the same milliseconds and units, Holm, verdicts
 *   analysis_best.c     the best line of every column and amount
 *   analysis_default.c  all amounts of a recipe against resize: the default and the sentence
 *   analysis_choice.c   chosen on four folds, reported on the fifth
 *   analysis_half.c     the amount that costs half of the numbers
 *
 * `int` is 0 or -1 (memory). A value that is not there, or not finite, is NaN; a line without values gets no verdict. */
#ifndef PARE_TOOLS_BENCH_ANALYSIS_WORK_H
#define PARE_TOOLS_BENCH_ANALYSIS_WORK_H

#include "analysis.h"

/* The recipes that every other is held against, by what they save. */
typedef enum { BENCH_BASE_RESIZE, BENCH_BASE_UNIFORM, BENCH_BASE_RANDOM, BENCH_BASES } bench_base;

typedef struct bench_work {
    const bench_section *s;
    bench_analysis *out;
    const bench_column *column;
    int32_t n_column;
    uint64_t seed;
    int64_t *cell;    /* [n_row, n_item] index of the cell, -1 = missing */
    int32_t *next;    /* [n_row] next row of the same line, -1 = last */
    double *primary;  /* [n_line, n_item] */
    double *scratch;  /* [3, n_item] of whoever is at work */
    double *per_line; /* [n_line] likewise */
} bench_work;

/* Name of a baseline, NULL for BENCH_SAVES_NOTHING. */
const char *bench_base_name(bench_saves saves, bench_base base);
int bench_line_is(const bench_line *line, bench_base base);
/* Where nothing is reduced: none, and in the prefill table none@output, which reads nothing but the rows either. */
int bench_line_is_none(const bench_line *line);
/* The unreduced line of a table, at the right end of its curves. */
const bench_line *bench_line_whole(const bench_analysis *a, bench_saves saves);

/* ---- the steps -------------------------------------------------------------------------------------------------- */

int bench_work_lines(bench_work *w);
int bench_work_versus(bench_work *w);
int bench_work_best(bench_work *w);
int bench_work_default(bench_work *w);
int bench_work_choice(bench_work *w);
int bench_work_half(bench_work *w);

/* ---- what they call of each other ------------------------------------------------------------------------------- */

/* Values [n_item] of a line's column: means over its seeds. */
void bench_line_items(const bench_work *w, const bench_line *line, int32_t column, double *out);
/* The primary column's, made once. */
const double *bench_line_primary(const bench_work *w, const bench_line *line);
/* Of the table's primary column: 1, or -1 where less is better. */
double bench_better(const bench_work *w, bench_saves saves);
/* Of differences x[n_item] of a column: what segments of a clip have from one clock or one window stays once. */
void bench_drop_repeats(const bench_work *w, int32_t column, double *x);
/* One when a column says nothing about lines of that kind. */
int bench_column_barred(const bench_column *column, bench_saves saves);
/* Differences out[n_item] of the line's primary to the baseline's at the same value of `axis` (BENCH_MS, BENCH_UNITS), the
 * baseline interpolated between its measured amounts; returns how many are numbers. 0, and `out` as it was, where the
 * line lies left of the baseline's first point or is the baseline. *twin: the baseline's line of the same amount and as
 * many units, or NULL. */
int64_t bench_line_against(const bench_work *w, const bench_line *line, bench_base base, int32_t axis, double *out,
                           const bench_line **twin);
/* Wins or loses: the interval excludes zero and the corrected p is below .05. better: 1, or -1 where less is better. */
bench_verdict bench_judge(const bench_interval *difference, double p, double better);

#endif
