/* SPDX-License-Identifier: MIT */
/* V-CAST's score: 1 - cosine to the mean of the frame, plus the token's length scaled to 0..1 within the frame. tokens
 * [n, d] -> [n]. */
#include "select/pick.h"
#include "select/score.h"
#include "select/vcast.h"

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    return pare__vcast_score(v, "vcast", out, err);
}

const pare__score pare__score_vcast = {
    .name = "vcast",
    .summary = "unlike the mean of the frame, and long",
    .cite = "V-CAST, arXiv 2603.27650; xinyouu/V-CAST compressor/v_cast/modeling_qwen3_vl_v_cast.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .needs = pare__need_tokens,
    .compute = compute,
};
