/* SPDX-License-Identifier: MIT */
/* Where selectors act inside the encoder: the callback's map over candidates (units) is applied to everything that has
 * one row per token or unit, segment by segment; prefix rows stay. A unit is `patches` consecutive rows, thus one row of
 * patches * d floats: patch j of a merged unit is the weighted mean of patch j of its units. */
#include <string.h>

#include "encode/parts.h"

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static int check_counts(const pare__encoder *e, int32_t block, pare_error *err)
{
    const pare__pack *p = &e->pack;
    int64_t rows = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        if (e->seg_out[s] < 0)
            return pare_fail(err, PARE_E_INVALID, "block %d: a frame keeps %lld rows", block, (long long)e->seg_out[s]);
        rows += e->seg_out[s];
    }
    if (e->map.m.n_in != pare__candidates(p) || e->map.m.n_out != rows || rows > pare__candidates(p)) {
        return pare_fail(
            err, PARE_E_INVALID, "block %d: map of %lld to %lld rows, but the pack has %lld and keeps %lld", block,
            (long long)e->map.m.n_in, (long long)e->map.m.n_out, (long long)pare__candidates(p), (long long)rows);
    }
    return 0;
}

/* Columns and anchor of row r within candidates [first, last)? */
static int is_within(const pare_map *m, int64_t r, int64_t first, int64_t last)
{
    for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++)
        if (m->index[i] < first || m->index[i] >= last) return 0;
    return m->anchor[r] >= first && m->anchor[r] < last;
}

static int check_segments(const pare__encoder *e, pare_error *err)
{
    const pare__pack *p = &e->pack;
    int64_t r = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        const int64_t first = p->ucu[s] - s * p->n_prefix, last = p->ucu[s + 1] - (s + 1) * p->n_prefix;
        for (const int64_t end = r + e->seg_out[s]; r < end; r++) {
            if (is_within(&e->map.m, r, first, last)) continue;
            return pare_fail(err, PARE_E_INVALID, "row %lld of a map reaches outside its frame %lld", (long long)r,
                             (long long)s);
        }
    }
    return 0;
}

/* ---- shrinking -------------------------------------------------------------------------------------------------- */

/* Rows [first, first + n) of a map. */
static pare_map slice(const pare_map *m, int64_t first, int64_t n)
{
    pare_map part = *m;
    part.n_out = n;
    part.row_start += first;
    part.anchor += first;
    if (part.gain) part.gain += first;
    return part;
}

/* from -> to, both [prefix rows of `width` | units of `patches` rows] per segment. Candidates count through the pack, so
 * those of segment s lie s + 1 times the prefix further on. */
static void shrink(const pare__encoder *e, const pare_map *m, const float *from, int64_t width, int64_t patches,
                   float *to)
{
    const pare__pack *p = &e->pack;
    const int64_t prefix = p->n_prefix * width;
    int64_t done = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        const float *old = from + s * prefix + (p->ucu[s] - s * p->n_prefix) * patches * width;
        float *at = to + s * prefix + done * patches * width;
        memcpy(at, old, (size_t)prefix * sizeof *at);
        const pare_map part = slice(m, done, e->seg_out[s]);
        pare__map_apply(&part, from + (s + 1) * prefix, patches * width, at + prefix);
        done += e->seg_out[s];
    }
}

static void shrink_in_place(const pare__encoder *e, const pare_map *m, float *x, int64_t width)
{
    const int64_t n = m->n_out + (int64_t)e->pack.n_seg * e->pack.n_prefix;
    shrink(e, m, x, width, 1, e->spare);
    memcpy(x, e->spare, (size_t)n * (size_t)width * sizeof *x);
}

/* Hidden state with gain, and what was projected of it in earlier blocks; captures and state are means without it. */
static void shrink_rows(pare__encoder *e, int32_t block)
{
    const pare__hparams *hp = &e->m->hp;
    pare__pack *p = &e->pack;
    pare_map plain = e->map.m;
    float *old = p->x;
    plain.gain = NULL;
    shrink(e, &e->map.m, p->x, p->d, p->patches, e->spare);
    p->x = e->spare;
    e->spare = old;
    for (int32_t i = 0; i < hp->n_deepstack; i++)
        if (hp->deepstack[i] < block) shrink_in_place(e, &e->map.m, pare__deepstack_at(e, i), p->d_out);
    for (int32_t i = 0; i < p->n_capture; i++) shrink_in_place(e, &plain, p->capture[i].data, p->capture[i].width);
    for (int32_t i = 0; i < PARE__MAX_STEPS; i++)
        if (p->state[i]) shrink_in_place(e, &plain, p->state[i], e->plan.state_width[i]);
}

/* Places of the anchors and sizes as the map says, then the segments' new bounds. */
static void shrink_segments(pare__encoder *e)
{
    pare__pack *p = &e->pack;
    const pare_map *m = &e->map.m;
    int64_t unit = 0, done = 0, from = 0;
    p->has_size = 0;
    for (int64_t s = 0; s < p->n_seg; s++) {
        const int64_t old = p->ucu[s + 1], n = e->seg_out[s];
        const pare_map part = slice(m, done, n);
        memcpy(e->spare_thw + 3 * unit, p->thw + 3 * from, (size_t)p->n_prefix * 3 * sizeof(int32_t));
        p->cu[s] = s * p->n_prefix + done * p->patches;
        p->ucu[s] = unit;
        for (int32_t i = 0; i < p->n_prefix; i++) p->size[unit++] = 1.0f;
        pare__map_anchor_i32(&part, p->thw + 3 * (s + 1) * p->n_prefix, 3, e->spare_thw + 3 * unit);
        for (int64_t i = 0; i < n; i++, unit++) {
            p->size[unit] = m->size[done + i];
            p->has_size |= p->size[unit] != 1.0f;
        }
        done += n;
        from = old;
    }
    p->n_unit = p->ucu[p->n_seg] = unit;
    p->n = p->cu[p->n_seg] = (int64_t)p->n_seg * p->n_prefix + done * p->patches;
    memcpy(p->thw, e->spare_thw, (size_t)unit * 3 * sizeof(int32_t));
    e->windows.ready = 0;
}

int pare__site_run(pare__encoder *e, int32_t block, pare__phase phase, pare_error *err)
{
    pare__pack *p = &e->pack;
    if (!(e->plan.site[block] & (1u << phase))) return 0;
    if (e->mean) pare__unit_means(e, p->x, p->d, p->d, e->mean);
    p->tokens = e->mean ? e->mean : p->x;
    double start = pare__now_ms();
    int rc = e->plan.on_site(e->plan.user, p, block, phase, &e->map, e->seg_out, err);
    e->callback_ms += pare__now_ms() - start;
    if (rc <= 0) return rc;
    rc = check_counts(e, block, err);
    if (rc == 0) rc = check_segments(e, err);
    if (rc < 0) return rc;
    shrink_rows(e, block);
    shrink_segments(e);
    return 0;
}
