/* SPDX-License-Identifier: MIT */
/* LLaVA-1.5 and LLaVA-NeXT (1.6): a CLIP tower (or a SigLIP one) tapped before its last block, without final norm, and a
 * projector of two layers. NeXT cuts photos into tiles. As the hub and transformers 5 name the tensors, and as llama.cpp's
 * mmproj, old ones included. transformers' class defaults stand in for absent keys.
 * Source: Liu et al., arXiv:2310.03744; transformers' modeling_llava*.py; llama.cpp's clip.cpp on old files. */
#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

static const char *const prefixes[] = {
    "vision_tower.vision_model.", "vision_tower.", "model.vision_tower.vision_model.", "model.vision_tower.", "", NULL};

static const pare__binding model_rows[] = {
    PARE__TOWER_ROWS,
    {MODEL(projector.fc1), PARE__ROLE_LINEAR,
     "multi_modal_projector.linear_1|model.multi_modal_projector.linear_1|mm.0", "MJ", .bias = HAS(has_proj_bias),
     .flags = PARE__BIND_ROOT},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR,
     "multi_modal_projector.linear_2|model.multi_modal_projector.linear_2|mm.2", "OM", .bias = HAS(has_proj_bias),
     .flags = PARE__BIND_ROOT},
    {MODEL(newline), PARE__ROLE_ARRAY, "image_newline|model.image_newline|v.image_newline", "O", HAS(has_newline),
     .flags = PARE__BIND_ROOT},
    {0},
};

/* The first GGUF files name no projector. */
static int is_old_gguf(const pare__config *c)
{
    return pare__config_is_mmproj(c) && !pare__config_at(c, PARE__CONFIG, "projector_type|vision.projector_type") &&
           json_is_true(pare__config_at(c, PARE__CONFIG, "has_llava_projector"));
}

static int is_next(const pare__config *c)
{
    return pare__config_is(c, "model_type", "llava_next") ||
           (pare__config_is_mmproj(c) && pare__config_at(c, PARE__CONFIG, "vision.image_grid_pinpoints"));
}

static int matches(const pare__config *c)
{
    return pare__config_is(c, "model_type", "llava") || pare__config_is(c, "model_type", "llava_next") ||
           pare__config_is_projector(c, "mlp") || is_old_gguf(c);
}

/* CLIP's own rule. */
static void default_crop(pare__prep_rule *prep)
{
    prep->resize = PARE__RESIZE_SHORTEST;
    prep->shortest = prep->crop_width = prep->crop_height = prep->resize_width;
    prep->crop = PARE__CROP_FLOOR;
}

/* Tiles, and the whole picture, are stretched: their processor has a shortest side that is never other than theirs. */
static void read_tiles(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    static const int32_t pinpoints[][2] = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
    enum { N = sizeof pinpoints / sizeof pinpoints[0] };
    pare__tower_stretch(prep);
    prep->tiles = PARE__TILES_PINPOINTS;
    prep->newlines = 1;
    hp->has_newline = 1;
    for (prep->n_pinpoint = 0; prep->n_pinpoint < N; prep->n_pinpoint++)
        for (int k = 0; k < 2; k++) prep->pinpoint[prep->n_pinpoint][k] = pinpoints[prep->n_pinpoint][k];
    pare__tower_pinpoints(c, prep);
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_read(c, "clip_vision_model", hp, prep);
    pare__tower_tap(c, hp, -2);
    pare__tower_select(c, hp, "default");
    pare__tower_project(c, hp);
    if (hp->has_cls) default_crop(prep);
    pare__config_prep(c, 0, prep);
    if (is_next(c)) read_tiles(c, hp, prep);
    return c->rc;
}

/* The projector tells the language model's width (in old files projection_dim is CLIP's own), and shapes tell which of
 * ffn_up and ffn_down is which: some converters took them for each other. */
static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    static const char *const last[] = {"mm.2.weight", "multi_modal_projector.linear_2.weight",
                                       "model.multi_modal_projector.linear_2.weight", NULL};
    const pare__tower_files f = {find, files};
    pare__tower_settle_width(c, hp, &f, last, 0);
    if (!pare__config_is_mmproj(c)) return c->rc;
    const pare_tensor *down = find(files, "v.blk.0.ffn_down.weight");
    hp->form[1] = down && down->n_dim == 2 && down->shape[1] == hp->dim && down->shape[0] != hp->dim;
    hp->form[0] = !hp->form[1];
    if (!find(files, "v.image_newline") && !find(files, "model.image_newline")) hp->has_newline = 0;
    return c->rc;
}

const pare__family pare__family_llava = {
    .name = "llava",
    .summary =
        "the tower of LLaVA-1.5 and LLaVA-NeXT: CLIP tapped before its last block, projector; also as mmproj GGUF",
    .cite = "Liu et al., arXiv:2310.03744",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight|v.patch_embd.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
