/* SPDX-License-Identifier: MIT */
/* Rotary positions over the grid: the first quarter of a head's pairs turns with the patch's ORIGINAL row, the second
 * with its column; pair j is (x[j], x[j + head_dim / 2]), its angle coordinate * theta^(-4 i / head_dim), i = j modulo
 * head_dim / 4. Reduced rows keep the angles of their anchor. q, k of [n, 3 dim] in place; prefix rows stay. */
#include <math.h>
#include <string.h>

#include "encode/parts.h"

int pare__rope_reserve(pare__rope *r, const pare__hparams *hp, int32_t side)
{
    const int64_t head_dim = hp->dim / hp->n_head, quarter = head_dim / 4;
    if (side <= r->n) return 0;
    if (pare__grow((void **)&r->table, &r->cap, side * 2 * quarter, (int64_t)sizeof *r->table)) return PARE_E_NOMEM;
    for (; r->n < side; r->n++) {
        float *cosine = r->table + r->n * 2 * quarter, *sine = cosine + quarter;
        for (int64_t i = 0; i < quarter; i++) {
            const double angle = (double)r->n * pow((double)hp->rope_theta, -4.0 * (double)i / (double)head_dim);
            cosine[i] = (float)cos(angle);
            sine[i] = (float)sin(angle);
        }
    }
    return 0;
}

/* angle [2, 2 quarter]: cosines of row and column, then their sines */
static void find_angles(const pare__rope *r, int64_t quarter, int32_t row, int32_t col, float *angle)
{
    const float *down = r->table + row * 2 * quarter, *across = r->table + col * 2 * quarter;
    const size_t size = (size_t)quarter * sizeof *angle;
    memcpy(angle, down, size);
    memcpy(angle + quarter, across, size);
    memcpy(angle + 2 * quarter, down + quarter, size);
    memcpy(angle + 3 * quarter, across + quarter, size);
}

static void turn_row(const pare__encoder *e, const float *angle, float *qk)
{
    const int64_t head_dim = e->m->hp.dim / e->m->hp.n_head, half = head_dim / 2;
    for (int32_t h = 0; h < 2 * e->m->hp.n_head; h++, qk += head_dim)
        e->ex.vec->rotate(qk, qk + half, angle, angle + half, half);
}

static void turn_units(void *arg, int64_t task, int32_t worker)
{
    const pare__encoder *e = (const pare__encoder *)arg;
    const pare__pack *p = &e->pack;
    const int32_t unit = e->m->hp.unit;
    const int64_t quarter = p->d / e->m->hp.n_head / 4, end = pare__grain_end(task, p->n_unit);
    float *angle = e->ex.scratch + worker * e->ex.scratch_size;
    int32_t seg = 0;
    for (int64_t u = task * PARE__ROW_GRAIN; u < end; u++) {
        const int32_t *thw = p->thw + 3 * u;
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &seg, &row);
        for (int32_t i = 0; i < n && thw[2] >= 0; i++) {
            find_angles(&e->rope, quarter, thw[1] * unit + i / unit, thw[2] * unit + i % unit, angle);
            turn_row(e, angle, e->wide + (row + i) * 3 * p->d);
        }
    }
}

void pare__rope_run(const pare__encoder *e)
{
    pare__pool_run(e->ex.pool, pare__grains(e->pack.n_unit), turn_units, (void *)(uintptr_t)e);
}
