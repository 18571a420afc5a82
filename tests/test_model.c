/* SPDX-License-Identifier: MIT */
/* Whole checkpoints: the committed bad and good ones, the default model, and with PARE_FIXTURES the golden ones. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/family.h"
#include "model/store.h"

enum { MAX_CASE_MS = 1000, MAX_GROWTH_KB = 100 * 1024, PATH_SIZE = 4096 };

static pare_error err;

static const char *fixtures(void)
{
    const char *dir = getenv("PARE_FIXTURES");
    return dir && *dir ? dir : NULL;
}

/* Most memory that was ever resident, since the last reset where the kernel can do that. */
static long peak_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    fclose(f);
    ck_assert_int_gt(kb, 0);
    return kb;
}

static void reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- bad checkpoints ------------------------------------------------------------------------------------------ */

typedef struct error_class {
    const char *name;
    int code[4]; /* any of these; 0 ends unless it is the first */
} error_class;

static const error_class classes[] = {
    {"ok", {0}},
    {"format", {PARE_E_FORMAT}},
    {"unsupported", {PARE_E_UNSUPPORTED}},
    {"path", {PARE_E_FORMAT}},
    {"missing file", {PARE_E_NOTFOUND}},
    {"missing tensor", {PARE_E_NOTFOUND}},
    {"config", {PARE_E_FORMAT, PARE_E_LIMIT, PARE_E_UNSUPPORTED}},
    {"shape", {PARE_E_FORMAT}},
    {"value", {PARE_E_FORMAT}},
};

static int fits_class(const char *name, int rc)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strcmp(classes[i].name, name)) continue;
        if (rc == classes[i].code[0]) return 1;
        for (int k = 1; k < 4; k++)
            if (classes[i].code[k] && rc == classes[i].code[k]) return 1;
    }
    return 0;
}

/* Directories and what concerns configuration are opened as models, lone files as tensor files. */
static int open_case(const char *path, const char *class)
{
    pare_model *m = NULL;
    pare_tensors *t = NULL;
    if (path[strlen(path) - 1] != '/' && strcmp(class, "config")) {
        int rc = pare__tensors_open(&t, path, &err);
        ck_assert((rc == 0) == (t != NULL));
        pare__tensors_free(&t);
        return rc;
    }
    int rc = pare__model_load(&m, path, &err);
    ck_assert((rc == 0) == (m != NULL));
    pare__model_free(&m);
    return rc;
}

static int run_manifest(const char *dir)
{
    char path[PATH_SIZE];
    json_t *c, *manifest;
    size_t i;
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/manifest.json", dir), PATH_SIZE);
    manifest = json_load_file(path, 0, NULL);
    ck_assert_msg(manifest != NULL, "%s", path);
    json_array_foreach(json_object_get(manifest, "cases"), i, c)
    {
        const char *class = json_string_value(json_object_get(c, "class"));
        int n = snprintf(path, sizeof path, "%s/%s", dir, json_string_value(json_object_get(c, "file")));
        ck_assert(n > 0 && n < PATH_SIZE);
        memset(&err, 0, sizeof err);
        reset_peak();
        const long before = peak_kb();
        double start = now_ms();
        int rc = open_case(path, class);
        double ms = now_ms() - start;
        ck_assert_msg(fits_class(class, rc), "%s: code %d (%s), expected %s", path, rc, err.text, class);
        ck_assert_msg(rc == 0 || (err.code == rc && err.text[0]), "%s: no message", path);
        ck_assert_msg(ms < MAX_CASE_MS, "%s: %.0f ms", path, ms);
        ck_assert_msg(peak_kb() - before < MAX_GROWTH_KB, "%s: %ld KB", path, peak_kb() - before);
    }
    json_decref(manifest);
    return (int)i;
}

START_TEST(test_committed_bad) { ck_assert_int_ge(run_manifest(PARE_TEST_DIR "/data/bad"), 20); }
END_TEST

START_TEST(test_golden_bad)
{
    char dir[PATH_SIZE];
    ck_assert_int_lt(snprintf(dir, sizeof dir, "%s/golden/models/bad", fixtures()), PATH_SIZE);
    ck_assert_int_ge(run_manifest(dir), 60);
}
END_TEST

/* Messages name the file, the tensor and both shapes; all missing names are told. */
START_TEST(test_messages)
{
    pare_model *m = NULL;
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/bad/w_transposed", &err), PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "mlp.fc1.weight is [16x32], the configuration needs [32x16]"));
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/bad/cfg_more_layers", &err), PARE_E_NOTFOUND);
    ck_assert_msg(strstr(err.text, "18 tensors missing: encoder.layer.1.norm1.weight, ") != NULL, "%s", err.text);
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/bad/w_missing_tensor", &err), PARE_E_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "missing tensors: encoder.layer.0.mlp.fc1.weight"));
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/bad/st_dtype_i64", &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "I64"));
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/no_such_model", &err), PARE_E_NOTFOUND);
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data", &err), PARE_E_NOTFOUND);
    ck_assert_int_eq(pare__model_load(&m, PARE_TEST_DIR "/data/bad/ok_reference/config.json", &err), PARE_E_FORMAT);
    ck_assert_ptr_null(m);
}
END_TEST

/* ---- good checkpoints ------------------------------------------------------------------------------------------ */

static pare_model *load(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    pare_model *m = NULL;
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert(n > 0 && n < PATH_SIZE);
    memset(&err, 0, sizeof err);
    int rc = pare__model_load(&m, path, &err);
    ck_assert_msg(rc == 0 && err.text[0] == 0, "%s: %s", path, err.text);
    return m;
}

/* The rows of the fused matrix are those of q, k and v in the file; aligned f32 tensors are used in place. */
START_TEST(test_reference)
{
    pare_tensors *t = NULL;
    static const char *const parts[] = {"query", "key", "value"};
    pare_model *m = load(PARE_TEST_DIR "/data/bad", "ok_reference");
    ck_assert_int_eq(pare__safetensors_open(&t, PARE_TEST_DIR "/data/bad/ok_reference/model.safetensors", &err), 0);
    const pare__linear *qkv = &m->w.block[0].qkv;
    ck_assert(qkv->n_in == 16 && qkv->n_out == 48);
    for (int i = 0; i < 3; i++) {
        char name[128];
        snprintf(name, sizeof name, "encoder.layer.0.attention.attention.%s.weight", parts[i]);
        ck_assert_mem_eq(qkv->w + i * 256, pare__tensors_find(t, name)->data, 256 * sizeof(float));
        snprintf(name, sizeof name, "encoder.layer.0.attention.attention.%s.bias", parts[i]);
        ck_assert_mem_eq(qkv->b + i * 16, pare__tensors_find(t, name)->data, 16 * sizeof(float));
    }
    ck_assert_mem_eq(m->w.pos, pare__tensors_find(t, "embeddings.position_embeddings")->data, 80 * sizeof(float));
    ck_assert(m->store->shard[0].n_in_place > 0 && m->store->n_owned == 2);
    ck_assert(m->w.registers == NULL && m->w.head.w == NULL && m->w.block[0].scale1 != NULL);
    ck_assert(m->w.patch.n_in == 48 && m->w.patch.n_out == 16 && m->w.norm.w && !m->w.fc_norm.w);
    ck_assert_str_eq(m->name, "ok_reference");
    pare__tensors_free(&t);
    pare__model_free(&m);
}
END_TEST

/* The same numbers through unaligned data, another directory and a file given by itself. */
START_TEST(test_same_weights)
{
    static const char *const others[] = {"ok_unaligned", "ok_extras", "ok_reference/model.safetensors"};
    pare_model *a = load(PARE_TEST_DIR "/data/bad", "ok_reference");
    for (int i = 0; i < 3; i++) {
        pare_model *b = load(PARE_TEST_DIR "/data/bad", others[i]);
        ck_assert_int_eq(a->n_params, b->n_params);
        ck_assert_mem_eq(a->w.pos, b->w.pos, 80 * sizeof(float));
        ck_assert_mem_eq(a->w.block[0].fc2.w, b->w.block[0].fc2.w, 512 * sizeof(float));
        pare__model_free(&b);
    }
    pare__model_free(&a);
}
END_TEST

static void write_file(const char *path, const char *text, size_t n_text, const pare_tensor *t, size_t n_byte)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    if (t) {
        uint8_t length[8] = {(uint8_t)n_text, (uint8_t)(n_text >> 8)};
        fwrite(length, 1, sizeof length, f);
    }
    fwrite(text, 1, n_text, f);
    if (t) fwrite(t->data, 1, n_byte, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* One tensor to a file, and an index that names a file for a tensor that nobody needs and that does not exist. */
static void write_shards(const char *dir, const pare_tensors *t)
{
    char path[PATH_SIZE], header[512], shape[64];
    json_t *map = json_object();
    for (int64_t i = 0; i < t->n; i++) {
        size_t n_byte = (size_t)t->n_bytes[i];
        const int64_t *s = t->t[i].shape;
        json_object_set_new(map, t->t[i].name, json_sprintf("%d.safetensors", (int)i));
        if (!strcmp(t->t[i].name, "embeddings.mask_token")) continue;
        int n = 0;
        for (int k = 0; k < t->t[i].n_dim; k++)
            n += snprintf(shape + n, sizeof shape - (size_t)n, k ? ",%d" : "%d", (int)s[k]);
        n = snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[0,%zu]}}",
                     t->t[i].name, shape, n_byte);
        snprintf(path, sizeof path, "%s/%d.safetensors", dir, (int)i);
        write_file(path, header, (size_t)n, &t->t[i], n_byte);
    }
    json_t *index = json_pack("{s:o}", "weight_map", map);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    ck_assert_int_eq(json_dump_file(index, path, 0), 0);
    json_decref(index);
}

static void remove_all(const char *dir)
{
    char path[PATH_SIZE];
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

START_TEST(test_shards)
{
    char dir[] = "/tmp/pare-shards-XXXXXX", path[PATH_SIZE], text[1024];
    pare_tensors *t = NULL;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    pare_model *a = load(PARE_TEST_DIR "/data/bad", "ok_reference");
    ck_assert_int_eq(pare__tensors_open(&t, PARE_TEST_DIR "/data/bad/ok_reference/model.safetensors", &err), 0);
    write_shards(dir, t);
    FILE *f = fopen(PARE_TEST_DIR "/data/bad/ok_reference/config.json", "rb");
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/config.json", dir);
    write_file(path, text, n, NULL, 0);
    pare_model *b = load("", dir);
    ck_assert_int_eq(a->n_params, b->n_params);
    ck_assert_int_eq(b->store->n_shard, t->n - 1);
    ck_assert_mem_eq(a->w.block[0].qkv.w, b->w.block[0].qkv.w, 768 * sizeof(float));
    ck_assert_mem_eq(a->w.block[0].fc2.w, b->w.block[0].fc2.w, 512 * sizeof(float));
    pare__model_free(&b);
    pare__model_free(&a);
    pare__tensors_free(&t);
    remove_all(dir);
}
END_TEST

START_TEST(test_default_model)
{
    const char *path = pare__model_default_path();
    pare_model *m = NULL;
    ck_assert_ptr_nonnull(path);
    ck_assert_msg(pare__model_load(&m, path, &err) == 0, "%s", err.text);
    ck_assert_str_eq(m->family->name, "dinov2");
    ck_assert_str_eq(m->name, "dinov2-small");
    ck_assert(m->hp.dim == 384 && m->hp.n_layer == 12 && m->hp.n_head == 6 && m->hp.mlp_dim == 1536);
    ck_assert(m->hp.patch == 14 && m->hp.pos_rows == 37 && m->hp.n_class == 81 && m->hp.n_prefix == 1);
    ck_assert(m->prep.shortest == 256 && m->prep.crop_width == 224 && m->prep.resample == PARE__RESAMPLE_BICUBIC);
    ck_assert_str_eq(m->label[0], "Golden-Delicious");
    ck_assert_str_eq(m->label[80], "Zucchini");
    ck_assert(m->w.head.n_in == 768 && m->w.head.n_out == 81);
    ck_assert_int_eq(m->n_params, 22056192 + 81 * 769);
    pare__model_free(&m);
}
END_TEST

typedef struct golden {
    const char *dir, *family;
    int32_t dim, n_layer, n_head, mlp_dim, patch, n_prefix, n_class, pos_rows;
    pare__resize_rule resize;
    int32_t resize_to; /* shortest edge, or height */
} golden;

static const golden goldens[] = {
    {"vit-classifier", "vit", 64, 3, 4, 128, 16, 1, 7, 6, PARE__RESIZE_EXACT, 96},
    {"vit-pooler-interp", "vit", 72, 3, 1, 144, 8, 1, 0, 8, PARE__RESIZE_EXACT, 72},
    {"deit-distilled", "vit", 48, 3, 3, 96, 16, 2, 5, 4, PARE__RESIZE_EXACT, 76},
    {"timm-plain", "timm", 60, 3, 3, 120, 16, 1, 6, 4, PARE__RESIZE_SHORTEST, 71},
    {"timm-reg4-interp", "timm", 48, 3, 4, 96, 14, 5, 0, 4, PARE__RESIZE_SHORTEST, 56},
    {"timm-avgpool", "timm", 48, 3, 3, 144, 8, 1, 5, 6, PARE__RESIZE_SHORTEST, 53},
    {"timm-gap-nocls", "timm", 48, 3, 4, 96, 16, 0, 5, 4, PARE__RESIZE_SHORTEST, 67},
    {"timm-clip-quickgelu", "timm", 48, 2, 3, 96, 8, 1, 20, 6, PARE__RESIZE_SHORTEST, 53},
    {"dinov2-base", "dinov2", 48, 3, 4, 192, 14, 1, 0, 9, PARE__RESIZE_SHORTEST, 80},
    {"dinov2-registers", "dinov2", 64, 3, 2, 128, 14, 5, 0, 6, PARE__RESIZE_SHORTEST, 126},
    {"dinov2-swiglu", "dinov2", 64, 2, 4, 176, 14, 1, 4, 6, PARE__RESIZE_SHORTEST, 76},
    {"dinov2-upscale-f16", "dinov2", 96, 3, 6, 192, 14, 1, 0, 4, PARE__RESIZE_SHORTEST, 112},
};

START_TEST(test_golden)
{
    char dir[PATH_SIZE];
    const golden *g = &goldens[_i];
    ck_assert_int_lt(snprintf(dir, sizeof dir, "%s/golden/models", fixtures()), PATH_SIZE);
    pare_model *m = load(dir, g->dir);
    const pare__hparams *hp = &m->hp;
    ck_assert_str_eq(m->family->name, g->family);
    ck_assert(hp->dim == g->dim && hp->n_layer == g->n_layer && hp->n_head == g->n_head);
    ck_assert(hp->mlp_dim == g->mlp_dim && hp->patch == g->patch && hp->n_prefix == g->n_prefix);
    ck_assert(hp->n_class == g->n_class && hp->pos_rows == g->pos_rows);
    ck_assert(m->prep.resize == g->resize);
    ck_assert_int_eq(g->resize == PARE__RESIZE_EXACT ? m->prep.resize_height : m->prep.shortest, g->resize_to);
    ck_assert((m->w.head.w != NULL) == (g->n_class > 0));
    ck_assert((m->w.registers != NULL) == (hp->n_register > 0));
    ck_assert((m->w.head2.w != NULL) == (hp->logits == PARE__LOGITS_TEACHER));
    pare__model_free(&m);
}
END_TEST

static int is_gguf(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && !strcmp(name + n - 5, ".gguf");
}

/* The checkpoint and every GGUF file beside it bind all tensors and say the same about the tower. Returns the files. */
static int check_case(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    int n = 1;
    pare_model *whole = load(dir, name);
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", dir, name), PATH_SIZE);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!is_gguf(e->d_name)) continue;
        pare_model *m = load(path, e->d_name);
        const pare__hparams *a = &whole->hp, *b = &m->hp;
        ck_assert_msg(a->dim == b->dim && a->n_head == b->n_head && a->mlp_dim == b->mlp_dim && a->patch == b->patch &&
                          a->unit == b->unit && a->d_out == b->d_out && a->tap == b->tap && a->act == b->act &&
                          a->n_deepstack == b->n_deepstack && a->window == b->window,
                      "%s/%s differs from its checkpoint", path, e->d_name);
        pare__model_free(&m);
        n++;
    }
    closedir(d);
    pare__model_free(&whole);
    return n;
}

START_TEST(test_golden_all)
{
    char dir[PATH_SIZE];
    int n = 0;
    ck_assert_int_lt(snprintf(dir, sizeof dir, "%s/golden/models", fixtures()), PATH_SIZE);
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.' && strcmp(e->d_name, "bad") != 0) n += check_case(dir, e->d_name);
    closedir(d);
    ck_assert_int_ge(n, 36 + 10);
}
END_TEST

static double distance(const float *a, const float *b, int64_t n)
{
    double diff = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        diff += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)a[i] * (double)a[i];
    }
    return sqrt(diff / norm);
}

/* Q8_0 keeps about eight bits: the default model is the f16 checkpoint within half a percent, and equal elsewhere. */
START_TEST(test_quantised)
{
    pare_model *full = load(fixtures(), "models/dinov2-small");
    pare_model *q8 = NULL;
    ck_assert_int_eq(pare__model_load(&q8, pare__model_default_path(), &err), 0);
    ck_assert_int_eq(full->n_params, q8->n_params);
    ck_assert_mem_eq(full->w.pos, q8->w.pos, 1370 * 384 * sizeof(float));
    ck_assert_mem_eq(full->w.block[7].norm2.w, q8->w.block[7].norm2.w, 384 * sizeof(float));
    for (int l = 0; l < 12; l++) {
        const pare__block_w *a = &full->w.block[l], *b = &q8->w.block[l];
        ck_assert(distance(a->qkv.w, b->qkv.w, 3 * 384 * 384) < 0.01);
        ck_assert(distance(a->fc2.w, b->fc2.w, 1536 * 384) < 0.01);
        ck_assert(distance(a->qkv.b, b->qkv.b, 3 * 384) < 1e-6);
    }
    pare__model_free(&q8);
    pare__model_free(&full);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_committed_bad);
    tcase_add_test(tc, test_messages);
    tcase_add_test(tc, test_reference);
    tcase_add_test(tc, test_same_weights);
    tcase_add_test(tc, test_shards);
    tcase_add_test(tc, test_default_model);
    if (fixtures()) {
        tcase_add_test(tc, test_golden_bad);
        tcase_add_loop_test(tc, test_golden, 0, (int)(sizeof goldens / sizeof goldens[0]));
        tcase_add_test(tc, test_golden_all);
        tcase_add_test(tc, test_quantised);
    } else {
        printf("PARE_FIXTURES is not set: golden checkpoints skipped\n");
    }
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
