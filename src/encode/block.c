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

static void linear(const pare__encoder *e, const pare__linear *l, const float *x, float *y, int64_t ldy,
                   pare__epilogue epilogue, const float *scale)
{
    pare__linear_run(&e->ex, &(pare__linear_job){.linear = l,
                                                 .x = x,
                                                 .ldx = l->n_in,
                                                 .y = y,
                                                 .ldy = ldy,
                                                 .rows = e->pack.n,
                                                 .epilogue = epilogue,
                                                 .act = e->m->hp.act,
                                                 .scale = scale});
}

/* wide [n, 3 dim] = q | k | v of the block, turned by their places */
static void find_qkv(const pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    const pare__hparams *hp = &e->m->hp;
    const pare__pack *p = &e->pack;
    pare__norm_run(&e->ex, hp->norm, &w->norm1, hp->eps, p->x, p->n, p->d, e->h);
    linear(e, &w->qkv, e->h, e->wide, w->qkv.n_out, PARE__EPILOGUE_BIAS, NULL);
    if (hp->has_rope) pare__rope_run(e);
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
    linear(e, &w->proj, e->h, e->pack.x, e->pack.d, PARE__EPILOGUE_RESIDUAL, w->scale1);
    return is_ahead ? 0 : pare__capture_emit(e, block, err);
}

static void mlp(pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    const pare__hparams *hp = &e->m->hp;
    pare__pack *p = &e->pack;
    pare__norm_run(&e->ex, hp->norm, &w->norm2, hp->eps, p->x, p->n, p->d, e->h);
    linear(e, &w->fc1, e->h, e->wide, w->fc2.n_in, hp->gated ? PARE__EPILOGUE_GATED : PARE__EPILOGUE_ACT, NULL);
    linear(e, &w->fc2, e->wide, p->x, p->d, PARE__EPILOGUE_RESIDUAL, w->scale2);
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
