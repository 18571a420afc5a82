/* SPDX-License-Identifier: MIT */
/* The tasks of the bench (bench.h), in the order in which they are offered. */
#include "bench.h"

#include <string.h>

const bench_task *const bench_tasks[] = {
    &bench_task_photos, &bench_task_clips, &bench_task_retrieval, &bench_task_documents, &bench_task_counting, NULL,
};

const bench_task *bench_task_find(const char *name)
{
    for (int i = 0; name != NULL && bench_tasks[i] != NULL; i++)
        if (strcmp(bench_tasks[i]->name, name) == 0) return bench_tasks[i];
    return NULL;
}
