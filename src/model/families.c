/* SPDX-License-Identifier: MIT */
/* The table of families and what holds for all of them: relations between hyper-parameters, axes of shapes. */
#include <string.h>

#include "core/limits.h"
#include "model/family.h"
#include "model/store.h"

int pare__family_find(const pare__family **out, const pare__config *c, pare_error *err)
{
    const char *type = json_string_value(pare__config_at(c, PARE__CONFIG, "model_type"));
    if (!type) type = json_string_value(pare__config_at(c, PARE__CONFIG, "architecture"));
    *out = NULL;
    for (const pare__family *const *f = pare__families; *f && !*out; f++)
        if ((*f)->matches(c)) *out = *f;
    if (*out) return 0;
    if (!type) return pare_fail(err, PARE_E_FORMAT, "%s: neither model_type nor architecture names a model", c->file);
    return pare_fail(err, PARE_E_UNSUPPORTED, "%s: no family reads models of type \"%.60s\"", c->file, type);
}

/* Position rows that stand for prefix tokens. */
static int32_t prefix_rows(const pare__hparams *hp)
{
    switch (hp->pos_prefix) {
    case PARE__POS_NO_PREFIX:
        return 0;
    case PARE__POS_CLS_ONLY:
        return hp->has_cls;
    default:
        return hp->n_prefix;
    }
}

int64_t pare__family_axis(const pare__hparams *hp, char letter)
{
    switch (letter) {
    case 'D':
        return hp->dim;
    case 'T':
        return 3 * (int64_t)hp->dim;
    case 'F':
        return hp->mlp_dim;
    case 'G':
        return hp->mlp_dim * (hp->gated ? INT64_C(2) : 1);
    case 'C':
        return 3;
    case 'P':
        return hp->patch;
    case 'X':
        return hp->has_cls;
    case 'R':
        return hp->n_register;
    case 'N':
        return prefix_rows(hp) + (int64_t)(hp->steps > 1 ? hp->steps : 1) * hp->pos_rows * hp->pos_cols;
    case 'K':
        return hp->n_class;
    case 'H':
        return hp->dim * (hp->logits == PARE__LOGITS_CLS_MEAN ? INT64_C(2) : 1);
    case 'E':
        return hp->temporal;
    case 'U':
        return (int64_t)hp->unit * hp->unit * hp->dim;
    case 'J':
        return hp->dim * (hp->join == PARE__JOIN_CONCAT ? (int64_t)hp->unit * hp->unit : 1);
    case 'M':
        return hp->proj_dim;
    case 'O':
        return hp->d_out;
    case 'B':
        return hp->n_embed;
    case 'A':
        return hp->dim / hp->n_head;
    case 'S':
        return hp->steps > 1 ? hp->steps : 1;
    default:
        return 0;
    }
}

/* What every number must lie in; 0 stands for "none" where the least is 0. */
typedef struct range_row {
    size_t offset;
    const char *name;
    int32_t min, max;
} range_row;

enum { MAX_UNIT = 16, MAX_TEMPORAL = 16, MAX_ATTENDING_STEPS = 64 };

#define HP(field, name, min, max)                                                                                      \
    {                                                                                                                  \
        offsetof(pare__hparams, field), name, min, max                                                                 \
    }
static const range_row ranges[] = {
    HP(dim, "width", 1, PARE__MAX_DIM),
    HP(n_layer, "number of blocks", 1, PARE__MAX_BLOCKS),
    HP(n_head, "number of heads", 1, PARE__MAX_HEADS),
    HP(mlp_dim, "mlp width", 1, 4 * PARE__MAX_DIM),
    HP(patch, "patch size", 1, PARE__MAX_SIDE),
    HP(temporal, "frames of a temporal step", 1, MAX_TEMPORAL),
    HP(unit, "patches per side of a unit", 1, MAX_UNIT),
    HP(steps, "steps that attend to each other", 1, MAX_ATTENDING_STEPS),
    HP(n_register, "number of registers", 0, PARE__MAX_REGISTERS),
    HP(n_class, "number of classes", 0, PARE__MAX_CLASSES),
    HP(d_out, "width of the output", 1, PARE__MAX_DIM),
    HP(proj_dim, "width of the projector", 0, MAX_UNIT *PARE__MAX_DIM),
    HP(n_embed, "width of the embedding", 0, PARE__MAX_DIM),
    HP(window, "window", 0, PARE__MAX_SIDE),
    HP(n_deepstack, "number of deepstack taps", 0, PARE__MAX_DEEPSTACK),
};
#undef HP

static int check_ranges(pare__config *c, const pare__hparams *hp)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range_row *r = &ranges[i];
        int32_t v;
        memcpy(&v, (const char *)hp + r->offset, sizeof v);
        if (v < r->min || v > r->max)
            return pare__config_fail(c, PARE_E_LIMIT, "%s: %s is %d, must be %d..%d", c->file, r->name, v, r->min,
                                     r->max);
    }
    return 0;
}

static int check_heads(pare__config *c, const pare__hparams *hp)
{
    if (hp->dim % hp->n_head)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: width %d is not divisible by %d heads", c->file, hp->dim,
                                 hp->n_head);
    if (hp->rope && hp->dim / hp->n_head % 4)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: %d channels of a head cannot turn by row and column", c->file,
                                 hp->dim / hp->n_head);
    if (hp->rope && !(hp->rope_theta > 0))
        return pare__config_fail(c, PARE_E_FORMAT, "%s: rope_theta is %g", c->file, (double)hp->rope_theta);
    return 0;
}

static int check_positions(pare__config *c, const pare__hparams *hp)
{
    const int64_t units = (int64_t)hp->pos_rows * hp->pos_cols;
    if (units < 1 && !hp->rope)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: image size is smaller than a patch of %d", c->file, hp->patch);
    if (units > PARE__MAX_UNITS_PER_FRAME)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: a position table of %d x %d patches, at most %d", c->file,
                                 hp->pos_rows, hp->pos_cols, PARE__MAX_UNITS_PER_FRAME);
    return 0;
}

/* What is read of the blocks: the tap, and deepstack's before it, in order. */
static int check_taps(pare__config *c, const pare__hparams *hp)
{
    if (hp->tap < 1 || hp->tap > hp->n_layer)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: the output is taken behind block %d of %d", c->file, hp->tap,
                                 hp->n_layer);
    for (int32_t i = 0; i < hp->n_deepstack; i++)
        if (hp->deepstack[i] < (i ? hp->deepstack[i - 1] + 1 : 0) || hp->deepstack[i] >= hp->tap)
            return pare__config_fail(c, PARE_E_FORMAT, "%s: deepstack tap %d is block %d, must ascend in 0..%d",
                                     c->file, i, hp->deepstack[i], hp->tap - 1);
    return 0;
}

static int check_output(pare__config *c, const pare__hparams *hp)
{
    if (hp->pool == PARE__POOL_CLS && !hp->has_cls)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: pools the CLS token but has none", c->file);
    if (!hp->has_projector && (hp->unit > 1 || hp->n_deepstack))
        return pare__config_fail(c, PARE_E_FORMAT, "%s: units of %d patches and %d deepstack taps without a projector",
                                 c->file, hp->unit, hp->n_deepstack);
    return 0;
}

/* Pictures of one size hold whole units. */
static int check_grid(pare__config *c, const pare__hparams *hp, const pare__prep_rule *prep)
{
    const int is_cropped = prep->crop != PARE__CROP_NONE;
    const int32_t width = is_cropped ? prep->crop_width : prep->resize_width;
    const int32_t height = is_cropped ? prep->crop_height : prep->resize_height;
    const int32_t cols = width / hp->patch, rows = height / hp->patch;
    if (!is_cropped && prep->resize != PARE__RESIZE_EXACT) return 0;
    if (rows < 1 || cols < 1 || rows % hp->unit || cols % hp->unit)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: pictures of %d x %d pixels are no whole units of %d",
                                 c->prep_file, width, height, hp->patch * hp->unit);
    return 0;
}

static int check_pinpoints(pare__config *c, const pare__prep_rule *prep)
{
    const int32_t least = prep->tiles == PARE__TILES_PINPOINTS;
    if (prep->n_pinpoint < least || prep->n_pinpoint > PARE__MAX_PINPOINTS)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: %d pinpoints, must be %d..%d", c->prep_file, prep->n_pinpoint,
                                 least, PARE__MAX_PINPOINTS);
    for (int32_t i = 0; i < prep->n_pinpoint; i++)
        for (int k = 0; k < 2; k++)
            if (prep->pinpoint[i][k] < 1 || prep->pinpoint[i][k] > PARE__MAX_SIDE)
                return pare__config_fail(c, PARE_E_FORMAT, "%s: pinpoint %d is %d x %d", c->prep_file, i,
                                         prep->pinpoint[i][0], prep->pinpoint[i][1]);
    return 0;
}

static int check_tiles(pare__config *c, const pare__prep_rule *prep)
{
    const int is_ratio = prep->tiles == PARE__TILES_RATIO, is_longest = prep->tiles == PARE__TILES_LONGEST;
    if (prep->tiles && prep->resize != PARE__RESIZE_EXACT && prep->crop == PARE__CROP_NONE)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: tiles without a size of their own", c->prep_file);
    if (is_ratio && (prep->min_tiles < 1 || prep->min_tiles > prep->max_tiles || prep->max_tiles > PARE__MAX_TILES))
        return pare__config_fail(c, PARE_E_FORMAT, "%s: %d to %d tiles, must ascend in 1..%d", c->prep_file,
                                 prep->min_tiles, prep->max_tiles, PARE__MAX_TILES);
    if (is_longest && (prep->tiles_longest < 1 || prep->tiles_longest > PARE__MAX_SIDE))
        return pare__config_fail(c, PARE_E_FORMAT, "%s: tiles of a picture of %d pixels, must be 1..%d", c->prep_file,
                                 prep->tiles_longest, PARE__MAX_SIDE);
    return check_pinpoints(c, prep);
}

static int check_areas(pare__config *c, const pare__prep_rule *prep)
{
    if (prep->clip_min_pixels > prep->clip_max_pixels)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: min_pixels %lld of clips is above max_pixels %lld",
                                 c->clip_file, (long long)prep->clip_min_pixels, (long long)prep->clip_max_pixels);
    if (prep->resize == PARE__RESIZE_PATCHES && prep->max_patches < 1)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: at most %d patches", c->prep_file, prep->max_patches);
    return 0;
}

static int check_relations(pare__config *c, const pare__hparams *hp, const pare__prep_rule *prep)
{
    int rc = check_ranges(c, hp);
    if (!rc) rc = check_heads(c, hp);
    if (!rc) rc = check_positions(c, hp);
    if (!rc) rc = check_taps(c, hp);
    if (!rc) rc = check_output(c, hp);
    if (!rc) rc = check_grid(c, hp, prep);
    if (!rc) rc = check_tiles(c, prep);
    return rc ? rc : check_areas(c, prep);
}

/* For settle hooks: files that cannot be opened are told when weights are bound. */
static const pare_tensor *find_tensor(void *files, const char *name)
{
    const pare_tensor *tensor = NULL;
    pare__shard *shard;
    pare_error ignored;
    return pare__store_find((pare__store *)files, name, &tensor, &shard, &ignored) ? NULL : tensor;
}

/* What follows from the rest. */
static void derive(pare__hparams *hp)
{
    hp->n_prefix = hp->has_cls + hp->n_register;
    if (!hp->has_projector) hp->d_out = hp->dim;
    if (!hp->tap) hp->tap = hp->n_layer;
    if (hp->has_projector && !hp->proj_dim) hp->proj_dim = hp->d_out;
    hp->has_qk = hp->qk_norm != PARE__QK_PLAIN;
}

/* A number in the place of a group reads as if the group were absent. */
static int check_groups(pare__config *c)
{
    const json_t *group = pare__config_at(c, PARE__CONFIG, "vision_config");
    if (!group || json_is_object(group)) return 0;
    return pare__config_fail(c, PARE_E_FORMAT, "%s: vision_config must be an object", c->file);
}

int pare__family_configure(const pare__family *family, pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    memset(hp, 0, sizeof *hp);
    memset(prep, 0, sizeof *prep);
    hp->unit = hp->temporal = hp->steps = 1;
    int rc = check_groups(c);
    if (!rc) rc = family->configure(c, hp, prep);
    if (!rc && family->settle && c->files) rc = family->settle(c, hp, find_tensor, c->files);
    if (rc) return rc;
    derive(hp);
    return check_relations(c, hp, prep);
}

/* One line per family, asked in this order; X(name) stands for pare__family_name. */
#define FAMILIES(X)                                                                                                    \
    X(vit)                                                                                                             \
    X(timm)                                                                                                            \
    X(clip)                                                                                                            \
    X(openclip)                                                                                                        \
    X(openclip_timm)                                                                                                   \
    X(siglip)                                                                                                          \
    X(siglip2)                                                                                                         \
    X(dinov2)                                                                                                          \
    X(dinov3)                                                                                                          \
    X(qwen2vl)                                                                                                         \
    X(qwen25vl)                                                                                                        \
    X(qwen3vl)                                                                                                         \
    X(llava)                                                                                                           \
    X(onevision)                                                                                                       \
    X(internvl)                                                                                                        \
    X(idefics3)                                                                                                        \
    X(gemma3)                                                                                                          \
    X(videomae)

#define X(name) extern const pare__family pare__family_##name;
FAMILIES(X)
#undef X

#define X(name) &pare__family_##name,
const pare__family *const pare__families[] = {FAMILIES(X) NULL};
#undef X
