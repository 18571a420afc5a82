/* SPDX-License-Identifier: MIT */
/* Where the rows of a result are on the grid of units, and which row stands for which unit. Results of one grid are
 * joined through the map; across grids (a resized picture and its reference) through boxes in source pixels: every unit
 * of the reference has one, and a row is where its box's centre is. */
#include <math.h>
#include <string.h>

#include "core/map.h"
#include "measure/scene.h"

const pare_result_view *pare__scene_grid(const pare__scene *s) { return s->other ? s->other : s->v; }

int pare__scene_same_grid(const pare__scene *s)
{
    const pare_result_view *a = s->v, *b = pare__scene_grid(s);
    if (a->n != b->n || a->grid[0] != b->grid[0]) return 0;
    for (int32_t t = 0; t < a->grid[0]; t++)
        if (a->slot[t].grid_h != b->slot[t].grid_h || a->slot[t].grid_w != b->slot[t].grid_w) return 0;
    return 1;
}

/* ---- across grids ----------------------------------------------------------------------------------------------- */

static double centre_x(const pare_result_view *v, int64_t row)
{
    return .5 * ((double)v->box[4 * row] + v->box[4 * row + 2]);
}

static double centre_y(const pare_result_view *v, int64_t row)
{
    return .5 * ((double)v->box[4 * row + 1] + v->box[4 * row + 3]);
}

/* First row of v's rows [first, end) whose box holds the point, or -1. */
static int32_t row_around(const pare_result_view *v, int64_t first, int64_t end, double x, double y)
{
    for (int64_t row = first; row < end; row++) {
        const float *b = v->box + 4 * row;
        if (x >= b[0] && x < b[2] && y >= b[1] && y < b[3]) return (int32_t)row;
    }
    return -1;
}

/* Row of v's rows [first, end) whose centre is nearest to the point. Boxes are rounded: nearly equal distances are equal,
 * and the last wins, as the corner of four cells belongs to the lower right one. */
static int64_t row_near(const pare_result_view *v, int64_t first, int64_t end, double x, double y)
{
    int64_t best = first;
    double least = INFINITY;
    for (int64_t row = first; row < end; row++) {
        const double dx = centre_x(v, row) - x, dy = centre_y(v, row) - y, d = dx * dx + dy * dy;
        if (d > least + 1e-4 * (least < 1 ? 1 : least)) continue;
        least = d < least ? d : least;
        best = row;
    }
    return best;
}

/* Units and rows of one slot. */
static int join_slot(pare__scene *s, int32_t t, pare_error *err)
{
    const pare_result_view *v = s->v, *o = s->other;
    const int64_t first = v->row_start[t], end = v->row_start[t + 1];
    const int64_t o_first = o->row_start[t], o_end = o->row_start[t + 1];
    if (end > first && o_end == o_first)
        return pare_fail(err, PARE_E_INVALID, "slot %d has %lld rows, the other result has none there", t,
                         (long long)(end - first));
    for (int64_t i = o_first; i < o_end; i++)
        s->owner[o->map.anchor[i]] = row_around(v, first, end, centre_x(o, i), centre_y(o, i));
    for (int64_t row = first; row < end; row++)
        s->anchor[row] = o->map.anchor[row_near(o, o_first, o_end, centre_x(v, row), centre_y(v, row))];
    return 0;
}

static int has_boxes(const pare_result_view *v)
{
    for (int64_t i = 0; v->box && i < v->k; i++)
        if (v->box[4 * i + 2] > v->box[4 * i]) return 1;
    return 0;
}

static int join_boxes(pare__scene *s, pare_error *err)
{
    if (!has_boxes(s->v) || !has_boxes(s->other))
        return pare_fail(err, PARE_E_INVALID,
                         "grids of %lld and %lld units can only be compared through boxes, and bare "
                         "features have none",
                         (long long)s->v->n, (long long)s->other->n);
    for (int64_t i = 0; i < s->n; i++) s->owner[i] = -1;
    int rc = 0;
    for (int32_t t = 0; !rc && t < s->v->grid[0]; t++) rc = join_slot(s, t, err);
    return rc;
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

int pare__scene_owner(pare__scene *s, pare_error *err)
{
    if (s->owner) return 0;
    const pare_result_view *v = s->v;
    int32_t *owner = PARE__ARENA(&s->arena, int32_t, s->n), *anchor = PARE__ARENA(&s->arena, int32_t, v->k);
    if (!owner || !anchor) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->owner = owner;
    s->anchor = anchor;
    int rc = 0;
    if (!pare__scene_same_grid(s)) {
        rc = join_boxes(s, err);
    } else {
        pare__map_owner(&v->map, owner);
        memcpy(anchor, v->map.anchor, (size_t)v->k * sizeof *anchor);
    }
    if (rc) s->owner = s->anchor = NULL;
    return rc;
}

int pare__scene_cells(pare__scene *s, int32_t slot, pare__cells *out, pare_error *err)
{
    int rc = pare__scene_owner(s, err);
    if (rc) return rc;
    const pare_result_view *grid = pare__scene_grid(s);
    const pare_slot *p = &grid->slot[slot];
    const int64_t first = grid->unit_start[slot], cells = (int64_t)p->grid_h * p->grid_w;
    uint8_t *kept = PARE__ARENA(&s->arena, uint8_t, cells);
    int32_t *keep = PARE__ARENA(&s->arena, int32_t, cells);
    if (!kept || !keep) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    memset(kept, 0, (size_t)cells);
    for (int64_t i = s->v->row_start[slot]; i < s->v->row_start[slot + 1]; i++) kept[s->anchor[i] - first] = 1;
    *out = (pare__cells){.keep = keep, .h = p->grid_h, .w = p->grid_w};
    for (int64_t i = 0; i < cells; i++)
        if (kept[i]) keep[out->n_keep++] = (int32_t)i;
    return 0;
}
