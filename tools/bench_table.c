/* SPDX-License-Identifier: MIT */
/* The bench table as Markdown, CSV or JSON (bench.h). One table of columns feeds all three. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json_line.h"
#include "publish.h"

typedef struct column {
    const char *title, *key;
    double (*value)(const cli_bench *b, const cli_bench_row *r);
    int digits;
} column;

/* ---- values (NaN = not available) ----------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Nearest-rank quantile. */
static double quantile(const cli_bench_row *r, int which, double q)
{
    float *sorted = r->n_sample > 0 ? malloc((size_t)r->n_sample * sizeof *sorted) : NULL;
    if (sorted == NULL) return NAN;
    memcpy(sorted, r->ms[which], (size_t)r->n_sample * sizeof *sorted);
    qsort(sorted, (size_t)r->n_sample, sizeof *sorted, compare_floats);
    int64_t rank = (int64_t)ceil(q * (double)r->n_sample) - 1;
    double value = (double)sorted[rank > 0 ? rank : 0];
    free(sorted);
    return value;
}

static double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

#define QUANTILE(name, which, q)                                                                                       \
    static double name(const cli_bench *b, const cli_bench_row *r)                                                     \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        return quantile(r, which, q);                                                                                  \
    }
QUANTILE(total_p50, CLI_BENCH_TOTAL, 0.50)
QUANTILE(total_p95, CLI_BENCH_TOTAL, 0.95)
QUANTILE(prep_p50, CLI_BENCH_PREP, 0.50)
QUANTILE(prep_p95, CLI_BENCH_PREP, 0.95)
QUANTILE(encode_p50, CLI_BENCH_ENCODE, 0.50)
QUANTILE(encode_p95, CLI_BENCH_ENCODE, 0.95)
QUANTILE(select_p50, CLI_BENCH_SELECT, 0.50)
QUANTILE(select_p95, CLI_BENCH_SELECT, 0.95)

static double keep_asked(const cli_bench *b, const cli_bench_row *r)
{
    (void)b;
    return r->keep > 0 ? r->keep : NAN;
}

static double units_kept(const cli_bench *b, const cli_bench_row *r)
{
    (void)b;
    return ratio((double)r->n_out, (double)r->n_frames);
}

static double top1(const cli_bench *b, const cli_bench_row *r)
{
    (void)b;
    return ratio(100.0 * (double)r->n_right, (double)r->n_labelled);
}

static double agreement(const cli_bench *b, const cli_bench_row *r)
{
    return b->info->n_class > 0 ? ratio(100.0 * (double)r->n_agree, (double)r->n_compared) : NAN;
}

static double cosine(const cli_bench *b, const cli_bench_row *r)
{
    (void)b;
    return ratio(r->cosine, (double)r->n_compared);
}

static double frames_per_s(const cli_bench *b, const cli_bench_row *r)
{
    double sum = 0;
    (void)b;
    for (int64_t i = 0; i < r->n_sample; i++) sum += (double)r->ms[CLI_BENCH_TOTAL][i];
    return ratio(1e3 * (double)r->n_sample, sum);
}

static double speed_up(const cli_bench *b, const cli_bench_row *r)
{
    return ratio(total_p50(b, &b->row[0]), total_p50(b, r));
}

static const column columns[] = {
    {"keep", "keep", keep_asked, 3},
    {"units", "units_kept", units_kept, 1},
    {"top-1 %", "top1_percent", top1, 2},
    {"agree %", "agreement_percent", agreement, 2},
    {"cosine", "cosine", cosine, 4},
    {"ms p50", "ms_p50", total_p50, 2},
    {"ms p95", "ms_p95", total_p95, 2},
    {"prep p50", "prep_ms_p50", prep_p50, 2},
    {"prep p95", "prep_ms_p95", prep_p95, 2},
    {"encode p50", "encode_ms_p50", encode_p50, 2},
    {"encode p95", "encode_ms_p95", encode_p95, 2},
    {"select p50", "select_ms_p50", select_p50, 3},
    {"select p95", "select_ms_p95", select_p95, 3},
    {"images/s", "images_per_s", frames_per_s, 2},
    {"speed-up", "speed_up", speed_up, 2},
};

enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* ---- header block --------------------------------------------------------------------------------------------- */

static char *join_arguments(const cli_common *c)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) return NULL;
    fputs("pare", f);
    for (int i = 1; i < c->argc; i++) fprintf(f, strpbrk(c->argv[i], " '\"*") != NULL ? " '%s'" : " %s", c->argv[i]);
    fclose(f);
    return text;
}

/* Facts of the run, in order; everything as text or number. */
static json_t *header(const cli_bench *b)
{
    pare_runtime_info run = {.struct_size = sizeof run};
    json_t *h = json_object();
    char date[32], *line = join_arguments(b->c);
    time_t now = time(NULL);
    struct tm utc;
    pare_runtime_get(&run, NULL);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    cli_json_text(h, "command", line);
    cli_json_text(h, "date", date);
    cli_json_text(h, "version", pare_version());
    cli_json_text(h, "machine", run.cpu);
    cli_json_text(h, "cpu_flags", run.cpu_flags);
    cli_json_text(h, "blas", run.blas);
    cli_json_text(h, "blas_core", run.blas_core);
    cli_json_text(h, "vector_kernels", run.vector_kernels);
    cli_json_int(h, "threads", b->c->threads > 0 ? b->c->threads : run.n_cpu);
    cli_json_text(h, "model", b->info->name);
    cli_json_text(h, "data", b->data);
    cli_json_int(h, b->video ? "clips" : "photos", b->n_measured);
    cli_json_int(h, "frames", b->row[0].n_frames);
    cli_json_real(h, "units_per_frame", ratio((double)b->row[0].n_in, (double)b->row[0].n_frames), 1);
    cli_json_int(h, "rounds", b->rounds);
    cli_json_int(h, "seed", b->layout->seed);
    cli_json_real(h, "peak_rss_mb", cli_peak_rss_mb(), 1);
    if (b->interrupted) cli_json_bool(h, "interrupted", 1);
    free(line);
    return h;
}

static void print_header(const cli_bench *b, const char *before, const char *between, FILE *f)
{
    json_t *h = header(b), *value;
    const char *key;
    json_object_foreach(h, key, value)
    {
        fprintf(f, "%s%s%s", before, key, between);
        if (json_is_string(value))
            fputs(json_string_value(value), f);
        else
            json_dumpf(value, f, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
        fputc('\n', f);
    }
    json_decref(h);
}

/* ---- formats -------------------------------------------------------------------------------------------------- */

static void print_markdown(const cli_bench *b, FILE *f)
{
    fputs("# pare bench\n\n", f);
    print_header(b, "- ", ": ", f);
    fputs("\n| recipe |", f);
    for (int k = 0; k < N_COLUMNS; k++) fprintf(f, " %s |", columns[k].title);
    fputs("\n|---|", f);
    for (int k = 0; k < N_COLUMNS; k++) fputs("---:|", f);
    for (int32_t i = 0; i < b->n_row; i++) {
        fprintf(f, "\n| %s |", b->row[i].recipe);
        for (int k = 0; k < N_COLUMNS; k++) {
            double value = columns[k].value(b, &b->row[i]);
            if (isfinite(value))
                fprintf(f, " %.*f |", columns[k].digits, value);
            else
                fputs(" n/a |", f);
        }
    }
    fputs("\n\nTimes are milliseconds per frame without decoding; encode includes embedding; speed-up is none's p50\n"
          "over the row's. units are kept units per frame, as counted in the results. cosine and agreement compare\n"
          "pooled features frame by frame: a frame that repeats an earlier one may keep few tokens of its own;\n"
          "where the pooled feature is the CLS token, a step at output comes too late to change it.\n",
          f);
}

static void print_csv(const cli_bench *b, FILE *f)
{
    print_header(b, "# ", ": ", f);
    fputs("recipe", f);
    for (int k = 0; k < N_COLUMNS; k++) fprintf(f, ",%s", columns[k].key);
    for (int32_t i = 0; i < b->n_row; i++) {
        fprintf(f, "\n\"%s\"", b->row[i].recipe);
        for (int k = 0; k < N_COLUMNS; k++) {
            double value = columns[k].value(b, &b->row[i]);
            if (isfinite(value))
                fprintf(f, ",%.6g", value);
            else
                fputc(',', f);
        }
    }
    fputc('\n', f);
}

static void print_json(const cli_bench *b, FILE *f)
{
    json_t *document = json_object(), *rows = json_array();
    cli_json_int(document, "schema_version", CLI_SCHEMA_VERSION);
    json_object_set_new(document, "run", header(b));
    for (int32_t i = 0; i < b->n_row; i++) {
        json_t *row = json_object();
        cli_json_text(row, "recipe", b->row[i].recipe);
        for (int k = 0; k < N_COLUMNS; k++) cli_json_real(row, columns[k].key, columns[k].value(b, &b->row[i]), 6);
        json_array_append_new(rows, row);
    }
    json_object_set_new(document, "rows", rows);
    cli_json_print(document, 1, f);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

int cli_bench_print(const cli_bench *b, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) return CLI_FAILED;
    if (cli_is_stdout(path)) path = NULL;
    if (path != NULL ? cli_has_suffix(path, ".json") : b->c->json)
        print_json(b, f);
    else if (path != NULL && cli_has_suffix(path, ".csv"))
        print_csv(b, f);
    else
        print_markdown(b, f);
    fclose(f);
    int rc = cli_publish(b->c, path != NULL ? path : "-", text, size);
    free(text);
    return rc;
}
