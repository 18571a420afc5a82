/* SPDX-License-Identifier: MIT */
/* Groups hiprune, vscan, prumerge, prumerge_plus: methods that read the insides of several blocks at the output. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"

enum { N_LAYER = 12 }; /* of a scene */

/* Choices are bound to repeat where small errors of the input do not change them. */
static int is_stable(const golden *g)
{
    const char *stable = json_string_value(json_object_get(g->file->meta, "perturb_5e-7"));
    return stable && strcmp(stable, "differs");
}

/* in.NAME [prefix + n, width] as an array of the scene; its prefix rows first. */
static void add_array(golden *g, scene *sc, const char *name, pare__array array, int32_t layer, int32_t prefix)
{
    const pare_tensor *t = golden_in(g, name);
    const int32_t width = t && t->n_dim == 2 ? (int32_t)t->shape[1] : 1;
    const int64_t lead = (int64_t)prefix * width, n = sc->n * width;
    float *all = PARE__NEW(float, lead + n + 1);
    golden_read(g, name, all, lead + n);
    const pare__view_array *a = scene_add(sc, array, layer, width, prefix);
    memcpy((float *)(uintptr_t)a->data, all + lead, (size_t)n * sizeof *all);
    if (prefix) memcpy((float *)(uintptr_t)a->prefix, all, (size_t)lead * sizeof *all);
    pare__free(all);
}

/* ---- hiprune ------------------------------------------------------------------------------------------------------- */

static void check_anchors(golden *g, const scene *sc, const pare_map *compat, int64_t k)
{
    pare__arena arena = {0};
    int32_t *order = PARE__ARENA(&arena, int32_t, sc->n), *row = PARE__ARENA(&arena, int32_t, sc->n);
    const int64_t n = (int64_t)nearbyint(golden_number(g, "alpha") * (double)k / 5);
    pare__argsort_desc(sc->own[0].data, sc->n, order, &arena);
    golden_rows(compat, row);
    for (int64_t i = 0; i < n; i++)
        if (row[order[i]] < 0) golden_fail(g, "anchor %d was not kept", order[i]);
    golden_raw_i32(g, "anchors", order, n);
    pare__arena_fini(&arena);
}

static void run_hiprune(golden *g)
{
    scene sc;
    char options[96];
    pare__map map = {0};
    const int64_t k = golden_int(g, "K");
    scene_blank(&sc, 1, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"), 1, 1, 1);
    add_array(g, &sc, "object_attention", PARE__ARRAY_COL_MEAN, 9, 0);
    add_array(g, &sc, "deep_attention", PARE__ARRAY_COL_MEAN, N_LAYER - 2, 0);
    snprintf(options, sizeof options, "alpha=%.17g", golden_number(g, "alpha"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "hiprune", options, k, &map))
        golden_raw_i32(g, "gridsafe.keep", map.m.anchor, map.m.n_out);
    strcat(options, ":compat=1");
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "hiprune", options, k, &map)) {
        golden_pruned(g, &sc, &map.m);
        if (is_stable(g)) golden_raw_i32(g, "keep", map.m.anchor, map.m.n_out);
        check_anchors(g, &sc, &map.m, k);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- vscan --------------------------------------------------------------------------------------------------------- */

/* Appends the best of one window in order of their score; each must have been kept. */
static int64_t window_best(golden *g, const scene *sc, const int32_t *row, int64_t w, int32_t *out)
{
    pare__arena arena = {0};
    const int64_t side = golden_int(g, "window"), best = golden_int(g, "per_window");
    int32_t *member = PARE__ARENA(&arena, int32_t, sc->n), *order = PARE__ARENA(&arena, int32_t, sc->n);
    float *score = PARE__ARENA(&arena, float, sc->n);
    const int64_t across = sc->grid_w / side, y = w / across * side, x = w % across * side;
    int64_t n = 0;
    for (int64_t i = 0; i < sc->n; i++) {
        const int64_t dy = sc->thw[3 * i + 1] - y, dx = sc->thw[3 * i + 2] - x;
        if (dy < 0 || dx < 0 || dy >= side || dx >= side) continue;
        score[n] = sc->own[0].data[i];
        member[n++] = (int32_t)i;
    }
    pare__argsort_desc(score, n, order, &arena);
    for (int64_t i = 0; i < best; i++) {
        out[i] = member[order[i]];
        if (row[out[i]] < 0) golden_fail(g, "row %d of window %lld was not kept", out[i], (long long)w);
    }
    pare__arena_fini(&arena);
    return best;
}

static void check_local(golden *g, const scene *sc, const pare_map *map)
{
    const int64_t side = golden_int(g, "window"), n_window = (sc->grid_h / side) * (sc->grid_w / side);
    int32_t *row = PARE__NEW(int32_t, sc->n + 1), *local = PARE__NEW(int32_t, sc->n + 1);
    int64_t n = 0;
    golden_rows(map, row);
    for (int64_t r = 0; r < map->n_in; r++) row[r] = -1;
    for (int64_t r = 0; r < map->n_out; r++) row[map->anchor[r]] = (int32_t)r;
    for (int64_t w = 0; w < n_window && !g->err.code; w++) n += window_best(g, sc, row, w, local + n);
    golden_choice(g, "local", local, n, sc->own[0].data);
    pare__free(row);
    pare__free(local);
}

static void check_scanned(golden *g, const scene *sc, const pare_map *map)
{
    float *x = PARE__NEW(float, map->n_out * sc->d + 1);
    pare__map_apply(map, sc->token, sc->d, x);
    golden_pruned(g, sc, map);
    golden_f32(g, "x", x, map->n_out * sc->d, ONE_STEP);
    golden_f32(g, "size", map->size, map->n_out, 0, 0);
    if (is_stable(g)) {
        golden_raw_i32(g, "keep", map->anchor, map->n_out);
        golden_raw_f32(g, "x", x, map->n_out * sc->d, ONE_STEP);
    }
    check_local(g, sc, map);
    pare__free(x);
}

/* The default is exact, and the reference's choice wherever nothing is left over. */
static void check_exact(golden *g, scene *sc, const char *options, int64_t k, int64_t kept)
{
    pare__map map = {0};
    const int64_t side = golden_int(g, "window");
    if (!golden_select(g, sc, PARE__SITE_OUTPUT, 1, "vscan", options, k, &map)) {
        if (map.m.n_out != k) golden_fail(g, "%lld rows instead of %lld", (long long)map.m.n_out, (long long)k);
        if (kept == k && sc->grid_h % side == 0 && sc->grid_w % side == 0)
            golden_i32(g, "keep", map.m.anchor, map.m.n_out);
    }
    pare__map_fini(&map);
}

static void run_vscan(golden *g)
{
    scene sc;
    char options[96];
    pare__map map = {0};
    const pare_tensor *x = golden_in(g, "x");
    const int64_t k = golden_int(g, "K");
    scene_blank(&sc, 1, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"), x ? (int32_t)x->shape[1] : 1, 1, 1);
    golden_read(g, "x", sc.token, sc.n * sc.d);
    add_array(g, &sc, "shallow_attention", PARE__ARRAY_CLS_ROW, 5, 0);
    add_array(g, &sc, "deep_attention", PARE__ARRAY_CLS_ROW, N_LAYER - 2, 0);
    snprintf(options, sizeof options, "window=%lld", (long long)golden_int(g, "window"));
    if (!g->err.code) check_exact(g, &sc, options, k, golden_int(g, "kept"));
    strcat(options, ":compat=1");
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "vscan", options, k, &map))
        check_scanned(g, &sc, &map.m);
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- prumerge ------------------------------------------------------------------------------------------------------ */

typedef struct merged {
    int64_t n_kept, extra; /* extra: row of the map */
    int32_t *keep, *row;   /* [n_kept] ascending, and their rows of the map */
    float *y;              /* [n_out, d] rows of the map */
} merged;

/* A kept token enters its own row with weight 1, the heaviest of the others enters theirs with less. */
static int is_extra(const pare_map *m, int64_t r)
{
    double weight = 0;
    for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++)
        if (m->index[i] == m->anchor[r]) weight = (double)m->weight[i];
    return weight * (m->gain ? (double)m->gain[r] : 1) < 0.999;
}

static void merged_make(merged *o, const scene *sc, const pare_map *m)
{
    *o = (merged){.keep = PARE__NEW(int32_t, m->n_out + 1),
                  .row = PARE__NEW(int32_t, m->n_out + 1),
                  .y = PARE__NEW(float, m->n_out * sc->d + 1),
                  .extra = -1};
    pare__map_apply(m, sc->token, sc->d, o->y);
    for (int64_t r = 0; r < m->n_out; r++) {
        if (is_extra(m, r)) {
            o->extra = r;
            continue;
        }
        o->keep[o->n_kept] = m->anchor[r];
        o->row[o->n_kept++] = (int32_t)r;
    }
}

static void merged_free(merged *o)
{
    pare__free(o->keep);
    pare__free(o->row);
    pare__free(o->y);
}

/* Rows of y in that order of the kept ones, the extra one last. */
static void ordered(const merged *o, const int32_t *order, int32_t d, float *out)
{
    const size_t bytes = (size_t)d * sizeof *out;
    for (int64_t i = 0; i < o->n_kept; i++)
        memcpy(out + i * d, o->y + (int64_t)o->row[order ? order[i] : i] * d, bytes);
    if (o->extra >= 0) memcpy(out + o->n_kept * d, o->y + o->extra * d, bytes);
}

/* The authors' order: the `best` best by falling score, then the others as they stand. */
static void authors_order(const scene *sc, const merged *o, int64_t best, int32_t *order)
{
    pare__arena arena = {0};
    float *score = PARE__ARENA(&arena, float, o->n_kept);
    uint8_t *first = PARE__ARENA(&arena, uint8_t, o->n_kept);
    memset(first, 0, (size_t)o->n_kept);
    for (int64_t i = 0; i < o->n_kept; i++) score[i] = sc->score_out[o->keep[i]];
    pare__argsort_desc(score, o->n_kept, order, &arena);
    for (int64_t i = 0; i < best; i++) first[order[i]] = 1;
    for (int64_t i = 0, m = best; i < o->n_kept; i++)
        if (!first[i]) order[m++] = (int32_t)i;
    pare__arena_fini(&arena);
}

static void check_prumerge(golden *g, const scene *sc, const pare_map *map, double ratio)
{
    merged o;
    merged_make(&o, sc, map);
    const int64_t n_out = o.n_kept + 1, d = sc->d;
    int32_t *order = PARE__NEW(int32_t, n_out), *idx = PARE__NEW(int32_t, n_out), *row = PARE__NEW(int32_t, sc->n + 1);
    float *y = PARE__NEW(float, n_out *d);
    const float rate = (float)ratio;
    for (int64_t i = 0; i < sc->n; i++) row[i] = -1;
    for (int64_t i = 0; i < o.n_kept; i++) row[o.keep[i]] = (int32_t)i;
    ordered(&o, NULL, sc->d, y);
    golden_i32(g, "keep", o.keep, o.n_kept);
    golden_i32(g, "map", row, sc->n);
    golden_f32(g, "x", y, n_out * d, ONE_STEP);
    golden_f32(g, "cls_attention", sc->score_out, sc->n, ONE_STEP);
    golden_f32(g, "ratio", &rate, 1, ONE_STEP);
    if (is_stable(g)) {
        authors_order(sc, &o, (int64_t)((double)sc->n * ratio), order);
        for (int64_t i = 0; i < o.n_kept; i++) idx[i] = o.keep[order[i]];
        ordered(&o, order, sc->d, y);
        golden_raw_i32(g, "idx", idx, o.n_kept);
        golden_raw_f32(g, "x", y, n_out * d, ONE_STEP);
    }
    pare__free(order);
    pare__free(idx);
    pare__free(row);
    pare__free(y);
    merged_free(&o);
}

/* Share of outliers: what the plain method keeps. */
static double outliers(golden *g, scene *sc, const char *options, pare__map *map)
{
    if (!golden_bool(g, "adaptive")) return golden_number(g, "ratio");
    if (golden_select(g, sc, PARE__SITE_OUTPUT, 1, "prumerge", options, -1, map)) return 0;
    return (double)(map->m.n_out - 1) / (double)sc->n;
}

static void run_one_prumerge(golden *g, const char *name)
{
    scene sc;
    char options[160];
    pare__map map = {0};
    const pare_tensor *x = golden_in(g, "x");
    scene_blank(&sc, 1, 1, x ? (int32_t)x->shape[0] : 1, x ? (int32_t)x->shape[1] : 1, 1, 1);
    golden_read(g, "x", sc.token, sc.n * sc.d);
    add_array(g, &sc, "q", PARE__ARRAY_Q, N_LAYER - 1, 1);
    add_array(g, &sc, "k", PARE__ARRAY_K, N_LAYER - 1, 1);
    snprintf(options, sizeof options, "iqr=%.17g:neighbours=%lld", golden_number(g, "iqr"),
             (long long)golden_int(g, "neighbours"));
    if (!golden_bool(g, "adaptive"))
        snprintf(options + strlen(options), sizeof options - strlen(options), ":ratio=%.17g",
                 golden_number(g, "ratio"));
    const double ratio = g->err.code ? 0 : outliers(g, &sc, options, &map);
    int rc = g->err.code ? g->err.code : golden_select(g, &sc, PARE__SITE_OUTPUT, 1, name, options, -1, &map);
    if (!rc && map.m.n_out - 1 != golden_int(g, "K")) /* the reference lost one in rounding */
        rc = golden_select(g, &sc, PARE__SITE_OUTPUT, 1, name, strcat(options, ":compat=1"), -1, &map);
    if (!rc) check_prumerge(g, &sc, &map.m, ratio);
    pare__map_fini(&map);
    scene_free(&sc);
}

static void run_prumerge(golden *g) { run_one_prumerge(g, "prumerge"); }
static void run_prumerge_plus(golden *g) { run_one_prumerge(g, "prumerge-plus"); }

const golden_group golden_hooks[] = {
    {"hiprune", run_hiprune},
    {"vscan", run_vscan},
    {"prumerge", run_prumerge},
    {"prumerge_plus", run_prumerge_plus},
    {NULL, NULL},
};
