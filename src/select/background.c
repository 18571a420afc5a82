/* SPDX-License-Identifier: MIT */
/* See background.h. Planes of cells, loops without branches: they become vector code by themselves. */
#include "select/background.h"

#include <math.h>
#include <string.h>

#include "select/pan.h"

#define SLOW 0.0625f  /* pace where something stands before the background */
#define OUTLIER 4.0f  /* score of a cell from which on something stands there */
#define WARM_UP 20    /* pictures until the mean is believed */
#define FORGET 0.01f  /* of `usual`, after 1 / n has fallen that low */
#define NOISE 4.0f    /* levels that any cell may stray */
#define STEP 1.0f     /* levels that the mean goes a picture */
#define BIG_STEP 4.0f /* where the camera moves */
#define WEIGHT_VERTICAL .4f
#define WEIGHT_HORIZONTAL .2f

enum { RESTLESS = 32 }; /* pictures after a turn of the camera in which it counts as moving */
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

/* Means of 2 x 2 pixels: rgb [2 * rows, 2 * width, 3] -> x[3] [rows, width]. pair [6 * width] is scratch. */
static void pixel_quads(const uint8_t *rgb, int64_t rows, int64_t width, uint16_t *restrict pair, float *const x[3])
{
    for (int64_t y = 0; y < rows; y++) {
        const uint8_t *a = rgb + y * 12 * width, *b = a + 6 * width;
        float *restrict x0 = x[0] + y * width, *restrict x1 = x[1] + y * width, *restrict x2 = x[2] + y * width;
        for (int64_t i = 0; i < 6 * width; i++) pair[i] = (uint16_t)(a[i] + b[i]);
        for (int64_t i = 0; i < width; i++) {
            const uint16_t *p = pair + 6 * i;
            x0[i] = .25f * (float)(p[0] + p[3]);
            x1[i] = .25f * (float)(p[1] + p[4]);
            x2[i] = .25f * (float)(p[2] + p[5]);
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
static float most(float a, float b) { return a > b ? a : b; }
static float within(float x, float bound) { return most(least(x, bound), -bound); }

/* The mean follows the light of x[3]. */
static void light(pare__background *b, float *const x[3])
{
    for (int c = 0; c < 3; c++) {
        const float shift = drift(b, x[c], b->mean[c]);
        for (int32_t i = 0; i < b->cells; i++) b->mean[c][i] += shift;
    }
}

/* How far the cells of x[3] are from the mean -> away [cells]. */
static void stray(const pare__background *b, float *const x[3], float *restrict away)
{
    const float *restrict m0 = b->mean[0], *restrict m1 = b->mean[1], *restrict m2 = b->mean[2];
    const float *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2];
    for (int32_t i = 0; i < b->cells; i++)
        away[i] = (fabsf(x0[i] - m0[i]) + fabsf(x1[i] - m1[i]) + fabsf(x2[i] - m2[i])) * (1 / 3.0f);
}

/* Goes after x[3], `away` from the mean by now, and scores the cells into z [cells]. */
static void follow(pare__background *b, float *const x[3], float step, const float *restrict away, float *restrict z)
{
    float *restrict m0 = b->mean[0], *restrict m1 = b->mean[1], *restrict m2 = b->mean[2], *restrict usual = b->usual;
    const float *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2];
    const float slow = b->n_seen > WARM_UP ? SLOW : 1;
    const float fresh = 1 / (float)(b->n_seen + 1), rate = fresh > FORGET ? fresh : FORGET;
    for (int32_t i = 0; i < b->cells; i++) {
        const float score = away[i] / (usual[i] + NOISE), pace = score > OUTLIER ? slow : 1;
        z[i] = least(score, PARE__BACKGROUND_MOST);
        m0[i] += pace * within(x0[i] - m0[i], step);
        m1[i] += pace * within(x1[i] - m1[i], step);
        m2[i] += pace * within(x2[i] - m2[i], step);
        usual[i] += pace * rate * (least(away[i], 3 * (usual[i] + 1)) - usual[i]);
    }
}

/* ---- a camera that moves ------------------------------------------------------------------------------------------- */

/* Rows of `plane` [height, width], each from where it lay before the camera turned; beyond the border, as `revealed`. */
static void turn(float *plane, const float *revealed, int32_t height, int32_t width, int32_t dy, int32_t dx)
{
    const int32_t left = dx < 0 ? -dx : 0, right = dx > 0 ? width - dx : width;
    for (int32_t i = 0; i < height; i++) {
        const int32_t y = dy < 0 ? height - 1 - i : i; /* no row is written that is still to be read */
        float *to = plane + (int64_t)y * width;
        const float *from = revealed + (int64_t)y * width;
        if (y + dy < 0 || y + dy >= height) {
            memcpy(to, from, (size_t)width * sizeof *to);
            continue;
        }
        memmove(to + left, plane + (int64_t)(y + dy) * width + left + dx, (size_t)(right - left) * sizeof *to);
        memcpy(to, from, (size_t)left * sizeof *to);
        memcpy(to + right, from + right, (size_t)(width - right) * sizeof *to);
    }
}

static void to_bytes(const float *plane, int32_t n, uint8_t *out)
{
    for (int32_t i = 0; i < n; i++) out[i] = (uint8_t)least(most(plane[i] + .5f, 0), 255);
}

/* Turns the model with the camera. bytes [2 * cells] and flat [cells] are scratch. */
static void turn_with_camera(pare__background *b, float *const x[3], uint8_t *bytes, float *flat)
{
    const int32_t height = b->cells / b->width;
    int32_t dy, dx;
    to_bytes(x[1], b->cells, bytes);
    to_bytes(b->mean[1], b->cells, bytes + b->cells);
    b->restless -= b->restless > 0;
    if (!pare__pan_find(bytes, bytes + b->cells, height, b->width, &dy, &dx)) return;
    b->restless = RESTLESS;
    for (int c = 0; c < 3; c++) turn(b->mean[c], x[c], height, b->width, dy, dx);
    for (int32_t i = 0; i < b->cells; i++) flat[i] = NOISE;
    turn(b->usual, flat, height, b->width, dy, dx);
    light(b, x);
}

/* Least and largest of 3 rows of `plane` around row y -> low, high [width + 2], from 1 on; the ends repeated. */
static void hull(const float *plane, int32_t y, int32_t height, int32_t width, float *restrict low,
                 float *restrict high)
{
    const float *restrict here = plane + (int64_t)y * width;
    const float *restrict above = y > 0 ? here - width : here, *restrict below = y + 1 < height ? here + width : here;
    for (int32_t i = 0; i < width; i++) {
        low[i + 1] = least(here[i], least(above[i], below[i]));
        high[i + 1] = most(here[i], most(above[i], below[i]));
    }
    low[0] = low[1];
    high[0] = high[1];
    low[width + 1] = low[width];
    high[width + 1] = high[width];
}

/* As stray(), but from the nearest value that the mean takes within 3 x 3 cells: whole cells leave half a cell's error.
 * row [2 * (width + 2)] is scratch. */
static void stray_near(const pare__background *b, float *const x[3], float *restrict away, float *restrict row)
{
    const int32_t width = b->width, height = b->cells / width;
    float *restrict low = row, *restrict high = row + width + 2;
    memset(away, 0, (size_t)b->cells * sizeof *away);
    for (int c = 0; c < 3; c++)
        for (int32_t y = 0; y < height; y++) {
            const float *restrict at = x[c] + (int64_t)y * width;
            float *restrict to = away + (int64_t)y * width;
            hull(b->mean[c], y, height, width, low, high);
            for (int32_t i = 0; i < width; i++) {
                const float under = least(low[i], least(low[i + 1], low[i + 2])) - at[i];
                const float over = at[i] - most(high[i], most(high[i + 1], high[i + 2]));
                to[i] += (most(under, 0) + most(over, 0)) * (1 / 3.0f);
            }
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

/* Scores the cells of x[3] -> z [cells]. */
static int score_cells(pare__background *b, const pare__view *v, float *const x[3], float *z)
{
    uint8_t *bytes = PARE__ARENA(v->arena, uint8_t, 2 * (int64_t)b->cells);
    float *away = PARE__ARENA(v->arena, float, b->cells), *row = PARE__ARENA(v->arena, float, 2 * (b->width + 2));
    if (!bytes || !away || !row) return PARE_E_NOMEM;
    light(b, x);
    turn_with_camera(b, x, bytes, away);
    if (b->restless)
        stray_near(b, x, away, row);
    else
        stray(b, x, away);
    follow(b, x, b->restless ? BIG_STEP : STEP, away, z);
    return 0;
}

int pare__background_take(pare__background *b, const pare__view *v, const uint8_t *rgb, float *score)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    const int64_t units = (int64_t)v->grid_h * v->grid_w;
    uint16_t *pair = PARE__ARENA(v->arena, uint16_t, 6 * (int64_t)b->width);
    float *z = PARE__ARENA(v->arena, float, b->cells), *unit = PARE__ARENA(v->arena, float, units), *x[3];
    int rc = pair && z && unit ? 0 : PARE_E_NOMEM;
    for (int c = 0; c < 3; c++) {
        x[c] = PARE__ARENA(v->arena, float, b->cells);
        if (!x[c]) rc = PARE_E_NOMEM;
    }
    if (rc) goto done;
    if (b->side == 1)
        single_pixels(rgb, b->cells, x);
    else
        pixel_quads(rgb, b->cells / b->width, b->width, pair, x);
    if (b->n_seen) {
        rc = score_cells(b, v, x, z);
        if (rc) goto done;
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
