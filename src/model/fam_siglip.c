/* SPDX-License-Identifier: MIT */
/* The vision tower of SigLIP and SigLIP 2 under Hugging Face names: no CLS token, tanh GELU, a norm after the blocks, and a
 * head that pools by a learned query. SigLIP 2 at one size is a SigLIP; "siglip2" is NaFlex: any aspect, at most
 * max_num_patches patches, their pixels in the order row, column, channel, positions by bilinear interpolation with
 * antialias. Absent keys have the defaults of the configuration's class.
 * Source: transformers' modeling_siglip.py, modeling_siglip2.py, image_processing_siglip2.py. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "model/tower.h"

#define EPS 1e-6
enum { PATCH = 16, MAX_PATCHES = 256 }; /* MAX_PATCHES: of a picture, as of its processor */

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

/* Whole checkpoints and most towers, towers within a model, towers that transformers 5 saves. */
static const char *const prefixes[] = {
    "vision_model.", "siglip.vision_model.", "model.vision_model.", "vision_tower.", "", NULL};

/* NaFlex files hold the patches as a linear layer, the others as a convolution. */
static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embedding", "DCPP", .flags = PARE__BIND_CHANNELS_LAST},
    {MODEL(pos), PARE__ROLE_ARRAY, "embeddings.position_embedding.weight", "ND"},
    {MODEL(norm), PARE__ROLE_NORM, "post_layernorm", "D"},
    {MODEL(probe.probe), PARE__ROLE_ARRAY, "head.probe", "D", HAS(has_probe)},
    {MODEL(probe.qkv), PARE__ROLE_LINEAR, "head.attention.in_proj_weight", "TD", HAS(has_probe),
     .bias_names = "head.attention.in_proj_bias"},
    {MODEL(probe.proj), PARE__ROLE_LINEAR, "head.attention.out_proj", "DD", HAS(has_probe)},
    {MODEL(probe.norm), PARE__ROLE_NORM, "head.layernorm", "D", HAS(has_probe)},
    {MODEL(probe.fc1), PARE__ROLE_LINEAR, "head.mlp.fc1", "FD", HAS(has_probe)},
    {MODEL(probe.fc2), PARE__ROLE_LINEAR, "head.mlp.fc2", "DF", HAS(has_probe)},
    {MODEL(head), PARE__ROLE_LINEAR, "classifier", "KD", HAS(n_class), .flags = PARE__BIND_ROOT},
    {0},
};

static int is_type(const pare__config *c, const char *whole, const char *tower)
{
    return pare__config_is(c, "model_type", whole) || pare__config_is(c, "model_type", tower);
}

static int matches(const pare__config *c) { return is_type(c, "siglip", "siglip_vision_model"); }

static int matches_naflex(const pare__config *c) { return is_type(c, "siglip2", "siglip2_vision_model"); }

/* A classifier averages the normed patches and leaves the head of the learned query alone. What that head gives is the joint
 * embedding. */
static void read_head(pare__config *c, pare__hparams *hp)
{
    hp->n_class = pare__config_classes(c);
    hp->has_probe =
        !hp->n_class && pare__config_bool(c, PARE__CONFIG, "vision_config.vision_use_head|vision_use_head", 1);
    hp->pool = hp->has_probe ? PARE__POOL_PROBE : PARE__POOL_MEAN;
    hp->n_embed = hp->has_probe ? hp->dim : 0;
}

static void read_common(pare__config *c, pare__hparams *hp, int32_t rows, int32_t cols)
{
    read_head(c, hp);
    hp->pos_rows = rows;
    hp->pos_cols = cols;
    hp->video_units = rows * cols;
    hp->pos_prefix = PARE__POS_NO_PREFIX;
    hp->has_pos = 1;
    hp->has_patch_bias = hp->has_qkv_bias = hp->has_attn_bias = hp->has_mlp_bias = 1;
    hp->has_norm = 1;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_alone(c, hp, PATCH, EPS, PARE__ACT_GELU_TANH);
    const int32_t side = pare__tower_side(c);
    read_common(c, hp, side / hp->patch, side / hp->patch);
    hp->interp = PARE__INTERP_BICUBIC;
    *prep = (pare__prep_rule){.resize = PARE__RESIZE_EXACT,
                              .resize_width = side,
                              .resize_height = side,
                              .resample = PARE__RESAMPLE_BICUBIC,
                              .rescale = 1.0 / 255.0,
                              .mean = {.5F, .5F, .5F},
                              .std = {.5F, .5F, .5F}};
    pare__config_prep(c, 1, prep);
    return c->rc;
}

static int configure_naflex(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_alone(c, hp, PATCH, EPS, PARE__ACT_GELU_TANH);
    const int32_t n = pare__config_count(c, "vision_config.num_patches|num_patches", 256, PARE__MAX_UNITS_PER_FRAME);
    const int32_t side = (int32_t)lrint(sqrt(n));
    if (side * side != n) pare__config_fail(c, PARE_E_FORMAT, "%s: num_patches %d is no square number", c->file, n);
    read_common(c, hp, side, side);
    hp->interp = PARE__INTERP_BILINEAR_AA;
    *prep = (pare__prep_rule){.resize = PARE__RESIZE_PATCHES,
                              .max_patches = MAX_PATCHES,
                              .resample = PARE__RESAMPLE_BILINEAR,
                              .rescale = 1.0 / 255.0,
                              .mean = {.5F, .5F, .5F},
                              .std = {.5F, .5F, .5F}};
    pare__config_prep(c, 1, prep);
    pare__config_int(c, PARE__PREP, "patch_size", hp->patch, hp->patch, hp->patch);
    return c->rc;
}

const pare__family pare__family_siglip = {
    .name = "siglip",
    .summary = "SigLIP's vision tower, and SigLIP 2's at one size, with the head of its learned query",
    .cite = "Zhai et al., arXiv:2303.15343; Tschannen et al., arXiv:2502.14786",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
};

const pare__family pare__family_siglip2 = {
    .name = "siglip2",
    .summary = "SigLIP 2's NaFlex tower: native aspect, a bounded number of patches",
    .cite = "Tschannen et al., arXiv:2502.14786",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches_naflex,
    .configure = configure_naflex,
};
