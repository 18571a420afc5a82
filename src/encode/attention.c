/* SPDX-License-Identifier: MIT */
/* Attention per segment and head: softmax(q k^T / sqrt(head_dim) + log size) v, as products in registers (core/mul.h). A
 * task packs keys and values of its segment and head once, then walks over tiles of queries: scores [queries, n], their
 * exponentials, values. Scores exist as one tile in a worker's scratch, never as n x n for all heads. Exponentials stay as
 * they are; what is made of them is multiplied by 1 / their sum instead.
 *
 * Segments are stretches of rows, or lists of rows (windows), which are gathered as they are packed. Column sums and CLS
 * rows are summed per head in query order, then over heads in order, so that threads do not change them.
 *
 * Between linear layers in 8 bits the products are of whole numbers (core/narrow.h) where that is faster: queries of 8 bits
 * per row, keys of 8 bits per head, values of 10 bits per channel, probabilities of 11 to 15 bits. What all keys of a head
 * have in common changes no probability: they are taken from the middle of their range, which makes their steps small. */
#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "encode/parts.h"

enum {
    ROWS_AHEAD = 8, /* of what is gathered: rows of a head lie too far apart for the CPU to see the next one coming */
    SCORE_FLOATS = 24 << 10, /* about the scores of a tile: in the second-level cache beside keys and values */
    MAX_QUERIES = 20 * PARE__MUL_MAX_ROWS,  /* of a tile */
    LINE = PARE__ALIGN / (int)sizeof(float) /* floats of a cache line */
};

/* Queries of a segment are shared among tasks where segments and heads alone make fewer than ENOUGH_TASKS, by PART_QUERIES
 * at least: each part packs again. */
enum { ENOUGH_TASKS = 64, PART_QUERIES = 512 };

/* Rows and channels of what may be whole numbers. Sums of VALUE_STEPS times probabilities stay below 2^31. */
enum {
    MAX_NARROW = 2048,
    MAX_NARROW_HEAD = 128,
    STEPS = 127,
    BYTE_ZERO = 128,
    VALUE_STEPS = 511,
    ROW_SUM = 4150000,
    MOST = 32767
};

typedef struct work {
    const pare__exec *ex;
    const pare__attention_job *job;
    int64_t n_task;
    int64_t n; /* rows of the pack */
} work;

/* One task: queries [first, last) of a segment, for one head. */
typedef struct span {
    int64_t seg, head, first, last;
    int64_t at, n; /* first place of the segment, how many */
    int64_t m;     /* rows that it attends to: its own, and those past */
} span;

/* A worker's scratch. */
typedef struct room {
    float *keys;    /* packed from [n, head_dim]^T */
    float *values;  /* packed from [n, head_dim] */
    float *queries; /* [MAX_QUERIES, head_dim]; the output of a tile takes their place */
    float *bias;    /* [n] log sizes of listed rows */
    float *share;   /* [MAX_QUERIES] 1 / sum of each row of scores */
    float *marks;   /* of whole numbers: what products with keys start from, int32 [n]; low and high of channels */
    float *scores;  /* [queries, n], ld floats between rows */
    int64_t ld;
    float step; /* of keys as whole numbers */
} room;

/* ---- shapes ---------------------------------------------------------------------------------------------------- */

/* Floats between rows of scores: an odd number of cache lines, so that the rows of a block do not share places of the
 * first-level cache. */
static int64_t score_ld(int64_t n) { return (pare__ceil_div(n, LINE) | 1) * LINE; }

/* Queries of a tile for a segment of n rows: whole blocks of the product. */
static int64_t tile_queries(int64_t n)
{
    const int64_t fit = SCORE_FLOATS / score_ld(n) / PARE__MUL_MAX_ROWS * PARE__MUL_MAX_ROWS;
    return pare__min64(pare__max64(fit, PARE__MUL_MAX_ROWS), MAX_QUERIES);
}

/* Floats of the arrays of a room, each a whole number of cache lines, for any table of products. */
typedef struct sizes {
    int64_t keys, values, queries, bias, share, marks, scores;
} sizes;

static sizes sizes_of(int64_t n, int64_t head_dim)
{
    return (sizes){.keys = pare__round_up(n, PARE__MUL_MAX_COLS) * head_dim,
                   .values = n * pare__round_up(head_dim, PARE__MUL_MAX_COLS),
                   .queries = MAX_QUERIES * head_dim,
                   .bias = pare__round_up(n, LINE),
                   .share = MAX_QUERIES,
                   .marks = pare__round_up(n, LINE) + 2 * pare__round_up(head_dim, LINE),
                   .scores = pare__max64(SCORE_FLOATS, PARE__MUL_MAX_ROWS * score_ld(n))};
}

int64_t pare__attention_scratch(int64_t n, int64_t head_dim)
{
    const sizes s = sizes_of(n, head_dim);
    return s.keys + s.values + s.queries + s.bias + s.share + s.marks + s.scores + LINE;
}

/* ---- tasks ----------------------------------------------------------------------------------------------------- */

static int64_t keys_of(const pare__attention_job *j, int64_t seg)
{
    const int64_t past = j->past ? j->past_cu[seg + 1] - j->past_cu[seg] : 0;
    return j->cu[seg + 1] - j->cu[seg] + past;
}

/* Only the first query of a segment makes a CLS row. */
static int64_t queries_of(const pare__attention_job *j, int64_t n)
{
    return j->out || j->col_mean ? n : pare__min64(n, 1);
}

/* Parts that the queries of a segment are cut into; column sums need their order. */
static int64_t parts_of(const work *w, int64_t n)
{
    const pare__attention_job *j = w->job;
    const int64_t n_query = queries_of(j, n);
    if (n_query == 0 || j->col_mean) return n_query > 0;
    const int64_t wanted = pare__ceil_div(ENOUGH_TASKS, (int64_t)j->n_seg * j->n_head);
    return pare__max64(1, pare__min64(wanted, n_query / PART_QUERIES));
}

static span find(const work *w, int64_t task)
{
    const pare__attention_job *j = w->job;
    span s = {.n = j->cu[1] - j->cu[0]};
    int64_t parts = parts_of(w, s.n);
    while (task >= parts * j->n_head) {
        task -= parts * j->n_head;
        s.seg++;
        s.n = j->cu[s.seg + 1] - j->cu[s.seg];
        parts = parts_of(w, s.n);
    }
    s.at = j->cu[s.seg];
    s.m = keys_of(j, s.seg);
    s.head = task / parts;
    s.first = pare__slice(queries_of(j, s.n), task % parts, parts);
    s.last = pare__slice(queries_of(j, s.n), task % parts + 1, parts);
    return s;
}

static room furnish(const work *w, const span *s, int32_t worker)
{
    const sizes size = sizes_of(s->m, w->job->head_dim);
    const uintptr_t scratch = (uintptr_t)(w->ex->scratch + worker * w->ex->scratch_size);
    room r = {.ld = score_ld(s->m)};
    r.keys = w->ex->scratch + worker * w->ex->scratch_size + (0 - scratch) % PARE__ALIGN / sizeof(float);
    r.values = r.keys + size.keys;
    r.queries = r.values + size.values;
    r.bias = r.queries + size.queries;
    r.share = r.bias + size.bias;
    r.marks = r.share + size.share;
    r.scores = r.marks + size.marks;
    return r;
}

/* ---- one task --------------------------------------------------------------------------------------------------- */

/* Row of the pack at place i of the segment. */
static int64_t row_at(const work *w, const span *s, int64_t i)
{
    return w->job->order ? w->job->order[s->at + i] : s->at + i;
}

/* Row i of what the segment attends to within k (part 1) or v, past its own. */
static const float *past_of(const work *w, const span *s, int64_t part, int64_t i)
{
    const pare__attention_job *j = w->job;
    const int64_t hd = j->head_dim, dim = j->n_head * hd, at = j->past_cu[s->seg] - s->n;
    const float *from = j->past + (part - 1) * dim + s->head * hd;
    const float *later = from + j->past_row[at + pare__min64(i + ROWS_AHEAD, s->m - 1)] * 2 * dim;
    for (int64_t c = 0; c < hd; c += LINE) __builtin_prefetch(later + c);
    return from + j->past_row[at + i] * 2 * dim;
}

/* Row i of the segment within q (part 0), k or v; asks for a later one. */
static const float *row_of(const work *w, const span *s, int64_t part, int64_t i)
{
    if (i >= s->n) return past_of(w, s, part, i);
    const int64_t hd = w->job->head_dim, dim = w->job->n_head * hd;
    const float *from = w->job->qkv + part * dim + s->head * hd;
    const float *later = from + row_at(w, s, pare__min64(i + ROWS_AHEAD, s->n - 1)) * 3 * dim;
    for (int64_t c = 0; c < hd; c += LINE) __builtin_prefetch(later + c);
    return from + row_at(w, s, i) * 3 * dim;
}

/* Rows [first, first + n) of the segment, of q (part 0) or k (1), side by side: to [n, head_dim]. */
static void gather(const work *w, const span *s, int64_t part, int64_t first, int64_t n, float *to)
{
    const int64_t hd = w->job->head_dim;
    for (int64_t i = 0; i < n; i++) memcpy(to + i * hd, row_of(w, s, part, first + i), (size_t)hd * sizeof *to);
}

/* Keys panel by panel, by way of the place of the queries; values row by row. */
static void pack(const work *w, const span *s, const room *r)
{
    const pare__mul *mul = w->ex->vec->mul;
    const int64_t hd = w->job->head_dim;
    for (int64_t i = 0; i < s->m; i += mul->cols) {
        const int64_t n = pare__min64(mul->cols, s->m - i);
        gather(w, s, 1, i, n, r->queries);
        mul->pack_t(r->keys + i * hd, r->queries, hd, hd, n);
    }
    for (int64_t i = 0; w->job->out && i < s->m; i++) mul->pack_row(r->values, row_of(w, s, 2, i), i, s->m, hd);
}

/* Log sizes of the segment's keys, or NULL. */
static const float *biases(const work *w, const span *s, const room *r)
{
    const pare__attention_job *j = w->job;
    if (!j->log_size || !j->order) return j->log_size ? j->log_size + s->at : NULL;
    for (int64_t i = 0; i < s->n; i++) r->bias[i] = j->log_size[row_at(w, s, i)];
    return r->bias;
}

static void scaled(float *to, const float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = scale * x[i];
}

/* Column sums and the CLS row of the tile of scores [rows, n] that starts at query `first`. */
static void keep_rows(const work *w, const span *s, const room *r, int64_t first, int64_t rows)
{
    const pare__attention_job *j = w->job;
    float *row = j->part + s->head * w->n + s->at;
    float *sum = j->part + (j->n_head + s->head) * w->n + s->at;
    if (j->cls_row && first == 0) scaled(row, r->scores, r->share[0], s->n);
    if (!j->col_mean) return;
    if (first == 0) memset(sum, 0, (size_t)s->n * sizeof *sum);
    for (int64_t i = 0; i < rows; i++) w->ex->vec->axpy(sum, r->share[i], r->scores + i * r->ld, s->n);
}

static void tile(const work *w, const span *s, const room *r, const float *bias, int64_t first, int64_t rows)
{
    const pare__vec *vec = w->ex->vec;
    const pare__attention_job *j = w->job;
    const int64_t hd = j->head_dim;
    const float scale = (float)(1 / sqrt((double)hd));
    gather(w, s, 0, first, rows, r->queries);
    vec->mul->run(rows, s->m, hd, r->queries, hd, r->keys, r->scores, r->ld);
    for (int64_t i = 0; i < rows; i++) r->share[i] = vec->softmax_raw(r->scores + i * r->ld, s->m, scale, bias);
    keep_rows(w, s, r, first, rows);
    if (!j->out) return;
    vec->mul->run(rows, hd, s->m, r->scores, r->ld, r->values, r->queries, hd);
    for (int64_t i = 0; i < rows; i++)
        scaled(j->out + row_at(w, s, first + i) * j->ldo + s->head * hd, r->queries + i * hd, r->share[i], hd);
}

/* ---- in whole numbers ------------------------------------------------------------------------------------------- */

static int is_narrow(const work *w, const span *s)
{
    const int32_t hd = w->job->head_dim;
    return w->ex->narrow && hd % 4 == 0 && hd <= MAX_NARROW_HEAD && s->m <= MAX_NARROW;
}

/* Bounds [head_dim] of the channels of k (part 1) or v: at most `low_most`, at least its negative. */
static void find_bounds(const work *w, const span *s, int64_t part, float low_most, float *low, float *high)
{
    const int64_t hd = w->job->head_dim;
    for (int64_t c = 0; c < hd; c++) {
        low[c] = low_most;
        high[c] = -low_most;
    }
    for (int64_t i = 0; i < s->m; i++) w->ex->narrow->extend(low, high, row_of(w, s, part, i), hd);
}

/* Keys from the middle of their channels' ranges, by way of the place of the queries; products start from what turns the
 * unsigned bytes of queries back. */
static void pack_narrow_keys(const work *w, const span *s, room *r)
{
    const pare__narrow *narrow = w->ex->narrow;
    const int64_t hd = w->job->head_dim;
    float *low = r->marks + pare__round_up(s->m, LINE), *high = low + pare__round_up(hd, LINE), reach = 0;
    int32_t *start = (int32_t *)(void *)r->marks;
    uint8_t *rows = (uint8_t *)(void *)r->queries;
    find_bounds(w, s, 1, INFINITY, low, high);
    for (int64_t c = 0; c < hd; c++) {
        reach = fmaxf(reach, high[c] / 2 - low[c] / 2);
        low[c] = high[c] / 2 + low[c] / 2;
    }
    const float factor = reach > 0 ? STEPS / reach : 0;
    for (int64_t i = 0; i < s->m; i += narrow->mul8->cols) {
        const int64_t n = pare__min64(narrow->mul8->cols, s->m - i);
        for (int64_t k = 0; k < n; k++)
            start[i + k] = -BYTE_ZERO * narrow->bytes(rows + k * hd, row_of(w, s, 1, i + k), low, hd, factor, 0);
        narrow->mul8->pack_t((int8_t *)(void *)r->keys + i * hd, (const int8_t *)rows, hd, n);
    }
    r->step = reach / STEPS;
}

/* Values, and the steps of their channels where the bounds of keys were. */
static void pack_narrow_values(const work *w, const span *s, const room *r)
{
    const pare__mul16 *mul = w->ex->narrow->mul16;
    const int64_t hd = w->job->head_dim;
    float *step = r->marks + pare__round_up(s->m, LINE), *inverse = step + pare__round_up(hd, LINE);
    find_bounds(w, s, 2, 0, step, inverse);
    for (int64_t c = 0; c < hd; c++) {
        step[c] = fmaxf(-step[c], inverse[c]) / VALUE_STEPS;
        inverse[c] = step[c] > 0 ? 1 / step[c] : 0;
    }
    for (int64_t i = 0; i < s->m; i += 2) {
        const float *second = i + 1 < s->m ? row_of(w, s, 2, i + 1) : NULL;
        mul->pack_pair((int16_t *)(void *)r->values, row_of(w, s, 2, i), second, inverse, i / 2, s->m, hd);
    }
}

static void pack_narrow(const work *w, const span *s, room *r)
{
    pack_narrow_keys(w, s, r);
    if (w->job->out) pack_narrow_values(w, s, r);
}

/* Queries [first, first + rows) as unsigned bytes [rows, head_dim] at their place, each row in steps of its own. */
static void narrow_queries(const work *w, const span *s, const room *r, int64_t first, int64_t rows)
{
    const pare__narrow *narrow = w->ex->narrow;
    const int64_t hd = w->job->head_dim;
    uint8_t *to = (uint8_t *)(void *)r->queries;
    for (int64_t i = 0; i < rows; i++) {
        const float *x = row_of(w, s, 0, first + i), peak = narrow->peak(x, hd);
        narrow->bytes(to + i * hd, x, NULL, hd, peak > 0 ? STEPS / peak : 0, BYTE_ZERO);
        r->share[i] = peak / STEPS;
    }
}

/* As keep_rows, of probabilities in whole numbers. */
static void keep_narrow_rows(const work *w, const span *s, const room *r, int64_t first, int64_t rows)
{
    const pare__attention_job *j = w->job;
    const int16_t *whole = (const int16_t *)(const void *)r->scores;
    float *row = j->part + s->head * w->n + s->at;
    float *sum = j->part + (j->n_head + s->head) * w->n + s->at;
    if (j->cls_row && first == 0) {
        memset(row, 0, (size_t)s->n * sizeof *row);
        w->ex->narrow->add(row, whole, s->n, r->share[0]);
    }
    if (!j->col_mean) return;
    if (first == 0) memset(sum, 0, (size_t)s->n * sizeof *sum);
    for (int64_t i = 0; i < rows; i++) w->ex->narrow->add(sum, whole + i * 2 * r->ld, s->n, r->share[i]);
}

/* Sums of products become probabilities in place. */
static void tile_narrow(const work *w, const span *s, const room *r, const float *bias, int64_t first, int64_t rows)
{
    const pare__narrow *narrow = w->ex->narrow;
    const pare__attention_job *j = w->job;
    const int64_t hd = j->head_dim;
    const float scale = r->step / (float)sqrt((double)hd);
    const float *step = r->marks + pare__round_up(s->m, LINE), most = fminf(MOST, (float)ROW_SUM / (float)s->m);
    int32_t *sums = (int32_t *)(void *)r->scores, *values = (int32_t *)(void *)r->queries;
    int16_t *whole = (int16_t *)(void *)r->scores;
    narrow_queries(w, s, r, first, rows);
    narrow->mul8->run(rows, s->m, hd, (const uint8_t *)r->queries, hd, (const int8_t *)r->keys,
                      (const int32_t *)r->marks, sums, r->ld);
    narrow->exponents(sums, r->ld, rows, s->m, scale, bias, most, r->share);
    keep_narrow_rows(w, s, r, first, rows);
    if (!j->out) return;
    narrow->mul16->run(rows, hd, s->m, whole, 2 * r->ld, (const int16_t *)(const void *)r->values, values, hd);
    for (int64_t i = 0; i < rows; i++)
        narrow->widen(j->out + row_at(w, s, first + i) * j->ldo + s->head * hd, values + i * hd, step, r->share[i], hd);
}

/* ---- all of a task ---------------------------------------------------------------------------------------------- */

static void run_task(void *arg, int64_t task, int32_t worker)
{
    const work *w = (const work *)arg;
    const span s = find(w, task);
    room r = furnish(w, &s, worker);
    const float *bias = biases(w, &s, &r);
    const int64_t step = tile_queries(s.m);
    const int narrow = is_narrow(w, &s);
    if (narrow)
        pack_narrow(w, &s, &r);
    else
        pack(w, &s, &r);
    for (int64_t i = s.first; i < s.last; i += step)
        (narrow ? tile_narrow : tile)(w, &s, &r, bias, i, pare__min64(step, s.last - i));
}

/* ---- the pack --------------------------------------------------------------------------------------------------- */

/* Mean over heads of one segment's rows; `row` [n] where they are not a stretch of `out`. */
static void head_mean(const work *w, const float *part, int64_t seg, int64_t divide, float *row, float *out)
{
    const pare__attention_job *j = w->job;
    const int64_t at = j->cu[seg], n = j->cu[seg + 1] - at;
    const float scale = (float)(1.0 / ((double)j->n_head * (double)divide));
    float *sum = j->order ? row : out + at;
    memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t h = 0; h < j->n_head; h++) w->ex->vec->axpy(sum, scale, part + h * w->n + at, n);
    for (int64_t i = 0; j->order && i < n; i++) out[j->order[at + i]] = sum[i];
}

/* Scores, and values where there is an output, of all pairs of a query and a row in a segment. */
static double count_flops(const pare__attention_job *j)
{
    double pairs = 0;
    for (int64_t s = 0; s < j->n_seg; s++) {
        const int64_t n = j->cu[s + 1] - j->cu[s];
        pairs += (double)queries_of(j, n) * (double)keys_of(j, s);
    }
    return (j->out ? 4.0 : 2.0) * pairs * j->n_head * j->head_dim;
}

void pare__attention_run(const pare__exec *ex, const pare__attention_job *job)
{
    work w = {.ex = ex, .job = job, .n = job->cu[job->n_seg]};
    for (int64_t s = 0; s < job->n_seg; s++) w.n_task += parts_of(&w, job->cu[s + 1] - job->cu[s]) * job->n_head;
    if (ex->flops) *ex->flops += count_flops(job);
    pare__pool_run(ex->pool, w.n_task, run_task, &w);
    for (int64_t s = 0; s < job->n_seg; s++) {
        const int64_t n = job->cu[s + 1] - job->cu[s];
        if (job->cls_row) head_mean(&w, job->part, s, 1, ex->scratch, job->cls_row);
        if (job->col_mean) head_mean(&w, job->part + job->n_head * w.n, s, n, ex->scratch, job->col_mean);
    }
}
