/* SPDX-License-Identifier: MIT */
/* SCOPE: facility location with saliency. Gain of a token: what it would add to the sum over all tokens of the largest
 * cosine with a kept one (from 0 on), times saliency^alpha, or plus it. Saliency = the step's score, negative counts as
 * 0. The original sums attention over heads, ours is their mean: with combine=add, scale= the number of heads gives its
 * numbers; the product does not care. tokens [n, d]; score: 1 for the first pick down to 1/k. */
#include <math.h>

#include "select/greedy.h"
#include "select/pick.h"
#include "select/selector.h"

enum { MULTI, ADD };

typedef struct scope {
    double alpha, scale;
    int32_t combine;
} scope;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(scope, alpha, "exponent of the saliency; 0 = coverage alone", 1, 0, 16),
    PARE__OPTION_CHOICE(scope, combine, "coverage times saliency, or plus it", "multi|add", MULTI),
    PARE__OPTION_FLOAT(scope, scale, "factor of the saliency", 1, 0, 1e6),
    {0},
};

static double *saliency(const scope *p, const pare__view *v)
{
    double *w = PARE__ARENA(v->arena, double, v->n);
    for (int64_t i = 0; w && i < v->n; i++) w[i] = pow(v->score[i] > 0 ? p->scale * (double)v->score[i] : 0, p->alpha);
    return w;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const scope *p = priv;
    int32_t d = 0;
    if (!pare__require_score(v, "scope", err)) return PARE_E_INVALID;
    const float *x = pare__require(v, "scope", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    const int64_t k = pare__budget(v);
    const pare__cover how = {.weight = saliency(p, v), .add = p->combine == ADD};
    int32_t *order = PARE__ARENA(v->arena, int32_t, k);
    pare__similar s;
    if (!how.weight || !order || pare__similar_init(&s, v, x, d) || pare__greedy_cover(&s, &how, k, order, NULL))
        return PARE_E_NOMEM;
    return pare__keep_order(v, order, k, map);
}

const pare__selector pare__sel_scope = {
    .name = "scope",
    .summary = "tokens that cover all others, the salient ones first: facility location",
    .cite = "Deng et al., SCOPE, NeurIPS 2025, arXiv 2510.24214; kinredon/SCOPE scope/clip_encoder.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__USES_SCORE,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(scope),
    .needs = pare__need_tokens,
    .select = select_rows,
};
