/* SPDX-License-Identifier: MIT */
/* FastVID's plan. A frame is what its CLS token says, or the mean of its tokens where there is none. Anchors are the
 * last frame of a segment and every step-th before it; they share the segment's context equally. */
#include "select/fastvid.h"

#include <string.h>

#include "select/exact.h"
#include "select/pick.h"

static int64_t rows_of(const pare__view *v, int32_t f) { return v->frame_start[f + 1] - v->frame_start[f]; }

/* ---- segments ------------------------------------------------------------------------------------------------------ */

static void mean_frame(const pare__view *v, const float *x, int64_t d, int32_t f, float *out)
{
    memset(out, 0, (size_t)d * sizeof *out);
    for (int64_t i = v->frame_start[f]; i < v->frame_start[f + 1]; i++) v->vec->axpy(out, 1, x + i * d, d);
}

/* [n_frame, d], or NULL: no memory. */
static const float *frame_features(const pare__view *v, const float *x, int64_t d)
{
    const float *prefix = pare__view_prefix(v, PARE__ARRAY_TOKENS, PARE__LAYER_HERE);
    float *out = PARE__ARENA(v->arena, float, v->n_frame *d);
    for (int32_t f = 0; out && f < v->n_frame; f++) {
        if (prefix && pare__view_has_cls(v))
            memcpy(out + f * d, prefix + (int64_t)f * v->n_prefix * d, (size_t)d * sizeof *out);
        else
            mean_frame(v, x, d, f, out + f * d);
    }
    return out;
}

static int is_one_clip(const pare__view *v, int32_t f)
{
    const pare_slot *s = v->slot ? v->slot + f : NULL;
    return !s || (s[0].media == s[1].media && s[0].tile == s[1].tile);
}

/* cut [n_frame - 1]: the segments - 1 transitions that are least alike, those below tau, and ends of clips. */
static int find_cuts(const pare__fastvid *p, const pare__view *v, const float *feature, int64_t d, uint8_t *cut)
{
    const int64_t n = v->n_frame - 1, most = p->segments - 1 < n ? p->segments - 1 : n;
    float *unlike = PARE__ARENA(v->arena, float, n + 1);
    int32_t *least = PARE__ARENA(v->arena, int32_t, most + 1);
    if (!unlike || !least) return PARE_E_NOMEM;
    for (int32_t f = 0; f < n; f++) {
        const float *a = feature + f * d, *b = a + d;
        const double like =
            pare__exact_cosine(pare__exact_dot(a, b, d), pare__exact_dot(a, a, d), pare__exact_dot(b, b, d));
        unlike[f] = (float)-like;
        cut[f] = like < p->tau || !is_one_clip(v, f);
    }
    if (pare__topk(unlike, n, most, least, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < most; i++) cut[least[i]] = 1;
    return 0;
}

static int find_segments(const pare__fastvid *p, const pare__view *v, pare__fastvid_plan *plan, pare_error *err)
{
    int32_t d;
    const float *x = pare__require(v, "fastvid", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    plan->end = PARE__ARENA(v->arena, int32_t, v->n_frame);
    const float *feature = frame_features(v, x, d);
    uint8_t *cut = PARE__ARENA(v->arena, uint8_t, v->n_frame);
    if (!plan->end || !feature || !cut || find_cuts(p, v, feature, d, cut)) return PARE_E_NOMEM;
    cut[v->n_frame - 1] = 1;
    for (int32_t f = 0; f < v->n_frame; f++)
        if (cut[f]) plan->end[plan->n_segment++] = f + 1;
    return 0;
}

/* ---- counts -------------------------------------------------------------------------------------------------------- */

/* Rows of every frame. */
static int set_budgets(const pare__fastvid *p, const pare__view *v, int64_t *k)
{
    int64_t *cap = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!cap) return PARE_E_NOMEM;
    for (int32_t f = 0; f < v->n_frame; f++) {
        const int64_t n = cap[f] = rows_of(v, f), share = (int64_t)((double)n * p->retention);
        k[f] = share || !n ? share : 1;
    }
    if (v->k < 0) return 0;
    if (!v->k_frame) return pare__largest_remainder(pare__budget(v), NULL, NULL, cap, v->n_frame, k, v->arena);
    memcpy(k, v->k_frame, (size_t)v->n_frame * sizeof *k);
    return 0;
}

/* The context of frames [first, end), n_context each, goes to their anchors; what these have no tokens for becomes
 * salient elsewhere. Without a budget every anchor gets the same, rounded down, as in the authors' code. */
static int move_context(const pare__fastvid *p, const pare__view *v, int32_t first, int32_t end,
                        const pare__fastvid_plan *plan)
{
    const int64_t n = end - first;
    int64_t *room = PARE__ARENA(v->arena, int64_t, n), *extra = PARE__ARENA(v->arena, int64_t, n), total = 0;
    int64_t *context = plan->n_context + first, *salient = plan->n_salient + first, n_anchor = 0, left;
    if (!room || !extra) return PARE_E_NOMEM;
    for (int64_t f = 0; f < n; f++) {
        const int is_anchor = (n - 1 - f) % p->step == 0;
        room[f] = is_anchor ? rows_of(v, first + (int32_t)f) - salient[f] : 0;
        total += context[f];
        n_anchor += is_anchor;
    }
    if (v->k < 0) {
        for (int64_t f = 0; f < n; f++) context[f] = total / n_anchor < room[f] ? total / n_anchor : room[f];
        return 0;
    }
    int rc = pare__largest_remainder(total, NULL, NULL, room, n, context, v->arena);
    left = total;
    for (int64_t f = 0; f < n; f++) {
        left -= context[f];
        room[f] = rows_of(v, first + (int32_t)f) - salient[f] - context[f];
    }
    if (!rc) rc = pare__largest_remainder(left, NULL, NULL, room, n, extra, v->arena);
    for (int64_t f = 0; !rc && f < n; f++) salient[f] += extra[f];
    return rc;
}

static int set_counts(const pare__fastvid *p, const pare__view *v, pare__fastvid_plan *plan)
{
    plan->n_salient = PARE__ARENA(v->arena, int64_t, v->n_frame);
    plan->n_context = PARE__ARENA(v->arena, int64_t, v->n_frame);
    if (!plan->n_salient || !plan->n_context || set_budgets(p, v, plan->n_salient)) return PARE_E_NOMEM;
    for (int32_t f = 0; f < v->n_frame; f++) {
        plan->n_context[f] = (int64_t)((double)plan->n_salient[f] * p->context);
        plan->n_salient[f] -= plan->n_context[f];
    }
    int rc = 0;
    for (int32_t s = 0; !rc && s < plan->n_segment; s++)
        rc = move_context(p, v, s ? plan->end[s - 1] : 0, plan->end[s], plan);
    return rc;
}

/* ---- salient tokens ------------------------------------------------------------------------------------------------ */

int pare__fastvid_make(const pare__fastvid *p, const pare__view *v, const float *attention, pare__fastvid_plan *plan,
                       pare_error *err)
{
    *plan = (pare__fastvid_plan){.salient = PARE__ARENA(v->arena, uint8_t, v->n)};
    int32_t *row = PARE__ARENA(v->arena, int32_t, v->n);
    int rc = plan->salient && row ? find_segments(p, v, plan, err) : PARE_E_NOMEM;
    if (!rc) rc = set_counts(p, v, plan);
    if (rc) return rc;
    memset(plan->salient, 0, (size_t)v->n);
    for (int32_t f = 0; !rc && f < v->n_frame; f++) {
        const int64_t first = v->frame_start[f], k = plan->n_salient[f];
        rc = pare__topk(attention + first, rows_of(v, f), k, row, v->arena);
        for (int64_t i = 0; !rc && i < k; i++) plan->salient[first + row[i]] = 1;
    }
    return rc;
}
