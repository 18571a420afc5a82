/* SPDX-License-Identifier: MIT */
/* Statistics of paired comparisons (stats.h).
 *   bootstrap  Efron & Tibshirani, An Introduction to the Bootstrap (1993): percentile interval of the mean; the indices of
 *              all resamples follow from (seed, n) alone, so that everything measured on the same items is resampled alike
 *   p          twice the share of resamples on the far side of zero (one added above and below); where none is there,
 *              Student's tail in Wallace's approximation (Ann. Math. Stat. 30, 1959): 2000 resamples cannot tell 1e-3
 *              from 1e-9, and no comparison among a hundred would survive Holm's correction. Never below 2^(1 - n), the
 *              smallest p that a sign test of n items can give: three items prove nothing, however alike they are
 *   Holm       Scand. J. Statist. 6 (1979)
 *   McNemar    exact: binomial with probability one half over the discordant pairs */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- generator: SplitMix64 (Steele, Lea, Flood 2014), two indices a number -------------------------------------- */

static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Sum of n draws with replacement from x[n], n < 2^32. */
static double resample(const double *x, uint64_t n, uint64_t *state)
{
    double even = 0, odd = 0;
    for (uint64_t i = 0; i + 1 < n; i += 2) {
        uint64_t bits = next_bits(state);
        even += x[(bits & 0xffffffffu) * n >> 32];
        odd += x[(bits >> 32) * n >> 32];
    }
    if (n % 2 != 0) even += x[(next_bits(state) >> 32) * n >> 32];
    return even + odd;
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Copy of the finite numbers of x[n]; *m of them, *out NULL when there are none. 0 or -1. */
static int numbers_of(const double *x, int64_t n, double **out, int64_t *m)
{
    *out = NULL;
    *m = 0;
    for (int64_t i = 0; i < n; i++) *m += isfinite(x[i]) != 0;
    if (*m == 0) return 0;
    if ((*out = malloc((size_t)*m * sizeof **out)) == NULL) return -1;
    for (int64_t i = 0, k = 0; i < n; i++)
        if (isfinite(x[i])) (*out)[k++] = x[i];
    return 0;
}

/* Nearest rank in ascending x[n], n > 0. */
static double ranked(const double *x, int64_t n, double q)
{
    int64_t rank = (int64_t)ceil(q * (double)n);
    return x[rank < 1 ? 0 : rank > n ? n - 1 : rank - 1];
}

int bench_quantile(const double *x, int64_t n, double q, double *out)
{
    double *sorted;
    int64_t m;
    *out = NAN;
    if (numbers_of(x, n, &sorted, &m) != 0) return -1;
    if (m == 0) return 0;
    qsort(sorted, (size_t)m, sizeof *sorted, compare_doubles);
    *out = ranked(sorted, m, q);
    free(sorted);
    return 0;
}

/* ---- bootstrap -------------------------------------------------------------------------------------------------- */

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* Two-sided p of Student's t of mean = 0; 0 where x is constant. n > 1, mean != 0. */
static double student_tail(const double *x, int64_t n, double mean)
{
    double squares = 0, free_n = (double)n - 1;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    if (!(squares > 0)) return 0;
    double t2 = mean * mean * (double)n * free_n / squares;
    double z = (8 * free_n + 1) / (8 * free_n + 3) * sqrt(free_n * log1p(t2 / free_n));
    return erfc(z / sqrt(2));
}

/* boot[BENCH_BOOTSTRAP]: means of resamples of x[n]. */
static double two_sided(const double *boot, const double *x, int64_t n, double mean)
{
    int64_t below = 0, above = 0;
    for (int64_t i = 0; i < BENCH_BOOTSTRAP; i++) {
        below += boot[i] <= 0;
        above += boot[i] >= 0;
    }
    int64_t far = below < above ? below : above;
    double p = 2 * ((double)far + 1) / (BENCH_BOOTSTRAP + 1), least = n < 1000 ? ldexp(1, 1 - (int)n) : 0;
    if (far == 0 && n > 1) p = fmin(p, student_tail(x, n, mean));
    return fmin(1, fmax(p, least));
}

int bench_bootstrap(const double *x, int64_t n, uint64_t seed, bench_interval *out, double *p)
{
    double boot[BENCH_BOOTSTRAP], *number;
    int64_t m;
    *out = (bench_interval){NAN, NAN, NAN};
    if (p != NULL) *p = NAN;
    if (numbers_of(x, n, &number, &m) != 0) return -1;
    if (m == 0) return 0;
    for (int64_t i = 0; i < BENCH_BOOTSTRAP; i++) boot[i] = resample(number, (uint64_t)m, &seed) / (double)m;
    double mean = mean_of(number, m);
    if (p != NULL) *p = two_sided(boot, number, m, mean);
    qsort(boot, BENCH_BOOTSTRAP, sizeof *boot, compare_doubles);
    /* Rounding of sums in another order must not push the interval off its own mean. */
    out->value = mean;
    out->lo = fmin(mean, boot[BENCH_BOOTSTRAP / 40 - 1]);
    out->hi = fmax(mean, boot[BENCH_BOOTSTRAP - BENCH_BOOTSTRAP / 40]);
    free(number);
    return 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

double bench_mcnemar(int64_t b, int64_t c)
{
    int64_t n = b + c, least = b < c ? b : c;
    double dn = (double)n, k = (double)least;
    if (n <= 0) return 1;
    double term = exp(lgamma(dn + 1) - lgamma(k + 1) - lgamma(dn - k + 1) - dn * log(2)), sum = 0;
    for (int64_t i = least; i >= 0 && term > 0; i--) {
        sum += term;
        term *= (double)i / (double)(n - i + 1);
    }
    return fmin(1, 2 * sum);
}

int bench_holm(double *p, int64_t n)
{
    double *sorted, last = 0;
    int64_t m;
    if (numbers_of(p, n, &sorted, &m) != 0) return -1;
    if (m == 0) return 0;
    qsort(sorted, (size_t)m, sizeof *sorted, compare_doubles);
    double *adjusted = malloc((size_t)m * sizeof *adjusted);
    for (int64_t i = 0; adjusted != NULL && i < m; i++) {
        last = fmax(last, fmin(1, (double)(m - i) * sorted[i]));
        adjusted[i] = last;
    }
    for (int64_t i = 0; adjusted != NULL && i < n; i++) {
        /* Equal p share the first one's place: later ones would only be given the same running maximum. */
        const double *found = bsearch(&p[i], sorted, (size_t)m, sizeof *sorted, compare_doubles);
        if (found == NULL || isnan(p[i])) continue;
        while (found > sorted && found[-1] == *found) found--;
        p[i] = adjusted[found - sorted];
    }
    free(sorted);
    int failed = adjusted == NULL;
    free(adjusted);
    return failed ? -1 : 0;
}

/* How far `at` is on the way from a to b, a <= at < b. */
static double way(double a, double b, double at) { return a > 0 ? log(at / a) / log(b / a) : (at - a) / (b - a); }

int bench_place(const double *x, int64_t n, double at, int64_t *i, double *w)
{
    int64_t k = 0;
    if (n <= 0 || !(at >= x[0])) return -1;
    while (k + 1 < n && x[k + 1] <= at) k++;
    *i = k;
    *w = k + 1 < n ? way(x[k], x[k + 1], at) : 0;
    return 0;
}
