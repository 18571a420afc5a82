/* SPDX-License-Identifier: MIT */
/* A folder of files that appears whole or not at all: files go into a temporary folder beside it, which then takes its
 * name. Functions that return `int` return an exit code and have said on stderr what went wrong. */
#ifndef PARE_TOOLS_KEY_FOLDER_H
#define PARE_TOOLS_KEY_FOLDER_H

#include "session.h"

#define CLI_MANIFEST "prompt.json" /* the last file that is written; what tells our folders from others */

typedef struct cli_folder {
    char *path, *tmp; /* without a slash at the end */
} cli_folder;

/* Refuses a target that is no folder, or a folder that holds anything but what this command writes. */
int cli_folder_open(cli_common *c, const char *path, cli_folder *f);
/* PATH/NAME in the temporary folder; NULL when memory is short. The caller frees. */
char *cli_folder_file(const cli_folder *f, const char *name);
/* Puts it in place; an older one is replaced at one stroke and then removed. */
int cli_folder_commit(cli_common *c, cli_folder *f);
/* Removes what was not committed; fine after commit and on a zeroed struct. */
void cli_folder_close(cli_folder *f);

#endif
