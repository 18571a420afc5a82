/* SPDX-License-Identifier: MIT */
/* Greedy choices over a similarity: each picks k rows, one at a time, the best given those picked before, ties to the
 * lower index. order[k] receives the rows as they were picked; gain[k] (may be NULL) what each pick was worth. Gains
 * only fall as rows are picked, so an outdated gain is an upper bound: coverage and volume look again only at rows whose
 * bound is the largest (lazy greedy), with the same picks, bit for bit, as looking at all. Errors: NOMEM. */
#ifndef PARE_SELECT_GREEDY_H
#define PARE_SELECT_GREEDY_H

#include "select/similar.h"

/* Max-min: first the row whose nearest other row is farthest, then the row farthest (1 - cosine) from all picked. Rows
 * that equal a picked one come last, by index. */
int pare__greedy_maxmin(pare__similar *s, int64_t k, int32_t *order, double *gain);

/* Facility location: sum_i max(0, cos(i, j) - m_i), m_i = the largest cosine of i with a picked row, at least 0; times
 * weight[n], or plus weight. Weights are not negative. */
typedef struct pare__cover {
    const double *weight; /* [n] */
    int32_t add;
} pare__cover;
int pare__greedy_cover(pare__similar *s, const pare__cover *how, int64_t k, int32_t *order, double *gain);

/* Volume: greedy MAP of the determinantal point process with kernel r_i r_j cos(i, j) and diagonal exactly r_i^2. A row
 * that the picked ones span adds nothing; when no other is left the process starts afresh on the rows that remain. */
int pare__greedy_volume(pare__similar *s, const double *r, int64_t k, int32_t *order, double *gain);

#endif
