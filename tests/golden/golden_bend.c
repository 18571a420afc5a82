/* SPDX-License-Identifier: MIT */
/* Groups visionzip, pitome, tofu, evit, diffrate, mustdrop: methods that merge by rules of their own. Fixtures count the
 * class token as row 0; views do not. Rows in the authors' order are brought there through their map. */
#include <stdio.h>
#include <string.h>

#include "golden_bend.h"

/* ---- all rows of a segment ----------------------------------------------------------------------------------------- */

static void copy_rows(golden *g, const char *name, int32_t prefix, float *to, int64_t n, int64_t width)
{
    float *all = PARE__NEW(float, (prefix + n) * width + 1);
    golden_read(g, name, all, (prefix + n) * width);
    memcpy(to, all + prefix * width, (size_t)(n * width) * sizeof *to);
    pare__free(all);
}

int bend_open(golden *g, scene *sc, int32_t prefix, int32_t grid_h, int32_t grid_w)
{
    const pare_tensor *x = golden_in(g, "x");
    if (!x || x->n_dim != 2 || x->shape[0] <= prefix) return golden_fail(g, "in.x has no tokens");
    if (!grid_h) grid_w = (int32_t)x->shape[0] - prefix, grid_h = 1;
    scene_blank(sc, 1, grid_h, grid_w, (int32_t)x->shape[1], 1, 1);
    copy_rows(g, "x", prefix, sc->token, sc->n, sc->d);
    if (pare__tensors_find(g->file, "in.size")) copy_rows(g, "size", prefix, sc->size, sc->n, 1);
    return g->err.code;
}

/* Keys of a width of their own. */
static void add_keys(golden *g, scene *sc, int32_t prefix, int32_t layer)
{
    const pare_tensor *metric = golden_in(g, "metric");
    if (!metric || metric->n_dim != 2) return;
    pare__view_array *a = scene_add(sc, PARE__ARRAY_K_MEAN, layer, (int32_t)metric->shape[1], 0);
    copy_rows(g, "metric", prefix, (float *)(uintptr_t)a->data, sc->n, a->width);
}

static void whole_make(whole_rows *w, int64_t n_in, int64_t n_out, int64_t d)
{
    *w = (whole_rows){.n = n_in,
                      .n_out = n_out,
                      .d = d,
                      .map = PARE__NEW(int32_t, n_in + 1),
                      .pos = PARE__NEW(int32_t, n_out + 1),
                      .size = PARE__NEW(float, n_out + 1),
                      .x = PARE__NEW(float, n_out *d + 1)};
}

void bend_rows(whole_rows *w, golden *g, const scene *sc, int32_t prefix, const pare_map *map)
{
    const int64_t d = sc->d, n_in = prefix + map->n_in;
    float *size = PARE__NEW(float, n_in + 1), *x = PARE__NEW(float, n_in *d);
    whole_make(w, n_in, prefix + map->n_out, d);
    golden_read(g, "x", x, n_in * d);
    for (int64_t i = 0; i < n_in; i++) size[i] = 1;
    if (pare__tensors_find(g->file, "in.size")) golden_read(g, "size", size, n_in);
    golden_rows(map, w->map + prefix);
    for (int64_t i = prefix; i < n_in; i++) w->map[i] += w->map[i] < 0 ? 0 : prefix;
    for (int32_t i = 0; i < prefix; i++) {
        w->map[i] = w->pos[i] = i;
        w->size[i] = size[i];
    }
    memcpy(w->x, x, (size_t)(prefix * d) * sizeof *x);
    for (int64_t r = 0; r < map->n_out; r++) {
        w->pos[prefix + r] = prefix + map->anchor[r];
        w->size[prefix + r] = map->size[r];
    }
    pare__map_apply(map, sc->token, d, w->x + prefix * d);
    pare__free(size);
    pare__free(x);
}

void bend_free(whole_rows *w)
{
    pare__free(w->map);
    pare__free(w->pos);
    pare__free(w->size);
    pare__free(w->x);
}

void bend_permute(const whole_rows *from, const int32_t *order, whole_rows *to)
{
    const int64_t d = from->d;
    int32_t *place = PARE__NEW(int32_t, from->n_out + 1);
    whole_make(to, from->n, from->n_out, d);
    for (int64_t r = 0; r < from->n_out; r++) {
        place[order[r]] = (int32_t)r;
        to->pos[r] = from->pos[order[r]];
        to->size[r] = from->size[order[r]];
        memcpy(to->x + r * d, from->x + order[r] * d, (size_t)d * sizeof *to->x);
    }
    for (int64_t i = 0; i < to->n; i++) to->map[i] = from->map[i] < 0 ? -1 : place[from->map[i]];
    pare__free(place);
}

void bend_by_key(const whole_rows *from, const int32_t *key, whole_rows *to)
{
    pare__arena arena = {0};
    int32_t *order = PARE__ARENA(&arena, int32_t, from->n_out);
    pare__argsort_i32(key, from->n_out, order, &arena);
    bend_permute(from, order, to);
    pare__arena_fini(&arena);
}

int32_t *bend_authors_order(golden *g, const float *theirs, const int32_t *ours, int64_t n, int64_t n_out)
{
    int32_t *order = PARE__NEW(int32_t, n_out + 1);
    uint8_t *seen = PARE__NEW(uint8_t, n_out + 1);
    for (int64_t i = 0; i < n; i++)
        if (ours[i] >= 0 && theirs[i] >= 0 && theirs[i] < (float)n_out) order[(int64_t)theirs[i]] = ours[i];
    for (int64_t r = 0; r < n_out; r++)
        if (seen[order[r]]++) golden_fail(g, "their row %lld is no row of ours", (long long)r);
    pare__free(seen);
    return order;
}

/* Choices are bound to repeat where small errors of the input do not change them. */
static int is_stable(const golden *g)
{
    const char *stable = json_string_value(json_object_get(g->file->meta, "perturb_5e-7"));
    return stable && strcmp(stable, "differs");
}

/* ---- visionzip ----------------------------------------------------------------------------------------------------- */

static void read_attention(golden *g, scene *sc)
{
    const pare_tensor *t = golden_in(g, "cls_attention_heads");
    const int64_t heads = t && t->n_dim == 2 ? t->shape[0] : 0;
    float *all = PARE__NEW(float, heads * sc->n + 1);
    golden_read(g, "cls_attention_heads", all, heads * sc->n);
    for (int64_t i = 0; i < sc->n; i++) {
        double sum = 0;
        for (int64_t h = 0; h < heads; h++) sum += (double)all[h * sc->n + i];
        sc->score[i] = (float)(sum / (double)heads);
    }
    pare__free(all);
}

/* Key that puts [class, dominant, contextual]; those that the score chose are dominant. */
static void zip_key(const scene *sc, const whole_rows *w, int64_t n_dominant, int32_t *key)
{
    pare__arena arena = {0};
    int32_t *best = PARE__ARENA(&arena, int32_t, sc->n);
    pare__topk(sc->score, sc->n, n_dominant, best, &arena);
    for (int64_t r = 0; r < w->n_out; r++) key[r] = (int32_t)(w->pos[r] + w->n);
    key[0] = 0;
    for (int64_t r = 1, next = 0; r < w->n_out && next < n_dominant; r++)
        if (w->pos[r] == best[next] + 1) {
            key[r] = w->pos[r];
            next++;
        }
    pare__arena_fini(&arena);
}

static void check_zip(golden *g, const whole_rows *w, int64_t n_dominant, int compat)
{
    const int64_t first = n_dominant + 1, n_contextual = w->n_out - first;
    if (compat) {
        golden_f32(g, "x", w->x, w->n_out * w->d, ONE_STEP);
        if (is_stable(g)) golden_raw_f32(g, "x", w->x, w->n_out * w->d, ONE_STEP);
        return;
    }
    int32_t *size = PARE__NEW(int32_t, w->n_out);
    for (int64_t r = 0; r < w->n_out; r++) size[r] = (int32_t)w->size[r];
    golden_i32(g, "dominant", w->pos, first);
    golden_i32(g, "contextual", w->pos + first, n_contextual);
    golden_i32(g, "map", w->map, w->n);
    golden_i32(g, "size", size, w->n_out);
    golden_f32(g, "mean_variant.contextual_x", w->x + first * w->d, n_contextual * w->d, ONE_STEP);
    pare__free(size);
}

static void zip_with(golden *g, scene *sc, int compat)
{
    pare__map map = {0};
    char options[96];
    const int64_t n_dominant = golden_int(g, "dominant");
    snprintf(options, sizeof options, "dominant=%lld:contextual=%lld:compat=%d", (long long)n_dominant,
             (long long)golden_int(g, "contextual"), compat);
    if (!g->err.code && !golden_select(g, sc, PARE__SITE_OUTPUT, 1, "visionzip", options, -1, &map)) {
        whole_rows raster, w;
        bend_rows(&raster, g, sc, 1, &map.m);
        int32_t *key = PARE__NEW(int32_t, raster.n_out);
        zip_key(sc, &raster, n_dominant, key);
        bend_by_key(&raster, key, &w);
        check_zip(g, &w, n_dominant, compat);
        bend_free(&raster);
        bend_free(&w);
        pare__free(key);
    }
    pare__map_fini(&map);
}

static void run_visionzip(golden *g)
{
    scene sc;
    if (bend_open(g, &sc, 1, 0, 0)) return;
    add_keys(g, &sc, 1, 10);
    read_attention(g, &sc);
    zip_with(g, &sc, 0);
    zip_with(g, &sc, 1);
    scene_free(&sc);
}

/* ---- pitome, tofu -------------------------------------------------------------------------------------------------- */

/* Order of the authors by out.map. */
static int32_t *authors_order(golden *g, const whole_rows *w)
{
    const pare_tensor *t = pare__tensors_find(g->file, "out.map");
    float *theirs = PARE__NEW(float, w->n + 1);
    if (!t || pare__tensor_count(t) != w->n)
        golden_fail(g, "out.map does not fit");
    else
        pare__tensor_f32(t, theirs);
    int32_t *order = bend_authors_order(g, theirs, w->map, w->n, w->n_out);
    pare__free(theirs);
    return order;
}

static void check_energy(golden *g, const scene *sc)
{
    float *energy = PARE__NEW(float, sc->n + 1);
    for (int64_t i = 0; i < sc->n; i++) energy[i] = -sc->score_out[i];
    golden_raw_f32(g, "energy", energy, sc->n, ONE_STEP);
    pare__free(energy);
}

static void check_pitome(golden *g, const scene *sc, int32_t prefix, const pare_map *map)
{
    whole_rows w, theirs;
    bend_rows(&w, g, sc, prefix, map);
    check_energy(g, sc);
    golden_i32(g, "map", w.map, w.n);
    golden_i32(g, "pos", w.pos, w.n_out);
    golden_f32(g, "size", w.size, w.n_out, ONE_STEP);
    golden_f32(g, "x", w.x, w.n_out * w.d, ONE_STEP);
    if (is_stable(g) && !g->err.code) {
        int32_t *order = authors_order(g, &w);
        bend_permute(&w, order, &theirs);
        golden_raw_i32(g, "map", theirs.map, w.n);
        golden_raw_f32(g, "size", theirs.size, w.n_out, ONE_STEP);
        golden_raw_f32(g, "x", theirs.x, w.n_out * w.d, ONE_STEP);
        bend_free(&theirs);
        pare__free(order);
    }
    bend_free(&w);
}

static void run_pitome(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[160];
    const int32_t prefix = golden_bool(g, "class_token");
    if (bend_open(g, &sc, prefix, 0, 0)) return;
    add_keys(g, &sc, prefix, PARE__LAYER_HERE);
    snprintf(options, sizeof options, "ratio=%.17g:margin=%.17g:alpha=%.17g:bsm=%d", golden_number(g, "ratio"),
             golden_number(g, "margin"), golden_number(g, "alpha"), golden_bool(g, "bsm_variant"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, prefix, "pitome", options, -1, &map)) {
        golden_agree(g, "r", map.m.n_in - map.m.n_out);
        check_pitome(g, &sc, prefix, &map.m);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* x or, without gains, the plain means under `name`, by position and in the order of the authors. */
static void check_fused(golden *g, const scene *sc, int32_t prefix, const pare_map *map, const char *name, int raw_too)
{
    whole_rows w, sorted;
    bend_rows(&w, g, sc, prefix, map);
    bend_by_key(&w, w.pos, &sorted);
    golden_i32(g, "map", sorted.map, w.n);
    golden_i32(g, "pos", sorted.pos, w.n_out);
    golden_f32(g, name, sorted.x, w.n_out * w.d, ONE_STEP);
    if (raw_too && is_stable(g) && !g->err.code) {
        int32_t *order = authors_order(g, &w);
        whole_rows theirs;
        bend_permute(&w, order, &theirs);
        golden_raw_i32(g, "map", theirs.map, w.n);
        golden_raw_f32(g, name, theirs.x, w.n_out * w.d, ONE_STEP);
        bend_free(&theirs);
        pare__free(order);
    }
    bend_free(&w);
    bend_free(&sorted);
}

static void check_tofu(golden *g, const scene *sc, int32_t prefix, const pare_map *map, int compat)
{
    pare_map plain = *map;
    plain.gain = NULL;
    check_fused(g, sc, prefix, map, compat ? "x" : "mlerp_x", compat);
    check_fused(g, sc, prefix, &plain, "mean_x", 1);
}

static void run_tofu(golden *g)
{
    scene sc;
    const int32_t prefix = golden_bool(g, "class_token");
    if (bend_open(g, &sc, prefix, 0, 0)) return;
    add_keys(g, &sc, prefix, PARE__LAYER_HERE);
    for (int compat = 0; compat < 2 && !g->err.code; compat++) {
        pare__map map = {0};
        char options[64];
        snprintf(options, sizeof options, "r=%lld:compat=%d", (long long)golden_int(g, "r"), compat);
        if (!golden_select(g, &sc, PARE__SITE_BLOCK, prefix, "tofu", options, -1, &map))
            check_tofu(g, &sc, prefix, &map.m, compat);
        pare__map_fini(&map);
    }
    scene_free(&sc);
}

/* ---- mustdrop ------------------------------------------------------------------------------------------------------ */

/* Order of the port: class token, merged windows by falling score, all others. */
static void check_port_order(golden *g, const scene *sc, const whole_rows *w)
{
    pare__arena arena = {0};
    int32_t *order = PARE__ARENA(&arena, int32_t, w->n_out);
    float *score = PARE__ARENA(&arena, float, w->n_out);
    whole_rows port;
    for (int64_t r = 0; r < w->n_out; r++)
        score[r] = r && w->size[r] > 1 ? -sc->score_out[w->pos[r] - 1] : r ? -3.0f : 3.0f;
    pare__argsort_desc(score, w->n_out, order, &arena);
    bend_permute(w, order, &port);
    golden_raw_f32(g, "size", port.size, w->n_out, ONE_STEP);
    golden_raw_f32(g, "x", port.x, w->n_out * w->d, ONE_STEP);
    bend_free(&port);
    pare__arena_fini(&arena);
}

static void check_mustdrop(golden *g, const scene *sc, const pare_map *map)
{
    whole_rows w;
    int32_t *row = PARE__NEW(int32_t, map->n_in), *size = PARE__NEW(int32_t, map->n_out);
    bend_rows(&w, g, sc, 1, map);
    golden_rows(map, row);
    for (int64_t r = 0; r < map->n_out; r++) size[r] = (int32_t)map->size[r];
    golden_i32(g, "map", row, map->n_in);
    golden_i32(g, "keep", map->anchor, map->n_out);
    golden_raw_i32(g, "keep", map->anchor, map->n_out);
    golden_i32(g, "size", size, map->n_out);
    golden_f32(g, "x", w.x + w.d, map->n_out * w.d, ONE_STEP);
    if (is_stable(g)) check_port_order(g, sc, &w);
    bend_free(&w);
    pare__free(row);
    pare__free(size);
}

static void run_mustdrop(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[128];
    if (bend_open(g, &sc, 1, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W"))) return;
    const long long window = golden_int(g, "window");
    if (json_is_integer(json_object_get(g->params, "K")))
        snprintf(options, sizeof options, "window=%lld:target=%lld:compat=1", window, (long long)golden_int(g, "K"));
    else
        snprintf(options, sizeof options, "window=%lld:threshold=%.17g", window, golden_number(g, "threshold"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "mustdrop", options, -1, &map)) {
        golden_agree(g, "r", (map.m.n_in - map.m.n_out) / (window * window - 1));
        check_mustdrop(g, &sc, &map.m);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

const golden_group golden_bend[] = {
    {"visionzip", run_visionzip}, {"pitome", run_pitome}, {"tofu", run_tofu}, {"mustdrop", run_mustdrop}, {NULL, NULL},
};
