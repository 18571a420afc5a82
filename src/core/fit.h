/* SPDX-License-Identifier: MIT */
/* How source pixels became the grid: the pure geometry behind boxes, heatmaps and preprocessing.
 *
 *     stored picture --mirror, rotation--> upright --resize--> resized --crop--> cropped (= grid * unit pixels)
 *
 * A crop that starts before the picture or ends after it pads. A tile is a crop of the picture resized to all tiles. */
#ifndef PARE_CORE_FIT_H
#define PARE_CORE_FIT_H

#include <stdint.h>

#include <pare/pare.h>

typedef struct pare__fit {
    int32_t src_width, src_height; /* upright */
    int32_t rotation;              /* degrees clockwise that made it upright */
    int32_t resized_width, resized_height;
    int32_t crop_x, crop_y; /* in resized pixels; negative where the picture was padded */
    int32_t width, height;  /* after the crop */
    uint8_t pad[3];         /* colour where the picture was padded */
    int32_t mirrored;       /* left to right, before it was turned */
} pare__fit;

/* Replaces resize and crop by those that bring the whole picture inside fit->width x fit->height: aspect kept, rounded
 * to the nearest pixel (at least one), centred, the odd pixel of padding after it. src_width .. height must be set. */
void pare__fit_letterbox(pare__fit *fit);
/* The picture over rows x cols tiles, each as large as `whole` (the whole picture's own fit): stretched, or letterboxed.
 * Errors: INVALID (rows, cols), LIMIT. */
int pare__fit_canvas(const pare__fit *whole, int32_t rows, int32_t cols, int letterbox, pare__fit *canvas,
                     pare_error *err);
/* One tile of a canvas; tile = 1 .. rows * cols, row by row (as pare_slot.tile). */
void pare__fit_tile(const pare__fit *canvas, int32_t rows, int32_t cols, int32_t tile, pare__fit *out);

/* Rectangle x0,y0,x1,y1 of cropped pixels in pixels of the upright source, clipped to it: empty (x0 = x1 or y0 = y1)
 * where there is only padding. */
void pare__fit_upright(const pare__fit *fit, const float rect[4], float out[4]);
/* The same in pixels of the stored (unrotated) picture. */
void pare__fit_stored(const pare__fit *fit, const float rect[4], float out[4]);
/* The rectangle holds no pixel of the picture. */
int pare__fit_is_padding(const pare__fit *fit, const float rect[4]);

#endif
