/* SPDX-License-Identifier: MIT */
/* What differs from the background (background.h): keeps people on the move, and who has just stopped, in views of a camera
 * that stands still, or nearly as well of one that pans. Pixels -> exactly k rows of a window, best scores first, whatever picture they are in.
 *
 * A clip's first step has no background yet: a quarter of the window's budget is spread evenly over it, so that every
 * place was seen once. Where the whole clip has a budget and its length is known, a quiet window leaves rows to later
 * ones: with K' rows left for the N' units that are left, of which the share r comes after this window, it keeps what
 * scores above the (1 - K'/N' (1 - r/4)) quantile of all units so far, but no more than v->k, its share and what was
 * left before. The clip's last window keeps all that is left: the total is exact. */
#include <string.h>

#include "select/background.h"
#include "select/pick.h"
#include "select/place.h"
#include "select/selector.h"

#define AUTO (-1.0)
#define THRESHOLD 0.7 /* of ground, 90 % score less; of walking people, 98 % more (PETS 2009, S2.L1) */
#define SAVING 0.25

enum { BINS_PER_SCORE = 64, BINS = (int)PARE__BACKGROUND_MOST * BINS_PER_SCORE + 1, OPENING = 4 };
enum { TIER_FREE, TIER_OPENING, TIER_FLOOR };

typedef struct background {
    double threshold;
    int32_t save;
} background;

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(background, threshold,
                            "keep what scores more, whatever the number: 0..10 in units of the usual change (auto 0.7)",
                            AUTO, 0, PARE__BACKGROUND_MOST, "auto"),
    PARE__OPTION_BOOL(background, save, "leave rows to later windows where the clip's length is known", 1),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const background *)priv)->threshold >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* ---- carried from window to window --------------------------------------------------------------------------------- */

typedef struct past {
    int64_t count[BINS]; /* of the scores of all units so far */
    int64_t n;
} past;

static size_t past_bytes(void) { return (sizeof(past) + 63) / 64 * 64; }

static size_t carry(const void *priv, const pare__view *v)
{
    (void)priv;
    return past_bytes() + (v->pixels ? pare__background_size(v) : 0);
}

static int64_t bin_of(float score) { return (int64_t)(score * BINS_PER_SCORE); }

/* ---- scores -------------------------------------------------------------------------------------------------------- */

/* Mean over the pictures of a step -> score [units of a slot]. */
static int score_step(pare__background *b, const pare__view *v, int32_t step, float *score)
{
    const pare__pixels *px = v->pixels;
    const int64_t units = (int64_t)v->grid_h * v->grid_w;
    const pare__mark mark = pare__arena_mark(v->arena);
    float *one = PARE__ARENA(v->arena, float, units);
    int rc = one ? 0 : PARE_E_NOMEM;
    memset(score, 0, (size_t)units * sizeof *score);
    for (int32_t j = 0; !rc && j < px->temporal; j++) {
        rc = pare__background_take(b, v, px->frame[(int64_t)step * px->temporal + j], one);
        for (int64_t i = 0; !rc && i < units; i++) score[i] += one[i] / (float)px->temporal;
    }
    pare__arena_reset(v->arena, mark);
    return rc;
}

/* Scores of the candidates -> score [n]; every one is counted. */
static int score_window(const pare__view *v, past *p, float *score)
{
    pare__background *b = pare__background_at((uint8_t *)v->carry + past_bytes(), v);
    float *grid = PARE__ARENA(v->arena, float, (int64_t)v->grid_h * v->grid_w);
    int rc = grid ? 0 : PARE_E_NOMEM;
    for (int32_t s = 0; !rc && s < v->n_frame; s++) {
        rc = score_step(b, v, s, grid);
        for (int64_t i = v->frame_start[s]; !rc && i < v->frame_start[s + 1]; i++) {
            score[i] = grid[(int64_t)v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2]];
            p->count[bin_of(score[i])]++;
        }
    }
    p->n += v->n;
    return rc;
}

/* ---- the count ----------------------------------------------------------------------------------------------------- */

/* Candidates of the view that reach a score which no more than `share` of all units so far have reached. */
static int64_t count_above(const pare__view *v, const past *p, const float *score, double share)
{
    int64_t bin = BINS, reached = 0, n = 0;
    while (bin > 0 && (double)(reached + p->count[bin - 1]) <= share * (double)p->n) reached += p->count[--bin];
    for (int64_t i = 0; i < v->n; i++) n += bin_of(score[i]) >= bin;
    return n;
}

/* What later windows can take at most must not be all that is left: half of their units. */
static int64_t thrifty_count(const pare__view *v, const past *p, const float *score)
{
    const int64_t later = v->units_left - v->n;
    if (later <= 0) return v->k;
    const double fear = SAVING * (double)later / (double)v->units_left;
    const double share = (double)v->budget_left / (double)v->units_left * (1 - fear);
    int64_t k = count_above(v, p, score, share);
    if (k < v->budget_left - later / 2) k = v->budget_left - later / 2;
    const int64_t floors = v->floor * v->n_frame;
    if (k < floors) k = floors;
    return k < v->k ? k : v->k;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

/* The first step of a clip: rows spread evenly, its part of the budget; all, if there is none. */
static int mark_opening(const pare__view *v, int64_t k, uint8_t *tier, pare_error *err)
{
    const int64_t n = v->frame_start[1], part = k / OPENING > k / v->n_frame ? k / OPENING : k / v->n_frame;
    const int64_t m = k < 0 || part > n ? n : part;
    int32_t *row = PARE__ARENA(v->arena, int32_t, m + 1);
    const int rc = row ? pare__spread_rows(v, 0, n, m, &(pare__spread){0}, row, err) : PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < m; i++) tier[row[i]] = TIER_OPENING;
    return rc;
}

static int mark_floor(const pare__view *v, const float *score, uint8_t *tier)
{
    for (int32_t s = 0; v->floor > 0 && s < v->n_frame; s++) {
        const int64_t first = v->frame_start[s], n = v->frame_start[s + 1] - first;
        const int64_t k = v->floor < n ? v->floor : n;
        int32_t *row = PARE__ARENA(v->arena, int32_t, k + 1);
        const int rc = row ? pare__pick(tier + first, score + first, n, k, row, v->arena) : PARE_E_NOMEM;
        if (rc) return rc;
        for (int64_t i = 0; i < k; i++)
            if (tier[first + row[i]] < TIER_FLOOR) tier[first + row[i]] = TIER_FLOOR;
    }
    return 0;
}

static int keep_above(const pare__view *v, double threshold, const float *score, const uint8_t *tier, pare__map *map)
{
    int rc = 0;
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (tier[i] || score[i] > (float)threshold) rc = pare__map_keep(map, i);
    return rc;
}

static int keep_best(const pare__view *v, int64_t k, const float *score, const uint8_t *tier, pare__map *map)
{
    int32_t *row = PARE__ARENA(v->arena, int32_t, k + 1);
    const int rc = row ? pare__pick(tier, score, v->n, k, row, v->arena) : PARE_E_NOMEM;
    return rc ? rc : pare__map_keep_many(map, row, k);
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const background *p = priv;
    if (!v->pixels) return pare_fail(err, PARE_E_INVALID, "selector 'background' needs pixels");
    past *past_scores = v->carry;
    float *score = PARE__ARENA(v->arena, float, v->n);
    uint8_t *tier = PARE__ARENA(v->arena, uint8_t, v->n);
    int rc = score && tier ? score_window(v, past_scores, score) : PARE_E_NOMEM;
    if (rc) return rc;
    const int64_t k = v->k >= 0 && p->save && v->units_left > 0 ? thrifty_count(v, past_scores, score) : v->k;
    memset(tier, TIER_FREE, (size_t)v->n);
    if (v->is_first) rc = mark_opening(v, k, tier, err);
    if (!rc) rc = mark_floor(v, score, tier);
    if (rc) return rc;
    memcpy(v->score_out, score, (size_t)v->n * sizeof *score);
    return k < 0 ? keep_above(v, p->threshold >= 0 ? p->threshold : THRESHOLD, score, tier, map)
                 : keep_best(v, k, score, tier, map);
}

const pare__selector pare__sel_background = {
    .name = "background",
    .summary = "what differs from a running median of the pictures",
    .cite = "ours; the median after McFarlane and Schofield, Machine Vision and Applications 8, 1995",
    .sites = PARE__SITE_PATCHES,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__AT_MOST | PARE__ORIGINAL,
    .default_site = PARE__SITE_PATCHES,
    .options = options,
    .priv_size = sizeof(background),
    .needs = pare__need_pixels,
    .amount = amount,
    .carry = carry,
    .select = select_rows,
};
