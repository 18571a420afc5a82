/* SPDX-License-Identifier: MIT */
/* What attends to what: steps of a clip that see each other, and padding that nobody sees. Each is held against the same
 * thing said in another way, steps to the byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encoder_kit.h"

/* ---- steps --------------------------------------------------------------------------------------------------------- */

/* `steps` steps of 6 x 10 patches in pairs of frames, or the same as one grid of 6 steps x 10. */
static pare__hparams stepping(int steps, int is_tall)
{
    pare__hparams hp = ref_plain;
    hp.unit = 1;
    hp.temporal = 2;
    hp.has_cls = hp.n_prefix = 0;
    hp.pos_prefix = PARE__POS_NO_PREFIX;
    hp.steps = is_tall ? 1 : steps;
    if (is_tall) hp.pos_rows *= steps;
    return hp;
}

static void list_steps(pare__segment *seg, int n)
{
    for (int i = 0; i < n; i++) {
        seg[i] = kit_segment(i);
        seg[i].rgb[1] = kit_picture[(i + 1) % KIT_PICTURES];
        seg[i].step = i;
    }
}

/* The steps below each other: one segment. */
static pare__segment pile(int steps, uint8_t *tall)
{
    pare__segment s = kit_segment(0);
    for (int i = 0; i < steps; i++) {
        memcpy(tall + i * KIT_PIXELS * 3, kit_picture[i], KIT_PIXELS * 3);
        memcpy(tall + (steps + i) * KIT_PIXELS * 3, kit_picture[(i + 1) % KIT_PICTURES], KIT_PIXELS * 3);
    }
    s.rgb[0] = tall;
    s.rgb[1] = tall + steps * KIT_PIXELS * 3;
    s.grid_h *= steps;
    s.n *= steps;
    return s;
}

static void check_steps(const pare__encode_plan *plan, int steps)
{
    static uint8_t tall[2 * KIT_PICTURES * KIT_PIXELS * 3];
    static float x[KIT_PICTURES * REF_GRID_H * REF_GRID_W * REF_DIM];
    pare__hparams hp = stepping(steps, 0);
    pare__segment seg[KIT_PICTURES];
    kit_use(&hp, 61);
    pare__encoder *e = kit_create(plan, 0);
    list_steps(seg, steps);
    const pare__pack *p = kit_run(e, seg, steps);
    const int64_t n = p->n;
    memcpy(x, p->y, (size_t)(n * p->d) * sizeof *x);
    ck_assert_int_eq(p->n_seg, steps);
    pare__encoder_free(&e);
    hp = stepping(steps, 1);
    kit_use(&hp, 61);
    e = kit_create(plan, 0);
    const pare__segment one = pile(steps, tall);
    p = kit_run(e, &one, 1);
    ck_assert_int_eq(p->n, n);
    ck_assert_mem_eq(x, p->y, (size_t)(n * p->d) * sizeof *x);
    pare__encoder_free(&e);
}

/* Joint attention of steps is attention in one picture that shows them below each other, reduced or not: 60 units a step
 * thin out alike in both. A clip that ends early has fewer steps. */
START_TEST(steps_are_one_picture)
{
    pare__encode_plan plan = {.on_site = kit_on_site};
    check_steps(&plan, 4);
    check_steps(&plan, 3);
    plan.site[1] = 1 << PARE__PHASE_MID;
    check_steps(&plan, 4);
}
END_TEST

START_TEST(fewer_steps_than_there_are_positions)
{
    static float x[2 * REF_GRID_H * REF_GRID_W * REF_DIM];
    const pare__hparams four = stepping(4, 0);
    pare__segment seg[KIT_PICTURES];
    pare__encode_plan plan = {0};
    kit_use(&four, 63);
    pare__encoder *e = kit_create(&plan, 0);
    list_steps(seg, 4);
    const pare__pack *p = kit_run(e, seg, 2);
    memcpy(x, p->y, (size_t)(p->n * p->d) * sizeof *x);
    seg[2].step = 0; /* another clip beside it changes nothing; its own step is the first */
    seg[3].step = 1;
    p = kit_run(e, seg, 4);
    kit_close("y", p->y, x, p->cu[2] * p->d, 2e-5f);
    pare__encoder_free(&e);
}
END_TEST

START_TEST(packs_do_not_cut_steps)
{
    const pare__hparams hp = stepping(4, 0);
    pare__encode_plan plan = {0};
    pare__segment seg[50];
    kit_use(&hp, 65);
    pare__encoder *e = kit_create(&plan, 600);
    ck_assert_int_ge(e->pack.cap_rows, 4 * 600);
    for (int i = 0; i < 50; i++) {
        seg[i] = kit_segment(0);
        seg[i].step = i % 4;
    }
    ck_assert_int_eq(pare__encoder_fit(e, seg, 50), PARE__PACK_ROWS / 60 / 4 * 4);
    ck_assert_int_eq(pare__encoder_fit(e, seg, 7), 7);
    for (int i = 0; i < 8; i++) seg[i].n = 600;
    ck_assert_int_eq(pare__encoder_fit(e, seg, 50), 4);
    for (int i = 1; i < 50; i++) seg[i].step = i;
    ck_assert_int_eq(pare__encoder_fit(e, seg, 50), 50);
    pare__encoder_free(&e);
}
END_TEST

START_TEST(steps_are_checked)
{
    pare__hparams hp = stepping(4, 0);
    pare__encode_plan plan = {0};
    pare__segment seg[KIT_PICTURES];
    const pare__pack *p;
    pare__encoder *e, *none;
    pare_error err;
    static const int bad[][4] = {{1, 2, 3, 3}, {0, 1, 1, 2}, {0, 2, 1, 3}, {0, 1, 2, 4}, {0, -1, 0, 1}};
    kit_use(&hp, 67);
    e = kit_create(&plan, 0);
    list_steps(seg, 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int s = 0; s < 4; s++) seg[s].step = bad[i][s];
        ck_assert_int_eq(pare__encoder_run(e, seg, 4, &p, NULL, &err), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, "step") != NULL, "%s", err.text);
    }
    pare__encoder_free(&e);
    kit_model.hp.window = 2;
    ck_assert_int_eq(pare__encoder_create(&none, &kit_model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
}
END_TEST

/* ---- padding ------------------------------------------------------------------------------------------------------- */

/* Rows of `got` at the places of `want`, whose grid is smaller; what is elsewhere receives no attention in block 1. */
static void same_where_real(const pare__pack *got, const pare__pack *want, float bound)
{
    const int64_t patches = got->patches;
    double sum = 0;
    for (int64_t u = got->n_prefix; u < got->n_unit; u++) {
        const int32_t *thw = got->thw + 3 * u;
        const int64_t twin = want->n_prefix + (int64_t)thw[1] * 4 + thw[2];
        const float *row = got->x + (got->n_prefix + (u - got->n_prefix) * patches) * got->d;
        for (int64_t i = 0; i < patches * got->d; i++) ck_assert(isfinite(row[i]));
        sum += (double)got->capture[0].data[u] * (double)patches;
        const int is_real = thw[1] < 2 && thw[2] < 4;
        ck_assert(is_real ? got->capture[0].data[u] > 1e-6f : got->capture[0].data[u] < 1e-12f);
        if (!is_real) continue;
        kit_close("x", row, want->x + (want->n_prefix + (twin - want->n_prefix) * patches) * got->d, patches * got->d,
                  bound);
    }
    for (int i = 0; i < got->n_prefix; i++) sum += (double)got->capture[0].data[i];
    ck_assert_double_eq_tol(sum, 1, 1e-5);
}

/* 4 x 8 of 6 x 10 patches are real: what they become is what a picture of 4 x 8 becomes. Said by the grid, or by sizes
 * of 0 where positions do not depend on the grid; merged tokens ignored or not. */
START_TEST(padding_is_not_there)
{
    static uint8_t small[4 * 8 * REF_PATCH * REF_PATCH * 3];
    pare__hparams hp = ref_plain;
    pare__encode_plan plan = {.want = {0, PARE__WANT_COL_MEAN}, .hold = {0, PARE__WANT_COL_MEAN}, .unbiased = _i % 2};
    const int by_size = _i / 2;
    if (by_size) hp.pos_rows = hp.pos_cols = 0, hp.rope = PARE__ROPE_GRID, hp.rope_theta = 100;
    kit_use(&hp, 71);
    for (int y = 0; y < 4 * REF_PATCH; y++)
        memcpy(small + y * 8 * REF_PATCH * 3, kit_picture[0] + y * REF_GRID_W * REF_PATCH * 3, 8 * REF_PATCH * 3);
    float size[15];
    for (int i = 0; i < 15; i++) size[i] = i / 5 < 2 && i % 5 < 4;
    pare__segment padded[] = {kit_segment(0), kit_segment(1)}, real = kit_segment(0);
    real.rgb[0] = small;
    real.grid_h = 4;
    real.grid_w = 8;
    real.n = 8;
    if (by_size)
        padded[0].size = size;
    else
        padded[0].valid_h = 4, padded[0].valid_w = 8;
    pare__encoder *a = kit_create(&plan, 0), *b = kit_create(&plan, 0), *c = kit_create(&plan, 0);
    const pare__pack *p = kit_run(a, padded, 1), *q = kit_run(b, &real, 1);
    same_where_real(p, q, 5e-5f);
    pare__segment whole = kit_segment(1); /* what stands beside padding does not see it */
    const pare__pack *both = kit_run(a, padded, 2), *alone = kit_run(c, &whole, 1);
    kit_close("x", both->x + both->cu[1] * both->d, alone->x, alone->n * alone->d, 5e-5f);
    pare__encoder_free(&a);
    pare__encoder_free(&b);
    pare__encoder_free(&c);
}
END_TEST

/* Units of 2 x 2 of which one row of patches is real, and a segment that is padding alone. */
START_TEST(padding_cuts_units)
{
    pare__encode_plan plan = {.want = {PARE__WANT_COL_MEAN}, .hold = {PARE__WANT_COL_MEAN}};
    pare__hparams hp = ref_plain;
    float none[15] = {0};
    kit_use(&hp, 73);
    pare__encoder *e = kit_create(&plan, 0);
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    seg[0].valid_h = 3;
    seg[0].valid_w = REF_GRID_W;
    seg[1].size = none;
    const pare__pack *p = kit_run(e, seg, 2);
    for (int64_t i = 0; i < p->n * p->d; i++) ck_assert(isfinite(p->x[i]));
    const float *col = p->capture[0].data;
    ck_assert(col[1] > 1e-4f && col[6] > 1e-4f); /* unit 5 is half real */
    ck_assert(col[11] < 1e-9f && col[15] < 1e-9f);
    seg[0].valid_h = REF_GRID_H + 1;
    pare_error err;
    ck_assert_int_eq(pare__encoder_run(e, seg, 1, &p, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "7 x 10") != NULL, "%s", err.text);
    none[3] = -1;
    ck_assert_int_eq(pare__encoder_run(e, seg + 1, 1, &p, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "size -1") != NULL, "%s", err.text);
    pare__encoder_free(&e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("extents");
    TCase *t = tcase_create("extents");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_test(t, steps_are_one_picture);
    tcase_add_test(t, fewer_steps_than_there_are_positions);
    tcase_add_test(t, packs_do_not_cut_steps);
    tcase_add_test(t, steps_are_checked);
    tcase_add_loop_test(t, padding_is_not_there, 0, 4);
    tcase_add_test(t, padding_cuts_units);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
