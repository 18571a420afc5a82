/* SPDX-License-Identifier: MIT */
/* What an .npz archive holds: the names, types and shapes of its arrays and the member metadata.json; or the arrays. */
#ifndef PARE_TOOLS_NPZ_H
#define PARE_TOOLS_NPZ_H

#include <jansson.h>
#include <pare/pare.h>
#include <stddef.h>

/* Walks the members of a regular file. `meta`: the object of metadata.json (owned by the caller), NULL without one;
 * `tensors` gets "name": "f4 [3,2]". 0, or -1 and `why`. Nothing is decompressed: members must be stored. */
int cli_npz_read(const char *path, json_t **meta, json_t *tensors, char *why, size_t size);

/* Calls fn with the name (without .npy) and the bytes of every array, borrowed for the call, until it fails. Errors: IO,
 * FORMAT, UNSUPPORTED (compressed), NOMEM, and those of fn. */
typedef int (*cli_npz_fn)(void *user, const char *name, const uint8_t *bytes, int64_t size, pare_error *err);
int cli_npz_each(const char *path, cli_npz_fn fn, void *user, pare_error *err);

#endif
