/* SPDX-License-Identifier: MIT */
/* Rotary positions over the grid: the first quarter of a head's pairs turns with the patch's ORIGINAL row, the second
 * with its column; pair j is (x[j], x[j + head_dim / 2]), its angle c * theta^(-4 i / head_dim), i = j modulo
 * head_dim / 4. c is the coordinate (ROPE_GRID), or 2 pi times the patch's centre on a side that reaches from -1 to 1
 * (ROPE_CENTRE). Reduced rows keep the angles of their anchor. q, k of [n, 3 dim] in place; prefix rows stay.
 * Source: transformers' apply_rotary_pos_emb_vision (Qwen2-VL), DINOv3ViTRopePositionEmbedding. */
#include <math.h>
#include <string.h>

#include "encode/parts.h"

#define TWO_PI 6.283185307179586

/* ---- angles ------------------------------------------------------------------------------------------------------ */

/* Row of the table [2, quarter]: cosines, sines of coordinate c. */
static void fill_row(const pare__hparams *hp, double c, float *cosine)
{
    const int64_t head_dim = hp->dim / hp->n_head, quarter = head_dim / 4;
    for (int64_t i = 0; i < quarter; i++) {
        const double angle = c * pow((double)hp->rope_theta, -4.0 * (double)i / (double)head_dim);
        cosine[i] = (float)cos(angle);
        cosine[quarter + i] = (float)sin(angle);
    }
}

/* Coordinate of patch i of a side of n. */
static double coordinate(const pare__hparams *hp, int64_t i, int64_t n)
{
    if (hp->rope == PARE__ROPE_GRID) return (double)i;
    return TWO_PI * (2 * ((double)i + .5) / (double)n - 1);
}

/* Rows 0 .. n-1 of a side behind what the table holds. */
static int add_rows(pare__rope *r, const pare__hparams *hp, int64_t from, int64_t n)
{
    const int64_t width = (int64_t)hp->dim / hp->n_head / 4 * 2;
    if (pare__grow((void **)&r->table, &r->cap, (r->n + n - from) * width, (int64_t)sizeof *r->table))
        return PARE_E_NOMEM;
    for (int64_t i = from; i < n; i++) fill_row(hp, coordinate(hp, i, n), r->table + r->n++ * width);
    return 0;
}

/* The first row of a side of n patches, made if it is not there. */
static int find_side(pare__rope *r, const pare__hparams *hp, int32_t n, int64_t *first)
{
    *first = 0;
    if (hp->rope == PARE__ROPE_GRID) return n > r->n ? add_rows(r, hp, r->n, n) : 0;
    for (int64_t i = 0; i < r->n_side; *first += r->side[i++])
        if (r->side[i] == n) return 0;
    if (pare__grow((void **)&r->side, &r->cap_side, r->n_side + 1, (int64_t)sizeof *r->side) || add_rows(r, hp, 0, n))
        return PARE_E_NOMEM;
    r->side[r->n_side++] = n;
    return 0;
}

int pare__rope_reserve(pare__rope *r, const pare__hparams *hp, int32_t seg, int32_t grid_h, int32_t grid_w)
{
    if (pare__grow((void **)&r->first, &r->cap_first, 2 * ((int64_t)seg + 1), (int64_t)sizeof *r->first))
        return PARE_E_NOMEM;
    int64_t *first = r->first + 2 * (int64_t)seg;
    return find_side(r, hp, grid_h, &first[0]) || find_side(r, hp, grid_w, &first[1]) ? PARE_E_NOMEM : 0;
}

void pare__rope_fini(pare__rope *r)
{
    pare__free(r->table);
    pare__free(r->side);
    pare__free(r->first);
    *r = (pare__rope){0};
}

/* angle [2, 2 quarter]: cosines of row and column, then their sines */
static void find_angles(const pare__rope *r, int64_t quarter, int64_t row, int64_t col, float *angle)
{
    const float *down = r->table + row * 2 * quarter, *across = r->table + col * 2 * quarter;
    const size_t size = (size_t)quarter * sizeof *angle;
    memcpy(angle, down, size);
    memcpy(angle + quarter, across, size);
    memcpy(angle + 2 * quarter, down + quarter, size);
    memcpy(angle + 3 * quarter, across + quarter, size);
}

/* ---- turning ----------------------------------------------------------------------------------------------------- */

typedef struct turn {
    const pare__encoder *e;
    const pare__exec *ex;
    const pare__stretch *s;
    int64_t first, end; /* units of the pack */
    float *qkv;
} turn;

static void turn_row(const pare__encoder *e, const float *angle, float *qk)
{
    const int64_t head_dim = e->m->hp.dim / e->m->hp.n_head, half = head_dim / 2;
    for (int32_t h = 0; h < 2 * e->m->hp.n_head; h++, qk += head_dim)
        e->ex.vec->rotate(qk, qk + half, angle, angle + half, half);
}

static void turn_units(void *arg, int64_t task, int32_t worker)
{
    const turn *t = (const turn *)arg;
    const pare__encoder *e = t->e;
    const pare__pack *p = &e->pack;
    const int32_t unit = e->m->hp.unit;
    const int64_t quarter = p->d / e->m->hp.n_head / 4, end = t->first + pare__grain_end(task, t->end - t->first);
    float *angle = t->ex->scratch + worker * t->ex->scratch_size;
    int32_t seg = t->s->seg;
    for (int64_t u = t->first + task * PARE__ROW_GRAIN; u < end; u++) {
        const int32_t *thw = p->thw + 3 * u;
        int64_t row;
        const int32_t n = pare__unit_rows(p, u, &seg, &row);
        const int64_t *first = e->rope.first + 2 * (int64_t)seg;
        for (int32_t i = 0; i < n && thw[2] >= 0; i++) {
            find_angles(&e->rope, quarter, first[0] + thw[1] * unit + i / unit, first[1] + thw[2] * unit + i % unit,
                        angle);
            turn_row(e, angle, t->qkv + (row - t->s->row + i) * 3 * p->d);
        }
    }
}

void pare__rope_run(const pare__encoder *e, const pare__exec *ex, const pare__stretch *s, float *qkv)
{
    const int64_t *ucu = e->pack.ucu + s->seg;
    turn t = {e, ex, s, ucu[0], ucu[s->n_seg], qkv};
    pare__pool_run(ex->pool, pare__grains(t.end - t.first), turn_units, &t);
}

/* ---- for traces -------------------------------------------------------------------------------------------------- */

int pare__rope_tables(const pare__hparams *hp, int32_t grid_h, int32_t grid_w, float *cosine, float *sine)
{
    const int64_t half = hp->dim / hp->n_head / 2, n = (int64_t)grid_h * grid_w;
    const size_t size = (size_t)half * sizeof *cosine;
    pare__rope r = {0};
    int rc = pare__rope_reserve(&r, hp, 0, grid_h, grid_w);
    float *angle = PARE__NEW(float, 2 * half);
    if (!angle) rc = PARE_E_NOMEM;
    for (int64_t i = 0; i < n && !rc; i++, cosine += 2 * half, sine += 2 * half) {
        find_angles(&r, half / 2, r.first[0] + i / grid_w, r.first[1] + i % grid_w, angle);
        memcpy(cosine, angle, size);
        memcpy(cosine + half, angle, size);
        memcpy(sine, angle + half, size);
        memcpy(sine + half, angle + half, size);
    }
    pare__free(angle);
    pare__rope_fini(&r);
    return rc;
}
