/* SPDX-License-Identifier: MIT */
/* Shared steps of the pruning selectors. */
#include "select/pick.h"

#include <string.h>

enum { MAX_TIER = 3 };

int64_t pare__budget(const pare__view *v) { return v->k < 0 || v->k > v->n ? v->n : v->k; }

int64_t pare__mark_tier(const uint8_t *tier, int want, const float *score, int64_t n, int64_t most, uint8_t *mark,
                        uint8_t value, pare__arena *arena)
{
    const pare__mark start = pare__arena_mark(arena);
    int32_t *row = PARE__ARENA(arena, int32_t, n), *best = PARE__ARENA(arena, int32_t, n);
    float *of = PARE__ARENA(arena, float, n);
    int64_t m = 0;
    for (int64_t i = 0; row && best && of && i < n; i++) {
        if (tier[i] != want) continue;
        of[m] = score[i];
        row[m++] = (int32_t)i;
    }
    if (most > m) most = m;
    const int rc = row && best && of ? pare__topk(of, m, most, best, arena) : PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < most; i++) mark[row[best[i]]] = value;
    pare__arena_reset(arena, start);
    return rc ? rc : most;
}

int pare__pick(const uint8_t *tier, const float *score, int64_t n, int64_t k, int32_t *out, pare__arena *arena)
{
    if (k <= 0) return 0;
    if (!tier) return pare__topk(score, n, k, out, arena);
    const pare__mark mark = pare__arena_mark(arena);
    uint8_t *chosen = PARE__ARENA(arena, uint8_t, n);
    int rc = chosen ? 0 : PARE_E_NOMEM;
    if (chosen) memset(chosen, 0, (size_t)n);
    int64_t left = k;
    for (int want = MAX_TIER; !rc && want >= 0 && left > 0; want--) {
        const int64_t got = pare__mark_tier(tier, want, score, n, left, chosen, 1, arena);
        if (got < 0)
            rc = (int)got;
        else
            left -= got;
    }
    int64_t m = 0;
    for (int64_t i = 0; !rc && i < n; i++)
        if (chosen[i]) out[m++] = (int32_t)i;
    pare__arena_reset(arena, mark);
    return rc;
}

int pare__keep_best(const pare__view *v, const float *score, pare__map *map)
{
    const int64_t k = pare__budget(v);
    int32_t *row = PARE__ARENA(v->arena, int32_t, k);
    const int rc = row ? pare__pick(NULL, score, v->n, k, row, v->arena) : PARE_E_NOMEM;
    return rc ? rc : pare__map_keep_many(map, row, k);
}

int pare__keep_order(const pare__view *v, const int32_t *order, int64_t k, pare__map *map)
{
    float *rank = PARE__ARENA(v->arena, float, v->n);
    if (!rank) return PARE_E_NOMEM;
    memset(rank, 0, (size_t)v->n * sizeof *rank);
    for (int64_t m = 0; m < k; m++) rank[order[m]] = (float)(k - m) / (float)k;
    int rc = 0;
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (rank[i] > 0) rc = pare__map_keep(map, i);
    if (!v->score) memcpy(v->score_out, rank, (size_t)v->n * sizeof *rank);
    return rc;
}

void pare__noise(const pare__view *v, float *out)
{
    for (int64_t i = 0; i < v->n; i++) {
        const int32_t *place = v->thw + 3 * i;
        const uint64_t t = (uint64_t)((int64_t)v->t0 + place[0]);
        const uint64_t cell = (uint64_t)((int64_t)place[1] * v->grid_w + place[2]);
        pare__rng rng = pare__rng_make(v->seed, t, cell);
        out[i] = (float)pare__rng_unit(&rng);
    }
}

int32_t pare__read_list(const char *text, int whole, double least, double most, double *out, int32_t room)
{
    char word[32];
    int32_t n = 0;
    int64_t count;
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, "/");
        if (n == room || length >= sizeof word || (at[length] && !at[length + 1])) return -1;
        memcpy(word, at, length);
        word[length] = '\0';
        if (whole ? pare__parse_int(word, &count) : pare__parse_float(word, &out[n])) return -1;
        if (whole) out[n] = (double)count;
        if (!(out[n] >= least && out[n] <= most)) return -1;
        n++;
        at += length + (at[length] == '/');
    }
    return n;
}

int pare__need_tokens(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    return 1;
}

int pare__need_pixels(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_PIXELS, PARE__LAYER_HERE};
    return 1;
}

const float *pare__require(const pare__view *v, const char *owner, pare__array array, int32_t layer, int32_t *width,
                           pare_error *err)
{
    const float *data = pare__view_get(v, array, layer, width);
    if (data) return data;
    if (layer == PARE__LAYER_HERE)
        pare_fail(err, PARE_E_INVALID, "'%s' needs the array '%s'", owner, pare__array_name(array));
    else
        pare_fail(err, PARE_E_INVALID, "'%s' needs the array '%s' of block %d", owner, pare__array_name(array),
                  (int)layer);
    return NULL;
}

const float *pare__require_score(const pare__view *v, const char *owner, pare_error *err)
{
    if (!v->score) pare_fail(err, PARE_E_INVALID, "selector '%s' needs a score: give score=", owner);
    return v->score;
}
