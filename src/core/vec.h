/* SPDX-License-Identifier: MIT */
/* Vector kernels, one table per instruction set chosen at run time from cpuid. pare__vec_c is plain C with libm and
 * double accumulation where it matters: the oracle of the others. Rows are dense floats of length n.
 *
 * Error of the other tables against exact arithmetic (tests/test_vec.c holds them to it):
 *   GELU (erf, tanh, quick), SiLU   absolute 1e-7 beyond one rounding of y, for |x| < 1e30; NaN for infinities
 *   softmax                         absolute 1e-7 + 5e-7 y; a row of only -inf gives zeros in every table
 *   layer norm, RMS norm            absolute 1e-6 (1 + |y|) for rows whose mean is below 100 standard deviations
 *   dot, sum                        1e-6 of the sum of magnitudes
 *   quantise                        back within (0.5 + 1e-4) scale; same bytes, scale and zero in every table
 *   dequantise                      2e-7 |y - b| and one rounding; same bytes in every table
 *   dequantise_gelu, _tanh, _quick  absolute 2e-4 (a step of 8 bits is some 0.02 there)
 *   max, bias, minus, sad           exact, and so are conversions (float to bf16: the nearest); axpy, residual,
 *                                   dequantise_add and rotate within one rounding
 * NaN and infinities neither crash nor spread beyond their row. */
#ifndef PARE_CORE_VEC_H
#define PARE_CORE_VEC_H

#include <stdint.h>

#include "core/mul.h"

/* A product of 8-bit numbers as it would have been: x_scale w_scale (acc - x_zero w_sum) + b, row by row, column by column.
 * Exact in the integers: |x_zero w_sum| and |acc - x_zero w_sum| < 2^31 is the caller's promise. */
typedef struct pare__product8 {
    const int32_t *acc;       /* [rows, n]; what is made of them may be written there (ldy = n) */
    const float *x_scale;     /* [rows] */
    const int32_t *x_zero;    /* [rows] */
    const float *w_scale, *b; /* [n]; b may be NULL */
    const int32_t *w_sum;     /* [n] */
    int64_t rows, n;
} pare__product8;

typedef struct pare__vec {
    const char *name; /* "c", "avx2", "avx512", "neon" */
    float (*dot)(const float *a, const float *b, int64_t n);
    float (*sum)(const float *a, int64_t n);
    float (*max)(const float *a, int64_t n);
    void (*axpy)(float *y, float a, const float *x, int64_t n); /* y += a x */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int64_t n, float eps);
    void (*rms_norm)(float *y, const float *x, const float *w, int64_t n, float eps);
    void (*softmax)(float *x, int64_t n, float scale,
                    const float *bias); /* x = softmax(scale x + bias); bias may be NULL */
    /* Its exponentials alone: x = exp(scale x + bias - the largest of them); for both, scale > 0. Returns what they are to
     * be multiplied by, 1 / their sum; 0 for a row of only -inf, whose x is 0, and for none. */
    float (*softmax_raw)(float *x, int64_t n, float scale, const float *bias);
    void (*bias)(float *y, const float *x, const float *b, int64_t n);  /* y = x + b; y may be x */
    void (*minus)(float *y, const float *a, const float *b, int64_t n); /* y = a - b; y may be a or b */
    /* y = erf GELU of x + b; b may be NULL, y may be x */
    void (*bias_gelu)(float *y, const float *x, const float *b, int64_t n);
    void (*bias_gelu_tanh)(float *y, const float *x, const float *b, int64_t n);
    void (*bias_gelu_quick)(float *y, const float *x, const float *b, int64_t n);
    void (*silu_mul)(float *y, const float *gate, const float *up, int64_t n); /* y = silu(gate) * up */
    void (*residual)(float *y, const float *x, const float *b, const float *scale,
                     int64_t n); /* y += scale * (x + b); b, scale may be NULL */
    /* a, b = a cosine - b sine, b cosine + a sine: n pairs turned by their angles */
    void (*rotate)(float *a, float *b, const float *cosine, const float *sine, int64_t n);
    /* sum |a - b| of bytes */
    uint64_t (*sad_u8)(const uint8_t *a, const uint8_t *b, int64_t n);
    void (*f16_to_f32)(float *y, const uint16_t *x, int64_t n); /* x may be unaligned */
    void (*bf16_to_f32)(float *y, const uint16_t *x, int64_t n);
    void (*q8_0_to_f32)(float *y, const uint8_t *blocks, int64_t n); /* n % 32 == 0; 34-byte blocks */
    /* x to 8 bits with one scale and zero point for the row: lo = min(x, 0), hi = max(x, 0), scale = (hi - lo) / 255
     * but at least FLT_MIN (1 for a row of zeros), zero = round(-lo / scale), q = clamp(round(x / scale) + zero);
     * x ~ scale (q - zero). "/ scale" is a product with the float 1 / scale, rounding is half to even. Every table
     * gives the same bytes. NaN becomes hi, infinities the largest float. */
    void (*quantise)(uint8_t *q, const float *x, int64_t n, float *scale, int32_t *zero);
    void (*dequantise)(float *y, int64_t ldy, const pare__product8 *p);
    /* y += scale * that; scale [n] may be NULL. */
    void (*dequantise_add)(float *y, int64_t ldy, const pare__product8 *p, const float *scale);
    /* y = GELU of that (erf, tanh, quick), as exact as numbers need to be that become 8 bits again */
    void (*dequantise_gelu)(float *y, int64_t ldy, const pare__product8 *p);
    void (*dequantise_gelu_tanh)(float *y, int64_t ldy, const pare__product8 *p);
    void (*dequantise_gelu_quick)(float *y, int64_t ldy, const pare__product8 *p);
    void (*f32_to_bf16)(uint16_t *y, const float *x, int64_t n); /* nearest, ties to even; NaN stays NaN */
    const pare__mul *mul;                                        /* products in registers, same instruction set */
} pare__vec;

extern const pare__vec pare__vec_c;
extern const pare__vec pare__vec_avx2, pare__vec_avx512,
    pare__vec_neon; /* where compiled; reach them by pare__vec_at */
/* The fastest table of this CPU. Any thread. */
const pare__vec *pare__vec_best(void);
/* All tables that can run here, for tests; NULL past the end. */
const pare__vec *pare__vec_at(int32_t i);
/* "avx2 fma avx512f avx512_vnni ...": static text. */
const char *pare__cpu_flags(void);

#endif
