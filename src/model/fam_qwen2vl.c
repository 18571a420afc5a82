/* SPDX-License-Identifier: MIT */
/* The vision tower of Qwen2-VL, as published (safetensors) and as llama.cpp's mmproj (GGUF architecture "clip"): what qwen.h
 * says, with layer norms, a plain MLP with the quick GELU, and attention over a whole temporal step. In its config
 * "hidden_size" is the width of the language model, "embed_dim" that of the tower; the GGUF's feed_forward_length is
 * wrong, so the width of the MLP is that of its tensor.
 * Source: Wang et al., arXiv:2409.12191; transformers' configuration_qwen2_vl.py for the defaults of absent keys. */
#include "core/limits.h"
#include "model/qwen.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { DEPTH = 32, WIDTH = 1280, PATCH = 14 };

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "patch_embed.proj|v.patch_embd/v.patch_embd*.1", "DCEPP",
     .bias = HAS(has_patch_bias)},
    {MODEL(projector.norm), PARE__ROLE_NORM, "merger.ln_q|v.post_ln", "D"},
    {MODEL(projector.fc1), PARE__ROLE_LINEAR, "merger.mlp.0|mm.0", "UU"},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR, "merger.mlp.2|mm.2", "OU"},
    {0},
};

static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "blocks.%d.norm1|v.blk.%d.ln1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "blocks.%d.attn.qkv|v.blk.%d.attn_q+v.blk.%d.attn_k+v.blk.%d.attn_v|v.blk.%d.attn_qkv", "TD"},
    {BLOCK(proj), PARE__ROLE_LINEAR, "blocks.%d.attn.proj|v.blk.%d.attn_out", "DD"},
    {BLOCK(norm2), PARE__ROLE_NORM, "blocks.%d.norm2|v.blk.%d.ln2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc1|v.blk.%d.ffn_up", "GD", HAS(form[0])},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc2|v.blk.%d.ffn_down", "DF", HAS(form[0])},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "v.blk.%d.ffn_down", "GD", HAS(form[1])},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "v.blk.%d.ffn_up", "DF", HAS(form[1])},
    {0},
};

static const char *const types[] = {"qwen2_vl", NULL};

static int matches(const pare__config *c) { return pare__qwen_matches(c, types, "qwen2vl_merger"); }

/* GGUF says which by two flags: neither is the quick GELU. */
static void read_act(pare__config *c, pare__hparams *hp)
{
    const pare__act def = pare__config_bool(c, PARE__CONFIG, "use_gelu", 0) ? PARE__ACT_GELU : PARE__ACT_GELU_QUICK;
    hp->act =
        (pare__act)pare__config_choice(c, PARE__CONFIG, "vision_config.hidden_act", pare__act_names, (int32_t)def);
    if (pare__config_bool(c, PARE__CONFIG, "use_silu", 0))
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: use_silu is true", c->file);
}

static void read_dims(pare__config *c, pare__hparams *hp)
{
    const int is_gguf = pare__config_is_mmproj(c);
    hp->dim =
        pare__qwen_int(c, "vision_config.embed_dim|vision.embedding_length", is_gguf ? 0 : WIDTH, 1, PARE__MAX_DIM);
    hp->d_out = pare__qwen_int(c, "vision_config.hidden_size|vision.projection_dim", 3584, 1, PARE__MAX_DIM);
    hp->mlp_dim =
        (int32_t)(hp->dim * pare__config_float(c, PARE__CONFIG, "vision_config.mlp_ratio", 4, 1.0 / PARE__MAX_DIM, 64));
    pare__qwen_tower(c, hp, DEPTH, PATCH);
    hp->form[0] = 1;
    read_act(c, hp);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    *prep = pare__qwen_photos;
    pare__qwen_prep(c, hp, prep);
    return c->rc;
}

/* The first converter took ffn_up and ffn_down for each other: fc1 is the one that reads the width of the tower. */
static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    const pare_tensor *up = pare__config_is_mmproj(c) ? find(files, "v.blk.0.ffn_up.weight") : NULL;
    const pare_tensor *down = up ? find(files, "v.blk.0.ffn_down.weight") : NULL;
    const int is_swapped = down && down->n_dim == 2 && down->shape[1] == hp->dim && down->shape[0] != hp->dim;
    const pare_tensor *fc1 = is_swapped ? down : up;
    if (!fc1) return c->rc;
    if (fc1->n_dim != 2 || fc1->shape[0] < 1 || fc1->shape[0] > 4 * PARE__MAX_DIM)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: tensor %s has %lld rows in %d axes, must be 1..%d in 2", c->file,
                                 fc1->name, (long long)(fc1->n_dim > 0 ? fc1->shape[0] : 0), fc1->n_dim,
                                 4 * PARE__MAX_DIM);
    hp->mlp_dim = (int32_t)fc1->shape[0];
    hp->form[1] = is_swapped;
    hp->form[0] = !is_swapped;
    return c->rc;
}

const pare__family pare__family_qwen2vl = {
    .name = "qwen2vl",
    .summary = "the vision tower of Qwen2-VL: 2x2 units, pairs of frames, merger; also as mmproj GGUF",
    .cite = "Wang et al., arXiv:2409.12191",
    .prefixes = pare__qwen_prefixes,
    .probe = PARE__QWEN_PROBE,
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
