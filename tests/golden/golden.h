/* SPDX-License-Identifier: MIT */
/* One fixture of a published method: parameters, inputs, and what must come out. Every tensor of the file that its
 * `match` names must be compared; one that no runner looked at is a failure. */
#ifndef PARE_TESTS_GOLDEN_H
#define PARE_TESTS_GOLDEN_H

#include <jansson.h>

#include "../select_scene.h"
#include "encode/encoder.h"
#include "model/tensorfile.h"

typedef struct golden {
    pare_tensors *file;
    json_t *params;
    int canonical; /* match: out.canonical.NAME where there is one */
    uint8_t *seen; /* [tensors of the file] */
    int32_t n_compared;
    pare_error err; /* first failure */
    int skip;       /* err.text says why */
} golden;

/* Parameters; a missing one fails the case (and returns 0). */
int64_t golden_int(golden *g, const char *key);
double golden_number(golden *g, const char *key);
int golden_bool(golden *g, const char *key);
int64_t golden_int_at(golden *g, const char *key, size_t i);
/* Fails the case if it has the parameter, neither null nor this: for those that follow from others. */
void golden_agree(golden *g, const char *key, int64_t value);

/* Inputs "in.NAME"; a missing one fails the case. f32 copy of all elements into `out` [n], or from element `from`. */
const pare_tensor *golden_in(golden *g, const char *name);
void golden_read(golden *g, const char *name, float *out, int64_t n);

/* Compares with out[.canonical].NAME; absent tensors are skipped. Rule: |a - b| <= rel * max|b| + abs. */
void golden_i32(golden *g, const char *name, const int32_t *got, int64_t n);
void golden_f32(golden *g, const char *name, const float *got, int64_t n, double rel, double abs);
/* In double, against a tensor of f64 "out.NAME". */
void golden_f64(golden *g, const char *name, const double *got, int64_t n, double rel, double abs);
/* The same against exactly "out.NAME", canonical or not. */
void golden_raw_i32(golden *g, const char *name, const int32_t *got, int64_t n);
void golden_raw_f32(golden *g, const char *name, const float *got, int64_t n, double rel, double abs);
/* Choices by `score`, against exactly "out.NAME": another one is accepted where the two scores differ by less than 1e-6
 * relative. */
void golden_choice(golden *g, const char *name, const int32_t *got, int64_t n, const float *score);
/* Fails the case unless the row's cosine with out.NAME exceeds `least`. */
void golden_cosine(golden *g, const char *name, const float *got, int64_t n, double least);
int golden_fail(golden *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
int golden_skip(golden *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ONE_STEP 2e-5, 1e-6
#define WHOLE_ENCODER 2e-3, 0

/* Runs a selector on the whole scene; k < 0: its own amount. 0 or the case has failed. */
int golden_select(golden *g, scene *sc, int32_t site, int32_t prefix, const char *name, const char *options, int64_t k,
                  pare__map *map);
/* Output row of every column of R, -1 = none; [n_in]. */
void golden_rows(const pare_map *map, int32_t *row);
/* Rows of every frame: count[n_frame]. */
void golden_counts(const scene *sc, const pare_map *map, int32_t *count);
/* keep (anchors), map and, over time, counts: what every pruning fixture holds. */
void golden_pruned(golden *g, const scene *sc, const pare_map *map);

/* run() with the weights that the encoder fixtures were made with; skips the case where they are not there. */
void golden_with_model(golden *g, void (*run)(golden *g, const pare_model *m));
/* One segment through the encoder, `want` captured and `phase` called in each of the first n_block blocks;
 * check(plan->user, pack) looks at what came out. plan: on_site, user and what else the case needs. */
void golden_encode(golden *g, const pare_model *m, const pare__segment *seg, pare__encode_plan *plan, int32_t n_block,
                   uint32_t want, pare__phase phase, void (*check)(void *user, const pare__pack *p));

typedef void (*golden_runner)(golden *g);
typedef struct golden_group {
    const char *name;
    golden_runner run;
} golden_group;
extern const golden_group golden_spread[], golden_merge[], golden_time[], golden_video[], golden_video_merge[],
    golden_greedy[], golden_tiles[];
extern const golden_group golden_hooks[], golden_hooks_block[];
extern const golden_group golden_measure[], golden_measure_features[];
extern const golden_group golden_bend[], golden_bend_encoder[]; /* end with NULL */

#endif
