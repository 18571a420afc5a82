/* SPDX-License-Identifier: MIT */
/* Prepares all linear layers of a model, several at a time. */
#include "encode/engine_weights.h"

#include "core/cache.h"
#include "core/mem.h"
#include "encode/backend.h"
#include "encode/balance.h"

typedef struct request {
    pare__prepared *to;
    const pare__linear *from;
    const pare__engine *engine;
    int32_t n_part;
    const pare__norm_w *norm;  /* in front of it, or NULL */
    pare__engine_norm *behind; /* what `norm` becomes */
    pare_error err;
} request;

typedef struct maker {
    const pare_model *m;
    const pare__engine *engine;
    int32_t n_block;
    pare__pool *pool;
    request *todo;
    int64_t n;
} maker;

static void add(maker *k, pare__prepared *to, const pare__linear *from, const pare__engine *engine, int32_t n_part)
{
    if (from->w) k->todo[k->n++] = (request){.to = to, .from = from, .engine = engine, .n_part = n_part};
}

/* The same of a layer behind a norm. */
static void add_behind(maker *k, pare__engine_norm *behind, const pare__norm_w *norm, pare__prepared *to,
                       const pare__linear *from, const pare__engine *engine, int32_t n_part)
{
    behind->w = *norm;
    add(k, to, from, engine, n_part);
    if (!from->w || !norm->w || engine->operand != PARE__OPERAND_U8) return;
    k->todo[k->n - 1].norm = norm;
    k->todo[k->n - 1].behind = behind;
}

static void list_layers(maker *k, pare__engine_weights *p)
{
    const pare__weights *w = &k->m->w;
    add(k, &p->patch, &w->patch, p->wide, 1);
    for (int32_t i = 0; i <= k->m->hp.n_deepstack; i++) {
        const pare__projector_w *from = i ? &w->deepstack[i - 1] : &w->projector;
        add(k, &p->projector[i][0], &from->fc1, p->wide, 1);
        add(k, &p->projector[i][1], &from->fc2, p->wide, 1);
    }
    for (int32_t b = 0; b < p->n_block; b++) {
        const pare__block_w *from = &w->block[b];
        pare__engine_block *to = &p->block[b];
        add_behind(k, &to->norm1, &from->norm1, &to->qkv, &from->qkv, p->engine, 1);
        add(k, &to->proj, &from->proj, p->engine, 1);
        add_behind(k, &to->norm2, &from->norm2, &to->fc1, &from->fc1, p->engine, k->m->hp.gated ? 2 : 1);
        add(k, &to->fc2, &from->fc2, p->engine, 1);
    }
}

static void prepare_one(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const maker *k = (const maker *)arg;
    request *r = &k->todo[task];
    const pare__linear *l = r->from;
    pare__balanced balanced = {0};
    pare__model_need(k->m, l->w);
    if (r->norm && pare__balance(r->norm, l, &balanced, &r->err)) return;
    const int rc =
        pare__prepare(r->to, r->engine, balanced.w ? balanced.w : l->w, l->n_in, l->n_out, r->n_part, &r->err);
    pare__free(balanced.w);
    if (r->norm) *r->behind = (pare__engine_norm){balanced.norm, balanced.memory};
    if (rc) return;
    if (!r->engine->borrows) pare__model_unneed(k->m, l->w, (int64_t)l->n_in * l->n_out);
}

void pare__engine_weights_free(pare__engine_weights **weights)
{
    pare__engine_weights *p = *weights;
    *weights = NULL;
    if (!p) return;
    pare__prepared_fini(&p->patch);
    for (int32_t i = 0; i <= PARE__MAX_DEEPSTACK; i++) {
        pare__prepared_fini(&p->projector[i][0]);
        pare__prepared_fini(&p->projector[i][1]);
    }
    for (int32_t b = 0; p->block && b < p->n_block; b++) {
        pare__prepared *layer[] = {&p->block[b].qkv, &p->block[b].proj, &p->block[b].fc1, &p->block[b].fc2};
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) pare__prepared_fini(layer[i]);
        pare__free(p->block[b].norm1.memory);
        pare__free(p->block[b].norm2.memory);
    }
    pare__free(p->block);
    pare__free(p);
}

static void destroy(void *value)
{
    pare__engine_weights *p = value;
    pare__engine_weights_free(&p);
}

static int first_error(const maker *k, pare_error *err)
{
    for (int64_t i = 0; i < k->n; i++) {
        const pare_error *e = &k->todo[i].err;
        if (e->code) return pare_fail(err, e->code, "model '%s': %s", k->m->name, e->text);
    }
    return 0;
}

static int make(void *arg, void **value, pare_error *err)
{
    maker *k = (maker *)arg;
    pare__engine_choice wide;
    int rc = pare__engine_choose(NULL, NULL, &wide, err);
    if (rc) return rc;
    if (k->engine->operand == PARE__OPERAND_F32) wide.engine = k->engine;
    pare__engine_weights *p = PARE__NEW(pare__engine_weights, 1);
    if (p) {
        p->engine = k->engine;
        p->wide = wide.engine;
        p->n_block = k->n_block;
        p->block = PARE__NEW(pare__engine_block, p->n_block);
        k->todo = PARE__NEW(request, 1 + 2 * (1 + k->m->hp.n_deepstack) + 4 * (int64_t)p->n_block);
    }
    if (!p || !p->block || !k->todo) {
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for the weights of model '%s'", k->m->name);
    } else {
        list_layers(k, p);
        pare__pool_run(k->pool, k->n, prepare_one, k);
        rc = first_error(k, err);
    }
    pare__free(k->todo);
    if (rc) pare__engine_weights_free(&p);
    *value = p;
    return rc;
}

int pare__engine_weights_get(const pare_model *m, const pare__engine *engine, int32_t n_block, pare__pool *pool,
                             const pare__engine_weights **out, pare__engine_weights **own, pare_error *err)
{
    maker k = {.m = m, .engine = engine, .n_block = n_block, .pool = pool};
    const int is_shared = m->cache && n_block == pare__blocks_run(&m->hp);
    void *value = NULL;
    const int rc =
        is_shared ? pare__cache_get(m->cache, engine, make, &k, destroy, &value, err) : make(&k, &value, err);
    if (rc) return rc;
    *out = value;
    *own = is_shared ? NULL : value;
    return 0;
}
