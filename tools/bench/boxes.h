/* SPDX-License-Identifier: MIT */
/* Boxes of objects in a clip, in the text format of the MOT challenge: one per line
 *
 *     frame,id,x,y,w,h[,score,...]
 *
 * frame counts from 1, x, y, w, h are pixels of the source (left, top, width, height), id may be -1. A score of 0 marks a
 * box that is not to be counted. Empty lines and those that begin with # are passed over. Library code. */
#ifndef PARE_TOOLS_BENCH_BOXES_H
#define PARE_TOOLS_BENCH_BOXES_H

#include <pare/pare.h>

typedef struct bench_mot_box {
    int64_t frame;
    double x0, y0, x1, y1; /* pixels, half open */
} bench_mot_box;

typedef struct bench_boxes {
    bench_mot_box *item; /* [n] ascending by frame */
    int64_t n, cap;
} bench_boxes;

/* A file without any box is no error: n = 0. Errors: IO, FORMAT, LIMIT, NOMEM; the text begins with file:line.
 * bench_boxes_free accepts a zeroed one. */
int bench_boxes_read(const char *path, bench_boxes *out, pare_error *err);
/* The boxes of a frame: *n of them, perhaps 0. */
const bench_mot_box *bench_boxes_of(const bench_boxes *b, int64_t frame, int64_t *n);
/* Does the point lie in one of the boxes [n]? */
int bench_boxes_hold(const bench_mot_box *box, int64_t n, double x, double y);
void bench_boxes_free(bench_boxes *b);

#endif
