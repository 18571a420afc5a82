/* SPDX-License-Identifier: MIT */
/* Plans of clips: what a reducer of its own sees, step by step, and the totals that follow.
 *
 *     one pass    frames -> dry reducer -> results -> steps
 *     two passes  frames -> reducer that watches -> ladder of thresholds per step -> one threshold for the clip -> tokens */
#include "reduce/clip_plan.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "reduce/reducer.h"

/* ---- create ------------------------------------------------------------------------------------------------------- */

static int check_kind(const pare_reducer_opts *o, int32_t kind, pare_error *err)
{
    if (kind != PARE_PLAN_ONE_PASS && kind != PARE_PLAN_TWO_PASS)
        return pare_fail(err, PARE_E_INVALID, "plan of kind %d: must be 0 or 1", kind);
    if (kind == PARE_PLAN_ONE_PASS) return 0;
    if (o->plan) return pare_fail(err, PARE_E_INVALID, "plan: the options spend another plan");
    if (!o->video) return pare_fail(err, PARE_E_INVALID, "two passes are for clips, not for photos");
    const int n_given = (o->keep != 0) + (o->tokens != 0);
    const int n_other = (o->tokens_per_frame != 0) + (o->tokens_per_second != 0) + (o->quality != 0);
    if (n_given != 1 || n_other)
        return pare_fail(err, PARE_E_INVALID, "two passes need keep or tokens, and no other budget");
    if (o->quality_floor > 0 || o->max_ms > 0)
        return pare_fail(err, PARE_E_INVALID, "two passes know no %s: steps get what the plan has for them",
                         o->quality_floor > 0 ? "quality floor" : "deadline");
    if (o->tokens < 0 || o->tokens > (int64_t)1 << 30)
        return pare_fail(err, PARE_E_INVALID, "tokens %lld: must be 1..%d", (long long)o->tokens, 1 << 30);
    return 0;
}

/* Watching costs no encoder, and its amount decides nothing. */
static pare_reducer_opts watching(const pare_reducer_opts *given)
{
    pare_reducer_opts o = *given;
    o.dry = 1;
    o.tokens = o.n_frames = 0;
    o.min_per_frame = o.max_per_frame = 0;
    o.quality_floor = o.max_ms = o.max_delay = 0;
    if (!(o.keep > 0)) o.keep = 1;
    o.window = 4;
    return o;
}

static int check_recipe(const pare_reducer *r, pare_error *err)
{
    const int32_t final = r->plan.final_step;
    if (final < 0) return pare_fail(err, PARE_E_INVALID, "plan: the recipe has no step that takes a budget");
    if (r->recipe.step[final].site != PARE__SITE_FRAMES) return 0;
    return pare_fail(err, PARE_E_INVALID, "plan: step '%s' at 'frames' takes the budget for all steps alike",
                     r->recipe.step[final].sel->name);
}

static int watch(void *user, const pare_reducer *r, int32_t first);

int pare__clip_plan_create(pare_plan **out, const pare_model *model, const pare_reducer_opts *opts, int32_t kind,
                           pare_error *err)
{
    *out = NULL;
    int rc = check_kind(opts, kind, err);
    if (rc) return rc;
    pare_plan *p = PARE__NEW(pare_plan, 1);
    if (!p) return pare_fail(err, PARE_E_NOMEM, "plan: out of memory");
    p->kind = kind;
    p->opts = *opts;
    p->opts.recipe = NULL; /* the caller's */
    const int is_two = kind == PARE_PLAN_TWO_PASS;
    pare_reducer_opts o = is_two ? watching(opts) : *opts;
    o.dry = 1;
    rc = pare__reducer_create(&p->reducer, model, &o, err);
    if (!rc && is_two) rc = check_recipe(p->reducer, err);
    if (rc) goto fail;
    p->reducer->watch = is_two ? watch : NULL;
    p->reducer->watch_user = p;
    p->ladder.vec = p->reducer->ctx.vec;
    *out = p;
    return 0;
fail:
    pare__clip_plan_free(&p);
    return rc;
}

void pare__clip_plan_free(pare_plan **out)
{
    pare_plan *p = out ? *out : NULL;
    if (!p) return;
    pare__reducer_free(&p->reducer);
    pare__ladder_fini(&p->ladder);
    pare__free(p->step);
    pare__free(p->count);
    pare__free(p->tokens);
    pare__free(p);
    *out = NULL;
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

static int add_step(pare_plan *p, const pare_step *step)
{
    if (p->n_step >= PARE__MAX_PLAN_STEPS) return PARE_E_LIMIT;
    const int rc = pare__grow((void **)&p->step, &p->cap_step, p->n_step + 1, sizeof *p->step);
    if (!rc) p->step[p->n_step++] = *step;
    return rc;
}

/* Two passes: a step's changes, as counts of what budgets count. */
static int watch(void *user, const pare_reducer *r, int32_t first)
{
    pare_plan *p = user;
    const int64_t units = (int64_t)r->ctx.grid_h * r->ctx.grid_w;
    const int64_t counted = pare__reducer_budget_units(r, r->ctx.grid_h, r->ctx.grid_w);
    p->grid_h = p->ladder.grid_h = r->ctx.grid_h;
    p->grid_w = p->ladder.grid_w = r->ctx.grid_w;
    p->ladder.patch = r->model->hp.patch * r->model->hp.unit;
    int rc = pare__grow((void **)&p->count, &p->cap_count, (p->n_step + 1) * PARE__LADDER, sizeof *p->count);
    if (rc) return rc;
    int32_t *count = p->count + p->n_step * PARE__LADDER;
    rc = pare__ladder_step(&p->ladder, pare__reducer_pixels(r, first, 0),
                           pare__reducer_pixels(r, first, r->held[first] - 1), count);
    for (int32_t j = 0; j < PARE__LADDER; j++) {
        count[j] = (int32_t)((count[j] * counted + units / 2) / units);
        if (j && count[j] > count[j - 1]) count[j] = count[j - 1];
    }
    pare_step step = r->step[first];
    step.units = counted;
    return rc ? rc : add_step(p, &step);
}

/* One pass: the steps of the windows that are decided. */
static int take_results(pare_plan *p)
{
    pare_result *result;
    int rc = 0;
    while (!rc && pare__reducer_pull(p->reducer, &result, NULL) == 0) {
        const pare_result_view *v = &result->view;
        p->grid_h = v->grid[1];
        p->grid_w = v->grid[2];
        for (int32_t i = 0; !rc && i < v->n_step; i++) rc = add_step(p, &v->step[i]);
        p->photo_positions += (int64_t)v->n_step * (p->grid_h > p->grid_w ? p->grid_h : p->grid_w);
        if (v->k < 0 || p->total < 0)
            p->total = -1;
        else
            p->total += v->k;
        pare__result_free(&result);
    }
    return rc;
}

static int failed(pare_plan *p, int rc, pare_error *err)
{
    p->rc = rc;
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "plan: out of memory after %lld steps", (long long)p->n_step);
    if (rc == PARE_E_LIMIT && p->n_step >= PARE__MAX_PLAN_STEPS)
        pare_fail(err, rc, "plan: more than %d steps", PARE__MAX_PLAN_STEPS);
    return rc;
}

int pare__clip_plan_push(pare_plan *p, const pare_frame *frame, pare_error *err)
{
    if (p->rc) return pare_fail(err, PARE_E_STATE, "plan: failed before");
    if (p->is_finished) return pare_fail(err, PARE_E_STATE, "plan: push after finish");
    int rc = pare__reducer_push(p->reducer, frame, err);
    if (!rc) rc = take_results(p);
    return failed(p, rc, err);
}

/* ---- finish ------------------------------------------------------------------------------------------------------- */

/* Blocks merge a step's tokens down to one at best. */
static int64_t floor_of(const pare_plan *p)
{
    const pare_reducer *r = p->reducer;
    const pare__step *final = &r->recipe.step[r->plan.final_step];
    const int64_t least = final->site == PARE__SITE_BLOCK;
    return p->opts.min_per_frame > least ? p->opts.min_per_frame : least;
}

static int64_t total_of(const pare_plan *p)
{
    int64_t units = 0;
    for (int64_t i = 0; i < p->n_step; i++) units += p->step[i].units;
    return p->opts.tokens ? p->opts.tokens : (int64_t)floor(p->opts.keep * (double)units + .5);
}

/* All of the first step is new, and alike in most clips: below twice its units it gets half of the total, spread over it,
 * as long as the other steps can take the rest. */
static int64_t opening_cap(const pare_plan *p, const int64_t *low, const int64_t *cap)
{
    int64_t rest = 0, half = (p->total + 1) / 2;
    for (int64_t i = 1; i < p->n_step; i++) rest += cap[i];
    if (half < p->total - rest) half = p->total - rest;
    if (half < low[0]) half = low[0];
    return half < cap[0] ? half : cap[0];
}

static int allocate(pare_plan *p, pare_error *err)
{
    const int64_t n = p->n_step, least = floor_of(p);
    pare__arena arena = {0};
    int64_t *low = PARE__ARENA(&arena, int64_t, n + 1), *cap = PARE__ARENA(&arena, int64_t, n + 1);
    int rc = low && cap ? pare__grow((void **)&p->tokens, &p->cap_tokens, n + 1, sizeof *p->tokens) : PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < n; i++) {
        const int64_t units = p->step[i].units, most = p->opts.max_per_frame;
        cap[i] = most > 0 && most < units ? most : units;
        low[i] = least < cap[i] ? least : cap[i];
    }
    p->total = total_of(p);
    if (!rc) cap[0] = opening_cap(p, low, cap);
    if (!rc) rc = pare__ladder_split(p->count, n, p->total, low, cap, p->tokens, &p->threshold, err);
    for (int64_t i = 0; !rc && i < n; i++) p->step[i].tokens = p->tokens[i];
    pare__arena_fini(&arena);
    return rc;
}

int pare__clip_plan_finish(pare_plan *p, pare_error *err)
{
    if (p->rc) return pare_fail(err, PARE_E_STATE, "plan: failed before");
    if (p->is_finished) return 0;
    int rc = pare__reducer_flush(p->reducer, err);
    if (!rc) rc = take_results(p);
    if (!rc && !p->n_step) rc = pare_fail(err, PARE_E_INVALID, "plan: no frame was pushed");
    if (!rc && p->kind == PARE_PLAN_TWO_PASS) rc = allocate(p, err);
    p->is_finished = !rc;
    return failed(p, rc, err);
}

/* ---- what is known ------------------------------------------------------------------------------------------------ */

/* Positions behind the medium, as reduce/result.c places its rows. */
static int64_t positions_of(const pare_plan *p, int64_t n_tokens)
{
    const pare__hparams *hp = &p->reducer->model->hp;
    const int64_t side = p->grid_h > p->grid_w ? p->grid_h : p->grid_w, n = p->n_step;
    if (!hp->has_mrope || !n) return n_tokens;
    if (!p->opts.video) return p->photo_positions;
    if (hp->mrope_stamps) return n * side;
    const double seconds = p->step[n - 1].pts - p->step[0].pts;
    const int64_t t = hp->mrope_per_second > 0 ? (int64_t)floor(seconds * hp->mrope_per_second + 1e-4) : n - 1;
    return (t > side - 1 ? t : side - 1) + 1;
}

void pare__clip_plan_get(const pare_plan *p, pare_plan_info *out)
{
    *out = (pare_plan_info){.struct_size = sizeof *out,
                            .kind = p->kind,
                            .step = p->step,
                            .n_step = p->n_step,
                            .grid_h = p->grid_h,
                            .grid_w = p->grid_w,
                            .threshold = p->threshold};
    for (int64_t i = 0; i < p->n_step; i++) {
        out->n_units += p->step[i].units;
        out->n_cut += p->step[i].is_cut;
    }
    out->n_tokens = p->kind == PARE_PLAN_TWO_PASS && !p->is_finished ? -1 : p->total;
    out->n_positions = positions_of(p, out->n_tokens);
    out->n_cells = out->n_tokens;
}
