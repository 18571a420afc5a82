/* SPDX-License-Identifier: MIT */
/* Frames of an input in memory (frames.h). */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

static int reserve(cli_frames *f)
{
    if (f->n < f->cap) return 0;
    int32_t cap = f->cap > 0 ? 2 * f->cap : 16;
    pare_frame *grown = realloc(f->item, (size_t)cap * sizeof *grown);
    if (grown == NULL) return -1;
    f->item = grown;
    f->cap = cap;
    return 0;
}

static int append(cli_common *c, cli_frames *f, const pare_frame *frame, const char *path)
{
    size_t row = (size_t)frame->width * 3, bytes = row * (size_t)frame->height;
    if (f->bytes + (int64_t)bytes > CLI_MAX_FRAME_BYTES) {
        cli_say(c, "%s: frame %d exceeds the limit of %lld MB for frames held together", path, f->n + 1,
                (long long)(CLI_MAX_FRAME_BYTES >> 20));
        return CLI_FAILED;
    }
    uint8_t *rgb = reserve(f) == 0 ? malloc(bytes) : NULL;
    if (rgb == NULL) {
        cli_say(c, "%s: out of memory for frame %d", path, f->n + 1);
        return CLI_FAILED;
    }
    for (int32_t y = 0; y < frame->height; y++) memcpy(rgb + (size_t)y * row, frame->rgb + y * frame->stride, row);
    pare_frame *copy = &f->item[f->n++];
    *copy = *frame;
    copy->rgb = rgb;
    copy->stride = (int64_t)row;
    f->bytes += (int64_t)bytes;
    return CLI_OK;
}

int cli_frames_read(cli_common *c, const cli_pick *pick, const char *path, cli_frames *out, pare_source_info *info)
{
    pare_source *source = NULL;
    pare_error err = {0};
    pare_frame frame = {.struct_size = sizeof frame};
    cli_pick whole = *pick;
    whole.read_ahead = CLI_READ_AHEAD;
    int got = 0, rc = cli_source_open(c, &whole, path, &source, info);
    while (rc == CLI_OK && (got = pare_source_read(source, &frame, &err)) == 0) rc = append(c, out, &frame, path);
    if (rc == CLI_OK && *cli_stop_flag()) rc = CLI_STOPPED;
    if (rc == CLI_OK && got < 0) rc = cli_fail_read(c, &err);
    pare_source_close(&source);
    return rc;
}

void cli_frames_free(cli_frames *f)
{
    for (int32_t i = 0; i < f->n; i++) free((void *)(uintptr_t)f->item[i].rgb);
    free(f->item);
    *f = (cli_frames){0};
}
