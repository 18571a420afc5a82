/* SPDX-License-Identifier: MIT */
/* Stills through stb_image: one picture, or a printf pattern of numbered pictures (frame_%03d.png) as a clip.
 * Everything becomes RGB [h, w, 3]: grey is spread, 16 bit reduced to the upper byte, alpha composited on white unless it is
 * to be ignored. The EXIF orientation is applied where asked for (exif.c; the reference processors do not). A pattern
 * starts at its first existing index, 0 or 1, ends before the first missing one, and picture i stands at (i - first) / rate
 * seconds; rate is 25 unless given. */
#include "media/exif.h"
#include "media/source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#pragma GCC diagnostic ignored "-Wunused-function" /* to the end: gcc reports unused statics there */
#include <stb_image.h>

#define DEFAULT_RATE 25.0
enum { MAX_PATTERN_WIDTH = 9, MAX_INDEX = PARE__MAX_STAMPS };

typedef struct picture_source {
    const char *path;             /* borrowed from pare_source */
    const pare_source_opts *opts; /* borrowed as well */
    pare_source_info *info;
    int is_pattern;
    int64_t first, next; /* indices of pictures */
    double rate;
    char *name; /* [n_name] the pattern with a number in it */
    size_t n_name;
    uint8_t *rgb; /* [height, width, 3], from stb's allocator, which is malloc */
    int width, height;
    pare__turn turn; /* that made it upright */
} picture_source;

/* Where stb reads from. stb answers zeros after the end of a file; `overrun` remembers that it asked. */
typedef struct picture_file {
    FILE *f;
    int overrun;
} picture_file;

/* ---- patterns -------------------------------------------------------------------------------------------------- */

/* The one conversion %d or %0Nd of a pattern: its offset, length and width; 0 if there is none or more than one. */
typedef struct conversion {
    size_t at, length;
    int width;
} conversion;

static int find_conversion(const char *pattern, conversion *c)
{
    int found = 0;
    for (const char *p = strchr(pattern, '%'); p; p = strchr(p, '%')) {
        char *end;
        long width = p[1] == 'd' ? 0 : strtol(p + 1, &end, 10);
        if (p[1] != 'd' && (p[1] != '0' || *end != 'd' || width < 1 || width > MAX_PATTERN_WIDTH)) return 0;
        c->at = (size_t)(p - pattern);
        c->length = p[1] == 'd' ? 2 : (size_t)(end - p) + 1;
        c->width = (int)width;
        p += c->length;
        found++;
    }
    return found == 1;
}

static const char *picture_name(picture_source *s, int64_t i)
{
    conversion c;
    if (!s->is_pattern || !find_conversion(s->path, &c)) return s->path;
    snprintf(s->name, s->n_name, "%.*s%0*lld%s", (int)c.at, s->path, c.width, (long long)i, s->path + c.at + c.length);
    return s->name;
}

static int exists(picture_source *s, int64_t i)
{
    FILE *f = fopen(picture_name(s, i), "rb");
    if (f) fclose(f);
    return f != NULL;
}

static int open_pattern(picture_source *s, double rate, pare_error *err)
{
    s->n_name = strlen(s->path) + 32;
    s->name = malloc(s->n_name);
    if (!s->name) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->first = exists(s, 0) ? 0 : 1;
    if (!exists(s, s->first))
        return pare_fail(err, PARE_E_IO, "cannot open '%.120s': no picture with number 0 or 1", s->path);
    s->rate = s->info->rate = rate > 0 ? rate : DEFAULT_RATE;
    return 0;
}

/* ---- one picture ----------------------------------------------------------------------------------------------- */

static int file_read(void *user, char *data, int size)
{
    picture_file *p = user;
    size_t got = fread(data, 1, (size_t)size, p->f);
    if (!got && size > 0) p->overrun = 1;
    return (int)got;
}

static void file_skip(void *user, int n)
{
    picture_file *p = user;
    if (fseek(p->f, n, SEEK_CUR)) p->overrun = 1;
}

static int file_eof(void *user) { return feof(((picture_file *)user)->f); }

static const stbi_io_callbacks file_calls = {file_read, file_skip, file_eof};

/* Composites [n, channels] with 1 to 4 channels on white, or leaves alpha out, in place where possible: RGB [n, 3], or
 * NULL. */
static uint8_t *to_rgb(uint8_t *data, int64_t n, int channels, int ignore_alpha)
{
    if (channels == 3) return data;
    uint8_t *rgb = malloc((size_t)n * 3);
    int has_alpha = channels % 2 == 0, n_colour = channels - has_alpha;
    for (int64_t i = 0; rgb && i < n; i++) {
        const uint8_t *from = data + i * channels;
        int alpha = has_alpha && !ignore_alpha ? from[n_colour] : 255;
        for (int c = 0; c < 3; c++)
            rgb[i * 3 + c] = (uint8_t)((from[c % n_colour] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    stbi_image_free(data);
    return rgb;
}

/* stb refuses large pictures without saying how large they are; a PNG says it at a fixed place. */
static int check_png(FILE *f, const char *name, pare_error *err)
{
    uint8_t head[24];
    size_t got = fread(head, 1, sizeof head, f);
    rewind(f);
    if (got < sizeof head || memcmp(head, "\x89PNG\r\n\x1a\n", 8)) return 0;
    int64_t side[2] = {0};
    for (int i = 0; i < 8; i++) side[i / 4] = side[i / 4] << 8 | head[16 + i];
    return pare__picture_check(name, side[0], side[1], err);
}

static int check_header(picture_file *p, const char *name, int *width, int *height, pare_error *err)
{
    int channels, rc = check_png(p->f, name, err);
    if (rc) return rc;
    if (stbi_info_from_callbacks(&file_calls, p, width, height, &channels))
        return pare__picture_check(name, *width, *height, err);
    const char *reason = stbi_failure_reason();
    if (!strcmp(reason, "too large"))
        return pare_fail(err, PARE_E_LIMIT, "'%.160s': more than %d pixels", name, PARE__MAX_PICTURE_PIXELS);
    return pare_fail(err, PARE_E_FORMAT, "'%.160s': not a readable picture: %s", name, reason);
}

static int no_room(const picture_source *s, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", s->width, s->height);
}

static int decode(picture_source *s, picture_file *p, const char *name, pare_error *err)
{
    int channels, rc = check_header(p, name, &s->width, &s->height, err);
    if (rc) return rc;
    rewind(p->f);
    p->overrun = 0;
    uint8_t *data = stbi_load_from_callbacks(&file_calls, p, &s->width, &s->height, &channels, 0);
    if (!data)
        return pare_fail(err, PARE_E_FORMAT, "'%.160s': the picture is damaged or cut off (%s)", name,
                         stbi_failure_reason());
    if (p->overrun) {
        stbi_image_free(data);
        return pare_fail(err, PARE_E_FORMAT, "'%.160s': the picture is cut off", name);
    }
    s->rgb = to_rgb(data, (int64_t)s->width * s->height, channels, s->opts->ignore_alpha);
    return s->rgb ? 0 : no_room(s, err);
}

/* The picture as stored becomes one that is upright. */
static int make_upright(picture_source *s, pare_error *err)
{
    if (!s->turn.mirrored && !s->turn.rotation) return 0;
    uint8_t *rgb = malloc((size_t)s->width * (size_t)s->height * 3);
    if (!rgb) return no_room(s, err);
    pare__turn_pixels(s->rgb, (int64_t)s->width * 3, s->width, s->height, s->turn, rgb);
    stbi_image_free(s->rgb);
    s->rgb = rgb;
    if (s->turn.rotation % 180 == 0) return 0;
    const int width = s->width;
    s->width = s->height;
    s->height = width;
    return 0;
}

static int load(picture_source *s, const char *name, pare_error *err)
{
    picture_file p = {.f = fopen(name, "rb")};
    if (!p.f) return pare_fail(err, PARE_E_IO, "cannot open '%.160s': %s", name, strerror(errno));
    s->turn = s->opts->exif ? pare__exif_read(p.f) : (pare__turn){0, 0};
    int rc = decode(s, &p, name, err);
    fclose(p.f);
    return rc ? rc : make_upright(s, err);
}

/* ---- driver ---------------------------------------------------------------------------------------------------- */

static int has_magic(const pare__input *p, const char *magic, size_t n) { return !memcmp(p->head, magic, n); }

static const char *codec_of(const uint8_t *head)
{
    if (!memcmp(head, "\x89PNG", 4)) return "png";
    if (!memcmp(head, "\xff\xd8\xff", 3)) return "jpeg";
    if (!memcmp(head, "BM", 2)) return "bmp";
    if (head[0] == 'P' && (head[1] == '5' || head[1] == '6')) return "pnm";
    return "picture";
}

/* Motion JPEG streams begin like a JPEG, and an animated GIF is better read by libav. */
static int probe(const pare__input *p)
{
    static const char *const stream[] = {".mjpeg", ".mjpg"}, *const other[] = {".tga", ".psd", ".hdr", ".pic"};
    conversion c;
    if (!p->is_file) return !strstr(p->path, "://") && find_conversion(p->path, &c) ? 3 : 0;
    if (pare__has_suffix(p->path, stream, 2)) return 1;
    if (strcmp(codec_of(p->head), "picture")) return 3;
    if (has_magic(p, "GIF8", 4)) return 1;
    return pare__has_suffix(p->path, other, 4) ? 3 : 0;
}

static void close_picture(void *self)
{
    picture_source *s = self;
    free(s->name);
    stbi_image_free(s->rgb);
    free(s);
}

/* The info speaks of the upright picture. */
static void describe_turn(pare_source_info *info, pare__turn turn)
{
    const int32_t width = info->width;
    info->rotation = turn.rotation;
    info->mirrored = turn.mirrored;
    if (turn.rotation % 180 == 0) return;
    info->width = info->height;
    info->height = width;
}

static int read_header(picture_source *s, pare_error *err)
{
    const char *name = picture_name(s, s->first);
    uint8_t head[16] = {0};
    picture_file p = {.f = fopen(name, "rb")};
    if (!p.f) return pare_fail(err, PARE_E_IO, "cannot open '%.160s': %s", name, strerror(errno));
    size_t got = fread(head, 1, sizeof head, p.f);
    rewind(p.f);
    int rc = got ? check_header(&p, name, &s->info->width, &s->info->height, err)
                 : pare_fail(err, PARE_E_FORMAT, "'%.160s' is empty", name);
    if (!rc && s->opts->exif) describe_turn(s->info, pare__exif_read(p.f));
    fclose(p.f);
    s->info->codec = codec_of(head);
    return rc;
}

static int open_picture(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    const char *path = input->path;
    picture_source *s = calloc(1, sizeof *s);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    conversion c;
    FILE *f = fopen(path, "rb"); /* a picture whose own name looks like a pattern */
    *s = (picture_source){
        .path = path, .opts = input->opts, .info = info, .is_pattern = !f && find_conversion(path, &c)};
    if (f) fclose(f);
    info->is_image = !s->is_pattern;
    int rc = s->is_pattern ? open_pattern(s, input->opts->rate, err) : 0;
    if (!rc) rc = read_header(s, err);
    s->next = s->first;
    if (rc)
        close_picture(s);
    else
        *self = s;
    return rc;
}

static int next(void *self, pare_frame *frame, pare_error *err)
{
    picture_source *s = self;
    for (; s->next < MAX_INDEX; s->next++) {
        if (s->is_pattern ? !exists(s, s->next) : s->next > 0) return PARE_EOF;
        stbi_image_free(s->rgb);
        s->rgb = NULL;
        int rc = load(s, picture_name(s, s->next), err);
        if (rc && !(rc == PARE_E_FORMAT && s->is_pattern)) return rc;
        if (rc) {
            s->info->n_damaged++;
            continue;
        }
        double index = (double)(s->next++ - s->first);
        *frame = (pare_frame){.struct_size = sizeof *frame,
                              .pts = s->is_pattern ? index / s->rate : 0,
                              .duration = s->is_pattern ? 1 / s->rate : 0};
        return 0;
    }
    return PARE_EOF;
}

/* The picture changes hands. */
static int pixels(void *self, pare__picture *to, pare_frame *frame, pare_error *err)
{
    picture_source *s = self;
    (void)err;
    pare__picture_free(to);
    *to = (pare__picture){.rgb = s->rgb, .size = (size_t)s->width * (size_t)s->height * 3};
    s->rgb = NULL;
    frame->rgb = to->rgb;
    frame->stride = (int64_t)s->width * 3;
    frame->width = s->width;
    frame->height = s->height;
    frame->rotation = s->turn.rotation;
    frame->mirrored = s->turn.mirrored;
    return 0;
}

static int stamps(void *self, pare__stamps *out, pare_error *err)
{
    picture_source *s = self;
    if (!s->is_pattern) return pare__stamps_add(out, 0, err);
    int rc = 0;
    for (int64_t i = s->first; !rc && exists(s, i); i++)
        rc = pare__stamps_add(out, (double)(i - s->first) / s->rate, err);
    return rc;
}

const pare__source_driver pare__source_stb = {
    .name = "stb",
    .format = "image",
    .probe = probe,
    .open = open_picture,
    .next = next,
    .pixels = pixels,
    .stamps = stamps,
    .close = close_picture,
};
