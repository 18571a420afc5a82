/* SPDX-License-Identifier: MIT */
/* From cells to what a table says (analysis.h): indexes the cells, then runs the steps of analysis_work.h. */
#include "analysis_work.h"

#include <stdlib.h>
#include <string.h>

static const char *const base_names[][BENCH_BASES] = {
    [BENCH_SAVES_NOTHING] = {NULL, NULL, NULL},
    [BENCH_SAVES_ENCODER] = {"resize@frames", "spatial-uniform@patches", "random@patches"},
    [BENCH_SAVES_PREFILL] = {"pool@output", "spatial-uniform@output", "random@output"},
};

const char *bench_base_name(bench_saves saves, bench_base base) { return base_names[saves][base]; }

int bench_line_is(const bench_line *line, bench_base base)
{
    const char *name = bench_base_name(line->saves, base);
    return name != NULL && strcmp(line->recipe, name) == 0;
}

int bench_line_is_none(const bench_line *line)
{
    return line->saves == BENCH_SAVES_NOTHING || strcmp(line->recipe, "none@output") == 0;
}

const bench_line *bench_line_whole(const bench_analysis *a, bench_saves saves)
{
    for (int32_t i = 0; i < a->n_line; i++)
        if (a->line[i].saves == saves && bench_line_is_none(&a->line[i])) return &a->line[i];
    return a->line;
}

/* At least one byte, so that NULL means memory. */
static void *room(int64_t n, size_t size) { return calloc(n > 0 ? (size_t)n : 1, size); }

/* The last cell of a row and item counts. */
static int index_cells(bench_work *w)
{
    const bench_section *s = w->s;
    int64_t n = (int64_t)s->n_row * s->n_item;
    if ((w->cell = room(n, sizeof *w->cell)) == NULL) return -1;
    for (int64_t i = 0; i < n; i++) w->cell[i] = -1;
    for (int64_t i = 0; i < s->n_cell; i++) {
        const bench_cell *c = &s->cell[i];
        if (c->row >= 0 && c->row < s->n_row && c->item >= 0 && c->item < s->n_item)
            w->cell[(int64_t)c->row * s->n_item + c->item] = i;
    }
    return 0;
}

static int open_work(bench_work *w)
{
    const bench_section *s = w->s;
    w->column = bench_columns(&w->n_column);
    w->next = room(s->n_row, sizeof *w->next);
    w->out->line = room(s->n_row, sizeof *w->out->line);
    w->primary = room((int64_t)s->n_row * s->n_item, sizeof *w->primary);
    w->scratch = room(3 * (int64_t)s->n_item, sizeof *w->scratch);
    w->per_line = room(s->n_row, sizeof *w->per_line);
    if (w->next == NULL || w->out->line == NULL || w->primary == NULL || w->scratch == NULL || w->per_line == NULL)
        return -1;
    return index_cells(w);
}

static void close_work(bench_work *w)
{
    free(w->cell);
    free(w->next);
    free(w->primary);
    free(w->scratch);
    free(w->per_line);
}

int bench_analyse(const bench_section *s, uint64_t seed, bench_analysis *out)
{
    static int (*const step[])(bench_work *) = {bench_work_lines,   bench_work_versus, bench_work_best,
                                                bench_work_default, bench_work_choice, bench_work_half};
    bench_work w = {.s = s, .out = out, .seed = seed};
    *out = (bench_analysis){.section = s};
    int rc = open_work(&w);
    for (size_t i = 0; rc == 0 && i < sizeof step / sizeof *step; i++) rc = step[i](&w);
    close_work(&w);
    if (rc != 0) bench_analysis_free(out);
    return rc;
}

void bench_analysis_free(bench_analysis *a)
{
    free(a->line);
    free(a->choice);
    free(a->half);
    *a = (bench_analysis){0};
}
