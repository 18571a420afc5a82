/* SPDX-License-Identifier: MIT */
/* Greedy choices by hand and against the textbook versions that look at everything; scores that they condition on. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/greedy.h"
#include "select_scene.h"

/* A scene of n tokens [n, d] in one row. */
static void scene_of(scene *sc, const float *x, int32_t n, int32_t d)
{
    scene_blank(sc, 1, 1, n, d, 1, 1);
    memcpy(sc->token, x, (size_t)n * (size_t)d * sizeof *x);
    for (int32_t i = 0; i < n; i++) sc->score[i] = 1;
}

static void choose(scene *sc, const char *name, const char *options, int64_t k, pare__map *map)
{
    step s;
    scene_view look;
    pare_error err = {0};
    ck_assert_msg(!step_open(&s, name, options, &err), "%s", err.text);
    scene_look(sc, PARE__SITE_OUTPUT, 0, 1, 1, &look);
    look.view.k = k;
    look.view.score = sc->score;
    ck_assert_msg(!step_run(&s, sc, &look.view, map, &err), "%s", err.text);
    step_close(&s);
}

static void expect(const pare__map *map, const int32_t *want, int64_t n)
{
    ck_assert_int_eq(map->m.n_out, n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(map->m.anchor[i], want[i]);
}

/* ---- by hand ------------------------------------------------------------------------------------------------------- */

/* Directions at 0, 10, 20, 90 and 180 degrees, the first twice. */
static const float fan[] = {1, 0, 1, 0, 0.98480775f, 0.17364818f, 0.93969262f, 0.34202014f, 0, 1, -1, 0};

START_TEST(divprune_takes_the_farthest)
{
    scene sc;
    pare__map map = {0};
    scene_of(&sc, fan, 6, 2);
    choose(&sc, "divprune", "", 1, &map); /* its nearest is 90 degrees away */
    expect(&map, (int32_t[]){5}, 1);
    choose(&sc, "divprune", "", 3, &map);
    expect(&map, (int32_t[]){0, 4, 5}, 3);
    choose(&sc, "divprune", "", 5, &map); /* of the equal rows 0 and 1 only one, while there is anything else */
    expect(&map, (int32_t[]){0, 2, 3, 4, 5}, 5);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(cdpruner_follows_relevance_and_refuses_duplicates)
{
    scene sc;
    pare__map map = {0};
    scene_of(&sc, fan, 6, 2);
    choose(&sc, "cdpruner", "", 2, &map); /* r = 1: row 0 first, then the first of those at a right angle */
    expect(&map, (int32_t[]){0, 4}, 2);
    sc.score[3] = 2;
    choose(&sc, "cdpruner", "", 1, &map);
    expect(&map, (int32_t[]){3}, 1);
    for (int i = 0; i < 6; i++) sc.score[i] = i == 1 ? 1 : 0;
    choose(&sc, "cdpruner", "", 3, &map); /* no relevance left: by index */
    expect(&map, (int32_t[]){0, 1, 2}, 3);
    choose(&sc, "cdpruner", "theta=0.9", 1, &map);
    expect(&map, (int32_t[]){1}, 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(volume_starts_afresh_past_the_rank)
{
    const float axes[] = {1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1};
    scene sc;
    scene_view look;
    pare__similar s;
    int32_t order[6];
    double r[6] = {1, 1, 1, 1, 1, 1}, gain[6];
    scene_of(&sc, axes, 6, 2);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    ck_assert_int_eq(pare__similar_init(&s, &look.view, sc.token, 2), 0);
    ck_assert_int_eq(pare__greedy_volume(&s, r, 6, order, gain), 0);
    const int32_t want[] = {0, 2, 1, 3, 4, 5};
    for (int i = 0; i < 6; i++) ck_assert(order[i] == want[i] && gain[i] == 1);
    scene_free(&sc);
}
END_TEST

START_TEST(scope_covers_and_weighs)
{
    const float two[] = {1, 0, 1, 0, 1, 0, 0, 1, 0, 1, -1, 0};
    scene sc;
    pare__map map = {0};
    scene_of(&sc, two, 6, 2);
    choose(&sc, "scope", "", 2, &map); /* three like 0, two like 3; nobody like 5 */
    expect(&map, (int32_t[]){0, 3}, 2);
    sc.score[5] = 4;
    choose(&sc, "scope", "", 1, &map); /* 1 * 4 against 3 * 1 */
    expect(&map, (int32_t[]){5}, 1);
    choose(&sc, "scope", "alpha=0", 1, &map);
    expect(&map, (int32_t[]){0}, 1);
    choose(&sc, "scope", "combine=add:scale=0.5", 1, &map); /* 1 + 2 against 3 + .5 */
    expect(&map, (int32_t[]){0}, 1);
    choose(&sc, "scope", "combine=add", 1, &map); /* 1 + 4 against 3 + 1 */
    expect(&map, (int32_t[]){5}, 1);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* Pairs in planes of their own: either of a pair covers as much, on paper; the lower index it is. */
START_TEST(equal_gains_tie)
{
    enum { PAIRS = 9, D = 2 * PAIRS };
    scene sc;
    pare__map map = {0};
    int32_t want[PAIRS];
    scene_blank(&sc, 1, 1, 2 * PAIRS, D, 1, 1);
    for (int i = 0; i < PAIRS; i++) {
        float *a = sc.token + (2 * i) * D + 2 * i, *b = sc.token + (2 * i + 1) * D + 2 * i;
        a[0] = 0.1f + (float)i;
        a[1] = b[0] = 0.7f;
        b[1] = 3.3f / (float)(i + 1);
        want[i] = 2 * i;
    }
    for (int i = 0; i < 2 * PAIRS; i++) sc.score[i] = 1;
    choose(&sc, "scope", "", PAIRS, &map);
    expect(&map, want, PAIRS);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(dart_counts_and_takes_the_unlike)
{
    scene sc;
    pare__map map = {0};
    scene_of(&sc, fan, 6, 2);
    float *key = (float *)(uintptr_t)scene_add(&sc, PARE__ARRAY_K, 10, 2, 0)->data;
    for (int i = 0; i < 12; i++) key[i] = i == 0 ? -5 : i == 9 ? 4 : 1; /* |key| of rows 0 and 4 */
    choose(&sc, "dart", "pivots=2", 4, &map);                           /* 0: 180 degrees away; 4 then: 90, row 1 */
    expect(&map, (int32_t[]){0, 1, 4, 5}, 4);
    choose(&sc, "dart", "pivots=2", 3, &map); /* the odd one goes to the first pivot */
    expect(&map, (int32_t[]){0, 4, 5}, 3);
    step s;
    ck_assert_int_eq(step_open(&s, "dart", "pivots=4:ratio=0.75", NULL), 0);
    ck_assert_int_eq(s.sel->amount(s.priv, 256, 16, 16, 0, 1), 4 + 4 * 16);
    ck_assert_int_eq(s.sel->amount(s.priv, 3, 1, 3, 0, 1), 3);
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

START_TEST(vispruner_drops_duplicates_of_the_unimportant)
{
    /* list after the important one: 1 2 3 4 5; even 1 3 5, odd 2 4; 3 = 4 goes first, then 1 = 2 */
    const float x[] = {1, 1, 1, 0, 1, 0, 0, 1, 0, 1, -1, -1};
    scene sc;
    pare__map map = {0};
    scene_of(&sc, x, 6, 2);
    for (int i = 0; i < 6; i++) sc.score[i] = (float)(6 - i);
    choose(&sc, "vispruner", "important=0.25", 4, &map); /* one by score; drops two of the evens */
    expect(&map, (int32_t[]){0, 2, 4, 5}, 4);
    choose(&sc, "vispruner", "important=1", 2, &map);
    expect(&map, (int32_t[]){0, 1}, 2);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

/* ---- against versions that look at everything ---------------------------------------------------------------------- */

static double eager_gain(const pare__similar *s, const double *most, int64_t j, double w)
{
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) sum += fmax(0, (double)pare__similar_at(s, j, i) - most[i]);
    return sum * w;
}

/* Total gain of the best single rows taken one by one. */
static double eager_cover(const pare__similar *s, const double *w, int64_t k)
{
    double *most = PARE__NEW(double, s->n), total = 0;
    uint8_t *taken = PARE__NEW(uint8_t, s->n);
    for (int64_t m = 0; m < k; m++) {
        int64_t best = -1;
        double best_gain = -1;
        for (int64_t j = 0; j < s->n; j++) {
            const double gain = taken[j] ? -1 : eager_gain(s, most, j, w[j]);
            if (gain > best_gain) best_gain = gain, best = j;
        }
        total += best_gain;
        taken[best] = 1;
        for (int64_t i = 0; i < s->n; i++) most[i] = fmax(most[i], (double)pare__similar_at(s, best, i));
    }
    pare__free(most);
    pare__free(taken);
    return total;
}

/* log of the determinant of the kernel of the picked rows, by elimination. */
static double log_volume(const pare__similar *s, const double *r, const int32_t *pick, int64_t k)
{
    double *a = PARE__NEW(double, k *k), sum = 0;
    for (int64_t i = 0; i < k * k; i++) {
        const int64_t p = pick[i / k], q = pick[i % k];
        a[i] = r[p] * r[q] * (p == q ? 1 : (double)pare__similar_at(s, p, q));
    }
    for (int64_t c = 0; c < k; c++) {
        sum += log(a[c * k + c]);
        for (int64_t i = c + 1; i < k; i++) {
            const double f = a[i * k + c] / a[c * k + c];
            for (int64_t j = c; j < k; j++) a[i * k + j] -= f * a[c * k + j];
        }
    }
    pare__free(a);
    return sum;
}

START_TEST(lazy_is_eager)
{
    scene sc;
    scene_view look;
    pare__similar s;
    enum { K = 14 };
    int32_t order[K];
    double gain[K], w[60], total = 0, volume = 0;
    scene_make(&sc, 1, 6, 10, 3);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    for (int i = 0; i < 60; i++) w[i] = 0.5 + (i * 7 % 13) / 13.0;
    ck_assert_int_eq(pare__similar_init(&s, &look.view, sc.token, sc.d), 0);
    const pare__cover how = {.weight = w};
    ck_assert_int_eq(pare__greedy_cover(&s, &how, K, order, gain), 0);
    for (int m = 0; m < K; m++) total += gain[m];
    ck_assert_double_eq_tol(total, eager_cover(&s, w, K), 1e-6);
    ck_assert_int_eq(pare__greedy_volume(&s, w, K, order, gain), 0);
    for (int m = 0; m < K; m++) volume += log(gain[m]);
    ck_assert_double_eq_tol(volume, log_volume(&s, w, order, K), 1e-5);
    for (int m = 1; m < K; m++) ck_assert(gain[m] <= gain[m - 1]);
    scene_free(&sc);
}
END_TEST

START_TEST(rows_on_demand_choose_the_same)
{
    scene sc;
    scene_view look;
    pare__similar whole, rows;
    int32_t a[20], b[20];
    double w[77];
    scene_make(&sc, 1, 7, 11, 4);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    for (int i = 0; i < 77; i++) w[i] = 1;
    ck_assert_int_eq(pare__similar_init(&whole, &look.view, sc.token, sc.d), 0);
    rows = whole; /* as for views too large for a matrix */
    rows.whole = NULL;
    rows.row = PARE__ARENA(&sc.arena, float, 77);
    const pare__cover how = {.weight = w};
    ck_assert(!pare__greedy_maxmin(&whole, 20, a, NULL) && !pare__greedy_maxmin(&rows, 20, b, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert(!pare__greedy_cover(&whole, &how, 20, a, NULL) && !pare__greedy_cover(&rows, &how, 20, b, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert(!pare__greedy_volume(&whole, w, 12, a, NULL) && !pare__greedy_volume(&rows, w, 12, b, NULL));
    ck_assert_mem_eq(a, b, 12 * sizeof *a);
    scene_free(&sc);
}
END_TEST

/* ---- awkward tokens ------------------------------------------------------------------------------------------------ */

static const char *const greedy_names[] = {"divprune", "cdpruner", "scope", "dart", "vispruner"};

START_TEST(constant_and_zero_tokens_keep_the_count)
{
    for (int filled = 0; filled < 2; filled++) {
        scene sc;
        pare__map map = {0};
        scene_blank(&sc, 1, 5, 7, 8, 1, 1);
        scene_add(&sc, PARE__ARRAY_K, 10, 8, 0);
        for (int64_t i = 0; i < sc.n * sc.d; i++) sc.token[i] = filled ? 0.3f : 0;
        for (int64_t i = 0; i < sc.n; i++) sc.score[i] = i == 3 ? NAN : 1;
        for (int i = 0; i < 3; i++) sc.token[(5 + i) * sc.d + i] = i ? INFINITY : NAN;
        for (size_t i = 0; i < sizeof greedy_names / sizeof *greedy_names; i++)
            for (int64_t k = 1; k <= 35; k += 17) choose(&sc, greedy_names[i], "", k, &map);
        pare__map_fini(&map);
        scene_free(&sc);
    }
}
END_TEST

/* ---- scores -------------------------------------------------------------------------------------------------------- */

static int compute(const char *name, scene *sc, float *out, pare_error *err)
{
    scene_view look;
    scene_look(sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    return pare__score_find(name)->compute(NULL, &look.view, out, err);
}

START_TEST(text_relevance)
{
    const float text[] = {0, 2, 0, 4};
    float out[6];
    scene sc;
    pare_error err = {0};
    scene_of(&sc, fan, 6, 2);
    ck_assert_int_eq(compute("text", &sc, out, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "text_query"));
    sc.text = text;
    sc.n_text = 2;
    sc.d_text = 2;
    ck_assert_int_eq(compute("text", &sc, out, &err), 0);
    ck_assert_float_eq_tol(out[0], 1.000001f, 1e-6); /* a right angle: the least alike counts most, as coded */
    ck_assert_float_eq_tol(out[4], 1e-6f, 1e-9);
    sc.d_text = 3;
    ck_assert_int_eq(compute("text", &sc, out, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "score 'text': text_query is 3 wide, the tokens are 2");
    scene_free(&sc);
}
END_TEST

START_TEST(given_and_uniform)
{
    const float given[] = {3, 1, 2, 6, 5, 4};
    float out[6];
    scene sc;
    pare_error err = {0};
    scene_of(&sc, fan, 6, 2);
    ck_assert_int_eq(compute("given", &sc, out, &err), PARE_E_INVALID);
    sc.given = given;
    ck_assert_int_eq(compute("given", &sc, out, &err), 0);
    ck_assert_mem_eq(out, given, sizeof out);
    ck_assert_int_eq(compute("uniform", &sc, out, &err), 0);
    for (int i = 0; i < 6; i++) ck_assert(out[i] == 1);
    scene_free(&sc);
}
END_TEST

START_TEST(missing_arrays_are_named)
{
    scene sc;
    scene_view look;
    step s;
    pare__map map = {0};
    pare_error err = {0};
    scene_make(&sc, 1, 2, 2, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 0, &look);
    look.view.k = 2;
    ck_assert_int_eq(step_open(&s, "dart", "", NULL), 0);
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "'dart' needs the array 'k' of block -2");
    step_close(&s);
    ck_assert_int_eq(step_open(&s, "scope", "", NULL), 0);
    ck_assert_int_eq(step_run(&s, &sc, &look.view, &map, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "'scope' needs a score"));
    step_close(&s);
    pare__map_fini(&map);
    scene_free(&sc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("greedy");
    TCase *c = tcase_create("all");
    tcase_add_test(c, divprune_takes_the_farthest);
    tcase_add_test(c, cdpruner_follows_relevance_and_refuses_duplicates);
    tcase_add_test(c, volume_starts_afresh_past_the_rank);
    tcase_add_test(c, scope_covers_and_weighs);
    tcase_add_test(c, equal_gains_tie);
    tcase_add_test(c, dart_counts_and_takes_the_unlike);
    tcase_add_test(c, vispruner_drops_duplicates_of_the_unimportant);
    tcase_add_test(c, lazy_is_eager);
    tcase_add_test(c, rows_on_demand_choose_the_same);
    tcase_add_test(c, constant_and_zero_tokens_keep_the_count);
    tcase_add_test(c, text_relevance);
    tcase_add_test(c, given_and_uniform);
    tcase_add_test(c, missing_arrays_are_named);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
