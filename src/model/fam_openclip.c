/* SPDX-License-Identifier: MIT */
/* OpenCLIP's checkpoints (open_clip_config.json, open_clip_model.safetensors): its own VisionTransformer, whose projection
 * is stored [width, out], and timm towers under "visual.trunk.". Positions are resized with antialias; the GELU is exact
 * unless the file says quick_gelu. The text tower is never looked at.
 * Source: open_clip's model.py (CLIPVisionCfg), transformer.py, timm_model.py, transform.py. */
#include <string.h>

#include "core/limits.h"
#include "model/timm.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)
#define VISION "model_cfg.vision_cfg."

static const char *const prefixes[] = {"visual.", "module.visual.", NULL};
static const char *const trunk_prefixes[] = {"visual.trunk.", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "conv1", "DCPP", .bias = HAS(has_patch_bias)},
    {MODEL(cls), PARE__ROLE_ARRAY, "class_embedding", "D"},
    {MODEL(pos), PARE__ROLE_ARRAY, "positional_embedding", "ND"},
    {MODEL(pre_norm), PARE__ROLE_NORM, "ln_pre", "D", HAS(has_pre_norm)},
    {MODEL(norm), PARE__ROLE_NORM, "ln_post", "D", HAS(has_norm)},
    {MODEL(fc_norm), PARE__ROLE_NORM, "ln_post", "D", HAS(has_fc_norm)},
    {MODEL(embed), PARE__ROLE_LINEAR, "proj", "BD", HAS(has_embed), HAS(has_embed_bias), PARE__BIND_TRANSPOSED},
    {0},
};

#define LAYER "transformer.resblocks.%d."

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, LAYER "ln_1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR, LAYER "attn.in_proj_weight", "TD", .bias_names = LAYER "attn.in_proj_bias"},
    {BLOCK(proj), PARE__ROLE_LINEAR, LAYER "attn.out_proj", "DD"},
    {BLOCK(scale1), PARE__ROLE_ARRAY, LAYER "ls_1.gamma", "D", HAS(has_scale)},
    {BLOCK(norm2), PARE__ROLE_NORM, LAYER "ln_2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, LAYER "mlp.c_fc", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, LAYER "mlp.c_proj", "DF"},
    {BLOCK(scale2), PARE__ROLE_ARRAY, LAYER "ls_2.gamma", "D", HAS(has_scale)},
    {0},
};

/* Keys of vision_cfg that are read below or change nothing here; others may be there if they are off. */
static const char *const known[] = {"layers",
                                    "width",
                                    "head_width",
                                    "mlp_ratio",
                                    "patch_size",
                                    "image_size",
                                    "ls_init_value",
                                    "patch_dropout",
                                    "no_ln_pre",
                                    "pool_type",
                                    "output_tokens",
                                    "final_ln_after_pool",
                                    "attn_pooler_heads",
                                    "attn_pooler_queries",
                                    "pos_embed_type",
                                    "act_kwargs",
                                    "norm_kwargs",
                                    "global_average_pool",
                                    NULL};
static const char *const known_trunk[] = {"timm_model_name",
                                          "timm_model_pretrained",
                                          "timm_pool",
                                          "timm_proj",
                                          "timm_proj_bias",
                                          "timm_drop",
                                          "timm_drop_path",
                                          "image_size",
                                          "patch_dropout",
                                          "output_tokens",
                                          NULL};

static const pare__choice pools[] = {{"tok", PARE__POOL_CLS}, {"avg", PARE__POOL_MEAN}, {NULL, 0}};
static const pare__choice positions[] = {{"learnable", 1}, {"sin_cos_2d", 1}, {NULL, 0}};
static const pare__choice approximations[] = {{"none", PARE__ACT_GELU}, {"tanh", PARE__ACT_GELU_TANH}, {NULL, 0}};
static const pare__choice projections[] = {{"linear", 1}, {"none", 0}, {"", 2}, {NULL, 0}};
static const pare__choice interpolations[] = {
    {"bilinear", PARE__RESAMPLE_BILINEAR}, {"bicubic", PARE__RESAMPLE_BICUBIC}, {NULL, 0}};
static const pare__choice resize_modes[] = {
    {"shortest", PARE__RESIZE_SHORTEST}, {"squash", PARE__RESIZE_EXACT}, {NULL, 0}};

static const char *trunk_name(const pare__config *c)
{
    return json_string_value(pare__config_at(c, PARE__CONFIG, VISION "timm_model_name"));
}

static int matches(const pare__config *c)
{
    return json_is_object(pare__config_at(c, PARE__CONFIG, "model_cfg.vision_cfg")) && !trunk_name(c);
}

static int matches_trunk(const pare__config *c) { return trunk_name(c) != NULL; }

/* Anything else that is on would compute something else. */
static void check_keys(pare__config *c, const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach(pare__config_at(c, PARE__CONFIG, "model_cfg.vision_cfg"), key, value)
    {
        const char *text = json_string_value(value);
        int is_known = json_is_null(value) || json_is_false(value) || (text && !*text);
        for (const char *const *k = names; *k && !is_known; k++) is_known = !strcmp(*k, key);
        if (!is_known) pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: vision_cfg.%.60s is not supported", c->file, key);
    }
}

/* ---- what both kinds share -------------------------------------------------------------------------------------- */

static void read_grid(pare__config *c, pare__hparams *hp, int32_t patch, int32_t *height, int32_t *width)
{
    pare__config_size(c, PARE__CONFIG, VISION "image_size", height, width);
    hp->patch = patch;
    hp->pos_rows = *height / patch;
    hp->pos_cols = *width / patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
    hp->interp = PARE__INTERP_BICUBIC_AA;
}

/* torchvision's transforms on PIL pictures. */
static void read_prep(pare__config *c, int32_t height, int32_t width, pare__prep_rule *p)
{
    *p = (pare__prep_rule){.resize_width = width,
                           .resize_height = height,
                           .shortest = height,
                           .crop_width = width,
                           .crop_height = height,
                           .rescale = 1.0 / 255.0,
                           .mean = {.48145466F, .4578275F, .40821073F},
                           .std = {.26862954F, .26130258F, .27577711F}};
    p->resize = (pare__resize_rule)pare__config_choice(c, PARE__CONFIG, "preprocess_cfg.resize_mode", resize_modes,
                                                       PARE__RESIZE_SHORTEST);
    p->crop = p->resize == PARE__RESIZE_SHORTEST ? PARE__CROP_ROUND : PARE__CROP_NONE;
    if (p->resize == PARE__RESIZE_SHORTEST && width != height)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: vision_cfg.image_size %dx%d is no square", c->file, width,
                          height);
    p->resample = (pare__resample)pare__config_choice(c, PARE__CONFIG, "preprocess_cfg.interpolation", interpolations,
                                                      PARE__RESAMPLE_BICUBIC);
    pare__config_vec3(c, PARE__CONFIG, "preprocess_cfg.mean", -1e6, 1e6, p->mean);
    pare__config_vec3(c, PARE__CONFIG, "preprocess_cfg.std", 1e-6, 1e6, p->std);
}

static int32_t read_embed(pare__config *c)
{
    return pare__config_int(c, PARE__CONFIG, "model_cfg.embed_dim", 0, 1, PARE__MAX_DIM);
}

/* ---- the native tower ------------------------------------------------------------------------------------------- */

static void read_dims(pare__config *c, pare__hparams *hp)
{
    if (json_is_array(pare__config_at(c, PARE__CONFIG, VISION "layers")))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: vision_cfg.layers is an array: a ResNet is not supported",
                          c->file);
    hp->dim = pare__config_int(c, PARE__CONFIG, VISION "width", 768, 1, PARE__MAX_DIM);
    hp->n_layer = pare__config_int(c, PARE__CONFIG, VISION "layers", 12, 1, PARE__MAX_BLOCKS);
    const int32_t head = pare__config_int(c, PARE__CONFIG, VISION "head_width", 64, 1, PARE__MAX_DIM);
    const double ratio = pare__config_float(c, PARE__CONFIG, VISION "mlp_ratio", 4, 0.01, 64);
    if (hp->dim % head)
        pare__config_fail(c, PARE_E_FORMAT, "%s: vision_cfg.width %d is no multiple of head_width %d", c->file, hp->dim,
                          head);
    hp->n_head = hp->dim / head > 0 ? hp->dim / head : 1;
    hp->mlp_dim = (int32_t)(hp->dim * ratio);
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, VISION "norm_kwargs.eps", 1e-5, 1e-30, 1);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, VISION "act_kwargs.approximate", approximations,
                                             PARE__ACT_GELU);
    if (pare__config_bool(c, PARE__CONFIG, "model_cfg.quick_gelu", 0)) hp->act = PARE__ACT_GELU_QUICK;
}

static void read_parts(pare__config *c, pare__hparams *hp)
{
    const int is_after = pare__config_bool(c, PARE__CONFIG, VISION "final_ln_after_pool", 0);
    const int is_mean = pare__config_bool(c, PARE__CONFIG, VISION "global_average_pool", 0);
    hp->pool = (pare__pool_kind)pare__config_choice(c, PARE__CONFIG, VISION "pool_type", pools,
                                                    is_mean ? PARE__POOL_MEAN : PARE__POOL_CLS);
    pare__config_choice(c, PARE__CONFIG, VISION "pos_embed_type", positions, 1);
    hp->has_cls = hp->has_pos = 1;
    hp->pos_prefix = PARE__POS_ALL_PREFIX;
    hp->has_pre_norm = !pare__config_bool(c, PARE__CONFIG, VISION "no_ln_pre", 0);
    hp->has_fc_norm = is_after;
    hp->has_norm = !is_after;
    hp->has_qkv_bias = hp->has_attn_bias = hp->has_mlp_bias = 1;
    hp->has_scale = pare__config_at(c, PARE__CONFIG, VISION "ls_init_value") != NULL;
    hp->n_embed = read_embed(c);
    hp->has_embed = 1;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    int32_t height = 224, width = 224;
    check_keys(c, known);
    read_dims(c, hp);
    read_parts(c, hp);
    read_grid(c, hp, pare__config_int(c, PARE__CONFIG, VISION "patch_size", 16, 1, PARE__MAX_SIDE), &height, &width);
    read_prep(c, height, width, prep);
    return c->rc;
}

/* ---- timm towers ------------------------------------------------------------------------------------------------ */

/* timm_proj: a linear layer behind the pooled trunk, nothing, or (empty or null) the trunk's own classifier. Only then is
 * the trunk made with the pooling in mind, which decides about its last norm. */
static void read_trunk_head(pare__config *c, pare__timm_args *a, pare__hparams *hp)
{
    const json_t *given = json_object_get(pare__config_at(c, PARE__CONFIG, "model_cfg.vision_cfg"), "timm_proj");
    const int32_t kind = pare__config_choice(c, PARE__CONFIG, VISION "timm_proj", projections, given ? 2 : 1);
    const char *pool = pare__config_text(c, PARE__CONFIG, VISION "timm_pool");
    if (kind == 1) a->fc_norm = a->fc_norm < 0 ? a->pool == PARE__POOL_MEAN : a->fc_norm;
    if (!pool || *pool)
        a->pool = pare__config_choice(c, PARE__CONFIG, VISION "timm_pool", pare__timm_pools, PARE__POOL_MEAN);
    hp->n_embed = read_embed(c);
    hp->has_embed = kind != 0;
    hp->has_embed_bias = kind == 2 || (kind == 1 && pare__config_bool(c, PARE__CONFIG, VISION "timm_proj_bias", 0));
    if (kind == 0 && hp->n_embed != a->dim)
        pare__config_fail(c, PARE_E_FORMAT, "%s: embed_dim is %d without a projection, the tower's width is %d",
                          c->file, hp->n_embed, a->dim);
}

static int configure_trunk(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    int32_t height = 224, width = 224;
    const char *name = trunk_name(c);
    if (!pare__timm_reads(name))
        return pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: timm_model_name \"%.60s\" is not supported", c->file,
                                 name);
    pare__timm_args a = pare__timm_defaults(name);
    check_keys(c, known_trunk);
    read_trunk_head(c, &a, hp);
    pare__timm_use(&a, hp);
    read_grid(c, hp, pare__timm_patch(name), &height, &width);
    read_prep(c, height, width, prep);
    return c->rc;
}

const pare__family pare__family_openclip = {
    .name = "openclip",
    .summary = "OpenCLIP's own vision towers, with their projection",
    .cite = "Ilharco et al., github.com/mlfoundations/open_clip; Cherti et al., arXiv:2212.07143",
    .prefixes = prefixes,
    .probe = "conv1.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
};

const pare__family pare__family_openclip_timm = {
    .name = "openclip-timm",
    .summary = "timm towers in OpenCLIP's checkpoints: CLIP, CLIPA and SigLIP",
    .cite = "Ilharco et al., github.com/mlfoundations/open_clip; Wightman, pytorch-image-models",
    .prefixes = trunk_prefixes,
    .probe = "patch_embed.proj.weight",
    .model = pare__timm_model_rows,
    .block = pare__timm_block_rows,
    .matches = matches_trunk,
    .configure = configure_trunk,
};
