/* SPDX-License-Identifier: MIT */
/* What the families of language models behind a CLIP or SigLIP tower share (LLaVA, LLaVA-OneVision, Idefics3, Gemma 3), and such towers alone:
 * the tower's names and numbers, the layer it is tapped at, a projector of two layers, anyres grids. Tables and readers;
 * each family is its own data still.
 * Source: transformers' configuration_{clip,siglip,idefics3,smolvlm,llava*}.py; llama.cpp's mmproj keys. */
#ifndef PARE_MODEL_TOWER_H
#define PARE_MODEL_TOWER_H

#include "model/family.h"

#define PARE__TOWER_HAS(field) offsetof(pare__hparams, field)
#define PARE__TOWER_MODEL(field) .offset = offsetof(pare__weights, field)

/* Rows of pare__family.model: everything before and behind the blocks. post_layernorm where the tap is behind it. */
#define PARE__TOWER_ROWS                                                                                               \
    {PARE__TOWER_MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embedding|v.patch_embd", "DCPP",                   \
     .bias = PARE__TOWER_HAS(has_patch_bias)},                                                                         \
        {PARE__TOWER_MODEL(cls), PARE__ROLE_ARRAY, "embeddings.class_embedding|v.class_embd", "D",                     \
         PARE__TOWER_HAS(has_cls)},                                                                                    \
        {PARE__TOWER_MODEL(pos), PARE__ROLE_ARRAY, "embeddings.position_embedding.weight|v.position_embd.weight",      \
         "ND"},                                                                                                        \
        {PARE__TOWER_MODEL(pre_norm), PARE__ROLE_NORM, "pre_layrnorm|v.pre_ln", "D", PARE__TOWER_HAS(has_pre_norm)},   \
    {                                                                                                                  \
        PARE__TOWER_MODEL(norm), PARE__ROLE_NORM, "post_layernorm|v.post_ln", "D", PARE__TOWER_HAS(has_norm)           \
    }

/* pare__family.block of all of them. hp.form[1]: files whose ffn_down is fc1 (old LLaVA GGUF). */
extern const pare__binding pare__tower_blocks[];

/* Tensors of the files, as pare__family.settle gets them. */
typedef struct pare__tower_files {
    const pare_tensor *(*find)(void *files, const char *name);
    void *files;
} pare__tower_files;

/* A tower that may stand alone (vision_config, or the keys themselves) -> dims, eps, activation; the others are what its class
 * takes for absent keys. */
void pare__tower_alone(pare__config *c, pare__hparams *hp, int32_t patch, double eps, pare__act act);
/* Side of the square picture that such a tower was made for. */
int32_t pare__tower_side(pare__config *c);

/* vision_config, or what a GGUF file has for it -> dims, kinds, parts; in `prep` the default rule: stretched to the tower's
 * size, bicubic, mean and deviation .5 (CLIP's own of a CLIP tower). `type`: the vision_config.model_type of configs that
 * name none. form[0] is set, tap is the last block. */
void pare__tower_read(pare__config *c, const char *type, pare__hparams *hp, pare__prep_rule *prep);
/* vision_feature_layer: 0 is what enters block 0, negative counts from the end. GGUF files without it run all blocks. */
void pare__tower_tap(pare__config *c, pare__hparams *hp, int32_t def);
/* vision_feature_select_strategy must drop the CLS token and nothing else. */
void pare__tower_select(pare__config *c, const pare__hparams *hp, const char *def);
/* Width of the language model. */
int32_t pare__tower_text_width(pare__config *c);
/* Two linear layers with a GELU between them, as wide as the language model. */
void pare__tower_project(pare__config *c, pare__hparams *hp);
/* image_grid_pinpoints over prep's tile size, else the defaults already in `prep`. */
void pare__tower_pinpoints(pare__config *c, pare__prep_rule *prep);
/* The shortest side and the crop of a processor that in truth stretches: to the crop's size. */
void pare__tower_stretch(pare__prep_rule *prep);

/* d_out and proj_dim where the configuration does not say the language model's width: axis of the first of these tensors
 * that is there (names ends with NULL). */
void pare__tower_settle_width(pare__config *c, pare__hparams *hp, const pare__tower_files *f, const char *const *names,
                              int axis);

#endif
