/* SPDX-License-Identifier: MIT */
/* y4m and rgb24: sample layouts against known colours, headers good and bad, cut-off streams, stdin, the stop flag. */
#include "media/source.h"

#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/pare-raw-XXXXXX";

static void put(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* The next frame of a driver with its pixels. */
static int next_picture(void *self, pare__picture *to, pare_frame *f, pare_error *err)
{
    int rc = pare__source_y4m.next(self, f, err);
    return rc ? rc : pare__source_y4m.pixels(self, to, f, err);
}

/* The first frame of a y4m stream of one colour: every pixel must be `want` within 1. */
static void expect_colour(const char *header, const uint8_t *frame, size_t n, const int want[3])
{
    uint8_t data[512];
    size_t n_header = strlen(header);
    memcpy(data, header, n_header);
    memcpy(data + n_header, "FRAME\n", 6);
    memcpy(data + n_header + 6, frame, n);
    pare_source_info info = {0};
    pare_error err = {0};
    void *self = NULL;
    ck_assert_msg(!pare__y4m_open_memory(&self, data, n_header + 6 + n, &info, &err), "%s: %s", header, err.text);
    pare_frame f = {.struct_size = sizeof f};
    pare__picture to = {0};
    ck_assert_int_eq(next_picture(self, &to, &f, &err), 0);
    for (int i = 0; i < f.width * f.height * 3; i++)
        ck_assert_msg(abs(f.rgb[i] - want[i % 3]) <= 1, "%s: sample %d is %d, not %d", header, i, f.rgb[i],
                      want[i % 3]);
    ck_assert_int_eq(next_picture(self, &to, &f, &err), PARE_EOF);
    ck_assert_int_eq(info.n_damaged, 0);
    pare__source_y4m.close(self);
    pare__picture_free(&to);
}

/* Planes of a 3 x 3 picture of one colour; returns the bytes. */
static size_t planes(uint8_t *out, const int yuv[3], int n_chroma, int bits)
{
    size_t n = 0;
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < (p ? n_chroma : 9); i++) {
            int v = yuv[p] << (bits - 8);
            out[n++] = (uint8_t)v;
            if (bits > 8) out[n++] = (uint8_t)(v >> 8);
        }
    return n;
}

START_TEST(layouts_and_colours)
{
    static const struct {
        const char *name;
        int n_chroma, bits;
    } layout[] = {{"420jpeg", 4, 8}, {"420mpeg2", 4, 8}, {"420paldv", 4, 8}, {"420", 4, 8},     {"422", 6, 8},
                  {"444", 9, 8},     {"411", 3, 8},      {"420p10", 4, 10},  {"422p12", 6, 12}, {"444p16", 9, 16}};
    static const struct {
        int yuv[3], rgb[3], full;
    } colour[] = {{{16, 128, 128}, {0, 0, 0}, 0},        {{235, 128, 128}, {255, 255, 255}, 0},
                  {{81, 90, 240}, {255, 0, 0}, 0},       {{145, 54, 34}, {0, 255, 0}, 0},
                  {{41, 240, 110}, {0, 0, 255}, 0},      {{0, 128, 128}, {0, 0, 0}, 1},
                  {{255, 128, 128}, {255, 255, 255}, 1}, {{76, 85, 255}, {254, 0, 0}, 1},
                  {{126, 128, 128}, {128, 128, 128}, 0}};
    for (size_t l = 0; l < sizeof layout / sizeof layout[0]; l++)
        for (size_t c = 0; c < sizeof colour / sizeof colour[0]; c++) {
            char header[128];
            uint8_t data[128];
            snprintf(header, sizeof header, "YUV4MPEG2 W3 H3 F25:1 C%s%s\n", layout[l].name,
                     colour[c].full ? " XCOLORRANGE=FULL" : " XCOLORRANGE=LIMITED");
            size_t n = planes(data, colour[c].yuv, layout[l].n_chroma, layout[l].bits);
            expect_colour(header, data, n, colour[c].rgb);
        }
    expect_colour("YUV4MPEG2 W2 H1 Cmono\n", (const uint8_t[]){235, 235}, 2, (const int[]){255, 255, 255});
    expect_colour("YUV4MPEG2 W1 H1\n", (const uint8_t[]){81, 90, 240}, 3, (const int[]){255, 0, 0});
}
END_TEST

START_TEST(pixels_keep_their_places)
{
    static const uint8_t stream[] = "YUV4MPEG2 W3 H2 F1:1 Cmono XCOLORRANGE=FULL\nFRAME I\n\x01\x02\x03\x04\x05\x06";
    pare_source_info info = {0};
    void *self = NULL;
    pare_frame f = {.struct_size = sizeof f};
    pare__picture to = {0};
    ck_assert_int_eq(pare__y4m_open_memory(&self, stream, sizeof stream - 1, &info, NULL), 0);
    ck_assert_int_eq(next_picture(self, &to, &f, NULL), 0);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(f.rgb[3 * i + i % 3], i + 1);
    ck_assert_int_eq(f.width, 3);
    ck_assert_int_eq(f.height, 2);
    pare__source_y4m.close(self);
    pare__picture_free(&to);
}
END_TEST

static void expect_refused(const char *text, int code, const char *part)
{
    pare_source_info info = {0};
    pare_error err = {0};
    void *self = NULL;
    int rc = pare__y4m_open_memory(&self, (const uint8_t *)text, strlen(text), &info, &err);
    ck_assert_msg(rc == code, "%s: %d, not %d (%s)", text, rc, code, err.text);
    ck_assert_msg(strstr(err.text, part) != NULL, "%s: '%s' does not say '%s'", text, err.text, part);
    ck_assert_ptr_null(self);
}

START_TEST(bad_headers)
{
    char long_line[3000];
    memset(long_line, 'X', sizeof long_line);
    memcpy(long_line, "YUV4MPEG2 ", 10);
    long_line[sizeof long_line - 1] = '\0';
    expect_refused("", PARE_E_FORMAT, "YUV4MPEG2");
    expect_refused("YUV4MPEG2 W4 H4", PARE_E_FORMAT, "YUV4MPEG2");
    expect_refused("RIFF W4 H4\n", PARE_E_FORMAT, "YUV4MPEG2");
    expect_refused(long_line, PARE_E_FORMAT, "1024");
    expect_refused("YUV4MPEG2 W4\n", PARE_E_FORMAT, "4 x 0");
    expect_refused("YUV4MPEG2 W4x H4\n", PARE_E_FORMAT, "W4x");
    expect_refused("YUV4MPEG2 W-4 H4\n", PARE_E_FORMAT, "W-4");
    expect_refused("YUV4MPEG2 W4 H4 F25\n", PARE_E_FORMAT, "F25");
    expect_refused("YUV4MPEG2 W4 H4 C410\n", PARE_E_UNSUPPORTED, "C410");
    expect_refused("YUV4MPEG2 W4 H4 C420p99\n", PARE_E_UNSUPPORTED, "C420p99");
    expect_refused("YUV4MPEG2 W20000 H20000\n", PARE_E_LIMIT, "20000 x 20000");
    expect_refused("YUV4MPEG2 W99999999999999999999 H1\n", PARE_E_FORMAT, "W999");
    expect_refused("YUV4MPEG2 W16385 H1\n", PARE_E_LIMIT, "16384");
}
END_TEST

/* Reads everything; returns the number of frames, checks their stamps (rate per second). */
static int drain(pare_source *s, double rate, pare_source_info *info)
{
    pare_frame f = {.struct_size = sizeof f};
    pare_error err = {0};
    int n = 0, rc;
    while (!(rc = pare_source_read(s, &f, &err))) {
        ck_assert_double_eq_tol(f.pts, n / rate, 1e-9);
        n++;
    }
    ck_assert_msg(rc == PARE_EOF, "%s", err.text);
    *info = (pare_source_info){.struct_size = sizeof *info};
    ck_assert_int_eq(pare_source_get(s, info, NULL), 0);
    return n;
}

START_TEST(file_that_breaks_off)
{
    static const char stream[] = "YUV4MPEG2 W2 H2 F10:1 C444\nFRAME\n123412341234FRAME Ix\n123412341234FRAME\n12341";
    put(stream, sizeof stream - 1);
    pare_source *s;
    pare_source_info info;
    int64_t n;
    ck_assert_int_eq(pare_source_open(&s, path, NULL, NULL), 0);
    ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(drain(s, 10, &info), 2);
    ck_assert_str_eq(info.driver, "y4m");
    ck_assert_int_eq(info.n_damaged, 1);
    ck_assert_double_eq(info.rate, 10);
    pare_source_close(&s);
    ck_assert_ptr_null(s);
}
END_TEST

START_TEST(stream_without_frames)
{
    pare_source *s;
    pare_error err;
    pare_frame f = {.struct_size = sizeof f};
    put("YUV4MPEG2 W2 H2\n", 16);
    ck_assert_int_eq(pare_source_open(&s, path, NULL, NULL), 0);
    ck_assert_int_eq(pare_source_read(s, &f, &err), PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "no frame"));
    pare_source_close(&s);
}
END_TEST

START_TEST(raw_rgb)
{
    uint8_t data[50];
    for (int i = 0; i < 50; i++) data[i] = (uint8_t)i;
    put(data, sizeof data); /* two frames of 4 x 2 and 2 bytes */
    pare_source_opts opts = {.struct_size = sizeof opts, .format = "rgb24", .width = 4, .height = 2, .rate = 2};
    pare_source *s;
    pare_source_info info;
    pare_frame f = {.struct_size = sizeof f};
    int64_t n;
    ck_assert_int_eq(pare_source_open(&s, path, &opts, NULL), 0);
    ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    ck_assert_mem_eq(f.rgb, data, 24);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    ck_assert_mem_eq(f.rgb, data + 24, 24);
    ck_assert_double_eq(f.pts, 0.5);
    ck_assert_int_eq(drain(s, 2, &info), 0);
    ck_assert_int_eq(info.n_damaged, 1);
    pare_source_close(&s);
    pare_error err;
    opts.rate = 0;
    ck_assert_int_eq(pare_source_open(&s, path, &opts, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "4 x 2 at 0"));
}
END_TEST

START_TEST(sampled_file)
{
    uint8_t data[30];
    for (int i = 0; i < 30; i++) data[i] = (uint8_t)(i / 3);
    put(data, sizeof data);
    pare_source_opts opts = {
        .struct_size = sizeof opts, .format = "rgb24", .width = 1, .height = 1, .rate = 10, .frames = 4};
    static const int want[] = {0, 3, 6, 9};
    pare_source *s;
    pare_frame f = {.struct_size = sizeof f};
    int64_t n;
    ck_assert_int_eq(pare_source_open(&s, path, &opts, NULL), 0);
    ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
    ck_assert_int_eq(n, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(f.rgb[0], want[i]);
    }
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
}
END_TEST

/* Runs `body` with the read end of a pipe as stdin; `data` is already in it. */
static void with_stdin(const char *data, size_t n, int keep_open, void (*body)(void))
{
    int fd[2], saved = dup(STDIN_FILENO);
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(write(fd[1], data, n), (ssize_t)n);
    if (!keep_open) close(fd[1]);
    dup2(fd[0], STDIN_FILENO);
    close(fd[0]);
    body();
    dup2(saved, STDIN_FILENO);
    close(saved);
    if (keep_open) close(fd[1]);
}

static void read_stdin(void)
{
    pare_source *s;
    pare_source_info info;
    int64_t n;
    ck_assert_int_eq(pare_source_open(&s, "-", NULL, NULL), 0);
    ck_assert_int_eq(pare_source_count(s, &n, NULL), PARE_E_UNSUPPORTED);
    ck_assert_int_eq(drain(s, 25, &info), 2);
    ck_assert_int_eq(info.is_live, 1);
    pare_source_close(&s);
}

static void uniform_from_stdin(void)
{
    pare_source *s;
    pare_error err;
    pare_source_opts opts = {.struct_size = sizeof opts, .frames = 2};
    ck_assert_int_eq(pare_source_open(&s, "-", &opts, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot be read twice"));
    ck_assert_ptr_null(s);
}

/* The writer of the pipe is silent: without the flag this read would never return. */
static void stop_while_waiting(void)
{
    volatile int stop = 0;
    pare_source *s;
    pare_frame f = {.struct_size = sizeof f};
    pare_source_opts opts = {.struct_size = sizeof opts, .stop = &stop};
    ck_assert_int_eq(pare_source_open(&s, "-", &opts, NULL), 0);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    stop = 1;
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
}

START_TEST(standard_input)
{
    static const char stream[] = "YUV4MPEG2 W1 H1 F25:1 Cmono\nFRAME\n1FRAME\n2";
    with_stdin(stream, sizeof stream - 1, 0, read_stdin);
    with_stdin(stream, sizeof stream - 1, 0, uniform_from_stdin);
    with_stdin(stream, sizeof stream - 1, 1, stop_while_waiting);
}
END_TEST

START_TEST(bad_options)
{
    static const struct {
        pare_source_opts opts;
        const char *part;
    } bad[] = {
        {{.struct_size = 0}, "struct_size"},
        {{.struct_size = sizeof(pare_source_opts), .start = NAN}, "start is nan"},
        {{.struct_size = sizeof(pare_source_opts), .end = INFINITY}, "end is inf"},
        {{.struct_size = sizeof(pare_source_opts), .fps = -1}, "fps is -1"},
        {{.struct_size = sizeof(pare_source_opts), .start = 3, .end = 2}, "end 2 s is not after start 3 s"},
        {{.struct_size = sizeof(pare_source_opts), .fps = 1, .every = 2}, "only one"},
        {{.struct_size = sizeof(pare_source_opts), .frames = -5}, "frames is -5"},
        {{.struct_size = sizeof(pare_source_opts), .read_ahead = -1}, "read_ahead is -1"},
        {{.struct_size = sizeof(pare_source_opts), .read_ahead = 65}, "read_ahead is 65, must be between 0 and 64"}};
    put("YUV4MPEG2 W2 H2\n", 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare_source *s;
        pare_error err = {0};
        ck_assert_int_eq(pare_source_open(&s, path, &bad[i].opts, &err), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, bad[i].part) != NULL, "'%s' does not say '%s'", err.text, bad[i].part);
        ck_assert_ptr_null(s);
    }
}
END_TEST

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0) return EXIT_FAILURE;
    close(fd);
    Suite *suite = suite_create("raw");
    TCase *tc = tcase_create("y4m and rgb24");
    tcase_add_test(tc, layouts_and_colours);
    tcase_add_test(tc, pixels_keep_their_places);
    tcase_add_test(tc, bad_headers);
    tcase_add_test(tc, file_that_breaks_off);
    tcase_add_test(tc, stream_without_frames);
    tcase_add_test(tc, raw_rgb);
    tcase_add_test(tc, sampled_file);
    tcase_add_test(tc, standard_input);
    tcase_add_test(tc, bad_options);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    unlink(path);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
