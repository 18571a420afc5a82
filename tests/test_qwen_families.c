/* SPDX-License-Identifier: MIT */
/* The model side of Qwen2-VL and Qwen3-VL (test_qwen_model has Qwen2.5-VL): configurations of both kinds of files, rules of
 * clips, and the golden checkpoints, whose GGUF files hold the same numbers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/family.h"

enum { PATH_SIZE = 4096, MLP_ROWS = 160 };

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;

/* ---- configuration ----------------------------------------------------------------------------------------------- */

static json_t *json_of(const char *text)
{
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;
    ck_assert(!text || value);
    return value;
}

static int configure(pare__config *c, const char *name)
{
    const pare__family *family = NULL;
    int rc = pare__family_find(&family, c, &err);
    if (!rc) rc = pare__family_configure(family, c, &hp, &prep);
    if (!rc) ck_assert_str_eq(family->name, name);
    pare__config_fini(c);
    return rc;
}

static int configure_hf(const char *name, const char *config, const char *photo, const char *clip)
{
    pare__config c;
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pare__config_parse(&c, (const uint8_t *)config, strlen(config), (const uint8_t *)photo,
                                        photo ? strlen(photo) : 0, &err),
                     0);
    c.clip = json_of(clip);
    return configure(&c, name);
}

static void configured(const char *name, const char *config, const char *photo, const char *clip)
{
    int rc = configure_hf(name, config, photo, clip);
    ck_assert_msg(rc == 0, "%s: %s", config, err.text);
}

static void refused(const char *config, const char *photo, const char *clip, int code, const char *text)
{
    ck_assert_int_eq(configure_hf("", config, photo, clip), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

#define QWEN2(more)                                                                                                    \
    "{\"model_type\":\"qwen2_vl\",\"hidden_size\":9,\"vision_config\":{\"depth\":3,\"embed_dim\":80,"                  \
    "\"hidden_size\":32,\"num_heads\":1,\"mlp_ratio\":2" more "}}"
#define QWEN3(more)                                                                                                    \
    "{\"model_type\":\"qwen3_vl\",\"vision_config\":{\"depth\":4,\"hidden_size\":64,\"num_heads\":2,"                  \
    "\"intermediate_size\":128,\"num_position_embeddings\":64,\"out_hidden_size\":32" more "}}"

START_TEST(qwen2)
{
    configured("qwen2vl", QWEN2(""), NULL, NULL);
    ck_assert(hp.dim == 80 && hp.d_out == 32 && hp.mlp_dim == 160 && hp.n_layer == 3 && hp.n_head == 1);
    ck_assert(hp.patch == 14 && hp.unit == 2 && hp.temporal == 2 && !hp.window && !hp.gated && !hp.has_patch_bias);
    ck_assert(hp.norm == PARE__NORM_LAYER && hp.proj_norm == PARE__NORM_LAYER && hp.act == PARE__ACT_GELU_QUICK);
    ck_assert(hp.proj_act == PARE__ACT_GELU && hp.proj_dim == 320 && !hp.proj_norm_joined && hp.eps == 1e-6F);
    ck_assert(hp.rope == PARE__ROPE_GRID && hp.rope_theta == 1e4F && hp.has_mrope && hp.mrope_per_second == 0);
    ck_assert(!hp.mrope_stamps && !hp.n_deepstack && hp.tap == 3 && !hp.has_pos);
    ck_assert(prep.resize == PARE__RESIZE_SMART && prep.min_pixels == 3136 && prep.max_pixels == 1003520);
    ck_assert(!prep.clip_min_pixels && !prep.clip_max_pixels && !prep.clip_volume);
    /* the defaults of the class */
    configured("qwen2vl", "{\"model_type\":\"qwen2_vl\"}", NULL, NULL);
    ck_assert(hp.dim == 1280 && hp.d_out == 3584 && hp.mlp_dim == 5120 && hp.n_layer == 32 && hp.n_head == 16);
    configured("qwen2vl", "{\"model_type\":\"qwen2_vl\",\"vision_config\":{\"mlp_ratio\":5}}", NULL, NULL);
    ck_assert_int_eq(hp.mlp_dim, 6400);
    configured("qwen2vl", QWEN2(",\"hidden_act\":\"gelu\""), "{\"min_pixels\":3136,\"max_pixels\":12845056}", "{}");
    ck_assert(hp.act == PARE__ACT_GELU && prep.max_pixels == 12845056);
    ck_assert(prep.clip_min_pixels == 128 * 784 && prep.clip_max_pixels == 768 * 784);
}
END_TEST

START_TEST(qwen3)
{
    configured("qwen3vl", QWEN3(",\"deepstack_visual_indexes\":[0,2]"), NULL, NULL);
    ck_assert(hp.dim == 64 && hp.d_out == 32 && hp.mlp_dim == 128 && hp.patch == 16 && hp.unit == 2);
    ck_assert(hp.act == PARE__ACT_GELU_TANH && hp.norm == PARE__NORM_LAYER && hp.has_patch_bias && !hp.gated);
    ck_assert(hp.has_pos && hp.pos_rows == 8 && hp.pos_cols == 8 && hp.interp == PARE__INTERP_BILINEAR_ENDS);
    ck_assert(hp.n_deepstack == 2 && hp.deepstack[0] == 0 && hp.deepstack[1] == 2);
    ck_assert(hp.rope == PARE__ROPE_GRID && hp.has_mrope && hp.mrope_stamps && hp.mrope_per_second == 0);
    ck_assert(prep.mean[1] == .5F && prep.std[2] == .5F && prep.clip_volume && prep.min_pixels == 65536);
    configured("qwen3vl", QWEN3(",\"deepstack_visual_indexes\":[]"),
               "{\"size\":{\"shortest_edge\":4096,\"longest_edge\":16777216},\"patch_size\":16,\"merge_size\":2}",
               "{\"size\":{\"shortest_edge\":4096,\"longest_edge\":25165824}}");
    ck_assert(hp.n_deepstack == 0 && prep.min_pixels == 4096 && prep.max_pixels == 16777216);
    ck_assert(prep.clip_min_pixels == 4096 && prep.clip_max_pixels == 25165824);
    configured("qwen3vl", "{\"model_type\":\"qwen3_vl_moe\",\"vision_config\":{\"hidden_size\":1152}}", NULL, "{}");
    ck_assert(hp.n_layer == 27 && hp.mlp_dim == 4304 && hp.pos_rows == 48 && hp.n_deepstack == 3);
    ck_assert(hp.deepstack[0] == 8 && hp.deepstack[1] == 16 && hp.deepstack[2] == 24);
    ck_assert(prep.clip_min_pixels == 128 * 1024 && prep.clip_max_pixels == 768 * 1024);
}
END_TEST

START_TEST(errors)
{
    refused(QWEN2(",\"in_channels\":4"), NULL, NULL, PARE_E_LIMIT, "in_channels is 4");
    refused(QWEN2(""), "{\"merge_size\":4}", NULL, PARE_E_LIMIT, "merge_size is 4");
    refused(QWEN2(""), NULL, "{\"patch_size\":16}", PARE_E_LIMIT, "patch_size is 16");
    refused(QWEN2(""), NULL, "{\"min_pixels\":9,\"max_pixels\":8}", PARE_E_FORMAT,
            "min_pixels 9 of clips is above max_pixels 8");
    refused(QWEN2(",\"hidden_act\":\"silu\""), NULL, NULL, PARE_E_UNSUPPORTED, "hidden_act \"silu\"");
    refused("{\"model_type\":\"qwen3_vl\"}", NULL, NULL, PARE_E_FORMAT, "vision_config.hidden_size is missing");
    refused("{\"model_type\":\"qwen3_vl\",\"vision_config\":{\"hidden_size\":64,\"depth\":30,"
            "\"num_position_embeddings\":63}}",
            NULL, NULL, PARE_E_FORMAT, "63 positions are no square");
    refused(QWEN3(""), NULL, NULL, PARE_E_FORMAT, "DeepStack takes block 8 of 4");
    refused(QWEN3(",\"deepstack_visual_indexes\":[2,0]"), NULL, NULL, PARE_E_FORMAT, "must ascend");
    refused(QWEN3(",\"deepstack_visual_indexes\":3"), NULL, NULL, PARE_E_FORMAT, "must be an array");
    refused(QWEN3(",\"deepstack_visual_indexes\":[-1]"), NULL, NULL, PARE_E_FORMAT, "block -1 of 4");
    refused(QWEN3(",\"deepstack_visual_indexes\":[\"1\"]"), NULL, NULL, PARE_E_FORMAT, "block -1 of 4");
    refused(QWEN3(",\"deepstack_visual_indexes\":[0,1,2,3,0,1,2,3,0]"), NULL, NULL, PARE_E_LIMIT, "more than 8 blocks");
}
END_TEST

/* ---- GGUF keys --------------------------------------------------------------------------------------------------- */

#define CLIP(projector)                                                                                                \
    "\"general.architecture\":\"clip\",\"clip.projector_type\":\"" projector "\",\"clip.vision.embedding_length\":64," \
    "\"clip.vision.feed_forward_length\":7,\"clip.vision.block_count\":4,\"clip.vision.attention.head_count\":2,"      \
    "\"clip.vision.projection_dim\":32,\"clip.vision.patch_size\":14,\"clip.vision.image_size\":560"

/* files: ends with a tensor without name */
static const pare_tensor *find(void *files, const char *name)
{
    const pare_tensor *t = files;
    while (t->name && strcmp(t->name, name)) t++;
    return t->name ? t : NULL;
}

static int configure_gguf(const char *name, const char *meta_text, const pare_tensor *t)
{
    pare__config c;
    const pare__family *family = NULL;
    json_t *meta = json_of(meta_text);
    memset(&err, 0, sizeof err);
    memset(&hp, 0, sizeof hp);
    hp.unit = hp.temporal = 1;
    ck_assert_int_eq(pare__config_from_gguf(&c, meta, &err), 0);
    int rc = pare__family_find(&family, &c, &err);
    if (!rc) ck_assert_str_eq(family->name, name);
    if (!rc) rc = family->configure(&c, &hp, &prep);
    if (!rc) rc = family->settle(&c, &hp, find, (void *)(uintptr_t)t);
    pare__config_fini(&c);
    json_decref(meta);
    return rc;
}

START_TEST(gguf_keys)
{
    pare_tensor up[] = {{.name = "v.blk.0.ffn_up.weight", .n_dim = 2, .shape = {MLP_ROWS, 64}},
                        {.name = "v.blk.0.ffn_down.weight", .n_dim = 2, .shape = {64, MLP_ROWS}},
                        {.name = NULL}};
    ck_assert_msg(configure_gguf("qwen2vl", "{" CLIP("qwen2vl_merger") "}", up) == 0, "%s", err.text);
    ck_assert(hp.dim == 64 && hp.d_out == 32 && hp.mlp_dim == MLP_ROWS && hp.n_layer == 4 && hp.unit == 2);
    ck_assert(hp.act == PARE__ACT_GELU_QUICK && hp.temporal == 2);
    ck_assert_int_eq(configure_gguf("qwen2vl", "{" CLIP("qwen2vl_merger") ",\"clip.use_silu\":true}", up),
                     PARE_E_UNSUPPORTED);
    ck_assert(hp.form[0] == 1 && hp.form[1] == 0);
    up[0].shape[0] = up[1].shape[1] = 64; /* the first converter */
    up[0].shape[1] = up[1].shape[0] = MLP_ROWS;
    ck_assert_int_eq(configure_gguf("qwen2vl", "{" CLIP("qwen2vl_merger") "}", up), 0);
    ck_assert(hp.form[0] == 0 && hp.form[1] == 1 && hp.mlp_dim == MLP_ROWS);
    up[1].shape[0] = 1 << 30;
    ck_assert_int_eq(configure_gguf("qwen2vl", "{" CLIP("qwen2vl_merger") "}", up), PARE_E_LIMIT);
    pare_tensor pos[] = {{.name = "v.position_embd.weight", .n_dim = 2, .shape = {36, 64}}, {.name = NULL}};
    ck_assert_msg(
        configure_gguf("qwen3vl",
                       "{" CLIP("qwen3vl_merger") ",\"clip.use_gelu\":true,"
                                                  "\"clip.vision.is_deepstack_layers\":[false,true,false,true]}",
                       pos) == 0,
        "%s", err.text);
    ck_assert(hp.pos_rows == 6 && hp.pos_cols == 6 && hp.mlp_dim == 7 && hp.act == PARE__ACT_GELU_TANH);
    ck_assert(hp.n_deepstack == 2 && hp.deepstack[0] == 1 && hp.deepstack[1] == 3);
    ck_assert_int_eq(configure_gguf("qwen3vl", "{" CLIP("qwen3vl_merger") "}", pos), 0);
    ck_assert_int_eq(hp.n_deepstack, 0);
    pos[0].shape[0] = 35;
    ck_assert_int_eq(configure_gguf("qwen3vl", "{" CLIP("qwen3vl_merger") "}", pos), PARE_E_FORMAT);
}
END_TEST

/* ---- golden checkpoints ------------------------------------------------------------------------------------------ */

static const char *fixtures(void)
{
    const char *dir = getenv("PARE_FIXTURES");
    return dir && *dir ? dir : NULL;
}

static void same(const float *a, const float *b, int64_t n)
{
    ck_assert(!a == !b);
    for (int64_t i = 0; a && i < n; i++) ck_assert_msg(!(a[i] < b[i]) && !(a[i] > b[i]), "value %d", (int)i);
}

static void same_linear(const pare__linear *a, const pare__linear *b)
{
    ck_assert(a->w && a->n_in == b->n_in && a->n_out == b->n_out);
    same(a->w, b->w, (int64_t)a->n_in * a->n_out);
    same(a->b, b->b, a->n_out);
}

static void same_projector(const pare__projector_w *a, const pare__projector_w *b, int64_t n)
{
    ck_assert_ptr_nonnull(a->norm.w);
    same(a->norm.w, b->norm.w, n);
    same(a->norm.b, b->norm.b, n);
    same_linear(&a->fc1, &b->fc1);
    same_linear(&a->fc2, &b->fc2);
}

static void same_tower(const pare_model *a, const pare_model *b)
{
    const int64_t d = a->hp.dim, joined = 4 * d;
    ck_assert_int_eq(a->n_params, b->n_params);
    ck_assert_mem_eq(a->hp.deepstack, b->hp.deepstack, sizeof a->hp.deepstack);
    same_linear(&a->w.patch, &b->w.patch);
    same(a->w.pos, b->w.pos, (int64_t)a->hp.pos_rows * a->hp.pos_cols * d);
    same_projector(&a->w.projector, &b->w.projector, d);
    for (int i = 0; i < a->hp.n_deepstack; i++) same_projector(&a->w.deepstack[i], &b->w.deepstack[i], joined);
    for (int i = 0; i < a->hp.n_layer; i++) {
        same_linear(&a->w.block[i].qkv, &b->w.block[i].qkv);
        same_linear(&a->w.block[i].proj, &b->w.block[i].proj);
        same_linear(&a->w.block[i].fc1, &b->w.block[i].fc1);
        same_linear(&a->w.block[i].fc2, &b->w.block[i].fc2);
        same(a->w.block[i].norm1.b, b->w.block[i].norm1.b, d);
    }
}

static void open_both(const char *name, const char *gguf, pare_model **a, pare_model **b)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/golden/models/%s", fixtures(), name);
    ck_assert_msg(pare__model_load(a, path, &err) == 0, "%s", err.text);
    snprintf(path, sizeof path, "%s/golden/models/%s/%s", fixtures(), name, gguf);
    ck_assert_msg(pare__model_load(b, path, &err) == 0, "%s", err.text);
}

START_TEST(golden_gguf)
{
    pare_model *a = NULL, *b = NULL;
    open_both("qwen2vl-image", "mmproj-f16.gguf", &a, &b);
    ck_assert(b->hp.mlp_dim == a->hp.mlp_dim && a->hp.mlp_dim == 160 && a->hp.act == b->hp.act);
    same_tower(a, b);
    pare__model_free(&a);
    pare__model_free(&b);
    open_both("qwen3vl-image", "mmproj-q8_0.gguf", &a, &b);
    ck_assert(a->hp.n_deepstack == 2 && b->hp.pos_rows == a->hp.pos_rows && a->w.pos && a->w.deepstack[1].fc2.w);
    same_tower(a, b);
    pare__model_free(&a);
    pare__model_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("qwen_families");
    TCase *tc = tcase_create("qwen_families");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, qwen2);
    tcase_add_test(tc, qwen3);
    tcase_add_test(tc, errors);
    tcase_add_test(tc, gguf_keys);
    if (fixtures())
        tcase_add_test(tc, golden_gguf);
    else
        printf("PARE_FIXTURES is not set: golden checkpoints skipped\n");
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
