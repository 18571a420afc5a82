/* SPDX-License-Identifier: MIT */
/* L2-star discrepancy of cells of a lattice in time that is linear in its cells, and its exact expectation over random
 * sets of as many cells. Warnock's sum over pairs of prod(1 - max) is the integral of the squared number of points in the
 * box [0, s], and that number only changes at cell centres: prefix counts give it.
 *
 * Expectation over k of N cells without replacement, x = (i + .5) / m on an axis of m cells:
 *   mean of 1 - x^2            = 2/3 + 1 / (12 m^2)
 *   sum of 1 - x               = m / 2                     (pairs of a cell with itself)
 *   sum over pairs 1 - max     = m^2 / 3 + 1 / 6           (all ordered pairs)
 * A cell meets itself k times and a random other one k (k - 1) times. Axes multiply.
 * Warnock, Computational investigations of low-discrepancy point sets, 1972. */
#include <math.h>

#include "measure/scene.h"

/* Axes t, h, w; an axis of 0 cells is none. */
typedef struct lattice {
    int32_t m[3];
} lattice;

static int32_t cells_on(const lattice *l, int axis) { return l->m[axis] > 0 ? l->m[axis] : 1; }

static int dimensions(const lattice *l) { return (l->m[0] > 0) + (l->m[1] > 0) + (l->m[2] > 0); }

/* Width of the interval from the centre of cell i to the next one or the end; 1 on an axis that is none. */
static double interval(const lattice *l, int axis, int32_t i)
{
    const int32_t m = l->m[axis];
    if (!m) return 1;
    return i < m - 1 ? 1. / m : .5 / m;
}

static double one_minus_square(const lattice *l, int axis, int32_t i)
{
    if (!l->m[axis]) return 1;
    const double x = (i + .5) / l->m[axis];
    return 1 - x * x;
}

/* Sum over count[t, h, w] of count^power times the factors of its place. */
static double weighted(const int32_t *count, const lattice *l, int power,
                       double (*factor)(const lattice *, int axis, int32_t i))
{
    double sum = 0;
    int64_t i = 0;
    for (int32_t t = 0; t < cells_on(l, 0); t++)
        for (int32_t y = 0; y < cells_on(l, 1); y++) {
            double line = 0;
            for (int32_t x = 0; x < cells_on(l, 2); x++, i++)
                if (count[i]) line += factor(l, 2, x) * (power == 2 ? (double)count[i] * count[i] : (double)count[i]);
            sum += factor(l, 0, t) * factor(l, 1, y) * line;
        }
    return sum;
}

/* count[t, h, w] becomes the number of points at or below each place. */
static void accumulate(int32_t *count, const lattice *l)
{
    const int64_t w = cells_on(l, 2), plane = cells_on(l, 1) * w, n = cells_on(l, 0) * plane;
    for (int64_t i = 0; i < n; i++)
        if (i % w) count[i] += count[i - 1];
    for (int64_t i = 0; i < n; i++)
        if (i % plane >= w) count[i] += count[i - w];
    for (int64_t i = plane; i < n; i++) count[i] += count[i - plane];
}

double pare__lattice_l2star_sq(int32_t *count, int32_t t, int32_t h, int32_t w)
{
    const lattice l = {{t, h, w}};
    const int dim = dimensions(&l);
    const int64_t last = (int64_t)cells_on(&l, 0) * h * w - 1;
    const double single = weighted(count, &l, 1, one_minus_square);
    accumulate(count, &l);
    const double n = (double)count[last], pairs = weighted(count, &l, 2, interval);
    if (n <= 0) return NAN;
    return pow(3, -dim) - pow(2, 1 - dim) * single / n + pairs / (n * n);
}

double pare__lattice_l2star_random_sq(int64_t k, int32_t t, int32_t h, int32_t w)
{
    const lattice l = {{t, h, w}};
    const int dim = dimensions(&l);
    double cells = 1, square = 1, self = 1, pairs = 1;
    for (int axis = 0; axis < 3; axis++) {
        const double m = l.m[axis];
        if (m <= 0) continue;
        cells *= m;
        square *= 2. / 3 + 1 / (12 * m * m);
        self *= m / 2;
        pairs *= m * m / 3 + 1. / 6;
    }
    const double other = cells > 1 ? (pairs - self) / (cells * (cells - 1)) : 0, n = (double)k;
    return pow(3, -dim) - pow(2, 1 - dim) * square + self / cells / n + other * (n - 1) / n;
}
