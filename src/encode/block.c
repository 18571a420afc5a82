/* SPDX-License-Identifier: MIT */
/* One pre-norm block over the whole pack:
 *   x += scale1 * proj(attention(norm1 x));   x += scale2 * fc2(act(fc1(norm2 x)))
 * with sites before (PRE), between attention and MLP (MID) and after (POST), and the arrays that the plan wants. */
#include <math.h>
#include <string.h>

#include "encode/parts.h"

float *pare__capture_take(pare__encoder *e, int32_t block, uint32_t what)
{
    if (!(e->plan.want[block] & what)) return NULL;
    const pare__capture *c = &e->capture[e->n_taken++];
    e->live[e->pack.n_capture++] = *c;
    return c->data;
}

/* The captures of a block end with it, unless a later site or the output reads them. */
static void release_captures(pare__encoder *e, int32_t block)
{
    int32_t n = 0;
    for (int32_t i = 0; i < e->pack.n_capture; i++)
        if (e->live[i].block != block || (e->plan.hold[block] & e->live[i].what)) e->live[n++] = e->live[i];
    e->pack.n_capture = n;
}

/* Columns [col, col + width) of qkv [n, 3 dim]. */
static void copy_columns(const pare__encoder *e, int64_t col, int64_t width, float *out)
{
    if (!out) return;
    int64_t ld = (int64_t)3 * e->pack.d;
    for (int64_t i = 0; i < e->pack.n; i++) {
        memcpy(out + i * width, e->wide + i * ld + col, (size_t)width * sizeof(float));
    }
}

/* Keys, mean over heads: [n, head_dim] */
static void mean_keys(const pare__encoder *e, float *out)
{
    if (!out) return;
    int64_t dim = e->pack.d, n_head = e->m->hp.n_head, hd = dim / n_head;
    memset(out, 0, (size_t)e->pack.n * (size_t)hd * sizeof(float));
    for (int64_t i = 0; i < e->pack.n; i++) {
        const float *k = e->wide + i * 3 * dim + dim;
        for (int64_t h = 0; h < n_head; h++) e->ex.vec->axpy(out + i * hd, 1.0f / (float)n_head, k + h * hd, hd);
    }
}

static void capture_qkv(pare__encoder *e, int32_t block)
{
    int64_t d = e->pack.d;
    copy_columns(e, 0, d, pare__capture_take(e, block, PARE__WANT_Q));
    copy_columns(e, d, d, pare__capture_take(e, block, PARE__WANT_K));
    copy_columns(e, 2 * d, d, pare__capture_take(e, block, PARE__WANT_V));
    mean_keys(e, pare__capture_take(e, block, PARE__WANT_K_MEAN));
}

static void capture_tokens(pare__encoder *e, int32_t block)
{
    float *out = pare__capture_take(e, block, PARE__WANT_TOKENS);
    if (out) memcpy(out, e->pack.x, (size_t)e->pack.n * (size_t)e->pack.d * sizeof(float));
}

/* A merged token counts as often as the tokens it stands for: log(size) on its column of scores. */
static const float *log_sizes(pare__encoder *e)
{
    if (!e->pack.has_size || e->plan.unbiased) return NULL;
    for (int64_t i = 0; i < e->pack.n; i++) e->log_size[i] = logf(e->pack.size[i]);
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

static void attention(pare__encoder *e, int32_t block)
{
    const pare__block_w *w = &e->m->w.block[block];
    const pare__hparams *hp = &e->m->hp;
    pare__pack *p = &e->pack;
    pare__norm_run(&e->ex, hp->norm, &w->norm1, hp->eps, p->x, p->n, p->d, e->h);
    linear(e, &w->qkv, e->h, e->wide, w->qkv.n_out, PARE__EPILOGUE_BIAS, NULL);
    capture_qkv(e, block);
    pare__attention_job job = {.qkv = e->wide,
                               .n_head = hp->n_head,
                               .head_dim = hp->dim / hp->n_head,
                               .n_seg = p->n_seg,
                               .cu = p->cu,
                               .log_size = log_sizes(e),
                               .out = e->h,
                               .part = e->part};
    job.cls_row = pare__capture_take(e, block, PARE__WANT_CLS_ROW);
    job.col_mean = pare__capture_take(e, block, PARE__WANT_COL_MEAN);
    pare__attention_run(&e->ex, &job);
    linear(e, &w->proj, e->h, p->x, p->d, PARE__EPILOGUE_RESIDUAL, w->scale1);
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

/* The captures of this block, under the names of the fixtures. */
static int emit_captures(const pare__encoder *e, int32_t block, pare_error *err)
{
    static const struct {
        uint32_t what;
        const char *name;
    } stages[] = {
        {PARE__WANT_K_MEAN, "keys"}, {PARE__WANT_CLS_ROW, "attn.cls_row"}, {PARE__WANT_COL_MEAN, "attn.col_mean"}};
    for (int32_t i = 0; i < e->pack.n_capture; i++) {
        const pare__capture *c = &e->pack.capture[i];
        for (size_t s = 0; s < sizeof stages / sizeof *stages && c->block == block; s++) {
            if (c->what != stages[s].what) continue;
            int rc = pare__stage_emit(e, stages[s].name, block, c->data, c->width, err);
            if (rc < 0) return rc;
        }
    }
    return 0;
}

int pare__block_run(pare__encoder *e, int32_t block, pare_error *err)
{
    capture_tokens(e, block);
    int rc = pare__site_run(e, block, PARE__PHASE_PRE, err);
    if (rc < 0) return rc;
    attention(e, block);
    rc = emit_captures(e, block, err);
    if (rc == 0) rc = pare__site_run(e, block, PARE__PHASE_MID, err);
    if (rc < 0) return rc;
    mlp(e, block);
    rc = pare__site_run(e, block, PARE__PHASE_POST, err);
    if (rc < 0) return rc;
    release_captures(e, block);
    return pare__stage_emit(e, "hidden", block, e->pack.x, e->pack.d, err);
}
