/* SPDX-License-Identifier: MIT */
/* The pack cut into stretches: consecutive segments (or groups of segments) of together about STRETCH_ROWS rows, which a
 * worker carries through a block alone, so that what lies between two steps stays in its caches and nobody waits.
 *
 *     stretches 0 .. whole-1    side by side, each by one worker on a desk of its own
 *     whole .. n-1              one after the other, the workers share the steps of each
 *
 * Nothing crosses a stretch within a block. Where stretches begin, and how the steps cut theirs, depends on the shape
 * only; who computes them depends on the threads, and changes nothing of what they become. */
#include "encode/parts.h"

enum { STRETCH_ROWS = 192 }; /* few enough for caches; products of so many rows are as fast as those of more */

/* ---- cut ---------------------------------------------------------------------------------------------------------- */

/* Segments of the pack by extent of attention: one each, or the group that attends to each other. */
static int32_t count_extents(const pare__encoder *e) { return e->groups.n ? e->groups.n : e->pack.n_seg; }
static int32_t segment_of(const pare__encoder *e, int32_t extent)
{
    return e->groups.n ? e->groups.first[extent] : extent;
}
static int64_t row_of(const pare__encoder *e, int32_t extent) { return e->pack.cu[segment_of(e, extent)]; }

/* The extents [first, end) as stretch s; `cu` has room for one bound more than extents. */
static void lay(const pare__encoder *e, pare__stretch *s, int32_t first, int32_t end, int64_t *cu)
{
    *s = (pare__stretch){.row = row_of(e, first),
                         .seg = segment_of(e, first),
                         .n_seg = segment_of(e, end) - segment_of(e, first),
                         .n_extent = end - first,
                         .cu = cu};
    s->n = row_of(e, end) - s->row;
    for (int32_t i = first; i <= end; i++) *cu++ = row_of(e, i) - s->row;
}

/* Stretches of about equal length, even in number: two threads share them evenly. Windows list rows of the whole pack:
 * there it is one. */
static int64_t count_wanted(const pare__encoder *e)
{
    return e->m->hp.window ? 1 : pare__max64(e->pack.n / (2 * STRETCH_ROWS) * 2, 1);
}

/* A stretch ends at the bound that is nearest to its share of the pack; empty segments at the end join the last one. */
void pare__stretches_cut(pare__encoder *e)
{
    const int32_t n_extent = count_extents(e);
    const int64_t wanted = count_wanted(e), n = pare__max64(e->pack.n, 1);
    int64_t *cu = e->stretches.cu;
    e->stretches.n = 0;
    for (int32_t first = 0, end = 0; first < n_extent; first = end) {
        const int64_t share = (2 * row_of(e, first) * wanted + n) / (2 * n), to = pare__slice(n, share + 1, wanted);
        do end++;
        while (end < n_extent && (row_of(e, end) + row_of(e, end + 1) < 2 * to || row_of(e, end) == n));
        lay(e, &e->stretches.at[e->stretches.n++], first, end, cu);
        cu += end - first + 1;
    }
}

/* ---- run ---------------------------------------------------------------------------------------------------------- */

typedef struct work {
    const pare__encoder *e;
    pare__stretch_fn fn;
    const void *arg;
    int64_t slot; /* rows of a desk */
} work;

static void run_alone(void *arg, int64_t task, int32_t worker)
{
    const work *w = (const work *)arg;
    const pare__encoder *e = w->e;
    const int64_t row = worker * w->slot;
    pare__stretch *s = &e->stretches.at[task];
    pare__desk d = {e->ex, e->wide + row * e->wide_width, e->h + row * pare__float_stride(e->pack.d)};
    d.ex.pool = NULL;
    d.ex.scratch += worker * e->ex.scratch_size;
    d.ex.operand += row * e->operand_width;
    d.ex.row_scale += row;
    d.ex.row_zero += row;
    d.ex.flops = &s->flops;
    w->fn(w->arg, s, &d);
}

/* Stretches that go side by side: as many for every thread, if their rows fit the desks and none keeps the others
 * waiting for more than a quarter of the time. */
static int32_t count_whole(const pare__encoder *e, int32_t threads, int64_t slot)
{
    const int32_t whole = e->stretches.n / threads * threads;
    int64_t longest = 0, rows = 0;
    for (int32_t i = 0; i < whole; i++) {
        longest = pare__max64(longest, pare__round_up(e->stretches.at[i].n, PARE__GRAIN_ROWS));
        rows += e->stretches.at[i].n;
    }
    return longest <= slot && 4 * longest * threads <= 5 * rows + 4 * PARE__GRAIN_ROWS * threads ? whole : 0;
}

void pare__stretches_run(const pare__encoder *e, pare__stretch_fn fn, const void *arg)
{
    const int32_t threads = pare__pool_threads(e->ex.pool);
    work w = {e, fn, arg, e->pack.cap_rows / threads};
    const int32_t whole = count_whole(e, threads, w.slot);
    pare__pool_run(e->ex.pool, whole, run_alone, &w);
    for (int32_t i = 0; i < whole; i++) {
        *e->ex.flops += e->stretches.at[i].flops;
        e->stretches.at[i].flops = 0;
    }
    const pare__desk all = {e->ex, e->wide, e->h};
    for (int32_t i = whole; i < e->stretches.n; i++) fn(arg, &e->stretches.at[i], &all);
}
