/* SPDX-License-Identifier: MIT */
/* Towers of multimodal language models: LLaVA, OneVision, InternVL, Idefics3, Gemma 3. Published configurations (shortened
 * to what is read) to hyper-parameters and rules, and what is refused. Files: test_mllm_files.c. */
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "core/limits.h"
#include "model/family.h"

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;
static const pare__family *family;

static int configure(const char *config, const char *prep_text)
{
    pare__config c;
    memset(&err, 0, sizeof err);
    int rc = pare__config_parse(&c, (const uint8_t *)config, strlen(config), (const uint8_t *)prep_text,
                                prep_text ? strlen(prep_text) : 0, &err);
    if (!rc) rc = pare__family_find(&family, &c, &err);
    if (!rc) rc = pare__family_configure(family, &c, &hp, &prep);
    pare__config_fini(&c);
    return rc;
}

static void reads(const char *name, const char *config, const char *prep_text)
{
    const int rc = configure(config, prep_text);
    ck_assert_msg(rc == 0, "%s: %s", config, err.text);
    ck_assert_str_eq(family->name, name);
}

static void refuses(const char *config, const char *prep_text, int code, const char *text)
{
    const int rc = configure(config, prep_text);
    ck_assert_msg(rc == code, "%s: code %d, expected %d: %s", config, rc, code, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

/* ---- LLaVA ------------------------------------------------------------------------------------------------------- */

#define CLIP_L                                                                                                         \
    "\"vision_config\":{\"hidden_size\":1024,\"image_size\":336,\"intermediate_size\":4096,\"model_type\":"            \
    "\"clip_vision_model\",\"num_attention_heads\":16,\"num_hidden_layers\":24,\"patch_size\":14,"                     \
    "\"projection_dim\":768}"
/* text_config without hidden_size: Llama's default of 4096 */
#define VICUNA "\"text_config\":{\"model_type\":\"llama\",\"max_position_embeddings\":4096}"
#define LLAVA "{\"model_type\":\"llava\"," CLIP_L "," VICUNA ",\"vision_feature_layer\":-2"
#define NEXT "{\"model_type\":\"llava_next\"," CLIP_L "," VICUNA ",\"vision_feature_layer\":-2"
#define CLIP_PREP                                                                                                      \
    "{\"size\":{\"shortest_edge\":336},\"crop_size\":{\"height\":336,\"width\":336},\"do_center_crop\":true,"          \
    "\"do_resize\":true,\"resample\":3,\"image_mean\":[0.5,0.4,0.3],\"image_std\":[0.2,0.2,0.2]"

START_TEST(test_llava)
{
    reads("llava", LLAVA ",\"vision_feature_select_strategy\":\"default\"}", CLIP_PREP "}");
    ck_assert(hp.dim == 1024 && hp.n_layer == 24 && hp.tap == 23 && hp.n_head == 16 && hp.mlp_dim == 4096);
    ck_assert(hp.patch == 14 && hp.pos_rows == 24 && hp.has_cls && hp.has_pre_norm && !hp.has_norm &&
              !hp.has_patch_bias);
    ck_assert(hp.act == PARE__ACT_GELU_QUICK && hp.proj_act == PARE__ACT_GELU && hp.eps == 1e-5F);
    ck_assert(hp.has_projector && hp.has_fc2 && hp.d_out == 4096 && hp.proj_dim == 4096 && hp.unit == 1);
    ck_assert(hp.form[0] == 1 && hp.form[1] == 0 && hp.pos_prefix == PARE__POS_CLS_ONLY && hp.fixed_grid);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 336 && prep.crop_width == 336);
    ck_assert(prep.tiles == PARE__TILES_NONE && !prep.newlines && prep.mean[1] == .4F);
    reads("llava", LLAVA "}", NULL); /* CLIP's own rule without a file */
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 336 && prep.crop == PARE__CROP_FLOOR);
}
END_TEST

START_TEST(test_llava_next)
{
    reads("llava", NEXT ",\"image_grid_pinpoints\":[[336,672],[672,336]]}", CLIP_PREP "}");
    ck_assert(prep.tiles == PARE__TILES_PINPOINTS && prep.n_pinpoint == 2 && prep.pinpoint[0][1] == 672);
    ck_assert(prep.newlines && hp.has_newline && prep.anyres_max == 0 && prep.clip_pool == 0);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 336 && prep.crop == PARE__CROP_NONE);
    reads("llava", NEXT "}", NULL);
    ck_assert(prep.n_pinpoint == 5 && prep.pinpoint[3][0] == 1008 && prep.pinpoint[3][1] == 336);
}
END_TEST

START_TEST(test_llava_refusals)
{
    refuses(LLAVA ",\"vision_feature_select_strategy\":\"full\"}", NULL, PARE_E_UNSUPPORTED, "projects the CLS token");
    refuses("{\"model_type\":\"llava\"," VICUNA "}", NULL, PARE_E_FORMAT, "no vision_config");
    refuses("{\"model_type\":\"llava\",\"vision_config\":{\"model_type\":\"pixtral\"}}", NULL, PARE_E_UNSUPPORTED,
            "\"pixtral\"");
    refuses("{\"model_type\":\"llava\"," CLIP_L ",\"vision_feature_layer\":[-2,-5]}", NULL, PARE_E_UNSUPPORTED,
            "names 2 layers");
    refuses("{\"model_type\":\"llava\"," CLIP_L ",\"vision_feature_layer\":-25}", NULL, PARE_E_FORMAT,
            "one of 24 blocks");
    refuses("{\"model_type\":\"llava\"," CLIP_L ",\"vision_feature_layer\":\"x\"}", NULL, PARE_E_FORMAT, "24 blocks");
    refuses("{\"model_type\":\"llava\",\"vision_config\":{\"model_type\":\"siglip_vision_model\"}}", NULL,
            PARE_E_UNSUPPORTED, "drops the first patch");
    refuses(NEXT ",\"image_grid_pinpoints\":[[336,600]]}", NULL, PARE_E_FORMAT,
            "336 x 600 is not made of tiles of 336");
    refuses(NEXT ",\"image_grid_pinpoints\":[]}", NULL, PARE_E_FORMAT, "holds no pair");
    refuses(NEXT ",\"image_grid_pinpoints\":[[336]]}", NULL, PARE_E_FORMAT, "336 x 0");
}
END_TEST

#define SO400M                                                                                                         \
    "\"vision_config\":{\"hidden_size\":1152,\"image_size\":384,\"intermediate_size\":4304,\"model_type\":"            \
    "\"siglip_vision_model\",\"num_attention_heads\":16,\"num_hidden_layers\":26,\"patch_size\":14,"                   \
    "\"vision_use_head\":false}"
#define ONEVISION "{\"model_type\":\"llava_onevision\"," SO400M ",\"text_config\":{\"hidden_size\":896}"

START_TEST(test_onevision)
{
    reads("onevision",
          ONEVISION ",\"vision_aspect_ratio\":\"anyres_max_9\",\"vision_feature_layer\":-1,"
                    "\"vision_feature_select_strategy\":\"full\"}",
          "{\"size\":{\"height\":384,\"width\":384},\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5],"
          "\"do_resize\":true,\"resample\":3,\"image_grid_pinpoints\":[[384,384],[2304,768]]}");
    ck_assert(hp.n_layer == 26 && hp.tap == 26 && !hp.has_norm && !hp.has_cls && hp.has_patch_bias &&
              hp.pos_rows == 27);
    ck_assert(hp.act == PARE__ACT_GELU_TANH && hp.proj_act == PARE__ACT_GELU && hp.eps == 1e-6F && hp.d_out == 896);
    ck_assert(prep.tiles == PARE__TILES_PINPOINTS && prep.n_pinpoint == 2 && prep.anyres_max == 9 &&
              prep.clip_pool == 2);
    ck_assert(prep.resize_width == 384 && prep.newlines && hp.has_newline);
    reads("onevision", ONEVISION "}", NULL);
    ck_assert(prep.n_pinpoint == 36 && prep.pinpoint[35][0] == 2304 && prep.pinpoint[6][0] == 768);
    refuses(ONEVISION ",\"vision_aspect_ratio\":\"anyres\"}", NULL, PARE_E_UNSUPPORTED, "\"anyres\" is not supported");
    refuses(ONEVISION ",\"vision_aspect_ratio\":\"anyres_max_x\"}", NULL, PARE_E_UNSUPPORTED, "anyres_max_x");
}
END_TEST

/* ---- InternVL ---------------------------------------------------------------------------------------------------- */

#define CHAT                                                                                                           \
    "{\"model_type\":\"internvl_chat\",\"downsample_ratio\":0.5,\"dynamic_image_size\":true,\"force_image_size\":448," \
    "\"llm_config\":{\"hidden_size\":4096},\"max_dynamic_patch\":12,\"min_dynamic_patch\":1,\"ps_version\":\"v2\","    \
    "\"select_layer\":-1"
#define VIT_300M                                                                                                       \
    "\"vision_config\":{\"model_type\":\"intern_vit_6b\",\"hidden_size\":1024,\"image_size\":448,"                     \
    "\"intermediate_size\":4096,\"norm_type\":\"layer_norm\",\"num_attention_heads\":16,\"num_hidden_layers\":24,"     \
    "\"patch_size\":14,\"qk_normalization\":false,\"qkv_bias\":true,\"layer_norm_eps\":1e-06}"
/* 6B as published leaves nothing out either; the class defaults are its own. */
#define VIT_6B "\"vision_config\":{\"model_type\":\"intern_vit_6b\",\"image_size\":448,\"num_hidden_layers\":45}"

START_TEST(test_internvl)
{
    reads("internvl", CHAT "," VIT_300M ",\"use_thumbnail\":true}",
          "{\"size\":448,\"crop_size\":448,\"do_center_crop\":true,\"do_resize\":true,\"resample\":3}");
    ck_assert(hp.dim == 1024 && hp.n_layer == 24 && hp.tap == 24 && hp.unit == 2 && hp.pos_rows == 32 && hp.has_cls);
    ck_assert(hp.norm == PARE__NORM_LAYER && hp.has_qkv_bias && !hp.has_qk && hp.has_scale && !hp.has_norm);
    ck_assert(hp.d_out == 4096 && hp.proj_dim == 4096 && hp.proj_norm_joined && hp.proj_eps == 1e-5F && hp.has_fc2);
    ck_assert(prep.tiles == PARE__TILES_RATIO && prep.max_tiles == 12 && prep.crop == PARE__CROP_NONE);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_height == 448 && prep.mean[0] == .485F);
    reads("internvl", CHAT "," VIT_6B ",\"use_thumbnail\":true}", NULL);
    ck_assert(hp.dim == 3200 && hp.n_head == 25 && hp.mlp_dim == 12800 && hp.norm == PARE__NORM_RMS &&
              hp.n_layer == 45);
    ck_assert(!hp.has_qkv_bias && hp.has_qk && hp.qk_norm == PARE__QK_NORM_ROW);
    reads("internvl", "{\"model_type\":\"intern_vit_6b\",\"hidden_size\":1024,\"num_attention_heads\":16}", NULL);
    ck_assert(!hp.has_projector && hp.unit == 1 && hp.d_out == 1024 && prep.tiles == PARE__TILES_NONE);
}
END_TEST

#define HF                                                                                                             \
    "{\"model_type\":\"internvl\",\"text_config\":{\"hidden_size\":896},\"vision_config\":{\"model_type\":"            \
    "\"internvl_vision\",\"attention_bias\":true,\"image_size\":[448,448],\"patch_size\":[14,14]"
#define GOT_PREP "{\"size\":{\"height\":448,\"width\":448},\"crop_to_patches\":false,\"max_patches\":12"

START_TEST(test_internvl_hf)
{
    reads("internvl", HF "}}", GOT_PREP "}");
    ck_assert(hp.dim == 1024 && hp.n_head == 16 && hp.has_qkv_bias && !hp.has_qk && hp.norm == PARE__NORM_LAYER);
    ck_assert(hp.unit == 2 && hp.pos_cols == 32 && !hp.has_norm && hp.d_out == 896 && prep.tiles == PARE__TILES_NONE);
    reads("internvl", HF "}}", GOT_PREP ",\"processor_class\":\"InternVLProcessor\"}");
    ck_assert(prep.tiles == PARE__TILES_RATIO && prep.min_tiles == 1 && prep.max_tiles == 12);
    reads("internvl", HF ",\"use_mean_pooling\":false}}", NULL);
    ck_assert(hp.has_norm);
    reads("internvl", HF ",\"use_mean_pooling\":false},\"vision_feature_layer\":-2}", NULL);
    ck_assert(!hp.has_norm && hp.tap == 23);
}
END_TEST

START_TEST(test_internvl_refusals)
{
    refuses(CHAT "," VIT_300M "}", NULL, PARE_E_UNSUPPORTED, "use_thumbnail");
    refuses("{\"model_type\":\"internvl_chat\",\"ps_version\":\"v1\"," VIT_300M "}", NULL, PARE_E_UNSUPPORTED,
            "ps_version \"v1\"");
    refuses("{\"model_type\":\"internvl_chat\",\"downsample_ratio\":0.4," VIT_300M "}", NULL, PARE_E_UNSUPPORTED,
            "downsample_ratio 0.4");
    refuses("{\"model_type\":\"internvl\",\"vision_config\":{\"image_size\":[448,224]}}", NULL, PARE_E_UNSUPPORTED,
            "448 x 224");
    refuses(HF ",\"norm_type\":\"batch_norm\"}}", NULL, PARE_E_UNSUPPORTED, "batch_norm");
    refuses(HF ",\"use_absolute_position_embeddings\":false}}", NULL, PARE_E_UNSUPPORTED, "position_embeddings");
}
END_TEST

/* ---- Idefics3 and Gemma 3 ---------------------------------------------------------------------------------------- */

/* SmolVLM2-256M: heads and widths are said, the rest is the class'. */
#define SMOLVLM                                                                                                        \
    "{\"model_type\":\"smolvlm\",\"scale_factor\":4,\"text_config\":{\"hidden_size\":576},\"vision_config\":{"         \
    "\"hidden_size\":768,\"image_size\":512,\"model_type\":\"smolvlm_vision\",\"num_attention_heads\":12,"             \
    "\"patch_size\":16}}"
#define SMOLVLM_PREP                                                                                                   \
    "{\"do_resize\":true,\"do_image_splitting\":%s,\"max_image_size\":{\"longest_edge\":512},\"resample\":1,"          \
    "\"size\":{\"longest_edge\":2048},\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5]}"

START_TEST(test_idefics3)
{
    char text[512];
    snprintf(text, sizeof text, SMOLVLM_PREP, "true");
    reads("idefics3", SMOLVLM, text);
    ck_assert(hp.dim == 768 && hp.n_layer == 12 && hp.mlp_dim == 3072 && hp.unit == 4 && hp.pos_rows == 32);
    ck_assert(hp.has_norm && !hp.has_cls && hp.interp == PARE__INTERP_BUCKET && hp.act == PARE__ACT_GELU_TANH);
    ck_assert(hp.d_out == 576 && hp.proj_dim == 576 && !hp.has_fc2 && !hp.has_proj_bias &&
              hp.join == PARE__JOIN_CONCAT);
    ck_assert(prep.tiles == PARE__TILES_LONGEST && prep.tiles_longest == 2048 && prep.max_tiles == 0);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 512 && prep.resample == PARE__RESAMPLE_LANCZOS);
    snprintf(text, sizeof text, SMOLVLM_PREP, "false");
    reads("idefics3", SMOLVLM, text);
    ck_assert(prep.tiles == PARE__TILES_LONGEST && prep.max_tiles == 1 && prep.resize_width == 512);
    reads("idefics3", SMOLVLM, NULL);
    ck_assert(prep.tiles_longest == 2048 && prep.resize_width == 512);
}
END_TEST

#define GEMMA                                                                                                          \
    "{\"model_type\":\"gemma3\",\"mm_tokens_per_image\":%d,\"text_config\":{\"model_type\":\"gemma3_text\"%s},"        \
    "\"vision_config\":{\"hidden_size\":1152,\"image_size\":896,\"intermediate_size\":4304,\"model_type\":"            \
    "\"siglip_vision_model\",\"num_attention_heads\":16,\"num_hidden_layers\":27,\"patch_size\":14}}"

START_TEST(test_gemma3)
{
    char text[1024];
    snprintf(text, sizeof text, GEMMA, 256, ",\"hidden_size\":2560");
    reads("gemma3", text, "{\"size\":{\"height\":896,\"width\":896},\"do_pan_and_scan\":null,\"resample\":2}");
    ck_assert(hp.unit == 4 && hp.join == PARE__JOIN_MEAN && hp.pos_rows == 64 && hp.has_norm && hp.d_out == 2560);
    ck_assert(hp.proj_norm == PARE__NORM_RMS && hp.proj_norm_joined && hp.proj_eps == 1e-6F && !hp.has_fc2);
    ck_assert(prep.resample == PARE__RESAMPLE_BILINEAR && prep.resize_width == 896 && prep.tiles == PARE__TILES_NONE);
    snprintf(text, sizeof text, GEMMA, 256, "");
    reads("gemma3", text, NULL);
    ck_assert_int_eq(hp.d_out, 2304);
    snprintf(text, sizeof text, GEMMA, 200, "");
    refuses(text, NULL, PARE_E_FORMAT, "mm_tokens_per_image is 200");
    snprintf(text, sizeof text, GEMMA, 225, "");
    refuses(text, NULL, PARE_E_FORMAT, "64 x 64 patches cannot be pooled to");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mllm");
    TCase *c = tcase_create("mllm");
    tcase_add_test(c, test_llava);
    tcase_add_test(c, test_llava_next);
    tcase_add_test(c, test_llava_refusals);
    tcase_add_test(c, test_onevision);
    tcase_add_test(c, test_internvl);
    tcase_add_test(c, test_internvl_hf);
    tcase_add_test(c, test_internvl_refusals);
    tcase_add_test(c, test_idefics3);
    tcase_add_test(c, test_gemma3);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed != 0;
}
