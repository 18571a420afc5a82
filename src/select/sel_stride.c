/* SPDX-License-Identifier: MIT */
/* Every N/K-th candidate, floor((m + .5) N / K) in exact integers. Aliases into columns when N/K is near
 * a divisor of the width; spatial-uniform does not. */
#include "select/pick.h"
#include "select/selector.h"

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv, (void)err;
    const int64_t k = pare__budget(v);
    int rc = 0;
    for (int64_t m = 0; !rc && m < k; m++) rc = pare__map_keep(map, (2 * m + 1) * v->n / (2 * k));
    return rc;
}

const pare__selector pare__sel_stride = {
    .name = "stride",
    .summary = "every N/K-th token of a frame",
    .cite = "baseline; one-dimensional uniform sampling",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_PATCHES,
    .select = select_rows,
};
