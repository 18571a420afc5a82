/* SPDX-License-Identifier: MIT */
/* Engines by name, how their weights are cut into panels, and how fast they are here.
 *
 * `auto` asks instruction sets, not the clock: the same machine then gives the same bytes in every run. pare_engine_measure
 * asks the clock. */
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/option.h"
#include "core/pool.h"
#include "core/vec.h"
#include "encode/backend.h"

enum {
    MAX_BACKENDS = 8,
    LEAST_CUT = 128 /* columns of a layer that is cut in two at least */
};

static const char *const precision_names[PARE__PRECISIONS] = {"f32", "bf16", "int8"};

const char *pare__precision_name(pare__precision p) { return precision_names[p]; }

/* ---- choice ------------------------------------------------------------------------------------------------------ */

static int32_t list_names(const char *names[MAX_BACKENDS])
{
    int32_t n = 0;
    names[n++] = "auto";
    for (int32_t i = 0; pare__backends[i] && n < MAX_BACKENDS; i++) names[n++] = pare__backends[i]->name;
    return n;
}

static int no_name(const char *what, const char *given, const char *const *names, int32_t n, pare_error *err)
{
    const char *near = pare__nearest(given, names, n);
    char all[96] = "";
    for (int32_t i = 0; i < n; i++) {
        strncat(all, i ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, names[i], sizeof all - strlen(all) - 1);
    }
    return pare_fail(err, PARE_E_INVALID, "no %s '%s'%s%s%s; there are: %s", what, given,
                     near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", all);
}

static int find_precision(const char *name, pare__precision *out, pare_error *err)
{
    *out = PARE__F32;
    if (!name) return 0;
    for (int32_t p = 0; p < PARE__PRECISIONS; p++) {
        *out = (pare__precision)p;
        if (strcmp(precision_names[p], name) == 0) return 0;
    }
    return no_name("precision", name, precision_names, PARE__PRECISIONS, err);
}

/* The first that says it is fast here, else the first that runs and is no oracle. */
static int choose_auto(pare__engine_choice *c, pare_error *err)
{
    for (int32_t wants_fast = 1; wants_fast >= 0; wants_fast--) {
        for (int32_t i = 0; pare__backends[i]; i++) {
            c->backend = pare__backends[i];
            c->engine = c->backend->engine[c->precision];
            if (!c->engine || !c->engine->runs() || c->backend == &pare__backend_c) continue;
            if (!wants_fast || c->engine->is_fast()) return 0;
        }
    }
    return pare_fail(err, PARE_E_UNSUPPORTED,
                     "precision %s: no fast backend for it runs on this CPU (%s); backend 'c' computes it, slowly",
                     precision_names[c->precision], pare__cpu_flags());
}

static int choose_named(const char *name, pare__engine_choice *c, pare_error *err)
{
    const char *names[MAX_BACKENDS];
    for (int32_t i = 0; pare__backends[i]; i++) {
        if (strcmp(pare__backends[i]->name, name) != 0) continue;
        c->backend = pare__backends[i];
        c->engine = c->backend->engine[c->precision];
        if (!c->engine)
            return pare_fail(err, PARE_E_UNSUPPORTED, "backend %s does not compute in %s", name,
                             precision_names[c->precision]);
        if (c->engine->runs()) return 0;
        return pare_fail(err, PARE_E_UNSUPPORTED, "backend %s needs %s for %s; this machine has: %s", name,
                         c->engine->needs, precision_names[c->precision], pare__cpu_flags());
    }
    return no_name("backend", name, names, list_names(names), err);
}

int pare__engine_choose(const char *backend, const char *precision, pare__engine_choice *out, pare_error *err)
{
    pare__engine_choice c = {0};
    int rc = find_precision(precision, &c.precision, err);
    if (rc == 0) rc = backend && strcmp(backend, "auto") != 0 ? choose_named(backend, &c, err) : choose_auto(&c, err);
    if (rc == 0) *out = c;
    return rc;
}

int pare__engine_at(int32_t i, pare__engine_choice *out)
{
    for (int32_t b = 0; pare__backends[b]; b++) {
        for (int32_t p = 0; p < PARE__PRECISIONS; p++) {
            if (!pare__backends[b]->engine[p] || i-- > 0) continue;
            *out = (pare__engine_choice){pare__backends[b], (pare__precision)p, pare__backends[b]->engine[p]};
            return 1;
        }
    }
    return 0;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

pare__columns pare__panel_columns(const pare__prepared *p, int32_t panel)
{
    const int32_t width = p->n_out / p->n_part, part = panel / p->n_panel, i = panel % p->n_panel;
    const int32_t grain = p->engine->grain_cols ? p->engine->grain_cols : PARE__GRAIN_COLS;
    const int64_t grains = (width + grain - 1) / grain;
    const int64_t first = pare__slice(grains, i, p->n_panel) * grain;
    const int64_t end = pare__slice(grains, i + 1, p->n_panel) * grain;
    return (pare__columns){(int32_t)(part * width + first), (int32_t)((end < width ? end : width) - first)};
}

int pare__prepare(pare__prepared *p, const pare__engine *engine, const float *w, int32_t n_in, int32_t n_out,
                  int32_t n_part, pare_error *err)
{
    const int32_t width = n_out / n_part;
    *p = (pare__prepared){.engine = engine, .n_in = n_in, .n_out = n_out, .n_part = n_part};
    p->n_panel = (width + engine->panel_cols - 1) / engine->panel_cols;
    if (p->n_panel > 1 || width >= LEAST_CUT) p->n_panel += p->n_panel % 2; /* two threads share them evenly */
    const int rc = engine->prepare(p, w, err);
    if (rc) pare__prepared_fini(p);
    return rc;
}

void pare__prepared_fini(pare__prepared *p)
{
    if (p->impl) p->engine->release(p);
    pare__free(p->scale);
    pare__free(p->sum);
    *p = (pare__prepared){0};
}

void pare__quantise_weights(const float *w, int64_t n, int64_t k, int8_t *q, float *scale, int32_t *sum)
{
    for (int64_t i = 0; i < n; i++, w += k, q += k) {
        float largest = 0;
        for (int64_t j = 0; j < k; j++) largest = fabsf(w[j]) > largest ? fabsf(w[j]) : largest;
        const float inverse = largest > 0 ? 127 / largest : 0;
        scale[i] = largest > 0 ? largest / 127 : 1;
        sum[i] = 0;
        for (int64_t j = 0; j < k; j++) {
            q[j] = (int8_t)lrintf(w[j] * inverse);
            sum[i] += q[j];
        }
    }
}

/* ---- how fast ---------------------------------------------------------------------------------------------------- */

/* A layer of ViT-B: a tile of a photo's rows times the first layer of its MLP. */
enum { MAX_ROWS = 200, WIDTH = 768, OUT = 3072, ROUNDS = 7 };

#define ROUND_MS 12.0 /* slow engines do one panel a round, however long it takes */

typedef struct trial {
    pare__prepared weights;
    float *w, *acc; /* [OUT, WIDTH]; one tile */
    void *x;        /* [MAX_ROWS, WIDTH] in the engine's operand */
    void *scratch;
    int64_t rows;
} trial;

/* Panels one after the other until the round is over; *gops is set. */
static int run_round(const trial *t, double *gops)
{
    const pare__prepared *w = &t->weights;
    const double start = pare__now_ms();
    double cols = 0, ms = 0;
    for (int32_t i = 0; ms < ROUND_MS; i = (i + 1) % w->n_panel) {
        const int rc = w->engine->product(w, i, t->rows, t->x, t->acc, t->scratch);
        if (rc) return rc;
        cols += pare__panel_columns(w, i).n;
        ms = pare__now_ms() - start;
    }
    *gops = 2e-6 * (double)t->rows * WIDTH * cols / ms;
    return 0;
}

static int prepare(trial *t, const pare__engine *e, pare_error *err)
{
    t->w = pare__calloc((int64_t)OUT * WIDTH, (int64_t)sizeof(float));
    t->acc = pare__calloc((int64_t)e->tile_rows * (e->panel_cols + PARE__GRAIN_COLS), (int64_t)sizeof(float));
    t->x = pare__calloc((MAX_ROWS + PARE__GRAIN_ROWS) * pare__operand_stride(e->operand, WIDTH),
                        pare__operand_size(e->operand));
    if (!t->w || !t->acc || !t->x) return pare_fail(err, PARE_E_NOMEM, "out of memory to measure an engine");
    for (int64_t i = 0; i < (int64_t)OUT * WIDTH; i++) t->w[i] = (float)(i % 255 - 127) / 127;
    const int rc = pare__prepare(&t->weights, e, t->w, WIDTH, OUT, 1, err);
    if (rc) return rc;
    t->scratch = pare__calloc(e->scratch_size + 1, 1);
    return t->scratch ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory to measure an engine");
}

int pare__engine_measure(const pare__engine *e, double *gops, pare_error *err)
{
    trial t = {.rows = e->tile_rows < MAX_ROWS ? e->tile_rows : MAX_ROWS};
    double best = 0, rate = 0;
    int rc = prepare(&t, e, err);
    for (int i = 0; rc == 0 && i < ROUNDS; i++) { /* the first warms up */
        if (run_round(&t, &rate)) rc = pare_fail(err, PARE_E_EXTERNAL, "the engine's library failed at a product");
        if (i > 0 && rate > best) best = rate;
    }
    if (rc == 0) *gops = best;
    pare__prepared_fini(&t.weights);
    void *owned[] = {t.w, t.acc, t.x, t.scratch};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) pare__free(owned[i]);
    return rc;
}
