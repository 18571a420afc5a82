/* SPDX-License-Identifier: MIT */
/* Linear layers and norms as tasks of the pool.
 *
 * y [rows, n_out] is cut into tiles; each is one product over the whole of n_in followed by its epilogue while the tile
 * is in cache. Few rows: tiles span all of them, so that every weight is packed by BLAS once; many rows: both sides are
 * cut. Tiles depend on the shape only. */
#include "encode/parts.h"

enum { TILE_ROWS = 256 }; /* aim of a row cut */

typedef struct tiling {
    const pare__exec *ex;
    const pare__linear_job *job;
    int64_t n_out; /* columns of y that tiles cover: half of the weights' when gated */
    int64_t n_row_tile, n_col_tile;
} tiling;

typedef struct tile {
    int64_t row, rows, col, cols;
} tile;

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void cut(tiling *t)
{
    int64_t rows = t->job->rows;
    t->n_row_tile = rows <= PARE__TALL ? 1 : ceil_div(rows, TILE_ROWS);
    t->n_col_tile = ceil_div(t->n_out, PARE__TILE_COLS);
    if (t->n_row_tile == 1 && t->n_col_tile > 1) t->n_col_tile += t->n_col_tile % 2; /* two threads share them evenly */
}

/* Columns are cut at multiples of PARE__GRAIN_COLS, rows anywhere; a tile may come out empty. */
static tile tile_at(const tiling *t, int64_t i)
{
    int64_t r = i % t->n_row_tile, c = i / t->n_row_tile, n_grain = ceil_div(t->n_out, PARE__GRAIN_COLS);
    tile at;
    at.row = pare__slice(t->job->rows, r, t->n_row_tile);
    at.rows = pare__slice(t->job->rows, r + 1, t->n_row_tile) - at.row;
    at.col = pare__slice(n_grain, c, t->n_col_tile) * PARE__GRAIN_COLS;
    at.cols = min64(pare__slice(n_grain, c + 1, t->n_col_tile) * PARE__GRAIN_COLS, t->n_out) - at.col;
    return at;
}

/* out [tile rows, tile cols] = x W^T, the weights' columns shifted by `shift` */
static void product(const tiling *t, const tile *at, int64_t shift, float *out, int64_t ld)
{
    const pare__linear_job *j = t->job;
    const pare__linear *l = j->linear;
    t->ex->gemm->nt(at->rows, at->cols, l->n_in, 1.0f, j->x + at->row * j->ldx, j->ldx,
                    l->w + (at->col + shift) * l->n_in, l->n_in, 0.0f, out, ld);
}

static void activate(const pare__vec *vec, pare__act act, float *x, const float *b, int64_t n)
{
    if (act == PARE__ACT_GELU)
        vec->bias_gelu(x, b, n);
    else if (act == PARE__ACT_GELU_TANH)
        vec->bias_gelu_tanh(x, b, n);
    else
        vec->bias_gelu_quick(x, b, n);
}

static void run_direct(const tiling *t, const tile *at)
{
    const pare__linear_job *j = t->job;
    const pare__vec *vec = t->ex->vec;
    const float *b = j->linear->b ? j->linear->b + at->col : NULL;
    float *y = j->y + at->row * j->ldy + at->col;
    product(t, at, 0, y, j->ldy);
    for (int64_t r = 0; r < at->rows; r++) {
        if (j->epilogue == PARE__EPILOGUE_ACT)
            activate(vec, j->act, y + r * j->ldy, b, at->cols);
        else if (b)
            vec->bias(y + r * j->ldy, b, at->cols);
    }
}

static void run_residual(const tiling *t, const tile *at, float *scratch)
{
    const pare__linear_job *j = t->job;
    const float *b = j->linear->b ? j->linear->b + at->col : NULL;
    const float *scale = j->scale ? j->scale + at->col : NULL;
    product(t, at, 0, scratch, at->cols);
    for (int64_t r = 0; r < at->rows; r++) {
        t->ex->vec->residual(j->y + (at->row + r) * j->ldy + at->col, scratch + r * at->cols, b, scale, at->cols);
    }
}

static void run_gated(const tiling *t, const tile *at, float *scratch)
{
    const pare__linear_job *j = t->job;
    const pare__vec *vec = t->ex->vec;
    const float *b = j->linear->b;
    float *gate = scratch, *up = scratch + at->rows * at->cols;
    product(t, at, 0, gate, at->cols);
    product(t, at, t->n_out, up, at->cols);
    for (int64_t r = 0; r < at->rows; r++) {
        float *g = gate + r * at->cols, *u = up + r * at->cols;
        if (b) vec->bias(g, b + at->col, at->cols);
        if (b) vec->bias(u, b + t->n_out + at->col, at->cols);
        vec->silu_mul(j->y + (at->row + r) * j->ldy + at->col, g, u, at->cols);
    }
}

static void run_tile(void *arg, int64_t task, int32_t worker)
{
    const tiling *t = (const tiling *)arg;
    tile at = tile_at(t, task);
    float *scratch = t->ex->scratch + worker * t->ex->scratch_size;
    if (at.rows == 0 || at.cols == 0) return;
    if (t->job->epilogue == PARE__EPILOGUE_RESIDUAL)
        run_residual(t, &at, scratch);
    else if (t->job->epilogue == PARE__EPILOGUE_GATED)
        run_gated(t, &at, scratch);
    else
        run_direct(t, &at);
}

void pare__linear_run(const pare__exec *ex, const pare__linear_job *job)
{
    tiling t = {.ex = ex, .job = job, .n_out = job->linear->n_out};
    if (job->epilogue == PARE__EPILOGUE_GATED) t.n_out /= 2;
    cut(&t);
    if (ex->flops) *ex->flops += 2.0 * (double)job->rows * job->linear->n_in * job->linear->n_out;
    pare__pool_run(ex->pool, t.n_row_tile * t.n_col_tile, run_tile, &t);
}

/* ---- norms ------------------------------------------------------------------------------------------------------ */

typedef struct norm_job {
    const pare__vec *vec;
    const pare__norm_w *w;
    const float *x;
    float *out;
    pare__norm_kind kind;
    float eps;
    int64_t rows, d;
} norm_job;

static void norm_rows(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const norm_job *j = (const norm_job *)arg;
    int64_t last = min64((task + 1) * PARE__ROW_GRAIN, j->rows);
    for (int64_t r = task * PARE__ROW_GRAIN; r < last; r++) {
        const float *x = j->x + r * j->d;
        float *out = j->out + r * j->d;
        if (j->kind == PARE__NORM_RMS)
            j->vec->rms_norm(out, x, j->w->w, j->d, j->eps);
        else
            j->vec->layer_norm(out, x, j->w->w, j->w->b, j->d, j->eps);
    }
}

void pare__norm_run(const pare__exec *ex, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t rows, int64_t d, float *out)
{
    norm_job j = {ex->vec, w, x, out, kind, eps, rows, d};
    pare__pool_run(ex->pool, ceil_div(rows, PARE__ROW_GRAIN), norm_rows, &j);
}
