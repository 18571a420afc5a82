/* SPDX-License-Identifier: MIT */
/* Weighted nearest neighbours and their bank on disk (knn.h): safetensors `bank` f32 [n,d], `label` i32 [n], metadata
 * `key`. */
#include "knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROWS = 1 << 24 };

static int reserve(bench_knn *k, pare_error *err)
{
    if (k->n < k->cap) return 0;
    if (k->n >= MAX_ROWS) return pare_fail(err, PARE_E_LIMIT, "more than %d training photos", MAX_ROWS);
    const int64_t cap = k->cap > 0 ? 2 * k->cap : 256;
    float *row = realloc(k->row, (size_t)cap * (size_t)k->d * sizeof *row);
    if (row != NULL) k->row = row;
    int32_t *label = realloc(k->label, (size_t)cap * sizeof *label);
    if (label != NULL) k->label = label;
    if (row == NULL || label == NULL)
        return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld training photos", (long long)cap);
    k->cap = cap;
    return 0;
}

static double length_of(const float *x, int32_t d)
{
    double sum = 0;
    for (int32_t i = 0; i < d; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

int bench_knn_add(bench_knn *k, const float *x, int32_t d, int32_t label, pare_error *err)
{
    if (k->n == 0) k->d = d;
    if (k->d != d) return pare_fail(err, PARE_E_INVALID, "a feature of width %d among those of width %d", d, k->d);
    if (label < 0) return pare_fail(err, PARE_E_INVALID, "label %d is below 0", label);
    const int rc = reserve(k, err);
    if (rc != 0) return rc;
    const double length = length_of(x, d);
    float *row = k->row + k->n * d;
    for (int32_t i = 0; i < d; i++) row[i] = length > 0 ? (float)((double)x[i] / length) : 0;
    k->label[k->n++] = label;
    if (label >= k->n_class) k->n_class = label + 1;
    return 0;
}

/* Four sums side by side: one would wait for itself. */
static double dot_of(const float *x, const float *y, int32_t d)
{
    double sum[4] = {0};
    int32_t i = 0;
    for (; i + 4 <= d; i += 4)
        for (int32_t j = 0; j < 4; j++) sum[j] += (double)x[i + j] * (double)y[i + j];
    for (; i < d; i++) sum[0] += (double)x[i] * (double)y[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* The best so far, descending by similarity; ties to the earlier row. */
typedef struct near_rows {
    double similarity[BENCH_KNN_K];
    int64_t row[BENCH_KNN_K];
    int n;
} near_rows;

static void offer(near_rows *near, double similarity, int64_t row)
{
    int at = near->n < BENCH_KNN_K ? near->n++ : BENCH_KNN_K;
    if (at == BENCH_KNN_K && !(similarity > near->similarity[--at])) return;
    for (; at > 0 && similarity > near->similarity[at - 1]; at--) {
        near->similarity[at] = near->similarity[at - 1];
        near->row[at] = near->row[at - 1];
    }
    near->similarity[at] = similarity;
    near->row[at] = row;
}

int32_t bench_knn_class(const bench_knn *k, const float *query, double *votes)
{
    near_rows near = {.n = 0};
    const double length = length_of(query, k->d);
    for (int64_t r = 0; r < k->n; r++) {
        const double dot = dot_of(k->row + r * k->d, query, k->d);
        offer(&near, length > 0 ? dot / length : 0, r);
    }
    int32_t best = k->n > 0 ? 0 : -1;
    memset(votes, 0, (size_t)k->n_class * sizeof *votes);
    for (int i = 0; i < near.n; i++) votes[k->label[near.row[i]]] += exp(near.similarity[i] / BENCH_KNN_TEMPERATURE);
    for (int32_t c = 1; c < k->n_class; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

/* ---- on disk -------------------------------------------------------------------------------------------------- */

int bench_knn_save(const bench_knn *k, const char *path, const char *key, pare_error *err)
{
    const pare_tensor t[] = {
        {.name = "bank", .dtype = PARE_F32, .n_dim = 2, .shape = {k->n, k->d}, .data = k->row},
        {.name = "label", .dtype = PARE_I32, .n_dim = 1, .shape = {k->n}, .data = k->label},
    };
    const char *const meta[][2] = {{"key", key}};
    return pare_tensors_save(path, t, 2, meta, 1, err);
}

static int take(bench_knn *k, const pare_tensors *t, const char *path, pare_error *err)
{
    const pare_tensor *bank = pare_tensors_find(t, "bank"), *label = pare_tensors_find(t, "label");
    if (bank == NULL || label == NULL || bank->dtype != PARE_F32 || label->dtype != PARE_I32 || bank->n_dim != 2 ||
        label->n_dim != 1 || bank->shape[0] != label->shape[0] || bank->shape[1] > INT32_MAX || bank->shape[0] < 1)
        return pare_fail(err, PARE_E_FORMAT, "%s: not a bank: it needs bank f32 [n,d] and label i32 [n]", path);
    const char *labels = label->data, *rows = bank->data;
    const size_t bytes = (size_t)bank->shape[1] * sizeof(float);
    float *x = malloc(bytes > 0 ? bytes : 1);
    int rc = x != NULL ? 0 : pare_fail(err, PARE_E_NOMEM, "%s: out of memory", path);
    for (int64_t i = 0; rc == 0 && i < bank->shape[0]; i++) {
        int32_t value;
        memcpy(&value, labels + i * (int64_t)sizeof value, sizeof value);
        memcpy(x, rows + (size_t)i * bytes, bytes);
        rc = value < MAX_ROWS ? bench_knn_add(k, x, (int32_t)bank->shape[1], value, err)
                              : pare_fail(err, PARE_E_LIMIT, "%s: label %d of row %lld", path, value, (long long)i);
    }
    free(x);
    return rc;
}

int bench_knn_load(bench_knn *k, const char *path, const char *key, pare_error *err)
{
    pare_tensors *t = NULL;
    if (access(path, F_OK) != 0) return pare_fail(err, PARE_E_NOTFOUND, "%s: not there", path);
    int rc = pare_tensors_open(&t, path, err);
    const char *is = rc == 0 ? pare_tensors_meta(t, "key") : NULL;
    if (rc == 0 && (is == NULL || strcmp(is, key) != 0))
        rc = pare_fail(err, PARE_E_NOTFOUND, "%s: features of other photos or another model", path);
    if (rc == 0) rc = take(k, t, path, err);
    if (rc != 0) bench_knn_free(k);
    pare_tensors_close(&t);
    return rc;
}

void bench_knn_free(bench_knn *k)
{
    free(k->row);
    free(k->label);
    *k = (bench_knn){0};
}
