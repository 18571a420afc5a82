/* SPDX-License-Identifier: MIT */
/* A frame enters the window: which grid it gets, its slots (one, or the whole picture and its tiles), its pixels at grid
 * size. What the caller says of its units (mask, scores) is read in marks.c.
 *
 * Video: frames of one medium; `temporal` of them share a slot. Photos: every frame is a medium of its own, and one of
 * another grid, or in other tiles, starts a new window. */
#include <math.h>
#include <string.h>

#include "encode/cut.h"
#include "encode/prep.h"
#include "reduce/reducer.h"

enum { DEFAULT_CAPACITY = 32, DEFAULT_WINDOW = 32 };

static int64_t frame_bytes(const pare_reducer *r) { return (int64_t)r->width * r->height * 3; }

static int64_t slot_bytes(const pare_reducer *r) { return frame_bytes(r) * r->model->hp.temporal; }

static int64_t slot_units(const pare_reducer *r) { return (int64_t)r->ctx.grid_h * r->ctx.grid_w; }

uint8_t *pare__reducer_pixels(const pare_reducer *r, int32_t slot, int32_t j)
{
    const int32_t last = slot < r->cap ? r->held[slot] - 1 : 0;
    return r->pixels + slot * slot_bytes(r) + (j < last ? j : last > 0 ? last : 0) * frame_bytes(r);
}

/* ---- geometry -------------------------------------------------------------------------------------------------- */

static int fit_size(const pare_reducer *r, const pare_frame *f, int32_t width, int32_t height, int32_t max_side,
                    pare__fit *fit, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    return (o->letterbox ? pare__prep_letterbox : pare__prep_fit)(r->model, f->width, f->height, o->video, width,
                                                                  height, max_side, fit, err);
}

/* Later frames meet the first one's grid: stretched for video, unless the checkpoint's rule leads there, which is that of
 * photos. */
static int fit_frame(const pare_reducer *r, const pare_frame *f, pare__fit *fit, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    const int by_rule = !r->is_resized && !o->width && (!o->video || r->model->hp.fixed_grid);
    if (!r->width || by_rule) {
        const int rc = fit_size(r, f, o->width, o->height, o->max_side, fit, err);
        if (rc || !r->width || !o->video || (fit->width == r->width && fit->height == r->height)) return rc;
    }
    return fit_size(r, f, r->width, r->height, 0, fit, err);
}

/* The checkpoint's own tiles: unless the caller says how large or how many they are. */
static int has_tile_rule(const pare_reducer *r)
{
    const pare_reducer_opts *o = &r->opts;
    return r->model->prep.tiles != PARE__TILES_NONE && !o->video && !o->tile_rows && !o->width && !o->max_side &&
           !o->letterbox;
}

/* Tiles of a size that is not the rule's: padded where the rule pads. */
static int fit_tiles(const pare_reducer *r, const pare_frame *f, pare__tiling *t, pare_error *err)
{
    const int is_padded = r->opts.letterbox || (has_tile_rule(r) && r->model->prep.tiles == PARE__TILES_PINPOINTS);
    const int rc = fit_frame(r, f, &t->whole, err);
    t->first_resize_width = t->whole_of_canvas = 0;
    if (rc || pare__tiling_slots(t) == 1) return rc;
    return pare__fit_canvas(&t->whole, t->rows, t->cols, is_padded, &t->canvas, err);
}

/* The slots of a picture: by the caller's tiles, by the checkpoint's rule, or the whole picture alone. */
static int tile_frame(const pare_reducer *r, const pare_frame *f, pare__tiling *t, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    const int is_given = o->tile_rows > 0, by_rule = has_tile_rule(r);
    *t =
        (pare__tiling){.rows = is_given ? o->tile_rows : 1, .cols = is_given ? o->tile_cols : 1, .has_whole = is_given};
    int rc = by_rule ? pare__tiling_find(r->model, f->width, f->height, 0, 0, t, err) : 0;
    if (!rc && (r->is_resized || !by_rule)) rc = fit_tiles(r, f, t, err);
    t->whole.rotation = t->canvas.rotation = f->rotation;
    t->whole.mirrored = t->canvas.mirrored = f->mirrored;
    return rc;
}

/* Pixels of a slot: all slots of a picture are as large. */
static int slot_size(const pare__tiling *t, int32_t *width, int32_t *height, pare_error *err)
{
    pare__fit first, last;
    pare__tiling_fit(t, 0, &first);
    pare__tiling_fit(t, pare__tiling_slots(t) - 1, &last);
    *width = first.width;
    *height = first.height;
    if (first.width == last.width && first.height == last.height) return 0;
    return pare_fail(err, PARE_E_UNSUPPORTED, "tiles of %d x %d pixels beside a whole picture of %d x %d", first.width,
                     first.height, last.width, last.height);
}

/* What a step at `frames` is told of one slot: its share, or its number of units. */
static void slot_budget(const pare_reducer *r, const pare__step *s, int is_final, double *keep, int64_t *k)
{
    const int64_t frames = r->rate.n_frames > 0 ? r->rate.n_frames : 1;
    *keep = is_final ? r->rate.keep : s->keep;
    *k = s->k;
    if (is_final) *k = (r->rate.tokens ? r->rate.tokens / frames : r->rate.per_frame) / r->per_picture;
    if (*keep > 0) *k = -1;
}

/* The `resize` step is no map: it asks for a smaller grid, which then counts as the whole. */
static int resized_grid(pare_reducer *r, const int32_t full[2], int32_t out[2])
{
    for (int32_t i = 0; i < r->recipe.n; i++) {
        const pare__step *s = &r->recipe.step[i];
        if (s->site != PARE__SITE_FRAMES || !s->sel->plan_grid) continue;
        double keep;
        int64_t k;
        slot_budget(r, s, i == r->plan.final_step, &keep, &k);
        if (i == r->plan.final_step) {
            r->rate.kind = PARE__RATE_NONE;
        }
        s->sel->plan_grid(s->priv, full, keep, k, out);
        return 1;
    }
    return 0;
}

/* Photos to come may be of other sizes: what they can keep nobody knows yet. */
static int check_budget(const pare_reducer *r, const int32_t grid[2], pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    const int is_open = !o->video && !o->width && r->rate.kind == PARE__RATE_TOKENS && r->rate.n_frames > 1;
    if (r->n_pushed || is_open) return 0;
    return pare__rate_check(&r->rate, pare__reducer_budget_units(r, grid[0], grid[1]) * r->per_picture, err);
}

static int set_grid(pare_reducer *r, const pare__tiling *t, pare_error *err)
{
    const int32_t unit_px = r->model->hp.patch * r->model->hp.unit;
    int32_t width, height;
    int rc = slot_size(t, &width, &height, err);
    if (rc) return rc;
    int32_t grid[2] = {height / unit_px, width / unit_px};
    const int32_t full[2] = {grid[0], grid[1]};
    const int32_t final = r->plan.final_step;
    const int takes_budget = final >= 0 && r->recipe.step[final].site == PARE__SITE_FRAMES;
    if (takes_budget) rc = check_budget(r, full, err);
    r->is_resized = !rc && resized_grid(r, full, grid);
    r->full_units = r->is_resized ? (int64_t)full[0] * full[1] : 0;
    if (!rc) rc = check_budget(r, grid, err);
    if (rc) return rc;
    r->ctx.grid_h = grid[0];
    r->ctx.grid_w = grid[1];
    r->height = r->ctx.grid_h * unit_px;
    r->width = r->ctx.grid_w * unit_px;
    return 0;
}

static int make_encoder(pare_reducer *r, pare_error *err)
{
    if (r->opts.dry) return 0;
    pare__encode_plan plan = r->plan.encode;
    plan.on_site = pare__reducer_on_site;
    plan.stop = r->opts.stop;
    plan.user = r;
    plan.remembers = r->opts.reuse != PARE_REUSE_NONE;
    for (int32_t i = 0; i < r->recipe.n; i++) {
        const pare__step *s = &r->recipe.step[i];
        if (s->sel->unbiased && s->sel->unbiased(s->priv)) plan.unbiased = 1;
    }
    const int64_t unit = r->model->hp.unit, rows = r->model->hp.n_prefix + slot_units(r) * unit * unit;
    if (r->encoder && rows <= r->encoder_rows) return 0;
    pare__encoder_free(&r->encoder);
    r->encoder_rows = rows;
    return pare__encoder_create(&r->encoder, r->model, r->pool, &plan, rows, err);
}

/* ---- room ------------------------------------------------------------------------------------------------------- */

/* Slots that a window of the whole clip may hold: pictures, and tokens about three times (rows, result, scratch). A
 * picture has all of its slots in one window. */
static int64_t whole_clip_limit(const pare_reducer *r)
{
    const int64_t per_slot = slot_bytes(r) + 3 * slot_units(r) * r->model->hp.dim * (int64_t)sizeof(float);
    const int64_t n = PARE__MAX_CLIP_BYTES / per_slot, limit = n < PARE__MAX_WINDOW ? n : PARE__MAX_WINDOW;
    return limit - limit % r->per_picture;
}

/* Room of n bytes, the first `kept` of them as they were; what is there already serves again. */
static int reserve(void **ptr, int64_t *bytes, int64_t n, int64_t kept)
{
    if (n <= *bytes) return 0;
    void *grown = pare__malloc(n, 1);
    if (!grown) return PARE_E_NOMEM;
    if (kept) memcpy(grown, *ptr, (size_t)kept);
    pare__free(*ptr);
    *ptr = grown;
    *bytes = n;
    return 0;
}

static int grow_window(pare_reducer *r, int32_t cap, pare_error *err)
{
    const int64_t limit = whole_clip_limit(r);
    if (r->window < 0 && r->n_slot >= limit)
        return pare_fail(err, PARE_E_LIMIT, "window of the whole clip: more than %lld grids of %d x %d units",
                         (long long)limit, r->ctx.grid_h, r->ctx.grid_w);
    if (r->window < 0 && cap > limit) cap = (int32_t)limit;
    const int64_t units = slot_units(r), d = r->model->hp.dim, f32 = sizeof(float);
    const struct {
        void **ptr;
        int64_t size, more; /* bytes of a slot; slots beyond cap */
    } array[PARE__SLOT_ARRAYS] = {{(void **)&r->pixels, slot_bytes(r), 1},
                                  {(void **)&r->pts, 2 * sizeof(double), 0},
                                  {(void **)&r->fit, sizeof(pare__fit), 0},
                                  {(void **)&r->slot, sizeof(pare_slot), 0},
                                  {(void **)&r->held, sizeof(int32_t), 0},
                                  {(void **)&r->step, sizeof(pare_step), 0},
                                  {(void **)&r->goal, sizeof(pare__goal), 0},
                                  {(void **)&r->segment, sizeof(pare__segment), 0},
                                  {(void **)&r->mask, units, 0},
                                  {(void **)&r->given, units * f32, 0},
                                  {(void **)&r->motion, r->wants_motion ? units * f32 : 0, 0},
                                  {(void **)&r->change, units * f32, 0},
                                  {(void **)&r->score, units * f32, 0},
                                  {(void **)&r->prefix, (r->model->hp.n_prefix * d + 1) * f32, 0},
                                  {(void **)&r->pooled, (d > r->model->hp.d_out ? d : r->model->hp.d_out) * f32, 0},
                                  {(void **)&r->logits, (r->model->hp.n_class + 1) * f32, 0},
                                  {(void **)&r->image_embeds, (r->model->hp.n_embed + 1) * f32, 0}};
    for (size_t i = 0; i < PARE__SLOT_ARRAYS; i++) {
        const int64_t n = (cap + array[i].more) * array[i].size;
        if (reserve(array[i].ptr, &r->bytes[i], n, r->n_slot * array[i].size)) return PARE_E_NOMEM;
    }
    r->cap = cap;
    return 0;
}

static int32_t first_capacity(const pare_reducer *r)
{
    if (r->window > 0) return r->window * r->per_picture;
    if (r->opts.n_frames > 0 && r->opts.n_frames <= PARE__MAX_WINDOW / r->per_picture)
        return (int32_t)r->opts.n_frames * r->per_picture;
    return DEFAULT_CAPACITY * r->per_picture;
}

/* A picture in tiles is decided on its own unless the caller says otherwise; steps that attend to each other together. */
static void set_pictures(pare_reducer *r, const pare__tiling *t)
{
    const int32_t steps = pare__reducer_steps(r);
    r->tiling = *t;
    r->per_picture = r->ctx.per_picture = pare__tiling_slots(t);
    const int32_t asked = r->opts.window ? r->opts.window : r->per_picture > 1 ? 1 : DEFAULT_WINDOW;
    r->window = asked < 0 ? asked : (asked + steps - 1) / steps * steps;
}

static int open_geometry(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    pare__tiling t;
    int rc = tile_frame(r, frame, &t, err);
    if (!rc) set_pictures(r, &t);
    if (!rc && !r->width) rc = set_grid(r, &t, err);
    if (!rc) rc = grow_window(r, first_capacity(r), err);
    return rc ? rc : make_encoder(r, err);
}

/* A photo whose grid or tiles differ from those before it ends their window. */
static int is_other_geometry(const pare_reducer *r, const pare_frame *frame)
{
    const pare__tiling *was = &r->tiling;
    pare__tiling t;
    int32_t width, height;
    if (r->opts.video || tile_frame(r, frame, &t, NULL) || slot_size(&t, &width, &height, NULL)) return 0;
    const int is_same = t.rows == was->rows && t.cols == was->cols && t.has_whole == was->has_whole;
    return !is_same || (!r->is_resized && (width != r->width || height != r->height));
}

int pare__reducer_room(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (!r->width) return open_geometry(r, frame, err);
    if (is_other_geometry(r, frame)) {
        const int rc = r->n_slot ? pare__reducer_window(r, frame, 0, err) : 0;
        r->has_previous = 0;
        if (!r->is_resized) r->width = r->height = 0;
        return rc ? rc : open_geometry(r, frame, err);
    }
    if (r->n_held) return 0;
    if (pare__reducer_is_over(r, frame)) return pare__reducer_window(r, frame, 0, err);
    if (r->n_slot + r->per_picture <= r->cap) return 0;
    if (r->window > 0) return pare__reducer_window(r, frame, 0, err);
    return grow_window(r, 2 * r->cap, err);
}

/* ---- a frame ---------------------------------------------------------------------------------------------------- */

/* The slots of a new picture or temporal step. */
static void begin_slots(pare_reducer *r, const pare_frame *f)
{
    const int64_t step = r->n_step + r->n_slot / r->per_picture;
    if (!step || !r->opts.video) r->media_start = f->pts;
    if (r->opts.video) pare__reducer_time(r, f);
    for (int32_t i = 0; i < r->per_picture; i++) {
        const int32_t s = r->n_slot + i;
        r->slot[s] = (pare_slot){.media = r->opts.video ? 0 : (int32_t)step,
                                 .tile = pare__tiling_tile(&r->tiling, i),
                                 .t = r->opts.video ? (int32_t)step : 0,
                                 .tile_rows = r->tiling.rows,
                                 .tile_cols = r->tiling.cols,
                                 .grid_h = r->ctx.grid_h,
                                 .grid_w = r->ctx.grid_w};
        r->held[s] = 0;
        r->pts[2 * s] = f->pts;
        memset(r->mask + s * slot_units(r), PARE_MASK_FREE, (size_t)slot_units(r));
    }
    r->n_slot += r->per_picture;
}

static int resize_all(pare_reducer *r, const pare_frame *f, int32_t first, pare_error *err)
{
    uint8_t **to = PARE__ARENA(&r->arena, uint8_t *, r->per_picture);
    if (!to) return PARE_E_NOMEM;
    for (int32_t i = 0; i < r->per_picture; i++)
        to[i] = r->pixels + (first + i) * slot_bytes(r) + r->held[first + i] * frame_bytes(r);
    return pare__tiling_pixels(&r->tiling, f, pare__prep_resample(&r->model->prep, r->opts.video), to, &r->arena,
                               r->pool, err);
}

/* The picture that the frame before became; NULL = there was none. */
static const uint8_t *last_picture(const pare_reducer *r, int32_t slot)
{
    if (r->held[slot]) return pare__reducer_pixels(r, slot, r->held[slot] - 1);
    if (slot) return pare__reducer_pixels(r, slot - 1, r->held[slot - 1] - 1);
    return r->has_previous ? pare__reducer_pixels(r, r->cap, 0) : NULL;
}

/* Takes the picture before and resizes what is no longer the same. */
static int resize_changes(pare_reducer *r, const pare_frame *f, int32_t slot, pare_error *err)
{
    const pare__resample resample = pare__prep_resample(&r->model->prep, r->opts.video);
    const uint8_t *before = last_picture(r, slot);
    pare__changed changed;
    if (!before) pare__still_forget(&r->still);
    int rc = pare__still_take(&r->still, f, &r->fit[slot], resample, &changed);
    r->stats.n_block = r->still.n_block;
    r->stats.n_still = r->still.n_still;
    if (rc || !f->motion) return rc ? rc : resize_all(r, f, slot, err);
    uint8_t *to = r->pixels + slot * slot_bytes(r) + r->held[slot] * frame_bytes(r);
    if (!changed.is_all) memcpy(to, before, (size_t)frame_bytes(r));
    rc = pare__prep_changed(f, &r->fit[slot], resample, &changed, r->still.between, to, &r->arena, r->pool, err);
    if (rc) pare__still_forget(&r->still);
    return rc;
}

static int fill_slots(pare_reducer *r, const pare_frame *f, int32_t first, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&r->arena);
    int rc = tile_frame(r, f, &r->tiling, err);
    for (int32_t i = 0; !rc && i < r->per_picture; i++) pare__tiling_fit(&r->tiling, i, &r->fit[first + i]);
    if (!rc)
        rc = r->opts.video && r->per_picture == 1 ? resize_changes(r, f, first, err) : resize_all(r, f, first, err);
    pare__arena_reset(&r->arena, mark);
    return rc;
}

int pare__reducer_store(pare_reducer *r, const pare_frame *f, pare_error *err)
{
    const double start = pare__now_ms();
    if (!r->n_held) begin_slots(r, f);
    const int32_t first = r->n_slot - r->per_picture;
    int rc = fill_slots(r, f, first, err);
    for (int32_t s = first; !rc && s < r->n_slot; s++) {
        rc = pare__reducer_mark(r, f, s, err);
        if (!rc && r->wants_motion) rc = pare__reducer_moves(r, f, s);
        r->held[s]++;
        r->pts[2 * s + 1] = f->pts;
    }
    if (rc) return rc;
    if (r->opts.video) pare__pace_add(&r->pace, f->duration);
    pare__reducer_step_frame(r, f, first);
    r->n_held = r->opts.video ? (r->n_held + 1) % r->model->hp.temporal : 0;
    if (!r->n_held) rc = pare__reducer_step_take(r, first);
    r->n_pushed++;
    r->stats.prep_ms += pare__now_ms() - start;
    return rc;
}
