/* SPDX-License-Identifier: MIT */
/* A small clip with everything that a view can hold, and one step run on it the way the reducer does. */
#ifndef PARE_TESTS_SELECT_SCENE_H
#define PARE_TESTS_SELECT_SCENE_H

#include "select/selector.h"
#include "select/score.h"

typedef struct scene {
    int32_t n_frame, grid_h, grid_w, d, patch, temporal;
    int64_t n;
    int64_t *frame_start;              /* [n_frame + 1] */
    int32_t *thw;                      /* [n, 3] */
    float *size;                       /* [n] */
    float *token, *k_mean, *attention; /* [n, d], [n, d], [n] */
    uint8_t **frame;                   /* [n_frame * temporal] pictures */
    float *score, *score_out;
    pare__pixels pixels;
    float *state;            /* [n, 4] what the selector carries from block to block */
    pare__view_array own[8]; /* arrays that a test added; data and prefix are owned */
    int32_t n_own;
    const pare_slot *slot;     /* [n_frame] borrowed, or NULL */
    const float *given, *text; /* borrowed, or NULL */
    int32_t n_text, d_text, n_head;
    const pare_custom *custom; /* borrowed; NULL = one that keeps the first rows */
    pare__arena arena;
    void *carry;
    size_t carry_size;
} scene;

/* Random content from `seed`; patch = 4 pixels, d = 16, temporal = 1. */
void scene_make(scene *s, int32_t n_frame, int32_t grid_h, int32_t grid_w, uint64_t seed);
/* The same with other sizes and no content (zeros). */
void scene_blank(scene *s, int32_t n_frame, int32_t grid_h, int32_t grid_w, int32_t d, int32_t patch, int32_t temporal);
void scene_free(scene *s);
/* Adds an array [n, width] and the rows of its prefix tokens [n_frame, prefix, width] (0 = none), zeroed, for the caller
 * to fill. It hides a built-in array of the same kind and layer. */
pare__view_array *scene_add(scene *s, pare__array array, int32_t layer, int32_t width, int32_t prefix);
/* Removes rows whose flag is 0. */
void scene_thin(scene *s, const uint8_t *keep);
/* Forgets what earlier windows left. */
void scene_rewind(scene *s);

/* A view of steps [first, first + count) of the scene at `site`; k = -1. `prefix` rows stand before the candidates. */
typedef struct scene_view {
    pare__view view;
    int64_t *frame_start; /* [count + 1] */
    pare__view_array array[12];
    pare__pixels pixels;
    int32_t *thw;
} scene_view;
void scene_look(scene *s, int32_t site, int32_t first, int32_t count, int32_t prefix, scene_view *out);

/* A configured selector. */
typedef struct step {
    const pare__selector *sel;
    void *priv;
} step;
/* options: "key=value:key=value" or "". Returns the error code of the first that fails. */
int step_open(step *s, const char *name, const char *options, pare_error *err);
void step_close(step *s);
/* Selects and finishes as the reducer does; checks invariants and the count. */
int step_run(const step *s, scene *sc, pare__view *v, pare__map *map, pare_error *err);

#endif
