/* SPDX-License-Identifier: MIT */
/* Scores, allocators, array lookup and the tiered pick. Part of test_selectors. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "select/allocator.h"
#include "select/pick.h"
#include "select_scene.h"

Suite *score_suite(void);

static int compute(const char *name, const char *layer, const pare__view *v, float *out, pare_error *err)
{
    const pare__score *s = pare__score_find(name);
    void *priv = pare__calloc(1, (int64_t)(s->priv_size ? s->priv_size : 1));
    int rc = 0;
    if (s->options) pare__option_defaults(s->options, priv);
    if (layer) rc = pare__option_set(pare__option_find(s->options, "layer"), priv, name, layer, err);
    if (!rc) rc = s->compute(priv, v, out, err);
    pare__free(priv);
    return rc;
}

START_TEST(attention_layer_follows_the_site)
{
    const pare__score *s = pare__score_find("cls-attn");
    char priv[64] = {0};
    pare__need need[PARE__MAX_NEEDS];
    pare__option_defaults(s->options, priv);
    ck_assert_int_eq(s->needs(priv, PARE__SITE_OUTPUT, need), 1);
    ck_assert(need[0].array == PARE__ARRAY_CLS_ROW && need[0].layer == -2);
    s->needs(priv, PARE__SITE_BLOCK, need);
    ck_assert_int_eq(need[0].layer, PARE__LAYER_HERE);
    ck_assert_int_eq(pare__option_set(s->options, priv, "cls-attn", "-2", NULL), 0);
    s->needs(priv, PARE__SITE_BLOCK, need);
    ck_assert_int_eq(need[0].layer, -2);
}
END_TEST

START_TEST(attention_scores_read_their_layer)
{
    scene sc;
    scene_view look;
    pare_error err = {0};
    scene_make(&sc, 1, 4, 4, 1);
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 1, &look);
    ck_assert_int_eq(compute("cls-attn", NULL, &look.view, sc.score, &err), 0); /* -2 of 12 layers: array of layer 10 */
    ck_assert(!memcmp(sc.score, sc.attention, 16 * sizeof(float)));
    ck_assert_int_eq(compute("mean-attn", "10", &look.view, sc.score, &err), 0);
    ck_assert_int_eq(compute("mean-attn", "3", &look.view, sc.score, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "'mean-attn' needs the array 'col_mean' of block 3");
    look.view.n_layer = 0; /* features without layers: the only array of its kind */
    ck_assert_int_eq(compute("cls-attn", NULL, &look.view, sc.score, &err), 0);
    scene_free(&sc);
}
END_TEST

START_TEST(norm_is_the_length)
{
    scene sc;
    scene_view look;
    scene_make(&sc, 1, 2, 2, 1);
    memset(sc.token, 0, (size_t)(4 * sc.d) * sizeof(float));
    sc.token[0] = 3;
    sc.token[1] = -4;
    scene_look(&sc, PARE__SITE_OUTPUT, 0, 1, 1, &look);
    ck_assert_int_eq(compute("norm", NULL, &look.view, sc.score, NULL), 0);
    ck_assert_float_eq_tol(sc.score[0], 5, 1e-6f);
    ck_assert_float_eq(sc.score[3], 0);
    scene_free(&sc);
}
END_TEST

START_TEST(motion_looks_one_frame_back)
{
    scene sc;
    scene_view look;
    double weight[3];
    scene_blank(&sc, 3, 1, 2, 4, 4, 1);
    for (int32_t y = 0; y < 4; y++) memset(sc.frame[1] + 24 * y + 12, 10, 12); /* right unit */
    scene_look(&sc, PARE__SITE_PATCHES, 0, 3, 0, &look);
    ck_assert_int_eq(compute("motion", NULL, &look.view, sc.score, NULL), 0);
    static const float want[6] = {255, 255, 0, 10, 0, 10};
    for (int i = 0; i < 6; i++) ck_assert_float_eq(sc.score[i], want[i]);
    const pare__allocator *motion = pare__allocator_find("motion");
    ck_assert_int_eq(motion->weigh(NULL, &look.view, weight, NULL), 0);
    ck_assert(weight[0] == 5 && weight[1] == 5 && weight[2] == 5);
    scene_look(&sc, PARE__SITE_PATCHES, 1, 2, 0, &look); /* a later window goes on where the last one ended */
    ck_assert_int_eq(compute("motion", NULL, &look.view, sc.score, NULL), 0);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(sc.score[i], want[2 + i]);
    look.view.pixels = NULL;
    ck_assert_int_eq(compute("motion", NULL, &look.view, sc.score, NULL), PARE_E_INVALID);
    ck_assert_int_eq(motion->weigh(NULL, &look.view, weight, NULL), PARE_E_INVALID);
    scene_free(&sc);
}
END_TEST

/* A place draws the same number whatever else is there and whichever window it is seen in. */
START_TEST(noise_belongs_to_the_place)
{
    scene sc;
    scene_view look;
    float whole[60], part[30];
    scene_make(&sc, 4, 3, 5, 1);
    scene_look(&sc, PARE__SITE_PATCHES, 0, 4, 0, &look);
    pare__noise(&look.view, whole);
    scene_look(&sc, PARE__SITE_PATCHES, 2, 2, 0, &look);
    pare__noise(&look.view, part);
    ck_assert(!memcmp(whole + 30, part, sizeof part));
    ck_assert(memcmp(whole, part, sizeof part));
    scene_free(&sc);
}
END_TEST

START_TEST(picks_by_tier_then_score_then_index)
{
    static const float score[8] = {1, 5, 5, 2, 9, 5, 0, NAN};
    static const uint8_t tier[8] = {0, 0, 0, 3, 0, 1, 0, 2};
    static const int32_t want[9][8] = {{0},
                                       {3},
                                       {3, 7},
                                       {3, 5, 7},
                                       {3, 4, 5, 7},
                                       {1, 3, 4, 5, 7},
                                       {1, 2, 3, 4, 5, 7},
                                       {0, 1, 2, 3, 4, 5, 7},
                                       {0, 1, 2, 3, 4, 5, 6, 7}};
    pare__arena arena = {0};
    for (int64_t k = 0; k <= 8; k++) {
        int32_t out[8];
        ck_assert_int_eq(pare__pick(tier, score, 8, k, out, &arena), 0);
        ck_assert(!memcmp(out, want[k], (size_t)k * sizeof *out));
    }
    pare__arena_fini(&arena);
}
END_TEST

Suite *score_suite(void)
{
    Suite *s = suite_create("scores");
    TCase *c = tcase_create("scores");
    tcase_add_test(c, attention_layer_follows_the_site);
    tcase_add_test(c, attention_scores_read_their_layer);
    tcase_add_test(c, norm_is_the_length);
    tcase_add_test(c, motion_looks_one_frame_back);
    tcase_add_test(c, noise_belongs_to_the_place);
    tcase_add_test(c, picks_by_tier_then_score_then_index);
    suite_add_tcase(s, c);
    return s;
}
