/* SPDX-License-Identifier: MIT */
/* Preprocessing: which size a frame is brought to, and the pixels at that size.
 *   photo  the checkpoint's own rule: resize (exact size, shortest side, whole units within areas, so many patches),
 *          centre crop
 *   clip   the same, with the areas of clips; those of Qwen3-VL count the frames
 *   video  the whole frame: aspect kept, sides in whole units, about `video_units` units; where the grid is fixed, as a
 *          photo
 * Either way the result is cut to whole units, as a patch convolution drops the rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "encode/prep.h"

/* Of a picture whose size follows areas: the longer side over the shorter one. */
enum { MAX_ASPECT = 200 };

/* What the caller asked for, checked. */
typedef struct wish {
    int32_t src_width, src_height, width, height, max_side;
    int32_t unit;                 /* pixels of a unit side */
    int32_t patch;                /* pixels of a patch side */
    int64_t frames, whole_frames; /* of a clip whose frames share an area, as they are and in whole steps; else 0 */
} wish;

static int check_wish(const wish *w, pare_error *err)
{
    if (w->src_width <= 0 || w->src_height <= 0 || w->src_width > PARE__MAX_SIDE || w->src_height > PARE__MAX_SIDE) {
        return pare_fail(err, w->src_width <= 0 || w->src_height <= 0 ? PARE_E_INVALID : PARE_E_LIMIT,
                         "frame is %d x %d pixels; sides from 1 to %d are supported", w->src_width, w->src_height,
                         PARE__MAX_SIDE);
    }
    if (w->width < 0 || w->height < 0 || (w->width > 0) != (w->height > 0)) {
        return pare_fail(err, PARE_E_INVALID, "size %dx%d: give both width and height, or none", w->width, w->height);
    }
    if (w->width % w->unit || w->height % w->unit) {
        return pare_fail(err, PARE_E_INVALID, "size %dx%d: both must be multiples of %d", w->width, w->height, w->unit);
    }
    if (w->max_side != 0 && w->max_side < w->unit) {
        return pare_fail(err, PARE_E_INVALID, "max side %d is below one unit of %d pixels", w->max_side, w->unit);
    }
    if (w->max_side != 0 && (w->width > w->max_side || w->height > w->max_side)) {
        return pare_fail(err, PARE_E_INVALID, "size %dx%d is above max side %d", w->width, w->height, w->max_side);
    }
    return 0;
}

static int check_fit(const wish *w, const pare__fit *fit, pare_error *err)
{
    if (fit->width < w->unit || fit->height < w->unit) {
        return pare_fail(err, PARE_E_INVALID, "frame of %d x %d becomes %d x %d, less than one unit of %d pixels",
                         w->src_width, w->src_height, fit->width, fit->height, w->unit);
    }
    int64_t units = (int64_t)(fit->width / w->unit) * (fit->height / w->unit);
    if (fit->resized_width > PARE__MAX_SIDE || fit->resized_height > PARE__MAX_SIDE ||
        units > PARE__MAX_UNITS_PER_FRAME) {
        return pare_fail(err, PARE_E_LIMIT, "frame of %d x %d becomes %d x %d: more than %d a side or %d units",
                         w->src_width, w->src_height, fit->resized_width, fit->resized_height, PARE__MAX_SIDE,
                         PARE__MAX_UNITS_PER_FRAME);
    }
    return 0;
}

/* ---- video ----------------------------------------------------------------------------------------------------- */

/* Pixels of a side scaled by s, rounded half up to whole units, within the bound. */
static int32_t whole_units(const wish *w, int32_t side, double s)
{
    double units = floor(side * s / w->unit + 0.5);
    if (w->max_side != 0) units = fmin(units, w->max_side / w->unit);
    return (int32_t)fmin(fmax(units, 1), PARE__MAX_SIDE / w->unit) * w->unit;
}

/* The whole frame at about `scale`, as few pixels off its aspect as whole units allow. */
static void fit_whole(const wish *w, double scale, pare__fit *fit)
{
    int32_t longer = w->src_width > w->src_height ? w->src_width : w->src_height;
    if (w->max_side != 0) scale = fmin(scale, (double)w->max_side / longer);
    fit->resized_width = w->width ? w->width : whole_units(w, w->src_width, scale);
    fit->resized_height = w->height ? w->height : whole_units(w, w->src_height, scale);
    fit->width = fit->resized_width;
    fit->height = fit->resized_height;
}

static void fit_video(const pare_model *m, const wish *w, pare__fit *fit)
{
    double area = (double)m->hp.video_units * w->unit * w->unit;
    fit_whole(w, sqrt(area / ((double)w->src_width * w->src_height)), fit);
}

/* ---- photos ---------------------------------------------------------------------------------------------------- */

/* The rule with its sizes replaced by width x height: an exact resize goes there; a shortest side keeps its proportion
 * to the crop (crop_pct). */
static pare__prep_rule rule_for_size(const pare__prep_rule *rule, int32_t width, int32_t height)
{
    pare__prep_rule r = *rule;
    if (width == 0) return r;
    if (r.resize == PARE__RESIZE_SHORTEST && r.crop != PARE__CROP_NONE) {
        int32_t was = r.crop_width < r.crop_height ? r.crop_width : r.crop_height;
        int32_t is = width < height ? width : height;
        r.shortest = (int32_t)((int64_t)r.shortest * is / was);
        if (r.shortest < is) r.shortest = is;
    } else {
        r.resize = PARE__RESIZE_EXACT;
        r.resize_width = width;
        r.resize_height = height;
    }
    r.crop_width = width;
    r.crop_height = height;
    return r;
}

/* Sides as the rule of areas finds them: a frame of a clip whose frames share an area grows first to one unit. */
static void grow_sides(const wish *w, double *width, double *height)
{
    const double unit = w->unit, small = fmax(unit / w->src_width, unit / w->src_height);
    const double grown = w->frames && small > 1 ? small : 1;
    *width = floor(w->src_width * grown);
    *height = floor(w->src_height * grown);
}

/* What smart_resize refuses. */
static int check_aspect(const pare__prep_rule *r, const wish *w, pare_error *err)
{
    double width, height;
    if (!r || r->resize != PARE__RESIZE_SMART || w->width) return 0;
    grow_sides(w, &width, &height);
    if (fmax(width, height) / fmin(width, height) <= MAX_ASPECT) return 0;
    return pare_fail(err, PARE_E_LIMIT,
                     "frame is %d x %d pixels; this model takes no side more than %d times the other", w->src_width,
                     w->src_height, MAX_ASPECT);
}

/* Sides to whole units, ties to even, as Python rounds; a picture outside the range of areas is scaled into it first,
 * then cut down to units or filled up to them. Source: transformers' smart_resize, of Qwen2-VL for pictures, of Qwen3-VL
 * for clips: there areas are those of all frames. */
static void smart_resize(const pare__prep_rule *r, const wish *w, pare__fit *fit)
{
    const double unit = w->unit, frames = w->frames ? (double)w->frames : 1;
    double src_width, src_height;
    grow_sides(w, &src_width, &src_height);
    const double area = frames * src_width * src_height;
    double width = rint(src_width / unit), height = rint(src_height / unit);
    const double made = (w->frames ? (double)w->whole_frames : 1) * width * height * unit * unit;
    if (made > (double)r->max_pixels) {
        const double shrink = sqrt(area / (double)r->max_pixels);
        width = fmax(1, floor(src_width / shrink / unit));
        height = fmax(1, floor(src_height / shrink / unit));
    } else if (made < (double)r->min_pixels) {
        const double grow = sqrt((double)r->min_pixels / area);
        width = ceil(src_width * grow / unit);
        height = ceil(src_height * grow / unit);
    }
    fit->resized_width = (int32_t)(fmin(width, PARE__MAX_SIDE) * unit);
    fit->resized_height = (int32_t)(fmin(height, PARE__MAX_SIDE) * unit);
}

/* Patches of a side scaled by s. */
static int64_t patches_of(const wish *w, int32_t side, double s) { return (int64_t)fmax(1, ceil(side * s / w->patch)); }

/* Halves the range of scales until it is narrow, as the models were run: the largest size is not always met exactly.
 * Source: transformers' get_image_size_for_max_num_patches (SigLIP 2). */
static void patches_resize(const pare__prep_rule *r, const wish *w, pare__fit *fit)
{
    const double narrow = 1e-5;
    double low = narrow / 10, high = 100;
    while (high - low >= narrow) {
        const double s = (low + high) / 2;
        if (patches_of(w, w->src_height, s) * patches_of(w, w->src_width, s) <= r->max_patches)
            low = s;
        else
            high = s;
    }
    fit->resized_width = (int32_t)patches_of(w, w->src_width, low) * w->patch;
    fit->resized_height = (int32_t)patches_of(w, w->src_height, low) * w->patch;
}

static void photo_resize(const pare__prep_rule *r, const wish *w, pare__fit *fit)
{
    fit->resized_width = w->src_width;
    fit->resized_height = w->src_height;
    if (r->resize == PARE__RESIZE_SMART) {
        smart_resize(r, w, fit);
    } else if (r->resize == PARE__RESIZE_PATCHES) {
        patches_resize(r, w, fit);
    } else if (r->resize == PARE__RESIZE_EXACT) {
        fit->resized_width = r->resize_width;
        fit->resized_height = r->resize_height;
    } else if (r->resize == PARE__RESIZE_SHORTEST) {
        int32_t shorter = w->src_width < w->src_height ? w->src_width : w->src_height;
        int64_t width = (int64_t)r->shortest * w->src_width / shorter;
        int64_t height = (int64_t)r->shortest * w->src_height / shorter;
        fit->resized_width = (int32_t)(width < INT32_MAX ? width : INT32_MAX);
        fit->resized_height = (int32_t)(height < INT32_MAX ? height : INT32_MAX);
    }
}

/* First pixel of a centre crop. A crop larger than the picture pads: the FLOOR rule puts the odd pixel before it,
 * torchvision after it. */
static int32_t crop_start(pare__crop_rule rule, int32_t n, int32_t crop)
{
    int32_t margin = n - crop;
    if (rule == PARE__CROP_ROUND) return margin < 0 ? -(-margin / 2) : (int32_t)lrint(margin / 2.0);
    return margin < 0 ? -((1 - margin) / 2) : margin / 2;
}

static void fit_photo(const pare__prep_rule *rule, const wish *w, pare__fit *fit)
{
    pare__prep_rule r = rule_for_size(rule, w->width, w->height);
    photo_resize(&r, w, fit);
    fit->width = fit->resized_width;
    fit->height = fit->resized_height;
    if (r.crop != PARE__CROP_NONE) {
        fit->width = r.crop_width;
        fit->height = r.crop_height;
        fit->crop_x = crop_start(r.crop, fit->resized_width, fit->width);
        fit->crop_y = crop_start(r.crop, fit->resized_height, fit->height);
    }
    int32_t longer = fit->width > fit->height ? fit->width : fit->height;
    if (w->max_side != 0 && longer > w->max_side) {
        double shrink = (double)w->max_side / longer;
        wish smaller = *w;
        smaller.width = whole_units(w, fit->width, shrink);
        smaller.height = whole_units(w, fit->height, shrink);
        smaller.max_side = 0;
        fit->crop_x = fit->crop_y = 0;
        fit_photo(rule, &smaller, fit);
    }
    fit->width -= fit->width % w->unit;
    fit->height -= fit->height % w->unit;
}

/* ---- both, letterboxed or not ----------------------------------------------------------------------------------- */

static wish make_wish(const pare_model *m, int32_t src_width, int32_t src_height, int32_t width, int32_t height,
                      int32_t max_side)
{
    return (wish){.src_width = src_width,
                  .src_height = src_height,
                  .width = width,
                  .height = height,
                  .max_side = max_side,
                  .unit = m->hp.patch * m->hp.unit,
                  .patch = m->hp.patch};
}

/* rule: NULL = pare's own for video. */
static int fit_wish(const pare_model *m, const pare__prep_rule *rule, const wish *w, int letterbox, pare__fit *fit,
                    pare_error *err)
{
    int rc = check_wish(w, err);
    if (rc == 0) rc = check_aspect(rule, w, err);
    if (rc < 0) return rc;
    pare__fit made = {.src_width = w->src_width, .src_height = w->src_height};
    if (rule)
        fit_photo(rule, w, &made);
    else
        fit_video(m, w, &made);
    if (letterbox) pare__fit_letterbox(&made);
    rc = check_fit(w, &made, err);
    if (rc == 0) *fit = made;
    return rc;
}

static const pare__prep_rule *rule_of(const pare_model *m, int32_t video)
{
    return video && !m->hp.fixed_grid ? NULL : &m->prep;
}

int pare__prep_fit(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                   int32_t height, int32_t max_side, pare__fit *fit, pare_error *err)
{
    const wish w = make_wish(m, src_width, src_height, width, height, max_side);
    return fit_wish(m, rule_of(m, video), &w, 0, fit, err);
}

int pare__prep_clip(const pare_model *m, int32_t src_width, int32_t src_height, int64_t n_frames, int32_t width,
                    int32_t height, pare__fit *fit, pare_error *err)
{
    pare__prep_rule rule = m->prep;
    wish w = make_wish(m, src_width, src_height, width, height, 0);
    if (rule.resize != PARE__RESIZE_SMART) return fit_wish(m, rule_of(m, 1), &w, 0, fit, err);
    if (rule.clip_min_pixels) rule.min_pixels = rule.clip_min_pixels;
    if (rule.clip_max_pixels) rule.max_pixels = rule.clip_max_pixels;
    if (rule.clip_volume) {
        w.frames = n_frames > m->hp.temporal ? n_frames : m->hp.temporal;
        w.whole_frames = (int64_t)rint((double)w.frames / m->hp.temporal) * m->hp.temporal;
    }
    return fit_wish(m, &rule, &w, 0, fit, err);
}

static uint8_t mean_value(const pare__prep_rule *rule, int c)
{
    const double v = rule->rescale > 0 ? rule->mean[c] / rule->rescale : 0;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

int pare__prep_letterbox(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                         int32_t height, int32_t max_side, pare__fit *fit, pare_error *err)
{
    const wish w = make_wish(m, src_width, src_height, width, height, max_side);
    const int rc = fit_wish(m, rule_of(m, video), &w, 1, fit, err);
    if (rc < 0) return rc;
    for (int c = 0; c < 3; c++) fit->pad[c] = mean_value(&m->prep, c);
    return 0;
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

static int check_frame(const pare_frame *f, const pare__fit *fit, pare_error *err)
{
    if (!f->rgb) return pare_fail(err, PARE_E_INVALID, "frame has no pixels");
    if (f->width != fit->src_width || f->height != fit->src_height) {
        return pare_fail(err, PARE_E_INVALID, "frame is %d x %d, but %d x %d was expected", f->width, f->height,
                         fit->src_width, fit->src_height);
    }
    if (llabs(f->stride) < (int64_t)f->width * 3) {
        return pare_fail(err, PARE_E_INVALID, "frame stride is %lld bytes, less than the %lld of a row",
                         (long long)f->stride, (long long)f->width * 3);
    }
    return 0;
}

static void fill(uint8_t *rgb, int64_t n, const uint8_t colour[3])
{
    for (int64_t i = 0; i < n; i++) memcpy(rgb + 3 * i, colour, 3);
}

/* Copies the crop rectangle of the resized picture; outside of it is padding. */
static void crop(const uint8_t *resized, const pare__fit *fit, uint8_t *out)
{
    int64_t x0 = fit->crop_x > 0 ? fit->crop_x : 0;
    int64_t x1 = fit->crop_x + fit->width < fit->resized_width ? fit->crop_x + fit->width : fit->resized_width;
    for (int64_t r = 0; r < fit->height; r++) {
        int64_t from = r + fit->crop_y;
        uint8_t *row = out + r * fit->width * 3;
        if (from < 0 || from >= fit->resized_height || x1 <= x0) {
            fill(row, fit->width, fit->pad);
            continue;
        }
        int64_t left = x0 - fit->crop_x, n = x1 - x0;
        fill(row, left, fit->pad);
        memcpy(row + left * 3, resized + (from * fit->resized_width + x0) * 3, (size_t)n * 3);
        fill(row + (left + n) * 3, fit->width - left - n, fit->pad);
    }
}

int pare__prep_frame(const pare_frame *frame, const pare__fit *fit, pare__resample resample, uint8_t *out,
                     pare__arena *arena, pare__pool *pool, pare_error *err)
{
    int rc = check_frame(frame, fit, err);
    if (rc < 0) return rc;
    int32_t w = fit->resized_width, h = fit->resized_height;
    if (w == fit->width && h == fit->height && fit->crop_x == 0 && fit->crop_y == 0) {
        return pare__resize_u8(frame->rgb, frame->stride, frame->width, frame->height, out, w, h, resample, arena, pool,
                               err);
    }
    pare__mark mark = pare__arena_mark(arena);
    uint8_t *resized = (uint8_t *)pare__arena_alloc(arena, (int64_t)w * h, 3);
    if (!resized) return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", w, h);
    rc = pare__resize_u8(frame->rgb, frame->stride, frame->width, frame->height, resized, w, h, resample, arena, pool,
                         err);
    if (rc == 0) crop(resized, fit, out);
    pare__arena_reset(arena, mark);
    return rc;
}

int pare__prep_keeps(const pare__fit *fit, pare__resample resample)
{
    return pare__resize_keeps(resample, fit->src_width, fit->src_height, fit->resized_width, fit->resized_height);
}

static int32_t within(int32_t v, int32_t most) { return v < 0 ? 0 : v > most ? most : v; }

int pare__prep_changed(const pare_frame *frame, const pare__fit *fit, pare__resample resample,
                       const pare__changed *changed, uint8_t *between, uint8_t *out, pare__arena *arena,
                       pare__pool *pool, pare_error *err)
{
    if (!pare__prep_keeps(fit, resample)) return pare__prep_frame(frame, fit, resample, out, arena, pool, err);
    const int rc = check_frame(frame, fit, err);
    if (rc < 0) return rc;
    const pare__area part = {within(fit->crop_x, fit->resized_width), within(fit->crop_y, fit->resized_height),
                             within(fit->crop_x + fit->width, fit->resized_width),
                             within(fit->crop_y + fit->height, fit->resized_height)};
    const int32_t left = part.x0 - fit->crop_x, top = part.y0 - fit->crop_y;
    const int is_padded = part.x1 - part.x0 < fit->width || part.y1 - part.y0 < fit->height;
    const pare__target to = {.rgb = out + 3 * ((int64_t)top * fit->width + left),
                             .stride = 3 * (int64_t)fit->width,
                             .width = fit->resized_width,
                             .height = fit->resized_height,
                             .part = part};
    if (changed->is_all && is_padded) fill(out, (int64_t)fit->width * fit->height, fit->pad);
    return pare__resize_changed(frame, changed, &to, resample, between, arena, pool, err);
}

void pare__prep_values(const pare__prep_rule *rule, float *value)
{
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float scaled = (float)(v * rule->rescale);
            value[c * 256 + v] = (scaled - rule->mean[c]) / rule->std[c];
        }
    }
}

void pare__prep_normalise(const pare__prep_rule *rule, const uint8_t *rgb, int32_t w, int32_t h, float *out)
{
    float value[3 * 256];
    pare__prep_values(rule, value);
    int64_t n = (int64_t)w * h;
    for (int c = 0; c < 3; c++) {
        for (int64_t i = 0; i < n; i++) out[c * n + i] = value[c * 256 + rgb[i * 3 + c]];
    }
}
