/* SPDX-License-Identifier: MIT */
/* HiPrune: anchors are the round(alpha K / 5) tokens (half to even) that receive most attention in a middle ("object")
 * block, buffers their four neighbours, and the rest of the budget goes to the tokens that receive most attention in a
 * deep block. Attention is the mean over heads and queries, so no CLS is needed. Neighbours stop at the border of the
 * grid; compat=1 lets +-1 wrap into the next row and clamps what leaves the grid to the first or last token, as the
 * reference does. Should anchors and buffers exceed the budget, the deep attention decides among the buffers.
 * col_mean [n] of both blocks. */
#include <math.h>
#include <string.h>

#include "select/pick.h"
#include "select/place.h"
#include "select/selector.h"

enum { REST, BUFFER, ANCHOR }; /* tiers */
enum { CELLS_PER_ANCHOR = 5 };

typedef struct hiprune {
    double alpha;
    int64_t object, deep;
    int32_t compat;
} hiprune;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(hiprune, alpha, "share of the budget that goes to anchors and their neighbours", 0.1, 0, 1),
    PARE__OPTION_BLOCK(hiprune, object,
                       "middle block whose attention finds the anchors, from 0 or negative from the end", 9),
    PARE__OPTION_BLOCK(hiprune, deep, "block whose attention ranks the others", -2),
    PARE__OPTION_BOOL(hiprune, compat, "neighbours wrap at the borders as in the reference code", 0),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    const hiprune *p = priv;
    need[0] = (pare__need){PARE__ARRAY_COL_MEAN, (int32_t)p->object};
    need[1] = (pare__need){PARE__ARRAY_COL_MEAN, (int32_t)p->deep};
    return 2;
}

static void raise(uint8_t *tier, int64_t row)
{
    if (row >= 0 && tier[row] < BUFFER) tier[row] = BUFFER;
}

/* Neighbours by row number: what the reference does on a whole grid. */
static void wrap_around(const pare__view *v, int64_t anchor, uint8_t *tier)
{
    const int64_t step[4] = {1, -1, v->grid_w, -v->grid_w};
    for (int i = 0; i < 4; i++) {
        const int64_t row = anchor + step[i];
        raise(tier, row < 0 ? 0 : row >= v->n ? v->n - 1 : row);
    }
}

/* cell [grid_h, grid_w]: row at that place, or -1. */
static int64_t row_at(const pare__view *v, const int32_t *cell, int32_t y, int32_t x)
{
    return y < 0 || y >= v->grid_h || x < 0 || x >= v->grid_w ? -1 : cell[(int64_t)y * v->grid_w + x];
}

static void around(const pare__view *v, const int32_t *cell, int64_t anchor, uint8_t *tier)
{
    const int32_t y = v->thw[3 * anchor + 1], x = v->thw[3 * anchor + 2];
    raise(tier, row_at(v, cell, y - 1, x));
    raise(tier, row_at(v, cell, y + 1, x));
    raise(tier, row_at(v, cell, y, x - 1));
    raise(tier, row_at(v, cell, y, x + 1));
}

/* tier [n]: anchors and what surrounds them. */
static int mark(const hiprune *p, const pare__view *v, const float *object, uint8_t *tier)
{
    const int64_t n_anchor = (int64_t)nearbyint(p->alpha * (double)pare__budget(v) / CELLS_PER_ANCHOR);
    const int32_t *cell = pare__rows_by_place(v);
    int32_t *anchor = PARE__ARENA(v->arena, int32_t, n_anchor);
    if (!cell || !anchor || pare__topk(object, v->n, n_anchor, anchor, v->arena)) return PARE_E_NOMEM;
    memset(tier, REST, (size_t)v->n);
    for (int64_t i = 0; i < n_anchor; i++) tier[anchor[i]] = ANCHOR;
    for (int64_t i = 0; i < n_anchor; i++) {
        if (p->compat)
            wrap_around(v, anchor[i], tier);
        else
            around(v, cell, anchor[i], tier);
    }
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const hiprune *p = priv;
    const float *object = pare__require(v, "hiprune", PARE__ARRAY_COL_MEAN, (int32_t)p->object, NULL, err);
    const float *deep = object ? pare__require(v, "hiprune", PARE__ARRAY_COL_MEAN, (int32_t)p->deep, NULL, err) : NULL;
    if (!object || !deep) return PARE_E_INVALID;
    const int64_t k = pare__budget(v);
    uint8_t *tier = PARE__ARENA(v->arena, uint8_t, v->n);
    int32_t *row = PARE__ARENA(v->arena, int32_t, k);
    if (!tier || !row || mark(p, v, object, tier)) return PARE_E_NOMEM;
    memcpy(v->score_out, deep, (size_t)v->n * sizeof *deep);
    const int rc = pare__pick(tier, deep, v->n, k, row, v->arena);
    return rc ? rc : pare__map_keep_many(map, row, k);
}

const pare__selector pare__sel_hiprune = {
    .name = "hiprune",
    .summary = "anchors of a middle block with their neighbours, then the most attended tokens of a deep block",
    .cite = "Liu et al., HiPrune, arXiv 2508.00553; Danielement321/HiPrune LLaVA/llava/model/llava_arch.py",
    .sites = PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(hiprune),
    .needs = needs,
    .select = select_rows,
};
