/* SPDX-License-Identifier: MIT */
/* Every token counts the same. -> 1 [n] */
#include "select/score.h"

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv, (void)err;
    for (int64_t i = 0; i < v->n; i++) out[i] = 1;
    return 0;
}

const pare__score pare__score_uniform = {
    .name = "uniform",
    .summary = "the same for every token",
    .cite = "baseline",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .compute = compute,
};
