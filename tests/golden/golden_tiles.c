/* SPDX-License-Identifier: MIT */
/* Groups pixelprune, globalcom2 and hired: pictures, and thumbnails with their tiles. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "select/tiles.h"

/* ---- pixelprune ---------------------------------------------------------------------------------------------------- */

/* Kept unit that every unit is a copy of, and its row. */
static void compare_anchors(golden *g, const pare_map *map)
{
    int32_t *row = PARE__NEW(int32_t, map->n_in), *anchor = PARE__NEW(int32_t, map->n_in);
    pare__map_owner(map, row);
    for (int64_t c = 0; c < map->n_in; c++) anchor[c] = row[c] < 0 ? -1 : map->anchor[row[c]];
    golden_i32(g, "anchor", anchor, map->n_in);
    golden_i32(g, "anchor_row", row, map->n_in);
    pare__free(row);
    pare__free(anchor);
}

static void run_pixelprune(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[96];
    const int32_t cell = (int32_t)golden_int(g, "cell");
    const int32_t h = (int32_t)golden_int_at(g, "grid", 0), w = (int32_t)golden_int_at(g, "grid", 1);
    const char *metric = json_string_value(json_object_get(g->params, "metric"));
    const pare_tensor *rgb = golden_in(g, "pixels");
    if (golden_number(g, "scale") != 255) golden_fail(g, "values are not in units of 1/255");
    if (!rgb || rgb->dtype != PARE_U8 || pare__tensor_count(rgb) != 3ll * h * cell * w * cell) {
        golden_fail(g, "in.pixels does not fit the grid");
        return;
    }
    scene_blank(&sc, 1, h, w, 1, cell, 1);
    memcpy(sc.frame[0], rgb->data, (size_t)pare__tensor_count(rgb));
    snprintf(options, sizeof options, "metric=%s:tau=%.17g:anchor=%d", metric ? metric : "?", golden_number(g, "tau"),
             golden_bool(g, "anchored"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_PATCHES, 1, "pixelprune", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        compare_anchors(g, &map.m);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- thumbnail and tiles ------------------------------------------------------------------------------------------- */

typedef struct tiled {
    scene sc;
    pare_slot slot[64];
    int32_t rows, cols, n_tile, side;
} tiled;

static int tiled_open(golden *g, tiled *t)
{
    *t = (tiled){.rows = (int32_t)golden_int(g, "crops_h"),
                 .cols = (int32_t)golden_int(g, "crops_w"),
                 .side = (int32_t)golden_int(g, "side")};
    t->n_tile = t->rows * t->cols;
    if (t->rows < 1 || t->cols < 1 || t->side < 1 || t->n_tile > 63) return golden_fail(g, "unusable crops");
    scene_blank(&t->sc, 1 + t->n_tile, t->side, t->side, 1, 1, 1);
    for (int32_t s = 0; s <= t->n_tile; s++)
        t->slot[s] =
            (pare_slot){.tile = s, .tile_rows = t->rows, .tile_cols = t->cols, .grid_h = t->side, .grid_w = t->side};
    t->sc.slot = t->slot;
    return g->err.code;
}

/* The view that the selector sees, for the functions that it is made of. */
static pare__picture tiled_look(tiled *t, scene_view *look)
{
    scene_look(&t->sc, PARE__SITE_OUTPUT, 0, t->sc.n_frame, 1, look);
    return pare__picture_at(&look->view, 0);
}

static void compare_scales(golden *g, tiled *t, double base, double temperature)
{
    scene_view look;
    double scale[64];
    float clipped[64];
    const pare__picture pic = tiled_look(t, &look);
    if (pic.n != 1 + t->n_tile) golden_fail(g, "the picture has %d slots", (int)pic.n);
    if (g->err.code || pare__tile_scales(&look.view, &pic, t->sc.attention, temperature, scale)) return;
    for (int32_t j = 0; j < t->n_tile; j++) clipped[j] = (float)fmin(1, base * scale[j]);
    golden_f32(g, "scales", clipped, t->n_tile, ONE_STEP);
}

static void compare_upsampled(golden *g, tiled *t)
{
    const int32_t hw[2] = {t->side, t->side}, to[2] = {t->rows * t->side, t->cols * t->side};
    const int64_t n = (int64_t)to[0] * to[1];
    scene_view look;
    tiled_look(t, &look);
    double *large = PARE__NEW(double, n);
    float *tile = PARE__NEW(float, n);
    const double *map = pare__slot_map(&look.view, 0, t->sc.attention);
    if (map) pare__upsample(map, hw, large, to);
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = i / (hw[0] * hw[1]), y = i / hw[1] % hw[0], x = i % hw[1];
        tile[i] = (float)large[(j / t->cols * hw[0] + y) * to[1] + j % t->cols * hw[1] + x];
    }
    golden_f32(g, "upsampled", tile, n, ONE_STEP);
    pare__free(large);
    pare__free(tile);
}

static void run_globalcom2(golden *g)
{
    tiled t;
    pare__map map = {0};
    char options[128];
    const double base = golden_number(g, "base"), temperature = golden_number(g, "temperature");
    snprintf(options, sizeof options, "base=%.17g:temperature=%.17g:compat=1", base, temperature);
    if (tiled_open(g, &t)) return;
    golden_read(g, "cls_attention", t.sc.attention, t.sc.n);
    if (!g->err.code && !golden_select(g, &t.sc, PARE__SITE_OUTPUT, 1, "globalcom2", options, -1, &map)) {
        golden_pruned(g, &t.sc, &map.m);
        compare_scales(g, &t, base, temperature);
        compare_upsampled(g, &t);
    }
    pare__map_fini(&map);
    scene_free(&t.sc);
}

/* [slots, heads, n] -> mean over heads [slots, n] */
static void read_heads(golden *g, const char *name, int32_t n_slot, int64_t n, float *out)
{
    const pare_tensor *x = golden_in(g, name);
    if (!x || x->n_dim != 3 || x->shape[0] != n_slot || x->shape[2] != n) {
        golden_fail(g, "in.%s does not fit the slots", name);
        return;
    }
    const int64_t heads = x->shape[1];
    float *all = PARE__NEW(float, n_slot *heads *n);
    golden_read(g, name, all, n_slot * heads * n);
    for (int64_t s = 0; s < n_slot; s++) {
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t h = 0; h < heads; h++) sum += (double)all[(s * heads + h) * n + i];
            out[s * n + i] = (float)(sum / (double)heads);
        }
    }
    pare__free(all);
}

static void compare_authors(golden *g, tiled *t, const pare_map *map)
{
    int32_t *mask = PARE__NEW(int32_t, t->sc.n), *count = PARE__NEW(int32_t, t->sc.n_frame);
    for (int64_t r = 0; r < map->n_out; r++) {
        mask[map->anchor[r]] = 1;
        count[t->sc.thw[3 * (int64_t)map->anchor[r]]]++;
    }
    golden_i32(g, "keep_mask", mask, t->sc.n);
    golden_raw_i32(g, "keep_mask", mask, t->sc.n);
    golden_raw_i32(g, "counts", count, t->sc.n_frame);
    pare__free(mask);
    pare__free(count);
}

static void compare_fixed(golden *g, tiled *t, const pare_map *map)
{
    int32_t *count = PARE__NEW(int32_t, t->sc.n_frame);
    for (int64_t r = 0; r < map->n_out; r++) count[t->sc.thw[3 * (int64_t)map->anchor[r]]]++;
    golden_i32(g, "fixed.keep", map->anchor, map->n_out);
    golden_i32(g, "fixed.counts", count, t->sc.n_frame);
    golden_agree(g, "full", count[0]);
    golden_agree(g, "sub", map->n_out - count[0]);
    pare__free(count);
}

static void compare_shares(golden *g, tiled *t, double alpha)
{
    scene_view look;
    double share[64];
    float got[64];
    const pare__picture pic = tiled_look(t, &look);
    if (g->err.code || pare__tile_shares(&look.view, &pic, t->sc.attention, alpha, 0, share)) return;
    for (int32_t j = 0; j < t->n_tile; j++) got[j] = (float)share[j];
    golden_f32(g, "cell_share", got, t->n_tile, ONE_STEP);
}

/* The rate, or where the product of a decimal rate rounds to either side of `total`, one that is sure to give it. */
static double read_rate(golden *g, int64_t n)
{
    const double rate = golden_number(g, "rate");
    const int64_t total = golden_int(g, "total");
    if (!(fabs(rate * (double)n - (double)total) < 1 + 1e-9))
        golden_fail(g, "total %lld is not %g", (long long)total, rate * (double)n);
    return (int64_t)(rate * (double)n) == total ? rate : fmin(1, ((double)total + 0.5) / (double)n);
}

static void run_hired(golden *g)
{
    tiled t;
    pare__map map = {0};
    char options[128], compat[144];
    const double alpha = golden_number(g, "alpha");
    if (tiled_open(g, &t)) return;
    snprintf(options, sizeof options, "rate=%.17g:alpha=%.17g", read_rate(g, t.sc.n), alpha);
    snprintf(compat, sizeof compat, "%s:compat=1", options);
    const int64_t n = (int64_t)t.side * t.side;
    float *shallow = (float *)(uintptr_t)scene_add(&t.sc, PARE__ARRAY_CLS_ROW, 0, 1, 0)->data;
    read_heads(g, "deep_cls_attention_heads", t.sc.n_frame, n, t.sc.attention);
    read_heads(g, "shallow_cls_attention_heads", t.sc.n_frame, n, shallow);
    if (!g->err.code && !golden_select(g, &t.sc, PARE__SITE_OUTPUT, 1, "hired", options, -1, &map))
        compare_fixed(g, &t, &map.m);
    if (!g->err.code && !golden_select(g, &t.sc, PARE__SITE_OUTPUT, 1, "hired", compat, -1, &map))
        compare_authors(g, &t, &map.m);
    compare_shares(g, &t, alpha);
    pare__map_fini(&map);
    scene_free(&t.sc);
}

const golden_group golden_tiles[] = {
    {"pixelprune", run_pixelprune}, {"globalcom2", run_globalcom2}, {"hired", run_hired}, {NULL, NULL}};
