/* SPDX-License-Identifier: MIT */
/* Markdown tables of lines: the main one of a kind of saving, and folded below it fidelity and coverage, uniformity and
 * bias, time and the language model's cost. */
#include <math.h>
#include <string.h>

#include "report_lines.h"
#include "report_md.h"
#include "report_table.h"

/* Shapes whose costs stand in Markdown; JSON has all of them. */
static const char *const llms[] = {"vicuna-7b", "qwen2-0.5b", "qwen2.5-7b"};
enum { N_LLM = sizeof llms / sizeof *llms };

/* ---- cells of a line (ctx: bench_order) ------------------------------------------------------------------------ */

static const bench_line *line_of(const void *ctx, int32_t row) { return ((const bench_order *)ctx)->line[row]; }

static void print_number(char out[BENCH_MAX_CELL], double value, int digits)
{
    if (isfinite(value))
        snprintf(out, BENCH_MAX_CELL, "%.*f", digits, value);
    else
        snprintf(out, BENCH_MAX_CELL, "n/a");
}

static void embolden(char out[BENCH_MAX_CELL])
{
    char plain[BENCH_MAX_CELL];
    memcpy(plain, out, sizeof plain);
    snprintf(out, BENCH_MAX_CELL, "**%.500s**", plain);
}

static void cell_recipe(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_line *l = line_of(ctx, row);
    char name[BENCH_MAX_CELL - 8];
    (void)which;
    bench_table_escape(l->recipe, name, sizeof name);
    snprintf(out, BENCH_MAX_CELL, bench_line_is_baseline(l) ? "*%s*" : "%s", name);
}

static void cell_keep(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const double keep = line_of(ctx, row)->keep;
    (void)which;
    snprintf(out, BENCH_MAX_CELL, keep > 0 ? "%.3g" : "own", keep);
}

static void cell_value(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    int32_t n;
    const bench_line *l = line_of(ctx, row);
    print_number(out, bench_shown(which, l->value[which]), bench_columns(&n)[which].digits);
    if (l->is_best[which] && isfinite(l->value[which])) embolden(out);
}

static void cell_p95(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    int32_t n;
    print_number(out, line_of(ctx, row)->p95[which], bench_columns(&n)[which].digits);
}

/* A column of the line with its interval, shown as `i`. */
static void print_interval(char out[BENCH_MAX_CELL], const bench_line *l, int32_t which, bench_interval i)
{
    int32_t n;
    const int digits = bench_columns(&n)[which].digits;
    char value[BENCH_MAX_CELL];
    print_number(value, i.value, digits);
    if (isfinite(i.value) && l->is_best[which]) embolden(value);
    if (isfinite(i.lo) && isfinite(i.hi))
        snprintf(out, BENCH_MAX_CELL, "%.200s [%.*f, %.*f]", value, digits, i.lo, digits, i.hi);
    else
        snprintf(out, BENCH_MAX_CELL, "%.200s", value);
}

static void cell_primary(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_line *l = line_of(ctx, row);
    print_interval(out, l, which, bench_shown_interval(which, l->primary));
}

static void cell_outcome(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_line *l = line_of(ctx, row);
    print_interval(out, l, which, bench_shown_outcome(l, which));
}

enum { SPEED_UP, OF_IDEAL };

static void cell_speed(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_line *l = line_of(ctx, row);
    print_number(out, which == SPEED_UP ? l->realised : bench_ratio(l->realised, l->ideal), 2);
}

static void cell_versus(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    int32_t n;
    const bench_order *o = ctx;
    const bench_versus *v = &line_of(ctx, row)->versus[which];
    const int32_t primary = bench_primary(o->a->section, o->saves);
    const bench_interval d = bench_shown_interval(primary, v->difference);
    const int digits = bench_columns(&n)[primary].digits;
    if (v->verdict == BENCH_NA || !isfinite(d.value))
        snprintf(out, BENCH_MAX_CELL, "n/a");
    else
        snprintf(out, BENCH_MAX_CELL, "%+.*f [%+.*f, %+.*f] %s", digits, d.value, digits, d.lo, digits, d.hi,
                 bench_verdict_name[v->verdict]);
}

static void cell_overall(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_verdict v = line_of(ctx, row)->overall;
    (void)which;
    snprintf(out, BENCH_MAX_CELL, v == BENCH_WINS ? "**%s**" : "%s", bench_verdict_name[v]);
}

static void cell_marks(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const unsigned flags = line_of(ctx, row)->flags;
    (void)which;
    out[0] = '\0';
    for (int bit = 0; bit < 3; bit++)
        if ((flags >> bit & 1) && strlen(out) < 32) {
            if (out[0] != '\0') strcat(out, " ");
            strcat(out, bench_flag_mark[bit]);
        }
}

/* Of decode, prep, encode, select and write together. */
static void cell_share(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    const bench_line *l = line_of(ctx, row);
    double sum = 0;
    for (int32_t k = BENCH_MS_DECODE; k <= BENCH_MS_WRITE; k++)
        if (isfinite(l->value[k])) sum += l->value[k];
    print_number(out, bench_ratio(100 * l->value[which], sum), 1);
}

enum { LLM_PREFILL, LLM_KV_BYTES, LLM_FIGURES };

static void cell_llm(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    pare_llm_cost cost;
    if (bench_line_llm(line_of(ctx, row), llms[which / LLM_FIGURES], &cost) != 0)
        print_number(out, NAN, 0);
    else if (which % LLM_FIGURES == LLM_PREFILL)
        print_number(out, cost.prefill_flops / 1e12, 3);
    else
        print_number(out, cost.kv_bytes / 1e6, 1);
}

/* Cells and positions differ wherever places keep their ids. */
static void cell_prompt(const void *ctx, int32_t row, int32_t which, char out[BENCH_MAX_CELL])
{
    print_number(out, line_of(ctx, row)->value[which] + BENCH_TEXT_TOKENS, which == BENCH_UNITS ? 0 : 1);
}

/* ---- tables of lines ------------------------------------------------------------------------------------------- */

static void begin_lines(bench_table *t, const bench_order *o)
{
    t->ctx = o;
    t->n_row = o->n;
    t->n = 0;
    bench_table_add_text(t, "recipe", cell_recipe);
    bench_table_add(t, "keep", 0, cell_keep);
}

static void add_versus(bench_table *t, bench_saves saves)
{
    const int prefill = saves == BENCH_SAVES_PREFILL;
    bench_table_add(t, "vs resize, equal ms", BENCH_VS_RESIZE_MS, cell_versus);
    bench_table_add(t, "vs uniform, equal ms", BENCH_VS_UNIFORM_MS, cell_versus);
    bench_table_add(t, prefill ? "vs pool, equal units" : "vs resize, equal units", BENCH_VS_RESIZE_UNITS, cell_versus);
    bench_table_add(t, "vs uniform, equal units", BENCH_VS_UNIFORM_UNITS, cell_versus);
    bench_table_add(t, "vs random, equal units", BENCH_VS_RANDOM_UNITS, cell_versus);
    bench_table_add(t, "overall", 0, cell_overall);
}

/* What became of the whole picture's feature stands in the main table. */
static const char *const whole[] = {"logit_agreement_share", "cls_cosine", "pooled_cosine"};
enum { N_WHOLE = sizeof whole / sizeof *whole };

static int is_whole(const char *key)
{
    for (size_t i = 0; i < N_WHOLE; i++)
        if (strcmp(key, whole[i]) == 0) return 1;
    return 0;
}

static void add_outcomes(bench_table *t, int32_t primary)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    char title[96];
    snprintf(title, sizeof title, "%s [95 %%]", c[primary].title);
    bench_table_add(t, title, primary, cell_primary);
    for (int32_t k = 0; k < n; k++)
        if ((c[k].flags & BENCH_IS_OUTCOME) && k != primary) {
            snprintf(title, sizeof title, "%s [95 %%]", c[k].title);
            bench_table_add(t, title, k, cell_outcome);
        }
    for (size_t i = 0; i < N_WHOLE; i++) {
        const int32_t k = bench_column_find(whole[i]);
        if (k >= 0 && k != primary) bench_table_add(t, c[k].title, k, cell_value);
    }
}

static void print_main(const bench_order *o, FILE *f)
{
    bench_table t;
    begin_lines(&t, o);
    bench_table_add(&t, "units", BENCH_UNITS, cell_value);
    bench_table_add(&t, "ms p50", BENCH_MS, cell_value);
    bench_table_add(&t, "ms p95", BENCH_MS, cell_p95);
    bench_table_add(&t, "speed-up", SPEED_UP, cell_speed);
    bench_table_add(&t, "of ideal", OF_IDEAL, cell_speed);
    add_outcomes(&t, bench_primary(o->a->section, o->saves));
    add_versus(&t, o->saves);
    bench_table_add(&t, "marks", 0, cell_marks);
    bench_table_print(&t, f);
}

static int has_parts(const bench_section *s)
{
    for (int32_t i = 0; i < s->n_item; i++)
        if (s->item[i].is_part) return 1;
    return 0;
}

/* What the table's numbers are of, where times or measures are of fewer items than outcomes. */
static void print_counts(const bench_order *o, FILE *f)
{
    int64_t n = 0, least = INT64_MAX, timed = 0, measured = 0;
    for (int32_t i = 0; i < o->n; i++) {
        n = o->line[i]->n_item > n ? o->line[i]->n_item : n;
        least = o->line[i]->n_item < least ? o->line[i]->n_item : least;
        timed = o->line[i]->n_timed > timed ? o->line[i]->n_timed : timed;
        measured = o->line[i]->n_measured > measured ? o->line[i]->n_measured : measured;
    }
    fprintf(f, "%lld item%s", (long long)n, n == 1 ? "" : "s");
    if (least < n) fprintf(f, ", of some lines %lld", (long long)least);
    if (timed > 0 && timed < n)
        fprintf(f,
                has_parts(o->a->section) ? "; times are of whole clips: %lld"
                                         : "; times are of %lld of them, the others start from a shared encoding",
                (long long)timed);
    if (timed > 0 && timed < 20) fputs(" (p95: the slowest)", f);
    if (measured > 0 && measured < n) fprintf(f, "; measures are of %lld", (long long)measured);
    fputs(".\n\n", f);
}

static void begin_fold(const char *title, FILE *f) { fprintf(f, "<details><summary>%s</summary>\n\n", title); }

static void end_fold(FILE *f) { fputs("</details>\n\n", f); }

/* Every column of the groups (ends with NULL), except those of the main table. */
static void print_groups(const bench_order *o, const char *title, const char *const *group, FILE *f)
{
    int32_t n, added = 0;
    const bench_column *c = bench_columns(&n);
    bench_table t;
    begin_lines(&t, o);
    for (; *group != NULL; group++)
        for (int32_t k = 0; k < n; k++)
            if (strcmp(c[k].group, *group) == 0 && !(c[k].flags & BENCH_IS_OUTCOME) && !is_whole(c[k].key))
                added += bench_table_add(&t, c[k].title, k, cell_value);
    if (added == 0) return;
    begin_fold(title, f);
    bench_table_print(&t, f);
    end_fold(f);
}

static void print_cost(const bench_order *o, FILE *f)
{
    static const char *const figure[LLM_FIGURES] = {"prefill TFLOP", "KV MB"};
    int32_t n;
    const bench_column *c = bench_columns(&n);
    bench_table t;
    char title[96];
    begin_lines(&t, o);
    for (int32_t k = BENCH_MS_DECODE; k <= BENCH_MS_WRITE; k++) {
        snprintf(title, sizeof title, "%.*s %%", (int)strcspn(c[k].title, " "), c[k].title);
        bench_table_add(&t, title, k, cell_share);
    }
    bench_table_add(&t, c[BENCH_GFLOP].title, BENCH_GFLOP, cell_value);
    bench_table_add(&t, "KV cells", BENCH_UNITS, cell_prompt);
    bench_table_add(&t, "position ids", BENCH_POSITIONS, cell_prompt);
    for (int32_t k = 0; k < N_LLM * LLM_FIGURES; k++) {
        snprintf(title, sizeof title, "%s %s", llms[k / LLM_FIGURES], figure[k % LLM_FIGURES]);
        bench_table_add(&t, title, k, cell_llm);
    }
    begin_fold("Where the time goes, and what the language model pays", f);
    fprintf(f,
            "Shares are of decoding, preparation, encoder, selection and writing together. A prompt is an item's rows "
            "and %d text "
            "tokens; KV cells count tokens, position ids reach as far as the places that are kept.\n\n",
            BENCH_TEXT_TOKENS);
    bench_table_print(&t, f);
    end_fold(f);
}

void bench_print_saving(const bench_analysis *a, bench_saves saves, FILE *f)
{
    static const char *const fidelity[] = {"fidelity", "coverage", NULL};
    static const char *const spread[] = {"uniformity", "steps", "bias", NULL};
    bench_order o;
    bench_order_make(a, saves, &o);
    if (!bench_order_has_lines(&o)) return;
    fprintf(f, "### %s\n\n", bench_saves_title[saves]);
    print_counts(&o, f);
    print_main(&o, f);
    print_groups(&o, "Fidelity and coverage", fidelity, f);
    print_groups(&o, "Uniformity and bias", spread, f);
    print_cost(&o, f);
}
