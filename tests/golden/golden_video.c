/* SPDX-License-Identifier: MIT */
/* Groups vidcom2, vcast and dtd: pruning over time, where the budget is part of the method. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "select/vcast.h"
#include "select/vidcom2.h"

/* ---- shared -------------------------------------------------------------------------------------------------------- */

/* A clip of T frames of N tokens in one row each, in.x. Returns 0 if the case has failed. */
static int open_clip(golden *g, scene *sc)
{
    const pare_tensor *x = golden_in(g, "x");
    if (!x) return 0;
    scene_blank(sc, (int32_t)golden_int(g, "T"), 1, (int32_t)golden_int(g, "N"), (int32_t)x->shape[1], 1, 1);
    golden_read(g, "x", sc->token, sc->n * sc->d);
    return !g->err.code;
}

static void count_frames(const scene *sc, const pare_map *map, int32_t *count)
{
    for (int32_t t = 0; t < sc->n_frame; t++) count[t] = 0;
    for (int64_t r = 0; r < map->n_out; r++) count[sc->thw[3 * (int64_t)map->anchor[r]]]++;
}

/* out[.canonical].PREFIXkeep and PREFIXcounts of one selection. */
static void check_variant(golden *g, scene *sc, const char *name, const char *options, int64_t k, const char *prefix)
{
    pare__map map = {0};
    char keep[64], counts[64];
    snprintf(keep, sizeof keep, "%skeep", prefix);
    snprintf(counts, sizeof counts, "%scounts", prefix);
    scene_rewind(sc);
    if (!g->err.code && !golden_select(g, sc, PARE__SITE_OUTPUT, 0, name, options, k, &map)) {
        int32_t *count = PARE__NEW(int32_t, sc->n_frame);
        count_frames(sc, &map.m, count);
        golden_raw_i32(g, keep, map.m.anchor, map.m.n_out);
        golden_raw_i32(g, counts, count, sc->n_frame);
        pare__free(count);
    }
    pare__map_fini(&map);
}

static void check_doubles(golden *g, const char *name, const double *got, int64_t n)
{
    float *f = PARE__NEW(float, n + 1);
    for (int64_t i = 0; i < n; i++) f[i] = (float)got[i];
    golden_f32(g, name, f, n, ONE_STEP);
    pare__free(f);
}

/* ---- vidcom2 ------------------------------------------------------------------------------------------------------- */

static void check_measures(golden *g, scene *sc)
{
    scene_view look;
    pare__vidcom2 m;
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 0, &look);
    if (pare__vidcom2_run(&look.view, golden_number(g, "temperature"), "vidcom2", &m, &g->err)) return;
    const double ratio = golden_number(g, "R");
    for (int32_t t = 0; t < sc->n_frame; t++) m.share[t] = fmin(1, ratio * m.share[t]);
    golden_i32(g, "channels", m.channel, m.n_channel);
    check_doubles(g, "video_score", m.video, sc->n);
    check_doubles(g, "frame_score", m.frame, sc->n);
    check_doubles(g, "frame_ratio", m.share, sc->n_frame);
}

/* Positions in a layout of side + 1 columns, whose last one holds a newline: the kept tokens of a frame, then its
 * newlines. */
static void check_newlines(golden *g, const scene *sc, const pare_map *map)
{
    if (!json_is_integer(json_object_get(g->params, "grid"))) return;
    const int32_t side = (int32_t)golden_int(g, "grid"), cells = side * (side + 1);
    int32_t *index = PARE__NEW(int32_t, map->n_out + (int64_t)sc->n_frame * side);
    int64_t n = 0, r = 0;
    for (int32_t t = 0; t < sc->n_frame; t++) {
        for (; r < map->n_out && map->anchor[r] < sc->frame_start[t + 1]; r++) {
            const int32_t cell = map->anchor[r] - (int32_t)sc->frame_start[t];
            index[n++] = t * cells + cell / side * (side + 1) + cell % side;
        }
        for (int32_t y = 0; y < side; y++) index[n++] = t * cells + y * (side + 1) + side;
    }
    golden_i32(g, "newline_grid_index", index, n);
    pare__free(index);
}

/* The widths of the bells are those of the method. */
static void check_widths(golden *g)
{
    static const double width[] = {0.125, 0.25, 0.5, 1, 2};
    const json_t *list = json_object_get(g->params, "alphas");
    const size_t n = sizeof width / sizeof *width;
    if (list && json_array_size(list) != n) golden_fail(g, "%zu alphas", json_array_size(list));
    for (size_t i = 0; list && i < n; i++)
        if (json_number_value(json_array_get(list, i)) != width[i]) golden_fail(g, "alpha %zu is not %g", i, width[i]);
}

static void run_vidcom2(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[128];
    if (!open_clip(g, &sc)) return;
    check_widths(g);
    const double ratio = golden_number(g, "R");
    snprintf(options, sizeof options, "ratio=%.17g:temperature=%.17g", ratio, golden_number(g, "temperature"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "vidcom2", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_newlines(g, &sc, &map.m);
        check_measures(g, &sc);
        const int64_t k = (int64_t)((double)sc.n * (1 - (1 - ratio))); /* as the engine rounds */
        check_variant(g, &sc, "vidcom2", options, k > sc.n_frame ? k : sc.n_frame, "exact_k.");
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- vcast --------------------------------------------------------------------------------------------------------- */

static void check_weights(golden *g, scene *sc)
{
    scene_view look;
    double *curvature = PARE__NEW(double, sc->n_frame), *weight = PARE__NEW(double, sc->n_frame);
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 0, &look);
    pare__vcast_weigh(&look.view, golden_number(g, "temp"), "vcast", curvature, weight, &g->err);
    check_doubles(g, "curvature", curvature, sc->n_frame);
    check_doubles(g, "weights", weight, sc->n_frame);
    pare__free(curvature);
    pare__free(weight);
}

/* The authors' own counts are those of out.canonical. */
static void run_vcast(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[128], compat[160];
    if (!open_clip(g, &sc)) return;
    const int64_t k = golden_int(g, "total");
    const double share = golden_number(g, "ratio") * (double)sc.n;
    if (!(fabs((double)k - share) < 1)) golden_fail(g, "total %lld is not %g", (long long)k, share);
    snprintf(options, sizeof options, "temperature=%.17g:min=%lld", golden_number(g, "temp"),
             (long long)golden_int(g, "min_k"));
    snprintf(compat, sizeof compat, "%s:compat=1", options);
    check_variant(g, &sc, "vcast", options, k, "largest_remainder.");
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "vcast", compat, k, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_weights(g, &sc);
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

static void read_pictures(golden *g, scene *sc)
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

static void open_dtd(golden *g, scene *sc, int pixels)
{
    const pare_tensor *x = pixels ? NULL : golden_in(g, "x");
    scene_blank(sc, (int32_t)golden_int(g, "T"), (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"),
                x ? (int32_t)x->shape[1] : 1, pixels ? (int32_t)golden_int(g, "cell_px") : 1,
                pixels ? (int32_t)golden_int(g, "temporal_patch") : 1);
    if (pixels)
        read_pictures(g, sc);
    else if (x)
        golden_read(g, "x", sc->token, sc->n * sc->d);
}

/* Ratios from the second frame on, and the difference (pixels) or the cosine (features). */
static void check_changes(golden *g, const scene *sc, const pare_map *map, int pixels)
{
    const int64_t first = sc->frame_start[1], cells = first;
    int32_t *count = PARE__NEW(int32_t, sc->n_frame);
    float *ratio = PARE__NEW(float, sc->n_frame), *score = PARE__NEW(float, sc->n);
    count_frames(sc, map, count);
    for (int32_t t = 1; t < sc->n_frame; t++) ratio[t - 1] = 1 - (float)count[t] / (float)cells;
    for (int64_t i = first; i < sc->n; i++) score[i - first] = pixels ? sc->score_out[i] : 1 - sc->score_out[i];
    golden_f32(g, "drop_ratio", ratio, sc->n_frame - 1, ONE_STEP);
    golden_f32(g, "score_from_frame1", score, sc->n - first, ONE_STEP);
    pare__free(count);
    pare__free(ratio);
    pare__free(score);
}

/* The documented variant, where the file has it. */
static void check_dtd_anchored(golden *g, scene *sc, int32_t site, const char *options)
{
    pare__map map = {0};
    char anchored[160];
    if (g->err.code || !pare__tensors_find(g->file, "out.anchored.keep")) return;
    snprintf(anchored, sizeof anchored, "%s:anchor=1", options);
    scene_rewind(sc);
    if (!golden_select(g, sc, site, 0, "dtd", anchored, -1, &map)) {
        int32_t *count = PARE__NEW(int32_t, sc->n_frame);
        count_frames(sc, &map.m, count);
        golden_i32(g, "anchored.keep", map.m.anchor, map.m.n_out);
        golden_i32(g, "anchored.counts", count, sc->n_frame);
        pare__free(count);
    }
    pare__map_fini(&map);
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
        check_dtd_anchored(g, &sc, site, options);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

const golden_group golden_video[] = {
    {"vidcom2", run_vidcom2},
    {"vcast", run_vcast},
    {"dtd", run_dtd},
    {NULL, NULL},
};
