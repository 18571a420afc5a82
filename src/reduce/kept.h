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

/* A finished window as it left the encoder. */
typedef struct pare__kept_window {
    const pare__kept *kept;
    const pare__context *ctx; /* slots, mask, given scores, text */
    const pare__rows *rows;   /* [rows, d] all that no mask ignores */
    const pare__pixels *px;
} pare__kept_window;

/* Copies the features into the result. 0 or NOMEM. */
int pare__kept_make(pare_result *result, const pare__kept_window *w);

#endif
