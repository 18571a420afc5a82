/* SPDX-License-Identifier: MIT */
/* A writer publishes the results of one input as one file. One file + one line in writers.c. All formats share the
 * spool (spool.h): tensors grow in unlinked temporary files beside the target, so memory does not grow with the clip. */
#ifndef PARE_WRITE_WRITER_H
#define PARE_WRITE_WRITER_H

#include <pare/pare.h>

#include "write/spool.h"

typedef struct pare__writer_format {
    const char *name, *suffix, *summary;
    /* Writes the finished spool to an open descriptor of the temporary target. */
    int (*publish)(const pare__spool *spool, int fd, const char *path, pare_error *err);
} pare__writer_format;

extern const pare__writer_format *const pare__writer_formats[]; /* ends with NULL */
const pare__writer_format *pare__writer_format_find(const char *name, const char *path);

#endif
