/* SPDX-License-Identifier: MIT */
/* The main tables as LaTeX (booktabs): one tabular for every section and kind of saving, amounts apart. */
#include <math.h>
#include <string.h>

#include "report_lines.h"

/* ---- text ------------------------------------------------------------------------------------------------------ */

static void print_text(const char *text, FILE *f)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\textbackslash{}", f);
        else if (*text == '~' || *text == '^')
            fprintf(f, "\\%c{}", *text);
        else if (*text == '<' || *text == '>')
            fprintf(f, "$%c$", *text);
        else
            fprintf(f, strchr("_%&#${}", *text) != NULL ? "\\%c" : "%c", *text);
    }
}

static void print_number(double value, int digits, FILE *f)
{
    if (isfinite(value))
        fprintf(f, " & %s%.*f%s", value < 0 ? "$" : "", digits, value, value < 0 ? "$" : "");
    else
        fputs(" & --", f);
}

/* ---- columns --------------------------------------------------------------------------------------------------- */

/* The columns of one tabular, chosen by what its lines have. */
typedef struct layout {
    int32_t primary;
    int32_t outcome[BENCH_MAX_COLUMNS]; /* [n_outcome] beside the primary one */
    int32_t n_outcome;
    int has_ms, has_speed, versus[BENCH_VS_COUNT];
} layout;

static int has_value(const bench_order *o, int32_t column)
{
    for (int32_t i = 0; i < o->n; i++)
        if (isfinite(o->line[i]->value[column])) return 1;
    return 0;
}

static int has_versus(const bench_order *o, int which)
{
    for (int32_t i = 0; i < o->n; i++)
        if (o->line[i]->versus[which].verdict != BENCH_NA) return 1;
    return 0;
}

static layout choose(const bench_order *o)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    layout t = {.primary = bench_primary(o->a->section, o->saves), .has_ms = has_value(o, BENCH_MS)};
    for (int32_t i = 0; i < o->n; i++) t.has_speed |= isfinite(o->line[i]->realised);
    for (int32_t k = 0; k < n; k++)
        if ((c[k].flags & BENCH_IS_OUTCOME) && k != t.primary && has_value(o, k)) t.outcome[t.n_outcome++] = k;
    for (int v = 0; v < BENCH_VS_COUNT; v++) t.versus[v] = has_versus(o, v);
    return t;
}

static void print_head(const layout *t, FILE *f)
{
    static const char *const title[BENCH_VS_COUNT] = {
        "resize, ms", "uniform, ms", "resize, units", "uniform, units", "random, units",
    };
    int32_t n;
    const bench_column *c = bench_columns(&n);
    fputs("\\begin{tabular}{lrr", f);
    for (int32_t i = 0; i < 2 * t->has_ms + 2 * t->has_speed + 1 + t->n_outcome; i++) fputc('r', f);
    for (int v = 0; v < BENCH_VS_COUNT; v++)
        if (t->versus[v]) fputc('r', f);
    fputs("}\n\\toprule\nrecipe & keep & units", f);
    if (t->has_ms) fputs(" & ms p50 & p95", f);
    if (t->has_speed) fputs(" & speed-up & of ideal", f);
    fputs(" & ", f);
    print_text(c[t->primary].title, f);
    for (int32_t i = 0; i < t->n_outcome; i++) {
        fputs(" & ", f);
        print_text(c[t->outcome[i]].title, f);
    }
    for (int v = 0; v < BENCH_VS_COUNT; v++)
        if (t->versus[v]) fprintf(f, " & vs %s", title[v]);
    fputs(" \\\\\n", f);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static void print_recipe(const bench_line *l, FILE *f)
{
    fputs(bench_line_is_baseline(l) ? "\\textit{" : "{", f);
    print_text(l->recipe, f);
    fputc('}', f);
    for (int bit = 0; bit < 3; bit++) {
        if (!(l->flags >> bit & 1)) continue;
        fputs("\\textsuperscript{", f);
        print_text(bench_flag_mark[bit], f);
        fputc('}', f);
    }
    if (l->keep > 0)
        fprintf(f, " & %.3g", l->keep);
    else
        fputs(" & own", f);
}

static void print_interval(bench_interval i, int digits, FILE *f)
{
    if (isfinite(i.lo) && isfinite(i.hi)) fprintf(f, " [%.*f, %.*f]", digits, i.lo, digits, i.hi);
}

static void print_primary(const bench_line *l, int32_t primary, FILE *f)
{
    int32_t n;
    const int digits = bench_columns(&n)[primary].digits;
    const bench_interval i = bench_shown_interval(primary, l->primary);
    if (!isfinite(i.value)) {
        fputs(" & --", f);
        return;
    }
    fprintf(f, l->is_best[primary] ? " & \\textbf{%.*f}" : " & %.*f", digits, i.value);
    print_interval(i, digits, f);
}

static void print_versus(const bench_versus *v, int32_t primary, FILE *f)
{
    int32_t n;
    const bench_interval d = bench_shown_interval(primary, v->difference);
    if (v->verdict == BENCH_NA || !isfinite(d.value))
        fputs(" & --", f);
    else
        fprintf(f, " & $%+.*f$ %s", bench_columns(&n)[primary].digits, d.value, bench_verdict_name[v->verdict]);
}

static void print_line(const bench_line *l, const layout *t, FILE *f)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    print_recipe(l, f);
    print_number(l->value[BENCH_UNITS], 1, f);
    if (t->has_ms) {
        print_number(l->value[BENCH_MS], 2, f);
        print_number(l->p95[BENCH_MS], 2, f);
    }
    if (t->has_speed) {
        print_number(l->realised, 2, f);
        print_number(bench_ratio(l->realised, l->ideal), 2, f);
    }
    print_primary(l, t->primary, f);
    for (int32_t i = 0; i < t->n_outcome; i++) {
        const int32_t k = t->outcome[i];
        print_number(bench_shown(k, l->value[k]), c[k].digits, f);
        print_interval(bench_shown_outcome(l, k), c[k].digits, f);
    }
    for (int v = 0; v < BENCH_VS_COUNT; v++)
        if (t->versus[v]) print_versus(&l->versus[v], t->primary, f);
    fputs(" \\\\\n", f);
}

/* ---- the document ---------------------------------------------------------------------------------------------- */

static void print_saving(const bench_analysis *a, bench_saves saves, FILE *f)
{
    bench_order o;
    bench_order_make(a, saves, &o);
    if (!bench_order_has_lines(&o)) return;
    const layout t = choose(&o);
    fprintf(f, "\n%% %s: %s. %s\n", a->section->ask.name, bench_saves_title[saves], a->resize_says);
    print_head(&t, f);
    for (int32_t i = 0; i < o.n; i++) {
        const bench_line *l = o.line[i];
        if (i == 0 || l->keep != o.line[i - 1]->keep) fputs("\\midrule\n", f);
        print_line(l, &t, f);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", f);
}

void bench_print_latex(const bench_report *r, FILE *f)
{
    bench_print_facts(r->header, "% ", ": ", f);
    fputs(
        "% \\usepackage{booktabs}; italics: baselines, bold: best of its amount and ahead of random, [95 % interval];\n"
        "% K! kept more than asked, own: the recipe's own amount, < at most what was asked\n",
        f);
    for (int32_t i = 0; i < r->b->n_section; i++) {
        print_saving(&r->analysis[i], BENCH_SAVES_ENCODER, f);
        print_saving(&r->analysis[i], BENCH_SAVES_PREFILL, f);
    }
}
