/* SPDX-License-Identifier: MIT */
/* Progress on stderr: a bar with rate and remaining time on a terminal, JSON lines on request, else nothing. */
#ifndef PARE_TOOLS_PROGRESS_H
#define PARE_TOOLS_PROGRESS_H

#include <stdint.h>

enum { CLI_PROGRESS_AUTO, CLI_PROGRESS_BAR, CLI_PROGRESS_JSON, CLI_PROGRESS_NONE };

typedef struct cli_progress {
    int mode;         /* AUTO is resolved by begin */
    int colour;       /* stderr is a terminal and NO_COLOR is unset */
    const char *unit; /* "frames" */
    int64_t total;    /* 0 = unknown */
    int64_t done;
    double began, shown; /* seconds, monotonic */
    int drawn;           /* a bar stands on the current line */
} cli_progress;

double cli_now(void); /* seconds, monotonic */

void cli_progress_begin(cli_progress *p, int mode, const char *unit, int64_t total);
void cli_progress_step(cli_progress *p, int64_t done);
void cli_progress_clear(cli_progress *p); /* takes the bar away so that a line can be printed */
void cli_progress_end(cli_progress *p);

#endif
