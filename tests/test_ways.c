/* SPDX-License-Identifier: MIT */
/* Ways out of the encoder that only some families take, on small random models: norms of queries and keys, projectors of
 * every kind behind prefix rows, output of an earlier block, deepstack taps; against encoder_ref in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encoder_kit.h"

static void finish(ref_state *s, int from, int to)
{
    for (int b = from; b < to; b++) {
        ref_attend(s, b, NULL, NULL);
        ref_mlp(s, b);
    }
}

/* y of both segments against the reference. */
static void same_end(const pare__pack *p, const pare__segment *seg)
{
    static ref_state s;
    static double y[REF_UNITS * REF_DIM];
    for (int i = 0; i < 2; i++) {
        ref_open(&s, &kit_model, &seg[i]);
        finish(&s, 0, kit_model.hp.tap ? kit_model.hp.tap : kit_model.hp.n_layer);
        ref_close(&s, y);
        kit_same("y", p->y + (p->ucu[i] + p->n_prefix) * p->d_out, y, (int64_t)s.n_unit * p->d_out);
    }
}

/* ---- norms of queries and keys ------------------------------------------------------------------------------------- */

START_TEST(queries_and_keys_are_normed)
{
    pare__hparams hp = _i / 2 ? ref_bent : ref_plain;
    pare__encode_plan plan = {0};
    hp.qk_norm = _i % 2 ? PARE__QK_NORM_HEAD : PARE__QK_NORM_ROW;
    hp.eps = 1e-3f;
    kit_use(&hp, 21);
    pare__encoder *e = kit_create(&plan, 0);
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    same_end(kit_run(e, seg, 2), seg);
    pare__encoder_free(&e);
}
END_TEST

/* ---- gates --------------------------------------------------------------------------------------------------------- */

START_TEST(every_activation_is_a_gate)
{
    static const pare__act acts[] = {PARE__ACT_SILU, PARE__ACT_GELU, PARE__ACT_GELU_TANH, PARE__ACT_GELU_QUICK};
    pare__hparams hp = ref_bent;
    pare__encode_plan plan = {0};
    hp.act = acts[_i];
    kit_use(&hp, 23);
    pare__encoder *e = kit_create(&plan, 0);
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    same_end(kit_run(e, seg, 2), seg);
    pare__encoder_free(&e);
}
END_TEST

/* ---- projectors ---------------------------------------------------------------------------------------------------- */

/* What differs between families: {unit, join, joined norm, kind, norm, fc2, activation, prefix, final norm}. */
static const struct {
    int unit, join, joined_norm, kind, norm, fc2, act, prefix, last;
} kinds[] = {
    {1, PARE__JOIN_CONCAT, 0, PARE__NORM_LAYER, 0, 1, PARE__ACT_GELU, 1, 0},      /* LLaVA */
    {1, PARE__JOIN_CONCAT, 0, PARE__NORM_LAYER, 0, 1, PARE__ACT_GELU_TANH, 0, 0}, /* OneVision */
    {2, PARE__JOIN_CONCAT, 1, PARE__NORM_LAYER, 1, 1, PARE__ACT_GELU, 1, 0},      /* InternVL */
    {2, PARE__JOIN_CONCAT, 0, PARE__NORM_LAYER, 0, 0, PARE__ACT_GELU, 0, 1},      /* Idefics3 */
    {2, PARE__JOIN_MEAN, 1, PARE__NORM_RMS, 1, 0, PARE__ACT_GELU, 0, 1},          /* Gemma 3 */
    {2, PARE__JOIN_CONCAT, 0, PARE__NORM_LAYER, 1, 1, PARE__ACT_GELU, 0, 0},      /* Qwen2-VL */
    {2, PARE__JOIN_MEAN, 0, PARE__NORM_LAYER, 1, 1, PARE__ACT_GELU_QUICK, 1, 1},  /* nobody's */
    {1, PARE__JOIN_CONCAT, 1, PARE__NORM_RMS, 1, 1, PARE__ACT_GELU, 1, 1},        /* nobody's */
};

static pare__hparams projecting(int i)
{
    pare__hparams hp = ref_plain;
    hp.unit = kinds[i].unit;
    hp.has_norm = kinds[i].last;
    hp.has_cls = hp.n_prefix = kinds[i].prefix;
    if (!hp.has_cls) hp.pos_prefix = PARE__POS_NO_PREFIX;
    hp.has_projector = 1;
    hp.proj_dim = 40;
    hp.d_out = REF_D_OUT;
    hp.join = (pare__join)kinds[i].join;
    hp.proj_norm_joined = kinds[i].joined_norm;
    hp.proj_norm = (pare__norm_kind)kinds[i].kind;
    hp.has_proj_norm = kinds[i].norm;
    hp.has_fc2 = kinds[i].fc2;
    hp.proj_act = (pare__act)kinds[i].act;
    hp.proj_eps = 1e-4f;
    return hp;
}

/* Joined rows are those of x, unit by unit without prefix rows. */
static void check_joined(const pare__pack *p)
{
    const int is_mean = kit_model.hp.join == PARE__JOIN_MEAN;
    const kit_stage *s = kit_find_stage(p->patches == 1 ? "selected" : "shuffled", -1);
    const int is_patch_norm = kit_model.hp.has_proj_norm && !kit_model.hp.proj_norm_joined;
    ck_assert(is_patch_norm == (s == NULL));
    if (!s || is_mean) return;
    ck_assert_int_eq(s->width, p->patches * p->d);
    for (int i = 0; i < 2; i++) {
        const int64_t n = p->ucu[i + 1] - p->ucu[i] - p->n_prefix;
        ck_assert_mem_eq(s->data + i * n * s->width, p->x + (p->cu[i] + p->n_prefix) * p->d,
                         (size_t)(n * s->width) * sizeof(float));
    }
}

START_TEST(projectors_are_the_reference)
{
    const pare__hparams hp = projecting(_i);
    pare__encode_plan plan = {.stage = kit_keep_stage};
    kit_forget();
    kit_use(&hp, 31);
    pare__encoder *e = kit_create(&plan, 0);
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    const pare__pack *p = kit_run(e, seg, 2);
    ck_assert_int_eq(p->d_out, REF_D_OUT);
    same_end(p, seg);
    check_joined(p);
    const kit_stage *out = kit_find_stage("projector_out", -1), *projected = kit_find_stage("projected", -1);
    ck_assert_int_eq(out->rows, p->n_unit - 2 * p->n_prefix);
    ck_assert_mem_eq(out->data, projected->data, sizeof(float) * (size_t)(out->rows * out->width));
    for (int i = 0; i < 2; i++) {
        const int64_t n = p->ucu[i + 1] - p->ucu[i] - p->n_prefix, bytes = n * p->d_out * 4;
        ck_assert_mem_eq(out->data + i * n * p->d_out, p->y + (p->ucu[i] + p->n_prefix) * p->d_out, (size_t)bytes);
        for (int c = 0; c < p->n_prefix * p->d_out; c++) ck_assert(p->y[p->ucu[i] * p->d_out + c] == 0);
    }
    pare__encoder_free(&e);
}
END_TEST

/* More units than a chain of products takes at a time: no tile touches another, whoever computes it. */
START_TEST(many_units_at_once)
{
    static float tokens[24 * 24 * 4 * REF_DIM];
    pare__hparams hp = projecting(_i);
    hp.pos_rows = hp.pos_cols = 0;
    hp.n_layer = 1;
    kit_use(&hp, 33);
    pare__rng r = pare__rng_make(8, 0, 0);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) tokens[i] = (float)pare__rng_unit(&r) * 4 - 2;
    int32_t unit[24 * 24];
    for (int i = 0; i < 24 * 24; i++) unit[i] = i;
    pare__segment seg = {.grid_h = 24 * hp.unit, .grid_w = 24 * hp.unit, .unit = unit, .tokens = tokens};
    seg.n = 24 * 24 - hp.n_prefix;
    pare__encode_plan plan = {0};
    pare__encoder *one = kit_create(&plan, 24 * 24 * 4);
    ck_assert_int_eq(pare__pool_create(&kit_pool, 2, NULL), 0);
    pare__encoder *two = kit_create(&plan, 24 * 24 * 4);
    const pare__pack *a = kit_run(one, &seg, 1), *b = kit_run(two, &seg, 1);
    static ref_state s;
    static double y[REF_UNITS * REF_DIM];
    ck_assert_mem_eq(a->y, b->y, (size_t)(a->n_unit * a->d_out) * sizeof(float));
    s = (ref_state){.m = &kit_model, .patches = a->patches}; /* a few units from here and there, after the block */
    for (int64_t u = a->n_prefix; u < a->n_unit; u += 37) {
        const int64_t row = a->n_prefix + (u - a->n_prefix) * a->patches;
        s.n_unit = 1;
        for (int j = 0; j < a->patches; j++)
            for (int c = 0; c < a->d; c++) s.x[j][c] = (double)a->x[(row + j) * a->d + c];
        pare__norm_w last = kit_model.w.norm;
        kit_model.w.norm.w = NULL; /* x is behind it already */
        ref_close(&s, y);
        kit_model.w.norm = last;
        kit_same("y", b->y + u * a->d_out, y, a->d_out);
    }
    pare__encoder_free(&one);
    pare__encoder_free(&two);
}
END_TEST

/* ---- output of an earlier block ------------------------------------------------------------------------------------ */

START_TEST(blocks_behind_the_tap_are_not_run)
{
    pare__hparams hp = projecting(_i);
    hp.tap = 2;
    kit_use(&hp, 41);
    pare__encode_plan plan = {0}, traced = {.stage = kit_keep_stage};
    traced.want[2] = PARE__WANT_K_MEAN;
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    pare__encoder *e = kit_create(&plan, 0);
    const pare__pack *p = kit_run(e, seg, 2);
    same_end(p, seg);
    ck_assert_int_eq(e->weights->n_block, 2);
    const size_t bytes = (size_t)(p->n_unit * p->d_out) * sizeof(float);
    float *mine = malloc(bytes);
    memcpy(mine, p->y, bytes);
    pare__encoder_free(&e);
    kit_forget();
    e = kit_create(&traced, 0);
    p = kit_run(e, seg, 2);
    ck_assert_mem_eq(p->y, mine, bytes);
    free(mine);
    ck_assert_ptr_nonnull(kit_find_stage("keys", 2));
    static ref_state s;
    for (int b = 0; b < 3; b++) {
        ref_open(&s, &kit_model, &seg[0]);
        finish(&s, 0, b + 1);
        for (int r = 0; r < ref_rows(&s); r++)
            kit_same("hidden", kit_find_stage("hidden", b)->data + r * REF_DIM, s.x[r], REF_DIM);
    }
    pare__encoder_free(&e);
}
END_TEST

START_TEST(plans_behind_the_tap_are_refused)
{
    pare__hparams hp = projecting(0);
    pare__encode_plan plan = {.want = {0, 0, PARE__WANT_K}};
    pare__encoder *e;
    pare_error err;
    hp.tap = 2;
    kit_use(&hp, 43);
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, 0, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "block 2") != NULL && strstr(err.text, "block 1") != NULL, "%s", err.text);
    plan = (pare__encode_plan){.site = {0, 0, 1}, .stage = kit_keep_stage};
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, 0, &err), PARE_E_INVALID);
    ck_assert_ptr_null(e);
}
END_TEST

/* ---- deepstack ----------------------------------------------------------------------------------------------------- */

static pare__hparams stacked(void)
{
    pare__hparams hp = projecting(5);
    hp.n_deepstack = 2;
    hp.deepstack[0] = 1;
    hp.deepstack[1] = 0;
    return hp;
}

/* y [n_unit, d_out] as the map says, gain included. */
static void reduce_tap(const pare_map *m, double *y, int64_t width)
{
    static double old[REF_UNITS * REF_DIM];
    memcpy(old, y, sizeof old);
    for (int64_t r = 0; r < m->n_out; r++)
        for (int64_t c = 0; c < width; c++) {
            double sum = 0;
            for (int64_t i = m->row_start[r]; i < m->row_start[r + 1]; i++)
                sum += (double)m->weight[i] * old[m->index[i] * width + c];
            y[r * width + c] = sum * (double)m->gain[r];
        }
}

/* Taps behind blocks 1 and 0; a step in `phase` of block 1, if any: tap 0 comes after it, tap 1 is reduced by it. */
static void check_taps(const pare__pack *p, const pare__segment *seg, int phase)
{
    static ref_state s;
    static double tap[2][REF_UNITS * REF_DIM];
    for (int i = 0; i < 2; i++) {
        pare__map map = {0};
        ref_open(&s, &kit_model, &seg[i]);
        finish(&s, 0, 1);
        ref_tap(&s, 1, tap[1]);
        pare__map_begin(&map, s.n_unit);
        kit_thin(&map, 0, s.n_unit);
        ck_assert_int_eq(pare__map_finish(&map, NULL, 0, NULL), 0);
        if (phase == PARE__PHASE_PRE) ref_reduce(&s, &map.m);
        ref_attend(&s, 1, NULL, NULL);
        if (phase == PARE__PHASE_MID) ref_reduce(&s, &map.m);
        ref_mlp(&s, 1);
        if (phase == PARE__PHASE_POST) ref_reduce(&s, &map.m);
        if (phase >= 0) reduce_tap(&map.m, tap[1], p->d_out);
        ref_tap(&s, 0, tap[0]);
        for (int t = 0; t < 2; t++)
            kit_same("deepstack", p->deepstack + (t * p->n_unit + p->ucu[i]) * p->d_out, tap[t], s.n_unit * p->d_out);
        ck_assert_int_eq(p->ucu[i + 1] - p->ucu[i], s.n_unit);
        pare__map_fini(&map);
    }
}

START_TEST(taps_are_reduced_like_the_rows)
{
    const pare__hparams hp = stacked();
    const int phase = _i - 1;
    pare__encode_plan plan = {.on_site = kit_on_site, .stage = phase < 0 ? kit_keep_stage : NULL};
    kit_forget();
    if (phase >= 0) plan.site[1] = (uint8_t)(1 << phase);
    kit_use(&hp, 51);
    pare__encoder *e = kit_create(&plan, 0);
    pare__segment seg[] = {kit_segment(0), kit_segment(1)};
    for (int round = 0; round < 2; round++) check_taps(kit_run(e, seg, 2), seg, phase);
    if (phase < 0) {
        const pare__pack *p = &e->pack;
        for (int t = 0; t < 2; t++)
            ck_assert_mem_eq(kit_find_stage("deepstack", t)->data, p->deepstack + t * p->n_unit * p->d_out,
                             (size_t)(p->n_unit * p->d_out) * sizeof(float));
    }
    pare__encoder_free(&e);
}
END_TEST

START_TEST(taps_must_exist)
{
    pare__hparams hp = stacked();
    pare__encode_plan plan = {0};
    pare__encoder *e;
    pare_error err;
    kit_use(&hp, 53);
    kit_model.hp.deepstack[0] = 3;
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    kit_model.hp.deepstack[0] = 1;
    kit_model.hp.n_deepstack = PARE__MAX_DEEPSTACK + 1;
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    kit_model.hp.n_deepstack = 2;
    kit_model.hp.proj_act = PARE__ACT_SILU;
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
}
END_TEST

int main(void)
{
    const int n_kind = (int)(sizeof kinds / sizeof *kinds);
    Suite *s = suite_create("ways");
    TCase *t = tcase_create("ways");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_loop_test(t, queries_and_keys_are_normed, 0, 4);
    tcase_add_loop_test(t, every_activation_is_a_gate, 0, 4);
    tcase_add_loop_test(t, projectors_are_the_reference, 0, n_kind);
    tcase_add_loop_test(t, many_units_at_once, 0, n_kind);
    tcase_add_loop_test(t, blocks_behind_the_tap_are_not_run, 0, n_kind);
    tcase_add_test(t, plans_behind_the_tap_are_refused);
    tcase_add_loop_test(t, taps_are_reduced_like_the_rows, 0, 4);
    tcase_add_test(t, taps_must_exist);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
