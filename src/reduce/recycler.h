/* SPDX-License-Identifier: MIT */
/* Memory of results that were freed, for the next ones of the same reducer: a stream that has warmed up allocates nothing.
 * Results outlive the reducer; the last of them takes the recycler with it. */
#ifndef PARE_REDUCE_RECYCLER_H
#define PARE_REDUCE_RECYCLER_H

#include "reduce/result.h"

typedef struct pare__recycler pare__recycler;

/* NULL on NOMEM. */
pare__recycler *pare__recycler_create(void);
/* The reducer's end: frees what is idle; what is in use frees itself later. */
void pare__recycler_close(pare__recycler **c);
/* A result that was used before, as it was left, or a zeroed one; NULL on NOMEM. */
pare_result *pare__recycler_take(pare__recycler *c);
/* 1: kept for later; 0: the caller destroys it. `c` may be gone after this. Any thread. */
int pare__recycler_give(pare__recycler *c, pare_result *r);

#endif
