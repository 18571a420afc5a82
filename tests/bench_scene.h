/* SPDX-License-Identifier: MIT */
/* A made-up section of a bench: rows and cells that a test writes itself, and stand-ins for the library's metrics
 * ("cls_cosine" reads the CLS token, "unmerge_cosine" the rows, "cover_patches" is a uniformity where less is better). */
#ifndef PARE_TESTS_BENCH_SCENE_H
#define PARE_TESTS_BENCH_SCENE_H

#include "../tools/bench/analysis.h"

enum { SCENE_UNITS = 256 };

typedef struct bench_scene {
    bench_section s;
    bench_analysis a;
} bench_scene;

/* n_item items in five folds; row 0 is none. */
void scene_open(bench_scene *x, int32_t n_item, int32_t primary);
void scene_close(bench_scene *x);
/* A row without cells; its index. */
int32_t scene_row(bench_scene *x, const char *recipe, double keep, uint64_t seed, bench_saves saves);
/* Its cell of an item: units as asked of SCENE_UNITS, 8 + 32 keep milliseconds, 10 keep GFLOP, the outcome. */
bench_cell *scene_cell(bench_scene *x, int32_t row, int32_t item, double outcome);
/* A row with the same outcomes for all items. */
int32_t scene_flat(bench_scene *x, const char *recipe, double keep, bench_saves saves, double outcome);
/* The outcomes of none. */
void scene_none(bench_scene *x, double outcome);
/* Baselines of a table at .5 and .25, flat at these outcomes; none is right everywhere. */
void scene_baselines(bench_scene *x, bench_saves saves, double half, double quarter);
/* Sets a column of all cells of a row. */
void scene_set(bench_scene *x, int32_t row, int32_t column, double value);
/* Runs the analysis (again). */
void scene_analyse(bench_scene *x);
/* A line of the analysis; fails the test when it is not there. */
const bench_line *scene_line(const bench_scene *x, const char *recipe, double keep);
/* Uniform in [0, 1), the same for the same arguments. */
double scene_noise(int32_t row, int32_t item);

#endif
