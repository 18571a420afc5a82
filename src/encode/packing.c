/* SPDX-License-Identifier: MIT */
/* What the language model receives of tiles and frames: all units as they are, or the tiles put together, padding cut off,
 * shrunk where they are many, a newline behind every row. Shrinking is torch's bilinear interpolation without antialias, in
 * floats as there. */
#include <math.h>

#include "core/limits.h"
#include "core/mem.h"
#include "encode/tiles.h"

/* Tokens of equally large grids side by side, of which a rectangle is taken to another size. */
typedef struct plane {
    int64_t base;                 /* row of the first grid's first unit */
    int64_t unit_rows, unit_cols; /* of a grid */
    int64_t tile_cols;            /* grids side by side */
    int64_t row, col, rows, cols; /* the rectangle, in units */
    int64_t out_rows, out_cols;
} plane;

/* ---- geometry -------------------------------------------------------------------------------------------------- */

static plane frame_plane(const pare_model *m, const pare__tiling *t, int64_t frame)
{
    const int64_t side = (int64_t)m->hp.patch * m->hp.unit, pool = m->prep.clip_pool > 0 ? m->prep.clip_pool : 1;
    plane p = {.unit_rows = t->whole.height / side, .unit_cols = t->whole.width / side, .tile_cols = 1};
    p.base = frame * p.unit_rows * p.unit_cols;
    p.rows = p.unit_rows;
    p.cols = p.unit_cols;
    p.out_rows = (p.rows + pool - 1) / pool;
    p.out_cols = (p.cols + pool - 1) / pool;
    return p;
}

/* Python's int(round(x, 7)). */
static int64_t whole_part(double x) { return (int64_t)(rint(x * 1e7) / 1e7); }

/* Rows and columns that hold padding only are cut off, equally many on both sides. Source: unpad_image. */
static void unpad(const pare__tiling *t, plane *p)
{
    const double width = t->whole.src_width, height = t->whole.src_height;
    if (width / height > (double)p->cols / (double)p->rows) {
        p->row = (p->rows - whole_part(height * ((double)p->cols / width))) / 2;
        p->rows -= 2 * p->row;
    } else {
        p->col = (p->cols - whole_part(width * ((double)p->rows / height))) / 2;
        p->cols -= 2 * p->col;
    }
}

/* Python's v // w of floats. */
static int64_t floor_divide(double v, double w)
{
    const double q = (v - fmod(v, w)) / w, down = floor(q);
    return (int64_t)(q - down > .5 ? down + 1 : down);
}

/* More than 1.21 times anyres_max whole grids are shrunk to about so many. Source: pack_image_features. */
static void shrink(const pare_model *m, plane *p)
{
    p->out_rows = p->rows;
    p->out_cols = p->cols;
    if (m->prep.anyres_max < 1) return;
    const double most = (double)m->prep.anyres_max * (double)(p->unit_rows * p->unit_rows);
    const double ratio = sqrt((double)(p->rows * p->cols) / most);
    if (!(ratio > 1.1)) return;
    p->out_rows = floor_divide((double)p->rows, ratio);
    p->out_cols = floor_divide((double)p->cols, ratio);
}

/* All tiles behind the whole picture; has_mosaic tells where there is one. */
static int has_mosaic(const pare_model *m, const pare__tiling *t)
{
    return m->prep.tiles == PARE__TILES_PINPOINTS && t->has_whole;
}

static plane mosaic_plane(const pare_model *m, const pare__tiling *t)
{
    plane p = frame_plane(m, t, 1);
    p.tile_cols = t->cols;
    p.rows = p.unit_rows * t->rows;
    p.cols = p.unit_cols * t->cols;
    unpad(t, &p);
    shrink(m, &p);
    return p;
}

static int64_t slot_units(const plane *p) { return p->unit_rows * p->unit_cols; }

int64_t pare__tiling_tokens(const pare_model *m, const pare__tiling *t)
{
    const plane frame = frame_plane(m, t, 0);
    const int newline = m->prep.newlines != 0;
    if (!has_mosaic(m, t)) return pare__tiling_slots(t) * slot_units(&frame) + newline;
    const plane p = mosaic_plane(m, t);
    return slot_units(&frame) + p.out_rows * (p.out_cols + newline);
}

/* One newline ends the clip. */
static int clip_newline(const pare_model *m) { return m->prep.newlines && m->prep.clip_pool > 0; }

int64_t pare__tiling_clip_tokens(const pare_model *m, const pare__tiling *t, int64_t n_frames)
{
    const plane p = frame_plane(m, t, 0);
    return n_frames * p.out_rows * p.out_cols + clip_newline(m);
}

/* ---- the matrix ------------------------------------------------------------------------------------------------ */

/* The row under way ends. */
static void end_row(pare__packing *p)
{
    p->n++;
    p->row_start[p->n + 1] = p->row_start[p->n];
}

static void put(pare__packing *p, int64_t source, float weight)
{
    int64_t *at = &p->row_start[p->n + 1];
    if (weight == 0) return;
    p->source[*at] = (int32_t)source;
    p->weight[(*at)++] = weight;
}

static void put_plain(pare__packing *p, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        put(p, first + i, 1);
        end_row(p);
    }
}

/* Where an output row or column reads: two neighbours. */
typedef struct taps {
    int64_t at[2];
    float weight[2];
} taps;

static taps taps_of(int64_t i, int64_t n_in, int64_t n_out)
{
    const float scale = (float)n_in / (float)n_out, x = fmaxf(scale * ((float)i + .5F) - .5F, 0);
    const int64_t low = (int64_t)x;
    taps t = {.at = {low, low + (low < n_in - 1)}};
    t.weight[1] = x - (float)low;
    t.weight[0] = 1 - t.weight[1];
    return t;
}

static int64_t plane_source(const plane *p, int64_t row, int64_t col)
{
    const int64_t tile = row / p->unit_rows * p->tile_cols + col / p->unit_cols;
    return p->base + (tile * p->unit_rows + row % p->unit_rows) * p->unit_cols + col % p->unit_cols;
}

static void put_cell(pare__packing *p, const plane *from, const taps *y, const taps *x)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            put(p, plane_source(from, from->row + y->at[i], from->col + x->at[j]), y->weight[i] * x->weight[j]);
    end_row(p);
}

static void put_plane(pare__packing *p, const plane *from, int newlines)
{
    for (int64_t r = 0; r < from->out_rows; r++) {
        const taps y = taps_of(r, from->rows, from->out_rows);
        for (int64_t c = 0; c < from->out_cols; c++) {
            const taps x = taps_of(c, from->cols, from->out_cols);
            put_cell(p, from, &y, &x);
        }
        if (newlines) end_row(p);
    }
}

static void pack_photo(pare__packing *p, const pare_model *m, const pare__tiling *t)
{
    const plane frame = frame_plane(m, t, 0);
    if (!has_mosaic(m, t)) {
        put_plain(p, 0, pare__tiling_slots(t) * slot_units(&frame));
        if (m->prep.newlines) end_row(p);
        return;
    }
    const plane mosaic = mosaic_plane(m, t);
    put_plain(p, 0, slot_units(&frame));
    put_plane(p, &mosaic, m->prep.newlines != 0);
}

static void pack_clip(pare__packing *p, const pare_model *m, const pare__tiling *t, int64_t n_frames)
{
    for (int64_t f = 0; f < n_frames; f++) {
        const plane frame = frame_plane(m, t, f);
        put_plane(p, &frame, 0);
    }
    if (clip_newline(m)) end_row(p);
}

int pare__packing_make(pare__packing *p, const pare_model *m, const pare__tiling *t, int32_t n_frames, pare_error *err)
{
    const plane frame = frame_plane(m, t, 0);
    const int64_t n_slot = n_frames > 0 ? n_frames : pare__tiling_slots(t);
    const int64_t n = n_frames > 0 ? pare__tiling_clip_tokens(m, t, n_frames) : pare__tiling_tokens(m, t);
    *p = (pare__packing){0};
    if (n_slot * slot_units(&frame) > INT32_MAX)
        return pare_fail(err, PARE_E_LIMIT, "%lld pictures of %lld tokens are more than can be numbered",
                         (long long)n_slot, (long long)slot_units(&frame));
    p->row_start = PARE__NEW(int64_t, n + 2);
    p->source = PARE__NEW(int32_t, 4 * n + 1);
    p->weight = PARE__NEW(float, 4 * n + 1);
    if (!p->row_start || !p->source || !p->weight) {
        pare__packing_fini(p);
        return pare_fail(err, PARE_E_NOMEM, "no memory for %lld tokens", (long long)n);
    }
    if (n_frames > 0)
        pack_clip(p, m, t, n_frames);
    else
        pack_photo(p, m, t);
    return 0;
}

void pare__packing_fini(pare__packing *p)
{
    pare__free(p->row_start);
    pare__free(p->source);
    pare__free(p->weight);
    *p = (pare__packing){0};
}
