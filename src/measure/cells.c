/* SPDX-License-Identifier: MIT */
/* Kept cells of one grid, points in the unit cube and counts per step: how evenly they lie. By definition (brute force),
 * but for the lattice form of the L2-star discrepancy, which counts instead of comparing pairs.
 * Sources: Warnock 1972 and Hickernell 1998 (discrepancies), Clark & Evans 1954, Gini 1912. */
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "measure/scene.h"

/* ---- covering radius ------------------------------------------------------------------------------------------ */

/* Least distance of (r, c) to the cells rows[n], cols[n]; Euclid squared. */
static int32_t least_chebyshev(const int32_t *rows, const int32_t *cols, int64_t n, int32_t r, int32_t c)
{
    int32_t least = INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        const int32_t dr = abs(rows[i] - r), dc = abs(cols[i] - c), d = dr > dc ? dr : dc;
        least = d < least ? d : least;
    }
    return least;
}

static int32_t least_euclid_sq(const int32_t *rows, const int32_t *cols, int64_t n, int32_t r, int32_t c)
{
    int32_t least = INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        const int32_t dr = rows[i] - r, dc = cols[i] - c, d = dr * dr + dc * dc;
        least = d < least ? d : least;
    }
    return least;
}

static int32_t least_l1(const int32_t *rows, const int32_t *cols, int64_t n, int32_t r, int32_t c)
{
    int32_t least = INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        const int32_t d = abs(rows[i] - r) + abs(cols[i] - c);
        least = d < least ? d : least;
    }
    return least;
}

/* Rows and columns of the kept cells: [2 n_keep], to be freed; NULL = out of memory. */
static int32_t *split_places(const pare__cells *c)
{
    int32_t *place = pare__malloc(2 * c->n_keep + 1, sizeof *place);
    for (int64_t i = 0; place && i < c->n_keep; i++) {
        place[i] = c->keep[i] / c->w;
        place[c->n_keep + i] = c->keep[i] % c->w;
    }
    return place;
}

int pare__cells_cover(const pare__cells *c, pare__distance kind, double *largest, double *mean)
{
    static int32_t (*const least[])(const int32_t *, const int32_t *, int64_t, int32_t,
                                    int32_t) = {[PARE__DISTANCE_CHEBYSHEV] = least_chebyshev,
                                                [PARE__DISTANCE_EUCLID] = least_euclid_sq,
                                                [PARE__DISTANCE_L1] = least_l1};
    if (c->n_keep < 1) return PARE_E_INVALID;
    int32_t *place = split_places(c);
    if (!place) return PARE_E_NOMEM;
    double most = 0, sum = 0;
    for (int32_t row = 0; row < c->h; row++)
        for (int32_t col = 0; col < c->w; col++) {
            const double raw = (double)least[kind](place, place + c->n_keep, c->n_keep, row, col);
            const double d = kind == PARE__DISTANCE_EUCLID ? sqrt(raw) : raw;
            most = d > most ? d : most;
            sum += d;
        }
    pare__free(place);
    if (largest) *largest = most;
    if (mean) *mean = sum / ((double)c->h * c->w);
    return 0;
}

/* ---- holes ---------------------------------------------------------------------------------------------------- */

/* Flags [h, w] of kept cells, to be freed; NULL = out of memory. */
static uint8_t *occupancy(const pare__cells *c)
{
    uint8_t *kept = pare__calloc((int64_t)c->h * c->w, 1);
    for (int64_t i = 0; kept && i < c->n_keep; i++) kept[c->keep[i]] = 1;
    return kept;
}

static int32_t least3(int32_t a, int32_t b, int32_t c)
{
    const int32_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

int64_t pare__cells_empty_square(const pare__cells *c)
{
    uint8_t *kept = occupancy(c);
    int32_t *side = pare__calloc(c->w + 1, sizeof *side); /* side[col + 1]: square that ends at (row, col) */
    int32_t best = 0;
    for (int32_t row = 0; kept && side && row < c->h; row++) {
        int32_t diagonal = 0;
        for (int32_t col = 0; col < c->w; col++) {
            const int32_t above = side[col + 1];
            side[col + 1] = kept[(int64_t)row * c->w + col] ? 0 : 1 + least3(diagonal, above, side[col]);
            diagonal = above;
            best = side[col + 1] > best ? side[col + 1] : best;
        }
    }
    const int failed = !kept || !side;
    pare__free(kept);
    pare__free(side);
    return failed ? -1 : best;
}

/* Largest rectangle under the columns height[w], whose open left edges wait on a stack: start[], level[] [w + 1]. */
static int64_t largest_under(const int32_t *height, int32_t w, int32_t *start, int32_t *level)
{
    int64_t best = 0;
    int32_t n = 0;
    for (int32_t col = 0; col <= w; col++) {
        const int32_t now = col < w ? height[col] : 0;
        int32_t left = col;
        for (; n > 0 && level[n - 1] >= now; n--) {
            const int64_t area = (int64_t)level[n - 1] * (col - start[n - 1]);
            best = area > best ? area : best;
            left = start[n - 1];
        }
        start[n] = left;
        level[n++] = now;
    }
    return best;
}

int64_t pare__cells_empty_rectangle(const pare__cells *c)
{
    uint8_t *kept = occupancy(c);
    int32_t *work = pare__calloc(3 * ((int64_t)c->w + 1), sizeof *work);
    int64_t best = kept && work ? 0 : -1;
    for (int32_t row = 0; best >= 0 && row < c->h; row++) {
        for (int32_t col = 0; col < c->w; col++) work[col] = kept[(int64_t)row * c->w + col] ? 0 : work[col] + 1;
        const int64_t here = largest_under(work, c->w, work + c->w + 1, work + 2 * ((int64_t)c->w + 1));
        best = here > best ? here : best;
    }
    pare__free(kept);
    pare__free(work);
    return best;
}

/* Longest run of lines 0 .. n - 1 that hold no kept cell; line = keep / div % mod. */
static int64_t longest_run(const pare__cells *c, int32_t n, int32_t div, int32_t mod)
{
    int64_t best = 0, run = 0;
    for (int32_t line = 0; line < n; line++) {
        int empty = 1;
        for (int64_t i = 0; i < c->n_keep && empty; i++) empty = c->keep[i] / div % mod != line;
        run = empty ? run + 1 : 0;
        best = run > best ? run : best;
    }
    return best;
}

void pare__cells_empty_lines(const pare__cells *c, int64_t *rows, int64_t *cols)
{
    if (rows) *rows = longest_run(c, c->h, c->w, c->h);
    if (cols) *cols = longest_run(c, c->w, 1, c->w);
}

/* ---- counts: entropy, Gini, chi-square ------------------------------------------------------------------------ */

/* Entropy of count[n] over ln n; NaN without counts or where n is 1. */
static double count_entropy(const int64_t *count, int64_t n)
{
    double sum = 0, h = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)count[i];
    if (sum <= 0 || n < 2) return NAN;
    for (int64_t i = 0; i < n; i++)
        if (count[i] > 0) h += (double)count[i] / sum * log(sum / (double)count[i]);
    return h / log((double)n);
}

/* Gini as the mean difference of every count from every other; NaN without counts. */
static double count_gini(const int64_t *count, int64_t n)
{
    double apart = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)count[i];
        for (int64_t j = 0; j < i; j++) apart += (double)llabs((long long)(count[i] - count[j]));
    }
    return sum > 0 ? apart / ((double)n * sum) : NAN;
}

/* Kept cells and all cells of every bin: count[b b], cell[b b], zeroed. */
static void fill_bins(const pare__cells *c, int64_t b, int64_t *count, int64_t *cell)
{
    for (int64_t row = 0; row < c->h; row++)
        for (int64_t col = 0; col < c->w; col++) cell[row * b / c->h * b + col * b / c->w]++;
    for (int64_t i = 0; i < c->n_keep; i++) {
        const int64_t row = c->keep[i] / c->w, col = c->keep[i] % c->w;
        count[row * b / c->h * b + col * b / c->w]++;
    }
}

int pare__cells_bins(const pare__cells *c, int32_t b, double *chi2, double *entropy, double *gini)
{
    const int64_t all = (int64_t)b * b;
    int64_t *count = pare__calloc(2 * all, sizeof *count), *cell = count + all, n = 0;
    if (!count) return PARE_E_NOMEM;
    fill_bins(c, b, count, cell);
    double chi = 0;
    for (int64_t i = 0; i < all; i++) {
        const double expected = (double)c->n_keep * (double)cell[i] / ((double)c->h * c->w);
        if (expected > 0) chi += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
        if (cell[i]) count[n++] = count[i]; /* a grid narrower than b has bins that no cell can be in */
    }
    if (chi2) *chi2 = chi;
    if (entropy) *entropy = count_entropy(count, n);
    if (gini) *gini = count_gini(count, n);
    pare__free(count);
    return 0;
}

void pare__count_measure(const int64_t *count, int32_t t, pare__count_stats *out)
{
    double sum = 0;
    int64_t empty = 0, le1 = 0, run = 0, gap = 0;
    *out = (pare__count_stats){.min = INFINITY, .max = 0};
    for (int32_t i = 0; i < t; i++) {
        sum += (double)count[i];
        empty += count[i] == 0;
        le1 += count[i] <= 1;
        run = count[i] ? 0 : run + 1;
        gap = run > gap ? run : gap;
        out->min = fmin(out->min, (double)count[i]);
        out->max = fmax(out->max, (double)count[i]);
    }
    const double mean = sum / t;
    for (int32_t i = 0; i < t; i++) out->chi2 += ((double)count[i] - mean) * ((double)count[i] - mean);
    out->chi2 = sum > 0 ? out->chi2 / mean : NAN;
    out->entropy = count_entropy(count, t);
    out->gini = count_gini(count, t);
    out->share_empty = (double)empty / t;
    out->share_le1 = (double)le1 / t;
    out->longest_gap = (double)gap;
}

/* ---- nearest neighbours --------------------------------------------------------------------------------------- */

double pare__cells_nn_mean(const pare__cells *c)
{
    if (c->n_keep < 2) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < c->n_keep; i++) {
        const int32_t row = c->keep[i] / c->w, col = c->keep[i] % c->w;
        int32_t least = INT32_MAX;
        for (int64_t j = 0; j < c->n_keep; j++) {
            if (j == i) continue;
            const int32_t dr = c->keep[j] / c->w - row, dc = c->keep[j] % c->w - col, d = dr * dr + dc * dc;
            least = d < least ? d : least;
        }
        sum += sqrt((double)least);
    }
    return sum / (double)c->n_keep;
}

double pare__cells_clark_evans(const pare__cells *c)
{
    return pare__cells_nn_mean(c) / (.5 * sqrt((double)c->h * c->w / (double)c->n_keep));
}

/* ---- discrepancies -------------------------------------------------------------------------------------------- */

double pare__l2star_sq(const double *x, int64_t n, int32_t dim)
{
    double single = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        double p = 1;
        for (int32_t k = 0; k < dim; k++) p *= 1 - x[i * dim + k] * x[i * dim + k];
        single += p;
        for (int64_t j = 0; j < n; j++) {
            double q = 1;
            for (int32_t k = 0; k < dim; k++) q *= 1 - fmax(x[i * dim + k], x[j * dim + k]);
            pairs += q;
        }
    }
    return pow(3, -dim) - pow(2, 1 - dim) * single / (double)n + pairs / ((double)n * (double)n);
}

double pare__l2centred_sq(const double *x, int64_t n, int32_t dim)
{
    double single = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        double p = 1;
        for (int32_t k = 0; k < dim; k++) {
            const double a = fabs(x[i * dim + k] - .5);
            p *= 1 + .5 * a - .5 * a * a;
        }
        single += p;
        for (int64_t j = 0; j < n; j++) {
            double q = 1;
            for (int32_t k = 0; k < dim; k++) {
                const double a = x[i * dim + k], b = x[j * dim + k];
                q *= 1 + .5 * fabs(a - .5) + .5 * fabs(b - .5) - .5 * fabs(a - b);
            }
            pairs += q;
        }
    }
    return pow(13. / 12, dim) - 2 * single / (double)n + pairs / ((double)n * (double)n);
}
