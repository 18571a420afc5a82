/* SPDX-License-Identifier: MIT */
/* Promises of every selector of the table, whatever the tokens hold and however many may stay. New selectors are found
 * through the table. Through the public API: test_properties_reducer.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "select_table.h"

enum { LEAST_TELLING = 10 }; /* a share of fewer rows may round to none */

/* What leaves the step is finite: tokens, sizes, and the scores it shows. */
static void all_finite(trial *t)
{
    const pare__view *v = &t->look->view;
    const pare_map *m = &t->map->m;
    run_ok(t);
    ck_assert_msg(v->k >= 0 || v->n < LEAST_TELLING || m->n_out > 0, "%s leaves nothing", t->name);
    float *y = PARE__NEW(float, m->n_out * v->d + 1);
    int width = v->d;
    const float *x = pare__view_get(v, PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &width);
    pare__map_apply(m, x, width, y);
    for (int64_t i = 0; i < m->n_out * width; i++)
        ck_assert_msg(isfinite(y[i]), "%s: row %d", t->name, (int)(i / width));
    for (int64_t i = 0; i < m->n_out; i++) ck_assert_msg(isfinite(m->size[i]), "%s: size of row %d", t->name, (int)i);
    for (int64_t i = 0; i < v->n; i++)
        ck_assert_msg(!isinf(v->score_out[i]), "%s: score %d is infinite", t->name, (int)i);
    pare__free(y);
}

START_TEST(finite_over_contents)
{
    for (content what = CONSTANT; what < N_CONTENT; what++) {
        over_selector(_i, all_finite, what, SMALL);
        over_selector(_i, all_finite, what, SMALL | THINNED);
    }
}
END_TEST

START_TEST(finite_where_the_selector_decides)
{
    for (content what = CONSTANT; what < N_CONTENT; what++) {
        over_selector(_i, all_finite, what, SMALL | UNBOUND);
        over_selector(_i, all_finite, what, SMALL | UNBOUND | THINNED);
    }
}
END_TEST

/* Everything may stay: nothing is merged, dropped, weighted or counted twice. What pools over cells may find two rows in
 * one where others are missing. */
static void identity(trial *t)
{
    const pare__view *v = &t->look->view;
    const pare_map *m = &t->map->m;
    const int has_holes = v->n < (int64_t)v->n_frame * v->grid_h * v->grid_w;
    if (v->k != v->n || (has_holes && t->step->sel->flags & PARE__AT_MOST)) return;
    run_ok(t);
    ck_assert_msg(m->n_out == m->n_in, "%s keeps %d of %d", t->name, (int)m->n_out, (int)m->n_in);
    for (int64_t r = 0; r < m->n_out; r++)
        ck_assert_msg(m->row_start[r + 1] == r + 1 && m->anchor[r] == r && m->index[r] == r && m->weight[r] == 1 &&
                          m->size[r] == 1 && (!m->gain || m->gain[r] == 1),
                      "%s, keeping all: row %d", t->name, (int)r);
}

START_TEST(keeping_all_is_the_identity_whatever_the_content)
{
    for (content what = CONSTANT; what < N_CONTENT; what++) over_selector(_i, identity, what, SMALL);
    over_selector(_i, identity, NOISE, SMALL | THINNED);
}
END_TEST

/* Sizes are what was represented, unless the selector says that they are its own. Merging keeps the total. */
static void sizes(trial *t)
{
    const pare_map *m = &t->map->m;
    double sum = 0, least = INFINITY;
    run_ok(t);
    for (int64_t r = 0; r < m->n_out; r++) {
        sum += (double)m->size[r];
        least = fmin(least, (double)m->size[r]);
    }
    if (t->step->sel->flags & PARE__OWN_SIZES) return;
    ck_assert_msg(m->n_out == 0 || least >= 1, "%s: a size of %g", t->name, least);
    if (pare__map_check(m, PARE__MAP_PARTITION, NULL) == 0)
        ck_assert_msg(sum < (double)m->n_in + 1e-3, "%s: sizes sum to %g of %d", t->name, sum, (int)m->n_in);
}

START_TEST(sizes_count_what_is_there) { over_selector(_i, sizes, NOISE, SMALL); }
END_TEST

Suite *properties_reducer_suite(void);

static Suite *properties_suite(void)
{
    Suite *s = suite_create("properties");
    TCase *c = tcase_create("views");
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, finite_over_contents, 0, selector_count());
    tcase_add_loop_test(c, finite_where_the_selector_decides, 0, selector_count());
    tcase_add_loop_test(c, keeping_all_is_the_identity_whatever_the_content, 0, selector_count());
    tcase_add_loop_test(c, sizes_count_what_is_there, 0, selector_count());
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(properties_suite());
    srunner_add_suite(r, properties_reducer_suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
