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
    {.name = "r",
     .help = "tokens merged away in every block",
     .offset = offsetof(pitome, r),
     .type = PARE__INT,
     .def = -1,
     .min = 0,
     .max = PARE__MAX_UNITS_PER_FRAME,
     .def_text = "auto"},
    {.name = "ratio",
     .help = "share of its tokens that every block keeps",
     .offset = offsetof(pitome, ratio),
     .type = PARE__FLOAT,
     .def = OFF,
     .min = 0.5,
     .max = 1,
     .def_text = "auto"},
    {.name = "margin",
     .help = "cosine from which tokens count as similar (auto: 0.9 (1 - block / blocks))",
     .offset = offsetof(pitome, margin),
     .type = PARE__FLOAT,
     .def = AUTO,
     .min = -1,
     .max = 1,
     .def_text = "auto"},
    {.name = "alpha",
     .help = "weight of dissimilar tokens",
     .offset = offsetof(pitome, alpha),
     .type = PARE__FLOAT,
     .def = 1,
     .min = 0,
     .max = 100},
    {.name = "bsm",
     .help = "split all tokens by energy rank and merge the most similar pairs",
     .offset = offsetof(pitome, bsm),
     .type = PARE__BOOL,
     .def = 0,
     .min = 0,
     .max = 1},
    {.name = "prop_attn",
     .help = "later attention counts a merged token as often as its size",
     .offset = offsetof(pitome, prop_attn),
     .type = PARE__BOOL,
     .def = 1,
     .min = 0,
     .max = 1},
    {.name = NULL},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const pitome *p = priv;
    if (p->r < 0 && p->ratio < 0) return PARE__AMOUNT_NONE;
    const int64_t r = p->r >= 0 ? p->r : (int64_t)floor((double)n - (double)n * p->ratio);
    return n - (r < n / 2 ? r : n / 2);
}

static int64_t least(const void *priv, int64_t n)
{
    (void)priv;
    return n - n / 2;
}

static int unbiased(const void *priv) { return !((const pitome *)priv)->prop_attn; }

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_K_MEAN, PARE__LAYER_HERE};
    return 1;
}

/* ---- energy ---------------------------------------------------------------------------------------------------- */

/* x [n] cosines -> f(x - margin). e^z = e^-1 e^(z + 1), a Taylor series on [-1, 1]: the loop has no branch and no call. */
static void soften(float *x, int64_t n, float margin, float alpha)
{
    static const float term[] = {1.f / 3628800, 1.f / 362880, 1.f / 40320, 1.f / 5040, 1.f / 720, 1.f / 120,
                                 1.f / 24,      1.f / 6,      1.f / 2,     1,          1};
    for (int64_t j = 0; j < n; j++) {
        const float z = x[j] - margin, t = z < 0 ? z + 1 : 1;
        float e = term[0];
        for (int i = 1; i <= 10; i++) e = e * t + term[i];
        x[j] = z < 0 ? alpha * (e * 0.36787944f - 1) : z;
    }
}

/* Adds the terms of the pairs (i0 + i, i0 + j), j = 0..n-1, to both sides; those within the block stand there twice. */
static void collect(const float *term, int64_t i, int64_t block, int64_t n, double *energy)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += (double)term[j];
    for (int64_t j = block; j < n; j++) energy[j] += (double)term[j];
    energy[i] += sum;
}

/* out[n] = minus the mean energy: higher = keep. */
static int protection(const pitome *p, const pare__view *v, const float *unit, int64_t d, float *out)
{
    const double margin = p->margin > AUTO ? p->margin : FIRST_MARGIN * (1 - (double)v->block / fmax(v->n_layer, 1));
    float *term = PARE__ARENA(v->arena, float, BLOCK * v->n);
    double *energy = PARE__ARENA(v->arena, double, v->n);
    if (!term || !energy) return PARE_E_NOMEM;
    memset(energy, 0, (size_t)v->n * sizeof *energy);
    for (int64_t i0 = 0; i0 < v->n; i0 += BLOCK) {
        const int64_t n = v->n - i0, m = n < BLOCK ? n : BLOCK;
        v->gemm->nt(m, n, d, 1, unit + i0 * d, d, unit + i0 * d, d, 0, term, n);
        soften(term, m * n, (float)margin, (float)p->alpha);
        for (int64_t i = 0; i < m; i++) collect(term + i * n, i, m, n, energy + i0);
    }
    for (int64_t i = 0; i < v->n; i++) out[i] = (float)(-energy[i] / (double)v->n);
    return 0;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

typedef struct ranked {
    int64_t n_a, n_b;
    int32_t *a, *b; /* candidates at even and odd ranks of energy */
    int32_t *to;    /* [n_a] most similar b */
    float *cos;     /* [n_a] */
    int32_t *joins; /* [n] the candidate that a source becomes part of, else -1 */
} ranked;

/* The first `n` candidates by falling energy, dealt out by rank. */
static int deal(const pare__view *v, const float *protection_of, int64_t n, ranked *h)
{
    *h = (ranked){.a = PARE__ARENA(v->arena, int32_t, v->n),
                  .b = PARE__ARENA(v->arena, int32_t, v->n),
                  .to = PARE__ARENA(v->arena, int32_t, v->n),
                  .cos = PARE__ARENA(v->arena, float, v->n),
                  .joins = PARE__ARENA(v->arena, int32_t, v->n)};
    float *energy = PARE__ARENA(v->arena, float, v->n);
    int32_t *order = PARE__ARENA(v->arena, int32_t, v->n);
    if (!h->a || !h->b || !h->to || !h->cos || !h->joins || !energy || !order) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) {
        energy[i] = -protection_of[i];
        h->joins[i] = -1;
    }
    if (pare__argsort_desc(energy, v->n, order, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i += 2) h->a[h->n_a++] = order[i];
    for (int64_t i = 1; i < n; i += 2) h->b[h->n_b++] = order[i];
    return 0;
}

static int join(const pare__view *v, const float *key, int64_t d, int64_t r, ranked *h)
{
    int32_t *source = PARE__ARENA(v->arena, int32_t, r + 1);
    const float *a = pare__unit_rows(v, key, d, h->a, h->n_a), *b = pare__unit_rows(v, key, d, h->b, h->n_b);
    if (!source || !a || !b) return PARE_E_NOMEM;
    if (pare__match_best(v, a, h->n_a, b, h->n_b, d, h->to, h->cos)) return PARE_E_NOMEM;
    if (pare__topk(h->cos, h->n_a, r, source, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < r; i++) h->joins[h->a[source[i]]] = h->b[h->to[source[i]]];
    return 0;
}

static int emit(const pare__view *v, const ranked *h, pare__map *map)
{
    int32_t *group = PARE__ARENA(v->arena, int32_t, v->n), *anchor = PARE__ARENA(v->arena, int32_t, v->n);
    if (!group || !anchor) return PARE_E_NOMEM;
    int32_t rows = 0;
    for (int64_t i = 0; i < v->n; i++) {
        if (h->joins[i] >= 0) continue;
        anchor[rows] = (int32_t)i;
        group[i] = rows++;
    }
    for (int64_t i = 0; i < v->n; i++)
        if (h->joins[i] >= 0) group[i] = group[h->joins[i]];
    return pare__map_groups(map, group, anchor, rows, v->size);
}

static int run(const pitome *p, const pare__view *v, pare__map *map, pare_error *err)
{
    int32_t d = 0;
    ranked h;
    const float *key = pare__require(v, "pitome", PARE__ARRAY_K_MEAN, PARE__LAYER_HERE, &d, err);
    if (!key) return PARE_E_INVALID;
    const int64_t most = v->n / 2, wanted = v->n - pare__budget(v), r = wanted < most ? wanted : most;
    if (r == 0) return pare__map_identity(map, v->n);
    const float *unit = pare__unit_rows(v, key, d, NULL, v->n);
    int rc = unit ? protection(p, v, unit, d, v->score_out) : PARE_E_NOMEM;
    if (!rc) rc = deal(v, v->score_out, p->bsm ? v->n : 2 * r, &h);
    if (!rc) rc = join(v, key, d, r, &h);
    return rc ? rc : emit(v, &h, map);
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    const int rc = run(priv, v, map, err);
    pare__arena_reset(v->arena, mark);
    return rc;
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
    .least = least,
    .unbiased = unbiased,
};
