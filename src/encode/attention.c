/* SPDX-License-Identifier: MIT */
/* Attention per segment and head: softmax(q k^T / sqrt(head_dim) + log size) v. Scores exist as one tile [queries, n]
 * in a worker's scratch, never as n x n for all heads. Segments are stretches of rows, or lists of rows (windows), which
 * a worker gathers head by head. Column means and CLS rows are summed per head in query order, then
 * over heads in order, so that threads do not change them. */
#include <math.h>
#include <string.h>

#include "encode/parts.h"

enum { MAX_QUERIES = 256 };

typedef struct work {
    const pare__exec *ex;
    const pare__attention_job *job;
    int64_t n_task;
    int64_t n; /* rows of the pack */
    int whole; /* a task takes all queries of its segment: column sums need their order, gathering happens once */
} work;

/* Rows of one segment and head: where they lie, or where they were gathered. */
typedef struct lane {
    const float *q, *k, *v; /* [n, head_dim], ld floats between rows */
    int64_t ld;
    float *out; /* [n, head_dim], ldo floats between rows; NULL = none */
    int64_t ldo;
    const float *bias; /* [n] or NULL */
} lane;

/* One task: queries [first, last) of a segment, for one head. */
typedef struct span {
    int64_t seg, head, first, last;
} span;

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Queries of a tile for a segment of n rows: about SCORE_FLOATS of scores. */
static int64_t tile_queries(int64_t n)
{
    int64_t fit = PARE__SCORE_FLOATS / (n + 1);
    return fit < 1 ? 1 : min64(fit, MAX_QUERIES);
}

static int64_t tasks_of(const work *w, int64_t seg)
{
    int64_t n = w->job->cu[seg + 1] - w->job->cu[seg], q = tile_queries(n);
    return w->job->n_head * (w->whole && n > 0 ? 1 : (n + q - 1) / q);
}

static span find(const work *w, int64_t task)
{
    span s = {0};
    for (int64_t n = tasks_of(w, 0); task >= n; n = tasks_of(w, s.seg)) {
        task -= n;
        s.seg++;
    }
    int64_t n = w->job->cu[s.seg + 1] - w->job->cu[s.seg], q = tile_queries(n);
    s.head = task % w->job->n_head;
    s.first = w->whole ? 0 : task / w->job->n_head * q;
    s.last = w->whole ? n : min64(s.first + q, n);
    return s;
}

/* Column sums and the CLS row of one tile of attention [rows, n]. */
static void keep_rows(const work *w, const span *s, int64_t first, int64_t rows, const float *p, int64_t n)
{
    const pare__attention_job *j = w->job;
    float *row = j->part + s->head * w->n + j->cu[s->seg];
    float *sum = j->part + (j->n_head + s->head) * w->n + j->cu[s->seg];
    if (j->cls_row && first == 0) memcpy(row, p, (size_t)n * sizeof(float));
    if (!j->col_mean) return;
    if (first == 0) memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++) w->ex->vec->bias(sum, p + r * n, n);
}

static lane lie(const work *w, const span *s)
{
    const pare__attention_job *j = w->job;
    const int64_t at = j->cu[s->seg], hd = j->head_dim, dim = j->n_head * hd, ld = 3 * dim;
    const float *q = j->qkv + at * ld + s->head * hd;
    return (lane){.q = q,
                  .k = q + dim,
                  .v = q + 2 * dim,
                  .ld = ld,
                  .out = j->out ? j->out + at * dim + s->head * hd : NULL,
                  .ldo = dim,
                  .bias = j->log_size ? j->log_size + at : NULL};
}

/* Copies the rows into room [n, 3 head_dim] and their biases behind them. The output takes the place of the queries,
 * which a tile no longer needs by then. */
static lane gather(const work *w, const span *s, int64_t n, float *room)
{
    const pare__attention_job *j = w->job;
    const int32_t *order = j->order + j->cu[s->seg];
    const int64_t hd = j->head_dim, dim = j->n_head * hd;
    float *bias = room + n * 3 * hd;
    for (int64_t i = 0; i < n; i++) {
        const float *from = j->qkv + order[i] * (3 * dim) + s->head * hd;
        for (int64_t part = 0; part < 3; part++)
            memcpy(room + (3 * i + part) * hd, from + part * dim, (size_t)hd * sizeof(float));
        bias[i] = j->log_size ? j->log_size[order[i]] : 0.0f;
    }
    return (lane){.q = room,
                  .k = room + hd,
                  .v = room + 2 * hd,
                  .ld = 3 * hd,
                  .out = j->out ? room : NULL,
                  .ldo = 3 * hd,
                  .bias = j->log_size ? bias : NULL};
}

static void scatter(const work *w, const span *s, int64_t n, const lane *l)
{
    const pare__attention_job *j = w->job;
    const int32_t *order = j->order + j->cu[s->seg];
    const int64_t hd = j->head_dim, dim = j->n_head * hd;
    for (int64_t i = 0; i < n; i++)
        memcpy(j->out + order[i] * dim + s->head * hd, l->out + i * l->ldo, (size_t)hd * sizeof(float));
}

static void tile(const work *w, const span *s, const lane *l, int64_t first, int64_t rows, int64_t n, float *scores)
{
    const pare__gemm *gemm = w->ex->gemm;
    const int64_t hd = w->job->head_dim;
    float scale = (float)(1 / sqrt((double)hd));
    gemm->nt(rows, n, hd, 1.0f, l->q + first * l->ld, l->ld, l->k, l->ld, 0.0f, scores, n);
    for (int64_t r = 0; r < rows; r++) w->ex->vec->softmax(scores + r * n, n, scale, l->bias);
    keep_rows(w, s, first, rows, scores, n);
    if (l->out) gemm->nn(rows, hd, n, 1.0f, scores, n, l->v, l->ld, 0.0f, l->out + first * l->ldo, l->ldo);
}

static void run_task(void *arg, int64_t task, int32_t worker)
{
    const work *w = (const work *)arg;
    span s = find(w, task);
    int64_t n = w->job->cu[s.seg + 1] - w->job->cu[s.seg], q = tile_queries(n);
    float *scores = w->ex->scratch + worker * w->ex->scratch_size;
    lane l;
    if (w->job->order) {
        l = gather(w, &s, n, scores);
        scores += n * (3 * (int64_t)w->job->head_dim + 1);
    } else {
        l = lie(w, &s);
    }
    for (int64_t first = s.first; first < s.last; first += q)
        tile(w, &s, &l, first, min64(q, s.last - first), n, scores);
    if (w->job->order && l.out) scatter(w, &s, n, &l);
}

/* Mean over heads of one segment's rows; `room` [n] where they are not a stretch of `out`. */
static void head_mean(const work *w, const float *part, int64_t seg, int64_t divide, float *room, float *out)
{
    const pare__attention_job *j = w->job;
    int64_t at = j->cu[seg], n = j->cu[seg + 1] - at;
    float scale = (float)(1.0 / ((double)j->n_head * (double)divide)), *sum = j->order ? room : out + at;
    memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t h = 0; h < j->n_head; h++) w->ex->vec->axpy(sum, scale, part + h * w->n + at, n);
    for (int64_t i = 0; j->order && i < n; i++) out[j->order[at + i]] = sum[i];
}

/* Scores, and values where there is an output, of all pairs of rows in a segment. */
static double count_flops(const pare__attention_job *j)
{
    double pairs = 0;
    for (int64_t s = 0; s < j->n_seg; s++) {
        const double n = (double)(j->cu[s + 1] - j->cu[s]);
        pairs += n * n;
    }
    return (j->out ? 4.0 : 2.0) * pairs * j->n_head * j->head_dim;
}

void pare__attention_run(const pare__exec *ex, const pare__attention_job *job)
{
    work w = {.ex = ex, .job = job, .n = job->cu[job->n_seg], .whole = job->col_mean || job->order};
    for (int64_t s = 0; s < job->n_seg; s++) w.n_task += tasks_of(&w, s);
    if (ex->flops) *ex->flops += count_flops(job);
    pare__pool_run(ex->pool, w.n_task, run_task, &w);
    for (int64_t s = 0; s < job->n_seg; s++) {
        int64_t n = job->cu[s + 1] - job->cu[s];
        if (job->cls_row) head_mean(&w, job->part, s, 1, ex->scratch, job->cls_row);
        if (job->col_mean) head_mean(&w, job->part + job->n_head * w.n, s, n, ex->scratch, job->col_mean);
    }
}
