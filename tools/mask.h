/* SPDX-License-Identifier: MIT */
/* --mask FILE: must-keep and ignore masks. A picture (white = keep, black = ignore, every other colour is free), a printf
 * pattern of numbered pictures, one per sampled frame, or npy: u8 [H,W] or [T,H,W] likewise, bool (true = keep, false =
 * free). [H,W] and a single picture hold for every frame. */
#ifndef PARE_TOOLS_MASK_H
#define PARE_TOOLS_MASK_H

#include <pare/pare.h>

typedef struct cli_mask cli_mask;

/* `path` must outlive the mask. `hold`: the masks of all frames of an input stay until the next begin; else only the
 * last one. Errors: IO, FORMAT, INVALID, LIMIT, NOMEM; the text names the file. */
int cli_mask_open(cli_mask **out, const char *path, int hold, pare_error *err);
/* Another input: frame 0 is next. */
int cli_mask_begin(cli_mask *m, pare_error *err);
/* Sets the mask of the next frame. Errors: INVALID (more frames than masks). */
int cli_mask_next(cli_mask *m, pare_frame *frame, pare_error *err);
/* After the last frame: errors INVALID when there are masks left. */
int cli_mask_end(cli_mask *m, pare_error *err);
void cli_mask_close(cli_mask **m);

#endif
