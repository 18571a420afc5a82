/* SPDX-License-Identifier: MIT */
/* Maps at work: reduced rows, anchor records, owners, un-merging. */
#include <string.h>

#include "core/map.h"

enum { STRIP = 256 }; /* elements of a row accumulated at a time */

/* ---- apply ----------------------------------------------------------------------------------------------------- */

static void scale_row(const float *x, float gain, int64_t d, float *out)
{
    if (gain == 1)
        memcpy(out, x, (size_t)d * sizeof *out);
    else
        for (int64_t k = 0; k < d; k++) out[k] = gain * x[k];
}

static void merge_strip(const pare_map *m, int64_t r, const float *x, int64_t d, int64_t n, double gain, float *out)
{
    double sum[STRIP] = {0};

    for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++) {
        const float *row = x + (int64_t)m->index[i] * d;
        double w = m->weight[i];
        for (int64_t k = 0; k < n; k++) sum[k] += w * row[k];
    }
    for (int64_t k = 0; k < n; k++) out[k] = (float)(gain * sum[k]);
}

void pare__map_apply(const pare_map *map, const float *x, int64_t d, float *out)
{
    for (int64_t r = 0; r < map->n_out; r++, out += d) {
        int64_t start = map->row_start[r], n = map->row_start[r + 1] - start;
        float gain = map->gain ? map->gain[r] : 1;
        if (n == 1 && map->weight[start] == 1) {
            scale_row(x + (int64_t)map->index[start] * d, gain, d, out);
            continue;
        }
        for (int64_t k = 0; k < d; k += STRIP)
            merge_strip(map, r, x + k, d, d - k < STRIP ? d - k : STRIP, gain, out + k);
    }
}

void pare__map_anchor_i32(const pare_map *map, const int32_t *x, int64_t width, int32_t *out)
{
    for (int64_t r = 0; r < map->n_out; r++)
        memcpy(out + r * width, x + (int64_t)map->anchor[r] * width, (size_t)width * sizeof *out);
}

/* ---- un-merge -------------------------------------------------------------------------------------------------- */

/* Weight of a column that is in row r: columns ascend. */
static float weight_of(const pare_map *m, int64_t r, int32_t col)
{
    int64_t lo = m->row_start[r], hi = m->row_start[r + 1] - 1;

    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (m->index[mid] < col)
            lo = mid + 1;
        else
            hi = mid;
    }
    return m->weight[lo];
}

void pare__map_owner(const pare_map *map, int32_t *owner)
{
    for (int64_t c = 0; c < map->n_in; c++) owner[c] = -1;
    for (int64_t r = 0; r < map->n_out; r++)
        for (int64_t i = map->row_start[r]; i < map->row_start[r + 1]; i++) {
            int32_t col = map->index[i];
            if (owner[col] < 0 || map->weight[i] > weight_of(map, owner[col], col)) owner[col] = (int32_t)r;
        }
    for (int64_t r = 0; r < map->n_out && map->member_start; r++)
        for (int64_t i = map->member_start[r]; i < map->member_start[r + 1]; i++)
            if (owner[map->member[i]] < 0) owner[map->member[i]] = (int32_t)r;
}

void pare__map_unmerge(const pare_map *map, const float *y, int64_t d, float *out, int32_t *cover)
{
    pare__map_owner(map, cover);
    for (int64_t c = 0; c < map->n_in; c++, out += d) {
        if (cover[c] < 0)
            memset(out, 0, (size_t)d * sizeof *out);
        else
            memcpy(out, y + (int64_t)cover[c] * d, (size_t)d * sizeof *out);
    }
}
