/* SPDX-License-Identifier: MIT */
/* Groups sttm and fastvid: merging over space and time. */
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "select/fastvid.h"
#include "select/quadtree.h"

/* ---- sttm ---------------------------------------------------------------------------------------------------------- */

/* (t, top, left, bottom, right) of one node. */
static void put_box(const pare__quadtree *q, const pare__nodes *nodes, int64_t node, int32_t out[5])
{
    out[0] = nodes->frame[node];
    pare__quadtree_box(q, nodes->cell[node], out + 1);
}

/* The cells before any joining, and of every row the one that it stands at. */
static void check_boxes(golden *g, scene *sc, const pare_map *map)
{
    scene_view look;
    pare__quadtree q;
    pare__nodes nodes;
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 0, &look);
    if (pare__quadtree_init(&q, &look.view, sc->token, sc->d, golden_bool(g, "weighted_avg"),
                            (int32_t)golden_int(g, "root_level"), 0) ||
        pare__nodes_alloc(&nodes, &q)) {
        golden_fail(g, "no memory for the quadtree");
        return;
    }
    pare__nodes_cut(&nodes, &q, golden_number(g, "tau_s"));
    int32_t *box = PARE__NEW(int32_t, 5 * sc->n + 1);
    for (int64_t i = 0; i < nodes.n; i++) put_box(&q, &nodes, i, box + 5 * i);
    golden_i32(g, "nodes_tyxyx", box, 5 * nodes.n);
    for (int64_t r = 0; r < map->n_out; r++) put_box(&q, &nodes, nodes.at[map->anchor[r]], box + 5 * r);
    golden_i32(g, "box_tyxyx", box, 5 * map->n_out);
    pare__free(box);
}

static void check_merged(golden *g, const scene *sc, const pare_map *map)
{
    float *x = PARE__NEW(float, map->n_out * sc->d + 1);
    int32_t *row = PARE__NEW(int32_t, map->n_in), *size = PARE__NEW(int32_t, map->n_out + 1);
    pare__map_apply(map, sc->token, sc->d, x);
    golden_rows(map, row);
    for (int64_t r = 0; r < map->n_out; r++) size[r] = (int32_t)map->size[r];
    golden_f32(g, "x", x, map->n_out * sc->d, ONE_STEP);
    golden_i32(g, "map", row, map->n_in);
    golden_i32(g, "size", size, map->n_out);
    pare__free(x);
    pare__free(row);
    pare__free(size);
}

static void run_sttm(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[160];
    const pare_tensor *x = golden_in(g, "x");
    if (!x) return;
    scene_blank(&sc, (int32_t)golden_int(g, "T"), (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"),
                (int32_t)x->shape[1], 1, 1);
    golden_read(g, "x", sc.token, sc.n * sc.d);
    snprintf(options, sizeof options, "tau_s=%.17g:tau_t=%.17g:root_level=%lld:weighted=%d", golden_number(g, "tau_s"),
             golden_number(g, "tau_t"), (long long)golden_int(g, "root_level"), golden_bool(g, "weighted_avg"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "sttm", options, -1, &map)) {
        if (map.m.n_out != golden_int(g, "K"))
            golden_fail(g, "%lld rows, K = %lld", (long long)map.m.n_out, (long long)golden_int(g, "K"));
        check_boxes(g, &sc, &map.m);
        check_merged(g, &sc, &map.m);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- fastvid ------------------------------------------------------------------------------------------------------- */

/* Tokens, and the feature of every frame where its CLS token stands. */
static void read_clip(golden *g, scene *sc)
{
    pare__view_array *tokens = scene_add(sc, PARE__ARRAY_TOKENS, PARE__LAYER_HERE, sc->d, 1);
    golden_read(g, "x", sc->token, sc->n * sc->d);
    golden_read(g, "x", (float *)(uintptr_t)tokens->data, sc->n * sc->d);
    golden_read(g, "frame_features", (float *)(uintptr_t)tokens->prefix, (int64_t)sc->n_frame * sc->d);
    golden_read(g, "frame_attention", sc->attention, sc->n);
}

static pare__fastvid read_options(golden *g)
{
    return (pare__fastvid){.retention = golden_number(g, "retention"),
                           .segments = golden_int(g, "c"),
                           .tau = golden_number(g, "tau"),
                           .context = golden_number(g, "d"),
                           .step = golden_int(g, "p"),
                           .beta = golden_number(g, "beta")};
}

/* Salient tokens by frame, in ascending order. */
static void check_salient(golden *g, const scene *sc, const pare__fastvid_plan *plan)
{
    int32_t *place = PARE__NEW(int32_t, sc->n + 1);
    int64_t n = 0;
    for (int32_t f = 0; f < sc->n_frame; f++)
        for (int64_t i = sc->frame_start[f]; i < sc->frame_start[f + 1]; i++)
            if (plan->salient[i]) place[n++] = (int32_t)(i - sc->frame_start[f]);
    golden_i32(g, "salient", place, n);
    pare__free(place);
}

static void check_plan(golden *g, scene *sc, const pare__fastvid *p)
{
    scene_view look;
    pare__fastvid_plan plan;
    scene_look(sc, PARE__SITE_OUTPUT, 0, sc->n_frame, 1, &look);
    if (pare__fastvid_make(p, &look.view, sc->attention, &plan, &g->err)) return;
    int32_t *length = PARE__NEW(int32_t, sc->n_frame), *context = PARE__NEW(int32_t, sc->n_frame);
    for (int32_t s = 0; s < plan.n_segment; s++) length[s] = plan.end[s] - (s ? plan.end[s - 1] : 0);
    for (int32_t f = 0; f < sc->n_frame; f++) context[f] = (int32_t)plan.n_context[f];
    golden_i32(g, "segments", length, plan.n_segment);
    golden_i32(g, "context_per_frame", context, sc->n_frame);
    check_salient(g, sc, &plan);
    pare__free(length);
    pare__free(context);
}

/* The map itself, weight by weight. */
static void check_weights(golden *g, const pare_map *map)
{
    const int64_t n = map->row_start[map->n_out];
    int32_t *row = PARE__NEW(int32_t, n + 1);
    for (int64_t r = 0; r < map->n_out; r++)
        for (int64_t i = map->row_start[r]; i < map->row_start[r + 1]; i++) row[i] = (int32_t)r;
    golden_i32(g, "w_row", row, n);
    golden_i32(g, "w_col", map->index, n);
    golden_f32(g, "w_val", map->weight, n, ONE_STEP);
    pare__free(row);
}

static void check_mixed(golden *g, const scene *sc, const pare_map *map)
{
    float *x = PARE__NEW(float, map->n_out * sc->d + 1);
    pare__map_apply(map, sc->token, sc->d, x);
    golden_f32(g, "x", x, map->n_out * sc->d, ONE_STEP);
    golden_raw_f32(g, "x", x, map->n_out * sc->d, ONE_STEP);
    golden_raw_i32(g, "keep", map->anchor, map->n_out);
    pare__free(x);
}

static void run_fastvid(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[192];
    const pare_tensor *x = golden_in(g, "x");
    if (!x) return;
    const pare__fastvid p = read_options(g);
    scene_blank(&sc, (int32_t)golden_int(g, "T"), 1, (int32_t)golden_int(g, "N"), (int32_t)x->shape[1], 1, 1);
    read_clip(g, &sc);
    snprintf(options, sizeof options, "retention=%.17g:segments=%lld:tau=%.17g:context=%.17g:step=%lld:beta=%.17g",
             p.retention, (long long)p.segments, p.tau, p.context, (long long)p.step, p.beta);
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "fastvid", options, -1, &map)) {
        golden_pruned(g, &sc, &map.m);
        check_plan(g, &sc, &p);
        check_weights(g, &map.m);
        check_mixed(g, &sc, &map.m);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

const golden_group golden_video_merge[] = {
    {"sttm", run_sttm},
    {"fastvid", run_fastvid},
    {NULL, NULL},
};
