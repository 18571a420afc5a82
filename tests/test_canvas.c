/* SPDX-License-Identifier: MIT */
/* The canvas holds, at every place and step, the token of the latest row that stood for it: against brute force over
 * features without an encoder, with pruned, merged and temporal rows. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <pare/canvas.h>

#include "core/rank.h"

enum { T = 5, H = 3, W = 4, D = 6, N = T * H * W, UNITS = H * W };

static void make_features(float *token, uint64_t seed)
{
    pare__rng rng = pare__rng_make(seed, 0, 0);
    for (int32_t i = 0; i < N * D; i++) token[i] = (float)pare__rng_unit(&rng) - .5f;
    for (int32_t u = 0; u < UNITS; u++) /* half of the places stand still */
        for (int32_t t = 1; u % 2 && t < T; t++) memcpy(token + (t * UNITS + u) * D, token + u * D, D * sizeof *token);
}

static pare_result *reduce(const char *recipe, double keep, int32_t width)
{
    float token[N * D];
    const int32_t grid[3] = {T, H, W};
    make_features(token, 3);
    const pare_tensor arrays[] = {{"tokens", PARE_F32, 2, {N, width}, token}, {"grid_thw", PARE_I32, 1, {3}, grid}};
    const pare_reducer_opts opts = {.struct_size = sizeof opts, .recipe = recipe, .keep = keep, .n_frames = T};
    pare_result *r = NULL;
    pare_error err = {0};
    ck_assert_msg(pare_reduce_tokens(arrays, 2, &opts, &r, &err) == 0, "%s", err.text);
    return r;
}

/* The last row that stands for unit u of step t or earlier; -1 = none. */
static int64_t latest_row(const pare_result_view *v, int32_t t, int32_t u, int32_t *step)
{
    const int64_t *start = v->map.member_start ? v->map.member_start : v->map.row_start;
    const int32_t *column = v->map.member_start ? v->map.member : v->map.index;
    for (*step = t; *step >= 0; --*step)
        for (int64_t row = v->k - 1; row >= 0; row--)
            for (int64_t i = start[row]; i < start[row + 1]; i++)
                if (column[i] == *step * UNITS + u) return row;
    return -1;
}

static void check_against(const pare_result_view *v, const pare_canvas_view *c, int32_t t)
{
    int64_t known = 0;
    for (int32_t u = 0; u < UNITS; u++) {
        int32_t step;
        const int64_t row = latest_row(v, t, u, &step);
        const float nothing[D] = {0};
        known += row >= 0;
        ck_assert_int_eq(c->step[u], row < 0 ? -1 : step);
        ck_assert_int_eq(c->age[u], row < 0 ? -1 : t - step);
        ck_assert_mem_eq(c->embeds + u * D, row < 0 ? nothing : v->embeds + row * D, sizeof nothing);
        if (row >= 0) ck_assert_mem_eq(c->box + 4 * u, v->box + 4 * row, 4 * sizeof(float));
    }
    ck_assert_int_eq(c->n_known, known);
}

START_TEST(holds_the_latest_token_of_every_place)
{
    static const char *const recipes[] = {"random@output", "temporal-redundancy@output", "sttm@output", "pool@output"};
    for (int i = 0; i < 4; i++) {
        pare_result *r = reduce(recipes[i], .5, D);
        const pare_result_view *v = pare_result_get(r);
        pare_canvas *c = NULL;
        ck_assert_int_eq(pare_canvas_create(&c, r, NULL), 0);
        const pare_canvas_view *now = pare_canvas_get(c);
        ck_assert_int_eq(now->n_known, 0);
        ck_assert_int_eq(now->rows, H);
        ck_assert_int_eq(now->cols, W);
        for (int32_t t = 0; t < T; t++) {
            ck_assert_int_eq(pare_canvas_update(c, r, t, NULL), 0);
            check_against(v, now, t);
            ck_assert_int_eq(now->n_step, t + 1);
        }
        pare_canvas_reset(c);
        ck_assert_int_eq(pare_canvas_update(c, r, -1, NULL), 0);
        check_against(v, now, T - 1);
        pare_canvas_close(&c);
        pare_result_free(&r);
    }
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
    pare_result *r = reduce("random@output", .5, D), *narrow = reduce("random@output", .5, D - 1);
    pare_canvas *c = NULL;
    pare_error err = {0};
    ck_assert_int_eq(pare_canvas_create(&c, NULL, &err), PARE_E_INVALID);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(pare_canvas_create(&c, r, &err), 0);
    ck_assert_int_eq(pare_canvas_update(c, r, T, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_canvas_update(c, r, -2, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_canvas_update(c, narrow, 0, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_canvas_update(c, r, 2, &err), 0);
    ck_assert_int_eq(pare_canvas_update(c, r, 2, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_canvas_update(c, r, -1, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_canvas_get(c)->n_step, 1);
    ck_assert_int_eq(pare_canvas_update(c, r, 4, &err), 0);
    ck_assert_ptr_null(pare_canvas_get(NULL));
    pare_canvas_close(&c);
    pare_canvas_close(&c);
    pare_canvas_reset(NULL);
    pare_result_free(&r);
    pare_result_free(&narrow);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("canvas");
    TCase *t = tcase_create("all");
    tcase_add_test(t, holds_the_latest_token_of_every_place);
    tcase_add_test(t, refuses_what_does_not_fit);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
