/* SPDX-License-Identifier: MIT */
/* Arrays that a block leaves for selectors and for the trace. Captures have a row per unit: the mean over its patches.
 * The trace sees them row by row, as the blocks compute them; where a unit is one patch the two are the same array. */
#include <string.h>

#include "encode/parts.h"

/* ---- means over units ------------------------------------------------------------------------------------------- */

typedef struct fold {
    const pare__encoder *e;
    const float *x; /* [n, ld] */
    int64_t ld, width;
    float *out; /* [n_unit, width] */
} fold;

static void fold_units(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const fold *f = (const fold *)arg;
    const pare__pack *p = &f->e->pack;
    const int64_t end = pare__grain_end(task, p->n_unit);
    int32_t seg = 0;
    for (int64_t u = task * PARE__ROW_GRAIN; u < end; u++) {
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &seg, &row);
        const float *x = f->x + row * f->ld;
        float *out = f->out + u * f->width;
        if (n == 1) {
            memcpy(out, x, (size_t)f->width * sizeof *out);
            continue;
        }
        memset(out, 0, (size_t)f->width * sizeof *out);
        for (int32_t i = 0; i < n; i++) f->e->ex.vec->axpy(out, 1.0f / (float)n, x + i * f->ld, f->width);
    }
}

void pare__unit_means(const pare__encoder *e, const float *x, int64_t ld, int64_t width, float *out)
{
    fold f = {e, x, ld, width, out};
    pare__pool_run(e->ex.pool, pare__grains(e->pack.n_unit), fold_units, &f);
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

/* Memory for the capture `what` of this block, now part of the pack; NULL if the plan does not want it. */
static float *take(pare__encoder *e, int32_t block, uint32_t what)
{
    if (!(e->plan.want[block] & what)) return NULL;
    const pare__capture *c = &e->capture[e->n_taken++];
    e->live[e->pack.n_capture++] = *c;
    return c->data;
}

void pare__capture_tokens(pare__encoder *e, int32_t block)
{
    float *out = take(e, block, PARE__WANT_TOKENS);
    if (out) pare__unit_means(e, e->pack.x, e->pack.d, e->pack.d, out);
}

/* Columns [col, col + width) of qkv [n, 3 dim]. */
static void copy_columns(const pare__encoder *e, int64_t col, int64_t width, float *out)
{
    if (out) pare__unit_means(e, e->wide + col, (int64_t)3 * e->pack.d, width, out);
}

typedef struct key_job {
    const pare__encoder *e;
    float *out; /* [n, head_dim] */
} key_job;

static void mean_keys(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const key_job *j = (const key_job *)arg;
    const pare__encoder *e = j->e;
    const int64_t dim = e->pack.d, n_head = e->m->hp.n_head, hd = dim / n_head;
    const int64_t end = pare__grain_end(task, e->pack.n);
    for (int64_t i = task * PARE__ROW_GRAIN; i < end; i++) {
        const float *k = e->wide + i * 3 * dim + dim;
        memset(j->out + i * hd, 0, (size_t)hd * sizeof(float));
        for (int64_t h = 0; h < n_head; h++) e->ex.vec->axpy(j->out + i * hd, 1.0f / (float)n_head, k + h * hd, hd);
    }
}

/* Keys, mean over heads. By row they stay in `spare` until the next site, for the trace. */
static void capture_mean_keys(const pare__encoder *e, float *out)
{
    const int64_t hd = e->pack.d / e->m->hp.n_head;
    if (!out) return;
    key_job j = {e, e->pack.patches == 1 ? out : e->spare};
    pare__pool_run(e->ex.pool, pare__grains(e->pack.n), mean_keys, &j);
    if (j.out != out) pare__unit_means(e, j.out, hd, hd, out);
}

void pare__capture_qkv(pare__encoder *e, int32_t block)
{
    const int64_t d = e->pack.d;
    copy_columns(e, 0, d, take(e, block, PARE__WANT_Q));
    copy_columns(e, d, d, take(e, block, PARE__WANT_K));
    copy_columns(e, 2 * d, d, take(e, block, PARE__WANT_V));
    capture_mean_keys(e, take(e, block, PARE__WANT_K_MEAN));
}

void pare__capture_attention_begin(pare__encoder *e, int32_t block, pare__attention_job *job)
{
    job->cls_row = take(e, block, PARE__WANT_CLS_ROW);
    job->col_mean = take(e, block, PARE__WANT_COL_MEAN);
    if (!e->stat) return;
    if (job->cls_row) job->cls_row = e->stat;
    if (job->col_mean) job->col_mean = e->stat + e->pack.cap_rows;
}

void pare__capture_attention_end(pare__encoder *e, const pare__attention_job *job)
{
    if (!e->stat) return;
    int32_t at = e->pack.n_capture;
    if (job->col_mean) pare__unit_means(e, job->col_mean, 1, 1, e->live[--at].data);
    if (job->cls_row) pare__unit_means(e, job->cls_row, 1, 1, e->live[--at].data);
}

/* ---- giving ----------------------------------------------------------------------------------------------------- */

/* What the capture was folded from, [n, width]. */
static const float *by_row(const pare__encoder *e, const pare__capture *c)
{
    if (e->pack.patches == 1) return c->data;
    if (c->what == PARE__WANT_K_MEAN) return e->spare;
    return c->what == PARE__WANT_CLS_ROW ? e->stat : e->stat + e->pack.cap_rows;
}

int pare__capture_emit(const pare__encoder *e, int32_t block, pare_error *err)
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
            int rc = pare__stage_emit(e, stages[s].name, block, by_row(e, c), e->pack.n, c->width, err);
            if (rc < 0) return rc;
        }
    }
    return 0;
}

void pare__capture_release(pare__encoder *e, int32_t block)
{
    int32_t n = 0;
    for (int32_t i = 0; i < e->pack.n_capture; i++)
        if (e->live[i].block != block || (e->plan.hold[block] & e->live[i].what)) e->live[n++] = e->live[i];
    e->pack.n_capture = n;
}
