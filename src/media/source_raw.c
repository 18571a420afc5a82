/* SPDX-License-Identifier: MIT */
/* y4m and raw RGB, from a file or stdin, without FFmpeg.
 *
 * y4m (the format of mjpegtools' yuv4mpeg(5)): "YUV4MPEG2 W640 H480 F30:1 C420jpeg ...\n", then per frame
 * "FRAME ...\n" and the planes Y [h, w], Cb and Cr [h / sy, w / sx], 8 bit or 9 to 16 bit little endian (C420p10).
 * Matrix BT.601; range limited unless XCOLORRANGE=FULL; a chroma sample serves all the pixels it covers. Interlace and
 * pixel aspect are ignored. rgb24: frames [height, width, 3] back to back. A last frame that is cut off ends the
 * stream and counts as damaged. */
#include "media/raw_input.h"
#include "media/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define Y4M_MAGIC "YUV4MPEG2"
#define MIN_RATE 1e-3

/* How samples lie in a y4m frame. */
typedef struct layout {
    const char *name;
    int shift_x, shift_y; /* log2 of the chroma subsampling */
    int has_chroma;
} layout;

static const layout layouts[] = {
    {"420jpeg", 1, 1, 1}, {"420mpeg2", 1, 1, 1}, {"420paldv", 1, 1, 1}, {"420", 1, 1, 1},
    {"422", 1, 0, 1},     {"444", 0, 0, 1},      {"411", 2, 0, 1},      {"mono", 0, 0, 0},
};
enum { N_LAYOUTS = sizeof layouts / sizeof layouts[0] };

typedef struct raw_source {
    const char *path;         /* borrowed from pare_source, like input and info */
    const pare__input *input; /* NULL: memory */
    pare_source_info *info;
    pare__raw_input in;
    const layout *layout; /* NULL: rgb24 */
    int bits, full_range;
    int width, height;
    int64_t rate_num, rate_den;
    int64_t index;
    size_t n_frame;        /* bytes of a frame's samples */
    int64_t n_header;      /* bytes before the first frame */
    pare__picture samples; /* [n_frame] */
    float *row;            /* [3, width] y, cb, cr of one row, centred */
} raw_source;

/* ---- y4m header ------------------------------------------------------------------------------------------------ */

static int parse_positive(const char *text, const char **end, int64_t *value)
{
    *value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && *value < INT32_MAX; p++) *value = *value * 10 + (*p - '0');
    *end = p;
    return p > text && *value <= INT32_MAX;
}

/* "420p10" -> layout 420, 10 bit; "mono12" -> mono, 12 bit. */
static int parse_layout(raw_source *s, const char *name)
{
    for (int i = 0; i < N_LAYOUTS; i++) {
        size_t n = strlen(layouts[i].name);
        if (strncmp(name, layouts[i].name, n)) continue;
        const char *rest = name + n, *end = rest;
        int64_t bits = 8;
        if (*rest == 'p' && layouts[i].has_chroma) rest++;
        if (*rest && (!parse_positive(rest, &end, &bits) || *end || bits < 9 || bits > 16)) continue;
        s->layout = &layouts[i];
        s->bits = (int)bits;
        return 1;
    }
    return 0;
}

static int parse_rate(raw_source *s, const char *text)
{
    const char *end;
    if (!parse_positive(text, &end, &s->rate_num) || *end != ':') return 0;
    if (!parse_positive(end + 1, &end, &s->rate_den) || *end) return 0;
    if (!s->rate_num || !s->rate_den) s->rate_num = 25, s->rate_den = 1; /* "unknown" in the format's own terms */
    return 1;
}

/* One parameter of the header line; false if it is malformed. Unknown letters are skipped, as the format demands. */
static int parse_parameter(raw_source *s, const char *word)
{
    int64_t value;
    const char *end;
    switch (word[0]) {
    case 'W':
    case 'H':
        if (!parse_positive(word + 1, &end, &value) || *end) return 0;
        *(word[0] == 'W' ? &s->width : &s->height) = (int)value;
        return 1;
    case 'F':
        return parse_rate(s, word + 1);
    case 'C':
        return parse_layout(s, word + 1);
    case 'X':
        if (!strcasecmp(word, "XCOLORRANGE=FULL")) s->full_range = 1;
        return 1;
    default:
        return 1;
    }
}

static int64_t chroma_side(int side, int shift) { return ((int64_t)side + (1 << shift) - 1) >> shift; }

static int parse_header(raw_source *s, pare_error *err)
{
    char line[PARE__RAW_LINE], *state = NULL;
    int n = pare__raw_line(&s->in, line);
    if (n == -3) return pare__raw_fail(&s->in, s->path, err);
    if (n < 0 || strncmp(line, Y4M_MAGIC, strlen(Y4M_MAGIC)))
        return pare_fail(err, PARE_E_FORMAT, "'%.160s' does not begin with a %s line of at most %d bytes", s->path,
                         Y4M_MAGIC, PARE__RAW_LINE);
    s->n_header = n + 1;
    parse_layout(s, "420jpeg");
    s->rate_num = 25, s->rate_den = 1;
    strtok_r(line, " ", &state);
    for (char *word; (word = strtok_r(NULL, " ", &state));)
        if (!parse_parameter(s, word))
            return pare_fail(err, word[0] == 'C' ? PARE_E_UNSUPPORTED : PARE_E_FORMAT,
                             "'%.120s': y4m header parameter '%.40s' is not understood", s->path, word);
    return pare__picture_check(s->path, s->width, s->height, err);
}

static int64_t y4m_frame_bytes(const raw_source *s)
{
    const layout *l = s->layout;
    int64_t luma = (int64_t)s->width * s->height;
    int64_t chroma = l->has_chroma ? chroma_side(s->width, l->shift_x) * chroma_side(s->height, l->shift_y) : 0;
    return (luma + 2 * chroma) * (s->bits > 8 ? 2 : 1);
}

/* ---- samples to RGB -------------------------------------------------------------------------------------------- */

/* One row of a plane, spread to `width` pixels, minus `offset`, in units of 8 bit. */
static void spread_row(float *out, const uint8_t *row, int width, int shift, int bits, float offset)
{
    float scale = 1.0f / (float)(1 << (bits - 8));
    if (bits == 8)
        for (int x = 0; x < width; x++) out[x] = (float)row[x >> shift] - offset;
    else
        for (int x = 0; x < width; x++) {
            const uint8_t *p = row + 2 * (int64_t)(x >> shift);
            out[x] = (float)(p[0] | p[1] << 8) * scale - offset;
        }
}

static uint8_t to_byte(float v) { return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5f); }

/* BT.601: R = Y + 1.402 Cr, B = Y + 1.772 Cb, G from 0.299 R + 0.587 G + 0.114 B = Y. */
static void rgb_row(const raw_source *s, uint8_t *out)
{
    const float *y = s->row, *cb = y + s->width, *cr = cb + s->width;
    float gain_y = s->full_range ? 1.0f : 255.0f / 219.0f, gain_c = s->full_range ? 1.0f : 255.0f / 224.0f;
    float r_cr = 1.402f * gain_c, b_cb = 1.772f * gain_c;
    float g_cr = r_cr * (0.299f / 0.587f), g_cb = b_cb * (0.114f / 0.587f);
    for (int x = 0; x < s->width; x++) {
        float luma = y[x] * gain_y;
        out[3 * x] = to_byte(luma + r_cr * cr[x]);
        out[3 * x + 1] = to_byte(luma - g_cr * cr[x] - g_cb * cb[x]);
        out[3 * x + 2] = to_byte(luma + b_cb * cb[x]);
    }
}

static void y4m_to_rgb(const raw_source *s, uint8_t *rgb)
{
    const layout *l = s->layout;
    int64_t bytes = s->bits > 8 ? 2 : 1, stride_y = s->width * bytes,
            stride_c = chroma_side(s->width, l->shift_x) * bytes;
    const uint8_t *cb = s->samples.rgb + stride_y * s->height;
    const uint8_t *cr = cb + stride_c * chroma_side(s->height, l->shift_y);
    float *row = s->row, black = s->full_range ? 0.0f : 16.0f;
    for (int y = 0; y < s->height; y++) {
        int64_t at = (y >> l->shift_y) * stride_c;
        spread_row(row, s->samples.rgb + y * stride_y, s->width, 0, s->bits, black);
        if (l->has_chroma) {
            spread_row(row + s->width, cb + at, s->width, l->shift_x, s->bits, 128.0f);
            spread_row(row + 2 * (int64_t)s->width, cr + at, s->width, l->shift_x, s->bits, 128.0f);
        }
        rgb_row(s, rgb + (int64_t)y * s->width * 3);
    }
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */

/* 0, PARE_EOF, or an error: the frame line of y4m. Anything else in its place ends the stream as damaged. */
static int read_frame_line(raw_source *s, pare_error *err)
{
    char line[PARE__RAW_LINE];
    int n = pare__raw_line(&s->in, line);
    if (n == -1) return PARE_EOF;
    if (n == -3) return pare__raw_fail(&s->in, s->path, err);
    if (n >= 0 && !strncmp(line, "FRAME", 5) && (!line[5] || line[5] == ' ')) return 0;
    s->info->n_damaged++;
    return PARE_EOF;
}

static int next(void *self, pare_frame *frame, pare_error *err)
{
    raw_source *s = self;
    int rc = s->layout ? read_frame_line(s, err) : 0;
    if (rc) return rc;
    int64_t got = pare__raw_read(&s->in, s->samples.rgb, s->n_frame);
    if (got < 0) return pare__raw_fail(&s->in, s->path, err);
    if (got < (int64_t)s->n_frame) {
        s->info->n_damaged += got > 0 || s->layout;
        return PARE_EOF;
    }
    *frame = (pare_frame){.struct_size = sizeof *frame,
                          .pts = (double)(s->index++ * s->rate_den) / (double)s->rate_num,
                          .duration = (double)s->rate_den / (double)s->rate_num};
    return 0;
}

/* Samples that are RGB already change places with the picture. */
static int pixels(void *self, pare__picture *to, pare_frame *frame, pare_error *err)
{
    raw_source *s = self;
    const int64_t stride = (int64_t)s->width * 3;
    int rc = pare__picture_reserve(to, (size_t)(stride * s->height), err);
    if (rc) return rc;
    const pare__picture free_one = *to;
    if (s->layout) {
        y4m_to_rgb(s, to->rgb);
    } else {
        *to = s->samples;
        s->samples = free_one;
    }
    frame->rgb = to->rgb;
    frame->stride = stride;
    frame->width = s->width;
    frame->height = s->height;
    return 0;
}

/* Counts whole frames of a regular file: y4m frame lines may differ in length, so they are walked. */
static int stamps(void *self, pare__stamps *out, pare_error *err)
{
    const raw_source *s = self;
    raw_source walk = {.path = s->path, .info = &(pare_source_info){0}, .layout = s->layout};
    struct stat st;
    int rc = pare__raw_open(&walk.in, s->input, err);
    if (rc) return rc;
    if (fstat(walk.in.fd, &st)) rc = pare_fail(err, PARE_E_IO, "'%.160s': %s", s->path, strerror(errno));
    for (int64_t at = s->n_header, i = 0; !rc; i++) {
        walk.in.at = walk.in.have = 0;
        if (lseek(walk.in.fd, at, SEEK_SET) < 0 || (walk.layout && read_frame_line(&walk, err))) break;
        off_t here = lseek(walk.in.fd, 0, SEEK_CUR) - (off_t)(walk.in.have - walk.in.at);
        at = (int64_t)here + (int64_t)s->n_frame;
        if (at > st.st_size) break;
        rc = pare__stamps_add(out, (double)(i * s->rate_den) / (double)s->rate_num, err);
    }
    pare__raw_close(&walk.in);
    return rc;
}

/* ---- open and close -------------------------------------------------------------------------------------------- */

static void close_raw(void *self)
{
    raw_source *s = self;
    pare__raw_close(&s->in);
    pare__picture_free(&s->samples);
    free(s->row);
    free(s);
}

/* What both formats need once the geometry is known. */
static int allocate(raw_source *s, pare_error *err)
{
    int64_t n_rgb = (int64_t)s->width * s->height * 3;
    s->n_frame = (size_t)(s->layout ? y4m_frame_bytes(s) : n_rgb);
    s->row = calloc((size_t)s->width * 3, sizeof *s->row);
    if (!s->row || pare__picture_reserve(&s->samples, s->n_frame, NULL))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for frames of %d x %d", s->width, s->height);
    s->info->width = s->width;
    s->info->height = s->height;
    s->info->codec = "rawvideo";
    s->info->rate = (double)s->rate_num / (double)s->rate_den;
    return 0;
}

static raw_source *new_source(const char *path, pare_source_info *info)
{
    raw_source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->path = path;
    s->info = info;
    s->in.fd = -1;
    return s;
}

/* Publishes a source that opened well, or disposes of one that did not. */
static int conclude(void **self, raw_source *s, int rc)
{
    if (rc)
        close_raw(s);
    else
        *self = s;
    return rc;
}

static int open_file(raw_source *s, const pare__input *input, pare_error *err)
{
    struct stat st;
    s->input = input;
    int rc = pare__raw_open(&s->in, input, err);
    if (!rc) s->info->is_live = !s->in.owned || fstat(s->in.fd, &st) || !S_ISREG(st.st_mode);
    return rc;
}

static int open_y4m(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    raw_source *s = new_source(input->path, info);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int rc = open_file(s, input, err);
    if (!rc) rc = parse_header(s, err);
    if (!rc) rc = allocate(s, err);
    return conclude(self, s, rc);
}

int pare__y4m_open_memory(void **self, const uint8_t *data, size_t n, pare_source_info *info, pare_error *err)
{
    raw_source *s = new_source("memory", info);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->in.data = data;
    s->in.have = n;
    int rc = parse_header(s, err);
    if (!rc) rc = allocate(s, err);
    return conclude(self, s, rc);
}

static int open_rgb24(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    const pare_source_opts *opts = input->opts;
    if (opts->width < 1 || opts->height < 1 || !(opts->rate >= MIN_RATE))
        return pare_fail(err, PARE_E_INVALID, "rgb24 needs width, height and rate; got %d x %d at %g", opts->width,
                         opts->height, opts->rate);
    raw_source *s = new_source(input->path, info);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->width = opts->width;
    s->height = opts->height;
    s->rate_num = llrint(opts->rate * 1e6);
    s->rate_den = 1000000;
    int rc = pare__picture_check(s->path, s->width, s->height, err);
    if (!rc) rc = open_file(s, input, err);
    if (!rc) rc = allocate(s, err);
    return conclude(self, s, rc);
}

static int probe_y4m(const pare__input *p) { return !memcmp(p->head, Y4M_MAGIC, strlen(Y4M_MAGIC)) ? 3 : 0; }

/* Raw pixels can be told by nothing: stdin holds them if a size was given. */
static int probe_rgb24(const pare__input *p)
{
    static const char *const suffix[] = {".rgb", ".rgb24"};
    if (!strcmp(p->path, "-")) return p->opts->width > 0 ? 3 : 0;
    return p->is_file && pare__has_suffix(p->path, suffix, 2) ? 3 : 0;
}

const pare__source_driver pare__source_y4m = {
    .name = "y4m",
    .format = "y4m",
    .probe = probe_y4m,
    .open = open_y4m,
    .next = next,
    .pixels = pixels,
    .stamps = stamps,
    .close = close_raw,
};

const pare__source_driver pare__source_rgb24 = {
    .name = "rgb24",
    .format = "rgb24",
    .probe = probe_rgb24,
    .open = open_rgb24,
    .next = next,
    .pixels = pixels,
    .stamps = stamps,
    .close = close_raw,
};
