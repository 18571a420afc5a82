/* SPDX-License-Identifier: MIT */
/* What the programs of this folder share: options, times, percentiles, random numbers, and lines that are a table for people or
 * JSON for machines. Knows nothing of pare. */
#ifndef PARE_TESTS_BENCH_UTIL_H
#define PARE_TESTS_BENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since some fixed moment. */
double bench_now(void);
/* Milliseconds of CPU, user and system, that the process has used. */
double bench_cpu(void);

/* ---- options ------------------------------------------------------------------------------------------------ */

/* `name=value`: its text goes to the `const char *` at byte `at` of the program's own struct. */
typedef struct bench_option {
    const char *name, *otherwise, *help;
    size_t at;
} bench_option;

/* argv[first .. argc) into `to`, what is not given from `otherwise`. 0, or bench_usage(). */
int bench_read_options(void *to, const bench_option *option, int32_t n, const char *usage, int first, int argc,
                       char **argv);
/* `usage` ("bench_x CLIP") and all options on stderr; returns 2. */
int bench_usage(const bench_option *option, int32_t n, const char *usage);

/* ---- samples ------------------------------------------------------------------------------------------------ */

enum { BENCH_MAX_SAMPLES = 256 };

typedef struct bench_times {
    double ms[BENCH_MAX_SAMPLES];
    int32_t n;
} bench_times;

/* Samples beyond the room are dropped. */
void bench_add(bench_times *t, double ms);
/* The sample below which `share` of all lie (nearest rank); 0 without samples. */
double bench_percentile(const bench_times *t, double share);
static inline double bench_p50(const bench_times *t) { return bench_percentile(t, 0.5); }
static inline double bench_p95(const bench_times *t) { return bench_percentile(t, 0.95); }

/* Calls run(arg) until `ms` milliseconds have gone by and at least `least` times; the first call is not counted. */
bench_times bench_repeat(void (*run)(void *arg), void *arg, int32_t least, double ms);

/* ---- data --------------------------------------------------------------------------------------------------- */

/* 64-byte aligned and touched; ends the program when memory is short. Free with free(). */
void *bench_alloc(int64_t n, int64_t size);
/* Uniform in [-scale / 2, scale / 2). */
float *bench_floats(int64_t n, uint64_t seed, float scale);
void bench_bytes(uint8_t *to, int64_t n, uint64_t seed);
/* Of rows [d]; 0 where one is all zeros. */
double bench_cosine(const float *a, const float *b, int64_t d);

/* ---- lines -------------------------------------------------------------------------------------------------- */

/* Text in a column of `size` characters if `text` is set, else a number with `size` digits behind the point; NaN is printed as
 * "-" (JSON: null). */
typedef struct bench_cell {
    const char *name, *text;
    double value;
    int32_t size;
} bench_cell;

#define BENCH_TEXT(name, value, width)                                                                                 \
    {                                                                                                                  \
        (name), (value), 0, (width)                                                                                    \
    }
#define BENCH_NUMBER(name, value, digits)                                                                              \
    {                                                                                                                  \
        (name), 0, (value), (digits)                                                                                   \
    }

enum { BENCH_NUMBER_WIDTH = 9 };

/* One line; before it the names, if `with_head` and not JSON. */
void bench_print(int json, int with_head, const bench_cell *cell, int32_t n);

#define BENCH_PRINT(json, with_head, cells)                                                                            \
    bench_print((json), (with_head), (cells), (int32_t)(sizeof(cells) / sizeof *(cells)))

/* ---- the machine ----------------------------------------------------------------------------------------------- */

/* One kind of multiply-add, repeated on registers only: what no program can exceed. */
typedef struct bench_peak {
    const char *name;      /* "avx512" */
    const char *precision; /* "f32", "bf16", "int8" */
    double gops;           /* billions of operations per second in one thread, a multiply-add is two */
} bench_peak;

enum { BENCH_MAX_PEAKS = 8 };

/* Measures those that this CPU has; returns how many. About 0.1 s each. */
int32_t bench_peaks(bench_peak peak[BENCH_MAX_PEAKS]);
/* The largest of a precision; 0 without. */
double bench_peak_of(const bench_peak *peak, int32_t n, const char *precision);
/* GB/s at which n_threads together read memory far beyond the caches. */
double bench_read_rate(int32_t n_threads);

#endif
