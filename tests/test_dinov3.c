/* SPDX-License-Identifier: MIT */
/* DINOv3: configurations of Hugging Face and timm, and one tower under the names of everybody who publishes it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/family.h"

enum { DIM = 16, MLP = 24, PATCH = 4, LAYERS = 2, REGISTERS = 3, PATH_SIZE = 512, MAX_TENSOR = 64, NAME_SIZE = 96 };

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static int configure(const char *config, const char *photo)
{
    pare__config c;
    const pare__family *family = NULL;
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pare__config_parse(&c, (const uint8_t *)config, strlen(config), (const uint8_t *)photo,
                                        photo ? strlen(photo) : 0, &err),
                     0);
    int rc = pare__family_find(&family, &c, &err);
    if (!rc) ck_assert_str_eq(family->name, "dinov3");
    if (!rc) rc = pare__family_configure(family, &c, &hp, &prep);
    pare__config_fini(&c);
    return rc;
}

static void configured(const char *config, const char *photo)
{
    ck_assert_msg(configure(config, photo) == 0, "%s: %s", config, err.text);
}

static void refused(const char *config, int code, const char *text)
{
    ck_assert_int_eq(configure(config, NULL), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

START_TEST(hugging_face)
{
    configured("{\"model_type\":\"dinov3_vit\",\"hidden_size\":384,\"num_register_tokens\":4,\"num_channels\":3}",
               NULL);
    ck_assert(hp.dim == 384 && hp.n_layer == 12 && hp.n_head == 6 && hp.mlp_dim == 1536 && hp.patch == 16);
    ck_assert(hp.has_cls && hp.n_register == 4 && hp.n_prefix == 5 && hp.eps == 1e-5F && !hp.gated && !hp.has_pos);
    ck_assert(hp.rope == PARE__ROPE_CENTRE && hp.rope_theta == 100 && hp.act == PARE__ACT_GELU && hp.has_scale);
    ck_assert(hp.has_qkv_bias && hp.has_attn_bias && hp.has_mlp_bias && hp.pool == PARE__POOL_CLS && hp.has_norm);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 224 &&
              prep.resample == PARE__RESAMPLE_BILINEAR);
    configured(
        "{\"model_type\":\"dinov3_vit\",\"hidden_size\":4096,\"num_attention_heads\":32,\"num_hidden_layers\":40,"
        "\"use_gated_mlp\":true,\"hidden_act\":\"silu\",\"intermediate_size\":8192,\"query_bias\":false,"
        "\"value_bias\":false,\"proj_bias\":false,\"mlp_bias\":false,\"rope_theta\":50.0}",
        "{\"size\":{\"height\":80,\"width\":112},\"resample\":3}");
    ck_assert(hp.gated && hp.act == PARE__ACT_SILU && !hp.has_qkv_bias && !hp.has_attn_bias && !hp.has_mlp_bias);
    ck_assert(hp.rope_theta == 50 && prep.resize_width == 112 && prep.resample == PARE__RESAMPLE_BICUBIC);
    refused("{\"model_type\":\"dinov3_vit\"}", PARE_E_FORMAT, "hidden_size is missing");
    /* An absent activation is the class's own, gate or not; a setting of other models is none of this one. */
    configured("{\"model_type\":\"dinov3_vit\",\"hidden_size\":384,\"use_gated_mlp\":true,\"rope_parameters\":{"
               "\"rope_theta\":7}}",
               NULL);
    ck_assert(hp.gated && hp.act == PARE__ACT_GELU && hp.rope_theta == 100);
    refused("{\"model_type\":\"dinov3_vit\",\"hidden_size\":384,\"hidden_act\":\"silu\"}", PARE_E_UNSUPPORTED,
            "hidden_act \"silu\" without use_gated_mlp");
    refused("{\"model_type\":\"dinov3_vit\",\"hidden_size\":36,\"num_attention_heads\":6}", PARE_E_FORMAT,
            "6 channels of a head cannot turn");
}
END_TEST

START_TEST(timm)
{
    configured("{\"architecture\":\"vit_small_patch16_dinov3\",\"num_classes\":0,\"num_features\":384,"
               "\"pretrained_cfg\":{\"input_size\":[3,256,256],\"crop_pct\":1.0,\"interpolation\":\"bicubic\","
               "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]}}",
               NULL);
    ck_assert(hp.dim == 384 && hp.n_layer == 12 && hp.n_head == 6 && hp.mlp_dim == 1536 && !hp.has_qkv_bias);
    ck_assert(hp.n_register == 4 && hp.pool == PARE__POOL_MEAN && hp.has_attn_bias && hp.pos_rows == 16);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 256 && prep.crop_width == 256);
    configured("{\"architecture\":\"vit_small_plus_patch16_dinov3_qkvb\",\"global_pool\":\"token\"}", NULL);
    ck_assert(hp.gated && hp.mlp_dim == 1536 && hp.has_qkv_bias && hp.pool == PARE__POOL_CLS);
    configured("{\"architecture\":\"vit_huge_plus_patch16_dinov3\",\"model_args\":{\"img_size\":512}}", NULL);
    ck_assert(hp.dim == 1280 && hp.n_head == 20 && hp.mlp_dim == 5120 && hp.pos_rows == 32);
    configured("{\"architecture\":\"vit_7b_patch16_dinov3\"}", NULL);
    ck_assert(hp.dim == 4096 && hp.n_layer == 40 && hp.mlp_dim == 8192 && hp.act == PARE__ACT_SILU);
    refused("{\"architecture\":\"vit_medium_patch16_dinov3\"}", PARE_E_UNSUPPORTED, "vit_medium_patch16_dinov3");
    refused("{\"architecture\":\"vit_small_patch16_dinov3\",\"model_args\":{\"depth\":3}}", PARE_E_UNSUPPORTED,
            "model_args.depth");
}
END_TEST

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* How somebody spells it. A bias of q, k, v apart: "" where there is none. */
typedef struct spelling {
    const char *patch, *cls, *registers, *block; /* block: up to the number */
    const char *q, *k, *v, *qkv, *o, *scale1, *scale2, *gate, *up, *down;
    const char *q_bias, *v_bias, *mask; /* timm, Meta */
} spelling;

static const spelling spellings[] = {
    {"embeddings.patch_embeddings", "embeddings.cls_token", "embeddings.register_tokens", "layer.", "attention.q_proj",
     "attention.k_proj", "attention.v_proj", NULL, "attention.o_proj", "layer_scale1.lambda1", "layer_scale2.lambda1",
     "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "attention.q_proj.bias", "attention.v_proj.bias", NULL},
    {"embeddings.patch_embeddings", "embeddings.cls_token", "embeddings.register_tokens", "model.layer.",
     "attention.q_proj", "attention.k_proj", "attention.v_proj", NULL, "attention.o_proj", "layer_scale1.lambda1",
     "layer_scale2.lambda1", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "attention.q_proj.bias",
     "attention.v_proj.bias", NULL},
    {"patch_embed.proj", "cls_token", "reg_token", "blocks.", NULL, NULL, NULL, "attn.qkv", "attn.proj", "gamma_1",
     "gamma_2", "mlp.fc1_g", "mlp.fc1_x", "mlp.fc2", "attn.q_bias", "attn.v_bias", NULL},
    {"patch_embed.proj", "cls_token", "storage_tokens", "blocks.", NULL, NULL, NULL, "attn.qkv", "attn.proj",
     "ls1.gamma", "ls2.gamma", "mlp.w1", "mlp.w2", "mlp.w3", NULL, NULL, "attn.qkv.bias_mask"},
};
enum { N_SPELLING = sizeof spellings / sizeof *spellings };

typedef struct maker {
    pare_tensor t[MAX_TENSOR];
    char name[MAX_TENSOR][NAME_SIZE];
    int n;
} maker;

/* Values first, first + 1, ... */
static void add(maker *m, const char *prefix, const char *name, const char *suffix, int first, int64_t rows,
                int64_t cols)
{
    ck_assert_int_lt(m->n, MAX_TENSOR);
    float *x = malloc((size_t)(rows * cols) * sizeof *x);
    for (int64_t i = 0; i < rows * cols; i++) x[i] = (float)(first + i);
    snprintf(m->name[m->n], NAME_SIZE, "%s%s%s", prefix, name, suffix);
    m->t[m->n] = (pare_tensor){.name = m->name[m->n], .dtype = PARE_F32, .n_dim = 2, .shape = {rows, cols}, .data = x};
    m->n++;
}

static void add_linear(maker *m, const char *prefix, const char *name, int first, int64_t rows, int64_t cols)
{
    add(m, prefix, name, ".weight", first, rows, cols);
    add(m, prefix, name, ".bias", first + 1, rows, 1);
}

static void add_attention(maker *m, const char *at, const spelling *s)
{
    const int part = DIM * DIM;
    if (s->qkv) add(m, at, s->qkv, ".weight", 100, (int64_t)3 * DIM, DIM);
    if (s->q) add(m, at, s->q, ".weight", 100, DIM, DIM);
    if (s->k) add(m, at, s->k, ".weight", 100 + part, DIM, DIM);
    if (s->v) add(m, at, s->v, ".weight", 100 + 2 * part, DIM, DIM);
    if (s->q_bias) add(m, at, s->q_bias, "", 50, DIM, 1);
    if (s->v_bias) add(m, at, s->v_bias, "", 50 + 2 * DIM, DIM, 1);
    if (s->mask) add(m, at, s->qkv, ".bias", 50, (int64_t)3 * DIM, 1);
    if (s->mask) add(m, at, s->mask, "", 0, (int64_t)3 * DIM, 1);
    add_linear(m, at, s->o, 200, DIM, DIM);
}

static void add_block(maker *m, const spelling *s, int l)
{
    char at[32];
    snprintf(at, sizeof at, "%s%d.", s->block, l);
    add_linear(m, at, "norm1", 10, DIM, 1);
    add_linear(m, at, "norm2", 20, DIM, 1);
    add_attention(m, at, s);
    add(m, at, s->scale1, "", 30, DIM, 1);
    add(m, at, s->scale2, "", 40, DIM, 1);
    add_linear(m, at, s->gate, 300, MLP, DIM);
    add_linear(m, at, s->up, 400, MLP, DIM);
    add_linear(m, at, s->down, 500, DIM, MLP);
}

static const char config_text[] = "{\"model_type\":\"dinov3_vit\",\"hidden_size\":16,\"num_hidden_layers\":2,\"num_"
                                  "attention_heads\":2,\"patch_size\":4,"
                                  "\"image_size\":16,\"intermediate_size\":24,\"num_register_tokens\":3,\"use_gated_"
                                  "mlp\":true,\"hidden_act\":\"silu\"}";

static void write_model(const char *dir, const spelling *s)
{
    char path[PATH_SIZE];
    maker *m = calloc(1, sizeof *m);
    add(m, s->patch, ".weight", "", 1, DIM, 3 * PATCH * PATCH);
    m->t[0].n_dim = 4;
    memcpy(m->t[0].shape, (int64_t[]){DIM, 3, PATCH, PATCH}, 4 * sizeof(int64_t));
    add(m, s->patch, ".bias", "", 2, DIM, 1);
    add(m, s->cls, "", "", 3, 1, DIM);
    add(m, s->registers, "", "", 4, REGISTERS, DIM);
    add_linear(m, "", "norm", 5, DIM, 1);
    for (int l = 0; l < LAYERS; l++) add_block(m, s, l);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    for (int i = 0; i < m->n; i++)
        if (m->t[i].shape[1] == 1 && m->t[i].n_dim == 2) m->t[i].n_dim = 1;
    ck_assert_msg(pare_tensors_save(path, m->t, m->n, NULL, 0, &err) == 0, "%s", err.text);
    for (int i = 0; i < m->n; i++) free((void *)(uintptr_t)m->t[i].data);
    free(m);
    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(config_text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void counts_up(const float *x, int64_t n, int first)
{
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n; i++) ck_assert_float_eq(x[i], (float)(first + i));
}

/* gate and up are stacked; keys have no bias, whatever the file holds. */
static void check_block(const pare__block_w *b)
{
    counts_up(b->norm1.w, DIM, 10);
    counts_up(b->norm2.b, DIM, 21);
    counts_up(b->scale1, DIM, 30);
    counts_up(b->scale2, DIM, 40);
    counts_up(b->qkv.w, 3 * DIM * DIM, 100);
    counts_up(b->qkv.b, DIM, 50);
    for (int i = DIM; i < 2 * DIM; i++) ck_assert_float_eq(b->qkv.b[i], 0);
    counts_up(b->qkv.b + 2 * DIM, DIM, 50 + 2 * DIM);
    counts_up(b->proj.w, DIM * DIM, 200);
    counts_up(b->fc1.w, MLP * DIM, 300);
    counts_up(b->fc1.w + MLP * DIM, MLP * DIM, 400);
    counts_up(b->fc1.b + MLP, MLP, 401);
    counts_up(b->fc2.b, DIM, 501);
    ck_assert(b->fc1.n_out == 2 * MLP && b->fc2.n_in == MLP);
}

START_TEST(names)
{
    static const char *const files[] = {"model.safetensors", "config.json"};
    char dir[] = "/tmp/pare-dinov3-XXXXXX", path[PATH_SIZE];
    pare_model *m = NULL;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    write_model(dir, &spellings[_i]);
    ck_assert_msg(pare__model_load(&m, dir, &err) == 0, "%s", err.text);
    ck_assert_str_eq(m->family->name, "dinov3");
    counts_up(m->w.patch.w, DIM * 3 * PATCH * PATCH, 1);
    counts_up(m->w.patch.b, DIM, 2);
    counts_up(m->w.cls, DIM, 3);
    counts_up(m->w.registers, REGISTERS * DIM, 4);
    counts_up(m->w.norm.b, DIM, 6);
    ck_assert_ptr_null(m->w.pos);
    for (int l = 0; l < LAYERS; l++) check_block(&m->w.block[l]);
    pare__model_free(&m);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dinov3");
    TCase *tc = tcase_create("dinov3");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, hugging_face);
    tcase_add_test(tc, timm);
    tcase_add_loop_test(tc, names, 0, N_SPELLING);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
