/* SPDX-License-Identifier: MIT */
/* Rows -> lines. Seeds of a line are averaged item by item before anything else, so that a line has one value per item
 * whatever its number of seeds and items count alike. A clip is timed as a whole: its time stands with its first item. */
#include "analysis_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Units are means over windows: rounding is no cheating. */
#define UNITS_SLACK 1e-6

/* ---- values per item -------------------------------------------------------------------------------------------- */

int bench_column_barred(const bench_column *column, bench_saves saves)
{
    return saves == BENCH_SAVES_PREFILL && (column->flags & (BENCH_OF_CLS | BENCH_OF_FULL)) != 0;
}

int32_t bench_primary(const bench_section *s, bench_saves saves)
{
    int32_t n;
    const bench_column *column = bench_columns(&n);
    if (saves == BENCH_SAVES_PREFILL && s->primary_prefill > 0) return s->primary_prefill;
    const int is_barred = s->primary >= 0 && s->primary < n && bench_column_barred(&column[s->primary], saves);
    const int32_t of_rows = is_barred ? bench_column_find("unmerge_cosine") : -1;
    return of_rows >= 0 ? of_rows : s->primary;
}

double bench_better(const bench_work *w, bench_saves saves)
{
    const int32_t primary = bench_primary(w->s, saves);
    return primary >= 0 && primary < w->n_column && w->column[primary].better < 0 ? -1 : 1;
}

/* Value of one cell, NaN where it is missing. */
static double cell_value(const bench_work *w, int32_t row, int32_t item, int32_t column)
{
    int64_t i = w->cell[(int64_t)row * w->s->n_item + item];
    double value = i >= 0 ? w->s->cell[i].value[column] : NAN;
    return isfinite(value) ? value : NAN;
}

void bench_line_items(const bench_work *w, const bench_line *line, int32_t column, double *out)
{
    int barred = column < 0 || column >= w->n_column || bench_column_barred(&w->column[column], line->saves);
    for (int32_t item = 0; item < w->s->n_item; item++) {
        double sum = 0;
        int32_t n = 0;
        for (int32_t row = line->first_row; row >= 0 && !barred; row = w->next[row]) {
            double value = cell_value(w, row, item, column);
            if (isnan(value)) continue;
            sum += value;
            n++;
        }
        out[item] = n > 0 ? sum / n : NAN;
    }
}

static int is_time(const bench_work *w, int32_t column)
{
    return column >= 0 && column < w->n_column && (w->column[column].flags & BENCH_IS_TIME) != 0;
}

/* Metrics of the library are of windows, but those of the whole picture, which clips take step by step. */
static int is_of_window(const bench_work *w, int32_t column)
{
    return column >= BENCH_OWN_COLUMNS && column < w->n_column && (w->column[column].flags & BENCH_OF_CLS) == 0;
}

void bench_drop_repeats(const bench_work *w, int32_t column, double *x)
{
    const int by_clip = is_time(w, column), by_window = is_of_window(w, column);
    for (int32_t i = w->s->n_item - 1; i > 0; i--) {
        if (!w->s->item[i].is_part) continue;
        /* No difference is kept: dropping it would make the others weigh more. */
        if (by_clip || (by_window && x[i] == x[i - 1] && x[i] != 0)) x[i] = NAN;
    }
}

const double *bench_line_primary(const bench_work *w, const bench_line *line)
{
    return w->primary + (line - w->out->line) * (int64_t)w->s->n_item;
}

/* ---- rows to lines ---------------------------------------------------------------------------------------------- */

/* Row 0 is the run without reduction and the first line, whatever its recipe is taken to save. */
static bench_saves saves_of(const bench_section *s, int32_t row)
{
    return row == 0 ? BENCH_SAVES_NOTHING : s->row[row].saves;
}

static bench_line *find_line(bench_analysis *a, const bench_row *row, bench_saves saves)
{
    for (int32_t i = 0; i < a->n_line; i++) {
        bench_line *l = &a->line[i];
        if (l->keep == row->keep && l->saves == saves && strcmp(l->recipe, row->recipe) == 0) return l;
    }
    return NULL;
}

/* Rows of a line are chained in ascending order. */
static void chain(bench_work *w, const bench_line *line, int32_t row)
{
    int32_t last = line->first_row;
    while (w->next[last] >= 0) last = w->next[last];
    w->next[last] = row;
}

static void group_rows(bench_work *w)
{
    bench_analysis *a = w->out;
    for (int32_t i = 0; i < w->s->n_row; i++) {
        const bench_row *row = &w->s->row[i];
        const bench_saves saves = saves_of(w->s, i);
        bench_line *line = find_line(a, row, saves);
        w->next[i] = -1;
        if (line != NULL) {
            chain(w, line, i);
        } else {
            line = &a->line[a->n_line++];
            *line = (bench_line){.recipe = row->recipe, .keep = row->keep, .saves = saves, .first_row = i};
        }
        line->n_seed++;
    }
}

/* The first row of the line's recipe among lines that save the same, left in n_item while lines are sorted. */
static void rank_recipes(bench_analysis *a)
{
    for (int32_t i = 0; i < a->n_line; i++) {
        bench_line *l = &a->line[i];
        l->n_item = l->first_row;
        for (int32_t k = 0; k < i; k++) {
            const bench_line *other = &a->line[k];
            if (other->saves != l->saves || strcmp(other->recipe, l->recipe) != 0) continue;
            l->n_item = other->n_item;
            break;
        }
    }
}

static int compare_lines(const void *pa, const void *pb)
{
    const bench_line *a = pa, *b = pb;
    if (a->saves != b->saves) return a->saves < b->saves ? -1 : 1;
    if (a->n_item != b->n_item) return a->n_item < b->n_item ? -1 : 1;
    if (a->keep != b->keep) return a->keep > b->keep ? -1 : 1;
    return (a->first_row > b->first_row) - (a->first_row < b->first_row);
}

/* ---- lines to numbers ------------------------------------------------------------------------------------------- */

/* The mean and how many numbers it is of. */
static double mean_of(const double *x, int64_t n, int64_t *m)
{
    double sum = 0;
    *m = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        sum += x[i];
        ++*m;
    }
    return *m > 0 ? sum / (double)*m : NAN;
}

static int fill_time(bench_work *w, bench_line *line, int32_t c, double *x)
{
    int64_t m;
    bench_drop_repeats(w, c, x);
    mean_of(x, w->s->n_item, &m);
    if (c == BENCH_MS) line->n_timed = m;
    if (bench_quantile(x, w->s->n_item, 0.5, &line->value[c]) != 0) return -1;
    return c <= BENCH_MS_WRITE ? bench_quantile(x, w->s->n_item, 0.95, &line->p95[c]) : 0;
}

static int fill_column(bench_work *w, bench_line *line, int32_t c)
{
    int64_t m;
    double *x = w->scratch;
    bench_line_items(w, line, c, x);
    if (is_time(w, c)) return fill_time(w, line, c, x);
    line->value[c] = mean_of(x, w->s->n_item, &m);
    if (c >= BENCH_OWN_COLUMNS && m > line->n_measured) line->n_measured = m;
    const int32_t outcome = c - BENCH_TOP1;
    if (outcome < 0 || outcome >= BENCH_OUTCOMES) return 0;
    return bench_bootstrap(x, w->s->n_item, w->seed, &line->outcome[outcome], NULL);
}

static int fill_values(bench_work *w, bench_line *line)
{
    for (int32_t c = 0; c < BENCH_MAX_COLUMNS; c++) line->value[c] = NAN;
    for (int32_t c = 0; c <= BENCH_MS_WRITE; c++) line->p95[c] = NAN;
    for (int32_t c = 0; c < w->n_column; c++)
        if (fill_column(w, line, c) != 0) return -1;
    return 0;
}

static int fill_primary(bench_work *w, bench_line *line)
{
    double *x = w->primary + (line - w->out->line) * (int64_t)w->s->n_item;
    bench_line_items(w, line, bench_primary(w->s, line->saves), x);
    line->n_item = 0;
    for (int32_t i = 0; i < w->s->n_item; i++) line->n_item += !isnan(x[i]);
    return bench_bootstrap(x, w->s->n_item, w->seed, &line->primary, NULL);
}

/* Did a seed keep more than it was asked to on any item? One row is no crime: a grid has no less. */
static int is_over(const bench_work *w, const bench_line *line)
{
    for (int32_t row = line->first_row; row >= 0; row = w->next[row])
        for (int32_t item = 0; item < w->s->n_item; item++) {
            double kept = cell_value(w, row, item, BENCH_UNITS), asked = cell_value(w, row, item, BENCH_UNITS_ASKED);
            if (!isnan(asked) && kept > fmax(asked, 1) + UNITS_SLACK) return 1;
        }
    return 0;
}

static void fill_flags(const bench_work *w, bench_line *line)
{
    if (line->saves == BENCH_SAVES_NOTHING) return;
    if (is_over(w, line)) line->flags |= BENCH_FLAG_OVER;
    if (line->keep == 0) line->flags |= BENCH_FLAG_OWN;
    if (line->value[BENCH_UNITS] < line->value[BENCH_UNITS_ASKED] - 1) line->flags |= BENCH_FLAG_UNDER;
}

static double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

static void fill_speed(const bench_line *none, bench_line *line)
{
    int encoder = line->saves != BENCH_SAVES_PREFILL;
    line->ideal = encoder ? ratio(none->value[BENCH_GFLOP], line->value[BENCH_GFLOP]) : NAN;
    line->realised = encoder ? ratio(none->value[BENCH_MS], line->value[BENCH_MS]) : NAN;
}

int bench_work_lines(bench_work *w)
{
    bench_analysis *a = w->out;
    group_rows(w);
    rank_recipes(a);
    qsort(a->line, (size_t)a->n_line, sizeof *a->line, compare_lines);
    for (int32_t i = 0; i < a->n_line; i++) {
        bench_line *line = &a->line[i];
        if (fill_values(w, line) != 0 || fill_primary(w, line) != 0) return -1;
        fill_flags(w, line);
        fill_speed(a->line, line);
    }
    return 0;
}
