/* SPDX-License-Identifier: MIT */
/* Reports of made-up analyses: what every format prints, what it must never print, how names are escaped, where labels
 * stand, where files go. With arguments it is no test: --json prints a report, --write DIR N writes one of N recipes. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/bench/plot.h"
#include "../tools/bench/report_series.h"
#include "bench_made.h"

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what)) n++;
    return n;
}

/* Copies the line that `p` points into and steps to the next one; 0 at the end. */
static int next_line(const char **p, char *out, size_t size)
{
    const size_t n = strcspn(*p, "\n");
    if (**p == '\0') return 0;
    ck_assert_uint_lt(n, size);
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n + ((*p)[n] == '\n');
    return 1;
}

static int has_number_word(const char *text)
{
    static const char *const words[] = {" nan", "-nan", " inf",  "-inf",  ",nan",
                                        ",inf", ":nan", "\"nan", "\"inf", "[nan"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i]) != NULL) return 1;
    return 0;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

START_TEST(test_order)
{
    made *m = made_new(1, 3);
    bench_order o;
    bench_order_make(&m->analysis[0], BENCH_SAVES_ENCODER, &o);
    ck_assert_int_eq(o.n, 1 + 4 * 6 + 2);
    ck_assert_str_eq(o.line[0]->recipe, "none");
    for (int32_t i = 2; i + 1 < o.n; i++) {
        ck_assert_double_le(o.line[i]->keep, o.line[i - 1]->keep);
        if (o.line[i]->keep == o.line[i - 1]->keep)
            ck_assert_double_le(o.line[i]->primary.value, o.line[i - 1]->primary.value);
    }
    ck_assert_double_eq(o.line[o.n - 1]->keep, 0);
    bench_order_make(&m->analysis[0], BENCH_SAVES_PREFILL, &o);
    ck_assert_str_eq(o.line[0]->recipe, "none@output");
    for (int32_t i = 0; i < o.n; i++) ck_assert_int_eq(o.line[i]->saves, BENCH_SAVES_PREFILL);
    m->line[0][0].saves = BENCH_SAVES_NOTHING;
    for (int32_t i = 0; i < m->analysis[0].n_line; i++)
        if (strcmp(m->line[0][i].recipe, "none@output") == 0) m->line[0][i].saves = BENCH_SAVES_ENCODER;
    bench_order_make(&m->analysis[0], BENCH_SAVES_PREFILL, &o);
    ck_assert_str_eq(o.line[0]->recipe, "none");
    made_free(&m);
}
END_TEST

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

/* Of the table that `p` points into: lines have one width and one number of cells. */
static void check_table(const char **p)
{
    char line[8192];
    size_t width = 0;
    int cells = 0;
    while (**p == '|' && next_line(p, line, sizeof line)) {
        const int n = count(line, "|") - count(line, "\\|");
        if (width == 0) width = strlen(line), cells = n;
        ck_assert_uint_eq(strlen(line), width);
        ck_assert_int_eq(n, cells);
    }
}

START_TEST(test_markdown)
{
    made *m = made_new(2, 9);
    char *text = made_print(m, ".md"), line[8192];
    int n_table = 0;
    for (const char *p = text; *p != '\0';) {
        if (*p == '|') check_table(&p), n_table++;
        next_line(&p, line, sizeof line);
    }
    ck_assert_int_eq(n_table, 2 * (2 * 2 + 2));
    ck_assert_int_eq(count(text, "### Saves encoder time\n"), 2);
    ck_assert_int_eq(count(text, "### Saves prefill only"), 2);
    ck_assert_int_eq(count(text, "**resize wins: nothing is ahead of it**"), 2);
    ck_assert_int_eq(count(text, "<details>"), count(text, "</details>"));
    ck_assert(strstr(text, "- command: pare bench --data 'a b.csv'\n") != NULL);
    ck_assert(strstr(text, "- schema_version: 2\n") != NULL);
    ck_assert(strstr(text, "- section photos: ") != NULL);
    ck_assert(strstr(text, "| *resize@frames*") != NULL);
    ck_assert(strstr(text, "own_<&>\\|\"%#@block") != NULL);
    ck_assert(strstr(text, " K! |") != NULL);
    ck_assert(strstr(text, "below 0.100") != NULL);
    ck_assert(strstr(text, "## Rules\n") != NULL);
    ck_assert_int_eq(count(text, "414 items; measures are of 35.\n"), 2);
    ck_assert_int_eq(count(text,
                           "414 items; times are of 18 of them, the others start from a shared encoding (p95: the "
                           "slowest); measures are of 35.\n"),
                     2);
    ck_assert(strstr(text, "kNN % [95 %]") != NULL);
    ck_assert(strstr(text, "recall") == NULL);
    ck_assert(!has_number_word(text));
    free(text);
    made_free(&m);
}
END_TEST

/* Bold is what is_best says and nothing else. */
START_TEST(test_bold)
{
    made *m = made_new(1, 2);
    for (int32_t i = 0; i < m->analysis[0].n_line; i++) {
        m->line[0][i].overall = BENCH_NA;
        memset(m->line[0][i].is_best, 0, sizeof m->line[0][i].is_best);
    }
    m->line[0][3].is_best[BENCH_TOP1] = 1;
    m->line[0][3].primary = (bench_interval){.5432, .5, .6};
    char *text = made_print(m, ".md"), *tex = made_print(m, ".tex");
    ck_assert_int_eq(count(text, "| **"), 1);
    ck_assert(strstr(text, "**54.32** [50.00, 60.00]") != NULL);
    ck_assert_int_eq(count(tex, "\\textbf"), 1);
    free(text);
    free(tex);
    made_free(&m);
}
END_TEST

/* ---- CSV -------------------------------------------------------------------------------------------------------- */

static int count_fields(const char *line)
{
    int n = 1, quoted = 0;
    for (; *line != '\0'; line++) {
        quoted ^= *line == '"';
        n += *line == ',' && !quoted;
    }
    ck_assert_int_eq(quoted, 0);
    return n;
}

START_TEST(test_csv)
{
    made *m = made_new(2, 4);
    char *text = made_print(m, ".csv"), line[8192];
    int fields = 0, rows = 0;
    for (const char *p = text; next_line(&p, line, sizeof line);) {
        if (line[0] == '#') continue;
        if (fields == 0) {
            ck_assert_int_eq(strncmp(line, "recipe,keep,units_kept,", 23), 0);
            ck_assert(strstr(line, ",vs_resize_ms_p_holm,") != NULL);
            ck_assert(strstr(line, ",knn_percent,knn_percent_lo,knn_percent_hi,") != NULL);
            fields = count_fields(line);
        } else
            rows++;
        ck_assert_int_eq(count_fields(line), fields);
    }
    ck_assert_int_eq(rows, m->analysis[0].n_line + m->analysis[1].n_line);
    ck_assert(strstr(text, "\"own_<&>|\"\"%#@block\",,") != NULL);
    ck_assert(strstr(text, "\n\"none\",1,256,\"photos\",photos,nothing,") != NULL);
    ck_assert(!has_number_word(text));
    free(text);
    made_free(&m);
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static json_t *parsed(const made *m)
{
    char *text = made_print(m, ".json");
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    free(text);
    return root;
}

START_TEST(test_json)
{
    static const char *const keys[] = {"recipe",   "keep",        "units_kept",   "top1_percent",  "agreement_percent",
                                       "cosine",   "ms_p50",      "ms_p95",       "encode_ms_p50", "images_per_s",
                                       "speed_up", "prep_ms_p50", "select_ms_p50"};
    made *m = made_new(1, 3);
    json_t *root = parsed(m), *rows = json_object_get(root, "rows");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "schema_version")), 2);
    ck_assert_int_eq((int)json_array_size(rows), m->analysis[0].n_line);
    ck_assert(json_equal(rows, json_object_get(json_array_get(json_object_get(root, "sections"), 0), "rows")));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_msg(json_object_get(json_array_get(rows, 0), keys[i]) != NULL, "%s", keys[i]);
    json_t *first = json_array_get(rows, 0), *second = json_array_get(rows, 1);
    ck_assert_double_eq_tol(json_real_value(json_object_get(first, "speed_up")), 1, 1e-9);
    ck_assert_double_eq_tol(json_real_value(json_object_get(second, "top1_percent")),
                            100 * m->line[0][1].value[BENCH_TOP1], 1e-6);
    ck_assert(json_is_null(json_object_get(first, "recall_percent")));
    ck_assert(json_is_null(json_object_get(first, "recall_percent_lo")));
    ck_assert_double_eq_tol(json_real_value(json_object_get(second, "knn_percent_hi")),
                            100 * m->line[0][1].outcome[BENCH_KNN - BENCH_TOP1].hi, 1e-6);
    /* Lines that save prefill only are held against their own unreduced line: both are timed on few items. */
    for (int32_t i = 0; i < m->analysis[0].n_line; i++) {
        const bench_line *l = &m->line[0][i];
        if (l->saves == BENCH_SAVES_PREFILL) ck_assert_double_eq_tol(bench_speed_up(&m->analysis[0], l), 1, 1e-9);
    }
    json_t *versus = json_object_get(json_object_get(second, "versus"), "resize_ms");
    ck_assert_double_eq_tol(json_real_value(json_object_get(versus, "value")),
                            100 * m->line[0][1].versus[0].difference.value, 1e-6);
    ck_assert(json_is_string(json_object_get(versus, "verdict")));
    json_decref(root);
    made_free(&m);
    m = made_new(2, 1);
    root = parsed(m);
    ck_assert(json_object_get(root, "rows") == NULL);
    ck_assert_int_eq((int)json_array_size(json_object_get(root, "sections")), 2);
    json_decref(root);
    made_free(&m);
}
END_TEST

/* ---- LaTeX ------------------------------------------------------------------------------------------------------ */

/* Ampersands that part cells. */
static int count_cells(const char *line) { return 1 + count(line, "&") - count(line, "\\&"); }

START_TEST(test_latex)
{
    made *m = made_new(1, 3);
    char *text = made_print(m, ".tex"), line[8192];
    int cells = 0, depth = 0;
    for (const char *p = text; next_line(&p, line, sizeof line);) {
        if (line[0] == '%') continue;
        if (strncmp(line, "\\begin{tabular}", 15) == 0) cells = (int)strlen(line) - 17;
        if (strstr(line, " \\\\") != NULL) ck_assert_int_eq(count_cells(line), cells);
        depth += count(line, "{") - count(line, "}") - count(line, "\\{") + count(line, "\\}");
        ck_assert_int_eq(depth, 0);
        ck_assert_int_eq(count(line, "%"), count(line, "\\%"));
        ck_assert_int_eq(count(line, "_"), count(line, "\\_"));
        ck_assert_int_eq(count(line, "#"), count(line, "\\#"));
    }
    ck_assert_int_eq(count(text, "\\begin{tabular}"), 2);
    ck_assert_int_eq(count(text, "\\end{tabular}"), 2);
    ck_assert(strstr(text, "own\\_$<$\\&$>$|\"\\%\\#@block") != NULL);
    ck_assert(!has_number_word(text));
    free(text);
    made_free(&m);
}
END_TEST

/* ---- SVG -------------------------------------------------------------------------------------------------------- */

/* Tags open and close in order; nothing but our own elements. */
static void check_xml(const char *text)
{
    char stack[32][16];
    int depth = 0;
    for (const char *p = text; (p = strchr(p, '<')) != NULL;) {
        const char *end = strchr(p, '>');
        ck_assert(end != NULL);
        char name[16];
        const size_t n = strcspn(p + 1, " />\n");
        if (p[1] == '/') {
            ck_assert_int_gt(depth, 0);
            depth--;
            ck_assert_int_eq(strncmp(p + 2, stack[depth], strlen(stack[depth])), 0);
        } else if (end[-1] != '/') {
            ck_assert_uint_lt(n, sizeof name);
            ck_assert_int_lt(depth, 32);
            memcpy(stack[depth], p + 1, n);
            stack[depth++][n] = '\0';
        }
        p = end;
    }
    ck_assert_int_eq(depth, 0);
}

/* Text after `key` as a number, and `*p` behind it; 0 when there is none. */
static int next_number(const char **p, const char *key, double *out)
{
    const char *at = strstr(*p, key);
    if (at == NULL) return 0;
    *p = at + strlen(key);
    *out = strtod(*p, NULL);
    return 1;
}

static void check_points(const char *text, double width, double height)
{
    double x, y;
    for (const char *p = text; next_number(&p, " x=\"", &x);) ck_assert(x >= 0 && x <= width);
    for (const char *p = text; next_number(&p, " y=\"", &y);) ck_assert(y >= 0 && y <= height);
    for (const char *p = text; next_number(&p, " cx=\"", &x);) ck_assert(x >= 0 && x <= width);
    for (const char *p = text; next_number(&p, " cy=\"", &y);) ck_assert(y >= 0 && y <= height);
}

START_TEST(test_svg)
{
    const int n_recipe = _i;
    made *m = made_new(1, n_recipe);
    char *text = made_print(m, ".svg");
    const int n_series = n_recipe + 5, n_named = n_series <= BENCH_MAX_NAMED ? n_series : 3 + BENCH_MAX_NEAREST;
    check_xml(text);
    check_points(text, 900, 2 * 450 + 42);
    ck_assert(!has_number_word(text));
    ck_assert_int_eq(count(text, "<polyline"), 2 * n_series);
    ck_assert_int_eq(count(text, "class=\"behind\""), 2 * (n_series - n_named));
    ck_assert_int_eq(count(text, "class=\"lead\""), 2 * n_named);
    ck_assert_int_eq(count(text, "text-anchor=\"end\" fill=\""), 2 * (n_named + 1));
    ck_assert_int_eq(count(text, "class=\"bar\""), 2 * ((n_series - 2) * 4 + 2 + 1));
    ck_assert(strstr(text, "own_&lt;&amp;&gt;|&quot;%#@block") != NULL);
    free(text);
    made_free(&m);
}
END_TEST

START_TEST(test_front)
{
    made *m = made_new(1, 20);
    bench_panel *p = malloc(sizeof *p);
    ck_assert_int_eq(bench_panel_make(p, &m->analysis[0], BENCH_SAVES_ENCODER), 1);
    double largest = 0, smallest = INFINITY;
    for (int32_t i = 0; i < p->n; i++) {
        const bench_series *s = &p->one[i];
        for (int32_t k = 0; k < s->n; k++) {
            const double y = bench_panel_y(p, s->point[k]), front = bench_panel_front(p, bench_panel_x(p, s->point[k]));
            if (!(s->point[k]->flags & BENCH_FLAG_OVER)) ck_assert_double_le(y, front);
            if (k > 0) ck_assert_double_ge(bench_panel_x(p, s->point[k]), bench_panel_x(p, s->point[k - 1]));
        }
        if (s->is_named && !s->is_baseline && s->gap > 0) largest = fmax(largest, s->mean_gap);
        if (!s->is_named) smallest = fmin(smallest, s->mean_gap);
        if (!s->is_named) ck_assert_double_gt(s->gap, 0);
        if (strcmp(s->recipe, "cheat@block") == 0) ck_assert_int_eq(s->is_named, 0);
        if (s->is_baseline) ck_assert_int_eq(s->is_named, 1);
    }
    ck_assert_double_le(largest, smallest);
    free(p);
    made_free(&m);
}
END_TEST

START_TEST(test_spread)
{
    double y[] = {100, 101, 102, 180, 181, 299}, many[40];
    plot_spread(y, 6, 14, 50, 300);
    const double want[] = {87, 101, 115, 173.5, 187.5, 299};
    for (int i = 0; i < 6; i++) ck_assert_double_eq_tol(y[i], want[i], 1e-9);
    for (int i = 0; i < 40; i++) many[i] = 7;
    plot_spread(many, 40, 14, 50, 300);
    ck_assert_double_eq_tol(many[0], 50, 1e-9);
    ck_assert_double_eq_tol(many[39], 300, 1e-9);
    for (int i = 1; i < 40; i++) ck_assert_double_gt(many[i], many[i - 1]);
}
END_TEST

START_TEST(test_ticks)
{
    static const double ends[][2] = {{12.3, 48},   {25, 256}, {3, 9000}, {0, 1},
                                     {71.2, 71.3}, {5, 5},    {-3, 0},   {.0001, .002}};
    double tick[PLOT_MAX_TICKS];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (int may_log = 0; may_log < 2; may_log++) {
            plot_scale s = plot_fit(ends[i][0], ends[i][1], may_log);
            s.from = 10;
            s.to = 20;
            const int n = plot_ticks(&s, tick);
            ck_assert_int_ge(n, 3);
            for (int k = 0; k < n; k++) {
                ck_assert_double_ge(plot_at(&s, tick[k]), 10 - 1e-9);
                ck_assert(tick[k] != 0 || !signbit(tick[k]));
                ck_assert_double_le(plot_at(&s, tick[k]), 20 + 1e-9);
                if (k > 0) ck_assert_double_gt(tick[k], tick[k - 1]);
            }
        }
}
END_TEST

/* ---- nothing, and files ----------------------------------------------------------------------------------------- */

START_TEST(test_empty)
{
    made *m = made_empty();
    for (const bench_format *f = bench_formats; f->suffix != NULL; f++) {
        char *text = made_print(m, f->suffix);
        ck_assert_msg(!has_number_word(text), "%s", f->suffix);
        free(text);
    }
    char *svg = made_print(m, ".svg");
    ck_assert(strstr(svg, "Nothing to plot") != NULL);
    check_xml(svg);
    m->analysis[0].n_line = 0;
    json_decref(parsed(m));
    free(svg);
    made_free(&m);
}
END_TEST

/* Two rows over four items, so that the analysis is the real one. */
static void set_cells(made *m, bench_row row[2], bench_item item[4], bench_cell cell[8])
{
    bench_section *s = &m->b.section[0];
    row[0] = (bench_row){.recipe = "none", .keep = 1};
    row[1] = (bench_row){.recipe = "resize@frames", .keep = .5, .saves = BENCH_SAVES_ENCODER};
    for (int i = 0; i < 8; i++) {
        cell[i] = (bench_cell){.row = i / 4, .item = i % 4};
        for (int k = 0; k < BENCH_MAX_COLUMNS; k++) cell[i].value[k] = NAN;
        cell[i].value[BENCH_UNITS_IN] = 256;
        cell[i].value[BENCH_UNITS_ASKED] = cell[i].value[BENCH_UNITS] = i < 4 ? 256 : 128;
        cell[i].value[BENCH_MS] = i < 4 ? 40 + i : 20 + i;
        cell[i].value[BENCH_TOP1] = i % 2;
        item[i % 4] = (bench_item){.name = "x", .fold = i % 4};
    }
    s->row = row;
    s->item = item;
    s->cell = cell;
    s->n_row = 2;
    s->n_item = 4;
    s->n_cell = 8;
}

static void check_file(const char *folder, const char *name, const char *begin)
{
    char path[256], text[16] = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
    fclose(f);
    ck_assert_int_eq(strncmp(text, begin, strlen(begin)), 0);
    remove(path);
}

START_TEST(test_files)
{
    made *m = made_empty();
    bench_row row[2];
    bench_item item[4];
    bench_cell cell[8];
    char folder[] = "/tmp/pare-report-XXXXXX", path[256];
    ck_assert(mkdtemp(folder) != NULL);
    set_cells(m, row, item, cell);
    snprintf(path, sizeof path, "%s/new/", folder);
    ck_assert_int_eq(bench_report_write(&m->b, path), CLI_OK);
    snprintf(path, sizeof path, "%s/new", folder);
    ck_assert_int_eq(bench_report_write(&m->b, path), CLI_OK);
    check_file(path, "report.md", "# pare bench");
    check_file(path, "report.csv", "# command");
    check_file(path, "report.json", "{");
    check_file(path, "report.tex", "% command");
    check_file(path, "pareto.svg", "<svg ");
    ck_assert_int_eq(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/one.SVG", folder);
    ck_assert_int_eq(bench_report_write(&m->b, path), CLI_OK);
    check_file(folder, "one.SVG", "<svg ");
    ck_assert_int_eq(rmdir(folder), 0);
    m->common.quiet = 1;
    ck_assert_int_eq(bench_report_write(&m->b, "/dev/null/x/"), CLI_FAILED);
    json_t *header = bench_header(&m->b);
    ck_assert_int_eq(json_integer_value(json_object_get(header, "photos")), 4);
    ck_assert_double_eq_tol(json_real_value(json_object_get(header, "units_per_frame")), 256, 1e-9);
    json_decref(header);
    for (int i = 0; i < 4; i++) { /* two clips of two segments */
        item[i].n_frame = i % 2 ? 6 : 10;
        item[i].is_part = i % 2;
    }
    m->b.section[0].video = 1;
    header = bench_header(&m->b);
    ck_assert_int_eq(json_integer_value(json_object_get(header, "clips")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(header, "frames")), 32);
    ck_assert_double_eq_tol(json_real_value(json_object_get(header, "units_per_frame")), 32, 1e-9);
    json_decref(header);
    made_free(&m);
}
END_TEST

/* ---- suite ------------------------------------------------------------------------------------------------------ */

static int print_json(void)
{
    made *m = made_new(2, 12);
    char *text = made_print(m, ".json");
    fputs(text, stdout);
    free(text);
    made_free(&m);
    return 0;
}

static int write_all(const char *folder, int n_recipe)
{
    made *m = made_new(1, n_recipe);
    for (const bench_format *format = bench_formats; format->suffix != NULL; format++) {
        char path[256], *text = made_print(m, format->suffix);
        snprintf(path, sizeof path, "%s/made%s", folder, format->suffix);
        FILE *f = fopen(path, "w");
        if (f == NULL) return 1;
        fputs(text, f);
        fclose(f);
        free(text);
    }
    made_free(&m);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json") == 0) return print_json();
    if (argc == 4 && strcmp(argv[1], "--write") == 0) return write_all(argv[2], atoi(argv[3]));
    Suite *suite = suite_create("bench_report");
    TCase *c = tcase_create("report");
    tcase_add_test(c, test_order);
    tcase_add_test(c, test_markdown);
    tcase_add_test(c, test_bold);
    tcase_add_test(c, test_csv);
    tcase_add_test(c, test_json);
    tcase_add_test(c, test_latex);
    tcase_add_loop_test(c, test_svg, 0, 46);
    tcase_add_test(c, test_front);
    tcase_add_test(c, test_spread);
    tcase_add_test(c, test_ticks);
    tcase_add_test(c, test_empty);
    tcase_add_test(c, test_files);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
