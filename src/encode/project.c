/* SPDX-License-Identifier: MIT */
/* What leaves the encoder: final norm x [n, d], then y [n_unit, d_out].
 *   merger: norm of every row, the patches of a unit joined in order [patches d], linear, GELU (erf), linear
 *   without: x itself where a unit is one patch, else the mean over its patches
 * Prefix rows are x where the widths agree, else 0. */
#include <string.h>

#include "encode/parts.h"

/* n units whose rows stand one after the other from `row` -> y rows from `unit`. */
static void merge_units(const pare__encoder *e, int64_t row, int64_t unit, int64_t n)
{
    const pare_model *m = e->m;
    const int64_t d = e->pack.d, rows = n * e->pack.patches;
    const float *x = e->pack.x + row * d;
    if (m->w.projector.norm.w) {
        pare__norm_run(&e->ex, m->hp.norm, &m->w.projector.norm, m->hp.eps, x, rows, d, e->h);
        x = e->h;
    }
    const pare__linear_job job[] = {{.w = &e->weights->projector[0][0],
                                     .bias = m->w.projector.fc1.b,
                                     .x = x,
                                     .ldx = m->w.projector.fc1.n_in,
                                     .y = e->wide,
                                     .ldy = pare__float_stride(m->w.projector.fc1.n_out),
                                     .rows = n,
                                     .epilogue = PARE__EPILOGUE_ACT,
                                     .act = PARE__ACT_GELU},
                                    {.w = &e->weights->projector[0][1],
                                     .bias = m->w.projector.fc2.b,
                                     .x = e->wide,
                                     .ldx = pare__float_stride(m->w.projector.fc2.n_in),
                                     .y = e->y + unit * e->pack.d_out,
                                     .ldy = e->pack.d_out,
                                     .rows = n,
                                     .epilogue = PARE__EPILOGUE_BIAS}};
    pare__linear_run(&e->ex, job, 2);
}

static void project_prefix(const pare__encoder *e, int32_t seg)
{
    const pare__pack *p = &e->pack;
    const size_t size = (size_t)p->n_prefix * (size_t)p->d_out * sizeof(float);
    float *y = e->y + p->ucu[seg] * p->d_out;
    if (p->d_out == p->d)
        memcpy(y, p->x + p->cu[seg] * p->d, size);
    else
        memset(y, 0, size);
}

static void merge_all(const pare__encoder *e)
{
    const pare__pack *p = &e->pack;
    if (p->n_prefix == 0) {
        merge_units(e, 0, 0, p->n_unit);
        return;
    }
    for (int32_t s = 0; s < p->n_seg; s++) {
        project_prefix(e, s);
        merge_units(e, p->cu[s] + p->n_prefix, p->ucu[s] + p->n_prefix, p->ucu[s + 1] - p->ucu[s] - p->n_prefix);
    }
}

int pare__project_run(pare__encoder *e, pare_error *err)
{
    const pare_model *m = e->m;
    pare__pack *p = &e->pack;
    if (m->w.norm.w) pare__norm_run(&e->ex, m->hp.norm, &m->w.norm, m->hp.eps, p->x, p->n, p->d, p->x);
    p->y = e->y ? e->y : p->x;
    int rc = pare__stage_emit(e, "last_hidden", -1, p->x, p->n, p->d, err);
    if (rc < 0 || !e->y) return rc;
    if (!m->hp.has_projector) {
        pare__unit_means(e, p->x, p->d, p->d, e->y);
        return 0;
    }
    merge_all(e);
    return pare__stage_emit(e, "projected", -1, p->y, p->n_unit, p->d_out, err);
}
