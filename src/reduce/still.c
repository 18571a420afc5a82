/* SPDX-License-Identifier: MIT */
/* See still.h.
 *
 *     blocks of the source [rows, cols]: predicted in place, and sampled rows alike? -> those that are not
 *
 * A vector of zero says that the encoder found nothing better, not that nothing changed: what is left is coded as a
 * residual, and nobody exports that. Every fourth row of a block is therefore compared with the rows from which the block
 * was last resized, not with those of the frame before: a slow change adds up until it is seen. What stays differs from
 * its source by at most ALIKE on the mean of sixteen pixels. */
#include "reduce/still.h"

#include <stdlib.h>
#include <string.h>

enum {
    EVERY = 4, /* rows of which one is compared; divides the blocks */
    ALIKE = 2  /* levels; mean of a sampled row of a block */
};

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

static uint32_t difference(const uint8_t *a, const uint8_t *b, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (uint32_t)abs(a[i] - b[i]);
    return sum;
}

/* The sampled rows of block row r: rows of the source, starting in the middle of EVERY. */
static int32_t first_row(const pare__still *s, int32_t r) { return r * s->block + EVERY / 2; }
static int32_t end_row(const pare__still *s, int32_t r) { return least((r + 1) * s->block, s->fit.src_height); }

static uint8_t *sample_row(const pare__still *s, int32_t y)
{
    return s->sample + y / EVERY * (3 * (int64_t)s->fit.src_width);
}

/* A block that hangs over so far that none of its rows is sampled is never alike. */
static int is_alike(const pare__still *s, const pare_frame *f, int32_t r, int32_t c)
{
    if (first_row(s, r) >= end_row(s, r)) return 0;
    const int64_t x = c * (int64_t)s->block, n = 3 * (least((c + 1) * s->block, s->fit.src_width) - x);
    for (int32_t y = first_row(s, r); y < end_row(s, r); y += EVERY)
        if (difference(f->rgb + y * f->stride + 3 * x, sample_row(s, y) + 3 * x, n) > ALIKE * n) return 0;
    return 1;
}

static void keep_sample(const pare__still *s, const pare_frame *f, int32_t r, int32_t c)
{
    const int64_t x = c * (int64_t)s->block, n = 3 * (least((c + 1) * s->block, s->fit.src_width) - x);
    for (int32_t y = first_row(s, r); y < end_row(s, r); y += EVERY)
        memcpy(sample_row(s, y) + 3 * x, f->rgb + y * f->stride + 3 * x, (size_t)n);
}

static void judge_blocks(pare__still *s, const pare_frame *f)
{
    for (int32_t r = 0; r < s->rows; r++)
        for (int32_t c = 0; c < s->cols; c++) {
            const int64_t i = (int64_t)r * s->cols + c;
            const int is_still = f->motion->kind[i] == PARE_BLOCK_STILL && is_alike(s, f, r, c);
            s->dirty[i] = !is_still;
            s->n_still += is_still;
            if (!is_still) keep_sample(s, f, r, c);
        }
}

/* ---- a frame --------------------------------------------------------------------------------------------------------- */

static int reserve(uint8_t **ptr, int64_t *cap, int64_t n)
{
    if (n <= *cap) return 0;
    pare__free(*ptr);
    *ptr = pare__malloc(n, 1);
    *cap = *ptr ? n : 0;
    return *ptr ? 0 : PARE_E_NOMEM;
}

static int is_same_fit(const pare__fit *a, const pare__fit *b)
{
    return a->src_width == b->src_width && a->src_height == b->src_height && a->rotation == b->rotation &&
           a->mirrored == b->mirrored && a->resized_width == b->resized_width &&
           a->resized_height == b->resized_height && a->crop_x == b->crop_x && a->crop_y == b->crop_y &&
           a->width == b->width && a->height == b->height;
}

/* Room for this frame's blocks; what is known of frames of another geometry is forgotten. */
static int prepare(pare__still *s, const pare_frame *f, const pare__fit *fit, pare__resample resample)
{
    const pare_motion *m = f->motion;
    if (s->is_known && s->block == m->block && is_same_fit(&s->fit, fit)) return 0;
    s->is_known = 0;
    s->fit = *fit;
    s->rows = m->rows;
    s->cols = m->cols;
    s->block = m->block;
    const int64_t n_sampled = f->height / EVERY + 1;
    int rc = reserve(&s->sample, &s->cap_sample, n_sampled * 3 * f->width);
    if (!rc) rc = reserve(&s->dirty, &s->cap_dirty, (int64_t)m->rows * m->cols);
    if (!rc && pare__prep_keeps(fit, resample))
        rc = reserve(&s->between, &s->cap_between, (int64_t)fit->src_height * 3 * fit->resized_width);
    return rc;
}

int pare__still_take(pare__still *s, const pare_frame *f, const pare__fit *fit, pare__resample resample,
                     pare__changed *out)
{
    *out = (pare__changed){.is_all = 1};
    if (!f->motion) {
        s->is_known = 0;
        return 0;
    }
    const int rc = prepare(s, f, fit, resample);
    if (rc) return rc;
    const int64_t n = (int64_t)s->rows * s->cols;
    *out = (pare__changed){.is_new = s->dirty, .rows = s->rows, .cols = s->cols, .block = s->block};
    out->is_all = !s->is_known;
    s->n_block += n;
    s->is_known = 1;
    if (!out->is_all) {
        judge_blocks(s, f);
        return 0;
    }
    memset(s->dirty, 1, (size_t)n);
    for (int32_t r = 0; r < s->rows; r++)
        for (int32_t c = 0; c < s->cols; c++) keep_sample(s, f, r, c);
    return 0;
}

void pare__still_forget(pare__still *s) { s->is_known = 0; }

void pare__still_fini(pare__still *s)
{
    pare__free(s->sample);
    pare__free(s->dirty);
    pare__free(s->between);
    *s = (pare__still){0};
}
