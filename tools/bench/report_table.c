/* SPDX-License-Identifier: MIT */
/* Aligned Markdown tables (report_table.h). */
#include "report_table.h"

#include <string.h>

/* Characters, not bytes. */
static int32_t width_of(const char *text)
{
    int32_t n = 0;
    for (; *text != '\0'; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int says_something(const char *cell) { return cell[0] != '\0' && strcmp(cell, "n/a") != 0; }

static int add(bench_table *t, const char *title, int32_t which, bench_cell_text text, int is_text)
{
    bench_table_column *c = &t->column[t->n];
    char cell[BENCH_MAX_CELL];
    int useful = is_text;
    if (t->n == BENCH_MAX_TABLE) return 0;
    *c = (bench_table_column){.is_text = is_text, .which = which, .text = text};
    snprintf(c->title, sizeof c->title, "%s", title);
    c->width = width_of(c->title);
    for (int32_t i = 0; i < t->n_row; i++) {
        text(t->ctx, i, which, cell);
        useful |= says_something(cell);
        if (width_of(cell) > c->width) c->width = width_of(cell);
    }
    t->n += useful;
    return useful;
}

int bench_table_add(bench_table *t, const char *title, int32_t which, bench_cell_text text)
{
    return add(t, title, which, text, 0);
}

void bench_table_add_text(bench_table *t, const char *title, bench_cell_text text) { add(t, title, 0, text, 1); }

static void print_padded(const bench_table_column *c, const char *text, FILE *f)
{
    const int blank = c->width - width_of(text);
    fprintf(f, " %*s%s%*s |", c->is_text ? 0 : blank, "", text, c->is_text ? blank : 0, "");
}

static void print_rule(const bench_table_column *c, FILE *f)
{
    fputc(c->is_text ? ' ' : '-', f);
    for (int32_t i = 0; i < c->width; i++) fputc('-', f);
    fputs(c->is_text ? " |" : ":|", f);
}

void bench_table_print(const bench_table *t, FILE *f)
{
    char cell[BENCH_MAX_CELL];
    fputc('|', f);
    for (int32_t k = 0; k < t->n; k++) print_padded(&t->column[k], t->column[k].title, f);
    fputs("\n|", f);
    for (int32_t k = 0; k < t->n; k++) print_rule(&t->column[k], f);
    for (int32_t i = 0; i < t->n_row; i++) {
        fputs("\n|", f);
        for (int32_t k = 0; k < t->n; k++) {
            t->column[k].text(t->ctx, i, t->column[k].which, cell);
            print_padded(&t->column[k], cell, f);
        }
    }
    fputs("\n\n", f);
}

void bench_table_escape(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && n + 2 < size; text++) {
        if (*text == '|') out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
}
