/* SPDX-License-Identifier: MIT */
/* A file appears whole or not at all: temporary name in the same directory, fsync, rename, fsync of the directory. */
#ifndef PARE_WRITE_ATOMIC_H
#define PARE_WRITE_ATOMIC_H

#include <pare/pare.h>

typedef struct pare__atomic {
    int fd;         /* -1 when closed */
    char *tmp, *path;
} pare__atomic;

int pare__atomic_open(pare__atomic *a, const char *path, pare_error *err);
int pare__atomic_write(pare__atomic *a, const void *data, size_t n, pare_error *err);
int pare__atomic_commit(pare__atomic *a, pare_error *err);
void pare__atomic_abort(pare__atomic *a); /* removes the temporary file; fine after commit or on a zeroed struct */

#endif
