/* SPDX-License-Identifier: MIT */
/* What the files with public functions share: structs of the caller's size, read and filled. */
#ifndef PARE_API_H
#define PARE_API_H

#include <stddef.h>

#include <pare/pare.h>

/* The caller's options as this library knows them, with what they point to. `custom` receives theirs. */
int pare__take_reducer_opts(pare_reducer_opts *own, pare_custom *custom, const pare_reducer_opts *opts,
                            const char *function, pare_error *err);
int pare__no_argument(const char *function, const char *argument, pare_error *err);
/* Copies the part of a caller's struct that both sides know over zeroed defaults. A newer caller's unknown tail must be
 * zero. */
int pare__take_struct(void *own, size_t own_size, const void *given, const char *function, pare_error *err);
/* A frame as this library knows it, checked. Errors: INVALID, UNSUPPORTED. */
int pare__take_frame(pare_frame *own, const pare_frame *f, const char *function, pare_error *err);
/* Copies a filled struct out as far as the caller's struct goes. */
int pare__give_struct(void *to, const void *own, size_t own_size, const char *function, pare_error *err);

#endif
