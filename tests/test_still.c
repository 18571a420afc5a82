/* SPDX-License-Identifier: MIT */
/* Blocks that keep the pixels of the frame before: where pixels are equal the result is that of a reducer that knows no
 * motion, byte by byte, whatever grid, window or padding; a slow fade is not skipped for ever; motion that does not fit the
 * frame is refused; the score of what moves on its own. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/rank.h"
#include "reduce/still.h"
#include "tiny_model.h"

enum { BLOCK = 16, MAX_PIXELS = 320 * 256, MAX_BLOCKS = 512, N_FRAME = 14 };

static pare_model *vit, *qwen; /* units of 8 pixels; of 16, pairs of frames */
static uint8_t picture[MAX_PIXELS * 3], kind[MAX_BLOCKS];
static int16_t vector[MAX_BLOCKS * 2];
static pare_motion motion;
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[] = {
        {.unit = 1, .patch = 8, .dim = 16, .n_layer = 1, .n_head = 2, .photo = 64},
        {.unit = 2, .patch = 8, .dim = 16, .n_layer = 1, .n_head = 2, .photo = 64},
    };
    ck_assert_msg(!tiny_model_open(&vit, &specs[0], &err), "%s", err.text);
    ck_assert_msg(!tiny_model_open(&qwen, &specs[1], &err), "%s", err.text);
}

static void teardown(void)
{
    pare_model_close(&vit);
    pare_model_close(&qwen);
}

/* ---- made-up clips --------------------------------------------------------------------------------------------------- */

static pare_frame frame_of(int32_t width, int32_t height)
{
    motion = (pare_motion){.struct_size = sizeof motion,
                           .frame_type = 'P',
                           .block = BLOCK,
                           .rows = (height + BLOCK - 1) / BLOCK,
                           .cols = (width + BLOCK - 1) / BLOCK,
                           .vector = vector,
                           .kind = kind};
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = picture,
                        .stride = 3 * (int64_t)width,
                        .width = width,
                        .height = height,
                        .motion = &motion};
}

static void fill(pare__rng *r, const pare_frame *f, int32_t block)
{
    const int32_t x0 = block % motion.cols * BLOCK, y0 = block / motion.cols * BLOCK;
    for (int32_t y = y0; y < y0 + BLOCK && y < f->height; y++)
        for (int32_t x = 3 * x0; x < 3 * (x0 + BLOCK) && x < 3 * f->width; x++)
            picture[y * f->stride + x] = (uint8_t)pare__rng_below(r, 256);
}

/* New pixels in about a tenth of the blocks; every other one of them moved, the rest claim to be still, and so do all
 * whose pixels stay, but a few. */
static void change(pare__rng *r, const pare_frame *f)
{
    for (int32_t b = 0; b < motion.rows * motion.cols; b++) {
        const uint64_t dice = pare__rng_below(r, 20);
        kind[b] = dice == 0 || dice == 2 ? PARE_BLOCK_MOVED : PARE_BLOCK_STILL;
        if (dice < 2) fill(r, f, b);
    }
}

static void first_picture(pare__rng *r, const pare_frame *f)
{
    for (int32_t b = 0; b < motion.rows * motion.cols; b++) {
        fill(r, f, b);
        kind[b] = PARE_BLOCK_INTRA;
    }
}

/* ---- the same result ------------------------------------------------------------------------------------------------- */

typedef struct shape {
    int32_t is_qwen, width, height, grid_w, grid_h, letterbox, window;
} shape;

static const shape shapes[] = {
    {0, 160, 128, 80, 64, 0, 4}, {0, 167, 123, 64, 48, 0, 3}, {0, 96, 160, 80, 80, 1, 5},
    {0, 80, 64, 160, 128, 0, 4}, {0, 80, 64, 80, 64, 0, 3},   {1, 200, 150, 96, 64, 0, 2},
    {0, 200, 64, 104, 64, 0, 4}, {0, 64, 200, 64, 104, 0, 4}, {1, 161, 97, 64, 64, 1, 3},
};

static pare_reducer *open_reducer(const shape *s)
{
    pare_reducer *r;
    const pare_reducer_opts o = {.struct_size = sizeof o,
                                 .recipe = "none",
                                 .video = 1,
                                 .width = s->grid_w,
                                 .height = s->grid_h,
                                 .letterbox = s->letterbox,
                                 .window = s->window,
                                 .n_threads = 2};
    ck_assert_msg(!pare_reducer_create(&r, s->is_qwen ? qwen : vit, &o, &err), "%s", err.text);
    return r;
}

static void expect_same_results(pare_reducer *a, pare_reducer *b)
{
    for (;;) {
        pare_result *x, *y;
        const int rc = pare_reducer_pull(a, &x, NULL);
        ck_assert_int_eq(pare_reducer_pull(b, &y, NULL), rc);
        if (rc) return;
        const pare_result_view *v = pare_result_get(x), *w = pare_result_get(y);
        ck_assert_int_eq(v->k, w->k);
        ck_assert_mem_eq(v->embeds, w->embeds, (size_t)(v->k * v->d) * sizeof(float));
        pare_result_free(&x);
        pare_result_free(&y);
    }
}

START_TEST(equal_pixels_equal_bytes)
{
    const shape *s = &shapes[_i];
    pare__rng rng = pare__rng_make(3, (uint64_t)_i, 0);
    pare_frame f = frame_of(s->width, s->height);
    pare_reducer *with = open_reducer(s), *without = open_reducer(s);
    first_picture(&rng, &f);
    for (int i = 0; i < N_FRAME; i++) {
        if (i) change(&rng, &f);
        f.pts = i;
        f.motion = i == 9 ? NULL : &motion; /* one frame in between tells nothing */
        ck_assert_msg(!pare_reducer_push(with, &f, &err), "%s", err.text);
        f.motion = NULL;
        ck_assert_msg(!pare_reducer_push(without, &f, &err), "%s", err.text);
        expect_same_results(with, without);
    }
    ck_assert_int_eq(pare_reducer_flush(with, &err), 0);
    ck_assert_int_eq(pare_reducer_flush(without, &err), 0);
    expect_same_results(with, without);
    pare_reducer_stats stats = {.struct_size = sizeof stats};
    ck_assert_int_eq(pare_reducer_get(with, &stats, NULL), 0);
    ck_assert_int_eq(stats.n_block, (N_FRAME - 1) * motion.rows * motion.cols);
    ck_assert_int_gt(stats.n_still, stats.n_block / 2);
    ck_assert_int_lt(stats.n_still, stats.n_block);
    ck_assert_int_eq(pare_reducer_get(without, &stats, NULL), 0);
    ck_assert_int_eq(stats.n_block + stats.n_still, 0);
    pare_reducer_close(&with);
    pare_reducer_close(&without);
}
END_TEST

/* ---- what is alike --------------------------------------------------------------------------------------------------- */

static const pare__fit fit = {
    .src_width = 160, .src_height = 128, .resized_width = 80, .resized_height = 64, .width = 80, .height = 64};

static int32_t take(pare__still *s, const pare_frame *f, int64_t *n_new)
{
    pare__changed changed;
    ck_assert_int_eq(pare__still_take(s, f, &fit, PARE__RESAMPLE_BICUBIC, &changed), 0);
    *n_new = 0;
    for (int64_t i = 0; i < (int64_t)changed.rows * changed.cols; i++) *n_new += changed.is_new[i];
    return changed.is_all;
}

/* Every frame a level brighter: no step is seen, but the sum of them is, again and again. */
START_TEST(a_slow_fade_is_seen)
{
    pare__still s = {0};
    const pare_frame f = frame_of(fit.src_width, fit.src_height);
    int64_t n_new;
    int n_again = 0;
    memset(picture, 100, sizeof picture);
    memset(kind, PARE_BLOCK_STILL, sizeof kind);
    ck_assert_int_eq(take(&s, &f, &n_new), 1);
    for (int i = 1; i <= 30; i++) {
        memset(picture, 100 + i, sizeof picture);
        ck_assert_int_eq(take(&s, &f, &n_new), 0);
        ck_assert(n_new == 0 || n_new == (int64_t)motion.rows * motion.cols);
        n_again += n_new > 0;
    }
    ck_assert_int_eq(n_again, 10); /* at every third level */
    pare__still_fini(&s);
}
END_TEST

/* A single changed block is all that is new. */
START_TEST(a_changed_block_stays_local)
{
    pare__still s = {0};
    const pare_frame f = frame_of(fit.src_width, fit.src_height);
    int64_t n_new;
    memset(picture, 100, sizeof picture);
    memset(kind, PARE_BLOCK_STILL, sizeof kind);
    ck_assert_int_eq(take(&s, &f, &n_new), 1);
    for (int32_t b = 0; b < motion.rows * motion.cols; b++) {
        kind[b] = PARE_BLOCK_MOVED;
        ck_assert_int_eq(take(&s, &f, &n_new), 0);
        ck_assert_int_eq(n_new, 1);
        kind[b] = PARE_BLOCK_STILL;
    }
    pare__still_forget(&s);
    ck_assert_int_eq(take(&s, &f, &n_new), 1);
    pare__still_fini(&s);
}
END_TEST

/* ---- the score that reads it ------------------------------------------------------------------------------------------ */

/* Pixels that never change; all blocks move alike but one, whose units are all that is kept of the second frame. */
START_TEST(what_moves_on_its_own_is_kept)
{
    pare_reducer *r;
    const pare_reducer_opts o = {.struct_size = sizeof o,
                                 .recipe = "topk:score=codec@patches",
                                 .tokens_per_frame = 4,
                                 .video = 1,
                                 .width = 80,
                                 .height = 64,
                                 .window = 2};
    const int32_t way = _i; /* against a still background, a panning one, or without a prediction */
    ck_assert_msg(!pare_reducer_create(&r, vit, &o, &err), "%s", err.text);
    pare_frame f = frame_of(80, 64);
    memset(picture, 100, sizeof picture);
    memset(kind, PARE_BLOCK_INTRA, sizeof kind);
    memset(vector, 0, sizeof vector);
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), 0);
    memset(kind, way == 1 ? PARE_BLOCK_MOVED : PARE_BLOCK_STILL, sizeof kind);
    for (int32_t b = 0; way == 1 && b < motion.rows * motion.cols; b++) vector[2 * b] = 40;
    kind[motion.cols + 2] = way == 2 ? PARE_BLOCK_INTRA : PARE_BLOCK_MOVED;
    vector[2 * (motion.cols + 2)] = way == 2 ? 0 : 20;
    f.pts = 1;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), 0);
    pare_result *result;
    ck_assert_int_eq(pare_reducer_pull(r, &result, NULL), 0);
    const pare_result_view *v = pare_result_get(result);
    ck_assert_int_eq(v->k, 8);
    for (int i = 0; i < 4; i++) {
        const int32_t *place = v->place + 6 * (4 + i);
        ck_assert(place[2] == 1 && place[3] / 2 == 1 && place[4] / 2 == 2);
    }
    pare_result_free(&result);
    pare_reducer_close(&r);
}
END_TEST

START_TEST(motion_must_fit_the_frame)
{
    pare_reducer *r = open_reducer(&shapes[0]);
    pare_frame f = frame_of(160, 128);
    const pare_motion good = motion;
    memset(kind, PARE_BLOCK_STILL, sizeof kind);
    motion.rows++;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "10 x 9 blocks"));
    motion = good;
    motion.block = 8;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    motion = good;
    motion.kind = NULL;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    motion = good;
    motion.struct_size = 4;
    ck_assert_int_eq(pare_reducer_push(r, &f, &err), PARE_E_INVALID);
    motion = good;
    ck_assert_msg(!pare_reducer_push(r, &f, &err), "%s", err.text);
    pare_reducer_close(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("still");
    TCase *tc = tcase_create("still");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, equal_pixels_equal_bytes, 0, (int)(sizeof shapes / sizeof shapes[0]));
    tcase_add_test(tc, a_slow_fade_is_seen);
    tcase_add_test(tc, a_changed_block_stays_local);
    tcase_add_loop_test(tc, what_moves_on_its_own_is_kept, 0, 3);
    tcase_add_test(tc, motion_must_fit_the_frame);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
