/* SPDX-License-Identifier: MIT */
/* Head: what a frame's final tokens say together. Means are weighted by size, so that a merged token counts as often as
 * the patches it stands for. [n_prefix, dim] and [n, dim] -> pooled [dim] -> logits [n_class]. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "core/vec.h"
#include "encode/encoder.h"

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

/* What the head pools, before its norm. */
static void pool(const pare_model *m, const float *prefix, const float *token, const float *size, int64_t n, float *out)
{
    const pare__hparams *hp = &m->hp;
    int all = hp->pool == PARE__POOL_MEAN_ALL;
    if (hp->pool != PARE__POOL_CLS && mean_tokens(hp->dim, prefix, all ? hp->n_prefix : 0, token, size, n, out)) return;
    if (hp->has_cls)
        memcpy(out, prefix, (size_t)hp->dim * sizeof(float));
    else
        memset(out, 0, (size_t)hp->dim * sizeof(float));
}

/* pooled [dim] = the head's norm of row [dim] */
static void norm(const pare_model *m, const float *row, float *pooled)
{
    const pare__hparams *hp = &m->hp;
    const pare__norm_w *w = &m->w.fc_norm;
    if (!w->w)
        memcpy(pooled, row, (size_t)hp->dim * sizeof(float));
    else if (hp->norm == PARE__NORM_RMS)
        pare__vec_best()->rms_norm(pooled, row, w->w, hp->dim, hp->eps);
    else
        pare__vec_best()->layer_norm(pooled, row, w->w, w->b, hp->dim, hp->eps);
}

/* `cls` and `mean` [dim] are read where the classifier takes them side by side, else `pooled` [dim]. */
static void classify(const pare_model *m, const float *cls, const float *mean, const float *pooled, float *logits)
{
    if (m->hp.logits == PARE__LOGITS_POOLED)
        apply(&m->w.head, pooled, NULL, logits);
    else
        apply(&m->w.head, cls, mean, logits);
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
    norm(m, rows, pooled);
    if (logits && hp->n_class > 0) {
        const float *mean = mean_tokens(hp->dim, NULL, 0, token, size, n, rows) ? rows : prefix;
        classify(m, prefix, mean, pooled, logits);
    }
    if (!hp->pooler_tanh || !m->w.pooler.w) return;
    memcpy(rows, pooled, (size_t)hp->dim * sizeof(float));
    apply(&m->w.pooler, rows, NULL, pooled);
    for (int32_t i = 0; i < hp->dim; i++) pooled[i] = tanhf(pooled[i]);
}

int pare__head_logits(const pare_model *m, const float *cls, const float *mean, float *logits, pare_error *err)
{
    float pooled[PARE__MAX_DIM];
    const pare__hparams *hp = &m->hp;
    if (hp->has_projector || hp->n_class < 1)
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s' has no classifier", m->name);
    const int is_cls_only = hp->logits == PARE__LOGITS_POOLED && hp->pool == PARE__POOL_CLS;
    if (is_cls_only && !cls)
        return pare_fail(err, PARE_E_UNSUPPORTED, "the classifier of model '%s' reads the CLS token alone", m->name);
    norm(m, is_cls_only ? cls : mean, pooled);
    classify(m, cls ? cls : mean, mean, pooled, logits);
    return 0;
}
