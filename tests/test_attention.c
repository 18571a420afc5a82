/* SPDX-License-Identifier: MIT */
/* Attention against plain double-precision loops, for every table of kernels that runs here and over shapes that cross the
 * borders of panels, blocks, tiles and tasks; threads, segments and what else is asked for do not change a byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/mem.h"
#include "core/rank.h"
#include "encode/backend.h"
#include "encode/parts.h"

enum { MAX_ROWS = 1200, MAX_HEAD_DIM = 128, MAX_WORKERS = 3 };

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
    ex = (pare__exec){.vec = pare__vec_best(), .scratch_size = pare__attention_scratch(MAX_ROWS, MAX_HEAD_DIM)};
    ex.scratch = pare__malloc(MAX_WORKERS * ex.scratch_size, 4);
    for (int64_t i = 0; i < MAX_WORKERS * ex.scratch_size; i++) ex.scratch[i] = NAN;
}

static void set_threads(int32_t n)
{
    pare__pool_free(&ex.pool);
    if (n > 1) ck_assert_int_eq(pare__pool_create(&ex.pool, n, NULL), 0);
}

static void teardown(void)
{
    pare__pool_free(&ex.pool);
    pare__free(ex.scratch);
}

typedef struct attention {
    pare__attention_job job;
    int64_t n;
} attention;

static attention make(int32_t n_head, int32_t head_dim, const int64_t *cu, int32_t n_seg)
{
    attention a = {.n = cu[n_seg]};
    int64_t dim = (int64_t)n_head * head_dim;
    a.job = (pare__attention_job){.qkv = floats(a.n * 3 * dim),
                                  .ldo = dim,
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

/* Log sizes as merging leaves them. */
static void weigh(attention *a)
{
    float *bias = floats(a->n);
    for (int64_t k = 0; k < a->n; k++) bias[k] = logf((float)(1 + k % 5));
    a->job.log_size = bias;
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

/* Allowed against exact arithmetic: of floats, and of 8 to 15 bits. */
typedef struct bounds {
    double values, means;
} bounds;

static const bounds of_floats = {3e-6, 1e-6}, of_bytes = {4e-3, 2e-3};

/* ---- against loops ------------------------------------------------------------------------------------------------ */

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

static void check_values(const pare__attention_job *j, int64_t first, int64_t n, int64_t query, int64_t head,
                         const double *p, double bound)
{
    int64_t hd = j->head_dim, dim = j->n_head * hd;
    for (int64_t c = 0; c < hd; c++) {
        double want = 0;
        for (int64_t k = 0; k < n; k++) want += p[k] * (double)j->qkv[(first + k) * 3 * dim + 2 * dim + head * hd + c];
        ck_assert_msg(fabs((double)j->out[query * dim + head * hd + c] - want) < bound,
                      "%s: query %lld of %lld rows, head %lld of %lld channels: %g instead of %g", ex.vec->name,
                      (long long)query, (long long)n, (long long)head, (long long)hd,
                      (double)j->out[query * dim + head * hd + c], want);
    }
}

static void check_segment(const pare__attention_job *j, int64_t first, int64_t last, const bounds *b)
{
    int64_t n = last - first;
    double *p = calloc((size_t)n + 1, 8), *cls = calloc((size_t)n + 1, 8), *col = calloc((size_t)n + 1, 8);
    for (int64_t q = first; q < last; q++) {
        for (int64_t h = 0; h < j->n_head; h++) {
            probabilities(j, first, last, q, h, p);
            check_values(j, first, n, q, h, p, b->values);
            for (int64_t k = 0; k < n; k++) {
                col[k] += p[k] / (double)(n * j->n_head);
                if (q == first) cls[k] += p[k] / j->n_head;
            }
        }
    }
    for (int64_t k = 0; k < n; k++) {
        ck_assert_double_eq_tol((double)j->cls_row[first + k], cls[k], b->means);
        ck_assert_double_eq_tol((double)j->col_mean[first + k], col[k], b->means);
    }
    free(p);
    free(cls);
    free(col);
}

static const struct {
    int32_t n_head, head_dim;
    int64_t cu[5];
} shapes[] = {{3, 20, {0, 1, 1, 8, 9}},         {3, 20, {0, 5, 22, 39, 42}},      {2, 20, {0, 260, 261, 270, 300}},
              {2, 64, {0, 1, 50, 147, 164}},    {1, 64, {0, 197, 197, 198, 199}}, {1, 72, {0, 33, 65, 97, 130}},
              {2, 80, {0, 12, 36, 61, 100}},    {2, 1, {0, 17, 20, 21, 40}},      {3, 7, {0, 31, 63, 64, 80}},
              {2, 24, {0, 48, 50, 99, 100}},    {1, 32, {0, 128, 140, 150, 151}}, {1, 16, {0, 1000, 1001, 1001, 1001}},
              {1, 128, {0, 100, 120, 121, 130}}};
enum { N_SHAPE = sizeof shapes / sizeof shapes[0] };

START_TEST(matches_loops)
{
    for (int32_t t = 0; (ex.vec = pare__vec_at(t)); t++) {
        attention a = make(shapes[_i / 2].n_head, shapes[_i / 2].head_dim, shapes[_i / 2].cu, 4);
        if (_i % 2) weigh(&a);
        pare__attention_run(&ex, &a.job);
        for (int s = 0; s < 4; s++) check_segment(&a.job, a.job.cu[s], a.job.cu[s + 1], &of_floats);
        finish(&a);
    }
}
END_TEST

/* Rows at the end of segments, and here and there, are padding; in bytes, too. */
START_TEST(padding_is_no_key)
{
    ex.narrow = _i % 2 ? pare__narrow_best() : NULL;
    attention a = make(shapes[_i / 2].n_head, shapes[_i / 2].head_dim, shapes[_i / 2].cu, 4);
    weigh(&a);
    float *bias = (float *)(uintptr_t)a.job.log_size;
    for (int s = 0; s < 4; s++)
        for (int64_t i = a.job.cu[s] + 1; i < a.job.cu[s + 1]; i++)
            if (i % 7 == 3 || i > (a.job.cu[s] + 2 * a.job.cu[s + 1]) / 3) bias[i] = -INFINITY;
    pare__attention_run(&ex, &a.job);
    for (int s = 0; s < 4; s++) check_segment(&a.job, a.job.cu[s], a.job.cu[s + 1], ex.narrow ? &of_bytes : &of_floats);
    finish(&a);
}
END_TEST

/* Heads that are no whole words wide stay floats. */
START_TEST(bytes_match_loops)
{
    const pare__narrow *const table[] = {&pare__narrow_c, pare__narrow_best()};
    for (int t = 0; t < 2 && table[t]; t++) {
        ex.narrow = table[t];
        attention a = make(shapes[_i / 2].n_head, shapes[_i / 2].head_dim, shapes[_i / 2].cu, 4);
        if (_i % 2) weigh(&a);
        pare__attention_run(&ex, &a.job);
        for (int s = 0; s < 4; s++) check_segment(&a.job, a.job.cu[s], a.job.cu[s + 1], &of_bytes);
        finish(&a);
    }
}
END_TEST

/* As many keys as there may be, all alike, of the largest values: sums of whole numbers hold them. */
START_TEST(largest_sums_fit)
{
    enum { N = 8, PAST = 2040, HEAD = 32 };
    static const int64_t cu[] = {0, N}, past_cu[] = {0, PAST};
    static const int32_t past_row[PAST];
    const pare__narrow *const table[] = {NULL, &pare__narrow_c, pare__narrow_best()};
    ck_assert_int_le(pare__attention_scratch(N + PAST, HEAD), ex.scratch_size);
    attention a = make(1, HEAD, cu, 1);
    float *qkv = (float *)(uintptr_t)a.job.qkv;
    for (int64_t i = 0; i < N * 3 * HEAD; i++) qkv[i] = i % 2 ? -3 : 3;
    a.job.past = qkv + HEAD;
    a.job.past_row = past_row;
    a.job.past_cu = past_cu;
    ex.narrow = table[_i];
    pare__attention_run(&ex, &a.job);
    for (int64_t i = 0; i < N * HEAD; i++) ck_assert_float_eq_tol(a.job.out[i], i % 2 ? -3.f : 3.f, 1e-3f);
    finish(&a);
}
END_TEST

/* What is no number spoils its own segment only. */
START_TEST(others_are_unharmed)
{
    static const int64_t cu[] = {0, 40, 77, 100};
    ex.narrow = _i % 2 ? pare__narrow_best() : NULL;
    attention a = make(2, 20, cu, 3);
    weigh(&a);
    pare__attention_run(&ex, &a.job);
    float *qkv = (float *)(uintptr_t)a.job.qkv, *out = memcpy(malloc(100 * 40 * 4), a.job.out, 100 * 40 * 4);
    for (int64_t i = 40; i < 77; i++) qkv[i * 120 + i * 7 % 120] = i % 3 ? NAN : INFINITY;
    pare__attention_run(&ex, &a.job);
    ck_assert_mem_eq(out, a.job.out, 40 * 40 * 4);
    ck_assert_mem_eq(out + 77 * 40, a.job.out + 77 * 40, 23 * 40 * 4);
    free(out);
    finish(&a);
}
END_TEST

/* ---- the same bytes ------------------------------------------------------------------------------------------------ */

/* What a run left. */
typedef struct trace {
    float *out, *col, *cls;
    size_t size, row;
} trace;

static trace keep(const attention *a)
{
    trace t = {.size = (size_t)(a->n * a->job.n_head * a->job.head_dim) * 4, .row = (size_t)a->n * 4};
    t.out = memcpy(malloc(t.size), a->job.out, t.size);
    t.col = memcpy(malloc(t.row), a->job.col_mean, t.row);
    t.cls = memcpy(malloc(t.row), a->job.cls_row, t.row);
    memset(a->job.out, 1, t.size);
    memset(a->job.col_mean, 1, t.row);
    memset(a->job.cls_row, 1, t.row);
    return t;
}

static void let_go(trace *t)
{
    free(t->out);
    free(t->col);
    free(t->cls);
}

/* 1100 rows cross the tile of queries; without column sums the queries are cut into tasks. */
START_TEST(threads_do_not_matter)
{
    static const int64_t cu[] = {0, 1100, 1110};
    attention a = make(2, 16, cu, 2);
    pare__attention_run(&ex, &a.job);
    trace t = keep(&a);
    float *col = a.job.col_mean;
    for (int32_t threads = 1; threads <= MAX_WORKERS; threads++) {
        set_threads(threads);
        pare__attention_run(&ex, &a.job);
        ck_assert_mem_eq(t.out, a.job.out, t.size);
        ck_assert_mem_eq(t.col, a.job.col_mean, t.row);
        ck_assert_mem_eq(t.cls, a.job.cls_row, t.row);
        memset(a.job.out, 1, t.size);
        memset(a.job.cls_row, 1, t.row);
        a.job.col_mean = NULL;
        pare__attention_run(&ex, &a.job);
        ck_assert_mem_eq(t.out, a.job.out, t.size);
        ck_assert_mem_eq(t.cls, a.job.cls_row, t.row);
        a.job.col_mean = col;
    }
    let_go(&t);
    finish(&a);
}
END_TEST

/* Without an output the statistics are the same, and the CLS row alone costs one query a segment. */
START_TEST(statistics_alone)
{
    static const int64_t cu[] = {0, 300, 300, 301, 340};
    double flops = 0;
    attention a = make(2, 24, cu, 4);
    ex.flops = &flops;
    pare__attention_run(&ex, &a.job);
    ck_assert_double_eq(flops, 4.0 * 48 * (300 * 300 + 1 + 39 * 39));
    trace t = keep(&a);
    float *out = a.job.out, *col = a.job.col_mean;
    a.job.out = NULL;
    flops = 0;
    pare__attention_run(&ex, &a.job);
    ck_assert_double_eq(flops, 2.0 * 48 * (300 * 300 + 1 + 39 * 39));
    ck_assert_mem_eq(t.col, a.job.col_mean, t.row);
    ck_assert_mem_eq(t.cls, a.job.cls_row, t.row);
    a.job.col_mean = NULL;
    flops = 0;
    memset(a.job.cls_row, 1, t.row);
    pare__attention_run(&ex, &a.job);
    ck_assert_double_eq(flops, 2.0 * 48 * (300 + 1 + 39));
    ck_assert_mem_eq(t.cls, a.job.cls_row, t.row);
    a.job.out = out;
    a.job.col_mean = col;
    let_go(&t);
    finish(&a);
}
END_TEST

/* Segments given by a list of rows compute what the same rows do side by side, to the byte. */
START_TEST(listed_rows)
{
    enum { N = 910, DIM = 32 };
    static const int64_t cu[] = {0, 700, 701, 701, N};
    static int32_t order[N];
    attention a = make(2, 16, cu, 4), b = make(2, 16, cu, 4);
    float *beside = floats(N);
    weigh(&a);
    for (int i = 0; i < N; i++) order[i] = (int32_t)(i * 3 % N); /* 910 is no multiple of 3 */
    for (int i = 0; i < N; i++) {
        memcpy((float *)(uintptr_t)b.job.qkv + i * 3 * DIM, a.job.qkv + order[i] * 3 * DIM, 3 * DIM * 4);
        beside[i] = a.job.log_size[order[i]];
    }
    b.job.log_size = beside;
    a.job.order = order;
    set_threads(_i);
    pare__attention_run(&ex, &a.job);
    pare__attention_run(&ex, &b.job);
    for (int i = 0; i < N; i++) {
        const int r = order[i];
        ck_assert_mem_eq(a.job.col_mean + r, b.job.col_mean + i, 4);
        ck_assert_mem_eq(a.job.cls_row + r, b.job.cls_row + i, 4);
        ck_assert_mem_eq(a.job.out + r * DIM, b.job.out + i * DIM, DIM * 4);
    }
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

/* What fits many rows fits fewer. */
START_TEST(scratch_grows)
{
    for (int64_t hd = 1; hd <= 128; hd += 7)
        for (int64_t n = 1; n < 5000; n += 13)
            ck_assert_int_le(pare__attention_scratch(n, hd), pare__attention_scratch(n + 1, hd));
    ck_assert_int_lt(pare__attention_scratch(16384, 80), 16384 * (80 + 96 + 16));
}
END_TEST

/* ---- BLAS -------------------------------------------------------------------------------------------------------- */

START_TEST(openblas_matches_c)
{
    enum { M = 37, N = 29, K = 65 };
    const pare__gemm *const gemm[2] = {pare__backend_openblas.gemm, pare__backend_c.gemm};
    float *a = floats(M * K), *b = floats(N * K), *c[2] = {floats(M * N), floats(M * N)};
    memcpy(c[1], c[0], M * N * 4);
    for (int i = 0; i < 2; i++) gemm[i]->nt(M, N, K, 0.5f, a, K, b, K, 2.0f, c[i], N);
    for (int i = 0; i < M * N; i++) ck_assert_float_eq_tol(c[0][i], c[1][i], 1e-5f);
    for (int i = 0; i < 2; i++) gemm[i]->nn(M, N, K, 1.0f, a, K, b, N, 0.0f, c[i], N);
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
    tcase_add_loop_test(t, matches_loops, 0, 2 * N_SHAPE);
    tcase_add_loop_test(t, bytes_match_loops, 0, 2 * N_SHAPE);
    tcase_add_loop_test(t, padding_is_no_key, 0, 2 * N_SHAPE);
    tcase_add_loop_test(t, largest_sums_fit, 0, 3);
    tcase_add_loop_test(t, others_are_unharmed, 0, 2);
    tcase_add_test(t, threads_do_not_matter);
    tcase_add_test(t, statistics_alone);
    tcase_add_loop_test(t, listed_rows, 1, MAX_WORKERS + 1);
    tcase_add_test(t, size_counts_copies);
    tcase_add_test(t, scratch_grows);
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
