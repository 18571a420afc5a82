/* SPDX-License-Identifier: MIT */
/* pare_source: a driver's frames, sampled. Options are checked here; drivers know nothing of sampling.
 *
 * `frames` needs all stamps before the first frame: they are listed in a pass of their own, and reading then takes the
 * first frame at or after each chosen stamp. A start far into a clip seeks to a key frame and decodes forward; if the
 * first frame after the seek is already past the start, the clip is read from its beginning instead. Only frames that are
 * taken become pixels.
 *
 * With read_ahead, from the first read on a thread does all of this (ahead.h), and the caller's side only takes what has
 * arrived: each arrival carries what was known when it was read, so that nothing shows how far ahead the thread is. */
#include "media/ahead.h"
#include "media/sample.h"
#include "media/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEK_FROM 2.0       /* seconds; an earlier start is cheaper to reach by decoding */
#define MAX_RATE 1e6        /* frames per second of any option */
#define MAX_TIMEOUT 86400.0 /* seconds */
#define MAX_AHEAD_BYTES ((int64_t)64 << 20)

struct pare_source {
    const pare__source_driver *driver;
    pare__input input;
    char *path, *format;
    pare_source_opts opts;
    pare__sampling sampling;
    pare__stamps target; /* frames = N: chosen stamps, ascending */

    /* whoever reads: the thread, once there is one */
    void *self; /* the driver's state */
    pare_source_info info;
    pare__sample_state state;
    int64_t next_target;
    pare_frame pending; /* delivered by the driver, not yet looked at */
    int has_pending, entered;
    double origin, last_pts; /* of the clip's first frame, also before the range; of the last one */
    int has_origin;
    int64_t n_decoded, n_delivered;
    int32_t width, height, n_size_changes; /* of the last picture that was delivered; so far */

    /* the caller's side */
    pare__arrival here;     /* without a thread */
    pare__ahead *ahead;     /* NULL: none, or nothing was read yet */
    pare_source_info known; /* as of the last read */
    int done;               /* 0, or what every further read answers */
};

/* ---- options --------------------------------------------------------------------------------------------------- */

static int check_number(const char *name, double value, double max, pare_error *err)
{
    if (value >= 0 && value <= max) return 0; /* false for NaN */
    return pare_fail(err, PARE_E_INVALID, "source option %s is %g, must be between 0 and %g", name, value, max);
}

static int check_opts(const pare_source_opts *o, pare_error *err)
{
    int rc = check_number("start", o->start, 1e9, err);
    if (!rc) rc = check_number("end", o->end, 1e9, err);
    if (!rc) rc = check_number("fps", o->fps, MAX_RATE, err);
    if (!rc) rc = check_number("rate", o->rate, MAX_RATE, err);
    if (!rc) rc = check_number("frames", (double)o->frames, PARE__MAX_STAMPS, err);
    if (!rc) rc = check_number("every", (double)o->every, 1e15, err);
    if (!rc) rc = check_number("n_threads", o->n_threads, 256, err);
    if (!rc) rc = check_number("read_ahead", o->read_ahead, PARE__MAX_AHEAD, err);
    if (!rc) rc = check_number("timeout", o->timeout, MAX_TIMEOUT, err);
    if (!rc) rc = check_number("reconnects", o->reconnects, 1e9, err);
    if (!rc) rc = check_number("stream", o->stream, PARE__MAX_STREAMS, err);
    if (rc) return rc;
    if (o->width < 0 || o->height < 0)
        return pare_fail(err, PARE_E_INVALID, "source size %d x %d is negative", o->width, o->height);
    if (o->end > 0 && o->end <= o->start)
        return pare_fail(err, PARE_E_INVALID, "end %g s is not after start %g s", o->end, o->start);
    if ((o->fps > 0) + (o->frames > 0) + (o->every > 0) > 1)
        return pare_fail(err, PARE_E_INVALID, "fps %g, frames %lld, every %lld: only one of them may be given", o->fps,
                         (long long)o->frames, (long long)o->every);
    return 0;
}

/* Copies what both sides know of a struct that starts with its size. */
static int copy_opts(pare_source_opts *to, const pare_source_opts *from, pare_error *err)
{
    *to = (pare_source_opts){.struct_size = sizeof *to};
    if (!from) return 0;
    if (from->struct_size < sizeof from->struct_size)
        return pare_fail(err, PARE_E_INVALID, "pare_source_opts.struct_size is %u", from->struct_size);
    memcpy(to, from, from->struct_size < sizeof *to ? from->struct_size : sizeof *to);
    to->struct_size = sizeof *to;
    return check_opts(to, err);
}

/* ---- open and close -------------------------------------------------------------------------------------------- */

static int is_stopped(const pare_source *s) { return pare__is_stopped(&s->input.stop); }

static int open_driver(pare_source *s, pare_error *err)
{
    s->info =
        (pare_source_info){.driver = s->driver->name, .codec = "", .n_streams = 1, .stream = 1, .pixel_aspect = 1};
    return s->driver->open(&s->self, &s->input, &s->info, err);
}

static void close_driver(pare_source *s)
{
    if (s->self) s->driver->close(s->self);
    s->self = NULL;
    s->has_pending = 0;
}

static int driver_stamps(pare_source *s, pare__stamps *out, pare_error *err)
{
    if (!s->self) return pare_fail(err, PARE_E_STATE, "'%.160s': frames counted after a failure", s->path);
    return s->driver->stamps(s->self, out, err);
}

static int list_stamps(pare_source *s, pare__stamps *out, pare_error *err)
{
    if (s->known.is_live)
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "'%.120s' cannot be read twice: its frames cannot be counted beforehand (frames = N, totals)",
                         s->path);
    if (s->ahead) pare__ahead_pause(s->ahead);
    int rc = driver_stamps(s, out, err);
    if (s->ahead) pare__ahead_resume(s->ahead);
    if (rc) return rc;
    if (is_stopped(s)) return pare_fail(err, PARE_E_IO, "'%.160s': interrupted", s->path);
    if (!out->n) return pare_fail(err, PARE_E_FORMAT, "'%.160s' holds no frame", s->path);
    pare__stamps_sort(out);
    return 0;
}

/* Reduces the list of all stamps to those that sampling takes. */
static int sample_stamps(const pare_source *s, pare__stamps *list, pare_error *err)
{
    uint8_t *take = malloc((size_t)list->n);
    if (!take) return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld time stamps", (long long)list->n);
    pare__sample_list(&s->sampling, list->pts, list->n, take);
    int64_t n = 0;
    for (int64_t i = 0; i < list->n; i++)
        if (take[i]) list->pts[n++] = list->pts[i];
    list->n = n;
    free(take);
    return 0;
}

static int list_sampled(pare_source *s, pare__stamps *out, pare_error *err)
{
    int rc = list_stamps(s, out, err);
    return rc ? rc : sample_stamps(s, out, err);
}

static int open_source(pare_source *s, const char *path, const pare_source_opts *opts, pare_error *err)
{
    int rc = copy_opts(&s->opts, opts, err);
    if (rc) return rc;
    s->path = strdup(path);
    s->format = s->opts.format ? strdup(s->opts.format) : NULL;
    if (!s->path || (s->opts.format && !s->format)) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->opts.format = s->format;
    s->input.path = s->path;
    s->input.opts = &s->opts;
    s->input.stop.asked = s->opts.stop;
    s->sampling = (pare__sampling){.start = s->opts.start,
                                   .end = s->opts.end,
                                   .fps = s->opts.fps,
                                   .frames = s->opts.frames,
                                   .every = s->opts.every};
    rc = pare__source_pick(&s->driver, &s->input, err);
    if (!rc) rc = open_driver(s, err);
    s->known = s->info;
    if (!rc && s->opts.frames > 0) rc = list_sampled(s, &s->target, err);
    return rc;
}

int pare_source_open(pare_source **out, const char *path, const pare_source_opts *opts, pare_error *err)
{
    if (!out) return pare_fail(err, PARE_E_INVALID, "pare_source_open: out is NULL");
    *out = NULL;
    if (!path || !*path) return pare_fail(err, PARE_E_INVALID, "the name of an input is empty");
    pare_source *s = calloc(1, sizeof *s);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int rc = open_source(s, path, opts, err);
    if (rc && is_stopped(s)) rc = pare_fail(err, PARE_E_IO, "'%.160s': interrupted", path);
    if (rc)
        pare_source_close(&s);
    else
        *out = s;
    return rc;
}

void pare_source_close(pare_source **source)
{
    if (!source || !*source) return;
    pare_source *s = *source;
    atomic_store(&s->input.stop.closing, 1);
    pare__ahead_free(&s->ahead);
    close_driver(s);
    pare__picture_free(&s->here.picture);
    pare__stamps_free(&s->target);
    free(s->path);
    free(s->format);
    free(s);
    *source = NULL;
}

int pare_source_get(const pare_source *s, pare_source_info *info, pare_error *err)
{
    if (!s || !info) return pare_fail(err, PARE_E_INVALID, "pare_source_get: %s is NULL", s ? "info" : "source");
    uint32_t size = info->struct_size;
    if (size < sizeof size) return pare_fail(err, PARE_E_INVALID, "pare_source_info.struct_size is %u", size);
    memcpy(info, &s->known, size < sizeof *info ? size : sizeof *info);
    info->struct_size = size;
    return 0;
}

int pare_source_count(pare_source *s, int64_t *n, pare_error *err)
{
    if (!s || !n) return pare_fail(err, PARE_E_INVALID, "pare_source_count: %s is NULL", s ? "n" : "source");
    if (s->opts.frames > 0) {
        *n = s->target.n;
        return 0;
    }
    pare__stamps list = {0};
    int rc = list_sampled(s, &list, err);
    if (rc && is_stopped(s)) rc = pare_fail(err, PARE_E_IO, "'%.160s': interrupted", s->path);
    if (!rc) *n = list.n;
    pare__stamps_free(&list);
    return rc;
}

/* ---- one read, in whichever thread ------------------------------------------------------------------------------ */

static int next_frame(pare_source *s, pare_frame *frame, pare_error *err)
{
    if (s->has_pending) {
        *frame = s->pending;
        s->has_pending = 0;
        return 0;
    }
    int rc = s->driver->next(s->self, frame, err);
    if (rc) return rc;
    s->n_decoded++;
    s->last_pts = frame->pts;
    if (!s->has_origin) s->origin = frame->pts;
    s->has_origin = 1;
    return 0;
}

static int restart(pare_source *s, pare_error *err)
{
    close_driver(s);
    s->n_decoded = 0;
    return open_driver(s, err);
}

/* Tries to arrive shortly before the start of the range. The first frame of all gives the origin of time. */
static int enter_range(pare_source *s, pare_error *err)
{
    s->entered = 1;
    if (s->sampling.start < SEEK_FROM || !s->driver->seek || s->info.is_live || s->info.is_image) return 0;
    pare_frame first;
    int rc = next_frame(s, &first, err);
    if (rc) return rc;
    s->state.started = 1;
    s->state.origin = first.pts;
    double start = first.pts + s->sampling.start;
    if (s->driver->seek(s->self, start, NULL)) return restart(s, err);
    rc = next_frame(s, &s->pending, NULL);
    if (rc || s->pending.pts > start) return restart(s, err);
    s->has_pending = 1;
    return 0;
}

/* frames = N: this frame stands for every chosen stamp before it, and for one of its own. */
static int take_target(pare_source *s, double pts)
{
    int64_t before = s->next_target;
    while (s->next_target < s->target.n && s->target.pts[s->next_target] < pts) s->next_target++;
    if (s->next_target < s->target.n && s->target.pts[s->next_target] <= pts) s->next_target++;
    return s->next_target > before;
}

static int verdict(pare_source *s, double pts)
{
    if (s->opts.frames <= 0) return pare__sample_next(&s->sampling, &s->state, pts);
    return s->next_target < s->target.n ? take_target(s, pts) : -1;
}

/* The end: an error if it came before anything could be delivered. */
static int finish(pare_source *s, pare_error *err)
{
    if (s->n_delivered || is_stopped(s)) return PARE_EOF;
    if (!s->n_decoded)
        return pare_fail(err, PARE_E_FORMAT, "'%.120s': no frame could be decoded (%lld damaged)", s->path,
                         (long long)s->info.n_damaged);
    return pare_fail(err, PARE_E_INVALID,
                     "'%.120s': no frame lies in the range from %g s; the last one read is at %g s", s->path,
                     s->opts.start, s->last_pts - s->state.origin);
}

static int read_sampled(pare_source *s, pare__arrival *a)
{
    int rc = s->entered ? 0 : enter_range(s, &a->err), take = 0;
    while (!rc && !take) {
        if (is_stopped(s)) return PARE_EOF;
        rc = next_frame(s, &a->frame, &a->err);
        take = rc ? 0 : verdict(s, a->frame.pts);
    }
    if (take < 0) return finish(s, &a->err);
    if (!rc) rc = s->driver->pixels(s->self, &a->picture, &a->frame, &a->err);
    if (!rc) return 0;
    if (is_stopped(s)) return PARE_EOF;
    return rc == PARE_EOF ? finish(s, &a->err) : rc;
}

static void count_delivered(pare_source *s, const pare_frame *f)
{
    s->n_size_changes += s->n_delivered > 0 && (f->width != s->width || f->height != s->height);
    s->width = f->width;
    s->height = f->height;
    s->n_delivered++;
}

static void read_next(void *source, pare__arrival *a)
{
    pare_source *s = source;
    a->rc = read_sampled(s, a);
    if (!a->rc) count_delivered(s, &a->frame);
    a->info = s->info;
    a->info.origin = s->origin;
    a->info.n_size_changes = s->n_size_changes;
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

/* Buffers of large pictures are few, but at least one is read ahead. */
static int32_t frames_ahead(const pare_source *s)
{
    const int64_t bytes = (int64_t)s->known.width * s->known.height * 3;
    const int64_t most = bytes > 0 ? MAX_AHEAD_BYTES / bytes : PARE__MAX_AHEAD;
    return most < 1 ? 1 : most < s->opts.read_ahead ? (int32_t)most : s->opts.read_ahead;
}

/* The first read starts the thread. A still has nothing to read meanwhile. */
static int start_ahead(pare_source *s, pare_error *err)
{
    if (s->ahead || !s->opts.read_ahead || s->known.is_image) return 0;
    return pare__ahead_start(&s->ahead, frames_ahead(s), read_next, s, &s->input.stop, err);
}

/* NULL: stopped while waiting for the thread. */
static const pare__arrival *next_arrival(pare_source *s)
{
    if (s->ahead) return pare__ahead_take(s->ahead);
    read_next(s, &s->here);
    return &s->here;
}

int pare_source_read(pare_source *s, pare_frame *frame, pare_error *err)
{
    if (!s || !frame) return pare_fail(err, PARE_E_INVALID, "pare_source_read: %s is NULL", s ? "frame" : "source");
    const uint32_t size = frame->struct_size;
    if (size < sizeof size)
        return pare_fail(err, PARE_E_INVALID, "pare_source_read: struct_size of the frame is %u", size);
    if (s->done == PARE_EOF) return PARE_EOF;
    if (s->done) return pare_fail(err, PARE_E_STATE, "'%.160s': read after a failure", s->path);
    int rc = start_ahead(s, err);
    if (rc) return rc;
    const pare__arrival *a = next_arrival(s);
    if (a) s->known = a->info;
    s->done = a ? a->rc : PARE_EOF;
    if (s->done < 0 && err) *err = a->err;
    if (s->done) return s->done;
    memcpy(frame, &a->frame, size < sizeof a->frame ? size : sizeof a->frame);
    frame->struct_size = size;
    return 0;
}
