/* SPDX-License-Identifier: MIT */
/* Features kept for many reductions: pare_reduce_tokens on them gives byte for byte what the reducer gives with that
 * recipe, over every selector, method, score and allocator that can act at the output, on photos, clips, tiles, with
 * masks and the caller's scores, for units of one patch and of 2 x 2; and what capture refuses. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "reduce/recipe.h"
#include "tiny_model.h"

enum { N_LAYER = 12, D = 16, N_FRAME = 6, MAX_SIDE = 256, MAX_RECIPE = 160, TEXT = 160, N_MODEL = 2, SEED = 77 };

typedef struct setting {
    pare_model *model;
    int32_t unit_px;
} setting;

static setting settings[N_MODEL];
static uint8_t picture[N_FRAME][MAX_SIDE * MAX_SIDE * 3], mask[MAX_SIDE * MAX_SIDE];
static float scores[MAX_SIDE * MAX_SIDE / 49], text[2 * D];
static char recipe[MAX_RECIPE][TEXT];
static int n_recipe;
static pare_error err;

/* ---- what is captured ------------------------------------------------------------------------------------------- */

static void add(const char *name, const char *key, const char *value)
{
    ck_assert_int_lt(n_recipe, MAX_RECIPE);
    const int is_bare = strchr(name, '@') || !key; /* a whole recipe, or a selector with one option */
    if (is_bare)
        snprintf(recipe[n_recipe++], TEXT, "%s", name);
    else
        snprintf(recipe[n_recipe++], TEXT, "%s%s%s@output", name, key, value);
}

static int acts_at_output(const char *name)
{
    pare__recipe r;
    ck_assert_int_eq(pare__recipe_parse(&r, name, &err), 0);
    int yes = 1;
    for (int32_t i = 0; i < r.n; i++) yes &= r.step[i].site == PARE__SITE_OUTPUT;
    pare__recipe_fini(&r);
    return yes;
}

static void list_recipes(void)
{
    static const char *const extra[] = {"random:k=7@output",
                                        "topk:score=norm:keep=.3@output",
                                        "random:keep=.8@output,stride@output",
                                        "custom:needs=q.-2/v/k_mean.3/cls_row/tokens.6@output",
                                        "custom:needs=q.-2/k.5/k_mean.5/col_mean.0/tokens.11@output",
                                        "topk:score=given:alloc=motion:keep=.9@output,random@output"};
    n_recipe = 0;
    for (int i = 0; pare__selectors[i]; i++) {
        const pare__selector *s = pare__selectors[i];
        if (!(s->sites & PARE__SITE_OUTPUT)) continue;
        add(s->name, "", "");
        for (int j = 0; s->flags & PARE__USES_SCORE && pare__scores[j]; j++)
            if (pare__scores[j]->sites & PARE__SITE_OUTPUT) add(s->name, ":score=", pare__scores[j]->name);
    }
    for (int i = 0; pare__allocators[i]; i++)
        if (pare__allocators[i]->sites & PARE__SITE_OUTPUT)
            add("topk:score=norm", ":alloc=", pare__allocators[i]->name);
    for (int i = 0; pare__methods[i].name; i++)
        if (acts_at_output(pare__methods[i].name)) add(pare__methods[i].name, NULL, NULL);
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++) add(extra[i], NULL, NULL);
}

/* ---- pictures and runs ------------------------------------------------------------------------------------------- */

typedef struct scene {
    int32_t grid_h, grid_w, n, video, tiles, is_masked, is_scored;
} scene;

static const scene scenes[] = {
    {.grid_h = 16, .grid_w = 16, .n = 1},
    {.grid_h = 6, .grid_w = 8, .n = N_FRAME, .video = 1},
    {.grid_h = 6, .grid_w = 8, .n = N_FRAME, .video = 1, .is_masked = 1, .is_scored = 1},
    {.grid_h = 5, .grid_w = 7, .n = 3, .is_scored = 1},
    {.grid_h = 6, .grid_w = 6, .n = 2, .tiles = 2, .is_masked = 1},
};
enum { N_SCENE = sizeof scenes / sizeof *scenes };

static void setup(void)
{
    static const tiny_spec specs[N_MODEL] = {
        {.unit = 1, .patch = 7, .dim = D, .n_layer = N_LAYER, .n_head = 2, .photo = 7 * 6},
        {.unit = 2, .patch = 7, .dim = D, .n_layer = N_LAYER, .n_head = 2, .photo = 14 * 6},
    };
    pare__rng rng = pare__rng_make(31, 0, 0);
    for (int i = 0; i < 2 * D; i++) text[i] = (float)pare__rng_unit(&rng) - 0.5F;
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) scores[i] = (float)pare__rng_unit(&rng);
    for (int t = 0; t < N_FRAME; t++)
        for (int i = 0; i < MAX_SIDE * MAX_SIDE; i++) {
            const int is_new = t == 0 || (i % MAX_SIDE / 11 + i / MAX_SIDE / 9 + t) % 4 == 0;
            for (int c = 0; c < 3; c++)
                picture[t][3 * i + c] = is_new ? (uint8_t)pare__rng_below(&rng, 256) : picture[t - 1][3 * i + c];
        }
    for (int i = 0; i < MAX_SIDE * MAX_SIDE; i++) {
        const int cell = i % MAX_SIDE / 25 * 3 + i / MAX_SIDE / 27 * 5;
        mask[i] = cell % 11 == 0 ? PARE_MASK_IGNORE : cell % 11 == 4 ? PARE_MASK_KEEP : PARE_MASK_FREE;
    }
    for (int i = 0; i < N_MODEL; i++) {
        settings[i].unit_px = specs[i].patch * specs[i].unit;
        ck_assert_msg(tiny_model_open(&settings[i].model, &specs[i], &err) == 0, "model %d: %s", i, err.text);
    }
    list_recipes();
}

static void teardown(void)
{
    for (int i = 0; i < N_MODEL; i++) pare_model_close(&settings[i].model);
}

/* Every second row, and the last one mixed with the first; folds what it is shown into its scores. */
static int select_some(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)e;
    const int64_t k = v->k < 0 ? (v->n + 1) / 2 : v->k;
    for (int64_t i = 0; i < v->n; i++) {
        float sum = (float)v->index[i];
        for (int a = 0; a < v->n_array; a++)
            sum += v->array[a].data[i * v->array[a].width] * (float)(2 + v->array[a].layer);
        pare_selection_score(out, i, sum);
    }
    int rc = 0;
    for (int64_t i = 0; !rc && i + 1 < k; i++) rc = pare_selection_keep(out, i * v->n / k);
    if (!rc && k) rc = pare_selection_row(out, v->n - 1);
    if (!rc && k) rc = pare_selection_add(out, v->n - 1, k == 1 ? 1 : 0.25);
    return rc || k < 2 ? rc : pare_selection_add(out, 0, 0.75);
}

static const pare_custom custom = {.struct_size = sizeof custom, .select = select_some};

static pare_reducer_opts opts_of(const setting *on, const scene *s, const char *text_of_recipe, double keep)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = text_of_recipe,
                               .keep = keep,
                               .video = s->video,
                               .width = s->grid_w * on->unit_px,
                               .height = s->grid_h * on->unit_px,
                               .tile_rows = s->tiles,
                               .tile_cols = s->tiles,
                               .seed = SEED,
                               .n_threads = 1,
                               .custom = &custom,
                               .text = text,
                               .n_text = 2,
                               .d_text = D};
}

static int run(const setting *on, const scene *s, const pare_reducer_opts *o, pare_result **out)
{
    pare_frame f[N_FRAME];
    for (int32_t t = 0; t < s->n; t++)
        f[t] = (pare_frame){.struct_size = sizeof(pare_frame),
                            .rgb = picture[t],
                            .stride = 3 * (int64_t)MAX_SIDE,
                            .width = MAX_SIDE,
                            .height = MAX_SIDE,
                            .pts = t / 4.0,
                            .mask = s->is_masked ? mask : NULL,
                            .mask_width = s->is_masked ? MAX_SIDE : 0,
                            .mask_height = s->is_masked ? MAX_SIDE : 0,
                            .scores = s->is_scored ? scores + t : NULL,
                            .scores_width = s->grid_w,
                            .scores_height = s->grid_h};
    return pare_reduce(on->model, o, f, s->n, out, &err);
}

/* ---- the same bytes ---------------------------------------------------------------------------------------------- */

static void same(const char *what, const char *name, const void *a, const void *b, int64_t n, size_t size)
{
    ck_assert_msg(!a == !b, "%s: %s is in one result only", name, what);
    ck_assert_msg(!a || !memcmp(a, b, (size_t)n * size), "%s: %s differs", name, what);
}

static void same_map(const char *name, const pare_map *a, const pare_map *b)
{
    ck_assert_msg(a->n_in == b->n_in && a->n_out == b->n_out, "%s: %d of %d and %d of %d rows", name, (int)a->n_out,
                  (int)a->n_in, (int)b->n_out, (int)b->n_in);
    same("row_start", name, a->row_start, b->row_start, a->n_out + 1, sizeof *a->row_start);
    same("index", name, a->index, b->index, a->row_start[a->n_out], sizeof *a->index);
    same("weight", name, a->weight, b->weight, a->row_start[a->n_out], sizeof *a->weight);
    same("anchor", name, a->anchor, b->anchor, a->n_out, sizeof *a->anchor);
    same("size", name, a->size, b->size, a->n_out, sizeof *a->size);
    same("gain", name, a->gain, b->gain, a->n_out, sizeof *a->gain);
    same("member_start", name, a->member_start, b->member_start, a->n_out + 1, sizeof *a->member_start);
    if (a->member_start) same("member", name, a->member, b->member, a->member_start[a->n_out], sizeof *a->member);
}

static void same_result(const char *name, const pare_result_view *a, const pare_result_view *b)
{
    same_map(name, &a->map, &b->map);
    ck_assert_int_eq(a->d, b->d);
    same("embeds", name, a->embeds, b->embeds, a->k * a->d, sizeof *a->embeds);
    same("sizes", name, a->sizes, b->sizes, a->k, sizeof *a->sizes);
    same("scores", name, a->scores, b->scores, a->n, sizeof *a->scores);
    same("index", name, a->index, b->index, a->k, sizeof *a->index);
    same("place", name, a->place, b->place, 6 * a->k, sizeof *a->place);
    same("rows of slots", name, a->row_start, b->row_start, a->grid[0] + 1, sizeof *a->row_start);
}

/* Both ways with one recipe and budget; a refusal must be the same one. 1 if there was something to compare. */
static int compare(const setting *on, const scene *s, const pare_result_view *kept, const char *name, double keep)
{
    pare_result *direct = NULL, *later = NULL;
    const pare_reducer_opts o = opts_of(on, s, name, keep);
    pare_error first = {0};
    const int rc = run(on, s, &o, &direct);
    if (rc) first = err;
    const int rc_later = pare_reduce_tokens(kept->features, kept->n_features, &o, &later, &err);
    ck_assert_msg(rc == rc_later, "%s at %g: %d (%s) with the encoder, %d (%s) later", name, keep, rc, first.text,
                  rc_later, err.text);
    if (!rc) same_result(name, pare_result_get(direct), pare_result_get(later));
    pare_result_free(&direct);
    pare_result_free(&later);
    return !rc;
}

static int has_own_amount(const char *name) { return strstr(name, "k=7") || strstr(name, "keep=.3"); }

/* Recipes that the model supports, all captured at once. */
static int32_t supported(const setting *on, const scene *s, const char **out)
{
    int32_t n = 0;
    for (int i = 0; i < n_recipe; i++) {
        pare_reducer *r = NULL;
        const pare_reducer_opts o = opts_of(on, s, recipe[i], 0);
        pare_reducer_opts c = opts_of(on, s, "none", 0);
        out[n] = recipe[i];
        c.capture = &out[n];
        c.n_capture = 1;
        const int rc = pare_reducer_create(&r, on->model, &c, &err);
        pare_reducer_close(&r);
        ck_assert_msg(!rc || rc == PARE_E_UNSUPPORTED, "%s: %s", o.recipe, err.text);
        n += !rc;
    }
    return n;
}

START_TEST(features_reduce_as_the_window_would)
{
    const setting *on = &settings[_i / N_SCENE];
    const scene *s = &scenes[_i % N_SCENE];
    const char *name[MAX_RECIPE];
    pare_result *all = NULL, *plain = NULL;
    pare_reducer_opts o = opts_of(on, s, "none", 0);
    int n_done = 0;
    ck_assert_int_eq(run(on, s, &o, &plain), 0);
    ck_assert_ptr_null(pare_result_get(plain)->features);
    ck_assert_int_eq(pare_result_get(plain)->n_features, 0);
    o.capture = name;
    o.n_capture = supported(on, s, name);
    ck_assert_msg(run(on, s, &o, &all) == 0, "%s", err.text);
    const pare_result_view *kept = pare_result_get(all);
    ck_assert_int_gt(kept->n_features, 0);
    same_result("none", pare_result_get(plain), kept);
    for (int32_t i = 0; i < o.n_capture; i++) {
        const int is_own = has_own_amount(name[i]) || !strcmp(name[i], "none@output");
        n_done += compare(on, s, kept, name[i], is_own ? 0 : 0.7);
        if (!is_own) n_done += compare(on, s, kept, name[i], s->is_masked ? 0.55 : 0.2);
    }
    ck_assert_msg(n_done > 60, "only %d of %d reductions were compared", n_done, 2 * o.n_capture);
    pare_result_free(&plain);
    pare_result_free(&all);
}
END_TEST

/* Alone and among all others a recipe is captured the same: what others want changes nothing. */
START_TEST(a_recipe_alone_is_enough)
{
    const setting *on = &settings[_i];
    const scene *s = &scenes[2];
    const char *name[MAX_RECIPE];
    const int32_t n = supported(on, s, name);
    for (int32_t i = 0; i < n; i++) {
        pare_result *one = NULL;
        pare_reducer_opts o = opts_of(on, s, "none", 0);
        o.capture = &name[i];
        o.n_capture = 1;
        ck_assert_msg(run(on, s, &o, &one) == 0, "%s", err.text);
        const int is_own = has_own_amount(name[i]) || !strcmp(name[i], "none@output");
        compare(on, s, pare_result_get(one), name[i], is_own ? 0 : 0.6);
        pare_result_free(&one);
    }
}
END_TEST

/* ---- shapes and refusals ------------------------------------------------------------------------------------------ */

static const pare_tensor *find(const pare_result_view *v, const char *name)
{
    for (int32_t i = 0; i < v->n_features; i++)
        if (!strcmp(v->features[i].name, name)) return &v->features[i];
    return NULL;
}

static void has(const pare_result_view *v, const char *name, int32_t n_dim, int64_t a, int64_t b, int64_t c)
{
    const pare_tensor *t = find(v, name);
    ck_assert_msg(t != NULL, "no %s", name);
    ck_assert_int_eq(t->n_dim, n_dim);
    ck_assert_int_eq(t->shape[0], a);
    if (n_dim > 1) ck_assert_int_eq(t->shape[1], b);
    if (n_dim > 2) ck_assert_int_eq(t->shape[2], c);
}

START_TEST(features_have_names_and_shapes)
{
    static const char *const name[] = {"custom:needs=q.-2/k.10/k_mean.10/cls_row.10/col_mean.5/tokens.6@output",
                                       "topk:score=norm:alloc=motion@output"};
    const setting *on = &settings[0];
    const scene *s = &scenes[2];
    const int64_t n = N_FRAME * s->grid_h * s->grid_w;
    pare_result *r = NULL;
    pare_reducer_opts o = opts_of(on, s, "none", 0);
    o.capture = name;
    o.n_capture = 2;
    ck_assert_msg(run(on, s, &o, &r) == 0, "%s", err.text);
    const pare_result_view *v = pare_result_get(r);
    has(v, "tokens", 2, n, D, 0);
    has(v, "q.10", 3, n, 2, D / 2);
    has(v, "k.10", 3, n, 2, D / 2);
    has(v, "k_mean.10", 2, n, D / 2, 0);
    has(v, "cls_row.10", 1, n, 0, 0);
    has(v, "col_mean.5", 1, n, 0, 0);
    has(v, "tokens.6", 2, n, D, 0);
    has(v, "prefix.tokens", 3, N_FRAME, 1, D);
    has(v, "prefix.k.10", 3, N_FRAME, 1, D);
    has(v, "grid_thw", 2, 1, 3, 0);
    has(v, "n_layer", 1, 1, 0, 0);
    has(v, "scores", 1, n, 0, 0);
    has(v, "mask", 1, n, 0, 0);
    has(v, "text_query", 2, 2, D, 0);
    has(v, "pixels", 4, N_FRAME, s->grid_h * 7, s->grid_w * 7);
    ck_assert_int_eq(v->n_features, 14 + 6);
    pare_result_free(&r);
}
END_TEST

static void refuse(const char *own, const char *captured, int code, const char *words)
{
    pare_reducer *r = NULL;
    const pare_reducer_opts o = {.struct_size = sizeof o, .recipe = own, .capture = &captured, .n_capture = 1};
    ck_assert_int_eq(pare_reducer_create(&r, settings[1].model, &o, &err), code);
    ck_assert_ptr_null(r);
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' does not say '%s'", err.text, words);
}

START_TEST(capture_refuses_what_cannot_be_kept)
{
    refuse("none", "random@patches", PARE_E_INVALID, "'patches'");
    refuse("none", "tome@block=3", PARE_E_INVALID, "'block'");
    refuse("none", "stride@output,random@block=1", PARE_E_INVALID, "'block'");
    refuse("none", "stirde@output", PARE_E_INVALID, "did you mean 'stride'");
    refuse("none", NULL, PARE_E_INVALID, "missing");
    refuse("stride:k=4@output", "stride@output", PARE_E_INVALID, "must be 'none', not 'stride'");
    refuse(NULL, "custom:needs=k.12@output", PARE_E_INVALID, "layer 12");
}
END_TEST

/* Of a later window the features speak as of a window by itself. */
START_TEST(every_window_has_its_features)
{
    const char *name = "topk:score=mean-attn@output";
    pare_reducer_opts o = opts_of(&settings[0], &scenes[1], "none", 0);
    pare_reducer *r = NULL;
    pare_result *window = NULL, *less = NULL;
    o.capture = &name;
    o.n_capture = 1;
    o.window = 2;
    ck_assert_int_eq(pare_reducer_create(&r, settings[0].model, &o, &err), 0);
    for (int t = 0; t < N_FRAME; t++) {
        const pare_frame f = {
            .struct_size = sizeof f, .rgb = picture[t], .stride = 3 * MAX_SIDE, .width = MAX_SIDE, .height = MAX_SIDE};
        ck_assert_int_eq(pare_reducer_push(r, &f, &err), 0);
    }
    ck_assert_int_eq(pare_reducer_flush(r, &err), 0);
    const pare_reducer_opts later = opts_of(&settings[0], &scenes[1], name, 0.25);
    int n = 0;
    for (; pare_reducer_pull(r, &window, &err) == 0; n++) {
        const pare_result_view *v = pare_result_get(window);
        ck_assert_int_eq(v->n, 96);
        ck_assert_msg(pare_reduce_tokens(v->features, v->n_features, &later, &less, &err) == 0, "%s", err.text);
        ck_assert_int_eq(pare_result_get(less)->k, 24);
        pare_result_free(&less);
        pare_result_free(&window);
    }
    ck_assert_int_eq(n, 3);
    pare_reducer_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("capture");
    TCase *c = tcase_create("capture");
    tcase_set_timeout(c, 600);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, features_reduce_as_the_window_would, 0, N_MODEL * N_SCENE);
    tcase_add_loop_test(c, a_recipe_alone_is_enough, 0, N_MODEL);
    tcase_add_test(c, features_have_names_and_shapes);
    tcase_add_test(c, capture_refuses_what_cannot_be_kept);
    tcase_add_test(c, every_window_has_its_features);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
