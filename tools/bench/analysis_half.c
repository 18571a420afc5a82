/* SPDX-License-Identifier: MIT */
/* Documents: the amount at which a recipe reads half of the numbers that the run without reduction reads. From keep 1
 * down to the first amount below the half; straight between the two. A line that kept more than asked stands at what it
 * kept, so that asking for less than it takes gains it nothing; so does one that kept less: a grid is not to pay for units
 * that it did not have. */
#include "analysis_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Share of the units at which the line stands. */
static double amount_of(const bench_line *line)
{
    if ((line->flags & (BENCH_FLAG_OVER | BENCH_FLAG_UNDER)) == 0) return line->keep;
    return line->value[BENCH_UNITS] / line->value[BENCH_UNITS_IN];
}

/* The recipe's line with the largest amount below `limit`; NULL = none. Its own amount (keep 0) is no point. */
static const bench_line *next_below(const bench_analysis *a, const bench_half *h, double limit)
{
    const bench_line *found = NULL;
    for (int32_t i = 0; i < a->n_line; i++) {
        const bench_line *line = &a->line[i];
        if (line->saves != h->saves || strcmp(line->recipe, h->recipe) != 0 || !(line->keep > 0)) continue;
        if (isnan(line->primary.value) || !(amount_of(line) < limit)) continue;
        if (found == NULL || amount_of(line) > amount_of(found)) found = line;
    }
    return found;
}

static void find_half(const bench_analysis *a, bench_half *h)
{
    double keep = 1, value = bench_line_whole(a, h->saves)->primary.value, half = value / 2;
    const bench_line *line;
    h->keep = NAN;
    if (!(value > 0)) return;
    while ((line = next_below(a, h, keep)) != NULL) {
        double left = amount_of(line), reads = line->primary.value;
        if (reads < half) {
            h->keep = left + (half - reads) / (value - reads) * (keep - left);
            return;
        }
        keep = left;
        value = reads;
    }
    h->is_below = keep < 1;
    if (h->is_below) h->keep = keep;
}

int bench_work_half(bench_work *w)
{
    bench_analysis *a = w->out;
    if (w->s->primary != BENCH_NUMBERS) return 0;
    if ((a->half = calloc((size_t)a->n_line + 1, sizeof *a->half)) == NULL) return -1;
    for (int32_t i = 1; i < a->n_line; i++) {
        const bench_line *line = &a->line[i], *before = line - 1;
        if (bench_line_is_none(line)) continue;
        if (before->saves == line->saves && strcmp(before->recipe, line->recipe) == 0) continue;
        bench_half *h = &a->half[a->n_half++];
        *h = (bench_half){.recipe = line->recipe, .saves = line->saves};
        find_half(a, h);
    }
    return 0;
}
