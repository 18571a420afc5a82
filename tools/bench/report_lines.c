/* SPDX-License-Identifier: MIT */
/* Lines of a table in order, and names and numbers that all formats show alike (report_lines.h). */
#include "report_lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_saves_name[] = {"nothing", "encoder", "prefill"};
const char *const bench_saves_title[] = {"Nothing saved", "Saves encoder time",
                                         "Saves prefill only (the encoder runs whole)"};
const char *const bench_verdict_name[] = {"n/a", "wins", "loses", "ties"};
const char *const bench_versus_key[BENCH_VS_COUNT] = {
    [BENCH_VS_RESIZE_MS] = "resize_ms",       [BENCH_VS_UNIFORM_MS] = "uniform_ms",
    [BENCH_VS_RESIZE_UNITS] = "resize_units", [BENCH_VS_UNIFORM_UNITS] = "uniform_units",
    [BENCH_VS_RANDOM_UNITS] = "random_units",
};
const char *const bench_time_key[BENCH_MS_WRITE + 1] = {
    [BENCH_MS] = "ms",
    [BENCH_MS_DECODE] = "decode_ms",
    [BENCH_MS_PREP] = "prep_ms",
    [BENCH_MS_ENCODE] = "encode_ms",
    [BENCH_MS_SELECT] = "select_ms",
    [BENCH_MS_WRITE] = "write_ms",
};
const char *const bench_flag_name[3] = {"over", "own", "under"};
const char *const bench_flag_mark[3] = {"K!", "own", "<"};

/* ---- lines ---------------------------------------------------------------------------------------------------- */

int bench_line_is_baseline(const bench_line *l)
{
    return bench_line_is(l, BENCH_BASE_RESIZE) || bench_line_is(l, BENCH_BASE_UNIFORM) ||
           bench_line_is(l, BENCH_BASE_RANDOM);
}

/* 0 for the line without reduction, 1 for an asked amount, 2 for an own one. */
static int rank_of(const bench_line *l) { return bench_line_is_none(l) ? 0 : l->keep > 0 ? 1 : 2; }

static int compare_lines(const void *pa, const void *pb)
{
    const bench_line *a = *(const bench_line *const *)pa, *b = *(const bench_line *const *)pb;
    if (rank_of(a) != rank_of(b)) return rank_of(a) - rank_of(b);
    if (a->keep != b->keep) return a->keep < b->keep ? 1 : -1;
    const double x = isnan(a->primary.value) ? -INFINITY : a->primary.value;
    const double y = isnan(b->primary.value) ? -INFINITY : b->primary.value;
    if (x != y) return x < y ? 1 : -1;
    return (a->first_row > b->first_row) - (a->first_row < b->first_row);
}

static void append(bench_order *o, const bench_line *l)
{
    if (o->n < BENCH_MAX_ROWS) o->line[o->n++] = l;
}

/* What is judged by its rows alone has a line of its own without reduction; where the prefill table lacks one, the task
 * judges every line alike and the common one stands in. */
void bench_order_make(const bench_analysis *a, bench_saves saves, bench_order *out)
{
    int own_none = 0;
    *out = (bench_order){.a = a, .saves = saves};
    for (int32_t i = 0; i < a->n_line; i++) {
        if (a->line[i].saves != saves) continue;
        append(out, &a->line[i]);
        own_none |= bench_line_is_none(&a->line[i]);
    }
    for (int32_t i = 0; i < a->n_line && !own_none; i++)
        if (a->line[i].saves == BENCH_SAVES_NOTHING) append(out, &a->line[i]);
    qsort(out->line, (size_t)out->n, sizeof *out->line, compare_lines);
}

int bench_order_has_lines(const bench_order *o)
{
    return o->n > 0 && (!bench_line_is_none(o->line[o->n - 1]) || o->saves == BENCH_SAVES_NOTHING);
}

/* ---- numbers -------------------------------------------------------------------------------------------------- */

double bench_ratio(double a, double b) { return b > 0 ? a / b : NAN; }

double bench_shown(int32_t column, double value)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    return column >= 0 && column < n && (c[column].flags & BENCH_IS_PERCENT) ? 100 * value : value;
}

bench_interval bench_shown_interval(int32_t column, bench_interval i)
{
    return (bench_interval){bench_shown(column, i.value), bench_shown(column, i.lo), bench_shown(column, i.hi)};
}

bench_interval bench_shown_outcome(const bench_line *l, int32_t column)
{
    const int32_t i = column - BENCH_TOP1;
    if (i < 0 || i >= BENCH_OUTCOMES) return (bench_interval){NAN, NAN, NAN};
    return bench_shown_interval(column, l->outcome[i]);
}

double bench_metric_value(const bench_line *l, const char *key)
{
    const int32_t column = bench_column_find(key);
    return column >= 0 ? l->value[column] : NAN;
}

double bench_speed_up(const bench_analysis *a, const bench_line *l)
{
    return bench_ratio(bench_line_whole(a, l->saves)->value[BENCH_MS], l->value[BENCH_MS]);
}

int bench_line_llm(const bench_line *l, const char *llm, pare_llm_cost *out)
{
    const double units = l->value[BENCH_UNITS];
    *out = (pare_llm_cost){.struct_size = sizeof *out};
    if (!isfinite(units) || units < 0) return -1;
    return pare_llm_cost_get(llm, (int64_t)llround(units), BENCH_TEXT_TOKENS, out, NULL) == 0 ? 0 : -1;
}
