/* SPDX-License-Identifier: MIT */
/* Change, detail and cuts from one pass over the pixels of a picture.
 *
 *     change of a unit   mean |picture - the one before|
 *     detail of a unit   mean |difference to the pixel on the right| + the same downwards, over every second row: a lone
 *                        edge between two areas gives little of it, strokes a few pixels apart much
 *     cut                colours differ (histograms of sampled pixels), in most units, far beyond what was usual
 *
 * rgb [grid_h * patch, grid_w * patch, 3] -> pare__pulse, unit_change [grid_h * grid_w] */
#include "reduce/pulse.h"

#include <stdlib.h>
#include <string.h>

#define FINE 32.0f       /* levels: mean difference to the neighbours of a unit that has fine detail */
#define NEW 12.0f        /* levels: mean change of a unit that shows something else */
#define CUT_SHARE 0.4f   /* of the units are new where a scene begins, */
#define CUT_FACTOR 3.0f  /* their change is so many times what was usual, */
#define CUT_COLORS 0.08f /* and so many of the pixels have another colour; */
#define NEW_COLORS 0.22f /* while little is known of what is usual, so many */
#define USUAL_AFTER 4    /* pictures say what is usual */

enum { BINS = 16, SAMPLE = 4 }; /* of a histogram; every so many rows and columns are in it */

typedef struct picture {
    const pare__vec *vec;
    const uint8_t *rgb, *before;
    int64_t grid_h, grid_w, patch, stride;
} picture;

/* ---- units ------------------------------------------------------------------------------------------------------ */

/* Offset of a unit's first value. */
static int64_t unit_at(const picture *p, int64_t y, int64_t x) { return y * p->patch * p->stride + x * 3 * p->patch; }

static float change_of(const picture *p, int64_t at)
{
    const int64_t bytes = 3 * p->patch;
    uint64_t sum = 0;
    for (int64_t y = 0; y < p->patch; y++, at += p->stride) sum += p->vec->sad_u8(p->rgb + at, p->before + at, bytes);
    return (float)((double)sum / (double)(bytes * p->patch));
}

/* Neighbours within the unit: 3 (patch - 1) to the right, 3 patch downwards, in every second row. */
static float detail_of(const picture *p, int64_t at)
{
    const int64_t bytes = 3 * p->patch, right = bytes - 3;
    uint64_t across = 0, down = 0;
    int64_t rows = 0;
    for (int64_t y = 0; y + 1 < p->patch; y += 2, rows++, at += 2 * p->stride) {
        across += p->vec->sad_u8(p->rgb + at, p->rgb + at + 3, right);
        down += p->vec->sad_u8(p->rgb + at, p->rgb + at + p->stride, bytes);
    }
    if (!rows || !right) return 0;
    return (float)((double)across / (double)(right * rows) + (double)down / (double)(bytes * rows));
}

/* Units that show something else. */
static int64_t take_units(const picture *p, float *unit_change, pare__pulse *out)
{
    double sum = 0;
    int64_t n_new = 0;
    for (int64_t i = 0; i < p->grid_h * p->grid_w; i++) {
        const int64_t at = unit_at(p, i / p->grid_w, i % p->grid_w);
        const float change = p->before ? change_of(p, at) : 0;
        if (unit_change) unit_change[i] = p->before ? change : -1;
        n_new += change >= NEW;
        out->n_detailed += detail_of(p, at) >= FINE;
        sum += change;
    }
    if (p->before) out->change = (float)(sum / (double)(p->grid_h * p->grid_w));
    return n_new;
}

/* ---- cuts ------------------------------------------------------------------------------------------------------- */

static int64_t count_colors(const picture *p, const uint8_t *rgb, int32_t bin[3 * BINS])
{
    int64_t n = 0;
    memset(bin, 0, 3 * BINS * sizeof *bin);
    for (int64_t y = 0; y < p->grid_h * p->patch; y += SAMPLE) {
        const uint8_t *row = rgb + y * p->stride;
        for (int64_t x = 0; x < p->stride; x += 3 * SAMPLE, n++) {
            bin[row[x] * BINS / 256]++;
            bin[BINS + row[x + 1] * BINS / 256]++;
            bin[2 * BINS + row[x + 2] * BINS / 256]++;
        }
    }
    return n;
}

/* Share of the pixels whose colours the other picture has not, mean of the three channels: 0..1. */
static float other_colors(const picture *p)
{
    int32_t now[3 * BINS], was[3 * BINS];
    int64_t sum = 0;
    const int64_t n = count_colors(p, p->rgb, now);
    count_colors(p, p->before, was);
    for (int32_t i = 0; i < 3 * BINS; i++) sum += abs(now[i] - was[i]);
    return (float)((double)sum / (double)(6 * n));
}

static int is_cut(const picture *p, const pare__pulse *pulse, const pare__pulse_past *past, int64_t n_new)
{
    if ((float)n_new < CUT_SHARE * (float)(p->grid_h * p->grid_w)) return 0;
    if (pulse->change < CUT_FACTOR * past->usual) return 0;
    return other_colors(p) >= (past->n < USUAL_AFTER ? NEW_COLORS : CUT_COLORS);
}

/* A cut starts anew: what it changed itself says nothing about what follows. */
static void remember(const pare__pulse *pulse, pare__pulse_past *past)
{
    if (pulse->is_cut) {
        *past = (pare__pulse_past){0};
        return;
    }
    past->n++;
    past->usual += (pulse->change - past->usual) / (float)past->n;
}

void pare__pulse_take(const pare__vec *vec, const uint8_t *rgb, const uint8_t *before, int32_t grid_h, int32_t grid_w,
                      int32_t patch, pare__pulse_past *past, float *unit_change, pare__pulse *out)
{
    const picture p = {.vec = vec,
                       .rgb = rgb,
                       .before = before,
                       .grid_h = grid_h,
                       .grid_w = grid_w,
                       .patch = patch,
                       .stride = (int64_t)grid_w * patch * 3};
    *out = (pare__pulse){.change = -1};
    const int64_t n_new = take_units(&p, unit_change, out);
    out->detail = (float)((double)out->n_detailed / (double)((int64_t)grid_h * grid_w));
    if (!before) return;
    out->is_cut = is_cut(&p, out, past, n_new);
    remember(out, past);
}
