/* SPDX-License-Identifier: MIT */
/* Pictures of a map: kept / dropped / merged units and their scores over the real frame. */
#ifndef PARE_VIEW_HEATMAP_H
#define PARE_VIEW_HEATMAP_H

#include <pare/pare.h>

#include "core/fit.h"

/* What a heatmap needs of one temporal step. */
typedef struct pare__heat {
    int32_t grid_h, grid_w; /* units */
    int32_t unit_px;        /* pixels of a unit side after the fit */
    const pare__fit *fit;
    const int32_t *owner; /* [grid_h * grid_w] row of the unit's token, -1 = dropped */
    const uint8_t *kept;  /* [grid_h * grid_w] 1 = the unit is an anchor at this step */
    const float *score;   /* [grid_h * grid_w] or NULL; NaN = none */
    const float *size;    /* [rows] patches per token, indexed by owner */
    double keep;          /* share kept of this step, for the legend */
    const uint8_t *other; /* [grid_h * grid_w] as `kept`, of what it is compared with, or NULL */
} pare__heat;

int pare__heatmap_draw(const pare__heat *heat, const pare_frame *frame, const pare_heatmap_opts *opts, uint8_t *rgb,
                       pare_error *err);

#endif
