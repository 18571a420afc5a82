/* SPDX-License-Identifier: MIT */
/* The caller's own score of every token. view->given -> [n] */
#include <string.h>

#include "select/score.h"

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_GIVEN, PARE__LAYER_HERE};
    return 1;
}

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    if (!v->given) return pare_fail(err, PARE_E_INVALID, "score 'given' needs the caller's scores, which nobody gave");
    memcpy(out, v->given, (size_t)v->n * sizeof *out);
    return 0;
}

const pare__score pare__score_given = {
    .name = "given",
    .summary = "the caller's own scores",
    .cite = "ours; `scores` among the arrays, or --scores",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .needs = needs,
    .compute = compute,
};
