/* SPDX-License-Identifier: MIT */
/* Real clips against outside oracles: torchcodec's reference frames and stamps, frame counts as ffprobe -count_frames
 * gives them, colours as the ffmpeg command converts them. Needs PARE_FIXTURES; skipped without it. */
#include "media_util.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_N = 1500 };
#define NASA "decode/nasa_13013.mp4"
#define OPTS(...) (&(pare_source_opts){.struct_size = sizeof(pare_source_opts), __VA_ARGS__})

static const char *fixture(const char *name)
{
    static char text[4][512];
    static int turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "%s/data/%s", getenv("PARE_FIXTURES"), name);
    return out;
}

/* ---- reference frames ------------------------------------------------------------------------------------------ */

/* The stored samples of a saved u8 tensor: a zip whose member ".../data/0" is not compressed. Caller frees. Its
 * logical shape is [3, h, w], but it lies in memory as [h, w, 3]. */
static uint8_t *load_reference(const char *name, size_t n)
{
    FILE *f = fopen(fixture(name), "rb");
    ck_assert_msg(f != NULL, "%s", name);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    uint8_t *zip = malloc(size);
    ck_assert_uint_eq(fread(zip, 1, size, f), size);
    fclose(f);
    const uint8_t *member = memmem(zip, size, "/data/0", 7);
    ck_assert_ptr_nonnull(member);
    const uint8_t *name_end = member + 7, *header = memmem(zip, (size_t)(member - zip), "PK\3\4", 4);
    for (const uint8_t *next = header; (next = memmem(next + 4, (size_t)(member - next - 4), "PK\3\4", 4));)
        header = next;
    size_t at = (size_t)(name_end - zip) + header[28] + ((size_t)header[29] << 8);
    ck_assert_uint_le(at + n, size);
    memmove(zip, zip + at, n);
    return zip;
}

static void expect_reference(const pare_frame *f, const char *name, int width, int height)
{
    ck_assert_int_eq(f->width, width);
    ck_assert_int_eq(f->height, height);
    uint8_t *want = load_reference(name, (size_t)width * (size_t)height * 3);
    int worst = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * 3; x++) {
            int d = abs(f->rgb[y * f->stride + x] - want[(int64_t)y * width * 3 + x]);
            worst = d > worst ? d : worst;
        }
    ck_assert_msg(worst <= 2, "%s: differs by %d", name, worst); /* 0 on x86 */
    free(want);
}

START_TEST(reference_frames_by_index)
{
    static const int index[] = {0, 1, 5, 9, 15, 35, 386, 389};
    pare_source *s = open_or_fail(fixture(NASA), NULL);
    pare_frame f = {.struct_size = sizeof f};
    for (int i = 0, k = 0; k < 8; i++) {
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        if (i != index[k]) continue;
        char name[80];
        snprintf(name, sizeof name, NASA ".stream3.frame%06d.pt", index[k++]);
        expect_reference(&f, name, 480, 270);
    }
    pare_source_close(&s);
    s = open_or_fail(fixture("decode/h265_video.mp4"), NULL);
    for (int i = 0; i <= 5; i++) ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    expect_reference(&f, "decode/h265_video.mp4.stream0.frame000005.pt", 128, 128);
    pare_source_close(&s);
}
END_TEST

/* The first frame at or after a time, reached by seeking. */
START_TEST(reference_frames_by_time)
{
    static const struct {
        double start, pts;
        const char *name;
    } at[] = {{6.0, 6.006, NASA ".time6.000000.pt"},
              {10.0, 10.01, NASA ".time10.000000.pt"},
              {12.979633, 12.979633, NASA ".time12.979633.pt"}};
    for (int i = 0; i < 3; i++) {
        pare_source *s = open_or_fail(fixture(NASA), OPTS(.start = at[i].start));
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_double_eq_tol(f.pts, at[i].pts, 1e-5);
        expect_reference(&f, at[i].name, 480, 270);
        pare_source_close(&s);
    }
}
END_TEST

START_TEST(reference_stamps)
{
    json_t *list = json_load_file(fixture(NASA ".stream3.all_frames_info.json"), 0, NULL);
    ck_assert_ptr_nonnull(list);
    pare_source *s = open_or_fail(fixture(NASA), NULL);
    pare_frame f = {.struct_size = sizeof f};
    int rc;
    size_t n = 0;
    for (; !(rc = pare_source_read(s, &f, NULL)); n++) {
        const json_t *want = json_array_get(list, n);
        ck_assert_double_eq_tol(f.pts, atof(json_string_value(json_object_get(want, "pts_time"))), 1e-6);
        ck_assert_double_eq_tol(f.duration, atof(json_string_value(json_object_get(want, "duration_time"))), 1e-6);
    }
    ck_assert_int_eq(rc, PARE_EOF);
    ck_assert_uint_eq(n, json_array_size(list));
    json_decref(list);
    pare_source_close(&s);
}
END_TEST

/* ---- every clip ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int n_frames, n_damaged; /* frames that ffprobe counts; and packets it complains of */
} clips[] = {
    {"decode/av1_video.mkv", 125, 0},
    {"decode/bt709_full_range.mp4", 30, 0},
    {"decode/corrupted.mp4", 49, 1},
    {"decode/h264_10bits.mp4", 30, 0},
    {"decode/h265_10bits.mp4", 30, 0},
    {"decode/h265_video.mp4", 10, 0},
    {NASA, 390, 0},
    {"decode/unordered.mov", 4, 0},
    {"decode/video_0.mov", 3, 0},
    {"decode/video_90.mov", 3, 0},
    {"decode/video_180.mov", 3, 0},
    {"decode/video_270.mov", 3, 0},
    {"video/bottle-detection.mp4", 1189, 0},
    {"video/car-detection.mp4", 377, 0},
    {"video/carphone.mp4", 120, 0},
    {"video/cockatoo.mp4", 280, 0},
    {"video/one-by-one-person-detection.mp4", 1394, 0},
    {"video/scene_cuts.mp4", 250, 0},
    {"video/asl/again.mkv", 77, 0},
    {"video/asl/bird.mkv", 63, 0},
    {"video/asl/book.mkv", 109, 0},
    {"video/asl/brother.mkv", 65, 0},
    {"video/asl/eat.mkv", 47, 0},
    {"video/asl/help.mkv", 58, 0},
    {"video/asl/hungry.mkv", 49, 0},
    {"video/asl/learn.mkv", 61, 0},
    {"video/asl/milk.mkv", 51, 0},
    {"video/asl/night.mkv", 68, 0},
    {"video/asl/no.mkv", 66, 0},
    {"video/asl/please.mkv", 73, 0},
    {"video/asl/school.mkv", 72, 0},
    {"video/asl/sister.mkv", 87, 0},
    {"video/asl/sorry.mkv", 73, 0},
    {"video/asl/student.mkv", 52, 0},
    {"video/asl/thanks.mkv", 51, 0},
    {"video/asl/walk.mkv", 89, 0},
    {"video/asl/want.mkv", 47, 0},
    {"video/asl/yes.mkv", 65, 0},
};
enum { N_CLIPS = sizeof clips / sizeof clips[0] };

START_TEST(frame_counts)
{
    static double pts[MAX_N];
    for (int i = 0; i < N_CLIPS; i++) {
        pare_source_info info;
        pare_source *s = open_or_fail(fixture(clips[i].name), NULL);
        int64_t counted;
        ck_assert_int_eq(pare_source_count(s, &counted, NULL), 0);
        int n = read_all(s, pts, NULL, MAX_N, &info);
        ck_assert_msg(n == clips[i].n_frames, "%s: %d frames, not %d", clips[i].name, n, clips[i].n_frames);
        ck_assert_msg(info.n_damaged == clips[i].n_damaged, "%s: %d damaged", clips[i].name, (int)info.n_damaged);
        ck_assert_msg(counted == n + info.n_damaged, "%s: counted %d", clips[i].name, (int)counted);
        for (int k = 1; k < n; k++) ck_assert_msg(pts[k] > pts[k - 1], "%s: frame %d", clips[i].name, k);
    }
}
END_TEST

/* cockatoo.mp4 has few key frames, none of them where one wants to start. */
START_TEST(seek_equals_linear_read)
{
    static double pts[MAX_N], pts2[MAX_N];
    static uint64_t hash[MAX_N], hash2[MAX_N];
    static const char *const name[] = {"video/cockatoo.mp4", "video/car-detection.mp4", NASA, "decode/av1_video.mkv",
                                       "decode/corrupted.mp4"};
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        int n = read_all(open_or_fail(fixture(name[i]), NULL), pts, hash, MAX_N, NULL);
        for (double start = 2.3; start < pts[n - 1]; start += 5.7) {
            int n2 = read_all(open_or_fail(fixture(name[i]), OPTS(.start = start)), pts2, hash2, MAX_N, NULL);
            ck_assert_int_le(n2, n);
            for (int k = 0; k < n2; k++) {
                ck_assert_double_eq(pts2[k], pts[n - n2 + k]);
                ck_assert_msg(hash2[k] == hash[n - n2 + k], "%s from %g s: frame at %g s differs", name[i], start,
                              pts2[k]);
            }
            ck_assert_msg(n2 == n || pts[n - n2 - 1] - pts[0] < start, "%s from %g s: begins late", name[i], start);
        }
    }
}
END_TEST

START_TEST(uniform_frames)
{
    double pts[8];
    int64_t n;
    pare_source *s = open_or_fail(fixture("video/cockatoo.mp4"), OPTS(.frames = 8));
    ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
    ck_assert_int_eq(n, 8);
    ck_assert_int_eq(read_all(s, pts, NULL, 8, NULL), 8);
    for (int i = 0; i < 8; i++) ck_assert_double_eq_tol(pts[i], rint(i * 279 / 7.0) / 20, 1e-6);
}
END_TEST

/* ---- colours and orientation ----------------------------------------------------------------------------------- */

/* Mean RGB of the four quarters of the first frame as the ffmpeg command converts and turns it. */
static const struct {
    const char *name;
    int width, height, rotation;
    double mean[4][3];
} looks[] = {
    {"decode/video_0.mov",
     568,
     320,
     0,
     {{112.0, 98.4, 89.0}, {119.5, 109.5, 99.7}, {102.2, 90.5, 81.6}, {108.2, 97.6, 89.9}}},
    {"decode/video_90.mov",
     320,
     568,
     90,
     {{115.9, 106.2, 97.2}, {118.0, 107.7, 98.8}, {84.5, 73.9, 66.8}, {99.2, 87.3, 80.3}}},
    {"decode/video_180.mov",
     568,
     320,
     180,
     {{127.4, 118.2, 107.9}, {140.9, 121.7, 110.7}, {105.7, 95.7, 87.1}, {117.0, 104.3, 96.0}}},
    {"decode/video_270.mov",
     320,
     568,
     270,
     {{160.5, 150.2, 138.3}, {157.2, 148.5, 137.8}, {116.2, 95.9, 85.7}, {101.8, 86.2, 79.8}}},
    {"decode/bt709_full_range.mp4",
     1280,
     720,
     0,
     {{159.7, 153.5, 8.2}, {90.0, 95.4, 242.3}, {164.2, 152.4, 6.4}, {78.7, 104.1, 235.9}}},
    {"decode/h264_10bits.mp4",
     200,
     200,
     0,
     {{121.6, 127.1, 9.5}, {85.8, 86.9, 247.5}, {168.4, 166.0, 1.8}, {82.7, 88.8, 240.9}}},
    {"decode/h265_10bits.mp4",
     200,
     200,
     0,
     {{121.4, 127.1, 9.5}, {85.5, 86.9, 247.5}, {168.4, 166.0, 1.9}, {82.6, 88.7, 240.8}}},
    {"decode/av1_video.mkv",
     640,
     360,
     0,
     {{78.3, 52.0, 177.1}, {165.5, 202.9, 76.8}, {93.6, 92.1, 138.9}, {142.7, 169.4, 117.8}}},
};

static double quarter_mean(const pare_frame *f, int quarter, int channel)
{
    int w = f->width / 2, h = f->height / 2, x0 = quarter % 2 * w, y0 = quarter / 2 * h;
    double sum = 0;
    for (int y = y0; y < y0 + h; y++)
        for (int x = x0; x < x0 + w; x++) sum += f->rgb[y * f->stride + 3 * (int64_t)x + channel];
    return sum / w / h;
}

START_TEST(colours_and_orientation)
{
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        pare_source *s = open_or_fail(fixture(looks[i].name), NULL);
        pare_source_info info = {.struct_size = sizeof info};
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_msg(f.width == looks[i].width && f.height == looks[i].height && f.rotation == looks[i].rotation &&
                          info.width == f.width && info.height == f.height && info.rotation == f.rotation,
                      "%s: %d x %d, rotation %d", looks[i].name, f.width, f.height, f.rotation);
        for (int k = 0; k < 12; k++)
            ck_assert_msg(fabs(quarter_mean(&f, k / 3, k % 3) - looks[i].mean[k / 3][k % 3]) < 0.7,
                          "%s: quarter %d is %g", looks[i].name, k / 3, quarter_mean(&f, k / 3, k % 3));
        pare_source_close(&s);
    }
}
END_TEST

/* An index at the front and the samples cut off behind it: what is there comes out. */
START_TEST(cut_off_in_the_middle)
{
    static const double share[] = {0.3, 0.6, 0.9};
    for (int i = 0; i < 3; i++) {
        const char *cut = scratch("cut.mp4");
        unlink(cut);
        append_file(cut, fixture(NASA), share[i]);
        pare_source *s;
        pare_error err = {0};
        int rc = pare_source_open(&s, cut, NULL, &err);
        if (rc) { /* the index lies at the end of this file */
            ck_assert_msg(rc == PARE_E_FORMAT && strstr(err.text, "cut.mp4"), "%d %s", rc, err.text);
            continue;
        }
        int n = read_all(s, NULL, NULL, 0, NULL);
        ck_assert_msg(n > 0 && n < 390, "%d frames of a file cut at %g", n, share[i]);
    }
}
END_TEST

int main(void)
{
    const char *root = getenv("PARE_FIXTURES");
    if (!root || !*root || access(fixture(NASA), R_OK)) {
        puts("skipped: PARE_FIXTURES holds no data/decode");
        return 77;
    }
    Suite *suite = suite_create("decode");
    TCase *tc = tcase_create("oracles");
    tcase_add_test(tc, reference_frames_by_index);
    tcase_add_test(tc, reference_frames_by_time);
    tcase_add_test(tc, reference_stamps);
    tcase_add_test(tc, frame_counts);
    tcase_add_test(tc, seek_equals_linear_read);
    tcase_add_test(tc, uniform_frames);
    tcase_add_test(tc, colours_and_orientation);
    tcase_add_test(tc, cut_off_in_the_middle);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
