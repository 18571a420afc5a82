/* SPDX-License-Identifier: MIT */
/* Made-up benches and analyses for tests of reports. */
#ifndef PARE_TESTS_BENCH_MADE_H
#define PARE_TESTS_BENCH_MADE_H

#include "../tools/bench/report_lines.h"

enum { MADE_MAX_LINES = 1024 };

typedef struct made {
    cli_common common;
    pare_model_info info;
    bench b;
    bench_report report; /* over `analysis` */
    bench_analysis analysis[2];
    bench_line line[2][MADE_MAX_LINES];
    char recipe[2][MADE_MAX_LINES][48];
    bench_choice choice[3];
    bench_half half[3];
} made;

/* n_section (1 or 2) sections of n_recipe recipes beside the baselines, at four amounts, in both tables; among them one
 * that keeps more than asked, one with its own amount, and names that every format has to escape. The caller frees. */
made *made_new(int n_section, int n_recipe);
/* The same with every number missing. */
made *made_empty(void);
void made_free(made **m);

/* What a format prints; the caller frees. */
char *made_print(const made *m, const char *suffix);

#endif
