/* SPDX-License-Identifier: MIT */
/* Photos by the checkpoint's own tiles: slots in the order of the language model, budgets of whole pictures, windows that
 * end where tiles change, and what switches the rule off. Models are the cases of families that have such a rule. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "family_cases.h"
#include "model/model.h"

enum { N_PHOTO = 4, SIDE = 230 };

static const int32_t sizes[N_PHOTO][2] = {{230, 80}, {75, 200}, {75, 200}, {120, 110}};
static uint8_t picture[SIDE * SIDE * 3];
static pare_error err;

static pare_frame photo(int i)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = picture + 300 * i,
                        .stride = 3 * (int64_t)sizes[i][0],
                        .width = sizes[i][0],
                        .height = sizes[i][1],
                        .pts = i};
}

static pare_reducer_opts options(const char *recipe)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts), .recipe = recipe, .n_threads = 1};
}

static pare_model_plan plan_of(const pare_model *m, int i, int32_t tiles)
{
    pare_model_plan p = {.struct_size = sizeof p};
    ck_assert_msg(!pare_model_plan_get(m, sizes[i][0], sizes[i][1], 0, tiles, tiles, &p, &err), "%s", err.text);
    return p;
}

/* ---- one photo after the other ------------------------------------------------------------------------------------ */

/* Tiles row by row, and the whole picture before or behind them where there is one. */
static void check_order(const pare_model *m, const pare_result_view *v, int32_t first, const pare_model_plan *p)
{
    const int whole_last = m->prep.tiles != PARE__TILES_PINPOINTS;
    for (int32_t i = 0; i < p->n_slot; i++) {
        const pare_slot *s = &v->slot[first + i];
        const int32_t n = p->tile_rows * p->tile_cols;
        const int32_t want = p->n_slot == 1 ? 0 : !p->has_whole || whole_last ? (i < n ? i + 1 : 0) : i;
        ck_assert_int_eq(s->tile, want);
        ck_assert_int_eq(s->tile_rows, p->tile_rows);
        ck_assert_int_eq(s->tile_cols, p->tile_cols);
        ck_assert(s->grid_h == p->grid_h && s->grid_w == p->grid_w);
    }
}

/* Boxes lie in their photo; rows without a pixel of it are padding. */
static void check_boxes(const pare_result_view *v, int i)
{
    for (int64_t r = 0; r < v->k; r++) {
        const float *b = v->box + 4 * r;
        const int is_empty = b[0] >= b[2] || b[1] >= b[3];
        ck_assert_int_eq(is_empty, v->kind[r] == PARE_KIND_PADDING);
        ck_assert(b[0] >= 0 && b[1] >= 0 && b[2] <= (float)sizes[i][0] && b[3] <= (float)sizes[i][1]);
    }
}

/* Pushes all photos; rows per photo into k[N_PHOTO]. */
static void run(const pare_model *m, const pare_reducer_opts *o, int64_t *k)
{
    pare_reducer *r = NULL;
    pare_result *result = NULL;
    int rc = pare_reducer_create(&r, m, o, &err);
    for (int i = 0; i < N_PHOTO; i++) k[i] = 0;
    for (int i = 0; !rc && i <= N_PHOTO; i++) {
        const pare_frame f = photo(i < N_PHOTO ? i : 0);
        rc = i < N_PHOTO ? pare_reducer_push(r, &f, &err) : pare_reducer_flush(r, &err);
        while (!rc && pare_reducer_pull(r, &result, &err) == 0) {
            const pare_result_view *v = pare_result_get(result);
            for (int64_t row = 0; row < v->k; row++) k[v->place[6 * row]]++;
            pare_result_free(&result);
        }
    }
    ck_assert_msg(!rc, "%s: %s", o->recipe, err.text);
    pare_reducer_close(&r);
}

static void one_by_one(const pare_model *m)
{
    const pare_reducer_opts o = options("none");
    for (int i = 0; i < N_PHOTO; i++) {
        const pare_frame f = photo(i);
        const pare_model_plan p = plan_of(m, i, 0);
        pare_result *r = NULL;
        ck_assert_msg(!pare_reduce(m, &o, &f, 1, &r, &err), "%s", err.text);
        const pare_result_view *v = pare_result_get(r);
        ck_assert_int_eq(v->grid[0], p.n_slot);
        ck_assert_int_eq(v->k, p.n_units);
        check_order(m, v, 0, &p);
        check_boxes(v, i);
        pare_result_free(&r);
    }
}

/* ---- all together ------------------------------------------------------------------------------------------------- */

static int64_t sum_of(const int64_t *k)
{
    int64_t sum = 0;
    for (int i = 0; i < N_PHOTO; i++) sum += k[i];
    return sum;
}

static void together(const pare_model *m)
{
    static const int32_t windows[] = {0, 2, -1};
    int64_t k[N_PHOTO], all = 0;
    for (int i = 0; i < N_PHOTO; i++) all += plan_of(m, i, 0).n_units;
    for (int i = 0; i < 3; i++) {
        pare_reducer_opts o = options("stride@output");
        o.window = windows[i];
        o.keep = .5;
        run(m, &o, k);
        ck_assert_int_eq(sum_of(k), (int64_t)floor(.5 * (double)all + .5));
        o.keep = 0;
        o.tokens_per_frame = 3;
        run(m, &o, k);
        for (int j = 0; j < N_PHOTO; j++) ck_assert_int_eq(k[j], 3);
        o.tokens_per_frame = 0;
        o.tokens = N_PHOTO * 2 + 1;
        o.n_frames = N_PHOTO;
        run(m, &o, k);
        ck_assert_int_eq(sum_of(k), N_PHOTO * 2 + 1);
    }
}

/* A `resize` step makes every slot smaller and leaves the tiles. */
static void resized(const pare_model *m)
{
    pare_reducer_opts o = options("resize@frames");
    const pare_frame f = photo(0);
    const pare_model_plan p = plan_of(m, 0, 0);
    pare_result *r = NULL;
    o.tokens_per_frame = p.n_slot * 2;
    ck_assert_msg(!pare_reduce(m, &o, &f, 1, &r, &err), "%s", err.text);
    const pare_result_view *v = pare_result_get(r);
    ck_assert_int_eq(v->grid[0], p.n_slot);
    ck_assert_int_le(v->k, o.tokens_per_frame);
    ck_assert_int_ge(v->k, p.n_slot);
    check_boxes(v, 0);
    pare_result_free(&r);
}

/* ---- without the rule --------------------------------------------------------------------------------------------- */

static void switched_off(const pare_model *m)
{
    const pare_model_plan none = plan_of(m, 0, -1);
    ck_assert(none.tile_rows == 1 && none.tile_cols == 1 && none.n_slot == 1);
    pare_reducer_opts off[4] = {options("none"), options("none"), options("none"), options("none")};
    off[0].tile_rows = off[0].tile_cols = -1;
    off[1].letterbox = 1;
    off[2].width = none.width;
    off[2].height = none.height;
    off[3].tile_rows = off[3].tile_cols = 2;
    for (int i = 0; i < 4; i++) {
        const pare_frame f = photo(0);
        pare_result *r = NULL;
        ck_assert_msg(!pare_reduce(m, &off[i], &f, 1, &r, &err), "%s", err.text);
        const pare_result_view *v = pare_result_get(r);
        ck_assert_int_eq(v->grid[0], i < 3 ? 1 : 5);
        ck_assert_int_eq(v->slot[0].tile, 0);
        pare_result_free(&r);
    }
    pare_reducer *r = NULL;
    off[0].tile_cols = 2;
    ck_assert_int_eq(pare_reducer_create(&r, m, &off[0], &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "tiles"));
}

/* ---- captured ----------------------------------------------------------------------------------------------------- */

static void captured(const pare_model *m)
{
    static const char *const recipe = "topk:score=norm@output";
    const pare_frame f = photo(0);
    pare_result *all = NULL, *direct = NULL, *later = NULL;
    pare_reducer_opts capture = options("none"), o = options(recipe);
    capture.capture = &recipe;
    capture.n_capture = 1;
    o.keep = .3;
    ck_assert_msg(!pare_reduce(m, &capture, &f, 1, &all, &err), "%s", err.text);
    ck_assert_msg(!pare_reduce(m, &o, &f, 1, &direct, &err), "%s", err.text);
    const pare_result_view *v = pare_result_get(all), *a = pare_result_get(direct);
    ck_assert_msg(!pare_reduce_tokens(v->features, v->n_features, &o, &later, &err), "%s", err.text);
    const pare_result_view *b = pare_result_get(later);
    ck_assert_int_eq(a->k, b->k);
    ck_assert_int_eq(a->grid[0], b->grid[0]);
    ck_assert(!memcmp(a->slot, b->slot, (size_t)a->grid[0] * sizeof *a->slot));
    ck_assert(!memcmp(a->embeds, b->embeds, (size_t)(a->k * a->d) * sizeof *a->embeds));
    ck_assert(!memcmp(a->place, b->place, (size_t)a->k * 6 * sizeof *a->place));
    pare_result_free(&all);
    pare_result_free(&direct);
    pare_result_free(&later);
}

START_TEST(photos_come_in_the_checkpoints_tiles)
{
    pare_model *m = family_case_open(_i);
    if (m->prep.tiles != PARE__TILES_NONE) {
        one_by_one(m);
        together(m);
        resized(m);
        switched_off(m);
        captured(m);
    }
    pare_model_close(&m);
}
END_TEST

/* Does any case have such a rule? Those of the fixtures have. */
static int has_rule(void)
{
    int n = 0;
    for (int i = 0; i < n_family_case; i++) {
        pare_model *m = NULL;
        if (pare_model_open(&m, family_cases[i].path, NULL)) continue;
        n += m->prep.tiles != PARE__TILES_NONE;
        pare_model_close(&m);
    }
    return n;
}

int main(void)
{
    Suite *s = suite_create("tile rule");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 300);
    family_cases_find();
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof picture; i++) picture[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    tcase_add_loop_test(c, photos_come_in_the_checkpoints_tiles, 0, n_family_case);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (!failed && !has_rule()) return 77;
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
