/* SPDX-License-Identifier: MIT */
/* Temporal runs: how much every token differs from what its place held before, in one pass over a window. Shared by
 * temporal-redundancy, rlt, evs and dtd.
 *
 *     reference of a place = the step its token is compared with: the last kept one (anchored), the one before, or, where
 *                            what is dropped is taken from reference steps, the last of those;
 *                            what earlier windows left is carried, so windows change nothing in threshold mode.
 *
 * A kept row stands for all later rows of its place up to the next kept one within the window: those are its members. A
 * dropped row whose reference lies in an earlier window has no row in this one. */
#ifndef PARE_SELECT_RUNS_H
#define PARE_SELECT_RUNS_H

#include "select/view.h"

/* Change of a row that has nothing to be compared with: the clip's first step, a place seen for the first time. */
#define PARE__CHANGE_NEW 255.0f

typedef struct pare__runs pare__runs;

/* What is compared. */
typedef struct pare__change {
    double limit;     /* no change is larger, except NEW (pixels: at the weights that init sets) */
    int32_t is_dense; /* a place has content in every step, whether its token is still there or not (pixels) */
    int64_t (*bytes)(const pare__view *v); /* of a place's content */
    int (*prepare)(pare__runs *r, const char *owner, pare_error *err);
    /* What later steps are compared with, and what is carried. */
    const void *(*content)(const pare__runs *r, int32_t step, int64_t cell);
    /* Change of a place at `step` against such a content. */
    double (*distance)(const pare__runs *r, int32_t step, int64_t cell, const void *reference);
} pare__change;

extern const pare__change pare__change_pixels; /* mean |last picture of the step - first one of the reference| */
extern const pare__change pare__change_tokens; /* 1 - cosine */

enum { PARE__REF_NONE = -2, PARE__REF_CARRIED = -1 };

struct pare__runs {
    const pare__view *v;
    const pare__change *change_kind;
    int32_t anchored;
    uint8_t *tile;      /* [n_frame, n_picture, n_cell, patch, patch, 3] first and last picture of each step */
    int64_t n_picture;  /* 1, or 2 where a step has several */
    double weight[3];   /* of a channel's |difference| in 0..255 */
    double limit;       /* no change is larger, except NEW */
    double noise;       /* an opening row beyond its share ranks like this change */
    const float *token; /* [n, d] tokens */
    double *square;     /* [n] their squared lengths */
    int64_t n_cell;
    int32_t *cell;     /* [n] */
    int32_t *row_at;   /* [n_frame, n_cell] row or -1 */
    int32_t *ref;      /* [n_cell] */
    int32_t *memo_ref; /* [n] reference that `change` was computed with last */
    float *change;     /* [n] */
    uint8_t *keep;     /* [n] */
    int64_t n_opening; /* rows of the clip's first step */
    int64_t n_fixed;   /* the first so many rows are decided already: passes leave them alone */
    uint8_t *seen;     /* [n_cell] carried: the place has content; or NULL */
    uint8_t *past;     /* [n_cell, bytes] carried content; or NULL */
};

/* `needs` and `carry` of a selector: pixels at the site `patches`, else tokens. */
int pare__runs_needs(const void *priv, int32_t site, pare__need *need);
size_t pare__runs_carry(const void *priv, const pare__view *v);
/* Prepares arrays in the arena (the caller resets it). Pixels: mean |difference| in 0..1, channels alike, until `weight`
 * and `limit` are changed. Errors: NOMEM, INVALID (missing array). */
int pare__runs_init(pare__runs *r, const pare__view *v, int anchored, const char *owner, pare_error *err);
/* keep = change > threshold, or new. Returns the rows kept after the opening ones. */
int64_t pare__runs_pass(pare__runs *r, double threshold);
/* Every step but the clip's first loses int(share * n) of its n rows: the smallest changes, then the lower index. 0 or
 * PARE_E_NOMEM. */
int pare__runs_drop(pare__runs *r, double share);
/* keep = about k rows, for pare__runs_emit to settle: the opening step gets all its rows, or, where k is less than twice
 * as many, half of k spread evenly; the rest goes to the largest changes, found by a search of the threshold over passes. An opening row
 * beyond that share ranks like a change of `noise`. Errors: NOMEM. */
int pare__runs_budget(pare__runs *r, int64_t k, double noise, pare_error *err);
/* Makes the count exact (k < 0: as it is): the floor of every step, kept rows, then the largest changes;
 * emits the rows, with members if asked, publishes the changes as scores and carries the references on. */
int pare__runs_emit(pare__runs *r, int64_t k, int members, pare__map *map);

#endif
