/* SPDX-License-Identifier: MIT */
/* The table of families and what holds for all of them: relations between hyper-parameters, axes of shapes. */
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

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
        return prefix_rows(hp) + (int64_t)hp->pos_rows * hp->pos_cols;
    case 'K':
        return hp->n_class;
    case 'H':
        return hp->dim * (hp->logits == PARE__LOGITS_CLS_MEAN ? INT64_C(2) : 1);
    case 'E':
        return hp->temporal;
    case 'U':
        return (int64_t)hp->unit * hp->unit * hp->dim;
    case 'O':
        return hp->d_out;
    default:
        return 0;
    }
}

static int check_relations(pare__config *c, const pare__hparams *hp)
{
    int64_t units = (int64_t)hp->pos_rows * hp->pos_cols;
    if (hp->dim % hp->n_head)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: width %d is not divisible by %d heads", c->file, hp->dim,
                                 hp->n_head);
    if (hp->rope && hp->dim / hp->n_head % 4)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: %d channels of a head cannot turn by row and column", c->file,
                                 hp->dim / hp->n_head);
    if (units < 1 && !hp->rope)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: image size is smaller than a patch of %d", c->file, hp->patch);
    if (units > PARE__MAX_UNITS_PER_FRAME)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: position table of %lld rows, at most %d", c->file,
                                 (long long)units, PARE__MAX_UNITS_PER_FRAME);
    if (hp->mlp_dim < 1 || hp->mlp_dim > 4 * PARE__MAX_DIM)
        return pare__config_fail(c, PARE_E_LIMIT, "%s: mlp width is %d, must be 1..%d", c->file, hp->mlp_dim,
                                 4 * PARE__MAX_DIM);
    if (hp->pool == PARE__POOL_CLS && !hp->has_cls)
        return pare__config_fail(c, PARE_E_FORMAT, "%s: pools the CLS token but has none", c->file);
    return 0;
}

int pare__family_configure(const pare__family *family, pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    memset(hp, 0, sizeof *hp);
    memset(prep, 0, sizeof *prep);
    hp->unit = hp->temporal = hp->steps = 1;
    int rc = family->configure(c, hp, prep);
    hp->n_prefix = hp->has_cls + hp->n_register;
    if (!hp->has_projector) hp->d_out = hp->dim;
    if (!hp->tap) hp->tap = hp->n_layer;
    return rc ? rc : check_relations(c, hp);
}

/* One line per family, asked in this order; X(name) stands for pare__family_name. */
#define FAMILIES(X)                                                                                                    \
    X(vit)                                                                                                             \
    X(timm)                                                                                                            \
    X(dinov2)                                                                                                          \
    X(qwen25vl)

#define X(name) extern const pare__family pare__family_##name;
FAMILIES(X)
#undef X

#define X(name) &pare__family_##name,
const pare__family *const pare__families[] = {FAMILIES(X) NULL};
#undef X
