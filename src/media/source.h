/* SPDX-License-Identifier: MIT */
/* What a kind of input implements. A driver delivers every frame in presentation order; media.c samples, and may do so
 * in a thread of its own (ahead.h). One driver = one file + one line in sources.c. */
#ifndef PARE_MEDIA_SOURCE_H
#define PARE_MEDIA_SOURCE_H

#include <pare/media.h>
#include <stdatomic.h>

enum {
    PARE__MAX_PICTURE_SIDE = 16384, /* pixels */
    PARE__MAX_PICTURE_PIXELS = 1 << 28,
    PARE__MAX_STAMPS = 1 << 26, /* frames of a clip whose stamps are listed */
    PARE__MAX_AHEAD = 64,       /* frames read ahead */
    PARE__MAX_STREAMS = 1024    /* streams of a file */
};

/* Growable list of time stamps, seconds. */
typedef struct pare__stamps {
    double *pts; /* [n], owned */
    int64_t n, capacity;
} pare__stamps;

int pare__stamps_add(pare__stamps *s, double pts, pare_error *err);
void pare__stamps_sort(pare__stamps *s);
void pare__stamps_free(pare__stamps *s);

/* Memory for the motion of a frame; zeroed at the beginning. */
typedef struct pare__motion_room {
    pare_motion motion;
    int16_t *vector; /* [2 n, 2] */
    uint8_t *kind;   /* [2 n] */
    size_t n;        /* blocks */
} pare__motion_room;

/* Room for two pictures of n blocks; what was in it is lost when it grows. */
int pare__motion_reserve(pare__motion_room *m, size_t n, pare_error *err);

/* Memory for the pixels of a frame and for what is known beside them; zeroed at the beginning. */
typedef struct pare__picture {
    uint8_t *rgb;
    size_t size; /* bytes */
    pare__motion_room motion;
} pare__picture;

/* Room for `size` bytes, aligned for vector code; what was in it is lost when it grows. */
int pare__picture_reserve(pare__picture *p, size_t size, pare_error *err);
void pare__picture_free(pare__picture *p);

/* Why reading ends early, also a read that waits: the caller's flag, or a source that is being closed. */
typedef struct pare__stop {
    const volatile int *asked; /* pare_source_opts.stop, or NULL */
    _Atomic int closing;
} pare__stop;

static inline int pare__is_stopped(const pare__stop *s)
{
    return (s->asked && __atomic_load_n(s->asked, __ATOMIC_RELAXED)) || atomic_load(&s->closing);
}

enum { PARE__HEAD = 16 };

/* What a driver opens; outlives the driver's state. */
typedef struct pare__input {
    const char *path;
    const pare_source_opts *opts;
    pare__stop stop;
    int is_file; /* exists and is regular */
    uint8_t
        head[PARE__HEAD]; /* first n_head bytes of a file or of stdin, zeros behind; those of stdin are taken from it */
    int32_t n_head;
} pare__input;

typedef struct pare__source_driver {
    const char *name;   /* info.driver */
    const char *format; /* value of opts.format that asks for it; NULL: takes every name that is no other driver's */
    /* 0 = not mine, up to 3 = mine by content. */
    int (*probe)(const pare__input *p);
    /* `input` and `info` outlive the driver's state; info is filled here and n_damaged grows later. */
    int (*open)(void **self, const pare__input *input, pare_source_info *info, pare_error *err);
    /* The next frame's stamps, without its pixels; PARE_EOF. A wait ends when the input is stopped, whichever thread
     * waits. */
    int (*next)(void *self, pare_frame *frame, pare_error *err);
    /* The pixels of the frame that `next` gave last into `to`, upright; the rest of `frame`. At most once per frame. */
    int (*pixels)(void *self, pare__picture *to, pare_frame *frame, pare_error *err);
    /* Following frames start at a key frame at or before `pts`; NULL if the input is cheap to read from its start. */
    int (*seek)(void *self, double pts, pare_error *err);
    /* Adds the stamps of all frames, ascending, without disturbing the reading position. */
    int (*stamps)(void *self, pare__stamps *out, pare_error *err);
    void (*close)(void *self);
} pare__source_driver;

/* The driver for an input: by opts.format, else by content, else by name. Fills is_file and head. */
int pare__source_pick(const pare__source_driver **out, pare__input *input, pare_error *err);

/* 0, or LIMIT naming both numbers. */
int pare__picture_check(const char *path, int64_t width, int64_t height, pare_error *err);

/* True if the name ends with one of the n suffixes, without regard to case. */
int pare__has_suffix(const char *path, const char *const *suffix, int n);

extern const pare__source_driver pare__source_y4m, pare__source_rgb24, pare__source_stb, pare__source_av;

/* A y4m stream that lies in memory (borrowed), for the fuzz target; next, pixels and close are those of
 * pare__source_y4m. */
int pare__y4m_open_memory(void **self, const uint8_t *data, size_t n, pare_source_info *info, pare_error *err);

#endif
