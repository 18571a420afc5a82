/* SPDX-License-Identifier: MIT */
/* Groups rlt, evs and dtd: what repeats itself over time goes. */
#include <stdio.h>
#include <string.h>

#include "golden.h"

/* ---- shared -------------------------------------------------------------------------------------------------------- */

static void read_frames(golden *g, scene *sc)
{
    const pare_tensor *t = golden_in(g, "frames");
    if (!t || t->dtype != PARE_U8 || t->n_dim != 4 || t->shape[0] < (int64_t)sc->n_frame * sc->temporal ||
        t->shape[1] != (int64_t)sc->grid_h * sc->patch || t->shape[2] != (int64_t)sc->grid_w * sc->patch) {
        golden_fail(g, "in.frames does not fit the grid");
        return;
    }
    const int64_t bytes = 3 * t->shape[1] * t->shape[2];
    for (int32_t f = 0; f < sc->n_frame * sc->temporal; f++)
        memcpy(sc->frame[f], (const uint8_t *)t->data + f * bytes, (size_t)bytes);
}

/* The variant that compares with the last kept token, where the file has it. */
static void check_anchored(golden *g, scene *sc, int32_t site, const char *name, const char *options)
{
    pare__map map = {0};
    char anchored[160];
    if (g->err.code || !pare__tensors_find(g->file, "out.anchored.keep")) return;
    snprintf(anchored, sizeof anchored, "%s:anchor=1", options);
    scene_rewind(sc);
    if (!golden_select(g, sc, site, 0, name, anchored, -1, &map)) {
        int32_t *count = PARE__NEW(int32_t, sc->n_frame);
        golden_counts(sc, &map.m, count);
        golden_i32(g, "anchored.keep", map.m.anchor, map.m.n_out);
        golden_i32(g, "anchored.counts", count, sc->n_frame);
        pare__free(count);
    }
    pare__map_fini(&map);
}

/* ---- rlt ----------------------------------------------------------------------------------------------------------- */

static void read_std(golden *g, scene *sc)
{
    const json_t *std = json_object_get(g->params, "std");
    for (size_t c = 0; json_is_array(std) && c < 3; c++)
        sc->pixels.std[c] = (float)json_number_value(json_array_get(std, c));
}

static void check_mask_and_scores(golden *g, const scene *sc, const pare_map *map)
{
    const int64_t first = sc->frame_start[1];
    int32_t *mask = PARE__NEW(int32_t, sc->n);
    for (int64_t r = 0; r < map->n_out; r++) mask[map->anchor[r]] = 1;
    golden_i32(g, "keep_mask", mask, sc->n);
    golden_f32(g, "score", sc->score_out + first, sc->n - first, ONE_STEP);
    pare__free(mask);
}

/* Lengths = members; the reference lists them by position, then by time. */
static void check_runs(golden *g, const scene *sc, const pare_map *map)
{
    const int64_t cells = (int64_t)sc->grid_h * sc->grid_w;
    int32_t *owner = PARE__NEW(int32_t, sc->n), *length = PARE__NEW(int32_t, sc->n + 1);
    int32_t *by_place = PARE__NEW(int32_t, sc->n);
    int64_t m = 0;
    pare__map_owner(map, owner);
    for (int64_t i = 0; i < sc->n; i++) length[owner[i] < 0 ? sc->n : owner[i]]++;
    for (int64_t c = 0; c < cells; c++)
        for (int64_t t = 0; t < sc->n_frame; t++) {
            const int32_t row = owner[t * cells + c];
            if (row >= 0 && map->anchor[row] == t * cells + c) by_place[m++] = length[row];
        }
    golden_i32(g, "run_length", length, map->n_out);
    golden_i32(g, "run_map", owner, sc->n);
    golden_i32(g, "lengths_position_major", by_place, m);
    pare__free(owner);
    pare__free(length);
    pare__free(by_place);
}

static void run_rlt(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[128];
    scene_blank(&sc, (int32_t)golden_int_at(g, "grid", 0), (int32_t)golden_int_at(g, "grid", 1),
                (int32_t)golden_int_at(g, "grid", 2), 1, (int32_t)golden_int(g, "patch"),
                (int32_t)golden_int(g, "tubelet"));
    read_frames(g, &sc);
    read_std(g, &sc);
    snprintf(options, sizeof options, "threshold=%.17g:normalised=%d", golden_number(g, "threshold"),
             golden_bool(g, "normalised"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_PATCHES, 0, "rlt", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_mask_and_scores(g, &sc, &map.m);
        check_runs(g, &sc, &map.m);
        check_anchored(g, &sc, PARE__SITE_PATCHES, "rlt", options);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- evs ----------------------------------------------------------------------------------------------------------- */

static void run_evs(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[64];
    const pare_tensor *x = golden_in(g, "x");
    if (!x) return;
    scene_blank(&sc, (int32_t)golden_int(g, "T"), (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"),
                (int32_t)x->shape[1], 1, 1);
    golden_read(g, "x", sc.token, sc.n * sc.d);
    snprintf(options, sizeof options, "q=%.17g", golden_number(g, "q"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "evs", options, -1, &map)) {
        const int64_t first = sc.frame_start[1];
        if (map.m.n_out != golden_int(g, "K"))
            golden_fail(g, "%lld kept, K = %lld", (long long)map.m.n_out, (long long)golden_int(g, "K"));
        golden_pruned(g, &sc, &map.m);
        golden_f32(g, "score_from_frame1", sc.score_out + first, sc.n - first, ONE_STEP);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- dtd ----------------------------------------------------------------------------------------------------------- */

static int is_pixel_mode(golden *g)
{
    const char *mode = json_string_value(json_object_get(g->params, "mode"));
    if (!mode || (strcmp(mode, "pixel") && strcmp(mode, "feature"))) golden_fail(g, "unknown mode");
    return mode && !strcmp(mode, "pixel");
}

static void open_dtd(golden *g, scene *sc, int pixels)
{
    const pare_tensor *x = pixels ? NULL : golden_in(g, "x");
    scene_blank(sc, (int32_t)golden_int(g, "T"), (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"),
                x ? (int32_t)x->shape[1] : 1, pixels ? (int32_t)golden_int(g, "cell_px") : 1,
                pixels ? (int32_t)golden_int(g, "temporal_patch") : 1);
    if (pixels)
        read_frames(g, sc);
    else if (x)
        golden_read(g, "x", sc->token, sc->n * sc->d);
}

/* Ratios from the second frame on, and the difference (pixels) or the cosine (features). */
static void check_changes(golden *g, const scene *sc, const pare_map *map, int pixels)
{
    const int64_t first = sc->frame_start[1], cells = first;
    int32_t *count = PARE__NEW(int32_t, sc->n_frame);
    float *ratio = PARE__NEW(float, sc->n_frame), *score = PARE__NEW(float, sc->n);
    golden_counts(sc, map, count);
    for (int32_t t = 1; t < sc->n_frame; t++) ratio[t - 1] = 1 - (float)count[t] / (float)cells;
    for (int64_t i = first; i < sc->n; i++) score[i - first] = pixels ? sc->score_out[i] : 1 - sc->score_out[i];
    golden_f32(g, "drop_ratio", ratio, sc->n_frame - 1, ONE_STEP);
    golden_f32(g, "score_from_frame1", score, sc->n - first, ONE_STEP);
    pare__free(count);
    pare__free(ratio);
    pare__free(score);
}

static void run_dtd(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[96];
    const int pixels = is_pixel_mode(g);
    const int32_t site = pixels ? PARE__SITE_PATCHES : PARE__SITE_OUTPUT;
    open_dtd(g, &sc, pixels);
    snprintf(options, sizeof options, "%s=%.17g", golden_bool(g, "absolute") ? "threshold" : "drop",
             golden_number(g, "threshold"));
    if (!g->err.code && !golden_select(g, &sc, site, 0, "dtd", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_changes(g, &sc, &map.m, pixels);
        check_anchored(g, &sc, site, "dtd", options);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

const golden_group golden_time[] = {
    {"rlt", run_rlt},
    {"evs", run_evs},
    {"dtd", run_dtd},
    {NULL, NULL},
};
