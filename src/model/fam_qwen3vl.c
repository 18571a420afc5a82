/* SPDX-License-Identifier: MIT */
/* The vision tower of Qwen3-VL, as published (safetensors) and as llama.cpp's mmproj (GGUF architecture "clip"): what qwen.h
 * says, with layer norms, learned positions beside the rotary ones, attention over a whole temporal step, and DeepStack:
 * outputs of a few blocks that have mergers of their own and go into the first layers of the language model. A clip's
 * frames share one area, and its temporal steps stand behind time stamps.
 * Source: transformers' modeling_qwen3_vl.py, video_processing_qwen3_vl.py; Meng et al., arXiv:2406.04334 (DeepStack). */
#include <math.h>

#include "core/limits.h"
#include "model/qwen.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define STACK(field) .offset = offsetof(pare__projector_w, field)

/* Areas of pictures: those of the published processors. */
enum { DEPTH = 27, PATCH = 16, POSITIONS = 48 * 48, MIN_PIXELS = 1 << 16, MAX_PIXELS = 1 << 24 };

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "patch_embed.proj|v.patch_embd/v.patch_embd*.1", "DCEPP"},
    {MODEL(pos), PARE__ROLE_ARRAY, "pos_embed.weight|v.position_embd.weight", "ND"},
    {MODEL(projector.norm), PARE__ROLE_NORM, "merger.norm|v.post_ln", "D"},
    {MODEL(projector.fc1), PARE__ROLE_LINEAR, "merger.linear_fc1|mm.0", "UU"},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR, "merger.linear_fc2|mm.2", "OU"},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "blocks.%d.norm1|v.blk.%d.ln1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "blocks.%d.attn.qkv|v.blk.%d.attn_qkv|v.blk.%d.attn_q+v.blk.%d.attn_k+v.blk.%d.attn_v", "TD"},
    {BLOCK(proj), PARE__ROLE_LINEAR, "blocks.%d.attn.proj|v.blk.%d.attn_out", "DD"},
    {BLOCK(norm2), PARE__ROLE_NORM, "blocks.%d.norm2|v.blk.%d.ln2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "blocks.%d.mlp.linear_fc1|v.blk.%d.ffn_up", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "blocks.%d.mlp.linear_fc2|v.blk.%d.ffn_down", "DF"},
    {0},
};

static const pare__binding deepstack_rows[] = {
    {STACK(norm), PARE__ROLE_NORM, "deepstack_merger_list.%d.norm|v.deepstack.%b.norm", "U"},
    {STACK(fc1), PARE__ROLE_LINEAR, "deepstack_merger_list.%d.linear_fc1|v.deepstack.%b.fc1", "UU"},
    {STACK(fc2), PARE__ROLE_LINEAR, "deepstack_merger_list.%d.linear_fc2|v.deepstack.%b.fc2", "OU"},
    {0},
};

static const char *const types[] = {"qwen3_vl", "qwen3_vl_moe", NULL};

static int matches(const pare__config *c) { return pare__qwen_matches(c, types, "qwen3vl_merger"); }

static void read_dims(pare__config *c, pare__hparams *hp)
{
    hp->dim = pare__qwen_int(c, "vision_config.hidden_size|vision.embedding_length", 0, 1, PARE__MAX_DIM);
    hp->mlp_dim =
        pare__qwen_int(c, "vision_config.intermediate_size|vision.feed_forward_length", 4304, 1, 4 * PARE__MAX_DIM);
    hp->d_out = pare__qwen_int(c, "vision_config.out_hidden_size|vision.projection_dim", 3584, 1, PARE__MAX_DIM);
    pare__qwen_tower(c, hp, DEPTH, PATCH);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "vision_config.hidden_act", pare__act_names,
                                             PARE__ACT_GELU_TANH);
    hp->has_patch_bias = 1;
    hp->mrope_stamps = 1;
    if (!pare__config_bool(c, PARE__CONFIG, "use_gelu", 1))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: use_gelu is false", c->file);
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

static void set_positions(pare__config *c, pare__hparams *hp, int64_t n)
{
    const int32_t side = (int32_t)lrint(sqrt((double)n));
    if ((int64_t)side * side != n)
        pare__config_fail(c, PARE_E_FORMAT, "%s: %lld positions are no square", c->file, (long long)n);
    hp->pos_rows = hp->pos_cols = side;
}

static void read_positions(pare__config *c, pare__hparams *hp)
{
    hp->has_pos = 1;
    hp->interp = PARE__INTERP_BILINEAR_ENDS;
    hp->pos_prefix = PARE__POS_NO_PREFIX;
    set_positions(c, hp,
                  pare__qwen_int(c, "vision_config.num_position_embeddings", POSITIONS, 1, PARE__MAX_UNITS_PER_FRAME));
}

/* ---- DeepStack --------------------------------------------------------------------------------------------------- */

static void add_tap(pare__config *c, pare__hparams *hp, json_int_t block)
{
    if (block < 0 || block >= hp->n_layer)
        pare__config_fail(c, PARE_E_FORMAT, "%s: DeepStack takes block %lld of %d", c->file, (long long)block,
                          hp->n_layer);
    else if (hp->n_deepstack == PARE__MAX_DEEPSTACK)
        pare__config_fail(c, PARE_E_LIMIT, "%s: DeepStack takes more than %d blocks", c->file, PARE__MAX_DEEPSTACK);
    else
        hp->deepstack[hp->n_deepstack++] = (int32_t)block;
}

/* GGUF marks the blocks, one flag each; a config lists them. */
static void read_deepstack(pare__config *c, pare__hparams *hp)
{
    static const char flags_key[] = "vision.is_deepstack_layers", list_key[] = "vision_config.deepstack_visual_indexes";
    const int is_gguf = pare__config_is_mmproj(c);
    size_t i;
    const json_t *item, *list = pare__config_at(c, PARE__CONFIG, is_gguf ? flags_key : list_key);
    if (!list && !is_gguf)
        for (int k = 1; k <= 3; k++) add_tap(c, hp, 8 * k);
    if (list && !json_is_array(list))
        pare__config_fail(c, PARE_E_FORMAT, "%s: %s must be an array", c->file, is_gguf ? flags_key : list_key);
    json_array_foreach(list, i, item)
    {
        if (!is_gguf)
            add_tap(c, hp, json_is_integer(item) ? json_integer_value(item) : -1);
        else if (json_is_true(item) || json_integer_value(item) == 1)
            add_tap(c, hp, (json_int_t)i);
    }
}

/* ---- preprocessing ----------------------------------------------------------------------------------------------- */

static const pare__prep_rule default_prep = {
    .resize = PARE__RESIZE_SMART,
    .min_pixels = MIN_PIXELS,
    .max_pixels = MAX_PIXELS,
    .clip_volume = 1,
    .resample = PARE__RESAMPLE_BICUBIC,
    .clip_resample = PARE__RESAMPLE_BICUBIC_TORCH,
    .rescale = 1.0 / 255.0,
    .mean = {.5F, .5F, .5F},
    .std = {.5F, .5F, .5F},
};

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    read_positions(c, hp);
    read_deepstack(c, hp);
    *prep = default_prep;
    pare__qwen_prep(c, hp, prep);
    return c->rc;
}

/* GGUF does not say how many positions there are. */
static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    const pare_tensor *pos = pare__config_is_mmproj(c) ? find(files, "v.position_embd.weight") : NULL;
    if (!pos) return c->rc;
    if (pos->n_dim < 1 || pos->shape[0] < 1 || pos->shape[0] > PARE__MAX_UNITS_PER_FRAME)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: tensor %s has %lld rows, must be 1..%d", c->file, pos->name,
                                 (long long)(pos->n_dim > 0 ? pos->shape[0] : 0), PARE__MAX_UNITS_PER_FRAME);
    set_positions(c, hp, pos->shape[0]);
    return c->rc;
}

const pare__family pare__family_qwen3vl = {
    .name = "qwen3vl",
    .summary = "the vision tower of Qwen3-VL: DeepStack, 2x2 units, pairs of frames, merger; also as mmproj GGUF",
    .cite = "Bai et al., arXiv:2511.21631",
    .prefixes = pare__qwen_prefixes,
    .probe = PARE__QWEN_PROBE,
    .model = model_rows,
    .block = block_rows,
    .deepstack = deepstack_rows,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
