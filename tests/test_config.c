/* SPDX-License-Identifier: MIT */
/* Configurations to hyper-parameters and preprocessing rules, and the messages of what is wrong. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    refused("{\"model_type\":\"vit\"}", NULL, PARE_E_FORMAT, "hidden_size is missing, must be an integer in 1..16384");
    refused("{\"model_type\":\"llava\",\"vision_config\":[3]}", NULL, PARE_E_FORMAT, "vision_config must be an object");
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
    refused("{\"architecture\":\"vit_tiny_patch16_224\",\"model_args\":{\"scale_attn_norm\":true}}", NULL,
            PARE_E_UNSUPPORTED, "model_args.scale_attn_norm");
}
END_TEST

START_TEST(test_vit)
{
    configured("{" VIT ",\"torch_dtype\":17}", NULL);
    ck_assert(hp.dim == 8 && hp.n_layer == 2 && hp.n_head == 2 && hp.mlp_dim == 3072 && hp.patch == 16);
    ck_assert(hp.pos_rows == 14 && hp.pos_cols == 14 && hp.video_units == 196 && hp.unit == 1 && hp.temporal == 1);
    ck_assert(hp.eps == 1e-12F && hp.n_prefix == 1 && hp.n_class == 0 && hp.interp == PARE__INTERP_BICUBIC);
    ck_assert(prep.resize == PARE__RESIZE_EXACT && prep.resize_width == 224 && prep.crop == PARE__CROP_NONE);
    ck_assert(prep.resample == PARE__RESAMPLE_BILINEAR && prep.mean[0] == .5F && prep.rescale == 1.0 / 255);
    refused("{" VIT ",\"pooler_act\":\"relu\"}", NULL, PARE_E_UNSUPPORTED, "pooler_act \"relu\"");
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
    ck_assert(hp.mlp_dim == 256 && !hp.gated && hp.patch == 14 && hp.pos_rows == 16 && hp.any_grid &&
              hp.video_units == 768);
    ck_assert(hp.pos_prefix == PARE__POS_CLS_ONLY && hp.interp == PARE__INTERP_BICUBIC && hp.has_scale);
    ck_assert(prep.resize == PARE__RESIZE_SHORTEST && prep.shortest == 256 && prep.crop_width == 224);
    configured("{" DINO ",\"use_swiglu_ffn\":true}", NULL);
    ck_assert(hp.mlp_dim == 176 && hp.gated && hp.act == PARE__ACT_SILU);
    ck_assert_int_eq(pare__family_axis(&hp, 'G'), 352);
    ck_assert_int_eq(pare__family_axis(&hp, 'H'), 128);
    configured("{" DINO ",\"num_register_tokens\":4}", NULL);
    ck_assert(hp.n_prefix == 5 && hp.interp == PARE__INTERP_BICUBIC_AA);
    ck_assert_int_eq(pare__family_axis(&hp, 'N'), 1 + 16 * 16);
    configured("{\"model_type\":\"dinov2_with_registers\",\"hidden_size\":64,\"num_hidden_layers\":2,"
               "\"num_attention_heads\":2,\"num_register_tokens\":0}",
               NULL);
    ck_assert(hp.n_prefix == 1 && hp.interp == PARE__INTERP_BICUBIC_AA);
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
    configured("{\"architecture\":\"vit_small_patch14_dinov2\",\"model_args\":{\"dynamic_img_size\":true}}", NULL);
    ck_assert(hp.any_grid);
    refused("{\"architecture\":\"vit_small_patch14_dinov2\",\"model_args\":{\"dynamic_img_pad\":true}}", NULL,
            PARE_E_UNSUPPORTED, "model_args.dynamic_img_pad is true");
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

/* ---- files of a directory ----------------------------------------------------------------------------------------- */

static const char *const file_names[] = {"config.json", "open_clip_config.json", "preprocessor_config.json",
                                         "video_preprocessor_config.json", "processor_config.json"};
enum { N_FILE = sizeof file_names / sizeof file_names[0] };

/* Reads a directory of these files (NULL: absent); c is for the caller to end. */
static int read_files(pare__config *c, const char *const text[N_FILE], int is_openclip)
{
    char dir[] = "/tmp/pare-config-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < N_FILE; i++) {
        if (!text[i]) continue;
        snprintf(path, sizeof path, "%s/%s", dir, file_names[i]);
        FILE *f = fopen(path, "w");
        ck_assert_ptr_nonnull(f);
        fputs(text[i], f);
        fclose(f);
    }
    memset(&err, 0, sizeof err);
    const int rc = pare__config_read(c, dir, is_openclip, &err);
    for (int i = 0; i < N_FILE; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, file_names[i]);
        unlink(path);
    }
    rmdir(dir);
    return rc;
}

/* The integer "n" of a part after reading, -1 where there is no such part. */
static int32_t number_of(const char *const text[N_FILE], int is_openclip, pare__config_part part)
{
    pare__config c;
    ck_assert_msg(read_files(&c, text, is_openclip) == 0, "%s", err.text);
    const int32_t n = pare__config_int(&c, part, "n", -1, -1, 9);
    ck_assert_int_eq(c.rc, 0);
    pare__config_fini(&c);
    return n;
}

START_TEST(test_parts)
{
    const char *const apart[N_FILE] = {"{\"n\":1}", NULL, "{\"n\":2}", "{\"n\":3}", "{\"video_processor\":{\"n\":9}}"};
    const char *const joined[N_FILE] = {"{\"n\":1}", NULL, NULL, NULL,
                                        "{\"image_processor\":{\"n\":4},\"video_processor\":{\"n\":5}}"};
    const char *const mixed[N_FILE] = {"{\"n\":1}", NULL, "{\"n\":2}", NULL, "{\"video_processor\":{\"n\":6}}"};
    const char *const bare[N_FILE] = {"{\"n\":1}", NULL, NULL, NULL, "{\"image_token\":\"x\"}"};
    static const pare__config_part parts[] = {PARE__CONFIG, PARE__PREP, PARE__CLIP};
    const struct {
        const char *const *text;
        int32_t n[3];
    } rows[] = {{apart, {1, 2, 3}}, {joined, {1, 4, 5}}, {mixed, {1, 2, 6}}, {bare, {1, -1, -1}}};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) ck_assert_int_eq(number_of(rows[i].text, 0, parts[k]), rows[i].n[k]);
}
END_TEST

/* The configuration that goes with the weights comes first, the other one stands in. */
START_TEST(test_openclip_files)
{
    const char *const both[N_FILE] = {"{\"n\":1}", "{\"n\":2}", NULL, NULL, NULL};
    const char *const own[N_FILE] = {NULL, "{\"n\":2}", NULL, NULL, NULL};
    const char *const hf[N_FILE] = {"{\"n\":1}", NULL, NULL, NULL, NULL};
    const char *const bad[N_FILE] = {NULL, "{", NULL, NULL, NULL};
    const char *const none[N_FILE] = {NULL};
    pare__config c;
    ck_assert(number_of(both, 0, PARE__CONFIG) == 1 && number_of(both, 1, PARE__CONFIG) == 2);
    ck_assert(number_of(own, 0, PARE__CONFIG) == 2 && number_of(own, 1, PARE__CONFIG) == 2);
    ck_assert(number_of(hf, 0, PARE__CONFIG) == 1 && number_of(hf, 1, PARE__CONFIG) == 1);
    ck_assert_int_eq(read_files(&c, bad, 0), PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "open_clip_config.json"));
    pare__config_fini(&c);
    ck_assert_int_eq(read_files(&c, none, 0), PARE_E_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/config.json"));
    pare__config_fini(&c);
}
END_TEST

/* Processors of clips are torchvision's. */
START_TEST(test_clip_resample)
{
    static const struct {
        const char *clip;
        int code, resample;
    } rows[] = {{"{\"resample\":3}", 0, PARE__RESAMPLE_BICUBIC_TORCH},
                {"{\"resample\":1}", 0, PARE__RESAMPLE_BICUBIC_TORCH},
                {"{\"resample\":2}", 0, PARE__RESAMPLE_BILINEAR},
                {"{\"resample\":5}", PARE_E_UNSUPPORTED, 0},
                {"{}", 0, 0},
                {NULL, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const text[N_FILE] = {"{}", NULL, NULL, rows[i].clip, NULL};
        pare__prep_rule rule = {0};
        pare__config c;
        ck_assert_int_eq(read_files(&c, text, 0), 0);
        pare__config_prep(&c, 0, &rule);
        ck_assert_int_eq(c.rc, rows[i].code);
        if (rows[i].code) ck_assert_ptr_nonnull(strstr(err.text, "video_preprocessor_config.json: resample 5"));
        ck_assert_int_eq(rule.clip_resample, rows[i].resample);
        pare__config_fini(&c);
    }
}
END_TEST

/* ---- relations ------------------------------------------------------------------------------------------------------ */

/* What the family of these tests configures. */
static pare__hparams given_hp;
static pare__prep_rule given_prep;

static int configure_given(pare__config *c, pare__hparams *out_hp, pare__prep_rule *out_prep)
{
    *out_hp = given_hp;
    *out_prep = given_prep;
    return c->rc;
}

static void reset_given(void)
{
    given_hp = (pare__hparams){.dim = 32,
                               .n_layer = 4,
                               .n_head = 4,
                               .mlp_dim = 64,
                               .patch = 4,
                               .temporal = 1,
                               .unit = 2,
                               .steps = 1,
                               .pos_rows = 4,
                               .pos_cols = 4,
                               .pool = PARE__POOL_MEAN,
                               .has_projector = 1,
                               .d_out = 16,
                               .n_deepstack = 2,
                               .deepstack = {0, 2}};
    given_prep = (pare__prep_rule){.resize = PARE__RESIZE_EXACT, .resize_width = 16, .resize_height = 16};
}

static int configure_now(void)
{
    static const pare__family f = {.name = "given", .configure = configure_given};
    pare__config c;
    pare__config_init(&c, &err);
    memset(&err, 0, sizeof err);
    const int rc = pare__family_configure(&f, &c, &hp, &prep);
    pare__config_fini(&c);
    return rc;
}

#define HP(field) offsetof(pare__hparams, field)
#define PREP(field) (sizeof(pare__hparams) + offsetof(pare__prep_rule, field))

/* One number changed, and what is said about it. */
static const struct {
    size_t at;
    int32_t value;
    int code;
    const char *text;
} relations[] = {
    {HP(dim), 0, PARE_E_LIMIT, "width is 0, must be 1..16384"},
    {HP(dim), 30, PARE_E_FORMAT, "width 30 is not divisible by 4 heads"},
    {HP(mlp_dim), 70000, PARE_E_LIMIT, "mlp width is 70000, must be 1..65536"},
    {HP(unit), 17, PARE_E_LIMIT, "patches per side of a unit is 17, must be 1..16"},
    {HP(steps), 65, PARE_E_LIMIT, "must be 1..64"},
    {HP(n_embed), -1, PARE_E_LIMIT, "width of the embedding is -1"},
    {HP(d_out), 0, PARE_E_LIMIT, "width of the output is 0"},
    {HP(tap), 5, PARE_E_FORMAT, "behind block 5 of 4"},
    {HP(tap), -1, PARE_E_FORMAT, "behind block -1 of 4"},
    {HP(tap), 2, PARE_E_FORMAT, "deepstack tap 1 is block 2, must ascend in 0..1"},
    {HP(deepstack[1]), 0, PARE_E_FORMAT, "deepstack tap 1 is block 0"},
    {HP(deepstack[0]), -1, PARE_E_FORMAT, "deepstack tap 0 is block -1"},
    {HP(n_deepstack), 9, PARE_E_LIMIT, "number of deepstack taps is 9"},
    {HP(has_projector), 0, PARE_E_FORMAT, "units of 2 patches and 2 deepstack taps without a projector"},
    {HP(pos_rows), 0, PARE_E_FORMAT, "image size is smaller than a patch of 4"},
    {HP(pool), PARE__POOL_CLS, PARE_E_FORMAT, "pools the CLS token but has none"},
    {HP(rope), PARE__ROPE_GRID, PARE_E_FORMAT, "rope_theta is 0"},
    {PREP(resize_width), 12, PARE_E_FORMAT, "pictures of 12 x 16 pixels are no whole units of 8"},
    {PREP(tiles), PARE__TILES_PINPOINTS, PARE_E_LIMIT, "0 pinpoints"},
    {PREP(tiles), PARE__TILES_RATIO, PARE_E_FORMAT, "0 to 0 tiles"},
    {PREP(tiles), PARE__TILES_LONGEST, PARE_E_FORMAT, "tiles of a picture of 0 pixels"},
    {PREP(n_pinpoint), 65, PARE_E_LIMIT, "65 pinpoints"},
    {PREP(n_pinpoint), 1, PARE_E_FORMAT, "pinpoint 0 is 0 x 0"},
    {PREP(resize), PARE__RESIZE_PATCHES, PARE_E_FORMAT, "at most 0 patches"},
};

START_TEST(test_relations)
{
    reset_given();
    ck_assert_msg(configure_now() == 0, "%s", err.text);
    ck_assert(hp.tap == 4 && hp.d_out == 16 && hp.proj_dim == 16 && !hp.has_qk && hp.n_prefix == 0);
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++) {
        const size_t at = relations[i].at, size = sizeof(pare__hparams);
        reset_given();
        char *to = at < size ? (char *)&given_hp + at : (char *)&given_prep + (at - size);
        memcpy(to, &relations[i].value, sizeof relations[i].value);
        const int rc = configure_now();
        ck_assert_msg(rc == relations[i].code && strstr(err.text, relations[i].text), "row %d: code %d: %s", (int)i, rc,
                      err.text);
    }
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
    tcase_add_test(tc, test_parts);
    tcase_add_test(tc, test_openclip_files);
    tcase_add_test(tc, test_clip_resample);
    tcase_add_test(tc, test_relations);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
