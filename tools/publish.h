/* SPDX-License-Identifier: MIT */
/* Files that the command writes: checked before any work is done, published whole or not at all. */
#ifndef PARE_TOOLS_PUBLISH_H
#define PARE_TOOLS_PUBLISH_H

#include <stddef.h>

#include "session.h"

/* Refuses an output (NULL = none, "-" = standard output) that is an input or the model, that shares standard output with
 * --json, or whose directory cannot be written. Exit codes. */
int cli_output_check(cli_common *c, const char *path, const cli_list *inputs);
int cli_is_stdout(const char *path);
/* A folder, or a name that ends in a slash. */
int cli_is_folder(const char *path);

/* Writes the text: "-" to standard output, what exists but is no regular file in place, everything else under a
 * temporary name beside the target that is then renamed (links followed, permissions kept). Exit codes. */
int cli_publish(cli_common *c, const char *path, const char *text, size_t size);

#endif
