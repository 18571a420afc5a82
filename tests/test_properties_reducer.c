/* SPDX-License-Identifier: MIT */
/* Promises of every selector at every site through the public API, on two tiny models: one with CLS, one with units of
 * 2 x 2 patches and steps of two frames. Same bytes at any thread count; a photo is reduced alone as among others; masks
 * are honoured; merged duplicates with the log of their size stand for all of them. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "select/allocator.h"
#include "select/score.h"
#include "select/selector.h"
#include "tiny_model.h"

enum { GRID = 6, UNITS = GRID * GRID, N_FRAME = 4, MAX_SIDE = GRID * 14, D = 16, N_MODEL = 2, BUDGET = 18 };

typedef struct setting {
    pare_model *model;
    int32_t side, temporal; /* pixels; frames of a step */
} setting;

static setting settings[N_MODEL];
static uint8_t picture[N_FRAME][MAX_SIDE * MAX_SIDE * 3];
static uint8_t mask[MAX_SIDE * MAX_SIDE], word[UNITS]; /* per pixel, per unit */
static float scores[UNITS], text[2 * D];
static pare_error err;

static const struct {
    int32_t bit;
    const char *name;
} sites[] = {{PARE__SITE_FRAMES, "frames"},
             {PARE__SITE_PATCHES, "patches"},
             {PARE__SITE_BLOCK, "block"},
             {PARE__SITE_OUTPUT, "output"}};
enum { N_SITE = sizeof sites / sizeof sites[0] };

static int table_size(void)
{
    int n = 0;
    while (pare__selectors[n]) n++;
    return n;
}

/* ---- pictures, masks, models ---------------------------------------------------------------------------------------- */

/* Coloured noise in blocks of a quarter unit; every frame changes some of it. */
static void draw_frames(int32_t side)
{
    pare__rng rng = pare__rng_make(21, 0, 0);
    for (int t = 0; t < N_FRAME; t++)
        for (int32_t y = 0; y < side; y++)
            for (int32_t x = 0; x < side; x++) {
                uint8_t *p = picture[t] + 3 * (y * side + x);
                const int is_new = t == 0 || (x / 11 + y / 9 + t) % 4 == 0;
                for (int c = 0; c < 3; c++)
                    p[c] = is_new ? (uint8_t)pare__rng_below(&rng, 256) : picture[t - 1][3 * (y * side + x) + c];
            }
}

static void draw_mask(int32_t side)
{
    pare__rng rng = pare__rng_make(22, 0, 0);
    for (int i = 0; i < UNITS; i++) {
        const int64_t dice = pare__rng_below(&rng, 20);
        word[i] = dice < 3 ? PARE_MASK_IGNORE : dice < 7 ? PARE_MASK_KEEP : PARE_MASK_FREE;
        scores[i] = (float)pare__rng_unit(&rng);
    }
    for (int32_t i = 0; i < side * side; i++) mask[i] = word[i / side * GRID / side * GRID + i % side * GRID / side];
}

static void setup(void)
{
    static const tiny_spec specs[N_MODEL] = {
        {.unit = 1, .patch = 7, .dim = D, .n_layer = 12, .n_head = 2, .photo = 7 * GRID},
        {.unit = 2, .patch = 7, .dim = D, .n_layer = 12, .n_head = 2, .photo = 14 * GRID},
    };
    pare__rng rng = pare__rng_make(23, 0, 0);
    for (int i = 0; i < 2 * D; i++) text[i] = (float)pare__rng_unit(&rng) - 0.5F;
    for (int i = 0; i < N_MODEL; i++) {
        settings[i].side = specs[i].photo;
        settings[i].temporal = specs[i].unit;
        ck_assert_msg(tiny_model_open(&settings[i].model, &specs[i], &err) == 0, "model %d: %s", i, err.text);
    }
}

static void teardown(void)
{
    for (int i = 0; i < N_MODEL; i++) pare_model_close(&settings[i].model);
}

/* ---- one run -------------------------------------------------------------------------------------------------------- */

/* The caller's own selector: the first k rows. */
static int select_first(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)e;
    int rc = 0;
    for (int64_t i = 0; !rc && i < (v->k < 0 ? v->n : v->k); i++) rc = pare_selection_keep(out, i);
    return rc;
}

static const pare_custom custom = {.struct_size = sizeof custom, .select = select_first};

enum { HAS_CARRY = 1 << 30 }; /* beside the selector's own flags */

typedef struct job {
    const setting *on;
    const char *recipe;
    int32_t first, n; /* frames */
    int32_t video, n_threads, has_mask, has_scores, budget;
    double keep;
} job;

static pare_frame frame_at(const job *j, int32_t t)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = picture[t],
                        .stride = 3 * (int64_t)j->on->side,
                        .width = j->on->side,
                        .height = j->on->side,
                        .pts = t / 4.0,
                        .mask = j->has_mask ? mask : NULL,
                        .mask_width = j->has_mask ? j->on->side : 0,
                        .mask_height = j->has_mask ? j->on->side : 0,
                        .scores = j->has_scores ? scores : NULL,
                        .scores_width = GRID,
                        .scores_height = GRID};
}

/* One window of all frames. */
static int run(const job *j, pare_result **out)
{
    pare_frame f[N_FRAME];
    const pare_reducer_opts o = {.struct_size = sizeof o,
                                 .recipe = j->recipe,
                                 .tokens_per_frame = j->budget,
                                 .keep = j->keep,
                                 .video = j->video,
                                 .width = j->on->side,
                                 .height = j->on->side,
                                 .n_threads = j->n_threads,
                                 .custom = &custom,
                                 .text = text,
                                 .n_text = 2,
                                 .d_text = D};
    for (int32_t t = 0; t < j->n; t++) f[t] = frame_at(j, j->first + t);
    return pare_reduce(j->on->model, &o, f, j->n, out, &err);
}

typedef void (*check_fn)(unsigned flags, const job *j);

/* One recipe on both models; a model may lack what it needs (CLS, attention), not both. */
static void over_models(const char *recipe, unsigned flags, const job *like, check_fn check)
{
    int n_run = 0;
    for (int m = 0; m < N_MODEL; m++) {
        job j = *like;
        pare_result *r = NULL;
        j.on = &settings[m];
        j.recipe = recipe;
        draw_frames(j.on->side);
        draw_mask(j.on->side);
        const int rc = run(&j, &r);
        pare_result_free(&r);
        ck_assert_msg(!rc || rc == PARE_E_UNSUPPORTED, "%s on model %d: %s", recipe, m, err.text);
        if (!rc) check(flags, &j);
        n_run += !rc;
    }
    ck_assert_msg(n_run > 0, "%s runs on no model: %s", recipe, err.text);
}

/* Selector i at every site, without a budget where it takes none. */
static void over_sites(int i, const job *like, check_fn check)
{
    const pare__selector *s = pare__selectors[i];
    char recipe[128];
    job j = *like;
    j.has_scores = !s->plan_grid;
    if (!strcmp(s->name, "none")) j.budget = 0;
    for (int k = 0; k < N_SITE; k++) {
        if (!(s->sites & (unsigned)sites[k].bit)) continue;
        const int pixels_only = (s->flags & PARE__USES_SCORE) && sites[k].bit == PARE__SITE_PATCHES;
        snprintf(recipe, sizeof recipe, "%s%s@%s", s->name, pixels_only ? ":score=given" : "", sites[k].name);
        over_models(recipe, s->flags | (s->carry ? HAS_CARRY : 0), &j, check);
    }
}

/* ---- threads -------------------------------------------------------------------------------------------------------- */

static void same_with_threads(unsigned flags, const job *like)
{
    (void)flags;
    pare_result *a = NULL, *b = NULL;
    job j = *like;
    ck_assert_int_eq(run(&j, &a), 0);
    j.n_threads = 2;
    ck_assert_int_eq(run(&j, &b), 0);
    const pare_result_view *x = pare_result_get(a), *y = pare_result_get(b);
    ck_assert_msg(x->k == y->k && !memcmp(x->index, y->index, (size_t)x->k * sizeof *x->index) &&
                      !memcmp(x->embeds, y->embeds, (size_t)(x->k * x->d) * sizeof *x->embeds),
                  "%s differs with two threads", j.recipe);
    for (int64_t i = 0; i < x->k * x->d; i++) ck_assert_msg(isfinite(x->embeds[i]), "%s: not finite", j.recipe);
    pare_result_free(&a);
    pare_result_free(&b);
}

START_TEST(same_bytes_at_any_thread_count)
{
    const job j = {.n = N_FRAME, .video = 1, .n_threads = 1, .budget = BUDGET};
    over_sites(_i, &j, same_with_threads);
}
END_TEST

/* ---- alone and among others ------------------------------------------------------------------------------------------ */

/* Rows of slot `t` of the one are all rows of the other. Floats may differ in their last bits: products are cut by the
 * size of the batch. */
static void same_rows(const pare_result_view *all, int32_t t, const pare_result_view *alone, const char *recipe)
{
    const int64_t first = all->row_start[t], n = all->row_start[t + 1] - first;
    ck_assert_msg(n == alone->k, "%s: photo %d keeps %d rows among others, %d alone", recipe, t, (int)n, (int)alone->k);
    for (int64_t i = 0; i < n; i++) {
        const int32_t *p = all->place + 6 * (first + i), *q = alone->place + 6 * i;
        ck_assert_msg(p[3] == q[3] && p[4] == q[4], "%s: photo %d, row %d is %d %d among others, %d %d alone", recipe,
                      t, (int)i, p[3], p[4], q[3], q[4]);
        for (int64_t c = 0; c < all->d; c++) {
            const float a = all->embeds[(first + i) * all->d + c], b = alone->embeds[i * all->d + c];
            ck_assert_msg(fabsf(a - b) < 2e-3F, "%s: photo %d, row %d: %g among others, %g alone", recipe, t, (int)i,
                          (double)a, (double)b);
        }
    }
}

static void same_alone(unsigned flags, const job *like)
{
    if (flags & (PARE__SCOPE_WINDOW | PARE__RANDOM | HAS_CARRY)) return;
    pare_result *all = NULL, *one = NULL;
    job j = *like;
    ck_assert_int_eq(run(&j, &all), 0);
    j.n = 1;
    for (j.first = 0; j.first < N_FRAME; j.first++) {
        ck_assert_int_eq(run(&j, &one), 0);
        same_rows(pare_result_get(all), j.first, pare_result_get(one), j.recipe);
        pare_result_free(&one);
    }
    pare_result_free(&all);
}

START_TEST(a_photo_alone_is_as_among_others)
{
    const job j = {.n = N_FRAME, .n_threads = 1, .budget = BUDGET};
    over_sites(_i, &j, same_alone);
}
END_TEST

/* ---- nothing taken away ----------------------------------------------------------------------------------------------- */

static void same_as_none(unsigned flags, const job *like)
{
    (void)flags;
    pare_result *all = NULL, *r = NULL;
    job j = *like;
    ck_assert_int_eq(run(&j, &r), 0);
    j.recipe = "none";
    j.keep = 0;
    ck_assert_int_eq(run(&j, &all), 0);
    const pare_result_view *x = pare_result_get(r), *y = pare_result_get(all);
    ck_assert_msg(x->k == y->k && x->k == x->n, "%s: keeps %d of %d", like->recipe, (int)x->k, (int)x->n);
    ck_assert_msg(!memcmp(x->embeds, y->embeds, (size_t)(x->k * x->d) * sizeof *x->embeds), "%s: other bytes",
                  like->recipe);
    pare_result_free(&r);
    pare_result_free(&all);
}

START_TEST(keeping_all_is_no_recipe)
{
    const job j = {.n = N_FRAME, .video = 1, .n_threads = 1, .keep = 1};
    over_sites(_i, &j, same_as_none);
}
END_TEST

/* ---- masks ----------------------------------------------------------------------------------------------------------- */

/* The only member of a row, merged with nothing; else -1. */
static int64_t single(const pare_map *m, int64_t row)
{
    const int64_t n_member = m->member_start ? m->member_start[row + 1] - m->member_start[row] : 1;
    const int is_plain = m->size[row] == 1 && (!m->gain || m->gain[row] == 1);
    return m->row_start[row + 1] - m->row_start[row] == 1 && n_member == 1 && is_plain ? m->index[m->row_start[row]]
                                                                                       : -1;
}

static void mask_holds(unsigned flags, const job *j)
{
    (void)flags;
    pare_result *r = NULL;
    ck_assert_int_eq(run(j, &r), 0);
    const pare_result_view *v = pare_result_get(r);
    const pare_map *m = &v->map;
    if (v->grid[1] == GRID && v->grid[2] == GRID) {
        uint8_t *is_row = calloc((size_t)v->n, 1);
        for (int64_t i = 0; i < v->k; i++) {
            const int64_t only = single(m, i);
            if (only >= 0) is_row[only] = 1;
            ck_assert_msg(word[m->anchor[i] % UNITS] != PARE_MASK_IGNORE, "%s: an ignored unit is a row", j->recipe);
        }
        const int64_t n_member = m->member_start ? m->member_start[m->n_out] : 0;
        for (int64_t i = 0; i < m->row_start[m->n_out]; i++)
            ck_assert_msg(word[m->index[i] % UNITS] != PARE_MASK_IGNORE, "%s: an ignored unit is mixed in", j->recipe);
        for (int64_t i = 0; i < n_member; i++)
            ck_assert_msg(word[m->member[i] % UNITS] != PARE_MASK_IGNORE, "%s: an ignored unit is a member", j->recipe);
        for (int64_t i = 0; i < v->n; i++)
            ck_assert_msg(word[i % UNITS] != PARE_MASK_KEEP || is_row[i], "%s: unit %d must be a row of its own",
                          j->recipe, (int)i);
        free(is_row);
    }
    pare_result_free(&r);
}

START_TEST(masks_are_honoured)
{
    const job j = {.n = N_FRAME, .video = 1, .n_threads = 1, .has_mask = 1, .budget = BUDGET};
    over_sites(_i, &j, mask_holds);
}
END_TEST

/* ---- presets ----------------------------------------------------------------------------------------------------------- */

static int method_count(void)
{
    int n = 0;
    while (pare__methods[n].name) n++;
    return n;
}

START_TEST(methods_keep_the_promises)
{
    job j = {.n = N_FRAME, .video = 1, .n_threads = 1, .has_scores = 1, .budget = BUDGET};
    over_models(pare__methods[_i].name, 0, &j, same_with_threads);
    j.has_mask = 1;
    over_models(pare__methods[_i].name, 0, &j, mask_holds);
}
END_TEST

/* Every score and every allocator under a selector that takes both, at every site of its own. */
static void under_topk(const char *key, const char *name, unsigned at)
{
    job j = {.n = N_FRAME, .video = 1, .n_threads = 1, .has_scores = 1};
    char recipe[128];
    for (int k = 1; k < N_SITE; k++) {
        if (!(at & (unsigned)sites[k].bit)) continue;
        const char *score = strcmp(key, "score") ? ":score=given" : "";
        snprintf(recipe, sizeof recipe, "topk%s:%s=%s@%s", score, key, name, sites[k].name);
        j.has_mask = 0;
        j.keep = 0.4;
        over_models(recipe, 0, &j, same_with_threads);
        j.has_mask = 1;
        j.keep = 0.6;
        over_models(recipe, 0, &j, mask_holds);
    }
}

START_TEST(scores_and_allocators_keep_the_promises)
{
    for (int i = 0; pare__scores[i]; i++) under_topk("score", pare__scores[i]->name, pare__scores[i]->sites);
    for (int i = 0; pare__allocators[i]; i++)
        under_topk("alloc", pare__allocators[i]->name, pare__allocators[i]->sites);
}
END_TEST

/* ---- duplicates ------------------------------------------------------------------------------------------------------ */

/* Neighbours in pairs, each pair one row. */
static int merge_pairs(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    (void)user, (void)e;
    int rc = 0;
    for (int64_t i = 0; !rc && i + 1 < v->n; i += 2) {
        rc = pare_selection_row(out, i);
        if (!rc) rc = pare_selection_add(out, i, 0.5);
        if (!rc) rc = pare_selection_add(out, i + 1, 0.5);
    }
    return rc;
}

/* Largest distance between rows of `less` and the rows of `full` that they stand for. */
static double distance(const pare_result_view *full, const pare_result_view *less)
{
    double worst = 0;
    for (int64_t i = 0; i < less->k; i++)
        for (int64_t j = less->map.row_start[i]; j < less->map.row_start[i + 1]; j++)
            for (int64_t c = 0; c < full->d; c++)
                worst = fmax(worst, fabs((double)full->embeds[less->map.index[j] * full->d + c] -
                                         (double)less->embeds[i * full->d + c]));
    for (int64_t c = 0; c < full->d * full->n_prefix; c++)
        worst = fmax(worst, fabs((double)full->prefix[c] - (double)less->prefix[c]));
    return worst;
}

/* A picture of twins, in a model without positions: the merged half of it, with the log of its sizes in attention, is
 * the whole; without, it is not. */
START_TEST(merged_duplicates_are_the_whole)
{
    static const struct {
        const char *recipe;
        int is_same;
    } cases[] = {
        {"custom@block=0", 1}, {"custom@block=3", 1}, {"tome:r=18@block=0", 1}, {"tome:r=18:prop_attn=0@block=0", 0}};
    static const tiny_spec spec = {
        .unit = 1, .patch = 7, .dim = D, .n_layer = 6, .n_head = 2, .photo = 7 * GRID, .no_position = 1};
    static const pare_custom pairs = {.struct_size = sizeof pairs, .select = merge_pairs};
    pare_model *model = NULL;
    pare_result *full = NULL, *less = NULL;
    const int32_t side = 7 * GRID;
    ck_assert_msg(tiny_model_open(&model, &spec, &err) == 0, "%s", err.text);
    draw_frames(side);
    for (int32_t y = 0; y < side; y++)
        for (int32_t x = 0; x < side; x++)
            if (x / 7 % 2) memcpy(picture[0] + 3 * (y * side + x), picture[0] + 3 * (y * side + x - 7), 3);
    const pare_frame f = {
        .struct_size = sizeof f, .rgb = picture[0], .stride = 3 * side, .width = side, .height = side};
    pare_reducer_opts o = {.struct_size = sizeof o, .n_threads = 1, .custom = &pairs};
    ck_assert_int_eq(pare_reduce(model, &o, &f, 1, &full, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        o.recipe = cases[i].recipe;
        o.tokens_per_frame = strncmp(o.recipe, "custom", 6) ? 0 : UNITS / 2;
        ck_assert_msg(pare_reduce(model, &o, &f, 1, &less, &err) == 0, "%s: %s", o.recipe, err.text);
        const double d = distance(pare_result_get(full), pare_result_get(less));
        ck_assert_int_eq(pare_result_get(less)->k, UNITS / 2);
        ck_assert_msg(cases[i].is_same ? d < 1e-4 : d > 1e-3, "%s: %g from the full encoder", o.recipe, d);
        pare_result_free(&less);
    }
    pare_result_free(&full);
    pare_model_close(&model);
}
END_TEST

Suite *properties_reducer_suite(void);

Suite *properties_reducer_suite(void)
{
    Suite *s = suite_create("properties in results");
    TCase *c = tcase_create("reducer");
    tcase_set_timeout(c, 600);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, same_bytes_at_any_thread_count, 0, table_size());
    tcase_add_loop_test(c, a_photo_alone_is_as_among_others, 0, table_size());
    tcase_add_loop_test(c, keeping_all_is_no_recipe, 0, table_size());
    tcase_add_loop_test(c, masks_are_honoured, 0, table_size());
    tcase_add_loop_test(c, methods_keep_the_promises, 0, method_count());
    tcase_add_test(c, scores_and_allocators_keep_the_promises);
    tcase_add_test(c, merged_duplicates_are_the_whole);
    suite_add_tcase(s, c);
    return s;
}
