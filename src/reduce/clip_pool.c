/* SPDX-License-Identifier: MIT */
/* See clip_pool.h. Bilinear without antialias, pixel centres at .5: place i of n reads around (i + .5) N / n - .5 of N.
 * Source: transformers' modeling_llava_onevision.py, apply_pooling. */
#include "reduce/clip_pool.h"

#include <string.h>

/* One place of a pooled side: what it reads. */
typedef struct tap {
    int32_t at[2];
    double weight[2];
} tap;

/* One side of a grid: n places reduced to m taps, and the tap that reads each place most (-1: none). */
typedef struct side {
    int32_t n, m;
    tap *tap;       /* [m] */
    int32_t *owner; /* [n] */
} side;

/* One slot while its rows are pooled. */
typedef struct pooling {
    const pare__context *ctx;
    const pare__rows *rows;
    side y, x;
    int32_t *row;   /* [y.n x.n] row at each place, or -1 */
    double *shared; /* [y.n x.n] weight that the rows of the result give to each place */
    uint8_t *lives; /* [y.m x.m] some unit is left to it */
} pooling;

int64_t pare__clip_pooled(int32_t grid_h, int32_t grid_w, int32_t by)
{
    return (int64_t)((grid_h + by - 1) / by) * ((grid_w + by - 1) / by);
}

static tap tap_of(int32_t i, int32_t m, int32_t n)
{
    const double centre = (i + 0.5) * n / m - 0.5, place = centre > 0 ? centre : 0;
    const int32_t low = (int32_t)place < n - 1 ? (int32_t)place : n - 1, high = low + 1 < n ? low + 1 : low;
    const double weight = high > low ? place - low : 0;
    return (tap){.at = {low, high}, .weight = {1 - weight, weight}};
}

static int make_side(side *s, int32_t n, int32_t by, pare__arena *arena)
{
    *s = (side){.n = n, .m = (n + by - 1) / by};
    s->tap = PARE__ARENA(arena, tap, s->m);
    s->owner = PARE__ARENA(arena, int32_t, n);
    double *most = PARE__ARENA(arena, double, n);
    if (!s->tap || !s->owner || !most) return PARE_E_NOMEM;
    for (int32_t i = 0; i < n; i++) s->owner[i] = -1, most[i] = 0;
    for (int32_t i = 0; i < s->m; i++) {
        s->tap[i] = tap_of(i, s->m, n);
        for (int j = 0; j < 2; j++) {
            const int32_t at = s->tap[i].at[j];
            if (s->tap[i].weight[j] <= most[at]) continue;
            most[at] = s->tap[i].weight[j];
            s->owner[at] = i;
        }
    }
    return 0;
}

static int make_slot(pooling *p, int32_t t, int32_t by)
{
    const pare_slot *slot = &p->ctx->slot[t];
    const int64_t n = (int64_t)slot->grid_h * slot->grid_w;
    int rc = make_side(&p->y, slot->grid_h, by, p->ctx->arena);
    if (!rc) rc = make_side(&p->x, slot->grid_w, by, p->ctx->arena);
    p->row = PARE__ARENA(p->ctx->arena, int32_t, n);
    p->shared = PARE__ARENA(p->ctx->arena, double, n);
    p->lives = PARE__ARENA(p->ctx->arena, uint8_t, (int64_t)p->y.m * p->x.m + 1);
    if (rc || !p->row || !p->shared || !p->lives) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) p->row[i] = -1, p->shared[i] = 0;
    memset(p->lives, 0, (size_t)p->y.m * (size_t)p->x.m);
    for (int64_t r = p->rows->frame_start[t]; r < p->rows->frame_start[t + 1]; r++) {
        const int32_t y = p->rows->thw[3 * r + 1], x = p->rows->thw[3 * r + 2];
        p->row[(int64_t)y * p->x.n + x] = (int32_t)r;
        if (p->y.owner[y] >= 0 && p->x.owner[x] >= 0) p->lives[(int64_t)p->y.owner[y] * p->x.m + p->x.owner[x]] = 1;
    }
    return 0;
}

/* The places that row (i, j) of the result reads, with their weights; returns how many rows stand there. */
static int read_places(const pooling *p, int32_t i, int32_t j, int64_t place[4], double weight[4])
{
    int n = 0;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            place[n] = (int64_t)p->y.tap[i].at[a] * p->x.n + p->x.tap[j].at[b];
            weight[n] = p->y.tap[i].weight[a] * p->x.tap[j].weight[b];
            n += weight[n] > 0 && p->row[place[n]] >= 0;
        }
    return n;
}

static void share_sizes(const pooling *p)
{
    for (int32_t i = 0; i < p->y.m; i++)
        for (int32_t j = 0; j < p->x.m; j++) {
            int64_t place[4];
            double weight[4];
            if (!p->lives[(int64_t)i * p->x.m + j]) continue;
            for (int n = read_places(p, i, j, place, weight); n > 0; n--) p->shared[place[n - 1]] += weight[n - 1];
        }
}

/* Where row (i, j) of the result stands: of the places left to it the one it reads most, before all one that must stay. */
static int anchor_of(const pooling *p, int32_t i, int32_t j, int n, const int64_t *place, const double *weight)
{
    int best = -1;
    double most = 0;
    for (int a = 0; a < n; a++) {
        const int32_t y = (int32_t)(place[a] / p->x.n), x = (int32_t)(place[a] % p->x.n);
        const int32_t *origin = &p->rows->total.m.anchor[p->row[place[a]]];
        const double value = weight[a] + (double)pare__count_must(p->ctx, origin, 1);
        if (p->y.owner[y] != i || p->x.owner[x] != j || value <= most) continue;
        most = value;
        best = a;
    }
    return best;
}

static int emit(const pooling *p, int32_t i, int32_t j, pare__map *map)
{
    int64_t place[4];
    double weight[4], sum = 0, size = 0;
    const int n = read_places(p, i, j, place, weight);
    const int anchor = anchor_of(p, i, j, n, place, weight);
    for (int a = 0; a < n; a++) {
        const double patches = (double)p->rows->size[p->row[place[a]]];
        size += patches * weight[a] / p->shared[place[a]];
        weight[a] *= patches;
        sum += weight[a];
    }
    int rc = pare__map_row(map, p->row[place[anchor]]);
    if (!rc) rc = pare__map_size(map, size);
    for (int a = 0; !rc && a < n; a++) rc = pare__map_add(map, p->row[place[a]], weight[a] / sum);
    return rc;
}

static int pool_slot(pooling *p, int32_t t, int32_t by, pare__map *map)
{
    const pare__mark mark = pare__arena_mark(p->ctx->arena);
    int rc = make_slot(p, t, by);
    if (!rc) share_sizes(p);
    for (int32_t i = 0; !rc && i < p->y.m; i++)
        for (int32_t j = 0; !rc && j < p->x.m; j++)
            if (p->lives[(int64_t)i * p->x.m + j]) rc = emit(p, i, j, map);
    pare__arena_reset(p->ctx->arena, mark);
    return rc;
}

int pare__clip_pool(const pare__context *ctx, pare__rows *rows, int32_t by)
{
    pooling p = {.ctx = ctx, .rows = rows};
    pare__map *map = pare__map_borrow(ctx, rows->n);
    int rc = 0;
    for (int32_t t = 0; !rc && t < rows->n_frame; t++) rc = pool_slot(&p, t, by, map);
    if (!rc) rc = pare__map_finish(map, rows->size, 1, NULL);
    if (!rc) rc = pare__rows_reduce(rows, map, ctx->arena);
    pare__map_return(ctx);
    return rc;
}
