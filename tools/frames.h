/* SPDX-License-Identifier: MIT */
/* All sampled frames of one input, copied and held together (trace, bench). */
#ifndef PARE_TOOLS_FRAMES_H
#define PARE_TOOLS_FRAMES_H

#include "input.h"

/* Pixels of all frames may take this much. */
#define CLI_MAX_FRAME_BYTES ((int64_t)4 << 30)

typedef struct cli_frames {
    pare_frame *item; /* [n] rgb owned, dense */
    int32_t n, cap;
    int64_t bytes;
} cli_frames;

/* Appends the frames of `path`; exit codes. `info` describes the source afterwards. */
int cli_frames_read(cli_common *c, const cli_pick *pick, const char *path, cli_frames *out, pare_source_info *info);
/* Forgets the frames. */
void cli_frames_free(cli_frames *f);

#endif
