/* SPDX-License-Identifier: MIT */
/* DivPrune: the k tokens whose smallest distance (1 - cosine) to one another is greedily largest. The first is the one
 * whose nearest neighbour is farthest. Rows that equal one already picked come last (the original, which does not mask
 * what it picked, can return one row several times). tokens [n, d]; score: 1 for the first pick down to 1/k. */
#include "select/greedy.h"
#include "select/pick.h"
#include "select/selector.h"

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv;
    int32_t d = 0;
    const float *x = pare__require(v, "divprune", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    const int64_t k = pare__budget(v);
    int32_t *order = PARE__ARENA(v->arena, int32_t, k);
    pare__similar s;
    if (!order || pare__similar_init(&s, v, x, d) || pare__greedy_maxmin(&s, k, order, NULL)) return PARE_E_NOMEM;
    return pare__keep_order(v, order, k, map);
}

const pare__selector pare__sel_divprune = {
    .name = "divprune",
    .summary = "the most diverse tokens: greedy max-min distance",
    .cite = "Alvar et al., DivPrune, CVPR 2025, arXiv 2503.02175; vbdi/divprune LLaVA/llava/model/llava_arch.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_OUTPUT,
    .needs = pare__need_tokens,
    .select = select_rows,
};
