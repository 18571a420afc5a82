/* SPDX-License-Identifier: MIT */
/* Checkpoints made on the spot: a few random weights under the names of a real family, written to a temporary directory,
 * opened and deleted. Small enough to run hundreds of times. */
#ifndef PARE_TESTS_TINY_MODEL_H
#define PARE_TESTS_TINY_MODEL_H

#include <pare/pare.h>

typedef struct tiny_spec {
    int32_t unit; /* 1: a DINOv2 (CLS, LayerNorm, learned positions); 2: a Qwen2.5-VL tower (RoPE, windows, pairs of
                   * frames, 2x2 merger) */
    int32_t patch, dim, n_layer, n_head;
    int32_t shortest, photo; /* unit 1: photos get this shortest side, then a centre crop of photo x photo pixels;
                              * shortest 0: resized to photo x photo */
    int32_t is_plain;        /* blocks add nothing and positions are zero: a token depends on its own pixels only */
    int32_t no_position;     /* positions are zero: tokens of equal pixels are equal (unit 1) */
} tiny_spec;

int tiny_model_open(pare_model **out, const tiny_spec *spec, pare_error *err);

#endif
