/* SPDX-License-Identifier: MIT */
/* Means of what is left of a run, and the little arithmetic that judges them (task.h). */
#include <math.h>

#include "task.h"

int32_t bench_run_width(const bench_run *run) { return run->n_result > 0 ? pare_result_get(run->result[0])->d : 0; }

/* ---- means ---------------------------------------------------------------------------------------------------- */

enum { COLUMNS = 64 };

/* Columns [first, first + n) of a weighted mean in the making, in double. */
typedef struct block {
    double sum[COLUMNS], weight;
    int32_t first, n;
} block;

static block block_at(int32_t first, int32_t d)
{
    return (block){.first = first, .n = d - first < COLUMNS ? d - first : COLUMNS};
}

/* Adds rows [first, end), each as many times as patches that it stands for. */
static void add_rows(block *b, const pare_result_view *v, int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++) {
        const float *row = v->embeds + i * v->d + b->first;
        const double size = (double)v->sizes[i];
        b->weight += size;
        for (int32_t j = 0; j < b->n; j++) b->sum[j] += size * (double)row[j];
    }
}

/* 1 and its part of the mean [d], or 0: nothing was added. */
static int take_mean(const block *b, float *mean)
{
    for (int32_t j = 0; b->weight > 0 && j < b->n; j++) mean[b->first + j] = (float)(b->sum[j] / b->weight);
    return b->weight > 0;
}

int bench_slot_mean(const pare_result_view *v, int32_t t, float *out)
{
    int has_rows = 1;
    for (int32_t at = 0; has_rows && at < v->d; at += COLUMNS) {
        block b = block_at(at, v->d);
        add_rows(&b, v, v->row_start[t], v->row_start[t + 1]);
        has_rows = take_mean(&b, out);
    }
    return has_rows;
}

int bench_run_mean(const bench_run *run, float *out)
{
    const int32_t d = bench_run_width(run);
    int has_rows = run->n_result > 0;
    for (int32_t at = 0; has_rows && at < d; at += COLUMNS) {
        block b = block_at(at, d);
        for (int64_t i = 0; i < run->n_result; i++) {
            const pare_result_view *v = pare_result_get(run->result[i]);
            add_rows(&b, v, 0, v->k);
        }
        has_rows = take_mean(&b, out);
    }
    return has_rows;
}

/* ---- judges --------------------------------------------------------------------------------------------------- */

int32_t bench_argmax(const float *x, int32_t n)
{
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++)
        if (best < 0 || x[i] > x[best]) best = i;
    return best;
}

double bench_cosine(const float *x, const float *y, int32_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (int32_t i = 0; i < n; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    if (xx <= 0 || yy <= 0) return xx <= 0 && yy <= 0;
    return xy / sqrt(xx * yy);
}
