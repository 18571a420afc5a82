/* SPDX-License-Identifier: MIT */
/* Cached recompute: the keys and values of a reference segment, block by block, and segments that attend to them.
 *
 *     pack 0: [reference][a][b] ...   every block: k, v of the reference's rows -> kv; a and b attend to their own rows
 *     pack 1: [c][d] ...              and to those of kv that their `past` names
 *
 * So a segment of few fresh units sees its whole picture, at the price of its own rows in linear layers and of fresh x
 * all pairs in attention. It is always compared with a reference that was computed whole: errors do not add up. After
 * the cacher of STC (CVPR 2026), which decides in every block; here what is fresh stays so through all of them. */
#include <string.h>

#include "encode/parts.h"

static int64_t cells_of(const pare__encoder *e, const pare__segment *s)
{
    const int32_t unit = e->m->hp.unit;
    return (int64_t)(s->grid_h / unit) * (s->grid_w / unit);
}

int pare__past_make(pare__encoder *e, int64_t cap, int64_t n_seg, pare_error *err)
{
    const pare__hparams *hp = &e->m->hp;
    pare__past *p = &e->past;
    if (hp->window || hp->steps > 1)
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': no reuse of keys and values: attention %s", e->m->name,
                         hp->window ? "stays in windows" : "spans several steps");
    p->cap = cap;
    p->cap_cell = cap - hp->n_prefix;
    p->kv = (float *)pare__malloc(pare__blocks_run(hp) * cap, 2 * hp->dim * (int64_t)sizeof(float));
    p->at = PARE__NEW(int32_t, p->cap_cell + 1);
    p->row = PARE__NEW(int32_t, pare__max64(PARE__PAST_ROWS, cap));
    p->cu = PARE__NEW(int64_t, n_seg + 1);
    if (p->kv && p->at && p->row && p->cu) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for keys and values of %lld rows in %d blocks", (long long)cap,
                     pare__blocks_run(hp));
}

void pare__past_fini(pare__past *p)
{
    pare__free(p->kv);
    pare__free(p->at);
    pare__free(p->row);
    pare__free(p->cu);
    *p = (pare__past){0};
}

/* ---- which rows ------------------------------------------------------------------------------------------------- */

static int check_reference(const pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    const int64_t rows = e->pack.n_prefix + s->n * e->pack.patches;
    if (!e->past.kv || i > 0 || rows > e->past.cap)
        return pare_fail(err, PARE_E_INVALID, "segment %d is a reference of %lld rows: the encoder remembers %lld", i,
                         (long long)rows, (long long)e->past.cap);
    return 0;
}

static void begin_reference(pare__encoder *e, const pare__segment *s)
{
    pare__past *p = &e->past;
    p->n_cell = cells_of(e, s);
    for (int64_t c = 0; c < p->n_cell; c++) p->at[c] = -1;
    for (int64_t u = 0; u < s->n; u++) p->at[s->unit ? s->unit[u] : u] = (int32_t)u;
}

/* Appends the rows of the units that a segment attends to. */
static int lay_past(pare__encoder *e, const pare__segment *s, int32_t i, pare_error *err)
{
    pare__past *p = &e->past;
    const int32_t patches = e->pack.patches, n_prefix = e->pack.n_prefix;
    const int64_t room = pare__max64(PARE__PAST_ROWS, p->cap);
    if (s->n_past && (!p->kv || cells_of(e, s) != p->n_cell || p->n + pare__past_rows(&e->pack, s) > room))
        return pare_fail(err, PARE_E_INVALID, "segment %d attends to %lld past units of %lld, a reference has %lld", i,
                         (long long)s->n_past, (long long)cells_of(e, s), (long long)p->n_cell);
    for (int64_t u = 0; u < s->n_past; u++) {
        const int32_t cell = s->past[u], place = cell >= 0 && cell < p->n_cell ? p->at[cell] : -1;
        if (place < 0) return pare_fail(err, PARE_E_INVALID, "segment %d: the reference has no unit %d", i, cell);
        for (int32_t j = 0; j < patches; j++) p->row[p->n++] = n_prefix + place * patches + j;
    }
    return 0;
}

int pare__past_lay(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    pare__past *p = &e->past;
    p->n = 0;
    p->is_taken = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        int rc = seg[i].is_reference ? check_reference(e, &seg[i], i, err) : 0;
        if (!rc && seg[i].is_reference) begin_reference(e, &seg[i]);
        p->is_taken |= seg[i].is_reference;
        if (p->cu) p->cu[i] = p->n;
        if (!rc) rc = lay_past(e, &seg[i], i, err);
        if (rc) return rc;
    }
    if (p->cu) p->cu[n_seg] = p->n;
    if (p->kv && (e->pack.has_size || e->has_padding))
        return pare_fail(err, PARE_E_INVALID, "sizes and padding do not go with keys and values that are remembered");
    return 0;
}

/* ---- a block ---------------------------------------------------------------------------------------------------- */

static float *block_kv(const pare__encoder *e, int32_t block)
{
    return e->past.kv + block * e->past.cap * 2 * e->m->hp.dim;
}

void pare__past_take(pare__encoder *e, int32_t block)
{
    const int64_t dim = e->m->hp.dim;
    if (!e->past.is_taken) return;
    float *to = block_kv(e, block);
    for (int64_t r = 0; r < e->pack.cu[1]; r++)
        memcpy(to + r * 2 * dim, e->wide + (r * 3 + 1) * dim, (size_t)(2 * dim) * sizeof *to);
}

void pare__past_offer(const pare__encoder *e, int32_t block, pare__attention_job *job)
{
    const pare__past *p = &e->past;
    if (!p->n) return;
    job->past = block_kv(e, block);
    job->past_row = p->row;
    job->past_cu = p->cu;
}
