/* SPDX-License-Identifier: MIT */
/* mul16.h for AVX512-VNNI: 16 sums of pairs an instruction. A panel is two vectors wide; a block of c, 12 rows of a panel,
 * fills the registers as in mul_tmpl.h. Each smaller number of rows is compiled for itself. */
#include <immintrin.h>
#include <string.h>

#include "core/mul16.h"

enum { VN = 16, ROWS = 12, COLS = 2 * VN };

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Mask of the lanes of a vector at i that lie before n. */
static inline __mmask16 lanes(int64_t i, int64_t n) { return n - i >= VN ? 0xffff : (__mmask16)((1u << (n - i)) - 1); }

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* max_ps gives its second operand where one is NaN. */
static inline __m512 larger(__m512 top, __m512 x) { return _mm512_max_ps(_mm512_abs_ps(x), top); }

static float peak(const float *x, int64_t n)
{
    __m512 top = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += VN) top = larger(top, _mm512_maskz_loadu_ps(lanes(i, n), x + i));
    return _mm512_reduce_max_ps(top);
}

static void peaks(float *top, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512 v = larger(_mm512_maskz_loadu_ps(mask, top + i), _mm512_maskz_loadu_ps(mask, x + i));
        _mm512_mask_storeu_ps(top + i, mask, v);
    }
}

/* The nearest whole numbers within +-32767, in 32 bits. */
static inline __m512i whole(__m512 x)
{
    const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
    x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-32767)), _mm512_set1_ps(32767));
    return _mm512_maskz_cvtps_epi32(is_number, x);
}

static void narrow(int16_t *q, const float *x, int64_t n, float factor)
{
    const __m512 scale = _mm512_set1_ps(factor);
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512i v = whole(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), scale));
        _mm512_mask_cvtepi32_storeu_epi16(q + i, mask, v);
    }
}

static void widen(float *y, const int32_t *x, const float *factor, int64_t n)
{
    for (int64_t i = 0; i < n; i += VN) {
        const __mmask16 mask = lanes(i, n);
        const __m512 v = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, x + i));
        _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, factor + i)));
    }
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* A pair is a 32-bit number here: a panel row is one from each of 32 rows of q. */
static void pack_t(int16_t *to, const int16_t *q, int64_t ldq, int64_t k, int64_t n)
{
    const __m512i apart = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32((int32_t)ldq * (int32_t)sizeof *q));
    for (int64_t col = 0; col < n; col += VN) {
        int16_t *panel = to + col / COLS * COLS * k + col % COLS * 2;
        const __mmask16 mask = lanes(col, n);
        for (int64_t p = 0; p < k; p += 2, panel += 2 * COLS)
            _mm512_storeu_si512(panel,
                                _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, apart, q + col * ldq + p, 1));
    }
    const int64_t done = (n + VN - 1) / VN * VN;
    if (done % COLS == 0) return;
    int16_t *panel = to + done / COLS * COLS * k + done % COLS * 2;
    for (int64_t p = 0; p < k; p += 2, panel += 2 * COLS) _mm512_storeu_si512(panel, _mm512_setzero_si512());
}

static void pack_pair(int16_t *to, const float *x0, const float *x1, const float *factor, int64_t pair, int64_t k,
                      int64_t n)
{
    const int64_t n_pair = (k + 1) / 2, end = (n + COLS - 1) / COLS * COLS;
    for (int64_t col = 0; col < end; col += VN) {
        const __mmask16 mask = col < n ? lanes(col, n) : 0;
        const __m512 scale = _mm512_maskz_loadu_ps(mask, factor + col);
        const __m512i low = whole(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x0 + col), scale));
        const __m512i high =
            x1 ? whole(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x1 + col), scale)) : _mm512_setzero_si512();
        const __m512i both = _mm512_mask_blend_epi16(0xaaaaaaaau, low, _mm512_slli_epi32(high, 16));
        _mm512_storeu_si512(to + ((col / COLS * n_pair + pair) * COLS + col % COLS) * 2, both);
    }
}

/* ---- multiplying ------------------------------------------------------------------------------------------------- */

/* acc += the sums of pairs of products. gcc 12 gives the intrinsic eight registers of the 32, and spills. */
static inline __attribute__((always_inline)) void add_pairs(__m512i *acc, __m512i left, __m512i right)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(*acc) : "v"(left), "v"(right));
}

static inline __attribute__((always_inline)) void multiply(const int rows, int64_t n, int64_t n_pair, const int16_t *a,
                                                           int64_t lda, const int16_t *panel, int32_t *c, int64_t ldc)
{
    __m512i acc[ROWS][2];

    UNROLL for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm512_setzero_si512();
    for (int64_t p = 0; p < n_pair; p++, panel += 2 * COLS) {
        const __m512i right0 = _mm512_loadu_si512(panel), right1 = _mm512_loadu_si512(panel + COLS);
        UNROLL for (int r = 0; r < rows; r++)
        {
            int32_t pair;
            memcpy(&pair, a + r * lda + 2 * p, sizeof pair);
            const __m512i left = _mm512_set1_epi32(pair);
            add_pairs(&acc[r][0], left, right0);
            add_pairs(&acc[r][1], left, right1);
        }
    }
    const __mmask16 second = n > VN ? lanes(VN, n) : 0;
    UNROLL for (int r = 0; r < rows; r++)
    {
        _mm512_mask_storeu_epi32(c + r * ldc, lanes(0, n), acc[r][0]);
        _mm512_mask_storeu_epi32(c + r * ldc + VN, second, acc[r][1]);
    }
}

typedef void (*block_fn)(int64_t n, int64_t n_pair, const int16_t *a, int64_t lda, const int16_t *panel, int32_t *c,
                         int64_t ldc);

#define BLOCK(rows)                                                                                                    \
    static void block_##rows(int64_t n, int64_t n_pair, const int16_t *a, int64_t lda, const int16_t *panel,           \
                             int32_t *c, int64_t ldc)                                                                  \
    {                                                                                                                  \
        multiply(rows, n, n_pair, a, lda, panel, c, ldc);                                                              \
    }
#define BLOCK_NAME(rows) block_##rows,
#define EACH_ROW(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

EACH_ROW(BLOCK)
static const block_fn blocks[ROWS] = {EACH_ROW(BLOCK_NAME)};

/* A panel stays in the first-level cache while all blocks of rows, of about equal height, pass by. */
static void run(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const int16_t *packed, int32_t *c,
                int64_t ldc)
{
    const int64_t n_block = (m + ROWS - 1) / ROWS, n_pair = (k + 1) / 2;

    for (int64_t col = 0; col < n; col += COLS, packed += 2 * COLS * n_pair) {
        const int64_t cols = n - col < COLS ? n - col : COLS;
        for (int64_t i = 0; i < n_block; i++) {
            const int64_t row = m * i / n_block, rows = m * (i + 1) / n_block - row;
            blocks[rows - 1](cols, n_pair, a + row * lda, lda, packed, c + row * ldc + col, ldc);
        }
    }
}

const pare__mul16 pare__mul16_vnni = {
    .name = "avx512_vnni",
    .cols = COLS,
    .peak = peak,
    .peaks = peaks,
    .narrow = narrow,
    .pack_t = pack_t,
    .pack_pair = pack_pair,
    .run = run,
    .widen = widen,
};
