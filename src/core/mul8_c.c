/* SPDX-License-Identifier: MIT */
/* The oracle of mul8.h: its definitions. And the choice among tables. */
#include "core/mul8.h"

#include <stddef.h>

#include "core/mul16.h"

enum { COLS = 4 };

/* Place of b[p, col] among the panels. */
static int64_t place(int64_t p, int64_t col, int64_t k)
{
    return ((col / COLS * ((k + 3) / 4) + p / 4) * COLS + col % COLS) * 4 + p % 4;
}

static void pack_t(int8_t *to, const int8_t *q, int64_t k, int64_t n)
{
    const int64_t cols = (n + COLS - 1) / COLS * COLS, rows = (k + 3) / 4 * 4;
    for (int64_t p = 0; p < rows; p++)
        for (int64_t col = 0; col < cols; col++) to[place(p, col, k)] = col < n && p < k ? q[col * k + p] : (int8_t)0;
}

static void run(int64_t m, int64_t n, int64_t k, const uint8_t *a, int64_t lda, const int8_t *packed,
                const int32_t *start, int32_t *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int32_t sum = start ? start[j] : 0;
            for (int64_t p = 0; p < k; p++) sum += a[i * lda + p] * packed[place(p, j, k)];
            c[i * ldc + j] = sum;
        }
}

const pare__mul8 pare__mul8_c = {.name = "c", .cols = COLS, .pack_t = pack_t, .run = run};

/* One instruction set has both. */
#if defined(__x86_64__)
const pare__mul8 *pare__mul8_best(void) { return pare__mul16_best() ? &pare__mul8_vnni : NULL; }
#else
const pare__mul8 *pare__mul8_best(void) { return NULL; }
#endif
