/* SPDX-License-Identifier: MIT */
/* Captured features: what recipes at the output would read of a window, kept in its result, so that one encoding serves
 * many reductions through pare_reduce_tokens. */
#ifndef PARE_REDUCE_KEPT_H
#define PARE_REDUCE_KEPT_H

#include "reduce/plan.h"
#include "reduce/result.h"

typedef struct pare__kept {
    int32_t is_on;
    int32_t has_pixels; /* an allocator weighs pictures */
} pare__kept;

/* Plans the recipes that the options capture and adds what they read to `plan`, whose own recipe must remove nothing.
 * Errors: INVALID, UNSUPPORTED, LIMIT. */
int pare__kept_plan(pare__kept *kept, const pare_model *model, const pare_reducer_opts *opts, pare__plan *plan,
                    pare_error *err);

/* A window as it left the encoder: before frames are pooled, before steps at the output. */
typedef struct pare__kept_window {
    const pare__kept *kept;
    const pare__context *ctx; /* slots, mask, given scores, text */
    const pare__rows *rows;   /* [rows, d] all that no mask ignores */
    const pare__pixels *px;
} pare__kept_window;

/* Copies of them: one block with names and data. */
typedef struct pare__kept_features {
    pare_tensor *t; /* [n] or NULL */
    int32_t n;
} pare__kept_features;

/* Copies the features, if any recipe is captured. 0 or NOMEM. */
int pare__kept_take(const pare__kept_window *w, pare__kept_features *out);
/* Hands them over to the result. */
void pare__kept_give(pare__kept_features *from, pare_result *result);
void pare__kept_drop(pare__kept_features *from);

#endif
