/* SPDX-License-Identifier: MIT */
/* pare_measure from outside: arguments, and every metric of the list over what reducers make of photos and clips:
 * selectors at every site, resized pictures (also cropped and turned ones), one row left. Numbers or n/a, never infinite. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "tiny_model.h"

enum { WIDTH = 200, HEIGHT = 160, N_FRAME = 4, MAX_NAME = 128 };

static uint8_t picture[N_FRAME][WIDTH * HEIGHT * 3];
static pare_model *photo_model;
static const char *name[MAX_NAME];
static unsigned wants[MAX_NAME]; /* WANTS_* of each */
static int32_t n_name;
static pare_error err;

enum { WANTS_REFERENCE = 1, WANTS_OTHER = 2 };

static void setup(void)
{
    static const tiny_spec spec = {
        .unit = 1, .patch = 14, .dim = 32, .n_layer = 2, .n_head = 2, .shortest = 128, .photo = 112};
    pare_list_entry e = {.struct_size = sizeof e};
    ck_assert_msg(tiny_model_open(&photo_model, &spec, &err) == 0, "%s", err.text);
    for (int32_t f = 0; f < N_FRAME; f++)
        for (int32_t i = 0; i < WIDTH * HEIGHT * 3; i++)
            picture[f][i] = (uint8_t)(i / 3 % WIDTH + i / 3 / WIDTH * 2 + (i % 3) * 40 + f * 25 + (i * 7919 >> 9) % 31);
    for (n_name = 0; n_name < MAX_NAME && pare_list(PARE_LIST_METRICS, n_name, &e) == 0; n_name++) {
        name[n_name] = e.name;
        wants[n_name] =
            (strstr(e.flags, "reference") ? WANTS_REFERENCE : 0) | (strstr(e.flags, "other") ? WANTS_OTHER : 0);
    }
    ck_assert_int_gt(n_name, 20);
    ck_assert_int_lt(n_name, MAX_NAME);
}

static void teardown(void) { pare_model_close(&photo_model); }

/* One window of n frames, turned by `rotation`. */
static pare_result *reduce(const char *recipe, double keep, int32_t n, int32_t video, int32_t rotation, int32_t threads)
{
    pare_frame frame[N_FRAME];
    pare_result *r = NULL;
    const pare_reducer_opts opts = {.struct_size = sizeof opts,
                                    .recipe = recipe,
                                    .keep = keep,
                                    .video = video,
                                    .n_threads = threads,
                                    .max_side = 112,
                                    .seed = 5};
    for (int32_t f = 0; f < n; f++)
        frame[f] = (pare_frame){.struct_size = sizeof *frame,
                                .rgb = picture[f],
                                .stride = 3 * WIDTH,
                                .width = WIDTH,
                                .height = HEIGHT,
                                .rotation = rotation,
                                .pts = f / 25.,
                                .duration = 1 / 25.};
    ck_assert_msg(pare_reduce(photo_model, &opts, frame, n, &r, &err) == 0, "%s: %s", recipe, err.text);
    return r;
}

static double one(const pare_result *r, const pare_result *other, const char *metric)
{
    double value = 12345;
    ck_assert_msg(pare_measure(r, other, &metric, 1, &value, &err) == 0, "%s: %s", metric, err.text);
    return value;
}

START_TEST(arguments_are_checked)
{
    static const char *const known[] = {"empty_rows_patches", NULL}, *const typo[] = {"empty_row_patches"};
    pare_result *r = reduce("none", 0, 1, 0, 0, 1);
    double value[2];
    ck_assert_int_eq(pare_measure(NULL, NULL, known, 1, value, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_measure(r, NULL, NULL, 1, value, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_measure(r, NULL, known, 1, NULL, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_measure(r, NULL, known, -1, value, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_measure(r, NULL, known, 2, value, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_measure(r, NULL, typo, 1, value, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "'empty_rows_patches'"));
    ck_assert_int_eq(pare_measure(r, NULL, NULL, 0, NULL, &err), 0);
    ck_assert_int_eq(pare_measure(r, NULL, known, 1, value, NULL), 0);
    ck_assert_double_eq(value[0], 0);
    pare_result_free(&r);
}
END_TEST

/* Every metric over r; agreement against `rival`. */
static void all_defined(const pare_result *r, const pare_result *reference, const pare_result *rival, const char *what)
{
    int32_t n_number = 0;
    for (int32_t i = 0; i < n_name; i++) {
        const double value = one(r, wants[i] & WANTS_OTHER ? rival : reference, name[i]);
        ck_assert_msg(isnan(value) || fabs(value) < 1e9, "%s of %s is %g", name[i], what, value);
        n_number += !isnan(value);
    }
    ck_assert_int_gt(n_number, 8);
}

static const struct {
    const char *recipe;
    double keep;
} runs[] = {{"none", 0},    {"random@patches", .5},  {"random@output", .03}, {"spatial-uniform@patches", .25},
            {"tome", .25},  {"pool@output", .25},    {"stride@patches", .5}, {"topk:score=norm@output", .25},
            {"resize", .3}, {"random@patches", .016}};

enum { N_RUN = sizeof runs / sizeof *runs };

START_TEST(every_metric_over_photos_and_clips)
{
    for (int32_t video = 0; video < 2; video++) {
        const int32_t n = video ? N_FRAME : 1;
        pare_result *reference = reduce("none", 0, n, video, 0, 1);
        pare_result *rival = reduce("random@output", .5, n, video, 0, 1);
        pare_result *r = reduce(runs[_i].recipe, runs[_i].keep, n, video, 0, 1);
        all_defined(r, reference, rival, runs[_i].recipe);
        pare_result_free(&reference);
        pare_result_free(&rival);
        pare_result_free(&r);
    }
}
END_TEST

/* The photo rule scales and crops, video keeps the frame whole; both may stand on their side: a smaller grid covers the
 * reference's grid evenly in all of them. */
START_TEST(a_smaller_picture_covers_evenly)
{
    for (int32_t rotation = 0; rotation < 360; rotation += 90)
        for (int32_t video = 0; video < 2; video++) {
            pare_result *reference = reduce("none", 0, 1, video, rotation, 1),
                        *r = reduce("resize", .3, 1, video, rotation, 1);
            ck_assert_int_lt(pare_result_get(r)->n, pare_result_get(reference)->n);
            ck_assert_double_le(one(r, reference, "cover_chebyshev_max_patches"), 2);
            ck_assert_double_ge(one(r, reference, "quadrant_entropy_ratio"), .93);
            ck_assert(one(r, NULL, "cover_chebyshev_max_patches") == 0);
            pare_result_free(&reference);
            pare_result_free(&r);
        }
}
END_TEST

START_TEST(threads_change_nothing)
{
    pare_result *reference = reduce("none", 0, N_FRAME, 1, 0, 1), *again = reduce("none", 0, N_FRAME, 1, 0, 3);
    pare_result *a = reduce("tome", .3, N_FRAME, 1, 0, 1), *b = reduce("tome", .3, N_FRAME, 1, 0, 3);
    for (int32_t i = 0; i < n_name; i++) {
        const double x = one(a, reference, name[i]), y = one(b, again, name[i]);
        ck_assert_msg(isnan(x) ? isnan(y) : x == y, "%s: %.17g, %.17g", name[i], x, y);
    }
    pare_result_free(&reference);
    pare_result_free(&again);
    pare_result_free(&a);
    pare_result_free(&b);
}
END_TEST

START_TEST(other_clips_are_refused)
{
    static const char *const metric[] = {"empty_rows_patches"};
    pare_result *clip = reduce("none", 0, N_FRAME, 1, 0, 1), *photo = reduce("none", 0, 1, 1, 0, 1);
    double value;
    ck_assert_int_eq(pare_measure(clip, photo, metric, 1, &value, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "other frames"));
    pare_result_free(&clip);
    pare_result_free(&photo);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pare_measure");
    TCase *c = tcase_create("api");
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, arguments_are_checked);
    tcase_add_loop_test(c, every_metric_over_photos_and_clips, 0, N_RUN);
    tcase_add_test(c, a_smaller_picture_covers_evenly);
    tcase_add_test(c, threads_change_nothing);
    tcase_add_test(c, other_clips_are_refused);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
