/* SPDX-License-Identifier: MIT */
#include "reduce/result.h"

#include <string.h>

void pare__result_free(pare_result **r)
{
    if (!r || !*r) return;
    pare_result *x = *r;
    pare__map_fini(&x->map);
    void *owned[] = {x->embeds, x->box,  x->sizes, x->prefix,      x->pooled, x->logits, x->scores,
                     x->place,  x->kind, x->index, x->frame_start, x->pts,    x->fit};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) pare__free(owned[i]);
    pare__free(x);
    *r = NULL;
}

/* Copies n elements if there are any; 0 also when `from` is NULL. */
static int copy(void *to_ptr, const void *from, int64_t n, int64_t size)
{
    void **to = to_ptr;
    if (!from) return 0;
    *to = pare__malloc(n > 0 ? n : 1, size);
    if (!*to) return PARE_E_NOMEM;
    if (n > 0) memcpy(*to, from, (size_t)(n * size));
    return 0;
}

static int copy_frames(pare_result *r, const pare__window_out *w)
{
    const int64_t t = w->rows->n_frame, d = w->rows->d;
    int rc = copy(&r->prefix, w->n_prefix ? w->prefix : NULL, t * w->n_prefix * d, sizeof(float));
    if (!rc) rc = copy(&r->pooled, w->pooled, t * d, sizeof(float));
    if (!rc) rc = copy(&r->logits, w->logits, t * w->n_class, sizeof(float));
    if (!rc) rc = copy(&r->pts, w->pts, 2 * t, sizeof(double));
    if (!rc) rc = copy(&r->fit, w->fit, t, sizeof(pare__fit));
    if (!rc) rc = copy(&r->frame_start, w->rows->frame_start, t + 1, sizeof(int64_t));
    return rc;
}

static int has_score(const float *score, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (score[i] == score[i]) return 1;
    return 0;
}

static int copy_rows(pare_result *r, const pare__window_out *w)
{
    const pare__rows *rows = w->rows;
    const int64_t k = rows->n, n = rows->total.m.n_in;
    int rc = copy(&r->embeds, rows->x, k * rows->d, sizeof(float));
    if (!rc && w->score && has_score(w->score, n)) rc = copy(&r->scores, w->score, n, sizeof(float));
    if (!rc) rc = pare__map_copy(&rows->total.m, &r->map);
    if (rc) return rc;
    r->place = pare__malloc(6 * k + 1, sizeof(int32_t));
    r->box = pare__calloc(4 * k + 1, sizeof(float));
    r->kind = pare__calloc(k + 1, 1);
    r->index = pare__malloc(k + 1, sizeof(int64_t));
    r->sizes = pare__malloc(k + 1, sizeof(float));
    return r->place && r->box && r->kind && r->index && r->sizes ? 0 : PARE_E_NOMEM;
}

/* Patches that a row stands for: its members where they differ from R, else what was merged. */
static float represented(const pare_map *m, int64_t row)
{
    if (!m->member_start) return m->size[row];
    const int64_t run = m->member_start[row + 1] - m->member_start[row];
    return (float)run > m->size[row] ? (float)run : m->size[row];
}

static void locate(pare_result *r, const pare__window_out *w, int64_t row)
{
    const int32_t *thw = w->rows->thw + 3 * row;
    const int32_t place[6] = {0, 0, w->t0 + thw[0], thw[1], thw[2], 0};
    memcpy(r->place + 6 * row, place, sizeof place);
    r->index[row] = (int64_t)w->t0 * w->grid_h * w->grid_w + r->map.m.anchor[row];
    r->sizes[row] = represented(&r->map.m, row);
    if (!w->fit) return;
    const float u = (float)w->unit_px;
    const float rect[4] = {(float)thw[2] * u, (float)thw[1] * u, (float)(thw[2] + 1) * u, (float)(thw[1] + 1) * u};
    pare__fit_stored(&w->fit[thw[0]], rect, r->box + 4 * row);
}

static void fill_view(pare_result *r, const pare__window_out *w)
{
    r->unit_px = w->unit_px;
    r->view = (pare_result_view){.first_frame = w->t0,
                                 .grid = {w->rows->n_frame, w->grid_h, w->grid_w},
                                 .unit = w->unit,
                                 .n_prefix = w->n_prefix,
                                 .d = w->rows->d,
                                 .n_class = w->n_class,
                                 .n = r->map.m.n_in,
                                 .k = r->map.m.n_out,
                                 .embeds = r->embeds,
                                 .place = r->place,
                                 .box = r->box,
                                 .kind = r->kind,
                                 .index = r->index,
                                 .sizes = r->sizes,
                                 .pts = r->pts,
                                 .frame_start = r->frame_start,
                                 .prefix = r->prefix,
                                 .pooled = r->pooled,
                                 .logits = r->logits,
                                 .scores = r->scores,
                                 .map = r->map.m};
}

int pare__result_make(pare_result **out, const pare__window_out *w)
{
    pare_result *r = PARE__NEW(pare_result, 1);
    if (!r) return PARE_E_NOMEM;
    int rc = copy_frames(r, w);
    if (!rc) rc = copy_rows(r, w);
    if (rc) {
        pare__result_free(&r);
        return rc;
    }
    for (int64_t i = 0; i < w->rows->n; i++) locate(r, w, i);
    fill_view(r, w);
    *out = r;
    return 0;
}
