/* SPDX-License-Identifier: MIT */
/* The K tokens with the highest score, ties to the lower index, in raster order. score= names the score. */
#include "select/pick.h"
#include "select/selector.h"

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv;
    if (!pare__require_score(v, "topk", err)) return PARE_E_INVALID;
    return pare__keep_best(v, v->score, map);
}

const pare__selector pare__sel_topk = {
    .name = "topk",
    .summary = "the tokens with the highest score (score=cls-attn unless given)",
    .cite = "Haurum et al., Which Tokens to Use?, ICCVW 2023; JoakimHaurum/TokenReduction",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__USES_SCORE,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_OUTPUT,
    .select = select_rows,
};
