/* SPDX-License-Identifier: MIT */
/* timm's VisionTransformer: fused qkv, registers, optional CLS, LayerScale, token or average pooling. Defaults follow
 * from the architecture's name ("vit_small_patch14_reg4_dinov2"), then config.json's model_args, as timm.create_model
 * does it. Positions are resized with antialias.
 * Source: timm/models/vision_transformer.py, timm/data/transforms_factory.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)
#define ARG(field) offsetof(args, field)

static const char *const prefixes[] = {"", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "patch_embed.proj", "DCPP", .bias = HAS(has_patch_bias)},
    {MODEL(cls), PARE__ROLE_ARRAY, "cls_token", "D", HAS(has_cls)},
    {MODEL(registers), PARE__ROLE_ARRAY, "reg_token", "RD", HAS(n_register)},
    {MODEL(pos), PARE__ROLE_ARRAY, "pos_embed", "ND"},
    {MODEL(pre_norm), PARE__ROLE_NORM, "norm_pre", "D", HAS(has_pre_norm)},
    {MODEL(norm), PARE__ROLE_NORM, "norm", "D", HAS(has_norm)},
    {MODEL(fc_norm), PARE__ROLE_NORM, "fc_norm", "D", HAS(has_fc_norm)},
    {MODEL(head), PARE__ROLE_LINEAR, "head", "KH", HAS(n_class)},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "blocks.%d.norm1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR, "blocks.%d.attn.qkv", "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(proj), PARE__ROLE_LINEAR, "blocks.%d.attn.proj", "DD"},
    {BLOCK(scale1), PARE__ROLE_ARRAY, "blocks.%d.ls1.gamma", "D", HAS(has_scale)},
    {BLOCK(norm2), PARE__ROLE_NORM, "blocks.%d.norm2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc1", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc2", "DF"},
    {BLOCK(scale2), PARE__ROLE_ARRAY, "blocks.%d.ls2.gamma", "D", HAS(has_scale)},
    {0},
};

/* What VisionTransformer's constructor takes. */
typedef struct args {
    int32_t dim, depth, heads, registers;
    int32_t class_token, no_embed_class, pre_norm, qkv_bias, has_scale, swiglu;
    int32_t pool;    /* pare__pool_kind */
    int32_t fc_norm; /* -1 = with average pooling */
    int32_t act;
    double mlp_ratio, eps;
} args;

typedef struct size_row {
    const char *part; /* of the architecture's name */
    int32_t dim, depth, heads;
    double mlp_ratio;
} size_row;

/* The first that fits counts. */
static const size_row sizes[] = {
    {"giant_patch14_reg4_dinov2", 1536, 40, 24, 2.66667 * 2},
    {"giant_patch14_dinov2", 1536, 40, 24, 2.66667 * 2},
    {"_tiny_", 192, 12, 3, 4},
    {"_small_", 384, 12, 6, 4},
    {"_medium_", 512, 12, 8, 4},
    {"_base_", 768, 12, 12, 4},
    {"_large_", 1024, 24, 16, 4},
    {"_huge_", 1280, 32, 16, 4},
    {"_giant_", 1408, 40, 16, 48.0 / 11},
    {"_gigantic_", 1664, 48, 16, 64.0 / 13},
    {NULL, 768, 12, 12, 4},
};

typedef struct trait {
    const char *part; /* of the architecture's name */
    size_t field;
    int32_t value;
} trait;

/* Every row that fits is applied, in order. */
static const trait traits[] = {
    {"_reg1_", ARG(registers), 1},
    {"_reg4_", ARG(registers), 4},
    {"_reg8_", ARG(registers), 8},
    {"_dinov2", ARG(has_scale), 1},
    {"_reg4_dinov2", ARG(no_embed_class), 1},
    {"giant_patch14_dinov2", ARG(swiglu), 1},
    {"giant_patch14_reg4_dinov2", ARG(swiglu), 1},
    {"deit3_", ARG(no_embed_class), 1},
    {"deit3_", ARG(has_scale), 1},
    {"_gap_", ARG(class_token), 0},
    {"_gap_", ARG(pool), PARE__POOL_MEAN},
    {"_patch16_gap_", ARG(fc_norm), 0},
    {"_patch14_gap_", ARG(fc_norm), 0},
    {"_reg4_gap_", ARG(no_embed_class), 1},
    {"_medium_patch16_gap_", ARG(qkv_bias), 0},
    {"_medium_patch16_gap_", ARG(has_scale), 1},
    {"_clip_", ARG(pre_norm), 1},
    {"_clip_quickgelu_", ARG(act), PARE__ACT_GELU_QUICK},
};

/* Relatives under similar names that compute something else. */
static const char *const refused[] = {"distilled", "siglip", "relpos", "_rpn", "_xp",   "hybrid",   "_sam", "resnet",
                                      "dinov3",    "naflex", "_mci",   "_pe_", "_rope", "parallel", NULL};

/* model_args that are read below or change nothing here. */
static const char *const known_args[] = {"img_size",       "patch_size",       "embed_dim",       "depth",
                                         "num_heads",      "mlp_ratio",        "init_values",     "class_token",
                                         "no_embed_class", "reg_tokens",       "global_pool",     "pre_norm",
                                         "qkv_bias",       "fc_norm",          "num_classes",     "act_layer",
                                         "in_chans",       "dynamic_img_size", "dynamic_img_pad", "strict_img_size",
                                         "drop_rate",      "pos_drop_rate",    "patch_drop_rate", "proj_drop_rate",
                                         "attn_drop_rate", "drop_path_rate",   "weight_init",     NULL};

static const pare__choice pools[] = {{"token", PARE__POOL_CLS}, {"avg", PARE__POOL_MEAN}, {NULL, 0}};
static const pare__choice interpolations[] = {
    {"nearest", PARE__RESAMPLE_NEAREST}, {"box", PARE__RESAMPLE_BOX},         {"bilinear", PARE__RESAMPLE_BILINEAR},
    {"bicubic", PARE__RESAMPLE_BICUBIC}, {"lanczos", PARE__RESAMPLE_LANCZOS}, {NULL, 0}};
static const pare__choice crop_modes[] = {{"center", PARE__RESIZE_SHORTEST}, {"squash", PARE__RESIZE_EXACT}, {NULL, 0}};

static const char *architecture(const pare__config *c)
{
    const char *name = json_string_value(pare__config_at(c, PARE__CONFIG, "architecture"));
    return name ? name : "";
}

static int matches(const pare__config *c)
{
    const char *name = architecture(c);
    if (strncmp(name, "vit_", 4) && strncmp(name, "deit_", 5) && strncmp(name, "deit3_", 6)) return 0;
    for (const char *const *part = refused; *part; part++)
        if (strstr(name, *part)) return 0;
    return 1;
}

/* ---- hyper-parameters ---------------------------------------------------------------------------------------- */

static args default_args(const char *name)
{
    const size_row *size = sizes;
    while (size->part && !strstr(name, size->part)) size++;
    args a = {.dim = size->dim,
              .depth = size->depth,
              .heads = size->heads,
              .mlp_ratio = size->mlp_ratio,
              .class_token = 1,
              .qkv_bias = 1,
              .fc_norm = -1,
              .pool = PARE__POOL_CLS,
              .act = PARE__ACT_GELU};
    for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++)
        if (strstr(name, traits[i].part)) memcpy((char *)&a + traits[i].field, &traits[i].value, sizeof(int32_t));
    a.eps = a.pre_norm ? 1e-5 : 1e-6;
    return a;
}

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
}

static void read_args(pare__config *c, args *a)
{
    check_args(c);
    a->dim = pare__config_int(c, PARE__CONFIG, "model_args.embed_dim", a->dim, 1, PARE__MAX_DIM);
    a->depth = pare__config_int(c, PARE__CONFIG, "model_args.depth", a->depth, 1, PARE__MAX_BLOCKS);
    a->heads = pare__config_int(c, PARE__CONFIG, "model_args.num_heads", a->heads, 1, PARE__MAX_HEADS);
    a->mlp_ratio = pare__config_float(c, PARE__CONFIG, "model_args.mlp_ratio", a->mlp_ratio, 0.01, 64);
    a->registers = pare__config_int(c, PARE__CONFIG, "model_args.reg_tokens", a->registers, 0, PARE__MAX_REGISTERS);
    a->class_token = pare__config_bool(c, PARE__CONFIG, "model_args.class_token", a->class_token);
    a->no_embed_class = pare__config_bool(c, PARE__CONFIG, "model_args.no_embed_class", a->no_embed_class);
    a->pre_norm = pare__config_bool(c, PARE__CONFIG, "model_args.pre_norm", a->pre_norm);
    a->qkv_bias = pare__config_bool(c, PARE__CONFIG, "model_args.qkv_bias", a->qkv_bias);
    a->fc_norm = pare__config_bool(c, PARE__CONFIG, "model_args.fc_norm", a->fc_norm);
    a->act = pare__config_choice(c, PARE__CONFIG, "model_args.act_layer", pare__act_names, a->act);
    if (pare__config_at(c, PARE__CONFIG, "model_args.init_values")) a->has_scale = 1;
    a->pool = pare__config_choice(c, PARE__CONFIG, "global_pool", pools, a->pool);
    a->pool = pare__config_choice(c, PARE__CONFIG, "model_args.global_pool", pools, a->pool);
    pare__config_int(c, PARE__CONFIG, "model_args.in_chans", 3, 3, 3);
}

static void use_args(const args *a, pare__hparams *hp)
{
    int is_mean = a->pool != PARE__POOL_CLS;
    int32_t hidden = (int32_t)(a->dim * a->mlp_ratio);
    hp->dim = a->dim;
    hp->n_layer = a->depth;
    hp->n_head = a->heads;
    hp->gated = a->swiglu;
    hp->mlp_dim = a->swiglu ? hidden / 2 : hidden;
    hp->act = a->swiglu ? PARE__ACT_SILU : (pare__act)a->act;
    hp->eps = (float)a->eps;
    hp->has_cls = a->class_token;
    hp->n_register = a->registers;
    hp->pos_prefix = a->no_embed_class ? PARE__POS_NO_PREFIX : PARE__POS_ALL_PREFIX;
    hp->pool = (pare__pool_kind)a->pool;
    hp->has_fc_norm = a->fc_norm < 0 ? is_mean : a->fc_norm;
    hp->has_norm = !hp->has_fc_norm;
    hp->has_pre_norm = a->pre_norm;
    hp->has_patch_bias = !a->pre_norm;
    hp->has_qkv_bias = a->qkv_bias;
    hp->has_scale = a->has_scale;
}

/* The number behind `part` in the name: "_patch14" -> 14. */
static int32_t number_after(const char *name, const char *part, int32_t def)
{
    const char *at = strstr(name, part);
    long n = at ? strtol(at + strlen(part), NULL, 10) : 0;
    return n > 0 && n <= PARE__MAX_SIDE ? (int32_t)n : def;
}

static void read_grid(pare__config *c, pare__hparams *hp)
{
    int32_t height = 224, width = 224;
    int32_t patch = number_after(architecture(c), "_patch", 16);
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
    args a = default_args(architecture(c));
    read_args(c, &a);
    use_args(&a, hp);
    read_grid(c, hp);
    hp->interp = PARE__INTERP_BICUBIC_AA;
    hp->n_class = read_classes(c);
    read_prep(c, hp, prep);
    return c->rc;
}

const pare__family pare__family_timm = {
    .name = "timm",
    .summary = "timm's VisionTransformer: ViT, DeiT, DeiT-3, DINOv2 and CLIP towers, token or average pooling",
    .cite = "Wightman, github.com/huggingface/pytorch-image-models; Steiner et al., arXiv:2106.10270",
    .prefixes = prefixes,
    .probe = "patch_embed.proj.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
};
