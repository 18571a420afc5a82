/* SPDX-License-Identifier: MIT */
/* --map FILE.safetensors: a reduction that the user has decided beforehand, as a selector. The file holds one of
 *
 *     map.row_start i64 [K+1], map.index [nnz], map.weight f32 [nnz], map.anchor [K], map.gain f32 [K],
 *     map.member_start [K+1], map.member   as result files do; weight (1 / columns), anchor (largest weight), gain (1) and
 *                          members (the columns) may be missing
 *     R f32 [K,N]          dense; a row sums to 1
 *     keep i32|i64 [K]     units that stay as they are
 *
 * Columns and members are numbers of units in the clip, as in the tensor `index` of result files. */
#ifndef PARE_TOOLS_MAP_FILE_H
#define PARE_TOOLS_MAP_FILE_H

#include <pare/pare.h>

typedef struct cli_map cli_map;

/* `path` must outlive the map. Errors: IO, FORMAT, INVALID (rows that are none: the text names the row), LIMIT, NOMEM. */
int cli_map_open(cli_map **out, const char *path, pare_error *err);
/* Another input: no row has been used yet. */
void cli_map_begin(cli_map *m);
/* pare_custom.select; user = cli_map. Leaves the rows whose units lie in the view. Errors: INVALID (a row that reaches
 * out of the view; units beyond a dense R; another count than asked). */
int cli_map_select(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err);
/* After the last view: was every row used? Errors: INVALID, naming the first that was not. */
int cli_map_end(const cli_map *m, pare_error *err);
void cli_map_close(cli_map **m);

#endif
