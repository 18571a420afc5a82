/* SPDX-License-Identifier: MIT */
/* Pages: a grid of fields, some of which hold a number and the others small print. Random numbers by splitmix64 (Steele,
 * Lea, Flood 2014). Ink has soft edges: a pixel's darkness is the share of its 4 x 4 samples that lie on ink. */
#include "page.h"

#include <stdlib.h>
#include <string.h>

enum {
    PHASES = 4, /* steps per unit in which numbers are moved about */
    FONT_COLUMNS = 5,
    FONT_ROWS = 7,
    SAMPLES = 4,      /* per pixel side */
    FIXED = 256,      /* positions within the font: 1/256 of a cell */
    PAPER = 242,      /* brightness */
    RULE = 168,       /* of ruled lines */
    NOISE = 9,        /* largest departure of the paper's grain */
    GROUND = 112,     /* of pages to be counted */
    GROUND_NOISE = 32 /* their largest departure */
};

/* Drawn for this project; the leftmost column in bit 4. */
static const uint8_t font[10][FONT_ROWS] = {
    {0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E}, {0x04, 0x0C, 0x14, 0x04, 0x04, 0x04, 0x1F},
    {0x0E, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1F}, {0x1F, 0x02, 0x04, 0x06, 0x01, 0x11, 0x0E},
    {0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02}, {0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E},
    {0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E}, {0x1F, 0x01, 0x02, 0x02, 0x04, 0x04, 0x04},
    {0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E}, {0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C},
};

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* lo .. hi, both included. */
static int32_t between(uint64_t *state, int32_t lo, int32_t hi)
{
    return lo + (int32_t)(next(state) % (uint64_t)(hi - lo + 1));
}

/* ---- ink ------------------------------------------------------------------------------------------------------ */

/* Mixes the pixel with `level` by share / all. */
static void ink(bench_page *p, int32_t x, int32_t y, int32_t level, int32_t share, int32_t all)
{
    if (x < 0 || y < 0 || x >= p->width || y >= p->height) return;
    uint8_t *px = p->rgb + 3 * ((int64_t)y * p->width + x);
    for (int i = 0; i < 3; i++) px[i] = (uint8_t)((px[i] * (all - share) + level * share) / all);
}

static void fill(bench_page *p, int32_t x0, int32_t y0, int32_t x1, int32_t y1, int32_t level)
{
    for (int32_t y = y0; y < y1; y++)
        for (int32_t x = x0; x < x1; x++) ink(p, x, y, level, 1, 1);
}

static int is_ink(int32_t digit, int32_t x, int32_t y)
{
    return font[digit][y / FIXED] >> (FONT_COLUMNS - 1 - x / FIXED) & 1;
}

/* Digit of w x h pixels with its upper left corner at (x0, y0). */
static void draw_digit(bench_page *p, int32_t digit, int32_t x0, int32_t y0, int32_t w, int32_t h, int32_t level)
{
    for (int32_t y = 0; y < h * SAMPLES; y += SAMPLES)
        for (int32_t x = 0; x < w * SAMPLES; x += SAMPLES) {
            int32_t share = 0;
            for (int32_t i = 0; i < SAMPLES * SAMPLES; i++)
                share += is_ink(digit, (x + i % SAMPLES) * FONT_COLUMNS * FIXED / (w * SAMPLES),
                                (y + i / SAMPLES) * FONT_ROWS * FIXED / (h * SAMPLES));
            ink(p, x0 + x / SAMPLES, y0 + y / SAMPLES, level, share, SAMPLES * SAMPLES);
        }
}

/* ---- forms ---------------------------------------------------------------------------------------------------- */

/* A field holds four digits, 3/2 units from one to the next, and a unit of room to be moved about. */
static int32_t field_width(int32_t unit) { return unit * 15 / 2; }
static int32_t field_height(int32_t unit) { return unit * 3; }
static int32_t field_columns(int32_t width, int32_t unit) { return width / field_width(unit); }
static int32_t field_rows(int32_t height, int32_t unit) { return height / field_height(unit); }

int32_t bench_page_fields(int32_t width, int32_t height, int32_t unit)
{
    return field_columns(width, unit) * field_rows(height, unit);
}

static void draw_paper(bench_page *p, uint64_t *state, int32_t level, int32_t noise)
{
    for (int64_t i = 0; i < (int64_t)p->width * p->height; i++)
        memset(p->rgb + 3 * i, level + between(state, -noise, noise), 3);
}

/* Four digits two units tall; tone and place vary, the place by quarters of a unit. */
static void draw_number(bench_page *p, int32_t x, int32_t y, bench_number *out, uint64_t *state)
{
    const int32_t h = p->unit * 2, step = p->unit * 3 / 2, w = step - p->unit / 5, level = between(state, 20, 50);
    x += between(state, 1, PHASES) * p->unit / PHASES;
    y += between(state, 1, PHASES - 1) * p->unit / PHASES;
    for (int i = 0; i < BENCH_NUMBER_DIGITS; i++, x += step) {
        out->digit[i] = between(state, 0, 9);
        out->box[i] = (bench_box){(float)x, (float)y, (float)(x + w), (float)(y + h)};
        draw_digit(p, out->digit[i], x, y, w, h, level);
    }
}

/* Lines of words of strokes, too small to be read. */
static void draw_print(bench_page *p, int32_t x0, int32_t y0, uint64_t *state)
{
    const int32_t size = p->unit / 2 > 4 ? p->unit / 2 : 4, end = x0 + field_width(p->unit) - size;
    const int32_t level = between(state, 70, 130);
    for (int32_t y = y0 + size / 2; y + size < y0 + field_height(p->unit); y += size * 2) {
        const int32_t stop = between(state, x0 + (end - x0) / 2, end);
        for (int32_t x = x0 + size; x < stop; x += size) {
            if (between(state, 0, 4) == 0) continue;
            for (int32_t stroke = 0; stroke < 2; stroke++) {
                const int32_t at = between(state, 0, size - 3);
                if (next(state) & 1)
                    fill(p, x + at, y, x + at + 1, y + size, level);
                else
                    fill(p, x, y + at, x + size - 2, y + at + 1, level);
            }
        }
    }
}

static int open_page(bench_page *p, int32_t width, int32_t height, int32_t unit)
{
    *p = (bench_page){.width = width, .height = height, .unit = unit};
    p->rgb = malloc((size_t)width * (size_t)height * 3);
    return p->rgb != NULL ? 0 : -1;
}

int bench_page_form(bench_page *p, int32_t width, int32_t height, int32_t unit, uint64_t seed)
{
    const int32_t columns = field_columns(width, unit), n = bench_page_fields(width, height, unit);
    const int32_t x0 = (width - columns * field_width(unit)) / 2,
                  y0 = (height - field_rows(height, unit) * field_height(unit)) / 2;
    uint64_t state = seed;
    if (open_page(p, width, height, unit) != 0) return -1;
    draw_paper(p, &state, PAPER, NOISE);
    int32_t left = n < BENCH_PAGE_NUMBERS ? n : BENCH_PAGE_NUMBERS;
    for (int32_t i = 0; i < n; i++) {
        const int32_t x = x0 + i % columns * field_width(unit), y = y0 + i / columns * field_height(unit);
        fill(p, x + 2, y + field_height(unit) - 2, x + field_width(unit) - 2, y + field_height(unit) - 1, RULE);
        if (between(&state, 1, n - i) > left) {
            draw_print(p, x, y, &state);
            continue;
        }
        draw_number(p, x, y, &p->number[p->n_number++], &state);
        left--;
    }
    return 0;
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

/* A disc or a square in the cell at (x, y) of `cell` pixels a side. */
static void draw_object(bench_page *p, int32_t x, int32_t y, int32_t cell, uint64_t *state)
{
    const int32_t radius = between(state, p->unit / 2, p->unit * 2 / 3), is_disc = (int32_t)(next(state) & 1);
    const int32_t cx = x + between(state, radius + 1, cell - radius - 1);
    const int32_t cy = y + between(state, radius + 1, cell - radius - 1);
    const int32_t level = between(state, 235, 255);
    for (int32_t dy = -radius; dy <= radius; dy++)
        for (int32_t dx = -radius; dx <= radius; dx++)
            if (!is_disc || dx * dx + dy * dy <= radius * radius) ink(p, cx + dx, cy + dy, level, 1, 1);
}

int bench_page_objects(bench_page *p, int32_t width, int32_t height, int32_t unit, uint64_t seed)
{
    const int32_t cell = unit * 2 + unit / 2, columns = width / cell, n = columns * (height / cell);
    uint64_t state = seed;
    if (open_page(p, width, height, unit) != 0) return -1;
    draw_paper(p, &state, GROUND, GROUND_NOISE);
    const int32_t most = n < BENCH_PAGE_OBJECTS ? n : BENCH_PAGE_OBJECTS;
    int32_t left = most > 0 ? between(&state, 1, most) : 0;
    p->n_object = left;
    for (int32_t i = 0; i < n && left > 0; i++)
        if (between(&state, 1, n - i) <= left) {
            draw_object(p, i % columns * cell, i / columns * cell, cell, &state);
            left--;
        }
    return 0;
}

void bench_page_free(bench_page *p)
{
    free(p->rgb);
    *p = (bench_page){0};
}
