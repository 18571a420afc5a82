/* SPDX-License-Identifier: MIT */
/* Rows of the encoder in the order of a stage. The encoder has units one after the other, patches of a unit within; the
 * implementations have patches in raster order [B, T, D], those with grids windows after windows [rows, D], and NaFlex pads
 * every picture to the same number of rows. */
#include <string.h>

#include "encode/parts.h"
#include "encode/trace_parts.h"

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

/* Row of patch i of the raster among the patches of a segment. */
static int64_t row_of_patch(const pare__segment *s, int64_t unit, int64_t i)
{
    const int64_t r = i / s->grid_w, c = i % s->grid_w;
    return (r / unit * (s->grid_w / unit) + c / unit) * unit * unit + r % unit * unit + c % unit;
}

/* Rows of segment s of a stage, `at` rows behind its first; returns how many. */
static int64_t list_segment(const pare__hparams *hp, pare__rows_kind kind, const pare__segment *s, int64_t at,
                            int32_t *out)
{
    const int64_t prefix = kind == PARE__ROWS_ALL ? hp->n_prefix : 0;
    const int64_t n = kind == PARE__ROWS_ALL ? s->n * hp->unit * hp->unit : s->n;
    for (int64_t i = 0; i < prefix && out; i++) out[i] = (int32_t)(at + i);
    for (int64_t i = 0; i < n && out; i++)
        out[prefix + i] = (int32_t)(at + prefix + (kind == PARE__ROWS_ALL ? row_of_patch(s, hp->unit, i) : i));
    return prefix + n;
}

/* Rows of the largest item, and of all. */
static int64_t count_rows(const pare__batch *b, pare__rows_kind kind, int64_t *most)
{
    int64_t total = 0;
    *most = b->width ? 0 : b->shape[1];
    for (int32_t i = 0; i < b->n; i++) {
        int64_t rows = 0;
        for (int32_t s = 0; s < b->n_step; s++)
            rows += list_segment(&b->m->hp, kind, &b->seg[i * b->n_step + s], 0, NULL);
        total += rows;
        if (rows > *most) *most = rows;
    }
    return total;
}

static int make_layout(const pare__batch *b, pare__rows_kind kind, pare__layout *l, pare_error *err)
{
    int64_t at = 0;
    const int64_t total = count_rows(b, kind, &l->rows), size = b->n * l->rows;
    l->n = b->n;
    if (size > INT32_MAX)
        return pare_fail(err, PARE_E_LIMIT, "%d pictures of %lld rows, at most %d", b->n, (long long)l->rows,
                         INT32_MAX);
    if (total == size && (b->m->hp.unit == 1 || kind == PARE__ROWS_UNITS)) return 0;
    l->order = (int32_t *)pare__malloc(size, (int64_t)sizeof *l->order);
    if (!l->order) return pare_fail(err, PARE_E_NOMEM, "out of memory for the order of %lld rows", (long long)size);
    for (int32_t i = 0; i < b->n; i++) {
        int32_t *out = l->order + i * l->rows;
        int64_t n = 0;
        for (int32_t s = 0; s < b->n_step; s++) {
            const int64_t rows = list_segment(&b->m->hp, kind, &b->seg[i * b->n_step + s], at, out + n);
            at += rows;
            n += rows;
        }
        for (; n < l->rows; n++) out[n] = -1;
    }
    return 0;
}

int pare__trace_layouts(pare__trace_run *t, pare_error *err)
{
    const int64_t patches = (int64_t)t->m->hp.unit * t->m->hp.unit;
    int rc = 0;
    if (t->is_flat) { /* the order of windows is the grids' */
        t->layout[PARE__ROWS_ALL] = (pare__layout){.rows = t->grids.n_row, .order = t->grids.order};
        t->layout[PARE__ROWS_UNITS] = (pare__layout){.rows = t->grids.n_row / patches};
        return 0;
    }
    for (int kind = 0; kind < PARE__ROWS_KINDS && !rc; kind++)
        rc = make_layout(&t->batch, (pare__rows_kind)kind, &t->layout[kind], err);
    return rc;
}

void pare__trace_layouts_free(pare__trace_run *t)
{
    for (int kind = 0; kind < PARE__ROWS_KINDS; kind++)
        if (t->layout[kind].order != t->grids.order) pare__free(t->layout[kind].order);
    pare__free(t->sorted);
}

/* ---- giving ------------------------------------------------------------------------------------------------------ */

int pare__trace_give(const pare__trace_run *t, const char *name, const float *data, const int64_t *shape, int32_t n_dim,
                     pare_error *err)
{
    pare_tensor s = {.name = name, .dtype = PARE_F32, .n_dim = n_dim, .data = data};
    memcpy(s.shape, shape, (size_t)n_dim * sizeof *shape);
    if (t->stage(t->user, &s) == 0) return 0;
    return pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at %s", name);
}

static int sort_rows(pare__trace_run *t, const pare__layout *l, int64_t n, const float *data, int64_t width,
                     pare_error *err)
{
    if (pare__grow((void **)&t->sorted, &t->cap_sorted, n * width, (int64_t)sizeof(float)))
        return pare_fail(err, PARE_E_NOMEM, "out of memory for a stage of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        if (l->order[i] < 0)
            memset(t->sorted + i * width, 0, (size_t)width * sizeof(float));
        else
            memcpy(t->sorted + i * width, data + l->order[i] * width, (size_t)width * sizeof(float));
    }
    return 0;
}

int pare__trace_rows(pare__trace_run *t, pare__rows_kind kind, const char *name, const float *data, int64_t width,
                     pare_error *err)
{
    const pare__layout *l = &t->layout[kind];
    const int is_row = strncmp(name, "attn.", 5) == 0;
    const int64_t shape[] = {l->n, l->rows, width};
    int rc = l->order ? sort_rows(t, l, (l->n ? l->n : 1) * l->rows, data, width, err) : 0;
    if (rc) return rc;
    return pare__trace_give(t, name, l->order ? t->sorted : data, l->n ? shape : shape + 1, (l->n ? 3 : 2) - is_row,
                            err);
}
