/* SPDX-License-Identifier: MIT */
#include "reduce/reducer.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "encode/backend.h"
#include "encode/prep.h"

enum { DEFAULT_WINDOW = 32 };

/* The failure is kept: after an error only close is allowed. */
static int failed(pare_reducer *r, int rc, const pare_error *from, pare_error *err)
{
    if (!rc) return 0;
    r->error = *from;
    if (r->error.code != rc) pare_fail(&r->error, rc, "reducer: %s", pare_strerror(rc));
    return pare_fail(err, rc, "%s", r->error.text);
}

/* ---- create --------------------------------------------------------------------------------------------------- */

static int keep_recipe_text(pare_reducer *r)
{
    const int n = pare__recipe_print(&r->recipe, NULL, 0);
    r->recipe_text = pare__malloc(n + 1, 1);
    if (!r->recipe_text) return PARE_E_NOMEM;
    pare__recipe_print(&r->recipe, r->recipe_text, (size_t)n + 1);
    return 0;
}

static int plan_recipe(pare_reducer *r, pare_error *err)
{
    int rc = pare__rate_init(&r->rate, &r->opts, err);
    if (!rc) rc = pare__recipe_parse(&r->recipe, r->opts.recipe ? r->opts.recipe : "none", err);
    if (!rc) rc = pare__plan_make(&r->plan, &r->recipe, r->model, &r->rate, err);
    return rc ? rc : keep_recipe_text(r);
}

static int check_window(pare_reducer *r, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if (o->window < -1 || o->window > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_INVALID, "window %d: must be 1..%d, or -1 for the whole clip", o->window,
                         PARE__MAX_WINDOW);
    if (o->n_threads < 0 || o->n_threads > PARE__MAX_THREADS)
        return pare_fail(err, PARE_E_INVALID, "threads %d: must be 1..%d, or 0 for all", o->n_threads,
                         PARE__MAX_THREADS);
    r->window = o->window == 0 ? DEFAULT_WINDOW : o->window;
    return 0;
}

/* A BLAS that runs threads of its own must not be called from several workers. */
static int32_t worker_count(int32_t asked)
{
    pare_runtime_info info = {.struct_size = sizeof info};
    pare__backends[0]->describe(&info);
    return info.blas_threads > 1 ? 1 : asked;
}

int pare__reducer_create(pare_reducer **out, const pare_model *model, const pare_reducer_opts *opts, pare_error *err)
{
    *out = NULL;
    pare_reducer *r = PARE__NEW(pare_reducer, 1);
    if (!r) return pare_fail(err, PARE_E_NOMEM, "reducer: out of memory");
    r->model = model;
    r->opts = *opts;
    int rc = check_window(r, err);
    if (!rc) rc = plan_recipe(r, err);
    if (!rc) rc = pare__pool_create(&r->pool, worker_count(opts->n_threads), err);
    r->ctx = (pare__context){.arena = &r->arena,
                             .gemm = pare__backends[0]->gemm,
                             .vec = pare__vec_best(),
                             .seed = opts->seed,
                             .n_head = model->hp.n_head,
                             .n_layer = model->hp.n_layer,
                             .n_prefix = model->hp.n_prefix,
                             .floor = pare__rate_floor(&r->rate)};
    if (rc) pare__reducer_free(&r);
    *out = r;
    return rc;
}

void pare__reducer_free(pare_reducer **out)
{
    if (!out || !*out) return;
    pare_reducer *r = *out;
    while (r->head) {
        pare_result *next = r->head->next;
        pare__result_free(&r->head);
        r->head = next;
    }
    pare__encoder_free(&r->encoder);
    pare__pool_free(&r->pool);
    pare__recipe_fini(&r->recipe);
    pare__rows_fini(&r->rows);
    pare__rows_fini(&r->encoded);
    pare__map_fini(&r->pack_total);
    pare__arena_fini(&r->arena);
    void *owned[] = {r->recipe_text, r->pixels, r->pts,    r->fit,    r->pack_origin, r->goal,
                     r->score,       r->prefix, r->pooled, r->logits, r->unit_index,  r->segment};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) pare__free(owned[i]);
    pare__free(r);
    *out = NULL;
}

/* ---- geometry, with the first frame --------------------------------------------------------------------------- */

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
        }
        s->sel->plan_grid(s->priv, full, keep, k, out);
        return 1;
    }
    return 0;
}

/* Later frames meet the first one's grid: stretched for video, by the checkpoint's rule for photos. */
static int fit_frame(const pare_reducer *r, const pare_frame *f, pare__fit *fit, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if (!r->width)
        return pare__prep_fit(r->model, f->width, f->height, o->video, o->width, o->height, o->max_side, fit, err);
    const int is_sized = o->video || o->width || r->is_resized;
    const int rc = pare__prep_fit(r->model, f->width, f->height, o->video, is_sized ? r->width : 0,
                                  is_sized ? r->height : 0, is_sized ? 0 : o->max_side, fit, err);
    if (rc || (fit->width == r->width && fit->height == r->height)) return rc;
    return pare_fail(err, PARE_E_INVALID, "frame %lld becomes %d x %d pixels, the first one became %d x %d",
                     (long long)r->n_pushed, fit->width, fit->height, r->width, r->height);
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
    if (takes_budget) rc = pare__rate_check(&r->rate, (int64_t)full[0] * full[1], err);
    r->is_resized = !rc && resized_grid(r, full, grid);
    if (!rc) rc = pare__rate_check(&r->rate, (int64_t)grid[0] * grid[1], err);
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
    const int64_t unit = r->model->hp.unit;
    const int64_t rows = r->model->hp.n_prefix + (int64_t)r->ctx.grid_h * r->ctx.grid_w * unit * unit;
    return pare__encoder_create(&r->encoder, r->model, r->pool, &plan, rows, err);
}

static int64_t slot_bytes(const pare_reducer *r) { return (int64_t)r->width * r->height * 3; }

/* Frames that a window of the whole clip may hold: pictures, and tokens about three times (rows, result, scratch). */
static int64_t whole_clip_limit(const pare_reducer *r)
{
    const int64_t units = (int64_t)r->ctx.grid_h * r->ctx.grid_w;
    const int64_t per_frame = slot_bytes(r) + 3 * units * r->model->hp.dim * (int64_t)sizeof(float);
    const int64_t n = PARE__MAX_CLIP_BYTES / per_frame;
    return n < PARE__MAX_WINDOW ? n : PARE__MAX_WINDOW;
}

static int grow_window(pare_reducer *r, int32_t cap, pare_error *err)
{
    const int64_t bytes = slot_bytes(r), limit = whole_clip_limit(r);
    if (r->window < 0 && r->n_slot >= limit)
        return pare_fail(err, PARE_E_LIMIT, "window of the whole clip: more than %lld frames of %d x %d units",
                         (long long)limit, r->ctx.grid_h, r->ctx.grid_w);
    if (r->window < 0 && cap > limit) cap = (int32_t)limit;
    uint8_t *pixels = pare__malloc(cap + 1, bytes);
    if (!pixels) return PARE_E_NOMEM;
    if (r->pixels) memcpy(pixels, r->pixels, (size_t)(r->n_slot * bytes));
    pare__free(r->pixels);
    r->pixels = pixels;
    const int64_t units = (int64_t)r->ctx.grid_h * r->ctx.grid_w, d = r->model->hp.dim;
    const struct {
        void **ptr;
        int64_t size;
    } per_step[] = {{(void **)&r->pts, 2 * sizeof(double)},
                    {(void **)&r->fit, sizeof(pare__fit)},
                    {(void **)&r->goal, sizeof(pare__goal)},
                    {(void **)&r->segment, sizeof(pare__segment)},
                    {(void **)&r->score, units * (int64_t)sizeof(float)},
                    {(void **)&r->prefix, (r->model->hp.n_prefix * d + 1) * (int64_t)sizeof(float)},
                    {(void **)&r->pooled, d * (int64_t)sizeof(float)},
                    {(void **)&r->logits, (r->model->hp.n_class + 1) * (int64_t)sizeof(float)}};
    for (size_t i = 0; i < sizeof per_step / sizeof per_step[0]; i++) {
        int64_t old = r->cap;
        if (pare__grow(per_step[i].ptr, &old, cap, per_step[i].size)) return PARE_E_NOMEM;
    }
    r->cap = cap;
    return 0;
}

static int first_capacity(const pare_reducer *r)
{
    if (r->window > 0) return r->window;
    if (r->opts.n_frames > 0 && r->opts.n_frames <= PARE__MAX_WINDOW) return (int)r->opts.n_frames;
    return DEFAULT_WINDOW;
}

/* ---- one window ----------------------------------------------------------------------------------------------- */

static int run_steps(pare_reducer *r, int32_t site, pare__rows *rows, int64_t k, pare_error *err)
{
    for (int32_t i = 0; i < r->recipe.n; i++) {
        if (r->recipe.step[i].site != site || !r->recipe.step[i].sel->select) continue;
        const int64_t goal = i == r->plan.final_step ? (k < rows->n ? k : rows->n) : -1;
        const int rc = pare__rows_step(&r->ctx, &r->plan, i, rows, goal, &r->px, err);
        if (rc) return rc;
        if (i == r->plan.final_step) r->final_left = rows->n;
    }
    return 0;
}

/* Pictures of the window for views; the list lives in the arena until the window is done. */
static int fill_pixels(pare_reducer *r)
{
    const uint8_t **frame = PARE__ARENA(&r->arena, const uint8_t *, r->n_slot);
    if (!frame) return PARE_E_NOMEM;
    for (int32_t t = 0; t < r->n_slot; t++) frame[t] = r->pixels + t * slot_bytes(r);
    r->px = (pare__pixels){.frame = frame, .patch = r->model->hp.patch * r->model->hp.unit, .temporal = 1};
    if (r->has_previous) r->px.previous = r->pixels + r->cap * slot_bytes(r);
    memcpy(r->px.mean, r->model->prep.mean, sizeof r->px.mean);
    memcpy(r->px.std, r->model->prep.std, sizeof r->px.std);
    return 0;
}

static void run_head(pare_reducer *r)
{
    const pare__rows *e = &r->encoded;
    const pare__hparams *hp = &r->model->hp;
    for (int32_t t = 0; t < e->n_frame; t++) {
        const int64_t first = e->frame_start[t], n = e->frame_start[t + 1] - first;
        pare__head(r->model, r->prefix + (int64_t)t * hp->n_prefix * hp->dim, e->x + first * hp->dim, e->size + first,
                   n, r->pooled + (int64_t)t * hp->dim, hp->n_class ? r->logits + (int64_t)t * hp->n_class : NULL);
    }
}

static int queue_result(pare_reducer *r)
{
    const pare__hparams *hp = &r->model->hp;
    const pare__window_out w = {.rows = &r->encoded,
                                .t0 = r->t0,
                                .grid_h = r->ctx.grid_h,
                                .grid_w = r->ctx.grid_w,
                                .unit = hp->unit,
                                .unit_px = hp->patch * hp->unit,
                                .n_prefix = hp->n_prefix,
                                .n_class = hp->n_class,
                                .prefix = r->prefix,
                                .pooled = r->pooled,
                                .logits = hp->n_class ? r->logits : NULL,
                                .score = r->score,
                                .pts = r->pts,
                                .fit = r->fit};
    pare_result *result = NULL;
    const int rc = pare__result_make(&result, &w);
    if (rc) return rc;
    if (r->tail)
        r->tail->next = result;
    else
        r->head = result;
    r->tail = result;
    return 0;
}

/* The last frame of this window is the previous one of the next. */
static void advance(pare_reducer *r)
{
    memcpy(r->pixels + r->cap * slot_bytes(r), r->pixels + (r->n_slot - 1) * slot_bytes(r), (size_t)slot_bytes(r));
    r->has_previous = 1;
    r->t0 += r->n_slot;
    r->n_slot = 0;
}

static void count(pare_reducer *r, int64_t n_in)
{
    r->stats.n_frames += r->n_slot;
    r->stats.n_in += n_in;
    r->stats.n_out += r->encoded.n;
    r->stats.embed_ms = r->encode_ms[0];
    r->stats.encode_ms = r->encode_ms[1];
    r->stats.select_ms = r->ctx.select_ms;
    pare__rate_spend(&r->rate, r->final_left);
}

static int process_window(pare_reducer *r, int is_last, pare_error *err)
{
    const int64_t n_in = (int64_t)r->n_slot * r->ctx.grid_h * r->ctx.grid_w;
    const int64_t k = pare__rate_window(&r->rate, r->n_slot, n_in, is_last);
    r->ctx.t0 = r->t0;
    r->ctx.is_first = r->t0 == 0;
    r->ctx.score = r->score;
    for (int64_t i = 0; i < n_in; i++) r->score[i] = NAN;
    r->final_left = n_in;
    int rc = pare__rows_reset(&r->rows, r->n_slot, r->ctx.grid_h, r->ctx.grid_w);
    if (!rc) rc = fill_pixels(r);
    if (!rc) rc = run_steps(r, PARE__SITE_PATCHES, &r->rows, k, err);
    if (!rc) rc = pare__reducer_encode(r, k, err);
    if (!rc) rc = run_steps(r, PARE__SITE_OUTPUT, &r->encoded, k, err);
    if (rc) return rc;
    run_head(r);
    rc = queue_result(r);
    if (rc) return rc;
    count(r, n_in);
    advance(r);
    pare__arena_clear(&r->arena);
    return 0;
}

/* ---- push, flush, pull ---------------------------------------------------------------------------------------- */

static int store_frame(pare_reducer *r, const pare_frame *f, pare_error *err)
{
    const int32_t t = r->n_slot;
    const double start = pare__now_ms();
    int rc = fit_frame(r, f, &r->fit[t], err);
    if (!rc)
        rc = pare__prep_frame(f, &r->fit[t], r->model->prep.resample, r->pixels + t * slot_bytes(r), &r->arena, r->pool,
                              err);
    if (rc) return rc;
    r->fit[t].rotation = f->rotation;
    r->pts[2 * t] = f->pts;
    r->pts[2 * t + 1] = f->pts;
    r->n_slot++;
    r->n_pushed++;
    r->stats.prep_ms += pare__now_ms() - start;
    return 0;
}

static int prepare(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (!r->encoder) {
        int rc = set_geometry(r, frame, err);
        if (!rc) rc = grow_window(r, first_capacity(r), err);
        return rc ? rc : make_encoder(r, err);
    }
    if (r->n_slot < r->cap) return 0;
    if (r->window > 0) return process_window(r, 0, err);
    return grow_window(r, 2 * r->cap, err);
}

/* A window with a budget in tokens waits for the next frame, because the clip's last window takes what is left. */
static int is_due(const pare_reducer *r)
{
    return r->window > 0 && r->n_slot == r->window && r->rate.kind != PARE__RATE_TOKENS;
}

int pare__reducer_push(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (r->error.code) return pare_fail(err, PARE_E_STATE, "reducer failed before: %s", r->error.text);
    if (r->is_flushed) return pare_fail(err, PARE_E_STATE, "push after flush");
    pare_error e = {0};
    int rc = prepare(r, frame, &e);
    if (!rc) rc = store_frame(r, frame, &e);
    if (!rc && is_due(r)) rc = process_window(r, 0, &e);
    return failed(r, rc, &e, err);
}

int pare__reducer_flush(pare_reducer *r, pare_error *err)
{
    if (r->error.code) return pare_fail(err, PARE_E_STATE, "reducer failed before: %s", r->error.text);
    if (r->is_flushed) return 0;
    r->is_flushed = 1;
    pare_error e = {0};
    int rc = r->n_slot ? process_window(r, 1, &e) : 0;
    if (!rc && r->stats.n_in && !r->stats.n_out)
        rc = pare_fail(&e, PARE_E_INVALID, "recipe and budget leave none of the clip's %lld units",
                       (long long)r->stats.n_in);
    return failed(r, rc, &e, err);
}

int pare__reducer_pull(pare_reducer *r, pare_result **out, pare_error *err)
{
    *out = NULL;
    if (r->head) {
        *out = r->head;
        r->head = r->head->next;
        if (!r->head) r->tail = NULL;
        (*out)->next = NULL;
        return 0;
    }
    if (r->error.code) return pare_fail(err, PARE_E_STATE, "reducer failed before: %s", r->error.text);
    return r->is_flushed ? PARE_EOF : PARE_AGAIN;
}
