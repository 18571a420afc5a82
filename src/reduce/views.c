/* SPDX-License-Identifier: MIT */
/* Views: the rows of a window as a step sees them, whole or a few slots of it. Block sites make theirs in packs.c. */
#include <string.h>

#include "reduce/window.h"
#include "select/pixels.h"

/* The array of this kind and layer; else the one without a layer; else the only one of its kind, where nobody knows how
 * many layers there are. */
static const pare__view_array *find_array(const pare__rows *rows, pare__array kind, int32_t layer, int32_t n_layer)
{
    const int is_exact = n_layer > 0 && layer != PARE__LAYER_HERE;
    const pare__view_array *any = NULL;
    int32_t n_kind = 0;
    for (int32_t i = 0; i < rows->n_array; i++) {
        const pare__view_array *a = &rows->array[i];
        if (a->need.array != kind) continue;
        if (a->need.layer == layer) return a;
        if (!any || a->need.layer == PARE__LAYER_ANY) any = a;
        n_kind++;
    }
    return any && ((n_kind == 1 && !is_exact) || any->need.layer == PARE__LAYER_ANY) ? any : NULL;
}

/* Is it an array of tokens, as opposed to what the caller gave or the pixels? */
static int is_row_array(pare__array kind)
{
    return kind != PARE__ARRAY_PIXELS && kind != PARE__ARRAY_GIVEN && kind != PARE__ARRAY_TEXT_QUERY &&
           kind != PARE__ARRAY_MOTION;
}

/* Offers each need of the step from the `first` on under the name it was asked by. */
static int offer_arrays(const pare__rows *rows, const pare__plan *plan, int32_t i_step, int32_t first, int has_cls,
                        pare__view_array *array, int32_t *n_array, pare_error *err)
{
    const pare__step *step = &plan->recipe->step[i_step];
    const pare__step_plan *sp = &plan->step[i_step];
    *n_array = 0;
    for (int32_t i = first; i < sp->n_need; i++) {
        const pare__array kind = sp->need[i].array;
        if (!is_row_array(kind)) continue;
        pare__view_array found = {.width = rows->d, .data = rows->x, .prefix = rows->x_prefix};
        const int is_here = kind == PARE__ARRAY_TOKENS && sp->need[i].layer == PARE__LAYER_HERE;
        const pare__view_array *a = is_here ? NULL : find_array(rows, kind, sp->layer[i], plan->n_layer);
        if (!a && kind == PARE__ARRAY_CLS_ROW && !has_cls)
            a = find_array(rows, PARE__ARRAY_COL_MEAN, sp->layer[i], plan->n_layer);
        if (a) {
            found = *a;
            if (!rows->has_prefix[a - rows->array]) found.prefix = NULL;
        } else if (kind != PARE__ARRAY_TOKENS) {
            return pare_fail(err, PARE_E_INVALID,
                             "step '%s' needs the array '%s', not there, or there for several other layers",
                             step->sel->name, pare__array_name(kind));
        }
        found.need = sp->need[i];
        array[(*n_array)++] = found;
    }
    return 0;
}

/* The caller's score of every row: that of the unit it stands at. */
static int fill_given(const pare__context *ctx, pare__view *v)
{
    if (!ctx->given || !v->origin) return 0;
    float *given = PARE__ARENA(v->arena, float, v->n + 1);
    if (!given) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) given[i] = ctx->given[v->origin[i]];
    v->given = given;
    return 0;
}

static int fill_state(const pare__step *step, pare__view *v)
{
    const int32_t width = step->sel->state_width ? step->sel->state_width(step->priv) : 0;
    v->state_width = width;
    if (v->state || !width) return 0;
    v->state = PARE__ARENA(v->arena, float, v->n *width + 1);
    if (!v->state) return PARE_E_NOMEM;
    memset(v->state, 0, (size_t)(v->n * width) * sizeof(float));
    return 0;
}

int pare__view_fill(const pare__context *ctx, const pare__step *step, pare__view *v)
{
    v->site = step->site;
    v->n_head = ctx->n_head;
    v->n_layer = ctx->n_layer;
    v->n_prefix = ctx->n_prefix;
    v->no_cls = ctx->no_cls;
    v->origin0 = ctx->origin0;
    v->motion = ctx->motion;
    v->text = ctx->text;
    v->n_text = ctx->n_text;
    v->d_text = ctx->d_text;
    v->custom = ctx->custom;
    v->seed = ctx->seed;
    v->arena = ctx->arena;
    v->gemm = ctx->gemm;
    v->vec = ctx->vec;
    const int rc = fill_given(ctx, v);
    return rc ? rc : fill_state(step, v);
}

int pare__window_view(const pare__context *ctx, const pare__plan *plan, int32_t i, int32_t first_need,
                      const pare__rows *rows, const pare__pixels *pixels, pare__view *v, pare_error *err)
{
    const pare__step *step = &plan->recipe->step[i];
    const int has_cls = ctx->n_prefix > 0 && !ctx->no_cls;
    pare__view_array *array = PARE__ARENA(ctx->arena, pare__view_array, PARE__MAX_STEP_NEEDS);
    if (!array) return PARE_E_NOMEM;
    *v = (pare__view){.block = -1,
                      .n_block = 1,
                      .n = rows->n,
                      .d = rows->d,
                      .n_frame = rows->n_frame,
                      .frame_start = rows->frame_start,
                      .slot = ctx->slot,
                      .grid_h = ctx->grid_h,
                      .grid_w = ctx->grid_w,
                      .t0 = ctx->t0,
                      .is_first = ctx->slot[0].t == 0,
                      .thw = rows->thw,
                      .size = rows->size,
                      .origin = rows->total.m.anchor,
                      .k = -1,
                      .k_final = -1,
                      .floor = ctx->per_picture > 1 ? 0 : ctx->floor,
                      .array = array,
                      .pixels = pixels};
    const int rc = offer_arrays(rows, plan, i, first_need, has_cls, array, &v->n_array, err);
    return rc ? rc : pare__view_fill(ctx, step, v);
}

static const pare__pixels *part_pixels(const pare__view *window, int32_t f)
{
    if (!window->pixels) return NULL;
    pare__pixels *px = PARE__ARENA(window->arena, pare__pixels, 1);
    if (!px) return NULL;
    *px = *window->pixels;
    px->frame += (int64_t)f * px->temporal;
    if (f) px->previous = px->frame[-1];
    if (window->slot[f].t == 0) px->previous = NULL;
    if (px->change) px->change += (int64_t)f * window->grid_h * window->grid_w;
    if (!px->is_reference) return px;
    px->reference = pare__picture_of_reference(window->pixels, f);
    px->is_reference += f;
    return px;
}

static pare__view_array *part_arrays(const pare__view *window, int32_t f)
{
    const int64_t first = window->frame_start[f];
    pare__view_array *array = PARE__ARENA(window->arena, pare__view_array, window->n_array + 1);
    for (int32_t i = 0; array && i < window->n_array; i++) {
        array[i] = window->array[i];
        array[i].data += first * array[i].width;
        if (array[i].prefix) array[i].prefix += (int64_t)f * window->n_prefix * array[i].width;
    }
    return array;
}

/* Rows and places of slots [f, f + count), counted from slot f. */
static int part_places(const pare__view *window, int32_t f, int32_t count, pare__view *v)
{
    const int64_t first = window->frame_start[f], n = window->frame_start[f + count] - first;
    int64_t *start = PARE__ARENA(window->arena, int64_t, count + 1);
    int32_t *thw = PARE__ARENA(window->arena, int32_t, 3 * n + 1);
    if (!start || !thw) return PARE_E_NOMEM;
    for (int32_t i = 0; i <= count; i++) start[i] = window->frame_start[f + i] - first;
    if (n) memcpy(thw, window->thw + 3 * first, (size_t)(3 * n) * sizeof *thw);
    for (int64_t i = 0; i < n; i++) thw[3 * i] -= f;
    v->n = n;
    v->n_frame = count;
    v->frame_start = start;
    v->thw = thw;
    return 0;
}

static void part_grid(pare__view *v)
{
    v->grid_h = v->grid_w = 0;
    for (int32_t i = 0; i < v->n_frame; i++) {
        if (v->slot[i].grid_h > v->grid_h) v->grid_h = v->slot[i].grid_h;
        if (v->slot[i].grid_w > v->grid_w) v->grid_w = v->slot[i].grid_w;
    }
}

static void part_counts(const pare__view *window, int32_t f, int32_t count, pare__view *v)
{
    if (!window->k_frame) return;
    v->k_frame = window->k_frame + f;
    v->k = 0;
    for (int32_t i = 0; i < count; i++) v->k += v->k_frame[i];
    v->k_final = v->k;
}

int pare__part_view(const pare__view *window, int32_t f, int32_t count, pare__view *v)
{
    const int64_t first = window->frame_start[f];
    *v = *window;
    const int rc = part_places(window, f, count, v);
    v->array = part_arrays(window, f);
    v->pixels = part_pixels(window, f);
    if (rc || !v->array || (window->pixels && !v->pixels)) return PARE_E_NOMEM;
    part_counts(window, f, count, v);
    if (v->low) v->low += f;
    if (v->cap) v->cap += f;
    v->slot += f;
    part_grid(v);
    v->size += first;
    v->origin += first;
    if (v->given) v->given += first;
    if (v->score) v->score += first;
    if (v->state) v->state += first * v->state_width;
    v->t0 += f;
    v->is_first = v->slot->t == 0;
    return 0;
}
