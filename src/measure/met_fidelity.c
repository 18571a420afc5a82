/* SPDX-License-Identifier: MIT */
/* How much a reduction changes what leaves the encoder: CLS, pooled features, logits and tokens against the run without
 * reduction. Mean over slots where a slot has one value, over units or rows where those have. */
#include <math.h>

#include "core/mem.h"
#include "measure/features.h"
#include "measure/scene.h"

/* ---- one vector per slot ------------------------------------------------------------------------------------------- */

/* Mean cosine of a[slots, stride] with b[slots, stride], the first d of each; NaN where one is missing. Both results have
 * the same slots and the same d: pare__measure has seen to that. */
static double slots_cosine(const pare__scene *s, const float *a, const float *b, int64_t stride, int64_t d)
{
    if (!a || !b) return NAN;
    double sum = 0;
    for (int32_t t = 0; t < s->v->grid[0]; t++) sum += pare__cosine_f32(a + t * stride, b + t * stride, d);
    return sum / s->v->grid[0];
}

static int cls_cosine(pare__scene *s, double *out, pare_error *err)
{
    const pare_result_view *v = s->v, *ref = s->other;
    (void)err;
    *out = NAN;
    if (v->n_prefix > 0 && v->n_prefix == ref->n_prefix)
        *out = slots_cosine(s, v->prefix, ref->prefix, (int64_t)v->n_prefix * v->d, v->d);
    return 0;
}

static int pooled_cosine(pare__scene *s, double *out, pare_error *err)
{
    (void)err;
    *out = slots_cosine(s, s->v->pooled, s->other->pooled, s->v->d, s->v->d);
    return 0;
}

/* sum += factor * row [d] */
static void add_row(double *sum, double factor, const float *row, int64_t d)
{
    for (int64_t i = 0; i < d; i++) sum[i] += factor * (double)row[i];
}

/* Mean [d] of the rows of slot t, weighted by size or (plain) by one; the length does not matter to a cosine. */
static void slot_sum(const pare_result_view *v, int32_t t, int plain, double *sum)
{
    for (int64_t i = 0; i < v->d; i++) sum[i] = 0;
    for (int64_t j = v->row_start[t]; j < v->row_start[t + 1]; j++)
        add_row(sum, plain ? 1 : (double)v->sizes[j], v->embeds + j * v->d, v->d);
}

static int tokens_mean_cosine(pare__scene *s, double *out, pare_error *err)
{
    const pare_result_view *v = s->v, *ref = s->other;
    const pare__mark mark = pare__arena_mark(&s->arena);
    *out = NAN;
    double *a = PARE__ARENA(&s->arena, double, 2 * (int64_t)v->d), *b = a + v->d, sum = 0;
    int32_t n = 0;
    if (!a) return pare_fail(err, PARE_E_NOMEM, "out of memory for two means of %d elements", v->d);
    for (int32_t t = 0; t < v->grid[0]; t++) {
        if (v->row_start[t] == v->row_start[t + 1]) continue;
        slot_sum(v, t, 0, a);
        slot_sum(ref, t, 1, b);
        sum += pare__cosine(a, b, v->d);
        n++;
    }
    if (n > 0) *out = sum / n;
    pare__arena_reset(&s->arena, mark);
    return 0;
}

/* ---- logits -------------------------------------------------------------------------------------------------------- */

static int has_logits(const pare__scene *s)
{
    return s->v->logits && s->other->logits && s->v->n_class == s->other->n_class && s->v->n_class > 0;
}

/* ln of the sum of exp(x[n]). */
static double log_sum_exp(const float *x, int64_t n)
{
    double most = (double)x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) most = fmax(most, (double)x[i]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

/* KL of the softmaxes of a[n] and b[n]. */
static double softmax_kl(const float *a, const float *b, int64_t n)
{
    const double of_a = log_sum_exp(a, n), of_b = log_sum_exp(b, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = (double)a[i] - of_a, q = (double)b[i] - of_b;
        sum += exp(p) * (p - q);
    }
    return fmax(0, sum);
}

static int64_t largest(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static int logit_kl(pare__scene *s, double *out, pare_error *err)
{
    const int64_t n = s->v->n_class, n_slot = s->v->grid[0];
    double sum = 0;
    (void)err;
    *out = NAN;
    if (!has_logits(s)) return 0;
    for (int64_t t = 0; t < n_slot; t++) sum += softmax_kl(s->other->logits + t * n, s->v->logits + t * n, n);
    *out = sum / (double)n_slot;
    return 0;
}

static int logit_agreement(pare__scene *s, double *out, pare_error *err)
{
    const int64_t n = s->v->n_class, n_slot = s->v->grid[0];
    int64_t equal = 0;
    (void)err;
    *out = NAN;
    if (!has_logits(s)) return 0;
    for (int64_t t = 0; t < n_slot; t++)
        equal += largest(s->other->logits + t * n, n) == largest(s->v->logits + t * n, n);
    *out = (double)equal / (double)n_slot;
    return 0;
}

/* ---- all tokens, un-merged ----------------------------------------------------------------------------------------- */

static int linear_cka(pare__scene *s, double *out, pare_error *err)
{
    *out = NAN;
    const int rc = s->v->k ? pare__scene_rebuilt(s, err) : 0;
    if (rc || !s->v->k) return rc;
    if (pare__linear_cka(s->dense, s->unit, s->v->d, s->rebuilt, s->v->d, s->n_seen, out))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for the similarity of %lld tokens", (long long)s->n_seen);
    return 0;
}

/* Cosine and relative error of the un-merged tokens; NaN without rows. */
static int unmerge_errors(pare__scene *s, double *cosine, double *relative, pare_error *err)
{
    double mse;
    *cosine = *relative = NAN;
    const int rc = s->v->k ? pare__scene_rebuilt(s, err) : 0;
    if (!rc && s->v->k) pare__row_errors(s->unit, s->rebuilt, s->n_seen, s->v->d, cosine, &mse, relative);
    return rc;
}

static int unmerge_cosine(pare__scene *s, double *out, pare_error *err)
{
    double relative;
    return unmerge_errors(s, out, &relative, err);
}

static int unmerge_relative(pare__scene *s, double *out, pare_error *err)
{
    double cosine;
    return unmerge_errors(s, &cosine, out, err);
}

/* ---- survivors ----------------------------------------------------------------------------------------------------- */

/* Cosine of row j with what the map makes of the reference's tokens; sum [d] is scratch, a gain does not turn it unless
 * it is zero. */
static double survivor(const pare_result_view *v, const float *reference, int64_t j, double *sum, double *row)
{
    const pare_map *map = &v->map;
    const double gain = map->gain ? (double)map->gain[j] : 1;
    for (int64_t i = 0; i < v->d; i++) {
        sum[i] = 0;
        row[i] = (double)v->embeds[j * v->d + i];
    }
    for (int64_t e = map->row_start[j]; e < map->row_start[j + 1]; e++)
        add_row(sum, gain * (double)map->weight[e], reference + (int64_t)map->index[e] * v->d, v->d);
    return pare__cosine(sum, row, v->d);
}

static int survivor_cosine(pare__scene *s, double *out, pare_error *err)
{
    const pare_result_view *v = s->v;
    *out = NAN;
    if (!pare__scene_same_grid(s) || !v->k) return 0;
    const int rc = pare__scene_units(s, err);
    if (rc) return rc;
    const pare__mark mark = pare__arena_mark(&s->arena);
    double *scratch = PARE__ARENA(&s->arena, double, 2 * (int64_t)v->d), sum = 0;
    if (!scratch) return pare_fail(err, PARE_E_NOMEM, "out of memory for a row of %d elements", v->d);
    for (int64_t j = 0; j < v->k; j++) sum += survivor(v, s->other->embeds, j, scratch, scratch + v->d);
    *out = sum / (double)v->k;
    pare__arena_reset(&s->arena, mark);
    return 0;
}

#define UNMERGED                                                                                                       \
    "y_i = the row that stands for unit i, else the row of the kept unit whose reference token is most similar "       \
    "(resize: "                                                                                                        \
    "the most similar row); x_i = the reference's token; "

const pare__metric pare__met_fidelity[] = {
    {.name = "cls_cosine",
     .unit = "cosine",
     .summary = "CLS token with that of the full run",
     .formula = "mean over slots of cos(CLS full, CLS reduced), after the final norm; n/a without a CLS token",
     .cite = "ours",
     .reads = PARE__READS_REFERENCE | PARE__READS_CLS,
     .better = 1,
     .compute = cls_cosine},
    {.name = "pooled_cosine",
     .unit = "cosine",
     .summary = "pooled feature of the checkpoint's head with that of the full run",
     .formula = "mean over slots of cos(pooled full, pooled reduced)",
     .cite = "ours",
     .reads = PARE__READS_REFERENCE | PARE__READS_CLS,
     .better = 1,
     .compute = pooled_cosine},
    {.name = "tokens_mean_cosine",
     .unit = "cosine",
     .summary = "mean of the rows that are left with the mean of all tokens",
     .formula =
         "mean over slots with rows of cos(sum of size_j y_j, sum of x_i), y_j the slot's rows, x_i its tokens in the "
         "full run",
     .cite = "ours",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = tokens_mean_cosine},
    {.name = "logit_kl_nats",
     .unit = "nats",
     .summary = "how far the class probabilities move",
     .formula = "mean over slots of KL(softmax full || softmax reduced), natural log",
     .cite = "PrunaAI/pruna reports it of token merging",
     .reads = PARE__READS_REFERENCE | PARE__READS_LOGITS,
     .better = -1,
     .compute = logit_kl},
    {.name = "logit_agreement_share",
     .unit = "share",
     .summary = "slots whose first class stays the same",
     .formula = "share of slots with arg max full = arg max reduced",
     .cite = "PrunaAI/pruna reports it of token merging",
     .reads = PARE__READS_REFERENCE | PARE__READS_LOGITS,
     .better = 1,
     .compute = logit_agreement},
    {.name = "linear_cka_ratio",
     .unit = "ratio",
     .summary = "linear CKA of the un-merged tokens with the full run's",
     .formula =
         UNMERGED "|Y'X|^2 / (|X'X| |Y'Y|), Frobenius, columns centred over the window's units; n/a if one is constant",
     .cite = "Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019, arXiv 1905.00414",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = linear_cka},
    {.name = "unmerge_cosine",
     .unit = "cosine",
     .summary = "un-merged tokens with the full run's",
     .formula = UNMERGED "mean over units of cos(x_i, y_i)",
     .cite = "un-merging: Bolya and Hoffman, ToMe for Stable Diffusion, arXiv 2303.17604",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = unmerge_cosine},
    {.name = "unmerge_relative_mse_ratio",
     .unit = "ratio",
     .summary = "squared error of the un-merged tokens",
     .formula = UNMERGED "sum |x_i - y_i|^2 / sum |x_i|^2",
     .cite = "un-merging: Bolya and Hoffman, ToMe for Stable Diffusion, arXiv 2303.17604",
     .reads = PARE__READS_REFERENCE,
     .better = -1,
     .compute = unmerge_relative},
    {.name = "survivor_cosine",
     .unit = "cosine",
     .summary = "rows that are left with what the map alone would have made of the full run's tokens",
     .formula =
         "mean over rows j of cos(y_j, gain_j (R X)_j), X the full run's tokens; n/a for a grid of its own (resize)",
     .cite = "ours",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = survivor_cosine},
    {.name = NULL},
};
