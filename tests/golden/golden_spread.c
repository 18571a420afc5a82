/* SPDX-License-Identifier: MIT */
/* Groups grid, stride, score_topk, cls_topk, pool, pool_adaptive, pool_bilinear, image_resize. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "encode/prep.h"
#include "golden.h"

/* ---- pruning ------------------------------------------------------------------------------------------------------- */

static void prune(golden *g, scene *sc, const char *name, const char *options, int64_t k)
{
    pare__map map = {0};
    if (!g->err.code && !golden_select(g, sc, PARE__SITE_OUTPUT, 0, name, options, k, &map))
        golden_pruned(g, sc, &map.m);
    pare__map_fini(&map);
}

static void run_grid(golden *g)
{
    scene sc;
    char options[64];
    scene_blank(&sc, 1, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"), 1, 1, 1);
    snprintf(options, sizeof options, "rows=%lld:cols=%lld", (long long)golden_int(g, "rows"),
             (long long)golden_int(g, "cols"));
    prune(g, &sc, "spatial-uniform", options, -1);
    scene_free(&sc);
}

static void run_stride(golden *g)
{
    scene sc;
    scene_blank(&sc, 1, 1, (int32_t)golden_int(g, "N"), 1, 1, 1);
    prune(g, &sc, "stride", "", golden_int(g, "K"));
    scene_free(&sc);
}

static void run_score_topk(golden *g)
{
    scene sc;
    const pare_tensor *score = golden_in(g, "score");
    if (!score) return;
    scene_blank(&sc, 1, 1, (int32_t)pare__tensor_count(score), 1, 1, 1);
    golden_read(g, "score", sc.score, sc.n);
    prune(g, &sc, "topk", "", golden_int(g, "K"));
    scene_free(&sc);
}

/* The score is what the library's own cls-attn would read: the mean over heads. */
static void check_head_mean(golden *g, const scene *sc)
{
    const pare_tensor *heads = pare__tensors_find(g->file, "in.cls_attention_heads");
    if (!heads) return;
    const int64_t n_head = heads->shape[0];
    float *a = PARE__NEW(float, pare__tensor_count(heads));
    pare__tensor_f32(heads, a);
    for (int64_t i = 0; i < sc->n; i++) {
        double sum = 0;
        for (int64_t h = 0; h < n_head; h++) sum += (double)a[h * sc->n + i];
        if (!(fabs(sum / (double)n_head - (double)sc->score[i]) <= 1e-6))
            golden_fail(g, "in.score[%lld] is not the mean over heads", (long long)i);
    }
    pare__free(a);
}

static void check_order(golden *g, const scene *sc, int64_t k)
{
    pare__arena arena = {0};
    int32_t *order = PARE__ARENA(&arena, int32_t, sc->n);
    pare__argsort_desc(sc->score, sc->n, order, &arena);
    golden_i32(g, "order", order, k);
    pare__arena_fini(&arena);
}

static void run_cls_topk(golden *g)
{
    scene sc;
    scene_blank(&sc, 1, (int32_t)golden_int_at(g, "grid", 0), (int32_t)golden_int_at(g, "grid", 1), 1, 1, 1);
    golden_read(g, "score", sc.score, sc.n);
    check_head_mean(g, &sc);
    prune(g, &sc, "topk", "", golden_int(g, "K"));
    check_order(g, &sc, golden_int(g, "K"));
    scene_free(&sc);
}

/* ---- pooling ------------------------------------------------------------------------------------------------------- */

static void check_pooled(golden *g, const scene *sc, const pare_map *map)
{
    float *out = PARE__NEW(float, map->n_out * sc->d);
    int32_t *row = PARE__NEW(int32_t, map->n_in);
    pare__map_apply(map, sc->token, sc->d, out);
    golden_rows(map, row);
    golden_f32(g, "x", out, map->n_out * sc->d, ONE_STEP);
    golden_f32(g, "size", map->size, map->n_out, 0, 0);
    golden_i32(g, "map", row, map->n_in);
    pare__free(out);
    pare__free(row);
}

static void pool(golden *g, const char *options)
{
    scene sc;
    pare__map map = {0};
    const pare_tensor *x = golden_in(g, "x");
    if (!x) return;
    scene_blank(&sc, 1, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"), (int32_t)x->shape[1], 1, 1);
    golden_read(g, "x", sc.token, sc.n * sc.d);
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 0, "pool", options, -1, &map))
        check_pooled(g, &sc, &map.m);
    pare__map_fini(&map);
    scene_free(&sc);
}

static void run_pool(golden *g)
{
    char options[64];
    snprintf(options, sizeof options, "mode=avg:cell=%lld", (long long)golden_int(g, "k"));
    if (golden_bool(g, "ceil_mode"))
        pool(g, options);
    else
        golden_fail(g, "pool keeps partial cells: ceil_mode must be true");
}

static void run_pool_to(golden *g, const char *mode)
{
    char options[96];
    snprintf(options, sizeof options, "mode=%s:h=%lld:w=%lld", mode, (long long)golden_int(g, "h"),
             (long long)golden_int(g, "w"));
    pool(g, options);
}

static void run_pool_adaptive(golden *g) { run_pool_to(g, "adaptive"); }

static void run_pool_bilinear(golden *g)
{
    if (golden_bool(g, "align_corners"))
        golden_fail(g, "pool does not align corners");
    else
        run_pool_to(g, "bilinear");
}

/* ---- resize -------------------------------------------------------------------------------------------------------- */

static void check_resized(golden *g, const uint8_t *got, int64_t n)
{
    float *as_float = PARE__NEW(float, n);
    for (int64_t i = 0; i < n; i++) as_float[i] = got[i];
    golden_f32(g, "pil_bicubic", as_float, n, 0, 1);
    const pare_tensor *t = pare__tensors_find(g->file, "out.bicubic_antialias_f32");
    if (t && pare__tensor_count(t) == n) {
        /* The float result is neither clamped nor rounded between its two passes. */
        float *want = PARE__NEW(float, n);
        pare__tensor_f32(t, want);
        for (int64_t i = 0; i < n; i++)
            if (want[i] < 0 || want[i] > 255) as_float[i] += want[i] - (want[i] < 0 ? 0 : 255);
        golden_f32(g, "bicubic_antialias_f32", as_float, n, 0, 1.5);
        pare__free(want);
    }
    pare__free(as_float);
}

static void run_image_resize(golden *g)
{
    const int32_t h = (int32_t)golden_int(g, "h"), w = (int32_t)golden_int(g, "w");
    const pare_tensor *in = golden_in(g, "pixels");
    pare__arena arena = {0};
    if (golden_number(g, "a") != -0.5) golden_fail(g, "bicubic has a = -0.5");
    if (g->err.code) return;
    uint8_t *out = PARE__NEW(uint8_t, 3 * (int64_t)h * w);
    const int rc = pare__resize_u8(in->data, 3 * in->shape[1], (int32_t)in->shape[1], (int32_t)in->shape[0], out, w, h,
                                   PARE__RESAMPLE_BICUBIC, &arena, NULL, &g->err);
    if (!rc) check_resized(g, out, 3 * (int64_t)h * w);
    pare__free(out);
    pare__arena_fini(&arena);
}

const golden_group golden_spread[] = {
    {"grid", run_grid},
    {"stride", run_stride},
    {"score_topk", run_score_topk},
    {"cls_topk", run_cls_topk},
    {"pool", run_pool},
    {"pool_adaptive", run_pool_adaptive},
    {"pool_bilinear", run_pool_bilinear},
    {"image_resize", run_image_resize},
    {NULL, NULL},
};
