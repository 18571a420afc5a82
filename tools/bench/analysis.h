/* SPDX-License-Identifier: MIT */
/* From cells to what a table says. Pure: it sees a section's rows, items and cells and nothing else, so that a test can
 * hand it made-up ones. Rules (printed with every report):
 *   1. lines that save encoder time and lines that save prefill only are two tables, never ranked across;
 *   2. where only the prefill is saved, the CLS token and the pooled feature are untouched: such columns are n/a, and
 *      where one of them decides, un-merge cosine decides there instead;
 *   3. a line is compared with resize and spatial-uniform at the same milliseconds (between the baseline's measured
 *      points) and at the same number of units, item by item (paired bootstrap), random is the mean over its seeds;
 *   4. a line wins only if its interval excludes zero after Holm's correction over the lines of the table; if resize wins
 *      the report says so;
 *   5. segments of a clip share its clock and windows: what they share counts once in a test;
 *   6. what is chosen (the best recipe of an amount) is chosen on four folds and reported on the fifth. */
#ifndef PARE_TOOLS_BENCH_ANALYSIS_H
#define PARE_TOOLS_BENCH_ANALYSIS_H

#include "bench.h"
#include "stats.h"

typedef enum { BENCH_NA, BENCH_WINS, BENCH_LOSES, BENCH_TIES } bench_verdict;

/* Against whom, and what is held equal. */
enum {
    BENCH_VS_RESIZE_MS, /* encoder table: resize@frames at the same ms; prefill table: n/a */
    BENCH_VS_UNIFORM_MS,
    BENCH_VS_RESIZE_UNITS, /* prefill table: pool@output, which is resize for tokens */
    BENCH_VS_UNIFORM_UNITS,
    BENCH_VS_RANDOM_UNITS,
    BENCH_VS_COUNT
};

typedef struct bench_versus {
    bench_interval difference; /* of the primary column, line - baseline */
    double p, p_holm;          /* units: McNemar for 0/1 columns at equal keep, else bootstrap */
    bench_verdict verdict;
} bench_versus;

/* Columns BENCH_TOP1..BENCH_BOX_COSINE are what a row gets right: each has an interval. */
enum { BENCH_OUTCOMES = BENCH_BOX_COSINE - BENCH_TOP1 + 1 };

/* A recipe at one amount, seeds together. */
typedef struct bench_line {
    const char *recipe;
    double keep;
    bench_saves saves;
    unsigned flags; /* BENCH_FLAG_* */
    int32_t n_seed, first_row;
    int64_t n_item;                  /* with a primary value */
    int64_t n_timed, n_measured;     /* items with a clock of their own; with any metric of the library */
    double value[BENCH_MAX_COLUMNS]; /* mean; times: p50 */
    double p95[BENCH_MS_WRITE + 1];
    bench_interval primary;
    bench_interval outcome[BENCH_OUTCOMES]; /* of column BENCH_TOP1 + index */
    double ideal, realised; /* speed-up by operations and by the clock, against none; NaN in the prefill table */
    bench_versus versus[BENCH_VS_COUNT];
    bench_verdict overall; /* wins: against resize and uniform at the same ms (prefill: units); loses: against one */
    int is_best[BENCH_MAX_COLUMNS]; /* the column's best line at this keep, significantly ahead of random's */
} bench_line;

/* The best recipe of an amount: chosen on the other folds, reported on each. */
typedef struct bench_choice {
    bench_saves saves;
    double keep;
    bench_interval primary; /* over all items, each judged by the recipe that the other folds chose */
    const char *recipe;     /* most often chosen */
    int32_t n_fold, n_times;
} bench_choice;

/* Documents: the keep at which half of the numbers read at keep 1 are lost, by interpolation. */
typedef struct bench_half {
    const char *recipe;
    bench_saves saves;
    double keep;  /* NaN: not within the measured amounts */
    int is_below; /* still reads more than half at the smallest one, which is `keep` */
} bench_half;

typedef struct bench_analysis {
    const bench_section *section;
    bench_line *line; /* [n_line] none first, then encoder, then prefill; by recipe in order of rows, keep descending */
    int32_t n_line;
    bench_choice *choice;
    int32_t n_choice;
    bench_half *half;
    int32_t n_half;
    const char *default_winner; /* best recipe of the encoder table over all its amounts at equal ms, or NULL */
    char resize_says[256];      /* one sentence: who wins between resize and the others */
} bench_analysis;

enum { BENCH_FOLDS = 5 };

/* The column that decides in the table of lines that save this: the section's, or one that reads rows alone. */
int32_t bench_primary(const bench_section *s, bench_saves saves);
/* 0 or -1 (memory). */
int bench_analyse(const bench_section *s, uint64_t seed, bench_analysis *out);
void bench_analysis_free(bench_analysis *a);

#endif
