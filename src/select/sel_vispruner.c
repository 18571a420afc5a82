/* SPDX-License-Identifier: MIT */
/* VisPruner: int(K r) tokens by score (attention); the rest of the budget by removing duplicates among the others. Their
 * list starts in descending order of score; a round splits it by parity, drops up to 8 even ones, those most similar
 * (cosine) to any odd one, and goes on with [even ones left, most similar first ; odd ones]. An odd length, which the
 * original cannot handle, has one even token more. tokens [n, d].
 *
 * Every token knows its nearest others from the start, so a round looks only for the first of them that is odd now. */
#include <string.h>

#include "select/pick.h"
#include "select/selector.h"
#include "select/similar.h"

enum { PER_ROUND = 8, N_NEAR = 24 };
enum { GONE, EVEN, ODD };

typedef struct vispruner {
    double important;
} vispruner;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(vispruner, important, "share of the budget that goes by score, the rest by diversity", 0.5, 0,
                       1),
    {0},
};

/* Tokens go by their number in the list as it was at first. */
typedef struct residual {
    pare__similar s;
    int64_t n;             /* tokens in the list */
    int32_t *list, *spare; /* [n] */
    uint8_t *side;         /* [s.n] EVEN or ODD in this round, else GONE */
    int32_t *near;         /* [s.n, N_NEAR] most similar first, -1 = no more */
    float *cosine;         /* [s.n, N_NEAR] */
    float *closest;        /* [n] of the even ones, to any odd one */
    int32_t *rank;         /* [n] */
} residual;

/* ---- nearest others ------------------------------------------------------------------------------------------------ */

static void note(void *user, int64_t i, const float *row)
{
    residual *r = user;
    int32_t *near = r->near + i * N_NEAR, count = 0;
    float *cosine = r->cosine + i * N_NEAR;
    for (int32_t m = 0; m < N_NEAR; m++) near[m] = -1;
    for (int32_t j = 0; j < r->s.n; j++) {
        if (j == i || (count == N_NEAR && row[j] <= cosine[N_NEAR - 1])) continue;
        int32_t at = count < N_NEAR ? count++ : N_NEAR - 1;
        for (; at > 0 && cosine[at - 1] < row[j]; at--) {
            cosine[at] = cosine[at - 1];
            near[at] = near[at - 1];
        }
        cosine[at] = row[j];
        near[at] = j;
    }
}

/* Largest cosine of token i with an odd one. */
static float closest_odd(const residual *r, int64_t i)
{
    for (int32_t m = 0; m < N_NEAR; m++) {
        const int32_t j = r->near[i * N_NEAR + m];
        if (j >= 0 && r->side[j] == ODD) return r->cosine[i * N_NEAR + m];
    }
    float most = -2;
    for (int64_t m = 1; m < r->n; m += 2) {
        const float c = pare__similar_at(&r->s, i, r->list[m]);
        if (c > most) most = c;
    }
    return most;
}

/* ---- rounds -------------------------------------------------------------------------------------------------------- */

static int residual_init(residual *r, const pare__view *v, const float *x, int64_t d, const int32_t *order, int64_t n)
{
    *r = (residual){.n = n,
                    .list = PARE__ARENA(v->arena, int32_t, n),
                    .spare = PARE__ARENA(v->arena, int32_t, n),
                    .side = PARE__ARENA(v->arena, uint8_t, n),
                    .near = PARE__ARENA(v->arena, int32_t, n * N_NEAR),
                    .cosine = PARE__ARENA(v->arena, float, n *N_NEAR),
                    .closest = PARE__ARENA(v->arena, float, n),
                    .rank = PARE__ARENA(v->arena, int32_t, n)};
    if (!r->list || !r->spare || !r->side || !r->near || !r->cosine || !r->closest || !r->rank) return PARE_E_NOMEM;
    for (int64_t m = 0; m < n; m++) r->list[m] = (int32_t)m;
    if (pare__similar_rows(&r->s, v, x, d, order, n)) return PARE_E_NOMEM;
    return pare__similar_each(&r->s, note, r);
}

/* Drops `drop` even tokens. */
static int one_round(residual *r, int64_t drop, pare__arena *arena)
{
    const int64_t n_even = (r->n + 1) / 2;
    for (int64_t m = 0; m < r->n; m++) r->side[r->list[m]] = m % 2 ? ODD : EVEN;
    for (int64_t m = 0; m < n_even; m++) r->closest[m] = closest_odd(r, r->list[2 * m]);
    if (pare__argsort_desc(r->closest, n_even, r->rank, arena)) return PARE_E_NOMEM;
    int64_t at = 0;
    for (int64_t m = 0; m < drop; m++) r->side[r->list[2 * r->rank[m]]] = GONE;
    for (int64_t m = drop; m < n_even; m++) r->spare[at++] = r->list[2 * r->rank[m]];
    for (int64_t m = 1; m < r->n; m += 2) r->spare[at++] = r->list[m];
    memcpy(r->list, r->spare, (size_t)at * sizeof *r->list);
    r->n = at;
    return 0;
}

static int thin(residual *r, int64_t left, pare__arena *arena)
{
    int rc = 0;
    while (!rc && r->n > left) {
        const int64_t n_even = (r->n + 1) / 2, over = r->n - left;
        const int64_t drop = over < PER_ROUND ? over : PER_ROUND;
        const pare__mark mark = pare__arena_mark(arena);
        rc = one_round(r, drop < n_even ? drop : n_even, arena);
        pare__arena_reset(arena, mark);
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const vispruner *p = priv;
    int32_t d = 0;
    if (!pare__require_score(v, "vispruner", err)) return PARE_E_INVALID;
    const float *x = pare__require(v, "vispruner", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    const int64_t k = pare__budget(v), first = (int64_t)((double)k * p->important);
    int32_t *order = PARE__ARENA(v->arena, int32_t, v->n);
    if (!order || pare__argsort_desc(v->score, v->n, order, v->arena)) return PARE_E_NOMEM;
    residual r = {.n = 0};
    if (first < k && k < v->n) {
        if (residual_init(&r, v, x, d, order + first, v->n - first)) return PARE_E_NOMEM;
        if (thin(&r, k - first, v->arena)) return PARE_E_NOMEM;
        for (int64_t m = 0; m < r.n; m++) r.spare[m] = order[first + r.list[m]];
        memcpy(order + first, r.spare, (size_t)r.n * sizeof *order);
    }
    return pare__keep_order(v, order, k, map);
}

const pare__selector pare__sel_vispruner = {
    .name = "vispruner",
    .summary = "important tokens, and among the others those that have no duplicate",
    .cite = "Zhang et al., VisPruner, ICCV 2025, arXiv 2412.01818; Theia-4869/VisPruner llava/model/llava_arch.py",
    .sites = PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__USES_SCORE,
    .default_score = "cls-attn",
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(vispruner),
    .needs = pare__need_tokens,
    .select = select_rows,
};
