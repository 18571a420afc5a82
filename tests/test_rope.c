/* SPDX-License-Identifier: MIT */
/* Rotary positions: angles of both kinds against their formula, rows that stay what they are, one table per side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "encode/parts.h"

enum { DIM = 24, HEADS = 2, HEAD = DIM / HEADS, HALF = HEAD / 2, QUARTER = HEAD / 4, ROWS = 64 };
#define PI 3.141592653589793

static const pare__rope_kind kinds[] = {PARE__ROPE_GRID, PARE__ROPE_CENTRE};

/* Angle of pair j of the patch at (row, col) on a grid of patches. */
static double angle_of(const pare__hparams *hp, const int grid[2], int row, int col, int j)
{
    const int axis = j >= QUARTER, at = axis ? col : row;
    const double c = hp->rope == PARE__ROPE_GRID ? at : 2 * PI * ((2.0 * at + 1) / grid[axis] - 1);
    return c / pow((double)hp->rope_theta, 4.0 * (j % QUARTER) / HEAD);
}

static float value_of(int row, int i) { return sinf((float)(row * 97 + i) * 0.37f); }

/* Two segments of 2 x 2 patches a unit: of 4 x 6 patches two units are left, of 2 x 10 patches all. */
typedef struct scene {
    pare_model m;
    pare__encoder e;
    int64_t cu[3], ucu[3];
    int32_t thw[3 * 16];
    float wide[ROWS * 3 * DIM], scratch[2 * HEAD];
} scene;

static const int grids[2][2] = {{4, 6}, {2, 10}};

static void make_scene(scene *s, pare__rope_kind kind)
{
    static const int32_t thw[] = {0, -1, -1, 0, 0, 2, 0, 1, 1, 1, -1, -1, 1, 0, 0, 1, 0, 1, 1, 0, 2, 1, 0, 3, 1, 0, 4};
    memset(s, 0, sizeof *s);
    s->m.hp = (pare__hparams){.dim = DIM, .n_head = HEADS, .unit = 2, .rope = kind, .rope_theta = 100, .n_prefix = 1};
    memcpy(s->cu, (int64_t[]){0, 9, 30}, sizeof s->cu);
    memcpy(s->ucu, (int64_t[]){0, 3, 9}, sizeof s->ucu);
    memcpy(s->thw, thw, sizeof thw);
    s->e = (pare__encoder){.m = &s->m, .wide = s->wide};
    s->e.ex = (pare__exec){.vec = pare__vec_best(), .scratch = s->scratch, .scratch_size = 2 * HEAD};
    s->e.pack = (pare__pack){.n_seg = 2,
                             .patches = 4,
                             .n = 30,
                             .n_unit = 9,
                             .cu = s->cu,
                             .ucu = s->ucu,
                             .n_prefix = 1,
                             .d = DIM,
                             .thw = s->thw};
    for (int r = 0; r < 30; r++)
        for (int i = 0; i < 3 * DIM; i++) s->wide[r * 3 * DIM + i] = value_of(r, i);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pare__rope_reserve(&s->e.rope, &s->m.hp, i, grids[i][0], grids[i][1]), 0);
}

/* q and k of one row after the turn; prefix: row < 0. */
static void check_row(const scene *s, int r, const int *grid, int row, int col)
{
    const float *got = s->wide + r * 3 * DIM;
    for (int i = 0; i < 3 * DIM; i++) {
        const int at = i % HEAD, j = at % HALF, is_low = at < HALF;
        double want = (double)value_of(r, i);
        if (row >= 0 && i < 2 * DIM) {
            const double a = angle_of(&s->m.hp, grid, row, col, j),
                         other = (double)value_of(r, is_low ? i + HALF : i - HALF);
            want = want * cos(a) + (is_low ? -other : other) * sin(a);
        }
        ck_assert_msg(fabs(want - (double)got[i]) < 2e-6, "row %d channel %d: %g, not %g", r, i, (double)got[i], want);
    }
}

START_TEST(rows_turn_by_their_place)
{
    static scene s;
    make_scene(&s, kinds[_i]);
    for (int32_t i = 0; i < 2; i++) {
        const pare__stretch one = {.row = s.cu[i], .n = s.cu[i + 1] - s.cu[i], .seg = i, .n_seg = 1};
        pare__rope_run(&s.e, &s.e.ex, &one, s.wide + one.row * 3 * DIM);
    }
    for (int seg = 0; seg < 2; seg++) {
        check_row(&s, (int)s.cu[seg], NULL, -1, -1);
        for (int u = (int)s.ucu[seg] + 1; u < s.ucu[seg + 1]; u++)
            for (int i = 0; i < 4; i++)
                check_row(&s, (int)s.cu[seg] + 1 + 4 * (u - (int)s.ucu[seg] - 1) + i, grids[seg],
                          2 * s.thw[3 * u + 1] + i / 2, 2 * s.thw[3 * u + 2] + i % 2);
    }
    pare__rope_fini(&s.e.rope);
}
END_TEST

START_TEST(tables_follow_the_formula)
{
    static const int grid[2] = {5, 7};
    const pare__hparams hp = {.dim = DIM, .n_head = HEADS, .rope = kinds[_i], .rope_theta = 100};
    float cosine[35 * HEAD], sine[35 * HEAD];
    ck_assert_int_eq(pare__rope_tables(&hp, grid[0], grid[1], cosine, sine), 0);
    for (int p = 0; p < 35; p++)
        for (int i = 0; i < HEAD; i++) {
            const double a = angle_of(&hp, grid, p / 7, p % 7, i % HALF);
            ck_assert_double_eq_tol((double)cosine[p * HEAD + i], cos(a), 1e-6);
            ck_assert_double_eq_tol((double)sine[p * HEAD + i], sin(a), 1e-6);
        }
}
END_TEST

START_TEST(sides_are_made_once)
{
    pare__hparams hp = {.dim = DIM, .n_head = HEADS, .rope = PARE__ROPE_CENTRE, .rope_theta = 100};
    pare__rope r = {0};
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 0, 5, 7), 0);
    ck_assert(r.n == 12 && r.n_side == 2 && r.first[0] == 0 && r.first[1] == 5);
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 1, 7, 7), 0);
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 0, 7, 5), 0); /* the next pack */
    ck_assert(r.n == 12 && r.first[0] == 5 && r.first[1] == 0 && r.first[2] == 5 && r.first[3] == 5);
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 40, 100, 1), 0);
    ck_assert(r.n == 113 && r.first[80] == 12 && r.first[81] == 112 && r.first[0] == 5);
    pare__rope_fini(&r);
    hp.rope = PARE__ROPE_GRID;
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 0, 5, 7), 0);
    ck_assert_int_eq(pare__rope_reserve(&r, &hp, 1, 3, 2), 0);
    ck_assert(r.n == 7 && r.first[2] == 0 && r.first[3] == 0 && r.table[0] == 1 && r.table[QUARTER] == 0);
    pare__rope_fini(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rope");
    TCase *t = tcase_create("rope");
    tcase_add_loop_test(t, rows_turn_by_their_place, 0, 2);
    tcase_add_loop_test(t, tables_follow_the_formula, 0, 2);
    tcase_add_test(t, sides_are_made_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
