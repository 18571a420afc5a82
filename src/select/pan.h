/* SPDX-License-Identifier: MIT */
/* How far the camera turned between a picture and what is known of the place: the shift by whole cells at which both differ
 * least. What moves alone is no turn of the camera: of 4 x 4 tiles, half must agree.
 *
 *     cost(dy, dx) = sum over every 3rd row of |now(y, x) - known(y + dy, x + dx)|, at most PARE__PAN_REACH cells away,
 *                    inside a margin of that width
 *
 * Full search after Koga et al., "Motion-compensated interframe coding for video conferencing", NTC 1981, with one block as
 * large as the picture. */
#ifndef PARE_SELECT_PAN_H
#define PARE_SELECT_PAN_H

#include <stdint.h>

enum { PARE__PAN_REACH = 8 };

/* Grey or one colour, rows [height, width]. 1 and where now(y, x) lies in `known`: (y + *dy, x + *dx); 0 (and 0, 0) if the
 * camera stands, if nothing tells, or if the picture has less than 4 * PARE__PAN_REACH cells a side. */
int pare__pan_find(const uint8_t *now, const uint8_t *known, int32_t height, int32_t width, int32_t *dy, int32_t *dx);

#endif
