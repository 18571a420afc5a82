/* SPDX-License-Identifier: MIT */
/* Life of an encoder: all buffers at create, then packs of segments through embedding, blocks and the final norm.
 * Nothing is allocated while it runs, except tables of positions and windows when a grid size is first seen. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/stop.h"
#include "encode/backend.h"
#include "encode/parts.h"
#include "encode/prep.h"

/* Order in which a block takes its captures. */
static const uint32_t capture_order[PARE__WANT_COUNT] = {PARE__WANT_TOKENS,  PARE__WANT_Q,      PARE__WANT_K,
                                                         PARE__WANT_V,       PARE__WANT_K_MEAN, PARE__WANT_CLS_ROW,
                                                         PARE__WANT_COL_MEAN};

int pare__stage_emit(const pare__encoder *e, const char *name, int32_t block, const float *data, int64_t rows,
                     int64_t width, pare_error *err)
{
    if (!e->plan.stage || e->plan.stage(e->plan.stage_user, name, block, data, rows, width) == 0) return 0;
    return pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at %s (block %d)", name, block);
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

enum { MAX_UNIT = 16 }; /* patches a side of a unit */

static int check_geometry(const pare_model *m, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    if (hp->unit < 1 || hp->unit > MAX_UNIT || hp->temporal < 1 || hp->temporal > PARE__MAX_TEMPORAL) {
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "model '%s': units of %d patches a side over %d frames; at most %d and %d", m->name, hp->unit,
                         hp->temporal, MAX_UNIT, PARE__MAX_TEMPORAL);
    }
    if (hp->rope && hp->dim / hp->n_head % 4) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': rotary positions need heads of 4 n channels, not %d",
                         m->name, hp->dim / hp->n_head);
    }
    if (hp->window < 0 || (hp->window > 0 && hp->n_prefix > 0)) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': attention windows of %d units beside %d prefix tokens",
                         m->name, hp->window, hp->n_prefix);
    }
    if (hp->steps > 1 && (hp->n_prefix > 0 || hp->window > 0)) {
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "model '%s': %d steps attend to each other beside %d prefix tokens and windows of %d units",
                         m->name, hp->steps, hp->n_prefix, hp->window);
    }
    return 0;
}

/* Of the output (tap -1) or of a deepstack tap. */
static int check_projector(const pare_model *m, int32_t tap, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    const pare__projector_w *p = tap < 0 ? &m->w.projector : &m->w.deepstack[tap];
    const int32_t n_out = p->fc2.w ? p->fc2.n_out : p->fc1.n_out;
    if (tap >= 0 && (hp->deepstack[tap] < 0 || hp->deepstack[tap] >= pare__blocks_run(hp))) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': tap %d behind block %d of %d", m->name, tap,
                         hp->deepstack[tap], pare__blocks_run(hp));
    }
    if (p->fc1.n_in != pare__joined_width(hp) || (p->fc2.w && p->fc2.n_in != p->fc1.n_out) || n_out != hp->d_out) {
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "model '%s': projector of %d and %d inputs and %d outputs between %lld and %d channels",
                         m->name, p->fc1.n_in, p->fc2.n_in, n_out, (long long)pare__joined_width(hp), hp->d_out);
    }
    return 0;
}

static int check_projectors(const pare_model *m, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    if (hp->n_deepstack < 0 || hp->n_deepstack > PARE__MAX_DEEPSTACK || (hp->n_deepstack && !hp->has_projector) ||
        (hp->has_projector && hp->proj_act == PARE__ACT_SILU)) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': %d taps, activation %d of the projector", m->name,
                         hp->n_deepstack, hp->proj_act);
    }
    int rc = 0;
    for (int32_t i = -1; hp->has_projector && i < hp->n_deepstack && rc == 0; i++) rc = check_projector(m, i, err);
    return rc;
}

/* The plan asks for nothing behind the last block that is run. */
static int check_plan(const pare_model *m, const pare__encode_plan *plan, pare_error *err)
{
    for (int32_t b = pare__blocks_run(&m->hp); b < m->hp.n_layer; b++) {
        if (!plan->site[b] && (!plan->want[b] || plan->stage)) continue;
        return pare_fail(err, PARE_E_INVALID, "model '%s': nothing can happen at block %d, its output leaves block %d",
                         m->name, b, pare__blocks_run(&m->hp) - 1);
    }
    return 0;
}

static int check_model(const pare_model *m, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    if (hp->act == PARE__ACT_SILU && !hp->gated)
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': SiLU is there as a gate only", m->name);
    if (hp->n_layer > PARE__MAX_BLOCKS || hp->tap < 0 || hp->tap > hp->n_layer || hp->dim % hp->n_head) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "model '%s': %d of %d blocks of %d heads on %d channels", m->name,
                         hp->tap, hp->n_layer, hp->n_head, hp->dim);
    }
    const int rc = check_geometry(m, err);
    return rc ? rc : check_projectors(m, err);
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

/* Floats per row of `wide`. */
static int64_t widest(const pare_model *m)
{
    const int32_t patches = m->hp.unit * m->hp.unit;
    int64_t width = pare__float_stride(m->w.patch.n_in);
    for (int32_t i = -1; m->hp.has_projector && i < m->hp.n_deepstack; i++) {
        const pare__projector_w *p = i < 0 ? &m->w.projector : &m->w.deepstack[i];
        width = pare__max64(width, pare__float_stride(p->fc1.n_out) / patches + 1);
    }
    for (int32_t b = 0; b < m->hp.n_layer; b++) {
        const pare__block_w *w = &m->w.block[b];
        if (w->qkv.n_out > width) width = w->qkv.n_out;
        if (pare__float_stride(w->fc2.n_in) > width) width = pare__float_stride(w->fc2.n_in);
    }
    return pare__round_up(width, PARE__ALIGN / (int)sizeof(float));
}

static float *floats(int64_t n, int64_t width) { return (float *)pare__malloc(n * width, (int64_t)sizeof(float)); }

static int make_states(pare__encoder *e, int64_t cap)
{
    for (int32_t i = 0; i < PARE__MAX_STEPS; i++) {
        if (e->plan.state_width[i] <= 0) continue;
        e->pack.state[i] = floats(cap, e->plan.state_width[i]);
        if (!e->pack.state[i]) return PARE_E_NOMEM;
    }
    return 0;
}

/* The widest array that a map shrinks. */
static int64_t widest_state(const pare__encoder *e)
{
    const pare__pack *p = &e->pack;
    int64_t width = e->m->hp.dim;
    for (int32_t i = 0; i < PARE__MAX_STEPS; i++) width = pare__max64(width, e->plan.state_width[i]);
    if (e->m->hp.n_deepstack) width = pare__max64(width, p->n_prefix ? p->d_out : p->d_out / p->patches + 1);
    return width;
}

/* What exists only where a unit is several patches, or is projected. */
static int make_units(pare__encoder *e, int64_t cap)
{
    const pare__hparams *hp = &e->m->hp;
    pare__pack *p = &e->pack;
    int ok = 1;
    e->cap_units = p->n_prefix ? cap : cap / p->patches;
    p->ucu = p->cu;
    if (p->patches > 1) {
        p->ucu = PARE__NEW(int64_t, cap + 1);
        e->mean = floats(cap, hp->dim);
        e->stat = floats(cap, 2);
        ok = p->ucu && e->mean && e->stat;
    }
    if (p->patches > 1 || hp->has_projector) ok &= (e->y = floats(e->cap_units, p->d_out)) != NULL;
    if (hp->n_deepstack) ok &= (e->deepstack = floats(hp->n_deepstack * e->cap_units, p->d_out)) != NULL;
    return ok ? make_states(e, cap) : PARE_E_NOMEM;
}

/* What exists only where attention leaves its segment or stays in windows, or blocks lie behind the tap. */
static int make_extents(pare__encoder *e, int64_t cap)
{
    const pare__hparams *hp = &e->m->hp;
    int ok = 1;
    if (hp->window) {
        e->windows.order = PARE__NEW(int32_t, cap);
        e->windows.cu = PARE__NEW(int64_t, cap + 1);
        ok &= e->windows.order && e->windows.cu;
    }
    if (hp->steps > 1) {
        e->groups.first = PARE__NEW(int32_t, cap + 1);
        ok &= e->groups.first != NULL;
    }
    if (e->plan.stage && pare__blocks_run(hp) < hp->n_layer) ok &= (e->late = floats(cap, hp->dim)) != NULL;
    return ok ? 0 : PARE_E_NOMEM;
}

/* Bytes per row of the pack for what an engine multiplies: rows of floats that are normalised or joined first, or any row
 * in fewer bits. */
static int64_t widest_operand(const pare__encoder *e, const pare__engine *engine)
{
    const pare_model *m = e->m;
    const int64_t wide = pare__round_up(pare__float_stride(m->w.projector.fc1.n_in), PARE__ALIGN / (int)sizeof(float));
    const int64_t joined = m->hp.has_projector ? wide / e->pack.patches + 1 : 0;
    const int64_t normed = pare__max64(pare__float_stride(m->hp.dim), joined) * (int64_t)sizeof(float);
    if (engine->operand == PARE__OPERAND_F32) return normed;
    return pare__max64(normed, (widest(m) + PARE__ALIGN) * pare__operand_size(engine->operand));
}

/* What a worker needs for two tiles and the engine's library, or for a head of attention. */
static int make_scratch(pare__encoder *e, int64_t cap)
{
    const pare__hparams *hp = &e->m->hp;
    const pare__engine *engine = e->weights->engine, *wide = e->weights->wide;
    const int64_t library = pare__max64(engine->scratch_size, wide->scratch_size);
    const int64_t attention = pare__attention_scratch(cap, hp->dim / hp->n_head);
    const int64_t product = 2 * (int64_t)PARE__TILE_FLOATS + library / (int64_t)sizeof(float);
    e->ex.scratch_size = pare__round_up(pare__max64(attention, product), PARE__ALIGN);
    e->ex.scratch = floats(pare__pool_threads(e->ex.pool), e->ex.scratch_size);
    e->operand_width = pare__round_up(widest_operand(e, engine), PARE__ALIGN);
    e->ex.operand = (char *)pare__malloc(cap, e->operand_width);
    e->ex.row_scale = floats(cap, 1);
    e->ex.row_zero = PARE__NEW(int32_t, cap);
    return e->ex.scratch && e->ex.operand && e->ex.row_scale && e->ex.row_zero ? 0 : PARE_E_NOMEM;
}

static int make_buffers(pare__encoder *e, int64_t cap)
{
    pare__pack *p = &e->pack;
    const int64_t dim = e->m->hp.dim;
    p->cap_rows = cap;
    p->x = floats(cap, widest_state(e)); /* takes turns with spare */
    p->size = floats(cap, 1);
    p->cu = PARE__NEW(int64_t, cap + 1);
    p->thw = PARE__NEW(int32_t, cap * 3);
    e->wide_width = widest(e->m);
    e->wide = floats(cap, e->wide_width);
    e->h = floats(cap, pare__float_stride(dim));
    e->spare = floats(cap, widest_state(e));
    e->spare_thw = PARE__NEW(int32_t, cap * 3);
    e->log_size = floats(cap, 1);
    e->part = floats(cap, 2 * (int64_t)e->m->hp.n_head);
    e->value = floats(3, 256);
    e->seg_pos = PARE__NEW(const float *, cap);
    e->seg_out = PARE__NEW(int64_t, cap + 1);
    e->valid = PARE__NEW(pare__valid, cap);
    e->stretches.at = PARE__NEW(pare__stretch, cap);
    e->stretches.cu = PARE__NEW(int64_t, 2 * cap);
    const int ok = p->x && p->size && p->cu && p->thw && e->wide && e->h && e->spare && e->spare_thw && e->log_size &&
                   e->part && e->value && e->seg_pos && e->seg_out && e->valid && e->stretches.at && e->stretches.cu;
    if (!ok || make_scratch(e, cap) < 0 || make_units(e, cap) < 0 || make_extents(e, cap) < 0) return PARE_E_NOMEM;
    return make_captures(e, cap);
}

int pare__encoder_create(pare__encoder **out, const pare_model *model, pare__pool *pool, const pare__encode_plan *plan,
                         int64_t max_rows, pare_error *err)
{
    *out = NULL;
    int rc = check_model(model, err);
    if (rc == 0) rc = check_plan(model, plan, err);
    if (rc < 0) return rc;
    const int64_t round = (int64_t)PARE__GRAIN_ROWS * model->hp.unit * model->hp.unit; /* as engines do with rows */
    const int64_t spare = round * pare__pool_threads(pool);
    const int64_t cap = pare__max64(max_rows * pare__max64(model->hp.steps, 1), PARE__PACK_ROWS) + spare;
    pare__engine_choice choice = {.engine = plan->engine};
    if (!plan->engine) rc = pare__engine_choose(NULL, NULL, &choice, err);
    if (rc < 0) return rc;
    pare__encoder *e = PARE__NEW(pare__encoder, 1);
    if (!e) return pare_fail(err, PARE_E_NOMEM, "out of memory for an encoder");
    e->m = model;
    e->plan = *plan;
    e->ex.pool = pool;
    e->ex.vec = pare__vec_best();
    e->ex.flops = &e->pack.flops;
    e->ex.failed = &e->failed;
    e->ex.narrow = choice.engine->narrow_attention ? pare__narrow_best() : NULL;
    e->pack.n_prefix = model->hp.n_prefix;
    e->pack.d = model->hp.dim;
    e->pack.d_out = model->hp.has_projector ? model->hp.d_out : model->hp.dim;
    e->pack.patches = model->hp.unit * model->hp.unit;
    const int32_t n_block = plan->stage ? model->hp.n_layer : pare__blocks_run(&model->hp);
    rc = pare__engine_weights_get(model, choice.engine, n_block, pool, &e->weights, &e->own_weights, err);
    if (rc < 0) {
        pare__encoder_free(&e);
        return rc;
    }
    if (make_buffers(e, cap) < 0) {
        pare__encoder_free(&e);
        return pare_fail(err, PARE_E_NOMEM, "out of memory for an encoder of %lld rows", (long long)cap);
    }
    rc = plan->remembers ? pare__past_make(e, max_rows, cap, err) : 0;
    if (rc < 0) {
        pare__encoder_free(&e);
        return rc;
    }
    e->pack.capture = e->live;
    pare__prep_values(&model->prep, e->value);
    *out = e;
    return 0;
}

void pare__encoder_free(pare__encoder **encoder)
{
    pare__encoder *e = *encoder;
    if (!e) return;
    if (e->pack.ucu != e->pack.cu) pare__free(e->pack.ucu);
    void *buffers[] = {e->pack.x,
                       e->pack.size,
                       e->pack.cu,
                       e->pack.thw,
                       e->wide,
                       e->h,
                       e->spare,
                       e->spare_thw,
                       e->log_size,
                       e->part,
                       e->value,
                       e->seg_out,
                       e->ex.scratch,
                       e->ex.operand,
                       e->ex.row_scale,
                       e->ex.row_zero,
                       e->mean,
                       e->stat,
                       e->y,
                       e->windows.order,
                       e->windows.cu,
                       e->windows.count,
                       (void *)e->seg_pos,
                       e->deepstack,
                       e->late,
                       e->groups.first,
                       e->stretches.at,
                       e->stretches.cu,
                       e->valid};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pare__free(buffers[i]);
    for (int32_t i = 0; i < PARE__MAX_STEPS; i++) pare__free(e->pack.state[i]);
    for (int32_t i = 0; i < e->n_capture; i++) pare__free(e->capture[i].data);
    pare__free(e->capture);
    pare__free(e->live);
    pare__positions_free(&e->positions);
    pare__rope_fini(&e->rope);
    pare__past_fini(&e->past);
    pare__engine_weights_free(&e->own_weights);
    pare__map_fini(&e->map);
    pare__free(e);
    *encoder = NULL;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

int32_t pare__encoder_fit(const pare__encoder *e, const pare__segment *seg, int32_t n)
{
    int64_t rows = 0, past = 0;
    int32_t whole = 0; /* segments before the group of segment i */
    for (int32_t i = 0; i < n; i++) {
        rows += seg[i].n * e->pack.patches + e->pack.n_prefix;
        past += pare__past_rows(&e->pack, &seg[i]);
        if (seg[i].step == 0) whole = i;
        const int is_full = rows > PARE__PACK_ROWS || i >= PARE__PACK_ROWS || past > PARE__PAST_ROWS;
        if (whole > 0 && (is_full || seg[i].is_reference)) return whole;
    }
    return n;
}

/* Blocks behind the tap, on a copy of the hidden state. */
static int run_late(pare__encoder *e, pare_error *err)
{
    float *x = e->pack.x;
    int rc = 0;
    memcpy(e->late, x, (size_t)e->pack.n * (size_t)e->pack.d * sizeof *x);
    e->pack.x = e->late;
    for (int32_t b = pare__blocks_run(&e->m->hp); rc == 0 && b < e->m->hp.n_layer; b++) rc = pare__block_run(e, b, err);
    e->pack.x = x;
    return rc;
}

static int run_blocks(pare__encoder *e, pare_error *err)
{
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < pare__blocks_run(&e->m->hp); b++) {
        rc = pare__is_asked(e->plan.stop) ? pare_fail(err, PARE_E_CANCELLED, "cancelled at block %d", b)
                                          : pare__block_run(e, b, err);
    }
    if (rc == 0 && e->late) rc = run_late(e, err);
    return rc ? rc : pare__project_run(e, err);
}

int pare__encoder_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, const pare__pack **out,
                      double *times_ms, pare_error *err)
{
    int rc = pare__lay_run(e, seg, n_seg, err);
    if (rc < 0) return rc;
    e->callback_ms = 0;
    double start = pare__now_ms();
    rc = pare__embed_run(e, seg, n_seg, err);
    if (rc < 0) return rc;
    double embedded = pare__now_ms();
    rc = run_blocks(e, err);
    if (rc == 0 && atomic_load(&e->failed))
        rc = pare_fail(err, PARE_E_EXTERNAL, "model '%s': the library behind the backend failed at a product",
                       e->m->name);
    if (rc < 0) return rc;
    if (times_ms) {
        times_ms[0] += embedded - start;
        times_ms[1] += pare__now_ms() - embedded - e->callback_ms;
    }
    *out = &e->pack;
    return 0;
}
