/* SPDX-License-Identifier: MIT */
/* See canvas.h. Columns of a result's map are the candidates of its window, slot after slot in raster order: a column is a
 * place. */
#include <pare/canvas.h>

#include <string.h>

#include "api.h"
#include "core/error.h"
#include "core/mem.h"

struct pare_canvas {
    pare_canvas_view view;
    float *embeds, *box;
    int64_t *step, *age;
    int64_t last; /* step of the clip that was taken in last; -1 = none */
};

static int64_t unit_count(const pare_canvas *c) { return (int64_t)c->view.rows * c->view.cols; }

/* ---- create ---------------------------------------------------------------------------------------------------- */

static int check_clip(const pare_result_view *v, const char *function, pare_error *err)
{
    if (!v->embeds) return pare_fail(err, PARE_E_INVALID, "%s: the result has no tokens", function);
    for (int32_t s = 0; s < v->grid[0]; s++) {
        const pare_slot *slot = &v->slot[s];
        if (slot->tile || slot->tile_rows > 1 || slot->tile_cols > 1)
            return pare_fail(err, PARE_E_INVALID, "%s: slot %d is of a picture in tiles", function, s);
        if (slot->media)
            return pare_fail(err, PARE_E_INVALID, "%s: slot %d is of medium %d, a canvas has one clip", function, s,
                             slot->media);
    }
    return 0;
}

int pare_canvas_create(pare_canvas **out, const pare_result *r, pare_error *err)
{
    if (!out) return pare__no_argument("pare_canvas_create", "out", err);
    *out = NULL;
    if (!r) return pare__no_argument("pare_canvas_create", "r", err);
    const pare_result_view *v = pare_result_get(r);
    const int rc = check_clip(v, "pare_canvas_create", err);
    if (rc) return rc;
    const int64_t n = (int64_t)v->grid[1] * v->grid[2];
    pare_canvas *c = PARE__NEW(pare_canvas, 1);
    if (!c) return pare_fail(err, PARE_E_NOMEM, "canvas: out of memory");
    c->embeds = pare__malloc(n * v->d, sizeof *c->embeds);
    c->box = pare__malloc(4 * n, sizeof *c->box);
    c->step = pare__malloc(n, sizeof *c->step);
    c->age = pare__malloc(n, sizeof *c->age);
    c->view = (pare_canvas_view){.struct_size = sizeof c->view,
                                 .rows = v->grid[1],
                                 .cols = v->grid[2],
                                 .d = v->d,
                                 .embeds = c->embeds,
                                 .box = c->box,
                                 .step = c->step,
                                 .age = c->age};
    if (!c->embeds || !c->box || !c->step || !c->age) {
        pare_canvas_close(&c);
        return pare_fail(err, PARE_E_NOMEM, "canvas of %lld units: out of memory", (long long)n);
    }
    pare_canvas_reset(c);
    *out = c;
    return 0;
}

void pare_canvas_reset(pare_canvas *c)
{
    if (!c) return;
    const int64_t n = unit_count(c);
    memset(c->embeds, 0, (size_t)(n * c->view.d) * sizeof *c->embeds);
    memset(c->box, 0, (size_t)(4 * n) * sizeof *c->box);
    for (int64_t i = 0; i < n; i++) c->step[i] = c->age[i] = -1;
    c->last = -1;
    c->view.n_step = c->view.n_known = 0;
}

void pare_canvas_close(pare_canvas **canvas)
{
    if (!canvas || !*canvas) return;
    pare__free((*canvas)->embeds);
    pare__free((*canvas)->box);
    pare__free((*canvas)->step);
    pare__free((*canvas)->age);
    pare__free(*canvas);
    *canvas = NULL;
}

/* ---- update ---------------------------------------------------------------------------------------------------- */

static void put(pare_canvas *c, const pare_result_view *v, int64_t row, int64_t unit, int64_t step)
{
    const int is_fresh = !v->fresh || v->fresh[row];
    if (!is_fresh && c->step[unit] >= 0) return;
    memcpy(c->embeds + unit * v->d, v->embeds + row * v->d, (size_t)v->d * sizeof *c->embeds);
    memcpy(c->box + 4 * unit, v->box + 4 * row, 4 * sizeof *c->box);
    c->view.n_known += c->step[unit] < 0;
    c->step[unit] = step;
}

/* The units of candidates [first, end) that the row stands for. */
static void put_row(pare_canvas *c, const pare_result_view *v, int64_t row, int64_t first, int64_t end, int64_t step)
{
    const pare_map *m = &v->map;
    const int64_t *start = m->member_start ? m->member_start : m->row_start;
    const int32_t *column = m->member_start ? m->member : m->index;
    for (int64_t i = start[row]; i < start[row + 1]; i++)
        if (column[i] >= first && column[i] < end) put(c, v, row, column[i] - first, step);
}

static void take_step(pare_canvas *c, const pare_result_view *v, int32_t t)
{
    const int64_t step = v->slot[t].t, n = unit_count(c);
    for (int64_t row = 0; row < v->k; row++) put_row(c, v, row, v->unit_start[t], v->unit_start[t + 1], step);
    for (int64_t i = 0; i < n; i++) c->age[i] = c->step[i] < 0 ? -1 : step - c->step[i];
    c->last = step;
    c->view.n_step++;
}

static int check_step(const pare_canvas *c, const pare_result_view *v, int32_t t, int64_t last, pare_error *err)
{
    if (v->unit_start[t + 1] - v->unit_start[t] != unit_count(c) || v->d != c->view.d)
        return pare_fail(err, PARE_E_INVALID, "canvas of %lld units of width %d: step %d of the result has %lld of %d",
                         (long long)unit_count(c), c->view.d, t, (long long)(v->unit_start[t + 1] - v->unit_start[t]),
                         v->d);
    if (v->slot[t].t <= last)
        return pare_fail(err, PARE_E_INVALID, "canvas: step %d of the clip comes after step %lld", v->slot[t].t,
                         (long long)last);
    return 0;
}

int pare_canvas_update(pare_canvas *c, const pare_result *r, int32_t t, pare_error *err)
{
    if (!c || !r) return pare__no_argument("pare_canvas_update", c ? "r" : "canvas", err);
    const pare_result_view *v = pare_result_get(r);
    if (t < -1 || t >= v->grid[0])
        return pare_fail(err, PARE_E_INVALID, "canvas: step %d of a result of %d, -1 for all", t, v->grid[0]);
    const int32_t first = t < 0 ? 0 : t, end = t < 0 ? v->grid[0] : t + 1;
    int rc = check_clip(v, "pare_canvas_update", err);
    int64_t last = c->last;
    for (int32_t s = first; !rc && s < end; last = v->slot[s++].t) rc = check_step(c, v, s, last, err);
    for (int32_t s = first; !rc && s < end; s++) take_step(c, v, s);
    return rc;
}

const pare_canvas_view *pare_canvas_get(const pare_canvas *c) { return c ? &c->view : NULL; }
