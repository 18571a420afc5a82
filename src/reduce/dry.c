/* SPDX-License-Identifier: MIT */
/* A window without the encoder. Steps at `patches` have run as they are; of later ones only the counts are followed, slot
 * by slot, as far as amounts and budgets fix them: the same rules as in packs.c and window.c, without tokens.
 *
 *     n [slots] rows after the steps at `patches` -> blocks -> pool of clips -> steps at `output` -> counts
 *
 * Units that reuse takes from a reference are rows as well. Unknown (-1) is what a selector decides by itself, and, of a selector that looks across the steps of a clip or an
 * allocator that reads tokens, the single counts; their sum is not. */
#include <string.h>

#include "reduce/clip_pool.h"
#include "reduce/reducer.h"

typedef struct sim {
    pare_reducer *r;
    int32_t n_slot;
    int64_t *n, *must, *next; /* [n_slot] rows now (-1 = unknown), of them kept by the mask, scratch */
    int64_t *tokens;          /* [pictures] known for a picture as a whole, or -1 */
    int64_t total;            /* -1 = unknown */
    int64_t final_left;
    int32_t has_places; /* nothing was taken since `patches`: r->rows are still the rows */
} sim;

static int64_t sum_of(const int64_t *n, int32_t count)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        if (n[i] < 0) return -1;
        sum += n[i];
    }
    return sum;
}

static void set_unknown(int64_t *n, int32_t count)
{
    for (int32_t i = 0; i < count; i++) n[i] = -1;
}

static int is_final(const sim *m, int32_t i) { return i == m->r->plan.final_step; }

/* Rows of the slots as they stand in r->rows. */
static void read_rows(sim *m)
{
    const pare__rows *rows = &m->r->rows;
    for (int32_t s = 0; s < m->n_slot; s++) {
        m->n[s] = rows->frame_start[s + 1] - rows->frame_start[s];
        m->must[s] = pare__count_must(&m->r->ctx, rows->total.m.anchor + rows->frame_start[s], m->n[s]);
    }
    m->total = rows->n;
}

/* Sums of pictures follow the slots. */
static void sum_pictures(sim *m)
{
    const int32_t per = m->r->per_picture;
    for (int32_t p = 0; p < m->n_slot / per; p++) m->tokens[p] = sum_of(m->n + p * per, per);
}

/* ---- reuse -------------------------------------------------------------------------------------------------------- */

/* Rows of earlier steps stand beside those that are computed. */
static int complete(sim *m)
{
    pare_reducer *r = m->r;
    int rc = pare__reducer_segments(r);
    if (!rc) rc = pare__reuse_segments(r);
    if (rc || r->opts.reuse != PARE_REUSE_COMPLETE) return rc;
    for (int32_t s = 0; s < m->n_slot; s++) {
        const int64_t n = r->segment[s].n + r->segment[s].n_past;
        if (n != m->n[s]) m->has_places = 0;
        m->n[s] = n;
    }
    return 0;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

/* One application on one slot. A count that nobody knows is known again where the step's last block meets its goal. */
static int block_slot(sim *m, int32_t i_step, int32_t i_block, int32_t s, pare_error *err)
{
    const pare__step *step = &m->r->recipe.step[i_step];
    const int is_last = i_block + 1 == step->n_block;
    pare__block_rows b = {.n = m->n[s], .must = m->must[s], .i_block = i_block};
    if (b.n < 0) {
        const int64_t goal = is_final(m, i_step) ? m->r->goal[s].final : -1;
        m->n[s] = is_last ? goal : -1;
        return 0;
    }
    const int rc = b.n ? pare__reducer_block_rows(m->r, i_step, s, &b, err) : 0;
    if (rc || !b.n) return rc;
    const int is_open = b.k < 0 || (b.k < b.n && step->sel->flags & PARE__AT_MOST);
    if (b.k != b.n) m->has_places = 0;
    m->n[s] = is_open ? -1 : b.k;
    return 0;
}

static int block_steps(sim *m, int64_t k, pare_error *err)
{
    static const pare__phase order[] = {PARE__PHASE_PRE, PARE__PHASE_MID, PARE__PHASE_POST};
    const pare_reducer *r = m->r;
    int rc = pare__reducer_goals(m->r, k, err);
    for (int32_t i = 0; i < 3 * r->plan.n_run; i++) {
        int32_t i_block;
        const int32_t step = pare__plan_step_at(&r->plan, i / 3, order[i % 3], &i_block);
        for (int32_t s = 0; !rc && step >= 0 && s < m->n_slot; s++) rc = block_slot(m, step, i_block, s, err);
        if (step >= 0 && is_final(m, step)) m->final_left = sum_of(m->n, m->n_slot);
    }
    m->total = sum_of(m->n, m->n_slot);
    sum_pictures(m);
    return rc;
}

/* ---- pool --------------------------------------------------------------------------------------------------------- */

/* Which rows a pool leaves depends on where they stand: known as long as nothing was taken inside the encoder. */
static int pool(sim *m)
{
    pare_reducer *r = m->r;
    if (r->ctx.clip_pool < 2) return 0;
    if (m->has_places) {
        const int rc = pare__clip_pool(&r->ctx, &r->rows, r->ctx.clip_pool);
        read_rows(m);
        sum_pictures(m);
        return rc;
    }
    set_unknown(m->n, m->n_slot);
    set_unknown(m->tokens, m->n_slot / r->per_picture);
    m->total = -1;
    return 0;
}

/* ---- output ------------------------------------------------------------------------------------------------------- */

/* Needs nothing that only the encoder has. */
static int weighs_early(const pare__step *step)
{
    pare__need need[PARE__MAX_NEEDS];
    const int n = step->alloc->needs ? step->alloc->needs(step->alloc_priv, step->site, need) : 0;
    for (int i = 0; i < n; i++)
        if (need[i].array != PARE__ARRAY_PIXELS) return 0;
    return 1;
}

static int budget_counts(sim *m, int32_t i, int64_t goal, pare_error *err)
{
    pare_reducer *r = m->r;
    double *weight = NULL;
    set_unknown(m->next, m->n_slot);
    m->total = goal;
    if (!weighs_early(&r->recipe.step[i]) || sum_of(m->n, m->n_slot) < 0) return 0;
    const int rc = pare__rows_weigh(&r->ctx, &r->plan, i, &r->rows, &r->px, &weight, err);
    return rc ? rc : pare__slots_split(&r->ctx, goal, weight, m->n, m->must, m->n_slot, m->next, &m->total, err);
}

static void own_counts(sim *m, int32_t i)
{
    if (sum_of(m->n, m->n_slot) < 0) {
        set_unknown(m->next, m->n_slot);
        m->total = -1;
        return;
    }
    pare__step_own_counts(&m->r->ctx, &m->r->recipe.step[i], m->n, m->must, m->n_slot, m->next, &m->total);
    if (m->total < 0) set_unknown(m->next, m->n_slot);
}

/* A selector that looks across the steps of a clip may shift rows between them. */
static void take_counts(sim *m, const pare__step *step)
{
    const pare_reducer *r = m->r;
    const int is_same = !memcmp(m->n, m->next, (size_t)m->n_slot * sizeof *m->n);
    const int is_wide = step->sel->flags & PARE__SCOPE_WINDOW && r->opts.video && m->n_slot > 1;
    if (!is_same) m->has_places = 0;
    memcpy(m->n, m->next, (size_t)m->n_slot * sizeof *m->n);
    if (!is_same && step->sel->flags & PARE__AT_MOST) m->total = -1;
    if (m->total < 0 || (is_wide && !is_same)) set_unknown(m->n, m->n_slot);
    sum_pictures(m);
}

static int output_step(sim *m, int32_t i, int64_t k, pare_error *err)
{
    int rc = 0;
    if (is_final(m, i) && k >= 0 && m->total >= 0)
        rc = budget_counts(m, i, k < m->total ? k : m->total, err);
    else
        own_counts(m, i);
    if (!rc) take_counts(m, &m->r->recipe.step[i]);
    if (is_final(m, i)) m->final_left = m->total;
    return rc;
}

/* ---- the window --------------------------------------------------------------------------------------------------- */

int pare__reducer_dry(pare_reducer *r, int64_t k, pare__dry *out, pare_error *err)
{
    const int32_t n = r->n_slot;
    sim m = {.r = r, .n_slot = n, .final_left = r->final_left, .has_places = 1};
    m.n = PARE__ARENA(&r->arena, int64_t, n);
    m.must = PARE__ARENA(&r->arena, int64_t, n);
    m.next = PARE__ARENA(&r->arena, int64_t, n);
    m.tokens = PARE__ARENA(&r->arena, int64_t, n);
    if (!m.n || !m.must || !m.next || !m.tokens) return PARE_E_NOMEM;
    read_rows(&m);
    int rc = r->opts.reuse ? complete(&m) : 0;
    if (!rc) rc = block_steps(&m, k, err);
    if (!rc) rc = pool(&m);
    for (int32_t i = 0; !rc && i < r->recipe.n; i++)
        if (r->recipe.step[i].site == PARE__SITE_OUTPUT) rc = output_step(&m, i, k, err);
    *out = (pare__dry){
        .tokens = m.tokens, .total = m.total, .final_left = m.final_left, .has_places = m.has_places && !rc};
    return rc;
}
