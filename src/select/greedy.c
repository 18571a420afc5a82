/* SPDX-License-Identifier: MIT */
/* See greedy.h. The upper bounds of lazy greedy stand in a heap, largest first, ties to the lower index. */
#include "select/greedy.h"

#include <math.h>
#include <string.h>

/* ---- max-min ------------------------------------------------------------------------------------------------------- */

#define TAKEN 4.0f /* above any cosine */
#define NO_OTHER (-2.0f)

typedef struct maxmin {
    const pare__similar *s;
    float *near; /* [n] largest cosine with a picked row; at first with any other */
} maxmin;

static void nearest_other(void *user, int64_t i, const float *row)
{
    const maxmin *to = user;
    const pare__vec *vec = to->s->v->vec;
    const float left = vec->max(row, i), right = vec->max(row + i + 1, to->s->n - i - 1);
    const float most = left > right ? left : right;
    to->near[i] = most > NO_OTHER ? most : NO_OTHER;
}

static int64_t smallest(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] < x[best]) best = i;
    return best;
}

int pare__greedy_maxmin(pare__similar *s, int64_t k, int32_t *order, double *gain)
{
    maxmin to = {s, PARE__ARENA(s->v->arena, float, s->n)};
    if (!to.near || pare__similar_each(s, nearest_other, &to)) return PARE_E_NOMEM;
    for (int64_t m = 0; m < k; m++) {
        const int64_t pick = smallest(to.near, s->n);
        const float *row = pare__similar_row(s, pick);
        order[m] = (int32_t)pick;
        if (gain) gain[m] = 1 - (double)to.near[pick];
        for (int64_t j = 0; j < s->n; j++) {
            to.near[j] = m == 0 || row[j] > to.near[j] ? row[j] : to.near[j];
        }
        to.near[pick] = TAKEN;
    }
    return 0;
}

/* ---- bounds -------------------------------------------------------------------------------------------------------- */

typedef struct bounds {
    int64_t n;     /* rows that wait */
    double *of;    /* [rows of the view] upper bound of each */
    int32_t *heap; /* [n] rows */
} bounds;

static int before(const bounds *b, int32_t x, int32_t y) { return b->of[x] != b->of[y] ? b->of[x] > b->of[y] : x < y; }

static void sift_down(bounds *b, int64_t at)
{
    const int32_t row = b->heap[at];
    for (int64_t child; (child = 2 * at + 1) < b->n; at = child) {
        if (child + 1 < b->n && before(b, b->heap[child + 1], b->heap[child])) child++;
        if (before(b, row, b->heap[child])) break;
        b->heap[at] = b->heap[child];
    }
    b->heap[at] = row;
}

static void heapify(bounds *b)
{
    for (int64_t at = b->n / 2 - 1; at >= 0; at--) sift_down(b, at);
}

static int32_t take_top(bounds *b)
{
    const int32_t row = b->heap[0];
    b->heap[0] = b->heap[--b->n];
    if (b->n) sift_down(b, 0);
    return row;
}

static int bounds_alloc(bounds *b, const pare__similar *s)
{
    *b = (bounds){.of = PARE__ARENA(s->v->arena, double, s->n), .heap = PARE__ARENA(s->v->arena, int32_t, s->n)};
    return b->of && b->heap ? 0 : PARE_E_NOMEM;
}

/* ---- coverage ------------------------------------------------------------------------------------------------------ */

enum { LANES = 8 };

typedef struct cover {
    const pare__cover *how;
    int64_t n;
    float *most;     /* [n] m_i */
    int32_t *looked; /* [n] picks made when the bound was computed */
    bounds b;
} cover;

static double positive(float x) { return x > 0 ? (double)x : 0; }

/* sum_i max(0, row_i - m_i), exactly (see similar.h). */
static double uncovered(const float *row, const float *most, int64_t n)
{
    double part[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int c = 0; c < LANES; c++) part[c] += positive(row[i + c] - most[i + c]);
    for (; i < n; i++) part[0] += positive(row[i] - most[i]);
    for (int c = 1; c < LANES; c++) part[0] += part[c];
    return part[0];
}

static void look(void *user, int64_t j, const float *row)
{
    cover *c = user;
    const double sum = uncovered(row, c->most, c->n), w = c->how->weight[j];
    c->b.of[j] = c->how->add ? sum + w : sum * w;
}

static int cover_init(cover *c, const pare__similar *s, const pare__cover *how)
{
    *c = (cover){.how = how,
                 .n = s->n,
                 .most = PARE__ARENA(s->v->arena, float, s->n),
                 .looked = PARE__ARENA(s->v->arena, int32_t, s->n)};
    if (!c->most || !c->looked || bounds_alloc(&c->b, s)) return PARE_E_NOMEM;
    memset(c->most, 0, (size_t)s->n * sizeof *c->most);
    memset(c->looked, 0, (size_t)s->n * sizeof *c->looked);
    for (int64_t i = 0; i < s->n; i++) c->b.heap[i] = (int32_t)i;
    c->b.n = s->n;
    const int rc = pare__similar_each(s, look, c);
    heapify(&c->b);
    return rc;
}

int pare__greedy_cover(pare__similar *s, const pare__cover *how, int64_t k, int32_t *order, double *gain)
{
    cover c;
    if (cover_init(&c, s, how)) return PARE_E_NOMEM;
    for (int32_t m = 0; m < k;) {
        const int32_t top = c.b.heap[0];
        const float *row = pare__similar_row(s, top);
        if (c.looked[top] < m) {
            look(&c, top, row);
            c.looked[top] = m;
            sift_down(&c.b, 0);
            continue;
        }
        if (gain) gain[m] = c.b.of[top];
        order[m++] = take_top(&c.b);
        for (int64_t i = 0; i < s->n; i++) c.most[i] = row[i] > c.most[i] ? row[i] : c.most[i];
    }
    return 0;
}

/* ---- volume -------------------------------------------------------------------------------------------------------- */

#define SPANNED 1e-6 /* of r^2: what is left of a row that the picked ones span, cosines being single precision */

typedef struct volume {
    const pare__similar *s;
    const double *r;
    int64_t rank;     /* most picks between two starts */
    float *factor;    /* [n, rank] row i: its part of the Cholesky factor */
    int32_t *applied; /* [n] columns of it that are computed */
    double *root;     /* [rank] pivots of the picks since the start */
    int32_t *pick;    /* [rank] */
    int32_t m;        /* picks since the start */
    uint8_t *taken;   /* [n] */
    bounds b;
} volume;

/* Brings row i up to the picks made: what they do not span of it, squared, is its bound. */
static void project(volume *g, int64_t i)
{
    float *own = g->factor + i * g->rank;
    for (int32_t t = g->applied[i]; t < g->m; t++) {
        const int64_t j = g->pick[t];
        const double kernel = g->r[i] * g->r[j] * (double)pare__similar_at(g->s, i, j);
        const double along = (double)g->s->v->vec->dot(own, g->factor + j * g->rank, t);
        own[t] = (float)((kernel - along) / g->root[t]);
        g->b.of[i] -= (double)own[t] * (double)own[t];
    }
    g->applied[i] = g->m;
    if (!(g->b.of[i] > SPANNED * g->r[i] * g->r[i])) g->b.of[i] = 0;
}

static int volume_init(volume *g, const pare__similar *s, const double *r, int64_t k)
{
    pare__arena *a = s->v->arena;
    const int64_t rank = k < s->d ? k : s->d;
    *g = (volume){.s = s,
                  .r = r,
                  .rank = rank,
                  .factor = PARE__ARENA(a, float, s->n *rank),
                  .applied = PARE__ARENA(a, int32_t, s->n),
                  .root = PARE__ARENA(a, double, rank),
                  .pick = PARE__ARENA(a, int32_t, rank),
                  .taken = PARE__ARENA(a, uint8_t, s->n)};
    if (!g->factor || !g->applied || !g->root || !g->pick || !g->taken) return PARE_E_NOMEM;
    memset(g->taken, 0, (size_t)s->n);
    return bounds_alloc(&g->b, s);
}

/* Rows that remain, as if nothing had been picked. */
static void start(volume *g)
{
    g->m = 0;
    g->b.n = 0;
    for (int64_t i = 0; i < g->s->n; i++) {
        g->applied[i] = 0;
        g->b.of[i] = g->r[i] * g->r[i];
        if (!g->taken[i]) g->b.heap[g->b.n++] = (int32_t)i;
    }
    heapify(&g->b);
}

int pare__greedy_volume(pare__similar *s, const double *r, int64_t k, int32_t *order, double *gain)
{
    volume g;
    if (volume_init(&g, s, r, k)) return PARE_E_NOMEM;
    start(&g);
    for (int64_t m = 0; m < k;) {
        const int32_t top = g.b.heap[0];
        if (g.m == g.rank || (g.m && g.b.of[top] <= 0)) {
            start(&g);
            continue;
        }
        if (g.applied[top] < g.m) {
            project(&g, top);
            sift_down(&g.b, 0);
            continue;
        }
        if (gain) gain[m] = g.b.of[top];
        g.pick[g.m] = top;
        g.root[g.m++] = sqrt(g.b.of[top]);
        order[m++] = take_top(&g.b);
        g.taken[top] = 1;
    }
    return 0;
}
