/* SPDX-License-Identifier: MIT */
/* One pre-norm block over the whole pack, x [n, dim]:
 *   x += scale1 * proj(attention(norm1 x));   x += scale2 * fc2(act(fc1(norm2 x)))
 * with sites before (PRE), between attention and MLP (MID) and after (POST), and the arrays that the plan wants. Attention
 * sees the rows of a segment, or those of an attention window. */
#include <math.h>

#include "encode/parts.h"

/* Patch i of the unit at thw is padding. */
static int is_padding(const pare__encoder *e, int32_t seg, const int32_t *thw, int32_t i)
{
    const int32_t unit = e->m->hp.unit;
    return thw[1] * unit + i / unit >= e->valid[seg].rows || thw[2] * unit + i % unit >= e->valid[seg].cols;
}

/* A merged token counts as often as the tokens it stands for: log(size) on its column of scores. Padding is out of sight
 * whether sizes count or not. */
static const float *log_sizes(pare__encoder *e)
{
    const pare__pack *p = &e->pack;
    const int counts = p->has_size && !e->plan.unbiased;
    if (!counts && !e->has_padding) return NULL;
    int32_t seg = 0;
    for (int64_t u = 0; u < p->n_unit; u++) {
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &seg, &row);
        const float bias = counts || p->size[u] == 0 ? logf(p->size[u]) : 0;
        for (int32_t i = 0; i < n; i++)
            e->log_size[row + i] = e->has_padding && is_padding(e, seg, p->thw + 3 * u, i) ? -INFINITY : bias;
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

typedef struct qk_job {
    const pare__encoder *e;
    const pare__block_w *w;
} qk_job;

static void norm_qk_rows(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const qk_job *j = (const qk_job *)arg;
    const pare__hparams *hp = &j->e->m->hp;
    const int is_row = hp->qk_norm == PARE__QK_NORM_ROW;
    const int64_t width = is_row ? hp->dim : hp->dim / hp->n_head, end = pare__grain_end(task, j->e->pack.n);
    const pare__norm_kind kind = is_row ? PARE__NORM_RMS : hp->norm;
    for (int64_t r = task * PARE__ROW_GRAIN; r < end; r++) {
        float *q = j->e->wide + r * 3 * hp->dim;
        for (int64_t at = 0; at < 2 * (int64_t)hp->dim; at += width) {
            const pare__norm_w *w = at < hp->dim ? &j->w->q_norm : &j->w->k_norm;
            if (w->w) pare__norm_row(j->e->ex.vec, kind, w, hp->eps, q + at, width, q + at);
        }
    }
}

/* wide [n, 3 dim] = q | k | v of the block, normed where the family does, turned by their places */
static void find_qkv(const pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    pare__linear_job job =
        layer(e, &e->weights->block[block].qkv, &w->qkv, &w->norm1, e->pack.x, e->wide, PARE__EPILOGUE_BIAS);
    pare__linear_run(&e->ex, &job, 1);
    if (e->m->hp.qk_norm) pare__pool_run(e->ex.pool, pare__grains(e->pack.n), norm_qk_rows, &(qk_job){.e = e, .w = w});
    if (e->m->hp.rope) pare__rope_run(e);
}

/* Steps that attend to each other are one segment of attention. */
static void join_groups(pare__encoder *e, pare__attention_job *job)
{
    pare__groups *g = &e->groups;
    for (int32_t i = 0; i <= g->n; i++) g->cu[i] = e->pack.cu[g->first[i]];
    job->n_seg = g->n;
    job->cu = g->cu;
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
    if (e->groups.n) join_groups(e, &job);
    pare__past_offer(e, block, &job);
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
    pare__past_take(e, block);
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
    rc = pare__stage_emit(e, "hidden", block, e->pack.x, e->pack.n, e->pack.d, err);
    return rc ? rc : pare__deepstack_run(e, block, err);
}
