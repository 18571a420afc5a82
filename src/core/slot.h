/* SPDX-License-Identifier: MIT */
/* Slots: the grids of a window. Rows of a window are sorted by (slot, row, col). */
#ifndef PARE_CORE_SLOT_H
#define PARE_CORE_SLOT_H

#include <pare/pare.h>

/* Where a tile starts in the grid of all tiles of its picture, in units; 0, 0 for the whole picture. */
static inline void pare__slot_origin(const pare_slot *s, int32_t *row, int32_t *col)
{
    *row = s->tile ? (s->tile - 1) / s->tile_cols * s->grid_h : 0;
    *col = s->tile ? (s->tile - 1) % s->tile_cols * s->grid_w : 0;
}

#endif
