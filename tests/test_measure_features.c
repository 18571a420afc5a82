/* SPDX-License-Identifier: MIT */
/* Metrics over features: every value against its definition, written out plainly; and what must not be undefined. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "measure_toy.h"
#include "measure/metric.h"

static toy full, cut, other;

static void free_toys(void)
{
    toy_free(&full);
    toy_free(&cut);
    toy_free(&other);
}

static void expect(const char *name, double want)
{
    const double got = toy_measure(&cut, &full, name);
    ck_assert_msg(fabs(got - want) <= 1e-9, "%s: %.12g, %.12g expected", name, got, want);
}

static void expect_undefined(const char *name) { ck_assert_msg(isnan(toy_measure(&cut, &full, name)), "%s", name); }

static double plain_cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int32_t i = 0; i < TOY_DIM; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static const float *unit_of(const toy *t, int64_t i) { return t->embeds + i * TOY_DIM; }

/* Row of `cut` whose anchor's reference token is most like unit i's. */
static int64_t plain_nearest(int64_t i, double *cosine)
{
    int64_t best = 0;
    *cosine = -2;
    for (int64_t j = 0; j < cut.v.k; j++) {
        const double c = plain_cosine(unit_of(&full, i), unit_of(&full, cut.v.map.anchor[j]));
        if (c <= *cosine) continue;
        *cosine = c;
        best = j;
    }
    return best;
}

/* ---- large windows --------------------------------------------------------------------------------------------------- */

START_TEST(test_many_units)
{
    enum { N = 4 * 1600, SEEN = 4096, K = 16 };
    int32_t keep[K];
    double sum = 0, best;
    toy_full(&full, 4, 40, 40, 5);
    for (int32_t j = 0; j < K; j++) keep[j] = 371 * j + 5;
    toy_keep(&cut, &full, keep, K);
    for (int64_t i = 0; i < SEEN; i++) {
        plain_nearest(i * N / SEEN, &best);
        sum += best;
    }
    expect("facility_coverage_cosine", sum / SEEN);
    expect("represented_share", (double)K / N);
    free_toys();
}
END_TEST

/* ---- the same result twice ------------------------------------------------------------------------------------------ */

START_TEST(test_itself)
{
    static const char *const one[] = {"cls_cosine",
                                      "pooled_cosine",
                                      "tokens_mean_cosine",
                                      "logit_agreement_share",
                                      "linear_cka_ratio",
                                      "unmerge_cosine",
                                      "survivor_cosine",
                                      "facility_coverage_cosine",
                                      "theta_coverage_90_share",
                                      "cover_cosine_min_cosine",
                                      "represented_share",
                                      "effective_rank_ratio",
                                      "kept_iou_share",
                                      "grouping_nmi_ratio",
                                      "score_spearman_rho"};
    toy_full(&full, 3, 4, 5, 1);
    toy_full(&cut, 3, 4, 5, 1);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) expect(one[i], 1);
    expect("logit_kl_nats", 0);
    expect("unmerge_relative_mse_ratio", 0);
    free_toys();
}
END_TEST

/* ---- pruned ---------------------------------------------------------------------------------------------------------- */

static const int32_t some[] = {1, 2, 7, 20, 21, 39, 55};

static void prune_some(void)
{
    toy_full(&full, 3, 4, 5, 2); /* slots of 20 */
    toy_keep(&cut, &full, some, 7);
}

START_TEST(test_pruned_coverage)
{
    double sum = 0, least = 1, at_70 = 0;
    prune_some();
    for (int64_t i = 0; i < full.v.n; i++) {
        double c;
        plain_nearest(i, &c);
        sum += c;
        least = fmin(least, c);
        at_70 += c >= 0.7;
    }
    expect("facility_coverage_cosine", sum / 60);
    expect("cover_cosine_min_cosine", least);
    expect("theta_coverage_70_share", at_70 / 60);
    expect("represented_share", 7. / 60);
    expect("survivor_cosine", 1);
    free_toys();
}
END_TEST

/* Rows that moved since: a lost unit is found by the reference's features and takes the row's new ones. */
START_TEST(test_pruned_rebuilt)
{
    double sum = 0, error = 0, norm = 0, survivors = 0;
    prune_some();
    for (int64_t j = 0; j < 7 * TOY_DIM; j++) cut.embeds[j] += (float)sin((double)j);
    for (int64_t i = 0; i < full.v.n; i++) {
        double c;
        const float *a = unit_of(&full, i), *b = unit_of(&cut, plain_nearest(i, &c));
        sum += plain_cosine(a, b);
        for (int32_t e = 0; e < TOY_DIM; e++) {
            error += ((double)a[e] - (double)b[e]) * ((double)a[e] - (double)b[e]);
            norm += (double)a[e] * (double)a[e];
        }
    }
    for (int64_t j = 0; j < 7; j++) survivors += plain_cosine(unit_of(&full, some[j]), unit_of(&cut, j));
    expect("unmerge_cosine", sum / 60);
    expect("unmerge_relative_mse_ratio", error / norm);
    expect("survivor_cosine", survivors / 7);
    free_toys();
}
END_TEST

START_TEST(test_pruned_mean)
{
    double sum = 0;
    static const int32_t first[] = {0, 3, 6, 7}; /* of rows per slot */
    prune_some();
    for (int32_t s = 0; s < 3; s++) {
        float a[TOY_DIM] = {0}, b[TOY_DIM] = {0};
        for (int64_t i = 20 * s; i < 20 * s + 20; i++)
            for (int32_t e = 0; e < TOY_DIM; e++) a[e] += unit_of(&full, i)[e];
        for (int64_t j = first[s]; j < first[s + 1]; j++)
            for (int32_t e = 0; e < TOY_DIM; e++) b[e] += unit_of(&cut, j)[e];
        sum += plain_cosine(a, b);
    }
    ck_assert_double_eq_tol(toy_measure(&cut, &full, "tokens_mean_cosine"), sum / 3, 1e-6);
    free_toys();
}
END_TEST

/* A slot without rows counts in no mean over slots with rows; a window without rows has no value. */
START_TEST(test_no_rows)
{
    static const int32_t last[] = {40, 41};
    toy_full(&full, 3, 4, 5, 3);
    toy_keep(&cut, &full, last, 2);
    ck_assert(toy_measure(&cut, &full, "tokens_mean_cosine") > -1);
    toy_free(&cut);
    toy_keep(&cut, &full, last, 0);
    static const char *const undefined[] = {
        "tokens_mean_cosine",    "linear_cka_ratio",         "unmerge_cosine",          "unmerge_relative_mse_ratio",
        "survivor_cosine",       "facility_coverage_cosine", "theta_coverage_50_share", "cover_cosine_min_cosine",
        "effective_rank_tokens", "effective_rank_ratio"};
    for (size_t i = 0; i < sizeof undefined / sizeof *undefined; i++) expect_undefined(undefined[i]);
    expect("represented_share", 0);
    expect("kept_iou_share", 0);
    free_toys();
}
END_TEST

/* ---- merged ---------------------------------------------------------------------------------------------------------- */

START_TEST(test_merged)
{
    int32_t group[40], anchor[8];
    double sum = 0;
    toy_full(&full, 2, 4, 5, 4);
    for (int32_t i = 0; i < 40; i++) group[i] = i / 20 * 4 + i % 4;
    for (int32_t j = 0; j < 8; j++) anchor[j] = j / 4 * 20 + j % 4;
    toy_group(&cut, &full, group, anchor, 8);
    for (int64_t i = 0; i < 40; i++) sum += plain_cosine(unit_of(&full, i), unit_of(&cut, group[i]));
    expect("unmerge_cosine", sum / 40);
    expect("represented_share", 1);
    ck_assert_double_eq_tol(toy_measure(&cut, &full, "survivor_cosine"), 1, 1e-6);
    ck_assert_double_eq_tol(toy_measure(&cut, &full, "tokens_mean_cosine"), 1, 1e-6);

    for (int32_t i = 0; i < 40; i++) group[i] = i / 20 * 4 + (i + 1) % 4; /* the same groups by other names */
    for (int32_t j = 0; j < 8; j++) anchor[j] = j / 4 * 20 + (j + 3) % 4;
    toy_group(&other, &full, group, anchor, 8);
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "grouping_nmi_ratio"), 1, 1e-12);
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "kept_iou_share"), 1, 1e-12);
    free_toys();
}
END_TEST

/* ---- logits ----------------------------------------------------------------------------------------------------------- */

START_TEST(test_logits)
{
    toy_full(&full, 2, 2, 2, 5);
    toy_full(&cut, 2, 2, 2, 5);
    full.v.n_class = cut.v.n_class = 2;
    memcpy(full.logits, (float[]){1, 1, 0, 3}, 4 * sizeof(float));
    memcpy(cut.logits, (float[]){(float)log(3), 0, 9, 12}, 4 * sizeof(float));
    ck_assert_double_eq_tol(toy_measure(&cut, &full, "logit_kl_nats"), .25 * log(4. / 3), 1e-7);
    expect("logit_agreement_share", 1);
    memcpy(cut.logits, (float[]){0, 1, 20000, -20000}, 4 * sizeof(float));
    expect("logit_agreement_share", 0);
    ck_assert(toy_measure(&cut, &full, "logit_kl_nats") >
              10000); /* far from finite sums of exponentials, still a number */
    cut.v.logits = NULL;
    cut.v.prefix = NULL;
    cut.v.pooled = NULL;
    cut.v.scores = NULL;
    expect_undefined("logit_kl_nats");
    expect_undefined("logit_agreement_share");
    expect_undefined("cls_cosine");
    expect_undefined("pooled_cosine");
    expect_undefined("score_spearman_rho");
    free_toys();
}
END_TEST

START_TEST(test_slots)
{
    toy_full(&full, 2, 2, 2, 6);
    toy_full(&cut, 2, 2, 2, 7);
    expect("cls_cosine",
           .5 * (plain_cosine(full.prefix, cut.prefix) + plain_cosine(full.prefix + TOY_DIM, cut.prefix + TOY_DIM)));
    expect("pooled_cosine",
           .5 * (plain_cosine(full.pooled, cut.pooled) + plain_cosine(full.pooled + TOY_DIM, cut.pooled + TOY_DIM)));
    free_toys();
}
END_TEST

/* ---- agreement -------------------------------------------------------------------------------------------------------- */

START_TEST(test_agreement)
{
    static const int32_t mine[] = {0, 1, 2, 3}, theirs[] = {2, 3, 4, 5, 6, 7};
    toy_full(&full, 1, 4, 5, 8);
    toy_keep(&cut, &full, mine, 4);
    toy_keep(&other, &full, theirs, 6);
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "kept_iou_share"), 2. / 8, 1e-12);
    /* lost units are one group: H of 4 ones and a 16, H of 6 ones and a 14; jointly 8 ones (2 shared, 2 and 4 apart) and 12 */
    const double l = log(20), a = l - 16 * log(16) / 20, b = l - 14 * log(14) / 20, ab = l - 12 * log(12) / 20;
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "grouping_nmi_ratio"), 2 * (a + b - ab) / (a + b), 1e-12);
    for (int32_t i = 0; i < 20; i++) other.scores[i] = -cut.scores[i];
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "score_spearman_rho"), -1, 1e-12);
    cut.scores[3] = NAN; /* no pair, no part in it */
    ck_assert_double_eq_tol(toy_measure(&cut, &other, "score_spearman_rho"), -1, 1e-12);
    for (int32_t i = 1; i < 20; i++) cut.scores[i] = NAN;
    ck_assert(isnan(toy_measure(&cut, &other, "score_spearman_rho")));
    free_toys();
}
END_TEST

/* ---- a grid of its own ------------------------------------------------------------------------------------------------ */

START_TEST(test_resized)
{
    double sum = 0, most = 0;
    toy_full(&full, 2, 4, 6, 9);
    toy_full(&cut, 2, 2, 3, 10);
    for (int64_t i = 0; i < 4 * cut.v.k; i++) cut.box[i] *= 2; /* the same picture in larger units */
    for (int64_t i = 0; i < full.v.n; i++) {
        const int64_t row = i / 24 * 6 + i % 24 / 6 / 2 * 3 + i % 6 / 2;
        double best = -1;
        sum += plain_cosine(unit_of(&full, i), unit_of(&cut, row));
        for (int64_t j = 0; j < cut.v.k; j++) best = fmax(best, plain_cosine(unit_of(&full, i), unit_of(&cut, j)));
        most += best;
    }
    expect("unmerge_cosine", sum / 48);
    expect("facility_coverage_cosine", most / 48);
    expect("represented_share", 1);
    expect_undefined("survivor_cosine");
    expect_undefined("kept_iou_share");
    expect_undefined("grouping_nmi_ratio");
    expect_undefined("score_spearman_rho");
    free_toys();
}
END_TEST

/* ---- what is left when there is nothing to see -------------------------------------------------------------------------- */

START_TEST(test_constant)
{
    toy_full(&full, 1, 4, 5, 11);
    for (int64_t i = 0; i < full.v.n * TOY_DIM; i++) full.embeds[i] = (float)(1 + i % TOY_DIM) / 3;
    toy_keep(&cut, &full, some, 3);
    expect_undefined("linear_cka_ratio");
    expect("unmerge_cosine", 1);
    expect("unmerge_relative_mse_ratio", 0);
    expect("facility_coverage_cosine", 1);
    expect("cover_cosine_min_cosine", 1);
    expect("effective_rank_tokens", 1);
    expect("effective_rank_ratio", 1);
    free_toys();
}
END_TEST

START_TEST(test_zero)
{
    toy_full(&full, 1, 4, 5, 12);
    memset(full.embeds, 0, sizeof full.embeds);
    toy_keep(&cut, &full, some, 3);
    expect("unmerge_cosine", 1);
    expect("unmerge_relative_mse_ratio", 0);
    expect("facility_coverage_cosine", 1);
    expect("survivor_cosine", 1);
    expect("tokens_mean_cosine", 1);
    expect_undefined("effective_rank_tokens");
    expect_undefined("effective_rank_ratio");
    expect_undefined("linear_cka_ratio");
    cut.embeds[0] = 1; /* something out of nothing */
    expect("survivor_cosine", 2. / 3);
    expect_undefined("unmerge_relative_mse_ratio");
    free_toys();
}
END_TEST

START_TEST(test_single)
{
    static const int32_t only[] = {0};
    toy_full(&full, 1, 1, 1, 13);
    toy_keep(&cut, &full, only, 1);
    expect("unmerge_cosine", 1);
    expect("facility_coverage_cosine", 1);
    expect("effective_rank_tokens", 1);
    expect("grouping_nmi_ratio", 1);
    expect_undefined("linear_cka_ratio");
    expect_undefined("score_spearman_rho");
    free_toys();
}
END_TEST

static void expect_refused(const char *name, const toy *reference, const char *text)
{
    pare_error err = {0};
    double value = 0;
    const int rc = pare__measure(&cut.v, reference ? &reference->v : NULL, &pare__dense_c, &name, 1, &value, &err);
    ck_assert_int_eq(rc, PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(test_references)
{
    prune_some();
    toy_keep(&other, &full, some, 6);
    expect_refused("unmerge_cosine", NULL, "none");
    expect_refused("facility_coverage_cosine", &other, "6 of 60 units");
    expect_refused("linear_cka_ratio", &other, "6 of 60 units");
    expect_refused("survivor_cosine", &other, "6 of 60 units");
    free_toys();
}
END_TEST

/* One row per metric: a name that ends in its unit, everything said. */
START_TEST(test_tables)
{
    static const pare__metric *const table[] = {pare__met_fidelity, pare__met_coverage, pare__met_agreement};
    int32_t n = 0;
    for (int32_t t = 0; t < 3; t++)
        for (const pare__metric *m = table[t]; m->name; m++, n++) {
            const size_t length = strlen(m->name), unit = strlen(m->unit);
            ck_assert_msg(length > unit && !strcmp(m->name + length - unit, m->unit), "%s", m->name);
            ck_assert_msg(m->summary && m->formula && m->cite && m->compute, "%s", m->name);
            ck_assert(pare__metric_find(m->name) == m);
        }
    ck_assert_int_eq(n, 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("measure_features");
    TCase *tc = tcase_create("metrics");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_many_units);
    tcase_add_test(tc, test_itself);
    tcase_add_test(tc, test_pruned_coverage);
    tcase_add_test(tc, test_pruned_rebuilt);
    tcase_add_test(tc, test_pruned_mean);
    tcase_add_test(tc, test_no_rows);
    tcase_add_test(tc, test_merged);
    tcase_add_test(tc, test_logits);
    tcase_add_test(tc, test_slots);
    tcase_add_test(tc, test_agreement);
    tcase_add_test(tc, test_resized);
    tcase_add_test(tc, test_constant);
    tcase_add_test(tc, test_zero);
    tcase_add_test(tc, test_single);
    tcase_add_test(tc, test_references);
    tcase_add_test(tc, test_tables);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
