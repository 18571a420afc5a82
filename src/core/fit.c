/* SPDX-License-Identifier: MIT */
/* Rectangles of the grid back in the source: crop, resize and rotation undone, in that order. Letterboxes and tiles are
 * crops. */
#include "core/fit.h"

#include "core/limits.h"

/* ---- letterbox and tiles --------------------------------------------------------------------------------------- */

/* side * to / from, rounded half up, within 1 .. limit. */
static int32_t scaled(int32_t side, int32_t to, int32_t from, int32_t limit)
{
    const int64_t n = (2 * (int64_t)side * to + from) / (2 * (int64_t)from);
    return (int32_t)(n < 1 ? 1 : n > limit ? limit : n);
}

void pare__fit_letterbox(pare__fit *fit)
{
    const int is_wide = (int64_t)fit->src_width * fit->height >= (int64_t)fit->src_height * fit->width;
    fit->resized_width = is_wide ? fit->width : scaled(fit->src_width, fit->height, fit->src_height, fit->width);
    fit->resized_height = is_wide ? scaled(fit->src_height, fit->width, fit->src_width, fit->height) : fit->height;
    fit->crop_x = -((fit->width - fit->resized_width) / 2);
    fit->crop_y = -((fit->height - fit->resized_height) / 2);
}

int pare__fit_canvas(const pare__fit *whole, int32_t rows, int32_t cols, int letterbox, pare__fit *canvas,
                     pare_error *err)
{
    if (rows < 1 || cols < 1)
        return pare_fail(err, PARE_E_INVALID, "tiles %dx%d: give rows and columns, both at least 1", rows, cols);
    const int64_t width = (int64_t)cols * whole->width, height = (int64_t)rows * whole->height;
    if (width > PARE__MAX_SIDE || height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_LIMIT,
                         "tiles %dx%d of %d x %d pixels make %lld x %lld, sides up to %d are possible", rows, cols,
                         whole->width, whole->height, (long long)width, (long long)height, PARE__MAX_SIDE);
    *canvas = *whole;
    canvas->width = canvas->resized_width = (int32_t)width;
    canvas->height = canvas->resized_height = (int32_t)height;
    canvas->crop_x = canvas->crop_y = 0;
    if (letterbox) pare__fit_letterbox(canvas);
    return 0;
}

void pare__fit_tile(const pare__fit *canvas, int32_t rows, int32_t cols, int32_t tile, pare__fit *out)
{
    *out = *canvas;
    out->width = canvas->width / cols;
    out->height = canvas->height / rows;
    out->crop_x += (tile - 1) % cols * out->width;
    out->crop_y += (tile - 1) / cols * out->height;
}

/* ---- back to the source ---------------------------------------------------------------------------------------- */

static float clip(double x, int32_t size) { return x < 0 ? 0 : x > size ? (float)size : (float)x; }

void pare__fit_upright(const pare__fit *fit, const float rect[4], float out[4])
{
    double scale_x = (double)fit->src_width / fit->resized_width;
    double scale_y = (double)fit->src_height / fit->resized_height;

    for (int i = 0; i < 4; i += 2) {
        out[i] = clip(((double)rect[i] + fit->crop_x) * scale_x, fit->src_width);
        out[i + 1] = clip(((double)rect[i + 1] + fit->crop_y) * scale_y, fit->src_height);
    }
}

static void set_rect(float out[4], float x0, float y0, float x1, float y1)
{
    out[0] = x0;
    out[1] = y0;
    out[2] = x1;
    out[3] = y1;
}

/* A clockwise quarter turn sends the stored point (x, y) of a picture h high to the upright point (h - y, x). */
void pare__fit_stored(const pare__fit *fit, const float rect[4], float out[4])
{
    float w = (float)fit->src_width, h = (float)fit->src_height; /* upright */
    float up[4];

    pare__fit_upright(fit, rect, up);
    switch (fit->rotation) {
    case 90:
        set_rect(out, up[1], w - up[2], up[3], w - up[0]);
        break;
    case 180:
        set_rect(out, w - up[2], h - up[3], w - up[0], h - up[1]);
        break;
    case 270:
        set_rect(out, h - up[3], up[0], h - up[1], up[2]);
        break;
    default:
        set_rect(out, up[0], up[1], up[2], up[3]);
        break;
    }
    const float stored_w = fit->rotation % 180 ? h : w;
    if (fit->mirrored) set_rect(out, stored_w - out[2], out[1], stored_w - out[0], out[3]);
}

int pare__fit_is_padding(const pare__fit *fit, const float rect[4])
{
    float up[4];
    pare__fit_upright(fit, rect, up);
    return !(up[0] < up[2] && up[1] < up[3]);
}
