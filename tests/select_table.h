/* SPDX-License-Identifier: MIT */
/* A property checked over the whole table of selectors: every site, shapes, contents, prefix rows and budgets. */
#ifndef PARE_TESTS_SELECT_TABLE_H
#define PARE_TESTS_SELECT_TABLE_H

#include "select_scene.h"

/* What a property is checked on: one selector at one site on one view with one budget. */
typedef struct trial {
    const step *step;
    scene *scene;
    scene_view *look;
    pare__map *map;
    const char *name;
} trial;

typedef void (*property)(trial *t);

/* What the arrays and pictures of a scene hold. */
typedef enum {
    NOISE,
    CONSTANT,   /* every row the same */
    ZEROS,      /* vectors without a direction */
    SOME_ZEROS, /* every third row is zero */
    DUPLICATES, /* rows in equal pairs, frames equal to the one before */
    N_CONTENT
} content;

/* Rows are missing; selectors that may decide the count do (k = -1); large shapes are left out. */
enum { THINNED = 1, UNBOUND = 2, SMALL = 4 };

/* Selector i of the table, or all of them. */
void over_selector(int i, property check, content what, unsigned flags);
void over_table(property check, content what, unsigned flags);
int selector_count(void);
/* A property by itself: the step succeeds, its map is valid and counted as asked. */
void run_ok(trial *t);

#endif
