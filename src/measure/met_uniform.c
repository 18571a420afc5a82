/* SPDX-License-Identifier: MIT */
/* How evenly the kept cells lie on the grid: per slot that keeps anything, then the mean over those slots. A row is where
 * its anchor is; a result with a grid of its own is seen on the reference's, where one is given. */
#include <math.h>

#include "measure/scene.h"

/* ---- one slot: 0 or NOMEM; NaN where not defined ------------------------------------------------------------------ */

static int slot_cover_chebyshev_max(const pare__cells *c, double *out)
{
    return pare__cells_cover(c, PARE__DISTANCE_CHEBYSHEV, out, NULL);
}

static int slot_cover_chebyshev_mean(const pare__cells *c, double *out)
{
    return pare__cells_cover(c, PARE__DISTANCE_CHEBYSHEV, NULL, out);
}

static int slot_cover_euclid_max(const pare__cells *c, double *out)
{
    return pare__cells_cover(c, PARE__DISTANCE_EUCLID, out, NULL);
}

static int slot_empty_square(const pare__cells *c, double *out)
{
    const int64_t side = pare__cells_empty_square(c);
    *out = (double)side;
    return side < 0 ? PARE_E_NOMEM : 0;
}

static int slot_empty_rectangle(const pare__cells *c, double *out)
{
    const int64_t area = pare__cells_empty_rectangle(c);
    *out = (double)area;
    return area < 0 ? PARE_E_NOMEM : 0;
}

static int slot_empty_rows(const pare__cells *c, double *out)
{
    int64_t rows;
    pare__cells_empty_lines(c, &rows, NULL);
    *out = (double)rows;
    return 0;
}

static int slot_empty_cols(const pare__cells *c, double *out)
{
    int64_t cols;
    pare__cells_empty_lines(c, NULL, &cols);
    *out = (double)cols;
    return 0;
}

static int slot_l2star(const pare__cells *c, double *out)
{
    int32_t *count = PARE__NEW(int32_t, (int64_t)c->h * c->w);
    if (!count) return PARE_E_NOMEM;
    for (int64_t i = 0; i < c->n_keep; i++) count[c->keep[i]] = 1;
    const double own = pare__lattice_l2star_sq(count, 0, c->h, c->w);
    pare__free(count);
    *out = sqrt(fmax(own, 0) / pare__lattice_l2star_random_sq(c->n_keep, 0, c->h, c->w));
    return 0;
}

static int slot_clark_evans(const pare__cells *c, double *out)
{
    *out = pare__cells_clark_evans(c);
    return 0;
}

static int slot_quadrants(const pare__cells *c, double *out) { return pare__cells_bins(c, 2, NULL, out, NULL); }

static int slot_bins(const pare__cells *c, double *out) { return pare__cells_bins(c, 4, NULL, out, NULL); }

/* ---- all slots ---------------------------------------------------------------------------------------------------- */

/* Mean of what `measure` makes of the slots that keep a cell, where it is defined. */
static int over_slots(pare__scene *s, int (*measure)(const pare__cells *, double *), double *out, pare_error *err)
{
    pare__mean mean = {0};
    int rc = pare__scene_owner(s, err);
    if (rc) return rc;
    const pare__mark mark = pare__arena_mark(&s->arena);
    for (int32_t t = 0; t < s->v->grid[0]; t++) {
        pare__cells c;
        double value = NAN;
        rc = pare__scene_cells(s, t, &c, err);
        if (rc) return rc;
        if (c.n_keep > 0) rc = measure(&c, &value);
        if (rc) return pare_fail(err, rc, "out of memory");
        pare__mean_add(&mean, value);
        pare__arena_reset(&s->arena, mark);
    }
    *out = pare__mean_get(&mean);
    return 0;
}

#define OVER_SLOTS(name)                                                                                               \
    static int name(pare__scene *s, double *out, pare_error *err) { return over_slots(s, slot_##name, out, err); }
OVER_SLOTS(cover_chebyshev_max)
OVER_SLOTS(cover_chebyshev_mean)
OVER_SLOTS(cover_euclid_max)
OVER_SLOTS(empty_square)
OVER_SLOTS(empty_rectangle)
OVER_SLOTS(empty_rows)
OVER_SLOTS(empty_cols)
OVER_SLOTS(l2star)
OVER_SLOTS(clark_evans)
OVER_SLOTS(quadrants)
OVER_SLOTS(bins)
#undef OVER_SLOTS

const pare__metric pare__met_uniform[] = {
    {"cover_chebyshev_max_patches", "patches", "covering radius: the farthest that a cell is from a kept one",
     "max over cells of min over kept cells of max(|dr|, |dc|)", "covering radius (k-center), Gonzalez 1985", 0, -1,
     cover_chebyshev_max},
    {"cover_chebyshev_mean_patches", "patches", "how far a cell is from the nearest kept one",
     "mean over cells of min over kept cells of max(|dr|, |dc|)", "quantisation error of the grid, Gersho & Gray 1992",
     0, -1, cover_chebyshev_mean},
    {"cover_euclid_max_patches", "patches", "covering radius as the crow flies",
     "max over cells of min over kept cells of sqrt(dr^2 + dc^2)", "covering radius (k-center), Gonzalez 1985", 0, -1,
     cover_euclid_max},
    {"largest_empty_square_patches", "patches", "side of the largest square of dropped cells",
     "max side of an axis-parallel square without a kept cell", "maximal square by dynamic programming, textbook", 0,
     -1, empty_square},
    {"largest_empty_rectangle_patches2", "patches2", "area of the largest rectangle of dropped cells",
     "max area of an axis-parallel rectangle without a kept cell", "maximum empty rectangle, Naamad, Lee & Hsu 1984", 0,
     -1, empty_rectangle},
    {"empty_rows_patches", "patches", "longest run of grid rows of which nothing is kept",
     "max run of rows without a kept cell", "ours", 0, -1, empty_rows},
    {"empty_cols_patches", "patches", "longest run of grid columns of which nothing is kept",
     "max run of columns without a kept cell", "ours", 0, -1, empty_cols},
    {"l2star_to_random_ratio", "ratio", "discrepancy against random cells: 1 as random, far above it one-sided",
     "D / sqrt(E D^2); D^2 = 3^-2 - (1/2K) sum_i prod(1 - x_i^2) + K^-2 sum_ij prod(1 - max(x_i, x_j)), x = (cell + "
     ".5) / "
     "side; E: exact, over random sets of K cells without replacement",
     "Warnock, Computational investigations of low-discrepancy point sets, 1972", 0, -1, l2star},
    {"clark_evans_ratio", "ratio", "distance to the nearest kept neighbour: 1 as random, 2 a square lattice, 0 a clump",
     "mean nearest-neighbour distance / (.5 sqrt(N / K)); no edge correction; n/a for K = 1",
     "Clark & Evans, Ecology 35, 1954", 0, 1, clark_evans},
    {"quadrant_entropy_ratio", "ratio", "are the four quarters of the picture served alike?",
     "-sum p ln p / ln 4 over 2 x 2 bins floor(2 row / H), floor(2 col / W); ln of the bins that hold cells",
     "Shannon 1948 (quadrat counts)", 0, 1, quadrants},
    {"bins_entropy_ratio", "ratio", "are the sixteen parts of the picture served alike?",
     "-sum p ln p / ln 16 over 4 x 4 bins floor(4 row / H), floor(4 col / W); ln of the bins that hold cells",
     "Shannon 1948 (quadrat counts)", 0, 1, bins},
    {0},
};
