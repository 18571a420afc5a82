/* SPDX-License-Identifier: MIT */
/* Rows to 8 and 16 bits and back: every table gives the bytes of pare__vec_c, and those are what vec.h says, element by
 * element in double. Lengths 0..70 and a long row, unaligned, and what floats have at their ends. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "core/vec.h"

enum { LONG = 4096, MAX_N = LONG + 8, GUARD = 8 };

static const pare__vec *vec; /* under test */
static float x[MAX_N];

/* ---- rows of every kind ----------------------------------------------------------------------------------------- */

static float row_normal(pare__rng *r, int64_t i)
{
    double s = i % 50 ? -6 : 90;
    for (int k = 0; k < 12; k++) s += pare__rng_unit(r);
    return (float)s;
}

static float row_positive(pare__rng *r, int64_t i) { return fabsf(row_normal(r, i)) + 3; }
static float row_negative(pare__rng *r, int64_t i) { return -fabsf(row_normal(r, i)) - 1e-3f; }
static float row_zeros(pare__rng *r, int64_t i) { return pare__rng_unit(r) < 0.5 || i == 0 ? 0.0f : -0.0f; }

/* Halves of a step of 0.5 between -20 and 107.5: every second one is a tie. */
static float row_ties(pare__rng *r, int64_t i)
{
    if (i < 2) return i ? -20.0f : 107.5f;
    return -20 + 0.25f * (float)pare__rng_below(r, 511);
}

static float row_tiny(pare__rng *r, int64_t i) { return (float)(i % 3 - 1) * 1e-43f * (float)pare__rng_unit(r); }

/* Below 255 FLT_MIN and above: the scale stops at a normal number. */
static float row_small(pare__rng *r, int64_t i) { return (i & 1 ? 300 : -2) * FLT_MIN * (float)pare__rng_unit(r); }

static float row_huge(pare__rng *r, int64_t i)
{
    const float ends[] = {FLT_MAX, -FLT_MAX};
    return i < 2 ? ends[i] : (i & 1 ? FLT_MAX : -FLT_MAX) * (float)pare__rng_unit(r);
}

static float row_wild(pare__rng *r, int64_t i)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY, 1e-45f, -0.0f, 1, -NAN, FLT_MAX, -1e30f};
    return i % 7 ? row_normal(r, i) : wild[pare__rng_below(r, sizeof wild / sizeof wild[0])];
}

/* NaN somewhere among numbers that keep their grid. */
static float row_nan(pare__rng *r, int64_t i) { return i % 5 == 3 ? NAN : row_normal(r, i); }

static const struct {
    const char *name;
    float (*at)(pare__rng *, int64_t i);
} kinds[] = {{"normal", row_normal}, {"positive", row_positive}, {"negative", row_negative},
             {"zeros", row_zeros},   {"ties", row_ties},         {"tiny", row_tiny},
             {"small", row_small},   {"huge", row_huge},         {"wild", row_wild},
             {"nan", row_nan}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static void fill(size_t kind, int64_t n)
{
    pare__rng r = pare__rng_make(6, kind, (uint64_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = kinds[kind].at(&r, i);
}

/* ---- quantise --------------------------------------------------------------------------------------------------- */

static double finite_value(float v) { return isnan(v) ? 0 : fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, (double)v)); }

static double largest_value(int64_t n)
{
    double hi = 0;
    for (int64_t i = 0; i < n; i++) hi = fmax(hi, finite_value(x[i]));
    return hi;
}

/* The oracle's grid against the definition in double. */
static void check_grid(const char *kind, int64_t n, float scale, int32_t zero)
{
    const double hi = largest_value(n);
    double lo = 0;
    for (int64_t i = 0; i < n; i++) lo = fmin(lo, finite_value(x[i]));
    const double exact = hi > lo ? fmax((hi - lo) / 255, FLT_MIN) : 1;
    ck_assert_msg(fabs(scale - exact) <= 1e-7 * exact, "%s n=%lld: scale %.9g instead of %.9g", kind, (long long)n,
                  (double)scale, exact);
    ck_assert_msg(zero >= 0 && zero <= 255 && fabs(zero + lo / exact) <= 0.5 + 1e-4, "%s n=%lld: zero %d for %.9g",
                  kind, (long long)n, (int)zero, -lo / exact);
}

/* Back and forth within half a step, zero exactly; NaN is the row's largest number. */
static void check_codes(const char *kind, int64_t n, const uint8_t *q, double scale, int32_t zero)
{
    const double hi = largest_value(n);
    for (int64_t i = 0; i < n; i++) {
        const double value = isnan(x[i]) ? hi : finite_value(x[i]), back = scale * (q[i] - zero);
        ck_assert_msg(fabs(back - value) <= (0.5 + 1e-4) * scale,
                      "%s n=%lld [%lld]: %.9g came back as %.9g, scale %.9g", kind, (long long)n, (long long)i, value,
                      back, scale);
        if (value == 0) ck_assert_int_eq(q[i], zero);
    }
}

static void check_same(const char *kind, const float *from, int64_t n, const uint8_t *want, float scale, int32_t zero)
{
    static uint8_t got[MAX_N + GUARD];
    for (int offset = 0; offset < 2; offset++) {
        float s = -1;
        int32_t z = -1;
        memset(got, 0xa5, sizeof got);
        vec->quantise(got + offset, from, n, &s, &z);
        ck_assert_msg(s == scale && z == zero, "%s %s n=%lld: scale %.9g, zero %d instead of %.9g, %d", vec->name, kind,
                      (long long)n, (double)s, (int)z, (double)scale, (int)zero);
        ck_assert_msg(memcmp(got + offset, want, (size_t)n) == 0, "%s %s n=%lld: other bytes", vec->name, kind,
                      (long long)n);
        ck_assert_msg(got[offset + n] == 0xa5, "%s %s writes past %lld", vec->name, kind, (long long)n);
    }
}

static void check_quantise(size_t kind, int64_t n)
{
    static uint8_t want[MAX_N];
    static float moved[MAX_N];
    float scale;
    int32_t zero;
    fill(kind, n);
    pare__vec_c.quantise(want, x, n, &scale, &zero);
    check_grid(kinds[kind].name, n, scale, zero);
    check_codes(kinds[kind].name, n, want, (double)scale, zero);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        for (int offset = 0; offset < 4; offset += 3) { /* rows at any multiple of a float */
            memcpy(moved + offset, x, (size_t)n * sizeof *x);
            check_same(kinds[kind].name, moved + offset, n, want, scale, zero);
        }
    }
}

START_TEST(test_quantise)
{
    for (size_t kind = 0; kind < N_KINDS; kind++) {
        for (int64_t n = 0; n <= 70; n++) check_quantise(kind, n);
        check_quantise(kind, LONG);
    }
}
END_TEST

START_TEST(test_quantise_by_hand)
{
    /* scale 0.5, zero 40: 107.5 is 215 steps, 0.25 a tie to 0, 0.75 a tie to 2 */
    const float row[] = {-20, 107.5f, 0.25f, 0.75f, -0.25f, -0.75f, 1, NAN, 0};
    const uint8_t want[] = {0, 255, 40, 42, 40, 38, 42, 255, 40};
    enum { N = sizeof row / sizeof row[0] };
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        uint8_t q[N];
        float scale;
        int32_t zero;
        vec->quantise(q, row, N, &scale, &zero);
        ck_assert(scale == 0.5f && zero == 40);
        ck_assert_mem_eq(q, want, N);
    }
}
END_TEST

/* What follows of the range is only where the largest number is, whether written FLT_MAX or infinity. */
START_TEST(test_quantise_infinity)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        const float infinite[] = {INFINITY, -INFINITY, 1e38f, -3e38f}, largest[] = {FLT_MAX, -FLT_MAX, 1e38f, -3e38f};
        uint8_t a[4], b[4];
        float scale_a, scale_b;
        int32_t zero_a, zero_b;
        vec->quantise(a, infinite, 4, &scale_a, &zero_a);
        vec->quantise(b, largest, 4, &scale_b, &zero_b);
        ck_assert(isfinite(scale_a) && scale_a == scale_b && zero_a == zero_b);
        ck_assert_mem_eq(a, b, 4);
    }
}
END_TEST

/* ---- dequantise ------------------------------------------------------------------------------------------------- */

/* Sums, and what turns rows of them into floats: p->rows x p->n of what fill_product made. */
enum { MAX_ROWS = 9, MAX_SUMS = 3 * LONG };

static int32_t acc[MAX_SUMS], w_sum[MAX_N];
static float w_scale[MAX_N], b[MAX_N];
static const float x_scale[MAX_ROWS] = {0.0173f, 1, 0.5f, 3e-3f, 2, 0.1f, 7, 0.3f, 0.9f};
static const int32_t x_zero[MAX_ROWS] = {0, 255, 37, 128, 1, 254, 99, 200, 7};

static void fill_product(double spread, float bias)
{
    pare__rng r = pare__rng_make(6, 99, (uint64_t)spread);
    for (int64_t i = 0; i < MAX_SUMS; i++) acc[i] = (int32_t)(spread * (pare__rng_unit(&r) - .5));
    for (int64_t i = 0; i < MAX_N; i++) {
        b[i] = bias * ((float)pare__rng_unit(&r) - .5f);
        w_sum[i] = (int32_t)(spread / 256 * (pare__rng_unit(&r) - .5));
        w_scale[i] = 1e-4f + (float)pare__rng_unit(&r);
    }
}

static pare__product8 product_at(int64_t rows, int64_t n, int with_bias)
{
    return (pare__product8){.acc = acc,
                            .x_scale = x_scale + (rows < MAX_ROWS ? 1 : 0),
                            .x_zero = x_zero + (rows < MAX_ROWS ? 1 : 0),
                            .w_scale = w_scale,
                            .b = with_bias ? b : NULL,
                            .w_sum = w_sum,
                            .rows = rows,
                            .n = n};
}

static double exact_product(const pare__product8 *p, int64_t row, int64_t i)
{
    return (double)p->x_scale[row] * (double)p->w_scale[i] *
           ((double)p->acc[row * p->n + i] - (double)p->x_zero[row] * p->w_sum[i]);
}

static void check_dequantise(const pare__product8 *p)
{
    static float want[MAX_SUMS], got[MAX_SUMS + GUARD * MAX_ROWS];
    static int32_t place[MAX_SUMS];
    const int64_t n = p->n, ldy = n + 3;
    pare__vec_c.dequantise(want, n, p);
    for (int64_t i = 0; i < p->rows * n; i++) {
        const double exact = exact_product(p, i / n, i % n), bias = p->b ? (double)p->b[i % n] : 0;
        ck_assert_msg(fabs(want[i] - exact - bias) <= 2e-7 * fabs(exact) + 6e-8 * fabs(exact + bias),
                      "n=%lld [%lld]: %.9g instead of %.9g", (long long)n, (long long)i, (double)want[i], exact + bias);
    }
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        for (int64_t i = 0; i < p->rows * ldy; i++) got[i] = 12345;
        vec->dequantise(got, ldy, p);
        for (int64_t r = 0; r < p->rows; r++) {
            ck_assert_msg(memcmp(got + r * ldy, want + r * n, (size_t)n * sizeof *got) == 0,
                          "%s n=%lld row %lld: other bytes", vec->name, (long long)n, (long long)r);
            for (int64_t i = n; i < ldy; i++) ck_assert(got[r * ldy + i] == 12345);
        }
        memcpy(place, p->acc, (size_t)(p->rows * n) * sizeof *place);
        pare__product8 there = *p;
        there.acc = place;
        vec->dequantise((float *)(void *)place, n, &there);
        ck_assert_msg(memcmp(place, want, (size_t)(p->rows * n) * sizeof *got) == 0, "%s n=%lld: in place", vec->name,
                      (long long)n);
    }
}

/* The branch is that of dequantise; adding it is the residual, within one rounding of each table. */
static void check_add(const pare__product8 *p, const float *scale)
{
    static float branch[MAX_SUMS], got[MAX_SUMS + GUARD * MAX_ROWS];
    const int64_t n = p->n, ldy = n + 3;
    pare__vec_c.dequantise(branch, n, p);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        for (int64_t i = 0; i < p->rows * ldy; i++) got[i] = (float)i - 3;
        vec->dequantise_add(got, ldy, p, scale);
        for (int64_t i = 0; i < p->rows * ldy; i++) {
            const int64_t r = i / ldy, at = i % ldy;
            const double factor = scale && at < n ? (double)scale[at] : 1;
            const double want = (double)i - 3 + (at < n ? factor * (double)branch[r * n + at] : 0);
            ck_assert_msg(fabs(got[i] - want) <= 6.1e-8 * fabs(want) + 1e-30, "%s n=%lld [%lld]: %.9g instead of %.9g",
                          vec->name, (long long)n, (long long)i, (double)got[i], want);
        }
    }
}

/* Rows in fours and what is left of them, columns in vectors and what is left. */
static void check_shapes(int with_bias)
{
    for (int64_t n = 0; n <= 70; n++) {
        const pare__product8 p = product_at(n % MAX_ROWS + (n % MAX_ROWS == 0), n, with_bias);
        check_dequantise(&p);
        check_add(&p, n & 2 ? w_scale : NULL);
    }
}

START_TEST(test_dequantise)
{
    fill_product(0x7fffffff, 1e6f);
    acc[0] = INT32_MAX, w_sum[0] = 0;
    acc[1] = INT32_MIN, w_sum[1] = 0;
    acc[2] = 1 << 30, w_sum[2] = -(1 << 20);
    check_shapes(0);
    check_shapes(1);
    pare__product8 p = product_at(3, LONG, 1);
    check_dequantise(&p);
    check_add(&p, w_scale);
    p.acc++, p.w_scale++, p.w_sum++, p.b++, p.n -= 7; /* unaligned */
    check_dequantise(&p);
    check_add(&p, w_scale + 1);
}
END_TEST

/* ---- and activated ---------------------------------------------------------------------------------------------- */

static double erf_form(double v) { return 0.5 * v * erfc(-v * 0.70710678118654752440); }
static double tanh_form(double v) { return v / (1 + exp(-2 * 0.79788456080286535588 * (v + 0.044715 * v * v * v))); }
static double quick_form(double v) { return v / (1 + exp(-1.702 * v)); }

/* One row whose sums are numbers: from -20 to 20, then up to where floats end. */
static void check_activated(void (*run)(float *, int64_t, const pare__product8 *), double (*exact)(double))
{
    static float got[LONG + GUARD];
    const float one = 1;
    const int32_t zero = 0;
    for (float scale = 1.0f / 102; scale < 1e38f; scale *= 1e3f) {
        const pare__product8 p = {acc, &one, &zero, w_scale, b, w_sum, 1, LONG - 5};
        for (int64_t i = 0; i < LONG; i++) acc[i] = (int32_t)i - LONG / 2, w_sum[i] = 0, w_scale[i] = scale, b[i] = 0;
        for (int64_t i = p.n; i < LONG; i++) got[i] = 12345;
        run(got, 0, &p);
        for (int64_t i = 0; i < p.n; i++) {
            const double v = (double)acc[i] * (double)scale, y = exact(v);
            if (fabs(v) < 1e30 && !(fabs(got[i] - y) <= 2e-4 + 2e-7 * fabs(y)))
                ck_abort_msg("%s: %.9g became %.9g instead of %.9g", vec->name, v, (double)got[i], y);
        }
        ck_assert(got[p.n] == 12345);
    }
}

START_TEST(test_dequantise_gelu)
{
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        check_activated(vec->dequantise_gelu, erf_form);
        check_activated(vec->dequantise_gelu_tanh, tanh_form);
        check_activated(vec->dequantise_gelu_quick, quick_form);
    }
}
END_TEST

/* Rows and columns as dequantise has them. */
START_TEST(test_dequantise_gelu_shapes)
{
    static float plain[MAX_SUMS], got[MAX_SUMS + GUARD * MAX_ROWS];
    fill_product(6, 2);
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int64_t n = 0; n <= 70; n++) {
            const pare__product8 p = product_at(1 + n % 8, n, n & 1);
            for (int64_t i = 0; i < p.rows * (n + 3); i++) got[i] = 12345;
            pare__vec_c.dequantise(plain, n, &p);
            vec->dequantise_gelu(got, n + 3, &p);
            for (int64_t i = 0; i < p.rows * (n + 3); i++) {
                const int64_t r = i / (n + 3), at = i % (n + 3);
                ck_assert(at < n ? fabs(got[i] - erf_form((double)plain[r * n + at])) <= 2.1e-4 : got[i] == 12345);
            }
        }
}
END_TEST

/* A product of quantised rows comes back as the product of the floats, as far as 8 bits say. */
START_TEST(test_round_trip)
{
    enum { K = 384 };
    int8_t w[K];
    uint8_t q[K];
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++) {
        double exact = 0, bound = 0;
        float scale, y;
        const float factor = 0.01f;
        int32_t zero, sum = 0, of_weights = 0;
        fill(0, K);
        vec->quantise(q, x, K, &scale, &zero);
        for (int i = 0; i < K; i++) {
            w[i] = (int8_t)(i * 89 % 255 - 127);
            sum += q[i] * w[i];
            of_weights += w[i];
            exact += (double)x[i] * w[i] * (double)factor;
            bound += 0.5001 * (double)scale * abs(w[i]) * (double)factor;
        }
        vec->dequantise(&y, 1, &(pare__product8){&sum, &scale, &zero, &factor, NULL, &of_weights, 1, 1});
        ck_assert_msg(fabs(y - exact) <= bound, "%s: %.9g instead of %.9g", vec->name, (double)y, exact);
    }
}
END_TEST

/* ---- 16 bits ---------------------------------------------------------------------------------------------------- */

static double bf16_value(uint32_t bits)
{
    const uint32_t wide = bits << 16;
    float v;
    memcpy(&v, &wide, sizeof v);
    return isinf(v) ? copysign(ldexp(1, 128), (double)v) : (double)v; /* where the next number would be */
}

/* The nearer of the two neighbours, of two equally near the even one. */
static uint16_t bf16_nearest(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    const uint32_t near = bits >> 16;
    const double below = fabs((double)v - bf16_value(near)), above = fabs(bf16_value(near + 1) - (double)v);
    if (isinf(v) || below < above) return (uint16_t)near;
    return (uint16_t)(above < below ? near + 1 : near + (near & 1));
}

START_TEST(test_bf16)
{
    static float row[MAX_N];
    static uint16_t got[MAX_N + GUARD];
    static const uint16_t tail[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (uint32_t high = 0; high < 65536; high += 64) {
            int64_t n = 0;
            for (uint32_t h = high; h < high + 64; h++)
                for (size_t k = 0; k < sizeof tail / sizeof tail[0]; k++) {
                    const uint32_t bits = h << 16 | tail[k];
                    memcpy(&row[n++], &bits, sizeof bits);
                }
            n -= high / 64 % 33; /* ends of every kind */
            got[n] = 0x1234;
            vec->f32_to_bf16(got, row, n);
            ck_assert_uint_eq(got[n], 0x1234);
            for (int64_t i = 0; i < n; i++) {
                const uint16_t want =
                    isnan(row[i]) ? (uint16_t)(got[i] | 0x7fc0) : bf16_nearest(row[i]); /* any quiet NaN */
                if (got[i] != want)
                    ck_abort_msg("%s: %a became %04x, not %04x", vec->name, (double)row[i], got[i], want);
            }
        }
}
END_TEST

START_TEST(test_bf16_lengths)
{
    static uint16_t got[MAX_N + GUARD], want[MAX_N];
    for (int32_t t = 0; (vec = pare__vec_at(t)); t++)
        for (int64_t n = 0; n <= 70; n++) {
            fill(8, n); /* wild: NaN must have the same bits in every table */
            got[n + 1] = 0x1234;
            pare__vec_c.f32_to_bf16(want, x, n);
            vec->f32_to_bf16(got + 1, x, n);
            ck_assert_msg(memcmp(got + 1, want, (size_t)n * sizeof *got) == 0, "%s n=%lld", vec->name, (long long)n);
            ck_assert_uint_eq(got[n + 1], 0x1234);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vec_quant");
    TCase *tc = tcase_create("rows");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_quantise);
    tcase_add_test(tc, test_quantise_by_hand);
    tcase_add_test(tc, test_quantise_infinity);
    tcase_add_test(tc, test_dequantise);
    tcase_add_test(tc, test_dequantise_gelu);
    tcase_add_test(tc, test_dequantise_gelu_shapes);
    tcase_add_test(tc, test_round_trip);
    tcase_add_test(tc, test_bf16);
    tcase_add_test(tc, test_bf16_lengths);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
