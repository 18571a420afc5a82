/* SPDX-License-Identifier: MIT */
/* A reduction out of a file (map_file.h): read into CSR rows and checked, then looked up view by view through a list of
 * (unit, row) pairs, sorted by unit. */
#include "map_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_UNIT INT32_MAX

typedef struct pair {
    int64_t unit, row;
} pair;

struct cli_map {
    const char *path;
    int64_t n_row, n_weight;
    int64_t n_unit;                           /* columns of a dense R; -1 = the file does not say */
    int64_t *row_start;                       /* [n_row + 1] */
    int64_t *unit;                            /* [n_weight] */
    float *weight;                            /* [n_weight] */
    int64_t *anchor;                          /* [n_row] */
    float *gain;                              /* [n_row] or NULL */
    int64_t n_member, *member_start, *member; /* [n_row + 1], [n_member]: what rows stand for beyond R; or NULL */
    pair *user;                               /* [n_weight] rows by unit */
    int64_t *seen; /* [n_row] the last view that held a unit of the row, counted from 1; 0 = none */
    int64_t n_view;
    uint8_t *used; /* [n_row] */
};

/* ---- tensors --------------------------------------------------------------------------------------------------- */

static int64_t load_int(const pare_tensor *t, int64_t i)
{
    if (t->dtype == PARE_I64) {
        int64_t x;
        memcpy(&x, (const char *)t->data + 8 * i, sizeof x);
        return x;
    }
    int32_t x;
    memcpy(&x, (const char *)t->data + 4 * i, sizeof x);
    return x;
}

static int no_memory(const char *path, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "%.100s: out of memory for its rows", path);
}

/* i32 or i64 [n] (n < 0: any) as a new array; each value within lo..hi. */
static int take_ints(const cli_map *m, const pare_tensor *t, int64_t n, int64_t lo, int64_t hi, int64_t **out,
                     pare_error *err)
{
    const int64_t count = pare_tensor_count(t);
    if ((t->dtype != PARE_I32 && t->dtype != PARE_I64) || t->n_dim != 1 || (n >= 0 && count != n))
        return pare_fail(err, PARE_E_INVALID, "%.100s: '%s' is not i32 or i64 [%lld]", m->path, t->name,
                         (long long)(n >= 0 ? n : count));
    *out = malloc(((size_t)count + 1) * sizeof **out);
    if (*out == NULL) return no_memory(m->path, err);
    for (int64_t i = 0; i < count; i++) {
        const int64_t x = (*out)[i] = load_int(t, i);
        if (x < lo || x > hi)
            return pare_fail(err, PARE_E_INVALID, "%.100s: %s[%lld] is %lld, not within %lld and %lld", m->path,
                             t->name, (long long)i, (long long)x, (long long)lo, (long long)hi);
    }
    return 0;
}

/* Any float type [n] as a new array; NULL where the file has none. */
static int take_floats(const cli_map *m, const pare_tensors *file, const char *name, int64_t n, float **out,
                       pare_error *err)
{
    const pare_tensor *t = pare_tensors_find(file, name);
    if (t == NULL) return 0;
    if (t->n_dim != 1 || pare_tensor_count(t) != n)
        return pare_fail(err, PARE_E_INVALID, "%.100s: '%s' is not [%lld]", m->path, name, (long long)n);
    *out = malloc(((size_t)n + 1) * sizeof **out);
    if (*out == NULL) return no_memory(m->path, err);
    pare_tensor_to_f32(t, *out);
    return 0;
}

/* ---- the three forms ------------------------------------------------------------------------------------------- */

static int read_csr(cli_map *m, const pare_tensors *file, const pare_tensor *start, pare_error *err)
{
    const pare_tensor *index = pare_tensors_find(file, "map.index"), *anchor = pare_tensors_find(file, "map.anchor");
    if (index == NULL || pare_tensor_count(start) < 1)
        return pare_fail(err, PARE_E_INVALID, "%.100s: map.row_start [K+1] without map.index", m->path);
    m->n_row = pare_tensor_count(start) - 1;
    m->n_weight = pare_tensor_count(index);
    int rc = take_ints(m, start, -1, 0, m->n_weight, &m->row_start, err);
    if (rc == 0) rc = take_ints(m, index, -1, 0, MAX_UNIT - 1, &m->unit, err);
    if (rc == 0) rc = take_floats(m, file, "map.weight", m->n_weight, &m->weight, err);
    if (rc == 0 && anchor != NULL) rc = take_ints(m, anchor, m->n_row, 0, MAX_UNIT - 1, &m->anchor, err);
    if (rc == 0) rc = take_floats(m, file, "map.gain", m->n_row, &m->gain, err);
    if (rc != 0) return rc;
    if (m->row_start[0] != 0 || m->row_start[m->n_row] != m->n_weight)
        return pare_fail(err, PARE_E_INVALID, "%.100s: map.row_start goes from %lld to %lld, map.index has %lld",
                         m->path, (long long)m->row_start[0], (long long)m->row_start[m->n_row],
                         (long long)m->n_weight);
    for (int64_t r = 0; r < m->n_row; r++)
        if (m->row_start[r + 1] <= m->row_start[r])
            return pare_fail(err, PARE_E_INVALID, "%.100s: row %lld has no unit (%lld to %lld)", m->path, (long long)r,
                             (long long)m->row_start[r], (long long)m->row_start[r + 1]);
    return 0;
}

/* What rows stand for, where that is more than their columns. */
static int read_members(cli_map *m, const pare_tensors *file, pare_error *err)
{
    const pare_tensor *start = pare_tensors_find(file, "map.member_start"),
                      *member = pare_tensors_find(file, "map.member");
    if (start == NULL || member == NULL) return 0;
    m->n_member = pare_tensor_count(member);
    int rc = take_ints(m, start, m->n_row + 1, 0, m->n_member, &m->member_start, err);
    if (rc == 0) rc = take_ints(m, member, -1, 0, MAX_UNIT - 1, &m->member, err);
    for (int64_t r = 0; rc == 0 && r < m->n_row; r++)
        if (m->member_start[r + 1] < m->member_start[r])
            rc = pare_fail(err, PARE_E_INVALID, "%.100s: members of row %lld go from %lld to %lld", m->path,
                           (long long)r, (long long)m->member_start[r], (long long)m->member_start[r + 1]);
    return rc;
}

static int read_dense(cli_map *m, const pare_tensor *t, pare_error *err)
{
    if (t->n_dim != 2 || t->shape[1] > MAX_UNIT)
        return pare_fail(err, PARE_E_INVALID, "%.100s: 'R' has %d axes, not [K,N]", m->path, t->n_dim);
    const int64_t n = pare_tensor_count(t);
    float *dense = malloc(((size_t)n + 1) * sizeof *dense);
    m->n_row = t->shape[0];
    m->n_unit = t->shape[1];
    m->row_start = calloc((size_t)m->n_row + 1, sizeof *m->row_start);
    if (dense != NULL) pare_tensor_to_f32(t, dense);
    for (int64_t i = 0; dense != NULL && i < n; i++) m->n_weight += dense[i] != 0;
    m->unit = malloc(((size_t)m->n_weight + 1) * sizeof *m->unit);
    m->weight = malloc(((size_t)m->n_weight + 1) * sizeof *m->weight);
    if (dense == NULL || m->row_start == NULL || m->unit == NULL || m->weight == NULL) {
        free(dense);
        return no_memory(m->path, err);
    }
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (dense[i] == 0) continue;
        m->unit[at] = i % m->n_unit;
        m->weight[at++] = dense[i];
        m->row_start[i / m->n_unit + 1] = at;
    }
    free(dense);
    for (int64_t r = 0; r < m->n_row; r++)
        if (m->row_start[r + 1] == 0)
            return pare_fail(err, PARE_E_INVALID, "%.100s: row %lld of R is zero", m->path, (long long)r);
    return 0;
}

static int read_keep(cli_map *m, const pare_tensor *t, pare_error *err)
{
    int rc = take_ints(m, t, -1, 0, MAX_UNIT - 1, &m->unit, err);
    if (rc != 0) return rc;
    m->n_row = m->n_weight = pare_tensor_count(t);
    m->row_start = malloc(((size_t)m->n_row + 1) * sizeof *m->row_start);
    if (m->row_start == NULL) return no_memory(m->path, err);
    for (int64_t r = 0; r <= m->n_row; r++) m->row_start[r] = r;
    return 0;
}

static int read_file(cli_map *m, const pare_tensors *file, pare_error *err)
{
    const pare_tensor *start = pare_tensors_find(file, "map.row_start"), *dense = pare_tensors_find(file, "R"),
                      *keep = pare_tensors_find(file, "keep");
    if (start != NULL) {
        const int rc = read_csr(m, file, start, err);
        return rc != 0 ? rc : read_members(m, file, err);
    }
    if (dense != NULL) return read_dense(m, dense, err);
    if (keep != NULL) return read_keep(m, keep, err);
    return pare_fail(err, PARE_E_INVALID, "%.100s: neither map.row_start and map.index, nor R [K,N], nor keep [K]",
                     m->path);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* What the file left out: equal weights, anchors at the largest weight, ties to the earlier column. */
static int complete(cli_map *m, pare_error *err)
{
    const int weighed = m->weight != NULL, anchored = m->anchor != NULL;
    if (!weighed) m->weight = malloc(((size_t)m->n_weight + 1) * sizeof *m->weight);
    if (!anchored) m->anchor = malloc(((size_t)m->n_row + 1) * sizeof *m->anchor);
    if (m->weight == NULL || m->anchor == NULL) return no_memory(m->path, err);
    for (int64_t r = 0; r < m->n_row; r++) {
        const int64_t first = m->row_start[r], end = m->row_start[r + 1];
        int64_t best = first;
        for (int64_t i = first; i < end; i++) {
            if (!weighed) m->weight[i] = 1.0F / (float)(end - first);
            if (m->weight[i] > m->weight[best]) best = i;
        }
        if (!anchored) m->anchor[r] = m->unit[best];
    }
    return 0;
}

static int check_rows(const cli_map *m, pare_error *err)
{
    for (int64_t r = 0; r < m->n_row; r++) {
        double sum = 0;
        for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++) {
            sum += (double)m->weight[i];
            if (!(m->weight[i] > 0))
                return pare_fail(err, PARE_E_INVALID, "%.100s: row %lld gives unit %lld the weight %g", m->path,
                                 (long long)r, (long long)m->unit[i], (double)m->weight[i]);
        }
        if (!(fabs(sum - 1) <= 1e-3))
            return pare_fail(err, PARE_E_INVALID, "%.100s: the weights of row %lld sum to %.6g, not to 1", m->path,
                             (long long)r, sum);
        if (m->gain != NULL && (!(m->gain[r] >= 0) || isinf(m->gain[r])))
            return pare_fail(err, PARE_E_INVALID, "%.100s: row %lld has the gain %g", m->path, (long long)r,
                             (double)m->gain[r]);
    }
    return 0;
}

static int compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Rows by unit; a unit twice in a row is an error, and so is one that is kept twice. */
static int index_rows(cli_map *m, pare_error *err)
{
    m->user = malloc(((size_t)m->n_weight + 1) * sizeof *m->user);
    m->seen = calloc((size_t)m->n_row + 1, sizeof *m->seen);
    m->used = calloc((size_t)m->n_row + 1, sizeof *m->used);
    if (m->user == NULL || m->seen == NULL || m->used == NULL) return no_memory(m->path, err);
    for (int64_t r = 0; r < m->n_row; r++)
        for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++) m->user[i] = (pair){m->unit[i], r};
    qsort(m->user, (size_t)m->n_weight, sizeof *m->user, compare_pairs);
    for (int64_t i = 1; i < m->n_weight; i++) {
        const pair *a = &m->user[i - 1], *b = &m->user[i];
        const int alone = m->row_start[a->row + 1] - m->row_start[a->row] == 1 &&
                          m->row_start[b->row + 1] - m->row_start[b->row] == 1;
        if (a->unit == b->unit && (a->row == b->row || alone))
            return pare_fail(err, PARE_E_INVALID, "%.100s: unit %lld is in row %lld and again in row %lld", m->path,
                             (long long)a->unit, (long long)a->row, (long long)b->row);
    }
    return 0;
}

int cli_map_open(cli_map **out, const char *path, pare_error *err)
{
    pare_tensors *file = NULL;
    cli_map *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL) return no_memory(path, err);
    m->path = path;
    m->n_unit = -1;
    int rc = pare_tensors_open(&file, path, err);
    if (rc == 0) rc = read_file(m, file, err);
    if (rc == 0) rc = complete(m, err);
    if (rc == 0) rc = check_rows(m, err);
    if (rc == 0) rc = index_rows(m, err);
    pare_tensors_close(&file);
    if (rc == 0)
        *out = m;
    else
        cli_map_close(&m);
    return rc;
}

void cli_map_close(cli_map **m)
{
    if (*m == NULL) return;
    free((*m)->row_start);
    free((*m)->unit);
    free((*m)->weight);
    free((*m)->anchor);
    free((*m)->gain);
    free((*m)->member_start);
    free((*m)->member);
    free((*m)->user);
    free((*m)->seen);
    free((*m)->used);
    free(*m);
    *m = NULL;
}

/* ---- views ----------------------------------------------------------------------------------------------------- */

void cli_map_begin(cli_map *m)
{
    m->n_view = 0;
    memset(m->seen, 0, (size_t)m->n_row * sizeof *m->seen);
    memset(m->used, 0, (size_t)m->n_row);
}

/* Row of the view that holds a unit; -1 = none. `at` [n] is sorted by unit. */
static int64_t find_unit(const pair *at, int64_t n, int64_t unit)
{
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (at[mid].unit < unit)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && at[lo].unit == unit ? at[lo].row : -1;
}

static int outside(const cli_map *m, int64_t row, int64_t unit, const pair *at, const pare_custom_view *v,
                   pare_error *err)
{
    return pare_fail(
        err, PARE_E_INVALID,
        "%.80s: row %lld joins unit %lld, which is not among the %lld units (%lld to %lld) that are decided "
        "together at '%s'",
        m->path, (long long)row, (long long)unit, (long long)v->n, (long long)at[0].unit, (long long)at[v->n - 1].unit,
        v->site);
}

/* A member that an earlier step took away is nobody's any more. */
static int emit_members(const cli_map *m, int64_t r, const pair *at, int64_t n, pare_selection *out)
{
    int rc = 0;
    for (int64_t i = m->member_start[r]; rc == 0 && i < m->member_start[r + 1]; i++) {
        const int64_t row = find_unit(at, n, m->member[i]);
        if (row >= 0) rc = pare_selection_member(out, row);
    }
    return rc;
}

static int emit_row(cli_map *m, int64_t r, const pair *at, const pare_custom_view *v, pare_selection *out,
                    pare_error *err)
{
    const int64_t first = m->row_start[r], end = m->row_start[r + 1], anchor = find_unit(at, v->n, m->anchor[r]);
    const float gain = m->gain != NULL ? m->gain[r] : 1;
    m->used[r] = 1;
    if (anchor < 0) return outside(m, r, m->anchor[r], at, v, err);
    const int whole = end - first == 1 && m->unit[first] == m->anchor[r];
    int rc = whole ? pare_selection_keep(out, anchor) : pare_selection_row(out, anchor);
    for (int64_t i = first; rc == 0 && !whole && i < end; i++) {
        const int64_t row = find_unit(at, v->n, m->unit[i]);
        if (row < 0) return outside(m, r, m->unit[i], at, v, err);
        rc = pare_selection_add(out, row, (double)m->weight[i]);
    }
    if (rc == 0 && gain != 1) rc = pare_selection_gain(out, (double)gain);
    return rc == 0 && m->member != NULL ? emit_members(m, r, at, v->n, out) : rc;
}

/* Emits every row of the map that has a unit in the view, once. */
static int emit_rows(cli_map *m, const pair *at, const pare_custom_view *v, pare_selection *out, int64_t *n_row,
                     pare_error *err)
{
    int rc = 0;
    int64_t i = 0;
    m->n_view++;
    for (int64_t u = 0; rc == 0 && u < v->n; u++) {
        if (m->n_unit >= 0 && at[u].unit >= m->n_unit)
            return pare_fail(err, PARE_E_INVALID, "%.100s: R has %lld columns, the input a unit %lld", m->path,
                             (long long)m->n_unit, (long long)at[u].unit);
        while (i < m->n_weight && m->user[i].unit < at[u].unit) i++;
        for (; rc == 0 && i < m->n_weight && m->user[i].unit == at[u].unit; i++) {
            const int64_t r = m->user[i].row;
            if (m->seen[r] == m->n_view) continue;
            m->seen[r] = m->n_view;
            rc = emit_row(m, r, at, v, out, err);
            ++*n_row;
        }
    }
    return rc;
}

int cli_map_select(void *user, const pare_custom_view *v, pare_selection *out, pare_error *err)
{
    cli_map *m = user;
    int64_t n_row = 0;
    pair *at = malloc((size_t)v->n * sizeof *at);
    if (at == NULL) return no_memory(m->path, err);
    for (int64_t i = 0; i < v->n; i++) at[i] = (pair){v->index[i], i};
    qsort(at, (size_t)v->n, sizeof *at, compare_pairs);
    int rc = emit_rows(m, at, v, out, &n_row, err);
    if (rc == 0 && v->k >= 0 && n_row != v->k)
        rc = pare_fail(err, PARE_E_INVALID,
                       "%.100s: leaves %lld of the units %lld to %lld, %lld were asked; a map needs "
                       "no --keep",
                       m->path, (long long)n_row, (long long)at[0].unit, (long long)at[v->n - 1].unit, (long long)v->k);
    free(at);
    return rc;
}

int cli_map_end(const cli_map *m, pare_error *err)
{
    for (int64_t r = 0; r < m->n_row; r++)
        if (!m->used[r])
            return pare_fail(err, PARE_E_INVALID, "%.100s: row %lld names unit %lld, which the step never saw", m->path,
                             (long long)r, (long long)m->unit[m->row_start[r]]);
    return 0;
}
