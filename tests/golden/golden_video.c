/* SPDX-License-Identifier: MIT */
/* Groups vidcom2 and vcast: pruning over time, where the budget is part of the method. */
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
        golden_counts(sc, &map.m, count);
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

const golden_group golden_video[] = {
    {"vidcom2", run_vidcom2},
    {"vcast", run_vcast},
    {NULL, NULL},
};
