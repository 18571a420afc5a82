/* SPDX-License-Identifier: MIT */
/* See background.h. Planes of cells, loops without branches: they become vector code by themselves. */
#include "select/background.h"

#include <math.h>
#include <string.h>

#define SLOW 0.0625f /* pace where something stands before the background */
#define OUTLIER 4.0f /* score of a cell from which on something stands there */
#define WARM_UP 20   /* pictures until the mean is believed */
#define FORGET 0.01f /* of `usual`, after 1 / n has fallen that low */
#define NOISE 4.0f   /* levels that any cell may stray */
#define WEIGHT_VERTICAL .4f
#define WEIGHT_HORIZONTAL .2f

enum { EVERY = 4, BINS_PER_LEVEL = 4, BINS = 2 * 256 * BINS_PER_LEVEL };

static int32_t cell_side(const pare__view *v) { return v->pixels->patch % 2 ? 1 : 2; }

static int64_t cell_count(const pare__view *v)
{
    const int64_t per_side = v->pixels->patch / cell_side(v);
    return v->grid_h * per_side * v->grid_w * per_side;
}

static size_t round_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

size_t pare__background_size(const pare__view *v)
{
    return round_up(sizeof(pare__background)) + 4 * round_up((size_t)cell_count(v) * sizeof(float));
}

pare__background *pare__background_at(void *memory, const pare__view *v)
{
    pare__background *b = memory;
    const size_t plane = round_up((size_t)cell_count(v) * sizeof(float));
    uint8_t *at = (uint8_t *)memory + round_up(sizeof *b);
    b->side = cell_side(v);
    b->width = v->grid_w * (v->pixels->patch / b->side);
    b->cells = (int32_t)cell_count(v);
    for (int c = 0; c < 3; c++) b->mean[c] = (float *)(void *)(at + (size_t)c * plane);
    b->usual = (float *)(void *)(at + 3 * plane);
    return b;
}

/* ---- a picture as planes of cells ---------------------------------------------------------------------------------- */

static void single_pixels(const uint8_t *rgb, int64_t n, float *const x[3])
{
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) x[c][i] = rgb[3 * i + c];
}

/* Means of 2 x 2 pixels: rgb [2 * rows, 2 * width, 3] -> x[3] [rows, width]. */
static void pixel_quads(const uint8_t *rgb, int64_t rows, int64_t width, float *const x[3])
{
    for (int64_t y = 0; y < rows; y++) {
        const uint8_t *a = rgb + y * 12 * width, *b = a + 6 * width;
        for (int c = 0; c < 3; c++) {
            float *to = x[c] + y * width;
            for (int64_t i = 0; i < width; i++)
                to[i] = .25f * (float)(a[6 * i + c] + a[6 * i + 3 + c] + b[6 * i + c] + b[6 * i + 3 + c]);
        }
    }
}

static int32_t bin_of(float level)
{
    const int32_t bin = (int32_t)((level + 256) * BINS_PER_LEVEL);
    return bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
}

/* Median of x - mean over every 4th cell of every 4th row, to a quarter of a level. */
static float drift(const pare__background *b, const float *x, const float *mean)
{
    int32_t bin[BINS] = {0}, n = 0;
    const int32_t rows = b->cells / b->width;
    for (int32_t y = 0; y < rows; y += EVERY) {
        for (int32_t i = y * b->width; i < (y + 1) * b->width; i += EVERY, n++) bin[bin_of(x[i] - mean[i])]++;
    }
    int32_t at = 0;
    for (int32_t sum = bin[0]; 2 * sum < n; sum += bin[at]) at++;
    return ((float)at + .5f) / BINS_PER_LEVEL - 256;
}

/* ---- the model ----------------------------------------------------------------------------------------------------- */

static float least(float a, float b) { return a < b ? a : b; }
static float within(float x, float most) { return x > most ? most : x < -most ? -most : x; }

/* Scores the cells of x[3] into z [cells] and goes after them. */
static void follow(pare__background *b, float *const x[3], const float shift[3], float *restrict z)
{
    float *restrict m0 = b->mean[0], *restrict m1 = b->mean[1], *restrict m2 = b->mean[2], *restrict usual = b->usual;
    const float *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2];
    const float slow = b->n_seen > WARM_UP ? SLOW : 1;
    const float fresh = 1 / (float)(b->n_seen + 1), rate = fresh > FORGET ? fresh : FORGET;
    for (int32_t i = 0; i < b->cells; i++) {
        const float lit0 = m0[i] + shift[0], lit1 = m1[i] + shift[1], lit2 = m2[i] + shift[2];
        const float d0 = x0[i] - lit0, d1 = x1[i] - lit1, d2 = x2[i] - lit2;
        const float away = (fabsf(d0) + fabsf(d1) + fabsf(d2)) * (1 / 3.0f), score = away / (usual[i] + NOISE);
        const float pace = score > OUTLIER ? slow : 1;
        z[i] = least(score, PARE__BACKGROUND_MOST);
        m0[i] = lit0 + pace * within(d0, 1);
        m1[i] = lit1 + pace * within(d1, 1);
        m2[i] = lit2 + pace * within(d2, 1);
        usual[i] += pace * rate * (least(away, 3 * (usual[i] + 1)) - usual[i]);
    }
}

static void begin(pare__background *b, float *const x[3])
{
    for (int c = 0; c < 3; c++) memcpy(b->mean[c], x[c], (size_t)b->cells * sizeof(float));
    for (int32_t i = 0; i < b->cells; i++) b->usual[i] = NOISE;
}

/* ---- units --------------------------------------------------------------------------------------------------------- */

static void unit_means(const pare__background *b, const pare__view *v, const float *z, float *unit)
{
    const int32_t per_side = v->pixels->patch / b->side;
    const float scale = 1 / (float)((int64_t)per_side * per_side);
    memset(unit, 0, (size_t)v->grid_h * (size_t)v->grid_w * sizeof *unit);
    for (int64_t y = 0; y < (int64_t)v->grid_h * per_side; y++) {
        const float *row = z + y * b->width;
        float *to = unit + y / per_side * v->grid_w;
        for (int32_t u = 0; u < v->grid_w; u++, row += per_side)
            for (int32_t i = 0; i < per_side; i++) to[u] += scale * row[i];
    }
}

/* What surrounds a unit counts with it: parts of a body that look like the ground behind them. Beyond the border nothing
 * moves. */
static void spread(const float *unit, int32_t h, int32_t w, float *out)
{
    const float norm = 1 / (1 + 2 * WEIGHT_VERTICAL + 2 * WEIGHT_HORIZONTAL);
    for (int32_t y = 0; y < h; y++) {
        const float *row = unit + (int64_t)y * w;
        for (int32_t x = 0; x < w; x++) {
            const float vertical = (y > 0 ? row[x - w] : 0) + (y + 1 < h ? row[x + w] : 0);
            const float horizontal = (x > 0 ? row[x - 1] : 0) + (x + 1 < w ? row[x + 1] : 0);
            out[(int64_t)y * w + x] = norm * (row[x] + WEIGHT_VERTICAL * vertical + WEIGHT_HORIZONTAL * horizontal);
        }
    }
}

int pare__background_take(pare__background *b, const pare__view *v, const uint8_t *rgb, float *score)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    const int64_t units = (int64_t)v->grid_h * v->grid_w;
    float *z = PARE__ARENA(v->arena, float, b->cells), *unit = PARE__ARENA(v->arena, float, units), *x[3];
    int rc = z && unit ? 0 : PARE_E_NOMEM;
    for (int c = 0; c < 3; c++) {
        x[c] = PARE__ARENA(v->arena, float, b->cells);
        if (!x[c]) rc = PARE_E_NOMEM;
    }
    if (rc) goto done;
    if (b->side == 1)
        single_pixels(rgb, b->cells, x);
    else
        pixel_quads(rgb, b->cells / b->width, b->width, x);
    if (b->n_seen) {
        float shift[3];
        for (int c = 0; c < 3; c++) shift[c] = drift(b, x[c], b->mean[c]);
        follow(b, x, shift, z);
        unit_means(b, v, z, unit);
        spread(unit, v->grid_h, v->grid_w, score);
    } else {
        begin(b, x);
        memset(score, 0, (size_t)units * sizeof *score);
    }
    b->n_seen++;
done:
    pare__arena_reset(v->arena, mark);
    return rc;
}
