/* SPDX-License-Identifier: MIT */
/* Rectangles of the grid back in the source: crop, resize and rotation undone, in that order. */
#include "core/fit.h"

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
}
