/* SPDX-License-Identifier: MIT */
/* The oracle: products and packing of mul.h as their definitions, summed in double. Source: mul.h. */
#include <stddef.h>

#include "core/mul.h"

enum { COLS = 4 };

/* Place of b[p, col] among the panels. */
static int64_t place(int64_t p, int64_t col, int64_t k) { return (col / COLS * k + p) * COLS + col % COLS; }

static void pack_row(float *to, const float *x, int64_t p, int64_t k, int64_t n)
{
    const int64_t padded = (n + COLS - 1) / COLS * COLS;
    for (int64_t col = 0; col < padded; col++) to[place(p, col, k)] = col < n ? x[col] : 0;
}

static void pack(float *to, const float *b, int64_t ldb, int64_t k, int64_t n)
{
    for (int64_t p = 0; p < k; p++) pack_row(to, b + p * ldb, p, k, n);
}

static void pack_t(float *to, const float *b, int64_t ldb, int64_t k, int64_t n)
{
    const int64_t padded = (n + COLS - 1) / COLS * COLS;
    for (int64_t p = 0; p < k; p++)
        for (int64_t col = 0; col < padded; col++) to[place(p, col, k)] = col < n ? b[col * ldb + p] : 0;
}

static void add(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, const float *plus,
                float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = plus ? (double)plus[i * ldc + j] : 0;
            for (int64_t p = 0; p < k; p++) sum += (double)a[i * lda + p] * packed[place(p, j, k)];
            c[i * ldc + j] = (float)sum;
        }
}

static void run(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, float *c,
                int64_t ldc)
{
    add(m, n, k, a, lda, packed, NULL, c, ldc);
}

const pare__mul pare__mul_c = {
    .name = "c",
    .rows = 1,
    .cols = COLS,
    .pack = pack,
    .pack_t = pack_t,
    .pack_row = pack_row,
    .run = run,
    .add = add,
};
