/* SPDX-License-Identifier: MIT */
/* Two reductions of the same units, side by side: which units each keeps, step by step, and how far they agree. A unit is
 * kept where it has a row of its own; what is merged into another row, or runs on from an earlier step, is not. */
#ifndef PARE_TOOLS_COMPARE_H
#define PARE_TOOLS_COMPARE_H

#include "session.h"

/* One reduction: results in order, window by window. */
typedef struct cli_side {
    const char *name;     /* recipe as understood, or file */
    pare_result **result; /* [n] owned */
    int64_t n, cap;
    int64_t n_unit, n_row;
    double ms; /* of reducing all frames; NaN for files */
} cli_side;

/* One slot of both. */
typedef struct cli_step {
    pare_slot slot;
    double pts; /* NaN: unknown */
    int64_t both, only_a, only_b, neither;
    double far_a, far_b; /* sums of distances of units that only this side keeps to the other's nearest one */
    int64_t n_far_a, n_far_b;
} cli_step;

typedef struct cli_compare {
    cli_side a, b;
    cli_step *step; /* [n_step] */
    int64_t n_step;
    cli_step sum;
    double nmi, spearman;            /* NaN: not defined */
    const char *backend, *precision; /* of both recipes; NULL for files */
} cli_compare;

/* Takes the result. 0 or -1 (memory; the result is released). */
int cli_side_add(cli_side *s, pare_result *result);
/* Fills all but the sides. CLI_USAGE where the two do not speak of the same units: the message names both grids. */
int cli_compare_measure(cli_common *c, cli_compare *m);
/* Step that differs in most units, the first of several; -1 without steps. */
int64_t cli_compare_worst(const cli_compare *m);
void cli_compare_free(cli_compare *m);

double cli_step_iou(const cli_step *s); /* NaN where nothing is kept */
/* Text with the n_listed steps that differ most, or one JSON line with all of them. */
void cli_compare_print(const cli_common *c, const cli_compare *m, const char *input, int64_t n_listed,
                       const char *output);

#endif
