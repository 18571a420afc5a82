/* SPDX-License-Identifier: MIT */
/* What metrics share: the kept cells of every slot, which row stands for which unit, similarities of units to kept units,
 * the un-merged features. Each part is made when first asked for and lives as long as the scene. */
#ifndef PARE_MEASURE_SCENE_H
#define PARE_MEASURE_SCENE_H

#include <math.h>

#include "core/dense.h"
#include "core/mem.h"
#include "measure/metric.h"

struct pare__scene {
    const pare_result_view *v;     /* measured */
    const pare_result_view *other; /* reference, another reduction, or NULL */
    const pare__dense *dense;
    pare__arena arena; /* owns the lazy parts */
    /* Units: those of `other` where it is a reference, else v's own. A reduction that defined a grid of its own (resize)
     * is seen on the reference's grid: a unit belongs to the row whose box holds its centre. */
    int64_t n;
    int32_t *owner;  /* [n] row of v that stands for the unit, -1 = none (pare__map_owner; boxes across grids) */
    int32_t *anchor; /* [k] unit of every row; across grids the one whose centre is nearest to that of the row's box */
    /* Features are looked at in n_seen units, all of them up to PARE__MAX_MEASURED: similarities cost n x k. */
    int64_t n_seen;
    double *unit;     /* [n_seen, d] features of the reference, double */
    double *cosine;   /* [n_seen] cosine with the most similar kept unit */
    int32_t *nearest; /* [n_seen] row of that kept unit; ties to the lower row */
    double *rebuilt;  /* [n_seen, d] un-merged: the row that stands for the unit, else its most similar row */
};

/* The i-th of `seen` evenly spaced ones among n. */
static inline int64_t pare__seen(int64_t i, int64_t seen, int64_t n) { return i * n / seen; }

/* Fills the part; 0, NOMEM, INVALID. Calling twice costs nothing. */
int pare__scene_owner(pare__scene *s, pare_error *err);
int pare__scene_units(pare__scene *s, pare_error *err);
int pare__scene_nearest(pare__scene *s, pare_error *err);
int pare__scene_rebuilt(pare__scene *s, pare_error *err);
/* The result whose grid the units are of: `other`, else v. */
const pare_result_view *pare__scene_grid(const pare__scene *s);
/* Does v number the same units? Not where it has a grid of its own (resize). */
int pare__scene_same_grid(const pare__scene *s);

/* Mean over the slots or media in which something is defined; NaN where it is in none. Starts zeroed. */
typedef struct pare__mean {
    double sum;
    int64_t n;
} pare__mean;

static inline void pare__mean_add(pare__mean *m, double value)
{
    if (isnan(value)) return;
    m->sum += value;
    m->n++;
}

static inline double pare__mean_get(const pare__mean *m) { return m->n ? m->sum / (double)m->n : NAN; }

/* ---- kernels that golden fixtures call directly, by definition and brute force unless they say otherwise ------------ */

/* Kept cells keep[n_keep] (raster indices) of one h x w grid. */
typedef struct pare__cells {
    const int32_t *keep;
    int64_t n_keep;
    int32_t h, w;
} pare__cells;

/* Kept cells of a slot on the units' grid, ascending, each once; the list lives in the arena. */
int pare__scene_cells(pare__scene *s, int32_t slot, pare__cells *out, pare_error *err);

typedef enum { PARE__DISTANCE_CHEBYSHEV, PARE__DISTANCE_EUCLID, PARE__DISTANCE_L1 } pare__distance;

/* Distance of every cell to its nearest kept cell: *largest and *mean (each may be NULL), in patches. 0, NOMEM, or
 * INVALID where nothing is kept. */
int pare__cells_cover(const pare__cells *c, pare__distance kind, double *largest, double *mean);
int64_t pare__cells_empty_square(const pare__cells *c); /* side of the largest square without a kept cell; -1 = NOMEM */
int64_t pare__cells_empty_rectangle(const pare__cells *c);                        /* area */
void pare__cells_empty_lines(const pare__cells *c, int64_t *rows, int64_t *cols); /* longest runs */
/* b x b bins, of which those count that hold a cell of the grid (all, unless it is narrower than b): chi-square against
 * uniform, entropy / ln(bins), Gini; each may be NULL. 0 or NOMEM. */
int pare__cells_bins(const pare__cells *c, int32_t b, double *chi2, double *entropy, double *gini);
double pare__cells_nn_mean(const pare__cells *c);     /* NaN for n_keep < 2 */
double pare__cells_clark_evans(const pare__cells *c); /* NaN for n_keep < 2 */
/* Points x[n, dim] in [0, 1): squared L2-star discrepancy (Warnock), squared centred L2 (Hickernell). */
double pare__l2star_sq(const double *x, int64_t n, int32_t dim);
double pare__l2centred_sq(const double *x, int64_t n, int32_t dim);
/* The former for cell centres of a t x h x w lattice (t = 0: h x w) with count[t, h, w] points each, in linear time; the
 * counts become prefix sums. NaN without points. */
double pare__lattice_l2star_sq(int32_t *count, int32_t t, int32_t h, int32_t w);
/* Its exact expectation over random sets of k cells without replacement; 0 < k <= cells. */
double pare__lattice_l2star_random_sq(int64_t k, int32_t t, int32_t h, int32_t w);

/* Counts per step [t], t > 0. Entropy over ln t: NaN for one step; entropy, chi2 and gini: NaN where all counts are 0. */
typedef struct pare__count_stats {
    double entropy, chi2, gini, min, max, share_empty, share_le1, longest_gap;
} pare__count_stats;
void pare__count_measure(const int64_t *count, int32_t t, pare__count_stats *out);

/* Spearman (average ranks on ties) and Pearson; NaN for a constant argument. 0 or NOMEM. */
int pare__spearman(const double *a, const double *b, int64_t n, double *out);
double pare__pearson(const double *a, const double *b, int64_t n);
double pare__top_mass(const double *score, int64_t n, double share); /* of the ceil(share n) largest; NaN as in maps */
/* -sum p ln p / ln n of score / sum; NaN for n = 1 */
double pare__mass_entropy(const double *score, int64_t n);
/* Maps normalised to sum 1: KL(a|b) (infinite where b alone is 0), Jensen-Shannon, sum of minima. Natural log. NaN for
 * what is no mass: a negative value, or a sum of 0. */
double pare__kl(const double *a, const double *b, int64_t n);
double pare__js(const double *a, const double *b, int64_t n);
double pare__overlap(const double *a, const double *b, int64_t n);

/* Groupings a[n], b[n] of labels >= 0. */
typedef struct pare__grouping {
    double nmi, homogeneity, completeness, adjusted_rand;
} pare__grouping;
int pare__grouping_measure(const int32_t *a, const int32_t *b, int64_t n, pare__grouping *out);
/* Intersection over union of two sets given as flags; NaN if both are empty. */
double pare__iou(const uint8_t *a, const uint8_t *b, int64_t n);

/* exp(-sum p ln p), p = singular values / sum; NaN if all are 0. x is not changed. */
int pare__effective_rank(const pare__dense *dense, const double *x, int64_t n, int64_t d, double *out, pare_error *err);
/* a[n, da], b[n, db], columns centred here. NaN where one is constant. */
int pare__linear_cka(const pare__dense *dense, const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                     double *out);
/* Mean cosine and squared error of rows: over all rows and elements. */
void pare__row_errors(const double *a, const double *b, int64_t n, int64_t d, double *cosine, double *mse,
                      double *relative);

#endif
