/* SPDX-License-Identifier: MIT */
/* Pixel kernels of pictures: shading, rectangles, text in a small bitmap font. Everything is clipped to the canvas. */
#ifndef PARE_VIEW_OVERLAY_H
#define PARE_VIEW_OVERLAY_H

#include <stdint.h>

typedef struct pare__canvas {
    uint8_t *rgb; /* [height, width, 3] dense */
    int32_t width, height;
} pare__canvas;

typedef struct pare__colour {
    uint8_t rgb[3];
} pare__colour;

/* How a pixel is changed; in 1/256: saturation and brightness that stay, opacity of the tint. */
typedef struct pare__look {
    int32_t saturation, light, alpha; /* 0..256 */
    pare__colour tint;
} pare__look;

/* Cells of a glyph at scale 1, gap included; ASCENT of the rows stand above the base line. */
enum { PARE__GLYPH_WIDTH = 6, PARE__GLYPH_HEIGHT = 9, PARE__GLYPH_ASCENT = 7 };

void pare__pixel_shade(uint8_t rgb[3], const pare__look *look);
/* a + (b - a) * alpha / 256 */
pare__colour pare__colour_mix(pare__colour a, pare__colour b, int32_t alpha);
/* Saturated and bright, a different one for (nearly) every key. */
pare__colour pare__colour_hash(uint32_t key);
void pare__rect_fill(const pare__canvas *c, int32_t x0, int32_t y0, int32_t x1, int32_t y1, pare__colour colour);
/* Top left corner at x, y; scale 1 or 2. Digits, . / ( ) % = - + and the letters of the font; others blank. */
void pare__text_draw(const pare__canvas *c, int32_t x, int32_t y, int32_t scale, pare__colour colour, const char *text);
int32_t pare__text_width(const char *text, int32_t scale);

#endif
