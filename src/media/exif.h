/* SPDX-License-Identifier: MIT */
/* The EXIF orientation of a still, and a picture turned by it. */
#ifndef PARE_MEDIA_EXIF_H
#define PARE_MEDIA_EXIF_H

#include <stdint.h>
#include <stdio.h>

/* What makes the stored picture upright: mirrored left to right first, then turned clockwise. */
typedef struct pare__turn {
    int32_t mirrored; /* 0 or 1 */
    int32_t rotation; /* 0, 90, 180 or 270 degrees */
} pare__turn;

/* Of a TIFF structure [n]; none if there is no orientation in it, or none of 1 .. 8. */
pare__turn pare__exif_parse(const uint8_t *tiff, size_t n);
/* Of a JPEG (APP1) or PNG (eXIf); none for anything else. Leaves the file at its beginning. */
pare__turn pare__exif_read(FILE *f);

/* rgb [height, width, 3], rows `stride` bytes apart -> out, dense, [width, height, 3] for quarter turns. */
void pare__turn_pixels(const uint8_t *rgb, int64_t stride, int32_t width, int32_t height, pare__turn turn,
                       uint8_t *out);

#endif
