/* SPDX-License-Identifier: MIT */
/* Building, closing, joining and ordering of maps. Composition: map_compose.c; application: map_apply.c; invariants:
 * map_check.c. */
#include "core/map.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "core/rank.h"

/* ---- vectors --------------------------------------------------------------------------------------------------- */

static const int64_t no_rows[1] = {0};

static void refresh(pare__map *map)
{
    map->m.row_start = map->row_start ? map->row_start : no_rows;
    map->m.index = map->index;
    map->m.weight = map->weight;
    map->m.anchor = map->anchor;
    map->m.size = map->size;
    map->m.gain = map->has_gain ? map->gain : NULL;
    map->m.member_start = map->has_member ? map->member_start : NULL;
    map->m.member = map->has_member ? map->member : NULL;
}

static int64_t nnz(const pare_map *m) { return m->n_out ? m->row_start[m->n_out] : 0; }

static int reserve_rows(pare__map *map, int64_t n_out)
{
    int64_t caps[3] = {map->cap_row, map->cap_row, map->cap_row};

    if (n_out + 1 <= map->cap_row) return 0;
    if (pare__grow((void **)&map->row_start, &caps[0], n_out + 1, sizeof *map->row_start) ||
        pare__grow((void **)&map->anchor, &caps[1], n_out + 1, sizeof *map->anchor) ||
        pare__grow((void **)&map->size, &caps[2], n_out + 1, sizeof *map->size))
        return PARE_E_NOMEM;
    map->cap_row = caps[0] < caps[1] ? caps[0] : caps[1];
    if (caps[2] < map->cap_row) map->cap_row = caps[2];
    map->row_start[0] = 0;
    refresh(map);
    return 0;
}

static int reserve_nnz(pare__map *map, int64_t n)
{
    int64_t caps[2] = {map->cap_nnz, map->cap_nnz};

    if (n <= map->cap_nnz) return 0;
    if (pare__grow((void **)&map->index, &caps[0], n, sizeof *map->index) ||
        pare__grow((void **)&map->weight, &caps[1], n, sizeof *map->weight))
        return PARE_E_NOMEM;
    map->cap_nnz = caps[0] < caps[1] ? caps[0] : caps[1];
    refresh(map);
    return 0;
}

static int reserve_gain(pare__map *map, int64_t n)
{
    return pare__grow((void **)&map->gain, &map->cap_gain, n, sizeof *map->gain);
}

static int reserve_members(pare__map *map, int64_t n_out, int64_t n)
{
    if (pare__grow((void **)&map->member_start, &map->cap_mstart, n_out + 1, sizeof *map->member_start) ||
        pare__grow((void **)&map->member, &map->cap_member, n, sizeof *map->member))
        return PARE_E_NOMEM;
    return 0;
}

/* From here on rows have a gain of their own; those before have 1. */
static int enable_gain(pare__map *map)
{
    if (map->has_gain) return 0;
    if (reserve_gain(map, map->m.n_out + 1)) return PARE_E_NOMEM;
    for (int64_t r = 0; r < map->m.n_out; r++) map->gain[r] = 1;
    map->has_gain = 1;
    return 0;
}

/* From here on rows have members of their own; those before stand for their columns. */
static int enable_members(pare__map *map)
{
    int64_t n = nnz(&map->m);

    if (map->has_member) return 0;
    if (reserve_members(map, map->m.n_out, n + 1)) return PARE_E_NOMEM;
    map->member_start[0] = 0;
    for (int64_t r = 0; r < map->m.n_out; r++) map->member_start[r + 1] = map->row_start[r + 1];
    if (n) memcpy(map->member, map->index, (size_t)n * sizeof *map->member);
    map->has_member = 1;
    return 0;
}

void pare__map_fini(pare__map *map)
{
    if (map->twin) pare__map_fini(map->twin);
    pare__free(map->twin);
    pare__arena_fini(&map->scratch);
    pare__free(map->row_start);
    pare__free(map->index);
    pare__free(map->weight);
    pare__free(map->anchor);
    pare__free(map->size);
    pare__free(map->gain);
    pare__free(map->member_start);
    pare__free(map->member);
    *map = (pare__map){.cap_row = 0};
}

/* ---- builder --------------------------------------------------------------------------------------------------- */

void pare__map_begin(pare__map *map, int64_t n_in)
{
    map->m.n_in = n_in;
    map->m.n_out = 0;
    map->has_gain = 0;
    map->has_member = 0;
    map->has_size = 0;
    refresh(map);
}

int pare__map_row(pare__map *map, int64_t anchor)
{
    int64_t r = map->m.n_out;

    if (reserve_rows(map, r + 1)) return PARE_E_NOMEM;
    if (map->has_gain && reserve_gain(map, r + 1)) return PARE_E_NOMEM;
    if (map->has_member && reserve_members(map, r + 1, 1)) return PARE_E_NOMEM;
    map->row_start[r + 1] = map->row_start[r];
    map->anchor[r] = anchor < 0 || anchor >= map->m.n_in ? -1 : (int32_t)anchor;
    map->size[r] = map->has_size ? 0 : 1;
    if (map->has_gain) map->gain[r] = 1;
    if (map->has_member) map->member_start[r + 1] = map->member_start[r];
    map->m.n_out = r + 1;
    refresh(map);
    return 0;
}

int pare__map_add(pare__map *map, int64_t col, double weight)
{
    int64_t *end = &map->row_start[map->m.n_out];

    if (reserve_nnz(map, *end + 1)) return PARE_E_NOMEM;
    map->index[*end] = col < 0 || col >= map->m.n_in ? -1 : (int32_t)col;
    map->weight[*end] = (float)weight;
    ++*end;
    refresh(map);
    return 0;
}

int pare__map_gain(pare__map *map, double gain)
{
    if (gain == 1 && !map->has_gain) return 0;
    if (enable_gain(map)) return PARE_E_NOMEM;
    map->gain[map->m.n_out - 1] = (float)gain;
    refresh(map);
    return 0;
}

int pare__map_size(pare__map *map, double size)
{
    for (int64_t r = 0; !map->has_size && r + 1 < map->m.n_out; r++) map->size[r] = 0;
    map->has_size = 1;
    map->size[map->m.n_out - 1] = (float)size;
    return size > 0 ? 0 : PARE_E_INVALID;
}

int pare__map_member(pare__map *map, int64_t col)
{
    if (enable_members(map)) return PARE_E_NOMEM;
    int64_t *end = &map->member_start[map->m.n_out];
    if (reserve_members(map, map->m.n_out, *end + 1)) return PARE_E_NOMEM;
    end = &map->member_start[map->m.n_out];
    map->member[(*end)++] = col < 0 || col >= map->m.n_in ? -1 : (int32_t)col;
    refresh(map);
    return 0;
}

int pare__map_keep(pare__map *map, int64_t col)
{
    int rc = pare__map_row(map, col);
    return rc ? rc : pare__map_add(map, col, 1);
}

int pare__map_keep_many(pare__map *map, const int32_t *idx, int64_t n)
{
    if (reserve_rows(map, map->m.n_out + n) || reserve_nnz(map, nnz(&map->m) + n)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n; i++) {
        int rc = pare__map_keep(map, idx[i]);
        if (rc) return rc;
    }
    return 0;
}

int pare__map_identity(pare__map *map, int64_t n_in)
{
    pare__map_begin(map, n_in);
    if (reserve_rows(map, n_in) || reserve_nnz(map, n_in)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n_in; i++)
        if (pare__map_keep(map, i)) return PARE_E_NOMEM;
    return 0;
}

/* Counting sort of the columns by group; row_start[g] serves as the write cursor of group g - 1. */
static void fill_groups(pare__map *map, const int32_t *group, int64_t first_row, int64_t n_out, const float *size_in)
{
    int64_t *cursor = map->row_start + first_row + 1; /* [n_out] */

    for (int64_t c = 0; c < map->m.n_in; c++) {
        if (group[c] < 0 || group[c] >= n_out) continue;
        int64_t at = cursor[group[c]]++;
        map->index[at] = (int32_t)c;
        map->weight[at] = size_in ? size_in[c] : 1;
    }
    for (int64_t g = 0; g < n_out; g++) {
        double sum = 0;
        for (int64_t i = cursor[g - 1]; i < cursor[g]; i++) sum += map->weight[i];
        for (int64_t i = cursor[g - 1]; i < cursor[g]; i++) map->weight[i] = (float)(map->weight[i] / sum);
    }
}

int pare__map_groups(pare__map *map, const int32_t *group, const int32_t *anchor, int64_t n_out, const float *size_in)
{
    int64_t first_row = map->m.n_out, base = nnz(&map->m);

    if (reserve_rows(map, first_row + n_out) || reserve_nnz(map, base + map->m.n_in)) return PARE_E_NOMEM;
    for (int64_t g = 0; g < n_out; g++)
        if (pare__map_row(map, anchor[g])) return PARE_E_NOMEM;
    int64_t *count = map->row_start + first_row + 1; /* [n_out] */
    for (int64_t g = 0; g < n_out; g++) count[g] = 0;
    for (int64_t c = 0; c < map->m.n_in; c++)
        if (group[c] >= 0 && group[c] < n_out) count[group[c]]++;
    for (int64_t g = 0, start = base; g < n_out; g++) {
        int64_t n = count[g];
        count[g] = start;
        start += n;
    }
    if (n_out) fill_groups(map, group, first_row, n_out, size_in);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------------------------- */

/* Shell sort by index; rows are short or in order already. weight may be NULL. */
static void sort_row(int32_t *index, float *weight, int64_t n)
{
    int64_t gap = 1;

    while (gap < n / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (int64_t i = gap; i < n; i++) {
            int32_t col = index[i];
            float w = weight ? weight[i] : 0;
            int64_t j = i;
            for (; j >= gap && index[j - gap] > col; j -= gap) {
                index[j] = index[j - gap];
                if (weight) weight[j] = weight[j - gap];
            }
            index[j] = col;
            if (weight) weight[j] = w;
        }
}

/* Moves a sorted row down to `to`, adding up equal columns (weight may be NULL); returns its new length. */
static int64_t pack_row(int32_t *index, float *weight, int64_t from, int64_t end, int64_t to)
{
    int64_t n = 0;

    for (int64_t i = from; i < end; i++) {
        if (n && index[to + n - 1] == index[i]) {
            if (weight) weight[to + n - 1] += weight[i];
            continue;
        }
        index[to + n] = index[i];
        if (weight) weight[to + n] = weight[i];
        n++;
    }
    return n;
}

/* Checks, normalises and sizes the packed row r = [start, start + n). */
static int close_row(pare__map *map, int64_t r, int64_t start, int64_t n, const float *size_in, pare_error *err)
{
    double sum = 0, size = 0;

    if (map->anchor[r] < 0)
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: anchor is outside its %lld columns", (long long)r,
                         (long long)map->m.n_in);
    if (n == 0) return pare_fail(err, PARE_E_INVALID, "row %lld of the map has no column", (long long)r);
    if (map->index[start] < 0)
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: an index is outside its %lld columns", (long long)r,
                         (long long)map->m.n_in);
    for (int64_t i = start; i < start + n; i++) {
        if (!(map->weight[i] > 0))
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: weight %g of column %d is not positive",
                             (long long)r, (double)map->weight[i], map->index[i]);
        sum += map->weight[i];
        size += size_in ? size_in[map->index[i]] : 1;
    }
    if (!(fabs(sum - 1) <= 1e-3))
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: weights sum to %g instead of 1", (long long)r, sum);
    for (int64_t i = start; i < start + n; i++) map->weight[i] = n == 1 ? 1 : (float)(map->weight[i] / sum);
    if (!map->has_size || map->size[r] == 0) map->size[r] = (float)size; /* 0: the builder did not say */
    return 0;
}

static int close_rows(pare__map *map, const float *size_in, pare_error *err)
{
    int64_t start = 0, to = 0;

    for (int64_t r = 0; r < map->m.n_out; r++) {
        int64_t end = map->row_start[r + 1];
        sort_row(map->index + start, map->weight + start, end - start);
        int64_t n = pack_row(map->index, map->weight, start, end, to);
        int rc = close_row(map, r, to, n, size_in, err);
        if (rc) return rc;
        to += n;
        map->row_start[r + 1] = to;
        start = end;
    }
    return 0;
}

/* Puts the columns of R behind the members of each row; lists then start at member_start[r] + row_start[r]. */
static void join_columns(pare__map *map)
{
    for (int64_t r = map->m.n_out - 1; r >= 0; r--) {
        int64_t from = map->member_start[r], n = map->member_start[r + 1] - from;
        int64_t col = map->row_start[r], n_col = map->row_start[r + 1] - col;
        memmove(map->member + from + col, map->member + from, (size_t)n * sizeof *map->member);
        memcpy(map->member + from + col + n, map->index + col, (size_t)n_col * sizeof *map->member);
    }
}

/* Members of each row: the union of what was declared and the columns of R, ascending. */
static int close_members(pare__map *map, pare_error *err)
{
    if (!map->has_member) return 0;
    if (reserve_members(map, map->m.n_out, map->member_start[map->m.n_out] + nnz(&map->m)))
        return pare_fail(err, PARE_E_NOMEM, "no memory for the members of a map");
    join_columns(map);
    int64_t to = 0, declared = 0;
    for (int64_t r = 0; r < map->m.n_out; r++) {
        int64_t start = declared + map->row_start[r];
        declared = map->member_start[r + 1];
        int64_t end = declared + map->row_start[r + 1];
        sort_row(map->member + start, NULL, end - start);
        int64_t n = pack_row(map->member, NULL, start, end, to);
        if (map->member[to] < 0)
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: a member is outside its %lld columns",
                             (long long)r, (long long)map->m.n_in);
        to += n;
        map->member_start[r + 1] = to;
    }
    return 0;
}

int pare__map_finish(pare__map *map, const float *size_in, int sort, pare_error *err)
{
    int rc = close_rows(map, size_in, err);
    if (rc == 0) rc = close_members(map, err);
    refresh(map);
    if (rc == 0 && sort && pare__map_sort(map, NULL)) rc = pare_fail(err, PARE_E_NOMEM, "no memory to sort a map");
    return rc;
}

/* ---- joining and ordering -------------------------------------------------------------------------------------- */

/* Room for n_row more rows with n_col columns and n_member members; gain and members switched on as asked. */
static int reserve_more(pare__map *map, int64_t n_row, int64_t n_col, int64_t n_member, int gain, int members)
{
    int64_t rows = map->m.n_out + n_row, cols = nnz(&map->m) + n_col;

    if (reserve_rows(map, rows) || reserve_nnz(map, cols)) return PARE_E_NOMEM;
    if ((gain && enable_gain(map)) || (members && enable_members(map))) return PARE_E_NOMEM;
    if (map->has_gain && reserve_gain(map, rows)) return PARE_E_NOMEM;
    if (!map->has_member) return 0;
    return reserve_members(map, rows, map->member_start[map->m.n_out] + n_member);
}

/* Adds row r of `from`, columns shifted; room is reserved. */
static void push_row(pare__map *map, const pare_map *from, int64_t r, int32_t shift)
{
    int64_t at = map->m.n_out++;
    int64_t to = map->row_start[at], n_col = from->row_start[r + 1] - from->row_start[r];
    const int32_t *col = from->index + from->row_start[r];

    for (int64_t i = 0; i < n_col; i++) map->index[to + i] = col[i] + shift;
    memcpy(map->weight + to, from->weight + from->row_start[r], (size_t)n_col * sizeof *map->weight);
    map->row_start[at + 1] = to + n_col;
    map->anchor[at] = from->anchor[r] + shift;
    map->size[at] = from->size[r];
    if (map->has_gain) map->gain[at] = from->gain ? from->gain[r] : 1;
    if (!map->has_member) return;
    const int32_t *member = from->member_start ? from->member + from->member_start[r] : col;
    int64_t n = from->member_start ? from->member_start[r + 1] - from->member_start[r] : n_col;
    for (int64_t i = 0; i < n; i++) map->member[map->member_start[at] + i] = member[i] + shift;
    map->member_start[at + 1] = map->member_start[at] + n;
}

int pare__map_append(pare__map *map, const pare_map *part)
{
    int64_t shift = map->m.n_in;
    int64_t n_member = part->member_start ? part->member_start[part->n_out] : nnz(part);

    if (shift + part->n_in > INT32_MAX) return PARE_E_LIMIT;
    if (reserve_more(map, part->n_out, nnz(part), n_member, part->gain != NULL, part->member_start != NULL))
        return PARE_E_NOMEM;
    map->m.n_in = shift + part->n_in;
    for (int64_t r = 0; r < part->n_out; r++) push_row(map, part, r, (int32_t)shift);
    refresh(map);
    return 0;
}

int pare__map_copy(const pare_map *from, pare__map *to)
{
    pare__map_begin(to, 0);
    return pare__map_append(to, from);
}

static int is_sorted(const pare_map *m)
{
    for (int64_t r = 1; r < m->n_out; r++)
        if (m->anchor[r] < m->anchor[r - 1]) return 0;
    return 1;
}

/* The vectors of map and twin change places; twin and both scratches stay where they are. */
static void swap_twin(pare__map *map)
{
    pare__map *twin = map->twin, old = *map;
    pare__arena spare = twin->scratch;

    *map = *twin;
    map->twin = twin;
    map->scratch = old.scratch;
    *twin = old;
    twin->twin = NULL;
    twin->scratch = spare;
}

static int have_twin(pare__map *map)
{
    if (!map->twin) map->twin = PARE__NEW(pare__map, 1);
    return map->twin ? 0 : PARE_E_NOMEM;
}

int pare__map_follow(pare__map *total, const pare_map *next)
{
    int rc = have_twin(total);
    if (rc == 0) rc = pare__map_compose(&total->m, next, total->twin);
    if (rc == 0) swap_twin(total);
    return rc;
}

static int permute(pare__map *map, const int32_t *order)
{
    const pare_map *m = &map->m;
    int64_t n_member = m->member_start ? m->member_start[m->n_out] : 0;

    if (have_twin(map)) return PARE_E_NOMEM;
    pare__map_begin(map->twin, m->n_in);
    if (reserve_more(map->twin, m->n_out, nnz(m), n_member, m->gain != NULL, m->member_start != NULL))
        return PARE_E_NOMEM;
    for (int64_t r = 0; r < m->n_out; r++) push_row(map->twin, m, order[r], 0);
    swap_twin(map);
    refresh(map);
    return 0;
}

int pare__map_sort(pare__map *map, int32_t *order)
{
    int64_t n = map->m.n_out;

    if (is_sorted(&map->m)) {
        for (int64_t r = 0; order && r < n; r++) order[r] = (int32_t)r;
        return 0;
    }
    pare__arena_clear(&map->scratch);
    int32_t *by_anchor = PARE__ARENA(&map->scratch, int32_t, n);
    if (!by_anchor || pare__argsort_i32(map->anchor, n, by_anchor, &map->scratch)) return PARE_E_NOMEM;
    if (order) memcpy(order, by_anchor, (size_t)n * sizeof *order);
    return permute(map, by_anchor);
}
