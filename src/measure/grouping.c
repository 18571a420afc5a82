/* SPDX-License-Identifier: MIT */
/* Agreement of two groupings of the same things: mutual information (natural log; NMI over the arithmetic mean of the
 * entropies), homogeneity (b within the classes a), completeness, adjusted Rand index as scikit-learn defines them; and
 * the overlap of two sets. Counts come from sorted pairs of labels, so that labels may be many. */
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "measure/scene.h"

/* What sorted keys give: sum over equal runs of count ln count, and of count^2. */
typedef struct runs {
    double log_sum, squares;
} runs;

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static runs count_runs(int64_t *key, int64_t n)
{
    runs r = {0};
    qsort(key, (size_t)n, sizeof *key, ascending);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && key[end] == key[i];) end++;
        const double count = (double)(end - i);
        r.log_sum += count * log(count);
        r.squares += count * count;
    }
    return r;
}

/* From -sum p ln p; rounding of a single group is none. */
static double entropy_of(runs r, int64_t n)
{
    const double entropy = log((double)n) - r.log_sum / (double)n;
    return entropy > 1e-14 ? entropy : 0;
}

static double share_of(double part, double whole) { return whole > 0 ? fmin(1, part / whole) : 1; }

/* By pairs of things: together in both, in a only, in b only, in neither; each pair counted in both orders. */
static double adjusted_rand(runs a, runs b, runs both, int64_t n)
{
    const double total = (double)n * (double)n, together = both.squares - (double)n;
    const double only_a = a.squares - both.squares, only_b = b.squares - both.squares;
    const double apart = total - a.squares - b.squares + both.squares;
    if (only_a == 0 && only_b == 0) return 1;
    return 2 * (together * apart - only_a * only_b) /
           ((together + only_a) * (only_a + apart) + (together + only_b) * (only_b + apart));
}

int pare__grouping_measure(const int32_t *a, const int32_t *b, int64_t n, pare__grouping *out)
{
    *out = (pare__grouping){1, 1, 1, 1};
    if (n == 0) return 0;
    int64_t *key = pare__malloc(n, (int64_t)sizeof *key);
    if (!key) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) key[i] = a[i];
    const runs of_a = count_runs(key, n);
    for (int64_t i = 0; i < n; i++) key[i] = b[i];
    const runs of_b = count_runs(key, n);
    for (int64_t i = 0; i < n; i++) key[i] = ((int64_t)a[i] << 32) + b[i];
    const runs of_both = count_runs(key, n);
    pare__free(key);

    const double entropy_a = entropy_of(of_a, n), entropy_b = entropy_of(of_b, n);
    const double common = fmax(0, entropy_a + entropy_b - entropy_of(of_both, n));
    out->nmi = share_of(2 * common, entropy_a + entropy_b);
    out->homogeneity = share_of(common, entropy_a);
    out->completeness = share_of(common, entropy_b);
    out->adjusted_rand = adjusted_rand(of_a, of_b, of_both, n);
    return 0;
}

double pare__iou(const uint8_t *a, const uint8_t *b, int64_t n)
{
    int64_t both = 0, any = 0;
    for (int64_t i = 0; i < n; i++) {
        both += a[i] && b[i];
        any += a[i] || b[i];
    }
    return any ? (double)both / (double)any : NAN;
}
