/* SPDX-License-Identifier: MIT */
/* The one idea: a reduction is a sparse matrix R (CSR, one row per surviving token, weights of a row sum to 1) with an
 * anchor, a size, a gain and members per row. Selectors only produce maps through a builder; apply, compose and un-merge
 * live here and nowhere else. All maps speak of candidates (units), never of prefix tokens. */
#ifndef PARE_CORE_MAP_H
#define PARE_CORE_MAP_H

#include <pare/pare.h>

#include "core/mem.h"

/* Growable pare_map; zero is a valid, empty map. Arrays in `m` point into the vectors below and are refreshed by every
 * function here. Memory is kept from use to use, so a map that has warmed up allocates nothing.
 *
 * Members: m.member_start == NULL says that every row stands for exactly its columns of R. Otherwise a finished map
 * lists *all* columns a row stands for, ascending, those of R included. */
typedef struct pare__map {
    pare_map m;
    int64_t *row_start;
    int32_t *index;
    float *weight;
    int32_t *anchor;
    float *size;
    float *gain;           /* allocated when a row has gain != 1 */
    int64_t *member_start; /* allocated when a row has members of its own */
    int32_t *member;
    int64_t cap_row, cap_nnz, cap_gain, cap_mstart, cap_member;
    int32_t has_gain, has_member, has_size; /* has_size: the builder set some */
    struct pare__map *twin;                 /* target of what is done in place */
    pare__arena scratch;
} pare__map;

void pare__map_fini(pare__map *map);
/* Empties the map for n_in columns; memory stays. */
void pare__map_begin(pare__map *map, int64_t n_in);

/* Builder, row by row; each returns 0 or PARE_E_NOMEM. Columns of a row may come in any order. */
int pare__map_keep(pare__map *map, int64_t col);               /* a whole row: one 1, anchor = col */
int pare__map_row(pare__map *map, int64_t anchor);             /* starts a row */
int pare__map_add(pare__map *map, int64_t col, double weight); /* one weight of the current row */
int pare__map_gain(pare__map *map, double gain);               /* of the current row */
int pare__map_size(pare__map *map, double size);               /* of the current row, > 0; else finish sums it up */
int pare__map_member(pare__map *map, int64_t col);             /* the current row stands for col (beyond R) */
/* keep_many: rows for idx[0..n). groups: group[n_in] = row 0..n_out-1 or -1 (dropped), anchor[n_out]; weights are
 * size-weighted means (size_in NULL = 1). */
int pare__map_keep_many(pare__map *map, const int32_t *idx, int64_t n);
int pare__map_groups(pare__map *map, const int32_t *group, const int32_t *anchor, int64_t n_out, const float *size_in);
int pare__map_identity(pare__map *map, int64_t n_in);

/* Closes a map: sorts columns in each row (adding up weights of the same column), normalises weights of each row to sum
 * 1 (a sum that differs from 1 by more than 1e-3 is an error: put it into the gain), sets sizes that the builder did not
 * (sum of size_in over the columns; NULL = 1), completes the members. `sort` != 0 also orders the rows by anchor. Errors: INVALID (index out of
 * range, empty row, weight not positive), NOMEM. */
int pare__map_finish(pare__map *map, const float *size_in, int sort, pare_error *err);

/* Appends `part` as the next diagonal block: columns and anchors shifted by n_in of `map`, rows follow. Both finished.
 * 0, PARE_E_NOMEM, or PARE_E_LIMIT when the columns no longer fit 31 bits. */
int pare__map_append(pare__map *map, const pare_map *part);
/* out = second . first (second.n_in == first.n_out); anchors and members follow, sizes are second's; gains
 * multiply into rows where single, else fold into weights and gain. out must be distinct. Rows keep the order of
 * `second`. 0, PARE_E_NOMEM, or PARE_E_INVALID when the shapes do not fit. */
int pare__map_compose(const pare_map *first, const pare_map *second, pare__map *out);
/* total = next . total, in place: how provenance follows a step. Memory stays with the map. On failure total is as it
 * was. */
int pare__map_follow(pare__map *total, const pare_map *next);
/* Rows ordered by anchor; `order` [n_out] (may be NULL) receives the old row of every new row. */
int pare__map_sort(pare__map *map, int32_t *order);
int pare__map_copy(const pare_map *from, pare__map *to);

/* out[n_out, d] = gain * (R . x[n_in, d]); out may not overlap x. Double accumulation for rows of more than one column;
 * a row with a single 1 is a plain copy (bit for bit). */
void pare__map_apply(const pare_map *map, const float *x, int64_t d, float *out);
/* Same for one int32 record of `width` values per token: the anchor's. */
void pare__map_anchor_i32(const pare_map *map, const int32_t *x, int64_t width, int32_t *out);
/* out[n_in, d]: every token gets the row that stands for it (columns of R and members; a token of several rows gets the
 * one with the larger weight, then the lower row); tokens of no row get zeros and cover[i] = -1 (else the row). */
void pare__map_unmerge(const pare_map *map, const float *y, int64_t d, float *out, int32_t *cover);
/* Row of every column as in unmerge (or -1). */
void pare__map_owner(const pare_map *map, int32_t *owner);

enum {
    PARE__MAP_SORTED = 1,   /* rows ascending by anchor */
    PARE__MAP_PARTITION = 2 /* no column in two rows */
};
/* Invariants: indices in range and ascending, no empty row, anchor in range, weights positive and summing to 1 within
 * 1e-5, sizes positive, gains finite and not negative, members in range, ascending and holding the
 * columns of R. Text says which row failed and how. */
int pare__map_check(const pare_map *map, unsigned flags, pare_error *err);

#endif
