/* SPDX-License-Identifier: MIT */
/* What leaves the encoder: final norm x [n, d], then y [n_unit, d_out].
 *   projector: the patches of a unit joined (side by side in order [patches d], or their mean [d]), normed before or
 *              after that, then fc1, or fc1, activation, fc2
 *   without: x itself where a unit is one patch, else the mean over its patches
 * Prefix rows are x where the widths agree, else 0. Deepstack taps project what their block leaves in the same way, always
 * normed after joining: [n_deepstack, n_unit, d_out]. */
#include <string.h>

#include "encode/parts.h"

/* One way out of the hidden state. */
typedef struct way {
    const pare__encoder *e;
    const pare__projector_w *w;
    const pare__prepared *layer; /* fc1, fc2 */
    int is_patch_norm;           /* the norm sees patches, else joined rows */
} way;

/* ---- joining ----------------------------------------------------------------------------------------------------- */

/* The patches x [patches, d] of a unit -> out [joined]. `spare` [d] */
static void join_unit(const way *w, const float *x, float *out, float *spare)
{
    const pare__hparams *hp = &w->e->m->hp;
    const pare__vec *vec = w->e->ex.vec;
    const int is_mean = hp->join == PARE__JOIN_MEAN;
    const int32_t patches = w->e->pack.patches, d = hp->dim;
    if (is_mean) memset(out, 0, (size_t)d * sizeof *out);
    for (int32_t i = 0; i < patches; i++, x += d) {
        float *to = is_mean ? spare : out + (int64_t)i * d;
        if (w->is_patch_norm)
            pare__norm_row(vec, hp->proj_norm, &w->w->norm, hp->proj_eps, x, d, to);
        else if (!is_mean)
            memcpy(to, x, (size_t)d * sizeof *to);
        if (is_mean) vec->axpy(out, 1.0f / (float)patches, w->is_patch_norm ? to : x, d);
    }
}

static void join_units(void *arg, int64_t task, int32_t worker)
{
    const way *w = (const way *)arg;
    const pare__encoder *e = w->e;
    const pare__pack *p = &e->pack;
    const int64_t end = pare__grain_end(task, p->n_unit), width = pare__joined_width(&e->m->hp);
    float *spare = e->ex.scratch + worker * e->ex.scratch_size;
    int32_t seg = 0;
    for (int64_t u = task * PARE__ROW_GRAIN; u < end; u++) {
        int64_t row;
        pare__unit_rows(p, u, &seg, &row);
        if (u - p->ucu[seg] < p->n_prefix) continue;
        join_unit(w, p->x + row * p->d, e->h + (u - (int64_t)(seg + 1) * p->n_prefix) * width, spare);
    }
}

/* [units, joined] without prefix rows: the hidden state itself where that is the same. */
static const float *join_all(const way *w)
{
    const pare__encoder *e = w->e;
    const int is_same = e->pack.n_prefix == 0 && !w->is_patch_norm && e->m->hp.join == PARE__JOIN_CONCAT;
    if (is_same) return e->pack.x;
    pare__pool_run(e->ex.pool, pare__grains(e->pack.n_unit), join_units, (void *)(uintptr_t)w);
    return e->h;
}

/* ---- multiplying ------------------------------------------------------------------------------------------------- */

/* joined [units, joined] -> y [units, d_out] */
static void multiply(const way *w, const float *joined, float *y)
{
    const pare__encoder *e = w->e;
    const pare__hparams *hp = &e->m->hp;
    const int is_two = w->w->fc2.w != NULL;
    const int64_t units = pare__candidates(&e->pack), between = pare__float_stride(w->w->fc1.n_out);
    const pare__linear_job job[] = {{.w = &w->layer[0],
                                     .bias = w->w->fc1.b,
                                     .norm = w->w->norm.w && !w->is_patch_norm ? &w->w->norm : NULL,
                                     .norm_kind = hp->proj_norm,
                                     .eps = hp->proj_eps,
                                     .x = joined,
                                     .ldx = w->w->fc1.n_in,
                                     .y = is_two ? e->wide : y,
                                     .ldy = is_two ? between : e->pack.d_out,
                                     .rows = units,
                                     .epilogue = is_two ? PARE__EPILOGUE_ACT : PARE__EPILOGUE_BIAS,
                                     .act = hp->proj_act},
                                    {.w = &w->layer[1],
                                     .bias = w->w->fc2.b,
                                     .x = e->wide,
                                     .ldx = between,
                                     .y = y,
                                     .ldy = e->pack.d_out,
                                     .rows = units,
                                     .epilogue = PARE__EPILOGUE_BIAS}};
    pare__linear_run(&e->ex, job, is_two ? 2 : 1);
}

/* Rows of units, which stand one after the other at the end of y [n_unit, d_out], go to their places. Prefix rows are those
 * of x [n, d_out], or 0. */
static void spread(const pare__pack *p, const float *x, float *y)
{
    const int64_t width = p->d_out, n_prefix = p->n_prefix;
    const size_t prefix = (size_t)n_prefix * (size_t)width * sizeof *y;
    if (n_prefix == 0) return;
    for (int64_t s = 0; s < p->n_seg; s++) {
        float *to = y + p->ucu[s] * width;
        const int64_t units = p->ucu[s + 1] - p->ucu[s] - n_prefix;
        memmove(to + n_prefix * width, to + (p->n_seg - s) * n_prefix * width,
                (size_t)units * (size_t)width * sizeof *y);
        if (x)
            memcpy(to, x + p->cu[s] * width, prefix);
        else
            memset(to, 0, prefix);
    }
}

/* First of the rows of units before they are spread. */
static float *compact(const pare__pack *p, float *y) { return y + (int64_t)p->n_seg * p->n_prefix * p->d_out; }

/* ---- ways out ---------------------------------------------------------------------------------------------------- */

int pare__deepstack_run(pare__encoder *e, int32_t block, pare_error *err)
{
    const pare__hparams *hp = &e->m->hp;
    const pare__pack *p = &e->pack;
    int rc = 0;
    for (int32_t i = 0; i < hp->n_deepstack && rc == 0; i++) {
        if (hp->deepstack[i] != block) continue;
        const way w = {.e = e, .w = &e->m->w.deepstack[i], .layer = e->weights->projector[1 + i]};
        float *y = pare__deepstack_at(e, i);
        multiply(&w, join_all(&w), compact(p, y));
        rc = pare__stage_emit(e, "deepstack", i, compact(p, y), pare__candidates(p), p->d_out, err);
        spread(p, NULL, y);
    }
    return rc;
}

/* Taps one after the other, as many rows as are left. */
static void close_deepstack(pare__encoder *e)
{
    pare__pack *p = &e->pack;
    const int64_t size = p->n_unit * p->d_out;
    for (int64_t i = 1; i < e->m->hp.n_deepstack; i++)
        memmove(e->deepstack + i * size, pare__deepstack_at(e, (int32_t)i), (size_t)size * sizeof(float));
    p->deepstack = e->deepstack;
}

/* Stages around the projector, by the names that its families use. */
static int emit_projected(const pare__encoder *e, const float *y, pare_error *err)
{
    const int64_t units = pare__candidates(&e->pack);
    const int rc = pare__stage_emit(e, "projector_out", -1, y, units, e->pack.d_out, err);
    return rc ? rc : pare__stage_emit(e, "projected", -1, y, units, e->pack.d_out, err);
}

static int project(pare__encoder *e, pare_error *err)
{
    const pare__hparams *hp = &e->m->hp;
    const pare__pack *p = &e->pack;
    const pare__projector_w *weights = &e->m->w.projector;
    const way w = {.e = e,
                   .w = weights,
                   .layer = e->weights->projector[0],
                   .is_patch_norm = weights->norm.w && !hp->proj_norm_joined};
    const float *joined = join_all(&w);
    int rc = 0;
    if (!w.is_patch_norm)
        rc = pare__stage_emit(e, p->patches == 1 ? "selected" : "shuffled", -1, joined, pare__candidates(p),
                              pare__joined_width(hp), err);
    if (rc < 0) return rc;
    multiply(&w, joined, compact(p, e->y));
    rc = emit_projected(e, compact(p, e->y), err);
    spread(p, p->d_out == p->d ? p->x : NULL, e->y);
    return rc;
}

int pare__project_run(pare__encoder *e, pare_error *err)
{
    const pare_model *m = e->m;
    pare__pack *p = &e->pack;
    if (m->w.norm.w) pare__norm_run(&e->ex, m->hp.norm, &m->w.norm, m->hp.eps, p->x, p->n, p->d, p->x);
    p->y = e->y ? e->y : p->x;
    if (e->deepstack) close_deepstack(e);
    int rc = pare__stage_emit(e, "last_hidden", -1, p->x, p->n, p->d, err);
    if (rc < 0 || !e->y) return rc;
    if (m->hp.has_projector) return project(e, err);
    pare__unit_means(e, p->x, p->d, p->d, e->y);
    return 0;
}
