/* SPDX-License-Identifier: MIT */
/* VidCom2's measures, all in double.
 *
 *     y = the half of the channels with the lowest variance over the view, scaled to length 1 [n, n_channel]
 *     G(a, c) = sum over the alphas s of exp(-|a - c|^2 / (2 s))
 *     video = G(y, mean of all)   frame = G(y, mean of the frame)
 *     p = softmax(-mean of video over each frame / temperature)   share = 1 + p - mean p */
#include "select/vidcom2.h"

#include <math.h>
#include <string.h>

#include "select/pick.h"

/* ---- channels ------------------------------------------------------------------------------------------------------ */

/* Variance of every channel over the n rows: spread[d]. */
static int measure_spread(const pare__view *v, const float *x, int64_t d, float *spread)
{
    double *mean = PARE__ARENA(v->arena, double, d), *square = PARE__ARENA(v->arena, double, d);
    if (!mean || !square) return PARE_E_NOMEM;
    for (int64_t c = 0; c < d; c++) mean[c] = square[c] = 0;
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t c = 0; c < d; c++) mean[c] += (double)x[i * d + c];
    for (int64_t c = 0; c < d; c++) mean[c] /= (double)v->n;
    for (int64_t i = 0; i < v->n; i++) {
        for (int64_t c = 0; c < d; c++) {
            const double e = (double)x[i * d + c] - mean[c];
            square[c] += e * e;
        }
    }
    for (int64_t c = 0; c < d; c++) spread[c] = (float)(square[c] / (double)v->n);
    return 0;
}

static int choose_channels(const pare__view *v, const float *x, int64_t d, pare__vidcom2 *out)
{
    float *spread = PARE__ARENA(v->arena, float, d);
    out->n_channel = (int32_t)(d > 1 ? d / 2 : 1);
    out->channel = PARE__ARENA(v->arena, int32_t, out->n_channel);
    if (!spread || !out->channel || measure_spread(v, x, d, spread)) return PARE_E_NOMEM;
    for (int64_t c = 0; c < d; c++) spread[c] = -spread[c];
    return pare__topk(spread, d, out->n_channel, out->channel, v->arena);
}

/* The chosen channels of every row, scaled to length 1 (a zero row stays zero): [n, n_channel]. */
static double *unit_rows(const pare__view *v, const float *x, int64_t d, const pare__vidcom2 *out)
{
    const int64_t m = out->n_channel;
    double *y = PARE__ARENA(v->arena, double, v->n *m);
    for (int64_t i = 0; y && i < v->n; i++) {
        double sum = 0;
        for (int64_t c = 0; c < m; c++) {
            const double e = (double)x[i * d + out->channel[c]];
            y[i * m + c] = e;
            sum += e * e;
        }
        const double scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t c = 0; c < m; c++) y[i * m + c] *= scale;
    }
    return y;
}

/* ---- centres ------------------------------------------------------------------------------------------------------- */

typedef struct bells {
    int n;
    double alpha[PARE__VIDCOM2_MAX_ALPHAS]; /* rising */
} bells;

/* From the widest bell down: one of half the width is the square of the one before. */
static double gauss(const bells *k, const double *a, const double *b, int64_t m)
{
    double sum = 0, e = 0, all = 0;
    for (int64_t c = 0; c < m; c++) sum += (a[c] - b[c]) * (a[c] - b[c]);
    for (int j = k->n - 1; j >= 0; j--) {
        e = j + 1 < k->n && 2 * k->alpha[j] == k->alpha[j + 1] ? e * e : exp(-sum / (2 * k->alpha[j]));
        all += e;
    }
    return all;
}

static void mean_of(const double *y, int64_t first, int64_t end, int64_t m, double *centre)
{
    memset(centre, 0, (size_t)m * sizeof *centre);
    for (int64_t i = first; i < end; i++)
        for (int64_t c = 0; c < m; c++) centre[c] += y[i * m + c];
    for (int64_t c = 0; c < m; c++) centre[c] /= (double)(end - first);
}

static void compare(const bells *k, const double *y, int64_t first, int64_t end, int64_t m, const double *centre,
                    double *out)
{
    for (int64_t i = first; i < end; i++) out[i] = gauss(k, y + i * m, centre, m);
}

static int measure(const pare__view *v, const bells *k, const double *y, pare__vidcom2 *out)
{
    const int64_t m = out->n_channel;
    double *centre = PARE__ARENA(v->arena, double, m);
    out->video = PARE__ARENA(v->arena, double, v->n);
    out->frame = PARE__ARENA(v->arena, double, v->n);
    if (!centre || !out->video || !out->frame) return PARE_E_NOMEM;
    mean_of(y, 0, v->n, m, centre);
    compare(k, y, 0, v->n, m, centre, out->video);
    for (int32_t t = 0; t < v->n_frame; t++) {
        if (v->frame_start[t] == v->frame_start[t + 1]) continue;
        mean_of(y, v->frame_start[t], v->frame_start[t + 1], m, centre);
        compare(k, y, v->frame_start[t], v->frame_start[t + 1], m, centre, out->frame);
    }
    return 0;
}

int pare__vidcom2_alphas(const pare__vidcom2_rule *rule, double *alpha, pare_error *err)
{
    const int32_t n = pare__read_list(rule->alphas, 0, 1e-6, 1e6, alpha, PARE__VIDCOM2_MAX_ALPHAS);
    int rises = n > 0;
    for (int32_t j = 1; j < n; j++) rises &= alpha[j - 1] < alpha[j];
    if (rises) return n;
    return pare_fail(err, PARE_E_INVALID, "vidcom2: alphas=%s are not rising widths such as 0.125/0.25/0.5, at most %d",
                     rule->alphas, PARE__VIDCOM2_MAX_ALPHAS);
}

int pare__vidcom2_measure(const pare__view *v, const pare__vidcom2_rule *rule, pare__vidcom2 *out, pare_error *err)
{
    int32_t d;
    bells k;
    k.n = pare__vidcom2_alphas(rule, k.alpha, err);
    if (k.n < 0) return k.n;
    const float *x = pare__require(v, "vidcom2", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    if (choose_channels(v, x, d, out)) return PARE_E_NOMEM;
    const double *y = unit_rows(v, x, d, out);
    return y ? measure(v, &k, y, out) : PARE_E_NOMEM;
}

/* ---- frames -------------------------------------------------------------------------------------------------------- */

/* -mean of the frame's tokens' likeness to the clip. */
static double stands_out(const pare__view *v, const pare__vidcom2 *out, int32_t t)
{
    double sum = 0;
    for (int64_t i = v->frame_start[t]; i < v->frame_start[t + 1]; i++) sum += out->video[i];
    return -sum / (double)(v->frame_start[t + 1] - v->frame_start[t]);
}

int pare__vidcom2_share(const pare__view *v, const pare__vidcom2_rule *rule, pare__vidcom2 *out)
{
    double *p = out->share = PARE__ARENA(v->arena, double, v->n_frame);
    if (!p) return PARE_E_NOMEM;
    double most = -INFINITY, sum = 0;
    int32_t n = 0;
    for (int32_t t = 0; t < v->n_frame; t++) {
        p[t] = v->frame_start[t] < v->frame_start[t + 1] ? stands_out(v, out, t) : -INFINITY;
        n += p[t] > -INFINITY;
        most = fmax(most, p[t]);
    }
    for (int32_t t = 0; t < v->n_frame; t++)
        sum += p[t] = p[t] > -INFINITY ? exp((p[t] - most) / rule->temperature) : 0;
    for (int32_t t = 0; t < v->n_frame; t++)
        p[t] = v->frame_start[t] < v->frame_start[t + 1] ? 1 + p[t] / sum - 1.0 / n : 0;
    return 0;
}
