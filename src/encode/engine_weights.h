/* SPDX-License-Identifier: MIT */
/* The weights of a model prepared for an engine: made once for all encoders, kept by the model. Layers that touch pixels
 * or hand over to the language model (patches, projectors) stay f32: they are a few per cent of the work and the ones whose
 * error everything else inherits. */
#ifndef PARE_ENCODE_ENGINE_WEIGHTS_H
#define PARE_ENCODE_ENGINE_WEIGHTS_H

#include "core/pool.h"
#include "encode/engine.h"
#include "model/model.h"

/* A norm as its layer's engine wants it: the model's, or one that shares its scales with the layer (balance.h). */
typedef struct pare__engine_norm {
    pare__norm_w w;
    float *memory; /* NULL: the model's */
} pare__engine_norm;

typedef struct pare__engine_block {
    pare__prepared qkv, proj, fc1, fc2;
    pare__engine_norm norm1, norm2;
} pare__engine_block;

typedef struct pare__engine_weights {
    const pare__engine *engine, *wide; /* of the blocks; of the others */
    pare__prepared patch;
    pare__prepared projector[PARE__MAX_DEEPSTACK + 1][2]; /* fc1, fc2: of the output, then of the deepstack taps */
    pare__engine_block *block;                            /* [n_block] */
    int32_t n_block;
} pare__engine_weights;

/* Blocks that are run for the output. */
static inline int32_t pare__blocks_run(const pare__hparams *hp) { return hp->tap ? hp->tap : hp->n_layer; }

/* Of the first n_block blocks. Lives as long as the model, or is the caller's to free, then *own is set too: of a model
 * without a cache, or with other blocks than those of the output (hp.tap). `pool` may be NULL. Errors: NOMEM, EXTERNAL. */
int pare__engine_weights_get(const pare_model *m, const pare__engine *engine, int32_t n_block, pare__pool *pool,
                             const pare__engine_weights **out, pare__engine_weights **own, pare_error *err);
void pare__engine_weights_free(pare__engine_weights **weights);

#endif
