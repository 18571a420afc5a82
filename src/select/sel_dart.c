/* SPDX-License-Identifier: MIT */
/* DART: the pivots are the tokens with the largest keys (L1 norm over all heads); by ascending index, each pivot then
 * adds the tokens least like it (cosine) that nobody holds yet. With ratio= the published count: pivots on top of
 * int(N (1 - ratio) / pivots) tokens each; with a budget exactly k, spread evenly, the remainder to the first pivots. The
 * port visits pivots in the order of a hash set, which has no meaning. keys k [n, n_head * head_dim] of one block, tokens
 * [n, d]; published score: the norm of the key. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/exact.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

enum { AUTO_LAYER = -PARE__MAX_BLOCKS - 1, DEFAULT_LAYER = -2 };

typedef struct dart {
    int64_t pivots, layer;
    double ratio;
} dart;

static const pare__option options[] = {
    PARE__OPTION_INT(dart, pivots, "tokens with the largest keys, which choose the others", 8, 1,
                     PARE__MAX_UNITS_PER_FRAME),
    PARE__OPTION_FLOAT_AUTO(dart, ratio, "share of the tokens that goes, pivots not counted", -1, 0, 1, "auto"),
    PARE__OPTION_INT_AUTO(
        dart, layer,
        "block whose keys are read, from 0 or negative from the end; at a block site the block itself, else -2",
        AUTO_LAYER, -PARE__MAX_BLOCKS, PARE__MAX_BLOCKS - 1, "auto"),
    {0},
};

static int32_t layer_at(const dart *p, int32_t site)
{
    if (p->layer != AUTO_LAYER) return (int32_t)p->layer;
    return site == PARE__SITE_BLOCK ? PARE__LAYER_HERE : DEFAULT_LAYER;
}

static int needs(const void *priv, int32_t site, pare__need *need)
{
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_K, layer_at(priv, site)};
    return 2;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const dart *p = priv;
    if (p->ratio < 0) return PARE__AMOUNT_NONE;
    const int64_t pivots = p->pivots < n ? p->pivots : n;
    const int64_t k = pivots ? pivots * (1 + (int64_t)((double)n * (1 - p->ratio) / (double)pivots)) : 0;
    return k < n ? k : n;
}

static void key_norms(const float *key, int64_t n, int64_t width, float *norm)
{
    for (int64_t i = 0; i < n; i++) norm[i] = (float)pare__exact_l1(key + i * width, width);
}

/* Takes the `want` rows least like the pivot whose cosines are row[n]. */
static int take_unlike(const pare__view *v, const float *row, int64_t want, uint8_t *taken)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    float *unlike = PARE__ARENA(v->arena, float, v->n);
    int32_t *best = PARE__ARENA(v->arena, int32_t, v->n);
    int rc = unlike && best ? 0 : PARE_E_NOMEM;
    int64_t left = 0;
    for (int64_t i = 0; !rc && i < v->n; i++) {
        unlike[i] = taken[i] ? -INFINITY : -row[i];
        left += !taken[i];
    }
    if (want > left) want = left;
    if (!rc) rc = pare__topk(unlike, v->n, want, best, v->arena);
    for (int64_t m = 0; !rc && m < want; m++) taken[best[m]] = 1;
    pare__arena_reset(v->arena, mark);
    return rc;
}

/* Every pivot takes its share of the k rows. */
static int expand(const pare__view *v, const float *x, int64_t d, const int32_t *pivot, int64_t n_pivot, int64_t k,
                  uint8_t *taken)
{
    const float *unit = pare__unit_rows(v, x, d, NULL, v->n), *of = pare__unit_rows(v, x, d, pivot, n_pivot);
    float *cosine = PARE__ARENA(v->arena, float, n_pivot * v->n);
    if (!unit || !of || !cosine) return PARE_E_NOMEM;
    v->gemm->nt(n_pivot, v->n, d, 1, of, d, unit, d, 0, cosine, v->n);
    int rc = 0;
    for (int64_t p = 0; p < n_pivot; p++) taken[pivot[p]] = 1;
    for (int64_t p = 0; !rc && p < n_pivot; p++) {
        const int64_t more = k - n_pivot, share = more / n_pivot + (p < more % n_pivot);
        rc = take_unlike(v, cosine + p * v->n, share, taken);
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const dart *p = priv;
    int32_t d = 0, width = 0;
    const float *x = pare__require(v, "dart", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    const float *key = x ? pare__require(v, "dart", PARE__ARRAY_K, layer_at(p, v->site), &width, err) : NULL;
    if (!key) return PARE_E_INVALID;
    const int64_t k = pare__budget(v), n_pivot = p->pivots < k ? p->pivots : k;
    float *norm = PARE__ARENA(v->arena, float, v->n);
    int32_t *pivot = PARE__ARENA(v->arena, int32_t, n_pivot);
    uint8_t *taken = PARE__ARENA(v->arena, uint8_t, v->n);
    if (!norm || !pivot || !taken) return PARE_E_NOMEM;
    key_norms(key, v->n, width, norm);
    memset(taken, 0, (size_t)v->n);
    int rc = pare__topk(norm, v->n, n_pivot, pivot, v->arena);
    if (!rc) rc = expand(v, x, d, pivot, n_pivot, k, taken);
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (taken[i]) rc = pare__map_keep(map, i);
    if (!rc) memcpy(v->score_out, norm, (size_t)v->n * sizeof *norm);
    return rc;
}

const pare__selector pare__sel_dart = {
    .name = "dart",
    .summary = "tokens with the largest keys, and those least like each of them",
    .cite = "Wen et al., DART, EMNLP 2025, arXiv 2502.11494; ModelTC/LightCompress "
            "llmc/compression/token_reduction/dart.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(dart),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
