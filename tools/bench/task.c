/* SPDX-License-Identifier: MIT */
/* What the tasks of the bench share (task.h). */
#include "task.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis.h"

/* ---- items ---------------------------------------------------------------------------------------------------- */

int bench_add_item(bench *b, bench_section *s, const char *name, int32_t class_index)
{
    const int is_full = (s->n_item & (s->n_item - 1)) == 0;
    if (is_full) { /* the array grows at every power of two */
        bench_item *grown = realloc(s->item, (size_t)(s->n_item > 0 ? 2 * s->n_item : 1) * sizeof *grown);
        if (grown == NULL) goto nomem;
        s->item = grown;
    }
    s->item[s->n_item] = (bench_item){.name = strdup(name), .class_index = class_index};
    if (s->item[s->n_item].name == NULL) goto nomem;
    s->n_item++;
    return CLI_OK;
nomem:
    cli_say(b->c, "%s: out of memory for %d items", s->ask.name, s->n_item + 1);
    return CLI_FAILED;
}

void bench_fold_items(bench_section *s, int in_blocks)
{
    for (int32_t i = 0; i < s->n_item; i++)
        s->item[i].fold = in_blocks ? (int32_t)((int64_t)i * BENCH_FOLDS / s->n_item) : i % BENCH_FOLDS;
}

/* ---- lists of files ------------------------------------------------------------------------------------------- */

static int list_inputs(bench *b, bench_section *s, cli_photos *out)
{
    for (int32_t i = 0; i < s->ask.n_input; i++)
        if (cli_photos_add(out, s->ask.input[i], "", NULL) != 0) {
            cli_say(b->c, "out of memory for %d inputs", s->ask.n_input);
            return CLI_FAILED;
        }
    return CLI_OK;
}

int bench_list_photos(bench *b, bench_section *s, cli_photos *out)
{
    int rc =
        s->ask.data != NULL ? cli_photos_open(b->c, s->ask.data, s->ask.label_column, out) : list_inputs(b, s, out);
    if (rc == CLI_OK) cli_photos_thin(out, s->ask.stride, s->ask.limit);
    return rc;
}

static int is_clip(const char *name)
{
    static const char *const suffixes[] = {".mkv", ".mp4", ".avi", ".mov", ".webm", ".m4v",
                                           ".ts",  ".mpg", ".y4m", ".gif", ".ogv",  ".wmv"};
    for (size_t i = 0; name[0] != '.' && i < sizeof suffixes / sizeof *suffixes; i++)
        if (cli_has_suffix(name, suffixes[i])) return 1;
    return 0;
}

/* The clips of a folder in the order of their names; one file is a list of one. */
static int list_folder(bench *b, const char *path, cli_photos *out)
{
    struct stat st;
    struct dirent **entry = NULL;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) return cli_photos_add(out, path, "", NULL) == 0 ? 0 : CLI_FAILED;
    const int n = scandir(path, &entry, NULL, alphasort);
    int rc = n < 0 ? CLI_UNREADABLE : CLI_OK;
    if (n < 0) cli_say(b->c, "%s: cannot be read", path);
    for (int i = 0; i < n; i++) {
        char *file = NULL;
        const int wanted = rc == CLI_OK && is_clip(entry[i]->d_name);
        if (wanted &&
            (asprintf(&file, "%s/%s", path, entry[i]->d_name) < 0 || cli_photos_add(out, file, "", NULL) != 0))
            rc = CLI_FAILED;
        free(file);
        free(entry[i]);
    }
    free(entry);
    if (rc != CLI_OK || out->n > 0) return rc;
    cli_say(b->c, "%s: no clips", path);
    return CLI_UNREADABLE;
}

/* What cannot be opened now will be named and left out when its turn comes. */
static int check_clip(bench *b, bench_section *s, const char *path)
{
    pare_source *source = NULL;
    pare_source_info info = {.struct_size = sizeof info};
    pare_error err = {0};
    if (strcmp(path, "-") == 0) return cli_usage(b->c, "bench reads its inputs more than once, - comes only once");
    const int rc = cli_source_try(&s->ask.pick, path, &source, &info, &err);
    pare_source_close(&source);
    if (rc != 0) return CLI_OK;
    if (info.is_live) return cli_usage(b->c, "bench reads its inputs more than once, %s comes only once", path);
    if (info.is_image) return cli_usage(b->c, "%s: a photo, task %s takes clips", path, s->task->name);
    return CLI_OK;
}

int bench_list_clips(bench *b, bench_section *s, cli_photos *out)
{
    int rc = s->ask.data != NULL ? list_folder(b, s->ask.data, out) : list_inputs(b, s, out);
    if (rc == CLI_OK) cli_photos_thin(out, s->ask.stride, s->ask.limit);
    for (int32_t i = 0; rc == CLI_OK && i < out->n; i++) rc = check_clip(b, s, out->item[i].path);
    return rc == CLI_OK && *cli_stop_flag() ? CLI_STOPPED : rc;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

int32_t bench_fallback_column(const bench *b)
{
    const int32_t column = bench_column_find(b->info->n_class > 0 ? "logit_agreement_share" : "pooled_cosine");
    return column >= 0 ? column : BENCH_TOP1;
}

int bench_row_is_missing(const bench_section *s, int32_t row, int32_t first, int32_t end)
{
    for (int32_t i = first; i < end; i++)
        if (!bench_has(s, row, i)) return 1;
    return 0;
}

int bench_is_missing(const bench_section *s, int32_t first, int32_t end)
{
    for (int32_t r = 0; r < s->n_row; r++)
        if (bench_row_is_missing(s, r, first, end)) return 1;
    return 0;
}

int bench_is_due(int64_t i, int64_t stride) { return stride < 2 || i % stride == 0; }

typedef struct times {
    double ms[BENCH_MS_WRITE + 1];
} times;

static int by_total(const void *a, const void *b)
{
    const double x = ((const times *)a)->ms[BENCH_MS], y = ((const times *)b)->ms[BENCH_MS];
    return (x > y) - (x < y);
}

/* The other rounds of a timed row; their results are those of the first. */
static int repeat(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, int64_t rounds,
                  bench_run *out)
{
    const double write_ms = out->ms[BENCH_MS_WRITE];
    bench_frames again = *frames;
    times *t = calloc((size_t)rounds, sizeof *t);
    int rc = t != NULL ? CLI_OK : CLI_FAILED;
    if (t == NULL) cli_say(b->c, "out of memory for %lld rounds", (long long)rounds);
    again.write = 0;
    if (t != NULL) memcpy(t[0].ms, out->ms, sizeof t->ms);
    for (int64_t i = 1; rc == CLI_OK && i < rounds; i++) {
        bench_run run = BENCH_NO_RUN;
        rc = *cli_stop_flag() ? CLI_STOPPED : bench_run_row(b, s, row, &again, NULL, &run);
        memcpy(t[i].ms, run.ms, sizeof run.ms);
        bench_run_free(&run);
    }
    if (rc == CLI_OK) {
        qsort(t, (size_t)rounds, sizeof *t, by_total);
        memcpy(out->ms, t[(rounds - 1) / 2].ms, sizeof out->ms);
        out->ms[BENCH_MS_WRITE] = write_ms;
    }
    free(t);
    return rc;
}

int bench_run_rounds(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                     int64_t rounds, bench_run *out)
{
    if (*cli_stop_flag()) return CLI_STOPPED;
    const int rc = bench_run_row(b, s, row, frames, full, out);
    return rc != CLI_OK || out->shared || rounds < 2 ? rc : repeat(b, s, row, frames, rounds, out);
}

/* ---- the run -------------------------------------------------------------------------------------------------- */

void bench_progress_begin(bench *b, const char *unit, int64_t total)
{
    cli_progress_end(&b->c->bar);
    cli_progress_begin(&b->c->bar, b->c->quiet ? CLI_PROGRESS_NONE : b->c->progress, unit, total);
}

int bench_all_failed(const bench_section *s)
{
    return s->n_item > 0 && s->n_failed >= s->n_item ? CLI_UNREADABLE : CLI_OK;
}
