/* SPDX-License-Identifier: MIT */
/* Every table that runs here against pare__vec_c, with the bounds that vec.h promises: odd lengths, model widths, edges. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/half.h"
#include "core/rank.h"
#include "core/vec.h"

enum { MAX_N = 4099, GUARD = 32 };

static const pare__vec *vec; /* under test */
static float a[MAX_N], b[MAX_N], c[MAX_N], got[MAX_N + GUARD], want[MAX_N + GUARD];
static const int64_t widths[] = {0, 384, 768, 1000, 1024, 3072, 4099};

static int64_t length_at(int i) { return i < 67 ? i + 1 : widths[i - 67]; }
enum { N_LENGTHS = 67 + sizeof widths / sizeof widths[0] };

/* Roughly normal with a few outliers, as activations are. */
static void fill(float *x, int64_t n, double scale, uint64_t stream)
{
    pare__rng r = pare__rng_make(7, stream, (uint64_t)n);
    for (int64_t i = 0; i < n; i++) {
        double s = -6;
        for (int k = 0; k < 12; k++) s += pare__rng_unit(&r);
        x[i] = (float)(s * scale * (pare__rng_below(&r, 50) == 0 ? 8 : 1));
    }
}

/* Same start in both outputs; the guard behind n must survive. */
static void prepare(const float *start, int64_t n)
{
    memcpy(got, start, (size_t)n * sizeof *got);
    memcpy(want, start, (size_t)n * sizeof *want);
    for (int i = 0; i < GUARD; i++) got[n + i] = 12345;
}

static void compare(const char *what, int64_t n, double absolute, double relative)
{
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]);
        ck_assert_msg(error <= absolute + relative * fabs((double)want[i]), "%s %s n=%lld [%lld]: %.9g instead of %.9g",
                      vec->name, what, (long long)n, (long long)i, (double)got[i], (double)want[i]);
    }
    for (int i = 0; i < GUARD; i++)
        ck_assert_msg(got[n + i] == 12345, "%s %s writes past %lld", vec->name, what, (long long)n);
}

static void compare_scalar(const char *what, int64_t n, double x, double y, double bound)
{
    ck_assert_msg(fabs(x - y) <= bound, "%s %s n=%lld: %.9g instead of %.9g", vec->name, what, (long long)n, x, y);
}

/* ---- one length, all kernels ----------------------------------------------------------------------------------- */

static void check_reductions(int64_t n)
{
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += fabs((double)a[i]);
        dot += fabs((double)a[i] * b[i]);
    }
    compare_scalar("sum", n, vec->sum(a, n), pare__vec_c.sum(a, n), 1e-6 * sum);
    compare_scalar("dot", n, vec->dot(a, b, n), pare__vec_c.dot(a, b, n), 1e-6 * dot);
    ck_assert(vec->max(a, n) == pare__vec_c.max(a, n));
}

static void check_norms(int64_t n)
{
    prepare(a, n);
    vec->layer_norm(got, a, b, c, n, 1e-6f);
    pare__vec_c.layer_norm(want, a, b, c, n, 1e-6f);
    compare("layer_norm", n, 1e-6, 1e-6);
    prepare(a, n);
    vec->layer_norm(got, got, b, c, n, 1e-6f); /* in place */
    pare__vec_c.layer_norm(want, want, b, c, n, 1e-6f);
    compare("layer_norm in place", n, 1e-6, 1e-6);
    vec->rms_norm(got, a, b, n, 1e-6f);
    pare__vec_c.rms_norm(want, a, b, n, 1e-6f);
    compare("rms_norm", n, 1e-6, 1e-6);
}

static void check_softmax(int64_t n)
{
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        prepare(a, n);
        vec->softmax(got, n, 0.37f, with_bias ? b : NULL);
        pare__vec_c.softmax(want, n, 0.37f, with_bias ? b : NULL);
        compare("softmax", n, 1e-7, 5e-7);
        prepare(a, n);
        const double share = vec->softmax_raw(got, n, 0.37f, with_bias ? b : NULL);
        const double exact = pare__vec_c.softmax_raw(want, n, 0.37f, with_bias ? b : NULL);
        compare("softmax_raw", n, 1e-7, 5e-7);
        compare_scalar("softmax_raw", n, share, exact, 1e-6 * exact);
    }
}

static void check_activations(int64_t n)
{
    void (*const kernels[3][2])(float *, const float *, const float *,
                                int64_t) = {{vec->bias_gelu, pare__vec_c.bias_gelu},
                                            {vec->bias_gelu_tanh, pare__vec_c.bias_gelu_tanh},
                                            {vec->bias_gelu_quick, pare__vec_c.bias_gelu_quick}};

    for (int k = 0; k < 6; k++) {
        prepare(a, n);
        kernels[k / 2][0](got, a, k & 1 ? b : NULL, n);
        kernels[k / 2][1](want, want, k & 1 ? b : NULL, n);
        compare("gelu", n, 1e-7, 1.2e-7);
    }
    prepare(a, n);
    vec->silu_mul(got, a, b, n);
    pare__vec_c.silu_mul(want, a, b, n);
    compare("silu_mul", n, 1e-6, 3e-7);
}

static void check_sums(int64_t n)
{
    prepare(a, n);
    vec->axpy(got, -1.7f, b, n);
    pare__vec_c.axpy(want, -1.7f, b, n);
    compare("axpy", n, 3e-6, 2e-7);
    prepare(a, n);
    vec->bias(got, got, b, n);
    pare__vec_c.bias(want, want, b, n);
    compare("bias in place", n, 0, 0);
    vec->bias(got, b, c, n);
    pare__vec_c.bias(want, b, c, n);
    compare("bias", n, 0, 0);
    vec->minus(got, b, c, n);
    pare__vec_c.minus(want, b, c, n);
    compare("minus", n, 0, 0);
    vec->minus(got, c, got, n);
    pare__vec_c.minus(want, c, want, n);
    compare("minus in place", n, 0, 0);
    for (int k = 0; k < 4; k++) {
        prepare(a, n);
        vec->residual(got, b, k & 1 ? c : NULL, k & 2 ? a : NULL, n);
        pare__vec_c.residual(want, b, k & 1 ? c : NULL, k & 2 ? a : NULL, n);
        compare("residual", n, 3e-5, 2e-7);
    }
}

/* The second half of every pair must come out right as well: both halves are compared. */
static void check_rotate(int64_t n)
{
    static float other[MAX_N + GUARD], oracle[MAX_N];
    static float cosine[MAX_N], sine[MAX_N];
    for (int64_t i = 0; i < n; i++) {
        cosine[i] = cosf(c[i]);
        sine[i] = sinf(c[i]);
    }
    for (int half = 0; half < 2; half++) {
        prepare(half ? b : a, n);
        memcpy(other, half ? a : b, (size_t)n * sizeof *other);
        memcpy(oracle, other, (size_t)n * sizeof *oracle);
        if (half) {
            vec->rotate(other, got, cosine, sine, n);
            pare__vec_c.rotate(oracle, want, cosine, sine, n);
        } else {
            vec->rotate(got, other, cosine, sine, n);
            pare__vec_c.rotate(want, oracle, cosine, sine, n);
        }
        compare("rotate", n, 3e-6, 2e-7);
    }
}

START_TEST(test_floats)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int i = 0; i < N_LENGTHS; i++) {
            int64_t n = length_at(i);
            fill(a, n, 2, 1);
            fill(b, n, 1, 2);
            fill(c, n, 1, 3);
            check_reductions(n);
            check_sums(n);
            check_activations(n);
            check_rotate(n);
            if (n == 0) continue;
            check_norms(n);
            check_softmax(n);
        }
}
END_TEST

/* ---- accuracy over the whole range ------------------------------------------------------------------------------ */

static double exact_gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

START_TEST(test_gelu_range)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        double worst = 0;
        for (int32_t i = -100000; i <= 100000; i += MAX_N) {
            for (int32_t k = 0; k < MAX_N; k++) got[k] = a[k] = (float)(i + k) * 1e-4f;
            vec->bias_gelu(got, got, NULL, MAX_N);
            for (int32_t k = 0; k < MAX_N; k++) {
                double error = fabs(got[k] - exact_gelu(a[k])) - 6e-8 * fabs(exact_gelu(a[k]));
                worst = error > worst ? error : worst;
            }
        }
        ck_assert_msg(worst < 1e-7, "%s: gelu errs by %g beyond rounding", vec->name, worst);
    }
}
END_TEST

START_TEST(test_layer_norm_offset)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        fill(a, 768, 1, 5);
        for (int i = 0; i < 768; i++) a[i] += 100, b[i] = 1, c[i] = 0;
        prepare(a, 768);
        vec->layer_norm(got, a, b, c, 768, 1e-6f);
        pare__vec_c.layer_norm(want, a, b, c, 768, 1e-6f);
        compare("layer_norm of a large mean", 768, 1e-5, 1e-5);
    }
}
END_TEST

/* ---- edges ------------------------------------------------------------------------------------------------------ */

START_TEST(test_softmax_edges)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int64_t n = 1; n < 40; n++) {
            for (int64_t i = 0; i < n; i++) got[i] = 3, b[i] = i == n / 2 ? 0 : -INFINITY;
            vec->softmax(got, n, 1, b);
            for (int64_t i = 0; i < n; i++) ck_assert(got[i] == (i == n / 2 ? 1.0f : 0.0f));
            for (int64_t i = 0; i < n; i++) got[i] = 3, b[i] = -INFINITY;
            vec->softmax(got, n, 1, b);
            for (int64_t i = 0; i < n; i++) ck_assert(got[i] == 0);
            ck_assert(vec->softmax_raw(got, n, 1, b) == 0);
            for (int64_t i = 0; i < n; i++) ck_assert(got[i] == 0);
            ck_assert(vec->softmax_raw(got, 0, 1, NULL) == 0);
            for (int64_t i = 0; i < n; i++) got[i] = i ? -1e30f : 1e30f;
            vec->softmax(got, n, 1, NULL);
            for (int64_t i = 0; i < n; i++) ck_assert(got[i] == (i == 0 ? 1.0f : 0.0f));
            got[n] = 12345;
            vec->softmax(got, 0, 1, NULL);
        }
}
END_TEST

START_TEST(test_special_values)
{
    static const float special[] = {NAN,   INFINITY, -INFINITY, 0.0f,   -0.0f, 1e-42f,
                                    1e29f, -1e29f,   88.5f,     -88.5f, 104,   -104};
    enum { N = sizeof special / sizeof special[0] };

    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        memcpy(got, special, sizeof special);
        vec->bias_gelu(got, got, NULL, N);
        ck_assert(isnan(got[0]));
        for (int i = 3; i < N; i++) {
            double y = exact_gelu(special[i]);
            ck_assert_msg(fabs(got[i] - y) <= 1e-7 + 1.2e-7 * fabs(y), "%s gelu(%g) = %g", vec->name,
                          (double)special[i], (double)got[i]);
        }
        for (int i = 0; i < 3; i++) { /* must not crash */
            for (int k = 0; k < 100; k++) a[k] = (float)k;
            a[50] = special[i];
            vec->softmax(a, 100, 1, NULL);
            vec->layer_norm(got, a, a, a, 100, 0);
        }
    }
}
END_TEST

/* ---- bytes and halves ------------------------------------------------------------------------------------------- */

START_TEST(test_halves)
{
    static uint8_t raw[2 * 65536 + 1];
    static float y[65536];
    uint8_t *odd = raw + 1; /* unaligned, as in a mapped file */

    for (uint32_t i = 0; i < 65536; i++) odd[2 * i] = (uint8_t)i, odd[2 * i + 1] = (uint8_t)(i >> 8);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int64_t n = 65536; n > 65500; n--) {
            y[n - 1] = 0;
            vec->f16_to_f32(y, (const uint16_t *)(const void *)odd, n);
            for (uint32_t i = 0; i < n; i++) {
                float x = pare__f16((uint16_t)i);
                ck_assert_msg(isnan(x) ? isnan(y[i]) : memcmp(&x, &y[i], 4) == 0, "%s f16 %04x", vec->name, i);
            }
            vec->bf16_to_f32(y, (const uint16_t *)(const void *)odd, n);
            for (uint32_t i = 0; i < n; i++) {
                float x = pare__bf16((uint16_t)i);
                ck_assert_msg(isnan(x) ? isnan(y[i]) : memcmp(&x, &y[i], 4) == 0, "%s bf16 %04x", vec->name, i);
            }
            if (n == 65536) n = 65520; /* then the short ends */
        }
}
END_TEST

START_TEST(test_q8_0)
{
    uint8_t blocks[3 * 34 + 1];

    for (size_t i = 0; i < sizeof blocks; i++) blocks[i] = (uint8_t)(i * 37);
    for (int block = 0; block < 3; block++)
        blocks[1 + 34 * block] = 0x55, blocks[1 + 34 * block + 1] = (uint8_t)(0x2c + block);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        got[96] = 12345;
        vec->q8_0_to_f32(got, blocks + 1, 96);
        for (int i = 0; i < 96; i++) {
            float scale = pare__f16((uint16_t)(0x55 | (0x2c + i / 32) << 8));
            ck_assert(got[i] == scale * (float)(int8_t)blocks[1 + i / 32 * 34 + 2 + i % 32]);
        }
        ck_assert(got[96] == 12345);
    }
}
END_TEST

START_TEST(test_sad)
{
    static uint8_t p[5000], q[5000];

    for (int i = 0; i < 5000; i++) p[i] = (uint8_t)(i * 197 + i / 251), q[i] = (uint8_t)(i * 59 + i / 83);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int64_t n = 0; n < 5000; n = n < 200 ? n + 1 : n * 2 + 3) {
            uint64_t s = 0;
            for (int64_t i = 0; i < n; i++) s += (uint64_t)abs(p[i] - q[i + 0]);
            ck_assert_uint_eq(vec->sad_u8(p, q, n), s);
        }
}
END_TEST

START_TEST(test_tables)
{
    const pare__vec *last = NULL;

    ck_assert_ptr_eq(pare__vec_at(0), &pare__vec_c);
    for (int32_t t = 0; pare__vec_at(t); t++) last = pare__vec_at(t);
    ck_assert_ptr_eq(pare__vec_best(), last);
    ck_assert_ptr_eq(pare__cpu_flags(), pare__cpu_flags());
    ck_assert((strstr(pare__cpu_flags(), "avx512f") != NULL) || strcmp(last->name, "avx512") != 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vec");
    TCase *tc = tcase_create("kernels");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_floats);
    tcase_add_test(tc, test_gelu_range);
    tcase_add_test(tc, test_layer_norm_offset);
    tcase_add_test(tc, test_softmax_edges);
    tcase_add_test(tc, test_special_values);
    tcase_add_test(tc, test_halves);
    tcase_add_test(tc, test_q8_0);
    tcase_add_test(tc, test_sad);
    tcase_add_test(tc, test_tables);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
