/* SPDX-License-Identifier: MIT */
/* Linear layers and norms as tasks of the pool.
 *
 * A layer: rows of x, normalised where asked, become the engine's operand (f32, bf16, or 8 bits with a scale and a zero
 * point per row); a row tile times a panel of prepared weights lands in a worker's scratch and is finished there: back to
 * floats, bias, activation, gate or residual, then y.
 *
 * Few rows for the threads there are: every layer of a chain is cut into row tiles x panels, one layer after the other.
 * Many rows: a task takes its row tile through the whole chain, and what lies between two layers goes where that of the
 * worker's last tile went, so that it stays in its cache. The products are the same ones, cut by shape. */
#include <string.h>

#include "core/mem.h"
#include "encode/parts.h"

typedef struct chain {
    const pare__exec *ex;
    const pare__linear_job *job; /* [n] */
    int32_t n;
    int64_t n_tile; /* of rows */
    int64_t pitch;  /* bytes of the operand per row: those of the widest layer that needs one */
    int64_t most;   /* rows of a tile: what lies between two layers takes so many per worker */
} chain;

/* Rows [first, first + n) of a layer; what the engine multiplies of them begins at `base` bytes of the operand. */
typedef struct tile {
    int64_t first, n, base;
} tile;

/* ---- operands ---------------------------------------------------------------------------------------------------- */

void pare__norm_row(const pare__vec *vec, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t d, float *out)
{
    if (kind == PARE__NORM_RMS)
        vec->rms_norm(out, x, w->w, d, eps);
    else
        vec->layer_norm(out, x, w->w, w->b, d, eps);
}

static int is_as_it_is(const pare__linear_job *j)
{
    return !j->norm && j->w->engine->operand == PARE__OPERAND_F32 && j->ldx == pare__float_stride(j->w->n_in);
}

/* Bytes between rows of what the engine multiplies. */
static int64_t operand_bytes(const pare__linear_job *j)
{
    const pare__operand kind = j->w->engine->operand;
    return pare__operand_stride(kind, j->w->n_in) * pare__operand_size(kind);
}

/* Bytes per row that no layer of the chain exceeds; tiles begin at whole cache lines. */
static int64_t widest_pitch(const pare__linear_job *job, int32_t n)
{
    int64_t pitch = 0;
    for (int32_t i = 0; i < n; i++)
        if (!is_as_it_is(&job[i]) && operand_bytes(&job[i]) > pitch) pitch = operand_bytes(&job[i]);
    return pare__ceil_div(pitch, PARE__ALIGN) * PARE__ALIGN;
}

static const void *operand_at(const pare__exec *ex, const pare__linear_job *j, tile at)
{
    return is_as_it_is(j) ? (const void *)(j->x + at.first * j->ldx) : ex->operand + at.base;
}

/* One row of x, normalised into `spare` where asked, becomes the operand's row r. */
static void convert_row(const pare__exec *ex, const pare__linear_job *j, tile at, int64_t r, float *spare)
{
    const int64_t k = j->w->n_in;
    const float *x = j->x + r * j->ldx;
    void *to = ex->operand + at.base + (r - at.first) * operand_bytes(j);
    const pare__operand kind = j->w->engine->operand;
    if (j->norm) {
        float *normed = kind == PARE__OPERAND_F32 ? to : spare;
        pare__norm_row(ex->vec, j->norm_kind, j->norm, j->eps, x, k, normed);
        x = normed;
    }
    if (kind == PARE__OPERAND_BF16)
        ex->vec->f32_to_bf16(to, x, k);
    else if (kind == PARE__OPERAND_U8)
        ex->vec->quantise(to, x, k, &ex->row_scale[r], &ex->row_zero[r]);
    else if (!j->norm)
        memcpy(to, x, (size_t)k * sizeof(float));
}

static void prepare_rows(const pare__exec *ex, const pare__linear_job *j, tile at, int32_t worker)
{
    float *spare = ex->scratch + worker * ex->scratch_size;
    for (int64_t r = at.first; r < at.first + at.n; r++) convert_row(ex, j, at, r, spare);
}

/* ---- epilogues: acc [n, cols] of a tile that begins at row at.first ------------------------------------------------ */

void pare__activate(const pare__vec *vec, pare__act act, float *y, const float *x, const float *b, int64_t n)
{
    if (act == PARE__ACT_GELU)
        vec->bias_gelu(y, x, b, n);
    else if (act == PARE__ACT_GELU_TANH)
        vec->bias_gelu_tanh(y, x, b, n);
    else
        vec->bias_gelu_quick(y, x, b, n);
}

static int is_bytes(const pare__linear_job *j) { return j->w->engine->operand == PARE__OPERAND_U8; }

/* acc [n, cols] of 8-bit operands. */
static pare__product8 product_of(const pare__exec *ex, const pare__linear_job *j, tile at, pare__columns c,
                                 const float *acc)
{
    return (pare__product8){.acc = (const int32_t *)(const void *)acc,
                            .x_scale = ex->row_scale + at.first,
                            .x_zero = ex->row_zero + at.first,
                            .w_scale = j->w->scale + c.first,
                            .b = j->bias ? j->bias + c.first : NULL,
                            .w_sum = j->w->sum + c.first,
                            .rows = at.n,
                            .n = c.n};
}

/* y = act(p) */
static void activate_product(const pare__vec *vec, pare__act act, float *y, int64_t ldy, const pare__product8 *p)
{
    if (act == PARE__ACT_GELU)
        vec->dequantise_gelu(y, ldy, p);
    else if (act == PARE__ACT_GELU_TANH)
        vec->dequantise_gelu_tanh(y, ldy, p);
    else
        vec->dequantise_gelu_quick(y, ldy, p);
}

static void finish_bytes(const pare__exec *ex, const pare__linear_job *j, tile at, pare__columns c, const float *acc)
{
    const pare__product8 p = product_of(ex, j, at, c, acc);
    float *y = j->y + at.first * j->ldy + c.first;
    if (j->epilogue == PARE__EPILOGUE_RESIDUAL)
        ex->vec->dequantise_add(y, j->ldy, &p, j->scale ? j->scale + c.first : NULL);
    else if (j->epilogue == PARE__EPILOGUE_ACT)
        activate_product(ex->vec, j->act, y, j->ldy, &p);
    else
        ex->vec->dequantise(y, j->ldy, &p);
}

static void finish_floats(const pare__exec *ex, const pare__linear_job *j, tile at, pare__columns c, const float *acc)
{
    const pare__vec *vec = ex->vec;
    const float *b = j->bias ? j->bias + c.first : NULL, *scale = j->scale ? j->scale + c.first : NULL;
    for (int64_t r = 0; r < at.n; r++, acc += c.n) {
        float *y = j->y + (at.first + r) * j->ldy + c.first;
        if (j->epilogue == PARE__EPILOGUE_RESIDUAL)
            vec->residual(y, acc, b, scale, c.n);
        else if (j->epilogue == PARE__EPILOGUE_ACT)
            pare__activate(vec, j->act, y, acc, b, c.n);
        else if (b)
            vec->bias(y, acc, b, c.n);
        else
            memcpy(y, acc, (size_t)c.n * sizeof(float));
    }
}

/* y = act(gate) * up of a row; the gate is lost. */
static void pass_gate(const pare__vec *vec, pare__act act, float *y, float *gate, const float *up, int64_t n)
{
    if (act == PARE__ACT_SILU) {
        vec->silu_mul(y, gate, up, n);
        return;
    }
    pare__activate(vec, act, gate, gate, NULL, n);
    for (int64_t i = 0; i < n; i++) y[i] = gate[i] * up[i];
}

/* Rows of a panel with their bias, in place. */
static void widen(const pare__exec *ex, const pare__linear_job *j, tile at, pare__columns c, float *acc)
{
    if (is_bytes(j)) {
        const pare__product8 p = product_of(ex, j, at, c, acc);
        ex->vec->dequantise(acc, c.n, &p);
    } else if (j->bias) {
        for (int64_t r = 0; r < at.n; r++, acc += c.n) ex->vec->bias(acc, acc, j->bias + c.first, c.n);
    }
}

static void finish_gated(const pare__exec *ex, const pare__linear_job *j, tile at, pare__columns c, float *gate,
                         float *up)
{
    widen(ex, j, at, c, gate);
    widen(ex, j, at, (pare__columns){c.first + j->w->n_out / 2, c.n}, up);
    for (int64_t r = 0; r < at.n; r++, gate += c.n, up += c.n)
        pass_gate(ex->vec, j->act, j->y + (at.first + r) * j->ldy + c.first, gate, up, c.n);
}

/* ---- one tile times one panel ------------------------------------------------------------------------------------ */

/* acc = x W^T of the panel, as the engine leaves it. */
static void multiply(const pare__exec *ex, const pare__linear_job *j, tile at, int32_t panel, float *acc, void *room)
{
    const pare__prepared *w = j->w;
    if (w->engine->product(w, panel, at.n, operand_at(ex, j, at), acc, room)) atomic_store(ex->failed, 1);
}

static void run_panel(const pare__exec *ex, const pare__linear_job *j, tile at, int32_t panel, int32_t worker)
{
    const pare__columns c = pare__panel_columns(j->w, panel);
    float *acc = ex->scratch + worker * ex->scratch_size;
    float *second = acc + PARE__TILE_FLOATS, *room = second + PARE__TILE_FLOATS;
    multiply(ex, j, at, panel, acc, room);
    if (j->epilogue == PARE__EPILOGUE_GATED) {
        multiply(ex, j, at, panel + j->w->n_panel, second, room);
        finish_gated(ex, j, at, c, acc, second);
    } else {
        (is_bytes(j) ? finish_bytes : finish_floats)(ex, j, at, c, acc);
    }
}

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

/* Tiles of about equal height, cut at multiples of PARE__GRAIN_ROWS; two threads share them evenly. */
static int64_t count_tiles(int64_t rows, int64_t tile_rows)
{
    const int64_t n = pare__ceil_div(rows, tile_rows);
    return n > 1 ? n + n % 2 : n;
}

static tile tile_at(const chain *c, int64_t i)
{
    const int64_t rows = c->job->rows, grains = pare__ceil_div(rows, PARE__GRAIN_ROWS);
    const int64_t first = pare__slice(grains, i, c->n_tile) * PARE__GRAIN_ROWS;
    return (tile){first, pare__min64(pare__slice(grains, i + 1, c->n_tile) * PARE__GRAIN_ROWS, rows) - first,
                  first * c->pitch};
}

static void prepare_grain(void *arg, int64_t task, int32_t worker)
{
    const chain *c = (const chain *)arg;
    const int64_t first = task * PARE__ROW_GRAIN;
    prepare_rows(c->ex, c->job, (tile){first, pare__min64(PARE__ROW_GRAIN, c->job->rows - first), first * c->pitch},
                 worker);
}

static void run_tile(void *arg, int64_t task, int32_t worker)
{
    const chain *c = (const chain *)arg;
    const tile at = tile_at(c, task % c->n_tile);
    if (at.n > 0) run_panel(c->ex, c->job, at, (int32_t)(task / c->n_tile), worker);
}

static void run_through(void *arg, int64_t task, int32_t worker)
{
    const chain *c = (const chain *)arg;
    const tile at = tile_at(c, task), here = {0, at.n, worker * c->most * c->pitch};
    pare__exec ex = *c->ex;
    if (ex.row_scale) ex.row_scale += at.first, ex.row_zero += at.first;
    for (int32_t i = 0; at.n > 0 && i < c->n; i++) {
        pare__linear_job j = c->job[i];
        j.x += (i == 0 ? at.first : worker * c->most) * j.ldx;
        j.y += (i + 1 == c->n ? at.first : worker * c->most) * j.ldy;
        if (!is_as_it_is(&j)) prepare_rows(&ex, &j, here, worker);
        for (int32_t p = 0; p < j.w->n_panel; p++) run_panel(&ex, &j, here, p, worker);
    }
}

static void run_one(const pare__exec *ex, const pare__linear_job *job)
{
    const pare__engine *e = job->w->engine;
    chain c = {.ex = ex, .job = job, .n = 1, .n_tile = count_tiles(job->rows, e->tile_rows)};
    c.pitch = operand_bytes(job);
    if (!is_as_it_is(job)) pare__pool_run(ex->pool, pare__grains(job->rows), prepare_grain, &c);
    const int64_t n_panel =
        job->epilogue == PARE__EPILOGUE_GATED ? job->w->n_panel : (int64_t)job->w->n_panel * job->w->n_part;
    pare__pool_run(ex->pool, c.n_tile * n_panel, run_tile, &c);
}

void pare__linear_run(const pare__exec *ex, const pare__linear_job *job, int32_t n)
{
    const pare__engine *e = job->w->engine;
    if (job->rows == 0) return;
    for (int32_t i = 0; ex->flops && i < n; i++)
        *ex->flops += 2.0 * (double)job[i].rows * job[i].w->n_in * job[i].w->n_out;
    const int64_t n_tile = count_tiles(job->rows, e->tile_rows), room = pare__round_up(job->rows, PARE__GRAIN_ROWS);
    chain c = {.ex = ex, .job = job, .n = n, .n_tile = n_tile, .pitch = widest_pitch(job, n)};
    c.most = pare__round_up(pare__ceil_div(room, n_tile), PARE__GRAIN_ROWS);
    if (job->rows >= e->chain_rows && pare__pool_threads(ex->pool) * c.most <= room)
        pare__pool_run(ex->pool, n_tile, run_through, &c);
    else
        for (int32_t i = 0; i < n; i++) run_one(ex, &job[i]);
}

/* ---- norms ------------------------------------------------------------------------------------------------------- */

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
    const int64_t end = pare__grain_end(task, j->rows);
    for (int64_t r = task * PARE__ROW_GRAIN; r < end; r++)
        pare__norm_row(j->vec, j->kind, j->w, j->eps, j->x + r * j->d, j->d, j->out + r * j->d);
}

void pare__norm_run(const pare__exec *ex, pare__norm_kind kind, const pare__norm_w *w, float eps, const float *x,
                    int64_t rows, int64_t d, float *out)
{
    norm_job j = {ex->vec, w, x, out, kind, eps, rows, d};
    pare__pool_run(ex->pool, pare__grains(rows), norm_rows, &j);
}
