/* SPDX-License-Identifier: MIT */
/* Density peaks among rows (DPC-kNN): rows that have near neighbours and are far from every row that has nearer ones. */
#ifndef PARE_SELECT_PEAKS_H
#define PARE_SELECT_PEAKS_H

#include "select/view.h"

/* The k best of x [n, d] by density times distance, ascending in centre [k].
 *     density = exp(-mean of the n_near smallest |x_i - x_j|^2 / d), a row itself among them
 *     distance = to the nearest row of higher density, / sqrt(d); for the densest, the largest of all
 * Ties to the lower index. Distances are kept up to 4,096 rows; of more they are computed twice, in blocks. 0 or
 * PARE_E_NOMEM. */
int pare__peaks(const pare__view *v, const float *x, int64_t n, int64_t d, int32_t n_near, int64_t k, int32_t *centre);

#endif
