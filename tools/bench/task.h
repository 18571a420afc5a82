/* SPDX-License-Identifier: MIT */
/* What the tasks of the bench share: items, lists of clips, rounds, features of a run. Functions that return `int` return
 * an exit code and have said on stderr what went wrong, unless they say otherwise. */
#ifndef PARE_TOOLS_BENCH_TASK_H
#define PARE_TOOLS_BENCH_TASK_H

#include "bench.h"

/* Appends an item; takes a copy of the name. */
int bench_add_item(bench *b, bench_section *s, const char *name, int32_t class_index);
/* Gives every item its fold: in turn (neighbours are alike in class, so that every fold sees all classes), or in blocks
 * (neighbours are alike in time, so that no fold knows its neighbour's picture). */
void bench_fold_items(bench_section *s, int in_blocks);

/* The task's photos or clips: ask.data, or ask.input; thinned by ask.stride and ask.limit. */
int bench_list_photos(bench *b, bench_section *s, cli_photos *out);
/* Clips: ask.input, or the files of the folder ask.data; each of them can be read more than once. */
int bench_list_clips(bench *b, bench_section *s, cli_photos *out);

/* Without labels: the agreement of logits decides where the model has any, else the cosine of pooled features. */
int32_t bench_fallback_column(const bench *b);

/* Is a cell of the row, of any row, missing for items [first, end)? */
int bench_row_is_missing(const bench_section *s, int32_t row, int32_t first, int32_t end);
int bench_is_missing(const bench_section *s, int32_t first, int32_t end);
/* Is it the turn of the i-th, where every `stride`-th has one? 0 = all. */
int bench_is_due(int64_t i, int64_t stride);
/* bench_run_row, `rounds` times when it is timed: the results of the first, the times of the median round. */
int bench_run_rounds(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                     int64_t rounds, bench_run *out);

/* Mean [d] of all rows of a run, of those of slot t, weighted by the patches that they stand for, and 1; 0 without rows. */
int bench_run_mean(const bench_run *run, float *out);
int bench_slot_mean(const pare_result_view *v, int32_t t, float *out);
int32_t bench_run_width(const bench_run *run);
/* The largest of x[n]; ties and NaN: the first. -1 without. */
int32_t bench_argmax(const float *x, int32_t n);
/* 0 and 0 have cosine 1, 0 and anything else 0. */
double bench_cosine(const float *x, const float *y, int32_t n);

void bench_progress_begin(bench *b, const char *unit, int64_t total);
/* All items failed: exit code of a section that has nothing to show. */
int bench_all_failed(const bench_section *s);

#endif
