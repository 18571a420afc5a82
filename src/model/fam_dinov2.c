/* SPDX-License-Identifier: MIT */
/* DINOv2 under Hugging Face names, with and without registers, and as GGUF (architecture "dinov2"): LayerScale in
 * every block, registers between CLS and patches without a position, SwiGLU in the giant, classifier on
 * [CLS ; mean of the patches]. Positions are resized by bicubic interpolation, with antialias only in the class that has
 * registers, be they none. Source: transformers' modeling_dinov2.py and modeling_dinov2_with_registers.py. */
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

/* 768 units of a 4:3 clip are 24 x 32 patches: 448 x 336 pixels. */
enum { VIDEO_UNITS = 768, PHOTO_EDGE = 256, PHOTO_SIDE = 224 };

static const char *const prefixes[] = {"", "dinov2.", "dinov2_with_registers.", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embeddings.projection", "DCPP"},
    {MODEL(cls), PARE__ROLE_ARRAY, "embeddings.cls_token", "D"},
    {MODEL(registers), PARE__ROLE_ARRAY, "embeddings.register_tokens", "RD", HAS(n_register)},
    {MODEL(pos), PARE__ROLE_ARRAY, "embeddings.position_embeddings", "ND"},
    {MODEL(norm), PARE__ROLE_NORM, "layernorm", "D"},
    {MODEL(head), PARE__ROLE_LINEAR, "classifier", "KH", HAS(n_class), .flags = PARE__BIND_ROOT},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "encoder.layer.%d.norm1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "encoder.layer.%d.attention.attention.query+encoder.layer.%d.attention.attention.key+"
     "encoder.layer.%d.attention.attention.value",
     "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(proj), PARE__ROLE_LINEAR, "encoder.layer.%d.attention.output.dense", "DD"},
    {BLOCK(scale1), PARE__ROLE_ARRAY, "encoder.layer.%d.layer_scale1.lambda1", "D"},
    {BLOCK(norm2), PARE__ROLE_NORM, "encoder.layer.%d.norm2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "encoder.layer.%d.mlp.fc1|encoder.layer.%d.mlp.weights_in", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "encoder.layer.%d.mlp.fc2|encoder.layer.%d.mlp.weights_out", "DF"},
    {BLOCK(scale2), PARE__ROLE_ARRAY, "encoder.layer.%d.layer_scale2.lambda1", "D"},
    {0},
};

static int matches(const pare__config *c)
{
    const char *type = json_string_value(pare__config_at(c, PARE__CONFIG, "model_type"));
    return type && (!strcmp(type, "dinov2") || !strcmp(type, "dinov2_with_registers"));
}

/* The gated width keeps the parameter count of the plain MLP and is rounded up to a multiple of 8. */
static void read_mlp(pare__config *c, pare__hparams *hp)
{
    double ratio = pare__config_float(c, PARE__CONFIG, "mlp_ratio", 4, 0.01, 64);
    int32_t hidden = (int32_t)(hp->dim * ratio);
    hp->gated = pare__config_bool(c, PARE__CONFIG, "use_swiglu_ffn", 0);
    hp->mlp_dim = hp->gated ? (hidden * 2 / 3 + 7) / 8 * 8 : hidden;
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "hidden_act", pare__act_names, PARE__ACT_GELU);
    if (hp->gated) hp->act = PARE__ACT_SILU;
}

static void read_dims(pare__config *c, pare__hparams *hp)
{
    int32_t height = PHOTO_SIDE, width = PHOTO_SIDE;
    const char *type = pare__config_text(c, PARE__CONFIG, "model_type");
    const int is_with_registers = type && !strcmp(type, "dinov2_with_registers");
    hp->dim = pare__config_int(c, PARE__CONFIG, "hidden_size", 0, 1, PARE__MAX_DIM);
    hp->n_layer = pare__config_int(c, PARE__CONFIG, "num_hidden_layers", 0, 1, PARE__MAX_BLOCKS);
    hp->n_head = pare__config_int(c, PARE__CONFIG, "num_attention_heads", 0, 1, PARE__MAX_HEADS);
    hp->patch = pare__config_int(c, PARE__CONFIG, "patch_size", 14, 1, PARE__MAX_SIDE);
    hp->n_register =
        pare__config_int(c, PARE__CONFIG, "num_register_tokens", is_with_registers ? 4 : 0, 0, PARE__MAX_REGISTERS);
    pare__config_int(c, PARE__CONFIG, "num_channels", 3, 3, 3);
    pare__config_size(c, PARE__CONFIG, "image_size", &height, &width);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
    hp->interp = is_with_registers || hp->n_register ? PARE__INTERP_BICUBIC_AA : PARE__INTERP_BICUBIC;
    read_mlp(c, hp);
}

static const pare__prep_rule default_prep = {
    .resize = PARE__RESIZE_SHORTEST,
    .shortest = PHOTO_EDGE,
    .resample = PARE__RESAMPLE_BICUBIC,
    .crop = PARE__CROP_FLOOR,
    .crop_width = PHOTO_SIDE,
    .crop_height = PHOTO_SIDE,
    .rescale = 1.0 / 255.0,
    .mean = {.485F, .456F, .406F},
    .std = {.229F, .224F, .225F},
};

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    hp->has_cls = 1;
    hp->pos_prefix = PARE__POS_CLS_ONLY;
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "layer_norm_eps", 1e-6, 1e-30, 1);
    hp->has_qkv_bias = pare__config_bool(c, PARE__CONFIG, "qkv_bias", 1);
    hp->has_norm = 1;
    hp->has_patch_bias = 1;
    hp->has_scale = 1;
    hp->logits = PARE__LOGITS_CLS_MEAN;
    hp->n_class = pare__config_classes(c);
    hp->video_units = VIDEO_UNITS;
    hp->any_grid = 1;
    *prep = default_prep;
    pare__config_prep(c, 0, prep);
    return c->rc;
}

const pare__family pare__family_dinov2 = {
    .name = "dinov2",
    .summary = "DINOv2 with and without registers, SwiGLU, classifier on [CLS ; mean]; also as GGUF",
    .cite = "Oquab et al., arXiv:2304.07193; Darcet et al., arXiv:2309.16588",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embeddings.projection.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
};
