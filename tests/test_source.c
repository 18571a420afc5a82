/* SPDX-License-Identifier: MIT */
/* Sources and the video writer on files made here: round trips, sampling, seeking, stills, damage, bad output. */
#include "media/source.h"
#include "media/wr_video.h"
#include "media_util.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_N = 400 };
#define OPTS(...) (&(pare_source_opts){.struct_size = sizeof(pare_source_opts), __VA_ARGS__})

/* Numbers (i % 11) of the frames that come out must be want[n]. */
static void expect_numbers(const char *path, const pare_source_opts *opts, const int *want, int n)
{
    pare_source *s = open_or_fail(path, opts);
    pare_frame f = {.struct_size = sizeof f};
    int64_t count;
    ck_assert_int_eq(pare_source_count(s, &count, NULL), 0);
    ck_assert_int_eq(count, n);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_msg(number_of(&f) == want[i] % 11, "frame %d at %g s is %d, not %d", i, f.pts, number_of(&f),
                      want[i]);
    }
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
}
#define EXPECT(path, opts, ...)                                                                                        \
    expect_numbers(path, opts, (int[]){__VA_ARGS__}, (int)(sizeof(int[]){__VA_ARGS__} / sizeof(int)))

/* ---- round trips ----------------------------------------------------------------------------------------------- */

START_TEST(round_trip)
{
    const char *path = scratch("trip.mp4");
    write_clip(path, 64, 48, 25, 10, NULL);
    ck_assert_int_eq(scratch_files("tmp"), 0);
    pare_source *s = open_or_fail(path, NULL);
    pare_frame f = {.struct_size = sizeof f};
    for (int i = 0; i < 25; i++) {
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(number_of(&f), i % 11);
        ck_assert_double_eq_tol(f.pts, i / 10.0, 1e-6);
        ck_assert_double_eq_tol(f.duration, 0.1, 1e-3);
        const uint8_t *red = f.rgb + 4 * f.stride + 3 * 4; /* BT.709 both ways */
        ck_assert_msg(abs(red[0] - 200) < 14 && abs(red[1] - 30) < 14 && abs(red[2] - 30) < 14, "%d %d %d", red[0],
                      red[1], red[2]);
    }
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
    ck_assert_str_eq(info.driver, "libav");
    ck_assert_int_eq(info.width, 64);
    ck_assert_int_eq(info.height, 48);
    ck_assert_int_eq(info.is_image + info.is_live + info.rotation + (int)info.n_damaged, 0);
    ck_assert_double_eq_tol(info.duration, 2.5, 0.01);
    pare_source_close(&s);
}
END_TEST

/* Every pixel of every small width: swscale leaves the end of a row out where the stride is short. */
START_TEST(odd_sizes_are_padded)
{
    for (int width = 1; width <= 70; width += width < 40 ? 1 : 7) {
        int height = width % 5 + 1;
        const char *path = scratch("odd.mkv");
        write_clip(path, width, height, 1, 25, NULL);
        pare_source *s = open_or_fail(path, NULL);
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(f.width, (width + 1) / 2 * 2);
        ck_assert_int_eq(f.height, (height + 1) / 2 * 2);
        for (int y = height / 4 + 1; y < f.height; y++)
            for (int x = width / 4 + 12; x < f.width; x++)
                ck_assert_msg(abs(f.rgb[y * f.stride + 3 * (int64_t)x + 1] - 20) <= 10, "%d of %d: %d", x, width,
                              f.rgb[y * f.stride + 3 * (int64_t)x + 1]);
        pare_source_close(&s);
    }
}
END_TEST

/* Every encoder that may be chosen keeps uneven stamps, also those that begin late. */
START_TEST(uneven_stamps)
{
    static const double want[] = {1.5, 1.54, 1.6, 2.0, 2.001, 3.7};
    static const char *const x264[] = {"libx264", NULL}, *const mpeg4[] = {"mpeg4", NULL};
    const char *const *encoder[] = {x264, mpeg4};
    const char *const codec[] = {"h264", "mpeg4"};
    for (int e = 0; e < 2; e++) {
        uint8_t rgb[32 * 32 * 3];
        double pts[8];
        pare_source_info info;
        pare_video_writer *w;
        const char *path = scratch("uneven.mp4");
        ck_assert_int_eq(pare__video_writer_open_with(&w, path, 32, 32, 25, encoder[e], NULL), 0);
        for (int i = 0; i < 6; i++) {
            paint(rgb, 32, 32, i);
            ck_assert_int_eq(pare_video_writer_append(w, rgb, want[i], NULL), 0);
        }
        ck_assert_int_eq(pare_video_writer_finish(w, NULL), 0);
        ck_assert_int_eq(pare_video_writer_append(w, rgb, 9, NULL), PARE_E_STATE);
        pare_video_writer_close(&w);
        ck_assert_int_eq(read_all(open_or_fail(path, NULL), pts, NULL, 8, &info), 6);
        ck_assert_str_eq(info.codec, codec[e]);
        for (int i = 0; i < 6; i++) ck_assert_double_eq_tol(pts[i], want[i], 1e-4);
    }
}
END_TEST

START_TEST(every_container)
{
    const char *const name[] = {"c.mp4", "c.m4v", "c.mov", "c.mkv", "c.ts", "c.webm"};
    for (int i = 0; i < 6; i++) {
        write_clip(scratch(name[i]), 64, 48, 5, 10, NULL);
        EXPECT(scratch(name[i]), NULL, 0, 1, 2, 3, 4);
    }
}
END_TEST

/* ---- sampling -------------------------------------------------------------------------------------------------- */

START_TEST(sampling)
{
    const char *path = scratch("sample.mp4");
    write_clip(path, 32, 32, 20, 10, NULL);
    EXPECT(path, OPTS(.start = 0.3, .end = 0.6), 3, 4, 5);
    EXPECT(path, OPTS(.fps = 4), 0, 3, 5, 8, 10, 13, 15, 18);
    EXPECT(path, OPTS(.every = 6), 0, 6, 12, 18);
    EXPECT(path, OPTS(.every = 3, .start = 1.0, .end = 1.6), 10, 13);
    EXPECT(path, OPTS(.frames = 4), 0, 6, 13, 19);
    EXPECT(path, OPTS(.frames = 2, .start = 0.5, .end = 1.0), 5, 9);
    EXPECT(path, OPTS(.frames = 1), 0);
    EXPECT(path, OPTS(.frames = 99, .end = 0.3), 0, 1, 2);
}
END_TEST

START_TEST(sampling_of_uneven_stamps)
{
    static const double pts[] = {2, 2.01, 2.02, 2.5, 3.9, 3.95, 4.0, 5.05, 5.1};
    const char *path = scratch("uneven2.mp4");
    write_clip(path, 32, 32, 9, 25, pts);
    EXPECT(path, OPTS(.fps = 1), 0, 4, 6, 7);
    EXPECT(path, OPTS(.start = 1.9, .end = 3.05), 4, 5, 6);
    EXPECT(path, OPTS(.frames = 3), 0, 4, 8);
}
END_TEST

START_TEST(range_past_the_end)
{
    pare_error err;
    pare_frame f = {.struct_size = sizeof f};
    const char *path = scratch("short.mp4");
    write_clip(path, 32, 32, 5, 10, NULL);
    for (int start = 1; start < 20; start += 9) {
        pare_source *s = open_or_fail(path, OPTS(.start = start));
        ck_assert_int_eq(pare_source_read(s, &f, &err), PARE_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "0.4 s"));
        pare_source_close(&s);
    }
}
END_TEST

/* What comes after a start must be what a reading from the beginning gives. */
START_TEST(seek_equals_linear_read)
{
    static double pts[MAX_N], pts2[MAX_N];
    static uint64_t hash[MAX_N], hash2[MAX_N];
    const char *path = scratch("seek.mp4");
    write_clip(path, 48, 32, 330, 25, NULL); /* a key frame every 250 frames */
    int n = read_all(open_or_fail(path, NULL), pts, hash, MAX_N, NULL);
    ck_assert_int_eq(n, 330);
    for (double start = 2.5; start < 13; start += 2.1) {
        int n2 = read_all(open_or_fail(path, OPTS(.start = start)), pts2, hash2, MAX_N, NULL),
            first = (int)ceil(start * 25 - 1e-9);
        ck_assert_int_eq(n2, n - first);
        for (int i = 0; i < n2; i++) {
            ck_assert_double_eq(pts2[i], pts[first + i]);
            ck_assert_uint_eq(hash2[i], hash[first + i]);
        }
    }
}
END_TEST

START_TEST(counting_leaves_the_position)
{
    const char *path = scratch("count.mp4");
    write_clip(path, 32, 32, 12, 10, NULL);
    pare_source *s = open_or_fail(path, NULL);
    pare_frame f = {.struct_size = sizeof f};
    for (int i = 0; i < 12; i++) {
        int64_t n;
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(number_of(&f), i % 11);
        ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
        ck_assert_int_eq(n, 12);
    }
    pare_source_close(&s);
}
END_TEST

START_TEST(stop_flag)
{
    volatile int stop = 0;
    const char *path = scratch("stop.mp4");
    write_clip(path, 32, 32, 12, 10, NULL);
    pare_source *s = open_or_fail(path, OPTS(.stop = &stop));
    pare_frame f = {.struct_size = sizeof f};
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED); /* another thread may be looking */
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    int64_t n;
    ck_assert_int_eq(pare_source_count(s, &n, NULL), PARE_E_IO);
    pare_source_close(&s);
    ck_assert_int_eq(pare_source_open(&s, path, OPTS(.stop = &stop), NULL), PARE_E_IO);
}
END_TEST

/* ---- rotation -------------------------------------------------------------------------------------------------- */

/* Pixel of the upright picture that is `stored` turned clockwise. */
static const uint8_t *turned(const uint8_t *stored, int w, int h, int turns, int x, int y)
{
    int sx = turns == 0 ? x : turns == 1 ? y : turns == 2 ? w - 1 - x : w - 1 - y;
    int sy = turns == 0 ? y : turns == 1 ? h - 1 - x : turns == 2 ? h - 1 - y : x;
    return stored + ((int64_t)sy * w + sx) * 3;
}

START_TEST(rotation)
{
    enum { W = 66, H = 42 };
    static uint8_t stored[W * H * 3];
    for (int turns = 0; turns < 4; turns++) {
        const char *path = scratch("turned.mp4");
        write_clip(path, W, H, 1, 25, NULL);
        turn_clip(path, turns);
        pare_source *s = open_or_fail(path, NULL);
        pare_source_info info = {.struct_size = sizeof info};
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(f.rotation, turns * 90);
        ck_assert_int_eq(info.rotation, turns * 90);
        ck_assert(f.width == (turns % 2 ? H : W) && f.height == (turns % 2 ? W : H));
        ck_assert(f.width == info.width && f.height == info.height);
        for (int y = 0; !turns && y < H; y++) memcpy(stored + (int64_t)y * W * 3, f.rgb + y * f.stride, W * 3);
        for (int y = 0; y < f.height; y++)
            for (int x = 0; x < f.width; x++)
                ck_assert_mem_eq(f.rgb + y * f.stride + 3 * (int64_t)x, turned(stored, W, H, turns, x, y), 3);
        pare_source_close(&s);
    }
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------------------------- */

START_TEST(cut_off_in_the_middle)
{
    const char *whole = scratch("whole.mkv"), *cut = scratch("cut.mkv");
    write_clip(whole, 64, 64, 200, 25, NULL);
    append_file(cut, whole, 0.5);
    pare_source_info info;
    double pts[MAX_N];
    int n = read_all(open_or_fail(cut, NULL), pts, NULL, MAX_N, &info);
    ck_assert_int_gt(n, 20);
    ck_assert_int_lt(n, 180);
    for (int i = 0; i < n; i++) ck_assert_double_eq_tol(pts[i], i / 25.0, 1e-3);
}
END_TEST

START_TEST(size_changes_midway)
{
    static const double late[] = {2.0, 2.1, 2.2};
    const char *first = scratch("first.ts"), *second = scratch("second.ts"), *both = scratch("both.ts");
    write_clip(first, 64, 48, 4, 10, NULL);
    write_clip(second, 96, 64, 3, 10, late);
    append_file(both, first, 1);
    append_file(both, second, 1);
    pare_source *s = open_or_fail(both, NULL);
    pare_frame f = {.struct_size = sizeof f};
    int rc, small = 0, large = 0;
    while (!(rc = pare_source_read(s, &f, NULL))) {
        ck_assert((f.width == 64 && f.height == 48) || (f.width == 96 && f.height == 64));
        *(f.width == 64 ? &small : &large) += 1;
    }
    ck_assert_int_eq(rc, PARE_EOF);
    ck_assert_int_eq(small, 4);
    ck_assert_int_eq(large, 3);
    pare_source_close(&s);
}
END_TEST

/* A container without a frame is refused at open or at the first read, with a reason. */
START_TEST(video_without_frames)
{
    const char *const name[] = {"zero.mp4", "zero.mkv"};
    for (int i = 0; i < 2; i++) {
        const char *path = scratch(name[i]);
        write_clip(path, 32, 32, 0, 10, NULL);
        pare_source *s;
        pare_frame f = {.struct_size = sizeof f};
        pare_error err = {0};
        int rc = pare_source_open(&s, path, NULL, &err);
        if (!rc) rc = pare_source_read(s, &f, &err);
        ck_assert_msg(rc == PARE_E_FORMAT && strstr(err.text, name[i]), "%d %s", rc, err.text);
        pare_source_close(&s);
    }
}
END_TEST

START_TEST(unreadable_inputs)
{
    write_file(scratch("empty.mp4"), "", 0);
    write_file(scratch("text.mp4"), "these are no pictures\n", 22);
    char lines[8000]; /* libav would paint them */
    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 40 == 39 ? '\n' : 'x';
    write_file(scratch("lines.txt"), lines, sizeof lines);
    const struct {
        const char *path;
        int code;
    } bad[] = {{scratch("lines.txt"), PARE_E_FORMAT},
               {scratch("empty.mp4"), PARE_E_FORMAT},
               {scratch("text.mp4"), PARE_E_FORMAT},
               {"/nonexistent/x.mp4", PARE_E_IO},
               {"/tmp", PARE_E_IO},
               {scratch("frame_%03d.png"), PARE_E_IO}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare_source *s;
        pare_error err = {0};
        int rc = pare_source_open(&s, bad[i].path, NULL, &err);
        ck_assert_msg(rc == bad[i].code && strstr(err.text, bad[i].path), "%s: %d %s", bad[i].path, rc, err.text);
        ck_assert_ptr_null(s);
    }
    pare_source *s;
    ck_assert_int_eq(pare_source_open(&s, "x", OPTS(.format = "no-such-format"), NULL), PARE_E_UNSUPPORTED);
    ck_assert_int_eq(pare_source_open(&s, "", NULL, NULL), PARE_E_INVALID);
}
END_TEST

/* ---- stills ---------------------------------------------------------------------------------------------------- */

/* The picture must be 2 x 1 with these six samples. */
static void expect_pixels(const char *path, const uint8_t want[6])
{
    pare_source *s = open_or_fail(path, NULL);
    pare_frame f = {.struct_size = sizeof f};
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    ck_assert_int_eq(f.width, 2);
    ck_assert_int_eq(f.height, 1);
    ck_assert_mem_eq(f.rgb, want, 6);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
}

START_TEST(kinds_of_stills)
{
    const char *path = scratch("still.png");
    write_png(path, 2, 1, 3, 8, (const uint8_t[]){1, 2, 3, 250, 251, 252});
    expect_pixels(path, (const uint8_t[]){1, 2, 3, 250, 251, 252});
    write_png(path, 2, 1, 1, 8, (const uint8_t[]){7, 200});
    expect_pixels(path, (const uint8_t[]){7, 7, 7, 200, 200, 200});
    write_png(path, 2, 1, 2, 8, (const uint8_t[]){0, 255, 0, 0});
    expect_pixels(path, (const uint8_t[]){0, 0, 0, 255, 255, 255});
    write_png(path, 2, 1, 4, 8, (const uint8_t[]){10, 20, 30, 255, 0, 100, 255, 51}); /* one fifth opaque */
    expect_pixels(path, (const uint8_t[]){10, 20, 30, 204, 224, 255});
    write_png(path, 2, 1, 1, 16, (const uint8_t[]){0x12, 0xff, 0xfe, 0x00});
    expect_pixels(path, (const uint8_t[]){0x12, 0x12, 0x12, 0xfe, 0xfe, 0xfe});
    write_file(scratch("still.ppm"), "P6 2 1 255\n\1\2\3\4\5\6", 17);
    expect_pixels(scratch("still.ppm"), (const uint8_t[]){1, 2, 3, 4, 5, 6});
}
END_TEST

START_TEST(smallest_and_largest_still)
{
    const char *path = scratch("side.png");
    pare_error err = {0};
    pare_frame f = {.struct_size = sizeof f};
    write_png(path, 1, 1, 3, 8, (const uint8_t[]){9, 8, 7});
    pare_source *s = open_or_fail(path, NULL);
    pare_source_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
    ck_assert_int_eq(info.is_image, 1);
    ck_assert_str_eq(info.codec, "png");
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    ck_assert_mem_eq(f.rgb, ((const uint8_t[]){9, 8, 7}), 3);
    pare_source_close(&s);
    write_png(path, 20000, 20000, 3, 8, NULL);
    ck_assert_int_eq(pare_source_open(&s, path, NULL, &err), PARE_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "20000 x 20000"));
    ck_assert_ptr_nonnull(strstr(err.text, "16384"));
    write_png(path, 16384, 16385, 3, 8, NULL);
    ck_assert_int_eq(pare_source_open(&s, path, NULL, &err), PARE_E_LIMIT);
}
END_TEST

START_TEST(damaged_stills)
{
    uint8_t noise[64 * 64 * 3];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)(i * i >> 3);
    const char *whole = scratch("whole.png"), *cut = scratch("cut.png");
    write_png(whole, 64, 64, 3, 8, noise);
    append_file(cut, whole, 0.6);
    write_file(scratch("cut.ppm"), "P6 4 4 255\n12345", 16);
    write_file(scratch("head.png"), "\x89PNG\r\n\x1a\n", 8);
    const char *const path[] = {cut, scratch("cut.ppm"), scratch("head.png")};
    for (int i = 0; i < 3; i++) {
        pare_source *s;
        pare_frame f = {.struct_size = sizeof f};
        pare_error err = {0};
        int rc = pare_source_open(&s, path[i], NULL, &err);
        if (!rc) rc = pare_source_read(s, &f, &err);
        ck_assert_msg(rc == PARE_E_FORMAT && strstr(err.text, path[i]), "%s: %d %s", path[i], rc, err.text);
        pare_source_close(&s);
    }
}
END_TEST

/* Numbered pictures: stamps from their places, a damaged one is skipped, the first gap is the end. */
START_TEST(numbered_stills)
{
    for (int i = 1; i <= 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "n_%02d.png", i);
        uint8_t rgb[8 * 8 * 3];
        paint(rgb, 8, 8, i);
        write_png(scratch(name), 8, 8, 3, 8, rgb);
    }
    write_file(scratch("n_03.png"), "\x89PNG\r\n\x1a\n broken", 15);
    unlink(scratch("n_06.png"));
    write_file(scratch("n_07.png"), "", 0);
    double pts[8];
    pare_source_info info;
    ck_assert_int_eq(read_all(open_or_fail(scratch("n_%02d.png"), NULL), pts, NULL, 8, &info), 4);
    ck_assert_int_eq(info.n_damaged, 1);
    ck_assert_int_eq(info.is_image, 0);
    ck_assert_double_eq(pts[1], 1 / 25.0);
    ck_assert_double_eq(pts[2], 3 / 25.0);
    EXPECT(scratch("n_%02d.png"), OPTS(.rate = 2, .start = 1.4), 4, 5);
}
END_TEST

/* ---- bad output ------------------------------------------------------------------------------------------------ */

START_TEST(unwritable_outputs)
{
    write_file(scratch("plain"), "x", 1);
    char below[340];
    snprintf(below, sizeof below, "%s/x.mp4", scratch("plain"));
    const struct {
        const char *path;
        int width, height, code;
    } bad[] = {{"/nonexistent/dir/x.mp4", 8, 8, PARE_E_IO},
               {below, 8, 8, PARE_E_IO},
               {"/dev/full", 8, 8, PARE_E_IO},
               {scratch("x.unknown"), 8, 8, PARE_E_UNSUPPORTED},
               {scratch("x.avi"), 8, 8, PARE_E_UNSUPPORTED},
               {scratch("x.mp4"), 0, 8, PARE_E_INVALID},
               {scratch("x.mp4"), 8, 20000, PARE_E_LIMIT},
               {"", 8, 8, PARE_E_INVALID}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare_video_writer *w;
        pare_error err = {0};
        int rc = pare_video_writer_open(&w, bad[i].path, bad[i].width, bad[i].height, 25, &err);
        ck_assert_msg(rc == bad[i].code, "%s: %d %s", bad[i].path, rc, err.text);
        ck_assert_ptr_null(w);
    }
    ck_assert_int_eq(scratch_files("tmp"), 0);
    ck_assert_int_eq(scratch_files("x."), 0);
    ck_assert_int_eq(access("/dev/full", F_OK), 0);
}
END_TEST

START_TEST(stamps_that_do_not_increase)
{
    static const double given[] = {1, 1, 0.5, 1.5}, want[] = {1, 1 + 1 / 9e4, 1 + 2 / 9e4, 1.5};
    double pts[4];
    write_clip(scratch("order.mp4"), 16, 16, 4, 25, given);
    ck_assert_int_eq(read_all(open_or_fail(scratch("order.mp4"), NULL), pts, NULL, 4, NULL), 4);
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(pts[i], want[i], 1e-6);
}
END_TEST

START_TEST(unfinished_output)
{
    uint8_t rgb[16 * 16 * 3] = {0};
    pare_video_writer *w;
    ck_assert_int_eq(pare_video_writer_open(&w, scratch("unfinished.mp4"), 16, 16, 25, NULL), 0);
    ck_assert_int_eq(pare_video_writer_append(w, rgb, 1, NULL), 0);
    ck_assert_int_eq(pare_video_writer_append(w, rgb, NAN, NULL), PARE_E_INVALID);
    ck_assert_int_eq(pare_video_writer_append(w, rgb, 1.5, NULL), 0);
    ck_assert_int_ne(access(scratch("unfinished.mp4"), F_OK), 0);
    pare_video_writer_close(&w);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(scratch_files("unfinished"), 0);
}
END_TEST

/* A limit on the size of files stands for a full disk: writing fails somewhere, and nothing is left. */
START_TEST(disk_full)
{
    enum { SIDE = 256 };
    static uint8_t rgb[SIDE * SIDE * 3];
    struct rlimit old, small = {0};
    pare_video_writer *w;
    pare_error err = {0};
    write_file(scratch("full.mp4"), "old", 3);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 50000, .rlim_max = old.rlim_max};
    void (*previous)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = pare_video_writer_open(&w, scratch("full.mp4"), SIDE, SIDE, 25, &err);
    uint32_t noise = 1;
    for (int i = 0; !rc && i < 50; i++) {
        for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
        rc = pare_video_writer_append(w, rgb, i / 25.0, &err);
    }
    if (!rc) rc = pare_video_writer_finish(w, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, previous);
    ck_assert_msg(rc == PARE_E_IO && strstr(err.text, "full.mp4"), "%d %s", rc, err.text);
    ck_assert_int_eq(pare_video_writer_finish(w, NULL), PARE_E_STATE);
    pare_video_writer_close(&w);
    ck_assert_int_eq(scratch_files("full"), 1); /* the old file, untouched */
    pare_source *s;
    ck_assert_int_lt(pare_source_open(&s, scratch("full.mp4"), NULL, &err), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source");
    TCase *tc = tcase_create("clips");
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, odd_sizes_are_padded);
    tcase_add_test(tc, uneven_stamps);
    tcase_add_test(tc, every_container);
    tcase_add_test(tc, sampling);
    tcase_add_test(tc, sampling_of_uneven_stamps);
    tcase_add_test(tc, range_past_the_end);
    tcase_add_test(tc, seek_equals_linear_read);
    tcase_add_test(tc, counting_leaves_the_position);
    tcase_add_test(tc, stop_flag);
    tcase_add_test(tc, rotation);
    tcase_add_test(tc, cut_off_in_the_middle);
    tcase_add_test(tc, size_changes_midway);
    tcase_add_test(tc, video_without_frames);
    tcase_add_test(tc, unreadable_inputs);
    suite_add_tcase(suite, tc);
    tc = tcase_create("stills");
    tcase_add_test(tc, kinds_of_stills);
    tcase_add_test(tc, smallest_and_largest_still);
    tcase_add_test(tc, damaged_stills);
    tcase_add_test(tc, numbered_stills);
    suite_add_tcase(suite, tc);
    tc = tcase_create("output");
    tcase_add_test(tc, unwritable_outputs);
    tcase_add_test(tc, stamps_that_do_not_increase);
    tcase_add_test(tc, unfinished_output);
    tcase_add_test(tc, disk_full);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
