/* SPDX-License-Identifier: MIT */
/* Embedding: pixels of the surviving patches [n, 3 P P] times the patch weights, plus the position of their ORIGINAL
 * place. Rows are the pack's rows; prefix rows multiply zeros and are overwritten by their learned vector, which costs
 * less than leaving them out. Only units that survived are read and multiplied: encoder time falls with them. */
#include <string.h>

#include "encode/parts.h"

typedef struct work {
    pare__encoder *e;
    const pare__segment *seg;
    int32_t n_seg;
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
    if (rows == hp->pos_rows && cols == hp->pos_cols) return learned;
    for (pare__positions *p = *cache; p; p = p->next) {
        if (p->rows == rows && p->cols == cols) return p->table;
    }
    pare__positions *p = PARE__NEW(pare__positions, 1);
    if (!p) return NULL;
    p->rows = rows;
    p->cols = cols;
    p->table = (float *)pare__malloc((int64_t)rows * cols * hp->dim, (int64_t)sizeof(float));
    if (!p->table ||
        pare__interp_table(hp->interp, learned, hp->pos_rows, hp->pos_cols, hp->dim, p->table, rows, cols) < 0) {
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
        e->seg_pos[s] = NULL;
        if (!e->m->w.pos) continue;
        e->seg_pos[s] = pare__positions_get(&e->positions, e->m, seg[s].grid_h, seg[s].grid_w);
        if (!e->seg_pos[s]) {
            return pare_fail(err, PARE_E_NOMEM, "out of memory for positions of a %d x %d grid", seg[s].grid_h,
                             seg[s].grid_w);
        }
    }
    return 0;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* out [3, P, P] of the patch at (row, col), from u8 through the value table */
static void patch_u8(const work *w, const pare__segment *s, int32_t row, int32_t col, float *out)
{
    int64_t p = w->e->m->hp.patch, stride = s->grid_w * p * 3;
    const uint8_t *at = s->rgb[0] + row * p * stride + col * p * 3;
    for (int c = 0; c < 3; c++) {
        const float *value = w->e->value + c * 256;
        for (int64_t y = 0; y < p; y++) {
            for (int64_t x = 0; x < p; x++) *out++ = value[at[y * stride + x * 3 + c]];
        }
    }
}

/* The same from pixels that are already normalised. */
static void patch_f32(const work *w, const pare__segment *s, int32_t row, int32_t col, float *out)
{
    int64_t p = w->e->m->hp.patch, width = s->grid_w * p, height = s->grid_h * p;
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t y = 0; y < p; y++) {
            memcpy(out, s->pixels + (c * height + row * p + y) * width + col * p, (size_t)p * sizeof(float));
            out += p;
        }
    }
}

/* Segment of a row; rows are visited in order, so the search goes on from the last one. */
static int32_t segment_of(const pare__pack *p, int64_t row, int32_t from)
{
    while (p->cu[from + 1] <= row) from++;
    return from;
}

static void gather(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const work *w = (const work *)arg;
    const pare__pack *p = &w->e->pack;
    int64_t width = w->e->m->w.patch.n_in, row = task * PARE__ROW_GRAIN;
    int64_t last = row + PARE__ROW_GRAIN < p->n ? row + PARE__ROW_GRAIN : p->n;
    for (int32_t s = 0; row < last; row++) {
        const int32_t *thw = p->thw + row * 3;
        float *out = w->e->wide + row * width;
        s = segment_of(p, row, s);
        if (thw[2] < 0)
            memset(out, 0, (size_t)width * sizeof(float));
        else if (w->seg[s].pixels)
            patch_f32(w, &w->seg[s], thw[1], thw[2], out);
        else
            patch_u8(w, &w->seg[s], thw[1], thw[2], out);
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Learned vector of prefix row i: CLS, then registers; with its position if it has one. */
static void prefix_row(const pare_model *m, int32_t i, float *x)
{
    const pare__hparams *hp = &m->hp;
    const float *from = hp->has_cls && i == 0 ? m->w.cls : m->w.registers + (int64_t)(i - hp->has_cls) * hp->dim;
    memcpy(x, from, (size_t)hp->dim * sizeof(float));
    if (m->w.pos && i < prefix_positions(hp)) pare__vec_best()->bias(x, m->w.pos + (int64_t)i * hp->dim, hp->dim);
}

static void place(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const work *w = (const work *)arg;
    const pare__pack *p = &w->e->pack;
    int64_t d = p->d, row = task * PARE__ROW_GRAIN;
    int64_t last = row + PARE__ROW_GRAIN < p->n ? row + PARE__ROW_GRAIN : p->n;
    for (int32_t s = 0; row < last; row++) {
        const int32_t *thw = p->thw + row * 3;
        s = segment_of(p, row, s);
        if (thw[2] < 0) {
            prefix_row(w->e->m, (int32_t)(row - p->cu[s]), p->x + row * d);
        } else if (w->e->seg_pos[s]) {
            const float *pos = w->e->seg_pos[s] + ((int64_t)thw[1] * w->seg[s].grid_w + thw[2]) * d;
            w->e->ex.vec->bias(p->x + row * d, pos, d);
        }
    }
}

int pare__embed_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    const pare_model *m = e->m;
    int64_t n = e->pack.n, n_task = (n + PARE__ROW_GRAIN - 1) / PARE__ROW_GRAIN, d = m->hp.dim;
    work w = {e, seg, n_seg};
    int rc = find_positions(e, seg, n_seg, err);
    if (rc < 0) return rc;
    pare__pool_run(e->ex.pool, n_task, gather, &w);
    pare__linear_run(&e->ex, &(pare__linear_job){.linear = &m->w.patch,
                                                 .x = e->wide,
                                                 .ldx = m->w.patch.n_in,
                                                 .y = e->pack.x,
                                                 .ldy = d,
                                                 .rows = n,
                                                 .epilogue = PARE__EPILOGUE_BIAS});
    pare__pool_run(e->ex.pool, n_task, place, &w);
    if (m->w.pre_norm.w) pare__norm_run(&e->ex, m->hp.norm, &m->w.pre_norm, m->hp.eps, e->pack.x, n, d, e->pack.x);
    return pare__stage_emit(e, "embeddings", -1, e->pack.x, d, err);
}
