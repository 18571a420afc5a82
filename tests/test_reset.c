/* SPDX-License-Identifier: MIT */
/* A reset reducer is a new one: same bytes over every selector and site, whatever came before (another clip, half a
 * window, an error, a flush), with the memory it had. Statistics go on; floating-point operations are what the closed
 * formulas say. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/reducer.h"
#include "tiny_model.h"

enum { GRID = 6, UNITS = GRID * GRID, N_FRAME = 6, D = 16, N_LAYER = 12, MLP = 2 * D, N_MODEL = 2, MOST_WINDOWS = 8 };
enum { MAX_SIDE = 14 * GRID };

typedef struct setting {
    pare_model *model;
    int32_t side, patches; /* pixels; patches of a unit */
} setting;

static setting settings[N_MODEL];
static uint8_t picture[2][N_FRAME][MAX_SIDE * MAX_SIDE * 3]; /* two clips */
static float scores[UNITS + N_FRAME], text[2 * D];
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[N_MODEL] = {
        {.unit = 1, .patch = 7, .dim = D, .n_layer = N_LAYER, .n_head = 2, .photo = 7 * GRID},
        {.unit = 2, .patch = 7, .dim = D, .n_layer = N_LAYER, .n_head = 2, .photo = 14 * GRID},
    };
    pare__rng rng = pare__rng_make(41, 0, 0);
    for (int i = 0; i < 2 * D; i++) text[i] = (float)pare__rng_unit(&rng) - 0.5F;
    for (int i = 0; i < UNITS + N_FRAME; i++) scores[i] = (float)pare__rng_unit(&rng);
    for (int clip = 0; clip < 2; clip++)
        for (int t = 0; t < N_FRAME; t++)
            for (int i = 0; i < MAX_SIDE * MAX_SIDE * 3; i++)
                picture[clip][t][i] =
                    t == 0 || (i / 90 + t) % 4 == 0 ? (uint8_t)pare__rng_below(&rng, 256) : picture[clip][t - 1][i];
    for (int i = 0; i < N_MODEL; i++) {
        settings[i].side = specs[i].photo;
        settings[i].patches = specs[i].unit * specs[i].unit;
        ck_assert_msg(tiny_model_open(&settings[i].model, &specs[i], &err) == 0, "model %d: %s", i, err.text);
    }
}

static void teardown(void)
{
    for (int i = 0; i < N_MODEL; i++) pare_model_close(&settings[i].model);
}

static int select_first(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)e;
    int rc = 0;
    for (int64_t i = 0; !rc && i < (v->k < 0 ? v->n : v->k); i++) rc = pare_selection_keep(out, i);
    return rc;
}

static const pare_custom custom = {.struct_size = sizeof custom, .select = select_first};

static pare_reducer_opts opts_of(const setting *on, const char *recipe, double keep)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .keep = keep,
                               .window = 2,
                               .video = 1,
                               .width = on->side,
                               .height = on->side,
                               .seed = 5,
                               .n_threads = 1,
                               .custom = &custom,
                               .text = text,
                               .n_text = 2,
                               .d_text = D};
}

static int push(pare_reducer *r, const setting *on, int clip, int t, int has_scores)
{
    const pare_frame f = {.struct_size = sizeof f,
                          .rgb = picture[clip][t],
                          .stride = 3 * (int64_t)on->side,
                          .width = on->side,
                          .height = on->side,
                          .pts = t / 4.0,
                          .scores = has_scores ? scores + t : NULL,
                          .scores_width = GRID,
                          .scores_height = GRID};
    return pare_reducer_push(r, &f, &err);
}

typedef struct timeline {
    pare_result *window[MOST_WINDOWS];
    int n, rc;
    char text[sizeof err.text];
} timeline;

static void run(pare_reducer *r, const setting *on, int has_scores, timeline *out)
{
    *out = (timeline){0};
    for (int t = 0; !out->rc && t < N_FRAME; t++) out->rc = push(r, on, 0, t, has_scores);
    if (!out->rc) out->rc = pare_reducer_flush(r, &err);
    if (out->rc) strcpy(out->text, err.text);
    while (out->n < MOST_WINDOWS && pare_reducer_pull(r, &out->window[out->n], NULL) == 0) out->n++;
}

static void drop(timeline *t)
{
    for (int i = 0; i < t->n; i++) pare_result_free(&t->window[i]);
}

static void same(const char *what, const char *recipe, const void *a, const void *b, int64_t n, size_t size)
{
    ck_assert_msg(!a == !b && (!a || !memcmp(a, b, (size_t)n * size)), "%s: %s differs after a reset", recipe, what);
}

static void same_window(const char *recipe, const pare_result_view *a, const pare_result_view *b)
{
    const pare_map *m = &a->map, *w = &b->map;
    ck_assert_msg(a->k == b->k && a->n == b->n && a->first_slot == b->first_slot, "%s: %d of %d rows, then %d of %d",
                  recipe, (int)a->k, (int)a->n, (int)b->k, (int)b->n);
    same("embeds", recipe, a->embeds, b->embeds, a->k * a->d, sizeof *a->embeds);
    same("place", recipe, a->place, b->place, 6 * a->k, sizeof *a->place);
    same("index", recipe, a->index, b->index, a->k, sizeof *a->index);
    same("sizes", recipe, a->sizes, b->sizes, a->k, sizeof *a->sizes);
    same("scores", recipe, a->scores, b->scores, a->n, sizeof *a->scores);
    same("pts", recipe, a->pts, b->pts, 2 * a->grid[0], sizeof *a->pts);
    same("mrope", recipe, a->mrope, b->mrope, 3 * a->k, sizeof *a->mrope);
    same("pooled", recipe, a->pooled, b->pooled, (int64_t)a->grid[0] * a->d, sizeof *a->pooled);
    same("rows of the map", recipe, m->row_start, w->row_start, m->n_out + 1, sizeof *m->row_start);
    same("map", recipe, m->index, w->index, m->row_start[m->n_out], sizeof *m->index);
    same("weights", recipe, m->weight, w->weight, m->row_start[m->n_out], sizeof *m->weight);
}

static void same_timeline(const char *recipe, const timeline *a, const timeline *b)
{
    ck_assert_msg(a->rc == b->rc && !strcmp(a->text, b->text), "%s: '%s', after a reset '%s'", recipe, a->text,
                  b->text);
    ck_assert_msg(a->n == b->n, "%s: %d windows, after a reset %d", recipe, a->n, b->n);
    for (int i = 0; i < a->n; i++) same_window(recipe, pare_result_get(a->window[i]), pare_result_get(b->window[i]));
}

/* What may have happened before. */
static void live(pare_reducer *r, const setting *on, int past)
{
    static const float bad[UNITS] = {0};
    if (past == 0) return;
    for (int t = 0; t < N_FRAME + 1 - past; t++)
        if (push(r, on, 1, t, past != 3)) return;
    if (past == 1) pare_reducer_flush(r, &err);
    if (past != 3) return;
    const pare_frame f = {.struct_size = sizeof f,
                          .rgb = picture[1][0],
                          .stride = 3 * (int64_t)on->side,
                          .width = on->side,
                          .height = on->side,
                          .scores = bad,
                          .scores_width = GRID + 1,
                          .scores_height = GRID};
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
}

static int check(const setting *on, const char *recipe, double keep, int has_scores)
{
    timeline fresh, again;
    pare_reducer_opts o = opts_of(on, recipe, keep);
    pare_reducer *r = NULL;
    int rc = pare_reducer_create(&r, on->model, &o, &err);
    ck_assert_msg(!rc || rc == PARE_E_UNSUPPORTED, "%s: %s", recipe, err.text);
    if (rc) return 0;
    run(r, on, has_scores, &fresh);
    pare_reducer_close(&r);
    o.seed = 99;
    ck_assert_int_eq(pare_reducer_create(&r, on->model, &o, &err), 0);
    for (int past = 0; past < 4; past++) {
        live(r, on, past);
        rc = pare_reducer_reset(r, 5, &err);
        ck_assert_msg(rc == 0, "%s: %s", recipe, err.text);
        run(r, on, has_scores, &again);
        same_timeline(recipe, &fresh, &again);
        drop(&again);
        ck_assert_int_eq(pare_reducer_reset(r, 98, &err), 0);
    }
    rc = fresh.rc;
    drop(&fresh);
    pare_reducer_close(&r);
    return !rc;
}

static int table_size(void)
{
    int n = 0;
    while (pare__selectors[n]) n++;
    return n;
}

START_TEST(a_reset_reducer_is_a_new_one)
{
    static const struct {
        int32_t bit;
        const char *name;
    } sites[] = {{PARE__SITE_FRAMES, "frames"},
                 {PARE__SITE_PATCHES, "patches"},
                 {PARE__SITE_BLOCK, "block"},
                 {PARE__SITE_OUTPUT, "output"}};
    const pare__selector *s = pare__selectors[_i];
    char recipe[128];
    int n = 0;
    for (int k = 0; k < 4; k++) {
        if (!(s->sites & (unsigned)sites[k].bit)) continue;
        const int pixels_only = (s->flags & PARE__USES_SCORE) && sites[k].bit == PARE__SITE_PATCHES;
        snprintf(recipe, sizeof recipe, "%s%s@%s", s->name, pixels_only ? ":score=given" : "", sites[k].name);
        for (int m = 0; m < N_MODEL; m++)
            n += check(&settings[m], recipe, strcmp(s->name, "none") ? 0.61 : 0, !s->plan_grid);
    }
    ck_assert_msg(n > 0, "%s ran nowhere: %s", s->name, err.text);
}
END_TEST

START_TEST(seeds_differ_and_return)
{
    const setting *on = &settings[0];
    const pare_reducer_opts o = opts_of(on, "random@patches", 0.5);
    pare_reducer *r = NULL;
    timeline a, b, c;
    ck_assert_int_eq(pare_reducer_create(&r, on->model, &o, &err), 0);
    run(r, on, 0, &a);
    ck_assert_int_eq(pare_reducer_reset(r, 6, &err), 0);
    run(r, on, 0, &b);
    ck_assert_int_eq(pare_reducer_reset(r, 5, &err), 0);
    run(r, on, 0, &c);
    const pare_result_view *x = pare_result_get(a.window[0]), *y = pare_result_get(b.window[0]);
    ck_assert(memcmp(x->index, y->index, (size_t)x->k * sizeof *x->index) != 0);
    same_timeline("random@patches", &a, &c);
    drop(&a);
    drop(&b);
    drop(&c);
    pare_reducer_close(&r);
}
END_TEST

/* ---- memory and statistics ---------------------------------------------------------------------------------------- */

enum { N_POINTER = 18 };

static void memory_of(const pare_reducer *r, const void *out[N_POINTER])
{
    const void *all[N_POINTER] = {r->encoder, r->pixels,     r->pts,         r->fit,       r->slot,     r->held,
                                  r->goal,    r->segment,    r->mask,        r->given,     r->score,    r->prefix,
                                  r->pooled,  r->unit_index, r->pack_origin, r->encoded.x, r->rows.thw, r->arena.first};
    memcpy(out, all, sizeof all);
}

START_TEST(memory_stays)
{
    const setting *on = &settings[_i];
    const pare_reducer_opts o =
        opts_of(on, "random:keep=.8@patches,stride:keep=.9@block=3,spatial-uniform@output", 0.4);
    const void *before[N_POINTER], *after[N_POINTER];
    pare_reducer *r = NULL;
    timeline t;
    ck_assert_int_eq(pare_reducer_create(&r, on->model, &o, &err), 0);
    run(r, on, 1, &t);
    ck_assert_msg(t.rc == 0, "%s", t.text);
    drop(&t);
    memory_of(r, before);

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pare_reducer_reset(r, 5, &err), 0);
        run(r, on, 1, &t);
        drop(&t);
        memory_of(r, after);
        ck_assert_mem_eq(before, after, sizeof before);
    }
    pare_reducer_close(&r);
}
END_TEST

START_TEST(statistics_go_on)
{
    const setting *on = &settings[0];
    const pare_reducer_opts o = opts_of(on, "stride@output", 0.5);
    pare_reducer_stats one = {.struct_size = sizeof one}, two = {.struct_size = sizeof two};
    pare_reducer *r = NULL;
    timeline t;
    ck_assert_int_eq(pare_reducer_create(&r, on->model, &o, &err), 0);
    run(r, on, 0, &t);
    drop(&t);
    ck_assert_int_eq(pare_reducer_get(r, &one, &err), 0);
    ck_assert_int_eq(one.n_frames, N_FRAME);
    ck_assert_int_eq(pare_reducer_reset(r, 1, &err), 0);
    ck_assert_int_eq(push(r, on, 1, 0, 0), 0); /* forgotten before its window is decided */
    ck_assert_int_eq(pare_reducer_reset(r, 1, &err), 0);
    run(r, on, 0, &t);
    drop(&t);
    ck_assert_int_eq(pare_reducer_get(r, &two, &err), 0);
    ck_assert_int_eq(two.n_frames, 2 * N_FRAME);
    ck_assert_int_eq(two.n_in, 2 * one.n_in);
    ck_assert_int_eq(two.n_out, 2 * one.n_out);
    ck_assert_double_eq(two.flops, 2 * one.flops);
    ck_assert_double_ge(two.encode_ms, one.encode_ms);
    pare_reducer_close(&r);
}
END_TEST

/* ---- floating-point operations ------------------------------------------------------------------------------------ */

static double flops_of(const setting *on, const char *recipe, double keep)
{
    const pare_reducer_opts o = opts_of(on, recipe, keep);
    pare_reducer_stats s = {.struct_size = sizeof s};
    pare_reducer *r = NULL;
    timeline t;
    ck_assert_msg(pare_reducer_create(&r, on->model, &o, &err) == 0, "%s", err.text);
    run(r, on, 1, &t);
    ck_assert_msg(t.rc == 0, "%s: %s", recipe, t.text);
    drop(&t);
    pare_reducer_get(r, &s, &err);
    pare_reducer_close(&r);
    return s.flops;
}

/* A multiply-add is two. Rows of one frame: CLS and n patches. */
static double attend(double n) { return 2 * (4 * n * D * D + 2 * n * n * D); }
static double mlp(double n) { return 2 * (2 * n * D * MLP); }
static double embed(double n) { return 2 * n * D * 3 * 7 * 7; }

START_TEST(flops_are_the_closed_formula)
{
    const setting *vit = &settings[0];
    const double n = 1 + UNITS, half = 1 + UNITS / 2, block = attend(n) + mlp(n), small = attend(half) + mlp(half);
    ck_assert_double_eq(flops_of(vit, "none", 0), N_FRAME * (embed(n) + N_LAYER * block));
    ck_assert_double_eq(flops_of(vit, "stride@output", 0.5), N_FRAME * (embed(n) + N_LAYER * block));
    ck_assert_double_eq(flops_of(vit, "stride@patches", 0.5), N_FRAME * (embed(half) + N_LAYER * small));
    ck_assert_double_eq(flops_of(vit, "stride@block=3", 0.5), N_FRAME * (embed(n) + 3 * block + (N_LAYER - 3) * small));
    /* between attention and MLP */
    ck_assert_double_eq(flops_of(vit, "topk:score=cls-attn@block=3", 0.5),
                        N_FRAME * (embed(n) + 3 * block + attend(n) + mlp(half) + (N_LAYER - 4) * small));
    /* q, k, v and scores of the block itself run ahead, for all */
    const double ahead = 2 * (3 * n * D * D + n * n * D);
    ck_assert_double_eq(flops_of(vit, "mctf@block=3", 0.5),
                        N_FRAME * (embed(n) + 3 * block + ahead + (N_LAYER - 3) * small));
}
END_TEST

/* Windows of 4 x 4 units on a grid of 6 x 6, pairs of frames, gated MLP, units of 4 rows, merger; block 1 sees all. */
START_TEST(flops_of_windows_and_merger)
{
    const setting *qwen = &settings[1];
    const double n = 4 * UNITS, windows = 64.0 * 64 + 2 * 32.0 * 32 + 16.0 * 16, joined = 4 * D;
    const double linears = 2 * n * (4 * D * D + 3 * D * MLP), steps = N_FRAME / 2;
    const double merger = 2 * UNITS * (joined * joined + joined * D);
    const double want =
        2 * n * D * 3 * 2 * 7 * 7 + N_LAYER * linears + 4 * D * (n * n + (N_LAYER - 1) * windows) + merger;
    ck_assert_double_eq(flops_of(qwen, "none", 0), steps * want);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reset");
    TCase *c = tcase_create("reset");
    tcase_set_timeout(c, 600);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, a_reset_reducer_is_a_new_one, 0, table_size());
    tcase_add_test(c, seeds_differ_and_return);
    tcase_add_loop_test(c, memory_stays, 0, N_MODEL);
    tcase_add_test(c, statistics_go_on);
    tcase_add_test(c, flops_are_the_closed_formula);
    tcase_add_test(c, flops_of_windows_and_merger);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
