/* SPDX-License-Identifier: MIT */
/* Made-up sections (bench_scene.h). */
#include "bench_scene.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 128 };

/* Stands in for the library's, so that columns do not move with its metrics. */
int pare_list(int kind, int32_t i, pare_list_entry *out)
{
    static const pare_list_entry metric[] = {
        {.name = "cls_cosine", .unit = "cosine", .flags = "reference,cls", .better = 1},
        {.name = "cover_patches", .unit = "patches", .flags = "", .better = -1},
        {.name = "survivor_cosine", .unit = "cosine", .flags = "reference", .better = 1},
        {.name = "unmerge_cosine", .unit = "cosine", .flags = "reference", .better = 1},
        {.name = "kept_iou_share", .unit = "share", .flags = "other", .better = 0},
    };
    if (kind != PARE_LIST_METRICS || i < 0 || i >= (int32_t)(sizeof metric / sizeof *metric)) return PARE_E_NOTFOUND;
    *out = metric[i];
    return 0;
}

void scene_open(bench_scene *x, int32_t n_item, int32_t primary)
{
    *x = (bench_scene){.s = {.primary = primary, .n_item = n_item}};
    x->s.row = calloc(MAX_ROWS, sizeof *x->s.row);
    x->s.item = calloc((size_t)n_item + 1, sizeof *x->s.item);
    ck_assert(x->s.row != NULL && x->s.item != NULL);
    for (int32_t i = 0; i < n_item; i++) x->s.item[i].fold = i % BENCH_FOLDS;
    scene_row(x, "none", 1, 0, BENCH_SAVES_NOTHING);
}

void scene_close(bench_scene *x)
{
    bench_analysis_free(&x->a);
    for (int32_t i = 0; i < x->s.n_row; i++) free(x->s.row[i].recipe);
    free(x->s.row);
    free(x->s.item);
    free(x->s.cell);
}

int32_t scene_row(bench_scene *x, const char *recipe, double keep, uint64_t seed, bench_saves saves)
{
    ck_assert_int_lt(x->s.n_row, MAX_ROWS);
    x->s.row[x->s.n_row] = (bench_row){.recipe = strdup(recipe), .keep = keep, .seed = seed, .saves = saves};
    return x->s.n_row++;
}

bench_cell *scene_cell(bench_scene *x, int32_t row, int32_t item, double outcome)
{
    const bench_row *r = &x->s.row[row];
    double keep = r->keep > 0 ? r->keep : 0.5;
    if (x->s.n_cell == x->s.cap_cell) {
        x->s.cap_cell = x->s.cap_cell * 2 + 64;
        x->s.cell = realloc(x->s.cell, (size_t)x->s.cap_cell * sizeof *x->s.cell);
        ck_assert(x->s.cell != NULL);
    }
    bench_cell *c = &x->s.cell[x->s.n_cell++];
    *c = (bench_cell){.row = row, .item = item};
    for (int32_t i = 0; i < BENCH_MAX_COLUMNS; i++) c->value[i] = NAN;
    c->value[BENCH_UNITS_IN] = SCENE_UNITS;
    c->value[BENCH_UNITS_ASKED] = r->keep > 0 ? SCENE_UNITS * keep : NAN;
    c->value[BENCH_UNITS] = SCENE_UNITS * keep;
    c->value[BENCH_MS] = 8 + 32 * keep;
    c->value[BENCH_GFLOP] = 10 * keep;
    if (x->s.primary >= 0) c->value[x->s.primary] = outcome;
    return c;
}

int32_t scene_flat(bench_scene *x, const char *recipe, double keep, bench_saves saves, double outcome)
{
    int32_t row = scene_row(x, recipe, keep, 0, saves);
    for (int32_t i = 0; i < x->s.n_item; i++) scene_cell(x, row, i, outcome);
    return row;
}

void scene_none(bench_scene *x, double outcome)
{
    for (int32_t i = 0; i < x->s.n_item; i++) scene_cell(x, 0, i, outcome);
}

void scene_baselines(bench_scene *x, bench_saves saves, double half, double quarter)
{
    static const char *const encoder[] = {"resize@frames", "spatial-uniform@patches", "random@patches"};
    static const char *const prefill[] = {"pool@output", "spatial-uniform@output", "random@output"};
    scene_none(x, 1);
    for (int i = 0; i < 3; i++) {
        const char *recipe = saves == BENCH_SAVES_ENCODER ? encoder[i] : prefill[i];
        scene_flat(x, recipe, 0.5, saves, half);
        scene_flat(x, recipe, 0.25, saves, quarter);
    }
}

void scene_set(bench_scene *x, int32_t row, int32_t column, double value)
{
    for (int64_t i = 0; i < x->s.n_cell; i++)
        if (x->s.cell[i].row == row) x->s.cell[i].value[column] = value;
}

void scene_analyse(bench_scene *x)
{
    bench_analysis_free(&x->a);
    ck_assert_int_eq(bench_analyse(&x->s, 1, &x->a), 0);
}

const bench_line *scene_line(const bench_scene *x, const char *recipe, double keep)
{
    for (int32_t i = 0; i < x->a.n_line; i++)
        if (x->a.line[i].keep == keep && strcmp(x->a.line[i].recipe, recipe) == 0) return &x->a.line[i];
    ck_abort_msg("no line %s at %g", recipe, keep);
}

double scene_noise(int32_t row, int32_t item)
{
    uint64_t z = ((uint64_t)(uint32_t)row << 32 | (uint32_t)item) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}
