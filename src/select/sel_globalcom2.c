/* SPDX-License-Identifier: MIT */
/* GlobalCom2, for a thumbnail and its tiles: a tile's share of the budget grows with the thumbnail's attention in its
 * cell, base * (1 + p_j - mean p), at most all; its tokens rank by L2-normalised own attention + L2-normalised attention
 * of the thumbnail, enlarged. The thumbnail keeps its most attended tokens. Counts are exact: the budget, or int(base n)
 * of a picture, is split by largest remainder; compat=1 truncates every slot's count as the original does, so that the
 * total falls short. cls_row [n] of one block; the published score is what ranks. */
#include <math.h>
#include <string.h>

#include "select/pick.h"
#include "select/selector.h"
#include "select/tiles.h"

#define BASE 0.25

typedef struct globalcom2 {
    double base, temperature;
    int64_t layer;
    int32_t compat;
} globalcom2;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(globalcom2, base, "share of the tokens that stays where no budget is given (auto 0.25)", -1,
                            0, 1, "auto"),
    PARE__OPTION_FLOAT(globalcom2, temperature, "of the softmax over the tiles", 10, 1e-6, 1e6),
    PARE__OPTION_BLOCK(globalcom2, layer, "block whose attention is read, from 0 or negative from the end", -2),
    PARE__OPTION_BOOL(globalcom2, compat, "truncate the count of every slot as the reference code does", 0),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)((const globalcom2 *)priv)->layer};
    return 1;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const globalcom2 *p = priv;
    return p->base >= 0 || p->compat ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static double base_of(const globalcom2 *p) { return p->base >= 0 ? p->base : BASE; }

/* ---- ranking ------------------------------------------------------------------------------------------------------- */

static double length(const double *x, int64_t n)
{
    double square = 0;
    for (int64_t c = 0; c < n; c++) square += x[c] * x[c];
    return square > 0 ? sqrt(square) : 1;
}

/* score += map of the slot / its length, at the slot's rows. */
static void add_normalised(const pare__view *v, int32_t slot, const double *map, float *score)
{
    int32_t hw[2];
    pare__slot_grid(v, slot, hw);
    const double scale = 1 / length(map, (int64_t)hw[0] * hw[1]);
    for (int64_t i = v->frame_start[slot]; i < v->frame_start[slot + 1]; i++)
        score[i] += (float)(scale * map[(int64_t)v->thw[3 * i + 1] * hw[1] + v->thw[3 * i + 2]]);
}

/* Tile j's part of the enlarged thumbnail. */
static void cut(const double *large, int32_t width, const pare__picture *pic, int32_t j, const int32_t hw[2],
                double *out)
{
    const int64_t top = (int64_t)(j / pic->cols) * hw[0], left = (int64_t)(j % pic->cols) * hw[1];
    for (int32_t y = 0; y < hw[0]; y++)
        memcpy(out + (int64_t)y * hw[1], large + (top + y) * width + left, (size_t)hw[1] * sizeof *out);
}

static int rank_tiles(const pare__view *v, const pare__picture *pic, const double *thumbnail, float *score)
{
    int32_t from[2], hw[2];
    pare__slot_grid(v, pic->whole, from);
    pare__slot_grid(v, pic->tile, hw); /* all tiles of a picture have one grid */
    const int32_t to[2] = {pic->rows * hw[0], pic->cols * hw[1]};
    double *large = PARE__ARENA(v->arena, double, (int64_t)to[0] * to[1]);
    double *part = PARE__ARENA(v->arena, double, (int64_t)hw[0] * hw[1]);
    if (!large || !part) return PARE_E_NOMEM;
    pare__upsample(thumbnail, from, large, to);
    for (int32_t j = 0; j < pic->rows * pic->cols; j++) {
        cut(large, to[1], pic, j, hw, part);
        add_normalised(v, pic->tile + j, part, score);
    }
    return 0;
}

static int rank_picture(const pare__view *v, const pare__picture *pic, const float *attention, float *score)
{
    const double *thumbnail = NULL;
    for (int32_t s = pic->first; s < pic->first + pic->n; s++) {
        const double *map = pare__slot_map(v, s, attention);
        if (!map) return PARE_E_NOMEM;
        add_normalised(v, s, map, score);
        if (s == pic->whole) thumbnail = map;
    }
    return pic->n > 1 ? rank_tiles(v, pic, thumbnail, score) : 0;
}

/* ---- counts -------------------------------------------------------------------------------------------------------- */

static int count_picture(const globalcom2 *p, const pare__view *v, const pare__picture *pic, const float *attention,
                         int64_t k, int64_t *count)
{
    double *weight = PARE__ARENA(v->arena, double, pic->n);
    if (!weight) return PARE_E_NOMEM;
    weight[pic->whole - pic->first] = 1;
    if (pare__tile_scales(v, pic, attention, p->temperature, weight + (pic->tile - pic->first))) return PARE_E_NOMEM;
    if (v->k >= 0 || !p->compat) return pare__picture_split(v, pic, k, weight, count);
    for (int32_t j = 0; j < pic->n; j++) {
        const int64_t n = v->frame_start[pic->first + j + 1] - v->frame_start[pic->first + j];
        count[j] = (int64_t)((double)n * fmin(1, base_of(p) * weight[j]));
    }
    return 0;
}

static int one_picture(const globalcom2 *p, const pare__view *v, const pare__picture *pic, const float *attention,
                       int64_t k, float *score, pare__map *map)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    int64_t *count = PARE__ARENA(v->arena, int64_t, pic->n);
    int rc = count ? rank_picture(v, pic, attention, score) : PARE_E_NOMEM;
    if (!rc) rc = count_picture(p, v, pic, attention, k, count);
    for (int32_t j = 0; !rc && j < pic->n; j++) rc = pare__slot_keep(v, pic->first + j, score, count[j], map);
    pare__arena_reset(v->arena, mark);
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const globalcom2 *p = priv;
    const float *attention = pare__require(v, "globalcom2", PARE__ARRAY_CLS_ROW, (int32_t)p->layer, NULL, err);
    if (!attention) return PARE_E_INVALID;
    float *score = PARE__ARENA(v->arena, float, v->n);
    int64_t *k = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!score || !k) return PARE_E_NOMEM;
    memset(score, 0, (size_t)v->n * sizeof *score);
    int rc = pare__picture_budgets(v, base_of(p), k);
    for (int32_t s = 0, i = 0; !rc && s < v->n_frame; i++) {
        const pare__picture pic = pare__picture_at(v, s);
        rc = one_picture(p, v, &pic, attention, k[i], score, map);
        s += pic.n;
    }
    memcpy(v->score_out, score, (size_t)v->n * sizeof *score);
    return rc;
}

const pare__selector pare__sel_globalcom2 = {
    .name = "globalcom2",
    .summary = "tiles share the budget by the thumbnail's attention, which also ranks their tokens",
    .cite = "Liu et al., GlobalCom2, AAAI 2026, arXiv 2501.05179; xuyang-liu16/GlobalCom2 llava/model/llava_arch.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(globalcom2),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
