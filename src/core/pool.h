/* SPDX-License-Identifier: MIT */
/* The one level of parallelism: a fixed set of threads and a parallel for. Work is cut at a grain that depends on the
 * work only, never on the number of threads, so results do not either. The caller takes part. */
#ifndef PARE_CORE_POOL_H
#define PARE_CORE_POOL_H

#include <pare/pare.h>

typedef struct pare__pool pare__pool;

/* n_threads counts the caller; 1 starts none. 0 = CPUs in the affinity mask. */
int pare__pool_create(pare__pool **out, int32_t n_threads, pare_error *err);
void pare__pool_free(pare__pool **pool);
int32_t pare__pool_threads(const pare__pool *pool);
/* Calls fn(arg, task, worker) for task = 0..n_task-1, each once, tasks handed out in order; returns when all are done.
 * worker is in [0, threads). Not re-entrant. `pool` may be NULL: runs in the caller. */
typedef void (*pare__task_fn)(void *arg, int64_t task, int32_t worker);
void pare__pool_run(pare__pool *pool, int64_t n_task, pare__task_fn fn, void *arg);
/* First item of slice i when n items are cut into n_slice: 64-bit products. */
static inline int64_t pare__slice(int64_t n, int64_t i, int64_t n_slice) { return n * i / n_slice; }
/* CPUs this process may use. */
int32_t pare__cpu_count(void);

#endif
