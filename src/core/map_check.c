/* SPDX-License-Identifier: MIT */
/* Invariants of a map, each with its own message. */
#include <math.h>

#include "core/map.h"
#include "core/mem.h"

typedef long long ll;

static int check_shape(const pare_map *m, pare_error *err)
{
    if (m->n_in < 0 || m->n_in > INT32_MAX || m->n_out < 0)
        return pare_fail(err, PARE_E_INVALID, "map of %lld rows and %lld columns", (ll)m->n_out, (ll)m->n_in);
    if (m->n_out && m->row_start[0] != 0)
        return pare_fail(err, PARE_E_INVALID, "rows of the map start at %lld instead of 0", (ll)m->row_start[0]);
    if (m->n_out && m->member_start && m->member_start[0] != 0)
        return pare_fail(err, PARE_E_INVALID, "members of the map start at %lld instead of 0", (ll)m->member_start[0]);
    return 0;
}

static int check_columns(const pare_map *m, int64_t r, pare_error *err)
{
    double sum = 0;
    int64_t start = m->row_start[r], end = m->row_start[r + 1];

    if (end <= start) return pare_fail(err, PARE_E_INVALID, "row %lld of the map has no column", (ll)r);
    for (int64_t i = start; i < end; i++) {
        if (m->index[i] < 0 || m->index[i] >= m->n_in)
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: index %d is outside its %lld columns", (ll)r,
                             m->index[i], (ll)m->n_in);
        if (i > start && m->index[i] <= m->index[i - 1])
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: index %d follows %d", (ll)r, m->index[i],
                             m->index[i - 1]);
        if (!(m->weight[i] > 0))
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: weight %g of column %d is not positive", (ll)r,
                             (double)m->weight[i], m->index[i]);
        sum += m->weight[i];
    }
    if (!(fabs(sum - 1) <= 1e-5))
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: weights sum to %.7g instead of 1", (ll)r, sum);
    return 0;
}

static int check_row(const pare_map *m, int64_t r, pare_error *err)
{
    if (m->anchor[r] < 0 || m->anchor[r] >= m->n_in)
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: anchor %d is outside its %lld columns", (ll)r,
                         m->anchor[r], (ll)m->n_in);
    if (!(m->size[r] > 0 && isfinite(m->size[r])))
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: size %g is not positive", (ll)r,
                         (double)m->size[r]);
    if (m->gain && !(m->gain[r] >= 0 && isfinite(m->gain[r])))
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: gain %g is no factor", (ll)r, (double)m->gain[r]);
    return 0;
}

/* Members ascend and hold the columns of R. */
static int check_members(const pare_map *m, int64_t r, pare_error *err)
{
    int64_t col = m->row_start[r], col_end = m->row_start[r + 1];

    for (int64_t i = m->member_start[r]; i < m->member_start[r + 1]; i++) {
        int32_t member = m->member[i];
        if (member < 0 || member >= m->n_in)
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: member %d is outside its %lld columns", (ll)r,
                             member, (ll)m->n_in);
        if (i > m->member_start[r] && member <= m->member[i - 1])
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: member %d follows %d", (ll)r, member,
                             m->member[i - 1]);
        col += col < col_end && m->index[col] == member;
    }
    if (col < col_end)
        return pare_fail(err, PARE_E_INVALID, "row %lld of the map: column %d is not among its members", (ll)r,
                         m->index[col]);
    return 0;
}

static int check_sorted(const pare_map *m, pare_error *err)
{
    for (int64_t r = 1; r < m->n_out; r++)
        if (m->anchor[r] < m->anchor[r - 1])
            return pare_fail(err, PARE_E_INVALID, "row %lld of the map: anchor %d follows %d", (ll)r, m->anchor[r],
                             m->anchor[r - 1]);
    return 0;
}

static int check_partition(const pare_map *m, pare_error *err)
{
    int rc = 0;
    int32_t *row = PARE__NEW(int32_t, m->n_in); /* 1 + row of every column */

    if (!row) return pare_fail(err, PARE_E_NOMEM, "no memory to check a map of %lld columns", (ll)m->n_in);
    for (int64_t r = 0; r < m->n_out && rc == 0; r++)
        for (int64_t i = m->row_start[r]; i < m->row_start[r + 1] && rc == 0; i++) {
            int32_t *other = &row[m->index[i]];
            if (*other)
                rc = pare_fail(err, PARE_E_INVALID, "row %lld of the map: column %d is in row %d too", (ll)r,
                               m->index[i], *other - 1);
            *other = (int32_t)r + 1;
        }
    pare__free(row);
    return rc;
}

int pare__map_check(const pare_map *map, unsigned flags, pare_error *err)
{
    int rc = check_shape(map, err);

    for (int64_t r = 0; r < map->n_out && rc == 0; r++) {
        rc = check_columns(map, r, err);
        if (rc == 0) rc = check_row(map, r, err);
        if (rc == 0 && map->member_start) rc = check_members(map, r, err);
    }
    if (rc == 0 && (flags & PARE__MAP_SORTED)) rc = check_sorted(map, err);
    if (rc == 0 && (flags & PARE__MAP_PARTITION)) rc = check_partition(map, err);
    return rc;
}
