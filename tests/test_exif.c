/* SPDX-License-Identifier: MIT */
/* EXIF orientation: where it stands in JPEG and PNG, what it does to pixels, sizes and boxes; alpha on white or ignored. */
#include "media/exif.h"
#include "media_util.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { W = 3, H = 2, MAX_FILE = 4096 };

/* A TIFF structure with two entries, the second one the orientation. Returns its size. */
static size_t make_tiff(uint8_t *to, int is_big, int orientation)
{
    static const uint8_t big[] = {'M', 'M',  0, 42, 0, 0, 0, 8, 0, 2,                    /* header, 2 entries */
                                  1,   0,    0, 3,  0, 0, 0, 1, 0, 7, 0, 0,              /* width */
                                  1,   0x12, 0, 3,  0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}; /* orientation, no more */
    static const uint8_t little[] = {'I',  'I', 42, 0, 8, 0, 0, 0, 2, 0,                 /* the same, low byte first */
                                     0,    1,   3,  0, 1, 0, 0, 0, 7, 0, 0, 0,           /**/
                                     0x12, 1,   3,  0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}; /**/
    memcpy(to, is_big ? big : little, sizeof big);
    to[is_big ? 31 : 30] = (uint8_t)orientation;
    return sizeof big;
}

/* Stored column and row of the upright pixel (x, y), from the words of the standard: where row 0 and column 0 are. */
static void stored_of(int orientation, int x, int y, int *sx, int *sy)
{
    const int swap = orientation >= 5;
    const int right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const int low = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    *sx = swap ? y : x;
    *sy = swap ? x : y;
    if (right) *sx = W - 1 - *sx;
    if (low) *sy = H - 1 - *sy;
}

static uint8_t value_at(int sx, int sy, int c) { return (uint8_t)(20 + 40 * sx + 100 * sy + c); }

static void fill(uint8_t *rgb)
{
    for (int i = 0; i < W * H * 3; i++) rgb[i] = value_at(i / 3 % W, i / 3 / W, i % 3);
}

static void expect_upright(const uint8_t *rgb, int64_t stride, int orientation)
{
    const int w = orientation >= 5 ? H : W, h = orientation >= 5 ? W : H;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int sx, sy;
            stored_of(orientation, x, y, &sx, &sy);
            for (int c = 0; c < 3; c++)
                ck_assert_msg(rgb[y * stride + x * 3 + c] == value_at(sx, sy, c), "orientation %d at %d %d",
                              orientation, x, y);
        }
}

START_TEST(all_orientations)
{
    uint8_t tiff[64], rgb[W * H * 3], out[W * H * 3];
    fill(rgb);
    for (int i = 0; i <= 9; i++)
        for (int is_big = 0; is_big < 2; is_big++) {
            const int orientation = i < 1 || i > 8 ? 1 : i;
            const pare__turn turn = pare__exif_parse(tiff, make_tiff(tiff, is_big, i));
            pare__turn_pixels(rgb, W * 3, W, H, turn, out);
            expect_upright(out, 3 * (orientation >= 5 ? H : W), orientation);
        }
}
END_TEST

static int is_none(pare__turn t) { return t.mirrored == 0 && t.rotation == 0; }

/* Whatever is cut off or wrong is no orientation; nothing is read behind the end. */
START_TEST(damaged_tiff)
{
    uint8_t tiff[64];
    const size_t n = make_tiff(tiff, 1, 6);
    ck_assert_int_eq(pare__exif_parse(tiff, n).rotation, 90);
    for (size_t cut = 0; cut < 34; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, tiff, cut);
        ck_assert(is_none(pare__exif_parse(part, cut)));
        free(part);
    }
    for (int i = 0; i < 8; i++) {
        make_tiff(tiff, 1, 6);
        tiff[i] ^= 0xff;
        ck_assert(is_none(pare__exif_parse(tiff, n)));
    }
    make_tiff(tiff, 1, 6);
    tiff[25] = 4; /* a LONG */
    ck_assert(is_none(pare__exif_parse(tiff, n)));
}
END_TEST

/* JPEG segments before the picture: APP0, an APP1 that is not EXIF, the EXIF one. */
static size_t make_jpeg(uint8_t *to, int orientation, int after_picture)
{
    uint8_t tiff[64];
    const size_t n = make_tiff(tiff, 0, orientation);
    size_t at = 0;
    static const uint8_t start[] = {0xff, 0xd8, 0xff, 0xe0, 0,   4,   'J', 'F', 0xff, 0xe1,
                                    0,    10,   'h',  't',  't', 'p', ':', '/', '/',  0};
    memcpy(to, start, sizeof start);
    at = sizeof start;
    if (after_picture) {
        memcpy(to + at, (uint8_t[]){0xff, 0xda, 0, 2}, 4);
        at += 4;
    }
    memcpy(to + at, (uint8_t[]){0xff, 0xe1, 0, (uint8_t)(n + 8), 'E', 'x', 'i', 'f', 0, 0}, 10);
    memcpy(to + at + 10, tiff, n);
    return at + 10 + n;
}

static pare__turn read_bytes(const uint8_t *bytes, size_t n)
{
    write_file(scratch("turn.jpg"), bytes, n);
    FILE *f = fopen(scratch("turn.jpg"), "rb");
    const pare__turn turn = pare__exif_read(f);
    ck_assert_int_eq((int)ftell(f), 0);
    fclose(f);
    return turn;
}

START_TEST(jpeg_segments)
{
    uint8_t bytes[256];
    size_t n = make_jpeg(bytes, 7, 0);
    const pare__turn turn = read_bytes(bytes, n);
    ck_assert(turn.mirrored == 1 && turn.rotation == 90);
    for (size_t cut = 1; cut < n; cut += 3) ck_assert(is_none(read_bytes(bytes, cut)));
    ck_assert(is_none(read_bytes(bytes, make_jpeg(bytes, 7, 1))));
}
END_TEST

/* Puts an eXIf chunk behind the header of a PNG. */
static void write_turned_png(const char *path, int orientation)
{
    uint8_t rgb[W * H * 3], bytes[MAX_FILE], tiff[64];
    fill(rgb);
    write_png(path, W, H, 3, 8, rgb);
    FILE *f = fopen(path, "rb");
    const size_t n = fread(bytes, 1, sizeof bytes, f), header = 8 + 25, size = make_tiff(tiff, 1, orientation);
    fclose(f);
    write_file(path, bytes, header);
    f = fopen(path, "ab");
    fwrite((uint8_t[]){0, 0, 0, (uint8_t)size, 'e', 'X', 'I', 'f'}, 1, 8, f);
    fwrite(tiff, 1, size, f);
    fwrite((uint8_t[4]){0}, 1, 4, f); /* a checksum that nobody looks at */
    fwrite(bytes + header, 1, n - header, f);
    fclose(f);
}

START_TEST(png_from_file_to_frame)
{
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int exif = 0; exif < 2; exif++) {
            write_turned_png(scratch("turn.png"), orientation);
            const int shown = exif ? orientation : 1;
            pare_source *s = open_or_fail(scratch("turn.png"),
                                          &(pare_source_opts){.struct_size = sizeof(pare_source_opts), .exif = exif});
            pare_source_info info = {.struct_size = sizeof info};
            pare_frame f = {.struct_size = sizeof f};
            ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
            ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
            ck_assert_int_eq(f.width, shown >= 5 ? H : W);
            ck_assert_int_eq(f.height, shown >= 5 ? W : H);
            ck_assert(info.width == f.width && info.height == f.height);
            ck_assert(info.rotation == f.rotation && info.mirrored == f.mirrored);
            ck_assert_int_eq(f.rotation != 0 || f.mirrored != 0, shown != 1);
            expect_upright(f.rgb, f.stride, shown);
            pare_source_close(&s);
        }
}
END_TEST

/* Red at half opacity, and green that nobody sees. */
START_TEST(alpha)
{
    static const uint8_t rgba[2 * 4] = {255, 0, 0, 128, 0, 255, 0, 0};
    static const uint8_t white[2 * 3] = {255, 127, 127, 255, 255, 255}, stored[2 * 3] = {255, 0, 0, 0, 255, 0};
    write_png(scratch("alpha.png"), 2, 1, 4, 8, rgba);
    for (int ignore = 0; ignore < 2; ignore++) {
        pare_source *s = open_or_fail(
            scratch("alpha.png"), &(pare_source_opts){.struct_size = sizeof(pare_source_opts), .ignore_alpha = ignore});
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_mem_eq(f.rgb, ignore ? stored : white, sizeof white);
        pare_source_close(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exif");
    TCase *c = tcase_create("exif");
    tcase_add_test(c, all_orientations);
    tcase_add_test(c, damaged_tiff);
    tcase_add_test(c, jpeg_segments);
    tcase_add_test(c, png_from_file_to_frame);
    tcase_add_test(c, alpha);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failed != 0;
}
