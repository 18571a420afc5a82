/* SPDX-License-Identifier: MIT */
/* The survey of a clip and the choice of frames, on made-up clips whose scenes and changes are known; resize and JPEG. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pare/frames.h>
#include <pare/pare.h>

enum { W = 96, H = 72 };

/* A pattern of blocks that a scene is known by, moved by `shift` pixels. */
static void draw(uint8_t *rgb, int scene, int shift)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const unsigned cell = (unsigned)((x + shift) / 12 * 7 + y / 12 * 13 + scene * 31);
            for (int c = 0; c < 3; c++)
                rgb[3 * (y * W + x) + c] = (uint8_t)((cell * 2654435761u >> (8 + 4 * c + scene % 3)) & 255);
        }
}

static pare_frame frame_of(const uint8_t *rgb, double pts)
{
    return (pare_frame){
        .struct_size = sizeof(pare_frame), .rgb = rgb, .stride = 3 * W, .width = W, .height = H, .pts = pts};
}

static void push(pare_survey *s, int scene, int shift, double pts)
{
    uint8_t rgb[W * H * 3];
    draw(rgb, scene, shift);
    const pare_frame f = frame_of(rgb, pts);
    ck_assert_int_eq(pare_survey_push(s, &f, NULL), 0);
}

/* Three scenes: 60 still frames, 10 in which everything moves, 30 still ones. */
static pare_survey *three_scenes(void)
{
    pare_survey *s = NULL;
    ck_assert_int_eq(pare_survey_create(&s, NULL, NULL), 0);
    for (int i = 0; i < 100; i++) push(s, i < 60 ? 0 : i < 70 ? 1 : 2, i >= 60 && i < 70 ? i - 60 : 0, i / 10.);
    return s;
}

static int64_t choose(const pare_survey *s, int64_t n, double evenness, int32_t uniform, int64_t *index)
{
    const pare_choice c = {.struct_size = sizeof c, .n = n, .evenness = evenness, .uniform = uniform};
    int64_t chosen = 0;
    ck_assert_int_eq(pare_survey_choose(s, &c, index, &chosen, NULL), 0);
    for (int64_t i = 0; i < chosen; i++) {
        ck_assert_int_ge(index[i], 0);
        ck_assert(i == 0 || index[i] > index[i - 1]);
    }
    return chosen;
}

static int scene_of(int64_t frame) { return frame < 60 ? 0 : frame < 70 ? 1 : 2; }

START_TEST(cuts_are_found)
{
    pare_survey *s = three_scenes();
    pare_survey_view v = {.struct_size = sizeof v};
    ck_assert_int_eq(pare_survey_get(s, &v, NULL), 0);
    ck_assert_int_eq(v.n, 100);
    ck_assert_int_eq(v.n_cuts, 2);
    ck_assert(v.is_cut[60] && v.is_cut[70]);
    ck_assert(v.change[30] == 0 && v.change[65] > 1);
    ck_assert_int_eq(v.width, W);
    pare_survey_close(&s);
}
END_TEST

START_TEST(every_count_is_exact_and_every_scene_is_there)
{
    pare_survey *s = three_scenes();
    int64_t index[100];
    for (int64_t n = 1; n <= 100; n++)
        for (int even = 0; even <= 4; even++) {
            int seen[3] = {0};
            ck_assert_int_eq(choose(s, n, even / 4., 0, index), n);
            for (int64_t i = 0; i < n; i++) seen[scene_of(index[i])]++;
            if (n >= 3) ck_assert(seen[0] && seen[1] && seen[2]);
        }
    ck_assert_int_eq(choose(s, 500, .25, 0, index), 100);
    /* change alone: one frame of each still scene, all the others where it moves */
    ck_assert_int_eq(choose(s, 10, 0, 0, index), 10);
    int n_moving = 0;
    for (int i = 0; i < 10; i++) n_moving += scene_of(index[i]) == 1;
    ck_assert_int_eq(n_moving, 8);
    pare_survey_close(&s);
}
END_TEST

START_TEST(change_covers_better_than_time)
{
    pare_survey *s = three_scenes();
    int64_t index[100];
    for (int64_t n = 3; n <= 12; n++) {
        double by_change = 0, by_time = 0;
        ck_assert_int_eq(choose(s, n, .25, 0, index), n);
        ck_assert_int_eq(pare_survey_coverage(s, index, n, &by_change, NULL), 0);
        ck_assert_int_eq(choose(s, n, 0, 1, index), n);
        ck_assert_int_eq(pare_survey_coverage(s, index, n, &by_time, NULL), 0);
        ck_assert_msg(by_change > by_time, "%lld frames: %g, evenly %g", (long long)n, by_change, by_time);
    }
    double all = 0;
    ck_assert_int_eq(choose(s, 100, .25, 0, index), 100);
    ck_assert_int_eq(pare_survey_coverage(s, index, 100, &all, NULL), 0);
    ck_assert_double_eq(all, 1);
    pare_survey_close(&s);
}
END_TEST

START_TEST(gaps_and_uneven_time)
{
    pare_survey *s = NULL;
    int64_t index[60], n = 0;
    ck_assert_int_eq(pare_survey_create(&s, NULL, NULL), 0);
    for (int i = 0; i < 60; i++) push(s, 0, 2 * i, i < 30 ? i * .02 : .6 + (i - 30) * .5);
    const pare_choice c = {.struct_size = sizeof c, .n = 20, .evenness = .5, .min_gap = .25};
    ck_assert_int_eq(pare_survey_choose(s, &c, index, &n, NULL), 0);
    pare_survey_view v = {.struct_size = sizeof v};
    pare_survey_get(s, &v, NULL);
    ck_assert_int_gt(n, 5);
    for (int64_t i = 1; i < n; i++) ck_assert(v.pts[index[i]] - v.pts[index[i - 1]] >= .25);
    pare_survey_close(&s);
}
END_TEST

START_TEST(smaller_sizes_keep_less)
{
    const pare_survey_opts opts = {.struct_size = sizeof opts, .with_sizes = 1};
    pare_survey *s = NULL;
    pare_error err = {0};
    double before = 1, detail = 0;
    ck_assert_int_eq(pare_survey_create(&s, &opts, NULL), 0);
    ck_assert_int_eq(pare_survey_detail(s, .5, &detail, &err), PARE_E_INVALID);
    for (int i = 0; i < 10; i++) push(s, 0, i, i);
    for (double scale = 1; scale > .07; scale *= .7) {
        ck_assert_int_eq(pare_survey_detail(s, scale, &detail, NULL), 0);
        ck_assert_msg(detail <= before && detail >= 0, "%g: %g, before %g", scale, detail, before);
        before = detail;
    }
    ck_assert(before < .2);
    ck_assert_int_eq(pare_survey_detail(s, 0, &detail, &err), PARE_E_INVALID);
    pare_survey_close(&s);
}
END_TEST

START_TEST(refusals)
{
    pare_survey *s = NULL;
    pare_error err = {0};
    int64_t index[4] = {2, 1}, n = 0;
    double coverage = 0;
    uint8_t rgb[W * H * 3] = {0};
    ck_assert_int_eq(pare_survey_create(&s, NULL, NULL), 0);
    pare_choice c = {.struct_size = sizeof c, .n = 1};
    ck_assert_int_eq(pare_survey_choose(s, &c, index, &n, &err), PARE_E_INVALID);
    pare_frame f = frame_of(rgb, 1);
    ck_assert_int_eq(pare_survey_push(s, &f, &err), 0);
    f.pts = .5;
    ck_assert_int_eq(pare_survey_push(s, &f, &err), PARE_E_INVALID);
    f.pts = NAN;
    ck_assert_int_eq(pare_survey_push(s, &f, &err), PARE_E_INVALID);
    f = frame_of(rgb, 2);
    f.pixels = PARE_PIXELS_NV12; /* without its second plane */
    ck_assert_int_eq(pare_survey_push(s, &f, &err), PARE_E_INVALID);
    f = frame_of(NULL, 2);
    ck_assert_int_eq(pare_survey_push(s, &f, &err), PARE_E_INVALID);
    push(s, 0, 0, 2), push(s, 0, 0, 3);
    ck_assert_int_eq(pare_survey_coverage(s, index, 2, &coverage, &err), PARE_E_INVALID);
    c.evenness = 2;
    ck_assert_int_eq(pare_survey_choose(s, &c, index, &n, &err), PARE_E_INVALID);
    c = (pare_choice){.struct_size = sizeof c};
    ck_assert_int_eq(pare_survey_choose(s, &c, index, &n, &err), PARE_E_INVALID);
    pare_survey_close(&s);
    pare_survey_close(&s);
}
END_TEST

START_TEST(pictures)
{
    uint8_t rgb[W * H * 3], small[48 * 36 * 3], same[W * H * 3];
    pare_error err = {0};
    char path[] = "/tmp/pare-survey-XXXXXX";
    unsigned char head[2] = {0};
    draw(rgb, 1, 0);
    const pare_frame f = frame_of(rgb, 0);
    ck_assert_int_eq(pare_frame_resize(&f, PARE_RESIZE_LANCZOS, same, W, H, NULL), 0);
    ck_assert_mem_eq(rgb, same, sizeof rgb);
    ck_assert_int_eq(pare_frame_resize(&f, PARE_RESIZE_BOX, small, 48, 36, NULL), 0);
    ck_assert_int_eq(small[0], (rgb[0] + rgb[3] + rgb[3 * W] + rgb[3 * W + 3] + 2) / 4);
    pare_frame gray = f;
    gray.pixels = PARE_PIXELS_GRAY;
    ck_assert_int_eq(pare_frame_resize(&gray, PARE_RESIZE_NEAREST, same, W, H, NULL), 0);
    for (int c = 0; c < 3; c++) ck_assert_int_eq(same[3 * W + c], rgb[3 * W]);
    ck_assert_int_eq(pare_frame_resize(&f, 9, small, 48, 36, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_frame_resize(&f, PARE_RESIZE_BOX, small, 0, 36, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_jpeg_save("/tmp/x.jpg", rgb, W, H, 101, &err), PARE_E_INVALID);
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pare_jpeg_save(path, rgb, W, H, 90, &err), 0);
    FILE *file = fopen(path, "rb");
    ck_assert_int_eq((int)fread(head, 1, 2, file), 2);
    ck_assert(head[0] == 0xff && head[1] == 0xd8);
    fclose(file);
    close(fd);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *c = tcase_create("survey");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, cuts_are_found);
    tcase_add_test(c, every_count_is_exact_and_every_scene_is_there);
    tcase_add_test(c, change_covers_better_than_time);
    tcase_add_test(c, gaps_and_uneven_time);
    tcase_add_test(c, smaller_sizes_keep_less);
    tcase_add_test(c, refusals);
    tcase_add_test(c, pictures);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
