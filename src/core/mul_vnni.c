/* SPDX-License-Identifier: MIT */
/* mul16.h and mul8.h for AVX512-VNNI: 16 sums of two or four products an instruction. A panel is two vectors wide; a block
 * of c, 12 rows of a panel, fills the registers as in mul_tmpl.h. Each smaller number of rows, and one vector for a panel
 * that is at most half full, is compiled for itself. Two 16-bit or four 8-bit numbers are a word here: both kinds run
 * through the same loops. */
#include <immintrin.h>
#include <string.h>

#include "core/mul16.h"
#include "core/mul8.h"

enum { VN = 16, ROWS = 12, COLS = 2 * VN };

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Mask of the lanes of a vector at i that lie before n. */
static inline __mmask16 lanes(int64_t i, int64_t n) { return n - i >= VN ? 0xffff : (__mmask16)((1u << (n - i)) - 1); }

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* The nearest whole numbers within +-32767, in 32 bits. */
static inline __m512i whole(__m512 x)
{
    const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
    x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-32767)), _mm512_set1_ps(32767));
    return _mm512_maskz_cvtps_epi32(is_number, x);
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

/* Words of four are moved whole; what is left of a row is padded. */
static void pack_bytes(int8_t *to, const int8_t *q, int64_t k, int64_t n)
{
    const int64_t n_word = (k + 3) / 4, n_whole = k / 4;
    const size_t rest = (size_t)(k % 4);

    for (int64_t col = 0; col < n; col++, q += k) {
        int8_t *panel = to + (col / COLS * n_word * COLS + col % COLS) * 4;
        for (int64_t p = 0; p < n_whole; p++) memcpy(panel + p * 4 * COLS, q + p * 4, 4);
        if (!rest) continue;
        memset(panel + n_whole * 4 * COLS, 0, 4);
        memcpy(panel + n_whole * 4 * COLS, q + n_whole * 4, rest);
    }
    for (int64_t col = n; col % COLS; col++)
        for (int64_t p = 0; p < n_word; p++)
            memset(to + (col / COLS * n_word * COLS + p * COLS + col % COLS) * 4, 0, 4);
}

/* ---- multiplying ------------------------------------------------------------------------------------------------- */

/* acc += sums of products. gcc 12 gives the intrinsics eight registers of the 32, and spills. */
static inline __attribute__((always_inline)) void add(int is_bytes, __m512i *acc, __m512i left, __m512i right)
{
    if (is_bytes)
        __asm__("vpdpbusd %2, %1, %0" : "+v"(*acc) : "v"(left), "v"(right));
    else
        __asm__("vpdpwssd %2, %1, %0" : "+v"(*acc) : "v"(left), "v"(right));
}

/* c [rows, n] = start + a . panel over n_word words, n columns in `vecs` vectors; a in bytes, lda of them between rows. */
static inline __attribute__((always_inline)) void multiply(const int rows, const int vecs, const int is_bytes,
                                                           int64_t n, int64_t n_word, const char *a, int64_t lda,
                                                           const int32_t *panel, const int32_t *start, int32_t *c,
                                                           int64_t ldc)
{
    const __mmask16 second = vecs > 1 ? lanes(VN, n) : 0;
    __m512i acc[ROWS][2], start0 = _mm512_setzero_si512(), start1 = start0;

    if (start) {
        start0 = _mm512_maskz_loadu_epi32(lanes(0, n), start);
        start1 = _mm512_maskz_loadu_epi32(second, start + VN);
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        acc[r][0] = start0;
        acc[r][1] = start1;
    }
    for (int64_t p = 0; p < n_word; p++, panel += COLS) {
        const __m512i right0 = _mm512_loadu_si512(panel), right1 = _mm512_loadu_si512(panel + VN * (vecs - 1));
        UNROLL for (int r = 0; r < rows; r++)
        {
            int32_t word;
            memcpy(&word, a + r * lda + 4 * p, sizeof word);
            const __m512i left = _mm512_set1_epi32(word);
            add(is_bytes, &acc[r][0], left, right0);
            if (vecs > 1) add(is_bytes, &acc[r][1], left, right1);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        _mm512_mask_storeu_epi32(c + r * ldc, lanes(0, n), acc[r][0]);
        if (vecs > 1) _mm512_mask_storeu_epi32(c + r * ldc + VN, second, acc[r][1]);
    }
}

typedef void (*block_fn)(int64_t n, int64_t n_word, const char *a, int64_t lda, const int32_t *panel,
                         const int32_t *start, int32_t *c, int64_t ldc);

#define BLOCK(kind, is_bytes, rows)                                                                                    \
    static void kind##_##rows(int64_t n, int64_t n_word, const char *a, int64_t lda, const int32_t *panel,             \
                              const int32_t *start, int32_t *c, int64_t ldc)                                           \
    {                                                                                                                  \
        if (n > VN)                                                                                                    \
            multiply(rows, 2, is_bytes, n, n_word, a, lda, panel, start, c, ldc);                                      \
        else                                                                                                           \
            multiply(rows, 1, is_bytes, n, n_word, a, lda, panel, start, c, ldc);                                      \
    }
#define PAIRS(rows) BLOCK(pairs, 0, rows)
#define QUADS(rows) BLOCK(quads, 1, rows)
#define PAIRS_NAME(rows) pairs_##rows,
#define QUADS_NAME(rows) quads_##rows,
#define EACH_ROW(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

EACH_ROW(PAIRS)
EACH_ROW(QUADS)
static const block_fn pairs[ROWS] = {EACH_ROW(PAIRS_NAME)}, quads[ROWS] = {EACH_ROW(QUADS_NAME)};

/* A panel stays in the first-level cache while all blocks of rows, of about equal height, pass by. */
static void run_words(const block_fn *blocks, int64_t m, int64_t n, int64_t n_word, const char *a, int64_t lda,
                      const int32_t *packed, const int32_t *start, int32_t *c, int64_t ldc)
{
    const int64_t n_block = (m + ROWS - 1) / ROWS;

    for (int64_t col = 0; col < n; col += COLS, packed += COLS * n_word) {
        const int64_t cols = n - col < COLS ? n - col : COLS;
        for (int64_t i = 0; i < n_block; i++) {
            const int64_t row = m * i / n_block, rows = m * (i + 1) / n_block - row;
            blocks[rows - 1](cols, n_word, a + row * lda, lda, packed, start ? start + col : NULL, c + row * ldc + col,
                             ldc);
        }
    }
}

static void run(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const int16_t *packed, int32_t *c,
                int64_t ldc)
{
    run_words(pairs, m, n, (k + 1) / 2, (const char *)a, 2 * lda, (const int32_t *)(const void *)packed, NULL, c, ldc);
}

static void run_bytes(int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda, const int8_t *packed,
                      const int32_t *start, int32_t *c, int64_t ldc)
{
    run_words(quads, m, n, (k + 3) / 4, (const char *)a, lda, (const int32_t *)(const void *)packed, start, c, ldc);
}

/* ---- the tables -------------------------------------------------------------------------------------------------- */

const pare__mul16 pare__mul16_vnni = {.name = "avx512_vnni", .cols = COLS, .pack_pair = pack_pair, .run = run};

const pare__mul8 pare__mul8_vnni = {.name = "avx512_vnni", .cols = COLS, .pack_t = pack_bytes, .run = run_bytes};
