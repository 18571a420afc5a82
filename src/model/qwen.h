/* SPDX-License-Identifier: MIT */
/* What the vision towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL have in common, as published (safetensors) and as llama.cpp's
 * mmproj (GGUF architecture "clip"): blocks with biases that turn queries and keys by row and column, pairs of frames, a
 * merger that joins 2x2 patches into one token of the language model, sizes by area, M-RoPE behind it. */
#ifndef PARE_MODEL_QWEN_H
#define PARE_MODEL_QWEN_H

#include "model/family.h"

/* Files of the hub, those that transformers 5 saves, and GGUF, whose names need none. */
extern const char *const pare__qwen_prefixes[];
#define PARE__QWEN_PROBE "patch_embed.proj.weight|v.patch_embd.weight"

/* One of the model types (ends with NULL), or a GGUF file with this projector. */
int pare__qwen_matches(const pare__config *c, const char *const *types, const char *projector);
/* As pare__config_int of the config. */
int32_t pare__qwen_int(pare__config *c, const char *key, int32_t def, int32_t min, int32_t max);
/* Everything they share; hp->dim must be there. depth, patch: where the config does not say. */
void pare__qwen_tower(pare__config *c, pare__hparams *hp, int32_t depth, int32_t patch);
/* What the processors of Qwen2-VL and Qwen2.5-VL take for absent keys. */
extern const pare__prep_rule pare__qwen_photos;
/* Pictures and clips; `rule` comes with the defaults of pictures. */
void pare__qwen_prep(pare__config *c, const pare__hparams *hp, pare__prep_rule *rule);

#endif
