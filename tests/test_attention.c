/* SPDX-License-Identifier: MIT */
/* Attention and linear layers against plain double-precision loops, over shapes that cross every tile border; threads
 * and segments do not change a byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encode/backend.h"
#include "encode/parts.h"

static pare__exec ex;
static pare__rng rng;

static float *floats(int64_t n)
{
    float *p = pare__malloc(n, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(pare__rng_unit(&rng) * 2 - 1);
    return p;
}

static void setup(void)
{
    rng = pare__rng_make(5, 0, 0);
    ex = (pare__exec){.vec = pare__vec_best(), .gemm = pare__backends[0]->gemm, .scratch_size = PARE__TILE_FLOATS};
    ex.scratch = pare__calloc(2 * (int64_t)PARE__TILE_FLOATS, 4);
}

static void teardown(void)
{
    pare__pool_free(&ex.pool);
    pare__free(ex.scratch);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

typedef struct attention {
    pare__attention_job job;
    int64_t n;
} attention;

static attention make(int32_t n_head, int32_t head_dim, const int64_t *cu, int32_t n_seg)
{
    attention a = {.n = cu[n_seg]};
    int64_t dim = (int64_t)n_head * head_dim;
    a.job = (pare__attention_job){.qkv = floats(a.n * 3 * dim),
                                  .n_head = n_head,
                                  .head_dim = head_dim,
                                  .n_seg = n_seg,
                                  .cu = cu,
                                  .out = floats(a.n * dim),
                                  .part = floats(a.n * 2 * n_head),
                                  .cls_row = floats(a.n),
                                  .col_mean = floats(a.n)};
    return a;
}

static void finish(attention *a)
{
    pare__free((void *)(uintptr_t)a->job.qkv);
    pare__free((void *)(uintptr_t)a->job.log_size);
    pare__free(a->job.out);
    pare__free(a->job.part);
    pare__free(a->job.cls_row);
    pare__free(a->job.col_mean);
}

/* One query of one head: probabilities over the segment. */
static void probabilities(const pare__attention_job *j, int64_t first, int64_t last, int64_t query, int64_t head,
                          double *p)
{
    int64_t hd = j->head_dim, dim = j->n_head * hd;
    double sum = 0;
    for (int64_t k = first; k < last; k++) {
        double dot = 0;
        for (int64_t c = 0; c < hd; c++) {
            dot += (double)j->qkv[query * 3 * dim + head * hd + c] * (double)j->qkv[k * 3 * dim + dim + head * hd + c];
        }
        p[k - first] = exp(dot / sqrt((double)hd) + (j->log_size ? (double)j->log_size[k] : 0));
        sum += p[k - first];
    }
    for (int64_t k = 0; k < last - first; k++) p[k] /= sum;
}

static void check_segment(const pare__attention_job *j, int64_t first, int64_t last)
{
    int64_t hd = j->head_dim, dim = j->n_head * hd, n = last - first;
    double *p = calloc((size_t)n, 8), *cls = calloc((size_t)n, 8), *col = calloc((size_t)n, 8);
    for (int64_t q = first; q < last; q++) {
        for (int64_t h = 0; h < j->n_head; h++) {
            probabilities(j, first, last, q, h, p);
            for (int64_t k = 0; k < n; k++) {
                col[k] += p[k] / (double)(n * j->n_head);
                if (q == first) cls[k] += p[k] / j->n_head;
            }
            for (int64_t c = 0; c < hd; c++) {
                double want = 0;
                for (int64_t k = 0; k < n; k++)
                    want += p[k] * (double)j->qkv[(first + k) * 3 * dim + 2 * dim + h * hd + c];
                ck_assert_double_eq_tol((double)j->out[q * dim + h * hd + c], want, 5e-6);
            }
        }
    }
    for (int64_t k = 0; k < n; k++) {
        ck_assert_double_eq_tol((double)j->cls_row[first + k], cls[k], 1e-6);
        ck_assert_double_eq_tol((double)j->col_mean[first + k], col[k], 1e-6);
    }
    free(p);
    free(cls);
    free(col);
}

static const int64_t ragged[][5] = {{0, 1, 1, 8, 9}, {0, 5, 22, 39, 42}, {0, 260, 261, 270, 300}};

START_TEST(matches_loops)
{
    attention a = make(3, 20, ragged[_i / 2], 4);
    if (_i % 2) {
        float *bias = floats(a.n);
        for (int64_t k = 0; k < a.n; k++) bias[k] = logf((float)(1 + k % 5));
        a.job.log_size = bias;
    }
    pare__attention_run(&ex, &a.job);
    for (int s = 0; s < 4; s++) check_segment(&a.job, a.job.cu[s], a.job.cu[s + 1]);
    finish(&a);
}
END_TEST

/* 700 rows cross the tile of queries; without column sums the queries are cut into tasks. Bytes agree all the same. */
START_TEST(threads_do_not_matter)
{
    static const int64_t cu[] = {0, 700, 710};
    attention a = make(4, 16, cu, 2);
    size_t size = (size_t)a.n * 64 * 4, row = (size_t)a.n * 4;
    float *out = malloc(size), *col = malloc(row), *cls = malloc(row);
    pare__attention_run(&ex, &a.job);
    memcpy(out, a.job.out, size);
    memcpy(col, a.job.col_mean, row);
    memcpy(cls, a.job.cls_row, row);
    ck_assert_int_eq(pare__pool_create(&ex.pool, 2, NULL), 0);
    pare__attention_run(&ex, &a.job);
    ck_assert_mem_eq(out, a.job.out, size);
    ck_assert_mem_eq(col, a.job.col_mean, row);
    ck_assert_mem_eq(cls, a.job.cls_row, row);
    memset(a.job.out, 0, size);
    float *keep = a.job.col_mean;
    a.job.col_mean = NULL;
    pare__attention_run(&ex, &a.job);
    ck_assert_mem_eq(out, a.job.out, size);
    ck_assert_mem_eq(cls, a.job.cls_row, row);
    a.job.col_mean = keep;
    free(out);
    free(col);
    free(cls);
    finish(&a);
}
END_TEST

/* Segments given by a list of rows compute what the same rows do side by side; long ones cross the tile of queries, whose
 * results take the place of gathered queries. Without an output the statistics are the same bytes. */
START_TEST(listed_rows)
{
    enum { N = 910, DIM = 32 };
    static const int64_t cu[] = {0, 700, 701, 701, N};
    static int32_t order[N];
    attention a = make(2, 16, cu, 4), b = make(2, 16, cu, 4);
    float *bias = floats(N), *beside = floats(N), col[N], cls[N];
    for (int i = 0; i < N; i++) order[i] = (int32_t)(i * 3 % N); /* 910 is no multiple of 3 */
    for (int i = 0; i < N; i++) {
        memcpy((float *)(uintptr_t)b.job.qkv + i * 3 * DIM, a.job.qkv + order[i] * 3 * DIM, 3 * DIM * 4);
        beside[i] = bias[order[i]];
    }
    a.job.log_size = bias;
    b.job.log_size = beside;
    a.job.order = order;
    if (_i) ck_assert_int_eq(pare__pool_create(&ex.pool, 2, NULL), 0);
    pare__attention_run(&ex, &a.job);
    pare__attention_run(&ex, &b.job);
    for (int i = 0; i < N; i++) {
        const int r = order[i];
        ck_assert_float_eq_tol(a.job.col_mean[r], b.job.col_mean[i], 1e-6f);
        ck_assert_float_eq_tol(a.job.cls_row[r], b.job.cls_row[i], 1e-6f);
        for (int c = 0; c < DIM; c++) ck_assert_float_eq_tol(a.job.out[r * DIM + c], b.job.out[i * DIM + c], 2e-6f);
    }
    memcpy(col, a.job.col_mean, sizeof col);
    memcpy(cls, a.job.cls_row, sizeof cls);
    float *out = a.job.out;
    a.job.out = NULL;
    pare__attention_run(&ex, &a.job);
    ck_assert_mem_eq(col, a.job.col_mean, sizeof col);
    ck_assert_mem_eq(cls, a.job.cls_row, sizeof cls);
    a.job.out = out;
    finish(&a);
    finish(&b);
}
END_TEST

/* Three copies of a key and value weigh as much as one with log(3). */
START_TEST(size_counts_copies)
{
    static const int64_t many[] = {0, 7}, few[] = {0, 5};
    attention a = make(2, 8, many, 1), b = make(2, 8, few, 1);
    float *qkv = (float *)(uintptr_t)a.job.qkv, *bias = pare__calloc(5, 4);
    memcpy(qkv + 5 * 48, qkv + 4 * 48, 48 * 4);
    memcpy(qkv + 6 * 48, qkv + 4 * 48, 48 * 4);
    memcpy((float *)(uintptr_t)b.job.qkv, qkv, 5 * 48 * 4);
    bias[4] = logf(3);
    b.job.log_size = bias;
    pare__attention_run(&ex, &a.job);
    pare__attention_run(&ex, &b.job);
    for (int i = 0; i < 5 * 16; i++) ck_assert_float_eq_tol(a.job.out[i], b.job.out[i], 1e-6f);
    finish(&a);
    finish(&b);
}
END_TEST

/* ---- linear ------------------------------------------------------------------------------------------------------ */

static double gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2.0))); }

static double silu(double x) { return x / (1 + exp(-x)); }

static double row_times(const pare__linear *l, const float *x, int64_t o)
{
    double sum = l->b ? (double)l->b[o] : 0;
    for (int64_t i = 0; i < l->n_in; i++) sum += (double)x[i] * (double)l->w[o * l->n_in + i];
    return sum;
}

static double expected(const pare__linear_job *j, const float *before, int64_t r, int64_t o)
{
    const float *x = j->x + r * j->ldx;
    double y = row_times(j->linear, x, o);
    if (j->epilogue == PARE__EPILOGUE_ACT) return gelu(y);
    if (j->epilogue == PARE__EPILOGUE_GATED) return silu(y) * row_times(j->linear, x, o + j->linear->n_out / 2);
    if (j->epilogue == PARE__EPILOGUE_BIAS) return y;
    return (double)before[r * j->ldy + o] + (j->scale ? (double)j->scale[o] : 1) * y;
}

static const int64_t linear_shapes[][3] = {{1, 7, 3}, {197, 40, 200}, {385, 33, 450}, {900, 16, 66}};

START_TEST(linear_matches_loops)
{
    const int64_t *s = linear_shapes[_i / 8];
    pare__epilogue epilogue = (pare__epilogue)(_i % 4);
    int gated = epilogue == PARE__EPILOGUE_GATED, with = _i / 4 % 2;
    int64_t n_out = gated ? s[2] / 2 * 2 : s[2], cols = gated ? n_out / 2 : n_out, ldy = cols + 5;
    float *w = floats(n_out * s[1]), *b = floats(n_out), *scale = floats(n_out), *x = floats(s[0] * s[1]);
    float *y = floats(s[0] * ldy), *before = malloc((size_t)(s[0] * ldy) * 4);
    memcpy(before, y, (size_t)(s[0] * ldy) * 4);
    pare__linear l = {w, with ? b : NULL, (int32_t)s[1], (int32_t)n_out};
    pare__linear_job job = {.linear = &l,
                            .x = x,
                            .ldx = s[1],
                            .y = y,
                            .ldy = ldy,
                            .rows = s[0],
                            .epilogue = epilogue,
                            .act = PARE__ACT_GELU,
                            .scale = with ? scale : NULL};
    pare__linear_run(&ex, &job);
    for (int64_t r = 0; r < s[0]; r++) {
        for (int64_t o = 0; o < cols; o++) {
            ck_assert_double_eq_tol((double)y[r * ldy + o], expected(&job, before, r, o), 2e-5);
        }
        for (int64_t o = cols; o < ldy; o++) ck_assert(y[r * ldy + o] == before[r * ldy + o]);
    }
    float *once = malloc((size_t)(s[0] * ldy) * 4);
    memcpy(once, y, (size_t)(s[0] * ldy) * 4);
    memcpy(y, before, (size_t)(s[0] * ldy) * 4);
    ck_assert_int_eq(pare__pool_create(&ex.pool, 2, NULL), 0);
    pare__linear_run(&ex, &job);
    ck_assert_mem_eq(once, y, (size_t)(s[0] * ldy) * 4);
    free(once);
    free(before);
    pare__free(w);
    pare__free(b);
    pare__free(scale);
    pare__free(x);
    pare__free(y);
}
END_TEST

START_TEST(openblas_matches_c)
{
    enum { M = 37, N = 29, K = 65 };
    float *a = floats(M * K), *b = floats(N * K), *c[2] = {floats(M * N), floats(M * N)};
    memcpy(c[1], c[0], M * N * 4);
    for (int i = 0; i < 2; i++) pare__backends[i]->gemm->nt(M, N, K, 0.5f, a, K, b, K, 2.0f, c[i], N);
    for (int i = 0; i < M * N; i++) ck_assert_float_eq_tol(c[0][i], c[1][i], 1e-5f);
    for (int i = 0; i < 2; i++) pare__backends[i]->gemm->nn(M, N, K, 1.0f, a, K, b, N, 0.0f, c[i], N);
    for (int i = 0; i < M * N; i++) ck_assert_float_eq_tol(c[0][i], c[1][i], 1e-5f);
    pare__free(a);
    pare__free(b);
    pare__free(c[0]);
    pare__free(c[1]);
}
END_TEST

START_TEST(blas_core_is_chosen)
{
    pare_runtime_info info = {0};
    pare_error err = {0};
    ck_assert_int_eq(pare__backend_openblas.init(NULL, &err), 0);
    pare__backend_openblas.describe(&info);
    ck_assert_str_eq(info.blas_core, info.blas_core_best);
    ck_assert_int_eq(info.blas_threads, 1);
    ck_assert_int_eq(strncmp(info.blas, "OpenBLAS 0.", 11), 0);
    ck_assert_int_lt(pare__backend_openblas.init("NoSuchCore", &err), 0);
    ck_assert_msg(strstr(err.text, "NoSuchCore") || strstr(err.text, "cannot change"), "%s", err.text);
    pare_runtime_info after = {0};
    pare__backend_openblas.describe(&after);
    ck_assert_str_eq(after.blas_core, info.blas_core);
    ck_assert_ptr_null(getenv("OPENBLAS_CORETYPE"));
}
END_TEST

int main(void)
{
    unsetenv("OPENBLAS_CORETYPE");
    Suite *s = suite_create("attention");
    TCase *t = tcase_create("attention");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, matches_loops, 0, 6);
    tcase_add_test(t, threads_do_not_matter);
    tcase_add_loop_test(t, listed_rows, 0, 2);
    tcase_add_test(t, size_counts_copies);
    tcase_add_loop_test(t, linear_matches_loops, 0, 32);
    tcase_add_test(t, openblas_matches_c);
    tcase_add_test(t, blas_core_is_chosen);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
