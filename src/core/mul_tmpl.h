/* SPDX-License-Identifier: MIT */
/* The products of mul.h over the vectors of vec_tmpl.h, which includes this. Beyond what vec_tmpl.h asks for, vec_<isa>.c
 * defines before:
 *
 *   MUL_ROWS          rows of a block
 *   MUL_EACH_ROW(X)   X(1), X(2), ... X(MUL_ROWS)
 *   turn4             4 x 4 floats transposed; both sides have a distance between rows
 *
 * A panel is two vectors wide: a block of c is MUL_ROWS x 2 vectors, which fill the registers together with two vectors of
 * b and one broadcast element of a. Each smaller number of rows, and one vector for a panel that is at most half full, is
 * compiled for itself, so that its block stays in registers too. */
#include "core/mul.h"

enum { MUL_COLS = 2 * VN, MUL_DEEP = 512 };

/* ---- packing --------------------------------------------------------------------------------------------------- */

static void pack_row(float *to, const float *x, int64_t p, int64_t k, int64_t n)
{
    for (int64_t col = 0; col < n; col += MUL_COLS) {
        float *row = to + col * k + p * MUL_COLS;
        v_store(row, row_load(x, col, n, 0));
        v_store(row + VN, col + VN < n ? row_load(x, col + VN, n, 0) : v_set(0));
    }
}

static void pack(float *to, const float *b, int64_t ldb, int64_t k, int64_t n)
{
    for (int64_t p = 0; p < k; p++) pack_row(to, b + p * ldb, p, k, n);
}

/* Four columns of a panel from as many rows of b [4, k]. */
static void pack_turned(float *to, const float *b, int64_t ldb, int64_t k)
{
    int64_t p = 0;
    for (; p + 4 <= k; p += 4) turn4(to + p * MUL_COLS, MUL_COLS, b + p, ldb);
    for (; p < k; p++)
        for (int64_t col = 0; col < 4; col++) to[p * MUL_COLS + col] = b[col * ldb + p];
}

static void pack_t(float *to, const float *b, int64_t ldb, int64_t k, int64_t n)
{
    for (; n > 0; n -= MUL_COLS, b += MUL_COLS * ldb, to += MUL_COLS * k) {
        const int64_t cols = n < MUL_COLS ? n : MUL_COLS;
        int64_t col = 0;
        if (cols < MUL_COLS) memset(to, 0, (size_t)(MUL_COLS * k) * sizeof *to);
        for (; col + 4 <= cols; col += 4) pack_turned(to + col, b + col * ldb, ldb, k);
        for (; col < cols; col++)
            for (int64_t p = 0; p < k; p++) to[p * MUL_COLS + col] = b[col * ldb + p];
    }
}

/* ---- multiplying ----------------------------------------------------------------------------------------------- */

/* c [rows, n] = plus + a [rows, k] . panel [k, MUL_COLS] for n columns in `vecs` vectors; rows and vecs are constants
 * where it is inlined. With every row of the panel `pace` bytes of what comes next are asked for. */
static inline __attribute__((always_inline)) void multiply(const int rows, const int vecs, int64_t n, int64_t k,
                                                           const float *a, int64_t lda, const float *panel,
                                                           const float *plus, float *c, int64_t ldc, const char *ahead,
                                                           int64_t pace)
{
    vf acc[MUL_ROWS][2];

    UNROLL for (int r = 0; r < rows; r++)
    {
        acc[r][0] = plus ? row_load(plus + r * ldc, 0, n, 0) : v_set(0);
        acc[r][1] = plus && vecs > 1 ? row_load(plus + r * ldc, VN, n, 0) : v_set(0);
    }
    for (int64_t p = 0; p < k; p++, panel += MUL_COLS, ahead += pace) {
        __builtin_prefetch(ahead, 0, 2);
        const vf right0 = v_load(panel), right1 = vecs > 1 ? v_load(panel + VN) : right0;
        UNROLL for (int r = 0; r < rows; r++)
        {
            const vf left = v_set(a[r * lda + p]);
            acc[r][0] = v_fma(left, right0, acc[r][0]);
            if (vecs > 1) acc[r][1] = v_fma(left, right1, acc[r][1]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
    {
        row_store(c + r * ldc, 0, n, acc[r][0]);
        if (vecs > 1) row_store(c + r * ldc, VN, n, acc[r][1]);
    }
}

typedef void (*block_fn)(int64_t n, int64_t k, const float *a, int64_t lda, const float *panel, const float *plus,
                         float *c, int64_t ldc, const char *ahead, int64_t pace);

#define BLOCK(rows)                                                                                                    \
    static void block_##rows(int64_t n, int64_t k, const float *a, int64_t lda, const float *panel, const float *plus, \
                             float *c, int64_t ldc, const char *ahead, int64_t pace)                                   \
    {                                                                                                                  \
        if (n > VN)                                                                                                    \
            multiply(rows, 2, n, k, a, lda, panel, plus, c, ldc, ahead, pace);                                         \
        else                                                                                                           \
            multiply(rows, 1, n, k, a, lda, panel, plus, c, ldc, ahead, pace);                                         \
    }
#define BLOCK_NAME(rows) block_##rows,

MUL_EACH_ROW(BLOCK)
static const block_fn blocks[MUL_ROWS] = {MUL_EACH_ROW(BLOCK_NAME)};

/* All blocks of rows, of about equal height, times k rows of one panel, while the panel at `ahead` comes into cache. */
static void run_panel(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *panel,
                      const float *plus, float *c, int64_t ldc, const char *ahead)
{
    const int64_t n_block = (m + MUL_ROWS - 1) / MUL_ROWS;
    const int64_t pace = n_block ? MUL_COLS * (int64_t)sizeof(float) / n_block : 0;

    for (int64_t i = 0; i < n_block; i++) {
        const int64_t row = m * i / n_block, rows = m * (i + 1) / n_block - row;
        blocks[rows - 1](n, k, a + row * lda, lda, panel, plus ? plus + row * ldc : NULL, c + row * ldc, ldc,
                         ahead + i * pace * k, pace);
    }
}

/* Long sums in parts, so that a part of a panel stays in cache while the rows pass by. */
static void add(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, const float *plus,
                float *c, int64_t ldc)
{
    int64_t p = 0;

    do {
        const int64_t part = k - p < MUL_DEEP + MUL_DEEP / 2 ? k - p : MUL_DEEP;
        for (int64_t col = 0; col < n; col += MUL_COLS) {
            const float *panel = packed + col * k + p * MUL_COLS;
            run_panel(m, n - col < MUL_COLS ? n - col : MUL_COLS, part, a + p, lda, panel, plus ? plus + col : NULL,
                      c + col, ldc, (const char *)(panel + MUL_COLS * k));
        }
        plus = c;
        p += part;
    } while (p < k);
}

static void run(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *packed, float *c,
                int64_t ldc)
{
    add(m, n, k, a, lda, packed, NULL, c, ldc);
}

static const pare__mul products = {
    .name = VEC_NAME,
    .rows = MUL_ROWS,
    .cols = MUL_COLS,
    .pack = pack,
    .pack_t = pack_t,
    .pack_row = pack_row,
    .run = run,
    .add = add,
};
