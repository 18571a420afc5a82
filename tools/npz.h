/* SPDX-License-Identifier: MIT */
/* What an .npz archive holds: the names, types and shapes of its arrays and the member metadata.json. */
#ifndef PARE_TOOLS_NPZ_H
#define PARE_TOOLS_NPZ_H

#include <jansson.h>
#include <stddef.h>

/* Walks the members of a regular file. `meta`: the object of metadata.json (owned by the caller), NULL without one;
 * `tensors` gets "name": "f4 [3,2]". 0, or -1 and `why`. Nothing is decompressed: members must be stored. */
int cli_npz_read(const char *path, json_t **meta, json_t *tensors, char *why, size_t size);

#endif
