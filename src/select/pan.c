/* SPDX-License-Identifier: MIT */
/* See pan.h. The sum over a row is what compilers know as the sum of absolute differences of bytes. */
#include "select/pan.h"

#include <stdlib.h>

enum { REACH = PARE__PAN_REACH, EVERY = 3, TILES = 4, ENOUGH = TILES * TILES / 2 };

#define CLEARLY .9 /* of the cost where the camera stands */

/* Two pictures and a part of them. */
typedef struct area {
    const uint8_t *now, *known; /* [height, width] */
    int32_t width, top, bottom, left, right;
} area;

static int64_t cost_of(const area *a, int32_t dy, int32_t dx)
{
    int64_t sum = 0;
    for (int32_t y = a->top; y < a->bottom; y += EVERY) {
        const uint8_t *now = a->now + (int64_t)y * a->width, *known = a->known + (int64_t)(y + dy) * a->width + dx;
        int32_t row = 0;
        for (int32_t x = a->left; x < a->right; x++) row += abs(now[x] - known[x]);
        sum += row;
    }
    return sum;
}

static int is_clear(int64_t there, int64_t here) { return (double)there < CLEARLY * (double)here; }

/* Tiles that lie clearly better there than here. */
static int32_t votes(const area *whole, int32_t dy, int32_t dx)
{
    const int32_t h = whole->bottom - whole->top, w = whole->right - whole->left;
    int32_t n = 0;
    for (int32_t i = 0; i < TILES * TILES; i++) {
        area tile = *whole;
        tile.top = whole->top + h * (i / TILES) / TILES;
        tile.bottom = whole->top + h * (i / TILES + 1) / TILES;
        tile.left = whole->left + w * (i % TILES) / TILES;
        tile.right = whole->left + w * (i % TILES + 1) / TILES;
        n += is_clear(cost_of(&tile, dy, dx), cost_of(&tile, 0, 0));
    }
    return n;
}

int pare__pan_find(const uint8_t *now, const uint8_t *known, int32_t height, int32_t width, int32_t *dy, int32_t *dx)
{
    *dy = *dx = 0;
    if (height < 4 * REACH || width < 4 * REACH) return 0;
    const area a = {now, known, width, REACH, height - REACH, REACH, width - REACH};
    const int64_t here = cost_of(&a, 0, 0);
    int64_t least = here;
    for (int32_t y = -REACH; y <= REACH; y++)
        for (int32_t x = -REACH; x <= REACH; x++) {
            const int64_t cost = cost_of(&a, y, x);
            if (cost >= least) continue;
            least = cost;
            *dy = y;
            *dx = x;
        }
    if (is_clear(least, here) && votes(&a, *dy, *dx) >= ENOUGH) return 1;
    *dy = *dx = 0;
    return 0;
}
