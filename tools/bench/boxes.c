/* SPDX-License-Identifier: MIT */
/* Reader of MOT boxes (boxes.h). */
#include "boxes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 4096, MAX_FIELDS = 32, MAX_BOXES = 1 << 24 };

/* Where in which file: messages begin with it. */
typedef struct place {
    const char *path;
    int64_t line;
} place;

static const char blanks[] = " \t\r\n";

/* ---- one line ------------------------------------------------------------------------------------------------- */

static int read_fields(const place *at, const char *text, double *out, int *n, pare_error *err)
{
    for (*n = 0; *n < MAX_FIELDS; text++) {
        char *end;
        text += strspn(text, blanks);
        out[(*n)++] = strtod(text, &end);
        const int is_number = end > text && isfinite(out[*n - 1]);
        end += strspn(end, blanks);
        if (!is_number || (*end != ',' && *end != '\0'))
            return pare_fail(err, PARE_E_FORMAT, "%s:%lld: '%.*s' is not a number", at->path, (long long)at->line,
                             (int)strcspn(text, ",\r\n"), text);
        if (*end == '\0') return 0;
        text = end;
        if (text[1 + strspn(text + 1, blanks)] == '\0') return 0; /* a comma at the end of the line */
    }
    return pare_fail(err, PARE_E_FORMAT, "%s:%lld: more than %d fields", at->path, (long long)at->line, MAX_FIELDS);
}

/* 0 and a box, 1 for a line without one. */
static int read_box(const place *at, const char *text, bench_mot_box *out, pare_error *err)
{
    double f[MAX_FIELDS];
    int n;
    text += strspn(text, blanks);
    if (*text == '\0' || *text == '#') return 1;
    const int rc = read_fields(at, text, f, &n, err);
    if (rc != 0) return rc;
    if (n < 6)
        return pare_fail(err, PARE_E_FORMAT, "%s:%lld: %d fields, a box has at least 6: frame,id,x,y,w,h", at->path,
                         (long long)at->line, n);
    if (!(f[0] >= 1) || f[0] > 1e9 || f[0] != floor(f[0]))
        return pare_fail(err, PARE_E_FORMAT, "%s:%lld: frame %.10g: frames are whole numbers and count from 1",
                         at->path, (long long)at->line, f[0]);
    if (f[4] < 0 || f[5] < 0)
        return pare_fail(err, PARE_E_FORMAT, "%s:%lld: a box of %.10g x %.10g pixels", at->path, (long long)at->line,
                         f[4], f[5]);
    *out = (bench_mot_box){(int64_t)f[0], f[2], f[3], f[2] + f[4], f[3] + f[5]};
    return n > 6 && f[6] == 0;
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static int append(bench_boxes *b, const place *at, const bench_mot_box *box, pare_error *err)
{
    if (b->n == b->cap) {
        const int64_t cap = b->cap > 0 ? 2 * b->cap : 1024;
        bench_mot_box *grown = cap <= MAX_BOXES ? realloc(b->item, (size_t)cap * sizeof *grown) : NULL;
        if (cap > MAX_BOXES)
            return pare_fail(err, PARE_E_LIMIT, "%s:%lld: more than %d boxes", at->path, (long long)at->line,
                             MAX_BOXES);
        if (grown == NULL)
            return pare_fail(err, PARE_E_NOMEM, "%s: out of memory for %lld boxes", at->path, (long long)cap);
        b->item = grown;
        b->cap = cap;
    }
    b->item[b->n++] = *box;
    return 0;
}

static int read_line(bench_boxes *b, const place *at, const char *line, size_t size, pare_error *err)
{
    bench_mot_box box;
    if (strlen(line) != size)
        return pare_fail(err, PARE_E_FORMAT, "%s:%lld: a NUL byte", at->path, (long long)at->line);
    const int rc = read_box(at, line, &box, err);
    return rc == 0 ? append(b, at, &box, err) : rc < 0 ? rc : 0;
}

static int read_all(FILE *f, const char *path, bench_boxes *b, pare_error *err)
{
    place at = {path, 0};
    char line[MAX_LINE];
    int rc = 0, c = 0;
    while (rc == 0 && c != EOF) {
        size_t n = 0;
        while ((c = getc(f)) != EOF && c != '\n' && n + 1 < sizeof line) line[n++] = (char)c;
        line[n] = '\0';
        at.line++;
        rc = c == EOF || c == '\n' ? read_line(b, &at, line, n, err)
                                   : pare_fail(err, PARE_E_LIMIT, "%s:%lld: a line of more than %d bytes", path,
                                               (long long)at.line, MAX_LINE);
    }
    if (rc == 0 && ferror(f)) return pare_fail(err, PARE_E_IO, "%s: %s", path, strerror(errno));
    return rc;
}

static int by_frame(const void *a, const void *b)
{
    const int64_t x = ((const bench_mot_box *)a)->frame, y = ((const bench_mot_box *)b)->frame;
    return (x > y) - (x < y);
}

int bench_boxes_read(const char *path, bench_boxes *out, pare_error *err)
{
    *out = (bench_boxes){0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) return pare_fail(err, PARE_E_IO, "%s: %s", path, strerror(errno));
    int rc = read_all(f, path, out, err);
    fclose(f);
    if (rc != 0) bench_boxes_free(out);
    if (rc == 0 && out->n > 0) qsort(out->item, (size_t)out->n, sizeof *out->item, by_frame);
    return rc;
}

/* ---- questions ------------------------------------------------------------------------------------------------ */

/* First box of a frame >= `frame`. */
static int64_t lower_bound(const bench_boxes *b, int64_t frame)
{
    int64_t lo = 0, hi = b->n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (b->item[mid].frame < frame)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const bench_mot_box *bench_boxes_of(const bench_boxes *b, int64_t frame, int64_t *n)
{
    const int64_t first = lower_bound(b, frame);
    *n = lower_bound(b, frame + 1) - first;
    return *n > 0 ? b->item + first : NULL;
}

int bench_boxes_hold(const bench_mot_box *box, int64_t n, double x, double y)
{
    for (int64_t i = 0; i < n; i++)
        if (x >= box[i].x0 && x < box[i].x1 && y >= box[i].y0 && y < box[i].y1) return 1;
    return 0;
}

void bench_boxes_free(bench_boxes *b)
{
    free(b->item);
    *b = (bench_boxes){0};
}
