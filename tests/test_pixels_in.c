/* SPDX-License-Identifier: MIT */
/* Layouts of cameras -> RGB: the formulas in doubles, every layout at odd sizes and strides of both signs, swscale through
 * the ffmpeg program where there is one, and the functions that take frames. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/pixels_in.h"
#include "core/rank.h"
#include "tiny_model.h"

enum { MOST = 72 * 72 * 4, N_COLOR = 4, SIDE = 28, PAD = 5 };

static const int32_t colors[N_COLOR] = {PARE_COLOR_BT601, PARE_COLOR_BT709, PARE_COLOR_BT601 | PARE_COLOR_FULL,
                                        PARE_COLOR_BT709 | PARE_COLOR_FULL};

typedef struct picture {
    uint8_t plane[3][MOST];
    pare_frame f;
} picture;

static pare_error err;

/* ---- the formulas ------------------------------------------------------------------------------------------------ */

static void exact(int32_t color, int y, int u, int v, double rgb[3])
{
    const double kr = color & PARE_COLOR_BT709 ? 0.2126 : 0.299, kb = color & PARE_COLOR_BT709 ? 0.0722 : 0.114;
    const int is_full = color >= PARE_COLOR_FULL;
    const double luma = is_full ? y : (y - 16) * 255.0 / 219;
    const double cb = is_full ? u - 128 : (u - 128) * 255.0 / 224, cr = is_full ? v - 128 : (v - 128) * 255.0 / 224;
    rgb[0] = luma + 2 * (1 - kr) * cr;
    rgb[2] = luma + 2 * (1 - kb) * cb;
    rgb[1] = (luma - kr * rgb[0] - kb * rgb[2]) / (1 - kr - kb);
}

static int nearest(double x) { return x < 0 ? 0 : x > 255 ? 255 : (int)floor(x + 0.5); }

/* Is it a matter of the last bits whether x rounds up or down? */
static int is_tie(double x) { return fabs(x - floor(x) - 0.5) < 1e-6; }

static int agrees(int got, double want)
{
    return got == nearest(want) || (is_tie(want) && abs(got - nearest(want)) == 1);
}

/* One row of YUYV holds all v of one (y, u). */
START_TEST(formulas_of_both_matrices_and_ranges)
{
    static uint8_t in[256 * 4];
    const int32_t color = colors[_i];
    pare__arena arena = {0};
    int64_t n_tie = 0;
    for (int y = 0; y < 256; y += 3)
        for (int u = 0; u < 256; u++) {
            for (int v = 0; v < 256; v++)
                memcpy(in + 4 * v, (uint8_t[4]){(uint8_t)y, (uint8_t)u, (uint8_t)y, (uint8_t)v}, 4);
            const pare_frame f = {
                .rgb = in, .stride = 1024, .width = 512, .height = 1, .pixels = PARE_PIXELS_YUYV, .color = color};
            pare_frame out;
            pare__arena_clear(&arena);
            ck_assert_int_eq(pare__pixels_rgb(&f, &arena, NULL, &out, &err), 0);
            for (int v = 0; v < 256; v++) {
                double want[3];
                exact(color, y, u, v, want);
                for (int c = 0; c < 3; c++) {
                    const int got = out.rgb[6 * v + c], up = is_tie(want[c]);
                    n_tie += up;
                    if (!agrees(got, want[c]))
                        ck_abort_msg("color %d yuv %d %d %d channel %d: %d, not %.9f", color, y, u, v, c, got, want[c]);
                }
            }
        }
    ck_assert_msg(n_tie < 100000, "%lld ties", (long long)n_tie);
    pare__arena_fini(&arena);
}
END_TEST

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

/* Plane i as rows of `bytes`, PAD more apart; upside down in memory where is_flipped. */
static const uint8_t *lay(picture *p, int i, int64_t bytes, int32_t rows, int is_flipped, int64_t *stride)
{
    *stride = is_flipped ? -(bytes + PAD) : bytes + PAD;
    return p->plane[i] + (is_flipped ? (rows - 1) * (bytes + PAD) : 0);
}

static void make(picture *p, int32_t pixels, int32_t color, int32_t w, int32_t h, int is_flipped)
{
    static const int64_t per_pixel[PARE_PIXELS_COUNT] = {3, 3, 4, 4, 1, 1, 1, 0};
    const int64_t half = (w + 1) / 2;
    pare__rng rng = pare__rng_make(11, (uint64_t)pixels, (uint64_t)(w * 100 + h));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < MOST; j++) p->plane[i][j] = (uint8_t)pare__rng_below(&rng, 256);
    pare_frame *f = &p->f;
    *f = (pare_frame){.struct_size = sizeof *f, .width = w, .height = h, .pixels = pixels, .color = color};
    f->rgb = lay(p, 0, pixels == PARE_PIXELS_YUYV ? 4 * half : per_pixel[pixels] * w, h, is_flipped, &f->stride);
    if (pixels == PARE_PIXELS_NV12) f->plane[0] = lay(p, 1, 2 * half, (h + 1) / 2, is_flipped, &f->plane_stride[0]);
    for (int i = 0; i < 2 && pixels == PARE_PIXELS_I420; i++)
        f->plane[i] = lay(p, 1 + i, half, (h + 1) / 2, is_flipped, &f->plane_stride[i]);
}

static uint8_t sample(const uint8_t *plane, int64_t stride, int64_t y, int64_t byte)
{
    return plane[y * stride + byte];
}

static void expect(const pare_frame *f, int32_t x, int32_t y, double rgb[3])
{
    static const int order[PARE_PIXELS_COUNT][4] = {
        {0, 1, 2, 3}, {2, 1, 0, 3}, {0, 1, 2, 4}, {2, 1, 0, 4}, {0, 0, 0, 1}};
    int yuv[3];
    if (f->pixels <= PARE_PIXELS_GRAY) {
        const int *o = order[f->pixels];
        for (int c = 0; c < 3; c++) rgb[c] = sample(f->rgb, f->stride, y, (int64_t)x * o[3] + o[c]);
        return;
    }
    if (f->pixels == PARE_PIXELS_YUYV) {
        const int at[3] = {2 * x, x / 2 * 4 + 1, x / 2 * 4 + 3};
        for (int c = 0; c < 3; c++) yuv[c] = sample(f->rgb, f->stride, y, at[c]);
    } else {
        const int is_nv12 = f->pixels == PARE_PIXELS_NV12;
        yuv[0] = sample(f->rgb, f->stride, y, x);
        for (int c = 0; c < 2; c++)
            yuv[1 + c] = sample(f->plane[is_nv12 ? 0 : c], f->plane_stride[is_nv12 ? 0 : c], y / 2,
                                is_nv12 ? x / 2 * 2 + c : x / 2);
    }
    exact(f->color, yuv[0], yuv[1], yuv[2], rgb);
}

START_TEST(every_layout_at_odd_sizes_and_strides)
{
    static const int32_t size[][2] = {{1, 1}, {2, 2}, {5, 3}, {3, 7}, {16, 8}, {71, 69}};
    static picture p;
    pare__arena arena = {0};
    pare__pool *pool = NULL;
    ck_assert_int_eq(pare__pool_create(&pool, 2, &err), 0);
    for (size_t s = 0; s < sizeof size / sizeof size[0]; s++)
        for (int flip = 0; flip < 2; flip++) {
            make(&p, _i, colors[(s + (size_t)flip) % N_COLOR], size[s][0], size[s][1], flip);
            pare_frame out;
            pare__arena_clear(&arena);
            ck_assert_int_eq(pare__pixels_check(&p.f, "test", &err), 0);
            ck_assert_int_eq(pare__pixels_rgb(&p.f, &arena, pool, &out, &err), 0);
            ck_assert_int_eq(out.pixels, PARE_PIXELS_RGB);
            for (int32_t y = 0; y < p.f.height; y++)
                for (int32_t x = 0; x < p.f.width; x++) {
                    double want[3];
                    expect(&p.f, x, y, want);
                    for (int c = 0; c < 3; c++) ck_assert(agrees(out.rgb[y * out.stride + 3 * x + c], want[c]));
                }
        }
    pare__pool_free(&pool);
    pare__arena_fini(&arena);
}
END_TEST

static void refuse(const pare_frame *f, const char *text)
{
    ck_assert_int_eq(pare__pixels_check(f, "push", &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, text);
}

START_TEST(what_does_not_fit_is_refused)
{
    static picture p;
    make(&p, PARE_PIXELS_NV12, 0, 5, 3, 0);
    pare_frame f = p.f;
    f.pixels = PARE_PIXELS_COUNT;
    refuse(&f, "push: layout of pixels 8, must be 0..7 (PARE_PIXELS_*)");
    f = p.f;
    f.color = 4;
    refuse(&f, "push: color 4, must be PARE_COLOR_BT601 or BT709, with FULL or without");
    f = p.f;
    f.plane[0] = NULL;
    refuse(&f, "push: plane 1 of 2 of a frame in nv12 is missing");
    f = p.f;
    f.plane_stride[0] = -5;
    refuse(&f, "push: stride of -5 bytes, a row of plane 1 in nv12 has 6");
    make(&p, PARE_PIXELS_YUYV, 0, 5, 3, 0);
    f = p.f;
    f.stride = 11;
    refuse(&f, "push: stride of 11 bytes, a row of plane 0 in yuyv has 12");
}
END_TEST

/* ---- swscale ----------------------------------------------------------------------------------------------------- */

static void put(const char *path, const uint8_t *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* A picture of 64 x 64 whose colours turn slowly, as those of cameras do. */
static void fill_smooth(uint8_t *yuv)
{
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) yuv[64 * y + x] = (uint8_t)(16 + (3 * x + 7 * y / 2) % 220);
    for (int i = 0; i < 1024; i++) {
        yuv[4096 + i] = (uint8_t)(64 + i / 8 % 128);
        yuv[5120 + i] = (uint8_t)(192 - i / 9 % 128);
    }
}

START_TEST(swscale_agrees_within_two_levels)
{
    static uint8_t yuv[6144], got[12288];
    char dir[] = "/tmp/pare-pixels-XXXXXX", in[64], command[512];
    if (system("command -v ffmpeg >/dev/null 2>&1") != 0) return;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(in, sizeof in, "%s/in.yuv", dir);
    fill_smooth(yuv);
    put(in, yuv, sizeof yuv);
    snprintf(command, sizeof command,
             "ffmpeg -v error -f rawvideo -pix_fmt yuv420p -s 64x64 -i %s -vf "
             "scale=flags=neighbor+accurate_rnd+full_chroma_int:in_color_matrix=%s:in_range=%s:out_range=pc -pix_fmt "
             "rgb24 -f rawvideo -",
             in, colors[_i] & PARE_COLOR_BT709 ? "bt709" : "bt601", colors[_i] & PARE_COLOR_FULL ? "pc" : "tv");
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_uint_eq(fread(got, 1, sizeof got, pipe), sizeof got);
    ck_assert_int_eq(pclose(pipe), 0);
    unlink(in);
    rmdir(dir);
    pare__arena arena = {0};
    const pare_frame f = {.rgb = yuv,
                          .stride = 64,
                          .width = 64,
                          .height = 64,
                          .pixels = PARE_PIXELS_I420,
                          .color = colors[_i],
                          .plane = {yuv + 4096, yuv + 5120},
                          .plane_stride = {32, 32}};
    pare_frame out;
    ck_assert_int_eq(pare__pixels_rgb(&f, &arena, NULL, &out, &err), 0);
    int most = 0;
    for (int i = 0; i < 12288; i++) most = abs(out.rgb[i] - got[i]) > most ? abs(out.rgb[i] - got[i]) : most;
    ck_assert_msg(most <= 2, "color %d: %d levels apart", colors[_i], most);
    pare__arena_fini(&arena);
}
END_TEST

/* ---- public functions -------------------------------------------------------------------------------------------- */

static void same_result(const pare_model *m, const pare_frame *a, const pare_frame *b)
{
    const pare_reducer_opts opts = {
        .struct_size = sizeof opts, .recipe = "topk:score=motion@patches", .keep = 0.5, .video = 1, .n_threads = 1};
    pare_result *x = NULL, *y = NULL;
    ck_assert_msg(pare_reduce(m, &opts, a, 1, &x, &err) == 0, "%s", err.text);
    ck_assert_msg(pare_reduce(m, &opts, b, 1, &y, &err) == 0, "%s", err.text);
    const pare_result_view *v = pare_result_get(x), *w = pare_result_get(y);
    ck_assert_int_eq(v->k, w->k);
    ck_assert_int_eq(memcmp(v->embeds, w->embeds, (size_t)(v->k * v->d) * sizeof(float)), 0);
    static uint8_t drawn[2][SIDE * SIDE * 3];
    ck_assert_int_eq(pare_heatmap_draw(x, 0, a, NULL, drawn[0], &err), 0);
    ck_assert_int_eq(pare_heatmap_draw(y, 0, b, NULL, drawn[1], &err), 0);
    ck_assert_int_eq(memcmp(drawn[0], drawn[1], sizeof drawn[0]), 0);
    pare_result_free(&x);
    pare_result_free(&y);
}

static int keep_pixels(void *user, const pare_tensor *stage)
{
    if (strcmp(stage->name, "pixel_values") == 0) pare_tensor_to_f32(stage, user);
    return 0;
}

START_TEST(whoever_takes_a_frame_takes_every_layout)
{
    static picture p;
    static float traced[2][3 * SIDE * SIDE];
    const tiny_spec spec = {.unit = 1, .patch = 7, .dim = 16, .n_layer = 2, .n_head = 2, .photo = SIDE};
    pare_model *model = NULL;
    pare__arena arena = {0};
    pare_frame rgb;
    ck_assert_int_eq(tiny_model_open(&model, &spec, &err), 0);
    make(&p, _i, PARE_COLOR_BT709, SIDE, SIDE, 1);
    ck_assert_int_eq(pare__pixels_rgb(&p.f, &arena, NULL, &rgb, &err), 0);
    same_result(model, &p.f, &rgb);
    const pare_trace_opts opts = {.struct_size = sizeof opts, .n_threads = 1};
    ck_assert_msg(pare_trace(model, &opts, NULL, &p.f, 1, keep_pixels, traced[0], &err) == 0, "%s", err.text);
    ck_assert_msg(pare_trace(model, &opts, NULL, &rgb, 1, keep_pixels, traced[1], &err) == 0, "%s", err.text);
    ck_assert_int_eq(memcmp(traced[0], traced[1], sizeof traced[0]), 0);
    ck_assert(traced[0][0] != 0);
    pare__arena_fini(&arena);
    pare_model_close(&model);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("pixels_in");
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, formulas_of_both_matrices_and_ranges, 0, N_COLOR);
    tcase_add_loop_test(all, every_layout_at_odd_sizes_and_strides, 0, PARE_PIXELS_COUNT);
    tcase_add_test(all, what_does_not_fit_is_refused);
    tcase_add_loop_test(all, swscale_agrees_within_two_levels, 0, N_COLOR);
    tcase_add_loop_test(all, whoever_takes_a_frame_takes_every_layout, 0, PARE_PIXELS_COUNT);
    Suite *suite = suite_create("pixels_in");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
