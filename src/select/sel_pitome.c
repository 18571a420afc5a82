/* SPDX-License-Identifier: MIT */
/* Energy-based merging: a token's energy is the mean over all tokens of f(cos of head-mean keys - margin), f(z) = z from 0
 * on and alpha (e^z - 1) below, so that tokens in large similar groups have most. The 2r with most energy may merge, by
 * rank: even ranks are sources, odd ones destinations, each source joins its most similar destination; all others are
 * protected. bsm=1 splits all tokens by rank instead and merges the r most similar pairs. Means and sizes as in token
 * merging; prefix rows take no part. Ties: energy to the lower index, similarity to the higher energy. Keys k_mean
 * [n, head_dim], between attention and MLP. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

enum { BLOCK = 128 };

#define OFF (-1.0)
#define AUTO (-2.0)
#define FIRST_MARGIN 0.9 /* of block 0; falls to 0 behind the last block */

typedef struct pitome {
    int64_t r;
    double ratio, margin, alpha;
    int32_t bsm, prop_attn;
} pitome;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(pitome, r, "tokens merged away in every block", -1, 0, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_FLOAT_AUTO(pitome, ratio, "share of its tokens that every block keeps, at least half", OFF, 0, 1,
                            "auto"),
    PARE__OPTION_FLOAT_AUTO(pitome, margin,
                            "cosine from which tokens count as similar (auto: 0.9 (1 - block / blocks))", AUTO, -1, 1,
                            "auto"),
    PARE__OPTION_FLOAT(pitome, alpha, "weight of dissimilar tokens", 1, 0, 100),
    PARE__OPTION_BOOL(pitome, bsm, "split all tokens by energy rank and merge the most similar pairs", 0),
    PARE__OPTION_BOOL(pitome, prop_attn, "later attention counts a merged token as often as its size", 1),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const pitome *p = priv;
    return pare__pairs_amount(n, p->r, p->ratio);
}

static int unbiased(const void *priv) { return !((const pitome *)priv)->prop_attn; }

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_K_MEAN, PARE__LAYER_HERE};
    return 1;
}

/* ---- energy ---------------------------------------------------------------------------------------------------- */

/* e^z - 1 for z in [-2, 0], as exact as cosines are: a polynomial in z + 1, error 1.3e-7. No branch and no call, so that
 * loops over it become vector code. */
static inline float grow(float z)
{
    const float t = z + 1, t2 = t * t, t4 = t2 * t2;
    const float a = -0.63212055f + t * 0.36787939f + t2 * (0.18393971f + t * 0.061313726f);
    const float b = 0.01532839f + t * 0.003063919f + t2 * (0.00051071815f + t * 7.530489e-5f);
    return a + t4 * (b + t4 * 9.38063e-6f);
}

/* x [n] cosines -> out [n] f(x - margin): z or alpha (e^z - 1). */
static void soften(const float *x, int64_t n, float margin, float alpha, float *out)
{
    for (int64_t j = 0; j < n; j++) {
        const float z = x[j] - margin, below = 0.5f * (z - fabsf(z)); /* min(z, 0) */
        out[j] = (z - below) + alpha * grow(below);
    }
}

/* Adds the terms of the pairs (i, j), j = 0..n-1, to both sides; those below `block` stand there twice. */
static void collect(const float *term, int64_t i, int64_t block, int64_t n, double *energy)
{
    double lane[8] = {0};
    int64_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (int c = 0; c < 8; c++) lane[c] += (double)term[j + c];
    for (; j < n; j++) lane[0] += (double)term[j];
    for (j = block; j < n; j++) energy[j] += (double)term[j];
    for (int c = 0; c < 8; c++) energy[i] += lane[c];
}

/* out[n] = minus the mean energy: higher = keep. */
static int protection(const pitome *p, const pare__view *v, const float *unit, int64_t d, float *out)
{
    const double margin = p->margin > AUTO ? p->margin : FIRST_MARGIN * (1 - (double)v->block / fmax(v->n_layer, 1));
    float *cos = PARE__ARENA(v->arena, float, BLOCK * v->n);
    float *term = PARE__ARENA(v->arena, float, v->n);
    double *energy = PARE__ARENA(v->arena, double, v->n);
    if (!cos || !term || !energy) return PARE_E_NOMEM;
    memset(energy, 0, (size_t)v->n * sizeof *energy);
    for (int64_t i0 = 0; i0 < v->n; i0 += BLOCK) {
        const int64_t n = v->n - i0, m = n < BLOCK ? n : BLOCK;
        v->gemm->nt(m, n, d, 1, unit + i0 * d, d, unit + i0 * d, d, 0, cos, n);
        for (int64_t i = 0; i < m; i++) {
            soften(cos + i * n, n, (float)margin, (float)p->alpha, term);
            collect(term, i, m, n, energy + i0);
        }
    }
    for (int64_t i = 0; i < v->n; i++) out[i] = (float)(-energy[i] / (double)v->n);
    return 0;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* The first `n` candidates by falling energy, dealt out by rank. */
static int deal(const pare__view *v, const float *protection_of, int64_t n, pare__pairs *h)
{
    float *energy = PARE__ARENA(v->arena, float, v->n);
    int32_t *order = PARE__ARENA(v->arena, int32_t, v->n);
    if (!energy || !order || pare__pairs_init(h, v)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) energy[i] = -protection_of[i];
    if (pare__argsort_desc(energy, v->n, order, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i += 2) h->a[h->n_a++] = order[i];
    for (int64_t i = 1; i < n; i += 2) h->b[h->n_b++] = order[i];
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pitome *p = priv;
    int32_t d = 0;
    pare__pairs h;
    const float *key = pare__require(v, "pitome", PARE__ARRAY_K_MEAN, PARE__LAYER_HERE, &d, err);
    if (!key) return PARE_E_INVALID;
    const int64_t r = pare__pairs_most(v->n, v->n - pare__budget(v));
    if (r == 0) return pare__map_identity(map, v->n);
    const float *unit = pare__unit_rows(v, key, d, NULL, v->n);
    int rc = unit ? protection(p, v, unit, d, v->score_out) : PARE_E_NOMEM;
    if (!rc) rc = deal(v, v->score_out, p->bsm ? v->n : 2 * r, &h);
    if (!rc) rc = pare__pairs_join(&h, v, key, d, r);
    if (rc) return rc;
    for (int32_t i = 0; i < v->n; i++)
        if (h.group[i] < 0) pare__pairs_own(&h, i);
    return pare__map_groups(map, h.group, h.anchor, h.n_row, v->size);
}

const pare__selector pare__sel_pitome = {
    .name = "pitome",
    .summary = "energy-based merging: tokens of large similar groups merge, rare ones are protected",
    .cite = "Tran et al., Accelerating Transformers with Spectrum-Preserving Token Merging, NeurIPS 2024, arXiv "
            "2405.16148; hchautran/PiToMe algo/pitome/merge.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES,
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_MIDDLE,
    .options = options,
    .priv_size = sizeof(pitome),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
    .least = pare__pairs_least,
    .unbiased = unbiased,
};
