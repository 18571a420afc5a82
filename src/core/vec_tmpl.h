/* SPDX-License-Identifier: MIT */
/* The kernels of vec.h over vectors of VN floats, included once by each vec_<isa>.c. That file defines before:
 *
 *   vf, VN                        vector of VN floats (arithmetic operators work on it)
 *   v_set v_load v_store          broadcast; unaligned access
 *   v_load_n v_store_n            n lanes of fewer than VN: the rest is `pad`, is not touched
 *   v_fma v_max v_min             a * b + c; max and min return the second operand if one is NaN, or NaN
 *   v_least v_most                min and max; the second operand if the first is NaN
 *   v_hsum v_hmax                 across lanes
 *   v_f16 v_i8                    VN halves, VN signed bytes as floats; pointers may be unaligned
 *   v_store_u8                    four vectors rounded half to even, plus an integer, within 0 .. 255, as 4 VN bytes
 *   sad_u8                        the whole kernel
 *   VEC_TABLE VEC_NAME            the table and its name
 *
 * All activations are x s(x) with s(-x) = 1 - s(x), hence max(x, 0) - a s(-a), a = |x|, whose second term, the tail, is
 * small and bounded. s(-a) is 1 / (1 + exp(h(a))), h = a for SiLU, 1.702 a for the quick GELU, the cubic of the tanh
 * GELU; for the erf GELU it is the normal distribution, 1 / p(a)^4 with a polynomial p. Error figures: vec.h. */
#include <math.h>
#include <string.h>

#include "core/half.h"
#include "core/quant.h"
#include "core/vec.h"

/* As many integers, and what they are in memory. */
typedef uint32_t vu __attribute__((vector_size(4 * VN)));
typedef int32_t vs __attribute__((vector_size(4 * VN)));
typedef uint16_t vh __attribute__((vector_size(2 * VN)));
typedef vu vu_any __attribute__((aligned(1), may_alias));
typedef vh vh_any __attribute__((aligned(1), may_alias));

/* Loops over rows of registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A vector at x[i], short at the end of the row. */
static inline vf row_load(const float *x, int64_t i, int64_t n, float pad)
{
    return n - i >= VN ? v_load(x + i) : v_load_n(x + i, n - i, pad);
}

static inline void row_store(float *x, int64_t i, int64_t n, vf v)
{
    if (n - i >= VN)
        v_store(x + i, v);
    else
        v_store_n(x + i, n - i, v);
}

/* ---- exp ------------------------------------------------------------------------------------------------------ */

#define EXP_LOW -87.33f /* below: the result would be subnormal */
#define EXP_HIGH 88.37f

/* e^x for x in [EXP_LOW, EXP_HIGH], any number elsewhere: x = k ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + r + r^2 q(r), relative
 * error of the polynomial 3e-9. Adding 1.5 * 2^23 rounds to an integer and leaves k in the low bits. */
static inline vf v_exp_inside(vf x)
{
    const vf magic = v_set(12582912.0f);

    vf shifted = v_fma(x, v_set(1.44269504f), magic);
    vf k = shifted - magic;
    vf r = v_fma(k, v_set(-0.693145752f), x);
    r = v_fma(k, v_set(-1.42860677e-6f), r);
    vf q = v_set(0.00138145406f);
    q = v_fma(q, r, v_set(0.00836874545f));
    q = v_fma(q, r, v_set(0.041668389f));
    q = v_fma(q, r, v_set(0.166665211f));
    q = v_fma(q, r, v_set(0.49999994f));
    vf power = (vf)(((vu)shifted << 23) + 0x3f800000u);
    return v_fma(v_fma(r * r, q, r), power, power);
}

/* x is clamped to the range. */
static inline vf v_exp(vf x) { return v_exp_inside(v_min(v_set(EXP_HIGH), v_max(v_set(EXP_LOW), x))); }

/* ---- reductions ----------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int64_t n)
{
    vf s0 = v_set(0), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;

    for (; i + 4 * VN <= n; i += 4 * VN) {
        s0 = v_fma(v_load(a + i), v_load(b + i), s0);
        s1 = v_fma(v_load(a + i + VN), v_load(b + i + VN), s1);
        s2 = v_fma(v_load(a + i + 2 * VN), v_load(b + i + 2 * VN), s2);
        s3 = v_fma(v_load(a + i + 3 * VN), v_load(b + i + 3 * VN), s3);
    }
    for (; i < n; i += VN) s0 = v_fma(row_load(a, i, n, 0), row_load(b, i, n, 0), s0);
    return v_hsum((s0 + s1) + (s2 + s3));
}

static float sum(const float *a, int64_t n)
{
    vf s0 = v_set(0), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;

    for (; i + 4 * VN <= n; i += 4 * VN) {
        s0 += v_load(a + i);
        s1 += v_load(a + i + VN);
        s2 += v_load(a + i + 2 * VN);
        s3 += v_load(a + i + 3 * VN);
    }
    for (; i < n; i += VN) s0 += row_load(a, i, n, 0);
    return v_hsum((s0 + s1) + (s2 + s3));
}

static float max(const float *a, int64_t n)
{
    vf m = v_set(-INFINITY);
    for (int64_t i = 0; i < n; i += VN) m = v_max(m, row_load(a, i, n, -INFINITY));
    return v_hmax(m);
}

/* Sum of (x - mean)^2. */
static float square_sum(const float *x, int64_t n, float mean)
{
    vf s0 = v_set(0), s1 = s0, s2 = s0, s3 = s0, m = v_set(mean);
    int64_t i = 0;

    for (; i + 4 * VN <= n; i += 4 * VN) {
        vf d0 = v_load(x + i) - m, d1 = v_load(x + i + VN) - m;
        vf d2 = v_load(x + i + 2 * VN) - m, d3 = v_load(x + i + 3 * VN) - m;
        s0 = v_fma(d0, d0, s0);
        s1 = v_fma(d1, d1, s1);
        s2 = v_fma(d2, d2, s2);
        s3 = v_fma(d3, d3, s3);
    }
    for (; i < n; i += VN) {
        vf d = row_load(x, i, n, mean) - m;
        s0 = v_fma(d, d, s0);
    }
    return v_hsum((s0 + s1) + (s2 + s3));
}

/* ---- norms ---------------------------------------------------------------------------------------------------- */

static void layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n, float eps)
{
    float mean = sum(x, n) / (float)n;
    float var = square_sum(x, n, mean) / (float)n;
    vf m = v_set(mean), scale = v_set(1 / sqrtf(var + eps));

    for (int64_t i = 0; i < n; i += VN) {
        vf centred = (row_load(x, i, n, 0) - m) * scale;
        row_store(y, i, n, v_fma(centred, row_load(w, i, n, 0), row_load(b, i, n, 0)));
    }
}

static void rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    vf scale = v_set(1 / sqrtf(square_sum(x, n, 0) / (float)n + eps));

    for (int64_t i = 0; i < n; i += VN) row_store(y, i, n, row_load(x, i, n, 0) * scale * row_load(w, i, n, 0));
}

/* scale x + bias at x[i], -inf behind the end of the row. */
static inline vf logits(const float *x, int64_t i, int64_t n, vf scale, const float *bias)
{
    return v_fma(row_load(x, i, n, -INFINITY), scale, bias ? row_load(bias, i, n, 0) : v_set(0));
}

static float softmax_raw(float *x, int64_t n, float scale, const float *bias)
{
    vf factor = v_set(scale), top = v_set(-INFINITY), total = v_set(0);

    for (int64_t i = 0; i < n; i += VN) top = v_max(top, logits(x, i, n, factor, bias));
    top = v_set(v_hmax(top));
    if (n <= 0 || top[0] == -INFINITY) { /* nothing may be attended to: no weight anywhere instead of NaN */
        memset(x, 0, (size_t)(n > 0 ? n : 0) * sizeof *x);
        return 0;
    }
    for (int64_t i = 0; i < n; i += VN) {
        vf d = logits(x, i, n, factor, bias) - top;
        vf e = (vf)((vu)v_exp_inside(d) & ~(vu)(d < v_set(EXP_LOW)));
        row_store(x, i, n, e);
        total += e;
    }
    return 1 / v_hsum(total);
}

static void softmax(float *x, int64_t n, float scale, const float *bias)
{
    vf share = v_set(softmax_raw(x, n, scale, bias));
    for (int64_t i = 0; i < n; i += VN) row_store(x, i, n, row_load(x, i, n, 0) * share);
}

/* ---- activations ---------------------------------------------------------------------------------------------- */

static inline vf tail_silu(vf a) { return a / (v_set(1) + v_exp(a)); }
static inline vf tail_quick(vf a) { return a / (v_set(1) + v_exp(a * v_set(1.702f))); }

static inline vf tail_tanh(vf a)
{
    return a / (v_set(1) + v_exp(a * v_fma(a * a, v_set(0.0713548163f), v_set(1.59576912f))));
}

/* p follows the fourth root of 1 / Phi(-a): weighted minimax over a in [0, 5.6], 1.1e-8 in the tail. Beyond, p^4 grows
 * until nothing is left of the tail. */
static inline vf tail_erf(vf a)
{
    vf p = v_set(1.40525901e-06f);
    p = v_fma(p, a, v_set(-1.92627813e-05f));
    p = v_fma(p, a, v_set(0.000129586901f));
    p = v_fma(p, a, v_set(-0.000476541434f));
    p = v_fma(p, a, v_set(0.00122649688f));
    p = v_fma(p, a, v_set(-0.0015289539f));
    p = v_fma(p, a, v_set(0.00358917727f));
    p = v_fma(p, a, v_set(0.00517433323f));
    p = v_fma(p, a, v_set(0.0317792259f));
    p = v_fma(p, a, v_set(0.118170328f));
    p = v_fma(p, a, v_set(0.237226233f));
    p = v_fma(p, a, v_set(1.1892066f));
    p *= p;
    return a / (p * p);
}

static inline __attribute__((always_inline)) vf gate(vf x, vf (*tail)(vf))
{
    return v_max(v_set(0), x) - tail((vf)((vu)x & 0x7fffffffu));
}

static inline __attribute__((always_inline)) void activate(float *y, const float *x, const float *b, int64_t n,
                                                           vf (*tail)(vf))
{
    for (int64_t i = 0; i < n; i += VN) {
        vf v = row_load(x, i, n, 0);
        if (b) v += row_load(b, i, n, 0);
        row_store(y, i, n, gate(v, tail));
    }
}

static void bias_gelu(float *y, const float *x, const float *b, int64_t n) { activate(y, x, b, n, tail_erf); }
static void bias_gelu_tanh(float *y, const float *x, const float *b, int64_t n) { activate(y, x, b, n, tail_tanh); }
static void bias_gelu_quick(float *y, const float *x, const float *b, int64_t n) { activate(y, x, b, n, tail_quick); }

/* For what becomes 8 bits: x Phi(x), Phi = 1/2 + x p(x^2), which leaves 0 .. 1 by itself where the fit of p ends. */
static inline __attribute__((always_inline)) vf gate8(vf x, vf (*p)(vf))
{
    return x * v_min(v_set(1), v_max(v_set(0), v_fma(p(x * x), x, v_set(0.5f))));
}

/* Of the erf form, u = x^2: minimax over |x| < 4 with x Phi(x) off by 1.9e-4. */
static inline vf erf8(vf u)
{
    vf p = v_set(2.25909496e-08f);
    p = v_fma(p, u, v_set(-1.58896592e-06f));
    p = v_fma(p, u, v_set(4.77666072e-05f));
    p = v_fma(p, u, v_set(-0.000812213402f));
    p = v_fma(p, u, v_set(0.00876381435f));
    p = v_fma(p, u, v_set(-0.0645546764f));
    return v_fma(p, u, v_set(0.397870451f));
}

/* Of the tanh form, over |x| < 3.9, by 1.7e-4. */
static inline vf tanh8(vf u)
{
    vf p = v_set(2.75739627e-08f);
    p = v_fma(p, u, v_set(-1.84352348e-06f));
    p = v_fma(p, u, v_set(5.28169730e-05f));
    p = v_fma(p, u, v_set(-0.000860637985f));
    p = v_fma(p, u, v_set(0.00898668822f));
    p = v_fma(p, u, v_set(-0.0649491549f));
    return v_fma(p, u, v_set(0.397954106f));
}

static void silu_mul(float *y, const float *gate_row, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        vf v = gate(row_load(gate_row, i, n, 0), tail_silu);
        row_store(y, i, n, v * row_load(up, i, n, 0));
    }
}

/* ---- sums of rows --------------------------------------------------------------------------------------------- */

static void axpy(float *y, float a, const float *x, int64_t n)
{
    vf factor = v_set(a);
    for (int64_t i = 0; i < n; i += VN) row_store(y, i, n, v_fma(factor, row_load(x, i, n, 0), row_load(y, i, n, 0)));
}

static void bias(float *y, const float *x, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) row_store(y, i, n, row_load(x, i, n, 0) + row_load(b, i, n, 0));
}

static void minus(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) row_store(y, i, n, row_load(a, i, n, 0) - row_load(b, i, n, 0));
}

static void residual(float *y, const float *x, const float *b, const float *scale, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        vf branch = row_load(x, i, n, 0), factor = v_set(1);
        if (b) branch += row_load(b, i, n, 0);
        if (scale) factor = row_load(scale, i, n, 0);
        row_store(y, i, n, v_fma(branch, factor, row_load(y, i, n, 0)));
    }
}

static void rotate(float *a, float *b, const float *cosine, const float *sine, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        vf x = row_load(a, i, n, 0), y = row_load(b, i, n, 0);
        vf c = row_load(cosine, i, n, 0), s = row_load(sine, i, n, 0);
        row_store(a, i, n, v_fma(x, c, -(y * s)));
        row_store(b, i, n, v_fma(y, c, x * s));
    }
}

/* ---- conversions ---------------------------------------------------------------------------------------------- */

static void f16_to_f32(float *y, const uint16_t *x, int64_t n)
{
    const char *bytes = (const char *)x;
    uint16_t rest[VN] = {0};
    int64_t i = 0;

    for (; i + VN <= n; i += VN) v_store(y + i, v_f16(bytes + 2 * i));
    if (i == n) return;
    memcpy(rest, bytes + 2 * i, (size_t)(n - i) * 2);
    v_store_n(y + i, n - i, v_f16(rest));
}

static void bf16_to_f32(float *y, const uint16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, (const char *)x + 2 * i, sizeof bits);
        uint32_t wide = (uint32_t)bits << 16;
        memcpy(y + i, &wide, sizeof wide);
    }
}

static void q8_0_to_f32(float *y, const uint8_t *blocks, int64_t n)
{
    for (int64_t i = 0; i < n; i += 32, blocks += 34) {
        uint16_t bits;
        memcpy(&bits, blocks, sizeof bits);
        vf scale = v_set(pare__f16(bits));
        for (int64_t k = 0; k < 32; k += VN) v_store(y + i + k, scale * v_i8(blocks + 2 + k));
    }
}

/* ---- 8 bits and back ------------------------------------------------------------------------------------------ */

/* Grid of a row from its smallest and largest value, zero among them. */
static pare__quant find_grid(const float *x, int64_t n)
{
    vf lo[4], hi[4];
    int64_t i = 0;

    for (int k = 0; k < 4; k++) lo[k] = hi[k] = v_set(0);
    for (; i + 4 * VN <= n; i += 4 * VN) {
        for (int k = 0; k < 4; k++) {
            vf v = v_load(x + i + k * VN);
            lo[k] = v_least(v, lo[k]);
            hi[k] = v_most(v, hi[k]);
        }
    }
    for (; i < n; i += VN) {
        vf v = row_load(x, i, n, 0);
        lo[0] = v_least(v, lo[0]);
        hi[0] = v_most(v, hi[0]);
    }
    vf low = v_min(v_min(lo[0], lo[1]), v_min(lo[2], lo[3]));
    vf high = v_max(v_max(hi[0], hi[1]), v_max(hi[2], hi[3]));
    return pare__quant_of(-v_hmax(-low), v_hmax(high));
}

static void quantise(uint8_t *q, const float *x, int64_t n, float *scale, int32_t *zero)
{
    const pare__quant grid = find_grid(x, n);
    const vf inverse = v_set(grid.inverse), high = v_set(grid.high);
    uint8_t rest[4 * VN];

    for (int64_t i = 0; i < n; i += 4 * VN) {
        const int is_whole = n - i >= 4 * VN;
        vf t[4];
        for (int k = 0; k < 4; k++) {
            const int64_t at = i + k * VN;
            const vf v = is_whole ? v_load(x + at) : at < n ? row_load(x, at, n, 0) : v_set(0);
            t[k] = v_least(v * inverse, high);
        }
        v_store_u8(is_whole ? q + i : rest, t[0], t[1], t[2], t[3], grid.zero);
        if (!is_whole) memcpy(q + i, rest, (size_t)(n - i));
    }
    *scale = grid.scale;
    *zero = grid.zero;
}

/* VN integers at x[i], zeros behind the end of the row. */
static inline vu row_load_int(const int32_t *x, int64_t i, int64_t n)
{
    if (n - i >= VN) return *(const vu_any *)(x + i);
    return (vu)v_load_n((const float *)(const void *)(x + i), n - i, 0);
}

/* What a product of 8-bit numbers becomes: v as it would have been, y what stands there, scale of its column. */
typedef vf (*finish8)(vf v, vf y, vf scale);

static inline vf finish_plain(vf v, vf y, vf scale) { return (void)y, (void)scale, v; }
static inline vf finish_add(vf v, vf y, vf scale) { return v_fma(v, scale, y); }
static inline vf finish_gelu(vf v, vf y, vf scale) { return (void)y, (void)scale, gate8(v, erf8); }
static inline vf finish_gelu_tanh(vf v, vf y, vf scale) { return (void)y, (void)scale, gate8(v, tanh8); }
static inline vf finish_gelu_quick(vf v, vf y, vf scale) { return (void)y, (void)scale, gate(v, tail_quick); }

/* `rows` rows from `row` on; rows and what finish needs of y and scale are constants where it is inlined. */
static inline __attribute__((always_inline)) void finish_rows(const int rows, float *y, int64_t ldy,
                                                              const pare__product8 *p, int64_t row, const int reads_y,
                                                              const float *scale, finish8 finish)
{
    const int64_t n = p->n;
    const int32_t *acc = p->acc + row * n, *w_sum = p->w_sum;
    const float *w_scale = p->w_scale, *b = p->b;
    vf x_scale[4];
    vu x_zero[4];

    y += row * ldy;
    UNROLL for (int r = 0; r < rows; r++)
    {
        x_scale[r] = v_set(p->x_scale[row + r]);
        x_zero[r] = (vu){0} + (uint32_t)p->x_zero[row + r];
    }
    for (int64_t i = 0; i < n; i += VN) {
        const vf factor = row_load(w_scale, i, n, 0), bias = b ? row_load(b, i, n, 0) : v_set(0);
        const vf ratio = scale ? row_load(scale, i, n, 0) : v_set(1);
        const vu sum_of_w = row_load_int(w_sum, i, n);
        UNROLL for (int r = 0; r < rows; r++)
        {
            const vu whole = row_load_int(acc + r * n, i, n) - sum_of_w * x_zero[r];
            const vf v = x_scale[r] * factor * __builtin_convertvector((vs)whole, vf) + bias;
            row_store(y + r * ldy, i, n, finish(v, reads_y ? row_load(y + r * ldy, i, n, 0) : v, ratio));
        }
    }
}

/* Rows share what belongs to the columns. */
static inline __attribute__((always_inline)) void finish_product(float *y, int64_t ldy, const pare__product8 *p,
                                                                 const int reads_y, const float *scale, finish8 finish)
{
    int64_t row = 0;
    for (; row + 4 <= p->rows; row += 4) finish_rows(4, y, ldy, p, row, reads_y, scale, finish);
    for (; row < p->rows; row++) finish_rows(1, y, ldy, p, row, reads_y, scale, finish);
}

static void dequantise(float *y, int64_t ldy, const pare__product8 *p)
{
    finish_product(y, ldy, p, 0, NULL, finish_plain);
}

static void dequantise_add(float *y, int64_t ldy, const pare__product8 *p, const float *scale)
{
    finish_product(y, ldy, p, 1, scale, finish_add);
}

static void dequantise_gelu(float *y, int64_t ldy, const pare__product8 *p)
{
    finish_product(y, ldy, p, 0, NULL, finish_gelu);
}

static void dequantise_gelu_tanh(float *y, int64_t ldy, const pare__product8 *p)
{
    finish_product(y, ldy, p, 0, NULL, finish_gelu_tanh);
}

static void dequantise_gelu_quick(float *y, int64_t ldy, const pare__product8 *p)
{
    finish_product(y, ldy, p, 0, NULL, finish_gelu_quick);
}

/* The upper half of every number, rounded to nearest, ties to even; NaN keeps its upper bits and becomes quiet. */
static inline vh bf16_of(vf x)
{
    vu bits = (vu)x, nan = (vu)(x != x);
    vu rounded = bits + 0x7fffu + (bits >> 16 & 1u), quiet = bits | 0x400000u;
    return __builtin_convertvector(((rounded & ~nan) | (quiet & nan)) >> 16, vh);
}

static void f32_to_bf16(uint16_t *y, const float *x, int64_t n)
{
    int64_t i = 0;

    for (; i + VN <= n; i += VN) *(vh_any *)(y + i) = bf16_of(v_load(x + i));
    if (i == n) return;
    vh rest = bf16_of(v_load_n(x + i, n - i, 0));
    memcpy(y + i, &rest, (size_t)(n - i) * sizeof *y);
}

#include "core/mul_tmpl.h"

const pare__vec VEC_TABLE = {
    .name = VEC_NAME,
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
    .mul = &products,
};
