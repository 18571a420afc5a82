/* SPDX-License-Identifier: MIT */
/* Head: what a frame's final tokens say together. Means are weighted by size and a learned query adds log(size), so that
 * a merged token counts as often as the patches it stands for. [n_prefix, dim] and [n, dim] -> pooled [dim] -> logits
 * [n_class], joint embedding [n_embed].
 *
 * The learned query asks once per head, so keys and values are never made: with u = Wk' q the scores are u . x, and the
 * value of the weighted mean of rows is the weighted mean of values. Biases of keys shift all scores alike. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "core/vec.h"
#include "encode/parts.h"

enum {
    SCORE_TILE = 64, /* rows whose scores are known before any of them is added */
    MLP_TILE = 1024  /* hidden channels at a time */
};

/* Size-weighted mean of the tokens into out [dim]; `n_more` prefix rows count as one patch each. 0 when there are none. */
static int mean_tokens(int32_t dim, const float *more, int64_t n_more, const float *token, const float *size, int64_t n,
                       float *out)
{
    const pare__vec *vec = pare__vec_best();
    double total = (double)n_more;
    for (int64_t i = 0; i < n; i++) total += size ? (double)size[i] : 1.0;
    memset(out, 0, (size_t)dim * sizeof(float));
    if (total <= 0) return 0;
    for (int64_t i = 0; i < n_more; i++) vec->axpy(out, (float)(1 / total), more + i * dim, dim);
    for (int64_t i = 0; i < n; i++)
        vec->axpy(out, (float)((size ? (double)size[i] : 1.0) / total), token + i * dim, dim);
    return 1;
}

/* out [n_out] = W x + b, x in two parts of half [n_in / 2] each when `second` is given */
static void apply(const pare__linear *l, const float *x, const float *second, float *out)
{
    const pare__vec *vec = pare__vec_best();
    int64_t n = second ? l->n_in / 2 : l->n_in;
    for (int64_t i = 0; i < l->n_out; i++) {
        const float *w = l->w + i * l->n_in;
        out[i] = vec->dot(w, x, n) + (second ? vec->dot(w + n, second, n) : 0.0f) + (l->b ? l->b[i] : 0.0f);
    }
}

/* out [dim] = norm of row [dim]; without weights the row itself */
static void norm(const pare_model *m, const pare__norm_w *w, const float *row, float *out)
{
    const pare__hparams *hp = &m->hp;
    const float eps = w == &m->w.fc_norm && hp->fc_eps > 0 ? hp->fc_eps : hp->eps;
    if (!w->w)
        memcpy(out, row, (size_t)hp->dim * sizeof(float));
    else if (hp->norm == PARE__NORM_RMS)
        pare__vec_best()->rms_norm(out, row, w->w, hp->dim, eps);
    else
        pare__vec_best()->layer_norm(out, row, w->w, w->b, hp->dim, eps);
}

/* ---- the learned query ----------------------------------------------------------------------------------------- */

/* What one head looks for: u [dim], so that u . x is the score of row x but for a constant. */
static void ask(const pare_model *m, int32_t head, float *u)
{
    const pare__vec *vec = pare__vec_best();
    const pare__linear *qkv = &m->w.probe.qkv;
    const int64_t d = m->hp.dim, width = d / m->hp.n_head;
    const float scale = 1.0f / sqrtf((float)width);
    memset(u, 0, (size_t)d * sizeof(float));
    for (int64_t j = head * width; j < (head + 1) * width; j++) {
        const float q = vec->dot(qkv->w + j * d, m->w.probe.probe, d) + (qkv->b ? qkv->b[j] : 0.0f);
        vec->axpy(u, scale * q, qkv->w + (d + j) * d, d);
    }
}

/* Scores of rows [n, d] into score [n]; the largest. */
static float score_rows(const float *u, int64_t d, const float *row, const float *size, int64_t n, float *score)
{
    const pare__vec *vec = pare__vec_best();
    float top = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        score[i] = vec->dot(u, row + i * d, d) + (size ? logf(size[i]) : 0.0f);
        top = fmaxf(top, score[i]);
    }
    return top;
}

/* Mean of rows [n, d] by softmax of their scores into out [d], in one pass: what was added shrinks whenever a larger score
 * turns up. 0 when no row counts. */
static int look(const float *u, int64_t d, const float *row, const float *size, int64_t n, float *out)
{
    float score[SCORE_TILE], best = -INFINITY;
    double total = 0;
    memset(out, 0, (size_t)d * sizeof(float));
    for (int64_t at = 0; at < n; at += SCORE_TILE) {
        const int64_t n_row = n - at < SCORE_TILE ? n - at : SCORE_TILE;
        const float top = score_rows(u, d, row + at * d, size ? size + at : NULL, n_row, score);
        const float shrink = top > best ? expf(best - top) : 1.0f;
        best = fmaxf(best, top);
        if (best == -INFINITY) continue;
        for (int64_t c = 0; c < d && shrink < 1.0f; c++) out[c] *= shrink;
        total *= (double)shrink;
        for (int64_t i = 0; i < n_row; i++) {
            const float w = expf(score[i] - best);
            total += (double)w;
            pare__vec_best()->axpy(out, w, row + (at + i) * d, d);
        }
    }
    for (int64_t c = 0; c < d && total > 0; c++) out[c] = (float)(out[c] / total);
    return total > 0;
}

/* y [dim] += fc2(act(fc1 x)), x [dim] */
static void add_mlp(const pare_model *m, const float *x, float *y)
{
    const pare__vec *vec = pare__vec_best();
    const pare__linear *fc1 = &m->w.probe.fc1, *fc2 = &m->w.probe.fc2;
    float hidden[MLP_TILE];
    for (int64_t at = 0; at < fc1->n_out; at += MLP_TILE) {
        const int64_t n = fc1->n_out - at < MLP_TILE ? fc1->n_out - at : MLP_TILE;
        for (int64_t i = 0; i < n; i++) hidden[i] = vec->dot(fc1->w + (at + i) * fc1->n_in, x, fc1->n_in);
        pare__activate(vec, m->hp.act, hidden, hidden, fc1->b ? fc1->b + at : NULL, n);
        for (int64_t i = 0; i < fc2->n_out; i++) y[i] += vec->dot(fc2->w + i * fc2->n_in + at, hidden, n);
    }
    if (fc2->b) vec->bias(y, y, fc2->b, fc2->n_out);
}

/* The head of a learned query into out [dim]; 0 when no row counts. */
static int pool_probe(const pare_model *m, const float *token, const float *size, int64_t n, float *out)
{
    float a[PARE__MAX_DIM], b[PARE__MAX_DIM];
    const pare__probe_w *w = &m->w.probe;
    const int64_t d = m->hp.dim, width = d / m->hp.n_head;
    for (int32_t head = 0; head < m->hp.n_head; head++) {
        ask(m, head, a);
        if (!look(a, d, token, size, n, b)) return 0;
        const pare__linear value = {.w = w->qkv.w + (2 * d + head * width) * d,
                                    .b = w->qkv.b ? w->qkv.b + 2 * d + head * width : NULL,
                                    .n_in = (int32_t)d,
                                    .n_out = (int32_t)width};
        apply(&value, b, NULL, out + head * width);
    }
    apply(&w->proj, out, NULL, b);
    norm(m, &w->norm, b, a);
    add_mlp(m, a, b);
    memcpy(out, b, (size_t)d * sizeof(float));
    return 1;
}

void pare__head_probe(const pare_model *m, const float *x, const float *size, int64_t n, float *attention,
                      float *scratch)
{
    float u[PARE__MAX_DIM];
    const pare__vec *vec = pare__vec_best();
    const int32_t n_head = m->hp.n_head;
    memset(attention, 0, (size_t)n * sizeof(float));
    for (int32_t head = 0; head < n_head; head++) {
        float *row = scratch + head * n;
        ask(m, head, u);
        score_rows(u, m->hp.dim, x, size, n, row);
        vec->softmax(row, n, 1.0f, NULL);
        vec->axpy(attention, 1.0f / (float)n_head, row, n);
    }
}

/* ---- the head --------------------------------------------------------------------------------------------------- */

/* What the head pools, before its norm. */
static void pool(const pare_model *m, const float *prefix, const float *token, const float *size, int64_t n, float *out)
{
    const pare__hparams *hp = &m->hp;
    const int64_t d = hp->dim;
    const int32_t n_more = hp->pool == PARE__POOL_MEAN_ALL ? hp->n_prefix : 0;
    if (hp->logits == PARE__LOGITS_TEACHER)
        mean_tokens(hp->dim, prefix, 2, NULL, NULL, 0, out);
    else if (hp->pool == PARE__POOL_PROBE && pool_probe(m, token, size, n, out))
        return;
    else if ((hp->pool == PARE__POOL_MEAN || hp->pool == PARE__POOL_MEAN_ALL) &&
             mean_tokens(hp->dim, prefix, n_more, token, size, n, out))
        return;
    else if (hp->has_cls)
        memcpy(out, prefix, (size_t)d * sizeof(float));
    else
        memset(out, 0, (size_t)d * sizeof(float));
}

/* The mean of what two classifiers say of two rows of the prefix. */
static void classify_twice(const pare_model *m, const float *prefix, float *logits)
{
    const pare__linear *second = &m->w.head2;
    const float *row = prefix + m->hp.dim;
    apply(&m->w.head, prefix, NULL, logits);
    for (int64_t i = 0; i < second->n_out; i++) {
        const float *w = second->w + i * second->n_in;
        const float other = pare__vec_best()->dot(w, row, second->n_in) + (second->b ? second->b[i] : 0.0f);
        logits[i] = .5f * (logits[i] + other);
    }
}

/* `cls` and `mean` [dim] are read where the classifier takes them side by side, else `pooled` [dim]. */
static void classify(const pare_model *m, const float *cls, const float *mean, const float *pooled, float *logits)
{
    if (m->hp.logits == PARE__LOGITS_CLS_MEAN)
        apply(&m->w.head, cls, mean, logits);
    else
        apply(&m->w.head, pooled, NULL, logits);
}

void pare__head(const pare_model *m, const float *prefix, const float *token, const float *size, int64_t n,
                float *pooled, float *logits)
{
    float rows[PARE__MAX_DIM];
    const pare__hparams *hp = &m->hp;
    if (hp->has_projector) { /* tokens of the language model: no head of the encoder speaks about them */
        mean_tokens(hp->d_out, NULL, 0, token, size, n, pooled);
        return;
    }
    pool(m, prefix, token, size, n, rows);
    norm(m, &m->w.fc_norm, rows, pooled);
    if (logits && hp->n_class > 0 && hp->logits == PARE__LOGITS_TEACHER) {
        classify_twice(m, prefix, logits);
    } else if (logits && hp->n_class > 0) {
        const float *mean = mean_tokens(hp->dim, NULL, 0, token, size, n, rows) ? rows : prefix;
        classify(m, prefix, mean, pooled, logits);
    }
    if (!hp->pooler_tanh || !m->w.pooler.w) return;
    memcpy(rows, pooled, (size_t)hp->dim * sizeof(float));
    apply(&m->w.pooler, rows, NULL, pooled);
    for (int32_t i = 0; i < hp->dim; i++) pooled[i] = tanhf(pooled[i]);
}

void pare__head_embed(const pare_model *m, const float *pooled, float *embed)
{
    if (m->w.embed.w)
        apply(&m->w.embed, pooled, NULL, embed);
    else
        memcpy(embed, pooled, (size_t)m->hp.n_embed * sizeof(float));
}

void pare__head_teacher(const pare_model *m, const float *prefix, float *cls_logits, float *register_logits)
{
    apply(&m->w.head, prefix, NULL, cls_logits);
    apply(&m->w.head2, prefix + m->hp.dim, NULL, register_logits);
}

int pare__head_logits(const pare_model *m, const float *cls, const float *mean, float *logits, pare_error *err)
{
    float pooled[PARE__MAX_DIM];
    const pare__hparams *hp = &m->hp;
    if (hp->has_projector || hp->n_class < 1)
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s' has no classifier", m->name);
    if (hp->logits == PARE__LOGITS_TEACHER)
        return pare_fail(err, PARE_E_UNSUPPORTED, "the classifiers of model '%s' read the CLS and a register token",
                         m->name);
    if (hp->logits == PARE__LOGITS_POOLED && hp->pool == PARE__POOL_PROBE)
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "the classifier of model '%s' reads what a learned query makes of all "
                         "tokens",
                         m->name);
    const int is_cls_only = hp->logits == PARE__LOGITS_POOLED && hp->pool == PARE__POOL_CLS;
    if (is_cls_only && !cls)
        return pare_fail(err, PARE_E_UNSUPPORTED, "the classifier of model '%s' reads the CLS token alone", m->name);
    norm(m, &m->w.fc_norm, is_cls_only ? cls : mean, pooled);
    classify(m, cls ? cls : mean, mean, pooled, logits);
    return 0;
}
