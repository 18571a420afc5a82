/* SPDX-License-Identifier: MIT */
/* A reducer behind a queue: what comes out is what a reducer alone gives, whatever threads do; back-pressure, both drop
 * policies, true time, cancel from another thread, errors, and results that outlive everything. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <pare/live.h>

#include "core/frame_copy.h"
#include "core/rank.h"
#include "tiny_model.h"

enum { SIDE = 28, GRID = 4, D = 16, N_FRAME = 60, WINDOW = 3 };

static pare_model *model;
static uint8_t nv12[N_FRAME][SIDE * SIDE * 3 / 2];
static pare_error err;

/* Holds the worker inside a window until it is opened; may fail. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int is_open, n_inside, fails;
} gate;

static gate door = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int pass(void *user, const pare_custom_view *v, pare_selection *out, pare_error *e)
{
    gate *g = user;
    pthread_mutex_lock(&g->lock);
    g->n_inside++;
    pthread_cond_broadcast(&g->changed);
    while (!g->is_open) pthread_cond_wait(&g->changed, &g->lock);
    const int fails = g->fails;
    pthread_mutex_unlock(&g->lock);
    for (int64_t i = 0; i < v->k; i++) pare_selection_keep(out, i);
    return fails ? pare_fail(e, PARE_E_INVALID, "the gate fell") : 0;
}

static void set_gate(int is_open, int fails)
{
    pthread_mutex_lock(&door.lock);
    door.is_open = is_open;
    door.fails = fails;
    if (!is_open) door.n_inside = 0;
    pthread_cond_broadcast(&door.changed);
    pthread_mutex_unlock(&door.lock);
}

static void await_inside(void)
{
    pthread_mutex_lock(&door.lock);
    while (!door.n_inside) pthread_cond_wait(&door.changed, &door.lock);
    pthread_mutex_unlock(&door.lock);
}

static const pare_custom custom = {.struct_size = sizeof custom, .select = pass, .user = &door};

static void setup(void)
{
    const tiny_spec spec = {.unit = 1, .patch = 7, .dim = D, .n_layer = 2, .n_head = 2, .photo = SIDE};
    pare__rng rng = pare__rng_make(3, 0, 0);
    for (int t = 0; t < N_FRAME; t++)
        for (size_t i = 0; i < sizeof nv12[0]; i++)
            nv12[t][i] = t && (i / 64 + (size_t)t) % 3 ? nv12[t - 1][i] : (uint8_t)pare__rng_below(&rng, 256);
    ck_assert_msg(tiny_model_open(&model, &spec, &err) == 0, "%s", err.text);
}

static void teardown(void) { pare_model_close(&model); }

/* Frame t, 1/15 s apart but for a pause of a second before frame 20. */
static double time_of(int t) { return t / 15.0 + (t >= 20); }

static pare_frame frame_of(int t)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = nv12[t],
                        .stride = SIDE,
                        .plane = {nv12[t] + SIDE * SIDE},
                        .plane_stride = {SIDE},
                        .width = SIDE,
                        .height = SIDE,
                        .pts = time_of(t),
                        .pixels = PARE_PIXELS_NV12};
}

static pare_reducer_opts reducer_of(const char *recipe)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .keep = 0.5,
                               .window = WINDOW,
                               .video = 1,
                               .width = SIDE,
                               .height = SIDE,
                               .n_threads = 1,
                               .custom = &custom};
}

static pare_live *open_live(const char *recipe, int32_t queue, int32_t drop, double timeout)
{
    const pare_reducer_opts reducer = reducer_of(recipe);
    const pare_live_opts opts = {
        .struct_size = sizeof opts, .reducer = &reducer, .queue = queue, .drop = drop, .timeout = timeout};
    pare_live *live = NULL;
    ck_assert_msg(pare_live_open(&live, model, &opts, &err) == 0, "%s", err.text);
    return live;
}

static pare_live_stats stats_of(pare_live *live)
{
    pare_live_stats s = {.struct_size = sizeof s};
    ck_assert_int_eq(pare_live_get(live, &s, &err), 0);
    return s;
}

/* ---- the same as without a thread -------------------------------------------------------------------------------- */

typedef struct sink {
    pare_live *live;
    pare_result *result[N_FRAME];
    int n, rc;
    double delay;
} sink;

static void *pull_all(void *arg)
{
    sink *s = arg;
    pare_error e;
    while ((s->rc = pare_live_pull(s->live, -1, &s->result[s->n], &e)) == 0) s->n++;
    return NULL;
}

/* A third thread that asks for sums all the time: none may ever shrink. */
typedef struct watcher {
    pare_live *live;
    atomic_int is_over;
    int n_shrunk;
} watcher;

static void *watch_sums(void *arg)
{
    watcher *w = arg;
    pare_live_stats s = {.struct_size = sizeof s};
    pare_reducer_stats sums = {.struct_size = sizeof sums};
    while (!atomic_load(&w->is_over)) {
        const int64_t decided = s.n_decided, frames = sums.n_frames;
        pare_live_get(w->live, &s, NULL);
        pare_live_reducer_get(w->live, &sums, NULL);
        w->n_shrunk += s.n_decided < decided || sums.n_frames < frames || s.n_decided > s.n_pushed;
        sched_yield();
    }
    return NULL;
}

static void same_view(const pare_result_view *a, const pare_result_view *b)
{
    ck_assert_int_eq(a->k, b->k);
    ck_assert_int_eq(a->first_slot, b->first_slot);
    ck_assert_int_eq(memcmp(a->embeds, b->embeds, (size_t)(a->k * a->d) * sizeof(float)), 0);
    ck_assert_int_eq(memcmp(a->place, b->place, (size_t)a->k * 6 * sizeof(int32_t)), 0);
    ck_assert_int_eq(memcmp(a->pts, b->pts, (size_t)a->grid[0] * 2 * sizeof(double)), 0);
}

static void check_against_reducer(const sink *s, const char *recipe)
{
    const pare_reducer_opts opts = reducer_of(recipe);
    pare_reducer *r = NULL;
    pare_result *want = NULL;
    int n = 0;
    ck_assert_int_eq(pare_reducer_create(&r, model, &opts, &err), 0);
    for (int t = 0; t <= N_FRAME; t++) {
        const pare_frame f = frame_of(t < N_FRAME ? t : 0);
        ck_assert_int_eq(t < N_FRAME ? pare_reducer_push(r, &f, &err) : pare_reducer_flush(r, &err), 0);
        for (; pare_reducer_pull(r, &want, &err) == 0; pare_result_free(&want), n++)
            same_view(pare_result_get(s->result[n]), pare_result_get(want));
    }
    ck_assert_int_eq(n, s->n);
    pare_reducer_close(&r);
}

static const char *const recipes[] = {"temporal-redundancy@patches", "rlt@patches", "tome@block", "random@output"};

START_TEST(threads_change_nothing)
{
    set_gate(1, 0);
    sink s = {.live = open_live(recipes[_i], 4, PARE_DROP_NONE, -1)};
    watcher w = {.live = s.live};
    pthread_t puller, asker;
    ck_assert_int_eq(pthread_create(&puller, NULL, pull_all, &s), 0);
    ck_assert_int_eq(pthread_create(&asker, NULL, watch_sums, &w), 0);
    for (int t = 0; t < N_FRAME; t++) {
        const pare_frame f = frame_of(t);
        ck_assert_msg(pare_live_push(s.live, &f, &err) == 0, "%s", err.text);
    }
    ck_assert_int_eq(pare_live_flush(s.live, &err), 0);
    pthread_join(puller, NULL);
    atomic_store(&w.is_over, 1);
    pthread_join(asker, NULL);
    ck_assert_int_eq(w.n_shrunk, 0);
    ck_assert_int_eq(s.rc, PARE_EOF);
    const pare_frame late = frame_of(0);
    ck_assert_int_eq(pare_live_push(s.live, &late, &err), PARE_E_STATE);
    const pare_live_stats st = stats_of(s.live);
    ck_assert_int_eq(st.n_pushed, N_FRAME);
    ck_assert_int_eq(st.n_decided, N_FRAME);
    ck_assert_int_eq(st.n_dropped + st.n_refused, 0);
    ck_assert_int_eq(st.n_results, N_FRAME / WINDOW);
    ck_assert_int_le(st.queue_most, 4);
    ck_assert_int_eq(st.window, WINDOW);
    ck_assert_double_eq_tol(st.look_ahead, time_of(20) - time_of(18), 1e-9);
    ck_assert(st.latency_p50 > 0 && st.latency_p50 <= st.latency_p95 && st.latency_p95 <= st.latency_most);
    pare_reducer_stats sums = {.struct_size = sizeof sums};
    ck_assert_int_eq(pare_live_reducer_get(s.live, &sums, &err), 0);
    ck_assert_int_eq(sums.n_frames, N_FRAME);
    pare_live_close(&s.live); /* results survive it */
    check_against_reducer(&s, recipes[_i]);
    for (int i = 0; i < s.n; i++) pare_result_free(&s.result[i]);
}
END_TEST

START_TEST(a_copied_frame_lacks_nothing)
{
    static uint8_t mask[6] = {0, 128, 255, 1, 2, 3}, kind[2] = {1, 2};
    static float scores[4] = {1, 2, 3, 4};
    static int16_t vector[4] = {1, -2, 3, -4};
    const pare_motion motion = {.struct_size = sizeof motion,
                                .frame_type = 'P',
                                .block = 16,
                                .rows = 1,
                                .cols = 2,
                                .vector = vector,
                                .kind = kind};
    pare__frame_copy copy = {.cap = 0};
    pare_frame f = frame_of(1);
    f.rgb += (int64_t)(SIDE - 1) * SIDE; /* upside down */
    f.stride = -SIDE;
    f.mask = mask;
    f.mask_width = 3;
    f.mask_height = 2;
    f.scores = scores;
    f.scores_width = f.scores_height = 2;
    f.motion = &motion;
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(pare__frame_copy_take(&copy, &f, &err), 0);
        const pare_frame *c = &copy.frame;
        ck_assert_int_eq(c->stride, SIDE);
        for (int y = 0; y < SIDE; y++)
            ck_assert_int_eq(memcmp(c->rgb + y * SIDE, nv12[1] + (SIDE - 1 - y) * SIDE, SIDE), 0);
        ck_assert_int_eq(memcmp(c->plane[0], f.plane[0], SIDE * SIDE / 2), 0);
        ck_assert_int_eq(memcmp(c->mask, mask, sizeof mask), 0);
        ck_assert_int_eq(memcmp(c->scores, scores, sizeof scores), 0);
        ck_assert_int_eq(memcmp(c->motion->vector, vector, sizeof vector), 0);
        ck_assert_int_eq(memcmp(c->motion->kind, kind, sizeof kind), 0);
        ck_assert(c->mask != mask && c->scores != scores && c->motion->kind != kind && c->rgb != f.rgb);
        ck_assert_double_eq(c->pts, f.pts);
    }
    pare__frame_copy_fini(&copy);
}
END_TEST

/* ---- a worker that is busy ----------------------------------------------------------------------------------------- */

/* Frames 0 .. WINDOW - 1 are with the worker, which stands in the gate. */
static pare_live *open_busy(int32_t queue, int32_t drop, double timeout)
{
    set_gate(0, 0);
    pare_live *live = open_live("custom@patches", queue, drop, timeout);
    for (int t = 0; t < WINDOW; t++) {
        const pare_frame f = frame_of(t);
        while (pare_live_push(live, &f, &err) == PARE_AGAIN) continue;
    }
    await_inside();
    return live;
}

static int push(pare_live *live, int t)
{
    const pare_frame f = frame_of(t);
    return pare_live_push(live, &f, &err);
}

/* The times of all that comes out after the gate was opened. */
static int drain(pare_live *live, double *pts)
{
    pare_result *r = NULL;
    int n = 0, rc;
    set_gate(1, 0);
    ck_assert_int_eq(pare_live_flush(live, &err), 0);
    while ((rc = pare_live_pull(live, -1, &r, &err)) == 0) {
        const pare_result_view *v = pare_result_get(r);
        for (int32_t i = 0; i < v->grid[0]; i++) pts[n++] = v->pts[2 * i];
        pare_result_free(&r);
    }
    ck_assert_int_eq(rc, PARE_EOF);
    return n;
}

START_TEST(a_full_queue_pushes_back)
{
    double pts[N_FRAME];
    pare_live *live = open_busy(2, PARE_DROP_NONE, _i ? 0.01 : 0);
    const int64_t before = stats_of(live).n_refused;
    ck_assert_int_eq(push(live, 3), 0);
    ck_assert_int_eq(push(live, 4), 0);
    ck_assert_int_eq(push(live, 5), PARE_AGAIN);
    ck_assert_int_eq(push(live, 5), PARE_AGAIN);
    const pare_live_stats s = stats_of(live);
    ck_assert_int_eq(s.n_refused - before, 2);
    ck_assert_int_eq(s.queue, 2);
    ck_assert_int_eq(s.n_pushed, 5);
    ck_assert_int_eq(drain(live, pts), 5);
    pare_live_close(&live);
}
END_TEST

START_TEST(policies_drop_what_they_say)
{
    static const int kept[2][3] = {{7, 8, 9}, {3, 4, 5}};
    double pts[N_FRAME];
    pare_live *live = open_busy(3, _i ? PARE_DROP_NEWEST : PARE_DROP_OLDEST, 0);
    const int64_t dropped = stats_of(live).n_dropped;
    for (int t = 3; t < 10; t++) ck_assert_int_eq(push(live, t), 0);
    ck_assert_int_eq(dropped, 0);
    ck_assert_int_eq(drain(live, pts), 6);
    const pare_live_stats s = stats_of(live);
    ck_assert_int_eq(s.n_pushed, 10);
    ck_assert_int_eq(s.n_dropped, 4);
    ck_assert_int_eq(s.n_decided, 6);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq(pts[i], time_of(i));
        ck_assert_double_eq(pts[3 + i], time_of(kept[_i][i]));
    }
    pare_live_close(&live);
}
END_TEST

START_TEST(pull_waits_no_longer_than_told)
{
    pare_live *live = open_busy(2, PARE_DROP_NONE, 0);
    pare_result *r = NULL;
    ck_assert_int_eq(pare_live_pull(live, 0, &r, &err), PARE_AGAIN);
    ck_assert_int_eq(pare_live_pull(live, 0.01, &r, &err), PARE_AGAIN);
    ck_assert_ptr_null(r);
    set_gate(1, 0);
    ck_assert_int_eq(pare_live_pull(live, 60, &r, &err), 0);
    pare_live_close(&live);
    pare_result_free(&r);
}
END_TEST

/* ---- ends ---------------------------------------------------------------------------------------------------------- */

static void *cancel_later(void *arg)
{
    await_inside();
    pare_live_cancel(arg);
    set_gate(1, 0);
    return NULL;
}

START_TEST(cancel_wakes_who_waits)
{
    set_gate(0, 0);
    pare_live *live = open_live("custom@patches", 8, PARE_DROP_NONE, -1);
    pare_result *r = NULL;
    pthread_t other;
    ck_assert_int_eq(pthread_create(&other, NULL, cancel_later, live), 0);
    for (int t = 0; t < WINDOW + 2; t++) push(live, t);
    ck_assert_int_eq(pare_live_pull(live, -1, &r, &err), PARE_E_CANCELLED);
    pthread_join(other, NULL);
    ck_assert_int_eq(push(live, 9), PARE_E_CANCELLED);
    ck_assert_int_eq(pare_live_flush(live, &err), PARE_E_CANCELLED);
    ck_assert_ptr_null(r);
    pare_live_close(&live);
    pare_live_close(&live);
}
END_TEST

START_TEST(an_error_reaches_both_sides)
{
    set_gate(1, 1);
    pare_live *live = open_live("custom@patches", 8, PARE_DROP_NONE, -1);
    pare_result *r = NULL;
    for (int t = 0; t < WINDOW; t++) push(live, t);
    ck_assert_int_eq(pare_live_pull(live, -1, &r, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "the gate fell") != NULL, "%s", err.text);
    ck_assert_int_eq(push(live, 5), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "the gate fell") != NULL, "%s", err.text);
    pare_live_close(&live);
}
END_TEST

START_TEST(results_that_nobody_pulls_stop_the_worker)
{
    set_gate(1, 0);
    const pare_reducer_opts reducer = reducer_of("random@output");
    const pare_live_opts opts = {
        .struct_size = sizeof opts, .reducer = &reducer, .queue = 2, .results = 1, .timeout = 2};
    pare_live *live = NULL;
    ck_assert_int_eq(pare_live_open(&live, model, &opts, &err), 0);
    int t = 0;
    while (t < N_FRAME && push(live, t) == 0) t++;
    ck_assert_int_eq(t, 2 * WINDOW + 2); /* one result ready, one in the worker's hand, two frames waiting */
    ck_assert_int_eq(stats_of(live).ready, 1);
    pare_live_close(&live);
}
END_TEST

static void open_fails(const pare_live_opts *opts, const char *text)
{
    pare_live *live = NULL;
    ck_assert_int_eq(pare_live_open(&live, model, opts, &err), PARE_E_INVALID);
    ck_assert_ptr_null(live);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
}

START_TEST(wrong_options_and_frames_are_refused)
{
    volatile int stop = 0;
    pare_reducer_opts reducer = reducer_of("random@output");
    pare_live_opts opts = {.struct_size = sizeof opts, .reducer = &reducer, .queue = -1};
    open_fails(&opts, "queue of -1 frames");
    opts.queue = 0;
    opts.drop = PARE_DROP_COUNT;
    open_fails(&opts, "drop policy 3");
    opts.drop = 0;
    reducer.window = -1;
    open_fails(&opts, "window -1");
    reducer.window = 0;
    reducer.stop = &stop;
    open_fails(&opts, "stop is set by pare_live_cancel");
    reducer.stop = NULL;
    reducer.recipe = "no-such-recipe";
    open_fails(&opts, "no-such-recipe");
    pare_live *live = open_live("random@output", 0, 0, 0);
    pare_frame f = frame_of(0);
    f.plane[0] = NULL;
    ck_assert_int_eq(pare_live_push(live, &f, &err), PARE_E_INVALID);
    ck_assert_int_eq(push(live, 0), 0); /* nothing has happened */
    pare_live_close(&live);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("live");
    tcase_set_timeout(all, 120);
    tcase_add_unchecked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, threads_change_nothing, 0, sizeof recipes / sizeof recipes[0]);
    tcase_add_test(all, a_copied_frame_lacks_nothing);
    tcase_add_loop_test(all, a_full_queue_pushes_back, 0, 2);
    tcase_add_loop_test(all, policies_drop_what_they_say, 0, 2);
    tcase_add_test(all, pull_waits_no_longer_than_told);
    tcase_add_test(all, cancel_wakes_who_waits);
    tcase_add_test(all, an_error_reaches_both_sides);
    tcase_add_test(all, results_that_nobody_pulls_stop_the_worker);
    tcase_add_test(all, wrong_options_and_frames_are_refused);
    Suite *suite = suite_create("live");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
