/* SPDX-License-Identifier: MIT */
/* A directory of their own, made-up windows and a reader of tensors, for the tests of write/. */
#ifndef PARE_TESTS_WRITE_UTIL_H
#define PARE_TESTS_WRITE_UTIL_H

#include "model/tensorfile.h"
#include "write/writer.h"

enum { STEPS = 2, GRID_H = 2, GRID_W = 3, N = STEPS * GRID_H * GRID_W, K = 4, D = 5, CLASSES = 3 };

/* One window of made-up tokens: window w, rows anchored at columns 1, 4, 7, 10, each of two columns. */
typedef struct window {
    float embeds[K * D], box[K * 4], sizes[K], pooled[STEPS * D], logits[STEPS * CLASSES], prefix[STEPS * D], scores[N];
    int32_t place[K * 6], index[2 * K], anchor[K], member[N];
    int64_t clip_index[K], row_start[K + 1], frame_start[STEPS + 1], member_start[K + 1];
    float weight[2 * K], gain[K];
    double pts[STEPS * 2];
    uint8_t kind[K];
    pare_slot slot[STEPS];
    pare_result_view v;
} window;

extern char write_dir[256]; /* of the running test */

void make_dir(void);
int64_t count_files(void);
void remove_dir(void);
const char *in_dir(const char *name);
const pare_result_view *make_window(window *x, int w);
int write_clip(const char *path, int n_window, int complete, pare_error *err);
pare_tensors *open_tensors(const char *path);
const pare_tensor *tensor(const pare_tensors *t, const char *name, int32_t dtype, int64_t rows);
int64_t i32_at(const pare_tensor *t, int64_t i);
int64_t i64_at(const pare_tensor *t, int64_t i);
float f32_at(const pare_tensor *t, int64_t i);
char *slurp(const char *path, size_t *size);

#endif
