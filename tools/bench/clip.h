/* SPDX-License-Identifier: MIT */
/* A clip of task clips: how many frames it will give, where they lie in the source, and which boxes belong to them. */
#ifndef PARE_TOOLS_BENCH_CLIP_H
#define PARE_TOOLS_BENCH_CLIP_H

#include "boxes.h"
#include "task.h"

/* Frames of an item: of 100 frames twenty draws, fewer could never pass Holm's correction. */
enum { BENCH_SEGMENT = 5 };

typedef struct bench_clip {
    const char *path; /* borrowed */
    cli_pick pick;    /* the task's, with an end where ask.frames sets one */
    int64_t n_frame;  /* that will be run; 0 = unknown, then the clip is one item */
    int32_t first_item, n_item;
    double rate, origin; /* frames per second, seconds */
    int is_plain;        /* frame i of the run is frame i + 1 of the source */
} bench_clip;

/* Counts the frames without decoding them; a clip that cannot be opened is one item, and will be named when its turn
 * comes. */
void bench_clip_probe(const bench_section *s, const char *path, bench_clip *out);
/* Adds its items, "path:1-10" and so on. */
int bench_clip_add_items(bench *b, bench_section *s, bench_clip *clip);
/* Item that slot (temporal step) `slot` belongs to. */
int32_t bench_clip_item(const bench_clip *clip, int64_t slot, int32_t temporal);
/* Number of the frame in the source, from 1. */
int64_t bench_clip_frame_number(const bench_clip *clip, int64_t i, double pts);
/* Boxes that can lie in the frames that are run. */
int64_t bench_clip_boxes(const bench_clip *clip, const bench_boxes *boxes);

#endif
