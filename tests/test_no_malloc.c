/* SPDX-License-Identifier: MIT */
/* A stream that has warmed up allocates nothing: malloc and its kin are those of this program, and count. Over push and pull
 * of a reducer, with windows of the same shape, for steps at every site, merges, masks, layouts of cameras, and behind the
 * queue of pare_live. Skipped under sanitizers, which bring their own malloc. */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pare/live.h>

#include "core/rank.h"
#include "tiny_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#if !defined(OWN_MALLOC) && defined(__GLIBC__)
#define OWN_MALLOC 1
#elif !defined(OWN_MALLOC)
#define OWN_MALLOC 0
#endif

enum { SIDE = 84, D = 32, WARM = 24, MEASURED = 12, WINDOW = 4, N_FRAME = 16, BLOCKS = (SIDE + 15) / 16 };

static atomic_long n_malloc;
static atomic_int is_counting;

/* ---- the hook ---------------------------------------------------------------------------------------------------- */

#if OWN_MALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static void count(void)
{
    if (atomic_load(&is_counting)) atomic_fetch_add(&n_malloc, 1);
}

void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    count();
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    count();
    return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    count();
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
#endif

/* ---- a stream ---------------------------------------------------------------------------------------------------- */

static pare_model *models[3]; /* DINOv2, Qwen, and the model that ships with pare */
static uint8_t pixels[N_FRAME][SIDE * SIDE * 4], mask[SIDE * SIDE];
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[2] = {{.unit = 1, .patch = 14, .dim = D, .n_layer = 4, .n_head = 2, .photo = SIDE},
                                       {.unit = 2, .patch = 7, .dim = D, .n_layer = 4, .n_head = 2, .photo = SIDE}};
    pare__rng rng = pare__rng_make(5, 0, 0);
    for (int t = 0; t < N_FRAME; t++)
        for (size_t i = 0; i < sizeof pixels[0]; i++)
            pixels[t][i] = t && (i / 512 + (size_t)t) % 3 ? pixels[t - 1][i] : (uint8_t)pare__rng_below(&rng, 256);
    memset(mask, PARE_MASK_FREE, sizeof mask);
    memset(mask, PARE_MASK_KEEP, SIDE * 14);
    memset(mask + (SIDE - 14) * SIDE, PARE_MASK_IGNORE, SIDE * 14);
    for (int i = 0; i < 2; i++) ck_assert_msg(tiny_model_open(&models[i], &specs[i], &err) == 0, "%s", err.text);
    ck_assert_msg(pare_model_open(&models[2], PARE_SAMPLES_DIR "/dinov2-small-q8_0.gguf", &err) == 0, "%s", err.text);
}

static void teardown(void)
{
    for (int i = 0; i < 3; i++) pare_model_close(&models[i]);
}

typedef struct stream {
    const char *recipe;
    int32_t model, pixels, has_mask, has_motion, reuse;
} stream;

static const stream streams[] = {
    {.recipe = "none"},
    {.recipe = "temporal-redundancy@patches"},
    {.recipe = "temporal-redundancy@patches", .pixels = PARE_PIXELS_NV12, .has_mask = 1},
    {.recipe = "temporal-redundancy@patches", .model = 1, .pixels = PARE_PIXELS_I420},
    {.recipe = "temporal-redundancy@patches", .model = 2, .pixels = PARE_PIXELS_NV12},
    {.recipe = "rlt@patches", .pixels = PARE_PIXELS_YUYV},
    {.recipe = "topk:score=motion@patches", .pixels = PARE_PIXELS_BGRA, .has_mask = 1},
    {.recipe = "tome@block"},
    {.recipe = "tome@block", .pixels = PARE_PIXELS_GRAY, .has_mask = 1},
    {.recipe = "topk:score=cls-attn@output", .pixels = PARE_PIXELS_RGBA},
    {.recipe = "topk:score=norm@output", .model = 1, .pixels = PARE_PIXELS_BGR, .has_mask = 1},
    {.recipe = "random", .has_mask = 1},
    {.recipe = "dart"},
    {.recipe = "vidcom2"},
    {.recipe = "temporal-redundancy@patches", .pixels = PARE_PIXELS_NV12, .has_motion = 1},
    {.recipe = "temporal-redundancy@patches", .reuse = PARE_REUSE_CONTEXT},
    {.recipe = "temporal-redundancy@patches",
     .pixels = PARE_PIXELS_NV12,
     .has_motion = 1,
     .reuse = PARE_REUSE_COMPLETE},
};

static pare_frame frame_of(const stream *s, int i)
{
    static const int64_t bytes[PARE_PIXELS_COUNT] = {3, 3, 4, 4, 1, 1, 1, 2};
    uint8_t *at = pixels[i % N_FRAME];
    pare_frame f = {.struct_size = sizeof f,
                    .rgb = at,
                    .stride = bytes[s->pixels] * SIDE,
                    .width = SIDE,
                    .height = SIDE,
                    .pts = i / 15.0,
                    .pixels = s->pixels,
                    .plane = {at + SIDE * SIDE, at + SIDE * SIDE * 5 / 4},
                    .plane_stride = {s->pixels == PARE_PIXELS_I420 ? SIDE / 2 : SIDE, SIDE / 2}};
    static const int16_t vector[BLOCKS * BLOCKS][2];
    static const uint8_t kind[BLOCKS * BLOCKS] = {PARE_BLOCK_STILL, PARE_BLOCK_STILL, PARE_BLOCK_MOVED,
                                                  PARE_BLOCK_STILL};
    static const pare_motion motion = {.struct_size = sizeof motion,
                                       .frame_type = 'P',
                                       .block = 16,
                                       .rows = BLOCKS,
                                       .cols = BLOCKS,
                                       .vector = vector[0],
                                       .kind = kind};
    if (s->has_motion && i % 5) f.motion = &motion;
    if (s->has_mask) f.mask = mask;
    f.mask_width = f.mask_height = SIDE;
    return f;
}

static pare_reducer_opts opts_of(const stream *s)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = s->recipe,
                               .keep = strcmp(s->recipe, "none") ? 0.5 : 0,
                               .window = WINDOW,
                               .video = 1,
                               .n_threads = 2,
                               .reuse = s->reuse,
                               .reference = s->reuse ? 8 : 0,
                               .width = SIDE,
                               .height = SIDE};
}

/* Frames of some windows through a reducer; results are held for one window before they are freed. Assertions allocate,
 * so none is made here. */
static int run(pare_reducer *r, const stream *s, int first, int n_window, pare_result **held)
{
    pare_result *result;
    int rc = 0;
    for (int i = first * WINDOW; rc >= 0 && i < (first + n_window) * WINDOW; i++) {
        const pare_frame f = frame_of(s, i);
        rc = pare_reducer_push(r, &f, &err);
        while (rc == 0 && (rc = pare_reducer_pull(r, &result, &err)) == 0) {
            pare_result_free(held);
            *held = result;
        }
    }
    return rc;
}

static long counted(void)
{
    atomic_store(&is_counting, 0);
    return atomic_exchange(&n_malloc, 0);
}

START_TEST(the_hook_counts)
{
    void *volatile p[4];
    atomic_store(&is_counting, 1);
    p[0] = malloc(10);
    p[1] = aligned_alloc(64, 64);
    p[2] = posix_memalign((void **)&p[3], 64, 64) ? NULL : p[3];
    p[3] = calloc(1, 10);
    const long n = counted();
    for (int i = 0; i < 4; i++) free(p[i]);
    ck_assert_int_eq(n, 4);
}
END_TEST

static void check_stream(const stream *s)
{
    const pare_reducer_opts opts = opts_of(s);
    pare_reducer *r = NULL;
    pare_result *held = NULL;
    ck_assert_msg(pare_reducer_create(&r, models[s->model], &opts, &err) == 0, "%s: %s", s->recipe, err.text);
    atomic_store(&is_counting, 1);
    int rc = run(r, s, 0, WARM, &held);
    const long n_cold = counted();
    atomic_store(&is_counting, 1);
    if (rc == PARE_AGAIN) rc = run(r, s, WARM, MEASURED, &held);
    const long n = counted();
    ck_assert_int_gt(n_cold, 20);
    ck_assert_msg(rc == PARE_AGAIN, "%s: %s", s->recipe, err.text);
    ck_assert_msg(n == 0, "%s, model %d: %ld allocations in %d windows", s->recipe, s->model, n, MEASURED);
    pare_result_free(&held);
    pare_reducer_close(&r);
}

START_TEST(a_warm_reducer_allocates_nothing) { check_stream(&streams[_i]); }
END_TEST

/* Whatever can be asked for a share of the tokens, where it acts by itself; `given` and `custom` are the caller's. */
START_TEST(no_selector_allocates)
{
    pare_list_entry e = {.struct_size = sizeof e};
    int n = 0;
    for (int32_t i = 0; pare_list(PARE_LIST_SELECTORS, i, &e) == 0; i++) {
        stream s = {.recipe = e.name};
        const pare_reducer_opts opts = opts_of(&s);
        pare_reducer *r = NULL;
        if (strncmp(e.name, "custom", 6) == 0 || pare_reducer_create(&r, models[0], &opts, NULL)) continue;
        pare_reducer_close(&r);
        check_stream(&s);
        n++;
    }
    ck_assert_int_ge(n, 30);
}
END_TEST

/* ---- behind a queue ---------------------------------------------------------------------------------------------- */

static int run_live(pare_live *live, const stream *s, int first, int n_window)
{
    pare_result *result = NULL;
    int rc = 0;
    for (int w = first; !rc && w < first + n_window; w++) {
        for (int i = w * WINDOW; !rc && i < (w + 1) * WINDOW; i++) {
            const pare_frame f = frame_of(s, i);
            rc = pare_live_push(live, &f, &err);
        }
        if (!rc) rc = pare_live_pull(live, 60, &result, &err);
        pare_result_free(&result);
    }
    pare_live_stats stats = {.struct_size = sizeof stats};
    return rc ? rc : pare_live_get(live, &stats, &err);
}

/* A failed assertion would close the model under a thread that still encodes: the queue is closed before the first. */
START_TEST(a_warm_queue_allocates_nothing)
{
    const stream *s = &streams[2];
    const pare_reducer_opts reducer = opts_of(s);
    const pare_live_opts opts = {.struct_size = sizeof opts, .reducer = &reducer, .drop = PARE_DROP_OLDEST};
    pare_live *live = NULL;
    ck_assert_msg(pare_live_open(&live, models[s->model], &opts, &err) == 0, "%s", err.text);
    int rc = run_live(live, s, 0, WARM);
    atomic_store(&is_counting, 1);
    if (!rc) rc = run_live(live, s, WARM, MEASURED);
    const long n = counted();
    pare_live_close(&live);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_msg(n == 0, "%ld allocations in %d windows", n, MEASURED);
}
END_TEST

/* Bytes of this process that are in memory. */
static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Pushed as fast as the policy lets: frames are dropped, results come late, and nothing grows. How far the encoder comes
 * meanwhile is the machine's affair: it has touched its memory before. */
START_TEST(ten_thousand_frames_leave_no_trace)
{
    enum { LONG = 10000, FIRST = 1000 };
    const stream *s = &streams[2];
    const pare_reducer_opts reducer = opts_of(s);
    const pare_live_opts opts = {.struct_size = sizeof opts, .reducer = &reducer, .drop = PARE_DROP_OLDEST};
    pare_live_stats stats = {.struct_size = sizeof stats};
    pare_live *live = NULL;
    pare_result *result;
    long before = 0;
    int rc = pare_live_open(&live, models[s->model], &opts, &err);
    if (rc == 0) rc = run_live(live, s, 0, WARM);
    for (int i = WARM * WINDOW; i < LONG && rc >= 0; i++) {
        const pare_frame f = frame_of(s, i);
        rc = pare_live_push(live, &f, &err);
        if (rc == 0 && i % WINDOW == 0) rc = pare_live_pull(live, i % 64 ? 0 : 0.01, &result, &err);
        if (rc == 0 && i % WINDOW == 0) pare_result_free(&result);
        if (i == FIRST) before = resident();
    }
    const long grown = resident() - before;
    if (rc >= 0) rc = pare_live_get(live, &stats, &err);
    pare_live_close(&live);
    ck_assert_msg(rc >= 0, "%s", err.text);
    ck_assert_int_gt(before, 0);
    ck_assert_msg(grown <= 1 << 20, "%ld bytes more after %d frames", grown, LONG);
    ck_assert_int_eq(stats.n_pushed, LONG);
    ck_assert_int_gt(stats.n_decided, 0);
    ck_assert_int_le(stats.n_decided + stats.n_dropped, LONG);
}
END_TEST

int main(void)
{
    if (!OWN_MALLOC) return 77;
    TCase *all = tcase_create("no_malloc");
    tcase_set_timeout(all, 300);
    tcase_add_unchecked_fixture(all, setup, teardown);
    tcase_add_test(all, the_hook_counts);
    tcase_add_loop_test(all, a_warm_reducer_allocates_nothing, 0, sizeof streams / sizeof streams[0]);
    tcase_add_test(all, no_selector_allocates);
    tcase_add_test(all, a_warm_queue_allocates_nothing);
    tcase_add_test(all, ten_thousand_frames_leave_no_trace);
    Suite *suite = suite_create("no_malloc");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
