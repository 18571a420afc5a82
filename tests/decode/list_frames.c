/* SPDX-License-Identifier: MIT */
/* list_frames PATH [name=value]...: what pare_source delivers, for tests in other languages. A line per frame:
 * pts duration width height rotation mirrored hash, then "end" and facts, or "error" and the text. Options are those of
 * pare_source_opts; raw=FILE appends the pixels of every frame, dense RGB; only=N prints and saves that one frame; max=N
 * stops after N frames. Exit status: 0, or 1 after an error. */
#include <pare/media.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct listing {
    const char *raw;
    int64_t only, max; /* -1: all */
} listing;

static int is_set(const char *text, const char *name, const char **value)
{
    const size_t n = strlen(name);
    if (strncmp(text, name, n) != 0 || text[n] != '=') return 0;
    *value = text + n + 1;
    return 1;
}

static int parse(const char *text, pare_source_opts *o, listing *l)
{
    const char *v;
    if (is_set(text, "format", &v))
        o->format = v;
    else if (is_set(text, "start", &v))
        o->start = atof(v);
    else if (is_set(text, "end", &v))
        o->end = atof(v);
    else if (is_set(text, "stream", &v))
        o->stream = atoi(v);
    else if (is_set(text, "timeout", &v))
        o->timeout = atof(v);
    else if (is_set(text, "reconnects", &v))
        o->reconnects = atoi(v);
    else if (is_set(text, "read_ahead", &v))
        o->read_ahead = atoi(v);
    else if (is_set(text, "n_threads", &v))
        o->n_threads = atoi(v);
    else if (is_set(text, "raw", &v))
        l->raw = v;
    else if (is_set(text, "only", &v))
        l->only = atoll(v);
    else if (is_set(text, "max", &v))
        l->max = atoll(v);
    else
        return -1;
    return 0;
}

/* FNV-1a over the visible pixels. */
static uint64_t hash(const pare_frame *f)
{
    uint64_t h = 1469598103934665603u;
    for (int32_t y = 0; y < f->height; y++)
        for (int64_t x = 0; x < (int64_t)f->width * 3; x++) h = (h ^ f->rgb[y * f->stride + x]) * 1099511628211u;
    return h;
}

static int save(const listing *l, const pare_frame *f)
{
    FILE *file = l->raw ? fopen(l->raw, "ab") : NULL;
    if (!file) return l->raw ? -1 : 0;
    for (int32_t y = 0; y < f->height; y++) fwrite(f->rgb + y * f->stride, 3, (size_t)f->width, file);
    return fclose(file);
}

static int list(pare_source *s, const listing *l, pare_error *err)
{
    pare_frame f = {.struct_size = sizeof f};
    int rc = 0;
    for (int64_t i = 0; i != l->max && !(rc = pare_source_read(s, &f, err)); i++) {
        if (l->only >= 0 && i != l->only) continue;
        printf("%.6f %.6f %d %d %d %d %016" PRIx64 "\n", f.pts, f.duration, f.width, f.height, f.rotation, f.mirrored,
               hash(&f));
        fflush(stdout);
        if (save(l, &f)) return pare_fail(err, PARE_E_IO, "cannot write %s", l->raw);
    }
    return rc == PARE_EOF ? 0 : rc;
}

int main(int argc, char **argv)
{
    pare_source_opts opts = {.struct_size = sizeof opts};
    listing l = {.only = -1, .max = -1};
    pare_source_info info = {.struct_size = sizeof info};
    pare_source *s = NULL;
    pare_error err = {0};
    for (int i = 2; i < argc; i++)
        if (parse(argv[i], &opts, &l)) return fprintf(stderr, "list_frames: %s?\n", argv[i]), 2;
    int rc = argc < 2 ? PARE_E_INVALID : pare_source_open(&s, argv[1], &opts, &err);
    if (!rc) rc = list(s, &l, &err);
    if (s) {
        pare_source_get(s, &info, NULL);
        printf("end damaged %lld flawed %d reconnects %d sizes %d stream %d/%d interlaced %d aspect %g live %d\n",
               (long long)info.n_damaged, info.n_flawed, info.n_reconnects, info.n_size_changes, info.stream,
               info.n_streams, info.is_interlaced, info.pixel_aspect, info.is_live);
    }
    if (rc) printf("error %d %s\n", rc, err.text);
    pare_source_close(&s);
    return rc != 0;
}
