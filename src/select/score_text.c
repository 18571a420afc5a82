/* SPDX-License-Identifier: MIT */
/* Relevance to a text as CDPruner codes it: v = -mean over the text's rows of cos(token, row), and of that (v - min +
 * 1e-6) / (max - min) over the tokens; 1 where all are alike. Tokens and text must share their space (a projected
 * output). tokens [n, d], text [n_text, d] -> [n] */
#include <string.h>

#include "select/pick.h"
#include "select/score.h"
#include "select/similar.h"

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_TEXT_QUERY, PARE__LAYER_HERE};
    return 2;
}

/* sum [d] of the n rows of text: the mean of n cosines is one product with it. */
static void add_up(const float *text, int64_t n, int64_t d, double *sum)
{
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++) sum[c] += (double)text[i * d + c];
}

/* -mean cosine of unit row x [d] with n unit rows that add up to sum [d]. */
static double aversion(const float *x, const double *sum, int64_t n, int64_t d)
{
    double along = 0;
    for (int64_t c = 0; c < d; c++) along += (double)x[c] * sum[c];
    return -along / (double)n;
}

static void spread(double *v, int64_t n, float *out)
{
    double lo = v[0], hi = v[0];
    for (int64_t i = 1; i < n; i++) {
        lo = v[i] < lo ? v[i] : lo;
        hi = v[i] > hi ? v[i] : hi;
    }
    for (int64_t i = 0; i < n; i++) out[i] = hi > lo ? (float)((v[i] - lo + 1e-6) / (hi - lo)) : 1;
}

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    int32_t d = 0;
    const float *x = pare__require(v, "text", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    if (!v->text || v->n_text < 1)
        return pare_fail(err, PARE_E_INVALID, "score 'text' needs text_query, which nobody gave");
    if (v->d_text != d)
        return pare_fail(err, PARE_E_INVALID, "score 'text': text_query is %d wide, the tokens are %d", (int)v->d_text,
                         (int)d);
    const float *text = pare__unit_rows(v, v->text, d, NULL, v->n_text), *unit = pare__unit_rows(v, x, d, NULL, v->n);
    double *value = PARE__ARENA(v->arena, double, v->n), *sum = PARE__ARENA(v->arena, double, d);
    const int rc = text && unit && value && sum ? 0 : PARE_E_NOMEM;
    if (!rc) add_up(text, v->n_text, d, sum);
    for (int64_t i = 0; !rc && i < v->n; i++) value[i] = aversion(unit + i * d, sum, v->n_text, d);
    if (!rc) spread(value, v->n, out);
    return rc;
}

const pare__score pare__score_text = {
    .name = "text",
    .summary = "relevance to the given text",
    .cite = "Zhang et al., CDPruner, NeurIPS 2025, arXiv 2506.10967; Theia-4869/CDPruner llava/model/llava_arch.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .needs = needs,
    .compute = compute,
};
