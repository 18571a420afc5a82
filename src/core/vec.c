/* SPDX-License-Identifier: MIT */
/* The choice of vector kernels from cpuid. */
#include "core/vec.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct candidate {
    const pare__vec *table;
    int (*runs)(void);
} candidate;

static int always(void) { return 1; }

#if defined(__x86_64__)
#define HAS(flag) (__builtin_cpu_supports(flag) != 0)
static int has_avx2(void) { return HAS("avx2") && HAS("fma"); } /* every CPU with both has F16C */
static int has_avx512(void)
{
    return has_avx2() && HAS("avx512f") && HAS("avx512bw") && HAS("avx512vl") && HAS("avx512dq");
}
#else
#define HAS(flag) 0
#endif

/* From slow to fast. */
static const candidate candidates[] = {
    {&pare__vec_c, always},
#if defined(__x86_64__)
    {&pare__vec_avx2, has_avx2},
    {&pare__vec_avx512, has_avx512},
#elif defined(__aarch64__)
    {&pare__vec_neon, always},
#endif
};

enum { N_CANDIDATE = sizeof candidates / sizeof candidates[0] };

const pare__vec *pare__vec_at(int32_t i)
{
    for (int32_t c = 0; c < N_CANDIDATE; c++)
        if (candidates[c].runs() && i-- == 0) return candidates[c].table;
    return NULL;
}

const pare__vec *pare__vec_best(void)
{
    int32_t c = N_CANDIDATE - 1;
    while (!candidates[c].runs()) c--;
    return candidates[c].table;
}

/* ---- flags for people ----------------------------------------------------------------------------------------- */

static char flags_text[160];
static pthread_once_t flags_once = PTHREAD_ONCE_INIT;

static void add_flag(const char *name, int has)
{
    size_t used = strlen(flags_text);
    if (has) snprintf(flags_text + used, sizeof flags_text - used, "%s%s", used ? " " : "", name);
}

static void flags_build(void)
{
    add_flag("sse4.2", HAS("sse4.2"));
    add_flag("avx2", HAS("avx2"));
    add_flag("fma", HAS("fma"));
    add_flag("avx512f", HAS("avx512f"));
    add_flag("avx512bw", HAS("avx512bw"));
    add_flag("avx512dq", HAS("avx512dq"));
    add_flag("avx512vl", HAS("avx512vl"));
    add_flag("avx512_vnni", HAS("avx512vnni"));
    add_flag("avx512_bf16", HAS("avx512bf16"));
}

const char *pare__cpu_flags(void)
{
    pthread_once(&flags_once, flags_build);
    return flags_text;
}
