/* SPDX-License-Identifier: MIT */
/* Correlations of two lists, and measures of non-negative lists as masses. Ties of Spearman get average ranks. */
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "measure/scene.h"

/* ---- correlation ---------------------------------------------------------------------------------------------- */

double pare__pearson(const double *a, const double *b, int64_t n)
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ma += a[i] / (double)n;
        mb += b[i] / (double)n;
    }
    int varies_a = 0, varies_b = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
        varies_a |= a[i] != a[0];
        varies_b |= b[i] != b[0];
    }
    if (!varies_a || !varies_b || !(aa > 0) || !(bb > 0)) return NAN;
    return fmax(-1, fmin(1, ab / (sqrt(aa) * sqrt(bb))));
}

typedef struct placed {
    double value;
    int64_t i;
} placed;

static int by_value(const void *a, const void *b)
{
    const double x = ((const placed *)a)->value, y = ((const placed *)b)->value;
    return (x > y) - (x < y);
}

/* Ranks from 0 of x[n], ties averaged; `sorted` [n] is scratch. */
static void rank_all(const double *x, int64_t n, placed *sorted, double *rank)
{
    for (int64_t i = 0; i < n; i++) sorted[i] = (placed){x[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && sorted[end].value == sorted[first].value;) end++;
        for (int64_t i = first; i < end; i++) rank[sorted[i].i] = .5 * (double)(first + end - 1);
    }
}

int pare__spearman(const double *a, const double *b, int64_t n, double *out)
{
    placed *sorted = PARE__NEW(placed, n + 1);
    double *rank = PARE__NEW(double, 2 * n + 1);
    const int rc = sorted && rank ? 0 : PARE_E_NOMEM;
    if (!rc) {
        rank_all(a, n, sorted, rank);
        rank_all(b, n, sorted, rank + n);
        *out = pare__pearson(rank, rank + n, n);
    }
    pare__free(sorted);
    pare__free(rank);
    return rc;
}

/* ---- masses --------------------------------------------------------------------------------------------------- */

/* Sum of x[n]; NaN where it is no mass: an element is negative or none is positive. */
static double total(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= 0)) return NAN;
        sum += x[i];
    }
    return sum > 0 && isfinite(sum) ? sum : NAN;
}

double pare__top_mass(const double *score, int64_t n, double share)
{
    const double sum = total(score, n);
    int64_t left = (int64_t)ceil(share * (double)n - 1e-9);
    double bound = INFINITY, mass = 0;
    while (left > 0 && sum > 0) {
        double next = -1;
        int64_t ties = 0;
        for (int64_t i = 0; i < n; i++) {
            if (score[i] >= bound || score[i] < next) continue;
            ties = score[i] > next ? 1 : ties + 1;
            next = score[i];
        }
        mass += next * (double)(ties < left ? ties : left);
        left -= ties;
        bound = next;
    }
    return mass / sum;
}

double pare__mass_entropy(const double *score, int64_t n)
{
    const double sum = total(score, n);
    double h = 0;
    if (!(sum > 0) || n < 2) return NAN;
    for (int64_t i = 0; i < n; i++)
        if (score[i] > 0) h += score[i] / sum * log(sum / score[i]);
    return h / log((double)n);
}

/* p ln(p / q) */
static double divergence(double p, double q)
{
    if (p <= 0) return 0;
    return q > 0 ? p * log(p / q) : INFINITY;
}

double pare__kl(const double *a, const double *b, int64_t n)
{
    const double sa = total(a, n), sb = total(b, n);
    double sum = 0;
    if (!(sa > 0) || !(sb > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) sum += divergence(a[i] / sa, b[i] / sb);
    return fmax(sum, 0);
}

double pare__js(const double *a, const double *b, int64_t n)
{
    const double sa = total(a, n), sb = total(b, n);
    double sum = 0;
    if (!(sa > 0) || !(sb > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) {
        const double p = a[i] / sa, q = b[i] / sb, m = .5 * (p + q);
        sum += .5 * divergence(p, m) + .5 * divergence(q, m);
    }
    return fmax(sum, 0);
}

double pare__overlap(const double *a, const double *b, int64_t n)
{
    const double sa = total(a, n), sb = total(b, n);
    double sum = 0;
    if (!(sa > 0) || !(sb > 0)) return NAN;
    for (int64_t i = 0; i < n; i++) sum += fmin(a[i] / sa, b[i] / sb);
    return sum;
}
