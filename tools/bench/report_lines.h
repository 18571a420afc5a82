/* SPDX-License-Identifier: MIT */
/* What the report formats share: which lines stand in a table and in which order, names of verdicts and flags, numbers
 * as they are shown. */
#ifndef PARE_TOOLS_BENCH_REPORT_LINES_H
#define PARE_TOOLS_BENCH_REPORT_LINES_H

#include "analysis_work.h"
#include "report.h"

void bench_print_markdown(const bench_report *r, FILE *f);
void bench_print_csv(const bench_report *r, FILE *f);
void bench_print_json(const bench_report *r, FILE *f);
void bench_print_latex(const bench_report *r, FILE *f);
void bench_print_svg(const bench_report *r, FILE *f);

/* The header as lines: before, key, between, value. */
void bench_print_facts(const json_t *header, const char *before, const char *between, FILE *f);

/* A table's lines as they are printed: without reduction first, then by amount (the recipe's own last), in each the best
 * primary value first. */
typedef struct bench_order {
    const bench_analysis *a;
    bench_saves saves;
    const bench_line *line[BENCH_MAX_ROWS]; /* [n] */
    int32_t n;
} bench_order;

void bench_order_make(const bench_analysis *a, bench_saves saves, bench_order *out);
/* A line other than the one without reduction: a table without any is not printed. */
int bench_order_has_lines(const bench_order *o);

extern const char *const bench_saves_name[];                 /* "nothing", "encoder", "prefill" */
extern const char *const bench_saves_title[];                /* titles of the two tables */
extern const char *const bench_verdict_name[];               /* "n/a", "wins", "loses", "ties" */
extern const char *const bench_versus_key[BENCH_VS_COUNT];   /* "resize_ms", ... */
extern const char *const bench_time_key[BENCH_MS_WRITE + 1]; /* by BENCH_MS*: "ms", "decode_ms", ... */
extern const char *const bench_flag_name[3];                 /* by bit of BENCH_FLAG_*: "over", ... */
extern const char *const bench_flag_mark[3];                 /* as shown beside a line */

int bench_line_is_baseline(const bench_line *l);

/* A value as it is shown: shares in percent. */
double bench_shown(int32_t column, double value);
bench_interval bench_shown_interval(int32_t column, bench_interval i);
/* The interval of one of the outcome columns BENCH_TOP1 .. BENCH_BOX_COSINE, of others NaN. */
bench_interval bench_shown_outcome(const bench_line *l, int32_t column);
/* The line's value of a metric by its name, NaN without such a column. */
double bench_metric_value(const bench_line *l, const char *key);
/* The p50 of the table's own line without reduction over the line's: both are timed on the same items. */
double bench_speed_up(const bench_analysis *a, const bench_line *l);
double bench_ratio(double a, double b); /* NaN unless b > 0 */

/* Text tokens beside the visual ones in every figure of a language model. */
enum { BENCH_TEXT_TOKENS = 32 };
/* What an item's rows cost the model `llm`. 0, or -1: no such model, or no count of units. */
int bench_line_llm(const bench_line *l, const char *llm, pare_llm_cost *out);

#endif
