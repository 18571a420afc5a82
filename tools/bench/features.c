/* SPDX-License-Identifier: MIT */
/* Features of a run, and the little arithmetic that judges them (task.h). */
#include <math.h>

#include "task.h"

int32_t bench_run_width(const bench_run *run) { return run->n_result > 0 ? pare_result_get(run->result[0])->d : 0; }

enum { MEAN_COLUMNS = 64 };

/* Columns [first, first + n) of the mean; sums in double. */
static void mean_columns(const bench_run *run, double total, int32_t first, int32_t n, float *out)
{
    double sum[MEAN_COLUMNS] = {0};
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        for (int64_t r = 0; r < v->k; r++)
            for (int32_t j = 0; j < n; j++) sum[j] += (double)v->sizes[r] * (double)v->embeds[r * v->d + first + j];
    }
    for (int32_t j = 0; j < n; j++) out[first + j] = (float)(sum[j] / total);
}

int bench_run_mean(const bench_run *run, float *out)
{
    const int32_t d = bench_run_width(run);
    double total = 0;
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        for (int64_t r = 0; r < v->k; r++) total += (double)v->sizes[r];
    }
    for (int32_t j = 0; total > 0 && j < d; j += MEAN_COLUMNS)
        mean_columns(run, total, j, d - j < MEAN_COLUMNS ? d - j : MEAN_COLUMNS, out);
    return total > 0;
}

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
