/* SPDX-License-Identifier: MIT */
#include "reduce/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

/* Which capture bit serves a need; 0 = none: the tokens at the site are there anyway. */
static uint32_t capture_bit(const pare__need *need)
{
    static const uint32_t bit[PARE__ARRAY_COUNT] = {[PARE__ARRAY_Q] = PARE__WANT_Q,
                                                    [PARE__ARRAY_K] = PARE__WANT_K,
                                                    [PARE__ARRAY_V] = PARE__WANT_V,
                                                    [PARE__ARRAY_K_MEAN] = PARE__WANT_K_MEAN,
                                                    [PARE__ARRAY_CLS_ROW] = PARE__WANT_CLS_ROW,
                                                    [PARE__ARRAY_COL_MEAN] = PARE__WANT_COL_MEAN,
                                                    [PARE__ARRAY_TOKENS] = PARE__WANT_TOKENS};
    return need->array == PARE__ARRAY_TOKENS && need->layer == PARE__LAYER_HERE ? 0 : bit[need->array];
}

/* ---- sites ---------------------------------------------------------------------------------------------------- */

static int resolve_blocks(pare__step *s, int32_t n_run, pare_error *err)
{
    if (s->site != PARE__SITE_BLOCK) return 0;
    if (!s->n_block)
        for (; s->n_block < n_run; s->n_block++) s->block[s->n_block] = s->n_block;
    const int32_t last = s->block[s->n_block - 1];
    if (last >= n_run)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': block %d, but the model runs blocks 0..%d",
                         s->sel->name, last, n_run - 1);
    return 0;
}

static int check_order(const pare__recipe *r, pare_error *err)
{
    for (int32_t i = 1; i < r->n; i++)
        if (r->step[i].site < r->step[i - 1].site)
            return pare_fail(err, PARE_E_INVALID, "recipe: step '%s' at '%s' cannot follow a step at '%s'",
                             r->step[i].sel->name, pare__site_name(r->step[i].site),
                             pare__site_name(r->step[i - 1].site));
    if (r->n > 1 && r->step[1].site == PARE__SITE_FRAMES)
        return pare_fail(err, PARE_E_INVALID, "recipe: only one step can act at 'frames'");
    return 0;
}

/* ---- needs ---------------------------------------------------------------------------------------------------- */

int pare__step_needs(const pare__step *s, pare__need *need)
{
    int n = s->sel->needs ? s->sel->needs(s->priv, s->site, need) : 0;
    if (s->score && s->score->needs) n += s->score->needs(s->score_priv, s->site, need + n);
    return n;
}

static int collect(const pare__step *s, pare__need *need, int32_t *n_own)
{
    int n = *n_own = pare__step_needs(s, need);
    if (s->alloc->needs) n += s->alloc->needs(s->alloc_priv, s->site, need + n);
    return n;
}

int32_t pare__step_layer(const pare__step *s, int32_t asked, int32_t n_layer, int32_t n_run)
{
    if (asked == PARE__LAYER_HERE) return n_run - 1;
    const int32_t layer = asked < 0 ? asked + n_layer : asked;
    if (!s->gives_block && asked < 0 && layer < 0) return 0;
    return (asked < 0 || !s->gives_block) && layer >= n_run ? n_run - 1 : layer;
}

/* The layer asked for, counted from 0; HERE at a block site stays. */
static int count_layer(const pare__plan *plan, const pare__step *s, int32_t asked, int32_t *out, pare_error *err)
{
    *out = asked;
    if (asked == PARE__LAYER_HERE && s->site == PARE__SITE_BLOCK) return 0;
    *out = pare__step_layer(s, asked, plan->n_layer, plan->n_run);
    if (*out >= 0 && *out < plan->n_run) return 0;
    return pare_fail(err, PARE_E_INVALID, "recipe step '%s': layer %d, but the model runs layers 0..%d", s->sel->name,
                     asked, plan->n_run - 1);
}

static int resolve_layer(const pare__plan *plan, const pare__step *s, pare__need *need, pare_error *err)
{
    int32_t layer;
    const int rc = count_layer(plan, s, need->layer, &layer, err);
    if (rc || layer == PARE__LAYER_HERE) return rc;
    if (s->site == PARE__SITE_PATCHES || s->site == PARE__SITE_FRAMES)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' needs what the encoder computes: it cannot act at '%s'",
                         s->sel->name, pare__site_name(s->site));
    if (s->site == PARE__SITE_BLOCK && layer > s->block[0])
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' at block %d needs layer %d, which comes later",
                         s->sel->name, s->block[0], layer);
    need->layer = layer;
    return 0;
}

/* Without a CLS token, the attention that tokens receive stands in for the attention that it pays them. */
static void replace_cls(const pare__step *s, pare__need *need, const pare_model *model)
{
    if (need->array != PARE__ARRAY_CLS_ROW || model->hp.has_cls) return;
    need->array = PARE__ARRAY_COL_MEAN;
    pare__log(PARE_LOG_INFO, "recipe step '%s': '%s' has no CLS token, the attention that tokens receive stands in",
              s->sel->name, model->name);
}

/* Captured where it arises, and held on to if it is read later. */
static void want(pare__plan *plan, const pare__step *s, const pare__need *need)
{
    const uint32_t bit = capture_bit(need);
    if (need->layer != PARE__LAYER_HERE) {
        plan->encode.want[need->layer] |= bit;
        if (s->site == PARE__SITE_OUTPUT || s->block[s->n_block - 1] > need->layer)
            plan->encode.hold[need->layer] |= bit;
        return;
    }
    for (int32_t i = 0; i < s->n_block; i++) plan->encode.want[s->block[i]] |= bit;
}

/* Does the need speak of a block that the step acts at? */
static int is_own_block(const pare__step *s, const pare__need *need)
{
    for (int32_t b = 0; b < s->n_block; b++)
        if (need->layer == PARE__LAYER_HERE || need->layer == s->block[b]) return 1;
    return 0;
}

/* Where in the block the step acts, and whether attention has to run ahead for it. */
static void plan_phase(pare__plan *plan, int32_t i, int needs_own)
{
    static const pare__phase phase[] = {[PARE__PHASE_BEFORE] = PARE__PHASE_PRE,
                                        [PARE__PHASE_MIDDLE] = PARE__PHASE_MID,
                                        [PARE__PHASE_AFTER] = PARE__PHASE_POST};
    const pare__step *s = &plan->recipe->step[i];
    const int32_t asked = s->sel->phase != PARE__PHASE_AUTO ? s->sel->phase
                          : needs_own                       ? PARE__PHASE_MIDDLE
                                                            : PARE__PHASE_BEFORE;
    plan->step[i].phase = phase[asked];
    for (int32_t b = 0; b < s->n_block && needs_own && asked == PARE__PHASE_BEFORE; b++)
        plan->encode.ahead[s->block[b]] = 1;
    if (s->site == PARE__SITE_BLOCK && s->sel->state_width) plan->encode.state_width[i] = s->sel->state_width(s->priv);
}

static int plan_needs(pare__plan *plan, int32_t i, const pare_model *model, pare_error *err)
{
    const pare__step *s = &plan->recipe->step[i];
    pare__step_plan *sp = &plan->step[i];
    const int n = collect(s, sp->need, &sp->n_need_own);
    int needs_own = 0;
    for (sp->n_need = 0; sp->n_need < n; sp->n_need++) {
        pare__need need = sp->need[sp->n_need];
        if (need.array == PARE__ARRAY_PIXELS) sp->wants_pixels = 1;
        if (need.array == PARE__ARRAY_MOTION) sp->wants_motion = 1;
        if (capture_bit(&need)) {
            const int rc = model ? resolve_layer(plan, s, &need, err) : 0;
            if (rc) return rc;
            if (model) replace_cls(s, &need, model);
            if (model) want(plan, s, &need);
            needs_own |= is_own_block(s, &need);
        }
        sp->layer[sp->n_need] = need.layer;
    }
    plan_phase(plan, i, needs_own);
    return 0;
}

/* Pixels exist until embedding; an allocator of a later step weighs the frames there. */
static int check_pixels(const pare__step *s, const pare__step_plan *sp, pare_error *err)
{
    const int before = s->site == PARE__SITE_PATCHES || s->site == PARE__SITE_FRAMES;
    if (!sp->wants_pixels || before) return 0;
    pare__need need[PARE__MAX_NEEDS];
    const int n = s->sel->needs ? s->sel->needs(s->priv, s->site, need) : 0;
    for (int i = 0; i < n; i++)
        if (need[i].array == PARE__ARRAY_PIXELS)
            return pare_fail(err, PARE_E_INVALID, "recipe step '%s' needs pixels: it cannot act at '%s'", s->sel->name,
                             pare__site_name(s->site));
    return 0;
}

static int check_parts(const pare__step *s, pare_error *err)
{
    const int no_score = s->score && !(s->score->sites & (unsigned)s->site);
    if (!no_score && s->alloc->sites & (unsigned)s->site) return 0;
    return pare_fail(err, PARE_E_INVALID, "recipe step '%s': %s '%s' cannot be had at '%s'", s->sel->name,
                     no_score ? "score" : "allocator", no_score ? s->score->name : s->alloc->name,
                     pare__site_name(s->site));
}

static int plan_site(pare__plan *plan, int32_t i, pare_error *err)
{
    const pare__step *s = &plan->recipe->step[i];
    if (s->site != PARE__SITE_BLOCK) return 0;
    if (s->sel->flags & PARE__SCOPE_WINDOW)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' looks across frames: it cannot act inside a block",
                         s->sel->name);
    const uint8_t bit = (uint8_t)(1u << plan->step[i].phase);
    for (int32_t b = 0; b < s->n_block; b++) {
        uint8_t *site = &plan->encode.site[s->block[b]];
        if (*site & bit)
            return pare_fail(err, PARE_E_INVALID, "recipe: step '%s' and another one both act in block %d",
                             s->sel->name, s->block[b]);
        *site |= bit;
    }
    return 0;
}

/* ---- amounts -------------------------------------------------------------------------------------------------- */

int64_t pare__step_amount(const pare__step *s, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block)
{
    if (s->keep > 0) return (int64_t)floor(s->keep * (double)n + 0.5);
    if (s->k > 0) return s->k < n ? s->k : n;
    if (!s->sel->amount) return PARE__AMOUNT_NONE;
    const int64_t k = s->sel->amount(s->priv, n, grid_h, grid_w, i_block, s->n_block > 0 ? s->n_block : 1);
    return k > n ? n : k;
}

static int has_amount(const pare__step *s) { return pare__step_amount(s, 256, 16, 16, 0) != PARE__AMOUNT_NONE; }

/* "a, b, c": selectors that have a measure of their own. */
static void list_measured(char *out, size_t size)
{
    size_t used = 0;
    for (int32_t i = 0; pare__selectors[i] && used < size; i++) {
        if (!pare__selectors[i]->quality) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", pare__selectors[i]->name);
    }
}

/* Can the step be told a quality, or what a frame keeps at least and at most? */
static int check_final(const pare__step *s, const pare__rate *rate, pare_error *err)
{
    if (s->site == PARE__SITE_FRAMES && (rate->kind == PARE__RATE_PER_SECOND || rate->cap || rate->detail > 0))
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' chooses one grid for all frames, it can vary no budget",
                         s->sel->name);
    const int is_wide = (s->sel->flags & PARE__SCOPE_WINDOW) && !(s->sel->flags & PARE__BOUNDED);
    if (is_wide && (rate->cap || rate->detail > 0))
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' looks across frames and knows no %s", s->sel->name,
                         rate->cap ? "cap per frame" : "quality floor");
    if (rate->kind != PARE__RATE_QUALITY || s->sel->quality) return 0;
    char list[160];
    list_measured(list, sizeof list);
    return pare_fail(err, PARE_E_INVALID, "quality: step '%s' measures no difference; %s do", s->sel->name, list);
}

static int plan_budget(pare__plan *plan, const pare__rate *rate, pare_error *err)
{
    const int has_budget = pare__rate_is_given(rate);
    const pare__recipe *r = plan->recipe;
    plan->final_step = -1;
    if (has_budget)
        for (int32_t i = 0; i < r->n; i++)
            if (!has_amount(&r->step[i])) plan->final_step = i;
    if (has_budget && plan->final_step < 0 && !pare__rate_keeps_all(rate))
        return pare_fail(
            err, PARE_E_INVALID,
            "recipe: every step has an amount of its own, so there is nothing for --keep or --tokens to set");
    if (plan->final_step >= 0 && check_final(&r->step[plan->final_step], rate, err)) return PARE_E_INVALID;
    for (int32_t i = 0; i < r->n; i++) {
        const pare__step *s = &r->step[i];
        if (i == plan->final_step || has_amount(s) || (s->sel->flags & PARE__VARIABLE_COUNT)) continue;
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s' has no amount: give keep= or k= there%s", s->sel->name,
                         has_budget ? "" : ", or --keep or --tokens");
    }
    return 0;
}

static int check_amount(const pare__step *s, pare_error *err)
{
    const int is_common = s->keep > 0 || s->k > 0;
    if (!is_common || !s->sel->amount || s->sel->amount(s->priv, 256, 16, 16, 0, 1) == PARE__AMOUNT_NONE) return 0;
    return pare_fail(err, PARE_E_INVALID, "recipe step '%s': %s= and its own options both set the amount", s->sel->name,
                     s->keep > 0 ? "keep" : "k");
}

/* A recipe without encoder runs its steps in order; only the needs matter. */
int pare__plan_make(pare__plan *plan, pare__recipe *recipe, const pare_model *model, const pare__rate *rate,
                    pare_error *err)
{
    *plan =
        (pare__plan){.recipe = recipe, .n_layer = model ? model->hp.n_layer : 0, .n_run = model ? model->hp.tap : 0};
    int rc = check_order(recipe, err);
    for (int32_t i = 0; !rc && i < recipe->n; i++) {
        pare__step *s = &recipe->step[i];
        rc = check_amount(s, err);
        if (!rc && model) rc = resolve_blocks(s, plan->n_run, err);
        if (!rc && model) rc = check_parts(s, err);
        if (!rc) rc = plan_needs(plan, i, model, err);
        if (!rc && model) rc = check_pixels(s, &plan->step[i], err);
        if (!rc && model) rc = plan_site(plan, i, err);
    }
    return rc ? rc : plan_budget(plan, rate, err);
}

int pare__plan_quality(const pare__plan *plan, double q, pare_error *err)
{
    if (plan->final_step < 0 || !(q > 0)) return 0;
    const pare__step *s = &plan->recipe->step[plan->final_step];
    return s->sel->quality ? s->sel->quality(s->priv, q, s->site, err) : 0;
}

int pare__plan_layers(pare__plan *plan, int32_t n_layer, int32_t n_run, pare_error *err)
{
    plan->n_layer = n_layer;
    plan->n_run = n_run;
    for (int32_t i = 0; i < plan->recipe->n; i++) {
        pare__step_plan *sp = &plan->step[i];
        for (int32_t j = 0; j < sp->n_need; j++) {
            if (!capture_bit(&sp->need[j])) continue;
            const int rc = count_layer(plan, &plan->recipe->step[i], sp->need[j].layer, &sp->layer[j], err);
            if (rc) return rc;
        }
    }
    return 0;
}

/* ---- several blocks ------------------------------------------------------------------------------------------- */

/* Rows after `applications` steps that each take r away, as far as the selector's limit and k allow. */
static int64_t take_away(const pare__step *s, int64_t n, int64_t k, int64_t r, int32_t applications)
{
    for (int32_t i = 0; i < applications; i++) {
        const int64_t limit = s->sel->least(s->priv, n);
        const int64_t to = n - r > limit ? n - r : limit;
        n = to > k ? to : k;
    }
    return n;
}

static int schedule_constant(const pare__step *s, int64_t n, int64_t k, int32_t i, int32_t m, int64_t *out,
                             pare_error *err)
{
    int64_t r = (n - k + m - 1) / m;
    while (r < n && take_away(s, n, k, r, m) > k) r++;
    const int64_t reached = take_away(s, n, k, r, m);
    if (reached > k)
        return pare_fail(err, PARE_E_INVALID,
                         "recipe step '%s': %d blocks bring %lld units down to %lld at best, %lld were asked",
                         s->sel->name, m, (long long)n, (long long)reached, (long long)k);
    *out = take_away(s, n, k, r, i + 1);
    return 0;
}

int pare__step_schedule(const pare__step *s, int64_t n, int64_t k, int32_t i, int32_t m, int64_t *out, pare_error *err)
{
    if (k >= n) k = n;
    if (s->sel->least) return schedule_constant(s, n, k, i, m, out, err);
    *out = k;
    if (i + 1 < m && n > 0 && k > 0) {
        const double share = pow((double)k / (double)n, (double)(i + 1) / m);
        const int64_t rows = (int64_t)floor((double)n * share + 0.5);
        *out = rows < k ? k : rows > n ? n : rows;
    }
    return 0;
}
