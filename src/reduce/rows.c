/* SPDX-License-Identifier: MIT */
/* Row-aligned arrays of a window: storage, reduction by a map, provenance. */
#include <string.h>

#include "reduce/window.h"

void pare__rows_fini(pare__rows *rows)
{
    pare__free(rows->frame_start);
    pare__free(rows->thw);
    pare__free(rows->size);
    pare__free(rows->x);
    for (int32_t i = 0; i < PARE__MAX_ARRAYS; i++) {
        pare__free((void *)(uintptr_t)rows->array[i].data);
        pare__free((void *)(uintptr_t)rows->array[i].prefix);
    }
    for (int32_t i = 0; i < PARE__MAX_DEEPSTACK; i++) pare__free(rows->deep[i]);
    pare__map_fini(&rows->total);
    *rows = (pare__rows){0};
}

static int reserve(pare__rows *rows, int32_t n_frame, int64_t n)
{
    int rc = pare__grow((void **)&rows->frame_start, &rows->cap_frame, n_frame + 1, sizeof *rows->frame_start);
    if (!rc) rc = pare__grow((void **)&rows->thw, &rows->cap_thw, 3 * n, sizeof *rows->thw);
    if (!rc) rc = pare__grow((void **)&rows->size, &rows->cap_size, n, sizeof *rows->size);
    return rc;
}

/* Rows of one slot from row `first`; returns the row after the last. */
static int64_t lay_slot(pare__rows *rows, int32_t t, const pare_slot *s, int64_t first)
{
    int32_t *thw = rows->thw + 3 * first;
    for (int32_t y = 0; y < s->grid_h; y++)
        for (int32_t x = 0; x < s->grid_w; x++, thw += 3) memcpy(thw, (int32_t[3]){t, y, x}, 3 * sizeof *thw);
    const int64_t end = first + (int64_t)s->grid_h * s->grid_w;
    for (int64_t i = first; i < end; i++) rows->size[i] = 1;
    return end;
}

int pare__rows_clear(pare__rows *rows, int32_t n_slot, int64_t room)
{
    const int rc = reserve(rows, n_slot, room);
    if (rc) return rc;
    rows->n = 0;
    rows->n_frame = n_slot;
    rows->n_array = rows->n_deep = 0;
    rows->d = 0;
    rows->x_prefix = NULL;
    rows->frame_start[0] = 0;
    pare__map_begin(&rows->total, 0);
    return 0;
}

int pare__rows_reset(pare__rows *rows, const pare_slot *slot, int32_t n_slot)
{
    int64_t n = 0;
    for (int32_t t = 0; t < n_slot; t++) n += (int64_t)slot[t].grid_h * slot[t].grid_w;
    int rc = pare__rows_clear(rows, n_slot, n);
    if (!rc) rc = pare__map_identity(&rows->total, n);
    if (rc) return rc;
    rows->n = n;
    for (int32_t t = 0; t < n_slot; t++) rows->frame_start[t + 1] = lay_slot(rows, t, &slot[t], rows->frame_start[t]);
    return 0;
}

int pare__rows_reserve_x(pare__rows *rows, int64_t n, int32_t d)
{
    rows->d = d;
    return pare__grow((void **)&rows->x, &rows->cap_x, n * d, sizeof *rows->x);
}

int pare__rows_reserve_deep(pare__rows *rows, int32_t n_deep, int64_t n)
{
    int rc = 0;
    for (int32_t i = 0; !rc && i < n_deep; i++)
        rc = pare__grow((void **)&rows->deep[i], &rows->cap_deep[i], n * rows->d, sizeof **rows->deep);
    rows->n_deep = n_deep;
    return rc;
}

float *pare__rows_add_array(pare__rows *rows, pare__need need, int32_t width, int64_t n)
{
    if (rows->n_array == PARE__MAX_ARRAYS) return NULL;
    const int32_t i = rows->n_array;
    void *data = (void *)(uintptr_t)rows->array[i].data;
    if (pare__grow(&data, &rows->cap_array[i], n * width + 1, sizeof(float))) return NULL;
    rows->array[i].need = need;
    rows->array[i].width = width;
    rows->array[i].data = data;
    rows->has_prefix[i] = 0;
    rows->n_array++;
    return data;
}

float *pare__rows_add_prefix(pare__rows *rows, int32_t i, int32_t n_prefix)
{
    void *data = (void *)(uintptr_t)rows->array[i].prefix;
    const int64_t n = (int64_t)rows->n_frame * n_prefix * rows->array[i].width;
    if (pare__grow(&data, &rows->cap_prefix[i], n + 1, sizeof(float))) return NULL;
    rows->array[i].prefix = data;
    rows->has_prefix[i] = n_prefix > 0;
    return data;
}

/* y = R x through the arena, copied back: reduced rows always fit where the longer array was. */
static int reduce_f32(const pare__map *map, float *x, int64_t width, pare__arena *arena)
{
    const pare__mark mark = pare__arena_mark(arena);
    float *y = PARE__ARENA(arena, float, map->m.n_out *width + 1);
    if (!y) return PARE_E_NOMEM;
    pare__map_apply(&map->m, x, width, y);
    if (map->m.n_out) memcpy(x, y, (size_t)(map->m.n_out * width) * sizeof *y);
    pare__arena_reset(arena, mark);
    return 0;
}

static int reduce_places(pare__rows *rows, const pare__map *map, pare__arena *arena)
{
    const pare__mark mark = pare__arena_mark(arena);
    const int64_t n = map->m.n_out;
    int32_t *thw = PARE__ARENA(arena, int32_t, 3 * n + 1);
    if (!thw) return PARE_E_NOMEM;
    pare__map_anchor_i32(&map->m, rows->thw, 3, thw);
    if (n) memcpy(rows->thw, thw, (size_t)(3 * n) * sizeof *thw);
    if (n) memcpy(rows->size, map->m.size, (size_t)n * sizeof *rows->size);
    int64_t row = 0;
    for (int32_t f = 0; f <= rows->n_frame; f++) {
        while (row < n && rows->thw[3 * row] < f) row++;
        rows->frame_start[f] = row;
    }
    pare__arena_reset(arena, mark);
    return 0;
}

int pare__rows_reduce(pare__rows *rows, const pare__map *map, pare__arena *arena)
{
    int rc = rows->d ? reduce_f32(map, rows->x, rows->d, arena) : 0;
    for (int32_t i = 0; !rc && i < rows->n_array; i++)
        rc = reduce_f32(map, (float *)(uintptr_t)rows->array[i].data, rows->array[i].width, arena);
    for (int32_t i = 0; !rc && i < rows->n_deep; i++) rc = reduce_f32(map, rows->deep[i], rows->d, arena);
    if (!rc) rc = reduce_places(rows, map, arena);
    if (!rc) rc = pare__map_follow(&rows->total, &map->m);
    rows->n = map->m.n_out;
    return rc;
}

int64_t pare__count_must(const pare__context *ctx, const int32_t *origin, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; ctx->mask && i < n; i++) count += ctx->mask[origin[i]] == PARE_MASK_KEEP;
    return count;
}

int pare__rows_ignore(const pare__context *ctx, pare__rows *rows)
{
    if (!ctx->mask) return 0;
    pare__map *map = pare__map_borrow(ctx, rows->n);
    int rc = 0;
    for (int64_t i = 0; !rc && i < rows->n; i++)
        if (ctx->mask[i] != PARE_MASK_IGNORE) rc = pare__map_keep(map, i);
    if (!rc && map->m.n_out < rows->n) {
        rc = pare__map_finish(map, rows->size, 0, NULL);
        if (!rc) rc = pare__rows_reduce(rows, map, ctx->arena);
    }
    pare__map_return(ctx);
    return rc;
}
