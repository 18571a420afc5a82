/* SPDX-License-Identifier: MIT */
/* pare_reduce_tokens: features without a model. Slots from grid_thw and tiles, prefix rows, masks, the caller's scores,
 * text and selector; and what a caller can get wrong. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

enum { N = 24, D = 4 };

static float token[N * D], row[N], wide[N * 6], query[2 * D];
static uint8_t word[N];
static pare_error err;

static void fill(void)
{
    for (int i = 0; i < N * D; i++) token[i] = (float)((i * 37) % 11) - 5;
    for (int i = 0; i < N; i++) row[i] = (float)((i * 7) % N);
    for (int i = 0; i < N * 6; i++) wide[i] = (float)((i * 13) % 17);
    for (int i = 0; i < N; i++) word[i] = PARE_MASK_FREE;
    memset(query, 0, sizeof query);
}

static pare_tensor f32(const char *name, const float *data, int32_t n_dim, int64_t a, int64_t b, int64_t c)
{
    return (pare_tensor){.name = name, .dtype = PARE_F32, .n_dim = n_dim, .shape = {a, b, c}, .data = data};
}

static pare_tensor i32(const char *name, const int32_t *data, int64_t n)
{
    return (pare_tensor){.name = name, .dtype = PARE_I32, .n_dim = 1, .shape = {n}, .data = data};
}

static pare_tensor tokens(void) { return f32("tokens", token, 2, N, D, 0); }

static pare_reducer_opts opts(const char *recipe, double keep)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts), .recipe = recipe, .keep = keep};
}

static const pare_result_view *reduce(pare_result **r, const pare_tensor *t, int32_t n, const pare_reducer_opts *o)
{
    const int rc = pare_reduce_tokens(t, n, o, r, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return pare_result_get(*r);
}

static void refuse(const pare_tensor *t, int32_t n, const char *recipe, const char *words)
{
    pare_result *r = NULL;
    const pare_reducer_opts o = opts(recipe, 0.5);
    ck_assert_int_ne(pare_reduce_tokens(t, n, &o, &r, &err), 0);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text, words);
}

START_TEST(media_and_steps_have_their_places)
{
    pare_result *r = NULL;
    const int32_t grids[6] = {2, 2, 4, 1, 4, 2}; /* a clip of two steps, and a photo of another shape */
    const pare_tensor t[] = {tokens(), i32("grid_thw", grids, 6)};
    const pare_reducer_opts o = opts("none", 0);
    const pare_result_view *v = reduce(&r, t, 2, &o);
    ck_assert_int_eq(v->grid[0], 3);
    ck_assert_int_eq(v->unit_start[1], 8);
    ck_assert_int_eq(v->unit_start[3], 24);
    const int32_t second[6] = {0, 0, 1, 1, 3, 0}, photo[6] = {1, 0, 0, 3, 1, 0};
    ck_assert_mem_eq(v->place + 6 * 15, second, sizeof second);
    ck_assert_mem_eq(v->place + 6 * 23, photo, sizeof photo);
    pare_result_free(&r);
}
END_TEST

START_TEST(tiles_are_slots_of_one_picture)
{
    pare_result *r = NULL;
    const int32_t grids[9] = {1, 2, 4, 1, 2, 4, 1, 2, 4}, cut[2] = {1, 2};
    const pare_tensor t[] = {tokens(), i32("grid_thw", grids, 9), i32("tiles", cut, 2)};
    const pare_reducer_opts o = opts("random@output", 0.5);
    const pare_result_view *v = reduce(&r, t, 3, &o);
    ck_assert_int_eq(v->k, 12);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(v->slot[i].media, 0);
        ck_assert_int_eq(v->slot[i].tile, i);
        ck_assert_int_eq(v->slot[i].tile_cols, 2);
    }
    pare_result_free(&r);
    refuse((const pare_tensor[]){t[0], i32("grid_thw", (const int32_t[]){1, 4, 6}, 3), t[2]}, 3, "none", "takes 3");
}
END_TEST

START_TEST(given_scores_decide)
{
    pare_result *r = NULL;
    const pare_tensor t[] = {tokens(), f32("scores", row, 1, N, 0, 0)};
    const pare_reducer_opts o = opts("topk:score=given@output", 0.25);
    const pare_result_view *v = reduce(&r, t, 2, &o);
    ck_assert_int_eq(v->k, 6);
    for (int64_t i = 0; i < v->k; i++) ck_assert_float_ge(row[v->index[i]], N - 6);
    pare_result_free(&r);
    refuse(t, 1, "topk:score=given@output", "scores");
    refuse((const pare_tensor[]){t[0], f32("scores", row, 1, N - 1, 0, 0)}, 2, "none", "23 values");
}
END_TEST

START_TEST(masks_bind_every_step)
{
    pare_result *r = NULL;
    word[3] = word[9] = PARE_MASK_KEEP;
    word[4] = word[23] = PARE_MASK_IGNORE;
    const pare_tensor mask = {.name = "mask", .dtype = PARE_U8, .n_dim = 1, .shape = {N}, .data = word};
    const pare_tensor t[] = {tokens(), mask, f32("scores", row, 1, N, 0, 0), f32("k", wide, 2, N, 6, 0)};
    const char *const recipe[] = {"topk:score=given@output", "tome@block=0", "random:keep=.8@patches,stride@output",
                                  "stride@output"};
    for (size_t s = 0; s < sizeof recipe / sizeof *recipe; s++) {
        const pare_reducer_opts o = opts(recipe[s], 0.5);
        const pare_result_view *v = reduce(&r, t, 4, &o);
        int kept = 0;
        ck_assert_int_eq(v->k, 12);
        for (int64_t i = 0; i < v->map.row_start[v->k]; i++) ck_assert(v->map.index[i] != 4 && v->map.index[i] != 23);
        for (int64_t i = 0; i < v->k; i++)
            if (v->index[i] == 3 || v->index[i] == 9) {
                kept++;
                ck_assert_int_eq(v->map.row_start[i + 1] - v->map.row_start[i], 1); /* nothing was merged into it */
            }
        ck_assert_int_eq(kept, 2);
        pare_result_free(&r);
    }
    memset(word, PARE_MASK_KEEP, sizeof word);
    refuse(t, 4, "stride@output", "mask");
}
END_TEST

START_TEST(photos_are_no_frames_of_a_clip)
{
    static const char *const recipe[] = {"temporal-redundancy@output", "evs@output", "dtd@output", "random@output"};
    const int32_t grids[6] = {1, 3, 4, 1, 3, 4}; /* the same photo twice */
    memcpy(token + N / 2 * D, token, sizeof token / 2);
    const pare_tensor t[] = {tokens(), i32("grid_thw", grids, 6)};
    for (size_t s = 0; s < sizeof recipe / sizeof *recipe; s++) {
        pare_result *r = NULL;
        const pare_reducer_opts o = opts(recipe[s], 0.5);
        const pare_result_view *v = reduce(&r, t, 2, &o);
        const pare_map *m = &v->map;
        ck_assert_msg(v->row_start[1] == N / 4 && v->k == N / 2, "%s: %d of %d", recipe[s], (int)v->row_start[1],
                      (int)v->k);
        const int64_t *start = m->member_start ? m->member_start : m->row_start;
        const int32_t *member = m->member_start ? m->member : m->index;
        for (int64_t i = 0; i < start[v->k]; i++) ck_assert_int_eq(member[i] >= N / 2, i >= start[N / 4]);
        pare_result_free(&r);
    }
}
END_TEST

static int keep_ends(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)e;
    int *calls = user;
    ++*calls;
    ck_assert_str_eq(v->site, "output");
    ck_assert_int_eq(v->n, N);
    ck_assert_int_eq(v->k, 2);
    ck_assert_int_eq(v->n_array, 1);
    ck_assert_str_eq(v->array[0].name, "tokens");
    ck_assert_mem_eq(v->array[0].data, token, sizeof token);
    int rc = pare_selection_keep(out, 0);
    if (!rc) rc = pare_selection_row(out, N - 1);
    if (!rc) rc = pare_selection_add(out, N - 1, 0.75);
    return rc ? rc : pare_selection_add(out, N - 2, 0.25);
}

static int refuse_all(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)v, (void)out;
    return pare_fail(e, PARE_E_EXTERNAL, "the caller has enough");
}

START_TEST(the_callers_selector_is_a_step)
{
    int calls = 0;
    pare_result *r = NULL;
    const pare_tensor t[] = {tokens()};
    pare_custom custom = {.struct_size = sizeof custom, .select = keep_ends, .user = &calls};
    pare_reducer_opts o = opts("custom-window@output", 0);
    o.tokens = 2;
    o.custom = &custom;
    const pare_result_view *v = reduce(&r, t, 1, &o);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(v->k, 2);
    ck_assert_int_eq(v->index[1], N - 1);
    for (int c = 0; c < D; c++)
        ck_assert_float_eq_tol(v->embeds[D + c], 0.75F * token[(N - 1) * D + c] + 0.25F * token[(N - 2) * D + c],
                               1e-5F);
    pare_result_free(&r);
    custom.select = refuse_all;
    ck_assert_int_eq(pare_reduce_tokens(t, 1, &o, &r, &err), PARE_E_EXTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "has enough"));
}
END_TEST

/* With n_layer a step gets the layer it asks for or none; without, the only one there is. */
START_TEST(layers_are_found_and_never_guessed)
{
    static float other[N];
    for (int i = 0; i < N; i++) other[i] = (float)((i * 5) % N);
    const int32_t blocks = 6, few = 2;
    const pare_tensor x = tokens(), n_layer = i32("n_layer", &blocks, 1);
    const pare_tensor first = f32("cls_row.3", other, 1, N, 0, 0), last = f32("cls_row.-2", row, 1, N, 0, 0);
    const pare_tensor t[] = {x, first, last, n_layer};
    const pare_reducer_opts o = opts("topk:score=cls-attn:layer=-2@output", 0.25);
    pare_result *r = NULL;
    const pare_result_view *v = reduce(&r, t, 4, &o);
    for (int64_t i = 0; i < v->k; i++) ck_assert_float_ge(row[v->index[i]], N - 6);
    pare_result_free(&r);
    reduce(&r, t, 2, &o);
    pare_result_free(&r);
    refuse((const pare_tensor[]){x, first, n_layer}, 3, "topk:score=cls-attn:layer=-2@output", "cls_row");
    refuse((const pare_tensor[]){x, first, i32("n_layer", &few, 1)}, 3, "none", "n_layer is 2");
    refuse((const pare_tensor[]){x, i32("n_layer", (const int32_t[]){1, 2}, 2)}, 2, "none", "one number");
}
END_TEST

/* The mean of keys over heads is taken as it is where it is given. */
START_TEST(given_means_of_keys_are_used)
{
    static float means[N * 3], same[N * 3];
    for (int i = 0; i < N * 3; i++) {
        same[i] = (wide[i / 3 * 6 + i % 3] + wide[i / 3 * 6 + 3 + i % 3]) / 2;
        means[i] = (float)((i * 11) % 7) - 3;
    }
    const pare_tensor k = f32("k", wide, 3, N, 2, 3);
    const pare_tensor own[] = {tokens(), k}, equal[] = {tokens(), k, f32("k_mean", same, 2, N, 3, 0)},
                      alone[] = {tokens(), f32("k_mean", means, 2, N, 3, 0)}, both[] = {tokens(), alone[1], k};
    const struct {
        const pare_tensor *t;
        int32_t n;
    } pair[2][2] = {{{own, 2}, {equal, 3}}, {{alone, 2}, {both, 3}}};
    const pare_reducer_opts o = opts("tome@block=0", 0.6);
    for (int i = 0; i < 2; i++) {
        pare_result *a = NULL, *b = NULL;
        const pare_result_view *p = reduce(&a, pair[i][0].t, pair[i][0].n, &o);
        const pare_result_view *q = reduce(&b, pair[i][1].t, pair[i][1].n, &o);
        ck_assert_int_eq(p->k, q->k);
        ck_assert_mem_eq(p->embeds, q->embeds, (size_t)(p->k * D) * sizeof(float));
        pare_result_free(&a);
        pare_result_free(&b);
    }
}
END_TEST

START_TEST(wrong_arrays_are_named)
{
    const pare_tensor x = tokens();
    refuse((const pare_tensor[]){f32("k", wide, 2, N, 6, 0)}, 1, "none", "tokens");
    refuse((const pare_tensor[]){x, f32("q", wide, 2, N - 1, 6, 0)}, 2, "none", "q: ");
    refuse((const pare_tensor[]){x, f32("cls_row", wide, 2, N, 6, 0)}, 2, "none", "cls_row");
    refuse((const pare_tensor[]){x, f32("prefix.q", wide, 3, 1, 1, 6)}, 2, "none", "there is no 'q'");
    refuse((const pare_tensor[]){x, f32("prefix.tokens", wide, 3, 2, 1, D)}, 2, "none", "prefix.tokens");
    refuse((const pare_tensor[]){x, f32("text_query", query, 1, 2 * D, 0, 0)}, 2, "none", "text_query");
    refuse((const pare_tensor[]){x, i32("grid_thw", (const int32_t[]){1, 5, 5}, 3)}, 2, "none", "25 units");
    refuse((const pare_tensor[]){x, i32("grid_thw", (const int32_t[]){1, 24}, 2)}, 2, "none", "multiple of 3");
    refuse((const pare_tensor[]){x, f32("k", wide, 3, N, 2, 3), f32("v", wide, 3, N, 3, 2)}, 3, "none", "heads");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("features");
    TCase *c = tcase_create("features");
    tcase_add_checked_fixture(c, fill, NULL);
    tcase_add_test(c, media_and_steps_have_their_places);
    tcase_add_test(c, tiles_are_slots_of_one_picture);
    tcase_add_test(c, given_scores_decide);
    tcase_add_test(c, masks_bind_every_step);
    tcase_add_test(c, photos_are_no_frames_of_a_clip);
    tcase_add_test(c, the_callers_selector_is_a_step);
    tcase_add_test(c, layers_are_found_and_never_guessed);
    tcase_add_test(c, given_means_of_keys_are_used);
    tcase_add_test(c, wrong_arrays_are_named);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
