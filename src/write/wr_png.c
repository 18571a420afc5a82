/* SPDX-License-Identifier: MIT */
/* PNG through stb_image_write, into a file that appears whole or not at all: pare_png_save() of pare.h. */
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

static void write_piece(void *user, void *bytes, int n)
{
    sink *s = user;
    if (s->rc == 0) s->rc = pare__atomic_write(&s->file, bytes, (size_t)n, s->err);
}

int pare_png_save(const char *path, const uint8_t *rgb, int32_t width, int32_t height, pare_error *err)
{
    if (path == NULL || rgb == NULL || width <= 0 || height <= 0)
        return pare_fail(err, PARE_E_INVALID, "%s: a picture of %d x %d pixels", path != NULL ? path : "(no name)",
                         (int)width, (int)height);
    if (width > PARE__MAX_SIDE || height > PARE__MAX_SIDE || (int64_t)width * height > PARE__MAX_PIXELS)
        return pare_fail(err, PARE_E_LIMIT, "%s: a picture of %d x %d pixels, limit %d a side", path, (int)width,
                         (int)height, PARE__MAX_SIDE);
    sink s = {.err = err};
    s.rc = pare__atomic_open(&s.file, path, err);
    if (s.rc == 0 && !stbi_write_png_to_func(write_piece, &s, width, height, 3, rgb, width * 3) && s.rc == 0)
        s.rc =
            pare_fail(err, PARE_E_NOMEM, "%s: out of memory to compress %d x %d pixels", path, (int)width, (int)height);
    if (s.rc == 0) s.rc = pare__atomic_commit(&s.file, err);
    pare__atomic_abort(&s.file);
    return s.rc;
}
