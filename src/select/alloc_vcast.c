/* SPDX-License-Identifier: MIT */
/* V-CAST's weights: softmax of how sharply the path of frame means turns. Rate control makes exact counts of them, with
 * its own floor. tokens [n, d] -> weight [n_frame]. */
#include "select/allocator.h"
#include "select/pick.h"
#include "select/vcast.h"

typedef struct vcast {
    double temperature;
} vcast;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(vcast, temperature, "of the softmax over frames: the lower, the more the sharpest turns take",
                       PARE__VCAST_TEMPERATURE, 1e-2, 100),
    {0},
};

static int weigh(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    return pare__vcast_weigh(v, ((const vcast *)priv)->temperature, "vcast", NULL, weight, err);
}

const pare__allocator pare__alloc_vcast = {
    .name = "vcast",
    .summary = "more where the path of the frames' means turns sharply",
    .cite = "V-CAST, arXiv 2603.27650; xinyouu/V-CAST compressor/v_cast/modeling_qwen3_vl_v_cast.py",
    .sites = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(vcast),
    .needs = pare__need_tokens,
    .weigh = weigh,
};
