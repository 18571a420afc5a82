/* SPDX-License-Identifier: MIT */
#include "core/pixels_in.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/limits.h"

/* Sums of two or three table entries are within half a millionth of the formula. It gives -289 to 549: with ORIGIN added,
 * sums are positive, below 2^31, and their whole part is below CLAMPS. */
enum { FRACTION = 21, ORIGIN = 320, CLAMPS = 1024, BAND = 32 };

/* What each sample adds to a channel, in 2^-FRACTION; luma includes ORIGIN and the half for rounding. `clamp` takes whole
 * parts: a branch would have to guess. */
typedef struct tables {
    int32_t y[256], rv[256], gu[256], gv[256], bu[256];
    uint8_t clamp[CLAMPS];
} tables;

typedef struct conversion {
    const pare_frame *f;
    pare__plane plane[PARE__MAX_PLANES];
    const tables *t;
    uint8_t *rgb; /* [height, width, 3] */
} conversion;

typedef void (*row_fn)(const conversion *c, int32_t y, uint8_t *out);

/* ---- tables ---------------------------------------------------------------------------------------------------- */

static int32_t fixed(double x) { return (int32_t)floor(x * (1 << FRACTION) + 0.5); }

/* A tie must round up whatever its terms were rounded to: one step beyond the half. */
static void fill_tables(int32_t color, tables *t)
{
    const double kr = color & PARE_COLOR_BT709 ? 0.2126 : 0.299, kb = color & PARE_COLOR_BT709 ? 0.0722 : 0.114;
    const int is_full = (color & PARE_COLOR_FULL) != 0;
    const double scale_y = is_full ? 1 : 255.0 / 219, scale_c = is_full ? 1 : 255.0 / 224;
    const double r = 2 * (1 - kr), b = 2 * (1 - kb), kg = 1 - kr - kb;
    for (int i = 0; i < 256; i++) {
        const double c = (i - 128) * scale_c;
        t->y[i] = fixed((i - (is_full ? 0 : 16)) * scale_y) + (ORIGIN << FRACTION) + (1 << (FRACTION - 1)) + 1;
        t->rv[i] = fixed(r * c);
        t->bu[i] = fixed(b * c);
        t->gv[i] = fixed(-kr * r / kg * c);
        t->gu[i] = fixed(-kb * b / kg * c);
    }
    for (int i = 0; i < CLAMPS; i++) t->clamp[i] = (uint8_t)(i < ORIGIN ? 0 : i > ORIGIN + 255 ? 255 : i - ORIGIN);
}

/* ---- rows: y of the frame -> out [width, 3] --------------------------------------------------------------------- */

/* n pixels, 1 or 2, of one chroma sample; y `step` bytes apart. */
static inline void pixels_of(const tables *t, const uint8_t *y, int32_t step, int32_t n, uint8_t u, uint8_t v,
                             uint8_t *out)
{
    const int32_t r = t->rv[v], g = t->gu[u] + t->gv[v], b = t->bu[u];
    for (int32_t i = 0; i < n; i++, out += 3) {
        const int32_t luma = t->y[y[i * step]];
        out[0] = t->clamp[(luma + r) >> FRACTION];
        out[1] = t->clamp[(luma + g) >> FRACTION];
        out[2] = t->clamp[(luma + b) >> FRACTION];
    }
}

static const uint8_t *row_of(const pare__plane *p, int32_t y) { return p->data + y * p->stride; }

static void row_nv12(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *luma = row_of(&c->plane[0], y), *uv = row_of(&c->plane[1], y / 2);
    const int64_t w = c->f->width;
    for (int64_t x = 0; x + 1 < w; x += 2) pixels_of(c->t, luma + x, 1, 2, uv[x], uv[x + 1], out + 3 * x);
    if (w % 2) pixels_of(c->t, luma + w - 1, 1, 1, uv[w - 1], uv[w], out + 3 * (w - 1));
}

static void row_i420(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *luma = row_of(&c->plane[0], y);
    const uint8_t *u = row_of(&c->plane[1], y / 2), *v = row_of(&c->plane[2], y / 2);
    const int64_t w = c->f->width;
    for (int64_t x = 0; x + 1 < w; x += 2) pixels_of(c->t, luma + x, 1, 2, u[x / 2], v[x / 2], out + 3 * x);
    if (w % 2) pixels_of(c->t, luma + w - 1, 1, 1, u[w / 2], v[w / 2], out + 3 * (w - 1));
}

static void row_yuyv(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *in = row_of(&c->plane[0], y);
    const int64_t w = c->f->width;
    for (int64_t x = 0; x + 1 < w; x += 2) pixels_of(c->t, in + 2 * x, 2, 2, in[2 * x + 1], in[2 * x + 3], out + 3 * x);
    if (w % 2) pixels_of(c->t, in + 2 * w - 2, 2, 1, in[2 * w - 1], in[2 * w + 1], out + 3 * (w - 1));
}

static void row_gray(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *in = row_of(&c->plane[0], y);
    for (int64_t x = 0; x < c->f->width; x++) out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = in[x];
}

static void row_bgr(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *in = row_of(&c->plane[0], y);
    for (int64_t x = 0; x < c->f->width; x++, in += 3, out += 3) {
        out[0] = in[2];
        out[1] = in[1];
        out[2] = in[0];
    }
}

static void row_rgba(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *in = row_of(&c->plane[0], y);
    for (int64_t x = 0; x < c->f->width; x++, in += 4, out += 3) {
        out[0] = in[0];
        out[1] = in[1];
        out[2] = in[2];
    }
}

static void row_bgra(const conversion *c, int32_t y, uint8_t *out)
{
    const uint8_t *in = row_of(&c->plane[0], y);
    for (int64_t x = 0; x < c->f->width; x++, in += 4, out += 3) {
        out[0] = in[2];
        out[1] = in[1];
        out[2] = in[0];
    }
}

/* ---- layouts ---------------------------------------------------------------------------------------------------- */

typedef struct layout {
    const char *name;
    int32_t n_plane;
    int32_t pixels, bytes; /* of the first plane: so many pixels take so many bytes */
    int32_t chroma;        /* bytes of a further plane's sample; its rows and columns are halved */
    int32_t is_yuv;
    row_fn convert; /* NULL: is RGB */
} layout;

static const layout layouts[PARE_PIXELS_COUNT] = {
    [PARE_PIXELS_RGB] = {"rgb", 1, 1, 3, 0, 0, NULL},       [PARE_PIXELS_BGR] = {"bgr", 1, 1, 3, 0, 0, row_bgr},
    [PARE_PIXELS_RGBA] = {"rgba", 1, 1, 4, 0, 0, row_rgba}, [PARE_PIXELS_BGRA] = {"bgra", 1, 1, 4, 0, 0, row_bgra},
    [PARE_PIXELS_GRAY] = {"gray", 1, 1, 1, 0, 0, row_gray}, [PARE_PIXELS_NV12] = {"nv12", 2, 1, 1, 2, 1, row_nv12},
    [PARE_PIXELS_I420] = {"i420", 3, 1, 1, 1, 1, row_i420}, [PARE_PIXELS_YUYV] = {"yuyv", 1, 2, 4, 0, 1, row_yuyv},
};

int32_t pare__pixels_planes(const pare_frame *f, pare__plane plane[PARE__MAX_PLANES])
{
    const layout *l = &layouts[f->pixels];
    const int64_t blocks = ((int64_t)f->width + l->pixels - 1) / l->pixels;
    plane[0] = (pare__plane){f->rgb, f->stride, blocks * l->bytes, f->height};
    for (int32_t i = 1; i < l->n_plane; i++)
        plane[i] = (pare__plane){f->plane[i - 1], f->plane_stride[i - 1], ((int64_t)f->width + 1) / 2 * l->chroma,
                                 (f->height + 1) / 2};
    return l->n_plane;
}

int pare__pixels_check(const pare_frame *f, const char *function, pare_error *err)
{
    if (f->pixels < 0 || f->pixels >= PARE_PIXELS_COUNT)
        return pare_fail(err, PARE_E_INVALID, "%s: layout of pixels %d, must be 0..%d (PARE_PIXELS_*)", function,
                         f->pixels, PARE_PIXELS_COUNT - 1);
    const layout *l = &layouts[f->pixels];
    if (f->color & ~(PARE_COLOR_BT709 | PARE_COLOR_FULL))
        return pare_fail(err, PARE_E_INVALID, "%s: color %d, must be PARE_COLOR_BT601 or BT709, with FULL or without",
                         function, f->color);
    pare__plane plane[PARE__MAX_PLANES];
    const int32_t n = pare__pixels_planes(f, plane);
    for (int32_t i = 0; i < n; i++) {
        const int64_t stride = plane[i].stride;
        if (!plane[i].data)
            return pare_fail(err, PARE_E_INVALID, "%s: plane %d of %d of a frame in %s is missing", function, i, n,
                             l->name);
        if (llabs(stride) < plane[i].bytes || llabs(stride) > PARE__MAX_BYTES)
            return pare_fail(err, PARE_E_INVALID, "%s: stride of %lld bytes, a row of plane %d in %s has %lld",
                             function, (long long)stride, i, l->name, (long long)plane[i].bytes);
    }
    return 0;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void convert_band(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const conversion *c = arg;
    const int64_t first = task * BAND, last = first + BAND < c->f->height ? first + BAND : c->f->height;
    for (int64_t y = first; y < last; y++) layouts[c->f->pixels].convert(c, (int32_t)y, c->rgb + y * c->f->width * 3);
}

int pare__pixels_rgb(const pare_frame *f, pare__arena *arena, pare__pool *pool, pare_frame *out, pare_error *err)
{
    const layout *l = &layouts[f->pixels];
    pare_frame rgb = *f;
    if (l->convert) {
        tables t;
        conversion c = {.f = f, .t = &t, .rgb = pare__arena_alloc(arena, (int64_t)f->width * f->height, 3)};
        if (!c.rgb) return pare_fail(err, PARE_E_NOMEM, "no memory for a frame of %d x %d", f->width, f->height);
        if (l->is_yuv) fill_tables(f->color, &t);
        pare__pixels_planes(f, c.plane);
        pare__pool_run(pool, ((int64_t)f->height + BAND - 1) / BAND, convert_band, &c);
        rgb.rgb = c.rgb;
        rgb.stride = (int64_t)f->width * 3;
        rgb.pixels = PARE_PIXELS_RGB;
        rgb.plane[0] = rgb.plane[1] = NULL;
    }
    *out = rgb;
    return 0;
}
