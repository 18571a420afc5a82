/* SPDX-License-Identifier: MIT */
/* Recipes on features that the caller already has: no encoder, one window. */
#ifndef PARE_REDUCE_TOKENS_H
#define PARE_REDUCE_TOKENS_H

#include <pare/pare.h>

int pare__reduce_tokens(const pare_tensor *arrays, int32_t n_arrays, const pare_reducer_opts *opts, pare_result **out,
                        pare_error *err);

#endif
