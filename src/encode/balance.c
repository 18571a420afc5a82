/* SPDX-License-Identifier: MIT */
/* Scales of channels that a norm and its layer share: the formula and its source are in balance.h. */
#include "encode/balance.h"

#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/mem.h"

/* Of eq. 4: how much of a channel's size moves into the weights. DINOv2-S, 224 photos: the mean loss of cosine falls by 5 to
 * 18 %, the worst from .0022 to .0015; with .5, the published default, by 14 to 20 %, but the worst grows to .0031. */
static const float share = .25f;
static const float least = 1e-5f; /* size of a channel of zeros */

/* s [n_in], with a geometric mean of 1; largest weights of a channel come in `s`. */
static void find_scales(const pare__norm_w *norm, int32_t n_in, float *s)
{
    double sum = 0;
    for (int32_t c = 0; c < n_in; c++) {
        const float size = 3 * fabsf(norm->w[c]) + (norm->b ? fabsf(norm->b[c]) : 0);
        s[c] = powf(fmaxf(size, least), share) / powf(fmaxf(s[c], least), 1 - share);
        sum += logf(s[c]);
    }
    const float mean = (float)exp(sum / n_in);
    for (int32_t c = 0; c < n_in; c++) s[c] /= mean;
}

static void find_largest(const pare__linear *l, float *largest)
{
    memset(largest, 0, (size_t)l->n_in * sizeof *largest);
    for (int64_t r = 0; r < l->n_out; r++) {
        const float *w = l->w + r * l->n_in;
        for (int32_t c = 0; c < l->n_in; c++) largest[c] = fabsf(w[c]) > largest[c] ? fabsf(w[c]) : largest[c];
    }
}

static void divide(float *to, const float *x, const float *s, int32_t n)
{
    for (int32_t c = 0; c < n; c++) to[c] = x[c] / s[c];
}

int pare__balance(const pare__norm_w *norm, const pare__linear *l, pare__balanced *out, pare_error *err)
{
    const int64_t n = l->n_in;
    *out = (pare__balanced){.w = pare__malloc(n * l->n_out, (int64_t)sizeof(float)),
                            .memory = pare__malloc(2 * n, (int64_t)sizeof(float))};
    float *s = pare__malloc(n, (int64_t)sizeof(float));
    if (!out->w || !out->memory || !s) {
        pare__free(out->w);
        pare__free(out->memory);
        pare__free(s);
        *out = (pare__balanced){0};
        return pare_fail(err, PARE_E_NOMEM, "out of memory for balanced weights [%d, %d]", l->n_out, l->n_in);
    }
    find_largest(l, s);
    find_scales(norm, l->n_in, s);
    out->norm.w = out->memory;
    divide(out->memory, norm->w, s, l->n_in);
    if (norm->b) {
        out->norm.b = out->memory + n;
        divide(out->memory + n, norm->b, s, l->n_in);
    }
    for (int64_t r = 0; r < l->n_out; r++)
        for (int64_t c = 0; c < n; c++) out->w[r * n + c] = l->w[r * n + c] * s[c];
    pare__free(s);
    return 0;
}
