/* SPDX-License-Identifier: MIT */
/* The oracle of mul16.h: its definitions. And the choice among tables. */
#include <math.h>
#include <string.h>

#include "core/mul16.h"

enum { COLS = 4, MOST = 32767 };

static float size_of(float x) { return fabsf(x) >= 0 ? fabsf(x) : 0; } /* NaN is 0 */

static float peak(const float *x, int64_t n)
{
    float top = 0;
    for (int64_t i = 0; i < n; i++) top = fmaxf(top, size_of(x[i]));
    return top;
}

static void peaks(float *top, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) top[i] = fmaxf(top[i], size_of(x[i]));
}

static int16_t whole(float x)
{
    if (x != x) return 0;
    return (int16_t)nearbyintf(fminf(MOST, fmaxf(-MOST, x)));
}

/* Byte for byte, because q may be x. */
static void narrow(int16_t *q, const float *x, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, (const char *)x + i * (int64_t)sizeof v, sizeof v);
        const int16_t w = whole(v * factor);
        memcpy((char *)q + i * (int64_t)sizeof w, &w, sizeof w);
    }
}

/* Place of b[p, col] among the panels. */
static int64_t place(int64_t p, int64_t col, int64_t k)
{
    return ((col / COLS * ((k + 1) / 2) + p / 2) * COLS + col % COLS) * 2 + p % 2;
}

static int64_t padded(int64_t n) { return (n + COLS - 1) / COLS * COLS; }

static void pack_t(int16_t *to, const int16_t *q, int64_t ldq, int64_t k, int64_t n)
{
    for (int64_t p = 0; p < k; p++)
        for (int64_t col = 0; col < padded(n); col++) to[place(p, col, k)] = col < n ? q[col * ldq + p] : (int16_t)0;
}

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

static void widen(float *y, const int32_t *x, const float *factor, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t v;
        memcpy(&v, (const char *)x + i * (int64_t)sizeof v, sizeof v);
        const float f = (float)v * (scale * factor[i]);
        memcpy((char *)y + i * (int64_t)sizeof f, &f, sizeof f);
    }
}

const pare__mul16 pare__mul16_c = {
    .name = "c",
    .cols = COLS,
    .peak = peak,
    .peaks = peaks,
    .narrow = narrow,
    .pack_t = pack_t,
    .pack_pair = pack_pair,
    .run = run,
    .widen = widen,
};

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
