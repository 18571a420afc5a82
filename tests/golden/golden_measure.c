/* SPDX-License-Identifier: MIT */
/* Groups metrics_spatial, metrics_temporal, metrics_score, metrics_maps: every number of every file, in double. */
#include <math.h>

#include "golden.h"
#include "measure/scene.h"

/* A number that is 0 but for rounding in one of the two needs the absolute bound. */
#define SAME 1e-9, 1e-13

static void one(golden *g, const char *name, double value) { golden_f64(g, name, &value, 1, SAME); }

/* For tensors that the file leaves out exactly where the number is not defined. */
static void one_or_none(golden *g, const char *name, double value)
{
    char full[128];
    snprintf(full, sizeof full, "out.%s", name);
    const int is_there = pare__tensors_find(g->file, full) != NULL, is_number = !isnan(value);
    if (is_there != is_number) golden_fail(g, "%s is %g, but the file %s it", full, value, is_there ? "has" : "lacks");
    one(g, name, value);
}

/* in.NAME as doubles, to be freed; *n elements. */
static double *read_f64(golden *g, const char *name, int64_t *n)
{
    const pare_tensor *t = golden_in(g, name);
    *n = t ? pare__tensor_count(t) : 0;
    float *x = PARE__NEW(float, *n + 1);
    double *out = PARE__NEW(double, *n + 1);
    golden_read(g, name, x, *n);
    for (int64_t i = 0; i < *n; i++) out[i] = x[i];
    pare__free(x);
    return out;
}

/* in.keep, to be freed. */
static int32_t *read_keep(golden *g, int64_t *n)
{
    double *x = read_f64(g, "keep", n);
    int32_t *keep = PARE__NEW(int32_t, *n + 1);
    for (int64_t i = 0; i < *n; i++) keep[i] = (int32_t)x[i];
    pare__free(x);
    golden_agree(g, "K", *n);
    return keep;
}

/* Centres of cells of a t x h x w lattice in the unit cube, [n, t ? 3 : 2] in the order col, row, step; to be freed. */
static double *points(const int32_t *keep, int64_t n, int32_t t, int32_t h, int32_t w)
{
    const int dim = t ? 3 : 2;
    double *x = PARE__NEW(double, n *dim + 1);
    for (int64_t i = 0; i < n; i++) {
        x[dim * i] = (keep[i] % w + .5) / w;
        x[dim * i + 1] = (keep[i] / w % h + .5) / h;
        if (t) x[dim * i + 2] = (keep[i] / (w * h) + .5) / t;
    }
    return x;
}

/* The discrepancy both ways: by pairs, and by counting. */
static void check_l2star(golden *g, const char *const name[2], const int32_t *keep, int64_t n, const int32_t thw[3])
{
    double *x = points(keep, n, thw[0], thw[1], thw[2]);
    int32_t *count = PARE__NEW(int32_t, (int64_t)(thw[0] ? thw[0] : 1) * thw[1] * thw[2]);
    for (int64_t i = 0; i < n; i++) count[keep[i]]++;
    const double by_pairs = pare__l2star_sq(x, n, thw[0] ? 3 : 2);
    const double counted = pare__lattice_l2star_sq(count, thw[0], thw[1], thw[2]);
    one(g, name[0], by_pairs);
    one(g, name[0], counted);
    one(g, name[1], sqrt(by_pairs));
    if (!thw[0]) one(g, "l2centred_sq", pare__l2centred_sq(x, n, 2));
    pare__free(x);
    pare__free(count);
}

/* ---- metrics_spatial ----------------------------------------------------------------------------------------------- */

static void check_cover(golden *g, const pare__cells *c)
{
    double largest, mean;
    pare__cells_cover(c, PARE__DISTANCE_CHEBYSHEV, &largest, &mean);
    one(g, "cover_chebyshev_max", largest);
    one(g, "cover_chebyshev_mean", mean);
    pare__cells_cover(c, PARE__DISTANCE_EUCLID, &largest, &mean);
    one(g, "cover_euclid_max", largest);
    one(g, "cover_euclid_mean", mean);
    pare__cells_cover(c, PARE__DISTANCE_L1, &largest, NULL);
    one(g, "cover_l1_max", largest);
}

static void check_holes(golden *g, const pare__cells *c)
{
    int64_t rows, cols;
    pare__cells_empty_lines(c, &rows, &cols);
    one(g, "max_empty_rows", (double)rows);
    one(g, "max_empty_cols", (double)cols);
    one(g, "largest_empty_square", (double)pare__cells_empty_square(c));
    one(g, "largest_empty_rectangle_area", (double)pare__cells_empty_rectangle(c));
}

static void check_bins(golden *g, const pare__cells *c, int32_t b, const char *const name[3])
{
    double chi2, entropy, gini;
    if (pare__cells_bins(c, b, &chi2, &entropy, &gini)) golden_fail(g, "out of memory");
    one(g, name[0], chi2);
    one(g, name[1], entropy);
    one(g, name[2], gini);
}

static void run_spatial(golden *g)
{
    static const char *const two[3] = {"chi2_2x2", "entropy_2x2", "gini_2x2"};
    static const char *const four[3] = {"chi2_4x4", "entropy_4x4", "gini_4x4"};
    static const char *const star[2] = {"l2star_sq", "l2star"};
    int64_t n;
    int32_t *keep = read_keep(g, &n);
    const int32_t thw[3] = {0, (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W")};
    const pare__cells c = {.keep = keep, .n_keep = n, .h = thw[1], .w = thw[2]};
    check_cover(g, &c);
    check_holes(g, &c);
    check_bins(g, &c, 2, two);
    check_bins(g, &c, 4, four);
    check_l2star(g, star, keep, n, thw);
    one_or_none(g, "nn_mean", pare__cells_nn_mean(&c));
    one_or_none(g, "clark_evans", pare__cells_clark_evans(&c));
    pare__free(keep);
}

/* ---- metrics_temporal ---------------------------------------------------------------------------------------------- */

static void check_counts(golden *g, const int64_t *count, int32_t t)
{
    int32_t *narrow = PARE__NEW(int32_t, t);
    pare__count_stats s;
    for (int32_t i = 0; i < t; i++) narrow[i] = (int32_t)count[i];
    golden_i32(g, "counts", narrow, t);
    pare__free(narrow);
    pare__count_measure(count, t, &s);
    one(g, "count_entropy", s.entropy);
    one(g, "chi2", s.chi2);
    one(g, "gini", s.gini);
    one(g, "count_min", s.min);
    one(g, "count_max", s.max);
    one(g, "share_frames_empty", s.share_empty);
    one(g, "share_frames_le1", s.share_le1);
    one(g, "longest_empty_run", s.longest_gap);
}

static void run_temporal(golden *g)
{
    static const char *const star[2] = {"l2star_3d_sq", "l2star_3d"};
    int64_t n;
    int32_t *keep = read_keep(g, &n);
    const int32_t thw[3] = {(int32_t)golden_int(g, "T"), (int32_t)golden_int(g, "H"), (int32_t)golden_int(g, "W")};
    int64_t *count = PARE__NEW(int64_t, thw[0]);
    for (int64_t i = 0; i < n; i++) count[keep[i] / (thw[1] * thw[2])]++;
    check_counts(g, count, thw[0]);
    check_l2star(g, star, keep, n, thw);
    pare__free(count);
    pare__free(keep);
}

/* ---- metrics_score, metrics_maps ----------------------------------------------------------------------------------- */

static void rho(golden *g, const char *name, const double *a, const double *b, int64_t n)
{
    double value = NAN;
    if (pare__spearman(a, b, n, &value)) golden_fail(g, "out of memory");
    one(g, name, value);
}

/* Places of cell i: raster index, row, column, distance from the centre and from the border. */
static void place(int64_t i, int32_t h, int32_t w, double out[5])
{
    const double r = (double)(i / w), c = (double)(i % w);
    out[0] = (double)i;
    out[1] = r;
    out[2] = c;
    out[3] = sqrt((r - .5 * (h - 1)) * (r - .5 * (h - 1)) + (c - .5 * (w - 1)) * (c - .5 * (w - 1)));
    out[4] = fmin(fmin(r, h - 1 - r), fmin(c, w - 1 - c));
}

static void check_means(golden *g, const double *score, int32_t h, int32_t w)
{
    double *row = PARE__NEW(double, h), *col = PARE__NEW(double, w);
    for (int64_t i = 0; i < (int64_t)h * w; i++) {
        row[i / w] += score[i] / w;
        col[i % w] += score[i] / h;
    }
    golden_f64(g, "row_mean", row, h, SAME);
    golden_f64(g, "col_mean", col, w, SAME);
    pare__free(row);
    pare__free(col);
}

static void run_score(golden *g)
{
    static const char *const name[5] = {"spearman_raster", "spearman_row", "spearman_col", "spearman_centre_distance",
                                        "spearman_border_distance"};
    int64_t n;
    double *score = read_f64(g, "score", &n), *at = PARE__NEW(double, n + 1);
    const int32_t h = (int32_t)golden_int(g, "H"), w = (int32_t)golden_int(g, "W");
    if (n != (int64_t)h * w) golden_fail(g, "in.score has %lld elements, the grid is %d x %d", (long long)n, h, w);
    for (int j = 0; j < 5 && !g->err.code; j++) {
        double all[5];
        for (int64_t i = 0; i < n; i++) {
            place(i, h, w, all);
            at[i] = all[j];
        }
        rho(g, name[j], score, at, n);
    }
    if (!g->err.code) check_means(g, score, h, w);
    one(g, "entropy", pare__mass_entropy(score, n));
    one(g, "top1pct_mass", pare__top_mass(score, n, .01));
    pare__free(score);
    pare__free(at);
}

static void run_maps(golden *g)
{
    int64_t n, m;
    double *a = read_f64(g, "a", &n), *b = read_f64(g, "b", &m);
    if (n != m) golden_fail(g, "in.a has %lld elements, in.b %lld", (long long)n, (long long)m);
    if (n == m) {
        rho(g, "spearman", a, b, n);
        one(g, "pearson", pare__pearson(a, b, n));
        one(g, "kl_ab", pare__kl(a, b, n));
        one(g, "js", pare__js(a, b, n));
        one(g, "sim", pare__overlap(a, b, n));
    }
    pare__free(a);
    pare__free(b);
}

const golden_group golden_measure[] = {{"metrics_spatial", run_spatial},
                                       {"metrics_temporal", run_temporal},
                                       {"metrics_score", run_score},
                                       {"metrics_maps", run_maps},
                                       {NULL, NULL}};
