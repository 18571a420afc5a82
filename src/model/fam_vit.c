/* SPDX-License-Identifier: MIT */
/* ViT and DeiT under Hugging Face names (google/vit-*, facebook/deit-*): separate q, k, v; exact GELU; LayerNorm eps
 * 1e-12; learned positions for every prefix token, resized by bicubic interpolation without antialias.
 * DeiT's distillation token is a second prefix token with a position, that is, a register here; a teacher-trained one
 * has a classifier for each of the two. */
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

static const char *const prefixes[] = {"", "vit.", "deit.", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embeddings.projection", "DCPP"},
    {MODEL(cls), PARE__ROLE_ARRAY, "embeddings.cls_token", "D", HAS(has_cls)},
    {MODEL(registers), PARE__ROLE_ARRAY, "embeddings.distillation_token", "D", HAS(n_register)},
    {MODEL(pos), PARE__ROLE_ARRAY, "embeddings.position_embeddings", "ND"},
    {MODEL(norm), PARE__ROLE_NORM, "layernorm", "D"},
    {MODEL(pooler), PARE__ROLE_LINEAR, "pooler.dense", "DD", .flags = PARE__BIND_OPTIONAL},
    {MODEL(head), PARE__ROLE_LINEAR, "classifier|cls_classifier", "KH", HAS(n_class), .flags = PARE__BIND_ROOT},
    {MODEL(head2), PARE__ROLE_LINEAR, "distillation_classifier", "KH", HAS(has_head2), .flags = PARE__BIND_ROOT},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "encoder.layer.%d.layernorm_before", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "encoder.layer.%d.attention.attention.query+encoder.layer.%d.attention.attention.key+"
     "encoder.layer.%d.attention.attention.value",
     "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(proj), PARE__ROLE_LINEAR, "encoder.layer.%d.attention.output.dense", "DD"},
    {BLOCK(norm2), PARE__ROLE_NORM, "encoder.layer.%d.layernorm_after", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "encoder.layer.%d.intermediate.dense", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "encoder.layer.%d.output.dense", "DF"},
    {0},
};

static const pare__choice pooler_acts[] = {{"tanh", 1}, {NULL, 0}};

static int is_type(const pare__config *c, const char *type) { return pare__config_is(c, "model_type", type); }

static int matches(const pare__config *c) { return is_type(c, "vit") || is_type(c, "deit"); }

static void read_dims(pare__config *c, pare__hparams *hp)
{
    int32_t height = 224, width = 224;
    hp->dim = pare__config_int(c, PARE__CONFIG, "hidden_size", 0, 1, PARE__MAX_DIM);
    hp->n_layer = pare__config_int(c, PARE__CONFIG, "num_hidden_layers", 0, 1, PARE__MAX_BLOCKS);
    hp->n_head = pare__config_int(c, PARE__CONFIG, "num_attention_heads", 0, 1, PARE__MAX_HEADS);
    hp->mlp_dim = pare__config_int(c, PARE__CONFIG, "intermediate_size", 3072, 1, 4 * PARE__MAX_DIM);
    hp->patch = pare__config_int(c, PARE__CONFIG, "patch_size", 16, 1, PARE__MAX_SIDE);
    pare__config_int(c, PARE__CONFIG, "num_channels", 3, 3, 3);
    pare__config_size(c, PARE__CONFIG, "image_size", &height, &width);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
}

static void default_prep(const pare__hparams *hp, int is_deit, pare__prep_rule *prep)
{
    *prep = (pare__prep_rule){.resize = PARE__RESIZE_EXACT,
                              .resize_width = hp->pos_cols * hp->patch,
                              .resize_height = hp->pos_rows * hp->patch,
                              .resample = PARE__RESAMPLE_BILINEAR,
                              .rescale = 1.0 / 255.0,
                              .mean = {.5F, .5F, .5F},
                              .std = {.5F, .5F, .5F}};
    if (!is_deit) return;
    prep->resample = PARE__RESAMPLE_BICUBIC;
    prep->resize_width = prep->resize_height = 256;
    prep->crop = PARE__CROP_FLOOR;
    prep->crop_width = prep->crop_height = 224;
}

/* A DeiT that learned from a teacher has two classifiers, whose mean counts: of the CLS and of the distillation token. */
static void read_head(pare__config *c, pare__hparams *hp)
{
    const json_t *first = json_array_get(pare__config_at(c, PARE__CONFIG, "architectures"), 0);
    const char *architecture = json_string_value(first);
    hp->n_class = pare__config_classes(c);
    hp->has_head2 = hp->n_class > 0 && architecture && strstr(architecture, "WithTeacher");
    if (hp->has_head2 && !hp->n_register)
        pare__config_fail(c, PARE_E_FORMAT, "%s: %s has no distillation token", c->file, architecture);
    if (hp->has_head2) hp->logits = PARE__LOGITS_TEACHER;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    hp->has_cls = 1;
    hp->n_register = is_type(c, "deit");
    hp->pos_prefix = PARE__POS_ALL_PREFIX;
    hp->interp = PARE__INTERP_BICUBIC;
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "layer_norm_eps", 1e-12, 1e-30, 1);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "hidden_act", pare__act_names, PARE__ACT_GELU);
    hp->has_qkv_bias = pare__config_bool(c, PARE__CONFIG, "qkv_bias", 1);
    hp->has_norm = 1;
    hp->has_patch_bias = 1;
    hp->pooler_tanh = pare__config_choice(c, PARE__CONFIG, "pooler_act", pooler_acts, 1);
    read_head(c, hp);
    default_prep(hp, is_type(c, "deit"), prep);
    pare__config_prep(c, 1, prep);
    return c->rc;
}

const pare__family pare__family_vit = {
    .name = "vit",
    .summary = "ViT and DeiT under Hugging Face names, with pooler, classifier or both classifiers of a distilled DeiT",
    .cite = "Dosovitskiy et al., arXiv:2010.11929; Touvron et al., arXiv:2012.12877",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embeddings.projection.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
};
