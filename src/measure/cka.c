/* SPDX-License-Identifier: MIT */
/* Linear CKA (Kornblith et al. 2019): |B'A|^2 / (|A'A| |B'B|), Frobenius, columns centred. With few rows the same numbers
 * come from products of rows, <AA', BB'>; either way a Gram matrix exists one tile at a time and its symmetric half is
 * taken twice. */
#include <math.h>

#include "core/mem.h"
#include "measure/scene.h"

enum { TILE = 128 };
/* A column's spread below this share of its size is rounding: the features are constant. */
#define CONSTANT 1e-24

/* Vectors x[n, len]. */
typedef struct side {
    double *x;
    int64_t n, len;
    int is_constant;
} side;

static void side_fini(side *s)
{
    pare__free(s->x);
    s->x = NULL;
}

/* Sums over the columns of x[n, d]: means, and squares of the elements and of their differences from the mean. */
typedef struct columns {
    double *mean, *size, *spread; /* [d] */
} columns;

static void sum_columns(const double *x, int64_t n, int64_t d, const columns *c)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) {
            c->mean[j] += x[i * d + j] / (double)n;
            c->size[j] += x[i * d + j] * x[i * d + j];
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) c->spread[j] += (x[i * d + j] - c->mean[j]) * (x[i * d + j] - c->mean[j]);
}

static int is_constant(const columns *c, int64_t d)
{
    double size = 0, spread = 0;
    for (int64_t j = 0; j < d; j++) {
        size += c->size[j];
        spread += c->spread[j];
    }
    return spread <= CONSTANT * size;
}

/* x[n, d] with its columns centred: rows [n, d], or turned: columns [d, n]. 0 or NOMEM; side_fini in either case. */
static int side_init(side *s, const double *x, int64_t n, int64_t d, int turned)
{
    double *sums = PARE__NEW(double, 3 * d);
    *s = (side){.x = pare__malloc(n * d, (int64_t)sizeof *s->x), .n = turned ? d : n, .len = turned ? n : d};
    if (!sums || !s->x) {
        pare__free(sums);
        return PARE_E_NOMEM;
    }
    const columns c = {sums, sums + d, sums + 2 * d};
    sum_columns(x, n, d, &c);
    s->is_constant = is_constant(&c, d);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) s->x[turned ? j * n + i : i * d + j] = x[i * d + j] - c.mean[j];
    pare__free(sums);
    return 0;
}

static int64_t tile_of(int64_t n, int64_t first) { return n - first < TILE ? n - first : TILE; }

/* Products of vectors i.. of p with vectors j.. of q into c[rows, TILE]. */
static void product(const pare__dense *dense, const side *p, int64_t i, const side *q, int64_t j, double *c)
{
    dense->nt(tile_of(p->n, i), tile_of(q->n, j), p->len, p->x + i * p->len, p->len, q->x + j * q->len, q->len, c,
              TILE);
}

/* Eight sums side by side: one would wait for itself. */
static double tile_dot(const double *a, const double *b, int64_t rows, int64_t cols)
{
    double part[8] = {0}, sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) part[j % 8] += a[i * TILE + j] * b[i * TILE + j];
    for (int32_t j = 0; j < 8; j++) sum += part[j];
    return sum;
}

/* aa, ab, bb of the Gram matrices of rows: <AA', AA'>, <AA', BB'>, <BB', BB'>. */
static void by_rows(const pare__dense *dense, const side *a, const side *b, double *tile, double sum[3])
{
    double *const p = tile, *const q = tile + (int64_t)TILE * TILE;
    for (int64_t i = 0; i < a->n; i += TILE)
        for (int64_t j = i; j < a->n; j += TILE) {
            const int64_t rows = tile_of(a->n, i), cols = tile_of(a->n, j);
            const double twice = i == j ? 1 : 2;
            product(dense, a, i, a, j, p);
            product(dense, b, i, b, j, q);
            sum[0] += twice * tile_dot(p, p, rows, cols);
            sum[1] += twice * tile_dot(p, q, rows, cols);
            sum[2] += twice * tile_dot(q, q, rows, cols);
        }
}

/* |P'Q|^2 of columns p and q. */
static double by_columns(const pare__dense *dense, const side *p, const side *q, double *tile)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i += TILE)
        for (int64_t j = p == q ? i : 0; j < q->n; j += TILE) {
            product(dense, p, i, q, j, tile);
            const double square = tile_dot(tile, tile, tile_of(p->n, i), tile_of(q->n, j));
            sum += p == q && i != j ? 2 * square : square;
        }
    return sum;
}

int pare__linear_cka(const pare__dense *dense, const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                     double *out)
{
    const int turned = n > da + db;
    side p = {.x = NULL}, q = {.x = NULL};
    double sum[3] = {0}, *tile = PARE__NEW(double, 2 * TILE * TILE);
    int rc = tile ? side_init(&p, a, n, da, turned) : PARE_E_NOMEM;
    if (!rc) rc = side_init(&q, b, n, db, turned);
    if (rc) goto out;
    *out = NAN;
    if (p.is_constant || q.is_constant) goto out;
    if (turned) {
        sum[0] = by_columns(dense, &p, &p, tile);
        sum[1] = by_columns(dense, &p, &q, tile);
        sum[2] = by_columns(dense, &q, &q, tile);
    } else {
        by_rows(dense, &p, &q, tile, sum);
    }
    *out = sum[1] / (sqrt(sum[0]) * sqrt(sum[2]));
out:
    side_fini(&p);
    side_fini(&q);
    pare__free(tile);
    return rc;
}
