/* SPDX-License-Identifier: MIT */
/* Keeps a token only where it changed since the last one kept at its place. Ours; RLT (arXiv 2411.05222) and DTD compare
 * with the previous frame instead (anchor=0), which drops slow drifts for ever.
 *
 *   patches  mean absolute pixel difference, 0..1; over a temporal patch: its last picture against the reference's first
 *   output   1 - cosine
 *
 * With a threshold the count varies, and the result does not depend on the window. With a budget the threshold is
 * searched over passes and the count made exact by the size of the change. The clip's first step is kept whole as far
 * as half of the window's budget reaches; below that, half of the budget is spread evenly over it (spatial-uniform), the
 * other half goes to the largest changes, and a first-step token beyond its share ranks like a change of the default
 * threshold: a still clip spends everything on its first picture. A kept row stands for the dropped ones that follow at its place
 * within the window (members); one that follows a row of an earlier window has no row here. */
#include "select/runs.h"
#include "select/selector.h"

#define AUTO (-1.0)
#define PATCHES_THRESHOLD 0.025 /* 6.4 of 255: about RLT's 0.1 in units of the ImageNet deviation */
#define OUTPUT_THRESHOLD 0.05

typedef struct redundancy {
    double threshold;
    int32_t anchor;
} redundancy;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(
        redundancy, threshold,
        "keep what changed by more: mean pixel difference 0..1 (auto 0.025), at output 1 - cosine (auto 0.05)", AUTO, 0,
        2, "auto"),
    PARE__OPTION_BOOL(redundancy, anchor, "compare with the last kept token; 0: with the frame before", 1),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const redundancy *)priv)->threshold >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static int set_quality(void *priv, double q, int32_t site, pare_error *err)
{
    redundancy *p = priv;
    (void)site;
    if (!p->anchor) return pare_fail(err, PARE_E_INVALID, "temporal-redundancy: a quality is kept with anchor=1 only");
    p->threshold = 1 - q;
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const redundancy *p = priv;
    const double usual = v->site == PARE__SITE_PATCHES ? PATCHES_THRESHOLD : OUTPUT_THRESHOLD;
    pare__runs r;
    int rc = pare__runs_init(&r, v, p->anchor, "temporal-redundancy", err);
    if (rc) return rc;
    if (v->k >= 0)
        rc = pare__runs_budget(&r, v->k, usual, err);
    else
        pare__runs_pass(&r, p->threshold >= 0 ? p->threshold : usual);
    return rc ? rc : pare__runs_emit(&r, v->k, 1, map);
}

const pare__selector pare__sel_temporal_redundancy = {
    .name = "temporal-redundancy",
    .summary = "what changed since the last kept token at its place",
    .cite = "ours; after Choudhury et al., RLT, NeurIPS 2024, arXiv 2411.05222, with an anchor and exact budgets",
    .sites = PARE__SITE_PATCHES | PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__BOUNDED | PARE__ORIGINAL,
    .default_site = PARE__SITE_PATCHES,
    .options = options,
    .priv_size = sizeof(redundancy),
    .needs = pare__runs_needs,
    .amount = amount,
    .quality = set_quality,
    .carry = pare__runs_carry,
    .select = select_rows,
};
