/* SPDX-License-Identifier: MIT */
/* Life of an encoder: all buffers at create, then packs of segments through embedding, blocks and the final norm.
 * Nothing is allocated while it runs, except the position table of a grid size when it is first seen. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "encode/backend.h"
#include "encode/parts.h"
#include "encode/prep.h"

/* Order in which a block takes its captures. */
static const uint32_t capture_order[PARE__WANT_COUNT] = {PARE__WANT_TOKENS,  PARE__WANT_Q,      PARE__WANT_K,
                                                         PARE__WANT_V,       PARE__WANT_K_MEAN, PARE__WANT_CLS_ROW,
                                                         PARE__WANT_COL_MEAN};

int pare__stage_emit(const pare__encoder *e, const char *name, int32_t block, const float *data, int64_t width,
                     pare_error *err)
{
    if (!e->plan.stage || e->plan.stage(e->plan.stage_user, name, block, data, e->pack.n, width) == 0) return 0;
    return pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at %s (block %d)", name, block);
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static int check_model(const pare_model *m, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    if (hp->unit != 1 || hp->temporal != 1) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': units of %d patches a side over %d frames; only 1 and 1",
                         m->name, hp->unit, hp->temporal);
    }
    if (hp->gated != (hp->act == PARE__ACT_SILU)) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': activation %d with gate %d; SiLU is the only gated one",
                         m->name, hp->act, hp->gated);
    }
    if (hp->n_layer > PARE__MAX_BLOCKS || hp->dim % hp->n_head) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': %d blocks of %d heads on %d channels", m->name,
                         hp->n_layer, hp->n_head, hp->dim);
    }
    return 0;
}

static int32_t capture_width(const pare__hparams *hp, uint32_t what)
{
    if (what == PARE__WANT_K_MEAN) return hp->dim / hp->n_head;
    return what == PARE__WANT_CLS_ROW || what == PARE__WANT_COL_MEAN ? 1 : hp->dim;
}

static int make_captures(pare__encoder *e, int64_t cap)
{
    const pare__hparams *hp = &e->m->hp;
    e->capture = PARE__NEW(pare__capture, (int64_t)hp->n_layer * PARE__WANT_COUNT);
    e->live = PARE__NEW(pare__capture, (int64_t)hp->n_layer * PARE__WANT_COUNT);
    if (!e->capture || !e->live) return PARE_E_NOMEM;
    for (int32_t b = 0; b < hp->n_layer; b++) {
        for (int i = 0; i < PARE__WANT_COUNT; i++) {
            uint32_t what = capture_order[i];
            if (!(e->plan.want[b] & what)) continue;
            pare__capture *c = &e->capture[e->n_capture++];
            *c = (pare__capture){.block = b, .what = what, .width = capture_width(hp, what)};
            c->data = (float *)pare__malloc(cap * c->width, (int64_t)sizeof(float));
            if (!c->data) return PARE_E_NOMEM;
        }
    }
    return 0;
}

static int32_t widest(const pare_model *m)
{
    int32_t width = m->w.patch.n_in;
    for (int32_t b = 0; b < m->hp.n_layer; b++) {
        const pare__block_w *w = &m->w.block[b];
        if (w->qkv.n_out > width) width = w->qkv.n_out;
        if (w->fc2.n_in > width) width = w->fc2.n_in;
    }
    return width;
}

static float *floats(int64_t n, int64_t width) { return (float *)pare__malloc(n * width, (int64_t)sizeof(float)); }

static int make_buffers(pare__encoder *e, int64_t cap)
{
    pare__pack *p = &e->pack;
    int64_t dim = e->m->hp.dim, workers = pare__pool_threads(e->ex.pool);
    p->cap_rows = cap;
    p->x = floats(cap, dim);
    p->size = floats(cap, 1);
    p->cu = PARE__NEW(int64_t, cap + 1);
    p->thw = PARE__NEW(int32_t, cap * 3);
    e->wide = floats(cap, widest(e->m));
    e->h = floats(cap, dim);
    e->spare = floats(cap, dim);
    e->spare_thw = PARE__NEW(int32_t, cap * 3);
    e->log_size = floats(cap, 1);
    e->part = floats(cap, 2 * (int64_t)e->m->hp.n_head);
    e->value = floats(3, 256);
    e->seg_pos = PARE__NEW(const float *, cap);
    e->seg_out = PARE__NEW(int64_t, cap + 1);
    e->ex.scratch_size = cap > PARE__TILE_FLOATS ? cap : PARE__TILE_FLOATS;
    e->ex.scratch = floats(workers, e->ex.scratch_size);
    int ok = p->x && p->size && p->cu && p->thw && e->wide && e->h && e->spare && e->spare_thw && e->log_size &&
             e->part && e->value && e->seg_pos && e->seg_out && e->ex.scratch;
    return ok ? make_captures(e, cap) : PARE_E_NOMEM;
}

int pare__encoder_create(pare__encoder **out, const pare_model *model, pare__pool *pool, const pare__encode_plan *plan,
                         int64_t max_rows, pare_error *err)
{
    *out = NULL;
    int rc = check_model(model, err);
    if (rc < 0) return rc;
    int64_t cap = max_rows > PARE__PACK_ROWS ? max_rows : PARE__PACK_ROWS;
    pare__encoder *e = PARE__NEW(pare__encoder, 1);
    if (!e) return pare_fail(err, PARE_E_NOMEM, "out of memory for an encoder");
    e->m = model;
    e->plan = *plan;
    e->ex.pool = pool;
    e->ex.vec = pare__vec_best();
    e->ex.gemm = plan->gemm ? plan->gemm : pare__backends[0]->gemm;
    e->pack.n_prefix = model->hp.n_prefix;
    e->pack.d = model->hp.dim;
    if (make_buffers(e, cap) < 0) {
        pare__encoder_free(&e);
        return pare_fail(err, PARE_E_NOMEM, "out of memory for an encoder of %lld rows", (long long)cap);
    }
    e->pack.capture = e->live;
    e->pack.patches = 1;
    e->pack.ucu = e->pack.cu;
    e->pack.d_out = e->pack.d;
    pare__prep_values(&model->prep, e->value);
    *out = e;
    return 0;
}

void pare__encoder_free(pare__encoder **encoder)
{
    pare__encoder *e = *encoder;
    if (!e) return;
    void *buffers[] = {e->pack.x, e->pack.size, e->pack.cu,    e->pack.thw,       e->wide,
                       e->h,      e->spare,     e->spare_thw,  e->log_size,       e->part,
                       e->value,  e->seg_out,   e->ex.scratch, (void *)e->seg_pos};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pare__free(buffers[i]);
    for (int32_t i = 0; i < e->n_capture; i++) pare__free(e->capture[i].data);
    pare__free(e->capture);
    pare__free(e->live);
    pare__positions_free(&e->positions);
    pare__map_fini(&e->map);
    pare__spread_fini(&e->spread);
    pare__free(e);
    *encoder = NULL;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

int32_t pare__encoder_fit(const pare__encoder *e, const pare__segment *seg, int32_t n)
{
    int64_t rows = 0;
    for (int32_t i = 0; i < n; i++) {
        rows += seg[i].n + e->pack.n_prefix;
        if (i > 0 && (rows > PARE__PACK_ROWS || i >= PARE__PACK_ROWS)) return i;
    }
    return n;
}

static int check_segment(const pare__segment *s, int32_t i, pare_error *err)
{
    int64_t units = (int64_t)s->grid_h * s->grid_w;
    if (s->grid_h < 1 || s->grid_w < 1 || s->n < 0 || (s->unit ? s->n > units : s->n != units)) {
        return pare_fail(err, PARE_E_INVALID, "segment %d: %lld units of a %d x %d grid", i, (long long)s->n, s->grid_h,
                         s->grid_w);
    }
    if (!s->rgb[0] && !s->pixels) return pare_fail(err, PARE_E_INVALID, "segment %d has no pixels", i);
    for (int64_t u = 0; s->unit && u < s->n; u++) {
        if (s->unit[u] >= 0 && s->unit[u] < units && (u == 0 || s->unit[u] > s->unit[u - 1])) continue;
        return pare_fail(err, PARE_E_INVALID, "segment %d: unit %lld is %d, not ascending within %lld", i, (long long)u,
                         s->unit[u], (long long)units);
    }
    return 0;
}

/* Rows of one segment: places and sizes, prefix first. */
static void lay_segment(pare__pack *p, const pare__segment *s)
{
    int32_t *thw = p->thw + p->n * 3;
    float *size = p->size + p->n;
    for (int32_t i = 0; i < p->n_prefix; i++, thw += 3) {
        memcpy(thw, (int32_t[3]){s->t, -1, -1}, sizeof(int32_t[3]));
        *size++ = 1.0f;
    }
    for (int64_t i = 0; i < s->n; i++, thw += 3) {
        int32_t unit = s->unit ? s->unit[i] : (int32_t)i;
        memcpy(thw, (int32_t[3]){s->t, unit / s->grid_w, unit % s->grid_w}, sizeof(int32_t[3]));
        *size = s->size ? s->size[i] : 1.0f;
        p->has_size |= *size++ != 1.0f;
    }
    p->n += p->n_prefix + s->n;
}

static int lay(pare__encoder *e, const pare__segment *seg, int32_t n_seg, pare_error *err)
{
    pare__pack *p = &e->pack;
    int64_t rows = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        int rc = check_segment(&seg[i], i, err);
        if (rc < 0) return rc;
        rows += p->n_prefix + seg[i].n;
    }
    if (rows > p->cap_rows || n_seg > p->cap_rows) {
        return pare_fail(err, PARE_E_LIMIT, "%d segments of %lld rows, but the encoder holds %lld", n_seg,
                         (long long)rows, (long long)p->cap_rows);
    }
    p->n_seg = n_seg;
    p->n = 0;
    p->has_size = 0;
    p->n_capture = 0;
    e->n_taken = 0;
    for (int32_t i = 0; i < n_seg; i++) {
        p->cu[i] = p->n;
        lay_segment(p, &seg[i]);
    }
    p->cu[n_seg] = p->n;
    return 0;
}

static int run_blocks(pare__encoder *e, pare_error *err)
{
    const pare_model *m = e->m;
    pare__pack *p = &e->pack;
    for (int32_t b = 0; b < m->hp.n_layer; b++) {
        int rc = pare__block_run(e, b, err);
        if (rc < 0) return rc;
    }
    if (m->w.norm.w) pare__norm_run(&e->ex, m->hp.norm, &m->w.norm, m->hp.eps, p->x, p->n, p->d, p->x);
    return pare__stage_emit(e, "last_hidden", -1, p->x, p->d, err);
}

int pare__encoder_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, const pare__pack **out,
                      double *times_ms, pare_error *err)
{
    int rc = lay(e, seg, n_seg, err);
    if (rc < 0) return rc;
    e->callback_ms = 0;
    double start = pare__now_ms();
    rc = pare__embed_run(e, seg, n_seg, err);
    if (rc < 0) return rc;
    double embedded = pare__now_ms();
    rc = run_blocks(e, err);
    if (rc < 0) return rc;
    if (times_ms) {
        times_ms[0] += embedded - start;
        times_ms[1] += pare__now_ms() - embedded - e->callback_ms;
    }
    e->pack.n_unit = e->pack.n;
    e->pack.y = e->pack.x;
    *out = &e->pack;
    return 0;
}
