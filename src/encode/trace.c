/* SPDX-License-Identifier: MIT */
/* Trace: every stage of the reference arithmetic with all tokens, under the names of the fixtures. The whole batch is one
 * pack, so the encoder's own arrays are the stages: [B, T, D] of pictures (trace_batch.c), [rows, D] of grids
 * (trace_grid.c), brought into the order of the family's own implementation (trace_rows.c). */
#include "encode/trace.h"

#include <stdio.h>
#include <string.h>

#include "encode/engine.h"
#include "encode/parts.h"
#include "encode/trace_parts.h"

typedef pare__trace_run trace;

/* Without `interpolate` the grid must be the checkpoint's: its table's, or what its preprocessing makes. Families whose
 * table is made for any grid do not ask. */
static int check_size(const trace *t, pare_error *err)
{
    const pare__hparams *hp = &t->m->hp;
    const pare__prep_rule *r = &t->m->prep;
    const pare__batch *b = &t->batch;
    const int is_any = hp->any_grid || hp->interp == PARE__INTERP_BUCKET || hp->interp == PARE__INTERP_BILINEAR_ENDS;
    int32_t width = hp->pos_cols * hp->patch, height = hp->pos_rows * hp->patch;
    int32_t made_w = r->crop ? r->crop_width : r->resize == PARE__RESIZE_EXACT ? r->resize_width : 0;
    int32_t made_h = r->crop ? r->crop_height : r->resize == PARE__RESIZE_EXACT ? r->resize_height : 0;
    if (t->opts->interpolate || !b->width || !t->m->w.pos || is_any) return 0;
    if (b->width / hp->patch == hp->pos_cols && b->height / hp->patch == hp->pos_rows) return 0;
    if (b->width == made_w && b->height == made_h) return 0;
    if (made_w == 0) made_w = width, made_h = height;
    return pare_fail(err, PARE_E_INVALID,
                     "pixel_values is %d x %d but the model's own size is %d x %d: positions would "
                     "have to be interpolated",
                     b->width, b->height, made_w, made_h);
}

/* Families whose pictures are patches side by side, of any grid and number of steps. */
static int takes_grids(const pare_model *m)
{
    return m->prep.resize == PARE__RESIZE_SMART || (m->hp.temporal > 1 && m->hp.steps <= 1);
}

static int read_inputs(trace *t, const pare_tensor *pixels, const pare_frame *frames, int32_t n, pare__pool *pool,
                       pare_error *err)
{
    if (t->is_flat && pixels) return pare__grids_take(&t->grids, t->m, pixels, t->opts->grid_thw, err);
    if (t->is_flat) return pare__grids_prepare(&t->grids, t->m, t->opts, frames, n, pool, err);
    int rc = pixels ? pare__batch_take(&t->batch, t->m, t->opts, pixels, err)
                    : pare__batch_prepare(&t->batch, t->m, t->opts, frames, n, pool, err);
    return rc == 0 ? check_size(t, err) : rc;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static int give_grids(trace *t, pare_error *err)
{
    pare__grids *g = &t->grids;
    int rc = pare__trace_give(t, "pixel_values", g->pixels, (int64_t[]){g->n_row, g->width}, 2, err);
    if (rc) return rc;
    rc = pare__grids_give(g, t->stage, t->user, err);
    return rc > 0 ? pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at the inputs") : rc;
}

static int give_batch(const trace *t, pare_error *err)
{
    const pare__batch *b = &t->batch;
    const pare_tensor *integers[] = {&b->pairs, &b->mask};
    int rc = pare__trace_give(t, "pixel_values", b->values, b->shape, b->n_dim, err);
    for (int i = 0; i < 2 && !rc; i++)
        if (integers[i]->data && t->stage(t->user, integers[i]) != 0)
            rc = pare_fail(err, PARE_E_EXTERNAL, "the receiver of stages stopped at %s", integers[i]->name);
    return rc || !t->m->hp.rope ? rc : pare__trace_angles(t, err);
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

/* Ways into the language model have a row per unit. */
static pare__rows_kind kind_of(const char *name)
{
    static const char *const of_units[] = {"selected", "shuffled", "projector_out", "deepstack"};
    for (size_t i = 0; i < sizeof of_units / sizeof *of_units; i++)
        if (strcmp(name, of_units[i]) == 0) return PARE__ROWS_UNITS;
    return PARE__ROWS_ALL;
}

static int on_stage(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width)
{
    trace *t = (trace *)user;
    char text[64];
    (void)rows;
    if (strcmp(name, "projected") == 0) return t->rc = pare__trace_projected(t, data, width, &t->failure);
    if (block < 0)
        snprintf(text, sizeof text, "%s", name);
    else
        snprintf(text, sizeof text, "%s.%d", name, block);
    return t->rc = pare__trace_rows(t, kind_of(name), text, data, width, &t->failure);
}

static void make_plan(trace *t, pare__encode_plan *plan)
{
    uint32_t want = PARE__WANT_K_MEAN | PARE__WANT_COL_MEAN | (t->m->hp.has_cls ? PARE__WANT_CLS_ROW : 0u);
    for (int32_t b = 0; b < t->m->hp.n_layer; b++) plan->want[b] = want;
    plan->stage = on_stage;
    plan->stage_user = t;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

/* What the encoder needs for all segments in one pack; it makes room for several steps by itself. */
static int64_t count_rows(const trace *t, const pare__segment *seg, int32_t n)
{
    const int64_t steps = t->m->hp.steps > 1 ? t->m->hp.steps : 1;
    int64_t rows = 0;
    for (int32_t i = 0; i < n; i++) rows += t->m->hp.n_prefix + seg[i].n * t->m->hp.unit * t->m->hp.unit;
    return (rows + steps - 1) / steps;
}

static int run_encoder(trace *t, const pare__segment *seg, int32_t n, pare__pool *pool, pare_error *err)
{
    pare__engine_choice choice;
    pare__encode_plan plan = {0};
    pare__encoder *e = NULL;
    const pare__pack *pack = NULL;
    int rc = pare__engine_choose(t->opts->backend, t->opts->precision, &choice, err);
    if (rc < 0) return rc;
    make_plan(t, &plan);
    plan.engine = choice.engine;
    rc = pare__encoder_create(&e, t->m, pool, &plan, count_rows(t, seg, n), err);
    if (rc == 0) rc = pare__encoder_run(e, seg, n, &pack, NULL, err);
    if (t->rc) { /* what stopped the encoder */
        rc = t->rc;
        if (err) *err = t->failure;
    }
    if (rc == 0 && !t->is_flat && !t->m->hp.has_projector) rc = pare__trace_heads(t, pack, err);
    pare__encoder_free(&e);
    return rc;
}

static int encode(trace *t, pare__pool *pool, pare_error *err)
{
    if (!t->is_flat) return run_encoder(t, t->batch.seg, t->batch.n * t->batch.n_step, pool, err);
    pare__segment *seg = PARE__NEW(pare__segment, t->grids.n_step);
    if (!seg) return pare_fail(err, PARE_E_NOMEM, "out of memory for %lld segments", (long long)t->grids.n_step);
    pare__grids_segments(&t->grids, seg);
    int rc = run_encoder(t, seg, (int32_t)t->grids.n_step, pool, err);
    pare__free(seg);
    return rc;
}

int pare__trace(const pare_model *model, const pare_trace_opts *opts, const pare_tensor *pixels,
                const pare_frame *frames, int32_t n, pare_stage_fn stage, void *user, pare_error *err)
{
    trace t = {.m = model, .opts = opts, .stage = stage, .user = user, .is_flat = takes_grids(model)};
    pare__pool *pool = NULL;
    int rc = pare__pool_create(&pool, opts->n_threads, err);
    if (rc < 0) return rc;
    rc = read_inputs(&t, pixels, frames, n, pool, err);
    if (rc == 0) rc = t.is_flat ? give_grids(&t, err) : give_batch(&t, err);
    if (rc == 0) rc = pare__trace_layouts(&t, err);
    if (rc == 0) rc = encode(&t, pool, err);
    pare__trace_layouts_free(&t);
    pare__grids_fini(&t.grids);
    pare__batch_fini(&t.batch);
    pare__pool_free(&pool);
    return rc;
}
