/* SPDX-License-Identifier: MIT */
/* Euclidean length of a token: the free baseline (high-norm outliers of large ViTs win it). tokens [n, d] -> [n]. */
#include <math.h>

#include "select/pick.h"
#include "select/score.h"

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    int32_t d = 0;
    const float *x = pare__require(v, "norm", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    for (int64_t i = 0; i < v->n; i++) out[i] = sqrtf(v->vec->dot(x + i * d, x + i * d, d));
    return 0;
}

const pare__score pare__score_norm = {
    .name = "norm",
    .summary = "Euclidean length of the token",
    .cite = "baseline; high-norm outliers: Darcet et al., Vision Transformers Need Registers, ICLR 2024",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .needs = pare__need_tokens,
    .compute = compute,
};
