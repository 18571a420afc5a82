/* SPDX-License-Identifier: MIT */
/* Deterministic ranking (ties to the lower index, NaN lowest) and seeded random numbers. */
#ifndef PARE_CORE_RANK_H
#define PARE_CORE_RANK_H

#include <stdint.h>

#include "core/mem.h"

/* Indices of the k largest of score[n], ascending by index, into out[k]. Expected O(n). 0 or PARE_E_NOMEM. */
int pare__topk(const float *score, int64_t n, int64_t k, int32_t *out, pare__arena *arena);
/* All indices by descending score, stable. */
int pare__argsort_desc(const float *score, int64_t n, int32_t *out, pare__arena *arena);
/* Same by ascending int32 key, stable. */
int pare__argsort_i32(const int32_t *key, int64_t n, int32_t *out, pare__arena *arena);

/* Counter-based generator (splitmix64): a stream is a pure function of (seed, a, b), so results depend on neither order
 * nor threads. */
typedef struct pare__rng {
    uint64_t state;
} pare__rng;
pare__rng pare__rng_make(uint64_t seed, uint64_t a, uint64_t b);
uint64_t pare__rng_u64(pare__rng *r);
double pare__rng_unit(pare__rng *r);              /* [0, 1) */
int64_t pare__rng_below(pare__rng *r, int64_t n); /* [0, n), unbiased */

/* Splits `total` over n bins in proportion to weight[n] (NULL = equal) within floor[n] (NULL = 0) and cap[n] by largest
 * remainder, ties to the lower index. Sum is min(max(total, sum floor), sum cap) exactly. NaN or negative weights count
 * as 0; all-zero weights as equal. */
int pare__largest_remainder(int64_t total, const double *weight, const int64_t *floor, const int64_t *cap, int64_t n,
                            int64_t *out, pare__arena *arena);

#endif
