/* SPDX-License-Identifier: MIT */
/* Every N/K-th candidate, floor((m + .5) N / K) in exact integers. Aliases into columns when N/K is near
 * a divisor of the width; spatial-uniform does not. Must-keep rows come first, the stride runs over the others. */
#include "select/pick.h"
#include "select/selector.h"

/* rest[n_rest] = the other rows; tier of the strided ones among them becomes 1. */
static void mark_stride(uint8_t *tier, const int32_t *rest, int64_t n_rest, int64_t k)
{
    for (int64_t m = 0; m < k; m++) tier[rest[(2 * m + 1) * n_rest / (2 * k)]] = 1;
}

static int mark(const pare__view *v, int64_t k, uint8_t *tier)
{
    int32_t *rest = PARE__ARENA(v->arena, int32_t, v->n);
    if (!rest) return PARE_E_NOMEM;
    int64_t n_rest = 0;
    for (int64_t i = 0; i < v->n; i++) {
        const int must = v->must && v->must[i];
        tier[i] = must ? 2 : 0;
        if (!must) rest[n_rest++] = (int32_t)i;
    }
    const int64_t left = k - (v->n - n_rest);
    if (left > 0) mark_stride(tier, rest, n_rest, left);
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv, (void)err;
    const int64_t k = pare__budget(v);
    const pare__mark start = pare__arena_mark(v->arena);
    uint8_t *tier = PARE__ARENA(v->arena, uint8_t, v->n);
    int rc = tier ? mark(v, k, tier) : PARE_E_NOMEM;
    int64_t kept = 0;
    for (int64_t i = 0; !rc && i < v->n && kept < k; i++) {
        if (!tier[i]) continue;
        rc = pare__map_keep(map, i);
        kept++;
    }
    pare__arena_reset(v->arena, start);
    return rc;
}

const pare__selector pare__sel_stride = {
    .name = "stride",
    .summary = "every N/K-th token of a frame",
    .cite = "baseline; one-dimensional uniform sampling",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_PATCHES,
    .select = select_rows,
};
