/* SPDX-License-Identifier: MIT */
/* A frame enters the window: which grid it gets, its slots (one, or the whole picture and its tiles), its pixels at grid
 * size, and what the caller says of its units (mask, scores).
 *
 * Video: frames of one medium; `temporal` of them share a slot. Photos: every frame is a medium of its own, and one of
 * another grid starts a new window. */
#include <math.h>
#include <string.h>

#include "encode/prep.h"
#include "reduce/reducer.h"

enum { DEFAULT_CAPACITY = 32 };

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

/* Later frames meet the first one's grid: stretched for video, by the checkpoint's rule for photos. */
static int fit_frame(const pare_reducer *r, const pare_frame *f, pare__fit *fit, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    const int is_fixed = r->width && (o->video || o->width || r->is_resized);
    return is_fixed ? fit_size(r, f, r->width, r->height, 0, fit, err)
                    : fit_size(r, f, o->width, o->height, o->max_side, fit, err);
}

/* The `resize` step is no map: it asks for a smaller grid, which then counts as the whole. */
static int resized_grid(pare_reducer *r, const int32_t full[2], int32_t out[2])
{
    for (int32_t i = 0; i < r->recipe.n; i++) {
        const pare__step *s = &r->recipe.step[i];
        if (s->site != PARE__SITE_FRAMES || !s->sel->plan_grid) continue;
        double keep = s->keep;
        int64_t k = keep > 0 ? -1 : s->k;
        if (i == r->plan.final_step) {
            keep = r->rate.keep;
            k = r->rate.kind == PARE__RATE_KEEP     ? -1
                : r->rate.kind == PARE__RATE_TOKENS ? r->rate.tokens / r->rate.n_frames
                                                    : r->rate.per_frame;
            r->rate.kind = PARE__RATE_NONE;
            r->ctx.floor = pare__rate_floor(&r->rate);
            r->ctx.most = pare__rate_most(&r->rate);
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
    return pare__rate_check(&r->rate, (int64_t)grid[0] * grid[1] * r->per_picture, err);
}

static int set_geometry(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    pare__fit fit;
    int rc = fit_frame(r, frame, &fit, err);
    if (rc) return rc;
    const int32_t unit_px = r->model->hp.patch * r->model->hp.unit;
    int32_t grid[2] = {fit.height / unit_px, fit.width / unit_px};
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
    pare__encode_plan plan = r->plan.encode;
    plan.on_site = pare__reducer_on_site;
    plan.user = r;
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
                                  {(void **)&r->goal, sizeof(pare__goal), 0},
                                  {(void **)&r->segment, sizeof(pare__segment), 0},
                                  {(void **)&r->mask, units, 0},
                                  {(void **)&r->given, units * f32, 0},
                                  {(void **)&r->score, units * f32, 0},
                                  {(void **)&r->prefix, (r->model->hp.n_prefix * d + 1) * f32, 0},
                                  {(void **)&r->pooled, (d > r->model->hp.d_out ? d : r->model->hp.d_out) * f32, 0},
                                  {(void **)&r->logits, (r->model->hp.n_class + 1) * f32, 0}};
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

static int open_geometry(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    int rc = set_geometry(r, frame, err);
    if (!rc) rc = grow_window(r, first_capacity(r), err);
    return rc ? rc : make_encoder(r, err);
}

/* A photo whose grid differs from those before it ends their window. */
static int is_other_grid(const pare_reducer *r, const pare_frame *frame)
{
    pare__fit fit;
    if (r->opts.video || r->is_resized || fit_frame(r, frame, &fit, NULL)) return 0;
    return fit.width != r->width || fit.height != r->height;
}

int pare__reducer_room(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (!r->width) return open_geometry(r, frame, err);
    if (is_other_grid(r, frame)) {
        const int rc = r->n_slot ? pare__reducer_window(r, 0, err) : 0;
        r->width = r->height = r->has_previous = 0;
        return rc ? rc : open_geometry(r, frame, err);
    }
    if (r->n_held || r->n_slot + r->per_picture <= r->cap) return 0;
    if (r->window > 0) return pare__reducer_window(r, 0, err);
    return grow_window(r, 2 * r->cap, err);
}

/* ---- what the caller says of the units -------------------------------------------------------------------------- */

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

/* ---- a frame ---------------------------------------------------------------------------------------------------- */

/* The slots of a new picture or temporal step. */
static void begin_slots(pare_reducer *r, const pare_frame *f)
{
    const int64_t step = r->n_step + r->n_slot / r->per_picture;
    if (!step || !r->opts.video) r->media_start = f->pts;
    for (int32_t i = 0; i < r->per_picture; i++) {
        const int32_t s = r->n_slot + i;
        r->slot[s] = (pare_slot){.media = r->opts.video ? 0 : (int32_t)step,
                                 .tile = i,
                                 .t = r->opts.video ? (int32_t)step : 0,
                                 .tile_rows = r->per_picture > 1 ? r->opts.tile_rows : 1,
                                 .tile_cols = r->per_picture > 1 ? r->opts.tile_cols : 1,
                                 .grid_h = r->ctx.grid_h,
                                 .grid_w = r->ctx.grid_w};
        r->held[s] = 0;
        r->pts[2 * s] = f->pts;
        memset(r->mask + s * slot_units(r), PARE_MASK_FREE, (size_t)slot_units(r));
    }
    r->n_slot += r->per_picture;
}

static int resample(pare_reducer *r, const pare_frame *f, const pare__fit *fit, uint8_t *to, pare_error *err)
{
    return pare__prep_frame(f, fit, pare__prep_resample(&r->model->prep, r->opts.video), to, &r->arena, r->pool, err);
}

static uint8_t *slot_pixels(const pare_reducer *r, int32_t s)
{
    return r->pixels + s * slot_bytes(r) + r->held[s] * frame_bytes(r);
}

/* The slot has its pixels: what the caller says of its units, and when it was. */
static int end_slot(pare_reducer *r, const pare_frame *f, int32_t s, pare_error *err)
{
    int rc = 0;
    if (f->mask) read_mask(r, f, s);
    if (f->scores && !r->held[s]) rc = read_scores(r, f, s, err);
    if (rc) return rc;
    r->held[s]++;
    r->pts[2 * s + 1] = f->pts;
    return 0;
}

static int store_whole(pare_reducer *r, const pare_frame *f, int32_t s, pare_error *err)
{
    int rc = fit_frame(r, f, &r->fit[s], err);
    r->fit[s].rotation = f->rotation;
    if (!rc) rc = resample(r, f, &r->fit[s], slot_pixels(r, s), err);
    return rc ? rc : end_slot(r, f, s, err);
}

static void cut_tile(const uint8_t *all, const pare__fit *canvas, const pare__fit *tile, uint8_t *to)
{
    const int64_t x = tile->crop_x - canvas->crop_x, y = tile->crop_y - canvas->crop_y;
    for (int64_t row = 0; row < tile->height; row++)
        memcpy(to + row * tile->width * 3, all + ((y + row) * canvas->width + x) * 3, (size_t)tile->width * 3);
}

/* The tiles that follow the whole picture, cut out of one resize of it. */
static int store_tiles(pare_reducer *r, const pare_frame *f, int32_t whole, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    const pare__mark mark = pare__arena_mark(&r->arena);
    pare__fit canvas;
    int rc = pare__fit_canvas(&r->fit[whole], o->tile_rows, o->tile_cols, o->letterbox, &canvas, err);
    if (rc) return rc;
    uint8_t *all = pare__arena_alloc(&r->arena, (int64_t)canvas.width * canvas.height, 3);
    if (!all) return pare_fail(err, PARE_E_NOMEM, "out of memory for tiles of %d x %d", canvas.width, canvas.height);
    rc = resample(r, f, &canvas, all, err);
    for (int32_t i = 1; !rc && i < r->per_picture; i++) {
        const int32_t s = whole + i;
        pare__fit_tile(&canvas, o->tile_rows, o->tile_cols, i, &r->fit[s]);
        cut_tile(all, &canvas, &r->fit[s], slot_pixels(r, s));
        rc = end_slot(r, f, s, err);
    }
    pare__arena_reset(&r->arena, mark);
    return rc;
}

int pare__reducer_store(pare_reducer *r, const pare_frame *f, pare_error *err)
{
    const double start = pare__now_ms();
    if (!r->n_held) begin_slots(r, f);
    const int32_t first = r->n_slot - r->per_picture;
    int rc = store_whole(r, f, first, err);
    if (!rc && r->per_picture > 1) rc = store_tiles(r, f, first, err);
    if (rc) return rc;
    r->n_held = r->opts.video ? (r->n_held + 1) % r->model->hp.temporal : 0;
    r->n_pushed++;
    r->stats.prep_ms += pare__now_ms() - start;
    return 0;
}
