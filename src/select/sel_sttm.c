/* SPDX-License-Identifier: MIT */
/* STTM: every frame becomes the coarsest cells of a quadtree whose children all resemble them (cosine >= tau_s); cells of
 * neighbouring frames of which one contains the other are joined where they are alike (cosine >= tau_t). A row is the
 * mean of its cells (weighted: by their patches) and stands at the first patch of the earliest one. tokens [n, d].
 *
 * The authors' code joins in two rounds: every cell takes the number of the earliest cell it is joined with, to the end
 * of the chain, then once more the least number among its neighbours; long chains can stay apart. rounds=0 joins all.
 *
 * With a budget K both thresholds move together until about K rows are left (by bisection, never fewer); then the most
 * alike of the remaining joints over time are closed one by one, then cells below the likest parent, then rows that
 * follow each other, until K are left exactly. Rows gather over frames: min_per_frame has no say. */
#include <string.h>

#include "select/exact.h"
#include "select/pick.h"
#include "select/quadtree.h"
#include "select/selector.h"

#define AUTO (-2.0)
#define TAU_S 0.85
#define TAU_T 0.65

enum { N_BISECT = 12 };

typedef struct sttm {
    double tau_s, tau_t;
    int64_t root_level, rounds;
    int32_t weighted, gridsafe;
} sttm;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(sttm, tau_s, "cosine from which a cell stays whole (auto 0.85)", AUTO, -1, 2, "auto"),
    PARE__OPTION_FLOAT_AUTO(sttm, tau_t,
                            "cosine from which cells of neighbouring frames are joined; 0 or less: never (auto 0.65)",
                            AUTO, -1, 2, "auto"),
    PARE__OPTION_INT(sttm, root_level, "the coarsest cells: so many levels below that at which a side is 2", 0, 0, 16),
    PARE__OPTION_INT(sttm, rounds, "rounds of joining over time; 0: until nothing changes", 2, 0, 1000),
    PARE__OPTION_BOOL(sttm, weighted, "means by number of patches; 0: of the parts", 0),
    PARE__OPTION_BOOL(
        sttm, gridsafe,
        "cells at the rim of an odd side are compared with their own children only; 0: also with the frame's first", 0),
    {0},
};

typedef struct work {
    const pare__view *v;
    pare__quadtree tree;
    pare__nodes nodes;
    int32_t *a, *b; /* [n_link] nodes that may be joined, a the earlier */
    float *like;    /* [n_link] cosines */
    int64_t n_link;
    int32_t *label; /* [nodes] number of the earliest node of the row */
    int32_t *spare; /* [nodes] */
} work;

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    const sttm *p = priv;
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return p->tau_s > AUTO || p->tau_t > AUTO ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static double tau_s(const sttm *p) { return p->tau_s > AUTO ? p->tau_s : TAU_S; }
static double tau_t(const sttm *p) { return p->tau_t > AUTO ? p->tau_t : TAU_T; }

static int prepare(const sttm *p, const pare__view *v, work *w, pare_error *err)
{
    int32_t d;
    const float *x = pare__require(v, "sttm", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    *w = (work){.v = v,
                .a = PARE__ARENA(v->arena, int32_t, 2 * v->n),
                .b = PARE__ARENA(v->arena, int32_t, 2 * v->n),
                .like = PARE__ARENA(v->arena, float, 2 * v->n),
                .label = PARE__ARENA(v->arena, int32_t, v->n),
                .spare = PARE__ARENA(v->arena, int32_t, v->n)};
    if (!w->a || !w->b || !w->like || !w->label || !w->spare) return PARE_E_NOMEM;
    const int rc = pare__quadtree_init(&w->tree, v, x, d, p->weighted, (int32_t)p->root_level, p->gridsafe);
    return rc ? rc : pare__nodes_alloc(&w->nodes, &w->tree);
}

/* ---- joints over time ---------------------------------------------------------------------------------------------- */

/* Steps of one clip that follow each other. */
static int follows(const pare__view *v, int32_t f)
{
    const pare_slot *s = v->slot ? v->slot + f : NULL;
    return !s || (s[0].media == s[1].media && s[0].tile == s[1].tile && s[0].t + 1 == s[1].t);
}

static double likeness(const work *w, int32_t a, int32_t b)
{
    const pare__quadtree *q = &w->tree;
    const int32_t f = w->nodes.frame[a], g = w->nodes.frame[b], i = w->nodes.cell[a], j = w->nodes.cell[b];
    const double dot = pare__exact_dot(pare__quadtree_mean(q, f, i), pare__quadtree_mean(q, g, j), q->d);
    return pare__exact_cosine(dot, q->square[f * q->n_cell + i], q->square[g * q->n_cell + j]);
}

/* Of two nodes that share a place one contains the other: each pair is met at the first place of the smaller one, so
 * that a node is that of two pairs at most. Pairs below `least` are left out. */
static void find_links(work *w, double least)
{
    const pare__quadtree *q = &w->tree;
    w->n_link = 0;
    for (int32_t f = 0; f + 1 < w->v->n_frame; f++) {
        const int32_t *at = w->nodes.at + f * q->n_place, *next = at + q->n_place;
        for (int64_t c = 0; follows(w->v, f) && c < q->n_place; c++) {
            if (at[c] < 0 || next[c] < 0) continue;
            const int32_t a = w->nodes.cell[at[c]], b = w->nodes.cell[next[c]];
            int32_t box[4];
            pare__quadtree_box(q, a < b ? a : b, box);
            if (c != (int64_t)box[0] * q->w[0] + box[1]) continue;
            const double like = likeness(w, at[c], next[c]);
            if (like < least) continue;
            w->a[w->n_link] = at[c];
            w->b[w->n_link] = next[c];
            w->like[w->n_link++] = (float)like;
        }
    }
}

/* Every node takes the least label around it, then that label's own, to the end. Returns whether one changed. */
static int join_round(work *w)
{
    const int64_t n = w->nodes.n;
    int changed = 0;
    memcpy(w->spare, w->label, (size_t)n * sizeof *w->spare);
    for (int64_t i = 0; i < w->n_link; i++) {
        const int32_t a = w->a[i], b = w->b[i];
        if (w->label[b] < w->spare[a]) w->spare[a] = w->label[b];
        if (w->label[a] < w->spare[b]) w->spare[b] = w->label[a];
    }
    for (int64_t i = 0; i < n; i++) {
        const int32_t label = w->spare[w->spare[i]]; /* earlier nodes are at the end of their chain */
        w->spare[i] = label;
        changed |= label != w->label[i];
    }
    memcpy(w->label, w->spare, (size_t)n * sizeof *w->label);
    return changed;
}

static void own_labels(work *w)
{
    for (int64_t i = 0; i < w->nodes.n; i++) w->label[i] = (int32_t)i;
}

static void cut_by_thresholds(const sttm *p, work *w)
{
    pare__nodes_cut(&w->nodes, &w->tree, tau_s(p));
    own_labels(w);
    w->n_link = 0;
    if (tau_t(p) > 0) find_links(w, tau_t(p));
    for (int64_t i = 0; (!p->rounds || i < p->rounds) && join_round(w); i++) continue;
}

/* ---- exact budget -------------------------------------------------------------------------------------------------- */

static int32_t find(int32_t *label, int32_t i)
{
    while (label[i] != i) i = label[i] = label[label[i]];
    return i;
}

/* Joins two rows; returns 1 if they were two. */
static int join(work *w, int32_t a, int32_t b)
{
    a = find(w->label, a);
    b = find(w->label, b);
    if (a == b) return 0;
    if (a < b)
        w->label[b] = a;
    else
        w->label[a] = b;
    return 1;
}

/* Rows at thresholds that are moved by `shift`; links are those above. */
static int64_t count_rows(const sttm *p, work *w, double shift)
{
    pare__nodes_cut(&w->nodes, &w->tree, tau_s(p) + shift);
    own_labels(w);
    w->n_link = 0;
    if (tau_t(p) > 0) find_links(w, tau_t(p) + shift);
    int64_t n = w->nodes.n;
    for (int64_t i = 0; i < w->n_link; i++) n -= join(w, w->a[i], w->b[i]);
    return n;
}

/* Leaves the cut of the lowest thresholds found that keep at least k rows. */
static int64_t search(const sttm *p, work *w, int64_t k)
{
    double low = -3, high = 3;
    for (int i = 0; i < N_BISECT; i++) {
        const double shift = (low + high) / 2;
        const int64_t n = count_rows(p, w, shift);
        if (n >= k)
            high = shift;
        else
            low = shift;
        if (n == k) break;
    }
    return count_rows(p, w, high);
}

/* Closes joints over time, the likest first, until k of n rows are left. */
static int64_t join_frames(const sttm *p, work *w, int64_t n, int64_t k)
{
    if (tau_t(p) <= 0) return n;
    find_links(w, -INFINITY);
    int32_t *order = PARE__ARENA(w->v->arena, int32_t, w->n_link + 1);
    if (!order || pare__argsort_desc(w->like, w->n_link, order, w->v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; n > k && i < w->n_link; i++) n -= join(w, w->a[order[i]], w->b[order[i]]);
    return n;
}

/* Joins what lies below one cell, until k rows are left. */
static int64_t join_below(work *w, int32_t frame, int64_t cell, int64_t n, int64_t k)
{
    const pare__quadtree *q = &w->tree;
    const int32_t *at = w->nodes.at + frame * q->n_place;
    int32_t box[4], first = -1;
    pare__quadtree_box(q, cell, box);
    for (int32_t i = box[0]; i < box[2]; i++) {
        for (int32_t j = box[1]; n > k && j < box[3]; j++) {
            const int32_t node = at[(int64_t)i * q->w[0] + j];
            if (node < 0) continue;
            if (first < 0) first = node;
            n -= join(w, first, node);
        }
    }
    return n;
}

/* Cells below the likest parents, the finest first where they are alike. */
static int64_t join_cells(work *w, int64_t n, int64_t k)
{
    const pare__quadtree *q = &w->tree;
    const int64_t upper = q->n_cell - q->n_place, m = upper * w->v->n_frame;
    float *like = PARE__ARENA(w->v->arena, float, m + 1);
    int32_t *order = PARE__ARENA(w->v->arena, int32_t, m + 1);
    if (!like || !order) return PARE_E_NOMEM;
    for (int64_t i = 0; i < m; i++) {
        const int64_t at = i / upper * q->n_cell + q->n_place + i % upper;
        like[i] = q->mass[at] > 0 ? (float)q->likeness[at] : -2;
    }
    if (pare__argsort_desc(like, m, order, w->v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; n > k && i < m; i++)
        n = join_below(w, (int32_t)(order[i] / upper), q->n_place + order[i] % upper, n, k);
    return n;
}

static int cut_to(const sttm *p, work *w, int64_t k)
{
    int64_t n = search(p, w, k);
    if (n > k) n = join_frames(p, w, n, k);
    if (n > k) n = join_cells(w, n, k);
    for (int32_t i = 1; n > k && i < w->nodes.n; i++) n -= join(w, 0, i);
    for (int32_t i = 0; n >= 0 && i < w->nodes.n; i++) w->label[i] = find(w->label, i);
    return n < 0 ? (int)n : 0;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

/* weight [n]: of every patch in its row. total is scratch [nodes]. */
static void weigh_rows(const sttm *p, const work *w, double *total, double *weight)
{
    const pare__quadtree *q = &w->tree;
    const pare__view *v = w->v;
    pare__nodes_weigh(&w->nodes, q, weight);
    memset(total, 0, (size_t)w->nodes.n * sizeof *total);
    for (int64_t i = 0; i < w->nodes.n; i++)
        total[w->label[i]] += p->weighted ? q->mass[w->nodes.frame[i] * q->n_cell + w->nodes.cell[i]] : 1;
    for (int64_t r = 0; r < v->n; r++) {
        const int32_t *at = w->nodes.at + v->thw[3 * r] * q->n_place;
        const int32_t i = at[(int64_t)v->thw[3 * r + 1] * v->grid_w + v->thw[3 * r + 2]];
        const double mass = p->weighted ? q->mass[w->nodes.frame[i] * q->n_cell + w->nodes.cell[i]] : 1;
        weight[r] *= mass / total[w->label[i]];
        w->a[r] = w->label[i]; /* links are done with: the row of every patch */
    }
}

/* Patches grouped by row: member [n], start [nodes + 1]. */
static void group_patches(const work *w, int64_t *start, int32_t *member)
{
    memset(start, 0, (size_t)(w->nodes.n + 1) * sizeof *start);
    for (int64_t r = 0; r < w->v->n; r++) start[w->a[r] + 1]++;
    for (int64_t i = 0; i < w->nodes.n; i++) start[i + 1] += start[i];
    for (int64_t r = w->v->n - 1; r >= 0; r--) member[--start[w->a[r] + 1]] = (int32_t)r;
    for (int64_t i = 0; i < w->nodes.n; i++) start[i] = start[i + 1];
    start[w->nodes.n] = w->v->n;
}

static int emit(const sttm *p, work *w, pare__map *map)
{
    pare__arena *arena = w->v->arena;
    double *weight = PARE__ARENA(arena, double, w->v->n), *total = PARE__ARENA(arena, double, w->nodes.n + 1);
    int64_t *start = PARE__ARENA(arena, int64_t, w->nodes.n + 1);
    int rc = weight && total && start ? 0 : PARE_E_NOMEM;
    if (rc) return rc;
    weigh_rows(p, w, total, weight);
    group_patches(w, start, w->b);
    for (int64_t i = 0; !rc && i < w->nodes.n; i++) {
        if (w->label[i] != i) continue;
        rc = pare__map_row(map, w->nodes.first[i]);
        for (int64_t m = start[i]; !rc && m < start[i + 1]; m++) rc = pare__map_add(map, w->b[m], weight[w->b[m]]);
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    work w;
    int rc = prepare(priv, v, &w, err);
    if (!rc && v->k >= 0)
        rc = cut_to(priv, &w, pare__budget(v));
    else if (!rc)
        cut_by_thresholds(priv, &w);
    return rc ? rc : emit(priv, &w, map);
}

const pare__selector pare__sel_sttm = {
    .name = "sttm",
    .summary = "STTM: quadtree cells over space, joined over time",
    .cite = "Hyun et al., STTM, ICCV 2025; HYUNJS/STTM token_merging_utils/quadtree_*.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__MERGES | PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(sttm),
    .needs = pare__need_tokens,
    .amount = amount,
    .select = select_rows,
};
