/* SPDX-License-Identifier: MIT */
/* Linear layers by every engine: plain C against loops in double, the others against plain C at the same precision (8-bit
 * products to the bit), int8 and bf16 against f32, chains, norms, threads, and the choice of engines by name. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "encode/backend.h"
#include "encode/parts.h"

static pare__exec ex;
static atomic_int failed;
static pare__rng rng;

enum { MAX_ROWS = 1300, MAX_IN = 96 + 64, WORKERS = 3, ROOM = 2 << 20 };

static float *floats(int64_t n)
{
    float *p = pare__malloc(n + 4, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(pare__rng_unit(&rng) * 2 - 1);
    return p;
}

static void setup(void)
{
    rng = pare__rng_make(5, 0, 0);
    failed = 0;
    ex = (pare__exec){.vec = pare__vec_best(), .scratch_size = 2 * PARE__TILE_FLOATS + ROOM, .failed = &failed};
    ex.scratch = pare__calloc(WORKERS * ex.scratch_size, 4);
    ex.operand = pare__calloc(MAX_ROWS + 4, MAX_IN * 4);
    ex.row_scale = pare__calloc(MAX_ROWS + 4, 4);
    ex.row_zero = pare__calloc(MAX_ROWS + 4, 4);
}

static void teardown(void)
{
    pare__pool_free(&ex.pool);
    void *owned[] = {ex.scratch, ex.operand, ex.row_scale, ex.row_zero};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}

/* ---- a layer ----------------------------------------------------------------------------------------------------- */

typedef struct layer {
    pare__linear_job job;
    pare__prepared weights;
    pare__norm_w norm;
    float *w, *bias, *scale, *x, *y, *before, *gain, *shift; /* before [rows, ldy]: y as it was */
    int64_t cols;
} layer;

static void make(layer *l, int64_t rows, int64_t n_in, int64_t n_out, pare__epilogue epilogue, int with)
{
    const int gated = epilogue == PARE__EPILOGUE_GATED;
    if (gated) n_out = n_out / 2 * 2;
    l->cols = gated ? n_out / 2 : n_out;
    const int64_t ldy = l->cols + 5;
    l->w = floats(n_out * n_in);
    l->bias = floats(n_out);
    l->scale = floats(n_out);
    l->x = floats((rows + 4) * n_in);
    l->y = floats(rows * ldy);
    l->before = floats(rows * ldy);
    l->gain = floats(n_in);
    l->shift = floats(n_in);
    memcpy(l->before, l->y, (size_t)(rows * ldy) * 4);
    l->norm = (pare__norm_w){l->gain, l->shift};
    l->job = (pare__linear_job){.bias = with ? l->bias : NULL,
                                .norm = with ? &l->norm : NULL,
                                .eps = 1e-6f,
                                .x = l->x,
                                .ldx = n_in,
                                .y = l->y,
                                .ldy = ldy,
                                .rows = rows,
                                .epilogue = epilogue,
                                .act = gated ? PARE__ACT_SILU : PARE__ACT_GELU,
                                .scale = with ? l->scale : NULL};
}

static void finish(layer *l)
{
    void *owned[] = {l->w, l->bias, l->scale, l->x, l->y, l->before, l->gain, l->shift};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
}

/* y afresh by this engine; a copy of it. */
static float *run(layer *l, const pare__engine *e, int64_t n_in, int64_t n_out)
{
    pare_error err = {0};
    const int64_t n = l->job.rows * l->job.ldy;
    const int32_t parts = l->job.epilogue == PARE__EPILOGUE_GATED ? 2 : 1;
    ck_assert_msg(pare__prepare(&l->weights, e, l->w, (int32_t)n_in, (int32_t)n_out, parts, &err) == 0, "%s", err.text);
    l->job.w = &l->weights;
    if (l->job.norm) l->job.norm = &l->norm; /* layers are copied */
    memcpy(l->y, l->before, (size_t)n * 4);
    pare__linear_run(&ex, &l->job, 1);
    ck_assert_int_eq(failed, 0);
    pare__prepared_fini(&l->weights);
    float *out = pare__malloc(n, 4);
    memcpy(out, l->y, (size_t)n * 4);
    return out;
}

/* ---- against loops ----------------------------------------------------------------------------------------------- */

static double gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2.0))); }

static double silu(double x) { return x / (1 + exp(-x)); }

static void normed_row(const layer *l, const float *x, int64_t n, double *out)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++)
        out[i] = l->job.norm ? ((double)x[i] - mean) / sqrt(var + 1e-6) * (double)l->gain[i] + (double)l->shift[i]
                             : (double)x[i];
}

static double row_times(const layer *l, const double *x, int64_t n_in, int64_t o)
{
    double sum = l->job.bias ? (double)l->bias[o] : 0;
    for (int64_t i = 0; i < n_in; i++) sum += x[i] * (double)l->w[o * n_in + i];
    return sum;
}

static double expected(const layer *l, const double *x, int64_t n_in, int64_t r, int64_t o)
{
    const pare__linear_job *j = &l->job;
    const double y = row_times(l, x, n_in, o);
    if (j->epilogue == PARE__EPILOGUE_ACT) return gelu(y);
    if (j->epilogue == PARE__EPILOGUE_GATED) return silu(y) * row_times(l, x, n_in, o + l->cols);
    if (j->epilogue == PARE__EPILOGUE_BIAS) return y;
    return (double)l->before[r * j->ldy + o] + (j->scale ? (double)j->scale[o] : 1) * y;
}

static const int64_t shapes[][3] = {{1, 7, 3},      {197, 40, 200},  {385, 33, 450},
                                    {1100, 16, 66}, {131, 96, 1000}, {9, 64, 64}};
enum { N_SHAPE = 6, N_CASE = N_SHAPE * 8 };

static layer case_layer(int i)
{
    layer l = {0};
    const int64_t *s = shapes[i / 8];
    make(&l, s[0], s[1], s[2], (pare__epilogue)(i % 4), i / 4 % 2);
    return l;
}

static int64_t case_out(int i)
{
    const int64_t n = shapes[i / 8][2];
    return i % 4 == PARE__EPILOGUE_GATED ? n / 2 * 2 : n;
}

START_TEST(plain_c_matches_loops)
{
    layer l = case_layer(_i);
    const int64_t n_in = shapes[_i / 8][1], ldy = l.job.ldy;
    float *y = run(&l, pare__backend_c.engine[PARE__F32], n_in, case_out(_i));
    double x[MAX_IN];
    for (int64_t r = 0; r < l.job.rows; r++) {
        normed_row(&l, l.x + r * n_in, n_in, x);
        for (int64_t o = 0; o < l.cols; o++)
            ck_assert_double_eq_tol((double)y[r * ldy + o], expected(&l, x, n_in, r, o), 4e-5);
        for (int64_t o = l.cols; o < ldy; o++) ck_assert(y[r * ldy + o] == l.before[r * ldy + o]);
    }
    pare__free(y);
    finish(&l);
}
END_TEST

/* ---- engines among themselves ------------------------------------------------------------------------------------ */

static double worst(const layer *l, const float *a, const float *b)
{
    double most = 0;
    for (int64_t i = 0; i < l->job.rows * l->job.ldy; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

START_TEST(engines_match_plain_c)
{
    pare__engine_choice c;
    layer l = case_layer(_i);
    const int64_t n_in = shapes[_i / 8][1], n_out = case_out(_i), n = l.job.rows * l.job.ldy;
    for (int32_t i = 0; pare__engine_at(i, &c); i++) {
        if (!c.engine->runs()) continue;
        float *y = run(&l, c.engine, n_in, n_out), *want = run(&l, pare__backend_c.engine[c.precision], n_in, n_out);
        if (c.precision == PARE__INT8)
            ck_assert_msg(memcmp(y, want, (size_t)n * 4) == 0, "%s: 8-bit products are exact", c.backend->name);
        ck_assert_msg(worst(&l, y, want) < 1e-4, "%s %s: %g", c.backend->name, pare__precision_name(c.precision),
                      worst(&l, y, want));
        pare__free(y);
        pare__free(want);
    }
    finish(&l);
}
END_TEST

/* Rounding noise: 2^-9 of every factor in bf16, half a step of 255 (rows) and of 254 (weights) in 8 bits; values here are
 * within 1 (rows without norm), sums over n_in of random signs. */
START_TEST(precisions_come_near)
{
    layer l = {0};
    make(&l, 64, 96, 256, PARE__EPILOGUE_BIAS, 0);
    float *want = run(&l, pare__backend_c.engine[PARE__F32], 96, 256);
    static const double bound[PARE__PRECISIONS] = {1e-4, 0.05, 0.1};
    for (int p = 0; p < PARE__PRECISIONS; p++) {
        float *y = run(&l, pare__backend_c.engine[p], 96, 256);
        ck_assert_double_lt(worst(&l, y, want), bound[p]);
        if (p) ck_assert_double_gt(worst(&l, y, want), bound[p] / 100);
        pare__free(y);
    }
    pare__free(want);
    finish(&l);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    pare__engine_choice c;
    layer l = case_layer(_i);
    const int64_t n_in = shapes[_i / 8][1], n_out = case_out(_i), n = l.job.rows * l.job.ldy;
    for (int32_t i = 0; pare__engine_at(i, &c); i++) {
        if (!c.engine->runs()) continue;
        float *one = run(&l, c.engine, n_in, n_out);
        ck_assert_int_eq(pare__pool_create(&ex.pool, WORKERS, NULL), 0);
        float *three = run(&l, c.engine, n_in, n_out);
        pare__pool_free(&ex.pool);
        ck_assert_mem_eq(one, three, (size_t)n * 4);
        pare__free(one);
        pare__free(three);
    }
    finish(&l);
}
END_TEST

/* A chain gives what its layers give one by one; many rows take the way through the chain, few the other. */
START_TEST(chains)
{
    enum { WIDTH = 48, WIDE = 96 };
    const int64_t rows = _i % 2 ? 1111 : 90;
    pare__engine_choice c;
    for (int32_t i = 0; pare__engine_at(i, &c); i++) {
        if (!c.engine->runs()) continue;
        layer a = {0}, b = {0};
        make(&a, rows, WIDTH, WIDE, PARE__EPILOGUE_ACT, 1);
        make(&b, rows, WIDE, WIDTH, PARE__EPILOGUE_RESIDUAL, 0);
        float *middle = pare__calloc((rows + 4) * (WIDE + 8), 4), *x = floats((rows + 4) * WIDTH),
              *start = floats(rows * WIDTH);
        memcpy(start, x, (size_t)(rows * WIDTH) * 4);
        ck_assert_int_eq(pare__prepare(&a.weights, c.engine, a.w, WIDTH, WIDE, 1, NULL), 0);
        ck_assert_int_eq(pare__prepare(&b.weights, c.engine, b.w, WIDE, WIDTH, 1, NULL), 0);
        pare__linear_job job[2] = {a.job, b.job};
        job[0].w = &a.weights, job[0].x = x, job[0].y = middle, job[0].ldy = WIDE + 8;
        job[1].w = &b.weights, job[1].x = middle, job[1].ldx = WIDE + 8, job[1].y = x, job[1].ldy = WIDTH;
        pare__linear_run(&ex, job, 2);
        float *both = floats(rows * WIDTH);
        memcpy(both, x, (size_t)(rows * WIDTH) * 4);
        memcpy(x, start, (size_t)(rows * WIDTH) * 4);
        pare__linear_run(&ex, &job[0], 1);
        pare__linear_run(&ex, &job[1], 1);
        ck_assert_mem_eq(both, x, (size_t)(rows * WIDTH) * 4);
        ck_assert_int_eq(pare__pool_create(&ex.pool, WORKERS, NULL), 0);
        for (int again = 0; again < 20; again++) { /* tiles of three workers are at both layers at one time */
            memcpy(x, start, (size_t)(rows * WIDTH) * 4);
            pare__linear_run(&ex, job, 2);
            ck_assert_mem_eq(both, x, (size_t)(rows * WIDTH) * 4);
        }
        pare__pool_free(&ex.pool);
        pare__prepared_fini(&a.weights);
        pare__prepared_fini(&b.weights);
        void *owned[] = {middle, x, start, both};
        for (int k = 0; k < 4; k++) pare__free(owned[k]);
        finish(&a);
        finish(&b);
    }
}
END_TEST

/* ---- by name ----------------------------------------------------------------------------------------------------- */

START_TEST(names)
{
    pare__engine_choice c;
    pare_error err = {0};
    ck_assert_int_eq(pare__engine_choose(NULL, NULL, &c, &err), 0);
    ck_assert_int_eq(c.precision, PARE__F32);
    ck_assert_ptr_ne(c.backend, &pare__backend_c);
    ck_assert_int_eq(pare__engine_choose("c", "int8", &c, &err), 0);
    ck_assert_ptr_eq(c.engine, pare__backend_c.engine[PARE__INT8]);
    ck_assert_int_eq(pare__engine_choose("openblass", NULL, &c, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'openblas'"));
    ck_assert_int_eq(pare__engine_choose(NULL, "int4", &c, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'int8'"));
    ck_assert_int_eq(pare__engine_choose("openblas", "int8", &c, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "openblas does not compute in int8"));
}
END_TEST

START_TEST(limits_of_engines)
{
    pare__engine_choice c;
    for (int32_t i = 0; pare__engine_at(i, &c); i++) {
        const pare__engine *e = c.engine;
        ck_assert_int_eq(e->tile_rows % PARE__GRAIN_ROWS, 0);
        ck_assert_int_le(e->tile_rows * (e->panel_cols + PARE__GRAIN_COLS), PARE__TILE_FLOATS);
        ck_assert_int_le(e->scratch_size, (int64_t)ROOM * 4);
    }
}
END_TEST

START_TEST(weights_of_extremes)
{
    const float w[] = {0, 0, 0, 0, 3e38f, -3e38f, 1e-38f, 0, 1, -1, .5f, -.25f};
    int8_t q[12];
    float scale[3];
    int32_t sum[3];
    pare__quantise_weights(w, 3, 4, q, scale, sum);
    ck_assert_int_eq(sum[0], 0);
    ck_assert(scale[0] == 1.0f);
    ck_assert_int_eq(q[4], 127);
    ck_assert_int_eq(q[5], -127);
    ck_assert_int_eq(q[6], 0);
    ck_assert_int_eq(q[10], 64);
    ck_assert_int_eq(sum[2], 127 - 127 + 64 - 32);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("linear");
    TCase *t = tcase_create("linear");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, plain_c_matches_loops, 0, N_CASE);
    tcase_add_loop_test(t, engines_match_plain_c, 0, N_CASE);
    tcase_add_test(t, precisions_come_near);
    tcase_add_loop_test(t, threads_do_not_matter, 0, N_CASE);
    tcase_add_loop_test(t, chains, 0, 2);
    tcase_add_test(t, names);
    tcase_add_test(t, limits_of_engines);
    tcase_add_test(t, weights_of_extremes);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
