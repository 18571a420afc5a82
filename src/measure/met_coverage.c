/* SPDX-License-Identifier: MIT */
/* How much of the picture's features is still there: similarities of all units with the kept ones, units that some row
 * stands for, effective rank. */
#include <math.h>

#include "core/limits.h"
#include "core/mem.h"
#include "measure/scene.h"

#define BEST "best(i) = max over kept j of cos(x_i, x_j), x the reference's tokens (resize: x_j its own rows); "
#define FACILITY                                                                                                       \
    "facility location; Deng et al., SCOPE, NeurIPS 2025, arXiv 2510.24214; kinredon/SCOPE scope/clip_encoder.py"

/* ---- similarity with what is kept ---------------------------------------------------------------------------------- */

static int facility(pare__scene *s, double *out, pare_error *err)
{
    const int rc = s->v->k ? pare__scene_nearest(s, err) : 0;
    *out = NAN;
    if (rc || !s->v->k) return rc;
    double sum = 0;
    for (int64_t i = 0; i < s->n_seen; i++) sum += s->cosine[i];
    *out = sum / (double)s->n_seen;
    return 0;
}

static int least(pare__scene *s, double *out, pare_error *err)
{
    const int rc = s->v->k ? pare__scene_nearest(s, err) : 0;
    *out = NAN;
    if (rc || !s->v->k) return rc;
    *out = 1;
    for (int64_t i = 0; i < s->n_seen; i++) *out = fmin(*out, s->cosine[i]);
    return 0;
}

/* Share of units whose best cosine reaches theta. */
static int share_above(pare__scene *s, double theta, double *out, pare_error *err)
{
    const int rc = s->v->k ? pare__scene_nearest(s, err) : 0;
    *out = NAN;
    if (rc || !s->v->k) return rc;
    int64_t reached = 0;
    for (int64_t i = 0; i < s->n_seen; i++) reached += s->cosine[i] >= theta;
    *out = (double)reached / (double)s->n_seen;
    return 0;
}

static int theta_50(pare__scene *s, double *out, pare_error *err) { return share_above(s, 0.5, out, err); }
static int theta_70(pare__scene *s, double *out, pare_error *err) { return share_above(s, 0.7, out, err); }
static int theta_90(pare__scene *s, double *out, pare_error *err) { return share_above(s, 0.9, out, err); }

/* ---- what rows stand for ------------------------------------------------------------------------------------------- */

static int represented(pare__scene *s, double *out, pare_error *err)
{
    const int rc = pare__scene_owner(s, err);
    if (rc) return rc;
    int64_t count = 0;
    for (int64_t i = 0; i < s->n; i++) count += s->owner[i] >= 0;
    *out = (double)count / (double)s->n;
    return 0;
}

/* ---- effective rank ------------------------------------------------------------------------------------------------ */

static int rank_of_rows(pare__scene *s, double *out, pare_error *err)
{
    const pare_result_view *v = s->v;
    *out = NAN;
    if (!v->k) return 0;
    const pare__mark mark = pare__arena_mark(&s->arena);
    const int64_t seen = v->k < PARE__MAX_MEASURED ? v->k : PARE__MAX_MEASURED, d = v->d;
    double *row = PARE__ARENA(&s->arena, double, seen *d);
    if (!row) return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld rows", (long long)seen);
    for (int64_t j = 0; j < seen; j++)
        for (int64_t i = 0; i < d; i++) row[j * d + i] = (double)v->embeds[pare__seen(j, seen, v->k) * d + i];
    const int rc = pare__effective_rank(s->dense, row, seen, d, out, err);
    pare__arena_reset(&s->arena, mark);
    return rc;
}

static int rank_ratio(pare__scene *s, double *out, pare_error *err)
{
    double of_rows = NAN, of_all = NAN;
    int rc = pare__scene_units(s, err);
    if (!rc) rc = rank_of_rows(s, &of_rows, err);
    if (!rc) rc = pare__effective_rank(s->dense, s->unit, s->n_seen, s->v->d, &of_all, err);
    *out = of_rows / of_all;
    return rc;
}

const pare__metric pare__met_coverage[] = {
    {.name = "facility_coverage_cosine",
     .unit = "cosine",
     .summary = "how similar the tokens are, on average, to their most similar kept one",
     .formula = BEST "mean of best(i) over all units of the window",
     .cite = FACILITY,
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = facility},
    {.name = "theta_coverage_50_share",
     .unit = "share",
     .summary = "tokens with a kept one at a cosine of at least 0.5",
     .formula = BEST "share of units with best(i) >= 0.5",
     .cite = FACILITY,
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = theta_50},
    {.name = "theta_coverage_70_share",
     .unit = "share",
     .summary = "tokens with a kept one at a cosine of at least 0.7",
     .formula = BEST "share of units with best(i) >= 0.7",
     .cite = FACILITY,
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = theta_70},
    {.name = "theta_coverage_90_share",
     .unit = "share",
     .summary = "tokens with a kept one at a cosine of at least 0.9",
     .formula = BEST "share of units with best(i) >= 0.9",
     .cite = FACILITY,
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = theta_90},
    {.name = "cover_cosine_min_cosine",
     .unit = "cosine",
     .summary = "the token that is worst off: its most similar kept one",
     .formula = BEST "minimum of best(i) over all units of the window",
     .cite = "covering radius in feature space; ours",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = least},
    {.name = "represented_share",
     .unit = "share",
     .summary = "units that some row stands for, be it kept, merged or a run",
     .formula =
         "share of units that are a column or member of a row of the map (resize: whose centre lies in a row's box)",
     .cite = "ours",
     .reads = PARE__READS_REFERENCE,
     .better = 1,
     .compute = represented},
    {.name = "effective_rank_tokens",
     .unit = "tokens",
     .summary = "how many independent directions the rows hold; more are not better by themselves",
     .formula = "exp(-sum p ln p), p = singular values of the rows / their sum",
     .cite = "Roy and Vetterli, The effective rank, EUSIPCO 2007; cvsp-lab/AgilePruner",
     .compute = rank_of_rows},
    {.name = "effective_rank_ratio",
     .unit = "ratio",
     .summary = "effective rank of the rows against that of all tokens of the reference",
     .formula =
         "erank(rows) / erank(reference), may exceed 1; erank = exp(-sum p ln p), p = singular values / their sum",
     .cite = "Roy and Vetterli, The effective rank, EUSIPCO 2007; cvsp-lab/AgilePruner",
     .reads = PARE__READS_REFERENCE,
     .compute = rank_ratio},
    {.name = NULL},
};
