/* SPDX-License-Identifier: MIT */
/* What the caller's selector builds through the public pare_selection_* functions: a map of the view it was shown. */
#ifndef PARE_SELECT_SELECTION_H
#define PARE_SELECT_SELECTION_H

#include "core/map.h"

struct pare_selection {
    pare__map *map; /* begun with n columns */
    int64_t n;      /* rows of the view */
    float *score;   /* [n] for heatmaps and results, or NULL */
    int32_t open;   /* the current row was started by pare_selection_row and takes weights */
};

#endif
