/* SPDX-License-Identifier: MIT */
/* FlowCut: at the end of every block the tokens are scored by information flow, (a + s) |v|: a = attention of the CLS
 * query over the candidates, s = softmax over the keys of v_cls . v_j per head (unscaled), mean over heads, both made to
 * sum to 1 over the candidates, |v| = L1 length of the mean value over heads. The first block's score starts a running
 * one, c = c/2 + score/2. Where the blocks still to come are even in number, round((n - k_final) / sqrt(blocks to come)
 * (1 - (entropy of a / ln n)^2)) tokens with the lowest c go (half to even, never below k_final); the last block cuts to
 * k_final exactly. So it decides itself what each block but the last leaves. cls_row [n]; v [n, n_head * head_dim] with
 * its prefix rows; state [n, 1] = c. Without a CLS token the mean value stands in for its own. */
#include <math.h>
#include <string.h>

#include "select/exact.h"
#include "select/pick.h"
#include "select/selector.h"

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_V, PARE__LAYER_HERE};
    return 2;
}

static int32_t state_width(const void *priv)
{
    (void)priv;
    return 1;
}

typedef struct flow {
    const float *attention;      /* [n] */
    const float *value, *prefix; /* [n, width], [n_prefix, width] */
    const float *cls;            /* [width] value of the CLS token */
    int32_t width, head_dim;
    double *rel, *sem, *score; /* [n] */
    double *logit;             /* [n_prefix + n] */
} flow;

static int flow_init(flow *f, const pare__view *v, pare_error *err)
{
    *f = (flow){.rel = PARE__ARENA(v->arena, double, v->n),
                .sem = PARE__ARENA(v->arena, double, v->n),
                .score = PARE__ARENA(v->arena, double, v->n),
                .logit = PARE__ARENA(v->arena, double, v->n_prefix + v->n)};
    if (!f->rel || !f->sem || !f->score || !f->logit) return PARE_E_NOMEM;
    f->attention = pare__require(v, "flowcut", PARE__ARRAY_CLS_ROW, PARE__LAYER_HERE, NULL, err);
    f->value = f->attention ? pare__require(v, "flowcut", PARE__ARRAY_V, PARE__LAYER_HERE, &f->width, err) : NULL;
    if (!f->value) return PARE_E_INVALID;
    f->prefix = pare__view_prefix(v, PARE__ARRAY_V, PARE__LAYER_HERE);
    if (v->n_prefix && !f->prefix)
        return pare_fail(err, PARE_E_INVALID, "'flowcut' needs the values of the prefix tokens (prefix.v), not there");
    if (v->n_head < 1 || f->width % v->n_head)
        return pare_fail(err, PARE_E_INVALID, "'flowcut': values of width %d do not split into %d heads", f->width,
                         v->n_head);
    f->head_dim = f->width / v->n_head;
    f->cls = pare__view_has_cls(v) ? f->prefix : pare__mean_row(v, f->value, f->width);
    return f->cls ? 0 : PARE_E_NOMEM;
}

/* ---- score ------------------------------------------------------------------------------------------------------- */

/* Row i of the sequence: prefix rows first. */
static const float *value_of(const flow *f, const pare__view *v, int64_t i)
{
    return i < v->n_prefix ? f->prefix + i * f->width : f->value + (i - v->n_prefix) * f->width;
}

static void sum_to_one(double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    for (int64_t i = 0; i < n; i++) x[i] = sum > 0 ? x[i] / sum : 1 / (double)n;
}

/* Adds one head's softmax to sem. */
static void add_head(flow *f, const pare__view *v, int32_t head)
{
    const int64_t n = v->n_prefix + v->n;
    const float *cls = f->cls + head * f->head_dim;
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *x = value_of(f, v, i) + head * f->head_dim;
        f->logit[i] = pare__exact_dot(cls, x, f->head_dim);
        most = fmax(most, f->logit[i]);
    }
    for (int64_t i = 0; i < n; i++) sum += f->logit[i] = exp(f->logit[i] - most);
    for (int64_t i = 0; i < v->n; i++) f->sem[i] += f->logit[v->n_prefix + i] / sum;
}

/* L1 length of the mean over heads. */
static double length_of(const flow *f, const float *x, int32_t n_head)
{
    double length = 0;
    for (int32_t c = 0; c < f->head_dim; c++) {
        double mean = 0;
        for (int32_t h = 0; h < n_head; h++) mean += (double)x[h * f->head_dim + c];
        length += fabs(mean / n_head);
    }
    return length;
}

static void score_flow(flow *f, const pare__view *v)
{
    memset(f->sem, 0, (size_t)v->n * sizeof *f->sem);
    for (int32_t h = 0; h < v->n_head; h++) add_head(f, v, h);
    for (int64_t i = 0; i < v->n; i++) f->rel[i] = f->attention[i] > 0 ? (double)f->attention[i] : 0;
    sum_to_one(f->rel, v->n);
    sum_to_one(f->sem, v->n);
    for (int64_t i = 0; i < v->n; i++)
        f->score[i] = (f->rel[i] + f->sem[i]) * length_of(f, f->value + i * f->width, v->n_head);
}

static void remember(const flow *f, const pare__view *v)
{
    for (int64_t i = 0; i < v->n; i++) {
        const double before = (double)v->state[i];
        v->state[i] = (float)(v->i_block ? 0.5 * before + 0.5 * f->score[i] : f->score[i]);
        v->score_out[i] = v->state[i];
    }
}

/* ---- schedule ---------------------------------------------------------------------------------------------------- */

/* 1 - (share of the largest entropy)^2: how concentrated the attention is. */
static double concentration(const flow *f, int64_t n)
{
    double entropy = 0;
    for (int64_t i = 0; i < n; i++)
        if (f->rel[i] > 0) entropy -= f->rel[i] * log(f->rel[i]);
    const double even = n > 1 ? entropy / log((double)n) : 1;
    return 1 - even * even;
}

static int64_t count_left(const flow *f, const pare__view *v)
{
    const int32_t to_come = v->n_block - 1 - v->i_block;
    if (v->k >= 0) return pare__budget(v);
    if (to_come < 1 || to_come % 2 || v->k_final < 0 || v->k_final >= v->n) return v->n;
    const double cut = nearbyint((double)(v->n - v->k_final) / sqrt((double)to_come) * concentration(f, v->n));
    const int64_t left = v->n - (int64_t)fmax(cut, 0);
    return left > v->k_final ? left : v->k_final;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv;
    flow f;
    const int rc = flow_init(&f, v, err);
    if (rc) return rc;
    score_flow(&f, v);
    remember(&f, v);
    const int64_t k = count_left(&f, v);
    int32_t *row = PARE__ARENA(v->arena, int32_t, k);
    if (!row || pare__topk(v->state, v->n, k, row, v->arena)) return PARE_E_NOMEM;
    return pare__map_keep_many(map, row, k);
}

const pare__selector pare__sel_flowcut = {
    .name = "flowcut",
    .summary = "information flow from block to block: CLS attention, value similarity and value length",
    .cite =
        "Tong et al., FlowCut, NeurIPS 2025, arXiv 2505.19536; TungChintao/FlowCut flowcut/modeling_clip_flowcut.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__OWN_SCHEDULE,
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_AFTER,
    .needs = needs,
    .state_width = state_width,
    .select = select_rows,
};
