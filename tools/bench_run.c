/* SPDX-License-Identifier: MIT */
/* One item (a photo or the frames of a clip) through every row of the bench: times, counts, agreement with the full
 * model (bench.h). Results are judged outside the timed part. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int cli_bench_reducer(const cli_bench *b, const cli_bench_row *row, pare_reducer **out, pare_error *err)
{
    const cli_budget budget = {.recipe = row->recipe, .keep = row->keep};
    pare_reducer_opts opts = cli_reducer_opts(b->c, &budget, b->layout, !b->video);
    opts.window = row->fresh ? b->window : 1;
    opts.custom = cli_own_custom(&b->own);
    if (row->keep >= 1) opts.keep = 0;
    return pare_reducer_create(out, b->model, &opts, err);
}

/* ---- one row over one item ------------------------------------------------------------------------------------ */

static int keep_result(cli_bench *b, pare_result *result)
{
    if (b->n_result == b->result_cap) {
        int64_t cap = b->result_cap > 0 ? 2 * b->result_cap : 16;
        pare_result **grown = realloc(b->result, (size_t)cap * sizeof *grown);
        if (grown == NULL) return -1;
        b->result = grown;
        b->result_cap = cap;
    }
    b->result[b->n_result++] = result;
    return 0;
}

static int pull_all(cli_bench *b, pare_reducer *reducer, pare_error *err)
{
    for (;;) {
        pare_result *result = NULL;
        int rc = pare_reducer_pull(reducer, &result, err);
        if (rc != 0) return rc < 0 ? rc : 0;
        if (keep_result(b, result) == 0) continue;
        pare_result_free(&result);
        return pare_fail(err, PARE_E_NOMEM, "out of memory for the results of a clip");
    }
}

static void drop_results(cli_bench *b)
{
    for (int64_t i = 0; i < b->n_result; i++) pare_result_free(&b->result[i]);
    b->n_result = 0;
}

static int push_item(cli_bench *b, cli_bench_row *row, pare_error *err)
{
    int rc = 0;
    for (int32_t i = 0; i < b->frames.n && rc == 0; i++) {
        pare_frame frame = b->frames.item[i];
        if (!row->scored) frame.scores = NULL;
        rc = pare_reducer_push(row->reducer, &frame, err);
        if (rc == 0) rc = pull_all(b, row->reducer, err);
    }
    if (rc == 0 && row->fresh) rc = pare_reducer_flush(row->reducer, err);
    if (rc == 0 && row->fresh) rc = pull_all(b, row->reducer, err);
    return rc;
}

static int add_sample(cli_bench_row *row, const double ms[CLI_BENCH_TIMES])
{
    if (row->n_sample == row->cap) {
        int64_t cap = row->cap > 0 ? 2 * row->cap : 256;
        for (int k = 0; k < CLI_BENCH_TIMES; k++) {
            float *grown = realloc(row->ms[k], (size_t)cap * sizeof *grown);
            if (grown == NULL) return -1;
            row->ms[k] = grown;
        }
        row->cap = cap;
    }
    for (int k = 0; k < CLI_BENCH_TIMES; k++) row->ms[k][row->n_sample] = (float)ms[k];
    row->n_sample++;
    return 0;
}

/* Pushes the item through the row and takes the times; results stay in b->result. */
static int time_row(cli_bench *b, cli_bench_row *row, int measured, pare_error *err)
{
    pare_reducer_stats before = {.struct_size = sizeof before}, after = before;
    int rc = row->reducer == NULL ? cli_bench_reducer(b, row, &row->reducer, err) : 0;
    if (rc == 0) rc = pare_reducer_get(row->reducer, &before, err);
    double t0 = cli_now();
    if (rc == 0) rc = push_item(b, row, err);
    double total = (cli_now() - t0) * 1e3, n = b->frames.n;
    if (rc == 0) rc = pare_reducer_get(row->reducer, &after, err);
    if (row->fresh || rc != 0) pare_reducer_close(&row->reducer);
    if (rc != 0 || !measured) return rc;
    const double ms[CLI_BENCH_TIMES] = {
        [CLI_BENCH_TOTAL] = total / n,
        [CLI_BENCH_PREP] = (after.prep_ms - before.prep_ms) / n,
        [CLI_BENCH_ENCODE] = (after.embed_ms - before.embed_ms + after.encode_ms - before.encode_ms) / n,
        [CLI_BENCH_SELECT] = (after.select_ms - before.select_ms) / n,
    };
    row->n_frames += b->frames.n;
    row->n_in += after.n_in - before.n_in;
    row->n_out += after.n_out - before.n_out;
    return add_sample(row, ms) == 0 ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory for the samples");
}

/* ---- accuracy and fidelity ------------------------------------------------------------------------------------ */

static int32_t best_class(const float *logits, int32_t n)
{
    int32_t best = -1;
    for (int32_t i = 0; logits != NULL && i < n; i++)
        if (best < 0 || logits[i] > logits[best]) best = i;
    return best;
}

static double cosine(const float *x, const float *y, int32_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (int32_t i = 0; i < n; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xy / sqrt(xx * yy);
}

static int reserve_reference(cli_bench *b, int32_t d)
{
    if (b->reference_cap >= b->frames.n) return 0;
    float *pooled = realloc(b->pooled, (size_t)b->frames.n * (size_t)d * sizeof *pooled);
    if (pooled != NULL) b->pooled = pooled;
    int32_t *best = realloc(b->best, (size_t)b->frames.n * sizeof *best);
    if (best != NULL) b->best = best;
    if (pooled == NULL || best == NULL) return -1;
    b->reference_cap = b->frames.n;
    return 0;
}

/* Row 0 becomes the reference; every row, row 0 included, is compared with it. */
static int judge(cli_bench *b, cli_bench_row *row, int32_t class_index)
{
    int64_t step = 0;
    for (int64_t i = 0; i < b->n_result; i++) {
        const pare_result_view *v = pare_result_get(b->result[i]);
        if (v->pooled == NULL) continue; /* nothing to compare: the table says n/a */
        if (row == b->row && reserve_reference(b, v->d) != 0) return -1;
        for (int32_t t = 0; t < v->grid[0] && step < b->reference_cap; t++, step++) {
            const float *pooled = v->pooled + (int64_t)t * v->d;
            int32_t best = best_class(v->logits != NULL ? v->logits + (int64_t)t * v->n_class : NULL, v->n_class);
            if (row == b->row) {
                memcpy(b->pooled + step * v->d, pooled, (size_t)v->d * sizeof *pooled);
                b->best[step] = best;
            }
            row->n_compared++;
            row->n_agree += best >= 0 && best == b->best[step];
            row->cosine += cosine(pooled, b->pooled + step * v->d, v->d);
            row->n_labelled += class_index >= 0 && best >= 0;
            row->n_right += class_index >= 0 && best == class_index;
        }
    }
    return 0;
}

int cli_bench_item(cli_bench *b, int32_t class_index, int measured)
{
    pare_error err = {0};
    for (int32_t i = 0; i < b->n_row; i++) {
        cli_bench_row *row = &b->row[i];
        if (*cli_stop_flag()) return CLI_STOPPED;
        int rc = time_row(b, row, measured, &err);
        if (rc == 0 && measured && judge(b, row, class_index) != 0)
            rc = pare_fail(&err, PARE_E_NOMEM, "out of memory for the reference");
        drop_results(b);
        if (rc == 0) continue;
        cli_say(b->c, "recipe %s at keep %.6g:", row->recipe, row->keep);
        return cli_fail(b->c, &err, CLI_FAILED);
    }
    return CLI_OK;
}

void cli_bench_free(cli_bench *b)
{
    drop_results(b);
    for (int32_t i = 0; i < b->n_row; i++) {
        pare_reducer_close(&b->row[i].reducer);
        for (int k = 0; k < CLI_BENCH_TIMES; k++) free(b->row[i].ms[k]);
    }
    free(b->row);
    free(b->result);
    free(b->pooled);
    free(b->best);
    cli_frames_free(&b->frames);
}
