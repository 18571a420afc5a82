/* SPDX-License-Identifier: MIT */
/* Replies of selector programs, checked before a single row is made (selector_reply.h). */
#include "selector_reply.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DATA ((int64_t)1 << 30)

/* ---- the line -------------------------------------------------------------------------------------------------- */

static int bad_line(const char *who, const char *line, size_t n, pare_error *err)
{
    return pare_fail(
        err, PARE_E_FORMAT,
        "%s: '%.*s' is not {\"indices\":K}, {\"weights\":[K,n]} or {\"scores\":n} with K >= 0, nor a list of rows", who,
        n > 60 ? 60 : (int)n, line);
}

static int take_kind(const json_t *root, cli_reply *out, int64_t *columns)
{
    static const char *const key[] = {"indices", "weights", "scores"};
    json_t *value = NULL;
    for (int i = 0; value == NULL && i < 3; i++) {
        value = json_object_get(root, key[i]);
        out->kind = (cli_reply_kind)i;
    }
    *columns = 1;
    if (out->kind == CLI_REPLY_WEIGHTS && value != NULL) {
        if (json_array_size(value) != 2 || !json_is_integer(json_array_get(value, 1))) return -1;
        *columns = json_integer_value(json_array_get(value, 1));
        value = json_array_get(value, 0);
    }
    out->rows = json_integer_value(value);
    return json_is_integer(value) && out->rows >= 0 && *columns >= 0 ? 0 : -1;
}

static int check_counts(const char *who, const cli_reply *r, int64_t columns, const pare_custom_view *v,
                        pare_error *err)
{
    const long long rows = r->rows, n = v->n, k = v->k;
    if (r->kind == CLI_REPLY_SCORES && rows != n)
        return pare_fail(err, PARE_E_FORMAT, "%s: %lld scores for %lld rows", who, rows, n);
    if (r->kind == CLI_REPLY_SCORES && k < 0)
        return pare_fail(err, PARE_E_INVALID, "%s: scores need an amount (--keep, keep= or k=)", who);
    if (r->kind == CLI_REPLY_WEIGHTS && columns != n)
        return pare_fail(err, PARE_E_FORMAT, "%s: weights [%lld,%lld] for %lld rows", who, rows, (long long)columns, n);
    if (r->kind != CLI_REPLY_SCORES && rows > n)
        return pare_fail(err, PARE_E_FORMAT, "%s: %lld rows out of %lld", who, rows, n);
    if (r->kind != CLI_REPLY_SCORES && k >= 0 && rows != k)
        return pare_fail(err, PARE_E_FORMAT, "%s: %lld rows, %lld were asked of %lld", who, rows, k, n);
    return 0;
}

/* Rows in the line itself: what a program without binary output prints. Too large ones become n, which is no row. */
static int take_list(const json_t *list, const pare_custom_view *v, cli_reply *out)
{
    size_t i;
    json_t *value;
    out->kind = CLI_REPLY_INDICES;
    out->rows = (int64_t)json_array_size(list);
    out->list = malloc(((size_t)out->rows + 1) * sizeof *out->list);
    if (out->list == NULL) return PARE_E_NOMEM;
    json_array_foreach(list, i, value)
    {
        const json_int_t row = json_integer_value(value);
        if (!json_is_integer(value)) return -1;
        out->list[i] = (int32_t)(row < 0 ? -1 : row < v->n ? row : v->n);
    }
    return 0;
}

static int take_reply(const json_t *root, const pare_custom_view *v, cli_reply *out, int64_t *columns)
{
    const json_t *list = json_is_array(root) ? root : json_object_get(root, "indices");
    *columns = 1;
    if (json_is_array(list)) return take_list(list, v, out);
    return json_is_object(root) && json_object_size(root) == 1 ? take_kind(root, out, columns) : -1;
}

int cli_reply_parse(const char *who, const char *line, size_t n, const pare_custom_view *v, cli_reply *out,
                    pare_error *err)
{
    int64_t columns, values;
    json_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    out->list = NULL;
    int rc = take_reply(root, v, out, &columns);
    json_decref(root);
    rc = rc != 0 ? bad_line(who, line, n, err) : check_counts(who, out, columns, v, err);
    if (rc != 0) {
        cli_reply_fini(out);
        return rc;
    }
    if (__builtin_mul_overflow(out->rows, columns, &values) || values > MAX_DATA / 4)
        return pare_fail(err, PARE_E_LIMIT, "%s: %lld x %lld values, limit %lld bytes", who, (long long)out->rows,
                         (long long)columns, (long long)MAX_DATA);
    out->n_bytes = out->list != NULL ? 0 : values * 4;
    return 0;
}

void cli_reply_fini(cli_reply *reply)
{
    free(reply->list);
    reply->list = NULL;
}

/* ---- the data -------------------------------------------------------------------------------------------------- */

static int32_t load_i32(const uint8_t *p, int64_t i)
{
    int32_t x;
    memcpy(&x, p + 4 * i, sizeof x);
    return x;
}

static float load_f32(const uint8_t *p, int64_t i)
{
    float x;
    memcpy(&x, p + 4 * i, sizeof x);
    return x;
}

static int apply_indices(const char *who, const cli_reply *r, const uint8_t *data, const pare_custom_view *v,
                         pare_selection *out, pare_error *err)
{
    uint8_t *seen = calloc((size_t)v->n, 1);
    int rc = seen != NULL ? 0 : pare_fail(err, PARE_E_NOMEM, "%s: out of memory", who);
    for (int64_t i = 0; rc == 0 && i < r->rows; i++) {
        const int32_t row = load_i32(data, i);
        if (row < 0 || row >= v->n)
            rc = pare_fail(err, PARE_E_FORMAT, "%s: index %lld is %d, rows are 0 to %lld", who, (long long)i, row,
                           (long long)v->n - 1);
        else if (seen[row]++)
            rc = pare_fail(err, PARE_E_FORMAT, "%s: index %lld repeats row %d", who, (long long)i, row);
        else
            rc = pare_selection_keep(out, row);
    }
    free(seen);
    return rc;
}

/* Column of the largest weight of row i, ties lower. Weights are finite, not negative, and sum to 1. */
static int weigh_row(const char *who, const uint8_t *data, int64_t i, int64_t n, int64_t *anchor, pare_error *err)
{
    double sum = 0;
    *anchor = 0;
    for (int64_t c = 0; c < n; c++) {
        const float w = load_f32(data, i * n + c);
        if (!(w >= 0) || !isfinite(w))
            return pare_fail(err, PARE_E_FORMAT, "%s: weight [%lld,%lld] is %g", who, (long long)i, (long long)c,
                             (double)w);
        if (w > load_f32(data, i * n + *anchor)) *anchor = c;
        sum += (double)w;
    }
    if (fabs(sum - 1) <= 1e-3) return 0;
    return pare_fail(err, PARE_E_FORMAT, "%s: the weights of row %lld sum to %.6g, not to 1", who, (long long)i, sum);
}

static int apply_weights(const char *who, const cli_reply *r, const uint8_t *data, const pare_custom_view *v,
                         pare_selection *out, pare_error *err)
{
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < r->rows; i++) {
        int64_t anchor;
        rc = weigh_row(who, data, i, v->n, &anchor, err);
        if (rc == 0) rc = pare_selection_row(out, anchor);
        for (int64_t c = 0; rc == 0 && c < v->n; c++) {
            const float w = load_f32(data, i * v->n + c);
            if (w > 0) rc = pare_selection_add(out, c, (double)w);
        }
    }
    return rc;
}

typedef struct ranked {
    float score;
    int64_t row;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int apply_scores(const char *who, const uint8_t *data, const pare_custom_view *v, pare_selection *out,
                        pare_error *err)
{
    ranked *r = malloc((size_t)v->n * sizeof *r);
    int rc = r != NULL ? 0 : pare_fail(err, PARE_E_NOMEM, "%s: out of memory", who);
    for (int64_t i = 0; rc == 0 && i < v->n; i++) {
        r[i] = (ranked){load_f32(data, i), i};
        if (isnan(r[i].score)) rc = pare_fail(err, PARE_E_FORMAT, "%s: score %lld is not a number", who, (long long)i);
    }
    if (rc == 0) qsort(r, (size_t)v->n, sizeof *r, compare_ranked);
    for (int64_t i = 0; rc == 0 && i < v->n; i++) rc = pare_selection_score(out, r[i].row, r[i].score);
    for (int64_t i = 0; rc == 0 && i < v->k && i < v->n; i++) rc = pare_selection_keep(out, r[i].row);
    free(r);
    return rc;
}

int cli_reply_apply(const char *who, const cli_reply *r, const uint8_t *data, const pare_custom_view *v,
                    pare_selection *out, pare_error *err)
{
    switch (r->kind) {
    case CLI_REPLY_INDICES:
        return apply_indices(who, r, r->list != NULL ? (const uint8_t *)r->list : data, v, out, err);
    case CLI_REPLY_WEIGHTS:
        return apply_weights(who, r, data, v, out, err);
    case CLI_REPLY_SCORES:
        return apply_scores(who, data, v, out, err);
    }
    return PARE_E_INVALID;
}
