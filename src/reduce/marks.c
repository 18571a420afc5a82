/* SPDX-License-Identifier: MIT */
/* What the caller says of the units of a frame: masks over the upright picture and scores on the grid, into those of its
 * slot [units]. */
#include <math.h>
#include <string.h>

#include "reduce/reducer.h"

static int64_t slot_units(const pare_reducer *r) { return (int64_t)r->ctx.grid_h * r->ctx.grid_w; }

/* Pixels of a mask that a span touches by more than the rounding of its ends. */
#define ROUNDING 1e-6

static int64_t span_start(double x, int64_t size)
{
    const int64_t at = (int64_t)floor(x + ROUNDING * (double)size);
    return at < 0 ? 0 : at > size ? size : at;
}

static int64_t span_end(double x, int64_t size)
{
    const int64_t at = (int64_t)ceil(x - ROUNDING * (double)size);
    return at < 0 ? 0 : at > size ? size : at;
}

/* The strongest word in a rectangle of the upright picture: ignore before keep before free. */
static uint8_t mask_of(const pare_frame *f, const float rect[4])
{
    const double sx = (double)f->mask_width / f->width, sy = (double)f->mask_height / f->height;
    const int64_t x1 = span_end(rect[2] * sx, f->mask_width), y1 = span_end(rect[3] * sy, f->mask_height);
    uint8_t word = PARE_MASK_FREE;
    if (rect[0] >= rect[2] || rect[1] >= rect[3]) return word;
    for (int64_t y = span_start(rect[1] * sy, f->mask_height); y < y1; y++)
        for (int64_t x = span_start(rect[0] * sx, f->mask_width); x < x1; x++) {
            const uint8_t value = f->mask[y * f->mask_width + x];
            if (value == PARE_MASK_IGNORE) return value;
            if (value == PARE_MASK_KEEP) word = value;
        }
    return word;
}

/* Frames that share a slot add their words up. */
static void read_mask(pare_reducer *r, const pare_frame *f, int32_t slot)
{
    const float u = (float)(r->model->hp.patch * r->model->hp.unit);
    uint8_t *mask = r->mask + slot * slot_units(r);
    for (int32_t y = 0; y < r->ctx.grid_h; y++)
        for (int32_t x = 0; x < r->ctx.grid_w; x++, mask++) {
            const float unit[4] = {(float)x * u, (float)y * u, (float)(x + 1) * u, (float)(y + 1) * u};
            float rect[4];
            pare__fit_upright(&r->fit[slot], unit, rect);
            const uint8_t word = mask_of(f, rect);
            if (*mask != PARE_MASK_IGNORE && word != PARE_MASK_FREE) *mask = word;
            r->has_mask |= *mask != PARE_MASK_FREE;
        }
}

static int read_scores(pare_reducer *r, const pare_frame *f, int32_t slot, pare_error *err)
{
    if (f->scores_width != r->ctx.grid_w || f->scores_height != r->ctx.grid_h || r->per_picture > 1)
        return pare_fail(err, PARE_E_INVALID, "scores of frame %lld: %d x %d values, the grid is %d x %d%s",
                         (long long)r->n_pushed, f->scores_height, f->scores_width, r->ctx.grid_h, r->ctx.grid_w,
                         r->per_picture > 1 ? " in tiles" : "");
    const int64_t n = slot_units(r);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(f->scores[i]))
            return pare_fail(err, PARE_E_INVALID, "scores of frame %lld: value %lld is not finite",
                             (long long)r->n_pushed, (long long)i);
    memcpy(r->given + slot * n, f->scores, (size_t)n * sizeof *f->scores);
    r->n_given++;
    return 0;
}

int pare__reducer_mark(pare_reducer *r, const pare_frame *f, int32_t slot, pare_error *err)
{
    if (f->mask) read_mask(r, f, slot);
    return f->scores && !r->held[slot] ? read_scores(r, f, slot, err) : 0;
}
