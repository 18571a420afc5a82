/* SPDX-License-Identifier: MIT */
/* The oracle of narrow.h: its definitions. And the choice among tables. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/narrow.h"

enum { MOST_BYTE = 127 };

static float peak(const float *x, int64_t n)
{
    float top = 0;
    for (int64_t i = 0; i < n; i++) top = fmaxf(top, fabsf(x[i])); /* fmaxf leaves NaN out */
    return top;
}

static void extend(float *low, float *high, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        low[i] = fminf(low[i], x[i]);
        high[i] = fmaxf(high[i], x[i]);
    }
}

static int32_t bytes(uint8_t *q, const float *x, const float *centre, int64_t n, float factor, int32_t add)
{
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float v = (x[i] - (centre ? centre[i] : 0)) * factor;
        const int32_t whole = isnan(v) ? 0 : (int32_t)nearbyintf(fminf(MOST_BYTE, fmaxf(-MOST_BYTE, v)));
        sum += whole;
        q[i] = (uint8_t)(whole + add);
    }
    return sum;
}

/* Byte for byte, because numbers lie where sums were. */
static void put(int32_t *row, int64_t i, int16_t v) { memcpy((char *)row + i * (int64_t)sizeof v, &v, sizeof v); }

static double logit(const int32_t *row, int64_t i, double scale, const float *bias)
{
    int32_t v;
    memcpy(&v, (const char *)row + i * (int64_t)sizeof v, sizeof v);
    return scale * v + (bias ? (double)bias[i] : 0);
}

static float exponents_of(int32_t *row, int64_t n, double scale, const float *bias, float most)
{
    double top = -INFINITY, total = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, logit(row, i, scale, bias));
    for (int64_t i = 0; i < n; i++) {
        const double e = top == -INFINITY ? 0 : exp(logit(row, i, scale, bias) - top);
        total += most * e;
        put(row, i, isnan(e) ? (int16_t)0 : (int16_t)nearbyint(most * e));
    }
    for (int64_t i = n; i % PARE__NARROW_GRAIN; i++) put(row, i, 0);
    return top == -INFINITY ? 0 : (float)(1 / total);
}

static void exponents(int32_t *sums, int64_t ld, int64_t rows, int64_t n, float scale, const float *bias, float most,
                      float *share)
{
    for (int64_t i = 0; i < rows; i++) share[i] = exponents_of(sums + i * ld, n, (double)scale * share[i], bias, most);
}

static void add(float *y, const int16_t *p, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)((double)scale * p[i] + y[i]);
}

static void widen(float *y, const int32_t *x, const float *factor, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i] * (scale * factor[i]);
}

const pare__narrow pare__narrow_c = {
    .name = "c",
    .mul8 = &pare__mul8_c,
    .mul16 = &pare__mul16_c,
    .peak = peak,
    .extend = extend,
    .bytes = bytes,
    .exponents = exponents,
    .add = add,
    .widen = widen,
};

/* One instruction set has all of it. */
#if defined(__x86_64__)
const pare__narrow *pare__narrow_best(void) { return pare__mul16_best() ? &pare__narrow_vnni : NULL; }
#else
const pare__narrow *pare__narrow_best(void) { return NULL; }
#endif
