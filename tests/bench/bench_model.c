/* SPDX-License-Identifier: MIT */
/* Random ViTs of bench_model.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_model.h"
#include "bench_util.h"
#include "encode/backend.h"

const bench_shape bench_shapes[] = {
    {"ViT-B/16@224", 768, 12, 12, 3072, 16, 14, 0},
    {"DINOv2-S/14@224", 384, 12, 6, 1536, 14, 16, 1},
    {"ViT-L/14@336", 1024, 24, 16, 4096, 14, 24, 0},
    {NULL, 0, 0, 0, 0, 0, 0, 0},
};

const bench_shape *bench_shape_find(const char *part)
{
    const bench_shape *s = bench_shapes;
    while (s->name && !strstr(s->name, part)) s++;
    return s->name ? s : NULL;
}

/* ---- weights ------------------------------------------------------------------------------------------------ */

static void *keep(bench_model *b, void *p)
{
    if (b->n_owned == BENCH_MODEL_ARRAYS) {
        fprintf(stderr, "a model of more than %d arrays\n", BENCH_MODEL_ARRAYS);
        exit(2);
    }
    return b->owned[b->n_owned++] = p;
}

static float *random_array(bench_model *b, int64_t n, float scale)
{
    return keep(b, bench_floats(n, (uint64_t)b->n_owned, scale));
}

static pare__linear random_linear(bench_model *b, int32_t n_in, int32_t n_out)
{
    return (pare__linear){random_array(b, (int64_t)n_in * n_out, 0.06f), random_array(b, n_out, 0.1f), n_in, n_out};
}

static pare__norm_w random_norm(bench_model *b, int32_t dim)
{
    float *one = keep(b, bench_alloc(dim, sizeof(float)));
    for (int32_t i = 0; i < dim; i++) one[i] = 1;
    return (pare__norm_w){one, random_array(b, dim, 0.1f)};
}

static pare__block_w random_block(bench_model *b, const bench_shape *s)
{
    pare__block_w w = {.norm1 = b->m.w.norm,
                       .norm2 = b->m.w.norm,
                       .qkv = random_linear(b, s->dim, 3 * s->dim),
                       .proj = random_linear(b, s->dim, s->dim),
                       .fc1 = random_linear(b, s->dim, s->mlp_dim),
                       .fc2 = random_linear(b, s->mlp_dim, s->dim)};
    if (!s->has_scale) return w;
    w.scale1 = random_array(b, s->dim, 1);
    w.scale2 = random_array(b, s->dim, 1);
    return w;
}

bench_model *bench_model_make(const bench_shape *s, int32_t n_layer)
{
    bench_model *b = bench_alloc(1, sizeof *b);
    pare_model *m = &b->m;
    m->name = m->path = keep(b, strdup(s->name));
    m->hp = (pare__hparams){.dim = s->dim,
                            .n_layer = n_layer,
                            .n_head = s->n_head,
                            .mlp_dim = s->mlp_dim,
                            .patch = s->patch,
                            .temporal = 1,
                            .unit = 1,
                            .pos_rows = s->grid,
                            .pos_cols = s->grid,
                            .has_cls = 1,
                            .n_prefix = 1,
                            .pos_prefix = PARE__POS_CLS_ONLY,
                            .eps = 1e-6f};
    m->prep = (pare__prep_rule){.rescale = 1 / 255.0, .mean = {.5f, .5f, .5f}, .std = {.5f, .5f, .5f}};
    m->w.patch = random_linear(b, 3 * s->patch * s->patch, s->dim);
    m->w.cls = random_array(b, s->dim, 1);
    m->w.pos = random_array(b, (int64_t)(1 + s->grid * s->grid) * s->dim, 1);
    m->w.norm = random_norm(b, s->dim);
    m->w.block = keep(b, bench_alloc(n_layer, sizeof *m->w.block));
    for (int32_t i = 0; i < n_layer; i++) m->w.block[i] = random_block(b, s);
    return b;
}

void bench_model_free(bench_model *b)
{
    for (int32_t i = 0; b && i < b->n_owned; i++) free(b->owned[i]);
    free(b);
}

/* ---- pictures ----------------------------------------------------------------------------------------------- */

pare__segment *bench_pictures(const bench_shape *s, int32_t n, uint8_t **rgb)
{
    const int64_t bytes = (int64_t)s->grid * s->patch * s->grid * s->patch * 3;
    pare__segment *seg = bench_alloc(n, sizeof *seg);
    *rgb = bench_alloc(n, bytes);
    bench_bytes(*rgb, n * bytes, 1);
    for (int32_t i = 0; i < n; i++)
        seg[i] = (pare__segment){
            .rgb = {*rgb + i * bytes}, .grid_h = s->grid, .grid_w = s->grid, .t = i, .n = (int64_t)s->grid * s->grid};
    return seg;
}

void bench_engine_name(const pare__engine_choice *c, char *to, int64_t size)
{
    snprintf(to, (size_t)size, "%s %s", c->backend->name, pare__precision_name(c->precision));
}
