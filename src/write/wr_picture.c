/* SPDX-License-Identifier: MIT */
/* PNG and JPEG through stb_image_write, into files that appear whole or not at all: pare_png_save() and pare_jpeg_save() of
 * pare.h. */
#include <pare/pare.h>

#include "core/limits.h"
#include "write/atomic.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

typedef struct sink {
    pare__atomic file;
    pare_error *err;
    int rc;
} sink;

/* rgb [height, width, 3] */
typedef struct picture {
    const uint8_t *rgb;
    int32_t width, height, quality;
} picture;

static void write_piece(void *user, void *bytes, int n)
{
    sink *s = user;
    if (s->rc == 0) s->rc = pare__atomic_write(&s->file, bytes, (size_t)n, s->err);
}

/* 0 = out of memory */
static int encode_png(sink *s, const picture *p)
{
    return stbi_write_png_to_func(write_piece, s, p->width, p->height, 3, p->rgb, p->width * 3);
}

static int encode_jpeg(sink *s, const picture *p)
{
    return stbi_write_jpg_to_func(write_piece, s, p->width, p->height, 3, p->rgb, p->quality);
}

static int check(const char *path, const picture *p, pare_error *err)
{
    if (path == NULL || p->rgb == NULL || p->width <= 0 || p->height <= 0)
        return pare_fail(err, PARE_E_INVALID, "%s: a picture of %d x %d pixels", path != NULL ? path : "(no name)",
                         (int)p->width, (int)p->height);
    if (p->width > PARE__MAX_SIDE || p->height > PARE__MAX_SIDE || (int64_t)p->width * p->height > PARE__MAX_PIXELS)
        return pare_fail(err, PARE_E_LIMIT, "%s: a picture of %d x %d pixels, limit %d a side", path, (int)p->width,
                         (int)p->height, PARE__MAX_SIDE);
    if (p->quality < 1 || p->quality > 100)
        return pare_fail(err, PARE_E_INVALID, "%s: jpeg quality %d, not from 1 to 100", path, (int)p->quality);
    return 0;
}

static int save(const char *path, const picture *p, int (*encode)(sink *, const picture *), pare_error *err)
{
    sink s = {.err = err};
    s.rc = check(path, p, err);
    if (s.rc) return s.rc;
    s.rc = pare__atomic_open(&s.file, path, err);
    if (s.rc == 0 && !encode(&s, p) && s.rc == 0)
        s.rc = pare_fail(err, PARE_E_NOMEM, "%s: out of memory to compress %d x %d pixels", path, (int)p->width,
                         (int)p->height);
    if (s.rc == 0) s.rc = pare__atomic_commit(&s.file, err);
    pare__atomic_abort(&s.file);
    return s.rc;
}

int pare_png_save(const char *path, const uint8_t *rgb, int32_t width, int32_t height, pare_error *err)
{
    const picture p = {rgb, width, height, 100};
    return save(path, &p, encode_png, err);
}

int pare_jpeg_save(const char *path, const uint8_t *rgb, int32_t width, int32_t height, int32_t quality,
                   pare_error *err)
{
    const picture p = {rgb, width, height, quality};
    return save(path, &p, encode_jpeg, err);
}
