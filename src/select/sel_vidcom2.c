/* SPDX-License-Identifier: MIT */
/* VidCom2: every frame keeps the share R (1 + p - mean p) of its tokens, at most all and at least one, those least like
 * the centre of the clip and that of their frame. tokens [n, d].
 *
 * With ratio= alone the count is what the rounding of the shares (half to even) leaves, as in the authors' code. With a
 * budget K the picks are made with R = ratio, or K / N, and then made exact over the whole window as serving engines do:
 * the most alike of the picked go, or the least alike of the others come; min_per_frame is kept. */
#include <math.h>
#include <string.h>

#include "select/pick.h"
#include "select/selector.h"
#include "select/vidcom2.h"

#define AUTO (-1.0)
#define RATIO 0.25

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(pare__vidcom2_rule, ratio,
                            "mean share of the tokens that is kept (auto 0.25, or the budget's)", AUTO, 0, 1, "auto"),
    PARE__VIDCOM2_TEMPERATURE,
    PARE__VIDCOM2_ALPHAS,
    {0},
};

enum { OTHER, PICKED, FIXED };

static int init(void *priv, pare_error *err)
{
    double alpha[PARE__VIDCOM2_MAX_ALPHAS];
    const int n = pare__vidcom2_alphas(priv, alpha, err);
    return n < 0 ? n : 0;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const pare__vidcom2_rule *)priv)->ratio >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* The m best of the rows [first, end) in state `from` change to `to`. */
static int change(const pare__view *v, uint8_t *state, int64_t first, int64_t end, int from, const float *score,
                  int64_t m, uint8_t to)
{
    uint8_t *part = state + first;
    return pare__mark_tier(part, from, score + first, end - first, m, part, to, v->arena) < 0 ? PARE_E_NOMEM : 0;
}

/* The picks of each frame; unlike [n] = score. */
static int pick_frames(const pare__view *v, double ratio, const pare__vidcom2 *m, const float *unlike, uint8_t *state)
{
    int rc = 0;
    memset(state, OTHER, (size_t)v->n);
    for (int32_t t = 0; !rc && t < v->n_frame; t++) {
        const int64_t first = v->frame_start[t], end = v->frame_start[t + 1];
        int64_t k = (int64_t)nearbyint(fmin(1, ratio * m->share[t]) * (double)(end - first));
        if (k < 1) k = 1;
        rc = change(v, state, first, end, OTHER, unlike, k, PICKED);
        if (!rc && v->floor > 0) rc = change(v, state, first, end, PICKED, unlike, v->floor, FIXED);
        if (!rc && v->floor > k) rc = change(v, state, first, end, OTHER, unlike, v->floor - k, FIXED);
    }
    return rc;
}

/* Brings the picks to exactly k. */
static int make_exact(const pare__view *v, int64_t k, float *unlike, uint8_t *state)
{
    int64_t n = 0;
    for (int64_t i = 0; i < v->n; i++) n += state[i] != OTHER;
    if (n <= k) return change(v, state, 0, v->n, OTHER, unlike, k - n, PICKED);
    for (int64_t i = 0; i < v->n; i++) unlike[i] = -unlike[i];
    const int rc = change(v, state, 0, v->n, PICKED, unlike, n - k, OTHER);
    for (int64_t i = 0; i < v->n; i++) unlike[i] = -unlike[i];
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pare__vidcom2_rule *p = priv;
    pare__vidcom2 m;
    int rc = pare__vidcom2_measure(v, p, &m, err);
    if (!rc) rc = pare__vidcom2_share(v, p, &m);
    if (rc) return rc;
    float *unlike = PARE__ARENA(v->arena, float, v->n);
    uint8_t *state = PARE__ARENA(v->arena, uint8_t, v->n);
    if (!unlike || !state) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) unlike[i] = (float)-(m.video[i] + m.frame[i]);
    const double budget = v->k >= 0 ? (double)v->k / (double)v->n : RATIO;
    rc = pick_frames(v, p->ratio >= 0 ? p->ratio : budget, &m, unlike, state);
    if (!rc && v->k >= 0) rc = make_exact(v, pare__budget(v), unlike, state);
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (state[i] != OTHER) rc = pare__map_keep(map, i);
    for (int64_t i = 0; v->score_out && i < v->n; i++) v->score_out[i] = unlike[i];
    return rc;
}

const pare__selector pare__sel_vidcom2 = {
    .name = "vidcom2",
    .summary = "VidCom2: more for frames that stand out, and the tokens least like clip and frame",
    .cite =
        "Liu et al., VidCom2, EMNLP 2025; xuyang-liu16/VidCom2 token_compressor/vidcom2/vidcom2.py; exact counts as "
        "in vllm-project/vllm vllm/multimodal/video_prune/vidcom2.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(pare__vidcom2_rule),
    .init = init,
    .needs = pare__need_tokens,
    .amount = amount,
    .select = select_rows,
};
