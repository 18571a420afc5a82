/* SPDX-License-Identifier: MIT */
/* Packs cut into stretches: every row once, by shape; and what any number of threads makes of many segments of mixed
 * sizes is the same to the byte: sites, captures, windows, groups, memory of a reference, engines that round by tile. */
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encode/backend.h"
#include "encoder_kit.h"

enum { SEGMENTS = 40, UNITS = REF_GRID_H * REF_GRID_W, THREADS = 4, ALL = (1 << PARE__WANT_COUNT) - 1 };

/* Segments of random units, and what is left of each. */
typedef struct scene {
    pare__segment seg[SEGMENTS];
    int32_t fresh[SEGMENTS][UNITS], past[SEGMENTS][UNITS];
    int32_t n;
} scene;

static pare__rng rng;
static scene scenes;

static void setup(void)
{
    kit_setup();
    rng = pare__rng_make(23, 0, 0);
}

static int64_t n_units(void) { return UNITS / (kit_model.hp.unit * kit_model.hp.unit); }

/* Keeps of segment i each unit with a chance of its own; the first is whole. */
static void draw(scene *s, int i, int remembers)
{
    pare__segment *seg = &s->seg[i];
    const int64_t chance = i == 0 ? 100 : (int64_t)pare__rng_below(&rng, 101);
    *seg = kit_segment(i % KIT_PICTURES);
    seg->unit = s->fresh[i];
    seg->past = s->past[i];
    seg->n = 0;
    for (int32_t u = 0; u < n_units(); u++) {
        if ((int64_t)pare__rng_below(&rng, 100) < chance)
            s->fresh[i][seg->n++] = u;
        else if (remembers)
            s->past[i][seg->n_past++] = u;
    }
    seg->is_reference = remembers && i == 0;
    seg->step = kit_model.hp.steps > 1 ? i % kit_model.hp.steps : 0;
}

static scene *make_scene(int32_t n, int remembers)
{
    scenes.n = n;
    for (int i = 0; i < n; i++) draw(&scenes, i, remembers);
    return &scenes;
}

/* ---- the cut ----------------------------------------------------------------------------------------------------- */

static void check_cut(const pare__encoder *e, int64_t longest)
{
    const pare__stretches *s = &e->stretches;
    int64_t row = 0;
    int32_t seg = 0;
    for (int32_t i = 0; i < s->n; i++) {
        const pare__stretch *at = &s->at[i];
        ck_assert(at->row == row && at->seg == seg && at->n_seg > 0);
        ck_assert_int_eq(at->cu[0], 0);
        ck_assert_int_eq(at->cu[at->n_extent], at->n);
        ck_assert_int_eq(at->row, e->pack.cu[at->seg]);
        ck_assert_int_lt(at->n, 2 * 192 + longest);
        if (i > 0) ck_assert_int_ge(at->n + s->at[i - 1].n, 192);
        row += at->n;
        seg += at->n_seg;
    }
    ck_assert_int_eq(row, e->pack.n);
    ck_assert_int_eq(seg, e->pack.n_seg);
}

START_TEST(every_row_is_in_one_stretch)
{
    const pare__encode_plan plan = {0};
    pare__encoder *e = kit_create(&plan, 0);
    for (int32_t n = 1; n <= SEGMENTS; n++) {
        const scene *s = make_scene(n, 0);
        kit_run(e, s->seg, s->n);
        check_cut(e, 1 + UNITS);
    }
    pare__encoder_free(&e);
}
END_TEST

/* Leaves nothing of segments [range[0], range[1]), all of the others. */
static int leave_none(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                      pare_error *err)
{
    const int *range = user;
    (void)block, (void)phase;
    pare__map_begin(map, pare__candidates(p));
    for (int64_t s = 0; s < p->n_seg; s++) {
        n_out[s] = s >= range[0] && s < range[1] ? 0 : p->ucu[s + 1] - p->ucu[s];
        for (int64_t i = 0; i < n_out[s]; i++) {
            pare__map_row(map, p->ucu[s] + i);
            pare__map_add(map, p->ucu[s] + i, 1);
        }
    }
    return pare__map_finish(map, NULL, 0, err) < 0 ? -1 : 1;
}

START_TEST(empty_segments)
{
    static const int ranges[][2] = {{0, 3}, {4, 20}, {30, SEGMENTS}, {2, SEGMENTS}, {0, SEGMENTS}};
    pare__hparams hp = ref_plain;
    hp.has_cls = hp.n_prefix = 0;
    hp.pos_prefix = PARE__POS_NO_PREFIX;
    kit_use(&hp, 5);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const pare__encode_plan plan = {
            .on_site = leave_none, .user = (void *)(uintptr_t)ranges[i], .site = {1 << PARE__PHASE_POST}};
        pare__encoder *e = kit_create(&plan, 0);
        const scene *s = make_scene(SEGMENTS, 0);
        kit_run(e, s->seg, s->n);
        check_cut(e, UNITS);
        pare__encoder_free(&e);
    }
}
END_TEST

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void same_pack(const pare__pack *a, const pare__pack *b)
{
    const size_t row = sizeof(float);
    ck_assert(a->n == b->n && a->n_unit == b->n_unit && a->n_capture == b->n_capture);
    ck_assert_mem_eq(a->y, b->y, (size_t)(a->n_unit * a->d_out) * row);
    ck_assert(a->flops == b->flops);
    for (int i = 0; i < a->n_capture; i++)
        ck_assert_mem_eq(a->capture[i].data, b->capture[i].data, (size_t)(a->n_unit * a->capture[i].width) * row);
}

/* One thread, then more. */
static void check_threads(const pare__encode_plan *plan, int32_t n)
{
    const scene *s = make_scene(n, plan->remembers);
    const int64_t rows = UNITS + kit_model.hp.n_prefix;
    pare__encoder *one = kit_create(plan, rows);
    const pare__pack *want = kit_run(one, s->seg, s->n);
    for (int32_t threads = 2; threads <= THREADS; threads++) {
        ck_assert_int_eq(pare__pool_create(&kit_pool, threads, NULL), 0);
        pare__encoder *e = kit_create(plan, rows);
        for (int again = 0; again < 3; again++) same_pack(want, kit_run(e, s->seg, s->n));
        pare__encoder_free(&e);
        pare__pool_free(&kit_pool);
    }
    pare__encoder_free(&one);
}

static const int32_t counts[] = {30, 11, 5};

START_TEST(threads_do_not_matter)
{
    pare__encode_plan plan = {.on_site = kit_on_site};
    check_threads(&plan, counts[_i]);
    plan.site[1] = 1 << PARE__PHASE_MID;
    check_threads(&plan, counts[_i]);
    plan.site[1] = 1 << PARE__PHASE_PRE | 1 << PARE__PHASE_POST;
    for (int b = 0; b < REF_LAYERS; b++) plan.want[b] = plan.hold[b] = ALL;
    check_threads(&plan, counts[_i]);
    plan.ahead[1] = 1;
    check_threads(&plan, counts[_i]);
    plan.want[0] = plan.want[1] = plan.hold[0] = plan.hold[1] = PARE__WANT_CLS_ROW | PARE__WANT_COL_MEAN;
    check_threads(&plan, counts[_i]);
}
END_TEST

/* Rotary positions, with windows and without. */
START_TEST(threads_do_not_matter_to_windows)
{
    const pare__encode_plan plan = {.on_site = kit_on_site, .site = {0, 1 << PARE__PHASE_MID}};
    pare__hparams hp = ref_bent;
    kit_use(&hp, 7);
    check_threads(&plan, counts[_i]);
    hp.window = 0;
    kit_use(&hp, 7);
    check_threads(&plan, counts[_i]);
}
END_TEST

START_TEST(threads_do_not_matter_to_groups)
{
    const pare__encode_plan plan = {.on_site = kit_on_site, .site = {0, 1 << PARE__PHASE_PRE}};
    pare__hparams hp = ref_plain;
    hp.has_cls = hp.n_prefix = 0;
    hp.pos_prefix = PARE__POS_NO_PREFIX;
    hp.steps = 4;
    kit_use(&hp, 9);
    check_threads(&plan, counts[_i]);
}
END_TEST

START_TEST(threads_do_not_matter_to_memory)
{
    const pare__encode_plan plan = {.remembers = 1};
    check_threads(&plan, counts[_i]);
}
END_TEST

START_TEST(threads_do_not_matter_to_engines)
{
    pare__engine_choice c;
    for (int32_t i = 0; pare__engine_at(i, &c); i++) {
        if (c.backend->init) ck_assert_int_eq(c.backend->init(NULL, NULL), 0);
        const pare__encode_plan plan = {.engine = c.engine};
        if (c.engine->runs()) check_threads(&plan, counts[_i]);
    }
}
END_TEST

int main(void)
{
    const int n = sizeof counts / sizeof counts[0];
    Suite *s = suite_create("stretches");
    TCase *t = tcase_create("stretches");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, kit_teardown);
    tcase_add_test(t, every_row_is_in_one_stretch);
    tcase_add_test(t, empty_segments);
    tcase_add_loop_test(t, threads_do_not_matter, 0, n);
    tcase_add_loop_test(t, threads_do_not_matter_to_windows, 0, n);
    tcase_add_loop_test(t, threads_do_not_matter_to_groups, 0, n);
    tcase_add_loop_test(t, threads_do_not_matter_to_memory, 0, n);
    tcase_add_loop_test(t, threads_do_not_matter_to_engines, 0, n);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
