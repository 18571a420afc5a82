/* SPDX-License-Identifier: MIT */
/* An opened checkpoint: hyper-parameters (what a family reads from its config), weights as f32 rows, preprocessing
 * rule. Immutable after open. Everything that differs between families is data in here: the encoder has no family
 * names. */
#ifndef PARE_MODEL_MODEL_H
#define PARE_MODEL_MODEL_H

#include <pare/pare.h>

#include "core/limits.h"

typedef enum { PARE__ACT_GELU, PARE__ACT_GELU_TANH, PARE__ACT_GELU_QUICK, PARE__ACT_SILU } pare__act;
typedef enum { PARE__NORM_LAYER, PARE__NORM_RMS } pare__norm_kind;
/* How a learned position table is brought to another grid. */
typedef enum {
    PARE__INTERP_BICUBIC,    /* a = -0.75, 4 taps, borders clamped, no antialias (HF ViT, DINOv2) */
    PARE__INTERP_BICUBIC_AA, /* a = -0.5, support widened when shrinking (timm, DINOv2 with registers) */
    PARE__INTERP_BILINEAR_AA,
    PARE__INTERP_BILINEAR_ENDS, /* no antialias, end points meet end points (Qwen3-VL) */
    PARE__INTERP_BUCKET         /* place i of n takes row floor(i G / n) of G (Idefics3) */
} pare__interp;
/* What turns queries and keys by the ORIGINAL place (row, col) of a patch; rotate-half pairs, half of a head's channels
 * with the row and half with the column, prefix tokens never. */
typedef enum {
    PARE__ROPE_NONE,
    PARE__ROPE_GRID,  /* angle = coordinate * theta^(-4 i / head_dim), i < head_dim / 4 (Qwen) */
    PARE__ROPE_CENTRE /* coordinate = centre of the patch, -1 .. 1 over the side; angle = 2 pi of the same (DINOv3) */
} pare__rope_kind;
/* RMS norm of queries and keys before they are turned (eps as the blocks'). */
typedef enum {
    PARE__QK_PLAIN,
    PARE__QK_NORM_ROW, /* over all heads together (InternViT-6B) */
    PARE__QK_NORM_HEAD /* over each head (timm): layer norm where the block's norms are */
} pare__qk_norm;
/* Which prefix tokens have a row in the position table, before the patch rows. */
typedef enum { PARE__POS_NO_PREFIX, PARE__POS_CLS_ONLY, PARE__POS_ALL_PREFIX } pare__pos_prefix;
/* What the head reads from the final tokens. */
typedef enum {
    PARE__POOL_CLS,
    PARE__POOL_MEAN,
    PARE__POOL_MEAN_ALL,
    PARE__POOL_PROBE /* attention of a learned query over all rows, then an MLP (SigLIP's MAP head) */
} pare__pool_kind;
typedef enum {
    PARE__LOGITS_POOLED,
    PARE__LOGITS_CLS_MEAN,
    PARE__LOGITS_TEACHER /* mean of two heads: of the CLS token and of the first register (DeiT) */
} pare__logits_kind;
/* How the patches of a unit become the input of the projector. */
typedef enum {
    PARE__JOIN_CONCAT, /* side by side, row by row: (0,0), (0,1), ... (Qwen's merger, pixel shuffle) */
    PARE__JOIN_MEAN    /* their mean (Gemma 3) */
} pare__join;

typedef enum {
    PARE__RESAMPLE_NEAREST,
    PARE__RESAMPLE_BOX,
    PARE__RESAMPLE_BILINEAR,
    PARE__RESAMPLE_BICUBIC,
    PARE__RESAMPLE_LANCZOS,
    PARE__RESAMPLE_BICUBIC_TORCH /* torchvision's antialias: Pillow's bicubic, always with the width first */
} pare__resample;
typedef enum {
    PARE__RESIZE_NONE,
    PARE__RESIZE_EXACT,
    PARE__RESIZE_SHORTEST,
    PARE__RESIZE_SMART,  /* Qwen: sides rounded half to even to whole units, area within min_pixels .. max_pixels */
    PARE__RESIZE_PATCHES /* NaFlex: the largest size of whole patches, aspect kept, of at most max_patches */
} pare__resize_rule;
/* How a photo becomes several pictures of the model's own size (encode/tiles.c). */
typedef enum {
    PARE__TILES_NONE,
    PARE__TILES_RATIO, /* InternVL: the grid of min .. max_tiles tiles nearest in aspect; the whole last if several */
    PARE__TILES_PINPOINTS, /* LLaVA-NeXT, OneVision: the pinpoint that keeps most pixels, padded; the whole first */
    PARE__TILES_LONGEST /* Idefics3, SmolVLM: longest edge to tiles_longest, sides up to whole tiles; the whole last */
} pare__tiles_rule;
enum { PARE__MAX_PINPOINTS = 64, PARE__MAX_DEEPSTACK = 8 };
/* Odd margins: floor((n - c) / 2) (HF numpy/PIL) or round half to even of it (torchvision, timm). */
typedef enum { PARE__CROP_NONE, PARE__CROP_FLOOR, PARE__CROP_ROUND } pare__crop_rule;

/* The checkpoint's own rule for photos. */
typedef struct pare__prep_rule {
    pare__resize_rule resize;
    int32_t resize_width, resize_height; /* EXACT */
    int32_t shortest;                    /* SHORTEST: long side = floor(shortest * long / short) */
    int64_t min_pixels, max_pixels;      /* SMART */
    pare__resample resample;
    pare__resample clip_resample; /* of frames of a clip, where their processor differs; 0 = as photos */
    pare__crop_rule crop;
    int32_t crop_width, crop_height;
    double rescale; /* 1/255 */
    float mean[3], std[3];
    int32_t max_patches; /* PATCHES */
    /* SMART, of clips: min_pixels .. max_pixels of all frames together (Qwen3-VL) where clip_volume is 1, else of a frame */
    int64_t clip_min_pixels, clip_max_pixels; /* 0 = as photos */
    int32_t clip_volume;
    pare__tiles_rule tiles;       /* of photos; every tile has the size that resize makes */
    int32_t min_tiles, max_tiles; /* RATIO; LONGEST: max_tiles 1 = the photo is not cut */
    int32_t tiles_longest;
    int32_t n_pinpoint, pinpoint[PARE__MAX_PINPOINTS][2]; /* height, width in pixels */
    int32_t newlines; /* the language model's input has a learned row behind every row of the tiles put together */
    /* Of k x k tiles at most k^2 = this many are kept in full, more are shrunk (OneVision); 0 = all. */
    int32_t anyres_max;
    /* A frame of a clip leaves as ceil(rows / this) x ceil(cols / this) rows (OneVision); 0 = as is. */
    int32_t clip_pool;
} pare__prep_rule;

typedef struct pare__hparams {
    int32_t dim, n_layer, n_head, mlp_dim, patch, temporal, unit;
    int32_t pos_rows, pos_cols;            /* grid of the position table */
    int32_t has_cls, n_register, n_prefix; /* prefix order: CLS, then registers */
    pare__pos_prefix pos_prefix;
    pare__interp interp;
    pare__norm_kind norm;
    float eps;
    float fc_eps; /* of fc_norm; 0 = eps */
    pare__act act;
    int32_t gated; /* act(first half of fc1) * second half */
    pare__pool_kind pool;
    pare__logits_kind logits;
    int32_t pooler_tanh; /* pooled = tanh(pooler . pooled) where the checkpoint has a pooler */
    int32_t n_class;
    int32_t video_units;
    pare__rope_kind rope;
    float rope_theta;
    pare__qk_norm qk_norm;
    int32_t window; /* units per side of an attention window; 0 = every block sees the whole segment */
    uint8_t is_full[PARE__MAX_BLOCKS]; /* blocks that see the whole segment although there are windows */
    int32_t tap; /* blocks that are run for the output: 1 .. n_layer; the others are for traces only */
    /* The way into a language model: patches of a unit joined, norm, fc1, act, fc2 -> d_out; else d_out = dim. */
    int32_t has_projector, proj_dim; /* proj_dim: rows of fc1 */
    pare__join join;
    int32_t proj_norm_joined; /* the norm sees the joined row, else each patch */
    pare__norm_kind proj_norm;
    float proj_eps;
    pare__act proj_act;
    int32_t d_out;
    /* Blocks whose output is projected, too (norm of the joined row). */
    int32_t n_deepstack, deepstack[PARE__MAX_DEEPSTACK];
    int32_t n_embed;         /* width of the joint embedding with a text tower (CLIP); 0 = none */
    int32_t steps;           /* temporal steps that attend to each other, with positions of their own; 0 = 1 */
    int32_t fixed_grid;      /* frames of a clip, too, come at the grid of the position table */
    int32_t any_grid;        /* the model itself brings its positions to any grid, unasked */
    int32_t has_mrope;       /* the language model behind it places tokens by (t, row, col) */
    double mrope_per_second; /* t of M-RoPE per second of video; 0 = one per temporal step */
    int32_t mrope_stamps;    /* every temporal step of a clip stands behind a time stamp and is placed like a picture */
    /* Which parts exist: 0 or 1. A part that exists must be in the file; the others are NULL in pare__weights. */
    int32_t has_patch_bias, has_qkv_bias, has_scale, has_pre_norm, has_norm, has_fc_norm;
    int32_t has_attn_bias, has_mlp_bias, has_pos, has_proj_norm, has_proj_bias, has_fc2, has_probe, has_newline, has_qk;
    /* Files in two forms that names do not tell apart: rows of the tables that need the one or the other. Exactly one is 1,
     * where a family has such rows. */
    int32_t form[2];
    int32_t has_embed, has_embed_bias; /* n_embed without has_embed: the joint embedding is what is pooled (SigLIP) */
    int32_t has_head2;                 /* two classifiers: PARE__LOGITS_TEACHER */
} pare__hparams;

/* y = x W^T + b; W [out, in] */
typedef struct pare__linear {
    const float *w; /* [n_out, n_in] */
    const float *b; /* [n_out] or NULL */
    int32_t n_in, n_out;
} pare__linear;

typedef struct pare__norm_w {
    const float *w, *b; /* [dim]; w NULL = identity */
} pare__norm_w;

/* See pare__hparams.has_projector. */
typedef struct pare__projector_w {
    pare__norm_w norm;     /* [dim], or [joined]; w NULL = none */
    pare__linear fc1, fc2; /* [proj_dim, joined], [d_out, proj_dim]; fc2.w NULL: fc1 alone, without activation */
} pare__projector_w;

/* Pooling by a learned query: r = proj(attention(probe, rows)); pooled = r + fc2(act(fc1(norm r))). */
typedef struct pare__probe_w {
    const float *probe; /* [dim] */
    pare__linear qkv;   /* [3 dim, dim] */
    pare__linear proj;
    pare__norm_w norm;
    pare__linear fc1, fc2;
} pare__probe_w;

typedef struct pare__block_w {
    pare__norm_w norm1, norm2;
    pare__norm_w q_norm, k_norm;  /* [dim], or [head_dim]; w NULL = none */
    pare__linear qkv;             /* [3 dim, dim] */
    pare__linear proj;            /* [dim, dim] */
    pare__linear fc1;             /* [mlp_dim or 2 mlp_dim, dim] */
    pare__linear fc2;             /* [dim, mlp_dim] */
    const float *scale1, *scale2; /* [dim] layer scale, or NULL */
} pare__block_w;

typedef struct pare__weights {
    pare__linear patch;     /* [dim, 3 temporal patch patch], input order channel, frame, row, col */
    const float *cls;       /* [dim] */
    const float *registers; /* [n_register, dim] */
    const float *pos;       /* [prefix rows + steps*pos_rows*pos_cols, dim], or NULL */
    pare__norm_w pre_norm, norm, fc_norm;
    pare__linear pooler, head, head2; /* head2: of the first register (TEACHER) */
    pare__linear embed;               /* [n_embed, dim] of what is pooled */
    pare__probe_w probe;
    pare__projector_w projector;
    pare__projector_w deepstack[PARE__MAX_DEEPSTACK];
    const float *newline; /* [d_out] or NULL */
    pare__block_w *block; /* [n_layer] */
} pare__weights;

struct pare_model {
    const struct pare__family *family;
    char *name, *path;
    char *missing; /* what the checkpoint lacks and what of it is not read, for people; "" if nothing */
    pare__hparams hp;
    pare__prep_rule prep;
    pare__weights w;
    char **label; /* [hp.n_class] or NULL */
    int64_t n_params;
    struct pare__store *store; /* owner of the weight memory and mappings */
    struct pare__cache *cache; /* what encoders make of the weights and share, goes before them */
};

/* File name of the model that ships with pare. */
#define PARE__DEFAULT_MODEL "dinov2-small-q8_0.gguf"

/* The work behind pare_model_default_path: the compiled-in data directory, then the sources; NULL if neither has it. */
const char *pare__model_default_path(void);
/* The work behind pare_model_open/close. */
int pare__model_load(pare_model **out, const char *path, pare_error *err);
void pare__model_free(pare_model **m);
/* The weights w of a layer will be read until pare__model_unneed is called as often. Weights that nobody asked for by this
 * are there as well, until the last of those who did does not need them. Any thread. */
void pare__model_need(const pare_model *m, const float *w);
/* w [n] were copied elsewhere: they leave memory. Those that lie in a file come back when read; those made from a file do
 * with pare__model_need only, and stay where it never was called. Any thread. */
void pare__model_unneed(const pare_model *m, const float *w, int64_t n);

#endif
