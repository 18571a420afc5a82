/* SPDX-License-Identifier: MIT */
/* The tables and readers of tower.h. */
#include "model/tower.h"

#include <string.h>

#include "core/limits.h"

#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

/* ---- tensors --------------------------------------------------------------------------------------------------- */

const pare__binding pare__tower_blocks[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "encoder.layers.%d.layer_norm1|v.blk.%d.ln1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "encoder.layers.%d.self_attn.q_proj+encoder.layers.%d.self_attn.k_proj+encoder.layers.%d.self_attn.v_proj|"
     "v.blk.%d.attn_q+v.blk.%d.attn_k+v.blk.%d.attn_v|v.blk.%d.attn_qkv",
     "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(proj), PARE__ROLE_LINEAR, "encoder.layers.%d.self_attn.out_proj|v.blk.%d.attn_out", "DD"},
    {BLOCK(norm2), PARE__ROLE_NORM, "encoder.layers.%d.layer_norm2|v.blk.%d.ln2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "encoder.layers.%d.mlp.fc1|v.blk.%d.ffn_up", "GD", HAS(form[0])},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "encoder.layers.%d.mlp.fc2|v.blk.%d.ffn_down", "DF", HAS(form[0])},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "v.blk.%d.ffn_down", "GD", HAS(form[1])},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "v.blk.%d.ffn_up", "DF", HAS(form[1])},
    {0},
};

/* ---- the tower ------------------------------------------------------------------------------------------------- */

/* Defaults of a configuration class: keys that say the same are left out of many files. */
typedef struct tower_class {
    const char *type;
    int32_t dim, n_layer, n_head, mlp_dim, image, patch;
    pare__act act;
    double eps;
    int32_t has_cls; /* and with it: pre-norm, patches without bias */
} tower_class;

static const tower_class classes[] = {
    {"clip_vision_model", 768, 12, 12, 3072, 224, 32, PARE__ACT_GELU_QUICK, 1e-5, 1},
    {"siglip_vision_model", 768, 12, 12, 3072, 224, 16, PARE__ACT_GELU_TANH, 1e-6, 0},
    {"idefics3_vision", 1152, 12, 16, 3072, 224, 32, PARE__ACT_GELU_TANH, 1e-6, 0},
    {"idefics3", 1152, 12, 16, 3072, 224, 32, PARE__ACT_GELU_TANH, 1e-6, 0}, /* as written before transformers 4.50 */
    {"smolvlm_vision", 1152, 12, 16, 3072, 224, 32, PARE__ACT_GELU_TANH, 1e-6, 0},
};
enum { N_CLASS = sizeof classes / sizeof classes[0] };

static const pare__prep_rule default_prep = {
    .resize = PARE__RESIZE_EXACT,
    .resample = PARE__RESAMPLE_BICUBIC,
    .rescale = 1.0 / 255.0,
    .mean = {.5F, .5F, .5F},
    .std = {.5F, .5F, .5F},
};
static const float clip_mean[3] = {.48145466F, .4578275F, .40821073F};
static const float clip_std[3] = {.26862954F, .26130258F, .27577711F};

/* Its dims are 0 in a GGUF file, where nothing goes without saying. */
static tower_class class_of(pare__config *c, const char *type)
{
    static const char key[] = "vision_config.model_type";
    const char *given = pare__config_text(c, PARE__CONFIG, key);
    tower_class k = classes[0];
    int i = 0;
    while (i < N_CLASS && strcmp(given ? given : type, classes[i].type) != 0) i++;
    if (i < N_CLASS)
        k = classes[i];
    else
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: %s \"%.60s\" is not supported", c->file, key,
                          given ? given : type);
    if (pare__config_is_mmproj(c))
        k.dim = k.n_layer = k.n_head = k.mlp_dim = k.image = k.patch = 0;
    else if (!pare__config_at(c, PARE__CONFIG, "vision_config"))
        pare__config_fail(c, PARE_E_FORMAT, "%s: no vision_config", c->file);
    return k;
}

/* The key as the file at hand spells it. */
static const char *spelled(const pare__config *c, const char *hf, const char *gguf)
{
    return pare__config_is_mmproj(c) ? gguf : hf;
}

void pare__tower_alone(pare__config *c, pare__hparams *hp, int32_t patch, double eps, pare__act act)
{
    hp->dim = pare__config_count(c, "vision_config.hidden_size|hidden_size", 768, PARE__MAX_DIM);
    hp->n_layer = pare__config_count(c, "vision_config.num_hidden_layers|num_hidden_layers", 12, PARE__MAX_BLOCKS);
    hp->n_head = pare__config_count(c, "vision_config.num_attention_heads|num_attention_heads", 12, PARE__MAX_HEADS);
    hp->mlp_dim = pare__config_count(c, "vision_config.intermediate_size|intermediate_size", 3072, 4 * PARE__MAX_DIM);
    hp->patch = pare__config_count(c, "vision_config.patch_size|patch_size", patch, PARE__MAX_SIDE);
    pare__config_int(c, PARE__CONFIG, "vision_config.num_channels|num_channels", 3, 3, 3);
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "vision_config.layer_norm_eps|layer_norm_eps", eps, 1e-30, 1);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "vision_config.hidden_act|hidden_act", pare__act_names,
                                             (int32_t)act);
    hp->form[0] = 1;
}

int32_t pare__tower_side(pare__config *c)
{
    int32_t height = 224, width = 224;
    if (!pare__config_size(c, PARE__CONFIG, "vision_config.image_size", &height, &width))
        pare__config_size(c, PARE__CONFIG, "image_size", &height, &width);
    if (height != width)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: image_size %dx%d is no square", c->file, width, height);
    return height;
}

/* n or [n, n] */
static int32_t read_side(pare__config *c, const char *key, int32_t def)
{
    int32_t height = def, width = def;
    if (!pare__config_size(c, PARE__CONFIG, key, &height, &width) && def < 1)
        return pare__config_count(c, key, 0, PARE__MAX_SIDE);
    if (height != width)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: %s is %d x %d, must be a square", c->file, key, height, width);
    return height;
}

static int32_t read_dims(pare__config *c, const tower_class *k, pare__hparams *hp)
{
    hp->dim = pare__config_count(c, spelled(c, "vision_config.hidden_size", "vision.embedding_length"), k->dim,
                                 PARE__MAX_DIM);
    hp->n_layer = pare__config_count(c, spelled(c, "vision_config.num_hidden_layers", "vision.block_count"), k->n_layer,
                                     PARE__MAX_BLOCKS);
    hp->n_head = pare__config_count(c, spelled(c, "vision_config.num_attention_heads", "vision.attention.head_count"),
                                    k->n_head, PARE__MAX_HEADS);
    hp->mlp_dim = pare__config_count(c, spelled(c, "vision_config.intermediate_size", "vision.feed_forward_length"),
                                     k->mlp_dim, 4 * PARE__MAX_DIM);
    pare__config_int(c, PARE__CONFIG, "vision_config.num_channels", 3, 3, 3);
    hp->patch = read_side(c, spelled(c, "vision_config.patch_size", "vision.patch_size"), k->patch);
    const int32_t image = read_side(c, spelled(c, "vision_config.image_size", "vision.image_size"), k->image);
    hp->pos_rows = hp->pos_cols = image / hp->patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
    return image;
}

/* GGUF has one word for both GELUs but the quick one. */
static pare__act read_act(pare__config *c, const tower_class *k)
{
    if (!pare__config_is_mmproj(c))
        return (pare__act)pare__config_choice(c, PARE__CONFIG, "vision_config.hidden_act", pare__act_names,
                                              (int32_t)k->act);
    if (pare__config_bool(c, PARE__CONFIG, "use_silu", 0))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: use_silu is true", c->file);
    if (!pare__config_bool(c, PARE__CONFIG, "use_gelu", 0)) return PARE__ACT_GELU_QUICK;
    return k->act == PARE__ACT_GELU_TANH ? PARE__ACT_GELU_TANH : PARE__ACT_GELU;
}

void pare__tower_read(pare__config *c, const char *type, pare__hparams *hp, pare__prep_rule *prep)
{
    const tower_class k = class_of(c, type);
    const int32_t image = read_dims(c, &k, hp);
    hp->tap = hp->n_layer;
    hp->act = read_act(c, &k);
    hp->eps = (float)pare__config_float(
        c, PARE__CONFIG, "vision_config.layer_norm_eps|vision.attention.layer_norm_epsilon", k.eps, 1e-30, 1);
    hp->has_cls = hp->has_pre_norm = k.has_cls;
    hp->has_patch_bias = !k.has_cls;
    hp->has_pos = hp->has_qkv_bias = 1;
    hp->pos_prefix = k.has_cls ? PARE__POS_CLS_ONLY : PARE__POS_NO_PREFIX;
    hp->interp = PARE__INTERP_BICUBIC;
    hp->pool = PARE__POOL_MEAN;
    hp->fixed_grid = 1;
    hp->form[0] = 1;
    *prep = default_prep;
    prep->resize_width = prep->resize_height = image;
    if (!k.has_cls) return;
    memcpy(prep->mean, clip_mean, sizeof clip_mean);
    memcpy(prep->std, clip_std, sizeof clip_std);
}

/* ---- the way into the language model --------------------------------------------------------------------------- */

void pare__tower_tap(pare__config *c, pare__hparams *hp, int32_t def)
{
    const json_t *v = pare__config_at(c, PARE__CONFIG, "vision_feature_layer|select_layer|vision.feature_layer");
    if (json_array_size(v) > 1)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: vision_feature_layer names %zu layers, one is supported", c->file,
                          json_array_size(v));
    if (json_is_array(v)) v = json_array_get(v, 0);
    json_int_t at = v ? json_integer_value(v) : pare__config_is_mmproj(c) ? -1 : def;
    if (at < 0) at += hp->n_layer + 1;
    if ((v && !json_is_integer(v)) || at < 1 || at > hp->n_layer) {
        pare__config_fail(c, PARE_E_FORMAT, "%s: vision_feature_layer must be one of %d blocks, -1 the last", c->file,
                          hp->n_layer);
        at = hp->n_layer;
    }
    hp->tap = (int32_t)at;
}

void pare__tower_select(pare__config *c, const pare__hparams *hp, const char *def)
{
    static const pare__choice names[] = {{"default", 1}, {"full", 0}, {NULL, 0}};
    const int32_t drops =
        pare__config_choice(c, PARE__CONFIG, "vision_feature_select_strategy", names, strcmp(def, "default") == 0);
    if (pare__config_is_mmproj(c) || drops == hp->has_cls) return;
    pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: vision_feature_select_strategy \"%s\" %s, which is not supported",
                      c->file, drops ? "default" : "full",
                      drops ? "drops the first patch of a tower without CLS" : "projects the CLS token");
}

int32_t pare__tower_text_width(pare__config *c)
{
    const int32_t def = pare__config_is(c, "text_config.model_type", "gemma3_text") ? 2304 : 4096;
    return pare__config_count(c, "text_config.hidden_size|llm_config.hidden_size|vision.projection_dim", def,
                              PARE__MAX_DIM);
}

void pare__tower_project(pare__config *c, pare__hparams *hp)
{
    hp->has_projector = hp->has_fc2 = 1;
    hp->proj_act =
        (pare__act)pare__config_choice(c, PARE__CONFIG, "projector_hidden_act", pare__act_names, PARE__ACT_GELU);
    hp->has_proj_bias = pare__config_bool(c, PARE__CONFIG, "multimodal_projector_bias", 1);
    hp->d_out = hp->proj_dim = pare__tower_text_width(c);
}

void pare__tower_settle_width(pare__config *c, pare__hparams *hp, const pare__tower_files *f, const char *const *names,
                              int axis)
{
    const pare_tensor *t = NULL;
    if (pare__config_at(c, PARE__CONFIG, "text_config.hidden_size|llm_config.hidden_size")) return;
    while (*names && !t) t = f->find(f->files, *names++);
    if (!t || t->n_dim <= axis) return;
    if (t->shape[axis] < 1 || t->shape[axis] > PARE__MAX_DIM)
        pare__config_fail(c, PARE_E_LIMIT, "%s: tensor %s is %lld wide, at most %d", c->file, names[-1],
                          (long long)t->shape[axis], PARE__MAX_DIM);
    else
        hp->d_out = hp->proj_dim = (int32_t)t->shape[axis];
}

/* ---- grids of tiles -------------------------------------------------------------------------------------------- */

static void add_pinpoint(pare__config *c, pare__prep_rule *prep, json_int_t height, json_int_t width)
{
    const json_int_t rows = height / prep->resize_height, cols = width / prep->resize_width;
    if (prep->n_pinpoint == PARE__MAX_PINPOINTS) {
        pare__config_fail(c, PARE_E_LIMIT, "%s: more than %d image_grid_pinpoints", c->file, PARE__MAX_PINPOINTS);
    } else if (rows < 1 || rows > PARE__MAX_TILES || height % prep->resize_height || cols < 1 ||
               cols > PARE__MAX_TILES || width % prep->resize_width) {
        pare__config_fail(c, PARE_E_FORMAT, "%s: image_grid_pinpoints: %lld x %lld is not made of tiles of %d x %d",
                          c->file, (long long)height, (long long)width, prep->resize_height, prep->resize_width);
    } else {
        prep->pinpoint[prep->n_pinpoint][0] = (int32_t)height;
        prep->pinpoint[prep->n_pinpoint++][1] = (int32_t)width;
    }
}

static json_int_t integer_at(const json_t *list, size_t i) { return json_integer_value(json_array_get(list, i)); }

/* Pairs height, width; GGUF: width, height, one after the other. */
void pare__tower_pinpoints(pare__config *c, pare__prep_rule *prep)
{
    const json_t *list = pare__config_at(c, PARE__PREP, "image_grid_pinpoints");
    if (!list) list = pare__config_at(c, PARE__CONFIG, "image_grid_pinpoints|vision.image_grid_pinpoints");
    if (!list) return;
    const size_t n = json_array_size(list);
    const int is_flat = json_is_integer(json_array_get(list, 0));
    prep->n_pinpoint = 0;
    for (size_t i = 0; i + (size_t)is_flat < n && !c->rc; i += is_flat ? 2 : 1) {
        const json_t *pair = json_array_get(list, i);
        if (is_flat)
            add_pinpoint(c, prep, integer_at(list, i + 1), integer_at(list, i));
        else
            add_pinpoint(c, prep, integer_at(pair, 0), integer_at(pair, 1));
    }
    if (prep->n_pinpoint == 0) pare__config_fail(c, PARE_E_FORMAT, "%s: image_grid_pinpoints holds no pair", c->file);
}

void pare__tower_stretch(pare__prep_rule *prep)
{
    if (prep->crop != PARE__CROP_NONE) {
        prep->resize_width = prep->crop_width;
        prep->resize_height = prep->crop_height;
    } else if (prep->resize == PARE__RESIZE_SHORTEST) {
        prep->resize_width = prep->resize_height = prep->shortest;
    }
    prep->resize = PARE__RESIZE_EXACT;
    prep->crop = PARE__CROP_NONE;
}
