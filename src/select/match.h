/* SPDX-License-Identifier: MIT */
/* What mergers share: cosine matching of one set of rows against another, and the columns of every group. */
#ifndef PARE_SELECT_MATCH_H
#define PARE_SELECT_MATCH_H

#include "select/similar.h"
#include "select/view.h"

static inline float *pare__match_rows(const pare__view *v, const float *x, int64_t d, const int32_t *row, int64_t n)
{
    return pare__unit_rows(v, x, d, row, n);
}

/* The most similar row of b [n_b, d] for every row of a [n_a, d], ties to the lower: to[n_a] and its product score[n_a]
 * (may be NULL). Works on a block of rows at a time. n_b > 0. 0 or PARE_E_NOMEM. */
int pare__match_best(const pare__view *v, const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                     int32_t *to, float *score);

/* Columns by group: those of group g are col[start[g] .. start[g + 1]), ascending. */
typedef struct pare__match_groups {
    int64_t *start; /* [n_group + 1] */
    int32_t *col;
} pare__match_groups;

/* group[n] in 0..n_group-1, or -1 = in none. 0 or PARE_E_NOMEM. */
int pare__match_list(const pare__view *v, const int32_t *group, int64_t n, int64_t n_group, pare__match_groups *out);

#endif
