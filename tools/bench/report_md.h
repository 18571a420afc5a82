/* SPDX-License-Identifier: MIT */
/* The two halves of the Markdown report. */
#ifndef PARE_TOOLS_BENCH_REPORT_MD_H
#define PARE_TOOLS_BENCH_REPORT_MD_H

#include "report_lines.h"

/* Title and tables of the lines that save this; nothing where there are none. */
void bench_print_saving(const bench_analysis *a, bench_saves saves, FILE *f);

#endif
