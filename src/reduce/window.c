/* SPDX-License-Identifier: MIT */
/* One step on one view, and one step on all rows of a window. */
#include "reduce/window.h"

#include <math.h>
#include <string.h>

#include "reduce/rate.h"

/* ---- one view ------------------------------------------------------------------------------------------------- */

static int fill_carry(pare__step *step, pare__view *v)
{
    if (!step->sel->carry) return 0;
    const size_t size = step->sel->carry(step->priv, v);
    if (size > step->carry_size) {
        pare__free(step->carry);
        step->carry = pare__calloc(1, (int64_t)size);
        step->carry_size = step->carry ? size : 0;
        if (!step->carry) return PARE_E_NOMEM;
    }
    if (v->is_first && step->carry_size) memset(step->carry, 0, step->carry_size);
    v->carry = step->carry;
    return 0;
}

/* Scratch of a score does not outlive it. */
static int compute_score(const pare__step *step, const pare__view *v, float *out, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    const int rc = step->score->compute(step->score_priv, v, out, err);
    pare__arena_reset(v->arena, mark);
    return rc;
}

static int fill_score(const pare__step *step, pare__view *v, pare_error *err)
{
    float *out = PARE__ARENA(v->arena, float, v->n);
    if (!out) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) out[i] = NAN;
    v->score_out = out;
    if (!step->score) return 0;
    if (v->score) memcpy(out, v->score, (size_t)v->n * sizeof *out); /* score_window() was here */
    const int rc = v->score ? 0 : compute_score(step, v, out, err);
    v->score = out;
    return rc;
}

static void record_score(const pare__context *ctx, const pare__view *v)
{
    if (!ctx->score || !v->origin) return;
    for (int64_t i = 0; i < v->n; i++)
        if (!isnan(v->score_out[i])) ctx->score[v->origin[i]] = v->score_out[i];
}

static int check_count(const pare__step *step, const pare__view *v, const pare__map *map, pare_error *err)
{
    const int64_t got = map->m.n_out;
    if (v->k < 0 || got == v->k || (got < v->k && (step->sel->flags & PARE__AT_MOST))) return 0;
    return pare_fail(err, PARE_E_STATE, "selector '%s' left %lld rows of %lld, %lld were asked", step->sel->name,
                     (long long)got, (long long)v->n, (long long)v->k);
}

/* Nothing to take away: a selector with a working order of its own must not shuffle either. */
static int is_idle(const pare__step *step, const pare__view *v)
{
    return v->k == v->n && (step->sel->flags & PARE__KEEPS_ORDER);
}

static int run_selector(const pare__step *step, pare__view *v, pare__map *map, pare_error *err)
{
    int rc = 0;
    pare__map_begin(map, v->n);
    if (is_idle(step, v))
        rc = pare__map_identity(map, v->n);
    else if (v->k != 0)
        rc = step->sel->select(step->priv, v, map, err);
    const int sort = !(step->sel->flags & PARE__KEEPS_ORDER);
    if (!rc) rc = pare__map_finish(map, v->size, sort, err);
    if (!rc) rc = check_count(step, v, map, err);
    if (!rc) rc = pare__map_check(&map->m, sort ? PARE__MAP_SORTED : 0, err);
    return rc;
}

/* What no selector need check again: what was asked of the caller is there, and one application can reach the count. */
static int check_given(const pare__step *step, const pare__view *v, const pare__need *need, int n_need, pare_error *err)
{
    for (int i = 0; i < n_need; i++) {
        const pare__array array = need[i].array;
        const int missing = (array == PARE__ARRAY_PIXELS && !v->pixels) || (array == PARE__ARRAY_GIVEN && !v->given) ||
                            (array == PARE__ARRAY_TEXT_QUERY && !v->text);
        if (missing)
            return pare_fail(err, PARE_E_INVALID, "step '%s' at '%s' needs %s, which nobody gave", step->sel->name,
                             pare__site_name(v->site), pare__array_name(array));
    }
    return 0;
}

static int check_view(const pare__step *step, const pare__view *v, pare_error *err)
{
    pare__need need[PARE__MAX_STEP_NEEDS];
    const int rc = check_given(step, v, need, pare__step_needs(step, need), err);
    if (rc) return rc;
    const int64_t least = step->sel->least ? step->sel->least(step->priv, v->n) : 0;
    if (v->k < 0 || v->k >= least) return 0;
    return pare_fail(err, PARE_E_INVALID, "step '%s' brings %lld units down to %lld at best, %lld were asked",
                     step->sel->name, (long long)v->n, (long long)least, (long long)v->k);
}

/* Did a selector that decides itself leave more or fewer of a slot than it may? Then v->k says how many it has to leave. */
static int is_out_of_bounds(const pare__step *step, pare__view *v, int64_t n_out)
{
    if (v->k >= 0 || !v->low || step->sel->flags & PARE__SCOPE_WINDOW) return 0;
    const int64_t k = n_out < v->low[0] ? v->low[0] : n_out > v->cap[0] ? v->cap[0] : n_out;
    if (k == n_out) return 0;
    v->k = v->k_final = k;
    return 1;
}

/* The step on a view from which nothing is set aside. */
static int select_free(const pare__context *ctx, pare__step *step, pare__view *v, pare__map *map, pare_error *err)
{
    int rc = v->n ? check_view(step, v, err) : 0;
    if (!rc) rc = fill_carry(step, v);
    if (!rc) rc = fill_score(step, v, err);
    if (!rc) rc = run_selector(step, v, map, err);
    if (!rc && is_out_of_bounds(step, v, map->m.n_out)) rc = run_selector(step, v, map, err);
    if (!rc) record_score(ctx, v);
    return rc;
}

/* The step on the rows that the mask leaves free; the others come back as they are. */
static int select_aside(const pare__context *ctx, pare__step *step, pare__view *v, pare__map *map, pare_error *err)
{
    pare__view free_rows;
    pare__map *part = pare__map_borrow(ctx, 0);
    int32_t *row;
    int rc = pare__aside_view(ctx, v, &free_rows, &row, err);
    if (!rc && free_rows.n) rc = select_free(ctx, step, &free_rows, part, err);
    const int sort = !(step->sel->flags & PARE__KEEPS_ORDER);
    if (!rc) rc = pare__aside_map(ctx, v, &free_rows, row, &part->m, map);
    if (!rc) rc = pare__map_finish(map, v->size, sort, err);
    if (!rc) rc = pare__map_check(&map->m, sort ? PARE__MAP_SORTED : 0, err);
    pare__map_return(ctx);
    return rc;
}

int pare__step_select(pare__context *ctx, pare__step *step, pare__view *v, pare__map *map, pare_error *err)
{
    const double t = pare__now_ms();
    const pare__mark mark = pare__arena_mark(ctx->arena);
    const int64_t n_must = v->origin ? pare__count_must(ctx, v->origin, v->n) : 0;
    const int rc = n_must ? select_aside(ctx, step, v, map, err) : select_free(ctx, step, v, map, err);
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "selector '%s': out of memory", step->sel->name);
    pare__arena_reset(ctx->arena, mark);
    ctx->select_ms += pare__now_ms() - t;
    return rc;
}

/* ---- counts --------------------------------------------------------------------------------------------------- */

int pare__rows_weigh(pare__context *ctx, const pare__plan *plan, int32_t i, const pare__rows *rows,
                     const pare__pixels *pixels, double **weight, pare_error *err)
{
    const pare__step *step = &plan->recipe->step[i];
    *weight = NULL;
    if (step->alloc == pare__allocators[0]) return 0;
    pare__view v;
    int rc = pare__window_view(ctx, plan, i, plan->step[i].n_need_own, rows, pixels, &v, err);
    if (rc) return rc;
    const double t = pare__now_ms();
    *weight = PARE__ARENA(ctx->arena, double, rows->n_frame);
    const pare__mark mark = pare__arena_mark(ctx->arena);
    rc = *weight ? step->alloc->weigh(step->alloc_priv, &v, *weight, err) : PARE_E_NOMEM;
    pare__arena_reset(ctx->arena, mark);
    ctx->select_ms += pare__now_ms() - t;
    return rc;
}

static int64_t *frame_sizes(const pare__rows *rows, pare__arena *arena)
{
    int64_t *n = PARE__ARENA(arena, int64_t, rows->n_frame);
    for (int32_t f = 0; n && f < rows->n_frame; f++) n[f] = rows->frame_start[f + 1] - rows->frame_start[f];
    return n;
}

void pare__step_own_counts(const pare__context *ctx, const pare__step *step, const int64_t *n, const int64_t *must,
                           int32_t n_frame, int64_t *k_frame, int64_t *k)
{
    *k = 0;
    for (int32_t f = 0; f < n_frame; f++) {
        k_frame[f] = pare__step_amount(step, n[f], ctx->slot[f].grid_h, ctx->slot[f].grid_w, 0);
        if (k_frame[f] < 0) {
            *k = -1;
            return;
        }
        if (k_frame[f] < must[f]) k_frame[f] = must[f];
        *k += k_frame[f];
    }
}

static int64_t *must_counts(const pare__context *ctx, const pare__rows *rows)
{
    int64_t *must = PARE__ARENA(ctx->arena, int64_t, rows->n_frame);
    for (int32_t f = 0; must && f < rows->n_frame; f++)
        must[f] = pare__count_must(ctx, rows->total.m.anchor + rows->frame_start[f],
                                   rows->frame_start[f + 1] - rows->frame_start[f]);
    return must;
}

/* What every slot keeps at least and at most, where the budget's step looks across slots or decides itself. */
static int set_bounds(const pare__context *ctx, const int64_t *n, const int64_t *must, pare__view *v)
{
    if (!ctx->low && !ctx->cap) return 0;
    int64_t *low = PARE__ARENA(ctx->arena, int64_t, v->n_frame), *cap = PARE__ARENA(ctx->arena, int64_t, v->n_frame);
    if (!low || !cap) return PARE_E_NOMEM;
    for (int32_t f = 0; f < v->n_frame; f++) {
        cap[f] = ctx->cap && ctx->cap < n[f] ? ctx->cap : n[f];
        if (cap[f] < must[f]) cap[f] = must[f];
        low[f] = ctx->low && ctx->low[f] > v->floor ? ctx->low[f] : v->floor;
        if (low[f] > cap[f]) low[f] = cap[f];
    }
    v->low = low;
    v->cap = cap;
    return 0;
}

/* Fills v->k and v->k_frame. */
static int set_counts(pare__context *ctx, const pare__plan *plan, int32_t i, const pare__rows *rows, int64_t k,
                      pare__view *v, pare_error *err)
{
    int64_t *n = frame_sizes(rows, ctx->arena), *must = must_counts(ctx, rows);
    int64_t *k_frame = PARE__ARENA(ctx->arena, int64_t, rows->n_frame);
    if (!n || !must || !k_frame) return PARE_E_NOMEM;
    if (k < 0) {
        pare__step_own_counts(ctx, &plan->recipe->step[i], n, must, rows->n_frame, k_frame, &v->k);
        if (v->k >= 0) v->floor = 0; /* floors belong to the budget */
    } else {
        double *weight;
        int rc = pare__rows_weigh(ctx, plan, i, rows, v->pixels, &weight, err);
        if (!rc) rc = pare__slots_split(ctx, k, weight, n, must, rows->n_frame, k_frame, &v->k, err);
        if (rc) return rc;
        v->budget_left = ctx->budget_left;
        v->units_left = ctx->units_left;
    }
    v->k_final = v->k;
    v->k_frame = v->k < 0 ? NULL : k_frame;
    return i == plan->final_step ? set_bounds(ctx, n, must, v) : 0;
}

/* ---- one step on all rows ------------------------------------------------------------------------------------- */

/* A score that looks at the whole window, for a selector that is shown one frame at a time: v->score [n]. Rows that the
 * mask sets aside are neither read nor scored. */
static int score_window(pare__context *ctx, const pare__step *step, pare__view *v, pare_error *err)
{
    const int is_wide = step->score && step->score->flags & PARE__SCOPE_WINDOW;
    if (!is_wide || step->sel->flags & PARE__SCOPE_WINDOW) return 0;
    const double t = pare__now_ms();
    pare__view seen = *v, whole = *v;
    int32_t *row = NULL;
    int rc = 0;
    whole.k = -1;
    whole.k_frame = NULL;
    if (pare__count_must(ctx, v->origin, v->n)) rc = pare__aside_view(ctx, &whole, &seen, &row, err);
    float *out = PARE__ARENA(v->arena, float, v->n), *part = PARE__ARENA(v->arena, float, seen.n + 1);
    if (rc || !out || !part) return rc ? rc : PARE_E_NOMEM;
    if (seen.n) rc = compute_score(step, &seen, part, err);
    for (int64_t i = 0; i < v->n; i++) out[i] = NAN;
    for (int64_t i = 0; i < seen.n; i++) out[row ? row[i] : i] = part[i];
    v->score = out;
    ctx->select_ms += pare__now_ms() - t;
    return rc;
}

static int select_parts(pare__context *ctx, pare__step *step, const pare__view *window, int by_medium, pare__map *map,
                        pare_error *err);

/* All slots of one medium: at once, or one by one. */
static int select_medium(pare__context *ctx, pare__step *step, pare__view *v, pare__map *map, pare_error *err)
{
    const int rc = score_window(ctx, step, v, err);
    if (rc) return rc;
    return step->sel->flags & PARE__SCOPE_WINDOW ? pare__step_select(ctx, step, v, map, err)
                                                 : select_parts(ctx, step, v, 0, map, err);
}

/* Slots from f on that are looked at together. */
static int32_t part_length(const pare__view *window, int32_t f, int by_medium)
{
    int32_t n = 1;
    while (by_medium && f + n < window->n_frame && window->slot[f + n].media == window->slot[f].media) n++;
    return n;
}

/* The window medium by medium, or a medium slot by slot: photos of one window are no frames of a clip. */
static int select_parts(pare__context *ctx, pare__step *step, const pare__view *window, int by_medium, pare__map *map,
                        pare_error *err)
{
    pare__map *one = pare__map_borrow(ctx, 0);
    int rc = 0;
    pare__map_begin(map, 0);
    for (int32_t f = 0, count; !rc && f < window->n_frame; f += count) {
        const pare__mark mark = pare__arena_mark(ctx->arena);
        pare__view v;
        count = part_length(window, f, by_medium);
        rc = pare__part_view(window, f, count, &v);
        pare__map_begin(one, rc ? 0 : v.n);
        if (!rc && v.n)
            rc = by_medium ? select_medium(ctx, step, &v, one, err) : pare__step_select(ctx, step, &v, one, err);
        if (!rc && v.n) rc = pare__map_append(map, &one->m);
        pare__arena_reset(ctx->arena, mark);
    }
    pare__map_return(ctx);
    return rc;
}

int pare__rows_step(pare__context *ctx, const pare__plan *plan, int32_t i, pare__rows *rows, int64_t k,
                    const pare__pixels *pixels, pare_error *err)
{
    if (!rows->n) return 0;
    pare__step *step = &plan->recipe->step[i];
    const pare__mark mark = pare__arena_mark(ctx->arena);
    pare__map *map = pare__map_borrow(ctx, 0);
    pare__view v;
    int rc = pare__window_view(ctx, plan, i, 0, rows, pixels, &v, err);
    if (!rc) rc = set_counts(ctx, plan, i, rows, k, &v, err);
    if (!rc)
        rc = part_length(&v, 0, 1) == v.n_frame ? select_medium(ctx, step, &v, map, err)
                                                : select_parts(ctx, step, &v, 1, map, err);
    if (!rc) rc = pare__rows_reduce(rows, map, ctx->arena);
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "step '%s': out of memory", step->sel->name);
    pare__map_return(ctx);
    pare__arena_reset(ctx->arena, mark);
    return rc;
}
