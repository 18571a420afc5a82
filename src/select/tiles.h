/* SPDX-License-Identifier: MIT */
/* Pictures that are a thumbnail and its tiles: budgets of the tiles from the attention inside the thumbnail. A slot that
 * is not tiled, or whose tiles are not all in the view, is a picture by itself. Holes of a reduced slot count as no
 * attention. */
#ifndef PARE_SELECT_TILES_H
#define PARE_SELECT_TILES_H

#include "select/view.h"

/* Slots [first, first + n): the whole picture before or behind its rows * cols tiles, row by row; n = 1, whole = first and
 * rows = cols = 0 without. */
typedef struct pare__picture {
    int32_t first, n, rows, cols;
    int32_t whole, tile; /* slots of the whole picture and of the first tile */
} pare__picture;

pare__picture pare__picture_at(const pare__view *v, int32_t slot);
int64_t pare__picture_rows(const pare__view *v, const pare__picture *p);
/* Rows that each picture may keep, k[n_picture], in the order of the view: what the framework gave its slots, else in
 * proportion to its rows; without a budget int(share * rows). */
int pare__picture_budgets(const pare__view *v, double share, int64_t *k);
/* count[n] of one picture's slots: k by weight[n] within what each has and its floor, by largest remainder. */
int pare__picture_split(const pare__view *v, const pare__picture *p, int64_t k, const double *weight, int64_t *count);
/* Keeps the count best rows of a slot by score [n of the view]. */
int pare__slot_keep(const pare__view *v, int32_t slot, const float *score, int64_t count, pare__map *map);

void pare__slot_grid(const pare__view *v, int32_t slot, int32_t hw[2]);
/* Values of a slot's rows, x [n of the view], on its grid [h, w], in the arena; NULL: no memory. */
double *pare__slot_map(const pare__view *v, int32_t slot, const float *x);
/* Bilinear, pixel centres at .5 (align_corners off): from [hw] -> out [to_hw]. */
void pare__upsample(const double *from, const int32_t hw[2], double *out, const int32_t to_hw[2]);

/* GlobalCom2: 1 + p_j - mean p per tile, p = softmax of the thumbnail's attention in the tile's cell / temperature. Cells
 * are h / rows x w / cols, the last ones larger. scale[rows * cols]. */
int pare__tile_scales(const pare__view *v, const pare__picture *p, const float *attention, double temperature,
                      double *scale);
/* HiRED: of the thumbnail's int((1 - alpha) n) most attended tokens, how many lie in the cell of each tile (by patch
 * centres); `bands`: in equal parts of the flat thumbnail, as the authors' code counts. share[rows * cols]. */
int pare__tile_shares(const pare__view *v, const pare__picture *p, const float *attention, double alpha, int bands,
                      double *share);

#endif
