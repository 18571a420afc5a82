/* SPDX-License-Identifier: MIT */
/* Run-length tokenization: a tubelet is kept if the mean over its patch of |its last frame - the first frame of the
 * tubelet before| exceeds the threshold (strictly); the clip's first tubelet is always kept. Values are in units of the
 * model's normalisation unless normalised=0 (then 0..1). Run lengths = 1 + members. The tubelet's length is the model's
 * temporal patch. anchor=1 compares with the last kept tubelet instead, which does not lose slow drifts. */
#include "select/runs.h"
#include "select/selector.h"

#define AUTO (-1.0)
#define THRESHOLD 0.1

typedef struct rlt {
    double threshold;
    int32_t normalised, anchor;
} rlt;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(rlt, threshold, "keep what changed by more (auto 0.1)", AUTO, 0, 255, "auto"),
    PARE__OPTION_BOOL(rlt, normalised, "differences in units of the model's channel deviations; 0: values in 0..1", 1),
    PARE__OPTION_BOOL(rlt, anchor, "compare with the last kept tubelet; 0: with the one before", 0),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const rlt *)priv)->threshold >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

static void normalise(pare__runs *r)
{
    r->limit = 0;
    for (int c = 0; c < 3; c++) {
        r->weight[c] /= (double)r->v->pixels->std[c];
        r->limit += 255 * r->weight[c] / 3;
    }
}

/* Values in 0..1, against what stands for the patch. */
static int set_quality(void *priv, double q, int32_t site, pare_error *err)
{
    rlt *p = priv;
    (void)site, (void)err;
    p->threshold = 1 - q;
    p->normalised = 0;
    p->anchor = 1;
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const rlt *p = priv;
    pare__runs r;
    int rc = pare__runs_init(&r, v, p->anchor, "rlt", err);
    if (rc) return rc;
    if (p->normalised) normalise(&r);
    if (v->k >= 0)
        rc = pare__runs_budget(&r, v->k, THRESHOLD, err);
    else
        pare__runs_pass(&r, p->threshold >= 0 ? p->threshold : THRESHOLD);
    return rc ? rc : pare__runs_emit(&r, v->k, 1, map);
}

const pare__selector pare__sel_rlt = {
    .name = "rlt",
    .summary = "run-length tokenization: drop patches that repeat the tubelet before",
    .cite = "Choudhury et al., Don't Look Twice, NeurIPS 2024, arXiv 2411.05222; rccchoudhury/rlt "
            "src/models/static_token_utils.py",
    .sites = PARE__SITE_PATCHES,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__BOUNDED,
    .default_site = PARE__SITE_PATCHES,
    .options = options,
    .priv_size = sizeof(rlt),
    .needs = pare__runs_needs,
    .amount = amount,
    .quality = set_quality,
    .carry = pare__runs_carry,
    .select = select_rows,
};
