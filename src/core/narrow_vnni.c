/* SPDX-License-Identifier: MIT */
/* narrow.h for AVX-512: 16 numbers an instruction, masks at the end of rows. */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/narrow.h"

enum { VN = 16, AHEAD = 8 };

#define LOG2_E 1.44269504f

/* Mask of the lanes of a vector at i that lie before n. */
static inline __mmask16 lanes(int64_t i, int64_t n) { return n - i >= VN ? 0xffff : (__mmask16)((1u << (n - i)) - 1); }

/* ---- bounds and bytes -------------------------------------------------------------------------------------------- */

/* max_ps and min_ps give their second operand where one is NaN. */
static float peak(const float *x, int64_t n)
{
    __m512 top = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += VN)
        top = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(lanes(i, n), x + i)), top);
    return _mm512_reduce_max_ps(top);
}

static void extend(float *low, float *high, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        _mm512_mask_storeu_ps(low + i, mask, _mm512_min_ps(v, _mm512_maskz_loadu_ps(mask, low + i)));
        _mm512_mask_storeu_ps(high + i, mask, _mm512_max_ps(v, _mm512_maskz_loadu_ps(mask, high + i)));
    }
}

/* The nearest whole numbers within +-127. */
static inline __m512i small(__m512 x)
{
    const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
    x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-127)), _mm512_set1_ps(127));
    return _mm512_maskz_cvtps_epi32(is_number, x);
}

static inline __m512i centred(const float *x, const float *centre, int64_t i, __mmask16 mask, __m512 factor)
{
    __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
    if (centre) v = _mm512_sub_ps(v, _mm512_maskz_loadu_ps(mask, centre + i));
    return small(_mm512_mul_ps(v, factor));
}

static int32_t bytes(uint8_t *q, const float *x, const float *centre, int64_t n, float factor, int32_t add)
{
    const __m512 scale = _mm512_set1_ps(factor);
    const __m512i zero = _mm512_set1_epi32(add);
    __m512i sum = _mm512_setzero_si512();
    int64_t i = 0;

    for (; i + VN <= n; i += VN) {
        const __m512i v = centred(x, centre, i, 0xffff, scale);
        sum = _mm512_add_epi32(sum, v);
        _mm_storeu_si128((__m128i *)(void *)(q + i), _mm512_cvtepi32_epi8(_mm512_add_epi32(v, zero)));
    }
    if (i < n) {
        const __m512i v = centred(x, centre, i, lanes(i, n), scale);
        sum = _mm512_add_epi32(sum, v);
        _mm_mask_storeu_epi8(q + i, lanes(i, n), _mm512_cvtepi32_epi8(_mm512_add_epi32(v, zero)));
    }
    return _mm512_reduce_add_epi32(sum);
}

/* ---- exponents --------------------------------------------------------------------------------------------------- */

/* What is the same for a row: x = scale * sum + bias + above, and most * 2^x as its whole powers times a cubic in what is
 * left of x, [0, 1): relative error 8e-5. */
typedef struct exponent {
    __m512 scale, above, c0, c1, c2, c3;
} exponent;

static inline exponent exponent_of(float scale, float top, float most)
{
    return (exponent){.scale = _mm512_set1_ps(scale),
                      .above = _mm512_set1_ps(-top),
                      .c0 = _mm512_set1_ps(most * 0.99992522f),
                      .c1 = _mm512_set1_ps(most * 0.69583353f),
                      .c2 = _mm512_set1_ps(most * 0.22606717f),
                      .c3 = _mm512_set1_ps(most * 0.07802452f)};
}

/* 0 where x is -inf. Rounding can leave more than 0 of the largest, which would not fit 16 bits. */
static inline __m512 power(const exponent *c, __m512 x)
{
    x = _mm512_min_ps(_mm512_setzero_ps(), x); /* NaN stays */
    const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const __m512 y = _mm512_fmadd_ps(_mm512_fmadd_ps(_mm512_fmadd_ps(c->c3, r, c->c2), r, c->c1), r, c->c0);
    return _mm512_scalef_ps(y, x); /* it rounds x down itself */
}

/* Logarithms to base 2 of what is to be weighed, at i; -inf where the mask is not. */
static inline __m512 logit(const int32_t *sums, const float *bias, int64_t i, __mmask16 mask, __m512 scale,
                           __m512 above)
{
    const __m512 v = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, sums + i));
    if (bias) above = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, bias + i), _mm512_set1_ps(LOG2_E), above);
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), mask, _mm512_fmadd_ps(v, scale, above));
}

/* The largest of them. Without a bias that is of the largest sum. */
static float largest(const int32_t *sums, const float *bias, int64_t n, float scale)
{
    const __m512 factor = _mm512_set1_ps(scale), zero = _mm512_setzero_ps();
    __m512 top = _mm512_set1_ps(-INFINITY);
    __m512i most = _mm512_set1_epi32(INT32_MIN);

    if (n <= 0) return -INFINITY;
    for (int64_t i = 0; bias && i < n; i += VN)
        top = _mm512_max_ps(logit(sums, bias, i, lanes(i, n), factor, zero), top);
    if (bias) return _mm512_reduce_max_ps(top);
    for (int64_t i = 0; i < n; i += VN)
        most = _mm512_mask_max_epi32(most, lanes(i, n), most, _mm512_maskz_loadu_epi32(lanes(i, n), sums + i));
    return scale * (float)_mm512_reduce_max_epi32(most);
}

/* Where the numbers of a row lie. What is behind n becomes 0 with the rest of its vector: a store under a mask would take
 * longer than all of it. */
static inline __attribute__((always_inline)) __m512 weigh(int32_t *row, const float *bias, int64_t i, __mmask16 mask,
                                                          const exponent *x)
{
    const __m512 e = power(x, logit(row, bias, i, mask, x->scale, x->above));
    _mm256_storeu_si256((__m256i *)(void *)((int16_t *)(void *)row + i), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(e)));
    return e;
}

static inline __attribute__((always_inline)) float weigh_row(int32_t *row, const float *bias, int64_t n,
                                                             const exponent *x)
{
    __m512 total = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + VN <= n; i += VN) total = _mm512_add_ps(total, weigh(row, bias, i, 0xffff, x));
    if (i < n) total = _mm512_add_ps(total, weigh(row, bias, i, lanes(i, n), x));
    return 1 / _mm512_reduce_add_ps(total);
}

static float exponents_of(int32_t *row, int64_t n, float scale, const float *bias, float top, float most)
{
    const exponent x = exponent_of(scale, top, most);
    if (top != -INFINITY) return bias ? weigh_row(row, bias, n, &x) : weigh_row(row, NULL, n, &x);
    memset(row, 0, (size_t)((n + VN - 1) / VN * VN) * sizeof(int16_t));
    return 0;
}

/* The largest of some rows first: a row does not wait for its own. */
static void exponents(int32_t *sums, int64_t ld, int64_t rows, int64_t n, float scale, const float *bias, float most,
                      float *share)
{
    float top[AHEAD];
    for (int64_t i = 0; i < rows; i++) {
        const int64_t end = rows - i < AHEAD ? rows - i : AHEAD;
        for (int64_t k = 0; i % AHEAD == 0 && k < end; k++) {
            share[i + k] *= scale * LOG2_E;
            top[k] = largest(sums + (i + k) * ld, bias, n, share[i + k]);
        }
        share[i] = exponents_of(sums + i * ld, n, share[i], bias, top[i % AHEAD], most);
    }
}

/* ---- back to floats ---------------------------------------------------------------------------------------------- */

static void add(float *y, const int16_t *p, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512 v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, p + i)));
        const __m512 sum = _mm512_fmadd_ps(v, _mm512_set1_ps(scale), _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

static void widen(float *y, const int32_t *x, const float *factor, float scale, int64_t n)
{
    const __m512 all = _mm512_set1_ps(scale);
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512 v = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, x + i));
        _mm512_mask_storeu_ps(y + i, mask,
                              _mm512_mul_ps(v, _mm512_mul_ps(all, _mm512_maskz_loadu_ps(mask, factor + i))));
    }
}

const pare__narrow pare__narrow_vnni = {
    .name = "avx512_vnni",
    .mul8 = &pare__mul8_vnni,
    .mul16 = &pare__mul16_vnni,
    .peak = peak,
    .extend = extend,
    .bytes = bytes,
    .exponents = exponents,
    .add = add,
    .widen = widen,
};
