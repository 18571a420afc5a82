/* SPDX-License-Identifier: MIT */
/* See tiny_model.h. Tensors [out, in] with normal-ish weights of deviation 1 / sqrt(in). */
#include "tiny_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rank.h"

enum { MAX_TENSOR = 256, NAME_SIZE = 96, PATH_SIZE = 512 };

typedef struct maker {
    pare_tensor t[MAX_TENSOR];
    char name[MAX_TENSOR][NAME_SIZE];
    int32_t n;
    pare__rng rng;
} maker;

/* A tensor PREFIX + SUFFIX of `n_dim` sizes, filled with centre + spread * noise. */
static void add(maker *m, const char *prefix, const char *suffix, float centre, double spread, int n_dim, ...)
{
    pare_tensor *t = &m->t[m->n];
    strcat(strcpy(m->name[m->n], prefix), suffix);
    *t = (pare_tensor){.name = m->name[m->n++], .dtype = PARE_F32, .n_dim = n_dim};
    va_list sizes;
    va_start(sizes, n_dim);
    for (int i = 0; i < n_dim; i++) t->shape[i] = va_arg(sizes, int32_t);
    va_end(sizes);
    const int64_t n = pare_tensor_count(t);
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = centre + (float)(spread * (pare__rng_unit(&m->rng) + pare__rng_unit(&m->rng) - 1));
    t->data = x;
}

/* PREFIX.weight [n_out, n_in] and PREFIX.bias [n_out]; scale 0: both zero. */
static void add_linear(maker *m, const char *prefix, int32_t n_out, int32_t n_in, double scale)
{
    add(m, prefix, ".weight", 0, scale * 2 / sqrt(n_in), 2, n_out, n_in);
    add(m, prefix, ".bias", 0, scale * 0.2, 1, n_out);
}

static void add_norm(maker *m, const char *prefix, int32_t dim, int has_bias)
{
    add(m, prefix, ".weight", 1, 0.2, 1, dim);
    if (has_bias) add(m, prefix, ".bias", 0, 0.2, 1, dim);
}

/* ---- DINOv2 ---------------------------------------------------------------------------------------------------- */

static const char *part(char *name, int32_t block, const char *rest)
{
    snprintf(name, NAME_SIZE, "encoder.layer.%d.%s", block, rest);
    return name;
}

static void dino_block(maker *m, const tiny_spec *s, int32_t l)
{
    static const char *const linears[] = {"attention.attention.query", "attention.attention.key",
                                          "attention.attention.value", "attention.output.dense"};
    char name[NAME_SIZE];
    const float scale = s->is_plain ? 0 : 0.5F;
    add_norm(m, part(name, l, "norm1"), s->dim, 1);
    add_norm(m, part(name, l, "norm2"), s->dim, 1);
    for (int i = 0; i < 4; i++) add_linear(m, part(name, l, linears[i]), s->dim, s->dim, 1);
    add_linear(m, part(name, l, "mlp.fc1"), 2 * s->dim, s->dim, 1);
    add_linear(m, part(name, l, "mlp.fc2"), s->dim, 2 * s->dim, 1);
    add(m, part(name, l, "layer_scale1.lambda1"), "", scale, 0, 1, s->dim);
    add(m, part(name, l, "layer_scale2.lambda1"), "", scale, 0, 1, s->dim);
}

static void dino(maker *m, const tiny_spec *s)
{
    const int32_t side = s->photo / s->patch;
    const double spread = s->is_plain || s->no_position ? 0 : 0.5;
    add(m, "embeddings.patch_embeddings.projection.weight", "", 0, 2.0 / s->patch, 4, s->dim, 3, s->patch, s->patch);
    add(m, "embeddings.patch_embeddings.projection.bias", "", 0, 1, 1, s->dim);
    add(m, "embeddings.cls_token", "", 0, 1, 3, 1, 1, s->dim);
    add(m, "embeddings.position_embeddings", "", 0, spread, 3, 1, 1 + side * side, s->dim);
    add_norm(m, "layernorm", s->dim, 1);
    for (int32_t l = 0; l < s->n_layer; l++) dino_block(m, s, l);
}

static void dino_config(const tiny_spec *s, FILE *config, FILE *prep)
{
    fprintf(config,
            "{\"model_type\": \"dinov2\", \"hidden_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": %d,"
            " \"patch_size\": %d, \"image_size\": %d, \"mlp_ratio\": 2, \"hidden_act\": \"gelu\"}\n",
            s->dim, s->n_layer, s->n_head, s->patch, s->photo);
    fprintf(prep, "{\"do_resize\": true, \"resample\": 3, \"do_rescale\": true, \"do_normalize\": true,"
                  " \"image_mean\": [0.4, 0.5, 0.6], \"image_std\": [0.25, 0.25, 0.25],");
    if (s->shortest)
        fprintf(prep, " \"size\": {\"shortest_edge\": %d}, \"crop_size\": {\"height\": %d, \"width\": %d}}\n",
                s->shortest, s->photo, s->photo);
    else
        fprintf(prep, " \"size\": {\"height\": %d, \"width\": %d}, \"do_center_crop\": false}\n", s->photo, s->photo);
}

/* ---- Qwen2.5-VL ------------------------------------------------------------------------------------------------ */

static const char *visual(char *name, int32_t block, const char *rest)
{
    snprintf(name, NAME_SIZE, "visual.blocks.%d.%s", block, rest);
    return name;
}

static void qwen_block(maker *m, const tiny_spec *s, int32_t l)
{
    char name[NAME_SIZE];
    const double scale = s->is_plain ? 0 : 0.5;
    add_norm(m, visual(name, l, "norm1"), s->dim, 0);
    add_norm(m, visual(name, l, "norm2"), s->dim, 0);
    add_linear(m, visual(name, l, "attn.qkv"), 3 * s->dim, s->dim, 1);
    add_linear(m, visual(name, l, "attn.proj"), s->dim, s->dim, scale);
    add_linear(m, visual(name, l, "mlp.gate_proj"), 2 * s->dim, s->dim, 1);
    add_linear(m, visual(name, l, "mlp.up_proj"), 2 * s->dim, s->dim, 1);
    add_linear(m, visual(name, l, "mlp.down_proj"), s->dim, 2 * s->dim, scale);
}

static void qwen(maker *m, const tiny_spec *s)
{
    const int32_t joined = s->unit * s->unit * s->dim;
    add(m, "visual.patch_embed.proj.weight", "", 0, 2.0 / s->patch, 5, s->dim, 3, 2, s->patch, s->patch);
    add_norm(m, "visual.merger.ln_q", s->dim, 0);
    add_linear(m, "visual.merger.mlp.0", joined, joined, 1);
    add_linear(m, "visual.merger.mlp.2", s->dim, joined, 1);
    for (int32_t l = 0; l < s->n_layer; l++) qwen_block(m, s, l);
}

static void qwen_config(const tiny_spec *s, FILE *config, FILE *prep)
{
    fprintf(
        config,
        "{\"model_type\": \"qwen2_5_vl\", \"hidden_size\": 32, \"vision_config\": {\"depth\": %d, \"hidden_size\":"
        " %d, \"intermediate_size\": %d, \"num_heads\": %d, \"out_hidden_size\": %d, \"patch_size\": %d,"
        " \"spatial_merge_size\": %d, \"window_size\": %d, \"fullatt_block_indexes\": [1], \"hidden_act\": \"silu\","
        " \"tokens_per_second\": 2, \"temporal_patch_size\": 2}}\n",
        s->n_layer, s->dim, 2 * s->dim, s->n_head, s->dim, s->patch, s->unit, 4 * s->unit * s->patch);
    fprintf(prep,
            "{\"min_pixels\": %d, \"max_pixels\": %d, \"patch_size\": %d, \"temporal_patch_size\": 2, \"merge_size\":"
            " %d, \"image_mean\": [0.4, 0.5, 0.6], \"image_std\": [0.25, 0.25, 0.25]}\n",
            s->photo * s->photo / 2, 2 * s->photo * s->photo, s->patch, s->unit);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static const char *inside(char *path, const char *dir, const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", dir, name);
    return path;
}

static int write_all(const char *dir, const tiny_spec *s, pare_error *err)
{
    char path[PATH_SIZE];
    maker *m = calloc(1, sizeof *m);
    m->rng = pare__rng_make(5, 0, 0);
    FILE *config = fopen(inside(path, dir, "config.json"), "w");
    FILE *prep = fopen(inside(path, dir, "preprocessor_config.json"), "w");
    (s->unit > 1 ? qwen_config : dino_config)(s, config, prep);
    fclose(config);
    fclose(prep);
    (s->unit > 1 ? qwen : dino)(m, s);
    const int rc = pare_tensors_save(inside(path, dir, "model.safetensors"), m->t, m->n, NULL, 0, err);
    for (int32_t i = 0; i < m->n; i++) free((void *)(uintptr_t)m->t[i].data);
    free(m);
    return rc;
}

int tiny_model_open(pare_model **out, const tiny_spec *spec, pare_error *err)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "model.safetensors"};
    const char *base = getenv("TMPDIR");
    char dir[PATH_SIZE / 2], path[PATH_SIZE];
    snprintf(dir, sizeof dir, "%s/pare-tiny-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir)) return pare_fail(err, PARE_E_IO, "%s: cannot be made", dir);
    int rc = write_all(dir, spec, err);
    if (!rc) rc = pare_model_open(out, dir, err);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) unlink(inside(path, dir, files[i]));
    rmdir(dir);
    return rc;
}
