/* SPDX-License-Identifier: MIT */
/* mmproj files of llama.cpp by their keys: what they say, what they leave open and shapes of tensors tell, what is wrong. */
#include <string.h>

#include <check.h>

#include "core/limits.h"
#include "model/family.h"

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;
static const pare__family *family;

/* The tensors of a file, ending with n_dim 0. */
static const pare_tensor *find(void *files, const char *name)
{
    for (const pare_tensor *t = files; t->n_dim; t++)
        if (!strcmp(t->name, name)) return t;
    return NULL;
}

static int configure(const char *meta, pare_tensor *files)
{
    pare__config c;
    json_t *root = json_loads(meta, 0, NULL);
    ck_assert_msg(root != NULL, "%s", meta);
    memset(&err, 0, sizeof err);
    int rc = pare__config_from_gguf(&c, root, &err);
    if (!rc) rc = pare__family_find(&family, &c, &err);
    if (!rc) rc = pare__family_configure(family, &c, &hp, &prep);
    if (!rc) rc = family->settle(&c, &hp, find, files);
    pare__config_fini(&c);
    json_decref(root);
    return rc;
}

static void reads(const char *name, const char *meta, pare_tensor *files)
{
    const int rc = configure(meta, files);
    ck_assert_msg(rc == 0, "%s: %s", meta, err.text);
    ck_assert_str_eq(family->name, name);
}

static void refuses(const char *meta, int code, const char *text)
{
    pare_tensor none = {.n_dim = 0};
    const int rc = configure(meta, &none);
    ck_assert_msg(rc == code, "%s: code %d, expected %d: %s", meta, rc, code, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

#define TENSOR(n, ...)                                                                                                 \
    {                                                                                                                  \
        .name = (n), .n_dim = sizeof((int64_t[]){__VA_ARGS__}) / 8, .shape = { __VA_ARGS__ }                           \
    }
#define KEYS(dim, mlp, blocks, heads, side, patch)                                                                     \
    "{\"general.architecture\":\"clip\",\"clip.vision.embedding_length\":" #dim                                        \
    ",\"clip.vision.feed_forward_length\":" #mlp ",\"clip.vision.block_count\":" #blocks                               \
    ",\"clip.vision.attention.head_count\":" #heads ",\"clip.vision.image_size\":" #side                               \
    ",\"clip.vision.patch_size\":" #patch ",\"clip.vision.image_mean\":[0.5,0.5,0.5],"                                 \
    "\"clip.vision.image_std\":[0.5,0.5,0.5]"
#define CLIP_L KEYS(1024, 4096, 23, 16, 336, 14) ",\"clip.vision.projection_dim\":768"

/* LLaVA-1.5 as of 2023: no projector type, CLIP's projection_dim, fc1 called ffn_down. */
START_TEST(test_old_llava)
{
    pare_tensor files[] = {
        TENSOR("mm.2.weight", 4096, 4096), TENSOR("v.blk.0.ffn_down.weight", 4096, 1024), {.n_dim = 0}};
    reads("llava", CLIP_L ",\"clip.has_llava_projector\":true,\"clip.use_gelu\":false}", files);
    ck_assert(hp.n_layer == 23 && hp.tap == 23 && hp.d_out == 4096 && hp.proj_dim == 4096);
    ck_assert(hp.form[0] == 0 && hp.form[1] == 1 && hp.act == PARE__ACT_GELU_QUICK && !hp.has_newline);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.crop_width == 336 && prep.tiles == PARE__TILES_NONE);
}
END_TEST

/* LLaVA-1.6: pinpoints as (width, height) in one row. */
START_TEST(test_next)
{
    pare_tensor files[] = {TENSOR("mm.2.weight", 5120, 5120),
                           TENSOR("v.blk.0.ffn_down.weight", 1024, 4096),
                           TENSOR("model.image_newline", 5120),
                           {.n_dim = 0}};
    reads("llava",
          CLIP_L ",\"clip.projector_type\":\"mlp\",\"clip.use_gelu\":false,"
                 "\"clip.vision.image_grid_pinpoints\":[336,672,1008,336],\"clip.vision.feature_layer\":[22]}",
          files);
    ck_assert(hp.form[0] == 1 && hp.form[1] == 0 && hp.tap == 22 && hp.d_out == 5120 && hp.has_newline);
    ck_assert(prep.tiles == PARE__TILES_PINPOINTS && prep.n_pinpoint == 2 && prep.resize == PARE__RESIZE_EXACT);
    ck_assert(prep.pinpoint[0][0] == 672 && prep.pinpoint[0][1] == 336 && prep.pinpoint[1][1] == 1008);
    refuses(CLIP_L ",\"clip.projector_type\":\"mlp\",\"clip.vision.image_grid_pinpoints\":[336,335]}", PARE_E_FORMAT,
            "335 x 336 is not made of tiles");
    refuses(CLIP_L ",\"clip.projector_type\":\"mlp\",\"clip.vision.feature_layer\":[24]}", PARE_E_FORMAT, "23 blocks");
    refuses(CLIP_L ",\"clip.projector_type\":\"mlp\",\"clip.use_silu\":true}", PARE_E_UNSUPPORTED, "use_silu");
}
END_TEST

#define INTERNVL ",\"clip.projector_type\":\"internvl\",\"clip.use_gelu\":true,\"clip.vision.projection_dim\":8192}"

/* What InternViT-6B differs in stands in no key. */
START_TEST(test_internvl)
{
    pare_tensor files_6b[] = {
        TENSOR("v.blk.0.attn_q_norm.weight", 3200), TENSOR("mm.model.mlp.3.weight", 8192, 8192), {.n_dim = 0}};
    pare_tensor files_300m[] = {TENSOR("v.blk.0.ln1.bias", 1024), TENSOR("v.blk.0.attn_q.bias", 1024), {.n_dim = 0}};
    reads("internvl", KEYS(3200, 12800, 45, 25, 448, 14) INTERNVL, files_6b);
    ck_assert(hp.norm == PARE__NORM_RMS && hp.has_qk && hp.qk_norm == PARE__QK_NORM_ROW && !hp.has_qkv_bias);
    ck_assert(hp.unit == 2 && hp.d_out == 8192 && prep.tiles == PARE__TILES_RATIO && prep.max_tiles == 12);
    reads("internvl", KEYS(1024, 4096, 24, 16, 448, 14) INTERNVL, files_300m);
    ck_assert(hp.norm == PARE__NORM_LAYER && !hp.has_qk && hp.qk_norm == PARE__QK_PLAIN && hp.has_qkv_bias);
    ck_assert(hp.d_out == 8192 && hp.act == PARE__ACT_GELU && prep.resize_width == 448);
}
END_TEST

START_TEST(test_smolvlm_and_gemma)
{
    pare_tensor smolvlm[] = {TENSOR("mm.model.fc.weight", 576, 12288), {.n_dim = 0}};
    pare_tensor gemma[] = {TENSOR("mm.input_projection.weight", 1152, 2560), {.n_dim = 0}};
    reads("idefics3",
          KEYS(768, 3072, 12, 12, 512,
               16) ",\"clip.projector_type\":\"idefics3\",\"clip.use_gelu\":true,"
                   "\"clip.vision.projector.scale_factor\":4,\"clip.vision.preproc_image_size\":2048}",
          smolvlm);
    ck_assert(hp.unit == 4 && hp.act == PARE__ACT_GELU_TANH && hp.d_out == 576 && prep.tiles_longest == 2048);
    reads("gemma3", KEYS(1152, 4304, 27, 16, 896, 14) ",\"clip.projector_type\":\"gemma3\",\"clip.use_gelu\":true}",
          gemma);
    ck_assert(hp.unit == 4 && hp.act == PARE__ACT_GELU_TANH && hp.d_out == 2560 && prep.resize_width == 896);
    ck_assert(prep.resample == PARE__RESAMPLE_BILINEAR && hp.has_norm && hp.join == PARE__JOIN_MEAN);
}
END_TEST

START_TEST(test_refusals)
{
    pare_tensor wide[] = {TENSOR("mm.2.weight", 1 << 20, 4096), {.n_dim = 0}};
    refuses("{\"general.architecture\":\"clip\",\"clip.projector_type\":\"mlp\"}", PARE_E_FORMAT,
            "vision.embedding_length is missing");
    refuses("{\"general.architecture\":\"clip\",\"clip.projector_type\":\"ldp\"}", PARE_E_UNSUPPORTED, "clip");
    ck_assert_int_eq(configure(CLIP_L ",\"clip.projector_type\":\"mlp\"}", wide), PARE_E_LIMIT);
    ck_assert_msg(strstr(err.text, "mm.2.weight is 1048576 wide") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mllm_gguf");
    TCase *c = tcase_create("mllm_gguf");
    tcase_add_test(c, test_old_llava);
    tcase_add_test(c, test_next);
    tcase_add_test(c, test_internvl);
    tcase_add_test(c, test_smolvlm_and_gemma);
    tcase_add_test(c, test_refusals);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed != 0;
}
