/* SPDX-License-Identifier: MIT */
/* M-RoPE: ids of pictures and clips within a prompt, both rules for what follows, and what is refused. */
#include <check.h>
#include <string.h>

#include "core/mrope.h"

static pare_error err;

static int32_t ids[3 * 64], delta;

static int place(const pare_mrope_opts *opts, const char *types, const int64_t *grids, int32_t n_grid)
{
    int32_t type[64];
    const int64_t n = (int64_t)strlen(types);
    for (int64_t i = 0; i < n; i++) type[i] = types[i] - '0';
    memset(&err, 0, sizeof err);
    return pare__mrope_prompt(opts, type, n, grids, n_grid, ids, &delta, &err);
}

START_TEST(test_mrope)
{
    static const int64_t photo[] = {1, 4, 6};
    static const int32_t want[] = {0, 1, 2, 2, 2, 2, 2, 2, 5, 0, 1, 2, 2, 2, 3, 3, 3, 5, 0, 1, 2, 3, 4, 2, 3, 4, 5};
    const pare_mrope_opts opts = {.unit = 2, .per_second = 2};
    ck_assert_int_eq(place(&opts, "001111110", photo, 1), 0);
    ck_assert_mem_eq(ids, want, sizeof want);
    ck_assert_int_eq(delta, 6 - 9);
}
END_TEST

/* Two clips: time goes by their seconds, and what follows by one of two rules. */
START_TEST(test_mrope_clips)
{
    static const int64_t clips[] = {3, 2, 2, 2, 2, 4};
    static const double seconds[] = {2, .5};
    pare_mrope_opts opts = {.unit = 2, .per_second = 3, .second_per_grid = seconds};
    ck_assert_int_eq(place(&opts, "022202222", clips, 2), 0);
    static const int32_t t5[] = {0, 1, 7, 13, 2, 3, 3, 4, 4}, x5[] = {0, 1, 1, 1, 2, 3, 4, 3, 4};
    ck_assert_mem_eq(ids, t5, sizeof t5);
    ck_assert_mem_eq(ids + 18, x5, sizeof x5);
    ck_assert_int_eq(delta, 14 - 9);
    opts.max_plus_1 = 1;
    ck_assert_int_eq(place(&opts, "022202222", clips, 2), 0);
    static const int32_t t4[] = {0, 1, 7, 13, 14, 15, 15, 16, 16};
    ck_assert_mem_eq(ids, t4, sizeof t4);
    /* the same tokens as pictures: seconds do not count */
    ck_assert_int_eq(place(&opts, "011101111", clips, 2), 0);
    static const int32_t still[] = {0, 1, 2, 3, 4, 5, 5, 6, 6};
    ck_assert_mem_eq(ids, still, sizeof still);
    /* neighbours without text between them */
    ck_assert_int_eq(place(&opts, "22222220", clips, 2), 0);
    ck_assert(ids[1] == 6 && ids[2] == 12 && ids[3] == 13 && ids[5] == 14);
}
END_TEST

/* Time stamps between the steps of a clip (Qwen3-VL): 3 steps of 1 x 2 units, then a picture, then a clip in one piece. */
START_TEST(test_mrope_stamps)
{
    static const int64_t media[] = {3, 2, 4, 1, 2, 2, 2, 2, 2};
    const pare_mrope_opts opts = {.unit = 2};
    ck_assert_int_eq(place(&opts, "0022002200220100220", media, 3), 0);
    static const int32_t t[] = {0, 1, 2, 2, 4, 5, 6, 6, 8, 9, 10, 10, 12, 13, 14, 15, 16, 17, 17};
    static const int32_t x[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 17};
    ck_assert_mem_eq(ids, t, sizeof t);
    ck_assert_mem_eq(ids + 2 * 19, x, sizeof x);
    ck_assert_int_eq(delta, 18 - 19);
    /* a clip whose steps are missing or belong to something else */
    ck_assert_int_eq(place(&opts, "0022002200", media, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "the prompt holds only 0 media"));
    ck_assert_int_eq(place(&opts, "002200110022", media, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "grid 0 has 2 tokens, but only 0 of its type stand at token 6"));
    ck_assert_int_eq(place(&opts, "00220200", media, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "only 1 of its type"));
    /* two of three steps in one piece are neither */
    ck_assert_int_eq(place(&opts, "0222200220", media, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "grid 0 has 6 tokens, but only 4"));
}
END_TEST

START_TEST(test_mrope_time)

{
    ck_assert_int_eq(pare__mrope_time(2, 0.25, 3), 1);
    ck_assert_int_eq(pare__mrope_time(2, 0.25, 4), 2);
    ck_assert_int_eq(pare__mrope_time(0, 7, 5), 5);
    ck_assert_int_eq(pare__mrope_time(1, 2.0 / 3, 3), 2); /* f32: 2.0000000298 of doubles rounds to 2 */
    ck_assert_int_eq(pare__mrope_time(1e5, 1e8, 1000), INT32_MAX);
}
END_TEST

START_TEST(test_mrope_refused)
{
    static const int64_t one[] = {1, 4, 6}, odd[] = {1, 3, 6}, none[] = {1, 0, 6};
    static const double late[] = {1e8};
    pare_mrope_opts opts = {.unit = 2};
    ck_assert_int_eq(place(&opts, "011111", one, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "grid 0 has 6 tokens, but only 5"));
    ck_assert_int_eq(place(&opts, "01112220", one, 1), PARE_E_INVALID);
    ck_assert_int_eq(place(&opts, "0111111101", one, 1), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "only 1 grids"));
    ck_assert_int_eq(place(&opts, "000", one, 1), PARE_E_INVALID);
    ck_assert_int_eq(place(&opts, "03", one, 1), PARE_E_INVALID);
    ck_assert_int_eq(place(&opts, "0111", odd, 1), PARE_E_INVALID);
    ck_assert_int_eq(place(&opts, "0111", none, 1), PARE_E_INVALID);
    ck_assert_int_eq(place(&opts, "", one, 0), PARE_E_INVALID);
    opts.per_second = -1;
    ck_assert_int_eq(place(&opts, "0111111", one, 1), PARE_E_INVALID);
    static const int64_t clip[] = {3, 2, 2};
    opts = (pare_mrope_opts){.unit = 2, .per_second = 100, .second_per_grid = late};
    ck_assert_int_eq(place(&opts, "0222", clip, 1), PARE_E_LIMIT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mrope");
    TCase *tc = tcase_create("mrope");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_mrope);
    tcase_add_test(tc, test_mrope_clips);
    tcase_add_test(tc, test_mrope_stamps);
    tcase_add_test(tc, test_mrope_time);
    tcase_add_test(tc, test_mrope_refused);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
