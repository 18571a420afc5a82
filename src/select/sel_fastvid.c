/* SPDX-License-Identifier: MIT */
/* FastVID: a clip is cut into segments of like frames; every frame keeps the tokens that its CLS query attends to most,
 * and the anchor frames of a segment keep density peaks of the others as context, into which each anchor merges all other
 * tokens of the segment: a token feeds one row per anchor, so rows are no partition. A row of n tokens, its centre among
 * them, is w centre + (1 - w) mean, w = max(1 / (n + 1), beta).
 *
 * With a budget the count is exact: frames share it evenly (or as the allocator says), anchors by largest remainder, and
 * context that anchors have no tokens for is spent on salient ones. retention= alone gives the authors' counts, which
 * lose what the division by the number of anchors leaves. tokens [n, d], attention of the CLS query in block -2 [n]. */
#include <string.h>

#include "select/fastvid.h"
#include "select/peaks.h"
#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

#define AUTO (-1.0)
#define RETENTION 0.25

enum { ATTENTION_LAYER = -2, N_NEAR = 4, BLOCK = 256 };

static const pare__option options[] = {
    PARE__OPTION_FLOAT_AUTO(pare__fastvid, retention, "share of a frame's tokens (auto 0.25, or the budget's)", AUTO, 0,
                            1, "auto"),
    PARE__OPTION_INT(pare__fastvid, segments, "segments of a window, at least", 8, 1, 16384),
    PARE__OPTION_FLOAT(pare__fastvid, tau, "frames whose cosine is below are cut apart as well", 0.9, -1, 1),
    PARE__OPTION_FLOAT(pare__fastvid, context, "share of the kept tokens that are context", 0.4, 0, 1),
    PARE__OPTION_INT(pare__fastvid, step, "every so many frames of a segment, counted from its end, there is an anchor",
                     4, 1, 16384),
    PARE__OPTION_FLOAT(pare__fastvid, beta, "least weight of a context token in its row", 0.6, 0, 1),
    {0},
};

/* One anchor of the segment that holds the rows [first, end). */
typedef struct anchor {
    const pare__view *v;
    const pare__fastvid *p;
    const uint8_t *salient;
    const float *x, *unit; /* [n, d] tokens, the same of length 1 */
    int64_t d, first, end;
    int64_t k;       /* centres */
    int32_t *centre; /* [k] rows, ascending */
    int32_t *owner;  /* [end - first] centre of every row of the segment, -1 = salient */
} anchor;

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_CLS_ROW, ATTENTION_LAYER};
    return 2;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)n, (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    return ((const pare__fastvid *)priv)->retention >= 0 ? PARE__AMOUNT_VARIABLE : PARE__AMOUNT_NONE;
}

/* ---- one anchor ---------------------------------------------------------------------------------------------------- */

/* Density peaks among the tokens of frame f that are not salient. */
static int find_centres(anchor *a, int32_t f)
{
    const pare__view *v = a->v;
    const int64_t first = v->frame_start[f], n = v->frame_start[f + 1] - first;
    float *x = PARE__ARENA(v->arena, float, n * a->d);
    int32_t *row = PARE__ARENA(v->arena, int32_t, n);
    int64_t m = 0;
    a->centre = PARE__ARENA(v->arena, int32_t, a->k);
    if (!x || !row || !a->centre) return PARE_E_NOMEM;
    for (int64_t i = first; i < first + n; i++) {
        if (a->salient[i]) continue;
        memcpy(x + m * a->d, a->x + i * a->d, (size_t)a->d * sizeof *x);
        row[m++] = (int32_t)i;
    }
    const int rc = pare__peaks(v, x, m, a->d, N_NEAR, a->k, a->centre);
    for (int64_t i = 0; !rc && i < a->k; i++) a->centre[i] = row[a->centre[i]];
    return rc;
}

static int32_t best_of(const float *like, int64_t k)
{
    int32_t best = 0;
    for (int64_t j = 1; j < k; j++)
        if (like[j] > like[best]) best = (int32_t)j;
    return best;
}

/* owner = the centre of the highest cosine; a centre owns itself. */
static int assign(anchor *a)
{
    const pare__view *v = a->v;
    const float *centre = pare__unit_rows(v, a->x, a->d, a->centre, a->k);
    float *like = PARE__ARENA(v->arena, float, BLOCK * a->k);
    a->owner = PARE__ARENA(v->arena, int32_t, a->end - a->first);
    if (!centre || !like || !a->owner) return PARE_E_NOMEM;
    for (int64_t i = a->first; i < a->end; i += BLOCK) {
        const int64_t m = a->end - i < BLOCK ? a->end - i : BLOCK;
        v->gemm->nt(m, a->k, a->d, 1, a->unit + i * a->d, a->d, centre, a->d, 0, like, a->k);
        for (int64_t r = 0; r < m; r++)
            a->owner[i + r - a->first] = a->salient[i + r] ? -1 : best_of(like + r * a->k, a->k);
    }
    for (int64_t j = 0; j < a->k; j++) a->owner[a->centre[j] - a->first] = (int32_t)j;
    return 0;
}

/* Rows of the segment by centre: member [start[j] .. start[j + 1]). */
static void group(const anchor *a, int64_t *start, int32_t *member)
{
    const int64_t n = a->end - a->first;
    memset(start, 0, (size_t)(a->k + 2) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[a->owner[i] + 2] += a->owner[i] >= 0;
    for (int64_t j = 2; j < a->k + 2; j++) start[j] += start[j - 1];
    for (int64_t i = 0; i < n; i++)
        if (a->owner[i] >= 0) member[start[a->owner[i] + 1]++] = (int32_t)(a->first + i);
}

static int emit_centre(const anchor *a, int64_t j, const int32_t *member, int64_t n, pare__map *map)
{
    const double least = 1 / (double)(n + 1), own = least > a->p->beta ? least : a->p->beta;
    int rc = pare__map_row(map, a->centre[j]);
    if (!rc) rc = pare__map_add(map, a->centre[j], own + (1 - own) / (double)n);
    for (int64_t i = 0; !rc && own < 1 && i < n; i++)
        if (member[i] != a->centre[j]) rc = pare__map_add(map, member[i], (1 - own) / (double)n);
    return rc;
}

static int merge_anchor(anchor *a, int32_t f, pare__map *map)
{
    const pare__mark mark = pare__arena_mark(a->v->arena);
    int64_t *start = PARE__ARENA(a->v->arena, int64_t, a->k + 2);
    int32_t *member = PARE__ARENA(a->v->arena, int32_t, a->end - a->first);
    int rc = start && member ? find_centres(a, f) : PARE_E_NOMEM;
    if (!rc) rc = assign(a);
    if (!rc) group(a, start, member);
    for (int64_t j = 0; !rc && j < a->k; j++) rc = emit_centre(a, j, member + start[j], start[j + 1] - start[j], map);
    pare__arena_reset(a->v->arena, mark);
    return rc;
}

/* ---- a window ------------------------------------------------------------------------------------------------------ */

static int merge_segments(const pare__fastvid *p, const pare__view *v, const pare__fastvid_plan *plan, const float *x,
                          int64_t d, pare__map *map)
{
    const float *unit = pare__unit_rows(v, x, d, NULL, v->n);
    int rc = unit ? 0 : PARE_E_NOMEM;
    for (int32_t s = 0, f = 0; !rc && s < plan->n_segment; s++) {
        anchor a = {v, p, plan->salient, x, unit, d, v->frame_start[f], v->frame_start[plan->end[s]], 0, NULL, NULL};
        for (; !rc && f < plan->end[s]; f++) {
            a.k = plan->n_context[f];
            if (a.k > 0) rc = merge_anchor(&a, f, map);
        }
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pare__fastvid *given = priv;
    pare__fastvid p = *given;
    pare__fastvid_plan plan;
    int32_t d;
    if (p.retention < 0) p.retention = RETENTION;
    const float *attention = pare__require(v, "fastvid", PARE__ARRAY_CLS_ROW, ATTENTION_LAYER, NULL, err);
    const float *x = attention ? pare__require(v, "fastvid", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err) : NULL;
    if (!x) return PARE_E_INVALID;
    for (int64_t i = 0; v->score_out && i < v->n; i++) v->score_out[i] = attention[i];
    if (v->k >= v->n) return pare__map_identity(map, v->n);
    int rc = pare__fastvid_make(&p, v, attention, &plan, err);
    for (int64_t i = 0; !rc && i < v->n; i++)
        if (plan.salient[i]) rc = pare__map_keep(map, i);
    return rc ? rc : merge_segments(&p, v, &plan, x, d, map);
}

const pare__selector pare__sel_fastvid = {
    .name = "fastvid",
    .summary = "FastVID: salient tokens of every frame, and density peaks that take in their segment",
    .cite =
        "Shen et al., FastVID, 2025; LunarShen/FastVID fastvid_llavaonevision/LLaVA-NeXT/llava/model/language_model/"
        "modeling_qwen2.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__MERGES | PARE__VARIABLE_COUNT | PARE__OWN_SIZES,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(pare__fastvid),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
};
