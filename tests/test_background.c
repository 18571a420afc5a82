/* SPDX-License-Identifier: MIT */
/* background: what moves is found, what stands is absorbed slowly, light is not motion, budgets of clips are exact. Made-up
 * clips: grainy ground [H, W] and a square in front of it. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/pan.h"
#include "select_scene.h"

enum { H = 6, W = 8, PATCH = 4, UNITS = H * W };

typedef struct square {
    int32_t x, y, side; /* pixels; side 0 = none */
    uint8_t value;
} square;

static uint8_t ground(pare__rng *grain, int32_t x, int32_t y, int32_t light)
{
    return (uint8_t)(100 + (x * 7 + y * 13) % 40 + light + (int32_t)pare__rng_below(grain, 5) - 2);
}

static void paint(scene *s, int32_t f, square q, int32_t light)
{
    const int32_t width = s->grid_w * s->patch, height = s->grid_h * s->patch;
    pare__rng grain = pare__rng_make(7, (uint64_t)f, 0);
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            const int is_in = x >= q.x && x < q.x + q.side && y >= q.y && y < q.y + q.side;
            const uint8_t value = is_in ? q.value : ground(&grain, x, y, light);
            memset(s->frame[f] + 3 * ((int64_t)y * width + x), value, 3);
        }
}

static const square nothing = {0};

/* A square of 2 x 2 units crosses the picture from step `from` on, a pixel a step, and turns at the borders. */
static square wanderer(int32_t f, int32_t from)
{
    const int32_t room = W * PATCH - 2 * PATCH, at = (f - from) % (2 * room);
    return f < from ? nothing : (square){at < room ? at : 2 * room - at, 8, 2 * PATCH, 20};
}

/* Steps [first, first + count) as one window; k and what is left of the clip's budget for so many units. */
typedef struct ask {
    int32_t first, count;
    int64_t k, budget_left, units_left, floor;
} ask;

static void run(const char *options, scene *sc, ask a, pare__map *map, float *score)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_msg(step_open(&s, "background", options, &err) == 0, "%s", err.text);
    scene_look(sc, PARE__SITE_PATCHES, a.first, a.count, 0, &look);
    look.view.k = a.k;
    look.view.budget_left = a.budget_left;
    look.view.units_left = a.units_left;
    look.view.floor = a.floor;
    ck_assert_msg(step_run(&s, sc, &look.view, map, &err) == 0, "%s", err.text);
    if (score) memcpy(score, look.view.score_out, (size_t)look.view.n * sizeof *score);
    step_close(&s);
}

/* Scores of the whole clip [n], window after window. */
static void score_clip(scene *sc, int32_t window, float *score)
{
    pare__map map = {0};
    scene_rewind(sc);
    for (int32_t t = 0; t < sc->n_frame; t += window) {
        const int32_t count = t + window < sc->n_frame ? window : sc->n_frame - t;
        run("", sc, (ask){.first = t, .count = count, .k = -1}, &map, score + sc->frame_start[t]);
    }
    pare__map_fini(&map);
}

static float largest(const float *score, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fmaxf(most, score[i]);
    return most;
}

START_TEST(a_moving_square_is_found)
{
    scene s;
    float score[40 * UNITS];
    scene_blank(&s, 40, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < 40; f++) paint(&s, f, wanderer(f, 5), 0);
    score_clip(&s, 8, score);
    for (int32_t f = 0; f < 40; f++) {
        const square q = wanderer(f, 5);
        for (int32_t u = 0; u < UNITS; u++) {
            const int32_t x = u % W * PATCH, y = u / W * PATCH;
            const int is_whole =
                q.side && x >= q.x && x + PATCH <= q.x + q.side && y >= q.y && y + PATCH <= q.y + q.side;
            const int is_far = !q.side || x > q.x + q.side + PATCH || y > q.y + q.side + PATCH || y + 2 * PATCH < q.y;
            if (is_whole) ck_assert_msg(score[f * UNITS + u] > 2, "step %d unit %d: %g", f, u, score[f * UNITS + u]);
            if (is_far) ck_assert_msg(score[f * UNITS + u] < .7f, "step %d unit %d: %g", f, u, score[f * UNITS + u]);
        }
    }
    scene_free(&s);
}
END_TEST

START_TEST(what_stands_is_absorbed_slowly)
{
    enum { STEPS = 400, COME = 30 };
    scene s;
    float *score = malloc(STEPS * UNITS * sizeof *score);
    scene_blank(&s, STEPS, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < STEPS; f++) paint(&s, f, f < COME ? nothing : (square){8, 8, 2 * PATCH, 160}, 0);
    score_clip(&s, 32, score);
    const int32_t unit = 2 * W + 2;
    ck_assert(score[(COME - 1) * UNITS + unit] < .7f);
    ck_assert(score[COME * UNITS + unit] > 2);
    ck_assert(score[(COME + 50) * UNITS + unit] > .7f);
    ck_assert(score[(STEPS - 1) * UNITS + unit] < .5f * score[COME * UNITS + unit]);
    free(score);
    scene_free(&s);
}
END_TEST

/* From black to white and back, in steps that no background can follow. */
START_TEST(any_light_is_survived)
{
    scene s;
    float score[64 * UNITS];
    scene_blank(&s, 64, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < 64; f++) memset(s.frame[f], f % 7 < 3 ? 0 : 255, 3 * UNITS * PATCH * PATCH);
    score_clip(&s, 8, score);
    for (int32_t i = 0; i < 64 * UNITS; i++) ck_assert(score[i] >= 0 && score[i] <= 10);
    for (int32_t f = 0; f < 64; f++)
        for (int32_t i = 0; i < 3 * UNITS * PATCH * PATCH; i++) s.frame[f][i] = (uint8_t)((i * 31 + f * f * 57) % 256);
    score_clip(&s, 8, score);
    for (int32_t i = 0; i < 64 * UNITS; i++) ck_assert(score[i] >= 0 && score[i] <= 10);
    scene_free(&s);
}
END_TEST

START_TEST(light_is_no_motion)
{
    scene s;
    float score[30 * UNITS];
    scene_blank(&s, 30, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < 30; f++) paint(&s, f, nothing, f < 20 ? 0 : 35);
    score_clip(&s, 8, score);
    ck_assert_msg(largest(score, 30 * UNITS) < .7f, "%g", largest(score, 30 * UNITS));
    scene_free(&s);
}
END_TEST

/* Ground that is no multiple of anything: value of cell (y, x). */
static uint8_t rough(int32_t y, int32_t x)
{
    const uint32_t h = (uint32_t)(y / 4) * 2654435761U ^ (uint32_t)(x / 4) * 2246822519U;
    return (uint8_t)(60 + (h ^ h >> 15) % 120);
}

START_TEST(the_turn_of_a_camera_is_found_to_the_cell)
{
    enum { SIDE = 64 };
    uint8_t now[SIDE * SIDE], known[SIDE * SIDE];
    int32_t dy, dx;
    for (int32_t turn = 0; turn < (2 * PARE__PAN_REACH + 1) * (2 * PARE__PAN_REACH + 1); turn++) {
        const int32_t by_y = turn / (2 * PARE__PAN_REACH + 1) - PARE__PAN_REACH;
        const int32_t by_x = turn % (2 * PARE__PAN_REACH + 1) - PARE__PAN_REACH;
        for (int32_t i = 0; i < SIDE * SIDE; i++) {
            now[i] = rough(i / SIDE + 100, i % SIDE + 100);
            known[i] = rough(i / SIDE + 100 - by_y, i % SIDE + 100 - by_x);
        }
        const int moved = pare__pan_find(now, known, SIDE, SIDE, &dy, &dx);
        ck_assert_msg(moved == (by_y || by_x), "%d %d: %d", by_y, by_x, moved);
        ck_assert_int_eq(dy, by_y);
        ck_assert_int_eq(dx, by_x);
    }
    memset(now, 9, sizeof now);
    ck_assert_int_eq(pare__pan_find(now, now, SIDE, SIDE, &dy, &dx), 0);
    ck_assert_int_eq(pare__pan_find(now, known, 4 * PARE__PAN_REACH - 1, SIDE, &dy, &dx), 0);
    ck_assert(dy == 0 && dx == 0);
}
END_TEST

/* Step f of a scene of large pictures: ground seen from (y, x), a square of `side` pixels in front of it. */
static void paint_from(scene *s, int32_t f, int32_t y0, int32_t x0, square q)
{
    const int32_t width = s->grid_w * s->patch, height = s->grid_h * s->patch;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) {
            const int is_in = x >= q.x && x < q.x + q.side && y >= q.y && y < q.y + q.side;
            const uint8_t value = is_in ? q.value : rough(y + y0, x + x0);
            memset(s->frame[f] + 3 * ((int64_t)y * width + x), value, 3);
        }
}

/* 3 to 5 pixels a step right and 2 down, so that no shift is a whole number of cells for long. */
START_TEST(a_camera_that_turns_is_followed)
{
    enum { STEPS = 30, SIDE = 16, ALL = SIDE * SIDE };
    scene s;
    float *score = malloc(STEPS * ALL * sizeof *score);
    scene_blank(&s, STEPS, SIDE, SIDE, 4, 8, 1);
    for (int32_t f = 0, x = 40; f < STEPS; x += 3 + f % 3, f++)
        paint_from(&s, f, 40 + 2 * f, x, f < 5 ? nothing : (square){16 + 3 * (f - 5), 64, 24, 230});
    score_clip(&s, 8, score);
    for (int32_t f = 8; f < STEPS; f++) {
        double ground = 0, person = 0;
        int32_t n = 0;
        for (int32_t u = 0; u < ALL; u++) {
            const int32_t x = u % SIDE * 8, y = u / SIDE * 8, left = 16 + 3 * (f - 5);
            const int is_whole = x >= left && x + 8 <= left + 24 && y >= 64 && y + 8 <= 88;
            if (is_whole) person += score[f * ALL + u], n++;
            if (y < 40) ground += score[f * ALL + u] / (5.0 * SIDE);
        }
        ck_assert_msg(ground < .3 && person / n > 2, "step %d: ground %g, square %g", f, ground, person / n);
    }
    free(score);
    scene_free(&s);
}
END_TEST

/* Who is there in the first picture and walks off over even ground leaves a hole, and does not turn the camera. */
START_TEST(a_walker_turns_no_camera)
{
    enum { STEPS = 12, SIDE = 16, ALL = SIDE * SIDE };
    scene s;
    float *score = malloc(STEPS * ALL * sizeof *score);
    scene_blank(&s, STEPS, SIDE, SIDE, 4, 8, 1);
    for (int32_t f = 0; f < STEPS; f++) {
        memset(s.frame[f], 128, 3 * ALL * 64);
        for (int32_t y = 40; y < 88; y++)
            for (int32_t x = 32; x < 64; x++)
                memset(s.frame[f] + 3 * (y * SIDE * 8 + x + 4 * f), rough(y / 2, x / 2), 3);
    }
    score_clip(&s, 4, score);
    for (int32_t f = 3; f < STEPS; f++) {
        const int32_t hole = 7 * SIDE + 4;
        ck_assert_msg(score[f * ALL + hole] > .5f, "step %d: %g", f, score[f * ALL + hole]);
        for (int32_t u = 0; u < 3 * SIDE; u++) ck_assert(score[f * ALL + u] < .1f);
    }
    free(score);
    scene_free(&s);
}
END_TEST

/* Odd units have cells of one pixel, a temporal patch the mean of its pictures; windows change nothing. */
START_TEST(any_geometry_and_window)
{
    static const int32_t patches[] = {3, 4, 7}, temporal[] = {1, 2};
    float whole[24 * UNITS], cut[24 * UNITS];
    for (int i = 0; i < 6; i++) {
        scene s;
        scene_blank(&s, 24, H, W, 4, patches[i / 2], temporal[i % 2]);
        for (int32_t f = 0; f < 24 * s.temporal; f++) paint(&s, f, (square){f / 2, 4, 2 * s.patch, 250}, 0);
        score_clip(&s, 24, whole);
        score_clip(&s, 5, cut);
        ck_assert(largest(whole, UNITS) == 0 || s.temporal > 1);
        ck_assert(largest(whole + 20 * UNITS, UNITS) > 2);
        ck_assert_mem_eq(whole, cut, sizeof whole);
        scene_free(&s);
    }
}
END_TEST

/* Rows of a clip of `total` as rate control shares them: what is due so far, what was not spent included. */
static int64_t spend(scene *s, const char *options, int64_t total, int32_t window, int64_t *window_rows)
{
    pare__map map = {0};
    int64_t spent = 0;
    scene_rewind(s);
    for (int32_t t = 0, i = 0; t < s->n_frame; t += window, i++) {
        const int32_t end = t + window < s->n_frame ? t + window : s->n_frame;
        const int64_t due = end == s->n_frame ? total : total * end / s->n_frame;
        run(options, s, (ask){t, end - t, due - spent, total - spent, (int64_t)(s->n_frame - t) * UNITS, .floor = 1},
            &map, NULL);
        window_rows[i] = map.m.n_out;
        spent += map.m.n_out;
    }
    pare__map_fini(&map);
    return spent;
}

START_TEST(quiet_windows_leave_rows_to_busy_ones_and_the_total_is_exact)
{
    static const int64_t totals[] = {80, 200, 333, 960, 80 * UNITS - 1};
    int64_t rows[10], equal[10];
    scene s;
    scene_blank(&s, 80, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < 80; f++) paint(&s, f, wanderer(f, 50), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(spend(&s, "", totals[i], 9, rows), totals[i]);
        ck_assert_int_eq(spend(&s, "save=0", totals[i], 9, equal), totals[i]);
    }
    spend(&s, "", 333, 9, rows);
    spend(&s, "save=0", 333, 9, equal);
    ck_assert_msg(rows[5] > equal[5] * 3 / 2, "%lld against %lld", (long long)rows[5], (long long)equal[5]);
    ck_assert(rows[2] < equal[2]);
    scene_free(&s);
}
END_TEST

START_TEST(the_first_step_is_spread_and_floors_hold)
{
    pare__map map = {0};
    scene s;
    int32_t in_step[8] = {0};
    scene_blank(&s, 8, H, W, 4, PATCH, 1);
    for (int32_t f = 0; f < 8; f++) paint(&s, f, wanderer(f, 2), 0);
    run("", &s, (ask){.count = 8, .k = 48, .floor = 3}, &map, NULL);
    ck_assert_int_eq(map.m.n_out, 48);
    for (int64_t r = 0; r < 48; r++) in_step[map.m.anchor[r] / UNITS]++;
    ck_assert_int_ge(in_step[0], 12);
    for (int32_t f = 0; f < 8; f++) ck_assert_int_ge(in_step[f], 3);
    scene_rewind(&s);
    run("threshold=10", &s, (ask){.count = 8, .k = -1}, &map, NULL);
    ck_assert_int_eq(map.m.n_out, UNITS); /* nothing scores more than the largest score: the first step alone */
    pare__map_fini(&map);
    scene_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("background");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_moving_square_is_found);
    tcase_add_test(t, what_stands_is_absorbed_slowly);
    tcase_add_test(t, any_light_is_survived);
    tcase_add_test(t, light_is_no_motion);
    tcase_add_test(t, the_turn_of_a_camera_is_found_to_the_cell);
    tcase_add_test(t, a_camera_that_turns_is_followed);
    tcase_add_test(t, a_walker_turns_no_camera);
    tcase_add_test(t, any_geometry_and_window);
    tcase_add_test(t, quiet_windows_leave_rows_to_busy_ones_and_the_total_is_exact);
    tcase_add_test(t, the_first_step_is_spread_and_floors_hold);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
