/* SPDX-License-Identifier: MIT */
/* timm's VisionTransformer: fused qkv, registers, optional CLS, LayerScale, pooling by token, average or learned query, two
 * heads of a distilled DeiT. Defaults follow from the architecture's name ("vit_small_patch14_reg4_dinov2"), then
 * config.json's model_args, as timm.create_model does it.
 * Source: timm/models/vision_transformer.py, timm/data/transforms_factory.py. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "model/timm.h"

/* timm's own files, and those of transformers' wrapper. */
static const char *const prefixes[] = {"", "timm_model.", NULL};

/* model_args that are read below or change nothing here. */
static const char *const known_args[] = {"img_size",        "patch_size",
                                         "embed_dim",       "depth",
                                         "num_heads",       "mlp_ratio",
                                         "init_values",     "class_token",
                                         "no_embed_class",  "reg_tokens",
                                         "global_pool",     "pre_norm",
                                         "qkv_bias",        "fc_norm",
                                         "num_classes",     "act_layer",
                                         "in_chans",        "dynamic_img_size",
                                         "dynamic_img_pad", "strict_img_size",
                                         "drop_rate",       "pos_drop_rate",
                                         "patch_drop_rate", "proj_drop_rate",
                                         "attn_drop_rate",  "drop_path_rate",
                                         "weight_init",     "fix_init",
                                         "qk_norm",         "proj_bias",
                                         "final_norm",      "pool_include_prefix",
                                         "pos_embed",       NULL};

static const pare__choice positions[] = {{"learn", 1}, {"none", 0}, {"", 0}, {NULL, 0}};
static const pare__choice interpolations[] = {
    {"nearest", PARE__RESAMPLE_NEAREST}, {"box", PARE__RESAMPLE_BOX},         {"bilinear", PARE__RESAMPLE_BILINEAR},
    {"bicubic", PARE__RESAMPLE_BICUBIC}, {"lanczos", PARE__RESAMPLE_LANCZOS}, {NULL, 0}};
static const pare__choice crop_modes[] = {{"center", PARE__RESIZE_SHORTEST}, {"squash", PARE__RESIZE_EXACT}, {NULL, 0}};

static const char *architecture(const pare__config *c)
{
    const char *name = json_string_value(pare__config_at(c, PARE__CONFIG, "architecture"));
    return name ? name : "";
}

static int matches(const pare__config *c) { return pare__timm_reads(architecture(c)); }

/* ---- hyper-parameters ---------------------------------------------------------------------------------------- */

static void check_args(pare__config *c)
{
    const char *key;
    json_t *value;
    json_object_foreach(pare__config_at(c, PARE__CONFIG, "model_args"), key, value)
    {
        int is_known = json_is_null(value);
        for (const char *const *k = known_args; *k && !is_known; k++) is_known = !strcmp(*k, key);
        if (!is_known) pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: model_args.%.60s is not supported", c->file, key);
    }
    if (pare__config_bool(c, PARE__CONFIG, "model_args.dynamic_img_pad", 0))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: model_args.dynamic_img_pad is true", c->file);
}

static void read_sizes(pare__config *c, pare__timm_args *a)
{
    a->dim = pare__config_int(c, PARE__CONFIG, "model_args.embed_dim", a->dim, 1, PARE__MAX_DIM);
    a->depth = pare__config_int(c, PARE__CONFIG, "model_args.depth", a->depth, 1, PARE__MAX_BLOCKS);
    a->heads = pare__config_int(c, PARE__CONFIG, "model_args.num_heads", a->heads, 1, PARE__MAX_HEADS);
    a->mlp_ratio = pare__config_float(c, PARE__CONFIG, "model_args.mlp_ratio", a->mlp_ratio, 0.01, 64);
    a->registers = pare__config_int(c, PARE__CONFIG, "model_args.reg_tokens", a->registers, 0, PARE__MAX_REGISTERS);
    pare__config_int(c, PARE__CONFIG, "model_args.in_chans", 3, 3, 3);
}

static void read_flags(pare__config *c, pare__timm_args *a)
{
    a->class_token = pare__config_bool(c, PARE__CONFIG, "model_args.class_token", a->class_token);
    a->no_embed_class = pare__config_bool(c, PARE__CONFIG, "model_args.no_embed_class", a->no_embed_class);
    a->pre_norm = pare__config_bool(c, PARE__CONFIG, "model_args.pre_norm", a->pre_norm);
    a->qkv_bias = pare__config_bool(c, PARE__CONFIG, "model_args.qkv_bias", a->qkv_bias);
    a->proj_bias = pare__config_bool(c, PARE__CONFIG, "model_args.proj_bias", a->proj_bias);
    a->qk_norm = pare__config_bool(c, PARE__CONFIG, "model_args.qk_norm", a->qk_norm);
    a->final_norm = pare__config_bool(c, PARE__CONFIG, "model_args.final_norm", a->final_norm);
    a->fc_norm = pare__config_bool(c, PARE__CONFIG, "model_args.fc_norm", a->fc_norm);
    a->pool_all = pare__config_bool(c, PARE__CONFIG, "model_args.pool_include_prefix", a->pool_all);
    if (pare__config_at(c, PARE__CONFIG, "model_args.init_values")) a->has_scale = 1;
    a->act = pare__config_choice(c, PARE__CONFIG, "model_args.act_layer", pare__act_names, a->act);
    a->has_pos = pare__config_choice(c, PARE__CONFIG, "model_args.pos_embed", positions, a->has_pos);
    a->pool = pare__config_choice(c, PARE__CONFIG, "global_pool", pare__timm_pools, a->pool);
    a->pool = pare__config_choice(c, PARE__CONFIG, "model_args.global_pool", pare__timm_pools, a->pool);
    if (a->pool_all && a->pool == PARE__POOL_PROBE)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: pool_include_prefix with global_pool \"map\" is not supported",
                          c->file);
}

static void read_grid(pare__config *c, pare__hparams *hp)
{
    int32_t height = 224, width = 224;
    const int32_t patch = pare__timm_patch(architecture(c));
    hp->patch = pare__config_int(c, PARE__CONFIG, "model_args.patch_size", patch, 1, PARE__MAX_SIDE);
    if (!pare__config_size(c, PARE__CONFIG, "model_args.img_size", &height, &width))
        pare__config_size(c, PARE__CONFIG, "pretrained_cfg.input_size", &height, &width);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
}

static int32_t read_classes(pare__config *c)
{
    int32_t n = pare__config_int(c, PARE__CONFIG, "pretrained_cfg.num_classes", 0, 0, PARE__MAX_CLASSES);
    n = pare__config_int(c, PARE__CONFIG, "num_classes", n, 0, PARE__MAX_CLASSES);
    return pare__config_int(c, PARE__CONFIG, "model_args.num_classes", n, 0, PARE__MAX_CLASSES);
}

/* ---- preprocessing ------------------------------------------------------------------------------------------- */

/* Resize to floor(input / crop_pct), then the centre crop. */
static void read_prep(pare__config *c, const pare__hparams *hp, pare__prep_rule *p)
{
    int32_t height = hp->pos_rows * hp->patch, width = hp->pos_cols * hp->patch;
    pare__config_size(c, PARE__CONFIG, "pretrained_cfg.input_size", &height, &width);
    double pct = pare__config_float(c, PARE__CONFIG, "pretrained_cfg.crop_pct", 0.875, 0.05, 1);
    *p = (pare__prep_rule){.crop = PARE__CROP_ROUND,
                           .crop_width = width,
                           .crop_height = height,
                           .rescale = 1.0 / 255.0,
                           .mean = {.5F, .5F, .5F},
                           .std = {.5F, .5F, .5F}};
    p->resize = (pare__resize_rule)pare__config_choice(c, PARE__CONFIG, "pretrained_cfg.crop_mode", crop_modes,
                                                       PARE__RESIZE_SHORTEST);
    p->shortest = p->resize_height = (int32_t)floor(height / pct);
    p->resize_width = (int32_t)floor(width / pct);
    if (p->resize == PARE__RESIZE_SHORTEST && width != height)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: pretrained_cfg.input_size %dx%d is no square", c->file, width,
                          height);
    p->resample = (pare__resample)pare__config_choice(c, PARE__CONFIG, "pretrained_cfg.interpolation", interpolations,
                                                      PARE__RESAMPLE_BICUBIC);
    pare__config_vec3(c, PARE__CONFIG, "pretrained_cfg.mean", -1e6, 1e6, p->mean);
    pare__config_vec3(c, PARE__CONFIG, "pretrained_cfg.std", 1e-6, 1e6, p->std);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__timm_args a = pare__timm_defaults(architecture(c));
    check_args(c);
    read_sizes(c, &a);
    read_flags(c, &a);
    pare__timm_use(&a, hp);
    read_grid(c, hp);
    hp->any_grid = pare__config_bool(c, PARE__CONFIG, "model_args.dynamic_img_size", 0);
    hp->n_class = read_classes(c);
    hp->has_head2 = a.distilled && hp->n_class > 0;
    read_prep(c, hp, prep);
    return c->rc;
}

const pare__family pare__family_timm = {
    .name = "timm",
    .summary =
        "timm's VisionTransformer: ViT, DeiT, DeiT-3, DINOv2, CLIP and SigLIP towers; token, average and map pooling",
    .cite = "Wightman, github.com/huggingface/pytorch-image-models; Steiner et al., arXiv:2106.10270",
    .prefixes = prefixes,
    .probe = "patch_embed.proj.weight",
    .model = pare__timm_model_rows,
    .block = pare__timm_block_rows,
    .matches = matches,
    .configure = configure,
};
