/* SPDX-License-Identifier: MIT */
/* VidCom2's shares: 1 + p - mean p, p = softmax of how far a frame stands out of the window. Rate control makes exact
 * counts of them. tokens [n, d] -> weight [n_frame]. */
#include "select/allocator.h"
#include "select/pick.h"
#include "select/vidcom2.h"

typedef struct vidcom2 {
    double temperature;
} vidcom2;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(vidcom2, temperature, "of the softmax over frames: the lower, the more one frame takes",
                       PARE__VIDCOM2_TEMPERATURE, 1e-4, 100),
    {0},
};

static int weigh(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    pare__vidcom2 m;
    const int rc = pare__vidcom2_run(v, ((const vidcom2 *)priv)->temperature, "vidcom2", &m, err);
    for (int32_t t = 0; !rc && t < v->n_frame; t++) weight[t] = m.share[t];
    return rc;
}

const pare__allocator pare__alloc_vidcom2 = {
    .name = "vidcom2",
    .summary = "more for the frames that stand out of the clip",
    .cite = "Liu et al., VidCom2, EMNLP 2025; xuyang-liu16/VidCom2 token_compressor/vidcom2/vidcom2.py",
    .sites = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(vidcom2),
    .needs = pare__need_tokens,
    .weigh = weigh,
};
