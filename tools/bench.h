/* SPDX-License-Identifier: MIT */
/* The accuracy-latency table: what a run measured (cmd_bench.c fills it) and how it is printed (bench_table.c). */
#ifndef PARE_TOOLS_BENCH_H
#define PARE_TOOLS_BENCH_H

#include "frames.h"
#include "labels.h"
#include "own.h"

enum { CLI_BENCH_TOTAL, CLI_BENCH_PREP, CLI_BENCH_ENCODE, CLI_BENCH_SELECT, CLI_BENCH_TIMES };

/* One recipe at one amount. Samples are milliseconds per frame, one per item and round. */
typedef struct cli_bench_row {
    const char *recipe;
    double keep; /* asked; 0 = the recipe's own amount */
    int fresh;   /* a new reducer for every item: the recipe looks across frames */
    int scored;  /* its recipe reads the caller's scores; the grid of others may be another one */
    pare_reducer *reducer;
    float *ms[CLI_BENCH_TIMES]; /* [n_sample of cap] */
    int64_t n_sample, cap;
    int64_t n_frames, n_in, n_out;
    int64_t n_labelled, n_right, n_compared, n_agree;
    double cosine; /* sum over n_compared */
} cli_bench_row;

typedef struct cli_bench {
    cli_common *c;
    const pare_model *model;
    const pare_model_info *info;
    cli_bench_row *row; /* [n_row]; [0] = none */
    int32_t n_row;
    const char *data;                     /* as named by the user */
    int64_t n_measured, rounds, n_failed; /* items of the first round; rounds begun */
    int video, interrupted;
    const cli_layout *layout;
    cli_own own;
    int32_t window;
    cli_frames frames;    /* of the current item */
    pare_result **result; /* [n_result of result_cap] of the current row */
    int64_t n_result, result_cap;
    float *pooled;         /* [reference_cap, d] of none for the current item */
    int32_t *best;         /* [reference_cap] class of none, -1 = no classifier */
    int64_t reference_cap; /* frames */
} cli_bench;

/* A reducer for the row (bench_run.c); library code. */
int cli_bench_reducer(const cli_bench *b, const cli_bench_row *row, pare_reducer **out, pare_error *err);
/* Runs the current item through every row; `measured` = 0 only warms up. Exit code. */
int cli_bench_item(cli_bench *b, int32_t class_index, int measured);
/* Releases rows, results and reference. */
void cli_bench_free(cli_bench *b);

/* Writes the table: to `path` by suffix .md, .csv or .json, or to stdout (Markdown, or JSON on request). Exit code. */
int cli_bench_print(const cli_bench *b, const char *path);

#endif
