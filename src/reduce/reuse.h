/* SPDX-License-Identifier: MIT */
/* Cached recompute on the reducer's side: which temporal steps are references, which units each step computes and which
 * it takes from its reference, and the rows that leave. The encoder's half is encode/reuse.c.
 *
 *     step        reference   other              other              reference
 *     computed    all units   what steps keep    what steps keep    all units
 *     attended    -> cache    cache + own        cache + own        -> cache
 *
 * Steps at `patches` are told (pare__pixels.is_reference) that what they drop will look as in the reference, so that
 * those which compare pictures compare with that one. */
#ifndef PARE_REDUCE_REUSE_H
#define PARE_REDUCE_REUSE_H

#include "encode/encoder.h"
#include "reduce/window.h"

struct pare_reducer;

typedef struct pare__reuse {
    uint8_t *is_reference; /* [slots of the window], of the arena */
    uint8_t *fresh;        /* [candidates of the window] COMPLETE: the row at this unit was computed; of the arena */
    int64_t n_since;       /* temporal steps before the window since the last reference, itself included; 0 = none */
    uint8_t *picture;      /* last picture of the reference before the window */
    int64_t cap_picture;
    uint8_t *known; /* [units] the last reference laid out has it */
    int32_t *at;    /* [units] row of `rows` that the last reference encoded has; -1 = none */
    int64_t cap_known, cap_at;
    pare__rows rows; /* COMPLETE: what left the encoder of the last reference encoded */
    int64_t n_reference, n_fresh;
} pare__reuse;

/* Errors: INVALID, UNSUPPORTED. */
int pare__reuse_check(const struct pare_reducer *r, pare_error *err);
void pare__reuse_fini(pare__reuse *u);
/* Decides the references of the window and tells r->px. */
int pare__reuse_mark(struct pare_reducer *r);
/* Segments of kept units become those of what is computed, and learn what they attend to. */
int pare__reuse_segments(struct pare_reducer *r);
/* Rows that may leave the encoder. */
int64_t pare__reuse_room(const struct pare_reducer *r);
/* Rows of the slots of a pack into r->encoded, sorted by place; then its provenance. */
int pare__reuse_gather(struct pare_reducer *r, const pare__pack *pack);
int pare__reuse_provenance(struct pare_reducer *r, pare_error *err);
/* The window is done. */
int pare__reuse_advance(struct pare_reducer *r);

#endif
