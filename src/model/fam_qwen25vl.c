/* SPDX-License-Identifier: MIT */
/* The vision tower of Qwen2.5-VL, as published (safetensors) and as llama.cpp's mmproj (GGUF architecture "clip"): what
 * qwen.h says, with RMS norms, SwiGLU with biases, and attention in windows but for a few blocks. The language model's
 * tensors are never looked at.
 * Source: Bai et al., arXiv:2502.13923; transformers' configuration_qwen2_5_vl.py for the defaults of absent keys. */
#include "core/limits.h"
#include "model/qwen.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { DEPTH = 32, PATCH = 14 };

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "patch_embed.proj|v.patch_embd/v.patch_embd*.1", "DCEPP",
     .bias = HAS(has_patch_bias)},
    {MODEL(projector.norm), PARE__ROLE_SCALE, "merger.ln_q|v.post_ln", "D"},
    {MODEL(projector.fc1), PARE__ROLE_LINEAR, "merger.mlp.0|mm.0", "UU"},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR, "merger.mlp.2|mm.2", "OU"},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_SCALE, "blocks.%d.norm1|v.blk.%d.ln1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "blocks.%d.attn.qkv|blocks.%d.attn.q+blocks.%d.attn.k+blocks.%d.attn.v|"
     "v.blk.%d.attn_q+v.blk.%d.attn_k+v.blk.%d.attn_v|v.blk.%d.attn_qkv",
     "TD"},
    {BLOCK(proj), PARE__ROLE_LINEAR, "blocks.%d.attn.proj|v.blk.%d.attn_out", "DD"},
    {BLOCK(norm2), PARE__ROLE_SCALE, "blocks.%d.norm2|v.blk.%d.ln2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "blocks.%d.mlp.gate_proj+blocks.%d.mlp.up_proj|v.blk.%d.ffn_gate+v.blk.%d.ffn_up",
     "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "blocks.%d.mlp.down_proj|v.blk.%d.ffn_down", "DF"},
    {0},
};

static const char *const types[] = {"qwen2_5_vl", NULL};
static const pare__choice acts[] = {{"silu", PARE__ACT_SILU}, {NULL, 0}};

static int matches(const pare__config *c) { return pare__qwen_matches(c, types, "qwen2.5vl_merger"); }

static void read_dims(pare__config *c, pare__hparams *hp)
{
    hp->dim = pare__qwen_int(c, "vision_config.hidden_size|vision.embedding_length", 0, 1, PARE__MAX_DIM);
    hp->mlp_dim =
        pare__qwen_int(c, "vision_config.intermediate_size|vision.feed_forward_length", 3420, 1, 4 * PARE__MAX_DIM);
    hp->d_out = pare__qwen_int(c, "vision_config.out_hidden_size|vision.projection_dim", 3584, 1, PARE__MAX_DIM);
    pare__qwen_tower(c, hp, DEPTH, PATCH);
    hp->norm = hp->proj_norm = PARE__NORM_RMS;
    hp->gated = 1;
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "vision_config.hidden_act", acts, PARE__ACT_SILU);
    if (!pare__config_bool(c, PARE__CONFIG, "use_silu", 1))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: use_silu is false", c->file);
}

/* GGUF: every n-th block sees everything. */
static void read_pattern(pare__config *c, pare__hparams *hp)
{
    const int32_t n = pare__qwen_int(c, "vision.n_wa_pattern", 8, 1, PARE__MAX_BLOCKS);
    for (int32_t i = n - 1; i < hp->n_layer; i += n) hp->is_full[i] = 1;
}

/* Blocks that the model does not have are no error upstream. */
static void read_full(pare__config *c, pare__hparams *hp)
{
    static const char key[] = "vision_config.fullatt_block_indexes";
    size_t i;
    const json_t *block, *list = pare__config_at(c, PARE__CONFIG, key);
    if (!list || pare__config_is_mmproj(c)) {
        read_pattern(c, hp);
        return;
    }
    if (!json_is_array(list)) pare__config_fail(c, PARE_E_FORMAT, "%s: %s must be an array", c->file, key);
    json_array_foreach(list, i, block)
    {
        const json_int_t at = json_integer_value(block);
        if (!json_is_integer(block) || at < 0 || at >= PARE__MAX_BLOCKS)
            pare__config_fail(c, PARE_E_FORMAT, "%s: %s[%zu] must be a block, 0 to %d", c->file, key, i,
                              PARE__MAX_BLOCKS - 1);
        else
            hp->is_full[at] = 1;
    }
}

static void read_windows(pare__config *c, pare__hparams *hp)
{
    const int32_t side = pare__qwen_int(c, "vision_config.window_size|vision.window_size", 112, 1, PARE__MAX_SIDE);
    hp->window = side / hp->unit / hp->patch;
    if (hp->window < 1)
        pare__config_fail(c, PARE_E_FORMAT, "%s: window_size %d is less than a unit of %d pixels", c->file, side,
                          hp->unit * hp->patch);
    read_full(c, hp);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    read_windows(c, hp);
    /* GGUF has no such key: 2 is what all released checkpoints say */
    hp->mrope_per_second = pare__config_float(c, PARE__CONFIG, "vision_config.tokens_per_second",
                                              pare__config_is_mmproj(c) ? 2 : 4, 0, 1e4);
    *prep = pare__qwen_photos;
    pare__qwen_prep(c, hp, prep);
    return c->rc;
}

const pare__family pare__family_qwen25vl = {
    .name = "qwen2.5vl",
    .summary = "the vision tower of Qwen2.5-VL: windows, 2x2 units, pairs of frames, merger; also as mmproj GGUF",
    .cite = "Bai et al., arXiv:2502.13923",
    .prefixes = pare__qwen_prefixes,
    .probe = PARE__QWEN_PROBE,
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
};
