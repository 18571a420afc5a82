/* SPDX-License-Identifier: MIT */
/* Attention windows: unit (row, col) belongs to window (row / w, col / w) of its segment, by its ORIGINAL place, so that
 * what is left after a reduction attends where it always did. Rows are listed window by window (row-major, windows
 * without rows left out), stable within: a counting sort of units, spread over their patches. */
#include <string.h>

#include "encode/parts.h"

int pare__windows_reserve(pare__windows *w, int32_t window, int64_t grid_h, int64_t grid_w)
{
    const int64_t n = ((grid_h + window - 1) / window) * ((grid_w + window - 1) / window);
    return pare__grow((void **)&w->count, &w->cap_count, n + 1, (int64_t)sizeof *w->count);
}

typedef struct shape {
    int64_t size, rows, cols; /* units a side; windows that the places of the segment span */
} shape;

static int64_t window_of(const shape *s, const int32_t *thw) { return thw[1] / s->size * s->cols + thw[2] / s->size; }

static shape span_of(const pare__pack *p, int32_t seg, int64_t size)
{
    shape s = {.size = size, .rows = 1, .cols = 1};
    for (int64_t u = p->ucu[seg]; u < p->ucu[seg + 1]; u++) {
        const int64_t row = p->thw[3 * u + 1] / size + 1, col = p->thw[3 * u + 2] / size + 1;
        s.rows = row > s.rows ? row : s.rows;
        s.cols = col > s.cols ? col : s.cols;
    }
    return s;
}

/* Starts of the segment's windows from their counts of units: `count` becomes the next free place of each. */
static void open_windows(const pare__pack *p, pare__windows *w, const shape *s)
{
    for (int64_t i = 0; i < s->rows * s->cols; i++) {
        const int64_t rows = w->count[i] * p->patches, start = w->cu[w->n];
        w->count[i] = start;
        if (rows > 0) w->cu[++w->n] = start + rows;
    }
}

static void list_segment(const pare__pack *p, pare__windows *w, int32_t seg, int64_t size)
{
    const shape s = span_of(p, seg, size);
    memset(w->count, 0, (size_t)(s.rows * s.cols) * sizeof *w->count);
    for (int64_t u = p->ucu[seg]; u < p->ucu[seg + 1]; u++) w->count[window_of(&s, p->thw + 3 * u)]++;
    open_windows(p, w, &s);
    int64_t row = p->cu[seg];
    for (int64_t u = p->ucu[seg]; u < p->ucu[seg + 1]; u++) {
        int64_t *at = &w->count[window_of(&s, p->thw + 3 * u)];
        for (int32_t i = 0; i < p->patches; i++) w->order[(*at)++] = (int32_t)row++;
    }
}

const pare__windows *pare__windows_get(pare__encoder *e)
{
    pare__windows *w = &e->windows;
    if (w->ready) return w;
    w->n = 0;
    w->cu[0] = 0;
    for (int32_t seg = 0; seg < e->pack.n_seg; seg++) list_segment(&e->pack, w, seg, e->m->hp.window);
    w->ready = 1;
    return w;
}
