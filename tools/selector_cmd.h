/* SPDX-License-Identifier: MIT */
/* --selector-cmd: a program of the user's as a selector. For every view it gets on stdin one JSON line
 *
 *     {"pare":1,"site":"output","block":-1,"n":256,"k":64,"seed":0,"grid":[1,16,16],"arrays":[
 *      {"name":"place","dtype":"i32","shape":[256,3]},{"name":"index","dtype":"i64","shape":[256]},
 *      {"name":"slots","dtype":"i32","shape":[1,7]},{"name":"sizes","dtype":"f32","shape":[256]}, ...]}
 *
 * and then these arrays, raw, dense, little-endian, in that order; place = (slot, row, col), index = number of the unit in
 * the clip, slots = (medium, tile, t, tile rows, tile columns, grid rows, grid columns), k = -1: as many as it likes.
 * What needs= asks for follows; pixels u8 [pictures,H,W,3] come last. It answers on stdout with one JSON line and data:
 *
 *     {"indices":K}      K i32: the rows that stay; or no data and [row,row,...] instead of K, or as the whole line
 *     {"weights":[K,n]}  K x n f32: merged rows, each sums to 1; the largest weight's place is inherited
 *     {"scores":n}       n f32: the k best stay, ties to the lower index
 *
 * It may answer request after request until its stdin ends, or exit after each answer: then it is started again. */
#ifndef PARE_TOOLS_SELECTOR_CMD_H
#define PARE_TOOLS_SELECTOR_CMD_H

#include <pare/pare.h>

typedef struct cli_selector cli_selector;

/* Nothing is started yet. `command` is borrowed; `stop` (may be NULL): once set, an open request has 2 s left. */
int cli_selector_open(cli_selector **out, const char *command, double timeout_s, const volatile int *stop,
                      pare_error *err);
/* pare_custom.select; user = cli_selector. Errors: IO (cannot start, exit, time-out), FORMAT (its reply), LIMIT, NOMEM.
 * After an error the program is gone. */
int cli_selector_select(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err);
/* Ends its stdin, waits 2 s for its exit, then kills it; always reaps. 0, or IO when it did not exit with status 0. */
int cli_selector_close(cli_selector **s, pare_error *err);

#endif
