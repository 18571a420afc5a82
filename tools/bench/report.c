/* SPDX-License-Identifier: MIT */
/* Facts of a run, and where its reports go (report.h). */
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../json_line.h"
#include "../publish.h"
#include "report_lines.h"

const bench_format bench_formats[] = {
    {".md", bench_print_markdown}, {".csv", bench_print_csv}, {".json", bench_print_json},
    {".tex", bench_print_latex},   {".svg", bench_print_svg}, {NULL, NULL},
};

/* ---- facts ---------------------------------------------------------------------------------------------------- */

/* The command line, quoted where a shell would ask for it. The caller frees. */
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

/* Of what was measured without reduction. */
typedef struct counted {
    int64_t items, frames, media; /* media: photos or clips */
    double units;
} counted;

static counted count_items(const bench_section *s)
{
    counted n = {0};
    for (int64_t i = 0; i < s->n_cell; i++) {
        if (s->cell[i].row != 0) continue;
        const bench_item *item = &s->item[s->cell[i].item];
        n.items++;
        n.media += !item->is_part;
        n.frames += item->n_frame > 0 ? item->n_frame : 1;
        if (isfinite(s->cell[i].value[BENCH_UNITS_IN])) n.units += s->cell[i].value[BENCH_UNITS_IN];
    }
    return n;
}

static json_t *section_facts(const bench_section *s)
{
    const counted n = count_items(s);
    json_t *facts = json_object();
    cli_json_text(facts, "name", s->ask.name);
    cli_json_text(facts, "task", s->task->name);
    cli_json_int(facts, "items", n.items);
    cli_json_int(facts, "left_out", s->n_failed);
    cli_json_int(facts, "frames", n.frames);
    cli_json_real(facts, "units_per_item", bench_ratio(n.units, (double)n.items), 1);
    cli_json_real(facts, "units_per_frame", bench_ratio(n.units, (double)n.frames), 1);
    cli_json_int(facts, "random_seeds", s->ask.n_seed);
    cli_json_int(facts, "rows", s->n_row);
    return facts;
}

/* A bench of one section is counted in the header itself: photos or clips. */
static void set_counts(json_t *h, const bench_section *s)
{
    const counted n = count_items(s);
    cli_json_int(h, s->video ? "clips" : "photos", n.media);
    cli_json_int(h, "frames", n.frames);
    cli_json_real(h, "units_per_frame", bench_ratio(n.units, (double)n.frames), 1);
    cli_json_int(h, "rounds", s->ask.rounds > 0 ? s->ask.rounds : 1);
}

static void set_machine(json_t *h, const bench *b)
{
    pare_runtime_info run = {.struct_size = sizeof run};
    pare_runtime_get(&run, NULL);
    cli_json_text(h, "machine", run.cpu);
    cli_json_text(h, "cpu_flags", run.cpu_flags);
    cli_json_text(h, "blas", run.blas);
    cli_json_text(h, "blas_core", run.blas_core);
    cli_json_text(h, "vector_kernels", run.vector_kernels);
    cli_json_text(h, "backend", b->backend);
    cli_json_text(h, "precision", b->precision);
    cli_json_int(h, "threads", b->c->threads > 0 ? b->c->threads : run.n_cpu);
}

static void set_origin(json_t *h, const bench *b)
{
    char date[32], *line = join_arguments(b->c);
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    cli_json_text(h, "command", line);
    cli_json_text(h, "date", date);
    cli_json_text(h, "version", pare_version());
    cli_json_int(h, "schema_version", BENCH_SCHEMA_VERSION);
    free(line);
}

json_t *bench_header(const bench *b)
{
    json_t *h = json_object(), *sections = json_array();
    set_origin(h, b);
    set_machine(h, b);
    cli_json_text(h, "model", b->info->name);
    cli_json_text(h, "data", b->data);
    if (b->suite != NULL) cli_json_text(h, "suite", b->suite);
    if (b->n_section == 1) set_counts(h, &b->section[0]);
    for (int32_t i = 0; i < b->n_section; i++) json_array_append_new(sections, section_facts(&b->section[i]));
    json_object_set_new(h, "sections", sections);
    cli_json_int(h, "seed", b->seed);
    cli_json_int(h, "bootstrap", BENCH_BOOTSTRAP);
    cli_json_text(
        h, "warm_up",
        "the first run of every row in a process is repeated and dropped; of a clip, that of its first frames");
    cli_json_real(h, "peak_rss_mb", cli_peak_rss_mb(), 1);
    if (b->interrupted) cli_json_bool(h, "interrupted", 1);
    return h;
}

/* On one line, whatever the command line held. */
static void print_value(const json_t *value, FILE *f)
{
    if (json_is_string(value))
        for (const char *p = json_string_value(value); *p != '\0'; p++) fputc((unsigned char)*p < 0x20 ? ' ' : *p, f);
    else
        json_dumpf(value, f, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
}

/* name: task photos, items 414, ... */
static void print_section_facts(const json_t *section, const char *between, FILE *f)
{
    const char *key, *comma = "";
    json_t *value;
    fputs("section ", f);
    print_value(json_object_get(section, "name"), f);
    fputs(between, f);
    json_object_foreach((json_t *)section, key, value)
    {
        if (strcmp(key, "name") == 0) continue;
        fprintf(f, "%s%s ", comma, key);
        print_value(value, f);
        comma = ", ";
    }
    fputc('\n', f);
}

void bench_print_facts(const json_t *header, const char *before, const char *between, FILE *f)
{
    const char *key;
    json_t *value, *section;
    size_t i;
    json_object_foreach((json_t *)header, key, value)
    {
        if (json_is_null(value)) continue;
        if (!json_is_array(value)) {
            fprintf(f, "%s%s%s", before, key, between);
            print_value(value, f);
            fputc('\n', f);
            continue;
        }
        json_array_foreach(value, i, section)
        {
            fputs(before, f);
            print_section_facts(section, between, f);
        }
    }
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static int short_of_memory(const bench *b)
{
    cli_say(b->c, "%s", pare_strerror(PARE_E_NOMEM));
    return CLI_FAILED;
}

static int publish(const bench_report *r, const bench_format *format, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) return short_of_memory(r->b);
    format->print(r, f);
    const int bad = ferror(f);
    const int rc = fclose(f) != 0 || bad ? short_of_memory(r->b) : cli_publish(r->b->c, path, text, size);
    free(text);
    return rc;
}

/* folder/stem.suffix, and -name before the suffix if there is a name: its letters and digits, '-' for everything else. */
static int publish_into(const bench_report *r, const bench_format *format, const char *folder, const char *stem,
                        const char *name)
{
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    char *path;
    if (asprintf(&path, "%s%s%s%s%s%s", folder, slash, stem, name[0] != '\0' ? "-" : "", name, format->suffix) < 0)
        return short_of_memory(r->b);
    for (char *p = path + strlen(folder) + strlen(slash); *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && *p != '.') *p = '-';
    const int rc = publish(r, format, path);
    free(path);
    return rc;
}

/* All formats, each whole or not at all; of several sections every one has a plot of its own as well. */
static int publish_folder(const bench_report *r, const char *folder)
{
    int rc = CLI_OK;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        cli_say(r->b->c, "cannot write %s: %s", folder, strerror(errno));
        return CLI_FAILED;
    }
    for (const bench_format *format = bench_formats; rc == CLI_OK && format->suffix != NULL; format++) {
        const int is_plot = strcmp(format->suffix, ".svg") == 0;
        rc = publish_into(r, format, folder, is_plot ? "pareto" : "report", "");
        bench_report one = *r;
        for (int32_t i = 0; rc == CLI_OK && is_plot && r->b->n_section > 1 && i < r->b->n_section; i++) {
            one.only = &r->b->section[i];
            rc = publish_into(&one, format, folder, "pareto", one.only->ask.name);
        }
    }
    return rc;
}

static int publish_all(const bench_report *r, const char *path)
{
    if (path == NULL || cli_is_stdout(path)) {
        const char *suffix = path == NULL && r->b->c->json ? ".json" : ".md";
        const bench_format *format = bench_formats;
        while (strcmp(format->suffix, suffix) != 0) format++;
        return publish(r, format, "-");
    }
    if (cli_is_folder(path)) return publish_folder(r, path);
    for (const bench_format *format = bench_formats; format->suffix != NULL; format++)
        if (cli_has_suffix(path, format->suffix)) return publish(r, format, path);
    return publish(r, &bench_formats[0], path);
}

int bench_report_write(const bench *b, const char *path)
{
    int rc = CLI_OK;
    bench_report r = {.b = b, .analysis = calloc(b->n_section > 0 ? (size_t)b->n_section : 1, sizeof *r.analysis)};
    for (int32_t i = 0; i < b->n_section && r.analysis != NULL && rc == CLI_OK; i++)
        if (bench_analyse(&b->section[i], (uint64_t)b->seed, &r.analysis[i]) != 0) rc = CLI_FAILED;
    if (r.analysis == NULL || rc != CLI_OK) {
        rc = short_of_memory(b);
        goto done;
    }
    r.header = bench_header(b);
    rc = publish_all(&r, path);
done:
    for (int32_t i = 0; i < b->n_section && r.analysis != NULL; i++) bench_analysis_free(&r.analysis[i]);
    free(r.analysis);
    json_decref(r.header);
    return rc;
}
