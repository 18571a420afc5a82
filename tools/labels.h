/* SPDX-License-Identifier: MIT */
/* Labelled photos: a CSV (paths relative to it), a folder (class = subfolder), or a .tar that holds one of them. Nothing
 * is extracted to disk: a member of an archive is handed on through an anonymous file. */
#ifndef PARE_TOOLS_LABELS_H
#define PARE_TOOLS_LABELS_H

#include "session.h"
#include "tar.h"

typedef struct cli_photo {
    char *path, *label;       /* owned; label "" = none */
    const cli_member *member; /* of the archive, or NULL */
    int32_t class_index;      /* after bind; -1 = unknown to the model */
} cli_photo;

typedef struct cli_photos {
    cli_photo *item; /* [n] */
    int32_t n, cap;
    cli_tar tar;
    int memfd; /* -1 = not opened */
} cli_photos;

/* Zero is no valid value: start with CLI_NO_PHOTOS. `column` names the label column of a CSV; NULL = the first after
 * the path. Exit codes; complaints on stderr. */
#define CLI_NO_PHOTOS ((cli_photos){.memfd = -1})
int cli_photos_open(cli_common *c, const char *path, const char *column, cli_photos *out);
void cli_photos_close(cli_photos *p);
/* Adds one photo; takes copies. 0 or -1. */
int cli_photos_add(cli_photos *p, const char *path, const char *label, const cli_member *member);
/* Keeps every n-th photo, then at most `limit` (0 = all). */
void cli_photos_thin(cli_photos *p, int64_t every, int64_t limit);
/* Labels to classes of the model: indices if all are whole numbers, else names. */
int cli_photos_bind(cli_common *c, cli_photos *p, const pare_model *model, int32_t n_class);
/* A path under which photo i can be opened now; valid until the next call. NULL on failure. */
const char *cli_photos_path(cli_photos *p, int32_t i, char *buffer, size_t size);

#endif
