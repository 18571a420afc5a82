/* SPDX-License-Identifier: MIT */
/* What only some families have in a result file: DeepStack rows tap by tap over all windows, joint embeddings of slots, and
 * the newline once. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "write_util.h"

enum { TAPS = 3, EMBED = 2, N_WINDOW = 3 };

typedef struct extras {
    window w;
    float deepstack[TAPS * K * D], image_embeds[STEPS * EMBED], newline[D];
} extras;

static void setup(void) { make_dir(); }

static void teardown(void) { remove_dir(); }

static float deep_at(int w, int tap, int row, int c) { return (float)(1000 * w + 100 * tap + 10 * row + c); }

static const pare_result_view *make(extras *x, int w)
{
    make_window(&x->w, w);
    for (int s = 0; s < TAPS; s++)
        for (int i = 0; i < K; i++)
            for (int c = 0; c < D; c++) x->deepstack[(s * K + i) * D + c] = deep_at(w, s, i, c);
    for (int i = 0; i < STEPS * EMBED; i++) x->image_embeds[i] = (float)(w + i);
    for (int c = 0; c < D; c++) x->newline[c] = (float)c / 2;
    x->w.v.deepstack = x->deepstack;
    x->w.v.n_deepstack = TAPS;
    x->w.v.image_embeds = x->image_embeds;
    x->w.v.n_embed = EMBED;
    x->w.v.newline = x->newline;
    return &x->w.v;
}

static void write_all(const char *path)
{
    static extras x;
    pare_error err = {0};
    pare_writer *w = NULL;
    const pare_writer_opts opts = {.struct_size = sizeof opts};
    ck_assert_msg(!pare__writer_open(&w, path, &opts, &err), "%s", err.text);
    for (int i = 0; i < N_WINDOW; i++) ck_assert_msg(!pare__writer_append(w, make(&x, i), &err), "%s", err.text);
    ck_assert_msg(!pare__writer_finish(w, 1, &err), "%s", err.text);
    pare__writer_close(&w);
}

START_TEST(taps_are_stacked)
{
    write_all(in_dir("a.safetensors"));
    pare_tensors *t = open_tensors(in_dir("a.safetensors"));
    const pare_tensor *deep = tensor(t, "deepstack", PARE_F32, TAPS);
    ck_assert_int_eq(deep->n_dim, 3);
    ck_assert_int_eq(deep->shape[1], (int64_t)N_WINDOW * K);
    ck_assert_int_eq(deep->shape[2], D);
    for (int s = 0; s < TAPS; s++)
        for (int i = 0; i < N_WINDOW * K; i++)
            for (int c = 0; c < D; c++)
                ck_assert_float_eq(f32_at(deep, ((int64_t)s * N_WINDOW * K + i) * D + c), deep_at(i / K, s, i % K, c));
    ck_assert_ptr_null(pare__tensors_find(t, "deepstack.0"));
    pare__tensors_free(&t);
}
END_TEST

START_TEST(slots_have_embeddings_and_the_newline_is_there_once)
{
    write_all(in_dir("b.safetensors"));
    pare_tensors *t = open_tensors(in_dir("b.safetensors"));
    const pare_tensor *embeds = tensor(t, "image_embeds", PARE_F32, N_WINDOW * STEPS);
    ck_assert_int_eq(embeds->shape[1], EMBED);
    for (int i = 0; i < N_WINDOW * STEPS * EMBED; i++)
        ck_assert_float_eq(f32_at(embeds, i), (float)(i / (STEPS * EMBED) + i % (STEPS * EMBED)));
    const pare_tensor *newline = tensor(t, "newline", PARE_F32, D);
    ck_assert_int_eq(newline->n_dim, 1);
    for (int c = 0; c < D; c++) ck_assert_float_eq(f32_at(newline, c), (float)c / 2);
    pare__tensors_free(&t);
}
END_TEST

/* A clip without rows at all still has its taps. */
START_TEST(no_rows_are_rows_too)
{
    static extras x;
    pare_error err = {0};
    pare_writer *w = NULL;
    const pare_writer_opts opts = {.struct_size = sizeof opts};
    make(&x, 0);
    x.w.v.k = x.w.v.map.n_out = 0;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("c.safetensors"), &opts, &err), 0);
    ck_assert_msg(!pare__writer_append(w, &x.w.v, &err), "%s", err.text);
    ck_assert_msg(!pare__writer_finish(w, 1, &err), "%s", err.text);
    pare__writer_close(&w);
    pare_tensors *t = open_tensors(in_dir("c.safetensors"));
    const pare_tensor *deep = tensor(t, "deepstack", PARE_F32, TAPS);
    ck_assert(deep->shape[1] == 0 && deep->shape[2] == D);
    pare__tensors_free(&t);
}
END_TEST

START_TEST(windows_must_agree)
{
    static extras x;
    static const char *const what[] = {"DeepStack", "embedding", "newline"};
    for (int i = 0; i < 3; i++) {
        pare_error err = {0};
        pare_writer *w = NULL;
        const pare_writer_opts opts = {.struct_size = sizeof opts};
        ck_assert_int_eq(pare__writer_open(&w, in_dir("d.safetensors"), &opts, &err), 0);
        ck_assert_int_eq(pare__writer_append(w, make(&x, 0), &err), 0);
        make(&x, 1);
        if (i == 0) x.w.v.n_deepstack = TAPS - 1;
        if (i == 1) x.w.v.image_embeds = NULL;
        if (i == 2) x.w.v.newline = NULL;
        ck_assert_int_eq(pare__writer_append(w, &x.w.v, &err), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, what[i]), "%s", err.text);
        pare__writer_close(&w);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("extras of result files");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, taps_are_stacked);
    tcase_add_test(c, slots_have_embeddings_and_the_newline_is_there_once);
    tcase_add_test(c, no_rows_are_rows_too);
    tcase_add_test(c, windows_must_agree);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
