/* SPDX-License-Identifier: MIT */
/* CDPruner: greedy MAP of a determinantal point process over r_i r_j cos(i, j), r = the step's score (relevance; `uniform`
 * makes it pure diversity, `text` is the original's). The diagonal is exactly r^2, so with r = 1 the first pick is row 0
 * (the original's is whichever cos(x, x) rounds highest). Past the rank of the kernel, where the original picks rounding
 * noise, the process starts afresh on the rows that remain. tokens [n, d]; score: 1 for the first pick down to 1/k. */
#include <math.h>

#include "select/greedy.h"
#include "select/pick.h"
#include "select/selector.h"

#define MOST_RELEVANT 1e15 /* its square is far from overflow */

typedef struct cdpruner {
    double theta;
} cdpruner;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(
        cdpruner, theta,
        "weight of relevance against diversity: r becomes exp(theta / (2 (1 - theta)) r); 0 = r as it is", 0, 0, 0.99),
    {0},
};

static double *relevance(const cdpruner *p, const pare__view *v)
{
    double *r = PARE__ARENA(v->arena, double, v->n);
    const double factor = p->theta / (2 * (1 - p->theta));
    for (int64_t i = 0; r && i < v->n; i++) {
        const double given = v->score ? (double)v->score[i] : 1;
        r[i] = given > 0 ? given : 0;
        if (p->theta > 0) r[i] = exp(factor * r[i]);
        if (r[i] > MOST_RELEVANT) r[i] = MOST_RELEVANT;
    }
    return r;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const cdpruner *p = priv;
    int32_t d = 0;
    const float *x = pare__require(v, "cdpruner", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    const int64_t k = pare__budget(v);
    const double *r = relevance(p, v);
    int32_t *order = PARE__ARENA(v->arena, int32_t, k);
    pare__similar s;
    if (!r || !order || pare__similar_init(&s, v, x, d) || pare__greedy_volume(&s, r, k, order, NULL))
        return PARE_E_NOMEM;
    return pare__keep_order(v, order, k, map);
}

const pare__selector pare__sel_cdpruner = {
    .name = "cdpruner",
    .summary = "relevant and diverse tokens: greedy determinantal point process; score=text conditions it",
    .cite = "Zhang et al., CDPruner, NeurIPS 2025, arXiv 2506.10967; Theia-4869/CDPruner llava/model/llava_arch.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__USES_SCORE,
    .default_score = "uniform",
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(cdpruner),
    .needs = pare__need_tokens,
    .select = select_rows,
};
