/* SPDX-License-Identifier: MIT */
/* Masks from pictures (decoded by pare_media, like any photo) and from npy files (mask.h). */
#include "mask.h"

#include <pare/media.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"

#define MAX_HELD ((int64_t)4 << 30)

typedef struct plane {
    uint8_t *value; /* [height, width] PARE_MASK_* */
    int32_t width, height;
} plane;

struct cli_mask {
    const char *path;
    int hold, is_static;
    cli_npy npy;         /* values already PARE_MASK_*, or empty */
    pare_source *source; /* of a pattern, while it lasts */
    plane *item;         /* [n of cap] owned: one of a picture or of the last frame, or all that are held */
    int32_t n, cap;
    int64_t bytes, n_frame; /* held; frames served */
};

/* ---- pictures -------------------------------------------------------------------------------------------------- */

/* White 255, black 0, everything else 128; [h, w, 3] -> [h, w] */
static void threshold(const pare_frame *f, uint8_t *out)
{
    for (int32_t y = 0; y < f->height; y++)
        for (int32_t x = 0; x < f->width; x++) {
            const uint8_t *p = f->rgb + y * f->stride + 3 * (int64_t)x;
            const int low = p[0] == 0 && p[1] == 0 && p[2] == 0, high = p[0] == 255 && p[1] == 255 && p[2] == 255;
            out[(int64_t)y * f->width + x] = low ? PARE_MASK_IGNORE : high ? PARE_MASK_KEEP : PARE_MASK_FREE;
        }
}

static void drop_planes(cli_mask *m)
{
    for (int32_t i = 0; i < m->n; i++) free(m->item[i].value);
    m->n = 0;
    m->bytes = 0;
}

static int add_plane(cli_mask *m, const pare_frame *f, pare_error *err)
{
    const int64_t bytes = (int64_t)f->width * f->height;
    if (!m->hold) drop_planes(m);
    if (m->bytes + bytes > MAX_HELD)
        return pare_fail(err, PARE_E_LIMIT, "%.120s: mask %d exceeds the limit of %lld MB for masks held together",
                         m->path, m->n + 1, (long long)(MAX_HELD >> 20));
    if (m->n == m->cap) {
        const int32_t cap = m->cap > 0 ? 2 * m->cap : 4;
        plane *grown = realloc(m->item, (size_t)cap * sizeof *grown);
        if (grown == NULL) return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory", m->path);
        m->item = grown;
        m->cap = cap;
    }
    uint8_t *value = malloc((size_t)bytes);
    if (value == NULL) return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory", m->path);
    threshold(f, value);
    m->item[m->n++] = (plane){value, f->width, f->height};
    m->bytes += bytes;
    return 0;
}

static int read_plane(cli_mask *m, pare_error *err)
{
    pare_frame f = {.struct_size = sizeof f};
    const int rc = pare_source_read(m->source, &f, err);
    return rc != 0 ? rc : add_plane(m, &f, err);
}

/* A picture is read at once and stays; of a pattern only the first is opened. */
static int open_pictures(cli_mask *m, pare_error *err)
{
    pare_source_info info = {.struct_size = sizeof info};
    int rc = pare_source_open(&m->source, m->path, NULL, err);
    if (rc == 0) rc = pare_source_get(m->source, &info, err);
    if (rc != 0) return rc;
    m->is_static = info.is_image;
    if (!info.is_image && strchr(m->path, '%') == NULL)
        return pare_fail(err, PARE_E_INVALID, "%.120s: a mask is a picture, a pattern like mask-%%04d.png, or .npy",
                         m->path);
    if (!info.is_image) return 0;
    rc = read_plane(m, err);
    pare_source_close(&m->source);
    return rc;
}

/* ---- npy ------------------------------------------------------------------------------------------------------- */

/* Whole numbers 0..255 of any type become bytes where they stand. */
static int take_bytes(cli_mask *m, int64_t n, pare_error *err)
{
    const pare_tensor *t = &m->npy.t;
    uint8_t *to = (uint8_t *)(uintptr_t)t->data;
    if (t->dtype == PARE_U8 || t->dtype == PARE_BOOL) return 0;
    if (t->dtype != PARE_I64 && t->dtype != PARE_I32 && t->dtype != PARE_I8)
        return pare_fail(err, PARE_E_INVALID, "%.120s: a mask holds bool or whole numbers 0..255, not fractions",
                         m->path);
    for (int64_t i = 0; i < n; i++) {
        int64_t value = ((const int8_t *)t->data)[i];
        if (t->dtype == PARE_I32) value = ((const int32_t *)t->data)[i];
        if (t->dtype == PARE_I64) value = ((const int64_t *)t->data)[i];
        if (value < 0 || value > 255)
            return pare_fail(err, PARE_E_INVALID, "%.120s: value %lld of the mask is %lld, not 0..255", m->path,
                             (long long)i, (long long)value);
        to[i] = (uint8_t)value;
    }
    return 0;
}

static int open_npy(cli_mask *m, pare_error *err)
{
    char shape[96];
    int rc = cli_npy_read(m->path, &m->npy, err);
    if (rc != 0) return rc;
    const pare_tensor *t = &m->npy.t;
    const int64_t n = pare_tensor_count(t);
    if ((t->n_dim != 2 && t->n_dim != 3) || n == 0)
        return pare_fail(err, PARE_E_INVALID, "%.120s: a mask is [H,W] or [T,H,W], not %s", m->path,
                         cli_shape_text(t, shape, sizeof shape));
    if (t->shape[t->n_dim - 1] > INT32_MAX || t->shape[t->n_dim - 2] > INT32_MAX)
        return pare_fail(err, PARE_E_LIMIT, "%.120s: %s", m->path, cli_shape_text(t, shape, sizeof shape));
    m->is_static = t->n_dim == 2;
    rc = take_bytes(m, n, err);
    if (rc != 0) return rc;
    uint8_t *value = (uint8_t *)(uintptr_t)t->data;
    for (int64_t i = 0; t->dtype == PARE_BOOL && i < n; i++) value[i] = value[i] ? PARE_MASK_KEEP : PARE_MASK_FREE;
    return 0;
}

static int next_of_npy(cli_mask *m, pare_frame *frame, pare_error *err)
{
    const pare_tensor *t = &m->npy.t;
    const int64_t h = t->shape[t->n_dim - 2], w = t->shape[t->n_dim - 1];
    if (!m->is_static && m->n_frame >= t->shape[0])
        return pare_fail(err, PARE_E_INVALID, "%.120s: %lld masks, the input has more frames", m->path,
                         (long long)t->shape[0]);
    frame->mask = (const uint8_t *)t->data + (m->is_static ? 0 : m->n_frame * h * w);
    frame->mask_width = (int32_t)w;
    frame->mask_height = (int32_t)h;
    m->n_frame++;
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static int is_npy(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".npy") == 0;
}

int cli_mask_open(cli_mask **out, const char *path, int hold, pare_error *err)
{
    *out = NULL;
    cli_mask *m = calloc(1, sizeof *m);
    if (m == NULL) return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory", path);
    m->path = path;
    m->hold = hold;
    const int rc = is_npy(path) ? open_npy(m, err) : open_pictures(m, err);
    if (rc == 0)
        *out = m;
    else
        cli_mask_close(&m);
    return rc;
}

int cli_mask_begin(cli_mask *m, pare_error *err)
{
    m->n_frame = 0;
    if (m->is_static || m->npy.bytes != NULL) return 0;
    drop_planes(m);
    pare_source_close(&m->source);
    return pare_source_open(&m->source, m->path, NULL, err);
}

int cli_mask_next(cli_mask *m, pare_frame *frame, pare_error *err)
{
    if (m->npy.bytes != NULL) return next_of_npy(m, frame, err);
    const int rc = m->is_static ? 0 : read_plane(m, err);
    if (rc == PARE_EOF)
        return pare_fail(err, PARE_E_INVALID, "%.120s: %lld masks, the input has more frames", m->path,
                         (long long)m->n_frame);
    if (rc != 0) return rc;
    const plane *p = &m->item[m->n - 1];
    frame->mask = p->value;
    frame->mask_width = p->width;
    frame->mask_height = p->height;
    m->n_frame++;
    return 0;
}

int cli_mask_end(cli_mask *m, pare_error *err)
{
    pare_frame unused = {.struct_size = sizeof unused};
    int left = 0;
    if (m->is_static) return 0;
    if (m->npy.bytes != NULL)
        left = m->n_frame < m->npy.t.shape[0];
    else
        left = pare_source_read(m->source, &unused, NULL) == 0;
    return left ? pare_fail(err, PARE_E_INVALID, "%.120s: more masks than the %lld frames of the input", m->path,
                            (long long)m->n_frame)
                : 0;
}

void cli_mask_close(cli_mask **m)
{
    if (*m == NULL) return;
    drop_planes(*m);
    free((*m)->item);
    pare_source_close(&(*m)->source);
    cli_npy_free(&(*m)->npy);
    free(*m);
    *m = NULL;
}
