/* SPDX-License-Identifier: MIT */
/* Products with weights by 7 products of half the size instead of 8: Strassen 1969, "Gaussian elimination is not optimal",
 * in Winograd's form of 15 sums (1971, "On multiplication of 2 x 2 matrices"), one level deep, over the products of
 * core/mul.h. A tile of rows A [m, k], a panel of weights B [k, n] and their product C are cut in halves both ways:
 *
 *   S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 - S2
 *   T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = T2 - B21
 *   U = A11 B11 + S2 T2              V = S1 T1
 *   C11 = A11 B11 + A12 B21          C12 = U + V + S4 B22
 *   C21 = U + S3 T3 - A22 T4         C22 = U + S3 T3 + V
 *
 * The T are made once, so 7/4 of the weights are kept. Products begin with what is to be added to them, in registers (Huang
 * et al. 2016, "Strassen's algorithm reloaded"), which leaves 4 sums of quarters of A and 2 of quarters of C.
 *
 * Errors are 2.2 times those of `native` for numbers of one size (8e-7 instead of 3.5e-7 where results are around 1), 1.9
 * times where one column is 1000 times the others (tests/test_strassen.c). A row is added to another one of its tile and
 * taken away again: the bits of one depend on the other, its errors are those of the larger one, and NaN and infinities
 * reach it. Backend `native` keeps rows apart. */
#include <string.h>

#include "core/mem.h"
#include "core/vec.h"
#include "encode/backend.h"
#include "encode/engine_gemm.h"

enum {
    TILE_ROWS = 144,
    PANEL_COLS = 256,
    GRAIN_COLS = 2 * PARE__MUL_MAX_COLS, /* halves of panels are whole blocks of registers */
    CHAIN_ROWS = 1024,
    LEAST_CUT = 128,    /* layers of less than this on a side are multiplied whole, */
    MOST_CUT = 1 << 13, /* and rows of more than this */
    SCRATCH = TILE_ROWS / 2 * (MOST_CUT / 2) * (int)sizeof(float)
};

/* A prepared panel: quarters of the weights and their sums in the order in which they are used. */
enum { B11, T1, T2, B21, B22, T3, MINUS_T4, PARTS };

static int is_cut(const pare__prepared *p, pare__columns c)
{
    return p->n_in % 2 == 0 && c.n % 2 == 0 && p->n_in >= LEAST_CUT && p->n_in <= MOST_CUT && c.n >= LEAST_CUT;
}

static int64_t floats_of_part(const pare__prepared *p, pare__columns c)
{
    return pare__mul_size(pare__vec_best()->mul, p->n_in / 2, c.n / 2);
}

/* Of the widest one, cut or whole. */
static int64_t floats_of_panel(const pare__prepared *p)
{
    return pare__mul_size(pare__vec_best()->mul, p->n_in, PANEL_COLS) / 4 * PARTS;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* to [rows, k] = a - b, lda and ldb floats between their rows. */
static void subtract(int64_t rows, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *to)
{
    for (int64_t r = 0; r < rows; r++) pare__vec_best()->minus(to + r * k, a + r * lda, b + r * ldb, k);
}

/* w [c.n, n_in] is B transposed; sum [c.n / 2, n_in / 2]. */
static void pack_parts(const pare__prepared *p, pare__columns c, const float *w, float *sum, float *to)
{
    const pare__mul *mul = pare__vec_best()->mul;
    const int64_t ld = p->n_in, k = ld / 2, n = c.n / 2, size = floats_of_part(p, c);
    const float *b11 = w, *b21 = w + k, *b12 = w + n * ld, *b22 = b12 + k;
    mul->pack_t(to + B11 * size, b11, ld, k, n);
    mul->pack_t(to + B21 * size, b21, ld, k, n);
    mul->pack_t(to + B22 * size, b22, ld, k, n);
    subtract(n, k, b22, ld, b12, ld, sum);
    mul->pack_t(to + T3 * size, sum, k, k, n);
    subtract(n, k, b12, ld, b11, ld, sum);
    mul->pack_t(to + T1 * size, sum, k, k, n);
    subtract(n, k, b22, ld, sum, k, sum);
    mul->pack_t(to + T2 * size, sum, k, k, n);
    subtract(n, k, b21, ld, sum, k, sum);
    mul->pack_t(to + MINUS_T4 * size, sum, k, k, n);
}

static int prepare(pare__prepared *p, const float *w, pare_error *err)
{
    const int64_t size = floats_of_panel(p);
    float *sum = pare__malloc((int64_t)PANEL_COLS * p->n_in / 4 + 1, (int64_t)sizeof *sum);
    p->impl = pare__malloc(p->n_part * p->n_panel * size, (int64_t)sizeof(float));
    for (int32_t i = 0; sum && p->impl && i < p->n_part * p->n_panel; i++) {
        const pare__columns c = pare__panel_columns(p, i);
        const float *from = w + (int64_t)c.first * p->n_in;
        float *to = (float *)p->impl + i * size;
        if (is_cut(p, c))
            pack_parts(p, c, from, sum, to);
        else
            pare__vec_best()->mul->pack_t(to, from, p->n_in, p->n_in, c.n);
    }
    const int ok = sum && p->impl;
    pare__free(sum);
    return ok ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
}

static void release(pare__prepared *p) { pare__free(p->impl); }

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* Quarters of a tile and of its product. Of an odd number of rows the lower half has one less: it counts as zeros. */
typedef struct quarters {
    int64_t upper, lower; /* rows */
    int64_t n, k;         /* halves of the panel's columns, of a row */
    int64_t lda, ldc;
    const float *a11, *a12, *a21, *a22; /* [upper or lower, k] */
    float *c11, *c12, *c21, *c22;       /* [upper, n]: acc has room for a row more */
    float *sum;                         /* [upper, k]: S1, S2, S4, S3 */
} quarters;

static quarters cut(const pare__prepared *p, pare__columns c, int64_t rows, const float *x, float *acc, void *scratch)
{
    quarters q = {.upper = (rows + 1) / 2, .lower = rows / 2, .n = c.n / 2, .k = p->n_in / 2, .ldc = c.n};
    q.lda = pare__float_stride(p->n_in);
    q.a11 = x;
    q.a12 = q.a11 + q.k;
    q.a21 = q.a11 + q.upper * q.lda;
    q.a22 = q.a21 + q.k;
    q.c11 = acc;
    q.c12 = q.c11 + q.n;
    q.c21 = q.c11 + q.upper * q.ldc;
    q.c22 = q.c21 + q.n;
    q.sum = scratch;
    return q;
}

/* sum = A21 + A22 */
static void make_s1(const quarters *q, const pare__vec *vec)
{
    for (int64_t r = 0; r < q->lower; r++) vec->bias(q->sum + r * q->k, q->a21 + r * q->lda, q->a22 + r * q->lda, q->k);
    if (q->lower < q->upper) memset(q->sum + q->lower * q->k, 0, (size_t)q->k * sizeof *q->sum);
}

/* sum = S1 - A11 */
static void make_s2(const quarters *q, const pare__vec *vec)
{
    for (int64_t r = 0; r < q->upper; r++) vec->minus(q->sum + r * q->k, q->sum + r * q->k, q->a11 + r * q->lda, q->k);
}

/* sum = A12 - S2 */
static void make_s4(const quarters *q, const pare__vec *vec)
{
    for (int64_t r = 0; r < q->upper; r++) vec->minus(q->sum + r * q->k, q->a12 + r * q->lda, q->sum + r * q->k, q->k);
}

/* sum = A11 - A21 */
static void make_s3(const quarters *q)
{
    subtract(q->lower, q->k, q->a11, q->lda, q->a21, q->lda, q->sum);
    if (q->lower < q->upper)
        memcpy(q->sum + q->lower * q->k, q->a11 + q->lower * q->lda, (size_t)q->k * sizeof *q->sum);
}

/* to = a + b, quarters of C */
static void join(const quarters *q, const pare__vec *vec, float *to, const float *a, const float *b)
{
    for (int64_t r = 0; r < q->upper; r++) vec->bias(to + r * q->ldc, a + r * q->ldc, b + r * q->ldc, q->n);
}

/* parts [PARTS, size]. C22 holds V first, C21 holds U. */
static void multiply(const quarters *q, const float *parts, int64_t size)
{
    const pare__vec *vec = pare__vec_best();
    const pare__mul *mul = vec->mul;
    const int64_t m = q->upper, n = q->n, k = q->k, lda = q->lda, ldc = q->ldc;
    mul->run(m, n, k, q->a11, lda, parts + B11 * size, q->c11, ldc);
    make_s1(q, vec);
    mul->run(m, n, k, q->sum, k, parts + T1 * size, q->c22, ldc);
    make_s2(q, vec);
    mul->add(m, n, k, q->sum, k, parts + T2 * size, q->c11, q->c21, ldc);
    mul->add(m, n, k, q->a12, lda, parts + B21 * size, q->c11, q->c11, ldc);
    join(q, vec, q->c12, q->c21, q->c22);
    make_s4(q, vec);
    mul->add(m, n, k, q->sum, k, parts + B22 * size, q->c12, q->c12, ldc);
    make_s3(q);
    mul->add(m, n, k, q->sum, k, parts + T3 * size, q->c21, q->c21, ldc);
    join(q, vec, q->c22, q->c21, q->c22);
    mul->add(q->lower, n, k, q->a22, lda, parts + MINUS_T4 * size, q->c21, q->c21, ldc);
}

static int product(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    const pare__columns c = pare__panel_columns(p, panel);
    const float *w = (const float *)p->impl + panel * floats_of_panel(p);
    if (is_cut(p, c)) {
        const quarters q = cut(p, c, rows, x, acc, scratch);
        multiply(&q, w, floats_of_part(p, c));
    } else {
        pare__vec_best()->mul->run(rows, c.n, p->n_in, x, pare__float_stride(p->n_in), w, acc, c.n);
    }
    return 0;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Measured on Zen 4: never slower than `native`, at all of a picture, a half, a quarter or a tenth (DINOv2-S). */
static int has_avx512(void) { return strcmp(pare__vec_best()->name, "avx512") == 0; }

static const pare__engine engine_f32 = {
    .needs = "",
    .operand = PARE__OPERAND_F32,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .grain_cols = GRAIN_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = pare__engine_always,
    .is_fast = has_avx512,
    .prepare = prepare,
    .release = release,
    .product = product,
    .scratch_size = SCRATCH,
};

const pare__backend pare__backend_strassen = {
    .name = "strassen",
    .summary = "pare's own kernels, Strassen-Winograd: 7 products instead of 8",
    .engine = {[PARE__F32] = &engine_f32},
};
