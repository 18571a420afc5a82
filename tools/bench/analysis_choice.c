/* SPDX-License-Identifier: MIT */
/* The best recipe of an amount, judged honestly: for each fold the line with the best mean on the items of the other
 * folds is chosen (ties: fewer milliseconds, then order), and the fold's items are given that line's outcomes. A table's
 * own maximum would be judged by the items that chose it. */
#include "analysis_work.h"

#include <math.h>
#include <stdlib.h>

static int fold_of(const bench_item *item) { return (item->fold % BENCH_FOLDS + BENCH_FOLDS) % BENCH_FOLDS; }

/* Mean of the line's primary over items outside of `fold`. */
static double training_mean(const bench_work *w, const bench_line *line, int fold)
{
    const double *x = bench_line_primary(w, line);
    double sum = 0;
    int64_t n = 0;
    for (int32_t i = 0; i < w->s->n_item; i++) {
        if (fold_of(&w->s->item[i]) == fold || isnan(x[i])) continue;
        sum += x[i];
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

static double cost(const bench_line *line)
{
    double ms = line->value[BENCH_MS];
    return isnan(ms) ? INFINITY : ms;
}

/* Index of the line that the other folds choose; -1 = no outcomes. */
static int32_t choose(const bench_work *w, const bench_choice *c, int fold)
{
    int32_t best = -1;
    double best_mean = NAN;
    for (int32_t i = 0; i < w->out->n_line; i++) {
        const bench_line *line = &w->out->line[i];
        if (line->saves != c->saves || line->keep != c->keep || (line->flags & BENCH_FLAG_OVER)) continue;
        double mean = training_mean(w, line, fold) * bench_better(w, c->saves);
        if (isnan(mean)) continue;
        if (best >= 0 && (mean < best_mean || (mean == best_mean && !(cost(line) < cost(&w->out->line[best])))))
            continue;
        best = i;
        best_mean = mean;
    }
    return best;
}

/* Outcomes of the held-out items; 1 when there are any. */
static int judge(const bench_work *w, int32_t chosen, int fold, double *outcome)
{
    const double *x = bench_line_primary(w, &w->out->line[chosen]);
    int found = 0;
    for (int32_t i = 0; i < w->s->n_item; i++) {
        if (fold_of(&w->s->item[i]) != fold || isnan(x[i])) continue;
        outcome[i] = x[i];
        found = 1;
    }
    return found;
}

static int cross_validate(bench_work *w, bench_choice *c)
{
    double *outcome = w->scratch;
    int32_t chosen[BENCH_FOLDS];
    for (int32_t i = 0; i < w->s->n_item; i++) outcome[i] = NAN;
    for (int fold = 0; fold < BENCH_FOLDS; fold++) {
        int32_t line = choose(w, c, fold);
        if (line >= 0 && judge(w, line, fold, outcome)) chosen[c->n_fold++] = line;
    }
    for (int32_t i = 0; i < c->n_fold; i++) {
        int32_t n = 0;
        for (int32_t k = 0; k < c->n_fold; k++) n += chosen[k] == chosen[i];
        if (n <= c->n_times) continue;
        c->n_times = n;
        c->recipe = w->out->line[chosen[i]].recipe;
    }
    return bench_bootstrap(outcome, w->s->n_item, w->seed, &c->primary, NULL);
}

static int compare_choices(const void *pa, const void *pb)
{
    const bench_choice *a = pa, *b = pb;
    if (a->saves != b->saves) return a->saves < b->saves ? -1 : 1;
    return (a->keep < b->keep) - (a->keep > b->keep);
}

/* Each amount of each table once. */
static void list_amounts(bench_analysis *a)
{
    for (int32_t i = 0; i < a->n_line; i++) {
        const bench_line *line = &a->line[i];
        int32_t k = 0;
        while (k < a->n_choice && (a->choice[k].saves != line->saves || a->choice[k].keep != line->keep)) k++;
        if (k < a->n_choice || bench_line_is_none(line) || line->keep == 0) continue;
        a->choice[a->n_choice++] = (bench_choice){.saves = line->saves, .keep = line->keep};
    }
    qsort(a->choice, (size_t)a->n_choice, sizeof *a->choice, compare_choices);
}

int bench_work_choice(bench_work *w)
{
    bench_analysis *a = w->out;
    int32_t n = 0;
    if ((a->choice = calloc((size_t)a->n_line + 1, sizeof *a->choice)) == NULL) return -1;
    list_amounts(a);
    for (int32_t i = 0; i < a->n_choice; i++) {
        if (cross_validate(w, &a->choice[i]) != 0) return -1;
        if (a->choice[i].n_fold > 0) a->choice[n++] = a->choice[i];
    }
    a->n_choice = n;
    return 0;
}
