/* SPDX-License-Identifier: MIT */
/* Configurations to hyper-parameters and preprocessing rules, and the messages of what is wrong. */
#include <check.h>
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

#define VIT "\"model_type\":\"vit\",\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2"
#define DINO "\"model_type\":\"dinov2\",\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2"

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;

static int configure_parts(const char *config, const char *prep_text)
{
    pare__config c;
    const pare__family *family = NULL;
    memset(&err, 0, sizeof err);
    int rc = pare__config_parse(&c, (const uint8_t *)config, strlen(config), (const uint8_t *)prep_text,
                                prep_text ? strlen(prep_text) : 0, &err);
    if (!rc) rc = pare__family_find(&family, &c, &err);
    if (!rc) rc = pare__family_configure(family, &c, &hp, &prep);
    pare__config_fini(&c);
    ck_assert(rc == 0 || err.code == rc);
    return rc;
}

static void configured(const char *config, const char *prep_text)
{
    int rc = configure_parts(config, prep_text);
    ck_assert_msg(rc == 0, "%s: %s", config, err.text);
}

static void refused(const char *config, const char *prep_text, int code, const char *text)
{
    int rc = configure_parts(config, prep_text);
    ck_assert_msg(rc == code, "%s: code %d, expected %d: %s", config, rc, code, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

START_TEST(test_messages)
{
    refused("{" VIT, NULL, PARE_E_FORMAT, "config.json: line 1");
    refused("[]", NULL, PARE_E_FORMAT, "not a JSON object");
    refused("{}", NULL, PARE_E_FORMAT, "neither model_type nor architecture");
    refused("{\"model_type\":\"bert\"}", NULL, PARE_E_UNSUPPORTED, "\"bert\"");
    refused("{\"architecture\":\"vit_base_patch16_siglip_224\"}", NULL, PARE_E_UNSUPPORTED, "siglip");
    refused("{\"model_type\":\"vit\"}", NULL, PARE_E_FORMAT, "hidden_size is missing, must be an integer in 1..16384");
    refused("{\"model_type\":\"vit\",\"hidden_size\":-3}", NULL, PARE_E_FORMAT,
            "config.json: hidden_size is -3, must be");
    refused("{\"model_type\":\"vit\",\"hidden_size\":\"8\"}", NULL, PARE_E_FORMAT, "hidden_size is \"8\"");
    refused("{\"model_type\":\"vit\",\"hidden_size\":2147483648}", NULL, PARE_E_LIMIT, "2147483648");
    refused("{" VIT ",\"patch_size\":0}", NULL, PARE_E_FORMAT, "patch_size is 0");
    refused("{" VIT ",\"num_channels\":1}", NULL, PARE_E_FORMAT, "num_channels is 1");
    refused("{" VIT ",\"hidden_act\":\"swish\"}", NULL, PARE_E_UNSUPPORTED, "hidden_act \"swish\"");
    refused("{" VIT ",\"image_size\":8}", NULL, PARE_E_FORMAT, "smaller than a patch of 16");
    refused("{" VIT ",\"image_size\":16000,\"patch_size\":1}", NULL, PARE_E_LIMIT, "position table");
    refused("{" VIT ",\"layer_norm_eps\":0}", NULL, PARE_E_FORMAT, "layer_norm_eps is 0");
    refused("{" VIT ",\"qkv_bias\":1}", NULL, PARE_E_FORMAT, "qkv_bias is 1, must be true or false");
    refused("{\"model_type\":\"vit\",\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":3}", NULL,
            PARE_E_FORMAT, "width 8 is not divisible by 3 heads");
    refused("{\"architecture\":\"vit_tiny_patch16_224\",\"model_args\":{\"qk_norm\":true}}", NULL, PARE_E_UNSUPPORTED,
            "model_args.qk_norm");
    refused("{\"architecture\":\"vit_tiny_patch16_224\",\"global_pool\":\"map\"}", NULL, PARE_E_UNSUPPORTED, "\"map\"");
}
END_TEST

START_TEST(test_vit)
{
    configured("{" VIT ",\"torch_dtype\":17}", NULL);
    ck_assert(hp.dim == 8 && hp.n_layer == 2 && hp.n_head == 2 && hp.mlp_dim == 32 && hp.patch == 16);
    ck_assert(hp.pos_rows == 14 && hp.pos_cols == 14 && hp.video_units == 196 && hp.unit == 1 && hp.temporal == 1);
    ck_assert(hp.eps == 1e-12F && hp.n_prefix == 1 && hp.n_class == 0 && hp.interp == PARE__INTERP_BICUBIC);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 224 && prep.crop == PARE__CROP_NONE);
    ck_assert(prep.resample == PARE__RESAMPLE_BILINEAR && prep.mean[0] == .5F && prep.rescale == 1.0 / 255);
    configured("{" VIT ",\"image_size\":[32,64],\"architectures\":[\"ViTForImageClassification\"]}", NULL);
    ck_assert(hp.pos_rows == 2 && hp.pos_cols == 4 && hp.n_class == 2);
    configured("{" VIT ",\"architectures\":[\"ViTForImageClassification\"],\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":"
               "\"c\"}}",
               NULL);
    ck_assert_int_eq(hp.n_class, 3);
    configured("{" VIT ",\"architectures\":[\"ViTModel\"],\"id2label\":{\"0\":\"a\"}}", NULL);
    ck_assert_int_eq(hp.n_class, 0);
}
END_TEST

START_TEST(test_dinov2)
{
    configured("{" DINO "}", NULL);
    ck_assert(hp.mlp_dim == 256 && !hp.gated && hp.patch == 14 && hp.pos_rows == 37 && hp.video_units == 768);
    ck_assert(hp.pos_prefix == PARE__POS_CLS_ONLY && hp.interp == PARE__INTERP_BICUBIC && hp.has_scale);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 256 && prep.crop_width == 224);
    configured("{" DINO ",\"use_swiglu_ffn\":true}", NULL);
    ck_assert(hp.mlp_dim == 176 && hp.gated && hp.act == PARE__ACT_SILU);
    ck_assert_int_eq(pare__family_axis(&hp, 'G'), 352);
    ck_assert_int_eq(pare__family_axis(&hp, 'H'), 128);
    configured("{" DINO ",\"num_register_tokens\":4}", NULL);
    ck_assert(hp.n_prefix == 5 && hp.interp == PARE__INTERP_BICUBIC_AA);
    ck_assert_int_eq(pare__family_axis(&hp, 'N'), 1 + 37 * 37);
    configured("{\"model_type\":\"dinov2\",\"hidden_size\":1536,\"num_hidden_layers\":40,\"num_attention_heads\":24,"
               "\"use_swiglu_ffn\":true}",
               NULL);
    ck_assert_int_eq(hp.mlp_dim, 4096);
}
END_TEST

START_TEST(test_timm)
{
    configured("{\"architecture\":\"vit_small_patch14_reg4_dinov2\",\"pretrained_cfg\":{\"input_size\":[3,518,518],"
               "\"crop_pct\":1.0,\"interpolation\":\"bicubic\",\"mean\":[0.485,0.456,0.406]}}",
               NULL);
    ck_assert(hp.dim == 384 && hp.n_layer == 12 && hp.n_head == 6 && hp.mlp_dim == 1536 && hp.patch == 14);
    ck_assert(hp.n_register == 4 && hp.pos_prefix == PARE__POS_NO_PREFIX && hp.has_scale && hp.pos_rows == 37);
    ck_assert(hp.interp == PARE__INTERP_BICUBIC_AA && hp.eps == 1e-6F && hp.has_norm && !hp.has_fc_norm);
    ck_assert(prep.shortest == 518 && prep.crop == PARE__CROP_ROUND && prep.mean[0] == .485F && prep.std[0] == .5F);
    configured(
        "{\"architecture\":\"vit_base_patch32_224\",\"num_classes\":10,\"global_pool\":\"avg\",\"pretrained_cfg\":"
        "{\"input_size\":[3,224,224],\"crop_pct\":0.9}}",
        NULL);
    ck_assert(hp.pool == PARE__POOL_MEAN && hp.has_fc_norm && !hp.has_norm && hp.n_class == 10 && hp.patch == 32);
    ck_assert_int_eq(prep.shortest, 248);
    configured("{\"architecture\":\"vit_medium_patch16_gap_240\",\"model_args\":{\"img_size\":240}}", NULL);
    ck_assert(!hp.has_cls && !hp.has_qkv_bias && hp.has_norm && !hp.has_fc_norm && hp.pool == PARE__POOL_MEAN);
    configured("{\"architecture\":\"vit_base_patch16_clip_quickgelu_224\"}", NULL);
    ck_assert(hp.has_pre_norm && !hp.has_patch_bias && hp.eps == 1e-5F && hp.act == PARE__ACT_GELU_QUICK);
    configured("{\"architecture\":\"vit_giant_patch14_dinov2\"}", NULL);
    ck_assert(hp.gated && hp.mlp_dim == 4096 && hp.dim == 1536 && hp.act == PARE__ACT_SILU);
}
END_TEST

START_TEST(test_prep)
{
    configured("{" VIT "}", "{\"size\":32}");
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 32 && prep.resize_height == 32);
    configured("{" DINO "}", "{\"size\":32,\"crop_size\":28}");
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 32 && prep.crop_width == 28);
    configured("{" VIT "}", "{\"size\":{\"height\":72,\"width\":104},\"resample\":1}");
    ck_assert(prep.resize_height == 72 && prep.resize_width == 104 && prep.resample == PARE__RESAMPLE_LANCZOS);
    configured("{" DINO "}",
               "{\"do_resize\":false,\"do_center_crop\":false,\"do_rescale\":false,\"do_normalize\":false}");
    ck_assert(prep.resize == PARE__RESIZE_NONE && prep.crop == PARE__CROP_NONE && prep.rescale == 1);
    ck_assert(prep.mean[2] == 0 && prep.std[2] == 1);
    configured("{" VIT "}", "{\"do_center_crop\":true,\"crop_size\":{\"height\":30,\"width\":20}}");
    ck_assert(prep.crop == PARE__CROP_FLOOR && prep.crop_height == 30 && prep.crop_width == 20);
    refused("{" VIT "}", "{\"do_center_crop\":true}", PARE_E_FORMAT, "without a crop_size");
    refused("{" VIT "}", "{\"resample\":5}", PARE_E_UNSUPPORTED, "resample 5");
    refused("{" VIT "}", "{\"resample\":6}", PARE_E_LIMIT, "resample is 6");
    refused("{" VIT "}", "{\"size\":{\"longest_edge\":9}}", PARE_E_UNSUPPORTED, "longest_edge");
    refused("{" VIT "}", "{\"size\":{\"height\":9}}", PARE_E_FORMAT, "preprocessor_config.json: size is missing");
    refused("{" VIT "}", "{\"size\":99999}", PARE_E_LIMIT, "99999");
    refused("{" VIT "}", "{\"image_std\":[1,0,1]}", PARE_E_FORMAT, "image_std is 0");
    refused("{" VIT "}", "{\"image_mean\":[1,2]}", PARE_E_FORMAT, "holds 2 numbers");
}
END_TEST

START_TEST(test_gguf_keys)
{
    pare__config c;
    const pare__family *family;
    json_t *meta =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:[ss], s:i, s:i, s:[fff]}", "general.architecture", "dinov2",
                  "dinov2.hidden_size", 64, "dinov2.num_hidden_layers", 2, "dinov2.num_attention_heads", 2,
                  "dinov2.img_size", 70, "dinov2.num_classes", 2, "dinov2.labels", "x", "y",
                  "dinov2.resize_shortest_edge", 80, "dinov2.crop_size", 70, "dinov2.image_mean", .25, .5, .75);
    ck_assert_ptr_nonnull(meta);
    ck_assert_int_eq(pare__config_from_gguf(&c, meta, &err), 0);
    ck_assert_int_eq(pare__family_find(&family, &c, &err), 0);
    ck_assert_str_eq(family->name, "dinov2");
    ck_assert_msg(pare__family_configure(family, &c, &hp, &prep) == 0, "%s", err.text);
    ck_assert(hp.pos_rows == 5 && hp.n_class == 2 && hp.mlp_dim == 256);
    ck_assert(prep.shortest == 80 && prep.crop_width == 70 && prep.mean[0] == .25F && prep.std[0] == .229F);
    ck_assert_str_eq(pare__config_label(&c, 1), "y");
    ck_assert_ptr_null(pare__config_label(&c, 2));
    pare__config_fini(&c);
    json_object_del(meta, "general.architecture");
    ck_assert_int_eq(pare__config_from_gguf(&c, meta, &err), PARE_E_FORMAT);
    pare__config_fini(&c);
    json_decref(meta);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_test(tc, test_messages);
    tcase_add_test(tc, test_vit);
    tcase_add_test(tc, test_dinov2);
    tcase_add_test(tc, test_timm);
    tcase_add_test(tc, test_prep);
    tcase_add_test(tc, test_gguf_keys);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
