/* SPDX-License-Identifier: MIT */
/* A Markdown table whose columns line up in the source text. Columns without any value are not printed: a column is added
 * only if one of its cells says something. */
#ifndef PARE_TOOLS_BENCH_REPORT_TABLE_H
#define PARE_TOOLS_BENCH_REPORT_TABLE_H

#include <stdint.h>
#include <stdio.h>

enum { BENCH_MAX_CELL = 512, BENCH_MAX_TABLE = 128 };

/* Text of a cell; "" and "n/a" say nothing. `ctx` is the table's, `which` the column's. */
typedef void (*bench_cell_text)(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL]);

typedef struct bench_table_column {
    char title[96];
    int is_text; /* to the left */
    int32_t which, width;
    bench_cell_text text;
} bench_table_column;

typedef struct bench_table {
    const void *ctx;
    int32_t n_row, n;
    bench_table_column column[BENCH_MAX_TABLE]; /* [n] */
} bench_table;

/* Numbers to the right; 1 if the column was added. */
int bench_table_add(bench_table *t, const char *title, int32_t which, bench_cell_text text);
/* Words to the left; added even if they are empty. */
void bench_table_add_text(bench_table *t, const char *title, bench_cell_text text);
void bench_table_print(const bench_table *t, FILE *f);

/* Copies with '|' escaped, so that it stays within a cell. */
void bench_table_escape(const char *text, char *out, size_t size);

#endif
