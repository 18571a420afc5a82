/* SPDX-License-Identifier: MIT */
/* Differential token drop: what repeats the temporal step before at its place goes; the clip's first step stays whole.
 *
 *   patches  pixels: mean |last picture of the step - first picture of the one before| in 0..1; goes below threshold=
 *   output   features: cosine; goes above threshold=
 *
 * drop= takes a share of every later step instead: int(share n) rows, the most alike first, then the lower index. Of the
 * rows that follow a kept one at its place within the window it is the one that stands for them (members). With a budget
 * the count is exact over the window: the threshold is searched and settled by the size of the change, as in rlt.
 * anchor=1 compares with the last token kept at the place, which does not lose slow drifts. */
#include <math.h>

#include "select/runs.h"
#include "select/selector.h"

#define AUTO (-1.0)
#define PIXELS_THRESHOLD 0.025
#define FEATURE_THRESHOLD 0.25 /* a cosine */

typedef struct dtd {
    double threshold, drop;
    int32_t anchor;
} dtd;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(
        dtd, threshold,
        "patches: drop below this mean pixel difference (0..1, auto 0.025); output: drop above this cosine (auto "
        "0.25)",
        AUTO, 0, 1, "auto"),
    PARE__OPTION_FLOAT_AUTO(dtd, drop, "share of every later step that goes, instead of a threshold", AUTO, 0, 1,
                            "none"),
    PARE__OPTION_BOOL(dtd, anchor, "compare with the last kept token; 0: with the step before", 0),
    {0},
};

static int init(void *priv, pare_error *err)
{
    const dtd *p = priv;
    if (p->threshold < 0 || p->drop < 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "dtd: threshold=%g and drop=%g exclude each other", p->threshold, p->drop);
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    const dtd *p = priv;
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return p->threshold >= 0 || p->drop >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* The smallest change that is kept. */
static double least_change(const dtd *p, int32_t site)
{
    if (site == PARE__SITE_PATCHES) return p->threshold >= 0 ? p->threshold : PIXELS_THRESHOLD;
    return 1 - (p->threshold >= 0 ? p->threshold : FEATURE_THRESHOLD);
}

/* Against what stands for the token. */
static int set_quality(void *priv, double q, int32_t site, pare_error *err)
{
    dtd *p = priv;
    if (p->drop >= 0) return pare_fail(err, PARE_E_INVALID, "dtd: drop=%g and a quality exclude each other", p->drop);
    p->threshold = site == PARE__SITE_PATCHES ? 1 - q : q;
    p->anchor = 1;
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const dtd *p = priv;
    pare__runs r;
    const double least = least_change(p, v->site);
    int rc = pare__runs_init(&r, v, p->anchor, "dtd", err);
    if (rc) return rc;
    if (v->k >= 0)
        rc = pare__runs_budget(&r, v->k, least, err);
    else if (p->drop >= 0)
        rc = pare__runs_drop(&r, p->drop);
    else
        pare__runs_pass(&r, nextafter(least, -1));
    return rc ? rc : pare__runs_emit(&r, v->k, 1, map);
}

const pare__selector pare__sel_dtd = {
    .name = "dtd",
    .summary = "differential token drop: drop what repeats the step before, by pixels or by features",
    .cite = "Yao et al., TimeChat-Online, arXiv 2504.17343; yaolinli/TimeChat-Online "
            "demo/qwen2_5_vl/modeling_qwen2_5_vl.py",
    .sites = PARE__SITE_PATCHES | PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__BOUNDED,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(dtd),
    .init = init,
    .needs = pare__runs_needs,
    .amount = amount,
    .quality = set_quality,
    .carry = pare__runs_carry,
    .select = select_rows,
};
