/* SPDX-License-Identifier: MIT */
/* A file appears whole or not at all: a file without a name in the same directory, fsync, a temporary name, rename, fsync of
 * the directory. A process that is killed before it has finished leaves nothing; between the last two steps, or on file
 * systems that know no files without names (NFS, FAT), a .pare-PID-I.tmp, which nobody needs any more.
 * "-" is standard output, and what exists but is no regular file (a device, a pipe) is written in place: both cannot be
 * renamed over. */
#ifndef PARE_WRITE_ATOMIC_H
#define PARE_WRITE_ATOMIC_H

#include <pare/pare.h>

typedef struct pare__atomic {
    int fd;         /* -1 when closed */
    int is_unnamed; /* exists as a descriptor only */
    char *tmp;      /* NULL when it has no name or is written in place */
    char *path;     /* where the file goes; links resolved */
} pare__atomic;

int pare__atomic_open(pare__atomic *a, const char *path, pare_error *err);
int pare__atomic_write(pare__atomic *a, const void *data, size_t n, pare_error *err);
int pare__atomic_commit(pare__atomic *a, pare_error *err);
void pare__atomic_abort(pare__atomic *a); /* removes the temporary file; fine after commit or on a zeroed struct */

/* All n bytes to `fd`, whatever it takes. `path` only names it in the message. */
int pare__fd_write(int fd, const void *data, size_t n, const char *path, pare_error *err);
/* 1 if `path` is written in place. */
int pare__path_in_place(const char *path);
/* Directory of `path`, "." if it names none; owned by the caller, NULL when memory is short. */
char *pare__path_dir(const char *path);
/* Opens a new file `dir`/.pare-PID-I.tmp and hands its name (owned by the caller) over. The descriptor, or -1 and errno. */
int pare__open_temporary(const char *dir, char **name);

#endif
