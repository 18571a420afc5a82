/* SPDX-License-Identifier: MIT */
/* VideoMAE under Hugging Face names (MCG-NJU/videomae-*): tubelets of two frames, joint attention of all steps of a clip,
 * fixed sinusoids as positions, no CLS token, keys without bias; with the classifier of the fine-tuned models. The decoder
 * of the pre-trained ones is not read.
 * Source: Tong et al., arXiv:2203.12602; transformers' configuration_videomae.py for the defaults of absent keys. */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "model/family.h"
#include "model/store.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)

/* Of a tubelet, and tubelets of a clip. */
enum { MAX_TEMPORAL = 4, MAX_CLIP_STEPS = 64 };

static const char *const prefixes[] = {"videomae.", "", NULL};

static const pare__binding model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "embeddings.patch_embeddings.projection", "DCEPP"},
    {MODEL(norm), PARE__ROLE_NORM, "layernorm", "D", HAS(has_norm)},
    {MODEL(fc_norm), PARE__ROLE_NORM, "fc_norm", "D", HAS(has_fc_norm), .flags = PARE__BIND_ROOT},
    {MODEL(head), PARE__ROLE_LINEAR, "classifier", "KH", HAS(n_class), .flags = PARE__BIND_ROOT},
    {0},
};

/* Biases as published, and as transformers 5 saves them. */
static const pare__binding block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "encoder.layer.%d.layernorm_before", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR,
     "encoder.layer.%d.attention.attention.query+encoder.layer.%d.attention.attention.key+"
     "encoder.layer.%d.attention.attention.value",
     "TD", .bias = HAS(has_qkv_bias), .flags = PARE__BIND_BIAS_PARTS,
     .bias_names = "encoder.layer.%d.attention.attention.q_bias++encoder.layer.%d.attention.attention.v_bias|"
                   "encoder.layer.%d.attention.attention.query.bias+encoder.layer.%d.attention.attention.key.bias+"
                   "encoder.layer.%d.attention.attention.value.bias"},
    {BLOCK(proj), PARE__ROLE_LINEAR, "encoder.layer.%d.attention.output.dense", "DD"},
    {BLOCK(norm2), PARE__ROLE_NORM, "encoder.layer.%d.layernorm_after", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "encoder.layer.%d.intermediate.dense", "GD"},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "encoder.layer.%d.output.dense", "DF"},
    {0},
};

static int matches(const pare__config *c)
{
    const char *type = json_string_value(pare__config_at(c, PARE__CONFIG, "model_type"));
    return type && !strcmp(type, "videomae");
}

static void read_dims(pare__config *c, pare__hparams *hp)
{
    int32_t height = 224, width = 224;
    hp->dim = pare__config_count(c, "hidden_size", 768, PARE__MAX_DIM);
    hp->n_layer = pare__config_count(c, "num_hidden_layers", 12, PARE__MAX_BLOCKS);
    hp->n_head = pare__config_count(c, "num_attention_heads", 12, PARE__MAX_HEADS);
    hp->mlp_dim = pare__config_count(c, "intermediate_size", 3072, 4 * PARE__MAX_DIM);
    hp->patch = pare__config_count(c, "patch_size", 16, PARE__MAX_SIDE);
    hp->temporal = pare__config_count(c, "tubelet_size", 2, MAX_TEMPORAL);
    hp->steps = pare__config_count(c, "num_frames", 16, MAX_CLIP_STEPS * MAX_TEMPORAL) / hp->temporal;
    pare__config_int(c, PARE__CONFIG, "num_channels", 3, 3, 3);
    pare__config_size(c, PARE__CONFIG, "image_size", &height, &width);
    hp->pos_rows = height / hp->patch;
    hp->pos_cols = width / hp->patch;
    hp->video_units = hp->pos_rows * hp->pos_cols;
    hp->fixed_grid = 1;
    if (hp->steps < 1)
        pare__config_fail(c, PARE_E_FORMAT, "%s: num_frames is less than tubelet_size %d", c->file, hp->temporal);
    if (hp->steps > MAX_CLIP_STEPS)
        pare__config_fail(c, PARE_E_LIMIT, "%s: num_frames %d of tubelet_size %d are %d steps, at most %d", c->file,
                          hp->steps * hp->temporal, hp->temporal, hp->steps, MAX_CLIP_STEPS);
}

/* Fine-tuned models classify the mean of all tokens; one that reads the first token instead is not known to exist. */
static void read_head(pare__config *c, pare__hparams *hp)
{
    const json_t *first = json_array_get(pare__config_at(c, PARE__CONFIG, "architectures"), 0);
    const char *architecture = json_string_value(first);
    const int is_mean = pare__config_bool(c, PARE__CONFIG, "use_mean_pooling", 1);
    const json_t *labels = pare__config_at(c, PARE__CONFIG, "id2label");
    hp->pool = PARE__POOL_MEAN;
    hp->has_norm = !is_mean;
    if (!architecture || !strstr(architecture, "ForVideoClassification")) return;
    if (!is_mean) {
        pare__log(PARE_LOG_WARN, "%s: use_mean_pooling is false, the classifier is not read", c->file);
        return;
    }
    hp->has_fc_norm = 1;
    hp->fc_eps = 1e-5F;
    hp->n_class =
        pare__config_int(c, PARE__CONFIG, "num_labels", json_is_object(labels) ? (int32_t)json_object_size(labels) : 2,
                         1, PARE__MAX_CLASSES);
}

static void default_prep(const pare__hparams *hp, pare__prep_rule *prep)
{
    const int32_t rows = hp->pos_rows, cols = hp->pos_cols;
    *prep = (pare__prep_rule){.resize = PARE__RESIZE_SHORTEST,
                              .shortest = (rows < cols ? rows : cols) * hp->patch,
                              .resample = PARE__RESAMPLE_BILINEAR,
                              .crop = PARE__CROP_FLOOR,
                              .crop_width = cols * hp->patch,
                              .crop_height = rows * hp->patch,
                              .rescale = 1.0 / 255.0,
                              .mean = {.5F, .5F, .5F},
                              .std = {.5F, .5F, .5F}};
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    read_dims(c, hp);
    read_head(c, hp);
    hp->eps = (float)pare__config_float(c, PARE__CONFIG, "layer_norm_eps", 1e-12, 1e-30, 1);
    hp->act = (pare__act)pare__config_choice(c, PARE__CONFIG, "hidden_act", pare__act_names, PARE__ACT_GELU);
    hp->has_qkv_bias = pare__config_bool(c, PARE__CONFIG, "qkv_bias|qv_bias", 1);
    hp->has_patch_bias = 1;
    default_prep(hp, prep);
    pare__config_prep(c, 0, prep);
    return c->rc;
}

/* Position p [dim]: sin and cos in turn of p / 10000^(2 floor(j / 2) / dim), p = (step rows + row) cols + col. */
static int finish(pare_model *m, pare_error *err)
{
    const pare__hparams *hp = &m->hp;
    const int64_t n = (int64_t)hp->steps * hp->pos_rows * hp->pos_cols;
    float *x = pare__store_floats(m->store, n * hp->dim);
    if (!x) return pare_fail(err, PARE_E_NOMEM, "%s: out of memory for %lld positions", m->path, (long long)n);
    m->w.pos = x;
    for (int64_t p = 0; p < n; p++)
        for (int32_t j = 0; j < hp->dim; j++) {
            const double angle = (double)p / pow(10000, 2.0 * (j / 2) / hp->dim);
            *x++ = (float)(j % 2 ? cos(angle) : sin(angle));
        }
    return 0;
}

const pare__family pare__family_videomae = {
    .name = "videomae",
    .summary = "VideoMAE: tubelets, joint attention over the steps of a clip, with its classifier",
    .cite = "Tong et al., arXiv:2203.12602",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embeddings.projection.weight",
    .model = model_rows,
    .block = block_rows,
    .matches = matches,
    .configure = configure,
    .finish = finish,
};
