/* SPDX-License-Identifier: MIT */
/* Keeps everything: the row that every table starts with. */
#include "select/selector.h"

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)priv, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return n;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    (void)priv, (void)err;
    return pare__map_identity(map, v->n);
}

const pare__selector pare__sel_none = {
    .name = "none",
    .summary = "keep everything",
    .cite = "baseline",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .default_site = PARE__SITE_OUTPUT,
    .amount = amount,
    .select = select_rows,
};
