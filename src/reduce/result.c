/* SPDX-License-Identifier: MIT */
#include "reduce/result.h"

#include <math.h>
#include <string.h>

#include "reduce/recycler.h"

/* ---- memory ---------------------------------------------------------------------------------------------------- */

void pare__result_destroy(pare_result *r)
{
    pare__map_fini(&r->map);
    pare__arena_fini(&r->mem);
    pare__free(r->feature);
    pare__free(r);
}

void pare__result_free(pare_result **out)
{
    pare_result *r = out ? *out : NULL;
    if (!r) return;
    *out = NULL;
    if (!r->home || !pare__recycler_give(r->home, r)) pare__result_destroy(r);
}

/* An empty result, with the memory of one that was freed if there is one. */
static pare_result *obtain(pare__recycler *home)
{
    pare_result *r = home ? pare__recycler_take(home) : PARE__NEW(pare_result, 1);
    if (!r) return NULL;
    pare__free(r->feature);
    pare__arena_clear(&r->mem);
    *r = (pare_result){.map = r->map, .mem = r->mem, .home = home};
    return r;
}

/* One block for everything, if the arena has none yet. */
static int reserve(pare_result *r, const pare__window_out *w)
{
    const int64_t t = w->rows->n_frame, d = w->rows->d, k = w->rows->n, n = w->rows->total.m.n_in, f32 = sizeof(float);
    const int64_t per_row = (1 + w->rows->n_deep) * d * f32 + 72;
    const int64_t per_slot = ((w->n_prefix + 1) * d + w->n_class + w->n_embed) * f32 + 256;
    if (r->mem.first) return 0;
    void *block = pare__arena_alloc(&r->mem, k * per_row + t * per_slot + n * f32 + d * f32 + 4096, 1);
    pare__arena_clear(&r->mem);
    return block ? 0 : PARE_E_NOMEM;
}

/* Copies n elements if there are any; 0 also when `from` is NULL. */
static int copy(pare_result *r, void *to_ptr, const void *from, int64_t n, int64_t size)
{
    void **to = to_ptr;
    if (!from) return 0;
    *to = pare__arena_alloc(&r->mem, n > 0 ? n : 1, size);
    if (!*to) return PARE_E_NOMEM;
    if (n > 0) memcpy(*to, from, (size_t)(n * size));
    return 0;
}

/* ---- arrays ---------------------------------------------------------------------------------------------------- */

static int has_rows(const pare__window_out *w) { return !w->dry || w->dry->has_places; }

static int copy_frames(pare_result *r, const pare__window_out *w)
{
    const int64_t t = w->rows->n_frame, d = w->rows->d;
    int rc = copy(r, &r->prefix, w->n_prefix ? w->prefix : NULL, t * w->n_prefix * d, sizeof(float));
    if (!rc) rc = copy(r, &r->pooled, w->pooled, t * d, sizeof(float));
    if (!rc) rc = copy(r, &r->logits, w->logits, t * w->n_class, sizeof(float));
    if (!rc) rc = copy(r, &r->image_embeds, w->image_embeds, t * w->n_embed, sizeof(float));
    if (!rc) rc = copy(r, &r->newline, w->newline, d, sizeof(float));
    if (!rc) rc = copy(r, &r->pts, w->pts, 2 * t, sizeof(double));
    if (!rc) rc = copy(r, &r->fit, w->fit, t, sizeof(pare__fit));
    if (!rc) rc = copy(r, &r->frame_start, has_rows(w) ? w->rows->frame_start : NULL, t + 1, sizeof(int64_t));
    if (!rc) rc = copy(r, &r->slot, w->slot, t, sizeof(pare_slot));
    if (!rc) rc = copy(r, &r->unit_start, w->rows->frame_start, t + 1, sizeof(int64_t));
    for (int64_t i = 0; !rc && i < t; i++)
        r->unit_start[i + 1] = r->unit_start[i] + (int64_t)w->slot[i].grid_h * w->slot[i].grid_w;
    return rc;
}

/* Steps with the rows that they have left. */
static int copy_steps(pare_result *r, const pare__window_out *w)
{
    if (!w->step) return 0;
    const int32_t per = w->per_picture, n = w->rows->n_frame / per;
    r->step = PARE__ARENA(&r->mem, pare_step, n);
    if (!r->step) return PARE_E_NOMEM;
    for (int32_t i = 0; i < n; i++) {
        r->step[i] = w->step[i * per];
        r->step[i].tokens = w->rows->frame_start[(i + 1) * per] - w->rows->frame_start[i * per];
        if (w->dry) r->step[i].tokens = w->dry->tokens[i];
    }
    return 0;
}

static int has_score(const float *score, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (score[i] == score[i]) return 1;
    return 0;
}

static int copy_deepstack(pare_result *r, const pare__rows *rows)
{
    const int64_t n = rows->n * rows->d;
    if (!rows->n_deep) return 0;
    r->deepstack = PARE__ARENA(&r->mem, float, rows->n_deep *n + 1);
    if (!r->deepstack) return PARE_E_NOMEM;
    for (int32_t i = 0; i < rows->n_deep && n; i++)
        memcpy(r->deepstack + i * n, rows->deep[i], (size_t)n * sizeof(float));
    return 0;
}

static int copy_rows(pare_result *r, const pare__window_out *w)
{
    const pare__rows *rows = w->rows;
    const int64_t k = rows->n, n = rows->total.m.n_in;
    int rc = copy(r, &r->embeds, rows->x, k * rows->d, sizeof(float));
    if (!rc && w->score && has_score(w->score, n)) rc = copy(r, &r->scores, w->score, n, sizeof(float));
    if (!rc) rc = copy_deepstack(r, rows);
    if (!rc) rc = pare__map_copy(&rows->total.m, &r->map);
    if (rc) return rc;
    r->place = PARE__ARENA(&r->mem, int32_t, 6 * k + 1);
    r->box = PARE__ARENA(&r->mem, float, 4 * k + 1);
    r->kind = PARE__ARENA(&r->mem, uint8_t, k + 1);
    r->index = PARE__ARENA(&r->mem, int64_t, k + 1);
    r->sizes = PARE__ARENA(&r->mem, float, k + 1);
    if (w->has_mrope) r->mrope = PARE__ARENA(&r->mem, int32_t, 3 * k + 1);
    if (w->fresh) r->fresh = PARE__ARENA(&r->mem, uint8_t, k + 1);
    if ((w->fresh && !r->fresh) || (w->has_mrope && !r->mrope) || !r->place || !r->box || !r->kind || !r->index ||
        !r->sizes)
        return PARE_E_NOMEM;
    memset(r->box, 0, (size_t)(4 * k) * sizeof(float));
    memset(r->kind, 0, (size_t)k);
    return 0;
}

/* Patches that a row stands for: its members where they differ from R, else what was merged. */
static float represented(const pare_map *m, int64_t row)
{
    if (!m->member_start) return m->size[row];
    const int64_t run = m->member_start[row + 1] - m->member_start[row];
    return (float)run > m->size[row] ? (float)run : m->size[row];
}

/* The rectangle y0, x0, y1, x1 of units that a row stands for in its anchor's own slot: all of its members there if they
 * fill one, else the anchor alone. */
static void extent(const pare_result *r, int64_t row, const int32_t *thw, int32_t out[4])
{
    const pare_map *m = &r->map.m;
    const int64_t *start = m->member_start ? m->member_start : m->row_start;
    const int32_t *member = m->member_start ? m->member : m->index;
    const int64_t first = r->unit_start[thw[0]], last = r->unit_start[thw[0] + 1];
    const int32_t w = r->slot[thw[0]].grid_w;
    int32_t box[4] = {thw[1], thw[2], thw[1] + 1, thw[2] + 1};
    int64_t n = 0;
    memcpy(out, box, sizeof box);
    for (int64_t i = start[row]; i < start[row + 1]; i++) {
        if (member[i] < first || member[i] >= last) continue;
        const int32_t y = (int32_t)((member[i] - first) / w), x = (int32_t)((member[i] - first) % w);
        if (y < box[0]) box[0] = y;
        if (x < box[1]) box[1] = x;
        if (y >= box[2]) box[2] = y + 1;
        if (x >= box[3]) box[3] = x + 1;
        n++;
    }
    if (n == (int64_t)(box[2] - box[0]) * (box[3] - box[1])) memcpy(out, box, sizeof box);
}

/* The smallest l with 2^l units on the longer side. */
static int32_t level_of(const int32_t extent[4])
{
    const int32_t h = extent[2] - extent[0], w = extent[3] - extent[1];
    int32_t level = 0;
    while ((1 << level) < (h > w ? h : w)) level++;
    return level;
}

static void locate_box(pare_result *r, const pare__window_out *w, int64_t row, const int32_t *thw, const int32_t e[4])
{
    const float u = (float)w->unit_px;
    const pare__fit *fit = &w->fit[thw[0]];
    const float rect[4] = {(float)e[1] * u, (float)e[0] * u, (float)e[3] * u, (float)e[2] * u};
    const float own[4] = {(float)thw[2] * u, (float)thw[1] * u, (float)(thw[2] + 1) * u, (float)(thw[1] + 1) * u};
    pare__fit_stored(fit, rect, r->box + 4 * row);
    r->kind[row] = pare__fit_is_padding(fit, own) ? PARE_KIND_PADDING : PARE_KIND_PATCH;
}

/* Position ids as the language model counts them: seconds (or steps), row, column. Time stamps carry rounding noise of
 * their own, which must not cost a whole position. */
static void locate_mrope(pare_result *r, const pare__window_out *w, int64_t row, const int32_t *thw)
{
    const double seconds = w->pts ? w->pts[2 * (int64_t)thw[0]] - w->media_start : 0;
    int32_t *ids = r->mrope + 3 * row;
    ids[0] = w->mrope_per_second > 0 ? (int32_t)floor(seconds * w->mrope_per_second + 1e-4) : w->slot[thw[0]].t;
    if (w->mrope_stamps) ids[0] = 0;
    ids[1] = thw[1];
    ids[2] = thw[2];
}

static void locate(pare_result *r, const pare__window_out *w, int64_t row)
{
    const int32_t *thw = w->rows->thw + 3 * row;
    const pare_slot *slot = &w->slot[thw[0]];
    int32_t e[4];
    extent(r, row, thw, e);
    const int32_t place[6] = {slot->media, slot->tile, slot->t, thw[1], thw[2], level_of(e)};
    memcpy(r->place + 6 * row, place, sizeof place);
    r->index[row] = w->origin0 + r->map.m.anchor[row];
    r->sizes[row] = represented(&r->map.m, row);
    if (r->fresh) r->fresh[row] = w->fresh[r->map.m.anchor[row]];
    if (w->fit) locate_box(r, w, row, thw, e);
    if (r->mrope) locate_mrope(r, w, row, thw);
}

static void fill_view(pare_result *r, const pare__window_out *w)
{
    const pare_map none = {0};
    r->unit_px = w->unit_px;
    r->view = (pare_result_view){.struct_size = sizeof r->view,
                                 .slot = r->slot,
                                 .unit_start = r->unit_start,
                                 .mrope = r->mrope,
                                 .first_slot = w->t0,
                                 .grid = {w->rows->n_frame, w->grid_h, w->grid_w},
                                 .unit = w->unit,
                                 .n_prefix = w->n_prefix,
                                 .d = w->rows->d,
                                 .n_class = w->n_class,
                                 .n = r->unit_start[w->rows->n_frame],
                                 .k = w->dry ? w->dry->total : r->map.m.n_out,
                                 .embeds = r->embeds,
                                 .place = r->place,
                                 .box = r->box,
                                 .kind = r->kind,
                                 .index = r->index,
                                 .sizes = r->sizes,
                                 .pts = r->pts,
                                 .row_start = r->frame_start,
                                 .prefix = r->prefix,
                                 .pooled = r->pooled,
                                 .logits = r->logits,
                                 .scores = r->scores,
                                 .map = has_rows(w) ? r->map.m : none,
                                 .is_dry = w->dry != NULL,
                                 .deepstack = r->deepstack,
                                 .n_deepstack = w->rows->n_deep,
                                 .image_embeds = r->image_embeds,
                                 .n_embed = w->n_embed,
                                 .newline = r->newline,
                                 .step = r->step,
                                 .n_step = w->step ? w->rows->n_frame / w->per_picture : 0,
                                 .fresh = r->fresh};
}

int pare__result_make(pare_result **out, const pare__window_out *w)
{
    pare_result *r = obtain(w->home);
    if (!r) return PARE_E_NOMEM;
    int rc = reserve(r, w);
    if (!rc) rc = copy_frames(r, w);
    if (!rc) rc = copy_steps(r, w);
    if (!rc && has_rows(w)) rc = copy_rows(r, w);
    if (rc) {
        pare__result_free(&r);
        return rc;
    }
    for (int64_t i = 0; has_rows(w) && i < w->rows->n; i++) locate(r, w, i);
    fill_view(r, w);
    *out = r;
    return 0;
}
