/* SPDX-License-Identifier: MIT */
/* A heatmap: every unit of the grid gets a look (its shade, its outline), every pixel takes the look of its unit.
 *
 *   kept      the picture, or the colour of its score over it; a light line where it borders on what was dropped
 *   merged    the mean colour of the group over it, outlined in the group's own colour (as ToMe's figures do)
 *   dropped   dark and nearly grey; also a unit whose token stands at another time
 *   outside   of the crop: darker still
 *   ignored   by the frame's mask: hatched over what was dropped
 *
 * Of a comparison (style DIFFERENCE) the look says who keeps the unit: both, only A, only B; neither is dropped.
 *
 * Shapes: n = grid_h * grid_w units, h x w pixels of the upright frame. */
#include "view/heatmap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/mem.h"
#include "view/legend.h"
#include "view/overlay.h"
#include "view/palette.h"

enum { OUTLINE_NONE, OUTLINE_DROPPED, OUTLINE_ANY };
enum { ONE = 256, LINE_ALPHA = 224, MEAN_ALPHA = 184, MAX_LINE = 3, MIN_LINED = 6, HATCH = 6 };

static const pare__look as_is = {ONE, ONE, 0, {{0}}}, dropped = {56, 92, 0, {{0}}}, outside = {0, 40, 0, {{0}}};
static const pare__look hatch = {ONE, ONE, 128, {{200, 40, 40}}};
static const pare__colour border = {{255, 255, 255}};

/* Who keeps a unit, as 2 A + B; colours of Okabe and Ito, which colour-blind eyes can tell apart. */
enum { NEITHER, ONLY_B, ONLY_A, BOTH, KEEPERS };
static const pare__colour keeper_colour[KEEPERS] = {{{96, 96, 96}}, {{86, 180, 233}}, {{230, 159, 0}}, {{0, 158, 115}}};

typedef struct unit {
    pare__look look;
    pare__colour line;
    int32_t outline;
    int32_t group; /* unit of the group's anchor, -1 = dropped */
} unit;

typedef struct drawing {
    const pare__heat *heat;
    const pare_frame *frame;
    const pare__palette *palette;
    int32_t style, alpha;
    int64_t n, n_kept;
    double low, high;   /* scores at the ends of the palette; high < low: no scores */
    unit *unit;         /* [n] */
    int64_t (*sum)[4];  /* [n] by group: red, green, blue, pixels */
    int32_t *n_member;  /* [n] by group: units */
    int32_t *column;    /* [w] column of units under a pixel, -1 = none */
    int32_t *row;       /* [h] */
    int32_t line_width; /* pixels; units of a few pixels would be all outline: 0 */
} drawing;

/* ---- what was asked for --------------------------------------------------------------------------------------- */

static int check_frame(const pare__heat *heat, const pare_frame *f, pare_error *err)
{
    if (f->rgb == NULL || f->width <= 0 || f->height <= 0 || f->width > PARE__MAX_SIDE || f->height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_INVALID, "heatmap: frame of %d x %d pixels", (int)f->width, (int)f->height);
    if (f->width != heat->fit->src_width || f->height != heat->fit->src_height)
        return pare_fail(err, PARE_E_INVALID, "heatmap: frame of %d x %d pixels, the result is of %d x %d",
                         (int)f->width, (int)f->height, (int)heat->fit->src_width, (int)heat->fit->src_height);
    return 0;
}

static int read_opts(drawing *d, const pare_heatmap_opts *opts, pare_error *err)
{
    static const pare_heatmap_opts no_opts = {.struct_size = sizeof no_opts};
    if (opts == NULL) opts = &no_opts;
    const double alpha = opts->alpha == 0 ? 0.55 : opts->alpha;
    if (opts->style < PARE_HEATMAP_BOTH || opts->style > PARE_HEATMAP_DIFFERENCE)
        return pare_fail(err, PARE_E_INVALID, "heatmap: no style %d", (int)opts->style);
    if (opts->style == PARE_HEATMAP_DIFFERENCE && d->heat->other == NULL)
        return pare_fail(err, PARE_E_INVALID, "heatmap: a difference needs another result");
    if (!(alpha > 0 && alpha <= 1))
        return pare_fail(err, PARE_E_INVALID, "heatmap: alpha %g is not in (0, 1]", opts->alpha);
    d->palette = pare__palette_find(opts->palette);
    if (d->palette == NULL)
        return pare_fail(err, PARE_E_INVALID, "heatmap: no palette '%s': viridis, turbo, magma and gray exist",
                         opts->palette);
    if (opts->style == PARE_HEATMAP_SCORE && d->heat->score == NULL)
        return pare_fail(err, PARE_E_INVALID, "heatmap: this result has no scores to show");
    d->style = opts->style;
    d->alpha = (int32_t)lrint(alpha * ONE);
    return 0;
}

static int allocate(drawing *d, pare_error *err)
{
    d->unit = PARE__NEW(unit, d->n);
    d->sum = pare__calloc(d->n, (int64_t)sizeof *d->sum);
    d->n_member = PARE__NEW(int32_t, d->n);
    d->column = PARE__NEW(int32_t, d->frame->width);
    d->row = PARE__NEW(int32_t, d->frame->height);
    if (d->unit == NULL || d->sum == NULL || d->n_member == NULL || d->column == NULL || d->row == NULL)
        return pare_fail(err, PARE_E_NOMEM, "heatmap: out of memory for %lld units", (long long)d->n);
    return 0;
}

static void release(drawing *d)
{
    pare__free(d->unit);
    pare__free(d->sum);
    pare__free(d->n_member);
    pare__free(d->column);
    pare__free(d->row);
}

/* ---- which unit, which group ------------------------------------------------------------------------------------ */

static void mark(int32_t *pixel, int32_t size, float from, float to, int32_t value)
{
    const int32_t end = (int32_t)lrintf(to) < size ? (int32_t)lrintf(to) : size;
    for (int32_t i = (int32_t)lrintf(from); i < end; i++) pixel[i] = value;
}

/* The fit keeps axes apart: a unit is a range of columns and a range of rows. */
static void find_units(drawing *d)
{
    const pare__heat *heat = d->heat;
    const float px = (float)heat->unit_px;
    float out[4];
    memset(d->column, -1, (size_t)d->frame->width * sizeof *d->column);
    memset(d->row, -1, (size_t)d->frame->height * sizeof *d->row);
    for (int32_t i = 0; i < heat->grid_w; i++) {
        pare__fit_upright(heat->fit, (const float[4]){(float)i * px, 0, (float)(i + 1) * px, px}, out);
        mark(d->column, d->frame->width, out[0], out[2], i);
    }
    for (int32_t i = 0; i < heat->grid_h; i++) {
        pare__fit_upright(heat->fit, (const float[4]){0, (float)i * px, px, (float)(i + 1) * px}, out);
        mark(d->row, d->frame->height, out[1], out[3], i);
    }
    const double across = px * (double)heat->fit->src_width / heat->fit->resized_width;
    d->line_width = across < MIN_LINED ? 0 : across < 32 ? 1 : across < 64 ? 2 : MAX_LINE;
}

static int find_groups(drawing *d, pare_error *err)
{
    const pare__heat *heat = d->heat;
    int32_t n_row = 0;
    for (int64_t u = 0; u < d->n; u++) n_row = heat->owner[u] >= n_row ? heat->owner[u] + 1 : n_row;
    int32_t *anchor = pare__malloc(n_row + 1, (int64_t)sizeof *anchor);
    if (anchor == NULL) return pare_fail(err, PARE_E_NOMEM, "heatmap: out of memory for %d rows", (int)n_row);
    memset(anchor, -1, (size_t)n_row * sizeof *anchor);
    for (int64_t u = 0; u < d->n; u++) {
        if (!heat->kept[u]) continue;
        d->n_kept++;
        if (heat->owner[u] >= 0) anchor[heat->owner[u]] = (int32_t)u;
    }
    for (int64_t u = 0; u < d->n; u++) {
        const int32_t group = heat->owner[u] >= 0 ? anchor[heat->owner[u]] : -1;
        d->unit[u].group = group;
        if (group >= 0) d->n_member[group]++;
    }
    pare__free(anchor);
    return 0;
}

static unit *unit_at(const drawing *d, int32_t x, int32_t y)
{
    const int32_t c = d->column[x], r = d->row[y];
    return c < 0 || r < 0 ? NULL : &d->unit[(int64_t)r * d->heat->grid_w + c];
}

static void sum_colours(drawing *d)
{
    for (int32_t y = 0; y < d->frame->height; y++) {
        const uint8_t *px = d->frame->rgb + y * d->frame->stride;
        for (int32_t x = 0; x < d->frame->width; x++, px += 3) {
            const unit *u = unit_at(d, x, y);
            if (u == NULL || u->group < 0) continue;
            int64_t *sum = d->sum[u->group];
            for (int i = 0; i < 3; i++) sum[i] += px[i];
            sum[3]++;
        }
    }
}

/* ---- colours --------------------------------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The palette spans the middle 96 % of the step's scores, so that one outlier does not take it all. */
static int find_range(drawing *d, pare_error *err)
{
    d->low = 1, d->high = 0;
    if (d->heat->score == NULL || d->style == PARE_HEATMAP_KEPT || d->style == PARE_HEATMAP_DIFFERENCE) return 0;
    float *sorted = pare__malloc(d->n, (int64_t)sizeof *sorted);
    if (sorted == NULL) return pare_fail(err, PARE_E_NOMEM, "heatmap: out of memory for %lld scores", (long long)d->n);
    int64_t n = 0;
    for (int64_t u = 0; u < d->n; u++)
        if (isfinite(d->heat->score[u])) sorted[n++] = d->heat->score[u];
    qsort(sorted, (size_t)n, sizeof *sorted, compare_floats);
    if (n > 0) d->low = sorted[n * 2 / 100], d->high = sorted[n - 1 - n * 2 / 100];
    pare__free(sorted);
    return 0;
}

static int has_score(const drawing *d, int64_t u) { return d->high >= d->low && isfinite(d->heat->score[u]); }

static pare__colour score_colour(const drawing *d, int64_t u)
{
    const double span = d->high - d->low, x = span > 0 ? (d->heat->score[u] - d->low) / span : 0.5;
    pare__colour c;
    memcpy(c.rgb, d->palette->rgb[(int)lrint(255 * (x < 0 ? 0 : x > 1 ? 1 : x))], 3);
    return c;
}

static pare__colour mean_colour(const int64_t sum[4])
{
    pare__colour c = {{0}};
    for (int i = 0; i < 3 && sum[3] > 0; i++) c.rgb[i] = (uint8_t)(sum[i] / sum[3]);
    return c;
}

static pare__look scored_look(const drawing *d, int64_t u)
{
    return (pare__look){96, ONE, d->alpha, score_colour(d, u)};
}

static int keeper(const drawing *d, int64_t i) { return 2 * (d->heat->kept[i] != 0) + (d->heat->other[i] != 0); }

static void choose_look(const drawing *d, int64_t i)
{
    unit *u = &d->unit[i];
    const int is_scored = has_score(d, i);
    if (d->style == PARE_HEATMAP_DIFFERENCE) {
        const int k = keeper(d, i);
        u->look = k == NEITHER ? dropped : (pare__look){96, ONE, d->alpha, keeper_colour[k]};
        u->outline = OUTLINE_NONE;
    } else if (d->style == PARE_HEATMAP_SCORE || u->group < 0) {
        u->look = d->style == PARE_HEATMAP_SCORE && is_scored ? scored_look(d, i) : dropped;
        u->outline = OUTLINE_NONE;
    } else if (d->n_member[u->group] > 1) {
        const pare__colour mean = mean_colour(d->sum[u->group]);
        u->look =
            (pare__look){ONE, ONE, MEAN_ALPHA, is_scored ? pare__colour_mix(mean, score_colour(d, i), d->alpha) : mean};
        u->line = pare__colour_hash((uint32_t)u->group);
        u->outline = OUTLINE_ANY;
    } else {
        u->look = is_scored ? scored_look(d, i) : as_is;
        u->line = border;
        u->outline = OUTLINE_DROPPED;
    }
}

/* ---- painting -------------------------------------------------------------------------------------------------- */

static int differs(const drawing *d, const unit *u, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= d->frame->width || y >= d->frame->height) return 0;
    const unit *other = unit_at(d, x, y);
    const int32_t group = other != NULL ? other->group : -1;
    return u->outline == OUTLINE_ANY ? group != u->group : group < 0;
}

static int is_line(const drawing *d, const unit *u, int32_t x, int32_t y)
{
    const int32_t w = d->line_width;
    if (u->outline == OUTLINE_NONE || w == 0) return 0;
    for (int32_t dy = -w; dy <= w; dy += w)
        for (int32_t dx = -w; dx <= w; dx += w)
            if (differs(d, u, x + dx, y + dy)) return 1;
    return 0;
}

/* Every other diagonal stripe of what the mask ignores. */
static int is_hatched(const drawing *d, const unit *u, int32_t x, int32_t y)
{
    const pare_frame *f = d->frame;
    if (f->mask == NULL || (u != NULL && u->group >= 0) || (x + y) / HATCH % 2) return 0;
    const int64_t mx = (int64_t)x * f->mask_width / f->width, my = (int64_t)y * f->mask_height / f->height;
    return f->mask[my * f->mask_width + mx] == PARE_MASK_IGNORE;
}

static void paint(const drawing *d, uint8_t *rgb)
{
    for (int32_t y = 0; y < d->frame->height; y++) {
        uint8_t *px = rgb + (int64_t)y * d->frame->width * 3;
        memcpy(px, d->frame->rgb + y * d->frame->stride, (size_t)d->frame->width * 3);
        for (int32_t x = 0; x < d->frame->width; x++, px += 3) {
            const unit *u = unit_at(d, x, y);
            pare__pixel_shade(px, u != NULL ? &u->look : &outside);
            if (is_hatched(d, u, x, y)) pare__pixel_shade(px, &hatch);
            if (u != NULL && is_line(d, u, x, y)) pare__pixel_shade(px, &(pare__look){ONE, ONE, LINE_ALPHA, u->line});
        }
    }
}

static void paint_legend(const drawing *d, uint8_t *rgb)
{
    pare__share share[] = {{keeper_colour[BOTH], "both", 0},
                           {keeper_colour[ONLY_A], "only A", 0},
                           {keeper_colour[ONLY_B], "only B", 0},
                           {keeper_colour[NEITHER], "neither", 0}};
    const int is_difference = d->style == PARE_HEATMAP_DIFFERENCE;
    for (int64_t i = 0; is_difference && i < d->n; i++) share[BOTH - keeper(d, i)].n++;
    const pare__canvas strip = {rgb + (int64_t)d->frame->width * d->frame->height * 3, d->frame->width,
                                PARE_HEATMAP_LEGEND_HEIGHT};
    const pare__legend legend = {.n_kept = d->n_kept,
                                 .n = d->n,
                                 .keep = d->heat->keep,
                                 .pts = d->frame->pts,
                                 .low = d->low,
                                 .high = d->high,
                                 .palette = d->high >= d->low ? d->palette : NULL,
                                 .share = is_difference ? share : NULL,
                                 .n_share = KEEPERS};
    pare__legend_draw(&strip, &legend);
}

int pare__heatmap_draw(const pare__heat *heat, const pare_frame *frame, const pare_heatmap_opts *opts, uint8_t *rgb,
                       pare_error *err)
{
    drawing d = {.heat = heat, .frame = frame, .n = (int64_t)heat->grid_h * heat->grid_w};
    int rc = check_frame(heat, frame, err);
    if (rc == 0) rc = read_opts(&d, opts, err);
    if (rc != 0) return rc;
    rc = allocate(&d, err);
    if (rc == 0) rc = find_groups(&d, err);
    if (rc == 0) rc = find_range(&d, err);
    if (rc == 0) {
        find_units(&d);
        sum_colours(&d);
        for (int64_t u = 0; u < d.n; u++) choose_look(&d, u);
        paint(&d, rgb);
        if (opts != NULL && opts->legend) paint_legend(&d, rgb);
    }
    release(&d);
    return rc;
}
