/* SPDX-License-Identifier: MIT */
#include "reduce/reuse.h"

#include <string.h>

#include "reduce/reducer.h"

enum { DEFAULT_REFERENCE = 32 };

static int64_t units_of(const pare_reducer *r) { return (int64_t)r->ctx.grid_h * r->ctx.grid_w; }

static int is_complete(const pare_reducer *r) { return r->opts.reuse == PARE_REUSE_COMPLETE; }

void pare__reuse_fini(pare__reuse *u)
{
    pare__free(u->picture);
    pare__free(u->known);
    pare__free(u->at);
    pare__rows_fini(&u->rows);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static int check_model(const pare_model *m, pare_error *err)
{
    if (m->hp.window)
        return pare_fail(err, PARE_E_UNSUPPORTED, "reuse: attention of '%s' stays in windows of %d units", m->name,
                         m->hp.window);
    if (m->hp.steps > 1)
        return pare_fail(err, PARE_E_UNSUPPORTED, "reuse: %d temporal steps of '%s' attend to each other", m->hp.steps,
                         m->name);
    return 0;
}

int pare__reuse_check(const pare_reducer *r, pare_error *err)
{
    const pare_reducer_opts *o = &r->opts;
    if (o->reuse < 0 || o->reuse >= PARE_REUSE_COUNT)
        return pare_fail(err, PARE_E_INVALID, "reuse %d: must be 0..%d", o->reuse, PARE_REUSE_COUNT - 1);
    if (o->reference < 0 || (o->reference && !o->reuse))
        return pare_fail(err, PARE_E_INVALID, "reference %d: must be 1 or more, and goes with reuse", o->reference);
    if (!o->reuse) return 0;
    if (!o->video) return pare_fail(err, PARE_E_INVALID, "reuse is for the steps of a clip, not for photos");
    int drops = 0;
    for (int32_t i = 0; i < r->recipe.n; i++) {
        const pare__step *s = &r->recipe.step[i];
        drops += s->site == PARE__SITE_PATCHES;
        if (s->site != PARE__SITE_BLOCK) continue;
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "reuse: step '%s' acts inside blocks, whose rows must be those of the reference",
                         s->sel->name);
    }
    if (!drops)
        return pare_fail(err, PARE_E_INVALID,
                         "reuse: no step of the recipe acts at 'patches', which drops what is reused");
    return check_model(r->model, err);
}

/* ---- which steps are references --------------------------------------------------------------------------------- */

int pare__reuse_mark(pare_reducer *r)
{
    pare__reuse *u = &r->reuse;
    const int64_t every = r->opts.reference ? r->opts.reference : DEFAULT_REFERENCE;
    int64_t since = u->n_since;
    u->is_reference = PARE__ARENA(&r->arena, uint8_t, r->n_slot);
    if (!u->is_reference) return PARE_E_NOMEM;
    for (int32_t t = 0; t < r->n_slot; t++) {
        u->is_reference[t] = since == 0 || since >= every || r->slot[t].t == 0 || r->step[t].is_cut;
        r->step[t].is_reference = u->is_reference[t];
        since = u->is_reference[t] ? 1 : since + 1;
    }
    r->px.is_reference = u->is_reference;
    r->px.reference = u->n_since && r->slot[0].t > 0 ? u->picture : NULL;
    return 0;
}

int pare__reuse_advance(pare_reducer *r)
{
    pare__reuse *u = &r->reuse;
    const int64_t bytes = (int64_t)r->width * r->height * 3;
    for (int32_t t = 0; t < r->n_slot; t++) {
        u->n_since++;
        if (!u->is_reference[t]) continue;
        if (pare__grow((void **)&u->picture, &u->cap_picture, bytes, 1)) return PARE_E_NOMEM;
        memcpy(u->picture, pare__reducer_pixels(r, t, r->held[t] - 1), (size_t)bytes);
        u->n_since = 1;
    }
    return 0;
}

/* ---- which units are computed ----------------------------------------------------------------------------------- */

static int is_seen(const pare_reducer *r, int64_t candidate)
{
    return !r->ctx.mask || r->ctx.mask[candidate] != PARE_MASK_IGNORE;
}

/* Everything that the mask does not ignore. `list` [units] */
static void lay_reference(pare_reducer *r, int32_t t, int32_t *list)
{
    pare__segment *s = &r->segment[t];
    const int64_t units = units_of(r);
    s->is_reference = 1;
    s->unit = list;
    s->n = 0;
    for (int64_t c = 0; c < units; c++) {
        r->reuse.known[c] = (uint8_t)is_seen(r, t * units + c);
        if (r->reuse.known[c]) list[s->n++] = (int32_t)c;
    }
}

/* Of the units that the steps dropped, those that the reference has; the mask may have hidden others from it. */
static void lay_past(pare_reducer *r, int32_t t, int32_t *list)
{
    pare__segment *s = &r->segment[t];
    const int64_t units = units_of(r);
    int64_t kept = 0;
    s->past = list;
    s->n_past = 0;
    for (int64_t c = 0; c < units; c++) {
        if (kept < s->n && s->unit[kept] == c)
            kept++;
        else if (r->reuse.known[c] && is_seen(r, t * units + c))
            list[s->n_past++] = (int32_t)c;
    }
}

static int open_rows(pare_reducer *r)
{
    const int64_t candidates = r->n_slot * units_of(r);
    if (!is_complete(r)) return 0;
    r->reuse.fresh = PARE__ARENA(&r->arena, uint8_t, candidates + 1);
    if (!r->reuse.fresh) return PARE_E_NOMEM;
    memset(r->reuse.fresh, 1, (size_t)candidates);
    pare__map_begin(&r->encoded.total, candidates);
    return 0;
}

int pare__reuse_segments(pare_reducer *r)
{
    pare__reuse *u = &r->reuse;
    const int64_t units = units_of(r);
    int rc = pare__grow((void **)&u->known, &u->cap_known, units, 1);
    if (!rc) rc = pare__grow((void **)&u->at, &u->cap_at, units, sizeof *u->at);
    if (!rc) rc = open_rows(r);
    for (int32_t t = 0; !rc && t < r->n_slot; t++) {
        int32_t *list = PARE__ARENA(&r->arena, int32_t, units);
        if (!list) return PARE_E_NOMEM;
        (u->is_reference[t] ? lay_reference : lay_past)(r, t, list);
        u->n_reference += u->is_reference[t];
        u->n_fresh += r->segment[t].n;
    }
    return rc;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* All rows of the reference, segment 0 of the pack. */
static int remember(pare_reducer *r, const pare__pack *pack, const pare__segment *s)
{
    pare__reuse *u = &r->reuse;
    const int64_t units = units_of(r);
    int rc = pare__rows_clear(&u->rows, 1, units);
    if (!rc) rc = pare__rows_reserve_x(&u->rows, units, r->model->hp.d_out);
    if (!rc) rc = pare__rows_reserve_deep(&u->rows, r->model->hp.n_deepstack, units);
    if (!rc) rc = pare__packs_arrays(&u->rows, pack, units);
    if (rc) return rc;
    for (int64_t c = 0; c < units; c++) u->at[c] = -1;
    for (int64_t i = 0; i < s->n; i++) {
        u->at[s->unit[i]] = (int32_t)i;
        pare__packs_row(&u->rows, pack, pack->n_prefix + i);
    }
    return 0;
}

/* Row `from` of the reference as a row of slot t. */
static void recall(pare__rows *e, const pare__rows *past, int64_t from, int32_t t)
{
    const int64_t to = e->n++, d = e->d;
    memcpy(e->x + to * d, past->x + from * d, (size_t)d * sizeof *e->x);
    for (int32_t i = 0; i < e->n_deep; i++)
        memcpy(e->deep[i] + to * d, past->deep[i] + from * d, (size_t)d * sizeof *e->x);
    memcpy(e->thw + 3 * to, past->thw + 3 * from, 3 * sizeof *e->thw);
    e->thw[3 * to] = t;
    e->size[to] = past->size[from];
    for (int32_t i = 0; i < e->n_array; i++) {
        const int64_t width = e->array[i].width;
        memcpy((float *)(uintptr_t)e->array[i].data + to * width, past->array[i].data + from * width,
               (size_t)width * sizeof(float));
    }
}

/* Fresh rows, the first of them row `first` of the pack, and those of the reference between them. */
static int gather_all(pare_reducer *r, const pare__pack *pack, int64_t first, int32_t t)
{
    const pare__segment *s = &r->segment[t];
    const int64_t candidate = t * units_of(r);
    int rc = 0;
    for (int64_t i = 0, p = 0; !rc && (i < s->n || p < s->n_past);) {
        const int is_fresh = p == s->n_past || (i < s->n && s->unit[i] < s->past[p]);
        const int32_t cell = is_fresh ? s->unit[i] : s->past[p];
        if (is_fresh)
            pare__packs_row(&r->encoded, pack, first + i++);
        else
            recall(&r->encoded, &r->reuse.rows, r->reuse.at[s->past[p++]], t);
        r->reuse.fresh[candidate + cell] = (uint8_t)is_fresh;
        rc = pare__map_keep(&r->encoded.total, candidate + cell);
    }
    return rc;
}

/* Of the rows of the pack from `first` on, those that the steps at `patches` kept. */
static void gather_kept(pare_reducer *r, const pare__pack *pack, int64_t first, int32_t t)
{
    const pare__segment *s = &r->segment[t];
    int64_t i = 0;
    for (int64_t row = r->rows.frame_start[t]; row < r->rows.frame_start[t + 1]; row++) {
        while (s->unit[i] != r->unit_index[row]) i++;
        pare__packs_row(&r->encoded, pack, first + i);
    }
}

int pare__reuse_gather(pare_reducer *r, const pare__pack *pack)
{
    int rc = pare__packs_arrays(&r->encoded, pack, pare__reuse_room(r));
    for (int32_t seg = 0; !rc && seg < pack->n_seg; seg++) {
        const int32_t t = r->pack_first + seg;
        const int64_t first = pack->ucu[seg] + pack->n_prefix;
        pare__packs_prefix(r, pack, seg, t);
        if (is_complete(r) && r->segment[t].is_reference) rc = remember(r, pack, &r->segment[t]);
        if (!rc && is_complete(r))
            rc = gather_all(r, pack, first, t);
        else if (!rc)
            gather_kept(r, pack, first, t);
        r->encoded.frame_start[t + 1] = r->encoded.n;
    }
    return rc;
}

int64_t pare__reuse_room(const pare_reducer *r) { return is_complete(r) ? r->n_slot * units_of(r) : r->rows.n; }

int pare__reuse_provenance(pare_reducer *r, pare_error *err)
{
    if (is_complete(r)) return pare__map_finish(&r->encoded.total, NULL, 0, err);
    const pare__map kept = r->rows.total;
    r->rows.total = r->encoded.total;
    r->encoded.total = kept;
    return 0;
}
