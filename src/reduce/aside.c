/* SPDX-License-Identifier: MIT */
/* Must-keep masks, for every selector alike: rows that a mask keeps are taken out of the view before the step and put
 * back as they are after it. A selector can then neither drop, merge nor count them.
 *
 *     whole view [n] -> free rows [n - must] -> selector -> map over the free rows -> map over the whole view */
#include <math.h>
#include <string.h>

#include "reduce/window.h"

int pare__mask_too_large(int64_t must, int64_t k, int32_t t0, int32_t n_slot, pare_error *err)
{
    return pare_fail(err, PARE_E_INVALID,
                     "mask: with the floors it keeps %lld units of slots %d..%d, the budget is %lld", (long long)must,
                     t0, t0 + n_slot - 1, (long long)k);
}

static int is_must(const pare__context *ctx, const pare__view *v, int64_t i)
{
    return ctx->mask[v->origin[i]] == PARE_MASK_KEEP;
}

/* ---- the view without them ------------------------------------------------------------------------------------- */

static void *take(pare__arena *arena, const void *from, const int32_t *row, int64_t n, size_t size)
{
    char *to = pare__arena_alloc(arena, n + 1, (int64_t)size);
    for (int64_t i = 0; to && i < n; i++)
        memcpy(to + (size_t)i * size, (const char *)from + (size_t)row[i] * size, size);
    return to;
}

static int take_arrays(const pare__view *whole, pare__view *v, const int32_t *row)
{
    pare__view_array *array = PARE__ARENA(v->arena, pare__view_array, whole->n_array + 1);
    if (!array) return PARE_E_NOMEM;
    for (int32_t i = 0; i < whole->n_array; i++) {
        array[i] = whole->array[i];
        array[i].data = take(v->arena, array[i].data, row, v->n, (size_t)array[i].width * sizeof(float));
        if (!array[i].data) return PARE_E_NOMEM;
    }
    v->array = array;
    return 0;
}

/* The floor of the free rows: what the slot with fewest kept rows still lacks, or, where the budget cannot give every
 * slot that much, what the one with most kept rows lacks. */
static int64_t rest_of_floor(const pare__view *whole, const pare__view *v)
{
    int64_t most = 0, least = whole->floor, total = 0;
    for (int32_t f = 0; f < v->n_frame; f++) {
        const int64_t n = v->frame_start[f + 1] - v->frame_start[f];
        const int64_t rest = whole->floor - (whole->frame_start[f + 1] - whole->frame_start[f] - n);
        if (rest > most) most = rest;
        if (rest < least) least = rest;
    }
    for (int32_t f = 0; f < v->n_frame; f++) {
        const int64_t n = v->frame_start[f + 1] - v->frame_start[f];
        total += most < n ? most : n;
    }
    return total <= v->k ? most : least > 0 ? least : 0;
}

/* Of what every slot keeps at least and at most, the rest beside what must stay. */
static int take_bounds(const pare__view *whole, pare__view *v)
{
    int64_t *low = PARE__ARENA(v->arena, int64_t, v->n_frame), *cap = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!low || !cap) return PARE_E_NOMEM;
    for (int32_t f = 0; f < v->n_frame; f++) {
        const int64_t n = whole->frame_start[f + 1] - whole->frame_start[f];
        const int64_t must = n - (v->frame_start[f + 1] - v->frame_start[f]);
        low[f] = whole->low[f] > must ? whole->low[f] - must : 0;
        cap[f] = whole->cap[f] > must ? whole->cap[f] - must : 0;
    }
    v->low = low;
    v->cap = cap;
    return 0;
}

/* Rows of every slot, and what each may keep beside what must stay. */
static int take_counts(const pare__context *ctx, const pare__view *whole, pare__view *v, int64_t n_must,
                       pare_error *err)
{
    int64_t *start = PARE__ARENA(v->arena, int64_t, v->n_frame + 1), *k = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!start || !k) return PARE_E_NOMEM;
    start[0] = 0;
    for (int32_t f = 0; f < v->n_frame; f++) {
        const int64_t first = whole->frame_start[f], n = whole->frame_start[f + 1] - first;
        const int64_t must = pare__count_must(ctx, whole->origin + first, n);
        start[f + 1] = start[f] + n - must;
        k[f] = whole->k_frame && whole->k_frame[f] > must ? whole->k_frame[f] - must : 0;
    }
    v->frame_start = start;
    if (whole->low && take_bounds(whole, v)) return PARE_E_NOMEM;
    if (whole->k_frame) v->k_frame = k;
    if (whole->k_final >= 0) v->k_final = whole->k_final > n_must ? whole->k_final - n_must : 0;
    if (whole->k < 0) return 0;
    v->k = whole->k - n_must;
    v->floor = rest_of_floor(whole, v);
    return v->k < 0 ? pare__mask_too_large(n_must, whole->k, whole->t0, whole->n_frame, err) : 0;
}

int pare__aside_view(const pare__context *ctx, const pare__view *whole, pare__view *v, int32_t **row, pare_error *err)
{
    *v = *whole;
    v->n = 0;
    *row = PARE__ARENA(v->arena, int32_t, whole->n + 1);
    if (!*row) return PARE_E_NOMEM;
    for (int64_t i = 0; i < whole->n; i++)
        if (!is_must(ctx, whole, i)) (*row)[v->n++] = (int32_t)i;
    int rc = take_counts(ctx, whole, v, whole->n - v->n, err);
    if (!rc) rc = take_arrays(whole, v, *row);
    if (rc) return rc;
    v->thw = take(v->arena, whole->thw, *row, v->n, 3 * sizeof *v->thw);
    v->size = take(v->arena, whole->size, *row, v->n, sizeof *v->size);
    v->origin = take(v->arena, whole->origin, *row, v->n, sizeof *v->origin);
    if (whole->given) v->given = take(v->arena, whole->given, *row, v->n, sizeof *v->given);
    if (whole->score) v->score = take(v->arena, whole->score, *row, v->n, sizeof *v->score);
    if (whole->state) v->state = take(v->arena, whole->state, *row, v->n, whole->state_width * sizeof *v->state);
    const int has_all = v->thw && v->size && v->origin && !v->given == !whole->given && !v->score == !whole->score &&
                        !v->state == !whole->state;
    return has_all ? 0 : PARE_E_NOMEM;
}

/* ---- the map over all ------------------------------------------------------------------------------------------ */

static int put_row(const pare_map *from, int64_t r, const int32_t *row, pare__map *out)
{
    int rc = pare__map_row(out, row[from->anchor[r]]);
    if (!rc) rc = pare__map_size(out, from->size[r]);
    if (!rc && from->gain) rc = pare__map_gain(out, from->gain[r]);
    for (int64_t i = from->row_start[r]; !rc && i < from->row_start[r + 1]; i++)
        rc = pare__map_add(out, row[from->index[i]], from->weight[i]);
    if (!from->member_start) return rc;
    for (int64_t i = from->member_start[r]; !rc && i < from->member_start[r + 1]; i++)
        rc = pare__map_member(out, row[from->member[i]]);
    return rc;
}

int pare__aside_map(const pare__context *ctx, const pare__view *whole, const pare__view *v, const int32_t *row,
                    const pare_map *selected, pare__map *out)
{
    int rc = 0;
    pare__map_begin(out, whole->n);
    for (int64_t i = 0; !rc && i < whole->n; i++)
        if (is_must(ctx, whole, i)) {
            rc = pare__map_keep(out, i);
            if (!rc) rc = pare__map_size(out, whole->size[i]);
        }
    for (int64_t r = 0; !rc && r < selected->n_out; r++) rc = put_row(selected, r, row, out);
    for (int64_t i = 0; whole->state && i < v->n; i++)
        memcpy(whole->state + row[i] * (int64_t)whole->state_width, v->state + i * whole->state_width,
               (size_t)whole->state_width * sizeof *v->state);
    return rc;
}
