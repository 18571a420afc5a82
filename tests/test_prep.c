/* SPDX-License-Identifier: MIT */
/* Preprocessing: which size a frame becomes, crops and paddings, strides, normalisation, messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/limits.h"
#include "encode/prep.h"

static pare_model model;
static pare__arena arena;

static void setup(void)
{
    arena = (pare__arena){0};
    model = (pare_model){.hp = {.patch = 14, .unit = 1, .video_units = 768},
                         .prep = {.resize = PARE__RESIZE_SHORTEST,
                                  .shortest = 256,
                                  .resample = PARE__RESAMPLE_BICUBIC,
                                  .crop = PARE__CROP_FLOOR,
                                  .crop_width = 224,
                                  .crop_height = 224,
                                  .rescale = 1 / 255.0,
                                  .mean = {0.485f, 0.456f, 0.406f},
                                  .std = {0.229f, 0.224f, 0.225f}}};
}

static void teardown(void) { pare__arena_fini(&arena); }

static pare__fit fit(int32_t w, int32_t h, int32_t video, int32_t width, int32_t height, int32_t max_side)
{
    pare__fit f = {0};
    pare_error err = {0};
    int rc = pare__prep_fit(&model, w, h, video, width, height, max_side, &f, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_eq(f.width % 14, 0);
    ck_assert_int_eq(f.height % 14, 0);
    return f;
}

static void fails(int32_t w, int32_t h, int32_t video, int32_t width, int32_t height, int32_t max_side, int code,
                  const char *text)
{
    pare__fit f;
    pare_error err = {0};
    ck_assert_int_eq(pare__prep_fit(&model, w, h, video, width, height, max_side, &f, &err), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' lacks '%s'", err.text, text);
}

START_TEST(video_keeps_the_frame)
{
    pare__fit f = fit(768, 576, 1, 0, 0, 0); /* vtest.avi */
    ck_assert_int_eq(f.width, 448);
    ck_assert_int_eq(f.height, 336);
    ck_assert(f.resized_width == 448 && f.resized_height == 336 && f.crop_x == 0 && f.crop_y == 0);
    f = fit(1920, 1080, 1, 0, 0, 0); /* sqrt(768) units aside: 36.95 x 20.78 */
    ck_assert(f.width == 37 * 14 && f.height == 21 * 14);
    f = fit(4000, 2, 1, 0, 0, 0); /* at least one unit */
    ck_assert_int_eq(f.height, 14);
    f = fit(768, 576, 1, 140, 280, 0);
    ck_assert(f.width == 140 && f.height == 280);
}
END_TEST

START_TEST(max_side_bounds)
{
    pare__fit f = fit(768, 576, 1, 0, 0, 225);
    ck_assert(f.width == 224 && f.height == 168);
    f = fit(768, 576, 1, 0, 0, 5000); /* no effect above the default size */
    ck_assert_int_eq(f.width, 448);
    f = fit(640, 480, 0, 0, 0, 112); /* photo: the rule at a smaller crop, same proportion */
    ck_assert(f.width == 112 && f.height == 112 && f.resized_height == 128 && f.resized_width == 170);
    ck_assert(f.crop_x == 29 && f.crop_y == 8);
}
END_TEST

START_TEST(photo_follows_the_rule)
{
    pare__fit f = fit(640, 481, 0, 0, 0, 0);
    ck_assert(f.resized_height == 256 && f.resized_width == 340); /* floor(256 * 640 / 481) = 340 */
    ck_assert(f.width == 224 && f.crop_x == 58 && f.crop_y == 16);
    f = fit(640, 481, 0, 98, 98, 0);
    ck_assert(f.resized_height == 112 && f.width == 98);
    model.prep.resize = PARE__RESIZE_EXACT;
    model.prep.resize_width = 230;
    model.prep.resize_height = 229;
    model.prep.crop = PARE__CROP_NONE;
    f = fit(10, 500, 0, 0, 0, 0); /* the rest of the last unit is dropped */
    ck_assert(f.resized_width == 230 && f.resized_height == 229 && f.width == 224 && f.height == 224);
}
END_TEST

START_TEST(odd_margins)
{
    model.prep.resize = PARE__RESIZE_EXACT;
    model.prep.resize_width = 227;  /* margin 3: floor 1, half to even of 1.5 is 2 */
    model.prep.resize_height = 225; /* margin 1: floor 0, half to even of 0.5 is 0 */
    pare__fit f = fit(100, 100, 0, 0, 0, 0);
    ck_assert(f.crop_x == 1 && f.crop_y == 0);
    model.prep.crop = PARE__CROP_ROUND;
    f = fit(100, 100, 0, 0, 0, 0);
    ck_assert(f.crop_x == 2 && f.crop_y == 0);
    model.prep.resize_width = 221; /* padding of 3 */
    f = fit(100, 100, 0, 0, 0, 0);
    ck_assert_int_eq(f.crop_x, -1);
    model.prep.crop = PARE__CROP_FLOOR;
    f = fit(100, 100, 0, 0, 0, 0);
    ck_assert_int_eq(f.crop_x, -2);
}
END_TEST

typedef struct patches {
    int32_t width, height, patch, most, want_width, want_height;
} patches;

/* What transformers' get_image_size_for_max_num_patches (SigLIP 2, NaFlex) gives. */
static const patches naflex[] = {
    {640, 480, 16, 256, 288, 224},   {480, 640, 16, 256, 224, 288}, {1000, 300, 16, 256, 448, 144},
    {256, 256, 16, 256, 256, 256},   {257, 255, 16, 256, 256, 256}, {3000, 17, 16, 256, 2832, 16},
    {17, 3000, 16, 64, 16, 1024},    {1, 1, 16, 256, 112, 112},     {16, 16, 16, 1024, 512, 512},
    {1920, 1080, 14, 729, 504, 280}, {333, 777, 16, 100, 96, 224},  {12000, 9000, 16, 256, 288, 224},
};

START_TEST(patches_fill_the_budget)
{
    const patches *p = &naflex[_i];
    pare__fit f;
    model.hp.patch = p->patch;
    model.prep = (pare__prep_rule){.resize = PARE__RESIZE_PATCHES, .max_patches = p->most};
    ck_assert_int_eq(pare__prep_fit(&model, p->width, p->height, 0, 0, 0, 0, &f, NULL), 0);
    ck_assert_int_eq(f.width, p->want_width);
    ck_assert_int_eq(f.height, p->want_height);
    ck_assert(f.resized_width == f.width && f.resized_height == f.height && f.crop_x == 0);
    ck_assert_int_eq(pare__prep_fit(&model, p->width, p->height, 0, 4 * p->patch, 2 * p->patch, 0, &f, NULL), 0);
    ck_assert(f.width == 4 * p->patch && f.height == 2 * p->patch);
}
END_TEST

START_TEST(messages)

{
    fails(100, 100, 1, 100, 140, 0, PARE_E_INVALID, "multiples of 14");
    fails(100, 100, 1, 140, 0, 0, PARE_E_INVALID, "140x0");
    fails(0, 100, 1, 0, 0, 0, PARE_E_INVALID, "0 x 100");
    fails(20000, 20000, 1, 0, 0, 0, PARE_E_LIMIT, "20000 x 20000");
    fails(100, 100, 1, 0, 0, 9, PARE_E_INVALID, "max side 9");
    fails(100, 100, 1, 280, 140, 200, PARE_E_INVALID, "280x140");
    fails(16384, 1, 0, 0, 0, 0, PARE_E_LIMIT, "16384 x 1");
    fails(100, 100, 1, 14 * 1170, 14 * 1170, 0, PARE_E_LIMIT, "units");
}
END_TEST

START_TEST(padding_is_zero_and_crop_is_exact)
{
    uint8_t src[6 * 4 * 3], out[10 * 2 * 3];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (uint8_t)(i + 1);
    pare_frame frame = {.rgb = src, .stride = 18, .width = 6, .height = 4};
    pare__fit f = {6, 4, 0, 6, 4, -2, 1, 10, 2, {0}, 0};
    ck_assert_int_eq(pare__prep_frame(&frame, &f, PARE__RESAMPLE_BILINEAR, out, &arena, NULL, NULL), 0);
    for (int r = 0; r < 2; r++) {
        for (int x = 0; x < 10; x++) {
            int want = x < 2 || x >= 8 ? 0 : src[(r + 1) * 18 + (x - 2) * 3];
            ck_assert_int_eq(out[(r * 10 + x) * 3], want);
        }
    }
    frame.rgb = src + 3 * 18; /* upside down by a negative stride */
    frame.stride = -18;
    f = (pare__fit){6, 4, 0, 6, 4, 0, 0, 6, 1, {0}, 0};
    ck_assert_int_eq(pare__prep_frame(&frame, &f, PARE__RESAMPLE_BILINEAR, out, &arena, NULL, NULL), 0);
    ck_assert_mem_eq(out, src + 3 * 18, 18);
}
END_TEST

START_TEST(letterbox_holds_the_whole_picture)
{
    pare__fit f = {0};
    ck_assert_int_eq(pare__prep_letterbox(&model, 640, 480, 0, 0, 0, 0, &f, NULL), 0); /* into 224 x 224 */
    ck_assert(f.width == 224 && f.height == 224 && f.resized_width == 224 && f.resized_height == 168);
    ck_assert(f.crop_x == 0 && f.crop_y == -28);
    ck_assert(f.pad[0] == 123 && f.pad[1] == 116 && f.pad[2] == 103); /* int(255 * mean) */
    ck_assert_int_eq(pare__prep_letterbox(&model, 90, 205, 0, 280, 140, 0, &f, NULL), 0);
    ck_assert(f.resized_height == 140 && f.resized_width == 61 && f.crop_x == -109 && f.crop_y == 0);
    /* 1 : 164 is fine letterboxed: one pixel high, one unit wide enough */
    ck_assert_int_eq(pare__prep_letterbox(&model, 16384, 100, 0, 0, 0, 0, &f, NULL), 0);
    ck_assert(f.resized_width == 224 && f.resized_height == 1 && f.crop_y == -111);
    ck_assert(pare__fit_is_padding(&f, (float[4]){0, 98, 14, 111}) &&
              pare__fit_is_padding(&f, (float[4]){0, 112, 14, 126}));
    ck_assert(!pare__fit_is_padding(&f, (float[4]){0, 98, 14, 112}));
}
END_TEST

START_TEST(padding_has_its_colour)
{
    uint8_t src[6 * 4 * 3], out[14 * 14 * 3];
    memset(src, 200, sizeof src);
    pare_frame frame = {.rgb = src, .stride = 18, .width = 6, .height = 4};
    pare__fit f;
    ck_assert_int_eq(pare__prep_letterbox(&model, 6, 4, 0, 14, 14, 0, &f, NULL), 0); /* 14 x 9, two rows above */
    ck_assert_int_eq(pare__prep_frame(&frame, &f, PARE__RESAMPLE_BICUBIC, out, &arena, NULL, NULL), 0);
    for (int i = 0; i < 14 * 14 * 3; i++) ck_assert_int_eq(out[i], i / 42 >= 2 && i / 42 < 11 ? 200 : f.pad[i % 3]);
}
END_TEST

START_TEST(tiles_cut_the_canvas)
{
    pare__fit whole, canvas, tile;
    pare_error err;
    ck_assert_int_eq(pare__prep_fit(&model, 500, 100, 0, 28, 14, 0, &whole, NULL), 0);
    ck_assert_int_eq(pare__fit_canvas(&whole, 2, 3, 0, &canvas, NULL), 0);
    ck_assert(canvas.resized_width == 84 && canvas.resized_height == 28 && canvas.crop_x == 0);
    pare__fit_tile(&canvas, 2, 3, 5, &tile); /* second row, second column */
    ck_assert(tile.width == 28 && tile.height == 14 && tile.crop_x == 28 && tile.crop_y == 14);
    ck_assert(tile.resized_width == 84 && tile.src_width == 500);
    ck_assert_int_eq(pare__fit_canvas(&whole, 2, 3, 1, &canvas, NULL), 0); /* 84 x 17 in 84 x 28 */
    pare__fit_tile(&canvas, 2, 3, 1, &tile);
    ck_assert(canvas.crop_y == -5 && tile.crop_y == -5 && tile.crop_x == 0);
    pare__fit_tile(&canvas, 2, 3, 6, &tile);
    ck_assert(tile.crop_y == 9 && tile.crop_x == 56);
    ck_assert_int_eq(pare__fit_canvas(&whole, 0, 3, 0, &canvas, &err), PARE_E_INVALID);
    ck_assert(strstr(err.text, "0x3"));
    ck_assert_int_eq(pare__fit_canvas(&whole, 1, 600, 0, &canvas, &err), PARE_E_LIMIT);
    ck_assert(strstr(err.text, "16800 x 14"));
}
END_TEST

START_TEST(tiles_are_the_pixels_of_the_canvas)
{
    uint8_t src[37 * 23 * 3], canvas_px[42 * 28 * 3], tile_px[14 * 14 * 3];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (uint8_t)(i * 7 + i / 50);
    pare_frame frame = {.rgb = src, .stride = 37 * 3, .width = 37, .height = 23};
    pare__fit whole, canvas, tile;
    for (int letterbox = 0; letterbox < 2; letterbox++) {
        ck_assert_int_eq(pare__prep_letterbox(&model, 37, 23, 0, 14, 14, 0, &whole, NULL), 0);
        ck_assert_int_eq(pare__fit_canvas(&whole, 2, 3, letterbox, &canvas, NULL), 0);
        ck_assert_int_eq(pare__prep_frame(&frame, &canvas, PARE__RESAMPLE_BICUBIC, canvas_px, &arena, NULL, NULL), 0);
        for (int t = 1; t <= 6; t++) {
            pare__fit_tile(&canvas, 2, 3, t, &tile);
            ck_assert_int_eq(pare__prep_frame(&frame, &tile, PARE__RESAMPLE_BICUBIC, tile_px, &arena, NULL, NULL), 0);
            const int64_t r0 = (t - 1) / 3 * 14, c0 = (t - 1) % 3 * 14;
            for (int64_t r = 0; r < 14; r++)
                ck_assert_mem_eq(tile_px + r * 42, canvas_px + ((r0 + r) * 42 + c0) * 3, 42);
        }
    }
}
END_TEST

START_TEST(bad_frames)
{
    uint8_t px[12];
    pare__fit f = {2, 2, 0, 2, 2, 0, 0, 2, 2, {0}, 0};
    pare_error err;
    pare_frame frame = {.rgb = px, .stride = 5, .width = 2, .height = 2};
    ck_assert_int_eq(pare__prep_frame(&frame, &f, PARE__RESAMPLE_BICUBIC, px, &arena, NULL, &err), PARE_E_INVALID);
    ck_assert(strstr(err.text, "stride"));
    frame.stride = 6;
    frame.width = 3;
    ck_assert_int_eq(pare__prep_frame(&frame, &f, PARE__RESAMPLE_BICUBIC, px, &arena, NULL, &err), PARE_E_INVALID);
    ck_assert(strstr(err.text, "3 x 2"));
}
END_TEST

START_TEST(normalise_is_planar_and_exact)
{
    uint8_t rgb[256 * 3];
    float out[256 * 3];
    for (int i = 0; i < 256; i++) memset(rgb + i * 3, i, 3);
    pare__prep_normalise(&model.prep, rgb, 256, 1, out);
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float want = (float)((v / 255.0 - (double)model.prep.mean[c]) / (double)model.prep.std[c]);
            ck_assert_float_eq_tol(out[c * 256 + v], want, 1e-6f);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prep");
    TCase *t = tcase_create("prep");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, video_keeps_the_frame);
    tcase_add_test(t, max_side_bounds);
    tcase_add_test(t, photo_follows_the_rule);
    tcase_add_test(t, odd_margins);
    tcase_add_loop_test(t, patches_fill_the_budget, 0, (int)(sizeof naflex / sizeof *naflex));
    tcase_add_test(t, messages);
    tcase_add_test(t, padding_is_zero_and_crop_is_exact);
    tcase_add_test(t, letterbox_holds_the_whole_picture);
    tcase_add_test(t, padding_has_its_colour);
    tcase_add_test(t, tiles_cut_the_canvas);
    tcase_add_test(t, tiles_are_the_pixels_of_the_canvas);
    tcase_add_test(t, bad_frames);
    tcase_add_test(t, normalise_is_planar_and_exact);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
