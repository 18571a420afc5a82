/* SPDX-License-Identifier: MIT */
/* From a run to the values of a cell (bench.h): counts, times, costs, and the library's metrics against the full run. */
#include <math.h>
#include <string.h>

#include "bench.h"

void bench_cell_clear(bench_cell *cell, int32_t row, int32_t item)
{
    cell->row = row;
    cell->item = item;
    for (int32_t i = 0; i < BENCH_MAX_COLUMNS; i++) cell->value[i] = NAN;
}

/* ---- cost ------------------------------------------------------------------------------------------------------ */

int64_t bench_run_units(const bench_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->n_result; i++) n += pare_result_get(run->result[i])->n;
    return n;
}

static int64_t count_rows(const bench_run *run)
{
    int64_t k = 0;
    for (int64_t i = 0; i < run->n_result; i++) k += pare_result_get(run->result[i])->k;
    return k;
}

/* Position ids that the rows span, medium by medium: the largest + 1 where places are numbered in (t, y, x), else one per
 * row. NaN: the family places its tokens so, but bare features do not say how. */
static double count_positions(const bench *b, const bench_run *run)
{
    int64_t sum = 0, most = 0, medium = -1;
    if (!b->info->has_mrope) return (double)count_rows(run);
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        if (v->mrope == NULL) return NAN;
        for (int64_t j = 0; j < v->k; j++) {
            if (v->place[6 * j] != medium) {
                sum += most;
                most = 0;
                medium = v->place[6 * j];
            }
            for (int axis = 0; axis < 3; axis++)
                if (v->mrope[3 * j + axis] >= most) most = v->mrope[3 * j + axis] + 1;
        }
    }
    return (double)(sum + most);
}

void bench_cell_cost(const bench *b, const bench_section *s, const bench_run *full, const bench_run *run,
                     bench_cell *cell)
{
    const double n_in = (double)bench_run_units(full), keep = s->row[cell->row].keep;
    cell->value[BENCH_UNITS_IN] = n_in;
    cell->value[BENCH_UNITS_ASKED] = keep > 0 ? floor(keep * n_in + 0.5) : NAN; /* as rate control rounds */
    cell->value[BENCH_UNITS] = (double)count_rows(run);
    for (int i = BENCH_MS; i <= BENCH_MS_WRITE; i++) cell->value[i] = run->ms[i];
    cell->value[BENCH_GFLOP] = run->flops / 1e9;
    cell->value[BENCH_POSITIONS] = count_positions(b, run);
}

/* ---- metrics --------------------------------------------------------------------------------------------------- */

/* The metrics that may be asked of a row, and their columns. */
typedef struct wanted {
    const char *name[BENCH_MAX_COLUMNS];
    int32_t column[BENCH_MAX_COLUMNS], n;
} wanted;

/* Where only the prefill is saved, what the encoder made is untouched: columns that look at it would flatter. */
static void choose_metrics(bench_saves saves, wanted *out)
{
    int32_t n = 0;
    const bench_column *column = bench_columns(&n);
    const unsigned barred = saves == BENCH_SAVES_PREFILL ? BENCH_OF_CLS | BENCH_OF_FULL : 0;
    out->n = 0;
    for (int32_t i = 0; i < n && i < BENCH_MAX_COLUMNS; i++) {
        if (column[i].metric == NULL || (column[i].flags & barred) != 0) continue;
        out->name[out->n] = column[i].metric;
        out->column[out->n++] = i;
    }
}

/* The same slots of the same clip? Only then can two windows be compared. */
static int is_same_window(const pare_result_view *a, const pare_result_view *b)
{
    return a->first_slot == b->first_slot && a->grid[0] == b->grid[0];
}

static int measure_windows(const wanted *w, const bench_run *full, const bench_run *run, double *sum, double *weight,
                           pare_error *err)
{
    double value[BENCH_MAX_COLUMNS];
    for (int64_t i = 0; i < run->n_result && i < full->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        if (!is_same_window(v, pare_result_get(full->result[i]))) continue;
        int rc = pare_measure(run->result[i], full->result[i], w->name, w->n, value, err);
        if (rc != 0) return rc;
        for (int32_t m = 0; m < w->n; m++) {
            if (!isfinite(value[m])) continue;
            sum[m] += value[m] * v->grid[0];
            weight[m] += v->grid[0];
        }
    }
    return 0;
}

int bench_cell_measure(const bench *b, const bench_section *s, const bench_run *full, const bench_run *run,
                       bench_cell *cell)
{
    const bench_row *row = &s->row[cell->row];
    double sum[BENCH_MAX_COLUMNS] = {0}, weight[BENCH_MAX_COLUMNS] = {0};
    wanted w;
    pare_error err = {0};
    choose_metrics(row->saves, &w);
    if (w.n > 0 && measure_windows(&w, full, run, sum, weight, &err) != 0) {
        cli_say(b->c, "%s: measures of recipe %s at keep %.6g:", s->ask.name, row->recipe, row->keep);
        return cli_fail(b->c, &err, CLI_FAILED);
    }
    for (int32_t m = 0; m < w.n; m++) cell->value[w.column[m]] = weight[m] > 0 ? sum[m] / weight[m] : NAN;
    return CLI_OK;
}
