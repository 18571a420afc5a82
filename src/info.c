/* SPDX-License-Identifier: MIT */
/* What an opened model says of itself: dimensions, preprocessing in words, and what becomes of photos and clips. */
#include <stdarg.h>
#include <stdio.h>

#include <pare/pare.h>

#include "api.h"
#include "core/cache.h"
#include "core/mem.h"
#include "encode/prep.h"
#include "encode/tiles.h"
#include "model/family.h"
#include "model/model.h"

#define MAX_FRAMES ((int64_t)1 << 40) /* counts whose products fit 64 bits */

/* ---- preprocessing in words ------------------------------------------------------------------------------------- */

enum { LINE = 384 };

typedef struct text {
    char line[LINE];
    size_t used;
} text;

static void say(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(text *t, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const int n = vsnprintf(t->line + t->used, LINE - t->used, format, values);
    va_end(values);
    if (n > 0) t->used = t->used + (size_t)n < LINE ? t->used + (size_t)n : LINE - 1;
}

static void say_resize(text *t, const pare__prep_rule *r)
{
    static const char *const resample[] = {
        [PARE__RESAMPLE_NEAREST] = "nearest",   [PARE__RESAMPLE_BOX] = "box",
        [PARE__RESAMPLE_BILINEAR] = "bilinear", [PARE__RESAMPLE_BICUBIC] = "bicubic",
        [PARE__RESAMPLE_LANCZOS] = "lanczos",   [PARE__RESAMPLE_BICUBIC_TORCH] = "torchvision bicubic"};
    switch (r->resize) {
    case PARE__RESIZE_NONE:
        say(t, "size as it comes");
        return;
    case PARE__RESIZE_EXACT:
        say(t, "resized to %d x %d", r->resize_width, r->resize_height);
        break;
    case PARE__RESIZE_SHORTEST:
        say(t, "shorter side %d", r->shortest);
        break;
    case PARE__RESIZE_SMART:
        say(t, "whole units, %lld to %lld pixels", (long long)r->min_pixels, (long long)r->max_pixels);
        break;
    case PARE__RESIZE_PATCHES:
        say(t, "whole patches, at most %d", r->max_patches);
        break;
    }
    say(t, " (%s)", resample[r->resample]);
}

static void say_tiles(text *t, const pare__prep_rule *r)
{
    switch (r->tiles) {
    case PARE__TILES_NONE:
        break;
    case PARE__TILES_RATIO:
        say(t, "; %d to %d tiles by aspect", r->min_tiles, r->max_tiles);
        break;
    case PARE__TILES_PINPOINTS:
        say(t, "; tiles of the best of %d sizes, padded, behind the whole picture", r->n_pinpoint);
        break;
    case PARE__TILES_LONGEST:
        say(t, "; tiles of a picture with longer side %d, before the whole picture", r->tiles_longest);
        break;
    }
    if (r->newlines) say(t, ", a newline behind every row");
    if (r->clip_pool > 1) say(t, "; clips: %d x %d units pooled", r->clip_pool, r->clip_pool);
}

static void describe(text *t, const pare__prep_rule *r)
{
    say_resize(t, r);
    if (r->crop != PARE__CROP_NONE) say(t, ", centre crop %d x %d", r->crop_width, r->crop_height);
    say(t, ", values times %.6g, mean %.4g %.4g %.4g, std %.4g %.4g %.4g", r->rescale, (double)r->mean[0],
        (double)r->mean[1], (double)r->mean[2], (double)r->std[0], (double)r->std[1], (double)r->std[2]);
    say_tiles(t, r);
}

/* Made once, kept by the model. */
static int make_line(void *arg, void **value, pare_error *err)
{
    text t = {.used = 0};
    describe(&t, arg);
    *value = pare__strdup(t.line);
    return *value ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory for a line about preprocessing");
}

static int preprocess_line(const pare_model *m, const char **line, pare_error *err)
{
    void *value = NULL;
    *line = "";
    const int rc =
        m->cache ? pare__cache_get(m->cache, &m->prep, make_line, (void *)(uintptr_t)&m->prep, pare__free, &value, err)
                 : 0;
    if (value) *line = value;
    return rc;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

/* Pixels of a photo by the checkpoint's rule; a rule that keeps the picture's own size is shown at its table's size. */
static void photo_size(const pare_model *m, int32_t *width, int32_t *height)
{
    pare__fit fit;
    const int32_t side = m->hp.pos_rows * m->hp.patch, other = m->hp.pos_cols * m->hp.patch;
    *width = *height = 0;
    if (pare__prep_fit(m, other, side, 0, 0, 0, 0, &fit, NULL)) return;
    *width = fit.width;
    *height = fit.height;
}

int pare_model_get(const pare_model *m, pare_model_info *info, pare_error *err)
{
    if (!m) return pare__no_argument("pare_model_get", "model", err);
    const pare__hparams *hp = &m->hp;
    pare_model_info own = {.struct_size = sizeof own,
                           .family = m->family->name,
                           .name = m->name,
                           .path = m->path,
                           .dim = hp->dim,
                           .n_layer = hp->n_layer,
                           .n_head = hp->n_head,
                           .mlp_dim = hp->mlp_dim,
                           .patch = hp->patch,
                           .n_prefix = hp->n_prefix,
                           .has_cls = hp->has_cls,
                           .unit = hp->unit,
                           .temporal = hp->temporal,
                           .n_class = hp->n_class,
                           .video_units = hp->video_units,
                           .n_params = m->n_params,
                           .dim_out = hp->d_out,
                           .window = hp->window,
                           .n_full = hp->n_layer,
                           .has_rope = hp->rope != PARE__ROPE_NONE,
                           .has_merger = hp->has_projector,
                           .has_mrope = hp->has_mrope,
                           .mrope_per_second = hp->mrope_per_second,
                           .tap = hp->tap,
                           .n_deepstack = hp->n_deepstack,
                           .n_embed = hp->n_embed,
                           .steps = hp->steps > 1 ? hp->steps : 1,
                           .sites = "frames,patches,block,output",
                           .missing = m->missing ? m->missing : ""};
    for (int32_t i = 0; hp->window && i < hp->n_layer; i++) own.n_full -= !hp->is_full[i];
    photo_size(m, &own.image_width, &own.image_height);
    const int rc = preprocess_line(m, &own.preprocess, err);
    return rc ? rc : pare__give_struct(info, &own, sizeof own, "pare_model_get", err);
}

int pare_model_fit(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                   int32_t height, int32_t max_side, int32_t *out_width, int32_t *out_height, pare_error *err)
{
    if (!m || !out_width || !out_height) return pare__no_argument("pare_model_fit", m ? "out" : "model", err);
    pare__fit fit;
    const int rc = pare__prep_fit(m, src_width, src_height, video, width, height, max_side, &fit, err);
    if (rc) return rc;
    *out_width = fit.width;
    *out_height = fit.height;
    return 0;
}

/* ---- what becomes of photos and clips --------------------------------------------------------------------------- */

/* The slots of a photo, or of one step of a clip. */
static int plan_slots(const pare_model *m, int32_t width, int32_t height, int64_t n_frames, int32_t rows, int32_t cols,
                      pare__tiling *t, pare_error *err)
{
    if (!n_frames) return pare__tiling_find(m, width, height, rows, cols, t, err);
    *t = (pare__tiling){.rows = 1, .cols = 1};
    if (rows > 0 || cols > 0) return pare_fail(err, PARE_E_INVALID, "tiles are cut from photos, not from video");
    return pare__prep_clip(m, width, height, n_frames, 0, 0, &t->whole, err);
}

int pare_model_plan_get(const pare_model *m, int32_t src_width, int32_t src_height, int64_t n_frames, int32_t tile_rows,
                        int32_t tile_cols, pare_model_plan *plan, pare_error *err)
{
    if (!m) return pare__no_argument("pare_model_plan_get", "model", err);
    if (n_frames < 0 || n_frames > MAX_FRAMES)
        return pare_fail(err, PARE_E_INVALID, "pare_model_plan_get: %lld frames", (long long)n_frames);
    pare__tiling t;
    const int rc = plan_slots(m, src_width, src_height, n_frames, tile_rows, tile_cols, &t, err);
    if (rc) return rc;
    const pare__hparams *hp = &m->hp;
    pare__fit slot;
    pare__tiling_fit(&t, 0, &slot);
    pare_model_plan own = {.struct_size = sizeof own,
                           .width = slot.width,
                           .height = slot.height,
                           .grid_h = slot.height / (hp->patch * hp->unit),
                           .grid_w = slot.width / (hp->patch * hp->unit),
                           .tile_rows = t.rows,
                           .tile_cols = t.cols,
                           .has_whole = t.has_whole,
                           .n_slot = n_frames ? (n_frames + hp->temporal - 1) / hp->temporal : pare__tiling_slots(&t)};
    own.n_units = own.n_slot * own.grid_h * own.grid_w;
    own.n_tokens = n_frames ? pare__tiling_clip_tokens(m, &t, own.n_slot) : pare__tiling_tokens(m, &t);
    return pare__give_struct(plan, &own, sizeof own, "pare_model_plan_get", err);
}
