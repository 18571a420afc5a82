/* SPDX-License-Identifier: MIT */
/* Budgets of a thumbnail and its tiles, without the ranking of the methods that they come from: a tile deserves as much
 * as the thumbnail attends to its cell. Slots that are not tiled deserve what a picture's slots do on average.
 * cls_row [n] of one block -> weight [n_frame] */
#include "select/allocator.h"
#include "select/pick.h"
#include "select/tiles.h"

typedef struct tiles {
    int64_t layer;
    double temperature, alpha;
} tiles;

#define LAYER_HELP "block whose attention is read, from 0 or negative from the end"

static const pare__option scale_options[] = {
    PARE__OPTION_BLOCK(tiles, layer, LAYER_HELP, -2),
    PARE__OPTION_FLOAT(tiles, temperature, "of the softmax over the tiles", 10, 1e-6, 1e6),
    {0},
};

static const pare__option share_options[] = {
    PARE__OPTION_BLOCK(tiles, layer, LAYER_HELP, -2),
    PARE__OPTION_FLOAT(tiles, alpha, "the thumbnail's share of a picture's budget", 0.5, 0, 1),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)((const tiles *)priv)->layer};
    return 1;
}

/* weight[pic->n] of one picture. */
typedef int (*picture_rule)(const tiles *p, const pare__view *v, const pare__picture *pic, const float *attention,
                            double *weight);

static int scale_picture(const tiles *p, const pare__view *v, const pare__picture *pic, const float *attention,
                         double *weight)
{
    weight[pic->whole - pic->first] = 1;
    return pare__tile_scales(v, pic, attention, p->temperature, weight + (pic->tile - pic->first));
}

static int share_picture(const tiles *p, const pare__view *v, const pare__picture *pic, const float *attention,
                         double *weight)
{
    double *tile = weight + (pic->tile - pic->first), sum = 0;
    weight[0] = 1;
    if (pic->n == 1) return 0;
    const int rc = pare__tile_shares(v, pic, attention, p->alpha, 0, tile);
    for (int32_t j = 0; j < pic->n - 1; j++) sum += tile[j];
    for (int32_t j = 0; j < pic->n - 1; j++) {
        const double share = sum > 0 ? tile[j] / sum : 1.0 / (pic->n - 1);
        tile[j] = (1 - p->alpha) * pic->n * share;
    }
    weight[pic->whole - pic->first] = p->alpha * pic->n;
    return rc;
}

static int weigh_pictures(const tiles *p, const pare__view *v, const char *owner, picture_rule rule, double *weight,
                          pare_error *err)
{
    const float *attention = pare__require(v, owner, PARE__ARRAY_CLS_ROW, (int32_t)p->layer, NULL, err);
    if (!attention) return PARE_E_INVALID;
    int rc = 0;
    for (int32_t s = 0; !rc && s < v->n_frame;) {
        const pare__picture pic = pare__picture_at(v, s);
        rc = rule(p, v, &pic, attention, weight + s);
        s += pic.n;
    }
    return rc;
}

static int weigh_scales(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    return weigh_pictures(priv, v, "globalcom2", scale_picture, weight, err);
}

static int weigh_shares(const void *priv, const pare__view *v, double *weight, pare_error *err)
{
    return weigh_pictures(priv, v, "hired", share_picture, weight, err);
}

const pare__allocator pare__alloc_globalcom2 = {
    .name = "globalcom2",
    .summary = "a tile's share follows a softmax of the thumbnail's attention in its cell",
    .cite = "Liu et al., GlobalCom2, AAAI 2026, arXiv 2501.05179; xuyang-liu16/GlobalCom2 llava/model/llava_arch.py",
    .sites = PARE__SITE_OUTPUT,
    .options = scale_options,
    .priv_size = sizeof(tiles),
    .needs = needs,
    .weigh = weigh_scales,
};

const pare__allocator pare__alloc_hired = {
    .name = "hired",
    .summary = "a tile's share is that of the thumbnail's most attended tokens that lie in its cell",
    .cite = "Arif et al., HiRED, AAAI 2025, arXiv 2408.10945; hasanar1f/HiRED "
            "transformers/src/transformers/models/llava_next/modeling_llava_next.py",
    .sites = PARE__SITE_OUTPUT,
    .options = share_options,
    .priv_size = sizeof(tiles),
    .needs = needs,
    .weigh = weigh_shares,
};
