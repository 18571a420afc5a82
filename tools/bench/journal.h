/* SPDX-License-Identifier: MIT */
/* The first line of a journal: everything that a bench's numbers depend on, in one JSON object. */
#ifndef PARE_TOOLS_BENCH_JOURNAL_H
#define PARE_TOOLS_BENCH_JOURNAL_H

#include <jansson.h>

#include "bench.h"

#define BENCH_JOURNAL_MAGIC "{\"pare_bench_journal\":"
enum { BENCH_JOURNAL_SCHEMA = 1 };

/* The head of this bench; the caller releases it. Files are hashed. NULL: out of memory. */
json_t *bench_journal_head(const bench *b);
/* 0 when both are equal, else 1 and the first difference: "sections[0].rows[3][1]: 0.5 there, 0.25 here". */
int bench_journal_differ(const json_t *theirs, const json_t *ours, char *why, size_t size);

#endif
