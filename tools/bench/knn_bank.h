/* SPDX-License-Identifier: MIT */
/* Bank of the nearest-neighbour column: features of the training photos, from full runs; made once and kept beside the
 * journal. Classes are the labels' texts, so that a model without a classifier has them too. */
#ifndef PARE_TOOLS_BENCH_KNN_BANK_H
#define PARE_TOOLS_BENCH_KNN_BANK_H

#include "knn.h"
#include "task.h"

typedef struct bench_bank {
    bench_knn knn;
    cli_photos train;
    char **name; /* [n_name] borrowed from train, ascending: the classes */
    int32_t n_name;
    double *votes; /* [n_name] */
} bench_bank;

/* Lists the training photos; no picture is read yet. */
int bench_bank_open(bench *b, bench_section *s, bench_bank *out);
/* Makes the bank, or takes the one that is there. */
int bench_bank_fill(bench *b, bench_section *s, bench_bank *bank);
/* The class of a label, -1 = no training photo has it. */
int32_t bench_bank_class(const bench_bank *bank, const char *label);
void bench_bank_close(bench_bank *bank);

#endif
