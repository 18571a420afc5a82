/* SPDX-License-Identifier: MIT */
/* Read access to the members of an uncompressed tar archive (ustar, GNU long names, pax paths), memory-mapped. */
#ifndef PARE_TOOLS_TAR_H
#define PARE_TOOLS_TAR_H

#include <stddef.h>
#include <stdint.h>

typedef struct cli_member {
    char *name;
    int64_t offset, size; /* bytes in the archive */
} cli_member;

typedef struct cli_tar {
    const uint8_t *data; /* [size] mapped */
    int64_t size;
    cli_member *member; /* [n] regular files, ascending by name */
    int32_t n, cap;
} cli_tar;

/* 0, or -1 with a reason in `why`. cli_tar_close accepts a zeroed or half-built one. */
int cli_tar_open(cli_tar *t, const char *path, char *why, size_t size);
void cli_tar_close(cli_tar *t);
const cli_member *cli_tar_find(const cli_tar *t, const char *name);

#endif
