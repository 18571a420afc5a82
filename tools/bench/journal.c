/* SPDX-License-Identifier: MIT */
/* DIR/journal.jsonl: the head (journal.h), then one line per finished cell,
 *
 *     {"s":0,"r":12,"i":7,"v":{"units_in":256,"top1_percent":1}}
 *
 * = section, row, item, finite values by column. A line is one write() to a file opened for appending, so a killed bench
 * leaves whole lines and at most one torn end, which the next one cuts off. A cell that stands there twice counts once:
 * the first. The file is locked while it is open. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINE = 1 << 16, MAX_CELLS = 50000000, SYNC_SECONDS = 30 };

struct bench_journal {
    cli_common *c;
    char *dir, *path;
    int fd;
    int64_t size;  /* bytes of whole lines */
    double synced; /* cli_now() of the last fdatasync */
};

/* ---- cells in memory ------------------------------------------------------------------------------------------- */

static void set_has(bench_section *s, int32_t row, int32_t item)
{
    const int64_t bit = (int64_t)row * s->has_item + item;
    s->has[bit / 8] |= (uint8_t)(1 << bit % 8);
}

int bench_has(const bench_section *s, int32_t row, int32_t item)
{
    if (row < 0 || item < 0 || row >= s->has_row || item >= s->has_item) return 0;
    const int64_t bit = (int64_t)row * s->has_item + item;
    return s->has[bit / 8] >> bit % 8 & 1;
}

/* The bits of all rows and items that the section has by now. 0 or -1. */
static int reserve_has(bench_section *s)
{
    const int64_t n = (int64_t)s->n_row * s->n_item;
    if (s->has_row == s->n_row && s->has_item == s->n_item) return 0;
    uint8_t *has = n <= MAX_CELLS ? calloc((size_t)n / 8 + 1, 1) : NULL;
    if (has == NULL) return -1;
    free(s->has);
    s->has = has;
    s->has_row = s->n_row;
    s->has_item = s->n_item;
    for (int64_t i = 0; i < s->n_cell; i++) set_has(s, s->cell[i].row, s->cell[i].item);
    return 0;
}

static int reserve_cell(bench_section *s)
{
    if (s->n_cell < s->cap_cell) return 0;
    const int64_t cap = s->cap_cell > 0 ? 2 * s->cap_cell : 256;
    bench_cell *grown = realloc(s->cell, (size_t)cap * sizeof *grown);
    if (grown == NULL) return -1;
    s->cell = grown;
    s->cap_cell = cap;
    return 0;
}

/* Room for one more cell; afterwards store_cell cannot fail. */
static int reserve(bench_section *s) { return reserve_has(s) == 0 ? reserve_cell(s) : -1; }

/* Values that are not finite are not available, as after reading them back. */
static void store_cell(bench_section *s, const bench_cell *cell)
{
    bench_cell *to = &s->cell[s->n_cell++];
    *to = *cell;
    for (int32_t i = 0; i < BENCH_MAX_COLUMNS; i++)
        if (!isfinite(to->value[i])) to->value[i] = NAN;
    set_has(s, cell->row, cell->item);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static int fail_file(const bench_journal *j, int code)
{
    cli_say(j->c, "%s: %s", j->path, strerror(code));
    return CLI_FAILED;
}

static int sync_file(bench_journal *j)
{
    j->synced = cli_now();
    return fdatasync(j->fd) == 0 ? CLI_OK : fail_file(j, errno);
}

/* Appends a whole line, or nothing: what a full disk took of it is cut off again. */
static int append_line(bench_journal *j, const char *text, size_t n)
{
    ssize_t put;
    do put = write(j->fd, text, n);
    while (put < 0 && errno == EINTR);
    if (put != (ssize_t)n) {
        const int code = put < 0 ? errno : ENOSPC;
        if (put > 0 && ftruncate(j->fd, j->size) != 0) return fail_file(j, errno);
        return fail_file(j, code);
    }
    j->size += put;
    return cli_now() - j->synced >= SYNC_SECONDS ? sync_file(j) : CLI_OK;
}

/* The line of a cell; its length, or -1 when it is too long. */
static int64_t format_cell(const bench *b, const bench_section *s, const bench_cell *cell, char *out, size_t size)
{
    int32_t n_column = 0;
    const bench_column *column = bench_columns(&n_column);
    const char *comma = "";
    int n = snprintf(out, size, "{\"s\":%d,\"r\":%d,\"i\":%d,\"v\":{", (int)(s - b->section), cell->row, cell->item);
    size_t used = (size_t)n;
    for (int32_t i = 0; i < n_column && used < size; i++) {
        if (!isfinite(cell->value[i])) continue;
        n = snprintf(out + used, size - used, "%s\"%s\":%.17g", comma, column[i].key, cell->value[i]);
        used += (size_t)n;
        comma = ",";
    }
    if (used + 4 > size) return -1;
    memcpy(out + used, "}}\n", 4);
    return (int64_t)used + 3;
}

int bench_emit(bench *b, bench_section *s, const bench_cell *cell)
{
    char line[MAX_LINE];
    if (cell->row < 0 || cell->row >= s->n_row || cell->item < 0 || cell->item >= s->n_item) {
        cli_say(b->c, "%s: a cell of row %d, item %d in a section of %d rows and %d items", s->ask.name, cell->row,
                cell->item, s->n_row, s->n_item);
        return CLI_FAILED;
    }
    if (bench_has(s, cell->row, cell->item)) return CLI_OK;
    if (reserve(s) != 0) {
        cli_say(b->c, "%s: no room for the cells of %d rows and %d items", s->ask.name, s->n_row, s->n_item);
        return CLI_FAILED;
    }
    const int64_t n = b->journal != NULL ? format_cell(b, s, cell, line, sizeof line) : 0;
    if (n < 0) cli_say(b->c, "%s: a cell exceeds %d bytes", b->journal->path, MAX_LINE);
    const int rc = n < 0 ? CLI_FAILED : n > 0 ? append_line(b->journal, line, (size_t)n) : CLI_OK;
    if (rc == CLI_OK) store_cell(s, cell);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Values of a cell; columns come in order, so the next one is looked at first. */
static int read_values(const json_t *values, bench_cell *cell)
{
    int32_t n_column = 0, next = 0;
    const bench_column *column = bench_columns(&n_column);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        while (next < n_column && strcmp(column[next].key, key) != 0) next++;
        const int32_t at = next < n_column ? next : bench_column_find(key);
        if (at < 0 || !json_is_number(value)) return -1;
        cell->value[at] = json_number_value(value);
        next = at + 1;
    }
    return 0;
}

static int read_index(const json_t *object, const char *key, int64_t n, int32_t *out)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t at = json_is_integer(value) ? json_integer_value(value) : -1;
    if (at < 0 || at >= n) return -1;
    *out = (int32_t)at;
    return 0;
}

/* 0 and the cell is with its section, or -1: no cell of this bench. */
static int load_cell(bench *b, const json_t *object)
{
    int32_t at = 0, row = 0, item = 0;
    bench_cell cell;
    if (read_index(object, "s", b->n_section, &at) != 0) return -1;
    bench_section *s = &b->section[at];
    const json_t *values = json_object_get(object, "v");
    if (read_index(object, "r", s->n_row, &row) != 0 || read_index(object, "i", s->n_item, &item) != 0) return -1;
    bench_cell_clear(&cell, row, item);
    if (!json_is_object(values) || read_values(values, &cell) != 0 || reserve(s) != 0) return -1;
    if (!bench_has(s, row, item)) store_cell(s, &cell);
    return 0;
}

static int load_line(bench *b, const char *text, size_t n)
{
    if (n > MAX_LINE) return -1;
    json_t *object = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const int rc = json_is_object(object) ? load_cell(b, object) : -1;
    json_decref(object);
    return rc;
}

/* The head as it stands there against ours. */
static int check_head(const bench_journal *j, const char *text, size_t n, const json_t *head)
{
    char why[320];
    int rc = CLI_OK;
    json_t *theirs = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(theirs) || json_object_get(theirs, "pare_bench_journal") == NULL)
        rc = cli_usage(j->c, "%s: is no journal of a bench; name another folder", j->path);
    else if (bench_journal_differ(theirs, head, why, sizeof why))
        rc = cli_usage(j->c, "%s: is the journal of another bench, name another folder; %s", j->path, why);
    json_decref(theirs);
    return rc;
}

/* All whole lines of text[size]. */
static int load_lines(bench *b, const bench_journal *j, const char *text, size_t size, const json_t *head)
{
    int64_t number = 0;
    for (size_t at = 0; at < size;) {
        const char *line = text + at;
        const size_t n = (size_t)((const char *)memchr(line, '\n', size - at) - line);
        at += n + 1;
        if (*cli_stop_flag()) return CLI_STOPPED;
        if (number++ == 0) {
            const int rc = check_head(j, line, n, head);
            if (rc != CLI_OK) return rc;
        } else if (load_line(b, line, n) != 0) {
            cli_say(j->c, "%s:%" PRId64 ": is no cell of this bench", j->path, number);
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

/* Bytes of whole lines; -1 when the text is not the beginning of a journal. */
static int64_t whole_lines(const char *text, size_t size)
{
    static const char magic[] = BENCH_JOURNAL_MAGIC;
    const size_t n = size < sizeof magic - 1 ? size : sizeof magic - 1;
    if (memcmp(text, magic, n) != 0) return -1;
    while (size > 0 && text[size - 1] != '\n') size--;
    return (int64_t)size;
}

static int load_file(bench *b, bench_journal *j, const json_t *head)
{
    struct stat st;
    if (fstat(j->fd, &st) != 0) return fail_file(j, errno);
    if (!S_ISREG(st.st_mode)) return fail_file(j, EINVAL);
    if (st.st_size == 0) return CLI_OK;
    const size_t size = (size_t)st.st_size;
    char *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, j->fd, 0);
    if (text == MAP_FAILED) return fail_file(j, errno);
    j->size = whole_lines(text, size);
    int rc = j->size < 0 ? cli_usage(j->c, "%s: is no journal of a bench; name another folder", j->path)
                         : load_lines(b, j, text, (size_t)j->size, head);
    munmap(text, size);
    if (rc == CLI_OK && j->size < st.st_size && ftruncate(j->fd, j->size) != 0) rc = fail_file(j, errno);
    return rc;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int lock_file(bench_journal *j)
{
    if (mkdir(j->dir, 0777) != 0 && errno != EEXIST) {
        cli_say(j->c, "%s: %s", j->dir, strerror(errno));
        return CLI_FAILED;
    }
    j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->fd < 0) return fail_file(j, errno);
    if (flock(j->fd, LOCK_EX | LOCK_NB) == 0) return CLI_OK;
    if (errno != EWOULDBLOCK) return fail_file(j, errno);
    cli_say(j->c, "%s: in use by another bench", j->dir);
    return CLI_FAILED;
}

static int append_head(bench_journal *j, const json_t *head)
{
    char *text = json_dumps(head, JSON_COMPACT | JSON_REAL_PRECISION(17));
    const size_t n = text != NULL ? strlen(text) : 0;
    if (text == NULL) return fail_file(j, ENOMEM);
    text[n] = '\n'; /* in place of the end */
    int rc = append_line(j, text, n + 1);
    free(text);
    return rc == CLI_OK ? sync_file(j) : rc;
}

int bench_journal_open(bench *b, const char *dir, bench_journal **out)
{
    bench_journal *j = calloc(1, sizeof *j);
    json_t *head = NULL;
    int rc = CLI_FAILED;
    *out = NULL;
    if (j == NULL) return CLI_FAILED;
    *j = (bench_journal){.c = b->c, .fd = -1, .dir = strdup(dir)};
    if (j->dir == NULL || asprintf(&j->path, "%s/journal.jsonl", dir) < 0) {
        j->path = NULL;
        cli_say(b->c, "%s: out of memory", dir);
        goto done;
    }
    rc = lock_file(j);
    if (rc != CLI_OK) goto done;
    head = bench_journal_head(b);
    rc = *cli_stop_flag() ? CLI_STOPPED : head != NULL ? load_file(b, j, head) : fail_file(j, ENOMEM);
    if (rc == CLI_OK && j->size == 0) rc = append_head(j, head);
done:
    json_decref(head);
    if (rc == CLI_OK)
        *out = j;
    else
        bench_journal_close(&j);
    return rc;
}

void bench_journal_close(bench_journal **j)
{
    bench_journal *x = *j;
    *j = NULL;
    if (x == NULL) return;
    if (x->fd >= 0) {
        sync_file(x);
        close(x->fd);
    }
    free(x->dir);
    free(x->path);
    free(x);
}

char *bench_journal_path(const bench *b, const char *name)
{
    char *path = NULL;
    if (b->journal == NULL || asprintf(&path, "%s/%s", b->journal->dir, name) < 0) return NULL;
    return path;
}
