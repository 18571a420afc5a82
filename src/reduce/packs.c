/* SPDX-License-Identifier: MIT */
/* A window through the encoder: which units of which frame are embedded, what happens at block sites, and how the rows
 * of the packs come together again, sorted by anchor. */
#include <string.h>

#include "reduce/reducer.h"

/* ---- block sites ---------------------------------------------------------------------------------------------- */

/* The step that acts in this block and phase, and which of its blocks this is. */
static int32_t step_at(const pare__plan *plan, int32_t block, pare__phase phase, int32_t *i_block)
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

/* The step's needs as arrays of the segment whose first candidate is pack row `row`. */
static int32_t offer(const pare__step_plan *sp, const pare__pack *pack, int32_t block, int64_t row,
                     pare__view_array *array)
{
    int32_t n = 0;
    for (int32_t i = 0; i < sp->n_need; i++) {
        const pare__need need = sp->need[i];
        if (need.array == PARE__ARRAY_PIXELS) continue;
        if (need.array == PARE__ARRAY_TOKENS) {
            array[n++] = (pare__view_array){.need = need, .width = pack->d, .data = pack->x + row * pack->d};
            continue;
        }
        const pare__capture *c =
            find_capture(pack, need.array, sp->layer[i] == PARE__LAYER_HERE ? block : sp->layer[i]);
        if (c) array[n++] = (pare__view_array){.need = need, .width = c->width, .data = c->data + row * c->width};
    }
    return n;
}

/* Rows that this application leaves of a frame with n candidates; -1 = the selector decides. Only the final step has a
 * goal; other steps in between may have taken rows away, so a schedule is an aim until its last block. */
static int target(pare_reducer *r, int32_t i_step, int32_t frame, int64_t n, int32_t i_block, int64_t *k,
                  pare_error *err)
{
    const pare__step *step = &r->recipe.step[i_step];
    pare__goal *g = &r->goal[frame];
    int64_t goal = i_step == r->plan.final_step ? g->final : -1;
    if (i_block == 0) g->entry[i_step] = n;
    if (goal < 0 && (step->keep > 0 || step->k > 0))
        goal = pare__step_amount(step, g->entry[i_step], r->ctx.grid_h, r->ctx.grid_w, 0);
    if (goal < 0) {
        *k = pare__step_amount(step, n, r->ctx.grid_h, r->ctx.grid_w, i_block);
        if (*k < 0) *k = -1;
        return 0;
    }
    const int rc = pare__step_schedule(step, g->entry[i_step], goal, i_block, step->n_block, k, err);
    if (*k > n) *k = n;
    if (!rc && i_block + 1 < step->n_block && step->sel->least && *k < step->sel->least(step->priv, n))
        *k = step->sel->least(step->priv, n);
    return rc;
}

typedef struct site_call {
    const pare__pack *pack;
    int32_t block, i_step, i_block;
    int64_t done; /* rows of the segments before this one */
} site_call;

static int segment_view(pare_reducer *r, const site_call *c, int32_t seg, pare__view *v, pare_error *err)
{
    const pare__pack *pack = c->pack;
    const pare__step *step = &r->recipe.step[c->i_step];
    const int64_t row = pack->cu[seg] + pack->n_prefix, n = pack->cu[seg + 1] - row;
    int64_t *start = PARE__ARENA(&r->arena, int64_t, 3);
    int32_t *thw = PARE__ARENA(&r->arena, int32_t, 3 * n + 1);
    pare__view_array *array = PARE__ARENA(&r->arena, pare__view_array, PARE__MAX_NEEDS);
    if (!start || !thw || !array) return PARE_E_NOMEM;
    memcpy(thw, pack->thw + 3 * row, (size_t)(3 * n) * sizeof *thw);
    for (int64_t i = 0; i < n; i++) thw[3 * i] = 0;
    const int32_t frame = r->pack_first + seg;
    *v = (pare__view){.site = PARE__SITE_BLOCK,
                      .block = c->block,
                      .n_block = step->n_block,
                      .i_block = c->i_block,
                      .n = n,
                      .d = pack->d,
                      .n_head = r->ctx.n_head,
                      .n_layer = r->ctx.n_layer,
                      .n_frame = 1,
                      .frame_start = start,
                      .grid_h = r->ctx.grid_h,
                      .grid_w = r->ctx.grid_w,
                      .t0 = r->t0 + frame,
                      .is_first = r->ctx.is_first && frame == 0,
                      .n_prefix = pack->n_prefix,
                      .thw = thw,
                      .size = pack->size + row,
                      .k = -1,
                      .array = array,
                      .seed = r->ctx.seed,
                      .arena = &r->arena,
                      .gemm = r->ctx.gemm,
                      .vec = r->ctx.vec};
    v->n_array = offer(&r->plan.step[c->i_step], pack, c->block, row, array);
    start[0] = 0;
    start[1] = n;
    const int rc = target(r, c->i_step, frame, n, c->i_block, &v->k, err);
    start[2] = v->k;
    v->k_frame = v->k < 0 ? NULL : start + 2;
    return rc;
}

/* Window candidate of every row of a segment. */
static int32_t *segment_origin(pare_reducer *r, int64_t first, int64_t n)
{
    int32_t *origin = PARE__ARENA(&r->arena, int32_t, n + 1);
    for (int64_t i = 0; origin && i < n; i++) origin[i] = r->pack_origin[r->pack_total.m.anchor[first + i]];
    return origin;
}

static int select_segment(pare_reducer *r, site_call *c, int32_t seg, pare__map *map, int64_t *n_out, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&r->arena);
    pare__map one = {0};
    pare__view v;
    int rc = segment_view(r, c, seg, &v, err);
    const int32_t *origin = rc ? NULL : segment_origin(r, c->done, v.n);
    if (!rc && !origin) rc = PARE_E_NOMEM;
    if (!rc && v.n) rc = pare__step_select(&r->ctx, &r->recipe.step[c->i_step], &v, origin, &one, err);
    if (!rc && v.n) rc = pare__map_append(map, &one.m);
    n_out[seg] = rc ? 0 : one.m.n_out;
    c->done += rc ? 0 : v.n;
    pare__map_fini(&one);
    pare__arena_reset(&r->arena, mark);
    return rc;
}

int pare__reducer_on_site(void *user, const pare__pack *pack, int32_t block, pare__phase phase, pare__map *map,
                          int64_t *n_out, pare_error *err)
{
    pare_reducer *r = user;
    site_call c = {.pack = pack, .block = block};
    c.i_step = step_at(&r->plan, block, phase, &c.i_block);
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

static int fill_segments(pare_reducer *r)
{
    const pare__rows *rows = &r->rows;
    if (pare__grow((void **)&r->unit_index, &r->cap_unit_index, rows->n + 1, sizeof *r->unit_index))
        return PARE_E_NOMEM;
    for (int64_t i = 0; i < rows->n; i++)
        r->unit_index[i] = rows->thw[3 * i + 1] * r->ctx.grid_w + rows->thw[3 * i + 2];
    const int32_t unit = r->model->hp.unit;
    for (int32_t t = 0; t < rows->n_frame; t++)
        r->segment[t] = (pare__segment){.rgb[0] = r->pixels + (int64_t)t * r->width * r->height * 3,
                                        .grid_h = r->ctx.grid_h * unit,
                                        .grid_w = r->ctx.grid_w * unit,
                                        .t = t,
                                        .unit = r->unit_index + rows->frame_start[t],
                                        .n = rows->frame_start[t + 1] - rows->frame_start[t]};
    return 0;
}

/* Cuts the final step's rows over the frames, if it acts inside blocks. */
static int fill_goals(pare_reducer *r, int64_t k, pare_error *err)
{
    const int32_t n = r->rows.n_frame, final = r->plan.final_step;
    for (int32_t t = 0; t < n; t++) r->goal[t] = (pare__goal){.final = -1};
    if (k < 0 || final < 0 || r->recipe.step[final].site != PARE__SITE_BLOCK) return 0;
    r->final_left = 0;
    const pare__mark mark = pare__arena_mark(&r->arena);
    int64_t *cap = PARE__ARENA(&r->arena, int64_t, n), *out = PARE__ARENA(&r->arena, int64_t, n);
    double *weight = NULL;
    int rc = cap && out ? 0 : PARE_E_NOMEM;
    for (int32_t t = 0; !rc && t < n; t++) cap[t] = r->segment[t].n;
    if (!rc) rc = pare__rows_weigh(&r->ctx, &r->plan, final, &r->rows, &r->px, &weight, err);
    if (!rc) rc = pare__rate_split(k, weight, cap, n, r->ctx.floor, out, &r->arena);
    for (int32_t t = 0; !rc && t < n; t++) r->goal[t].final = out[t];
    pare__arena_reset(&r->arena, mark);
    return rc;
}

/* ---- after: rows of the packs, sorted by anchor --------------------------------------------------------------- */

static int begin_encoded(pare_reducer *r)
{
    pare__rows *e = &r->encoded;
    int rc = pare__rows_reset(e, r->rows.n_frame, 0, 0);
    if (!rc) rc = pare__grow((void **)&e->thw, &e->cap_thw, 3 * r->rows.n, sizeof *e->thw);
    if (!rc) rc = pare__grow((void **)&e->size, &e->cap_size, r->rows.n, sizeof *e->size);
    if (!rc) rc = pare__rows_reserve_x(e, r->rows.n + 1, r->model->hp.dim);
    pare__map_begin(&e->total, 0);
    return rc;
}

/* One array per capture, named by its resolved block; made with the first pack. */
static int reserve_arrays(pare_reducer *r, const pare__pack *pack)
{
    for (int32_t i = r->encoded.n_array; i < pack->n_capture; i++) {
        const pare__capture *c = &pack->capture[i];
        const pare__need need = {array_of(c->what), c->block};
        if (!pare__rows_add_array(&r->encoded, need, c->width, r->rows.n)) return PARE_E_NOMEM;
    }
    return 0;
}

static void gather_row(pare__rows *e, const pare__pack *pack, int64_t from)
{
    const int64_t to = e->n++, d = e->d;
    memcpy(e->x + to * d, pack->x + from * d, (size_t)d * sizeof *e->x);
    memcpy(e->thw + 3 * to, pack->thw + 3 * from, 3 * sizeof *e->thw);
    e->size[to] = pack->size[from];
    for (int32_t i = 0; i < pack->n_capture; i++) {
        const int64_t width = pack->capture[i].width;
        memcpy((float *)(uintptr_t)e->array[i].data + to * width, pack->capture[i].data + from * width,
               (size_t)width * sizeof(float));
    }
}

static int gather_pack(pare_reducer *r, const pare__pack *pack)
{
    pare__rows *e = &r->encoded;
    const pare__mark mark = pare__arena_mark(&r->arena);
    int32_t *order = PARE__ARENA(&r->arena, int32_t, r->pack_total.m.n_out + 1);
    int rc = order ? reserve_arrays(r, pack) : PARE_E_NOMEM;
    if (!rc) rc = pare__map_sort(&r->pack_total, order);
    if (!rc) rc = pare__map_append(&e->total, &r->pack_total.m);
    int64_t row = 0;
    for (int32_t seg = 0; !rc && seg < pack->n_seg; seg++) {
        const int64_t p = pack->n_prefix, n = pack->cu[seg + 1] - pack->cu[seg] - p;
        const int32_t t = r->pack_first + seg;
        memcpy(r->prefix + t * p * e->d, pack->x + pack->cu[seg] * e->d, (size_t)(p * e->d) * sizeof(float));
        for (int64_t i = 0; i < n; i++, row++) gather_row(e, pack, order[row] + (seg + 1) * p);
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
    if (!rc) rc = fill_segments(r);
    if (!rc) rc = fill_goals(r, k, err);
    for (int32_t first = 0; !rc && first < r->rows.n_frame;) {
        const int32_t n_seg = pare__encoder_fit(r->encoder, r->segment + first, r->rows.n_frame - first);
        const pare__pack *pack = NULL;
        rc = begin_pack(r, first, n_seg);
        if (!rc) rc = pare__encoder_run(r->encoder, r->segment + first, n_seg, &pack, r->encode_ms, err);
        if (!rc) rc = gather_pack(r, pack);
        first += n_seg;
    }
    return rc ? rc : join_provenance(r);
}
