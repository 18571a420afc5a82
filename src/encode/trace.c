/* SPDX-License-Identifier: MIT */
/* Trace: every stage of the reference arithmetic with all tokens, under the names of the fixtures. The whole batch is one
 * pack, so the encoder's own arrays are the stages: [B, T, D] of equal pictures, [rows, D] of grids, where attention
 * windows bring them into another order. */
#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "encode/parts.h"
#include "encode/prep.h"
#include "encode/trace.h"
#include "encode/trace_grid.h"
#include "model/tensorfile.h"

typedef struct trace {
    const pare_model *m;
    const pare_trace_opts *opts;
    pare_stage_fn stage;
    void *user;
    int32_t n;             /* B */
    int32_t width, height; /* pixels */
    float *pixels;         /* [B, 3, height, width] */
    float *pooled;         /* [B, dim] */
    float *logits;         /* [B, n_class] */
    int is_flat;           /* patches side by side: grids instead of the five above */
    pare__grids grids;
    float *sorted; /* a stage by windows */
    int64_t cap_sorted;
} trace;

static int give(const trace *t, const char *name, const float *data, const int64_t *shape, int32_t n_dim)
{
    pare_tensor s = {.name = name, .dtype = PARE_F32, .n_dim = n_dim, .data = data};
    memcpy(s.shape, shape, (size_t)n_dim * sizeof(int64_t));
    return t->stage(t->user, &s);
}

/* [rows, width], or [rows]. What the merger gives is in raster order again. */
static int give_rows(trace *t, const char *name, const float *data, int64_t rows, int64_t width, int is_row)
{
    const int32_t *order = strcmp(name, "projected") ? t->grids.order : NULL;
    if (order && pare__grow((void **)&t->sorted, &t->cap_sorted, rows * width, (int64_t)sizeof(float))) return 1;
    for (int64_t i = 0; order && i < rows; i++)
        memcpy(t->sorted + i * width, data + order[i] * width, (size_t)width * sizeof(float));
    return give(t, name, order ? t->sorted : data, (int64_t[]){rows, width}, is_row ? 1 : 2);
}

/* A stage of the pack: rows [B T], width columns. */
static int on_stage(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width)
{
    trace *t = (trace *)user;
    char text[64];
    if (block < 0)
        snprintf(text, sizeof text, "%s", name);
    else
        snprintf(text, sizeof text, "%s.%d", name, block);
    int is_row = strncmp(name, "attn.", 5) == 0;
    if (t->is_flat) return give_rows(t, text, data, rows, width, is_row);
    return give(t, text, data, (int64_t[]){t->n, rows / t->n, width}, is_row ? 2 : 3);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

static int alloc_pixels(trace *t, pare_error *err)
{
    t->pixels = (float *)pare__malloc((int64_t)t->n * 3 * t->height, t->width * (int64_t)sizeof(float));
    if (t->pixels) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for %d pictures of %d x %d", t->n, t->width, t->height);
}

static int take_pixels(trace *t, const pare_tensor *p, pare_error *err)
{
    int32_t patch = t->m->hp.patch;
    if (p->n_dim != 4 || p->shape[1] != 3 || p->shape[0] < 1 || p->shape[0] > PARE__MAX_WINDOW) {
        return pare_fail(err, PARE_E_INVALID, "pixel_values has %d dimensions; [1 to %d, 3, height, width] is needed",
                         p->n_dim, PARE__MAX_WINDOW);
    }
    if (p->shape[2] < patch || p->shape[3] < patch || p->shape[2] > PARE__MAX_SIDE || p->shape[3] > PARE__MAX_SIDE ||
        p->shape[2] % patch || p->shape[3] % patch) {
        return pare_fail(err, PARE_E_INVALID, "pixel_values of %lld x %lld: sides must be multiples of %d up to %d",
                         (long long)p->shape[3], (long long)p->shape[2], patch, PARE__MAX_SIDE);
    }
    t->n = (int32_t)p->shape[0];
    t->height = (int32_t)p->shape[2];
    t->width = (int32_t)p->shape[3];
    int rc = alloc_pixels(t, err);
    if (rc == 0) pare__tensor_f32(p, t->pixels);
    return rc;
}

static int prepare_one(trace *t, const pare_frame *frame, int32_t i, pare__pool *pool, pare__arena *arena,
                       pare_error *err)
{
    pare__fit fit;
    int rc = pare__prep_fit(t->m, frame->width, frame->height, t->opts->video, t->opts->width, t->opts->height, 0, &fit,
                            err);
    if (rc < 0) return rc;
    if (i == 0) {
        t->width = fit.width;
        t->height = fit.height;
        rc = alloc_pixels(t, err);
        if (rc < 0) return rc;
    }
    if (fit.width != t->width || fit.height != t->height) {
        return pare_fail(err, PARE_E_INVALID, "picture %d becomes %d x %d, but picture 0 is %d x %d", i, fit.width,
                         fit.height, t->width, t->height);
    }
    uint8_t *rgb = (uint8_t *)pare__arena_alloc(arena, (int64_t)fit.width * fit.height, 3);
    if (!rgb) return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", fit.width, fit.height);
    rc = pare__prep_frame(frame, &fit, t->m->prep.resample, rgb, arena, pool, err);
    if (rc < 0) return rc;
    int64_t size = (int64_t)3 * fit.width * fit.height;
    pare__prep_normalise(&t->m->prep, rgb, fit.width, fit.height, t->pixels + i * size);
    return 0;
}

static int prepare(trace *t, const pare_frame *frames, int32_t n, pare__pool *pool, pare_error *err)
{
    pare__arena arena = {0};
    int rc = 0;
    if (n < 1 || n > PARE__MAX_WINDOW) {
        return pare_fail(err, PARE_E_INVALID, "%d pictures; 1 to %d are needed", n, PARE__MAX_WINDOW);
    }
    t->n = n;
    for (int32_t i = 0; i < n && rc == 0; i++) {
        rc = prepare_one(t, &frames[i], i, pool, &arena, err);
        pare__arena_clear(&arena);
    }
    pare__arena_fini(&arena);
    return rc;
}

/* Without `interpolate` the size must be the checkpoint's: its table's grid, or what its preprocessing makes. */
static int check_size(const trace *t, pare_error *err)
{
    const pare__hparams *hp = &t->m->hp;
    const pare__prep_rule *r = &t->m->prep;
    int32_t width = hp->pos_cols * hp->patch, height = hp->pos_rows * hp->patch;
    int32_t made_w = 0, made_h = 0;
    if (r->crop != PARE__CROP_NONE) {
        made_w = r->crop_width;
        made_h = r->crop_height;
    } else if (r->resize == PARE__RESIZE_EXACT) {
        made_w = r->resize_width;
        made_h = r->resize_height;
    }
    if (t->opts->interpolate || (t->width == width && t->height == height)) return 0;
    if (t->width == made_w && t->height == made_h) return 0;
    if (made_w == 0) made_w = width, made_h = height;
    return pare_fail(err, PARE_E_INVALID,
                     "pixel_values is %d x %d but the model's own size is %d x %d: positions would "
                     "have to be interpolated",
                     t->width, t->height, made_w, made_h);
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

static int give_heads(const trace *t, const pare__pack *pack)
{
    const pare__hparams *hp = &t->m->hp;
    for (int64_t i = 0; i < t->n; i++) {
        const float *prefix = pack->x + pack->cu[i] * pack->d;
        const float *token = prefix + (int64_t)pack->n_prefix * pack->d;
        pare__head(t->m, prefix, token, NULL, pack->cu[i + 1] - pack->cu[i] - pack->n_prefix, t->pooled + i * pack->d,
                   t->logits ? t->logits + i * hp->n_class : NULL);
    }
    int rc = give(t, "pooled", t->pooled, (int64_t[]){t->n, hp->dim}, 2);
    if (rc == 0 && t->logits) rc = give(t, "logits", t->logits, (int64_t[]){t->n, hp->n_class}, 2);
    return rc;
}

static void make_plan(trace *t, pare__encode_plan *plan)
{
    uint32_t want = PARE__WANT_K_MEAN | PARE__WANT_COL_MEAN | (t->m->hp.has_cls ? PARE__WANT_CLS_ROW : 0u);
    for (int32_t b = 0; b < t->m->hp.n_layer; b++) plan->want[b] = want;
    plan->stage = on_stage;
    plan->stage_user = t;
}

/* Rows of all segments. */
static int64_t make_segments(const trace *t, pare__segment *seg)
{
    const pare__hparams *hp = &t->m->hp;
    const int32_t rows = t->height / hp->patch, cols = t->width / hp->patch;
    const int64_t units = (int64_t)rows * cols, picture = (int64_t)3 * t->width * t->height;
    if (t->is_flat) {
        pare__grids_segments(&t->grids, seg);
        return t->grids.n_row + t->grids.n_step * hp->n_prefix;
    }
    for (int32_t i = 0; i < t->n; i++)
        seg[i] = (pare__segment){.pixels = t->pixels + i * picture, .grid_h = rows, .grid_w = cols, .t = i, .n = units};
    return t->n * (units + hp->n_prefix);
}

static int make_heads(trace *t, pare_error *err)
{
    const pare__hparams *hp = &t->m->hp;
    if (t->is_flat) return 0;
    t->pooled = PARE__NEW(float, (int64_t)t->n * hp->dim);
    if (hp->n_class > 0) t->logits = PARE__NEW(float, (int64_t)t->n * hp->n_class);
    if (t->pooled && (hp->n_class == 0 || t->logits)) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for %d heads of %d classes", t->n, hp->n_class);
}

static int encode(trace *t, pare__pool *pool, pare_error *err)
{
    pare__engine_choice choice;
    pare__encode_plan plan = {0};
    pare__encoder *e = NULL;
    const pare__pack *pack = NULL;
    const int32_t n_seg = t->is_flat ? (int32_t)t->grids.n_step : t->n;
    pare__segment *seg = PARE__NEW(pare__segment, n_seg);
    int rc = seg ? make_heads(t, err) : pare_fail(err, PARE_E_NOMEM, "out of memory for %d segments", n_seg);
    if (rc == 0) rc = pare__engine_choose(t->opts->backend, t->opts->precision, &choice, err);
    if (rc < 0) goto out;
    make_plan(t, &plan);
    plan.engine = choice.engine;
    const int64_t rows = make_segments(t, seg);
    rc = pare__encoder_create(&e, t->m, pool, &plan, rows, err);
    if (rc == 0) rc = pare__encoder_run(e, seg, n_seg, &pack, NULL, err);
    if (rc == 0 && !t->is_flat && give_heads(t, pack) != 0)
        rc = pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at the head");
out:
    pare__encoder_free(&e);
    pare__free(seg);
    return rc;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static int read_inputs(trace *t, const pare_tensor *pixels, const pare_frame *frames, int32_t n, pare__pool *pool,
                       pare_error *err)
{
    if (t->is_flat && pixels) return pare__grids_take(&t->grids, t->m, pixels, t->opts->grid_thw, err);
    if (t->is_flat) return pare__grids_prepare(&t->grids, t->m, t->opts, frames, n, pool, err);
    int rc = pixels ? take_pixels(t, pixels, err) : prepare(t, frames, n, pool, err);
    return rc == 0 ? check_size(t, err) : rc;
}

static int give_inputs(trace *t, pare_error *err)
{
    const pare__grids *g = &t->grids;
    int rc = t->is_flat ? give(t, "pixel_values", g->pixels, (int64_t[]){g->n_row, g->width}, 2)
                        : give(t, "pixel_values", t->pixels, (int64_t[]){t->n, 3, t->height, t->width}, 4);
    if (rc == 0 && t->is_flat) rc = pare__grids_give(&t->grids, t->stage, t->user, err);
    if (rc < 0 || rc == 0) return rc;
    return pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at the inputs");
}

int pare__trace(const pare_model *model, const pare_trace_opts *opts, const pare_tensor *pixels,
                const pare_frame *frames, int32_t n, pare_stage_fn stage, void *user, pare_error *err)
{
    trace t = {.m = model, .opts = opts, .stage = stage, .user = user};
    pare__pool *pool = NULL;
    t.is_flat = model->hp.unit > 1 || model->hp.temporal > 1;
    int rc = pare__pool_create(&pool, opts->n_threads, err);
    if (rc < 0) return rc;
    rc = read_inputs(&t, pixels, frames, n, pool, err);
    if (rc == 0) rc = give_inputs(&t, err);
    if (rc == 0) rc = encode(&t, pool, err);
    pare__free(t.pixels);
    pare__free(t.pooled);
    pare__free(t.logits);
    pare__free(t.sorted);
    pare__grids_fini(&t.grids);
    pare__pool_free(&pool);
    return rc;
}
