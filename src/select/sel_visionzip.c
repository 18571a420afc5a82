/* SPDX-License-Identifier: MIT */
/* Dominant tokens, which score best (attention of the CLS query in layer -2), stay as they are. Of the rest, every
 * (rest / contextual)-th in raster order is a target; all others join the target with the most similar head-mean key of
 * layer -2 (ties to the lower). A target becomes the mean of its group, weighted by size; compat=1: target + mean of those
 * that joined, as the reference code does: weights 1/2 and 1/(2m), gain 2. A budget splits as in the paper, 54 : 10.
 * Prefix rows (CLS) stay and do not count. tokens [n, d] -> dominant + contextual rows. */
#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

enum { DOMINANT = 54, CONTEXTUAL = 10, LAYER = -2 };

typedef struct visionzip {
    int64_t dominant, contextual;
    int32_t compat;
} visionzip;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(visionzip, dominant, "tokens that stay as they are (auto: the budget without contextual)", -1,
                          0, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_INT_AUTO(visionzip, contextual, "tokens that collect the rest (auto: 10 of 64)", -1, 0,
                          PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_BOOL(visionzip, compat, "contextual = target + mean of those that joined, so that it grows", 0),
    {0},
};

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const visionzip *p = priv;
    if (p->dominant < 0 || p->contextual < 0) return PARE__AMOUNT_NONE;
    return p->dominant + p->contextual < n ? p->dominant + p->contextual : n;
}

static int init(void *priv, pare_error *err)
{
    const visionzip *p = priv;
    if (p->dominant != 0 || p->contextual != 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "selector 'visionzip': dominant=0 and contextual=0 leave nothing");
}

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_K_MEAN, LAYER};
    return 1;
}

/* ---- groups ---------------------------------------------------------------------------------------------------- */

typedef struct zip {
    int64_t n_rest, n_row;
    int32_t *rest;   /* [n_rest] candidates that are not dominant, ascending */
    int32_t *group;  /* [n] row or -1 */
    int32_t *anchor; /* [n_row] */
} zip;

/* Dominant rows of a budget of k. */
static int64_t count_dominant(const visionzip *p, int64_t k)
{
    if (p->dominant >= 0) return p->dominant < k ? p->dominant : k;
    const int64_t total = DOMINANT + CONTEXTUAL;
    const int64_t contextual = p->contextual >= 0 ? p->contextual : (2 * k * CONTEXTUAL + total) / (2 * total);
    return contextual < k ? k - contextual : 0;
}

static int keep_dominant(const pare__view *v, int64_t n_dominant, zip *z)
{
    *z = (zip){.rest = PARE__ARENA(v->arena, int32_t, v->n),
               .group = PARE__ARENA(v->arena, int32_t, v->n),
               .anchor = PARE__ARENA(v->arena, int32_t, v->n + 1)};
    if (!z->rest || !z->group || !z->anchor) return PARE_E_NOMEM;
    if (pare__pick(NULL, v->score, v->n, n_dominant, z->anchor, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) {
        z->group[i] = -1;
        if (z->n_row < n_dominant && z->anchor[z->n_row] == i)
            z->group[i] = (int32_t)z->n_row++;
        else
            z->rest[z->n_rest++] = (int32_t)i;
    }
    return 0;
}

/* Targets at a fixed stride; all others of the rest join. */
static int gather_rest(const pare__view *v, const float *key, int64_t d, int64_t n_target, zip *z)
{
    const int64_t n_dominant = z->n_row, stride = z->n_rest / n_target;
    int32_t *other = PARE__ARENA(v->arena, int32_t, z->n_rest), *to = PARE__ARENA(v->arena, int32_t, z->n_rest);
    if (!other || !to) return PARE_E_NOMEM;
    int64_t n_other = 0;
    for (int64_t i = 0; i < z->n_rest; i++) {
        const int32_t row = z->rest[i];
        if (i % stride || i / stride >= n_target) {
            other[n_other++] = row;
            continue;
        }
        z->anchor[z->n_row] = row;
        z->group[row] = (int32_t)z->n_row++;
    }
    const float *a = pare__unit_rows(v, key, d, other, n_other);
    const float *b = pare__unit_rows(v, key, d, z->anchor + n_dominant, n_target);
    if (!a || !b || pare__match_best(v, a, n_other, b, n_target, d, to, NULL)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < n_other; i++) z->group[other[i]] = (int32_t)(n_dominant + to[i]);
    return 0;
}

/* ---- map ------------------------------------------------------------------------------------------------------- */

/* target + mean of the others = 2 (target / 2 + sum of the others / 2m) */
static int emit_sum(int32_t target, const int32_t *col, int64_t n, pare__map *map)
{
    if (n == 1) return pare__map_keep(map, target);
    int rc = pare__map_row(map, target);
    for (int64_t i = 0; !rc && i < n; i++)
        rc = pare__map_add(map, col[i], col[i] == target ? 0.5 : 0.5 / (double)(n - 1));
    return rc ? rc : pare__map_gain(map, 2);
}

static int emit(const visionzip *p, const pare__view *v, const zip *z, pare__map *map)
{
    pare__match_groups g;
    if (!p->compat) return pare__map_groups(map, z->group, z->anchor, z->n_row, v->size);
    int rc = pare__match_list(v, z->group, v->n, z->n_row, &g);
    for (int64_t i = 0; !rc && i < z->n_row; i++)
        rc = emit_sum(z->anchor[i], g.col + g.start[i], g.start[i + 1] - g.start[i], map);
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const visionzip *p = priv;
    int32_t d = 0;
    zip z;
    const float *key = pare__require(v, "visionzip", PARE__ARRAY_K_MEAN, LAYER, &d, err);
    if (!key) return PARE_E_INVALID;
    if (!pare__require_score(v, "visionzip", err)) return PARE_E_INVALID;
    const int64_t k = pare__budget(v), n_dominant = count_dominant(p, k);
    int rc = keep_dominant(v, n_dominant, &z);
    if (!rc && k > n_dominant) rc = gather_rest(v, key, d, k - n_dominant, &z);
    return rc ? rc : emit(p, v, &z, map);
}

const pare__selector pare__sel_visionzip = {
    .name = "visionzip",
    .summary = "tokens that the CLS query attends to, and a few that collect the rest",
    .cite = "Yang et al., VisionZip: Longer is Better but Not Necessary in Vision Language Models, CVPR 2025, arXiv "
            "2412.04467; dvlab-research/VisionZip visionzip/clip_encoder.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__MERGES | PARE__USES_SCORE,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(visionzip),
    .init = init,
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
