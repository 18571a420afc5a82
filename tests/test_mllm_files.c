/* SPDX-License-Identifier: MIT */
/* Fixtures of towers of multimodal language models: all load, and a GGUF file holds the numbers of its checkpoint. */
#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "model/family.h"

enum { PATH_SIZE = 4096 };

static pare_error err;

static pare_model *load(const char *name)
{
    char path[PATH_SIZE];
    pare_model *m = NULL;
    snprintf(path, sizeof path, "%s/golden/models/%s", getenv("PARE_FIXTURES"), name);
    const int rc = pare__model_load(&m, path, &err);
    ck_assert_msg(rc == 0, "%s: %s", path, err.text);
    return m;
}

static void same_floats(const float *a, const float *b, int64_t n, const char *what)
{
    ck_assert_msg((a == NULL) == (b == NULL), "%s: only one is there", what);
    for (int64_t i = 0; a && i < n; i++)
        ck_assert_msg(a[i] == b[i], "%s: %lld of %lld is %g, not %g", what, (long long)i, (long long)n, (double)b[i],
                      (double)a[i]);
}

static void same_linear(const pare__linear *a, const pare__linear *b, const char *what)
{
    ck_assert_msg(a->n_in == b->n_in && a->n_out == b->n_out, "%s", what);
    same_floats(a->w, b->w, (int64_t)a->n_in * a->n_out, what);
    same_floats(a->b, b->b, a->n_out, what);
}

static void same_norm(const pare__norm_w *a, const pare__norm_w *b, int64_t n, const char *what)
{
    same_floats(a->w, b->w, n, what);
    same_floats(a->b, b->b, n, what);
}

static void same_block(const pare__block_w *a, const pare__block_w *b, int64_t dim)
{
    same_norm(&a->norm1, &b->norm1, dim, "norm1");
    same_norm(&a->norm2, &b->norm2, dim, "norm2");
    same_linear(&a->qkv, &b->qkv, "qkv");
    same_linear(&a->proj, &b->proj, "proj");
    same_linear(&a->fc1, &b->fc1, "fc1");
    same_linear(&a->fc2, &b->fc2, "fc2");
    same_floats(a->scale1, b->scale1, dim, "scale1");
    same_floats(a->scale2, b->scale2, dim, "scale2");
}

/* What a forward pass reads: blocks up to the tap. */
static void same_model(const pare_model *a, const pare_model *b)
{
    const int64_t dim = a->hp.dim, units = (int64_t)a->hp.pos_rows * a->hp.pos_cols + a->hp.has_cls;
    ck_assert(a->hp.dim == b->hp.dim && a->hp.tap == b->hp.tap && a->hp.unit == b->hp.unit);
    ck_assert(a->hp.d_out == b->hp.d_out && a->hp.act == b->hp.act && a->hp.eps == b->hp.eps);
    ck_assert(a->prep.tiles == b->prep.tiles && a->prep.resize_width == b->prep.resize_width);
    same_linear(&a->w.patch, &b->w.patch, "patch");
    same_floats(a->w.cls, b->w.cls, dim, "cls");
    same_floats(a->w.pos, b->w.pos, units * dim, "pos");
    same_norm(&a->w.pre_norm, &b->w.pre_norm, dim, "pre_norm");
    same_norm(&a->w.norm, &b->w.norm, dim, "norm");
    same_norm(&a->w.projector.norm, &b->w.projector.norm, a->w.projector.fc1.n_in, "projector.norm");
    same_linear(&a->w.projector.fc1, &b->w.projector.fc1, "projector.fc1");
    same_linear(&a->w.projector.fc2, &b->w.projector.fc2, "projector.fc2");
    for (int32_t l = 0; l < a->hp.tap; l++) same_block(&a->w.block[l], &b->w.block[l], dim);
}

static const char *const pairs[][2] = {
    {"llava15", "llava15/mmproj-f16-legacy.gguf"},
    {"llava15", "llava15/mmproj-q8_0.gguf"},
    {"internvl-opengv", "internvl-opengv/mmproj-f16.gguf"},
    {"idefics3-pad", "idefics3-pad/mmproj-f32.gguf"},
    {"smolvlm-split", "smolvlm-split/mmproj-f16.gguf"},
    {"smolvlm-split", "smolvlm-split/mmproj-q8_0.gguf"},
    {"gemma3", "gemma3/mmproj-bf16.gguf"},
};
enum { N_PAIR = sizeof pairs / sizeof pairs[0] };

START_TEST(test_gguf_is_the_checkpoint)
{
    pare_model *hub = load(pairs[_i][0]), *gguf = load(pairs[_i][1]);
    same_model(hub, gguf);
    pare__model_free(&hub);
    pare__model_free(&gguf);
}
END_TEST

static const char *const names[] = {"llava15-v5-layout", "onevision-image", "onevision-video", "internvl-hf"};
enum { N_NAME = sizeof names / sizeof names[0] };

START_TEST(test_fixtures_load)
{
    pare_model *m = load(names[_i]);
    ck_assert(m->w.projector.fc1.w && m->w.projector.fc2.w && m->w.projector.fc2.n_out == m->hp.d_out);
    ck_assert_int_eq(m->w.newline != NULL, m->prep.newlines);
    pare__model_free(&m);
}
END_TEST

int main(void)
{
    if (!getenv("PARE_FIXTURES") || !*getenv("PARE_FIXTURES")) return 77;
    Suite *s = suite_create("mllm_files");
    TCase *c = tcase_create("mllm_files");
    tcase_add_loop_test(c, test_gguf_is_the_checkpoint, 0, N_PAIR);
    tcase_add_loop_test(c, test_fixtures_load, 0, N_NAME);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed != 0;
}
