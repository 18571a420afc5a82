/* SPDX-License-Identifier: MIT */
/* Motion of decoded frames: a textured square that moves over a still background, written with pare_video_writer; turned
 * clips; reading ahead; the table of codecs. */
#include "media_util.h"

#include <check.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VTEST "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
enum { N = 12, SIDE = 64, STEP_X = 4, STEP_Y = 2, X0 = 24, Y0 = 24, MAX_BLOCK = 4096 };
#define OPTS(...) (&(pare_source_opts){.struct_size = sizeof(pare_source_opts), .motion = 1, __VA_ARGS__})

/* ---- clips -------------------------------------------------------------------------------------------------------- */

/* A smooth texture without period within the picture: any shift of it can be told. */
static uint8_t texture(int x, int y, int kind)
{
    const int a = (x * x / (7 + kind) + y * y / 11 + x * y / 13 + 31 * kind) & 127;
    return (uint8_t)(40 + 60 * kind + (a < 64 ? a : 127 - a));
}

static void paint_moving(uint8_t *rgb, int w, int h, int i)
{
    const int left = X0 + STEP_X * i, top = Y0 + STEP_Y * i;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, rgb += 3) {
            const int in = x >= left && y >= top && x < left + SIDE && y < top + SIDE;
            rgb[0] = rgb[1] = rgb[2] = in ? texture(x - left, y - top, 2) : texture(x, y, 0);
        }
}

static void write_moving(const char *path, int w, int h)
{
    pare_video_writer *out;
    pare_error err = {0};
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);
    ck_assert_msg(!pare_video_writer_open(&out, path, w, h, 25, &err), "%s", err.text);
    for (int i = 0; i < N; i++) {
        paint_moving(rgb, w, h, i);
        ck_assert_msg(!pare_video_writer_append(out, rgb, i / 25.0, &err), "%s", err.text);
    }
    ck_assert_msg(!pare_video_writer_finish(out, &err), "%s", err.text);
    pare_video_writer_close(&out);
    free(rgb);
}

/* Motion of a frame, kept beyond the next read. */
typedef struct seen {
    int32_t type, rows, cols, width, height;
    int16_t vector[MAX_BLOCK][2];
    uint8_t kind[MAX_BLOCK];
} seen;

static int watch(const char *path, const pare_source_opts *opts, seen *out)
{
    pare_source *s = open_or_fail(path, opts);
    pare_frame f = {.struct_size = sizeof f};
    int n = 0;
    for (; n < N && !pare_source_read(s, &f, NULL); n++) {
        const pare_motion *m = f.motion;
        ck_assert_ptr_nonnull(m);
        ck_assert_int_eq(m->block, 16);
        ck_assert_int_eq(m->rows, (f.height + 15) / 16);
        ck_assert_int_eq(m->cols, (f.width + 15) / 16);
        const size_t n_block = (size_t)m->rows * (size_t)m->cols;
        out[n] = (seen){.type = m->frame_type, .rows = m->rows, .cols = m->cols, .width = f.width, .height = f.height};
        memcpy(out[n].vector, m->vector, n_block * 2 * sizeof *m->vector);
        memcpy(out[n].kind, m->kind, n_block);
    }
    pare_source_close(&s);
    return n;
}

/* ---- vectors ------------------------------------------------------------------------------------------------------ */

static int is_multiple(const int16_t v[2])
{
    for (int k = 1; k < N; k++)
        if (abs(v[0] - 4 * k * STEP_X) <= 2 && abs(v[1] - 4 * k * STEP_Y) <= 2) return 1;
    return 0;
}

/* Blocks that lie within the square, and those far from where it has been or will be. */
static void judge(const seen *m, int i, int counts[4])
{
    const int left = X0 + STEP_X * i, top = Y0 + STEP_Y * i, end = X0 + STEP_X * N + SIDE;
    for (int r = 0; r < m->rows; r++)
        for (int c = 0; c < m->cols; c++) {
            const int x = 16 * c, y = 16 * r, at = r * m->cols + c;
            if (x >= left && x + 16 <= left + SIDE && y >= top && y + 16 <= top + SIDE) {
                counts[0]++;
                counts[1] += m->kind[at] == PARE_BLOCK_MOVED && is_multiple(m->vector[at]);
            } else if (x > end + 16) {
                counts[2]++;
                counts[3] += m->kind[at] == PARE_BLOCK_STILL && !m->vector[at][0] && !m->vector[at][1];
            }
        }
}

START_TEST(vectors_follow_the_square)
{
    static seen m[N];
    const char *path = scratch("moving.mp4");
    write_moving(path, 240, 160);
    ck_assert_int_eq(watch(path, OPTS(0), m), N);
    ck_assert_int_eq(m[0].type, 'I');
    for (int b = 0; b < m[0].rows * m[0].cols; b++)
        ck_assert(m[0].kind[b] == PARE_BLOCK_INTRA && !m[0].vector[b][0] && !m[0].vector[b][1]);
    int counts[4] = {0};
    for (int i = 1; i < N; i++) {
        ck_assert(m[i].type == 'P' || m[i].type == 'B');
        judge(&m[i], i, counts);
    }
    ck_assert_int_gt(counts[0], 50);
    ck_assert_int_gt(counts[2], 50);
    ck_assert_msg(counts[1] * 10 >= counts[0] * 8, "%d of %d blocks move with the square", counts[1], counts[0]);
    ck_assert_msg(counts[3] * 10 >= counts[2] * 9, "%d of %d blocks are still", counts[3], counts[2]);
}
END_TEST

START_TEST(the_same_while_reading_ahead)
{
    static seen want[N], got[N];
    const char *path = scratch("ahead.mp4");
    write_moving(path, 160, 120);
    ck_assert_int_eq(watch(path, OPTS(0), want), N);
    for (int ahead = 1; ahead < N; ahead += 4) {
        memset(got, 255, sizeof got);
        ck_assert_int_eq(watch(path, OPTS(.read_ahead = ahead), got), N);
        for (int i = 0; i < N; i++) ck_assert_mem_eq(&got[i], &want[i], sizeof want[i]);
    }
}
END_TEST

START_TEST(only_where_asked)
{
    const char *path = scratch("unasked.mp4");
    write_moving(path, 160, 120);
    pare_source *s = open_or_fail(path, NULL);
    pare_source_info info = {.struct_size = sizeof info};
    pare_frame f = {.struct_size = sizeof f};
    ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
    ck_assert_int_eq(info.has_motion, 1);
    while (!pare_source_read(s, &f, NULL)) ck_assert_ptr_null(f.motion);
    pare_source_close(&s);
    write_clip(scratch("none.webm"), 64, 64, 3, 25, NULL);
    s = open_or_fail(scratch("none.webm"), OPTS(0));
    ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
    ck_assert_int_eq(info.has_motion, 0);
    while (!pare_source_read(s, &f, NULL)) ck_assert_ptr_null(f.motion);
    pare_source_close(&s);
}
END_TEST

/* ---- turned clips --------------------------------------------------------------------------------------------------- */

/* What block (row, col) of the upright picture must say, pixel by pixel from the stored one's blocks. */
static void expect_block(const seen *stored, const seen *m, int way, int row, int col)
{
    const int turns = way % 4, mirrored = way >= 4;
    const int w = stored->width, h = stored->height, at = row * m->cols + col;
    int kind = PARE_BLOCK_STILL, found = 0, longest = 0;
    for (int y = 16 * row; y < 16 * row + 16 && y < m->height; y++)
        for (int x = 16 * col; x < 16 * col + 16 && x < m->width; x++) {
            const int unturned_x = turns == 1 ? y : turns == 2 ? w - 1 - x : turns == 3 ? w - 1 - y : x;
            const int sx = mirrored ? w - 1 - unturned_x : unturned_x;
            const int sy = turns == 1 ? h - 1 - x : turns == 2 ? h - 1 - y : turns == 3 ? x : y;
            const int b = sy / 16 * stored->cols + sx / 16;
            const int16_t v[2] = {(int16_t)(mirrored ? -stored->vector[b][0] : stored->vector[b][0]),
                                  stored->vector[b][1]};
            const int up_x = turns == 1 ? -v[1] : turns == 2 ? -v[0] : turns == 3 ? v[1] : v[0];
            const int up_y = turns == 1 ? v[0] : turns == 2 ? -v[1] : turns == 3 ? -v[0] : v[1];
            if (stored->kind[b] < kind) kind = stored->kind[b];
            if (v[0] * v[0] + v[1] * v[1] > longest) longest = v[0] * v[0] + v[1] * v[1];
            found |= up_x == m->vector[at][0] && up_y == m->vector[at][1];
        }
    const int length = m->vector[at][0] * m->vector[at][0] + m->vector[at][1] * m->vector[at][1];
    ck_assert_int_eq(m->kind[at], kind);
    ck_assert_int_eq(length, kind == PARE_BLOCK_INTRA ? 0 : longest);
    ck_assert(found || kind == PARE_BLOCK_INTRA);
}

START_TEST(turned_like_the_picture)
{
    static const int size[][2] = {{160, 128}, {166, 122}};
    static seen stored[N], m[N];
    for (int s = 0; s < 2; s++) {
        const char *path = scratch("turned.mp4");
        write_moving(path, size[s][0], size[s][1]);
        ck_assert_int_eq(watch(path, OPTS(0), stored), N);
        for (int turns = 1; turns < 8; turns++) {
            turn_clip(path, turns);
            ck_assert_int_eq(watch(path, OPTS(0), m), N);
            ck_assert_int_eq(m[1].width, size[s][turns % 2]);
            for (int i = 0; i < N; i++)
                for (int b = 0; b < m[i].rows * m[i].cols; b++)
                    expect_block(&stored[i], &m[i], turns, b / m[i].cols, b % m[i].cols);
        }
    }
}
END_TEST

/* ---- codecs ---------------------------------------------------------------------------------------------------------- */

START_TEST(codecs_are_listed)
{
    pare_codec_info info = {.struct_size = sizeof info};
    int n = 0, n_motion = 0;
    for (; !pare_codec_get(n, &info); n++) {
        n_motion += info.has_motion;
        ck_assert(info.has_decoder || !info.has_motion);
        if (!strcmp(info.name, "h264") || !strcmp(info.name, "mpeg4")) ck_assert(info.has_motion && info.has_types);
        if (!strcmp(info.name, "hevc") || !strcmp(info.name, "av1")) ck_assert(!info.has_motion && info.has_types);
        if (!strcmp(info.name, "mjpeg")) ck_assert(!info.has_motion && !info.has_types);
    }
    ck_assert_int_gt(n_motion, 4);
    ck_assert_int_gt(n, n_motion);
    ck_assert_int_eq(pare_codec_get(-1, &info), PARE_E_NOTFOUND);
    info.struct_size = 0;
    ck_assert_int_eq(pare_codec_get(0, &info), PARE_E_INVALID);
    ck_assert_int_eq(pare_codec_get(0, NULL), PARE_E_INVALID);
}
END_TEST

/* Every encoder of this FFmpeg whose decoder is said to tell vectors: it does. */
static int encodes_motion(const char *name, int w, int h)
{
    const AVCodec *encoder = avcodec_find_encoder(avcodec_descriptor_get_by_name(name)->id);
    char command[512];
    if (!encoder || !strcmp(encoder->name, "h264_v4l2m2m")) return -1;
    snprintf(command, sizeof command,
             "ffmpeg -nostdin -loglevel quiet -y -f lavfi -i testsrc2=s=%dx%d:r=25:d=0.4 -c:v %s '%s'", w, h,
             encoder->name, scratch(name[0] == 'r' ? "codec.rm" : "codec.avi"));
    if (system(command)) return -1;
    pare_source *s = open_or_fail(scratch(name[0] == 'r' ? "codec.rm" : "codec.avi"), OPTS(0));
    pare_frame f = {.struct_size = sizeof f};
    int n_told = 0;
    while (!pare_source_read(s, &f, NULL)) {
        const size_t n = (size_t)f.motion->rows * (size_t)f.motion->cols;
        n_told += memchr(f.motion->kind, PARE_BLOCK_MOVED, n) != NULL;
    }
    pare_source_close(&s);
    return n_told;
}

START_TEST(they_tell_what_the_table_says)
{
    pare_codec_info info = {.struct_size = sizeof info};
    int n_checked = 0;
    if (system("ffmpeg -version >/dev/null 2>&1")) return;
    for (int i = 0; !pare_codec_get(i, &info); i++) {
        const int n_told = info.has_motion ? encodes_motion(info.name, 352, 288) : -1;
        ck_assert_msg(n_told, "%s: no vectors", info.name);
        n_checked += n_told > 0;
    }
    ck_assert_int_gt(n_checked, 3);
}
END_TEST

/* OpenCV's clip of a still camera, as Debian installs it: msmpeg4v3 as it is met in the wild. */
START_TEST(a_still_camera_is_still)
{
    if (access(VTEST, R_OK)) {
        printf("motion: %s is not there, skipped\n", VTEST);
        return;
    }
    pare_source *s = open_or_fail(VTEST, OPTS(0));
    pare_source_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
    ck_assert_str_eq(info.codec, "msmpeg4v3");
    ck_assert(info.has_motion);
    pare_frame f = {.struct_size = sizeof f};
    int64_t n_kind[3] = {0};
    for (int i = 0; i < 60 && !pare_source_read(s, &f, NULL); i++) {
        ck_assert_ptr_nonnull(f.motion);
        ck_assert_int_eq(f.motion->rows, 36);
        ck_assert_int_eq(f.motion->cols, 48);
        ck_assert_int_eq(f.motion->frame_type, i ? f.motion->frame_type : 'I');
        for (int b = 0; b < 36 * 48; b++) n_kind[f.motion->kind[b]] += f.motion->frame_type == 'P';
    }
    ck_assert_int_gt(n_kind[PARE_BLOCK_STILL], n_kind[PARE_BLOCK_MOVED]);
    ck_assert_int_gt(n_kind[PARE_BLOCK_MOVED], 0);
    pare_source_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("motion");
    TCase *tc = tcase_create("motion");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, vectors_follow_the_square);
    tcase_add_test(tc, the_same_while_reading_ahead);
    tcase_add_test(tc, only_where_asked);
    tcase_add_test(tc, turned_like_the_picture);
    tcase_add_test(tc, codecs_are_listed);
    tcase_add_test(tc, they_tell_what_the_table_says);
    tcase_add_test(tc, a_still_camera_is_still);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failed != 0;
}
