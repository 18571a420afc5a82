/* SPDX-License-Identifier: MIT */
/* Passes over a window, exact budgets, and what is carried to the next window. */
#include "select/runs.h"

#include <math.h>
#include <string.h>

#include "select/pick.h"
#include "select/place.h"

enum { SEEN_OFFSET = 64, N_PASS = 12, SLACK = 16 };

/* ---- carried state: one flag that the clip has begun, seen[n_cell], content[n_cell] -------------------------------- */

static int64_t past_offset(int64_t n_cell) { return SEEN_OFFSET + (n_cell + 63) / 64 * 64; }

static const pare__change *change_at(int32_t site)
{
    return site == PARE__SITE_PATCHES ? &pare__change_pixels : &pare__change_tokens;
}

size_t pare__runs_carry(const void *priv, const pare__view *v)
{
    (void)priv;
    const int64_t n_cell = (int64_t)v->grid_h * v->grid_w;
    return (size_t)(past_offset(n_cell) + n_cell * change_at(v->site)->bytes(v));
}

int pare__runs_needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv;
    need[0] = (pare__need){site == PARE__SITE_PATCHES ? PARE__ARRAY_PIXELS : PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    return 1;
}

/* ---- preparation --------------------------------------------------------------------------------------------------- */

static int alloc_arrays(pare__runs *r)
{
    const int64_t n = r->v->n;
    pare__arena *arena = r->v->arena;
    r->cell = PARE__ARENA(arena, int32_t, n);
    r->row_at = PARE__ARENA(arena, int32_t, r->v->n_frame * r->n_cell);
    r->ref = PARE__ARENA(arena, int32_t, r->n_cell);
    r->memo_ref = PARE__ARENA(arena, int32_t, n);
    r->change = PARE__ARENA(arena, float, n);
    r->keep = PARE__ARENA(arena, uint8_t, n);
    return r->cell && r->row_at && r->ref && r->memo_ref && r->change && r->keep ? 0 : PARE_E_NOMEM;
}

static void index_rows(pare__runs *r)
{
    const pare__view *v = r->v;
    for (int64_t i = 0; i < v->n_frame * r->n_cell; i++) r->row_at[i] = -1;
    for (int32_t s = 0; s < v->n_frame; s++) {
        for (int64_t i = v->frame_start[s]; i < v->frame_start[s + 1]; i++) {
            r->cell[i] = v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2];
            r->row_at[s * r->n_cell + r->cell[i]] = (int32_t)i;
            r->memo_ref[i] = PARE__REF_NONE;
        }
    }
}

static int has_begun(const pare__view *v) { return v->carry && *(const uint8_t *)v->carry; }

int pare__runs_init(pare__runs *r, const pare__view *v, int anchored, const char *owner, pare_error *err)
{
    const pare__change *kind = change_at(v->site);
    *r = (pare__runs){.v = v,
                      .change_kind = kind,
                      .anchored = anchored,
                      .limit = kind->limit,
                      .n_cell = (int64_t)v->grid_h * v->grid_w};
    int rc = alloc_arrays(r);
    if (!rc) rc = kind->prepare(r, owner, err);
    if (rc) return rc;
    index_rows(r);
    if (v->carry) {
        r->seen = (uint8_t *)v->carry + SEEN_OFFSET;
        r->past = (uint8_t *)v->carry + past_offset(r->n_cell);
    }
    if (!has_begun(v)) r->n_opening = v->frame_start[1];
    return 0;
}

/* ---- one pass ------------------------------------------------------------------------------------------------------ */

static void start_refs(pare__runs *r)
{
    for (int64_t c = 0; c < r->n_cell; c++) r->ref[c] = r->seen && r->seen[c] ? PARE__REF_CARRIED : PARE__REF_NONE;
}

static const void *reference_of(const pare__runs *r, int64_t cell)
{
    const int32_t ref = r->ref[cell];
    return ref >= 0 ? r->change_kind->content(r, ref, cell) : r->past + cell * r->change_kind->bytes(r->v);
}

static float change_of(pare__runs *r, int64_t row, int32_t step)
{
    const int64_t cell = r->cell[row];
    if (r->ref[cell] == PARE__REF_NONE) return PARE__CHANGE_NEW;
    if (r->memo_ref[row] == r->ref[cell]) return r->change[row];
    r->memo_ref[row] = r->ref[cell];
    return (float)r->change_kind->distance(r, step, cell, reference_of(r, cell));
}

/* After a step: which content later steps are compared with. A place's first content always counts. */
static void move_refs(pare__runs *r, int32_t step)
{
    const pare__view *v = r->v;
    const uint8_t *given = r->change_kind->is_dense ? v->pixels->is_reference : NULL;
    if (given && !given[step]) return;
    if (given || (!r->anchored && r->change_kind->is_dense)) {
        for (int64_t c = 0; c < r->n_cell; c++) r->ref[c] = step;
        return;
    }
    for (int64_t i = v->frame_start[step]; i < v->frame_start[step + 1]; i++) {
        int32_t *ref = &r->ref[r->cell[i]];
        if (!r->anchored || r->keep[i] || *ref == PARE__REF_NONE) *ref = step;
    }
}

/* Keeps all rows of a step but the share that changed least. */
static int drop_share(pare__runs *r, int32_t step, double share)
{
    const pare__view *v = r->v;
    const int64_t first = v->frame_start[step], n = v->frame_start[step + 1] - first;
    const int64_t m = first < r->n_opening ? 0 : (int64_t)((double)n * share);
    const pare__mark mark = pare__arena_mark(v->arena);
    float *alike = PARE__ARENA(v->arena, float, n + 1);
    int32_t *row = PARE__ARENA(v->arena, int32_t, m + 1);
    for (int64_t i = 0; alike && i < n; i++) alike[i] = -r->change[first + i];
    const int rc = alike && row ? pare__topk(alike, n, m, row, v->arena) : PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < n; i++) r->keep[first + i] = 1;
    for (int64_t i = 0; !rc && i < m; i++) r->keep[first + row[i]] = 0;
    pare__arena_reset(v->arena, mark);
    return rc;
}

int pare__runs_drop(pare__runs *r, double share)
{
    int rc = 0;
    start_refs(r);
    for (int32_t s = 0; !rc && s < r->v->n_frame; s++) {
        for (int64_t i = r->v->frame_start[s]; i < r->v->frame_start[s + 1]; i++) r->change[i] = change_of(r, i, s);
        rc = drop_share(r, s, share);
        if (!rc) move_refs(r, s);
    }
    return rc;
}

int64_t pare__runs_pass(pare__runs *r, double threshold)
{
    const pare__view *v = r->v;
    int64_t count = 0;
    start_refs(r);
    for (int32_t s = 0; s < v->n_frame; s++) {
        for (int64_t i = v->frame_start[s]; i < v->frame_start[s + 1]; i++) {
            r->change[i] = change_of(r, i, s);
            if (i < r->n_fixed) continue;
            r->keep[i] = r->change[i] > threshold;
            count += i >= r->n_opening && r->keep[i];
        }
        move_refs(r, s);
    }
    return count;
}

/* ---- exact budget -------------------------------------------------------------------------------------------------- */

/* Decides the opening rows; returns how many were kept, or a PARE_E code. */
static int64_t fix_opening(pare__runs *r, int64_t k, pare_error *err)
{
    static const pare__spread centres = {0};
    const int64_t n = r->n_opening, rest = r->v->n - n;
    int64_t quota = rest ? (k + 1) / 2 : k;
    if (quota < k - rest) quota = k - rest;
    if (quota > n) quota = n;
    int32_t *row = PARE__ARENA(r->v->arena, int32_t, quota);
    if (!row) return PARE_E_NOMEM;
    memset(r->keep, 0, (size_t)n);
    const int rc = pare__spread_rows(r->v, 0, n, quota, &centres, row, err);
    if (rc) return rc;
    for (int64_t i = 0; i < quota; i++) r->keep[row[i]] = 1;
    r->n_fixed = n;
    return quota;
}

/* The change that `target` of the free rows exceed as things stand: a first guess of the threshold. */
static int guess(const pare__runs *r, int64_t target, double *threshold)
{
    const int64_t first = r->n_fixed, n = r->v->n - first;
    int32_t *row = PARE__ARENA(r->v->arena, int32_t, target + 1);
    if (!row || pare__topk(r->change + first, n, target + 1, row, r->v->arena)) return PARE_E_NOMEM;
    *threshold = r->limit;
    for (int64_t i = 0; i <= target; i++) *threshold = fmin(*threshold, (double)r->change[first + row[i]]);
    return 0;
}

/* One end of the search: the square root of a threshold, because changes crowd near 0, and the rows it keeps. */
typedef struct end {
    double root;
    int64_t count;
} end;

/* Where `target` rows are expected between two ends, linear in the logarithm of the count. */
static double between(end lo, end hi, int64_t target)
{
    const double a = log((double)lo.count + 1), b = log((double)hi.count + 1);
    const double share = a > b ? (a - log((double)target + 1)) / (a - b) : 0.5;
    return lo.root + fmin(fmax(share, 0.1), 0.9) * (hi.root - lo.root);
}

/* Searches the threshold until a pass keeps at most `target` rows and nearly as many. */
static int search(pare__runs *r, int64_t target)
{
    end lo = {0, pare__runs_pass(r, 0)}, hi = {sqrt(r->limit), 0};
    double threshold;
    if (lo.count <= target) return 0;
    if (guess(r, target, &threshold)) return PARE_E_NOMEM;
    for (int i = 0; i < N_PASS; i++) {
        const end at = {sqrt(threshold), pare__runs_pass(r, threshold)};
        if (at.count <= target && target - at.count <= target / SLACK) return 0;
        if (at.count <= target)
            hi = at;
        else
            lo = at;
        const double root = between(lo, hi, target - target / (2 * SLACK));
        threshold = root * root;
    }
    pare__runs_pass(r, hi.root * hi.root);
    return 0;
}

int pare__runs_budget(pare__runs *r, int64_t k, double noise, pare_error *err)
{
    const int64_t opening = fix_opening(r, k, err);
    if (opening < 0) return (int)opening;
    r->noise = noise;
    return search(r, k - opening);
}

/* ---- settling and emitting ----------------------------------------------------------------------------------------- */

enum { TIER_OUT, TIER_DROPPED, TIER_KEPT, TIER_FLOOR };

/* Marks the best `low` rows of a step, and those beyond its best `cap`. */
static int mark_step(const pare__runs *r, int32_t s, int64_t low, int64_t cap, const float *rank, uint8_t *tier)
{
    const pare__view *v = r->v;
    const int64_t first = v->frame_start[s], n = v->frame_start[s + 1] - first;
    if (cap > n) cap = n;
    if (low > cap) low = cap;
    if (low <= 0 && cap == n) return 0;
    const int64_t k = cap < n ? cap : low;
    const pare__mark mark = pare__arena_mark(v->arena);
    uint8_t *is_in = PARE__ARENA(v->arena, uint8_t, n);
    int32_t *row = PARE__ARENA(v->arena, int32_t, k + 1);
    int rc = is_in && row ? 0 : PARE_E_NOMEM;
    if (!rc) memset(is_in, 0, (size_t)n);
    if (!rc && cap < n) rc = pare__pick(tier + first, rank + first, n, cap, row, v->arena);
    for (int64_t i = 0; !rc && cap < n && i < cap; i++) is_in[row[i]] = 1;
    for (int64_t i = 0; !rc && cap < n && i < n; i++)
        if (!is_in[i]) tier[first + i] = TIER_OUT;
    if (!rc && low > 0) rc = pare__pick(tier + first, rank + first, n, low, row, v->arena);
    for (int64_t i = 0; !rc && i < low; i++) tier[first + row[i]] = TIER_FLOOR;
    pare__arena_reset(v->arena, mark);
    return rc ? PARE_E_NOMEM : 0;
}

static int mark_bounds(const pare__runs *r, const float *rank, uint8_t *tier)
{
    const pare__view *v = r->v;
    int rc = 0;
    for (int32_t s = 0; !rc && s < v->n_frame; s++)
        rc = mark_step(r, s, v->low ? v->low[s] : v->floor, v->cap ? v->cap[s] : v->n, rank, tier);
    return rc;
}

/* Final keep flags. */
static int settle(pare__runs *r, int64_t k)
{
    const pare__view *v = r->v;
    float *rank = PARE__ARENA(v->arena, float, v->n);
    uint8_t *tier = PARE__ARENA(v->arena, uint8_t, v->n);
    int32_t *row = PARE__ARENA(v->arena, int32_t, k > 0 ? k : 1);
    if (!rank || !tier || !row) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) {
        rank[i] = i < r->n_fixed && !r->keep[i] ? (float)r->noise : r->change[i];
        tier[i] = r->keep[i] ? TIER_KEPT : TIER_DROPPED;
    }
    int rc = mark_bounds(r, rank, tier);
    if (!rc && k >= 0) rc = pare__pick(tier, rank, v->n, k, row, v->arena);
    if (rc) return rc;
    for (int64_t i = 0; i < v->n; i++) r->keep[i] = k < 0 && tier[i] > TIER_DROPPED;
    for (int64_t i = 0; i < k; i++) r->keep[row[i]] = 1;
    return 0;
}

/* The dropped rows of a place after `step`, up to its next kept one. */
static int add_members(const pare__runs *r, int32_t step, int64_t cell, pare__map *map)
{
    for (int32_t s = step + 1; s < r->v->n_frame; s++) {
        const int32_t row = r->row_at[s * r->n_cell + cell];
        if (row < 0) continue;
        if (r->keep[row]) return 0;
        const int rc = pare__map_member(map, row);
        if (rc) return rc;
    }
    return 0;
}

static int emit_rows(const pare__runs *r, int members, pare__map *map)
{
    const pare__view *v = r->v;
    for (int32_t s = 0; s < v->n_frame; s++) {
        for (int64_t i = v->frame_start[s]; i < v->frame_start[s + 1]; i++) {
            if (!r->keep[i]) continue;
            int rc = pare__map_keep(map, i);
            if (!rc && members) rc = add_members(r, s, r->cell[i], map);
            if (rc) return rc;
        }
    }
    return 0;
}

static void carry_on(pare__runs *r)
{
    if (!r->past) return;
    start_refs(r);
    for (int32_t s = 0; s < r->v->n_frame; s++) move_refs(r, s);
    for (int64_t c = 0; c < r->n_cell; c++) {
        if (r->ref[c] < 0) continue;
        r->seen[c] = 1;
        const int64_t bytes = r->change_kind->bytes(r->v);
        memcpy(r->past + c * bytes, r->change_kind->content(r, r->ref[c], c), (size_t)bytes);
    }
    *(uint8_t *)r->v->carry = 1;
}

int pare__runs_emit(pare__runs *r, int64_t k, int members, pare__map *map)
{
    int rc = settle(r, k);
    if (!rc) rc = emit_rows(r, members, map);
    if (rc) return rc;
    for (int64_t i = 0; r->v->score_out && i < r->v->n; i++)
        if (r->change[i] < PARE__CHANGE_NEW) r->v->score_out[i] = r->change[i];
    carry_on(r);
    return 0;
}
