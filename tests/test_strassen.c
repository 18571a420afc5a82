/* SPDX-License-Identifier: MIT */
/* Backend `strassen` against products in double, beside `native`: every way a tile can be cut, sums of huge and tiny
 * numbers, and what of a row its partner feels. What must not be read is NaN. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rank.h"
#include "encode/backend.h"

enum { GUARD_ROWS = 4 };

static pare__rng rng;

/* x [rows, n_in] stands ld apart, the gaps and the rows behind it are NaN; acc [rows, n_out] of each engine. */
typedef struct problem {
    int64_t rows, n_in, n_out, ld;
    float *w, *x, *acc; /* w [n_out, n_in] */
    double *want;       /* [rows, n_out] */
} problem;

static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += pare__rng_unit(&rng);
    return sum;
}

static problem pose(int64_t rows, int64_t n_in, int64_t n_out)
{
    problem p = {.rows = rows, .n_in = n_in, .n_out = n_out, .ld = pare__float_stride(n_in)};
    p.w = pare__malloc(n_out * n_in, sizeof *p.w);
    p.x = pare__malloc((rows + GUARD_ROWS) * p.ld, sizeof *p.x);
    p.acc = pare__malloc((rows + GUARD_ROWS) * n_out, sizeof *p.acc);
    p.want = pare__malloc(rows * n_out, sizeof *p.want);
    for (int64_t i = 0; i < n_out * n_in; i++) p.w[i] = (float)(normal() / sqrt((double)n_in));
    for (int64_t i = 0; i < (rows + GUARD_ROWS) * p.ld; i++) {
        const int is_inside = i < rows * p.ld && i % p.ld < n_in;
        p.x[i] = is_inside ? (float)normal() : NAN;
    }
    return p;
}

static void drop(problem *p)
{
    void *owned[] = {p->w, p->x, p->acc, p->want};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}

static void compute(const problem *p)
{
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t o = 0; o < p->n_out; o++) {
            double sum = 0;
            for (int64_t i = 0; i < p->n_in; i++) sum += (double)p->x[r * p->ld + i] * (double)p->w[o * p->n_in + i];
            p->want[r * p->n_out + o] = sum;
        }
}

/* acc [rows, n_out] = x W^T by that backend. */
static void multiply(const problem *p, const pare__backend *backend)
{
    const pare__engine *e = backend->engine[PARE__F32];
    pare_error err = {0};
    pare__prepared w;
    ck_assert_msg(pare__prepare(&w, e, p->w, (int32_t)p->n_in, (int32_t)p->n_out, 1, &err) == 0, "%s", err.text);
    float *part = pare__malloc((int64_t)e->tile_rows * (e->panel_cols + PARE__GRAIN_COLS), sizeof *part);
    void *scratch = pare__malloc(e->scratch_size + 1, 1);
    for (int32_t i = 0; i < w.n_panel; i++) {
        const pare__columns c = pare__panel_columns(&w, i);
        for (int64_t first = 0; first < p->rows; first += e->tile_rows) {
            const int64_t n = p->rows - first < e->tile_rows ? p->rows - first : e->tile_rows;
            ck_assert_int_eq(e->product(&w, i, n, p->x + first * p->ld, part, scratch), 0);
            for (int64_t r = 0; r < n; r++)
                memcpy(p->acc + (first + r) * p->n_out + c.first, part + r * c.n, (size_t)c.n * sizeof *part);
        }
    }
    pare__free(part);
    pare__free(scratch);
    pare__prepared_fini(&w);
}

/* ---- every cut --------------------------------------------------------------------------------------------------- */

static const int64_t heights[] = {1, 2, 3, 4, 5, 11, 12, 13, 24, 25, 63, 64, 65, 97, 143, 144};
static const int64_t sides[][2] = {{128, 128}, {126, 192}, {129, 128}, {130, 130}, {192, 127}, {384, 192},
                                   {256, 200}, {128, 450}, {700, 320}, {96, 96},   {1, 1},     {1700, 129}};

START_TEST(every_cut)
{
    for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
        problem p = pose(heights[i], sides[_i][0], sides[_i][1]);
        compute(&p);
        multiply(&p, &pare__backend_strassen);
        for (int64_t j = 0; j < p.rows * p.n_out; j++)
            ck_assert_msg(fabs((double)p.acc[j] - p.want[j]) <= 4e-6 * sqrt((double)p.n_in),
                          "[%lld, %lld] . [%lld]: %.9g instead of %.9g at %lld", (long long)p.rows, (long long)p.n_in,
                          (long long)p.n_out, (double)p.acc[j], p.want[j], (long long)j);
        drop(&p);
    }
}
END_TEST

/* ---- how exact --------------------------------------------------------------------------------------------------- */

/* Root of the mean square of the errors of rows [first, end). */
static double error_of(const problem *p, int64_t first, int64_t end)
{
    double sum = 0;
    for (int64_t j = first * p->n_out; j < end * p->n_out; j++) sum += pow((double)p->acc[j] - p->want[j], 2);
    return sqrt(sum / (double)((end - first) * p->n_out));
}

enum { ROWS = 144, N_IN = 384, N_OUT = 384, HUGE_ROW = 5, HUGE_COLUMN = 17 };

/* Numbers of one size: an error some times that of sums in order, which is 1e-7 of the result. */
START_TEST(numbers_of_one_size)
{
    problem p = pose(ROWS, N_IN, N_OUT);
    compute(&p);
    multiply(&p, &pare__backend_native);
    const double plain = error_of(&p, 0, ROWS);
    multiply(&p, &pare__backend_strassen);
    const double fast = error_of(&p, 0, ROWS);
    ck_assert_msg(fast < 4 * plain && fast < 2e-6, "%g, native %g", fast, plain);
    drop(&p);
}
END_TEST

/* One column 1000 times the others, as in layers with massive activations: relative to the results, that are 1000 times
 * what they were then. */
START_TEST(massive_columns)
{
    problem p = pose(ROWS, N_IN, N_OUT);
    for (int64_t r = 0; r < ROWS; r++) p.x[r * p.ld + HUGE_COLUMN] *= 1000;
    compute(&p);
    multiply(&p, &pare__backend_native);
    const double plain = error_of(&p, 0, ROWS);
    multiply(&p, &pare__backend_strassen);
    const double fast = error_of(&p, 0, ROWS);
    ck_assert_msg(fast < 8 * plain && fast < 1e-3, "%g, native %g", fast, plain);
    drop(&p);
}
END_TEST

/* One row 1000 times the others: its partner of the other half feels it in the last bits, the others do not. */
START_TEST(massive_rows)
{
    problem p = pose(ROWS, N_IN, N_OUT);
    for (int64_t i = 0; i < N_IN; i++) p.x[HUGE_ROW * p.ld + i] *= 1000;
    compute(&p);
    multiply(&p, &pare__backend_strassen);
    const int64_t partner = HUGE_ROW + ROWS / 2;
    ck_assert_double_lt(error_of(&p, partner, partner + 1), 2e-3);
    ck_assert_double_lt(error_of(&p, HUGE_ROW, HUGE_ROW + 1), 2e-3);
    ck_assert_double_lt(error_of(&p, 0, HUGE_ROW), 2e-6);
    ck_assert_double_lt(error_of(&p, HUGE_ROW + 1, partner), 2e-6);
    ck_assert_double_lt(error_of(&p, partner + 1, ROWS), 2e-6);
    drop(&p);
}
END_TEST

/* NaN of one row: the others are finite but for its partner. */
START_TEST(rows_that_are_no_numbers)
{
    problem p = pose(ROWS, N_IN, N_OUT);
    p.x[HUGE_ROW * p.ld] = NAN;
    multiply(&p, &pare__backend_strassen);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t o = 0; o < N_OUT && r % (ROWS / 2) != HUGE_ROW; o++) ck_assert(isfinite(p.acc[r * N_OUT + o]));
    ck_assert(isnan(p.acc[HUGE_ROW * N_OUT]));
    drop(&p);
}
END_TEST

int main(void)
{
    rng = pare__rng_make(17, 0, 0);
    Suite *s = suite_create("strassen");
    TCase *t = tcase_create("strassen");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_cut, 0, (int)(sizeof sides / sizeof *sides));
    tcase_add_test(t, numbers_of_one_size);
    tcase_add_test(t, massive_columns);
    tcase_add_test(t, massive_rows);
    tcase_add_test(t, rows_that_are_no_numbers);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
