/* SPDX-License-Identifier: MIT */
/* Where selectors act inside the encoder: the callback's map over candidates is spread over all rows (prefix rows map
 * to themselves) and applied to everything that has one row per token. */
#include <string.h>

#include "encode/parts.h"

void pare__spread_fini(pare__spread *s)
{
    pare__free(s->row_start);
    pare__free(s->index);
    pare__free(s->anchor);
    pare__free(s->weight);
    pare__free(s->gain);
}

static int reserve(pare__spread *s, int64_t rows, int64_t nnz)
{
    int rc = 0;
    rc |= pare__grow((void **)&s->row_start, &s->cap_row_start, rows + 1, (int64_t)sizeof *s->row_start);
    rc |= pare__grow((void **)&s->anchor, &s->cap_anchor, rows, (int64_t)sizeof *s->anchor);
    rc |= pare__grow((void **)&s->gain, &s->cap_gain, rows, (int64_t)sizeof *s->gain);
    rc |= pare__grow((void **)&s->index, &s->cap_index, nnz, (int64_t)sizeof *s->index);
    rc |= pare__grow((void **)&s->weight, &s->cap_weight, nnz, (int64_t)sizeof *s->weight);
    return rc ? PARE_E_NOMEM : 0;
}

/* Appends row r of `map`, its columns moved by `shift`; columns must lie in pack rows [first, last). */
static int spread_row(pare__spread *s, const pare_map *map, int64_t r, int64_t shift, int64_t first, int64_t last)
{
    int64_t row = s->m.n_out++, at = s->row_start[row];
    for (int64_t i = map->row_start[r]; i < map->row_start[r + 1]; i++) {
        int64_t col = map->index[i] + shift;
        if (col < first || col >= last) return PARE_E_INVALID;
        s->index[at] = (int32_t)col;
        s->weight[at++] = map->weight[i];
    }
    s->row_start[row + 1] = at;
    s->anchor[row] = (int32_t)(map->anchor[r] + shift);
    s->gain[row] = map->gain ? map->gain[r] : 1.0f;
    return s->anchor[row] < first || s->anchor[row] >= last ? PARE_E_INVALID : 0;
}

static void spread_prefix(pare__spread *s, int64_t row)
{
    int64_t out = s->m.n_out++, at = s->row_start[out];
    s->index[at] = (int32_t)row;
    s->weight[at] = 1.0f;
    s->row_start[out + 1] = at + 1;
    s->anchor[out] = (int32_t)row;
    s->gain[out] = 1.0f;
}

static int spread(pare__encoder *e, pare_error *err)
{
    const pare__pack *p = &e->pack;
    const pare_map *map = &e->map.m;
    pare__spread *s = &e->spread;
    int64_t n_prefix = (int64_t)p->n_seg * p->n_prefix, r = 0;
    if (reserve(s, map->n_out + n_prefix, map->row_start[map->n_out] + n_prefix) < 0) {
        return pare_fail(err, PARE_E_NOMEM, "out of memory for a map of %lld rows", (long long)map->n_out);
    }
    s->m = (pare_map){.n_in = p->n};
    s->row_start[0] = 0;
    for (int64_t seg = 0; seg < p->n_seg; seg++) {
        int64_t first = p->cu[seg] + p->n_prefix, shift = (seg + 1) * p->n_prefix;
        for (int64_t i = p->cu[seg]; i < first; i++) spread_prefix(s, i);
        for (int64_t i = 0; i < e->seg_out[seg]; i++, r++) {
            if (spread_row(s, map, r, shift, first, p->cu[seg + 1]) == 0) continue;
            return pare_fail(err, PARE_E_INVALID, "row %lld of a map reaches outside its frame %lld", (long long)r,
                             (long long)seg);
        }
    }
    s->m.row_start = s->row_start;
    s->m.index = s->index;
    s->m.weight = s->weight;
    s->m.anchor = s->anchor;
    s->m.gain = map->gain ? s->gain : NULL;
    return 0;
}

static int check_counts(const pare__encoder *e, int32_t block, pare_error *err)
{
    const pare__pack *p = &e->pack;
    int64_t candidates = p->n - (int64_t)p->n_seg * p->n_prefix, rows = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        if (e->seg_out[s] < 0)
            return pare_fail(err, PARE_E_INVALID, "block %d: a frame keeps %lld rows", block, (long long)e->seg_out[s]);
        rows += e->seg_out[s];
    }
    if (e->map.m.n_in != candidates || e->map.m.n_out != rows || rows > candidates) {
        return pare_fail(err, PARE_E_INVALID,
                         "block %d: map of %lld to %lld rows, but the pack has %lld and keeps %lld", block,
                         (long long)e->map.m.n_in, (long long)e->map.m.n_out, (long long)candidates, (long long)rows);
    }
    return 0;
}

static void swap(float **a, float **b)
{
    float *t = *a;
    *a = *b;
    *b = t;
}

/* Hidden state with gain; captures are means without it. */
static void shrink_rows(pare__encoder *e)
{
    pare__pack *p = &e->pack;
    pare_map plain = e->spread.m;
    plain.gain = NULL;
    pare__map_apply(&e->spread.m, p->x, p->d, e->spare);
    swap(&p->x, &e->spare);
    for (int32_t i = 0; i < p->n_capture; i++) {
        pare__capture *c = &p->capture[i];
        pare__map_apply(&plain, c->data, c->width, e->spare);
        memcpy(c->data, e->spare, (size_t)plain.n_out * (size_t)c->width * sizeof(float));
    }
    pare__map_anchor_i32(&plain, p->thw, 3, e->spare_thw);
    memcpy(p->thw, e->spare_thw, (size_t)plain.n_out * 3 * sizeof(int32_t));
}

static void shrink_segments(pare__encoder *e)
{
    pare__pack *p = &e->pack;
    const float *size = e->map.m.size;
    int64_t row = 0;
    p->has_size = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        p->cu[s] = row;
        for (int32_t i = 0; i < p->n_prefix; i++) p->size[row++] = 1.0f;
        for (int64_t i = 0; i < e->seg_out[s]; i++, row++) {
            p->size[row] = *size++;
            p->has_size |= p->size[row] != 1.0f;
        }
    }
    p->cu[p->n_seg] = row;
    p->n = row;
}

int pare__site_run(pare__encoder *e, int32_t block, pare__phase phase, pare_error *err)
{
    if (!(e->plan.site[block] & (1u << phase))) return 0;
    double start = pare__now_ms();
    e->pack.n_unit = e->pack.n;
    e->pack.tokens = e->pack.x;
    int rc = e->plan.on_site(e->plan.user, &e->pack, block, phase, &e->map, e->seg_out, err);
    e->callback_ms += pare__now_ms() - start;
    if (rc <= 0) return rc;
    rc = check_counts(e, block, err);
    if (rc == 0) rc = spread(e, err);
    if (rc < 0) return rc;
    shrink_rows(e);
    shrink_segments(e);
    return 0;
}
