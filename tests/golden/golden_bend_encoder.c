/* SPDX-License-Identifier: MIT */
/* Groups evit, diffrate and diffrate_encoder: methods that rank the tokens of a block by its CLS attention. */
#include <stdio.h>
#include <string.h>

#include "encode/encoder.h"
#include "golden_bend.h"

/* ---- evit ---------------------------------------------------------------------------------------------------------- */

/* in x: class token and single tokens; the fused row stands last in fixtures. out [n_row] rows of w in that order. */
static void fused_last(const whole_rows *w, int32_t fused, int32_t *order)
{
    int64_t m = 0;
    for (int32_t r = 0; r < w->n_out; r++)
        if (r != fused) order[m++] = r;
    if (fused >= 0) order[m] = fused;
}

/* Row of the tokens that fused: the one that stands for more than its place; where one token alone was left it is the
 * one with a gain. -1 = none. */
static int32_t find_fused(const pare_map *map)
{
    for (int64_t r = 0; r < map->n_out; r++)
        if (map->row_start[r + 1] - map->row_start[r] > 1 || (map->gain && map->gain[r] != 1)) return (int32_t)r;
    return -1;
}

static void check_score_order(golden *g, const scene *sc, const whole_rows *w, int64_t n_kept)
{
    pare__arena arena = {0};
    whole_rows sorted;
    int32_t *order = PARE__ARENA(&arena, int32_t, w->n_out), *best = PARE__ARENA(&arena, int32_t, w->n_out);
    float *score = PARE__ARENA(&arena, float, n_kept + 1);
    for (int64_t i = 0; i < n_kept; i++) score[i] = sc->score[w->pos[1 + i] - 1];
    pare__argsort_desc(score, n_kept, best, &arena);
    for (int32_t r = 0; r < w->n_out; r++) order[r] = r;
    for (int64_t i = 0; i < n_kept; i++) order[1 + i] = best[i] + 1;
    bend_permute(w, order, &sorted);
    for (int64_t i = 0; i < n_kept; i++) best[i] = sorted.pos[1 + i] - 1;
    golden_raw_i32(g, "idx", best, n_kept);
    golden_raw_f32(g, "x", sorted.x, w->n_out * w->d, ONE_STEP);
    bend_free(&sorted);
    pare__arena_fini(&arena);
}

static void check_evit(golden *g, const scene *sc, const pare_map *map)
{
    whole_rows raster, w;
    const int32_t fused = find_fused(map);
    bend_rows(&raster, g, sc, 1, map);
    int32_t *order = PARE__NEW(int32_t, raster.n_out), *keep = PARE__NEW(int32_t, raster.n_out);
    fused_last(&raster, fused < 0 ? -1 : fused + 1, order);
    bend_permute(&raster, order, &w);
    const int64_t n_kept = map->n_out - (fused >= 0);
    for (int64_t i = 0; i < n_kept; i++) keep[i] = w.pos[1 + i] - 1;
    for (int64_t i = 1; i < w.n; i++) w.map[i] = w.map[i] < 0 || w.map[i] > n_kept ? -1 : w.map[i] - 1;
    golden_agree(g, "K", n_kept);
    golden_i32(g, "keep", keep, n_kept);
    golden_i32(g, "map", w.map + 1, w.n - 1);
    golden_f32(g, "x", w.x, w.n_out * w.d, ONE_STEP);
    check_score_order(g, sc, &w, n_kept);
    bend_free(&raster);
    bend_free(&w);
    pare__free(order);
    pare__free(keep);
}

static void run_evit(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[64];
    if (bend_open(g, &sc, 1, 0, 0)) return;
    golden_read(g, "cls_attention", sc.score, sc.n);
    snprintf(options, sizeof options, "rate=%.17g:fuse=%d", golden_number(g, "keep_rate"), golden_bool(g, "fuse"));
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, 1, "evit", options, -1, &map))
        check_evit(g, &sc, &map.m);
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- diffrate ------------------------------------------------------------------------------------------------------ */

/* Rows by falling importance, class token first, as the reference leaves them. */
static void check_diffrate(golden *g, const scene *sc, const pare_map *map)
{
    whole_rows w, sorted;
    bend_rows(&w, g, sc, 1, map);
    int32_t *rank = PARE__NEW(int32_t, w.n_out);
    for (int64_t r = 1; r < w.n_out; r++) rank[r] = (int32_t)(w.n - (int64_t)sc->score[w.pos[r] - 1]);
    bend_by_key(&w, rank, &sorted);
    golden_i32(g, "map", sorted.map, w.n);
    golden_f32(g, "size", sorted.size, w.n_out, ONE_STEP);
    golden_f32(g, "x", sorted.x, w.n_out * w.d, ONE_STEP);
    golden_raw_i32(g, "map", sorted.map, w.n);
    golden_raw_f32(g, "size", sorted.size, w.n_out, ONE_STEP);
    golden_raw_f32(g, "x", sorted.x, w.n_out * w.d, ONE_STEP);
    bend_free(&w);
    bend_free(&sorted);
    pare__free(rank);
}

/* The score that has this order. */
static void read_order(golden *g, scene *sc)
{
    float *order = PARE__NEW(float, sc->n + 1);
    golden_read(g, "importance_order", order, sc->n + 1);
    for (int64_t i = 1; i <= sc->n; i++) {
        const int64_t token = (int64_t)order[i];
        if (token >= 1 && token <= sc->n) sc->score[token - 1] = (float)(sc->n + 1 - i);
    }
    pare__free(order);
}

static void run_diffrate(golden *g)
{
    scene sc;
    pare__map map = {0};
    char options[64];
    if (bend_open(g, &sc, 1, 0, 0)) return;
    read_order(g, &sc);
    snprintf(options, sizeof options, "prune=%lld:merge=%lld", (long long)golden_int(g, "prune_keep") - 1,
             (long long)golden_int(g, "merge_keep") - 1);
    if (!g->err.code && !golden_select(g, &sc, PARE__SITE_BLOCK, 1, "diffrate", options, -1, &map))
        check_diffrate(g, &sc, &map.m);
    pare__map_fini(&map);
    scene_free(&sc);
}

/* ---- a whole encoder ----------------------------------------------------------------------------------------------- */

/* Fixtures were made with weights in f32; those beside them are rounded to f16, which moves attention by up to 5e-4 of
 * itself. Two rows may stand in the other order if their scores differ by less than the tolerance of whole encoders. */
#define NEAR_TIE 2e-3f

typedef struct whole_run {
    golden *g;
    step step;
    pare__arena arena;
    int32_t n_block;
    int64_t n;
    int32_t *row, *count; /* [n_block, n] row of every token after the block, or -1; [n_block] rows */
    float *score;         /* [n_block, n] importance of every row; above all others for prefix rows */
} whole_run;

static const float *attention_of(const pare__pack *p, int32_t block)
{
    for (int32_t i = 0; i < p->n_capture; i++)
        if (p->capture[i].block == block && p->capture[i].what == PARE__WANT_CLS_ROW)
            return p->capture[i].data + p->n_prefix;
    return NULL;
}

/* Follows every original token; pruned ones are in row -1 from then on. */
static void follow(whole_run *w, const pare__pack *p, int32_t block, const float *score, const pare_map *map)
{
    const int32_t prefix = p->n_prefix;
    int32_t *now = PARE__ARENA(&w->arena, int32_t, map->n_in + 1), *row = w->row + block * w->n;
    golden_rows(map, now);
    for (int64_t i = 0; i < w->n; i++) {
        row[i] = block ? row[i - w->n] : (int32_t)i;
        if (row[i] >= prefix) row[i] = now[row[i] - prefix] < 0 ? -1 : prefix + now[row[i] - prefix];
    }
    for (int32_t i = 0; i < prefix; i++) w->score[block * w->n + i] = 2;
    for (int64_t r = 0; r < map->n_out; r++) w->score[block * w->n + prefix + r] = score[map->anchor[r]];
    w->count[block] = (int32_t)(prefix + map->n_out);
}

static int on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                   pare_error *err)
{
    (void)phase;
    whole_run *w = user;
    const int64_t n = p->n_unit - p->n_prefix, start[2] = {0, n};
    const pare__view_array x = {
        .need = {PARE__ARRAY_TOKENS, block}, .width = p->d, .data = p->tokens + (int64_t)p->n_prefix * p->d};
    const pare__view v = {.site = PARE__SITE_BLOCK,
                          .block = block,
                          .n_block = w->n_block,
                          .i_block = block,
                          .n = n,
                          .d = p->d,
                          .n_frame = 1,
                          .frame_start = start,
                          .n_prefix = p->n_prefix,
                          .size = p->size + p->n_prefix,
                          .k = w->step.sel->amount(w->step.priv, n, 1, (int32_t)n, block, w->n_block),
                          .array = &x,
                          .n_array = 1,
                          .score = attention_of(p, block),
                          .n_layer = w->n_block,
                          .arena = &w->arena,
                          .gemm = &pare__gemm_c,
                          .vec = pare__vec_best()};
    pare__arena_clear(&w->arena);
    pare__map_begin(map, n);
    int rc = w->step.sel->select(w->step.priv, &v, map, err);
    if (!rc) rc = pare__map_finish(map, v.size, 1, err);
    if (!rc) rc = pare__map_check(&map->m, PARE__MAP_PARTITION | PARE__MAP_SORTED, err);
    if (rc) return rc;
    n_out[0] = map->m.n_out;
    follow(w, p, block, v.score, &map->m);
    return 1;
}

/* The reference sorts the rows of every block by importance. Renames ours after theirs in w->row and returns our row of
 * each of theirs. */
static int32_t *check_block(whole_run *w, const float *theirs, int32_t block)
{
    int32_t *row = w->row + block * w->n;
    const float *score = w->score + block * w->n;
    const int64_t n_out = w->count[block];
    int32_t *order = bend_authors_order(w->g, theirs, row, w->n, n_out), *place = PARE__NEW(int32_t, n_out);
    for (int64_t r = 0; r < n_out; r++) {
        place[order[r]] = (int32_t)r;
        if (r && score[order[r]] > score[order[r - 1]] * (1 + NEAR_TIE))
            golden_fail(w->g, "block %d: row %lld scores %g, the next %g", block, (long long)r - 1,
                        (double)score[order[r - 1]], (double)score[order[r]]);
    }
    for (int64_t i = 0; i < w->n; i++) row[i] = row[i] < 0 ? -1 : place[row[i]];
    pare__free(place);
    return order;
}

static void check_result(whole_run *w, const pare__pack *p, const int32_t *order)
{
    golden *g = w->g;
    const int64_t n = p->n_unit, d = p->d_out;
    float *size = PARE__NEW(float, n), *x = PARE__NEW(float, n *d);
    for (int64_t r = 0; r < n; r++) {
        size[r] = p->size[order[r]];
        memcpy(x + r * d, p->y + order[r] * d, (size_t)d * sizeof *x);
    }
    golden_i32(g, "counts", w->count, w->n_block);
    golden_i32(g, "layer_map", w->row, w->n_block * w->n);
    golden_i32(g, "map", w->row + (w->n_block - 1) * w->n, w->n);
    golden_f32(g, "size", size, n, WHOLE_ENCODER);
    golden_cosine(g, "cls", x, d, 0.9999);
    golden_f32(g, "tokens", x, n * d, WHOLE_ENCODER);
    pare__free(size);
    pare__free(x);
}

static void check_whole(void *user, const pare__pack *p)
{
    whole_run *w = user;
    const pare_tensor *t = pare__tensors_find(w->g->file, "out.layer_map");
    if (!t || pare__tensor_count(t) != w->n_block * w->n) {
        golden_fail(w->g, "out.layer_map does not fit");
        return;
    }
    float *theirs = PARE__NEW(float, w->n_block * w->n);
    int32_t *order = NULL;
    pare__tensor_f32(t, theirs);
    for (int32_t b = 0; b < w->n_block; b++) {
        pare__free(order);
        order = check_block(w, theirs + b * w->n, b);
    }
    check_result(w, p, order);
    pare__free(order);
    pare__free(theirs);
}

/* "NAME=100/99/..": counts of the fixture include the prefix rows, those of the option do not. */
static void list_option(golden *g, const char *key, const char *name, int32_t prefix, char *out, size_t size)
{
    const json_t *list = json_object_get(g->params, key);
    size_t used = strlen(out);
    for (size_t i = 0; i < json_array_size(list) && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? "/" : name,
                                 (long long)golden_int_at(g, key, i) - prefix);
    }
}

static void run_model(golden *g, const pare_model *m)
{
    char options[256] = "";
    const pare_tensor *embed = golden_in(g, "embed");
    if (!embed || embed->n_dim != 2 || embed->shape[1] != m->hp.dim || embed->shape[0] <= m->hp.n_prefix) {
        golden_fail(g, "in.embed does not fit the model");
        return;
    }
    whole_run w = {.g = g, .n_block = m->hp.n_layer, .n = embed->shape[0]};
    float *x = PARE__NEW(float, w.n * m->hp.dim);
    const int64_t n = w.n - m->hp.n_prefix;
    const pare__segment seg = {.tokens = x, .grid_h = 1, .grid_w = (int32_t)n, .n = n};
    w.row = PARE__NEW(int32_t, w.n * w.n_block);
    w.score = PARE__NEW(float, w.n *w.n_block);
    w.count = PARE__NEW(int32_t, w.n_block);
    golden_read(g, "embed", x, w.n * m->hp.dim);
    list_option(g, "prune_keep", "prune=", m->hp.n_prefix, options, sizeof options);
    list_option(g, "merge_keep", ":merge=", m->hp.n_prefix, options, sizeof options);
    if (!g->err.code && !step_open(&w.step, "diffrate", options, &g->err)) {
        pare__encode_plan plan = {.on_site = on_site, .user = &w, .unbiased = w.step.sel->unbiased(w.step.priv)};
        golden_encode(g, m, &seg, &plan, w.n_block, PARE__WANT_CLS_ROW, PARE__PHASE_MID, check_whole);
    }
    step_close(&w.step);
    pare__arena_fini(&w.arena);
    pare__free(x);
    pare__free(w.row);
    pare__free(w.score);
    pare__free(w.count);
}

static void run_diffrate_encoder(golden *g) { golden_with_model(g, run_model); }

const golden_group golden_bend_encoder[] = {
    {"evit", run_evit},
    {"diffrate", run_diffrate},
    {"diffrate_encoder", run_diffrate_encoder},
    {NULL, NULL},
};
