/* SPDX-License-Identifier: MIT */
/* Wall clock for stage times; results never depend on it. */
#ifndef PARE_CORE_CLOCK_H
#define PARE_CORE_CLOCK_H

#include <time.h>

/* Milliseconds since some fixed moment. */
static inline double pare__now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

#endif
