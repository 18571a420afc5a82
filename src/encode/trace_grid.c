/* SPDX-License-Identifier: MIT */
/* Grids of a trace: patches side by side, and the geometry that the fixtures name. Source: transformers'
 * Qwen2VLImageProcessor (order of patches), Qwen2_5_VisionTransformer (windows: each grid of units is cut into squares
 * from the top left, those at the edges are smaller). */
#include "encode/trace_grid.h"

#include <string.h>

#include "core/limits.h"
#include "encode/prep.h"
#include "model/tensorfile.h"

/* ---- grids ------------------------------------------------------------------------------------------------------- */

static int add_grid(pare__grids *g, int64_t t, int64_t h, int64_t w, pare_error *err)
{
    const int64_t unit = g->m->hp.unit;
    if (t < 1 || h < 1 || w < 1 || t > PARE__MAX_WINDOW || h > PARE__MAX_SIDE || w > PARE__MAX_SIDE || h % unit ||
        w % unit)
        return pare_fail(err, PARE_E_INVALID,
                         "grid %lld is %lld x %lld x %lld patches; steps up to %d, sides up to %d in units of %lld",
                         (long long)g->n, (long long)t, (long long)h, (long long)w, PARE__MAX_WINDOW, PARE__MAX_SIDE,
                         (long long)unit);
    if (g->n_row + t * h * w > INT32_MAX)
        return pare_fail(err, PARE_E_LIMIT, "grids of %lld patches, at most %d", (long long)(g->n_row + t * h * w),
                         INT32_MAX);
    if (pare__grow((void **)&g->thw, &g->cap, 3 * (g->n + 1), (int64_t)sizeof *g->thw))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld grids", (long long)g->n + 1);
    memcpy(g->thw + 3 * g->n, (int64_t[]){t, h, w}, 3 * sizeof *g->thw);
    g->n++;
    g->n_step += t;
    g->n_row += t * h * w;
    return 0;
}

static int reserve_pixels(pare__grids *g, pare_error *err)
{
    if (!pare__grow((void **)&g->pixels, &g->cap_pixels, g->n_row * g->width, (int64_t)sizeof *g->pixels)) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld patches", (long long)g->n_row);
}

static void begin(pare__grids *g, const pare_model *m)
{
    g->m = m;
    g->width = (int64_t)3 * m->hp.temporal * m->hp.patch * m->hp.patch;
}

/* ---- from tensors ------------------------------------------------------------------------------------------------ */

static int64_t integer_at(const pare_tensor *t, int64_t i)
{
    int64_t wide;
    int32_t narrow;
    if (t->dtype == PARE_I64) {
        memcpy(&wide, (const uint8_t *)t->data + 8 * i, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const uint8_t *)t->data + 4 * i, sizeof narrow);
    return narrow;
}

static int take_grids(pare__grids *g, const pare_tensor *thw, pare_error *err)
{
    int rc = 0;
    if (!thw) return pare_fail(err, PARE_E_INVALID, "flattened pixel_values need a grid_thw");
    if (thw->n_dim != 2 || thw->shape[1] != 3 || thw->shape[0] < 1 || thw->shape[0] > PARE__MAX_WINDOW ||
        (thw->dtype != PARE_I32 && thw->dtype != PARE_I64))
        return pare_fail(err, PARE_E_INVALID, "grid_thw must be i32 or i64 [1 to %d, 3]", PARE__MAX_WINDOW);
    for (int64_t i = 0; i < thw->shape[0] && !rc; i++)
        rc = add_grid(g, integer_at(thw, 3 * i), integer_at(thw, 3 * i + 1), integer_at(thw, 3 * i + 2), err);
    return rc;
}

int pare__grids_take(pare__grids *g, const pare_model *m, const pare_tensor *pixels, const pare_tensor *thw,
                     pare_error *err)
{
    begin(g, m);
    int rc = take_grids(g, thw, err);
    if (rc) return rc;
    if (pixels->n_dim != 2 || pixels->shape[0] != g->n_row || pixels->shape[1] != g->width)
        return pare_fail(err, PARE_E_INVALID, "pixel_values is [%lld, %lld], grid_thw and the model need [%lld, %lld]",
                         (long long)(pixels->n_dim > 0 ? pixels->shape[0] : 0),
                         (long long)(pixels->n_dim > 1 ? pixels->shape[1] : 0), (long long)g->n_row,
                         (long long)g->width);
    rc = reserve_pixels(g, err);
    if (!rc) pare__tensor_f32(pixels, g->pixels);
    return rc;
}

/* ---- from frames ------------------------------------------------------------------------------------------------- */

/* What one medium is made from. */
typedef struct medium {
    pare__grids *g;
    const pare_frame *frame; /* [n] */
    int32_t n;
    pare__fit fit;                         /* of every frame */
    uint8_t *rgb[PARE__MAX_TEMPORAL];      /* buffers [fit.height, fit.width, 3] */
    const uint8_t *at[PARE__MAX_TEMPORAL]; /* pictures of the step */
    pare__resample resample;
    float value[3 * 256];
    pare__arena *arena;
    pare__pool *pool;
} medium;

/* out [3, temporal, P, P] of the patch at (row, col) */
static void flatten_patch(const medium *m, int64_t row, int64_t col, float *out)
{
    const int64_t p = m->g->m->hp.patch, stride = 3 * (int64_t)m->fit.width;
    for (int c = 0; c < 3; c++)
        for (int32_t t = 0; t < m->g->m->hp.temporal; t++)
            for (int64_t y = 0; y < p; y++) {
                const uint8_t *at = m->at[t] + (row * p + y) * stride + col * p * 3 + c;
                for (int64_t x = 0; x < p; x++) *out++ = m->value[c * 256 + at[3 * x]];
            }
}

/* out [h w, width] of one step */
static void flatten_step(const medium *m, float *out)
{
    const int64_t unit = m->g->m->hp.unit, patch = m->g->m->hp.patch;
    const int64_t cols = m->fit.width / patch / unit, n = m->fit.height / patch / unit * cols;
    for (int64_t u = 0; u < n; u++)
        for (int64_t j = 0; j < unit * unit; j++, out += m->g->width)
            flatten_patch(m, u / cols * unit + j / unit, u % cols * unit + j % unit, out);
}

static int prepare_frame(const medium *m, int32_t i, uint8_t *rgb, pare_error *err)
{
    const pare_frame *f = &m->frame[i], *first = &m->frame[0];
    if (f->width != first->width || f->height != first->height)
        return pare_fail(err, PARE_E_INVALID, "frame %d is %d x %d, but frame 0 is %d x %d", i, f->width, f->height,
                         first->width, first->height);
    return pare__prep_frame(f, &m->fit, m->resample, rgb, m->arena, m->pool, err);
}

/* The pictures of a step; past the end the last one is repeated. */
static int prepare_step(medium *m, int64_t step, pare_error *err)
{
    const int32_t temporal = m->g->m->hp.temporal;
    int rc = 0;
    for (int32_t k = 0; k < temporal && !rc; k++) {
        const int64_t i = step * temporal + k;
        m->at[k] = i < m->n ? m->rgb[k] : m->at[k - 1];
        if (i < m->n) rc = prepare_frame(m, (int32_t)i, m->rgb[k], err);
    }
    return rc;
}

static int make_buffers(medium *m, pare_error *err)
{
    for (int32_t k = 0; k < m->g->m->hp.temporal; k++) {
        m->rgb[k] = (uint8_t *)pare__arena_alloc(m->arena, (int64_t)m->fit.width * m->fit.height, 3);
        if (!m->rgb[k])
            return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", m->fit.width, m->fit.height);
    }
    return 0;
}

/* Frames of a clip by the rule of clips. */
static int fit_medium(medium *m, const pare_trace_opts *opts, pare_error *err)
{
    const pare_frame *f = m->frame;
    if (opts->video)
        return pare__prep_clip(m->g->m, f->width, f->height, m->n, opts->width, opts->height, &m->fit, err);
    return pare__prep_fit(m->g->m, f->width, f->height, 0, opts->width, opts->height, 0, &m->fit, err);
}

static int prepare_medium(medium *m, const pare_trace_opts *opts, pare_error *err)
{
    pare__grids *g = m->g;
    const pare__hparams *hp = &g->m->hp;
    const int64_t first = g->n_row, steps = (m->n + hp->temporal - 1) / hp->temporal;
    int rc = fit_medium(m, opts, err);
    if (!rc) rc = add_grid(g, steps, m->fit.height / hp->patch, m->fit.width / hp->patch, err);
    if (!rc) rc = reserve_pixels(g, err);
    if (!rc) rc = make_buffers(m, err);
    const int64_t rows = rc ? 0 : (g->n_row - first) / steps;
    for (int64_t s = 0; s < steps && !rc; s++) {
        rc = prepare_step(m, s, err);
        if (!rc) flatten_step(m, g->pixels + (first + s * rows) * g->width);
    }
    return rc;
}

int pare__grids_prepare(pare__grids *g, const pare_model *m, const pare_trace_opts *opts, const pare_frame *frames,
                        int32_t n, pare__pool *pool, pare_error *err)
{
    pare__arena arena = {0};
    int rc = 0;
    if (n < 1 || n > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_INVALID, "%d pictures; 1 to %d are needed", n, PARE__MAX_WINDOW);
    begin(g, m);
    const int32_t each = opts->video ? n : 1;
    const pare__resample resample = pare__prep_resample(&m->prep, opts->video);
    for (int32_t i = 0; i < n && !rc; i += each) {
        medium one = {.g = g, .frame = frames + i, .n = each, .resample = resample, .arena = &arena, .pool = pool};
        pare__prep_values(&m->prep, one.value);
        rc = prepare_medium(&one, opts, err);
        pare__arena_clear(&arena);
    }
    pare__arena_fini(&arena);
    return rc;
}

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

void pare__grids_segments(const pare__grids *g, pare__segment *seg)
{
    const int64_t patches = (int64_t)g->m->hp.unit * g->m->hp.unit;
    const float *pixels = g->pixels;
    int32_t step = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t *thw = g->thw + 3 * i, rows = thw[1] * thw[2];
        for (int64_t t = 0; t < thw[0]; t++, step++, pixels += rows * g->width)
            seg[step] = (pare__segment){
                .pixels = pixels, .grid_h = (int32_t)thw[1], .grid_w = (int32_t)thw[2], .t = step, .n = rows / patches};
    }
}

/* (row, col) of every patch, in the order of the input: out [n_row, 2] */
static void list_places(const pare__grids *g, int32_t *out)
{
    const int64_t unit = g->m->hp.unit;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t rows = g->thw[3 * i + 1], cols = g->thw[3 * i + 2] / unit;
        for (int64_t r = 0; r < g->thw[3 * i] * rows * cols * unit; r++, out += 2) {
            const int64_t u = r / (unit * unit) % (rows / unit * cols), j = r % (unit * unit);
            out[0] = (int32_t)(u / cols * unit + j / unit);
            out[1] = (int32_t)(u % cols * unit + j % unit);
        }
    }
}

/* Bounds of the steps in rows: out [n_step + 1] */
static void list_steps(const pare__grids *g, int32_t *out)
{
    *out = 0;
    for (int64_t i = 0; i < g->n; i++)
        for (int64_t t = 0; t < g->thw[3 * i]; t++, out++)
            out[1] = out[0] + (int32_t)(g->thw[3 * i + 1] * g->thw[3 * i + 2]);
}

typedef struct window_list {
    int32_t *unit; /* [units] by window */
    int32_t *cu;   /* [windows + 1] in rows */
    int64_t n_unit, n_window;
} window_list;

/* Units of one step, numbered from `first`, window by window. */
static void list_step_windows(const pare__grids *g, int64_t rows, int64_t cols, int64_t first, window_list *list)
{
    const int64_t side = g->m->hp.window, patches = (int64_t)g->m->hp.unit * g->m->hp.unit;
    for (int64_t r0 = 0; r0 < rows; r0 += side)
        for (int64_t c0 = 0; c0 < cols; c0 += side) {
            for (int64_t r = r0; r < r0 + side && r < rows; r++)
                for (int64_t c = c0; c < c0 + side && c < cols; c++)
                    list->unit[list->n_unit++] = (int32_t)(first + r * cols + c);
            list->cu[++list->n_window] = (int32_t)(list->n_unit * patches);
        }
}

static void list_windows(const pare__grids *g, window_list *list)
{
    const int64_t unit = g->m->hp.unit;
    int64_t first = 0;
    list->cu[0] = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t rows = g->thw[3 * i + 1] / unit, cols = g->thw[3 * i + 2] / unit;
        for (int64_t t = 0; t < g->thw[3 * i]; t++, first += rows * cols) list_step_windows(g, rows, cols, first, list);
    }
}

static void order_rows(pare__grids *g, const window_list *list)
{
    const int64_t patches = (int64_t)g->m->hp.unit * g->m->hp.unit;
    for (int64_t i = 0; i < g->n_row; i++) g->order[i] = (int32_t)(list->unit[i / patches] * patches + i % patches);
}

/* ---- giving ------------------------------------------------------------------------------------------------------ */

static int give(pare_stage_fn stage, void *user, const char *name, int32_t dtype, const void *data, int64_t rows,
                int64_t cols)
{
    const pare_tensor t = {.name = name, .dtype = dtype, .n_dim = cols ? 2 : 1, .shape = {rows, cols}, .data = data};
    return stage(user, &t) != 0;
}

static int give_windows(pare__grids *g, pare_stage_fn stage, void *user, int32_t *room)
{
    const int64_t n = g->n_row / ((int64_t)g->m->hp.unit * g->m->hp.unit);
    window_list list = {.unit = room, .cu = room + n};
    list_windows(g, &list);
    order_rows(g, &list);
    return give(stage, user, "window_index", PARE_I32, list.unit, list.n_unit, 0) ||
           give(stage, user, "cu_window_seqlens", PARE_I32, list.cu, list.n_window + 1, 0);
}

static int give_places(const pare__grids *g, pare_stage_fn stage, void *user, int32_t *room)
{
    list_places(g, room);
    if (give(stage, user, "rope_pos", PARE_I32, room, g->n_row, 2)) return 1;
    list_steps(g, room);
    return give(stage, user, "cu_seqlens", PARE_I32, room, g->n_step + 1, 0);
}

int pare__grids_give(pare__grids *g, pare_stage_fn stage, void *user, pare_error *err)
{
    int32_t *room = PARE__NEW(int32_t, 2 * g->n_row + g->n_step + 1);
    if (g->m->hp.window) g->order = PARE__NEW(int32_t, g->n_row);
    if (!room || (g->m->hp.window && !g->order)) {
        pare__free(room);
        return pare_fail(err, PARE_E_NOMEM, "out of memory for the places of %lld patches", (long long)g->n_row);
    }
    int rc = give(stage, user, "grid_thw", PARE_I64, g->thw, g->n, 3);
    if (!rc) rc = give_places(g, stage, user, room);
    if (!rc && g->order) rc = give_windows(g, stage, user, room);
    pare__free(room);
    return rc;
}

void pare__grids_fini(pare__grids *g)
{
    pare__free(g->thw);
    pare__free(g->pixels);
    pare__free(g->order);
    *g = (pare__grids){0};
}
