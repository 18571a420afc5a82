/* SPDX-License-Identifier: MIT */
/* Resize the picture first: the only baseline that also cuts decoding into patches, and hard to beat. It makes no map:
 * it defines the grid, the largest one within the budget at the picture's aspect, and the real count is printed. */
#include <math.h>

#include "select/place.h"
#include "select/selector.h"

static void plan_grid(const void *priv, const int32_t full[2], double keep, int64_t k, int32_t out[2])
{
    (void)priv;
    const int64_t units = (int64_t)full[0] * full[1];
    pare__fit_grid(full, k < 0 ? (int64_t)floor(keep * (double)units + 0.5) : k, out);
}

const pare__selector pare__sel_resize = {
    .name = "resize",
    .summary = "a smaller picture: the largest grid within the budget at the same aspect",
    .cite = "Liao et al., VTC-Bench, ACL 2026; Chenfei-Liao/VTC-Bench",
    .sites = PARE__SITE_FRAMES,
    .flags = PARE__AT_MOST,
    .default_site = PARE__SITE_FRAMES,
    .plan_grid = plan_grid,
};
