/* SPDX-License-Identifier: MIT */
/* What a table says, over made-up cells: comparisons at equal milliseconds and units with known answers, and every way to
 * look better than one is: keeping more than asked, luck, one item, what the saving leaves untouched. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench_scene.h"

#define CLOSE(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

enum { N = 100 };

static const bench_saves ENCODER = BENCH_SAVES_ENCODER, PREFILL = BENCH_SAVES_PREFILL;

static bench_scene x;

/* A row that is right with probability `rate`, by its own noise. */
static int32_t noisy(const char *recipe, double keep, uint64_t seed, bench_saves saves, double rate)
{
    int32_t row = scene_row(&x, recipe, keep, seed, saves);
    for (int32_t i = 0; i < x.s.n_item; i++) scene_cell(&x, row, i, scene_noise(row, i) < rate);
    return row;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

START_TEST(seeds_become_one_line)
{
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 1);
    for (uint64_t seed = 0; seed < 5; seed++) {
        int32_t row = scene_row(&x, "random@patches", 0.5, seed, ENCODER);
        for (int32_t i = 0; i < N; i++) scene_cell(&x, row, i, seed < 2)->value[BENCH_MS] = i + 1;
    }
    scene_flat(&x, "tome@block", 0.25, ENCODER, 0.5);
    scene_flat(&x, "tome@block", 0.75, ENCODER, 0.5);
    scene_analyse(&x);
    ck_assert_int_eq(x.a.n_line, 4);
    const bench_line *line = scene_line(&x, "random@patches", 0.5);
    ck_assert_int_eq(line->n_seed, 5);
    ck_assert_int_eq(line->n_item, N);
    CLOSE(line->value[BENCH_TOP1], 0.4);
    CLOSE(line->primary.value, 0.4);
    CLOSE(line->primary.hi - line->primary.lo, 0);
    CLOSE(line->value[BENCH_MS], 50);
    CLOSE(line->p95[BENCH_MS], 95);
    CLOSE(line->ideal, 2);
    CLOSE(line->realised, 40.0 / 50);
    ck_assert_str_eq(x.a.line[0].recipe, "none");
    ck_assert_double_eq(x.a.line[2].keep, 0.75);
    ck_assert_double_eq(x.a.line[3].keep, 0.25);
    scene_close(&x);
}
END_TEST

START_TEST(prefill_lines_have_no_cls_columns)
{
    int32_t cls = bench_column_find("cls_cosine"), survivors = bench_column_find("survivor_cosine");
    scene_open(&x, N, BENCH_TOP1);
    scene_baselines(&x, PREFILL, 0.8, 0.6);
    int32_t good = scene_flat(&x, "divprune@output", 0.5, PREFILL, 0.9);
    scene_set(&x, good, cls, 1);
    scene_set(&x, good, survivors, 1);
    scene_set(&x, good, BENCH_BOX_COSINE, 1);
    int32_t block = scene_flat(&x, "tome@block", 0.5, ENCODER, 0.9);
    scene_set(&x, block, cls, 0.97);
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "divprune@output", 0.5);
    ck_assert(isnan(line->value[cls]) && isnan(line->value[survivors]) && isnan(line->value[BENCH_BOX_COSINE]));
    ck_assert(!line->is_best[cls] && isnan(line->ideal) && isnan(line->realised));
    ck_assert_int_eq(line->versus[BENCH_VS_RESIZE_MS].verdict, BENCH_NA);
    ck_assert_int_eq(line->versus[BENCH_VS_UNIFORM_MS].verdict, BENCH_NA);
    CLOSE(line->versus[BENCH_VS_RESIZE_UNITS].difference.value, 0.1);
    ck_assert_int_eq(line->overall, BENCH_WINS);
    CLOSE(scene_line(&x, "tome@block", 0.5)->value[cls], 0.97);
    /* The other table's lines are no baselines of this one. */
    ck_assert_int_eq(scene_line(&x, "tome@block", 0.5)->overall, BENCH_NA);
    scene_close(&x);
}
END_TEST

/* The head that reads rows alone is another than the one with the CLS token: the prefill table ends in none@output. */
START_TEST(prefill_curves_end_in_their_own_none)
{
    scene_open(&x, N, BENCH_NUMBERS);
    scene_baselines(&x, PREFILL, 0.6, 0.4);
    scene_flat(&x, "none@output", 1, PREFILL, 0.8);
    int32_t row = scene_flat(&x, "divprune@output", 0.5, PREFILL, 0.75);
    x.s.row[0].saves = PREFILL; /* row 0 is none, however its recipe is written */
    scene_set(&x, row, BENCH_UNITS, 192);
    scene_set(&x, row, BENCH_UNITS_ASKED, 192);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.line[0].recipe, "none");
    ck_assert_int_eq(x.a.line[0].saves, BENCH_SAVES_NOTHING);
    const bench_line *line = scene_line(&x, "divprune@output", 0.5), *whole = scene_line(&x, "none@output", 1);
    CLOSE(line->versus[BENCH_VS_RESIZE_UNITS].difference.value, 0.75 - (0.6 + 0.2 * log(1.5) / log(2)));
    for (int i = 0; i < BENCH_VS_COUNT; i++) ck_assert_int_eq(whole->versus[i].verdict, BENCH_NA);
    ck_assert_int_eq(whole->overall, BENCH_NA);
    ck_assert_int_eq(x.a.n_choice, 2);
    ck_assert_int_eq(x.a.n_half, 4);
    for (int32_t i = 0; i < x.a.n_half; i++) ck_assert_str_ne(x.a.half[i].recipe, "none@output");
    ck_assert_double_eq(x.a.half[0].keep, 0.25); /* .4 is half of .8 */
    scene_close(&x);
}
END_TEST

/* ---- the same milliseconds, the same units ---------------------------------------------------------------------- */

START_TEST(interpolation_has_known_answers)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.7, 0.5); /* ms 24 and 16; none: 40 */
    int32_t row = scene_flat(&x, "tome@block", 0.5, ENCODER, 0.75);
    scene_set(&x, row, BENCH_MS, 18);
    scene_set(&x, row, BENCH_UNITS, 160); /* a quarter of the way from 128 to 256 */
    scene_set(&x, row, BENCH_UNITS_ASKED, 160);
    row = scene_flat(&x, "slow@block", 0.5, ENCODER, 0.95);
    scene_set(&x, row, BENCH_MS, 41);
    row = scene_flat(&x, "fast@block", 0.25, ENCODER, 0.95);
    scene_set(&x, row, BENCH_MS, 15);
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "tome@block", 0.5);
    const double at_18_ms = 0.5 + 0.2 * log(18.0 / 16) / log(24.0 / 16);
    CLOSE(line->versus[BENCH_VS_RESIZE_MS].difference.value, 0.75 - at_18_ms);
    CLOSE(line->versus[BENCH_VS_UNIFORM_MS].difference.value, 0.75 - at_18_ms);
    CLOSE(line->versus[BENCH_VS_RESIZE_UNITS].difference.value, 0.75 - (0.7 + 0.3 * log(1.25) / log(2)));
    ck_assert_int_eq(line->versus[BENCH_VS_RESIZE_UNITS].verdict, BENCH_LOSES);
    ck_assert_int_eq(line->overall, BENCH_WINS);
    /* What takes longer than no reduction is held against no reduction. */
    CLOSE(scene_line(&x, "slow@block", 0.5)->versus[BENCH_VS_RESIZE_MS].difference.value, -0.05);
    ck_assert_int_eq(scene_line(&x, "slow@block", 0.5)->overall, BENCH_LOSES);
    /* Left of the first point there is nothing to compare with. */
    ck_assert_int_eq(scene_line(&x, "fast@block", 0.25)->versus[BENCH_VS_RESIZE_MS].verdict, BENCH_NA);
    ck_assert(isnan(scene_line(&x, "fast@block", 0.25)->versus[BENCH_VS_RESIZE_MS].difference.value));
    scene_close(&x);
}
END_TEST

START_TEST(points_out_of_order_are_sorted)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.7, 0.5);
    for (int32_t r = 1; r <= 2; r++) scene_set(&x, r, BENCH_MS, r == 1 ? 16 : 24); /* resize: .25 is the slower one */
    int32_t row = scene_flat(&x, "resize@frames", 0.75, ENCODER, 0.1);
    scene_set(&x, row, BENCH_MS, 45); /* slower than none: no point */
    row = scene_flat(&x, "tome@block", 0.5, ENCODER, 0.6);
    scene_set(&x, row, BENCH_MS, sqrt(16 * 24)); /* half-way over the logarithm */
    row = scene_flat(&x, "late@block", 0.5, ENCODER, 0.6);
    scene_set(&x, row, BENCH_MS, 50);
    scene_analyse(&x);
    CLOSE(scene_line(&x, "tome@block", 0.5)->versus[BENCH_VS_RESIZE_MS].difference.value, 0);
    ck_assert_int_eq(scene_line(&x, "tome@block", 0.5)->versus[BENCH_VS_RESIZE_MS].verdict, BENCH_TIES);
    CLOSE(scene_line(&x, "late@block", 0.5)->versus[BENCH_VS_RESIZE_MS].difference.value, -0.4);
    scene_close(&x);
}
END_TEST

/* scipy.stats.binomtest(3, 15, .5).pvalue, and binomtest(10, 34, .5).pvalue = 0.024306510109454393 */
START_TEST(mcnemar_at_equal_units_then_holm)
{
    scene_open(&x, N, BENCH_TOP1);
    scene_baselines(&x, ENCODER, 1, 1);
    int32_t a = scene_row(&x, "a@block", 0.5, 0, ENCODER), b = scene_row(&x, "b@block", 0.5, 0, ENCODER);
    for (int32_t i = 0; i < N; i++) {
        for (int32_t r = 1; r <= 6; r++) x.s.cell[i + r * N].value[BENCH_TOP1] = i >= 30;
        scene_cell(&x, a, i, i >= 60 ? i >= 63 : i >= 30 || i < 12);
        scene_cell(&x, b, i, i >= 60 ? i >= 70 : i >= 30 || i < 24);
    }
    scene_analyse(&x);
    const bench_versus *va = &scene_line(&x, "a@block", 0.5)->versus[BENCH_VS_RESIZE_UNITS];
    const bench_versus *vb = &scene_line(&x, "b@block", 0.5)->versus[BENCH_VS_RESIZE_UNITS];
    CLOSE(va->p, 0.03515625);
    CLOSE(vb->p, 0.024306510109454393);
    /* Six lines have that comparison: these two, uniform and random (p = 1) at two amounts. */
    CLOSE(vb->p_holm, 6 * 0.024306510109454393);
    CLOSE(va->p_holm, 5 * 0.03515625);
    ck_assert(va->difference.lo > 0 && va->verdict == BENCH_TIES);
    scene_close(&x);
}
END_TEST

/* ---- who may win ------------------------------------------------------------------------------------------------ */

START_TEST(keeping_more_than_asked_wins_nothing)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    int32_t cheat = scene_flat(&x, "cheat@patches", 0.25, ENCODER, 0.99);
    scene_set(&x, cheat, BENCH_UNITS, 128);
    int32_t once = scene_flat(&x, "once@patches", 0.5, ENCODER, 0.99);
    x.s.cell[x.s.n_cell - 1].value[BENCH_UNITS] = 129;
    scene_flat(&x, "honest@patches", 0.25, ENCODER, 0.5);
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "cheat@patches", 0.25);
    ck_assert_int_gt(once, cheat);
    ck_assert_uint_eq(line->flags, BENCH_FLAG_OVER);
    ck_assert_uint_eq(scene_line(&x, "once@patches", 0.5)->flags, BENCH_FLAG_OVER);
    for (int i = 0; i < BENCH_VS_COUNT; i++) ck_assert_int_ne(line->versus[i].verdict, BENCH_WINS);
    ck_assert_int_ne(line->overall, BENCH_WINS);
    /* Compared with what others make of the 128 units that it kept. */
    CLOSE(line->versus[BENCH_VS_UNIFORM_UNITS].difference.value, 0.99 - 0.6);
    ck_assert(!line->is_best[BENCH_KNN] && !scene_line(&x, "once@patches", 0.5)->is_best[BENCH_KNN]);
    ck_assert(scene_line(&x, "honest@patches", 0.25)->is_best[BENCH_KNN]);
    for (int32_t i = 0; i < x.a.n_choice; i++) ck_assert_str_ne(x.a.choice[i].recipe, "cheat@patches");
    ck_assert(x.a.default_winner == NULL || strcmp(x.a.default_winner, "cheat@patches") != 0);
    scene_close(&x);
}
END_TEST

START_TEST(random_that_is_lucky_is_not_best)
{
    int32_t cover = bench_column_find("cover_patches");
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 1);
    int32_t lucky = noisy("random@output", 0.06, 0, PREFILL, 0.9),
            grid = noisy("spatial-uniform@output", 0.06, 0, PREFILL, 0.6);
    int32_t pool = noisy("pool@output", 0.06, 0, PREFILL, 0.5), left = noisy("left-half@output", 0.06, 0, PREFILL, 0.6);
    scene_set(&x, lucky, cover, 5);
    scene_set(&x, grid, cover, 2);
    scene_set(&x, pool, cover, 3);
    scene_set(&x, left, cover, 12);
    scene_analyse(&x);
    for (int32_t i = 0; i < x.a.n_line; i++) {
        ck_assert(!x.a.line[i].is_best[BENCH_TOP1]);
        for (int32_t c = 0; c < BENCH_MAX_COLUMNS; c++)
            ck_assert(!x.a.line[i].is_best[c] || strcmp(x.a.line[i].recipe, "random@output") != 0);
    }
    /* A selector that keeps one side is last where uniformity is measured. */
    ck_assert(scene_line(&x, "spatial-uniform@output", 0.06)->is_best[cover]);
    ck_assert(!scene_line(&x, "left-half@output", 0.06)->is_best[cover]);
    scene_close(&x);
}
END_TEST

/* Forty recipes that are right by chance alone, at three amounts: none is ahead of anything. */
START_TEST(noise_wins_nothing)
{
    static const double keep[] = {0.5, 0.25, 0.1};
    char name[32];
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 0.5);
    for (int k = 0; k < 3; k++) {
        noisy("resize@frames", keep[k], 0, ENCODER, 0.5);
        noisy("spatial-uniform@patches", keep[k], 0, ENCODER, 0.5);
        for (uint64_t seed = 0; seed < 5; seed++) noisy("random@patches", keep[k], seed, ENCODER, 0.5);
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof name, "noise%d@block", i);
            noisy(name, keep[k], 0, ENCODER, 0.5);
        }
    }
    scene_analyse(&x);
    int best = 0;
    for (int32_t i = 0; i < x.a.n_line; i++) {
        ck_assert_int_ne(x.a.line[i].overall, BENCH_WINS);
        best += x.a.line[i].is_best[BENCH_TOP1];
    }
    ck_assert_int_eq(best, 0);
    ck_assert_str_eq(x.a.default_winner, "resize@frames");
    ck_assert_str_eq(x.a.resize_says,
                     "undecided, so resize stays the default: at equal ms no recipe is ahead of it beyond its interval "
                     "at any amount, none is behind it over all");
    scene_close(&x);
}
END_TEST

START_TEST(one_item_proves_nothing)
{
    scene_open(&x, 1, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.2, 0.1);
    scene_flat(&x, "tome@block", 0.5, ENCODER, 1);
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "tome@block", 0.5);
    CLOSE(line->versus[BENCH_VS_RESIZE_MS].difference.value, 0.8);
    ck_assert_int_eq(line->overall, BENCH_TIES);
    ck_assert(!line->is_best[BENCH_KNN]);
    ck_assert_int_eq(x.a.n_choice, 0);
    scene_close(&x);
}
END_TEST

START_TEST(baselines_are_not_held_against_themselves)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    for (int32_t r = 1; r <= 2; r++) scene_set(&x, r, BENCH_KNN, r == 1 ? 0.8 : 0.7);
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "resize@frames", 0.5);
    ck_assert_int_eq(line->versus[BENCH_VS_RESIZE_MS].verdict, BENCH_NA);
    ck_assert_int_eq(line->versus[BENCH_VS_RESIZE_UNITS].verdict, BENCH_NA);
    ck_assert_int_eq(line->versus[BENCH_VS_UNIFORM_MS].verdict, BENCH_WINS);
    ck_assert_int_eq(line->overall, BENCH_WINS);
    ck_assert_int_eq(scene_line(&x, "random@patches", 0.5)->versus[BENCH_VS_RANDOM_UNITS].verdict, BENCH_NA);
    ck_assert_int_eq(scene_line(&x, "spatial-uniform@patches", 0.5)->overall, BENCH_LOSES);
    ck_assert_int_eq(x.a.line[0].overall, BENCH_NA);
    scene_close(&x);
}
END_TEST

START_TEST(grids_and_own_amounts_are_flagged)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    scene_set(&x, 1, BENCH_UNITS, 121);
    scene_set(&x, 2, BENCH_UNITS, 63.5);
    scene_flat(&x, "rlt@patches", 0, ENCODER, 0.7);
    scene_analyse(&x);
    ck_assert_uint_eq(scene_line(&x, "resize@frames", 0.5)->flags, BENCH_FLAG_UNDER);
    ck_assert_uint_eq(scene_line(&x, "resize@frames", 0.25)->flags, 0);
    const bench_line *line = scene_line(&x, "rlt@patches", 0);
    ck_assert_uint_eq(line->flags, BENCH_FLAG_OWN);
    CLOSE(line->versus[BENCH_VS_RANDOM_UNITS].difference.value, 0.1);
    ck_assert(!line->is_best[BENCH_KNN]);
    scene_close(&x);
}
END_TEST

/* ---- the sentence, the choice, the half ------------------------------------------------------------------------- */

START_TEST(the_sentence_names_the_winner)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    scene_flat(&x, "tome@block", 0.5, ENCODER, 0.9);
    scene_flat(&x, "tome@block", 0.25, ENCODER, 0.3);
    scene_flat(&x, "evit@block", 0.5, ENCODER, 0.65);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.default_winner, "tome@block");
    ck_assert_str_eq(x.a.resize_says, "tome@block is ahead of resize at equal ms at keep 0.5 and behind at keep 0.25");
    int32_t row = scene_flat(&x, "tome@block", 0.3, ENCODER, 0.01);
    scene_set(&x, row, BENCH_UNITS_ASKED, 80);
    for (int64_t i = 0; i < x.s.n_cell; i++)
        if (strcmp(x.s.row[x.s.cell[i].row].recipe, "evit@block") == 0) x.s.cell[i].value[BENCH_KNN] = 0.6;
    scene_analyse(&x);
    ck_assert_str_eq(x.a.default_winner, "resize@frames");
    ck_assert_str_eq(x.a.resize_says,
                     "resize stays the default: no recipe is ahead of it over all amounts together; tome@block is "
                     "ahead of resize at equal ms at keep 0.5 and behind at keep 0.3, 0.25");
    scene_close(&x);
}
END_TEST

/* a is right on folds 0 to 3, b on fold 4 and half of the others: the other folds always choose a, and fold 4, where a
 * fails, counts against the choice. The table's own maximum would be the same recipe judged by the items that chose it. */
START_TEST(choice_is_judged_on_held_out_items)
{
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 1);
    int32_t a = scene_row(&x, "a@block", 0.5, 0, ENCODER), b = scene_row(&x, "b@block", 0.5, 0, ENCODER);
    int32_t lucky = scene_row(&x, "lucky@block", 0.25, 0, ENCODER),
            steady = scene_row(&x, "steady@block", 0.25, 0, ENCODER);
    for (int32_t i = 0; i < N; i++) {
        scene_cell(&x, a, i, i % 5 != 4);
        scene_cell(&x, b, i, i % 5 == 4 || i / 5 % 2 == 0);
        scene_cell(&x, lucky, i, i % 5 == 0);
        scene_cell(&x, steady, i, i / 5 % 20 < 3);
    }
    scene_analyse(&x);
    ck_assert_int_eq(x.a.n_choice, 2);
    const bench_choice *c = &x.a.choice[0];
    ck_assert_double_eq(c->keep, 0.5);
    ck_assert_str_eq(c->recipe, "a@block");
    ck_assert_int_eq(c->n_fold, 5);
    ck_assert_int_eq(c->n_times, 5);
    CLOSE(c->primary.value, 0.8);
    ck_assert(c->primary.lo < 0.8 && c->primary.hi > 0.8);
    /* Lucky is right on fold 0 alone: held out, that fold is given to steady, and lucky's luck is worth nothing. */
    c = &x.a.choice[1];
    ck_assert_int_eq(c->n_times, 4);
    ck_assert_str_eq(c->recipe, "lucky@block");
    CLOSE(c->primary.value, 0.03);
    scene_close(&x);
}
END_TEST

START_TEST(choice_takes_the_faster_of_equals)
{
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 1);
    scene_flat(&x, "a@block", 0.5, ENCODER, 0.5);
    int32_t b = scene_flat(&x, "b@block", 0.5, ENCODER, 0.5);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.choice[0].recipe, "a@block");
    scene_set(&x, b, BENCH_MS, 3);
    scene_analyse(&x);
    ck_assert_str_eq(x.a.choice[0].recipe, "b@block");
    scene_close(&x);
}
END_TEST

static const bench_half *half_of(const char *recipe)
{
    for (int32_t i = 0; i < x.a.n_half; i++)
        if (strcmp(x.a.half[i].recipe, recipe) == 0) return &x.a.half[i];
    ck_abort_msg("no half of %s", recipe);
}

START_TEST(half_of_the_numbers)
{
    scene_open(&x, N, BENCH_NUMBERS);
    scene_none(&x, 0.8);
    scene_flat(&x, "a@block", 0.25, ENCODER, 0.1);
    scene_flat(&x, "a@block", 0.5, ENCODER, 0.7);
    scene_flat(&x, "b@output", 0.5, PREFILL, 0.7);
    scene_flat(&x, "b@output", 0.25, PREFILL, 0.4);
    scene_flat(&x, "own@block", 0, ENCODER, 0.1);
    int32_t cheat = scene_flat(&x, "cheat@block", 0.1, ENCODER, 0.2);
    scene_set(&x, cheat, BENCH_UNITS, 128);
    int32_t grid = scene_flat(&x, "grid@block", 0.5, ENCODER, 0.2);
    scene_set(&x, grid, BENCH_UNITS, 64);
    scene_analyse(&x);
    ck_assert_int_eq(x.a.n_half, 5);
    CLOSE(half_of("grid@block")->keep, 0.25 + 0.2 / 0.6 * 0.75);
    CLOSE(half_of("a@block")->keep, 0.375);
    ck_assert(!half_of("a@block")->is_below);
    ck_assert(half_of("b@output")->is_below && half_of("b@output")->keep == 0.25);
    ck_assert(isnan(half_of("own@block")->keep) && !half_of("own@block")->is_below);
    CLOSE(half_of("cheat@block")->keep, 0.5 + 0.2 / 0.6 * 0.5);
    for (int64_t i = 0; i < x.s.n_cell; i++) x.s.cell[i].value[BENCH_NUMBERS] = 0;
    scene_analyse(&x);
    ck_assert(isnan(half_of("a@block")->keep));
    scene_close(&x);
}
END_TEST

/* ---- little, nothing, twice ------------------------------------------------------------------------------------- */

START_TEST(nothing_to_analyse)
{
    bench_section empty = {.primary = BENCH_TOP1};
    bench_analysis a;
    ck_assert_int_eq(bench_analyse(&empty, 1, &a), 0);
    ck_assert_int_eq(a.n_line, 0);
    bench_analysis_free(&a);
    static const int32_t primaries[] = {BENCH_TOP1, BENCH_NUMBERS, -1, BENCH_MAX_COLUMNS};
    for (int i = 0; i < 4; i++)
        for (int32_t n = 0; n < 3; n++) {
            scene_open(&x, n, primaries[i] < BENCH_MAX_COLUMNS ? primaries[i] : -1);
            x.s.primary = -1; /* cells without outcomes */
            scene_baselines(&x, ENCODER, 0, 0);
            scene_row(&x, "never-run@block", 0.5, 0, ENCODER);
            x.s.primary = primaries[i];
            scene_analyse(&x);
            ck_assert_ptr_null(x.a.default_winner);
            ck_assert_str_eq(x.a.resize_says, "nothing could be compared with resize at equal ms");
            for (int32_t l = 0; l < x.a.n_line; l++) ck_assert_int_eq(x.a.line[l].overall, BENCH_NA);
            scene_close(&x);
        }
}
END_TEST

START_TEST(missing_cells_are_left_out_in_pairs)
{
    scene_open(&x, N, BENCH_KNN);
    scene_baselines(&x, ENCODER, 0.6, 0.4);
    int32_t row = scene_row(&x, "tome@block", 0.5, 0, ENCODER);
    for (int32_t i = 0; i < N / 2; i++) scene_cell(&x, row, i, i == 7 ? NAN : 0.7);
    scene_cell(&x, row, 9, INFINITY);
    scene_cell(&x, row, N, 0);
    scene_cell(&x, row, 3, 0)->row = 1000;
    for (int64_t i = 0; i < x.s.n_cell; i++)
        if (x.s.cell[i].row == 1 && x.s.cell[i].item < 10) x.s.cell[i].value[BENCH_KNN] = NAN;
    scene_analyse(&x);
    const bench_line *line = scene_line(&x, "tome@block", 0.5);
    ck_assert_int_eq(line->n_item, N / 2 - 2);
    CLOSE(line->primary.value, 0.7);
    CLOSE(line->versus[BENCH_VS_RESIZE_UNITS].difference.value, 0.1);
    ck_assert_int_eq(line->versus[BENCH_VS_RESIZE_UNITS].verdict, BENCH_WINS);
    scene_close(&x);
}
END_TEST

START_TEST(the_same_cells_say_the_same)
{
    scene_open(&x, N, BENCH_TOP1);
    scene_none(&x, 1);
    noisy("resize@frames", 0.5, 0, ENCODER, 0.6);
    noisy("random@patches", 0.5, 0, ENCODER, 0.5);
    noisy("tome@block", 0.5, 0, ENCODER, 0.8);
    scene_analyse(&x);
    bench_versus before[BENCH_VS_COUNT];
    bench_interval primary = x.a.line[3].primary;
    memcpy(before, x.a.line[3].versus, sizeof before);
    /* In another order: a resumed run appends what was missing. */
    for (int64_t i = 0, k = x.s.n_cell - 1; i < k; i++, k--) {
        bench_cell held = x.s.cell[i];
        x.s.cell[i] = x.s.cell[k];
        x.s.cell[k] = held;
    }
    scene_analyse(&x);
    ck_assert(memcmp(&primary, &x.a.line[3].primary, sizeof primary) == 0);
    for (int i = 0; i < BENCH_VS_COUNT; i++) {
        const bench_versus *v = &x.a.line[3].versus[i];
        ck_assert_int_eq(before[i].verdict, v->verdict);
        ck_assert(isnan(v->p) ? isnan(before[i].p) : before[i].p == v->p && before[i].p_holm == v->p_holm);
        ck_assert(isnan(v->p) || memcmp(&before[i].difference, &v->difference, sizeof v->difference) == 0);
    }
    scene_close(&x);
}
END_TEST

int main(void)
{
    const struct {
        const char *name;
        const TTest *test;
    } tests[] = {
        {"lines", seeds_become_one_line},
        {"lines", prefill_lines_have_no_cls_columns},
        {"lines", prefill_curves_end_in_their_own_none},
        {"versus", interpolation_has_known_answers},
        {"versus", points_out_of_order_are_sorted},
        {"versus", mcnemar_at_equal_units_then_holm},
        {"wins", keeping_more_than_asked_wins_nothing},
        {"wins", random_that_is_lucky_is_not_best},
        {"wins", noise_wins_nothing},
        {"wins", one_item_proves_nothing},
        {"wins", baselines_are_not_held_against_themselves},
        {"wins", grids_and_own_amounts_are_flagged},
        {"conclusions", the_sentence_names_the_winner},
        {"conclusions", choice_is_judged_on_held_out_items},
        {"conclusions", choice_takes_the_faster_of_equals},
        {"conclusions", half_of_the_numbers},
        {"little", nothing_to_analyse},
        {"little", missing_cells_are_left_out_in_pairs},
        {"little", the_same_cells_say_the_same},
    };
    Suite *s = suite_create("bench_analysis");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *t = tcase_create(tests[i].name);
        tcase_add_test(t, tests[i].test);
        tcase_set_timeout(t, 120);
        suite_add_tcase(s, t);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
