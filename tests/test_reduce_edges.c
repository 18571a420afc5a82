/* SPDX-License-Identifier: MIT */
/* Where budgets, masks, tiles and photos of different sizes meet; models are made on the spot. Every test counts exact
 * rows or exact units. */
#include <check.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "tiny_model.h"

enum { SIDE = 64, MAX_SIDE = 700, MAX_FRAME = 16, PATCH = 8 };

static pare_model *vit, *qwen; /* units of 8 pixels; of 16, pairs of frames */
static uint8_t picture[MAX_SIDE * MAX_SIDE * 3];
static uint8_t mask[MAX_FRAME][MAX_SIDE];
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[] = {
        {.unit = 1, .patch = PATCH, .dim = 16, .n_layer = 4, .n_head = 2, .photo = SIDE},
        {.unit = 2, .patch = PATCH, .dim = 16, .n_layer = 2, .n_head = 2, .photo = SIDE},
    };
    ck_assert_msg(!tiny_model_open(&vit, &specs[0], &err), "%s", err.text);
    ck_assert_msg(!tiny_model_open(&qwen, &specs[1], &err), "%s", err.text);
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof picture; i++) picture[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
}

static void teardown(void)
{
    pare_model_close(&vit);
    pare_model_close(&qwen);
}

static pare_frame frame_of(int32_t width, int32_t height)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = picture,
                        .stride = 3 * (int64_t)width,
                        .width = width,
                        .height = height};
}

static pare_reducer_opts options(const char *recipe)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts), .recipe = recipe, .n_threads = 1};
}

/* A clip of 8 x 8 units. */
static pare_reducer_opts clip_options(const char *recipe)
{
    pare_reducer_opts o = options(recipe);
    o.video = 1;
    o.width = o.height = SIDE;
    return o;
}

/* Rows of every slot of the clip, and in all. */
typedef struct counts {
    int64_t slot[64], total;
    int32_t n_slot;
} counts;

static void take(counts *c, const pare_result_view *v)
{
    for (int32_t i = 0; i < v->grid[0]; i++)
        if (c->n_slot < 64) c->slot[c->n_slot++] = v->row_start[i + 1] - v->row_start[i];
    c->total += v->k;
}

/* 0, or the code of the call that failed. */
static int run(const pare_model *model, const pare_reducer_opts *o, const pare_frame *f, int32_t n, counts *c)
{
    pare_reducer *r = NULL;
    pare_result *result = NULL;
    *c = (counts){0};
    err = (pare_error){0};
    int rc = pare_reducer_create(&r, model, o, &err);
    for (int32_t i = 0; !rc && i <= n; i++) {
        rc = i < n ? pare_reducer_push(r, &f[i], &err) : pare_reducer_flush(r, &err);
        while (!rc && pare_reducer_pull(r, &result, &err) == 0) {
            take(c, pare_result_get(result));
            pare_result_free(&result);
        }
    }
    pare_reducer_close(&r);
    return rc;
}

/* ---- masks --------------------------------------------------------------------------------------------------------- */

/* A mask as large as the grid says something of one unit each, whatever the size of the picture. */
START_TEST(a_mask_of_the_grid_speaks_of_its_units)
{
    static const int32_t sizes[][2] = {{641, 479}, {333, 517}, {100, 699}, {37, 41}, {512, 512}, {299, 301}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        pare_reducer_opts o = clip_options("none");
        o.width = 11 * PATCH;
        o.height = 13 * PATCH;
        pare_frame f = frame_of(sizes[s][0], sizes[s][1]);
        f.mask = mask[0];
        f.mask_width = 11;
        f.mask_height = 13;
        for (int i = 0; i < 11 * 13; i++) {
            counts c;
            memset(mask[0], PARE_MASK_FREE, sizeof mask[0]);
            mask[0][i] = PARE_MASK_IGNORE;
            ck_assert_msg(run(vit, &o, &f, 1, &c) == 0, "%s", err.text);
            ck_assert_msg(c.total == 11 * 13 - 1, "%d x %d, cell %d: %lld units left", sizes[s][0], sizes[s][1], i,
                          (long long)c.total);
        }
    }
}
END_TEST

static pare_frame masked(int i, int32_t side)
{
    pare_frame f = frame_of(SIDE, SIDE);
    f.pts = i;
    f.mask = mask[i];
    f.mask_width = f.mask_height = side;
    return f;
}

/* A budget per frame is one per frame: what a masked frame cannot use, no other frame gets. */
START_TEST(per_frame_is_at_most_per_frame)
{
    static const char *const recipes[] = {"stride@patches", "stride@block=1", "stride@output", "evs@output"};
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++) {
        pare_frame f[4];
        counts c;
        memset(mask, PARE_MASK_FREE, sizeof mask);
        memset(mask[1], PARE_MASK_IGNORE, 60);
        for (int i = 0; i < 4; i++) f[i] = masked(i, 8);
        pare_reducer_opts o = clip_options(recipes[r]);
        o.tokens_per_frame = 10;
        ck_assert_msg(run(vit, &o, f, 4, &c) == 0, "%s", err.text);
        for (int i = 0; i < 4; i++)
            ck_assert_msg(c.slot[i] == (i == 1 ? 4 : 10), "%s: frame %d has %lld", recipes[r], i, (long long)c.slot[i]);
    }
}
END_TEST

/* What must stay takes part in no merge; the others still reach the count. */
START_TEST(merging_reaches_its_count_around_a_mask)
{
    static const char *const recipes[] = {"tome@block", "tome:keep=.3@block", "tome:r=20@block"};
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++) {
        const pare_frame f = masked(0, 8);
        counts c;
        memset(mask, PARE_MASK_FREE, sizeof mask);
        memset(mask[0], PARE_MASK_KEEP, 16);
        pare_reducer_opts o = clip_options(recipes[r]);
        if (r == 0) o.tokens_per_frame = 19;
        ck_assert_msg(run(vit, &o, &f, 1, &c) == 0, "%s: %s", recipes[r], err.text);
        ck_assert_int_eq(c.total, r < 2 ? 19 : 20); /* 48 free: 28, 14, 7, 4 */
    }
}
END_TEST

START_TEST(a_window_may_be_ignored_altogether)
{
    static const char *const recipes[] = {"stride@patches", "stride@block=1", "tome@block", "flowcut@block=1/2/3",
                                          "evs@output"};
    for (size_t r = 0; r < 5; r++)
        for (int32_t which = 0; which < 2; which++) {
            pare_frame f[6];
            counts c;
            if (which && r == 3) continue;
            memset(mask, PARE_MASK_FREE, sizeof mask);
            memset(mask[0], PARE_MASK_IGNORE, 4 * sizeof mask[0]);
            for (int i = 0; i < 6; i++) f[i] = masked(i, 8);
            pare_reducer_opts o = clip_options(recipes[r]);
            o.window = which ? 1 : 2;
            o.keep = .6;
            ck_assert_msg(run(which ? qwen : vit, &o, f, 6, &c) == 0, "%s: %s", recipes[r], err.text);
            for (int i = 0; i < (which ? 2 : 4); i++) ck_assert_int_eq(c.slot[i], 0);
            ck_assert_int_gt(c.total, 0);
        }
}
END_TEST

/* ---- tiles --------------------------------------------------------------------------------------------------------- */

/* A window of the whole clip grows with it and forgets nothing: masks, times, places. */
START_TEST(a_whole_clip_window_grows)
{
    enum { N = 75 };
    pare_reducer_opts o = clip_options("stride@patches");
    o.window = -1;
    o.keep = .5;
    pare_result *known = NULL, *grown = NULL;
    pare_frame f[N];
    memset(mask, PARE_MASK_FREE, sizeof mask);
    for (int i = 0; i < N; i++) {
        f[i] = masked(i % MAX_FRAME, 8);
        f[i].pts = i;
        mask[i % MAX_FRAME][i % MAX_FRAME] = PARE_MASK_IGNORE;
    }
    ck_assert_msg(pare_reduce(vit, &o, f, N, &known, &err) == 0, "%s", err.text);
    pare_reducer *r = NULL;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), 0);
    for (int i = 0; i < N; i++) ck_assert_int_eq(pare_reducer_push(r, &f[i], &err), 0);
    ck_assert_msg(pare_reducer_flush(r, &err) == 0, "%s", err.text);
    ck_assert_int_eq(pare_reducer_pull(r, &grown, &err), 0);
    const pare_result_view *a = pare_result_get(known), *b = pare_result_get(grown);
    ck_assert_int_eq(b->grid[0], N);
    ck_assert_int_eq(a->k, b->k);
    ck_assert_mem_eq(a->place, b->place, (size_t)a->k * 6 * sizeof *a->place);
    ck_assert_mem_eq(a->box, b->box, (size_t)a->k * 4 * sizeof *a->box);
    ck_assert_mem_eq(a->pts, b->pts, 2 * N * sizeof *a->pts);
    ck_assert_mem_eq(a->embeds, b->embeds, (size_t)(a->k * a->d) * sizeof *a->embeds);
    for (int i = 0; i < N; i++) ck_assert_double_eq(b->pts[2 * i], i);
    pare_result_free(&known);
    pare_result_free(&grown);
    pare_reducer_close(&r);
}
END_TEST

/* Budgets of a picture in tiles are of the whole picture. */
START_TEST(a_picture_in_tiles_has_one_budget)
{
    const pare_frame f[2] = {frame_of(200, 150), frame_of(300, 300)};
    counts c;
    pare_reducer_opts o = options("stride@output");
    o.tile_rows = o.tile_cols = 2;
    o.tokens_per_frame = 40;
    ck_assert_msg(run(vit, &o, f, 2, &c) == 0, "%s", err.text);
    ck_assert_int_eq(c.n_slot, 10);
    ck_assert_int_eq(c.total, 80);
    o.window = 2;
    ck_assert_msg(run(vit, &o, f, 2, &c) == 0, "%s", err.text);
    int64_t first = 0;
    for (int i = 0; i < 5; i++) first += c.slot[i];
    ck_assert_int_eq(first, 40);
    ck_assert_int_eq(c.total, 80);
    o.tokens_per_frame = 0;
    o.tokens = 50;
    o.n_frames = 2;
    ck_assert_msg(run(vit, &o, f, 2, &c) == 0, "%s", err.text);
    ck_assert_int_eq(c.total, 50);
    o.min_per_frame = 10;
    ck_assert_msg(run(vit, &o, f, 2, &c) == 0, "%s", err.text);
    ck_assert_int_eq(c.total, 50);
}
END_TEST

/* More slots than a window of the whole clip may hold are refused, not written past its end. */
START_TEST(a_clip_of_tiles_ends_at_the_limit)
{
    static const tiny_spec spec = {.unit = 1, .patch = 2, .dim = 8, .n_layer = 1, .n_head = 1, .photo = 2};
    pare_model *dot = NULL;
    pare_reducer *r = NULL;
    ck_assert_msg(!tiny_model_open(&dot, &spec, &err), "%s", err.text);
    const pare_frame f = frame_of(2, 2);
    pare_reducer_opts o = options("none");
    o.tile_rows = o.tile_cols = 2;
    o.window = -1;
    ck_assert_int_eq(pare_reducer_create(&r, dot, &o, &err), 0);
    int n = 0, rc = 0;
    for (; !rc && n < 4000; n++) rc = pare_reducer_push(r, &f, &err);
    ck_assert_int_eq(rc, PARE_E_LIMIT);
    ck_assert_int_eq(n, (1 << 14) / 5 + 1);
    pare_reducer_close(&r);
    pare_model_close(&dot);
}
END_TEST

/* ---- photos of different sizes ------------------------------------------------------------------------------------- */

START_TEST(photos_of_different_grids_share_tokens)
{
    const pare_frame f[3] = {frame_of(128, 128), frame_of(64, 64), frame_of(64, 64)};
    counts c;
    pare_reducer_opts o = options("stride@output");
    ck_assert_msg(run(qwen, &o, f, 3, &c) < 0 || 1, "%s", err.text);
    o.recipe = "none";
    ck_assert_msg(run(qwen, &o, f, 3, &c) == 0, "%s", err.text);
    const int64_t all = c.total;
    ck_assert_int_gt(c.slot[0], c.slot[1]);
    o.recipe = "stride@output";
    o.n_frames = 3;
    for (o.tokens = 3; o.tokens <= all; o.tokens++) {
        ck_assert_msg(run(qwen, &o, f, 3, &c) == 0, "%lld of %lld: %s", (long long)o.tokens, (long long)all, err.text);
        ck_assert_msg(c.total <= o.tokens, "%lld of %lld", (long long)c.total, (long long)o.tokens);
    }
}
END_TEST

/* ---- steps, scores, allocators ------------------------------------------------------------------------------------- */

START_TEST(frames_are_weighed_whatever_the_score_needs)
{
    static const char *const recipes[] = {"topk:score=cls-attn:alloc=motion@block=1",
                                          "topk:score=mean-attn:alloc=motion@block=1/2", "tome:alloc=motion@block",
                                          "topk:score=norm:alloc=motion@block=1"};
    pare_frame f[4];
    for (int i = 0; i < 4; i++) {
        f[i] = frame_of(SIDE, SIDE);
        f[i].rgb += 1000 * i;
    }
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++) {
        counts c;
        pare_reducer_opts o = clip_options(recipes[r]);
        o.keep = .5;
        ck_assert_msg(run(vit, &o, f, 4, &c) == 0, "%s: %s", recipes[r], err.text);
        ck_assert_int_eq(c.total, 128);
    }
}
END_TEST

/* A floor belongs to the budget; steps with an amount of their own leave that many. */
START_TEST(own_amounts_know_no_floor)
{
    static const char *const recipes[] = {"vidcom2:keep=.1,stride@output", "evs:keep=.1,stride@output",
                                          "vcast:keep=.1,stride@output"};
    pare_frame f[4];
    for (int i = 0; i < 4; i++) f[i] = frame_of(SIDE, SIDE);
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++) {
        counts c;
        pare_reducer_opts o = clip_options(recipes[r]);
        o.keep = .5;
        o.min_per_frame = 10;
        ck_assert_msg(run(vit, &o, f, 4, &c) == 0, "%s: %s", recipes[r], err.text);
        ck_assert_int_eq(c.total, 24);
    }
}
END_TEST

START_TEST(an_allocator_has_sites)
{
    static const char *const recipes[] = {"stride:alloc=vcast@block=1", "stride:alloc=vidcom2@patches",
                                          "stride:alloc=hired@block=1"};
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++) {
        const pare_frame f = frame_of(SIDE, SIDE);
        counts c;
        pare_reducer_opts o = clip_options(recipes[r]);
        o.keep = .5;
        ck_assert_int_eq(run(vit, &o, &f, 1, &c), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, "allocator") && strstr(err.text, "cannot be had"), "%s", err.text);
    }
}
END_TEST

/* ---- arguments ----------------------------------------------------------------------------------------------------- */

static int nothing(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)v;
    for (int64_t i = 0; i < v->k; i++)
        if (pare_selection_keep(out, i)) return pare_fail(e, PARE_E_NOMEM, "memory");
    return 0;
}

START_TEST(wrong_options_are_refused)
{
    static const float text[4] = {1, 2, 3, 4};
    const pare_custom old = {.struct_size = 2, .select = nothing};
    pare_reducer *r = NULL;
    pare_reducer_opts o = options("none");
    o.text = text;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "text"));
    o.text = NULL;
    o.custom = &old;
    ck_assert_int_eq(pare_reducer_create(&r, vit, &o, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "struct_size"));
}
END_TEST

START_TEST(times_must_be_numbers)
{
    pare_reducer *r = NULL;
    pare_reducer_opts o = options("none");
    pare_frame f = frame_of(SIDE, SIDE);
    ck_assert_int_eq(pare_reducer_create(&r, qwen, &o, &err), 0);
    f.pts = (double)NAN;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    f.pts = 0;
    f.mask = mask[0];
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    f.mask = NULL;
    ck_assert_msg(pare_reducer_push(r, &f, &err) == 0, "a refused frame changed something: %s", err.text);
    pare_reducer_close(&r);
}
END_TEST

START_TEST(wrong_arrays_are_refused)
{
    float x[8] = {0};
    const pare_tensor good = {.name = "tokens", .dtype = PARE_F32, .n_dim = 2, .shape = {4, 2}, .data = x};
    pare_tensor bad[6] = {good, good, good, good, good, good};
    bad[0].name = NULL;
    bad[1].data = NULL;
    bad[2].dtype = 99;
    bad[3].n_dim = 99;
    bad[4].shape[1] = -2;
    bad[5].shape[0] = bad[5].shape[1] = INT64_MAX / 2;
    const pare_reducer_opts o = options("none");
    for (int i = 0; i < 6; i++) {
        pare_result *r = NULL;
        ck_assert_msg(pare_reduce_tokens(&bad[i], 1, &o, &r, &err) == PARE_E_INVALID, "array %d", i);
    }
    const pare_tensor prefix = {.name = "prefix.tokens", .dtype = PARE_F32, .n_dim = 3, .shape = {1, 2, 2}, .data = x};
    const pare_tensor twice[] = {good, prefix, prefix};
    pare_result *r = NULL;
    ck_assert_int_eq(pare_reduce_tokens(twice, 2, &o, &r, &err), 0);
    pare_result_free(&r);
    ck_assert_int_eq(pare_reduce_tokens(twice, 3, &o, &r, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "twice"));
}
END_TEST

START_TEST(lists_write_no_further_than_the_struct)
{
    pare_list_entry e = {.struct_size = sizeof e}, old = {.struct_size = offsetof(pare_list_entry, cite)};
    pare_option_info o = {.struct_size = 0};
    ck_assert_int_eq(pare_list(PARE_LIST_SELECTORS, 0, &e), 0);
    ck_assert_str_eq(e.name, "none");
    ck_assert_ptr_nonnull(e.cite);
    ck_assert_int_eq(pare_list(PARE_LIST_SELECTORS, 0, &old), 0);
    ck_assert_ptr_eq(old.name, e.name);
    ck_assert_ptr_null(old.cite);
    ck_assert_int_eq(pare_list(PARE_LIST_SELECTORS, 1000, &e), PARE_E_NOTFOUND);
    int32_t i = 0;
    while (pare_list(PARE_LIST_SELECTORS, i, &e) == 0 && e.n_options == 0) i++;
    ck_assert_int_eq(pare_list_option(PARE_LIST_SELECTORS, i, 0, &o), PARE_E_INVALID);
    o.struct_size = sizeof o;
    ck_assert_int_eq(pare_list_option(PARE_LIST_SELECTORS, i, 0, &o), 0);
    ck_assert_ptr_nonnull(o.help);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("edges of the reducer");
    TCase *c = tcase_create("edges");
    tcase_set_timeout(c, 300);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_test(c, a_mask_of_the_grid_speaks_of_its_units);
    tcase_add_test(c, per_frame_is_at_most_per_frame);
    tcase_add_test(c, merging_reaches_its_count_around_a_mask);
    tcase_add_test(c, a_window_may_be_ignored_altogether);
    tcase_add_test(c, a_whole_clip_window_grows);
    tcase_add_test(c, a_picture_in_tiles_has_one_budget);
    tcase_add_test(c, a_clip_of_tiles_ends_at_the_limit);
    tcase_add_test(c, photos_of_different_grids_share_tokens);
    tcase_add_test(c, frames_are_weighed_whatever_the_score_needs);
    tcase_add_test(c, own_amounts_know_no_floor);
    tcase_add_test(c, an_allocator_has_sites);
    tcase_add_test(c, wrong_options_are_refused);
    tcase_add_test(c, times_must_be_numbers);
    tcase_add_test(c, wrong_arrays_are_refused);
    tcase_add_test(c, lists_write_no_further_than_the_struct);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
