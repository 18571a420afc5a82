/* SPDX-License-Identifier: MIT */
/* Pixel kernels: 8-bit fixed point in the picture's own (gamma) space. The font is drawn for this project. */
#include "view/overlay.h"

#include <stddef.h>
#include <string.h>

typedef struct glyph {
    char letter;
    uint8_t row[PARE__GLYPH_HEIGHT]; /* 5 columns, the leftmost in bit 4 */
} glyph;

enum { COLUMNS = 5, ONE = 256 };

/* clang-format off */
static const glyph font[] = {
    {'0', {0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}}, {'1', {0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E}},
    {'2', {0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F}}, {'3', {0x0E, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0E}},
    {'4', {0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02}}, {'5', {0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E}},
    {'6', {0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E}}, {'7', {0x1F, 0x01, 0x02, 0x04, 0x04, 0x08, 0x08}},
    {'8', {0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E}}, {'9', {0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x0C}}, {'/', {0x01, 0x02, 0x02, 0x04, 0x08, 0x08, 0x10}},
    {'(', {0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02}}, {')', {0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08}},
    {'%', {0x18, 0x19, 0x02, 0x04, 0x08, 0x13, 0x03}}, {'=', {0x00, 0x00, 0x1F, 0x00, 0x1F, 0x00, 0x00}},
    {'-', {0x00, 0x00, 0x00, 0x1F, 0x00, 0x00, 0x00}}, {'+', {0x00, 0x04, 0x04, 0x1F, 0x04, 0x04, 0x00}},
    {'A', {0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}}, {'B', {0x1E, 0x11, 0x11, 0x1E, 0x11, 0x11, 0x1E}},
    {'b', {0x10, 0x10, 0x1E, 0x11, 0x11, 0x11, 0x1E}}, {'h', {0x10, 0x10, 0x1E, 0x11, 0x11, 0x11, 0x11}},
    {'i', {0x04, 0x00, 0x0C, 0x04, 0x04, 0x04, 0x0E}}, {'l', {0x0C, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E}},
    {'n', {0x00, 0x00, 0x1E, 0x11, 0x11, 0x11, 0x11}}, {'o', {0x00, 0x00, 0x0E, 0x11, 0x11, 0x11, 0x0E}},
    {'r', {0x00, 0x00, 0x16, 0x19, 0x10, 0x10, 0x10}}, {'y', {0x00, 0x00, 0x11, 0x11, 0x11, 0x11, 0x0F, 0x01, 0x0E}},
    {'d', {0x01, 0x01, 0x0F, 0x11, 0x11, 0x11, 0x0F}}, {'e', {0x00, 0x00, 0x0E, 0x11, 0x1F, 0x10, 0x0E}},
    {'k', {0x10, 0x10, 0x12, 0x14, 0x18, 0x14, 0x12}}, {'p', {0x00, 0x00, 0x1E, 0x11, 0x11, 0x11, 0x1E, 0x10, 0x10}},
    {'s', {0x00, 0x00, 0x0F, 0x10, 0x0E, 0x01, 0x1E}}, {'t', {0x08, 0x08, 0x1C, 0x08, 0x08, 0x08, 0x06}},
};
/* clang-format on */

static uint8_t mix(int32_t a, int32_t b, int32_t alpha) { return (uint8_t)(a + (b - a) * alpha / ONE); }

void pare__pixel_shade(uint8_t rgb[3], const pare__look *look)
{
    const int32_t luma = (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2]) / ONE;
    for (int i = 0; i < 3; i++) {
        const int32_t value = mix(luma, rgb[i], look->saturation) * look->light / ONE;
        rgb[i] = mix(value, look->tint.rgb[i], look->alpha);
    }
}

pare__colour pare__colour_mix(pare__colour a, pare__colour b, int32_t alpha)
{
    pare__colour out;
    for (int i = 0; i < 3; i++) out.rgb[i] = mix(a.rgb[i], b.rgb[i], alpha);
    return out;
}

/* A hue from the golden ratio, so that neighbouring keys are far apart on the circle; saturation 0.7, value 1. */
pare__colour pare__colour_hash(uint32_t key)
{
    const uint32_t hue = (uint32_t)(((uint64_t)(key * 2654435769U) * (6 * ONE)) >> 32); /* 0 .. 6 * 256 */
    const int32_t low = 77, sector = (int32_t)(hue / ONE), part = (int32_t)(hue % ONE);
    const uint8_t up = mix(low, 255, part), down = mix(255, low, part);
    const uint8_t table[6][3] = {{255, up, low},   {down, 255, low}, {low, 255, up},
                                 {low, down, 255}, {up, low, 255},   {255, low, down}};
    pare__colour out;
    memcpy(out.rgb, table[sector], sizeof out.rgb);
    return out;
}

void pare__rect_fill(const pare__canvas *c, int32_t x0, int32_t y0, int32_t x1, int32_t y1, pare__colour colour)
{
    for (int32_t y = y0 < 0 ? 0 : y0; y < y1 && y < c->height; y++)
        for (int32_t x = x0 < 0 ? 0 : x0; x < x1 && x < c->width; x++)
            memcpy(c->rgb + ((int64_t)y * c->width + x) * 3, colour.rgb, 3);
}

static int is_set(const glyph *g, int32_t x, int32_t y)
{
    return x >= 0 && x < COLUMNS && y >= 0 && y < PARE__GLYPH_HEIGHT && (g->row[y] >> (COLUMNS - 1 - x) & 1);
}

/* Doubling that rounds diagonals: a quarter takes the value of its two outer neighbours where these agree and the
 * opposite ones do not (Andrea Mazzoleni, Scale2x, 2001). */
static int is_set_twice(const glyph *g, int32_t x, int32_t y)
{
    const int32_t cx = x / 2, cy = y / 2, dx = x % 2 ? 1 : -1, dy = y % 2 ? 1 : -1;
    const int beside = is_set(g, cx + dx, cy), above = is_set(g, cx, cy + dy);
    const int rounds = beside == above && beside != is_set(g, cx, cy - dy) && above != is_set(g, cx - dx, cy);
    return rounds ? beside : is_set(g, cx, cy);
}

static void draw_glyph(const pare__canvas *c, int32_t x0, int32_t y0, int32_t scale, pare__colour colour,
                       const glyph *g)
{
    for (int32_t y = 0; y < PARE__GLYPH_HEIGHT * scale; y++)
        for (int32_t x = 0; x < COLUMNS * scale; x++)
            if (scale == 1 ? is_set(g, x, y) : is_set_twice(g, x, y))
                pare__rect_fill(c, x0 + x, y0 + y, x0 + x + 1, y0 + y + 1, colour);
}

void pare__text_draw(const pare__canvas *c, int32_t x, int32_t y, int32_t scale, pare__colour colour, const char *text)
{
    for (; *text != '\0'; text++, x += PARE__GLYPH_WIDTH * scale)
        for (size_t i = 0; i < sizeof font / sizeof font[0]; i++)
            if (font[i].letter == *text) draw_glyph(c, x, y, scale, colour, &font[i]);
}

int32_t pare__text_width(const char *text, int32_t scale)
{
    return (int32_t)strlen(text) * PARE__GLYPH_WIDTH * scale - scale;
}
