/* SPDX-License-Identifier: MIT */
/* Matrix products as the textbook writes them, in double: slow, and the oracle of every backend. */
#include "core/gemm.h"

static void store(float *c, double sum, float alpha, float beta)
{
    double kept = beta == 0 ? 0 : (double)beta * *c; /* beta = 0 must not read an uninitialised c */
    *c = (float)(alpha * sum + kept);
}

static void gemm_nt(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                    int64_t ldb, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++) sum += (double)a[i * lda + p] * b[j * ldb + p];
            store(&c[i * ldc + j], sum, alpha, beta);
        }
}

static void gemm_nn(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                    int64_t ldb, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++) sum += (double)a[i * lda + p] * b[p * ldb + j];
            store(&c[i * ldc + j], sum, alpha, beta);
        }
}

const pare__gemm pare__gemm_c = {.name = "c", .nt = gemm_nt, .nn = gemm_nn};
