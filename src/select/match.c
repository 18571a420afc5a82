/* SPDX-License-Identifier: MIT */
/* See match.h. Similarities of a block of rows at a time: memory stays linear in the number of rows. */
#include "select/match.h"

#include <math.h>
#include <string.h>

#include "select/selector.h"

enum { BLOCK = 256 };

/* The first of the largest; all those of equal rows count as 1. */
static int64_t best_of(const pare__vec *vec, const float *similarity, int64_t n)
{
    const float most = vec->max(similarity, n);
    int64_t first = 0;
    if (most > PARE__SIMILAR_EQUAL)
        while (!(similarity[first] > PARE__SIMILAR_EQUAL)) first++;
    else
        while (similarity[first] < most) first++;
    return first;
}

int pare__match_best(const pare__view *v, const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                     int32_t *to, float *score)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    float *similarity = PARE__ARENA(v->arena, float, BLOCK *n_b);
    for (int64_t i0 = 0; similarity && i0 < n_a; i0 += BLOCK) {
        const int64_t m = n_a - i0 < BLOCK ? n_a - i0 : BLOCK;
        v->gemm->nt(m, n_b, d, 1, a + i0 * d, d, b, d, 0, similarity, n_b);
        for (int64_t i = 0; i < m; i++) {
            const float *row = similarity + i * n_b;
            to[i0 + i] = (int32_t)best_of(v->vec, row, n_b);
            const float best = row[to[i0 + i]];
            if (score) score[i0 + i] = best > PARE__SIMILAR_EQUAL ? 1 : best;
        }
    }
    pare__arena_reset(v->arena, mark);
    return similarity ? 0 : PARE_E_NOMEM;
}

int pare__match_list(const pare__view *v, const int32_t *group, int64_t n, int64_t n_group, pare__match_groups *out)
{
    *out = (pare__match_groups){.start = PARE__ARENA(v->arena, int64_t, n_group + 2),
                                .col = PARE__ARENA(v->arena, int32_t, n + 1)};
    if (!out->start || !out->col) return PARE_E_NOMEM;
    int64_t *cursor = out->start + 1; /* becomes the end of each group while it fills */
    memset(out->start, 0, (size_t)(n_group + 2) * sizeof *out->start);
    for (int64_t i = 0; i < n; i++)
        if (group[i] >= 0) out->start[group[i] + 2]++;
    for (int64_t g = 2; g <= n_group; g++) out->start[g] += out->start[g - 1];
    for (int64_t i = 0; i < n; i++)
        if (group[i] >= 0) out->col[cursor[group[i]]++] = (int32_t)i;
    return 0;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------ */

int pare__pairs_init(pare__pairs *p, const pare__view *v)
{
    *p = (pare__pairs){.a = PARE__ARENA(v->arena, int32_t, v->n),
                       .b = PARE__ARENA(v->arena, int32_t, v->n),
                       .to = PARE__ARENA(v->arena, int32_t, v->n),
                       .score = PARE__ARENA(v->arena, float, v->n),
                       .group = PARE__ARENA(v->arena, int32_t, v->n),
                       .anchor = PARE__ARENA(v->arena, int32_t, v->n)};
    if (!p->a || !p->b || !p->to || !p->score || !p->group || !p->anchor) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) p->group[i] = -1;
    return 0;
}

static int match(pare__pairs *p, const pare__view *v, const float *key, int64_t d)
{
    const float *a = pare__unit_rows(v, key, d, p->a, p->n_a), *b = pare__unit_rows(v, key, d, p->b, p->n_b);
    return a && b ? pare__match_best(v, a, p->n_a, b, p->n_b, d, p->to, p->score) : PARE_E_NOMEM;
}

int pare__pairs_join(pare__pairs *p, const pare__view *v, const float *key, int64_t d, int64_t r)
{
    int32_t *source = PARE__ARENA(v->arena, int32_t, r + 1);
    if (!source || match(p, v, key, d) || pare__topk(p->score, p->n_a, r, source, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0, next = 0; i < p->n_a; i++) {
        if (next < r && source[next] == i)
            next++;
        else
            pare__pairs_own(p, p->a[i]);
    }
    for (int64_t j = 0; j < p->n_b; j++) pare__pairs_own(p, p->b[j]);
    for (int64_t i = 0; i < r; i++) p->group[p->a[source[i]]] = p->group[p->b[p->to[source[i]]]];
    return 0;
}

int64_t pare__pairs_least(const void *priv, int64_t n)
{
    (void)priv;
    return n - n / 2;
}

int64_t pare__pairs_amount(int64_t n, int64_t r, double ratio)
{
    if (r < 0 && ratio < 0) return PARE__AMOUNT_NONE;
    return n - pare__pairs_most(n, r >= 0 ? r : (int64_t)floor((double)n - (double)n * ratio));
}
