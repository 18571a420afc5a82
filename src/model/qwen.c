/* SPDX-License-Identifier: MIT */
/* See qwen.h. Sources: Wang et al., arXiv:2409.12191; transformers' configuration_qwen2_vl.py, image_processing_qwen2_vl.py,
 * video_processing_qwen2_vl.py for the defaults of absent keys. */
#include "model/qwen.h"

#include "core/limits.h"

/* 256 units of 28 pixels cost about what DINOv2's 768 of 14 do; the models' own range for frames is 128 to 768. */
enum { VIDEO_UNITS = 256, CLIP_MIN_UNITS = 128, CLIP_MAX_UNITS = 768 };
enum { MAX_UNIT = 8, MAX_TEMPORAL = 4 };

const pare__prep_rule pare__qwen_photos = {
    .resize = PARE__RESIZE_SMART,
    .min_pixels = 56 * 56,
    .max_pixels = 28 * 28 * 1280,
    .resample = PARE__RESAMPLE_BICUBIC,
    .clip_resample = PARE__RESAMPLE_BICUBIC_TORCH,
    .rescale = 1.0 / 255.0,
    .mean = {.48145466F, .4578275F, .40821073F},
    .std = {.26862954F, .26130258F, .27577711F},
};

const char *const pare__qwen_prefixes[] = {"visual.", "model.visual.", "thinker.visual.", "", NULL};

int pare__qwen_matches(const pare__config *c, const char *const *types, const char *projector)
{
    for (; *types; types++)
        if (pare__config_is(c, "model_type", *types)) return 1;
    return pare__config_is_projector(c, projector);
}

int32_t pare__qwen_int(pare__config *c, const char *key, int32_t def, int32_t min, int32_t max)
{
    return pare__config_int(c, PARE__CONFIG, key, def, min, max);
}

/* ---- the tower --------------------------------------------------------------------------------------------------- */

static void read_geometry(pare__config *c, pare__hparams *hp, int32_t depth, int32_t patch)
{
    hp->n_layer = pare__qwen_int(c, "vision_config.depth|vision.block_count", depth, 1, PARE__MAX_BLOCKS);
    hp->n_head = pare__qwen_int(c, "vision_config.num_heads|vision.attention.head_count", 16, 1, PARE__MAX_HEADS);
    hp->patch = pare__qwen_int(c, "vision_config.patch_size|vision.patch_size", patch, 1, PARE__MAX_SIDE);
    hp->unit = pare__qwen_int(c, "vision_config.spatial_merge_size|vision.spatial_merge_size", 2, 1, MAX_UNIT);
    hp->temporal = pare__qwen_int(c, "vision_config.temporal_patch_size", 2, 1, MAX_TEMPORAL);
    pare__qwen_int(c, "vision_config.in_chans|vision_config.in_channels", 3, 3, 3);
}

void pare__qwen_tower(pare__config *c, pare__hparams *hp, int32_t depth, int32_t patch)
{
    read_geometry(c, hp, depth, patch);
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "vision.attention.layer_norm_epsilon", 1e-6, 1e-30, 1);
    hp->rope = PARE__ROPE_GRID;
    hp->rope_theta =
        (float)pare__config_float(c, PARE__CONFIG, "vision_config.rope_parameters.rope_theta", 1e4, 1, 1e12);
    hp->has_qkv_bias = hp->has_attn_bias = hp->has_mlp_bias = 1;
    hp->has_projector = hp->has_proj_norm = hp->has_proj_bias = hp->has_fc2 = 1;
    hp->proj_eps = hp->eps;
    hp->proj_act = PARE__ACT_GELU;
    hp->proj_dim = hp->unit * hp->unit * hp->dim;
    hp->has_mrope = 1;
    hp->pool = PARE__POOL_MEAN;
    hp->video_units = VIDEO_UNITS;
}

/* ---- preprocessing ----------------------------------------------------------------------------------------------- */

/* A processor that cuts other patches than the tower was made for. */
static void check_patches(pare__config *c, pare__config_part part, const pare__hparams *hp)
{
    pare__config_int(c, part, "patch_size", hp->patch, hp->patch, hp->patch);
    pare__config_int(c, part, "merge_size", hp->unit, hp->unit, hp->unit);
    pare__config_int(c, part, "temporal_patch_size", hp->temporal, hp->temporal, hp->temporal);
}

/* Where a checkpoint brings no rule of clips, transformers takes that of its pictures. */
static void read_clip(pare__config *c, const pare__hparams *hp, pare__prep_rule *rule)
{
    const int32_t side = hp->patch * hp->unit, area = side < 512 ? side * side : 512 * 512;
    if (!c->clip) return;
    check_patches(c, PARE__CLIP, hp);
    rule->clip_min_pixels = pare__config_int(c, PARE__CLIP, "min_pixels|size.min_pixels|size.shortest_edge",
                                             CLIP_MIN_UNITS * area, 1, PARE__MAX_PIXELS);
    rule->clip_max_pixels = pare__config_int(c, PARE__CLIP, "max_pixels|size.max_pixels|size.longest_edge",
                                             CLIP_MAX_UNITS * area, 1, PARE__MAX_PIXELS);
}

void pare__qwen_prep(pare__config *c, const pare__hparams *hp, pare__prep_rule *rule)
{
    pare__config_prep(c, 0, rule);
    check_patches(c, PARE__PREP, hp);
    read_clip(c, hp, rule);
}
