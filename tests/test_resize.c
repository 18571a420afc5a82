/* SPDX-License-Identifier: MIT */
/* The resize: against Pillow's own output (fixtures), against a slow restatement of the same arithmetic on many shapes and
 * filters, and its invariants. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encode/parts.h"
#include "encode/prep.h"
#include "model/tensorfile.h"

static pare__arena arena;

static void setup(void) { arena = (pare__arena){0}; }
static void teardown(void) { pare__arena_fini(&arena); }

static uint8_t *noise(int32_t w, int32_t h, uint64_t seed)
{
    uint8_t *p = malloc((size_t)w * (size_t)h * 3);
    pare__rng r = pare__rng_make(seed, (uint64_t)w, (uint64_t)h);
    for (int64_t i = 0; i < (int64_t)w * h * 3; i++) p[i] = (uint8_t)pare__rng_below(&r, 256);
    return p;
}

/* ---- oracle: one axis at a time, no blocks, no lanes ------------------------------------------------------------- */

static double filter_at(pare__resample kind, double x, double *support)
{
    static const double supports[] = {0, 0.5, 1, 2, 3};
    *support = supports[kind];
    double a = fabs(x), pi = acos(-1.0);
    if (kind == PARE__RESAMPLE_BOX) return x > -0.5 && x <= 0.5;
    if (kind == PARE__RESAMPLE_BILINEAR) return a < 1 ? 1 - a : 0;
    if (kind == PARE__RESAMPLE_BICUBIC) {
        if (a < 1) return ((-0.5 + 2) * a - (-0.5 + 3)) * a * a + 1;
        return a < 2 ? (((a - 5) * a + 8) * a - 4) * -0.5 : 0;
    }
    if (x < -3 || x >= 3) return 0;
    return x == 0 ? 1 : sin(pi * x) / (pi * x) * sin(pi * x / 3) / (pi * x / 3);
}

/* in[n_in] (stride apart) -> out[n_out] */
static void oracle_axis(pare__resample kind, const uint8_t *in, int64_t stride, int32_t n_in, uint8_t *out,
                        int64_t out_stride, int32_t n_out)
{
    double scale = (double)n_in / n_out, widen = scale < 1 ? 1 : scale, support;
    filter_at(kind, 0, &support);
    support *= widen;
    for (int32_t i = 0; i < n_out; i++) {
        double centre = (i + 0.5) * scale, sum = 0, unused;
        int32_t first = (int32_t)fmax((int32_t)(centre - support + 0.5), 0);
        int32_t last = (int32_t)fmin((int32_t)(centre + support + 0.5), n_in);
        for (int32_t j = first; j < last; j++) sum += filter_at(kind, (j - centre + 0.5) * (1 / widen), &unused);
        int64_t acc = 1 << 21;
        for (int32_t j = first; j < last; j++) {
            double w = filter_at(kind, (j - centre + 0.5) * (1 / widen), &unused) / sum * (1 << 22);
            acc += (int64_t)in[j * stride] * (int64_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        acc >>= 22;
        out[i * out_stride] = (uint8_t)(acc < 0 ? 0 : acc > 255 ? 255 : acc);
    }
}

static void oracle_width(pare__resample kind, const uint8_t *src, int32_t sw, int32_t h, uint8_t *dst, int32_t dw)
{
    for (int64_t r = 0; r < h; r++) {
        for (int c = 0; c < 3; c++) oracle_axis(kind, src + r * sw * 3 + c, 3, sw, dst + r * dw * 3 + c, 3, dw);
    }
}

static void oracle_height(pare__resample kind, const uint8_t *src, int32_t w, int32_t sh, uint8_t *dst, int32_t dh)
{
    for (int64_t i = 0; i < (int64_t)w * 3; i++) {
        oracle_axis(kind, src + i, (int64_t)w * 3, sh, dst + i, (int64_t)w * 3, dh);
    }
}

static void oracle(pare__resample kind, const uint8_t *src, int32_t sw, int32_t sh, uint8_t *dst, int32_t dw,
                   int32_t dh)
{
    int down_first = dh < sh && sh - dh > 2 * (sw - dw);
    uint8_t *half = malloc(((size_t)sh * (size_t)dw + (size_t)sw * (size_t)dh) * 3);
    if (sw == dw && sh == dh) {
        memcpy(dst, src, (size_t)sw * (size_t)sh * 3);
    } else if (sh == dh) {
        oracle_width(kind, src, sw, sh, dst, dw);
    } else if (sw == dw) {
        oracle_height(kind, src, sw, sh, dst, dh);
    } else if (down_first) {
        oracle_height(kind, src, sw, sh, half, dh);
        oracle_width(kind, half, sw, dh, dst, dw);
    } else {
        oracle_width(kind, src, sw, sh, half, dw);
        oracle_height(kind, half, dw, sh, dst, dh);
    }
    free(half);
}

static const int32_t shapes[][4] = {
    {1, 1, 1, 1},    {1, 1, 7, 5},     {7, 5, 1, 1},      {16, 16, 8, 8},   {17, 33, 16, 16}, {40, 30, 40, 11},
    {40, 30, 9, 30}, {37, 21, 80, 43}, {500, 3, 13, 100}, {64, 48, 28, 28}, {19, 97, 33, 17}, {300, 200, 7, 3},
};

START_TEST(matches_oracle)
{
    const int32_t *s = shapes[_i / 4];
    pare__resample kind = (pare__resample)(PARE__RESAMPLE_BOX + _i % 4);
    uint8_t *src = noise(s[0], s[1], 7);
    size_t size = (size_t)s[2] * (size_t)s[3] * 3;
    uint8_t *want = malloc(size), *got = malloc(size);
    oracle(kind, src, s[0], s[1], want, s[2], s[3]);
    ck_assert_int_eq(pare__resize_u8(src, s[0] * 3, s[0], s[1], got, s[2], s[3], kind, &arena, NULL, NULL), 0);
    ck_assert_mem_eq(got, want, size);
    free(src);
    free(want);
    free(got);
}
END_TEST

/* Hashes of Pillow 13.0.0's own output for noise pictures: tests/data/pillow_resize.inc, written by
 * tests/data/pillow_resize.py. */
static const struct {
    int32_t sw, sh, dw, dh;
    pare__resample kind;
    uint64_t hash;
} pillow[] = {
#include "data/pillow_resize.inc"
};

START_TEST(matches_pillow)
{
    int32_t sw = pillow[_i].sw, sh = pillow[_i].sh, dw = pillow[_i].dw, dh = pillow[_i].dh;
    size_t n_in = (size_t)sw * (size_t)sh * 3, n_out = (size_t)dw * (size_t)dh * 3;
    uint8_t *src = malloc(n_in), *dst = malloc(n_out);
    uint32_t state = 12345;
    for (size_t i = 0; i < n_in; i++) {
        state = state * 1664525u + 1013904223u;
        src[i] = (uint8_t)(state >> 24);
    }
    ck_assert_int_eq(pare__resize_u8(src, sw * 3, sw, sh, dst, dw, dh, pillow[_i].kind, &arena, NULL, NULL), 0);
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < n_out; i++) hash = (hash ^ dst[i]) * 1099511628211u;
    ck_assert_msg(hash == pillow[_i].hash, "%d x %d to %d x %d, filter %d", sw, sh, dw, dh, (int)pillow[_i].kind);
    free(src);
    free(dst);
}
END_TEST

START_TEST(threads_and_stride_do_not_matter)
{
    enum { W = 123, H = 77, DW = 56, DH = 42 };
    uint8_t *src = noise(W, H, 3), *flipped = malloc(W * H * 3);
    for (int r = 0; r < H; r++) memcpy(flipped + r * W * 3, src + (H - 1 - r) * W * 3, W * 3);
    uint8_t one[DW * DH * 3], two[DW * DH * 3];
    pare__pool *pool;
    ck_assert_int_eq(pare__pool_create(&pool, 2, NULL), 0);
    pare__resize_u8(src, W * 3, W, H, one, DW, DH, PARE__RESAMPLE_BICUBIC, &arena, NULL, NULL);
    pare__resize_u8(flipped + (H - 1) * W * 3, -W * 3, W, H, two, DW, DH, PARE__RESAMPLE_BICUBIC, &arena, pool, NULL);
    ck_assert_mem_eq(one, two, sizeof one);
    pare__pool_free(&pool);
    free(src);
    free(flipped);
}
END_TEST

/* What a part of the resized picture shows after some blocks of the source changed is what a resize of all of it gives. */
static void expect_part(const int32_t *s, const uint8_t *whole, const pare__target *to)
{
    for (int32_t y = to->part.y0; y < to->part.y1; y++)
        ck_assert_mem_eq(to->rgb + (y - to->part.y0) * to->stride, whole + ((int64_t)y * s[2] + to->part.x0) * 3,
                         3 * (size_t)(to->part.x1 - to->part.x0));
}

static int32_t below(pare__rng *r, int32_t n) { return (int32_t)pare__rng_below(r, (uint64_t)n); }

static void change_blocks(pare__rng *r, const int32_t *s, const pare__changed *c, uint8_t *is_new, uint8_t *src)
{
    for (int32_t i = 0; i < c->rows * c->cols; i++) is_new[i] = below(r, 8) == 0;
    for (int32_t y = 0; y < s[1]; y++)
        for (int32_t x = 0; x < 3 * s[0]; x++)
            if (is_new[y / c->block * c->cols + x / 3 / c->block]) src[y * s[0] * 3 + x] = (uint8_t)below(r, 256);
}

START_TEST(changes_match_the_whole)
{
    const int32_t *s = shapes[_i / 5];
    const pare__resample kind = (pare__resample)(PARE__RESAMPLE_BOX + _i % 5);
    if (!pare__resize_keeps(kind, s[0], s[1], s[2], s[3])) return;
    const size_t size = (size_t)s[2] * (size_t)s[3] * 3;
    uint8_t *src = noise(s[0], s[1], 11), *want = malloc(size), *got = malloc(size);
    uint8_t *between = malloc(3 * (size_t)s[1] * (size_t)s[2]);
    pare__rng r = pare__rng_make(5, (uint64_t)_i, 0);
    pare__pool *pool;
    ck_assert_int_eq(pare__pool_create(&pool, 2, NULL), 0);
    const pare_frame frame = {.rgb = src, .stride = s[0] * 3, .width = s[0], .height = s[1]};
    for (int32_t block = 8; block <= 32; block += 8) {
        pare__changed c = {.rows = (s[1] + block - 1) / block, .cols = (s[0] + block - 1) / block, .block = block};
        uint8_t *is_new = malloc((size_t)c.rows * (size_t)c.cols);
        pare__target to = {.rgb = got, .width = s[2], .height = s[3]};
        to.part = (pare__area){below(&r, s[2]), below(&r, s[3]), s[2] - below(&r, 2), s[3] - below(&r, 2)};
        to.stride = 3 * (int64_t)s[2];
        if (to.part.x1 <= to.part.x0) to.part.x1 = to.part.x0 + 1;
        if (to.part.y1 <= to.part.y0) to.part.y1 = to.part.y0 + 1;
        memset(is_new, 1, (size_t)c.rows * (size_t)c.cols);
        c.is_new = is_new;
        for (int round = 0; round < 6; round++) {
            if (round) change_blocks(&r, s, &c, is_new, src);
            ck_assert_int_eq(pare__resize_changed(&frame, &c, &to, kind, between, &arena, pool, NULL), 0);
            pare__resize_u8(src, s[0] * 3, s[0], s[1], want, s[2], s[3], kind, &arena, NULL, NULL);
            expect_part(s, want, &to);
        }
        free(is_new);
    }
    pare__pool_free(&pool);
    free(between);
    free(src);
    free(want);
    free(got);
}
END_TEST

START_TEST(constant_stays_constant)
{
    uint8_t src[50 * 40 * 3], dst[23 * 61 * 3];
    memset(src, _i, sizeof src);
    for (int kind = PARE__RESAMPLE_NEAREST; kind <= PARE__RESAMPLE_LANCZOS; kind++) {
        pare__resize_u8(src, 150, 50, 40, dst, 23, 61, (pare__resample)kind, &arena, NULL, NULL);
        for (size_t i = 0; i < sizeof dst; i++) ck_assert_int_eq(dst[i], _i);
    }
}
END_TEST

START_TEST(nearest_takes_centres)
{
    uint8_t src[4 * 3] = {0, 0, 0, 10, 10, 10, 20, 20, 20, 30, 30, 30}, dst[2 * 3], up[8 * 3];
    pare__resize_u8(src, 12, 4, 1, dst, 2, 1, PARE__RESAMPLE_NEAREST, &arena, NULL, NULL);
    ck_assert_int_eq(dst[0], 10);
    ck_assert_int_eq(dst[3], 30);
    pare__resize_u8(src, 12, 4, 1, up, 8, 1, PARE__RESAMPLE_NEAREST, &arena, NULL, NULL);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(up[i * 3], i / 2 * 10);
}
END_TEST

/* Pillow's own bytes, and torch's antialiased bicubic through the position interpolation (a table of 3 channels). */
START_TEST(fixtures)
{
    static const char *const names[] = {"224x224_to_112x112", "224x224_to_98x154"};
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/methods/image_resize/%s.safetensors", getenv("PARE_FIXTURES"), names[_i]);
    pare_tensors *f;
    pare_error err;
    ck_assert_msg(pare__safetensors_open(&f, path, &err) == 0, "%s", err.text);
    const pare_tensor *in = pare__tensors_find(f, "in.pixels"), *pil = pare__tensors_find(f, "out.pil_bicubic");
    const pare_tensor *torch = pare__tensors_find(f, "out.bicubic_antialias_f32");
    int32_t sh = (int32_t)in->shape[0], sw = (int32_t)in->shape[1];
    int32_t dh = (int32_t)pil->shape[0], dw = (int32_t)pil->shape[1];
    int64_t n = (int64_t)dh * dw * 3;
    uint8_t *out = malloc((size_t)n);
    pare__resize_u8(in->data, sw * 3, sw, sh, out, dw, dh, PARE__RESAMPLE_BICUBIC, &arena, NULL, NULL);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(out[i], ((const uint8_t *)pil->data)[i]);
    float *x = malloc((size_t)sh * (size_t)sw * 12), *y = malloc((size_t)n * 4), *want = malloc((size_t)n * 4);
    pare__tensor_f32(in, x);
    pare__tensor_f32(torch, want);
    ck_assert_int_eq(pare__interp_table(PARE__INTERP_BICUBIC_AA, x, sh, sw, 3, y, dh, dw), 0);
    for (int64_t i = 0; i < n; i++) ck_assert_float_eq_tol(y[i], want[i], 2e-5f * 290 + 1e-6f);
    free(out);
    free(x);
    free(y);
    free(want);
    pare__tensors_free(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resize");
    TCase *t = tcase_create("resize");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, matches_oracle, 0, (int)(sizeof shapes / sizeof *shapes) * 4);
    tcase_add_loop_test(t, matches_pillow, 0, (int)(sizeof pillow / sizeof *pillow));
    tcase_add_test(t, threads_and_stride_do_not_matter);
    tcase_add_loop_test(t, changes_match_the_whole, 0, (int)(sizeof shapes / sizeof *shapes) * 5);
    tcase_add_loop_test(t, constant_stays_constant, 0, 256);
    tcase_add_test(t, nearest_takes_centres);
    const char *dir = getenv("PARE_FIXTURES");
    if (dir && *dir)
        tcase_add_loop_test(t, fixtures, 0, 2);
    else
        puts("resize: PARE_FIXTURES is not set, Pillow fixtures skipped");
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
