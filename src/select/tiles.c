/* SPDX-License-Identifier: MIT */
/* See tiles.h. */
#include "select/tiles.h"

#include <math.h>
#include <string.h>

/* ---- pictures ------------------------------------------------------------------------------------------------------ */

pare__picture pare__picture_at(const pare__view *v, int32_t slot)
{
    const pare__picture alone = {.first = slot, .n = 1, .whole = slot, .tile = slot};
    if (!v->slot || v->slot[slot].tile > 1) return alone;
    const pare_slot *first = v->slot + slot;
    const int32_t n = first->tile_rows * first->tile_cols, whole_last = first->tile == 1;
    if (n < 1 || slot + n >= v->n_frame) return alone;
    for (int32_t j = 0; j <= n; j++) {
        const int32_t tile = whole_last ? (j + 1) % (n + 1) : j;
        if (first[j].media != first->media || first[j].t != first->t || first[j].tile != tile) return alone;
    }
    return (pare__picture){.first = slot,
                           .n = n + 1,
                           .rows = first->tile_rows,
                           .cols = first->tile_cols,
                           .whole = whole_last ? slot + n : slot,
                           .tile = whole_last ? slot : slot + 1};
}

static int64_t slot_rows(const pare__view *v, int32_t slot) { return v->frame_start[slot + 1] - v->frame_start[slot]; }

int64_t pare__picture_rows(const pare__view *v, const pare__picture *p)
{
    return v->frame_start[p->first + p->n] - v->frame_start[p->first];
}

int pare__picture_budgets(const pare__view *v, double share, int64_t *k)
{
    int64_t n_picture = 0;
    double *rows = PARE__ARENA(v->arena, double, v->n_frame);
    int64_t *cap = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!rows || !cap) return PARE_E_NOMEM;
    for (int32_t s = 0; s < v->n_frame; n_picture++) {
        const pare__picture p = pare__picture_at(v, s);
        cap[n_picture] = pare__picture_rows(v, &p);
        rows[n_picture] = (double)cap[n_picture];
        k[n_picture] = v->k < 0 ? (int64_t)(share * rows[n_picture]) : 0;
        for (; s < p.first + p.n; s++)
            if (v->k_frame) k[n_picture] += v->k_frame[s];
    }
    if (v->k < 0 || v->k_frame) return 0;
    return pare__largest_remainder(v->k, rows, NULL, cap, n_picture, k, v->arena);
}

int pare__picture_split(const pare__view *v, const pare__picture *p, int64_t k, const double *weight, int64_t *count)
{
    int64_t *floor = PARE__ARENA(v->arena, int64_t, p->n), *cap = PARE__ARENA(v->arena, int64_t, p->n);
    if (!floor || !cap) return PARE_E_NOMEM;
    const int64_t least = v->floor * p->n <= k ? v->floor : 0;
    for (int32_t j = 0; j < p->n; j++) {
        cap[j] = slot_rows(v, p->first + j);
        floor[j] = least < cap[j] ? least : cap[j];
    }
    return pare__largest_remainder(k, weight, floor, cap, p->n, count, v->arena);
}

int pare__slot_keep(const pare__view *v, int32_t slot, const float *score, int64_t count, pare__map *map)
{
    const int64_t first = v->frame_start[slot], n = slot_rows(v, slot), k = count < n ? count : n;
    int32_t *row = PARE__ARENA(v->arena, int32_t, k);
    int rc = row ? pare__topk(score + first, n, k, row, v->arena) : PARE_E_NOMEM;
    for (int64_t m = 0; !rc && m < k; m++) rc = pare__map_keep(map, first + row[m]);
    return rc;
}

/* ---- attention on grids -------------------------------------------------------------------------------------------- */

void pare__slot_grid(const pare__view *v, int32_t slot, int32_t hw[2])
{
    hw[0] = v->slot ? v->slot[slot].grid_h : v->grid_h;
    hw[1] = v->slot ? v->slot[slot].grid_w : v->grid_w;
}

double *pare__slot_map(const pare__view *v, int32_t slot, const float *x)
{
    int32_t hw[2];
    pare__slot_grid(v, slot, hw);
    const int64_t cells = (int64_t)hw[0] * hw[1];
    double *map = PARE__ARENA(v->arena, double, cells);
    for (int64_t c = 0; map && c < cells; c++) map[c] = 0;
    for (int64_t i = v->frame_start[slot]; map && i < v->frame_start[slot + 1]; i++)
        map[(int64_t)v->thw[3 * i + 1] * hw[1] + v->thw[3 * i + 2]] = (double)x[i];
    return map;
}

/* Source of place `at` of `n` in a line of `m`: the lower index, and the weight of the next. */
static int32_t source_of(int32_t at, int32_t n, int32_t m, double *weight)
{
    const double place = fmax(0, (at + 0.5) * m / n - 0.5);
    const int32_t lower = (int32_t)place < m - 1 ? (int32_t)place : m - 1;
    *weight = place - lower;
    return lower;
}

void pare__upsample(const double *from, const int32_t hw[2], double *out, const int32_t to_hw[2])
{
    for (int32_t y = 0; y < to_hw[0]; y++) {
        double fy, fx;
        const int32_t y0 = source_of(y, to_hw[0], hw[0], &fy), y1 = y0 + 1 < hw[0] ? y0 + 1 : y0;
        const double *upper = from + (int64_t)y0 * hw[1], *lower = from + (int64_t)y1 * hw[1];
        for (int32_t x = 0; x < to_hw[1]; x++) {
            const int32_t x0 = source_of(x, to_hw[1], hw[1], &fx), x1 = x0 + 1 < hw[1] ? x0 + 1 : x0;
            const double a = upper[x0] * (1 - fy) + lower[x0] * fy, b = upper[x1] * (1 - fy) + lower[x1] * fy;
            out[(int64_t)y * to_hw[1] + x] = a * (1 - fx) + b * fx;
        }
    }
}

/* ---- GlobalCom2 ---------------------------------------------------------------------------------------------------- */

/* Part of `parts` equal ones of length n / parts, the last one longer. */
static int32_t part_of(int32_t at, int32_t n, int32_t parts)
{
    const int32_t length = n / parts > 0 ? n / parts : 1;
    return at / length < parts - 1 ? at / length : parts - 1;
}

static void softmax_about_mean(double *x, int32_t n)
{
    double most = x[0], sum = 0;
    for (int32_t j = 1; j < n; j++) most = fmax(most, x[j]);
    for (int32_t j = 0; j < n; j++) sum += x[j] = exp(x[j] - most);
    for (int32_t j = 0; j < n; j++) x[j] = 1 + x[j] / sum - 1.0 / n;
}

int pare__tile_scales(const pare__view *v, const pare__picture *p, const float *attention, double temperature,
                      double *scale)
{
    int32_t hw[2];
    const int32_t n = p->rows * p->cols;
    if (!n) return 0;
    pare__slot_grid(v, p->whole, hw);
    const double *map = pare__slot_map(v, p->whole, attention);
    if (!map) return PARE_E_NOMEM;
    for (int32_t j = 0; j < n; j++) scale[j] = 0;
    for (int32_t y = 0; y < hw[0]; y++)
        for (int32_t x = 0; x < hw[1]; x++)
            scale[part_of(y, hw[0], p->rows) * p->cols + part_of(x, hw[1], p->cols)] += map[(int64_t)y * hw[1] + x];
    for (int32_t j = 0; j < n; j++) scale[j] /= temperature;
    softmax_about_mean(scale, n);
    return 0;
}

/* ---- HiRED --------------------------------------------------------------------------------------------------------- */

int pare__tile_shares(const pare__view *v, const pare__picture *p, const float *attention, double alpha, int bands,
                      double *share)
{
    int32_t hw[2];
    const int64_t first = v->frame_start[p->whole], n = slot_rows(v, p->whole), n_tile = (int64_t)p->rows * p->cols;
    const int64_t top = (int64_t)((1 - alpha) * (double)n);
    int32_t *row = PARE__ARENA(v->arena, int32_t, n);
    if (!row || pare__topk(attention + first, n, top, row, v->arena)) return PARE_E_NOMEM;
    pare__slot_grid(v, p->whole, hw);
    for (int64_t j = 0; j < n_tile; j++) share[j] = 0;
    for (int64_t m = 0; n_tile && m < top; m++) {
        const int32_t *place = v->thw + 3 * (first + row[m]);
        const int64_t cy = (2 * (int64_t)place[1] + 1) * p->rows / (2 * (int64_t)hw[0]);
        const int64_t cx = (2 * (int64_t)place[2] + 1) * p->cols / (2 * (int64_t)hw[1]);
        const int64_t flat = (int64_t)place[1] * hw[1] + place[2];
        share[bands ? flat * n_tile / ((int64_t)hw[0] * hw[1]) : cy * p->cols + cx] += 1;
    }
    return 0;
}
