/* SPDX-License-Identifier: MIT */
/* Groups tome and tome_encoder. */
#include <stdio.h>
#include <string.h>

#include "encode/encoder.h"
#include "golden.h"

/* ---- one merge step ------------------------------------------------------------------------------------------------ */

/* All rows of a segment, prefix rows first, as the reference counts them. */
typedef struct merged {
    int64_t n, n_out;
    int32_t *map, *pos; /* [n] row of every token, [n_out] token of every row */
    float *size, *x;    /* [n_out], [n_out, d] */
} merged;

static void merged_make(merged *m, golden *g, const scene *sc, int32_t prefix, const pare_map *map)
{
    const int64_t d = sc->d, n_in = prefix + map->n_in;
    *m = (merged){.n = n_in,
                  .n_out = prefix + map->n_out,
                  .map = PARE__NEW(int32_t, n_in),
                  .pos = PARE__NEW(int32_t, n_in),
                  .size = PARE__NEW(float, n_in),
                  .x = PARE__NEW(float, n_in *d)};
    float *size = PARE__NEW(float, n_in), *x = PARE__NEW(float, n_in *d);
    golden_read(g, "x", x, n_in * d);
    for (int64_t i = 0; i < n_in; i++) size[i] = 1;
    if (pare__tensors_find(g->file, "in.size")) golden_read(g, "size", size, n_in);
    golden_rows(map, m->map + prefix);
    for (int64_t i = prefix; i < n_in; i++) m->map[i] += m->map[i] < 0 ? 0 : prefix;
    for (int32_t i = 0; i < prefix; i++) {
        m->map[i] = m->pos[i] = i;
        m->size[i] = size[i];
        memcpy(m->x + i * d, x + i * d, (size_t)d * sizeof *x);
    }
    for (int64_t r = 0; r < map->n_out; r++) {
        m->pos[prefix + r] = prefix + map->anchor[r];
        m->size[prefix + r] = map->size[r];
    }
    pare__map_apply(map, sc->token, d, m->x + prefix * d);
    pare__free(size);
    pare__free(x);
}

static void merged_free(merged *m)
{
    pare__free(m->map);
    pare__free(m->pos);
    pare__free(m->size);
    pare__free(m->x);
}

/* Rows in the order of their tokens. */
static void merged_sort(const merged *from, int64_t d, merged *to)
{
    pare__arena arena = {0};
    int32_t *order = PARE__ARENA(&arena, int32_t, from->n_out), *place = PARE__ARENA(&arena, int32_t, from->n_out);
    pare__argsort_i32(from->pos, from->n_out, order, &arena);
    *to = (merged){.n = from->n,
                   .n_out = from->n_out,
                   .map = PARE__NEW(int32_t, from->n),
                   .pos = PARE__NEW(int32_t, from->n),
                   .size = PARE__NEW(float, from->n),
                   .x = PARE__NEW(float, from->n *d)};
    for (int64_t r = 0; r < to->n_out; r++) {
        place[order[r]] = (int32_t)r;
        to->pos[r] = from->pos[order[r]];
        to->size[r] = from->size[order[r]];
        memcpy(to->x + r * d, from->x + order[r] * d, (size_t)d * sizeof(float));
    }
    for (int64_t i = 0; i < to->n; i++) to->map[i] = from->map[i] < 0 ? -1 : place[from->map[i]];
    pare__arena_fini(&arena);
}

static void check_merged(golden *g, const merged *m, int64_t d)
{
    golden_i32(g, "map", m->map, m->n);
    golden_i32(g, "pos", m->pos, m->n_out);
    golden_f32(g, "size", m->size, m->n_out, ONE_STEP);
    golden_f32(g, "x", m->x, m->n_out * d, ONE_STEP);
}

/* The authors' order is ours where a class token keeps their unmerged rows sorted. Where scores tie their sort is free
 * to differ, and only the canonical tensors bind. */
static void check_raw(golden *g, const merged *m, int64_t d)
{
    const char *stable = json_string_value(json_object_get(g->file->meta, "perturb_5e-7"));
    if (!stable || strcmp(stable, "same")) return;
    golden_raw_i32(g, "map", m->map, m->n);
    golden_raw_f32(g, "size", m->size, m->n_out, ONE_STEP);
    golden_raw_f32(g, "x", m->x, m->n_out * d, ONE_STEP);
}

static void read_rows(golden *g, const char *name, int32_t prefix, float *to, int64_t n, int64_t width)
{
    float *all = PARE__NEW(float, (prefix + n) * width);
    golden_read(g, name, all, (prefix + n) * width);
    memcpy(to, all + prefix * width, (size_t)(n * width) * sizeof *to);
    pare__free(all);
}

static void merge_step(golden *g, int32_t prefix, const char *options, int raw_too)
{
    scene sc;
    merged in_order, sorted;
    pare__map map = {0};
    const pare_tensor *x = golden_in(g, "x");
    const pare_tensor *metric = golden_in(g, "metric");
    if (!x || !metric || x->shape[1] != metric->shape[1]) {
        golden_fail(g, "in.x and in.metric differ in shape");
        return;
    }
    scene_blank(&sc, 1, 1, (int32_t)x->shape[0] - prefix, (int32_t)x->shape[1], 1, 1);
    read_rows(g, "x", prefix, sc.token, sc.n, sc.d);
    read_rows(g, "metric", prefix, sc.k_mean, sc.n, sc.d);
    if (pare__tensors_find(g->file, "in.size")) read_rows(g, "size", prefix, sc.size, sc.n, 1);
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, prefix, "tome", options, -1, &map)) {
        merged_make(&in_order, g, &sc, prefix, &map.m);
        merged_sort(&in_order, sc.d, &sorted);
        check_merged(g, g->canonical ? &sorted : &in_order, sc.d);
        if (raw_too && g->canonical) check_raw(g, &in_order, sc.d);
        merged_free(&in_order);
        merged_free(&sorted);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* parse_r: an integer, (r, inflect), or a list; out.NAME.LAYERS */
static void check_schedule(golden *g, const char *name, const char *options)
{
    step s;
    const int rc = step_open(&s, "tome", options, &g->err);
    for (int64_t i = 0; !rc && i < g->file->n; i++) {
        const char *full = g->file->t[i].name;
        const size_t length = strlen(name);
        if (strncmp(full, "out.", 4) || strncmp(full + 4, name, length) || strncmp(full + 4 + length, ".L", 2))
            continue;
        const int32_t n_block = atoi(full + 4 + length + 2);
        int32_t *r = PARE__NEW(int32_t, n_block + 1);
        for (int32_t b = 0; b < n_block; b++)
            r[b] = (int32_t)(60000 - s.sel->amount(s.priv, 60000, 1, 60000, b, n_block));
        golden_raw_i32(g, full + 4, r, n_block);
        pare__free(r);
    }
    step_close(&s);
}

static void list_options(const json_t *list, char *out, size_t size)
{
    const double second = json_number_value(json_array_get(list, 1));
    size_t used = 0;
    if (json_array_size(list) == 2 && second >= -1 && second <= 1) {
        snprintf(out, size, "r=%lld:inflect=%.17g", (long long)json_integer_value(json_array_get(list, 0)), second);
        return;
    }
    for (size_t i = 0; i < json_array_size(list) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld",
                                 i ? "/" : "list=", (long long)json_integer_value(json_array_get(list, i)));
}

static void r_options(const json_t *r, char *out, size_t size)
{
    if (json_is_array(r))
        list_options(r, out, size);
    else
        snprintf(out, size, "r=%lld", (long long)json_integer_value(r));
}

static void run_schedules(golden *g)
{
    const char *name;
    json_t *r;
    json_object_foreach(json_object_get(g->params, "names"), name, r)
    {
        char options[128];
        r_options(r, options, sizeof options);
        check_schedule(g, name, options);
    }
}

static void run_tome(golden *g)
{
    char options[64];
    if (json_object_get(g->params, "names")) {
        run_schedules(g);
    } else if (json_object_get(g->params, "k")) {
        snprintf(options, sizeof options, "kth=%lld:compat=1", (long long)golden_int(g, "k"));
        merge_step(g, 0, options, 0);
    } else {
        const int has_class = golden_bool(g, "class_token");
        snprintf(options, sizeof options, "r=%lld", (long long)golden_int(g, "r"));
        merge_step(g, has_class + golden_bool(g, "distill_token"), options, has_class);
    }
}

/* ---- a whole encoder ----------------------------------------------------------------------------------------------- */

typedef struct whole {
    golden *g;
    step step;
    scene sc; /* lends its arena */
    int32_t n_block;
    int32_t *row; /* [n] row of every original token now */
    int64_t n;
    int32_t *layer_map; /* [n_block, n] */
    pare_error *err;
} whole;

static const float *keys_of(const pare__pack *p, int32_t block, int32_t *width)
{
    for (int32_t i = 0; i < p->n_capture; i++) {
        if (p->capture[i].block != block || p->capture[i].what != PARE__WANT_K_MEAN) continue;
        *width = p->capture[i].width;
        return p->capture[i].data + (int64_t)p->n_prefix * p->capture[i].width;
    }
    return NULL;
}

/* Follows every original token into its new row. */
static void follow(whole *w, int32_t block, int32_t prefix, const pare_map *map)
{
    int32_t *now = PARE__NEW(int32_t, map->n_in + 1);
    golden_rows(map, now);
    for (int64_t i = 0; i < w->n; i++)
        if (w->row[i] >= prefix) w->row[i] = prefix + now[w->row[i] - prefix];
    memcpy(w->layer_map + block * w->n, w->row, (size_t)w->n * sizeof *w->row);
    pare__free(now);
}

static int on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                   pare_error *err)
{
    (void)phase;
    whole *w = user;
    const int64_t n = p->n - p->n_prefix, start[2] = {0, n};
    pare__view_array keys = {.need = {PARE__ARRAY_K_MEAN, block}};
    keys.data = keys_of(p, block, &keys.width);
    const pare__view v = {.site = PARE__SITE_BLOCK,
                          .block = block,
                          .n_block = w->n_block,
                          .i_block = block,
                          .n = n,
                          .d = p->d,
                          .n_frame = 1,
                          .frame_start = start,
                          .grid_h = 1,
                          .grid_w = (int32_t)n,
                          .n_prefix = p->n_prefix,
                          .thw = p->thw + 3 * p->n_prefix,
                          .size = p->size + p->n_prefix,
                          .k = w->step.sel->amount(w->step.priv, n, 1, (int32_t)n, block, w->n_block),
                          .array = &keys,
                          .n_array = 1,
                          .n_layer = w->n_block,
                          .arena = &w->sc.arena,
                          .gemm = &pare__gemm_c,
                          .vec = pare__vec_best()};
    pare__map_begin(map, n);
    int rc = w->step.sel->select(w->step.priv, &v, map, err);
    if (!rc) rc = pare__map_finish(map, v.size, 0, err);
    if (!rc) rc = pare__map_check(&map->m, PARE__MAP_PARTITION, err);
    if (rc) return rc;
    n_out[0] = map->m.n_out;
    follow(w, block, p->n_prefix, &map->m);
    return 1;
}

static void check_whole(void *user, const pare__pack *p)
{
    whole *w = user;
    golden *g = w->g;
    golden_i32(g, "layer_map", w->layer_map, w->n_block * w->n);
    golden_i32(g, "map", w->row, w->n);
    golden_f32(g, "size", p->size, p->n, 0, 0);
    golden_cosine(g, "cls", p->x, p->d, 0.9999);
    golden_f32(g, "tokens", p->x, p->n * p->d, WHOLE_ENCODER);
}

static void run_model(golden *g, const pare_model *m)
{
    char options[256] = "";
    const pare_tensor *rgb = golden_in(g, "pixels");
    const pare__segment seg = {.rgb = {rgb ? rgb->data : NULL},
                               .grid_h = (int32_t)golden_int_at(g, "grid", 0),
                               .grid_w = (int32_t)golden_int_at(g, "grid", 1),
                               .n = golden_int_at(g, "grid", 0) * golden_int_at(g, "grid", 1)};
    whole w = {.g = g, .n_block = m->hp.n_layer, .n = m->hp.n_prefix + seg.n};
    w.row = PARE__NEW(int32_t, w.n);
    w.layer_map = PARE__NEW(int32_t, w.n * w.n_block);
    for (int64_t i = 0; i < w.n; i++) w.row[i] = (int32_t)i;
    r_options(json_object_get(g->params, "r"), options, sizeof options);
    strcat(options, golden_bool(g, "prop_attn") ? ":prop_attn=1" : ":prop_attn=0");
    if (!g->err.code && !step_open(&w.step, "tome", options, &g->err)) {
        pare__encode_plan plan = {.on_site = on_site, .user = &w, .unbiased = w.step.sel->unbiased(w.step.priv)};
        golden_encode(g, m, &seg, &plan, w.n_block, PARE__WANT_K_MEAN, PARE__PHASE_MID, check_whole);
    }
    step_close(&w.step);
    pare__arena_fini(&w.sc.arena);
    pare__free(w.row);
    pare__free(w.layer_map);
}

static void run_tome_encoder(golden *g) { golden_with_model(g, run_model); }

const golden_group golden_merge[] = {
    {"tome", run_tome},
    {"tome_encoder", run_tome_encoder},
    {NULL, NULL},
};
