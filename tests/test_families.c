/* SPDX-License-Identifier: MIT */
/* Every family through the reducer: exact counts in units, survivors at the places of the full run, a budget of everything
 * equal to the full run bit for bit, the full run equal to the trace, captured features equal to a run of their own, and
 * counts without pixels equal to those with. Pictures are drawn here. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"
#include "family_cases.h"
#include "model/model.h"

enum { WIDTH = 190, HEIGHT = 130, N_FRAME = 7 };

static uint8_t picture[N_FRAME][HEIGHT * WIDTH * 3];
static pare_error err;

static const char *const recipes[] = {"spatial-uniform@patches",     "tome@block",
                                      "topk:score=mean-attn@output", "topk:score=norm@output",
                                      "topk:score=cls-attn@output",  "prumerge@output"};
enum { N_RECIPE = sizeof recipes / sizeof recipes[0], TOPK = 2 };

static void draw(void)
{
    pare__rng rng = pare__rng_make(3, 1, 4);
    for (int t = 0; t < N_FRAME; t++)
        for (int i = 0; i < HEIGHT * WIDTH; i++) {
            const int x = i % WIDTH, y = i / WIDTH, noise = (int)pare__rng_below(&rng, 40);
            const int inside = x > 15 * t && x < 15 * t + 60 && y > 30 && y < 90;
            picture[t][3 * i] = (uint8_t)(inside ? 200 + noise : x + noise / 2);
            picture[t][3 * i + 1] = (uint8_t)(inside ? 20 + noise : y + noise);
            picture[t][3 * i + 2] = (uint8_t)(((x ^ y) & 127) + noise);
        }
}

static void frames(pare_frame *f, int n)
{
    for (int t = 0; t < n; t++)
        f[t] = (pare_frame){.struct_size = sizeof(pare_frame),
                            .rgb = picture[t],
                            .stride = 3 * WIDTH,
                            .width = WIDTH,
                            .height = HEIGHT,
                            .pts = t / 2.0};
}

/* A photo, or a clip whose last step and last group are not full. */
typedef struct scene {
    const pare_model *m;
    const char *name;
    int video;
} scene;

static pare_reducer_opts options(const scene *s, const char *recipe, double keep)
{
    return (pare_reducer_opts){
        .struct_size = sizeof(pare_reducer_opts), .recipe = recipe, .keep = keep, .video = s->video, .n_threads = 1};
}

static pare_result *reduce(const scene *s, const pare_reducer_opts *o)
{
    pare_frame f[N_FRAME];
    pare_result *r = NULL;
    frames(f, N_FRAME);
    const int rc = pare_reduce(s->m, o, f, s->video ? N_FRAME : 1, &r, &err);
    ck_assert_msg(rc == 0, "%s, video %d, %s: %s", s->name, s->video, o->recipe, err.text);
    return r;
}

static pare_result *run(const scene *s, const char *recipe, double keep)
{
    const pare_reducer_opts o = options(s, recipe, keep);
    return reduce(s, &o);
}

static int is_pooled(const scene *s) { return s->video && s->m->prep.clip_pool > 1; }

/* ---- what must be equal ------------------------------------------------------------------------------------------ */

#define SAME(what, a, b, n)                                                                                            \
    ck_assert_msg(!(a) == !(b) && (!(a) || !memcmp(a, b, (size_t)(n) * sizeof *(a))), "%s, video %d, %s: %s differs",  \
                  s->name, s->video, recipe, what)

static void same_rows(const scene *s, const char *recipe, const pare_result_view *a, const pare_result_view *b)
{
    ck_assert_msg(a->k == b->k && a->d == b->d && a->n_deepstack == b->n_deepstack, "%s, %s: %lld and %lld rows",
                  s->name, recipe, (long long)a->k, (long long)b->k);
    SAME("embeds", a->embeds, b->embeds, a->k * a->d);
    SAME("deepstack", a->deepstack, b->deepstack, a->n_deepstack * a->k * a->d);
    SAME("place", a->place, b->place, 6 * a->k);
    SAME("index", a->index, b->index, a->k);
    SAME("sizes", a->sizes, b->sizes, a->k);
}

static void same_result(const scene *s, const char *recipe, const pare_result_view *a, const pare_result_view *b)
{
    same_rows(s, recipe, a, b);
    SAME("box", a->box, b->box, 4 * a->k);
    SAME("kind", a->kind, b->kind, a->k);
    SAME("mrope", a->mrope, b->mrope, 3 * a->k);
    SAME("prefix", a->prefix, b->prefix, (int64_t)a->grid[0] * a->n_prefix * a->d);
    SAME("pooled", a->pooled, b->pooled, (int64_t)a->grid[0] * a->d);
    SAME("logits", a->logits, b->logits, (int64_t)a->grid[0] * a->n_class);
    SAME("image_embeds", a->image_embeds, b->image_embeds, (int64_t)a->grid[0] * a->n_embed);
    SAME("newline", a->newline, b->newline, a->d);
}

/* ---- counts and places ------------------------------------------------------------------------------------------- */

/* What a budget counts at this step: units, or pooled rows. */
static int64_t budget_units(const scene *s, const char *recipe, const pare_result_view *full)
{
    return is_pooled(s) && strstr(recipe, "@output") ? full->k : full->n;
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

/* Rows; or, where pooling follows the step, the sizes of the rows that it reads. */
static void check_count(const scene *s, const char *recipe, const pare_result_view *full, const pare_result_view *v)
{
    const int64_t want = (int64_t)floor(.5 * (double)budget_units(s, recipe, full) + .5);
    const int is_hidden = is_pooled(s) && !strstr(recipe, "@output"), merges = !strncmp(recipe, "tome", 4);
    if (!is_hidden) ck_assert_msg(v->k == want, "%s, %s: %d rows, not %d", s->name, recipe, (int)v->k, (int)want);
    const double patches = merges ? (double)v->n : is_hidden ? (double)want : 0;
    const double sum = sum_of(v->map.size, v->k);
    if (patches > 0)
        ck_assert_msg(fabs(sum - patches) < 1e-3, "%s, %s: sizes of %g, not %g", s->name, recipe, sum, patches);
}

/* A row's place is that of the unit it is numbered by. */
static void check_place(const scene *s, const char *recipe, const pare_result_view *v, int64_t row)
{
    const int32_t *place = v->place + 6 * row;
    int32_t t = 0;
    while (t + 1 < v->grid[0] && v->unit_start[t + 1] <= v->index[row]) t++;
    const pare_slot *slot = &v->slot[t];
    const int64_t unit = v->index[row] - v->unit_start[t];
    const int32_t want[5] = {slot->media, slot->tile, slot->t, (int32_t)(unit / slot->grid_w),
                             (int32_t)(unit % slot->grid_w)};
    ck_assert_msg(!memcmp(place, want, sizeof want), "%s, %s: row %d at %d %d %d %d %d", s->name, recipe, (int)row,
                  place[0], place[1], place[2], place[3], place[4]);
}

static int64_t row_of(const pare_result_view *full, int64_t index)
{
    for (int64_t i = 0; i < full->k; i++)
        if (full->index[i] == index) return i;
    return -1;
}

static void check_places(const scene *s, const char *recipe, const pare_result_view *full, const pare_result_view *v)
{
    for (int64_t i = 0; i < v->k; i++) {
        check_place(s, recipe, v, i);
        ck_assert(i == 0 || v->index[i] > v->index[i - 1]);
        const int64_t j = row_of(full, v->index[i]);
        if (is_pooled(s)) continue; /* pooled over what is left: another unit may be the one it stands at */
        ck_assert_int_ge(j, 0);
        if (v->mrope) ck_assert(!memcmp(v->mrope + 3 * i, full->mrope + 3 * j, 3 * sizeof *v->mrope));
        if (v->place[6 * i + 5] == 0)
            ck_assert(!memcmp(v->box + 4 * i, full->box + 4 * j, 4 * sizeof *v->box) && v->kind[i] == full->kind[j]);
    }
}

static void reduce_all(const scene *s)
{
    pare_result *full = run(s, "none", 0);
    const pare_result_view *all = pare_result_get(full);
    int64_t units = 0;
    for (int32_t t = 0; t < all->grid[0]; t++) units += (int64_t)all->slot[t].grid_h * all->slot[t].grid_w;
    ck_assert_int_eq(all->n, units);
    if (!is_pooled(s)) ck_assert_int_eq(all->k, units);
    pare_reducer_opts o = options(s, "none", 0);
    o.n_threads = 3;
    pare_result *threads = reduce(s, &o);
    same_result(s, "three threads", all, pare_result_get(threads));
    pare_result_free(&threads);
    for (int i = 0; i < N_RECIPE; i++) {
        pare_result *half = run(s, recipes[i], .5), *same = run(s, recipes[i], 1);
        check_count(s, recipes[i], all, pare_result_get(half));
        check_places(s, recipes[i], all, pare_result_get(half));
        same_result(s, recipes[i], all, pare_result_get(same));
        pare_result_free(&half);
        pare_result_free(&same);
    }
    pare_result_free(&full);
}

START_TEST(counts_and_places_are_exact)
{
    pare_model *m = family_case_open(_i);
    for (int video = 0; video < 2; video++) reduce_all(&(scene){.m = m, .name = family_cases[_i].name, .video = video});
    pare_model_close(&m);
}
END_TEST

/* ---- captured features ------------------------------------------------------------------------------------------- */

static void capture_all(const scene *s)
{
    pare_reducer_opts o = options(s, "none", 0);
    o.capture = recipes + TOPK;
    o.n_capture = N_RECIPE - TOPK;
    pare_result *all = reduce(s, &o), *plain = run(s, "none", 0);
    const pare_result_view *v = pare_result_get(all);
    same_result(s, "capture", pare_result_get(plain), v);
    for (int i = TOPK; i < N_RECIPE; i++)
        for (int keep = 1; keep < 4; keep++) {
            const pare_reducer_opts half = options(s, recipes[i], keep / 4.0);
            pare_result *direct = reduce(s, &half), *later = NULL;
            ck_assert_msg(!pare_reduce_tokens(v->features, v->n_features, &half, &later, &err), "%s: %s", s->name,
                          err.text);
            same_rows(s, recipes[i], pare_result_get(direct), pare_result_get(later));
            pare_result_free(&direct);
            pare_result_free(&later);
        }
    pare_result_free(&all);
    pare_result_free(&plain);
}

START_TEST(features_reduce_as_the_window_would)
{
    pare_model *m = family_case_open(_i);
    for (int video = 0; video < 2; video++)
        capture_all(&(scene){.m = m, .name = family_cases[_i].name, .video = video});
    pare_model_close(&m);
}
END_TEST

/* ---- the trace --------------------------------------------------------------------------------------------------- */

/* The last stage of a kind: what leaves the encoder picture by picture, and what the language model receives. */
typedef struct stages {
    pare_tensor tokens, received;
    float *data[2];
} stages;

static int keep_stage(pare_tensor *to, float **data, const pare_tensor *t)
{
    free(*data);
    *data = malloc((size_t)(pare_tensor_count(t) + 1) * sizeof **data);
    pare_tensor_to_f32(t, *data);
    *to = *t;
    return 0;
}

static int on_stage(void *user, const pare_tensor *t)
{
    stages *s = user;
    const int is_packed = !strcmp(t->name, "projected");
    if (is_packed) keep_stage(&s->received, &s->data[1], t);
    if (!strcmp(t->name, "last_hidden") || !strcmp(t->name, "projector_out") || (is_packed && t->n_dim == 3))
        keep_stage(&s->tokens, &s->data[0], t);
    return 0;
}

static int64_t rows_of(const pare_tensor *t)
{
    int64_t n = 1;
    for (int32_t i = 0; i + 1 < t->n_dim; i++) n *= t->shape[i];
    return n;
}

/* Rows `from` [n, d] of the trace against those of the result; the trace computes other packs. */
static void near_rows(const scene *s, const float *from, const float *rows, int64_t n, int64_t d)
{
    double square = 0, worst = 0;
    for (int64_t i = 0; i < n * d; i++) {
        square += (double)from[i] * (double)from[i];
        worst = fmax(worst, fabs((double)from[i] - (double)rows[i]));
    }
    const double rms = sqrt(square / (double)(n * d + 1));
    ck_assert_msg(worst <= 1e-4 * rms, "%s, video %d: %g away, rms %g", s->name, s->video, worst, rms);
}

/* Rows of picture t are the first of the trace's picture t behind the prefix; others are padding. */
static void compare_pictures(const scene *s, const stages *st, const pare_result_view *v, int64_t prefix)
{
    const int64_t d = v->d, rows = rows_of(&st->tokens);
    const int is_flat = st->tokens.n_dim == 2, per = is_flat ? 0 : (int)(rows / v->grid[0]);
    ck_assert_int_eq(st->tokens.shape[st->tokens.n_dim - 1], d);
    if (is_flat) ck_assert_int_eq(rows, v->k);
    for (int32_t t = 0; t < v->grid[0]; t++) {
        const int64_t first = v->row_start[t], n = v->row_start[t + 1] - first, at = is_flat ? first : t * per + prefix;
        ck_assert_int_le(at + n, rows);
        near_rows(s, st->data[0] + at * d, v->embeds + first * d, n, d);
    }
}

/* The full run against the trace of the same picture; then tokens that the language model receives. */
static void trace_one(const scene *s)
{
    const pare_trace_opts o = {.struct_size = sizeof o, .interpolate = 1, .video = s->video, .n_threads = 1};
    stages st = {.data = {NULL, NULL}};
    pare_frame f[N_FRAME];
    pare_model_plan plan = {.struct_size = sizeof plan};
    frames(f, N_FRAME);
    const int n_frame = s->video ? N_FRAME : 1;
    ck_assert_msg(!pare_trace(s->m, &o, NULL, f, n_frame, on_stage, &st, &err), "%s: %s", s->name, err.text);
    ck_assert_msg(!pare_model_plan_get(s->m, WIDTH, HEIGHT, s->video ? N_FRAME : 0, 0, 0, &plan, &err), "%s: %s",
                  s->name, err.text);
    pare_result *full = run(s, "none", 0);
    const pare_result_view *v = pare_result_get(full);
    ck_assert_int_eq(plan.n_slot, v->grid[0]);
    ck_assert_int_eq(plan.n_units, v->n);
    ck_assert_int_eq(plan.grid_h, v->slot[0].grid_h);
    ck_assert_int_eq(plan.tile_rows, v->slot[0].tile_rows);
    if (is_pooled(s))
        near_rows(s, st.data[1], v->embeds, v->k, v->d);
    else
        compare_pictures(s, &st, v, s->m->hp.has_projector ? 0 : s->m->hp.n_prefix);
    ck_assert_int_eq(plan.n_tokens, s->m->hp.has_projector ? rows_of(&st.received) : v->n);
    pare_result_free(&full);
    free(st.data[0]);
    free(st.data[1]);
}

START_TEST(the_full_run_is_the_trace)
{
    pare_model *m = family_case_open(_i);
    for (int video = 0; video <= m->hp.fixed_grid; video++)
        trace_one(&(scene){.m = m, .name = family_cases[_i].name, .video = video});
    pare_model_close(&m);
}
END_TEST

/* ---- steps that attend to each other ----------------------------------------------------------------------------- */

/* Groups do not depend on the window, which holds whole ones; the head speaks of a group. */
START_TEST(groups_of_steps_stay_together)
{
    pare_model *m = family_case_open(_i);
    const scene s = {.m = m, .name = family_cases[_i].name, .video = 1};
    pare_frame f[N_FRAME];
    pare_reducer_opts o = options(&s, "none", 0);
    pare_reducer *r = NULL;
    pare_result *whole = run(&s, "none", 0), *part = NULL;
    const pare_result_view *all = pare_result_get(whole);
    const int32_t steps = m->hp.steps > 1 ? m->hp.steps : 1;
    int64_t row = 0;
    o.window = 1;
    frames(f, N_FRAME);
    ck_assert_msg(!pare_reducer_create(&r, m, &o, &err), "%s", err.text);
    for (int t = 0; t < N_FRAME; t++) ck_assert_msg(!pare_reducer_push(r, &f[t], &err), "%s", err.text);
    ck_assert_msg(!pare_reducer_flush(r, &err), "%s", err.text);
    while (!pare_reducer_pull(r, &part, &err)) {
        const pare_result_view *v = pare_result_get(part);
        ck_assert_int_le(v->grid[0], steps);
        near_rows(&s, all->embeds + row * all->d, v->embeds, v->k, v->d);
        for (int32_t t = 1; t < v->grid[0]; t++)
            ck_assert(!memcmp(v->pooled, v->pooled + (int64_t)t * v->d, (size_t)v->d * sizeof(float)));
        row += v->k;
        pare_result_free(&part);
    }
    ck_assert_int_eq(row, all->k);
    pare_reducer_close(&r);
    pare_result_free(&whole);
    pare_model_close(&m);
}
END_TEST

/* ---- blocks behind the tap --------------------------------------------------------------------------------------- */

/* Layers are those of the whole tower; nobody acts behind the tap, and "the last" is the last that is run. */
START_TEST(nothing_acts_behind_the_tap)
{
    pare_model *m = family_case_open(_i);
    const scene s = {.m = m, .name = family_cases[_i].name};
    const int32_t last = m->hp.tap - 1, behind = m->hp.n_layer - 1 - last;
    char recipe[96];
    pare_reducer *r = NULL;
    snprintf(recipe, sizeof recipe, "tome@block=%d", last + 1);
    const pare_reducer_opts o = options(&s, recipe, .5);
    ck_assert_int_eq(pare_reducer_create(&r, m, &o, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "runs blocks"));
    snprintf(recipe, sizeof recipe, "topk:score=mean-attn:layer=%d@output", last);
    pare_result *want = run(&s, recipe, .5);
    for (int32_t i = 1; i <= 1 + behind; i++) {
        snprintf(recipe, sizeof recipe, "topk:score=mean-attn:layer=%d@output", -i);
        pare_result *got = run(&s, recipe, .5);
        same_rows(&s, recipe, pare_result_get(want), pare_result_get(got));
        pare_result_free(&got);
    }
    pare_result_free(&want);
    pare_model_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("families");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 600);
    family_cases_find();
    draw();
    tcase_add_loop_test(c, counts_and_places_are_exact, 0, n_family_case);
    tcase_add_loop_test(c, features_reduce_as_the_window_would, 0, n_family_case);
    tcase_add_loop_test(c, the_full_run_is_the_trace, 0, n_family_case);
    tcase_add_loop_test(c, groups_of_steps_stay_together, 0, n_family_case);
    tcase_add_loop_test(c, nothing_acts_behind_the_tap, 0, n_family_case);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed || n_family_case == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
