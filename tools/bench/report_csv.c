/* SPDX-License-Identifier: MIT */
/* The report as CSV: facts as # comments, then one row per line and section with everything that the analysis knows.
 * What is not available is empty. */
#include <math.h>
#include <string.h>

#include "report_lines.h"

static void print_text(const char *text, FILE *f)
{
    fputc('"', f);
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

static void print_number(double value, FILE *f)
{
    fputc(',', f);
    if (isfinite(value)) fprintf(f, "%.9g", value);
}

static int is_time(int32_t column) { return column >= BENCH_MS && column <= BENCH_MS_WRITE; }

static int is_outcome(int32_t column) { return column >= BENCH_TOP1 && column < BENCH_TOP1 + BENCH_OUTCOMES; }

/* ---- the head -------------------------------------------------------------------------------------------------- */

static void print_head(FILE *f)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    fputs(
        "recipe,keep,units_kept,section,task,saves,flags,seeds,items,items_timed,items_measured,primary,primary_value,"
        "primary_lo,primary_hi",
        f);
    for (int32_t k = BENCH_MS; k <= BENCH_MS_WRITE; k++)
        fprintf(f, ",%s_p50,%s_p95", bench_time_key[k], bench_time_key[k]);
    fputs(",speed_up,ideal_speed_up,realised_speed_up", f);
    for (int32_t k = 0; k < n; k++) {
        if (!is_time(k) && k != BENCH_UNITS) fprintf(f, ",%s", c[k].key);
        if (is_outcome(k)) fprintf(f, ",%s_lo,%s_hi", c[k].key, c[k].key);
    }
    for (int v = 0; v < BENCH_VS_COUNT; v++) {
        static const char *const part[] = {"difference", "lo", "hi", "p", "p_holm", "verdict"};
        for (size_t i = 0; i < sizeof part / sizeof *part; i++) fprintf(f, ",vs_%s_%s", bench_versus_key[v], part[i]);
    }
    fputs(",overall,best\n", f);
}

/* ---- a row ----------------------------------------------------------------------------------------------------- */

static void print_flags(unsigned flags, FILE *f)
{
    const char *space = "";
    fputc(',', f);
    for (int bit = 0; bit < 3; bit++) {
        if (!(flags >> bit & 1)) continue;
        fprintf(f, "%s%s", space, bench_flag_name[bit]);
        space = " ";
    }
}

static void print_identity(const bench_analysis *a, const bench_line *l, FILE *f)
{
    const bench_section *s = a->section;
    const int32_t primary = bench_primary(s, l->saves);
    int32_t n;
    print_text(l->recipe, f);
    print_number(l->keep > 0 ? l->keep : NAN, f);
    print_number(l->value[BENCH_UNITS], f);
    fputc(',', f);
    print_text(s->ask.name, f);
    fprintf(f, ",%s,%s", s->task->name, bench_saves_name[l->saves]);
    print_flags(l->flags, f);
    fprintf(f, ",%d,%lld,%lld,%lld,%s", l->n_seed, (long long)l->n_item, (long long)l->n_timed,
            (long long)l->n_measured, bench_columns(&n)[primary].key);
    const bench_interval i = bench_shown_interval(primary, l->primary);
    print_number(i.value, f);
    print_number(i.lo, f);
    print_number(i.hi, f);
}

static void print_versus(int32_t primary, const bench_versus *v, FILE *f)
{
    const bench_interval d = bench_shown_interval(primary, v->difference);
    print_number(d.value, f);
    print_number(d.lo, f);
    print_number(d.hi, f);
    print_number(v->p, f);
    print_number(v->p_holm, f);
    fprintf(f, ",%s", v->verdict != BENCH_NA ? bench_verdict_name[v->verdict] : "");
}

static void print_best(const bench_line *l, FILE *f)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    const char *space = "";
    fputc(',', f);
    for (int32_t k = 0; k < n; k++) {
        if (!l->is_best[k]) continue;
        fprintf(f, "%s%s", space, c[k].key);
        space = " ";
    }
}

static void print_column(const bench_line *l, int32_t column, FILE *f)
{
    if (!is_time(column) && column != BENCH_UNITS) print_number(bench_shown(column, l->value[column]), f);
    if (!is_outcome(column)) return;
    const bench_interval i = bench_shown_outcome(l, column);
    print_number(i.lo, f);
    print_number(i.hi, f);
}

static void print_line(const bench_analysis *a, const bench_line *l, FILE *f)
{
    const int32_t primary = bench_primary(a->section, l->saves);
    int32_t n;
    bench_columns(&n);
    print_identity(a, l, f);
    for (int32_t k = BENCH_MS; k <= BENCH_MS_WRITE; k++) {
        print_number(l->value[k], f);
        print_number(l->p95[k], f);
    }
    print_number(bench_speed_up(a, l), f);
    print_number(l->ideal, f);
    print_number(l->realised, f);
    for (int32_t k = 0; k < n; k++) print_column(l, k, f);
    for (int v = 0; v < BENCH_VS_COUNT; v++) print_versus(primary, &l->versus[v], f);
    fprintf(f, ",%s", l->overall != BENCH_NA ? bench_verdict_name[l->overall] : "");
    print_best(l, f);
    fputc('\n', f);
}

void bench_print_csv(const bench_report *r, FILE *f)
{
    bench_print_facts(r->header, "# ", ": ", f);
    print_head(f);
    for (int32_t i = 0; i < r->b->n_section; i++)
        for (int32_t k = 0; k < r->analysis[i].n_line; k++) print_line(&r->analysis[i], &r->analysis[i].line[k], f);
}
