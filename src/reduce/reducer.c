/* SPDX-License-Identifier: MIT */
#include "reduce/reducer.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/pixels_in.h"
#include "core/stop.h"
#include "encode/backend.h"
#include "reduce/clip_plan.h"
#include "reduce/clip_pool.h"

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

/* Budgets count temporal steps. */
static int begin_rate(pare_reducer *r, pare_error *err)
{
    int rc = pare__rate_init(&r->rate, &r->opts, err);
    if (!rc && r->opts.plan) rc = pare__rate_plan(&r->rate, r->opts.plan->tokens, r->opts.plan->n_step, err);
    const int32_t temporal = r->opts.video ? r->model->hp.temporal : 1;
    r->rate.n_frames = (r->rate.n_frames + temporal - 1) / temporal;
    return rc;
}

static int plan_recipe(pare_reducer *r, pare_error *err)
{
    int rc = begin_rate(r, err);
    if (!rc) rc = pare__recipe_parse(&r->recipe, r->opts.recipe ? r->opts.recipe : "none", err);
    if (!rc) rc = pare__plan_make(&r->plan, &r->recipe, r->model, &r->rate, err);
    if (!rc) rc = pare__reducer_budget_check(r, err);
    if (!rc) rc = pare__kept_plan(&r->kept, r->model, &r->opts, &r->plan, err);
    r->opts.capture = NULL; /* the caller's */
    for (int32_t i = 0; !rc && i < r->recipe.n; i++) r->wants_motion |= r->plan.step[i].wants_motion;
    if (!rc) rc = keep_recipe_text(r);
    return rc ? rc : pare__plan_quality(&r->plan, r->opts.quality, err);
}

static int check_tiles(const pare_reducer *r, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if ((!o->tile_rows && !o->tile_cols) || (o->tile_rows == -1 && o->tile_cols == -1)) return 0;
    if (o->tile_rows < 1 || o->tile_cols < 1 || o->tile_rows > PARE__MAX_TILES || o->tile_cols > PARE__MAX_TILES)
        return pare_fail(err, PARE_E_INVALID, "tiles %d x %d: each must be 1..%d, or both -1 for none", o->tile_rows,
                         o->tile_cols, PARE__MAX_TILES);
    return o->video ? pare_fail(err, PARE_E_INVALID, "tiles are cut from photos, not from video") : 0;
}

static int check_window(const pare_reducer *r, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if (o->window < -1 || o->window > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_INVALID, "window %d: must be 1..%d, or -1 for the whole clip", o->window,
                         PARE__MAX_WINDOW);
    if (o->n_threads < 0 || o->n_threads > PARE__MAX_THREADS)
        return pare_fail(err, PARE_E_INVALID, "threads %d: must be 1..%d, or 0 for all", o->n_threads,
                         PARE__MAX_THREADS);
    return check_tiles(r, err);
}

/* The caller's texts end with the call; their names in the tables stay. */
static int choose_engine(pare_reducer *r, pare_error *err)
{
    pare__engine_choice choice;
    const int rc = pare__engine_choose(r->opts.backend, r->opts.precision, &choice, err);
    if (rc) return rc;
    r->plan.encode.engine = choice.engine;
    r->opts.backend = r->stats.backend = choice.backend->name;
    r->opts.precision = r->stats.precision = pare__precision_name(choice.precision);
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
    r->per_picture = 1;
    if (opts->custom) r->custom = *opts->custom;
    if (opts->custom) r->opts.custom = &r->custom;
    r->recycler = pare__recycler_create();
    int rc = r->recycler ? check_window(r, err) : pare_fail(err, PARE_E_NOMEM, "reducer: out of memory");
    if (!rc) rc = plan_recipe(r, err);
    if (!rc) rc = pare__reuse_check(r, err);
    if (!rc) rc = choose_engine(r, err);
    if (!rc) rc = pare__pool_create(&r->pool, worker_count(opts->n_threads), err);
    r->ctx = (pare__context){.arena = &r->arena,
                             .maps = &r->maps,
                             .gemm = pare__backends[0]->gemm,
                             .vec = pare__vec_best(),
                             .seed = opts->seed,
                             .n_head = model->hp.n_head,
                             .n_layer = model->hp.n_layer,
                             .n_run = model->hp.tap,
                             .n_prefix = model->hp.n_prefix,
                             .no_cls = !model->hp.has_cls,
                             .text = opts->text,
                             .n_text = opts->n_text,
                             .d_text = opts->d_text,
                             .custom = r->opts.custom,
                             .per_picture = 1,
                             .clip_pool = opts->video ? model->prep.clip_pool : 0};
    pare__reducer_budget_begin(r);
    if (rc) pare__reducer_free(&r);
    *out = r;
    return rc;
}

static void drop_results(pare_reducer *r)
{
    while (r->head) {
        pare_result *next = r->head->next;
        pare__result_free(&r->head);
        r->head = next;
    }
    r->tail = NULL;
}

void pare__reducer_free(pare_reducer **out)
{
    if (!out || !*out) return;
    pare_reducer *r = *out;
    drop_results(r);
    pare__recycler_close(&r->recycler);
    pare__encoder_free(&r->encoder);
    pare__pool_free(&r->pool);
    pare__recipe_fini(&r->recipe);
    pare__rows_fini(&r->rows);
    pare__rows_fini(&r->encoded);
    pare__reuse_fini(&r->reuse);
    pare__map_fini(&r->pack_total);
    pare__still_fini(&r->still);
    pare__maps_fini(&r->maps);
    pare__arena_fini(&r->arena);
    void *owned[] = {r->recipe_text, r->pixels,       r->pts,       r->fit,    r->pack_origin, r->goal,
                     r->slot,        r->held,         r->step,      r->mask,   r->given,       r->motion,
                     r->change,      r->score,        r->prefix,    r->pooled, r->logits,      r->unit_index,
                     r->segment,     r->image_embeds, r->features.t};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) pare__free(owned[i]);
    pare__free(r);
    *out = NULL;
}

/* ---- reset ---------------------------------------------------------------------------------------------------- */

static void forget_clip(pare_reducer *r)
{
    r->error = (pare_error){0};
    r->is_flushed = r->is_resized = r->is_unsure = 0;
    r->width = r->height = 0;
    r->n_slot = r->n_held = r->t0 = 0;
    r->n_pushed = r->n_step = r->n_counted = 0;
    r->clip_in = r->clip_out = 0;
    r->has_previous = r->has_mask = r->n_given = r->n_moved = 0;
    pare__still_forget(&r->still);
    r->media_start = 0;
    r->past = (pare__pulse_past){0};
    r->final_left = 0;
    r->reuse.n_since = 0;
}

/* What selectors carry from window to window. */
static void forget_carry(pare_reducer *r)
{
    for (int32_t i = 0; i < r->recipe.n; i++) {
        const pare__step *s = &r->recipe.step[i];
        if (s->carry) memset(s->carry, 0, s->carry_size);
    }
}

int pare__reducer_reset(pare_reducer *r, uint64_t seed, pare_error *err)
{
    const int rc = begin_rate(r, err); /* `resize` spends the budget on the grid */
    if (rc) return rc;
    drop_results(r);
    pare__kept_drop(&r->features);
    forget_clip(r);
    forget_carry(r);
    pare__arena_clear(&r->arena);
    r->opts.seed = r->ctx.seed = seed;
    r->ctx.origin0 = 0;
    pare__reducer_budget_begin(r);
    return 0;
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

/* Pictures of the window for views; the list lives in the arena until the window is done. A slot that holds fewer frames
 * than its model wants repeats the last one. */
static int fill_pixels(pare_reducer *r)
{
    const int32_t temporal = r->model->hp.temporal;
    const uint8_t **frame = PARE__ARENA(&r->arena, const uint8_t *, (int64_t)r->n_slot *temporal);
    if (!frame) return PARE_E_NOMEM;
    for (int32_t t = 0; t < r->n_slot; t++)
        for (int32_t j = 0; j < temporal; j++) frame[(int64_t)t * temporal + j] = pare__reducer_pixels(r, t, j);
    r->px = (pare__pixels){.frame = frame, .patch = r->model->hp.patch * r->model->hp.unit, .temporal = temporal};
    if (r->has_previous && r->slot[0].t > 0) r->px.previous = pare__reducer_pixels(r, r->cap, 0);
    if (r->opts.video && temporal == 1 && r->per_picture == 1) r->px.change = r->change;
    memcpy(r->px.mean, r->model->prep.mean, sizeof r->px.mean);
    memcpy(r->px.std, r->model->prep.std, sizeof r->px.std);
    return 0;
}

/* What the head says of slots [t, end), which attend to each other: the same of each. */
static void head_of(pare_reducer *r, int32_t t, int32_t end)
{
    const pare__rows *e = &r->encoded;
    const pare__hparams *hp = &r->model->hp;
    const int64_t first = e->frame_start[t], n = e->frame_start[end] - first, d = e->d;
    float *pooled = r->pooled + t * d, *logits = r->logits + (int64_t)t * hp->n_class;
    float *embeds = r->image_embeds + (int64_t)t * hp->n_embed;
    pare__head(r->model, r->prefix + (int64_t)t * hp->n_prefix * hp->dim, e->x + first * d, e->size + first, n, pooled,
               hp->n_class ? logits : NULL);
    if (hp->n_embed) pare__head_embed(r->model, pooled, embeds);
    for (int32_t i = 1; i < end - t; i++) {
        memcpy(pooled + i * d, pooled, (size_t)d * sizeof(float));
        memcpy(logits + (int64_t)i * hp->n_class, logits, (size_t)hp->n_class * sizeof(float));
        memcpy(embeds + (int64_t)i * hp->n_embed, embeds, (size_t)hp->n_embed * sizeof(float));
    }
}

static void run_head(pare_reducer *r)
{
    const int32_t n = r->encoded.n_frame, steps = pare__reducer_steps(r);
    for (int32_t t = 0; t < n; t += steps) head_of(r, t, t + steps < n ? t + steps : n);
}

/* What only an encoder makes is not there. */
static void leave_out_encoded(pare__window_out *w)
{
    w->n_prefix = w->n_class = w->n_embed = 0;
    w->newline = w->prefix = w->pooled = w->logits = w->image_embeds = NULL;
}

static int queue_result(pare_reducer *r, const pare__dry *dry)
{
    const pare__hparams *hp = &r->model->hp;
    pare__window_out w = {.rows = dry ? &r->rows : &r->encoded,
                          .dry = dry,
                          .t0 = r->t0,
                          .origin0 = r->ctx.origin0,
                          .slot = r->slot,
                          .grid_h = r->ctx.grid_h,
                          .grid_w = r->ctx.grid_w,
                          .mrope_per_second = hp->has_mrope && r->opts.video ? hp->mrope_per_second : 0,
                          .has_mrope = hp->has_mrope,
                          .media_start = r->media_start,
                          .unit = hp->unit,
                          .unit_px = hp->patch * hp->unit,
                          .n_prefix = hp->has_projector ? 0 : hp->n_prefix,
                          .n_class = hp->n_class,
                          .n_embed = hp->n_embed,
                          .mrope_stamps = hp->mrope_stamps && r->opts.video,
                          .newline = r->model->w.newline,
                          .prefix = r->prefix,
                          .pooled = r->pooled,
                          .logits = hp->n_class ? r->logits : NULL,
                          .image_embeds = hp->n_embed ? r->image_embeds : NULL,
                          .score = r->score,
                          .fresh = r->opts.reuse == PARE_REUSE_COMPLETE ? r->reuse.fresh : NULL,
                          .pts = r->pts,
                          .step = r->step,
                          .per_picture = r->per_picture,
                          .fit = r->fit,
                          .home = r->recycler};
    if (dry) leave_out_encoded(&w);
    pare_result *result = NULL;
    const int rc = pare__result_make(&result, &w);
    if (rc) return rc;
    pare__kept_give(&r->features, result);
    if (r->tail)
        r->tail->next = result;
    else
        r->head = result;
    r->tail = result;
    return 0;
}

/* The last frame of this window is the previous one of the next. */
static void advance(pare_reducer *r, int64_t n_in)
{
    const int64_t bytes = (int64_t)r->width * r->height * 3;
    const int32_t last = r->n_slot - 1;
    memcpy(r->pixels + (int64_t)r->cap * r->model->hp.temporal * bytes,
           pare__reducer_pixels(r, last, r->held[last] - 1), (size_t)bytes);
    r->has_previous = 1;
    r->t0 += r->n_slot;
    r->n_step += r->n_slot / r->per_picture;
    r->ctx.origin0 += n_in;
    r->n_slot = r->n_held = r->has_mask = r->n_given = r->n_moved = 0;
}

/* n_out < 0: not known. */
static void count(pare_reducer *r, int64_t n_in, int64_t n_out)
{
    r->stats.n_frames += r->n_pushed - r->n_counted;
    r->n_counted = r->n_pushed;
    r->stats.n_in += r->full_units ? r->n_slot * r->full_units : n_in;
    r->stats.n_out += n_out > 0 ? n_out : 0;
    r->clip_in += n_in;
    r->clip_out += n_out < 0 ? n_in : n_out;
    r->stats.flops = r->flops;
    r->stats.n_reference = r->reuse.n_reference;
    r->stats.n_fresh = r->reuse.n_fresh;
    r->stats.embed_ms = r->encode_ms[0];
    r->stats.encode_ms = r->encode_ms[1];
    r->stats.select_ms = r->ctx.select_ms;
}

static void open_context(pare_reducer *r, int64_t n_in)
{
    r->ctx.t0 = r->t0;
    r->ctx.slot = r->slot;
    r->ctx.score = r->score;
    r->ctx.mask = r->has_mask ? r->mask : NULL;
    r->ctx.given = r->n_given == r->n_slot ? r->given : NULL;
    r->ctx.motion = r->n_moved ? r->motion : NULL;
    for (int64_t i = 0; i < n_in; i++) r->score[i] = NAN;
}

static int check_stop(const pare_reducer *r, pare_error *err)
{
    if (!pare__is_asked(r->opts.stop)) return 0;
    return pare_fail(err, PARE_E_CANCELLED, "cancelled after %lld frames", (long long)r->n_pushed);
}

int64_t pare__reducer_budget_units(const pare_reducer *r, int32_t grid_h, int32_t grid_w)
{
    const int32_t final = r->plan.final_step;
    const int is_pooled = r->ctx.clip_pool > 1 && final >= 0 && r->recipe.step[final].site == PARE__SITE_OUTPUT;
    return is_pooled ? pare__clip_pooled(grid_h, grid_w, r->ctx.clip_pool) : (int64_t)grid_h * grid_w;
}

/* Encodes what is left, keeps what captured recipes read of it, and pools it. */
static int encode(pare_reducer *r, int64_t k, pare_error *err)
{
    int rc = pare__reducer_encode(r, k, err);
    const pare__kept_window w = {.kept = &r->kept, .ctx = &r->ctx, .rows = &r->encoded, .px = &r->px};
    if (!rc) rc = pare__kept_take(&w, &r->features);
    return rc || r->ctx.clip_pool < 2 ? rc : pare__clip_pool(&r->ctx, &r->encoded, r->ctx.clip_pool);
}

/* The window through the encoder. */
static int finish(pare_reducer *r, int64_t k, int64_t n_in, pare_error *err)
{
    int rc = encode(r, k, err);
    if (!rc) rc = run_steps(r, PARE__SITE_OUTPUT, &r->encoded, k, err);
    if (rc) return rc;
    run_head(r);
    rc = queue_result(r, NULL);
    if (!rc) count(r, n_in, r->encoded.n);
    return rc;
}

/* Where one window's spending is not known, neither is what later ones may spend. */
static void doubt(pare_reducer *r, pare__dry *dry, int64_t k)
{
    r->is_unsure |= k >= 0 && dry->final_left < 0 && r->rate.kind != PARE__RATE_PER_FRAME;
    r->final_left = dry->final_left < 0 ? k : dry->final_left;
    if (!r->is_unsure) return;
    dry->total = -1;
    dry->has_places = 0;
    for (int32_t p = 0; p < r->n_slot / r->per_picture; p++) dry->tokens[p] = -1;
}

/* The window without the encoder. */
static int decide_dry(pare_reducer *r, int64_t k, int64_t n_in, pare_error *err)
{
    pare__dry dry;
    int rc = pare__reducer_dry(r, k, &dry, err);
    if (rc) return rc;
    doubt(r, &dry, k);
    rc = queue_result(r, &dry);
    if (!rc) count(r, n_in, dry.total);
    return rc;
}

/* Two passes: the steps were watched as they came. */
static int pass_over(pare_reducer *r, int64_t n_in)
{
    advance(r, n_in);
    pare__arena_clear(&r->arena);
    return 0;
}

/* What was planned for the steps of the window. */
static int open_plan(pare_reducer *r, pare_error *err)
{
    const int64_t first = r->n_step, n = r->n_slot / r->per_picture;
    if (r->rate.kind != PARE__RATE_PLAN) return 0;
    r->ctx.planned = r->rate.planned + first;
    if (first + n <= r->rate.n_planned) return 0;
    return pare_fail(err, PARE_E_INVALID, "the plan holds %lld steps, and there are more",
                     (long long)r->rate.n_planned);
}

int pare__reducer_window(pare_reducer *r, const pare_frame *next, int is_last, pare_error *err)
{
    const int64_t n_in = (int64_t)r->n_slot * r->ctx.grid_h * r->ctx.grid_w;
    int64_t k = -1;
    int rc = r->n_held ? pare__reducer_step_take(r, r->n_slot - r->per_picture) : 0;
    if (rc || r->watch) return rc ? rc : pass_over(r, n_in);
    open_context(r, n_in);
    r->final_left = n_in;
    rc = check_stop(r, err);
    if (!rc) rc = open_plan(r, err);
    if (!rc) rc = pare__reducer_budget(r, next, is_last, &k, err);
    if (!rc) rc = pare__rows_reset(&r->rows, r->slot, r->n_slot);
    if (!rc) rc = pare__rows_ignore(&r->ctx, &r->rows);
    if (!rc) rc = fill_pixels(r);
    if (!rc && r->opts.reuse) rc = pare__reuse_mark(r);
    if (!rc) rc = run_steps(r, PARE__SITE_PATCHES, &r->rows, k, err);
    if (!rc) rc = r->opts.dry ? decide_dry(r, k, n_in, err) : finish(r, k, n_in, err);
    if (!rc && r->opts.reuse) rc = pare__reuse_advance(r);
    if (rc) return rc;
    pare__reducer_charge(r, k);
    advance(r, n_in);
    pare__arena_clear(&r->arena);
    return 0;
}

/* ---- push, flush, pull ---------------------------------------------------------------------------------------- */

/* A window with a budget in tokens waits for the next frame, because the clip's last window takes what is left, and one
 * in tokens per second unless its last step's end is known. */
static int is_due(const pare_reducer *r)
{
    if (r->window <= 0 || r->n_held || !r->n_slot) return 0;
    if (pare__reducer_is_full(r)) return 1;
    const int waits = r->rate.kind == PARE__RATE_TOKENS || (r->rate.kind == PARE__RATE_PER_SECOND && !r->pace.is_true);
    return r->n_slot == r->cap && !waits;
}

static int store(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&r->arena);
    const double start = pare__now_ms();
    pare_frame rgb;
    int rc = pare__pixels_rgb(frame, &r->arena, r->pool, &rgb, err);
    r->stats.prep_ms += pare__now_ms() - start;
    if (!rc) rc = pare__reducer_store(r, &rgb, err);
    pare__arena_reset(&r->arena, mark);
    return rc;
}

int pare__reducer_push(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (r->error.code) return pare_fail(err, PARE_E_STATE, "reducer failed before: %s", r->error.text);
    if (r->is_flushed) return pare_fail(err, PARE_E_STATE, "push after flush");
    pare_error e = {0};
    int rc = check_stop(r, &e);
    if (!rc) rc = pare__reducer_room(r, frame, &e);
    if (!rc) rc = store(r, frame, &e);
    if (!rc && is_due(r)) rc = pare__reducer_window(r, NULL, 0, &e);
    return failed(r, rc, &e, err);
}

int pare__reducer_flush(pare_reducer *r, pare_error *err)
{
    if (r->error.code) return pare_fail(err, PARE_E_STATE, "reducer failed before: %s", r->error.text);
    if (r->is_flushed) return 0;
    r->is_flushed = 1;
    pare_error e = {0};
    int rc = r->n_slot ? pare__reducer_window(r, NULL, 1, &e) : 0;
    if (!rc && r->clip_in && !r->clip_out)
        rc = pare_fail(&e, PARE_E_INVALID, "recipe, budget and mask leave none of the %lld units",
                       (long long)r->clip_in);
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
