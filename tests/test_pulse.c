/* SPDX-License-Identifier: MIT */
/* Change, detail and cuts: against plain arithmetic on noise, on made-up pictures, and on clips whose cuts are known. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/media.h>

#include "core/rank.h"
#include "reduce/pulse.h"

#define VTEST "/usr/share/doc/opencv-doc/examples/data/vtest.avi"

enum { SIDE = 128, PATCH = 16, GRID = SIDE / PATCH, BYTES = 3 * SIDE * SIDE };

static uint8_t now[BYTES], was[BYTES];

static void fill_noise(uint8_t *rgb, uint64_t stream)
{
    pare__rng r = pare__rng_make(3, stream, 0);
    for (int i = 0; i < BYTES; i++) rgb[i] = (uint8_t)pare__rng_below(&r, 256);
}

static pare__pulse take(const pare__vec *vec, const uint8_t *before, pare__pulse_past *past, float *unit_change)
{
    pare__pulse out;
    pare__pulse_take(vec, now, before, GRID, GRID, PATCH, past, unit_change, &out);
    return out;
}

/* ---- arithmetic --------------------------------------------------------------------------------------------------- */

static double plain_change(int unit)
{
    const int y0 = unit / GRID * PATCH, x0 = unit % GRID * PATCH;
    int64_t sum = 0;
    for (int y = y0; y < y0 + PATCH; y++)
        for (int x = 3 * x0; x < 3 * (x0 + PATCH); x++) sum += abs(now[y * 3 * SIDE + x] - was[y * 3 * SIDE + x]);
    return (double)sum / (3.0 * PATCH * PATCH);
}

START_TEST(test_changes)
{
    float change[GRID * GRID];
    fill_noise(now, 1);
    fill_noise(was, 2);
    for (int32_t i = 0; pare__vec_at(i); i++) {
        pare__pulse_past past = {0};
        const pare__pulse p = take(pare__vec_at(i), was, &past, change);
        double sum = 0;
        for (int u = 0; u < GRID * GRID; u++) {
            ck_assert_double_eq_tol(change[u], plain_change(u), 1e-4);
            sum += plain_change(u);
        }
        ck_assert_double_eq_tol(p.change, sum / (GRID * GRID), 1e-4);
    }
}
END_TEST

START_TEST(test_first_picture)
{
    float change[GRID * GRID];
    pare__pulse_past past = {0};
    fill_noise(now, 1);
    const pare__pulse p = take(pare__vec_best(), NULL, &past, change);
    ck_assert_float_eq(p.change, -1);
    ck_assert_float_eq(change[5], -1);
    ck_assert_int_eq(p.is_cut, 0);
    ck_assert_int_eq(past.n, 0);
    ck_assert_float_eq(p.detail, 1);
}
END_TEST

/* ---- detail ------------------------------------------------------------------------------------------------------- */

static void set(int y, int x, uint8_t value) { memset(now + 3 * (y * SIDE + x), value, 3); }

/* Left half: strokes two pixels wide, as text has them; right half: a slope from black to white with one hard edge. */
START_TEST(test_detail)
{
    pare__pulse_past past = {0};
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            set(y, x, (uint8_t)(x < SIDE / 2 ? x / 2 % 2 * 200 : x < SIDE / 2 + 8 ? 255 : (x - SIDE / 2) * 255 / SIDE));
    const pare__pulse p = take(pare__vec_best(), NULL, &past, NULL);
    ck_assert_int_eq(p.n_detailed, GRID * GRID / 2);
    ck_assert_float_eq(p.detail, 0.5f);
}
END_TEST

/* ---- cuts --------------------------------------------------------------------------------------------------------- */

/* A square of noise on grey, moving; another scene has another background. */
static void paint(int at, uint8_t grey)
{
    memcpy(was, now, sizeof was);
    memset(now, grey, sizeof now);
    pare__rng r = pare__rng_make(9, 0, 0);
    for (int y = 30; y < 90; y++)
        for (int x = at; x < at + 60; x++) set(y, x % SIDE, (uint8_t)pare__rng_below(&r, 256));
}

START_TEST(test_cut_and_motion)
{
    pare__pulse_past past = {0};
    for (int i = 0; i < 40; i++) {
        paint(4 * i, i < 20 ? 60 : 160);
        const pare__pulse p = take(pare__vec_best(), i ? was : NULL, &past, NULL);
        ck_assert_int_eq(p.is_cut, i == 20);
    }
    ck_assert_int_eq(past.n, 19);
}
END_TEST

/* ---- clips -------------------------------------------------------------------------------------------------------- */

/* Pictures at their own size, cut to whole units of 16 pixels. */
typedef struct clip {
    uint8_t *rgb[2];
    int32_t grid_h, grid_w;
    pare__pulse_past past;
} clip;

static void crop(const pare_frame *f, int32_t grid_h, int32_t grid_w, uint8_t *to)
{
    const size_t row = (size_t)grid_w * PATCH * 3;
    for (int32_t y = 0; y < grid_h * PATCH; y++) memcpy(to + (size_t)y * row, f->rgb + y * f->stride, row);
}

/* Numbers of the frames that begin a scene; how many there are. */
static int find_cuts(const char *path, int *cut, int max)
{
    pare_error err = {0};
    pare_source *s = NULL;
    pare_frame f = {.struct_size = sizeof f};
    clip c = {0};
    int n = 0;
    ck_assert_msg(pare_source_open(&s, path, NULL, &err) == 0, "%s", err.text);
    for (int i = 0; pare_source_read(s, &f, &err) == 0; i++) {
        pare__pulse p;
        if (i == 0) {
            c.grid_h = f.height / PATCH;
            c.grid_w = f.width / PATCH;
            for (int k = 0; k < 2; k++) c.rgb[k] = malloc((size_t)c.grid_h * (size_t)c.grid_w * PATCH * PATCH * 3);
        }
        crop(&f, c.grid_h, c.grid_w, c.rgb[i % 2]);
        pare__pulse_take(pare__vec_best(), c.rgb[i % 2], i ? c.rgb[(i + 1) % 2] : NULL, c.grid_h, c.grid_w, PATCH,
                         &c.past, NULL, &p);
        if (p.is_cut && n < max) cut[n] = i;
        n += p.is_cut;
    }
    pare_source_close(&s);
    free(c.rgb[0]);
    free(c.rgb[1]);
    return n;
}

START_TEST(test_known_cuts)
{
    static const int expected[] = {30, 76, 137, 187, 242};
    char path[1024];
    int cut[5] = {0};
    const char *fixtures = getenv("PARE_FIXTURES");
    if (!fixtures || !fixtures[0]) {
        puts("PARE_FIXTURES is not set: scene_cuts.mp4 skipped");
        return;
    }
    snprintf(path, sizeof path, "%s/data/video/scene_cuts.mp4", fixtures);
    ck_assert_int_eq(find_cuts(path, cut, 5), 5);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(cut[i], expected[i]);
}
END_TEST

START_TEST(test_no_cuts)
{
    FILE *f = fopen(VTEST, "rb");
    if (!f) {
        puts("no " VTEST ": skipped");
        return;
    }
    fclose(f);
    ck_assert_int_eq(find_cuts(VTEST, NULL, 0), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pulse");
    TCase *t = tcase_create("pulse");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_changes);
    tcase_add_test(t, test_first_picture);
    tcase_add_test(t, test_detail);
    tcase_add_test(t, test_cut_and_motion);
    tcase_add_test(t, test_known_cuts);
    tcase_add_test(t, test_no_cuts);
    suite_add_tcase(s, t);
    SRunner *run = srunner_create(s);
    srunner_run_all(run, CK_NORMAL);
    const int failed = srunner_ntests_failed(run);
    srunner_free(run);
    return failed ? 1 : 0;
}
