/* SPDX-License-Identifier: MIT */
/* Segments become the layout of a pack: rows and units of each, places, sizes, empty state. Nothing is computed yet.
 *   [prefix | candidates] per segment; cu in rows, ucu in units, thw [n_unit, 3], size [n_unit] */
#include <float.h>
#include <string.h>

#include "encode/parts.h"

static int check_pixels(const pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    if (s->tokens || s->pixels) return 0;
    for (int32_t t = 0; t < e->m->hp.temporal; t++) {
        if (s->rgb[t]) continue;
        return pare_fail(err, PARE_E_INVALID, "segment %d has no pixels (picture %d of %d)", i, t, e->m->hp.temporal);
    }
    return 0;
}

static int check_units(const pare__segment *s, int64_t units, int32_t i, pare_error *err)
{
    for (int64_t u = 0; s->unit && u < s->n; u++) {
        if (s->unit[u] >= 0 && s->unit[u] < units && (u == 0 || s->unit[u] > s->unit[u - 1])) continue;
        return pare_fail(err, PARE_E_INVALID, "segment %d: unit %lld is %d, not ascending within %lld", i, (long long)u,
                         s->unit[u], (long long)units);
    }
    for (int64_t u = 0; s->size && u < s->n; u++) {
        if (s->size[u] >= 0 && s->size[u] <= FLT_MAX) continue;
        return pare_fail(err, PARE_E_INVALID, "segment %d: unit %lld has size %g", i, (long long)u, (double)s->size[u]);
    }
    return 0;
}

/* A segment that goes on with the one before, and padding. */
static int check_extent(const pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    if (s->step < 0 || (s->step > 0 && (s->step >= e->m->hp.steps || i == 0 || s[-1].step >= s->step)))
        return pare_fail(err, PARE_E_INVALID, "segment %d is step %d of %d behind step %d", i, s->step, e->m->hp.steps,
                         i ? s[-1].step : -1);
    if (s->valid_h < 0 || s->valid_h > s->grid_h || s->valid_w < 0 || s->valid_w > s->grid_w)
        return pare_fail(err, PARE_E_INVALID, "segment %d: %d x %d patches of a %d x %d grid are real", i, s->valid_h,
                         s->valid_w, s->grid_h, s->grid_w);
    return 0;
}

static int check_segment(const pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    const int32_t unit = e->m->hp.unit;
    const int64_t units = (int64_t)(s->grid_h / unit) * (s->grid_w / unit);
    if (s->grid_h < 1 || s->grid_w < 1 || s->grid_h % unit || s->grid_w % unit) {
        return pare_fail(err, PARE_E_INVALID, "segment %d: a %d x %d grid has no units of %d patches a side", i,
                         s->grid_h, s->grid_w, unit);
    }
    if (s->n < 0 || (s->unit ? s->n > units : s->n != units)) {
        return pare_fail(err, PARE_E_INVALID, "segment %d: %lld units of a %d x %d grid", i, (long long)s->n, s->grid_h,
                         s->grid_w);
    }
    int rc = check_units(s, units, i, err);
    if (rc == 0) rc = check_extent(e, s, i, err);
    return rc ? rc : check_pixels(e, s, i, err);
}

/* Tables that depend on the grid grow here, so that nothing can fail later. */
static int reserve_grid(pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    const pare__hparams *hp = &e->m->hp;
    int rc = hp->rope ? pare__rope_reserve(&e->rope, hp, i, s->grid_h, s->grid_w) : 0;
    if (rc == 0 && hp->window)
        rc = pare__windows_reserve(&e->windows, hp->window, s->grid_h / hp->unit, s->grid_w / hp->unit);
    if (rc == 0) return 0;
    return pare_fail(err, rc, "out of memory for the geometry of a %d x %d grid", s->grid_h, s->grid_w);
}

/* Units of one segment: places and sizes, prefix first. */
static void lay_segment(pare__pack *p, const pare__segment *s, int32_t unit_side)
{
    const int32_t cols = s->grid_w / unit_side;
    int32_t *thw = p->thw + p->n_unit * 3;
    float *size = p->size + p->n_unit;
    for (int32_t i = 0; i < p->n_prefix; i++, thw += 3) {
        memcpy(thw, (int32_t[3]){s->t, -1, -1}, sizeof(int32_t[3]));
        *size++ = 1.0f;
    }
    for (int64_t i = 0; i < s->n; i++, thw += 3) {
        const int32_t unit = s->unit ? s->unit[i] : (int32_t)i;
        memcpy(thw, (int32_t[3]){s->t, unit / cols, unit % cols}, sizeof(int32_t[3]));
        *size = s->size ? s->size[i] : 1.0f;
        p->has_size |= *size++ != 1.0f;
    }
    p->n += p->n_prefix + s->n * p->patches;
    p->n_unit += p->n_prefix + s->n;
}

/* Which segments attend to each other, and what of each is real. */
static void lay_extents(pare__encoder *e, const pare__segment *seg, int32_t n_seg)
{
    pare__groups *g = &e->groups;
    e->has_padding = 0;
    g->n = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        const pare__segment *s = &seg[i];
        e->valid[i] = (pare__valid){s->valid_h ? s->valid_h : s->grid_h, s->valid_w ? s->valid_w : s->grid_w};
        e->has_padding |= e->valid[i].rows < s->grid_h || e->valid[i].cols < s->grid_w;
        for (int64_t u = 0; s->size && u < s->n; u++) e->has_padding |= s->size[u] == 0;
        if (g->first && s->step == 0) g->first[g->n++] = i;
    }
    if (g->first) g->first[g->n] = n_seg;
}

static void lay_all(pare__encoder *e, const pare__segment *seg, int32_t n_seg)
{
    pare__pack *p = &e->pack;
    p->n_seg = n_seg;
    p->n = p->n_unit = 0;
    p->has_size = 0;
    p->n_capture = 0;
    p->flops = 0;
    e->n_taken = 0;
    e->windows.ready = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        p->cu[i] = p->n;
        p->ucu[i] = p->n_unit;
        lay_segment(p, &seg[i], e->m->hp.unit);
    }
    p->cu[n_seg] = p->n;
    p->ucu[n_seg] = p->n_unit;
    lay_extents(e, seg, n_seg);
    for (int32_t i = 0; i < PARE__MAX_STEPS; i++)
        if (p->state[i]) memset(p->state[i], 0, (size_t)p->n_unit * (size_t)e->plan.state_width[i] * sizeof(float));
}

int pare__lay_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    const pare__pack *p = &e->pack;
    int64_t rows = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        int rc = check_segment(e, &seg[i], i, err);
        if (rc == 0) rc = reserve_grid(e, &seg[i], i, err);
        if (rc < 0) return rc;
        rows += p->n_prefix + seg[i].n * p->patches;
    }
    if (rows > p->cap_rows || n_seg > p->cap_rows) {
        return pare_fail(err, PARE_E_LIMIT, "%d segments of %lld rows, but the encoder holds %lld", n_seg,
                         (long long)rows, (long long)p->cap_rows);
    }
    lay_all(e, seg, n_seg);
    return pare__past_lay(e, seg, n_seg, err);
}
