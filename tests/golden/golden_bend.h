/* SPDX-License-Identifier: MIT */
/* What the runners of merging methods share: the rows of a whole segment, prefix rows first, as fixtures count them. */
#ifndef PARE_TESTS_GOLDEN_BEND_H
#define PARE_TESTS_GOLDEN_BEND_H

#include "golden.h"

typedef struct whole_rows {
    int64_t n, n_out, d;
    int32_t *map, *pos; /* [n] row of every token or -1; [n_out] token of every row */
    float *size, *x;    /* [n_out], [n_out, d] */
} whole_rows;

/* A scene with in.x behind `prefix` rows, and in.size; grid_h 0 = one grid row. */
int bend_open(golden *g, scene *sc, int32_t prefix, int32_t grid_h, int32_t grid_w);
/* The result of a map over the scene's candidates. */
void bend_rows(whole_rows *w, golden *g, const scene *sc, int32_t prefix, const pare_map *map);
void bend_free(whole_rows *w);
/* The same rows in another order: row r of `to` is row order[r] of `from`; or by rising key[n_out], stable. */
void bend_permute(const whole_rows *from, const int32_t *order, whole_rows *to);
void bend_by_key(const whole_rows *from, const int32_t *key, whole_rows *to);
/* Our row of each of the authors' [n_out], from both maps [n]; fails the case where that is not one to one. To compare the
 * maps themselves is left to the caller. */
int32_t *bend_authors_order(golden *g, const float *theirs, const int32_t *ours, int64_t n, int64_t n_out);

#endif
