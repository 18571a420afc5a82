/* SPDX-License-Identifier: MIT */
/* Run-length tokenisation in front of the video encoder it was published for: a VideoMAE of the fixture's geometry, made on
 * the spot, is fed with the fixture's frames; exactly the tubelets that the authors' code keeps are encoded. Skipped without
 * the fixtures. */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pare/pare.h>

enum { MAX_TENSOR = 32, NAME = 80, DIM = 8, PATH = 512, MAX_FILE = 16 };

static char files[MAX_FILE][PATH];
static int n_file;
static pare_error err;

/* ---- a checkpoint ------------------------------------------------------------------------------------------------ */

typedef struct maker {
    pare_tensor t[MAX_TENSOR];
    char name[MAX_TENSOR][NAME];
    int32_t n;
    uint32_t state;
} maker;

static void add(maker *m, const char *name, int64_t a, int64_t b)
{
    pare_tensor *t = &m->t[m->n];
    snprintf(m->name[m->n], NAME, "%s", name);
    *t = (pare_tensor){.name = m->name[m->n++], .dtype = PARE_F32, .n_dim = b ? 2 : 1, .shape = {a, b}};
    const int64_t n = a * (b ? b : 1);
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((m->state = m->state * 1664525u + 1013904223u) >> 16) / 65536.0F - 0.5F;
    t->data = x;
}

static void add_block(maker *m)
{
    static const char *const linear[] = {"attention.attention.query", "attention.attention.key",
                                         "attention.attention.value", "attention.output.dense",
                                         "intermediate.dense",        "output.dense"};
    static const char *const row[] = {
        "attention.attention.q_bias", "attention.attention.v_bias", "attention.output.dense.bias",
        "intermediate.dense.bias",    "output.dense.bias",          "layernorm_before.weight",
        "layernorm_before.bias",      "layernorm_after.weight",     "layernorm_after.bias"};
    char name[NAME];
    for (size_t i = 0; i < sizeof linear / sizeof linear[0]; i++) {
        snprintf(name, sizeof name, "encoder.layer.0.%s.weight", linear[i]);
        add(m, name, DIM, DIM);
    }
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        snprintf(name, sizeof name, "encoder.layer.0.%s", row[i]);
        add(m, name, DIM, 0);
    }
}

/* What a fixture was made with. */
typedef struct setting {
    int32_t tubelet, patch, side, n_frame;
    double threshold, std[3];
    int normalised;
} setting;

static void write_text(const char *dir, const char *name, const setting *s, int is_config)
{
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    if (is_config)
        fprintf(
            f,
            "{\"model_type\": \"videomae\", \"hidden_size\": %d, \"num_hidden_layers\": 1, \"intermediate_size\": %d,"
            " \"num_attention_heads\": 1, \"patch_size\": %d, \"image_size\": %d, \"tubelet_size\": %d,"
            " \"num_frames\": %d}\n",
            DIM, DIM, s->patch, s->side, s->tubelet, s->n_frame);
    else
        fprintf(f,
                "{\"size\": {\"shortest_edge\": %d}, \"crop_size\": {\"height\": %d, \"width\": %d}, \"image_mean\":"
                " [0.485, 0.456, 0.406], \"image_std\": [%.9g, %.9g, %.9g]}\n",
                s->side, s->side, s->side, s->std[0], s->std[1], s->std[2]);
    fclose(f);
}

static pare_model *make_model(const setting *s)
{
    static const char *const parts[] = {"config.json", "preprocessor_config.json", "model.safetensors"};
    char dir[PATH], path[2 * PATH];
    maker *m = calloc(1, sizeof *m);
    pare_model *model = NULL;
    snprintf(dir, sizeof dir, "%s/pare-videomae-XXXXXX", P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    write_text(dir, parts[0], s, 1);
    write_text(dir, parts[1], s, 0);
    add(m, "embeddings.patch_embeddings.projection.weight", DIM, 3 * s->tubelet * s->patch * s->patch);
    m->t[0].n_dim = 5;
    memcpy(m->t[0].shape, (int64_t[5]){DIM, 3, s->tubelet, s->patch, s->patch}, 5 * sizeof(int64_t));
    add(m, "embeddings.patch_embeddings.projection.bias", DIM, 0);
    add_block(m);
    snprintf(path, sizeof path, "%s/%s", dir, parts[2]);
    ck_assert_msg(!pare_tensors_save(path, m->t, m->n, NULL, 0, &err), "%s", err.text);
    ck_assert_msg(!pare_model_open(&model, dir, &err), "%s", err.text);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, parts[i]);
        unlink(path);
    }
    rmdir(dir);
    for (int32_t i = 0; i < m->n; i++) free((void *)(uintptr_t)m->t[i].data);
    free(m);
    return model;
}

/* ---- a fixture --------------------------------------------------------------------------------------------------- */

static setting read_setting(const pare_tensors *t)
{
    const pare_tensor *frames = pare_tensors_find(t, "in.frames");
    json_t *p = json_loads(pare_tensors_meta(t, "params"), 0, NULL);
    ck_assert(frames && p && frames->n_dim == 4);
    setting s = {.tubelet = (int32_t)json_integer_value(json_object_get(p, "tubelet")),
                 .patch = (int32_t)json_integer_value(json_object_get(p, "patch")),
                 .side = (int32_t)frames->shape[1],
                 .n_frame = (int32_t)frames->shape[0],
                 .threshold = json_number_value(json_object_get(p, "threshold")),
                 .std = {0.229, 0.224, 0.225},
                 .normalised = json_is_true(json_object_get(p, "normalised"))};
    const json_t *std = json_object_get(p, "std");
    for (size_t i = 0; json_is_array(std) && i < 3; i++) s.std[i] = json_number_value(json_array_get(std, i));
    json_decref(p);
    return s;
}

static pare_result *run(const pare_model *m, const setting *s, const pare_tensor *frames)
{
    char recipe[128];
    pare_frame *f = calloc((size_t)s->n_frame, sizeof *f);
    pare_result *r = NULL;
    snprintf(recipe, sizeof recipe, "rlt:threshold=%.17g:normalised=%d@patches", s->threshold, s->normalised);
    for (int32_t i = 0; i < s->n_frame; i++)
        f[i] = (pare_frame){.struct_size = sizeof *f,
                            .rgb = (const uint8_t *)frames->data + (int64_t)i * s->side * s->side * 3,
                            .stride = 3 * (int64_t)s->side,
                            .width = s->side,
                            .height = s->side,
                            .pts = i / 8.0};
    const pare_reducer_opts o = {.struct_size = sizeof o, .recipe = recipe, .video = 1, .n_threads = 1};
    ck_assert_msg(!pare_reduce(m, &o, f, s->n_frame, &r, &err), "%s: %s", recipe, err.text);
    free(f);
    return r;
}

START_TEST(only_the_kept_tubelets_are_encoded)
{
    pare_tensors *t = NULL;
    ck_assert_msg(!pare_tensors_open(&t, files[_i], &err), "%s", err.text);
    const setting s = read_setting(t);
    const pare_tensor *keep = pare_tensors_find(t, "out.keep");
    pare_model *m = make_model(&s);
    pare_model_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_model_get(m, &info, &err), 0);
    ck_assert_int_eq(info.steps, s.n_frame / s.tubelet);
    pare_result *r = run(m, &s, pare_tensors_find(t, "in.frames"));
    const pare_result_view *v = pare_result_get(r);
    ck_assert_msg(v->k == keep->shape[0], "%s: %lld tubelets, not %lld", files[_i], (long long)v->k,
                  (long long)keep->shape[0]);
    for (int64_t i = 0; i < v->k; i++) {
        int32_t want;
        memcpy(&want, (const char *)keep->data + 4 * i, sizeof want);
        ck_assert_int_eq(v->index[i], want);
        for (int32_t c = 0; c < v->d; c++) ck_assert(isfinite(v->embeds[i * v->d + c]));
    }
    pare_result_free(&r);
    pare_model_close(&m);
    pare_tensors_close(&t);
}
END_TEST

static void find_files(void)
{
    const char *fixtures = getenv("PARE_FIXTURES");
    char dir[PATH / 2];
    if (!fixtures || snprintf(dir, sizeof dir, "%s/golden/methods/rlt", fixtures) >= (int)sizeof dir) return;
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e && n_file < MAX_FILE; e = readdir(d))
        if (strstr(e->d_name, ".safetensors") && strlen(e->d_name) < PATH / 4)
            snprintf(files[n_file++], PATH, "%s/%.120s", dir, e->d_name);
    if (d) closedir(d);
}

int main(void)
{
    find_files();
    if (!n_file) return 77;
    Suite *s = suite_create("rlt before videomae");
    TCase *c = tcase_create("all");
    tcase_add_loop_test(c, only_the_kept_tubelets_are_encoded, 0, n_file);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
