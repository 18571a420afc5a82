/* SPDX-License-Identifier: MIT */
/* Attention that a token receives: from the CLS query, or from all queries. Means over heads, [n]. */
#include <string.h>

#include "core/limits.h"
#include "select/pick.h"
#include "select/score.h"

enum { AUTO = -PARE__MAX_BLOCKS - 1, DEFAULT_LAYER = -2 };

typedef struct attention {
    int64_t layer;
} attention;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(
        attention, layer,
        "block whose attention is read, from 0 or negative from the end; at a block site the block itself, else -2",
        AUTO, -PARE__MAX_BLOCKS, PARE__MAX_BLOCKS - 1, "auto"),
    {0},
};

static int32_t layer_at(const void *priv, int32_t site)
{
    const int64_t layer = ((const attention *)priv)->layer;
    if (layer != AUTO) return (int32_t)layer;
    return site == PARE__SITE_BLOCK ? PARE__LAYER_HERE : DEFAULT_LAYER;
}

static int needs_row(const void *priv, int32_t site, pare__need *need)
{
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, layer_at(priv, site)};
    return 1;
}

static int needs_mean(const void *priv, int32_t site, pare__need *need)
{
    need[0] = (pare__need){PARE__ARRAY_COL_MEAN, layer_at(priv, site)};
    return 1;
}

static int read_row(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    const float *row = pare__require(v, "cls-attn", PARE__ARRAY_CLS_ROW, layer_at(priv, v->site), NULL, err);
    if (!row) return PARE_E_INVALID;
    memcpy(out, row, (size_t)v->n * sizeof *out);
    return 0;
}

static int read_mean(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    const float *mean = pare__require(v, "mean-attn", PARE__ARRAY_COL_MEAN, layer_at(priv, v->site), NULL, err);
    if (!mean) return PARE_E_INVALID;
    memcpy(out, mean, (size_t)v->n * sizeof *out);
    return 0;
}

const pare__score pare__score_cls_attn = {
    .name = "cls-attn",
    .summary = "attention of the CLS query, mean over heads",
    .cite = "Liang et al., EViT, ICLR 2022; youweiliang/evit evit.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(attention),
    .needs = needs_row,
    .compute = read_row,
};

const pare__score pare__score_mean_attn = {
    .name = "mean-attn",
    .summary = "attention received, mean over heads and queries",
    .cite = "HiPrune; Danielement321/HiPrune LLaVA/llava/model/llava_arch.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(attention),
    .needs = needs_mean,
    .compute = read_mean,
};
