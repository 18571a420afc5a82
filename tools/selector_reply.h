/* SPDX-License-Identifier: MIT */
/* The reply of a selector program: its JSON line, and the rows that its data mean. */
#ifndef PARE_TOOLS_SELECTOR_REPLY_H
#define PARE_TOOLS_SELECTOR_REPLY_H

#include <pare/pare.h>

enum { CLI_MAX_REPLY_LINE = 1 << 20 }; /* bytes; a list of indices may stand in it */

typedef enum { CLI_REPLY_INDICES, CLI_REPLY_WEIGHTS, CLI_REPLY_SCORES } cli_reply_kind;

typedef struct cli_reply {
    cli_reply_kind kind;
    int64_t rows;    /* indices, weights: rows left; scores: n */
    int64_t n_bytes; /* of the data that follow the line */
    int32_t *list;   /* [rows] indices that stood in the line itself, or NULL */
} cli_reply;

/* `who` begins the messages; cli_reply_fini() releases `out` on success. Errors: FORMAT, LIMIT (size), NOMEM. */
int cli_reply_parse(const char *who, const char *line, size_t n, const pare_custom_view *view, cli_reply *out,
                    pare_error *err);
/* Makes the rows; `data` [n_bytes] need not be aligned. Errors: FORMAT (names the row and its value), NOMEM. */
int cli_reply_apply(const char *who, const cli_reply *reply, const uint8_t *data, const pare_custom_view *view,
                    pare_selection *out, pare_error *err);

void cli_reply_fini(cli_reply *reply);

#endif
