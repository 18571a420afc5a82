/* SPDX-License-Identifier: MIT */
/* Embedding: pixels of the surviving patches [n, 3 temporal P P] times the patch weights, plus the position of their
 * ORIGINAL place. Rows are the pack's rows; prefix rows multiply zeros and are overwritten by their learned vector, which
 * costs less than leaving them out. Only units that survived are read and multiplied: encoder time falls with them. */
#include <string.h>

#include "encode/parts.h"

typedef struct work {
    pare__encoder *e;
    const pare__segment *seg;
    const pare__stretch *s;
    const pare__desk *d;
    int64_t first, n; /* units of the stretch */
} work;

/* ---- positions --------------------------------------------------------------------------------------------------- */

static int32_t prefix_positions(const pare__hparams *hp)
{
    if (hp->pos_prefix == PARE__POS_ALL_PREFIX) return hp->n_prefix;
    return hp->pos_prefix == PARE__POS_CLS_ONLY ? 1 : 0;
}

const float *pare__positions_get(pare__positions **cache, const pare_model *m, int32_t rows, int32_t cols)
{
    const pare__hparams *hp = &m->hp;
    const float *learned = m->w.pos + (int64_t)prefix_positions(hp) * hp->dim;
    const int64_t n_step = hp->steps > 1 ? hp->steps : 1, step = (int64_t)hp->pos_rows * hp->pos_cols * hp->dim;
    if (rows == hp->pos_rows && cols == hp->pos_cols) return learned;
    for (pare__positions *p = *cache; p; p = p->next) {
        if (p->rows == rows && p->cols == cols) return p->table;
    }
    pare__positions *p = PARE__NEW(pare__positions, 1);
    if (!p) return NULL;
    p->rows = rows;
    p->cols = cols;
    const int64_t made = (int64_t)rows * cols * hp->dim;
    p->table = (float *)pare__malloc(n_step * made, (int64_t)sizeof(float));
    int rc = p->table ? 0 : PARE_E_NOMEM;
    for (int64_t i = 0; rc == 0 && i < n_step; i++)
        rc = pare__interp_table(hp->interp, learned + i * step, hp->pos_rows, hp->pos_cols, hp->dim,
                                p->table + i * made, rows, cols);
    if (rc < 0) {
        pare__free(p->table);
        pare__free(p);
        return NULL;
    }
    p->next = *cache;
    *cache = p;
    return p->table;
}

void pare__positions_free(pare__positions **cache)
{
    while (*cache) {
        pare__positions *p = *cache;
        *cache = p->next;
        pare__free(p->table);
        pare__free(p);
    }
}

static int find_positions(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    for (int32_t s = 0; s < n_seg; s++) {
        const pare__valid grid = e->valid[s];
        e->seg_pos[s] = NULL;
        if (!e->m->w.pos || seg[s].tokens) continue;
        const float *table = pare__positions_get(&e->positions, e->m, grid.rows, grid.cols);
        if (!table) {
            return pare_fail(err, PARE_E_NOMEM, "out of memory for positions of a %d x %d grid", grid.rows, grid.cols);
        }
        e->seg_pos[s] = table + (int64_t)seg[s].step * grid.rows * grid.cols * e->m->hp.dim;
    }
    return 0;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* out [3, temporal, P, P] of the patch at (row, col), from u8 through the value table */
static void patch_u8(const work *w, const pare__segment *s, int64_t row, int64_t col, float *out)
{
    const pare__hparams *hp = &w->e->m->hp;
    const int64_t p = hp->patch, stride = s->grid_w * p * 3, first = row * p * stride + col * p * 3;
    for (int c = 0; c < 3; c++) {
        const float *value = w->e->value + c * 256;
        for (int32_t t = 0; t < hp->temporal; t++) {
            const uint8_t *at = s->rgb[t] + first + c;
            for (int64_t y = 0; y < p; y++) {
                for (int64_t x = 0; x < p; x++) *out++ = value[at[y * stride + x * 3]];
            }
        }
    }
}

/* The same from pixels that are already normalised. */
static void patch_f32(const work *w, const pare__segment *s, int64_t row, int64_t col, float *out)
{
    const int64_t p = w->e->m->hp.patch, width = s->grid_w * p, height = s->grid_h * p;
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t y = 0; y < p; y++) {
            memcpy(out, s->pixels + (c * height + row * p + y) * width + col * p, (size_t)p * sizeof(float));
            out += p;
        }
    }
}

/* Input of the n patches of the unit at (row, col) in units, `stride` floats apart; n = unit^2. */
static void unit_pixels(const work *w, const pare__segment *s, int64_t row, int64_t col, int32_t n, float *out,
                        int64_t stride)
{
    const pare__hparams *hp = &w->e->m->hp;
    const int64_t width = w->e->m->w.patch.n_in, unit = hp->unit;
    if (s->pixels && (unit > 1 || hp->temporal > 1)) {
        const float *from = s->pixels + (row * (s->grid_w / unit) + col) * n * width;
        for (int32_t i = 0; i < n; i++) memcpy(out + i * stride, from + i * width, (size_t)width * sizeof(float));
        return;
    }
    for (int32_t i = 0; i < n; i++, out += stride) {
        const int64_t y = row * unit + i / unit, x = col * unit + i % unit;
        if (s->pixels)
            patch_f32(w, s, y, x, out);
        else
            patch_u8(w, s, y, x, out);
    }
}

static void gather(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const work *w = (const work *)arg;
    const pare__pack *p = &w->e->pack;
    const int64_t stride = pare__float_stride(w->e->m->w.patch.n_in), end = w->first + pare__grain_end(task, w->n);
    int32_t s = w->s->seg;
    for (int64_t u = w->first + task * PARE__ROW_GRAIN; u < end; u++) {
        const int32_t *thw = p->thw + u * 3;
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &s, &row);
        float *out = w->d->wide + (row - w->s->row) * stride;
        if (thw[2] < 0 || w->seg[s].tokens)
            memset(out, 0, (size_t)n * (size_t)stride * sizeof(float));
        else
            unit_pixels(w, &w->seg[s], thw[1], thw[2], n, out, stride);
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Learned vector of prefix row i: CLS, then registers; with its position if it has one. */
static void prefix_row(const pare_model *m, int32_t i, float *x)
{
    const pare__hparams *hp = &m->hp;
    const float *from = hp->has_cls && i == 0 ? m->w.cls : m->w.registers + (int64_t)(i - hp->has_cls) * hp->dim;
    memcpy(x, from, (size_t)hp->dim * sizeof(float));
    if (m->w.pos && i < prefix_positions(hp)) pare__vec_best()->bias(x, x, m->w.pos + (int64_t)i * hp->dim, hp->dim);
}

static void place_unit(const work *w, int32_t s, const int32_t *thw, int32_t n, float *x)
{
    const int64_t d = w->e->pack.d, unit = w->e->m->hp.unit;
    const pare__valid grid = w->e->valid[s];
    if (!w->e->seg_pos[s]) return;
    for (int32_t i = 0; i < n; i++) {
        const int64_t row = thw[1] * unit + i / unit, col = thw[2] * unit + i % unit;
        const int64_t at = row < grid.rows && col < grid.cols ? row * grid.cols + col : 0;
        w->e->ex.vec->bias(x + i * d, x + i * d, w->e->seg_pos[s] + at * d, d);
    }
}

static void place(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const work *w = (const work *)arg;
    const pare__pack *p = &w->e->pack;
    const int64_t end = w->first + pare__grain_end(task, w->n);
    int32_t s = w->s->seg;
    for (int64_t u = w->first + task * PARE__ROW_GRAIN; u < end; u++) {
        const int32_t *thw = p->thw + u * 3;
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &s, &row);
        if (thw[2] < 0)
            prefix_row(w->e->m, (int32_t)(u - p->ucu[s]), p->x + row * p->d);
        else
            place_unit(w, s, thw, n, p->x + row * p->d);
    }
}

static void embed_stretch(const void *arg, const pare__stretch *s, const pare__desk *d)
{
    work w = *(const work *)arg;
    const pare__encoder *e = w.e;
    const pare_model *m = e->m;
    float *x = e->pack.x + s->row * e->pack.d;
    w.s = s;
    w.d = d;
    w.first = e->pack.ucu[s->seg];
    w.n = e->pack.ucu[s->seg + s->n_seg] - w.first;
    pare__pool_run(d->ex.pool, pare__grains(w.n), gather, &w);
    const pare__linear_job job = {.w = &e->weights->patch,
                                  .bias = m->w.patch.b,
                                  .x = d->wide,
                                  .ldx = pare__float_stride(m->w.patch.n_in),
                                  .y = x,
                                  .ldy = e->pack.d,
                                  .rows = s->n,
                                  .epilogue = PARE__EPILOGUE_BIAS};
    pare__linear_run(&d->ex, &job, 1);
    pare__pool_run(d->ex.pool, pare__grains(w.n), place, &w);
    if (m->w.pre_norm.w) pare__norm_run(&d->ex, m->hp.norm, &m->w.pre_norm, m->hp.eps, x, s->n, e->pack.d, x);
}

int pare__embed_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    const pare__pack *p = &e->pack;
    const work w = {.e = e, .seg = seg};
    int32_t n_given = 0;
    int rc = find_positions(e, seg, n_seg, err);
    if (rc < 0) return rc;
    for (int32_t s = 0; s < n_seg; s++) n_given += seg[s].tokens != NULL;
    pare__stretches_cut(e);
    if (n_given < n_seg) pare__stretches_run(e, embed_stretch, &w);
    for (int32_t s = 0; s < n_seg; s++) {
        if (!seg[s].tokens) continue;
        memcpy(p->x + p->cu[s] * p->d, seg[s].tokens, (size_t)(p->cu[s + 1] - p->cu[s]) * (size_t)p->d * sizeof(float));
    }
    return pare__stage_emit(e, "embeddings", -1, p->x, p->n, p->d, err);
}
