/* SPDX-License-Identifier: MIT */
/* A comparison as text or as one JSON line (compare.h). */
#include <math.h>
#include <stdlib.h>

#include "compare.h"
#include "json_line.h"

static double mean(double sum, int64_t n) { return n > 0 ? sum / (double)n : NAN; }
static int64_t units(const cli_step *s) { return s->both + s->only_a + s->only_b + s->neither; }

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *side_json(const cli_side *s)
{
    json_t *o = json_object();
    cli_json_text(o, "name", s->name);
    cli_json_int(o, "units_out", s->n_row);
    cli_json_real(o, "ms", s->ms, 2);
    return o;
}

static void count_json(json_t *o, const cli_step *s)
{
    cli_json_int(o, "both", s->both);
    cli_json_int(o, "only_a", s->only_a);
    cli_json_int(o, "only_b", s->only_b);
    cli_json_int(o, "neither", s->neither);
    cli_json_real(o, "iou", cli_step_iou(s), 6);
    cli_json_real(o, "only_a_to_b_units", mean(s->far_a, s->n_far_a), 4);
    cli_json_real(o, "only_b_to_a_units", mean(s->far_b, s->n_far_b), 4);
}

static void print_json(const cli_compare *m, const char *input, const char *output)
{
    json_t *line = json_object(), *steps = json_array();
    cli_json_int(line, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(line, "input", input);
    json_object_set_new(line, "a", side_json(&m->a));
    json_object_set_new(line, "b", side_json(&m->b));
    cli_json_int(line, "units", units(&m->sum));
    count_json(line, &m->sum);
    cli_json_real(line, "grouping_nmi", m->nmi, 6);
    cli_json_real(line, "score_spearman", m->spearman, 6);
    cli_json_text(line, "backend", m->backend);
    cli_json_text(line, "precision", m->precision);
    for (int64_t i = 0; i < m->n_step; i++) {
        json_t *o = json_object();
        cli_json_int(o, "media", m->step[i].slot.media);
        cli_json_int(o, "t", m->step[i].slot.t);
        cli_json_real(o, "pts", m->step[i].pts, 6);
        count_json(o, &m->step[i]);
        json_array_append_new(steps, o);
    }
    json_object_set_new(line, "steps", steps);
    cli_json_text(line, "output", output);
    cli_json_print(line, 0, stdout);
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

typedef struct word {
    char text[32];
} word;

/* "12.34" or "n/a". */
static word real(double x, int digits)
{
    word w = {"n/a"};
    if (!isnan(x)) snprintf(w.text, sizeof w.text, "%.*f", digits, x);
    return w;
}

static int by_difference(const void *a, const void *b)
{
    const cli_step *x = *(const cli_step *const *)a, *y = *(const cli_step *const *)b;
    const int64_t dx = x->only_a + x->only_b, dy = y->only_a + y->only_b;
    return dx != dy ? (dx < dy) - (dx > dy) : (x > y) - (x < y);
}

static void print_step(const cli_step *s)
{
    printf("  %5d %9s %6lld %6lld %6lld %8lld %6s %9s %9s\n", s->slot.t, real(s->pts, 2).text, (long long)s->both,
           (long long)s->only_a, (long long)s->only_b, (long long)s->neither, real(cli_step_iou(s), 3).text,
           real(mean(s->far_a, s->n_far_a), 2).text, real(mean(s->far_b, s->n_far_b), 2).text);
}

/* Steps in which both keep the same are not listed. */
static void print_steps(const cli_compare *m, int64_t n_listed)
{
    const cli_step **order = malloc((size_t)(m->n_step + 1) * sizeof *order);
    int64_t n = 0;
    for (int64_t i = 0; order != NULL && m->n_step > 1 && i < m->n_step; i++)
        if (m->step[i].only_a + m->step[i].only_b > 0) order[n++] = &m->step[i];
    if (n > 0) {
        const int64_t shown = n_listed < n ? n_listed : n;
        qsort(order, (size_t)n, sizeof *order, by_difference);
        printf("\n  steps that differ most (%lld of %lld)\n", (long long)shown, (long long)m->n_step);
        printf("  %5s %9s %6s %6s %6s %8s %6s %9s %9s\n", "step", "seconds", "both", "only A", "only B", "neither",
               "IoU", "A to B", "B to A");
        for (int64_t i = 0; i < shown; i++) print_step(order[i]);
    }
    free(order);
}

static void print_side(char letter, const cli_side *s)
{
    printf("  %c         %s: %lld of %lld units", letter, s->name, (long long)s->n_row, (long long)s->n_unit);
    printf(isnan(s->ms) ? "\n" : ", %.0f ms\n", s->ms);
}

/* A line of the summary; `far`: mean way to the other's nearest unit, NaN = none. */
static void print_count(const char *name, int64_t n, int64_t of, double far, const char *other)
{
    printf("  %-9s %lld (%.1f %%)", name, (long long)n, of > 0 ? 100 * (double)n / (double)of : 0);
    if (!isnan(far)) printf(", nearest of %s %.2f units away", other, far);
    printf("\n");
}

static void print_text(const cli_compare *m, const char *input, int64_t n_listed, const char *output)
{
    const cli_step *s = &m->sum;
    const int64_t n = units(s);
    if (input != NULL) printf("%s\n", input);
    print_side('A', &m->a);
    print_side('B', &m->b);
    print_count("both", s->both, n, NAN, "");
    print_count("only A", s->only_a, n, mean(s->far_a, s->n_far_a), "B");
    print_count("only B", s->only_b, n, mean(s->far_b, s->n_far_b), "A");
    print_count("neither", s->neither, n, NAN, "");
    printf("  agreement IoU %s, groups NMI %s, scores Spearman %s\n", real(cli_step_iou(s), 3).text,
           real(m->nmi, 3).text, real(m->spearman, 3).text);
    print_steps(m, n_listed);
    if (output != NULL && m->n_step > 1 && cli_has_suffix(output, ".png"))
        printf("  wrote     %s: step %d\n", output, m->step[cli_compare_worst(m)].slot.t);
    else if (output != NULL)
        printf("  wrote     %s\n", output);
}

void cli_compare_print(const cli_common *c, const cli_compare *m, const char *input, int64_t n_listed,
                       const char *output)
{
    if (c->json)
        print_json(m, input, output);
    else
        print_text(m, input, n_listed, output);
}
