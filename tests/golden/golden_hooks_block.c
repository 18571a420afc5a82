/* SPDX-License-Identifier: MIT */
/* Groups flowcut, flowcut_encoder, mctf, ats: methods that bend a hook inside the blocks. Fixtures count the class token
 * as row 0; views do not. */
#include <stdio.h>
#include <string.h>

#include "encode/encoder.h"
#include "golden_bend.h"

enum { HERE = 3 }; /* block of a scene's view */

static int is_stable(const golden *g)
{
    const char *stable = json_string_value(json_object_get(g->file->meta, "perturb_5e-7"));
    return stable && strcmp(stable, "differs");
}

/* in.cls_attention_heads [h, 1 + n] as the mean over heads of the candidates. */
static void add_attention(golden *g, scene *sc)
{
    const pare_tensor *t = golden_in(g, "cls_attention_heads");
    const int64_t heads = t ? t->shape[0] : 1, n = sc->n + 1;
    float *all = PARE__NEW(float, heads *n);
    float *row = (float *)(uintptr_t)scene_add(sc, PARE__ARRAY_CLS_ROW, HERE, 1, 0)->data;
    golden_read(g, "cls_attention_heads", all, heads * n);
    for (int64_t i = 0; i < sc->n; i++) {
        double sum = 0;
        for (int64_t h = 0; h < heads; h++) sum += (double)all[h * n + 1 + i];
        row[i] = (float)(sum / (double)heads);
    }
    pare__free(all);
}

/* in.v [h, 1 + n, head_dim] as [n, h * head_dim] with the class token's row apart. */
static void add_values(golden *g, scene *sc)
{
    const pare_tensor *t = golden_in(g, "v");
    if (!t || t->n_dim != 3) return;
    const int64_t heads = t->shape[0], n = t->shape[1], wide = t->shape[2];
    float *all = PARE__NEW(float, heads *n *wide);
    const pare__view_array *a = scene_add(sc, PARE__ARRAY_V, HERE, (int32_t)(heads * wide), 1);
    golden_read(g, "v", all, heads * n * wide);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < n; i++) {
            float *to = (float *)(uintptr_t)(i ? a->data + (i - 1) * heads * wide : a->prefix);
            memcpy(to + h * wide, all + (h * n + i) * wide, (size_t)wide * sizeof *to);
        }
    sc->n_head = (int32_t)heads;
    pare__free(all);
}

static int open_values(golden *g, scene *sc, int32_t d)
{
    const pare_tensor *t = golden_in(g, "v");
    const int32_t n = t && t->n_dim == 3 && t->shape[1] > 1 ? (int32_t)t->shape[1] - 1 : 1;
    scene_blank(sc, 1, 1, n, d, 1, 1);
    add_attention(g, sc);
    add_values(g, sc);
    return g->err.code;
}

/* ---- flowcut ------------------------------------------------------------------------------------------------------- */

static void check_flow(golden *g, const scene *sc, const pare_map *map, const float *before)
{
    const int64_t to_come = golden_int(g, "rpl");
    const int32_t cut = (int32_t)(to_come ? map->n_in - map->n_out : map->n_in + 1); /* the last cut has no number */
    float *score = PARE__NEW(float, sc->n + 1);
    for (int64_t i = 0; i < sc->n; i++) score[i] = before ? 2 * sc->state[i] - before[i] : sc->state[i];
    golden_pruned(g, sc, map);
    golden_f32(g, "cumulative", sc->state, sc->n, ONE_STEP);
    golden_f32(g, "score", score, sc->n, ONE_STEP);
    golden_i32(g, "prune_num", &cut, 1);
    if (is_stable(g)) golden_raw_i32(g, "keep", map->anchor, map->n_out);
    pare__free(score);
}

static void run_flowcut(golden *g)
{
    scene sc;
    scene_view look;
    step s = {NULL, NULL};
    pare__map map = {0};
    int rc = open_values(g, &sc, 1);
    const int has_past = pare__tensors_find(g->file, "in.prev_cumulative") != NULL;
    float *before = PARE__NEW(float, sc.n + 1);
    if (!rc && has_past) golden_read(g, "prev_cumulative", before, sc.n);
    memcpy(sc.state, before, (size_t)sc.n * sizeof *before);
    if (!rc) rc = step_open(&s, "flowcut", "", &g->err);
    if (!rc) {
        scene_look(&sc, PARE__SITE_BLOCK, 0, 1, 1, &look);
        look.view.i_block = has_past;
        look.view.n_block = has_past + 1 + (int32_t)golden_int(g, "rpl");
        look.view.k_final = golden_int(g, "target_incl_cls") - 1;
        look.view.k = golden_int(g, "rpl") ? -1 : look.view.k_final;
        rc = step_run(&s, &sc, &look.view, &map, &g->err);
    }
    if (!rc) check_flow(g, &sc, &map.m, has_past ? before : NULL);
    step_close(&s);
    pare__map_fini(&map);
    pare__free(before);
    scene_free(&sc);
}

/* ---- flowcut in a whole encoder ------------------------------------------------------------------------------------ */

typedef struct flow {
    golden *g;
    step step;
    pare__arena arena;
    int32_t n_block, n_head;
    int64_t target;          /* class token included */
    int64_t n;               /* patches at first */
    int32_t *left;           /* [n] places of those that are left */
    int32_t *before, *after; /* [n_block] rows, class token included */
    float *final;            /* [target, width] tokens after the last cut, first channels */
    int64_t width;
} flow;

static const float *capture_of(const pare__pack *p, int32_t block, uint32_t what, int32_t *width)
{
    for (int32_t i = 0; i < p->n_capture; i++)
        if (p->capture[i].block == block && p->capture[i].what == what) {
            *width = p->capture[i].width;
            return p->capture[i].data;
        }
    return NULL;
}

static void keep_final(flow *f, const pare__pack *p, const pare_map *map)
{
    const size_t bytes = (size_t)f->width * sizeof *f->final;
    for (int64_t r = 0; r < p->n_prefix; r++) memcpy(f->final + r * f->width, p->x + r * p->d, bytes);
    for (int64_t r = 0; r < map->n_out && p->n_prefix + r < f->target; r++)
        memcpy(f->final + (p->n_prefix + r) * f->width, p->x + (p->n_prefix + map->anchor[r]) * p->d, bytes);
}

static void flow_view(flow *f, const pare__pack *p, int32_t block, const int64_t start[2], pare__view_array arrays[2],
                      pare__view *v)
{
    const int32_t prefix = p->n_prefix, is_last = block == f->n_block - 1;
    const uint32_t what[2] = {PARE__WANT_CLS_ROW, PARE__WANT_V};
    const pare__array kind[2] = {PARE__ARRAY_CLS_ROW, PARE__ARRAY_V};
    for (int i = 0; i < 2; i++) {
        arrays[i] = (pare__view_array){.need = {kind[i], block}};
        arrays[i].prefix = capture_of(p, block, what[i], &arrays[i].width);
        arrays[i].data = arrays[i].prefix ? arrays[i].prefix + (int64_t)prefix * arrays[i].width : NULL;
    }
    *v = (pare__view){.site = PARE__SITE_BLOCK,
                      .block = block,
                      .n_block = f->n_block,
                      .i_block = block,
                      .n = start[1],
                      .d = p->d,
                      .n_head = f->n_head,
                      .n_frame = 1,
                      .frame_start = start,
                      .grid_h = 1,
                      .grid_w = (int32_t)f->n,
                      .n_prefix = prefix,
                      .thw = p->thw + 3 * prefix,
                      .size = p->size + prefix,
                      .k = is_last ? f->target - 1 : -1,
                      .k_final = f->target - 1,
                      .array = arrays,
                      .n_array = 2,
                      .n_layer = f->n_block,
                      .state = p->state[0] + prefix,
                      .arena = &f->arena,
                      .gemm = &pare__gemm_c,
                      .vec = pare__vec_best()};
}

static int on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                   pare_error *err)
{
    (void)phase;
    flow *f = user;
    pare__view v;
    pare__view_array arrays[2];
    const int64_t n = p->n_unit - p->n_prefix, start[2] = {0, n};
    float *score = PARE__NEW(float, n + 1);
    flow_view(f, p, block, start, arrays, &v);
    v.score_out = score;
    pare__map_begin(map, n);
    int rc = f->step.sel->select(f->step.priv, &v, map, err);
    if (!rc) rc = pare__map_finish(map, v.size, 1, err);
    pare__free(score);
    if (rc) return rc;
    for (int64_t r = 0; r < map->m.n_out; r++) f->left[r] = f->left[map->m.anchor[r]];
    f->before[block] = (int32_t)(1 + n);
    f->after[block] = (int32_t)(1 + map->m.n_out);
    n_out[0] = map->m.n_out;
    if (block == f->n_block - 1) keep_final(f, p, &map->m);
    return 1;
}

static void check_encoder(void *user, const pare__pack *p)
{
    (void)p;
    flow *f = user;
    const int64_t kept = f->after[f->n_block - 1] - 1;
    int32_t *row = PARE__NEW(int32_t, f->n + 1);
    for (int64_t i = 0; i < f->n; i++) row[i] = -1;
    for (int64_t r = 0; r < kept; r++) row[f->left[r]] = (int32_t)r;
    golden_i32(f->g, "counts_before", f->before, f->n_block);
    golden_i32(f->g, "counts_after", f->after, f->n_block);
    golden_i32(f->g, "keep", f->left, kept);
    golden_i32(f->g, "map", row, f->n);
    golden_f32(f->g, "final_tokens", f->final, f->target * f->width, WHOLE_ENCODER);
    pare__free(row);
}

static void run_model(golden *g, const pare_model *m)
{
    const pare_tensor *embed = golden_in(g, "embed"), *last = pare__tensors_find(g->file, "out.final_tokens");
    flow f = {.g = g, .n_block = (int32_t)golden_int(g, "select_layer"), .target = golden_int(g, "target")};
    if (!embed || !last || g->err.code || f.n_block > m->hp.n_layer) {
        golden_fail(g, "no tokens, or more blocks than the model has");
        return;
    }
    const int64_t rows = embed->shape[0];
    float *x = PARE__NEW(float, rows * embed->shape[1]);
    f.n = rows - 1;
    f.n_head = m->hp.n_head;
    f.width = last->shape[1];
    f.left = PARE__NEW(int32_t, rows);
    f.before = PARE__NEW(int32_t, f.n_block + 1);
    f.after = PARE__NEW(int32_t, f.n_block + 1);
    f.final = PARE__NEW(float, f.target *f.width);
    golden_read(g, "embed", x, rows * embed->shape[1]);
    for (int64_t i = 0; i < f.n; i++) f.left[i] = (int32_t)i;
    if (!g->err.code && !step_open(&f.step, "flowcut", "", &g->err)) {
        const pare__segment seg = {.tokens = x, .grid_h = 1, .grid_w = (int32_t)f.n, .n = f.n};
        pare__encode_plan plan = {.on_site = on_site, .user = &f, .state_width = {1}};
        golden_encode(g, m, &seg, &plan, f.n_block, PARE__WANT_CLS_ROW | PARE__WANT_V, PARE__PHASE_POST, check_encoder);
    }
    step_close(&f.step);
    pare__arena_fini(&f.arena);
    pare__free(x);
    pare__free(f.left);
    pare__free(f.before);
    pare__free(f.after);
    pare__free(f.final);
}

static void run_flowcut_encoder(golden *g) { golden_with_model(g, run_model); }

/* ---- mctf ---------------------------------------------------------------------------------------------------------- */

/* The attention that the reference goes on with: rows are averaged like the tokens, columns added up. */
static void check_attention(golden *g, const whole_rows *w, int32_t prefix, const pare_map *map)
{
    const int64_t n = w->n, n_out = w->n_out;
    float *all = PARE__NEW(float, n *n), *next = PARE__NEW(float, n_out *n_out);
    double *row = PARE__NEW(double, n_out);
    golden_read(g, "attention_mean_heads", all, n * n);
    for (int64_t r = 0; r < n_out; r++) {
        const int64_t m = r - prefix, first = m < 0 ? 0 : map->row_start[m], last = m < 0 ? 1 : map->row_start[m + 1];
        memset(row, 0, (size_t)n_out * sizeof *row);
        for (int64_t i = first; i < last; i++) {
            const int64_t token = m < 0 ? r : prefix + map->index[i];
            const double weight = m < 0 ? 1 : (double)map->weight[i];
            for (int64_t j = 0; j < n; j++) row[w->map[j]] += weight * (double)all[token * n + j];
        }
        for (int64_t j = 0; j < n_out; j++) next[r * n_out + j] = (float)row[j];
    }
    golden_f32(g, "next_attention_mean_heads", next, n_out * n_out, ONE_STEP);
    pare__free(all);
    pare__free(next);
    pare__free(row);
}

static void check_fused(golden *g, const whole_rows *w)
{
    golden_i32(g, "map", w->map, w->n);
    golden_f32(g, "size", w->size, w->n_out, ONE_STEP);
    golden_f32(g, "x", w->x, w->n_out * w->d, ONE_STEP);
    if (!is_stable(g)) return;
    golden_raw_i32(g, "map", w->map, w->n);
    golden_raw_f32(g, "size", w->size, w->n_out, ONE_STEP);
    golden_raw_f32(g, "x", w->x, w->n_out * w->d, ONE_STEP);
}

static void run_mctf(golden *g)
{
    scene sc;
    whole_rows w;
    char options[256];
    pare__map map = {0};
    const int32_t prefix = (int32_t)golden_int(g, "protected");
    if (bend_open(g, &sc, prefix, 0, 0)) return;
    float *all = PARE__NEW(float, prefix + sc.n);
    golden_read(g, "attention_column_mean", all, prefix + sc.n);
    memcpy((float *)(uintptr_t)scene_add(&sc, PARE__ARRAY_COL_MEAN, HERE, 1, 0)->data, all + prefix,
           (size_t)sc.n * sizeof *all);
    snprintf(options, sizeof options, "r=%lld:tau_sim=%.17g:tau_info=%.17g:tau_size=%.17g:bidirection=%d:pooling=%lld",
             (long long)golden_int(g, "r"), golden_number(g, "tau_sim"), golden_number(g, "tau_info"),
             golden_number(g, "tau_size"), golden_bool(g, "bidirection"), (long long)golden_int(g, "pooling"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, prefix, "mctf", options, -1, &map)) {
        bend_rows(&w, g, &sc, prefix, &map.m);
        check_fused(g, &w);
        check_attention(g, &w, prefix, &map.m);
        bend_free(&w);
    }
    pare__free(all);
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- ats ----------------------------------------------------------------------------------------------------------- */

/* Tokens by rising significance, and what the sampling saw of them. */
static void check_significance(golden *g, const scene *sc, int32_t *order)
{
    pare__arena arena = {0};
    float *score = PARE__ARENA(&arena, float, sc->n), *sorted = PARE__ARENA(&arena, float, sc->n);
    double sum = 0;
    for (int64_t i = 0; i < sc->n; i++) {
        sum += (double)sc->score_out[i];
        score[i] = -sc->score_out[i];
    }
    pare__argsort_desc(score, sc->n, order, &arena);
    for (int64_t i = 0; i < sc->n; i++) sorted[i] = (float)((double)sc->score_out[order[i]] / sum);
    golden_i32(g, "sorted_indices", order, sc->n);
    golden_f32(g, "sorted_scores", sorted, sc->n, ONE_STEP);
    pare__arena_fini(&arena);
}

/* The authors' rows: the class token, the samples by rising significance, zeros up to n. */
static void check_padded(golden *g, const whole_rows *w, const int32_t *order)
{
    const int64_t n = golden_int(g, "n_tokens"), d = w->d;
    int32_t *ids = PARE__NEW(int32_t, w->n + n), count = (int32_t)w->n_out;
    float *policy = PARE__NEW(float, w->n + n), *x = PARE__NEW(float, (w->n + n) * d);
    int64_t m = 0;
    for (int64_t r = -1; r < w->n - 1; r++) {
        const int32_t token = r < 0 ? 0 : 1 + order[r];
        if (w->map[token] < 0) continue;
        ids[m] = token;
        policy[m] = 1;
        memcpy(x + m++ * d, w->x + (int64_t)w->map[token] * d, (size_t)d * sizeof *x);
    }
    golden_i32(g, "count", &count, 1);
    golden_raw_i32(g, "ids_authors_order", ids, n);
    golden_raw_f32(g, "policy", policy, n, 0, 0);
    golden_raw_f32(g, "x", x, n * d, ONE_STEP);
    golden_raw_i32(g, "keep", w->pos, w->n_out);
    pare__free(ids);
    pare__free(policy);
    pare__free(x);
}

static void run_ats(golden *g)
{
    scene sc;
    whole_rows w;
    char options[64];
    pare__map map = {0};
    if (bend_open(g, &sc, 1, 0, 0)) return;
    add_attention(g, &sc);
    add_values(g, &sc);
    snprintf(options, sizeof options, "n=%lld", (long long)golden_int(g, "n_ref_tokens"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, 1, "ats", options, -1, &map)) {
        int32_t *order = PARE__NEW(int32_t, sc.n + 1);
        bend_rows(&w, g, &sc, 1, &map.m);
        golden_i32(g, "keep", w.pos, w.n_out);
        golden_i32(g, "map", w.map, w.n);
        golden_f32(g, "x", w.x, w.n_out * w.d, ONE_STEP);
        check_significance(g, &sc, order);
        if (is_stable(g)) check_padded(g, &w, order);
        pare__free(order);
        bend_free(&w);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

const golden_group golden_hooks_block[] = {
    {"flowcut", run_flowcut},
    {"flowcut_encoder", run_flowcut_encoder},
    {"mctf", run_mctf},
    {"ats", run_ats},
    {NULL, NULL},
};
