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

static void check_measures(golden *g, scene *sc, const pare__vidcom2_rule *rule)
{
    scene_view look;
    pare__vidcom2 m;
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 0, &look);
    if (pare__vidcom2_measure(&look.view, rule, &m, &g->err) || pare__vidcom2_share(&look.view, rule, &m)) return;
    for (int32_t t = 0; t < sc->n_frame; t++) m.share[t] = fmin(1, rule->ratio * m.share[t]);
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

/* "alphas=0.125/0.25", of those of the fixture. */
static void alphas_of(golden *g, char *out, size_t size)
{
    const json_t *list = json_object_get(g->params, "alphas");
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(list) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.17g", i ? "/" : "",
                                 json_number_value(json_array_get(list, i)));
    if (!used || used >= size) golden_fail(g, "no alphas, or too many");
}

static void run_vidcom2(golden *g)
{
    scene sc;
    pare__map map = {0};
    pare__vidcom2_rule rule = {.ratio = golden_number(g, "R"), .temperature = golden_number(g, "temperature")};
    char options[512];
    if (!open_clip(g, &sc)) return;
    alphas_of(g, rule.alphas, sizeof rule.alphas);
    snprintf(options, sizeof options, "ratio=%.17g:temperature=%.17g:alphas=%s", rule.ratio, rule.temperature,
             rule.alphas);
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "vidcom2", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_newlines(g, &sc, &map.m);
        check_measures(g, &sc, &rule);
        const int64_t k = (int64_t)((double)sc.n * (1 - (1 - rule.ratio))); /* as the engine rounds */
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
