/* SPDX-License-Identifier: MIT */
/* Configurations of CLIP, OpenCLIP, SigLIP and timm as published, and what must not be read as one of them. The table
 * data/timm_architectures.txt is what timm itself builds (transformers/timm_architectures.py). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void configured(const char *name, const char *config, const char *prep_text)
{
    const int rc = configure(config, prep_text);
    ck_assert_msg(rc == 0, "%s: %s", config, err.text);
    ck_assert_str_eq(family->name, name);
}

static void refused(const char *config, const char *prep_text, int code, const char *text)
{
    ck_assert_int_eq(configure(config, prep_text), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

static void is_size(int32_t dim, int32_t n_layer, int32_t n_head, int32_t mlp_dim, int32_t patch, int32_t rows)
{
    ck_assert_int_eq(hp.dim, dim);
    ck_assert_int_eq(hp.n_layer, n_layer);
    ck_assert_int_eq(hp.n_head, n_head);
    ck_assert_int_eq(hp.mlp_dim, mlp_dim);
    ck_assert_int_eq(hp.patch, patch);
    ck_assert(hp.pos_rows == rows && hp.pos_cols == rows);
}

/* ---- Hugging Face ----------------------------------------------------------------------------------------------- */

/* openai/clip-vit-large-patch14, shortened */
static const char clip_large[] =
    "{\"architectures\":[\"CLIPModel\"],\"model_type\":\"clip\",\"projection_dim\":768,\"text_config\":{},"
    "\"text_config_dict\":null,\"vision_config\":{\"hidden_act\":\"quick_gelu\",\"hidden_size\":1024,\"id2label\":"
    "{\"0\":\"LABEL_0\",\"1\":\"LABEL_1\"},\"image_size\":224,\"intermediate_size\":4096,\"layer_norm_eps\":1e-05,"
    "\"model_type\":\"clip_vision_model\",\"num_attention_heads\":16,\"num_hidden_layers\":24,\"patch_size\":14,"
    "\"projection_dim\":512}}";
static const char clip_processor[] =
    "{\"crop_size\":224,\"do_center_crop\":true,\"do_normalize\":true,\"do_resize\":true,"
    "\"feature_extractor_type\":\"CLIPFeatureExtractor\",\"image_mean\":[0.48145466,0.4578275,0.40821073],"
    "\"image_std\":[0.26862954,0.26130258,0.27577711],\"resample\":3,\"size\":224}";

START_TEST(test_clip)
{
    configured("clip", clip_large, clip_processor);
    is_size(1024, 24, 16, 4096, 14, 16);
    ck_assert(hp.act == PARE__ACT_GELU_QUICK && hp.eps == 1e-5F && hp.n_embed == 768 && hp.has_embed);
    ck_assert(hp.has_cls && hp.n_prefix == 1 && hp.pool == PARE__POOL_CLS && !hp.n_class && !hp.has_embed_bias);
    ck_assert(hp.has_pre_norm && hp.has_fc_norm && !hp.has_norm && !hp.has_patch_bias && hp.has_qkv_bias);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 224 && prep.crop_width == 224);
    ck_assert(prep.crop == PARE__CROP_FLOOR && prep.resample == PARE__RESAMPLE_BICUBIC && prep.std[2] == .27577711F);
    configured("clip", "{\"model_type\":\"clip\"}", NULL);
    is_size(768, 12, 12, 3072, 32, 7);
    ck_assert(hp.act == PARE__ACT_GELU_QUICK && hp.n_embed == 512 && prep.shortest == 224 && prep.crop_height == 224);
    configured(
        "clip",
        "{\"model_type\":\"clip_vision_model\",\"hidden_act\":\"gelu\",\"hidden_size\":1280,\"patch_size\":14,"
        "\"num_hidden_layers\":32,\"num_attention_heads\":16,\"intermediate_size\":5120,\"projection_dim\":1024}",
        NULL);
    is_size(1280, 32, 16, 5120, 14, 16);
    ck_assert(hp.act == PARE__ACT_GELU && hp.n_embed == 1024);
}
END_TEST

START_TEST(test_clip_classifier)
{
    configured("clip",
               "{\"architectures\":[\"CLIPForImageClassification\"],\"model_type\":\"clip\",\"id2label\":{\"0\":\"a\","
               "\"1\":\"b\",\"2\":\"c\"}}",
               NULL);
    ck_assert(hp.n_class == 3 && hp.pool == PARE__POOL_MEAN && !hp.n_embed && !hp.has_embed && !hp.has_fc_norm);
    refused("{\"model_type\":\"clip\",\"vision_config\":{\"image_size\":[224,336]}}", NULL, PARE_E_UNSUPPORTED,
            "336x224 is no square");
    refused("{\"model_type\":\"clip\",\"vision_config\":{\"hidden_act\":\"relu\"}}", NULL, PARE_E_UNSUPPORTED, "relu");
    refused("{\"model_type\":\"clip\",\"vision_config\":{\"hidden_size\":0}}", NULL, PARE_E_FORMAT, "hidden_size is 0");
    refused("{\"model_type\":\"clip\",\"vision.embedding_length\":64}", NULL, PARE_E_UNSUPPORTED, "clip");
}
END_TEST

static const pare_tensor *find_none(void *files, const char *name)
{
    (void)files, (void)name;
    return NULL;
}

static const pare_tensor *find_projection(void *files, const char *name)
{
    static const pare_tensor tensor = {.name = "visual_projection.weight"};
    (void)files;
    return strcmp(name, tensor.name) ? NULL : &tensor;
}

/* A tower without a projection has no joint embedding, whatever its configuration says. */
START_TEST(test_clip_settle)
{
    pare__config c = {.err = &err};
    configured("clip", clip_large, clip_processor);
    ck_assert_int_eq(family->settle(&c, &hp, find_projection, NULL), 0);
    ck_assert(hp.n_embed == 768 && hp.has_embed);
    ck_assert_int_eq(family->settle(&c, &hp, find_none, NULL), 0);
    ck_assert(!hp.n_embed && !hp.has_embed);
}
END_TEST

START_TEST(test_siglip)
{
    /* google/siglip-base-patch16-224 */
    configured("siglip",
               "{\"architectures\":[\"SiglipModel\"],\"initializer_factor\":1.0,\"model_type\":\"siglip\","
               "\"text_config\":{\"model_type\":\"siglip_text_model\"},\"vision_config\":{\"model_type\":"
               "\"siglip_vision_model\"}}",
               NULL);
    is_size(768, 12, 12, 3072, 16, 14);
    ck_assert(hp.act == PARE__ACT_GELU_TANH && hp.eps == 1e-6F && !hp.has_cls && !hp.n_prefix && hp.has_norm);
    ck_assert(hp.pool == PARE__POOL_PROBE && hp.has_probe && hp.n_embed == 768 && !hp.has_embed);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 224 && prep.mean[0] == .5F);
    /* google/siglip-so400m-patch14-384: the convolution drops six pixels */
    configured("siglip",
               "{\"model_type\":\"siglip\",\"vision_config\":{\"hidden_size\":1152,\"image_size\":384,"
               "\"intermediate_size\":4304,\"num_attention_heads\":16,\"num_hidden_layers\":27,\"patch_size\":14}}",
               "{\"do_resize\":true,\"image_processor_type\":\"SiglipImageProcessor\",\"resample\":3,"
               "\"size\":{\"height\":384,\"width\":384}}");
    is_size(1152, 27, 16, 4304, 14, 27);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_height == 384);
    configured("siglip", "{\"model_type\":\"siglip_vision_model\",\"vision_use_head\":false}", NULL);
    ck_assert(hp.pool == PARE__POOL_MEAN && !hp.has_probe && !hp.n_embed);
    configured("siglip",
               "{\"architectures\":[\"SiglipForImageClassification\"],\"model_type\":\"siglip\",\"id2label\":{\"0\":"
               "\"deepfake\",\"1\":\"real\"}}",
               NULL);
    ck_assert(hp.n_class == 2 && hp.pool == PARE__POOL_MEAN && !hp.has_probe && hp.has_norm && !hp.n_embed);
}
END_TEST

#define NAFLEX(more) "{\"model_type\":\"siglip2\",\"vision_config\":{\"model_type\":\"siglip2_vision_model\"" more "}}"
#define NAFLEX_PREP(more) "{\"image_processor_type\":\"Siglip2ImageProcessor\",\"resample\":2,\"size\":null" more "}"

START_TEST(test_naflex)
{
    /* google/siglip2-base-patch16-naflex */
    configured("siglip2", NAFLEX(""), NAFLEX_PREP(",\"max_num_patches\":1024,\"patch_size\":16"));
    is_size(768, 12, 12, 3072, 16, 16);
    ck_assert(hp.interp == PARE__INTERP_BILINEAR_AA && hp.pos_prefix == PARE__POS_NO_PREFIX && hp.has_probe);
    ck_assert(prep.resize == PARE__RESIZE_PATCHES && prep.max_patches == 1024);
    ck_assert(prep.resample == PARE__RESAMPLE_BILINEAR && prep.std[1] == .5F);
    configured("siglip2", NAFLEX(",\"num_patches\":36"), NULL);
    ck_assert(hp.pos_rows == 6 && prep.max_patches == 256);
    refused(NAFLEX(",\"num_patches\":250"), NULL, PARE_E_FORMAT, "num_patches 250");
    refused(NAFLEX(""), NAFLEX_PREP(",\"patch_size\":14"), PARE_E_FORMAT, "patch_size is 14");
    refused(NAFLEX(""), NAFLEX_PREP(",\"max_num_patches\":0"), PARE_E_FORMAT, "max_num_patches is 0");
}
END_TEST

/* ---- OpenCLIP --------------------------------------------------------------------------------------------------- */

#define OPENCLIP(embed, vision, more)                                                                                  \
    "{\"model_cfg\":{\"embed_dim\":" embed ",\"vision_cfg\":{" vision "},\"text_cfg\":{}" more "}}"

START_TEST(test_openclip)
{
    /* laion/CLIP-ViT-B-32-laion2B-s34B-b79K */
    configured("openclip",
               "{\"model_cfg\":{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":12,\"width\":768,"
               "\"patch_size\":32},\"text_cfg\":{\"context_length\":77}},\"preprocess_cfg\":{\"mean\":[0.48145466,"
               "0.4578275,0.40821073],\"std\":[0.26862954,0.26130258,0.27577711]}}",
               NULL);
    is_size(768, 12, 12, 3072, 32, 7);
    ck_assert(hp.act == PARE__ACT_GELU && hp.eps == 1e-5F && hp.n_embed == 512 && hp.has_embed && !hp.has_embed_bias);
    ck_assert(hp.has_pre_norm && hp.has_norm && !hp.has_fc_norm && !hp.has_patch_bias && hp.pool == PARE__POOL_CLS);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 224 && prep.crop == PARE__CROP_ROUND);
    /* ViT-bigG-14 */
    configured("openclip",
               OPENCLIP("1280",
                        "\"image_size\":224,\"layers\":48,\"width\":1664,\"head_width\":104,\"mlp_ratio\":4.9231,"
                        "\"patch_size\":14",
                        ""),
               NULL);
    is_size(1664, 48, 16, 8192, 14, 16);
    /* ViT-L-14-quickgelu */
    configured("openclip", OPENCLIP("768", "\"layers\":24,\"width\":1024,\"patch_size\":14", ",\"quick_gelu\":true"),
               NULL);
    ck_assert(hp.act == PARE__ACT_GELU_QUICK && hp.mlp_dim == 4096);
    /* ViT-L-14-CLIPA */
    configured("openclip",
               OPENCLIP("768",
                        "\"image_size\":224,\"layers\":24,\"width\":1024,\"patch_size\":14,\"no_ln_pre\":true,"
                        "\"pool_type\":\"avg\",\"final_ln_after_pool\":true,\"norm_kwargs\":{\"eps\":1e-6}",
                        ""),
               NULL);
    ck_assert(!hp.has_pre_norm && hp.has_fc_norm && !hp.has_norm && hp.pool == PARE__POOL_MEAN && hp.eps == 1e-6F);
}
END_TEST

START_TEST(test_openclip_refused)
{
    refused(OPENCLIP("1024", "\"layers\":[3,4,6,3],\"width\":64", ""), NULL, PARE_E_UNSUPPORTED, "ResNet");
    refused(OPENCLIP("512", "\"layers\":12,\"attentional_pool\":true", ""), NULL, PARE_E_UNSUPPORTED,
            "vision_cfg.attentional_pool");
    refused(OPENCLIP("512", "\"width\":100", ""), NULL, PARE_E_FORMAT, "no multiple of head_width 64");
    refused(OPENCLIP("512", "\"pool_type\":\"none\"", ""), NULL, PARE_E_UNSUPPORTED, "pool_type");
    refused("{\"model_cfg\":{\"vision_cfg\":{}}}", NULL, PARE_E_FORMAT, "embed_dim");
    refused("{\"model_cfg\":{\"embed_dim\":512,\"vision_cfg\":{}},\"preprocess_cfg\":{\"resize_mode\":\"longest\"}}",
            NULL, PARE_E_UNSUPPORTED, "longest");
    refused(OPENCLIP("640", "\"timm_model_name\":\"convnext_base\"", ""), NULL, PARE_E_UNSUPPORTED, "convnext_base");
    refused(OPENCLIP("512", "\"timm_model_name\":\"vit_base_patch16_siglip_224\",\"timm_proj\":\"none\"", ""), NULL,
            PARE_E_FORMAT, "embed_dim is 512 without a projection");
    refused(OPENCLIP("512", "\"timm_model_name\":\"vit_base_patch16_224\",\"timm_proj\":\"mlp\"", ""), NULL,
            PARE_E_UNSUPPORTED, "mlp");
}
END_TEST

START_TEST(test_openclip_timm)
{
    /* timm/ViT-SO400M-14-SigLIP-384 */
    configured(
        "openclip-timm",
        "{\"model_cfg\":{\"embed_dim\":1152,\"init_logit_bias\":-10,\"custom_text\":true,\"vision_cfg\":{"
        "\"image_size\":384,\"timm_model_name\":\"vit_so400m_patch14_siglip_384\",\"timm_model_pretrained\":false,"
        "\"timm_pool\":\"map\",\"timm_proj\":\"none\"},\"text_cfg\":{}},\"preprocess_cfg\":{\"mean\":[0.5,0.5,0.5],"
        "\"std\":[0.5,0.5,0.5],\"interpolation\":\"bicubic\",\"resize_mode\":\"squash\"}}",
        NULL);
    is_size(1152, 27, 16, 4304, 14, 27);
    ck_assert(hp.pool == PARE__POOL_PROBE && hp.has_probe && hp.has_norm && !hp.has_cls && hp.act == PARE__ACT_GELU);
    ck_assert(hp.n_embed == 1152 && !hp.has_embed && hp.n_class == 0);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 384 && prep.crop == PARE__CROP_NONE);
    /* a linear layer behind a trunk that keeps the norm of its own pooling */
    configured("openclip-timm",
               OPENCLIP("512",
                        "\"timm_model_name\":\"vit_base_patch16_224\",\"timm_pool\":\"avg\",\"timm_proj\":"
                        "\"linear\"",
                        ""),
               NULL);
    ck_assert(hp.pool == PARE__POOL_MEAN && hp.has_norm && !hp.has_fc_norm && hp.has_embed && !hp.has_embed_bias);
    /* the trunk's own classifier: then it is built for that pooling */
    configured(
        "openclip-timm",
        OPENCLIP("512", "\"timm_model_name\":\"vit_base_patch16_224\",\"timm_pool\":\"avg\",\"timm_proj\":null", ""),
        NULL);
    ck_assert(hp.pool == PARE__POOL_MEAN && !hp.has_norm && hp.has_fc_norm && hp.has_embed && hp.has_embed_bias);
}
END_TEST

/* ---- timm ------------------------------------------------------------------------------------------------------- */

#define TIMM(args) "{\"architecture\":\"vit_small_patch16_224\",\"model_args\":{" args "}}"

START_TEST(test_timm_args)
{
    configured("timm", TIMM("\"qk_norm\":true,\"proj_bias\":false,\"final_norm\":false"), NULL);
    ck_assert(hp.qk_norm == PARE__QK_NORM_HEAD && hp.has_qk && !hp.has_attn_bias && !hp.has_mlp_bias && !hp.has_norm);
    configured("timm", TIMM("\"global_pool\":\"map\",\"class_token\":false"), NULL);
    ck_assert(hp.pool == PARE__POOL_PROBE && hp.has_probe && hp.has_norm && !hp.has_fc_norm);
    configured("timm", TIMM("\"global_pool\":\"avg\",\"pool_include_prefix\":true"), NULL);
    ck_assert(hp.pool == PARE__POOL_MEAN_ALL && hp.has_fc_norm);
    configured("timm", TIMM("\"pos_embed\":\"none\""), NULL);
    ck_assert(!hp.has_pos);
    configured("timm", "{\"architecture\":\"deit_tiny_distilled_patch16_224\",\"num_classes\":1000}", NULL);
    ck_assert(hp.n_prefix == 2 && hp.logits == PARE__LOGITS_TEACHER && hp.has_head2 && hp.n_class == 1000);
    refused(TIMM("\"global_pool\":\"map\",\"pool_include_prefix\":true"), NULL, PARE_E_UNSUPPORTED,
            "pool_include_prefix");
    refused(TIMM("\"global_pool\":\"avgmax\""), NULL, PARE_E_UNSUPPORTED, "avgmax");
    refused(TIMM("\"norm_layer\":\"rmsnorm\""), NULL, PARE_E_UNSUPPORTED, "norm_layer");
}
END_TEST

static const char *pool_name(void)
{
    static const char *const names[] = {"token", "avg", "all", "map"};
    return names[hp.pool];
}

static const char *act_name(void)
{
    static const char *const names[] = {"gelu", "gelu_tanh", "quick_gelu", "silu"};
    return names[hp.act];
}

/* What we make of an architecture, in the columns of the table. */
static void describe(const char *name, int side, char *text, size_t size)
{
    char config[256];
    snprintf(config, sizeof config, "{\"architecture\":\"%s\",\"pretrained_cfg\":{\"input_size\":[3,%d,%d]}}", name,
             side, side);
    if (configure(config, NULL) != 0 || strcmp(family->name, "timm")) {
        snprintf(text, size, "%s %d -", name, side);
        return;
    }
    const int64_t pos = pare__family_axis(&hp, 'N');
    snprintf(text, size, "%s %d %d %d %d %d %d %d %d %d %lld %s %s %d %d%d%d%d%d%d%d %.0e", name, side, hp.dim,
             hp.n_layer, hp.n_head, hp.mlp_dim, hp.gated, hp.patch, hp.has_cls, hp.n_register, (long long)pos,
             pool_name(), act_name(), hp.logits == PARE__LOGITS_TEACHER, hp.has_patch_bias, hp.has_pre_norm,
             hp.has_qkv_bias, hp.has_attn_bias, hp.has_scale, hp.has_norm, hp.has_fc_norm, (double)hp.eps);
}

/* Every entry point of timm's: the same network, or refused where it is another one. */
START_TEST(test_timm_architectures)
{
    char line[512], is[512], name[128];
    int side, n = 0, n_refused = 0;
    FILE *f = fopen(PARE_TEST_DIR "/data/timm_architectures.txt", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#') continue;
        ck_assert_int_eq(sscanf(line, "%127s %d", name, &side), 2);
        describe(name, side, is, sizeof is);
        ck_assert_str_eq(is, line);
        n_refused += strchr(line, '-') != NULL && line[strlen(line) - 1] == '-';
        n++;
    }
    fclose(f);
    ck_assert_int_ge(n - n_refused, 150);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clip_config");
    TCase *tc = tcase_create("clip_config");
    tcase_add_test(tc, test_clip);
    tcase_add_test(tc, test_clip_classifier);
    tcase_add_test(tc, test_clip_settle);
    tcase_add_test(tc, test_siglip);
    tcase_add_test(tc, test_naflex);
    tcase_add_test(tc, test_openclip);
    tcase_add_test(tc, test_openclip_refused);
    tcase_add_test(tc, test_openclip_timm);
    tcase_add_test(tc, test_timm_args);
    tcase_add_test(tc, test_timm_architectures);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
