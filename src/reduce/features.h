/* SPDX-License-Identifier: MIT */
/* The named arrays that a caller hands to pare_reduce_tokens, read and checked: a window without an encoder. */
#ifndef PARE_REDUCE_FEATURES_H
#define PARE_REDUCE_FEATURES_H

#include "reduce/recipe.h"
#include "reduce/window.h"

typedef struct pare__features {
    const pare__recipe *recipe; /* borrowed: what no step of it reads is checked and left where it is */
    pare__rows rows;            /* tokens in x, the other arrays beside it; layers as named, or PARE__LAYER_ANY */
    pare_slot *slot;            /* [n_slot] */
    int32_t n_slot, n_head;
    int32_t n_layer;          /* 0 = unknown: layers are names */
    int32_t n_run;            /* of them: n_layer, or fewer */
    int32_t clip_pool;        /* as pare__context.clip_pool */
    int32_t per_picture;      /* slots of a picture: 1, or its tiles and, mostly, the whole */
    int32_t n_prefix, no_cls; /* as pare__context */
    int32_t grid_h, grid_w;   /* the largest */
    pare__pixels px;          /* frame NULL = none */
    const uint8_t **frame;
    float *x_prefix; /* [n_slot, n_prefix, d] or NULL */
    float *given;    /* [n] or NULL */
    uint8_t *mask;   /* [n] or NULL */
    float *text;     /* [n_text, d_text] or NULL */
    int32_t n_text, d_text;
} pare__features;

/* Errors: INVALID (the text names the array and both numbers), LIMIT, NOMEM; `f` is to be released either way. */
int pare__features_read(pare__features *f, const pare__recipe *recipe, const pare_tensor *arrays, int32_t n_arrays,
                        pare_error *err);
void pare__features_fini(pare__features *f);

/* features_slots.c: f->slot and what follows from the slots, n units in all. thw, tiles: NULL = not given. Errors: INVALID,
 * LIMIT, NOMEM. */
int pare__features_slots(pare__features *f, const pare_tensor *thw, const pare_tensor *tiles, int64_t n,
                         pare_error *err);
/* features_slots.c: *out = the only value of t, 1..max; untouched if t is NULL. Errors: INVALID. */
int pare__features_number(const pare_tensor *t, int32_t max, int32_t *out, pare_error *err);

#endif
