/* SPDX-License-Identifier: MIT */
/* Random drop without replacement, exact K per frame, in raster order: the baseline that many methods fail to beat.
 * Every place draws its own number from (seed, step of the clip, place). */
#include "select/pick.h"
#include "select/selector.h"

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv, (void)err;
    float *draw = PARE__ARENA(v->arena, float, v->n);
    if (!draw) return PARE_E_NOMEM;
    pare__noise(v, draw);
    return pare__keep_best(v, draw, map);
}

const pare__selector pare__sel_random = {
    .name = "random",
    .summary = "random tokens, seeded per frame",
    .cite = "baseline; timm layers/patch_dropout.py",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__RANDOM,
    .default_site = PARE__SITE_PATCHES,
    .select = select_rows,
};
