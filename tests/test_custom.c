/* SPDX-License-Identifier: MIT */
/* The caller's selector as a step: what it is shown, what it may build, how its failures surface. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select_scene.h"

/* What the caller's function does on its next call, and what it saw. */
typedef struct script {
    int (*act)(pare_selection *out, pare_error *err);
    pare_custom_view seen;
    pare_custom_array array[8];
    int64_t index[64];
} script;

static int play(void *user, const pare_custom_view *v, pare_selection *out, pare_error *err)
{
    script *s = user;
    s->seen = *v;
    memcpy(s->array, v->array, (size_t)v->n_array * sizeof *v->array);
    memcpy(s->index, v->index, (size_t)v->n * sizeof *v->index);
    return s->act(out, err);
}

/* Runs `name:options` on steps [first, first + count) of a scene of 3 x 2 x 3 units. */
static int run(script *s, const char *name, const char *options, int32_t site, int32_t first, int32_t count,
               pare__map *map, pare_error *err)
{
    scene sc;
    scene_view look;
    step st;
    const pare_custom custom = {.struct_size = sizeof custom, .select = play, .user = s};
    scene_make(&sc, 3, 2, 3, 5);
    sc.custom = &custom;
    int rc = step_open(&st, name, options, err);
    if (rc == 0) {
        scene_look(&sc, site, first, count, 1, &look);
        rc = step_run(&st, &sc, &look.view, map, err);
    }
    step_close(&st);
    scene_free(&sc);
    return rc;
}

static int keep_two(pare_selection *out, pare_error *err)
{
    (void)err;
    const int rc = pare_selection_keep(out, 4);
    return rc ? rc : pare_selection_keep(out, 1);
}

START_TEST(test_view)
{
    script s = {.act = keep_two};
    pare__map map = {0};
    pare_error err = {0};
    ck_assert_msg(run(&s, "custom", "", PARE__SITE_OUTPUT, 2, 1, &map, &err) == 0, "%s", err.text);
    ck_assert_int_eq(map.m.n_out, 2);
    ck_assert_int_eq(map.m.anchor[0], 1);
    ck_assert_str_eq(s.seen.site, "output");
    ck_assert_int_eq(s.seen.n, 6);
    ck_assert_int_eq(s.seen.n_slot, 1);
    ck_assert_int_eq(s.index[0], 12); /* the third step of the clip */
    ck_assert_int_eq(s.seen.n_array, 1);
    ck_assert_str_eq(s.array[0].name, "tokens");
    ck_assert_int_eq(s.array[0].width, 16);
    ck_assert_int_eq(s.array[0].layer, -1);
    ck_assert_ptr_null(s.seen.frame);

    ck_assert_int_eq(run(&s, "custom-window", "", PARE__SITE_PATCHES, 0, 3, &map, &err), 0);
    ck_assert_int_eq(s.seen.n, 18);
    ck_assert_int_eq(s.seen.n_slot, 3);
    ck_assert_int_eq(s.seen.n_array, 0);
    ck_assert_ptr_nonnull(s.seen.frame);
    ck_assert_int_eq(s.seen.frame_width, 12);
    ck_assert_int_eq(s.seen.frame_height, 8);

    ck_assert_int_eq(run(&s, "custom", "needs=cls_row.10/tokens/k_mean.3", PARE__SITE_OUTPUT, 0, 1, &map, &err), 0);
    ck_assert_int_eq(s.seen.n_array, 3);
    ck_assert_str_eq(s.array[0].name, "cls_row");
    ck_assert_int_eq(s.array[0].layer, 10);
    ck_assert_int_eq(s.array[0].width, 1);
    ck_assert_str_eq(s.array[1].name, "tokens");
    ck_assert_int_eq(run(&s, "custom", "needs=k_mean.-9", PARE__SITE_OUTPUT, 0, 1, &map, &err), 0);
    ck_assert_int_eq(s.array[0].layer, 3);
    ck_assert_int_eq(run(&s, "custom", "needs=k_mean", PARE__SITE_BLOCK, 0, 1, &map, &err), 0);
    ck_assert_int_eq(s.array[0].layer, 3);
    ck_assert_int_eq(run(&s, "custom", "needs=none", PARE__SITE_PATCHES, 0, 1, &map, &err), 0);
    ck_assert_ptr_null(s.seen.frame);
    pare__map_fini(&map);
}
END_TEST

static int merge(pare_selection *out, pare_error *err)
{
    (void)err;
    int rc = pare_selection_row(out, 5);
    if (rc == 0) rc = pare_selection_add(out, 5, .25);
    if (rc == 0) rc = pare_selection_add(out, 0, .75);
    if (rc == 0) rc = pare_selection_gain(out, 2);
    return rc ? rc : pare_selection_keep(out, 3);
}

START_TEST(test_merge)
{
    script s = {.act = merge};
    pare__map map = {0};
    pare_error err = {0};
    ck_assert_msg(run(&s, "custom", "", PARE__SITE_OUTPUT, 0, 1, &map, &err) == 0, "%s", err.text);
    ck_assert_int_eq(map.m.n_out, 2);
    ck_assert_int_eq(map.m.anchor[1], 5);
    ck_assert_int_eq(map.m.row_start[2], 3);
    ck_assert_float_eq(map.m.weight[1], .75F);
    ck_assert_float_eq(map.m.gain[1], 2);
    ck_assert_float_eq(map.m.size[1], 2);
    pare__map_fini(&map);
}
END_TEST

/* Everything that may not be built; none of it leaves a row behind. */
static int refuse_all(pare_selection *out, pare_error *err)
{
    (void)err;
    ck_assert_int_eq(pare_selection_gain(out, 1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_add(out, 0, 1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_keep(out, -1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_keep(out, 6), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_row(out, 6), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_keep(out, 0), 0);
    ck_assert_int_eq(pare_selection_add(out, 1, 1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_row(out, 1), 0);
    ck_assert_int_eq(pare_selection_add(out, 6, 1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_add(out, 1, 0), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_add(out, 1, (double)NAN), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_add(out, 1, 1), 0);
    ck_assert_int_eq(pare_selection_gain(out, -1), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_gain(out, (double)INFINITY), PARE_E_INVALID);
    ck_assert_int_eq(pare_selection_keep(NULL, 0), PARE_E_INVALID);
    return 0;
}

START_TEST(test_refusals)
{
    script s = {.act = refuse_all};
    pare__map map = {0};
    pare_error err = {0};
    ck_assert_msg(run(&s, "custom", "", PARE__SITE_OUTPUT, 0, 1, &map, &err) == 0, "%s", err.text);
    ck_assert_int_eq(map.m.n_out, 2);
    pare__map_fini(&map);
}
END_TEST

static int half_row(pare_selection *out, pare_error *err)
{
    (void)err;
    const int rc = pare_selection_row(out, 0);
    return rc ? rc : pare_selection_add(out, 0, .5);
}

static int fail_with_words(pare_selection *out, pare_error *err)
{
    (void)out;
    return pare_fail(err, PARE_E_UNSUPPORTED, "not on a Sunday");
}

static int fail_silently(pare_selection *out, pare_error *err)
{
    (void)out, (void)err;
    return 7;
}

typedef struct failure {
    int (*act)(pare_selection *out, pare_error *err);
    const char *options;
    int32_t site;
    int code;
    const char *text;
} failure;

static const failure failures[] = {
    {half_row, "", PARE__SITE_OUTPUT, PARE_E_INVALID, "sum"},
    {fail_with_words, "", PARE__SITE_OUTPUT, PARE_E_UNSUPPORTED, "not on a Sunday"},
    {fail_silently, "", PARE__SITE_OUTPUT, PARE_E_EXTERNAL, "did not say why"},
    {keep_two, "needs=tokns", PARE__SITE_OUTPUT, PARE_E_INVALID, "did you mean 'tokens'"},
    {keep_two, "needs=zzzzzzzz", PARE__SITE_OUTPUT, PARE_E_INVALID, "no array 'zzzzzzzz'; there are tokens"},
    {keep_two, "needs=text_query", PARE__SITE_OUTPUT, PARE_E_INVALID, "no array 'text_query'"},
    {keep_two, "needs=k.x", PARE__SITE_OUTPUT, PARE_E_INVALID, "'x' in 'k.x' is not the number of a block"},
    {keep_two, "needs=k.999", PARE__SITE_OUTPUT, PARE_E_INVALID, "'999' in 'k.999'"},
    {keep_two, "needs=/", PARE__SITE_OUTPUT, PARE_E_INVALID, "no array ''"},
    {keep_two, "needs=k/k/k/k/k/k/k/k/k", PARE__SITE_OUTPUT, PARE_E_INVALID, "more than 8 arrays"},
    {keep_two, "needs=k.2", PARE__SITE_OUTPUT, PARE_E_INVALID, "needs the array 'k' of block 2"},
    {keep_two, "needs=scores", PARE__SITE_OUTPUT, PARE_E_INVALID, "needs the array 'scores'"},
    {keep_two, "needs=pixels", PARE__SITE_OUTPUT, PARE_E_INVALID, "needs pixels"},
};

START_TEST(test_failures)
{
    const failure *f = &failures[_i];
    script s = {.act = f->act};
    pare__map map = {0};
    pare_error err = {0};
    const int rc = run(&s, "custom", f->options, f->site, 0, 1, &map, &err);
    ck_assert_msg(rc == f->code && strstr(err.text, f->text), "'%s': %d %s", f->options, rc, err.text);
    pare__map_fini(&map);
}
END_TEST

START_TEST(test_none)
{
    scene sc;
    scene_view look;
    step st;
    pare__map map = {0};
    pare_error err = {0};
    scene_make(&sc, 1, 2, 3, 5);
    ck_assert_int_eq(step_open(&st, "custom-window", "", &err), 0);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    look.view.custom = NULL;
    ck_assert_int_eq(step_run(&st, &sc, &look.view, &map, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "step 'custom-window' needs --selector-cmd or --map"));
    pare__map_fini(&map);
    step_close(&st);
    scene_free(&sc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("custom");
    TCase *c = tcase_create("all");
    tcase_add_test(c, test_view);
    tcase_add_test(c, test_merge);
    tcase_add_test(c, test_refusals);
    tcase_add_loop_test(c, test_failures, 0, sizeof failures / sizeof *failures);
    tcase_add_test(c, test_none);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
