/* SPDX-License-Identifier: MIT */
/* Columns of the bench over the library's real metrics: none is missing, none is without a group, keys are unique. */
#include <check.h>
#include <string.h>

#include "../tools/bench/bench.h"

static int is_column(const char *name) { return bench_column_find(name) >= 0; }

START_TEST(every_metric_of_one_reduction_is_a_column)
{
    pare_list_entry m = {.struct_size = sizeof m};
    int32_t n, n_column = 0, n_other = 0, i = 0;
    for (; pare_list(PARE_LIST_METRICS, i, &m) == 0; i++) {
        int other = strstr(m.flags, "other") != NULL;
        ck_assert_msg(is_column(m.name) != other, "%s", m.name);
        n_column += !other;
        n_other += other;
    }
    bench_columns(&n);
    ck_assert_int_ge(i, 20);
    ck_assert_int_gt(n_other, 0);
    ck_assert_int_eq(n, BENCH_OWN_COLUMNS + n_column);
    ck_assert_int_lt(n, BENCH_MAX_COLUMNS);
}
END_TEST

START_TEST(columns_are_well_formed)
{
    static const char *const groups[] = {"cost",       "accuracy", "fidelity", "coverage",
                                         "uniformity", "bias",     "boxes",    "steps"};
    int32_t n;
    const bench_column *c = bench_columns(&n);
    for (int32_t i = 0; i < n; i++) {
        size_t g = 0;
        while (g < sizeof groups / sizeof *groups && strcmp(c[i].group, groups[g]) != 0) g++;
        ck_assert_msg(g < sizeof groups / sizeof *groups, "%s: %s", c[i].key, c[i].group);
        ck_assert_int_eq(bench_column_find(c[i].key), i);
        ck_assert(c[i].title != NULL && *c[i].title != '\0' && strchr(c[i].title, '_') == NULL);
        ck_assert_int_eq(c[i].metric != NULL, i >= BENCH_OWN_COLUMNS);
        ck_assert_int_eq((c[i].flags & BENCH_IS_PERCENT) != 0, strstr(c[i].key, "_percent") != NULL);
    }
    ck_assert_int_eq(bench_column_find("no_such_column"), -1);
}
END_TEST

START_TEST(kinds_of_metrics)
{
    static const struct {
        const char *key, *group;
        unsigned flags;
    } known[] = {{"cls_cosine", "fidelity", BENCH_OF_CLS},
                 {"pooled_cosine", "fidelity", BENCH_OF_CLS},
                 {"logit_kl_nats", "fidelity", BENCH_OF_CLS},
                 {"logit_agreement_share", "fidelity", BENCH_OF_CLS},
                 {"survivor_cosine", "fidelity", BENCH_OF_FULL},
                 {"unmerge_cosine", "fidelity", 0},
                 {"facility_coverage_cosine", "coverage", 0},
                 {"effective_rank_tokens", "coverage", 0},
                 {"cover_chebyshev_max_patches", "uniformity", 0},
                 {"clark_evans_ratio", "uniformity", 0},
                 {"longest_gap_steps", "steps", 0},
                 {"spearman_raster_rho", "bias", 0},
                 {"score_top1_share", "bias", 0}};
    int32_t n;
    const bench_column *c = bench_columns(&n);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int32_t at = bench_column_find(known[i].key);
        ck_assert_msg(at >= 0, "%s", known[i].key);
        ck_assert_str_eq(c[at].group, known[i].group);
        ck_assert_uint_eq(c[at].flags, known[i].flags);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench_columns");
    TCase *t = tcase_create("columns");
    tcase_add_test(t, every_metric_of_one_reduction_is_a_column);
    tcase_add_test(t, columns_are_well_formed);
    tcase_add_test(t, kinds_of_metrics);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
