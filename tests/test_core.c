/* SPDX-License-Identifier: MIT */
/* Errors, memory, arena, halves, products, and the geometry of fits (against a picture that is really rotated). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "core/half.h"
#include "core/limits.h"
#include "core/mem.h"
#include "core/rank.h"

/* ---- errors ------------------------------------------------------------------------------------------------------- */

static int n_log, log_level;
static char log_text[600];

static void keep_log(void *user, int level, const char *text)
{
    ck_assert_ptr_eq(user, &n_log);
    n_log++;
    log_level = level;
    strcpy(log_text, text);
}

START_TEST(test_errors)
{
    pare_error err = {0};
    char text[400];

    ck_assert_int_eq(pare_fail(NULL, PARE_E_IO, "nobody listens"), PARE_E_IO);
    ck_assert_int_eq(pare_fail(&err, PARE_E_LIMIT, "%d over %d", 3, 2), PARE_E_LIMIT);
    ck_assert_str_eq(err.text, "3 over 2");
    ck_assert_int_eq(err.code, PARE_E_LIMIT);
    memset(text, 'x', 399);
    text[399] = 0;
    pare_fail(&err, PARE_E_IO, "%s", text);
    ck_assert_int_eq((int)strlen(err.text), (int)sizeof err.text - 1);
    for (int code = -20; code < 20; code++) ck_assert_int_gt((int)strlen(pare_strerror(code)), 0);
    ck_assert_str_eq(pare_strerror(PARE_E_NOMEM), "out of memory");
    ck_assert_str_eq(pare_strerror(-99), pare_strerror(99));
}
END_TEST

START_TEST(test_log)
{
    char text[1000];

    pare__log(PARE_LOG_WARN, "lost");
    pare__log_set(keep_log, &n_log);
    pare__log(PARE_LOG_INFO, "%d %s", 1, "line");
    ck_assert_str_eq(log_text, "1 line");
    ck_assert_int_eq(log_level, PARE_LOG_INFO);
    memset(text, 'x', 999);
    text[999] = 0;
    pare__log(PARE_LOG_INFO, "%s", text);
    ck_assert_int_eq(n_log, 2);
    pare__log_set(NULL, NULL);
    pare__log(PARE_LOG_INFO, "lost");
    ck_assert_int_eq(n_log, 2);
}
END_TEST

/* ---- memory -------------------------------------------------------------------------------------------------------- */

START_TEST(test_allocation)
{
    static const int64_t counts[] = {0, 1, 63, 64, 65, 1000};

    for (int i = 0; i < 6; i++) {
        unsigned char *p = pare__calloc(counts[i], 3);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % PARE__ALIGN, 0);
        for (int64_t k = 0; k < counts[i] * 3; k++) ck_assert_int_eq(p[k], 0);
        pare__free(p);
    }
    ck_assert_ptr_null(pare__malloc(-1, 4));
    ck_assert_ptr_null(pare__malloc(INT64_MAX, 8));
    ck_assert_ptr_null(pare__malloc(INT64_MAX / 8 + 1, 16));
    ck_assert_ptr_null(pare__malloc(PARE__MAX_BYTES + 1, 1));
    ck_assert_ptr_null(pare__malloc(4, 0));
    pare__free(NULL);
    char *copy = pare__strdup("text");
    ck_assert_str_eq(copy, "text");
    pare__free(copy);
}
END_TEST

START_TEST(test_grow)
{
    int64_t *v = NULL, cap = 0;
    int n_moves = 0;

    for (int64_t i = 0; i < 100000; i++) {
        int64_t old = cap;
        if (pare__grow((void **)&v, &cap, i + 1, sizeof *v)) ck_abort_msg("no memory");
        n_moves += cap != old;
        v[i] = i;
    }
    for (int64_t i = 0; i < 100000; i += 37) ck_assert_int_eq(v[i], i);
    ck_assert_int_lt(n_moves, 20);
    int64_t *before = v, cap_before = cap;
    ck_assert_int_eq(pare__grow((void **)&v, &cap, INT64_MAX / 2, sizeof *v), PARE_E_NOMEM);
    ck_assert(v == before && cap == cap_before);
    pare__free(v);
}
END_TEST

/* One round of allocations, each filled with its own number. */
static void use_arena(pare__arena *a, uint64_t seed)
{
    unsigned char *block[40];
    int64_t size[40];
    pare__rng r = pare__rng_make(seed, 0, 0);

    for (int i = 0; i < 40; i++) {
        size[i] = pare__rng_below(&r, i % 10 ? 3000 : 300000);
        block[i] = PARE__ARENA(a, unsigned char, size[i]);
        ck_assert_ptr_nonnull(block[i]);
        ck_assert_uint_eq((uintptr_t)block[i] % PARE__ALIGN, 0);
        memset(block[i], i, (size_t)size[i]);
    }
    int64_t n_wrong = 0;
    for (int i = 0; i < 40; i++)
        for (int64_t k = 0; k < size[i]; k++) n_wrong += block[i][k] != i;
    ck_assert_int_eq(n_wrong, 0);
}

START_TEST(test_arena)
{
    pare__arena a = {NULL, NULL};

    pare__mark empty = pare__arena_mark(&a);
    pare__arena_reset(&a, empty);
    for (uint64_t i = 0; i < 50; i++) {
        int *kept = PARE__ARENA(&a, int, 10);
        kept[9] = 77;
        pare__mark mark = pare__arena_mark(&a);
        use_arena(&a, i);
        pare__arena_reset(&a, mark);
        use_arena(&a, i + 1000);
        ck_assert_int_eq(kept[9], 77);
        if (i % 2)
            pare__arena_clear(&a);
        else
            pare__arena_reset(&a, empty);
        ck_assert_ptr_eq(PARE__ARENA(&a, int, 1), kept); /* the same place again */
        pare__arena_clear(&a);
    }
    ck_assert_ptr_null(PARE__ARENA(&a, int, -1));
    ck_assert_ptr_null(PARE__ARENA(&a, int, INT64_MAX / 2));
    ck_assert_ptr_nonnull(PARE__ARENA(&a, int, 0));
    pare__arena_fini(&a);
    pare__arena_fini(&a);
}
END_TEST

/* ---- halves ---------------------------------------------------------------------------------------------------------- */

START_TEST(test_halves)
{
    ck_assert(pare__f16(0x3c00) == 1 && pare__f16(0xc000) == -2 && pare__f16(0x7bff) == 65504);
    ck_assert(pare__f16(0x0001) == 0x1p-24f && pare__f16(0x03ff) == 1023 * 0x1p-24f && pare__f16(0x0400) == 0x1p-14f);
    ck_assert(pare__f16(0x7c00) == INFINITY && pare__f16(0xfc00) == -INFINITY && isnan(pare__f16(0x7e00)));
    ck_assert(pare__f16(0x8000) == 0 && signbit(pare__f16(0x8000)));
    for (unsigned i = 1; i < 0x7c00; i++) ck_assert(pare__f16((uint16_t)i) > pare__f16((uint16_t)(i - 1)));
    for (unsigned i = 0; i < 0x7c00; i++) { /* by the definition of binary16 */
        double x = i < 1024 ? ldexp(i, -24) : ldexp(1024 + i % 1024, (int)(i / 1024) - 25);
        ck_assert(pare__f16((uint16_t)i) == x && pare__f16((uint16_t)(i | 0x8000)) == -x);
    }
    ck_assert(pare__bf16(0x3f80) == 1 && pare__bf16(0xc040) == -3 && isnan(pare__bf16(0x7fc0)));
}
END_TEST

/* ---- products -------------------------------------------------------------------------------------------------------- */

START_TEST(test_gemm)
{
    const float a[2 * 4] = {1, 2, 3, NAN, 4, 5, 6, NAN}; /* [2, 3], ld 4 */
    const float b[3 * 3] = {1, 0, 2, -1, 3, 1, 0, 1, 1}; /* [3, 3] */
    const float nn[6] = {-1, 9, 7, -1, 21, 19}, nt[6] = {7, 8, 5, 16, 17, 11};
    float c[2 * 3];

    for (int i = 0; i < 6; i++) c[i] = NAN; /* beta = 0 must not read */
    pare__gemm_c.nn(2, 3, 3, 1, a, 4, b, 3, 0, c, 3);
    for (int i = 0; i < 6; i++) ck_assert(c[i] == nn[i]);
    pare__gemm_c.nt(2, 3, 3, 2, a, 4, b, 3, -1, c, 3);
    for (int i = 0; i < 6; i++) ck_assert(c[i] == 2 * nt[i] - nn[i]);
}
END_TEST

/* ---- fit -------------------------------------------------------------------------------------------------------------- */

enum { SIDE = 24 };

/* Upright pixel (x, y) comes from which stored pixel, by turning a picture of w x h clockwise one quarter at a time. */
static void stored_pixel(int rotation, int w, int h, int x, int y, int *sx, int *sy)
{
    int from[SIDE * SIDE], to[SIDE * SIDE];

    for (int i = 0; i < w * h; i++) from[i] = i;
    int cw = w, ch = h;
    for (int turn = 0; turn < rotation / 90; turn++) {
        for (int row = 0; row < ch; row++) /* the top row becomes the right column */
            for (int col = 0; col < cw; col++) to[col * ch + (ch - 1 - row)] = from[row * cw + col];
        int t = cw;
        cw = ch;
        ch = t;
        memcpy(from, to, sizeof from);
    }
    *sx = from[y * cw + x] % w;
    *sy = from[y * cw + x] / w;
}

START_TEST(test_rotation)
{
    const int w = 11, h = 7; /* stored */

    for (int kind = 0; kind < 8; kind++) {
        const int rotation = kind / 2 * 90, mirrored = kind % 2;
        int upright_w = rotation % 180 ? h : w, upright_h = rotation % 180 ? w : h;
        pare__fit fit = {upright_w, upright_h,     rotation,      3 * upright_w, 2 * upright_h, 0,
                         0,         3 * upright_w, 2 * upright_h, {0},           mirrored};
        for (int y = 0; y < upright_h; y++)
            for (int x = 0; x < upright_w; x++) {
                float rect[4] = {3 * (float)x, 2 * (float)y, 3 * (float)x + 3, 2 * (float)y + 2}, out[4];
                int sx, sy;
                stored_pixel(rotation, w, h, x, y, &sx, &sy);
                if (mirrored) sx = w - 1 - sx;
                pare__fit_stored(&fit, rect, out);
                ck_assert(out[0] == (float)sx && out[1] == (float)sy && out[2] == (float)sx + 1 &&
                          out[3] == (float)sy + 1);
            }
    }
}
END_TEST

START_TEST(test_crop_and_padding)
{
    pare__fit fit = {100, 50, 0, 200, 100, 20, 10, 160, 80, {0}, 0};
    float out[4];

    pare__fit_upright(&fit, (float[4]){0, 0, 16, 16}, out);
    ck_assert(out[0] == 10 && out[1] == 5 && out[2] == 18 && out[3] == 13);
    fit.crop_x = -40; /* padded on the left */
    pare__fit_upright(&fit, (float[4]){0, 0, 60, 16}, out);
    ck_assert(out[0] == 0 && out[2] == 10);
    pare__fit_upright(&fit, (float[4]){0, 0, 30, 16}, out);
    ck_assert(out[0] == 0 && out[2] == 0);
    fit.crop_x = 100;
    pare__fit_upright(&fit, (float[4]){90, 0, 160, 200}, out);
    ck_assert(out[0] == 95 && out[2] == 100 && out[3] == 50);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core");
    TCase *tc = tcase_create("core");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_errors);
    tcase_add_test(tc, test_log);
    tcase_add_test(tc, test_allocation);
    tcase_add_test(tc, test_grow);
    tcase_add_test(tc, test_arena);
    tcase_add_test(tc, test_halves);
    tcase_add_test(tc, test_gemm);
    tcase_add_test(tc, test_rotation);
    tcase_add_test(tc, test_crop_and_padding);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
