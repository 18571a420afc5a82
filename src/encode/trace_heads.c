/* SPDX-License-Identifier: MIT */
/* Heads of a trace, on the last tokens of every item: pooled [B, dim], logits [B, n_class] and the two that a teacher's
 * are the mean of, image_embeds [B, n_embed], attn.probe [B, tokens]. Rotary angles rope_cos, rope_sin [patches, head_dim]. */
#include <string.h>

#include "core/vec.h"
#include "encode/parts.h"
#include "encode/trace_parts.h"

/* One array with a row per item; data NULL = the model has no such head. */
typedef struct head {
    const char *name;
    int64_t width; /* 0 = none */
    float *data;   /* [B, width] */
} head;

enum { POOLED, CLS_LOGITS, DISTILLATION_LOGITS, LOGITS, EMBEDS, PROBE, HEADS };

/* Item i from its rows x [n, dim]. */
static void run_item(const pare_model *m, head *h, int64_t i, const float *x, int64_t n, float *scratch)
{
    const pare__hparams *hp = &m->hp;
    const float *token = x + (int64_t)hp->n_prefix * hp->dim;
    float *row[HEADS];
    for (int k = 0; k < HEADS; k++) row[k] = h[k].data ? h[k].data + i * h[k].width : NULL;
    pare__head(m, x, token, NULL, n - hp->n_prefix, row[POOLED], row[LOGITS]);
    if (row[CLS_LOGITS]) pare__head_teacher(m, x, row[CLS_LOGITS], row[DISTILLATION_LOGITS]);
    if (row[EMBEDS]) pare__head_embed(m, row[POOLED], row[EMBEDS]);
    if (row[PROBE]) pare__head_probe(m, token, NULL, n - hp->n_prefix, row[PROBE], scratch);
}

static int run_items(pare__trace_run *t, head *h, const float *x, pare_error *err)
{
    const pare__batch *b = &t->batch;
    const pare__hparams *hp = &t->m->hp;
    const int64_t rows = t->layout[PARE__ROWS_ALL].rows;
    if (pare__grow((void **)&t->sorted, &t->cap_sorted, hp->n_head * rows, (int64_t)sizeof(float)))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for the head of %lld rows", (long long)rows);
    for (int32_t i = 0; i < b->n; i++) {
        int64_t n = 0;
        for (int32_t s = 0; s < b->n_step; s++) n += hp->n_prefix + b->seg[i * b->n_step + s].n * hp->unit * hp->unit;
        run_item(t->m, h, i, x, n, t->sorted);
        x += n * hp->dim;
    }
    return 0;
}

int pare__trace_heads(pare__trace_run *t, const pare__pack *pack, pare_error *err)
{
    const pare__hparams *hp = &t->m->hp;
    const int64_t tokens = t->layout[PARE__ROWS_ALL].rows - hp->n_prefix;
    const int is_teacher = hp->n_class > 0 && hp->logits == PARE__LOGITS_TEACHER;
    head h[HEADS] = {[POOLED] = {"pooled", hp->dim, NULL},
                     [CLS_LOGITS] = {"cls_logits", is_teacher ? hp->n_class : 0, NULL},
                     [DISTILLATION_LOGITS] = {"distillation_logits", is_teacher ? hp->n_class : 0, NULL},
                     [LOGITS] = {"logits", hp->n_class, NULL},
                     [EMBEDS] = {"image_embeds", hp->n_embed, NULL},
                     [PROBE] = {"attn.probe", hp->pool == PARE__POOL_PROBE ? tokens : 0, NULL}};
    int rc = 0;
    for (int k = 0; k < HEADS && !rc; k++) {
        if (h[k].width > 0 && !(h[k].data = PARE__NEW(float, t->batch.n *h[k].width)))
            rc = pare_fail(err, PARE_E_NOMEM, "out of memory for %s of %d pictures", h[k].name, t->batch.n);
    }
    if (!rc) rc = run_items(t, h, pack->x, err);
    for (int k = 0; k < HEADS && !rc; k++)
        if (h[k].data) rc = pare__trace_give(t, h[k].name, h[k].data, (int64_t[]){t->batch.n, h[k].width}, 2, err);
    for (int k = 0; k < HEADS; k++) pare__free(h[k].data);
    return rc;
}

int pare__trace_angles(const pare__trace_run *t, pare_error *err)
{
    const pare__segment *s = t->batch.seg;
    const int64_t n = (int64_t)s->grid_h * s->grid_w, width = t->m->hp.dim / t->m->hp.n_head;
    float *cosine = PARE__NEW(float, n *width), *sine = PARE__NEW(float, n *width);
    int rc = cosine && sine ? pare__rope_tables(&t->m->hp, s->grid_h, s->grid_w, cosine, sine) : PARE_E_NOMEM;
    if (rc) {
        rc = pare_fail(err, rc, "out of memory for the angles of %lld patches", (long long)n);
    } else {
        rc = pare__trace_give(t, "rope_cos", cosine, (int64_t[]){n, width}, 2, err);
        if (!rc) rc = pare__trace_give(t, "rope_sin", sine, (int64_t[]){n, width}, 2, err);
    }
    pare__free(cosine);
    pare__free(sine);
    return rc;
}
