/* SPDX-License-Identifier: MIT */
/* Cheap statistics of one picture at grid size, before anything is encoded: how much it changed, how much fine detail it
 * has, whether a scene begins. One pass over the pixels; what rate control, plans and the quality floor share. */
#ifndef PARE_REDUCE_PULSE_H
#define PARE_REDUCE_PULSE_H

#include <stdint.h>

#include "core/vec.h"

typedef struct pare__pulse {
    float change;       /* mean |difference| to the picture before, 0..255; -1 = there is none */
    float detail;       /* share of units with fine detail (text; strokes and texture a few pixels apart), 0..1 */
    int64_t n_detailed; /* units with fine detail */
    int32_t is_cut; /* a scene begins: much of the picture is new, far beyond what the pictures before changed; 0 for
                         * the first, which has none before it */
} pare__pulse;

/* What is remembered from picture to picture; zero at a clip's start. */
typedef struct pare__pulse_past {
    float usual; /* running mean of `change` since the last cut */
    int64_t n;   /* pictures it is made of */
} pare__pulse_past;

/* `rgb`, `before` [grid_h * patch, grid_w * patch, 3] dense; before may be NULL. unit_change [grid_h * grid_w] mean
 * |difference| of every unit, 0..255 (-1 without `before`), or NULL. About 0.2 ms for 768 units of 14 x 14 pixels. */
void pare__pulse_take(const pare__vec *vec, const uint8_t *rgb, const uint8_t *before, int32_t grid_h, int32_t grid_w,
                      int32_t patch, pare__pulse_past *past, float *unit_change, pare__pulse *out);

#endif
