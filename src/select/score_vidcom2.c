/* SPDX-License-Identifier: MIT */
/* VidCom2's score: -(likeness to the centre of the clip + likeness to the centre of the frame). It looks at the whole
 * window. tokens [n, d] -> [n]. */
#include "select/pick.h"
#include "select/score.h"
#include "select/selector.h"
#include "select/vidcom2.h"

static const pare__option options[] = {
    PARE__VIDCOM2_ALPHAS,
    {0},
};

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    pare__vidcom2 m;
    const int rc = pare__vidcom2_measure(v, priv, &m, err);
    for (int64_t i = 0; !rc && i < v->n; i++) out[i] = (float)-(m.video[i] + m.frame[i]);
    return rc;
}

const pare__score pare__score_vidcom2 = {
    .name = "vidcom2",
    .summary = "unlike the centre of the clip and that of the frame",
    .cite = "Liu et al., VidCom2, EMNLP 2025; xuyang-liu16/VidCom2 token_compressor/vidcom2/vidcom2.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW,
    .options = options,
    .priv_size = sizeof(pare__vidcom2_rule),
    .needs = pare__need_tokens,
    .compute = compute,
};
