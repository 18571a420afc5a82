/* SPDX-License-Identifier: MIT */
/* A running picture of what stays: an approximate median of every cell of 2 x 2 pixels that creeps after the frames, and
 * how much the cell usually strays from it. What differs by far more moves. Causal, one pass, no memory of frames.
 *
 *     x [cells]  frame; the mean first follows its light: per colour, by the median over the cells of x - mean
 *     z [cells]  mean |x - mean| over the colours / (usual + 4), at most 10
 *     mean       goes after x by at most one level a frame
 *     usual      running mean of |x - mean|, outliers cut; both at 1/16 of that pace where z > 4, once 20
 *                frames were seen
 *     camera     where it turned (pan.h), mean and usual are moved by whole cells first; what comes into view is taken over
 *                as it is. For 32 pictures thereafter x - mean counts from the nearest value that the mean takes within
 *                3 x 3 cells, and the mean goes by up to 4 levels
 *     unit       mean z of its cells; then 1, of the units above and below 0.4, left and right 0.2 (sum 1)
 *
 * The median after McFarlane and Schofield, "Segmentation and tracking of piglets in images", Machine Vision and
 * Applications 8 (1995). */
#ifndef PARE_SELECT_BACKGROUND_H
#define PARE_SELECT_BACKGROUND_H

#include "select/view.h"

#define PARE__BACKGROUND_MOST 10.0f /* largest score */

/* Lies in memory of the caller's, pare__background_size() bytes, all zero at a clip's start. */
typedef struct pare__background {
    int64_t n_seen;       /* pictures */
    int32_t width, cells; /* cells of a row, of a picture */
    int32_t restless;     /* pictures for which the camera still counts as moving */
    int32_t side;         /* pixels per cell side: 2, or 1 where a unit has an odd number of pixels */
    float *mean[3];       /* [cells] red, green, blue */
    float *usual;         /* [cells] */
} pare__background;

/* Bytes for pictures of the view's grid; a multiple of 64. */
size_t pare__background_size(const pare__view *v);
/* Finds the parts of `memory` (again). */
pare__background *pare__background_at(void *memory, const pare__view *v);
/* Takes in the next picture of the view's grid, dense RGB; score [grid_h * grid_w] 0..PARE__BACKGROUND_MOST, higher = it
 * moves; all 0 for the first picture. Scratch from view->arena. 0 or PARE_E_NOMEM. */
int pare__background_take(pare__background *b, const pare__view *v, const uint8_t *rgb, float *score);

#endif
