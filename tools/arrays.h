/* SPDX-License-Identifier: MIT */
/* The named arrays of a .safetensors or .npz file in memory, aligned and in the types that pare_reduce_tokens takes. */
#ifndef PARE_TOOLS_ARRAYS_H
#define PARE_TOOLS_ARRAYS_H

#include "session.h"

typedef struct cli_arrays {
    pare_tensor *t; /* [n of cap] names and data owned */
    int32_t n, cap;
} cli_arrays;

/* Floats become f32, integers stay what they are. Exit codes. cli_arrays_free accepts a zeroed or half-built one. */
int cli_arrays_read(cli_common *c, const char *path, cli_arrays *out);
void cli_arrays_free(cli_arrays *a);

#endif
