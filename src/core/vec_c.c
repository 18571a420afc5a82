/* SPDX-License-Identifier: MIT */
/* The oracle: every kernel of vec.h as its formula, in double with libm. */
#include "core/vec.h"

#include <math.h>
#include <string.h>

#include "core/half.h"
#include "core/quant.h"

/* ---- reductions ----------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)a[i] * b[i];
    return (float)s;
}

static float sum(const float *a, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += a[i];
    return (float)s;
}

static float max(const float *a, int64_t n)
{
    float m = -INFINITY;
    for (int64_t i = 0; i < n; i++) m = a[i] > m ? a[i] : m;
    return m;
}

static uint64_t sad_u8(const uint8_t *a, const uint8_t *b, int64_t n)
{
    uint64_t s = 0;
    for (int64_t i = 0; i < n; i++) s += (uint64_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return s;
}

/* ---- norms ---------------------------------------------------------------------------------------------------- */

static void layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(var / (double)n + eps);
    for (int64_t i = 0; i < n; i++) y[i] = (float)((x[i] - mean) * scale * w[i] + b[i]);
}

static void rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * x[i];
    double scale = 1 / sqrt(square / (double)n + eps);
    for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] * scale * w[i]);
}

static void softmax(float *x, int64_t n, float scale, const float *bias)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)scale * x[i] + (bias ? bias[i] : 0));
    double top = max(x, n);
    for (int64_t i = 0; i < n; i++) total += exp(x[i] - top);
    for (int64_t i = 0; i < n; i++) x[i] = top == -INFINITY ? 0 : (float)(exp(x[i] - top) / total);
}

static float softmax_raw(float *x, int64_t n, float scale, const float *bias)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) x[i] = (float)((double)scale * x[i] + (bias ? bias[i] : 0));
    const double top = max(x, n);
    for (int64_t i = 0; i < n; i++) total += x[i] = top == -INFINITY ? 0 : (float)exp(x[i] - top);
    return top == -INFINITY ? 0 : (float)(1 / total);
}

/* ---- activations ---------------------------------------------------------------------------------------------- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
static double gelu_tanh(double x) { return x * sigmoid(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)); }
static double gelu_quick(double x) { return x * sigmoid(1.702 * x); }

static void apply(float *y, const float *x, const float *b, int64_t n, double (*f)(double))
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)f(x[i] + (b ? b[i] : 0));
}

static void bias_gelu(float *y, const float *x, const float *b, int64_t n) { apply(y, x, b, n, gelu); }
static void bias_gelu_tanh(float *y, const float *x, const float *b, int64_t n) { apply(y, x, b, n, gelu_tanh); }
static void bias_gelu_quick(float *y, const float *x, const float *b, int64_t n) { apply(y, x, b, n, gelu_quick); }

static void silu_mul(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)(gate[i] * sigmoid(gate[i]) * up[i]);
}

/* ---- sums of rows --------------------------------------------------------------------------------------------- */

static void axpy(float *y, float a, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)((double)a * x[i] + y[i]);
}

static void bias(float *y, const float *x, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] + b[i];
}

static void minus(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = a[i] - b[i];
}

static void residual(float *y, const float *x, const float *b, const float *scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double branch = x[i] + (b ? (double)b[i] : 0);
        y[i] = (float)(y[i] + (scale ? scale[i] : 1) * branch);
    }
}

static void rotate(float *a, float *b, const float *cosine, const float *sine, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = a[i], y = b[i];
        a[i] = (float)(x * cosine[i] - y * sine[i]);
        b[i] = (float)(y * cosine[i] + x * sine[i]);
    }
}

/* ---- conversions ---------------------------------------------------------------------------------------------- */

static uint16_t load_u16(const void *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

static void f16_to_f32(float *y, const uint16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = pare__f16(load_u16((const char *)x + 2 * i));
}

static void bf16_to_f32(float *y, const uint16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = pare__bf16(load_u16((const char *)x + 2 * i));
}

static void q8_0_to_f32(float *y, const uint8_t *blocks, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *block = blocks + i / 32 * 34;
        y[i] = pare__f16(load_u16(block)) * (float)(int8_t)block[2 + i % 32];
    }
}

/* ---- 8 bits and back ------------------------------------------------------------------------------------------ */

static void quantise(uint8_t *q, const float *x, int64_t n, float *scale, int32_t *zero)
{
    float lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    const pare__quant grid = pare__quant_of(lo, hi);
    for (int64_t i = 0; i < n; i++) {
        const float t = nearbyintf(fminf(x[i] * grid.inverse, grid.high)) + (float)grid.zero;
        q[i] = (uint8_t)fminf(fmaxf(t, 0), 255);
    }
    *scale = grid.scale;
    *zero = grid.zero;
}

static float widened(const pare__product8 *p, int64_t row, int64_t i)
{
    const int64_t product = (int64_t)p->acc[row * p->n + i] - (int64_t)p->x_zero[row] * p->w_sum[i];
    return p->x_scale[row] * p->w_scale[i] * (float)product + (p->b ? p->b[i] : 0);
}

static void dequantise(float *y, int64_t ldy, const pare__product8 *p)
{
    for (int64_t row = 0; row < p->rows; row++, y += ldy)
        for (int64_t i = 0; i < p->n; i++) y[i] = widened(p, row, i);
}

static void dequantise_add(float *y, int64_t ldy, const pare__product8 *p, const float *scale)
{
    for (int64_t row = 0; row < p->rows; row++, y += ldy)
        for (int64_t i = 0; i < p->n; i++)
            y[i] = (float)(y[i] + (scale ? (double)scale[i] : 1) * (double)widened(p, row, i));
}

static void dequantise_act(float *y, int64_t ldy, const pare__product8 *p, double (*f)(double))
{
    for (int64_t row = 0; row < p->rows; row++, y += ldy)
        for (int64_t i = 0; i < p->n; i++) y[i] = (float)f((double)widened(p, row, i));
}

static void dequantise_gelu(float *y, int64_t ldy, const pare__product8 *p) { dequantise_act(y, ldy, p, gelu); }
static void dequantise_gelu_tanh(float *y, int64_t ldy, const pare__product8 *p)
{
    dequantise_act(y, ldy, p, gelu_tanh);
}
static void dequantise_gelu_quick(float *y, int64_t ldy, const pare__product8 *p)
{
    dequantise_act(y, ldy, p, gelu_quick);
}

static void f32_to_bf16(uint16_t *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        const uint32_t half = 0x7fff + (bits >> 16 & 1); /* a tie reaches the next number only from an odd one */
        y[i] = (uint16_t)((isnan(x[i]) ? bits | 0x400000 : bits + half) >> 16);
    }
}

const pare__vec pare__vec_c = {
    .name = "c",
    .dot = dot,
    .sum = sum,
    .max = max,
    .axpy = axpy,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .softmax = softmax,
    .softmax_raw = softmax_raw,
    .bias = bias,
    .minus = minus,
    .bias_gelu = bias_gelu,
    .bias_gelu_tanh = bias_gelu_tanh,
    .bias_gelu_quick = bias_gelu_quick,
    .silu_mul = silu_mul,
    .residual = residual,
    .rotate = rotate,
    .sad_u8 = sad_u8,
    .f16_to_f32 = f16_to_f32,
    .bf16_to_f32 = bf16_to_f32,
    .q8_0_to_f32 = q8_0_to_f32,
    .quantise = quantise,
    .dequantise = dequantise,
    .dequantise_add = dequantise_add,
    .dequantise_gelu = dequantise_gelu,
    .dequantise_gelu_tanh = dequantise_gelu_tanh,
    .dequantise_gelu_quick = dequantise_gelu_quick,
    .f32_to_bf16 = f32_to_bf16,
    .mul = &pare__mul_c,
};
