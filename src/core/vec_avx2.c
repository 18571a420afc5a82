/* SPDX-License-Identifier: MIT */
/* Primitives of vec_tmpl.h for AVX2 + FMA + F16C: 8 floats. */
#include <immintrin.h>
#include <stdint.h>

enum { VN = 8, MUL_ROWS = 6 };
typedef __m256 vf;

#define VEC_TABLE pare__vec_avx2
#define VEC_NAME "avx2"
#define MUL_EACH_ROW(X) X(1) X(2) X(3) X(4) X(5) X(6)

static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_least(vf a, vf b) { return v_min(a, b); }
static inline vf v_most(vf a, vf b) { return v_max(a, b); }

/* Mask of the first n lanes, n < VN. */
static inline __m256i lanes(int64_t n)
{
    static const int32_t window[2 * VN] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(window + VN - n));
}

static inline vf v_load_n(const float *p, int64_t n, float pad)
{
    __m256i mask = lanes(n);
    return _mm256_blendv_ps(v_set(pad), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}

static inline void v_store_n(float *p, int64_t n, vf v) { _mm256_maskstore_ps(p, lanes(n), v); }

static inline float v_hsum(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float v_hmax(vf v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline vf v_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
static inline vf v_i8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p))); }

static inline __m256i rounded(vf v, int32_t add)
{
    return _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(add));
}

/* Packing goes by 128 bits: four numbers of each vector lie side by side until they are put in order. */
static inline void v_store_u8(uint8_t *p, vf v0, vf v1, vf v2, vf v3, int32_t add)
{
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    __m256i low = _mm256_packs_epi32(rounded(v0, add), rounded(v1, add));
    __m256i high = _mm256_packs_epi32(rounded(v2, add), rounded(v3, add));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order));
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
    __m256i total = _mm256_setzero_si256();
    int64_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + i));
        total = _mm256_add_epi64(total, _mm256_sad_epu8(x, y));
    }
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    uint64_t s = (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
    for (; i < n; i++) s += (uint64_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return s;
}

#include "core/vec_tmpl.h"
