/* SPDX-License-Identifier: MIT */
/* A random number for every place, from (seed, step of the clip, place) alone. -> [n] */
#include "select/pick.h"
#include "select/score.h"

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv, (void)err;
    pare__noise(v, out);
    return 0;
}

const pare__score pare__score_random = {
    .name = "random",
    .summary = "a random number for every place, seeded per frame",
    .cite = "baseline; timm layers/patch_dropout.py",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .compute = compute,
};
