/* SPDX-License-Identifier: MIT */
/* A flag that any thread, or a signal handler, may set: `volatile int` because callers own it. */
#ifndef PARE_CORE_STOP_H
#define PARE_CORE_STOP_H

#include <stddef.h>

/* `stop` may be NULL. */
static inline int pare__is_asked(const volatile int *stop)
{
    return stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

static inline void pare__ask(volatile int *stop) { __atomic_store_n(stop, 1, __ATOMIC_RELAXED); }

#endif
