/* SPDX-License-Identifier: MIT */
/* Groups divprune, cdpruner, scope, dart and vispruner. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "select/greedy.h"

/* The tokens of input `name`, one row of a picture each. 0, or the case has failed. */
static int open_scene(golden *g, const char *name, scene *sc)
{
    const pare_tensor *x = golden_in(g, name);
    if (!x || x->n_dim != 2 || !x->shape[0]) return golden_fail(g, "in.%s is no matrix", name);
    scene_blank(sc, 1, 1, (int32_t)x->shape[0], (int32_t)x->shape[1], 1, 1);
    golden_read(g, name, sc->token, sc->n * sc->d);
    return g->err.code;
}

static void select_and_compare(golden *g, scene *sc, const char *name, const char *options, int64_t k)
{
    pare__map map = {0};
    if (!g->err.code && !golden_select(g, sc, PARE__SITE_OUTPUT, 1, name, options, k, &map))
        golden_pruned(g, sc, &map.m);
    pare__map_fini(&map);
}

/* ---- the greedy kernels by themselves ------------------------------------------------------------------------------ */

typedef struct kernel {
    scene_view look;
    pare__similar s;
    int64_t k;
    int32_t *order; /* [k] */
    double *gain;   /* [k] */
} kernel;

static int kernel_open(golden *g, kernel *k, scene *sc, int64_t count)
{
    *k = (kernel){.k = count, .order = PARE__NEW(int32_t, count + 1), .gain = PARE__NEW(double, count + 1)};
    if (count < 1 || count > sc->n) return golden_fail(g, "K = %lld of %lld", (long long)count, (long long)sc->n);
    scene_look(sc, PARE__SITE_OUTPUT, 0, 1, 1, &k->look);
    return pare__similar_init(&k->s, &k->look.view, sc->token, sc->d);
}

static void kernel_close(kernel *k)
{
    pare__free(k->order);
    pare__free(k->gain);
}

/* ---- groups -------------------------------------------------------------------------------------------------------- */

static void run_divprune(golden *g)
{
    scene sc;
    kernel k;
    if (open_scene(g, "x", &sc)) return;
    const int64_t count = (int64_t)nearbyint(golden_number(g, "ratio") * (double)sc.n); /* half to even */
    golden_agree(g, "N", sc.n);
    golden_agree(g, "K", count);
    select_and_compare(g, &sc, "divprune", "", count);
    if (!kernel_open(g, &k, &sc, count) && !pare__greedy_maxmin(&k.s, k.k, k.order, k.gain))
        golden_i32(g, "order", k.order, k.k);
    kernel_close(&k);
    scene_free(&sc);
}

static void compare_gains(golden *g, const kernel *k)
{
    float *gain = PARE__NEW(float, k->k), logdet = 0;
    double sum = 0;
    for (int64_t m = 0; m < k->k; m++) {
        gain[m] = (float)k->gain[m];
        sum += log(k->gain[m]);
    }
    logdet = (float)sum;
    golden_f32(g, "gain", gain, k->k, ONE_STEP);
    golden_f32(g, "logdet", &logdet, 1, ONE_STEP);
    pare__free(gain);
}

static void compare_volume(golden *g, scene *sc, int64_t count)
{
    kernel k;
    double *r = PARE__NEW(double, sc->n);
    for (int64_t i = 0; i < sc->n; i++) r[i] = (double)sc->score[i];
    if (!kernel_open(g, &k, sc, count) && !pare__greedy_volume(&k.s, r, k.k, k.order, k.gain)) {
        golden_i32(g, "order", k.order, k.k);
        golden_raw_i32(g, "authors_diag1.order", k.order, k.k);
        compare_gains(g, &k);
    }
    kernel_close(&k);
    pare__free(r);
}

/* The relevance of the embeddings to the text. */
static void read_relevance(golden *g, float *out, int64_t n)
{
    scene sc;
    scene_view look;
    const pare_tensor *t = golden_in(g, "text_embeds");
    if (!t || open_scene(g, "image_embeds", &sc)) return;
    float *text = PARE__NEW(float, pare__tensor_count(t));
    golden_read(g, "text_embeds", text, pare__tensor_count(t));
    sc.text = text;
    sc.n_text = (int32_t)t->shape[0];
    sc.d_text = (int32_t)t->shape[1];
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 1, &look);
    if (sc.n == n) pare__score_find("text")->compute(NULL, &look.view, out, &g->err);
    pare__free(text);
    scene_free(&sc);
}

static void run_cdpruner(golden *g)
{
    scene sc;
    pare__map map = {0};
    const int64_t count = golden_int(g, "K");
    if (open_scene(g, "x", &sc)) return;
    golden_agree(g, "N", sc.n);
    golden_read(g, "relevance", sc.score, sc.n);
    select_and_compare(g, &sc, "cdpruner", "", count);
    if (!g->err.code) compare_volume(g, &sc, count);
    if (!g->err.code && pare__tensors_find(g->file, "in.text_embeds")) {
        read_relevance(g, sc.score, sc.n);
        if (!g->err.code && !golden_select(g, &sc, PARE__SITE_OUTPUT, 1, "cdpruner", "", count, &map))
            golden_raw_i32(g, "full_function.keep", map.m.anchor, map.m.n_out);
    }
    pare__map_fini(&map);
    scene_free(&sc);
}

/* Mean over the tokens of the largest cosine with a picked one. */
static void compare_coverage(golden *g, kernel *k)
{
    double sum = 0;
    for (int64_t i = 0; i < k->s.n; i++) {
        float most = -2;
        for (int64_t m = 0; m < k->k; m++) most = fmaxf(most, pare__similar_at(&k->s, i, k->order[m]));
        sum += (double)most;
    }
    const float mean = (float)(sum / (double)k->s.n);
    golden_f32(g, "coverage", &mean, 1, ONE_STEP);
}

static void compare_cover(golden *g, scene *sc, int64_t count, double alpha, int add)
{
    kernel k;
    double *w = PARE__NEW(double, sc->n);
    for (int64_t i = 0; i < sc->n; i++) w[i] = pow((double)sc->score[i], alpha);
    const pare__cover how = {w, add};
    if (!kernel_open(g, &k, sc, count) && !pare__greedy_cover(&k.s, &how, k.k, k.order, NULL)) {
        golden_i32(g, "order", k.order, k.k);
        compare_coverage(g, &k);
    }
    kernel_close(&k);
    pare__free(w);
}

static void run_scope(golden *g)
{
    scene sc;
    char options[64];
    const int64_t count = golden_int(g, "K");
    const double alpha = golden_number(g, "alpha");
    const char *combined = json_string_value(json_object_get(g->params, "combined"));
    snprintf(options, sizeof options, "alpha=%.17g:combine=%s", alpha, combined ? combined : "?");
    if (open_scene(g, "x", &sc)) return;
    golden_read(g, "cls_attention_sum", sc.score, sc.n);
    select_and_compare(g, &sc, "scope", options, count);
    if (!g->err.code) compare_cover(g, &sc, count, alpha, !strcmp(combined, "add"));
    scene_free(&sc);
}

/* keys [heads, n, d] -> [n, heads * d] of layer -2 */
static void read_keys(golden *g, scene *sc)
{
    const pare_tensor *t = golden_in(g, "keys");
    if (!t || t->n_dim != 3 || t->shape[1] != sc->n) {
        golden_fail(g, "in.keys does not fit in.x");
        return;
    }
    const int64_t d = t->shape[2], width = t->shape[0] * d;
    float *key = PARE__NEW(float, sc->n *width);
    pare__view_array *a = scene_add(sc, PARE__ARRAY_K, 10, (int32_t)width, 0);
    float *to = (float *)(uintptr_t)a->data;
    sc->n_head = (int32_t)t->shape[0];
    golden_read(g, "keys", key, sc->n * width);
    for (int64_t h = 0; h < t->shape[0]; h++)
        for (int64_t i = 0; i < sc->n; i++)
            memcpy(to + i * width + h * d, key + (h * sc->n + i) * d, (size_t)d * sizeof *to);
    pare__free(key);
}

/* The selector publishes the norms of the keys. */
static void compare_pivots(golden *g, scene *sc, int64_t pivots)
{
    int32_t *order = PARE__NEW(int32_t, sc->n);
    if (!pare__argsort_desc(sc->score_out, sc->n, order, &sc->arena)) golden_i32(g, "pivots", order, pivots);
    pare__free(order);
}

static void run_dart(golden *g)
{
    scene sc;
    char options[96];
    const int64_t pivots = golden_int(g, "pivots");
    snprintf(options, sizeof options, "pivots=%lld:ratio=%.17g", (long long)pivots,
             golden_number(g, "reduction_ratio"));
    if (open_scene(g, "x", &sc)) return;
    read_keys(g, &sc);
    select_and_compare(g, &sc, "dart", options, -1);
    if (!g->err.code) compare_pivots(g, &sc, pivots);
    scene_free(&sc);
}

static void run_vispruner(golden *g)
{
    scene sc;
    char options[64];
    snprintf(options, sizeof options, "important=%.17g", golden_number(g, "important_ratio"));
    if (open_scene(g, "x", &sc)) return;
    golden_agree(g, "N", sc.n);
    golden_read(g, "score", sc.score, sc.n);
    select_and_compare(g, &sc, "vispruner", options, golden_int(g, "K"));
    scene_free(&sc);
}

const golden_group golden_greedy[] = {
    {"divprune", run_divprune}, {"cdpruner", run_cdpruner},   {"scope", run_scope},
    {"dart", run_dart},         {"vispruner", run_vispruner}, {NULL, NULL},
};
