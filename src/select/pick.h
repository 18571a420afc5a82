/* SPDX-License-Identifier: MIT */
/* What pruning selectors share: the exact budget, random numbers by place, arrays that must be there. */
#ifndef PARE_SELECT_PICK_H
#define PARE_SELECT_PICK_H

#include "select/view.h"

/* Rows that may remain: view->k within 0..n; all n when there is no budget, so a VARIABLE_COUNT selector must
 * settle its own count first. */
int64_t pare__budget(const pare__view *v);

/* The k best of n by (tier descending, score descending, index ascending), as ascending indices in out[k]. tier [n] in
 * 0..3, NULL = all alike. 0 or PARE_E_NOMEM. */
int pare__pick(const uint8_t *tier, const float *score, int64_t n, int64_t k, int32_t *out, pare__arena *arena);

/* The best `most` of the rows of tier `want` (all, if there are fewer): mark[row] = value; `mark` may be `tier` itself.
 * Returns how many, or PARE_E_NOMEM. */
int64_t pare__mark_tier(const uint8_t *tier, int want, const float *score, int64_t n, int64_t most, uint8_t *mark,
                        uint8_t value, pare__arena *arena);

/* Keeps the view's budget by score [n]: what most selectors end with. */
int pare__keep_best(const pare__view *v, const float *score, pare__map *map);
/* Keeps the rows order[k], all different. Without a framework score the picks' order is published: 1 for the first down to
 * 1 / k, 0 for what is dropped. 0 or PARE_E_NOMEM. */
int pare__keep_order(const pare__view *v, const int32_t *order, int64_t k, pare__map *map);

/* out[n] in [0, 1): a pure function of (seed, step of the clip, place), so it depends on neither batch order nor on what
 * was removed before. */
void pare__noise(const pare__view *v, float *out);

/* The numbers of "a/b/c", each within least..most, whole if asked, into out[room]. How many; -1 = not such a list. */
int32_t pare__read_list(const char *text, int whole, double least, double most, double *out, int32_t room);
/* `needs` of what looks at the tokens alone, or at the pixels alone. */
int pare__need_tokens(const void *priv, int32_t site, pare__need *need);
int pare__need_pixels(const void *priv, int32_t site, pare__need *need);
/* The needed array, or the message that says which one is missing. */
const float *pare__require(const pare__view *v, const char *owner, pare__array array, int32_t layer, int32_t *width,
                           pare_error *err);

/* view->score, or the message that the step names none. */
const float *pare__require_score(const pare__view *v, const char *owner, pare_error *err);

#endif
