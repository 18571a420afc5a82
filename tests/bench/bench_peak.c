/* SPDX-License-Identifier: MIT */
/* The limits of the machine: multiply-adds on registers per instruction set, and reading memory. Every loop is compiled
 * for its own instruction set (target attribute) and runs only where the CPU has it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"

typedef void (*loop_fn)(int64_t n, float seed, void *out);

typedef struct loop {
    const char *name, *precision;
    int (*runs)(void);
    loop_fn run;
    double ops; /* operations of one turn of the loop */
} loop;

enum { CHAINS = 12, OUT_BYTES = 64 };

#if defined(__x86_64__)
#include <immintrin.h>

#define KEEP(c) "+v"(c)

#define LOOP_NAME fma_avx2
#define LOOP_ISA "avx2,fma"
#define LOOP_TYPE __m256
#define LOOP_DATA __m256
#define LOOP_SET(x) _mm256_set1_ps(x)
#define LOOP_STEP(c, a, b) _mm256_fmadd_ps(a, b, c)
#define LOOP_SUM(x, y) _mm256_add_ps(x, y)
#include "bench_peak_tmpl.h"

#define LOOP_NAME fma_avx512
#define LOOP_ISA "avx512f"
#define LOOP_TYPE __m512
#define LOOP_DATA __m512
#define LOOP_SET(x) _mm512_set1_ps(x)
#define LOOP_STEP(c, a, b) _mm512_fmadd_ps(a, b, c)
#define LOOP_SUM(x, y) _mm512_add_ps(x, y)
#include "bench_peak_tmpl.h"

#define LOOP_NAME dot_bf16
#define LOOP_ISA "avx512f,avx512bf16"
#define LOOP_TYPE __m512
#define LOOP_DATA __m512bh
#define LOOP_SET(x) _mm512_cvtne2ps_pbh(_mm512_set1_ps(x), _mm512_set1_ps(x))
#define LOOP_STEP(c, a, b) _mm512_dpbf16_ps(c, a, b)
#define LOOP_SUM(x, y) _mm512_add_ps(x, y)
#include "bench_peak_tmpl.h"

#define LOOP_NAME dot_vnni
#define LOOP_ISA "avx512f,avx512vnni"
#define LOOP_TYPE __m512i
#define LOOP_DATA __m512i
#define LOOP_SET(x) _mm512_castps_si512(_mm512_set1_ps(x))
#define LOOP_STEP(c, a, b) _mm512_dpbusd_epi32(c, a, b)
#define LOOP_SUM(x, y) _mm512_add_epi32(x, y)
#include "bench_peak_tmpl.h"

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }
static int has_bf16(void) { return __builtin_cpu_supports("avx512bf16") != 0; }
static int has_vnni(void) { return __builtin_cpu_supports("avx512vnni") != 0; }

static const loop loops[] = {
    {"avx2 fma", "f32", has_avx2, fma_avx2, CHAINS * 8 * 2},
    {"avx512 fma", "f32", has_avx512, fma_avx512, CHAINS * 16 * 2},
    {"avx512 dpbf16", "bf16", has_bf16, dot_bf16, CHAINS * 32 * 2},
    {"avx512 dpbusd", "int8", has_vnni, dot_vnni, CHAINS * 64 * 2},
};

#elif defined(__aarch64__)
#include <arm_neon.h>

#define KEEP(c) "+w"(c)

#define LOOP_NAME fma_neon
#define LOOP_ISA "+simd"
#define LOOP_TYPE float32x4_t
#define LOOP_DATA float32x4_t
#define LOOP_SET(x) vdupq_n_f32(x)
#define LOOP_STEP(c, a, b) vfmaq_f32(c, a, b)
#define LOOP_SUM(x, y) vaddq_f32(x, y)
#include "bench_peak_tmpl.h"

static int always(void) { return 1; }

static const loop loops[] = {{"neon fma", "f32", always, fma_neon, CHAINS * 4 * 2}};

#else

static void fma_scalar(int64_t n, float seed, void *out)
{
    volatile float c = 0;
    for (int64_t i = 0; i < n; i++) c = c + seed;
    memcpy(out, (const void *)(uintptr_t)&c, sizeof c);
}

static int always(void) { return 1; }

static const loop loops[] = {{"scalar", "f32", always, fma_scalar, 1}};
#endif

/* ---- arithmetic --------------------------------------------------------------------------------------------- */

enum { N_LOOP = sizeof loops / sizeof loops[0], TURNS = 1 << 20, RUNS = 40 };

static double rate_of(const loop *l)
{
    char out[OUT_BYTES];
    bench_times t = {.n = 0};
    l->run(TURNS, 1, out);
    for (int i = 0; i < RUNS; i++) {
        const double start = bench_now();
        l->run(TURNS, 1, out);
        bench_add(&t, bench_now() - start);
    }
    return l->ops * TURNS / bench_percentile(&t, 0) * 1e-6;
}

int32_t bench_peaks(bench_peak peak[BENCH_MAX_PEAKS])
{
    int32_t n = 0;
    for (int32_t i = 0; i < N_LOOP; i++)
        if (loops[i].runs()) peak[n++] = (bench_peak){loops[i].name, loops[i].precision, rate_of(&loops[i])};
    return n;
}

double bench_peak_of(const bench_peak *peak, int32_t n, const char *precision)
{
    double best = 0;
    for (int32_t i = 0; i < n; i++)
        if (!strcmp(peak[i].precision, precision) && peak[i].gops > best) best = peak[i].gops;
    return best;
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

enum { MAX_READERS = 64, READ_RUNS = 5, LANES = 16 };

static const int64_t read_words = (int64_t)32 << 20; /* 256 MiB a thread */

typedef struct reader {
    const uint64_t *word; /* [read_words] */
    uint64_t sum;
} reader;

static void *read_all(void *arg)
{
    reader *r = arg;
    uint64_t lane[LANES] = {0};
    for (int64_t i = 0; i < read_words; i += LANES)
        for (int k = 0; k < LANES; k++) lane[k] += r->word[i + k];
    for (int k = 0; k < LANES; k++) r->sum += lane[k];
    return NULL;
}

double bench_read_rate(int32_t n_threads)
{
    const int32_t n = n_threads < 1 ? 1 : n_threads > MAX_READERS ? MAX_READERS : n_threads;
    reader job[MAX_READERS] = {{NULL, 0}};
    pthread_t thread[MAX_READERS];
    bench_times t = {.n = 0};
    uint64_t *word = bench_alloc(n * read_words, sizeof *word);
    for (int32_t i = 0; i < n; i++) job[i].word = word + i * read_words;
    for (int run = 0; run < READ_RUNS; run++) {
        int32_t started = 1;
        const double start = bench_now();
        while (started < n && pthread_create(&thread[started], NULL, read_all, &job[started]) == 0) started++;
        read_all(&job[0]);
        for (int32_t i = 1; i < started; i++) pthread_join(thread[i], NULL);
        bench_add(&t, (bench_now() - start) / started);
    }
    free(word);
    return (double)read_words * sizeof *word / bench_percentile(&t, 0) * 1e-6;
}
