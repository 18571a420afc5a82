/* SPDX-License-Identifier: MIT */
/* One pre-norm block over the pack, x [n, dim], stretch by stretch:
 *   x += scale1 * proj(attention(norm1 x));   x += scale2 * fc2(act(fc1(norm2 x)))
 * with sites before (PRE), between attention and MLP (MID) and after (POST), and the arrays that the plan wants. Between
 * sites and captures a stretch goes through all steps at once; what they leave on the way is on its desk only. */
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

/* What a stretch goes through in one run. */
enum { QKV = 1, ATTENTION = 2, PROJ = 4, MLP = 8 };

typedef struct pass {
    pare__encoder *e;
    int32_t block;
    unsigned steps;
    int keeps_qkv;            /* in rows of e->wide: somebody wants those of the whole pack */
    pare__attention_job rows; /* of the pack: log sizes, and what else is wanted of attention */
} pass;

/* ---- a stretch ---------------------------------------------------------------------------------------------------- */

/* y = epilogue of x times the layer's weights, over the rows of a stretch; x as it is leaves rows a stride apart, what is
 * normalised first (the hidden state) is dense. */
static pare__linear_job layer(const pare__encoder *e, const pare__stretch *s, const pare__prepared *w,
                              const pare__linear *l, const pare__norm_w *norm, const float *x, float *y,
                              pare__epilogue epilogue)
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
                              .rows = s->n,
                              .epilogue = epilogue,
                              .act = hp->act};
}

typedef struct qk_job {
    const pare__encoder *e;
    const pare__block_w *w;
    float *qkv; /* [n, 3 dim] */
    int64_t n;
} qk_job;

static void norm_qk_rows(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const qk_job *j = (const qk_job *)arg;
    const pare__hparams *hp = &j->e->m->hp;
    const int is_row = hp->qk_norm == PARE__QK_NORM_ROW;
    const int64_t width = is_row ? hp->dim : hp->dim / hp->n_head, end = pare__grain_end(task, j->n);
    const pare__norm_kind kind = is_row ? PARE__NORM_RMS : hp->norm;
    for (int64_t r = task * PARE__ROW_GRAIN; r < end; r++) {
        float *q = j->qkv + r * 3 * hp->dim;
        for (int64_t at = 0; at < 2 * (int64_t)hp->dim; at += width) {
            const pare__norm_w *w = at < hp->dim ? &j->w->q_norm : &j->w->k_norm;
            if (w->w) pare__norm_row(j->e->ex.vec, kind, w, hp->eps, q + at, width, q + at);
        }
    }
}

static float *hidden(const pare__encoder *e, const pare__stretch *s) { return e->pack.x + s->row * e->pack.d; }

static float *qkv_of(const pass *p, const pare__stretch *s, const pare__desk *d)
{
    return p->keeps_qkv ? p->e->wide + s->row * 3 * p->e->pack.d : d->wide;
}

/* qkv [n, 3 dim] = q | k | v of the block, normed where the family does, turned by their places */
static void find_qkv(const pass *p, const pare__stretch *s, const pare__desk *d)
{
    const pare__encoder *e = p->e;
    const pare__block_w *w = &e->m->w.block[p->block];
    const pare__engine_block *prepared = &e->weights->block[p->block];
    float *qkv = qkv_of(p, s, d);
    const pare__linear_job job =
        layer(e, s, &prepared->qkv, &w->qkv, &prepared->norm1.w, hidden(e, s), qkv, PARE__EPILOGUE_BIAS);
    pare__linear_run(&d->ex, &job, 1);
    if (e->m->hp.qk_norm) pare__pool_run(d->ex.pool, pare__grains(s->n), norm_qk_rows, &(qk_job){e, w, qkv, s->n});
    if (e->m->hp.rope) pare__rope_run(e, &d->ex, s, qkv);
}

/* Attention sees the rows of a segment, of a group, or of a window. */
static void attend(const pass *p, const pare__stretch *s, const pare__desk *d)
{
    pare__encoder *e = p->e;
    const pare__hparams *hp = &e->m->hp;
    pare__attention_job job = p->rows;
    job.qkv = qkv_of(p, s, d);
    job.n_seg = s->n_extent;
    job.cu = s->cu;
    job.out = p->steps & PROJ ? d->h : NULL;
    job.part = e->part + 2 * (int64_t)hp->n_head * s->row;
    if (job.log_size) job.log_size += s->row;
    if (job.cls_row) job.cls_row += s->row;
    if (job.col_mean) job.col_mean += s->row;
    if (job.past) job.past_cu += s->seg;
    if (hp->window > 0 && !hp->is_full[p->block]) {
        job.n_seg = e->windows.n;
        job.cu = e->windows.cu;
        job.order = e->windows.order;
    }
    pare__attention_run(&d->ex, &job);
}

static void project(const pass *p, const pare__stretch *s, const pare__desk *d)
{
    const pare__encoder *e = p->e;
    const pare__block_w *w = &e->m->w.block[p->block];
    pare__linear_job job =
        layer(e, s, &e->weights->block[p->block].proj, &w->proj, NULL, d->h, hidden(e, s), PARE__EPILOGUE_RESIDUAL);
    job.scale = w->scale1;
    pare__linear_run(&d->ex, &job, 1);
}

static void mlp(const pass *p, const pare__stretch *s, const pare__desk *d)
{
    const pare__encoder *e = p->e;
    const pare__block_w *w = &e->m->w.block[p->block];
    const pare__engine_block *prepared = &e->weights->block[p->block];
    const pare__epilogue act = e->m->hp.gated ? PARE__EPILOGUE_GATED : PARE__EPILOGUE_ACT;
    float *x = hidden(e, s);
    pare__linear_job job[] = {layer(e, s, &prepared->fc1, &w->fc1, &prepared->norm2.w, x, d->wide, act),
                              layer(e, s, &prepared->fc2, &w->fc2, NULL, d->wide, x, PARE__EPILOGUE_RESIDUAL)};
    job[0].ldy = job[1].ldx;
    job[1].scale = w->scale2;
    pare__linear_run(&d->ex, job, 2);
}

static void run_stretch(const void *arg, const pare__stretch *s, const pare__desk *d)
{
    const pass *p = (const pass *)arg;
    if (p->steps & QKV) find_qkv(p, s, d);
    if (p->steps & ATTENTION) attend(p, s, d);
    if (p->steps & PROJ) project(p, s, d);
    if (p->steps & MLP) mlp(p, s, d);
}

static void run(pass *p, unsigned steps)
{
    p->steps = steps;
    pare__stretches_run(p->e, run_stretch, p);
}

/* ---- the pack ----------------------------------------------------------------------------------------------------- */

static pass prepare(pare__encoder *e, int32_t block)
{
    const pare__hparams *hp = &e->m->hp;
    pass p = {.e = e, .block = block};
    p.rows = (pare__attention_job){.n_head = hp->n_head,
                                   .head_dim = hp->dim / hp->n_head,
                                   .log_size = log_sizes(e),
                                   .ldo = pare__float_stride(hp->dim)};
    pare__past_offer(e, block, &p.rows);
    pare__stretches_cut(e);
    if (hp->window) pare__windows_get(e);
    return p;
}

/* The block's own arrays for a site that stands before it. */
static int run_ahead(pare__encoder *e, int32_t block, pare_error *err)
{
    pass p = prepare(e, block);
    p.keeps_qkv = 1;
    run(&p, QKV);
    pare__capture_qkv(e, block);
    if (e->plan.want[block] & (PARE__WANT_CLS_ROW | PARE__WANT_COL_MEAN)) {
        pare__capture_attention_begin(e, block, &p.rows);
        run(&p, ATTENTION);
        pare__capture_attention_end(e, &p.rows);
    }
    return pare__capture_emit(e, block, err);
}

/* Attention, and the MLP too where nothing stands between them. */
static int attention(pare__encoder *e, int32_t block, unsigned rest, pare_error *err)
{
    const uint32_t of_qkv = PARE__WANT_Q | PARE__WANT_K | PARE__WANT_V | PARE__WANT_K_MEAN;
    const int is_ahead = e->plan.ahead[block];
    pass p = prepare(e, block);
    p.keeps_qkv = e->past.is_taken || (!is_ahead && (e->plan.want[block] & of_qkv));
    if (p.keeps_qkv) run(&p, QKV);
    if (!is_ahead) pare__capture_qkv(e, block);
    pare__past_take(e, block);
    if (!is_ahead) pare__capture_attention_begin(e, block, &p.rows);
    run(&p, p.keeps_qkv ? ATTENTION | PROJ : QKV | ATTENTION | PROJ | rest);
    if (!is_ahead) pare__capture_attention_end(e, &p.rows);
    if (p.keeps_qkv && rest) run(&p, rest);
    return is_ahead ? 0 : pare__capture_emit(e, block, err);
}

/* The site between attention and MLP, and the MLP of what it left. */
static int mid(pare__encoder *e, int32_t block, pare_error *err)
{
    const int rc = pare__site_run(e, block, PARE__PHASE_MID, err);
    if (rc < 0) return rc;
    pass p = prepare(e, block);
    run(&p, MLP);
    return rc;
}

int pare__block_run(pare__encoder *e, int32_t block, pare_error *err)
{
    const int has_mid = (e->plan.site[block] >> PARE__PHASE_MID) & 1;
    pare__capture_tokens(e, block);
    int rc = e->plan.ahead[block] ? run_ahead(e, block, err) : 0;
    if (rc == 0) rc = pare__site_run(e, block, PARE__PHASE_PRE, err);
    if (rc == 0) rc = attention(e, block, has_mid ? 0 : MLP, err);
    if (rc == 0 && has_mid) rc = mid(e, block, err);
    if (rc == 0) rc = pare__site_run(e, block, PARE__PHASE_POST, err);
    if (rc < 0) return rc;
    pare__capture_release(e, block);
    rc = pare__stage_emit(e, "hidden", block, e->pack.x, e->pack.n, e->pack.d, err);
    return rc ? rc : pare__deepstack_run(e, block, err);
}
