/* SPDX-License-Identifier: MIT */
/* Brings a learned position table [rows, cols, d] to another grid. As torch.nn.functional.interpolate does with an explicit
 * size (align_corners = False, so scale = in / out):
 *   bicubic              Keys kernel a = -0.75, 4 taps, clamped borders (taps outside repeat the border)
 *   bicubic, antialias   a = -0.5, support widened by the scale when shrinking, taps outside left out, renormalised
 *   bilinear, antialias  triangle, same support rule
 * As transformers' Qwen3VLVisionModel.fast_pos_embed_interpolate and Idefics3VisionEmbeddings do:
 *   bilinear, end points  place i of n lies at i (G - 1) / (n - 1) of G
 *   bucket                place i of n takes row floor(i G / n)
 * Separable: rows first into a temporary [out_rows, cols, d], then columns. Weights in double, sums in f32. */
#include <math.h>
#include <string.h>

#include "encode/parts.h"

/* Taps of one axis: output i = sum_j weight[i * max + j] * input[index[i * max + j]], j < max; unused taps weigh 0. */
typedef struct taps {
    int32_t max;
    int32_t *index; /* [n_out, max] */
    float *weight;  /* [n_out, max] */
} taps;

static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static void fill_plain(const taps *t, int32_t n_in, int32_t n_out)
{
    double scale = (double)n_in / n_out;
    for (int32_t i = 0; i < n_out; i++) {
        double at = scale * (i + 0.5) - 0.5;
        double low = floor(at);
        for (int32_t j = 0; j < 4; j++) {
            double k = low - 1 + j;
            t->weight[i * 4 + j] = (float)cubic(at - k, -0.75);
            t->index[i * 4 + j] = (int32_t)fmin(fmax(k, 0), n_in - 1);
        }
    }
}

static void fill_ends(const taps *t, int32_t n_in, int32_t n_out)
{
    for (int32_t i = 0; i < n_out; i++) {
        const double at = n_out > 1 ? (double)i * (n_in - 1) / (n_out - 1) : 0;
        const int32_t low = (int32_t)at, high = low + 1 < n_in ? low + 1 : low;
        t->index[2 * (int64_t)i] = low;
        t->index[2 * (int64_t)i + 1] = high;
        t->weight[2 * (int64_t)i] = (float)(1 - (at - low));
        t->weight[2 * (int64_t)i + 1] = (float)(at - low);
    }
}

static void fill_bucket(const taps *t, int32_t n_in, int32_t n_out)
{
    for (int32_t i = 0; i < n_out; i++) {
        t->index[i] = (int32_t)((int64_t)i * n_in / n_out);
        t->weight[i] = 1;
    }
}

static double kernel(pare__interp kind, double x)
{
    return kind == PARE__INTERP_BICUBIC_AA ? cubic(x, -0.5) : triangle(x);
}

static void fill_antialias(const taps *t, pare__interp kind, int32_t n_in, int32_t n_out)
{
    double scale = (double)n_in / n_out;
    double widen = scale < 1 ? 1 : scale;
    double support = (kind == PARE__INTERP_BICUBIC_AA ? 2 : 1) * widen;
    for (int32_t i = 0; i < n_out; i++) {
        double centre = scale * (i + 0.5), sum = 0;
        int32_t first = (int32_t)fmax(centre - support + 0.5, 0);
        int32_t last = (int32_t)fmin(centre + support + 0.5, n_in);
        for (int32_t j = first; j < last; j++) sum += kernel(kind, (j - centre + 0.5) / widen);
        for (int32_t j = first; j < last; j++) {
            t->weight[(int64_t)i * t->max + j - first] = (float)(kernel(kind, (j - centre + 0.5) / widen) / sum);
            t->index[(int64_t)i * t->max + j - first] = j;
        }
    }
}

static void taps_fini(taps *t)
{
    pare__free(t->index);
    pare__free(t->weight);
}

/* Taps of every place. */
static int32_t most_taps(pare__interp kind, int32_t n_in, int32_t n_out)
{
    const double scale = (double)n_in / n_out, widen = scale < 1 ? 1 : scale;
    switch (kind) {
    case PARE__INTERP_BICUBIC:
        return 4;
    case PARE__INTERP_BILINEAR_ENDS:
        return 2;
    case PARE__INTERP_BUCKET:
        return 1;
    default:
        return 2 * (int32_t)ceil((kind == PARE__INTERP_BILINEAR_AA ? 1 : 2) * widen) + 1;
    }
}

static void fill(const taps *t, pare__interp kind, int32_t n_in, int32_t n_out)
{
    if (kind == PARE__INTERP_BICUBIC)
        fill_plain(t, n_in, n_out);
    else if (kind == PARE__INTERP_BILINEAR_ENDS)
        fill_ends(t, n_in, n_out);
    else if (kind == PARE__INTERP_BUCKET)
        fill_bucket(t, n_in, n_out);
    else
        fill_antialias(t, kind, n_in, n_out);
}

static int taps_init(taps *t, pare__interp kind, int32_t n_in, int32_t n_out)
{
    t->max = most_taps(kind, n_in, n_out);
    t->index = PARE__NEW(int32_t, (int64_t)n_out * t->max);
    t->weight = PARE__NEW(float, (int64_t)n_out * t->max);
    if (!t->index || !t->weight) return PARE_E_NOMEM;
    fill(t, kind, n_in, n_out);
    return 0;
}

/* out[i, :] = sum of taps of in[:, :] for n_out rows of `width` floats */
static void apply(const taps *t, const float *in, int32_t n_out, int64_t width, float *out)
{
    const pare__vec *vec = pare__vec_best();
    memset(out, 0, (size_t)n_out * (size_t)width * sizeof(float));
    for (int32_t i = 0; i < n_out; i++) {
        for (int32_t j = 0; j < t->max; j++) {
            float w = t->weight[(int64_t)i * t->max + j];
            if (w == 0) continue;
            vec->axpy(out + i * width, w, in + t->index[(int64_t)i * t->max + j] * width, width);
        }
    }
}

int pare__interp_table(pare__interp kind, const float *in, int32_t rows, int32_t cols, int32_t d, float *out,
                       int32_t out_rows, int32_t out_cols)
{
    if (rows == out_rows && cols == out_cols) {
        memcpy(out, in, (size_t)rows * (size_t)cols * (size_t)d * sizeof(float));
        return 0;
    }
    int rc = PARE_E_NOMEM;
    taps down = {0}, across = {0};
    float *half = (float *)pare__malloc((int64_t)out_rows * cols, (int64_t)d * (int64_t)sizeof(float));
    if (!half || taps_init(&down, kind, rows, out_rows) < 0 || taps_init(&across, kind, cols, out_cols) < 0) goto out;
    apply(&down, in, out_rows, (int64_t)cols * d, half);
    for (int64_t r = 0; r < out_rows; r++) {
        apply(&across, half + r * cols * d, out_cols, d, out + r * out_cols * d);
    }
    rc = 0;
out:
    taps_fini(&down);
    taps_fini(&across);
    pare__free(half);
    return rc;
}
