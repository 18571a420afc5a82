/* SPDX-License-Identifier: MIT */
/* Efficient video sampling: dissimilarity 1 - cos(token, the token one frame earlier at its place); the clip's first
 * frame counts as 255; one stable descending sort over the window, of which max(N, int(T N (1 - q))) are kept (N = one
 * frame; later windows of a clip have no such floor). With a budget that many are kept. tokens [n, d]. */
#include <string.h>

#include "select/pick.h"
#include "select/runs.h"
#include "select/selector.h"

#define AUTO (-1.0)
#define PRUNING_RATE 0.7 /* Nemotron Nano VL in SGLang */

typedef struct evs {
    double q;
} evs;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(evs, q, "share of the tokens that is pruned (auto 0.7)", AUTO, 0, 1, "auto"),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const evs *)priv)->q >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static int64_t count_kept(const evs *p, const pare__runs *r)
{
    if (r->v->k >= 0) return r->v->k;
    const double q = p->q >= 0 ? p->q : PRUNING_RATE;
    const int64_t k = (int64_t)((double)r->v->n * (1 - q));
    return k > r->n_opening ? k : r->n_opening;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const evs *p = priv;
    pare__runs r;
    const int rc = pare__runs_init(&r, v, 0, "evs", err);
    if (rc) return rc;
    pare__runs_pass(&r, PARE__CHANGE_NEW);
    memset(r.keep, 0, (size_t)v->n);
    return pare__runs_emit(&r, count_kept(p, &r), 0, map);
}

const pare__selector pare__sel_evs = {
    .name = "evs",
    .summary = "efficient video sampling: the tokens least like those one frame earlier",
    .cite = "Bagrov et al., Efficient Video Sampling, arXiv 2510.14624; vllm-project/vllm vllm/multimodal/evs.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__BOUNDED,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(evs),
    .needs = pare__need_tokens,
    .amount = amount,
    .carry = pare__runs_carry,
    .select = select_rows,
};
