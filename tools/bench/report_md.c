/* SPDX-License-Identifier: MIT */
/* The report as Markdown: facts, how to read it, then for every section what resize says, the tables of each kind of
 * saving (report_md_lines.c), what was chosen on other folds, where documents are lost, and in the end the rules. */
#include <math.h>
#include <string.h>

#include "report_md.h"
#include "report_table.h"

/* ---- small tables (ctx: bench_analysis) ------------------------------------------------------------------------ */

static void choice_saves(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    (void)which;
    snprintf(out, BENCH_MAX_CELL, "%s", bench_saves_name[((const bench_analysis *)ctx)->choice[row].saves]);
}

static void choice_recipe(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const char *recipe = ((const bench_analysis *)ctx)->choice[row].recipe;
    (void)which;
    bench_table_escape(recipe != NULL ? recipe : "", out, BENCH_MAX_CELL);
}

static void choice_keep(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    (void)which;
    snprintf(out, BENCH_MAX_CELL, "%.3g", ((const bench_analysis *)ctx)->choice[row].keep);
}

static void choice_folds(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_choice *c = &((const bench_analysis *)ctx)->choice[row];
    (void)which;
    snprintf(out, BENCH_MAX_CELL, "%d of %d", c->n_times, c->n_fold);
}

static void choice_primary(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_analysis *a = ctx;
    const int32_t primary = bench_primary(a->section, a->choice[row].saves);
    const bench_interval i = bench_shown_interval(primary, a->choice[row].primary);
    int32_t n;
    const int digits = bench_columns(&n)[primary].digits;
    (void)which;
    if (!isfinite(i.value) || !isfinite(i.lo) || !isfinite(i.hi))
        snprintf(out, BENCH_MAX_CELL, isfinite(i.value) ? "%.*f" : "n/a", digits, i.value);
    else
        snprintf(out, BENCH_MAX_CELL, "%.*f [%.*f, %.*f]", digits, i.value, digits, i.lo, digits, i.hi);
}

static void print_choice(const bench_analysis *a, FILE *f)
{
    int32_t n;
    bench_table t = {.ctx = a, .n_row = a->n_choice};
    const int32_t primary = a->section->primary, prefill = bench_primary(a->section, BENCH_SAVES_PREFILL);
    char title[96];
    if (a->n_choice == 0) return;
    fputs("### Chosen on four folds, reported on the fifth\n\nWhat to expect of \"the best of the table\": every fold "
          "of the items is judged by the recipe that was best on the others; folds: how often the named one "
          "was.\n\n",
          f);
    bench_table_add_text(&t, "saves", choice_saves);
    bench_table_add(&t, "keep", 0, choice_keep);
    bench_table_add_text(&t, "most often chosen", choice_recipe);
    bench_table_add(&t, "folds", 0, choice_folds);
    snprintf(title, sizeof title, "%s", bench_columns(&n)[primary].title);
    if (prefill != primary)
        snprintf(title, sizeof title, "%s (prefill: %s)", bench_columns(&n)[primary].title,
                 bench_columns(&n)[prefill].title);
    bench_table_add(&t, title, 0, choice_primary);
    bench_table_print(&t, f);
}

static void half_recipe(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    (void)which;
    bench_table_escape(((const bench_analysis *)ctx)->half[row].recipe, out, BENCH_MAX_CELL);
}

static void half_saves(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    (void)which;
    snprintf(out, BENCH_MAX_CELL, "%s", bench_saves_name[((const bench_analysis *)ctx)->half[row].saves]);
}

static void half_keep(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_half *h = &((const bench_analysis *)ctx)->half[row];
    (void)which;
    if (isfinite(h->keep))
        snprintf(out, BENCH_MAX_CELL, "%s%.3f", h->is_below ? "below " : "", h->keep);
    else
        snprintf(out, BENCH_MAX_CELL, "n/a");
}

static void print_half(const bench_analysis *a, FILE *f)
{
    bench_table t = {.ctx = a, .n_row = a->n_half};
    if (a->n_half == 0) return;
    fputs("### The keep at which half of the numbers are lost\n\nHalf of those that are read without reduction; "
          "interpolated between the measured amounts, lower is better. Below: more than half are read even at the "
          "smallest amount.\n\n",
          f);
    bench_table_add_text(&t, "recipe", half_recipe);
    bench_table_add_text(&t, "saves", half_saves);
    bench_table_add(&t, "keep", 0, half_keep);
    bench_table_print(&t, f);
}

/* ---- the document ---------------------------------------------------------------------------------------------- */

static const char legend[] =
    "## How to read the tables\n\n"
    "- *Italics*: baselines. **Bold**: the best of its amount, and ahead of random beyond its interval.\n"
    "- keep: the share of the units that was asked for; own: the recipe decides. units: rows that are left of an "
    "item. [95 %]: the interval over items.\n"
    "- ms: per frame, from decoding to the last row, half (p50) or 95 % (p95) of the items below. speed-up: p50 "
    "of the table's line without reduction over the line's; of ideal: what it reaches of the speed-up by operations.\n"
    "- vs: difference of the first column with [95 %], line minus baseline, item by item, its interval and verdict. "
    "Equal ms: the baseline between its measured amounts; n/a where it was not measured as fast.\n"
    "- overall: *wins* against resize and uniform at equal ms (prefill: pool and uniform at equal units), *loses* "
    "against one of them, or *ties*.\n"
    "- marks: K! kept more than asked, so it never wins; own: the recipe's own amount; < at most what was asked, by "
    "design (grids).\n"
    "- n/a: not defined there. Folded tables: `pare list NAME` says what a measure is (underscores for blanks), `pare "
    "list metrics` names all.\n\n";

static const char rules[] =
    "## Rules\n\n"
    "1. Lines that save encoder time and lines that save prefill only are two tables, never ranked across.\n"
    "2. Where only the prefill is saved, the CLS token and the pooled feature are untouched: columns that read them "
    "are n/a, and accuracy is judged by the rows that are left, and by them alone; where such a column would decide, "
    "un-merge cosine decides.\n"
    "3. A line is compared with resize and spatial-uniform at the same milliseconds (between the baseline's measured "
    "points over a log scale, as curves that level off are) and at the same number of units, item by item; random is "
    "the mean over its seeds.\n"
    "4. Intervals are 95 % percentiles of a paired bootstrap over items. Segments of a clip are neighbours in time: "
    "their intervals speak of that clip alone, and what they share (its clock, a window's measures) counts once in a "
    "comparison. The noise of clocks is in none of them. p of 0/1 outcomes at equal amounts is "
    "McNemar's. A line wins or loses only if its interval excludes zero and p stays below .05 after Holm's correction "
    "over the table's lines.\n"
    "5. What is chosen is chosen on four folds of the items and reported on the fifth.\n"
    "6. Resize is the default unless a recipe is ahead of it over all amounts together. If resize wins, or nothing is "
    "decided, the report says so.\n";

static void print_section(const bench_analysis *a, FILE *f)
{
    const bench_section *s = a->section;
    fprintf(f, "## %s: %s\n\n", s->ask.name != NULL ? s->ask.name : s->task->name, s->task->title);
    if (a->resize_says[0] != '\0') fprintf(f, "**%s**\n\n", a->resize_says);
    if (s->task->note != NULL && s->task->note[0] != '\0') fprintf(f, "%s\n\n", s->task->note);
    bench_print_saving(a, BENCH_SAVES_ENCODER, f);
    bench_print_saving(a, BENCH_SAVES_PREFILL, f);
    print_choice(a, f);
    print_half(a, f);
}

/* Without any recipe or baseline there is still the line without reduction. */
static int has_only_none(const bench_analysis *a)
{
    for (int32_t i = 0; i < a->n_line; i++)
        if (!bench_line_is_none(&a->line[i])) return 0;
    return 1;
}

void bench_print_markdown(const bench_report *r, FILE *f)
{
    fputs("# pare bench\n\n", f);
    bench_print_facts(r->header, "- ", ": ", f);
    fprintf(f, "\n%s", legend);
    for (int32_t i = 0; i < r->b->n_section; i++) {
        print_section(&r->analysis[i], f);
        if (has_only_none(&r->analysis[i])) bench_print_saving(&r->analysis[i], BENCH_SAVES_NOTHING, f);
    }
    fputs(rules, f);
}
