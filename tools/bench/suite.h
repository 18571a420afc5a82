/* SPDX-License-Identifier: MIT */
/* Suites: a versioned file that says what is measured, on which data, by which rules (tools/suite/NAME.json). */
#ifndef PARE_TOOLS_BENCH_SUITE_H
#define PARE_TOOLS_BENCH_SUITE_H

#include <jansson.h>

#include "bench.h"

typedef struct bench_suite {
    json_t *file;      /* owned; strings of the sections point into it */
    char **text;       /* [n_text] owned: paths of data that were found */
    const char **list; /* [n_list] recipes and inputs of all sections */
    int32_t n_text, n_list, n_missing;
} bench_suite;

/* `name`: a suite that ships with pare ("v1") or a file. Adds its sections to the bench and sets seed; data are looked
 * for under the folders of `roots`, then as they stand. A section whose data are missing is left out, named on stderr
 * and counted; data that are there but are not the suite's are an error. Exit code. */
int bench_suite_open(bench *b, const char *name, const cli_list *roots, bench_suite *out);
void bench_suite_close(bench_suite *s);

#endif
