/* SPDX-License-Identifier: MIT */
/* Rank correlation (bench.h): Pearson's r of the ranks, ties sharing their mean rank. */
#include <math.h>
#include <stdlib.h>

#include "bench.h"

typedef struct ranked {
    double value;
    int64_t at;
} ranked;

static int compare_values(const void *x, const void *y)
{
    const ranked *a = x, *b = y;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* rank[n] of x[n], minus their mean; `order` [n] is scratch. Returns the sum of squares. */
static double rank_values(const double *x, int64_t n, ranked *order, double *rank)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){x[i], i};
    qsort(order, (size_t)n, sizeof *order, compare_values);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && order[end].value == order[i].value;) end++;
        const double mean = (double)(i + end - 1) / 2 - (double)(n - 1) / 2;
        for (int64_t j = i; j < end; j++) rank[order[j].at] = mean;
        squares += mean * mean * (double)(end - i);
    }
    return squares;
}

int bench_spearman(const double *a, const double *b, int64_t n, double *out)
{
    *out = NAN;
    if (n < 2) return 0;
    ranked *order = malloc((size_t)n * sizeof *order);
    double *rank = malloc(2 * (size_t)n * sizeof *rank), product = 0;
    const int rc = order != NULL && rank != NULL ? 0 : -1;
    if (rc == 0) {
        const double aa = rank_values(a, n, order, rank), bb = rank_values(b, n, order, rank + n);
        for (int64_t i = 0; i < n; i++) product += rank[i] * rank[n + i];
        if (aa > 0 && bb > 0) *out = product / sqrt(aa * bb);
    }
    free(order);
    free(rank);
    return rc;
}
