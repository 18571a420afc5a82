/* SPDX-License-Identifier: MIT */
/* Recipe grammar, plan and rate control: what is accepted, what is refused and how it is said. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "reduce/plan.h"
#include "reduce/rate.h"
#include "reduce/recipe.h"

static pare__recipe recipe;
static pare_error err;

static int parse(const char *text)
{
    pare__recipe_fini(&recipe);
    err = (pare_error){0};
    return pare__recipe_parse(&recipe, text, &err);
}

static void refuse(const char *text, const char *part)
{
    ck_assert_int_eq(parse(text), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' gave '%s', expected '%s'", text, err.text, part);
}

START_TEST(accepts)
{
    ck_assert_int_eq(parse("topk:score=cls-attn:keep=.5@block=3/6/9"), 0);
    ck_assert_int_eq(recipe.n, 1);
    ck_assert_int_eq(recipe.step[0].n_block, 3);
    ck_assert_int_eq(recipe.step[0].block[2], 9);
    ck_assert(recipe.step[0].keep == 0.5);
    ck_assert_str_eq(recipe.step[0].score->name, "cls-attn");
    ck_assert_int_eq(parse("rlt@patches,tome:r=8@block,topk@output"), 0);
    ck_assert_int_eq(recipe.n, 3);
    ck_assert_int_eq(recipe.step[1].site, PARE__SITE_BLOCK);
    ck_assert_int_eq(recipe.step[1].n_block, 0);
}
END_TEST

START_TEST(prints_what_it_parsed)
{
    static const char *const texts[] = {"topk:score=norm:keep=0.5@block=3/6/9",
                                        "tome:r=8@block",
                                        "random:k=7@patches",
                                        "spatial-uniform@output",
                                        "stride:keep=0.123456789@patches",
                                        "motion-topk:alloc=motion"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char once[512], twice[512];
        ck_assert_int_eq(parse(texts[i]), 0);
        pare__recipe_print(&recipe, once, sizeof once);
        ck_assert_msg(parse(once) == 0, "'%s': %s", once, err.text);
        pare__recipe_print(&recipe, twice, sizeof twice);
        ck_assert_str_eq(once, twice);
    }
    char tiny[4];
    ck_assert_int_gt(pare__recipe_print(&recipe, tiny, sizeof tiny), 4);
    ck_assert_uint_eq(strlen(tiny), 3);
}
END_TEST

START_TEST(refuses)
{
    refuse("", "empty step");
    refuse("tomme@block", "did you mean 'tome'");
    refuse("none,,none", "empty step");
    refuse("topk:scor=norm", "did you mean 'score'");
    refuse("topk:score=nrom", "did you mean 'norm'");
    refuse("topk:keep=0", "keep=0");
    refuse("topk:keep=nan", "keep=nan");
    refuse("topk:keep=1.5", "keep=1.5");
    refuse("topk:k=0", "k=0");
    refuse("topk:k=3:keep=.5", "exclude each other");
    refuse("topk:alloc=equl", "did you mean 'equal'");
    refuse("topk@zzz", "only at patches, block, output");
    refuse("topk@blok", "did you mean 'block'");
    refuse("tome@output", "does not act at 'output'");
    refuse("topk@block=3/2", "must ascend");
    refuse("tome:r=1:r=2", "'r' is given twice");
    refuse("topk@block=x", "block 'x'");
    refuse("topk@output=3", "takes no '='");
    refuse("topk:keep", "not key=value");
}
END_TEST

/* ---- rate ----------------------------------------------------------------------------------------------------- */

static pare__rate make_rate(const pare_reducer_opts *o)
{
    pare__rate rate;
    ck_assert_int_eq(pare__rate_init(&rate, o, &err), 0);
    return rate;
}

static int64_t window_of(pare__rate *rate, int64_t n_frames, int64_t units, int is_last)
{
    return pare__rate_window(rate, &(pare__span){.n_frames = n_frames, .units = units, .is_last = is_last});
}

/* The running total after every window is the rounded share of what was seen. */
START_TEST(keep_is_exact_after_each_window)
{
    for (int trial = 1; trial < 200; trial++) {
        const double keep = trial / 200.0;
        pare__rate rate = make_rate(&(pare_reducer_opts){.keep = keep});
        int64_t seen = 0, given = 0;
        for (int w = 0; w < 20; w++) {
            const int64_t frames = 1 + (w * 7 + trial) % 5, units = 37;
            const int64_t k = window_of(&rate, frames, frames * units, w == 19);
            pare__rate_spend(&rate, k);
            seen += frames * units;
            given += k;
            ck_assert_int_eq(given, (int64_t)(keep * (double)seen + 0.5));
        }
    }
}
END_TEST

START_TEST(tokens_are_exact_for_the_clip)
{
    for (int64_t tokens = 1; tokens < 400; tokens += 13) {
        pare__rate rate = make_rate(&(pare_reducer_opts){.tokens = tokens, .n_frames = 10});
        int64_t given = 0;
        for (int w = 0; w < 4; w++) {
            const int64_t frames = w < 3 ? 3 : 1;
            const int64_t k = window_of(&rate, frames, frames * 40, w == 3);
            pare__rate_spend(&rate, k);
            given += k;
        }
        ck_assert_int_eq(given, tokens);
    }
}
END_TEST

/* A clip that ends early still gets all its tokens, because the last window takes what is left. */
START_TEST(tokens_survive_a_short_clip)
{
    pare__rate rate = make_rate(&(pare_reducer_opts){.tokens = 100, .n_frames = 10});
    int64_t given = window_of(&rate, 3, 120, 0);
    pare__rate_spend(&rate, given);
    given += window_of(&rate, 2, 80, 1);
    ck_assert_int_eq(given, 100);
}
END_TEST

START_TEST(refuses_budgets)
{
    pare__rate rate;
    ck_assert_int_eq(pare__rate_init(&rate, &(pare_reducer_opts){.keep = 0.5, .tokens = 3}, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__rate_init(&rate, &(pare_reducer_opts){.keep = -1}, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__rate_init(&rate, &(pare_reducer_opts){.keep = 0.0 / 0.0}, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__rate_init(&rate, &(pare_reducer_opts){.tokens = 10}, &err), PARE_E_INVALID);
    rate = make_rate(&(pare_reducer_opts){.tokens = 401, .n_frames = 10});
    ck_assert_int_eq(pare__rate_check(&rate, 40, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "401"));
    ck_assert_ptr_nonnull(strstr(err.text, "400"));
    rate = make_rate(&(pare_reducer_opts){.keep = 0.01, .min_per_frame = 4});
    ck_assert_int_eq(pare__rate_check(&rate, 40, &err), PARE_E_INVALID);
    rate = make_rate(&(pare_reducer_opts){.tokens_per_frame = 41});
    ck_assert_int_eq(pare__rate_check(&rate, 40, &err), PARE_E_INVALID);
}
END_TEST

/* ---- schedules ------------------------------------------------------------------------------------------------ */

START_TEST(schedules_end_exactly)
{
    static const char *const texts[] = {"tome@block", "topk:score=norm@block"};
    for (size_t s = 0; s < 2; s++) {
        ck_assert_int_eq(parse(texts[s]), 0);
        for (int64_t n = 1; n < 300; n += 7)
            for (int64_t k = 1 + n / 16; k <= n; k += 3) {
                int64_t before = n, rows = n;
                for (int32_t i = 0; i < 12; i++) {
                    ck_assert_int_eq(pare__step_schedule(&recipe.step[0], n, k, i, 12, &rows, &err), 0);
                    ck_assert_int_le(rows, before);
                    ck_assert_int_ge(rows, k);
                    before = rows;
                }
                ck_assert_int_eq(rows, k);
            }
    }
}
END_TEST

START_TEST(schedule_says_what_it_cannot_reach)
{
    int64_t rows;
    ck_assert_int_eq(parse("tome@block"), 0);
    ck_assert_int_eq(pare__step_schedule(&recipe.step[0], 256, 10, 0, 3, &rows, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "32"));
    ck_assert_ptr_nonnull(strstr(err.text, "10"));
}
END_TEST

static void fini(void) { pare__recipe_fini(&recipe); }

int main(void)
{
    Suite *s = suite_create("recipe");
    TCase *t = tcase_create("all");
    tcase_add_unchecked_fixture(t, NULL, fini);
    tcase_add_test(t, accepts);
    tcase_add_test(t, prints_what_it_parsed);
    tcase_add_test(t, refuses);
    tcase_add_test(t, keep_is_exact_after_each_window);
    tcase_add_test(t, tokens_are_exact_for_the_clip);
    tcase_add_test(t, tokens_survive_a_short_clip);
    tcase_add_test(t, refuses_budgets);
    tcase_add_test(t, schedules_end_exactly);
    tcase_add_test(t, schedule_says_what_it_cannot_reach);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int n = srunner_ntests_failed(r);
    srunner_free(r);
    return n ? EXIT_FAILURE : EXIT_SUCCESS;
}
