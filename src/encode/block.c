/* SPDX-License-Identifier: MIT */
/* One pre-norm block over the whole pack, x [n, dim]:
 *   x += scale1 * proj(attention(norm1 x));   x += scale2 * fc2(act(fc1(norm2 x)))
 * with sites before (PRE), between attention and MLP (MID) and after (POST), and the arrays that the plan wants. Attention
 * sees the rows of a segment, or those of an attention window. */
#include <math.h>

#include "encode/parts.h"

/* A merged token counts as often as the tokens it stands for: log(size) on its column of scores. */
static const float *log_sizes(pare__encoder *e)
{
    const pare__pack *p = &e->pack;
    if (!p->has_size || e->plan.unbiased) return NULL;
    int32_t seg = 0;
    for (int64_t u = 0; u < p->n_unit; u++) {
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &seg, &row);
        const float bias = logf(p->size[u]);
        for (int32_t i = 0; i < n; i++) e->log_size[row + i] = bias;
    }
    return e->log_size;
}

/* y = epilogue of x times the layer's weights, over all rows of the pack; x as it is leaves rows a stride apart, what is
 * normalised first (the hidden state) is dense. */
static pare__linear_job layer(const pare__encoder *e, const pare__prepared *w, const pare__linear *l,
                              const pare__norm_w *norm, const float *x, float *y, pare__epilogue epilogue)
{
    const pare__hparams *hp = &e->m->hp;
    return (pare__linear_job){.w = w,
                              .bias = l->b,
                              .norm = norm,
                              .norm_kind = hp->norm,
                              .eps = hp->eps,
                              .x = x,
                              .ldx = norm ? l->n_in : pare__float_stride(l->n_in),
                              .y = y,
                              .ldy = l->n_out,
                              .rows = e->pack.n,
                              .epilogue = epilogue,
                              .act = hp->act};
}

/* wide [n, 3 dim] = q | k | v of the block, turned by their places */
static void find_qkv(const pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    pare__linear_job job =
        layer(e, &e->weights->block[block].qkv, &w->qkv, &w->norm1, e->pack.x, e->wide, PARE__EPILOGUE_BIAS);
    pare__linear_run(&e->ex, &job, 1);
    if (e->m->hp.rope) pare__rope_run(e);
}

static pare__attention_job attention_job(pare__encoder *e, int32_t block)
{
    const pare__hparams *hp = &e->m->hp;
    pare__attention_job job = {.qkv = e->wide,
                               .n_head = hp->n_head,
                               .head_dim = hp->dim / hp->n_head,
                               .n_seg = e->pack.n_seg,
                               .cu = e->pack.cu,
                               .log_size = log_sizes(e),
                               .out = e->h,
                               .ldo = pare__float_stride(hp->dim),
                               .part = e->part};
    if (hp->window == 0 || hp->is_full[block]) return job;
    const pare__windows *w = pare__windows_get(e);
    job.n_seg = w->n;
    job.cu = w->cu;
    job.order = w->order;
    return job;
}

/* The block's own arrays for a site that stands before it. */
static int run_ahead(pare__encoder *e, int32_t block, pare_error *err)
{
    find_qkv(e, block);
    pare__capture_qkv(e, block);
    if (e->plan.want[block] & (PARE__WANT_CLS_ROW | PARE__WANT_COL_MEAN)) {
        pare__attention_job job = attention_job(e, block);
        job.out = NULL;
        pare__capture_attention_begin(e, block, &job);
        pare__attention_run(&e->ex, &job);
        pare__capture_attention_end(e, &job);
    }
    return pare__capture_emit(e, block, err);
}

static int attention(pare__encoder *e, int32_t block, pare_error *err)
{
    const pare__block_w *w = &e->m->w.block[block];
    const int is_ahead = e->plan.ahead[block];
    find_qkv(e, block);
    if (!is_ahead) pare__capture_qkv(e, block);
    pare__attention_job job = attention_job(e, block);
    if (!is_ahead) pare__capture_attention_begin(e, block, &job);
    pare__attention_run(&e->ex, &job);
    if (!is_ahead) pare__capture_attention_end(e, &job);
    pare__linear_job proj =
        layer(e, &e->weights->block[block].proj, &w->proj, NULL, e->h, e->pack.x, PARE__EPILOGUE_RESIDUAL);
    proj.scale = w->scale1;
    pare__linear_run(&e->ex, &proj, 1);
    return is_ahead ? 0 : pare__capture_emit(e, block, err);
}

static void mlp(const pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    const pare__engine_block *prepared = &e->weights->block[block];
    const pare__epilogue act = e->m->hp.gated ? PARE__EPILOGUE_GATED : PARE__EPILOGUE_ACT;
    pare__linear_job job[] = {layer(e, &prepared->fc1, &w->fc1, &w->norm2, e->pack.x, e->wide, act),
                              layer(e, &prepared->fc2, &w->fc2, NULL, e->wide, e->pack.x, PARE__EPILOGUE_RESIDUAL)};
    job[0].ldy = job[1].ldx;
    job[1].scale = w->scale2;
    pare__linear_run(&e->ex, job, 2);
}

int pare__block_run(pare__encoder *e, int32_t block, pare_error *err)
{
    pare__capture_tokens(e, block);
    int rc = e->plan.ahead[block] ? run_ahead(e, block, err) : 0;
    if (rc == 0) rc = pare__site_run(e, block, PARE__PHASE_PRE, err);
    if (rc == 0) rc = attention(e, block, err);
    if (rc == 0) rc = pare__site_run(e, block, PARE__PHASE_MID, err);
    if (rc < 0) return rc;
    mlp(e, block);
    rc = pare__site_run(e, block, PARE__PHASE_POST, err);
    if (rc < 0) return rc;
    pare__capture_release(e, block);
    return pare__stage_emit(e, "hidden", block, e->pack.x, e->pack.n, e->pack.d, err);
}
