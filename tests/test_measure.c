/* SPDX-License-Identifier: MIT */
/* Kernels of measures over places, counts, ranks and masses: against brute force over random sets, exhaustively where sets
 * are small, and under symmetries. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "measure/scene.h"

enum { TRIALS = 300, MAX_SIDE = 9, MAX_N = 200 };

static pare__arena arena;

/* ---- random sets ----------------------------------------------------------------------------------------------------- */

typedef struct random_cells {
    int32_t keep[MAX_SIDE * MAX_SIDE];
    uint8_t kept[MAX_SIDE * MAX_SIDE];
    pare__cells c;
} random_cells;

static void list_kept(random_cells *x)
{
    x->c.keep = x->keep;
    x->c.n_keep = 0;
    for (int32_t i = 0; i < x->c.h * x->c.w; i++)
        if (x->kept[i]) x->keep[x->c.n_keep++] = i;
}

static void make_cells(random_cells *x, uint64_t trial)
{
    pare__rng r = pare__rng_make(7, trial, 0);
    *x = (random_cells){
        .c = {.h = 1 + (int32_t)pare__rng_below(&r, MAX_SIDE), .w = 1 + (int32_t)pare__rng_below(&r, MAX_SIDE)}};
    const int64_t n = (int64_t)x->c.h * x->c.w, k = 1 + pare__rng_below(&r, n);
    float key[MAX_SIDE * MAX_SIDE];
    for (int64_t i = 0; i < n; i++) key[i] = (float)pare__rng_unit(&r);
    ck_assert_int_eq(pare__topk(key, n, k, x->keep, &arena), 0);
    for (int64_t i = 0; i < k; i++) x->kept[x->keep[i]] = 1;
    list_kept(x);
}

/* Mirrored in both directions. */
static void turn(const random_cells *x, random_cells *out)
{
    *out = (random_cells){.c = x->c};
    const int32_t n = x->c.h * x->c.w;
    for (int32_t i = 0; i < n; i++) out->kept[n - 1 - i] = x->kept[i];
    list_kept(out);
}

static void transpose(const random_cells *x, random_cells *out)
{
    *out = (random_cells){.c = {.h = x->c.w, .w = x->c.h}};
    for (int32_t r = 0; r < x->c.h; r++)
        for (int32_t c = 0; c < x->c.w; c++) out->kept[c * x->c.h + r] = x->kept[r * x->c.w + c];
    list_kept(out);
}

/* ---- holes and radii --------------------------------------------------------------------------------------------------- */

static int is_empty(const random_cells *x, int32_t r0, int32_t r1, int32_t c0, int32_t c1)
{
    for (int32_t r = r0; r < r1; r++)
        for (int32_t c = c0; c < c1; c++)
            if (x->kept[r * x->c.w + c]) return 0;
    return 1;
}

/* Largest side, area, and longest empty runs, by trying every rectangle. */
static void brute_holes(const random_cells *x, int64_t out[4])
{
    memset(out, 0, 4 * sizeof *out);
    for (int32_t r0 = 0; r0 < x->c.h; r0++)
        for (int32_t c0 = 0; c0 < x->c.w; c0++)
            for (int32_t r1 = r0 + 1; r1 <= x->c.h; r1++)
                for (int32_t c1 = c0 + 1; c1 <= x->c.w; c1++) {
                    const int64_t h = r1 - r0, w = c1 - c0, side = h < w ? h : w;
                    if (!is_empty(x, r0, r1, c0, c1)) continue;
                    if (side > out[0]) out[0] = side;
                    if (h * w > out[1]) out[1] = h * w;
                    if (w == x->c.w && h > out[2]) out[2] = h;
                    if (h == x->c.h && w > out[3]) out[3] = w;
                }
}

START_TEST(holes_equal_brute_force)
{
    for (uint64_t t = 0; t < TRIALS; t++) {
        random_cells x;
        int64_t want[4], rows, cols;
        make_cells(&x, t);
        brute_holes(&x, want);
        ck_assert_int_eq(pare__cells_empty_square(&x.c), want[0]);
        ck_assert_int_eq(pare__cells_empty_rectangle(&x.c), want[1]);
        pare__cells_empty_lines(&x.c, &rows, &cols);
        ck_assert_int_eq(rows, want[2]);
        ck_assert_int_eq(cols, want[3]);
    }
}
END_TEST

static double distance(pare__distance kind, double dr, double dc)
{
    if (kind == PARE__DISTANCE_L1) return fabs(dr) + fabs(dc);
    return kind == PARE__DISTANCE_EUCLID ? hypot(dr, dc) : fmax(fabs(dr), fabs(dc));
}

START_TEST(cover_equals_brute_force)
{
    for (uint64_t t = 0; t < TRIALS; t++)
        for (int kind = 0; kind < 3; kind++) {
            random_cells x;
            double largest, mean, most = 0, sum = 0;
            make_cells(&x, t);
            const int32_t n = x.c.h * x.c.w, w = x.c.w;
            for (int32_t i = 0; i < n; i++) {
                double least = INFINITY;
                for (int32_t j = 0; j < n; j++)
                    if (x.kept[j]) least = fmin(least, distance((pare__distance)kind, i / w - j / w, i % w - j % w));
                most = fmax(most, least);
                sum += least;
            }
            ck_assert_int_eq(pare__cells_cover(&x.c, (pare__distance)kind, &largest, &mean), 0);
            ck_assert_double_eq_tol(largest, most, 1e-12);
            ck_assert_double_eq_tol(mean, sum / n, 1e-12);
        }
}
END_TEST

START_TEST(nothing_kept_has_no_radius)
{
    const pare__cells none = {.h = 4, .w = 6};
    ck_assert_int_eq(pare__cells_cover(&none, PARE__DISTANCE_L1, NULL, NULL), PARE_E_INVALID);
    ck_assert_int_eq(pare__cells_empty_square(&none), 4);
    ck_assert_int_eq(pare__cells_empty_rectangle(&none), 24);
    ck_assert(isnan(pare__cells_nn_mean(&none)));
}
END_TEST

/* What neither mirroring nor transposing changes. */
static void symmetric(const pare__cells *c, double out[7])
{
    pare__cells_cover(c, PARE__DISTANCE_CHEBYSHEV, &out[0], &out[1]);
    pare__cells_cover(c, PARE__DISTANCE_EUCLID, &out[2], &out[3]);
    out[4] = (double)pare__cells_empty_square(c);
    out[5] = (double)pare__cells_empty_rectangle(c);
    out[6] = c->n_keep > 1 ? pare__cells_clark_evans(c) : 0;
}

START_TEST(mirrors_change_nothing)
{
    for (uint64_t t = 0; t < TRIALS; t++) {
        random_cells x, other[2];
        double want[7], got[7];
        make_cells(&x, t);
        turn(&x, &other[0]);
        transpose(&x, &other[1]);
        symmetric(&x.c, want);
        for (int k = 0; k < 2; k++) {
            symmetric(&other[k].c, got);
            for (int i = 0; i < 7; i++) ck_assert_double_eq_tol(got[i], want[i], 1e-12);
        }
    }
}
END_TEST

/* A block of kept cells moved inside the grid: neighbours stay; a shift by whole bins moves bins as wholes. */
START_TEST(shifts_move_bins_as_wholes)
{
    random_cells x = {.c = {.h = 8, .w = 8}}, y = {.c = {.h = 8, .w = 8}};
    double a[3], b[3];
    for (int32_t i = 0; i < 5; i++) x.kept[i * 3 % 4 * 8 + i % 4] = y.kept[(i * 3 % 4 + 4) * 8 + i % 4 + 2] = 1;
    list_kept(&x);
    list_kept(&y);
    ck_assert_double_eq(pare__cells_nn_mean(&x.c), pare__cells_nn_mean(&y.c));
    ck_assert_int_eq(pare__cells_bins(&x.c, 4, &a[0], &a[1], &a[2]), 0);
    ck_assert_int_eq(pare__cells_bins(&y.c, 4, &b[0], &b[1], &b[2]), 0);
    for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(a[i], b[i], 1e-12);
}
END_TEST

START_TEST(narrow_grids_have_fewer_bins)
{
    const int32_t keep[4] = {0, 1, 2, 3}, one[1] = {0};
    const pare__cells line = {.keep = keep, .n_keep = 4, .h = 1, .w = 4},
                      dot = {.keep = one, .n_keep = 1, .h = 1, .w = 1};
    double chi2, entropy, gini;
    ck_assert_int_eq(pare__cells_bins(&line, 4, &chi2, &entropy, &gini), 0);
    ck_assert_double_eq_tol(chi2, 0, 1e-12);
    ck_assert_double_eq_tol(entropy, 1, 1e-12);
    ck_assert_double_eq_tol(gini, 0, 1e-12);
    ck_assert_int_eq(pare__cells_bins(&dot, 2, NULL, &entropy, NULL), 0);
    ck_assert(isnan(entropy));
}
END_TEST

/* ---- discrepancy ------------------------------------------------------------------------------------------------------- */

/* Squared discrepancy of the cells whose bit is set, by pairs. */
static double by_pairs(uint32_t set, int32_t t, int32_t h, int32_t w)
{
    double x[3 * 32];
    int64_t n = 0;
    const int dim = t ? 3 : 2;
    for (int32_t i = 0; i < (t ? t : 1) * h * w; i++) {
        if (!(set >> i & 1)) continue;
        double *p = x + dim * n++;
        p[0] = (i % w + .5) / w;
        p[1] = (i / w % h + .5) / h;
        if (t) p[2] = (i / (w * h) + .5) / t;
    }
    return pare__l2star_sq(x, n, dim);
}

static int bits(uint32_t x)
{
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}

static const int32_t boxes[][3] = {{0, 2, 3}, {0, 1, 7}, {0, 3, 4}, {2, 2, 2}, {3, 1, 4}, {0, 1, 1}, {5, 2, 1}};

/* The expectation is exact: the mean over all sets of every size. Counting equals pairing on each of them. */
START_TEST(expectation_is_the_mean_over_all_sets)
{
    const int32_t t = boxes[_i][0], h = boxes[_i][1], w = boxes[_i][2], n = (t ? t : 1) * h * w;
    double sum[33] = {0}, sets[33] = {0};
    for (uint32_t set = 1; set < 1u << n; set++) {
        int32_t count[32];
        for (int32_t i = 0; i < n; i++) count[i] = (int32_t)(set >> i & 1);
        const double pairs = by_pairs(set, t, h, w);
        ck_assert_double_eq_tol(pare__lattice_l2star_sq(count, t, h, w), pairs, 1e-14);
        sum[bits(set)] += pairs;
        sets[bits(set)]++;
    }
    for (int32_t k = 1; k <= n; k++)
        ck_assert_double_eq_tol(pare__lattice_l2star_random_sq(k, t, h, w), sum[k] / sets[k], 1e-13);
}
END_TEST

START_TEST(counting_equals_pairing_with_points_that_coincide)
{
    for (uint64_t trial = 0; trial < 100; trial++) {
        pare__rng r = pare__rng_make(3, trial, 0);
        int32_t count[5 * 6 * 4] = {0};
        double x[3 * 40];
        for (int32_t i = 0; i < 40; i++) {
            const int32_t t = (int32_t)pare__rng_below(&r, 5), y = (int32_t)pare__rng_below(&r, 6),
                          c = (int32_t)pare__rng_below(&r, 4);
            count[(t * 6 + y) * 4 + c]++;
            x[3 * i] = (t + .5) / 5;
            x[3 * i + 1] = (y + .5) / 6;
            x[3 * i + 2] = (c + .5) / 4;
        }
        ck_assert_double_eq_tol(pare__lattice_l2star_sq(count, 5, 6, 4), pare__l2star_sq(x, 40, 3), 1e-14);
    }
}
END_TEST

/* The centred discrepancy knows no corner: mirrored points are as even. */
START_TEST(centred_discrepancy_is_blind_to_mirrors)
{
    pare__rng r = pare__rng_make(4, 0, 0);
    double x[2 * 50], y[2 * 50];
    for (int i = 0; i < 100; i++) {
        x[i] = pare__rng_unit(&r);
        y[i] = i % 2 ? x[i] : 1 - x[i];
    }
    ck_assert_double_eq_tol(pare__l2centred_sq(x, 50, 2), pare__l2centred_sq(y, 50, 2), 1e-13);
    ck_assert(pare__l2centred_sq(x, 50, 2) > 0);
}
END_TEST

START_TEST(no_points_no_discrepancy)
{
    int32_t count[6] = {0};
    ck_assert(isnan(pare__lattice_l2star_sq(count, 0, 2, 3)));
}
END_TEST

/* ---- counts ------------------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(gini_is_that_of_sorted_counts)
{
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(5, trial, 0);
        int64_t count[20], n = 2 + pare__rng_below(&r, 18);
        double sum = 0, ranked = 0;
        for (int64_t i = 0; i < n; i++) count[i] = pare__rng_below(&r, 6);
        count[0]++;
        pare__count_stats s;
        pare__count_measure(count, (int32_t)n, &s);
        qsort(count, (size_t)n, sizeof *count, ascending);
        for (int64_t i = 0; i < n; i++) {
            sum += (double)count[i];
            ranked += (double)(i + 1) * (double)count[i];
        }
        ck_assert_double_eq_tol(s.gini, 2 * ranked / ((double)n * sum) - (double)(n + 1) / (double)n, 1e-12);
        ck_assert(s.entropy >= 0 && s.entropy <= 1 + 1e-12);
    }
}
END_TEST

START_TEST(counts_at_their_ends)
{
    const int64_t even[4] = {3, 3, 3, 3}, one[4] = {0, 0, 9, 0}, none[3] = {0}, single[1] = {5};
    pare__count_stats s;
    pare__count_measure(even, 4, &s);
    ck_assert(s.entropy == 1 && s.gini == 0 && s.chi2 == 0 && s.share_empty == 0 && s.longest_gap == 0);
    pare__count_measure(one, 4, &s);
    ck_assert(s.entropy == 0 && s.gini == .75 && s.share_empty == .75 && s.longest_gap == 2 && s.max == 9);
    pare__count_measure(none, 3, &s);
    ck_assert(isnan(s.entropy) && isnan(s.gini) && isnan(s.chi2) && s.share_empty == 1 && s.longest_gap == 3);
    pare__count_measure(single, 1, &s);
    ck_assert(isnan(s.entropy) && s.gini == 0 && s.share_empty == 0);
}
END_TEST

/* ---- ranks and masses -------------------------------------------------------------------------------------------------- */

static void random_list(pare__rng *r, double *x, int64_t n, int64_t levels)
{
    for (int64_t i = 0; i < n; i++) x[i] = (double)pare__rng_below(r, levels) / 4;
}

/* Average rank of x[i] by counting what is below and equal. */
static double rank_of(const double *x, int64_t n, int64_t i)
{
    double rank = 0;
    for (int64_t j = 0; j < n; j++) rank += x[j] < x[i] ? 1 : x[j] == x[i] ? .5 : 0;
    return rank;
}

START_TEST(spearman_is_pearson_of_ranks)
{
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(6, trial, 0);
        double a[MAX_N], b[MAX_N], ra[MAX_N], rb[MAX_N], rho, stretched;
        const int64_t n = 2 + pare__rng_below(&r, MAX_N - 2);
        random_list(&r, a, n, 1 + pare__rng_below(&r, 50));
        random_list(&r, b, n, 40);
        for (int64_t i = 0; i < n; i++) {
            ra[i] = rank_of(a, n, i);
            rb[i] = rank_of(b, n, i);
        }
        const double want = pare__pearson(ra, rb, n);
        ck_assert_int_eq(pare__spearman(a, b, n, &rho), 0);
        ck_assert(isnan(want) ? isnan(rho) : fabs(rho - want) < 1e-12);
        for (int64_t i = 0; i < n; i++) a[i] = exp(a[i]);
        ck_assert_int_eq(pare__spearman(a, b, n, &stretched), 0);
        ck_assert(isnan(rho) ? isnan(stretched) : fabs(rho - stretched) < 1e-12);
    }
}
END_TEST

START_TEST(correlation_at_its_ends)
{
    const double up[4] = {1, 2, 3, 9}, down[4] = {4, 3, 2, -8}, flat[4] = {.1, .1, .1, .1};
    double rho;
    ck_assert_int_eq(pare__spearman(up, down, 4, &rho), 0);
    ck_assert_double_eq_tol(rho, -1, 1e-15);
    ck_assert_int_eq(pare__spearman(up, up, 4, &rho), 0);
    ck_assert_double_eq_tol(rho, 1, 1e-15);
    ck_assert_int_eq(pare__spearman(up, flat, 4, &rho), 0);
    ck_assert(isnan(rho));
    ck_assert(isnan(pare__pearson(flat, up, 4)));
    ck_assert(isnan(pare__pearson(up, up, 1)));
    ck_assert_int_eq(pare__spearman(up, up, 0, &rho), 0);
    ck_assert(isnan(rho));
}
END_TEST

START_TEST(masses_keep_their_bounds)
{
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(8, trial, 0);
        double a[MAX_N], b[MAX_N];
        const int64_t n = 2 + pare__rng_below(&r, MAX_N - 2);
        random_list(&r, a, n, 9);
        random_list(&r, b, n, 9);
        a[0] = b[0] = 1;
        const double js = pare__js(a, b, n), overlap = pare__overlap(a, b, n);
        ck_assert(js >= 0 && js <= log(2) + 1e-12 && fabs(js - pare__js(b, a, n)) < 1e-12);
        ck_assert(overlap > 0 && overlap <= 1 + 1e-12);
        ck_assert(pare__kl(a, b, n) >= 0 && pare__kl(a, a, n) < 1e-12);
        ck_assert_double_eq_tol(pare__top_mass(a, n, 1), 1, 1e-12);
        ck_assert(pare__top_mass(a, n, .1) <= pare__top_mass(a, n, .2) + 1e-12);
        ck_assert(pare__mass_entropy(a, n) >= 0 && pare__mass_entropy(a, n) <= 1 + 1e-12);
    }
}
END_TEST

START_TEST(masses_at_their_ends)
{
    double x[700] = {0};
    const double split[4] = {3, 3, 3, 1}, minus[2] = {3, -1}, zero[2] = {0, 0};
    for (int i = 0; i < 700; i++) x[i] = 1; /* .01 * 700 is a little more than 7 */
    ck_assert_double_eq_tol(pare__top_mass(x, 700, .01), .01, 1e-12);
    ck_assert_double_eq_tol(pare__top_mass(split, 4, .5), .6, 1e-12);
    ck_assert(isnan(pare__top_mass(minus, 2, .5)) && isnan(pare__top_mass(zero, 2, .5)));
    ck_assert(isnan(pare__mass_entropy(zero, 2)) && isnan(pare__mass_entropy(minus, 2)));
    ck_assert(isnan(pare__mass_entropy(split, 1)));
    ck_assert(isnan(pare__kl(zero, split, 2)) && isnan(pare__js(minus, split, 2)) &&
              isnan(pare__overlap(split, zero, 2)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("measure");
    TCase *c = tcase_create("kernels");
    tcase_add_test(c, holes_equal_brute_force);
    tcase_add_test(c, cover_equals_brute_force);
    tcase_add_test(c, nothing_kept_has_no_radius);
    tcase_add_test(c, mirrors_change_nothing);
    tcase_add_test(c, shifts_move_bins_as_wholes);
    tcase_add_test(c, narrow_grids_have_fewer_bins);
    tcase_add_loop_test(c, expectation_is_the_mean_over_all_sets, 0, sizeof boxes / sizeof *boxes);
    tcase_add_test(c, counting_equals_pairing_with_points_that_coincide);
    tcase_add_test(c, centred_discrepancy_is_blind_to_mirrors);
    tcase_add_test(c, no_points_no_discrepancy);
    tcase_add_test(c, gini_is_that_of_sorted_counts);
    tcase_add_test(c, counts_at_their_ends);
    tcase_add_test(c, spearman_is_pearson_of_ranks);
    tcase_add_test(c, correlation_at_its_ends);
    tcase_add_test(c, masses_keep_their_bounds);
    tcase_add_test(c, masses_at_their_ends);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    pare__arena_fini(&arena);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
