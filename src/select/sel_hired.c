/* SPDX-License-Identifier: MIT */
/* HiRED, for a thumbnail and its tiles: int(alpha K) of a picture's budget K goes to the thumbnail, the rest to the tiles
 * in proportion to how many of the thumbnail's int((1 - alpha) n) most attended tokens (deep block) lie in their cell;
 * inside every slot the most attended tokens of a shallow block stay. The budget, or int(rate n) of a picture, is met
 * exactly by largest remainder; what a slot cannot take goes to the others. compat=1 counts as the authors' code does:
 * row bands of the flat thumbnail instead of cells, counts truncated. cls_row [n] of both blocks. */
#include <string.h>

#include "select/pick.h"
#include "select/selector.h"
#include "select/tiles.h"

#define RATE 0.2

typedef struct hired {
    double rate, alpha;
    int64_t shallow, deep;
    int32_t compat;
} hired;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(hired, rate, "share of the tokens that stays where no budget is given (auto 0.2)", -1, 0, 1,
                            "auto"),
    PARE__OPTION_FLOAT(hired, alpha, "the thumbnail's share of the budget", 0.5, 0, 1),
    PARE__OPTION_BLOCK(hired, shallow,
                       "block whose attention ranks the tokens of a slot, from 0 or negative from the end", 0),
    PARE__OPTION_BLOCK(hired, deep, "block whose attention in the thumbnail divides the budget", -2),
    PARE__OPTION_BOOL(hired, compat, "row bands and truncated counts as in the reference code", 0),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    const hired *p = priv;
    need[0] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)p->shallow};
    need[1] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)p->deep};
    return 2;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const hired *p = priv;
    return p->rate >= 0 || p->compat ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static int64_t rows_of(const pare__view *v, int32_t slot) { return v->frame_start[slot + 1] - v->frame_start[slot]; }

/* The thumbnail's part of k: int(alpha k), within what it has and what the tiles cannot take. */
static int64_t thumbnail_count(const hired *p, const pare__view *v, const pare__picture *pic, int64_t k)
{
    const int64_t has = rows_of(v, pic->whole), others = pare__picture_rows(v, pic) - has;
    const int64_t want = (int64_t)(p->alpha * (double)k);
    const int64_t at_least = k - others > want ? k - others : want;
    return at_least < has ? at_least : has;
}

static void truncate_counts(const pare__view *v, const pare__picture *pic, int64_t k, const double *share,
                            int64_t *count)
{
    double sum = 0;
    for (int32_t j = 0; j < pic->n - 1; j++) sum += share[j];
    for (int32_t j = 0; j < pic->n - 1; j++) {
        const int64_t want = sum > 0 ? (int64_t)((double)k * share[j] / sum) : 0, has = rows_of(v, pic->tile + j);
        count[j] = want < has ? want : has;
    }
}

static int count_picture(const hired *p, const pare__view *v, const pare__picture *pic, const float *deep, int64_t k,
                         int64_t *count)
{
    const int quirk = p->compat && v->k < 0;
    const pare__picture tiles = {.first = pic->tile, .n = pic->n - 1};
    int64_t *of_tiles = count + (pic->tile - pic->first);
    double *share = PARE__ARENA(v->arena, double, pic->n);
    if (!share || pare__tile_shares(v, pic, deep, p->alpha, quirk, share)) return PARE_E_NOMEM;
    const int64_t whole = count[pic->whole - pic->first] = thumbnail_count(p, v, pic, k);
    if (pic->n == 1) return 0;
    if (!quirk) return pare__picture_split(v, &tiles, k - whole, share, of_tiles);
    truncate_counts(v, pic, k - whole, share, of_tiles);
    return 0;
}

static int one_picture(const hired *p, const pare__view *v, const pare__picture *pic, const float *shallow,
                       const float *deep, int64_t k, pare__map *map)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    int64_t *count = PARE__ARENA(v->arena, int64_t, pic->n);
    int rc = count ? count_picture(p, v, pic, deep, k, count) : PARE_E_NOMEM;
    for (int32_t j = 0; !rc && j < pic->n; j++) rc = pare__slot_keep(v, pic->first + j, shallow, count[j], map);
    pare__arena_reset(v->arena, mark);
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const hired *p = priv;
    const float *shallow = pare__require(v, "hired", PARE__ARRAY_CLS_ROW, (int32_t)p->shallow, NULL, err);
    const float *deep = shallow ? pare__require(v, "hired", PARE__ARRAY_CLS_ROW, (int32_t)p->deep, NULL, err) : NULL;
    if (!deep) return PARE_E_INVALID;
    int64_t *k = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!k) return PARE_E_NOMEM;
    int rc = pare__picture_budgets(v, p->rate >= 0 ? p->rate : RATE, k);
    for (int32_t s = 0, i = 0; !rc && s < v->n_frame; i++) {
        const pare__picture pic = pare__picture_at(v, s);
        rc = one_picture(p, v, &pic, shallow, deep, k[i], map);
        s += pic.n;
    }
    memcpy(v->score_out, shallow, (size_t)v->n * sizeof *shallow);
    return rc;
}

const pare__selector pare__sel_hired = {
    .name = "hired",
    .summary = "thumbnail and tiles: deep attention divides the budget, shallow attention ranks",
    .cite = "Arif et al., HiRED, AAAI 2025, arXiv 2408.10945; hasanar1f/HiRED "
            "transformers/src/transformers/models/llava_next/modeling_llava_next.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(hired),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
