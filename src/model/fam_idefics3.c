/* SPDX-License-Identifier: MIT */
/* Idefics3, SmolVLM and SmolVLM2: a SigLIP tower with its final norm whose s x s patches are put side by side and brought
 * to the language model's width by one matrix. Position rows are looked up in buckets; photos are cut into tiles, each as
 * large as the tower takes, with the whole picture behind them. Also llama.cpp's mmproj.
 * Source: Laurencon et al., arXiv:2408.12637; Marafioti et al., arXiv:2504.05299; transformers' modeling_idefics3.py. */
#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { MAX_UNIT = 16, BASE_TILES = 4 };

static const char *const prefixes[] = {"model.vision_model.", "vision_model.", "", NULL};

static const pare__binding model_rows[] = {
    PARE__TOWER_ROWS,
    {MODEL(projector.fc1), PARE__ROLE_LINEAR,
     "model.connector.modality_projection.proj|connector.modality_projection.proj|mm.model.fc", "MJ",
     .bias = HAS(has_proj_bias), .flags = PARE__BIND_ROOT},
    {0},
};

static int matches(const pare__config *c)
{
    return pare__config_is(c, "model_type", "idefics3") || pare__config_is(c, "model_type", "smolvlm") ||
           pare__config_is_projector(c, "idefics3");
}

/* max_image_size is a tile, size the longest edge, to which photos that are not cut are brought first as well. */
static void read_prep(pare__config *c, pare__prep_rule *prep)
{
    prep->resample = PARE__RESAMPLE_LANCZOS;
    prep->tiles = PARE__TILES_LONGEST;
    prep->resize_width = prep->resize_height =
        pare__config_int(c, PARE__PREP, "max_image_size.longest_edge", prep->resize_width, 1, PARE__MAX_SIDE);
    const int32_t longest = pare__config_int(c, PARE__CONFIG, "vision.preproc_image_size",
                                             BASE_TILES * prep->resize_width, 1, PARE__MAX_SIDE);
    prep->tiles_longest = pare__config_int(c, PARE__PREP, "size.longest_edge", longest, 1, PARE__MAX_SIDE);
    prep->max_tiles = pare__config_bool(c, PARE__PREP, "do_image_splitting", 1) ? 0 : 1;
    pare__config_prep(c, 1, prep);
}

static void read_projector(pare__config *c, pare__hparams *hp)
{
    hp->unit = pare__config_int(c, PARE__CONFIG, "scale_factor|vision.projector.scale_factor", 2, 1, MAX_UNIT);
    hp->has_projector = 1;
    hp->join = PARE__JOIN_CONCAT;
    hp->d_out = hp->proj_dim = pare__tower_text_width(c);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_read(c, "idefics3_vision", hp, prep);
    read_projector(c, hp);
    hp->interp = PARE__INTERP_BUCKET;
    hp->has_norm = 1;
    hp->video_units /= hp->unit * hp->unit;
    read_prep(c, prep);
    return c->rc;
}

static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    static const char *const last[] = {"model.connector.modality_projection.proj.weight",
                                       "connector.modality_projection.proj.weight", "mm.model.fc.weight", NULL};
    const pare__tower_files f = {find, files};
    pare__tower_settle_width(c, hp, &f, last, 0);
    return c->rc;
}

const pare__family pare__family_idefics3 = {
    .name = "idefics3",
    .summary = "the tower of Idefics3, SmolVLM and SmolVLM2: SigLIP, s x s units, tiles of photos; also as mmproj GGUF",
    .cite = "Laurencon et al., arXiv:2408.12637; Marafioti et al., arXiv:2504.05299",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight|v.patch_embd.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
