/* SPDX-License-Identifier: MIT */
/* Products in registers: every table that runs here against the oracle and a plain loop, over shapes that cross every
 * border of blocks, panels and vectors. What must not be read is NaN, what must not be written is watched. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rank.h"
#include "core/vec.h"

enum { GUARD = 64, GAP = 3 };

static const int64_t heights[] = {0, 1, 2, 5, 6, 7, 11, 12, 13, 25, 37};
static const int64_t widths[] = {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 101};
static const int64_t depths[] = {0, 1, 2, 3, 4, 5, 7, 64, 67};

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const pare__mul *mul; /* under test */
static pare__rng rng;

/* rows x n random floats, ld apart; the gaps and what follows are NaN. */
static float *matrix(int64_t rows, int64_t n, int64_t ld)
{
    float *x = pare__malloc(rows * ld + GUARD, sizeof *x);
    for (int64_t i = 0; i < rows * ld + GUARD; i++) {
        const int is_inside = i < rows * ld && i % ld < n;
        x[i] = is_inside ? (float)(pare__rng_unit(&rng) * 2 - 1) : NAN;
    }
    return x;
}

/* Memory for packed b, NaN to its end. */
static float *panels(int64_t k, int64_t n)
{
    const int64_t size = pare__mul_size(mul, k, n) + GUARD;
    float *x = pare__malloc(size, sizeof *x);
    for (int64_t i = 0; i < size; i++) x[i] = NAN;
    return x;
}

/* ---- packing --------------------------------------------------------------------------------------------------- */

/* The layout that mul.h promises, and nothing behind it. */
static void check_panels(const char *what, const float *packed, const float *b, int64_t ldb, int64_t k, int64_t n)
{
    const int64_t size = pare__mul_size(mul, k, n), cols = mul->cols;
    for (int64_t i = 0; i < size; i++) {
        const int64_t col = i / (k * cols) * cols + i % cols, p = i / cols % k;
        const float want = col < n ? b[p * ldb + col] : 0;
        ck_assert_msg(packed[i] == want, "%s %s [%lld, %lld]: %g instead of %g at %lld", mul->name, what, (long long)k,
                      (long long)n, (double)packed[i], (double)want, (long long)i);
    }
    for (int64_t i = 0; i < GUARD; i++) ck_assert_msg(isnan(packed[size + i]), "%s %s writes on", mul->name, what);
}

static void check_packing(int64_t k, int64_t n)
{
    const int64_t ldb = n + GAP, ldt = k + GAP;
    float *b = matrix(k, n, ldb), *turned = matrix(n, k, ldt);
    float *packed = panels(k, n), *from_turned = panels(k, n), *by_row = panels(k, n);
    for (int64_t p = 0; p < k; p++)
        for (int64_t col = 0; col < n; col++) turned[col * ldt + p] = b[p * ldb + col];
    mul->pack(packed, b, ldb, k, n);
    check_panels("pack", packed, b, ldb, k, n);
    mul->pack_t(from_turned, turned, ldt, k, n);
    check_panels("pack_t", from_turned, b, ldb, k, n);
    for (int64_t p = k - 1; p >= 0; p--) mul->pack_row(by_row, b + p * ldb, p, k, n);
    check_panels("pack_row", by_row, b, ldb, k, n);
    pare__free(b);
    pare__free(turned);
    pare__free(packed);
    pare__free(from_turned);
    pare__free(by_row);
}

START_TEST(packing)
{
    const pare__vec *vec;
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        mul = vec->mul;
        for (int j = 0; j < COUNT(widths); j++)
            for (int p = 0; p < COUNT(depths); p++) check_packing(depths[p], widths[j]);
    }
}
END_TEST

/* ---- products -------------------------------------------------------------------------------------------------- */

typedef struct problem {
    int64_t m, n, k, lda, ldb, ldc;
    float *a;      /* [m, k] */
    float *b;      /* [k, n] */
    float *packed; /* b */
    float *c;      /* [m, n] */
} problem;

static problem pose(int64_t m, int64_t n, int64_t k)
{
    problem p = {.m = m, .n = n, .k = k, .lda = k + GAP, .ldb = n + GAP, .ldc = n + GAP};
    p.a = matrix(m, k, p.lda);
    p.b = matrix(k, n, p.ldb);
    p.packed = panels(k, n);
    p.c = matrix(m, 0, p.ldc);
    mul->pack(p.packed, p.b, p.ldb, k, n);
    mul->run(m, n, k, p.a, p.lda, p.packed, p.c, p.ldc);
    return p;
}

static void drop(problem *p)
{
    pare__free(p->a);
    pare__free(p->b);
    pare__free(p->packed);
    pare__free(p->c);
}

static void check_element(const problem *p, int64_t i, int64_t j)
{
    double want = 0, size = 0;
    for (int64_t q = 0; q < p->k; q++) {
        const double term = (double)p->a[i * p->lda + q] * (double)p->b[q * p->ldb + j];
        want += term;
        size += fabs(term);
    }
    const double got = (double)p->c[i * p->ldc + j];
    ck_assert_msg(fabs(got - want) <= 1e-6 * size, "%s [%lld, %lld, %lld] at %lld, %lld: %.9g instead of %.9g",
                  mul->name, (long long)p->m, (long long)p->n, (long long)p->k, (long long)i, (long long)j, got, want);
}

/* Sums that go on: from c itself, and from somewhere else into c. */
static void check_adding(const problem *p)
{
    float *plus = matrix(p->m, p->n, p->ldc), *from = matrix(p->m, 0, p->ldc);
    float *c = matrix(p->m, 0, p->ldc);
    memcpy(from, plus, (size_t)(p->m * p->ldc) * sizeof *from);
    mul->add(p->m, p->n, p->k, p->a, p->lda, p->packed, from, c, p->ldc);
    mul->add(p->m, p->n, p->k, p->a, p->lda, p->packed, from, from, p->ldc);
    for (int64_t i = 0; i < p->m * p->ldc; i++) {
        if (i % p->ldc >= p->n) {
            ck_assert(isnan(c[i]) && isnan(from[i]));
            continue;
        }
        const double want = (double)p->c[i] + (double)plus[i];
        ck_assert(c[i] == from[i]);
        ck_assert_msg(fabs((double)c[i] - want) <= 1e-6 * (double)(p->k + 1), "%s: %.9g instead of %.9g", mul->name,
                      (double)c[i], want);
    }
    pare__free(plus);
    pare__free(from);
    pare__free(c);
}

/* Elements are right, the gaps behind rows and the end are as they were. */
static void check_product(const problem *p)
{
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) check_element(p, i, j);
        for (int64_t j = p->n; j < p->ldc; j++) ck_assert(isnan(p->c[i * p->ldc + j]));
    }
    for (int64_t i = 0; i < GUARD; i++) ck_assert(isnan(p->c[p->m * p->ldc + i]));
}

START_TEST(products)
{
    const pare__vec *vec;
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        mul = vec->mul;
        for (int i = 0; i < COUNT(heights); i++)
            for (int j = 0; j < COUNT(widths); j++)
                for (int q = 0; q < COUNT(depths); q++) {
                    problem p = pose(heights[i], widths[j], depths[q]);
                    check_product(&p);
                    check_adding(&p);
                    drop(&p);
                }
    }
}
END_TEST

/* Sums are taken over k in order: the same bytes one row at a time, and one column at a time. */
START_TEST(neighbours_do_not_matter)
{
    enum { M = 29, N = 77, K = 131 };
    const pare__vec *vec;
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        mul = vec->mul;
        problem p = pose(M, N, K);
        float row[N], *column = panels(K, 1);
        for (int64_t i = 0; i < M; i++) {
            mul->run(1, N, K, p.a + i * p.lda, p.lda, p.packed, row, N);
            ck_assert_mem_eq(row, p.c + i * p.ldc, sizeof row);
        }
        for (int64_t j = 0; j < N; j++) {
            float got;
            mul->pack(column, p.b + j, p.ldb, K, 1);
            mul->run(1, 1, K, p.a, p.lda, column, &got, 1);
            ck_assert_mem_eq(&got, p.c + j, sizeof got);
        }
        pare__free(column);
        drop(&p);
    }
}
END_TEST

START_TEST(tables)
{
    const pare__vec *vec;
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        mul = vec->mul;
        ck_assert_str_eq(mul->name, vec->name);
        ck_assert_int_ge(mul->rows, 1);
        ck_assert_int_eq(PARE__MUL_MAX_ROWS % mul->rows, 0);
        ck_assert_int_eq(PARE__MUL_MAX_COLS % mul->cols, 0);
        ck_assert_int_eq(pare__mul_size(mul, 3, 1), 3 * mul->cols);
        ck_assert_int_eq(pare__mul_size(mul, 3, mul->cols), 3 * mul->cols);
        ck_assert_int_eq(pare__mul_size(mul, 5, mul->cols + 1), 10 * mul->cols);
    }
    ck_assert_ptr_eq(pare__vec_c.mul, &pare__mul_c);
}
END_TEST

int main(void)
{
    rng = pare__rng_make(11, 0, 0);
    Suite *s = suite_create("mul");
    TCase *t = tcase_create("mul");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, packing);
    tcase_add_test(t, products);
    tcase_add_test(t, neighbours_do_not_matter);
    tcase_add_test(t, tables);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
