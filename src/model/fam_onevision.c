/* SPDX-License-Identifier: MIT */
/* LLaVA-OneVision: a SigLIP tower whose last block's output goes into a projector of two layers as it is. Photos become
 * tiles whose tokens are shrunk when there are many; frames of a clip are pooled to a quarter of their tokens.
 * Source: Li et al., arXiv:2408.03326; transformers' modeling_llava_onevision.py. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/tower.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define HAS(field) offsetof(pare__hparams, field)

enum { BASE_SIDE = 384, BASE_TILES = 6, CLIP_POOL = 2, MAX_ANYRES = PARE__MAX_TILES * PARE__MAX_TILES };

static const char *const prefixes[] = {"vision_tower.vision_model.", "vision_tower.",
                                       "model.vision_tower.vision_model.", "model.vision_tower.", NULL};

static const pare__binding model_rows[] = {
    PARE__TOWER_ROWS,
    {MODEL(projector.fc1), PARE__ROLE_LINEAR, "multi_modal_projector.linear_1|model.multi_modal_projector.linear_1",
     "MJ", .bias = HAS(has_proj_bias), .flags = PARE__BIND_ROOT},
    {MODEL(projector.fc2), PARE__ROLE_LINEAR, "multi_modal_projector.linear_2|model.multi_modal_projector.linear_2",
     "OM", .bias = HAS(has_proj_bias), .flags = PARE__BIND_ROOT},
    {MODEL(newline), PARE__ROLE_ARRAY, "image_newline|model.image_newline", "O", HAS(has_newline),
     .flags = PARE__BIND_ROOT},
    {0},
};

static int matches(const pare__config *c) { return pare__config_is(c, "model_type", "llava_onevision"); }

/* "anyres_max_9" -> 9 */
static int32_t read_anyres(pare__config *c)
{
    static const char key[] = "vision_aspect_ratio", head[] = "anyres_max_";
    const char *text = pare__config_text(c, PARE__CONFIG, key);
    if (!text) return 9;
    char *end = NULL;
    const int is_known = !strncmp(text, head, sizeof head - 1);
    const long n = is_known ? strtol(text + sizeof head - 1, &end, 10) : 0;
    if (is_known && *end == 0 && n >= 1 && n <= MAX_ANYRES) return (int32_t)n;
    pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: %s \"%.60s\" is not supported, %sN is, N up to %d", c->file, key,
                      text, head, MAX_ANYRES);
    return 0;
}

/* All grids of up to 6 x 6 tiles, of the released side. */
static void default_pinpoints(pare__prep_rule *prep)
{
    for (int32_t i = 0; i < BASE_TILES * BASE_TILES; i++) {
        prep->pinpoint[i][0] = (i / BASE_TILES + 1) * BASE_SIDE;
        prep->pinpoint[i][1] = (i % BASE_TILES + 1) * BASE_SIDE;
    }
    prep->n_pinpoint = BASE_TILES * BASE_TILES;
}

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    pare__tower_read(c, "siglip_vision_model", hp, prep);
    pare__tower_tap(c, hp, -1);
    pare__tower_select(c, hp, "full");
    pare__tower_project(c, hp);
    hp->has_newline = 1;
    pare__config_prep(c, 1, prep);
    pare__tower_stretch(prep);
    prep->tiles = PARE__TILES_PINPOINTS;
    prep->newlines = 1;
    prep->anyres_max = read_anyres(c);
    prep->clip_pool = CLIP_POOL;
    prep->clip_resample = PARE__RESAMPLE_BICUBIC_TORCH;
    default_pinpoints(prep);
    pare__tower_pinpoints(c, prep);
    return c->rc;
}

static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    static const char *const last[] = {"multi_modal_projector.linear_2.weight",
                                       "model.multi_modal_projector.linear_2.weight", NULL};
    const pare__tower_files f = {find, files};
    pare__tower_settle_width(c, hp, &f, last, 0);
    return c->rc;
}

const pare__family pare__family_onevision = {
    .name = "onevision",
    .summary = "the tower of LLaVA-OneVision: SigLIP, projector, tiles of photos, pooled frames of clips",
    .cite = "Li et al., arXiv:2408.03326",
    .prefixes = prefixes,
    .probe = "embeddings.patch_embedding.weight",
    .model = model_rows,
    .block = pare__tower_blocks,
    .matches = matches,
    .configure = configure,
    .settle = settle,
};
