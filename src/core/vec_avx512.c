/* SPDX-License-Identifier: MIT */
/* Primitives of vec_tmpl.h for AVX-512 F, BW, VL, DQ: 16 floats. */
#include <immintrin.h>
#include <stdint.h>

enum { VN = 16, MUL_ROWS = 12 };
typedef __m512 vf;

#define VEC_TABLE pare__vec_avx512
#define VEC_NAME "avx512"
#define MUL_EACH_ROW(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_least(vf a, vf b) { return v_min(a, b); }
static inline vf v_most(vf a, vf b) { return v_max(a, b); }

/* Mask of the first n lanes, n < VN. */
static inline __mmask16 lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }

static inline vf v_load_n(const float *p, int64_t n, float pad)
{
    return _mm512_mask_loadu_ps(v_set(pad), lanes(n), p);
}

static inline void v_store_n(float *p, int64_t n, vf v) { _mm512_mask_storeu_ps(p, lanes(n), v); }
static inline float v_hsum(vf v) { return _mm512_reduce_add_ps(v); }
static inline float v_hmax(vf v) { return _mm512_reduce_max_ps(v); }
static inline vf v_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
static inline vf v_i8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p))); }

static inline __m512i rounded(vf v, int32_t add)
{
    return _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(add));
}

/* Packing goes by 128 bits: four numbers of each vector lie side by side until they are put in order. */
static inline void v_store_u8(uint8_t *p, vf v0, vf v1, vf v2, vf v3, int32_t add)
{
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    __m512i low = _mm512_packs_epi32(rounded(v0, add), rounded(v1, add));
    __m512i high = _mm512_packs_epi32(rounded(v2, add), rounded(v3, add));
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
}

static inline void turn4(float *to, int64_t ldt, const float *from, int64_t ldf)
{
    __m128 r0 = _mm_loadu_ps(from), r1 = _mm_loadu_ps(from + ldf);
    __m128 r2 = _mm_loadu_ps(from + 2 * ldf), r3 = _mm_loadu_ps(from + 3 * ldf);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(to, r0);
    _mm_storeu_ps(to + ldt, r1);
    _mm_storeu_ps(to + 2 * ldt, r2);
    _mm_storeu_ps(to + 3 * ldt, r3);
}

static uint64_t sad_u8(const uint8_t *a, const uint8_t *b, int64_t n)
{
    __m512i total = _mm512_setzero_si512();

    for (int64_t i = 0; i < n; i += 64) {
        __mmask64 mask = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        __m512i x = _mm512_maskz_loadu_epi8(mask, a + i), y = _mm512_maskz_loadu_epi8(mask, b + i);
        total = _mm512_add_epi64(total, _mm512_sad_epu8(x, y));
    }
    return (uint64_t)_mm512_reduce_add_epi64(total);
}

#include "core/vec_tmpl.h"
