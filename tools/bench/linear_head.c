/* SPDX-License-Identifier: MIT */
/* Linear classifier from a file (linear_head.h). */
#include "linear_head.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_CLASSES = 1 << 20 };

static const pare_tensor *find(const pare_tensors *t, const char *name)
{
    char full[64];
    const pare_tensor *found = pare_tensors_find(t, name);
    snprintf(full, sizeof full, "classifier.%s", name);
    return found != NULL ? found : pare_tensors_find(t, full);
}

static int check_weight(const char *path, const pare_tensor *w, int32_t d, int has_cls, pare_error *err)
{
    if (w == NULL) return pare_fail(err, PARE_E_NOTFOUND, "%s: no tensor 'weight'", path);
    if (w->n_dim != 2)
        return pare_fail(err, PARE_E_INVALID, "%s: %s has %d axes, a linear head has 2", path, w->name, w->n_dim);
    if (w->shape[0] < 1 || w->shape[0] > MAX_CLASSES)
        return pare_fail(err, PARE_E_LIMIT, "%s: %s has %lld classes, 1 to %d are possible", path, w->name,
                         (long long)w->shape[0], MAX_CLASSES);
    if (w->shape[1] != d && w->shape[1] != 2 * (int64_t)d)
        return pare_fail(err, PARE_E_INVALID,
                         "%s: %s reads %lld numbers, tokens of the model have %d: %d or %d are needed", path, w->name,
                         (long long)w->shape[1], d, d, 2 * d);
    if (w->shape[1] != d && !has_cls)
        return pare_fail(err, PARE_E_INVALID,
                         "%s: %s reads %lld numbers, a CLS token and a mean of %d; the model has none", path, w->name,
                         (long long)w->shape[1], d);
    return 0;
}

static int check_bias(const char *path, const pare_tensor *w, const pare_tensor *bias, pare_error *err)
{
    const int64_t n = bias != NULL ? pare_tensor_count(bias) : w->shape[0];
    if (n == w->shape[0]) return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: %s has %lld numbers, %s has %lld classes", path, bias->name,
                     (long long)n, w->name, (long long)w->shape[0]);
}

/* A copy as floats; NULL: out of memory. */
static float *floats(const pare_tensor *t)
{
    float *out = malloc((size_t)pare_tensor_count(t) * sizeof *out);
    if (out != NULL) pare_tensor_to_f32(t, out);
    return out;
}

int bench_head_open(const char *path, int32_t d, int has_cls, bench_head *out, pare_error *err)
{
    pare_tensors *t = NULL;
    *out = (bench_head){0};
    int rc = pare_tensors_open(&t, path, err);
    const pare_tensor *w = rc == 0 ? find(t, "weight") : NULL, *bias = rc == 0 ? find(t, "bias") : NULL;
    if (rc == 0) rc = check_weight(path, w, d, has_cls, err);
    if (rc == 0) rc = check_bias(path, w, bias, err);
    if (rc == 0) {
        *out = (bench_head){.weight = floats(w),
                            .bias = bias != NULL ? floats(bias) : NULL,
                            .n_class = (int32_t)w->shape[0],
                            .width = (int32_t)w->shape[1],
                            .d = d};
        if (out->weight == NULL || (bias != NULL && out->bias == NULL))
            rc = pare_fail(err, PARE_E_NOMEM, "%s: out of memory for %d classes", path, out->n_class);
    }
    if (rc != 0) bench_head_free(out);
    pare_tensors_close(&t);
    return rc;
}

static double dot(const float *a, const float *b, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

void bench_head_logits(const bench_head *h, const float *cls, const float *mean, float *logits)
{
    const float *first = cls != NULL ? cls : mean;
    for (int32_t c = 0; c < h->n_class; c++) {
        const float *w = h->weight + (int64_t)c * h->width;
        double sum = h->bias != NULL ? (double)h->bias[c] : 0;
        sum += h->width > h->d ? dot(w, first, h->d) + dot(w + h->d, mean, h->d) : dot(w, mean, h->d);
        logits[c] = (float)sum;
    }
}

void bench_head_free(bench_head *h)
{
    free(h->weight);
    free(h->bias);
    *h = (bench_head){0};
}
