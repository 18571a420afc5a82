/* SPDX-License-Identifier: MIT */
/* What mergers share: cosine matching of one set of rows against another, and the columns of every group. */
#ifndef PARE_SELECT_MATCH_H
#define PARE_SELECT_MATCH_H

#include "select/similar.h"
#include "select/view.h"

/* The most similar row of b [n_b, d] for every row of a [n_a, d], ties to the lower: to[n_a] and its cosine score[n_a]
 * (may be NULL), 1 for equal rows. Works on a block of rows at a time. n_b > 0. 0 or PARE_E_NOMEM. */
int pare__match_best(const pare__view *v, const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                     int32_t *to, float *score);

/* Columns by group: those of group g are col[start[g] .. start[g + 1]), ascending. */
typedef struct pare__match_groups {
    int64_t *start; /* [n_group + 1] */
    int32_t *col;
} pare__match_groups;

/* group[n] in 0..n_group-1, or -1 = in none. 0 or PARE_E_NOMEM. */
int pare__match_list(const pare__view *v, const int32_t *group, int64_t n, int64_t n_group, pare__match_groups *out);

/* Two sides of a bipartite matching, and the rows that come of it. */
typedef struct pare__pairs {
    int64_t n_a, n_b, n_row;
    int32_t *a, *b;  /* [n_a], [n_b] candidates */
    int32_t *to;     /* [n_a] most similar b */
    float *score;    /* [n_a] its cosine */
    int32_t *group;  /* [n] row that a candidate ends in, or -1 */
    int32_t *anchor; /* [n_row] candidate that a row stands at */
} pare__pairs;

/* Room for all candidates, both sides empty; the caller fills a, b, n_a, n_b. 0 or PARE_E_NOMEM. */
int pare__pairs_init(pare__pairs *p, const pare__view *v);
/* The r pairs of highest cosine of key [n, d] become one row each (ties to the lower a, the lower b). Rows: the a that stay,
 * then all b, each in its order. n_b > 0. 0 or PARE_E_NOMEM. */
int pare__pairs_join(pare__pairs *p, const pare__view *v, const float *key, int64_t d, int64_t r);
/* Gives candidate i a row of its own. */
static inline void pare__pairs_own(pare__pairs *p, int32_t i)
{
    p->anchor[p->n_row] = i;
    p->group[i] = (int32_t)p->n_row++;
}

/* Of r candidates that are to go, those that one matching of halves can take. */
static inline int64_t pare__pairs_most(int64_t n, int64_t r) { return r < n / 2 ? r : n / 2; }
/* `least` and `amount` of a selector that matches halves: r= candidates go, or the share ratio= stays; negative = not
 * given. */
int64_t pare__pairs_least(const void *priv, int64_t n);
int64_t pare__pairs_amount(int64_t n, int64_t r, double ratio);

#endif
