/* SPDX-License-Identifier: MIT */
/* Gemma 3: a SigLIP tower with its final norm; the mean of 4 x 4 patches is normed and brought to the language model's
 * width by one matrix. Also llama.cpp's mmproj. Safetensors hold the norm's weight less 1, GGUF as it is; both hold the
 * matrix as [in, out].
 * Source: Gemma Team, arXiv:2503.19786; transformers' modeling_gemma3.py. */
#include <math.h>

#include "core/error.h"
#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { GGUF_UNIT = 4, MAX_UNIT = 16 };

static const char *const prefixes[] = {
    "vision_tower.vision_model.", "vision_tower.", "model.vision_tower.vision_model.", "model.vision_tower.", "", NULL};

static const pare__binding model_rows[] = {
    PARE__TOWER_ROWS,
    {MODEL(projector.norm), PARE__ROLE_SCALE,
     "multi_modal_projector.mm_soft_emb_norm|model.multi_modal_projector.mm_soft_emb_norm|mm.soft_emb_norm", "J",
     .flags = PARE__BIND_ROOT | PARE__BIND_PLUS_ONE},
    {MODEL(projector.fc1), PARE__ROLE_LINEAR,
     "multi_modal_projector.mm_input_projection_weight|model.multi_modal_projector.mm_input_projection_weight|"
     "mm.input_projection",
     "MJ", .bias = HAS(has_proj_bias), .flags = PARE__BIND_ROOT | PARE__BIND_TRANSPOSED},
    {0},
};

static int matches(const pare__config *c)
{
    return pare__config_is(c, "model_type", "gemma3") || pare__config_is_projector(c, "gemma3");
}

/* Patches on the side of a unit: as many as leave the square root of mm_tokens_per_image on the side of the picture. */
static int32_t read_unit(pare__config *c, const pare__hparams *hp)
{
    if (pare__config_is_mmproj(c))
        return pare__config_int(c, PARE__CONFIG, "vision.projector.scale_factor", GGUF_UNIT, 1, MAX_UNIT);
    const int32_t n = pare__config_int(c, PARE__CONFIG, "mm_tokens_per_image", 256, 1, PARE__MAX_UNITS_PER_FRAME);
    const int32_t side = (int32_t)lrint(sqrt(n));
    const int32_t unit = hp->pos_rows / side;
    if (side * side == n && unit * side == hp->pos_rows && unit >= 1 && unit <= MAX_UNIT) return unit;
    pare__config_fail(c, PARE_E_FORMAT, "%s: mm_tokens_per_image is %d, which %d x %d patches cannot be pooled to",
                      c->file, n, hp->pos_rows, hp->pos_cols);
    return 1;
}

static void read_projector(pare__config *c, pare__hparams *hp)
{
    hp->unit = read_unit(c, hp);
    hp->has_projector = 1;
    hp->join = PARE__JOIN_MEAN;
    hp->proj_norm = PARE__NORM_RMS;
    hp->proj_norm_joined = 1;
    hp->proj_eps = hp->eps;
    hp->d_out = hp->proj_dim = pare__tower_text_width(c);
    hp->has_proj_norm = 1;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_read(c, "siglip_vision_model", hp, prep);
    read_projector(c, hp);
    hp->has_norm = 1;
    hp->video_units /= hp->unit * hp->unit;
    prep->resample = PARE__RESAMPLE_BILINEAR;
    pare__config_prep(c, 1, prep);
    if (pare__config_bool(c, PARE__PREP, "do_pan_and_scan", 0))
        pare__log(PARE_LOG_WARN, "%s: pan and scan is not done, photos are encoded whole", c->prep_file);
    return c->rc;
}

static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    static const char *const last[] = {"multi_modal_projector.mm_input_projection_weight",
                                       "model.multi_modal_projector.mm_input_projection_weight",
                                       "mm.input_projection.weight", NULL};
    const pare__tower_files f = {find, files};
    pare__tower_settle_width(c, hp, &f, last, 1);
    return c->rc;
}

const pare__family pare__family_gemma3 = {
    .name = "gemma3",
    .summary = "the tower of Gemma 3: SigLIP, means of 4 x 4 patches, projector; also as mmproj GGUF",
    .cite = "Gemma Team, arXiv:2503.19786",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight|v.patch_embd.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
