/* SPDX-License-Identifier: MIT */
/* The table of drivers and the choice among them. */
#include "media/raw_input.h"
#include "media/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const pare__source_driver *const drivers[] = {
    &pare__source_y4m,
    &pare__source_rgb24,
    &pare__source_stb,
    &pare__source_av,
};
enum { N_DRIVERS = sizeof drivers / sizeof drivers[0] };

/* ---- helpers that drivers share -------------------------------------------------------------------------------- */

int pare__stamps_add(pare__stamps *s, double pts, pare_error *err)
{
    if (s->n == PARE__MAX_STAMPS)
        return pare_fail(err, PARE_E_LIMIT, "more than %d frames in one clip", PARE__MAX_STAMPS);
    if (s->n == s->capacity) {
        int64_t capacity = s->capacity ? 2 * s->capacity : 1024;
        double *grown = realloc(s->pts, (size_t)capacity * sizeof *grown);
        if (!grown) return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld time stamps", (long long)capacity);
        s->pts = grown;
        s->capacity = capacity;
    }
    s->pts[s->n++] = pts;
    return 0;
}

static int compare_stamps(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pare__stamps_sort(pare__stamps *s)
{
    if (s->n) qsort(s->pts, (size_t)s->n, sizeof *s->pts, compare_stamps);
}

void pare__stamps_free(pare__stamps *s)
{
    free(s->pts);
    *s = (pare__stamps){0};
}

enum { PICTURE_ALIGNMENT = 64 };

int pare__picture_reserve(pare__picture *p, size_t size, pare_error *err)
{
    if (p->size >= size) return 0;
    void *rgb = NULL;
    free(p->rgb);
    p->rgb = NULL;
    p->size = 0;
    if (posix_memalign(&rgb, PICTURE_ALIGNMENT, size))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %zu bytes", size);
    p->rgb = rgb;
    p->size = size;
    return 0;
}

static void free_motion(pare__motion_room *m)
{
    free(m->vector);
    free(m->kind);
    *m = (pare__motion_room){0};
}

int pare__motion_reserve(pare__motion_room *m, size_t n, pare_error *err)
{
    if (m->n >= n) return 0;
    free_motion(m);
    m->vector = malloc(2 * n * 2 * sizeof *m->vector);
    m->kind = malloc(2 * n);
    m->n = m->vector && m->kind ? n : 0;
    return m->n ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory for the motion of %zu blocks", n);
}

void pare__picture_free(pare__picture *p)
{
    free(p->rgb);
    free_motion(&p->motion);
    *p = (pare__picture){0};
}

int pare__picture_check(const char *path, int64_t width, int64_t height, pare_error *err)
{
    if (width < 1 || height < 1)
        return pare_fail(err, PARE_E_FORMAT, "'%.160s': picture of %lld x %lld pixels", path, (long long)width,
                         (long long)height);
    int64_t side = width > height ? width : height;
    if (side > PARE__MAX_PICTURE_SIDE)
        return pare_fail(err, PARE_E_LIMIT, "'%.120s': picture of %lld x %lld pixels, a side may have %d", path,
                         (long long)width, (long long)height, PARE__MAX_PICTURE_SIDE);
    if (width * height > PARE__MAX_PICTURE_PIXELS)
        return pare_fail(err, PARE_E_LIMIT, "'%.120s': picture of %lld x %lld = %lld pixels, limit %d", path,
                         (long long)width, (long long)height, (long long)(width * height), PARE__MAX_PICTURE_PIXELS);
    return 0;
}

int pare__has_suffix(const char *path, const char *const *suffix, int n)
{
    const char *dot = strrchr(path, '.');
    for (int i = 0; dot && i < n; i++)
        if (!strcasecmp(dot, suffix[i])) return 1;
    return 0;
}

/* ---- choice ---------------------------------------------------------------------------------------------------- */

static int pick_by_format(const pare__source_driver **out, const char *format)
{
    for (int i = 0; i < N_DRIVERS; i++)
        if (!drivers[i]->format || !strcmp(drivers[i]->format, format)) {
            *out = drivers[i];
            return 0;
        }
    return PARE_E_NOTFOUND;
}

static int is_pattern(const char *path) { return strchr(path, '%') != NULL; }

/* Regular files give their first bytes, and so does stdin, if they must tell what it is; named pipes, devices and URLs must
 * not be touched twice. */
static int look(pare__input *p, pare_error *err)
{
    struct stat st;
    if (!strcmp(p->path, "-")) return p->opts->width > 0 ? 0 : pare__raw_head(p, err);
    if (stat(p->path, &st)) {
        if (is_pattern(p->path) || strchr(p->path, ':')) return 0;
        return pare_fail(err, PARE_E_IO, "cannot open '%.160s': %s", p->path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) return pare_fail(err, PARE_E_IO, "cannot open '%.160s': it is a directory", p->path);
    if (!S_ISREG(st.st_mode)) return 0;
    FILE *f = fopen(p->path, "rb");
    if (!f) return pare_fail(err, PARE_E_IO, "cannot open '%.160s': %s", p->path, strerror(errno));
    p->n_head = (int32_t)fread(p->head, 1, sizeof p->head, f);
    fclose(f);
    if (!p->n_head) return pare_fail(err, PARE_E_FORMAT, "'%.160s' is empty", p->path);
    p->is_file = 1;
    return 0;
}

int pare__source_pick(const pare__source_driver **out, pare__input *input, pare_error *err)
{
    if (input->opts->format) return pick_by_format(out, input->opts->format);
    int rc = look(input, err), best = 0;
    if (rc) return rc;
    for (int i = 0; i < N_DRIVERS; i++) {
        int score = drivers[i]->probe(input);
        if (score > best) {
            best = score;
            *out = drivers[i];
        }
    }
    return 0;
}
