/* SPDX-License-Identifier: MIT */
/* Segments that attend to the remembered keys and values of a reference: against encoder_ref in double, whose rows of past
 * units are put back to the reference's before every block; all units fresh = a run without memory; threads, packing and
 * engines in fewer bits; what is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encoder_kit.h"

enum { UNITS = REF_GRID_H * REF_GRID_W / 4, MAX_UNITS = REF_GRID_H * REF_GRID_W, N_DRAW = 6 };

/* A subset of the units of a grid, and the others. */
typedef struct draw {
    int32_t fresh[MAX_UNITS], past[MAX_UNITS];
    int64_t n, n_past;
} draw;

static pare__rng rng;

static void setup(void)
{
    kit_setup();
    rng = pare__rng_make(17, 0, 0);
}

static int64_t n_units(void) { return MAX_UNITS / (kit_model.hp.unit * kit_model.hp.unit); }

static draw draw_units(int64_t chance)
{
    draw d = {.n = 0};
    for (int32_t c = 0; c < n_units(); c++) {
        if ((int64_t)pare__rng_below(&rng, 100) < chance)
            d.fresh[d.n++] = c;
        else
            d.past[d.n_past++] = c;
    }
    return d;
}

/* Picture i, of which `d` is fresh. */
static pare__segment segment_of(int i, const draw *d)
{
    pare__segment s = kit_segment(i);
    s.rgb[1] = kit_picture[(i + 1) % KIT_PICTURES];
    s.unit = d->fresh;
    s.n = d->n;
    s.past = d->past;
    s.n_past = d->n_past;
    return s;
}

static pare__segment whole_of(int i, int is_reference)
{
    pare__segment s = kit_segment(i);
    s.rgb[1] = kit_picture[(i + 1) % KIT_PICTURES];
    s.is_reference = is_reference;
    return s;
}

static int64_t max_rows(void) { return kit_model.hp.n_prefix + MAX_UNITS; }

static pare__encoder *create(const pare__engine *engine)
{
    const pare__encode_plan plan = {.remembers = 1, .engine = engine};
    return kit_create(&plan, max_rows());
}

/* ---- against the oracle ----------------------------------------------------------------------------------------- */

/* Rows of past units as the reference has them now. */
static void recall(ref_state *s, const ref_state *reference, const draw *d)
{
    for (int64_t u = 0; u < d->n_past; u++) {
        const int row = s->n_prefix + d->past[u] * s->patches;
        memcpy(s->x[row], reference->x[row], (size_t)s->patches * sizeof s->x[0]);
    }
}

/* Fresh rows of segment `seg` as the oracle has them after all blocks, all units in order. */
static void same_fresh(const pare__pack *p, int seg, const ref_state *s, const draw *d)
{
    static double y[REF_UNITS * REF_DIM];
    const int64_t first = p->ucu[seg] + p->n_prefix;
    ck_assert_int_eq(p->ucu[seg + 1] - first, d->n);
    ref_close(s, y);
    for (int64_t u = 0; u < d->n; u++)
        kit_same("y", p->y + (first + u) * p->d_out, y + d->fresh[u] * p->d_out, p->d_out);
}

static void check_draws(int64_t chance)
{
    static ref_state reference, other[2];
    const draw d[2] = {draw_units(chance), draw_units(chance)};
    const pare__segment pack0[] = {whole_of(0, 1), segment_of(1, &d[0])}, pack1[] = {segment_of(2, &d[1])};
    const pare__segment plain[] = {whole_of(0, 0), whole_of(1, 0), whole_of(2, 0)};
    ref_open(&reference, &kit_model, &plain[0]);
    for (int i = 0; i < 2; i++) ref_open(&other[i], &kit_model, &plain[i + 1]);
    for (int b = 0; b < REF_LAYERS; b++) {
        for (int i = 0; i < 2; i++) recall(&other[i], &reference, &d[i]);
        for (int i = 0; i < 2; i++) ref_attend(&other[i], b, NULL, NULL);
        for (int i = 0; i < 2; i++) ref_mlp(&other[i], b);
        ref_attend(&reference, b, NULL, NULL);
        ref_mlp(&reference, b);
    }
    pare__encoder *e = create(NULL);
    const pare__pack *p = kit_run(e, pack0, 2);
    same_fresh(p, 1, &other[0], &d[0]);
    same_fresh(kit_run(e, pack1, 1), 0, &other[1], &d[1]);
    pare__encoder_free(&e);
}

/* Rotary positions, pairs of frames, a projector, no prefix: without windows. */
static pare__hparams turned(void)
{
    pare__hparams hp = ref_bent;
    hp.window = 0;
    return hp;
}

static pare__hparams flat(void)
{
    pare__hparams hp = ref_plain;
    hp.unit = 1;
    return hp;
}

START_TEST(test_oracle)
{
    const pare__hparams shape[] = {ref_plain, flat(), turned()};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        for (uint64_t k = 0; k < N_DRAW; k++) {
            kit_use(&shape[i], k);
            check_draws((int64_t)k * 100 / (N_DRAW - 1));
        }
    }
}
END_TEST

/* ---- edges ------------------------------------------------------------------------------------------------------- */

static float *copy_of(const pare__pack *p, int seg)
{
    const int64_t n = (p->ucu[seg + 1] - p->ucu[seg]) * p->d_out;
    float *y = pare__malloc(n, sizeof *y);
    memcpy(y, p->y + p->ucu[seg] * p->d_out, (size_t)n * sizeof *y);
    return y;
}

static void same_copy(const float *want, const pare__pack *p, int seg, float bound)
{
    kit_close("y", p->y + p->ucu[seg] * p->d_out, want, (p->ucu[seg + 1] - p->ucu[seg]) * p->d_out, bound);
}

START_TEST(test_all_fresh)
{
    const draw all = draw_units(100);
    const pare__segment whole = whole_of(1, 0), with[] = {whole_of(0, 1), segment_of(1, &all)};
    pare__encode_plan plain = {0};
    pare__encoder *e = create(NULL), *one = kit_create(&plain, max_rows());
    float *want = copy_of(kit_run(one, &whole, 1), 0);
    same_copy(want, kit_run(e, with, 2), 1, 1e-5f);
    kit_run(e, &with[0], 1);
    same_copy(want, kit_run(e, &with[1], 1), 0, 0);
    pare__free(want);
    pare__encoder_free(&e);
    pare__encoder_free(&one);
}
END_TEST

/* The prefix row of a picture that is all past, and equals the reference, is the reference's. */
START_TEST(test_none_fresh)
{
    const draw none = draw_units(0);
    const pare__segment first = whole_of(0, 1), again = segment_of(0, &none);
    pare__encoder *e = create(NULL);
    float *want = copy_of(kit_run(e, &first, 1), 0);
    const pare__pack *p = kit_run(e, &again, 1);
    ck_assert_int_eq(p->n, kit_model.hp.n_prefix);
    kit_close("prefix", p->x, want, p->n * p->d, 1e-5f);
    pare__free(want);
    pare__encoder_free(&e);
}
END_TEST

/* A reference starts a pack; a window of many small segments ends where too many past rows would be listed. */
START_TEST(test_fit)
{
    enum { N = 6000 };
    static pare__segment seg[N];
    const draw none = draw_units(0);
    pare__encoder *e = create(NULL);
    for (int i = 0; i < N; i++) seg[i] = i == 0 || i == 700 ? whole_of(0, 1) : segment_of(1, &none);
    ck_assert_int_eq(pare__encoder_fit(e, seg, 700), 700);
    ck_assert_int_eq(pare__encoder_fit(e, seg, N), 700);
    ck_assert_int_eq(pare__encoder_fit(e, seg + 701, N - 701), PARE__PAST_ROWS / MAX_UNITS);
    kit_run(e, seg, 700);
    kit_run(e, seg + 701, PARE__PAST_ROWS / MAX_UNITS);
    pare__encoder_free(&e);
}
END_TEST

static void same_at_any_count(const pare__engine *engine)
{
    const draw d[] = {draw_units(30), draw_units(60)};
    const pare__segment seg[] = {whole_of(0, 1), segment_of(1, &d[0]), segment_of(2, &d[1])};
    float *want[3];
    for (int32_t threads = 1; threads <= 3; threads++) {
        pare__pool_free(&kit_pool);
        if (threads > 1) ck_assert_int_eq(pare__pool_create(&kit_pool, threads, NULL), 0);
        pare__encoder *e = create(engine);
        const pare__pack *p = kit_run(e, seg, 3);
        for (int i = 0; i < 3; i++) {
            if (threads == 1) want[i] = copy_of(p, i);
            same_copy(want[i], p, i, 0);
        }
        pare__encoder_free(&e);
    }
    for (int i = 0; i < 3; i++) pare__free(want[i]);
}

/* Fewer bits stay near the floats, past rows included. */
static void near_floats(const pare__engine *engine, float bound)
{
    const draw d = draw_units(40);
    const pare__segment seg[] = {whole_of(0, 1), segment_of(1, &d)};
    pare__encoder *exact = create(NULL), *e = create(engine);
    float *want = copy_of(kit_run(exact, seg, 2), 1);
    same_copy(want, kit_run(e, seg, 2), 1, bound);
    pare__free(want);
    pare__encoder_free(&exact);
    pare__encoder_free(&e);
}

START_TEST(test_precisions)
{
    static const struct {
        const char *name;
        float bound;
    } precision[] = {{"f32", 1e-5f}, {"bf16", 0.15f}, {"int8", 0.15f}};
    const pare__hparams shape = flat();
    kit_use(&shape, 8);
    for (size_t i = 0; i < sizeof precision / sizeof *precision; i++) {
        pare__engine_choice choice;
        pare_error err;
        if (pare__engine_choose(NULL, precision[i].name, &choice, &err)) continue; /* this CPU has no such engine */
        same_at_any_count(choice.engine);
        near_floats(choice.engine, precision[i].bound);
    }
}
END_TEST

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void refused(pare__encoder *e, const pare__segment *seg, int32_t n, const char *why)
{
    const pare__pack *pack;
    pare_error err = {0};
    ck_assert_int_eq(pare__encoder_run(e, seg, n, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, why) != NULL, "'%s' does not say '%s'", err.text, why);
}

START_TEST(test_errors)
{
    const float size[MAX_UNITS] = {2};
    draw half = draw_units(50), none = draw_units(0);
    pare__segment seg[] = {whole_of(0, 1), segment_of(1, &half), whole_of(2, 1)};
    pare__encode_plan plain = {0};
    pare__encoder *e = create(NULL), *forgetful = kit_create(&plain, max_rows());
    refused(e, &seg[1], 1, "a reference has 0");
    refused(forgetful, seg, 1, "the encoder remembers 0");
    refused(e, seg, 3, "segment 2 is a reference");
    seg[0].unit = half.fresh;
    seg[0].n = half.n;
    kit_run(e, seg, 1);
    refused(e,
            &(pare__segment){.rgb = {kit_picture[0]},
                             .grid_h = REF_GRID_H,
                             .grid_w = REF_GRID_W,
                             .past = none.past,
                             .unit = none.fresh,
                             .n_past = none.n_past},
            1, "the reference has no unit");
    seg[0].size = size;
    refused(e, seg, 1, "sizes and padding");
    pare__encoder_free(&e);
    pare__encoder_free(&forgetful);
}
END_TEST

START_TEST(test_unsupported)
{
    const pare__encode_plan plan = {.remembers = 1};
    pare_error err = {0};
    pare__encoder *e;
    kit_use(&ref_bent, 3);
    ck_assert_int_eq(pare__encoder_create(&e, &kit_model, NULL, &plan, max_rows(), &err), PARE_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "stays in windows") != NULL, "%s", err.text);
    ck_assert_ptr_null(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("past");
    TCase *t = tcase_create("past");
    tcase_add_checked_fixture(t, setup, kit_teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, test_oracle);
    tcase_add_test(t, test_all_fresh);
    tcase_add_test(t, test_none_fresh);
    tcase_add_test(t, test_fit);
    tcase_add_test(t, test_precisions);
    tcase_add_test(t, test_errors);
    tcase_add_test(t, test_unsupported);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
