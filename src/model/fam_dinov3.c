/* SPDX-License-Identifier: MIT */
/* DINOv3 under the names of Hugging Face, of Meta's own files and of timm's port: no position table, queries and keys of
 * patches turn by the centre of their place; registers between CLS and patches; keys without bias; LayerScale; in some
 * sizes SwiGLU. Source: Simeoni et al., arXiv:2508.10104; transformers' modeling_dinov3_vit.py, timm/models/eva.py. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "model/family.h"
#include "model/spell.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

/* As DINOv2: 768 units of a 4:3 clip are 24 x 32 patches. */
enum { VIDEO_UNITS = 768, PHOTO_SIDE = 224, TIMM_SIDE = 256, PATCH = 16, TIMM_REGISTERS = 4 };

static const char *const prefixes[] = {"", "dinov3_vit.", "backbone.", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embeddings|patch_embed.proj", "DCPP"},
    {MODEL(cls), PARE__ROLE_ARRAY, "embeddings.cls_token|cls_token", "D"},
    {MODEL(registers), PARE__ROLE_ARRAY, "embeddings.register_tokens|storage_tokens|reg_token", "RD", HAS(n_register)},
    {MODEL(norm), PARE__ROLE_NORM, "norm", "D"},
    {MODEL(head), PARE__ROLE_LINEAR, "head", "KH", HAS(n_class)},
    {0},
};

#define QKV(layer, part)                                                                                               \
    layer ".attention.q_proj" part "+" layer ".attention.k_proj" part "+" layer ".attention.v_proj" part
#define GATED(layer) layer ".mlp.gate_proj+" layer ".mlp.up_proj"

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "layer.%d.norm1|model.layer.%d.norm1|blocks.%d.norm1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR, QKV("layer.%d", "") "|" QKV("model.layer.%d", "") "|blocks.%d.attn.qkv", "TD",
     .bias = HAS(has_qkv_bias), .flags = PARE__BIND_BIAS_PARTS,
     .bias_names = QKV("layer.%d", ".bias") "|" QKV(
         "model.layer.%d", ".bias") "|"
                                    "blocks.%d.attn.q_bias++blocks.%d.attn.v_bias|blocks.%d.attn.qkv.bias"},
    {BLOCK(proj), PARE__ROLE_LINEAR, "layer.%d.attention.o_proj|model.layer.%d.attention.o_proj|blocks.%d.attn.proj",
     "DD", .bias = HAS(has_attn_bias)},
    {BLOCK(scale1), PARE__ROLE_ARRAY,
     "layer.%d.layer_scale1.lambda1|model.layer.%d.layer_scale1.lambda1|blocks.%d.ls1.gamma|blocks.%d.gamma_1", "D"},
    {BLOCK(norm2), PARE__ROLE_NORM, "layer.%d.norm2|model.layer.%d.norm2|blocks.%d.norm2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR,
     GATED("layer.%d") "|" GATED("model.layer.%d") "|blocks.%d.mlp.w1+blocks.%d.mlp.w2|"
                                                   "blocks.%d.mlp.fc1_g+blocks.%d.mlp.fc1_x|layer.%d.mlp.up_proj|model."
                                                   "layer.%d.mlp.up_proj|blocks.%d.mlp.fc1",
     "GD", .bias = HAS(has_mlp_bias)},
    {BLOCK(fc2), PARE__ROLE_LINEAR,
     "layer.%d.mlp.down_proj|model.layer.%d.mlp.down_proj|blocks.%d.mlp.w3|blocks.%d.mlp.fc2", "DF",
     .bias = HAS(has_mlp_bias)},
    {BLOCK(scale2), PARE__ROLE_ARRAY,
     "layer.%d.layer_scale2.lambda1|model.layer.%d.layer_scale2.lambda1|blocks.%d.ls2.gamma|blocks.%d.gamma_2", "D"},
    {0},
};

typedef struct size_row {
    const char *start; /* of timm's architecture */
    int32_t dim, depth, heads, mlp, gated;
} size_row;

/* The first that fits counts. */
static const size_row sizes[] = {
    {"vit_tiny_", 192, 12, 3, 768, 0},     {"vit_small_plus_", 384, 12, 6, 1536, 1},
    {"vit_small_", 384, 12, 6, 1536, 0},   {"vit_base_", 768, 12, 12, 3072, 0},
    {"vit_large_", 1024, 24, 16, 4096, 0}, {"vit_huge_plus_", 1280, 32, 20, 5120, 1},
    {"vit_7b_", 4096, 40, 32, 8192, 1},
};

static const pare__choice acts[] = {{"gelu", PARE__ACT_GELU},          {"gelu_pytorch_tanh", PARE__ACT_GELU_TANH},
                                    {"gelu_new", PARE__ACT_GELU_TANH}, {"quick_gelu", PARE__ACT_GELU_QUICK},
                                    {"silu", PARE__ACT_SILU},          {NULL, 0}};
static const pare__choice pools[] = {{"token", PARE__POOL_CLS}, {"avg", PARE__POOL_MEAN}, {NULL, 0}};
static const pare__choice interpolations[] = {
    {"bilinear", PARE__RESAMPLE_BILINEAR}, {"bicubic", PARE__RESAMPLE_BICUBIC}, {NULL, 0}};

static const char *architecture(const pare__config *c)
{
    const char *name = json_string_value(pare__config_at(c, PARE__CONFIG, "architecture"));
    return name && !strncmp(name, "vit_", 4) && strstr(name, "_dinov3") ? name : NULL;
}

static int matches(const pare__config *c)
{
    const char *type = json_string_value(pare__config_at(c, PARE__CONFIG, "model_type"));
    return (type && !strcmp(type, "dinov3_vit")) || (!type && architecture(c));
}

static int32_t read_bool(pare__config *c, const char *key, int32_t def)
{
    return pare__config_bool(c, PARE__CONFIG, key, def);
}

static int32_t read_int(pare__config *c, const char *key, int32_t def, int32_t min, int32_t max)
{
    return pare__config_int(c, PARE__CONFIG, key, def, min, max);
}

/* What all of them are. */
static void set_common(pare__hparams *hp)
{
    hp->has_cls = 1;
    hp->pos_prefix = PARE__POS_NO_PREFIX;
    hp->rope = PARE__ROPE_CENTRE;
    hp->rope_theta = 100;
    hp->eps = 1e-5F;
    hp->has_norm = hp->has_patch_bias = hp->has_scale = 1;
    hp->has_qkv_bias = hp->has_attn_bias = hp->has_mlp_bias = 1;
    hp->video_units = VIDEO_UNITS;
}

/* ---- Hugging Face ------------------------------------------------------------------------------------------------ */

static void read_mlp(pare__config *c, pare__hparams *hp)
{
    hp->mlp_dim = read_int(c, "intermediate_size", 1536, 1, 4 * PARE__MAX_DIM);
    hp->gated = read_bool(c, "use_gated_mlp", 0);
    hp->has_mlp_bias = read_bool(c, "mlp_bias", 1);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "hidden_act", acts, PARE__ACT_GELU);
    if (hp->act == PARE__ACT_SILU && !hp->gated)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: hidden_act \"silu\" without use_gated_mlp is not supported",
                          c->file);
}

static void read_dims(pare__config *c, pare__hparams *hp)
{
    int32_t height = PHOTO_SIDE, width = PHOTO_SIDE;
    hp->dim = read_int(c, "hidden_size", 0, 1, PARE__MAX_DIM);
    hp->n_layer = read_int(c, "num_hidden_layers", 12, 1, PARE__MAX_BLOCKS);
    hp->n_head = read_int(c, "num_attention_heads", 6, 1, PARE__MAX_HEADS);
    hp->patch = read_int(c, "patch_size", PATCH, 1, PARE__MAX_SIDE);
    hp->n_register = read_int(c, "num_register_tokens", 0, 0, PARE__MAX_REGISTERS);
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "layer_norm_eps", 1e-5, 1e-30, 1);
    hp->rope_theta = (float)pare__config_float(c, PARE__CONFIG, "rope_theta", 100, 1, 1e12);
    hp->has_qkv_bias = read_bool(c, "query_bias", 1) | read_bool(c, "key_bias", 0) | read_bool(c, "value_bias", 1);
    hp->has_attn_bias = read_bool(c, "proj_bias", 1);
    read_int(c, "num_channels", 3, 3, 3);
    pare__config_size(c, PARE__CONFIG, "image_size", &height, &width);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
    read_mlp(c, hp);
}

static const pare__prep_rule default_prep = {
    .resize = PARE__RESIZE_EXACT,
    .resize_width = PHOTO_SIDE,
    .resize_height = PHOTO_SIDE,
    .resample = PARE__RESAMPLE_BILINEAR,
    .rescale = 1.0 / 255.0,
    .mean = {.485F, .456F, .406F},
    .std = {.229F, .224F, .225F},
};

/* ---- timm -------------------------------------------------------------------------------------------------------- */

/* model_args that the checkpoint's architecture does not take as they are here. */
static void check_args(pare__config *c)
{
    static const char *const known[] = {"dynamic_img_size", "img_size", "num_classes", "global_pool", NULL};
    const char *key;
    json_t *value;
    json_object_foreach(pare__config_at(c, PARE__CONFIG, "model_args"), key, value)
    {
        int is_known = json_is_null(value);
        for (const char *const *k = known; *k && !is_known; k++) is_known = !strcmp(*k, key);
        if (!is_known) pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: model_args.%.60s is not supported", c->file, key);
    }
}

static void read_timm_dims(pare__config *c, const char *name, pare__hparams *hp)
{
    const size_row *size = sizes, *end = sizes + sizeof sizes / sizeof *sizes;
    while (size < end && strncmp(name, size->start, strlen(size->start))) size++;
    if (size == end) {
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: architecture \"%.60s\" is not known", c->file, name);
        size = sizes;
    }
    check_args(c);
    hp->dim = size->dim;
    hp->n_layer = size->depth;
    hp->n_head = size->heads;
    hp->mlp_dim = size->mlp;
    hp->gated = size->gated;
    hp->act = size->gated ? PARE__ACT_SILU : PARE__ACT_GELU;
    hp->patch = PATCH;
    hp->n_register = TIMM_REGISTERS;
    hp->has_qkv_bias = strstr(name, "_qkvb") != NULL;
    hp->n_class = read_int(c, "model_args.num_classes|num_classes|pretrained_cfg.num_classes", 0, 0, PARE__MAX_CLASSES);
    hp->pool = (pare__pool_kind)pare__config_choice(c, PARE__CONFIG, "model_args.global_pool|global_pool", pools,
                                                    PARE__POOL_MEAN);
}

/* Resize to floor(input / crop_pct), then the centre crop. */
static void read_timm_prep(pare__config *c, pare__hparams *hp, pare__prep_rule *p)
{
    int32_t height = TIMM_SIDE, width = TIMM_SIDE;
    if (!pare__config_size(c, PARE__CONFIG, "model_args.img_size", &height, &width))
        pare__config_size(c, PARE__CONFIG, "pretrained_cfg.input_size", &height, &width);
    const double pct = pare__config_float(c, PARE__CONFIG, "pretrained_cfg.crop_pct", 1, 0.05, 1);
    if (height != width)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: pretrained_cfg.input_size %dx%d is no square", c->file, width,
                          height);
    p->resize = PARE__RESIZE_SHORTEST;
    p->shortest = (int32_t)floor(height / pct);
    p->crop = PARE__CROP_ROUND;
    p->crop_width = width;
    p->crop_height = height;
    p->resample = (pare__resample)pare__config_choice(c, PARE__CONFIG, "pretrained_cfg.interpolation", interpolations,
                                                      PARE__RESAMPLE_BICUBIC);
    pare__config_vec3(c, PARE__CONFIG, "pretrained_cfg.mean", -1e6, 1e6, p->mean);
    pare__config_vec3(c, PARE__CONFIG, "pretrained_cfg.std", 1e-6, 1e6, p->std);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    const char *name = architecture(c);
    set_common(hp);
    *prep = default_prep;
    if (name) {
        read_timm_dims(c, name, hp);
        read_timm_prep(c, hp, prep);
    } else {
        read_dims(c, hp);
        pare__config_prep(c, 1, prep);
    }
    return c->rc;
}

/* Meta's files hold a bias of the keys that a mask keeps out of the sum. */
static int finish(pare_model *m, pare_error *err)
{
    char name[PARE__MAX_NAME + 1];
    const char *prefix = pare__spell_prefix(m->store, m->family);
    const size_t size = (size_t)m->hp.dim * sizeof(float);
    for (int32_t l = 0; l < m->hp.n_layer; l++) {
        const float **bias = &m->w.block[l].qkv.b;
        snprintf(name, sizeof name, "%sblocks.%d.attn.qkv.bias_mask", prefix, l);
        if (!*bias || !pare__store_has(m->store, name)) continue;
        float *masked = pare__store_floats(m->store, 3 * (int64_t)m->hp.dim);
        if (!masked) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for the biases of block %d", m->path, l);
        memcpy(masked, *bias, 3 * size);
        memset(masked + m->hp.dim, 0, size);
        *bias = masked;
    }
    return 0;
}

const pare__family pare__family_dinov3 = {
    .name = "dinov3",
    .summary = "DINOv3: rotary positions, registers, SwiGLU; names of Hugging Face, Meta and timm",
    .cite = "Simeoni et al., arXiv:2508.10104",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embeddings.weight|patch_embed.proj.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
    .finish = finish,
};
