/* SPDX-License-Identifier: MIT */
/* What a kind of input implements. A driver delivers every frame in presentation order; media.c samples.
 * One driver = one file + one line in sources.c. */
#ifndef PARE_MEDIA_SOURCE_H
#define PARE_MEDIA_SOURCE_H

#include <pare/media.h>

enum {
    PARE__MAX_PICTURE_SIDE = 16384, /* pixels */
    PARE__MAX_PICTURE_PIXELS = 1 << 28,
    PARE__MAX_STAMPS = 1 << 26 /* frames of a clip whose stamps are listed */
};

/* Growing list of time stamps, seconds. */
typedef struct pare__stamps {
    double *pts; /* [n], owned */
    int64_t n, capacity;
} pare__stamps;

int pare__stamps_add(pare__stamps *s, double pts, pare_error *err);
void pare__stamps_sort(pare__stamps *s);
void pare__stamps_free(pare__stamps *s);

/* What is known of an input before it is opened. */
typedef struct pare__probe {
    const char *path;
    const pare_source_opts *opts;
    int is_file;      /* exists and is regular: `head` is valid */
    uint8_t head[16]; /* first bytes, zeros after the end */
} pare__probe;

typedef struct pare__source_driver {
    const char *name;   /* info.driver */
    const char *format; /* value of opts.format that asks for it; NULL: takes every name that is no other driver's */
    /* 0 = not mine, up to 3 = mine by content. */
    int (*probe)(const pare__probe *p);
    /* `opts` and `info` outlive the driver's state; info is filled here and n_damaged grows later. */
    int (*open)(void **self, const char *path, const pare_source_opts *opts, pare_source_info *info, pare_error *err);
    /* Next frame, borrowed until the next call; PARE_EOF. */
    int (*next)(void *self, pare_frame *frame, pare_error *err);
    /* Following frames start at a key frame at or before `pts`; NULL if the input is cheap to read from its start. */
    int (*seek)(void *self, double pts, pare_error *err);
    /* Adds the stamps of all frames, ascending, without disturbing the reading position. */
    int (*stamps)(void *self, pare__stamps *out, pare_error *err);
    void (*close)(void *self);
} pare__source_driver;

/* The driver for `path`: by opts.format, else by content, else by name. */
int pare__source_pick(const pare__source_driver **out, const char *path, const pare_source_opts *opts, pare_error *err);

/* 0, or LIMIT naming both numbers. */
int pare__picture_check(const char *path, int64_t width, int64_t height, pare_error *err);

/* True if the name ends with one of the n suffixes, without regard to case. */
int pare__has_suffix(const char *path, const char *const *suffix, int n);

extern const pare__source_driver pare__source_y4m, pare__source_rgb24, pare__source_stb, pare__source_av;

/* A y4m stream that lies in memory (borrowed), for the fuzz target: next and close are those of pare__source_y4m. */
int pare__y4m_open_memory(void **self, const uint8_t *data, size_t n, pare_source_info *info, pare_error *err);

#endif
