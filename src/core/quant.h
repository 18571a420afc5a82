/* SPDX-License-Identifier: MIT */
/* The 8-bit grid of one row: x ~ scale (q - zero), q in 0..255, chosen from the row's smallest and largest value. In
 * one place because every table of vec.h must give the same bytes: what depends on the row is computed here, once, and
 * what is left per element is one product, a minimum, one rounding half to even, one integer sum and its saturation to a
 * byte, the same in every instruction set. */
#ifndef PARE_CORE_QUANT_H
#define PARE_CORE_QUANT_H

#include <float.h>
#include <math.h>
#include <stdint.h>

typedef struct pare__quant {
    float scale, inverse; /* inverse = the float 1 / scale: both are normal numbers */
    float high;   /* x inverse at most: of the row, so that infinity ends where FLT_MAX does; -infinity saturates */
    int32_t zero; /* q of x = 0 */
} pare__quant;

/* lo <= 0 <= hi, no NaN. */
static inline pare__quant pare__quant_of(float lo, float hi)
{
    pare__quant q = {.scale = 1};
    lo = lo < -FLT_MAX ? -FLT_MAX : lo;
    hi = hi > FLT_MAX ? FLT_MAX : hi;
    const double span = (double)hi - (double)lo; /* a float would overflow */
    if (span > 0) q.scale = fmaxf((float)(span / 255), FLT_MIN);
    q.inverse = 1 / q.scale;
    q.zero = (int32_t)nearbyintf(-lo * q.inverse);
    q.high = hi * q.inverse;
    return q;
}

#endif
