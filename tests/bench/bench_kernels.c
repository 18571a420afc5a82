/* SPDX-License-Identifier: MIT */
/* The innermost loops, one thread: bench_kernels [--json] [SECTION ...], of
 *   peak      what the CPU can do on registers, per instruction set
 *   sgemm     BLAS at 2048 x 2048 x 2048
 *   mul       products in registers at the shapes of attention
 *   vec       row kernels, every table
 *   engines   what pare_engine_measure says of every engine
 * Without a section: all. Rates in billions of operations per second (a multiply-add is two). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "core/vec.h"
#include "encode/backend.h"
#include "kernels.h"

enum { BIG = 2048, BIG_RUNS = 7, ENGINE_RUNS = 5 };

/* ---- peak --------------------------------------------------------------------------------------------------- */

static void print_peaks(const kernels *k)
{
    for (int32_t i = 0; i < k->n_peak; i++) {
        const bench_cell cells[] = {
            BENCH_TEXT("registers only", k->peak[i].name, 16),
            BENCH_TEXT("precision", k->peak[i].precision, 9),
            BENCH_NUMBER("Gop/s", k->peak[i].gops, 1),
        };
        BENCH_PRINT(k->json, i == 0, cells);
    }
}

/* ---- sgemm -------------------------------------------------------------------------------------------------- */

typedef struct sgemm_job {
    const pare__gemm *gemm;
    const float *a, *b;
    float *c;
} sgemm_job;

static void run_sgemm(void *arg)
{
    const sgemm_job *j = arg;
    j->gemm->nt(BIG, BIG, BIG, 1, j->a, BIG, j->b, BIG, 0, j->c, BIG);
}

/* Every backend but the oracle, which would take minutes. */
static void print_sgemm(const kernels *k)
{
    const double flop = 2.0 * BIG * BIG * BIG, peak = bench_peak_of(k->peak, k->n_peak, "f32");
    float *a = bench_floats(BIG * BIG, 1, 1), *b = bench_floats(BIG * BIG, 2, 1), *c = bench_alloc(BIG * BIG, 4);
    for (int32_t i = 0; pare__backends[i]; i++) {
        sgemm_job j = {pare__backends[i]->gemm, a, b, c};
        if (!j.gemm || j.gemm == &pare__gemm_c) continue;
        const bench_times t = bench_repeat(run_sgemm, &j, BIG_RUNS, 0);
        const bench_cell cells[] = {
            BENCH_TEXT("sgemm 2048", pare__backends[i]->name, 16),
            BENCH_NUMBER("ms", bench_p50(&t), 2),
            BENCH_NUMBER("p95", bench_p95(&t), 2),
            BENCH_NUMBER("GFLOP/s", flop / bench_p50(&t) * 1e-6, 1),
            BENCH_NUMBER("of peak", flop / bench_p50(&t) * 1e-6 / peak, 3),
        };
        BENCH_PRINT(k->json, i == 0, cells);
    }
    free(a);
    free(b);
    free(c);
}

/* ---- engines ------------------------------------------------------------------------------------------------ */

static void print_engines(const kernels *k)
{
    pare_engine e = {.struct_size = sizeof e};
    pare_error err;
    for (int32_t i = 0; pare_engine_get(i, &e, &err) == 0; i++) {
        bench_times rate = {.n = 0};
        double gops;
        for (int run = 0; e.runs && run < ENGINE_RUNS; run++)
            if (pare_engine_measure(i, &gops, &err) == 0) bench_add(&rate, gops);
        const double peak = bench_peak_of(k->peak, k->n_peak, e.precision);
        const bench_cell cells[] = {
            BENCH_TEXT("engine", e.backend, 16),
            BENCH_TEXT("precision", e.precision, 9),
            BENCH_TEXT("needs", e.needs, 11),
            BENCH_TEXT("auto", e.is_auto ? "yes" : "", 4),
            BENCH_NUMBER("Gop/s", rate.n ? bench_p50(&rate) : NAN, 1),
            BENCH_NUMBER("worst", rate.n ? bench_percentile(&rate, 0.05) : NAN, 1),
            BENCH_NUMBER("of peak", rate.n && peak > 0 ? bench_p50(&rate) / peak : NAN, 3),
        };
        BENCH_PRINT(k->json, i == 0, cells);
    }
}

/* ---- main --------------------------------------------------------------------------------------------------- */

static const struct section {
    const char *name;
    void (*print)(const kernels *k);
} sections[] = {{"peak", print_peaks},
                {"sgemm", print_sgemm},
                {"mul", kernels_mul},
                {"vec", kernels_vec},
                {"engines", print_engines}};

enum { N_SECTION = sizeof sections / sizeof sections[0] };

static int section_of(const char *name)
{
    int i = 0;
    while (i < N_SECTION && strcmp(name, sections[i].name) != 0) i++;
    return i;
}

int main(int argc, char **argv)
{
    kernels k = {.json = 0};
    int wanted[N_SECTION] = {0}, n_wanted = 0;
    pare_error err;
    for (int i = 1; i < argc; i++) {
        const int s = section_of(argv[i]);
        if (!strcmp(argv[i], "--json"))
            k.json = 1;
        else if (s < N_SECTION)
            wanted[s] = ++n_wanted;
        else
            return fprintf(stderr, "usage: bench_kernels [--json] [peak|sgemm|mul|vec|engines ...]\n"), 2;
    }
    if (pare_runtime_init(NULL, &err) < 0) return fprintf(stderr, "bench_kernels: %s\n", err.text), 2;
    k.n_peak = bench_peaks(k.peak);
    for (int s = 0; s < N_SECTION; s++) {
        if (n_wanted && !wanted[s]) continue;
        sections[s].print(&k);
        if (!k.json) printf("\n");
    }
    return 0;
}
