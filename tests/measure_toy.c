/* SPDX-License-Identifier: MIT */
#include "measure_toy.h"

#include <check.h>
#include <string.h>

#include "core/rank.h"
#include "measure/metric.h"

static void fill(float *x, int64_t n, pare__rng *rng)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * pare__rng_unit(rng) - 1);
}

/* View over the toy's arrays; the grid is that of `like` (or its own). */
static void view(toy *t, int32_t slots, int32_t h, int32_t w)
{
    pare_result_view *v = &t->v;
    *v = (pare_result_view){.struct_size = sizeof *v, .grid = {slots, h, w}, .d = TOY_DIM, .n_prefix = 1, .unit = 1};
    v->n_class = TOY_CLASSES;
    v->n = (int64_t)slots * h * w;
    for (int32_t s = 0; s < slots; s++) {
        t->slot[s] = (pare_slot){.media = s, .tile_rows = 1, .tile_cols = 1, .grid_h = h, .grid_w = w};
        t->unit_start[s + 1] = t->unit_start[s] + (int64_t)h * w;
    }
    v->slot = t->slot;
    v->unit_start = t->unit_start;
    v->row_start = t->row_start;
    v->embeds = t->embeds;
    v->box = t->box;
    v->prefix = t->prefix;
    v->pooled = t->pooled;
    v->logits = t->logits;
    v->scores = t->scores;
}

/* What follows from the finished map: counts, sizes, places. */
static void follow_map(toy *t)
{
    pare_result_view *v = &t->v;
    const int32_t w = v->grid[2];
    v->map = t->map.m;
    v->k = v->map.n_out;
    v->sizes = v->map.size;
    memset(t->row_start, 0, sizeof t->row_start);
    for (int64_t j = 0; j < v->k; j++) {
        const int64_t per = (int64_t)v->grid[1] * w, unit = v->map.anchor[j], cell = unit % per;
        const float x = 10 * (float)(cell % w), y = 10 * (float)(cell / w);
        memcpy(t->box + 4 * j, (float[]){x, y, x + 10, y + 10}, 4 * sizeof *t->box);
        t->row_start[unit / per + 1]++;
    }
    for (int32_t s = 0; s < v->grid[0]; s++) t->row_start[s + 1] += t->row_start[s];
}

void toy_full(toy *t, int32_t slots, int32_t h, int32_t w, uint64_t seed)
{
    pare__rng rng = pare__rng_make(seed, (uint64_t)h, (uint64_t)w);
    memset(t, 0, sizeof *t);
    view(t, slots, h, w);
    ck_assert_int_eq(pare__map_identity(&t->map, t->v.n), 0);
    follow_map(t);
    fill(t->embeds, t->v.n * TOY_DIM, &rng);
    fill(t->prefix, (int64_t)slots * TOY_DIM, &rng);
    fill(t->pooled, (int64_t)slots * TOY_DIM, &rng);
    fill(t->logits, (int64_t)slots * TOY_CLASSES, &rng);
    fill(t->scores, t->v.n, &rng);
}

/* The map is built; everything but rows is as in the reference. */
static void reduce(toy *t, const toy *full)
{
    pare_error err = {0};
    ck_assert_msg(pare__map_finish(&t->map, NULL, 0, &err) == 0, "%s", err.text);
    follow_map(t);
    pare__map_apply(&t->v.map, full->embeds, TOY_DIM, t->embeds);
    memcpy(t->prefix, full->prefix, sizeof t->prefix);
    memcpy(t->pooled, full->pooled, sizeof t->pooled);
    memcpy(t->logits, full->logits, sizeof t->logits);
    memcpy(t->scores, full->scores, sizeof t->scores);
}

static void begin(toy *t, const toy *full)
{
    memset(t, 0, sizeof *t);
    view(t, full->v.grid[0], full->v.grid[1], full->v.grid[2]);
    pare__map_begin(&t->map, full->v.n);
}

void toy_keep(toy *t, const toy *full, const int32_t *keep, int64_t k)
{
    begin(t, full);
    ck_assert_int_eq(pare__map_keep_many(&t->map, keep, k), 0);
    reduce(t, full);
}

void toy_group(toy *t, const toy *full, const int32_t *group, const int32_t *anchor, int64_t k)
{
    begin(t, full);
    ck_assert_int_eq(pare__map_groups(&t->map, group, anchor, k, NULL), 0);
    reduce(t, full);
}

void toy_free(toy *t) { pare__map_fini(&t->map); }

double toy_measure(const toy *t, const toy *other, const char *name)
{
    pare_error err = {0};
    double value = -1e9;
    const int rc = pare__measure(&t->v, other ? &other->v : NULL, &pare__dense_c, &name, 1, &value, &err);
    ck_assert_msg(rc == 0, "%s: %s", name, err.text);
    return value;
}
