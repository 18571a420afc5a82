/* SPDX-License-Identifier: MIT */
/* How source pixels became the grid: the pure geometry behind boxes, heatmaps and preprocessing.
 *
 *     stored picture --rotation--> upright --resize--> resized --crop--> cropped (= grid * unit pixels)   */
#ifndef PARE_CORE_FIT_H
#define PARE_CORE_FIT_H

#include <stdint.h>

typedef struct pare__fit {
    int32_t src_width, src_height; /* upright */
    int32_t rotation;              /* degrees clockwise that made it upright */
    int32_t resized_width, resized_height;
    int32_t crop_x, crop_y; /* in resized pixels; negative where the picture was padded */
    int32_t width, height;  /* after the crop */
} pare__fit;

/* Rectangle x0,y0,x1,y1 of cropped pixels in pixels of the upright source, clipped to it. */
void pare__fit_upright(const pare__fit *fit, const float rect[4], float out[4]);
/* The same in pixels of the stored (unrotated) picture. */
void pare__fit_stored(const pare__fit *fit, const float rect[4], float out[4]);

#endif
