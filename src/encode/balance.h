/* SPDX-License-Identifier: MIT */
/* A norm and the layer behind it share a scale per channel: norm / s, W * s is the same layer. In 8 bits it is not: rows and
 * weights have one step each, and a channel that the norm makes large takes the steps of all others. SmoothQuant (Xiao et
 * al. 2023, eq. 4) moves a part of such channels into the weights. The sizes that it measures on calibration data are taken
 * from the norm here: its channels are spread about N(b, w^2), so that max |x| ~ |b| + 3 |w|. */
#ifndef PARE_ENCODE_BALANCE_H
#define PARE_ENCODE_BALANCE_H

#include "model/model.h"

/* What pare__balance makes; all NULL: nothing. */
typedef struct pare__balanced {
    pare__norm_w norm; /* instead of the layer's own; w and b lie in `memory` */
    float *w;          /* [n_out, n_in] */
    float *memory;     /* [2, n_in] */
} pare__balanced;

/* The layer l behind a norm with weights. Errors: NOMEM, then *out is empty. */
int pare__balance(const pare__norm_w *norm, const pare__linear *l, pare__balanced *out, pare_error *err);

#endif
