/* SPDX-License-Identifier: MIT */
/* Ranking by radix over order-preserving integer keys (no comparisons, so ties and NaN are settled by construction), the
 * counter-based generator, and apportionment. */
#include "core/rank.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <pare/pare.h>

/* ---- keys: larger score, larger key; NaN below everything; -0 equals +0 -------------------------------------- */

static uint32_t score_key(float score)
{
    uint32_t bits;

    if (score != score) return 0;
    score += 0.0f;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* ---- top-k: radix select ------------------------------------------------------------------------------------- */

/* The k-th largest key (k >= 1); *above receives how many keys are larger. */
static uint32_t kth_key(const uint32_t *key, int64_t n, int64_t k, int64_t *above)
{
    uint32_t prefix = 0, mask = 0;

    *above = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        int64_t count[256] = {0};
        for (int64_t i = 0; i < n; i++)
            if ((key[i] & mask) == prefix) count[key[i] >> shift & 255]++;
        uint32_t digit = 255;
        while (*above + count[digit] < k) *above += count[digit--];
        prefix |= digit << shift;
        mask |= 255u << shift;
    }
    return prefix;
}

int pare__topk(const float *score, int64_t n, int64_t k, int32_t *out, pare__arena *arena)
{
    if (k > n) k = n;
    if (k <= 0) return 0;
    pare__mark mark = pare__arena_mark(arena);
    uint32_t *key = PARE__ARENA(arena, uint32_t, n);
    if (!key) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) key[i] = score_key(score[i]);
    int64_t above;
    uint32_t limit = kth_key(key, n, k, &above);
    int64_t ties = k - above, n_out = 0;
    for (int64_t i = 0; i < n && n_out < k; i++) {
        if (key[i] < limit || (key[i] == limit && ties-- <= 0)) continue;
        out[n_out++] = (int32_t)i;
    }
    pare__arena_reset(arena, mark);
    return 0;
}

/* ---- stable sorts: least significant digit first -------------------------------------------------------------- */

static void radix_pass(const uint32_t *key, int shift, const int32_t *from, int32_t *to, int64_t n)
{
    int64_t start[257] = {0};

    for (int64_t i = 0; i < n; i++) start[(key[i] >> shift & 255) + 1]++;
    for (int b = 0; b < 256; b++) start[b + 1] += start[b];
    for (int64_t i = 0; i < n; i++) to[start[key[from[i]] >> shift & 255]++] = from[i];
}

/* Indices by ascending key, stable. Four passes, so the result ends where it started: in out. */
static int argsort_keys(const uint32_t *key, int64_t n, int32_t *out, pare__arena *arena)
{
    int32_t *other = PARE__ARENA(arena, int32_t, n);

    if (!other) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)i;
    radix_pass(key, 0, out, other, n);
    radix_pass(key, 8, other, out, n);
    radix_pass(key, 16, out, other, n);
    radix_pass(key, 24, other, out, n);
    return 0;
}

int pare__argsort_desc(const float *score, int64_t n, int32_t *out, pare__arena *arena)
{
    pare__mark mark = pare__arena_mark(arena);
    uint32_t *key = PARE__ARENA(arena, uint32_t, n);

    if (!key) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) key[i] = ~score_key(score[i]);
    int rc = argsort_keys(key, n, out, arena);
    pare__arena_reset(arena, mark);
    return rc;
}

int pare__argsort_i32(const int32_t *key, int64_t n, int32_t *out, pare__arena *arena)
{
    pare__mark mark = pare__arena_mark(arena);
    uint32_t *flipped = PARE__ARENA(arena, uint32_t, n);

    if (!flipped) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) flipped[i] = (uint32_t)key[i] ^ 0x80000000u;
    int rc = argsort_keys(flipped, n, out, arena);
    pare__arena_reset(arena, mark);
    return rc;
}

/* ---- random numbers: splitmix64 (Steele, Lea, Flood 2014) ----------------------------------------------------- */

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

pare__rng pare__rng_make(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t state = mix(seed + GOLDEN_GAMMA);
    state = mix(state ^ (a + GOLDEN_GAMMA));
    return (pare__rng){mix(state ^ (b + GOLDEN_GAMMA))};
}

uint64_t pare__rng_u64(pare__rng *r) { return mix(r->state += GOLDEN_GAMMA); }

double pare__rng_unit(pare__rng *r) { return (double)(pare__rng_u64(r) >> 11) * 0x1p-53; }

int64_t pare__rng_below(pare__rng *r, int64_t n)
{
    uint64_t bound = (uint64_t)n, x;

    if (n <= 1) return 0;
    uint64_t uneven = (0 - bound) % bound; /* 2^64 mod n values would favour the low results */
    do x = pare__rng_u64(r);
    while (x < uneven);
    return (int64_t)(x % bound);
}

/* ---- apportionment -------------------------------------------------------------------------------------------- */

/* x_i = clamp(lambda w_i, lo_i, hi_i) with sum x = total, then largest remainder. */
typedef struct shares {
    int64_t n, total;
    double *w;        /* [n] >= 0, largest 1 */
    double *x;        /* [n] */
    int64_t *lo, *hi; /* [n] */
    uint8_t *frozen;  /* [n] x is final at a bound */
} shares;

static int64_t add_capped(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

static int shares_alloc(shares *s, int64_t n, pare__arena *arena)
{
    s->n = n;
    s->w = PARE__ARENA(arena, double, n);
    s->x = PARE__ARENA(arena, double, n);
    s->lo = PARE__ARENA(arena, int64_t, n);
    s->hi = PARE__ARENA(arena, int64_t, n);
    s->frozen = PARE__ARENA(arena, uint8_t, n);
    if (!s->w || !s->x || !s->lo || !s->hi || !s->frozen) return PARE_E_NOMEM;
    memset(s->frozen, 0, (size_t)n);
    return 0;
}

static void shares_weigh(shares *s, const double *weight)
{
    double top = 0;

    for (int64_t i = 0; i < s->n; i++) {
        s->w[i] = !weight ? 1 : weight[i] > 0 ? fmin(weight[i], DBL_MAX) : 0;
        top = fmax(top, s->w[i]);
    }
    for (int64_t i = 0; i < s->n; i++) s->w[i] = top > 0 ? s->w[i] / top : 1;
}

/* Bounds made consistent (hi >= lo >= 0) and the total brought between their sums. */
static void shares_bound(shares *s, int64_t total, const int64_t *floor, const int64_t *cap)
{
    int64_t sum_lo = 0, sum_hi = 0;

    for (int64_t i = 0; i < s->n; i++) {
        s->lo[i] = floor && floor[i] > 0 ? floor[i] : 0;
        sum_lo = add_capped(sum_lo, s->lo[i]);
    }
    s->total = total > sum_lo ? total : sum_lo;
    for (int64_t i = 0; i < s->n; i++) {
        s->hi[i] = cap && cap[i] < s->total ? cap[i] : s->total;
        if (s->hi[i] < s->lo[i]) s->hi[i] = s->lo[i];
        sum_hi = add_capped(sum_hi, s->hi[i]);
    }
    if (s->total > sum_hi) s->total = sum_hi;
}

/* One round: shares of what the frozen bins leave, then freezes the bins that hit the bound which binds the sum.
 * Returns 0 when no bin is out of bounds. */
static int shares_round(shares *s)
{
    double left = (double)s->total, sum_w = 0, n_free = 0, violation = 0;

    for (int64_t i = 0; i < s->n; i++) {
        if (s->frozen[i])
            left -= s->x[i];
        else
            sum_w += s->w[i], n_free++;
    }
    if (n_free == 0) return 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->frozen[i]) continue;
        s->x[i] = sum_w > 0 ? left * s->w[i] / sum_w : left / n_free;
        violation += fmin(fmax(s->x[i], (double)s->lo[i]), (double)s->hi[i]) - s->x[i];
    }
    int changed = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double lo = (double)s->lo[i], hi = (double)s->hi[i];
        if (s->frozen[i] || !((s->x[i] < lo && violation >= 0) || (s->x[i] > hi && violation <= 0))) continue;
        s->x[i] = s->x[i] < lo ? lo : hi;
        s->frozen[i] = 1;
        changed = 1;
    }
    return changed;
}

/* Whole parts into out; x keeps the fractions, -1 where the bin is full. Returns what is still to give. */
static int64_t shares_floor(shares *s, int64_t *out)
{
    int64_t left = s->total;

    for (int64_t i = 0; i < s->n; i++) {
        double whole = fmin(fmax(floor(s->x[i]), (double)s->lo[i]), (double)s->hi[i]);
        out[i] = (int64_t)whole;
        s->x[i] = out[i] < s->hi[i] ? s->x[i] - whole : -1;
        left -= out[i];
    }
    return left;
}

/* One more for the `left` bins of the largest fractions. Fractions are compared as floats: what differs by less is a tie
 * that rounding of the shares made, and goes to the lower index. */
static int shares_round_up(const shares *s, int64_t left, int64_t *out, pare__arena *arena)
{
    float *fraction = PARE__ARENA(arena, float, s->n);
    int32_t *chosen = PARE__ARENA(arena, int32_t, s->n);

    if (!fraction || !chosen) return PARE_E_NOMEM;
    for (int64_t i = 0; i < s->n; i++) fraction[i] = (float)s->x[i];
    int rc = pare__topk(fraction, s->n, left, chosen, arena);
    for (int64_t i = 0; i < left && rc == 0; i++) out[chosen[i]]++;
    return rc;
}

int pare__largest_remainder(int64_t total, const double *weight, const int64_t *floor, const int64_t *cap, int64_t n,
                            int64_t *out, pare__arena *arena)
{
    pare__mark mark = pare__arena_mark(arena);
    shares s;

    if (n <= 0) return 0;
    int rc = shares_alloc(&s, n, arena);
    if (rc == 0) {
        shares_weigh(&s, weight);
        shares_bound(&s, total, floor, cap);
        while (shares_round(&s)) {}
        int64_t left = shares_floor(&s, out);
        rc = shares_round_up(&s, left, out, arena);
    }
    pare__arena_reset(arena, mark);
    return rc;
}
