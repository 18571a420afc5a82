/* SPDX-License-Identifier: MIT */
/* Items of a trace become segments of the encoder: pictures are cut to whole patches, or flattened unit by unit; rows of
 * patches become pictures again.
 *   [3, H, W] -> [3, rows P, cols P], or [rows cols, 3 temporal P P];   [patches, P P 3] -> [3, rows P, cols P]
 * Sources: transformers' Idefics3 (pixel_attention_mask is by pixel: a patch is real if one of its pixels is), Siglip2
 * (order within a patch). */
#include <string.h>

#include "encode/trace_batch.h"

static const int32_t *numbers(const pare_tensor *t) { return t->data; }

/* ---- pictures ----------------------------------------------------------------------------------------------------- */

/* What a patch convolution sees of [3, H, W]: whole patches. out [3, height, width] */
static void crop(const pare__batch *b, const float *from, int64_t height, int64_t width, float *out)
{
    for (int64_t c = 0; c < 3; c++)
        for (int64_t y = 0; y < height; y++, out += width)
            memcpy(out, from + (c * b->height + y) * b->width, (size_t)width * sizeof *out);
}

/* out [3, temporal, P, P] of the patch at (row, col) of the pictures of a step */
static float *flatten_patch(const pare__batch *b, const float *from, int64_t row, int64_t col, float *out)
{
    const int64_t p = b->m->hp.patch, plane = (int64_t)b->height * b->width;
    for (int64_t c = 0; c < 3; c++)
        for (int64_t t = 0; t < b->m->hp.temporal; t++)
            for (int64_t y = 0; y < p; y++, out += p)
                memcpy(out, from + (3 * t + c) * plane + (row * p + y) * b->width + col * p, (size_t)p * sizeof *out);
    return out;
}

/* out [grid_h grid_w, 3 temporal P P], unit by unit */
static void flatten(const pare__batch *b, const float *from, int64_t grid_h, int64_t grid_w, float *out)
{
    const int64_t unit = b->m->hp.unit, cols = grid_w / unit;
    for (int64_t u = 0; u < grid_h / unit * cols; u++)
        for (int64_t j = 0; j < unit * unit; j++)
            out = flatten_patch(b, from, u / cols * unit + j / unit, u % cols * unit + j % unit, out);
}

/* One of the pixels of the patch at (row, col) is real. */
static int is_real(const pare__batch *b, const int32_t *mask, int64_t row, int64_t col)
{
    const int64_t p = b->m->hp.patch;
    for (int64_t i = 0; i < p * p; i++)
        if (mask[(row * p + i / p) * b->width + col * p + i % p]) return 1;
    return 0;
}

/* Real patches fill a rectangle from the top left. */
static int find_valid(const pare__batch *b, int32_t i, pare__segment *s, pare_error *err)
{
    const int32_t *mask = numbers(&b->mask) + (int64_t)b->at[i] * b->height * b->width;
    int64_t n = 0;
    int32_t rows = 0, cols = 0;
    for (int32_t r = 0; r < s->grid_h; r++)
        for (int32_t c = 0; c < s->grid_w; c++) {
            if (!is_real(b, mask, r, c)) continue;
            n++;
            if (r >= rows) rows = r + 1;
            if (c >= cols) cols = c + 1;
        }
    if (n == 0 || n != (int64_t)rows * cols)
        return pare_fail(err, PARE_E_INVALID,
                         "pixel_attention_mask of picture %d: %lld patches are real, but no rectangle "
                         "of %d x %d from the top left",
                         b->at[i], (long long)n, cols, rows);
    if (rows == s->grid_h && cols == s->grid_w) return 0;
    s->valid_h = rows;
    s->valid_w = cols;
    return 0;
}

static int lay_pictures(pare__batch *b, pare_error *err)
{
    const pare__hparams *hp = &b->m->hp;
    const int64_t p = hp->patch, unit = hp->unit, plane = (int64_t)b->height * b->width;
    const int64_t rows = b->height / (p * unit) * unit, cols = b->width / (p * unit) * unit;
    const int64_t size = 3 * hp->temporal * p * p * rows * cols, n = (int64_t)b->n * b->n_step;
    const int is_flat = unit > 1 || hp->temporal > 1, is_same = !is_flat && rows * cols * p * p == plane;
    int rc = 0;
    if (!is_same && !(b->pixels = (float *)pare__malloc(n, size * (int64_t)sizeof(float))))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld pictures of %d x %d", (long long)n, b->width,
                         b->height);
    for (int64_t i = 0; i < n && !rc; i++) {
        const float *from = b->values + (b->at[i / b->n_step] + i % b->n_step * hp->temporal) * 3 * plane;
        float *to = is_same ? NULL : b->pixels + i * size;
        b->seg[i] = (pare__segment){.pixels = is_same ? from : to,
                                    .grid_h = (int32_t)rows,
                                    .grid_w = (int32_t)cols,
                                    .t = (int32_t)i,
                                    .n = rows * cols / (unit * unit),
                                    .step = (int32_t)(i % b->n_step)};
        if (is_flat)
            flatten(b, from, rows, cols, to);
        else if (!is_same)
            crop(b, from, rows * p, cols * p, to);
        if (b->mask.data) rc = find_valid(b, (int32_t)i, &b->seg[i], err);
    }
    return rc;
}

/* ---- rows of patches ---------------------------------------------------------------------------------------------- */

/* out [3, rows P, cols P] from rows of patches, each (row, col, channel) */
static void unflatten(const float *from, int64_t p, int64_t rows, int64_t cols, float *out)
{
    for (int64_t i = 0; i < rows * cols * p * p * 3; i++) {
        const int64_t patch = i / (p * p * 3), y = patch / cols * p + i / (p * 3) % p, x = patch % cols * p + i / 3 % p;
        out[(i % 3 * rows * p + y) * cols * p + x] = from[i];
    }
}

/* The mask says the same as the shape: the first rows are real. */
static int check_mask(const pare__batch *b, int32_t i, int64_t n, pare_error *err)
{
    const int32_t *mask = b->mask.data ? numbers(&b->mask) + i * b->shape[1] : NULL;
    for (int64_t k = 0; mask && k < b->shape[1]; k++)
        if ((mask[k] != 0) != (k < n))
            return pare_fail(err, PARE_E_INVALID,
                             "pixel_attention_mask of picture %d is %d at patch %lld, but spatial_shapes "
                             "has %lld patches",
                             i, mask[k], (long long)k, (long long)n);
    return 0;
}

static int lay_rows(pare__batch *b, pare_error *err)
{
    const int64_t p = b->m->hp.patch, size = b->shape[1] * b->shape[2];
    int rc = 0;
    b->pixels = (float *)pare__malloc(b->n, size * (int64_t)sizeof(float));
    if (!b->pixels) return pare_fail(err, PARE_E_NOMEM, "out of memory for the patches of %d pictures", b->n);
    for (int32_t i = 0; i < b->n && !rc; i++) {
        const int32_t rows = numbers(&b->pairs)[2 * i], cols = numbers(&b->pairs)[2 * i + 1];
        if (rows < 1 || cols < 1 || (int64_t)rows * cols > b->shape[1])
            return pare_fail(err, PARE_E_INVALID,
                             "spatial_shapes of picture %d: %d x %d patches, pixel_values has room for "
                             "%lld",
                             i, cols, rows, (long long)b->shape[1]);
        rc = check_mask(b, i, (int64_t)rows * cols, err);
        unflatten(b->values + i * size, p, rows, cols, b->pixels + i * size);
        b->seg[i] = (pare__segment){
            .pixels = b->pixels + i * size, .grid_h = rows, .grid_w = cols, .t = i, .n = (int64_t)rows * cols};
    }
    return rc;
}

int pare__batch_lay(pare__batch *b, pare_error *err)
{
    b->seg = PARE__NEW(pare__segment, (int64_t)b->n * b->n_step + 1);
    if (!b->seg) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d segments", b->n * b->n_step);
    return b->width ? lay_pictures(b, err) : lay_rows(b, err);
}
