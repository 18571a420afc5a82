/* SPDX-License-Identifier: MIT */
/* A window through the encoder: which units of which frame are embedded, what happens at block sites, and how the rows
 * of the packs come together again, sorted by anchor. */
#include <string.h>

#include "reduce/reducer.h"

/* ---- block sites ---------------------------------------------------------------------------------------------- */

int32_t pare__plan_step_at(const pare__plan *plan, int32_t block, pare__phase phase, int32_t *i_block)
{
    for (int32_t i = 0; i < plan->recipe->n; i++) {
        const pare__step *s = &plan->recipe->step[i];
        if (s->site != PARE__SITE_BLOCK || plan->step[i].phase != phase) continue;
        for (*i_block = 0; *i_block < s->n_block; (*i_block)++)
            if (s->block[*i_block] == block) return i;
    }
    return -1;
}

static pare__array array_of(uint32_t what)
{
    for (int32_t i = 0; i < PARE__WANT_COUNT; i++) {
        static const struct {
            uint32_t bit;
            pare__array array;
        } table[] = {{PARE__WANT_Q, PARE__ARRAY_Q},
                     {PARE__WANT_K, PARE__ARRAY_K},
                     {PARE__WANT_V, PARE__ARRAY_V},
                     {PARE__WANT_K_MEAN, PARE__ARRAY_K_MEAN},
                     {PARE__WANT_CLS_ROW, PARE__ARRAY_CLS_ROW},
                     {PARE__WANT_COL_MEAN, PARE__ARRAY_COL_MEAN},
                     {PARE__WANT_TOKENS, PARE__ARRAY_TOKENS}};
        if (table[i].bit == what) return table[i].array;
    }
    return PARE__ARRAY_COUNT;
}

static const pare__capture *find_capture(const pare__pack *pack, pare__array array, int32_t block)
{
    for (int32_t i = 0; i < pack->n_capture; i++)
        if (pack->capture[i].block == block && array_of(pack->capture[i].what) == array) return &pack->capture[i];
    return NULL;
}

/* The step's needs as arrays of the segment whose first unit, prefix rows included, is `unit`. */
static int32_t offer(const pare__step_plan *sp, const pare__pack *pack, int32_t block, int64_t unit,
                     pare__view_array *array)
{
    int32_t n = 0;
    for (int32_t i = 0; i < sp->n_need; i++) {
        const pare__need need = sp->need[i];
        const int is_here = sp->layer[i] == PARE__LAYER_HERE;
        pare__view_array a = {.need = need, .width = pack->d};
        const float *data = need.array == PARE__ARRAY_TOKENS && is_here ? pack->tokens : NULL;
        const int32_t at = is_here ? block : sp->layer[i];
        const pare__capture *c = data ? NULL : find_capture(pack, need.array, at);
        if (!c && need.array == PARE__ARRAY_CLS_ROW) c = find_capture(pack, PARE__ARRAY_COL_MEAN, at);
        if (c) {
            a.width = c->width;
            data = c->data;
        }
        if (!data) continue;
        if (pack->n_prefix) a.prefix = data + unit * a.width;
        a.data = data + (unit + pack->n_prefix) * a.width;
        array[n++] = a;
    }
    return n;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Rows that the step's last block leaves of a slot, `must` of which the mask keeps; -1 = nobody said. */
static int64_t goal_of(pare_reducer *r, int32_t i_step, int32_t frame, const pare__block_rows *b)
{
    const pare__step *step = &r->recipe.step[i_step];
    const pare_slot *slot = &r->slot[frame];
    pare__goal *g = &r->goal[frame];
    if (b->i_block == 0) g->entry[i_step] = b->n;
    int64_t goal = i_step == r->plan.final_step ? g->final : -1;
    if (goal < 0 && (step->keep > 0 || step->k > 0))
        goal = pare__step_amount(step, g->entry[i_step], slot->grid_h, slot->grid_w, 0);
    return goal < 0 ? -1 : larger(goal, b->must);
}

/* Rows that this application leaves of the b->n - must that the mask leaves free; -1 = the selector decides. Only the
 * final step has a goal; other steps in between may have taken rows away, so a schedule is an aim until its last block,
 * and what one application cannot reach is made good by the next ones. */
static int free_target(pare_reducer *r, int32_t i_step, int32_t frame, const pare__block_rows *b, int64_t *k,
                       pare_error *err)
{
    const pare__step *step = &r->recipe.step[i_step];
    const pare_slot *slot = &r->slot[frame];
    const int64_t n = b->n - b->must;
    const int is_exact = b->k_final >= 0 && b->i_block + 1 == step->n_block;
    *k = -1;
    if (b->k_final < 0) {
        const int64_t amount = pare__step_amount(step, b->n, slot->grid_h, slot->grid_w, b->i_block);
        if (amount >= 0) *k = larger(amount - b->must, 0);
    } else if (is_exact || !(step->sel->flags & PARE__OWN_SCHEDULE)) {
        const int rc = pare__step_schedule(step, r->goal[frame].entry[i_step] - b->must, b->k_final - b->must,
                                           b->i_block, step->n_block, k, err);
        if (rc) return rc;
    }
    if (*k >= 0 && !is_exact && step->sel->least) *k = larger(*k, step->sel->least(step->priv, n));
    if (*k > n) *k = n;
    return 0;
}

/* What the mask keeps is kept, whatever the step's own amount says. */
int pare__reducer_block_rows(pare_reducer *r, int32_t i_step, int32_t frame, pare__block_rows *b, pare_error *err)
{
    int64_t k;
    b->k_final = goal_of(r, i_step, frame, b);
    const int rc = free_target(r, i_step, frame, b, &k, err);
    b->k = k < 0 ? -1 : k + b->must;
    return rc;
}

static int set_target(pare_reducer *r, int32_t i_step, int32_t frame, pare__view *v, int64_t *k_frame, pare_error *err)
{
    pare__block_rows b = {.n = v->n, .must = pare__count_must(&r->ctx, v->origin, v->n), .i_block = v->i_block};
    const int rc = pare__reducer_block_rows(r, i_step, frame, &b, err);
    v->k = *k_frame = b.k;
    v->k_final = b.k_final;
    v->k_frame = b.k < 0 ? NULL : k_frame;
    return rc;
}

typedef struct site_call {
    const pare__pack *pack;
    int32_t block, i_step, i_block;
    int64_t done; /* candidates of the segments before this one */
} site_call;

/* Window candidate of every row of a segment. */
static int32_t *segment_origin(pare_reducer *r, int64_t first, int64_t n)
{
    int32_t *origin = PARE__ARENA(&r->arena, int32_t, n + 1);
    for (int64_t i = 0; origin && i < n; i++) origin[i] = r->pack_origin[r->pack_total.m.anchor[first + i]];
    return origin;
}

static int segment_view(pare_reducer *r, const site_call *c, int32_t seg, pare__view *v, pare_error *err)
{
    const pare__pack *pack = c->pack;
    const pare__step *step = &r->recipe.step[c->i_step];
    const int64_t unit = pack->ucu[seg] + pack->n_prefix, n = pack->ucu[seg + 1] - unit;
    const int32_t frame = r->pack_first + seg;
    int64_t *start = PARE__ARENA(&r->arena, int64_t, 3);
    int32_t *thw = PARE__ARENA(&r->arena, int32_t, 3 * n + 1);
    pare__view_array *array = PARE__ARENA(&r->arena, pare__view_array, PARE__MAX_STEP_NEEDS);
    int32_t *origin = segment_origin(r, c->done, n);
    if (!start || !thw || !array || !origin) return PARE_E_NOMEM;
    memcpy(thw, pack->thw + 3 * unit, (size_t)(3 * n) * sizeof *thw);
    for (int64_t i = 0; i < n; i++) thw[3 * i] = 0;
    *v = (pare__view){.block = c->block,
                      .n_block = step->n_block,
                      .i_block = c->i_block,
                      .n = n,
                      .d = pack->d,
                      .n_frame = 1,
                      .frame_start = start,
                      .slot = &r->slot[frame],
                      .grid_h = r->slot[frame].grid_h,
                      .grid_w = r->slot[frame].grid_w,
                      .t0 = r->t0 + frame,
                      .is_first = r->slot[frame].t == 0,
                      .thw = thw,
                      .size = pack->size + unit,
                      .origin = origin,
                      .k = -1,
                      .array = array};
    v->n_array = offer(&r->plan.step[c->i_step], pack, c->block, pack->ucu[seg], array);
    const int32_t width = r->plan.encode.state_width[c->i_step];
    if (width) v->state = pack->state[c->i_step] + unit * width;
    start[0] = 0;
    start[1] = n;
    const int rc = set_target(r, c->i_step, frame, v, &start[2], err);
    return rc ? rc : pare__view_fill(&r->ctx, step, v);
}

static int select_segment(pare_reducer *r, site_call *c, int32_t seg, pare__map *map, int64_t *n_out, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&r->arena);
    pare__map *one = pare__map_borrow(&r->ctx, 0);
    pare__view v;
    int rc = segment_view(r, c, seg, &v, err);
    if (!rc && v.n) rc = pare__step_select(&r->ctx, &r->recipe.step[c->i_step], &v, one, err);
    if (!rc && v.n) rc = pare__map_append(map, &one->m);
    n_out[seg] = rc ? 0 : one->m.n_out;
    c->done += rc ? 0 : v.n;
    pare__map_return(&r->ctx);
    pare__arena_reset(&r->arena, mark);
    return rc;
}

int pare__reducer_on_site(void *user, const pare__pack *pack, int32_t block, pare__phase phase, pare__map *map,
                          int64_t *n_out, pare_error *err)
{
    pare_reducer *r = user;
    site_call c = {.pack = pack, .block = block};
    c.i_step = pare__plan_step_at(&r->plan, block, phase, &c.i_block);
    if (c.i_step < 0) return 0;
    pare__map_begin(map, 0);
    for (int32_t seg = 0; seg < pack->n_seg; seg++) {
        const int rc = select_segment(r, &c, seg, map, n_out, err);
        if (rc) return rc;
    }
    if (c.i_step == r->plan.final_step && c.i_block + 1 == r->recipe.step[c.i_step].n_block)
        r->final_left += map->m.n_out;
    const int rc = pare__map_follow(&r->pack_total, &map->m);
    return rc ? rc : 1;
}

/* ---- before: which units are embedded ------------------------------------------------------------------------- */

int pare__reducer_segments(pare_reducer *r)
{
    const pare__rows *rows = &r->rows;
    if (pare__grow((void **)&r->unit_index, &r->cap_unit_index, rows->n + 1, sizeof *r->unit_index))
        return PARE_E_NOMEM;
    for (int64_t i = 0; i < rows->n; i++)
        r->unit_index[i] = rows->thw[3 * i + 1] * r->ctx.grid_w + rows->thw[3 * i + 2];
    const int32_t unit = r->model->hp.unit, temporal = r->model->hp.temporal;
    for (int32_t t = 0; t < rows->n_frame; t++) {
        r->segment[t] = (pare__segment){.grid_h = r->ctx.grid_h * unit,
                                        .grid_w = r->ctx.grid_w * unit,
                                        .t = t,
                                        .step = r->slot[t].t % pare__reducer_steps(r),
                                        .unit = r->unit_index + rows->frame_start[t],
                                        .n = rows->frame_start[t + 1] - rows->frame_start[t]};
        for (int32_t j = 0; j < temporal; j++) r->segment[t].rgb[j] = r->px.frame[(int64_t)t * temporal + j];
    }
    return 0;
}

int pare__reducer_goals(pare_reducer *r, int64_t k, pare_error *err)
{
    const int32_t n = r->rows.n_frame, final = r->plan.final_step;
    for (int32_t t = 0; t < n; t++) r->goal[t] = (pare__goal){.final = -1};
    if (k < 0 || final < 0 || r->recipe.step[final].site != PARE__SITE_BLOCK) return 0;
    r->final_left = 0;
    const pare__mark mark = pare__arena_mark(&r->arena);
    int64_t *cap = PARE__ARENA(&r->arena, int64_t, n), *out = PARE__ARENA(&r->arena, int64_t, n);
    int64_t *must = PARE__ARENA(&r->arena, int64_t, n), total;
    double *weight = NULL;
    int rc = cap && out && must ? 0 : PARE_E_NOMEM;
    for (int32_t t = 0; !rc && t < n; t++) {
        cap[t] = r->rows.frame_start[t + 1] - r->rows.frame_start[t];
        must[t] = pare__count_must(&r->ctx, r->rows.total.m.anchor + r->rows.frame_start[t], cap[t]);
    }
    if (!rc) rc = pare__rows_weigh(&r->ctx, &r->plan, final, &r->rows, &r->px, &weight, err);
    if (!rc) rc = pare__slots_split(&r->ctx, k, weight, cap, must, n, out, &total, err);
    for (int32_t t = 0; !rc && t < n; t++) r->goal[t].final = out[t];
    pare__arena_reset(&r->arena, mark);
    return rc;
}

/* ---- after: rows of the packs, sorted by anchor --------------------------------------------------------------- */

static int begin_encoded(pare_reducer *r)
{
    pare__rows *e = &r->encoded;
    const int64_t room = r->opts.reuse ? pare__reuse_room(r) : r->rows.n;
    int rc = pare__rows_clear(e, r->rows.n_frame, room);
    if (!rc) rc = pare__rows_reserve_x(e, room + 1, r->model->hp.d_out);
    if (!rc) rc = pare__rows_reserve_deep(e, r->model->hp.n_deepstack, room + 1);
    if (!r->model->hp.has_projector && r->model->hp.n_prefix) e->x_prefix = r->prefix;
    return rc;
}

int pare__packs_arrays(pare__rows *e, const pare__pack *pack, int64_t room)
{
    for (int32_t i = e->n_array; i < pack->n_capture; i++) {
        const pare__capture *c = &pack->capture[i];
        const pare__need need = {array_of(c->what), c->block};
        if (!pare__rows_add_array(e, need, c->width, room)) return PARE_E_NOMEM;
        if (!pare__rows_add_prefix(e, i, pack->n_prefix)) return PARE_E_NOMEM;
    }
    return 0;
}

void pare__packs_row(pare__rows *e, const pare__pack *pack, int64_t from)
{
    const int64_t to = e->n++, d = e->d;
    memcpy(e->x + to * d, pack->y + from * d, (size_t)d * sizeof *e->x);
    for (int32_t i = 0; i < e->n_deep; i++)
        memcpy(e->deep[i] + to * d, pack->deepstack + (i * pack->n_unit + from) * d, (size_t)d * sizeof *e->x);
    memcpy(e->thw + 3 * to, pack->thw + 3 * from, 3 * sizeof *e->thw);
    e->size[to] = pack->size[from];
    for (int32_t i = 0; i < pack->n_capture; i++) {
        const int64_t width = pack->capture[i].width;
        memcpy((float *)(uintptr_t)e->array[i].data + to * width, pack->capture[i].data + from * width,
               (size_t)width * sizeof(float));
    }
}

void pare__packs_prefix(pare_reducer *r, const pare__pack *pack, int32_t seg, int32_t t)
{
    const int64_t p = pack->n_prefix, d = pack->d;
    if (!p) return;
    memcpy(r->prefix + t * p * d, pack->x + pack->cu[seg] * d, (size_t)(p * d) * sizeof(float));
    for (int32_t i = 0; i < pack->n_capture; i++) {
        const int64_t width = pack->capture[i].width;
        float *to = (float *)(uintptr_t)r->encoded.array[i].prefix + t * p * width;
        memcpy(to, pack->capture[i].data + pack->ucu[seg] * width, (size_t)(p * width) * sizeof(float));
    }
}

static int gather_pack(pare_reducer *r, const pare__pack *pack)
{
    pare__rows *e = &r->encoded;
    const pare__mark mark = pare__arena_mark(&r->arena);
    int32_t *order = PARE__ARENA(&r->arena, int32_t, r->pack_total.m.n_out + 1);
    int rc = order ? pare__packs_arrays(e, pack, r->rows.n) : PARE_E_NOMEM;
    if (!rc) rc = pare__map_sort(&r->pack_total, order);
    if (!rc) rc = pare__map_append(&e->total, &r->pack_total.m);
    int64_t row = 0;
    for (int32_t seg = 0; !rc && seg < pack->n_seg; seg++) {
        const int64_t p = pack->n_prefix, n = pack->ucu[seg + 1] - pack->ucu[seg] - p;
        const int32_t t = r->pack_first + seg;
        pare__packs_prefix(r, pack, seg, t);
        for (int64_t i = 0; i < n; i++, row++) pare__packs_row(e, pack, order[row] + (seg + 1) * p);
        e->frame_start[t + 1] = e->n;
    }
    pare__arena_reset(&r->arena, mark);
    return rc;
}

static int begin_pack(pare_reducer *r, int32_t first, int32_t n_seg)
{
    const int64_t start = r->rows.frame_start[first], n = r->rows.frame_start[first + n_seg] - start;
    r->pack_first = first;
    int rc = pare__map_identity(&r->pack_total, n);
    if (!rc) rc = pare__grow((void **)&r->pack_origin, &r->cap_origin, n + 1, sizeof *r->pack_origin);
    for (int64_t i = 0; !rc && i < n; i++) r->pack_origin[i] = r->rows.total.m.anchor[start + i];
    return rc;
}

/* The window's provenance: (packs) . (steps before the encoder). */
static int join_provenance(pare_reducer *r)
{
    const int rc = pare__map_follow(&r->rows.total, &r->encoded.total.m);
    const pare__map whole = r->rows.total;
    r->rows.total = r->encoded.total;
    r->encoded.total = whole;
    return rc;
}

int pare__reducer_encode(pare_reducer *r, int64_t k, pare_error *err)
{
    int rc = begin_encoded(r);
    if (!rc) rc = pare__reducer_segments(r);
    if (!rc) rc = pare__reducer_goals(r, k, err);
    if (!rc && r->opts.reuse) rc = pare__reuse_segments(r);
    for (int32_t first = 0; !rc && first < r->rows.n_frame;) {
        const int32_t n_seg = pare__encoder_fit(r->encoder, r->segment + first, r->rows.n_frame - first);
        const pare__pack *pack = NULL;
        rc = begin_pack(r, first, n_seg);
        if (!rc) rc = pare__encoder_run(r->encoder, r->segment + first, n_seg, &pack, r->encode_ms, err);
        if (!rc) rc = r->opts.reuse ? pare__reuse_gather(r, pack) : gather_pack(r, pack);
        if (!rc) r->flops += pack->flops;
        first += n_seg;
    }
    if (rc) return rc;
    return r->opts.reuse ? pare__reuse_provenance(r, err) : join_provenance(r);
}
