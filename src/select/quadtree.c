/* SPDX-License-Identifier: MIT */
/* Quadtrees of means. */
#include "select/quadtree.h"

#include <string.h>

#include "select/exact.h"

/* A cell by level and place. */
typedef struct spot {
    int32_t level, i, j;
} spot;

static int64_t cell_of(const pare__quadtree *q, spot s)
{
    return q->start[s.level] + (int64_t)s.i * q->w[s.level] + s.j;
}

static spot spot_of(const pare__quadtree *q, int64_t cell)
{
    int32_t level = 0;
    while (cell >= q->start[level + 1]) level++;
    const int64_t at = cell - q->start[level];
    return (spot){level, (int32_t)(at / q->w[level]), (int32_t)(at % q->w[level])};
}

/* First child along a side of n children; that of cell + 1 ends it. */
static int32_t first_child(int32_t cell, int32_t n) { return cell ? 2 * cell - n % 2 : 0; }

/* Up to four children, whether they are there or not; returns how many. */
static int children_of(const pare__quadtree *q, spot s, spot child[4])
{
    const int32_t h = q->h[s.level - 1], w = q->w[s.level - 1];
    int n = 0;
    for (int32_t i = first_child(s.i, h); i < first_child(s.i + 1, h); i++)
        for (int32_t j = first_child(s.j, w); j < first_child(s.j + 1, w); j++) child[n++] = (spot){s.level - 1, i, j};
    return n;
}

void pare__quadtree_box(const pare__quadtree *q, int64_t cell, int32_t box[4])
{
    const spot s = spot_of(q, cell);
    int32_t i[2] = {s.i, s.i + 1}, j[2] = {s.j, s.j + 1};
    for (int32_t l = s.level; l > 0; l--) {
        for (int e = 0; e < 2; e++) {
            i[e] = first_child(i[e], q->h[l - 1]);
            j[e] = first_child(j[e], q->w[l - 1]);
        }
    }
    for (int e = 0; e < 2; e++) {
        box[2 * e] = i[e];
        box[2 * e + 1] = j[e];
    }
}

const float *pare__quadtree_mean(const pare__quadtree *q, int32_t frame, int64_t cell)
{
    if (cell < q->n_place) return q->x + q->row[frame * q->n_place + cell] * q->d;
    return q->mean + (frame * (q->n_cell - q->n_place) + cell - q->n_place) * q->d;
}

/* ---- building ------------------------------------------------------------------------------------------------------ */

static void plan_levels(pare__quadtree *q, int32_t root_level)
{
    int32_t n = 1;
    q->h[0] = q->v->grid_h;
    q->w[0] = q->v->grid_w;
    for (; q->h[n - 1] > 2 && q->w[n - 1] > 2; n++) {
        q->h[n] = (q->h[n - 1] + 1) / 2;
        q->w[n] = (q->w[n - 1] + 1) / 2;
    }
    for (int32_t l = 0; l < n; l++) q->start[l + 1] = q->start[l] + (int64_t)q->h[l] * q->w[l];
    q->root = n - 1 > root_level ? n - 1 - root_level : 0;
    q->n_place = q->start[1];
    q->n_cell = q->start[q->root + 1];
}

static int alloc_cells(pare__quadtree *q)
{
    const int64_t t = q->v->n_frame, n = t * q->n_cell;
    pare__arena *arena = q->v->arena;
    q->row = PARE__ARENA(arena, int32_t, t * q->n_place);
    q->mean = PARE__ARENA(arena, float, t *(q->n_cell - q->n_place) * q->d + 1);
    q->mass = PARE__ARENA(arena, double, n);
    q->square = PARE__ARENA(arena, double, n);
    q->likeness = PARE__ARENA(arena, double, n);
    if (!q->row || !q->mean || !q->mass || !q->square || !q->likeness) return PARE_E_NOMEM;
    memset(q->row, 0xff, (size_t)(t * q->n_place) * sizeof *q->row);
    memset(q->mass, 0, (size_t)n * sizeof *q->mass);
    return 0;
}

static void place_leaves(pare__quadtree *q)
{
    const pare__view *v = q->v;
    for (int32_t f = 0; f < v->n_frame; f++) {
        for (int64_t i = v->frame_start[f]; i < v->frame_start[f + 1]; i++) {
            const int64_t place = (int64_t)v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2];
            q->row[f * q->n_place + place] = (int32_t)i;
            q->mass[f * q->n_cell + place] = (double)v->size[i];
            q->square[f * q->n_cell + place] = pare__exact_dot(q->x + i * q->d, q->x + i * q->d, q->d);
        }
    }
}

/* Keeps those children that are there; returns how many. */
static int drop_absent(const pare__quadtree *q, int32_t f, spot *child, int n)
{
    int m = 0;
    for (int c = 0; c < n; c++)
        if (q->mass[f * q->n_cell + cell_of(q, child[c])] > 0) child[m++] = child[c];
    return m;
}

static double cosine(const pare__quadtree *q, int32_t f, int64_t a, int64_t b)
{
    const double dot = pare__exact_dot(pare__quadtree_mean(q, f, a), pare__quadtree_mean(q, f, b), q->d);
    return pare__exact_cosine(dot, q->square[f * q->n_cell + a], q->square[f * q->n_cell + b]);
}

/* Mean, mass and likeness of one cell; sum [d] is scratch. */
static void build_cell(pare__quadtree *q, int32_t f, spot s, int gridsafe, double *sum)
{
    spot child[4];
    const int n_geometric = children_of(q, s, child), n = drop_absent(q, f, child, n_geometric);
    const int64_t cell = cell_of(q, s), at = f * q->n_cell + cell;
    if (!n) return;
    double total = 0;
    memset(sum, 0, (size_t)q->d * sizeof *sum);
    for (int c = 0; c < n; c++) {
        const int64_t k = cell_of(q, child[c]);
        const float *x = pare__quadtree_mean(q, f, k);
        const double mass = q->mass[f * q->n_cell + k], weight = q->weighted ? mass : 1;
        for (int64_t e = 0; e < q->d; e++) sum[e] += weight * (double)x[e];
        q->mass[at] += mass;
        total += weight;
    }
    float *mean = q->mean + (f * (q->n_cell - q->n_place) + cell - q->n_place) * q->d;
    for (int64_t e = 0; e < q->d; e++) mean[e] = (float)(sum[e] / total);
    q->square[at] = pare__exact_dot(mean, mean, q->d);
    double least = 1;
    for (int c = 0; c < n; c++) least = fmin(least, cosine(q, f, cell_of(q, child[c]), cell));
    const int64_t first = q->start[s.level - 1];
    if (!gridsafe && n_geometric < 4 && q->mass[f * q->n_cell + first] > 0)
        least = fmin(least, cosine(q, f, first, cell));
    q->likeness[at] = least;
}

int pare__quadtree_init(pare__quadtree *q, const pare__view *v, const float *x, int64_t d, int32_t weighted,
                        int32_t root_level, int32_t gridsafe)
{
    *q = (pare__quadtree){.v = v, .x = x, .d = d, .weighted = weighted};
    plan_levels(q, root_level);
    double *sum = PARE__ARENA(v->arena, double, d);
    if (!sum || alloc_cells(q)) return PARE_E_NOMEM;
    place_leaves(q);
    for (int32_t f = 0; f < v->n_frame; f++)
        for (int64_t c = q->n_place; c < q->n_cell; c++) build_cell(q, f, spot_of(q, c), gridsafe, sum);
    return 0;
}

/* ---- cutting ------------------------------------------------------------------------------------------------------- */

int pare__nodes_alloc(pare__nodes *nodes, const pare__quadtree *q)
{
    pare__arena *arena = q->v->arena;
    const int64_t n = q->v->n;
    *nodes = (pare__nodes){.frame = PARE__ARENA(arena, int32_t, n),
                           .cell = PARE__ARENA(arena, int32_t, n),
                           .first = PARE__ARENA(arena, int32_t, n),
                           .at = PARE__ARENA(arena, int32_t, q->v->n_frame * q->n_place)};
    return nodes->frame && nodes->cell && nodes->first && nodes->at ? 0 : PARE_E_NOMEM;
}

/* at [n_place] of the frame = the cells that stay whole. */
static void cut_cell(const pare__quadtree *q, int32_t f, spot s, double tau, int32_t *at)
{
    const int64_t cell = cell_of(q, s);
    if (!(q->mass[f * q->n_cell + cell] > 0)) return;
    if (s.level && q->likeness[f * q->n_cell + cell] < tau) {
        spot child[4];
        const int n = children_of(q, s, child);
        for (int c = 0; c < n; c++) cut_cell(q, f, child[c], tau, at);
        return;
    }
    int32_t box[4];
    pare__quadtree_box(q, cell, box);
    for (int32_t i = box[0]; i < box[2]; i++)
        for (int32_t j = box[1]; j < box[3]; j++) at[(int64_t)i * q->w[0] + j] = (int32_t)cell;
}

/* Turns cells into node numbers: a cell becomes a node at its first row, and its places are renamed at once. */
static void number_nodes(pare__nodes *nodes, const pare__quadtree *q)
{
    const pare__view *v = q->v;
    for (int32_t f = 0; f < v->n_frame; f++) {
        int32_t *at = nodes->at + f * q->n_place;
        const int64_t n_before = nodes->n;
        for (int64_t r = v->frame_start[f]; r < v->frame_start[f + 1]; r++) {
            const int32_t cell = at[(int64_t)v->thw[3 * r + 1] * v->grid_w + v->thw[3 * r + 2]];
            if (cell < 0) continue;
            int32_t box[4];
            pare__quadtree_box(q, cell, box);
            for (int32_t i = box[0]; i < box[2]; i++)
                for (int32_t j = box[1]; j < box[3]; j++) at[(int64_t)i * q->w[0] + j] = (int32_t)(-2 - nodes->n);
            nodes->frame[nodes->n] = f;
            nodes->cell[nodes->n] = cell;
            nodes->first[nodes->n++] = (int32_t)r;
        }
        for (int64_t c = 0; nodes->n > n_before && c < q->n_place; c++)
            if (at[c] < -1) at[c] = -2 - at[c];
    }
}

void pare__nodes_cut(pare__nodes *nodes, const pare__quadtree *q, double tau)
{
    nodes->n = 0;
    memset(nodes->at, 0xff, (size_t)(q->v->n_frame * q->n_place) * sizeof *nodes->at);
    for (int32_t f = 0; f < q->v->n_frame; f++)
        for (int64_t c = q->start[q->root]; c < q->n_cell; c++)
            cut_cell(q, f, spot_of(q, c), tau, nodes->at + f * q->n_place);
    number_nodes(nodes, q);
}

static void spread_weight(const pare__quadtree *q, int32_t f, spot s, double share, double *weight)
{
    if (!s.level) {
        weight[q->row[f * q->n_place + cell_of(q, s)]] = share;
        return;
    }
    spot child[4];
    const int n = drop_absent(q, f, child, children_of(q, s, child));
    const double mass = q->mass[f * q->n_cell + cell_of(q, s)];
    for (int c = 0; c < n; c++) {
        const double part = q->weighted ? q->mass[f * q->n_cell + cell_of(q, child[c])] / mass : 1.0 / n;
        spread_weight(q, f, child[c], share * part, weight);
    }
}

void pare__nodes_weigh(const pare__nodes *nodes, const pare__quadtree *q, double *weight)
{
    for (int64_t i = 0; i < nodes->n; i++) spread_weight(q, nodes->frame[i], spot_of(q, nodes->cell[i]), 1, weight);
}
