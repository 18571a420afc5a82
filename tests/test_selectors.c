/* SPDX-License-Identifier: MIT */
/* Every selector over many shapes, property style. What each one promises by itself is in the other files of this binary. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/allocator.h"
#include "select_table.h"

START_TEST(invariants_and_exact_counts) { over_table(run_ok, NOISE, 0); }
END_TEST

START_TEST(invariants_on_reduced_sets) { over_table(run_ok, NOISE, THINNED); }
END_TEST

static int same_map(const pare_map *a, const pare_map *b)
{
    if (a->n_out != b->n_out || !a->member_start != !b->member_start) return 0;
    const int64_t nnz = a->n_out ? a->row_start[a->n_out] : 0;
    const size_t rows = (size_t)a->n_out * sizeof *a->anchor;
    if (memcmp(a->row_start, b->row_start, (size_t)(a->n_out + 1) * sizeof *a->row_start)) return 0;
    if (memcmp(a->anchor, b->anchor, rows) || memcmp(a->size, b->size, rows)) return 0;
    if (memcmp(a->index, b->index, (size_t)nnz * 4) || memcmp(a->weight, b->weight, (size_t)nnz * 4)) return 0;
    if (!a->member_start) return 1;
    return !memcmp(a->member_start, b->member_start, (size_t)(a->n_out + 1) * sizeof *a->member_start) &&
           !memcmp(a->member, b->member, (size_t)a->member_start[a->n_out] * 4);
}

static void twice(trial *t)
{
    pare__map again = {0};
    trial other = *t;
    other.map = &again;
    run_ok(t);
    run_ok(&other);
    ck_assert_msg(same_map(&t->map->m, &again.m), "%s differs between two runs", t->name);
    pare__map_fini(&again);
}

START_TEST(same_bytes_twice) { over_table(twice, NOISE, 0); }
END_TEST

static void other_seed(trial *t)
{
    pare__view *v = &t->look->view;
    const int random = (t->step->sel->flags & PARE__RANDOM) != 0;
    pare__map again = {0};
    trial other = *t;
    other.map = &again;
    if (random && (v->n < 60 || v->k < v->n / 4 || v->k > v->n / 2)) return;
    run_ok(t);
    v->seed++;
    run_ok(&other);
    v->seed--;
    ck_assert_msg(same_map(&t->map->m, &again.m) == !random, "%s and the seed", t->name);
    pare__map_fini(&again);
}

START_TEST(only_random_ones_use_the_seed) { over_table(other_seed, NOISE, 0); }
END_TEST

static void all_kept_is_identity(trial *t)
{
    const pare_map *m = &t->map->m;
    if (t->look->view.k != t->look->view.n) return;
    run_ok(t);
    ck_assert_int_eq(m->n_out, m->n_in);
    for (int64_t r = 0; r < m->n_out; r++) {
        ck_assert_int_eq(m->row_start[r + 1], r + 1);
        ck_assert(m->weight[r] == 1 && m->size[r] == 1 && m->index[r] == m->anchor[r]);
        ck_assert_int_eq(m->anchor[r], r);
    }
}

START_TEST(keeping_all_is_the_identity) { over_table(all_kept_is_identity, NOISE, 0); }
END_TEST

static void sizes_sum(trial *t)
{
    if (strcmp(t->name, "tome")) return;
    run_ok(t);
    double sum = 0;
    for (int64_t r = 0; r < t->map->m.n_out; r++) sum += t->map->m.size[r];
    ck_assert_double_eq(sum, (double)t->look->view.n);
    ck_assert_int_eq(pare__map_check(&t->map->m, PARE__MAP_PARTITION, NULL), 0);
}

START_TEST(merged_sizes_sum_to_n) { over_table(sizes_sum, NOISE, 0); }
END_TEST

START_TEST(tables_are_complete)
{
    for (int i = 0; pare__selectors[i]; i++) {
        const pare__selector *s = pare__selectors[i];
        ck_assert(s->name && s->summary && s->cite && s->sites && (s->sites & (unsigned)s->default_site));
        ck_assert(!s->select == (s->sites == PARE__SITE_FRAMES) && !s->select == !!s->plan_grid);
        ck_assert_ptr_eq(pare__selector_find(s->name), s);
        ck_assert(!(s->flags & PARE__USES_SCORE) || pare__score_find(s->default_score));
    }
    for (int i = 0; pare__scores[i]; i++) ck_assert_ptr_eq(pare__score_find(pare__scores[i]->name), pare__scores[i]);
    ck_assert_ptr_eq(pare__allocator_find("equal"), pare__allocators[0]);
    ck_assert_ptr_null(pare__selector_find("nonsense"));
    for (int i = 0; pare__methods[i].name; i++) {
        ck_assert(pare__methods[i].recipe && pare__methods[i].summary && pare__methods[i].cite);
        ck_assert_ptr_null(pare__selector_find(pare__methods[i].name));
    }
}
END_TEST

Suite *spread_merge_suite(void);
Suite *temporal_suite(void);
Suite *score_suite(void);

static Suite *selector_suite(void)
{
    Suite *s = suite_create("selectors");
    TCase *c = tcase_create("table");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, tables_are_complete);
    tcase_add_test(c, invariants_and_exact_counts);
    tcase_add_test(c, invariants_on_reduced_sets);
    tcase_add_test(c, same_bytes_twice);
    tcase_add_test(c, only_random_ones_use_the_seed);
    tcase_add_test(c, keeping_all_is_the_identity);
    tcase_add_test(c, merged_sizes_sum_to_n);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(selector_suite());
    srunner_add_suite(r, spread_merge_suite());
    srunner_add_suite(r, temporal_suite());
    srunner_add_suite(r, score_suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
