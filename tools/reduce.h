/* SPDX-License-Identifier: MIT */
/* What pare reduce knows of one input on its way, and how it is reported. */
#ifndef PARE_TOOLS_REDUCE_H
#define PARE_TOOLS_REDUCE_H

#include <pare/plan.h>

#include "own.h"

typedef struct cli_reduce_opts {
    cli_common common;
    cli_pick pick;
    cli_budget budget;
    cli_layout layout;
    cli_own_opts own;
    const char *output, *writer;
    int32_t plan, two_pass;
    int32_t free_sides; /* PARE_TRADE_*, ored: what is to be chosen for every input */
} cli_reduce_opts;

/* One input on its way; everything is released by cmd_reduce.c, also half-built. */
typedef struct cli_reduce_job {
    cli_reduce_opts *o;
    cli_own *own;
    const pare_model *model;
    const pare_model_info *model_info;
    const char *input;
    char *output; /* NULL = none */
    pare_source *source;
    pare_source_info info;
    pare_reducer *reducer;
    cli_pick pick; /* the options', and what was chosen for this input */
    cli_layout layout;
    pare_trade *trade; /* with free_sides, or NULL */
    pare_plan *plan;   /* of the first of two passes, or NULL */
    pare_writer *writer;
    pare_reducer_opts opts;
    char hash[17];
    cli_taken taken;
    int64_t n_true; /* frames that came where --tokens was shared out over another number; 0 = as listed */
    double began, decode_ms, write_ms; /* decode: waiting for frames, most of which were read ahead */
    int64_t grid[3];                   /* t, h, w in units */
    int complete, published;
} cli_reduce_job;

/* --tokens speaks of the whole input: its frames are counted before they are read. Exit codes. */
int cli_reduce_count(cli_reduce_job *j);
/* n frames came, to the end: did their list lie (frames that cannot be decoded)? Then all has to be done again, once, with
 * the number that is now known. */
int cli_reduce_recount(cli_reduce_job *j, int64_t n);
/* One result on stdout, as a JSON line or a few lines of text; times are milliseconds. */
void cli_reduce_print(const cli_reduce_job *j, const pare_reducer_stats *s, double wall_ms);
/* The JSON line of an input that failed. */
void cli_reduce_print_failure(const cli_reduce_job *j, int code);

#endif
