/* SPDX-License-Identifier: MIT */
/* Arrays of numpy: one .npy file, or the members of an .npz archive once their bytes are here. */
#ifndef PARE_TOOLS_NPY_H
#define PARE_TOOLS_NPY_H

#include <pare/pare.h>

typedef struct cli_npy {
    pare_tensor t;  /* name borrowed from the caller, data within bytes */
    uint8_t *bytes; /* owned, or NULL */
} cli_npy;

/* Reads a whole file. `path` must outlive the array. Errors: IO, FORMAT, UNSUPPORTED (Fortran order, big-endian and
 * structured types), LIMIT; the text names the file. */
int cli_npy_read(const char *path, cli_npy *out, pare_error *err);
void cli_npy_free(cli_npy *a);

/* The array in bytes [size], header included; `out` points into them. `name` stands in messages and in the tensor. */
int cli_npy_parse(const char *name, const uint8_t *bytes, int64_t size, pare_tensor *out, pare_error *err);

/* "[4,16,16]" */
const char *cli_shape_text(const pare_tensor *t, char *out, size_t size);

#endif
