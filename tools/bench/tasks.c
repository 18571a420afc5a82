/* SPDX-License-Identifier: MIT */
/* The tasks of the bench (bench.h), in the order in which they are offered. */
#include "bench.h"

const bench_task *const bench_tasks[] = {
    &bench_task_photos, &bench_task_clips, &bench_task_retrieval, &bench_task_documents, &bench_task_counting, NULL,
};
