/* SPDX-License-Identifier: MIT */
/* What tests of the encoder on small random models share: the model, pictures, runs, comparisons, stages by name, and a
 * step that merges. */
#ifndef PARE_ENCODER_KIT_H
#define PARE_ENCODER_KIT_H

#include "encode/parts.h"
#include "encoder_ref.h"

enum { KIT_PIXELS = REF_GRID_H * REF_GRID_W * REF_PATCH * REF_PATCH, KIT_PICTURES = 4, KIT_STAGE_FLOATS = 1 << 15 };

extern pare_model kit_model;
extern pare__pool *kit_pool; /* of the encoders made next; NULL = none */
extern uint8_t kit_picture[KIT_PICTURES][KIT_PIXELS * 3];

/* Fixtures of a test case. */
void kit_setup(void);
void kit_teardown(void);

/* kit_model becomes a random one of this shape. */
void kit_use(const pare__hparams *hp, uint64_t seed);
pare__encoder *kit_create(const pare__encode_plan *plan, int64_t max_rows);
const pare__pack *kit_run(pare__encoder *e, const pare__segment *seg, int32_t n);
/* All of picture i. */
pare__segment kit_segment(int i);

/* Within 5e-5 of the RMS, of the value and of nothing else. */
void kit_same(const char *what, const float *got, const double *want, int64_t n);
void kit_close(const char *what, const float *got, const float *want, int64_t n, float bound);

typedef struct kit_stage {
    char name[32];
    int32_t block;
    int64_t rows, width;
    float data[KIT_STAGE_FLOATS];
} kit_stage;

/* A pare__pack_stage_fn that keeps what it is given; forgotten by kit_setup and by kit_forget. */
int kit_keep_stage(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width);
void kit_forget(void);
/* NULL if there was none. */
const kit_stage *kit_find_stage(const char *name, int32_t block);

/* Rows of n candidates from `first`: of every three one goes, two merge with a gain. */
int64_t kit_thin(pare__map *map, int64_t first, int64_t n);
/* A pare__site_fn that does so in every segment. */
int kit_on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                pare_error *err);

#endif
