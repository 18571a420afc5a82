/* SPDX-License-Identifier: MIT */
/* Results made by hand: photos of one small grid, features as one likes, reduced by keeping or grouping. Units are
 * 10 x 10 pixels. */
#ifndef PARE_TESTS_MEASURE_TOY_H
#define PARE_TESTS_MEASURE_TOY_H

#include <pare/pare.h>

#include "core/map.h"

enum { TOY_SLOTS = 4, TOY_UNITS = 1600, TOY_ROWS = TOY_SLOTS * TOY_UNITS, TOY_DIM = 8, TOY_CLASSES = 3 };

/* Whatever it points to is its own: a toy must not move. */
typedef struct toy {
    pare_result_view v;
    pare__map map;
    pare_slot slot[TOY_SLOTS];
    int64_t unit_start[TOY_SLOTS + 1], row_start[TOY_SLOTS + 1];
    float embeds[TOY_ROWS * TOY_DIM], box[4 * TOY_ROWS];
    float prefix[TOY_SLOTS * TOY_DIM], pooled[TOY_SLOTS * TOY_DIM], logits[TOY_SLOTS * TOY_CLASSES];
    float scores[TOY_ROWS];
} toy;

/* All units of `slots` pictures of h x w; every feature random, in [-1, 1). */
void toy_full(toy *t, int32_t slots, int32_t h, int32_t w, uint64_t seed);
/* The units keep[k], ascending; rows are copies of the reference's. */
void toy_keep(toy *t, const toy *full, const int32_t *keep, int64_t k);
/* group[n] = row or -1; rows are means. anchor[k] ascending. */
void toy_group(toy *t, const toy *full, const int32_t *group, const int32_t *anchor, int64_t k);
void toy_free(toy *t);

/* One metric with plain C underneath; the result must be 0. */
double toy_measure(const toy *t, const toy *other, const char *name);

#endif
