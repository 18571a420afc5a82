/* SPDX-License-Identifier: MIT */
/* The oracle of mul16.h: its definitions. And the choice among tables. */
#include <math.h>
#include <stddef.h>

#include "core/mul16.h"

enum { COLS = 4, MOST = 32767 };

static int16_t whole(float x)
{
    if (x != x) return 0;
    return (int16_t)nearbyintf(fminf(MOST, fmaxf(-MOST, x)));
}

/* Place of b[p, col] among the panels. */
static int64_t place(int64_t p, int64_t col, int64_t k)
{
    return ((col / COLS * ((k + 1) / 2) + p / 2) * COLS + col % COLS) * 2 + p % 2;
}

static int64_t padded(int64_t n) { return (n + COLS - 1) / COLS * COLS; }

static void pack_pair(int16_t *to, const float *x0, const float *x1, const float *factor, int64_t pair, int64_t k,
                      int64_t n)
{
    for (int64_t col = 0; col < padded(n); col++) {
        to[place(2 * pair, col, k)] = col < n ? whole(x0[col] * factor[col]) : (int16_t)0;
        to[place(2 * pair + 1, col, k)] = col < n && x1 ? whole(x1[col] * factor[col]) : (int16_t)0;
    }
}

static void run(int64_t m, int64_t n, int64_t k, const int16_t *a, int64_t lda, const int16_t *packed, int32_t *c,
                int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t sum = 0;
            for (int64_t p = 0; p < k; p++) sum += (int64_t)a[i * lda + p] * packed[place(p, j, k)];
            c[i * ldc + j] = (int32_t)sum;
        }
}

const pare__mul16 pare__mul16_c = {.name = "c", .cols = COLS, .pack_pair = pack_pair, .run = run};

#if defined(__x86_64__)
const pare__mul16 *pare__mul16_best(void)
{
    const int has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    return has ? &pare__mul16_vnni : NULL;
}
#else
const pare__mul16 *pare__mul16_best(void) { return NULL; }
#endif
