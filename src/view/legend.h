/* SPDX-License-Identifier: MIT */
/* The strip below a heatmap: how much was kept, when, and what the colours mean. */
#ifndef PARE_VIEW_LEGEND_H
#define PARE_VIEW_LEGEND_H

#include "view/overlay.h"
#include "view/palette.h"

/* A colour, its name and how many units have it. */
typedef struct pare__share {
    pare__colour colour;
    const char *name;
    int64_t n;
} pare__share;

typedef struct pare__legend {
    int64_t n_kept, n;            /* units of the step */
    double keep;                  /* share kept */
    double pts;                   /* seconds */
    double low, high;             /* scores at the ends of the palette */
    const pare__palette *palette; /* NULL: no scores, no bar */
    const pare__share *share;     /* [n_share] instead of all but the time, or NULL */
    int32_t n_share;
} pare__legend;

/* Fills the whole canvas. Narrow strips lose the bar first, then words. */
void pare__legend_draw(const pare__canvas *c, const pare__legend *legend);

#endif
