/* SPDX-License-Identifier: MIT */
/* Conversion of a checkpoint: pieces of a fixed size over a pool that lives as long as the run. Each piece is converted
 * and looked at in steps that stay in the first cache. */
#include "model/lift.h"

#include <string.h>

#include "core/pool.h"
#include "model/store.h"

/* Elements: whole blocks of every dtype. A piece is large against the pages that the kernel maps around a fault. */
enum { PIECE = 1 << 18, STEP = 1 << 12, MAX_WORKERS = 8 };

int pare__lift_add(pare__lift *l, const pare_tensor *t, const char *name, float *to, const pare__layout *how)
{
    const int64_t n = pare__tensor_count(t);
    const pare__layout dense = {.inner = n, .stride = n};
    for (int64_t from = 0; from < n; from += PIECE) {
        if (pare__grow((void **)&l->piece, &l->cap_piece, l->n_piece + 1, sizeof *l->piece)) return PARE_E_NOMEM;
        l->piece[l->n_piece++] = (pare__piece){.t = t,
                                               .name = name,
                                               .from = from,
                                               .n = n - from < PIECE ? n - from : PIECE,
                                               .to = to,
                                               .how = how ? *how : dense};
    }
    l->n_float += n;
    return 0;
}

/* Looks at the exponent bits, so that the loop is plain integer arithmetic. */
static int is_finite(const float *x, int64_t n)
{
    int n_bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        n_bad |= (bits & 0x7f800000U) == 0x7f800000U;
    }
    return !n_bad;
}

/* x [n] are elements from .. from + n of the tensor: runs of `inner`, `stride` apart. */
static void scatter(const pare__piece *p, int64_t from, const float *x, int64_t n)
{
    const int64_t inner = p->how.inner;
    for (int64_t at = from, end = from + n; at < end;) {
        const int64_t col = at % inner, left = inner - col;
        const int64_t run = left < end - at ? left : end - at;
        memcpy(p->to + at / inner * p->how.stride + col, x + (at - from), (size_t)run * sizeof *x);
        at += run;
    }
}

/* The same, turned. */
static void turn(const pare__piece *p, int64_t from, const float *x, int64_t n)
{
    const int64_t rows = p->how.rows, cols = p->how.cols;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = from + i, inside = at % (rows * cols);
        p->to[at - inside + inside % cols * rows + inside / cols] = x[i];
    }
}

/* 1 if all of the step is finite. */
static int lift_step(const pare__piece *p, int64_t from, int64_t n)
{
    float part[STEP];
    if (!p->to) return is_finite((const float *)p->t->data + from, n);
    float *x = p->how.inner == p->how.stride && !p->how.rows ? p->to + from : part;
    pare__tensor_f32_part(p->t, from, n, x);
    if (p->how.plus != 0.0F)
        for (int64_t i = 0; i < n; i++) x[i] += p->how.plus;
    if (x == part && p->how.rows) turn(p, from, x, n);
    if (x == part && !p->how.rows) scatter(p, from, x, n);
    return is_finite(x, n);
}

typedef struct lifting {
    pare__piece *piece;
    const pare__store *s;
} lifting;

static void lift_piece(void *arg, int64_t task, int32_t worker)
{
    const lifting *job = arg;
    pare__piece *p = &job->piece[task];
    const int64_t end = p->from + p->n;
    (void)worker;
    for (int64_t at = p->from; at < end; at += STEP) p->is_bad |= !lift_step(p, at, end - at < STEP ? end - at : STEP);
    if (!p->to || !job->s) return;
    const uint8_t *bytes = (const uint8_t *)p->t->data + pare__dtype_bytes(p->t->dtype, p->from);
    pare__store_drop(job->s, bytes, pare__dtype_bytes(p->t->dtype, p->n));
}

/* NULL for little work, and where no thread can be started: threads are a help, not a need. */
static pare__pool *make_pool(int64_t n_float)
{
    pare__pool *pool = NULL;
    int64_t n = pare__cpu_count() < MAX_WORKERS ? pare__cpu_count() : MAX_WORKERS;
    if (n > n_float / PIECE) n = n_float / PIECE;
    if (n > 1) pare__pool_create(&pool, (int32_t)n, NULL);
    return pool;
}

int pare__lift_run(pare__lift *l, const pare__store *s, const char *path, pare_error *err)
{
    lifting job = {l->piece, s};
    pare__pool *pool = make_pool(l->n_float);
    pare__pool_run(pool, l->n_piece, lift_piece, &job);
    pare__pool_free(&pool);
    for (int64_t i = 0; i < l->n_piece; i++)
        if (l->piece[i].is_bad)
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %s holds a NaN or an infinity", path, l->piece[i].name);
    return 0;
}

void pare__lift_again(const pare__lift *l, const pare__store *s, const float *x, int64_t n)
{
    lifting job = {l->piece, s};
    for (int64_t i = 0; i < l->n_piece; i++)
        if (l->piece[i].to && l->piece[i].to >= x && l->piece[i].to < x + n) lift_piece(&job, i, 0);
}

void pare__lift_fini(pare__lift *l)
{
    pare__free(l->piece);
    *l = (pare__lift){0};
}
