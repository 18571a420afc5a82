/* SPDX-License-Identifier: MIT */
/* VideoMAE through the public interface on the committed fixture, made with transformers by tests/transformers/videomae.py:
 * all steps of a clip attend to each other, run-length tokenization drops exactly the tubelets of the fixture, and what
 * is left is what an encoder that never saw the others makes of it. Stages are golden_models' affair. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "model/tensorfile.h"

enum { FRAMES = 8, STEPS = 4, SIDE = 32, GRID = 4, UNITS = STEPS * GRID * GRID, DIM = 32, CLASSES = 5 };

static pare_model *model;
static pare_tensors *expected, *rlt;
static pare_error err;

static void open_file(pare_tensors **t, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/models/videomae-tiny/%s", PARE_TEST_DIR, name);
    ck_assert_msg(pare__safetensors_open(t, path, &err) == 0, "%s", err.text);
}

static void setup(void)
{
    ck_assert_msg(pare_model_open(&model, PARE_TEST_DIR "/golden/models/videomae-tiny", &err) == 0, "%s", err.text);
    open_file(&expected, "expected.safetensors");
    open_file(&rlt, "rlt.safetensors");
}

static void teardown(void)
{
    pare_model_close(&model);
    pare__tensors_free(&expected);
    pare__tensors_free(&rlt);
}

static const pare_tensor *tensor(const pare_tensors *file, const char *name, int64_t n)
{
    const pare_tensor *t = pare__tensors_find(file, name);
    ck_assert_msg(t && pare__tensor_count(t) == n, "%s", name);
    return t;
}

/* The clip of the fixture at the size of the model, so that nobody resizes. */
static pare_result *reduce(const char *recipe, int32_t n_frames)
{
    const uint8_t *rgb = tensor(rlt, "frames", FRAMES * SIDE * SIDE * 3)->data;
    pare_frame f[FRAMES];
    pare_result *r = NULL;
    for (int i = 0; i < n_frames; i++)
        f[i] = (pare_frame){.struct_size = sizeof f[i],
                            .rgb = rgb + i * SIDE * SIDE * 3,
                            .stride = 3 * SIDE,
                            .width = SIDE,
                            .height = SIDE,
                            .pts = i / 4.0,
                            .duration = .25};
    const pare_reducer_opts o = {.struct_size = sizeof o, .recipe = recipe, .n_threads = 2, .video = 1};
    ck_assert_msg(pare_reduce(model, &o, f, n_frames, &r, &err) == 0, "%s", err.text);
    return r;
}

static void near(const char *what, const float *got, const float *want, int64_t n)
{
    double rms = 0;
    for (int64_t i = 0; i < n; i++) rms += (double)want[i] * (double)want[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= 1e-4 * sqrt(rms), "%s[%lld] is %g, not %g", what,
                      (long long)i, (double)got[i], (double)want[i]);
}

START_TEST(the_whole_clip_is_the_reference)
{
    pare_model_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_model_get(model, &info, &err), 0);
    ck_assert_str_eq(info.family, "videomae");
    ck_assert(info.steps == STEPS && info.temporal == 2 && info.n_class == CLASSES && info.n_prefix == 0);
    ck_assert_str_eq(pare_model_label(model, 3), "turning");
    pare_result *r = reduce("none", FRAMES);
    const pare_result_view *v = pare_result_get(r);
    ck_assert(v->k == UNITS && v->n == UNITS && v->grid[0] == STEPS && v->grid[1] == GRID && v->grid[2] == GRID);
    near("embeds", v->embeds, tensor(expected, "last_hidden", UNITS * DIM)->data, UNITS * DIM);
    for (int s = 0; s < STEPS; s++) {
        near("pooled", v->pooled + s * DIM, tensor(expected, "pooled", DIM)->data, DIM);
        near("logits", v->logits + s * CLASSES, tensor(expected, "logits", CLASSES)->data, CLASSES);
    }
    pare_result_free(&r);
}
END_TEST

START_TEST(rlt_drops_the_tubelets_of_the_fixture)
{
    const int32_t *keep = tensor(rlt, "keep", UNITS)->data;
    pare_result *r = reduce("rlt:threshold=0.1", FRAMES);
    const pare_result_view *v = pare_result_get(r);
    int64_t row = 0;
    for (int32_t i = 0; i < UNITS; i++) {
        if (!keep[i]) continue;
        ck_assert_msg(row < v->k && v->index[row] == i, "row %lld is tubelet %lld, not %d", (long long)row,
                      row < v->k ? (long long)v->index[row] : -1, i);
        ck_assert(v->place[6 * row + 2] == i / 16 && v->place[6 * row + 3] == i / 4 % 4 &&
                  v->place[6 * row + 4] == i % 4);
        row++;
    }
    ck_assert_int_eq(v->k, row);
    ck_assert(row > GRID * GRID && row < UNITS);
    pare_result_free(&r);
}
END_TEST

/* A clip that ends early is one of fewer steps: its tokens do not see what is not there. */
START_TEST(a_shorter_clip)
{
    pare_result *r = reduce("none", 5), *six = reduce("none", 6), *all = reduce("none", FRAMES);
    const pare_result_view *v = pare_result_get(r), *w = pare_result_get(all);
    double far = 0;
    ck_assert_int_eq(v->k, 3 * GRID * GRID);
    ck_assert_int_eq(pare_result_get(six)->k, 3 * GRID * GRID);
    for (int i = 0; i < v->k * DIM; i++) far = fmax(far, fabs((double)v->embeds[i] - (double)w->embeds[i]));
    ck_assert_msg(far > 1e-3, "tokens see a fourth step that is not there");
    pare_result_free(&r);
    pare_result_free(&six);
    pare_result_free(&all);
}
END_TEST

/* ---- other spellings ------------------------------------------------------------------------------------------------ */

static char folder[512];

static void write_config(const char *architecture, const char *rest)
{
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "{\"model_type\": \"videomae\", \"architectures\": [\"%s\"], \"image_size\": 32, \"patch_size\": 8, "
            "\"hidden_size\": 32, \"num_hidden_layers\": 3, \"num_attention_heads\": 2, "
            "\"intermediate_size\": 64, \"layer_norm_eps\": 1e-12, \"qkv_bias\": true%s}",
            architecture, rest);
    fclose(f);
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs("{\"size\": 32, \"image_mean\": [0.485, 0.456, 0.406], \"image_std\": [0.229, 0.224, 0.225]}", f);
    fclose(f);
}

/* The weights of the fixture under other names: `from` in a name becomes `to`, a prefix goes; and those of `more`. */
static void write_weights(const char *const from[2], const char *const to[2], const char *prefix,
                          const pare_tensor *more, int n_more)
{
    static char name[128][160];
    pare_tensors *file;
    pare_tensor t[128];
    char path[600];
    open_file(&file, "model.safetensors");
    const int n = (int)file->n;
    ck_assert_int_le(n + n_more, 128);
    for (int i = 0; i < n; i++) {
        t[i] = file->t[i];
        const char *own = strncmp(t[i].name, prefix, strlen(prefix)) ? t[i].name : t[i].name + strlen(prefix);
        snprintf(name[i], sizeof name[i], "%s", own);
        for (int k = 0; k < 2; k++) {
            char *at = strstr(name[i], from[k]);
            if (at) snprintf(at, sizeof name[i] - (size_t)(at - name[i]), "%s", to[k]);
        }
        t[i].name = name[i];
    }
    for (int i = 0; i < n_more; i++) t[n + i] = more[i];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    ck_assert_msg(pare_tensors_save(path, t, n + n_more, NULL, 0, &err) == 0, "%s", err.text);
    pare__tensors_free(&file);
}

static void open_folder(void)
{
    pare_model_close(&model);
    ck_assert_msg(pare_model_open(&model, folder, &err) == 0, "%s", err.text);
}

static void same_tokens(const char *what)
{
    pare_result *r = reduce("none", FRAMES);
    near(what, pare_result_get(r)->embeds, tensor(expected, "last_hidden", UNITS * DIM)->data, UNITS * DIM);
    pare_result_free(&r);
}

static void remove_folder(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/config.json", folder);
    remove(path);
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    remove(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    remove(path);
    remove(folder);
}

/* As transformers 5 saves it; without its prefix; and with keys whose bias is there, too, and 0. */
START_TEST(other_names)
{
    static const char *const hub[] = {".q_bias", ".v_bias"}, *const saved[] = {".query.bias", ".value.bias"};
    static const float zero[DIM];
    const pare_tensor bias[] = {{.name = "encoder.layer.0.attention.attention.key.bias",
                                 .dtype = PARE_F32,
                                 .n_dim = 1,
                                 .shape = {DIM},
                                 .data = zero},
                                {.name = "encoder.layer.2.attention.attention.key.bias",
                                 .dtype = PARE_F32,
                                 .n_dim = 1,
                                 .shape = {DIM},
                                 .data = zero}};
    snprintf(folder, sizeof folder, "%s/pare-videomae-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_config("VideoMAEForVideoClassification",
                 ", \"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\", \"3\": \"d\", \"4\": \"e\"}");
    write_weights(hub, saved, "", NULL, 0);
    open_folder();
    same_tokens("as saved");
    write_config("VideoMAEModel", "");
    write_weights(hub, saved, "videomae.", bias, 2);
    open_folder();
    same_tokens("bare");
    pare_model_info info = {.struct_size = sizeof info};
    ck_assert(pare_model_get(model, &info, &err) == 0 && info.n_class == 0);
    remove_folder();
}
END_TEST

/* The pre-trained models end in a norm; num_frames must hold a tubelet, and not too many. */
START_TEST(other_models)
{
    static const char *const hub[] = {".q_bias", ".v_bias"};
    static float one[DIM], shift[DIM];
    for (int i = 0; i < DIM; i++) one[i] = 1;
    for (int i = 0; i < DIM; i++) shift[i] = 3;
    const pare_tensor norm[] = {
        {.name = "videomae.layernorm.weight", .dtype = PARE_F32, .n_dim = 1, .shape = {DIM}, .data = one},
        {.name = "videomae.layernorm.bias", .dtype = PARE_F32, .n_dim = 1, .shape = {DIM}, .data = shift}};
    snprintf(folder, sizeof folder, "%s/pare-videomae-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_config("VideoMAEForPreTraining", ", \"use_mean_pooling\": false");
    write_weights(hub, hub, "", norm, 2);
    open_folder();
    pare_result *r = reduce("none", FRAMES);
    double sum = 0;
    for (int i = 0; i < DIM; i++) sum += (double)pare_result_get(r)->embeds[i] / DIM;
    ck_assert_double_eq_tol(sum, 3, 1e-5);
    pare_result_free(&r);
    pare_model *m;
    write_config("VideoMAEModel", ", \"tubelet_size\": 3");
    ck_assert_int_eq(pare_model_open(&m, folder, &err), PARE_E_FORMAT); /* the patches of the file are of two frames */
    write_config("VideoMAEModel", ", \"num_frames\": 1");
    ck_assert_int_eq(pare_model_open(&m, folder, &err), PARE_E_FORMAT);
    ck_assert_msg(strstr(err.text, "num_frames") != NULL, "%s", err.text);
    write_config("VideoMAEModel", ", \"num_frames\": 200");
    ck_assert_int_eq(pare_model_open(&m, folder, &err), PARE_E_LIMIT);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("videomae");
    TCase *t = tcase_create("videomae");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_whole_clip_is_the_reference);
    tcase_add_test(t, rlt_drops_the_tubelets_of_the_fixture);
    tcase_add_test(t, a_shorter_clip);
    tcase_add_test(t, other_names);
    tcase_add_test(t, other_models);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
