/* SPDX-License-Identifier: MIT */
/* Patches in boxes, slot by slot (patches.h). */
#include "patches.h"

#include <stdlib.h>
#include <string.h>

/* ---- slots ---------------------------------------------------------------------------------------------------- */

int64_t bench_slot_count(const bench_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        if (v->first_slot + v->grid[0] > n) n = v->first_slot + v->grid[0];
    }
    return n;
}

void bench_slots(const bench_run *run, bench_slot *out, int64_t n_slot)
{
    memset(out, 0, (size_t)n_slot * sizeof *out);
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        for (int32_t t = 0; t < v->grid[0]; t++)
            if (v->first_slot + t < n_slot) out[v->first_slot + t] = (bench_slot){v, t, i};
    }
}

/* ---- owners --------------------------------------------------------------------------------------------------- */

static int reserve(bench_owners *o, int64_t n)
{
    o->n = n;
    if (n <= o->cap) return 0;
    bench_owners_free(o);
    o->owner = malloc((size_t)n * sizeof *o->owner);
    o->weight = malloc((size_t)n * sizeof *o->weight);
    o->anchor = malloc((size_t)n * sizeof *o->anchor);
    if (o->owner == NULL || o->weight == NULL || o->anchor == NULL) return -1;
    o->n = o->cap = n;
    return 0;
}

int bench_owners_of(bench_owners *o, const pare_result_view *v)
{
    const pare_map *m = &v->map;
    if (reserve(o, m->n_in) != 0) return -1;
    for (int64_t u = 0; u < m->n_in; u++) {
        o->owner[u] = -1;
        o->anchor[u] = 0;
    }
    for (int64_t r = 0; r < m->n_out; r++) {
        if (v->place[r * 6 + 5] == 0) o->anchor[m->anchor[r]] = 1;
        for (int64_t e = m->row_start[r]; e < m->row_start[r + 1]; e++) {
            const int32_t u = m->index[e];
            if (o->owner[u] >= 0 && m->weight[e] <= o->weight[u]) continue;
            o->owner[u] = (int32_t)r;
            o->weight[u] = m->weight[e];
        }
    }
    for (int64_t r = 0; m->member_start != NULL && r < m->n_out; r++)
        for (int64_t e = m->member_start[r]; e < m->member_start[r + 1]; e++)
            if (o->owner[m->member[e]] < 0) o->owner[m->member[e]] = (int32_t)r;
    return 0;
}

void bench_owners_free(bench_owners *o)
{
    free(o->owner);
    free(o->weight);
    free(o->anchor);
    *o = (bench_owners){0};
}

/* ---- boxes ---------------------------------------------------------------------------------------------------- */

/* Is the centre of the row's rectangle in a box? */
static int in_boxes(const pare_result_view *v, int64_t row, const bench_mot_box *box, int64_t n_box)
{
    const float *b = v->box + row * 4;
    if (b[2] <= b[0] || b[3] <= b[1]) return 0; /* padding */
    return bench_boxes_hold(box, n_box, ((double)b[0] + (double)b[2]) / 2, ((double)b[1] + (double)b[3]) / 2);
}

/* The row of a slot with a grid of its own whose rectangle holds the centre of the full run's row; -1 = none. */
static int64_t row_at(const bench_slot *run, const pare_result_view *full, int64_t unit_row)
{
    const float *c = full->box + unit_row * 4;
    const float x = (c[0] + c[2]) / 2, y = (c[1] + c[3]) / 2;
    for (int64_t r = run->v->row_start[run->t]; r < run->v->row_start[run->t + 1]; r++) {
        const float *b = run->v->box + r * 4;
        if (x >= b[0] && x < b[2] && y >= b[1] && y < b[3]) return r;
    }
    return -1;
}

static int has_own_grid(const bench_slot *full, const bench_slot *run)
{
    const pare_slot *f = &full->v->slot[full->t], *r = &run->v->slot[run->t];
    return f->grid_h != r->grid_h || f->grid_w != r->grid_w || full->v->n != run->v->n;
}

static double rows_in_boxes(const bench_slot *run, const bench_mot_box *box, int64_t n_box)
{
    double n = 0;
    for (int64_t r = run->v->row_start[run->t]; r < run->v->row_start[run->t + 1]; r++)
        n += in_boxes(run->v, r, box, n_box);
    return n;
}

void bench_tally_boxes(const bench_slot *full, const bench_slot *run, const bench_owners *o, const bench_mot_box *box,
                       int64_t n_box, int values, bench_tally *out)
{
    const pare_result_view *f = full->v;
    const int own_grid = run->v != NULL && has_own_grid(full, run);
    double n_patch = 0, own_rows = 0;
    for (int64_t i = f->row_start[full->t]; n_box > 0 && i < f->row_start[full->t + 1]; i++) {
        if (!in_boxes(f, i, box, n_box)) continue;
        n_patch++;
        if (run->v == NULL) continue;
        const int32_t unit = f->map.anchor[i];
        const int64_t row = own_grid ? row_at(run, f, i) : o->owner[unit];
        if (!own_grid) out->kept += o->anchor[unit];
        out->represented += row >= 0;
        if (row >= 0 && values) out->cosine += bench_cosine(run->v->embeds + row * f->d, f->embeds + i * f->d, f->d);
    }
    if (own_grid) own_rows = rows_in_boxes(run, box, n_box);
    out->kept += own_rows < n_patch ? own_rows : n_patch;
    out->n_box += n_patch;
}

/* ---- the slot as a whole -------------------------------------------------------------------------------------- */

void bench_tally_whole(const bench_slot *full, const bench_slot *run, bench_tally *out)
{
    const pare_result_view *f = full->v, *v = run->v;
    if (v == NULL) return;
    if (f->prefix != NULL && v->prefix != NULL && f->n_prefix == v->n_prefix && f->n_prefix > 0) {
        const int64_t step = (int64_t)f->n_prefix * f->d;
        out->cls += bench_cosine(v->prefix + run->t * step, f->prefix + full->t * step, f->d);
        out->n_cls++;
    }
    if (f->pooled != NULL && v->pooled != NULL) {
        out->pooled += bench_cosine(v->pooled + (int64_t)run->t * f->d, f->pooled + (int64_t)full->t * f->d, f->d);
        out->n_pooled++;
    }
    if (f->logits != NULL && v->logits != NULL && f->n_class == v->n_class && f->n_class > 0) {
        const int64_t n = f->n_class;
        out->agree +=
            bench_argmax(v->logits + run->t * n, v->n_class) == bench_argmax(f->logits + full->t * n, f->n_class);
        out->n_agree++;
    }
}
