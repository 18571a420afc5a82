/* SPDX-License-Identifier: MIT */
/* The vision tower of CLIP under Hugging Face names: whole checkpoints, towers alone, with and without projection, and the
 * classifier that averages the patches. A norm before the blocks ("pre_layrnorm" is how the files spell it), a patch
 * convolution without bias, and a last norm that only the pooled CLS token sees. Absent keys have the defaults of the
 * configuration's class: an absent hidden_act is quick GELU.
 * Source: transformers' modeling_clip.py, configuration_clip.py. */
#include <string.h>

#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

/* Whole checkpoints and most towers, towers within a model, towers that transformers 5 saves. */
static const char *const prefixes[] = {
    "vision_model.", "clip.vision_model.", "model.vision_model.", "vision_tower.", "", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embedding", "DCPP", .bias = HAS(has_patch_bias)},
    {MODEL(cls), PARE__ROLE_ARRAY, "embeddings.class_embedding", "D"},
    {MODEL(pos), PARE__ROLE_ARRAY, "embeddings.position_embedding.weight", "ND"},
    {MODEL(pre_norm), PARE__ROLE_NORM, "pre_layrnorm|pre_layernorm", "D"},
    {MODEL(fc_norm), PARE__ROLE_NORM, "post_layernorm", "D", HAS(has_fc_norm)},
    {MODEL(embed), PARE__ROLE_LINEAR, "visual_projection", "BD", HAS(has_embed), HAS(has_embed_bias), PARE__BIND_ROOT},
    {MODEL(head), PARE__ROLE_LINEAR, "classifier", "KD", HAS(n_class), .flags = PARE__BIND_ROOT},
    {0},
};

/* GGUF projectors are of architecture "clip", too. */
static int matches(const pare__config *c)
{
    static const char gguf[] = "projector_type|vision.projector_type|has_vision_encoder|vision.embedding_length";
    return (pare__config_is(c, "model_type", "clip") || pare__config_is(c, "model_type", "clip_vision_model")) &&
           !pare__config_at(c, PARE__CONFIG, gguf);
}

/* A classifier averages the patches as they leave the blocks; everything else pools the CLS token. */
static void read_head(pare__config *c, pare__hparams *hp)
{
    hp->n_class = pare__config_classes(c);
    if (hp->n_class > 0) {
        hp->pool = PARE__POOL_MEAN;
        return;
    }
    hp->has_fc_norm = 1;
    hp->n_embed = pare__config_count(c, "projection_dim|vision_config.projection_dim", 512, PARE__MAX_DIM);
    hp->has_embed = 1;
}

static pare__prep_rule default_prep(int32_t side)
{
    return (pare__prep_rule){.resize = PARE__RESIZE_SHORTEST,
                             .shortest = side,
                             .resample = PARE__RESAMPLE_BICUBIC,
                             .crop = PARE__CROP_FLOOR,
                             .crop_width = side,
                             .crop_height = side,
                             .rescale = 1.0 / 255.0,
                             .mean = {.48145466F, .4578275F, .40821073F},
                             .std = {.26862954F, .26130258F, .27577711F}};
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_alone(c, hp, 32, 1e-5, PARE__ACT_GELU_QUICK);
    hp->pos_rows = hp->pos_cols = pare__tower_side(c) / hp->patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
    read_head(c, hp);
    hp->has_cls = 1;
    hp->pos_prefix = PARE__POS_ALL_PREFIX;
    hp->interp = PARE__INTERP_BICUBIC;
    hp->has_pos = 1;
    hp->has_pre_norm = 1;
    hp->has_qkv_bias = hp->has_attn_bias = hp->has_mlp_bias = 1;
    *prep = default_prep(hp->pos_rows * hp->patch);
    pare__config_prep(c, 0, prep);
    return c->rc;
}

/* Towers say how wide a projection is even where they have none. */
static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    if (hp->has_embed && !find(files, "visual_projection.weight")) hp->n_embed = hp->has_embed = 0;
    return c->rc;
}

const pare__family pare__family_clip = {
    .name = "clip",
    .summary = "CLIP's vision tower under Hugging Face names, with its projection where the file has one",
    .cite = "Radford et al., arXiv:2103.00020",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
