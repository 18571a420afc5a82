/* SPDX-License-Identifier: MIT */
/* Every temporal step deserves the same. -> weight [n_frame] */
#include "select/allocator.h"

static int weigh(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    (void)priv, (void)err;
    for (int32_t s = 0; s < v->n_frame; s++) weight[s] = 1;
    return 0;
}

const pare__allocator pare__alloc_equal = {
    .name = "equal",
    .summary = "the same share for every frame",
    .cite = "baseline",
    .sites = PARE__SITE_FRAMES | PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .weigh = weigh,
};
