/* SPDX-License-Identifier: MIT */
/* Tokens of hosted consumers, from the formulas of their documentation (consumers.c names pages and dates). Nobody can
 * check them from outside but by a bill; where a page leaves something open, the reading is told here. */
#include <math.h>

#include <pare/pare.h>

#include "consumers.h"

/* Pictures are brought down to so many pixels, never up. */
enum { TILES_SQUARE = 2048, TILES_SHORTER = 768, TILE = 512 };
/* Pictures that are not cut; the shorter side is cut so that one and a half crops fit it. */
enum { CROP_FREE = 384, CROP_SIDE = 768 };
#define CROP_SHARE 1.5

static int64_t cover(double side, double piece) { return (int64_t)fmax(1, ceil(side / piece - 1e-9)); }

static double shorter(double a, double b) { return a < b ? a : b; }

/* A clip where its frames have a price of their own. */
static int is_clip(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out)
{
    if (!ask->n_frames) return 0;
    out->n_steps = ask->n_frames;
    out->n_tokens = ask->n_frames * c->per_frame;
    return 1;
}

static void set_size(pare_consumer_count *out, double width, double height)
{
    out->width = (int32_t)fmax(1, floor(width + 1e-6));
    out->height = (int32_t)fmax(1, floor(height + 1e-6));
}

/* Into a square, then the shorter side down. */
int pare__consumer_count_tiles(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err)
{
    (void)err;
    double scale = fmin(1, (double)TILES_SQUARE / fmax(ask->width, ask->height));
    scale *= fmin(1, TILES_SHORTER / (scale * shorter(ask->width, ask->height)));
    set_size(out, ask->width * scale, ask->height * scale);
    out->tile_cols = (int32_t)cover(ask->width * scale, TILE);
    out->tile_rows = (int32_t)cover(ask->height * scale, TILE);
    out->has_whole = 1;
    out->n_tokens = (int64_t)(c->base + c->each * out->tile_rows * out->tile_cols);
    return 0;
}

/* A picture of too many patches shrinks until the budget covers it, then a little more, so that one side holds whole
 * patches. The product is rounded up. */
int pare__consumer_count_patches(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                                 pare_error *err)
{
    (void)err;
    const double side = c->side;
    double width = ask->width, height = ask->height;
    if (cover(width, side) * cover(height, side) > c->max_patches) {
        const double r = sqrt(side * side * c->max_patches / (width * height));
        const double across = width * r / side, down = height * r / side;
        const double fit = r * shorter(floor(across) / across, floor(down) / down);
        const double scale = fit > 0 ? fit : r;
        width *= scale;
        height *= scale;
    }
    set_size(out, width, height);
    out->grid_w = (int32_t)cover(width, side);
    out->grid_h = (int32_t)cover(height, side);
    const int64_t n = (int64_t)out->grid_w * out->grid_h;
    out->n_tokens = (int64_t)ceil(c->each * (double)(n < c->max_patches ? n : c->max_patches) - 1e-9);
    return 0;
}

/* The largest size of the same aspect within both limits; the limit of patches is what the published table of largest sizes
 * follows. */
int pare__consumer_count_area(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                              pare_error *err)
{
    (void)err;
    const double side = c->side;
    double low = 0, high = fmin(1, (double)c->max_edge / fmax(ask->width, ask->height));
    const int is_free = cover(ask->width * high, side) * cover(ask->height * high, side) <= c->max_patches;
    for (int i = 0; i < 60 && !is_free; i++) {
        const double s = (low + high) / 2;
        if (cover(ask->width * s, side) * cover(ask->height * s, side) <= c->max_patches)
            low = s;
        else
            high = s;
    }
    const double scale = is_free ? high : low;
    set_size(out, ask->width * scale, ask->height * scale);
    if (c->each > 0) {
        out->n_tokens = (int64_t)ceil((double)out->width * out->height / c->each);
        return 0;
    }
    out->grid_w = (int32_t)cover(out->width, side);
    out->grid_h = (int32_t)cover(out->height, side);
    out->n_tokens = (int64_t)out->grid_w * out->grid_h;
    return 0;
}

int pare__consumer_count_crops(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err)
{
    (void)err;
    if (is_clip(c, ask, out)) return 0;
    const double crop = floor(shorter(ask->width, ask->height) / CROP_SHARE);
    set_size(out, ask->width, ask->height);
    if ((ask->width > CROP_FREE || ask->height > CROP_FREE) && crop >= 1) {
        out->tile_cols = (int32_t)cover(ask->width, crop);
        out->tile_rows = (int32_t)cover(ask->height, crop);
        out->width = out->height = CROP_SIDE;
    }
    out->n_tokens = (int64_t)c->each * out->tile_rows * out->tile_cols;
    return 0;
}

int pare__consumer_count_fixed(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err)
{
    (void)err;
    set_size(out, ask->width, ask->height);
    if (is_clip(c, ask, out)) return 0;
    out->n_tokens = (int64_t)c->each;
    return 0;
}
