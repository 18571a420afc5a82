/* SPDX-License-Identifier: MIT */
/* Options, times, percentiles, random numbers and lines of bench_util.h. */
#include "bench_util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

double bench_cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- options ------------------------------------------------------------------------------------------------ */

int bench_usage(const bench_option *option, int32_t n, const char *usage)
{
    fprintf(stderr, "usage: %s [name=value ...]\n", usage);
    for (int32_t i = 0; i < n; i++)
        fprintf(stderr, "  %-10s %s (%s)\n", option[i].name, option[i].help,
                option[i].otherwise ? option[i].otherwise : "not set");
    return 2;
}

int bench_read_options(void *to, const bench_option *option, int32_t n, const char *usage, int first, int argc,
                       char **argv)
{
    for (int32_t i = 0; i < n; i++) memcpy((char *)to + option[i].at, &option[i].otherwise, sizeof option[i].otherwise);
    for (int a = first; a < argc; a++) {
        const size_t length = strcspn(argv[a], "=");
        int32_t i = 0;
        while (i < n && (strlen(option[i].name) != length || strncmp(argv[a], option[i].name, length) != 0)) i++;
        if (i == n || argv[a][length] != '=') return bench_usage(option, n, usage);
        const char *value = argv[a] + length + 1;
        memcpy((char *)to + option[i].at, &value, sizeof value);
    }
    return 0;
}

/* ---- samples ------------------------------------------------------------------------------------------------ */

void bench_add(bench_times *t, double ms)
{
    if (t->n < BENCH_MAX_SAMPLES) t->ms[t->n++] = ms;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(const bench_times *t, double share)
{
    bench_times sorted = *t;
    if (t->n == 0) return 0;
    qsort(sorted.ms, (size_t)sorted.n, sizeof *sorted.ms, by_value);
    const int32_t rank = (int32_t)ceil(share * sorted.n);
    return sorted.ms[rank < 1 ? 0 : rank - 1];
}

bench_times bench_repeat(void (*run)(void *arg), void *arg, int32_t least, double ms)
{
    bench_times t = {.n = 0};
    run(arg);
    const double began = bench_now();
    while (t.n < BENCH_MAX_SAMPLES && (t.n < least || bench_now() - began < ms)) {
        const double start = bench_now();
        run(arg);
        bench_add(&t, bench_now() - start);
    }
    return t;
}

/* ---- data --------------------------------------------------------------------------------------------------- */

enum { ALIGN = 64 };

void *bench_alloc(int64_t n, int64_t size)
{
    const size_t bytes = ((size_t)n * (size_t)size + ALIGN) / ALIGN * ALIGN;
    void *p = aligned_alloc(ALIGN, bytes);
    if (p) return memset(p, 0, bytes);
    fprintf(stderr, "out of memory for %zu bytes\n", bytes);
    exit(2);
}

/* splitmix64: a pure function of seed and counter */
static uint64_t mix(uint64_t seed, uint64_t i)
{
    uint64_t z = seed * 0x2545f4914f6cdd1dull + (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

float *bench_floats(int64_t n, uint64_t seed, float scale)
{
    float *x = bench_alloc(n, sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = ((float)(mix(seed, (uint64_t)i) >> 40) * 0x1p-24f - .5f) * scale;
    return x;
}

void bench_bytes(uint8_t *to, int64_t n, uint64_t seed)
{
    for (int64_t i = 0; i < n; i++) to[i] = (uint8_t)(mix(seed, (uint64_t)i) >> 56);
}

double bench_cosine(const float *a, const float *b, int64_t d)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < d; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb + 1e-30);
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static void print_json(const bench_cell *cell, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        printf("%s\"%s\": ", i ? ", " : "{", cell[i].name);
        if (cell[i].text)
            printf("\"%s\"", cell[i].text);
        else if (isnan(cell[i].value))
            printf("null");
        else
            printf("%.*f", cell[i].size, cell[i].value);
    }
    printf("}\n");
}

static void print_names(const bench_cell *cell, int32_t n)
{
    for (int32_t i = 0; i < n; i++) printf("%*s ", cell[i].text ? -cell[i].size : BENCH_NUMBER_WIDTH, cell[i].name);
    printf("\n");
}

void bench_print(int json, int with_head, const bench_cell *cell, int32_t n)
{
    if (json) {
        print_json(cell, n);
        return;
    }
    if (with_head) print_names(cell, n);
    for (int32_t i = 0; i < n; i++) {
        if (cell[i].text)
            printf("%-*s ", cell[i].size, cell[i].text);
        else if (isnan(cell[i].value))
            printf("%*s ", BENCH_NUMBER_WIDTH, "-");
        else
            printf("%*.*f ", BENCH_NUMBER_WIDTH, cell[i].size, cell[i].value);
    }
    printf("\n");
}
