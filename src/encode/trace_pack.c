/* SPDX-License-Identifier: MIT */
/* What the language model receives of a trace: the projected units [B, units, d_out] as they are, or put together: tiles of
 * a photo with what unpadding leaves and newlines, frames of a clip pooled (pare__packing), or, where a mask tells which
 * pictures are real, one matrix. */
#include <string.h>

#include "core/vec.h"
#include "encode/parts.h"
#include "encode/trace_parts.h"

/* out [p->n, d] = weighted rows of y; what has none is the newline */
static int apply(const pare_model *m, const pare__packing *p, const float *y, int64_t d, float *out, pare_error *err)
{
    const pare__vec *vec = pare__vec_best();
    memset(out, 0, (size_t)(p->n * d) * sizeof *out);
    for (int64_t i = 0; i < p->n; i++, out += d) {
        const int64_t first = p->row_start[i], end = p->row_start[i + 1];
        if (first == end && !m->w.newline)
            return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s' has no newline for row %lld of its input", m->name,
                             (long long)i);
        if (first == end) memcpy(out, m->w.newline, (size_t)d * sizeof *out);
        if (end - first == 1 && p->weight[first] == 1)
            memcpy(out, y + p->source[first] * d, (size_t)d * sizeof *out);
        else
            for (int64_t k = first; k < end; k++) vec->axpy(out, p->weight[k], y + p->source[k] * d, d);
    }
    return 0;
}

/* Units of a photo or clip: how many, all slots together. */
static int64_t units_of(const pare__batch *b, int32_t medium, int32_t first)
{
    const int32_t slots = b->n_frames ? b->n_frames : pare__tiling_slots(&b->tiling[medium]);
    int64_t n = 0;
    for (int32_t s = 0; s < slots; s++) n += b->seg[first + s].n;
    return n;
}

/* One medium behind the n rows that are in t->sorted. */
static int pack_medium(pare__trace_run *t, int32_t medium, const float *y, int64_t d, int64_t *n, pare_error *err)
{
    const pare__batch *b = &t->batch;
    pare__packing p = {0};
    int rc = pare__packing_make(&p, t->m, &b->tiling[b->n_frames ? 0 : medium], b->n_frames, err);
    if (!rc && pare__grow((void **)&t->sorted, &t->cap_sorted, (*n + p.n) * d, (int64_t)sizeof(float)))
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for %lld rows of the language model", (long long)(*n + p.n));
    if (!rc) rc = apply(t->m, &p, y, d, t->sorted + *n * d, err);
    *n += p.n;
    pare__packing_fini(&p);
    return rc;
}

static int give_packed(pare__trace_run *t, const float *y, int64_t d, pare_error *err)
{
    const pare__batch *b = &t->batch;
    int64_t n = 0, unit = 0;
    int32_t first = 0;
    int rc = 0;
    for (int32_t i = 0; i < b->n_medium && !rc; i++) {
        rc = pack_medium(t, i, y + unit * d, d, &n, err);
        unit += units_of(b, i, first);
        first += b->n_frames ? b->n_frames : pare__tiling_slots(&b->tiling[i]);
    }
    return rc ? rc : pare__trace_give(t, "projected", t->sorted, (int64_t[]){n, d}, 2, err);
}

int pare__trace_projected(pare__trace_run *t, const float *y, int64_t d_out, pare_error *err)
{
    const pare__layout *l = &t->layout[PARE__ROWS_UNITS];
    if (!t->is_flat && t->batch.n_medium) return give_packed(t, y, d_out, err);
    if (!t->is_flat && t->batch.mask.data && !l->order)
        return pare__trace_give(t, "projected", y, (int64_t[]){l->n * l->rows, d_out}, 2, err);
    return pare__trace_rows(t, PARE__ROWS_UNITS, "projected", y, d_out, err);
}
