/* SPDX-License-Identifier: MIT */
/* The best line of a column among lines that save the same and were asked for the same amount. Being first is not enough:
 * one of twenty lines always is. It must be ahead of random's mean over seeds, item by item, beyond its interval, and its
 * p must stand after multiplication with the number of lines that it was picked from (Bonferroni). Random is never best;
 * where it is first, nobody is. A line that kept more than asked does not take part. */
#include "analysis_work.h"

#include <math.h>

static int same_amount(const bench_line *a, const bench_line *b) { return a->saves == b->saves && a->keep == b->keep; }

static const bench_line *find_random(const bench_work *w, const bench_line *line)
{
    for (int32_t i = 0; i < w->out->n_line; i++)
        if (same_amount(&w->out->line[i], line) && bench_line_is(&w->out->line[i], BENCH_BASE_RANDOM))
            return &w->out->line[i];
    return NULL;
}

/* Lines that the first of the column was picked from, random not counted; 0 when `line` is not the only first. */
static int32_t count_beaten(const bench_work *w, const bench_line *line, int32_t c)
{
    double better = w->column[c].better;
    int32_t n = 1;
    for (int32_t i = 0; i < w->out->n_line; i++) {
        const bench_line *other = &w->out->line[i];
        if (other == line || !same_amount(other, line) || (other->flags & BENCH_FLAG_OVER)) continue;
        if (isnan(other->value[c])) continue;
        if (other->value[c] * better >= line->value[c] * better) return 0;
        n += !bench_line_is(other, BENCH_BASE_RANDOM);
    }
    return n;
}

static int judge(bench_work *w, bench_line *line, const bench_line *random, int32_t c)
{
    double *x = w->scratch, *y = w->scratch + w->s->n_item, p;
    bench_interval ahead;
    int32_t n = isnan(line->value[c]) ? 0 : count_beaten(w, line, c);
    if (n == 0) return 0;
    bench_line_items(w, line, c, x);
    bench_line_items(w, random, c, y);
    for (int32_t i = 0; i < w->s->n_item; i++) x[i] -= y[i];
    bench_drop_repeats(w, c, x);
    if (bench_bootstrap(x, w->s->n_item, w->seed, &ahead, &p) != 0) return -1;
    line->is_best[c] = bench_judge(&ahead, p * n, w->column[c].better) == BENCH_WINS;
    return 0;
}

int bench_work_best(bench_work *w)
{
    for (int32_t i = 0; i < w->out->n_line; i++) {
        bench_line *line = &w->out->line[i];
        const bench_line *random = find_random(w, line);
        if (random == NULL || random == line || (line->flags & BENCH_FLAG_OVER)) continue;
        for (int32_t c = 0; c < w->n_column; c++)
            if (w->column[c].better != 0 && judge(w, line, random, c) != 0) return -1;
    }
    return 0;
}
