/* SPDX-License-Identifier: MIT */
/* InternVL 1.5 to 3.5: InternViT (300M: layer norms; 6B: RMS norms, also of queries and keys, qkv without bias), its CLS
 * token dropped, 2 x 2 patches side by side, a normed projector of two layers; photos in tiles. Under OpenGVLab's names,
 * those of transformers ("-hf") and llama.cpp's mmproj; the tower alone as well (InternViT).
 * Source: Chen et al., arXiv:2404.16821, arXiv:2412.05271; modeling_intern_vit.py and load_image of the model cards;
 * transformers' modeling_internvl.py, image_processing_got_ocr2.py. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { MAX_UNIT = 16, MAX_KEY = 128, GGUF_TILES = 12 };

static const char *const prefixes[] = {"vision_model.", "vision_tower.", "model.vision_tower.", "", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embedding|embeddings.patch_embeddings.projection|v.patch_embd",
     "DCPP", .bias = HAS(has_patch_bias)},
    {MODEL(cls), PARE__ROLE_ARRAY, "embeddings.class_embedding|embeddings.cls_token|v.class_embd", "D"},
    {MODEL(pos), PARE__ROLE_ARRAY,
     "embeddings.position_embedding|embeddings.position_embeddings|v.position_embd.weight", "ND"},
    {MODEL(norm), PARE__ROLE_NORM, "layernorm", "D", HAS(has_norm)},
    {MODEL(projector.norm), PARE__ROLE_NORM,
     "mlp1.0|multi_modal_projector.layer_norm|model.multi_modal_projector.layer_norm|mm.model.mlp.0", "J",
     HAS(has_projector), .flags = PARE__BIND_ROOT},
    {MODEL(projector.fc1), PARE__ROLE_LINEAR,
     "mlp1.1|multi_modal_projector.linear_1|model.multi_modal_projector.linear_1|mm.model.mlp.1", "MJ",
     HAS(has_projector), .flags = PARE__BIND_ROOT},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR,
     "mlp1.3|multi_modal_projector.linear_2|model.multi_modal_projector.linear_2|mm.model.mlp.3", "OM",
     HAS(has_projector), .flags = PARE__BIND_ROOT},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "encoder.layers.%d.norm1|encoder.layer.%d.layernorm_before|v.blk.%d.ln1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "encoder.layers.%d.attn.qkv|"
     "encoder.layer.%d.attention.q_proj+encoder.layer.%d.attention.k_proj+encoder.layer.%d.attention.v_proj|"
     "v.blk.%d.attn_q+v.blk.%d.attn_k+v.blk.%d.attn_v|v.blk.%d.attn_qkv",
     "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(q_norm), PARE__ROLE_SCALE,
     "encoder.layers.%d.attn.q_norm|encoder.layer.%d.attention.q_norm|v.blk.%d.attn_q_norm", "D", HAS(has_qk)},
    {BLOCK(k_norm), PARE__ROLE_SCALE,
     "encoder.layers.%d.attn.k_norm|encoder.layer.%d.attention.k_norm|v.blk.%d.attn_k_norm", "D", HAS(has_qk)},
    {BLOCK(proj), PARE__ROLE_LINEAR,
     "encoder.layers.%d.attn.proj|encoder.layer.%d.attention.projection_layer|v.blk.%d.attn_out", "DD"},
    {BLOCK(scale1), PARE__ROLE_ARRAY, "encoder.layers.%d.ls1|encoder.layer.%d.lambda_1|v.blk.%d.ls1.weight", "D"},
    {BLOCK(norm2), PARE__ROLE_NORM, "encoder.layers.%d.norm2|encoder.layer.%d.layernorm_after|v.blk.%d.ln2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "encoder.layers.%d.mlp.fc1|encoder.layer.%d.mlp.fc1|v.blk.%d.ffn_up", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "encoder.layers.%d.mlp.fc2|encoder.layer.%d.mlp.fc2|v.blk.%d.ffn_down", "DF"},
    {BLOCK(scale2), PARE__ROLE_ARRAY, "encoder.layers.%d.ls2|encoder.layer.%d.lambda_2|v.blk.%d.ls2.weight", "D"},
    {0},
};

/* ---- which one ------------------------------------------------------------------------------------------------- */

static int is_type(const pare__config *c, const char *type) { return pare__config_is(c, "model_type", type); }

static int is_alone(const pare__config *c) { return is_type(c, "intern_vit_6b") || is_type(c, "internvl_vision"); }

/* transformers' own classes, whose defaults differ from OpenGVLab's. */
static int is_hf(const pare__config *c) { return is_type(c, "internvl") || is_type(c, "internvl_vision"); }

static int matches(const pare__config *c)
{
    return is_type(c, "internvl_chat") || is_type(c, "internvl") || is_alone(c) ||
           pare__config_is_projector(c, "internvl");
}

/* ---- the tower ------------------------------------------------------------------------------------------------- */

/* "vision_config.NAME", "NAME" where the tower is all there is, or GGUF's; "" is a key that GGUF has not. */
static const char *tower_key(const pare__config *c, const char *name, const char *gguf, char key[MAX_KEY])
{
    const char *group = pare__config_is_mmproj(c) ? "vision." : is_alone(c) ? "" : "vision_config.";
    snprintf(key, MAX_KEY, "%s%s", group, pare__config_is_mmproj(c) ? gguf : name);
    return key;
}

static int32_t read_int(pare__config *c, const char *name, const char *gguf, int32_t def, int32_t max)
{
    char key[MAX_KEY];
    return pare__config_int(c, PARE__CONFIG, tower_key(c, name, gguf, key), pare__config_is_mmproj(c) ? 0 : def, 1,
                            max);
}

static int32_t read_bool(pare__config *c, const char *name, int32_t def)
{
    char key[MAX_KEY];
    return pare__config_bool(c, PARE__CONFIG, tower_key(c, name, "", key), def);
}

/* n or [n, n] */
static int32_t read_side(pare__config *c, const char *name, int32_t def)
{
    int32_t height = 0, width = 0;
    char key[MAX_KEY];
    if (!pare__config_size(c, PARE__CONFIG, tower_key(c, name, name, key), &height, &width))
        return read_int(c, name, name, def, PARE__MAX_SIDE);
    if (height != width)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: %s is %d x %d, must be a square", c->file, name, height, width);
    return height;
}

static void read_dims(pare__config *c, pare__hparams *hp)
{
    const int hf = is_hf(c);
    hp->dim = read_int(c, "hidden_size", "embedding_length", hf ? 1024 : 3200, PARE__MAX_DIM);
    hp->n_layer = read_int(c, "num_hidden_layers", "block_count", hf ? 24 : 48, PARE__MAX_BLOCKS);
    hp->n_head = read_int(c, "num_attention_heads", "attention.head_count", hf ? 16 : 25, PARE__MAX_HEADS);
    hp->mlp_dim = read_int(c, "intermediate_size", "feed_forward_length", hf ? 4096 : 12800, 4 * PARE__MAX_DIM);
    hp->patch = read_side(c, "patch_size", 14);
    hp->pos_rows = hp->pos_cols = read_side(c, "image_size", hf ? 448 : 224) / hp->patch;
}

static void read_kinds(pare__config *c, pare__hparams *hp)
{
    static const pare__choice norms[] = {{"layer_norm", PARE__NORM_LAYER}, {"rms_norm", PARE__NORM_RMS}, {NULL, 0}};
    const int hf = is_hf(c), is_gguf = pare__config_is_mmproj(c);
    char key[MAX_KEY];
    hp->norm = (pare__norm_kind)pare__config_choice(c, PARE__CONFIG, tower_key(c, "norm_type", "", key), norms,
                                                    hf || is_gguf ? PARE__NORM_LAYER : PARE__NORM_RMS);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, tower_key(c, "hidden_act", "", key), pare__act_names,
                                             PARE__ACT_GELU);
    hp->eps = (float)pare__config_float(
        c, PARE__CONFIG, tower_key(c, "layer_norm_eps", "attention.layer_norm_epsilon", key), 1e-6, 1e-30, 1);
    hp->has_qkv_bias = read_bool(c, hf ? "attention_bias" : "qkv_bias", is_gguf);
    hp->has_qk = read_bool(c, hf ? "use_qk_norm" : "qk_normalization", !hf && !is_gguf);
    hp->qk_norm = hp->has_qk ? PARE__QK_NORM_ROW : PARE__QK_PLAIN;
    if (is_gguf && !pare__config_bool(c, PARE__CONFIG, "use_gelu", 1)) hp->act = PARE__ACT_GELU_QUICK;
    if (!read_bool(c, "use_absolute_position_embeddings", 1))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: use_absolute_position_embeddings is false", c->file);
}

static void read_tower(pare__config *c, pare__hparams *hp)
{
    read_dims(c, hp);
    read_kinds(c, hp);
    hp->has_cls = 1;
    hp->pos_prefix = PARE__POS_CLS_ONLY;
    hp->interp = PARE__INTERP_BICUBIC;
    hp->has_pos = hp->has_patch_bias = hp->has_scale = 1;
    hp->fixed_grid = 1;
    hp->tap = hp->n_layer;
    const int is_mean = !is_hf(c) || read_bool(c, "use_mean_pooling", 1);
    hp->has_norm = !is_mean;
    hp->pool = is_alone(c) && !(is_hf(c) && is_mean) ? PARE__POOL_CLS : PARE__POOL_MEAN;
}

/* ---- the way into the language model --------------------------------------------------------------------------- */

/* downsample_ratio .5 puts 2 x 2 patches together. */
static int32_t read_unit(pare__config *c)
{
    if (pare__config_is_mmproj(c))
        return pare__config_int(c, PARE__CONFIG, "vision.projector.scale_factor", 2, 1, MAX_UNIT);
    const double ratio = pare__config_float(c, PARE__CONFIG, "downsample_ratio", .5, 1.0 / MAX_UNIT, 1);
    const double unit = rint(1 / ratio);
    if (fabs(unit * ratio - 1) > 1e-6)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: downsample_ratio %g is not 1 / n", c->file, ratio);
    return (int32_t)unit;
}

static void read_projector(pare__config *c, pare__hparams *hp)
{
    pare__tower_tap(c, hp, -1);
    if (is_hf(c)) pare__tower_select(c, hp, "default");
    if (pare__config_is(c, "ps_version", "v1"))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: ps_version \"v1\" turns the picture, v2 is supported", c->file);
    pare__tower_project(c, hp);
    hp->unit = read_unit(c);
    hp->join = PARE__JOIN_CONCAT;
    hp->proj_norm = PARE__NORM_LAYER;
    hp->proj_norm_joined = 1;
    hp->proj_eps = 1e-5F;
    hp->has_proj_norm = 1;
    if (hp->tap < hp->n_layer) hp->has_norm = 0;
}

/* ---- photos ---------------------------------------------------------------------------------------------------- */

static const pare__prep_rule default_prep = {
    .resize = PARE__RESIZE_EXACT,
    .resample = PARE__RESAMPLE_BICUBIC,
    .rescale = 1.0 / 255.0,
    .mean = {.485F, .456F, .406F},
    .std = {.229F, .224F, .225F},
};

static void set_tiles(pare__prep_rule *prep, int32_t is_on, int32_t min, int32_t max)
{
    prep->tiles = is_on && max > 1 ? PARE__TILES_RATIO : PARE__TILES_NONE;
    prep->min_tiles = min;
    prep->max_tiles = max;
}

/* The preprocessor's file says crop_to_patches: false, its processor does it all the same. */
static void read_hf_tiles(pare__config *c, pare__prep_rule *prep)
{
    const json_t *named = pare__config_at(c, PARE__PREP, "processor_class");
    const int is_forced = named && json_string_value(named) && !strcmp(json_string_value(named), "InternVLProcessor");
    const int32_t is_on = pare__config_bool(c, PARE__PREP, "crop_to_patches", 0) || is_forced;
    const int32_t min = pare__config_int(c, PARE__PREP, "min_patches", 1, 1, PARE__MAX_TILES);
    set_tiles(prep, is_on, min, pare__config_int(c, PARE__PREP, "max_patches", 12, 1, PARE__MAX_TILES));
}

/* Of its preprocessor's file load_image uses mean and deviation at most: it stretches. */
static void read_chat_tiles(pare__config *c, pare__prep_rule *prep, int32_t side)
{
    const int32_t size = pare__config_int(c, PARE__CONFIG, "force_image_size", side, 1, PARE__MAX_SIDE);
    const int32_t is_on = pare__config_bool(c, PARE__CONFIG, "dynamic_image_size", pare__config_is_mmproj(c));
    const int32_t min =
        pare__config_int(c, PARE__CONFIG, "min_dynamic_patch|vision.preproc_min_tiles", 1, 1, PARE__MAX_TILES);
    const int32_t max = pare__config_int(c, PARE__CONFIG, "max_dynamic_patch|vision.preproc_max_tiles",
                                         pare__config_is_mmproj(c) ? GGUF_TILES : 6, 1, PARE__MAX_TILES);
    prep->crop = PARE__CROP_NONE;
    prep->resize = PARE__RESIZE_EXACT;
    prep->resize_width = prep->resize_height = size;
    set_tiles(prep, is_on, min, max);
    if (is_on && !pare__config_bool(c, PARE__CONFIG, "use_thumbnail", pare__config_is_mmproj(c)))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: tiles without use_thumbnail are not supported", c->file);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_tower(c, hp);
    if (!is_alone(c)) read_projector(c, hp);
    const int32_t side = hp->pos_rows * hp->patch, unit = hp->unit;
    hp->video_units = hp->pos_rows * hp->pos_cols / (unit * unit);
    *prep = default_prep;
    prep->resize_width = prep->resize_height = side;
    pare__config_prep(c, !is_alone(c), prep);
    if (is_type(c, "internvl"))
        read_hf_tiles(c, prep);
    else if (!is_alone(c))
        read_chat_tiles(c, prep, side);
    return c->rc;
}

/* A GGUF file does not say what InternViT-6B differs in, its tensors do. */
static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    static const char *const last[] = {"mm.model.mlp.3.weight", "mlp1.3.weight",
                                       "multi_modal_projector.linear_2.weight",
                                       "model.multi_modal_projector.linear_2.weight", NULL};
    const pare__tower_files f = {find, files};
    if (hp->has_projector) pare__tower_settle_width(c, hp, &f, last, 0);
    if (!pare__config_is_mmproj(c)) return c->rc;
    if (!find(files, "v.blk.0.ln1.bias")) hp->norm = PARE__NORM_RMS;
    hp->has_qk = find(files, "v.blk.0.attn_q_norm.weight") != NULL;
    hp->qk_norm = hp->has_qk ? PARE__QK_NORM_ROW : PARE__QK_PLAIN;
    hp->has_qkv_bias = find(files, "v.blk.0.attn_q.bias") || find(files, "v.blk.0.attn_qkv.bias");
    return c->rc;
}

const pare__family pare__family_internvl = {
    .name = "internvl",
    .summary =
        "InternViT and the way from it into InternVL: 2x2 units, projector, tiles of photos; also as mmproj GGUF",
    .cite = "Chen et al., arXiv:2404.16821, arXiv:2412.05271",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight|embeddings.patch_embeddings.projection.weight|v.patch_embd.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
