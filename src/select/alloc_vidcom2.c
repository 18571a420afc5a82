/* SPDX-License-Identifier: MIT */
/* VidCom2's shares: 1 + p - mean p, p = softmax of how far a frame stands out of the window. Rate control makes exact
 * counts of them. tokens [n, d] -> weight [n_frame]. */
#include "select/allocator.h"
#include "select/pick.h"
#include "select/vidcom2.h"

static const pare__option options[] = {
    PARE__VIDCOM2_TEMPERATURE,
    PARE__VIDCOM2_ALPHAS,
    {0},
};

static int weigh(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    pare__vidcom2 m;
    int rc = pare__vidcom2_measure(v, priv, &m, err);
    if (!rc) rc = pare__vidcom2_share(v, priv, &m);
    for (int32_t t = 0; !rc && t < v->n_frame; t++) weight[t] = m.share[t];
    return rc;
}

const pare__allocator pare__alloc_vidcom2 = {
    .name = "vidcom2",
    .summary = "more for the frames that stand out of the clip",
    .cite = "Liu et al., VidCom2, EMNLP 2025; xuyang-liu16/VidCom2 token_compressor/vidcom2/vidcom2.py",
    .sites = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(pare__vidcom2_rule),
    .needs = pare__need_tokens,
    .weigh = weigh,
};
