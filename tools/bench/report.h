/* SPDX-License-Identifier: MIT */
/* Reports of a bench: one document, five formats, none of which knows more than the analysis. */
#ifndef PARE_TOOLS_BENCH_REPORT_H
#define PARE_TOOLS_BENCH_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "analysis.h"

enum { BENCH_SCHEMA_VERSION = 2 }; /* of the JSON report: tools/suite/bench.schema.json */

typedef struct bench_report {
    const bench *b;
    json_t *header; /* facts of the run in order: command, date, version, machine, flags, BLAS, threads, ... */
    bench_analysis *analysis;  /* [b->n_section] */
    const bench_section *only; /* of a plot; NULL = all sections */
} bench_report;

typedef struct bench_format {
    const char *suffix; /* ".md" */
    void (*print)(const bench_report *r, FILE *f);
} bench_format;
extern const bench_format bench_formats[]; /* md, csv, json, tex, svg; ends with suffix NULL */

/* Facts of the run; the caller releases it. */
json_t *bench_header(const bench *b);
/* Writes `path` by its suffix, or to stdout (Markdown, JSON with --json). A directory: report.md, .csv, .json, .tex,
 * pareto.svg and, of several sections, pareto-NAME.svg of each. Exit code. */
int bench_report_write(const bench *b, const char *path);

#endif
