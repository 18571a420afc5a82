/* SPDX-License-Identifier: MIT */
/* pare bench --random: the time of the encoder alone, on images of noise. No file is read but the model, nothing is
 * judged: what the clock shows is what the process takes, so that it can be held against a clock outside.
 *
 *   random.c         images, batches, clocks
 *   random_report.c  one JSON object, or a few lines
 *   random_save.c    pixels and tokens for others to check */
#ifndef PARE_TOOLS_BENCH_RANDOM_H
#define PARE_TOOLS_BENCH_RANDOM_H

#include "../session.h"

typedef struct bench_random_ask {
    cli_common *c;
    const char *recipe; /* NULL = none */
    const char *save;   /* NULL = nothing is saved */
    double keep;        /* 0 = the recipe's own amount */
    int64_t n, batch;   /* images, images per window */
    int64_t seed;
    cli_size size; /* 0 = the model's photo size */
} bench_random_ask;

/* Exit code; what went wrong was said on stderr. */
int bench_random(const bench_random_ask *ask);

/* ---- random_report.c ------------------------------------------------------------------------------------------ */

/* A recipe over all images. Quantiles are over whole batches. */
typedef struct bench_random_speed {
    double p50, p95, mean; /* ms per image */
    double flops;          /* per image */
} bench_random_speed;

typedef struct bench_random_figures {
    const char *model, *recipe, *backend, *precision;
    double keep; /* NaN: the recipe's own, or none */
    int64_t images, batch, threads, seed;
    int32_t width, height;
    double units, rows; /* per image: candidates, tokens left */
    bench_random_speed own, none;
    int has_none;          /* the same images went through `none` in alternating batches */
    double load_ms;        /* opening the model, making the reducers */
    double first_token_ms; /* from the start of the process to the first result; NaN: unknown */
    char output_xxh64[17]; /* of the tokens of all images in order, f32 */
} bench_random_figures;

void bench_random_print(const bench_random_figures *f, int json);

/* ---- random_save.c -------------------------------------------------------------------------------------------- */

/* Pixels and tokens of all images, in order. Functions return 0 or a PARE_E_*. */
typedef struct bench_tape bench_tape;

int bench_tape_open(bench_tape **out, int64_t n_image, int32_t width, int32_t height, pare_error *err);
/* rgb [n, height, width, 3] */
int bench_tape_add_images(bench_tape *t, const uint8_t *rgb, int64_t n, pare_error *err);
int bench_tape_add_result(bench_tape *t, const pare_result_view *v, pare_error *err);
/* pixels u8 [N, height, width, 3]; embeds f32 [rows, d]; row_start i64 [N + 1]; index i64 [rows]; prefix f32
 * [N, n_prefix, d] where there are prefix tokens; model, recipe, engine and hash in the metadata. */
int bench_tape_save(const bench_tape *t, const char *path, const bench_random_figures *f, pare_error *err);
void bench_tape_close(bench_tape **t);

#endif
