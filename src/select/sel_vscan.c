/* SPDX-License-Identifier: MIT */
/* VScan, encoder stage: half of the budget goes to the tokens that the CLS query of a shallow block attends to most in
 * each window of the grid, the other half to the best of the rest by a deep block; every other token then merges into
 * the kept one nearest by cosine (plain mean). The windows cover the whole grid and the local half is spread over them
 * by largest remainder in proportion to their tokens, so the count is exact; compat=1 gives every whole window
 * floor(K / 2 / windows) and nothing to the partial ones at the border, as the reference does, and may fall short.
 * tokens [n, d], cls_row [n] of both blocks. */
#include <string.h>

#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"

typedef struct vscan {
    int64_t window, shallow, deep;
    int32_t merge, compat;
} vscan;

static const pare__option options[] = {
    PARE__OPTION_INT(vscan, window, "side of the local windows in units", 6, 1, PARE__MAX_UNITS_PER_FRAME),
    PARE__OPTION_BLOCK(vscan, shallow,
                       "block whose CLS attention ranks within the windows, from 0 or negative from the end", 5),
    PARE__OPTION_BLOCK(vscan, deep, "block whose CLS attention ranks over the whole image", -2),
    PARE__OPTION_BOOL(vscan, merge, "tokens that are not kept merge into the nearest kept one", 1),
    PARE__OPTION_BOOL(vscan, compat, "lose the remainders of the windows as the reference code does", 0),
    {0},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)site;
    const vscan *p = priv;
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)p->shallow};
    need[2] = (pare__need){PARE__ARRAY_CLS_ROW, (int32_t)p->deep};
    return 3;
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

typedef struct plan {
    const float *shallow, *deep; /* [n] */
    int64_t n_window;
    int64_t *quota;        /* [n_window] */
    pare__match_groups of; /* rows of every window */
    uint8_t *kept;         /* [n] */
    int32_t *row;          /* [n] the kept rows, ascending */
    int64_t n_kept;
} plan;

/* Window of a row; -1 in compat mode where the window is not whole. */
static int64_t window_of(const vscan *p, const pare__view *v, int64_t i)
{
    const int64_t y = v->thw[3 * i + 1] / p->window, x = v->thw[3 * i + 2] / p->window;
    const int64_t round = p->compat ? 0 : p->window - 1;
    const int64_t down = (v->grid_h + round) / p->window, across = (v->grid_w + round) / p->window;
    return y >= down || x >= across ? -1 : y * across + x;
}

static int64_t count_windows(const vscan *p, const pare__view *v)
{
    const int64_t round = p->compat ? 0 : p->window - 1;
    return ((v->grid_h + round) / p->window) * ((v->grid_w + round) / p->window);
}

static int sort_windows(const vscan *p, const pare__view *v, plan *o)
{
    int32_t *window = PARE__ARENA(v->arena, int32_t, v->n);
    if (!window) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) window[i] = (int32_t)window_of(p, v, i);
    return pare__match_list(v, window, v->n, o->n_window, &o->of);
}

static int share(const vscan *p, const pare__view *v, plan *o, int64_t local)
{
    double *weight = PARE__ARENA(v->arena, double, o->n_window);
    int64_t *cap = PARE__ARENA(v->arena, int64_t, o->n_window);
    if (!weight || !cap) return PARE_E_NOMEM;
    for (int64_t w = 0; w < o->n_window; w++) {
        cap[w] = o->of.start[w + 1] - o->of.start[w];
        weight[w] = (double)cap[w];
        o->quota[w] = local / o->n_window < cap[w] ? local / o->n_window : cap[w];
    }
    return p->compat ? 0 : pare__largest_remainder(local, weight, NULL, cap, o->n_window, o->quota, v->arena);
}

static int keep_local(const pare__view *v, plan *o)
{
    float *score = PARE__ARENA(v->arena, float, v->n);
    int32_t *best = PARE__ARENA(v->arena, int32_t, v->n);
    if (!score || !best) return PARE_E_NOMEM;
    for (int64_t i = 0; i < o->of.start[o->n_window]; i++) score[i] = o->shallow[o->of.col[i]];
    for (int64_t w = 0; w < o->n_window; w++) {
        const int64_t first = o->of.start[w], n = o->of.start[w + 1] - first;
        if (pare__topk(score + first, n, o->quota[w], best, v->arena)) return PARE_E_NOMEM;
        for (int64_t i = 0; i < o->quota[w]; i++) o->kept[o->of.col[first + best[i]]] = 1;
        o->n_kept += o->quota[w];
    }
    return 0;
}

/* The local picks as the top tier, then the best of the rest. */
static int keep_global(const pare__view *v, plan *o, int64_t global)
{
    o->n_kept += global;
    return pare__pick(o->kept, o->deep, v->n, o->n_kept, o->row, v->arena);
}

static int plan_make(const vscan *p, const pare__view *v, plan *o, pare_error *err)
{
    const int64_t n_window = count_windows(p, v), k = pare__budget(v), local = n_window ? k / 2 : 0;
    *o = (plan){.shallow = pare__require(v, "vscan", PARE__ARRAY_CLS_ROW, (int32_t)p->shallow, NULL, err),
                .deep = pare__require(v, "vscan", PARE__ARRAY_CLS_ROW, (int32_t)p->deep, NULL, err),
                .n_window = n_window,
                .quota = PARE__ARENA(v->arena, int64_t, n_window),
                .kept = PARE__ARENA(v->arena, uint8_t, v->n),
                .row = PARE__ARENA(v->arena, int32_t, v->n)};
    if (!o->shallow || !o->deep) return PARE_E_INVALID;
    if (!o->quota || !o->kept || !o->row) return PARE_E_NOMEM;
    memset(o->kept, 0, (size_t)v->n);
    int rc = sort_windows(p, v, o);
    if (!rc && n_window) rc = share(p, v, o, local);
    if (!rc) rc = keep_local(v, o);
    return rc ? rc : keep_global(v, o, p->compat ? k - local : k - o->n_kept);
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

/* group [n]: kept row that every token joins. */
static int assign(const pare__view *v, const float *x, int64_t d, const plan *o, int32_t *group)
{
    int32_t *other = PARE__ARENA(v->arena, int32_t, v->n), *to = PARE__ARENA(v->arena, int32_t, v->n);
    if (!other || !to) return PARE_E_NOMEM;
    int64_t n_other = 0, r = 0;
    for (int64_t i = 0; i < v->n; i++) {
        if (r < o->n_kept && o->row[r] == i)
            group[i] = (int32_t)r++;
        else
            other[n_other++] = (int32_t)i;
    }
    const float *a = pare__unit_rows(v, x, d, other, n_other), *b = pare__unit_rows(v, x, d, o->row, o->n_kept);
    if (!a || !b || pare__match_best(v, a, n_other, b, o->n_kept, d, to, NULL)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n_other; i++) group[other[i]] = to[i];
    return 0;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const vscan *p = priv;
    int32_t d = 0;
    plan o;
    const float *x = pare__require(v, "vscan", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    const int rc = x ? plan_make(p, v, &o, err) : PARE_E_INVALID;
    if (rc) return rc;
    memcpy(v->score_out, o.deep, (size_t)v->n * sizeof *o.deep);
    if (!p->merge || o.n_kept == v->n) return pare__map_keep_many(map, o.row, o.n_kept);
    int32_t *group = PARE__ARENA(v->arena, int32_t, v->n);
    if (!group || assign(v, x, d, &o, group)) return PARE_E_NOMEM;
    return pare__map_groups(map, group, o.row, o.n_kept, NULL);
}

const pare__selector pare__sel_vscan = {
    .name = "vscan",
    .summary = "half by shallow attention in every window, half by deep attention, the rest merged",
    .cite =
        "Zhang et al., VScan, TMLR 2026, arXiv 2505.22654; Tencent/SelfEvolvingAgent VScan/llava/model/llava_arch.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__AT_MOST, /* at most: compat=1 */
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(vscan),
    .needs = needs,
    .select = select_rows,
};
