/* SPDX-License-Identifier: MIT */
/* Pictures and clips of towers that take patches side by side: sizes by areas, frames to patches, windows of a trace.
 * The arithmetic of the blocks is judged in test_encoder and golden_models. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "encode/prep.h"
#include "encode/trace_grid.h"
#include "model/tensorfile.h"

static pare_error err;

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

typedef struct smart {
    int32_t width, height, min, max, want_width, want_height;
} smart;

/* What transformers' smart_resize gives at factor 28. */
static const smart smarts[] = {
    {640, 480, 3136, 12845056, 644, 476},
    {42, 70, 1, 12845056, 56, 56},
    {14, 100, 3136, 12845056, 28, 168},
    {5000, 4000, 3136, 12845056, 4004, 3192},
    {1920, 1080, 3136, 1003520, 1316, 728},
    {30, 30, 3136, 1003520, 56, 56},
    {200, 180, 3136, 12544, 112, 84},
    {126, 98, 3136, 12845056, 112, 112},
    {4000, 25, 3136, 1003520, 4004, 28},
    {182, 154, 3136, 1003520, 168, 168},
    {13, 13, 784, 784, 28, 28},
    {100, 20, 784, 1568, 84, 28},
};

static pare_model tower(void)
{
    return (pare_model){.hp = {.patch = 14, .unit = 2, .temporal = 2, .video_units = 256, .window = 2},
                        .prep = {.resize = PARE__RESIZE_SMART,
                                 .min_pixels = 3136,
                                 .max_pixels = 12845056,
                                 .resample = PARE__RESAMPLE_BICUBIC,
                                 .rescale = 1 / 255.0,
                                 .std = {1, 1, 1}}};
}

START_TEST(test_smart)
{
    const smart *s = &smarts[_i];
    pare_model m = tower();
    pare__fit fit;
    m.prep.min_pixels = s->min;
    m.prep.max_pixels = s->max;
    ck_assert_int_eq(pare__prep_fit(&m, s->width, s->height, 0, 0, 0, 0, &fit, &err), 0);
    ck_assert_int_eq(fit.width, s->want_width);
    ck_assert_int_eq(fit.height, s->want_height);
    ck_assert(fit.resized_width == fit.width && fit.resized_height == fit.height && !fit.crop_x && !fit.crop_y);
}
END_TEST

/* At 200 to 1 smart_resize still answers, beyond it raises; a size that was asked for is taken. */
START_TEST(test_aspect)
{
    pare_model m = tower();
    pare__fit fit;
    ck_assert_int_eq(pare__prep_fit(&m, 2000, 10, 0, 0, 0, 0, &fit, &err), 0);
    ck_assert_int_eq(pare__prep_fit(&m, 2001, 10, 0, 0, 0, 0, &fit, &err), PARE_E_LIMIT);
    ck_assert_msg(strstr(err.text, "2001 x 10") && strstr(err.text, "200 times"), "%s", err.text);
    ck_assert_int_eq(pare__prep_fit(&m, 10, 2001, 0, 280, 140, 0, &fit, &err), 0);
    ck_assert_int_eq(pare__prep_clip(&m, 10, 2001, 4, 0, 0, &fit, &err), PARE_E_LIMIT);
    ck_assert_int_eq(pare__prep_clip(&m, 10, 2001, 4, 280, 140, &fit, &err), 0);
    m.prep.clip_volume = 1;
    ck_assert_int_eq(pare__prep_clip(&m, 1, 201, 4, 0, 0, &fit, &err), PARE_E_LIMIT);
    ck_assert_int_eq(pare__prep_clip(&m, 1, 200, 4, 0, 0, &fit, &err), 0);
    m.prep = (pare__prep_rule){.resize = PARE__RESIZE_EXACT, .resize_width = 84, .resize_height = 56};
    ck_assert_int_eq(pare__prep_fit(&m, 2001, 10, 0, 0, 0, 0, &fit, &err), 0);
}
END_TEST

START_TEST(test_sizes)
{
    pare_model m = tower();
    pare__fit fit;
    /* clips: the whole frame at about video_units units */
    ck_assert_int_eq(pare__prep_fit(&m, 768, 576, 1, 0, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 18 * 28 && fit.height == 14 * 28);
    ck_assert_int_eq(pare__prep_fit(&m, 640, 480, 0, 280, 140, 0, &fit, &err), 0);
    ck_assert(fit.width == 280 && fit.height == 140);
    ck_assert_int_eq(pare__prep_fit(&m, 640, 480, 0, 0, 0, 300, &fit, &err), 0);
    ck_assert(fit.width == 280 && fit.height == 224);
    ck_assert_int_eq(pare__prep_fit(&m, 640, 480, 0, 294, 140, 0, &fit, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__prep_fit(&m, 16384, 16384, 0, 0, 0, 0, &fit, &err), 0);
    m.prep.max_pixels = INT32_MAX;
    ck_assert_int_eq(pare__prep_fit(&m, 16384, 16384, 0, 0, 0, 0, &fit, &err), PARE_E_LIMIT);
}
END_TEST

typedef struct volume {
    int32_t frames, width, height, min, max, want_width, want_height;
} volume;

/* What smart_resize of Qwen3-VL's video processor gives at factor 32, 2 frames a step. */
static const volume volumes[] = {
    {4, 640, 480, 4096, 25165824, 640, 480},   {768, 1920, 1080, 4096, 25165824, 224, 128},
    {768, 1920, 1080, 131072, 786432, 32, 32}, {5, 1280, 720, 131072, 786432, 512, 288},
    {7, 1280, 720, 131072, 786432, 416, 224},  {2, 20, 300, 4096, 25165824, 32, 480},
    {64, 50, 20, 131072, 786432, 64, 32},      {4, 31, 31, 4096, 25165824, 32, 32},
    {100, 320, 240, 131072, 786432, 96, 64},   {1000, 4000, 3000, 131072, 25165824, 160, 128},
    {3, 96, 96, 131072, 786432, 224, 224},     {6, 175, 111, 131072, 786432, 192, 128},
};

START_TEST(test_volumes)
{
    const volume *v = &volumes[_i];
    pare_model m = tower();
    pare__fit fit;
    m.hp.patch = 16;
    m.prep.clip_volume = 1;
    m.prep.clip_min_pixels = v->min;
    m.prep.clip_max_pixels = v->max;
    ck_assert_int_eq(pare__prep_clip(&m, v->width, v->height, v->frames, 0, 0, &fit, &err), 0);
    ck_assert_int_eq(fit.width, v->want_width);
    ck_assert_int_eq(fit.height, v->want_height);
    ck_assert(fit.resized_width == fit.width && fit.resized_height == fit.height);
}
END_TEST

START_TEST(test_clips)
{
    pare_model m = tower();
    pare__fit fit;
    /* as pictures, unless clips have areas of their own */
    ck_assert_int_eq(pare__prep_clip(&m, 640, 480, 100, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 644 && fit.height == 476);
    m.prep.clip_max_pixels = 12544;
    ck_assert_int_eq(pare__prep_clip(&m, 200, 180, 100, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 112 && fit.height == 84);
    ck_assert_int_eq(pare__prep_clip(&m, 200, 180, 100, 280, 140, &fit, &err), 0);
    ck_assert(fit.width == 280 && fit.height == 140);
    /* a single frame fills a step */
    m.prep.clip_volume = 1;
    m.prep.clip_max_pixels = 2 * 56 * 56;
    ck_assert_int_eq(pare__prep_clip(&m, 200, 200, 1, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 56 && fit.height == 56);
    /* models without a rule of their own: pare's, or where the grid is fixed the one of pictures */
    m.prep = (pare__prep_rule){.resize = PARE__RESIZE_EXACT, .resize_width = 84, .resize_height = 56};
    ck_assert_int_eq(pare__prep_clip(&m, 768, 576, 100, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 18 * 28 && fit.height == 14 * 28);
    m.hp.fixed_grid = 1;
    ck_assert_int_eq(pare__prep_clip(&m, 768, 576, 100, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 84 && fit.height == 56);
    ck_assert_int_eq(pare__prep_fit(&m, 768, 576, 1, 0, 0, 0, &fit, &err), 0);
    ck_assert(fit.width == 84 && fit.height == 56);
    ck_assert_int_eq(pare__prep_clip(&m, 0, 576, 100, 0, 0, &fit, &err), PARE_E_INVALID);
}
END_TEST

/* ---- the order of passes
 ----------------------------------------------------------------------------------------- */

/* 138 x 60 to 140 x 56: Pillow 13 begins with the height here, torchvision always with the width. */
START_TEST(test_pass_order)
{
    static uint8_t src[138 * 60 * 3], half[140 * 60 * 3], got[140 * 56 * 3], want[140 * 56 * 3];
    pare__arena arena = {0};
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof src; i++) {
        x = x * 1664525 + 1013904223;
        src[i] = (x >> 24) > 127 ? 255 : 0;
    }
    pare__resize_u8(src, 414, 138, 60, half, 140, 60, PARE__RESAMPLE_BICUBIC, &arena, NULL, NULL);
    pare__resize_u8(half, 420, 140, 60, want, 140, 56, PARE__RESAMPLE_BICUBIC, &arena, NULL, NULL);
    pare__resize_u8(src, 414, 138, 60, got, 140, 56, PARE__RESAMPLE_BICUBIC_TORCH, &arena, NULL, NULL);
    ck_assert_mem_eq(got, want, sizeof want);
    pare__resize_u8(src, 414, 138, 60, got, 140, 56, PARE__RESAMPLE_BICUBIC, &arena, NULL, NULL);
    ck_assert(memcmp(got, want, sizeof want) != 0);
    const pare__prep_rule rule = {.resample = PARE__RESAMPLE_LANCZOS, .clip_resample = PARE__RESAMPLE_BICUBIC_TORCH};
    ck_assert_int_eq(pare__prep_resample(&rule, 0), PARE__RESAMPLE_LANCZOS);
    ck_assert_int_eq(pare__prep_resample(&rule, 1), PARE__RESAMPLE_BICUBIC_TORCH);
    pare__arena_fini(&arena);
}
END_TEST

/* ---- patches side by side --------------------------------------------------------------------------------------- */

/* Colour of a pixel of frame t, unlike any other. */
static uint8_t colour(int t, int y, int x, int c) { return (uint8_t)(101 * t + 7 * y + 3 * x + 50 * c); }

static pare_frame make_frame(int t, int32_t width, int32_t height)
{
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < width * height * 3; i++) rgb[i] = colour(t, i / 3 / width, i / 3 % width, i % 3);
    return (pare_frame){
        .struct_size = sizeof(pare_frame), .rgb = rgb, .stride = 3 * (int64_t)width, .width = width, .height = height};
}

static int near(double a, double b) { return a - b < 1e-6 && b - a < 1e-6; }

/* Two clips' worth of checks on one: 3 frames make 2 steps, the last one repeated; no resize at 84 x 56. */
START_TEST(test_flatten)
{
    pare_model m = tower();
    pare__grids g = {0};
    const pare_trace_opts opts = {.struct_size = sizeof opts, .video = 1};
    pare_frame frames[3];
    for (int t = 0; t < 3; t++) frames[t] = make_frame(t, 84, 56);
    ck_assert_int_eq(pare__grids_prepare(&g, &m, &opts, frames, 3, NULL, &err), 0);
    ck_assert(g.n == 1 && g.thw[0] == 2 && g.thw[1] == 4 && g.thw[2] == 6 && g.n_row == 48 && g.width == 1176);
    for (int64_t r = 0; r < 48; r++) {
        const int64_t u = r % 24 / 4, row = u / 3 * 2 + r % 4 / 2, col = u % 3 * 2 + r % 2;
        for (int64_t v = 0; v < 1176; v += 13) {
            const int64_t c = v / 392, k = v / 196 % 2, y = row * 14 + v / 14 % 14, x = col * 14 + v % 14;
            const int64_t t = r / 24 * 2 + k;
            const double want = colour((int)(t < 3 ? t : 2), (int)y, (int)x, (int)c) / 255.0;
            ck_assert_msg(near((double)g.pixels[r * 1176 + v], want), "row %d value %d", (int)r, (int)v);
        }
    }
    pare__grids_fini(&g);
    const pare_trace_opts photos = {.struct_size = sizeof photos};
    ck_assert_int_eq(pare__grids_prepare(&g, &m, &photos, frames, 2, NULL, &err), 0);
    ck_assert(g.n == 2 && g.thw[3] == 1 && g.n_step == 2 && g.n_row == 48);
    /* both halves of a patch of a photo show the same picture */
    ck_assert_mem_eq(g.pixels + 24 * 1176, g.pixels + 24 * 1176 + 196, 196 * sizeof(float));
    pare__grids_fini(&g);
    frames[1].width = 56;
    ck_assert_int_eq(pare__grids_prepare(&g, &m, &opts, frames, 3, NULL, &err), PARE_E_INVALID);
    pare__grids_fini(&g);
    for (int t = 0; t < 3; t++) free((void *)(uintptr_t)frames[t].rgb);
}
END_TEST

typedef struct stages {
    int32_t thw[6], places[96], steps[4], index[12], windows[8];
    int n;
} stages;

static int on_stage(void *user, const pare_tensor *t)
{
    stages *s = user;
    const size_t n = (size_t)pare__tensor_count(t) * 4;
    s->n++;
    if (!strcmp(t->name, "rope_pos")) memcpy(s->places, t->data, n);
    if (!strcmp(t->name, "cu_seqlens")) memcpy(s->steps, t->data, n);
    if (!strcmp(t->name, "window_index")) memcpy(s->index, t->data, n);
    if (!strcmp(t->name, "cu_window_seqlens")) memcpy(s->windows, t->data, n);
    return s->n == 99;
}

/* A photo of 2 x 3 units and a clip of two steps of 1 x 3, in windows of 2 units. */
START_TEST(test_windows)
{
    static const int32_t thw[] = {1, 4, 6, 2, 2, 6};
    static const int32_t steps[] = {0, 24, 36, 48}, windows[] = {0, 16, 24, 32, 36, 44, 48};
    static const int32_t index[] = {0, 1, 3, 4, 2, 5, 6, 7, 8, 9, 10, 11};
    static float pixels[48 * 1176];
    const pare_tensor grids = {.name = "grid_thw", .dtype = PARE_I32, .n_dim = 2, .shape = {2, 3}, .data = thw};
    pare_tensor values = {.dtype = PARE_F32, .n_dim = 2, .shape = {48, 1176}, .data = pixels};
    pare_model m = tower();
    pare__grids g = {0};
    pare__segment seg[3];
    stages s = {.n = 0};
    ck_assert_int_eq(pare__grids_take(&g, &m, &values, &grids, &err), 0);
    ck_assert(g.n_step == 3 && g.n_row == 48);
    ck_assert_int_eq(pare__grids_give(&g, on_stage, &s, &err), 0);
    ck_assert_int_eq(s.n, 5);
    ck_assert_mem_eq(s.steps, steps, sizeof steps);
    ck_assert_mem_eq(s.index, index, sizeof index);
    ck_assert_mem_eq(s.windows, windows, sizeof windows);
    ck_assert(s.places[2 * 6] == 1 && s.places[2 * 6 + 1] == 2); /* unit 1, patch (1, 0) */
    ck_assert(s.places[2 * 37] == 0 && s.places[2 * 37 + 1] == 1);
    ck_assert(g.order[8] == 12 && g.order[15] == 19 && g.order[16] == 8 && g.order[47] == 47);
    pare__grids_segments(&g, seg);
    ck_assert(seg[1].grid_h == 2 && seg[1].grid_w == 6 && seg[1].n == 3 && seg[2].t == 2);
    ck_assert_ptr_eq(seg[2].pixels, g.pixels + 36 * 1176);
    pare__grids_fini(&g);
    values.shape[0] = 47;
    ck_assert_int_eq(pare__grids_take(&g, &m, &values, &grids, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "[47, 1176]"));
    pare__grids_fini(&g);
    ck_assert_int_eq(pare__grids_take(&g, &m, &values, NULL, &err), PARE_E_INVALID);
    pare__grids_fini(&g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("grids");
    TCase *tc = tcase_create("grids");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_aspect);
    tcase_add_loop_test(tc, test_smart, 0, (int)(sizeof smarts / sizeof *smarts));
    tcase_add_test(tc, test_sizes);
    tcase_add_loop_test(tc, test_volumes, 0, (int)(sizeof volumes / sizeof *volumes));
    tcase_add_test(tc, test_clips);
    tcase_add_test(tc, test_pass_order);
    tcase_add_test(tc, test_flatten);
    tcase_add_test(tc, test_windows);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
